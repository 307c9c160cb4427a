use edgemint::demo::tokens::{ClaimsHeader, ClaimsSigner};
use edgemint::identity::alb::{self, Claims};
use edgemint::identity::keys::{Algorithm, VerificationKey};
use edgemint::identity::{MAX_TOKEN_BYTES, TokenError};
use serde_json::{Map, Value, json};

use super::{
    ANY_NUMBER, EARLIER, END, LAST_NAME_WINS, LATER, NO_CRIT, Table, and, before, each,
    for_each_change, listed, mac, resigned, signature_of, with, with_trailing_bits, without,
};
use crate::support::{ARN, CLIENT, ISSUER, NOW, claims_of, person};

const HEADER_EXP: &str = "it ignores the header's exp";
const HEADER_ISS: &str = "it ignores the header's iss";
const NO_SUB: &str = "it takes any sub, or none";

/// A load balancer's side: its signer and the parts of a good token.
struct Alb {
    signer: ClaimsSigner,
    header: Value,
    payload: Value,
    good: String,
}

impl Alb {
    fn new() -> Self {
        let signer = ClaimsSigner::generate().unwrap();
        let ada = claims_of(person("Ada"));
        let header =
            ClaimsHeader { signer: ARN, client: CLIENT, issuer: ISSUER, expires: NOW.plus(120) };
        let good = signer.mint(&header, &ada).unwrap();
        let header = json!({
            "typ": "JWT", "kid": signer.kid(), "alg": "ES256", "iss": ISSUER,
            "client": CLIENT, "signer": ARN, "exp": END,
        });
        let payload = Value::Object(ada);
        let payload: Value =
            serde_json::from_str(&with(&payload, json!({"exp": END, "iss": ISSUER}))).unwrap();
        Self { signer, header, payload, good }
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        self.signer.sign_segments(header, payload).unwrap()
    }

    /// A genuine signature over another header.
    fn header(&self, header: &str) -> String {
        self.sign(header, &self.payload.to_string())
    }

    /// A genuine signature over another payload.
    fn payload(&self, payload: &str) -> String {
        self.sign(&self.header.to_string(), payload)
    }

    fn header_with(&self, changes: Value) -> String {
        self.header(&with(&self.header, changes))
    }

    fn payload_with(&self, changes: Value) -> String {
        self.payload(&with(&self.payload, changes))
    }

    /// The same change to both.
    fn both_with(&self, changes: &Value) -> String {
        self.sign(&with(&self.header, changes.clone()), &with(&self.payload, changes.clone()))
    }

    /// A number as it stands in the JSON, for the header's and the payload's `exp`.
    fn ending(&self, header: &str, payload: &str) -> String {
        let raw = |base: &Value, number: &str| {
            base.to_string().replace(&format!("\"exp\":{END}"), &format!("\"exp\":{number}"))
        };
        self.sign(&raw(&self.header, header), &raw(&self.payload, payload))
    }

    fn claims(&self, token: &str) -> Result<Claims, TokenError> {
        let expected = alb::Expected {
            signers: vec![ARN.to_owned()],
            client: CLIENT.to_owned(),
            issuer: Some(ISSUER.to_owned()),
            groups_claim: None,
        };
        let kid = alb::key_id(token, &expected, NOW)?;
        if kid.as_str() != self.signer.kid() {
            return Err(TokenError::Key("the key service does not have it"));
        }
        let key = VerificationKey::from_pem(Algorithm::Es256, self.signer.public_key_pem())?;
        alb::verify(token, &key, &expected, NOW)
    }

    fn judge(&self, fill: impl Fn(&Self, &mut Table)) {
        let mut table = Table::default();
        fill(self, &mut table);
        table.judge(
            |token| match self.claims(token) {
                Ok(claims) => Ok(claims.subject.to_string()),
                Err(error) => Err(error.to_string()),
            },
            |case| {
                json!({
                    "token": case.token,
                    "alb_arn": ARN,
                    "client_id": CLIENT,
                    "issuer": ISSUER,
                    "public_key_pem": self.signer.public_key_pem(),
                    "kid": self.signer.kid(),
                    "now": case.aws_now,
                })
            },
        );
    }
}

