//! A new key is tried on a real object through the edge, before it signs for anybody.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{COOKIE, RANGE};
use reqwest::{Client, StatusCode};
use tokio::time::Instant;

use super::instances::date_of;
use super::{Admin, RotationError, root_cause};
use crate::access::{Grant, PROBE_SECONDS};
use crate::clock::EpochSeconds;
use crate::config::ProbeUrl;
use crate::cookies::named_values;
use crate::keystore::KeystoreError;
use crate::policy::{Custom, Policy, Resource, ResourceError, StatementError};
use crate::signing::{HashAlgorithm, SignError, SigningKey, sign};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(15);

/// The most bytes of a refusal that are read.
const MAX_REFUSAL_BYTES: usize = 4096;

/// Asks the edge for one object.
#[derive(Clone, Debug)]
pub struct Probe {
    url: ProbeUrl,
    client: Client,
}

/// Why a probe proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Everybody may read the object.
    #[error("{0} opens without cookies: choose an object that only signed requests may read")]
    OpenToAll(String),
    /// The object is not there.
    #[error(
        "{url} is answered with {status}: the edge accepts the cookies, but the object cannot be read; \
         choose one that is there"
    )]
    Absent {
        /// The object.
        url: String,
        /// The answer.
        status: u16,
    },
    /// Even the key that signs now opens nothing.
    #[error(
        "{url} does not open with the key that signs now ({answer}): is the object there, and does its \
         behavior trust this key group?"
    )]
    NotEvenActive {
        /// The object.
        url: String,
        /// The answer.
        answer: String,
    },
    /// The edge did not come to accept the key.
    #[error(
        "after {waited} s the edge does not accept {key} for {url} ({answer}). Nothing was promoted; \
         run it again to go on waiting{hint}"
    )]
    NotAccepted {
        /// The key.
        key: String,
        /// The object.
        url: String,
        /// How long was waited.
        waited: u64,
        /// The last answer.
        answer: String,
        /// What else may be wrong.
        hint: String,
    },
    /// The edge gives no verdict.
    #[error("the edge says neither yes nor no to {url} ({answer}); see to that first")]
    Silent {
        /// The object.
        url: String,
        /// The answer.
        answer: String,
    },
    /// The edge's clock and this machine's differ.
    #[error(
        "this machine's clock is {0} the edge's: set it right first; every time here depends on it"
    )]
    Clock(String),
    /// The client cannot be set up.
    #[error("cannot set up HTTP: {0}")]
    Client(reqwest::Error),
    /// A policy that cannot be stated.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A resource that cannot stand in a policy.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// Nothing was signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// What the edge says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// It serves the object.
    Opens,
    /// It refuses the request.
    Refuses(String),
    /// It accepts the request, but there is no object.
    Absent(u16),
    /// It cannot be asked.
    Fails(String),
}

struct Asked {
    answer: Answer,
    /// How many seconds its clock is ahead of ours.
    ahead: i64,
}

impl Probe {
    /// Sets up a probe of an object.
    ///
    /// # Errors
    /// When HTTP cannot be set up.
    pub fn new(url: ProbeUrl) -> Result<Self, ProbeError> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("edgemint/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ProbeError::Client)?;
        Ok(Self { url, client })
    }

    /// Whether the edge refuses cookies that a key signs: not whether it fails, or is not there.
    pub(super) async fn refuses(
        &self,
        key: &SigningKey,
        hash: HashAlgorithm,
        now: EpochSeconds,
    ) -> Result<bool, ProbeError> {
        let cookies = self.cookies(key, hash, now)?;
        match self.ask(Some(&cookies), now).await.answer {
            Answer::Opens => Ok(false),
            Answer::Refuses(_) => Ok(true),
            answer => {
                let (url, answer) = (self.url.to_string(), answer.text());
                Err(ProbeError::Silent { url, answer })
            }
        }
    }

    fn cookies(
        &self,
        key: &SigningKey,
        hash: HashAlgorithm,
        now: EpochSeconds,
    ) -> Result<String, ProbeError> {
        let resource = Resource::parse(self.url.url().as_str())?;
        let grant = Grant::probe(resource.clone(), now);
        let expires = now.plus(PROBE_SECONDS);
        let policy = Policy::custom(Custom { resource, expires, starts: None, source_ip: None })?;
        let signed = sign(&grant, policy, key, hash)?;
        let pairs: Vec<String> =
            named_values(&signed).iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(pairs.join("; "))
    }

