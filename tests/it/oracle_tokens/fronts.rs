//! Tokens of the other fronts, minted by `jose` in the shapes that the vendors publish, and judged by it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edgemint::config::{Environment, SignedFront, parse};
use edgemint::identity::keys::{Jwks, VerificationKey};
use edgemint::identity::{TokenError, signed};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shapes::{SHAPES, Shape};
use super::{
    Case, Table, and, before, mac, resigned, signature_of, with, with_last_bits,
    with_trailing_bits, without,
};
use crate::support::NOW;
use crate::tools::Tool;

const TOOL: &str = "jose_tokens.mjs";
const LAST_NAME_WINS: &str = "of two fields of one name, JavaScript takes the last";
const NOT_ASKED: &str = "it looks at a claim only if it is told what to find there";
const SKEW: u64 = edgemint::identity::CLOCK_SKEW_SECONDS;

#[derive(Deserialize)]
struct Key {
    private_jwk: Value,
    public_jwk: Value,
    public_pem: String,
}

#[derive(Deserialize)]
struct Minted {
    token: String,
}

/// A front's side: its keys and the parts of Ada's token.
struct Side<'a> {
    shape: &'a Shape,
    front: SignedFront,
    tool: std::cell::RefCell<Tool>,
    key: Key,
    stranger: Key,
    header: Value,
    payload: Value,
}

impl<'a> Side<'a> {
    fn new(shape: &'a Shape) -> Self {
        let config = CONFIG.replace("[identity]", shape.table);
        let config = parse(Path::new("edgemint.toml"), &config, &Environment::default()).unwrap();
        let [front] = config.fronts.signed.try_into().unwrap();
        let mut tool = Tool::node(TOOL);
        let make = [json!({"make": shape.alg}), json!({"make": shape.alg})];
        let [key, stranger] = tool.ask_all(&make).try_into().ok().unwrap();
        let (header, payload) = ((shape.header)(), (shape.payload)());
        Self { shape, front, tool: tool.into(), key, stranger, header, payload }
    }

    fn ask(&self, request: Value) -> String {
        self.tool.borrow_mut().ask_all::<Minted>(&[request]).remove(0).token
    }

    /// As the vendor writes it: by `jose`, unless the vendor keeps the padding.
    fn good(&self) -> String {
        if self.shape.padded {
            return self.forge(&self.header.to_string(), &self.payload.to_string());
        }
        let mint = json!({"header": self.header, "payload": self.payload});
        self.ask(json!({"mint": mint, "private_jwk": self.key.private_jwk}))
    }

    fn forge(&self, header: &str, payload: &str) -> String {
        self.forge_by(&self.key, header, payload)
    }

    fn forge_by(&self, key: &Key, header: &str, payload: &str) -> String {
        self.ask(json!({
            "forge": {"header": header, "payload": payload},
            "alg": self.shape.alg,
            "padded": self.shape.padded,
            "private_jwk": key.private_jwk,
        }))
    }

    fn header(&self, header: &str) -> String {
        self.forge(header, &self.payload.to_string())
    }

    fn payload(&self, payload: &str) -> String {
        self.forge(&self.header.to_string(), payload)
    }

    fn header_with(&self, changes: Value) -> String {
        self.header(&with(&self.header, changes))
    }

    fn payload_with(&self, changes: Value) -> String {
        self.payload(&with(&self.payload, changes))
    }

    /// Replaces a claim wherever the front stamps it.
    fn stamped(&self, changes: &Value) -> String {
        let payload = with(&self.payload, changes.clone());
        if self.shape.stamps_in_header {
            return self.forge(&with(&self.header, changes.clone()), &payload);
        }
        self.payload(&payload)
    }

    fn kid(&self) -> &str {
        self.header["kid"].as_str().unwrap()
    }

    fn jwks(&self) -> Value {
        let mut key = self.key.public_jwk.clone();
        let names = json!({"kid": self.kid(), "alg": self.shape.alg, "use": "sig"});
        key.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
        json!({"keys": [key]})
    }

