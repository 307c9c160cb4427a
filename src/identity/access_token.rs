//! An access token in the form of Amazon Cognito's: RS256, verified by the pool's JWKS.
//!
//! With Cognito the load balancer's claims carry no groups; `cognito:groups` is in the access
//! token, which the load balancer passes on unsigned by itself. So the token is verified here, and
//! must belong to the person of the claims.
//!
//! Source: the Amazon Cognito Developer Guide, "Verifying JSON web tokens" and "Understanding the
//! access token" (`client_id` stands where other tokens have `aud`).

use serde::Deserialize;

use super::Subject;
use super::jose::{self, ClaimPath, Present, TokenError};
use super::keys::{Algorithm, VerificationKey};
use crate::clock::EpochSeconds;
use crate::json;

/// What the access token of a signed-in person must say.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The pool's issuer URL, exactly.
    pub issuer: String,
    /// The client ID that the load balancer signs people in with.
    pub client: String,
    /// The claim that lists groups, such as `cognito:groups`.
    pub groups_claim: ClaimPath,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default)]
    crit: Present,
}

#[derive(Deserialize)]
struct Payload {
    sub: String,
    iss: String,
    client_id: String,
    token_use: String,
    exp: EpochSeconds,
    #[serde(default, deserialize_with = "json::present")]
    nbf: Option<EpochSeconds>,
    #[serde(default, deserialize_with = "json::present")]
    iat: Option<EpochSeconds>,
}

/// Reads which key a token claims to be signed by, believing nothing else of it.
///
/// # Errors
/// [`TokenError`] when the token is malformed or names another algorithm.
pub fn key_id(token: &str) -> Result<String, TokenError> {
    let compact = jose::split(token)?;
    let header: Header = jose::parse(&compact.header)?;
    check_header(&header)?;
    Ok(header.kid)
}

/// Verifies the access token of `subject` and returns the groups it lists.
///
/// # Errors
/// [`TokenError`] names the first check that failed.
pub fn verify(
    token: &str,
    key: &VerificationKey,
    expected: &Expected,
    subject: &Subject,
    now: EpochSeconds,
) -> Result<Vec<String>, TokenError> {
    let compact = jose::split(token)?;
    check_header(&jose::parse(&compact.header)?)?;
    if key.algorithm() != Algorithm::Rs256 {
        return Err(TokenError::Algorithm { expected: "RS256" });
    }
    key.verify(compact.signing_input.as_bytes(), &compact.signature)?;
    let payload: Payload = jose::parse(&compact.payload)?;
    check_payload(&payload, expected, subject, now)?;
    jose::string_list(&compact.payload, &expected.groups_claim)
}

fn check_header(header: &Header) -> Result<(), TokenError> {
    if header.alg != "RS256" {
        return Err(TokenError::Algorithm { expected: "RS256" });
    }
    if header.crit.0 {
        return Err(TokenError::Critical);
    }
    if header.kid.is_empty() || header.kid.len() > 256 {
        return Err(TokenError::KeyId);
    }
    Ok(())
}

fn check_payload(
    payload: &Payload,
    expected: &Expected,
    subject: &Subject,
    now: EpochSeconds,
) -> Result<(), TokenError> {
    if payload.iss != expected.issuer {
        return Err(TokenError::Issuer);
    }
    if payload.token_use != "access" {
        return Err(TokenError::Use);
    }
    if payload.client_id != expected.client {
        return Err(TokenError::Client);
    }
    if payload.sub != subject.as_str() {
        return Err(TokenError::SubjectMismatch);
    }
    jose::check_not_expired(payload.exp, now)?;
    jose::check_not_from_the_future([payload.nbf, payload.iat], now)
}
