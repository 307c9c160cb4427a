//! What tells one key from another, in public.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// SHA-256 of a public key's SPKI DER in lower-case hexadecimal: what
/// `openssl pkey -pubin -outform DER | sha256sum` prints. It names the key before CloudFront gives
/// it an ID, and is no secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 64 hexadecimal digits in lower case")]
pub struct FingerprintError;

impl Fingerprint {
    const DIGITS: usize = 64;

    pub(super) fn of(digest: &[u8; 32]) -> Self {
        let mut digits = String::with_capacity(Self::DIGITS);
        for byte in digest {
            // Writing to a string does not fail.
            let _ = write!(digits, "{byte:02x}");
        }
        Self(digits)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits: enough to tell keys apart at a glance.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let usable = text.len() == Self::DIGITS && text.bytes().all(digit);
        if usable { Ok(Self(text.to_owned())) } else { Err(FingerprintError) }
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_digits_are_a_fingerprint() {
        let digits = "0123456789abcdef".repeat(4);
        assert_eq!(digits.parse::<Fingerprint>().unwrap().short(), "0123456789ab");
        for wrong in ["", &digits[1..], &format!("{digits}0"), &digits.to_uppercase(), "../etc"] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong:?}");
        }
    }
}
