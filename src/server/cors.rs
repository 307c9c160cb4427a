//! Which other origins' scripts may ask for cookies and read the answer (Fetch standard, "CORS protocol").
//!
//! 1. Origins are named one by one in `cors.origins`, and compared byte for byte.
//! 2. They may ask at `/session` and `/session/cookies`, with credentials, and hand over at a data host, as
//!    the site's own pages may; nowhere else.
//! 3. Errors can be read like answers, so that a script sees why.
//! 4. Every answer there says `Vary: Origin`, asked by whomever.

use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::error::ServeError;
use super::handoff;
use super::request::{Reader, RequestId};
use super::state::AppState;
use crate::config::Config;
use crate::policy::BaseUrl;
use crate::telemetry::Route;

/// Seconds that a browser may remember the answer to a preflight.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// The request's `Origin`, if it is among `origins`.
pub(super) fn allowed<'h>(headers: &'h HeaderMap, origins: &[BaseUrl]) -> Option<&'h HeaderValue> {
    origin(headers).filter(|origin| is_among(origin, origins))
}

/// The request's `Origin`. One that is sent twice is none.
pub(super) fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut sent = headers.get_all(ORIGIN).iter();
    sent.next().filter(|_| sent.next().is_none())
}

fn is_among(origin: &HeaderValue, origins: &[BaseUrl]) -> bool {
    origins.iter().any(|known| origin.as_bytes() == known.as_str().as_bytes())
}

/// `OPTIONS`: may a script of another origin ask this?
pub(super) async fn preflight<const METHODS: usize, B>(
    State(state): State<AppState>,
    request: Request<B>,
) -> Response {
    let headers = request.headers();
    let methods = super::router::ALLOWED[METHODS];
    let refused =
        if !headers.contains_key(ORIGIN) || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            Some(ServeError::Method(methods))
        } else if allowed(headers, &state.snapshot().config.cors.origins).is_none() {
            Some(ServeError::CrossSite)
        } else {
            None
        };
    if let Some(error) = refused {
        let id = request.extensions().get().cloned().unwrap_or_else(RequestId::random);
        return error.into_answer(Reader::of(headers), &id);
    }
    let answer = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods)),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Authorization")),
        (ACCESS_CONTROL_MAX_AGE, REMEMBERED),
    ];
    (StatusCode::NO_CONTENT, answer).into_response()
}

/// Lets the script that asked read the answer, if it may.
pub(super) fn allow(
    asked: Option<&HeaderValue>,
    config: &Config,
    route: Route,
    answer: &mut HeaderMap,
) {
    let origins = match route {
        Route::Session | Route::Cookies => &config.cors.origins,
        Route::Handoff => &handoff::origins(config),
        _ => return,
    };
    answer.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = asked.filter(|origin| is_among(origin, origins)) else { return };
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    let exposed = HeaderValue::from_static("Retry-After, X-Request-Id");
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}
