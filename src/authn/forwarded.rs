//! The browser's address, from the one entry of `X-Forwarded-For` that can be believed.
//!
//! Every proxy appends the address that it was asked from, so with `n` truthful proxies in front the
//! browser's is the `n`th from the right. Everything to its left is the browser's own invention.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

/// Returns the address that the browser connects from, or `None` if no trusted proxy told it.
#[must_use]
pub fn browser_address(headers: &HeaderMap, peer: IpAddr, trusted_hops: u8) -> Option<IpAddr> {
    let Some(from_right) = usize::from(trusted_hops).checked_sub(1) else { return Some(peer) };
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    lines
        .flat_map(|line| line.to_str().unwrap_or_default().rsplit(','))
        .nth(from_right)
        .and_then(|entry| parse(entry.trim()))
}

/// A load balancer may be told to append the port.
fn parse(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse().or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(lines: &[&str], trusted_hops: u8) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let peer = "10.0.0.9".parse().unwrap();
        browser_address(&headers, peer, trusted_hops).map(|address| address.to_string())
    }

    #[test]
    fn only_the_entry_of_the_outermost_trusted_hop_counts() {
        for (lines, hops, expected) in [
            (&["192.0.2.1"][..], 1, Some("192.0.2.1")),
            (&["6.6.6.6, 192.0.2.1"], 1, Some("192.0.2.1")),
            (&["6.6.6.6", "192.0.2.1"], 1, Some("192.0.2.1")),
            (&["6.6.6.6, 192.0.2.1, 203.0.113.9"], 2, Some("192.0.2.1")),
            (&["6.6.6.6, 192.0.2.1", "203.0.113.9"], 2, Some("192.0.2.1")),
            (&["6.6.6.6"], 0, Some("10.0.0.9")),
            (&["192.0.2.1:5555"], 1, Some("192.0.2.1")),
            (&["[2001:db8::1]:5555"], 1, Some("2001:db8::1")),
            (&["2001:db8::1"], 1, Some("2001:db8::1")),
            (&["::ffff:192.0.2.1"], 1, Some("192.0.2.1")),
        ] {
            assert_eq!(address(lines, hops).as_deref(), expected, "{lines:?} {hops}");
        }
    }

    #[test]
    fn an_entry_that_is_missing_or_no_address_is_unknown() {
        for (lines, hops) in [
            (&[][..], 1),
            (&["192.0.2.1"], 2),
            (&["unknown"], 1),
            (&["192.0.2.1,"], 1),
            (&["_hidden"], 1),
            (&["192.0.2.256"], 1),
            (&["192.0.2.1; drop"], 1),
        ] {
            assert_eq!(address(lines, hops), None, "{lines:?} {hops}");
        }
    }
}
