//! Verification keys by URL, fetched as seldom as can be.
//!
//! 1. A key that is known and fresh costs nothing.
//! 2. However many ask for a key at once, it is fetched once.
//! 3. A key that could not be had is not asked for again for a while.
//! 4. A key that was known stays believed for a day while its source cannot be reached, and not at all
//!    once its source says that there is no such key.
//! 5. Fetches per minute and keys in memory are bounded, since anyone can invent key IDs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fetch::{FetchError, Fetcher};
use crate::clock::{Clock, EpochSeconds};
use crate::identity::TokenError;

/// How long a key that could not be had is not asked for again, in seconds.
const RETRY_AFTER: u64 = 30;

/// How long a key is believed while its source cannot be reached, in seconds.
const STALE_LIMIT: u64 = 24 * 60 * 60;

/// The most URLs that are remembered, known and unknown keys together.
const MAX_ENTRIES: usize = 256;

/// Bounds of one cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Fetches per minute.
    pub fetches_per_minute: u32,
}

/// Why a key cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyUnavailable {
    /// There is no such key.
    #[error("there is no such key")]
    Unknown,
    /// Its source does not answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its source answers with something else.
    #[error("the key service's answer is no key: {0}")]
    Malformed(TokenError),
    /// Too many keys were asked for in this minute.
    #[error("too many unknown keys were asked for within a minute")]
    Budget,
}

/// A cache of keys of one kind.
#[derive(Debug)]
pub struct KeyCache<V> {
    clock: Arc<dyn Clock>,
    fetcher: Arc<dyn Fetcher>,
    slots: Mutex<HashMap<String, Arc<Slot<V>>>>,
    budget: Mutex<Budget>,
    fetches_per_minute: u32,
    absence: Absence,
}

/// What it means that a source answers "there is no such thing".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The URL names one key, which does not exist or is withdrawn.
    NoSuchKey,
    /// The URL names all keys, so its source is out of order.
    Outage,
}

/// Whether a key will do whose source could not be asked just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// It will.
    Welcome,
    /// It was looked at already, and lacks what is needed.
    Useless,
}

#[derive(Debug)]
struct Slot<V> {
    known: Mutex<Known<V>>,
    /// Held while fetching, so that one asker fetches and the others wait for the outcome.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known<V> {
    value: Option<Arc<V>>,
    fetched: EpochSeconds,
    failure: Option<(EpochSeconds, KeyUnavailable)>,
}

#[derive(Debug, Default)]
struct Budget {
    minute: u64,
    used: u32,
}

impl<V> KeyCache<V> {
    /// Returns an empty cache.
    #[must_use]
    pub fn new(
        clock: Arc<dyn Clock>,
        fetcher: Arc<dyn Fetcher>,
        limits: CacheLimits,
        absence: Absence,
    ) -> Self {
        Self {
            clock,
            fetcher,
            slots: Mutex::default(),
            budget: Mutex::default(),
            fetches_per_minute: limits.fetches_per_minute,
            absence,
        }
    }

    /// Returns the key at `url`, no older than `max_age` seconds if its source can be reached.
    ///
    /// # Errors
    /// [`KeyUnavailable`] when it is not known and cannot be had.
    pub async fn get(
        &self,
        url: &str,
        max_age: u64,
        stale: Stale,
        parse: impl FnOnce(&[u8]) -> Result<V, TokenError>,
    ) -> Result<Arc<V>, KeyUnavailable> {
        let slot = self.slot(url);
        if let Some(settled) = self.settled(&slot, max_age, stale) {
            return settled;
        }
        let _fetching = match (slot.fetching.try_lock(), self.believed(&slot, stale)) {
            (Ok(fetching), _) => fetching,
            // One asker waits for a source that hangs; those who can do without need not.
            (Err(_), Some(value)) => return Ok(value),
            (Err(_), None) => slot.fetching.lock().await,
        };
        // Whoever held the lock has settled it.
        if let Some(settled) = self.settled(&slot, max_age, stale) {
            return settled;
        }
        let outcome = self.fetch(url, parse).await;
        self.settle(&slot, outcome, stale)
    }

    /// A value that may be believed although it is not fresh.
    fn believed(&self, slot: &Slot<V>, stale: Stale) -> Option<Arc<V>> {
        let known = locked(&slot.known);
        let young = self.clock.now().since(known.fetched) <= STALE_LIMIT;
        known.value.clone().filter(|_| young && stale == Stale::Welcome)
    }