#[test]
fn claims_are_verified_as_by_aws() {
    Alb::new().judge(|alb, table| {
        genuine_claims(alb, table);
        algorithms(alb, table);
        key_ids(alb, table);
        foreign_keys(alb, table);
        load_balancers(alb, table);
        issuers(alb, table);
        repeated_names(alb, table);
        expiries(alb, table);
        expiry_types(alb, table);
        starts(alb, table);
        signatures(alb, table);
        paddings(alb, table);
        segments(alb, table);
        subjects(alb, table);
        shapes(alb, table);
    });
}

fn genuine_claims(alb: &Alb, table: &mut Table) {
    table.accept("as minted", alb.good.clone());
    table.accept("with other spaces", alb.payload(&format!(" {:#}\n", alb.payload)));
    for email in [json!("a@b@example.org"), json!("\u{e4}@example.org"), json!(""), Value::Null] {
        table.accept(format!("email {email}"), alb.payload_with(json!({"email": email})));
    }
    for verified in [json!(true), json!("yes"), json!(1), json!([true]), Value::Null] {
        let token = alb.payload_with(json!({"email_verified": verified}));
        table.accept(format!("email_verified {verified}"), token);
    }
    let token = alb.payload_with(json!({"email": ["ada@example.org"]}));
    table.stricter("a list of addresses", token, "it does not read email");
    table.accept("without email", alb.payload(&without(&alb.payload, "email")));
    let token = alb.payload_with(json!({"__proto__": {"sub": "root"}, "constructor": 1}));
    table.accept("JavaScript's own names", token);
}

fn algorithms(alb: &Alb, table: &mut Table) {
    for alg in each(json!([
        "none", "None", "", "HS256", "RS256", "ES384", "ES512", "ES256K", "EdDSA", "es256",
        "ES256 ", "ES256\0", ["ES256"], {"ES256": 1}, 256, null
    ])) {
        table.refuse(format!("alg {alg}"), alb.header_with(json!({"alg": alg})));
    }
    table.refuse("no alg", alb.header(&without(&alb.header, "alg")));
    let unsigned = resigned(&alb.header_with(json!({"alg": "none"})), &[]);
    table.refuse("alg none without a signature", unsigned);
    let symmetric = alb.header_with(json!({"alg": "HS256"}));
    let (input, _) = symmetric.rsplit_once('.').unwrap();
    let pem = alb.signer.public_key_pem();
    for secret in [pem, pem.trim(), "", alb.signer.kid()] {
        table.refuse(format!("HS256 keyed with {secret:?}"), mac(input, secret.as_bytes()));
    }
    let (input, _) = alb.good.rsplit_once('.').unwrap();
    table.refuse("a MAC under ES256", mac(input, pem.as_bytes()));
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), Value::Null] {
        let token = alb.header_with(json!({"crit": crit, "b64": true}));
        table.stricter(format!("crit {crit}"), token, NO_CRIT);
    }
    table.accept("another typ", alb.header_with(json!({"typ": "at+jwt", "cty": "JWT"})));
}

fn key_ids(alb: &Alb, table: &mut Table) {
    let kid = alb.signer.kid();
    let texts = [
        String::new(),
        "../../../etc/passwd".to_owned(),
        format!("../{kid}"),
        format!("x/../{kid}"),
        format!("/{kid}"),
        format!("{kid}/"),
        format!("..%2f{kid}"),
        format!("{kid}%00"),
        format!("{kid}\0"),
        format!("{kid}\n"),
        format!("{kid}\r\nHost: evil.example"),
        format!("{kid}?x=1"),
        format!("{kid}#"),
        format!("https://evil.example/{kid}"),
        format!("//evil.example/{kid}"),
        format!("@evil.example/{kid}"),
        format!("{{{kid}}}"),
        format!("urn:uuid:{kid}"),
        format!(" {kid}"),
        kid.replace('-', ""),
        kid.to_uppercase(),
        kid[..35].to_owned(),
        format!("{}\u{ff11}", &kid[..35]),
        format!("{}g", &kid[..35]),
        "00000000-0000-0000-0000-000000000000".to_owned(),
        "k".repeat(10 * 1024),
    ];
    for text in &texts {
        let name = format!("kid {:?}", text.chars().take(80).collect::<String>());
        table.refuse(name, alb.header_with(json!({"kid": text})));
    }
    for value in [json!([kid]), json!({"kid": kid}), json!(1), Value::Null] {
        table.refuse(format!("kid {value}"), alb.header_with(json!({"kid": value})));
    }
    table.refuse("no kid", alb.header(&without(&alb.header, "kid")));
}

