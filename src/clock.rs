//! The library's only source of time.
//!
//! Everything that depends on the present takes an [`EpochSeconds`] argument or a [`Clock`], so
//! that a test can walk through time. Only [`SystemClock`] reads the machine's clock.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Whole seconds since 1970-01-01T00:00:00Z, the unit of `AWS:EpochTime` and of a JWT's `exp`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EpochSeconds(pub u64);

impl EpochSeconds {
    /// The time `seconds` later, or the last representable one.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The time `seconds` earlier, or the epoch.
    #[must_use]
    pub const fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Seconds from `earlier` to `self`; zero if `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// RFC 3339 in UTC, such as `2026-01-01T18:00:00Z`; plain seconds where no calendar date exists.
impl fmt::Display for EpochSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use time::format_description::well_known::Rfc3339;
        let date = i64::try_from(self.0)
            .ok()
            .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|date| date.format(&Rfc3339).ok());
        match date {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} s after 1970", self.0),
        }
    }
}

/// Says how long a number of seconds is, in its two largest units.
#[must_use]
pub fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Something that knows what time it is.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the present time.
    fn now(&self) -> EpochSeconds;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> EpochSeconds {
        #[expect(clippy::disallowed_methods, reason = "the one reader of the machine's clock")]
        let now = SystemTime::now();
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        EpochSeconds(since_epoch.as_secs())
    }
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug, Default)]
pub struct FixedClock(AtomicU64);

impl FixedClock {
    /// Returns a clock that reads `now`.
    #[must_use]
    pub const fn at(now: EpochSeconds) -> Self {
        Self(AtomicU64::new(now.0))
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, now: EpochSeconds) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// Moves the clock forward by `seconds`.
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> EpochSeconds {
        EpochSeconds(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_rfc_3339_in_utc() {
        assert_eq!(EpochSeconds(1_767_290_400).to_string(), "2026-01-01T18:00:00Z");
        assert_eq!(EpochSeconds(u64::MAX).to_string(), "18446744073709551615 s after 1970");
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(EpochSeconds(5).minus(9), EpochSeconds(0));
        assert_eq!(EpochSeconds(u64::MAX).plus(1), EpochSeconds(u64::MAX));
        assert_eq!(EpochSeconds(5).since(EpochSeconds(9)), 0);
    }

    #[test]
    fn span_uses_the_two_largest_units() {
        for (seconds, expected) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(span(seconds), expected);
        }
    }
}
