//! What CloudFront does at the edge: may this request read this URL?
//!
//! Works on the request alone, with libraries that the signer does not use, and explains every
//! refusal in words that help the person who has to mend it. Where AWS documents nothing (two cookie
//! sets that reach one URL), the answer is a refusal.
//!
//! Source: the CloudFront Developer Guide, "Serve private content with signed URLs and signed
//! cookies", and the XML answers of real distributions.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rsa::Pkcs1v15Sign;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::algorithm::HashAlgorithm;
use super::key::PublicKey;
use crate::clock::EpochSeconds;
use crate::policy::base64::{self, DecodeError};
use crate::policy::{Custom, Policy, PolicyError, Resource, ResourceError, parse_custom};

/// The parts of a signed cookie or URL.
const PARTS: [&str; 5] = ["Policy", "Expires", "Signature", "Key-Pair-Id", "Hash-Algorithm"];

/// The public keys that a distribution trusts, by ID: its trusted key group.
#[derive(Clone, Debug, Default)]
pub enum TrustedKeys {
    /// Exactly these.
    Group(HashMap<String, PublicKey>),
    /// One key, whatever ID it goes by: what `verify --public-key` knows.
    AnyId(Box<PublicKey>),
    /// None.
    #[default]
    None,
}

impl TrustedKeys {
    fn get(&self, id: &str) -> Option<&PublicKey> {
        match self {
            Self::Group(keys) => keys.get(id),
            Self::AnyId(key) => Some(key),
            Self::None => None,
        }
    }
}

/// A request as it reaches the edge.
#[derive(Clone, Copy, Debug)]
pub struct EdgeRequest<'a> {
    /// The full URL, with its query.
    pub url: &'a str,
    /// The value of the `Cookie` header; empty if there is none.
    pub cookies: &'a str,
    /// Where the request comes from; unknown leaves a bound policy unmet.
    pub source: Option<IpAddr>,
    /// When it arrives.
    pub now: EpochSeconds,
}

/// Why the edge answers 403.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    /// No key ID at all.
    #[error("no CloudFront-Key-Pair-Id reached the edge{0}")]
    MissingKey(Hint),
    /// A key ID that no trusted key group holds.
    #[error("the key {0:?} is not in the trusted key group")]
    UnknownKey(String),
    /// One part stands twice with two values.
    #[error(
        "CloudFront-{0} arrived twice with different values: cookies of two paths or domains both \
         match this URL, and CloudFront does not document which it uses"
    )]
    Ambiguous(&'static str),
    /// No signature, or an undecodable one.
    #[error("CloudFront-Signature: {0}")]
    Signature(Undecodable),
    /// A digest that CloudFront does not know.
    #[error("CloudFront-Hash-Algorithm is {0:?}; CloudFront knows SHA1 and SHA256")]
    Hash(String),
    /// Neither a policy nor an expiry.
    #[error("neither CloudFront-Policy nor CloudFront-Expires reached the edge")]
    NoPolicy,
    /// An undecodable policy.
    #[error("CloudFront-Policy: {0}")]
    PolicyEncoding(#[source] DecodeError),
    /// A policy that is not as documented.
    #[error("CloudFront-Policy: {0}")]
    Policy(#[from] PolicyError),
    /// An expiry that is no number of seconds.
    #[error("CloudFront-Expires is {0:?}, not a number of seconds since 1970")]
    Expires(String),
    /// A URL that no canned policy can name.
    #[error("the URL cannot stand in a policy: {0}")]
    Url(#[source] ResourceError),
    /// The signature belongs to other bytes or another key.
    #[error("the signature does not match the {kind} policy{hint}")]
    WrongSignature {
        /// `canned` or `custom`.
        kind: &'static str,
        /// What else would have matched.
        hint: Hint,
    },
    /// Another resource.
    #[error("resource {resource} does not cover {url}")]
    Resource {
        /// What the policy opens.
        resource: Resource,
        /// What was asked for.
        url: String,
    },
    /// Too late.
    #[error("expired {seconds} s ago, at {at}")]
    Expired {
        /// How long ago.
        seconds: u64,
        /// When.
        at: EpochSeconds,
    },
    /// Too early.
    #[error("not valid before {at}, {seconds} s from now")]
    NotYet {
        /// How long until then.
        seconds: u64,
        /// From when.
        at: EpochSeconds,
    },
    /// From elsewhere.
    #[error("bound to {bound}, but the request comes from {from}")]
    Source {
        /// The range of the policy.
        bound: ipnet::Ipv4Net,
        /// The address of the request.
        from: String,
    },
}

/// What is wrong with a signature before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// It is not in CloudFront's base64.
    #[error(transparent)]
    Encoding(#[from] DecodeError),
}

/// A remark behind a refusal; empty if there is nothing to add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint(&'static str);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Denial {
    /// The `Code` of CloudFront's XML answer.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MissingKey(_) => "MissingKey",
            Self::UnknownKey(_) => "InvalidKey",
            Self::Signature(_) => "MalformedSignature",
            Self::NoPolicy
            | Self::PolicyEncoding(_)
            | Self::Policy(_)
            | Self::Expires(_)
            | Self::Hash(_)
            | Self::Url(_) => "MalformedPolicy",
            Self::Ambiguous(_)
            | Self::WrongSignature { .. }
            | Self::Resource { .. }
            | Self::Expired { .. }
            | Self::NotYet { .. }
            | Self::Source { .. } => "AccessDenied",
        }
    }

    /// The `Message` of CloudFront's XML answer.
    #[must_use]
    pub fn message(&self) -> &'static str {
        match self.code() {
            "MissingKey" => "Missing Key-Pair-Id query parameter or cookie value",
            "InvalidKey" => "Unknown Key",
            "MalformedSignature" => "Could not unencode Signature",
            "MalformedPolicy" => "Malformed Policy",
            _ => "Access denied",
        }
    }
}

