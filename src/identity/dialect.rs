//! The table of signed fronts: which header, which algorithms, where keys come from, what the token
//! must say. One verifier, [`super::signed`], reads a token by its row.
//!
//! | front | header | algorithm | keys | bound to us by |
//! |---|---|---|---|---|
//! | AWS Verified Access | `x-amzn-ava-user-context` | ES384 | one PEM per `kid` | `signer` in the header |
//! | Cloudflare Access | `Cf-Access-Jwt-Assertion` | RS256 | JWKS | `aud`, `iss` |
//! | Google IAP | `X-Goog-IAP-JWT-Assertion` | ES256 | JWKS | `aud`, `iss`; lives 10 minutes at most |
//! | Pomerium | `X-Pomerium-Jwt-Assertion` | ES256 | JWKS | `aud`, `iss` |
//! | bearer | `Authorization` | the key's | JWKS | `iss`, with `aud` or the client or both |
//! | own sign-in | (none) | the key's | JWKS | `iss`, `aud`, `azp`, `nonce` |
//!
//! The load balancer's own token is a dialect apart, in [`super::alb`].
//!
//! Sources: the AWS Verified Access User Guide, "User claims passing and signature verification";
//! Cloudflare One, "Validate JWTs"; Google Cloud, "Securing your app with signed headers"; Pomerium,
//! "Identity verification"; RFC 6750 and RFC 9068; `OpenID` Connect Core section 3.1.3.7.

use super::Front;
use super::keys::Algorithm;

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Whose token it is.
    pub front: Front,
    /// The header that carries it; none where it comes from the provider itself.
    pub header: Option<&'static str>,
    /// The algorithms that it may be signed with.
    pub algorithms: &'static [Algorithm],
    /// The same, for people.
    pub algorithm_names: &'static str,
    /// How its keys are published.
    pub keys: Keys,
    /// Where issuer and expiry stand.
    pub stamps: Stamps,
    /// The longest life from `iat` to `exp` in seconds, where the vendor names one.
    pub longest_life: Option<u64>,
}

/// How a front publishes its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// One PEM file for each `kid`, which is a UUID.
    PemPerKid,
    /// All of them in one JWKS.
    Jwks,
}

/// Where issuer and expiry stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// In the payload, as RFC 7519 has it.
    Payload,
    /// In the header, as AWS's proxies have it.
    Header,
}

/// Proxies of Google's say 10 minutes from `iat`.
const IAP_LONGEST_LIFE: u64 = 10 * 60;

/// AWS Verified Access.
pub static VERIFIED_ACCESS: Dialect = Dialect {
    front: Front::VerifiedAccess,
    header: Some("x-amzn-ava-user-context"),
    algorithms: &[Algorithm::Es384],
    algorithm_names: "ES384",
    keys: Keys::PemPerKid,
    stamps: Stamps::Header,
    longest_life: None,
};

/// Cloudflare Access. Its cookie carries the same token, and is not read: the header alone is
/// promised.
pub static CLOUDFLARE_ACCESS: Dialect = Dialect {
    front: Front::CloudflareAccess,
    header: Some("cf-access-jwt-assertion"),
    algorithms: &[Algorithm::Rs256],
    algorithm_names: "RS256",
    keys: Keys::Jwks,
    stamps: Stamps::Payload,
    longest_life: None,
};

/// Google's Identity-Aware Proxy.
pub static GOOGLE_IAP: Dialect = Dialect {
    front: Front::GoogleIap,
    header: Some("x-goog-iap-jwt-assertion"),
    algorithms: &[Algorithm::Es256],
    algorithm_names: "ES256",
    keys: Keys::Jwks,
    stamps: Stamps::Payload,
    longest_life: Some(IAP_LONGEST_LIFE),
};

/// Pomerium.
pub static POMERIUM: Dialect = Dialect {
    front: Front::Pomerium,
    header: Some("x-pomerium-jwt-assertion"),
    algorithms: &[Algorithm::Es256],
    algorithm_names: "ES256",
    keys: Keys::Jwks,
    stamps: Stamps::Payload,
    longest_life: None,
};

/// An access token of a script's, by RFC 6750. The load balancer's JWT verification passes it on as it
/// is.
pub static BEARER: Dialect = Dialect {
    front: Front::Bearer,
    header: Some("authorization"),
    algorithms: &Algorithm::ALL,
    algorithm_names: "RS256, ES256 or ES384",
    keys: Keys::Jwks,
    stamps: Stamps::Payload,
    longest_life: None,
};

/// The ID token of our own sign-in, straight from the provider.
pub static ID_TOKEN: Dialect = Dialect {
    front: Front::Login,
    header: None,
    algorithms: &Algorithm::ALL,
    algorithm_names: "RS256, ES256 or ES384",
    keys: Keys::Jwks,
    stamps: Stamps::Payload,
    longest_life: None,
};

/// Every row.
pub static ALL: [&Dialect; 6] =
    [&VERIFIED_ACCESS, &CLOUDFLARE_ACCESS, &GOOGLE_IAP, &POMERIUM, &BEARER, &ID_TOKEN];
