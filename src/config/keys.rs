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
}

pub(super) fn check(
    raw: Option<raw::Keys>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<Keys> {
    let raw = raw.unwrap_or_default();
    let source = problems.require("keys.source", raw.source, "source = \"dir:keys\"")?;
    let source = match source.strip_prefix("dir:") {
        Some(path) if !path.is_empty() => Some(KeySource::Folder(folder.join(path))),
        _ => {
            problems
                .add("keys.source", format!("{source:?} is no source of keys; write dir:FOLDER"));
            None
        }
    };
    let hash = match raw.hash {
        None => Some(HashAlgorithm::default()),
        Some(text) => problems.take("keys.hash", text.parse()),
    };
    Some(Keys { source: source?, hash: hash? })
}
