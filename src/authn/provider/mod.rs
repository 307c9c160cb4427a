//! Our own sign-in, as far as it talks to providers: `OpenID` Connect's authorization code flow with
//! PKCE, state and nonce; refresh; userinfo; RP-initiated logout, and revocation of the refresh token.
//!
//! Nothing of a sign-in is remembered here: what it needs later goes to the browser, sealed
//! ([`crate::cookies::Attempt`]). What is remembered, within bounds, is what would be asked again: discovery
//! documents, keys, and for half a minute the outcome of a refresh.
//!
//! Sources: `OpenID` Connect Core 1.0, Discovery 1.0 and RP-Initiated Logout 1.0; RFC 7636 (PKCE), RFC 7009
//! (revocation), RFC 9207 (`iss` in the answer), RFC 9700 (best current practice).

mod document;
mod error;
mod flights;
mod revocation;
mod session;
mod tokens;

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use axum::http::{Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::AccessToken;
use openidconnect::{LogoutRequest, PostLogoutRedirectUrl};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use self::document::{Document, DocumentError};
pub use self::error::ProviderError;
use self::error::{DOCUMENT, KEYS, USERINFO};
use self::flights::{Flights, Mark};
pub use self::session::{Standing, standing};
use self::tokens::{TokenClient, Tokens};
use super::{Absence, CacheLimits, Fetcher, KeyCache, KeyUnavailable, Stale, VerificationKeys};
use crate::clock::Clock;
use crate::config::Provider;
use crate::cookies::sealed::Nonce;
use crate::cookies::{Attempt, LoginSession};
use crate::identity::dialect::ID_TOKEN;
use crate::identity::signed::{self, Expected, MadeFor};
use crate::identity::{Email, Identity, Subject, userinfo};
use crate::secret::Secret;

/// How long a discovery document is believed without looking again, in seconds.
const DOCUMENT_FRESH: u64 = 60 * 60;

/// The longest ID token that is sent along to sign out: it stands in a URL, and servers bound those.
const LONGEST_HINT: usize = 4096;

/// The most sign-ins and renewals that wait for providers at once: one that hangs must not take all places
/// for requests.
const MAX_EXCHANGES: usize = 64;

/// Providers, and what is remembered of them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Providers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    fetcher: Arc<dyn Fetcher>,
    documents: KeyCache<Document>,
    keys: VerificationKeys,
    refreshes: Flights<Result<Refreshed, ProviderError>>,
    exchanges: Arc<Semaphore>,
}

/// A sign-in that has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub url: Url,
    /// What the browser keeps.
    pub attempt: Attempt,
}

/// Who we are at a provider.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// The provider.
    pub provider: &'a Provider,
    /// The client's secret, if it has one.
    pub secret: Option<&'a Secret>,
    /// Where the provider sends the browser back to.
    pub redirect_uri: &'a str,
}

/// A session whose refresh token was used, and the nonce to seal it with: all askers get the same bytes,
/// so that cookies of answers that cross fit together.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The session.
    pub session: LoginSession,
    /// The nonce.
    pub nonce: Nonce,
    /// Why the provider has not vouched for the person although it gave tokens: the session is as old as
    /// before, but for its refresh token.
    pub problem: Option<ProviderError>,
}

impl Providers {
    /// Returns providers of which nothing is known yet.
    #[must_use]
    pub fn new(clock: &Arc<dyn Clock>, fetcher: &Arc<dyn Fetcher>, limits: CacheLimits) -> Self {
        Self(Arc::new(Shared {
            documents: KeyCache::new(clock.clone(), fetcher.clone(), limits, Absence::Outage),
            keys: VerificationKeys::new(clock, fetcher, limits),
            refreshes: Flights::default(),
            exchanges: Arc::new(Semaphore::new(MAX_EXCHANGES)),
            clock: clock.clone(),
            fetcher: fetcher.clone(),
        }))
    }

