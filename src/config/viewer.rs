//! `[viewer]`: the viewer bundle.

use std::path::{Path, PathBuf};

use super::raw;
use super::source::Problems;

/// The viewer bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The folder that holds `index.html`.
    pub root: PathBuf,
}

pub(super) fn check(
    raw: Option<raw::Viewer>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<Viewer> {
    let root = raw?.root;
    let root = problems.require("viewer.root", root, "root = \"/srv/neuroglancer\"")?;
    Some(Viewer { root: folder.join(root) })
}
