//! `/session/verify/nginx`: may this request pass? For nginx's `auth_request`.
//!
//! nginx asks with the headers of the request that it has in hand, and looks at little of the answer:
//! 2xx lets the request pass, 401 and 403 refuse it, anything else becomes a 500. It reads headers by
//! name, one line of each, so what a browser is to get goes into headers of its own:
//!
//! - 204: somebody is signed in. If the request is a navigation and cookies are due, by the same
//!   decision as for a page of the viewer, each `Set-Cookie` line stands in a numbered header,
//!   `X-Edgemint-Set-Cookie-1` to `-16`. Answers to scripts carry none: their files can be kept.
//! - 401: nobody is signed in. For a navigation `X-Edgemint-Login` says where to go: a path of this
//!   site, made here. It also leads, once, through `/session/cookies` when more lines are due than
//!   there are numbers, as when many sets of before must go.
//! - 403: a credential was refused.
//! - 503: it cannot be judged just now.
//!
//! CloudFront's cookies are `HttpOnly`, and here they stand in headers that a script could read. So
//! the endpoint is not there unless [`SUBREQUEST`] is sent, which no script can do: browsers forbid
//! scripts every header whose name begins with `Sec-` (Fetch standard, "forbidden request-header").

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use url::form_urlencoded::byte_serialize;

use super::asked::Asked;
use super::error::ServeError;
use super::request::is_navigation;
use super::return_to;
use super::router::nothing;
use crate::authn::AuthnError;
use crate::cookies::MAX_LINES_PER_SET;

/// The endpoint's path.
pub(super) const NGINX: &str = "/session/verify/nginx";

/// The header by which nginx says that it asks itself; its value is `nginx`.
const SUBREQUEST: &str = "sec-edgemint-subrequest";

/// The path and query that the browser asked for, as nginx tells them.
const ORIGINAL_URI: &str = "x-original-uri";

/// Where a navigation goes instead.
const LOGIN: HeaderName = HeaderName::from_static("x-edgemint-login");

/// How many lines have a number. nginx's configuration names each.
const MAX_LINES: usize = 16;

/// As many sets as surely fit.
const MAX_SETS: usize = MAX_LINES / MAX_LINES_PER_SET;

/// What nginx is told.
enum Verdict {
    /// The request passes, and its answer carries these lines.
    Pass(Vec<String>),
    /// Nobody is signed in.
    SignIn,
    /// The browser must fetch its cookies itself first.
    FetchCookies,
}

/// `GET /session/verify/nginx`, as nginx asks.
pub(super) async fn nginx(mut asked: Asked, request: Request) -> Response {
    if asked.headers.get(SUBREQUEST).is_none_or(|value| value != "nginx") {
        return nothing(request).await;
    }
    asked.carry_at_most(MAX_SETS);
    let mut response = match judge(&asked).await {
        Ok(Verdict::Pass(lines)) => pass(&lines),
        Ok(Verdict::SignIn) => elsewhere(&asked, "/session/login"),
        Ok(Verdict::FetchCookies) => elsewhere(&asked, "/session/cookies"),
        Err(error) => {
            asked.refuse(None, &error);
            refusal(&error)
        }
    };
    let value = HeaderValue::from_static("no-store, private");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}

async fn judge(asked: &Asked) -> Result<Verdict, ServeError> {
    let Some(identity) = asked.identity().await? else { return Ok(Verdict::SignIn) };
    if !is_navigation(&asked.headers) || !asked.may_carry_lines() {
        return Ok(Verdict::Pass(Vec::new()));
    }
    if asked.most_lines_due(&identity) > MAX_LINES {
        return Ok(Verdict::FetchCookies);
    }
    Ok(Verdict::Pass(asked.lines_due(&identity).await))
}

fn pass(lines: &[String]) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    for (number, line) in (1..).zip(lines) {
        let name = HeaderName::try_from(format!("x-edgemint-set-cookie-{number}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(line)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn elsewhere(asked: &Asked, path: &str) -> Response {
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    if is_navigation(&asked.headers) {
        let back: String = byte_serialize(original(asked).as_bytes()).collect();
        if let Ok(value) = HeaderValue::try_from(format!("{path}?return_to={back}")) {
            response.headers_mut().insert(LOGIN, value);
        }
    }
    response
}

/// What the browser asked for, or the front page where that is no place to come back to.
fn original(asked: &Asked) -> String {
    let parse = |text| return_to::parse(text, asked.public_url()).ok();
    single(&asked.headers, ORIGINAL_URI).and_then(parse).unwrap_or_else(|| "/".to_owned())
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}

fn refusal(error: &ServeError) -> Response {
    match error {
        ServeError::Authn(AuthnError::Refused { .. } | AuthnError::Conflict(..)) => {
            StatusCode::FORBIDDEN.into_response()
        }
        _ => error.status().into_response(),
    }
}
