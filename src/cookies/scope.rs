//! Where a set of cookies lives.

use crate::access::PathPrefix;
use crate::policy::domain_matches;

/// The `Domain` and `Path` of a set of cookies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CookieScope {
    /// The `Domain` attribute; none makes the cookies host-only.
    pub domain: Option<String>,
    /// The `Path` attribute. It has no wildcard: `/lab-a/`, not `/lab-a/*`.
    pub path: PathPrefix,
}

impl CookieScope {
    /// Whether a response of `host` may set cookies here (RFC 6265 section 5.3, step 6).
    #[must_use]
    pub fn can_be_set_by(&self, host: &str) -> bool {
        self.domain.as_deref().is_none_or(|domain| domain_matches(host, domain))
    }
}
