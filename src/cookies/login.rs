//! What our own sign-in keeps in a browser: the login session, and attempts to sign in.
//!
//! Both are sealed, so that any replica with the same keys can answer, and none has to remember.
//!
//! | cookie | holds | lives |
//! |---|---|---|
//! | `__Host-edgemint-login-0` to `-3` | the login session | as long as the session |
//! | `__Host-edgemint-attempt-<mark>-0`, `-1` | one attempt; the mark is a hash of its `state` | 10 minutes |
//!
//! A cookie that has expired or cannot be opened is absence. What it says is judged against the
//! configuration of the present, so that a shorter lifetime holds at once.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::sealed::{CookieKeys, Nonce, Place, open, seal};
use super::shards::{Sharded, TooLarge};
use crate::clock::EpochSeconds;
use crate::secret::Secret;

/// Seconds that an attempt to sign in may take.
pub const ATTEMPT_LIFETIME: u64 = 600;

/// Attempts that a browser holds at once, one in each of several tabs; the oldest is given up.
pub const MAX_ATTEMPTS: usize = 5;

const LOGIN: Sharded<'static> = Sharded { name: "__Host-edgemint-login", most: 4 };
const ATTEMPT_PREFIX: &str = "__Host-edgemint-attempt-";
const ATTEMPT_SHARDS: usize = 2;

/// The most cookies of attempts that are looked at.
const MAX_READ: usize = 32;

const VERSION: u8 = 1;

/// Somebody who signed in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginSession {
    /// The name of the provider in the configuration.
    pub provider: String,
    /// The provider's issuer, exactly.
    pub issuer: String,
    /// The client that the person signed in to.
    pub client: String,
    /// The provider's name for the person.
    pub subject: String,
    /// The e-mail address, if the provider gives one.
    pub email: Option<String>,
    /// Whether the provider says that it belongs to the person.
    pub email_verified: bool,
    /// Groups.
    pub groups: Vec<String>,
    /// When the person signed in.
    pub signed_in: EpochSeconds,
    /// When the provider last vouched for the person.
    pub checked: EpochSeconds,
    /// The ID token, for the provider's sign-out.
    pub id_token: Secret,
    /// What the provider is asked with whether the person may still come in.
    pub refresh_token: Option<Secret>,
}

/// An attempt to sign in, under way at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// What the provider's answer must repeat.
    pub state: Secret,
    /// The name of the provider in the configuration.
    pub provider: String,
    /// The provider's issuer when the attempt began.
    pub issuer: String,
    /// What the ID token must repeat.
    pub nonce: Secret,
    /// The PKCE verifier (RFC 7636).
    pub verifier: Secret,
    /// Where to go on to.
    pub return_to: String,
    /// When it began.
    pub made: EpochSeconds,
}

/// What a browser holds of a login session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// Something that cannot be opened, to be removed.
    Unreadable,
    /// A session, not judged yet.
    Session(Box<LoginSession>),
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u8,
    #[serde(flatten)]
    content: T,
}

/// Where cookies are sealed for, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Sealing<'a> {
    /// The keys.
    pub keys: &'a CookieKeys,
    /// The host that gets the cookies back.
    pub host: &'a str,
}

impl Sealing<'_> {
    pub(super) fn seal<T: Serialize>(self, name: &str, content: T, nonce: Nonce) -> Option<String> {
        let text =
            serde_json::to_vec(&Versioned { v: VERSION, content }).ok().map(Zeroizing::new)?;
        seal(self.keys, Place { name, host: self.host }, &text, nonce)
    }

    pub(super) fn open<T: for<'de> Deserialize<'de>>(self, name: &str, sealed: &str) -> Option<T> {
        let text = open(self.keys, Place { name, host: self.host }, sealed)?;
        let read: Versioned<T> = serde_json::from_slice(&text).ok()?;
        (read.v == VERSION).then_some(read.content)
    }
}

impl LoginSession {
    /// Reads the session among a request's cookies.
    #[must_use]
    pub fn read(sealing: Sealing<'_>, held: &[(&str, &str)]) -> Held {
        let Some(sealed) = LOGIN.join(held) else {
            let leftover = !LOGIN.removal(held).is_empty();
            return if leftover { Held::Unreadable } else { Held::Nothing };
        };
        match sealing.open(LOGIN.name, &sealed) {
            Some(session) => Held::Session(Box::new(session)),
            None => Held::Unreadable,
        }
    }

