//! Verification keys: what the signature of a token is checked by.
//!
//! A key knows the one algorithm that it is for, so a token can never choose another one for it
//! (RFC 8725 section 3.1).

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};
use p256::pkcs8::Document;
use serde::Deserialize;

use super::jose::{self, TokenError};
use crate::json::Object;

/// The most keys that are read from one JWKS.
pub const MAX_KEYS: usize = 100;

/// A signature algorithm of JWS (RFC 7518 section 3.1); no other is ever accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 over SHA-256, of 2048 bits or more.
    Rs256,
    /// ECDSA on P-256 over SHA-256.
    Es256,
    /// ECDSA on P-384 over SHA-384.
    Es384,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::Es384];

    /// The value of `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    /// The algorithm of that exact name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A public key, and the one algorithm that it verifies.
#[derive(Clone, Debug)]
pub struct VerificationKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl VerificationKey {
    /// Reads the PEM text of a `SubjectPublicKeyInfo`, as AWS's key services serve it.
    ///
    /// # Errors
    /// [`TokenError::Key`] for anything but one key of this algorithm.
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self, TokenError> {
        let malformed = TokenError::Key("it is not a public key of the right kind in PEM");
        match Document::from_pem(pem.trim()) {
            Ok(("PUBLIC KEY", der)) => Self::parse(algorithm, der.as_bytes()).ok_or(malformed),
            _ => Err(malformed),
        }
    }

    /// Returns the algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Checks a signature in the form of JWS, `r` and `s` of fixed length for ECDSA.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        self.key.verify_sig(message, signature).map_err(|_| TokenError::Signature)
    }

    fn parse(algorithm: Algorithm, key: &[u8]) -> Option<Self> {
        let key = ParsedPublicKey::new(algorithm.verification(), key).ok()?;
        Some(Self { algorithm, key })
    }

    fn from_jwk(raw: RawJwk) -> Option<(String, Self)> {
        if raw.key_use.as_deref().is_some_and(|key_use| key_use != "sig") {
            return None;
        }
        let (algorithm, key) = match (raw.kty.as_str(), raw.crv.as_deref()) {
            ("RSA", None) => (Algorithm::Rs256, rsa(&raw.n?, &raw.e?)?),
            ("EC", Some("P-256")) => {
                (Algorithm::Es256, curve(Algorithm::Es256, 32, &raw.x?, &raw.y?)?)
            }
            ("EC", Some("P-384")) => {
                (Algorithm::Es384, curve(Algorithm::Es384, 48, &raw.x?, &raw.y?)?)
            }
            _ => return None,
        };
        let named_so = raw.alg.is_none_or(|alg| alg == algorithm.name());
        named_so.then_some((raw.kid?, Self { algorithm, key }))
    }
}

fn rsa(modulus: &str, exponent: &str) -> Option<ParsedPublicKey> {
    let (n, e) = (jose::decode(modulus).ok()?, jose::decode(exponent).ok()?);
    PublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()
}

/// An uncompressed point (SEC 1 section 2.3.3), whose coordinates have their full length (RFC 7518
/// section 6.2.1.2).
fn curve(algorithm: Algorithm, length: usize, x: &str, y: &str) -> Option<ParsedPublicKey> {
    let (x, y) = (jose::decode(x).ok()?, jose::decode(y).ok()?);
    if x.len() != length || y.len() != length {
        return None;
    }
    let point = [&[4][..], &x, &y].concat();
    ParsedPublicKey::new(algorithm.verification(), point).ok()
}

/// An issuer's keys by `kid`.
#[derive(Clone, Debug, Default)]
pub struct Jwks(HashMap<String, VerificationKey>);

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
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwks {
    /// Reads a JWKS (RFC 7517); keys that no accepted algorithm can use are left out.
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
        for (kid, key) in raw.keys.into_iter().filter_map(VerificationKey::from_jwk) {
            // Of two keys by one name the first counts, as in AWS's own verifier.
            keys.entry(kid).or_insert(key);
        }
        Ok(Self(keys))
    }

    /// Returns the key called `kid`.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&VerificationKey> {
        self.0.get(kid)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, KeyPair as _,
    };
    use base64::Engine as _;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    /// A key pair, and the DER of its public half: the fixed head of the curve, and the point.
    fn pair(signing: &'static EcdsaSigningAlgorithm, head: &[u8]) -> (EcdsaKeyPair, String) {
        let pair = EcdsaKeyPair::generate(signing).unwrap();
        let der = [head, pair.public_key().as_ref()].concat();
        let text = BASE64_STANDARD.encode(der);
        (pair, format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", wrap(&text)))
    }

    fn wrap(text: &str) -> String {
        let lines: Vec<&str> = (0..text.len().div_ceil(64))
            .map(|line| &text[line * 64..text.len().min(line * 64 + 64)])
            .collect();
        lines.join("\n")
    }

    const P256_HEAD: &[u8] = &[
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    const P384_HEAD: &[u8] = &[
        0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
        0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
    ];

    fn jwk(pair: &EcdsaKeyPair, crv: &str) -> serde_json::Value {
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at((point.len() - 1) / 2);
        let encode = |bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "kid": "k", "crv": crv, "x": encode(x), "y": encode(y)})
    }

    fn only(jwk: &serde_json::Value) -> Option<VerificationKey> {
        let jwks = json!({"keys": [jwk]}).to_string();
        Jwks::parse(jwks.as_bytes()).unwrap().get("k").cloned()
    }

    #[test]
    fn both_curves_are_read_from_pem_and_from_a_jwks_and_verify() {
        for (algorithm, signing, head, crv) in [
            (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED_SIGNING, P256_HEAD, "P-256"),
            (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED_SIGNING, P384_HEAD, "P-384"),
        ] {
            let (pair, pem) = pair(signing, head);
            let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
            let keys = [
                VerificationKey::from_pem(algorithm, &pem).unwrap(),
                only(&jwk(&pair, crv)).unwrap(),
            ];
            for key in keys {
                assert_eq!(key.algorithm(), algorithm);
                assert_eq!(key.verify(b"message", signature.as_ref()), Ok(()));
                assert_eq!(key.verify(b"massage", signature.as_ref()), Err(TokenError::Signature));
            }
        }
    }

    #[test]
    fn a_key_of_another_kind_is_none() {
        let (pair256, pem256) = pair(&ECDSA_P256_SHA256_FIXED_SIGNING, P256_HEAD);
        assert!(VerificationKey::from_pem(Algorithm::Es384, &pem256).is_err());
        assert!(VerificationKey::from_pem(Algorithm::Rs256, &pem256).is_err());
        let private = pem256.replace("PUBLIC KEY", "PRIVATE KEY");
        assert!(VerificationKey::from_pem(Algorithm::Es256, &private).is_err());
        let good = jwk(&pair256, "P-256");
        assert!(only(&good).is_some());
        for (name, value) in [
            ("crv", json!("P-384")),
            ("crv", json!("secp256k1")),
            ("alg", json!("ES384")),
            ("alg", json!("RS256")),
            ("use", json!("enc")),
            ("kty", json!("oct")),
            ("x", json!("AAAA")),
            ("y", good["x"].clone()),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert!(only(&bad).is_none(), "{bad}");
        }
    }
}
