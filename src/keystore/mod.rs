//! Where key rings live, and how the edge comes to trust their keys.
//!
//! A ring lives in one of two places behind one small interface, [`Keystore`]: a folder, or AWS
//! Systems Manager's Parameter Store. In both, a private key is written once and never changed, and
//! the ring's states are replaced whole and only by whoever saw the last one. A systemd unit's copy
//! of a folder can be read, not changed.
//!
//! Whatever is read is checked whole before it signs: the published keys of `keys-example/`, or a key
//! under another's name, are refused on the way in and on the way out.

pub mod cloudfront;
mod document;
mod error;
mod folder;
mod secret;
mod ssm;

use std::sync::Arc;

use zeroize::Zeroizing;

pub use self::cloudfront::KeyGroupError;
pub use self::document::{DocumentError, Stored};
pub use self::error::KeystoreError;
pub use self::folder::{Credential, Folder, MANIFEST};
pub use self::secret::{fetch_secret, read_secret, write_secret};
pub use self::ssm::ParameterStore;
pub use crate::aws::{Aws, AwsProblem, ProblemKind};
use crate::clock::EpochSeconds;
use crate::config::KeySource;
use crate::signing::{
    Fingerprint, KeyPairId, KeyRing, KeyState, PrivateKey, RingError, SigningKey,
};

/// A place that holds a ring and its private keys.
#[derive(Clone, Debug)]
pub enum Keystore {
    /// A folder.
    Folder(Folder),
    /// Parameters under one path.
    ParameterStore(ParameterStore),
}

/// A ring and the private half of its active key: what a service signs with.
#[derive(Clone, Debug)]
pub struct ActiveRing {
    /// All keys and their states.
    pub ring: KeyRing,
    /// How often the ring was changed.
    pub revision: u64,
    /// The key that signs.
    pub active: SigningKey,
}

/// A private key that is there, whether a ring knows it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Which.
    pub fingerprint: Fingerprint,
    /// When it was written.
    pub created: EpochSeconds,
}

/// What an import did.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The key's ID.
    pub id: KeyPairId,
    /// `active` for the first key of a ring, `staged` for every further one.
    pub state: KeyState,
    /// The fingerprint of the public half.
    pub fingerprint: Fingerprint,
}

impl Keystore {
    /// Opens a place for changes; nothing is read yet. Private keys that go into Parameter Store are
    /// encrypted under `kms_key`: an ID, ARN or alias.
    ///
    /// # Errors
    /// [`KeystoreError::ReadOnly`] for a unit's copy.
    pub async fn open(source: &KeySource, kms_key: &str, aws: &Aws) -> Result<Self, KeystoreError> {
        match source {
            KeySource::Folder(path) => Ok(Self::Folder(Folder::new(path))),
            KeySource::Credential { name, .. } => Err(KeystoreError::ReadOnly(name.clone())),
            KeySource::ParameterStore(path) => {
                let store = ParameterStore::new(path.clone(), kms_key, aws).await;
                Ok(Self::ParameterStore(store))
            }
        }
    }

    /// Reads the ring; an empty one where there is none.
    ///
    /// # Errors
    /// [`KeystoreError`] says what is wrong, where, and what to do.
    pub async fn read(&self) -> Result<Stored, KeystoreError> {
        match self {
            Self::Folder(folder) => folder.read(),
            Self::ParameterStore(store) => store.read().await,
        }
    }

    /// Reads the ring and the key that signs. A key that `known` holds already is not fetched again.
    ///
    /// # Errors
    /// [`KeystoreError`] says what is wrong, where, and what to do.
    pub async fn load(&self, known: Option<&ActiveRing>) -> Result<ActiveRing, KeystoreError> {
        let stored = self.read().await?;
        let active = stored.ring.active().map(|member| member.fingerprint.clone());
        let active = active.ok_or_else(|| KeystoreError::NoActive(self.to_string()))?;
        let known = known.map(|known| &known.active.key).filter(|key| *key.fingerprint() == active);
        let key = match known {
            Some(key) => key.clone(),
            None => Arc::new(self.key(&active).await?),
        };
        ActiveRing::new(stored, key)
    }

    /// Replaces the ring that was read at revision `after`: a compare and swap.
    ///
    /// # Errors
    /// [`KeystoreError::Conflict`] when somebody else has changed it since.
    pub async fn write(&self, ring: &KeyRing, after: u64) -> Result<Stored, KeystoreError> {
        match self {
            Self::Folder(folder) => folder.write(ring, after),
            Self::ParameterStore(store) => store.write(ring, after).await,
        }
    }

    /// Reads a private key, and checks that it is the one asked for.
    ///
    /// # Errors
    /// [`KeystoreError`] says what is wrong, where, and what to do.
    pub async fn key(&self, key: &Fingerprint) -> Result<PrivateKey, KeystoreError> {
        match self {
            Self::Folder(folder) => folder.key(key),
            Self::ParameterStore(store) => store.key(key).await,
        }
    }

    /// The private keys that are there, the oldest first, whether a ring knows them or not.
    ///
    /// # Errors
    /// [`KeystoreError`] says what is wrong, where, and what to do.
    pub async fn keys(&self) -> Result<Vec<StoredKey>, KeystoreError> {
        match self {
            Self::Folder(folder) => folder.keys(),
            Self::ParameterStore(store) => store.keys().await,
        }
    }

