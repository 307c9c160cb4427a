//! Follows the key ring: a folder is watched, Parameter Store is asked every now and then.
//!
//! A ring that has changed is swapped into the snapshot, and nothing else with it. Whatever is wrong
//! with the source, the last good ring stays, until `keys.max_outage` has passed: then the snapshot
//! itself lets nothing sign ([`Snapshot::signer`]), whether this task runs or not. What cannot be
//! read as a ring counts as silence: the ring that it should be is not known.
//!
//! Only here does the ring of a source change that the configuration goes on naming; only a reload
//! changes the source.

use std::mem::{Discriminant, discriminant};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Notify;

use super::snapshot::{NotSigning, Snapshot, read_here};
use super::state::AppState;
use crate::clock::EpochSeconds;
use crate::config::{DEFAULT_KMS_KEY, KeySource};
use crate::keystore::{ActiveRing, Aws, Folder, Keystore, KeystoreError, ProblemKind};
use crate::telemetry::OPERATION;

/// How often a folder is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// The first pause after Parameter Store did not answer an instance that has no key.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Keeps the ring of a service the one that its source holds.
#[derive(Debug)]
pub struct Follower {
    state: AppState,
    aws: Aws,
    /// The source that everything below is about.
    source: Option<KeySource>,
    store: Option<Keystore>,
    /// The manifest that was read last.
    manifest: Option<Trace>,
    problem: Option<Kind>,
    /// Attempts that failed since the last one that did not.
    failures: u32,
    cut_off: bool,
}

/// What differs when a file was replaced or rewritten.
type Trace = (u64, u64, SystemTime);

/// What makes two problems the same to somebody who reads the log.
type Kind = (Discriminant<Failure>, Option<(Discriminant<KeystoreError>, Option<ProblemKind>)>);

/// Why the source could not be followed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Keys(#[from] KeystoreError),
    #[error("the reader was stopped")]
    Stopped(#[from] tokio::task::JoinError),
    #[error(
        "revision {found} was read, which is older than the revision {held} in use: a stale answer"
    )]
    Stale { found: u64, held: u64 },
}

impl Failure {
    fn kind(&self) -> Kind {
        let inner = match self {
            Self::Keys(error @ KeystoreError::Aws(aws)) => {
                Some((discriminant(error), Some(aws.kind)))
            }
            Self::Keys(error) => Some((discriminant(error), None)),
            Self::Stopped(_) | Self::Stale { .. } => None,
        };
        (discriminant(self), inner)
    }
}

/// Follows for as long as the service runs; `asked` asks for a look at once.
pub(super) async fn follow(state: AppState, asked: Arc<Notify>) {
    let mut follower = Follower::new(state, Aws::new());
    loop {
        tokio::select! {
            () = tokio::time::sleep(follower.pause(random_byte())) => follower.look().await,
            () = asked.notified() => follower.look_again().await,
        }
    }
}

impl Follower {
    /// Returns a follower that has not looked yet.
    #[must_use]
    pub fn new(state: AppState, aws: Aws) -> Self {
        Self {
            state,
            aws,
            source: None,
            store: None,
            manifest: None,
            problem: None,
            failures: 0,
            cut_off: false,
        }
    }

    /// How long to wait until the next look; `spread`, a random byte, keeps instances out of step.
    #[must_use]
    pub fn pause(&self, spread: u8) -> Duration {
        let snapshot = self.state.snapshot();
        match &snapshot.config.keys.source {
            KeySource::Folder(_) | KeySource::Credential { .. } => LOOK,
            KeySource::ParameterStore(_) => {
                let interval = snapshot.config.keys.poll_interval;
                spread_out(retry_pause(snapshot.ring.is_some(), self.failures, interval), spread)
            }
        }
    }

    /// Looks at the source, and reads it whole even if it seems not to have changed; a unit's copy too,
    /// which a service manager may renew when it asks the service to reload.
    pub async fn look_again(&mut self) {
        self.manifest = None;
        self.look_at_source(true).await;
    }

    /// Looks at the source once, and takes what has changed.
    pub async fn look(&mut self) {
        self.look_at_source(false).await;
    }

    async fn look_at_source(&mut self, asked: bool) {
        let snapshot = self.state.snapshot();
        let source = &snapshot.config.keys.source;
        if self.source.as_ref() != Some(source) {
            self.begin(source.clone());
        }
        // Asked before: what is read is at least as new.
        let now = self.state.clock().now();
        let found = match source {
            // Copies, which stay as they are until somebody says otherwise.
            KeySource::Credential { .. } if !asked => return,
            KeySource::Credential { .. } => read_off_the_runtime(source.clone()).await,
            KeySource::Folder(folder) => self.look_at(folder, &snapshot).await,
            KeySource::ParameterStore(_) => self.ask(source, &snapshot).await.map(Some),
        };
        match found {
            Ok(found) => self.heard(&snapshot, found, now),
            Err(failure) => self.failed(&snapshot, &failure),
        }
    }

    /// Forgets everything about the source of before.
    fn begin(&mut self, source: KeySource) {
        let (state, aws) = (self.state.clone(), std::mem::take(&mut self.aws));
        *self = Self { source: Some(source), ..Self::new(state, aws) };
    }

    /// Reads a folder, if its manifest is not the one of before.
    async fn look_at(
        &mut self,
        folder: &Path,
        snapshot: &Snapshot,
    ) -> Result<Option<ActiveRing>, Failure> {
        let before = trace(&Folder::new(folder).manifest());
        if before.is_some() && before == self.manifest && self.problem.is_none() {
            return Ok(None);
        }
        let found = read_off_the_runtime(snapshot.config.keys.source.clone()).await?;
        self.manifest = before;
        Ok(found)
    }

