//! A policy's `Resource`: a URL in which `*` stands for any run of characters and `?` for one.
//!
//! Source: the CloudFront Developer Guide, "Set signed cookies that use a custom policy", which
//! wants a scheme of `http` or `https` in front. The wider forms of the page on signed URLs
//! (`*://`, `http*://`, `\?`, a lone `*`) are not documented for cookies and are refused here.

use std::fmt;

/// The longest URL that CloudFront accepts, in bytes.
pub const MAX_RESOURCE_BYTES: usize = 8192;

/// A CloudFront URL pattern that is safe to put into a policy.
///
/// Deliberately not checked here: whether the host is ours. A rule's resources are narrower still
/// (see [`crate::access::ResourceTemplate`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource(String);

/// Why a text cannot be a policy's `Resource`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// No scheme, or one that CloudFront does not serve.
    #[error("a resource begins with https:// or http://, but this is {0:?}")]
    Scheme(String),
    /// A wildcard or nothing where the host belongs.
    #[error("a resource names its host in full before the first slash: {0:?}")]
    Host(String),
    /// A character that could end the JSON string or the header line.
    #[error("a resource may not hold {character:?}; write it percent-encoded")]
    Character {
        /// The character refused.
        character: char,
    },
    /// Longer than any URL CloudFront serves.
    #[error("a resource may hold {MAX_RESOURCE_BYTES} bytes, this one has {0}")]
    TooLong(usize),
}

impl Resource {
    /// Parses a URL pattern.
    ///
    /// # Errors
    /// [`ResourceError`] says which character or part is refused. Quotes, backslashes, white space
    /// and control characters always are: policy injection through them was a high-severity bug in
    /// three AWS SDKs (GHSA-27qh-8cxx-2cr5, GHSA-443w-3rq3-5m5h, GHSA-mvm6-f9r3-fgfx).
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        if text.len() > MAX_RESOURCE_BYTES {
            return Err(ResourceError::TooLong(text.len()));
        }
        let refused = |c: &char| matches!(c, '"' | '\\') || c.is_control() || c.is_whitespace();
        if let Some(character) = text.chars().find(refused) {
            return Err(ResourceError::Character { character });
        }
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or_else(|| ResourceError::Scheme(excerpt(text)))?;
        let host = rest.split('/').next().unwrap_or_default();
        if host.is_empty() || host.starts_with(':') || host.contains(['*', '?', '@', '#']) {
            return Err(ResourceError::Host(excerpt(text)));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the pattern as it stands in the policy.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern holds `*`, which a canned policy cannot express.
    ///
    /// A `?` does not count: in a canned policy it is the query's question mark.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.0.contains('*')
    }

    /// Whether `url` falls under the pattern, with `*` and `?` as wildcards anywhere.
    #[must_use]
    pub fn matches(&self, url: &str) -> bool {
        glob(self.0.as_bytes(), url.as_bytes())
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Matches greedily and goes back to the last star only: quadratic at worst, never exponential.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match last_star {
                Some((star, from)) => {
                    last_star = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_rejects_what_could_leave_the_json_string_or_the_line() {
        for text in
            ["https://h/\"", "https://h/\\", "https://h/\r\n", "https://h/a b", "https://h/\0"]
        {
            assert!(
                matches!(Resource::parse(text), Err(ResourceError::Character { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn parse_rejects_schemes_and_hosts_that_cookies_cannot_use() {
        for text in ["*", "ftp://h/", "http*://h/*", "*://h/*", "//h/", "HTTPS://h/", ""] {
            assert!(matches!(Resource::parse(text), Err(ResourceError::Scheme(_))), "{text:?}");
        }
        for text in [
            "https://",
            "https:///a",
            "https://:443/a",
            "https://*/a",
            "https://*.example.org/*",
            "https://a@b/",
        ] {
            assert!(matches!(Resource::parse(text), Err(ResourceError::Host(_))), "{text:?}");
        }
        let long = format!("https://h/{}", "a".repeat(MAX_RESOURCE_BYTES));
        assert!(matches!(Resource::parse(&long), Err(ResourceError::TooLong(_))));
    }

    #[test]
    fn matches_treats_star_and_question_mark_as_wildcards() {
        let table = [
            ("https://h/a/*", "https://h/a/", true),
            ("https://h/a/*", "https://h/a/b/c?x=1", true),
            ("https://h/a/*", "https://h/a", false),
            ("https://h/a/*", "https://h/ab/c", false),
            ("https://h/a*", "https://h/ab/c", true),
            ("https://h/a/*.json", "https://h/a/x.json/y.json", true),
            ("https://h/a/*.json", "https://h/a/x.json/y", false),
            ("https://h/?", "https://h/a", true),
            ("https://h/?", "https://h/", false),
            ("https://h/a", "https://h/a?x=1", false),
            ("https://h/A", "https://h/a", false),
        ];
        for (pattern, url, expected) in table {
            let resource = Resource::parse(pattern).unwrap();
            assert_eq!(resource.matches(url), expected, "{pattern} against {url}");
        }
    }

    #[test]
    fn matching_many_stars_takes_no_exponential_time() {
        let pattern = format!("https://h/{}b", "*a".repeat(200));
        let url = format!("https://h/{}", "a".repeat(4000));
        assert!(!Resource::parse(&pattern).unwrap().matches(&url));
    }
}
