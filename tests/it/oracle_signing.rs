//! AWS's own signers judge ours.
//!
//! We follow botocore, because AWS's own command line signs through it: policy, encoding and RSA
//! signature equal botocore's byte for byte. `@aws-sdk/cloudfront-signer` writes the same bytes
//! for most policies and others in two cases, in which CloudFront takes either, since it verifies
//! the bytes that it receives:
//!
//! - An address together with a start: botocore puts the address first, the other one the start.
//! - Text beyond ASCII: botocore escapes it as `\uXXXX`, the other one leaves it UTF-8.
//!
//! There the tests assert that the two differ, so that a change at AWS shows, and that the
//! JavaScript signer makes our very cookies of our policy's text. It has one habit besides: a
//! wildcard without conditions gets a canned policy's cookies, with which it cannot work. Ours is
//! custom, over the same bytes.
//!
//! ECDSA signatures differ at every call, so they are verified: ours by `cryptography` and by
//! OpenSSL's command line, AWS's by [`verify`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use edgemint::access::Grant;
use edgemint::clock::EpochSeconds;
use edgemint::cookies::named_values;
use edgemint::policy::{Custom, LAST_EXPIRY, Policy, Resource};
use edgemint::signing::verify::{EdgeRequest, TrustedKeys, verify};
use edgemint::signing::{HashAlgorithm, PrivateKey, SignedPolicy, SigningKey, sign};
use ipnet::Ipv4Net;
use serde_json::{Value, json};

use crate::tools::{Tool, openssl};

const ID: &str = "K2JCJMDEHXQW5F";
const HOSTS: [&str; 4] = [
    "https://data.example.org",
    "http://d111111abcdef8.cloudfront.net",
    "https://xn--bcher-kva.example:8443",
    "https://h",
];
/// Three in a row give the policy every length modulo 3, hence every padding.
const PATH_LENGTHS: [usize; 5] = [0, 1, 2, 255, 4096];
const TAILS: [&str; 12] = [
    "",
    "?a=1&b=2",
    "?v=%2Fx+y%3d&&=&?",
    "/a%20b/0-64_0-64_0-64",
    "/!$'()+,;=:@~[]{}|^`<>#fragment",
    "/é/ü",
    "/日本語?q=ß",
    "/\u{1f52c}/\u{10ffff}",
    "/*",
    "/*.json?*",
    "/???/*",
    "/é/*",
];
const ADDRESSES: [Option<&str>; 4] =
    [None, Some("192.0.2.10"), Some("203.0.113.7/24"), Some("0.0.0.0/0")];
/// Start and end.
const TIMES: [(Option<u64>, u64); 6] = [
    (None, 1_767_290_400),
    (Some(1_767_286_800), 1_767_290_400),
    (None, 1),
    (Some(1), 999_999_999),
    (None, LAST_EXPIRY.0),
    (Some(2_147_483_645), LAST_EXPIRY.0),
];
const HASHES: [HashAlgorithm; 2] = [HashAlgorithm::Sha1, HashAlgorithm::Sha256];

/// What is to be signed, and how.
#[derive(Clone, Debug)]
struct Case {
    resource: String,
    starts: Option<u64>,
    expires: u64,
    address: Option<&'static str>,
    hash: HashAlgorithm,
}

/// Every tail with every address, start and digest; hosts and lengths take turns.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for tail in TAILS {
        for address in ADDRESSES {
            for (starts, expires) in TIMES {
                let turn = cases.len() / HASHES.len();
                let path = "p".repeat(PATH_LENGTHS[turn % PATH_LENGTHS.len()]);
                let resource = format!("{}/{path}{tail}", HOSTS[turn / 3 % HOSTS.len()]);
                cases.extend(HASHES.map(|hash| Case {
                    resource: resource.clone(),
                    starts,
                    expires,
                    address,
                    hash,
                }));
            }
        }
    }
    cases
}

impl Case {
    fn is_bound(&self) -> bool {
        self.starts.is_some() || self.address.is_some()
    }

    fn is_canned(&self) -> bool {
        !self.is_bound() && !self.resource.contains('*')
    }

    /// Whether AWS's signers write the same bytes.
    fn aws_agrees(&self) -> bool {
        self.resource.is_ascii() && !(self.starts.is_some() && self.address.is_some())
    }

    fn policy(&self) -> Policy {
        let resource = Resource::parse(&self.resource).unwrap();
        let expires = EpochSeconds(self.expires);
        if self.is_canned() {
            return Policy::canned(resource, expires).unwrap();
        }
        let starts = self.starts.map(EpochSeconds);
        Policy::custom(Custom { resource, expires, starts, source_ip: self.range() }).unwrap()
    }

