//! An old key leaves: out of the key group, its public half deleted, its private half destroyed.

use std::time::Duration;

use super::by_hand::Instructions;
use super::publish::{by_hand, not_set};
use super::{Admin, Edge, Named, RotationError};
use crate::clock::EpochSeconds;
use crate::keystore::Stored;
use crate::signing::{Fingerprint, KeyPairId, KeyState, RingMember, SigningKey};

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
                let stored = if unconfirmed { self.confirm(stored).await? } else { stored };
                if wait {
                    self.wait_for(&stored, &id).await?;
                }
                let member = stored.ring.member(&id).cloned();
                let member = member.ok_or_else(|| RotationError::UnknownKey(name.to_owned()))?;
                if member.state == KeyState::Retired {
                    return self.remove(&stored, &member).await;
                }
                self.retire_member(stored, &member).await.map(drop)
            }
        }
    }

    /// Retires every key whose last cookie has expired, and what earlier runs left of others.
    pub(super) async fn retire_due(&mut self, stored: Stored) -> Result<Stored, RotationError> {
        let mut stored = stored;
        let due: Vec<RingMember> = stored.ring.due(self.now()).cloned().collect();
        for member in due {
            stored = self.retire_member(stored, &member).await?;
        }
        let keys = self.site.store.keys().await?;
        let retired: Vec<RingMember> = stored.ring.in_state(KeyState::Retired).cloned().collect();
        for member in retired {
            if keys.iter().any(|key| key.fingerprint == member.fingerprint) {
                self.remove(&stored, &member).await?;
            }
        }
        Ok(stored)
    }

    /// Waits until every retiring key can be retired.
    pub(super) async fn wait_for_all(&mut self, stored: &Stored) -> Result<(), RotationError> {
        let retiring: Vec<KeyPairId> =
            stored.ring.in_state(KeyState::Retiring).map(|member| member.id.clone()).collect();
        for id in retiring {
            self.wait_for(stored, &id).await?;
        }
        Ok(())
    }

    async fn wait_for(&mut self, stored: &Stored, id: &KeyPairId) -> Result<(), RotationError> {
        let Some(until) = stored.ring.member(id).and_then(|member| member.retire_after) else {
            return Ok(());
        };
        if self.dry_run {
            self.note(
                "retire",
                format!("would wait until {until}, when the last cookie of {id} expires"),
            );
            return Ok(());
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
        Ok(())
    }

    pub(super) async fn retire_member(
        &mut self,
        stored: Stored,
        member: &RingMember,
    ) -> Result<Stored, RotationError> {
        if self.dry_run && stored.ring.check_retire(&member.id, self.now()).is_err() {
            // It was waited for, in so many words.
            self.remove(&stored, member).await?;
            return Ok(stored);
        }
        stored.ring.check_retire(&member.id, self.now())?;
        self.remove(&stored, member).await?;
        let ring = stored.ring.retire(&member.id, self.now())?;
        let stored = self.write("retire", &stored, ring).await?;
        if !self.dry_run {
            self.site.store.clean().await?;
        }
        self.note("retire", format!("{} is retired", member.id));
        Ok(stored)
    }

    /// Removes both halves of a key; what is gone already is no error.
    pub(super) async fn remove(
        &mut self,
        stored: &Stored,
        member: &RingMember,
    ) -> Result<(), RotationError> {
        match &self.site.edge {
            Edge::Api(group) => {
                let group = group.clone();
                let held = group.read().await?;
                if held.trusts(&member.id) {
                    self.check_active_trusted(&stored.ring, &group, &held.trusted)?;
                    let text =
                        format!("cloudfront:UpdateKeyGroup {}: without {}", group.id(), member.id);
                    self.call("retire", text);
                    if !self.dry_run {
                        group.change(&[], std::slice::from_ref(&member.id)).await?;
                    }
                }
                if held.entry(&member.id).is_some() {
                    self.call("retire", format!("cloudfront:DeletePublicKey {}", member.id));
                    if !self.dry_run {
                        group.delete(&member.id).await?;
                    }
                }
            }
            Edge::ByHand(_) => self.check_refused(member).await?,
            Edge::Unset => return Err(not_set()),
        }
        self.destroy(&member.fingerprint).await
    }

    /// Whether a person has taken the key out: the edge says so.
    async fn check_refused(&mut self, member: &RingMember) -> Result<(), RotationError> {
        let asked = || by_hand(Instructions::take_out(&member.id));
        let Some(probe) = &self.site.probe else { return Err(asked()) };
        let stored = self.stored_key(&member.fingerprint).await?;
        // Whoever destroyed the private half had seen the key refused.
        let Some(stored) = stored else { return Ok(()) };
        let key = SigningKey { id: member.id.clone(), key: stored.key };
        if probe.opens(&key, self.site.hash, self.now()).await? {
            return Err(asked());
        }
        self.note("retire", format!("the edge refuses {}", member.id));
        Ok(())
    }

    /// Removes a key that the ring does not know.
    async fn remove_unknown(&mut self, fingerprint: &Fingerprint) -> Result<(), RotationError> {
        if let Edge::Api(group) = &self.site.edge {
            let group = group.clone();
            let held = group.read().await?;
            if let Some(id) = held.find(fingerprint).map(|entry| entry.id.clone()) {
                if held.trusts(&id) {
                    self.call(
                        "retire",
                        format!("cloudfront:UpdateKeyGroup {}: without {id}", group.id()),
                    );
                    if !self.dry_run {
                        group.change(&[], std::slice::from_ref(&id)).await?;
                    }
                }
                self.call("retire", format!("cloudfront:DeletePublicKey {id}"));
                if !self.dry_run {
                    group.delete(&id).await?;
                }
            }
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
