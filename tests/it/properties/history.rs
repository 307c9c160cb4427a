use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Method;
use edgemint::access::PathPrefix;
use edgemint::access::{
    Allow, Grant, Lifetime, Opened, Refusal, ResourceTemplate, Rule, conflicts, decide,
};
use edgemint::authn::Fetcher;
use edgemint::clock::{Clock as _, EpochSeconds, FixedClock};
use edgemint::config::{Config, Distribution};
use edgemint::cookies::{CookieScope, LEDGER_PREFIX, MAX_ENTRIES, ledger_cookie_name};
use edgemint::demo::people::Person;
use edgemint::identity::{Email, Front, Identity, Subject};
use edgemint::policy::{Custom, base64, parse_custom};
use edgemint::server::AppState;
use edgemint::signing::HashAlgorithm;
use edgemint::signing::verify::{EdgeRequest, TrustedKeys, verify};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestCaseError, TestCaseResult, TestRunner};
use tokio::runtime::Runtime;
use url::Url;

use super::cases;
use crate::jar::{Cookie, Jar};
use crate::support::{Answer, App, CONFIG, ISSUER, NOW, bare};

const SITE: &str = "https://viewer.example.org";

/// Two siblings of the viewer, and the viewer's own host, whose cookies carry no `Domain`.
const HOSTS: [&str; 3] = ["https://data.example.org", "https://more.example.org", SITE];

const PATHS: [&str; 11] = [
    "/",
    "/a/",
    "/a/b/",
    "/a/b/c/",
    "/ab/",
    "/b/",
    "/session/",
    "/home/",
    "/home/{subject}/",
    "/{subject}/",
    "/{email}/x/",
];

/// More prefixes in one rule than a ledger lists.
const MANY: usize = 30;

const GROUPS: [&[&str]; 8] = [
    &[],
    &["g0"],
    &["g1"],
    &["g0", "g1"],
    &["g2"],
    &["g0", "g2"],
    &["g1", "g2"],
    &["g0", "g1", "g2"],
];

const PEOPLE: [(&str, &str); 3] = [("ada", "ada@h.org"), ("a", "a@h.org"), ("home", "home@h.org")];

const ADDRESSES: [&str; 3] = ["192.0.2.7", "192.0.2.8", "2001:db8::7"];

#[derive(Clone, Debug)]
struct RuleSpec {
    /// One of three groups, or everyone.
    group: usize,
    resources: Vec<(usize, usize)>,
    many: bool,
    lifetime: u64,
    bind_ip: bool,
    share: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// Somebody signs in at the load balancer, with whatever cookies are there.
    Become(usize),
    /// The provider puts the person into other groups.
    Join(usize),
    /// The operator changes the rules.
    Rules(Vec<RuleSpec>),
    Hash(HashAlgorithm),
    SetsPerAnswer(usize),
    Move(usize),
    Wait(u64),
    /// What the browser asks for, and whether the answer arrives.
    Ask(Ask, bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Renew,
    For { host: usize, path: usize },
    ForOneOfMany(usize),
    Page,
    Login,
    Logout,
    Clear,
}

fn rules() -> impl Strategy<Value = Vec<RuleSpec>> {
    let resources = prop::collection::vec((0..HOSTS.len(), 0..PATHS.len()), 1..4);
    let terms =
        (select(vec![30, 60, 900, 3600]), prop::bool::weighted(0.2), prop::bool::weighted(0.8));
    let rule = (0..4_usize, resources, prop::bool::weighted(0.1), terms).prop_map(
        |(group, resources, many, (lifetime, bind_ip, share))| {
            let resources = if many { Vec::new() } else { resources };
            RuleSpec { group, resources, many, lifetime, bind_ip, share }
        },
    );
    prop::collection::vec(rule, 1..7)
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        6 => Just(Ask::Renew),
        4 => (0..HOSTS.len(), 0..PATHS.len()).prop_map(|(host, path)| Ask::For { host, path }),
        4 => (0..MANY).prop_map(Ask::ForOneOfMany),
        3 => Just(Ask::Page),
        2 => Just(Ask::Login),
        1 => Just(Ask::Logout),
        1 => Just(Ask::Clear),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..PEOPLE.len()).prop_map(Step::Become),
        2 => (0..GROUPS.len()).prop_map(Step::Join),
        3 => rules().prop_map(Step::Rules),
        1 => select(vec![HashAlgorithm::Sha1, HashAlgorithm::Sha256]).prop_map(Step::Hash),
        1 => (1..=4_usize).prop_map(Step::SetsPerAnswer),
        1 => (0..ADDRESSES.len()).prop_map(Step::Move),
        2 => select(vec![1, 20, 31, 400, 1000, 3700]).prop_map(Step::Wait),
        12 => (ask(), prop::bool::weighted(0.9)).prop_map(|(ask, arrives)| Step::Ask(ask, arrives)),
    ]
}

