//! What the token dialects share: splitting, decoding, and the errors.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{CLOCK_SKEW_SECONDS, MAX_GROUPS, MAX_TOKEN_BYTES};
use crate::clock::EpochSeconds;
use crate::json::{self, Object};

/// Why a token is refused. Never holds a part of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Larger than any token that a load balancer passes on.
    #[error("the token has {0} bytes, more than the {MAX_TOKEN_BYTES} that are read")]
    TooLong(usize),
    /// Not three base64url segments around JSON.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// An algorithm that this front or this key never uses, `none` included.
    #[error("the token's algorithm is not {expected}")]
    Algorithm {
        /// What is accepted.
        expected: &'static str,
    },
    /// A token of another kind, such as a logout token.
    #[error("the token's typ is that of another kind of token")]
    Type,
    /// A header parameter that changes how the token must be read.
    #[error("the token's header holds crit, which asks for an extension that is not supported")]
    Critical,
    /// A key ID that no key of this front can have.
    #[error("the token's kid is not the kind of key ID that this front uses")]
    KeyId,
    /// The verification key itself is unusable.
    #[error("the verification key is unusable: {0}")]
    Key(&'static str),
    /// The signature is not the key's over these bytes.
    #[error("the token's signature is wrong")]
    Signature,
    /// Somebody else's load balancer or instance signed the token.
    #[error("the token's signer is not one that is configured")]
    Signer,
    /// The token was made for another application.
    #[error("the token was made for another client than the configured one")]
    Client,
    /// The token was made for others to read.
    #[error("the token was made for another audience than the configured one")]
    Audience,
    /// The token answers to another sign-in.
    #[error("the token's nonce is not that of this sign-in")]
    Nonce,
    /// The token comes from another provider.
    #[error("the token's issuer is not the configured one")]
    Issuer,
    /// An ID token or something else in the place of an access token.
    #[error("the token's token_use is not the configured one")]
    Use,
    /// Past its time.
    #[error("the token expired {seconds} s ago")]
    Expired {
        /// How long ago.
        seconds: u64,
    },
    /// Before its time.
    #[error("the token is dated {seconds} s in the future; is this machine's clock right?")]
    FromTheFuture {
        /// How far off.
        seconds: u64,
    },
    /// Longer-lived than any token of this front.
    #[error("the token lives longer than any that this front issues")]
    TooLongLived,
    /// Two times of expiry in one token.
    #[error("the expiry in the token's header and in its payload differ")]
    ExpiryMismatch,
    /// No usable `sub`.
    #[error("the token's sub is empty, too long or holds control characters")]
    Subject,
    /// The access token speaks of somebody else.
    #[error("the access token belongs to another subject than the claims")]
    SubjectMismatch,
}

/// A compact JWS, split but not believed.
pub(super) struct Compact<'a> {
    pub(super) signing_input: &'a str,
    pub(super) header: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// Splits a compact JWS (RFC 7515 section 7.1) and decodes its segments.
pub(super) fn split(token: &str) -> Result<Compact<'_>, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong(token.len()));
    }
    let malformed = TokenError::Malformed("it does not have three segments");
    let (signing_input, signature) = token.rsplit_once('.').ok_or(malformed.clone())?;
    let (header, payload) = signing_input.split_once('.').ok_or(malformed.clone())?;
    if payload.contains('.') {
        return Err(malformed);
    }
    Ok(Compact {
        signing_input,
        header: decode(header)?,
        payload: decode(payload)?,
        signature: decode(signature)?,
    })
}

/// RFC 7515 drops the padding and an ALB keeps it; either is read, nothing in between is.
pub(super) fn decode(segment: &str) -> Result<Vec<u8>, TokenError> {
    const fn engine(padding: DecodePaddingMode) -> GeneralPurpose {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
        GeneralPurpose::new(&URL_SAFE, config)
    }
    const PADDED: GeneralPurpose = engine(DecodePaddingMode::RequireCanonical);
    const BARE: GeneralPurpose = engine(DecodePaddingMode::RequireNone);
    let engine = if segment.ends_with('=') { &PADDED } else { &BARE };
    engine.decode(segment).map_err(|_| TokenError::Malformed("a segment is not base64url"))
}

/// Reads JSON; a name that appears twice is an error for every field that is read.
pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, TokenError> {
    serde_json::from_slice::<Object<T>>(json).map(|Object(value)| value).map_err(|_| {
        TokenError::Malformed("its JSON lacks a field, repeats one or has a wrong type")
    })
}

/// Presence of any value at all, `null` included.
#[derive(Debug, Default)]
pub(super) struct Present(pub(super) bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// `nbf` and `iat` are optional, but a future one is a token for later.
pub(super) fn check_not_from_the_future(
    stamps: [Option<EpochSeconds>; 2],
    now: EpochSeconds,
) -> Result<(), TokenError> {
    let latest = stamps.into_iter().flatten().max().unwrap_or_default();
    let seconds = latest.since(now);
    if seconds > CLOCK_SKEW_SECONDS {
        return Err(TokenError::FromTheFuture { seconds });
    }
    Ok(())
}

pub(super) fn check_not_expired(
    expires: EpochSeconds,
    now: EpochSeconds,
) -> Result<(), TokenError> {
    if now >= expires.plus(CLOCK_SKEW_SECONDS) {
        return Err(TokenError::Expired { seconds: now.since(expires) });
    }
    Ok(())
}

/// Reads a claim that lists strings; an absent claim lists none.
pub(super) fn string_list(json: &[u8], claim: &ClaimPath) -> Result<Vec<String>, TokenError> {
    let malformed = || TokenError::Malformed("its groups are not one list of strings");
    let list: Vec<String> = json::at(json, &claim.0).map_err(|_| malformed())?.unwrap_or_default();
    if list.len() > MAX_GROUPS { Err(malformed()) } else { Ok(list) }
}

/// Where in a token a claim is: its name, or the names on the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// Reads `groups`, or `realm_access.roles` for a claim in a claim. A name with a slash is a URL, as
    /// some providers demand of their customers' claims, and one name whatever dots it has.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.contains('/') {
            return Self(vec![text.to_owned()]);
        }
        Self(text.split('.').map(ToOwned::to_owned).collect())
    }
}

/// The name or the path, as it is configured.
impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
