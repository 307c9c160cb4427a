//! What handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

use super::snapshot::Snapshot;
use super::throttle::Throttle;
use crate::authn::{Authenticator, CacheLimits, Fetcher, Providers};
use crate::bundle::{Compressor, Reads};
use crate::clock::Clock;
use crate::issuer::Issuer;
use crate::telemetry::{KeyFacts, Metrics};

/// What handlers share; cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    snapshot: ArcSwap<Snapshot>,
    longest_lifetime: AtomicU64,
    clock: Arc<dyn Clock>,
    authenticator: Authenticator,
    providers: Providers,
    issuer: Issuer,
    metrics: Arc<Metrics>,
    throttle: Throttle,
    compressor: Compressor,
    reads: Reads,
    draining: AtomicBool,
    in_work: AtomicUsize,
}

impl AppState {
    /// Assembles the service around its first snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot, clock: Arc<dyn Clock>, fetcher: &Arc<dyn Fetcher>) -> Self {
        let metrics = Arc::new(Metrics::new());
        let limits = snapshot.config.limits;
        let cache_limits = CacheLimits { fetches_per_minute: limits.key_fetches_per_minute };
        let counted = metrics.clone();
        let issuer = Issuer::new(limits.signing_threads, limits.signing_queue, move || {
            counted.signatures.inc();
        });
        let longest_lifetime = AtomicU64::new(snapshot.longest_lifetime());
        let snapshot = ArcSwap::from_pointee(heard_now(snapshot, clock.as_ref()));
        let state = Self(Arc::new(Shared {
            snapshot,
            longest_lifetime,
            providers: Providers::new(&clock, fetcher, cache_limits),
            authenticator: Authenticator::new(clock.clone(), fetcher, cache_limits),
            clock,
            issuer,
            metrics,
            throttle: Throttle::new(),
            compressor: Compressor::default(),
            reads: Reads::default(),
            draining: AtomicBool::new(false),
            in_work: AtomicUsize::new(0),
        }));
        state.compress();
        state
    }

    /// The snapshot that holds now; take it once per request.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// Swaps the snapshot, with keys just read; requests at work keep theirs.
    pub fn swap(&self, snapshot: Snapshot) {
        self.0.longest_lifetime.fetch_max(snapshot.longest_lifetime(), Ordering::AcqRel);
        // Held, so that the next bundle takes over what was compressed for the last one.
        let _before = self.snapshot();
        self.0.snapshot.store(Arc::new(heard_now(snapshot, self.clock())));
        self.compress();
    }

    /// Seconds that the longest of all cookies lives that any configuration since the start has allowed:
    /// those given under an earlier one are still out.
    #[must_use]
    pub fn longest_lifetime(&self) -> u64 {
        self.0.longest_lifetime.load(Ordering::Acquire)
    }

    /// Makes the next snapshot out of the one that holds now, whoever else does so meanwhile.
    pub(super) fn update(&self, next: impl Fn(&Snapshot) -> Snapshot) {
        let _before = self.0.snapshot.rcu(|present| next(present));
        self.compress();
    }

    /// Has the shim's own files compressed in the background, if they are not yet.
    pub(super) fn compress_scripts(&self, snapshot: &Snapshot) {
        self.0.compressor.take_on(&snapshot.scripts);
    }

    /// Has what is not compressed yet compressed in the background.
    fn compress(&self) {
        let snapshot = self.snapshot();
        for mount in snapshot.bundles.mounts() {
            if let Some(bundle) = &mount.bundle {
                self.0.compressor.take_on(bundle);
            }
        }
    }

    /// Metrics as text, with what they say of the keys at this moment.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let snapshot = self.snapshot();
        let ring = snapshot.ring.as_deref();
        let active = ring.and_then(|ring| ring.ring.active());
        self.metrics().keys(&KeyFacts {
            key_pair_id: active.map(|member| member.id.to_string()),
            created: active.map_or(0, |member| member.created.0),
            revision: ring.map_or(0, |ring| ring.revision),
            heard: snapshot.heard.unwrap_or_default().0,
            signing: snapshot.signer(self.clock().now()).is_ok(),
        });
        let unread =
            snapshot.bundles.mounts().iter().filter(|mount| mount.bundle.is_none()).count();
        self.metrics().bundles_unread.set(i64::try_from(unread).unwrap_or(i64::MAX));
        self.metrics().to_text()
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.0.clock.as_ref()
    }

    /// Verifies identities.
    #[must_use]
    pub fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }

    /// Signs people in at providers.
    #[must_use]
    pub fn providers(&self) -> &Providers {
        &self.0.providers
    }

    /// Issues cookies.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.0.issuer
    }

    /// Counts.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Counts who asks how often.
    pub(super) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    /// Reads those of the viewer's files that stay on disk.
    pub(super) fn reads(&self) -> &Reads {
        &self.0.reads
    }

    /// Whether the service wants requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.0.draining.load(Ordering::Acquire)
    }

    pub(super) fn set_draining(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Takes one of the places for requests at work, if one is left.
    pub(super) fn admit(&self, most: usize) -> Option<Admitted> {
        let before = self.0.in_work.fetch_add(1, Ordering::AcqRel);
        let admitted = Admitted(self.clone());
        (before < most).then_some(admitted)
    }
}

/// Everyone who has arrived takes a place, or is turned away, before the costly part of anyone's work begins.
/// Else those who wait would do so unseen, and the longer the more they are.
pub(super) async fn everyone_has_arrived() {
    tokio::task::yield_now().await;
}

/// Keys that came with a snapshot were read for it.
fn heard_now(snapshot: Snapshot, clock: &dyn Clock) -> Snapshot {
    let heard = snapshot.ring.as_ref().map(|_| clock.now());
    Snapshot { heard, ..snapshot }
}

/// A place among the requests at work, given back when dropped.
#[derive(Debug)]
pub(super) struct Admitted(AppState);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.0.in_work.fetch_sub(1, Ordering::AcqRel);
    }
}
