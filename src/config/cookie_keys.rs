//! Where the keys are that seal cookies and tokens of our own.

use std::fmt;
use std::path::{Path, PathBuf};

use super::secret::{self, SecretSource};
use super::source::{Noted, Problems};
use super::{ParameterPath, raw};
use crate::cookies::sealed::CookieKeys;
use crate::secret::Secret;

/// Where the keys are that seal cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieKeySource {
    /// In the configuration.
    Here(CookieKeys),
    /// In a file, one per line.
    File(PathBuf),
    /// In a parameter, one per line.
    Parameter(ParameterPath),
    /// Made at the start, and gone with the process: on a laptop.
    Random,
}

/// As it may be shown.
impl fmt::Display for CookieKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_) => f.write_str("in the configuration"),
            Self::File(path) => path.display().fmt(f),
            Self::Parameter(name) => write!(f, "ssm:{name}"),
            Self::Random => f.write_str("made at the start, and gone with the process"),
        }
    }
}

/// Reads `KEY` and `KEY_file`, of which at most one may be given.
pub(super) fn check(
    key: &str,
    value: Option<raw::CookieKeys>,
    file: Option<String>,
    folder: &Path,
    problems: &mut Problems,
) -> Result<Option<CookieKeySource>, Noted> {
    let value = match value {
        Some(raw::CookieKeys::List(keys)) => {
            let lines: Vec<&str> = keys.iter().map(Secret::expose).collect();
            let keys = problems.take(key, CookieKeys::parse(&lines.join("\n"))).ok_or(Noted)?;
            if file.is_none() {
                return Ok(Some(CookieKeySource::Here(keys)));
            }
            problems.add(format!("{key}_file"), format!("{key} is given as well; leave one out"));
            return Err(Noted);
        }
        Some(raw::CookieKeys::Text(text)) => Some(text),
        None => None,
    };
    Ok(match secret::check(key, value, file, folder, problems)? {
        Some(SecretSource::Here(text)) => {
            let keys = problems.take(key, CookieKeys::parse(text.expose())).ok_or(Noted)?;
            Some(CookieKeySource::Here(keys))
        }
        Some(SecretSource::File(path)) => Some(CookieKeySource::File(path)),
        Some(SecretSource::Parameter(name)) => Some(CookieKeySource::Parameter(name)),
        None => None,
    })
}
