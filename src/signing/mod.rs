//! Private keys, signatures over policies, and their verification.
//!
//! [`sign()`] demands a [`Grant`] and refuses a policy that goes beyond it, so no code path can sign
//! what nobody decided. [`verify`](verify::verify()) does what CloudFront does at the edge, with other
//! libraries than the signer's: a mistake in one is not repeated in the other.

mod algorithm;
mod fingerprint;
mod generate;
mod key;
mod pem;
mod published;
mod ring;
mod sign;
pub mod verify;

pub use self::algorithm::{HashAlgorithm, UnknownHash};
pub use self::fingerprint::{Fingerprint, FingerprintError};
pub use self::generate::{KeyKind, generate_pem};
pub use self::key::{KeyPairId, KeyPairIdError, PrivateKey, PublicKey, SigningKey};
pub use self::pem::KeyError;
pub use self::ring::{KeyRing, KeyState, MAX_KEYS, RingError, RingMember, Rotation};
pub use self::sign::{SignError, SignedPolicy, sign};

#[cfg(doc)]
use crate::access::Grant;
