//! Handoff tokens: what carries a person's identity from the viewer's host to a data host.
//!
//! A token is sealed for one data host and one purpose, is good for a minute, and may be handed over by
//! pages of one origin only. One that names a person works only in the browser that it was given to:
//! beside it goes a cookie for the domain that both hosts share, which no script reads, and without that
//! the token opens nothing. So a script that carries a token elsewhere carries nothing.
//!
//! A token may be used more than once within its minute: in the browser that it was made for, by the
//! person whose cookies that browser has anyway. Signing out removes the cookies beside all tokens, so that
//! none of before opens anything after.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::attributes::{expired_handoff_mark, handoff_mark};
use super::login::Sealing;
use super::sealed::Nonce;
use crate::clock::EpochSeconds;
use crate::identity::{CLOCK_SKEW_SECONDS, Email, Front, Identity, Subject};

/// Seconds that a token is good for.
pub const HANDOFF_LIFETIME: u64 = 60;

/// What tokens are sealed for, besides the host. No cookie has this name.
const PURPOSE: &str = "edgemint handoff token";

const MARK_PREFIX: &str = "__Secure-edgemint-handoff-";

/// Hexadecimal digits behind the prefix.
const MARK_DIGITS: usize = 8;

/// The most marks that are removed at once. A browser gets a few within the minute that they live; others may
/// plant more, and all lines have to fit into an answer.
const MOST_REMOVED: usize = 32;

/// The path that marks are sent to: that of the handoff, and nothing else.
const MARK_PATH: &str = "/session/handoff";

/// What is handed to a data host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// The site's URL at which the person is signed in.
    pub from: String,
    /// The origin whose pages may hand it over.
    pub origin: String,
    /// When it was made.
    pub made: EpochSeconds,
    /// What is to be done.
    pub errand: Errand,
}

/// What a data host is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Set the cookies of a person.
    Issue {
        /// The person.
        identity: Box<Identity>,
        /// The one URL that cookies are for, if only one set is wanted.
        wanted: Option<String>,
        /// What the browser must show.
        mark: Mark,
    },
    /// Remove every set that the browser holds there: nothing of that host is open to the person.
    Clear,
    /// The same, and remove what other tokens need that this browser was given before.
    SignOut,
}

/// Random text that a browser holds beside a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(String);

/// Why a token is refused. Never holds a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoffError {
    /// Not sealed for this host and purpose by any of the keys, or not whole.
    #[error("the handoff token cannot be opened here")]
    Unreadable,
    /// Older than a minute.
    #[error("the handoff token has expired")]
    Expired,
    /// Made later than now.
    #[error("the handoff token is from the future")]
    Future,
    /// What vouched for the person has ended since.
    #[error("the identity in the handoff token has expired")]
    IdentityExpired,
}

/// As it is sealed.
#[derive(Serialize, Deserialize)]
struct Content {
    from: String,
    origin: String,
    made: EpochSeconds,
    person: Option<Person>,
    signed_out: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    front: Front,
    issuer: String,
    subject: String,
    email: Option<String>,
    email_verified: bool,
    groups: Vec<String>,
    expires: EpochSeconds,
    wanted: Option<String>,
    mark: Mark,
}

impl Handoff {
    /// Seals a token for the host of `sealing`. `None` if the identity is too large for any token.
    #[must_use]
    pub fn seal(&self, sealing: Sealing<'_>, nonce: Nonce) -> Option<String> {
        let person = match &self.errand {
            Errand::Clear | Errand::SignOut => None,
            Errand::Issue { identity, wanted, mark } => {
                Some(Person::of(identity, self.made, wanted.clone(), mark.clone()))
            }
        };
        let (from, origin) = (self.from.clone(), self.origin.clone());
        let signed_out = self.errand == Errand::SignOut;
        let content = Content { from, origin, made: self.made, person, signed_out };
        let token = sealing.seal(PURPOSE, content, nonce)?;
        (token.len() <= super::sealed::MAX_SEALED).then_some(token)
    }

