use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use edgemint::access::Grant;
use edgemint::clock::EpochSeconds;
use edgemint::cookies::named_values;
use edgemint::policy::{Custom, LAST_EXPIRY, Policy, Resource, base64};
use edgemint::signing::verify::{Denial, EdgeRequest, TrustedKeys, verify};
use edgemint::signing::{HashAlgorithm, PrivateKey, SigningKey, sign};
use ipnet::Ipv4Net;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::cases;

static RSA: LazyLock<SigningKey> =
    LazyLock::new(|| key("K2RSA", include_str!("../../../keys-example/rsa-2048.private.pem")));
static P256: LazyLock<SigningKey> =
    LazyLock::new(|| key("K2P256", include_str!("../../../keys-example/p-256.private.pem")));

fn key(id: &str, pem: &str) -> SigningKey {
    SigningKey { id: id.parse().unwrap(), key: Arc::new(PrivateKey::from_pem(pem).unwrap()) }
}

fn trusted() -> TrustedKeys {
    let known = [&*RSA, &*P256].map(|key| (key.id.to_string(), key.key.public().clone()));
    TrustedKeys::Group(HashMap::from(known))
}

/// A policy, a request that it allows, and how it is signed.
#[derive(Clone, Debug)]
struct Case {
    policy: Policy,
    url: String,
    source: Option<IpAddr>,
    now: EpochSeconds,
    rsa: bool,
    hash: HashAlgorithm,
}

impl Case {
    fn cookies(&self) -> Vec<(&'static str, String)> {
        let key = if self.rsa { &*RSA } else { &*P256 };
        let grant = Grant::by_operator(self.policy.resource().clone());
        named_values(&sign(&grant, self.policy.clone(), key, self.hash).unwrap())
    }

    fn ask(&self, cookies: &[(&str, String)]) -> Result<Policy, Denial> {
        let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = pairs.join("; ");
        let (url, source, now) = (self.url.as_str(), self.source, self.now);
        verify(&EdgeRequest { url, cookies: &cookies, source, now }, &trusted())
    }
}

/// A pattern, and a URL that it matches: each wildcard comes with what it stands for.
fn pattern() -> impl Strategy<Value = (String, String)> {
    let piece = prop_oneof![
        6 => "[a-zA-Z0-9._~é😀%!$&'()+,:;=@/-]{0,8}".prop_map(|text| (text.clone(), text)),
        1 => "[a-z/0-9é]{0,6}".prop_map(|text| ("*".to_owned(), text)),
        1 => "[a-z/]".prop_map(|text| ("?".to_owned(), text)),
    ];
    let scheme = select(vec!["https", "http"]);
    (scheme, "[a-z0-9-]{1,8}\\.org", prop::collection::vec(piece, 0..6)).prop_map(
        |(scheme, host, pieces)| {
            let (pattern, url): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
            let base = format!("{scheme}://{host}/");
            (format!("{base}{}", pattern.concat()), format!("{base}{}", url.concat()))
        },
    )
}

fn custom() -> impl Strategy<Value = Case> {
    let times = (1..LAST_EXPIRY.0 - 1, 1..=24 * 3600_u64, prop::option::of(1..1000_u64));
    let address = prop::option::of((any::<Ipv4Addr>(), 0..=32_u8));
    (pattern(), times, address, any::<bool>(), any::<bool>()).prop_map(
        |((pattern, url), (now, life, started), address, rsa, sha256)| {
            let expires = EpochSeconds(now).plus(life).min(LAST_EXPIRY);
            let policy = Policy::custom(Custom {
                resource: Resource::parse(&pattern).unwrap(),
                expires,
                starts: started.map(|ago| EpochSeconds(now - 1).minus(ago)),
                source_ip: address.map(|(ip, bits)| Ipv4Net::new(ip, bits).unwrap()),
            });
            Case {
                policy: policy.unwrap(),
                url,
                source: address.map(|(ip, _)| ip.into()),
                now: EpochSeconds(now),
                rsa,
                hash: if sha256 { HashAlgorithm::Sha256 } else { HashAlgorithm::Sha1 },
            }
        },
    )
}

fn canned() -> impl Strategy<Value = Case> {
    (custom(), prop::option::of("[a-z]{1,3}=[a-z0-9&]{0,6}")).prop_map(|(case, query)| {
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("{}{query}", case.url);
        let resource = Resource::parse(&url).unwrap();
        let policy = Policy::canned(resource, case.policy.expires()).unwrap();
        Case { policy, url, ..case }
    })
}