    /// Returns the `Set-Cookie` lines that give a browser this session for `max_age` seconds, and remove
    /// what it holds of another.
    ///
    /// # Errors
    /// [`TooLarge`] when the session does not fit into four cookies.
    pub fn lines(
        &self,
        sealing: Sealing<'_>,
        nonce: Nonce,
        max_age: u64,
        held: &[(&str, &str)],
    ) -> Result<Vec<String>, TooLarge> {
        let sealed = sealing.seal(LOGIN.name, self, nonce).unwrap_or_default();
        LOGIN.lines(&sealed, max_age, held)
    }

    /// Returns the `Set-Cookie` lines that remove what a browser holds of a session.
    #[must_use]
    pub fn removal(held: &[(&str, &str)]) -> Vec<String> {
        LOGIN.removal(held)
    }
}

impl Attempt {
    /// Finds the attempt that an answer's `state` belongs to, if this browser began it and it has not
    /// expired.
    #[must_use]
    pub fn find(
        sealing: Sealing<'_>,
        state: &str,
        held: &[(&str, &str)],
        now: EpochSeconds,
    ) -> Option<Self> {
        let attempt = Self::open(sealing, &mark(state), held)?;
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(
            attempt.state.expose().as_bytes(),
            state.as_bytes(),
        );
        (same.is_ok() && attempt.is_alive(now)).then_some(attempt)
    }

    /// Returns the `Set-Cookie` lines that add this attempt to a browser's, and remove those that have
    /// ended or are too many.
    ///
    /// # Errors
    /// [`TooLarge`] when it does not fit into two cookies.
    pub fn lines(
        &self,
        sealing: Sealing<'_>,
        nonce: Nonce,
        held: &[(&str, &str)],
    ) -> Result<Vec<String>, TooLarge> {
        let mut others: Vec<(EpochSeconds, String)> = marks(held)
            .into_iter()
            .map(|mark| {
                let alive =
                    Self::open(sealing, &mark, held).filter(|attempt| attempt.is_alive(self.made));
                (alive.map_or(EpochSeconds(0), |attempt| attempt.made), mark)
            })
            .collect();
        others.sort();
        let ended = others.iter().filter(|(made, _)| made.0 == 0).count();
        let surplus = others.len().saturating_sub(MAX_ATTEMPTS - 1).max(ended);
        let mut lines = Vec::new();
        for (_, mark) in others.iter().take(surplus) {
            let name = cookie_name(mark);
            lines.extend(sharded(&name).removal(held));
        }
        let name = cookie_name(&mark(self.state.expose()));
        let sealed = sealing.seal(&name, self, nonce).unwrap_or_default();
        lines.extend(sharded(&name).lines(&sealed, ATTEMPT_LIFETIME, &[])?);
        Ok(lines)
    }

    /// Returns the `Set-Cookie` lines that remove the attempt of a `state`.
    #[must_use]
    pub fn removal(state: &str, held: &[(&str, &str)]) -> Vec<String> {
        sharded(&cookie_name(&mark(state))).removal(held)
    }

    /// Returns the `Set-Cookie` lines that remove all attempts.
    #[must_use]
    pub fn removal_of_all(held: &[(&str, &str)]) -> Vec<String> {
        let names = marks(held).into_iter().map(|mark| cookie_name(&mark));
        names.flat_map(|name| sharded(&name).removal(held)).collect()
    }

    fn open(sealing: Sealing<'_>, mark: &str, held: &[(&str, &str)]) -> Option<Self> {
        let name = cookie_name(mark);
        sealing.open(&name, &sharded(&name).join(held)?)
    }

    fn is_alive(&self, now: EpochSeconds) -> bool {
        now.since(self.made) < ATTEMPT_LIFETIME
    }
}

/// Enough of a hash of a `state` to tell attempts apart.
fn mark(state: &str) -> String {
    let digest = Sha256::digest(state.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    format!("{:016x}", u64::from_be_bytes(first))
}

fn cookie_name(mark: &str) -> String {
    format!("{ATTEMPT_PREFIX}{mark}")
}

fn sharded(name: &str) -> Sharded<'_> {
    Sharded { name, most: ATTEMPT_SHARDS }
}

/// The marks of all attempts among the cookies.
fn marks(held: &[(&str, &str)]) -> Vec<String> {
    let is_mark = |mark: &str| mark.len() == 16 && mark.bytes().all(|b| b.is_ascii_hexdigit());
    let mut marks: Vec<String> = held
        .iter()
        .filter_map(|(name, _)| name.strip_prefix(ATTEMPT_PREFIX)?.rsplit_once('-'))
        .map(|(mark, _)| mark.to_owned())
        .filter(|mark| is_mark(mark))
        .take(MAX_READ)
        .collect();
    marks.sort();
    marks.dedup();
    marks
}

#[cfg(test)]
mod tests;
