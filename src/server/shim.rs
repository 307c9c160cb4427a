//! The shim as files of its own: for pages that somebody else serves, and the service worker.

use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use super::asked::Asked;
use super::error::ServeError;
use super::snapshot::script_path;
pub(super) use crate::bundle::shim::WORKER_PATH;
use crate::bundle::{Outcome, RequestParts, respond};
use crate::config::Config;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// `GET /session/shim.js`: for bundles that a bucket or anybody else hosts. It holds the site's own URL and
/// those of the data hosts, which every page shows to everyone.
pub(super) async fn script(asked: Asked) -> Response {
    let mut response = file(&asked, &script_path(asked.public_url())).await;
    let headers = response.headers_mut();
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// `GET /session/worker.js`. Where it is not wanted any more, browsers are told that it is gone, and drop it.
pub(super) async fn worker(asked: Asked) -> Response {
    let mut response = file(&asked, WORKER_PATH).await;
    if response.status().is_client_error() {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(WORKER_ALLOWED, HeaderValue::from_static("/"));
    if let Ok(policy) = HeaderValue::try_from(worker_policy(&asked.snapshot.config)) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A worker's own policy rules over all that it reads for pages: data, wherever its hosts lead to.
fn worker_policy(config: &Config) -> String {
    let plain = config.distributions.iter().any(|one| one.base.as_str().starts_with("http:"));
    let plain = if plain { " http:" } else { "" };
    format!("default-src 'none'; connect-src 'self' https:{plain}")
}

/// Answers as for any file of a bundle. Scripts without a hash in their name are asked for anew each time, as
/// these must be, which change with the configuration. They are not compressed before somebody wants them, for
/// that takes memory which most sites can do without.
async fn file(asked: &Asked, path: &str) -> Response {
    asked.state.compress_scripts(&asked.snapshot);
    let refuse = |error: ServeError| error.into_answer(asked.reader(), &asked.id);
    let request = RequestParts { method: &asked.method, path, headers: &asked.headers };
    match respond(&asked.snapshot.scripts, &request) {
        Outcome::NotFound => refuse(ServeError::NotFound),
        outcome => match outcome.answer(asked.state.reads()).await {
            Ok(answer) => answer,
            Err(gone) => refuse(gone.into()),
        },
    }
}
