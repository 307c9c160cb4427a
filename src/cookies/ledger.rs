//! The ledger: what this browser was given, and until when.
//!
//! The CloudFront cookies at `/lab-a/` on another host reach neither the page nor this service. So
//! a small cookie of our own lists each set: where it lives, when it ends, and a digest of whose and
//! what it is. Issuing then removes every listed set that it does not replace, because a stale
//! narrow set would shadow a new wide one, and a person who signs in after another must not keep
//! the other's.
//!
//! The browser may send anything, so the content is untrusted: bounded, parsed strictly, and able to
//! do nothing but remove cookies of ours. It is readable by script and holds no secret.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::attributes::readable_host_cookie;
use super::scope::CookieScope;
use super::signed::{SignedSet, expire_all, expire_hash};
use crate::access::{Opened, PathPrefix};
use crate::clock::EpochSeconds;
use crate::identity::Identity;
use crate::signing::HashAlgorithm;

/// The ledger's cookie name. `__Host-` lets no sibling host write it.
pub const LEDGER_COOKIE: &str = "__Host-edgemint-ledger";

/// The most sets that a ledger lists; more are removed, the soonest to end first.
pub const MAX_ENTRIES: usize = 24;

/// Browsers refuse a cookie of over 4,096 bytes, name and attributes included.
const MAX_BYTES: usize = 3800;

const VERSION: &str = "1";

/// What this browser was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    scope: CookieScope,
    digest: SetDigest,
    expires: EpochSeconds,
}

/// Whose set it is and what it opens, in 64 bits: enough to see a change, too little to hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SetDigest([u8; 8]);

/// A ledger that this service did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Over the size that is ever written.
    #[error("the ledger cookie has {0} bytes, more than are ever written")]
    TooLong(usize),
    /// Another version, or fields missing or too many.
    #[error("the ledger cookie is not of the form that is written")]
    Malformed,
}

/// What is to be sent so that a browser holds exactly the given sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// `Set-Cookie` lines, removals first.
    pub lines: Vec<String>,
    /// How many listed sets are removed without being replaced.
    pub removed: usize,
}

impl SetDigest {
    /// Describes one set: the person, what is opened, from where, and how it is signed.
    #[must_use]
    pub fn of(identity: &Identity, opened: &Opened, hash: HashAlgorithm) -> Self {
        let mut digest = Sha256::new();
        let address = opened.source_ip.map(|ip| ip.to_string()).unwrap_or_default();
        for part in [
            identity.issuer.as_str(),
            identity.subject.as_str(),
            &opened.resource(),
            &address,
            &hash.to_string(),
        ] {
            digest.update(part.len().to_be_bytes());
            digest.update(part.as_bytes());
        }
        let mut first = [0; 8];
        first.copy_from_slice(&digest.finalize()[..8]);
        Self(first)
    }

