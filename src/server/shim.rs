//! The shim as files of its own: for pages that somebody else serves, and the service worker.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::asked::Asked;
use super::error::ServeError;
use super::snapshot::shim_config;
pub(super) use crate::bundle::shim::WORKER_PATH;
use crate::config::Shim;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// `GET /session/shim.js`: for bundles that a bucket or anybody else hosts. It holds the site's own URL and
/// those of the data hosts, which every page shows to everyone.
pub(super) async fn script(asked: Asked) -> Response {
    let site = asked.public_url().as_str();
    let mut response = text(shim_config(&asked.snapshot.config).page(Some(site)), &asked.headers);
    let headers = response.headers_mut();
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// `GET /session/worker.js`. Where it is not wanted any more, browsers are told that it is gone, and drop it.
pub(super) async fn worker(asked: Asked) -> Response {
    let config = &asked.snapshot.config;
    let wanted = config.viewer.as_ref().is_some_and(|viewer| viewer.shim == Shim::ServiceWorker);
    if !wanted {
        return ServeError::NotFound.into_answer(asked.reader(), &asked.id);
    }
    let mut response = text(shim_config(config).service_worker(), &asked.headers);
    response.headers_mut().insert(WORKER_ALLOWED, HeaderValue::from_static("/"));
    response
}

/// A script that is asked for anew each time, since it changes with the configuration.
fn text(script: String, asked: &HeaderMap) -> Response {
    let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(&script)[..16]);
    let etag = format!("\"{digest}\"");
    let known = asked.get_all(IF_NONE_MATCH).iter().any(|field| {
        let is_ours = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
        field.to_str().is_ok_and(|field| field.split(',').map(str::trim).any(is_ours))
    });
    let headers = [(CACHE_CONTROL, "no-cache".to_owned()), (ETAG, etag)];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, "text/javascript; charset=utf-8")], script).into_response()
}
