//! Follows the configuration: on SIGHUP, and when its file changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::Signal;
use tokio::sync::{Notify, watch};

use super::snapshot::{Snapshot, read_here};
use super::state::AppState;
use crate::clock::EpochSeconds;
use crate::config::{DEFAULT_KMS_KEY, Environment, KeySource};
use crate::keystore::{ActiveRing, Aws, Keystore, KeystoreError};
use crate::telemetry::OPERATION;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// Size and time of change of the file; `None` if it is not there.
type Trace = Option<(u64, SystemTime)>;

/// Reloads for as long as the service runs. `keys` and `bundles` are told when those are to be looked at
/// anew.
pub(super) async fn follow(
    state: AppState,
    file: PathBuf,
    environment: Environment,
    mut hang_ups: Signal,
    keys: Arc<Notify>,
    bundles: watch::Sender<()>,
) {
    let mut seen = trace(&file);
    let mut problem: Option<String> = None;
    loop {
        let asked = tokio::select! {
            heard = hang_ups.recv() => heard.is_some(),
            () = tokio::time::sleep(INTERVAL) => false,
        };
        let now = trace(&file);
        // What was wrong may be mended in a file that is not watched, so a failure is tried again.
        if !asked && problem.is_none() && now == seen {
            continue;
        }
        let failed = reload(&state, &file, &environment).await.err();
        if let Some(text) = failed.as_ref().filter(|text| asked || problem.as_ref() != Some(text)) {
            report(&state, text);
        }
        if asked || failed.is_none() {
            keys.notify_one();
            bundles.send_replace(());
        }
        // The trace of before counts, or a change during the reload would never be seen.
        (problem, seen) = (failed, now);
    }
}

fn trace(file: &Path) -> Trace {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// Loads a whole new snapshot, or keeps the old one and says why.
async fn reload(state: &AppState, file: &Path, environment: &Environment) -> Result<(), String> {
    let (path, environment) = (file.to_owned(), environment.clone());
    let bundles = state.snapshot().bundles.clone();
    let loading = tokio::task::spawn_blocking(move || {
        Snapshot::load_what_is_new(&path, &environment, &bundles)
    });
    let loaded = loading.await.map_err(|error| error.to_string())?;
    let new = loaded.map_err(|error| error.to_string())?;
    // Keys of a source that stays are followed, so trouble with them keeps no rule from changing.
    let source = &new.config.keys.source;
    let moved = *source != state.snapshot().config.keys.source;
    let keys = if moved { Some(read(state, source).await?) } else { None };
    warn_about_ports(state, &new);
    let rules = new.config.rules.len();
    state.update(|present| {
        let (ring, heard) = keys.clone().unwrap_or((present.ring.clone(), present.heard));
        let secrets = Arc::new(new.secrets.after(&present.secrets, &new.config));
        let bundles = new.bundles.after(&present.bundles, state.clock().now());
        Snapshot { ring, heard, secrets, bundles, ..new.clone() }
    });
    state.metrics().reloaded(true);
    let key = state.snapshot().ring.as_ref().map(|ring| ring.active.id.to_string());
    let key = key.unwrap_or_else(|| "none".to_owned());
    tracing::info!(target: OPERATION, event = "reload.done", key, rules, "configuration reloaded");
    Ok(())
}

type Keys = (Option<Arc<ActiveRing>>, Option<EpochSeconds>);

/// Reads the keys of a source that was not followed until now.
async fn read(state: &AppState, source: &KeySource) -> Result<Keys, String> {
    let now = state.clock().now();
    let wrong = |error: KeystoreError| format!("keys: {error}");
    let ring = match source {
        KeySource::ParameterStore(_) => {
            let store = Keystore::open(source, DEFAULT_KMS_KEY, &Aws::new()).await;
            Some(store.map_err(wrong)?.load(None).await.map_err(wrong)?)
        }
        KeySource::Folder(_) | KeySource::Credential { .. } => {
            let source = source.clone();
            let reading = tokio::task::spawn_blocking(move || read_here(&source));
            reading.await.map_err(|error| error.to_string())?.map_err(wrong)?
        }
    };
    Ok((ring.map(Arc::new), Some(now)))
}

fn report(state: &AppState, problem: &str) {
    state.metrics().reloaded(false);
    tracing::error!(
        target: OPERATION,
        event = "reload.failed",
        problem,
        "the new configuration is wrong; the old one stays"
    );
}

fn warn_about_ports(state: &AppState, new: &Snapshot) {
    let old = state.snapshot();
    let (old, new) = (&old.config, &new.config);
    if old.site.listen != new.site.listen || old.site.admin_listen != new.site.admin_listen {
        tracing::warn!(
            target: OPERATION,
            event = "reload.restart_needed",
            "listen and admin_listen change at the next start"
        );
    }
}
