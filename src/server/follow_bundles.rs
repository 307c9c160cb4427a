//! Follows the viewer bundles: folders are looked at, buckets are listed every now and then.
//!
//! 1. A change is taken when the source looks the same twice, so that a build or a copy that is under
//!    way is not. What changes while it is read is not taken either: a bundle is never half of one and
//!    half of another.
//! 2. A bundle that was read goes into the snapshot whole, and nothing else with it. The bundle keeps
//!    hashed files of the one before ([`Bundle::after`]).
//! 3. Whatever is wrong with the source, the last good bundle stays. One that was never read is tried
//!    again from second to second at first, then every half a minute.
//!
//! Each bundle has a task of its own, so that a slow bucket keeps no other from being followed. Only here
//! does a bundle change whose origin stays; only a reload changes the origin.

use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::follow::{random_byte, spread_out};
use super::snapshot::Snapshot;
use super::state::AppState;
use crate::aws::{Aws, ProblemKind};
use crate::bundle::{
    Bucket, Bundle, LoadError, Look, Mark, Mount, Origin, S3Error, Stillness, Trace,
};
use crate::config::BundleSource;
use crate::telemetry::OPERATION;

/// How often a folder is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// So much longer than a look at a folder takes is the pause after it: a fiftieth of a core at most.
const REST: u32 = 50;

/// How often a bucket is listed.
const POLL: Duration = Duration::from_secs(30);

/// When a bucket is listed again that has just changed.
const SETTLE: Duration = Duration::from_secs(5);

/// The first pause after a bucket could not be read.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Looks after which what is no bundle, and has not changed, is read again all the same.
const LOOKS_BETWEEN_FAILURES: u32 = 15;

/// How many names that are not served are told for one bundle.
const MAX_SKIPPED: usize = 20;

/// Readings in a row that a change made worthless, after which somebody should know.
const RESTLESS: u32 = 5;

/// Follows all bundles for as long as the service runs; a word from `asked` asks for a look at once.
pub(super) async fn follow(state: AppState, mut asked: watch::Receiver<()>) {
    // Dropped with this task, and with it the tasks in it.
    let mut running = JoinSet::new();
    let mut followed: Vec<(Mount, AbortHandle)> = Vec::new();
    let aws = Arc::new(Aws::new());
    loop {
        let snapshot = state.snapshot();
        followed.retain(|(mount, task)| {
            let stays = snapshot.bundles.mounts().iter().any(|other| is_same(mount, other));
            if !stays {
                task.abort();
            }
            stays && !task.is_finished()
        });
        for mount in snapshot.bundles.mounts() {
            if !followed.iter().any(|(other, _)| is_same(mount, other)) {
                let own = BundleFollower::new(state.clone(), mount, aws.clone());
                let task = running.spawn(follow_one(own, asked.clone()));
                let unread = Mount { bundle: None, mark: None, ..mount.clone() };
                followed.push((unread, task));
            }
        }
        while running.try_join_next().is_some() {}
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            told = asked.changed() => if told.is_err() { return },
        }
    }
}

async fn follow_one(mut follower: BundleFollower, mut asked: watch::Receiver<()>) {
    follower.look().await;
    loop {
        tokio::select! {
            () = tokio::time::sleep(follower.pause(random_byte())) => follower.look().await,
            told = asked.changed() => {
                if told.is_err() {
                    return;
                }
                follower.look_again().await;
            }
        }
    }
}

/// Whether two mounts are one bundle of one origin.
fn is_same(one: &Mount, other: &Mount) -> bool {
    one.path == other.path && one.hosts == other.hosts && one.origin == other.origin
}

/// Keeps a bundle of a service the one that its origin holds.
#[derive(Debug)]
pub struct BundleFollower {
    state: AppState,
    aws: Arc<Aws>,
    path: String,
    hosts: Option<Vec<String>>,
    origin: Arc<Origin>,
    bucket: Option<Bucket>,
    still: Stillness<Mark>,
    problem: Option<Kind>,
    /// Attempts that failed since the last one that did not.
    failures: u32,
    /// Looks at which what is no bundle is not read again.
    skips: u32,
    /// Readings in a row that a change made worthless.
    moved: u32,
    /// How long the last look at a folder took, without reading it.
    took: Duration,
}

/// What makes two problems the same to somebody who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    failure: Discriminant<Failure>,
    load: Option<Discriminant<LoadError>>,
    s3: Option<Discriminant<S3Error>>,
    aws: Option<ProblemKind>,
}