/// Decides whether a request may read its URL, and returns the policy that allows it.
///
/// # Errors
/// [`Denial`] is the first reason for a 403, in the order in which CloudFront's codes imply it
/// looks: key, signature, policy, and then what the policy says.
pub fn verify(request: &EdgeRequest<'_>, keys: &TrustedKeys) -> Result<Policy, Denial> {
    let (url, signed) = Signed::of(request)?;
    let id = signed.get("Key-Pair-Id").ok_or_else(|| Denial::MissingKey(why_missing(request)))?;
    let key = keys.get(id).ok_or_else(|| Denial::UnknownKey(excerpt(id)))?;
    let signature = match signed.get("Signature") {
        None => return Err(Denial::Signature(Undecodable::Missing)),
        Some(text) => base64::decode(text).map_err(|e| Denial::Signature(e.into()))?,
    };
    let hash = match signed.get("Hash-Algorithm") {
        None | Some("SHA1") => HashAlgorithm::Sha1,
        Some("SHA256") => HashAlgorithm::Sha256,
        Some(other) => return Err(Denial::Hash(excerpt(other))),
    };
    let (policy, bytes) = read_policy(&signed, &url)?;
    if !is_signed(key, hash, &bytes, &signature) {
        return Err(wrong_signature(&policy, key, hash, &bytes, &signature));
    }
    check_conditions(&policy, &url, request)?;
    Ok(policy)
}

/// The signed parts of a request, wherever they stand.
struct Signed(HashMap<&'static str, String>);

impl Signed {
    /// Query parameters win over cookies, and are no part of the URL that is signed.
    fn of(request: &EdgeRequest<'_>) -> Result<(String, Self), Denial> {
        let (base, query) = match request.url.split_once('?') {
            Some((base, query)) => (base, query),
            None => (request.url, ""),
        };
        let mut in_url = HashMap::new();
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match PARTS.into_iter().find(|part| *part == name) {
                Some(part) => insert(&mut in_url, part, value)?,
                None => rest.push(pair),
            }
        }
        if in_url.is_empty() {
            return Ok((request.url.to_owned(), Self::of_cookies(request.cookies)?));
        }
        let rest = rest.join("&");
        let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{rest}") };
        Ok((url, Self(in_url)))
    }

    fn of_cookies(header: &str) -> Result<Self, Denial> {
        let mut parts = HashMap::new();
        for pair in header.split(';') {
            let (name, value) = pair.trim().split_once('=').unwrap_or_default();
            let part = name.strip_prefix("CloudFront-");
            if let Some(part) = PARTS.into_iter().find(|known| part == Some(known)) {
                insert(&mut parts, part, value)?;
            }
        }
        Ok(Self(parts))
    }

    fn get(&self, part: &str) -> Option<&str> {
        self.0.get(part).map(String::as_str).filter(|value| !value.is_empty())
    }
}

fn insert(
    parts: &mut HashMap<&'static str, String>,
    part: &'static str,
    value: &str,
) -> Result<(), Denial> {
    match parts.insert(part, value.to_owned()) {
        Some(earlier) if earlier != value => Err(Denial::Ambiguous(part)),
        _ => Ok(()),
    }
}

