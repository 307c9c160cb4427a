//! `/session` and what is under it: who am I, give me cookies, sign in, sign out.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::asked::Asked;
use super::error::{ServeError, append};
use super::handoff::Offers;
use super::login_session::Renewed;
use super::request::{check_site, cookies, is_navigation, prefers_html};
use super::{pages, return_to, script, sign_in};
use crate::access::{Dataset, Grant, Opened, Rule};
use crate::authn::agree;
use crate::clock::EpochSeconds;
use crate::config::LogoutUrl;
use crate::cookies::expire_load_balancer_session;
use crate::identity::{Email, Front, Identity};
use crate::issuer::Issued;

/// What a query may hold, each once.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    return_to: Option<String>,
    #[serde(rename = "for")]
    wanted: Option<String>,
    provider: Option<String>,
}

type Wished = Result<Query<Wishes>, QueryRejection>;

/// `GET /session`: who I am, what I may see, until when.
pub(super) async fn show(asked: Asked) -> Response {
    let shown = match describe(&asked).await {
        // Asking who I am is no attempt at anything, so "nobody" leaves no record.
        Err(nobody) if nobody.is_nobody() => {
            return nobody.into_answer(asked.reader(), &asked.id);
        }
        outcome => outcome,
    };
    answer(&asked, shown)
}

/// `GET` and `POST /session/cookies`: issue.
pub(super) async fn issue(asked: Asked, wishes: Wished) -> Response {
    let issued = issue_for(&asked, wishes).await;
    answer(&asked, issued)
}

/// `DELETE /session/cookies`: clear every set that the browser was given.
pub(super) async fn clear(asked: Asked) -> Response {
    let cleared = from_here_or_a_friend(&asked)
        .map(|()| with_lines(done(&asked.clearing_offers()), &asked.clearing_lines()));
    answer(&asked, cleared)
}

/// `GET /session/login`: reached through sign-in; gives cookies and goes on.
pub(super) async fn login(asked: Asked, wishes: Wished) -> Response {
    let signed_in = log_in(&asked, wishes).await;
    answer(&asked, signed_in)
}

/// `POST /session/logout`: clear what we set, end the load balancer's session, and go on to where the
/// front and the provider behind it end theirs.
pub(super) async fn logout(asked: Asked, wishes: Wished) -> Response {
    let signed_out = log_out(&asked, wishes).await;
    answer(&asked, signed_out)
}

async fn describe(asked: &Asked) -> Result<Response, ServeError> {
    let identity = asked.identity().await?.ok_or_else(|| asked.nobody_is_signed_in())?;
    let granted = asked.decide(&identity);
    let opened = granted.as_ref().map(Grant::opened).unwrap_or_default();
    let withheld: Vec<String> = match &granted {
        Ok(grant) => grant.withheld().iter().map(ToString::to_string).collect(),
        Err(refusal) => vec![refusal.to_string()],
    };
    let datasets = datasets(asked, opened);
    if prefers_html(&asked.headers) {
        let held = |part| asked.held(&identity, part);
        let opened: Vec<_> = opened.iter().map(|part| (part, held(part))).collect();
        let login = (identity.front == Front::Login).then(|| asked.shown_login()).flatten();
        let shown = pages::Shown {
            identity: &identity,
            login,
            opened: &opened,
            datasets: &datasets,
            withheld: &withheld,
        };
        return Ok(pages::session(&shown));
    }
    let mut rules: Vec<&String> = opened.iter().flat_map(|part| &part.rules).collect();
    rules.sort();
    rules.dedup();
    let session = json!({
        "subject": identity.subject.as_str(),
        "issuer": identity.issuer,
        "email": identity.email.as_ref().map(Email::address),
        "email_verified": identity.email.as_ref().is_some_and(|email| email.verified),
        "groups": identity.groups,
        "front": identity.front.to_string(),
        "rules": rules,
        "resources": resources(opened),
        "datasets": datasets.iter().map(|(dataset, url)| json!({
            "title": dataset.title,
            "source": dataset.source,
            "url": url,
        })).collect::<Vec<_>>(),
        "withheld": withheld,
        "until": identity.expires.to_string(),
    });
    Ok(axum::Json(session).into_response())
}

/// What a viewer can show this person, with the URLs at which ours does.
fn datasets<'a>(asked: &'a Asked, opened: &[Opened]) -> Vec<(&'a Dataset, Option<String>)> {
    let config = &asked.snapshot.config;
    let viewer = config.viewer.as_ref();
    let viewer = viewer.and_then(|viewer| viewer.opens_at(asked.public_url(), &config.site));
    let open_to_them = |rule: &&Rule| opened.iter().any(|part| part.rules.contains(&rule.name));
    let datasets =
        config.rules.iter().filter(open_to_them).filter_map(|rule| rule.dataset.as_ref());
    datasets
        .filter(|dataset| opened.iter().any(|part| dataset.is_under(part)))
        .map(|dataset| {
            let url = |viewer| format!("{viewer}{}", dataset.fragment());
            (dataset, viewer.as_ref().map(url))
        })
        .collect()
}

async fn issue_for(asked: &Asked, wishes: Wished) -> Result<Response, ServeError> {
    let public_url = asked.public_url();
    from_here_or_a_friend(asked)?;
    let Query(wishes) = wishes.map_err(|_| ServeError::Query)?;
    let return_to = wishes.return_to.map(|text| return_to::parse(&text, public_url)).transpose()?;
    let wanted = wishes.wanted.map(|text| parse_wanted(&text)).transpose()?;
    // A page or an image that asks by GET must not spend a refresh token.
    let Renewed { identity, lines } = match asked.method {
        Method::POST => asked.renewed_identity().await?,
        _ => Renewed { identity: asked.identity().await?, lines: asked.dead_session() },
    };
    // They hold the only refresh token that still works, so they go out with whatever is answered.
    match issue_to(asked, identity, wanted.as_ref(), return_to).await {
        Ok(response) => Ok(with_lines(response, &lines)),
        Err(error) => Err(error.with_lines(lines)),
    }
}