    /// Takes one of the places for exchanges with providers, if one is left.
    #[must_use]
    pub fn admit(&self) -> Option<OwnedSemaphorePermit> {
        self.0.exchanges.clone().try_acquire_owned().ok()
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// [`ProviderError`] when the provider's discovery document cannot be had.
    pub async fn begin(&self, party: Party<'_>, return_to: String) -> Result<Begun, ProviderError> {
        let provider = party.provider;
        let document = self.document(provider).await?;
        let attempt = Attempt {
            state: random_text()?,
            provider: provider.name.clone(),
            issuer: provider.issuer.clone(),
            nonce: random_text()?,
            verifier: random_text()?,
            return_to,
            made: self.0.clock.now(),
        };
        let client = TokenClient::new(provider, &document, None, party.redirect_uri)?;
        Ok(Begun { url: client.authorization_url(provider, &attempt), attempt })
    }

    /// Whether the issuer that an answer names, or does not name, is the provider that was asked: else
    /// one provider's code could be traded at another (RFC 9207 section 2.4).
    ///
    /// # Errors
    /// [`ProviderError`] when the provider's discovery document cannot be had.
    pub async fn answers_for(
        &self,
        provider: &Provider,
        issuer: Option<&str>,
    ) -> Result<bool, ProviderError> {
        match issuer {
            Some(issuer) => Ok(issuer == provider.issuer),
            None => Ok(!self.document(provider).await?.names_issuer),
        }
    }

    /// Ends a sign-in: trades the code, and verifies who it is.
    ///
    /// # Errors
    /// [`ProviderError`] when the provider does not vouch for anybody.
    pub async fn finish(
        &self,
        party: Party<'_>,
        code: &str,
        attempt: &Attempt,
    ) -> Result<LoginSession, ProviderError> {
        let document = self.document(party.provider).await?;
        let client = TokenClient::new(party.provider, &document, party.secret, party.redirect_uri)?;
        let tokens = client.trade_code(self.fetcher(), code, &attempt.verifier).await?;
        let id_token = tokens.id.as_ref().ok_or(ProviderError::NoIdToken)?;
        let nonce = Some(attempt.nonce.expose().to_owned());
        let identity = self.verify(party.provider, &document, id_token, nonce).await?;
        let person = self.person(party.provider, &document, identity, &tokens).await?;
        let now = self.0.clock.now();
        Ok(LoginSession {
            provider: party.provider.name.clone(),
            issuer: party.provider.issuer.clone(),
            client: party.provider.client.clone(),
            subject: person.subject.as_str().to_owned(),
            email: person.email.as_ref().map(|email| email.address().to_owned()),
            email_verified: person.email.is_some_and(|email| email.verified),
            groups: person.groups,
            signed_in: now,
            checked: now,
            id_token: id_token.clone(),
            refresh_token: tokens.refresh,
        })
    }

    /// Asks the provider whether the person may still come in, once however many ask; `host` is the one
    /// whose cookies hold the session.
    ///
    /// # Errors
    /// [`ProviderError::Ended`] when it says no; anything else when it says nothing.
    pub async fn renew(
        &self,
        party: Party<'_>,
        session: LoginSession,
        host: &str,
    ) -> Result<Refreshed, ProviderError> {
        let (providers, now) = (self.clone(), self.0.clock.now());
        let mark = mark(&session, host);
        let (provider, secret) = (party.provider.clone(), party.secret.cloned());
        let redirect_uri = party.redirect_uri.to_owned();
        let refresh = move || async move {
            let _place = providers.admit().ok_or_else(ProviderError::crowded)?;
            let secret = secret.as_ref();
            let party = Party { provider: &provider, secret, redirect_uri: &redirect_uri };
            providers.refresh(party, session).await
        };
        self.0.refreshes.join(mark, now, refresh).await.unwrap_or(Err(ProviderError::Cut))
    }

    async fn refresh(
        &self,
        party: Party<'_>,
        session: LoginSession,
    ) -> Result<Refreshed, ProviderError> {
        let document = self.document(party.provider).await?;
        let client = TokenClient::new(party.provider, &document, party.secret, party.redirect_uri)?;
        let held = session.refresh_token.as_ref().ok_or(ProviderError::Ended)?;
        let mut tokens = client.refresh(self.fetcher(), held).await?;
        let mut session = session;
        if let Some(refresh_token) = tokens.refresh.take() {
            session.refresh_token = Some(refresh_token);
        }
        let problem = match self.check_again(party.provider, &document, &tokens, &mut session).await
        {
            Ok(()) => None,
            Err(ProviderError::Swapped) => return Err(ProviderError::Swapped),
            // The token of before is spent: without the new one, the person would be signed out.
            Err(problem) => Some(problem),
        };
        let mut nonce = Nonce::default();
        SystemRandom::new().fill(&mut nonce).map_err(|_| ProviderError::Cut)?;
        Ok(Refreshed { session, nonce, problem })
    }

    /// Writes into a session what new tokens say of its person.
    async fn check_again(
        &self,
        provider: &Provider,
        document: &Document,
        tokens: &Tokens,
        session: &mut LoginSession,
    ) -> Result<(), ProviderError> {
        // A provider need not give a new ID token; then the groups of the last one stay.
        if let Some(id_token) = &tokens.id {
            let identity = self.verify(provider, document, id_token, None).await?;
            if identity.subject.as_str() != session.subject {
                return Err(ProviderError::Swapped);
            }
            self.person(provider, document, identity, tokens).await?.write_into(session);
            session.id_token = id_token.clone();
        } else if provider.userinfo {
            let identity = self.known(session)?;
            self.person(provider, document, identity, tokens).await?.write_into(session);
        }
        session.checked = self.0.clock.now();
        Ok(())
    }

    /// Where the browser goes to sign out at the provider; none where that is not offered.
    ///
    /// # Errors
    /// [`ProviderError`] when the provider's discovery document cannot be had.
    pub async fn end_session_url(
        &self,
        provider: &Provider,
        session: &LoginSession,
        back: &str,
    ) -> Result<Option<Url>, ProviderError> {
        let document = self.document(provider).await?;
        let Some(endpoint) = document.end_session.clone() else { return Ok(None) };
        let mut request = LogoutRequest::from(endpoint)
            .set_client_id(openidconnect::ClientId::new(provider.client.clone()));
        if let Ok(back) = PostLogoutRedirectUrl::new(back.to_owned()) {
            request = request.set_post_logout_redirect_uri(back);
        }
        let mut url = request.http_get_url();
        let hint = session.id_token.expose();
        if hint.len() <= LONGEST_HINT {
            url.query_pairs_mut().append_pair("id_token_hint", hint);
        }
        Ok(Some(url))
    }

    async fn document(&self, provider: &Provider) -> Result<Arc<Document>, ProviderError> {
        let url = provider.document_url();
        let parse = |bytes: &[u8]| Document::parse(bytes, provider);
        let document = self.0.documents.get(&url, DOCUMENT_FRESH, Stale::Welcome, parse).await;
        let document = document.map_err(|error| ProviderError::fetching(DOCUMENT, error))?;
        // Two issuers, with and without a final slash, have their documents at one URL.
        if document.issuer != provider.issuer {
            return Err(ProviderError::document(&DocumentError::Issuer));
        }
        Ok(document)
    }

    async fn verify(
        &self,
        provider: &Provider,
        document: &Document,
        token: &Secret,
        nonce: Option<String>,
    ) -> Result<Identity, ProviderError> {
        let expected = Expected {
            dialect: &ID_TOKEN,
            issuer: Some(provider.issuer.clone()),
            made_for: MadeFor::Us { client: provider.client.clone(), nonce },
            token_use: None,
            groups: provider.groups_claim.clone().filter(|_| !provider.userinfo),
            // The session holds what the provider says; who else vouches is judged when it is read.
            verified_email_domains: Vec::new(),
        };
        let now = self.0.clock.now();
        let kid = signed::key_id(token.expose(), &expected, now).map_err(ProviderError::IdToken)?;
        let key = self.0.keys.in_set(document.keys.as_str(), &kid).await;
        let key = key.map_err(|error| match error {
            KeyUnavailable::Unknown => {
                ProviderError::IdToken(crate::identity::TokenError::Signature)
            }
            error => ProviderError::fetching(KEYS, error),
        })?;
        signed::verify(token.expose(), &key, &expected, now).map_err(ProviderError::IdToken)
    }

    /// The person of an ID token, and what the userinfo endpoint adds if it is to be asked.
    async fn person(
        &self,
        provider: &Provider,
        document: &Document,
        identity: Identity,
        tokens: &Tokens,
    ) -> Result<Person, ProviderError> {
        let Identity { subject, email, groups, .. } = identity;
        let mut person = Person { subject, email, groups: groups.into_iter().collect() };
        if provider.userinfo {
            let missing = DocumentError::Missing("userinfo_endpoint");
            let url =
                document.userinfo.as_ref().ok_or_else(|| ProviderError::document(&missing))?;
            let body = self.ask_userinfo(url, &tokens.access).await?;
            let groups = provider.groups_claim.as_ref();
            let info = userinfo::read(&body, &person.subject, groups);
            let info = info.map_err(ProviderError::UserInfo)?;
            person.groups = info.groups;
            person.email = person.email.or(info.email);
        }
        Ok(person)
    }

    async fn ask_userinfo(&self, url: &Url, token: &AccessToken) -> Result<Vec<u8>, ProviderError> {
        let request = Request::get(url.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", token.secret()))
            .body(Vec::new())
            .map_err(|_| ProviderError::Answer)?;
        let answer = self.fetcher().send(request).await;
        let answer = answer.map_err(|error| ProviderError::sending(USERINFO, &error))?;
        match answer.status().as_u16() {
            200 => {}
            status @ 500.. => {
                let reason = format!("the server answered {status}");
                return Err(ProviderError::Unavailable { what: USERINFO, reason });
            }
            status => return Err(ProviderError::UserInfoStatus(status)),
        }
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
            return Err(ProviderError::UserInfoType);
        }
        Ok(answer.into_body())
    }

    /// The person of a session, before the userinfo endpoint is asked anew.
    fn known(&self, session: &LoginSession) -> Result<Identity, ProviderError> {
        Ok(Identity {
            front: crate::identity::Front::Login,
            issuer: session.issuer.clone(),
            subject: Subject::parse(&session.subject).map_err(ProviderError::IdToken)?,
            // The userinfo endpoint says what it is by now, or that there is none.
            email: None,
            groups: session.groups.iter().cloned().collect(),
            expires: self.0.clock.now(),
        })
    }

    fn fetcher(&self) -> &dyn Fetcher {
        self.0.fetcher.as_ref()
    }
}

/// Who somebody is, as the provider says.
struct Person {
    subject: Subject,
    email: Option<Email>,
    groups: Vec<String>,
}

impl Person {
    fn write_into(self, session: &mut LoginSession) {
        session.email = self.email.as_ref().map(|email| email.address().to_owned());
        session.email_verified = self.email.is_some_and(|email| email.verified);
        session.groups = self.groups;
    }
}

/// Nobody who sees the memory of flights learns a token from it.
fn mark(session: &LoginSession, host: &str) -> Mark {
    let mut digest = Context::new(&SHA256);
    for part in [
        session.refresh_token.as_ref().map_or("", Secret::expose),
        &session.provider,
        &session.issuer,
        &session.client,
        &session.subject,
        host,
    ] {
        digest.update(&part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    let mut mark = Mark::default();
    mark.copy_from_slice(digest.finish().as_ref());
    mark
}

/// 256 random bits: a state, a nonce or a PKCE verifier that nobody guesses.
fn random_text() -> Result<Secret, ProviderError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| ProviderError::Cut)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::{HttpFetcher, Reach};
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn places_for_exchanges_are_bounded_and_given_back() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let fetcher: Arc<dyn Fetcher> = Arc::new(HttpFetcher::new(Reach::Network).unwrap());
        let providers = Providers::new(&clock, &fetcher, CacheLimits { fetches_per_minute: 1 });
        let mut places: Vec<_> = (0..MAX_EXCHANGES).map(|_| providers.admit().unwrap()).collect();
        assert!(providers.admit().is_none());
        places.pop();
        assert!(providers.admit().is_some());
    }
}
