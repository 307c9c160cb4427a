//! What an answer says of an error: a status, and words for scripts and for people.

use axum::http::StatusCode;

use super::error::ServeError;
use super::handoff::HandoffRefusal;
use super::snapshot::NotSigning;
use crate::access::Refusal;
use crate::authn::AuthnError;
use crate::bundle::NotSent;
use crate::cookies::HandoffError;
use crate::issuer::IssueError;

/// What an answer says.
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) title: &'static str,
    pub(super) detail: String,
}

impl ServeError {
    /// What an answer says of it.
    pub(super) fn problem(&self) -> Problem {
        match self {
            Self::NotSignedIn => say(
                StatusCode::UNAUTHORIZED,
                "not-signed-in",
                "Nobody is signed in",
                "Sign in, at /session/login, and try again.",
            ),
            Self::LoginNotAuthenticated => say(
                StatusCode::UNAUTHORIZED,
                "login-not-authenticated",
                "Sign-in did not happen",
                "The load balancer let this request through without signing anybody in. Its rule \
                 for /session/login must authenticate.",
            ),
            Self::Authn(AuthnError::Conflict(..)) => say(
                StatusCode::UNAUTHORIZED,
                "credentials-conflict",
                "Two credentials speak of different people",
                "Sign out of one of them and try again.",
            ),
            Self::Authn(AuthnError::Refused { .. }) => say(
                StatusCode::UNAUTHORIZED,
                "credential-refused",
                "The credential was refused",
                "It is not one that this service can accept. Sign out and in again; if that does \
                 not help, the log tells the reason under this request's number.",
            ),
            Self::Authn(AuthnError::Unavailable { .. }) => say(
                StatusCode::SERVICE_UNAVAILABLE,
                "keys-unavailable",
                "Sign-in cannot be checked just now",
                "The keys that verify it cannot be fetched. Nothing is lost; try again shortly.",
            ),
            Self::SignIn(error) => error.problem(),
            Self::Handoff(refusal) => handoff(*refusal),
            Self::Withdrawn { reason, .. } => reason.problem(),
            Self::Refusal(refusal) => no_access(refusal),
            Self::Issue(error) => not_issued(error),
            Self::NotSigning(reason) => not_signing(*reason),
            _ => self.request_problem(),
        }
    }

    /// Problems of the request itself, whoever sends it.
    fn request_problem(&self) -> Problem {
        match self {
            Self::ReturnTo(_) => bad_request(
                "bad-return-to",
                "return_to must be a path of this site, such as /?x=1.",
            ),
            Self::For => bad_request("bad-for", "for must be the https URL of a file to be read."),
            Self::Query => bad_request(
                "bad-query",
                "The query cannot be read; known are return_to, for and provider, once each.",
            ),
            Self::NotAcceptable => say(
                StatusCode::NOT_ACCEPTABLE,
                "not-acceptable",
                "None of the formats is acceptable",
                "Cookies can be had as application/json, text/plain and \
                 application/x-netscape-cookie-file.",
            ),
            Self::CrossSite => say(
                StatusCode::FORBIDDEN,
                "cross-site",
                "The request comes from another site",
                "Only pages of this site may ask for this.",
            ),
            Self::UnknownHost | Self::DataHere(_) | Self::DataHost => self.host_problem(),
            Self::Method(allowed) => Problem {
                status: StatusCode::METHOD_NOT_ALLOWED,
                kind: "method-not-allowed",
                title: "This method is not allowed here",
                detail: format!("Allowed are {allowed}."),
            },
            Self::BundleUnread | Self::NotFound | Self::NotSent(_) => self.file_problem(),
            _ => self.limit_problem(),
        }
    }

    /// Problems of a file of the viewer.
    fn file_problem(&self) -> Problem {
        match self {
            Self::BundleUnread => say(
                StatusCode::SERVICE_UNAVAILABLE,
                "viewer-unread",
                "The viewer is not here yet",
                "The bucket that it is kept in has not been read yet. Try again shortly.",
            ),
            Self::NotSent(NotSent::Busy) => {
                busy("busy", "Too many files are being read from disk.")
            }
            Self::NotSent(NotSent::Gone { .. }) => say(
                StatusCode::SERVICE_UNAVAILABLE,
                "file-changed",
                "This file is being replaced",
                "It changed on the server since the viewer was loaded. Try again shortly, and load the \
                 page anew.",
            ),
            _ => say(
                StatusCode::NOT_FOUND,
                "not-found",
                "There is nothing here",
                "The viewer has no such file.",
            ),
        }
    }

