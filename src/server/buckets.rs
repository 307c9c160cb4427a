//! How often somebody asks: a token bucket for each, in memory that does not grow.
//!
//! A bucket holds a minute's worth of tokens and fills up evenly. What is kept of it is one time: when
//! it would be full again (the generic cell rate algorithm, ITU-T I.371). A key is remembered as 64
//! bits of a keyed hash, so that nobody can choose keys that fall together. The table is a fixed number
//! of rows; in a row that is full, the bucket that is full the soonest gives way, since it has the least to
//! remember.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::clock::EpochSeconds;

/// Buckets that share a row.
const ROW: usize = 8;

/// A time in microseconds since 1970: a token may be worth less than a millisecond.
type Micros = u64;

/// What a full bucket takes to fill.
const MINUTE: Micros = 60_000_000;

/// Buckets by key.
pub(super) struct Buckets<S = RandomState> {
    hasher: S,
    rows: Mutex<Vec<[Bucket; ROW]>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    /// The key's hash; 0 where there is none.
    mark: u64,
    /// When it is full again.
    full_at: Micros,
    /// When a refusal was last to be told, or 0.
    told_at: Micros,
}

/// Somebody asks too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Emptied {
    /// Seconds until there is a token again; at least one.
    pub(super) retry_after: u64,
    /// Whether to write this down: the first time, and once a minute as long as it goes on.
    pub(super) tell: bool,
}

impl<S: BuildHasher> Buckets<S> {
    /// Returns `rows` rows of full buckets; `hasher` must be keyed at random.
    pub(super) fn new(rows: usize, hasher: S) -> Self {
        Self { hasher, rows: Mutex::new(vec![[Bucket::default(); ROW]; rows.max(1)]) }
    }

    /// Takes a token from a key's bucket, into which `per_minute` fall; with 0 there is no limit.
    ///
    /// # Errors
    /// [`Emptied`] if there is none. Asking again then does not make the wait longer.
    pub(super) fn take(
        &self,
        key: impl Hash,
        per_minute: u32,
        now: EpochSeconds,
    ) -> Result<(), Emptied> {
        if per_minute == 0 {
            return Ok(());
        }
        let mark = self.hasher.hash_one(key).max(1);
        let now = now.0.saturating_mul(1_000_000);
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(mark % rows.len() as u64).unwrap_or_default();
        let Some(row) = rows.get_mut(at) else { return Ok(()) };
        let Some(bucket) = bucket_in(row, mark) else { return Ok(()) };
        bucket.take(MINUTE / u64::from(per_minute), now)
    }
}

/// The key's bucket, or in its place the one that is full the soonest.
fn bucket_in(row: &mut [Bucket; ROW], mark: u64) -> Option<&mut Bucket> {
    let known = row.iter().position(|bucket| bucket.mark == mark);
    if let Some(at) = known {
        return row.get_mut(at);
    }
    let bucket = row.iter_mut().min_by_key(|bucket| bucket.full_at)?;
    *bucket = Bucket { mark, ..Bucket::default() };
    Some(bucket)
}

impl Bucket {
    fn take(&mut self, token: Micros, now: Micros) -> Result<(), Emptied> {
        // A time that no asking explains is that of a clock which was set back since: nobody is shut out
        // for that.
        let jumped = self.full_at > now.saturating_add(2 * MINUTE);
        let full_at =
            if jumped { now } else { self.full_at.clamp(now, now.saturating_add(MINUTE)) };
        self.full_at = full_at;
        let after = full_at.saturating_add(token);
        let missing = after.saturating_sub(now.saturating_add(MINUTE));
        if missing == 0 {
            self.full_at = after;
            return Ok(());
        }
        let tell = now.abs_diff(self.told_at) >= MINUTE;
        if tell {
            self.told_at = now;
        }
        Err(Emptied { retry_after: missing.div_ceil(1_000_000).max(1), tell })
    }
}

