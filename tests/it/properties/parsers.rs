use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use edgemint::access::{Grant, PathPrefix, ResourceTemplate};
use edgemint::authn::browser_address;
use edgemint::clock::EpochSeconds;
use edgemint::config::{self, Environment};
use edgemint::cookies::{LEDGER_PREFIX, Ledger, named_values};
use edgemint::identity::keys::{Algorithm, Jwks, VerificationKey};
use edgemint::identity::{access_token, alb};
use edgemint::policy::{BaseUrl, Custom, Policy, Resource, base64 as cloudfront, parse_custom};
use edgemint::signing::verify::{EdgeRequest, TrustedKeys, verify};
use edgemint::signing::{HashAlgorithm, PrivateKey, PublicKey, SigningKey, sign};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use url::Url;

use super::cases;
use crate::support::{ARN, CLIENT, CONFIG, NOW};

const LEDGER: &str = "1|1767290400|0123456789abcdef|00000000|example.org|/lab-a/";
const POLICY: &str = concat!(
    r#"{"Statement":[{"Resource":"https://h.org/a/*","Condition":{"DateLessThan":"#,
    r#"{"AWS:EpochTime":2},"IpAddress":{"AWS:SourceIp":"192.0.2.0/24"},"#,
    r#""DateGreaterThan":{"AWS:EpochTime":1}}}]}"#
);
const JWKS: &str =
    r#"{"keys":[{"kty":"RSA","kid":"k","alg":"RS256","use":"sig","n":"3Z","e":"AQAB"}]}"#;
const PRIVATE_KEYS: [&str; 2] = [
    include_str!("../../../keys-example/rsa-2048.private.pem"),
    include_str!("../../../keys-example/p-256.private.pem"),
];
const PUBLIC_KEYS: [&str; 2] = [
    include_str!("../../../keys-example/rsa-2048.public.pem"),
    include_str!("../../../keys-example/p-256.public.pem"),
];

/// A change to a sample: far more of them get past the first check than of random bytes.
#[derive(Clone, Debug)]
enum Edit {
    Put(u8),
    Insert(Vec<u8>),
    Delete(usize),
    Repeat(usize),
    End,
}

fn edit() -> impl Strategy<Value = Edit> {
    let telling = select(b"\"\\{}[]|/*?%.:;,=&#-_~+ \n\0'".to_vec());
    prop_oneof![
        any::<u8>().prop_map(Edit::Put),
        telling.prop_map(Edit::Put),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(Edit::Insert),
        (1..20_usize).prop_map(Edit::Delete),
        (1..40_usize).prop_map(Edit::Repeat),
        Just(Edit::End),
    ]
}

fn apply(mut bytes: Vec<u8>, edits: &[(Index, Edit)]) -> Vec<u8> {
    for (at, edit) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        let until = |count: usize| (at + count).min(bytes.len());
        match edit {
            Edit::Put(byte) => bytes[at] = *byte,
            Edit::Insert(more) => drop(bytes.splice(at..at, more.iter().copied())),
            Edit::Delete(count) => drop(bytes.drain(at..until(*count))),
            Edit::Repeat(count) => {
                let again = bytes[at..until(*count)].to_vec();
                bytes.splice(at..at, again);
            }
            Edit::End => bytes.truncate(at),
        }
    }
    bytes
}

fn edited(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<Index>(), edit()), 0..6);
    (select(samples), edits).prop_map(|(sample, edits)| apply(sample.into(), &edits))
}

/// Edited samples, and now and then anything at all.
fn bytes(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![6 => edited(samples), 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn text(samples: &'static [&'static str]) -> impl Strategy<Value = String> {
    let edited = bytes(samples).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    prop_oneof![6 => edited, 1 => any::<String>()]
}

/// A PEM whose armour is whole and whose DER is edited.
fn pem(samples: &'static [&'static str]) -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((any::<Index>(), edit()), 0..4);
    (select(samples), edits).prop_map(|(sample, edits)| {
        let lines: Vec<&str> = sample.lines().collect();
        let der = STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap();
        let body = STANDARD.encode(apply(der, &edits));
        let rows: Vec<&str> =
            body.as_bytes().chunks(64).map(|row| str::from_utf8(row).unwrap()).collect();
        format!("{}\n{}\n{}\n", lines[0], rows.join("\n"), lines[lines.len() - 1])
    })
}