fn resource(host: &str, path: &str) -> ResourceTemplate {
    ResourceTemplate::parse(&format!("{host}{path}*")).unwrap()
}

fn many(at: usize) -> String {
    format!("/many/{at}/")
}

fn rule(at: usize, spec: &RuleSpec) -> Rule {
    let groups = if spec.group < 3 { vec![format!("g{}", spec.group)] } else { Vec::new() };
    let mut resources: Vec<_> =
        spec.resources.iter().map(|&(host, path)| resource(HOSTS[host], PATHS[path])).collect();
    if spec.many {
        resources.extend((0..MANY).map(|at| resource(HOSTS[0], &many(at))));
    }
    Rule {
        name: format!("rule-{at}"),
        allow: Allow { everyone: groups.is_empty(), groups, ..Allow::default() },
        resources,
        lifetime: Lifetime::from_seconds(spec.lifetime).unwrap(),
        bind_ip: spec.bind_ip,
        share: spec.share,
        dataset: None,
    }
}

/// Leaves out what a configuration would be refused for.
fn acceptable(specs: &[RuleSpec], distributions: &[Distribution]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for (at, spec) in specs.iter().enumerate() {
        rules.push(rule(at, spec));
        let found = conflicts(&rules, |base| {
            distributions.iter().find(|known| known.base == *base).unwrap().reach()
        });
        if !found.is_empty() {
            rules.pop();
        }
    }
    rules
}

/// The service, one browser, and whoever sits in front of it.
struct World {
    app: App,
    runtime: Runtime,
    jar: Jar,
    /// Who asked for each answer.
    answers: Vec<usize>,
    person: usize,
    groups: usize,
    address: usize,
}

impl World {
    fn new() -> Self {
        let more = "\n[[distribution]]\nhost = \"more.example.org\"\n\
                    \n[[distribution]]\nhost = \"viewer.example.org\"\npath = \"/data/\"\n\n[[rule]]";
        Self {
            app: App::with(&CONFIG.replacen("[[rule]]", more, 1)),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            jar: Jar::default(),
            answers: Vec::new(),
            person: 0,
            groups: 0,
            address: 0,
        }
    }

    /// Another history: nothing is left of the one before but the keys.
    fn restart(&mut self) {
        let fetcher: Arc<dyn Fetcher> = self.app.source.clone();
        let snapshot = App::load(&self.app.folder).unwrap();
        self.app.clock = Arc::new(FixedClock::at(NOW));
        self.app.state = AppState::new(snapshot, self.app.clock.clone(), &fetcher);
        (self.jar, self.answers) = (Jar::default(), Vec::new());
        (self.person, self.groups, self.address) = (0, 1, 0);
    }

    fn now(&self) -> EpochSeconds {
        self.app.clock.now()
    }

    fn change(&self, change: impl FnOnce(&mut Config)) {
        let before = self.app.state.snapshot();
        let mut snapshot = App::load(&self.app.folder).unwrap();
        snapshot.config = before.config.clone();
        change(Arc::make_mut(&mut snapshot.config));
        self.app.state.swap(snapshot);
    }

    fn person(&self) -> Person {
        let (id, email) = PEOPLE[self.person];
        Person { id, name: id, email, email_verified: true, groups: GROUPS[self.groups] }
    }

    fn grant(&self) -> Result<Grant, Refusal> {
        let person = self.person();
        let identity = Identity {
            front: Front::Alb,
            issuer: ISSUER.to_owned(),
            subject: Subject::parse(person.id).unwrap(),
            email: Email::parse(person.email, true),
            groups: person.groups.iter().map(|&group| group.to_owned()).collect(),
            expires: self.now().plus(120),
        };
        let address = Some(ADDRESSES[self.address].parse().unwrap());
        decide(&identity, &self.app.state.snapshot().config.rules, address, self.now())
    }

