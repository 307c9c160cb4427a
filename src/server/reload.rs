//! Follows the configuration: on SIGHUP, and when a watched file changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::Signal;

use super::snapshot::Snapshot;
use super::state::AppState;
use crate::config::Environment;
use crate::telemetry::OPERATION;

/// How often the watched files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// Size and time of change of each watched file; `None` for one that is not there.
type Traces = BTreeMap<PathBuf, Option<(u64, SystemTime)>>;

/// Reloads for as long as the service runs.
pub(super) async fn follow(
    state: AppState,
    file: PathBuf,
    environment: Environment,
    mut hang_ups: Signal,
) {
    let mut seen = traces(&state, &file);
    let mut problem: Option<String> = None;
    loop {
        let asked = tokio::select! {
            heard = hang_ups.recv() => heard.is_some(),
            () = tokio::time::sleep(INTERVAL) => false,
        };
        let now = traces(&state, &file);
        // What was wrong may be mended in a file that is not watched, so a failure is tried again.
        if !asked && problem.is_none() && now == seen {
            continue;
        }
        let failed = reload(&state, &file, &environment).await.err();
        if let Some(text) = failed.as_ref().filter(|text| asked || problem.as_ref() != Some(text)) {
            report(&state, text);
        }
        problem = failed;
        // The new snapshot may watch other files. Of those known, the traces of before count, or a
        // change during the reload would never be seen.
        seen = traces(&state, &file);
        for (path, trace) in now {
            seen.entry(path).and_modify(|newer| *newer = trace);
        }
    }
}

fn traces(state: &AppState, file: &Path) -> Traces {
    let trace = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    let files = state.snapshot().watched_files(file);
    files.into_iter().map(|path| (path.clone(), trace(&path))).collect()
}

/// Loads a whole new snapshot, or keeps the old one and says why.
async fn reload(state: &AppState, file: &Path, environment: &Environment) -> Result<(), String> {
    let (path, environment) = (file.to_owned(), environment.clone());
    let loading = tokio::task::spawn_blocking(move || Snapshot::load(&path, &environment));
    let loaded = loading.await.map_err(|error| error.to_string())?;
    let snapshot = loaded.map_err(|error| error.to_string())?;
    warn_about_ports(state, &snapshot);
    let key = snapshot.ring.active.id.to_string();
    let rules = snapshot.config.rules.len();
    state.swap(snapshot);
    state.metrics().reloaded(true);
    tracing::info!(target: OPERATION, event = "reload.done", key, rules, "configuration reloaded");
    Ok(())
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
