//! Cases 1 to 6 and 18 to 22: how a token is signed and spelled.

use aws_lc_rs::hmac;
use axum::body::Body;
use edgemint::identity::dialect::BEARER;
use edgemint::identity::keys::Algorithm;
use openssl::bn::{BigNum, BigNumRef};
use openssl::ecdsa::EcdsaSig;
use serde_json::{Value, json};

use super::{Front, POST, every_front, forged, with};
use crate::attacks::forge::Forge;
use crate::attacks::refused;
use crate::minter::Minter;
use crate::support::bare;

#[tokio::test]
async fn case_01_alg_none_is_refused() {
    every_front(|case| {
        let front = case.front;
        let genuine = front.good();
        let genuine = genuine.rsplit_once('.').unwrap().1;
        for alg in [
            json!("none"),
            json!("None"),
            json!("NONE"),
            json!("nOnE"),
            json!(""),
            json!(" none"),
            json!(null),
        ] {
            let header = with(front.header(), "alg", alg.clone());
            case.add(format!("alg {alg} without a signature"), forged(front, &header, ""));
            case.add(format!("alg {alg} with a signature"), forged(front, &header, genuine));
            case.add(format!("alg {alg}, signed"), front.raw_header(&header.to_string()));
        }
        case.add("no alg", front.header_without("alg"));
        case.add("no signature", forged(front, &front.header(), ""));
    })
    .await;
}