    /// Opens a token that was sealed for the host of `sealing`.
    ///
    /// # Errors
    /// [`HandoffError`] says why it is refused.
    pub fn open(
        sealing: Sealing<'_>,
        token: &str,
        now: EpochSeconds,
    ) -> Result<Self, HandoffError> {
        let content: Content = sealing.open(PURPOSE, token).ok_or(HandoffError::Unreadable)?;
        let Content { from, origin, made, person, signed_out } = content;
        if made > now.plus(CLOCK_SKEW_SECONDS) {
            return Err(HandoffError::Future);
        }
        if now >= made.plus(HANDOFF_LIFETIME) {
            return Err(HandoffError::Expired);
        }
        let errand = match (person, signed_out) {
            (None, false) => Errand::Clear,
            (None, true) => Errand::SignOut,
            (Some(person), false) => person.errand().ok_or(HandoffError::Unreadable)?,
            (Some(_), true) => return Err(HandoffError::Unreadable),
        };
        match &errand {
            Errand::Issue { identity, .. } if identity.expires <= now => {
                Err(HandoffError::IdentityExpired)
            }
            _ => Ok(Self { from, origin, made, errand }),
        }
    }
}

impl Person {
    /// Whoever is vouched for by each request anew, or was within the difference of two clocks, is so for the
    /// token's own minute.
    fn of(identity: &Identity, made: EpochSeconds, wanted: Option<String>, mark: Mark) -> Self {
        let email = identity.email.as_ref();
        let is_over = identity.expires <= made;
        let expires = if is_over { made.plus(HANDOFF_LIFETIME) } else { identity.expires };
        Self {
            front: identity.front,
            issuer: identity.issuer.clone(),
            subject: identity.subject.as_str().to_owned(),
            email: email.map(|email| email.address().to_owned()),
            email_verified: email.is_some_and(|email| email.verified),
            groups: identity.groups.iter().cloned().collect(),
            expires,
            wanted,
            mark,
        }
    }

    /// Reads everything once more: who has the keys that seal may still be wrong.
    fn errand(self) -> Option<Errand> {
        let email = match self.email {
            Some(address) => Some(Email::parse(&address, self.email_verified)?),
            None => None,
        };
        let identity = Identity {
            front: self.front,
            issuer: self.issuer,
            subject: Subject::parse(&self.subject).ok()?,
            email,
            groups: self.groups.into_iter().collect(),
            expires: self.expires,
        };
        let (identity, wanted) = (Box::new(identity), self.wanted);
        Some(Errand::Issue { identity, wanted, mark: self.mark })
    }
}

impl Mark {
    /// A mark of random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// The cookie that gives it to a browser, for every host under a domain.
    #[must_use]
    pub fn line(&self, domain: &str) -> String {
        handoff_mark(&self.name(), &self.0, domain, MARK_PATH, HANDOFF_LIFETIME)
    }

    /// Whether a browser shows it.
    #[must_use]
    pub fn is_among<'a>(&self, cookies: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        let (name, digest) = (self.name(), Sha256::digest(&self.0));
        // Digests are compared, so that the time it takes says nothing of the text.
        cookies.filter(|(held, _)| *held == name).any(|(_, text)| Sha256::digest(text) == digest)
    }

    /// The cookies that remove every mark that a browser shows. Nothing of a cookie comes back but a name
    /// that is a mark's.
    #[must_use]
    pub fn removal<'a>(
        cookies: impl Iterator<Item = (&'a str, &'a str)>,
        domain: &str,
    ) -> Vec<String> {
        let names: BTreeSet<&str> =
            cookies.map(|(name, _)| name).filter(|name| is_mark(name)).collect();
        let line = |name: &&str| expired_handoff_mark(name, domain, MARK_PATH);
        names.iter().take(MOST_REMOVED).map(line).collect()
    }

    /// A name for each, so that tabs that ask at once do not take each other's.
    fn name(&self) -> String {
        let digest = Sha256::digest(&self.0);
        let start = digest.first_chunk().copied().unwrap_or_default();
        format!("{MARK_PREFIX}{:0MARK_DIGITS$x}", u32::from_be_bytes(start))
    }
}

