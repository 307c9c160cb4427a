//! A path prefix: what a cookie's `Path` and a policy's trailing star can both say.

use std::fmt;

use percent_encoding::percent_decode_str;

/// A path that begins and ends with a slash, such as `/lab-a/`.
///
/// Holds only characters that mean the same in a cookie's `Path`, in a policy's resource and in a
/// browser's request line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPrefix(String);

/// Why a text is not a path prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// No slash at the beginning or the end.
    #[error("a path prefix begins and ends with a slash: write {instead:?} for {text:?}")]
    Slashes {
        /// The text.
        text: String,
        /// The prefix that is probably meant.
        instead: String,
    },
    /// `//`, `.` or `..`, however encoded.
    #[error("a path prefix has no empty, . or .. segment: {0:?}")]
    Segment(String),
    /// A character that a cookie's `Path` or a policy would read differently.
    #[error("a path prefix may not hold {0:?}; write it percent-encoded")]
    Character(char),
    /// Longer than browsers keep for an attribute (RFC 6265bis section 5.6).
    #[error("a path prefix may hold 1024 bytes, this one has {0}")]
    TooLong(usize),
}

impl PathPrefix {
    /// Parses a path prefix.
    ///
    /// # Errors
    /// [`PrefixError`] says what is refused.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        if text.len() > 1024 {
            return Err(PrefixError::TooLong(text.len()));
        }
        if !text.starts_with('/') || !text.ends_with('/') {
            return Err(Self::slashes(text));
        }
        let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        for segment in inner.into_iter().flat_map(|inner| inner.split('/')) {
            check_segment(segment).map_err(|error| match error {
                PrefixError::Segment(_) => PrefixError::Segment(text.to_owned()),
                other => other,
            })?;
        }
        Ok(Self(text.to_owned()))
    }

    /// What is wrong with a text that lacks a slash: that, or worse.
    fn slashes(text: &str) -> PrefixError {
        let instead = match text.trim_matches('/') {
            "" => "/".to_owned(),
            inner => format!("/{inner}/"),
        };
        match Self::parse(&instead) {
            Ok(_) => PrefixError::Slashes { text: text.to_owned(), instead },
            Err(worse) => worse,
        }
    }

    /// Returns the prefix as it stands in a cookie's `Path`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every path under `other` is also under `self`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Whether `path` is under the prefix, as RFC 6265 section 5.1.4 matches cookie paths.
    #[must_use]
    pub fn contains_path(&self, path: &str) -> bool {
        path.starts_with(&self.0)
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks one segment between two slashes.
pub(super) fn check_segment(segment: &str) -> Result<(), PrefixError> {
    let mut rest = segment.chars();
    while let Some(character) = rest.next() {
        let allowed = character.is_ascii_alphanumeric() || "-._~!$&'()+=:@%".contains(character);
        if !allowed {
            return Err(PrefixError::Character(character));
        }
        if character == '%' && !(is_hex(rest.next()) && is_hex(rest.next())) {
            return Err(PrefixError::Character('%'));
        }
    }
    let decoded = percent_decode_str(segment).collect::<Vec<u8>>();
    if matches!(decoded.as_slice(), b"" | b"." | b"..") {
        return Err(PrefixError::Segment(segment.to_owned()));
    }
    Ok(())
}

fn is_hex(character: Option<char>) -> bool {
    character.is_some_and(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_accepts_prefixes_that_cookies_and_policies_read_alike() {
        for text in ["/", "/lab-a/", "/lab-a/2026/x%20y/", "/people/ada@example.org/"] {
            assert_eq!(PathPrefix::parse(text).map(|p| p.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn parse_rejects_everything_else() {
        for text in [
            "",
            "lab-a/",
            "/lab-a",
            "//",
            "/a//b/",
            "/./",
            "/../",
            "/a/%2e%2E/",
            "/%2e/",
            "/a*/",
            "/a?/",
            "/a;b/",
            "/a,b/",
            "/a|b/",
            "/a\"/",
            "/a\\/",
            "/a b/",
            "/a\n/",
            "/é/",
            "/%/",
            "/%2/",
            "/%zz/",
            "/a#b/",
            "/{x}/",
            "/<x>/",
        ] {
            assert!(PathPrefix::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_text_without_its_slashes_is_told_with_them() {
        let told = |text| PathPrefix::parse(text).unwrap_err().to_string();
        for (text, instead) in [("old", "/old/"), ("/old", "/old/"), ("a/b/", "/a/b/"), ("", "/")] {
            let expected = format!(
                "a path prefix begins and ends with a slash: write {instead:?} for {text:?}"
            );
            assert_eq!(told(text), expected);
        }
        assert!(told("a*b").contains("may not hold '*'"), "{}", told("a*b"));
        assert!(told("a//b").contains("no empty, . or .. segment"), "{}", told("a//b"));
        assert!(told(&"a".repeat(1024)).contains("1024 bytes, this one has 1026"));
    }

    #[test]
    fn contains_knows_that_org1_is_not_org10() {
        let prefix = |text| PathPrefix::parse(text).unwrap();
        assert!(prefix("/org1/").contains(&prefix("/org1/a/")));
        assert!(!prefix("/org1/").contains(&prefix("/org10/")));
        assert!(prefix("/").contains(&prefix("/org1/")));
        assert!(!prefix("/org1/").contains_path("/org1"));
    }
}