fn token(header: &'static [&'static str]) -> impl Strategy<Value = String> {
    let segments = (bytes(header), bytes(&["{\"sub\":\"ada\"}"]), any::<[u8; 4]>());
    let whole = segments.prop_map(|(header, payload, signature)| {
        [&header[..], &payload, &signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    });
    prop_oneof![4 => whole, 1 => text(&["e30=.e30=.AAAA", "a.b.c"])]
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn whatever_a_ledger_says_it_only_removes(name in "[0-9a-f]{8}|[ -~]{0,12}", value in text(&[LEDGER, "1", "1|9|0000000000000000|00000000||/"])) {
        let name = format!("{LEDGER_PREFIX}{name}");
        let ledger = Ledger::read([(name.as_str(), value.as_str())]);
        let lines = ledger.renew("viewer.example.org", &[], &[], EpochSeconds(0)).lines;
        prop_assert!(lines.len() <= 5 && lines.iter().all(|line| line.ends_with("Max-Age=0")), "{:?}", lines);
    }

    #[test]
    fn a_policy_that_parses_is_written_back_the_same(json in bytes(&[POLICY])) {
        let Ok(custom) = parse_custom(&json) else { return Ok(()) };
        let written = Policy::Custom(custom.clone()).to_json();
        prop_assert_eq!(parse_custom(written.as_bytes()).unwrap(), custom);
    }

    #[test]
    fn base64_has_one_spelling(text in text(&["--~~~g__", "QUJD", "QUI_"]), raw: Vec<u8>) {
        if let Ok(bytes) = cloudfront::decode(&text) {
            prop_assert_eq!(cloudfront::encode(&bytes), text);
        }
        let encoded = cloudfront::encode(&raw);
        prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~".contains(&b)));
        prop_assert_eq!(cloudfront::decode(&encoded).unwrap(), raw);
    }

    #[test]
    fn a_resource_that_parses_stays_inside_its_json_string(
        text in text(&["https://h.org/a/*", "http://h/é?x=1"]),
    ) {
        let Ok(resource) = Resource::parse(&text) else { return Ok(()) };
        let custom = Custom { resource, expires: EpochSeconds(9), starts: None, source_ip: None };
        let json = Policy::Custom(custom.clone()).to_json();
        prop_assert_eq!(parse_custom(json.as_bytes()).unwrap(), custom);
    }

    #[test]
    fn a_template_that_parses_is_written_back_the_same(
        text in text(&["https://h.org/a/{subject}/*", "https://h.org/*", "http://x.localhost:80/{email}/*"]),
    ) {
        let Ok(template) = ResourceTemplate::parse(&text) else { return Ok(()) };
        prop_assert_eq!(template.to_string(), text);
    }

    #[test]
    fn browsers_keep_a_path_prefix_as_it_is(text in text(&["/a/", "/", "/a%20b/c@d/", "/%2e/x/", "/a+!$&'()=:~/"])) {
        let Ok(prefix) = PathPrefix::parse(&text) else { return Ok(()) };
        let url = Url::parse(&format!("https://h.org{prefix}x")).unwrap();
        prop_assert_eq!(url.path(), format!("{prefix}x"));
        prop_assert!(prefix.contains_path(url.path()) && prefix.as_str().is_ascii());
    }

    #[test]
    fn a_base_url_is_the_origin_that_browsers_send(
        text in text(&["https://data.example.org", "http://x.localhost:8080", "https://h.org:443"]),
    ) {
        let Ok(base) = BaseUrl::parse(&text) else { return Ok(()) };
        let url = Url::parse(base.as_str());
        prop_assert_eq!(url.map(|url| url.origin().ascii_serialization()), Ok(text));
    }

    #[test]
    fn tokens_of_strangers_are_read_without_panic(
        alb in token(&[r#"{"alg":"ES256","kid":"12345678-1234-1234-1234-123456789012","signer":"s","client":"c","iss":"i","exp":9}"#]),
        access in token(&[r#"{"alg":"RS256","kid":"k","crit":[]}"#]),
        jwks in bytes(&[JWKS]),
    ) {
        let expected = alb::Expected {
            signers: vec![ARN.to_owned(), "s".to_owned()],
            client: CLIENT.to_owned(),
            issuer: None,
            groups_claim: None,
        };
        let _ = alb::key_id(&alb, &expected, EpochSeconds(1));
        let _ = access_token::key_id(&access);
        let _ = Jwks::parse(&jwks);
        let _ = VerificationKey::from_pem(Algorithm::Es256, &String::from_utf8_lossy(&jwks));
    }

    #[test]
    fn forwarded_addresses_are_read_without_panic(
        lines in prop::collection::vec(bytes(&["192.0.2.1, [2001:db8::1]:80", "192.0.2.1:5, ::1"]), 0..4),
        hops: u8,
    ) {
        let mut headers = HeaderMap::new();
        for value in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
            headers.append("x-forwarded-for", value);
        }
        let _ = browser_address(&headers, [10, 0, 0, 9].into(), hops);
    }

    #[test]
    fn requests_of_strangers_are_judged_without_panic(
        url in text(&["https://h.org/a?Policy=QQ__&Signature=QQ__&Key-Pair-Id=K", "https://h.org/a/x"]),
        cookies in text(&[
            "CloudFront-Policy=eyJ9; CloudFront-Signature=QUJD; CloudFront-Key-Pair-Id=K1",
            "CloudFront-Expires=99; CloudFront-Signature=QUJD; CloudFront-Key-Pair-Id=K1; CloudFront-Hash-Algorithm=SHA256",
        ]),
        which in 0..2_usize,
    ) {
        let key = PublicKey::from_pem(PUBLIC_KEYS[which]).unwrap();
        let request = EdgeRequest { url: &url, cookies: &cookies, source: None, now: NOW };
        if let Err(denial) = verify(&request, &TrustedKeys::AnyId(Box::new(key))) {
            prop_assert!(denial.to_string().len() < 2000 + url.len() && !denial.message().is_empty());
        } else {
            prop_assert!(false, "nobody signed this");
        }
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn configurations_are_refused_without_panic(
        text in text(&[CONFIG]),
        variables in prop::collection::vec((
            "EDGEMINT_([A-Z0-9]{0,4}|RULE|KEYS|LIMITS|DISTRIBUTION)(__([0-9]{1,20}|[A-Z_]{0,9}|HOST|NAME)){0,3}",
            any::<String>(),
        ), 0..3),
    ) {
        let file = Path::new("edgemint.toml");
        let _ = config::parse(file, &text, &Environment::default());
        let _ = config::parse(file, CONFIG, &Environment::new(variables));
    }

    #[test]
    fn a_private_key_that_is_read_signs_for_its_public_half(
        pem in prop_oneof![3 => pem(&PRIVATE_KEYS), 1 => text(&PRIVATE_KEYS)],
        sha256: bool,
    ) {
        let Ok(key) = PrivateKey::from_pem(&pem) else { return Ok(()) };
        let keys = TrustedKeys::AnyId(Box::new(key.public().clone()));
        let hash = if sha256 { HashAlgorithm::Sha256 } else { HashAlgorithm::Sha1 };
        let key = SigningKey { id: "K1".parse().unwrap(), key: key.into() };
        let resource = Resource::parse("https://h.org/a").unwrap();
        let policy = Policy::canned(resource.clone(), EpochSeconds(9)).unwrap();
        let signed = sign(&Grant::by_operator(resource), policy, &key, hash).unwrap();
        let cookies: Vec<_> =
            named_values(&signed).iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let (url, now) = ("https://h.org/a", EpochSeconds(1));
        let request = EdgeRequest { url, cookies: &cookies, source: None, now };
        prop_assert!(verify(&request, &keys).is_ok());
    }

    #[test]
    fn a_public_key_that_is_read_is_written_back_the_same(
        pem in prop_oneof![3 => pem(&PUBLIC_KEYS), 1 => text(&PUBLIC_KEYS)],
    ) {
        let Ok(key) = PublicKey::from_pem(&pem) else { return Ok(()) };
        prop_assert_eq!(PublicKey::from_pem(&key.to_pem().unwrap()).unwrap(), key.clone());
        let cookies = "CloudFront-Expires=9; CloudFront-Key-Pair-Id=K; CloudFront-Signature=QUJD";
        let url = "https://h.org/a";
        let request = EdgeRequest { url, cookies, source: None, now: EpochSeconds(1) };
        prop_assert!(verify(&request, &TrustedKeys::AnyId(Box::new(key))).is_err());
    }
}

/// Far more than any of them reads, in the shapes that make parsers slow or deep.
#[test]
fn large_and_deep_inputs_are_refused_at_once() {
    let start = Instant::now();
    for piece in
        ["a", "/", "/a", "|", "1|", "*", "{", "[", "{\"a\":", "a.", "=", ";", "%", "-----BEGIN "]
    {
        let text = piece.repeat(400_000 / piece.len());
        let name = format!("{LEDGER_PREFIX}01234567");
        let ledger = Ledger::read([(name.as_str(), text.as_str())]);
        assert!(!ledger.lists_others_than(&[]), "{piece}");
        assert!(parse_custom(text.as_bytes()).is_err(), "{piece}");
        assert!(access_token::key_id(&text).is_err(), "{piece}");
        assert!(Jwks::parse(text.as_bytes()).is_err(), "{piece}");
        assert!(PathPrefix::parse(&format!("/{text}/")).is_err(), "{piece}");
        assert!(Resource::parse(&format!("https://h/{text}")).is_err(), "{piece}");
        assert!(BaseUrl::parse(&format!("https://{text}")).is_err(), "{piece}");
        assert!(PrivateKey::from_pem(&text).is_err() && PublicKey::from_pem(&text).is_err());
        let _ = ResourceTemplate::parse(&format!("https://h/{text}/*"));
        let _ = cloudfront::decode(&text);
        let request = EdgeRequest { url: &text, cookies: &text, source: None, now: NOW };
        assert!(verify(&request, &TrustedKeys::None).is_err());
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_deep_configuration_is_refused_without_running_out_of_stack() {
    let file = Path::new("edgemint.toml");
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
    ] {
        assert!(config::parse(file, &text, &Environment::default()).is_err());
    }
}
