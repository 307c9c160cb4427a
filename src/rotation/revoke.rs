//! A stolen key leaves at once, and another one takes over.

use super::make::NewKey;
use super::retire::ids_of;
use super::rotate::{Outcome, outcome};
use super::{Admin, Edge, Named, RotationError};
use crate::keystore::{KeystoreError, Stored};
use crate::signing::{KeyKind, KeyPairId, KeyState, RingMember, SigningKey};

/// How often a revocation is tried against others who change the ring at the same time.
const MOST_ATTEMPTS: usize = 5;

/// What a revocation will do, told before it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The key.
    pub id: KeyPairId,
    /// Where it stands.
    pub state: KeyState,
    /// For how many minutes cookies of this key would still have worked.
    pub minutes: u64,
}

impl Admin<'_> {
    /// Says what revoking a key would do.
    ///
    /// # Errors
    /// [`RotationError`] when there is no such key in the ring.
    pub async fn damage(&mut self, name: &str) -> Result<Damage, RotationError> {
        let stored = self.site.store.read().await?;
        let Named::Member(id) = self.named(&stored.ring, name).await? else {
            return Err(RotationError::InNoRing(name.to_owned()));
        };
        let member = stored.ring.member(&id).cloned();
        let member = member.ok_or_else(|| RotationError::UnknownKey(name.to_owned()))?;
        let seconds = match (member.state, member.retire_after) {
            (KeyState::Staged | KeyState::Retired, _) => 0,
            (KeyState::Retiring, Some(until)) => until.since(self.now()),
            _ => self.site.longest_lifetime,
        };
        Ok(Damage { id, state: member.state, minutes: seconds.div_ceil(60) })
    }

    /// Takes a key out of use at once: the key group loses it in the same call that adds the one that
    /// takes over.
    ///
    /// # Errors
    /// [`RotationError`] says what could not be done; run again, it finishes the work.
    pub async fn revoke(&mut self, name: &str, kind: KeyKind) -> Result<Outcome, RotationError> {
        let stored = self.site.store.read().await?;
        let Named::Member(id) = self.named(&stored.ring, name).await? else {
            return Err(RotationError::InNoRing(name.to_owned()));
        };
        let member = stored.ring.member(&id).cloned();
        let member = member.ok_or_else(|| RotationError::UnknownKey(name.to_owned()))?;
        let stolen = self.stored_key(&member.fingerprint).await?;
        let stored = self.out_of_use(stored, &member, kind).await?;
        if let Some(stolen) = stolen {
            self.await_refused(&SigningKey { id: id.clone(), key: stolen.key }).await?;
        }
        self.remove(&stored, &member).await?;
        if !self.dry_run {
            self.note("revoke", format!("{id} is revoked: nothing trusts it any more"));
        }
        self.note_neighbours(&stored, &member).await?;
        let own =
            stored.ring.rotation().is_some_and(|rotation| rotation.replaces.as_ref() == Some(&id));
        let ring = if own { stored.ring.end() } else { stored.ring.clone() };
        let stored = self.write("revoke", &stored, ring).await?;
        if member.state == KeyState::Active || self.has_instances() {
            match self.confirm(stored.clone()).await {
                Err(RotationError::NotFollowed { behind, .. }) => {
                    return Err(RotationError::NotFollowedRevoked { id, behind });
                }
                followed => drop(followed?),
            }
        }
        Ok(outcome(&stored, member.state == KeyState::Active))
    }

    /// Takes a key out of the group and out of the ring. Whoever changes the ring meanwhile does not
    /// keep the two apart: it is tried again.
    async fn out_of_use(
        &mut self,
        stored: Stored,
        member: &RingMember,
        kind: KeyKind,
    ) -> Result<Stored, RotationError> {
        let mut stored = stored;
        for _ in 0..MOST_ATTEMPTS {
            let state = stored.ring.member(&member.id).map(|member| member.state);
            let outcome = match state {
                None | Some(KeyState::Retired) => return Ok(stored),
                Some(KeyState::Active) => self.replace(stored, member, kind).await,
                Some(KeyState::Staged | KeyState::Retiring) => {
                    // The edge first: what the ring says stops no cookie.
                    self.take_out(&stored, member).await?;
                    let ring = stored.ring.revoke(&member.id, None, self.now())?;
                    self.write("revoke", &stored, ring).await
                }
            };
            match outcome {
                Err(RotationError::Keystore(KeystoreError::Conflict(_))) => {
                    self.note("revoke", "somebody else has just changed the ring: once more");
                    stored = self.site.store.read().await?;
                }
                outcome => return outcome,
            }
        }
        Err(KeystoreError::Conflict(self.site.store.to_string()).into())
    }

    /// A new key takes over from the active one. One that lay beside it may be stolen too.
    async fn replace(
        &mut self,
        stored: Stored,
        old: &RingMember,
        kind: KeyKind,
    ) -> Result<Stored, RotationError> {
        let (stored, new) = self.successor(stored, &old.id, kind).await?;
        let known = stored.ring.with_fingerprint(new.fingerprint()).map(|member| member.id.clone());
        let leaving = match &self.site.edge {
            Edge::Api(group) => ids_of(&group.read().await?, old),
            _ => vec![old.id.clone()],
        };
        let id = self.trust(new.key.public(), known.as_ref(), &leaving).await?;
        if matches!(self.site.edge, Edge::ByHand(_)) {
            let key = SigningKey { id: id.clone(), key: new.key.clone() };
            self.await_accepted(&key).await?;
        }
        let ring = stored.ring.stage(&id, new.fingerprint(), new.created, self.now())?;
        let ring = ring.revoke(&old.id, Some(&id), self.now())?;
        let stored = self.write("revoke", &stored, ring).await?;
        self.note("revoke", format!("{id} is the active key"));
        Ok(stored)
    }

    /// The key that takes over: the one that an earlier run has made for this, or a new one. The ring
    /// names it before it is stored, so that nothing is left of a run that ended in between.
    async fn successor(
        &mut self,
        stored: Stored,
        stolen: &KeyPairId,
        kind: KeyKind,
    ) -> Result<(Stored, NewKey), RotationError> {
        let begun = stored.ring.rotation().filter(|begun| begun.replaces.as_ref() == Some(stolen));
        if let Some(key) = begun.map(|begun| begun.key.clone())
            && let Some(found) = self.stored_key(&key).await?
        {
            return Ok((stored, found));
        }
        let (new, pem) = self.make(kind, std::slice::from_ref(stolen)).await?;
        let ring = stored.ring.begin_to_replace(stolen, new.fingerprint(), self.now());
        let stored = self.write("begin", &stored, ring).await?;
        self.keep(&new, &pem).await?;
        Ok((stored, new))
    }

    /// Says which keys lay beside the stolen one.
    async fn note_neighbours(
        &mut self,
        stored: &Stored,
        stolen: &RingMember,
    ) -> Result<(), RotationError> {
        let active = stored.ring.active().map(|active| active.fingerprint.clone());
        for key in self.site.store.keys().await? {
            if Some(&key.fingerprint) == active.as_ref() || key.fingerprint == stolen.fingerprint {
                continue;
            }
            let name = match stored.ring.with_fingerprint(&key.fingerprint) {
                Some(member) => format!("{}, {},", member.id, member.state),
                None => format!("{}, in no ring,", key.fingerprint.short()),
            };
            let text = format!(
                "{name} lay in the same place: if that was stolen, revoke it or retire it too"
            );
            self.note("revoke", text);
        }
        Ok(())
    }

    async fn take_out(
        &mut self,
        stored: &Stored,
        member: &RingMember,
    ) -> Result<(), RotationError> {
        let Edge::Api(group) = &self.site.edge else { return Ok(()) };
        let group = group.clone();
        let held = group.read().await?;
        let ids = ids_of(&held, member);
        self.distrust("revoke", Some(&stored.ring), &group, &held, &ids).await
    }
}