fn foreign_keys(alb: &Alb, table: &mut Table) {
    let stranger = ClaimsSigner::generate().unwrap();
    let own = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": alb.signer.kid()});
    for (name, value) in [
        ("jwk", own),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/x5u.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let header = with(&alb.header, json!({name: value}));
        table.accept(format!("our key, {name} besides"), alb.header(&header));
        let forged = stranger.sign_segments(&header, &alb.payload.to_string()).unwrap();
        table.refuse(format!("a stranger's key in {name}"), forged);
    }
    let forged = stranger.sign_segments(&alb.header.to_string(), &alb.payload.to_string()).unwrap();
    table.refuse("a stranger's key under our kid", forged);
    let header = with(&alb.header, json!({"kid": stranger.kid()}));
    let forged = stranger.sign_segments(&header, &alb.payload.to_string()).unwrap();
    table.refuse("a stranger's key under its own kid", forged);
}

fn load_balancers(alb: &Alb, table: &mut Table) {
    let other_account = ARN.replace("123456789012", "210987654321");
    for signer in each(json!([
        other_account, &ARN[..ARN.len() - 1], format!("{ARN}0"), format!("{ARN} "),
        format!(" {ARN}"), format!("{ARN}\0"), ARN.to_uppercase(),
        ARN.replace("us-east-1", "us-west-2"), ARN.replace("/app/", "/net/"), "*", "", [ARN],
        [other_account, ARN], {ARN: ARN}, 1, true, null
    ])) {
        table.refuse(format!("signer {signer}"), alb.header_with(json!({"signer": signer})));
    }
    table.refuse("no signer", alb.header(&without(&alb.header, "signer")));
    let token =
        alb.sign(&without(&alb.header, "signer"), &with(&alb.payload, json!({"signer": ARN})));
    table.refuse("the signer in the payload", token);
    for client in each(json!([
        "another", CLIENT.to_uppercase(), format!("{CLIENT} "), "", [CLIENT], {CLIENT: 1}, 4, null
    ])) {
        table.refuse(format!("client {client}"), alb.header_with(json!({"client": client})));
    }
    table.refuse("no client", alb.header(&without(&alb.header, "client")));
}

fn issuers(alb: &Alb, table: &mut Table) {
    for iss in each(json!([
        "https://evil.example", format!("{ISSUER}/"), ISSUER.to_uppercase(),
        &ISSUER[..ISSUER.len() - 1], "", [ISSUER], {ISSUER: 1}, 1
    ])) {
        let change = json!({"iss": iss});
        table.refuse(format!("iss {iss}"), alb.both_with(&change));
        table.refuse(format!("iss {iss} in the payload"), alb.payload_with(change.clone()));
        table.stricter(format!("iss {iss} in the header"), alb.header_with(change), HEADER_ISS);
    }
    table.stricter("no iss in the header", alb.header(&without(&alb.header, "iss")), HEADER_ISS);
    let token = alb.sign(&without(&alb.header, "iss"), &without(&alb.payload, "iss"));
    table.refuse("no iss", token);
}

