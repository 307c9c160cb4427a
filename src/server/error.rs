//! Errors → answers, in one place: RFC 9457 problem documents for scripts, a short page for people.
//!
//! What an answer says is what the browser may know. Why a credential was refused is in the log,
//! under the request's number. The words are in `problem.rs`.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::handoff::HandoffRefusal;
use super::pages;
use super::request::{Reader, RequestId};
use super::return_to::LeadsElsewhere;
use super::sign_in_error::{SignInError, SignInReason};
use super::snapshot::NotSigning;
use super::throttle::TooMany;
use crate::access::Refusal;
use crate::authn::AuthnError;
use crate::bundle::NotSent;
use crate::identity::Front;
use crate::issuer::IssueError;

/// Everything that ends a request without its answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// Nobody is signed in where the load balancer should have seen to that.
    #[error("/session/login was reached without sign-in: its listener rule must authenticate")]
    LoginNotAuthenticated,
    /// The credential is wrong, or cannot be judged.
    #[error(transparent)]
    Authn(#[from] AuthnError),
    /// The rules open nothing.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// No cookies could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// There is no key to sign with.
    #[error(transparent)]
    NotSigning(#[from] NotSigning),
    /// Our own sign-in came to nothing.
    #[error("sign-in: {0}")]
    SignIn(#[from] SignInError),
    /// Nothing was issued, and what the browser holds changes all the same.
    #[error("{reason}")]
    Withdrawn {
        /// Why nothing was issued.
        reason: Box<ServeError>,
        /// `Set-Cookie` lines, most of which take away.
        lines: Vec<String>,
        /// What the page hands over to data hosts, as they are to clear what the browser holds there.
        handoffs: Option<Value>,
    },
    /// A handoff came to nothing.
    #[error(transparent)]
    Handoff(#[from] HandoffRefusal),
    /// A data host is asked for what is at the viewer's host.
    #[error("a data host takes handoffs only")]
    DataHost,
    /// `return_to` leads elsewhere.
    #[error(transparent)]
    ReturnTo(#[from] LeadsElsewhere),
    /// `for` is no URL.
    #[error("for is not an https URL")]
    For,
    /// A query that cannot be read.
    #[error("the query cannot be read")]
    Query,
    /// Somebody asks too often.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// A script takes none of the formats that there are.
    #[error("no format of cookies is acceptable")]
    NotAcceptable,
    /// Another site made the browser ask.
    #[error("the request comes from another site")]
    CrossSite,
    /// The request is for another host.
    #[error("this host name is not served here")]
    UnknownHost,
    /// Data is asked for here, under this path, which CloudFront should have sent to the bucket.
    #[error("{0}* reached the service: the distribution lacks a behavior for it")]
    DataHere(String),
    /// There is no such thing.
    #[error("there is nothing here")]
    NotFound,
    /// There is, once its bucket was read.
    #[error("the viewer has not been read yet")]
    BundleUnread,
    /// There is, but not by this method.
    #[error("this method is not allowed here")]
    Method(&'static str),
    /// A file of the viewer was replaced on disk.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// The body is too large.
    #[error("the request's body is too large")]
    BodyTooLarge,
    /// The body does not end.
    #[error("the request's body did not arrive in time")]
    BodyTimeout,
    /// The answer takes too long.
    #[error("the answer was not ready in time")]
    Timeout,
    /// Too much to do.
    #[error("all places for requests are taken")]
    Busy,
}

/// Seconds after which a request that met a limit may be tried again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What a script is told whose token was refused (RFC 6750 section 3.1).
const REFUSED_TOKEN: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

impl ServeError {
    /// The answer's status.
    #[must_use]
    pub(super) fn status(&self) -> StatusCode {
        self.problem().status
    }

    pub(super) fn into_answer(self, reader: Reader, id: &RequestId) -> Response {
        let problem = self.problem();
        let mut response = if reader == Reader::Person {
            let again = self.sign_in_link(problem.status);
            let again = again.as_deref();
            pages::problem(problem.title, &problem.detail, problem.status, again, id)
        } else {
            let mut body = json!({
                "type": format!("urn:edgemint:problem:{}", problem.kind),
                "title": problem.title,
                "status": problem.status.as_u16(),
                "detail": problem.detail,
                "instance": format!("urn:edgemint:request:{id}"),
            });
            if let Self::Withdrawn { handoffs: Some(handoffs), .. } = &self {
                body["handoffs"] = handoffs.clone();
            }
            let kind = HeaderValue::from_static("application/problem+json");
            ([(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
        };
        *response.status_mut() = problem.status;
        let answer = response.headers_mut();
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, private"));
        self.add_headers(answer, problem.status);
        response
    }

    fn add_headers(&self, answer: &mut HeaderMap, status: StatusCode) {
        match self {
            Self::Withdrawn { lines, reason, .. } => {
                append(answer, lines);
                reason.add_headers(answer, status);
            }
            Self::Method(allowed) => {
                answer.insert(header::ALLOW, HeaderValue::from_static(allowed));
            }
            Self::Authn(AuthnError::Refused { front: Front::Bearer, .. }) => {
                answer.insert(header::WWW_AUTHENTICATE, REFUSED_TOKEN);
            }
            Self::TooMany(too_many) => {
                answer.insert(header::RETRY_AFTER, HeaderValue::from(too_many.retry_after));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                answer.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            _ => {}
        }
    }

    /// With more `Set-Cookie` lines, which come first.
    pub(super) fn with_lines(self, mut lines: Vec<String>) -> Self {
        match self {
            Self::Withdrawn { reason, lines: more, handoffs } => {
                lines.extend(more);
                Self::Withdrawn { reason, lines, handoffs }
            }
            reason if lines.is_empty() => reason,
            reason => Self::Withdrawn { reason: Box::new(reason), lines, handoffs: None },
        }
    }

    /// Whether it came up while cookies were issued, where it has been recorded.
    pub(super) fn is_of_issuing(&self) -> bool {
        match self {
            Self::Withdrawn { reason, .. } => reason.is_of_issuing(),
            _ => matches!(
                self,
                Self::Refusal(_) | Self::Issue(_) | Self::NotSigning(_) | Self::TooMany(_)
            ),
        }
    }

    /// Whether what would tell who is asking cannot be had just now.
    pub(super) fn is_outage_of_sign_in(&self) -> bool {
        match self {
            Self::Authn(AuthnError::Unavailable { .. }) => true,
            Self::SignIn(error) => error.problem().status == StatusCode::SERVICE_UNAVAILABLE,
            _ => false,
        }
    }

    /// Whether nobody is signed in, and nothing is wrong.
    pub(super) const fn is_nobody(&self) -> bool {
        matches!(
            self,
            Self::NotSignedIn | Self::SignIn(SignInError { reason: SignInReason::Unchecked, .. })
        )
    }

    /// Where a page about this lets people sign in.
    fn sign_in_link(&self, status: StatusCode) -> Option<String> {
        match self {
            Self::SignIn(error) => Some(error.again()),
            Self::Withdrawn { reason, .. } => reason.sign_in_link(status),
            _ => (status == StatusCode::UNAUTHORIZED).then(|| "/session/login".to_owned()),
        }
    }

    /// Whether the rules are the reason.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Withdrawn { reason, .. } => reason.is_refusal(),
            _ => matches!(self, Self::Refusal(_)),
        }
    }
}

/// Adds `Set-Cookie` lines to an answer.
pub(super) fn append(headers: &mut HeaderMap, lines: &[String]) {
    for line in lines {
        // Every line is made of checked parts; one that is no header value is worth losing.
        if let Ok(value) = HeaderValue::from_str(line) {
            headers.append(header::SET_COOKIE, value);
        }
    }
}
