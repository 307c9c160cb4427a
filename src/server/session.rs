//! `/session` and what is under it: who am I, give me cookies, sign in, sign out.

use std::net::IpAddr;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ServeError;
use super::request::{Peer, RequestId, check_site, is_navigation, ledger, prefers_html};
use super::snapshot::Snapshot;
use super::state::AppState;
use super::{pages, record, return_to};
use crate::access::{Grant, Opened, decide};
use crate::authn::browser_address;
use crate::cookies::{Ledger, expire_load_balancer_session};
use crate::identity::{Email, Identity};
use crate::issuer::{self, IssueError, Issued};
use crate::telemetry::Outcome;

/// What a query may hold, each once.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    return_to: Option<String>,
    #[serde(rename = "for")]
    wanted: Option<String>,
}

/// One request, and the snapshot that answers it.
pub(super) struct Asked<'a> {
    pub(super) state: &'a AppState,
    pub(super) snapshot: &'a Snapshot,
    pub(super) headers: &'a HeaderMap,
    pub(super) id: &'a RequestId,
    pub(super) peer: Peer,
}

type Wished = Result<Query<Wishes>, axum::extract::rejection::QueryRejection>;

/// `GET /session`: who I am, what I may see, until when.
pub(super) async fn show(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    Extension(peer): Extension<Peer>,
    parts: Parts,
) -> Response {
    let snapshot = state.snapshot();
    let asked =
        Asked { state: &state, snapshot: &snapshot, headers: &parts.headers, id: &id, peer };
    answer(
        &asked,
        describe(&asked).await.map(|session| {
            if prefers_html(&parts.headers) {
                pages::session(&session)
            } else {
                axum::Json(session).into_response()
            }
        }),
    )
}

/// `GET` and `POST /session/cookies`: issue.
pub(super) async fn issue(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    Extension(peer): Extension<Peer>,
    wishes: Wished,
    parts: Parts,
) -> Response {
    let snapshot = state.snapshot();
    let asked =
        Asked { state: &state, snapshot: &snapshot, headers: &parts.headers, id: &id, peer };
    answer(&asked, issue_for(&asked, &parts.method, wishes).await)
}

/// `DELETE /session/cookies`: clear every set that the browser was given.
pub(super) async fn clear(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    Extension(peer): Extension<Peer>,
    parts: Parts,
) -> Response {
    let snapshot = state.snapshot();
    let asked =
        Asked { state: &state, snapshot: &snapshot, headers: &parts.headers, id: &id, peer };
    let cleared = check_site(&parts.method, asked.headers, &snapshot.config.site.public_url)
        .map(|()| with_lines(StatusCode::NO_CONTENT.into_response(), &asked.clearing_lines()));
    answer(&asked, cleared)
}

/// `GET /session/login`: reached through sign-in; gives cookies and goes on.
pub(super) async fn login(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    Extension(peer): Extension<Peer>,
    wishes: Wished,
    parts: Parts,
) -> Response {
    let snapshot = state.snapshot();
    let asked =
        Asked { state: &state, snapshot: &snapshot, headers: &parts.headers, id: &id, peer };
    answer(&asked, log_in(&asked, wishes).await)
}

/// `POST /session/logout`: clear what we set, and end the load balancer's session.
pub(super) async fn logout(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    Extension(peer): Extension<Peer>,
    wishes: Wished,
    parts: Parts,
) -> Response {
    let snapshot = state.snapshot();
    let asked =
        Asked { state: &state, snapshot: &snapshot, headers: &parts.headers, id: &id, peer };
    answer(&asked, log_out(&asked, &parts.method, wishes))
}

async fn describe(asked: &Asked<'_>) -> Result<Value, ServeError> {
    let identity = asked.identity().await?.ok_or(ServeError::NotSignedIn)?;
    let granted = asked.decide(&identity);
    let opened = granted.as_ref().map(Grant::opened).unwrap_or_default();
    let withheld: Vec<String> = match &granted {
        Ok(grant) => grant.withheld().iter().map(ToString::to_string).collect(),
        Err(refusal) => vec![refusal.to_string()],
    };
    let mut rules: Vec<&String> = opened.iter().flat_map(|part| &part.rules).collect();
    rules.dedup();
    Ok(json!({
        "subject": identity.subject.as_str(),
        "issuer": identity.issuer,
        "email": identity.email.as_ref().map(Email::address),
        "email_verified": identity.email.as_ref().is_some_and(|email| email.verified),
        "groups": identity.groups,
        "front": identity.front.to_string(),
        "rules": rules,
        "resources": resources(opened),
        "withheld": withheld,
        "until": identity.expires.to_string(),
    }))
}

