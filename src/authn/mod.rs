//! From a request to an identity: headers read, keys fetched and cached, tokens verified.
//!
//! Three outcomes, kept apart: nobody is signed in (`Ok(None)`), a credential is wrong
//! ([`AuthnError::Refused`], never a reason to try something else), or it cannot be judged just now
//! ([`AuthnError::Unavailable`]).

mod alb;
mod fetch;
mod forwarded;
mod key_cache;

use std::sync::Arc;

use axum::http::HeaderMap;

pub use self::fetch::{FetchError, Fetcher, HttpFetcher};
pub use self::forwarded::browser_address;
pub use self::key_cache::{Absence, CacheLimits, KeyCache, KeyUnavailable, Stale};
use crate::clock::Clock;
use crate::config::AlbFront;
use crate::identity::{Front, Identity, TokenError, access_token, alb as alb_token};

/// Why a request has no identity although it carries a credential.
#[derive(Debug, thiserror::Error)]
pub enum AuthnError {
    /// The credential is wrong.
    #[error("{front}: {reason}")]
    Refused {
        /// Whose credential it is.
        front: Front,
        /// What is wrong with it.
        reason: RefusedReason,
    },
    /// The key that would tell cannot be had.
    #[error("{front}: {source}")]
    Unavailable {
        /// Whose credential it is.
        front: Front,
        /// Why the key cannot be had.
        source: KeyUnavailable,
    },
}

/// What is wrong with a credential.
#[derive(Debug, thiserror::Error)]
pub enum RefusedReason {
    /// A header that may stand once stands twice.
    #[error("the header {0} arrived more than once")]
    Duplicate(&'static str),
    /// A header that is not visible ASCII.
    #[error("the header {0} holds bytes that no token has")]
    NotText(&'static str),
    /// The claims token.
    #[error("claims token: {0}")]
    Claims(#[source] TokenError),
    /// The access token.
    #[error("access token: {0}")]
    AccessToken(#[source] TokenError),
    /// The key service knows no such key.
    #[error("the token's kid is unknown to the key service")]
    UnknownKey,
}

/// Verifies identities. Its caches outlive every reload of the configuration.
#[derive(Debug)]
pub struct Authenticator {
    clock: Arc<dyn Clock>,
    load_balancer_keys: KeyCache<alb_token::PublicKey>,
    provider_keys: KeyCache<access_token::Jwks>,
}

impl Authenticator {
    /// Returns an authenticator with empty caches.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, fetcher: &Arc<dyn Fetcher>, limits: CacheLimits) -> Self {
        Self {
            load_balancer_keys: KeyCache::new(
                clock.clone(),
                fetcher.clone(),
                limits,
                Absence::NoSuchKey,
            ),
            provider_keys: KeyCache::new(clock.clone(), fetcher.clone(), limits, Absence::Outage),
            clock,
        }
    }

    /// Returns who is asking, or `None` if nobody is signed in.
    ///
    /// # Errors
    /// [`AuthnError`] when a credential is there and cannot be believed.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        front: &AlbFront,
    ) -> Result<Option<Identity>, AuthnError> {
        self.authenticate_alb(headers, front).await
    }
}
