//! The login session of our own sign-in, in the course of a request.
//!
//! A session is sealed in the browser's cookies. Every request may believe it as long as its provider has
//! vouched for it recently enough; only `POST /session/cookies` asks the provider again, so that no page or
//! image spends a refresh token whose successor gets lost.

use super::asked::Asked;
use super::error::ServeError;
use super::pages::ShownLogin;
use super::request::{cookies, random_bytes};
use super::sign_in;
use super::sign_in_error::{SignInError, SignInReason};
use crate::authn::{Party, ProviderError, Refreshed, Standing, standing};
use crate::config::{LoginFront, Provider};
use crate::cookies::sealed::Nonce;
use crate::cookies::{Attempt, Held, LoginSession, Sealing};
use crate::identity::Identity;
use crate::telemetry::OPERATION;

/// Who is asking, and what the answer must carry whatever it says.
#[derive(Debug, Default)]
pub(super) struct Renewed {
    pub(super) identity: Option<Identity>,
    /// `Set-Cookie` lines of the login session: renewed, or removed.
    pub(super) lines: Vec<String>,
}

impl Asked {
    /// Our own sign-in, if any of its providers is offered at this host.
    pub(super) fn login_front(&self) -> Option<&LoginFront> {
        let front = self.snapshot.config.fronts.login.as_ref()?;
        front.offered_at(self.public_url().host()).next().is_some().then_some(front)
    }

