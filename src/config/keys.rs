//! `[keys]`: where signing keys come from.

use std::path::{Path, PathBuf};

use super::raw;
use super::source::Problems;
use crate::signing::HashAlgorithm;

/// Where signing keys come from, and what they sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Where the ring is.
    pub source: KeySource,
    /// The digest under signatures.
    pub hash: HashAlgorithm,
}

/// A place that holds a key ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A folder with a manifest and PEM files.
    Folder(PathBuf),
    /// Such a folder, as a systemd unit loads it: each file `x` is the credential `<name>_x`.
    Credential {
        /// The folder of the unit's credentials.
        folder: PathBuf,
        /// What `LoadCredential=` calls the ring.
        name: String,
    },
}

pub(super) fn check(
    raw: Option<raw::Keys>,
    folder: &Path,
    credentials: Option<&Path>,
    problems: &mut Problems,
) -> Option<Keys> {
    let raw = raw.unwrap_or_default();
    let source = problems.require("keys.source", raw.source, "source = \"dir:keys\"")?;
    let source = problems.take("keys.source", parse_source(&source, folder, credentials));
    let hash = match raw.hash {
        None => Some(HashAlgorithm::default()),
        Some(text) => problems.take("keys.hash", text.parse()),
    };
    Some(Keys { source: source?, hash: hash? })
}

fn parse_source(
    text: &str,
    folder: &Path,
    credentials: Option<&Path>,
) -> Result<KeySource, String> {
    let unknown =
        || format!("{text:?} is no source of keys; write dir:FOLDER, or credential:NAME in a unit");
    match text.split_once(':') {
        Some(("dir", path)) if !path.is_empty() => Ok(KeySource::Folder(folder.join(path))),
        Some(("credential", name)) if is_credential(name) => match credentials {
            Some(folder) => {
                Ok(KeySource::Credential { folder: folder.to_owned(), name: name.to_owned() })
            }
            None => Err(format!(
                "there are no credentials here: CREDENTIALS_DIRECTORY is not set. systemd sets it \
                 for a unit with LoadCredential={name}:FOLDER; elsewhere write dir:FOLDER"
            )),
        },
        _ => Err(unknown()),
    }
}

/// A name that stays within the folder of credentials.
fn is_credential(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.chars().all(allowed)
}
