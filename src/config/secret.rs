//! Where a secret is: in the configuration, in a file of its own, or in Parameter Store.

use std::fmt;
use std::path::{Path, PathBuf};

use super::ParameterPath;
use super::source::{Noted, Problems};
use crate::secret::Secret;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// It stands in the configuration.
    Here(Secret),
    /// It is the content of a file that others may not read.
    File(PathBuf),
    /// It is the value of a parameter, which may not have been read yet.
    Parameter(ParameterPath),
}

/// As it may be shown.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_) => f.write_str("in the configuration"),
            Self::File(path) => path.display().fmt(f),
            Self::Parameter(name) => write!(f, "ssm:{name}"),
        }
    }
}

/// Reads `KEY` and `KEY_file`, of which at most one may be given.
pub(super) fn check(
    key: &str,
    value: Option<Secret>,
    file: Option<String>,
    folder: &Path,
    problems: &mut Problems,
) -> Result<Option<SecretSource>, Noted> {
    match (value, file) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            problems.add(format!("{key}_file"), format!("{key} is given as well; leave one out"));
            Err(Noted)
        }
        (None, Some(file)) => Ok(Some(SecretSource::File(folder.join(file)))),
        (Some(value), None) => match value.expose().strip_prefix("ssm:") {
            Some(name) => {
                let name = problems.take(key, ParameterPath::parse(name)).ok_or(Noted)?;
                Ok(Some(SecretSource::Parameter(name)))
            }
            None if value.expose().is_empty() => {
                problems.add(key, "is empty; leave it out where there is no secret");
                Err(Noted)
            }
            None => Ok(Some(SecretSource::Here(value))),
        },
    }
}
