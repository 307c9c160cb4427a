//! A stand-in for an Application Load Balancer that signs people in.
//!
//! 1. A request for another host than its own is refused (421).
//! 2. `/oauth2/idpresponse` ends a sign-in; the first rule whose prefix matches decides the rest.
//! 3. The three identity headers of a client never pass, whatever the rule. Underscore twins do, as
//!    with AWS unless `routing.http.drop_invalid_header_fields` is set.
//! 4. Only on a rule with [`Action::Authenticate`] does a signed-in person's request carry claims,
//!    minted anew for each request.
//!
//! Left out: refresh tokens (a session ends with its access token), websockets, TLS. Chromium and
//! Firefox keep `Secure` cookies of names under `localhost` without TLS; Safari does not.
//!
//! The cookies are the stand-in's and not edgemint's, hence their attributes stand here.
//!
//! Source: the ELB User Guide, "Authenticate users using an Application Load Balancer" and
//! "Troubleshoot your Application Load Balancers".

pub(super) mod forward;
mod keys;
mod python;
mod sign_in;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

pub use self::keys::serve_public_keys;
use super::listener::{LoopbackListener, host};
use super::provider::Endpoints;
use super::session::{SealingKey, Session, unshard};
use super::tokens::{ClaimsHeader, ClaimsSigner, CryptoError};
use crate::clock::Clock;
use crate::identity::headers::{ALB_ACCESS_TOKEN, ALB_CLAIMS, ALB_SUBJECT};
use crate::policy::BaseUrl;

/// AWS's default name of the session's cookies, without the shard's number.
pub const SESSION_COOKIE: &str = "AWSELBAuthSessionCookie";

/// AWS's default session timeout, in seconds: seven days.
pub const SESSION_SECONDS: u64 = 604_800;

/// How long claims are good for, in seconds. AWS says nothing; its Verified Access says 120.
const CLAIMS_SECONDS: u64 = 120;

/// What a listener rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Forwards without looking at who asks, and without claims.
    Forward,
    /// Looks for a session first.
    Authenticate(OnUnauthenticated),
    /// Answers what Neuroglancer's client asks its Python server for, which is not there: the client
    /// comes from the Python package, and would go on asking.
    PythonServer,
}

/// What an authenticate action does without a session: `OnUnauthenticatedRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnauthenticated {
    /// Sends the browser to the provider.
    Authenticate,
    /// Answers 401.
    Deny,
    /// Forwards without claims.
    Allow,
}

/// One listener rule.
#[derive(Clone, Debug)]
pub struct ListenerRule {
    /// Paths that begin with this match.
    pub prefix: String,
    /// What then happens.
    pub action: Action,
}

/// How the stand-in is set up. Not `Debug`: it holds a secret.
#[derive(Clone)]
pub struct LoadBalancerOptions {
    /// Where browsers reach it, such as `http://viewer.edgemint.localhost:8080`.
    pub url: BaseUrl,
    /// Where edgemint listens.
    pub target: SocketAddr,
    /// The ARN that its tokens name as signer.
    pub arn: String,
    /// The client ID at the provider.
    pub client_id: String,
    /// The client secret at the provider.
    pub client_secret: String,
    /// The provider.
    pub provider: Endpoints,
    /// The name of the session's cookies; see [`SESSION_COOKIE`].
    pub cookie_name: String,
    /// The session timeout in seconds; see [`SESSION_SECONDS`].
    pub session_seconds: u64,
    /// The rules in order. A path that none matches gets 404; AWS always has a last rule, so end
    /// with one for `/`.
    pub rules: Vec<ListenerRule>,
}

/// Why a load balancer cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoadBalancerError {
    /// No keys.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// No HTTP client.
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

/// A load balancer that nothing but this machine can reach.
pub struct LoadBalancer {
    options: LoadBalancerOptions,
    signer: Arc<ClaimsSigner>,
    sealing: SealingKey,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
}

/// Returns the redirect URI to register with the provider for a load balancer at `url`.
#[must_use]
pub fn redirect_uri(url: &BaseUrl) -> String {
    format!("{url}{}", sign_in::CALLBACK)
}

impl LoadBalancer {
    /// Sets up a load balancer with a fresh key for its cookies.
    ///
    /// # Errors
    /// [`LoadBalancerError`] when the key or the HTTP client cannot be made.
    pub fn new(
        options: LoadBalancerOptions,
        signer: Arc<ClaimsSigner>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LoadBalancerError> {
        let http = forward::client()?;
        Ok(Self { options, signer, sealing: SealingKey::generate()?, http, clock })
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

    fn action(&self, path: &str) -> Option<Action> {
        let rule = self.options.rules.iter().find(|rule| path.starts_with(&rule.prefix));
        rule.map(|rule| rule.action)
    }

    /// A session that does not open, lacks a shard or is over is no session.
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let name = &self.options.cookie_name;
        let session: Session = self.sealing.open(name, &unshard(name, headers)?)?;
        (self.clock.now() < session.expires).then_some(session)
    }

    /// The three headers that tell the target who asks.
    fn identity(&self, session: &Session) -> Option<HeaderMap> {
        let header = ClaimsHeader {
            signer: &self.options.arn,
            client: &self.options.client_id,
            issuer: &self.options.provider.issuer,
            expires: self.clock.now().plus(CLAIMS_SECONDS),
        };
        let claims = self.signer.mint(&header, &session.userinfo).ok()?;
        let subject = session.userinfo.get("sub")?.as_str()?;
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (ALB_CLAIMS, claims.as_str()),
            (ALB_SUBJECT, subject),
            (ALB_ACCESS_TOKEN, &session.access_token),
        ] {
            headers.insert(name, HeaderValue::from_str(value).ok()?);
        }
        Some(headers)
    }
}

async fn answer(
    State(balancer): State<Arc<LoadBalancer>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if host(&parts).as_deref() != Some(balancer.options.url.authority()) {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    if parts.uri.path() == sign_in::CALLBACK {
        return sign_in::finish(&balancer, &parts).await;
    }
    let identity = match balancer.action(parts.uri.path()) {
        None => return StatusCode::NOT_FOUND.into_response(),
        Some(Action::PythonServer) => return python::answer(&parts),
        Some(Action::Forward) => HeaderMap::new(),
        Some(Action::Authenticate(otherwise)) => {
            match (balancer.session(&parts.headers), otherwise) {
                (Some(session), _) => match balancer.identity(&session) {
                    Some(headers) => headers,
                    None => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                },
                (None, OnUnauthenticated::Allow) => HeaderMap::new(),
                (None, OnUnauthenticated::Deny) => return StatusCode::UNAUTHORIZED.into_response(),
                (None, OnUnauthenticated::Authenticate) => {
                    return sign_in::begin(&balancer, &parts);
                }
            }
        }
    };
    forward::forward(&balancer, peer, &parts, body, identity).await
}

#[cfg(test)]
mod tests;