    /// Problems of a limit.
    fn limit_problem(&self) -> Problem {
        match self {
            Self::TooMany(too_many) => Problem {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: "too-many-requests",
                title: "Too many requests",
                detail: format!("Try again in {} s.", too_many.retry_after),
            },
            Self::BodyTooLarge => say(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The request's body is too large",
                "Nothing here needs a body of this size.",
            ),
            Self::BodyTimeout => say(
                StatusCode::REQUEST_TIMEOUT,
                "body-timeout",
                "The request's body did not arrive in time",
                "Send it whole, or none at all.",
            ),
            Self::Timeout => busy("timeout", "The answer was not ready in time."),
            _ => busy("busy", "All places for requests are taken."),
        }
    }

    /// Problems of a name, or of a path at it, that is somebody else's to answer.
    fn host_problem(&self) -> Problem {
        match self {
            Self::DataHere(path) => say(
                StatusCode::MISDIRECTED_REQUEST,
                "data-behavior-missing",
                "Data is not served here",
                &format!(
                    "CloudFront should have sent this request to the bucket. The distribution in front \
                     of this site lacks a behavior for {path}*, or the request came past it."
                ),
            ),
            Self::DataHost => say(
                StatusCode::NOT_FOUND,
                "data-host",
                "There is nothing here",
                "This host serves data, and takes handoffs at /session/handoff. Everything else of the \
                 service is at the viewer's host.",
            ),
            _ => say(
                StatusCode::MISDIRECTED_REQUEST,
                "unknown-host",
                "This host name is not served here",
                "The service answers under the names in its public_url and other_urls only.",
            ),
        }
    }
}

pub(super) fn say(
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: &str,
) -> Problem {
    Problem { status, kind, title, detail: detail.to_owned() }
}

fn no_access(refusal: &Refusal) -> Problem {
    let detail = match refusal {
        Refusal::NoRule => {
            "You are signed in, but no rule opens any data to you. Ask the person who runs this \
             viewer to add you to a group."
                .to_owned()
        }
        Refusal::Withheld(_) => format!("You are signed in, but {refusal}."),
    };
    Problem {
        status: StatusCode::FORBIDDEN,
        kind: "no-access",
        title: "Nothing is open to you here",
        detail,
    }
}

fn not_issued(error: &IssueError) -> Problem {
    match error {
        IssueError::NotCovered(_) => Problem {
            status: StatusCode::FORBIDDEN,
            kind: "not-covered",
            title: "This is not open to you",
            detail: "You are signed in, but no rule opens the URL in for to you.".to_owned(),
        },
        IssueError::Overloaded => busy("busy", "All signing threads are busy."),
        _ => busy("cannot-sign", "No cookies can be signed; the log tells why."),
    }
}

/// A token is replaced by asking the viewer's host once more, so nothing here ends a page's attempts.
fn handoff(refusal: HandoffRefusal) -> Problem {
    match refusal {
        HandoffRefusal::NoKeys => {
            busy("handoff-unavailable", "The keys of handoffs are not there.")
        }
        HandoffRefusal::Token(HandoffError::IdentityExpired) => say(
            StatusCode::UNAUTHORIZED,
            "not-signed-in",
            "Nobody is signed in any more",
            "Sign in, at the viewer's host, and try again.",
        ),
        _ => bad_request(
            "handoff-refused",
            "The token is not one for this host, this page and this browser, or is older than a minute. \
             Ask for another by POST /session/cookies at the viewer's host.",
        ),
    }
}

/// Who reads this can only wait; who can do something has the log and `/readyz`.
fn not_signing(reason: NotSigning) -> Problem {
    let kind = match reason {
        NotSigning::NoKey => "no-key",
        NotSigning::CutOff => "cut-off",
    };
    say(
        StatusCode::SERVICE_UNAVAILABLE,
        kind,
        "No cookies can be signed just now",
        "The service waits for its signing keys. Nothing is lost; try again shortly.",
    )
}

fn bad_request(kind: &'static str, detail: &str) -> Problem {
    Problem {
        status: StatusCode::BAD_REQUEST,
        kind,
        title: "The request cannot be understood",
        detail: detail.to_owned(),
    }
}

fn busy(kind: &'static str, detail: &str) -> Problem {
    Problem {
        status: StatusCode::SERVICE_UNAVAILABLE,
        kind,
        title: "The service is busy",
        detail: format!("{detail} Try again shortly."),
    }
}
