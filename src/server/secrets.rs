//! Secrets that the configuration names: those in files are read with it, those in Parameter Store
//! whenever that answers.
//!
//! The service starts without the latter, and nobody signs in until they are there. They are asked for
//! again every few minutes, and at once after a reload, so that a key that was put first seals soon.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

use super::snapshot::Snapshot;
use super::state::AppState;
use crate::clock::EpochSeconds;
use crate::config::{CookieKeySource, LoginFront, ParameterPath, Provider, SecretSource};
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

/// What has been read so far.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    cookie_keys: Option<CookieKeys>,
    /// Secrets of clients, by the provider's name.
    clients: BTreeMap<String, Secret>,
    /// Values of parameters, by their names.
    parameters: BTreeMap<String, Secret>,
    /// When the parameters were read last.
    read: Option<EpochSeconds>,
}

/// Why secrets cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file or the parameter cannot be read.
    #[error("{key}: {source}")]
    Read {
        /// The key of the configuration.
        key: String,
        /// Why not.
        source: KeystoreError,
    },
    /// Its content is none.
    #[error("identity.login.cookie_keys: {place}: {source}")]
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
    /// [`SecretError`] names the key whose file is wrong.
    pub fn read_here(login: Option<&LoginFront>) -> Result<Self, SecretError> {
        let Some(login) = login else { return Ok(Self::default()) };
        let mut secrets = Self::default();
        for (at, provider) in login.providers.iter().enumerate() {
            let secret = match &provider.secret {
                Some(SecretSource::Here(secret)) => secret.clone(),
                Some(SecretSource::File(path)) => read_secret(path).map_err(|source| {
                    let key = format!("identity.provider[{at}].client_secret_file");
                    SecretError::Read { key, source }
                })?,
                Some(SecretSource::Parameter(_)) | None => continue,
            };
            secrets.clients.insert(provider.name.clone(), secret);
        }
        secrets.cookie_keys = match &login.cookie_keys {
            CookieKeySource::Here(keys) => Some(keys.clone()),
            CookieKeySource::File(path) => {
                let key = || "identity.login.cookie_keys_file".to_owned();
                let text =
                    read_secret(path).map_err(|source| SecretError::Read { key: key(), source })?;
                let place = || path.display().to_string();
                let keys = CookieKeys::parse(text.expose())
                    .map_err(|source| SecretError::CookieKeys { place: place(), source })?;
                Some(keys)
            }
            CookieKeySource::Random => Some(random_keys()?),
            CookieKeySource::Parameter(_) => None,
        };
        Ok(secrets)
    }

    /// What holds after a reload: parameters stay until they have been asked for anew, and so do keys that
    /// were made here.
    pub(super) fn after(&self, before: &Self, login: Option<&LoginFront>) -> Self {
        let mut next = self.clone();
        let Some(login) = login else { return next };
        if login.cookie_keys == CookieKeySource::Random && before.cookie_keys.is_some() {
            next.cookie_keys.clone_from(&before.cookie_keys);
        }
        // What cannot be read any more was read before, and is mended by the next look.
        let _ = next.take(before.parameters.clone(), login);
        next
    }

    /// The keys that seal cookies, if they have been read.
    #[must_use]
    pub const fn cookie_keys(&self) -> Option<&CookieKeys> {
        self.cookie_keys.as_ref()
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
        login: &LoginFront,
    ) -> Result<(), SecretError> {
        for provider in &login.providers {
            if let Some(SecretSource::Parameter(name)) = &provider.secret
                && let Some(secret) = parameters.get(&name.to_string())
            {
                self.clients.insert(provider.name.clone(), secret.clone());
            }
        }
        if let CookieKeySource::Parameter(name) = &login.cookie_keys
            && let Some(text) = parameters.get(&name.to_string())
        {
            let place = || format!("ssm:{name}");
            let keys = CookieKeys::parse(text.expose())
                .map_err(|source| SecretError::CookieKeys { place: place(), source })?;
            self.cookie_keys = Some(keys);
        }
        self.parameters = parameters;
        Ok(())
    }
}

fn random_keys() -> Result<CookieKeys, SecretError> {
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::Random)?;
    CookieKeys::new(vec![CookieKey::new(bytes)]).map_err(|_| SecretError::Random)
}

/// The parameters that a configuration names, with the keys that name them.
fn wanted(login: &LoginFront) -> Vec<(String, &ParameterPath)> {
    let mut wanted = Vec::new();
    if let CookieKeySource::Parameter(name) = &login.cookie_keys {
        wanted.push(("identity.login.cookie_keys".to_owned(), name));
    }
    for (at, provider) in login.providers.iter().enumerate() {
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
        let Some(login) = &snapshot.config.fronts.login else { continue };
        let fresh = snapshot.secrets.read.is_some_and(|read| now.since(read) < FRESH);
        if fresh || now < next || wanted(login).is_empty() {
            continue;
        }
        match read_parameters(&state, &snapshot, login, &aws).await {
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
                        "secrets of sign-in cannot be read; what was read before stays"
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
    login: &LoginFront,
    aws: &Aws,
) -> Result<(), SecretError> {
    let mut found = BTreeMap::new();
    for (key, name) in wanted(login) {
        let read = fetch_secret(name, aws).await;
        let secret = read.map_err(|source| SecretError::Read { key, source })?;
        found.insert(name.to_string(), secret);
    }
    let mut secrets = snapshot.secrets.as_ref().clone();
    secrets.take(found, login)?;
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