    /// Asks Parameter Store for the ring, and for a private key only if it is another one.
    async fn ask(
        &mut self,
        source: &KeySource,
        snapshot: &Snapshot,
    ) -> Result<ActiveRing, Failure> {
        let held = snapshot.ring.as_deref();
        let found = self.store(source).await?.load(held).await?;
        if held.is_none_or(|held| !Arc::ptr_eq(&held.active.key, &found.active.key)) {
            // A connection that stays open keeps the buffer that the private key came in.
            self.store = None;
        }
        match held {
            Some(held) if found.revision < held.revision => {
                Err(Failure::Stale { found: found.revision, held: held.revision })
            }
            _ => Ok(found),
        }
    }

    async fn store(&mut self, source: &KeySource) -> Result<&Keystore, KeystoreError> {
        let store = match self.store.take() {
            Some(store) => store,
            None => Keystore::open(source, DEFAULT_KMS_KEY, &self.aws).await?,
        };
        Ok(self.store.insert(store))
    }

    fn heard(&mut self, snapshot: &Snapshot, found: Option<ActiveRing>, now: EpochSeconds) {
        let held = snapshot.ring.as_deref();
        let changed = found.filter(|found| held.is_none_or(|held| !same(held, found)));
        let source = &snapshot.config.keys.source;
        let ring = changed.map(Arc::new);
        self.state.update(|present| {
            // A reload may have changed the source meanwhile; then this is none of its keys.
            if present.config.keys.source != *source {
                return present.clone();
            }
            let ring = ring.clone().or_else(|| present.ring.clone());
            Snapshot { ring, heard: Some(now), ..present.clone() }
        });
        if let Some(ring) = ring {
            let (key, revision) = (ring.active.id.to_string(), ring.revision);
            tracing::info!(
                target: OPERATION, event = "keys.changed", key, revision, "the key ring has changed"
            );
        }
        if self.problem.take().is_some() {
            let source = source.to_string();
            tracing::info!(
                target: OPERATION, event = "keys.heard", source, "the keys can be read again"
            );
        }
        (self.failures, self.cut_off) = (0, false);
    }

    fn failed(&mut self, snapshot: &Snapshot, failure: &Failure) {
        self.state.metrics().key_errors.inc();
        self.failures = self.failures.saturating_add(1);
        let kind = failure.kind();
        // Where the machine itself could not be asked for a Region or a role, it is asked anew.
        if matches!(kind.1, Some((_, Some(ProblemKind::Region | ProblemKind::Credentials)))) {
            (self.store, self.aws) = (None, Aws::new());
        }
        if self.problem.replace(kind) != Some(kind) {
            let key = snapshot.ring.as_ref().map(|ring| ring.active.id.to_string());
            let key = key.unwrap_or_else(|| "none".to_owned());
            tracing::error!(
                target: OPERATION,
                event = "keys.failed",
                source = %snapshot.config.keys.source,
                problem = %failure,
                key,
                "the keys cannot be read; those of before stay"
            );
        }
        let cut_off = snapshot.signer(self.state.clock().now()).err() == Some(NotSigning::CutOff);
        if cut_off && !std::mem::replace(&mut self.cut_off, true) {
            tracing::error!(
                target: OPERATION,
                event = "keys.cut_off",
                "nothing is signed any more: the keys could not be read for keys.max_outage"
            );
        }
    }
}

/// Reads files where a slow disk keeps no request waiting.
async fn read_off_the_runtime(source: KeySource) -> Result<Option<ActiveRing>, Failure> {
    Ok(tokio::task::spawn_blocking(move || read_here(&source)).await??)
}

fn same(held: &ActiveRing, found: &ActiveRing) -> bool {
    held.revision == found.revision && held.ring == found.ring
}

fn trace(path: &Path) -> Option<Trace> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()?))
}

/// The pause before Parameter Store is asked again: without a key 1 s, 2 s, 4 s and so on, up to
/// the interval; with one always the interval.
fn retry_pause(has_key: bool, failures: u32, interval: Duration) -> Duration {
    match failures {
        _ if has_key => interval,
        0 => Duration::ZERO,
        failures => FIRST_RETRY.saturating_mul(1 << (failures - 1).min(16)).min(interval),
    }
}

/// Between four and six fifths of a pause.
pub(super) fn spread_out(pause: Duration, spread: u8) -> Duration {
    pause * (800 + u32::from(spread) * 400 / 255) / 1000
}

pub(super) fn random_byte() -> u8 {
    let mut byte = [128];
    // Without random numbers, instances may fall into step, and that is all.
    let _ = SystemRandom::new().fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_interval_and_a_service_with_a_key_keeps_to_it() {
        let interval = Duration::from_secs(30);
        let pauses: Vec<u64> =
            (0..8).map(|failures| retry_pause(false, failures, interval).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(retry_pause(false, u32::MAX, interval), interval);
        assert_eq!(retry_pause(true, 0, interval), interval);
        assert_eq!(retry_pause(true, 5, interval), interval);
    }

    #[test]
    fn pauses_are_spread_over_a_fifth_to_both_sides() {
        let pause = Duration::from_secs(30);
        assert_eq!(spread_out(pause, 0), Duration::from_secs(24));
        assert_eq!(spread_out(pause, 255), Duration::from_secs(36));
        for spread in 0..255 {
            assert!(spread_out(pause, spread) <= spread_out(pause, spread + 1));
        }
    }
}
