//! Configuration, rules, key ring and bundle: one value, swapped whole.
//!
//! A request takes the pointer once and keeps it, so that it never sees rules of one configuration
//! with keys of another. A reload makes a whole new snapshot or leaves the old one. The parts are
//! shared between snapshots, so that a ring that changes alone costs nothing but itself.

use std::path::Path;
use std::sync::Arc;

use super::secrets::Secrets;
use crate::access::Lifetime;
use crate::bundle::{self, Bundle};
use crate::clock::EpochSeconds;
use crate::config::{self, Config, ConfigError, Environment, KeySource};
use crate::keystore::{ActiveRing, Credential, Folder, KeystoreError};

/// Everything that a request is answered by.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// The keys; none as long as Parameter Store has not answered once.
    pub ring: Option<Arc<ActiveRing>>,
    /// When the source of keys was last asked and answered with what is held here.
    pub heard: Option<EpochSeconds>,
    /// What seals cookies and says who we are at providers.
    pub secrets: Arc<Secrets>,
    /// The viewer bundle, if one is served.
    pub bundle: Option<Arc<Bundle>>,
}

/// Why nothing is signed just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigning {
    /// The source of keys has not answered once.
    #[error("there is no key yet: its source has not answered")]
    NoKey,
    /// The source has not answered for `keys.max_outage`. Somebody who rotates keys may rely on it
    /// that by now nothing signs with the one that is held here.
    #[error("the source of keys has not answered for longer than keys.max_outage")]
    CutOff,
}

impl Snapshot {
    /// Reads everything on this machine that a configuration file names. Parameter Store is not
    /// asked: what has its keys there begins without any.
    ///
    /// # Errors
    /// [`ConfigError`] lists every file that is wrong, under the key that names it.
    pub fn load(file: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        Self::read(file, environment, read_here)
    }

    /// Reads everything but the keys.
    pub(super) fn load_without_keys(
        file: &Path,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Self::read(file, environment, |_| Ok(None))
    }

    fn read(
        file: &Path,
        environment: &Environment,
        keys: impl Fn(&KeySource) -> Result<Option<ActiveRing>, KeystoreError>,
    ) -> Result<Self, ConfigError> {
        let config = config::load(file, environment)?;
        let ring = keys(&config.keys.source);
        let secrets = Secrets::read_here(config.fronts.login.as_ref());
        match (ring, secrets, load_bundle(&config)) {
            (Ok(ring), Ok(secrets), Ok(bundle)) => Ok(Self {
                config: Arc::new(config),
                ring: ring.map(Arc::new),
                heard: None,
                secrets: Arc::new(secrets),
                bundle,
            }),
            (ring, secrets, bundle) => {
                let by_key = |key: &str, text: String| (key.to_owned(), text);
                let mut wrong = Vec::new();
                for error in secrets.err().into_iter().flatten() {
                    wrong.push((error.key, error.problem.to_string()));
                }
                wrong.extend(ring.err().map(|error| by_key("keys.source", error.to_string())));
                wrong.extend(bundle.err().map(|error| by_key("viewer.root", error.to_string())));
                Err(config::locate(file, environment, wrong))
            }
        }
    }

    /// What signs at this moment.
    ///
    /// # Errors
    /// [`NotSigning`] while there is no key, or none that may still be used.
    pub fn signer(&self, now: EpochSeconds) -> Result<&ActiveRing, NotSigning> {
        let (Some(ring), Some(heard)) = (&self.ring, self.heard) else {
            return Err(NotSigning::NoKey);
        };
        let keys = &self.config.keys;
        // A unit's copy never changes while the unit runs, so there is nobody to hear from: whoever
        // rotates it restarts the unit.
        let copy = matches!(keys.source, KeySource::Credential { .. });
        if !copy && now.since(heard) >= keys.max_outage.as_secs() {
            return Err(NotSigning::CutOff);
        }
        Ok(ring)
    }

    /// Seconds that the longest of all cookies lives.
    #[must_use]
    pub fn longest_lifetime(&self) -> u64 {
        let lifetimes = self.config.rules.iter().map(|rule| rule.lifetime);
        lifetimes.map(Lifetime::seconds).max().unwrap_or(0)
    }
}

/// Reads the keys of a source on this machine.
pub(super) fn read_here(source: &KeySource) -> Result<Option<ActiveRing>, KeystoreError> {
    match source {
        KeySource::Folder(folder) => Folder::new(folder).load().map(Some),
        KeySource::Credential { folder, name } => {
            Credential { folder: folder.clone(), name: name.clone() }.load().map(Some)
        }
        KeySource::ParameterStore(_) => Ok(None),
    }
}

fn load_bundle(config: &Config) -> Result<Option<Arc<Bundle>>, bundle::LoadError> {
    let Some(viewer) = &config.viewer else { return Ok(None) };
    let limits =
        bundle::Limits { total_bytes: config.limits.bundle_bytes, ..bundle::Limits::default() };
    Ok(Some(Arc::new(Bundle::load(&viewer.root, limits)?)))
}
