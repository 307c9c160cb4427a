//! The files of a folder: read within bounds, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use zeroize::Zeroizing;

use crate::clock::EpochSeconds;
use crate::keystore::{KeystoreError, Stored, check_key};
use crate::signing::{Fingerprint, PrivateKey};

/// The extension of a file that is being written.
pub(super) const BESIDE: &str = "new";

/// The most bytes of a file that is read here.
const MAX_FILE_BYTES: u64 = 64 * 1024;

pub(super) fn read_manifest(path: &Path) -> Result<Option<Stored>, KeystoreError> {
    let text = match read_bounded(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(at("cannot read", path)(source)),
    };
    let wrong = |source| KeystoreError::Document { place: path.display().to_string(), source };
    Stored::parse(&text).map(Some).map_err(wrong)
}

pub(super) fn read_key(
    path: &Path,
    fingerprint: &Fingerprint,
) -> Result<PrivateKey, KeystoreError> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KeystoreError::Missing(path.display().to_string()));
        }
        metadata => metadata.map_err(at("cannot read", path))?,
    };
    if metadata.permissions().mode() & 0o007 != 0 {
        return Err(KeystoreError::Exposed(path.to_owned()));
    }
    let pem = Zeroizing::new(read_bounded(path).map_err(at("cannot read", path))?);
    let place = path.display().to_string();
    check_key(&pem, fingerprint, &place)
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let size = fs::metadata(path)?.len();
    if size > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("{size} bytes, more than the {MAX_FILE_BYTES} read")));
    }
    fs::read_to_string(path)
}

/// When a file was last changed: for one that is written once, when it was made.
pub(super) fn changed(path: &Path) -> io::Result<EpochSeconds> {
    let since = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH);
    Ok(EpochSeconds(since.map_or(0, |since| since.as_secs())))
}

/// Writes a file for its owner only: whole or not at all, and never over another.
pub(super) fn write_once(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = write_beside(path, content)?;
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    linked
}

pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::rename(write_beside(path, content)?, path)
}

pub(super) fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == BESIDE) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Writes a new file for its owner only, beside the one that it is to become.
fn write_beside(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let beside = path.with_extension(BESIDE);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(beside)
}

/// Makes what was done in a folder last through a loss of power.
pub(super) fn sync(folder: &Path) -> Result<(), KeystoreError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(at("cannot write", folder))
}

pub(super) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeystoreError {
    let path: PathBuf = path.to_owned();
    move |source| KeystoreError::Io { action, path, source }
}
