//! Who is asking: what a verified token says about a person.
//!
//! One file per token dialect, each a pure function of (token bytes, key, what is expected, now).
//! Fetching keys and reading requests belong to the adapters.

pub mod access_token;
pub mod alb;
pub mod dialect;
pub mod headers;
pub mod insecure_proxy;
mod jose;
pub mod keys;
pub mod signed;
pub mod userinfo;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::EpochSeconds;

pub use self::jose::{ClaimPath, TokenError};

/// How far the clocks of a token's issuer and of this machine may differ, in seconds.
pub const CLOCK_SKEW_SECONDS: u64 = 30;

/// The most bytes of one token that are looked at. An ALB passes at most 11 KB of claims and access
/// token together, and no header line over 16 KB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The most bytes in a subject. `OpenID` Connect Core section 2 allows 255.
pub const MAX_SUBJECT_BYTES: usize = 255;

/// The most groups that are taken from one token; Cognito allows 100 per person.
pub const MAX_GROUPS: usize = 1000;

/// Whatever vouched for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Front {
    /// An AWS Application Load Balancer's `x-amzn-oidc-data`.
    Alb,
    /// AWS Verified Access.
    VerifiedAccess,
    /// Cloudflare Access.
    CloudflareAccess,
    /// Google's Identity-Aware Proxy.
    GoogleIap,
    /// Pomerium.
    Pomerium,
    /// A token in `Authorization`, of a script's.
    Bearer,
    /// Our own sign-in with an `OpenID` Provider.
    Login,
    /// A proxy that is believed without a signature, by its address and a shared secret.
    InsecureProxy,
}

impl fmt::Display for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alb => "alb",
            Self::VerifiedAccess => "verified-access",
            Self::CloudflareAccess => "cloudflare-access",
            Self::GoogleIap => "google-iap",
            Self::Pomerium => "pomerium",
            Self::Bearer => "bearer",
            Self::Login => "login",
            Self::InsecureProxy => "insecure-proxy",
        })
    }
}

/// A person, as far as verified tokens tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What vouched for the person.
    pub front: Front,
    /// The `OpenID` Provider's issuer URL; with the subject, the stable key of a person.
    pub issuer: String,
    /// The provider's name for the person; never reassigned, unlike an e-mail address.
    pub subject: Subject,
    /// The e-mail address, if the token holds one that parses.
    pub email: Option<Email>,
    /// The groups that the provider puts the person in.
    pub groups: BTreeSet<String>,
    /// When the token that says all this ends.
    pub expires: EpochSeconds,
}

impl Identity {
    /// Whether both speak of one person: a subject is a name at its issuer only.
    #[must_use]
    pub fn is_same_person(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.subject == other.subject
    }
}

/// A non-empty `sub` of bounded length without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

impl Subject {
    /// Parses a `sub` claim.
    ///
    /// # Errors
    /// [`TokenError::Subject`] when it is empty, over [`MAX_SUBJECT_BYTES`], or holds a control
    /// character.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let usable = !text.is_empty()
            && text.len() <= MAX_SUBJECT_BYTES
            && !text.chars().any(char::is_control);
        if usable { Ok(Self(text.to_owned())) } else { Err(TokenError::Subject) }
    }

    /// Returns the subject as the provider wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An e-mail address and whether the provider vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    address: String,
    /// Whether the provider says that the person controls the address.
    pub verified: bool,
}

impl Email {
    /// Parses an address with exactly one `@` and no white space or control characters; anything
    /// else is `None`, since addresses that parsers read differently have let strangers in.
    #[must_use]
    pub fn parse(address: &str, verified: bool) -> Option<Self> {
        let (local, domain) = address.split_once('@')?;
        let plain = address.is_ascii()
            && address.len() <= 254
            && !address.contains(|c: char| {
                c.is_ascii_control()
                    || c.is_ascii_whitespace()
                    || matches!(c, '"' | '\\' | ',' | ';' | '<' | '>')
            });
        let usable = plain && !local.is_empty() && !domain.is_empty() && !domain.contains('@');
        usable.then(|| Self { address: address.to_ascii_lowercase(), verified })
    }

    /// Returns the address in lower case.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// With the word of whoever vouches for addresses at these domains, in lower case.
    #[must_use]
    pub fn vouched_for(mut self, domains: &[String]) -> Self {
        self.verified |= domains.iter().any(|domain| domain == self.domain());
        self
    }

    /// Returns what stands behind the `@`, in lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.address.split_once('@').map_or("", |(_, domain)| domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_rejects_addresses_that_parsers_read_differently() {
        for address in [
            "",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b\n",
            "\"a@b\"@c",
            "a@b,c@d",
            "<a@b>",
            "ä@b.org",
            "a@b\0",
        ] {
            assert_eq!(Email::parse(address, true), None, "{address:?}");
        }
    }

    #[test]
    fn email_domain_is_lower_case() {
        assert_eq!(Email::parse("Ada@Example.ORG", true).unwrap().domain(), "example.org");
    }

    #[test]
    fn subject_rejects_empty_long_and_control() {
        let long = "x".repeat(MAX_SUBJECT_BYTES + 1);
        for text in ["", "a\0", "a\nb", long.as_str()] {
            assert_eq!(Subject::parse(text), Err(TokenError::Subject), "{text:?}");
        }
    }
}
