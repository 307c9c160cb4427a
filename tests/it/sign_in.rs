//! Our own sign-in against a real provider: npm's `oidc-provider`.

mod attacks;
mod check;
mod cookie_keys;
mod failing;
mod flow;
mod many;
mod process;
mod refresh;
mod shown;
mod signing_out;
pub(crate) mod world;
