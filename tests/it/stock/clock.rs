//! The clock of a world: the machine's, and as much ahead or behind as a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use edgemint::clock::{Clock, EpochSeconds, SystemClock};

/// What everything but the browser goes by.
#[derive(Debug, Default)]
pub(super) struct WorldClock {
    ahead: AtomicI64,
    /// Readings of an edge's clock until it moves; below zero, it does not move by itself.
    countdown: AtomicI64,
    leap: AtomicI64,
}

/// The clock of an edge, which may move in the middle of what a browser reads there.
#[derive(Debug)]
pub(super) struct EdgeClock(pub(super) Arc<WorldClock>);

impl WorldClock {
    pub(super) fn new() -> Self {
        Self { countdown: AtomicI64::new(-1), ..Self::default() }
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Moves when the edges have judged so many more requests.
    pub(super) fn advance_after(&self, requests: u32, seconds: i64) {
        self.leap.store(seconds, Ordering::SeqCst);
        self.countdown.store(requests.into(), Ordering::SeqCst);
    }
}

impl Clock for WorldClock {
    fn now(&self) -> EpochSeconds {
        EpochSeconds(SystemClock.now().0.saturating_add_signed(self.ahead.load(Ordering::SeqCst)))
    }
}

impl Clock for EdgeClock {
    fn now(&self) -> EpochSeconds {
        if self.0.countdown.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.0.advance(self.0.leap.load(Ordering::SeqCst));
        }
        self.0.now()
    }
}
