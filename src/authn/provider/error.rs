//! What can go wrong with a provider.

use super::super::{FetchError, KeyUnavailable};
use super::document::DocumentError;
use crate::identity::TokenError;

/// Why a provider could not be signed in at. Never holds a code, a token or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It does not answer, or with an error of its own.
    #[error("{what}: {reason}")]
    Unavailable {
        /// What was asked for.
        what: &'static str,
        /// Why it cannot be had.
        reason: String,
    },
    /// Its discovery document or its keys are none.
    #[error("{what}: {reason}")]
    Unusable {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// It refused to trade the code: it is used up or has expired.
    #[error("the provider refused the code: it has expired or was used before")]
    Code,
    /// It says that the person may no longer come in.
    #[error("the provider refused the refresh token")]
    Ended,
    /// It refused this service.
    #[error("the provider refused this service: {0:?}; are client and client_secret right?")]
    Refused(String),
    /// It answered with something else than tokens.
    #[error("the provider's answer is no token response")]
    Answer,
    /// The answer lacks what makes it one of `OpenID` Connect.
    #[error("the provider gave no ID token")]
    NoIdToken,
    /// The ID token is wrong.
    #[error("ID token: {0}")]
    IdToken(TokenError),
    /// The answer of the userinfo endpoint is wrong.
    #[error("userinfo: {0}")]
    UserInfo(TokenError),
    /// The userinfo endpoint answers in a form that is not read.
    #[error("userinfo: the answer is not plain JSON; let the provider send it unsigned")]
    UserInfoType,
    /// The userinfo endpoint does not answer with the person.
    #[error("userinfo: the provider answered {0}")]
    UserInfoStatus(u16),
    /// A new ID token of somebody else.
    #[error("the provider's new ID token is about another subject")]
    Swapped,
    /// The client's secret has not been read yet.
    #[error("the client's secret has not been read yet")]
    NoSecret,
    /// No random numbers, or the program ends.
    #[error("cut off")]
    Cut,
}

impl ProviderError {
    pub(super) fn fetching(what: &'static str, error: KeyUnavailable) -> Self {
        match error {
            KeyUnavailable::Malformed(reason) => Self::Unusable { what, reason },
            KeyUnavailable::Unknown if what == KEYS => Self::IdToken(TokenError::KeyId),
            error => Self::Unavailable { what, reason: error.to_string() },
        }
    }

    pub(super) fn document(error: &DocumentError) -> Self {
        Self::Unusable { what: DOCUMENT, reason: error.to_string() }
    }

    pub(super) fn sending(what: &'static str, error: &FetchError) -> Self {
        Self::Unavailable { what, reason: error.to_string() }
    }

    /// Too much is asked of providers already.
    pub(super) fn crowded() -> Self {
        let reason = "too many sign-ins and renewals are under way".to_owned();
        Self::Unavailable { what: TOKENS, reason }
    }

    /// Whether it may pass by itself.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::NoSecret | Self::Cut)
    }
}

pub(super) const DOCUMENT: &str = "discovery document";
pub(super) const KEYS: &str = "keys";
pub(super) const TOKENS: &str = "token endpoint";
pub(super) const USERINFO: &str = "userinfo endpoint";
pub(super) const REVOCATION: &str = "revocation endpoint";
