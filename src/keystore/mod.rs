//! Where key rings live.
//!
//! A source is read whole and gives a [`KeyRing`] or an error, so that a half-written one never
//! signs. The published keys of `keys-example/` are refused on the way in and on the way out.

mod folder;

use std::path::PathBuf;

pub use self::folder::{Imported, MANIFEST, import, load, load_credential};
use crate::signing::{KeyError, RingError};

#[cfg(doc)]
use crate::signing::KeyRing;

/// Why a ring cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// A file that cannot be read or written.
    #[error("{action} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// No manifest: nothing was imported yet.
    #[error(
        "{folder} holds no key ring; make a key, give its public half to CloudFront, and then: \
         edgemint keys import --dir {folder} --key-pair-id ID KEY.pem",
        folder = .0.display()
    )]
    NoRing(PathBuf),
    /// No manifest among the credentials: the unit loads no key ring under this name.
    #[error(
        "there is no {name}_{manifest} in {folder}; let the unit load the folder of a key ring, with \
         systemd 251 or later: LoadCredential={name}:/etc/edgemint/keys",
        manifest = MANIFEST, folder = .folder.display()
    )]
    NoCredential {
        /// What the configuration calls the ring.
        name: String,
        /// The folder of the unit's credentials.
        folder: PathBuf,
    },
    /// A manifest that is not of the form that is written.
    #[error("{path}: {message}", path = .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A private key that everybody on the machine may read.
    #[error("{path} can be read by everybody on this machine; run: chmod 600 {path}", path = .0.display())]
    Exposed(PathBuf),
    /// A PEM file that is no key.
    #[error("{path}: {source}", path = .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        source: KeyError,
    },
    /// Keys that make no ring.
    #[error("{path}: {source}", path = .path.display())]
    Ring {
        /// The manifest.
        path: PathBuf,
        /// Why not.
        source: RingError,
    },
    /// A text that is no key.
    #[error(transparent)]
    Pem(#[from] KeyError),
    /// A PEM file that no manifest names and that holds another key.
    #[error(
        "{path} is there, with another key in it, but not in the ring; move it away and try again",
        path = .0.display()
    )]
    Stray(PathBuf),
    /// An ID or key that is already there. Keys are never overwritten.
    #[error("the key {0} is already in the ring; keys are never overwritten")]
    Exists(String),
}
