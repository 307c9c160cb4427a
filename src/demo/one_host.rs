//! A stand-in for a CloudFront distribution in front of everything: one host for viewer and data.
//!
//! 1. `/data/*` is the restricted behavior, whose origin is the bucket; its answers carry a
//!    `Content-Security-Policy` by which nothing among the data runs as the viewer's origin.
//! 2. Everything else goes to the load balancer: all methods, the browser's `Host`, all cookies, no
//!    caching. The distribution adds the browser to `X-Forwarded-For`, and the load balancer adds the
//!    distribution.
//!
//! Source: the CloudFront Developer Guide, "Managed origin request policies" (`AllViewer`) and
//! "Response headers policies".

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::Response;

use super::edge::Edge;
use super::listener::LoopbackListener;
use super::load_balancer::forward::{client, passed_on, send};

/// The path of the restricted behavior, with which the keys of all objects begin.
pub const DATA: &str = "/data/";

/// One distribution with two origins, that nothing but this machine can reach.
pub struct OneHost {
    edge: Edge,
    balancer: SocketAddr,
    http: reqwest::Client,
}

impl OneHost {
    /// Sets up a distribution: `edge` has the viewer's host, `balancer` is where the load balancer
    /// listens.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(edge: Edge, balancer: SocketAddr) -> reqwest::Result<Self> {
        Ok(Self { edge, balancer, http: client()? })
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
}

async fn answer(
    State(site): State<Arc<OneHost>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if !parts.uri.path().starts_with(DATA) {
        return send(&site.http, site.balancer, &parts, passed_on(&parts, peer), body).await;
    }
    let mut response = site.edge.answer(&parts, peer.ip()).await;
    let sandbox = HeaderValue::from_static("sandbox; default-src 'none'");
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, sandbox);
    response
}
