//! Cases 7 to 11: which key, and from where.

use axum::http::StatusCode;
use edgemint::authn::FetchError;
use edgemint::demo::tokens::{AccessTokenSigner, ClaimsSigner};
use serde_json::{Value, json};

use super::{Front, every_front, with};
use crate::attacks::forge::Forge;
use crate::minter::{KID, Minter};

const OTHER_KID: &str = "00000000-1111-4222-8333-444444444444";

#[tokio::test]
async fn case_07_a_kid_that_is_no_key_id_is_refused_and_never_part_of_a_url() {
    let forge = Forge::new();
    for front in forge.fronts() {
        front.accepts("a right token", &front.good()).await;
        let kid = front.header()["kid"].as_str().unwrap().to_owned();
        let texts = [
            String::new(),
            "../../../etc/passwd".to_owned(),
            format!("../{kid}"),
            format!("x/../{kid}"),
            format!("/{kid}"),
            format!("{kid}/"),
            format!("..%2f{kid}"),
            format!("%2e%2e%2f{kid}"),
            format!("{kid}%00"),
            format!("{kid}\0"),
            format!("{kid}\n"),
            format!("{kid}\r\nHost: evil.net"),
            format!("{kid}?x=1"),
            format!("{kid}#"),
            format!("https://evil.net/{kid}"),
            format!("//evil.net/{kid}"),
            format!("@evil.net/{kid}"),
            format!("{{{kid}}}"),
            format!("urn:uuid:{kid}"),
            format!(" {kid}"),
            format!("{kid} "),
            format!("{}\u{ff11}", &kid[..kid.len() - 1]),
            kid[..kid.len() - 1].to_owned(),
            format!("{kid}0"),
            "k".repeat(10 * 1024),
            "' OR 1=1 --".to_owned(),
            "file:///dev/zero".to_owned(),
            "127.0.0.1:80/x".to_owned(),
        ];
        let values = texts.into_iter().map(Value::String);
        let others = [json!([kid]), json!({"kid": kid}), json!(1), json!(null), json!(true)];
        for value in values.chain(others) {
            let what = format!("kid {:.60}", value.to_string());
            front.refuses(&what, &front.header_with(&json!({"kid": value}))).await;
        }
        front.refuses("no kid", &front.header_without("kid")).await;
    }
    // A set of keys is asked for anew at most once, and by its own URL.
    let expected: Vec<String> = forge.fronts().iter().map(Front::key_url).collect();
    for url in forge.app.source.asked() {
        assert!(expected.contains(&url), "{url}");
    }
}

#[tokio::test]
async fn case_08_no_field_of_a_token_says_where_keys_are() {
    let forge = Forge::new();
    for front in forge.fronts() {
        front.accepts("a right token", &front.good()).await;
        let elsewhere = json!({
            "region": "evil-1", "host": "evil.net", "url": "https://evil.net/", "jwks_uri": "https://evil.net/keys",
            "issuer": "https://evil.net", "endpoint": "https://evil.net", "partition": "evil",
        });
        front.accepts("a region in the header", &front.header_with(&elsewhere)).await;
        front.accepts("a region in the payload", &front.payload_with(&elsewhere)).await;
        front.refuses("another issuer", &front.stamped(&json!({"iss": "https://evil.net"}))).await;
        if front.is_of_aws() {
            let signer =
                front.header()["signer"].as_str().unwrap().replace("us-east-1", "eu-west-1");
            front
                .refuses("another region's signer", &front.header_with(&json!({"signer": signer})))
                .await;
        }
    }
    let expected: Vec<String> = forge.fronts().iter().map(Front::key_url).collect();
    for url in forge.app.source.asked() {
        assert!(expected.contains(&url), "{url}");
    }
}

#[tokio::test]
async fn case_09_invented_key_ids_cost_a_bounded_number_of_fetches_and_known_keys_serve_on() {
    let forge = Forge::new();
    for front in forge.fronts().into_iter().filter(|front| !front.is_id_token()) {
        front.accepts("a right token", &front.good()).await;
    }
    for front in forge.fronts().into_iter().filter(|front| !front.is_id_token()) {
        let before = forge.fetches();
        for number in 0..150 {
            let kid = format!("00000000-0000-4000-8000-{number:012}");
            let answer = front.ask(&front.header_with(&json!({"kid": kid}))).await.unwrap();
            // Unknown, or too many unknown ones to ask about.
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE];
            assert!(refused.contains(&answer.status) && answer.set_cookies().is_empty(), "{kid}");
        }
        let fetches = forge.fetches() - before;
        assert!(fetches <= 30, "{}: {fetches} fetches", front.name());
        front.accepts("a right token amid the flood", &front.good()).await;
    }
}

