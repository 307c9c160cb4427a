//! Rules that no set of disjoint cookie paths can express.

use std::fmt;

use super::rule::Rule;
use super::template::ResourceTemplate;
use crate::policy::{BaseUrl, domain_matches};

/// Which hosts receive the cookies of one data host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieReach {
    /// A `Domain` attribute: the domain and everything under it.
    Domain(String),
    /// No `Domain` attribute: the one host that set the cookie.
    HostOnly(String),
}

impl CookieReach {
    /// Whether some host receives the cookies of both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::HostOnly(a), Self::HostOnly(b)) => a == b,
            (Self::Domain(a), Self::Domain(b)) => domain_matches(a, b) || domain_matches(b, a),
            (Self::Domain(domain), Self::HostOnly(host))
            | (Self::HostOnly(host), Self::Domain(domain)) => domain_matches(host, domain),
        }
    }
}

/// Two rules that cannot be held at once without overlapping cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Index of the first rule.
    pub first: usize,
    /// Index of the second rule; the same as the first if a rule conflicts with itself.
    pub second: usize,
    /// Both rules by name and the reason, as a sentence.
    pub reason: ConflictReason,
}

/// Why two rules conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConflictReason {
    /// Two data hosts would receive each other's cookies at the same path.
    SharedPath {
        /// One rule and its resource.
        first: (String, String),
        /// The other rule and its resource.
        second: (String, String),
    },
    /// The inner of two nested resources has terms that the outer one would take away.
    InnerMoreGenerous {
        /// The rule and resource inside.
        inner: (String, String),
        /// The rule and resource outside.
        outer: (String, String),
    },
}

impl fmt::Display for ConflictReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedPath { first: (rule, resource), second: (other, there) } => write!(
                f,
                "rules {rule:?} and {other:?} open {resource} and {there}: cookie names are fixed, \
                 so a browser would send both sets to one host; give one of them another path, or \
                 handoff = true to both distributions"
            ),
            Self::InnerMoreGenerous { inner: (rule, part), outer: (wide, whole) } => write!(
                f,
                "rule {rule:?} opens {part} for longer, or from more addresses, than rule \
                 {wide:?} opens {whole} around it: one person's cookies may not overlap; give \
                 {wide:?} terms at least as generous, or split the paths"
            ),
        }
    }
}

/// Finds all pairs of rules that one person could hold and no disjoint cookie paths could express.
///
/// `reach` tells which hosts receive the cookies of a data host.
#[must_use]
pub fn conflicts(rules: &[Rule], reach: impl Fn(&BaseUrl) -> CookieReach) -> Vec<Conflict> {
    let parts: Vec<Part<'_>> = rules
        .iter()
        .enumerate()
        .flat_map(|(index, rule)| {
            rule.resources.iter().map(move |resource| Part { index, rule, resource })
        })
        .collect();
    let mut found = Vec::new();
    for (at, first) in parts.iter().enumerate() {
        for second in &parts[at + 1..] {
            if let Some(reason) = conflict(first, second, &reach) {
                found.push(Conflict { first: first.index, second: second.index, reason });
            }
        }
    }
    found
}

#[derive(Clone, Copy)]
struct Part<'a> {
    index: usize,
    rule: &'a Rule,
    resource: &'a ResourceTemplate,
}

impl Part<'_> {
    fn named(&self) -> (String, String) {
        (self.rule.name.clone(), self.resource.to_string())
    }

    /// Whether the terms of `self` lose nothing that `other` has.
    fn is_as_generous_as(&self, other: &Self) -> bool {
        self.rule.lifetime >= other.rule.lifetime && (!self.rule.bind_ip || other.rule.bind_ip)
    }
}

fn conflict(
    first: &Part<'_>,
    second: &Part<'_>,
    reach: &impl Fn(&BaseUrl) -> CookieReach,
) -> Option<ConflictReason> {
    let first_outside = first.resource.may_contain(second.resource);
    let second_outside = second.resource.may_contain(first.resource);
    if !first_outside && !second_outside {
        return None;
    }
    let (a, b) = (first.resource.base(), second.resource.base());
    if a != b {
        return reach(a)
            .meets(&reach(b))
            .then(|| ConflictReason::SharedPath { first: first.named(), second: second.named() });
    }
    let fits = match (first_outside, second_outside) {
        // Possibly equal: whichever is the more generous can stand for both.
        (true, true) => first.is_as_generous_as(second) || second.is_as_generous_as(first),
        (true, false) => first.is_as_generous_as(second),
        (false, _) => second.is_as_generous_as(first),
    };
    let (inner, outer) = if first_outside { (second, first) } else { (first, second) };
    (!fits)
        .then(|| ConflictReason::InnerMoreGenerous { inner: inner.named(), outer: outer.named() })
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;
    use crate::access::Lifetime;

    fn one_domain(_: &BaseUrl) -> CookieReach {
        CookieReach::Domain("example.org".to_owned())
    }

    #[test]
    fn nested_rules_conflict_when_the_inner_lasts_longer() {
        let outer = Rule { lifetime: Lifetime::SHORTEST, ..rule("outer", "/a/") };
        let inner = rule("inner", "/a/b/");
        let found = conflicts(&[outer.clone(), inner.clone()], one_domain);
        assert_eq!(found.len(), 1);
        let text = found[0].reason.to_string();
        assert!(text.contains("\"inner\"") && text.contains("\"outer\""), "{text}");
        let shorter = Rule { lifetime: Lifetime::SHORTEST, ..inner };
        assert!(conflicts(&[outer, shorter], one_domain).is_empty());
    }

    #[test]
    fn nested_rules_conflict_when_only_the_outer_is_bound_to_an_address() {
        let bound = Rule { bind_ip: true, ..rule("outer", "/a/") };
        assert_eq!(conflicts(&[bound.clone(), rule("inner", "/a/b/")], one_domain).len(), 1);
        let free = rule("outer", "/a/");
        let inner = Rule { bind_ip: true, ..rule("inner", "/a/b/") };
        assert!(conflicts(&[free, inner], one_domain).is_empty());
    }

    #[test]
    fn equal_rules_conflict_only_when_neither_is_as_generous() {
        let short = Rule { lifetime: Lifetime::SHORTEST, ..rule("x", "/a/") };
        assert!(conflicts(&[short.clone(), rule("y", "/a/")], one_domain).is_empty());
        let bound = Rule { bind_ip: true, ..rule("y", "/a/") };
        assert_eq!(conflicts(&[short, bound], one_domain).len(), 1);
    }

    #[test]
    fn two_hosts_conflict_when_a_browser_sends_both_their_cookies_at_one_path() {
        let here = rule("here", "/a/");
        let mut there = rule("there", "/a/b/");
        there.resources = vec![ResourceTemplate::parse("https://other.example.org/a/b/*").unwrap()];
        assert_eq!(conflicts(&[here.clone(), there.clone()], one_domain).len(), 1);
        let apart = |base: &BaseUrl| CookieReach::HostOnly(base.host().to_owned());
        assert!(conflicts(&[here, there], apart).is_empty());
    }

    #[test]
    fn reach_knows_that_a_domain_holds_its_hosts_and_no_lookalike() {
        let domain = CookieReach::Domain("example.org".to_owned());
        let host = |text: &str| CookieReach::HostOnly(text.to_owned());
        assert!(domain.meets(&host("viewer.example.org")) && domain.meets(&host("example.org")));
        assert!(!domain.meets(&host("evilexample.org")));
    }
}
