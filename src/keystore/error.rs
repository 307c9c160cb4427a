//! Why a ring cannot be read or changed, and what to do about it.

use std::path::PathBuf;

use super::folder::MANIFEST;
use super::{AwsProblem, DocumentError, KeyGroupError};
use crate::signing::{Fingerprint, KeyError, RingError};

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
    /// AWS refused, or could not be reached.
    #[error(transparent)]
    Aws(#[from] Box<AwsProblem>),
    /// CloudFront's keys are not as they are to be.
    #[error(transparent)]
    KeyGroup(#[from] KeyGroupError),
    /// No manifest: nothing was imported yet.
    #[error(
        "{folder} holds no key ring; make a key, give its public half to CloudFront, and then: \
         edgemint keys import --source dir:{folder} --key-pair-id ID KEY.pem",
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
    /// A ring none of whose keys has ever signed.
    #[error(
        "no key of the ring in {0} signs yet; make one, or finish making it: edgemint keys rotate"
    )]
    NoActive(String),
    /// A copy, which is nobody's to change.
    #[error(
        "credential:{0} is a unit's copy of a ring; change the folder that LoadCredential= names: \
         --source dir:/etc/edgemint/keys"
    )]
    ReadOnly(String),
    /// A text that is no ring.
    #[error("{place}: {source}")]
    Document {
        /// Where it is.
        place: String,
        /// What is wrong.
        source: DocumentError,
    },
    /// The newest state of the ring, unreadable.
    #[error("{place} is no state of a ring: {source}{}", undo(.place))]
    Damaged {
        /// The parameter.
        place: String,
        /// What is wrong.
        source: DocumentError,
    },
    /// A state of the ring under another state's number.
    #[error("{place} holds revision {revision}{}", undo(.place))]
    Misplaced {
        /// The parameter.
        place: String,
        /// What it says it is.
        revision: u64,
    },
    /// A number that no state of a ring has.
    #[error("{0} is not how a state of a ring is numbered; aws ssm delete-parameter --name {0}")]
    Misnumbered(String),
    /// Written, by this change or another one, and not to be seen.
    #[error(
        "{0} was written a moment ago and cannot be seen yet; run the command again in a minute"
    )]
    Unsettled(String),
    /// A path with far more parameters than a ring has.
    #[error("{0} holds more parameters than a ring can; give the ring a path of its own")]
    Crowded(String),
    /// A private key that lies open.
    #[error(
        "{0} is not a SecureString: the key lies open and is to be treated as stolen; delete the \
         parameter, and use another key"
    )]
    Unencrypted(String),
    /// A secret that lies open.
    #[error(
        "{0} is not a SecureString: the secret lies open; write it anew: aws ssm put-parameter --type \
         SecureString --key-id alias/edgemint --overwrite --name {0} --value …"
    )]
    OpenSecret(String),
    /// A KMS key that protects from nobody.
    #[error(
        "private keys need a KMS key of their own, since with alias/aws/ssm everybody in the account \
         can decrypt them; deploy/iam/README.md shows how to make one, rotation.kms_key names it"
    )]
    SharedKmsKey,
    /// More than a standard parameter holds.
    #[error(
        "{name} would have {bytes} bytes; a standard parameter holds {most}; a key alone, without \
         comments, is what this prints: openssl pkey -in KEY.pem"
    )]
    TooLarge {
        /// The parameter.
        name: String,
        /// Its size.
        bytes: usize,
        /// The largest size.
        most: usize,
    },
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers")]
    Random,
    /// A private key that others than its owner and its group may read, or others than its owner
    /// change.
    #[error(
        "others on this machine can read or change {path}; run: chmod 600 {path}",
        path = .0.display()
    )]
    Exposed(PathBuf),
    /// A folder of keys, or a manifest, that others than its owner may change.
    #[error(
        "others than its owner can change {path}, and with it which key signs; run: chmod go-w {path}",
        path = .0.display()
    )]
    Writable(PathBuf),
    /// A change by somebody whose files the folder's owner could not read, or a look by somebody who
    /// may not.
    #[error(
        "{folder} belongs to the user with the ID {user}; run it as the folder's owner \
         (sudo -u '#{user}' …), or as root",
        folder = .folder.display()
    )]
    NotOwner {
        /// Which folder.
        folder: PathBuf,
        /// Whose it is.
        user: u32,
    },
    /// A file that somebody else has put into a folder of keys.
    #[error(
        "{path} belongs to the user with the ID {user}, who is neither the owner of {folder} nor root; \
         find out how it came there, and only if it is right: chown --reference={folder} {path}",
        path = .path.display(), folder = .folder.display()
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Where it is.
        folder: PathBuf,
        /// Whose it is.
        user: u32,
    },
    /// A text that is no private key.
    #[error("{place}: {source}")]
    Key {
        /// Where it is.
        place: String,
        /// What it is instead.
        source: KeyError,
    },
    /// A private key under the name of another.
    #[error("{place} holds another key, {found}; move it away, and put the right one there")]
    OtherKey {
        /// Where it is.
        place: String,
        /// Whose it is.
        found: Fingerprint,
    },
    /// A private key that is not there.
    #[error("{0} is not there: the private half of this key is lost")]
    Missing(String),
    /// A secret that is not there.
    #[error("{0} is not there")]
    NoSecret(String),
    /// A folder of secrets that is not there.
    #[error(
        "there is no folder {folder}, where {file} is to be; make it, as the user that runs the service: \
         mkdir -p -m 700 '{folder}'",
        folder = .folder.display(), file = .file.display()
    )]
    NoFolder {
        /// Which folder.
        folder: PathBuf,
        /// What is looked for, or written, in it.
        file: PathBuf,
    },
    /// A secret of no characters.
    #[error("{0} is empty")]
    EmptySecret(String),
    /// A text that is no key.
    #[error(transparent)]
    Pem(#[from] KeyError),
    /// Keys that make no ring, or cannot become one.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// Somebody else changed the ring first.
    #[error(
        "somebody else has just changed the ring in {0}: this change of it was not made. Run it again, \
         or see how it stands: edgemint keys list"
    )]
    Conflict(String),
    /// An ID or key that is already there. Keys are never overwritten.
    #[error("the key {0} is already in the ring; keys are never overwritten")]
    Exists(String),
}

/// How to do without a state, as the end of a sentence.
fn undo(place: &str) -> String {
    format!("; the state before it counts again after: aws ssm delete-parameter --name {place}")
}