/// A policy and the bytes that must have been signed: received for a custom one, rebuilt for a
/// canned one.
fn read_policy(signed: &Signed, url: &str) -> Result<(Policy, Vec<u8>), Denial> {
    if let Some(text) = signed.get("Policy") {
        let json = base64::decode(text).map_err(Denial::PolicyEncoding)?;
        return Ok((Policy::Custom(parse_custom(&json)?), json));
    }
    let text = signed.get("Expires").ok_or(Denial::NoPolicy)?;
    let malformed = || Denial::Expires(excerpt(text));
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let expires =
        if digits { text.parse().map_err(|_| malformed())? } else { return Err(malformed()) };
    let resource = Resource::parse(url).map_err(Denial::Url)?;
    let policy = Policy::Canned { resource, expires: EpochSeconds(expires) };
    let json = policy.to_json().into_bytes();
    Ok((policy, json))
}

fn is_signed(key: &PublicKey, hash: HashAlgorithm, bytes: &[u8], signature: &[u8]) -> bool {
    let digest = match hash {
        HashAlgorithm::Sha1 => Sha1::digest(bytes).to_vec(),
        HashAlgorithm::Sha256 => Sha256::digest(bytes).to_vec(),
    };
    match key {
        PublicKey::Rsa(key) => {
            let scheme = match hash {
                HashAlgorithm::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
                HashAlgorithm::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
            };
            key.verify(scheme, &digest, signature).is_ok()
        }
        PublicKey::P256(key) => p256::ecdsa::Signature::from_der(signature)
            .is_ok_and(|signature| key.verify_prehash(&digest, &signature).is_ok()),
    }
}

fn wrong_signature(
    policy: &Policy,
    key: &PublicKey,
    hash: HashAlgorithm,
    bytes: &[u8],
    signature: &[u8],
) -> Denial {
    let kind = match policy {
        Policy::Canned { .. } => "canned",
        Policy::Custom(_) => "custom",
    };
    let other = match hash {
        HashAlgorithm::Sha1 => HashAlgorithm::Sha256,
        HashAlgorithm::Sha256 => HashAlgorithm::Sha1,
    };
    let hint = match (is_signed(key, other, bytes, signature), other, policy) {
        (true, HashAlgorithm::Sha256, _) => {
            Hint(": it is over SHA-256, which needs the cookie CloudFront-Hash-Algorithm=SHA256")
        }
        (true, HashAlgorithm::Sha1, _) => {
            Hint(": it is over SHA-1, so the cookie CloudFront-Hash-Algorithm must go")
        }
        (false, _, Policy::Canned { .. }) => Hint(
            ": another key signed, or the URL or CloudFront-Expires differs from what was signed \
             (a canned policy knows no wildcard, and its query counts)",
        ),
        (false, _, Policy::Custom(_)) => Hint(": another key signed, or the policy was altered"),
    };
    Denial::WrongSignature { kind, hint }
}

fn check_conditions(policy: &Policy, url: &str, request: &EdgeRequest<'_>) -> Result<(), Denial> {
    if let Policy::Custom(Custom { resource, starts, source_ip, .. }) = policy {
        if !resource.matches(url) {
            return Err(Denial::Resource { resource: resource.clone(), url: url.to_owned() });
        }
        check_start(*starts, request.now)?;
        check_source(*source_ip, request.source)?;
    }
    let at = policy.expires();
    if request.now >= at {
        return Err(Denial::Expired { seconds: request.now.since(at), at });
    }
    Ok(())
}

/// Access is refused at or before the start.
fn check_start(starts: Option<EpochSeconds>, now: EpochSeconds) -> Result<(), Denial> {
    match starts {
        Some(at) if now <= at => Err(Denial::NotYet { seconds: at.since(now), at }),
        _ => Ok(()),
    }
}

fn check_source(bound: Option<ipnet::Ipv4Net>, source: Option<IpAddr>) -> Result<(), Denial> {
    let Some(bound) = bound else { return Ok(()) };
    match source.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) if bound.contains(&address) => Ok(()),
        Some(address) => Err(Denial::Source { bound, from: address.to_string() }),
        None => Err(Denial::Source { bound, from: "an unknown address".to_owned() }),
    }
}

fn why_missing(request: &EdgeRequest<'_>) -> Hint {
    if PARTS.iter().any(|part| request.url.contains(&format!("{part}="))) {
        return Hint(": the URL has a parameter of signed URLs, so CloudFront ignores all cookies");
    }
    if request.cookies.is_empty() {
        return Hint(": the request carries no cookies at all");
    }
    Hint("; the request carries other cookies")
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
