//! The load balancer's headers.

use axum::http::HeaderMap;

use super::{Authenticator, AuthnError, KeyUnavailable, RefusedReason, Stale};
use crate::config::{AlbFront, Groups};
use crate::identity::access_token;
use crate::identity::alb::{self, Claims};
use crate::identity::headers::{ALB_ACCESS_TOKEN, ALB_CLAIMS};
use crate::identity::{Front, Identity};

/// How long a set of keys is believed without looking again, in seconds.
const KEYS_FRESH: u64 = 60 * 60;

/// How soon a set of keys that lacks the one asked for is fetched again, in seconds.
const KEYS_REFETCH: u64 = 60;

impl Authenticator {
    pub(super) async fn authenticate_alb(
        &self,
        headers: &HeaderMap,
        front: &AlbFront,
    ) -> Result<Option<Identity>, AuthnError> {
        let Some(token) = single(headers, ALB_CLAIMS)? else { return Ok(None) };
        let claims = self.verify_claims(token, front).await?;
        let mut groups = claims.groups.clone();
        if let Groups::AccessToken { expected, jwks_url } = &front.groups
            && let Some(token) = single(headers, ALB_ACCESS_TOKEN)?
        {
            groups = self.verify_access_token(token, expected, jwks_url, &claims).await?;
        }
        Ok(Some(Identity {
            front: Front::Alb,
            issuer: claims.issuer,
            subject: claims.subject,
            email: claims.email,
            groups: groups.into_iter().collect(),
            expires: claims.expires,
        }))
    }

    async fn verify_claims(&self, token: &str, front: &AlbFront) -> Result<Claims, AuthnError> {
        let refused = |error| refuse(RefusedReason::Claims(error));
        let now = self.clock.now();
        let kid = alb::key_id(token, &front.expected, now).map_err(refused)?;
        let url = front.key_url.of(&kid);
        let key = self
            .load_balancer_keys
            .get(&url, KEYS_FRESH, Stale::Welcome, read_public_key)
            .await
            .map_err(unavailable)?;
        alb::verify(token, &key, &front.expected, now).map_err(refused)
    }

    async fn verify_access_token(
        &self,
        token: &str,
        expected: &access_token::Expected,
        jwks_url: &str,
        claims: &Claims,
    ) -> Result<Vec<String>, AuthnError> {
        let refused = |error| refuse(RefusedReason::AccessToken(error));
        let kid = access_token::key_id(token).map_err(refused)?;
        let now = self.clock.now();
        // A provider that has just rotated its keys signs with one that is not cached yet.
        for (max_age, stale) in [(KEYS_FRESH, Stale::Welcome), (KEYS_REFETCH, Stale::Useless)] {
            let keys = self
                .provider_keys
                .get(jwks_url, max_age, stale, access_token::Jwks::parse)
                .await
                .map_err(unavailable)?;
            if let Some(key) = keys.get(&kid) {
                return access_token::verify(token, key, expected, &claims.subject, now)
                    .map_err(refused);
            }
        }
        Err(refuse(RefusedReason::UnknownKey))
    }
}

fn read_public_key(bytes: &[u8]) -> Result<alb::PublicKey, crate::identity::TokenError> {
    alb::PublicKey::from_pem(&String::from_utf8_lossy(bytes))
}

/// The one value of a header that must not stand twice: which of two would be believed?
fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, AuthnError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refuse(RefusedReason::Duplicate(name)));
    }
    value.to_str().map(Some).map_err(|_| refuse(RefusedReason::NotText(name)))
}

fn refuse(reason: RefusedReason) -> AuthnError {
    AuthnError::Refused { front: Front::Alb, reason }
}

fn unavailable(source: KeyUnavailable) -> AuthnError {
    match source {
        KeyUnavailable::Unknown => refuse(RefusedReason::UnknownKey),
        source => AuthnError::Unavailable { front: Front::Alb, source },
    }
}
