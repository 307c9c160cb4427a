//! Verification keys by where they are.

use std::sync::Arc;

use super::fetch::Fetcher;
use super::key_cache::{Absence, CacheLimits, KeyCache, KeyUnavailable, Stale};
use crate::clock::Clock;
use crate::identity::TokenError;
use crate::identity::keys::{Algorithm, Jwks, VerificationKey};

/// How long keys are believed without looking again, in seconds.
const FRESH: u64 = 60 * 60;

/// How soon a set of keys that lacks the one asked for is fetched again, in seconds.
const REFETCH: u64 = 60;

/// Every key that a token may be verified by, fetched as seldom as can be.
#[derive(Debug)]
pub struct VerificationKeys {
    single: KeyCache<VerificationKey>,
    sets: KeyCache<Jwks>,
}

impl VerificationKeys {
    pub(super) fn new(
        clock: &Arc<dyn Clock>,
        fetcher: &Arc<dyn Fetcher>,
        limits: CacheLimits,
    ) -> Self {
        Self {
            single: KeyCache::new(clock.clone(), fetcher.clone(), limits, Absence::NoSuchKey),
            sets: KeyCache::new(clock.clone(), fetcher.clone(), limits, Absence::Outage),
        }
    }

    /// The one key in the PEM file at `url`.
    ///
    /// # Errors
    /// [`KeyUnavailable`] when there is none, or none can be had.
    pub async fn single(
        &self,
        url: &str,
        algorithm: Algorithm,
    ) -> Result<Arc<VerificationKey>, KeyUnavailable> {
        let read = |bytes: &[u8]| read_pem(algorithm, bytes);
        self.single.get(url, FRESH, Stale::Welcome, read).await
    }

    /// The key called `kid` in the JWKS at `url`.
    ///
    /// # Errors
    /// [`KeyUnavailable::Unknown`] when a set that has just been looked at lacks it.
    pub async fn in_set(&self, url: &str, kid: &str) -> Result<VerificationKey, KeyUnavailable> {
        // An issuer that has just rotated its keys signs with one that is not cached yet.
        for (max_age, stale) in [(FRESH, Stale::Welcome), (REFETCH, Stale::Useless)] {
            let keys = self.sets.get(url, max_age, stale, Jwks::parse).await?;
            if let Some(key) = keys.get(kid) {
                return Ok(key.clone());
            }
        }
        Err(KeyUnavailable::Unknown)
    }
}

fn read_pem(algorithm: Algorithm, bytes: &[u8]) -> Result<VerificationKey, TokenError> {
    VerificationKey::from_pem(algorithm, &String::from_utf8_lossy(bytes))
}
