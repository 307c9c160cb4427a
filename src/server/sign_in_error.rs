//! What goes wrong when people sign in here, and what they are told.

use axum::http::StatusCode;
use url::form_urlencoded::byte_serialize;

use super::problem::{Problem, say};
use crate::authn::ProviderError;
use crate::cookies::TooLarge;
use crate::identity::TokenError;

/// A sign-in, or a renewal of one, that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct SignInError {
    pub(super) reason: SignInReason,
    /// Where the person wanted to go on to.
    pub(super) return_to: Option<String>,
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignInReason {
    /// No provider of this name is offered at this host.
    #[error("no provider of this name is offered at this host")]
    UnknownProvider,
    /// The keys that seal cookies have not been read.
    #[error("the keys that seal login cookies have not been read yet")]
    NoCookieKeys,
    /// The answer belongs to no attempt of this browser.
    #[error("the answer belongs to no sign-in that this browser has under way")]
    NoAttempt,
    /// The answer comes from another provider than was asked, or does not say from which.
    #[error("the answer names another issuer than the provider that was asked, or none")]
    WrongIssuer,
    /// The provider answered with an error.
    #[error("the provider answered {0:?}")]
    Declined(String),
    /// The provider was not asked for too long whether the session may go on.
    #[error("the provider was not asked for too long whether the session may go on")]
    Unchecked,
    /// The provider does not vouch for the person.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The session does not fit into cookies.
    #[error("the session does not fit into cookies: {0}")]
    TooLarge(#[from] TooLarge),
}

impl From<SignInReason> for SignInError {
    fn from(reason: SignInReason) -> Self {
        Self { reason, return_to: None }
    }
}

impl SignInError {
    /// Where to try again.
    pub(super) fn again(&self) -> String {
        match &self.return_to {
            Some(path) => {
                let path: String = byte_serialize(path.as_bytes()).collect();
                format!("/session/login?return_to={path}")
            }
            None => "/session/login".to_owned(),
        }
    }

    pub(super) fn problem(&self) -> Problem {
        match &self.reason {
            SignInReason::UnknownProvider => say(
                StatusCode::NOT_FOUND,
                "unknown-provider",
                "There is no such provider here",
                "Choose one of those that /session/login offers.",
            ),
            SignInReason::NoCookieKeys => unavailable(),
            SignInReason::NoAttempt => over(
                "It belongs to no sign-in that this browser has under way: it took longer than ten \
                 minutes, was used already, or began in another browser.",
            ),
            SignInReason::WrongIssuer => {
                over("The answer does not come from the provider that was asked.")
            }
            SignInReason::Declined(code) => declined(code),
            SignInReason::Unchecked => unchecked(),
            SignInReason::Provider(error) => of_provider(error),
            SignInReason::TooLarge(_) => too_large(),
        }
    }
}

fn of_provider(error: &ProviderError) -> Problem {
    match error {
        ProviderError::Code => over("The provider's answer was used already, or has expired."),
        ProviderError::Ended => say(
            StatusCode::UNAUTHORIZED,
            "session-ended",
            "Your session has ended",
            "The provider does not vouch for it any more. Sign in again.",
        ),
        ProviderError::IdToken(TokenError::TooLong(_)) => too_large(),
        error if error.is_outage() => unavailable(),
        _ => bad_gateway(
            "provider-answer",
            "The provider's answer cannot be accepted. Try again; if that does not help, whoever runs \
             this viewer finds the reason in the log, under this request's number.",
        ),
    }
}

fn unchecked() -> Problem {
    say(
        StatusCode::UNAUTHORIZED,
        "session-unchecked",
        "Your session must be checked again",
        "It was not renewed for some time. Sign in again, at /session/login: mostly nothing is asked of you. \
         A page's script renews it by POST /session/cookies.",
    )
}

fn too_large() -> Problem {
    bad_gateway(
        "session-too-large",
        "The provider says more about you than a browser keeps. Whoever runs this viewer can ask it for \
         less: fewer groups in the ID token, or groups from userinfo.",
    )
}

fn unavailable() -> Problem {
    say(
        StatusCode::SERVICE_UNAVAILABLE,
        "sign-in-unavailable",
        "Sign-in is not possible just now",
        "The provider, or what is needed to talk to it, cannot be reached. Nothing is lost; try again \
         shortly.",
    )
}

fn over(detail: &str) -> Problem {
    say(StatusCode::BAD_REQUEST, "sign-in-over", "This sign-in cannot go on", detail)
}

/// Codes of RFC 6749 section 4.1.2.1 and `OpenID` Connect Core section 3.1.2.6.
fn declined(code: &str) -> Problem {
    match code {
        "temporarily_unavailable" | "server_error" => unavailable(),
        "access_denied" | "login_required" | "consent_required" | "interaction_required" => say(
            StatusCode::FORBIDDEN,
            "sign-in-declined",
            "You were not signed in",
            "The provider did not let you in, or you changed your mind there.",
        ),
        _ => bad_gateway(
            "provider-answer",
            "The provider refused the question itself. Whoever runs this viewer finds its reason in the \
             log, under this request's number.",
        ),
    }
}

fn bad_gateway(kind: &'static str, detail: &str) -> Problem {
    say(StatusCode::BAD_GATEWAY, kind, "Sign-in did not succeed", detail)
}
