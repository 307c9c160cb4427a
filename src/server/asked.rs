//! One request, and what every handler does with it: who asks, what is open, issue, record.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use super::error::ServeError;
use super::login_session::Renewed;
use super::pages::Holding;
use super::record;
use super::request::{Here, Peer, Reader, RequestId, check_site, ledger};
use super::snapshot::{NotSigning, Snapshot};
use super::state::AppState;
use crate::access::{Grant, Opened, Refusal, decide};
use crate::authn::{AuthnError, Presented, agree, browser_address};
use crate::clock::EpochSeconds;
use crate::cookies::{Ledger, SetDigest};
use crate::identity::Identity;
use crate::issuer::{self, IssueError, Issued};
use crate::policy::BaseUrl;
use crate::signing::SigningKey;
use crate::telemetry::Outcome;

/// One request, and the snapshot that answers it.
pub(super) struct Asked {
    pub(super) state: AppState,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) id: RequestId,
    url: BaseUrl,
    trusted_hops: u8,
    peer: Peer,
    sets_per_answer: usize,
    /// Read once, so that what was decided and what is signed agree to the second.
    now: EpochSeconds,
}

/// By which way cookies reach whoever asks.
#[derive(Clone, Copy, Debug, Default)]
struct IssuedBy<'a> {
    /// A program takes them from the answer's body.
    in_body: bool,
    /// The site's URL from which the person was handed over; empty if they ask themselves.
    handed_from: &'a str,
}

impl FromRequestParts<AppState> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let snapshot = state.snapshot();
        let here = parts.extensions.get().cloned();
        let here = here.unwrap_or_else(|| Here::at_the_site(&snapshot.config.site));
        let id = parts.extensions.get().cloned().unwrap_or_else(RequestId::random);
        let peer = parts.extensions.get().copied().unwrap_or_default();
        let head = (parts.method.clone(), parts.headers.clone());
        Ok(Self::new(state, snapshot, here, peer, id, head))
    }
}

impl Asked {
    /// Puts together what is known of a request.
    pub(super) fn new(
        state: &AppState,
        snapshot: Arc<Snapshot>,
        here: Here,
        peer: Peer,
        id: RequestId,
        (method, headers): (Method, HeaderMap),
    ) -> Self {
        Self {
            state: state.clone(),
            sets_per_answer: snapshot.config.limits.sets_per_answer,
            url: here.url,
            trusted_hops: here.trusted_hops,
            snapshot,
            method,
            headers,
            id,
            peer,
            now: state.clock().now(),
        }
    }

    /// For whom an answer is to be written.
    pub(super) fn reader(&self) -> Reader {
        Reader::of(&self.headers)
    }

    /// Lets the answer carry no more than so many sets.
    pub(super) fn carry_at_most(&mut self, sets: usize) {
        self.sets_per_answer = self.sets_per_answer.min(sets);
    }

    pub(super) const fn now(&self) -> EpochSeconds {
        self.now
    }

    /// The site's URL that the request came by; for a handoff, the data host's.
    pub(super) const fn public_url(&self) -> &BaseUrl {
        &self.url
    }

    /// Who is asking, by all that is presented.
    pub(super) async fn identity(&self) -> Result<Option<Identity>, ServeError> {
        let presented = self.presented_identity().await?;
        Ok(agree(presented, self.login_identity()?)?)
    }

    /// As [`Self::identity`], after the provider of our own sign-in has been asked if that was due.
    pub(super) async fn renewed_identity(&self) -> Result<Renewed, ServeError> {
        let presented = self.presented_identity().await?;
        let Renewed { identity, lines } = self.renewed_login().await?;
        match agree(presented, identity) {
            Ok(identity) => Ok(Renewed { identity, lines }),
            Err(error) => Err(ServeError::from(error).with_lines(lines)),
        }
    }

    /// Who is asking, by what the fronts vouch for.
    pub(super) async fn presented_identity(&self) -> Result<Option<Identity>, ServeError> {
        let fronts = &self.snapshot.config.fronts;
        let presented =
            Presented { headers: &self.headers, host: self.url.host(), peer: self.peer.0 };
        Ok(self.state.authenticator().authenticate(&presented, fronts).await?)
    }

    fn address(&self) -> Option<IpAddr> {
        browser_address(&self.headers, self.peer.0, self.trusted_hops)
    }