/// Why a bundle could not be followed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    S3(#[from] S3Error),
    #[error("the reader was stopped")]
    Stopped(#[from] tokio::task::JoinError),
    #[error("it changes again and again while it is read; finish copying, or switch a link")]
    Restless,
}

/// What a look led to.
enum Followed {
    /// What is served is what the source holds.
    Current,
    /// It is not yet, or not again.
    Waiting,
}

impl Failure {
    fn kind(&self) -> Kind {
        let none = Kind { failure: discriminant(self), load: None, s3: None, aws: None };
        match self {
            Self::Load(error) => Kind { load: Some(discriminant(error)), ..none },
            Self::S3(error) => {
                let aws = if let S3Error::Aws(problem) = error { Some(problem.kind) } else { None };
                Kind { s3: Some(discriminant(error)), aws, ..none }
            }
            Self::Stopped(_) | Self::Restless => none,
        }
    }

    /// Whether it will be the same until somebody changes the files.
    const fn is_of_the_files(&self) -> bool {
        matches!(self, Self::Load(_) | Self::S3(S3Error::Encoded { .. }))
    }
}

impl BundleFollower {
    /// Returns a follower of a bundle that has not looked yet.
    #[must_use]
    pub fn new(state: AppState, mount: &Mount, aws: Arc<Aws>) -> Self {
        let (path, hosts) = (mount.path.clone(), mount.hosts.clone());
        Self {
            state,
            aws,
            path,
            hosts,
            origin: mount.origin.clone(),
            bucket: None,
            still: Stillness::default(),
            problem: None,
            failures: 0,
            skips: 0,
            moved: 0,
            took: Duration::ZERO,
        }
    }

    /// How long to wait until the next look; `spread`, a random byte, keeps instances out of step.
    #[must_use]
    pub fn pause(&self, spread: u8) -> Duration {
        match &self.origin.source {
            BundleSource::Folder(_) => LOOK.max((self.took * REST).min(POLL)),
            BundleSource::S3 { .. } => {
                spread_out(pause(self.failures, self.still.is_settled()), spread)
            }
        }
    }

    /// Looks once more at what could not be read, however short ago that was.
    pub async fn look_again(&mut self) {
        self.skips = 0;
        self.look().await;
    }

    /// Looks at the source once, and takes what has changed and holds still.
    pub async fn look(&mut self) {
        self.drop_the_expired();
        let Some(mount) = self.mount() else { return };
        match self.follow(&mount).await {
            Ok(Followed::Current) => self.heard(),
            Ok(Followed::Waiting) => {}
            Err(failure) => self.failed(&mount, &failure),
        }
    }

    /// The bundle as it is served; `None` if a reload has taken it away.
    fn mount(&self) -> Option<Mount> {
        let snapshot = self.state.snapshot();
        let mount = snapshot.bundles.at(&self.path, self.hosts.as_deref())?;
        (mount.origin == self.origin).then(|| mount.clone())
    }

    async fn follow(&mut self, mount: &Mount) -> Result<Followed, Failure> {
        let mark = self.mark().await?;
        match self.still.look(mount.mark.as_ref(), mark.clone()) {
            Look::Same => return Ok(Followed::Current),
            Look::Moving => {
                self.skips = 0;
                // What is served is right, so there is time to see whether more is to come.
                if mount.mark.is_some() {
                    return Ok(Followed::Waiting);
                }
            }
            Look::Still => {}
        }
        if self.skips > 0 {
            self.skips -= 1;
            return Ok(Followed::Waiting);
        }
        match self.read(&mark).await? {
            Some(bundle) if self.mark().await? == mark => {
                self.swap(mount, bundle, mark);
                self.still = Stillness::default();
                Ok(Followed::Current)
            }
            _ => {
                self.moved += 1;
                if self.moved < RESTLESS { Ok(Followed::Waiting) } else { Err(Failure::Restless) }
            }
        }
    }

    /// What the source looks like now.
    async fn mark(&mut self) -> Result<Mark, Failure> {
        let origin = self.origin.clone();
        match &origin.source {
            BundleSource::Folder(root) => {
                let (root, limits) = (root.clone(), origin.limits);
                let started = Instant::now();
                let trace = off_the_runtime(move || Trace::of(&root, limits)).await?;
                self.took = started.elapsed();
                Ok(Mark::Folder(trace))
            }
            BundleSource::S3 { bucket, prefix } => {
                let listing = self.bucket(bucket, prefix).await.list(origin.limits).await?;
                Ok(Mark::Objects(Arc::new(listing)))
            }
        }
    }

