//! Cases 23 to 28: whom a token speaks of, and where it turns up.

use std::time::Instant;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{Front, POST, every_front};
use crate::attacks::forge::{Forge, access_of, claims_at};
use crate::attacks::{NAVIGATES, assert_opens_nothing, nobody, refused, unlimited};
use crate::support::{CONFIG, bare, person};

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
    let app = unlimited(&config);
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
    let app = unlimited(&config);
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