    pub(super) fn decide(&self, identity: &Identity) -> Result<Grant, Refusal> {
        decide(identity, &self.snapshot.config.rules, self.address(), self.now())
    }

    /// Decides, signs and records, for a browser.
    pub(super) async fn issue(
        &self,
        identity: &Identity,
        wanted: Option<&url::Url>,
    ) -> Result<Issued, ServeError> {
        self.issue_to(identity, wanted, IssuedBy::default()).await
    }

    /// Decides, signs and records, for a person who was handed over from another host.
    pub(super) async fn issue_handed(
        &self,
        identity: &Identity,
        wanted: Option<&url::Url>,
        from: &str,
    ) -> Result<Issued, ServeError> {
        self.issue_to(identity, wanted, IssuedBy { handed_from: from, ..IssuedBy::default() }).await
    }

    /// Decides, signs and records, for a program that takes the cookies from the answer's body.
    pub(super) async fn issue_in_body(
        &self,
        identity: &Identity,
        wanted: Option<&url::Url>,
    ) -> Result<Issued, ServeError> {
        self.issue_to(identity, wanted, IssuedBy { in_body: true, ..IssuedBy::default() }).await
    }

    async fn issue_to(
        &self,
        identity: &Identity,
        wanted: Option<&url::Url>,
        by: IssuedBy<'_>,
    ) -> Result<Issued, ServeError> {
        let ledger = ledger(&self.headers);
        let limits = &self.snapshot.config.limits;
        let counted = self.state.throttle().subject(identity, limits, self.now);
        let issued = match counted.map(|()| self.decide(identity)) {
            Err(too_many) => Err(too_many.into()),
            Ok(Err(refusal)) => Err(withdrawn(refusal.into(), self.leftovers(&ledger))),
            Ok(Ok(grant)) => self.issue_granted(identity, &grant, &ledger, wanted, by).await,
        };
        match &issued {
            Ok(_) => self.state.metrics().attempted(Outcome::Issued),
            Err(error) => self.refuse(Some(identity), error),
        }
        issued
    }

    async fn issue_granted(
        &self,
        identity: &Identity,
        grant: &Grant,
        ledger: &Ledger,
        wanted: Option<&url::Url>,
        by: IssuedBy<'_>,
    ) -> Result<Issued, ServeError> {
        let key = self.key()?;
        let request = self.request(key, identity, grant, ledger, wanted);
        let request = issuer::Request { in_body: by.in_body, ..request };
        let issued = self.state.issuer().issue(&request).await.map_err(|error| match error {
            IssueError::NotCovered(_) => withdrawn(error.into(), issuer::leftovers(&request)),
            error => error.into(),
        })?;
        // Who has cookies elsewhere only gets them, and the line, there.
        if !issued.sets.is_empty() {
            let way = record::Way {
                host: self.url.host(),
                handed_from: by.handed_from,
                address: self.address(),
            };
            record::issued(&self.id, identity, &issued, &key.id, &way);
        }
        Ok(issued)
    }

    /// The key that signs at this moment. Also what was signed before and is shared goes out by it.
    fn key(&self) -> Result<&SigningKey, NotSigning> {
        self.snapshot.signer(self.now).map(|ring| &ring.active)
    }

    /// Lines for a page, if its reader is signed in and the ledger says that cookies are due.
    pub(super) async fn lines_for_page(&self) -> Result<Option<Vec<String>>, ServeError> {
        let Some(identity) = self.identity().await? else { return Ok(None) };
        Ok(Some(self.lines_due(&identity).await))
    }

    /// Lines for a page that this person reads; none if the browser holds what it should.
    pub(super) async fn lines_due(&self, identity: &Identity) -> Vec<String> {
        let ledger = ledger(&self.headers);
        let Ok(grant) = self.decide(identity) else { return self.leftovers(&ledger) };
        // Without a key nothing is due, and the page says nothing: its script asks for cookies, and hears.
        let Ok(key) = self.key() else { return Vec::new() };
        if !issuer::is_due(&self.request(key, identity, &grant, &ledger, None)) {
            return Vec::new();
        }
        // A page without cookies is better than none: its script asks for them again.
        self.issue(identity, None).await.map(|issued| issued.lines).unwrap_or_default()
    }

