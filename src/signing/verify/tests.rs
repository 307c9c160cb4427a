use std::sync::Arc;

use super::super::{PrivateKey, SignedPolicy, SigningKey, sign};
use super::*;
use crate::access::Grant;

const RSA: &str = include_str!("../../../keys-example/rsa-2048.private.pem");
const EC: &str = include_str!("../../../keys-example/p-256.private.pem");
const URL: &str = "https://data.example.org/lab-a/x/0.0?v=1";
const NOW: EpochSeconds = EpochSeconds(1_000_000);

fn key(pem: &str) -> SigningKey {
    let key = Arc::new(PrivateKey::from_pem(pem).unwrap());
    SigningKey { id: "K1EXAMPLE".parse().unwrap(), key }
}

fn trusted(key: &SigningKey) -> TrustedKeys {
    TrustedKeys::Group(HashMap::from([(key.id.to_string(), key.key.public().clone())]))
}

fn custom(resource: &str) -> Custom {
    Custom {
        resource: Resource::parse(resource).unwrap(),
        expires: NOW.plus(60),
        starts: None,
        source_ip: None,
    }
}

fn sign_any(policy: Policy, key: &SigningKey, hash: HashAlgorithm) -> SignedPolicy {
    sign(&Grant::by_operator(policy.resource().clone()), policy, key, hash).unwrap()
}

fn cookies(signed: &SignedPolicy) -> String {
    let policy = match signed.policy() {
        Policy::Canned { expires, .. } => format!("CloudFront-Expires={}", expires.0),
        Policy::Custom(_) => format!("CloudFront-Policy={}", signed.encoded_policy()),
    };
    let hash = match signed.hash() {
        HashAlgorithm::Sha1 => "",
        HashAlgorithm::Sha256 => "; CloudFront-Hash-Algorithm=SHA256",
    };
    format!(
        "other=1; {policy}; CloudFront-Signature={}; CloudFront-Key-Pair-Id={}{hash}",
        signed.encoded_signature(),
        signed.key_pair_id()
    )
}

fn request<'a>(url: &'a str, cookies: &'a str) -> EdgeRequest<'a> {
    EdgeRequest { url, cookies, source: Some("192.0.2.7".parse().unwrap()), now: NOW }
}

fn star() -> String {
    let policy = Policy::custom(custom("https://data.example.org/lab-a/*")).unwrap();
    cookies(&sign_any(policy, &key(RSA), HashAlgorithm::Sha1))
}

fn denial(request: &EdgeRequest<'_>) -> Denial {
    verify(request, &trusted(&key(RSA))).unwrap_err()
}

#[test]
fn both_keys_both_digests_and_both_kinds_of_policy_verify() {
    for pem in [RSA, EC] {
        let key = key(pem);
        for hash in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
            let url = Resource::parse(URL).unwrap();
            for policy in [
                Policy::canned(url, NOW.plus(60)).unwrap(),
                Policy::custom(custom("https://data.example.org/lab-a/*")).unwrap(),
            ] {
                let header = cookies(&sign_any(policy.clone(), &key, hash));
                assert_eq!(verify(&request(URL, &header), &trusted(&key)).unwrap(), policy);
            }
        }
    }
}

#[test]
fn a_key_that_is_missing_or_unknown_has_its_own_code() {
    assert_eq!(denial(&request(URL, "")).code(), "MissingKey");
    assert_eq!(denial(&request(URL, "CloudFront-Key-Pair-Id=")).code(), "MissingKey");
    let stranger = star().replace("K1EXAMPLE", "K2OTHER");
    assert_eq!(denial(&request(URL, &stranger)).code(), "InvalidKey");
}

#[test]
fn an_unconverted_alphabet_is_named() {
    let standard = star().replace('_', "=");
    let denial = denial(&request(URL, &standard));
    assert_eq!(denial.code(), "MalformedSignature");
    assert!(denial.to_string().contains("not encoded for CloudFront"), "{denial}");
}

