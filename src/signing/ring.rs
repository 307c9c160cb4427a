//! The key ring: signing keys and their states, exactly one of them active.
//!
//! A ring is a value. Each transition returns a new ring or says why not, and is a pure function of
//! the ring and the time:
//!
//! ```text
//! (nothing) ── stage ──► staged ── promote ──► active ── promote another ──► retiring ── retire ──► retired
//!                           │                    ▲                              │                      ▲
//!                           │                    └────── promote (roll back) ───┘                      │
//!                           └───────────────────────── retire, revoke ─────────────────────────────────┘
//! ```
//!
//! The order is that of the CloudFront Developer Guide, "Rotating key pairs": the old key stays
//! trusted until its last cookie has expired.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::key::KeyPairId;
use crate::clock::EpochSeconds;

/// Retired keys that a ring remembers, for people who look back.
const REMEMBERED: usize = 3;

/// The most keys in a ring. A key group trusts five unless AWS raises its quota.
pub const MAX_KEYS: usize = 12;

/// Where a key stands in its life: staged → active → retiring → retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Trusted at the edge, signs nothing yet.
    Staged,
    /// Signs.
    Active,
    /// Signs nothing, but is trusted until its last cookie has expired.
    Retiring,
    /// Out of the trusted key group, and destroyed.
    Retired,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        })
    }
}

/// One key of a ring: what is known of it in public, and when what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingMember {
    /// The ID that CloudFront gave the public half.
    pub id: KeyPairId,
    /// The fingerprint of the public half.
    pub fingerprint: Fingerprint,
    /// Where the key stands.
    pub state: KeyState,
    /// When the key was made.
    pub created: EpochSeconds,
    /// When it came into the ring, trusted at the edge.
    pub staged: EpochSeconds,
    /// When it last began to sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<EpochSeconds>,
    /// The longest life in seconds, as far as known, that cookies had when it began to sign: rules may
    /// have been shortened since, and what was given before is still out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u64>,
    /// When its last cookie will have expired; known of a retiring key once no instance signs with
    /// it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire_after: Option<EpochSeconds>,
    /// When it left the ring's use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<EpochSeconds>,
}

/// A rotation that was begun and not ended, so that whoever comes next finishes it instead of
/// beginning another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The fingerprint of the new key.
    pub key: Fingerprint,
    /// When it was begun.
    pub begun: EpochSeconds,
    /// The stolen key that the new one takes over from, if this is a revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<KeyPairId>,
}

/// Signing keys and their states. A ring whose keys have never signed has no active one; every other
/// ring has exactly one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRing {
    members: Vec<RingMember>,
    rotation: Option<Rotation>,
}

/// Why keys do not make a ring, or a ring cannot become what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// None or several active keys.
    #[error("exactly one key of a ring is active, here {0} are")]
    ActiveCount(usize),
    /// An ID or a fingerprint that stands twice.
    #[error("the key {0} stands twice in the ring")]
    Duplicate(KeyPairId),
    /// More keys than anyone needs.
    #[error("a ring holds at most {MAX_KEYS} keys; retire some first")]
    Full,
    /// Everybody has the private half.
    #[error(
        "the key {0} is the published one of keys-example/: anyone can sign with it; \
         make a key of your own"
    )]
    Published(String),
    /// No such key.
    #[error("there is no key {0} in the ring; `edgemint keys list` shows those there are")]
    Unknown(String),
    /// A state from which there is no way to the one asked for.
    #[error("the key {id} is {state}: {reason}")]
    NotPossible {
        /// The key.
        id: KeyPairId,
        /// Where it stands.
        state: KeyState,
        /// Why that does not go.
        reason: &'static str,
    },
    /// Somebody may still sign with the key.
    #[error(
        "nobody has confirmed yet that every instance stopped signing with {0}; \
         `edgemint keys rotate` asks them"
    )]
    NotConfirmed(KeyPairId),
    /// Cookies of the key are still out.
    #[error("the last cookie of {id} expires at {until}; retire it then")]
    TooEarly {
        /// The key.
        id: KeyPairId,
        /// When it can be retired.
        until: EpochSeconds,
    },
    /// A revocation has not ended.
    #[error(
        "the revocation of {id}, begun at {begun}, has not ended; finish it: edgemint keys revoke {id}"
    )]
    Revoking {
        /// The stolen key.
        id: KeyPairId,
        /// When.
        begun: EpochSeconds,
    },
    /// Another rotation is under way.
    #[error("a rotation begun at {begun} is under way; `edgemint keys rotate` finishes it")]
    UnderWay {
        /// When.
        begun: EpochSeconds,
    },
}