    fn range(&self) -> Option<Ipv4Net> {
        let text = self.address?;
        Some(text.parse().unwrap_or_else(|_| format!("{text}/32").parse().unwrap()))
    }

    fn sign(&self, pair: &Pair) -> SignedPolicy {
        let policy = self.policy();
        let grant = Grant::by_operator(policy.resource().clone());
        sign(&grant, policy, &pair.key, self.hash).unwrap()
    }

    /// What both of AWS's signers are asked.
    fn request(&self, pair: &Pair) -> Value {
        json!({
            "resource": self.resource,
            "less_than": self.expires,
            "greater_than": self.starts,
            "ip": self.address,
            "hash": tool_name(self.hash),
            "key_pem": pair.private_pem,
            "key_pair_id": ID,
        })
    }

    /// What the JavaScript signer is asked about our policy's text.
    fn verbatim(&self, pair: &Pair) -> Value {
        json!({
            "policy": self.policy().to_json(),
            "hash": tool_name(self.hash),
            "key_pem": pair.private_pem,
            "key_pair_id": ID,
        })
    }
}

fn tool_name(hash: HashAlgorithm) -> &'static str {
    match hash {
        HashAlgorithm::Sha1 => "sha1",
        HashAlgorithm::Sha256 => "sha256",
    }
}

/// A key, and its halves in PEM as OpenSSL or the repository has them.
struct Pair {
    name: &'static str,
    private_pem: String,
    public_pem: String,
    key: SigningKey,
}

impl Pair {
    fn new(name: &'static str, private_pem: &str, public_pem: &str) -> Self {
        let key = Arc::new(PrivateKey::from_pem(private_pem).unwrap());
        assert_eq!(key.public().to_pem().unwrap(), public_pem, "the public half of {name}");
        Self {
            name,
            private_pem: private_pem.to_owned(),
            public_pem: public_pem.to_owned(),
            key: SigningKey { id: ID.parse().unwrap(), key },
        }
    }

    /// Has OpenSSL make a key.
    fn fresh(name: &'static str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| {
            let output = openssl(folder.path(), args);
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let private = run(&[&["genpkey", "-out", "key.pem"], options].concat());
        assert_eq!(private, "");
        let private = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
        Self::new(name, &private, &run(&["pkey", "-in", "key.pem", "-pubout"]))
    }
}

fn rsa_pairs() -> [Pair; 2] {
    let published = Pair::new(
        "published RSA",
        include_str!("../../keys-example/rsa-2048.private.pem"),
        include_str!("../../keys-example/rsa-2048.public.pem"),
    );
    let options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    [published, Pair::fresh("fresh RSA", &options)]
}

fn p256_pairs() -> [Pair; 2] {
    let published = Pair::new(
        "published P-256",
        include_str!("../../keys-example/p-256.private.pem"),
        include_str!("../../keys-example/p-256.public.pem"),
    );
    let options = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    [published, Pair::fresh("fresh P-256", &options)]
}

type Cookies = BTreeMap<String, String>;

