//! A ring in a folder: a manifest, `ring.json`, and one `<fingerprint>.pem` per key.
//!
//! PEM files are written once, for their owner only. The manifest is replaced atomically, so that a
//! reader, or a machine that loses power, sees the old ring or the new one.

mod files;
mod owner;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use self::files::{
    at, changed, open_lock, read_key, read_manifest, remove_leftovers, replace, sync, write_once,
};
pub(super) use self::files::{read_private, replace_private};
use self::owner::Owner;
use super::{ActiveRing, Imported, KeystoreError, Stored, StoredKey, import};
use crate::clock::EpochSeconds;
use crate::signing::{Fingerprint, KeyPairId, KeyRing, PrivateKey};

/// The manifest's file name.
pub const MANIFEST: &str = "ring.json";

/// Held while a ring is changed; never read.
const LOCK: &str = "ring.lock";

/// The extension of a private key's file.
const PEM: &str = "pem";

/// A folder that holds a ring, or is to hold one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

/// A change that nobody else's overlaps.
struct Change {
    owner: Owner,
    /// Let go when the change ends, however it does.
    _lock: File,
}

/// The credentials of a systemd unit: copies of the files of a folder that
/// `LoadCredential=<name>:<folder>` names, each called `<name>_<file>` (systemd.exec(5)). They are
/// copied when the unit starts, and never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The folder of the unit's credentials.
    pub folder: PathBuf,
    /// What `LoadCredential=` calls the ring.
    pub name: String,
}