    /// Who has what now; nobody has anything where the rules refuse.
    fn resources(&self) -> Vec<String> {
        self.grant()
            .map(|grant| grant.opened().iter().map(Opened::resource).collect())
            .unwrap_or_default()
    }

    fn filled(&self, path: &str) -> String {
        let (id, email) = PEOPLE[self.person];
        path.replace("{subject}", id).replace("{email}", email)
    }

    fn wanted(&self, ask: Ask) -> Option<Url> {
        let text = match ask {
            Ask::For { host, path } => format!("{}{}x", HOSTS[host], self.filled(PATHS[path])),
            Ask::ForOneOfMany(at) => format!("{}{}x", HOSTS[0], many(at)),
            _ => return None,
        };
        Some(url(&text))
    }

    fn send(&self, ask: Ask) -> Answer {
        let (method, path) = match ask {
            Ask::Renew => (Method::POST, "/session/cookies".to_owned()),
            Ask::For { .. } | Ask::ForOneOfMany(_) => {
                let wanted = self.wanted(ask).unwrap();
                (Method::POST, format!("/session/cookies?for={wanted}"))
            }
            Ask::Page => (Method::GET, "/".to_owned()),
            Ask::Login => (Method::GET, "/session/login".to_owned()),
            Ask::Logout => (Method::POST, "/session/logout".to_owned()),
            Ask::Clear => (Method::DELETE, "/session/cookies".to_owned()),
        };
        let person = self.person();
        let cookies = self.jar.header(&url(&format!("{SITE}{path}")), self.now());
        let request = bare(method, &path)
            .header("x-amzn-oidc-data", self.app.claims_token(&person))
            .header("x-amzn-oidc-accesstoken", self.app.access_token(&person))
            .header("x-forwarded-for", ADDRESSES[self.address])
            .header("cookie", cookies);
        self.runtime.block_on(self.app.send(request.body(Body::empty()).unwrap()))
    }

    fn take(&mut self, answer: &Answer, path: &str) {
        self.answers.push(self.person);
        let (from, now, number) =
            (url(&format!("{SITE}{path}")), self.now(), self.answers.len() - 1);
        for line in answer.set_cookies() {
            self.jar.store(&from, &line, now, number);
        }
    }

    fn step(&mut self, step: &Step) -> TestCaseResult {
        match *step {
            Step::Become(person) => self.person = person,
            Step::Join(groups) => self.groups = groups,
            Step::Rules(ref specs) => self.change(|config| {
                config.rules = acceptable(specs, &config.distributions);
            }),
            Step::Hash(hash) => self.change(|config| config.keys.hash = hash),
            Step::SetsPerAnswer(sets) => {
                self.change(|config| config.limits.sets_per_answer = sets);
            }
            Step::Move(address) => self.address = address,
            Step::Wait(seconds) => self.app.clock.advance(seconds),
            Step::Ask(ask, arrives) => self.ask(ask, arrives)?,
        }
        self.check_jar()
    }

    fn ask(&mut self, ask: Ask, arrives: bool) -> TestCaseResult {
        let answer = self.send(ask);
        self.check_answer(ask, &answer)?;
        if !arrives {
            return Ok(());
        }
        self.take(&answer, if ask == Ask::Page { "/" } else { "/session/cookies" });
        let refused = answer.status.is_client_error();
        if refused && !self.resources().is_empty() {
            return Ok(());
        }
        if matches!(ask, Ask::Logout | Ask::Clear) {
            prop_assert_eq!(self.sets().len(), 0, "left after {:?}: {:?}", ask, self.jar);
            return Ok(());
        }
        self.check_nothing_else_is_left()?;
        if matches!(ask, Ask::Renew | Ask::For { .. } | Ask::ForOneOfMany(_)) && !refused {
            self.check_issued(&answer)?;
        }
        Ok(())
    }

