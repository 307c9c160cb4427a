//! Handoffs: cookies of data hosts that set their own.
//!
//! 1. `POST /session/cookies` at the viewer's host gives a page a token for each such host: with the
//!    person's identity where rules open something there, else one that has the host's sets removed.
//! 2. The page posts each token to `/session/handoff` at its host, where the rules are decided anew, for the
//!    address that the browser has there, and the cookies are set for that host alone.
//! 3. Signing out gives tokens that clear: to scripts in the answer, to people as images of the page that
//!    says so (`/session/handoff/clear`), which needs no script. Whichever host takes one, the browser's
//!    other tokens of before open nothing any more.
//!
//! Nothing else is answered at such a host, and nobody is signed in there.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::asked::Asked;
use super::error::ServeError;
use super::request::{cookies, random_bytes};
use super::session::{answer, summary, with_lines};
use super::{cors, record};
use crate::access::Refusal;
use crate::config::{Config, Distribution};
use crate::cookies::{Errand, Handoff, HandoffError, Mark, Sealing};
use crate::identity::Identity;
use crate::issuer::Issued;
use crate::policy::BaseUrl;

/// Where tokens are taken.
pub(super) const PATH: &str = "/session/handoff";

/// Where tokens that clear are taken from images.
pub(super) const CLEAR: &str = "/session/handoff/clear";

const SAME_SITE: HeaderValue = HeaderValue::from_static("same-site");

/// Why a handoff comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HandoffRefusal {
    /// The keys have not been read.
    #[error("the keys of handoff tokens have not been read")]
    NoKeys,
    /// The token.
    #[error(transparent)]
    Token(#[from] HandoffError),
    /// The token was given to pages of another origin.
    #[error("the handoff token was given to pages of another origin")]
    OtherPage,
    /// The token was given to another browser.
    #[error("the handoff token was given to another browser")]
    OtherBrowser,
    /// The token does something else than clear.
    #[error("the handoff token is not one that clears")]
    NotToClear,
}

/// What a page hands over, and the lines by which its browser shows that it may.
#[derive(Debug, Default)]
pub(super) struct Offers {
    offers: Vec<Offer>,
    pub(super) lines: Vec<String>,
}

#[derive(Debug)]
struct Offer {
    host: BaseUrl,
    token: String,
}

/// What a query of [`CLEAR`] holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToClear {
    token: String,
}

/// `POST /session/handoff`, at a data host.
pub(super) async fn take(asked: Asked, token: Bytes) -> Response {
    let outcome = take_over(&asked, &token).await;
    answer(&asked, outcome)
}

/// `GET /session/handoff/clear`, at a data host, from an image of the page that says "signed out".
pub(super) async fn clear(asked: Asked, query: Result<Query<ToClear>, QueryRejection>) -> Response {
    let cleared = clear_here(&asked, query).map(|lines| {
        // The page is of another origin of this site, and nobody else's.
        let allowed =
            [(header::HeaderName::from_static("cross-origin-resource-policy"), SAME_SITE)];
        with_lines((StatusCode::NO_CONTENT, allowed).into_response(), &lines)
    });
    answer(&asked, cleared)
}

async fn take_over(asked: &Asked, token: &[u8]) -> Result<Response, ServeError> {
    let config = &asked.snapshot.config;
    let page = asking_page(&asked.headers, config).ok_or(ServeError::CrossSite)?;
    let token = std::str::from_utf8(token).map_err(|_| HandoffError::Unreadable);
    let handoff = open(asked, token.map_err(HandoffRefusal::Token)?)?;
    if handoff.origin != page {
        return Err(HandoffRefusal::OtherPage.into());
    }
    let (identity, wanted, mark) = match handoff.errand {
        Errand::Issue { identity, wanted, mark } => (identity, wanted, mark),
        Errand::Clear => return Ok(with_lines(nothing(), &asked.clearing_lines())),
        Errand::SignOut => return Ok(with_lines(nothing(), &asked.clearing_lines_with_marks())),
    };
    if !mark.is_among(cookies(&asked.headers)) {
        return Err(HandoffRefusal::OtherBrowser.into());
    }
    let wanted = wanted.and_then(|text| url::Url::parse(&text).ok());
    let issued = asked.issue_handed(&identity, wanted.as_ref(), &handoff.from).await?;
    // The rules may have changed within the minute.
    if issued.sets.is_empty() {
        let refusal = ServeError::from(Refusal::NoRule).with_lines(issued.lines);
        asked.refuse(Some(&identity), &refusal);
        return Err(refusal);
    }
    Ok(with_lines(axum::Json(summary(&issued, asked.now())).into_response(), &issued.lines))
}

/// What a script is told where nothing is open.
fn nothing() -> Response {
    axum::Json(json!({ "resources": [], "on_demand": [], "withheld": [] })).into_response()
}

fn clear_here(
    asked: &Asked,
    query: Result<Query<ToClear>, QueryRejection>,
) -> Result<Vec<String>, ServeError> {
    if !is_of_this_site(&asked.headers) {
        return Err(ServeError::CrossSite);
    }
    let Query(ToClear { token }) = query.map_err(|_| ServeError::Query)?;
    match open(asked, &token)?.errand {
        Errand::SignOut => Ok(asked.clearing_lines_with_marks()),
        Errand::Clear | Errand::Issue { .. } => Err(HandoffRefusal::NotToClear.into()),
    }
}

fn open(asked: &Asked, token: &str) -> Result<Handoff, HandoffRefusal> {
    let keys = asked.snapshot.secrets.handoff_keys().ok_or(HandoffRefusal::NoKeys)?;
    let sealing = Sealing { keys, host: asked.public_url().authority() };
    Ok(Handoff::open(sealing, token, asked.now())?)
}