    fn parse(text: &str) -> Option<Self> {
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 16 || !text.bytes().all(lower_hex) {
            return None;
        }
        u64::from_str_radix(text, 16).ok().map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for SetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl Ledger {
    /// Reads the cookie's value.
    ///
    /// # Errors
    /// [`LedgerError`] for anything that this service does not write.
    pub fn parse(value: &str) -> Result<Self, LedgerError> {
        if value.len() > MAX_BYTES {
            return Err(LedgerError::TooLong(value.len()));
        }
        let fields: Vec<&str> = value.split('|').collect();
        let [VERSION, fields @ ..] = fields.as_slice() else {
            return Err(LedgerError::Malformed);
        };
        if fields.len() % 4 != 0 || fields.len() / 4 > MAX_ENTRIES {
            return Err(LedgerError::Malformed);
        }
        let entries = fields.chunks(4).map(Entry::parse).collect::<Option<Vec<_>>>();
        entries.map(|entries| Self { entries }).ok_or(LedgerError::Malformed)
    }

    /// Whether a set is listed and, of its life of `lifetime` seconds, more than half is left.
    #[must_use]
    pub fn holds(
        &self,
        scope: &CookieScope,
        digest: SetDigest,
        lifetime: u64,
        now: EpochSeconds,
    ) -> bool {
        self.entries.iter().any(|entry| {
            entry.scope == *scope
                && entry.digest == digest
                && entry.expires.since(now) > lifetime / 2
        })
    }

    /// Whether anything is listed that `permitted` does not name.
    #[must_use]
    pub fn lists_others_than(&self, permitted: &[(CookieScope, SetDigest)]) -> bool {
        self.entries.iter().any(|entry| !entry.is_among(permitted))
    }

    /// Plans what makes a browser of `host` hold `sets`, and of the listed ones only those that are
    /// still `permitted`.
    #[must_use]
    pub fn renew(
        &self,
        host: &str,
        sets: &[SignedSet],
        permitted: &[(CookieScope, SetDigest)],
        now: EpochSeconds,
    ) -> Renewal {
        let mut kept: Vec<Entry> = Vec::new();
        let mut stale: Vec<&Entry> = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.scope.can_be_set_by(host)) {
            let replaced = sets.iter().any(|set| set.scope == entry.scope);
            match (replaced, entry.is_among(permitted) && entry.expires > now) {
                (true, _) => {}
                (false, true) => kept.push(entry.clone()),
                (false, false) => stale.push(entry),
            }
        }
        kept.sort_by_key(|entry| std::cmp::Reverse(entry.expires));
        let room = MAX_ENTRIES.saturating_sub(sets.len());
        let evicted = kept.split_off(room.min(kept.len()));
        stale.extend(&evicted);

        let mut lines: Vec<String> =
            stale.iter().flat_map(|entry| expire_all(&entry.scope)).collect();
        for set in sets {
            if set.signed.hash() == HashAlgorithm::Sha1 && self.lists_another(set) {
                lines.push(expire_hash(&set.scope));
            }
            lines.extend(set.set_cookie_lines(now));
        }
        let entries = sets.iter().map(Entry::of).chain(kept).collect();
        lines.push(Self { entries }.to_set_cookie(now));
        Renewal { lines, removed: stale.len() }
    }

    /// Another set at the same place may have been signed over SHA-256, whose fourth cookie would
    /// outlive it. (A set that is not listed has expired, and its fourth cookie with it.)
    fn lists_another(&self, set: &SignedSet) -> bool {
        self.entries.iter().any(|entry| entry.scope == set.scope && entry.digest != set.digest)
    }

    fn to_set_cookie(&self, now: EpochSeconds) -> String {
        let last = self.entries.iter().map(|entry| entry.expires).max().unwrap_or(now);
        let value = if self.entries.is_empty() { String::new() } else { self.to_string() };
        readable_host_cookie(LEDGER_COOKIE, &value, last.since(now))
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSION)?;
        for Entry { scope, digest, expires } in &self.entries {
            let domain = scope.domain.as_deref().unwrap_or_default();
            write!(f, "|{}|{digest}|{domain}|{}", expires.0, scope.path)?;
        }
        Ok(())
    }
}

impl Entry {
    fn of(set: &SignedSet) -> Self {
        Self { scope: set.scope.clone(), digest: set.digest, expires: set.expires() }
    }

    fn is_among(&self, permitted: &[(CookieScope, SetDigest)]) -> bool {
        permitted.iter().any(|(scope, digest)| *scope == self.scope && *digest == self.digest)
    }

    fn parse(fields: &[&str]) -> Option<Self> {
        let &[expires, digest, domain, path] = fields else { return None };
        let canonical = expires.bytes().all(|b| b.is_ascii_digit()) && !expires.is_empty();
        let expires = if canonical { expires.parse().ok()? } else { return None };
        let domain = match domain {
            "" => None,
            name if is_domain(name) => Some(name.to_owned()),
            _ => return None,
        };
        Some(Self {
            scope: CookieScope { domain, path: PathPrefix::parse(path).ok()? },
            digest: SetDigest::parse(digest)?,
            expires: EpochSeconds(expires),
        })
    }
}

fn is_domain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

#[cfg(test)]
mod tests;
