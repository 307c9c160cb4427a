//! Configuration, rules, key ring and bundle: one value, swapped whole.
//!
//! A request takes the pointer once and keeps it, so that it never sees rules of one configuration
//! with keys of another. A reload makes a whole new snapshot or leaves the old one.

use std::path::{Path, PathBuf};

use crate::bundle::{self, Bundle};
use crate::config::{self, Config, ConfigError, Environment, KeySource};
use crate::keystore::{self, ActiveRing, Credential, Folder, KeystoreError};

/// Everything that a request is answered by.
#[derive(Debug)]
pub struct Snapshot {
    /// The checked configuration.
    pub config: Config,
    /// The keys.
    pub ring: ActiveRing,
    /// The viewer bundle, if one is served.
    pub bundle: Option<Bundle>,
}

/// Why no snapshot could be made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys cannot be read.
    #[error("keys: {0}")]
    Keys(#[from] KeystoreError),
    /// The bundle cannot be read.
    #[error("viewer: {0}")]
    Bundle(#[from] bundle::LoadError),
}

impl Snapshot {
    /// Reads everything that a configuration file names.
    ///
    /// # Errors
    /// [`SnapshotError`] names the file that is wrong.
    pub fn load(file: &Path, environment: &Environment) -> Result<Self, SnapshotError> {
        let config = config::load(file, environment)?;
        let ring = match &config.keys.source {
            KeySource::Folder(folder) => Folder::new(folder).load()?,
            KeySource::Credential { folder, name } => {
                Credential { folder: folder.clone(), name: name.clone() }.load()?
            }
            KeySource::ParameterStore(_) => {
                return Err(KeystoreError::NoActive("ssm".to_owned()).into());
            }
        };
        let bundle = match &config.viewer {
            None => None,
            Some(viewer) => {
                let limits = bundle::Limits {
                    total_bytes: config.limits.bundle_bytes,
                    ..bundle::Limits::default()
                };
                Some(Bundle::load(&viewer.root, limits)?)
            }
        };
        Ok(Self { config, ring, bundle })
    }

    /// The files whose change calls for a reload. (The bundle is read again with them, and on
    /// SIGHUP.)
    #[must_use]
    pub fn watched_files(&self, config_file: &Path) -> Vec<PathBuf> {
        let manifest = match &self.config.keys.source {
            KeySource::Folder(folder) => Some(folder.join(keystore::MANIFEST)),
            // A unit's credentials stay as they are for as long as it runs.
            KeySource::Credential { .. } | KeySource::ParameterStore(_) => None,
        };
        manifest.into_iter().chain([config_file.to_owned()]).collect()
    }
}
