//! `[log]`: how the log is written.

use super::raw;
use super::source::Problems;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// The least important line that is written.
    pub level: LogLevel,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    #[default]
    Plain,
}

/// The importance of a line. The record of who got access is never below `Info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What needs a person.
    Error,
    /// What is odd.
    Warn,
    /// What happens, the record of access included.
    #[default]
    Info,
    /// How it happens.
    Debug,
}

pub(super) fn check(raw: &raw::Log, problems: &mut Problems) -> Option<Log> {
    let format = match raw.format.as_deref() {
        None | Some("plain") => LogFormat::Plain,
        Some("json") => LogFormat::Json,
        Some(other) => {
            problems.add("log.format", format!("{other:?} is neither json nor plain"));
            return None;
        }
    };
    let level = match raw.level.as_deref() {
        None | Some("info") => LogLevel::Info,
        Some("error") => LogLevel::Error,
        Some("warn") => LogLevel::Warn,
        Some("debug") => LogLevel::Debug,
        Some(other) => {
            problems.add("log.level", format!("{other:?} is not error, warn, info or debug"));
            return None;
        }
    };
    Some(Log { format, level })
}