/// What a key service should not say, as far as it is for one front.
fn odd_answers(front: Front<'_>) -> Vec<(&'static str, String)> {
    let other = Minter::with(
        &edgemint::identity::dialect::BEARER,
        edgemint::identity::keys::Algorithm::Es384,
    );
    let other_p256 = Minter::with(
        &edgemint::identity::dialect::BEARER,
        edgemint::identity::keys::Algorithm::Es256,
    );
    let wrong_curve = if front.algorithm() == other.algorithm() { &other_p256 } else { &other };
    let private =
        openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate(1024).unwrap()).unwrap();
    let weak = String::from_utf8(private.public_key_to_pem().unwrap()).unwrap();
    let mut jwk = wrong_curve.jwk();
    jwk["kid"] = front.header()["kid"].clone();
    vec![
        ("nothing", String::new()),
        ("HTML", "<!doctype html><title>504</title>".to_owned()),
        ("JSON of something else", "{\"error\":\"busy\"}".to_owned()),
        ("a list", "[]".to_owned()),
        ("no keys", "{\"keys\":[]}".to_owned()),
        ("a wrong curve in PEM", wrong_curve.pem()),
        ("a wrong curve in a JWKS", json!({"keys": [jwk]}).to_string()),
        ("a short RSA key", weak),
        ("a private key", String::from_utf8(private.private_key_to_pem_pkcs8().unwrap()).unwrap()),
        ("half of it", front.published()[..front.published().len() / 2].to_owned()),
        ("60 KB of blanks", " ".repeat(60_000)),
        ("a deep JWKS", format!("{{\"keys\":{}", "[".repeat(30_000))),
        ("101 keys", json!({"keys": vec![json!({"kty": "RSA"}); 101]}).to_string()),
    ]
}

#[tokio::test]
async fn case_10_a_key_service_that_answers_with_anything_but_a_key_lets_nobody_in() {
    let slow = FetchError::Unreachable("operation timed out".to_owned());
    let mut forge = Forge::new();
    for at in 0..Forge::IN_HEADERS {
        forge.restart();
        let front = forge.fronts()[at];
        let right = front.published();
        for failure in [
            FetchError::TooLarge(65_536),
            FetchError::Status(302),
            FetchError::Status(500),
            slow.clone(),
        ] {
            forge.app.source.fail_with(Some(failure.clone()));
            forge.app.clock.advance(61);
            let answer = front.ask(&front.good()).await.unwrap();
            assert_eq!(answer.status, 503, "{}: {failure:?}", front.name());
            assert_eq!(answer.header("retry-after"), "1");
        }
        forge.app.source.fail_with(None);
        for (what, content) in odd_answers(front) {
            forge.app.source.serve(&front.key_url(), &content);
            forge.app.clock.advance(61);
            let answer = front.ask(&front.good()).await.unwrap();
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE];
            assert!(
                refused.contains(&answer.status),
                "{}: {what}: {}",
                front.name(),
                answer.text()
            );
            assert!(answer.set_cookies().is_empty(), "{}: {what}", front.name());
        }
        forge.app.source.serve(&front.key_url(), &right);
        // What once was a set of keys is looked at again within the hour.
        forge.app.clock.advance(3700);
        front.accepts("once the key is there", &front.good()).await;
    }
}

#[tokio::test]
async fn case_11_a_rotation_of_the_fronts_keys_loses_nobody_and_ends_the_old_key() {
    let mut forge = Forge::new();
    for front in forge.fronts().into_iter().filter(|front| !front.is_id_token()) {
        front.accepts("before", &front.good()).await;
    }
    // Fronts of the table: both keys are published, then the new one alone.
    for front in forge
        .fronts()
        .into_iter()
        .filter(|front| !(front.is_id_token() || front.is_alb() || front.is_access_token()))
    {
        let url = front.key_url();
        let new = Minter::new(front.dialect());
        let by_new = |front: Front<'_>| {
            new.sign(&renamed_at(&new, front).to_string(), &front.payload().to_string())
        };
        if front.is_of_aws() {
            forge.app.source.serve(&url.replace(KID, OTHER_KID), &new.published());
        } else {
            let mut jwk = new.jwk();
            jwk["kid"] = json!(OTHER_KID);
            let both: Value = serde_json::from_str(&front.published()).unwrap();
            let both = json!({"keys": [both["keys"][0], jwk]});
            forge.app.source.serve(&url, &both.to_string());
            forge.app.clock.advance(61);
            front.accepts("the new key, at once", &by_new(front)).await;
            front.accepts("the old key beside it", &front.good()).await;
            forge.app.source.serve(&url, &json!({"keys": [jwk]}).to_string());
        }
        front.accepts("the new key", &by_new(front)).await;
        if front.is_of_aws() {
            forge.app.source.withdraw(&url);
        }
        // Keys are looked at again after an hour.
        forge.app.clock.advance(3700);
        front.refuses("the old key, once it is gone", &front.good()).await;
        front.accepts("the new key alone", &by_new(front)).await;
    }
    // The load balancer's and the pool's.
    let before = forge.fronts()[0].good();
    let old_url = forge.fronts()[0].key_url();
    forge.app.claims = ClaimsSigner::generate().unwrap();
    forge.app.access = AccessTokenSigner::generate().unwrap();
    let fronts = forge.fronts();
    for front in &fronts[..2] {
        forge.app.source.serve(&front.key_url(), &front.published());
    }
    forge.app.clock.advance(61);
    fronts[0].accepts("new keys of both", &fronts[0].good()).await;
    forge.app.source.withdraw(&old_url);
    let answer = fronts[0].ask(&before).await.unwrap();
    assert_eq!(answer.status, 401, "it has expired, whatever its key");
}

fn renamed_at(new: &Minter, front: Front<'_>) -> Value {
    with(new.header(front.now()), "kid", json!(OTHER_KID))
}

/// The control of this file: what it changes is what counts.
#[tokio::test]
async fn the_right_kid_is_accepted_by_every_front() {
    every_front(|case| {
        let front = case.front;
        let other = front.header_with(&json!({"kid": OTHER_KID}));
        case.add("another kid", other);
    })
    .await;
}
