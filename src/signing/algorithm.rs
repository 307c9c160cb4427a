//! The digests that CloudFront accepts.

use std::fmt;
use std::str::FromStr;

/// The digest under a signature.
///
/// Absence of `CloudFront-Hash-Algorithm` means SHA-1 to CloudFront, whatever the key's kind; AWS's
/// own signers therefore default to SHA-1, and so does this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// Three cookies.
    #[default]
    Sha1,
    /// A fourth cookie, `CloudFront-Hash-Algorithm=SHA256`.
    Sha256,
}

/// A name that is neither digest's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no hash algorithm of CloudFront's; there are SHA1 and SHA256")]
pub struct UnknownHash(pub String);

impl FromStr for HashAlgorithm {
    type Err = UnknownHash;

    fn from_str(text: &str) -> Result<Self, UnknownHash> {
        match text.to_ascii_uppercase().as_str() {
            "SHA1" | "SHA-1" => Ok(Self::Sha1),
            "SHA256" | "SHA-256" => Ok(Self::Sha256),
            _ => Err(UnknownHash(text.chars().take(40).collect())),
        }
    }
}

/// The value of `CloudFront-Hash-Algorithm`.
impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        })
    }
}
