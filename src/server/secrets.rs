//! Secrets that the configuration names: those in files are read with it, those in Parameter Store
//! whenever that answers.
//!
//! The service starts without the latter, and nobody signs in until they are there. They are asked for
//! again every few minutes, and at once after a reload, so that a key that was put first seals soon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

use super::snapshot::Snapshot;
use super::state::AppState;
use crate::clock::EpochSeconds;
use crate::config::{Config, CookieKeySource, ParameterPath, Provider, SecretSource};
use crate::cookies::sealed::{CookieKey, CookieKeyError, CookieKeys, KEY_BYTES};
use crate::keystore::{Aws, KeystoreError, fetch_secret, read_secret};
use crate::secret::Secret;
use crate::telemetry::OPERATION;

/// How often it is looked whether anything is to be asked for.
const LOOK: Duration = Duration::from_secs(1);

/// Seconds until parameters that are known are asked for again.
const FRESH: u64 = 300;

/// The longest pause after a failure, in seconds.
const LONGEST_PAUSE: u64 = 30;

const COOKIE_KEYS: &str = "identity.login.cookie_keys";

const HANDOFF_KEYS: &str = "handoff.keys";

/// What has been read so far.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    cookie_keys: Option<CookieKeys>,
    handoff_keys: Option<CookieKeys>,
    /// Secrets of clients, by the provider's name.
    clients: BTreeMap<String, Secret>,
    /// Values of parameters, by their names.
    parameters: BTreeMap<String, Secret>,
    /// When the parameters were read last.
    read: Option<EpochSeconds>,
}

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct SecretError {
    /// The key of the configuration that names it.
    pub key: String,
    /// What is wrong.
    pub problem: Box<SecretProblem>,
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretProblem {
    /// No file of cookie keys, or an empty one.
    #[error("{absent}; make one: edgemint keys cookie --out {file}", file = .file.display())]
    NoCookieKeys {
        /// The file.
        file: PathBuf,
        /// Which of the two.
        absent: KeystoreError,
    },
    /// No file with a client's secret, or an empty one.
    #[error(
        "{absent}; write into it the secret that the provider has given the client: \
         (umask 077; cat > {file})",
        file = .file.display()
    )]
    NoClientSecret {
        /// The file.
        file: PathBuf,
        /// Which of the two.
        absent: KeystoreError,
    },
    /// The file or the parameter cannot be read.
    #[error(transparent)]
    Read(#[from] KeystoreError),
    /// Its content is no list of keys.
    #[error("{place}: {source}")]
    CookieKeys {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        source: CookieKeyError,
    },
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers")]
    Random,
}

impl Secrets {
    /// Reads what is on this machine.
    ///
    /// # Errors
    /// One [`SecretError`] for each key whose file is wrong.
    pub fn read_here(config: &Config) -> Result<Self, Vec<SecretError>> {
        let (mut secrets, mut errors) = (Self::default(), Vec::new());
        for (at, provider) in providers(config).enumerate() {
            match read_client(provider.secret.as_ref()) {
                Ok(Some(secret)) => {
                    secrets.clients.insert(provider.name.clone(), secret);
                }
                Ok(None) => {}
                Err(problem) => {
                    let key = format!("identity.provider[{at}].client_secret_file");
                    errors.push(SecretError { key, problem: problem.into() });
                }
            }
        }
        for (key, source) in key_sources(config) {
            match read_cookie_keys(source) {
                Ok(keys) => *secrets.keys_of(key) = keys,
                Err(problem) => {
                    let key = format!("{key}_file");
                    errors.push(SecretError { key, problem: problem.into() });
                }
            }
        }
        if errors.is_empty() { Ok(secrets) } else { Err(errors) }
    }

    /// What holds after a reload: parameters stay until they have been asked for anew, and so do keys that
    /// were made here.
    pub(super) fn after(&self, before: &Self, config: &Config) -> Self {
        let (mut next, mut before) = (self.clone(), before.clone());
        for (key, source) in key_sources(config) {
            let kept = before.keys_of(key);
            if *source == CookieKeySource::Random && kept.is_some() {
                next.keys_of(key).clone_from(kept);
            }
        }
        // What cannot be read any more was read before, and is mended by the next look.
        let _ = next.take(before.parameters, config);
        next
    }

    /// The keys that seal cookies, if they have been read.
    #[must_use]
    pub const fn cookie_keys(&self) -> Option<&CookieKeys> {
        self.cookie_keys.as_ref()
    }

    /// The keys that seal handoff tokens, if they have been read.
    #[must_use]
    pub const fn handoff_keys(&self) -> Option<&CookieKeys> {
        self.handoff_keys.as_ref()
    }

    /// The secret of a provider's client, if it has been read.
    #[must_use]
    pub fn client(&self, provider: &Provider) -> Option<&Secret> {
        self.clients.get(&provider.name)
    }

    /// Puts the values of parameters where they are needed.
    fn take(
        &mut self,
        parameters: BTreeMap<String, Secret>,
        config: &Config,
    ) -> Result<(), SecretError> {
        for provider in providers(config) {
            if let Some(SecretSource::Parameter(name)) = &provider.secret
                && let Some(secret) = parameters.get(&name.to_string())
            {
                self.clients.insert(provider.name.clone(), secret.clone());
            }
        }
        for (key, source) in key_sources(config) {
            if let CookieKeySource::Parameter(name) = source
                && let Some(text) = parameters.get(&name.to_string())
            {
                let problem = |source| {
                    let place = format!("ssm:{name}");
                    SecretError {
                        key: key.to_owned(),
                        problem: SecretProblem::CookieKeys { place, source }.into(),
                    }
                };
                *self.keys_of(key) = Some(CookieKeys::parse(text.expose()).map_err(problem)?);
            }
        }
        self.parameters = parameters;
        Ok(())
    }

