use std::sync::Arc;

use super::*;
use crate::access::Grant;
use crate::policy::{Custom, Policy, Resource};
use crate::signing::{PrivateKey, SigningKey, sign};

const NOW: EpochSeconds = EpochSeconds(1_000_000);
const HOST: &str = "viewer.example.org";
const KEY: KeyMark = KeyMark([0xab; 4]);

fn scope(path: &str) -> CookieScope {
    let path = PathPrefix::parse(path).unwrap();
    CookieScope { domain: Some("example.org".to_owned()), path }
}

fn digest(number: u8) -> SetDigest {
    SetDigest([number; 8])
}

fn set(path: &str, number: u8, hash: HashAlgorithm) -> SignedSet {
    let pem = include_str!("../../../keys-example/p-256.private.pem");
    let key = Arc::new(PrivateKey::from_pem(pem).unwrap());
    let resource = Resource::parse(&format!("https://data.example.org{path}*")).unwrap();
    let policy = Policy::custom(Custom {
        resource: resource.clone(),
        expires: NOW.plus(3600),
        starts: None,
        source_ip: None,
    });
    let key = SigningKey { id: "K1EXAMPLE".parse().unwrap(), key };
    let signed = sign(&Grant::by_operator(resource), policy.unwrap(), &key, hash).unwrap();
    SignedSet { scope: scope(path), digest: digest(number), key: KEY, signed: Arc::new(signed) }
}

/// The ledger of a browser that kept what `lines` set.
fn ledger_in(lines: &[String]) -> Ledger {
    let pairs = lines.iter().filter_map(|line| line.split(';').next()?.split_once('='));
    Ledger::read(pairs.filter(|(_, value)| !value.is_empty()))
}

/// The one cookie of an entry, with its right name.
fn entry(value: &str) -> (String, String) {
    (Entry::parse(value).unwrap().cookie_name(), value.to_owned())
}

fn read(cookies: &[(String, String)]) -> Ledger {
    Ledger::read(cookies.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn issue(ledger: &Ledger, sets: &[SignedSet]) -> Renewal {
    let permitted: Vec<_> = sets.iter().map(|set| (set.scope.clone(), set.digest)).collect();
    ledger.renew(HOST, sets, &permitted, NOW)
}

#[test]
fn a_set_is_three_lines_with_every_attribute() {
    let lines = issue(&Ledger::default(), &[set("/lab-a/", 1, HashAlgorithm::Sha1)]).lines;
    assert_eq!(lines.len(), 4);
    for (line, name) in lines.iter().zip(["Policy", "Signature", "Key-Pair-Id"]) {
        assert!(line.starts_with(&format!("CloudFront-{name}=")), "{line}");
        assert!(
            line.ends_with(
                "; HttpOnly; SameSite=Lax; Secure; Path=/lab-a/; Domain=example.org; Max-Age=3600"
            ),
            "{line}"
        );
    }
    let (name, line) = lines[3].split_once('=').unwrap();
    assert!(is_ledger_name(name), "{name}");
    assert_eq!(
        line,
        "1|1003600|0101010101010101|abababab|example.org|/lab-a/; SameSite=Lax; Secure; Path=/; Max-Age=3600"
    );
}

#[test]
fn sha_256_needs_a_fourth_cookie_and_sha_1_removes_it() {
    let first = issue(&Ledger::default(), &[set("/lab-a/", 1, HashAlgorithm::Sha256)]).lines;
    assert!(first[3].starts_with("CloudFront-Hash-Algorithm=SHA256; "), "{}", first[3]);
    let back = issue(&ledger_in(&first), &[set("/lab-a/", 2, HashAlgorithm::Sha1)]).lines;
    assert!(back[0].starts_with("CloudFront-Hash-Algorithm=; "), "{}", back[0]);
    assert!(back[0].ends_with("Path=/lab-a/; Domain=example.org; Max-Age=0"), "{}", back[0]);
    let renewed = issue(&ledger_in(&back), &[set("/lab-a/", 2, HashAlgorithm::Sha1)]).lines;
    assert!(!renewed.iter().any(|line| line.contains("Hash-Algorithm")));
}

#[test]
fn issuing_removes_every_listed_set_that_it_does_not_replace() {
    let before = [set("/lab-a/", 1, HashAlgorithm::Sha1), set("/lab-b/", 2, HashAlgorithm::Sha1)];
    let ledger = ledger_in(&issue(&Ledger::default(), &before).lines);
    let renewal = issue(&ledger, &[set("/lab-b/", 3, HashAlgorithm::Sha1)]);
    assert_eq!(renewal.removed, 1);
    for name in ["Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"] {
        let start = format!("CloudFront-{name}=; ");
        let removed = |line: &&String| line.starts_with(&start) && line.contains("Path=/lab-a/;");
        assert_eq!(renewal.lines.iter().filter(removed).count(), 1, "{name}");
    }
    let listed = ledger_in(&renewal.lines);
    assert!(!listed.holds(&scope("/lab-a/"), digest(1), KEY, 0, NOW));
    assert!(listed.holds(&scope("/lab-b/"), digest(3), KEY, 0, NOW));
}

#[test]
fn a_listed_set_stays_while_it_is_permitted() {
    let ledger =
        ledger_in(&issue(&Ledger::default(), &[set("/lab-a/", 1, HashAlgorithm::Sha1)]).lines);
    let new = [set("/lab-b/", 2, HashAlgorithm::Sha1)];
    let permitted = [(scope("/lab-a/"), digest(1)), (scope("/lab-b/"), digest(2))];
    let renewal = ledger.renew(HOST, &new, &permitted, NOW);
    assert_eq!((renewal.removed, renewal.lines.len()), (0, 4));
    let another_person = [(scope("/lab-a/"), digest(9)), (scope("/lab-b/"), digest(2))];
    assert_eq!(ledger.renew(HOST, &new, &another_person, NOW).removed, 1);
}

#[test]
fn nothing_issued_removes_everything_and_its_entries() {
    let sets = [set("/lab-a/", 1, HashAlgorithm::Sha1)];
    let ledger = ledger_in(&issue(&Ledger::default(), &sets).lines);
    let lines = ledger.renew(HOST, &[], &[], NOW).lines;
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line.ends_with("Max-Age=0")), "{lines:?}");
    assert!(lines[4].starts_with(LEDGER_PREFIX), "{}", lines[4]);
    assert!(Ledger::default().renew(HOST, &[], &[], NOW).lines.is_empty());
}

