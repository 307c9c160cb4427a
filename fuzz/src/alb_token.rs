//! `x-amzn-oidc-data`: a token as it comes, or claims to be signed with the published key; see
//! [`Input`] for the form.
//!
//! - What is accepted, OpenSSL accepts too, and no other key does.
//! - An edit of a signed token is refused, unless it leaves all that is signed and the signature.
//! - What the claims say, an ordinary JSON reader reads as well, each field once.

use std::sync::LazyLock;

use edgemint::identity::ClaimPath;
use edgemint::identity::alb::{Claims, Expected, key_id, verify};
use edgemint::identity::keys::{Algorithm, VerificationKey};
use edgemint::identity::{CLOCK_SKEW_SECONDS, Email, alb};
use openssl::pkey::{PKey, Private, Public};

use super::tokens::{Fields, Input, essence, is_signed, segment};
use super::{NOW, P256_PRIVATE, P256_PUBLIC};

const ARN: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/viewer/0123456789abcdef";
const CLIENT: &str = "4n0tarealclientid";
const GROUPS: &str = "groups";
const HEADER: [&str; 7] = ["alg", "kid", "signer", "client", "iss", "exp", "crit"];
const PAYLOAD: [&str; 8] = ["sub", "iss", "exp", "nbf", "iat", "email", "email_verified", GROUPS];

struct Keys {
    ours: VerificationKey,
    stranger: VerificationKey,
    private: PKey<Private>,
    public: PKey<Public>,
    expected: Expected,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let stranger = p256::SecretKey::from_slice(&[7; 32]).unwrap().public_key();
    let stranger = p256::pkcs8::EncodePublicKey::to_public_key_pem(&stranger, <_>::default());
    Keys {
        ours: VerificationKey::from_pem(Algorithm::Es256, P256_PUBLIC).unwrap(),
        stranger: VerificationKey::from_pem(Algorithm::Es256, &stranger.unwrap()).unwrap(),
        private: PKey::private_key_from_pem(P256_PRIVATE.as_bytes()).unwrap(),
        public: PKey::public_key_from_pem(P256_PUBLIC.as_bytes()).unwrap(),
        expected: Expected {
            signers: vec![ARN.to_owned()],
            client: CLIENT.to_owned(),
            issuer: None,
            groups_claim: Some(ClaimPath::parse(GROUPS)),
        },
    }
});

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    match Input::read(data) {
        None => false,
        Some(Input::Token(token)) => judge(token),
        Some(Input::Claims(claims)) => {
            let token = claims.sign(&KEYS.private, true);
            let accepted = judge(&token);
            let Some(edited) = claims.edited(&token) else { return accepted };
            let edited_is_accepted = judge(&edited);
            assert!(!edited_is_accepted || essence(&edited) == essence(&token), "{edited}");
            edited_is_accepted
        }
    }
}

fn judge(token: &str) -> bool {
    let Keys { ours, stranger, public, expected, .. } = &*KEYS;
    assert!(verify(token, stranger, expected, NOW).is_err(), "the stranger signed nothing");
    let nobody = Expected { signers: Vec::new(), ..expected.clone() };
    assert!(verify(token, ours, &nobody, NOW).is_err(), "no load balancer is ours");
    let Ok(claims) = verify(token, ours, expected, NOW) else { return false };
    assert!(is_signed(token, public), "OpenSSL refuses the signature");
    // A `kid` is read before the signature is, to fetch the key by.
    let header = Fields::read(&segment(token, 0), &HEADER);
    if let Ok(kid) = key_id(token, expected, NOW) {
        assert_eq!(header.get("kid").unwrap(), kid.as_str());
        assert!(kid.as_str().bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
    }
    check_header(&header, &claims);
    check_payload(&Fields::read(&segment(token, 1), &PAYLOAD), &claims);
    true
}

fn check_header(header: &Fields, claims: &alb::Claims) {
    assert_eq!(header.get("alg").unwrap(), "ES256");
    assert_eq!(header.get("signer").unwrap(), ARN);
    assert_eq!(header.get("client").unwrap(), CLIENT);
    assert_eq!(header.get("iss").unwrap(), claims.issuer.as_str());
    assert_eq!(header.get("crit"), None);
    assert_eq!(header.time("exp"), Some(claims.expires));
    assert!(NOW < claims.expires.plus(CLOCK_SKEW_SECONDS), "expired");
}

fn check_payload(payload: &Fields, claims: &Claims) {
    assert_eq!(payload.get("sub").unwrap(), claims.subject.as_str());
    assert_eq!(payload.get("iss").unwrap(), claims.issuer.as_str());
    assert!(payload.time("exp").is_none_or(|expires| expires == claims.expires));
    assert_eq!(payload.list(GROUPS), claims.groups);
    payload.assert_not_from_the_future();
    let verified = payload.get("email_verified");
    let verified = verified.is_some_and(|value| *value == true || value == "true");
    let email = payload.get("email").and_then(|value| value.as_str());
    assert_eq!(claims.email, email.and_then(|address| Email::parse(address, verified)));
}
