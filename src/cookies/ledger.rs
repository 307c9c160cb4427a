//! The ledger: what this browser was given, and until when.
//!
//! The CloudFront cookies at `/lab-a/` on another host reach neither the page nor this service. So
//! beside each set goes a small cookie of our own that says where the set lives, when it ends, and
//! in a digest whose and what it is. Issuing then removes every listed set that it does not replace
//! and that is not the person's any more, because a stale narrow set would shadow a new wide one,
//! and a person who signs in after another must not keep the other's.
//!
//! One cookie per set, named after the set's place: two answers that cross add up, where one cookie
//! for all would lose the set of the answer that came first.
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
use crate::signing::{HashAlgorithm, SigningKey};

/// How the names of the ledger's cookies begin. `__Host-` lets no sibling host write them.
pub const LEDGER_PREFIX: &str = "__Host-edgemint-set-";

/// The most sets that a browser holds; more are removed, the soonest to end first.
pub const MAX_ENTRIES: usize = 24;

/// The most lines that one set takes: its cookies, of which one may be a removal, and its entry.
pub const MAX_LINES_PER_SET: usize = 5;

/// The most ledger cookies of one request that are read. The rest is read at the next one.
const MAX_READ: usize = 64;

/// The most bytes of headers that taking away what is read may need: a load balancer passes 32 KB of them,
/// and what is given meanwhile needs its part. The rest is read at the next request.
const MAX_REMOVAL_BYTES: usize = 24 * 1024;

/// What a line costs besides its domain and its path: the header's name, the cookie's, and attributes.
const LINE_BYTES: usize = 110;

/// The most bytes of one entry: a domain of 253, a path of 1,024, and the rest.
const MAX_ENTRY_BYTES: usize = 1400;

const VERSION: &str = "1";

/// What this browser was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: Vec<Entry>,
    /// Cookies with a name of the ledger's whose content is none of its.
    malformed: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    scope: CookieScope,
    digest: SetDigest,
    /// Which key signed: a set of another key is as permitted as before, but due to be renewed.
    key: KeyMark,
    expires: EpochSeconds,
}

/// Which key signed a set, in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyMark([u8; 4]);

impl KeyMark {
    /// Marks a key by its ID and its fingerprint, since an ID may be given to another key.
    #[must_use]
    pub fn of(key: &SigningKey) -> Self {
        Self(first_bytes([key.id.to_string().as_str(), key.key.fingerprint().as_str()]))
    }

    fn parse(text: &str) -> Option<Self> {
        let number = lower_hex(text, 8)?;
        u32::try_from(number).ok().map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// Whose set it is and what it opens, in 64 bits: enough to see a change, too little to hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SetDigest([u8; 8]);

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
        let address = opened.source_ip.map(|ip| ip.to_string()).unwrap_or_default();
        Self(first_bytes([
            identity.issuer.as_str(),
            identity.subject.as_str(),
            &opened.resource(),
            &address,
            &hash.to_string(),
        ]))
    }

    fn parse(text: &str) -> Option<Self> {
        lower_hex(text, 16).map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for SetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Reads a number of exactly so many hexadecimal digits, in lower case.
fn lower_hex(text: &str, digits: usize) -> Option<u64> {
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let usable = text.len() == digits && text.bytes().all(plain);
    usable.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The beginning of SHA-256 over some texts, each with its length, so that none runs into the next.
fn first_bytes<'a, const N: usize>(parts: impl IntoIterator<Item = &'a str>) -> [u8; N] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    let mut first = [0; N];
    first.copy_from_slice(&digest.finalize()[..N]);
    first
}

impl Ledger {
    /// Reads the ledger among a request's cookies. Whatever this service did not write is noted by
    /// name, to be removed, and otherwise ignored.
    #[must_use]
    pub fn read<'a>(cookies: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut ledger, mut bytes) = (Self::default(), 0);
        let ours = cookies.into_iter().filter(|(name, _)| name.starts_with(LEDGER_PREFIX));
        for (name, value) in ours.take(MAX_READ) {
            let entry = Entry::parse(value).filter(|entry| entry.cookie_name() == name);
            bytes += entry.as_ref().map_or(LINE_BYTES, Entry::removal_bytes);
            if bytes > MAX_REMOVAL_BYTES {
                break;
            }
            if let Some(entry) = entry {
                let known = ledger.entries.iter().any(|known| known.scope == entry.scope);
                ledger.entries.extend((!known).then_some(entry));
            } else if is_ledger_name(name) {
                ledger.malformed.push(name.to_owned());
            }
        }
        ledger
    }

