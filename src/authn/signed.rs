//! Headers with a signed token, by the table of [`crate::identity::dialect`].

use axum::http::HeaderMap;

use super::{Authenticator, AuthnError, RefusedReason, single};
use crate::config::{KeyPlace, SignedFront};
use crate::identity::alb::KeyId;
use crate::identity::{Front, Identity, signed};

impl Authenticator {
    /// Judges the token of one kind of front, if it is there. `fronts` are those that are believed at
    /// the host; several are of one kind where scripts have tokens of several issuers.
    pub(super) async fn authenticate_signed(
        &self,
        headers: &HeaderMap,
        kind: Front,
        fronts: &[&SignedFront],
    ) -> Result<Option<Identity>, AuthnError> {
        let Some(token) = token(headers, kind, fronts)? else { return Ok(None) };
        let refused = |error| AuthnError::refused(kind, RefusedReason::Token(error));
        let front = choose(token, fronts).map_err(refused)?;
        let now = self.clock.now();
        let key_id = signed::key_id(token, &front.expected, now).map_err(refused)?;
        let unavailable = |source| AuthnError::unavailable(kind, source);
        let identity = match &front.keys {
            KeyPlace::Jwks(url) => {
                let key = self.keys.in_set(url, &key_id).await.map_err(unavailable)?;
                signed::verify(token, &key, &front.expected, now)
            }
            KeyPlace::PemPerKid(url) => {
                let url = url.of(&KeyId::parse(&key_id).map_err(refused)?);
                let [algorithm, ..] = front.expected.dialect.algorithms else { return Ok(None) };
                let key = self.keys.single(&url, *algorithm).await.map_err(unavailable)?;
                signed::verify(token, &key, &front.expected, now)
            }
        };
        identity.map(Some).map_err(refused)
    }
}

fn token<'h>(
    headers: &'h HeaderMap,
    kind: Front,
    fronts: &[&SignedFront],
) -> Result<Option<&'h str>, AuthnError> {
    let Some(name) = fronts.first().and_then(|front| front.expected.dialect.header) else {
        return Ok(None);
    };
    let Some(value) = single(headers, kind, name)? else { return Ok(None) };
    if kind != Front::Bearer {
        return Ok(Some(value));
    }
    // RFC 9110 section 11.1: the scheme's case does not matter. Another scheme is somebody else's.
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Ok(None),
    }
}

/// The front whose issuer the token names; whether that is true, its signature tells.
fn choose<'f>(
    token: &str,
    fronts: &[&'f SignedFront],
) -> Result<&'f SignedFront, crate::identity::TokenError> {
    if let [only] = fronts {
        return Ok(only);
    }
    let issuer = signed::claimed_issuer(token)?;
    let named = fronts.iter().find(|front| front.expected.issuer.as_ref() == Some(&issuer));
    named.copied().ok_or(crate::identity::TokenError::Issuer)
}
