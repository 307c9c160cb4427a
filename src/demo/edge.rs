//! A stand-in for CloudFront: distributions whose only behavior is restricted to signed requests, and
//! public buckets beside them.
//!
//! 1. A request for a host that none of them has gets 403, as CloudFront answers unknown hosts.
//! 2. Every request needs a signature, `OPTIONS` included: AWS documents no exemption, and
//!    preflights carry no cookies. A refusal has no CORS headers, so a browser reports it as a CORS
//!    failure.
//! 3. Only then do methods other than GET and HEAD get 405, and absent objects 404; or 403, as S3
//!    answers for what lies in a bucket that CloudFront may not list.
//! 4. A public bucket lets scripts of every site read, without credentials, and nobody else's: a request
//!    with a cookie gets 400 here, which S3 does not say, so that a viewer that sends one is found out.
//!
//! Left out: caching, error pages, compression, several ranges in one request.
//!
//! Source: the CloudFront Developer Guide, "Use signed cookies"; RFC 9110 section 14 for ranges.

mod object;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ALLOW, CONTENT_TYPE, COOKIE, HeaderName, ORIGIN, VARY,
};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::listener::{LoopbackListener, host};
use super::sample::SampleObject;
use crate::clock::Clock;
use crate::policy::BaseUrl;
use crate::signing::verify::{Denial, EdgeRequest, TrustedKeys, verify};

/// What scripts may read of an answer; with credentials, a star would be a name.
const EXPOSED: &str = "Content-Range, Content-Encoding, ETag, Content-Length";

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// Returns the object at a URL path as it stands in the request.
pub type Objects = Arc<dyn Fn(&str) -> Option<SampleObject> + Send + Sync>;

/// How the stand-in is set up.
#[derive(Clone)]
pub struct EdgeOptions {
    /// Where browsers reach it, such as `http://data.edgemint.localhost:8081`; also the beginning of
    /// the URLs that policies name.
    pub url: BaseUrl,
    /// The trusted key group; rotation replaces it while the edge runs.
    pub trusted: Arc<RwLock<TrustedKeys>>,
    /// The only site whose scripts may read answers: the viewer's.
    pub allowed_origin: BaseUrl,
    /// The origin: what there is to read.
    pub objects: Objects,
    /// Whether CloudFront may list the bucket; if not, what is absent is refused with 403.
    pub may_list: bool,
}

/// A bucket that is open to everybody.
#[derive(Clone)]
pub struct PublicBucket {
    /// Where browsers reach it.
    pub url: BaseUrl,
    /// What there is to read.
    pub objects: Objects,
}

/// Distributions and buckets, each on a host of its own, that nothing but this machine can reach.
#[derive(Clone)]
pub struct Edge {
    distributions: Vec<EdgeOptions>,
    public: Vec<PublicBucket>,
    clock: Arc<dyn Clock>,
}

impl Edge {
    /// Sets up a distribution.
    #[must_use]
    pub fn new(options: EdgeOptions, clock: Arc<dyn Clock>) -> Self {
        Self { distributions: vec![options], public: Vec::new(), clock }
    }

    /// Sets up another distribution on the same listener.
    #[must_use]
    pub fn and(mut self, options: EdgeOptions) -> Self {
        self.distributions.push(options);
        self
    }

    /// Sets up a public bucket on the same listener.
    #[must_use]
    pub fn and_public(mut self, bucket: PublicBucket) -> Self {
        self.public.push(bucket);
        self
    }

    /// Answers requests until `shutdown` is over.
    ///
    /// # Errors
    /// Whatever ends the listener.
    pub async fn serve(
        self,
        listener: LoopbackListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let router = Router::new().fallback(answer).with_state(Arc::new(self));
        listener.serve(router, shutdown).await
    }

    /// Answers one request.
    pub(super) async fn answer(&self, parts: &Parts, peer: IpAddr) -> Response {
        let host = host(parts).unwrap_or_default();
        if let Some(options) = self.distributions.iter().find(|one| one.url.authority() == host) {
            return self.restricted(options, parts, peer).await;
        }
        match self.public.iter().find(|bucket| bucket.url.authority() == host) {
            Some(bucket) => public(bucket, parts).await,
            None => refuse("AccessDenied", "The request could not be satisfied"),
        }
    }

    async fn restricted(&self, options: &EdgeOptions, parts: &Parts, peer: IpAddr) -> Response {
        if let Err(denial) = self.check(options, parts, peer) {
            return refuse(denial.code(), denial.message());
        }
        let mut response = match read(&options.objects, parts).await {
            Some(response) => response,
            None if options.may_list => no_such_key(),
            None => refuse("AccessDenied", "Access Denied"),
        };
        allow_origin(options, &parts.headers, &mut response);
        response
    }

    /// Refuses a request that no trusted key has signed.
    fn check(&self, options: &EdgeOptions, parts: &Parts, source: IpAddr) -> Result<(), Denial> {
        let target = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let cookies = parts.headers.get_all(COOKIE).iter();
        let cookies: Vec<&str> = cookies.filter_map(|value| value.to_str().ok()).collect();
        let request = EdgeRequest {
            url: &format!("{}{target}", options.url),
            cookies: &cookies.join("; "),
            source: Some(source),
            now: self.clock.now(),
        };
        let trusted = options.trusted.read().unwrap_or_else(PoisonError::into_inner);
        verify(&request, &trusted).map(|_| ())
    }
}

async fn answer(
    State(edge): State<Arc<Edge>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    edge.answer(&parts, peer.ip()).await
}

async fn public(bucket: &PublicBucket, parts: &Parts) -> Response {
    let mut response = if parts.headers.contains_key(COOKIE) {
        xml(StatusCode::BAD_REQUEST, "InvalidRequest", "A public bucket is asked without cookies")
    } else {
        read(&bucket.objects, parts).await.unwrap_or_else(no_such_key)
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    response
}

/// Reads an object, if there is one. Apart from the async threads, as it may have to be drawn first.
async fn read(objects: &Objects, parts: &Parts) -> Option<Response> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        let allowed = (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]);
        return Some(allowed.into_response());
    }
    let (objects, path) = (objects.clone(), parts.uri.path().to_owned());
    let found = tokio::task::spawn_blocking(move || objects(&path)).await.ok()??;
    Some(object::respond(&parts.method, &parts.headers, &found))
}

fn allow_origin(options: &EdgeOptions, request: &HeaderMap, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    let origin = request.get(ORIGIN);
    let Some(origin) = origin.filter(|origin| *origin == options.allowed_origin.as_str()) else {
        return;
    };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}

fn refuse(code: &str, message: &str) -> Response {
    xml(StatusCode::FORBIDDEN, code, message)
}

fn no_such_key() -> Response {
    xml(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
}

fn xml(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/xml")),
        (X_CACHE, HeaderValue::from_static("Error from cloudfront")),
    ];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests;
