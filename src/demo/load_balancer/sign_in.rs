//! The authorization code flow, from the first redirect to the session's cookies.
//!
//! `state` holds the way back, sealed, and a nonce that a cookie must repeat: so a code that one
//! browser got cannot sign in another.

use std::time::{Duration, UNIX_EPOCH};

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded;

use super::super::session::{Session, cookie, shard};
use super::super::tokens::random_text;
use super::{LoadBalancer, redirect_uri};
use crate::clock::EpochSeconds;

/// Where the provider sends browsers back to.
pub(super) const CALLBACK: &str = "/oauth2/idpresponse";

/// The cookie that repeats the nonce of `state`.
const NONCE_COOKIE: &str = "AWSALBAuthNonce";

/// AWS's client login timeout, in seconds.
const LOGIN_SECONDS: u64 = 900;

/// The most bytes of claims and access token together.
const MAX_CLAIMS_BYTES: usize = 11 * 1024;

#[derive(Serialize, Deserialize)]
struct Nonce {
    nonce: String,
    expires: EpochSeconds,
}

#[derive(Serialize, Deserialize)]
struct LoginState {
    nonce: String,
    path: String,
    expires: EpochSeconds,
}

/// Why a sign-in fails, as the status that AWS documents.
enum Failure {
    /// The browser did not begin this sign-in, or took too long.
    NotBegun,
    /// The provider refused.
    Provider,
    /// The provider does not answer, or says too much.
    Unusable,
}

/// Sends the browser to the provider.
pub(super) fn begin(balancer: &LoadBalancer, parts: &Parts) -> Response {
    redirect_to_provider(balancer, parts)
        .unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn redirect_to_provider(balancer: &LoadBalancer, parts: &Parts) -> Option<Response> {
    let expires = balancer.clock.now().plus(LOGIN_SECONDS);
    // Two tabs, or a page and its requests, begin at once: they share a nonce, or the last to begin
    // would fail the others.
    let nonce = match open_nonce(balancer, &parts.headers) {
        Some(nonce) => nonce,
        None => random_text().ok()?,
    };
    let path = path_and_query(&parts.uri).to_owned();
    let state = LoginState { nonce: nonce.clone(), path, expires };
    let state = balancer.sealing.seal("state", &state).ok()?;
    let mut url = Url::parse(&balancer.options.provider.authorize).ok()?;
    url.query_pairs_mut()
        .append_pair("client_id", &balancer.options.client_id)
        .append_pair("redirect_uri", &redirect_uri(&balancer.options.url))
        .append_pair("response_type", "code")
        .append_pair("scope", "openid email profile")
        .append_pair("state", &state);
    let sealed = balancer.sealing.seal(NONCE_COOKIE, &Nonce { nonce, expires }).ok()?;
    redirect(url.as_str(), [set_cookie(NONCE_COOKIE, &sealed, expires)])
}

fn open_nonce(balancer: &LoadBalancer, headers: &HeaderMap) -> Option<String> {
    let sealed = cookie(headers, NONCE_COOKIE)?;
    let nonce: Nonce = balancer.sealing.open(NONCE_COOKIE, sealed)?;
    (balancer.clock.now() < nonce.expires).then_some(nonce.nonce)
}

/// Takes the provider's answer, and sends the browser to where it wanted to go.
pub(super) async fn finish(balancer: &LoadBalancer, parts: &Parts) -> Response {
    match signed_in(balancer, &parts.headers, parts.uri.query().unwrap_or_default()).await {
        Ok(response) => response,
        Err(Failure::NotBegun) => StatusCode::UNAUTHORIZED.into_response(),
        // AWS's own status for "the identity provider returned an error code".
        Err(Failure::Provider) => {
            StatusCode::from_u16(561).unwrap_or(StatusCode::UNAUTHORIZED).into_response()
        }
        Err(Failure::Unusable) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn signed_in(
    balancer: &LoadBalancer,
    headers: &HeaderMap,
    query: &str,
) -> Result<Response, Failure> {
    let state = open_state(balancer, headers, query).ok_or(Failure::NotBegun)?;
    let code = parameter(query, "code").ok_or(Failure::Provider)?;
    let (access_token, seconds) = exchange(balancer, &code).await?;
    let userinfo = fetch_userinfo(balancer, &access_token).await?;
    let claims = Value::Object(userinfo.clone()).to_string();
    if claims.len() + access_token.len() > MAX_CLAIMS_BYTES {
        return Err(Failure::Unusable);
    }
    let life = seconds.min(balancer.options.session_seconds);
    let expires = balancer.clock.now().plus(life);
    let session = Session { userinfo, access_token, expires };
    let back = format!("{}{}", balancer.options.url, state.path);
    let lines = session_cookies(balancer, &session).ok_or(Failure::Unusable)?;
    redirect(&back, lines).ok_or(Failure::Unusable)
}

fn open_state(balancer: &LoadBalancer, headers: &HeaderMap, query: &str) -> Option<LoginState> {
    let state: LoginState = balancer.sealing.open("state", &parameter(query, "state")?)?;
    let in_time = balancer.clock.now() < state.expires;
    (in_time && open_nonce(balancer, headers)? == state.nonce).then_some(state)
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(found, value)| (found == name).then(|| value.into_owned()))
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: u64,
}

async fn exchange(balancer: &LoadBalancer, code: &str) -> Result<(String, u64), Failure> {
    let options = &balancer.options;
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", &redirect_uri(&options.url))
        .append_pair("client_id", &options.client_id)
        .append_pair("client_secret", &options.client_secret)
        .finish();
    let request = balancer
        .http
        .post(&options.provider.token)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body);
    let answer: TokenAnswer = ask(request).await?;
    Ok((answer.access_token, answer.expires_in))
}

async fn fetch_userinfo(
    balancer: &LoadBalancer,
    access_token: &str,
) -> Result<Map<String, Value>, Failure> {
    ask(balancer.http.get(&balancer.options.provider.userinfo).bearer_auth(access_token)).await
}

async fn ask<T: serde::de::DeserializeOwned>(
    request: reqwest::RequestBuilder,
) -> Result<T, Failure> {
    let answer =
        request.timeout(Duration::from_secs(5)).send().await.map_err(|_| Failure::Unusable)?;
    if !answer.status().is_success() {
        return Err(Failure::Provider);
    }
    let body = answer.bytes().await.map_err(|_| Failure::Unusable)?;
    serde_json::from_slice(&body).map_err(|_| Failure::Provider)
}

fn session_cookies(balancer: &LoadBalancer, session: &Session) -> Option<Vec<String>> {
    let name = &balancer.options.cookie_name;
    let sealed = balancer.sealing.seal(name, session).ok()?;
    let lines = shard(name, &sealed)?
        .into_iter()
        .map(|(name, value)| set_cookie(&name, &value, session.expires));
    Some(lines.collect())
}

/// The attributes that AWS sets, and `SameSite=Lax`: AWS names no `SameSite`, and Lax is what
/// browsers then assume. The way back from the provider is a navigation, which Lax lets through.
fn set_cookie(name: &str, value: &str, expires: EpochSeconds) -> String {
    let expires = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(expires.0));
    format!("{name}={value}; Expires={expires}; Path=/; HttpOnly; Secure; SameSite=Lax")
}

fn redirect(to: &str, cookies: impl IntoIterator<Item = String>) -> Option<Response> {
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_str(to).ok()?);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for line in cookies {
        headers.append(SET_COOKIE, HeaderValue::from_str(&line).ok()?);
    }
    Some(response)
}

/// The target of a request without its host, so that the way back cannot leave this one.
pub(super) fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str)
}
