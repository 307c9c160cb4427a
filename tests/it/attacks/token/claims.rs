//! Cases 12 to 17 and 23 to 28: what a token says, to whom, and where it turns up.

use std::time::Instant;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{Front, POST, every_front};
use crate::attacks::forge::{Forge, access_of, claims_at};
use crate::attacks::{NAVIGATES, assert_opens_nothing, nobody, refused};
use crate::support::{App, CONFIG, bare, person};

/// Values that are nearly a right one.
fn nearly(right: &str) -> Vec<Value> {
    let all = [
        json!(""),
        json!("*"),
        json!("another"),
        json!(right[..right.len() - 1]),
        json!(format!("{right}0")),
        json!(format!("{right} ")),
        json!(format!(" {right}")),
        json!(format!("{right}\0")),
        json!(format!("{right}/")),
        json!(format!("{right}.evil.net")),
        json!(format!("{right},another")),
        json!(right.to_uppercase()),
        json!({right: right}),
        json!(1),
        json!(true),
        json!(null),
        json!([]),
        json!([[right]]),
        json!(["another"]),
    ];
    all.into_iter().filter(|value| *value != json!(right)).collect()
}

#[tokio::test]
async fn case_12_another_load_balancers_or_instances_signer_is_refused() {
    every_front(|case| {
        let front = case.front;
        if !front.is_of_aws() {
            return;
        }
        let header = front.header();
        let own = header["signer"].as_str().unwrap();
        let others = [
            own.replace("123456789012", "210987654321"),
            own.replace("us-east-1", "us-west-2"),
            own.replace("arn:aws:", "arn:aws-cn:"),
            own.replace('/', ":"),
            own.replace("arn:aws", "arn:aws*"),
            own.replace("0123456789abcdef", "fedcba9876543210"),
        ];
        let values = others.iter().map(|arn| json!(arn)).chain(nearly(own));
        for signer in values.chain([json!([own]), json!([others[0], own])]) {
            case.add(format!("signer {signer}"), front.header_with(&json!({"signer": signer})));
        }
        case.add("no signer", front.header_without("signer"));
        let mut payload = front.payload();
        payload["signer"] = json!(own);
        let mut header = front.header();
        header.as_object_mut().unwrap().remove("signer");
        case.add(
            "the signer in the payload",
            front.sign(&header.to_string(), &payload.to_string()),
        );
    })
    .await;
}

#[tokio::test]
async fn case_13_a_token_for_another_client_or_audience_is_refused() {
    every_front(|case| {
        let front = case.front;
        if front.is_alb() {
            let header = front.header();
            let own = header["client"].as_str().unwrap();
            for client in nearly(own).into_iter().chain([json!([own])]) {
                case.add(format!("client {client}"), front.header_with(&json!({"client": client})));
            }
            case.add("no client", front.header_without("client"));
        } else if front.is_access_token() {
            let payload = front.payload();
            let own = payload["client_id"].as_str().unwrap();
            for client in nearly(own).into_iter().chain([json!([own])]) {
                case.add(
                    format!("client_id {client}"),
                    front.payload_with(&json!({"client_id": client})),
                );
            }
            case.add("no client_id", front.payload_without("client_id"));
            for used in [json!("id"), json!(""), json!("Access"), json!(null), json!(["access"])] {
                case.add(
                    format!("token_use {used}"),
                    front.payload_with(&json!({"token_use": used})),
                );
            }
        } else if !front.is_of_aws() {
            let payload = front.payload();
            let own = payload["aud"][0].as_str().unwrap();
            for aud in nearly(own) {
                case.add(format!("aud {aud}"), front.payload_with(&json!({"aud": aud})));
            }
            case.add("no aud", front.payload_without("aud"));
            let header = {
                let mut header = front.header();
                header["aud"] = json!([own]);
                header
            };
            let mut bare = front.payload();
            bare.as_object_mut().unwrap().remove("aud");
            case.add("the aud in the header", front.sign(&header.to_string(), &bare.to_string()));
        }
        if front.is_id_token() {
            let aud = front.payload()["aud"][0].clone();
            case.add("azp of another", front.payload_with(&json!({"azp": "another"})));
            case.add(
                "two audiences and no azp",
                front.payload_with(&json!({"aud": [aud, "another"]})),
            );
        }
    })
    .await;
}

