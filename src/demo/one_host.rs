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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::future::pending;
    use std::sync::RwLock;

    use axum::http::Method;

    use super::super::edge::EdgeOptions;
    use super::super::testing::{Browser, Site, bind, echoed};
    use super::*;
    use crate::signing::verify::TrustedKeys;

    /// Starts a distribution in front of a site, and returns its URL.
    async fn in_front_of(site: &Site) -> String {
        let options = EdgeOptions {
            url: site.viewer.clone(),
            trusted: Arc::new(RwLock::new(TrustedKeys::Group(HashMap::new()))),
            allowed_origin: site.viewer.clone(),
            objects: Arc::new(|_| None),
            may_list: true,
        };
        let edge = Edge::new(options, site.clock.clone());
        let port = site.viewer.authority().rsplit_once(':').unwrap().1.parse().unwrap();
        let one_host = OneHost::new(edge, SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        let listener = bind().await;
        let url = format!("http://{}", listener.address());
        tokio::spawn(one_host.serve(listener, pending()));
        url
    }

    #[tokio::test]
    async fn the_browser_is_the_second_from_the_right_of_those_forwarded_for() {
        let site = Site::start().await;
        let url = in_front_of(&site).await;
        let browser = Browser::new();
        let request = browser.request(Method::POST, &format!("{url}/forward?a=b"));
        let request = request.header("host", site.viewer.authority());
        let request = request.header("x-forwarded-for", "192.0.2.1").body("text");
        let got = echoed(browser.send(request).await).await;
        assert_eq!(got["x-forwarded-for"][0], "192.0.2.1, 127.0.0.1, 127.0.0.1");
        assert_eq!(got["host"][0], site.viewer.authority());
    }

    #[tokio::test]
    async fn nothing_among_the_data_runs_as_the_viewer() {
        let site = Site::start().await;
        let url = in_front_of(&site).await;
        let browser = Browser::new();
        for path in ["/data/", "/data/lab-a/page.html"] {
            let request = browser.request(Method::GET, &format!("{url}{path}"));
            let answer = browser.send(request.header("host", site.viewer.authority())).await;
            assert_eq!(answer.status(), 403, "{path} is signed by nobody");
            let policy = &answer.headers()["content-security-policy"];
            assert_eq!(policy, "sandbox; default-src 'none'", "{path}");
        }
    }
}
