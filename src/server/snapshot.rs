//! Configuration, rules, key ring and bundle: one value, swapped whole.
//!
//! A request takes the pointer once and keeps it, so that it never sees rules of one configuration
//! with keys of another. A reload makes a whole new snapshot or leaves the old one. The parts are
//! shared between snapshots, so that a ring that changes alone costs nothing but itself.

use std::path::Path;
use std::sync::Arc;

use super::secrets::Secrets;
use crate::access::Lifetime;
use crate::bundle::shim::{ShimConfig, WORKER_PATH};
use crate::bundle::{
    Bundle, Bundles, Injection, Limits, LoadError, Mount, Origin, ShimTexts, Sources,
};
use crate::clock::EpochSeconds;
use crate::config::{
    self, Config, ConfigError, CspSources, Distribution, Environment, KeySource, Shim, Viewer,
};
use crate::keystore::{ActiveRing, Credential, Folder, KeystoreError};
use crate::policy::BaseUrl;

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
    /// The viewer bundles.
    pub bundles: Bundles,
    /// The shim as files of its own.
    pub scripts: Arc<Bundle>,
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
        Self::read(file, environment, read_here, &Bundles::default())
    }

    /// Reads everything but the keys, and bundles that were read and are followed.
    pub(super) fn load_what_is_new(
        file: &Path,
        environment: &Environment,
        present: &Bundles,
    ) -> Result<Self, ConfigError> {
        Self::read(file, environment, |_| Ok(None), present)
    }

    fn read(
        file: &Path,
        environment: &Environment,
        keys: impl Fn(&KeySource) -> Result<Option<ActiveRing>, KeystoreError>,
        present: &Bundles,
    ) -> Result<Self, ConfigError> {
        let config = config::load(file, environment)?;
        let ring = keys(&config.keys.source);
        let secrets = Secrets::read_here(&config);
        let bundles = load_bundles(&config, present).and_then(|bundles| {
            let scripts = scripts(&config).map_err(|error| ("viewer.shim".to_owned(), error))?;
            Ok((bundles, Arc::new(scripts)))
        });
        match (ring, secrets, bundles) {
            (Ok(ring), Ok(secrets), Ok((bundles, scripts))) => Ok(Self {
                config: Arc::new(config),
                ring: ring.map(Arc::new),
                heard: None,
                secrets: Arc::new(secrets),
                bundles,
                scripts,
            }),
            (ring, secrets, bundles) => {
                let by_key = |key: &str, text: String| (key.to_owned(), text);
                let mut wrong = Vec::new();
                for error in secrets.err().into_iter().flatten() {
                    wrong.push((error.key, error.problem.to_string()));
                }
                wrong.extend(ring.err().map(|error| by_key("keys.source", error.to_string())));
                wrong.extend(bundles.err().map(|(key, error)| (key, error.to_string())));
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

/// Reads every folder that is not among the present bundles; a problem stands under the key that names
/// it.
fn load_bundles(config: &Config, present: &Bundles) -> Result<Bundles, (String, LoadError)> {
    let Some(viewer) = &config.viewer else { return Ok(Bundles::default()) };
    let limits = Limits {
        total_bytes: config.limits.bundle_bytes,
        files: config.limits.bundle_files,
        stream_bytes: config.limits.stream_bytes,
    };
    let injection = Arc::new(injection(config, viewer));
    let mut mounts = Vec::new();
    for served in &viewer.bundles {
        let (path, hosts) =
            (served.path.to_string(), served.hosts.listed().map(<[String]>::to_vec));
        let injection = injection.clone();
        let origin = Arc::new(Origin { source: served.source.clone(), limits, injection });
        let before = present.at(&path, hosts.as_deref()).filter(|mount| mount.origin == origin);
        mounts.push(match before {
            Some(mount) => mount.clone(),
            None => Mount::open(path, hosts, origin).map_err(|e| (served.key.clone(), e))?,
        });
    }
    Ok(Bundles::new(mounts))
}

/// What is added to the files of every bundle.
fn injection(config: &Config, viewer: &Viewer) -> Injection {
    let origins = |urls: &[BaseUrl]| urls.iter().map(ToString::to_string).collect();
    let data = config.distributions.iter().map(|distribution| distribution.base.to_string());
    // The policy's `https:` covers the others.
    let mut data: Vec<String> = data.filter(|base| base.starts_with("http:")).collect();
    if config.site.is_laptop() {
        // Public data of stand-ins is there without TLS too.
        data.push("http:".to_owned());
    }
    let sources = |csp: &CspSources| Sources {
        scripts: origins(&csp.script_src),
        data,
        ancestors: origins(&csp.frame_ancestors),
    };
    let shim = (viewer.shim != Shim::Off).then(|| {
        let config = shim_config(config);
        ShimTexts { page: config.page(None), script: config.worker() }
    });
    let own = config.site.urls().map(|url| url.authority().to_owned()).collect();
    Injection { shim, policy: viewer.csp.as_ref().map(sources), own }
}

/// The shim as files of its own, at the paths that [`script_path`] and [`WORKER_PATH`] say: for pages that
/// somebody else serves, and the service worker, where it is wanted.
fn scripts(config: &Config) -> Result<Bundle, LoadError> {
    let shim = shim_config(config);
    let page = |url: &BaseUrl| (script_path(url), shim.page(Some(url.as_str())).into());
    let mut files: Vec<_> = config.site.urls().map(page).collect();
    if shim.service_worker {
        files.push((WORKER_PATH.to_owned(), shim.service_worker().into()));
    }
    Bundle::of(files).map_err(|why| LoadError::File { path: "the shim".into(), why })
}

/// Where the shim that knows one of the site's URLs is among [`Snapshot::scripts`].
pub(super) fn script_path(site: &BaseUrl) -> String {
    format!("/{}/shim.js", site.authority())
}

/// What the shim is told of this site. Everybody may read it.
fn shim_config(config: &Config) -> ShimConfig {
    let worker = config.viewer.as_ref().is_some_and(|viewer| viewer.shim == Shim::ServiceWorker);
    ShimConfig {
        data: config.distributions.iter().map(Distribution::url_prefix).collect(),
        service_worker: worker,
    }
}
