use std::net::IpAddr;

use edgemint::access::{
    Allow, CookieReach, Grant, Lifetime, Opened, Refusal, ResourceTemplate, Rule, conflicts, decide,
};
use edgemint::clock::EpochSeconds;
use edgemint::identity::{Email, Front, Identity, Subject};
use edgemint::policy::BaseUrl;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use url::Url;

use super::cases;

const NOW: EpochSeconds = EpochSeconds(1_767_290_400);

/// Two hosts under one cookie domain, and one whose cookies are its own.
const HOSTS: [&str; 3] =
    ["https://data.example.org", "https://more.example.org", "https://own.example.net"];

/// Few words, some of them what people are called, so that everything nests and meets.
const SEGMENTS: [&str; 7] = ["a", "ab", "b", "ada", "ada@h.org", "{subject}", "{email}"];

/// Everything that [`oracle`] needs, as it was chosen.
#[derive(Clone, Debug)]
struct Spec {
    groups: Vec<&'static str>,
    subjects: Vec<&'static str>,
    emails: Vec<&'static str>,
    domains: Vec<&'static str>,
    everyone: bool,
    /// Host and segments.
    resources: Vec<(&'static str, Vec<&'static str>)>,
    lifetime: u64,
    bind_ip: bool,
    share: bool,
}

#[derive(Clone, Debug)]
struct Person {
    subject: &'static str,
    email: Option<(&'static str, bool)>,
    groups: Vec<&'static str>,
    address: Option<IpAddr>,
}

fn some(words: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(words, 0..=words.len().min(2))
}

fn spec() -> impl Strategy<Value = Spec> {
    let allow = (
        some(&["g0", "g1", "g2"]),
        prop_oneof![4 => Just(Vec::new()), 1 => some(&["ada", "b"])],
        prop_oneof![4 => Just(Vec::new()), 1 => some(&["ada@h.org", "b@x.org"])],
        prop_oneof![4 => Just(Vec::new()), 1 => some(&["h.org", "x.org"])],
        prop::bool::weighted(0.2),
    );
    let resource = (select(&HOSTS), prop::collection::vec(select(&SEGMENTS), 0..4));
    let resources = prop::collection::vec(resource, 1..4);
    let terms = (select(vec![60, 900, 3600]), prop::bool::weighted(0.3), any::<bool>());
    (allow, resources, terms).prop_map(|(allow, resources, (lifetime, bind_ip, share))| {
        let (groups, subjects, emails, domains, everyone) = allow;
        Spec { groups, subjects, emails, domains, everyone, resources, lifetime, bind_ip, share }
    })
}

fn person() -> impl Strategy<Value = Person> {
    let email = prop::option::of((select(vec!["ada@h.org", "b@x.org"]), any::<bool>()));
    let address =
        select(vec![None, Some("192.0.2.7"), Some("2001:db8::7"), Some("::ffff:192.0.2.7")]);
    (select(vec!["a", "ada", "b", "c d", "x/y", ".."]), email, some(&["g0", "g1", "g2"]), address)
        .prop_map(|(subject, email, groups, address)| Person {
            subject,
            email,
            groups,
            address: address.map(|text| text.parse().unwrap()),
        })
}

fn rule((at, spec): (usize, &Spec)) -> Rule {
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let template = |(host, segments): &(&str, Vec<&str>)| {
        let path: String = segments.iter().flat_map(|segment| [segment, "/"]).collect();
        ResourceTemplate::parse(&format!("{host}/{path}*")).unwrap()
    };
    Rule {
        name: format!("rule-{at}"),
        allow: Allow {
            groups: owned(&spec.groups),
            email_domains: owned(&spec.domains),
            emails: owned(&spec.emails),
            subjects: owned(&spec.subjects),
            everyone: spec.everyone,
            issuers: None,
        },
        resources: spec.resources.iter().map(template).collect(),
        lifetime: Lifetime::from_seconds(spec.lifetime).unwrap(),
        bind_ip: spec.bind_ip,
        share: spec.share,
        dataset: None,
    }
}

fn identity(person: &Person) -> Identity {
    Identity {
        front: Front::Alb,
        issuer: "https://issuer.example.org".to_owned(),
        subject: Subject::parse(person.subject).unwrap(),
        email: person.email.map(|(address, verified)| Email::parse(address, verified).unwrap()),
        groups: person.groups.iter().map(|&group| group.to_owned()).collect(),
        expires: NOW.plus(120),
    }
}

/// One resource of a rule, for one person, the slow and obvious way.
#[derive(Debug)]
struct Open<'a> {
    prefix: String,
    at: usize,
    spec: &'a Spec,
}

fn oracle<'a>(specs: &'a [Spec], person: &Person) -> Vec<Open<'a>> {
    let verified = person.email.filter(|email| email.1).map(|email| email.0);
    let ipv4 = person.address.is_some_and(|address| address.to_canonical().is_ipv4());
    let mut open = Vec::new();
    for (at, spec) in specs.iter().enumerate() {
        let allowed = spec.everyone
            || spec.groups.iter().any(|group| person.groups.contains(group))
            || spec.subjects.contains(&person.subject)
            || verified.is_some_and(|email| {
                let domain = email.split('@').nth(1).unwrap();
                spec.emails.contains(&email) || spec.domains.contains(&domain)
            });
        if !allowed || (spec.bind_ip && !ipv4) {
            continue;
        }
        for (host, segments) in &spec.resources {
            let filled = segments.iter().map(|&segment| match segment {
                "{subject}" => match person.subject {
                    "x/y" | ".." => None,
                    subject => Some(subject.replace(' ', "%20")),
                },
                "{email}" => verified.map(str::to_owned),
                literal => Some(literal.to_owned()),
            });
            if let Some(filled) = filled.collect::<Option<Vec<_>>>() {
                let path: String =
                    filled.iter().flat_map(|segment| [segment.as_str(), "/"]).collect();
                open.push(Open { prefix: format!("{host}/{path}"), at, spec });
            }
        }
    }
    open
}