    /// Writes a private key, once: the same key written again is no error, and no change.
    ///
    /// # Errors
    /// [`KeystoreError`] says what is wrong, where, and what to do.
    pub async fn put_key(
        &self,
        key: &Fingerprint,
        pem: &Zeroizing<String>,
    ) -> Result<(), KeystoreError> {
        match self {
            Self::Folder(folder) => folder.put_key(key, pem),
            Self::ParameterStore(store) => store.put_key(key, pem).await,
        }
    }

    /// Destroys a private key; one that is not there is no error.
    ///
    /// # Errors
    /// [`KeystoreError`] says what is wrong, where, and what to do.
    pub async fn destroy_key(&self, key: &Fingerprint) -> Result<(), KeystoreError> {
        match self {
            Self::Folder(folder) => folder.destroy_key(key),
            Self::ParameterStore(store) => store.destroy_key(key).await,
        }
    }

    /// Deletes old states of the ring, except the last few.
    ///
    /// # Errors
    /// [`KeystoreError`] says what is wrong, where, and what to do.
    pub async fn clean(&self) -> Result<(), KeystoreError> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::ParameterStore(store) => store.clean().await,
        }
    }

    /// Adds a private key whose public half CloudFront knows: the first one of a ring signs.
    ///
    /// # Errors
    /// [`KeystoreError`] when the key is none, is published, or is already there.
    pub async fn import(
        &self,
        id: &KeyPairId,
        pem: &Zeroizing<String>,
        now: EpochSeconds,
    ) -> Result<Imported, KeystoreError> {
        let stored = self.read().await?;
        let (ring, imported) = import(&stored.ring, id, pem, now)?;
        self.put_key(&imported.fingerprint, pem).await?;
        self.write(&ring, stored.revision).await?;
        Ok(imported)
    }

    /// Where a private key is, for people.
    #[must_use]
    pub fn place_of(&self, key: &Fingerprint) -> String {
        match self {
            Self::Folder(folder) => folder.key_file(key).display().to_string(),
            Self::ParameterStore(store) => store.place_of(key),
        }
    }

    /// The call that writes the ring, for people.
    #[must_use]
    pub fn describe_write(&self, after: u64) -> String {
        match self {
            Self::Folder(folder) => format!("replace {}", folder.manifest().display()),
            Self::ParameterStore(store) => {
                format!("ssm:PutParameter {}, unless it is there", store.state_name(after + 1))
            }
        }
    }

    /// The call that writes a private key, for people.
    #[must_use]
    pub fn describe_put(&self, key: &Fingerprint) -> String {
        match self {
            Self::Folder(_) => format!("write {}, for its owner only", self.place_of(key)),
            Self::ParameterStore(_) => {
                format!("ssm:PutParameter {} as SecureString", self.place_of(key))
            }
        }
    }

    /// The call that destroys a private key, for people.
    #[must_use]
    pub fn describe_destroy(&self, key: &Fingerprint) -> String {
        match self {
            Self::Folder(_) => format!("delete {}", self.place_of(key)),
            Self::ParameterStore(_) => format!("ssm:DeleteParameter {}", self.place_of(key)),
        }
    }
}

/// As the configuration writes it.
impl std::fmt::Display for Keystore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "dir:{}", folder.path().display()),
            Self::ParameterStore(store) => store.fmt(f),
        }
    }
}

impl ActiveRing {
    fn new(stored: Stored, key: Arc<PrivateKey>) -> Result<Self, KeystoreError> {
        let active = stored.ring.active().filter(|member| member.fingerprint == *key.fingerprint());
        let id = active.ok_or(RingError::ActiveCount(0))?.id.clone();
        if key.public().is_published() {
            return Err(RingError::Published(id.to_string()).into());
        }
        let Stored { ring, revision } = stored;
        Ok(Self { ring, revision, active: SigningKey { id, key } })
    }

    fn assemble(
        stored: Stored,
        place: &str,
        read: impl FnOnce(&Fingerprint) -> Result<PrivateKey, KeystoreError>,
    ) -> Result<Self, KeystoreError> {
        let active =
            stored.ring.active().ok_or_else(|| KeystoreError::NoActive(place.to_owned()))?;
        let key = read(&active.fingerprint)?;
        Self::new(stored, Arc::new(key))
    }
}

/// Reads a private key that is to be a certain one.
fn check_key(
    pem: &str,
    fingerprint: &Fingerprint,
    place: &str,
) -> Result<PrivateKey, KeystoreError> {
    let wrong = |source| KeystoreError::Key { place: place.to_owned(), source };
    let key = PrivateKey::from_pem(pem).map_err(wrong)?;
    if key.fingerprint() == fingerprint {
        return Ok(key);
    }
    Err(KeystoreError::OtherKey { place: place.to_owned(), found: key.fingerprint().clone() })
}

/// A ring with one more key, whose public half somebody has published by hand.
fn import(
    ring: &KeyRing,
    id: &KeyPairId,
    pem: &str,
    now: EpochSeconds,
) -> Result<(KeyRing, Imported), KeystoreError> {
    let key = PrivateKey::from_pem(pem)?;
    if key.public().is_published() {
        return Err(RingError::Published(id.to_string()).into());
    }
    let fingerprint = key.fingerprint().clone();
    if ring.member(id).is_some() || ring.with_fingerprint(&fingerprint).is_some() {
        return Err(KeystoreError::Exists(id.to_string()));
    }
    let first = ring.members().is_empty();
    let mut ring = ring.stage(id, &fingerprint, now, now)?;
    if first {
        ring = ring.promote(id, now)?;
    }
    let state = if first { KeyState::Active } else { KeyState::Staged };
    Ok((ring, Imported { id: id.clone(), state, fingerprint }))
}
