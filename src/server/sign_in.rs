//! Our own sign-in: to the provider and back.
//!
//! 1. `GET /session/login` picks the provider, or lets the person pick, seals an attempt into a cookie of
//!    this browser, and sends it to the provider.
//! 2. `GET /session/callback/{provider}` finds the attempt by `state`, so that nobody is signed in by an answer that
//!    somebody else's browser asked for; trades the code; and seals the session.
//!
//! A sign-in always makes a new session, whatever the browser held before.

use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::asked::Asked;
use super::error::ServeError;
use super::request::{check_site, cookies, is_navigation};
use super::session::{answer, see_other, with_lines};
use super::sign_in_error::{SignInError, SignInReason};
use super::{pages, record, return_to};
use crate::authn::{ProviderError, Standing, agree, standing};
use crate::config::{LoginFront, Provider};
use crate::cookies::{Attempt, Held, LoginSession};
use crate::identity::Identity;

/// What paths of callbacks begin with; the provider's name follows.
pub(super) const CALLBACK: &str = "/session/callback/";

/// For how long signing out waits until the provider has revoked the refresh token.
const LONGEST_WAIT_TO_REVOKE: Duration = Duration::from_secs(2);

/// What a provider sends back (RFC 6749 section 4.1.2, RFC 9207), each once. What else some send along is
/// not looked at.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Sends the browser to a provider, or lets the person choose one.
pub(super) async fn begin(
    asked: &Asked,
    front: &LoginFront,
    wanted: Option<&str>,
    path: String,
) -> Result<Response, ServeError> {
    check_site(&asked.method, &asked.headers, asked.public_url(), &[])?;
    // A script cannot sign anybody in, and is told so.
    if asked.method != Method::GET || !is_navigation(&asked.headers) {
        return Err(ServeError::NotSignedIn);
    }
    let failed = |reason| SignInError { reason, return_to: Some(path.clone()) };
    let host = asked.public_url().host();
    let offered: Vec<&Provider> = front.offered_at(host).collect();
    let provider = match (wanted, offered.as_slice()) {
        (Some(name), _) => {
            let found = front.provider(name, host);
            found.ok_or_else(|| failed(SignInReason::UnknownProvider))?
        }
        (None, [alone]) => alone,
        (None, _) => return Ok(choose(&offered, &path)),
    };
    let sealing = asked.sealing().map_err(failed)?;
    let redirect_uri = asked.redirect_uri(provider);
    let begun = async {
        let party = asked.party(provider, &redirect_uri)?;
        asked.state.providers().begin(party, path.clone()).await
    };
    let begun = begun.await.map_err(|error| failed(error.into()))?;
    let held: Vec<_> = cookies(&asked.headers).collect();
    let nonce = Asked::nonce().map_err(failed)?;
    let lines = begun.attempt.lines(sealing, nonce, &held);
    let lines = lines.map_err(|error| failed(error.into()))?;
    Ok(with_lines(leave_to(&begun.url), &lines))
}

fn choose(offered: &[&Provider], path: &str) -> Response {
    let back: String = byte_serialize(path.as_bytes()).collect();
    let choices: Vec<(String, &str)> = offered
        .iter()
        .map(|provider| {
            let link = format!("/session/login?provider={}&return_to={back}", provider.name);
            (link, provider.title.as_str())
        })
        .collect();
    pages::choose(&choices)
}

/// `GET /session/callback/{provider}`: the provider sends the browser back.
pub(super) async fn callback(
    asked: Asked,
    named: Result<Path<String>, PathRejection>,
    query: Result<Query<Answer>, QueryRejection>,
) -> Response {
    let finished = finish(&asked, named, query).await;
    answer(&asked, finished)
}

async fn finish(
    asked: &Asked,
    named: Result<Path<String>, PathRejection>,
    query: Result<Query<Answer>, QueryRejection>,
) -> Result<Response, ServeError> {
    let Some(front) = asked.login_front() else { return Err(ServeError::NotFound) };
    // A code is spent by whoever looks at it, so nothing but the navigation itself may.
    if asked.method != Method::GET {
        return Err(ServeError::Method("GET"));
    }
    check_site(&asked.method, &asked.headers, asked.public_url(), &[])?;
    if !is_navigation(&asked.headers) {
        return Err(ServeError::CrossSite);
    }
    let Path(named) = named.map_err(|_| ServeError::NotFound)?;
    let Query(answer) = query.map_err(|_| ServeError::Query)?;
    let presented = asked.presented_identity().await?;
    let held: Vec<_> = cookies(&asked.headers).collect();
    let sealing = asked.sealing().map_err(SignInError::from)?;
    let state = answer.state.as_deref().unwrap_or_default();
    let attempt = Attempt::find(sealing, state, &held, asked.now());
    let attempt = attempt.ok_or_else(|| SignInError::from(SignInReason::NoAttempt))?;
    // Nothing is spent yet: asked again, this answer still leads in.
    let _place = asked.state.providers().admit().ok_or(ServeError::Busy)?;
    // Used, whatever comes of it.
    let used = Attempt::removal(state, &held);
    match sign_in(asked, front, &named, &answer, &attempt).await {
        Ok(session) => match enter(asked, front, presented, &session, &attempt).await {
            Ok(response) => Ok(with_lines(response, &used)),
            Err(error) => Err(error.with_lines(used)),
        },
        Err(reason) => {
            let return_to = Some(attempt.return_to.clone());
            Err(ServeError::SignIn(SignInError { reason, return_to }).with_lines(used))
        }
    }
}

