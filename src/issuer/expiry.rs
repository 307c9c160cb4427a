//! Expiry, rounded so that people who ask minutes apart share one policy.

use crate::access::Lifetime;
use crate::clock::EpochSeconds;

/// A policy lives between eleven twelfths of its rule's lifetime and all of it.
const STEPS: u64 = 12;

/// Returns the last multiple of a twelfth of the lifetime that is within the lifetime from now.
pub(super) fn rounded_expiry(now: EpochSeconds, lifetime: Lifetime) -> EpochSeconds {
    let step = (lifetime.seconds() / STEPS).max(1);
    let latest = now.plus(lifetime.seconds()).0;
    EpochSeconds(latest - latest % step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_shared_within_a_step_and_never_late() {
        for seconds in [30, 59, 60, 61, 3600, 24 * 3600] {
            let lifetime = Lifetime::from_seconds(seconds).unwrap();
            for now in (1_000_000..1_010_000).step_by(7).map(EpochSeconds) {
                let life = rounded_expiry(now, lifetime).since(now);
                assert!(life <= seconds, "{life} > {seconds}");
                assert!(life > seconds - (seconds / STEPS).max(1), "{life} for {seconds}");
            }
        }
        let hour = Lifetime::from_seconds(3600).unwrap();
        let start = EpochSeconds(3600 * 1000);
        assert_eq!(rounded_expiry(start, hour), rounded_expiry(start.plus(299), hour));
        assert_ne!(rounded_expiry(start, hour), rounded_expiry(start.plus(300), hour));
    }
}
