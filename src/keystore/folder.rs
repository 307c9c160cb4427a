//! A ring in a folder: a manifest, `ring.json`, and one `<fingerprint>.pem` per key.
//!
//! PEM files are written once, for their owner only. The manifest is replaced atomically, so that a
//! reader, or a machine that loses power, sees the old ring or the new one.

mod files;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use self::files::{
    at, changed, read_key, read_manifest, remove_leftovers, replace, sync, write_once,
};
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
        let stored = read_manifest(&self.manifest())?
            .ok_or_else(|| KeystoreError::NoRing(self.0.clone()))?;
        ActiveRing::assemble(stored, &self.0.display().to_string(), |key| self.key(key))
    }

    /// Reads the ring; an empty one if there is none.
    ///
    /// # Errors
    /// [`KeystoreError`] names the file and what to do about it.
    pub fn read(&self) -> Result<Stored, KeystoreError> {
        Ok(read_manifest(&self.manifest())?.unwrap_or_default())
    }

    /// Replaces the ring of revision `after`.
    ///
    /// # Errors
    /// [`KeystoreError::Conflict`] when somebody else has changed it since.
    pub fn write(&self, ring: &KeyRing, after: u64) -> Result<Stored, KeystoreError> {
        let _lock = self.lock()?;
        if self.read()?.revision != after {
            return Err(KeystoreError::Conflict(self.0.display().to_string()));
        }
        let stored = Stored { ring: ring.clone(), revision: after + 1 };
        let path = self.manifest();
        let wrong = |source| KeystoreError::Document { place: path.display().to_string(), source };
        let text = stored.to_text().map_err(wrong)?;
        replace(&path, text.as_bytes()).map_err(at("cannot write", &path))?;
        sync(&self.0)?;
        Ok(stored)
    }

    /// Reads a private key, and checks that it is the one that its name says.
    ///
    /// # Errors
    /// [`KeystoreError`] names the file and what to do about it.
    pub fn key(&self, key: &Fingerprint) -> Result<PrivateKey, KeystoreError> {
        read_key(&self.key_file(key), key)
    }

    /// The private keys that are there, whether a ring knows them or not.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn keys(&self) -> Result<Vec<StoredKey>, KeystoreError> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(at("cannot read", &self.0))?,
        };
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
        let _lock = self.lock()?;
        let path = self.key_file(key);
        if path.exists() {
            // Whatever its form, it is this key, or an error.
            return read_key(&path, key).map(drop);
        }
        write_once(&path, pem.as_bytes()).map_err(at("cannot write", &path))?;
        sync(&self.0)
    }

    /// Deletes a private key; one that is not there is no error.
    ///
    /// # Errors
    /// When the file cannot be deleted.
    pub fn destroy_key(&self, key: &Fingerprint) -> Result<(), KeystoreError> {
        let _lock = self.lock()?;
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
    fn lock(&self) -> Result<File, KeystoreError> {
        let folder = self.0.as_path();
        // For the owner only is the folder of the keys; those above it are as the system makes them.
        folder.parent().map_or(Ok(()), fs::create_dir_all).map_err(at("cannot make", folder))?;
        let make = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        make.map_err(at("cannot make the folder", folder))?;
        let path = folder.join(LOCK);
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = file.map_err(at("cannot write", &path))?;
        lock.lock().map_err(at("cannot lock", &path))?;
        remove_leftovers(folder).map_err(at("cannot clean", folder))?;
        Ok(lock)
    }
}

impl Credential {
    /// Reads the ring, and the key that signs.
    ///
    /// # Errors
    /// [`KeystoreError`] names the file and what to do about it.
    pub fn load(&self) -> Result<ActiveRing, KeystoreError> {
        let path = |file: &str| self.folder.join(format!("{}_{file}", self.name));
        let manifest = path(MANIFEST);
        let stored = read_manifest(&manifest)?.ok_or_else(|| KeystoreError::NoCredential {
            name: self.name.clone(),
            folder: self.folder.clone(),
        })?;
        let place = manifest.display().to_string();
        ActiveRing::assemble(stored, &place, |key| read_key(&path(&format!("{key}.{PEM}")), key))
    }
}

#[cfg(test)]
mod tests;
