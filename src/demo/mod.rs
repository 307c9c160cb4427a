//! Stand-ins for the parts of a site that are not edgemint, for one laptop and for tests.
//!
//! - [`provider`]: a user pool with a sign-in page, as Amazon Cognito has it.
//! - [`load_balancer`]: an Application Load Balancer that signs people in.
//! - [`edge`]: CloudFront distributions with a restricted behavior, and public buckets.
//! - [`one_host`]: one distribution in front of the load balancer and of the data.
//! - [`people`], [`sample`] and [`views`]: who signs in, what there is to see, and how a viewer shows it.
//!
//! All of them are real servers on real connections, with fresh keys at each start. They sign in
//! whoever asks, without a password, so they only run on a [`LoopbackListener`].
//!
//! The edge stand-in verifies with [`crate::signing::verify`], so it cannot find a mistake that the
//! signer and the verifier share; AWS's own tools in `tests/tools/` are the judges of both.

pub mod edge;
mod listener;
pub mod load_balancer;
pub mod one_host;
pub mod people;
pub mod provider;
pub mod sample;
mod session;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod views;

pub use self::listener::{BindError, LoopbackListener};
