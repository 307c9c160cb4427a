//! One set of CloudFront cookies.

use std::sync::Arc;

use super::attributes::{cloudfront, expired_cloudfront};
use super::ledger::{KeyMark, SetDigest};
use super::scope::CookieScope;
use crate::clock::EpochSeconds;
use crate::policy::Policy;
use crate::signing::{HashAlgorithm, SignedPolicy};

pub(super) const HASH_COOKIE: &str = "CloudFront-Hash-Algorithm";

/// Every name that a set of this service's uses; its policies are custom, so `CloudFront-Expires` is
/// never among them.
const NAMES: [&str; 4] =
    ["CloudFront-Policy", "CloudFront-Signature", "CloudFront-Key-Pair-Id", HASH_COOKIE];

/// A signed policy and where its cookies go.
#[derive(Clone, Debug)]
pub struct SignedSet {
    /// Where the cookies live.
    pub scope: CookieScope,
    /// What the ledger calls them.
    pub digest: SetDigest,
    /// Which key signed, for the ledger.
    pub key: KeyMark,
    /// Their values.
    pub signed: Arc<SignedPolicy>,
}

/// Returns the cookies of a signed policy by name: three, or four with SHA-256.
#[must_use]
pub fn named_values(signed: &SignedPolicy) -> Vec<(&'static str, String)> {
    let first = match signed.policy() {
        Policy::Canned { expires, .. } => ("CloudFront-Expires", expires.0.to_string()),
        Policy::Custom(_) => ("CloudFront-Policy", signed.encoded_policy().to_owned()),
    };
    let mut values = vec![
        first,
        ("CloudFront-Signature", signed.encoded_signature().to_owned()),
        ("CloudFront-Key-Pair-Id", signed.key_pair_id().to_string()),
    ];
    if signed.hash() == HashAlgorithm::Sha256 {
        values.push((HASH_COOKIE, signed.hash().to_string()));
    }
    values
}

impl SignedSet {
    /// When the cookies end.
    #[must_use]
    pub fn expires(&self) -> EpochSeconds {
        self.signed.policy().expires()
    }

    pub(super) fn set_cookie_lines(&self, now: EpochSeconds) -> Vec<String> {
        let max_age = self.expires().since(now);
        named_values(&self.signed)
            .iter()
            .map(|(name, value)| cloudfront(&self.scope, name, value, max_age))
            .collect()
    }
}

pub(super) fn expire_all(scope: &CookieScope) -> impl Iterator<Item = String> {
    NAMES.iter().map(|name| expired_cloudfront(scope, name))
}

pub(super) fn expire_hash(scope: &CookieScope) -> String {
    expired_cloudfront(scope, HASH_COOKIE)
}
