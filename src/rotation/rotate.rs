//! The whole way from one key to the next.

use super::publish::not_set;
use super::{Admin, Edge, Named, RotationError};
use crate::clock::{EpochSeconds, span};
use crate::keystore::Stored;
use crate::signing::{KeyKind, KeyPairId, KeyRing, KeyState, SigningKey};

/// How a rotation is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct RotateOptions {
    /// The kind of the new key.
    pub kind: KeyKind,
    /// Whether to wait until the old key can be retired.
    pub wait: bool,
    /// Rotate only if the active key has signed for as many seconds. What is unfinished is finished
    /// all the same. Above zero, a run that was killed behind its very last call is not followed by a
    /// second rotation.
    pub if_older_than: u64,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The key that signs.
    pub active: Option<KeyPairId>,
    /// The keys that are still trusted, and from when on they can be retired.
    pub retiring: Vec<(KeyPairId, Option<EpochSeconds>)>,
    /// Whether a new key came.
    pub rotated: bool,
}

impl Admin<'_> {
    /// Rotates: finishes what was begun, or else begins, and goes on to the end. Safe to be killed at
    /// any moment and to be run again.
    ///
    /// # Errors
    /// [`RotationError`] says what keeps it from going on; whatever it is, people's cookies work.
    pub async fn rotate(&mut self, options: RotateOptions) -> Result<Outcome, RotationError> {
        let stored = self.preflight().await?;
        let (stored, problem) = self.retire_due(stored).await?;
        let outcome = self.go_on(stored, options).await?;
        problem.map_or(Ok(outcome), Err)
    }

    async fn go_on(
        &mut self,
        stored: Stored,
        options: RotateOptions,
    ) -> Result<Outcome, RotationError> {
        if stored.ring.rotation().is_none() && !self.is_due(&stored, options.if_older_than) {
            // An earlier run may have ended before it could ask every instance.
            let stored = self.settle_old(stored, options.wait).await?;
            return Ok(outcome(&stored, false));
        }
        let (stored, new) = self.begin(stored, options.kind).await?;
        let (stored, id) = match stored.ring.with_fingerprint(new.fingerprint()) {
            Some(member) if member.state != KeyState::Staged => {
                let id = member.id.clone();
                (stored, id)
            }
            _ if matches!(self.site.edge, Edge::ByHand(_)) => {
                // A person may bring the wrong ID: the edge is asked before the ring is told.
                let known = stored.ring.with_fingerprint(new.fingerprint()).map(|m| m.id.clone());
                let id = self.trust(new.key.public(), known.as_ref(), &[]).await?;
                let key = SigningKey { id: id.clone(), key: new.key.clone() };
                self.await_accepted(&key).await?;
                let ring = stored.ring.stage(&id, new.fingerprint(), new.created, self.now())?;
                (self.write("stage", &stored, ring).await?, id)
            }
            _ => self.publish_and_stage(stored, &new).await?,
        };
        let state = stored.ring.member(&id).map(|member| member.state);
        let stored = if state == Some(KeyState::Staged) {
            if !matches!(self.site.edge, Edge::ByHand(_)) {
                let key = SigningKey { id: id.clone(), key: new.key.clone() };
                self.await_accepted(&key).await?;
            }
            self.promote_in(stored, &id).await?
        } else {
            stored
        };
        let stored = self.finish(stored, options.wait).await?;
        Ok(outcome(&stored, true))
    }

    /// Lets a staged key sign, or a retiring one again, and waits until the instances have followed.
    ///
    /// # Errors
    /// [`RotationError`] says what keeps it from going on; whatever it is, people's cookies work.
    pub async fn promote(&mut self, name: &str) -> Result<Outcome, RotationError> {
        let stored = self.site.store.read().await?;
        let id = match self.named(&stored.ring, name).await? {
            Named::Member(id) => id,
            Named::Spare(_) => return Err(RotationError::NotStaged(name.to_owned())),
        };
        let active = stored.ring.active().is_some_and(|active| active.id == id);
        let stored = if active {
            self.note("promote", format!("{id} signs already"));
            stored
        } else {
            // Says at once what does not go.
            let ring = stored.ring.promote(&id, self.now())?;
            let member =
                ring.member(&id).ok_or_else(|| RotationError::UnknownKey(name.to_owned()))?;
            let key = self.site.store.key(&member.fingerprint).await?;
            let key = SigningKey { id: id.clone(), key: std::sync::Arc::new(key) };
            self.check_probe(None).await?;
            self.await_accepted(&key).await?;
            self.promote_in(stored, &id).await?
        };
        let stored = self.finish(stored, false).await?;
        Ok(outcome(&stored, !active))
    }

    async fn promote_in(
        &mut self,
        stored: Stored,
        id: &KeyPairId,
    ) -> Result<Stored, RotationError> {
        self.check_whole(&stored.ring, id).await?;
        let ring = stored.ring.with_lifetime(self.site.longest_lifetime);
        let ring = ring.promote(id, self.now())?.with_lifetime(self.site.longest_lifetime);
        let stored = self.write("promote", &stored, ring).await?;
        if !self.dry_run {
            self.note("promote", format!("{id} is the active key"));
        }
        Ok(stored)
    }

    /// What is left after a promotion.
    async fn finish(&mut self, stored: Stored, wait: bool) -> Result<Stored, RotationError> {
        let mut stored = self.confirm(stored).await?;
        if wait {
            stored = self.wait_for_all(stored).await?;
            let retiring: Vec<_> = stored.ring.in_state(KeyState::Retiring).cloned().collect();
            for member in retiring {
                stored = self.retire_member(stored, &member).await?;
            }
        }
        // One that somebody else has begun meanwhile is theirs to end.
        let signs = stored.ring.active().map(|active| &active.fingerprint);
        let own = stored.ring.rotation().is_some_and(|rotation| Some(&rotation.key) == signs);
        let ring = if own { stored.ring.end() } else { stored.ring.clone() };
        let stored = self.write("end", &stored, ring).await?;
        if !self.dry_run {
            self.site.store.clean().await?;
        }
        Ok(stored)
    }

    async fn settle_old(&mut self, stored: Stored, wait: bool) -> Result<Stored, RotationError> {
        let retiring = stored.ring.in_state(KeyState::Retiring).next().is_some();
        if stored.ring.unconfirmed().next().is_none() && !(wait && retiring) {
            return Ok(stored);
        }
        self.finish(stored, wait).await
    }

    /// Makes sure that a key that is to sign is whole, right before it does.
    async fn check_whole(&self, ring: &KeyRing, id: &KeyPairId) -> Result<(), RotationError> {
        if self.dry_run {
            return Ok(());
        }
        if let Edge::Api(group) = &self.site.edge
            && !group.read().await?.trusts(id)
        {
            return Err(RotationError::NotTrusted {
                id: id.clone(),
                group: group.id().to_string(),
            });
        }
        let member = ring.member(id).ok_or_else(|| RotationError::UnknownKey(id.to_string()))?;
        self.site.store.key(&member.fingerprint).await?;
        Ok(())
    }

    fn is_due(&mut self, stored: &Stored, if_older_than: u64) -> bool {
        let Some(active) = stored.ring.active() else { return true };
        let age = self.now().since(active.promoted.unwrap_or(active.created));
        if age >= if_older_than {
            return true;
        }
        let text = format!(
            "{} has signed for {}, less than {}: nothing to do (--if-older-than)",
            active.id,
            span(age),
            span(if_older_than),
        );
        self.note("preflight", text);
        false
    }

    /// Looks at every side before anything is changed.
    async fn preflight(&mut self) -> Result<Stored, RotationError> {
        let stored = self.site.store.read().await?;
        let signs = match stored.ring.active() {
            Some(active) => format!("{} signs", active.id),
            None => "no key signs yet".to_owned(),
        };
        let (store, revision) = (&self.site.store, stored.revision);
        self.note("preflight", format!("{store}, revision {revision}: {signs}"));
        if matches!(self.site.edge, Edge::Unset) {
            return Err(not_set());
        }
        if let Edge::Api(group) = &self.site.edge {
            let held = group.read().await?;
            let (trusted, all) = (held.trusted.len(), held.public_keys.len());
            let text = format!("key group {}: {trusted} trusted, of {all} public keys", group.id());
            self.check_active_trusted(&stored.ring, group, &held.trusted)?;
            self.note("preflight", text);
        }
        let active = self.active_key(&stored.ring).await?;
        self.check_probe(active.as_ref()).await?;
        if self.has_instances() {
            let answers = self.ask_instances().await?.len();
            self.note("preflight", format!("{answers} instances are asked"));
        }
        Ok(stored)
    }
}

pub(super) fn outcome(stored: &Stored, rotated: bool) -> Outcome {
    let retiring = stored.ring.in_state(KeyState::Retiring);
    Outcome {
        active: stored.ring.active().map(|active| active.id.clone()),
        retiring: retiring.map(|member| (member.id.clone(), member.retire_after)).collect(),
        rotated,
    }
}
