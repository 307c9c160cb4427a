//! The load balancer's headers.

use axum::http::HeaderMap;

use super::{Authenticator, AuthnError, KeyUnavailable, RefusedReason, single};
use crate::config::{AlbFront, Groups};
use crate::identity::access_token;
use crate::identity::alb::{self, Claims};
use crate::identity::headers::{ALB_ACCESS_TOKEN, ALB_CLAIMS};
use crate::identity::keys::Algorithm;
use crate::identity::{Front, Identity};

impl Authenticator {
    pub(super) async fn authenticate_alb(
        &self,
        headers: &HeaderMap,
        front: &AlbFront,
    ) -> Result<Option<Identity>, AuthnError> {
        let Some(token) = single(headers, Front::Alb, ALB_CLAIMS)? else { return Ok(None) };
        let claims = self.verify_claims(token, front).await?;
        let mut groups = claims.groups.clone();
        if let Groups::AccessToken { expected, jwks_url } = &front.groups
            && let Some(token) = single(headers, Front::Alb, ALB_ACCESS_TOKEN)?
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
        let key = self.keys.single(&url, Algorithm::Es256).await.map_err(unavailable)?;
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
        let key = self.keys.in_set(jwks_url, &kid).await.map_err(unavailable)?;
        access_token::verify(token, &key, expected, &claims.subject, self.clock.now())
            .map_err(refused)
    }
}

fn refuse(reason: RefusedReason) -> AuthnError {
    AuthnError::refused(Front::Alb, reason)
}

fn unavailable(source: KeyUnavailable) -> AuthnError {
    AuthnError::unavailable(Front::Alb, source)
}
