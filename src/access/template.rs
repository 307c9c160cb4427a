//! A rule's resource: `https://<exact host>/<prefix>/*`, whose segments may be placeholders.
//!
//! A placeholder is a whole segment, `{subject}` or `{email}`, filled in from verified claims of the
//! person who asks. Claims are data of strangers: what could change the meaning of a path or a
//! policy opens nothing, everything else is percent-encoded the way browsers encode it.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::prefix::{PathPrefix, PrefixError, check_segment};
use crate::identity::Identity;
use crate::policy::{BaseUrl, BaseUrlError};

/// What browsers leave as it is in a path's segment and [`PathPrefix`] accepts.
const LITERAL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@')
    .remove(b'+')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'=')
    .remove(b':');

/// A resource as a rule states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceTemplate {
    base: BaseUrl,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Subject,
    Email,
}

/// Why a text is not a rule's resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The star is missing or not behind a slash: `/org1*` would open `/org10` too.
    #[error("a rule's resource ends in /*, with the slash before the star: {0:?}")]
    Star(String),
    /// The host is not one exact name.
    #[error(transparent)]
    Base(#[from] BaseUrlError),
    /// The path cannot be a cookie's `Path`.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// Braces around something that is not known.
    #[error("{0:?} is no placeholder; there are {{subject}} and {{email}}, each a whole segment")]
    Placeholder(String),
}

impl ResourceTemplate {
    /// Parses a rule's resource.
    ///
    /// # Errors
    /// [`TemplateError`] says what is refused.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let star = || TemplateError::Star(text.to_owned());
        let stem = text.strip_suffix("/*").ok_or_else(star)?;
        let scheme_end = stem.find("://").map(|at| at + 3).unwrap_or_default();
        let (base, path) = match stem[scheme_end..].find('/') {
            Some(slash) => stem.split_at(scheme_end + slash),
            None => (stem, ""),
        };
        let segments = match path.strip_prefix('/') {
            None => Vec::new(),
            Some(inner) => inner.split('/').map(parse_segment).collect::<Result<_, _>>()?,
        };
        Ok(Self { base: BaseUrl::parse(base)?, segments })
    }

    /// The site that serves the resource.
    #[must_use]
    pub const fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Whether it covers `url` for somebody.
    #[must_use]
    pub fn may_cover(&self, url: &url::Url) -> bool {
        let path: Vec<&str> = url.path().split('/').skip(1).collect();
        url.origin().ascii_serialization() == self.base.as_str()
            && path.len() > self.segments.len()
            && self.segments.iter().zip(path).all(|(segment, found)| match segment {
                Segment::Literal(text) => text == found,
                Segment::Subject | Segment::Email => true,
            })
    }

    /// Whether it lies under a prefix, whoever fills it in.
    #[must_use]
    pub fn is_under(&self, prefix: &PathPrefix) -> bool {
        let inner = prefix.as_str().trim_matches('/');
        let parts: Vec<&str> = inner.split('/').filter(|part| !part.is_empty()).collect();
        let mut pairs = parts.iter().zip(&self.segments);
        parts.len() <= self.segments.len()
            && pairs
                .all(|(part, segment)| matches!(segment, Segment::Literal(text) if text == part))
    }

    /// Fills in the placeholders for one person.
    ///
    /// # Errors
    /// A [`Unfilled`] when the person has no such claim or it may not stand in a path.
    pub(super) fn expand(&self, identity: &Identity) -> Result<PathPrefix, Unfilled> {
        let mut path = String::from("/");
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Subject => push_claim(&mut path, "sub", identity.subject.as_str())?,
                Segment::Email => {
                    let email = identity.email.as_ref().filter(|email| email.verified);
                    let email = email.ok_or(Unfilled::Absent("verified e-mail address"))?;
                    push_claim(&mut path, "e-mail address", email.address())?;
                }
            }
            path.push('/');
        }
        PathPrefix::parse(&path).map_err(|_| Unfilled::Unsafe("claim"))
    }

    /// Whether some person's filled-in `other` could lie under the same person's `self`.
    pub(super) fn may_contain(&self, other: &Self) -> bool {
        self.segments.len() <= other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|(mine, theirs)| {
                match (mine, theirs) {
                    (Segment::Literal(mine), Segment::Literal(theirs)) => mine == theirs,
                    _ => true,
                }
            })
    }
}

impl fmt::Display for ResourceTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.base)?;
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "{text}/")?,
                Segment::Subject => f.write_str("{subject}/")?,
                Segment::Email => f.write_str("{email}/")?,
            }
        }
        f.write_str("*")
    }
}

/// Why a placeholder stays empty for one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfilled {
    /// The person has no such claim.
    Absent(&'static str),
    /// The claim holds what may not stand in a path.
    Unsafe(&'static str),
}

fn parse_segment(text: &str) -> Result<Segment, TemplateError> {
    match text {
        "{subject}" => Ok(Segment::Subject),
        "{email}" => Ok(Segment::Email),
        _ if text.contains(['{', '}']) => Err(TemplateError::Placeholder(text.to_owned())),
        _ => {
            check_segment(text)?;
            Ok(Segment::Literal(text.to_owned()))
        }
    }
}

/// Refuses what is not merely odd but could mean something else: policy syntax, wildcards, further
/// segments, escapes that would be decoded twice.
fn push_claim(path: &mut String, name: &'static str, value: &str) -> Result<(), Unfilled> {
    let meaningful = |c: char| c.is_control() || "\"\\*?/%#;,|{}".contains(c);
    if value.is_empty() || value == "." || value == ".." || value.contains(meaningful) {
        return Err(Unfilled::Unsafe(name));
    }
    path.extend(utf8_percent_encode(value, LITERAL));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_keeps_the_text() {
        for text in [
            "https://data.example.org/*",
            "https://data.example.org/lab-a/*",
            "https://data.example.org/people/{subject}/raw/*",
            "http://data.edgemint.localhost:8081/{email}/*",
        ] {
            assert_eq!(ResourceTemplate::parse(text).map(|t| t.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn parse_rejects_resources_that_open_more_than_they_seem_to() {
        for text in [
            "https://data.example.org/org1*",
            "https://data.example.org/org1/",
            "https://data.example.org",
            "https://data.example.org*",
            "https://data.example.org/a/*/b/*",
            "https://*/a/*",
            "https://*.example.org/a/*",
            "*",
            "https://data.example.org/a?b/*",
            "https://data.example.org//*",
            "https://data.example.org/../*",
            "https://data.example.org/{group}/*",
            "https://data.example.org/x{subject}/*",
            "https://data.example.org/a;b/*",
        ] {
            assert!(ResourceTemplate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn may_contain_takes_a_placeholder_for_any_segment() {
        let template = |text| ResourceTemplate::parse(text).unwrap();
        let home = template("https://h.org/home/{subject}/*");
        let ada = template("https://h.org/home/ada/*");
        let homes = template("https://h.org/home/*");
        assert!(home.may_contain(&ada) && ada.may_contain(&home) && homes.may_contain(&home));
        assert!(!home.may_contain(&homes));
        assert!(!template("https://h.org/lab/*").may_contain(&home));
    }
}