fn repeated_names(alb: &Alb, table: &mut Table) {
    let strangers = [
        ("alg", json!("none")),
        ("kid", json!("00000000-0000-0000-0000-000000000000")),
        (
            "signer",
            json!("arn:aws:elasticloadbalancing:us-east-1:210987654321:loadbalancer/app/x/0"),
        ),
        ("client", json!("another")),
    ];
    for (name, value) in strangers {
        let theirs = format!("\"{name}\":{value}");
        let token = alb.header(&before(&alb.header, &theirs));
        table.stricter(format!("a stranger's {name}, then ours"), token, LAST_NAME_WINS);
        let token = alb.header(&and(&alb.header, &theirs));
        table.refuse(format!("our {name}, then a stranger's"), token);
        let ours = format!("\"{name}\":{}", alb.header[name]);
        let token = alb.header(&and(&alb.header, &ours));
        table.stricter(format!("our {name} twice"), token, LAST_NAME_WINS);
        let escaped = format!("\"\\u{:04x}{}\":{value}", u32::from(name.as_bytes()[0]), &name[1..]);
        let token = alb.header(&before(&alb.header, &escaped));
        table.stricter(format!("{name} once more in escapes"), token, LAST_NAME_WINS);
    }
    for raw in ["\"sub\":\"root\"", "\"exp\":4000000000", "\"email\":\"root@example.org\""] {
        let token = alb.payload(&before(&alb.payload, raw));
        table.stricter(format!("two values, {raw} first"), token, LAST_NAME_WINS);
    }
    let token = alb.payload(&and(&alb.payload, r#""name":"Ada","name":"Eve""#));
    table.accept("a claim twice that nobody reads", token);
}

fn expiries(alb: &Alb, table: &mut Table) {
    let ends = |at: u64| alb.ending(&at.to_string(), &at.to_string());
    table.accept("ended within the skew", ends(EARLIER + 1)).aws_now = EARLIER;
    let very_second = "it accepts at the very second of exp";
    table.stricter("ends now", ends(EARLIER), very_second).aws_now = EARLIER;
    table.refuse("ended", ends(EARLIER - 1)).aws_now = EARLIER;
    table.refuse("ended at the epoch", ends(0));
    let future = END.to_string();
    for (name, header) in
        [("ended", NOW.0 - 3600), ("ends later", END + 1), ("ends sooner", END - 1)]
    {
        let token = alb.ending(&header.to_string(), &future);
        table.stricter(format!("{name} by its header"), token, HEADER_EXP);
    }
    table.refuse("ended by its payload", alb.ending(&future, &(NOW.0 - 3600).to_string()));
    table.accept("no exp in the payload", alb.payload(&without(&alb.payload, "exp")));
    table.stricter("no exp in the header", alb.header(&without(&alb.header, "exp")), HEADER_EXP);
    let token = alb.sign(&without(&alb.header, "exp"), &without(&alb.payload, "exp"));
    table.stricter("no exp", token, "it takes a token that never ends");
}

fn expiry_types(alb: &Alb, table: &mut Table) {
    let text = format!("\"{END}\"");
    for number in [text.as_str(), "true", "[1]", "{}", "-1", "-9223372036854775808", "1e400"] {
        table.refuse(format!("exp {number}"), alb.ending(number, number));
    }
    for number in [text.as_str(), "true", "[1]", "{}", "-1", "null"] {
        let token = alb.ending(number, &END.to_string());
        table.stricter(format!("exp {number} in the header"), token, HEADER_EXP);
    }
    let (whole, half) = (format!("{END}.0"), format!("{END}.5"));
    for number in [&whole, &half, "1e12", "18446744073709551616"] {
        table.stricter(format!("exp {number}"), alb.ending(number, number), ANY_NUMBER);
    }
    for number in ["9223372036854775807", "9223372036854775808", "18446744073709551615"] {
        table.accept(format!("exp {number}"), alb.ending(number, number));
    }
}

fn starts(alb: &Alb, table: &mut Table) {
    for (name, ignored) in [("nbf", ""), ("iat", "it ignores iat")] {
        let from = |at: u64| alb.payload_with(json!({name: at}));
        table.accept(format!("{name} within the skew"), from(LATER)).aws_now = LATER;
        let future = format!("{name} in the future");
        let case = if ignored.is_empty() {
            table.refuse(future, from(LATER + 1))
        } else {
            table.stricter(future, from(LATER + 1), ignored)
        };
        case.aws_now = LATER;
        table.accept(format!("{name} in the past"), from(0));
        for value in [json!("0"), json!([0]), json!(true)] {
            let token = alb.payload_with(json!({name: value}));
            table.refuse(format!("{name} {value}"), token);
        }
        for value in [json!(-1), json!(0.5)] {
            let token = alb.payload_with(json!({name: value}));
            table.stricter(format!("{name} {value}"), token, ANY_NUMBER);
        }
    }
}

/// The order of P-256.
const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn signatures(alb: &Alb, table: &mut Table) {
    let genuine = signature_of(&alb.good);
    let (r, s) = genuine.split_at(32);
    let (zero, ones) = ([0; 32], [0xff; 32]);
    let mut next = N;
    next[31] += 1;
    for (name, first, second) in [
        ("r zero", &zero[..], s),
        ("s zero", r, &zero[..]),
        ("both zero", &zero, &zero),
        ("r is n", &N, s),
        ("s is n", r, &N),
        ("r above n", &next, s),
        ("s above n", r, &next),
        ("both of ones", &ones, &ones),
        ("s and r swapped", s, r),
        ("r alone", r, &[]),
        ("without the last byte", r, &s[..31]),
        ("with a byte more", r, &[s, &[0]].concat()),
        ("with zeros in front", &[&[0], r].concat(), &[&[0], s].concat()),
        ("empty", &[], &[]),
    ] {
        let signature = [first, second].concat();
        table.refuse(format!("signature {name}"), resigned(&alb.good, &signature));
    }
    let parsed = p256::ecdsa::Signature::from_slice(&genuine).unwrap();
    table.refuse("signature in DER", resigned(&alb.good, parsed.to_der().as_bytes()));
    let twin = p256::ecdsa::Signature::from_scalars(*parsed.r(), -*parsed.s()).unwrap();
    table.accept("the signature's twin with n - s", resigned(&alb.good, &twin.to_bytes()));
    let other = alb.payload_with(json!({"sub": "root"}));
    table.refuse("another token's signature", resigned(&other, &genuine));
}

fn paddings(alb: &Alb, table: &mut Table) {
    let good = &alb.good;
    assert!(good.ends_with("=="));
    let unpadded = good.trim_end_matches('=');
    table.accept("signature without padding", unpadded.to_owned());
    for (name, end) in [("three", "==="), ("four", "====")] {
        table.refuse(format!("{name} pads on the signature"), format!("{unpadded}{end}"));
    }
    let trailing = "it drops the unused bits of the last character";
    table.stricter("trailing bits", with_trailing_bits(good), trailing);
    table.stricter("trailing bits, unpadded", with_trailing_bits(unpadded), trailing);
    let (start, end) = unpadded.split_at(unpadded.len() - 6);
    for middle in ["=", "==", "====", " ", "\n", "\0", "%3D", "+", "/", "\u{e9}"] {
        table.refuse(format!("{middle:?} inside"), format!("{start}{middle}{end}=="));
        table.refuse(format!("{middle:?} in front"), format!("{middle}{good}"));
        table.refuse(format!("{middle:?} behind"), format!("{good}{middle}"));
    }
    for spaces in 0..3 {
        let padded = |base: &Value| format!("{base}{}", " ".repeat(spaces));
        let token = alb.sign(&padded(&alb.header), &padded(&alb.payload));
        table.accept(format!("{spaces} spaces at the end of JSON"), token.clone());
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            unreachable!()
        };
        let bare = header.trim_end_matches('=');
        if bare != header {
            let stripped = format!("{bare}.{payload}.{signature}");
            table.refuse("a header stripped of its padding", stripped);
        }
        let bare = payload.trim_end_matches('=');
        if bare != payload {
            let stripped = format!("{header}.{bare}.{signature}");
            table.refuse("a payload stripped of its padding", stripped);
        }
    }
}

fn segments(alb: &Alb, table: &mut Table) {
    let [header, payload, signature] = alb.good.split('.').collect::<Vec<_>>()[..] else {
        unreachable!()
    };
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}.{signature}."),
        format!(".{header}.{payload}.{signature}"),
        format!("{header}.{payload}.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{header}.{payload}.{payload}.{signature}"),
        format!("{payload}.{header}.{signature}"),
        format!("Bearer {}", alb.good),
        format!("{0},{0}", alb.good),
    ] {
        let name: Vec<usize> = token.split('.').map(str::len).collect();
        table.refuse(format!("segments of {name:?}"), token);
    }
}