async fn issue_for(
    asked: &Asked<'_>,
    method: &Method,
    wishes: Wished,
) -> Result<Response, ServeError> {
    let public_url = &asked.snapshot.config.site.public_url;
    check_site(method, asked.headers, public_url)?;
    let Query(wishes) = wishes.map_err(|_| ServeError::Query)?;
    let return_to = wishes.return_to.map(|text| return_to::parse(&text, public_url)).transpose()?;
    let wanted = wishes.wanted.map(|text| parse_wanted(&text)).transpose()?;
    let identity = asked.identity().await?.ok_or(ServeError::NotSignedIn)?;
    let issued = asked.issue(&identity, wanted.as_ref()).await?;
    let response = match return_to {
        Some(path) if *method == Method::GET && is_navigation(asked.headers) => see_other(&path),
        _ => axum::Json(asked.summary(&issued)).into_response(),
    };
    Ok(with_lines(response, &issued.lines))
}

async fn log_in(asked: &Asked<'_>, wishes: Wished) -> Result<Response, ServeError> {
    let Query(wishes) = wishes.map_err(|_| ServeError::Query)?;
    let public_url = &asked.snapshot.config.site.public_url;
    let path = return_to::parse(wishes.return_to.as_deref().unwrap_or("/"), public_url)?;
    let identity = asked.identity().await?.ok_or(ServeError::LoginNotAuthenticated)?;
    // The viewer itself is open to everyone and explains better what is not open to this person.
    let lines = match asked.issue(&identity, None).await {
        Ok(issued) => issued.lines,
        Err(ServeError::Refusal(_)) => asked.clearing_lines(),
        Err(error) => return Err(error),
    };
    Ok(with_lines(see_other(&path), &lines))
}

fn log_out(asked: &Asked<'_>, method: &Method, wishes: Wished) -> Result<Response, ServeError> {
    let public_url = &asked.snapshot.config.site.public_url;
    check_site(method, asked.headers, public_url)?;
    let Query(wishes) = wishes.map_err(|_| ServeError::Query)?;
    let path = return_to::parse(wishes.return_to.as_deref().unwrap_or("/"), public_url)?;
    let mut lines = asked.clearing_lines();
    lines.extend(expire_load_balancer_session(&asked.snapshot.config.alb.session_cookie));
    let response = if is_navigation(asked.headers) {
        see_other(&path)
    } else {
        StatusCode::NO_CONTENT.into_response()
    };
    Ok(with_lines(response, &lines))
}

