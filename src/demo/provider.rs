//! A stand-in for an Amazon Cognito user pool: a page of people in the place of a password.
//!
//! | endpoint | what |
//! |---|---|
//! | `GET /oauth2/authorize` | the page |
//! | `POST /oauth2/authorize` | a person was chosen: back to the client with a code |
//! | `POST /oauth2/token` | code → access token; for scripts, a name → access token |
//! | `GET /oauth2/userInfo` | access token → claims, without groups |
//! | `GET /<pool>/.well-known/jwks.json` | verification keys |
//! | `GET /logout` | back to the client; nothing is remembered here that could be forgotten |
//!
//! Added: the grant `password` (RFC 6749 section 4.3) without a password, so that a script gets a token in
//! one line. Left out: refresh tokens, ID tokens, PKCE, scopes. Redirect URIs are compared exactly, and codes
//! work once and for a minute, since that is what a client may get wrong.
//!
//! Source: RFC 6749 section 4.1; the Cognito Developer Guide, "User pool endpoints and managed
//! login reference".

mod codes;
mod page;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use self::codes::{Code, Codes};
use super::listener::LoopbackListener;
use super::people::{self, Person};
use super::tokens::{AccessTokenFacts, AccessTokenSigner, CryptoError};
use crate::clock::Clock;
use crate::policy::BaseUrl;

/// An application that may sign people in. Not `Debug`: it holds a secret.
#[derive(Clone)]
pub struct Client {
    /// The client ID.
    pub id: String,
    /// The client secret.
    pub secret: String,
    /// Where the browser may be sent with a code, exactly.
    pub redirect_uris: Vec<String>,
    /// Where the browser may be sent after sign-out, exactly.
    pub logout_uris: Vec<String>,
}

/// How the stand-in is set up.
#[derive(Clone)]
pub struct ProviderOptions {
    /// Where browsers reach it, such as `http://login.edgemint.localhost:9000`.
    pub url: BaseUrl,
    /// Where other programs on this machine reach it: the address of its listener.
    pub address: SocketAddr,
    /// The pool's name, such as `us-east-1_DEMO`.
    pub pool: String,
    /// The applications.
    pub clients: Vec<Client>,
    /// How long an access token lives, in seconds. Cognito allows 5 minutes to 1 day.
    pub access_token_seconds: u64,
}

/// The URLs of a provider, as a load balancer or the own login is configured with them.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// The issuer.
    pub issuer: String,
    /// Where browsers sign in.
    pub authorize: String,
    /// Where codes are exchanged.
    pub token: String,
    /// Where claims are read.
    pub userinfo: String,
    /// Where verification keys are read.
    pub jwks: String,
    /// Where browsers sign out.
    pub logout: String,
}

/// A user pool that trusts everybody.
pub struct Provider {
    options: ProviderOptions,
    endpoints: Endpoints,
    signer: AccessTokenSigner,
    codes: Codes,
    clock: Arc<dyn Clock>,
}

impl Provider {
    /// Sets up a pool with a fresh signing key.
    ///
    /// # Errors
    /// [`CryptoError`] when no key can be made.
    pub fn new(options: ProviderOptions, clock: Arc<dyn Clock>) -> Result<Self, CryptoError> {
        let ProviderOptions { url, address, pool, .. } = &options;
        let endpoints = Endpoints {
            issuer: format!("http://{address}/{pool}"),
            authorize: format!("{url}/oauth2/authorize"),
            token: format!("http://{address}/oauth2/token"),
            userinfo: format!("http://{address}/oauth2/userInfo"),
            jwks: format!("http://{address}/{pool}/.well-known/jwks.json"),
            logout: format!("{url}/logout"),
        };
        let signer = AccessTokenSigner::generate()?;
        Ok(Self { options, endpoints, signer, codes: Codes::default(), clock })
    }

    /// The URLs to configure clients with.
    #[must_use]
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The key behind the access tokens, for tests that mint their own.
    #[must_use]
    pub const fn signer(&self) -> &AccessTokenSigner {
        &self.signer
    }

    /// Answers requests until `shutdown` is over.
    ///
    /// # Errors
    /// Whatever ends the listener.
    pub async fn serve(
        self: Arc<Self>,
        listener: LoopbackListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let jwks = format!("/{}/.well-known/jwks.json", self.options.pool);
        let router = Router::new()
            .route("/oauth2/authorize", get(show_people).post(choose_person))
            .route("/oauth2/token", post(exchange_code))
            .route("/oauth2/userInfo", get(userinfo))
            .route(&jwks, get(show_jwks))
            .route("/logout", get(sign_out))
            .with_state(self);
        listener.serve(router, shutdown).await
    }

    fn client(&self, id: &str) -> Option<&Client> {
        self.options.clients.iter().find(|client| client.id == id)
    }
}

/// What a client asks for when it sends a browser here.
#[derive(Deserialize)]
struct AuthorizeRequest {
    client_id: String,
    redirect_uri: String,
    response_type: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    state: String,
}