    async fn ask(&self, cookies: Option<&str>, now: EpochSeconds) -> Asked {
        let mut request = self.client.get(self.url.url().clone()).header(RANGE, "bytes=0-0");
        if let Some(cookies) = cookies {
            request = request.header(COOKIE, cookies);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let answer = Answer::Fails(root_cause(&error.without_url()));
                return Asked { answer, ahead: 0 };
            }
        };
        let ahead = date_of(response.headers()).map_or(0, |date| ahead_of(date, now));
        let status = response.status();
        let answer = match status {
            // An empty object has no first byte.
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                Answer::Opens
            }
            StatusCode::FORBIDDEN => Answer::Refuses(refusal(&mut response).await),
            StatusCode::TOO_MANY_REQUESTS => Answer::Fails("HTTP 429".to_owned()),
            status if status.is_client_error() => Answer::Absent(status.as_u16()),
            status => Answer::Fails(format!("HTTP {}", status.as_u16())),
        };
        Asked { answer, ahead }
    }
}

impl Answer {
    fn text(&self) -> String {
        match self {
            Self::Opens => "it opens".to_owned(),
            Self::Refuses(code) => format!("403 {code}"),
            Self::Absent(status) => format!("HTTP {status}"),
            Self::Fails(why) => why.clone(),
        }
    }
}