fn subjects(alb: &Alb, table: &mut Table) {
    table.stricter("no sub", alb.payload(&without(&alb.payload, "sub")), NO_SUB);
    for sub in ["", "a\0b", "a\nb", "\u{85}", &"s".repeat(256), &"s".repeat(8 * 1024)] {
        let name = format!("sub of {} bytes", sub.len());
        table.stricter(name, alb.payload_with(json!({"sub": sub})), NO_SUB);
    }
    for sub in ["a", "auth0|abc", "\u{1f52c}", "../..", &"s".repeat(255)] {
        let name = format!("sub of {} bytes", sub.len());
        table.accept(name, alb.payload_with(json!({"sub": sub})));
    }
    for sub in [json!(1), json!(["a"]), json!({"a": 1}), json!(true), Value::Null] {
        table.refuse(format!("sub {sub}"), alb.payload_with(json!({"sub": sub})));
    }
}

fn shapes(alb: &Alb, table: &mut Table) {
    let payload = alb.payload.to_string();
    for text in ["", "{", "null", "1", "\"x\"", "[]", "[{}]", "{}x", "\u{feff}{}", "{'a':1}"] {
        table.refuse(format!("payload {text:?}"), alb.payload(text));
        table.refuse(format!("header {text:?}"), alb.header(text));
    }
    table.refuse("a payload twice", alb.payload(&format!("{payload}{payload}")));
    table.refuse("a comma too many", alb.payload(&payload.replace('}', ",}")));
    table.accept("a claim of 100 levels", alb.payload(&and(&alb.payload, &deep(100))));
    let token = alb.payload(&and(&alb.payload, &format!("\"deep\":{}", "[".repeat(5000))));
    table.refuse("5000 levels that never end", token);
    let wide: Map<String, Value> = (0..500).map(|n| (format!("claim{n}"), json!(n))).collect();
    table.accept("500 claims", alb.payload_with(Value::Object(wide)));
    let token = alb.payload_with(json!({"picture": "x".repeat(MAX_TOKEN_BYTES)}));
    table.stricter("more than a load balancer passes on", token, "it takes any length");
    table.accept("a number too large for a float", alb.payload(&and(&alb.payload, "\"n\":1e999")));
}

