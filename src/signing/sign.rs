//! From a granted policy to a signature.

use super::algorithm::HashAlgorithm;
use super::key::{KeyPairId, SigningKey};
use super::pem::KeyError;
use crate::access::{Grant, NotGranted};
use crate::policy::{Policy, base64};

/// A policy and its signature, both ready for cookies or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPolicy {
    policy: Policy,
    encoded_policy: String,
    encoded_signature: String,
    key_pair_id: KeyPairId,
    hash: HashAlgorithm,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The policy goes beyond the grant.
    #[error(transparent)]
    NotGranted(#[from] NotGranted),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Signs a policy that a grant permits.
///
/// # Errors
/// [`SignError`] when the grant does not permit the policy or the key fails.
pub fn sign(
    grant: &Grant,
    policy: Policy,
    key: &SigningKey,
    hash: HashAlgorithm,
) -> Result<SignedPolicy, SignError> {
    grant.permits(&policy)?;
    let json = policy.to_json();
    let signature = key.key.sign_bytes(hash, json.as_bytes())?;
    Ok(SignedPolicy {
        encoded_policy: base64::encode(json.as_bytes()),
        encoded_signature: base64::encode(&signature),
        policy,
        key_pair_id: key.id.clone(),
        hash,
    })
}

impl SignedPolicy {
    /// The policy that was signed.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The policy's JSON in CloudFront's base64.
    #[must_use]
    pub fn encoded_policy(&self) -> &str {
        &self.encoded_policy
    }

    /// The signature in CloudFront's base64.
    #[must_use]
    pub fn encoded_signature(&self) -> &str {
        &self.encoded_signature
    }

    /// The ID of the key that signed.
    #[must_use]
    pub const fn key_pair_id(&self) -> &KeyPairId {
        &self.key_pair_id
    }

    /// The digest that was signed.
    #[must_use]
    pub const fn hash(&self) -> HashAlgorithm {
        self.hash
    }
}
