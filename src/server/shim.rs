//! The shim as files of its own: for pages that somebody else serves, and the service worker.

use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use super::asked::Asked;
use super::error::ServeError;
use super::snapshot::script_path;
pub(super) use crate::bundle::shim::WORKER_PATH;
use crate::bundle::{Outcome, RequestParts, respond};

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
    response.headers_mut().insert(WORKER_ALLOWED, HeaderValue::from_static("/"));
    response
}

/// Answers as for any file of a bundle. Scripts without a hash in their name are asked for anew each time, as
/// these must be, which change with the configuration.
async fn file(asked: &Asked, path: &str) -> Response {
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
