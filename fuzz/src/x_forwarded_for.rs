//! `X-Forwarded-For`: how many proxies are trusted, and below it the header's lines.
//!
//! - The address is the one entry of the outermost trusted proxy, and never one to its left.
//! - Whatever else a stranger puts in front changes nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue};
use edgemint::authn::browser_address;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
const NAME: &str = "x-forwarded-for";

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let mut lines = data.split(|byte| *byte == b'\n');
    let hops = lines.next().and_then(|line| str::from_utf8(line).ok()?.trim().parse().ok());
    let values: Vec<_> = lines.filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let hops: u8 = hops.unwrap_or(1);

    let address = browser_address(&headers(&values), PEER, hops);
    assert_eq!(address, expected(&values, hops), "{hops} {values:?}");
    assert!(hops != 0 || address == Some(PEER), "no proxy is believed");

    let entries: usize = values.iter().map(|value| entries(value).len()).sum();
    if entries >= usize::from(hops) {
        for stranger in [&b"6.6.6.6"[..], b"6.6.6.6, 6.6.6.6,", b",,,", b"\xe9"] {
            let stranger = HeaderValue::from_bytes(stranger).unwrap();
            let more: Vec<_> = [stranger].into_iter().chain(values.iter().cloned()).collect();
            assert_eq!(browser_address(&headers(&more), PEER, hops), address, "{more:?}");
        }
    }
    address.is_some()
}

fn headers(values: &[HeaderValue]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(NAME, value.clone());
    }
    headers
}

/// A line that is not text counts as one entry that is no address.
fn entries(value: &HeaderValue) -> Vec<&str> {
    value.to_str().map_or_else(|_| vec![""], |text| text.split(',').collect())
}

/// All entries in a row, counted from the right.
fn expected(values: &[HeaderValue], hops: u8) -> Option<IpAddr> {
    if hops == 0 {
        return Some(PEER);
    }
    let row: Vec<&str> = values.iter().flat_map(entries).collect();
    let at = row.len().checked_sub(usize::from(hops))?;
    let entry = row[at].trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let socket = || entry.parse().ok().map(|socket: SocketAddr| socket.ip());
    bare.parse().ok().or_else(socket).map(|address: IpAddr| address.to_canonical())
}
