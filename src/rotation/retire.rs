//! An old key leaves: out of the key group, its public half deleted, its private half destroyed.

use std::time::Duration;

use super::by_hand::Instructions;
use super::instances::Report;
use super::publish::{by_hand, not_set};
use super::{Admin, Edge, Named, RotationError, join, probe};
use crate::clock::EpochSeconds;
use crate::keystore::cloudfront::{EdgeKeys, KeyGroup};
use crate::keystore::{KeystoreError, Stored};
use crate::signing::{Fingerprint, KeyPairId, KeyRing, KeyState, RingMember, SigningKey};

impl Admin<'_> {
    /// Retires one key, waiting for its time if `wait` says so.
    ///
    /// # Errors
    /// [`RotationError`] says why it is too early, or what could not be done; run again, it finishes
    /// the work.
    pub async fn retire(&mut self, name: &str, wait: bool) -> Result<(), RotationError> {
        let stored = self.site.store.read().await?;
        match self.named(&stored.ring, name).await? {
            Named::Spare(fingerprint) => {
                if stored.ring.rotation().is_some_and(|rotation| rotation.key == fingerprint) {
                    // Nothing is left that the rotation could go on with.
                    let ring = stored.ring.end();
                    self.write("retire", &stored, ring).await?;
                }
                self.remove_unknown(&fingerprint).await
            }
            Named::Member(id) => {
                let unconfirmed = stored.ring.unconfirmed().any(|member| member.id == id);
                let mut stored = if unconfirmed { self.confirm(stored).await? } else { stored };
                if wait {
                    stored = self.wait_for(stored, &id).await?;
                }
                self.check_clock().await?;
                let member = stored.ring.member(&id).cloned();
                let member = member.ok_or_else(|| RotationError::UnknownKey(name.to_owned()))?;
                if member.state == KeyState::Retired {
                    return self.remove(&stored, &member).await;
                }
                self.retire_member(stored, &member).await.map(drop)
            }
        }
    }

    /// Retires every key whose last cookie has expired, and what earlier runs left of others. What
    /// cannot be done keeps nobody from going on: it is returned, to be told at the end.
    pub(super) async fn retire_due(
        &mut self,
        stored: Stored,
    ) -> Result<(Stored, Option<RotationError>), RotationError> {
        let mut stored = stored;
        let mut problem = None;
        let due: Vec<RingMember> = stored.ring.due(self.now()).cloned().collect();
        for member in due {
            match self.retire_in_ring(&stored, &member).await {
                Ok(written) => stored = written,
                Err(error @ RotationError::Keystore(KeystoreError::Conflict(_))) => {
                    return Err(error);
                }
                Err(error) => problem = Some(error),
            }
        }
        let retired: Vec<RingMember> = stored.ring.in_state(KeyState::Retired).cloned().collect();
        for member in retired {
            problem = match self.remove(&stored, &member).await {
                Err(error) => Some(error),
                Ok(()) => problem,
            };
        }
        Ok((stored, problem))
    }

    /// Waits until every retiring key can be retired.
    pub(super) async fn wait_for_all(&mut self, stored: Stored) -> Result<Stored, RotationError> {
        let mut stored = stored;
        let retiring: Vec<KeyPairId> =
            stored.ring.in_state(KeyState::Retiring).map(|member| member.id.clone()).collect();
        for id in retiring {
            stored = self.wait_for(stored, &id).await?;
        }
        Ok(stored)
    }

    /// Waits for a key's time, and reads the ring once more: much may have happened.
    async fn wait_for(&mut self, stored: Stored, id: &KeyPairId) -> Result<Stored, RotationError> {
        let Some(until) = stored.ring.member(id).and_then(|member| member.retire_after) else {
            return Ok(stored);
        };
        if self.dry_run {
            self.note(
                "retire",
                format!("would wait until {until}, when the last cookie of {id} expires"),
            );
            return Ok(stored);
        }
        let mut said: Option<EpochSeconds> = None;
        while self.now() < until {
            let now = self.now();
            if said.is_none_or(|said| now.since(said) >= 60) {
                let left = until.since(now);
                self.waiting(
                    "retire",
                    format!("the last cookie of {id} expires at {until}, in {left} s"),
                );
                said = Some(now);
            }
            tokio::time::sleep(Duration::from_secs(until.since(now).min(5))).await;
        }
        Ok(self.site.store.read().await?)
    }

    pub(super) async fn retire_member(
        &mut self,
        stored: Stored,
        member: &RingMember,
    ) -> Result<Stored, RotationError> {
        let stored = self.retire_in_ring(&stored, member).await?;
        self.remove(&stored, member).await?;
        if !self.dry_run {
            self.site.store.clean().await?;
        }
        self.note("retire", format!("{} is retired", member.id));
        Ok(stored)
    }

    /// Tells the ring first: nobody promotes a key any more that is about to be destroyed, and of a
    /// promotion and a retirement at once, one is refused.
    async fn retire_in_ring(
        &mut self,
        stored: &Stored,
        member: &RingMember,
    ) -> Result<Stored, RotationError> {
        if self.dry_run && stored.ring.check_retire(&member.id, self.now()).is_err() {
            // It was waited for, in so many words.
            return Ok(stored.clone());
        }
        let ring = stored.ring.retire(&member.id, self.now())?;
        self.check_nobody_signs_with(&member.id).await?;
        match &self.site.edge {
            Edge::Api(group) => {
                let held = group.read().await?;
                self.check_active_trusted(&stored.ring, group, &held.trusted)?;
            }
            Edge::ByHand(_) => self.check_refused(member).await?,
            Edge::Unset => return Err(not_set()),
        }
        self.write("retire", stored, ring).await
    }

    /// Removes both halves of a key, under whatever ID; what is gone already is no error. A public half
    /// that may not be deleted keeps no private half from being destroyed.
    pub(super) async fn remove(
        &mut self,
        stored: &Stored,
        member: &RingMember,
    ) -> Result<(), RotationError> {
        let group = match &self.site.edge {
            Edge::Api(group) => group.clone(),
            Edge::ByHand(_) => {
                self.check_refused(member).await?;
                return self.destroy(&member.fingerprint).await;
            }
            Edge::Unset => return Err(not_set()),
        };
        let held = group.read().await?;
        let ids = ids_of(&held, member);
        self.distrust("retire", Some(&stored.ring), &group, &held, &ids).await?;
        let deleted = self.delete_public(&group, &held, &ids).await;
        self.destroy(&member.fingerprint).await?;
        deleted
    }

    /// Takes IDs out of the key group, if they are in it; never so that the key that signs in `ring` is
    /// left alone outside.
    pub(super) async fn distrust(
        &mut self,
        step: &'static str,
        ring: Option<&KeyRing>,
        group: &KeyGroup,
        held: &EdgeKeys,
        ids: &[KeyPairId],
    ) -> Result<(), RotationError> {
        let trusted: Vec<KeyPairId> = ids.iter().filter(|id| held.trusts(id)).cloned().collect();
        if trusted.is_empty() {
            return Ok(());
        }
        if let Some(ring) = ring {
            self.check_active_trusted(ring, group, &held.trusted)?;
        }
        let text = format!("cloudfront:UpdateKeyGroup {}: without {}", group.id(), join(&trusted));
        self.call(step, text);
        if !self.dry_run {
            group.change(&[], &trusted).await?;
        }
        Ok(())
    }

    /// Deletes public halves, as many as can be.
    async fn delete_public(
        &mut self,
        group: &KeyGroup,
        held: &EdgeKeys,
        ids: &[KeyPairId],
    ) -> Result<(), RotationError> {
        let mut problem = None;
        for id in ids.iter().filter(|id| held.entry(id).is_some()) {
            self.call("retire", format!("cloudfront:DeletePublicKey {id}"));
            if !self.dry_run {
                problem = group.delete(id).await.err().or(problem);
            }
        }
        problem.map_or(Ok(()), |problem| Err(problem.into()))
    }

    /// Whether a person has taken the key out: the edge says so.
    async fn check_refused(&mut self, member: &RingMember) -> Result<(), RotationError> {
        let asked = || by_hand(Instructions::take_out(&member.id));
        let Some(probe) = &self.site.probe else { return Err(probe::not_set()) };
        let stored = self.stored_key(&member.fingerprint).await?;
        // Whoever destroyed the private half had seen the key refused.
        let Some(stored) = stored else { return Ok(()) };
        let key = SigningKey { id: member.id.clone(), key: stored.key };
        if !probe.refuses(&key, self.site.hash, self.now()).await? {
            return Err(asked());
        }
        self.note("retire", format!("the edge refuses {}", member.id));
        Ok(())
    }

    /// Asks the instances once more: one that nobody knew of may have come back.
    async fn check_nobody_signs_with(&self, id: &KeyPairId) -> Result<(), RotationError> {
        if self.dry_run || !self.has_instances() {
            return Ok(());
        }
        let answers = self.ask_instances().await.unwrap_or_default();
        let signs = |report: &Report| report.key_pair_id.as_deref() == Some(&id.to_string());
        let behind: Vec<&str> = answers
            .iter()
            .filter(|(_, answer)| answer.as_ref().is_ok_and(signs))
            .map(|(address, _)| address.as_str())
            .collect();
        if behind.is_empty() {
            return Ok(());
        }
        Err(RotationError::StillSigns { id: id.clone(), behind: behind.join(", ") })
    }

    /// Removes a key that the ring does not know.
    async fn remove_unknown(&mut self, fingerprint: &Fingerprint) -> Result<(), RotationError> {
        if let Edge::Api(group) = &self.site.edge {
            let group = group.clone();
            let held = group.read().await?;
            let ids = held.ids_of(fingerprint);
            self.distrust("retire", None, &group, &held, &ids).await?;
            self.delete_public(&group, &held, &ids).await?;
        }
        self.destroy(fingerprint).await
    }

    async fn destroy(&mut self, fingerprint: &Fingerprint) -> Result<(), RotationError> {
        let keys = self.site.store.keys().await?;
        if !keys.iter().any(|key| key.fingerprint == *fingerprint) {
            return Ok(());
        }
        self.call("retire", self.site.store.describe_destroy(fingerprint));
        if self.dry_run {
            return Ok(());
        }
        Ok(self.site.store.destroy_key(fingerprint).await?)
    }
}

/// Everything that the edge calls a key: somebody may have published it twice.
pub(super) fn ids_of(held: &EdgeKeys, member: &RingMember) -> Vec<KeyPairId> {
    let mut ids = held.ids_of(&member.fingerprint);
    let there = held.trusts(&member.id) || held.entry(&member.id).is_some();
    if there && !ids.contains(&member.id) && !is_another(held, member) {
        ids.push(member.id.clone());
    }
    ids
}

/// Whether CloudFront knows another key by the ID that the ring has for this one.
pub(super) fn is_another(held: &EdgeKeys, member: &RingMember) -> bool {
    let entry = held.entry(&member.id).and_then(|entry| entry.fingerprint.as_ref());
    entry.is_some_and(|fingerprint| *fingerprint != member.fingerprint)
}
