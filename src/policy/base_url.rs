//! Scheme and authority of a site whose URLs a policy may name.

use std::fmt;
use std::sync::Arc;

/// `https://` and an exact host, or plain `http://` on a name under `localhost`.
///
/// Plain HTTP is for one laptop: RFC 6761 section 6.3 keeps every name under `localhost` on the
/// loopback interface, so no site on a network can be configured without TLS.
/// Cloning shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseUrl {
    text: Arc<str>,
    host: Arc<str>,
}

/// Why a text is not the base URL of a site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Neither scheme.
    #[error("{0:?} does not begin with https://")]
    Scheme(String),
    /// Plain HTTP beyond the loopback interface.
    #[error("{0:?} is plain http, which is only for names under localhost")]
    PlainHttp(String),
    /// Not a host name in its one canonical spelling.
    #[error("{0:?} is not a host name in lower case, with nothing behind it but an unusual port")]
    Host(String),
}

impl BaseUrl {
    /// Parses `https://host[:port]`, without a path or a final slash.
    ///
    /// # Errors
    /// [`BaseUrlError`] for anything that is not the canonical spelling.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let (authority, plain) = match (text.strip_prefix("https://"), text.strip_prefix("http://"))
        {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            _ => return Err(BaseUrlError::Scheme(text.to_owned())),
        };
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        // Browsers leave a scheme's own port out of `Origin`, and so must the one spelling.
        let own_port = if plain { "80" } else { "443" };
        if !is_host_name(host) || port.is_some_and(|port| !is_port(port) || port == own_port) {
            return Err(BaseUrlError::Host(text.to_owned()));
        }
        let base = Self { text: text.into(), host: host.into() };
        if plain && !base.is_loopback_name() {
            return Err(BaseUrlError::PlainHttp(text.to_owned()));
        }
        Ok(base)
    }

    /// Returns the URL's text, without a final slash: what browsers send as `Origin`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns host and port as they stand in a `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// Whether the URL names a port.
    #[must_use]
    pub fn has_port(&self) -> bool {
        self.authority().contains(':')
    }

    /// Whether the host is `localhost` or under it.
    #[must_use]
    pub fn is_loopback_name(&self) -> bool {
        &*self.host == "localhost" || self.host.ends_with(".localhost")
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a cookie with `Domain=domain` reaches `host`: the same name, or one under it (RFC 6265
/// section 5.1.3). Both are names in lower case, never addresses.
#[must_use]
pub fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// RFC 1123 section 2.1: labels of letters, digits and inner hyphens; here in lower case only, and
/// never all digits at the end, which would be an address.
fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let ends_in_digits =
        host.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(label) && !ends_in_digits
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port != 0 && port.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_accepts_one_spelling_only() {
        for text in [
            "https://data.example.org",
            "https://viewer.example.org:8443",
            "http://data.edgemint.localhost:8081",
            "http://localhost:8080",
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "data.example.org",
            "ftp://example.org",
            "https://",
            "https://Example.org",
            "https://example.org/",
            "https://example.org.",
            "https://exa mple.org",
            "https://user@example.org",
            "https://*.example.org",
            "https://example.org:0",
            "https://example.org:443",
            "http://localhost:80",
            "https://example.org:080",
            "https://example.org:99999",
            "https://127.0.0.1",
            "https://[::1]",
            "https://-a.org",
            "https://exämple.org",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_domain_reaches_itself_and_what_is_under_it() {
        for (host, domain, expected) in [
            ("example.org", "example.org", true),
            ("data.example.org", "example.org", true),
            ("notexample.org", "example.org", false),
            ("example.org", "data.example.org", false),
            ("example.org.evil.net", "example.org", false),
        ] {
            assert_eq!(domain_matches(host, domain), expected, "{host} {domain}");
        }
    }

    #[test]
    fn parse_rejects_plain_http_beyond_loopback_names() {
        for text in ["http://example.org", "http://localhost.example.org", "http://xlocalhost"] {
            assert!(matches!(BaseUrl::parse(text), Err(BaseUrlError::PlainHttp(_))), "{text}");
        }
    }
}
