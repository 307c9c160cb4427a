//! What every answer says to a browser, whatever it is an answer to.
//!
//! 1. Everywhere: no guessing of content types, no paths in `Referer` for other sites, and with an
//!    `https` site no more plain HTTP (RFC 6797; this host alone, for a year).
//! 2. Everything but the viewer bundle: not kept, not framed, not loaded by other sites, and no content
//!    that runs. The viewer is somebody else's code, and may need to be framed or to open windows.
//! 3. An answer with cookies is never kept.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, Entry, REFERRER_POLICY, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::request::RequestId;
use crate::config::Site;
use crate::telemetry::Route;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A year, as is usual; without `includeSubDomains`, since the hosts below are not ours.
const TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store, private");

/// For answers of our own, unless they say it themselves.
const OURS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];

/// Completes an answer.
pub(super) fn answer(site: &Site, route: Route, id: &RequestId, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    unless_said(headers, REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if site.public_url.as_str().starts_with("https:") {
        headers.insert(STRICT_TRANSPORT_SECURITY, TRANSPORT);
    }
    if route != Route::Bundle {
        ours(headers);
    }
    if headers.contains_key(SET_COOKIE) && !is_not_kept(headers) {
        headers.insert(CACHE_CONTROL, NOT_KEPT);
    }
}

/// Says what answers of our own say.
pub(super) fn ours(headers: &mut HeaderMap) {
    for (name, value) in OURS {
        unless_said(headers, name, value);
    }
}

fn unless_said(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    if let Entry::Vacant(place) = headers.entry(name) {
        place.insert(value);
    }
}

fn is_not_kept(headers: &HeaderMap) -> bool {
    let said = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    said.is_some_and(|said| said.split(',').any(|word| word.trim() == "no-store"))
}