    /// The most lines that [`Self::lines_due`] may return, known before anything is signed.
    pub(super) fn most_lines_due(&self, identity: &Identity) -> usize {
        let ledger = ledger(&self.headers);
        let Ok(grant) = self.decide(identity) else { return self.leftovers(&ledger).len() };
        let Ok(key) = self.key() else { return 0 };
        let request = self.request(key, identity, &grant, &ledger, None);
        if issuer::is_due(&request) { issuer::most_lines(&request) } else { 0 }
    }

    fn request<'r>(
        &'r self,
        key: &'r SigningKey,
        identity: &'r Identity,
        grant: &'r Grant,
        ledger: &'r Ledger,
        wanted: Option<&'r url::Url>,
    ) -> issuer::Request<'r> {
        let config = &self.snapshot.config;
        issuer::Request {
            grant,
            identity,
            host: self.url.host(),
            in_body: false,
            distributions: &config.distributions,
            key,
            hash: config.keys.hash,
            ledger,
            wanted,
            sets_per_answer: self.sets_per_answer,
            now: self.now(),
        }
    }

    /// Lines that somebody gets who has just signed in. The viewer itself is open to everyone and explains
    /// better what is not open to this person, so that is no error here.
    pub(super) async fn lines_on_sign_in(
        &self,
        identity: &Identity,
    ) -> Result<Vec<String>, ServeError> {
        match self.issue(identity, None).await {
            Ok(issued) => Ok(issued.lines),
            Err(error) if error.is_refusal() => Ok(self.clearing_lines()),
            Err(error) => Err(error),
        }
    }

    /// Lines that remove every set the browser lists, on purpose.
    pub(super) fn clearing_lines(&self) -> Vec<String> {
        let lines = self.leftovers(&ledger(&self.headers));
        record::cleared(&self.id, lines.len());
        lines
    }

    /// Lines that remove every set the browser lists.
    fn leftovers(&self, ledger: &Ledger) -> Vec<String> {
        ledger.renew(self.public_url().host(), &[], &[], self.now()).lines
    }

    /// What is known of this browser's cookies for what is open.
    pub(super) fn held(&self, identity: &Identity, opened: &Opened) -> Holding {
        let config = &self.snapshot.config;
        let mut distributions = config.distributions.iter();
        let distribution = distributions.find(|distribution| distribution.base == opened.base);
        let Some(distribution) = distribution else { return Holding::Nothing };
        if distribution.handoff.is_some() {
            return Holding::SeenElsewhere;
        }
        let digest = SetDigest::of(identity, opened, config.keys.hash);
        let until = ledger(&self.headers).until(&distribution.scope(&opened.prefix), digest);
        until.filter(|until| *until > self.now()).map_or(Holding::Nothing, Holding::Until)
    }

    /// Whether no other site made the browser ask for this page: its answer may carry cookies.
    pub(super) fn may_carry_lines(&self) -> bool {
        check_site(&self.method, &self.headers, self.public_url(), &[]).is_ok()
    }

    pub(super) fn refuse(&self, identity: Option<&Identity>, error: &ServeError) {
        if let ServeError::TooMany(too_many) = error {
            self.state.metrics().limited(too_many.by);
            if too_many.tell {
                record::limited(&self.id, identity, too_many, self.address());
            }
            return;
        }
        record::refused(&self.id, identity, error, self.address());
        self.state.metrics().attempted(outcome_of(error));
    }
}

fn outcome_of(error: &ServeError) -> Outcome {
    match error {
        ServeError::Withdrawn { reason, .. } => outcome_of(reason),
        error if error.is_nobody() => Outcome::NotSignedIn,
        ServeError::LoginNotAuthenticated => Outcome::NotSignedIn,
        ServeError::Refusal(_) | ServeError::Issue(IssueError::NotCovered(_)) => Outcome::NoAccess,
        ServeError::Issue(IssueError::Overloaded) | ServeError::Busy => Outcome::Overloaded,
        ServeError::SignIn(error) if error.problem().status.is_server_error() => {
            Outcome::Unavailable
        }
        ServeError::Issue(_)
        | ServeError::NotSigning(_)
        | ServeError::Authn(AuthnError::Unavailable { .. }) => Outcome::Unavailable,
        _ => Outcome::Refused,
    }
}

fn withdrawn(reason: ServeError, lines: Vec<String>) -> ServeError {
    if lines.is_empty() {
        return reason;
    }
    ServeError::Withdrawn { reason: Box::new(reason), lines, handoffs: None }
}
