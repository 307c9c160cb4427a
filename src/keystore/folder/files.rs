//! The files of a folder: read within bounds, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::OFlags;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::MANIFEST;
use super::owner::{OTHERS_WRITE, Owner, STRANGERS};
use crate::clock::EpochSeconds;
use crate::keystore::{KeystoreError, Stored, check_key};
use crate::signing::{Fingerprint, PrivateKey};

/// The extension of a file that is being written.
pub(super) const BESIDE: &str = "new";

/// The most bytes of a file that is read here.
const MAX_FILE_BYTES: usize = 64 * 1024;

pub(super) fn read_manifest(path: &Path, owner: &Owner) -> Result<Option<Stored>, KeystoreError> {
    let Some(file) = open(path, owner)? else { return Ok(None) };
    owner.trust(path, &file, OTHERS_WRITE, KeystoreError::Writable)?;
    let text = read_text(file).map_err(at("cannot read", path))?;
    let wrong = |source| KeystoreError::Document { place: path.display().to_string(), source };
    Stored::parse(&text).map(Some).map_err(wrong)
}

pub(super) fn read_key(
    path: &Path,
    fingerprint: &Fingerprint,
    owner: &Owner,
) -> Result<PrivateKey, KeystoreError> {
    let missing = || KeystoreError::Missing(path.display().to_string());
    let file = open(path, owner)?.ok_or_else(missing)?;
    owner.trust(path, &file, OTHERS_WRITE | STRANGERS, KeystoreError::Exposed)?;
    let pem = read_text(file).map_err(at("cannot read", path))?;
    check_key(&pem, fingerprint, &path.display().to_string())
}

/// Reads a text that only its owner and its group may read, in a folder that only its owner may change.
pub(in crate::keystore) fn read_private(path: &Path) -> Result<Zeroizing<String>, KeystoreError> {
    let missing = || KeystoreError::NoSecret(path.display().to_string());
    let owner = owner_of_folder(path)?;
    let file = open(path, &owner)?.ok_or_else(missing)?;
    owner.trust(path, &file, OTHERS_WRITE | STRANGERS, KeystoreError::Exposed)?;
    read_text(file).map_err(at("cannot read", path))
}

/// Replaces such a text, whole or not at all.
pub(in crate::keystore) fn replace_private(
    path: &Path,
    content: &[u8],
) -> Result<(), KeystoreError> {
    replace(path, content, &owner_of_folder(path)?)
}

fn owner_of_folder(path: &Path) -> Result<Owner, KeystoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let missing = || KeystoreError::NoFolder { folder: folder.to_owned(), file: path.to_owned() };
    Owner::of(folder)?.ok_or_else(missing)
}

/// Opens a regular file, or a link to one, if it is there.
fn open(path: &Path, owner: &Owner) -> Result<Option<File>, KeystoreError> {
    // A pipe without a writer is not waited for, and no terminal becomes this program's own.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            owner.admit(geteuid().as_raw())?;
            return Err(at("cannot read", path)(error));
        }
        file => file.map_err(at("cannot read", path))?,
    };
    if !file.metadata().map_err(at("cannot read", path))?.is_file() {
        return Err(at("cannot read", path)(io::Error::other("not a regular file")));
    }
    Ok(Some(file))
}

/// Reads a text, and of an endless one no more than is needed to refuse it.
fn read_text(source: impl Read) -> io::Result<Zeroizing<String>> {
    const MOST: usize = MAX_FILE_BYTES + 1;
    // With room for all of it: a text that has to move leaves copies.
    let mut text = Zeroizing::new(String::with_capacity(MOST));
    source.take(MOST as u64).read_to_string(&mut text)?;
    if text.len() == MOST {
        return Err(io::Error::other(format!(
            "more than the {MAX_FILE_BYTES} bytes that are read"
        )));
    }
    Ok(text)
}

/// When a file was last changed: for one that is written once, when it was made.
pub(super) fn changed(path: &Path) -> io::Result<EpochSeconds> {
    let since = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH);
    Ok(EpochSeconds(since.map_or(0, |since| since.as_secs())))
}

/// Writes a file for its owner only: whole or not at all, and never over another.
pub(super) fn write_once(path: &Path, content: &[u8], owner: &Owner) -> Result<(), KeystoreError> {
    let beside = write_beside(path, content, owner)?;
    let linked = fs::hard_link(&beside, path).map_err(at("cannot write", path));
    fs::remove_file(&beside).map_err(at("cannot delete", &beside))?;
    linked
}

pub(super) fn replace(path: &Path, content: &[u8], owner: &Owner) -> Result<(), KeystoreError> {
    let beside = write_beside(path, content, owner)?;
    fs::rename(beside, path).map_err(at("cannot write", path))
}

/// Writes a new file for its owner only, beside the one that it is to become.
fn write_beside(path: &Path, content: &[u8], owner: &Owner) -> Result<PathBuf, KeystoreError> {
    let beside = path.with_extension(BESIDE);
    let write = || {
        let mut file = make(&beside, owner)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(at("cannot write", &beside))?;
    Ok(beside)
}

/// Makes an empty file, where nothing is, for the folder's owner only.
fn make(path: &Path, owner: &Owner) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    owner.give(&file)?;
    Ok(file)
}

/// Opens the file that is held during a change, and makes it where there is none.
pub(super) fn open_lock(path: &Path, owner: &Owner) -> io::Result<File> {
    match make(path, owner) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Never through a link: root would open what the folder's owner points it to.
            let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
            OpenOptions::new().write(true).custom_flags(flags).open(path)
        }
        made => made,
    }
}

/// Removes what a change that was killed left half-written, and nothing else.
pub(super) fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if is_written_beside(&path) && entry.file_type()?.is_file() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Whether the name is one that this module gives to a file that is being written.
fn is_written_beside(path: &Path) -> bool {
    let is_key = |stem: &str| stem.parse::<Fingerprint>().is_ok();
    path.file_name() == Path::new(MANIFEST).with_extension(BESIDE).file_name()
        || path.extension().is_some_and(|extension| extension == BESIDE)
            && path.file_stem().and_then(|stem| stem.to_str()).is_some_and(is_key)
}

/// Makes what was done in a folder last through a loss of power.
pub(super) fn sync(folder: &Path) -> Result<(), KeystoreError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(at("cannot write", folder))
}

pub(super) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeystoreError {
    let path: PathBuf = path.to_owned();
    move |source| KeystoreError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_file_is_refused_and_one_of_the_greatest_length_is_read() {
        let error = read_text(io::repeat(b'x')).unwrap_err().to_string();
        assert!(error.contains("more than the 65536 bytes"), "{error}");
        let longest = io::repeat(b'x').take(MAX_FILE_BYTES as u64);
        assert_eq!(read_text(longest).unwrap().len(), MAX_FILE_BYTES);
    }
}