    fn subject(&self, token: &str) -> Result<String, TokenError> {
        let expected = &self.front.expected;
        let kid = signed::key_id(token, expected, NOW)?;
        let unknown = || TokenError::Key("the front does not have it");
        let key = if self.shape.stamps_in_header {
            let [algorithm] = expected.dialect.algorithms else { unreachable!() };
            let known = kid == self.kid();
            let key = VerificationKey::from_pem(*algorithm, &self.key.public_pem)?;
            known.then_some(key).ok_or_else(unknown)?
        } else {
            let jwks = Jwks::parse(self.jwks().to_string().as_bytes())?;
            jwks.get(&kid).cloned().ok_or_else(unknown)?
        };
        let identity = signed::verify(token, &key, expected, NOW)?;
        Ok(identity.subject.as_str().to_owned())
    }

    fn judge(&self, fill: impl Fn(&Self, &mut Table)) {
        let mut table = Table::default();
        fill(self, &mut table);
        table.0.iter_mut().for_each(|case| case.name.insert_str(0, self.shape.name));
        let request = |case: &Case| {
            let mut request = json!({
                "token": case.token,
                "algorithms": [self.shape.alg],
                "issuer": self.shape.issuer,
                "now": case.aws_now,
            });
            let more = if self.shape.stamps_in_header {
                json!({"public_pem": self.key.public_pem, "signer": self.shape.made_for})
            } else {
                let longest = self.front.expected.dialect.longest_life;
                json!({
                    "jwks": self.jwks(), "audience": self.shape.made_for, "longest_life": longest,
                })
            };
            request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            request
        };
        let ours = |token: &str| self.subject(token).map_err(|error| error.to_string());
        table.judge_by(TOOL, ours, request);
    }
}

const CONFIG: &str = r#"
public_url = "https://viewer.example.org"
[identity]
[[distribution]]
host = "data.example.org"
[[rule]]
name = "lab-a"
allow = { everyone = true }
resources = ["https://data.example.org/lab-a/*"]
[keys]
source = "dir:keys"
"#;

#[test]
fn tokens_of_every_front_are_verified_as_by_jose() {
    for shape in &SHAPES {
        Side::new(shape).judge(|side, table| {
            table.accept(": as published", side.good());
            headers(side, table);
            algorithms(side, table);
            signatures(side, table);
            claims(side, table);
            times(side, table);
            texts(side, table);
        });
    }
}

fn headers(side: &Side<'_>, table: &mut Table) {
    let any_kid = "with one key it needs no kid";
    for kid in [json!("unknown"), json!(""), json!("../keys"), json!([side.kid()]), json!(0)] {
        let token = side.header_with(json!({"kid": kid}));
        let why = if side.shape.stamps_in_header { any_kid } else { "" };
        table.push(format!(": kid {kid}"), token, false, why);
    }
    table.stricter(": no kid", side.header(&without(&side.header, "kid")), any_kid);
    for crit in [json!(["exp"]), json!([]), json!("exp"), Value::Null] {
        table.refuse(format!(": crit {crit}"), side.header_with(json!({"crit": crit})));
    }
    for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt", ""] {
        let token = side.header_with(json!({"typ": typ}));
        table.stricter(format!(": typ {typ:?}"), token, NOT_ASKED);
    }
    let embedded = json!({
        "jwk": side.stranger.public_jwk, "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x",
    });
    table.accept(": our key, another in the header", side.header_with(embedded.clone()));
    let header = with(&side.header, embedded);
    let forged = side.forge_by(&side.stranger, &header, &side.payload.to_string());
    table.refuse(": signed by the key in the header", forged);
}

fn algorithms(side: &Side<'_>, table: &mut Table) {
    for alg in ["none", "None", "HS256", "RS512", "PS256", "EdDSA", "", "RS256 "] {
        let token = side.header_with(json!({"alg": alg}));
        table.refuse(format!(": alg {alg:?}"), token.clone());
        let (input, _) = token.rsplit_once('.').unwrap();
        table.refuse(format!(": alg {alg:?}, unsigned"), format!("{input}."));
    }
    for alg in ["RS256", "ES256", "ES384"] {
        if alg != side.shape.alg {
            table.refuse(format!(": alg {alg}"), side.header_with(json!({"alg": alg})));
        }
    }
    let symmetric = side.header_with(json!({"alg": "HS256"}));
    let (input, _) = symmetric.rsplit_once('.').unwrap();
    for secret in [&side.key.public_pem, &side.key.public_jwk.to_string(), ""] {
        table.refuse(": HS256 keyed with the public key", mac(input, secret.as_bytes()));
    }
}