/// Who signed in, as far as the provider vouches for it.
async fn sign_in(
    asked: &Asked,
    front: &LoginFront,
    named: &str,
    answer: &Answer,
    attempt: &Attempt,
) -> Result<LoginSession, SignInReason> {
    // A provider that passes the browser on to another one's sign-in must not get the other's code.
    if attempt.provider != named {
        return Err(SignInReason::WrongIssuer);
    }
    let host = asked.public_url().host();
    let provider = front.provider(&attempt.provider, host).ok_or(SignInReason::UnknownProvider)?;
    if provider.issuer != attempt.issuer {
        return Err(SignInReason::NoAttempt);
    }
    let providers = asked.state.providers();
    if !providers.answers_for(provider, answer.iss.as_deref()).await? {
        return Err(SignInReason::WrongIssuer);
    }
    if let Some(error) = &answer.error {
        return Err(SignInReason::Declined(error.chars().take(100).collect()));
    }
    let code = answer.code.as_deref().filter(|code| !code.is_empty());
    let code = code.ok_or(SignInReason::NoAttempt)?;
    let redirect_uri = asked.redirect_uri(provider);
    let party = asked.party(provider, &redirect_uri)?;
    Ok(providers.finish(party, code, attempt).await?)
}

/// Gives the browser the session, and cookies, and goes on; nothing where what it presented besides
/// speaks of somebody else.
async fn enter(
    asked: &Asked,
    front: &LoginFront,
    presented: Option<Identity>,
    session: &LoginSession,
    attempt: &Attempt,
) -> Result<Response, ServeError> {
    let return_to = Some(attempt.return_to.clone());
    let failed = |reason| SignInError { reason, return_to: return_to.clone() };
    let nonce = Asked::nonce().map_err(failed)?;
    let mut lines =
        asked.session_lines(front, session, nonce).map_err(|error| failed(error.reason))?;
    let host = asked.public_url().host();
    let Standing::Good(identity) = standing(session, front, host, asked.now()) else {
        return Err(failed(SignInReason::Provider(ProviderError::Answer)).into());
    };
    agree(presented, Some(identity.clone()))?;
    record::signed_in(&asked.id, &identity, &session.provider);
    let path = return_to::parse(&attempt.return_to, asked.public_url());
    let path = path.unwrap_or_else(|_| "/".to_owned());
    match asked.lines_on_sign_in(&identity).await {
        Ok(issued) => lines.extend(issued),
        Err(error) => return Err(error.with_lines(lines)),
    }
    Ok(with_lines(see_other(&path), &lines))
}

/// Revokes the session's refresh token, and returns where the browser goes to sign out at the provider as
/// well; nowhere where that is not offered, or cannot be found out just now.
pub(super) async fn sign_out(asked: &Asked) -> Option<Url> {
    let Ok(Some((front, Held::Session(session)))) = asked.held_session() else { return None };
    let provider = front.provider(&session.provider, asked.public_url().host())?;
    if provider.issuer != session.issuer || provider.client != session.client {
        return None;
    }
    let back = format!("{}/", asked.public_url());
    let url = asked.state.providers().end_session_url(provider, &session, &back);
    let (url, ()) = tokio::join!(url, revoke(asked, provider, &session));
    url.ok().flatten()
}

/// Who signs out waits for a short while only; the provider is told all the same.
async fn revoke(asked: &Asked, provider: &Provider, session: &LoginSession) {
    let (providers, id) = (asked.state.providers().clone(), asked.id.clone());
    let secret = asked.snapshot.secrets.client(provider).cloned();
    let (provider, session) = (provider.clone(), session.clone());
    let telling = tokio::spawn(async move {
        if let Err(problem) = providers.revoke(&provider, secret.as_ref(), &session).await {
            record::unrevoked(&id, &provider.name, &problem);
        }
    });
    let _ = tokio::time::timeout(LONGEST_WAIT_TO_REVOKE, telling).await;
}

/// To another site, with a GET.
fn leave_to(url: &Url) -> Response {
    // A parsed URL is ASCII without control characters.
    let location = HeaderValue::from_str(url.as_str()).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}