async fn issue_to(
    asked: &Asked,
    identity: Option<Identity>,
    wanted: Option<&url::Url>,
    return_to: Option<String>,
) -> Result<Response, ServeError> {
    let identity = identity.ok_or_else(|| asked.nobody_is_signed_in())?;
    if script::is_script(&asked.headers, &identity) {
        let format = script::Format::asked_for(&asked.headers)?;
        let issued = asked.issue_in_body(&identity, wanted).await?;
        return Ok(format.answer(&issued, summary(&issued, asked.now())));
    }
    let issued = match asked.issue(&identity, wanted).await {
        // Whoever is refused holds nothing at other hosts either.
        Err(error) if asked.method == Method::POST && error.is_refusal() => {
            return Err(asked.clearing_offers().refuse(error));
        }
        issued => issued?,
    };
    if asked.method == Method::POST {
        let offers = asked.offers(&identity, &issued, wanted);
        let mut said = summary(&issued, asked.now());
        if !offers.is_empty() {
            said["handoffs"] = offers.to_json();
        }
        let response = with_lines(axum::Json(said).into_response(), &offers.lines);
        return Ok(with_lines(response, &issued.lines));
    }
    let response = match return_to {
        Some(path) if is_navigation(&asked.headers) => see_other(&path),
        _ => axum::Json(summary(&issued, asked.now())).into_response(),
    };
    Ok(with_lines(response, &issued.lines))
}

async fn log_in(asked: &Asked, wishes: Wished) -> Result<Response, ServeError> {
    let public_url = asked.public_url();
    check_site(&asked.method, &asked.headers, public_url, &[])?;
    let Query(wishes) = wishes.map_err(|_| ServeError::Query)?;
    let path = return_to::parse(wishes.return_to.as_deref().unwrap_or("/"), public_url)?;
    let presented = asked.presented_identity().await?;
    if let (None, Some(front)) = (&presented, asked.login_front()) {
        return sign_in::begin(asked, front, wishes.provider.as_deref(), path).await;
    }
    let identity = agree(presented, asked.login_identity()?)?;
    let identity = identity.ok_or(ServeError::LoginNotAuthenticated)?;
    let lines = asked.lines_on_sign_in(&identity).await?;
    Ok(with_lines(see_other(&path), &lines))
}

async fn log_out(asked: &Asked, wishes: Wished) -> Result<Response, ServeError> {
    let public_url = asked.public_url();
    check_site(&asked.method, &asked.headers, public_url, &[])?;
    let Query(wishes) = wishes.map_err(|_| ServeError::Query)?;
    let path = return_to::parse(wishes.return_to.as_deref().unwrap_or("/"), public_url)?;
    let fronts = &asked.snapshot.config.fronts;
    let mut lines = asked.clearing_lines();
    if let Some(alb) = &fronts.alb {
        let held = cookies(&asked.headers).map(|(name, _)| name);
        lines.extend(expire_load_balancer_session(&alb.session_cookie, held));
    }
    // Whoever's credential cannot be believed may sign out all the same.
    let vouching = asked.identity().await.ok().flatten().map(|identity| identity.front);
    let own = sign_in::sign_out(asked).await;
    let onward = fronts.logout_url(vouching, public_url.host()).map(LogoutUrl::as_str);
    let onward = own.as_ref().map(url::Url::as_str).or(onward);
    lines.extend(asked.sign_out_lines());
    let elsewhere = asked.clearing_offers();
    let response = match (is_navigation(&asked.headers), onward) {
        (false, _) => done(&elsewhere),
        (true, None) if elsewhere.is_empty() => see_other(&path),
        (true, onward) => pages::signed_out(onward.unwrap_or(&path), &elsewhere.images()),
    };
    Ok(with_lines(response, &lines))
}

/// Cookies are also for scripts of the origins in `[cors]`; sign-in and sign-out are not.
fn from_here_or_a_friend(asked: &Asked) -> Result<(), ServeError> {
    let origins = &asked.snapshot.config.cors.origins;
    check_site(&asked.method, &asked.headers, asked.public_url(), origins)
}

/// Turns a handler's outcome into an answer, and records what no other line records.
pub(super) fn answer(asked: &Asked, outcome: Result<Response, ServeError>) -> Response {
    match outcome {
        Ok(mut response) => {
            let value = HeaderValue::from_static("no-store, private");
            response.headers_mut().insert(header::CACHE_CONTROL, value);
            response
        }
        Err(error) => {
            if !error.is_of_issuing() {
                asked.refuse(None, &error);
            }
            error.into_answer(asked.reader(), &asked.id)
        }
    }
}

/// What a script is told that had something removed: what is left for it to hand over, if anything.
fn done(elsewhere: &Offers) -> Response {
    if elsewhere.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    axum::Json(json!({ "handoffs": elsewhere.to_json() })).into_response()
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
pub(super) fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

pub(super) fn summary(issued: &Issued, now: EpochSeconds) -> Value {
    let expires_in = issued.expires.since(now);
    json!({
        "expires_at": issued.expires.to_string(),
        "expires_in": expires_in,
        "refresh_in": refresh_in(expires_in),
        "resources": resources(&issued.opened),
        "on_demand": resources(&issued.on_demand),
        "withheld": issued.withheld,
    })
}

pub(super) fn with_lines(mut response: Response, lines: &[String]) -> Response {
    append(response.headers_mut(), lines);
    response
}
