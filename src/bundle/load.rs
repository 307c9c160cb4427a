//! Reads a folder into a [`Bundle`]: every regular file, within limits, never outside the folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Bundle;
use super::file::FileError;
use super::inject::Injection;
use super::walk::Walk;

/// How much a bundle may hold. A wrong folder (a home, a dataset) hits these instead of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files in memory together, before compression. Default: 512 MiB.
    pub total_bytes: u64,
    /// Number of files. Default: 20 000.
    pub files: usize,
    /// Bytes of a file beyond which it stays on disk and is read from there for each request; pages and
    /// scripts never do. Default: 8 MiB.
    pub stream_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total_bytes: 512 * 1024 * 1024, files: 20_000, stream_bytes: 8 << 20 }
    }
}

/// Why a folder is not a viewer bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The folder itself cannot be opened.
    #[error(
        "the viewer bundle {} is not a readable folder; name the folder that holds the built \
         viewer", path.display()
    )]
    Root {
        /// The folder as configured.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no page to show.
    #[error(
        "the viewer bundle {} holds no index.html; name the folder that the viewer's build wrote, \
         not its sources", root.display()
    )]
    NoIndex {
        /// The folder.
        root: PathBuf,
    },
    /// A file or folder inside the bundle cannot be read.
    #[error("cannot read {}; make it readable for this service, or remove it", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A symbolic link that leads nowhere, or to itself.
    #[error("the link {} cannot be followed; repair it, or remove it", path.display())]
    BrokenLink {
        /// The link.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A symbolic link that would publish something from outside the folder.
    #[error(
        "the link {} leads to {}, outside the viewer bundle {}; copy the file into the bundle, or \
         remove the link", path.display(), target.display(), root.display()
    )]
    LeavesRoot {
        /// The link.
        path: PathBuf,
        /// Where it ends.
        target: PathBuf,
        /// The folder that it leaves.
        root: PathBuf,
    },
    /// More files than [`Limits::files`].
    #[error(
        "the viewer bundle {} holds more than {limit} files; name the folder that the viewer's \
         build wrote, or raise limits.bundle_files", root.display()
    )]
    TooManyFiles {
        /// The folder.
        root: PathBuf,
        /// The limit, in files.
        limit: usize,
    },
    /// More bytes than [`Limits::total_bytes`].
    #[error(
        "the viewer bundle exceeds {limit} bytes at {}; keep data out of the bundle, or raise \
         limits.bundle_bytes", path.display()
    )]
    TooLarge {
        /// The file that did not fit any more.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A file that cannot be served.
    #[error("{} {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: FileError,
    },
}

impl Bundle {
    /// Reads every regular file below `root`, into memory but for those over [`Limits::stream_bytes`].
    ///
    /// Blocks on the file system: call it at start, or off the async threads. Links to files
    /// inside the folder are followed, also through names that begin with a dot, as container
    /// volumes lay them out. Whoever can write to the folder decides what is served; the checks
    /// catch accidents, not a race against that person.
    ///
    /// # Errors
    ///
    /// A folder, file or link that cannot be read, a link that leaves the folder, more than
    /// `limits` allow, or no `index.html` at the top. Each names the path and what to do.
    pub fn load(root: &Path, limits: Limits, injection: &Injection) -> Result<Self, LoadError> {
        let real = fs::canonicalize(root)
            .and_then(|real| {
                if real.is_dir() { Ok(real) } else { Err(io::ErrorKind::NotADirectory.into()) }
            })
            .map_err(|source| LoadError::Root { path: root.to_owned(), source })?;

        let mut walk = Walk::new(&real, limits, injection);
        walk.run()?;
        let bundle = Self::assemble(walk.files, walk.skipped);
        match bundle.index() {
            Some(_) => Ok(bundle),
            None => Err(LoadError::NoIndex { root: root.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::testing::{folder, load, paths};
    use super::*;

    #[test]
    fn load_reads_every_file_with_its_bytes() {
        let root = folder(&["assets/a.js", "assets/deep/er/b.wasm", "a.js.map", "docs/index.html"]);
        fs::write(root.path().join("empty"), "").unwrap();
        let bundle = load(&root).unwrap();
        assert_eq!(
            paths(&bundle),
            [
                "/a.js.map",
                "/assets/a.js",
                "/assets/deep/er/b.wasm",
                "/docs/index.html",
                "/empty",
                "/index.html"
            ]
        );
        assert_eq!(bundle.get("/assets/a.js").unwrap().body().unwrap(), "assets/a.js");
        assert_eq!(bundle.get("/docs/").unwrap().body().unwrap(), "docs/index.html");
        assert_eq!(bundle.get("/empty").unwrap().body().unwrap(), "");
        assert_eq!(bundle.total_bytes(), 6 + 11 + 21 + 8 + 15);
        assert_eq!(bundle.skipped(), []);
    }

    #[test]
    fn load_accepts_a_root_that_is_a_link() {
        let root = folder(&["a.js"]);
        let other = tempfile::tempdir().unwrap();
        let link = other.path().join("current");
        symlink(root.path(), &link).unwrap();
        let bundle = Bundle::load(&link, Limits::default(), &Injection::default()).unwrap();
        assert_eq!(paths(&bundle), ["/a.js", "/index.html"]);
    }

    #[test]
    fn load_stops_at_its_limits() {
        let root = folder(&["a.js", "b.js"]);
        let load = |total_bytes, files| {
            let limits = Limits { total_bytes, files, ..Limits::default() };
            Bundle::load(root.path(), limits, &Injection::default())
        };
        // 6 + 4 + 4 bytes in 3 files.
        assert!(load(14, 3).is_ok());
        assert!(matches!(load(14, 2), Err(LoadError::TooManyFiles { limit: 2, .. })));
        for limit in [0, 3, 4, 7, 8, 13] {
            let error = load(limit, 3).unwrap_err();
            assert!(matches!(error, LoadError::TooLarge { .. }), "{limit}: {error}");
        }
        let error = load(7, 3).unwrap_err().to_string();
        assert!(error.contains("exceeds 7 bytes at") && error.contains("/b.js;"), "{error}");
        let default = Limits { total_bytes: 536_870_912, files: 20_000, stream_bytes: 8_388_608 };
        assert_eq!(Limits::default(), default);
    }

    #[test]
    fn load_names_the_folder_that_is_no_bundle() {
        let root = folder(&[]);
        for name in ["absent", "index.html"] {
            let path = root.path().join(name);
            let error = Bundle::load(&path, Limits::default(), &Injection::default()).unwrap_err();
            assert!(matches!(error, LoadError::Root { .. }), "{error}");
            assert!(error.to_string().contains(name), "{error}");
        }
        fs::remove_file(root.path().join("index.html")).unwrap();
        assert!(matches!(load(&root), Err(LoadError::NoIndex { .. })));
    }

    #[test]
    fn load_names_the_file_that_it_cannot_read() {
        let root = folder(&["a.js"]);
        let path = root.path().join("a.js");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        // Root may read everything.
        if fs::File::open(&path).is_err() {
            let error = load(&root).unwrap_err();
            assert!(matches!(error, LoadError::Read { .. }), "{error}");
            assert!(error.to_string().contains("/a.js; make it readable"), "{error}");
        }
    }
}
