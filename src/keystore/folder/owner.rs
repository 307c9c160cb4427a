//! Whose a folder of keys is, who may change it, and whose files in it are believed.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::files::at;
use crate::keystore::KeystoreError;

/// The bits of a mode by which others than the owner may write.
pub(super) const OTHERS_WRITE: u32 = 0o022;

/// The bits of a mode by which who is neither the owner nor of the group may do anything.
pub(super) const STRANGERS: u32 = 0o007;

const ROOT: u32 = 0;

/// The user and the group that a folder belongs to; nobody else may write into it.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    folder: PathBuf,
    user: u32,
    group: u32,
}

impl Owner {
    /// Reads whose a folder is; none if it is not there.
    pub(super) fn of(folder: &Path) -> Result<Option<Self>, KeystoreError> {
        let metadata = match fs::metadata(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(at("cannot read", folder))?,
        };
        if metadata.mode() & OTHERS_WRITE != 0 {
            return Err(KeystoreError::Writable(folder.to_owned()));
        }
        let (user, group) = (metadata.uid(), metadata.gid());
        Ok(Some(Self { folder: folder.to_owned(), user, group }))
    }

    /// Refuses a user whose files the owner could not read: anybody but the owner, and root, who
    /// gives them away.
    pub(super) fn admit(&self, user: u32) -> Result<(), KeystoreError> {
        if user == self.user || user == ROOT {
            return Ok(());
        }
        Err(KeystoreError::NotOwner { folder: self.folder.clone(), user: self.user })
    }

    /// Gives a file that root has just made to the folder's owner and group.
    pub(super) fn give(&self, file: &File) -> io::Result<()> {
        let made = file.metadata()?;
        if !geteuid().is_root() || (made.uid(), made.gid()) == (self.user, self.group) {
            return Ok(());
        }
        fchown(file, Some(self.user), Some(self.group))
    }

    /// Refuses a file with any of the `denied` bits in its mode, and one that somebody else has put
    /// there.
    pub(super) fn trust(
        &self,
        path: &Path,
        file: &File,
        denied: u32,
        refusal: fn(PathBuf) -> KeystoreError,
    ) -> Result<(), KeystoreError> {
        let metadata = file.metadata().map_err(at("cannot read", path))?;
        if metadata.mode() & denied != 0 {
            return Err(refusal(path.to_owned()));
        }
        self.check_author(path, &metadata)
    }

    fn check_author(&self, path: &Path, metadata: &Metadata) -> Result<(), KeystoreError> {
        let user = metadata.uid();
        if [self.user, ROOT, geteuid().as_raw()].contains(&user) {
            return Ok(());
        }
        let (path, folder) = (path.to_owned(), self.folder.clone());
        Err(KeystoreError::Foreign { path, folder, user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_and_root_are_admitted_and_nobody_else() {
        let owner = Owner { folder: PathBuf::from("keys"), user: 1000, group: 1000 };
        assert!(owner.admit(1000).is_ok());
        assert!(owner.admit(ROOT).is_ok());
        let error = owner.admit(1001).unwrap_err().to_string();
        assert!(error.contains("sudo -u '#1000'") && error.contains("as root"), "{error}");
    }
}
