//! One verifier for every signed front but the load balancer; [`super::dialect`] has the table.
//!
//! The order is that of all dialects here: the header's cheap checks, then the signature, and only then
//! is anything in the payload read.

use serde::Deserialize;

use super::alb::KeyId;
use super::dialect::{Dialect, Keys, Stamps};
use super::jose::{self, ClaimPath, Compact, Present, TokenError};
use super::keys::{Algorithm, VerificationKey};
use super::{Email, Front, Identity, Subject};
use crate::clock::EpochSeconds;
use crate::json;

/// What a token must say.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The row of the table.
    pub dialect: &'static Dialect,
    /// The issuer, exactly. Verified Access stamps that of its trust provider, which may be left open.
    pub issuer: Option<String>,
    /// What binds the token to this site, among all that its issuer signs.
    pub made_for: MadeFor,
    /// The value of `token_use`, for Amazon Cognito: `access`, so that no ID token passes for one.
    pub token_use: Option<String>,
    /// The claim that lists groups.
    pub groups: Option<ClaimPath>,
    /// Domains whose addresses the front vouches for although the token does not.
    pub verified_email_domains: Vec<String>,
}

/// What binds a token to this site. A list that is empty lets nothing pass.
#[derive(Clone, Debug)]
pub enum MadeFor {
    /// The `signer` in its header is one of these.
    Signer(Vec<String>),
    /// Its `aud` names one of these.
    Audience(Vec<String>),
    /// The client that it was issued to is one of these: `client_id`, `azp` or `appid`.
    Client(Vec<String>),
    /// Both.
    AudienceAndClient(Vec<String>, Vec<String>),
    /// We are the client that asked for it: an ID token's `aud` names us, and its `azp`, which must
    /// stand beside a second audience, is us. Source: `OpenID` Connect Core section 3.1.3.7.
    Us {
        /// Our client ID.
        client: String,
        /// What we sent along, if the token answers to a sign-in.
        nonce: Option<String>,
    },
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default, deserialize_with = "json::present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    signer: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    exp: Option<EpochSeconds>,
    #[serde(default)]
    crit: Present,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default, deserialize_with = "json::present")]
    sub: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    aud: Option<Audience>,
    #[serde(default, deserialize_with = "json::present")]
    exp: Option<EpochSeconds>,
    #[serde(default, deserialize_with = "json::present")]
    nbf: Option<EpochSeconds>,
    #[serde(default, deserialize_with = "json::present")]
    iat: Option<EpochSeconds>,
    #[serde(default, deserialize_with = "json::present")]
    azp: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    client_id: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    appid: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    token_use: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    nonce: Option<String>,
    #[serde(default)]
    at_hash: Present,
    typ: Option<serde_json::Value>,
    email: Option<String>,
    email_verified: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "json::present")]
    user: Option<serde_json::Value>,
}

/// RFC 7519 section 4.1.3: one text, or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// Reads which key a token claims to be signed by, believing nothing else of it.
///
/// The header's cheap checks come first, so that a forged token costs no fetch of a key.
///
/// # Errors
/// [`TokenError`] when the token could not be for us whatever its signature.
pub fn key_id(token: &str, expected: &Expected, now: EpochSeconds) -> Result<String, TokenError> {
    let compact = jose::split(token)?;
    let header: Header = jose::parse(&compact.header)?;
    check_header(&header, expected, now)?;
    Ok(header.kid)
}

/// Reads which issuer a token claims to be of, to choose what it is verified by.
///
/// # Errors
/// [`TokenError`] when it is malformed or names none.
pub fn claimed_issuer(token: &str) -> Result<String, TokenError> {
    let compact = jose::split(token)?;
    let issuer: Option<String> =
        json::at(&compact.payload, &["iss"]).map_err(|_| TokenError::Issuer)?;
    issuer.ok_or(TokenError::Issuer)
}