    /// The keys that a setting names.
    fn keys_of(&mut self, key: &str) -> &mut Option<CookieKeys> {
        if key == HANDOFF_KEYS { &mut self.handoff_keys } else { &mut self.cookie_keys }
    }
}

/// Providers of our own sign-in.
fn providers(config: &Config) -> impl Iterator<Item = &Provider> {
    config.fronts.login.iter().flat_map(|login| &login.providers)
}

/// Where keys are that seal, with the settings that say so.
fn key_sources(config: &Config) -> impl Iterator<Item = (&'static str, &CookieKeySource)> {
    let login = config.fronts.login.iter().map(|login| (COOKIE_KEYS, &login.cookie_keys));
    login.chain(config.handoff.iter().map(|source| (HANDOFF_KEYS, source)))
}

fn read_client(source: Option<&SecretSource>) -> Result<Option<Secret>, SecretProblem> {
    match source {
        Some(SecretSource::Here(secret)) => Ok(Some(secret.clone())),
        Some(SecretSource::File(file)) => {
            let absent = |absent| SecretProblem::NoClientSecret { file: file.clone(), absent };
            read_file(file, absent).map(Some)
        }
        Some(SecretSource::Parameter(_)) | None => Ok(None),
    }
}

fn read_cookie_keys(source: &CookieKeySource) -> Result<Option<CookieKeys>, SecretProblem> {
    match source {
        CookieKeySource::Here(keys) => Ok(Some(keys.clone())),
        CookieKeySource::File(file) => {
            let absent = |absent| SecretProblem::NoCookieKeys { file: file.clone(), absent };
            let keys = CookieKeys::parse(read_file(file, absent)?.expose());
            let place = file.display().to_string();
            keys.map(Some).map_err(|source| SecretProblem::CookieKeys { place, source })
        }
        CookieKeySource::Random => random_keys().map(Some),
        CookieKeySource::Parameter(_) => Ok(None),
    }
}

fn read_file(
    file: &Path,
    absent: impl FnOnce(KeystoreError) -> SecretProblem,
) -> Result<Secret, SecretProblem> {
    read_secret(file).map_err(|error| match error {
        KeystoreError::NoSecret(_) | KeystoreError::EmptySecret(_) => absent(error),
        other => other.into(),
    })
}

fn random_keys() -> Result<CookieKeys, SecretProblem> {
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SecretProblem::Random)?;
    CookieKeys::new(vec![CookieKey::new(bytes)]).map_err(|_| SecretProblem::Random)
}

/// The parameters that a configuration names, with the keys that name them.
fn wanted(config: &Config) -> Vec<(String, &ParameterPath)> {
    let mut wanted = Vec::new();
    for (key, source) in key_sources(config) {
        if let CookieKeySource::Parameter(name) = source {
            wanted.push((key.to_owned(), name));
        }
    }
    for (at, provider) in providers(config).enumerate() {
        if let Some(SecretSource::Parameter(name)) = &provider.secret {
            wanted.push((format!("identity.provider[{at}].client_secret"), name));
        }
    }
    wanted
}

/// Keeps secrets in Parameter Store read, for as long as the service runs.
pub(super) async fn follow(state: AppState) {
    let mut aws = Aws::new();
    let (mut failures, mut next) = (0_u32, EpochSeconds(0));
    let mut problem = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let (snapshot, now) = (state.snapshot(), state.clock().now());
        let fresh = snapshot.secrets.read.is_some_and(|read| now.since(read) < FRESH);
        if fresh || now < next || wanted(&snapshot.config).is_empty() {
            continue;
        }
        match read_parameters(&state, &snapshot, &aws).await {
            Ok(()) => (failures, next, problem) = (0, EpochSeconds(0), None),
            Err(error) => {
                failures = failures.saturating_add(1);
                next = now.plus((1 << failures.min(5)).min(LONGEST_PAUSE));
                // Credentials may be there by then.
                aws = Aws::new();
                let text = error.to_string();
                if problem.as_ref() != Some(&text) {
                    tracing::error!(
                        target: OPERATION,
                        event = "secrets.failed",
                        problem = %text,
                        "secrets of sign-in and handoff cannot be read; what was read before stays"
                    );
                }
                problem = Some(text);
            }
        }
    }
}

async fn read_parameters(
    state: &AppState,
    snapshot: &Snapshot,
    aws: &Aws,
) -> Result<(), SecretError> {
    let mut found = BTreeMap::new();
    for (key, name) in wanted(&snapshot.config) {
        let read = fetch_secret(name, aws).await;
        let secret = read.map_err(|error| SecretError { key, problem: Box::new(error.into()) })?;
        found.insert(name.to_string(), secret);
    }
    let mut secrets = snapshot.secrets.as_ref().clone();
    secrets.take(found, &snapshot.config)?;
    secrets.read = Some(state.clock().now());
    let secrets = std::sync::Arc::new(secrets);
    state.update(|present| {
        // A reload meanwhile may have named others; it is looked at anew in a moment.
        if !std::sync::Arc::ptr_eq(&present.config, &snapshot.config) {
            return present.clone();
        }
        Snapshot { secrets: secrets.clone(), ..present.clone() }
    });
    Ok(())
}
