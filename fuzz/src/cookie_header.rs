//! The `Cookie` header, as the service splits it and as the edge reads it.
//!
//! - A name and a value are parts of the header, and what the `cookie` crate reads too.
//! - What the edge lets pass, the published key signed by OpenSSL's judgement too, and the request
//!   fulfils what the policy says.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use cookie::Cookie;
use edgemint::cookies::cookie_pairs;
use edgemint::policy::{Policy, base64};
use edgemint::signing::PublicKey;
use edgemint::signing::verify::{EdgeRequest, TrustedKeys, verify};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Verifier;

use super::{NOW, RSA_PUBLIC};

const URL: &str = "https://data.example.org/lab-a/x";

static KEYS: LazyLock<TrustedKeys> =
    LazyLock::new(|| TrustedKeys::AnyId(Box::new(PublicKey::from_pem(RSA_PUBLIC).unwrap())));

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let header = text.trim_end_matches('\n');
    check_pairs(header);
    let request = EdgeRequest { url: URL, cookies: header, source: None, now: NOW };
    let Ok(policy) = verify(&request, &KEYS) else { return false };
    check_allowed(header, &policy);
    true
}

fn check_pairs(header: &str) {
    let mut rest = header;
    let mut ours = Vec::new();
    for (name, value) in cookie_pairs(header) {
        // In the header's order, and none of it twice.
        for part in [name, value] {
            let at = rest.find(part).unwrap();
            rest = &rest[at + part.len()..];
        }
        assert!(!name.contains(['=', ';']) && !value.contains(';'), "{name} {value}");
        ours.push((name.trim(), value.trim()));
    }
    ours.retain(|(name, _)| !name.is_empty());
    let theirs: Vec<Cookie<'_>> = Cookie::split_parse(header).filter_map(Result::ok).collect();
    let theirs: Vec<_> = theirs.iter().map(Cookie::name_value).collect();
    assert_eq!(ours, theirs);
}

fn check_allowed(header: &str, policy: &Policy) {
    let values = |name: &str| -> BTreeSet<&str> {
        let named = cookie_pairs(header).filter(|(found, _)| *found == name);
        named.map(|(_, value)| value).collect()
    };
    let one = |name: &str| {
        let values = values(name);
        assert_eq!(values.len(), 1, "{name}");
        values.first().copied().unwrap_or_default()
    };
    let digest = match values("CloudFront-Hash-Algorithm").first() {
        Some(&"SHA256") => MessageDigest::sha256(),
        _ => MessageDigest::sha1(),
    };
    let signed = match policy {
        Policy::Custom(_) => base64::decode(one("CloudFront-Policy")).unwrap(),
        Policy::Canned { .. } => policy.to_json().into_bytes(),
    };
    let signature = base64::decode(one("CloudFront-Signature")).unwrap();
    let key = PKey::public_key_from_pem(RSA_PUBLIC.as_bytes()).unwrap();
    let mut verifier = Verifier::new(digest, &key).unwrap();
    assert!(verifier.verify_oneshot(&signature, &signed).unwrap(), "OpenSSL refuses it");
    assert!(NOW < policy.expires() && policy.source_ip().is_none());
    assert!(policy.resource().matches(URL));
}