    async fn fetch(
        &self,
        url: &str,
        parse: impl FnOnce(&[u8]) -> Result<V, TokenError>,
    ) -> Result<V, KeyUnavailable> {
        if !self.spend() {
            return Err(KeyUnavailable::Budget);
        }
        match self.fetcher.fetch(url).await {
            Ok(bytes) => parse(&bytes).map_err(KeyUnavailable::Malformed),
            Err(FetchError::NotFound(_)) if self.absence == Absence::NoSuchKey => {
                Err(KeyUnavailable::Unknown)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The answer, if it is known without fetching.
    fn settled(
        &self,
        slot: &Slot<V>,
        max_age: u64,
        stale: Stale,
    ) -> Option<Result<Arc<V>, KeyUnavailable>> {
        let believed = self.believed(slot, stale);
        let now = self.clock.now();
        let known = locked(&slot.known);
        if let Some(value) = known.value.as_ref().filter(|_| now.since(known.fetched) < max_age) {
            return Some(Ok(value.clone()));
        }
        let (_, failure) = known.failure.as_ref().filter(|(at, _)| now.since(*at) < RETRY_AFTER)?;
        Some(believed.ok_or_else(|| failure.clone()))
    }

    fn settle(
        &self,
        slot: &Slot<V>,
        outcome: Result<V, KeyUnavailable>,
        stale: Stale,
    ) -> Result<Arc<V>, KeyUnavailable> {
        let now = self.clock.now();
        let mut known = locked(&slot.known);
        match outcome {
            Ok(value) => {
                let value = Arc::new(value);
                *known = Known { value: Some(value.clone()), fetched: now, failure: None };
                Ok(value)
            }
            Err(failure) => {
                // A spent budget says nothing about this key, so the next minute may ask again.
                if failure != KeyUnavailable::Budget {
                    known.failure = Some((now, failure.clone()));
                }
                // A source that answers "no such key" has withdrawn it.
                let withdrawn = failure == KeyUnavailable::Unknown;
                if withdrawn || now.since(known.fetched) > STALE_LIMIT {
                    known.value = None;
                }
                let useful = known.value.clone().filter(|_| stale == Stale::Welcome);
                useful.ok_or(failure)
            }
        }
    }

    fn slot(&self, url: &str) -> Arc<Slot<V>> {
        let mut slots = locked(&self.slots);
        if let Some(slot) = slots.get(url) {
            return slot.clone();
        }
        if slots.len() >= MAX_ENTRIES {
            make_room(&mut slots);
        }
        let known = Known { value: None, fetched: EpochSeconds::default(), failure: None };
        let slot =
            Arc::new(Slot { known: Mutex::new(known), fetching: tokio::sync::Mutex::default() });
        slots.insert(url.to_owned(), slot.clone());
        slot
    }

    fn spend(&self) -> bool {
        let minute = self.clock.now().0 / 60;
        let mut budget = locked(&self.budget);
        if budget.minute != minute {
            *budget = Budget { minute, used: 0 };
        }
        budget.used += 1;
        budget.used <= self.fetches_per_minute
    }
}

/// Forgets a key that could not be had, or else the one that was fetched first.
fn make_room<V>(slots: &mut HashMap<String, Arc<Slot<V>>>) {
    let age = |slot: &Arc<Slot<V>>| {
        let known = locked(&slot.known);
        (known.value.is_some(), known.fetched)
    };
    let oldest = slots.iter().min_by_key(|(_, slot)| age(slot)).map(|(url, _)| url.clone());
    if let Some(url) = oldest {
        slots.remove(&url);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::clock::FixedClock;

    #[derive(Debug, Default)]
    struct Counting {
        fetches: AtomicUsize,
        down: AtomicBool,
        withdrawn: AtomicBool,
    }

    impl Fetcher for Counting {
        fn fetch<'a>(
            &'a self,
            url: &'a str,
        ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchError>> + Send + 'a>> {
            Box::pin(async move {
                self.fetches.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                match (self.down.load(Ordering::SeqCst), url) {
                    (true, _) => Err(FetchError::Unreachable("down".to_owned())),
                    (false, "known") if !self.withdrawn.load(Ordering::SeqCst) => {
                        Ok(b"key".to_vec())
                    }
                    (false, _) => Err(FetchError::NotFound(404)),
                }
            })
        }
    }

    fn cache() -> (Arc<FixedClock>, Arc<Counting>, KeyCache<Vec<u8>>) {
        let clock = Arc::new(FixedClock::at(EpochSeconds(6_000)));
        let fetcher = Arc::new(Counting::default());
        let limits = CacheLimits { fetches_per_minute: 5 };
        let absence = Absence::NoSuchKey;
        let cache = KeyCache::new(clock.clone(), fetcher.clone(), limits, absence);
        (clock, fetcher, cache)
    }

    async fn get(cache: &KeyCache<Vec<u8>>, url: &str) -> Result<Arc<Vec<u8>>, KeyUnavailable> {
        cache.get(url, 3600, Stale::Welcome, |bytes| Ok(bytes.to_vec())).await
    }

    #[tokio::test]
    async fn many_askers_fetch_once() {
        let (_, fetcher, cache) = cache();
        let asking = (0..50).map(|_| get(&cache, "known"));
        for outcome in futures_join(asking).await {
            assert!(outcome.is_ok());
        }
        assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_unknown_key_is_not_asked_for_again_at_once() {
        let (clock, fetcher, cache) = cache();
        for _ in 0..10 {
            assert_eq!(get(&cache, "unknown").await, Err(KeyUnavailable::Unknown));
        }
        assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 1);
        clock.advance(RETRY_AFTER);
        let _ = get(&cache, "unknown").await;
        assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn invented_keys_cost_no_more_than_the_budget_in_fetches_or_memory() {
        let (clock, fetcher, cache) = cache();
        get(&cache, "known").await.unwrap();
        for n in 0..1000 {
            assert!(get(&cache, &format!("invented-{n}")).await.is_err());
        }
        assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 5);
        assert!(locked(&cache.slots).len() <= MAX_ENTRIES);
        assert!(get(&cache, "known").await.is_ok(), "the flood pushed out a good key");
        clock.advance(60);
        assert_eq!(get(&cache, "invented-again").await, Err(KeyUnavailable::Unknown));
    }

    #[tokio::test]
    async fn a_known_key_stays_while_its_source_is_down() {
        let (clock, fetcher, cache) = cache();
        get(&cache, "known").await.unwrap();
        fetcher.down.store(true, Ordering::SeqCst);
        clock.advance(7200);
        assert!(get(&cache, "known").await.is_ok());
        assert!(get(&cache, "known").await.is_ok());
        assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 2);
        fetcher.down.store(false, Ordering::SeqCst);
        clock.advance(RETRY_AFTER);
        assert!(get(&cache, "known").await.is_ok());
        assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 3);
        fetcher.down.store(true, Ordering::SeqCst);
        clock.advance(STALE_LIMIT + 1);
        assert!(get(&cache, "known").await.is_err(), "a day later it is not");
    }

    #[tokio::test]
    async fn a_withdrawn_key_is_believed_no_longer() {
        let (clock, fetcher, cache) = cache();
        get(&cache, "known").await.unwrap();
        fetcher.withdrawn.store(true, Ordering::SeqCst);
        clock.advance(3600);
        assert_eq!(get(&cache, "known").await, Err(KeyUnavailable::Unknown));
    }

    #[tokio::test]
    async fn a_whole_set_that_is_not_there_is_an_outage() {
        let (clock, fetcher, mut cache) = cache();
        cache.absence = Absence::Outage;
        get(&cache, "known").await.unwrap();
        fetcher.withdrawn.store(true, Ordering::SeqCst);
        clock.advance(3600);
        assert!(get(&cache, "known").await.is_ok(), "it is believed for a day");
        let again = cache.get("known", 60, Stale::Useless, |bytes| Ok(bytes.to_vec())).await;
        assert_eq!(again, Err(KeyUnavailable::Fetch(FetchError::NotFound(404))));
    }

    async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
        let mut pending: Vec<_> = futures.map(Box::pin).collect();
        let mut done: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
        std::future::poll_fn(|context| {
            for (future, slot) in pending.iter_mut().zip(&mut done) {
                if slot.is_none()
                    && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
                {
                    *slot = Some(output);
                }
            }
            if done.iter().all(Option::is_some) {
                std::task::Poll::Ready(())
            } else {
                context.waker().wake_by_ref();
                std::task::Poll::Pending
            }
        })
        .await;
        done.into_iter().flatten().collect()
    }
}