fn signatures(side: &Side<'_>, table: &mut Table) {
    let good = side.good();
    let genuine = signature_of(&good);
    let last = genuine.len() - 1;
    for (name, signature) in [
        ("empty", Vec::new()),
        ("of zeros", vec![0; genuine.len()]),
        ("of ones", vec![0xff; genuine.len()]),
        ("without the last byte", genuine[..last].to_vec()),
        ("with a byte more", [&genuine[..], &[0]].concat()),
        ("with a zero in front", [&[0], &genuine[..]].concat()),
        ("in DER", [&[0x30, 0x44, 2, 32], &genuine[..]].concat()),
    ] {
        table.refuse(format!(": signature {name}"), resigned(&good, &signature));
    }
    let parts = (side.header.to_string(), side.payload.to_string());
    table.refuse(": by a stranger's key", side.forge_by(&side.stranger, &parts.0, &parts.1));
    let other = side.payload_with(json!({"sub": "another"}));
    table.refuse(": another token's signature", resigned(&other, &genuine));
    let segments: Vec<&str> = good.split('.').collect();
    for token in [
        segments[..2].join("."),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{}", segments[2]),
        [segments[1], segments[0], segments[2]].join("."),
        String::new(),
        "..".to_owned(),
    ] {
        table.refuse(format!(": {} segments", token.split('.').count()), token);
    }
}

fn claims(side: &Side<'_>, table: &mut Table) {
    let issuer = side.shape.issuer;
    for iss in [
        json!(format!("{issuer}/")),
        json!(issuer.to_uppercase()),
        json!([issuer]),
        json!(""),
        json!(1),
    ] {
        table.refuse(format!(": iss {iss}"), side.stamped(&json!({"iss": iss})));
    }
    let made_for = side.shape.made_for;
    let wrong = [
        json!(format!("{made_for}0")),
        json!(&made_for[1..]),
        json!(format!("{made_for} ")),
        json!([]),
        json!(["another"]),
        json!([[made_for]]),
        json!({ made_for: true }),
        json!(""),
        json!(1),
        Value::Null,
    ];
    for value in wrong {
        let token = if side.shape.stamps_in_header {
            side.header_with(json!({"signer": value}))
        } else {
            side.payload_with(json!({"aud": value}))
        };
        table.refuse(format!(": made for {value}"), token);
    }
    if side.shape.stamps_in_header {
        table.refuse(": signer in a list", side.header_with(json!({"signer": [made_for]})));
        table.refuse(": no signer", side.header(&without(&side.header, "signer")));
    } else {
        table.accept(": aud a text", side.payload_with(json!({"aud": made_for})));
        table.accept(": aud a list", side.payload_with(json!({"aud": ["another", made_for]})));
        let odd = side.payload_with(json!({"aud": [1, made_for]}));
        table.stricter(": aud a list with a number", odd, "it looks for ours alone");
        table.refuse(": no aud", side.payload(&without(&side.payload, "aud")));
        table.refuse(": no iss", side.payload(&without(&side.payload, "iss")));
    }
    if let Some(client) = side.shape.client {
        for value in [json!("another"), json!([client]), json!(""), Value::Null] {
            let token = side.payload_with(json!({"azp": value}));
            table.stricter(format!(": azp {value}"), token, NOT_ASKED);
        }
        table.stricter(": no azp", side.payload(&without(&side.payload, "azp")), NOT_ASKED);
    }
    for sub in [json!(""), json!(1), json!(["ada"]), json!("a\u{0}b"), json!("s".repeat(256))] {
        let name = format!(": sub {sub:.20}");
        table.stricter(name, side.payload_with(json!({"sub": sub})), NOT_ASKED);
    }
}

