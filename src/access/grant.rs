//! A grant: the outcome of the rules for one identity, and the proof that the signer demands.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::decide::Withheld;
use super::prefix::PathPrefix;
use super::rule::Lifetime;
use crate::clock::EpochSeconds;
use crate::policy::{BaseUrl, LAST_EXPIRY, Policy, Resource};

/// How long a probe's policy is good for.
pub const PROBE_SECONDS: u64 = 60;

/// What one asker may have signed. Only the named doors make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    door: Door,
    opened: Vec<Opened>,
    withheld: Vec<Withheld>,
}

/// How a grant came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// The rules of the configuration, for one identity.
    Rules,
    /// A person with the private key at hand, for one resource.
    Operator(Resource),
    /// A rotation that tries whether the edge accepts a key, on one object.
    Probe {
        /// The object.
        object: Resource,
        /// The latest expiry.
        until: EpochSeconds,
    },
}

/// One disjoint part of what is open: a path prefix on one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The site that serves the data.
    pub base: BaseUrl,
    /// The prefix under which everything may be read.
    pub prefix: PathPrefix,
    /// How long cookies live.
    pub lifetime: Lifetime,
    /// The latest expiry that may be signed.
    pub latest_expiry: EpochSeconds,
    /// The only address that may read, if the rule binds cookies to one.
    pub source_ip: Option<Ipv4Addr>,
    /// Whether people with the same grant may share one policy.
    pub share: bool,
    /// The rules that opened it, by name.
    pub rules: Vec<String>,
}

impl Opened {
    /// The policy's resource: everything under the prefix.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}{}*", self.base, self.prefix)
    }

    /// Whether `url` lies under the prefix on this site.
    #[must_use]
    pub fn covers(&self, url: &url::Url) -> bool {
        url.origin().ascii_serialization() == self.base.as_str()
            && self.prefix.contains_path(url.path())
    }
}

/// A policy that goes beyond a grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the grant does not permit a policy for {resource} until {expires}")]
pub struct NotGranted {
    /// What was to be opened.
    pub resource: Resource,
    /// Until when.
    pub expires: EpochSeconds,
}

impl Grant {
    /// A person's rules have opened this; see [`super::decide()`].
    pub(super) const fn by_rules(opened: Vec<Opened>, withheld: Vec<Withheld>) -> Self {
        Self { door: Door::Rules, opened, withheld }
    }

    /// Whoever holds a private key may sign what they like with it: the `sign` command.
    #[must_use]
    pub const fn by_operator(resource: Resource) -> Self {
        Self { door: Door::Operator(resource), opened: Vec::new(), withheld: Vec::new() }
    }

    /// A rotation tries a new key on one fixed object, for [`PROBE_SECONDS`].
    #[must_use]
    pub const fn probe(object: Resource, now: EpochSeconds) -> Self {
        let door = Door::Probe { object, until: now.plus(PROBE_SECONDS) };
        Self { door, opened: Vec::new(), withheld: Vec::new() }
    }

    /// The disjoint parts of what is open, by site and prefix.
    #[must_use]
    pub fn opened(&self) -> &[Opened] {
        &self.opened
    }

    /// What a rule would have opened but for a reason that the person should hear.
    #[must_use]
    pub fn withheld(&self) -> &[Withheld] {
        &self.withheld
    }

    /// Checks that a policy stays within the grant.
    ///
    /// # Errors
    /// [`NotGranted`] when it opens another resource, lasts longer or leaves out the address.
    pub fn permits(&self, policy: &Policy) -> Result<(), NotGranted> {
        let permitted = match &self.door {
            Door::Operator(resource) => {
                policy.resource() == resource && policy.expires() <= LAST_EXPIRY
            }
            Door::Probe { object, until } => {
                policy.resource() == object && !object.has_wildcard() && policy.expires() <= *until
            }
            Door::Rules => self.opened.iter().any(|opened| {
                let wanted_ip = opened.source_ip.map(Ipv4Net::from);
                policy.resource().as_str() == opened.resource()
                    && policy.expires() <= opened.latest_expiry
                    && (wanted_ip.is_none() || policy.source_ip() == wanted_ip)
            }),
        };
        if permitted {
            return Ok(());
        }
        Err(NotGranted { resource: policy.resource().clone(), expires: policy.expires() })
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rules => "rules",
            Self::Operator(_) => "operator",
            Self::Probe { .. } => "probe",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::opened;
    use super::*;
    use crate::policy::Custom;

    fn policy(resource: &str, expires: u64, source_ip: Option<&str>) -> Policy {
        Policy::custom(Custom {
            resource: Resource::parse(resource).unwrap(),
            expires: EpochSeconds(expires),
            starts: None,
            source_ip: source_ip.map(|ip| ip.parse().unwrap()),
        })
        .unwrap()
    }

    #[test]
    fn permits_rejects_other_resources_and_longer_lives() {
        let grant = Grant::by_rules(vec![opened("/lab-a/", 1000)], Vec::new());
        assert!(grant.permits(&policy("https://data.example.org/lab-a/*", 1000, None)).is_ok());
        for (resource, expires) in [
            ("https://data.example.org/lab-a/*", 1001),
            ("https://data.example.org/*", 1000),
            ("https://data.example.org/lab-b/*", 1000),
            ("https://other.example.org/lab-a/*", 1000),
        ] {
            assert!(grant.permits(&policy(resource, expires, None)).is_err(), "{resource}");
        }
    }

    #[test]
    fn a_probe_opens_one_object_for_a_minute() {
        let object = "https://data.example.org/lab-a/probe.txt";
        let now = EpochSeconds(1000);
        let grant = Grant::probe(Resource::parse(object).unwrap(), now);
        assert!(grant.permits(&policy(object, 1060, None)).is_ok());
        assert!(grant.permits(&policy(object, 1061, None)).is_err());
        let sibling = "https://data.example.org/lab-a/probe.txt2";
        assert!(grant.permits(&policy(sibling, 1060, None)).is_err());
        let pattern = "https://data.example.org/lab-a/*";
        let grant = Grant::probe(Resource::parse(pattern).unwrap(), now);
        assert!(grant.permits(&policy(pattern, 1060, None)).is_err());
    }

    #[test]
    fn permits_rejects_a_policy_without_the_address_it_is_bound_to() {
        let bound = Opened { source_ip: Some(Ipv4Addr::new(192, 0, 2, 1)), ..opened("/a/", 1000) };
        let grant = Grant::by_rules(vec![bound], Vec::new());
        let resource = "https://data.example.org/a/*";
        assert!(grant.permits(&policy(resource, 1000, Some("192.0.2.1/32"))).is_ok());
        for ip in [None, Some("192.0.2.2/32"), Some("192.0.2.0/24")] {
            assert!(grant.permits(&policy(resource, 1000, ip)).is_err(), "{ip:?}");
        }
    }
}
