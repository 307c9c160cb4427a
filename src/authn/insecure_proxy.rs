//! The headers of a proxy that signs nothing.

use super::{Authenticator, AuthnError, Presented, RefusedReason, single};
use crate::config::InsecureProxy;
use crate::identity::insecure_proxy::{self, Said};
use crate::identity::{Front, Identity};

const FRONT: Front = Front::InsecureProxy;

impl Authenticator {
    /// Judges what a proxy says, if anything does. Whoever says it and is not the proxy is refused, since
    /// a proxy that passes browsers' own headers on would do so, too.
    pub(super) fn authenticate_by_proxy(
        &self,
        presented: &Presented<'_>,
        proxy: &InsecureProxy,
    ) -> Result<Option<Identity>, AuthnError> {
        let value = |name| single(presented.headers, FRONT, name);
        let Some(subject) = value(&proxy.subject_header)? else { return Ok(None) };
        let secret = value(&proxy.secret_header)?;
        let known = secret.is_some_and(|secret| proxy.secret.is_of(secret.as_bytes()));
        if !known || !proxy.is_at(presented.peer) {
            return Err(AuthnError::refused(FRONT, RefusedReason::NotTheProxy));
        }
        let said = Said {
            subject,
            email: value(&proxy.email_header)?,
            groups: value(&proxy.groups_header)?,
        };
        let now = self.clock.now();
        insecure_proxy::read(said, &proxy.issuer, &proxy.verified_email_domains, now)
            .map(Some)
            .map_err(|error| AuthnError::refused(FRONT, RefusedReason::Token(error)))
    }
}