impl<S> fmt::Debug for Buckets<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: EpochSeconds = EpochSeconds(1_000_000);

    fn buckets(rows: usize) -> Buckets {
        Buckets::new(rows, RandomState::new())
    }

    /// How many tokens a key gets at one moment.
    fn drain(buckets: &Buckets, key: &str, per_minute: u32, now: EpochSeconds) -> u32 {
        let mut taken = 0;
        while buckets.take(key, per_minute, now).is_ok() {
            taken += 1;
            assert!(taken <= per_minute, "a bucket holds no more than a minute's worth");
        }
        taken
    }

    #[test]
    fn a_bucket_holds_a_minutes_worth_and_fills_up_evenly() {
        let buckets = buckets(4);
        assert_eq!(drain(&buckets, "ada", 60, NOW), 60);
        assert_eq!(drain(&buckets, "ada", 60, NOW.plus(1)), 1);
        assert_eq!(drain(&buckets, "ada", 60, NOW.plus(31)), 30);
        assert_eq!(drain(&buckets, "ada", 60, NOW.plus(1000)), 60);
        for per_minute in [1, 7, 600, 1_000_000] {
            let got = drain(&buckets, &format!("{per_minute}"), per_minute, NOW);
            assert_eq!(got, per_minute);
        }
    }

    #[test]
    fn one_key_takes_nothing_from_another() {
        let buckets = buckets(64);
        assert_eq!(drain(&buckets, "ada", 60, NOW), 60);
        assert_eq!(drain(&buckets, "ben", 60, NOW), 60);
        assert!(buckets.take("ada", 60, NOW).is_err());
    }

    #[test]
    fn nothing_is_no_limit() {
        let buckets = buckets(1);
        assert!((0..10_000).all(|_| buckets.take("ada", 0, NOW).is_ok()));
    }

    #[test]
    fn the_wait_is_told_in_seconds_and_asking_does_not_lengthen_it() {
        let buckets = buckets(1);
        drain(&buckets, "ada", 2, NOW);
        for _ in 0..100 {
            assert_eq!(buckets.take("ada", 2, NOW).unwrap_err().retry_after, 30);
        }
        assert_eq!(buckets.take("ada", 2, NOW.plus(29)).unwrap_err().retry_after, 1);
        assert!(buckets.take("ada", 2, NOW.plus(30)).is_ok());
    }

    #[test]
    fn a_refusal_is_told_once_a_minute() {
        let buckets = buckets(1);
        drain(&buckets, "ada", 1, NOW);
        let mut told = 0;
        for second in 1..240 {
            for _ in 0..20 {
                told += u32::from(buckets.take("ada", 1, NOW.plus(second)).is_err_and(|e| e.tell));
            }
        }
        assert!((3..=4).contains(&told), "{told} times in four minutes");
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out() {
        let buckets = buckets(1);
        drain(&buckets, "ada", 60, NOW);
        let before = NOW.minus(500_000);
        assert_eq!(drain(&buckets, "ada", 60, before), 60);
        assert!(buckets.take("ada", 60, before).unwrap_err().retry_after <= 60);
        drain(&buckets, "ben", 60, NOW);
        let a_little_before = NOW.minus(30);
        assert!(buckets.take("ben", 60, a_little_before).unwrap_err().retry_after <= 60);
        assert_eq!(drain(&buckets, "ben", 60, a_little_before.plus(60)), 60);
    }

    #[test]
    fn a_flood_of_keys_grows_nothing_and_leaves_those_who_are_shut_out_so() {
        let buckets = buckets(4);
        assert_eq!(drain(&buckets, "ada", 60, NOW), 60);
        for number in 0..100_000_u32 {
            assert!(buckets.take(number, 60, NOW).is_ok());
        }
        assert!(buckets.take("ada", 60, NOW).is_err());
        assert_eq!(buckets.rows.lock().unwrap().len(), 4);
    }
}