fn times(side: &Side<'_>, table: &mut Table) {
    let ends = |at: Value| side.stamped(&json!({"exp": at}));
    table.accept(": ended within the skew", ends(json!(NOW.0 - SKEW + 1)));
    table.refuse(": ended", ends(json!(NOW.0 - SKEW)));
    for exp in [json!("9999999999"), json!(-1), json!([NOW.0 + 60]), json!(true), Value::Null] {
        table.refuse(format!(": exp {exp}"), ends(exp));
    }
    let seconds = 1e10 + 0.5;
    table.stricter(": exp in half seconds", ends(json!(seconds)), "any number is a time for it");
    if side.shape.stamps_in_header {
        let token = side.payload_with(json!({"exp": NOW.0 + 61}));
        table.stricter(": another exp in the payload", token, NOT_ASKED);
        let token = side.payload_with(json!({"iss": "https://evil.example"}));
        table.stricter(": another iss in the payload", token, NOT_ASKED);
        table.refuse(": no exp in the header", side.header(&without(&side.header, "exp")));
        return;
    }
    table.refuse(": no exp", side.payload(&without(&side.payload, "exp")));
    let from = |at: u64| side.payload_with(json!({"nbf": at}));
    table.accept(": nbf within the skew", from(NOW.0 + SKEW));
    table.refuse(": nbf in the future", from(NOW.0 + SKEW + 1));
    let issued = side.payload_with(json!({"iat": NOW.0 + SKEW + 1}));
    if side.front.expected.dialect.longest_life.is_some() {
        table.refuse(": iat in the future", issued);
        table.refuse(": no iat", side.payload(&without(&side.payload, "iat")));
        let week = side.payload_with(json!({"exp": NOW.0 + 600_000}));
        table.stricter(": lives for a week", week, "it holds the age to the limit, not the life");
    } else {
        table.stricter(": iat in the future", issued, "it ignores iat");
    }
}

fn texts(side: &Side<'_>, table: &mut Table) {
    let payload = side.payload.to_string();
    for name in ["alg", "kid"] {
        let theirs = format!("\"{name}\":\"none\"");
        let token = side.forge(&before(&side.header, &theirs), &payload);
        table.stricter(format!(": another {name}, then ours"), token, LAST_NAME_WINS);
    }
    for name in ["sub", "exp", "iss"] {
        let token = side.payload(&before(&side.payload, &format!("\"{name}\":1")));
        table.stricter(format!(": two values of {name}"), token, LAST_NAME_WINS);
    }
    let token = side.payload(&and(&side.payload, "\"aud\":\"another\""));
    // Verified Access has no audience of its own.
    table.push(": our aud, then another".to_owned(), token, side.shape.stamps_in_header, "");
    for text in ["", "[]", "null", "{"] {
        table.refuse(format!(": a payload of {text:?}"), side.payload(text));
        table.refuse(format!(": a header of {text:?}"), side.header(text));
    }
    let good = side.good();
    // A P-384 signature fills its last character.
    let unused = !signature_of(&good).len().is_multiple_of(3);
    let lax = if unused { "it drops the unused bits of the last character" } else { "" };
    table.push(": trailing bits".to_owned(), with_trailing_bits(&good), false, lax);
}

#[test]
fn tokens_of_every_algorithm_with_any_byte_changed_are_refused_as_by_jose() {
    // The first three are signed by one each.
    for shape in &SHAPES[..3] {
        let side = Side::new(shape);
        let good = side.good();
        side.judge(|_, table| {
            for at in 0..good.len() - 1 {
                let mut bytes = good.as_bytes().to_vec();
                bytes[at] ^= 1 << (at % 5);
                table.refuse(format!(": byte {at}"), String::from_utf8(bytes).unwrap());
            }
            table.refuse(": the last byte", with_last_bits(&good));
        });
    }
}

/// A token of one front is nobody's credential at another.
#[test]
fn a_token_of_one_front_is_refused_by_every_other() {
    let sides: Vec<Side<'_>> = SHAPES.iter().map(Side::new).collect();
    for (from, minted) in sides.iter().enumerate() {
        let token = minted.good();
        for (at, side) in sides.iter().enumerate() {
            let answer = side.subject(&token);
            assert_eq!(answer.is_ok(), from == at, "{} at {}", minted.shape.name, side.shape.name);
        }
    }
    let claims = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    assert!(sides.iter().all(|side| side.subject(&format!("{claims}.{claims}.")).is_err()));
}
