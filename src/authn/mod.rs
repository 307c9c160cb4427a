//! From a request to an identity: headers read, keys fetched and cached, tokens verified.
//!
//! Three outcomes, kept apart: nobody is signed in (`Ok(None)`), a credential is wrong
//! ([`AuthnError::Refused`], never a reason to try something else), or it cannot be judged just now
//! ([`AuthnError::Unavailable`]).
//!
//! Every credential of a front that is configured for the host is judged, not only the first: one that
//! is wrong is a refusal whatever else is there, and so are two that speak of different people.

mod alb;
mod fetch;
mod forwarded;
mod insecure_proxy;
mod key_cache;
mod keys;
mod provider;
mod signed;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;

pub use self::fetch::{FetchError, Fetcher, Fetching, HttpFetcher, Reach, Sending};
pub use self::forwarded::browser_address;
pub use self::key_cache::{Absence, CacheLimits, KeyCache, KeyUnavailable, Stale};
pub use self::keys::VerificationKeys;
pub use self::provider::{Begun, Party, ProviderError, Providers, Refreshed, Standing, standing};
use crate::clock::Clock;
use crate::config::{Fronts, SignedFront};
use crate::identity::dialect;
use crate::identity::{Front, Identity, TokenError};

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
    /// Two credentials are right, and speak of different people.
    #[error("{0} and {1} vouch for different people")]
    Conflict(Front, Front),
}

impl AuthnError {
    fn refused(front: Front, reason: RefusedReason) -> Self {
        Self::Refused { front, reason }
    }

    /// A key that does not exist is a wrong credential.
    fn unavailable(front: Front, source: KeyUnavailable) -> Self {
        match source {
            KeyUnavailable::Unknown => Self::refused(front, RefusedReason::UnknownKey),
            source => Self::Unavailable { front, source },
        }
    }
}

/// What is wrong with a credential.
#[derive(Debug, thiserror::Error)]
pub enum RefusedReason {
    /// A header that may stand once stands twice.
    #[error("the header {0} arrived more than once")]
    Duplicate(String),
    /// A header that is not visible ASCII.
    #[error("the header {0} holds bytes that no token has")]
    NotText(String),
    /// The headers of an unsigned front, from somebody else.
    #[error("the headers come from another address than the proxy's, or without its secret")]
    NotTheProxy,
    /// The claims token.
    #[error("claims token: {0}")]
    Claims(#[source] TokenError),
    /// The token of another signed front.
    #[error("{0}")]
    Token(#[source] TokenError),
    /// The access token.
    #[error("access token: {0}")]
    AccessToken(#[source] TokenError),
    /// The key service knows no such key.
    #[error("the token's kid is unknown to the key service")]
    UnknownKey,
}

/// What a request presents.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'r> {
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// The one of the site's names that it came by.
    pub host: &'r str,
    /// The other end of its connection.
    pub peer: IpAddr,
}

/// Verifies identities. Its caches outlive every reload of the configuration.
#[derive(Debug)]
pub struct Authenticator {
    clock: Arc<dyn Clock>,
    keys: VerificationKeys,
}

impl Authenticator {
    /// Returns an authenticator with empty caches.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, fetcher: &Arc<dyn Fetcher>, limits: CacheLimits) -> Self {
        let keys = VerificationKeys::new(&clock, fetcher, limits);
        Self { clock, keys }
    }

    /// Returns who is asking, or `None` if nobody is signed in.
    ///
    /// # Errors
    /// [`AuthnError`] when a credential is there and cannot be believed.
    pub async fn authenticate(
        &self,
        presented: &Presented<'_>,
        fronts: &Fronts,
    ) -> Result<Option<Identity>, AuthnError> {
        let Presented { headers, host, .. } = *presented;
        let mut known = Known::default();
        if let Some(front) = fronts.alb.as_ref().filter(|front| front.hosts.contain(host)) {
            known.add(self.authenticate_alb(headers, front).await?)?;
        }
        for kind in dialect::ALL.map(|dialect| dialect.front) {
            let believed: Vec<&SignedFront> = fronts
                .signed
                .iter()
                .filter(|front| front.front() == kind && front.hosts.contain(host))
                .collect();
            known.add(self.authenticate_signed(headers, kind, &believed).await?)?;
        }
        if let Some(proxy) =
            fronts.insecure_proxy.as_ref().filter(|proxy| proxy.hosts.contain(host))
        {
            known.add(self.authenticate_by_proxy(presented, proxy)?)?;
        }
        Ok(known.0)
    }
}

/// Puts together what two credentials say: the one person that both speak of.
///
/// # Errors
/// [`AuthnError::Conflict`] when they speak of two.
pub fn agree(
    first: Option<Identity>,
    second: Option<Identity>,
) -> Result<Option<Identity>, AuthnError> {
    let mut known = Known(first);
    known.add(second)?;
    Ok(known.0)
}

/// Who the credentials so far speak of.
#[derive(Default)]
struct Known(Option<Identity>);

impl Known {
    fn add(&mut self, identity: Option<Identity>) -> Result<(), AuthnError> {
        let Some(identity) = identity else { return Ok(()) };
        match &self.0 {
            None => self.0 = Some(identity),
            Some(known) if !known.is_same_person(&identity) => {
                return Err(AuthnError::Conflict(known.front, identity.front));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

/// The one value of a header that must not stand twice: which of two would be believed?
fn single<'a>(
    headers: &'a HeaderMap,
    front: Front,
    name: &str,
) -> Result<Option<&'a str>, AuthnError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthnError::refused(front, RefusedReason::Duplicate(name.to_owned())));
    }
    let not_text = |_| AuthnError::refused(front, RefusedReason::NotText(name.to_owned()));
    value.to_str().map(Some).map_err(not_text)
}
