//! Headers of a proxy that signs nothing, such as oauth2-proxy: believed because of who sent them.
//!
//! Whoever reaches the service's port from the proxy's address and knows the shared secret is anybody
//! they like. So both are demanded, and the configuration calls the front `insecure_`.

use sha2::{Digest as _, Sha256};

use super::jose::TokenError;
use super::{Email, Front, Identity, MAX_GROUPS, Subject};
use crate::clock::EpochSeconds;

/// The SHA-256 digest of the secret that the proxy sends along. The secret itself is not needed here, so
/// it stands in no file of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Reads 64 hexadecimal digits, as `sha256sum` prints them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        bytes?.try_into().ok().map(Self)
    }

    /// Whether `secret` has this digest. Comparing digests tells nothing of the secret by its timing.
    #[must_use]
    pub fn is_of(&self, secret: &[u8]) -> bool {
        <[u8; 32]>::from(Sha256::digest(secret)) == self.0
    }
}

/// What the proxy says of a person, as it stands in its headers.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// The subject.
    pub subject: &'a str,
    /// The e-mail address.
    pub email: Option<&'a str>,
    /// Groups, with commas between them.
    pub groups: Option<&'a str>,
}

/// Reads what a proxy says. It is true for this request, and for no longer.
///
/// # Errors
/// [`TokenError`] for a subject that is none, or too many groups.
pub fn read(
    said: Said<'_>,
    issuer: &str,
    verified_email_domains: &[String],
    now: EpochSeconds,
) -> Result<Identity, TokenError> {
    let groups: Vec<&str> = said
        .groups
        .into_iter()
        .flat_map(|groups| groups.split(','))
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .collect();
    if groups.len() > MAX_GROUPS {
        return Err(TokenError::Malformed("it lists too many groups"));
    }
    let email = said.email.and_then(|address| Email::parse(address, false));
    Ok(Identity {
        front: Front::InsecureProxy,
        issuer: issuer.to_owned(),
        subject: Subject::parse(said.subject)?,
        email: email.map(|email| email.vouched_for(verified_email_domains)),
        groups: groups.into_iter().map(ToOwned::to_owned).collect(),
        expires: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_has_its_digest() {
        // `printf %s secret | sha256sum`
        let text = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let digest = SecretDigest::parse(text).unwrap();
        assert!(digest.is_of(b"secret"));
        for other in [&b"Secret"[..], b"secret\n", b"", text.as_bytes()] {
            assert!(!digest.is_of(other));
        }
        for text in
            ["", "2b", &text[1..], &text[2..], &format!("{text}00"), &text.replace('2', "x")]
        {
            assert_eq!(SecretDigest::parse(text), None, "{text}");
        }
    }
}