    /// Whether a set of this key's is listed and, of its life of `lifetime` seconds, more than half is
    /// left.
    #[must_use]
    pub fn holds(
        &self,
        scope: &CookieScope,
        digest: SetDigest,
        key: KeyMark,
        lifetime: u64,
        now: EpochSeconds,
    ) -> bool {
        self.entries.iter().any(|entry| {
            entry.scope == *scope
                && entry.digest == digest
                && entry.key == key
                && entry.expires.since(now) > lifetime / 2
        })
    }

    /// Until when a set is listed.
    #[must_use]
    pub fn until(&self, scope: &CookieScope, digest: SetDigest) -> Option<EpochSeconds> {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| entry.scope == *scope && entry.digest == digest)?;
        Some(entry.expires)
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
        let stale = self.stale(host, sets, permitted, now);
        let mut lines: Vec<String> =
            self.malformed.iter().map(|name| readable_host_cookie(name, "", 0)).collect();
        let foreign = self.entries.iter().filter(|entry| !entry.scope.can_be_set_by(host));
        lines.extend(foreign.map(|entry| readable_host_cookie(&entry.cookie_name(), "", 0)));
        for entry in &stale {
            lines.extend(expire_all(&entry.scope));
            lines.push(readable_host_cookie(&entry.cookie_name(), "", 0));
        }
        for set in sets {
            if set.signed.hash() == HashAlgorithm::Sha1 && self.lists_another(set) {
                lines.push(expire_hash(&set.scope));
            }
            lines.extend(set.set_cookie_lines(now));
            lines.push(Entry::of(set).to_set_cookie(now));
        }
        Renewal { lines, removed: stale.len() }
    }

    /// Listed sets that are neither replaced nor to be kept.
    fn stale(
        &self,
        host: &str,
        sets: &[SignedSet],
        permitted: &[(CookieScope, SetDigest)],
        now: EpochSeconds,
    ) -> Vec<&Entry> {
        let (mut kept, mut stale) = (Vec::new(), Vec::new());
        for entry in self.entries.iter().filter(|entry| entry.scope.can_be_set_by(host)) {
            if sets.iter().any(|set| set.scope == entry.scope) {
                continue;
            }
            let stays = entry.is_among(permitted) && entry.expires > now;
            if stays { kept.push(entry) } else { stale.push(entry) }
        }
        kept.sort_by_key(|entry| std::cmp::Reverse(entry.expires));
        let room = MAX_ENTRIES.saturating_sub(sets.len());
        stale.extend(kept.into_iter().skip(room));
        stale
    }

    /// Another set at the same place may have been signed over SHA-256, whose fourth cookie would
    /// outlive it. (A set that is not listed has expired, and its fourth cookie with it.)
    fn lists_another(&self, set: &SignedSet) -> bool {
        self.entries.iter().any(|entry| entry.scope == set.scope && entry.digest != set.digest)
    }
}

impl Entry {
    fn of(set: &SignedSet) -> Self {
        let (scope, expires) = (set.scope.clone(), set.expires());
        Self { scope, digest: set.digest, key: set.key, expires }
    }

    fn cookie_name(&self) -> String {
        ledger_cookie_name(&self.scope)
    }

    fn removal_bytes(&self) -> usize {
        let CookieScope { domain, path } = &self.scope;
        let place = domain.as_ref().map_or(0, String::len) + path.as_str().len();
        MAX_LINES_PER_SET * (LINE_BYTES + place)
    }

    fn to_set_cookie(&self, now: EpochSeconds) -> String {
        readable_host_cookie(&self.cookie_name(), &self.to_string(), self.expires.since(now))
    }

    fn is_among(&self, permitted: &[(CookieScope, SetDigest)]) -> bool {
        permitted.iter().any(|(scope, digest)| *scope == self.scope && *digest == self.digest)
    }

    fn parse(value: &str) -> Option<Self> {
        if value.len() > MAX_ENTRY_BYTES {
            return None;
        }
        let fields: Vec<&str> = value.split('|').collect();
        let [VERSION, expires, digest, key, domain, path] = fields[..] else { return None };
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
            key: KeyMark::parse(key)?,
            expires: EpochSeconds(expires),
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, digest, key, expires } = self;
        let domain = scope.domain.as_deref().unwrap_or_default();
        write!(f, "{VERSION}|{}|{digest}|{key}|{domain}|{}", expires.0, scope.path)
    }
}

/// The name of the ledger's cookie about the set at a place. A set that is there later takes the name
/// over.
#[must_use]
pub fn ledger_cookie_name(scope: &CookieScope) -> String {
    let domain = scope.domain.as_deref().unwrap_or_default();
    let place: [u8; 4] = first_bytes([domain, scope.path.as_str()]);
    format!("{LEDGER_PREFIX}{:08x}", u32::from_be_bytes(place))
}

fn is_ledger_name(name: &str) -> bool {
    let suffix = name.strip_prefix(LEDGER_PREFIX).unwrap_or_default();
    lower_hex(suffix, 8).is_some()
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