#[test]
fn holds_wants_more_than_half_of_the_life() {
    let sets = [set("/lab-a/", 1, HashAlgorithm::Sha1)];
    let ledger = ledger_in(&issue(&Ledger::default(), &sets).lines);
    let holds = |now| ledger.holds(&scope("/lab-a/"), digest(1), KEY, 3600, now);
    assert!(holds(NOW.plus(1799)));
    assert!(!holds(NOW.plus(1800)));
    assert!(!holds(NOW.plus(9999)));
    let another_key = KeyMark([0; 4]);
    assert!(!ledger.holds(&scope("/lab-a/"), digest(1), another_key, 3600, NOW));
}

#[test]
fn what_the_service_did_not_write_is_no_entry() {
    let long = format!("1|9|0000000000000000|00000000||/{}/", "x".repeat(MAX_ENTRY_BYTES));
    for value in [
        "",
        "2|1|0000000000000000|00000000||/a/",
        "1|",
        "1|1",
        "1|1|0000000000000000|00000000||/a/|",
        "1|x|0000000000000000|00000000||/a/",
        "1|+1|0000000000000000|00000000||/a/",
        "1|99999999999999999999|0000000000000000|00000000||/a/",
        "1|1|00|00000000||/a/",
        "1|1|0000000000000000|0000000||/a/",
        "1|1|0000000000000000|||/a/",
        "1|1|000000000000000G|00000000||/a/",
        "1|1|0000000000000000|00000000|Example.org|/a/",
        "1|1|0000000000000000|00000000|a..b|/a/",
        "1|1|0000000000000000|00000000|example.org;|/a/",
        "1|1|0000000000000000|00000000||/a",
        "1|1|0000000000000000|00000000||/a/../",
        "1|1|0000000000000000|00000000||/a/\r\nSet-Cookie: x=1/",
        "1|1|0000000000000000|00000000||/é/",
        long.as_str(),
    ] {
        assert_eq!(Entry::parse(value), None, "{value:?}");
    }
}

#[test]
fn a_hostile_ledger_removes_nothing_of_others() {
    for domain in ["evil.net", "other.example.org", "xample.org"] {
        let ledger = read(&[entry(&format!("1|9|0000000000000000|00000000|{domain}|/a/"))]);
        let renewal = ledger.renew(HOST, &[], &[], NOW);
        assert_eq!((renewal.removed, renewal.lines.len()), (0, 1), "{domain}");
        assert!(renewal.lines[0].starts_with(LEDGER_PREFIX), "{:?}", renewal.lines);
    }
    let (name, value) = entry("1|9|0000000000000000|00000000|example.org|/a/");
    let elsewhere = format!("{LEDGER_PREFIX}00000000");
    let ledger = read(&[(elsewhere.clone(), value), (name.clone(), "x".to_owned())]);
    let lines = ledger.renew(HOST, &[], &[], NOW).lines;
    assert_eq!(lines.len(), 2, "garbled entries go, and nothing else: {lines:?}");
    assert!(lines[0].starts_with(&elsewhere) && lines[1].starts_with(&name));
    for odd in ["__Host-edgemint-set-", "__Host-edgemint-set-XYZ", "__Host-edgemint-set-0000000g"] {
        assert_eq!(read(&[(odd.to_owned(), "x".to_owned())]), Ledger::default(), "{odd}");
    }
}

#[test]
fn answers_that_cross_add_up() {
    let first = issue(&Ledger::default(), &[set("/lab-a/", 1, HashAlgorithm::Sha1)]).lines;
    let second = issue(&Ledger::default(), &[set("/lab-b/", 2, HashAlgorithm::Sha1)]).lines;
    let ledger = ledger_in(&[first, second].concat());
    assert_eq!(ledger.renew(HOST, &[], &[], NOW).removed, 2);
}

#[test]
fn a_full_ledger_evicts_the_soonest_to_end() {
    let place = |n: usize| format!("/p{n}/");
    let cookies: Vec<_> = (0..MAX_ENTRIES)
        .map(|n| {
            let expires = NOW.0 + 100 + n as u64;
            entry(&format!("1|{expires}|{}|{KEY}|example.org|{}", digest(1), place(n)))
        })
        .collect();
    let mut permitted: Vec<_> = (0..MAX_ENTRIES).map(|n| (scope(&place(n)), digest(1))).collect();
    let new = [set("/new/", 2, HashAlgorithm::Sha1)];
    permitted.push((scope("/new/"), digest(2)));
    let renewal = read(&cookies).renew(HOST, &new, &permitted, NOW);
    assert_eq!(renewal.removed, 1);
    assert!(renewal.lines[0].contains("Path=/p0/;"), "{}", renewal.lines[0]);
}
