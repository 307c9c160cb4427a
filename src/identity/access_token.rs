//! An access token in the form of Amazon Cognito's: RS256, verified by the pool's JWKS.
//!
//! With Cognito the load balancer's claims carry no groups; `cognito:groups` is in the access
//! token, which the load balancer passes on unsigned by itself. So the token is verified here, and
//! must belong to the person of the claims.
//!
//! Source: the Amazon Cognito Developer Guide, "Verifying JSON web tokens" and "Understanding the
//! access token" (`client_id` stands where other tokens have `aud`).

use std::collections::HashMap;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use serde::Deserialize;

use super::Subject;
use super::jose::{self, Present, TokenError};
use crate::clock::EpochSeconds;
use crate::json::{self, Object};

/// The most keys that are read from one JWKS.
pub const MAX_KEYS: usize = 100;

/// What the access token of a signed-in person must say.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The pool's issuer URL, exactly.
    pub issuer: String,
    /// The client ID that the load balancer signs people in with.
    pub client: String,
    /// The claim that lists groups, such as `cognito:groups`.
    pub groups_claim: String,
}

/// An RSA verification key.
#[derive(Clone, Debug)]
pub struct RsaKey(ParsedPublicKey);

/// A pool's keys by `kid`.
#[derive(Clone, Debug, Default)]
pub struct Jwks(HashMap<String, RsaKey>);

#[derive(Deserialize)]
struct RawJwks {
    keys: Vec<RawJwk>,
}

#[derive(Deserialize)]
struct RawJwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    key_use: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Jwks {
    /// Reads a JWKS (RFC 7517); keys that are not for RS256 signatures are left out.
    ///
    /// # Errors
    /// [`TokenError::Key`] when the text is no JWKS or holds over [`MAX_KEYS`] keys.
    pub fn parse(json: &[u8]) -> Result<Self, TokenError> {
        let Object(raw) = serde_json::from_slice::<Object<RawJwks>>(json)
            .map_err(|_| TokenError::Key("it is not a JWKS"))?;
        if raw.keys.len() > MAX_KEYS {
            return Err(TokenError::Key("the JWKS holds too many keys"));
        }
        let mut keys = HashMap::new();
        for (kid, key) in raw.keys.into_iter().filter_map(rs256_key) {
            // Of two keys by one name the first counts, as in AWS's own verifier.
            keys.entry(kid).or_insert(key);
        }
        Ok(Self(keys))
    }

    /// Returns the key called `kid`.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&RsaKey> {
        self.0.get(kid)
    }
}

fn rs256_key(raw: RawJwk) -> Option<(String, RsaKey)> {
    let signs = raw.kty == "RSA"
        && raw.alg.is_none_or(|alg| alg == "RS256")
        && raw.key_use.is_none_or(|key_use| key_use == "sig");
    if !signs {
        return None;
    }
    let (modulus, exponent) = (jose::decode(&raw.n?).ok()?, jose::decode(&raw.e?).ok()?);
    let key = PublicKeyComponents { n: modulus, e: exponent }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .ok()?;
    Some((raw.kid?, RsaKey(key)))
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
    key: &RsaKey,
    expected: &Expected,
    subject: &Subject,
    now: EpochSeconds,
) -> Result<Vec<String>, TokenError> {
    let compact = jose::split(token)?;
    check_header(&jose::parse(&compact.header)?)?;
    key.0
        .verify_sig(compact.signing_input.as_bytes(), &compact.signature)
        .map_err(|_| TokenError::Signature)?;
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
