//! New keys: made, or found where an earlier run left them.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Admin, Edge, RotationError};
use crate::clock::EpochSeconds;
use crate::keystore::{KeystoreError, Stored, StoredKey};
use crate::signing::{
    Fingerprint, KeyKind, KeyPairId, KeyRing, KeyState, PrivateKey, RingError, RingMember,
    generate_pem,
};

/// A key that is stored and on its way into the ring.
#[derive(Clone, Debug)]
pub(super) struct NewKey {
    pub(super) key: Arc<PrivateKey>,
    pub(super) created: EpochSeconds,
}

impl NewKey {
    pub(super) fn fingerprint(&self) -> &Fingerprint {
        self.key.fingerprint()
    }
}

impl Admin<'_> {
    /// Makes a private key and stores it. No ring knows it yet.
    ///
    /// # Errors
    /// [`RotationError`] when it cannot be stored, or would not fit at the edge.
    pub async fn generate(&mut self, kind: KeyKind) -> Result<Fingerprint, RotationError> {
        Ok(self.make_and_keep(kind).await?.fingerprint().clone())
    }

    /// Begins a rotation, or goes on with the one that is under way: says which key is the new one.
    pub(super) async fn begin(
        &mut self,
        stored: Stored,
        kind: KeyKind,
    ) -> Result<(Stored, NewKey), RotationError> {
        let now = self.now();
        if let Some(rotation) = stored.ring.rotation() {
            let (key, begun) = (rotation.key.clone(), rotation.begun);
            if let Some(id) = rotation.replaces.clone() {
                return Err(RingError::Revoking { id, begun }.into());
            }
            self.note("begin", format!("going on with the rotation begun at {begun}"));
            if let Some(found) = self.stored_key(&key).await? {
                return Ok((stored, found));
            }
            let staged = |member: &RingMember| member.state == KeyState::Staged;
            if stored.ring.with_fingerprint(&key).is_some_and(|member| !staged(member)) {
                return Err(KeystoreError::Missing(self.site.store.place_of(&key)).into());
            }
            let new = self.make_and_keep(kind).await?;
            let ring = stored.ring.begin_again(new.fingerprint(), now);
            return self.claim(stored, ring, new, true).await;
        }
        let spare = self.spare(&stored.ring).await?;
        let made = spare.is_none();
        let new = match spare {
            Some(spare) => spare,
            None => self.make_and_keep(kind).await?,
        };
        let ring = stored.ring.begin(new.fingerprint(), now)?;
        self.claim(stored, ring, new, made).await
    }

    /// Notes the new key in the ring: of several admins at once, one is first.
    async fn claim(
        &mut self,
        stored: Stored,
        ring: KeyRing,
        new: NewKey,
        made: bool,
    ) -> Result<(Stored, NewKey), RotationError> {
        match self.write("begin", &stored, ring).await {
            Err(RotationError::Keystore(conflict @ KeystoreError::Conflict(_))) => {
                if made {
                    self.give_up(new.fingerprint()).await?;
                }
                Err(conflict.into())
            }
            outcome => outcome.map(|stored| (stored, new)),
        }
    }

    /// Destroys a key that was made for nothing, unless whoever was first took it up.
    async fn give_up(&mut self, key: &Fingerprint) -> Result<(), RotationError> {
        let ring = self.site.store.read().await?.ring;
        let taken_up = ring.with_fingerprint(key).is_some()
            || ring.rotation().is_some_and(|rotation| rotation.key == *key);
        if taken_up {
            return Ok(());
        }
        self.call("begin", self.site.store.describe_destroy(key));
        Ok(self.site.store.destroy_key(key).await?)
    }

    /// A key that waits: staged, or in no ring yet. The oldest one.
    async fn spare(&mut self, ring: &KeyRing) -> Result<Option<NewKey>, RotationError> {
        let keys = self.site.store.keys().await?;
        let waits = |key: &&StoredKey| {
            ring.with_fingerprint(&key.fingerprint)
                .is_none_or(|member| member.state == KeyState::Staged)
        };
        let staged = |key: &&StoredKey| ring.with_fingerprint(&key.fingerprint).is_none();
        // One that is staged is further on its way.
        let unknown = keys.iter().filter(waits).min_by_key(|key| staged(key));
        let Some(StoredKey { fingerprint, .. }) = unknown else { return Ok(None) };
        self.note("generate", format!("a key is there already: {}", fingerprint.short()));
        self.stored_key(fingerprint).await
    }

    /// Reads a private key, if it is there.
    pub(super) async fn stored_key(
        &self,
        key: &Fingerprint,
    ) -> Result<Option<NewKey>, RotationError> {
        let keys = self.site.store.keys().await?;
        let Some(stored) = keys.into_iter().find(|stored| stored.fingerprint == *key) else {
            return Ok(None);
        };
        let key = self.site.store.key(key).await?;
        if key.public().is_published() {
            return Err(RingError::Published(stored.fingerprint.to_string()).into());
        }
        Ok(Some(NewKey { key: Arc::new(key), created: stored.created }))
    }

    async fn make_and_keep(&mut self, kind: KeyKind) -> Result<NewKey, RotationError> {
        let (new, pem) = self.make(kind, &[]).await?;
        self.keep(&new, &pem).await?;
        Ok(new)
    }

    /// Makes a key, if it fits at the edge once others have left.
    pub(super) async fn make(
        &mut self,
        kind: KeyKind,
        leaving: &[KeyPairId],
    ) -> Result<(NewKey, Zeroizing<String>), RotationError> {
        let pem: Zeroizing<String> = generate_pem(kind)?;
        let key = PrivateKey::from_pem(&pem)?;
        let fingerprint = key.fingerprint().clone();
        self.note("generate", format!("{}, fingerprint {fingerprint}", key.public().kind()));
        if let Edge::Api(group) = &self.site.edge {
            group.read().await?.check_room(&fingerprint, leaving, self.site.quotas)?;
        }
        Ok((NewKey { key: Arc::new(key), created: self.now() }, pem))
    }

    /// Stores a key that was made.
    pub(super) async fn keep(
        &mut self,
        new: &NewKey,
        pem: &Zeroizing<String>,
    ) -> Result<(), RotationError> {
        self.call("store", self.site.store.describe_put(new.fingerprint()));
        if self.dry_run {
            return Ok(());
        }
        Ok(self.site.store.put_key(new.fingerprint(), pem).await?)
    }
}