fn reach(base: &BaseUrl) -> CookieReach {
    if base.host().ends_with(".example.org") {
        CookieReach::Domain("example.org".to_owned())
    } else {
        CookieReach::HostOnly(base.host().to_owned())
    }
}

/// Discards every rule that conflicts with one before it or with itself.
fn without_conflicts(specs: Vec<Spec>) -> Vec<Spec> {
    let mut kept: Vec<Spec> = Vec::new();
    for spec in specs {
        kept.push(spec);
        let rules: Vec<Rule> = kept.iter().enumerate().map(rule).collect();
        if !conflicts(&rules, reach).is_empty() {
            kept.pop();
        }
    }
    kept
}

fn grant(specs: &[Spec], person: &Person) -> Result<Grant, Refusal> {
    let rules: Vec<Rule> = specs.iter().enumerate().map(rule).collect();
    decide(&identity(person), &rules, person.address, NOW)
}

fn opened(granted: &Result<Grant, Refusal>) -> &[Opened] {
    granted.as_ref().map(Grant::opened).unwrap_or_default()
}

fn text(part: &Opened) -> String {
    format!("{}{}", part.base, part.prefix)
}

/// Every prefix, its parent and something beside it, with and without a final slash.
fn probes(specs: &[Spec], person: &Person) -> Vec<Url> {
    let everything: Vec<Spec> =
        specs.iter().map(|spec| Spec { everyone: true, ..spec.clone() }).collect();
    let mut urls = vec!["https://data.example.org/".to_owned()];
    for open in oracle(&everything, person) {
        let stem = open.prefix.trim_end_matches('/').to_owned();
        urls.extend([format!("{stem}b/x"), format!("{stem}/x?y=/"), open.prefix, stem]);
    }
    urls.iter().map(|text| Url::parse(text).unwrap()).collect()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_grant_opens_exactly_what_the_rules_open(
        specs in prop::collection::vec(spec(), 0..6), person in person(),
    ) {
        let granted = grant(&specs, &person);
        let open = oracle(&specs, &person);
        prop_assert_eq!(granted.is_ok(), !open.is_empty());
        for url in probes(&specs, &person) {
            let expected = open.iter().any(|open| url.as_str().starts_with(&open.prefix));
            let covering = opened(&granted).iter().filter(|part| part.covers(&url)).count();
            prop_assert_eq!(covering, usize::from(expected), "{} of {:?}", url, granted);
        }
    }

    #[test]
    fn cookie_paths_never_meet_on_a_host(
        specs in prop::collection::vec(spec(), 0..6), person in person(),
    ) {
        let granted = grant(&specs, &person);
        for (at, one) in opened(&granted).iter().enumerate() {
            for other in &opened(&granted)[at + 1..] {
                let nested = text(one).starts_with(&text(other)) || text(other).starts_with(&text(one));
                prop_assert!(!nested, "{} and {}", one.resource(), other.resource());
            }
        }
    }

    #[test]
    fn without_conflicts_cookie_paths_never_meet_on_a_shared_domain(
        specs in prop::collection::vec(spec(), 0..8), person in person(),
    ) {
        let specs = without_conflicts(specs);
        let granted = grant(&specs, &person);
        for (at, one) in opened(&granted).iter().enumerate() {
            for other in &opened(&granted)[at + 1..] {
                let (a, b) = (one.prefix.as_str(), other.prefix.as_str());
                let meet = reach(&one.base).meets(&reach(&other.base));
                prop_assert!(!meet || !(a.starts_with(b) || b.starts_with(a)), "{} {}", a, b);
            }
        }
    }

    #[test]
    fn without_conflicts_folding_takes_nothing_away_and_adds_nothing(
        specs in prop::collection::vec(spec(), 0..8), person in person(),
    ) {
        let specs = without_conflicts(specs);
        let granted = grant(&specs, &person);
        for part in opened(&granted) {
            let open = oracle(&specs, &person);
            let folded: Vec<_> =
                open.iter().filter(|open| open.prefix.starts_with(&text(part))).collect();
            for open in &folded {
                prop_assert!(part.lifetime.seconds() >= open.spec.lifetime, "{:?} {:?}", part, open);
                prop_assert!(part.source_ip.is_none() || open.spec.bind_ip, "{:?} {:?}", part, open);
            }
            let granted_by_one = folded.iter().any(|open| {
                open.prefix == text(part)
                    && open.spec.lifetime == part.lifetime.seconds()
                    && open.spec.bind_ip == part.source_ip.is_some()
            });
            prop_assert!(granted_by_one, "no rule has these terms: {:?}", part);
            let mut rules: Vec<_> = folded.iter().map(|open| format!("rule-{}", open.at)).collect();
            rules.sort();
            rules.dedup();
            let mut named = part.rules.clone();
            named.sort();
            prop_assert_eq!(named, rules);
            prop_assert_eq!(part.share, folded.iter().all(|open| open.spec.share));
            prop_assert_eq!(part.latest_expiry, NOW.plus(part.lifetime.seconds()));
        }
    }
}
