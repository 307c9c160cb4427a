//! The tokens of every front but the load balancer: a letter for the front, and below it a token as it
//! comes, or claims to be signed with the front's key; see [`Input`] for the form.
//!
//! - What is accepted, OpenSSL accepts too, and no other key does.
//! - Without what binds it to this site, nothing is accepted.
//! - An edit of a signed token is refused, unless it leaves all that is signed and the signature.
//! - What the token says, an ordinary JSON reader reads as well, each field once.

use std::sync::LazyLock;

use edgemint::identity::dialect::{
    BEARER, CLOUDFLARE_ACCESS, Dialect, GOOGLE_IAP, ID_TOKEN, POMERIUM, Stamps, VERIFIED_ACCESS,
};
use edgemint::identity::keys::{Algorithm, VerificationKey};
use edgemint::identity::signed::{Expected, MadeFor, key_id, verify};
use edgemint::identity::{CLOCK_SKEW_SECONDS, ClaimPath, Email, Identity};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private, Public};
use serde_json::Value;

use super::tokens::{Fields, Input, essence, is_signed, segment};
use super::{NOW, P256_PRIVATE, RSA_PRIVATE};

const INSTANCE: &str =
    "arn:aws:ec2:us-east-1:123456789012:verified-access-instance/vai-0123456789abcdef0";
const ISSUER: &str = "https://login.example.org";
const US: &str = "edgemint";
const NONCE: &str = "n-0S6_WzA2Mj";
const GROUPS: &str = "groups";
const HEADER: [&str; 7] = ["alg", "kid", "typ", "signer", "iss", "exp", "crit"];
const PAYLOAD: [&str; 14] = [
    "sub",
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "azp",
    "client_id",
    "appid",
    "nonce",
    "email",
    "email_verified",
    "user",
    GROUPS,
];

struct Front {
    ours: VerificationKey,
    stranger: VerificationKey,
    private: PKey<Private>,
    public: PKey<Public>,
    expected: Expected,
}

static FRONTS: LazyLock<[(u8, Front); 6]> = LazyLock::new(|| {
    [
        (b'v', Front::of(&VERIFIED_ACCESS)),
        (b'c', Front::of(&CLOUDFLARE_ACCESS)),
        (b'g', Front::of(&GOOGLE_IAP)),
        (b'p', Front::of(&POMERIUM)),
        (b'b', Front::of(&BEARER)),
        (b'l', Front::of(&ID_TOKEN)),
    ]
});

impl Front {
    fn of(dialect: &'static Dialect) -> Self {
        let us = || vec![US.to_owned()];
        let made_for = if *dialect == VERIFIED_ACCESS {
            MadeFor::Signer(vec![INSTANCE.to_owned()])
        } else if *dialect == BEARER {
            MadeFor::AudienceAndClient(us(), us())
        } else if *dialect == ID_TOKEN {
            MadeFor::Us { client: US.to_owned(), nonce: Some(NONCE.to_owned()) }
        } else {
            MadeFor::Audience(us())
        };
        let algorithm = dialect.algorithms[0];
        let private = private(algorithm, 1);
        Self {
            ours: verification_key(algorithm, &private),
            stranger: verification_key(algorithm, &self::private(algorithm, 2)),
            public: PKey::public_key_from_pem(&private.public_key_to_pem().unwrap()).unwrap(),
            private,
            expected: Expected {
                dialect,
                issuer: Some(ISSUER.to_owned()),
                made_for,
                token_use: None,
                groups: Some(ClaimPath::parse(GROUPS)),
                verified_email_domains: Vec::new(),
            },
        }
    }
}

/// The published key where there is one of the algorithm, and another one, which never changes either.
fn private(algorithm: Algorithm, number: u32) -> PKey<Private> {
    match (algorithm, number) {
        (Algorithm::Rs256, 1) => PKey::private_key_from_pem(RSA_PRIVATE.as_bytes()).unwrap(),
        (Algorithm::Es256, 1) => PKey::private_key_from_pem(P256_PRIVATE.as_bytes()).unwrap(),
        // Nothing is signed with it, so that it may be another one each time.
        (Algorithm::Rs256, _) => {
            PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap()
        }
        (Algorithm::Es256, _) => on_curve(Nid::X9_62_PRIME256V1, 7 + number),
        (Algorithm::Es384, _) => on_curve(Nid::SECP384R1, 7 + number),
    }
}

fn on_curve(curve: Nid, number: u32) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    let secret = BigNum::from_u32(number).unwrap();
    let mut point = EcPoint::new(&group).unwrap();
    point.mul_generator2(&group, &secret, &mut BigNumContext::new().unwrap()).unwrap();
    PKey::from_ec_key(EcKey::from_private_components(&group, &secret, &point).unwrap()).unwrap()
}

