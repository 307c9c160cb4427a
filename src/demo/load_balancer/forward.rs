//! From a browser's request to the target's answer.
//!
//! The HTTP client resolves dot segments in a path before it sends it, which AWS does not do; what
//! a server makes of such a path is tried on the server itself.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::super::listener::host;
use super::LoadBalancer;
use super::sign_in::path_and_query;
use crate::identity::headers::{ALB_ACCESS_TOKEN, ALB_CLAIMS, ALB_SUBJECT};

/// The largest request body that is passed on.
const MAX_BODY_BYTES: usize = 1 << 20;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Headers about one connection only (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A client that sends what it is told to, where it is told to. Everything is plain HTTP on this
/// machine, hence no certificates are loaded.
pub(in super::super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([])
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_mins(1))
        .build()
}

/// Sends a request on to the target, with `identity` in the place of what the client claims.
pub(super) async fn forward(
    balancer: &LoadBalancer,
    peer: SocketAddr,
    parts: &Parts,
    body: Body,
    identity: HeaderMap,
) -> Response {
    let headers = request_headers(balancer, peer, parts, identity);
    send(&balancer.http, balancer.options.target, parts, headers, body).await
}

/// Sends a request on to a server on this machine, with other headers.
pub(in super::super) async fn send(
    http: &reqwest::Client,
    target: SocketAddr,
    parts: &Parts,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let url = format!("http://{target}{}", path_and_query(&parts.uri));
    let request = http.request(parts.method.clone(), url).headers(headers).body(body);
    match request.send().await {
        Ok(response) => pass_back(response),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn request_headers(
    balancer: &LoadBalancer,
    peer: SocketAddr,
    parts: &Parts,
    identity: HeaderMap,
) -> HeaderMap {
    let mut headers = passed_on(parts, peer);
    for name in [ALB_CLAIMS, ALB_SUBJECT, ALB_ACCESS_TOKEN] {
        headers.remove(name);
    }
    headers.extend(identity);
    let url = &balancer.options.url;
    let port = url.authority().rsplit_once(':').map_or("80", |(_, port)| port);
    let set = [
        (FORWARDED_PROTO, url.as_str().split(':').next().unwrap_or_default().to_owned()),
        (FORWARDED_PORT, port.to_owned()),
    ];
    insert(&mut headers, set);
    headers
}

/// What every proxy sends on: what is not about the connection, the host, and whom it heard it from.
pub(in super::super) fn passed_on(parts: &Parts, peer: SocketAddr) -> HeaderMap {
    let mut headers = end_to_end(&parts.headers);
    headers.remove(CONTENT_LENGTH);
    let hops = forwarded_for(&parts.headers, peer);
    insert(&mut headers, [(HOST, host(parts).unwrap_or_default()), (FORWARDED_FOR, hops)]);
    headers
}

fn insert<const COUNT: usize>(headers: &mut HeaderMap, set: [(HeaderName, String); COUNT]) {
    for (name, value) in set {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

/// Appends the peer to what the client sent: only the last entry is the load balancer's word.
fn forwarded_for(headers: &HeaderMap, peer: SocketAddr) -> String {
    let sent = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let mut hops: Vec<String> = sent.map(str::to_owned).collect();
    hops.push(peer.ip().to_string());
    hops.join(", ")
}

/// Several `Set-Cookie` lines stay several.
fn pass_back(response: reqwest::Response) -> Response {
    let (mut parts, body) = axum::http::Response::from(response).into_parts();
    parts.headers = end_to_end(&parts.headers);
    Response::from_parts(parts, Body::new(body))
}

/// Drops what concerns one connection only, and what `Connection` names.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if !HOP_BY_HOP.contains(name) && !named.iter().any(|named| name.as_str() == named) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}