fn any_case() -> impl Strategy<Value = Case> {
    prop_oneof![custom(), canned()]
}

fn refused(case: &Case, cookies: &[(&str, String)], what: &str) -> Result<(), TestCaseError> {
    let outcome = case.ask(cookies);
    prop_assert!(outcome.is_err(), "{} was accepted: {:?}", what, cookies);
    Ok(())
}

/// Decodes a cookie's value, flips bits of one byte and encodes it again.
fn flip(value: &str, at: Index, bits: u8) -> String {
    let mut bytes = base64::decode(value).unwrap();
    let at = at.index(bytes.len());
    bytes[at] ^= bits;
    base64::encode(&bytes)
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn what_is_signed_verifies_until_it_expires(case in any_case()) {
        let cookies = case.cookies();
        prop_assert_eq!(case.ask(&cookies).unwrap(), case.policy.clone());
        let late = Case { now: case.policy.expires(), ..case.clone() };
        let expired = matches!(late.ask(&cookies), Err(Denial::Expired { .. }));
        prop_assert!(expired);
    }

    #[test]
    fn a_bound_policy_works_from_its_addresses_only(case in custom(), from in any::<Option<IpAddr>>()) {
        let Some(bound) = case.policy.source_ip() else { return Ok(()) };
        let inside = match from.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => bound.contains(&address),
            _ => false,
        };
        let elsewhere = Case { source: from, ..case.clone() };
        prop_assert_eq!(elsewhere.ask(&case.cookies()).is_ok(), inside);
    }

    #[test]
    fn a_flipped_byte_of_policy_or_signature_is_refused(
        case in any_case(), at: Index, bits in 1..=255_u8,
    ) {
        for name in ["CloudFront-Policy", "CloudFront-Signature"] {
            let mut cookies = case.cookies();
            let Some(pair) = cookies.iter_mut().find(|pair| pair.0 == name) else { continue };
            pair.1 = flip(&pair.1, at, bits);
            refused(&case, &cookies, name)?;
        }
    }

    #[test]
    fn a_changed_character_of_any_cookie_is_refused(
        case in any_case(), at: Index, to in "[!-~ ]",
    ) {
        let cookies = case.cookies();
        for (index, (name, value)) in cookies.iter().enumerate() {
            let at = at.index(value.len());
            let mut changed = value.clone();
            changed.replace_range(at..=at, &to);
            if changed == *value {
                continue;
            }
            let mut cookies = cookies.clone();
            cookies[index].1 = changed;
            refused(&case, &cookies, name)?;
        }
    }

    #[test]
    fn a_missing_doubled_or_lengthened_cookie_is_refused(case in any_case(), more in "[!-:<-~]") {
        let cookies = case.cookies();
        for index in 0..cookies.len() {
            let (name, mut without) = (cookies[index].0, cookies.clone());
            without.remove(index);
            refused(&case, &without, &format!("without {name}"))?;
            let mut longer = cookies.clone();
            longer[index].1.push_str(&more);
            refused(&case, &longer, &format!("a longer {name}"))?;
            let mut doubled = cookies.clone();
            doubled.push((name, more.clone()));
            refused(&case, &doubled, &format!("two of {name}"))?;
        }
    }
}

/// The last character before padding carries bits that mean nothing; another one there must not pass
/// for the same signature.
#[test]
fn every_other_spelling_of_a_signature_is_refused() {
    let resource = Resource::parse("https://h.org/a/*").unwrap();
    let custom = Custom { resource, expires: EpochSeconds(2000), starts: None, source_ip: None };
    let policy = Policy::custom(custom).unwrap();
    let hash = HashAlgorithm::Sha1;
    let url = "https://h.org/a/x".to_owned();
    let case = Case { policy, url, source: None, now: EpochSeconds(1000), rsa: true, hash };
    let mut cookies = case.cookies();
    let good = cookies[1].1.clone();
    let stem = good.strip_suffix("__").expect("256 bytes leave two characters of padding");
    let (stem, last) = stem.split_at(stem.len() - 1);
    let alphabet = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '~']);
    for character in alphabet.filter(|&character| !last.starts_with(character)) {
        cookies[1].1 = format!("{stem}{character}__");
        assert!(case.ask(&cookies).is_err(), "{character}");
    }
    for bad in [format!("{stem}{last}"), format!("{stem}{last}_"), format!("{good}_")] {
        cookies[1].1 = bad;
        assert!(case.ask(&cookies).is_err());
    }
}
