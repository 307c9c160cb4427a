//! Tokens in the dialects of an Application Load Balancer and of Amazon Cognito.
//!
//! Both signers also sign any text whatever, so that tests can forge what AWS never would.

use std::fmt::Write as _;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::people::Person;
use crate::clock::EpochSeconds;

/// The cryptographic library failed, which it only does when the machine is out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library failed")]
pub struct CryptoError;

impl From<aws_lc_rs::error::Unspecified> for CryptoError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}

/// What the header of a load balancer's token says beside its key.
#[derive(Clone, Copy, Debug)]
pub struct ClaimsHeader<'a> {
    /// The ARN of the load balancer.
    pub signer: &'a str,
    /// The client ID that it signs people in with.
    pub client: &'a str,
    /// The issuer URL of the provider.
    pub issuer: &'a str,
    /// When the token ends.
    pub expires: EpochSeconds,
}

/// Signs `x-amzn-oidc-data` as a load balancer does; see [`crate::identity::alb`] for the dialect.
pub struct ClaimsSigner {
    key: EcdsaKeyPair,
    kid: String,
    public_key_pem: String,
}

impl ClaimsSigner {
    /// Makes a fresh P-256 key, named by a UUID.
    ///
    /// # Errors
    /// [`CryptoError`] when no key can be made.
    pub fn generate() -> Result<Self, CryptoError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let public_key_pem = pem(key.public_key().as_der()?.as_ref());
        Ok(Self { key, kid: random_uuid()?, public_key_pem })
    }

    /// The name of the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half, as the key service serves it.
    #[must_use]
    pub fn public_key_pem(&self) -> &str {
        &self.public_key_pem
    }

    /// Mints the claims token of a signed-in person from what the provider's userinfo endpoint said.
    ///
    /// # Errors
    /// [`CryptoError`] when nothing can be signed.
    pub fn mint(
        &self,
        header: &ClaimsHeader<'_>,
        userinfo: &Map<String, Value>,
    ) -> Result<String, CryptoError> {
        let ClaimsHeader { signer, client, issuer, expires } = *header;
        let mut payload = userinfo.clone();
        payload.insert("exp".to_owned(), json!(expires));
        payload.insert("iss".to_owned(), json!(issuer));
        self.sign_segments(
            // Written by hand, since the order of the fields is a part of the dialect.
            &format!(
                r#"{{"typ":"JWT","kid":{},"alg":"ES256","iss":{},"client":{},"signer":{},"exp":{}}}"#,
                json!(self.kid),
                json!(issuer),
                json!(client),
                json!(signer),
                expires.0
            ),
            &Value::Object(payload).to_string(),
        )
    }

    /// Signs any header and payload: padded segments, and 64 bytes of signature over that text.
    ///
    /// # Errors
    /// [`CryptoError`] when nothing can be signed.
    pub fn sign_segments(&self, header: &str, payload: &str) -> Result<String, CryptoError> {
        let input = format!("{}.{}", URL_SAFE.encode(header), URL_SAFE.encode(payload));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes())?;
        Ok(format!("{input}.{}", URL_SAFE.encode(signature)))
    }
}

/// Signs access tokens as a Cognito user pool does; see [`crate::identity::access_token`].
pub struct AccessTokenSigner {
    key: RsaKeyPair,
    kid: String,
}

/// What an access token says beside whom it is for.
#[derive(Clone, Copy, Debug)]
pub struct AccessTokenFacts<'a> {
    /// The pool's issuer URL.
    pub issuer: &'a str,
    /// The client ID that asked.
    pub client: &'a str,
    /// The scopes, separated by spaces.
    pub scope: &'a str,
    /// When it is minted.
    pub issued: EpochSeconds,
    /// When it ends.
    pub expires: EpochSeconds,
}

impl AccessTokenSigner {
    /// Makes a fresh RSA-2048 key.
    ///
    /// # Errors
    /// [`CryptoError`] when no key can be made.
    pub fn generate() -> Result<Self, CryptoError> {
        Ok(Self { key: RsaKeyPair::generate(KeySize::Rsa2048)?, kid: random_text()? })
    }

    /// The name of the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half, as the pool serves it.
    #[must_use]
    pub fn jwks_json(&self) -> String {
        let public = self.key.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [{
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": self.kid,
            "n": number(public.modulus().big_endian_without_leading_zero()),
            "e": number(public.exponent().big_endian_without_leading_zero()),
        }]})
        .to_string()
    }

    /// Mints the access token of a person. Here alone are the groups; a person without any lacks
    /// the claim, as in Cognito.
    ///
    /// # Errors
    /// [`CryptoError`] when nothing can be signed.
    pub fn mint(
        &self,
        person: &Person,
        facts: &AccessTokenFacts<'_>,
    ) -> Result<String, CryptoError> {
        let mut payload = json!({
            "sub": person.id,
            "iss": facts.issuer,
            "client_id": facts.client,
            "token_use": "access",
            "scope": facts.scope,
            "auth_time": facts.issued,
            "iat": facts.issued,
            "exp": facts.expires,
            "jti": random_uuid()?,
            "username": person.id,
        });
        if !person.groups.is_empty() {
            payload["cognito:groups"] = json!(person.groups);
        }
        let header = json!({"kid": self.kid, "alg": "RS256"});
        self.sign_segments(&header.to_string(), &payload.to_string())
    }

    /// Signs any header and payload, unpadded.
    ///
    /// # Errors
    /// [`CryptoError`] when nothing can be signed.
    pub fn sign_segments(&self, header: &str, payload: &str) -> Result<String, CryptoError> {
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature)?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Returns the subject of a token that this key signed and that has not ended.
    pub(super) fn subject_of(&self, token: &str, now: EpochSeconds) -> Option<String> {
        let (input, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.key.public_key().as_ref())
            .verify(input.as_bytes(), &signature)
            .ok()?;
        let payload = URL_SAFE_NO_PAD.decode(input.split_once('.')?.1).ok()?;
        let payload: Value = serde_json::from_slice(&payload).ok()?;
        let lasts = payload["exp"].as_u64().is_some_and(|expires| now.0 < expires);
        payload["sub"].as_str().filter(|_| lasts).map(str::to_owned)
    }
}

/// Returns 32 random bytes as URL-safe text.
pub(super) fn random_text() -> Result<String, CryptoError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns a random UUID (RFC 9562 section 5.4).
fn random_uuid() -> Result<String, CryptoError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Wraps the DER of a public key (RFC 7468).
fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = STANDARD.encode(der);
    while !rest.is_empty() {
        let next = rest.split_off(rest.len().min(64));
        text.push_str(&rest);
        text.push('\n');
        rest = next;
    }
    text.push_str("-----END PUBLIC KEY-----\n");
    text
}

#[cfg(test)]
mod tests;