impl KeyRing {
    /// Assembles a ring from its parts, as a store holds them.
    ///
    /// # Errors
    /// [`RingError`] when a key stands twice, or not exactly one is active although one has signed.
    pub fn new(members: Vec<RingMember>, rotation: Option<Rotation>) -> Result<Self, RingError> {
        if members.len() > MAX_KEYS {
            return Err(RingError::Full);
        }
        for (at, member) in members.iter().enumerate() {
            let same = |other: &RingMember| {
                other.id == member.id || other.fingerprint == member.fingerprint
            };
            if members[..at].iter().any(same) {
                return Err(RingError::Duplicate(member.id.clone()));
            }
        }
        let active = members.iter().filter(|member| member.state == KeyState::Active).count();
        let untouched = members.iter().all(|member| member.promoted.is_none());
        if active == 1 || (active == 0 && untouched) {
            return Ok(Self { members, rotation });
        }
        Err(RingError::ActiveCount(active))
    }

    /// The key that signs, if any ever has.
    #[must_use]
    pub fn active(&self) -> Option<&RingMember> {
        self.members.iter().find(|member| member.state == KeyState::Active)
    }

    /// All keys and their states, the oldest first.
    #[must_use]
    pub fn members(&self) -> &[RingMember] {
        &self.members
    }

    /// The keys in one state.
    pub fn in_state(&self, state: KeyState) -> impl Iterator<Item = &RingMember> {
        self.members.iter().filter(move |member| member.state == state)
    }

    /// The key with an ID.
    #[must_use]
    pub fn member(&self, id: &KeyPairId) -> Option<&RingMember> {
        self.members.iter().find(|member| member.id == *id)
    }

    /// The key with a fingerprint.
    #[must_use]
    pub fn with_fingerprint(&self, fingerprint: &Fingerprint) -> Option<&RingMember> {
        self.members.iter().find(|member| member.fingerprint == *fingerprint)
    }

    /// The rotation that is under way.
    #[must_use]
    pub const fn rotation(&self) -> Option<&Rotation> {
        self.rotation.as_ref()
    }

    /// Notes that a rotation to a new key begins, before anything is done for it.
    ///
    /// # Errors
    /// [`RingError::UnderWay`] when another one has not ended.
    pub fn begin(&self, key: &Fingerprint, now: EpochSeconds) -> Result<Self, RingError> {
        if let Some(rotation) = &self.rotation {
            return Err(RingError::UnderWay { begun: rotation.begun });
        }
        Ok(self.with_rotation(Some(Rotation { key: key.clone(), begun: now, replaces: None })))
    }

    /// Notes that a new key is to take over from a stolen one, whatever was under way.
    #[must_use]
    pub fn begin_to_replace(
        &self,
        stolen: &KeyPairId,
        key: &Fingerprint,
        now: EpochSeconds,
    ) -> Self {
        let replaces = Some(stolen.clone());
        self.with_rotation(Some(Rotation { key: key.clone(), begun: now, replaces }))
    }

    /// Lets a rotation whose new key is lost go on with another.
    #[must_use]
    pub fn begin_again(&self, key: &Fingerprint, now: EpochSeconds) -> Self {
        let begun = self.rotation.as_ref().map_or(now, |rotation| rotation.begun);
        self.with_rotation(Some(Rotation { key: key.clone(), begun, replaces: None }))
    }

    /// Notes that no rotation is under way.
    #[must_use]
    pub fn end(&self) -> Self {
        self.with_rotation(None)
    }

    /// Adds a key that the edge trusts. One that is staged already gets the new ID: a person may
    /// have brought the wrong one.
    ///
    /// # Errors
    /// [`RingError`] when it is there already, or there are too many.
    pub fn stage(
        &self,
        id: &KeyPairId,
        fingerprint: &Fingerprint,
        created: EpochSeconds,
        now: EpochSeconds,
    ) -> Result<Self, RingError> {
        let mut members = self.members.clone();
        let again = |member: &RingMember| {
            member.state == KeyState::Staged && member.fingerprint == *fingerprint
        };
        members.retain(|member| !again(member));
        members.push(RingMember {
            id: id.clone(),
            fingerprint: fingerprint.clone(),
            state: KeyState::Staged,
            created,
            staged: now,
            promoted: None,
            lifetime: None,
            retire_after: None,
            retired: None,
        });
        Self::new(members, self.rotation.clone())
    }

    /// Lets a staged key sign, or a retiring one again (a rollback); the active one begins to retire.
    ///
    /// # Errors
    /// [`RingError`] when there is no such key, or it signs already, or never can again.
    pub fn promote(&self, id: &KeyPairId, now: EpochSeconds) -> Result<Self, RingError> {
        let promoted = self.find(id)?;
        match promoted.state {
            KeyState::Staged | KeyState::Retiring => {}
            KeyState::Active => return Err(not_possible(promoted, "it signs already")),
            KeyState::Retired => return Err(not_possible(promoted, "it will never sign again")),
        }
        let of_rotation = |rotation: &Rotation| rotation.key == promoted.fingerprint;
        let rotation = self.rotation.clone().filter(of_rotation);
        let mut members = self.members.clone();
        for member in &mut members {
            if member.id == *id {
                member.state = KeyState::Active;
                member.promoted = Some(now);
                member.retire_after = None;
            } else if member.state == KeyState::Active {
                member.state = KeyState::Retiring;
                member.retire_after = None;
            }
        }
        Self::new(members, rotation)
    }