fn deep(levels: usize) -> String {
    format!("\"deep\":{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn claims_that_are_missing_or_null_are_refused_as_by_aws() {
    Alb::new().judge(|alb, table| {
        table.refuse("no iss in the payload", alb.payload(&without(&alb.payload, "iss")));
        for name in ["exp", "iss", "nbf", "iat"] {
            let token = alb.payload_with(json!({name: null}));
            table.refuse(format!("{name} null in the payload"), token);
        }
    });
}

#[test]
fn headers_and_payloads_that_are_lists_are_refused() {
    Alb::new().judge(|alb, table| {
        let header = listed(&alb.header, &["alg", "kid", "signer", "client", "iss", "exp"]);
        table.refuse("a list as the header", alb.header(&header));
        let names = ["sub", "iss", "exp", "nbf", "iat", "email", "email_verified"];
        table.refuse("a list as the payload", alb.payload(&listed(&alb.payload, &names)));
    });
}

#[test]
fn a_signature_with_half_its_padding_is_refused() {
    let alb = Alb::new();
    assert!(alb.claims(alb.good.strip_suffix('=').unwrap()).is_err());
}

/// AWS's verifier runs out of stack and refuses such claims.
#[test]
fn claims_of_any_depth_are_passed_over() {
    let alb = Alb::new();
    assert!(alb.claims(&alb.payload(&and(&alb.payload, &deep(5000)))).is_ok());
}

#[test]
fn an_address_that_parsers_read_differently_is_no_address() {
    let alb = Alb::new();
    for email in ["a@b@example.org", "a@evil.example,b@example.org", "a@example.org\n", "@"] {
        let claims = alb.claims(&alb.payload_with(json!({"email": email}))).unwrap();
        assert_eq!(claims.email, None, "{email:?}");
    }
}

/// No table holds it, since AWS's answer repeats it and is then no JSON for us.
#[test]
fn half_a_character_is_no_subject() {
    let alb = Alb::new();
    let raw =
        before(&serde_json::from_str(&without(&alb.payload, "sub")).unwrap(), r#""sub":"\ud83d""#);
    assert!(alb.claims(&alb.payload(&raw)).is_err());
}

#[test]
fn claims_with_any_byte_changed_are_refused() {
    let alb = Alb::new();
    assert!(alb.claims(&alb.good).is_ok());
    for_each_change(&alb.good, |token| alb.claims(token).is_err());
}
