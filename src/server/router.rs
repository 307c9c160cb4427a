//! Paths to handlers, and what every request passes first.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::asked::Asked;
use super::error::ServeError;
use super::harden;
use super::request::{Here, Peer, Reader, RequestId, check_site};
use super::snapshot::{NotSigning, Snapshot};
use super::state::{self, AppState};
use super::throttle::TooMany;
use super::{cors, handoff, record, session, shim, sign_in, verify, viewer};
use crate::authn::browser_address;
use crate::config::Config;
use crate::cookies::sealed::MAX_SEALED;
use crate::policy::BaseUrl;
use crate::telemetry::Route;

/// The service, ready for a connection or a test. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Service {
    state: AppState,
    own: TowerToHyperService<Router>,
}

/// Paths of the service's own; every other one is the viewer's.
fn own_paths(state: AppState) -> Router {
    Router::new()
        .route(
            "/session",
            get(session::show).options(cors::preflight::<0, Body>).fallback(not_allowed::<0>),
        )
        .route(
            "/session/cookies",
            get(session::issue)
                .post(session::issue)
                .delete(session::clear)
                .options(cors::preflight::<1, Body>)
                .fallback(not_allowed::<1>),
        )
        .route("/session/login", get(session::login).fallback(not_allowed::<0>))
        .route("/session/callback/{provider}", get(sign_in::callback).fallback(not_allowed::<3>))
        .route("/session/logout", post(session::logout).fallback(not_allowed::<2>))
        .route("/session/shim.js", get(shim::script).fallback(not_allowed::<0>))
        .route(shim::WORKER_PATH, get(shim::worker).fallback(not_allowed::<0>))
        .route(verify::NGINX, get(verify::nginx).fallback(nothing))
        .route(handoff::PATH, post(handoff::take).fallback(not_allowed::<2>))
        .route(handoff::CLEAR, get(handoff::clear).fallback(not_allowed::<0>))
        .route("/session/", axum::routing::any(nothing))
        .route("/session/{*rest}", axum::routing::any(nothing))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .with_state(state)
}

async fn healthy() -> &'static str {
    "alive\n"
}