impl AuthorizeRequest {
    /// A request from a stranger must not be answered by a redirect (RFC 6749 section 4.1.2.1).
    fn check(&self, provider: &Provider) -> Result<Url, BadRequest> {
        let client = provider.client(&self.client_id).ok_or(BadRequest("unknown client_id"))?;
        if !client.redirect_uris.contains(&self.redirect_uri) {
            return Err(BadRequest("redirect_uri is not one that is registered for this client"));
        }
        if self.response_type != "code" {
            return Err(BadRequest("response_type is not code"));
        }
        Url::parse(&self.redirect_uri).map_err(|_| BadRequest("redirect_uri is not a URL"))
    }
}

/// A mistake of the client's that its developer should read.
struct BadRequest(&'static str);

impl IntoResponse for BadRequest {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.0).into_response()
    }
}

async fn show_people(
    State(provider): State<Arc<Provider>>,
    Query(request): Query<AuthorizeRequest>,
) -> Response {
    match request.check(&provider) {
        Ok(_) => page::people(&request),
        Err(refusal) => refusal.into_response(),
    }
}

#[derive(Deserialize)]
struct Choice {
    #[serde(flatten)]
    request: AuthorizeRequest,
    person: String,
}

async fn choose_person(
    State(provider): State<Arc<Provider>>,
    Form(Choice { request, person }): Form<Choice>,
) -> Response {
    let mut back = match request.check(&provider) {
        Ok(back) => back,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(person) = people::by_id(&person) else {
        return BadRequest("nobody of that name").into_response();
    };
    let code = Code {
        person,
        client: request.client_id,
        redirect_uri: request.redirect_uri,
        scope: request.scope,
    };
    let Ok(code) = provider.codes.issue(code, provider.clock.now()) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    back.query_pairs_mut().append_pair("code", &code).append_pair("state", &request.state);
    Redirect::to(back.as_str()).into_response()
}

#[derive(Deserialize)]
struct TokenRequest {
    grant_type: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    username: String,
    client_id: String,
    client_secret: String,
}

async fn exchange_code(
    State(provider): State<Arc<Provider>>,
    Form(request): Form<TokenRequest>,
) -> Response {
    let known = provider
        .client(&request.client_id)
        .is_some_and(|client| client.secret == request.client_secret);
    if !known {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let code = match request.grant_type.as_str() {
        "authorization_code" => {
            provider.codes.redeem(&request.code, provider.clock.now()).filter(|code| {
                code.client == request.client_id && code.redirect_uri == request.redirect_uri
            })
        }
        "password" => password(&request),
        _ => return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    };
    match code.map(|code| provider.access_token(&code)) {
        Some(Ok(answer)) => answer,
        Some(Err(CryptoError)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        None => refuse(StatusCode::BAD_REQUEST, "invalid_grant"),
    }
}

/// For scripts, which cannot press a button: a name is enough, and nobody has a password. Cognito has no
/// such grant.
fn password(request: &TokenRequest) -> Option<Code> {
    let named = |person: &&Person| person.name.eq_ignore_ascii_case(&request.username);
    let person = people::PEOPLE.iter().find(named)?;
    let (client, redirect_uri) = (request.client_id.clone(), request.redirect_uri.clone());
    Some(Code { person, client, redirect_uri, scope: "openid".to_owned() })
}

impl Provider {
    fn access_token(&self, code: &Code) -> Result<Response, CryptoError> {
        let issued = self.clock.now();
        let seconds = self.options.access_token_seconds;
        let facts = AccessTokenFacts {
            issuer: &self.endpoints.issuer,
            client: &code.client,
            scope: &code.scope,
            issued,
            expires: issued.plus(seconds),
        };
        let token = self.signer.mint(code.person, &facts)?;
        let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds});
        Ok(([(CACHE_CONTROL, "no-store")], Json(body)).into_response())
    }
}

/// RFC 6749 section 5.2.
fn refuse(status: StatusCode, error: &'static str) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(json!({"error": error}))).into_response()
}

async fn userinfo(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    let person = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .and_then(|token| provider.signer.subject_of(token, provider.clock.now()))
        .and_then(|subject| people::by_id(&subject));
    match person {
        Some(person) => Json(claims(person)).into_response(),
        None => refuse(StatusCode::UNAUTHORIZED, "invalid_token"),
    }
}

/// Cognito writes `email_verified` as a string, and keeps groups out.
fn claims(person: &Person) -> serde_json::Value {
    json!({
        "sub": person.id,
        "email": person.email,
        "email_verified": if person.email_verified { "true" } else { "false" },
        "name": person.name,
    })
}

async fn show_jwks(State(provider): State<Arc<Provider>>) -> Response {
    ([(CONTENT_TYPE, "application/json")], provider.signer.jwks_json()).into_response()
}

#[derive(Deserialize)]
struct LogoutRequest {
    client_id: String,
    logout_uri: String,
}

async fn sign_out(
    State(provider): State<Arc<Provider>>,
    Query(request): Query<LogoutRequest>,
) -> Response {
    let registered = provider
        .client(&request.client_id)
        .is_some_and(|client| client.logout_uris.contains(&request.logout_uri));
    if registered {
        return Redirect::to(&request.logout_uri).into_response();
    }
    BadRequest("logout_uri is not one that is registered for this client").into_response()
}

#[cfg(test)]
mod tests;