    /// What cookies are sealed with here.
    pub(super) fn sealing(&self) -> Result<Sealing<'_>, SignInReason> {
        let keys = self.snapshot.secrets.cookie_keys().ok_or(SignInReason::NoCookieKeys)?;
        Ok(Sealing { keys, host: self.public_url().authority() })
    }

    /// Who we are at a provider; `redirect_uri` is its callback at this host.
    pub(super) fn party<'a>(
        &'a self,
        provider: &'a Provider,
        redirect_uri: &'a str,
    ) -> Result<Party<'a>, ProviderError> {
        let secret = self.snapshot.secrets.client(provider);
        if provider.secret.is_some() && secret.is_none() {
            return Err(ProviderError::NoSecret);
        }
        Ok(Party { provider, secret, redirect_uri })
    }

    /// Where a provider sends the browser back to: a place of its own, so that no other one's answer is
    /// taken for its answer (RFC 9700 section 4.4.2.2).
    pub(super) fn redirect_uri(&self, provider: &Provider) -> String {
        format!("{}{}{}", self.public_url(), sign_in::CALLBACK, provider.name)
    }

    /// Who the login session speaks of, as far as it may be believed unasked.
    pub(super) fn login_identity(&self) -> Result<Option<Identity>, ServeError> {
        let Some((front, Held::Session(session))) = self.held_session()? else { return Ok(None) };
        match standing(&session, front, self.public_url().host(), self.now()) {
            Standing::Good(identity) | Standing::Due(identity) => Ok(Some(identity)),
            Standing::Over | Standing::Unchecked => Ok(None),
        }
    }

    /// Why nobody is signed in: a session that nothing renewed is only to be checked again.
    pub(super) fn nobody_is_signed_in(&self) -> ServeError {
        let Ok(Some((front, Held::Session(session)))) = self.held_session() else {
            return ServeError::NotSignedIn;
        };
        match standing(&session, front, self.public_url().host(), self.now()) {
            Standing::Unchecked => SignInError::from(SignInReason::Unchecked).into(),
            _ => ServeError::NotSignedIn,
        }
    }

    /// What the page about a person says of their session here.
    pub(super) fn shown_login(&self) -> Option<ShownLogin<'_>> {
        let Ok(Some((front, Held::Session(session)))) = self.held_session() else { return None };
        let provider = front.provider(&session.provider, self.public_url().host())?;
        let end = session.signed_in.plus(front.lifetime);
        Some(ShownLogin {
            provider: &provider.title,
            renewable_until: session.refresh_token.is_some().then_some(end),
        })
    }

    /// The session that the browser holds, opened and not judged.
    pub(super) fn held_session(&self) -> Result<Option<(&LoginFront, Held)>, SignInError> {
        let Some(front) = self.login_front() else { return Ok(None) };
        let held: Vec<_> = cookies(&self.headers).collect();
        // A browser that holds nothing needs no keys.
        if LoginSession::removal(&held).is_empty() {
            return Ok(Some((front, Held::Nothing)));
        }
        Ok(Some((front, LoginSession::read(self.sealing()?, &held))))
    }

    /// Who the login session speaks of, after its provider has been asked if that was due.
    pub(super) async fn renewed_login(&self) -> Result<Renewed, ServeError> {
        let (front, session) = match self.held_session()? {
            None | Some((_, Held::Nothing)) => return Ok(Renewed::default()),
            Some((_, Held::Unreadable)) => return Ok(self.nobody()),
            Some((front, Held::Session(session))) => (front, *session),
        };
        let host = self.public_url().host();
        let believed = match standing(&session, front, host, self.now()) {
            Standing::Over => return Ok(self.nobody()),
            Standing::Good(identity) => {
                return Ok(Renewed { identity: Some(identity), lines: Vec::new() });
            }
            Standing::Due(identity) => Some(identity),
            Standing::Unchecked => None,
        };
        let Some(provider) = front.provider(&session.provider, host) else {
            return Ok(self.nobody());
        };
        match self.ask_again(provider, session).await {
            Ok(refreshed) => self.take(front, provider, refreshed),
            Err(error @ (ProviderError::Ended | ProviderError::Swapped)) => {
                let reason = SignInReason::Provider(error).into();
                Err(ServeError::SignIn(reason).with_lines(self.session_removal()))
            }
            Err(error) => {
                self.record_unchecked(provider, &error, believed.is_some());
                match believed {
                    Some(identity) => Ok(Renewed { identity: Some(identity), lines: Vec::new() }),
                    None => Err(SignInError::from(SignInReason::Provider(error)).into()),
                }
            }
        }
    }

    async fn ask_again(
        &self,
        provider: &Provider,
        session: LoginSession,
    ) -> Result<Refreshed, ProviderError> {
        let redirect_uri = self.redirect_uri(provider);
        let party = self.party(provider, &redirect_uri)?;
        let host = self.public_url().authority();
        self.state.providers().renew(party, session, host).await
    }

    fn take(
        &self,
        front: &LoginFront,
        provider: &Provider,
        refreshed: Refreshed,
    ) -> Result<Renewed, ServeError> {
        let Refreshed { session, nonce, problem } = refreshed;
        let lines = self.session_lines(front, &session, nonce)?;
        let standing = standing(&session, front, self.public_url().host(), self.now());
        let identity = match standing {
            Standing::Good(identity) | Standing::Due(identity) => Some(identity),
            Standing::Unchecked => None,
            Standing::Over => return Ok(self.nobody()),
        };
        if let Some(problem) = &problem {
            self.record_unchecked(provider, problem, identity.is_some());
        }
        match (identity, problem) {
            (Some(identity), _) => Ok(Renewed { identity: Some(identity), lines }),
            (None, Some(problem)) => {
                let reason = SignInError::from(SignInReason::Provider(problem));
                Err(ServeError::SignIn(reason).with_lines(lines))
            }
            (None, None) => Ok(self.nobody()),
        }
    }

    fn record_unchecked(&self, provider: &Provider, problem: &ProviderError, goes_on: bool) {
        tracing::warn!(
            target: OPERATION,
            event = "session.unchecked",
            request_id = %self.id,
            provider = %provider.name,
            problem = ?problem.to_string(),
            goes_on,
            "the provider could not be asked whether a session may go on"
        );
    }

    /// Lines that give the browser a session.
    pub(super) fn session_lines(
        &self,
        front: &LoginFront,
        session: &LoginSession,
        nonce: Nonce,
    ) -> Result<Vec<String>, SignInError> {
        let max_age = session.signed_in.plus(front.lifetime).since(self.now());
        let held: Vec<_> = cookies(&self.headers).collect();
        let lines = session.lines(self.sealing()?, nonce, max_age, &held);
        Ok(lines.map_err(SignInReason::TooLarge)?)
    }

    /// Nobody, and the browser is to forget what it holds.
    fn nobody(&self) -> Renewed {
        Renewed { identity: None, lines: self.session_removal() }
    }

    /// Lines that remove the session that the browser holds.
    pub(super) fn session_removal(&self) -> Vec<String> {
        LoginSession::removal(&cookies(&self.headers).collect::<Vec<_>>())
    }

    /// Lines that remove the session, and every attempt at one.
    pub(super) fn sign_out_lines(&self) -> Vec<String> {
        let held: Vec<_> = cookies(&self.headers).collect();
        let mut lines = LoginSession::removal(&held);
        lines.extend(Attempt::removal_of_all(&held));
        lines
    }

    /// Lines that remove a session which is worth nothing any more.
    pub(super) fn dead_session(&self) -> Vec<String> {
        let is_over = match self.held_session() {
            Ok(Some((_, Held::Unreadable))) => true,
            Ok(Some((front, Held::Session(session)))) => {
                let host = self.public_url().host();
                standing(&session, front, host, self.now()) == Standing::Over
            }
            _ => false,
        };
        if is_over { self.session_removal() } else { Vec::new() }
    }

    pub(super) fn nonce() -> Result<Nonce, SignInReason> {
        random_bytes().ok_or(SignInReason::Provider(ProviderError::Cut))
    }
}