fn is_mark(name: &str) -> bool {
    name.strip_prefix(MARK_PREFIX).is_some_and(|digits| {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        digits.len() == MARK_DIGITS && digits.bytes().all(is_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::super::sealed::{CookieKey, CookieKeys, KEY_BYTES};
    use super::*;

    const NOW: EpochSeconds = EpochSeconds(1_767_290_400);
    const HOST: &str = "data-b.example.org";

    fn keys(byte: u8) -> CookieKeys {
        CookieKeys::new(vec![CookieKey::new([byte; KEY_BYTES])]).unwrap()
    }

    fn handoff(front: Front) -> Handoff {
        let identity = Identity {
            front,
            issuer: "https://idp.example.org".to_owned(),
            subject: Subject::parse("ada").unwrap(),
            email: Email::parse("ada@example.org", true),
            groups: ["lab-a".to_owned(), "lab \"b\"".to_owned()].into(),
            expires: NOW.plus(120),
        };
        Handoff {
            from: "https://viewer.example.org".to_owned(),
            origin: "https://viewer.example.org".to_owned(),
            made: NOW,
            errand: Errand::Issue {
                identity: Box::new(identity),
                wanted: Some("https://data-b.example.org/a/x".to_owned()),
                mark: Mark::new([7; 16]),
            },
        }
    }

    fn sealed(handoff: &Handoff) -> String {
        handoff.seal(Sealing { keys: &keys(1), host: HOST }, [9; 12]).unwrap()
    }

    fn open(token: &str, host: &str, at: EpochSeconds) -> Result<Handoff, HandoffError> {
        Handoff::open(Sealing { keys: &keys(1), host }, token, at)
    }

    #[test]
    fn whoever_each_request_is_vouched_for_anew_is_so_for_the_tokens_minute() {
        let mut handoff = handoff(Front::InsecureProxy);
        let Errand::Issue { identity, .. } = &mut handoff.errand else { panic!("{handoff:?}") };
        identity.expires = NOW;
        let keys = keys(1);
        let sealing = Sealing { keys: &keys, host: HOST };
        let token = handoff.seal(sealing, Nonce::default()).unwrap();
        assert!(Handoff::open(sealing, &token, NOW.plus(HANDOFF_LIFETIME - 1)).is_ok());
        let late = Handoff::open(sealing, &token, NOW.plus(HANDOFF_LIFETIME));
        assert_eq!(late, Err(HandoffError::Expired));
    }

    #[test]
    fn a_token_says_at_its_host_what_was_sealed_whoever_vouched() {
        for front in [
            Front::Alb,
            Front::VerifiedAccess,
            Front::CloudflareAccess,
            Front::GoogleIap,
            Front::Pomerium,
            Front::Bearer,
            Front::Login,
            Front::InsecureProxy,
        ] {
            let handoff = handoff(front);
            assert_eq!(open(&sealed(&handoff), HOST, NOW).as_ref(), Ok(&handoff));
        }
        for errand in [Errand::Clear, Errand::SignOut] {
            let clear = Handoff { errand, ..handoff(Front::Alb) };
            assert_eq!(open(&sealed(&clear), HOST, NOW).as_ref(), Ok(&clear));
        }
    }

    #[test]
    fn a_token_is_nothing_at_another_host_or_to_other_keys() {
        let token = sealed(&handoff(Front::Alb));
        for host in ["data.example.org", "viewer.example.org", "data-b.example.org:444"] {
            assert_eq!(open(&token, host, NOW), Err(HandoffError::Unreadable), "{host}");
        }
        let other = Sealing { keys: &keys(2), host: HOST };
        assert_eq!(Handoff::open(other, &token, NOW), Err(HandoffError::Unreadable));
    }

    #[test]
    fn a_token_is_good_for_a_minute_and_not_before_it_was_made() {
        let token = sealed(&handoff(Front::Alb));
        assert!(open(&token, HOST, NOW.plus(59)).is_ok());
        assert_eq!(open(&token, HOST, NOW.plus(60)), Err(HandoffError::Expired));
        assert!(open(&token, HOST, EpochSeconds(NOW.0 - 30)).is_ok());
        assert_eq!(open(&token, HOST, EpochSeconds(NOW.0 - 31)), Err(HandoffError::Future));
        let endless = Handoff { made: EpochSeconds(u64::MAX), ..handoff(Front::Alb) };
        assert_eq!(open(&sealed(&endless), HOST, NOW), Err(HandoffError::Future));
    }

    #[test]
    fn an_identity_that_ended_on_the_way_is_none() {
        let mut handoff = handoff(Front::Alb);
        let Errand::Issue { identity, .. } = &mut handoff.errand else { unreachable!() };
        identity.expires = NOW.plus(5);
        let token = sealed(&handoff);
        assert!(open(&token, HOST, NOW.plus(4)).is_ok());
        assert_eq!(open(&token, HOST, NOW.plus(5)), Err(HandoffError::IdentityExpired));
    }

    #[test]
    fn every_changed_byte_is_noticed_and_nothing_of_the_person_can_be_read() {
        let token = sealed(&handoff(Front::Alb));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(open(&changed, HOST, NOW).is_err(), "character {at}");
        }
        assert!(!token.contains("ada"));
    }

    #[test]
    fn an_identity_beyond_the_longest_token_has_none() {
        let mut handoff = handoff(Front::Alb);
        let Errand::Issue { identity, .. } = &mut handoff.errand else { unreachable!() };
        identity.groups = (0..1000).map(|number| format!("group-number-{number}")).collect();
        assert!(handoff.seal(Sealing { keys: &keys(1), host: HOST }, [9; 12]).is_none());
    }

    #[test]
    fn a_mark_is_shown_under_its_own_name_whole_or_not_at_all() {
        let mark = Mark::new([7; 16]);
        let line = mark.line("example.org");
        let (pair, attributes) = line.split_once("; ").unwrap();
        assert_eq!(
            attributes,
            "HttpOnly; SameSite=Strict; Secure; Path=/session/handoff; Domain=example.org; Max-Age=60"
        );
        let (name, text) = pair.split_once('=').unwrap();
        let shows = |name, text| mark.is_among([("a", "b"), (name, text)].into_iter());
        assert!(shows(name, text));
        assert!(!shows(name, "") && !shows(name, &text[1..]) && !shows("other", text));
        assert_ne!(Mark::new([8; 16]).name(), mark.name());
    }

    #[test]
    fn every_mark_is_removed_and_nothing_else_is_named() {
        let (one, two) = (Mark::new([7; 16]), Mark::new([8; 16]));
        let (one, two) = (one.name(), two.name());
        let upper = one.to_uppercase();
        let held = [
            (one.as_str(), "x"),
            (one.as_str(), "planted"),
            ("CloudFront-Policy", "p"),
            ("__Secure-edgemint-handoff-", "x"),
            ("__Secure-edgemint-handoff-0123456g", "x"),
            ("__Secure-edgemint-handoff-012345678", "x"),
            (upper.as_str(), "x"),
            (two.as_str(), ""),
        ];
        let lines = Mark::removal(held.into_iter(), "example.org");
        let expected = |name: &str| {
            format!(
                "{name}=; HttpOnly; SameSite=Strict; Secure; Path=/session/handoff; \
                 Domain=example.org; Max-Age=0"
            )
        };
        let mut all = [expected(&one), expected(&two)];
        all.sort();
        assert_eq!(lines, all);
        let many: Vec<String> =
            (0..1000).map(|number| format!("{MARK_PREFIX}{number:08x}")).collect();
        let many = many.iter().map(|name| (name.as_str(), ""));
        assert_eq!(Mark::removal(many, "example.org").len(), MOST_REMOVED);
    }
}