/// Able to sign. What stands here besides the status is for `edgemint keys`, which asks every instance
/// whether it has followed.
async fn ready(State(state): State<AppState>) -> Response {
    let snapshot = state.snapshot();
    let word = match snapshot.signer(state.clock().now()) {
        _ if !state.is_ready() => "stopping",
        Ok(_) => "ready",
        Err(NotSigning::NoKey) => "no key",
        Err(NotSigning::CutOff) => "cut off",
    };
    let ring = snapshot.ring.as_deref();
    let body = serde_json::json!({
        "status": word,
        "key_pair_id": ring.map(|ring| ring.active.id.to_string()),
        "ring_revision": ring.map(|ring| ring.revision),
        "longest_lifetime": state.longest_lifetime(),
        "source_heard": snapshot.heard.map(|heard| heard.to_string()),
    });
    let status = if word == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

pub(super) async fn nothing(request: Request) -> Response {
    refuse(ServeError::NotFound, &request)
}

/// Methods that a path knows, by number: a function's type cannot hold a text.
pub(super) const ALLOWED: [&str; 4] = ["GET, HEAD", "GET, HEAD, POST, DELETE", "POST", "GET"];

async fn not_allowed<const N: usize>(request: Request) -> Response {
    refuse(ServeError::Method(ALLOWED[N]), &request)
}

fn refuse(error: ServeError, request: &Request) -> Response {
    let id = request.extensions().get::<RequestId>().cloned().unwrap_or_else(RequestId::random);
    error.into_answer(Reader::of(request.headers()), &id)
}

impl Service {
    /// Makes the service.
    #[must_use]
    pub fn new(state: AppState) -> Self {
        Self { own: TowerToHyperService::new(own_paths(state.clone())), state }
    }

    /// Answers a request. What every request passes stands here: its number, the limits, the host's name.
    pub async fn answer(&self, request: Request, peer: Peer) -> Response {
        let id = RequestId::random();
        let route = route_of(request.uri().path());
        let is_head = request.method() == Method::HEAD;
        let (reader, origin) =
            (Reader::of(request.headers()), cors::origin(request.headers()).cloned());
        let snapshot = self.state.snapshot();
        let mut response = match self.limited(request, peer, &snapshot, route, &id).await {
            Ok(response) => response,
            Err(error) => error.into_answer(reader, &id),
        };
        self.state.metrics().answered(route, response.status().as_u16());
        let config = &snapshot.config;
        cors::allow(origin.as_ref(), config, route, response.headers_mut());
        if response.status() == StatusCode::UNAUTHORIZED && config.fronts.believe_bearer_tokens() {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().entry(header::WWW_AUTHENTICATE).or_insert(challenge);
        }
        harden::answer(&config.site, route, &id, response.headers_mut());
        if is_head { without_body(response) } else { response }
    }

    async fn limited(
        &self,
        request: Request,
        peer: Peer,
        snapshot: &Arc<Snapshot>,
        route: Route,
        id: &RequestId,
    ) -> Result<Response, ServeError> {
        let state = &self.state;
        if route == Route::Health {
            // Asked by address.
            return Ok(self.routed(request).await);
        }
        let limits = &snapshot.config.limits;
        let here = asked_at(&request, &snapshot.config)?;
        match (here.is_data_host, handoff::is_handoff(request.uri().path())) {
            (true, false) => return Err(ServeError::DataHost),
            (false, true) => return Err(ServeError::NotFound),
            _ => {}
        }
        if costs_something(route) && request.method() != Method::OPTIONS {
            let address = address(&request, peer, here.trusted_hops);
            // What other sites make browsers ask is refused, and must not use up what people may ask.
            let own = is_own(&request, &here, &snapshot.config);
            let counted = state.throttle().address(address, own, limits, state.clock().now());
            counted.inspect_err(|too_many| turned_away(state, id, too_many, address))?;
        }
        let wanted = if route == Route::Handoff { MAX_SEALED } else { 0 };
        let request = read_body(request, wanted, limits.body_bytes, limits.body_timeout).await?;
        let _admitted = state.admit(limits.requests).ok_or(ServeError::Busy)?;
        let answer = pin!(self.dispatch(request, snapshot.clone(), here, peer, route, id));
        tokio::time::timeout(limits.request_timeout, answer).await.map_err(|_| ServeError::Timeout)
    }

    async fn dispatch(
        &self,
        mut request: Request,
        snapshot: Arc<Snapshot>,
        here: Here,
        peer: Peer,
        route: Route,
        id: &RequestId,
    ) -> Response {
        if route == Route::Bundle {
            let (Parts { uri, method, headers, .. }, _) = request.into_parts();
            let asked =
                Asked::new(&self.state, snapshot, here, peer, id.clone(), (method, headers));
            return viewer::serve(asked, &uri).await;
        }
        state::everyone_has_arrived().await;
        request.extensions_mut().insert(here);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(id.clone());
        self.routed(request).await
    }

    async fn routed(&self, request: Request) -> Response {
        match self.own.call(request).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        }
    }
}