impl Admin<'_> {
    /// Makes sure that the probe can tell a good key from a bad one.
    pub(super) async fn check_probe(
        &mut self,
        active: Option<&SigningKey>,
    ) -> Result<(), RotationError> {
        self.check_clock().await?;
        let Some(probe) = &self.site.probe else { return Err(not_set()) };
        let (now, url) = (self.now(), probe.url.to_string());
        let asked = probe.ask(None, now).await;
        match asked.answer {
            Answer::Opens => return Err(ProbeError::OpenToAll(url).into()),
            Answer::Fails(answer) => return Err(ProbeError::Silent { url, answer }.into()),
            Answer::Refuses(_) | Answer::Absent(_) => {}
        }
        let Some(active) = active else { return Ok(()) };
        let cookies = probe.cookies(active, self.site.hash, now)?;
        let answer = probe.ask(Some(&cookies), now).await.answer;
        match answer {
            Answer::Opens => {
                self.note("preflight", format!("{url} opens with {}, and not without", active.id));
                Ok(())
            }
            Answer::Absent(status) => Err(ProbeError::Absent { url, status }.into()),
            answer => Err(ProbeError::NotEvenActive { url, answer: answer.text() }.into()),
        }
    }

    /// Waits until the edge accepts a key, for as long as it takes to settle.
    pub(super) async fn await_accepted(&mut self, key: &SigningKey) -> Result<(), RotationError> {
        let Some(probe) = self.site.probe.clone() else { return Err(not_set()) };
        let url = probe.url.to_string();
        if self.dry_run {
            self.note("probe", format!("would ask for {url} until the edge accepts the new key"));
            return Ok(());
        }
        let began = Instant::now();
        let mut accepted_since: Option<Instant> = None;
        let mut said = String::new();
        loop {
            let now = self.now();
            let cookies = probe.cookies(key, self.site.hash, now)?;
            let asked = probe.ask(Some(&cookies), now).await;
            accepted_since = match asked.answer {
                Answer::Opens => accepted_since.or_else(|| Some(Instant::now())),
                _ => None,
            };
            let accepted = accepted_since.map_or(Duration::ZERO, |since| since.elapsed());
            let waited = began.elapsed();
            let settled = match asked.answer {
                Answer::Opens => accepted >= self.patience.settle,
                Answer::Absent(status) => return Err(ProbeError::Absent { url, status }.into()),
                _ => false,
            };
            if settled {
                let text = format!(
                    "the edge accepts {}, for {} s without a miss",
                    key.id,
                    accepted.as_secs()
                );
                self.note("probe", text);
                return Ok(());
            }
            let text = match &asked.answer {
                Answer::Opens => {
                    format!("accepted; watching for {} s", self.patience.settle.as_secs())
                }
                answer => format!("not yet: {}", answer.text()),
            };
            if text != said {
                self.waiting("probe", &text);
                said = text;
            }
            if waited >= self.patience.timeout {
                let answer = asked.answer.text();
                let (key, waited) = (key.id.to_string(), waited.as_secs());
                let hint = hint(asked.ahead);
                return Err(ProbeError::NotAccepted { key, url, waited, answer, hint }.into());
            }
            tokio::time::sleep(self.patience.interval()).await;
        }
    }

    /// Watches until the edge refuses a key, and says how it went: what the edge has not heard yet, it
    /// will within minutes.
    pub(super) async fn await_refused(&mut self, key: &SigningKey) -> Result<(), RotationError> {
        let (Some(probe), false) = (self.site.probe.clone(), self.dry_run) else { return Ok(()) };
        let began = Instant::now();
        let mut said = false;
        loop {
            match probe.refuses(key, self.site.hash, self.now()).await {
                Ok(true) => {
                    self.note("revoke", format!("the edge refuses {}", key.id));
                    return Ok(());
                }
                Ok(false) if !said => {
                    let text =
                        format!("the edge still accepts {}; CloudFront takes a while", key.id);
                    self.waiting("revoke", text);
                    said = true;
                }
                _ => {}
            }
            if began.elapsed() >= self.patience.timeout {
                let text = format!(
                    "the edge was not seen to refuse {}; CloudFront has been told, and takes some minutes",
                    key.id
                );
                self.note("revoke", text);
                return Ok(());
            }
            tokio::time::sleep(self.patience.interval()).await;
        }
    }

    /// Makes sure that this machine's clock can be relied on, as far as there is another to ask.
    pub(super) async fn check_clock(&mut self) -> Result<(), RotationError> {
        let Some(probe) = &self.site.probe else { return Ok(()) };
        let ahead = probe.ask(None, self.now()).await.ahead;
        let skew = self.site.clock_skew.as_secs().max(PROBE_SECONDS / 2);
        if ahead.unsigned_abs() > skew {
            return Err(ProbeError::Clock(apart(ahead)).into());
        }
        Ok(())
    }

    /// The key that signs, with its private half, unless that is lost.
    pub(super) async fn active_key(
        &self,
        ring: &crate::signing::KeyRing,
    ) -> Result<Option<SigningKey>, RotationError> {
        let Some(active) = ring.active() else { return Ok(None) };
        match self.site.store.key(&active.fingerprint).await {
            Ok(key) => Ok(Some(SigningKey { id: active.id.clone(), key: Arc::new(key) })),
            // All the more reason to rotate.
            Err(KeystoreError::Missing(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) const fn not_set() -> RotationError {
    RotationError::NotSet {
        key: "rotation.probe",
        what: "the URL of a small private object, which a new key must open before it signs",
        flag: "--probe",
    }
}

/// How many seconds a clock that says `date` is ahead of ours.
fn ahead_of(date: EpochSeconds, now: EpochSeconds) -> i64 {
    let whole = |time: EpochSeconds| i64::try_from(time.0).unwrap_or(i64::MAX);
    whole(date).saturating_sub(whole(now))
}

/// A probe's policy lives for a minute, so clocks that differ by more refuse every key.
fn hint(ahead: i64) -> String {
    if ahead.unsigned_abs() < PROBE_SECONDS / 2 {
        return String::new();
    }
    format!("; this machine's clock is {} the edge's: set it right first", apart(ahead))
}

/// How far this machine's clock is from one that is ahead of it, in words.
fn apart(ahead: i64) -> String {
    let word = if ahead > 0 { "behind" } else { "ahead of" };
    format!("{} s {word}", ahead.unsigned_abs())
}

/// The code of a refusal, such as `InvalidKey`.
async fn refusal(response: &mut reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_REFUSAL_BYTES {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let plain = |code: &&str| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    code.map(|(code, _)| code).filter(plain).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_would_refuse_every_key_is_named() {
        assert_eq!(hint(0), "");
        assert_eq!(hint(29), "");
        assert!(hint(240).contains("240 s behind the edge's"), "{}", hint(240));
        assert!(hint(-240).contains("240 s ahead of the edge's"), "{}", hint(-240));
        assert_eq!(ahead_of(EpochSeconds(1100), EpochSeconds(1000)), 100);
    }
}
