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
                (false, "known") if !self.withdrawn.load(Ordering::SeqCst) => Ok(b"key".to_vec()),
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
    cache.get(url, 3600, Stale::Welcome, |bytes| Ok::<_, String>(bytes.to_vec())).await
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
async fn a_known_key_outlives_a_spent_budget() {
    let (clock, fetcher, cache) = cache();
    get(&cache, "known").await.unwrap();
    clock.advance(7200);
    for n in 0..10 {
        assert!(get(&cache, &format!("invented-{n}")).await.is_err());
    }
    assert!(get(&cache, "known").await.is_ok(), "it is stale, and cannot be looked at just now");
    assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn a_flood_does_not_push_out_a_key_that_is_being_fetched() {
    let (clock, fetcher, cache) = cache();
    let mut fetching = Box::pin(get(&cache, "known"));
    assert!(poll_once(&mut fetching).is_none());
    for n in 0..1000 {
        assert!(get(&cache, &format!("invented-{n}")).await.is_err());
    }
    assert!(fetching.await.is_ok());
    assert!(get(&cache, "known").await.is_ok(), "it was fetched, and is not remembered");
    assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 5);
    clock.advance(60);
    assert!(get(&cache, "known").await.is_ok());
    assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_source_that_hangs_holds_up_nobody_who_can_do_without() {
    let (clock, fetcher, cache) = cache();
    get(&cache, "known").await.unwrap();
    clock.advance(3600);
    let mut hanging = Box::pin(get(&cache, "known"));
    assert!(poll_once(&mut hanging).is_none());
    let mut another = Box::pin(get(&cache, "known"));
    assert!(poll_once(&mut another).is_some_and(|outcome| outcome.is_ok()));
    assert!(hanging.await.is_ok());
    assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_clock_that_was_ahead_makes_no_key_last_longer() {
    let (clock, fetcher, cache) = cache();
    get(&cache, "known").await.unwrap();
    get(&cache, "unknown").await.unwrap_err();
    clock.set(EpochSeconds(600));
    fetcher.withdrawn.store(true, Ordering::SeqCst);
    assert_eq!(get(&cache, "known").await, Err(KeyUnavailable::Unknown));
    assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 3);
    get(&cache, "unknown").await.unwrap_err();
    assert_eq!(fetcher.fetches.load(Ordering::SeqCst), 4);
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
    let again =
        cache.get("known", 60, Stale::Useless, |bytes| Ok::<_, String>(bytes.to_vec())).await;
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

/// The outcome, if there is one without waiting.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
