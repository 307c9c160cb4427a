//! What a request tells about itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use axum::http::{HeaderMap, Method, header};

use super::cors;
use super::error::ServeError;
use crate::config::Site;
use crate::cookies::{Ledger, cookie_pairs};
use crate::policy::BaseUrl;

/// The number by which the log and an answer speak of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestId([u8; 16]);

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl RequestId {
    /// Returns a new number.
    #[must_use]
    pub(super) fn random() -> Self {
        let mut bytes = [0; 8];
        // Without random numbers the requests share a number, which harms nobody.
        let _ = SystemRandom::new().fill(&mut bytes);
        let mut digits = [b'0'; 16];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            let [high, low] = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
            pair.copy_from_slice(&[high, low]);
        }
        Self(digits)
    }

    /// Returns the number's text.
    #[must_use]
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By which name the request came.
#[derive(Clone, Debug)]
pub(super) struct Here {
    /// One of the site's URLs, or a data host's that takes handoffs.
    pub(super) url: BaseUrl,
    /// Whether it is a data host's.
    pub(super) is_data_host: bool,
    /// How many proxies on the way here are believed about the browser's address.
    pub(super) trusted_hops: u8,
}

impl Here {
    /// At the site's main URL.
    pub(super) fn at_the_site(site: &Site) -> Self {
        let (url, trusted_hops) = (site.public_url.clone(), site.trusted_hops);
        Self { url, is_data_host: false, trusted_hops }
    }
}

/// The address of the connection's other end.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The loopback address: nobody's. `Service` says which it is.
impl Default for Peer {
    fn default() -> Self {
        Self(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// For whom an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Who waits for a page.
    Person,
    /// A script, or another program.
    Program,
}

impl Reader {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if is_navigation(headers) { Self::Person } else { Self::Program }
    }
}

/// Whether a person waits for a page, as opposed to a script for data.
pub(super) fn is_navigation(headers: &HeaderMap) -> bool {
    match text(headers, "sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => prefers_html(headers),
    }
}

/// Whether HTML stands in `Accept` before JSON does. Every browser's navigation says so.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = text(headers, header::ACCEPT).unwrap_or_default();
    match (accept.find("text/html"), accept.find("application/json")) {
        (Some(html), Some(json)) => html < json,
        (html, _) => html.is_some(),
    }
}

/// Refuses requests that another site made a browser send.
///
/// Fetch metadata (W3C) says what a browser vouches for; clients without it send no cookies on a
/// person's behalf. A navigation that the person sees may come from anywhere, since it changes nothing but
/// their own cookies; everything else comes from our own pages, or from scripts of `origins`.
pub(super) fn check_site(
    method: &Method,
    headers: &HeaderMap,
    public_url: &BaseUrl,
    origins: &[BaseUrl],
) -> Result<(), ServeError> {
    let own = std::slice::from_ref(public_url);
    if headers.contains_key(header::ORIGIN) && cors::allowed(headers, own).is_none() {
        return match cors::allowed(headers, origins) {
            Some(_) => Ok(()),
            None => Err(ServeError::CrossSite),
        };
    }
    let in_a_frame = text(headers, "sec-fetch-dest").is_some_and(|dest| dest != "document");
    let navigation = *method == Method::GET && is_navigation(headers) && !in_a_frame;
    match text(headers, "sec-fetch-site") {
        None if !headers.contains_key("sec-fetch-site") => Ok(()),
        Some("same-origin" | "none") => Ok(()),
        _ if navigation => Ok(()),
        _ => Err(ServeError::CrossSite),
    }
}

/// Random bytes, such as a nonce to seal a cookie with.
pub(super) fn random_bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok().map(|()| bytes)
}

/// The browser's ledger, among its cookies.
pub(super) fn ledger(headers: &HeaderMap) -> Ledger {
    Ledger::read(cookies(headers))
}

/// The browser's cookies, names and values. One that is not visible ASCII is none of ours and hides none:
/// browsers send what any sibling host has set, in whatever bytes.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let text = |pair| std::str::from_utf8(pair).ok().filter(|pair| pair.is_ascii());
    pairs.filter_map(text).flat_map(cookie_pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn requests_that_another_site_sends_are_refused() {
        let url = BaseUrl::parse("https://viewer.example.org").unwrap();
        let friends = [BaseUrl::parse("https://notebook.example.org").unwrap()];
        let refused =
            |method, pairs: &[_]| check_site(&method, &headers(pairs), &url, &friends).is_err();
        for site in ["cross-site", "same-site"] {
            assert!(refused(Method::POST, &[("sec-fetch-site", site)]));
            assert!(refused(
                Method::GET,
                &[("sec-fetch-site", site), ("sec-fetch-mode", "no-cors")]
            ));
            let click = [("sec-fetch-site", site), ("sec-fetch-mode", "navigate")];
            assert!(!refused(Method::GET, &click));
            assert!(refused(Method::POST, &click), "a form on another site signs out or in");
            for (dest, refuses) in [("document", false), ("iframe", true), ("object", true)] {
                let framed = [click[0], click[1], ("sec-fetch-dest", dest)];
                assert_eq!(refused(Method::GET, &framed), refuses, "{dest}");
            }
        }
        for origin in [
            "null",
            "https://evil.net",
            "https://viewer.example.org.evil.net",
            "http://viewer.example.org",
            "https://viewer.example.org:444",
            "https://data.example.org",
            "https://notebook.example.org.evil.net",
            "https://notebook.example.org:444",
            "http://notebook.example.org",
            "https://evil-notebook.example.org",
            "https://notebook.example.org/",
            "https://NOTEBOOK.example.org",
            "https://notebook.example.org https://evil.net",
            "https://notebook.example.org, https://evil.net",
            "",
        ] {
            assert!(refused(Method::POST, &[("origin", origin)]), "{origin}");
        }
        assert!(!refused(Method::POST, &[("origin", "https://viewer.example.org")]));
        let friend = ("origin", "https://notebook.example.org");
        assert!(!refused(Method::POST, &[friend, ("sec-fetch-site", "cross-site")]));
        let two = [friend, ("origin", "https://evil.net")];
        let mut twice = headers(&two[..1]);
        twice.append(two[1].0, two[1].1.parse().unwrap());
        assert!(check_site(&Method::POST, &twice, &url, &friends).is_err());
        assert!(!refused(Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(!refused(Method::POST, &[]));
    }

    #[test]
    fn navigations_are_told_from_fetches() {
        assert!(is_navigation(&headers(&[("sec-fetch-mode", "navigate")])));
        assert!(!is_navigation(&headers(&[("sec-fetch-mode", "cors"), ("accept", "text/html")])));
        assert!(is_navigation(&headers(&[("accept", "text/html,*/*")])));
        assert!(!is_navigation(&headers(&[("accept", "*/*")])));
        assert!(!prefers_html(&headers(&[("accept", "application/json, text/html")])));
    }
}
