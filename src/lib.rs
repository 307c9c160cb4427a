//! edgemint turns "this person is signed in" into "this browser may read exactly these private
//! files from CloudFront, for the next hour".
//!
//! The modules stand in the order of their dependencies, which point upward in this list only;
//! `tests/layering.rs` enforces it. The core needs no feature and compiles alone.

// The core: pure. No async, no sockets, no files, no environment, no logging, and no clock but
// the one in `clock`.
pub mod access;
pub mod clock;
pub mod cookies;
pub mod identity;
mod json;
pub mod policy;
pub mod secret;
pub mod signing;

// Everything else needs the `service` feature.
#[cfg(feature = "service")]
pub mod authn;
#[cfg(feature = "service")]
pub mod aws;
#[cfg(feature = "service")]
pub mod bundle;
#[cfg(feature = "service")]
pub mod cli;
#[cfg(feature = "service")]
pub mod config;
#[cfg(feature = "service")]
pub mod demo;
#[cfg(feature = "service")]
pub mod issuer;
#[cfg(feature = "service")]
pub mod keystore;
#[cfg(feature = "service")]
pub mod rotation;
#[cfg(feature = "service")]
pub mod server;
#[cfg(feature = "service")]
pub mod telemetry;
