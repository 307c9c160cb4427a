//! `[keys]`: where signing keys come from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::quantity::duration_within;
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
    /// How often Parameter Store is asked for a change. A folder is looked at every two seconds.
    pub poll_interval: Duration,
    /// How long keys go on signing while their source does not answer. A rotation that cannot ask
    /// the instances waits as long before it retires a key.
    pub max_outage: Duration,
}

/// Seconds from one look at Parameter Store to the next.
const POLL_INTERVAL: u64 = 30;

/// Seconds that keys go on signing while their source does not answer: a day.
const MAX_OUTAGE: u64 = 86_400;

/// One answer that is late or lost is no outage.
const POLLS_PER_OUTAGE: u32 = 3;

impl Keys {
    /// The largest `keys.max_outage` that a configuration may have.
    pub const LONGEST_OUTAGE: Duration = Duration::from_hours(720);

    /// Keys from a place, and the defaults for everything else.
    #[must_use]
    pub fn from_source(source: KeySource) -> Self {
        Self {
            source,
            hash: HashAlgorithm::default(),
            poll_interval: Duration::from_secs(POLL_INTERVAL),
            max_outage: Duration::from_secs(MAX_OUTAGE),
        }
    }

    /// Signing would end between two looks at a Parameter Store that answers every time.
    fn outlive_missed_answers(&self) -> Result<(), String> {
        let (poll, outage) = (self.poll_interval.as_secs(), self.max_outage.as_secs());
        let least = (self.poll_interval * POLLS_PER_OUTAGE).as_secs();
        if !matches!(self.source, KeySource::ParameterStore(_)) || outage >= least {
            return Ok(());
        }
        Err(format!(
            "{outage} s is less than {POLLS_PER_OUTAGE} times keys.poll_interval, {poll} s: one answer \
             that is late would end signing; write {least} or more, or a shorter keys.poll_interval"
        ))
    }
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
    /// Parameters under a path.
    ParameterStore(ParameterPath),
}

/// A path in Parameter Store, such as `/edgemint/prod`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterPath(String);

impl ParameterPath {
    /// The levels that Parameter Store allows, less those that are added.
    const MAX_LEVELS: usize = 13;

    /// Reads a path: names of letters, digits, `.`, `-` and `_`, each behind a slash.
    ///
    /// # Errors
    /// A text for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let names: Vec<&str> = text.split('/').skip(1).collect();
        let usable = text.starts_with('/')
            && text.len() <= 512
            && names.len() <= Self::MAX_LEVELS
            && names.iter().all(|name| !name.is_empty() && name.chars().all(allowed));
        if !usable {
            return Err(format!(
                "{text:?} is no path of parameters; write for example /edgemint/prod"
            ));
        }
        let first = names[0].to_ascii_lowercase();
        if first.starts_with("aws") || first.starts_with("ssm") {
            return Err(format!("{text:?}: AWS keeps names that begin with aws or ssm for itself"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ParameterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As it is written in the configuration.
impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "dir:{}", path.display()),
            Self::Credential { name, .. } => write!(f, "credential:{name}"),
            Self::ParameterStore(path) => write!(f, "ssm:{path}"),
        }
    }
}

impl KeySource {
    /// Reads `dir:FOLDER` or `ssm:/PATH`, as the command line does; folders are relative to the
    /// working directory.
    ///
    /// # Errors
    /// A text for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_source(text, Path::new(""), None)
    }
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
    let poll = raw.poll_interval.as_ref();
    let poll_interval =
        duration_within("keys.poll_interval", poll, POLL_INTERVAL, 1..=3600, problems);
    let outage = raw.max_outage.as_ref();
    let max_outage = duration_within(
        "keys.max_outage",
        outage,
        MAX_OUTAGE,
        60..=Keys::LONGEST_OUTAGE.as_secs(),
        problems,
    );
    let keys = Keys {
        source: source?,
        hash: hash?,
        poll_interval: poll_interval?,
        max_outage: max_outage?,
    };
    problems.take("keys.max_outage", keys.outlive_missed_answers())?;
    Some(keys)
}

fn parse_source(
    text: &str,
    folder: &Path,
    credentials: Option<&Path>,
) -> Result<KeySource, String> {
    let unknown = || {
        format!(
            "{text:?} is no source of keys; write dir:FOLDER, ssm:/PATH, or credential:NAME in a unit"
        )
    };
    match text.split_once(':') {
        Some(("dir", path)) if !path.is_empty() => Ok(KeySource::Folder(folder.join(path))),
        Some(("ssm", path)) => ParameterPath::parse(path).map(KeySource::ParameterStore),
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