    /// The status is the rules' own; an answer carries no more sets than it may.
    fn check_answer(&self, ask: Ask, answer: &Answer) -> TestCaseResult {
        let open = self.resources();
        let covered =
            |url: &Url| open.iter().any(|one| url.as_str().starts_with(&one[..one.len() - 1]));
        let expected = match ask {
            Ask::Renew if open.is_empty() => 403,
            Ask::For { .. } | Ask::ForOneOfMany(_) if !covered(&self.wanted(ask).unwrap()) => 403,
            Ask::Renew | Ask::For { .. } | Ask::ForOneOfMany(_) | Ask::Page => 200,
            Ask::Login => 303,
            Ask::Logout | Ask::Clear => 204,
        };
        prop_assert_eq!(answer.status.as_u16(), expected, "{:?}: {}", ask, answer.text());
        let given = |line: &&String| {
            line.starts_with("CloudFront-Policy=") && !line.starts_with("CloudFront-Policy=;")
        };
        let sets = answer.set_cookies().iter().filter(given).count();
        let most = match ask {
            Ask::Renew | Ask::Page | Ask::Login => {
                self.app.state.snapshot().config.limits.sets_per_answer
            }
            Ask::For { .. } | Ask::ForOneOfMany(_) => 1,
            Ask::Logout | Ask::Clear => 0,
        };
        prop_assert!(sets <= most, "{} sets for {:?}", sets, ask);
        Ok(())
    }

    /// Every set in the jar, by its answer, domain and path.
    fn sets(&self) -> BTreeMap<(usize, String, String), Vec<&Cookie>> {
        let mut sets = BTreeMap::<_, Vec<_>>::new();
        for cookie in self.jar.alive(self.now()).filter(|cookie| is_cloudfront(cookie)) {
            let domain = if cookie.host_only { String::new() } else { cookie.domain.clone() };
            sets.entry((cookie.answer, domain, cookie.path.clone())).or_default().push(cookie);
        }
        sets
    }

    /// At most one set reaches any URL, it is whole, and the ledger knows it.
    fn check_jar(&self) -> TestCaseResult {
        let ledger = self.jar.header(&url(SITE), self.now());
        for ((_, domain, path), set) in self.sets() {
            // Two sets that meet anywhere meet at the inner one's path.
            for host in HOSTS {
                let reaching = self.reaching(&url(&format!("{host}{path}x")));
                let answers: Vec<_> = reaching.iter().map(|cookie| cookie.answer).collect();
                let one = answers.windows(2).all(|pair| pair[0] == pair[1])
                    && reaching.iter().filter(|cookie| cookie.name == "CloudFront-Policy").count()
                        < 2;
                prop_assert!(one, "several sets reach {}{}x: {:?}", host, path, reaching);
            }
            prop_assert!(
                ledger.contains(LEDGER_PREFIX) && ledger.contains(&format!("|{domain}|{path}")),
                "{} at {} is not in {}",
                path,
                domain,
                ledger
            );
            self.check_whole(&path, &set)?;
        }
        Ok(())
    }

    fn reaching(&self, url: &Url) -> Vec<&Cookie> {
        let mut found = self.jar.reaching(url, self.now());
        found.retain(|cookie| is_cloudfront(cookie));
        found
    }

    /// The signature belongs to the policy, the policy to the path, and the life to both.
    fn check_whole(&self, path: &str, set: &[&Cookie]) -> TestCaseResult {
        let policy = policy(set).ok_or_else(|| fail("a set without a policy", set))?;
        let resource = policy.resource.as_str();
        prop_assert!(resource.ends_with(&format!("{path}*")), "{} at {}", resource, path);
        let address = policy.source_ip.map(|range| range.addr().into());
        self.verify(&resource.replace('*', "x"), address)
    }

    fn verify(&self, text: &str, source: Option<std::net::IpAddr>) -> TestCaseResult {
        let snapshot = self.app.state.snapshot();
        let key = snapshot.ring.clone().unwrap().active.key.public().clone();
        let cookies = self.jar.header(&url(text), self.now());
        let request = EdgeRequest { url: text, cookies: &cookies, source, now: self.now() };
        verify(&request, &TrustedKeys::AnyId(Box::new(key)))
            .map(drop)
            .map_err(|denial| TestCaseError::fail(format!("{text}: {denial}")))
    }

