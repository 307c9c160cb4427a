use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::access::{Allow, Lifetime, PathPrefix, ResourceTemplate, Rule, decide};
use crate::identity::{Front, Subject};
use crate::policy::BaseUrl;
use crate::signing::PrivateKey;
use crate::signing::verify::{EdgeRequest, TrustedKeys, verify};

const NOW: EpochSeconds = EpochSeconds(1_700_000_000);

fn person(subject: &str) -> Identity {
    Identity {
        front: Front::Alb,
        issuer: "https://issuer.example.org".to_owned(),
        subject: Subject::parse(subject).unwrap(),
        email: None,
        groups: ["lab".to_owned()].into(),
        expires: NOW.plus(120),
    }
}

fn rules(paths: &[&str]) -> Vec<Rule> {
    paths
        .iter()
        .map(|path| Rule {
            name: (*path).to_owned(),
            allow: Allow { groups: vec!["lab".to_owned()], ..Allow::default() },
            resources: vec![
                ResourceTemplate::parse(&format!("https://data.example.org{path}*")).unwrap(),
            ],
            lifetime: Lifetime::DEFAULT,
            bind_ip: false,
            share: true,
            dataset: None,
        })
        .collect()
}

struct Bench {
    issuer: Issuer,
    signatures: Arc<AtomicUsize>,
    key: SigningKey,
    distributions: Vec<Distribution>,
}

fn bench() -> Bench {
    let signatures = Arc::new(AtomicUsize::new(0));
    let counted = signatures.clone();
    let pem = include_str!("../../keys-example/rsa-2048.private.pem");
    let key = Arc::new(PrivateKey::from_pem(pem).unwrap());
    let issuer = Issuer::new(2, 8, move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let base = BaseUrl::parse("https://data.example.org").unwrap();
    let path = PathPrefix::parse("/").unwrap();
    let cookie_domain = Some("example.org".to_owned());
    let distributions = vec![Distribution { base, cookie_domain, path, handoff: None }];
    Bench {
        issuer,
        signatures,
        key: SigningKey { id: "K1EXAMPLE".parse().unwrap(), key },
        distributions,
    }
}

impl Bench {
    fn request<'a>(
        &'a self,
        identity: &'a Identity,
        grant: &'a Grant,
        ledger: &'a Ledger,
    ) -> Request<'a> {
        Request {
            grant,
            identity,
            host: "viewer.example.org",
            in_body: false,
            distributions: &self.distributions,
            key: &self.key,
            hash: HashAlgorithm::Sha1,
            ledger,
            wanted: None,
            sets_per_answer: 4,
            now: NOW,
        }
    }

    async fn issue(&self, subject: &str, rules: &[Rule], ledger: &Ledger) -> Issued {
        let identity = person(subject);
        let grant = decide(&identity, rules, Some("192.0.2.1".parse().unwrap()), NOW).unwrap();
        self.issuer.issue(&self.request(&identity, &grant, ledger)).await.unwrap()
    }
}

fn cookie_header(lines: &[String]) -> String {
    let pairs = lines.iter().filter_map(|line| line.split(';').next());
    pairs
        .filter(|pair| pair.starts_with("CloudFront-") && !pair.ends_with('='))
        .collect::<Vec<_>>()
        .join("; ")
}

fn ledger_of(lines: &[String]) -> Ledger {
    Ledger::read(lines.iter().filter_map(|line| line.split(';').next()?.split_once('=')))
}

#[tokio::test]
async fn people_with_the_same_grant_share_one_signature() {
    let bench = bench();
    let rules = rules(&["/lab/"]);
    let first = bench.issue("ada", &rules, &Ledger::default()).await;
    let second = bench.issue("ben", &rules, &Ledger::default()).await;
    assert_eq!(cookie_header(&first.lines), cookie_header(&second.lines));
    assert_eq!(bench.signatures.load(Ordering::SeqCst), 1);
    assert_ne!(first.lines.last(), second.lines.last(), "the ledger tells people apart");
}