#[test]
fn a_malformed_policy_has_its_own_code() {
    let (_, rest) = star()
        .split_once("; CloudFront-Signature")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let rest = format!("CloudFront-Signature{rest}");
    for policy in
        ["CloudFront-Policy=e30_", "CloudFront-Policy=!", "CloudFront-Expires=soon", "x=1"]
    {
        let header = format!("{policy}; {rest}");
        assert_eq!(denial(&request(URL, &header)).code(), "MalformedPolicy", "{policy}");
    }
}

#[test]
fn expiry_counts_to_the_second() {
    let header = star();
    let at = |now| EdgeRequest { now, ..request(URL, &header) };
    assert!(verify(&at(NOW.plus(59)), &trusted(&key(RSA))).is_ok());
    assert_eq!(denial(&at(NOW.plus(60))).code(), "AccessDenied");
    let text = denial(&at(NOW.plus(72))).to_string();
    assert!(text.starts_with("expired 12 s ago"), "{text}");
}

#[test]
fn another_resource_is_named_with_the_url() {
    let header = star();
    let text = denial(&request("https://data.example.org/lab-b/x", &header)).to_string();
    assert_eq!(
        text,
        "resource https://data.example.org/lab-a/* does not cover https://data.example.org/lab-b/x"
    );
}

#[test]
fn a_start_and_an_address_bind() {
    let key = key(RSA);
    let bound = Custom {
        starts: Some(NOW),
        source_ip: Some("192.0.2.0/24".parse().unwrap()),
        ..custom("https://data.example.org/lab-a/*")
    };
    let header = cookies(&sign_any(Policy::custom(bound).unwrap(), &key, HashAlgorithm::Sha1));
    let early = request(URL, &header);
    assert!(matches!(denial(&early), Denial::NotYet { .. }));
    let later = EdgeRequest { now: NOW.plus(1), ..early };
    assert!(verify(&later, &trusted(&key)).is_ok());
    for source in
        [None, Some("198.51.100.1".parse().unwrap()), Some("2001:db8::1".parse().unwrap())]
    {
        assert!(matches!(denial(&EdgeRequest { source, ..later }), Denial::Source { .. }));
    }
}

#[test]
fn a_missing_hash_cookie_is_explained() {
    let policy = Policy::custom(custom("https://data.example.org/lab-a/*")).unwrap();
    let header = cookies(&sign_any(policy, &key(RSA), HashAlgorithm::Sha256));
    let without = header.replace("; CloudFront-Hash-Algorithm=SHA256", "");
    let text = denial(&request(URL, &without)).to_string();
    assert!(text.contains("CloudFront-Hash-Algorithm=SHA256"), "{text}");
    let stale = format!("{}; CloudFront-Hash-Algorithm=SHA256", star());
    assert!(denial(&request(URL, &stale)).to_string().contains("must go"));
}

#[test]
fn two_sets_that_reach_one_url_are_refused() {
    let outer = Policy::custom(custom("https://data.example.org/*")).unwrap();
    let both = format!("{}; {}", star(), cookies(&sign_any(outer, &key(RSA), HashAlgorithm::Sha1)));
    assert!(matches!(denial(&request(URL, &both)), Denial::Ambiguous(_)));
}

#[test]
fn parameters_of_a_signed_url_win_over_cookies() {
    let header = star();
    let url = format!("{URL}&Expires=1");
    assert_eq!(denial(&request(&url, &header)).code(), "MissingKey");
    let resource = Resource::parse(URL).unwrap();
    let signed =
        sign_any(Policy::canned(resource, NOW.plus(9)).unwrap(), &key(RSA), HashAlgorithm::Sha1);
    let url = format!(
        "{URL}&Expires={}&Signature={}&Key-Pair-Id=K1EXAMPLE",
        NOW.plus(9).0,
        signed.encoded_signature()
    );
    assert!(verify(&request(&url, ""), &trusted(&key(RSA))).is_ok());
}
