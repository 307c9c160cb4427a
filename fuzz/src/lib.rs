//! What must hold for every byte that a stranger sends, one module per parser.
//!
//! A target takes any bytes, asserts what holds for them, and returns whether they were accepted.
//! libFuzzer drives it from `fuzz_targets/`; the integration tests include this file and replay
//! `corpus/` through the same code. Where a foreign implementation exists, it is asked.

pub mod accept_encoding;
pub mod access_token;
pub mod alb_token;
pub mod configuration;
pub mod cookie_header;
pub mod file_request;
pub mod handoff_token;
pub mod ledger;
pub mod login_cookie;
pub mod policy;
pub mod resource;
pub mod return_to;
mod sealed;
pub mod signed_token;
mod tokens;
pub mod x_forwarded_for;

use edgemint::clock::EpochSeconds;
use edgemint::identity::{Email, Front, Identity, Subject};

/// A target: it panics where a property does not hold, and says whether the bytes were accepted.
pub type Target = fn(&[u8]) -> bool;

/// Every target by name, which is also that of its folder in `corpus/`.
pub const TARGETS: [(&str, Target); 14] = [
    ("accept_encoding", accept_encoding::run),
    ("access_token", access_token::run),
    ("alb_token", alb_token::run),
    ("configuration", configuration::run),
    ("cookie_header", cookie_header::run),
    ("file_request", file_request::run),
    ("handoff_token", handoff_token::run),
    ("ledger", ledger::run),
    ("login_cookie", login_cookie::run),
    ("policy", policy::run),
    ("resource", resource::run),
    ("return_to", return_to::run),
    ("signed_token", signed_token::run),
    ("x_forwarded_for", x_forwarded_for::run),
];

/// The present, at every target: 2026-01-01T18:00:00Z.
const NOW: EpochSeconds = EpochSeconds(1_767_290_400);

/// Published keys, which the service refuses.
const P256_PRIVATE: &str = include_str!("../../keys-example/p-256.private.pem");
const P256_PUBLIC: &str = include_str!("../../keys-example/p-256.public.pem");
const RSA_PRIVATE: &str = include_str!("../../keys-example/rsa-2048.private.pem");
const RSA_PUBLIC: &str = include_str!("../../keys-example/rsa-2048.public.pem");

fn person(subject: Subject, email: Option<Email>) -> Identity {
    Identity {
        front: Front::Alb,
        issuer: "https://issuer.example.org".to_owned(),
        subject,
        email,
        groups: [].into(),
        expires: NOW,
    }
}
