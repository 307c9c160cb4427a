//! How often a person and an address may ask for what costs something: cookies, sign-in, sign-out.

use std::hash::RandomState;
use std::net::{IpAddr, Ipv4Addr};

use super::buckets::{Buckets, Emptied};
use crate::clock::EpochSeconds;
use crate::config::Limits;
use crate::identity::Identity;
use crate::telemetry::LimitedBy;

/// Rows of eight buckets: 16,384 people and as many addresses, in 800 KB.
const ROWS: usize = 2048;

/// Buckets of people and of addresses. They outlive every reload.
#[derive(Debug)]
pub(super) struct Throttle {
    subjects: Buckets,
    addresses: Buckets,
}

/// A person or an address asks too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests of one {}", match .by {
    LimitedBy::Subject => "person (limits.asks_per_minute_per_subject)",
    LimitedBy::Address => "address (limits.asks_per_minute_per_address)",
})]
pub(super) struct TooMany {
    /// Whose limit it is.
    pub(super) by: LimitedBy,
    /// Seconds until the next one is answered.
    pub(super) retry_after: u64,
    /// Whether the record is to hold this one: a flood of requests must not be one of lines.
    pub(super) tell: bool,
}

impl Throttle {
    /// Returns full buckets for everybody.
    pub(super) fn new() -> Self {
        let buckets = || Buckets::new(ROWS, RandomState::new());
        Self { subjects: buckets(), addresses: buckets() }
    }

    /// Counts one ask of a person.
    pub(super) fn subject(
        &self,
        identity: &Identity,
        limits: &Limits,
        now: EpochSeconds,
    ) -> Result<(), TooMany> {
        let key = (identity.issuer.as_str(), identity.subject.as_str());
        let taken = self.subjects.take(key, limits.asks_per_minute_per_subject, now);
        taken.map_err(|emptied| too_many(LimitedBy::Subject, emptied))
    }

    /// Counts one ask from an address; those that other sites make browsers there ask are counted apart.
    pub(super) fn address(
        &self,
        address: IpAddr,
        own: bool,
        limits: &Limits,
        now: EpochSeconds,
    ) -> Result<(), TooMany> {
        let key = (Network::of(address), own);
        let taken = self.addresses.take(key, limits.asks_per_minute_per_address, now);
        taken.map_err(|emptied| too_many(LimitedBy::Address, emptied))
    }
}

const fn too_many(by: LimitedBy, emptied: Emptied) -> TooMany {
    TooMany { by, retry_after: emptied.retry_after, tell: emptied.tell }
}

/// What counts as one address: of IPv6 the first 64 bits, since whoever has one has all of those (RFC
/// 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_an_ipv4_address_as_itself() {
        let same =
            |a: &str, b: &str| Network::of(a.parse().unwrap()) == Network::of(b.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(!same("0.0.0.1", "::1"));
    }
}
