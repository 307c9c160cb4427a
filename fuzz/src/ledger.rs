//! A browser's ledger: a `Cookie` header, and what is answered to it.
//!
//! - Every line is one cookie of ours with the attributes that it should have, at a domain that the
//!   host may set; nothing of the header gets beyond a name, a domain or a path.
//! - Where nothing is issued, every line removes.
//! - A browser that does as it is told lists nothing afterwards that it should not.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cookie::{Cookie, SameSite};
use edgemint::access::{Grant, Lifetime, Opened, PathPrefix};
use edgemint::cookies::{
    CookieScope, KeyMark, LEDGER_PREFIX, Ledger, SetDigest, SignedSet, cookie_pairs,
};
use edgemint::identity::Subject;
use edgemint::policy::{BaseUrl, Custom, Policy, Resource, domain_matches};
use edgemint::signing::{HashAlgorithm, PrivateKey, SigningKey, sign};

use super::{NOW, P256_PRIVATE, person};

const HOST: &str = "viewer.example.org";
const NAMES: [&str; 4] = [
    "CloudFront-Policy",
    "CloudFront-Signature",
    "CloudFront-Key-Pair-Id",
    "CloudFront-Hash-Algorithm",
];

/// More ledger cookies than this are read at the next request.
const MOST_READ: usize = 64;

static SET: LazyLock<SignedSet> = LazyLock::new(|| {
    let key = Arc::new(PrivateKey::from_pem(P256_PRIVATE).unwrap());
    let key = SigningKey { id: "K1EXAMPLE".parse().unwrap(), key };
    let resource = Resource::parse("https://data.example.org/lab-a/*").unwrap();
    let policy = Policy::custom(Custom {
        resource: resource.clone(),
        expires: NOW.plus(3600),
        starts: None,
        source_ip: None,
    });
    let grant = Grant::by_operator(resource);
    let signed = sign(&grant, policy.unwrap(), &key, HashAlgorithm::Sha1).unwrap();
    let path = PathPrefix::parse("/lab-a/").unwrap();
    SignedSet {
        scope: scope(path),
        digest: digest(),
        key: KeyMark::of(&key),
        signed: signed.into(),
    }
});

fn scope(path: PathPrefix) -> CookieScope {
    CookieScope { domain: Some("example.org".to_owned()), path }
}

fn digest() -> SetDigest {
    let opened = Opened {
        base: BaseUrl::parse("https://data.example.org").unwrap(),
        prefix: PathPrefix::parse("/lab-a/").unwrap(),
        lifetime: Lifetime::DEFAULT,
        latest_expiry: NOW.plus(3600),
        source_ip: None,
        share: true,
        rules: Vec::new(),
    };
    SetDigest::of(&person(Subject::parse("ada").unwrap(), None), &opened, HashAlgorithm::Sha1)
}

/// See the module. Accepted is a header in which a set is listed.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let mut jar = jar(text.trim_end_matches('\n'));
    let listed = ledger(&jar).lists_others_than(&[]);

    for host in [HOST, "viewer.example.net"] {
        let cleared = ledger(&jar).renew(host, &[], &[], NOW);
        for line in &cleared.lines {
            assert!(check_line(line, host), "{line}");
        }
        assert!(cleared.lines.len() <= MOST_READ * 5);
        let mut after = jar.clone();
        obey(&mut after, &cleared.lines);
        let whole = count(&jar) <= MOST_READ;
        assert!(!whole || !ledger(&after).lists_others_than(&[]), "{host} leaves {after:?}");
    }

    let sets = [SET.clone()];
    let permitted = [(SET.scope.clone(), SET.digest)];
    let issued = ledger(&jar).renew(HOST, &sets, &permitted, NOW).lines;
    let kept: Vec<_> = issued.iter().filter(|line| !check_line(line, HOST)).collect();
    assert_eq!(kept.len(), 4, "three cookies of the set and one of the ledger: {kept:?}");
    let whole = count(&jar) < MOST_READ;
    obey(&mut jar, &issued);
    let after = ledger(&jar);
    assert!(!whole || !after.lists_others_than(&permitted), "{jar:?}");
    assert!(!whole || after.holds(&SET.scope, SET.digest, SET.key, 3600, NOW), "{jar:?}");
    listed
}

/// A browser's cookies at our host: a name has one value.
fn jar(header: &str) -> BTreeMap<String, String> {
    let pairs = cookie_pairs(header);
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn ledger(jar: &BTreeMap<String, String>) -> Ledger {
    Ledger::read(jar.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn count(jar: &BTreeMap<String, String>) -> usize {
    jar.keys().filter(|name| name.starts_with(LEDGER_PREFIX)).count()
}

fn obey(jar: &mut BTreeMap<String, String>, lines: &[String]) {
    for cookie in lines.iter().map(|line| Cookie::parse(line).unwrap()) {
        if cookie.max_age().unwrap().is_zero() {
            jar.remove(cookie.name());
        } else if cookie.name().starts_with(LEDGER_PREFIX) {
            jar.insert(cookie.name().to_owned(), cookie.value().to_owned());
        }
    }
}

/// Returns whether the line removes.
fn check_line(line: &str, host: &str) -> bool {
    assert!(!line.contains(char::is_control) && line.is_ascii(), "{line:?}");
    let cookie = Cookie::parse(line).unwrap();
    let ledger = cookie.name().starts_with(LEDGER_PREFIX);
    assert!(ledger || NAMES.contains(&cookie.name()), "{line}");
    assert!(cookie.domain().is_none_or(|domain| !ledger && domain_matches(host, domain)), "{line}");
    let path = cookie.path().unwrap();
    assert!(path == "/" || !ledger && path.starts_with('/') && path.ends_with('/'), "{line}");
    assert_eq!(cookie.http_only().unwrap_or(false), !ledger, "{line}");
    assert_eq!((cookie.secure(), cookie.same_site()), (Some(true), Some(SameSite::Lax)), "{line}");
    // The pair, SameSite, Secure, Path, Max-Age, and where they apply HttpOnly and Domain.
    let attributes = 5 + usize::from(!ledger) + usize::from(cookie.domain().is_some());
    assert_eq!(line.split(';').count(), attributes, "{line}");
    let removes = cookie.max_age().unwrap().is_zero();
    assert_eq!(removes, cookie.value().is_empty(), "{line}");
    removes
}