    /// Notes how long the cookies live that the active key signs.
    #[must_use]
    pub fn with_lifetime(&self, seconds: u64) -> Self {
        let mut ring = self.clone();
        for member in ring.members.iter_mut().filter(|member| member.state == KeyState::Active) {
            member.lifetime = member.lifetime.max(Some(seconds));
        }
        ring
    }

    /// Notes that since `since` nobody signs with any key but the active one: the others' last
    /// cookies, which live for `lifetime` seconds or what is noted of their key, expire that much
    /// later by clocks that differ by `skew` seconds.
    #[must_use]
    pub fn confirm(&self, since: EpochSeconds, lifetime: u64, skew: u64) -> Self {
        let mut ring = self.clone();
        for member in &mut ring.members {
            if member.state == KeyState::Retiring && member.retire_after.is_none() {
                let lifetime = lifetime.max(member.lifetime.unwrap_or(0));
                member.retire_after = Some(since.plus(lifetime).plus(skew));
            }
        }
        ring
    }

    /// The retiring keys that somebody may still sign with.
    pub fn unconfirmed(&self) -> impl Iterator<Item = &RingMember> {
        self.in_state(KeyState::Retiring).filter(|member| member.retire_after.is_none())
    }

    /// The retiring keys whose last cookie has expired.
    pub fn due(&self, now: EpochSeconds) -> impl Iterator<Item = &RingMember> {
        self.in_state(KeyState::Retiring)
            .filter(move |member| member.retire_after.is_some_and(|after| after <= now))
    }

    /// Checks that a key may be retired now: nothing that it signed is still good.
    ///
    /// # Errors
    /// [`RingError`] says until when to wait, or for whom.
    pub fn check_retire(&self, id: &KeyPairId, now: EpochSeconds) -> Result<(), RingError> {
        let member = self.find(id)?;
        match (member.state, member.retire_after) {
            (KeyState::Active, _) => Err(not_possible(
                member,
                "promote another one first, or if it was stolen: edgemint keys revoke",
            )),
            (KeyState::Retired, _) => Err(not_possible(member, "there is nothing left to do")),
            (KeyState::Retiring, None) => Err(RingError::NotConfirmed(id.clone())),
            (KeyState::Retiring, Some(until)) if until > now => {
                Err(RingError::TooEarly { id: id.clone(), until })
            }
            (KeyState::Staged | KeyState::Retiring, _) => Ok(()),
        }
    }

    /// Notes that a key is out of use.
    ///
    /// # Errors
    /// As [`Self::check_retire`].
    pub fn retire(&self, id: &KeyPairId, now: EpochSeconds) -> Result<Self, RingError> {
        self.check_retire(id, now)?;
        Ok(self.without(id, now))
    }

    /// Takes a stolen key out of use, whatever is still good of it. An active one needs a
    /// replacement that is staged, and that becomes active.
    ///
    /// # Errors
    /// [`RingError`] when there is no such key, no replacement, or nothing left to revoke.
    pub fn revoke(
        &self,
        id: &KeyPairId,
        replacement: Option<&KeyPairId>,
        now: EpochSeconds,
    ) -> Result<Self, RingError> {
        let member = self.find(id)?;
        match (member.state, replacement) {
            (KeyState::Retired, _) => Err(not_possible(member, "there is nothing left to revoke")),
            (KeyState::Active, None) => Err(not_possible(member, "another one must take over")),
            (KeyState::Active, Some(other)) => Ok(self.promote(other, now)?.without(id, now)),
            _ => Ok(self.without(id, now)),
        }
    }

    fn without(&self, id: &KeyPairId, now: EpochSeconds) -> Self {
        let mut ring = self.clone();
        for member in ring.members.iter_mut().filter(|member| member.id == *id) {
            member.state = KeyState::Retired;
            member.retired = Some(now);
        }
        if ring.rotation.as_ref().is_some_and(|rotation| {
            ring.with_fingerprint(&rotation.key).is_some_and(|key| key.id == *id)
        }) {
            ring.rotation = None;
        }
        let remembered = ring.in_state(KeyState::Retired).count();
        let mut forgotten = remembered.saturating_sub(REMEMBERED);
        ring.members.retain(|member| {
            let forget = member.state == KeyState::Retired && forgotten > 0;
            forgotten -= usize::from(forget);
            !forget
        });
        ring
    }

    fn with_rotation(&self, rotation: Option<Rotation>) -> Self {
        Self { members: self.members.clone(), rotation }
    }

    fn find(&self, id: &KeyPairId) -> Result<&RingMember, RingError> {
        self.member(id).ok_or_else(|| RingError::Unknown(id.to_string()))
    }
}

fn not_possible(member: &RingMember, reason: &'static str) -> RingError {
    RingError::NotPossible { id: member.id.clone(), state: member.state, reason }
}

#[cfg(test)]
mod tests;
