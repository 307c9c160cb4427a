//! `x-amzn-oidc-data`: the claims that an AWS Application Load Balancer signs.
//!
//! Source: the ELB User Guide, "Authenticate users using an Application Load Balancer", and tokens
//! seen in the wild. The dialect departs from RFC 7519 in three ways:
//!
//! 1. The three segments keep their `=` padding, and the signature covers the padded text.
//! 2. `exp` is a number in the *header*; the payload repeats it.
//! 3. `email_verified` is a string with Cognito.
//!
//! The keys come from a service that all AWS accounts share, so an authentic signature proves only
//! that *some* load balancer signed, with whatever claims and issuer its owner chose. The `signer`
//! ARN alone tells ours from a stranger's, hence at least one exact ARN is always expected.

use serde::Deserialize;

use super::jose::{self, ClaimPath, Present, TokenError};
use super::keys::{Algorithm, VerificationKey};
use super::{Email, Subject};
use crate::clock::EpochSeconds;
use crate::json;

/// What a token of our own load balancer must say.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The exact ARNs of our load balancers; never empty, or nothing is accepted.
    pub signers: Vec<String>,
    /// The client ID that the load balancer signs people in with.
    pub client: String,
    /// The issuer of the provider behind the load balancer, if one is pinned.
    pub issuer: Option<String>,
    /// The claim of the payload that holds groups, for providers that put them there.
    pub groups_claim: Option<ClaimPath>,
}

/// The ID of a load balancer's signing key: a UUID, hence safe to put into a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// Parses the 36-character form of a UUID.
    ///
    /// # Errors
    /// [`TokenError::KeyId`] for everything else.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let is_uuid = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        if is_uuid { Ok(Self(text.to_owned())) } else { Err(TokenError::KeyId) }
    }

    /// Returns the UUID's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The provider's issuer URL.
    pub issuer: String,
    /// The person.
    pub subject: Subject,
    /// The e-mail address, if there is one that parses.
    pub email: Option<Email>,
    /// Groups from [`Expected::groups_claim`]; empty with Cognito, which keeps them out.
    pub groups: Vec<String>,
    /// When the token ends.
    pub expires: EpochSeconds,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    signer: String,
    client: String,
    iss: String,
    exp: EpochSeconds,
    #[serde(default)]
    crit: Present,
}

#[derive(Deserialize)]
struct Payload {
    sub: String,
    iss: String,
    #[serde(default, deserialize_with = "json::present")]
    exp: Option<EpochSeconds>,
    #[serde(default, deserialize_with = "json::present")]
    nbf: Option<EpochSeconds>,
    #[serde(default, deserialize_with = "json::present")]
    iat: Option<EpochSeconds>,
    email: Option<String>,
    email_verified: Option<serde_json::Value>,
}

/// Reads which key a token claims to be signed by, believing nothing else of it.
///
/// The header's cheap checks come first, so that a forged token costs no fetch of a key.
///
/// # Errors
/// [`TokenError`] when the token could not be ours whatever its signature.
pub fn key_id(token: &str, expected: &Expected, now: EpochSeconds) -> Result<KeyId, TokenError> {
    let compact = jose::split(token)?;
    let header: Header = jose::parse(&compact.header)?;
    check_header(&header, expected, now)?;
    KeyId::parse(&header.kid)
}

/// Verifies a token and returns its claims.
///
/// # Errors
/// [`TokenError`] names the first check that failed. The signature is checked before anything in
/// the payload is read.
pub fn verify(
    token: &str,
    key: &VerificationKey,
    expected: &Expected,
    now: EpochSeconds,
) -> Result<Claims, TokenError> {
    let compact = jose::split(token)?;
    let header: Header = jose::parse(&compact.header)?;
    check_header(&header, expected, now)?;
    if key.algorithm() != Algorithm::Es256 {
        return Err(TokenError::Algorithm { expected: "ES256" });
    }
    key.verify(compact.signing_input.as_bytes(), &compact.signature)?;
    read_claims(&compact.payload, &header, expected, now)
}

fn check_header(header: &Header, expected: &Expected, now: EpochSeconds) -> Result<(), TokenError> {
    if header.alg != "ES256" {
        return Err(TokenError::Algorithm { expected: "ES256" });
    }
    if header.crit.0 {
        return Err(TokenError::Critical);
    }
    if !expected.signers.contains(&header.signer) {
        return Err(TokenError::Signer);
    }
    if header.client != expected.client {
        return Err(TokenError::Client);
    }
    if expected.issuer.as_ref().is_some_and(|issuer| *issuer != header.iss) {
        return Err(TokenError::Issuer);
    }
    jose::check_not_expired(header.exp, now)
}

fn read_claims(
    json: &[u8],
    header: &Header,
    expected: &Expected,
    now: EpochSeconds,
) -> Result<Claims, TokenError> {
    let payload: Payload = jose::parse(json)?;
    if payload.exp.is_some_and(|expires| expires != header.exp) {
        return Err(TokenError::ExpiryMismatch);
    }
    if payload.iss != header.iss {
        return Err(TokenError::Issuer);
    }
    jose::check_not_from_the_future([payload.nbf, payload.iat], now)?;
    let verified = payload.email_verified.is_some_and(|value| value == true || value == "true");
    Ok(Claims {
        issuer: header.iss.clone(),
        subject: Subject::parse(&payload.sub)?,
        email: payload.email.and_then(|address| Email::parse(&address, verified)),
        groups: match &expected.groups_claim {
            Some(name) => jose::string_list(json, name)?,
            None => Vec::new(),
        },
        expires: header.exp,
    })
}
