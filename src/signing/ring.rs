//! The key ring: signing keys and their states, exactly one of them active.

use std::fmt;
use std::str::FromStr;

use super::key::{KeyPairId, SigningKey};

/// Where a key stands in its life: staged → active → retiring → retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Known at the edge, signs nothing yet.
    Staged,
    /// Signs.
    Active,
    /// Signs nothing, but is trusted until its last cookie has expired.
    Retiring,
    /// Out of the trusted key group.
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

impl FromStr for KeyState {
    type Err = RingError;

    fn from_str(text: &str) -> Result<Self, RingError> {
        [Self::Staged, Self::Active, Self::Retiring, Self::Retired]
            .into_iter()
            .find(|state| state.to_string() == text)
            .ok_or_else(|| RingError::UnknownState(text.to_owned()))
    }
}

/// One key of a ring. Only the active one needs its private half at hand.
#[derive(Clone, Debug)]
pub struct RingMember {
    /// The ID that CloudFront gave the public half.
    pub id: KeyPairId,
    /// Where the key stands.
    pub state: KeyState,
}

/// Signing keys and their states.
#[derive(Clone, Debug)]
pub struct KeyRing {
    active: SigningKey,
    members: Vec<RingMember>,
}

/// Why keys do not make a ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// A state that is none of the four.
    #[error("{0:?} is no state of a key; there are staged, active, retiring and retired")]
    UnknownState(String),
    /// None or several active keys.
    #[error("exactly one key of a ring is active, here {0} are")]
    ActiveCount(usize),
    /// An ID that stands twice.
    #[error("the key {0} stands twice in the ring")]
    Duplicate(KeyPairId),
    /// Everybody has the private half.
    #[error(
        "the key {0} is the published one of keys-example/: anyone can sign with it; \
         make a key of your own"
    )]
    Published(KeyPairId),
}

impl KeyRing {
    /// Returns the ID of the one active member.
    ///
    /// # Errors
    /// [`RingError`] when a member stands twice or not exactly one is active.
    pub fn active_id(members: &[RingMember]) -> Result<&KeyPairId, RingError> {
        for (at, member) in members.iter().enumerate() {
            if members[..at].iter().any(|earlier| earlier.id == member.id) {
                return Err(RingError::Duplicate(member.id.clone()));
            }
        }
        let mut active = members.iter().filter(|member| member.state == KeyState::Active);
        match (active.next(), active.count()) {
            (Some(member), 0) => Ok(&member.id),
            (first, rest) => Err(RingError::ActiveCount(rest + usize::from(first.is_some()))),
        }
    }

    /// Assembles a ring around the private half of its active key.
    ///
    /// # Errors
    /// [`RingError`] when the members make no ring, `active` is not its active member, or everybody
    /// has the key.
    pub fn new(members: Vec<RingMember>, active: SigningKey) -> Result<Self, RingError> {
        if *Self::active_id(&members)? != active.id {
            return Err(RingError::ActiveCount(0));
        }
        if active.key.public().is_published() {
            return Err(RingError::Published(active.id));
        }
        Ok(Self { active, members })
    }

    /// The key that signs.
    #[must_use]
    pub const fn active(&self) -> &SigningKey {
        &self.active
    }

    /// All keys and their states.
    #[must_use]
    pub fn members(&self) -> &[RingMember] {
        &self.members
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::PrivateKey;
    use super::*;

    fn member(id: &str, state: KeyState) -> RingMember {
        RingMember { id: id.parse().unwrap(), state }
    }

    #[test]
    fn exactly_one_member_is_active() {
        use KeyState::{Active, Retiring, Staged};
        let members = [member("K1", Staged), member("K2", Active), member("K3", Retiring)];
        assert_eq!(KeyRing::active_id(&members).unwrap().to_string(), "K2");
        assert_eq!(KeyRing::active_id(&[]), Err(RingError::ActiveCount(0)));
        let two = [member("K1", Active), member("K2", Active)];
        assert_eq!(KeyRing::active_id(&two), Err(RingError::ActiveCount(2)));
        let twice = [member("K1", Active), member("K1", Staged)];
        assert!(matches!(KeyRing::active_id(&twice), Err(RingError::Duplicate(_))));
    }

    #[test]
    fn the_published_keys_never_make_a_ring() {
        for pem in [
            include_str!("../../keys-example/rsa-2048.private.pem"),
            include_str!("../../keys-example/p-256.private.pem"),
        ] {
            let key = Arc::new(PrivateKey::from_pem(pem).unwrap());
            let active = SigningKey { id: "K1".parse().unwrap(), key };
            let ring = KeyRing::new(vec![member("K1", KeyState::Active)], active);
            assert!(matches!(ring, Err(RingError::Published(_))));
        }
    }
}
