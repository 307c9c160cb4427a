//! `edgemint.toml`, and below a line `--- environment` the variables, one `NAME=value` a line.
//!
//! - What is accepted keeps every promise of its types' documentation.
//! - What is refused has a problem, and every problem a line of the file or a variable's name.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use edgemint::access::{CookieReach, Lifetime, conflicts};
use edgemint::config::{
    Config, ConfigError, Distribution, Environment, Groups, Limits, Problem, parse,
};
use edgemint::policy::{BaseUrl, domain_matches};
use url::{Host, Url};

const FILE: &str = "edgemint.toml";

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let Ok(input) = str::from_utf8(data) else { return false };
    let (text, variables) = input.split_once("--- environment\n").unwrap_or((input, ""));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let variables: Vec<_> =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let names: BTreeSet<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    let environment = Environment::new(variables.iter().cloned());
    match parse(Path::new(FILE), text, &environment) {
        Ok(config) => {
            check_config(&config);
            true
        }
        Err(ConfigError::Wrong(problems)) => {
            check_problems(&problems, text.matches('\n').count() + 1, &names);
            false
        }
        Err(ConfigError::Read { .. }) => panic!("no file is read here"),
    }
}

fn check_problems(problems: &[Problem], lines: usize, names: &BTreeSet<&str>) {
    assert!(!problems.is_empty(), "refused without a problem");
    for problem in problems {
        let Problem { place, message, .. } = problem;
        let line = place.strip_prefix(FILE).and_then(|rest| rest.strip_prefix(':'));
        let line = line.and_then(|number| number.parse::<usize>().ok());
        let in_file = line.is_some_and(|line| (1..=lines).contains(&line));
        assert!(in_file || names.contains(place.as_str()), "{problem:?} is nowhere");
        assert!(!message.is_empty(), "{problem:?}");
    }
}

fn check_config(config: &Config) {
    let viewer = &config.site.public_url;
    let laptop = viewer.is_loopback_name() && config.site.listen.ip().is_loopback();
    assert!(config.site.trusted_hops <= 8);
    assert!(!config.distributions.is_empty() && !config.rules.is_empty());
    for distribution in &config.distributions {
        check_distribution(distribution, viewer.host());
    }
    check_rules(config);
    check_front(config, laptop);
    check_limits(&config.limits);
}

fn check_distribution(distribution: &Distribution, viewer: &str) {
    let host = distribution.base.host();
    match &distribution.cookie_domain {
        None => assert_eq!(host, viewer, "a host-only cookie never arrives"),
        Some(domain) => {
            assert!(domain.contains('.') && !domain.starts_with('.'), "{domain}");
            assert!(domain_matches(host, domain) && domain_matches(viewer, domain), "{domain}");
        }
    }
    assert!(!distribution.base.has_port() || distribution.base.is_loopback_name());
}

fn check_rules(config: &Config) {
    let reach = |base: &_| {
        let found = config.distributions.iter().find(|known| known.base == *base);
        found.map_or_else(|| CookieReach::HostOnly(String::new()), Distribution::reach)
    };
    assert!(conflicts(&config.rules, reach).is_empty());
    let names: BTreeSet<&str> = config.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names.len(), config.rules.len(), "a name stands twice");
    for rule in &config.rules {
        assert!(!rule.allow.is_empty() && !rule.resources.is_empty());
        assert!((Lifetime::SHORTEST..=Lifetime::LONGEST).contains(&rule.lifetime));
        let known = |base: &BaseUrl| config.distributions.iter().any(|known| known.base == *base);
        assert!(rule.resources.iter().all(|resource| known(resource.base())));
    }
}

/// Nothing but a laptop believes keys from plain HTTP or a load balancer of nobody's.
fn check_front(config: &Config, laptop: bool) {
    let Some(front) = &config.fronts.alb else { return };
    assert!(!front.expected.signers.is_empty());
    for arn in &front.expected.signers {
        assert!(arn.starts_with("arn:aws") && arn.contains(":loadbalancer/app/"), "{arn}");
        assert!(laptop || !arn.contains(":000000000000:"), "{arn}");
    }
    let kid = "12345678-90ab-cdef-1234-567890abcdef";
    let key_url = front.key_url.of(&edgemint::identity::alb::KeyId::parse(kid).unwrap());
    check_fetched(&key_url, laptop);
    assert!(Url::parse(&key_url).unwrap().host_str().is_some_and(|host| !host.contains(kid)));
    if let Groups::AccessToken { jwks_url, expected } = &front.groups {
        check_fetched(jwks_url, laptop);
        let url = Url::parse(jwks_url).unwrap();
        assert!(url.path().ends_with("/.well-known/jwks.json") && url.query().is_none(), "{url}");
        assert_eq!(expected.client, front.expected.client);
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    assert!(!front.session_cookie.is_empty() && front.session_cookie.bytes().all(plain));
}

fn check_fetched(text: &str, laptop: bool) {
    let url = Url::parse(text).unwrap();
    let on_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    };
    let by_name = matches!(url.host(), Some(Host::Domain(_)));
    assert!(url.scheme() == "https" && by_name || laptop && on_loopback, "{text}");
    assert!(url.fragment().is_none() && url.username().is_empty() && url.password().is_none());
}

fn check_limits(limits: &Limits) {
    let Limits { connections, requests, header_bytes, sets_per_answer, .. } = *limits;
    assert!(connections >= 1 && requests >= 1 && sets_per_answer >= 1);
    assert!((8192..=1_048_576).contains(&header_bytes) && limits.body_bytes <= 16_777_216);
    assert!(limits.signing_threads >= 1 && limits.signing_queue >= 1 && limits.bundle_bytes >= 1);
    assert!(limits.key_fetches_per_minute >= 1);
    for bounded in [limits.header_timeout, limits.body_timeout, limits.request_timeout] {
        assert!((Duration::from_secs(1)..=Duration::from_mins(5)).contains(&bounded));
    }
    assert!(limits.idle_timeout >= Duration::from_secs(75), "a load balancer keeps 60 s");
}