impl Asked<'_> {
    pub(super) async fn identity(&self) -> Result<Option<Identity>, ServeError> {
        let front = &self.snapshot.config.alb;
        Ok(self.state.authenticator().authenticate(self.headers, front).await?)
    }

    fn address(&self) -> Option<IpAddr> {
        browser_address(self.headers, self.peer.0, self.snapshot.config.site.trusted_hops)
    }

    fn decide(&self, identity: &Identity) -> Result<Grant, crate::access::Refusal> {
        let now = self.state.clock().now();
        decide(identity, &self.snapshot.config.rules, self.address(), now)
    }

    /// Decides, signs and records.
    async fn issue(
        &self,
        identity: &Identity,
        wanted: Option<&url::Url>,
    ) -> Result<Issued, ServeError> {
        let ledger = ledger(self.headers);
        let outcome = match self.decide(identity) {
            Ok(grant) => {
                let request = self.request(identity, &grant, &ledger, wanted);
                self.state.issuer().issue(&request).await.map_err(Into::into)
            }
            Err(refusal) => Err(refusal.into()),
        };
        match &outcome {
            Ok(issued) => {
                let key = &self.snapshot.ring.active().id;
                record::issued(self.id, identity, issued, key, self.address());
                self.state.metrics().attempted(Outcome::Issued);
            }
            Err(error) => self.refuse(Some(identity), error),
        }
        outcome
    }

    /// Lines for a page, if its reader is signed in and the ledger says that cookies are due.
    pub(super) async fn lines_for_page(&self) -> Result<Option<Vec<String>>, ServeError> {
        let Some(identity) = self.identity().await? else { return Ok(None) };
        let ledger = ledger(self.headers);
        let Ok(grant) = self.decide(&identity) else {
            let stale = ledger.lists_others_than(&[]);
            return Ok(Some(if stale { self.clearing_lines() } else { Vec::new() }));
        };
        if !issuer::is_due(&self.request(&identity, &grant, &ledger, None)) {
            return Ok(Some(Vec::new()));
        }
        // A page without cookies is better than none: its script asks for them again.
        let issued = self.issue(&identity, None).await;
        Ok(Some(issued.map(|issued| issued.lines).unwrap_or_default()))
    }

    fn request<'r>(
        &'r self,
        identity: &'r Identity,
        grant: &'r Grant,
        ledger: &'r Ledger,
        wanted: Option<&'r url::Url>,
    ) -> issuer::Request<'r> {
        let config = &self.snapshot.config;
        issuer::Request {
            grant,
            identity,
            host: config.site.public_url.host(),
            distributions: &config.distributions,
            key: self.snapshot.ring.active(),
            hash: config.keys.hash,
            ledger,
            wanted,
            sets_per_answer: config.limits.sets_per_answer,
            now: self.state.clock().now(),
        }
    }

    /// Lines that remove every set the browser lists.
    fn clearing_lines(&self) -> Vec<String> {
        let host = self.snapshot.config.site.public_url.host();
        let renewal = ledger(self.headers).renew(host, &[], &[], self.state.clock().now());
        record::cleared(self.id, None, renewal.removed);
        renewal.lines
    }

    fn summary(&self, issued: &Issued) -> Value {
        let expires_in = issued.expires.since(self.state.clock().now());
        json!({
            "expires_at": issued.expires.to_string(),
            "expires_in": expires_in,
            "refresh_in": refresh_in(expires_in),
            "resources": resources(&issued.opened),
            "on_demand": resources(&issued.on_demand),
        })
    }

    fn refuse(&self, identity: Option<&Identity>, error: &ServeError) {
        record::refused(self.id, identity, error, self.address());
        self.state.metrics().attempted(outcome_of(error));
    }
}

/// Turns a handler's outcome into an answer, and records what no other line records.
fn answer(asked: &Asked<'_>, outcome: Result<Response, ServeError>) -> Response {
    match outcome {
        Ok(mut response) => {
            let value = HeaderValue::from_static("no-store, private");
            response.headers_mut().insert(header::CACHE_CONTROL, value);
            response
        }
        Err(error) => {
            let recorded = matches!(error, ServeError::Refusal(_) | ServeError::Issue(_));
            if !recorded {
                asked.refuse(None, &error);
            }
            error.into_answer(asked.headers, asked.id)
        }
    }
}

const fn outcome_of(error: &ServeError) -> Outcome {
    match error {
        ServeError::Refusal(_) | ServeError::Issue(IssueError::NotCovered(_)) => Outcome::NoAccess,
        ServeError::Issue(IssueError::Overloaded) | ServeError::Busy => Outcome::Overloaded,
        ServeError::Issue(_) | ServeError::Authn(crate::authn::AuthnError::Unavailable { .. }) => {
            Outcome::Unavailable
        }
        _ => Outcome::Refused,
    }
}

fn parse_wanted(text: &str) -> Result<url::Url, ServeError> {
    let url = url::Url::parse(text).map_err(|_| ServeError::For)?;
    let plain = matches!(url.scheme(), "https" | "http")
        && url.username().is_empty()
        && url.password().is_none();
    if plain { Ok(url) } else { Err(ServeError::For) }
}

fn resources(opened: &[Opened]) -> Vec<String> {
    opened.iter().map(Opened::resource).collect()
}

/// About four fifths of the life, spread, so that rounded expiries do not renew in step.
fn refresh_in(expires_in: u64) -> u64 {
    let mut byte = [0];
    let _ = SystemRandom::new().fill(&mut byte);
    let percent = 76 + u64::from(byte[0]) % 9;
    (expires_in * percent / 100).max(1)
}

/// 303, so that a POST is followed by a GET. The path was parsed to be ASCII.
fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

pub(super) fn with_lines(mut response: Response, lines: &[String]) -> Response {
    for line in lines {
        // Every line is made of checked parts; one that is no header value is worth losing.
        if let Ok(value) = HeaderValue::from_str(line) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}