#[tokio::test]
async fn concurrent_misses_sign_once() {
    let bench = bench();
    let rules = rules(&["/lab/"]);
    let (ledger, identity) = (Ledger::default(), person("ada"));
    let grant = decide(&identity, &rules, None, NOW).unwrap();
    let request = bench.request(&identity, &grant, &ledger);
    let (a, b, c) = tokio::join!(
        bench.issuer.issue(&request),
        bench.issuer.issue(&request),
        bench.issuer.issue(&request)
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(bench.signatures.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn another_key_under_the_same_id_signs_anew() {
    let mut bench = bench();
    let rules = rules(&["/lab/"]);
    let first = bench.issue("ada", &rules, &Ledger::default()).await;
    let pem = include_str!("../../keys-example/p-256.private.pem");
    bench.key.key = Arc::new(PrivateKey::from_pem(pem).unwrap());
    let second = bench.issue("ada", &rules, &Ledger::default()).await;
    assert_ne!(cookie_header(&first.lines), cookie_header(&second.lines));
}

#[tokio::test]
async fn a_rule_that_does_not_share_gives_each_session_its_own_policy() {
    let bench = bench();
    let mut rules = rules(&["/lab/"]);
    rules[0].share = false;
    let first = bench.issue("ada", &rules, &Ledger::default()).await;
    let second = bench.issue("ada", &rules, &Ledger::default()).await;
    assert_ne!(cookie_header(&first.lines), cookie_header(&second.lines));
    let keys = HashMap::from([("K1EXAMPLE".to_owned(), bench.key.key.public().clone())]);
    for issued in [first, second] {
        let cookies = cookie_header(&issued.lines);
        let url = "https://data.example.org/lab/x";
        let request = EdgeRequest { url, cookies: &cookies, source: None, now: NOW };
        verify(&request, &TrustedKeys::Group(keys.clone())).unwrap();
    }
}

#[tokio::test]
async fn more_prefixes_than_fit_are_issued_on_demand() {
    let bench = bench();
    let paths = ["/a/", "/b/", "/c/", "/d/", "/e/", "/f/"];
    let rules = rules(&paths);
    let identity = person("ada");
    let grant = decide(&identity, &rules, None, NOW).unwrap();
    let ledger = Ledger::default();
    let request = bench.request(&identity, &grant, &ledger);
    let issued = bench.issuer.issue(&request).await.unwrap();
    assert_eq!((issued.opened.len(), issued.on_demand.len()), (4, 2));

    let ledger = ledger_of(&issued.lines);
    let url = url::Url::parse("https://data.example.org/f/x/0.0").unwrap();
    let wanted = Request { wanted: Some(&url), ledger: &ledger, ..request };
    let issued = bench.issuer.issue(&wanted).await.unwrap();
    assert_eq!(issued.opened[0].prefix.as_str(), "/f/");
    assert_eq!((issued.opened.len(), issued.removed), (1, 0));

    for outside in [
        "https://data.example.org/g/",
        "https://data.example.org:444/f/",
        "http://data.example.org/f/",
        "https://evil.example.org/f/",
    ] {
        let url = url::Url::parse(outside).unwrap();
        let wanted = Request { wanted: Some(&url), ..request };
        let refused = bench.issuer.issue(&wanted).await;
        assert!(matches!(refused, Err(IssueError::NotCovered(_))), "{outside}");
    }
}

#[tokio::test]
async fn cookies_are_due_when_missing_past_half_or_somebody_elses() {
    let bench = bench();
    let rules = rules(&["/lab/"]);
    let issued = bench.issue("ada", &rules, &Ledger::default()).await;
    let ledger = ledger_of(&issued.lines);
    let (ada, ben) = (person("ada"), person("ben"));
    let grant = decide(&ada, &rules, None, NOW).unwrap();
    let empty = Ledger::default();
    assert!(is_due(&bench.request(&ada, &grant, &empty)));
    assert!(!is_due(&bench.request(&ada, &grant, &ledger)));
    assert!(is_due(&bench.request(&ben, &grant, &ledger)));
    let pem = include_str!("../../keys-example/p-256.private.pem");
    let key = Arc::new(PrivateKey::from_pem(pem).unwrap());
    let new_key = SigningKey { id: bench.key.id.clone(), key };
    let rotated = Request { key: &new_key, ..bench.request(&ada, &grant, &ledger) };
    assert!(is_due(&rotated), "a page does not keep cookies of a key that is gone");
    let later = Request { now: NOW.plus(1900), ..bench.request(&ada, &grant, &ledger) };
    assert!(is_due(&later));
}

#[tokio::test]
async fn three_sets_fit_into_the_header_buffer_of_an_nginx_in_between() {
    let bench = bench();
    let rules = rules(&["/lab-a/", "/lab-b/", "/atlas/"]);
    let issued =
        bench.issue("0f8fad5b-d9cb-469f-a165-70867728950e", &rules, &Ledger::default()).await;
    let bytes: usize = issued.lines.iter().map(|line| "Set-Cookie: \r\n".len() + line.len()).sum();
    assert!(bytes < 3200, "{bytes} bytes of 4096");
}