impl Folder {
    /// Names a folder, which need not be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file whose change means that the ring has changed.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.0.join(MANIFEST)
    }

    /// Where a private key is.
    #[must_use]
    pub fn key_file(&self, key: &Fingerprint) -> PathBuf {
        self.0.join(format!("{key}.{PEM}"))
    }

    /// Reads the ring, and the key that signs.
    ///
    /// # Errors
    /// [`KeystoreError`] names the file and what to do about it.
    pub fn load(&self) -> Result<ActiveRing, KeystoreError> {
        let stored = self.stored()?.ok_or_else(|| KeystoreError::NoRing(self.0.clone()))?;
        ActiveRing::assemble(stored, &self.0.display().to_string(), |key| self.key(key))
    }

    /// Reads the ring; an empty one if there is none.
    ///
    /// # Errors
    /// [`KeystoreError`] names the file and what to do about it.
    pub fn read(&self) -> Result<Stored, KeystoreError> {
        Ok(self.stored()?.unwrap_or_default())
    }

    fn stored(&self) -> Result<Option<Stored>, KeystoreError> {
        let Some(owner) = Owner::of(&self.0)? else { return Ok(None) };
        read_manifest(&self.manifest(), &owner)
    }

    /// Replaces the ring of revision `after`.
    ///
    /// # Errors
    /// [`KeystoreError::Conflict`] when somebody else has changed it since.
    pub fn write(&self, ring: &KeyRing, after: u64) -> Result<Stored, KeystoreError> {
        let change = self.begin()?;
        if self.read()?.revision != after {
            return Err(KeystoreError::Conflict(self.0.display().to_string()));
        }
        let stored = Stored { ring: ring.clone(), revision: after + 1 };
        let path = self.manifest();
        let wrong = |source| KeystoreError::Document { place: path.display().to_string(), source };
        let text = stored.to_text().map_err(wrong)?;
        replace(&path, text.as_bytes(), &change.owner)?;
        sync(&self.0)?;
        Ok(stored)
    }

    /// Reads a private key, and checks that it is the one that its name says.
    ///
    /// # Errors
    /// [`KeystoreError`] names the file and what to do about it.
    pub fn key(&self, key: &Fingerprint) -> Result<PrivateKey, KeystoreError> {
        let path = self.key_file(key);
        let missing = || KeystoreError::Missing(path.display().to_string());
        read_key(&path, key, &Owner::of(&self.0)?.ok_or_else(missing)?)
    }

    /// The private keys that are there, whether a ring knows them or not.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn keys(&self) -> Result<Vec<StoredKey>, KeystoreError> {
        if Owner::of(&self.0)?.is_none() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.0).map_err(at("cannot read", &self.0))?;
        let mut keys = Vec::new();
        for entry in entries {
            let path = entry.map_err(at("cannot read", &self.0))?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let fingerprint = stem.and_then(|stem| stem.parse().ok());
            if let (Some(fingerprint), true) =
                (fingerprint, path.extension().is_some_and(|e| e == PEM))
            {
                let created = changed(&path).map_err(at("cannot read", &path))?;
                keys.push(StoredKey { fingerprint, created });
            }
        }
        keys.sort_by(|a, b| (a.created, &a.fingerprint).cmp(&(b.created, &b.fingerprint)));
        Ok(keys)
    }

    /// Writes a private key, for the owner only. One that is there already stays.
    ///
    /// # Errors
    /// [`KeystoreError`] names the file and what to do about it.
    pub fn put_key(&self, key: &Fingerprint, pem: &str) -> Result<(), KeystoreError> {
        let change = self.begin()?;
        let path = self.key_file(key);
        if path.exists() {
            // Whatever its form, it is this key, or an error.
            return read_key(&path, key, &change.owner).map(drop);
        }
        write_once(&path, pem.as_bytes(), &change.owner)?;
        sync(&self.0)
    }

    /// Deletes a private key; one that is not there is no error.
    ///
    /// # Errors
    /// When the file cannot be deleted.
    pub fn destroy_key(&self, key: &Fingerprint) -> Result<(), KeystoreError> {
        let _change = self.begin()?;
        let path = self.key_file(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(at("cannot delete", &path)).and_then(|()| sync(&self.0)),
        }
    }

    /// Adds a private key whose public half CloudFront knows: the first one of a ring signs.
    ///
    /// # Errors
    /// [`KeystoreError`] when the key is none, is published, or is already there.
    pub fn import(
        &self,
        id: &KeyPairId,
        pem: &str,
        now: EpochSeconds,
    ) -> Result<Imported, KeystoreError> {
        let stored = self.read()?;
        let (ring, imported) = import(&stored.ring, id, pem, now)?;
        self.put_key(&imported.fingerprint, pem)?;
        self.write(&ring, stored.revision)?;
        Ok(imported)
    }

    /// Makes the folder if it is not there, waits for other changes to end, and removes what one that
    /// was killed left half-written: it may hold a private key.
    fn begin(&self) -> Result<Change, KeystoreError> {
        let folder = self.0.as_path();
        // For the owner only is the folder of the keys; those above it are as the system makes them.
        folder.parent().map_or(Ok(()), fs::create_dir_all).map_err(at("cannot make", folder))?;
        let make = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        make.map_err(at("cannot make the folder", folder))?;
        let gone = || at("cannot read", folder)(io::ErrorKind::NotFound.into());
        let owner = Owner::of(folder)?.ok_or_else(gone)?;
        owner.admit(geteuid().as_raw())?;
        let path = folder.join(LOCK);
        let lock = open_lock(&path, &owner).map_err(at("cannot write", &path))?;
        lock.lock().map_err(at("cannot lock", &path))?;
        remove_leftovers(folder).map_err(at("cannot clean", folder))?;
        Ok(Change { owner, _lock: lock })
    }
}

impl Credential {
    /// Reads the ring, and the key that signs.
    ///
    /// # Errors
    /// [`KeystoreError`] names the file and what to do about it.
    pub fn load(&self) -> Result<ActiveRing, KeystoreError> {
        let path = |file: &str| self.folder.join(format!("{}_{file}", self.name));
        let missing =
            || KeystoreError::NoCredential { name: self.name.clone(), folder: self.folder.clone() };
        let owner = Owner::of(&self.folder)?.ok_or_else(missing)?;
        let manifest = path(MANIFEST);
        let stored = read_manifest(&manifest, &owner)?.ok_or_else(missing)?;
        let key = |key: &Fingerprint| read_key(&path(&format!("{key}.{PEM}")), key, &owner);
        ActiveRing::assemble(stored, &manifest.display().to_string(), key)
    }
}

#[cfg(test)]
mod tests;