#[tokio::test]
async fn case_14_another_issuer_is_refused() {
    every_front(|case| {
        let front = case.front;
        let fields = if front.is_of_aws() { front.header() } else { front.payload() };
        let own = fields["iss"].as_str().unwrap().to_owned();
        for iss in nearly(&own).into_iter().chain([
            json!("https://evil.net"),
            json!([own]),
            json!(own.replace("https:", "http:")),
        ]) {
            if iss == json!(own) {
                continue;
            }
            case.add(format!("iss {iss}"), front.stamped(&json!({"iss": iss})));
            if front.is_of_aws() {
                case.add(
                    format!("iss {iss} in the header"),
                    front.header_with(&json!({"iss": iss})),
                );
                case.add(
                    format!("iss {iss} in the payload"),
                    front.payload_with(&json!({"iss": iss})),
                );
            }
        }
        let missing = if front.is_of_aws() {
            front.header_without("iss")
        } else {
            front.payload_without("iss")
        };
        case.add("no iss", missing);
    })
    .await;
}

/// A number as it stands in the JSON, for every `exp` of a token.
fn ending(front: Front<'_>, number: &str) -> String {
    let raw = |fields: Value| {
        let right = format!("\"exp\":{}", fields["exp"]);
        fields.to_string().replace(&right, &format!("\"exp\":{number}"))
    };
    front.sign(&raw(front.header()), &raw(front.payload()))
}

#[tokio::test]
async fn case_15_an_expired_token_or_an_expiry_that_is_none_is_refused() {
    every_front(|case| {
        let front = case.front;
        let now = front.now().0;
        for seconds in [30, 31, 3600, 10 * 365 * 24 * 3600] {
            case.add(format!("ended {seconds} s ago"), ending(front, &(now - seconds).to_string()));
        }
        let text = format!("\"{}\"", now + 60);
        for number in [
            "0",
            "-1",
            "-9223372036854775808",
            "1e400",
            "1e12",
            "true",
            "null",
            "[]",
            "{}",
            "\"\"",
            &text,
            "18446744073709551616",
            &format!("{}.5", now + 60),
            &format!("{}.0", now + 60),
            &format!("[{}]", now + 60),
            "\"never\"",
            "NaN",
            "Infinity",
            &format!("0x{:x}", now + 60),
        ] {
            case.add(format!("exp {number}"), ending(front, number));
        }
        if front.is_of_aws() {
            for other in [now + 61, now - 3600, now + 100_000] {
                case.add("another exp in the payload", front.payload_with(&json!({"exp": other})));
            }
        }
        if front.is_alb() {
            case.add("another exp in the header", front.header_with(&json!({"exp": now + 61})));
        }
    })
    .await;
}

/// So far away that sums would overflow: an end like any other, or none.
#[tokio::test]
async fn case_15_an_expiry_at_the_end_of_time_overflows_nothing() {
    let forge = Forge::new();
    for front in forge.fronts() {
        for number in ["9223372036854775807", "9223372036854775808", "18446744073709551615"] {
            if let Some(answer) = front.ask(&ending(front, number)).await {
                assert!([200, 401].contains(&answer.status.as_u16()), "{}: {number}", front.name());
                let body = answer.json();
                // Cookies live as long as the rule says, whatever the token.
                assert!(
                    body["expires_in"].as_u64().unwrap_or(0) <= 3600,
                    "{}: {body}",
                    front.name()
                );
            } else {
                let _ = front.judge(&ending(front, number));
            }
        }
    }
}

