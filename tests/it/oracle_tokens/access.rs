use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use edgemint::demo::people::Person;
use edgemint::demo::tokens::{AccessTokenFacts, AccessTokenSigner};
use edgemint::identity::ClaimPath;
use edgemint::identity::access_token;
use edgemint::identity::dialect::BEARER;
use edgemint::identity::keys::Jwks;
use edgemint::identity::signed::{self, MadeFor};
use edgemint::identity::{Subject, TokenError};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use serde_json::{Value, json};

use super::{
    ANY_NUMBER, EARLIER, END, LAST_NAME_WINS, LATER, NO_CRIT, Table, and, before, for_each_change,
    listed, mac, resigned, signature_of, with, with_trailing_bits, without,
};
use crate::support::{CLIENT, ISSUER, NOW, person};

/// A user pool's side: its signer and the parts of Ada's token.
struct Pool {
    signer: AccessTokenSigner,
    /// A key of the pool's whose private half is at hand, and which may sign with any digest.
    bare: PKey<Private>,
    jwks: Value,
    header: Value,
    payload: Value,
    good: String,
}

const WHOSE: &str = "it does not know whose claims came along";
const BARE: &str = "bare";
const SHORT: &str = "short";
const ENCRYPTS: &str = "encrypts";

impl Pool {
    fn new() -> Self {
        let signer = AccessTokenSigner::generate().unwrap();
        let ada: &Person = person("Ada");
        let good = signer.mint(ada, &facts()).unwrap();
        let payload = URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap();
        let bare = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut jwks: Value = serde_json::from_str(&signer.jwks_json()).unwrap();
        let keys = jwks["keys"].as_array_mut().unwrap();
        keys.push(jwk(BARE, &bare));
        let mut encrypts = jwk(ENCRYPTS, &bare);
        encrypts["use"] = json!("enc");
        keys.push(encrypts);
        Self {
            header: json!({"kid": signer.kid(), "alg": "RS256"}),
            payload: serde_json::from_slice(&payload).unwrap(),
            signer,
            bare,
            jwks,
            good,
        }
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        self.signer.sign_segments(header, payload).unwrap()
    }

    fn header_with(&self, changes: Value) -> String {
        self.sign(&with(&self.header, changes), &self.payload.to_string())
    }

    fn payload(&self, payload: &str) -> String {
        self.sign(&self.header.to_string(), payload)
    }

    fn payload_with(&self, changes: Value) -> String {
        self.payload(&with(&self.payload, changes))
    }

    fn groups(&self, token: &str) -> Result<Vec<String>, TokenError> {
        let expected = access_token::Expected {
            issuer: ISSUER.to_owned(),
            client: CLIENT.to_owned(),
            groups_claim: ClaimPath::parse("cognito:groups"),
        };
        let jwks = Jwks::parse(self.jwks.to_string().as_bytes())?;
        let kid = access_token::key_id(token)?;
        let key = jwks.get(&kid).ok_or(TokenError::Key("the pool does not have it"))?;
        let ada = Subject::parse(person("Ada").id).unwrap();
        access_token::verify(token, key, &expected, &ada, NOW)
    }

    /// As a bearer token of somebody's, whoever that is.
    fn bearer(&self, token: &str) -> Result<String, TokenError> {
        let expected = signed::Expected {
            dialect: &BEARER,
            issuer: Some(ISSUER.to_owned()),
            made_for: MadeFor::Client(vec![CLIENT.to_owned()]),
            token_use: Some("access".to_owned()),
            groups: Some(ClaimPath::parse("cognito:groups")),
            verified_email_domains: Vec::new(),
        };
        let jwks = Jwks::parse(self.jwks.to_string().as_bytes())?;
        let kid = signed::key_id(token, &expected, NOW)?;
        let key = jwks.get(&kid).ok_or(TokenError::Key("the pool does not have it"))?;
        let identity = signed::verify(token, key, &expected, NOW)?;
        Ok(identity.subject.as_str().to_owned())
    }

    fn judge(&self, fill: impl Fn(&Self, &mut Table)) {
        let ours = |token: &str| self.groups(token).map(|_| person("Ada").id.to_owned());
        self.judge_by(ours, fill);
    }

