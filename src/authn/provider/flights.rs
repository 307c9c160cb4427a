//! One refresh for many askers: several tabs renew at once with the same refresh token, and a provider
//! that rotates refresh tokens takes it only from the first.
//!
//! The outcome is remembered for a short while, so that a tab that comes a moment later gets it too. A
//! refresh that has begun is finished though nobody waits for it any more: its answer holds the only
//! token that still works.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::clock::EpochSeconds;

/// Seconds for which an outcome is remembered.
const REMEMBERED: u64 = 30;

/// The most refreshes that are remembered or under way.
const MAX_FLIGHTS: usize = 2048;

/// What makes two refreshes the same: a digest over the token and the host.
pub(super) type Mark = [u8; 32];

/// Refreshes under way, and those that have just ended.
#[derive(Debug)]
pub(super) struct Flights<T> {
    known: Mutex<HashMap<Mark, Flight<T>>>,
}

#[derive(Debug)]
struct Flight<T> {
    begun: EpochSeconds,
    outcome: watch::Receiver<Option<T>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { known: Mutex::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Returns the outcome of the flight of this mark, which `begin` begins if there is none. `None`
    /// when the flight was cut, as by the end of the program.
    pub(super) async fn join<F>(
        &self,
        mark: Mark,
        now: EpochSeconds,
        begin: impl FnOnce() -> F,
    ) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut outcome = self.flight(mark, now, begin);
        outcome.wait_for(Option::is_some).await.ok()?.clone()
    }

    fn flight<F>(
        &self,
        mark: Mark,
        now: EpochSeconds,
        begin: impl FnOnce() -> F,
    ) -> watch::Receiver<Option<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = known.get(&mark)
            && !flight.is_over(now)
        {
            return flight.outcome.clone();
        }
        known.retain(|_, flight| !flight.is_over(now));
        if known.len() >= MAX_FLIGHTS {
            let oldest = known.iter().min_by_key(|(_, flight)| flight.begun).map(|(mark, _)| *mark);
            oldest.and_then(|mark| known.remove(&mark));
        }
        let (sender, outcome) = watch::channel(None);
        let work = begin();
        tokio::spawn(async move {
            // Nobody may be waiting any more.
            let _ = sender.send(Some(work.await));
        });
        known.insert(mark, Flight { begun: now, outcome: outcome.clone() });
        outcome
    }
}

impl<T> Flight<T> {
    fn is_over(&self, now: EpochSeconds) -> bool {
        // One that a clock was wrong about is of no known age.
        let is_old = now.since(self.begun) >= REMEMBERED || self.begun.since(now) >= REMEMBERED;
        is_old && self.outcome.borrow().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const NOW: EpochSeconds = EpochSeconds(1000);

    #[tokio::test]
    async fn many_askers_share_one_flight_and_its_memory() {
        let flights = Arc::new(Flights::<usize>::default());
        let begun = Arc::new(AtomicUsize::new(0));
        let ask = |now| {
            let (flights, begun) = (flights.clone(), begun.clone());
            async move {
                let work = || async move {
                    tokio::task::yield_now().await;
                    begun.fetch_add(1, Ordering::SeqCst)
                };
                flights.join([1; 32], now, work).await
            }
        };
        let asking: Vec<_> = (0..50).map(|_| tokio::spawn(ask(NOW))).collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), Some(0));
        }
        assert_eq!(ask(NOW.plus(REMEMBERED - 1)).await, Some(0));
        assert_eq!(ask(NOW.plus(REMEMBERED)).await, Some(1));
    }

    #[tokio::test]
    async fn a_flight_is_finished_though_its_asker_has_gone() {
        let flights = Flights::<u8>::default();
        let (land, landed) = tokio::sync::oneshot::channel::<()>();
        let work = || async move {
            landed.await.unwrap();
            7
        };
        {
            let mut asking = Box::pin(flights.join([1; 32], NOW, work));
            let waker = std::task::Waker::noop();
            let mut context = std::task::Context::from_waker(waker);
            assert!(asking.as_mut().poll(&mut context).is_pending());
        }
        land.send(()).unwrap();
        let again = || async { panic!("a second flight") };
        assert_eq!(flights.join([1; 32], NOW, again).await, Some(7));
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let flights = Flights::<u8>::default();
        for number in 0..MAX_FLIGHTS + 100 {
            let mut mark = [0; 32];
            mark[..8].copy_from_slice(&number.to_be_bytes());
            flights.join(mark, NOW, || async { 1 }).await;
        }
        assert!(flights.known.lock().unwrap().len() <= MAX_FLIGHTS);
    }
}
