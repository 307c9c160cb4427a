//! Signing keys: the private half, the public half, and the ID that CloudFront gave it.
//!
//! The `rsa` and `p256` crates read keys and verify. Private-key operations run in constant time,
//! in aws-lc-rs for SHA-256 and in OpenSSL for SHA-1, which aws-lc-rs does not sign; the `rsa` crate
//! leaks timing there (RUSTSEC-2023-0071).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use rsa::pkcs8::EncodePublicKey as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::algorithm::HashAlgorithm;
use super::fingerprint::Fingerprint;
use super::pem::{self, KeyError};
use super::published;

/// The public key ID that CloudFront assigned, such as `K2JCJMDEHXQW5F`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyPairId(String);

/// A text that cannot be a public key ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a CloudFront public key ID is letters and digits, such as K2JCJMDEHXQW5F; find it in the \
     CloudFront console under Public keys"
)]
pub struct KeyPairIdError;

impl FromStr for KeyPairId {
    type Err = KeyPairIdError;

    fn from_str(text: &str) -> Result<Self, KeyPairIdError> {
        let usable =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if usable { Ok(Self(text.to_owned())) } else { Err(KeyPairIdError) }
    }
}

impl TryFrom<String> for KeyPairId {
    type Error = KeyPairIdError;

    fn try_from(text: String) -> Result<Self, KeyPairIdError> {
        text.parse()
    }
}

impl From<KeyPairId> for String {
    fn from(id: KeyPairId) -> Self {
        id.0
    }
}

impl fmt::Display for KeyPairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A private key together with the ID under which CloudFront knows its public half.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The ID.
    pub id: KeyPairId,
    /// The private half.
    pub key: Arc<PrivateKey>,
}

/// A private key that CloudFront can trust: RSA-2048 or P-256.
///
/// `Debug` shows the fingerprint of the public half only.
pub struct PrivateKey {
    with_sha1: PKey<Private>,
    with_sha256: Sha256Signer,
    public: PublicKey,
    fingerprint: Fingerprint,
}

pub(super) enum Sha256Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl PrivateKey {
    /// Reads a private key in PKCS#1, PKCS#8 or SEC1 PEM.
    ///
    /// # Errors
    /// [`KeyError`] says what the text is instead and how to convert it.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        pem::read_private(text)
    }

    pub(super) fn assemble(
        with_sha1: PKey<Private>,
        with_sha256: Sha256Signer,
        public: PublicKey,
    ) -> Self {
        let fingerprint = public.fingerprint();
        Self { with_sha1, with_sha256, public, fingerprint }
    }

    /// The fingerprint of the public half; see [`PublicKey::fingerprint`].
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message: PKCS#1 v1.5 for RSA, DER for P-256.
    ///
    /// # Errors
    /// [`KeyError::Backend`] when the cryptographic library fails.
    pub(super) fn sign_bytes(
        &self,
        hash: HashAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        match hash {
            HashAlgorithm::Sha1 => {
                openssl::sign::Signer::new(MessageDigest::sha1(), &self.with_sha1)
                    .and_then(|mut signer| signer.sign_oneshot_to_vec(message))
                    .map_err(|_| KeyError::Backend)
            }
            HashAlgorithm::Sha256 => self.sign_sha256(message),
        }
    }

    fn sign_sha256(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.with_sha256 {
            Sha256Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| KeyError::Backend)?;
                Ok(signature)
            }
            Sha256Signer::P256(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyError::Backend),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({} {})", self.public.kind(), self.fingerprint)
    }
}

/// A public key that CloudFront can trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA with a modulus of 2048 bits.
    Rsa(rsa::RsaPublicKey),
    /// ECDSA on P-256.
    P256(p256::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// Reads a public key in SPKI or PKCS#1 PEM.
    ///
    /// # Errors
    /// [`KeyError`] says what the text is instead.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        pem::read_public(text)
    }

    /// Returns the SPKI PEM that `CreatePublicKey` wants.
    ///
    /// # Errors
    /// [`KeyError::Backend`] when the key cannot be encoded.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let ending = rsa::pkcs8::LineEnding::LF;
        match self {
            Self::Rsa(key) => key.to_public_key_pem(ending),
            Self::P256(key) => key.to_public_key_pem(ending),
        }
        .map_err(|_| KeyError::Backend)
    }

    /// What kind of key it is, for people.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RSA-2048",
            Self::P256(_) => "P-256",
        }
    }

    /// What tells this key from every other.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let der = match self {
            Self::Rsa(key) => key.to_public_key_der(),
            Self::P256(key) => key.to_public_key_der(),
        };
        let der = der.map(rsa::pkcs8::Document::into_vec).unwrap_or_default();
        Fingerprint::of(&Sha256::digest(der).into())
    }

    /// Whether the private half is public knowledge, in `keys-example/`.
    #[must_use]
    pub fn is_published(&self) -> bool {
        published::FINGERPRINTS.contains(&self.fingerprint().as_str())
    }
}