fn our_cookies(signed: &SignedPolicy) -> Cookies {
    named_values(signed).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The JavaScript signer writes the expiry as a number.
fn aws_cookies(answer: &Value) -> Cookies {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let cookies = answer["cookies"].as_object().unwrap();
    cookies.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn ask(tool: &mut Tool, cases: &[Case], of: impl Fn(&Case) -> Value) -> Vec<Value> {
    tool.ask_all(&cases.iter().map(of).collect::<Vec<_>>())
}

#[test]
fn the_table_holds_every_padding_and_every_disagreement_of_aws() {
    let cases = cases();
    let mut residues = BTreeSet::new();
    let mut disagreements = BTreeSet::new();
    for case in &cases {
        residues.insert((case.policy().to_json().len() % 3, case.is_canned()));
        let escapes = !case.resource.is_ascii();
        disagreements.insert((escapes, case.starts.is_some() && case.address.is_some()));
    }
    assert_eq!((cases.len(), residues.len(), disagreements.len()), (576, 6, 4));
}

#[test]
fn policies_and_rsa_signatures_equal_botocores() {
    let mut botocore = Tool::python("botocore_sign.py");
    let cases = cases();
    for pair in rsa_pairs() {
        let answers = ask(&mut botocore, &cases, |case| case.request(&pair));
        for (case, answer) in cases.iter().zip(&answers) {
            let ours = case.sign(&pair);
            let context = format!("{} {case:?}", pair.name);
            assert_eq!(ours.policy().to_json(), answer["policy"], "{context}");
            assert_eq!(ours.encoded_policy(), answer["policy_b64"], "{context}");
            assert_eq!(ours.encoded_signature(), answer["signature"], "{context}");
        }
    }
}

#[test]
fn rsa_cookies_equal_the_javascript_signers_unless_it_contradicts_botocore() {
    let mut signer = Tool::node("aws_signer.mjs");
    let cases = cases();
    for pair in rsa_pairs() {
        let answers = ask(&mut signer, &cases, |case| case.request(&pair));
        for (case, answer) in cases.iter().zip(&answers) {
            let (ours, theirs) = (our_cookies(&case.sign(&pair)), aws_cookies(answer));
            compare(case, &ours, &theirs, pair.name);
        }
    }
}

fn compare(case: &Case, ours: &Cookies, theirs: &Cookies, name: &str) {
    let context = format!("{name} {case:?}");
    let signature = "CloudFront-Signature";
    if !case.aws_agrees() {
        assert_ne!(ours[signature], theirs[signature], "{context}");
        assert!(ours.keys().eq(theirs.keys()) || !case.is_bound(), "{context}");
    } else if case.is_bound() || case.is_canned() {
        assert_eq!(ours, theirs, "{context}");
    } else {
        // The wildcard without conditions.
        assert_eq!(ours[signature], theirs[signature], "{context}");
        assert!(ours.contains_key("CloudFront-Policy"), "{context}");
        assert!(theirs.contains_key("CloudFront-Expires"), "{context}");
    }
}

#[test]
fn the_javascript_signer_makes_our_rsa_cookies_of_our_policy_text() {
    let mut signer = Tool::node("aws_signer.mjs");
    let cases = cases();
    for pair in rsa_pairs() {
        let answers = ask(&mut signer, &cases, |case| case.verbatim(&pair));
        for (case, answer) in cases.iter().zip(&answers) {
            let ours = case.sign(&pair);
            let encoded_policy = ours.encoded_policy().to_owned();
            let mut ours = our_cookies(&ours);
            // A given text makes it a custom policy's set, whatever the text.
            if ours.remove("CloudFront-Expires").is_some() {
                ours.insert("CloudFront-Policy".to_owned(), encoded_policy);
            }
            assert_eq!(ours, aws_cookies(answer), "{} {case:?}", pair.name);
        }
    }
}

#[test]
fn a_set_has_three_cookies_and_a_fourth_with_sha_256() {
    let [pair, _] = rsa_pairs();
    for case in cases() {
        let mut names = vec!["CloudFront-Key-Pair-Id", "CloudFront-Signature"];
        names.push(if case.is_canned() { "CloudFront-Expires" } else { "CloudFront-Policy" });
        if case.hash == HashAlgorithm::Sha256 {
            names.push("CloudFront-Hash-Algorithm");
        }
        names.sort_unstable();
        assert!(our_cookies(&case.sign(&pair)).keys().eq(names), "{case:?}");
    }
}

#[test]
fn encoded_values_stay_in_cloudfronts_alphabet() {
    let known = |c: char| c.is_ascii_alphanumeric() || "~_-".contains(c);
    for pair in rsa_pairs().into_iter().chain(p256_pairs()) {
        for case in cases() {
            let signed = case.sign(&pair);
            for value in our_cookies(&signed).values().chain([&signed.encoded_policy().to_owned()])
            {
                assert!(!value.is_empty() && value.chars().all(known), "{value} of {case:?}");
            }
        }
    }
}

/// Our signatures, and what a thief would make of each.
fn verification_requests(case: &Case, pair: &Pair, other: &Pair) -> Vec<Value> {
    let signed = case.sign(pair);
    let policy = signed.policy().to_json();
    let request = |policy: &str, signature: &str, hash, public_pem: &str| {
        json!({
            "policy": policy,
            "signature": signature,
            "hash": tool_name(hash),
            "public_pem": public_pem,
        })
    };
    let signature = signed.encoded_signature();
    let later = policy.replace(&case.expires.to_string(), &(case.expires + 1).to_string());
    let wider = policy.replacen('/', "/*", 3);
    let [other_hash] = HASHES.into_iter().filter(|hash| *hash != case.hash).collect::<Vec<_>>()[..]
    else {
        unreachable!("two digests")
    };
    let spaced = policy.replace(':', ": ");
    let mut requests = vec![request(&policy, signature, case.hash, &pair.public_pem)];
    for altered in [&later, &wider, &spaced] {
        requests.push(request(altered, signature, case.hash, &pair.public_pem));
    }
    requests.push(request(&policy, &altered_signature(signature), case.hash, &pair.public_pem));
    requests.push(request(&policy, signature, other_hash, &pair.public_pem));
    requests.push(request(&policy, signature, case.hash, &other.public_pem));
    requests
}

/// Changes a character far from DER's lengths and from the padding.
fn altered_signature(signature: &str) -> String {
    let mut bytes = signature.as_bytes().to_vec();
    let at = bytes.len() * 3 / 4;
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn cryptography_verifies_our_signatures_and_nothing_altered() {
    let mut verifier = Tool::python("botocore_verify.py");
    let cases: Vec<Case> = cases().into_iter().step_by(5).collect();
    for [first, second] in [rsa_pairs(), p256_pairs()] {
        for (pair, other) in [(&first, &second), (&second, &first)] {
            for case in &cases {
                let requests = verification_requests(case, pair, other);
                let verdicts: Vec<bool> =
                    verifier.ask_all::<Value>(&requests).iter().map(|a| a["ok"] == true).collect();
                let expected: Vec<bool> = (0..requests.len()).map(|at| at == 0).collect();
                assert_eq!(verdicts, expected, "{} {case:?}", pair.name);
            }
        }
    }
}

#[test]
fn our_verification_takes_the_cookies_of_the_javascript_signer() {
    let mut signer = Tool::node("aws_signer.mjs");
    // Left out: a canned policy's cookies for a wildcard, and for a URL that no browser sends.
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| case.is_bound() || case.is_canned() && case.aws_agrees())
        .step_by(5)
        .collect();
    for pair in rsa_pairs().into_iter().chain(p256_pairs()) {
        let answers = ask(&mut signer, &cases, |case| case.request(&pair));
        for (case, answer) in cases.iter().zip(&answers) {
            accepts(case, &pair, &aws_cookies(answer));
        }
    }
}

fn accepts(case: &Case, pair: &Pair, cookies: &Cookies) {
    let header: Vec<String> =
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = EdgeRequest {
        url: &case.resource,
        cookies: &header.join("; "),
        source: case.range().map(|range| range.addr().into()),
        now: EpochSeconds(case.expires - 1),
    };
    let keys = TrustedKeys::Group([(ID.to_owned(), pair.key.key.public().clone())].into());
    let policy = verify(&request, &keys);
    let policy = policy.unwrap_or_else(|denial| panic!("{denial}: {} {case:?}", pair.name));
    assert_eq!(policy, case.policy(), "{} {case:?}", pair.name);
    let late = EdgeRequest { now: EpochSeconds(case.expires), ..request };
    assert!(verify(&late, &keys).is_err(), "{} {case:?}", pair.name);
}

#[test]
fn openssls_command_line_verifies_our_signatures_and_nothing_altered() {
    let cases: Vec<Case> = cases().into_iter().step_by(115).collect();
    let folder = tempfile::tempdir().unwrap();
    for pair in rsa_pairs().into_iter().chain(p256_pairs()) {
        std::fs::write(folder.path().join("public.pem"), &pair.public_pem).unwrap();
        for case in &cases {
            let signed = case.sign(&pair);
            let policy = signed.policy().to_json();
            std::fs::write(
                folder.path().join("signature"),
                standard_base64(signed.encoded_signature()),
            )
            .unwrap();
            let decode = ["base64", "-d", "-A", "-in", "signature", "-out", "signature.der"];
            assert!(openssl(folder.path(), &decode).status.success());
            assert!(openssl_verifies(folder.path(), &policy, case.hash), "{} {case:?}", pair.name);
            let altered = policy.replace("Resource", "resource");
            assert!(!openssl_verifies(folder.path(), &altered, case.hash), "{}", pair.name);
        }
    }
}

/// Undoes CloudFront's three replacements, as its documentation states them.
fn standard_base64(text: &str) -> String {
    text.replace('-', "+").replace('_', "=").replace('~', "/")
}

fn openssl_verifies(folder: &Path, policy: &str, hash: HashAlgorithm) -> bool {
    std::fs::write(folder.join("policy"), policy).unwrap();
    let digest = format!("-{}", tool_name(hash));
    let args = ["dgst", &digest, "-verify", "public.pem", "-signature", "signature.der", "policy"];
    let output = openssl(folder, &args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("Verified OK") || said.contains("Verification failure"), "{output:?}");
    output.status.success()
}