#[tokio::test]
async fn case_16_a_token_without_an_expiry_is_refused() {
    every_front(|case| {
        let front = case.front;
        let (mut header, mut payload) = (front.header(), front.payload());
        let place = if front.is_of_aws() { &mut header } else { &mut payload };
        place.as_object_mut().unwrap().remove("exp");
        case.add("no exp where it stands", front.sign(&header.to_string(), &payload.to_string()));
        let other = if front.is_of_aws() { &mut payload } else { &mut header };
        other["exp"] = json!(front.now().plus(60));
        case.add("exp at the other place", front.sign(&header.to_string(), &payload.to_string()));
        payload.as_object_mut().unwrap().remove("exp");
        header.as_object_mut().unwrap().remove("exp");
        case.add("no exp", front.sign(&header.to_string(), &payload.to_string()));
        payload["expires_in"] = json!(60);
        case.add("a life instead", front.sign(&header.to_string(), &payload.to_string()));
    })
    .await;
}

#[tokio::test]
async fn case_17_a_token_for_later_is_refused() {
    every_front(|case| {
        let front = case.front;
        let now = front.now();
        for name in ["nbf", "iat"] {
            for value in [
                json!(now.plus(31)),
                json!(now.plus(100_000)),
                json!(u64::MAX),
                json!(-1),
                json!(0.5),
                json!("0"),
                json!([0]),
                json!(true),
                json!(null),
            ] {
                case.add(format!("{name} {value}"), front.payload_with(&json!({name: value})));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn case_23_headers_that_say_another_name_than_the_token_change_nothing() {
    let forge = Forge::new();
    for front in forge.fronts() {
        let Some(headers) = front.carried(&front.good()) else { continue };
        let subject = front.payload()["sub"].clone();
        for (name, value) in [
            ("x-amzn-oidc-identity", "root"),
            ("cf-access-authenticated-user-email", "root@atlas.example"),
            ("x-goog-authenticated-user-email", "accounts.google.com:root@atlas.example"),
            ("x-goog-authenticated-user-id", "accounts.google.com:1"),
            ("x-pomerium-claim-email", "root@atlas.example"),
            ("x-pomerium-claim-groups", "lab-b"),
            ("x-forwarded-user", "root"),
            ("cookie", "CF_Authorization=a.b.c; _pomerium=a.b.c"),
        ] {
            let request = headers
                .iter()
                .fold(bare(axum::http::Method::GET, "/session"), |request, (name, value)| {
                    request.header(*name, value)
                });
            let request = request.header(name, value).body(Body::empty()).unwrap();
            let body = forge.app.send(request).await.json();
            assert_eq!(body["subject"], subject, "{}: {name}", front.name());
            assert_eq!(body["groups"], json!(["lab-a"]), "{}: {name}", front.name());
            assert!(!body.to_string().contains("root"), "{}: {name}: {body}", front.name());
        }
    }
}

#[tokio::test]
async fn case_24_a_subject_that_is_none_is_refused() {
    every_front(|case| {
        let front = case.front;
        let long = "s".repeat(256);
        let longer = "s".repeat(8 * 1024);
        for sub in [
            json!(""),
            json!("a\0b"),
            json!("\0"),
            json!("a\nb"),
            json!("a\r\nSet-Cookie: x"),
            json!("\u{85}"),
            json!("\u{7f}"),
            json!(long),
            json!(longer),
            json!(1),
            json!(null),
            json!(true),
            json!(["ada"]),
            json!({"sub": "ada"}),
        ] {
            case.add(
                format!("sub {:.40}", sub.to_string()),
                front.payload_with(&json!({"sub": sub})),
            );
        }
        case.add("no sub", front.payload_without("sub"));
        let sub = format!("\"sub\":{}", front.payload()["sub"]);
        let half = front.payload().to_string().replace(&sub, r#""sub":"\ud83d""#);
        case.add("half a character", front.raw_payload(&half));
    })
    .await;
}

/// Names that look alike are different people, and addresses that parsers read differently are none.
#[tokio::test]
async fn case_24_what_looks_like_a_person_or_an_address_is_not_the_person_or_the_address() {
    let config = CONFIG.replace("groups = [\"lab-b\"]", "subjects = [\"ada\"]");
    let app = App::with(&config);
    let opened = async |sub: &str, email: &Value, verified: &Value| {
        let token = claims_at(&app, sub, email, verified);
        let answer = nobody(&app, POST, "/session/cookies", &[("x-amzn-oidc-data", &token)]).await;
        assert!([200, 403].contains(&answer.status.as_u16()), "{}", answer.text());
        if answer.status == 200 { answer.json()["resources"].to_string() } else { String::new() }
    };
    let right = json!("ada@atlas.example");
    assert!(opened("ada", &json!(null), &json!(true)).await.contains("/lab-b/"));
    for sub in [
        "\u{430}da",
        "ad\u{e4}",
        "Ada",
        "ADA",
        "ada ",
        " ada",
        "ada\u{200b}",
        "\u{ff41}da",
        "ada@atlas.example",
        "a\u{301}da",
    ] {
        assert_eq!(opened(sub, &json!(null), &json!(true)).await, "", "{sub:?}");
    }
    for verified in [json!(true), json!("true")] {
        assert!(opened("x", &right, &verified).await.contains("/atlas/"), "{verified}");
    }
    for verified in [
        json!(false),
        json!("false"),
        json!("TRUE"),
        json!("1"),
        json!(1),
        json!([true]),
        json!({}),
        json!(null),
        json!("true "),
    ] {
        assert_eq!(opened("x", &right, &verified).await, "", "{verified}");
    }
    for email in [
        "a@evil.net@atlas.example",
        "a@atlas.example@evil.net",
        "a@evil.net,b@atlas.example",
        "a@evil.net b@atlas.example",
        "<a@evil.net>@atlas.example",
        "\"a@evil.net\"@atlas.example",
        "a@atlas.example.evil.net",
        "a@evilatlas.example",
        "a@sub.atlas.example",
        "a@atlas.example\0.evil.net",
        "a@atlas.example\n",
        "@atlas.example",
        "atlas.example",
        "a@atlas\u{3002}example",
        "a@\u{430}tlas.example",
        "a@[atlas.example]",
        "a(@evil.net)@atlas.example",
        "a@atlas.example.",
    ] {
        assert_eq!(opened("x", &json!(email), &json!(true)).await, "", "{email:?}");
    }
}

#[tokio::test]
async fn case_25_a_deep_or_huge_payload_is_passed_over_or_refused_at_once() {
    let forge = Forge::new();
    for front in forge.fronts() {
        let and = |raw: &str| {
            let payload = front.payload().to_string();
            front.raw_payload(&format!("{},{raw}}}", &payload[..payload.len() - 1]))
        };
        let start = Instant::now();
        // Far more than any recursion bears; nobody reads it.
        let deep = and(&format!("\"deep\":{}{}", "[".repeat(5000), "]".repeat(5000)));
        if let Some(answer) = front.ask(&deep).await {
            assert!([200, 401].contains(&answer.status.as_u16()), "{}", front.name());
        } else {
            let _ = front.judge(&deep);
        }
        for (what, token) in [
            ("5000 levels without an end", and(&format!("\"deep\":{}", "[".repeat(5000)))),
            (
                "levels in a field that is read",
                and(&format!("\"exp\":{}{}", "[".repeat(3000), "]".repeat(3000))),
            ),
            ("17 KB", and(&format!("\"x\":\"{}\"", "x".repeat(17 * 1024)))),
            ("60 KB", and(&format!("\"x\":\"{}\"", "x".repeat(60 * 1024)))),
            ("a megabyte", and(&format!("\"x\":\"{}\"", "x".repeat(1 << 20)))),
            ("a payload of nothing", front.raw_payload("")),
            ("a payload that is a list", front.raw_payload("[]")),
            ("two payloads", front.raw_payload(&format!("{0}{0}", front.payload()))),
        ] {
            front.refuses(what, &token).await;
        }
        front.accepts("afterwards", &front.good()).await;
        assert!(start.elapsed().as_secs() < 5, "{}: {:?}", front.name(), start.elapsed());
    }
}

/// Nothing in a token says who may send it, so a copy is as good as the original: from anywhere, until it
/// ends. What keeps copies away is the deployment.
#[tokio::test]
async fn case_26_a_copied_token_works_no_longer_than_the_token_and_nowhere_that_its_front_is_not_believed()
 {
    let forge = Forge::new();
    let tokens: Vec<String> = forge.fronts().iter().map(Front::good).collect();
    for (front, token) in forge.fronts().iter().zip(&tokens) {
        front.accepts("the original", token).await;
        front.accepts("a copy", token).await;
    }
    forge.app.clock.advance(3600 + 30);
    for (front, token) in forge.fronts().iter().zip(&tokens) {
        front.refuses("a copy, after its end", token).await;
    }
    let hosts = "hosts = [\"viewer.example.org\"]";
    let config = format!(
        "other_urls = [\"https://other.example.org\"]\n{}",
        CONFIG.replacen("[identity.alb]", &format!("[identity.alb]\n{hosts}"), 1)
    );
    let app = App::with(&config);
    for (host, status) in [("viewer.example.org", 200), ("other.example.org", 401)] {
        let request = Request::post("/session/cookies")
            .header("host", host)
            .header("x-amzn-oidc-data", app.claims_token(person("Ada")))
            .header("x-amzn-oidc-accesstoken", access_of(&app, "Ada"));
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{host}");
    }
}

#[tokio::test]
async fn case_27_who_comes_past_the_load_balancer_without_a_token_is_nobody() {
    let forge = Forge::new();
    let (app, log) = (&forge.app, &forge.log);
    let unsigned = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678"),
        ("x-amzn-oidc-identity", person("Ada").id),
        ("x-amzn-oidc-accesstoken", &access_of(app, "Ada")),
        ("cookie", "AWSELBAuthSessionCookie-0=x; CloudFront-Policy=x"),
    ];
    for path in ["/session/cookies", "/session/login"] {
        let request =
            unsigned.iter().fold(bare(axum::http::Method::GET, path), |request, (name, value)| {
                request.header(*name, *value)
            });
        let request = request.body(Body::empty()).unwrap();
        refused(app, log, path, request, 401, &[unsigned[4].1]).await;
    }
    let session = nobody(app, axum::http::Method::GET, "/session", &unsigned).await;
    assert_eq!(session.status, 401);
    assert_opens_nothing(&session, "/session");
    let more: Vec<_> = unsigned.into_iter().chain([NAVIGATES]).collect();
    let page = nobody(app, axum::http::Method::GET, "/", &more).await;
    assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, 0));
}

#[tokio::test]
async fn case_28_a_token_of_one_front_in_anothers_place_is_refused() {
    let forge = Forge::new();
    let fronts = forge.fronts();
    let mut tried = 0;
    for from in &fronts {
        for to in fronts.iter().filter(|to| to.name() != from.name()) {
            to.refuses(&format!("a token of {}", from.name()), &from.good()).await;
            tried += 1;
        }
    }
    assert_eq!(tried, 8 * 7);
    // Were the keys the same, what the token says would still tell: every claim of the one, by the key of
    // the other.
    for from in &fronts {
        for to in fronts.iter().filter(|to| to.name() != from.name()) {
            let mut header = from.header();
            header["alg"] = to.header()["alg"].clone();
            header["kid"] = to.header()["kid"].clone();
            let token = to.sign(&header.to_string(), &from.payload().to_string());
            to.refuses(&format!("what {} says, by its own key", from.name()), &token).await;
        }
    }
}