    fn judge_by(
        &self,
        ours: impl Fn(&str) -> Result<String, TokenError>,
        fill: impl Fn(&Self, &mut Table),
    ) {
        let mut table = Table::default();
        fill(self, &mut table);
        table.judge(
            |token| ours(token).map_err(|error| error.to_string()),
            |case| {
                json!({
                    "access_token": case.token,
                    "issuer": ISSUER,
                    "client_id": CLIENT,
                    "jwks": self.jwks,
                    "now": case.aws_now,
                })
            },
        );
    }
}

fn facts() -> AccessTokenFacts<'static> {
    AccessTokenFacts {
        issuer: ISSUER,
        client: CLIENT,
        scope: "openid",
        issued: NOW,
        expires: NOW.plus(120),
    }
}

/// A key as a pool lists it, bound to no algorithm.
fn jwk(kid: &str, key: &PKey<Private>) -> Value {
    let rsa = key.rsa().unwrap();
    json!({
        "kty": "RSA",
        "use": "sig",
        "kid": kid,
        "n": URL_SAFE_NO_PAD.encode(rsa.n().to_vec()),
        "e": URL_SAFE_NO_PAD.encode(rsa.e().to_vec()),
    })
}

/// Signs a text with any key and digest.
fn rsa_token(key: &PKey<Private>, digest: MessageDigest, input: &str) -> String {
    let mut signer = Signer::new(digest, key).unwrap();
    let signature = signer.sign_oneshot_to_vec(input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn access_tokens_are_verified_as_by_aws() {
    Pool::new().judge(|pool, table| {
        let other = pool.signer.mint(person("Ben"), &facts()).unwrap();
        table.stricter("of another person", other, WHOSE);
        whole_table(pool, table);
    });
}

#[test]
fn bearer_tokens_of_cognitos_are_verified_as_by_aws() {
    let pool = Pool::new();
    let ours = |token: &str| pool.bearer(token);
    pool.judge_by(ours, |pool, table| {
        table.accept("of anybody", pool.signer.mint(person("Ben"), &facts()).unwrap());
        whole_table(pool, table);
    });
}

fn whole_table(pool: &Pool, table: &mut Table) {
    access_claims(pool, table);
    access_times(pool, table);
    access_groups(pool, table);
    access_headers(pool, table);
    access_algorithms(pool, table);
    access_signatures(pool, table);
}

fn access_claims(pool: &Pool, table: &mut Table) {
    table.accept("as minted", pool.good.clone());
    let id_token = json!({"token_use": "id", "aud": CLIENT});
    table.refuse("an ID token", pool.payload_with(id_token.clone()));
    let mut claims: Value = serde_json::from_str(&with(&pool.payload, id_token)).unwrap();
    claims.as_object_mut().unwrap().remove("client_id");
    table.refuse("an ID token without client_id", pool.payload(&claims.to_string()));
    for (name, others) in [
        ("token_use", [json!("Access"), json!(["access"]), json!(""), json!(1), Value::Null]),
        ("client_id", [json!("another"), json!([CLIENT]), json!(""), json!(1), Value::Null]),
        ("iss", [json!(format!("{ISSUER}/")), json!([ISSUER]), json!(""), json!(1), Value::Null]),
    ] {
        for value in others {
            let token = pool.payload_with(json!({name: value}));
            table.refuse(format!("{name} {value}"), token);
        }
        table.refuse(format!("no {name}"), pool.payload(&without(&pool.payload, name)));
    }
    table.stricter("no sub", pool.payload(&without(&pool.payload, "sub")), WHOSE);
    table.stricter("an empty sub", pool.payload_with(json!({"sub": ""})), WHOSE);
    for sub in [json!([person("Ada").id]), json!(1), Value::Null] {
        table.refuse(format!("sub {sub}"), pool.payload_with(json!({"sub": sub})));
    }
}

fn access_times(pool: &Pool, table: &mut Table) {
    let ends = |at: u64| pool.payload_with(json!({"exp": at}));
    table.accept("ended within the skew", ends(EARLIER + 1)).aws_now = EARLIER;
    let very_second = "it accepts at the very second of exp";
    table.stricter("ends now", ends(EARLIER), very_second).aws_now = EARLIER;
    table.refuse("ended", ends(EARLIER - 1)).aws_now = EARLIER;
    let endless = "it takes a token that never ends";
    table.stricter("no exp", pool.payload(&without(&pool.payload, "exp")), endless);
    for exp in [json!(END.to_string()), json!(-1), json!([END]), json!(true), Value::Null] {
        table.refuse(format!("exp {exp}"), pool.payload_with(json!({"exp": exp})));
    }
    table.stricter(
        "exp in half seconds",
        pool.payload_with(json!({"exp": 1e10 + 0.5})),
        ANY_NUMBER,
    );
    let from = |at: u64| pool.payload_with(json!({"nbf": at}));
    table.accept("nbf within the skew", from(LATER)).aws_now = LATER;
    table.refuse("nbf in the future", from(LATER + 1)).aws_now = LATER;
    let issued = pool.payload_with(json!({"iat": LATER + 1}));
    table.stricter("iat in the future", issued, "it ignores iat").aws_now = LATER;
    table.accept("no iat", pool.payload(&without(&pool.payload, "iat")));
}

fn access_groups(pool: &Pool, table: &mut Table) {
    let with_groups = |groups: &Value| pool.payload_with(json!({"cognito:groups": groups}));
    for groups in [json!([]), json!(["lab-a", "lab-a"]), json!([""]), json!(["\u{1f52c}"])] {
        table.accept(format!("groups {groups}"), with_groups(&groups));
    }
    table.accept("no groups", pool.payload(&without(&pool.payload, "cognito:groups")));
    let unread = "it does not read groups";
    for groups in [json!("lab-a"), json!([1]), json!([["lab-a"]]), json!({"a": 1}), Value::Null] {
        table.stricter(format!("groups {groups}"), with_groups(&groups), unread);
    }
    table.stricter("1001 groups", with_groups(&json!(vec!["g"; 1001])), unread);
}

fn access_headers(pool: &Pool, table: &mut Table) {
    let kids = [
        json!("unknown"),
        json!(""),
        json!("k".repeat(300)),
        json!("../keys"),
        json!("a\r\nb"),
        json!([pool.signer.kid()]),
        json!(0),
        Value::Null,
        json!(ENCRYPTS),
        json!("__proto__"),
    ];
    for kid in kids {
        let name = format!("kid {kid:.40}");
        table.refuse(name, pool.header_with(json!({"kid": kid})));
    }
    let payload = pool.payload.to_string();
    table.refuse("no kid", pool.sign(&without(&pool.header, "kid"), &payload));
    table.refuse("another key of the pool's", pool.header_with(json!({"kid": BARE})));
    for crit in [json!(["exp"]), json!([]), Value::Null] {
        let token = pool.header_with(json!({"crit": crit}));
        table.stricter(format!("crit {crit}"), token, NO_CRIT);
    }
    for name in ["alg", "kid"] {
        let theirs = format!("\"{name}\":\"none\"");
        let token = pool.sign(&before(&pool.header, &theirs), &payload);
        table.stricter(format!("another {name}, then ours"), token, LAST_NAME_WINS);
        let token = pool.sign(&and(&pool.header, &theirs), &payload);
        table.refuse(format!("our {name}, then another"), token);
    }
    for name in ["sub", "iss", "client_id", "token_use", "exp"] {
        let token = pool.payload(&before(&pool.payload, &format!("\"{name}\":1")));
        table.stricter(format!("two values of {name}"), token, LAST_NAME_WINS);
    }
    let token = pool.payload(&and(&pool.payload, r#""cognito:groups":["admin"]"#));
    table.stricter("two lists of groups", token, LAST_NAME_WINS);
    let embedded = json!({"jwk": jwk("x", &pool.bare), "jku": "https://evil.example/jwks.json"});
    table.accept("our key, another in the header", pool.header_with(embedded.clone()));
    let input = pool.header_with(embedded);
    let (input, _) = input.rsplit_once('.').unwrap();
    let forged = rsa_token(&pool.bare, MessageDigest::sha256(), input);
    table.refuse("signed by the key in the header", forged);
}

fn access_algorithms(pool: &Pool, table: &mut Table) {
    let (sha256, sha512) = (MessageDigest::sha256(), MessageDigest::sha512());
    for alg in ["none", "HS256", "RS384", "RS512", "PS256", "ES256", "rs256", "RS256 ", ""] {
        let token = pool.header_with(json!({"alg": alg}));
        table.refuse(format!("alg {alg:?}"), token.clone());
        let (input, _) = token.rsplit_once('.').unwrap();
        table.refuse(format!("alg {alg:?} unsigned"), format!("{input}."));
    }
    let symmetric = pool.header_with(json!({"alg": "HS256"}));
    let (input, _) = symmetric.rsplit_once('.').unwrap();
    let modulus = pool.jwks["keys"][0]["n"].as_str().unwrap();
    for secret in [
        modulus.as_bytes(),
        &URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        pool.jwks["keys"][0].to_string().as_bytes(),
        b"",
    ] {
        table.refuse("HS256 keyed with the public key", mac(input, secret));
    }
    let of_bare = |alg: &str, digest| {
        let input = pool.header_with(json!({"alg": alg, "kid": BARE}));
        rsa_token(&pool.bare, digest, input.rsplit_once('.').unwrap().0)
    };
    table.accept("RS256 by a key of no algorithm", of_bare("RS256", sha256));
    let any = "such a key may sign with any algorithm there";
    table.stricter("RS512 by a key of no algorithm", of_bare("RS512", sha512), any);
    table.refuse("SHA-512 under RS256", of_bare("RS256", sha512));
    table.refuse("SHA-1 under RS256", of_bare("RS256", MessageDigest::sha1()));
}

fn access_signatures(pool: &Pool, table: &mut Table) {
    let genuine = signature_of(&pool.good);
    for (name, signature) in [
        ("empty", Vec::new()),
        ("zero", vec![0; 256]),
        ("of ones", vec![0xff; 256]),
        ("without the last byte", genuine[..255].to_vec()),
        ("with a byte more", [&genuine[..], &[0]].concat()),
        ("with a zero in front", [&[0], &genuine[..]].concat()),
    ] {
        table.refuse(format!("signature {name}"), resigned(&pool.good, &signature));
    }
    table.accept("signature with padding", resigned(&pool.good, &genuine));
    let trailing = "it drops the unused bits of the last character";
    table.stricter("trailing bits", with_trailing_bits(&pool.good), trailing);
    table.refuse("three pads", format!("{}===", pool.good));
    let other = pool.payload_with(json!({"cognito:groups": ["admin"]}));
    table.refuse("another token's signature", resigned(&other, &genuine));
    let input =
        [&pool.header, &pool.payload].map(|part| URL_SAFE.encode(with(part, json!({"kid": BARE}))));
    let token = rsa_token(&pool.bare, MessageDigest::sha256(), &input.join("."));
    table.accept("padded segments", token);
}

#[test]
fn access_tokens_by_a_key_of_1024_bits_are_refused() {
    let mut pool = Pool::new();
    let short = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    pool.jwks["keys"].as_array_mut().unwrap().push(jwk(SHORT, &short));
    pool.judge(|pool, table| {
        let input = pool.header_with(json!({"kid": SHORT}));
        let (input, _) = input.rsplit_once('.').unwrap();
        let token = rsa_token(&short, MessageDigest::sha256(), input);
        table.stricter("1024 bits", token, "it takes keys of any size");
    });
}

#[test]
fn access_tokens_with_any_byte_changed_are_refused() {
    let pool = Pool::new();
    assert_eq!(pool.groups(&pool.good).unwrap(), ["lab-a"]);
    for_each_change(&pool.good, |token| pool.groups(token).is_err());
}

#[test]
fn access_tokens_with_claims_of_null_are_refused_as_by_aws() {
    Pool::new().judge(|pool, table| {
        for name in ["nbf", "iat"] {
            table.refuse(format!("{name} null"), pool.payload_with(json!({name: null})));
        }
    });
}

#[test]
fn access_tokens_of_lists_are_refused() {
    Pool::new().judge(|pool, table| {
        let header = listed(&pool.header, &["alg", "kid"]);
        let token = pool.sign(&header, &pool.payload.to_string());
        table.refuse("a list as the header", token);
        let names = ["sub", "iss", "client_id", "token_use", "exp", "nbf", "iat"];
        table.refuse("a list as the payload", pool.payload(&listed(&pool.payload, &names)));
    });
}