/// Verifies a token and returns who it speaks of.
///
/// # Errors
/// [`TokenError`] names the first check that failed.
pub fn verify(
    token: &str,
    key: &VerificationKey,
    expected: &Expected,
    now: EpochSeconds,
) -> Result<Identity, TokenError> {
    let compact = jose::split(token)?;
    let header: Header = jose::parse(&compact.header)?;
    let algorithm = check_header(&header, expected, now)?;
    if algorithm != key.algorithm() {
        return Err(TokenError::Algorithm { expected: key.algorithm().name() });
    }
    key.verify(compact.signing_input.as_bytes(), &compact.signature)?;
    let payload: Payload = jose::parse(&compact.payload)?;
    let (issuer, expires) = stamps(&header, &payload, expected.dialect)?;
    check_issuer(&issuer, expected)?;
    check_times(&payload, expires, expected.dialect, now)?;
    check_made_for(&payload, expected)?;
    identify(&compact, payload, issuer, expires, expected)
}

fn check_header(
    header: &Header,
    expected: &Expected,
    now: EpochSeconds,
) -> Result<Algorithm, TokenError> {
    let dialect = expected.dialect;
    let algorithm = Algorithm::named(&header.alg)
        .filter(|algorithm| dialect.algorithms.contains(algorithm))
        .ok_or(TokenError::Algorithm { expected: dialect.algorithm_names })?;
    if header.crit.0 {
        return Err(TokenError::Critical);
    }
    if header.typ.as_deref().is_some_and(|typ| !is_plain_type(typ)) {
        return Err(TokenError::Type);
    }
    match dialect.keys {
        Keys::PemPerKid => drop(KeyId::parse(&header.kid)?),
        Keys::Jwks if header.kid.is_empty() || header.kid.len() > 256 => {
            return Err(TokenError::KeyId);
        }
        Keys::Jwks => {}
    }
    if let MadeFor::Signer(signers) = &expected.made_for
        && !header.signer.as_ref().is_some_and(|signer| signers.contains(signer))
    {
        return Err(TokenError::Signer);
    }
    if let (Stamps::Header, Some(expires)) = (dialect.stamps, header.exp) {
        jose::check_not_expired(expires, now)?;
    }
    Ok(algorithm)
}