/// Whether a request for this path is a handoff.
pub(super) fn is_handoff(path: &str) -> bool {
    matches!(path, PATH | CLEAR)
}

/// Whether nobody but a page of the site itself can have made a browser ask.
pub(super) fn is_own(method: &Method, headers: &HeaderMap, config: &Config) -> bool {
    match *method {
        Method::POST => asking_page(headers, config).is_some(),
        _ => is_of_this_site(headers),
    }
}

/// The origins whose pages may hand over: the site's own, and those that may ask for cookies.
pub(super) fn origins(config: &Config) -> Vec<BaseUrl> {
    config.site.urls().chain(&config.cors.origins).cloned().collect()
}

/// The origin of the page that asks, if it may. Browsers say it with every `POST`.
fn asking_page<'h>(headers: &'h HeaderMap, config: &Config) -> Option<&'h str> {
    let origin = cors::allowed(headers, &origins(config))?.to_str().ok()?;
    is_of_this_site(headers).then_some(origin)
}

/// Browsers that know fetch metadata say that the page and the data host are one site.
fn is_of_this_site(headers: &HeaderMap) -> bool {
    headers.get_all("sec-fetch-site").iter().all(|site| *site == SAME_SITE)
}

impl Asked {
    /// What a page hands over for a person, some of whose cookies are set elsewhere.
    pub(super) fn offers(
        &self,
        identity: &Identity,
        issued: &Issued,
        wanted: Option<&url::Url>,
    ) -> Offers {
        let Some(mark) = random_bytes().map(Mark::new) else { return Offers::default() };
        let mut offers = Offers::default();
        for host in self.taking_hosts() {
            let mut open = issued.elsewhere.iter().filter(|part| part.base == host.base);
            let errand = match wanted {
                Some(url) if !open.any(|part| part.covers(url)) => continue,
                None if open.next().is_none() => Errand::Clear,
                _ => Errand::Issue {
                    identity: Box::new(identity.clone()),
                    wanted: wanted.map(ToString::to_string),
                    mark: mark.clone(),
                },
            };
            if matches!(errand, Errand::Issue { .. })
                && let Some(domain) = host.domain_shared_with(self.public_url().host())
            {
                let line = mark.line(&domain);
                if !offers.lines.contains(&line) {
                    offers.lines.push(line);
                }
            }
            offers.offers.extend(self.offer(host, errand));
        }
        offers
    }

    /// What has the sets at every data host removed that sets its own, and what other tokens need.
    pub(super) fn clearing_offers(&self) -> Offers {
        let offers = self.taking_hosts().filter_map(|host| self.offer(host, Errand::SignOut));
        Offers { offers: offers.collect(), lines: Vec::new() }
    }

    /// Lines that remove every set of this data host, and every mark: the viewer's host, to whose paths
    /// browsers send none, gave them.
    fn clearing_lines_with_marks(&self) -> Vec<String> {
        let mut lines = self.clearing_lines();
        let here = self.taking_hosts().filter(|host| host.base == *self.public_url());
        let sites: Vec<&BaseUrl> = self.snapshot.config.site.urls().collect();
        let domains: BTreeSet<String> = here
            .flat_map(|here| sites.iter().filter_map(|site| here.domain_shared_with(site.host())))
            .collect();
        for domain in domains {
            lines.extend(Mark::removal(cookies(&self.headers), &domain));
        }
        lines
    }

    fn taking_hosts(&self) -> impl Iterator<Item = &Distribution> {
        self.snapshot.config.distributions.iter().filter(|one| one.handoff.is_some())
    }

    fn offer(&self, host: &Distribution, errand: Errand) -> Option<Offer> {
        let from = self.public_url().to_string();
        let origin = self.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        let origin = origin.map_or_else(|| from.clone(), str::to_owned);
        let handoff = Handoff { from, origin, made: self.now(), errand };
        let sealed = self.snapshot.secrets.handoff_keys().and_then(|keys| {
            let sealing = Sealing { keys, host: host.base.authority() };
            handoff.seal(sealing, random_bytes()?)
        });
        let Some(token) = sealed else {
            record::unoffered(&self.id, &host.base, self.snapshot.secrets.handoff_keys().is_some());
            return None;
        };
        Some(Offer { host: host.base.clone(), token })
    }
}

impl Offers {
    pub(super) fn is_empty(&self) -> bool {
        self.offers.is_empty()
    }

    /// As an answer says it: where each token is to be posted.
    pub(super) fn to_json(&self) -> Value {
        let offer =
            |offer: &Offer| json!({ "url": format!("{}{PATH}", offer.host), "token": offer.token });
        self.offers.iter().map(offer).collect()
    }

    /// Addresses of images, each of which clears the sets of one host.
    pub(super) fn images(&self) -> Vec<String> {
        let image = |offer: &Offer| format!("{}{CLEAR}?token={}", offer.host, offer.token);
        self.offers.iter().map(image).collect()
    }

    /// A refusal, with what clears.
    pub(super) fn refuse(self, error: ServeError) -> ServeError {
        if self.is_empty() {
            return error;
        }
        let handoffs = Some(self.to_json());
        match error {
            ServeError::Withdrawn { reason, lines, .. } => {
                ServeError::Withdrawn { reason, lines, handoffs }
            }
            reason => {
                let (reason, lines) = (Box::new(reason), Vec::new());
                ServeError::Withdrawn { reason, lines, handoffs }
            }
        }
    }
}
