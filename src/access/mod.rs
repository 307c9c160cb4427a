//! Who may see what: rules, and the grant they make for one identity.
//!
//! - [`Rule`]: who is allowed, which resources, for how long.
//! - [`decide()`]: (identity, rules, address, now) → [`Grant`] or [`Refusal`].
//! - [`Grant`]: the proof that the signer demands. It is already reduced to the smallest set of
//!   disjoint path prefixes, because a browser sends every cookie whose path matches and nobody
//!   documents which of two sets CloudFront would then use.
//! - [`conflicts()`]: rules that such a set cannot express, found before the first request.

mod conflicts;
mod cover;
mod dataset;
mod decide;
mod grant;
mod prefix;
mod rule;
mod template;

pub use self::conflicts::{Conflict, ConflictReason, CookieReach, conflicts};
pub use self::dataset::{Dataset, DatasetError, Unfamiliar};
pub use self::decide::{Refusal, Withheld, WithheldReason, decide};
pub use self::grant::{Door, Grant, NotGranted, Opened, PROBE_SECONDS};
pub use self::prefix::{PathPrefix, PrefixError};
pub use self::rule::{Allow, Lifetime, LifetimeError, Rule};
pub use self::template::{ResourceTemplate, TemplateError};

#[cfg(test)]
mod testing {
    //! People and rules for the tests of this module.

    use super::*;
    use crate::clock::EpochSeconds;
    use crate::identity::{Front, Identity, Subject};
    use crate::policy::BaseUrl;

    pub(super) fn person(subject: &str, groups: &[&str]) -> Identity {
        Identity {
            front: Front::Alb,
            issuer: "https://issuer.example.org".to_owned(),
            subject: Subject::parse(subject).unwrap(),
            email: None,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            expires: EpochSeconds(u64::MAX),
        }
    }

    /// A rule for the group of its own name.
    pub(super) fn rule(name: &str, path: &str) -> Rule {
        let resource = format!("https://data.example.org{path}*");
        Rule {
            name: name.to_owned(),
            allow: Allow { groups: vec![name.to_owned()], ..Allow::default() },
            resources: vec![ResourceTemplate::parse(&resource).unwrap()],
            lifetime: Lifetime::DEFAULT,
            bind_ip: false,
            share: true,
            dataset: None,
        }
    }

    pub(super) fn opened(prefix: &str, latest_expiry: u64) -> Opened {
        Opened {
            base: BaseUrl::parse("https://data.example.org").unwrap(),
            prefix: PathPrefix::parse(prefix).unwrap(),
            lifetime: Lifetime::DEFAULT,
            latest_expiry: EpochSeconds(latest_expiry),
            source_ip: None,
            share: true,
            rules: vec!["rule".to_owned()],
        }
    }
}
