//! Signed cookies as text, for programs that are no browser.
//!
//! A browser is told a cookie's domain by `Set-Cookie`; a script is told the one host and folder that
//! the policy opens, so that it sends them nowhere else.

use serde::Serialize;

use super::signed::named_values;
use crate::clock::EpochSeconds;
use crate::signing::SignedPolicy;

/// One cookie, and where it is to be sent. As JSON its fields are the arguments that Python's
/// `requests` takes for a cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScriptCookie {
    /// The cookie's name.
    pub name: &'static str,
    /// Its value, never percent-encoded.
    pub value: String,
    /// The one host that it is for, without a port.
    pub domain: String,
    /// The folder that it is for, from `/` to `/`.
    pub path: String,
    /// Whether it is for TLS only.
    pub secure: bool,
    /// When it ends, in seconds since 1970.
    pub expires: EpochSeconds,
}

/// Returns the cookies of one signed policy, for the host and folder of its resource.
#[must_use]
pub fn script_cookies(signed: &SignedPolicy) -> Vec<ScriptCookie> {
    let resource = signed.policy().resource().as_str();
    let (scheme, rest) = resource.split_once("://").unwrap_or(("https", resource));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.split(':').next().unwrap_or(authority);
    let fixed = path.split(['*', '?']).next().unwrap_or_default();
    let folder = fixed.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let cookie = |(name, value)| ScriptCookie {
        name,
        value,
        domain: host.to_owned(),
        path: format!("/{folder}"),
        secure: scheme == "https",
        expires: signed.policy().expires(),
    };
    named_values(signed).into_iter().map(cookie).collect()
}

/// Returns the cookies of one signed policy as they stand in a `Cookie` header, without its name.
#[must_use]
pub fn cookie_header(signed: &SignedPolicy) -> String {
    let pairs = named_values(signed).into_iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("; ")
}

/// Returns a Netscape cookie file, as curl, wget and Python's `MozillaCookieJar` read it.
///
/// A line is: domain, whether sub-domains too, path, whether over TLS only, expiry, name, value. Source:
/// curl's documentation, "Cookie file format".
#[must_use]
pub fn cookie_file<'a>(sets: impl IntoIterator<Item = &'a SignedPolicy>) -> String {
    let mut text = "# Netscape HTTP Cookie File\n".to_owned();
    for cookie in sets.into_iter().flat_map(script_cookies) {
        let ScriptCookie { name, value, domain, path, secure, expires } = cookie;
        let secure = if secure { "TRUE" } else { "FALSE" };
        let expires = expires.0.to_string();
        text.push_str(&[&domain, "FALSE", &path, secure, &expires, name, &value].join("\t"));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::Grant;
    use crate::policy::{Custom, Policy, Resource};
    use crate::signing::{HashAlgorithm, PrivateKey, SigningKey, sign};

    fn signed(resource: &str, hash: HashAlgorithm) -> SignedPolicy {
        let pem = include_str!("../../keys-example/p-256.private.pem");
        let key = Arc::new(PrivateKey::from_pem(pem).unwrap());
        let key = SigningKey { id: "K1EXAMPLE".parse().unwrap(), key };
        let resource = Resource::parse(resource).unwrap();
        let policy = Policy::custom(Custom {
            resource: resource.clone(),
            expires: EpochSeconds(1_000_000),
            starts: None,
            source_ip: None,
        });
        sign(&Grant::by_operator(resource), policy.unwrap(), &key, hash).unwrap()
    }

    #[test]
    fn a_cookie_is_for_the_host_and_folder_of_its_resource_alone() {
        for (resource, domain, path, secure) in [
            ("https://data.example.org/lab-a/*", "data.example.org", "/lab-a/", true),
            ("https://data.example.org/*", "data.example.org", "/", true),
            ("https://data.example.org/a/b.json", "data.example.org", "/a/", true),
            ("https://data.example.org/a/b?c/d*", "data.example.org", "/a/", true),
            ("http://data.demo.localhost:8081/lab-a/*", "data.demo.localhost", "/lab-a/", false),
        ] {
            let cookies = script_cookies(&signed(resource, HashAlgorithm::Sha256));
            assert_eq!(cookies.len(), 4, "{resource}");
            for cookie in cookies {
                let place = (cookie.domain.as_str(), cookie.path.as_str(), cookie.secure);
                assert_eq!(place, (domain, path, secure), "{resource}");
                assert_eq!(cookie.expires, EpochSeconds(1_000_000));
            }
        }
    }

    #[test]
    fn a_file_holds_one_line_of_seven_fields_for_each_cookie() {
        let sets = ["https://data.example.org/lab-a/*", "https://data.example.org/lab-b/*"]
            .map(|resource| signed(resource, HashAlgorithm::Sha1));
        let text = cookie_file(&sets);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("# Netscape HTTP Cookie File"));
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
        assert_eq!(rows.len(), 6);
        for (row, path) in rows.iter().zip(["/lab-a/", "/lab-a/", "/lab-a/", "/lab-b/"]) {
            assert_eq!(row.len(), 7, "{row:?}");
            assert_eq!(row[..5], ["data.example.org", "FALSE", path, "TRUE", "1000000"]);
        }
        assert_eq!(rows[5][5..], ["CloudFront-Key-Pair-Id", "K1EXAMPLE"]);
    }

    #[test]
    fn json_has_the_fields_that_pythons_requests_takes() {
        let cookies =
            script_cookies(&signed("https://data.example.org/lab-a/*", HashAlgorithm::Sha1));
        let json = serde_json::to_value(&cookies[2]).unwrap();
        let expected = serde_json::json!({
            "name": "CloudFront-Key-Pair-Id", "value": "K1EXAMPLE", "domain": "data.example.org",
            "path": "/lab-a/", "secure": true, "expires": 1_000_000,
        });
        assert_eq!(json, expected);
    }
}
