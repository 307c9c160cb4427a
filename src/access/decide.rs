//! From an identity and the rules to a grant.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::cover::cover;
use super::grant::{Grant, Opened};
use super::rule::Rule;
use super::template::{ResourceTemplate, Unfilled};
use crate::clock::EpochSeconds;
use crate::identity::Identity;

/// Why a person who is signed in gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No rule is for this person.
    #[error("no rule opens anything for this person")]
    NoRule,
    /// Rules are for this person, but each lacks something.
    #[error("{}", list(.0))]
    Withheld(Vec<Withheld>),
}

/// A resource that a rule would open but for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The rule's name.
    pub rule: String,
    /// The reason.
    pub reason: WithheldReason,
}

/// Why a rule that is for a person opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithheldReason {
    /// The rule binds cookies to the browser's address, and CloudFront can name only IPv4 ones.
    Ipv6,
    /// The rule binds cookies to the browser's address, which no trusted proxy told.
    UnknownAddress,
    /// The person has no such claim to fill a placeholder with.
    NoClaim(&'static str),
    /// The claim holds what may not stand in a path.
    UnsafeClaim(&'static str),
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {:?} ", self.rule)?;
        match self.reason {
            WithheldReason::Ipv6 => f.write_str(
                "binds cookies to an IPv4 address, because CloudFront knows no other, \
                 but the browser connects over IPv6",
            ),
            WithheldReason::UnknownAddress => {
                f.write_str("binds cookies to the browser's address, which is not known")
            }
            WithheldReason::NoClaim(name) => write!(f, "needs a {name}, which the token lacks"),
            WithheldReason::UnsafeClaim(name) => {
                write!(f, "needs the {name} as part of a path, where it may not stand")
            }
        }
    }
}

fn list(withheld: &[Withheld]) -> String {
    withheld.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Applies the rules to one person.
///
/// `browser` is the address that the person's browser connects from, if a trusted hop told it.
///
/// # Errors
/// [`Refusal`] when nothing is open, with the reasons.
pub fn decide(
    identity: &Identity,
    rules: &[Rule],
    browser: Option<IpAddr>,
    now: EpochSeconds,
) -> Result<Grant, Refusal> {
    let mut opened = Vec::new();
    let mut withheld = Vec::new();
    for rule in rules.iter().filter(|rule| rule.allow.matches(identity)) {
        for resource in &rule.resources {
            match open(rule, resource, identity, browser, now) {
                Ok(part) => opened.push(part),
                Err(reason) => {
                    let entry = Withheld { rule: rule.name.clone(), reason };
                    if !withheld.contains(&entry) {
                        withheld.push(entry);
                    }
                }
            }
        }
    }
    match (opened.is_empty(), withheld.is_empty()) {
        (false, _) => Ok(Grant::by_rules(cover(opened), withheld)),
        (true, false) => Err(Refusal::Withheld(withheld)),
        (true, true) => Err(Refusal::NoRule),
    }
}

fn open(
    rule: &Rule,
    resource: &ResourceTemplate,
    identity: &Identity,
    browser: Option<IpAddr>,
    now: EpochSeconds,
) -> Result<Opened, WithheldReason> {
    let prefix = resource.expand(identity).map_err(|unfilled| match unfilled {
        Unfilled::Absent(name) => WithheldReason::NoClaim(name),
        Unfilled::Unsafe(name) => WithheldReason::UnsafeClaim(name),
    })?;
    let source_ip = if rule.bind_ip { Some(ipv4(browser)?) } else { None };
    Ok(Opened {
        base: resource.base().clone(),
        prefix,
        lifetime: rule.lifetime,
        latest_expiry: now.plus(rule.lifetime.seconds()),
        source_ip,
        share: rule.share,
        rules: vec![rule.name.clone()],
    })
}

fn ipv4(browser: Option<IpAddr>) -> Result<Ipv4Addr, WithheldReason> {
    match browser.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => Ok(address),
        Some(IpAddr::V6(_)) => Err(WithheldReason::Ipv6),
        None => Err(WithheldReason::UnknownAddress),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{person, rule};
    use super::*;

    const NOW: EpochSeconds = EpochSeconds(1_000_000);

    fn prefixes(grant: &Grant) -> Vec<String> {
        grant.opened().iter().map(|part| part.prefix.to_string()).collect()
    }

    #[test]
    fn decide_opens_what_the_groups_open() {
        let rules = [rule("lab-a", "/lab-a/"), rule("lab-b", "/lab-b/")];
        let grant = decide(&person("ada", &["lab-a"]), &rules, None, NOW).unwrap();
        assert_eq!(prefixes(&grant), ["/lab-a/"]);
        assert_eq!(grant.opened()[0].latest_expiry, NOW.plus(3600));
    }

    #[test]
    fn decide_refuses_a_person_without_rules() {
        let rules = [rule("lab-a", "/lab-a/")];
        assert_eq!(decide(&person("eve", &[]), &rules, None, NOW), Err(Refusal::NoRule));
    }

    #[test]
    fn a_bound_rule_refuses_ipv6_with_the_reason() {
        let bound = Rule { bind_ip: true, ..rule("lab-a", "/lab-a/") };
        let ada = person("ada", &["lab-a"]);
        for (address, reason) in
            [(Some("2001:db8::1"), WithheldReason::Ipv6), (None, WithheldReason::UnknownAddress)]
        {
            let address = address.map(|text| text.parse().unwrap());
            let Err(Refusal::Withheld(withheld)) =
                decide(&ada, std::slice::from_ref(&bound), address, NOW)
            else {
                panic!("a bound rule opened something for {address:?}");
            };
            assert_eq!(withheld[0].reason, reason);
        }
        for address in ["192.0.2.7", "::ffff:192.0.2.7"] {
            let address = Some(address.parse().unwrap());
            let grant = decide(&ada, std::slice::from_ref(&bound), address, NOW).unwrap();
            assert_eq!(grant.opened()[0].source_ip, Some(Ipv4Addr::new(192, 0, 2, 7)));
        }
    }

    #[test]
    fn placeholders_are_escaped_and_never_widen() {
        let mut home = rule("home", "/people/{subject}/");
        home.allow.everyone = true;
        let expand = |subject: &str| {
            decide(&person(subject, &[]), std::slice::from_ref(&home), None, NOW)
                .map(|grant| prefixes(&grant))
        };
        assert_eq!(expand("ada"), Ok(vec!["/people/ada/".to_owned()]));
        assert_eq!(expand("a b@c"), Ok(vec!["/people/a%20b@c/".to_owned()]));
        assert_eq!(expand("é"), Ok(vec!["/people/%C3%A9/".to_owned()]));
        // As browsers spell a path; any other spelling would never match a request.
        assert_eq!(expand("o'b(r):i=e&n!$"), Ok(vec!["/people/o'b(r):i=e&n!$/".to_owned()]));
        for hostile in ["*", "a/*", "..", ".", "a/b", "?", "\"", "\\", "%2e%2e", "#", "a;b", "a|b"]
        {
            assert!(matches!(expand(hostile), Err(Refusal::Withheld(_))), "{hostile}");
        }
    }
}
