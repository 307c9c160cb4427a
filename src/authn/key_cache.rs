//! Verification keys by URL, fetched as seldom as can be.
//!
//! 1. A key that is known and fresh costs nothing.
//! 2. However many ask for a key at once, it is fetched once.
//! 3. A key that could not be had is not asked for again for a while.
//! 4. A key that was known stays believed for a day while its source cannot be reached, and not at all
//!    once its source says that there is no such key.
//! 5. Fetches per minute and keys in memory are bounded, since anyone can invent key IDs.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fetch::{FetchError, Fetcher};
use crate::clock::{Clock, EpochSeconds};
use crate::identity::CLOCK_SKEW_SECONDS;

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
    #[error("the answer is not what was asked for: {0}")]
    Malformed(String),
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
    pub async fn get<E: fmt::Display>(
        &self,
        url: &str,
        max_age: u64,
        stale: Stale,
        parse: impl FnOnce(&[u8]) -> Result<V, E>,
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
        let young = is_within(STALE_LIMIT + 1, known.fetched, self.clock.now());
        known.value.clone().filter(|_| young && stale == Stale::Welcome)
    }

    async fn fetch<E: fmt::Display>(
        &self,
        url: &str,
        parse: impl FnOnce(&[u8]) -> Result<V, E>,
    ) -> Result<V, KeyUnavailable> {
        if !self.spend() {
            return Err(KeyUnavailable::Budget);
        }
        match self.fetcher.fetch(url).await {
            Ok(bytes) => {
                parse(&bytes).map_err(|error| KeyUnavailable::Malformed(error.to_string()))
            }
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
        if let Some(value) = known.value.as_ref().filter(|_| is_within(max_age, known.fetched, now))
        {
            return Some(Ok(value.clone()));
        }
        let (_, failure) =
            known.failure.as_ref().filter(|(at, _)| is_within(RETRY_AFTER, *at, now))?;
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
                if withdrawn || !is_within(STALE_LIMIT + 1, known.fetched, now) {
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

/// Whether less than so many seconds have passed. What a clock that was wrong has dated ahead is of no
/// known age, hence too old.
fn is_within(seconds: u64, then: EpochSeconds, now: EpochSeconds) -> bool {
    then.since(now) <= CLOCK_SKEW_SECONDS && now.since(then) < seconds
}

/// Forgets a key that could not be had, or else the one that was fetched first. One that is being
/// fetched stays: whoever floods the cache must not see to it that a new key is never remembered.
fn make_room<V>(slots: &mut HashMap<String, Arc<Slot<V>>>) {
    let age = |slot: &Arc<Slot<V>>| {
        let known = locked(&slot.known);
        let fetching = slot.fetching.try_lock().is_err();
        (known.value.is_some() || fetching, known.fetched)
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
mod tests;