    /// After an answer that gives cookies, nothing is left of an earlier person or of lost groups.
    fn check_nothing_else_is_left(&self) -> TestCaseResult {
        let open = self.resources();
        for ((answer, ..), set) in self.sets() {
            prop_assert_eq!(self.answers[answer], self.person, "somebody else's: {:?}", set);
            let policy = policy(&set).ok_or_else(|| fail("a set without a policy", &set))?;
            let resource = policy.resource.to_string();
            prop_assert!(open.contains(&resource), "{} is left beside {:?}", resource, open);
            let bound = policy.source_ip.map(|range| range.addr().to_string());
            let here = bound.is_none_or(|address| address == ADDRESSES[self.address]);
            prop_assert!(here, "a set of another address is left: {:?}", set);
        }
        Ok(())
    }

    /// What an answer says it opened can be read.
    fn check_issued(&self, answer: &Answer) -> TestCaseResult {
        let said = answer.json();
        let resources = said["resources"].as_array().unwrap().iter();
        let here = ADDRESSES[self.address].parse().unwrap();
        for resource in resources.map(|text| text.as_str().unwrap().replace('*', "deep/x?y=z")) {
            self.verify(&resource, Some(here))?;
        }
        Ok(())
    }
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn is_cloudfront(cookie: &Cookie) -> bool {
    cookie.name.starts_with("CloudFront-")
}

fn policy(set: &[&Cookie]) -> Option<Custom> {
    let cookie = set.iter().find(|cookie| cookie.name == "CloudFront-Policy")?;
    parse_custom(&base64::decode(&cookie.value).ok()?).ok()
}

fn fail(what: &str, set: &[&Cookie]) -> TestCaseError {
    TestCaseError::fail(format!("{what}: {set:?}"))
}

#[test]
fn a_browser_holds_one_set_per_place_and_only_its_own() {
    let world = RefCell::new(World::new());
    let histories = (rules(), prop::collection::vec(step(), 1..40));
    let run = |(rules, steps): (Vec<RuleSpec>, Vec<Step>)| {
        let mut world = world.borrow_mut();
        world.restart();
        world.step(&Step::Rules(rules))?;
        steps.iter().try_for_each(|step| world.step(step))
    };
    if let Err(error) = TestRunner::new(cases(60)).run(&histories, run) {
        panic!("{error}");
    }
}

/// The world with one rule per path for the group `g0`, and a member of it in front of the browser.
fn site(paths: &[String]) -> World {
    let mut world = World::new();
    world.groups = 1;
    let spec = RuleSpec {
        group: 0,
        resources: Vec::new(),
        many: false,
        lifetime: 3600,
        bind_ip: false,
        share: true,
    };
    let resources = paths.iter().map(|path| resource(HOSTS[0], path)).collect();
    world.change(|config| config.rules = vec![Rule { resources, ..rule(0, &spec) }]);
    world
}

#[test]
fn a_person_who_may_see_nothing_is_left_nothing_of_the_one_before() {
    let mut world = site(&["/a/".to_owned()]);
    world.ask(Ask::Renew, true).unwrap();
    assert_eq!(world.sets().len(), 1);
    (world.person, world.groups) = (1, 0);
    world.ask(Ask::Renew, true).unwrap();
    let left = world.sets();
    assert!(left.is_empty(), "after 403 the browser still reads {:?}", left.keys());
}

#[test]
fn a_person_who_is_refused_one_url_is_left_nothing_of_the_one_before() {
    let mut world = site(&["/a/".to_owned()]);
    world.ask(Ask::Renew, true).unwrap();
    world.person = 1;
    world.ask(Ask::ForOneOfMany(0), true).unwrap();
    world.check_nothing_else_is_left().unwrap();
}

#[test]
fn a_person_who_moves_keeps_nothing_that_is_bound_to_the_old_address() {
    let mut world = site(&(0..MANY).map(many).collect::<Vec<_>>());
    world.change(|config| config.rules[0].bind_ip = true);
    world.ask(Ask::ForOneOfMany(0), true).unwrap();
    world.address = 1;
    world.ask(Ask::ForOneOfMany(1), true).unwrap();
    assert_eq!(world.sets().len(), 1);
}

/// Asks for one place after the other, each on demand.
fn visit(world: &mut World, paths: &[String]) -> TestCaseResult {
    for path in paths {
        let wanted = format!("/session/cookies?for={}{path}x", HOSTS[0]);
        let cookies = world.jar.header(&url(SITE), world.now());
        let (person, headers) = (world.person(), [("cookie", cookies.as_str())]);
        let asked = world.app.with_headers(&person, Method::POST, &wanted, &headers);
        let answer = world.runtime.block_on(asked);
        world.take(&answer, "/session/cookies");
        world.check_jar()?;
    }
    Ok(())
}

#[test]
fn what_a_full_ledger_lists_no_longer_is_gone_from_the_browser() {
    let paths: Vec<String> = (0..MANY).map(many).collect();
    let mut world = site(&paths);
    visit(&mut world, &paths).unwrap();
    assert_eq!(world.sets().len(), MAX_ENTRIES);
}

#[test]
fn the_ledger_lists_every_set_however_long_the_paths() {
    let long = |at| format!("{}{}/", many(at), "x".repeat(110));
    let paths: Vec<String> = (0..MANY).map(long).collect();
    visit(&mut site(&paths), &paths).unwrap();
}

/// Two tabs, or a page and its script: both ask before either answer is stored.
#[test]
fn answers_that_cross_lose_no_set() {
    let mut world = site(&(0..MANY).map(many).collect::<Vec<_>>());
    let answers = [0, 1].map(|at| world.send(Ask::ForOneOfMany(at)));
    for answer in &answers {
        world.take(answer, "/session/cookies");
    }
    world.change(|config| {
        config.rules[0].resources = vec![resource(HOSTS[0], "/many/")];
    });
    world.ask(Ask::Renew, true).unwrap();
    world.check_jar().unwrap();
}

/// A ledger of the right form about places and sets that never were, as cookies.
fn forged() -> impl Strategy<Value = Vec<(String, String)>> {
    let domain = select(vec!["", "example.org", "viewer.example.org", "other.net", "org"]);
    let path = select(vec!["/", "/a/", "/a/b/", "/session/"]);
    let entry =
        (0..u64::MAX, any::<u64>(), domain, path).prop_map(|(end, digest, domain, path)| {
            let scope = CookieScope {
                domain: (!domain.is_empty()).then(|| domain.to_owned()),
                path: PathPrefix::parse(path).unwrap(),
            };
            (ledger_cookie_name(&scope), format!("1|{end}|{digest:016x}|00000000|{domain}|{path}"))
        });
    prop::collection::vec(entry, 0..30)
}

/// Names of the ledger's, with anything behind them.
fn garbled() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = "[0-9a-f]{8}|[0-9a-z-]{0,12}".prop_map(|end| format!("{LEDGER_PREFIX}{end}"));
    let value = prop_oneof!["[!-:<-~]{0,80}", "1(\\|[0-9a-f./]{0,20}){0,12}"];
    prop::collection::vec((name, value), 0..4)
}