/// Tokens for other ends carry a type of their own (RFC 8725 section 3.11), so that a logout token or a
/// security event never passes for who somebody is.
fn is_plain_type(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

fn stamps(
    header: &Header,
    payload: &Payload,
    dialect: &Dialect,
) -> Result<(String, EpochSeconds), TokenError> {
    let (issuer, expires) = match dialect.stamps {
        Stamps::Payload => (&payload.iss, payload.exp),
        Stamps::Header => {
            if payload.exp.is_some_and(|expires| Some(expires) != header.exp) {
                return Err(TokenError::ExpiryMismatch);
            }
            if payload.iss.is_some() && payload.iss != header.iss {
                return Err(TokenError::Issuer);
            }
            (&header.iss, header.exp)
        }
    };
    match (issuer, expires) {
        (Some(issuer), Some(expires)) => Ok((issuer.clone(), expires)),
        _ => Err(TokenError::Malformed("its iss or its exp is missing")),
    }
}

fn check_issuer(issuer: &str, expected: &Expected) -> Result<(), TokenError> {
    if issuer.is_empty() || expected.issuer.as_ref().is_some_and(|expected| expected != issuer) {
        return Err(TokenError::Issuer);
    }
    Ok(())
}

fn check_times(
    payload: &Payload,
    expires: EpochSeconds,
    dialect: &Dialect,
    now: EpochSeconds,
) -> Result<(), TokenError> {
    jose::check_not_expired(expires, now)?;
    jose::check_not_from_the_future([payload.nbf, payload.iat], now)?;
    let Some(longest) = dialect.longest_life else { return Ok(()) };
    let issued = payload.iat.ok_or(TokenError::Malformed("its iat is missing"))?;
    if expires.since(issued) > longest + super::CLOCK_SKEW_SECONDS {
        return Err(TokenError::TooLongLived);
    }
    Ok(())
}

fn check_made_for(payload: &Payload, expected: &Expected) -> Result<(), TokenError> {
    if expected.dialect.front == Front::Bearer && is_id_token(payload) {
        return Err(TokenError::Type);
    }
    if expected.token_use.is_some() && payload.token_use != expected.token_use {
        return Err(TokenError::Use);
    }
    match &expected.made_for {
        // Looked at with the header.
        MadeFor::Signer(_) => Ok(()),
        MadeFor::Audience(audiences) => check_audience(payload, audiences),
        MadeFor::Client(clients) => check_client(payload, clients),
        MadeFor::AudienceAndClient(audiences, clients) => {
            check_audience(payload, audiences)?;
            check_client(payload, clients)
        }
        MadeFor::Us { client, nonce } => check_ours(payload, client, nonce.as_deref()),
    }
}

/// An ID token is for the client to read, and travels in URLs when people sign out: it opens nothing. It
/// alone has a digest of the access token; Keycloak also says `typ`.
fn is_id_token(payload: &Payload) -> bool {
    payload.at_hash.0 || payload.typ.as_ref().is_some_and(|typ| typ == "ID")
}

fn audience(payload: &Payload) -> &[String] {
    payload.aud.as_ref().map_or(&[], Audience::names)
}

fn check_audience(payload: &Payload, audiences: &[String]) -> Result<(), TokenError> {
    let named = audience(payload).iter().any(|name| audiences.contains(name));
    if named { Ok(()) } else { Err(TokenError::Audience) }
}

/// Providers name the client in one of three claims; where several stand, all must be right.
fn check_client(payload: &Payload, clients: &[String]) -> Result<(), TokenError> {
    let mut named =
        [&payload.client_id, &payload.azp, &payload.appid].into_iter().flatten().peekable();
    if named.peek().is_some() && named.all(|client| clients.contains(client)) {
        return Ok(());
    }
    Err(TokenError::Client)
}

fn check_ours(payload: &Payload, client: &str, nonce: Option<&str>) -> Result<(), TokenError> {
    let audience = audience(payload);
    if !audience.iter().any(|name| name == client) {
        return Err(TokenError::Audience);
    }
    match &payload.azp {
        Some(azp) if azp != client => return Err(TokenError::Client),
        None if audience.len() > 1 => return Err(TokenError::Client),
        _ => {}
    }
    if nonce.is_some() && payload.nonce.as_deref() != nonce {
        return Err(TokenError::Nonce);
    }
    Ok(())
}

fn identify(
    compact: &Compact<'_>,
    payload: Payload,
    issuer: String,
    expires: EpochSeconds,
    expected: &Expected,
) -> Result<Identity, TokenError> {
    let person = Person::of(payload, expected.dialect);
    let groups = match &expected.groups {
        Some(claim) => jose::string_list(&compact.payload, claim)?,
        None => Vec::new(),
    };
    let email = person.email.and_then(|address| Email::parse(&address, person.email_verified));
    Ok(Identity {
        front: expected.dialect.front,
        issuer,
        subject: Subject::parse(&person.subject)?,
        email: email.map(|email| email.vouched_for(&expected.verified_email_domains)),
        groups: groups.into_iter().collect(),
        expires,
    })
}

/// Who the payload speaks of.
struct Person {
    subject: String,
    email: Option<String>,
    email_verified: bool,
}

impl Person {
    fn of(payload: Payload, dialect: &Dialect) -> Self {
        // With IAM Identity Center, Verified Access has another form of its own.
        if let (None, Some(user), Stamps::Header) = (&payload.sub, &payload.user, dialect.stamps) {
            return Self {
                subject: user["user_id"].as_str().unwrap_or_default().to_owned(),
                email: user["email"]["address"].as_str().map(ToOwned::to_owned),
                email_verified: is_true(&user["email"]["verified"]),
            };
        }
        Self {
            subject: payload.sub.unwrap_or_default(),
            email: payload.email,
            email_verified: payload.email_verified.as_ref().is_some_and(is_true),
        }
    }
}

/// Some providers write a text.
fn is_true(value: &serde_json::Value) -> bool {
    value == true || value == "true"
}