/// The answer to a HEAD: all that a GET would get but the body (RFC 9110 section 9.3.2). Over HTTP/2 nobody else
/// takes it away.
fn without_body(mut response: Response) -> Response {
    let length = response.body().size_hint().exact().filter(|length| *length > 0);
    if let Some(length) = length {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    response.map(|_| Body::empty())
}

/// What is limited per address. nginx asks `/session/verify` for everybody, and the bundle is files.
const fn costs_something(route: Route) -> bool {
    matches!(route, Route::Cookies | Route::Login | Route::Logout | Route::Handoff)
}

/// The browser's address, or where no proxy tells it, that of the connection.
fn address(request: &Request, Peer(peer): Peer, trusted_hops: u8) -> IpAddr {
    browser_address(request.headers(), peer, trusted_hops).unwrap_or(peer)
}

/// Whether no other site made a browser ask.
fn is_own(request: &Request, here: &Here, config: &Config) -> bool {
    let (method, headers) = (request.method(), request.headers());
    if here.is_data_host {
        return handoff::is_own(method, headers, config);
    }
    check_site(method, headers, &here.url, &config.cors.origins).is_ok()
}

fn turned_away(state: &AppState, id: &RequestId, too_many: &TooMany, address: IpAddr) {
    state.metrics().limited(too_many.by);
    if too_many.tell {
        record::limited(id, None, too_many, Some(address));
    }
}

/// By which of its names the service was asked, spelled one way: answers depend on it, and caches and
/// cookies on what browsers make of it.
fn asked_at(request: &Request, config: &Config) -> Result<Here, ServeError> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, _) => request.uri().authority().map(axum::http::uri::Authority::as_str),
        (Some(_), Some(_)) => None,
    };
    let host = host.ok_or(ServeError::UnknownHost)?;
    let target = request.uri().authority().map(axum::http::uri::Authority::as_str);
    if target.is_some_and(|target| target != host) {
        return Err(ServeError::UnknownHost);
    }
    let site = &config.site;
    if let Some(url) = site.urls().find(|url| is_named(url, host)) {
        return Ok(Here { url: url.clone(), ..Here::at_the_site(site) });
    }
    let mut taking = config.distributions.iter().filter_map(|one| Some((&one.base, one.handoff?)));
    let (url, taken) =
        taking.find(|(url, _)| is_named(url, host)).ok_or(ServeError::UnknownHost)?;
    Ok(Here { url: url.clone(), is_data_host: true, trusted_hops: taken.trusted_hops })
}

fn is_named(url: &BaseUrl, host: &str) -> bool {
    host.eq_ignore_ascii_case(url.authority())
        || (!url.has_port() && host.eq_ignore_ascii_case(&with_default_port(url)))
}

fn with_default_port(url: &BaseUrl) -> String {
    let port = if url.as_str().starts_with("https:") { 443 } else { 80 };
    format!("{}:{port}", url.host())
}

/// Nothing but a handoff needs a body, of `wanted` bytes at most; one that is sent all the same is counted,
/// within its limits, and dropped.
async fn read_body(
    request: Request,
    wanted: usize,
    most: usize,
    within: Duration,
) -> Result<Request, ServeError> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let reading = tokio::time::timeout(within, count_body(body, wanted, most));
    let kept = reading.await.map_err(|_| ServeError::BodyTimeout)??;
    Ok(Request::from_parts(parts, Body::from(kept)))
}

async fn count_body(mut body: Body, wanted: usize, most: usize) -> Result<Vec<u8>, ServeError> {
    let most = if wanted > 0 { wanted } else { most };
    let (mut kept, mut left) = (Vec::new(), most);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ServeError::BodyTooLarge)?;
        let bytes = frame.data_ref().map_or(&[][..], bytes::Bytes::as_ref);
        left = left.checked_sub(bytes.len()).ok_or(ServeError::BodyTooLarge)?;
        if wanted > 0 {
            kept.extend_from_slice(bytes);
        }
    }
    Ok(kept)
}

/// Asked by load balancers, and never turned away for being busy.
pub(super) fn is_health(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

fn route_of(path: &str) -> Route {
    match path {
        "/session" => Route::Session,
        "/session/cookies" => Route::Cookies,
        "/session/login" => Route::Login,
        path if path.starts_with(sign_in::CALLBACK) => Route::Login,
        "/session/logout" => Route::Logout,
        "/session/shim.js" | shim::WORKER_PATH => Route::Shim,
        path if handoff::is_handoff(path) => Route::Handoff,
        verify::NGINX => Route::Verify,
        path if is_health(path) => Route::Health,
        path if path.starts_with("/session/") => Route::Other,
        _ => Route::Bundle,
    }
}
