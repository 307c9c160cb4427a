//! Where values come from: the file's text with its lines, and the environment over it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::Environment;

/// The most bytes that are read as a configuration file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {file}: {source}", file = .file.display())]
    Read {
        /// Which file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Values are missing or wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<Problem>),
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `edgemint.toml:12`, or the variable's name.
    pub place: String,
    /// The key, such as `rule[0].lifetime`; empty where the text itself is broken.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, message } = self;
        if key.is_empty() {
            write!(f, "{place}: {message}")
        } else {
            write!(f, "{place}: {key}: {message}")
        }
    }
}

/// Problems by key, before their places are looked up.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<(String, String)>);

/// What is wrong has been added to the problems.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted;

impl Problems {
    pub(super) fn add(&mut self, key: impl Into<String>, message: impl fmt::Display) {
        self.0.push((key.into(), message.to_string()));
    }

    /// Turns an error into a problem and no value.
    pub(super) fn take<T, E: fmt::Display>(
        &mut self,
        key: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(key, error)).ok()
    }

    /// A value that must be there.
    pub(super) fn require<T>(&mut self, key: &str, value: Option<T>, example: &str) -> Option<T> {
        if value.is_none() {
            self.add(key, format!("missing; for example {example}"));
        }
        value
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, String)> for Problems {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

/// Reads the file's text.
pub(super) fn read(file: &Path) -> Result<String, ConfigError> {
    let fail = |source| ConfigError::Read { file: file.to_owned(), source };
    let size = std::fs::metadata(file).map_err(fail)?.len();
    if size > MAX_FILE_BYTES {
        let message = format!("{size} bytes, more than the {MAX_FILE_BYTES} that are read");
        return Err(fail(std::io::Error::other(message)));
    }
    std::fs::read_to_string(file).map_err(fail)
}

/// The parsed text with the environment merged in.
pub(super) struct Source<'a> {
    file: &'a Path,
    text: &'a str,
    variables: Vec<&'a str>,
    table: Spanned<DeTable<'a>>,
}

impl<'a> Source<'a> {
    pub(super) fn parse(
        file: &'a Path,
        text: &'a str,
        environment: &'a Environment,
    ) -> Result<Self, ConfigError> {
        let mut source =
            Self { file, text, variables: Vec::new(), table: Spanned::new(0..0, DeTable::new()) };
        source.table = DeTable::parse(text).map_err(|error| source.wrong(&error))?;
        for change in environment.overrides() {
            let mark = source.mark(change.variable);
            let set = Spanned::new(mark..mark, value(change.value));
            merge(source.table.get_mut(), &change.key, &set);
        }
        Ok(source)
    }

    /// Reads the types of [`super::raw`].
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        T::deserialize(toml::Deserializer::from(self.table.clone()))
            .map_err(|error| self.wrong(&error))
    }

    /// Looks up the places of problems.
    pub(super) fn error(&self, problems: Problems) -> ConfigError {
        let located = problems.0.into_iter().map(|(key, message)| {
            let place = self.place(self.find(&key));
            Problem { place, key, message }
        });
        ConfigError::Wrong(located.collect())
    }

    fn wrong(&self, error: &toml::de::Error) -> ConfigError {
        let place = self.place(error.span().map_or(0, |span| span.start));
        let message = error.message().to_owned();
        ConfigError::Wrong(vec![Problem { place, key: String::new(), message }])
    }

    /// A value from the environment is marked by a position behind the end of the file.
    fn mark(&mut self, variable: &'a str) -> usize {
        self.variables.push(variable);
        self.text.len() + self.variables.len()
    }

    fn place(&self, position: usize) -> String {
        if let Some(index) = position.checked_sub(self.text.len() + 1) {
            return self.variables.get(index).map_or_else(String::new, |name| (*name).to_owned());
        }
        let before = self.text.get(..position).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        format!("{}:{line}", self.file.display())
    }

    /// The position of a key, or of the nearest table around it that exists.
    fn find(&self, key: &str) -> usize {
        let mut position = self.table.span().start;
        let mut value: Option<&DeValue<'_>> = None;
        for part in key.split(['.', '[', ']']).filter(|part| !part.is_empty()) {
            let next = match value {
                None => self.table.get_ref().get(part),
                Some(DeValue::Table(table)) => table.get(part),
                Some(DeValue::Array(array)) => {
                    part.parse::<usize>().ok().and_then(|index| array.get(index))
                }
                Some(_) => None,
            };
            let Some(next) = next else { break };
            position = next.span().start;
            value = Some(next.get_ref());
        }
        position
    }
}

/// Sets `key` under `table`, making tables on the way where there are none.
fn merge<'a>(table: &mut DeTable<'a>, key: &[String], set: &Spanned<DeValue<'a>>) {
    let [name, rest @ ..] = key else { return };
    let name = Spanned::new(set.span(), name.clone().into());
    if rest.is_empty() {
        table.insert(name, set.clone());
        return;
    }
    let empty = || Spanned::new(set.span(), DeValue::Table(DeTable::new()));
    descend(table.entry(name).or_insert_with(empty).get_mut(), rest, set);
}

/// `rule__0__lifetime`: a number under a list is an index into it, or begins its next element.
fn descend<'a>(value: &mut DeValue<'a>, key: &[String], set: &Spanned<DeValue<'a>>) {
    let index = key.first().and_then(|part| part.parse::<usize>().ok());
    match (value, index) {
        (DeValue::Table(table), _) => merge(table, key, set),
        (DeValue::Array(array), Some(index)) => {
            if index >= array.len() {
                array.push(Spanned::new(set.span(), DeValue::Table(DeTable::new())));
            }
            let last = array.len() - 1;
            let Some(element) = array.get_mut(index.min(last)) else { return };
            match &key[1..] {
                [] => *element = set.clone(),
                rest => descend(element.get_mut(), rest, set),
            }
        }
        (other, _) => {
            let mut table = DeTable::new();
            merge(&mut table, key, set);
            *other = DeValue::Table(table);
        }
    }
}

/// TOML where the text is TOML (a list, a number, `true`, a quoted text), the text itself where not.
fn value(text: &str) -> DeValue<'_> {
    match DeValue::parse(text) {
        Ok(parsed) => match parsed.into_inner() {
            DeValue::Datetime(_) | DeValue::Float(_) => DeValue::String(text.into()),
            value => value,
        },
        Err(_) => DeValue::String(text.into()),
    }
}
