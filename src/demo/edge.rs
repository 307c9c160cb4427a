//! A stand-in for a CloudFront distribution whose only behavior is restricted to signed requests.
//!
//! 1. A request for another host than its own gets 403, as CloudFront answers unknown hosts.
//! 2. Every request needs a signature, `OPTIONS` included: AWS documents no exemption, and
//!    preflights carry no cookies. A refusal has no CORS headers, so a browser reports it as a CORS
//!    failure.
//! 3. Only then do methods other than GET and HEAD get 405, and absent objects 404.
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
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::listener::{LoopbackListener, host};
use super::sample::SampleObject;
use crate::clock::Clock;
use crate::policy::BaseUrl;
use crate::signing::verify::{Denial, EdgeRequest, TrustedKeys, verify};

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
}

/// A distribution that nothing but this machine can reach.
pub struct Edge {
    options: EdgeOptions,
    clock: Arc<dyn Clock>,
}

impl Edge {
    /// Sets up a distribution.
    #[must_use]
    pub fn new(options: EdgeOptions, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock }
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

    /// Refuses a request that no trusted key has signed.
    fn check(&self, target: &str, headers: &HeaderMap, source: IpAddr) -> Result<(), Denial> {
        let cookies: Vec<&str> =
            headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
        let request = EdgeRequest {
            url: &format!("{}{target}", self.options.url),
            cookies: &cookies.join("; "),
            source: Some(source),
            now: self.clock.now(),
        };
        let trusted = self.options.trusted.read().unwrap_or_else(PoisonError::into_inner);
        verify(&request, &trusted).map(|_| ())
    }

    fn allow_origin(&self, request: &HeaderMap, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        let origin = request.get(ORIGIN);
        let Some(origin) = origin.filter(|origin| *origin == self.options.allowed_origin.as_str())
        else {
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        let exposed = "Content-Range, Content-Encoding, ETag, Content-Length";
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
}

async fn answer(
    State(edge): State<Arc<Edge>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    if host(&parts).as_deref() != Some(edge.options.url.authority()) {
        return refuse("AccessDenied", "The request could not be satisfied");
    }
    let target = parts.uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
    if let Err(denial) = edge.check(target, &parts.headers, peer.ip()) {
        return refuse(denial.code(), denial.message());
    }
    let mut response = if matches!(parts.method, Method::GET | Method::HEAD) {
        match (edge.options.objects)(parts.uri.path()) {
            Some(found) => object::respond(&parts.method, &parts.headers, &found),
            None => no_such_key(),
        }
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response()
    };
    edge.allow_origin(&parts.headers, &mut response);
    response
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