fn verification_key(algorithm: Algorithm, key: &PKey<Private>) -> VerificationKey {
    let pem = String::from_utf8(key.public_key_to_pem().unwrap()).unwrap();
    VerificationKey::from_pem(algorithm, &pem).unwrap()
}

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let [letter, b'\n', rest @ ..] = data else { return false };
    let Some((_, front)) = FRONTS.iter().find(|(known, _)| known == letter) else { return false };
    match Input::read(rest) {
        None => false,
        Some(Input::Token(token)) => front.judge(token),
        Some(Input::Claims(claims)) => {
            let padded = front.expected.dialect.stamps == Stamps::Header;
            let token = claims.sign(&front.private, padded);
            let accepted = front.judge(&token);
            let Some(edited) = claims.edited(&token) else { return accepted };
            let edited_is_accepted = front.judge(&edited);
            assert!(!edited_is_accepted || essence(&edited) == essence(&token), "{edited}");
            edited_is_accepted
        }
    }
}

impl Front {
    fn judge(&self, token: &str) -> bool {
        let Self { ours, stranger, public, expected, .. } = self;
        assert!(verify(token, stranger, expected, NOW).is_err(), "the stranger signed nothing");
        for made_for in nobody() {
            let nobody = Expected { made_for, ..expected.clone() };
            assert!(verify(token, ours, &nobody, NOW).is_err(), "it is made for nobody");
        }
        let Ok(identity) = verify(token, ours, expected, NOW) else { return false };
        assert!(is_signed(token, public), "OpenSSL refuses the signature");
        assert!(key_id(token, expected, NOW).is_ok(), "the same checks of the header");
        let header = Fields::read(&segment(token, 0), &HEADER);
        let payload = Fields::read(&segment(token, 1), &PAYLOAD);
        assert_eq!(identity.front, expected.dialect.front);
        self.check_header(&header);
        self.check_stamps(&header, &payload, &identity);
        self.check_made_for(&header, &payload);
        check_person(&payload, &identity);
        true
    }

    fn check_header(&self, header: &Fields) {
        assert_eq!(header.get("alg").unwrap(), self.ours.algorithm().name());
        assert!(!header.get("kid").unwrap().as_str().unwrap().is_empty());
        assert_eq!(header.get("crit"), None);
        let typ = header.get("typ").map(|typ| typ.as_str().unwrap().to_ascii_lowercase());
        let plain = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];
        assert!(typ.is_none_or(|typ| plain.contains(&typ.as_str())));
    }

    fn check_stamps(&self, header: &Fields, payload: &Fields, identity: &Identity) {
        let dialect = self.expected.dialect;
        let of_header = dialect.stamps == Stamps::Header;
        let (place, other) = if of_header { (header, payload) } else { (payload, header) };
        assert_eq!(place.get("iss").unwrap(), ISSUER);
        assert_eq!(identity.issuer, ISSUER);
        assert_eq!(place.time("exp"), Some(identity.expires));
        assert!(NOW < identity.expires.plus(CLOCK_SKEW_SECONDS), "expired");
        if of_header {
            assert!(other.time("exp").is_none_or(|expires| expires == identity.expires));
            assert!(other.get("iss").is_none_or(|issuer| issuer == ISSUER));
        }
        payload.assert_not_from_the_future();
        if let Some(longest) = dialect.longest_life {
            let life = identity.expires.since(payload.time("iat").unwrap());
            assert!(life <= longest + CLOCK_SKEW_SECONDS, "{life} s");
        }
    }

    fn check_made_for(&self, header: &Fields, payload: &Fields) {
        let dialect = self.expected.dialect;
        if *dialect == VERIFIED_ACCESS {
            assert_eq!(header.get("signer").unwrap(), INSTANCE);
            return;
        }
        let audience: Vec<&Value> = match payload.get("aud").unwrap() {
            Value::Array(names) => names.iter().collect(),
            one => vec![one],
        };
        assert!(audience.iter().any(|name| **name == US), "{audience:?}");
        let clients = ["client_id", "azp", "appid"].map(|name| payload.get(name));
        if *dialect == BEARER {
            assert!(clients.iter().flatten().count() > 0);
            assert!(clients.into_iter().flatten().all(|client| client == US));
        }
        if *dialect == ID_TOKEN {
            assert_eq!(payload.get("nonce").unwrap(), NONCE);
            assert!(payload.get("azp").map_or(audience.len() == 1, |azp| azp == US));
        }
    }
}

fn nobody() -> [MadeFor; 4] {
    [
        MadeFor::Signer(Vec::new()),
        MadeFor::Audience(Vec::new()),
        MadeFor::Client(Vec::new()),
        MadeFor::AudienceAndClient(Vec::new(), Vec::new()),
    ]
}

fn check_person(payload: &Fields, identity: &Identity) {
    let groups: std::collections::BTreeSet<String> =
        payload.list(GROUPS).into_iter().map(str::to_owned).collect();
    assert_eq!(identity.groups, groups);
    let is_true = |value: &Value| *value == true || *value == "true";
    // Verified Access has a form of its own besides.
    let Some(subject) = payload.get("sub") else {
        let user = payload.get("user").unwrap();
        assert_eq!(user["user_id"], identity.subject.as_str());
        let email = user["email"]["address"].as_str();
        let verified = is_true(&user["email"]["verified"]);
        assert_eq!(identity.email, email.and_then(|address| Email::parse(address, verified)));
        return;
    };
    assert_eq!(subject, identity.subject.as_str());
    let verified = payload.get("email_verified").is_some_and(is_true);
    let email = payload.get("email").and_then(Value::as_str);
    assert_eq!(identity.email, email.and_then(|address| Email::parse(address, verified)));
}