    /// Reads the source; `None` if it is not any more what the mark says.
    async fn read(&mut self, mark: &Mark) -> Result<Option<Bundle>, Failure> {
        let origin = self.origin.clone();
        let bundle = match (&origin.source, mark) {
            (BundleSource::S3 { bucket, prefix }, Mark::Objects(listing)) => {
                let bucket = self.bucket(bucket, prefix).await;
                let objects = match bucket.fetch(listing).await {
                    Err(S3Error::Changed { .. }) => return Ok(None),
                    fetched => fetched?,
                };
                off_the_runtime(move || Bundle::of_objects(objects, &origin.injection)).await??
            }
            (BundleSource::Folder(root), Mark::Folder(_)) => {
                let root = root.clone();
                off_the_runtime(move || Bundle::load(&root, origin.limits, &origin.injection))
                    .await??
            }
            _ => return Ok(None),
        };
        Ok(Some(bundle))
    }

    async fn bucket(&mut self, name: &str, prefix: &str) -> Bucket {
        let bucket = match self.bucket.take() {
            Some(bucket) => bucket,
            None => Bucket::new(name, prefix, &self.aws).await,
        };
        self.bucket.insert(bucket).clone()
    }

    fn swap(&self, mount: &Mount, bundle: Bundle, mark: Mark) {
        let next = Mount { bundle: Some(Arc::new(bundle)), mark: Some(mark), ..mount.clone() };
        let now = self.state.clock().now();
        self.state.update(|present| {
            let bundles = present.bundles.replace(&next, now);
            Snapshot { bundles, ..present.clone() }
        });
        let Some(Mount { bundle: Some(served), .. }) = self.mount() else { return };
        if mount.bundle.as_ref().is_some_and(|before| Arc::ptr_eq(before, &served)) {
            return;
        }
        self.state.metrics().bundle_changes.inc();
        let (files, bytes) = (served.files().len(), served.total_bytes());
        let (path, source, kept) = (&self.path, &self.origin.source, served.kept());
        tracing::info!(
            target: OPERATION, event = "bundle.changed", path, %source, files, bytes, kept,
            "the viewer bundle has changed"
        );
        for skipped in served.skipped().iter().take(MAX_SKIPPED) {
            tracing::warn!(target: OPERATION, event = "bundle.skipped", path, "{skipped}");
        }
    }

    fn drop_the_expired(&self) {
        let now = self.state.clock().now();
        if self.state.snapshot().bundles.without_the_expired(now).is_some() {
            self.state.update(|present| {
                let left = present.bundles.without_the_expired(now);
                let bundles = left.unwrap_or_else(|| present.bundles.clone());
                Snapshot { bundles, ..present.clone() }
            });
        }
    }

    fn heard(&mut self) {
        (self.failures, self.skips, self.moved) = (0, 0, 0);
        if self.problem.take().is_some() {
            let (path, source) = (&self.path, &self.origin.source);
            tracing::info!(
                target: OPERATION, event = "bundle.heard", path, %source,
                "the viewer bundle can be read again"
            );
        }
    }

    fn failed(&mut self, mount: &Mount, failure: &Failure) {
        self.state.metrics().bundle_errors.inc();
        self.failures = self.failures.saturating_add(1);
        if failure.is_of_the_files() {
            self.skips = LOOKS_BETWEEN_FAILURES;
        }
        let kind = failure.kind();
        // Where the machine itself could not be asked for a Region or a role, it is asked anew.
        if matches!(kind.aws, Some(ProblemKind::Region | ProblemKind::Credentials)) {
            (self.bucket, self.aws) = (None, Arc::new(Aws::new()));
        }
        if self.problem.replace(kind) == Some(kind) {
            return;
        }
        let word = if mount.bundle.is_some() { "the one of before stays" } else { "there is none" };
        tracing::error!(
            target: OPERATION,
            event = "bundle.failed",
            path = self.path,
            source = %self.origin.source,
            problem = %failure,
            "the viewer bundle cannot be read; {word}"
        );
    }
}

/// Runs what reads files, or computes for long, where it keeps no request waiting.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// The pause before a bucket is listed again: after failures 1 s, 2 s, 4 s and so on, a short one while
/// it changes.
fn pause(failures: u32, settled: bool) -> Duration {
    match failures {
        0 if settled => POLL,
        0 => SETTLE,
        failures => FIRST_RETRY.saturating_mul(1 << (failures - 1).min(16)).min(POLL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_listed_every_half_minute_and_sooner_while_it_changes_or_fails() {
        assert_eq!((pause(0, true).as_secs(), pause(0, false).as_secs()), (30, 5));
        let pauses: Vec<u64> = (1..9).map(|failures| pause(failures, true).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(pause(u32::MAX, false), POLL);
    }
}