/// Whatever the ledger says, lines concern cookies of ours only.
fn check_lines(answer: &Answer) -> TestCaseResult {
    for line in answer.set_cookies() {
        let ours = ["CloudFront-", LEDGER_PREFIX, "AWSELBAuthSessionCookie-"];
        prop_assert!(ours.iter().any(|name| line.starts_with(name)), "{}", line);
        let domain = line.split("; ").find_map(|part| part.strip_prefix("Domain="));
        let settable = domain.is_none_or(|domain| "viewer.example.org".ends_with(domain));
        prop_assert!(settable, "no browser takes {}", line);
    }
    Ok(())
}

#[test]
fn a_garbled_or_forged_ledger_does_no_harm() {
    let world = RefCell::new(World::new());
    let ledger = prop_oneof![forged(), garbled()];
    let run = |(ledger, ask, rules): (Vec<(String, String)>, Ask, Vec<RuleSpec>)| {
        let mut world = world.borrow_mut();
        world.restart();
        world.step(&Step::Rules(rules))?;
        let now = world.now();
        for (name, value) in ledger {
            world.jar.store(&url(SITE), &format!("{name}={value}; Secure; Path=/"), now, 0);
        }
        let answer = world.send(ask);
        check_lines(&answer)?;
        world.check_answer(ask, &answer)
    };
    if let Err(error) = TestRunner::new(cases(150)).run(&(ledger, ask(), rules()), run) {
        panic!("{error}");
    }
}
