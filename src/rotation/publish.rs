//! The edge comes to trust a key: its public half is created, and put into the key group.

use super::by_hand::Instructions;
use super::make::NewKey;
use super::{Admin, Edge, Named, RotationError, join};
use crate::keystore::cloudfront::KeyGroup;
use crate::keystore::{KeystoreError, Stored};
use crate::signing::{KeyPairId, KeyState, PublicKey, RingMember};

/// What stands for an ID that only CloudFront can give, in a dry run.
const ID_TO_COME: &str = "KEYIDTOCOME";

impl Admin<'_> {
    /// Publishes a private key that is stored, and puts it into the ring as staged. A key that the
    /// ring knows already is put back into the key group, should it have been taken out.
    ///
    /// # Errors
    /// [`RotationError`] says what is missing; run again, it finishes the work.
    pub async fn stage(&mut self, name: &str) -> Result<KeyPairId, RotationError> {
        let stored = self.site.store.read().await?;
        match self.named(&stored.ring, name).await? {
            Named::Spare(fingerprint) => {
                let new = self.stored_key(&fingerprint).await?;
                let new = new.ok_or_else(|| RotationError::UnknownKey(name.to_owned()))?;
                let (_, id) = self.publish_and_stage(stored, &new).await?;
                Ok(id)
            }
            Named::Member(id) => {
                let member = stored.ring.member(&id).cloned();
                let member = member.ok_or_else(|| RotationError::UnknownKey(name.to_owned()))?;
                self.trust_again(stored, &member).await
            }
        }
    }

    /// Puts a key of the ring back into the key group. Only one that has signed nothing yet may come to
    /// be called otherwise.
    async fn trust_again(
        &mut self,
        stored: Stored,
        member: &RingMember,
    ) -> Result<KeyPairId, RotationError> {
        let id = member.id.clone();
        if let (Edge::Api(group), false) = (&self.site.edge, member.state == KeyState::Staged) {
            let group = group.clone();
            let held = group.read().await?;
            match held.find(&member.fingerprint) {
                None => return Err(RotationError::Gone(id)),
                Some(entry) if entry.id != id => {
                    return Err(RotationError::OtherId { id, found: entry.id.clone() });
                }
                Some(_) if held.trusts(&id) => {
                    self.note("publish", format!("{id} is in the key group {}", group.id()));
                }
                Some(_) => {
                    self.call(
                        "publish",
                        format!("cloudfront:UpdateKeyGroup {}: with {id}", group.id()),
                    );
                    if !self.dry_run {
                        group.change(std::slice::from_ref(&id), &[]).await?;
                    }
                }
            }
            return Ok(id);
        }
        let new = self.stored_key(&member.fingerprint).await?;
        let lost = || KeystoreError::Missing(self.site.store.place_of(&member.fingerprint));
        let (_, id) = self.publish_and_stage(stored, &new.ok_or_else(lost)?).await?;
        Ok(id)
    }

    pub(super) async fn publish_and_stage(
        &mut self,
        stored: Stored,
        new: &NewKey,
    ) -> Result<(Stored, KeyPairId), RotationError> {
        let known = stored.ring.with_fingerprint(new.fingerprint()).map(|member| &member.id);
        let id = self.trust(new.key.public(), known, &[]).await?;
        if known == Some(&id) {
            return Ok((stored, id));
        }
        let ring = stored.ring.stage(&id, new.fingerprint(), new.created, self.now())?;
        Ok((self.write("stage", &stored, ring).await?, id))
    }

    /// Makes the edge trust a key, and at once no longer those that leave. Does only what is not done
    /// yet, and says how the key is called.
    pub(super) async fn trust(
        &mut self,
        public: &PublicKey,
        known: Option<&KeyPairId>,
        leaving: &[KeyPairId],
    ) -> Result<KeyPairId, RotationError> {
        let group = match &self.site.edge {
            Edge::Api(group) => group.clone(),
            Edge::ByHand(brought) => {
                let id = brought.as_ref().or(known).cloned();
                if id.is_none() && self.dry_run {
                    self.note("publish", "would ask a person to publish the key");
                    return ID_TO_COME.parse().map_err(|_| not_set());
                }
                let ask = || by_hand(Instructions::publish(public, leaving));
                return id.map_or_else(|| Err(ask()), Ok);
            }
            Edge::Unset => return Err(not_set()),
        };
        let held = group.read().await?;
        held.check_room(&public.fingerprint(), leaving, self.site.quotas)?;
        let id = match held.find(&public.fingerprint()) {
            Some(entry) => entry.id.clone(),
            None => self.create(&group, public).await?,
        };
        let gone: Vec<KeyPairId> =
            leaving.iter().filter(|leaving| held.trusts(leaving)).cloned().collect();
        if held.trusts(&id) && gone.is_empty() {
            self.note("publish", format!("{id} is in the key group {}", group.id()));
            return Ok(id);
        }
        let without =
            if gone.is_empty() { String::new() } else { format!(", without {}", join(&gone)) };
        self.call(
            "publish",
            format!("cloudfront:UpdateKeyGroup {}: with {id}{without}", group.id()),
        );
        if !self.dry_run {
            group.change(std::slice::from_ref(&id), &gone).await?;
        }
        Ok(id)
    }

    async fn create(
        &mut self,
        group: &KeyGroup,
        public: &PublicKey,
    ) -> Result<KeyPairId, RotationError> {
        let short = public.fingerprint().short().to_owned();
        self.call("publish", format!("cloudfront:CreatePublicKey for {short}"));
        if self.dry_run {
            return ID_TO_COME.parse().map_err(|_| RotationError::UnknownKey(short));
        }
        let id = group.create(public).await?;
        self.note("publish", format!("CloudFront calls it {id}"));
        Ok(id)
    }
}

pub(super) fn by_hand(instructions: Instructions) -> RotationError {
    RotationError::ByHand(Box::new(instructions))
}

pub(super) const fn not_set() -> RotationError {
    RotationError::NotSet {
        key: "rotation.key_group",
        what: "the ID of the trusted key group that the behavior names (without permissions in \
               CloudFront, --manual says what to do by hand)",
        flag: "--key-group",
    }
}