#[tokio::test]
async fn case_02_a_mac_keyed_with_the_public_key_is_refused() {
    every_front(|case| {
        let front = case.front;
        let published = front.published();
        let pem = published.contains("BEGIN").then(|| published.clone());
        let kid = front.header()["kid"].as_str().unwrap().to_owned();
        let secrets = [
            published.clone(),
            published.trim().to_owned(),
            String::new(),
            kid,
            "secret".to_owned(),
        ];
        for secret in secrets.into_iter().chain(pem.map(|pem| pem.replace('\n', "\r\n"))) {
            for (alg, kind) in [
                ("HS256", hmac::HMAC_SHA256),
                ("HS384", hmac::HMAC_SHA384),
                ("HS512", hmac::HMAC_SHA512),
                (front.algorithm().name(), hmac::HMAC_SHA256),
            ] {
                let header = with(front.header(), "alg", json!(alg)).to_string();
                let input = front.input(&header, &front.payload().to_string());
                let mac = hmac::sign(&hmac::Key::new(kind, secret.as_bytes()), input.as_bytes());
                case.add(
                    format!("{alg} keyed with {secret:.20}"),
                    format!("{input}.{}", front.encode(mac)),
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn case_03_another_algorithm_than_the_keys_is_refused() {
    every_front(|case| {
        let front = case.front;
        let own = front.algorithm().name();
        for alg in [
            "RS256",
            "RS384",
            "RS512",
            "PS256",
            "PS384",
            "ES256",
            "ES384",
            "ES512",
            "ES256K",
            "EdDSA",
            "Ed25519",
            "RS1",
            "HS256",
            "dir",
            "RSA-OAEP",
            "rs256",
            "es256",
            "Es384",
            "RS256 ",
            "ES256\0",
            "RS256,ES256",
            "SHA256withRSA",
        ] {
            if alg != own {
                case.add(
                    format!("alg {alg}"),
                    front.raw_header(&with(front.header(), "alg", json!(alg)).to_string()),
                );
            }
        }
        for alg in [json!([own]), json!({"alg": own}), json!(256), json!(true)] {
            case.add(
                format!("alg {alg}"),
                front.raw_header(&with(front.header(), "alg", alg.clone()).to_string()),
            );
        }
        // A genuine signature of another key's kind.
        for algorithm in Algorithm::ALL {
            let other = Minter::with(&BEARER, algorithm);
            let header = with(front.header(), "alg", json!(algorithm.name())).to_string();
            let input = front.input(&header, &front.payload().to_string());
            let signature = front.encode(other.signature(input.as_bytes()));
            case.add(format!("a stranger's {algorithm}"), format!("{input}.{signature}"));
        }
    })
    .await;
}

/// A front signs by the algorithm of its row, even if it publishes keys of another kind.
#[tokio::test]
async fn case_03_a_key_of_another_kind_that_a_front_publishes_is_none_of_its() {
    const OTHER_KID: &str = "00000000-1111-4222-8333-444444444444";
    let forge = Forge::new();
    let in_headers = forge.fronts().into_iter().filter(|front| !front.is_id_token());
    for front in in_headers.filter(|front| front.carrier() != Some("authorization")) {
        let own = front.algorithm();
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != own) {
            let other = Minter::with(&BEARER, algorithm);
            let right = front.published();
            let kid = front.header()["kid"].as_str().unwrap().to_owned();
            if front.is_of_aws() {
                forge.app.source.serve(&front.key_url().replace(&kid, OTHER_KID), &other.pem());
            } else {
                let mut jwk = other.jwk();
                jwk["kid"] = json!(OTHER_KID);
                let right: Value = serde_json::from_str(&right).unwrap();
                let both = json!({"keys": [right["keys"][0], jwk]}).to_string();
                forge.app.source.serve(&front.key_url(), &both);
            }
            for alg in [algorithm, own] {
                forge.app.clock.advance(61);
                front.accepts("by the right key", &front.good()).await;
                let header =
                    with(with(front.header(), "alg", json!(alg.name())), "kid", json!(OTHER_KID));
                let input = front.input(&header.to_string(), &front.payload().to_string());
                let signature = front.encode(other.signature(input.as_bytes()));
                let answer = front.ask(&format!("{input}.{signature}")).await.unwrap();
                let what = format!("{}: {alg} by a key for {algorithm}", front.name());
                assert!([401, 503].contains(&answer.status.as_u16()), "{what}: {}", answer.text());
                assert!(answer.set_cookies().is_empty(), "{what}");
            }
            forge.app.source.serve(&front.key_url(), &right);
        }
    }
}

/// Raw text before the first field, or behind the last, where a second one of a name can stand.
fn doubled(fields: &Value, raw: &str) -> [String; 2] {
    let text = fields.to_string();
    [format!("{{{raw},{}", &text[1..]), format!("{},{raw}}}", &text[..text.len() - 1])]
}

#[tokio::test]
async fn case_04_a_field_that_stands_twice_is_refused() {
    every_front(|case| {
        let front = case.front;
        let header = front.header();
        let mut names = vec!["alg", "kid"];
        names.extend(["signer", "iss", "exp"].into_iter().filter(|_| front.is_of_aws()));
        for name in names {
            let escaped = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
            for raw in [
                format!("\"{name}\":{}", header[name]),
                format!("\"{name}\":\"none\""),
                format!("\"{escaped}\":\"none\""),
                format!("\"{name}\":null"),
            ] {
                for text in doubled(&header, &raw) {
                    case.add(format!("header {raw}"), front.raw_header(&text));
                }
            }
        }
        let payload = front.payload();
        for name in ["sub", "iss", "exp", "aud"] {
            let read = name != "aud" || !(front.is_alb() || front.is_access_token());
            if !payload[name].is_null() && read {
                for raw in [format!("\"{name}\":{}", payload[name]), format!("\"{name}\":\"root\"")]
                {
                    for text in doubled(&payload, &raw) {
                        case.add(format!("payload {raw}"), front.raw_payload(&text));
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn case_05_a_key_that_the_token_brings_along_is_not_looked_at() {
    let forge = Forge::new();
    for front in forge.fronts() {
        front.accepts("a right token", &front.good()).await;
        let before = forge.fetches();
        let stranger = Minter::with(&BEARER, front.algorithm());
        let url = "https://evil.net/keys";
        forge.app.source.serve(url, &json!({"keys": [stranger.jwk()]}).to_string());
        for (name, value) in [
            ("jwk", stranger.jwk()),
            ("jku", json!(url)),
            ("x5u", json!(url)),
            ("x5c", json!([stranger.pem()])),
            ("x5t", json!("AAAA")),
            ("x5t#S256", json!("AAAA")),
            ("jwks", json!({"keys": [stranger.jwk()]})),
            ("jwks_uri", json!(url)),
            ("kid_url", json!(url)),
            ("public_key_url", json!(url)),
            ("pem", json!(stranger.pem())),
        ] {
            let header = with(front.header(), name, value).to_string();
            let input = front.input(&header, &front.payload().to_string());
            let token = format!("{input}.{}", front.encode(stranger.signature(input.as_bytes())));
            front.refuses(name, &token).await;
        }
        assert_eq!(forge.fetches(), before, "{}: somebody was asked", front.name());
    }
}

#[tokio::test]
async fn case_06_an_extension_that_must_be_understood_is_refused() {
    every_front(|case| {
        let front = case.front;
        for crit in [
            json!(["exp"]),
            json!(["b64"]),
            json!(["alg"]),
            json!([]),
            json!(null),
            json!("exp"),
            json!({}),
        ] {
            let header = with(with(front.header(), "crit", crit.clone()), "b64", json!(true));
            case.add(format!("crit {crit}"), front.raw_header(&header.to_string()));
        }
    })
    .await;
}

/// The order of the curve, in bytes.
fn order(algorithm: Algorithm) -> Vec<u8> {
    let hex = match algorithm {
        Algorithm::Es256 => "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551",
        Algorithm::Es384 => {
            "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973"
        }
        Algorithm::Rs256 => return Vec::new(),
    };
    BigNum::from_hex_str(hex).unwrap().to_vec()
}

fn padded(number: &BigNumRef, length: usize) -> Vec<u8> {
    number.to_vec_padded(i32::try_from(length).unwrap()).unwrap()
}

#[tokio::test]
async fn case_18_a_signature_out_of_range_or_in_another_form_is_refused() {
    every_front(|case| {
        let front = case.front;
        let good = front.good();
        let genuine = Front::signature(&good);
        let half = genuine.len() / 2;
        let (r, s) = genuine.split_at(half);
        let mut signatures = vec![
            ("empty", vec![]),
            ("one byte", vec![0]),
            ("zero", vec![0; genuine.len()]),
            ("one", [vec![0; genuine.len() - 1], vec![1]].concat()),
            ("ones", vec![0xff; genuine.len()]),
            ("without the last byte", genuine[..genuine.len() - 1].to_vec()),
            ("with a byte more", [&genuine[..], &[0]].concat()),
            ("with a zero in front", [&[0], &genuine[..]].concat()),
            ("twice", genuine.repeat(2)),
            ("backwards", genuine.iter().rev().copied().collect()),
            ("halves swapped", [s, r].concat()),
        ];
        if front.algorithm() != Algorithm::Rs256 {
            let order = order(front.algorithm());
            let (zero, number) = (vec![0; half], |bytes: &[u8]| BigNum::from_slice(bytes).unwrap());
            let mut above = number(&order);
            above.add_word(1).unwrap();
            let (n, above) = (padded(&number(&order), half), padded(&above, half));
            signatures.extend([
                ("r zero", [&zero, s].concat()),
                ("s zero", [r, &zero].concat()),
                ("r is n", [&n, s].concat()),
                ("s is n", [r, &n].concat()),
                ("r above n", [&above, s].concat()),
                ("s above n", [r, &above].concat()),
                ("r and s of a byte more", [&[0], r, &[0], s].concat()),
                (
                    "DER",
                    EcdsaSig::from_private_components(number(r), number(s))
                        .unwrap()
                        .to_der()
                        .unwrap(),
                ),
            ]);
        }
        for (what, signature) in signatures {
            case.add(format!("signature {what}"), front.resigned(&good, signature));
        }
        let other = front.payload_with(&json!({"sub": "root"}));
        case.add("another token's signature", front.resigned(&other, &genuine));
    })
    .await;
}

/// `n - s` is as good as `s`: whoever has the one has the other, and nothing here counts signatures.
#[tokio::test]
async fn case_18_a_signatures_twin_says_nothing_else_than_the_signature() {
    let forge = Forge::new();
    for front in forge.fronts().into_iter().filter(|front| front.algorithm() != Algorithm::Rs256) {
        let good = front.good();
        let genuine = Front::signature(&good);
        let (r, s) = genuine.split_at(genuine.len() / 2);
        let (order, s) = (order(front.algorithm()), BigNum::from_slice(s).unwrap());
        let mut twin = BigNum::new().unwrap();
        twin.checked_sub(&BigNum::from_slice(&order).unwrap(), &s).unwrap();
        let twin = front.resigned(&good, [r, &padded(&twin, r.len())].concat());
        assert_ne!(twin, good);
        front.accepts("the twin", &twin).await;
    }
}

#[tokio::test]
async fn case_19_a_segment_that_is_encoded_otherwise_is_refused() {
    every_front(|case| {
        let front = case.front;
        // As long as all remainders by three ask for.
        for spaces in 0..3 {
            let text = |fields: Value| format!("{fields}{}", " ".repeat(spaces));
            let good = front.sign(&text(front.header()), &text(front.payload()));
            let parts: Vec<&str> = good.split('.').collect();
            for at in 0..3 {
                let bare = parts[at].trim_end_matches('=');
                let (start, end) = bare.split_at(bare.len() / 2);
                let mut odd = vec![
                    format!("{start}={end}"),
                    format!("{start}=={end}"),
                    format!("{start}\u{20}{end}"),
                    format!("{start}+{end}"),
                    format!("{start}/{end}"),
                    format!("{start}%3d{end}"),
                    format!("{start}\t{end}"),
                    format!("={bare}"),
                    format!("{bare}==="),
                    format!("{bare}===="),
                    format!("{bare}A"),
                    format!("{bare}AA=="),
                    bare[..bare.len() - 1].to_owned(),
                    bare.replacen(&bare[..1], "*", 1),
                ];
                let padding = (4 - bare.len() % 4) % 4;
                // Half of the padding; or padding where there should be none, which the signature covers.
                odd.extend((padding == 2).then(|| format!("{bare}=")));
                let other = if parts[at].ends_with('=') {
                    bare.to_owned()
                } else {
                    format!("{bare}{}", "=".repeat(padding))
                };
                odd.extend((at < 2 && other != parts[at]).then_some(other));
                odd.extend(
                    trailing_bits(bare).map(|bits| format!("{bits}{}", &parts[at][bare.len()..])),
                );
                for segment in odd {
                    let mut others = parts.clone();
                    others[at] = &segment;
                    case.add(
                        format!("segment {at} as …{}", &segment[segment.len() - 5..]),
                        others.join("."),
                    );
                }
            }
        }
    })
    .await;
}

/// Sets unused bits of the last character, which lenient decoders drop.
fn trailing_bits(bare: &str) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = bare.split_at(bare.len() - 1);
    let value = ALPHABET.find(last)?;
    (!bare.len().is_multiple_of(4)).then(|| format!("{rest}{}", &ALPHABET[value + 1..value + 2]))
}

#[tokio::test]
async fn case_20_any_other_number_of_segments_is_refused() {
    every_front(|case| {
        let front = case.front;
        let good = front.good();
        let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { unreachable!() };
        for token in [
            "x".to_owned(), ".".to_owned(), "..".to_owned(), "...".to_owned(), header.to_owned(), format!("{header}.{payload}"),
            format!("{header}.{payload}."), format!("{header}..{signature}"), format!(".{payload}.{signature}"),
            format!("{good}."), format!(".{good}"), format!("{good}.{signature}"), format!("{header}.{payload}.{payload}.{signature}"),
            format!("{header}.{header}.{payload}.{payload}.{signature}"), format!("{payload}.{header}.{signature}"),
            format!("{good},{good}"), format!("{good};{good}"), format!("\"{good}\""), format!("{good}.x.y"),
            format!("{}.AAAA.AAAA.AAAA.AAAA", front.encode(r#"{"alg":"dir","enc":"A128GCM"}"#)),
            format!("{}.AAAA.AAAA.AAAA.AAAA", front.encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM","zip":"DEF"}"#)),
            format!("{{\"payload\":\"{payload}\",\"protected\":\"{header}\",\"signature\":\"{signature}\"}}"),
            "[]".to_owned(), "{}".to_owned(), "null".to_owned(),
        ] {
            let lengths: Vec<usize> = token.split('.').map(str::len).collect();
            case.add(format!("segments of {lengths:?}"), token);
        }
    })
    .await;
}

#[tokio::test]
async fn case_21_a_flipped_bit_in_any_byte_is_refused() {
    every_front(|case| {
        let good = case.front.good();
        for at in 0..good.len() {
            let mut bytes = good.as_bytes().to_vec();
            bytes[at] ^= 1 << (at % 7);
            case.add(format!("bit {} of byte {at}", at % 7), String::from_utf8(bytes).unwrap());
        }
    })
    .await;
}

#[tokio::test]
async fn case_22_a_credential_that_stands_twice_is_refused_and_a_twin_by_name_is_none() {
    let forge = Forge::new();
    let (app, log) = (&forge.app, &forge.log);
    for front in forge.fronts() {
        let Some(carrier) = front.carrier() else { continue };
        let good = front.carried(&front.good()).unwrap();
        let upper = carrier.to_ascii_uppercase();
        let again = (upper.as_str(), good[0].1.clone());
        let twice: Vec<_> = good.iter().cloned().chain([again.clone()]).collect();
        let reversed: Vec<_> = [again].into_iter().chain(good.iter().cloned()).collect();
        let empty: Vec<_> = good.iter().cloned().chain([(carrier, String::new())]).collect();
        let secrets: Vec<String> = good.iter().map(|(_, value)| value.clone()).collect();
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        for (what, headers) in
            [("twice", twice), ("reversed", reversed), ("beside an empty one", empty)]
        {
            let what = format!("{} {what}", front.name());
            refused(app, log, &what, Front::request(&headers), 401, &secrets).await;
        }
        // Names that some server or other takes for the header's.
        for twin in [
            carrier.replace('-', "_"),
            carrier.replace('-', "."),
            format!("{carrier}_"),
            format!("http_{carrier}"),
            format!("{carrier}-0"),
            format!("x-{carrier}"),
            format!("x-forwarded-{carrier}"),
        ] {
            if twin == carrier {
                continue;
            }
            let request = bare(POST, "/session/cookies").header(twin.as_str(), &good[0].1);
            let answer = app.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, 401, "{twin}");
            assert_eq!(answer.json()["type"], "urn:edgemint:problem:not-signed-in", "{twin}");
            let mut beside = good.clone();
            let stranger = "forged.forged.forged".to_owned();
            let twin: &'static str = twin.leak();
            beside.push((twin, stranger));
            assert_eq!(app.send(Front::request(&beside)).await.status, 200, "beside {twin}");
        }
    }
}
