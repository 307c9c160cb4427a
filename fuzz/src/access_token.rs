//! An access token as it comes, or claims to be signed with the published key (see [`Input`]), or
//! the JWKS to verify one with.
//!
//! - What is accepted, OpenSSL accepts too.
//! - An edit of a signed token is refused, unless it leaves all that is signed and the signature.
//! - What the claims say, an ordinary JSON reader reads as well, each field once.
//! - A JWKS in which our key is not verifies nothing that our key signed.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edgemint::identity::ClaimPath;
use edgemint::identity::access_token::{Expected, verify};
use edgemint::identity::keys::{Jwks, VerificationKey};
use edgemint::identity::{CLOCK_SKEW_SECONDS, Subject};
use openssl::pkey::{PKey, Private, Public};
use serde::Deserialize;
use serde_json::json;

use super::tokens::{Claims, Fields, Input, essence, is_signed, segment};
use super::{NOW, RSA_PRIVATE, RSA_PUBLIC};

const ISSUER: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE";
const CLIENT: &str = "4n0tarealclientid";
const GROUPS: &str = "cognito:groups";
const SUBJECT: &str = "ada";
const KID: &str = "k1";
const HEADER: [&str; 3] = ["alg", "kid", "crit"];
const PAYLOAD: [&str; 8] = ["sub", "iss", "client_id", "token_use", "exp", "nbf", "iat", GROUPS];

struct Keys {
    ours: VerificationKey,
    modulus: Vec<u8>,
    private: PKey<Private>,
    public: PKey<Public>,
    expected: Expected,
    subject: Subject,
    /// A token that our key signed.
    token: String,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let public = PKey::public_key_from_pem(RSA_PUBLIC.as_bytes()).unwrap();
    let private = PKey::private_key_from_pem(RSA_PRIVATE.as_bytes()).unwrap();
    let rsa = public.rsa().unwrap();
    let number = |number: &openssl::bn::BigNumRef| URL_SAFE_NO_PAD.encode(number.to_vec());
    let jwks = json!({"keys": [
        {"kty": "RSA", "kid": KID, "alg": "RS256", "n": number(rsa.n()), "e": number(rsa.e())}
    ]});
    let jwks = Jwks::parse(jwks.to_string().as_bytes()).unwrap();
    let header = json!({"alg": "RS256", "kid": KID}).to_string();
    let payload = json!({
        "sub": SUBJECT, "iss": ISSUER, "client_id": CLIENT, "token_use": "access",
        "exp": NOW.plus(60), GROUPS: ["lab-a"],
    });
    let text = format!("{header}\n{payload}");
    let Some(Input::Claims(claims)) = Input::read(text.as_bytes()) else { unreachable!() };
    Keys {
        ours: jwks.get(KID).unwrap().clone(),
        modulus: rsa.n().to_vec(),
        token: claims.sign(&private, false),
        private,
        public,
        expected: Expected {
            issuer: ISSUER.to_owned(),
            client: CLIENT.to_owned(),
            groups_claim: ClaimPath::parse(GROUPS),
        },
        subject: Subject::parse(SUBJECT).unwrap(),
    }
});

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    match Input::read(data) {
        _ if data.starts_with(b"{\"keys\"") => judge_jwks(data),
        None => false,
        Some(Input::Token(token)) => judge(token),
        Some(Input::Claims(claims)) => judge_claims(&claims),
    }
}

fn judge_claims(claims: &Claims<'_>) -> bool {
    let token = claims.sign(&KEYS.private, false);
    let accepted = judge(&token);
    let Some(edited) = claims.edited(&token) else { return accepted };
    let edited_is_accepted = judge(&edited);
    assert!(!edited_is_accepted || essence(&edited) == essence(&token), "{edited}");
    edited_is_accepted
}

fn judge(token: &str) -> bool {
    let Keys { ours, public, expected, subject, .. } = &*KEYS;
    let other = Subject::parse("ben").unwrap();
    assert!(verify(token, ours, expected, &other, NOW).is_err(), "{SUBJECT} is not ben");
    let Ok(groups) = verify(token, ours, expected, subject, NOW) else { return false };
    assert!(is_signed(token, public), "OpenSSL refuses the signature");
    let header = Fields::read(&segment(token, 0), &HEADER);
    assert_eq!(header.get("alg").unwrap(), "RS256");
    assert_eq!(header.get("crit"), None);
    let payload = Fields::read(&segment(token, 1), &PAYLOAD);
    assert_eq!(payload.get("sub").unwrap(), SUBJECT);
    assert_eq!(payload.get("iss").unwrap(), ISSUER);
    assert_eq!(payload.get("client_id").unwrap(), CLIENT);
    assert_eq!(payload.get("token_use").unwrap(), "access");
    assert!(NOW < payload.time("exp").unwrap().plus(CLOCK_SKEW_SECONDS), "expired");
    payload.assert_not_from_the_future();
    assert_eq!(payload.list(GROUPS), groups);
    true
}

fn judge_jwks(json: &[u8]) -> bool {
    let Ok(jwks) = Jwks::parse(json) else { return false };
    let Some(key) = jwks.get(KID) else { return false };
    let Keys { modulus, expected, subject, token, .. } = &*KEYS;
    let accepted = verify(token, key, expected, subject, NOW).is_ok();
    let ours = URL_SAFE_NO_PAD.encode(modulus);
    assert!(!accepted || names(json, &ours), "a key that did not sign verifies");
    accepted
}

/// Whether one of the keys is our RSA key under our name.
fn names(jwks: &[u8], modulus: &str) -> bool {
    #[derive(Deserialize)]
    struct Jwks {
        keys: Vec<Key>,
    }
    #[derive(Deserialize)]
    struct Key {
        kty: String,
        kid: Option<String>,
        n: Option<String>,
    }
    let Jwks { keys } = serde_json::from_slice(jwks).unwrap();
    keys.iter().any(|key| {
        let n = key.n.as_deref().map(|n| n.trim_end_matches('='));
        key.kty == "RSA" && key.kid.as_deref() == Some(KID) && n == Some(modulus)
    })
}
