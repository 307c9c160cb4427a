use axum::body::Body;
use axum::http::Method;
use edgemint::cookies::LEDGER_PREFIX;

use crate::support::{Answer, App, CONFIG, bare, person};

const PATH: &str = "/session/verify/nginx";
const ASKS: (&str, &str) = ("sec-edgemint-subrequest", "nginx");
const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");
const SCRIPT: (&str, &str) = ("sec-fetch-mode", "cors");

/// The `Set-Cookie` lines that nginx would find.
fn numbered(answer: &Answer) -> Vec<String> {
    let line = |number| answer.header(&format!("x-edgemint-set-cookie-{number}")).to_owned();
    let lines: Vec<_> = (1..=16).map(line).take_while(|line| !line.is_empty()).collect();
    let named = answer.headers.keys().filter(|name| name.as_str().contains("edgemint-set"));
    assert_eq!(named.count(), lines.len(), "{:?}", answer.headers);
    assert!(answer.set_cookies().is_empty(), "{:?}", answer.headers);
    lines
}

fn assert_silent(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "no-store, private");
    assert!(answer.body.is_empty(), "{}", answer.text());
}

/// Ledger entries of sets that nobody may have any more.
fn ledger_of_another(sets: usize) -> String {
    let scope = |number| edgemint::cookies::CookieScope {
        domain: Some("example.org".to_owned()),
        path: edgemint::access::PathPrefix::parse(&format!("/old-{number}/")).unwrap(),
    };
    let entry = |number| {
        let scope = scope(number);
        let (name, digits) = (edgemint::cookies::ledger_cookie_name(&scope), "0".repeat(16));
        format!("{name}=1|1767294000|{digits}|00000000|example.org|{}", scope.path)
    };
    (0..sets).map(entry).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn without_nginxs_own_header_there_is_nothing() {
    let app = App::new();
    for headers in [
        &[NAVIGATES][..],
        &[NAVIGATES, ("sec-edgemint-subrequest", "")],
        &[NAVIGATES, ("sec-edgemint-subrequest", "1")],
        &[NAVIGATES, ("sec_edgemint_subrequest", "nginx")],
    ] {
        let answer = app.with_headers(person("Ada"), Method::GET, PATH, headers).await;
        assert_eq!(answer.status, 404, "{headers:?}");
        assert!(numbered(&answer).is_empty());
    }
    let post = app.with_headers(person("Ada"), Method::POST, PATH, &[ASKS, NAVIGATES]).await;
    assert_eq!(post.status, 404);
}

#[tokio::test]
async fn a_navigation_of_somebody_signed_in_passes_with_the_lines_that_are_due() {
    let app = App::new();
    let ada = person("Ada");
    let first = app.with_headers(ada, Method::GET, PATH, &[ASKS, NAVIGATES]).await;
    assert_eq!(first.status, 204);
    assert_silent(&first);
    let lines = numbered(&first);
    let page = app.with_headers(ada, Method::GET, "/", &[NAVIGATES]).await;
    assert_eq!(lines, page.set_cookies(), "the same as on a page of the viewer");

    let ledger = lines.iter().find(|line| line.starts_with(LEDGER_PREFIX)).unwrap();
    let cookie = ("cookie", ledger.split(';').next().unwrap());
    let second = app.with_headers(ada, Method::GET, PATH, &[ASKS, NAVIGATES, cookie]).await;
    assert_eq!((second.status.as_u16(), numbered(&second).len()), (204, 0));
    app.clock.advance(1900);
    let third = app.with_headers(ada, Method::GET, PATH, &[ASKS, NAVIGATES, cookie]).await;
    assert_eq!((third.status.as_u16(), numbered(&third).len()), (204, 4));
}

#[tokio::test]
async fn a_script_of_somebody_signed_in_passes_without_lines() {
    let app = App::new();
    let answer = app.with_headers(person("Ada"), Method::GET, PATH, &[ASKS, SCRIPT]).await;
    assert_eq!((answer.status.as_u16(), numbered(&answer).len()), (204, 0));
    assert!(!app.state.metrics().to_text().contains("Issued"), "nothing is signed for it");
}

#[tokio::test]
async fn somebody_to_whom_nothing_is_open_passes_and_loses_what_is_left() {
    let app = App::new();
    let ledger = ledger_of_another(2);
    let headers = [ASKS, NAVIGATES, ("cookie", ledger.as_str())];
    let answer = app.with_headers(person("Noor"), Method::GET, PATH, &headers).await;
    assert_eq!((answer.status.as_u16(), numbered(&answer).len()), (204, 10));
}

#[tokio::test]
async fn nobody_is_sent_to_sign_in_and_back_and_a_script_is_not() {
    let app = App::new();
    let login = async |uri: &str| {
        let request = bare(Method::GET, PATH).header(ASKS.0, ASKS.1).header("x-original-uri", uri);
        let answer =
            app.send(request.header(NAVIGATES.0, NAVIGATES.1).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 401, "{uri}");
        assert_silent(&answer);
        answer.header("x-edgemint-login").to_owned()
    };
    assert_eq!(
        login("/a.html?x=1&y=2").await,
        "/session/login?return_to=%2Fa.html%3Fx%3D1%26y%3D2"
    );
    for elsewhere in
        ["//evil.net", "https://evil.net/", "/\\evil.net", "/session/login", "", "http://[", "é"]
    {
        assert_eq!(login(elsewhere).await, "/session/login?return_to=%2F", "{elsewhere}");
    }
    let script = bare(Method::GET, PATH).header(ASKS.0, ASKS.1).header(SCRIPT.0, SCRIPT.1);
    let answer = app.send(script.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-edgemint-login")), (401, ""));
}

#[tokio::test]
async fn a_refused_credential_is_403_and_one_that_cannot_be_judged_503() {
    let app = App::new();
    let forged = bare(Method::GET, PATH)
        .header(ASKS.0, ASKS.1)
        .header(NAVIGATES.0, NAVIGATES.1)
        .header("x-amzn-oidc-data", "a.b.c");
    let answer = app.send(forged.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-edgemint-login")), (403, ""));
    assert_silent(&answer);
    app.source.set_down(true);
    let answer = app.with_headers(person("Ada"), Method::GET, PATH, &[ASKS, NAVIGATES]).await;
    assert_eq!(answer.status, 503);
    assert_silent(&answer);
}

#[tokio::test]
async fn more_lines_than_there_are_numbers_send_the_browser_for_its_cookies_once() {
    let app = App::new();
    let ledger = ledger_of_another(4);
    let headers = [ASKS, NAVIGATES, ("x-original-uri", "/a.html"), ("cookie", ledger.as_str())];
    let answer = app.with_headers(person("Ada"), Method::GET, PATH, &headers).await;
    assert_eq!((answer.status.as_u16(), numbered(&answer).len()), (401, 0));
    let there = answer.header("x-edgemint-login").to_owned();
    assert_eq!(there, "/session/cookies?return_to=%2Fa.html");
    assert!(!app.state.metrics().to_text().contains("Issued"), "nothing is signed for nobody");

    let headers = [NAVIGATES, ("cookie", ledger.as_str())];
    let fetched = app.with_headers(person("Ada"), Method::GET, &there, &headers).await;
    assert_eq!((fetched.status.as_u16(), fetched.header("location")), (303, "/a.html"));
    let lines = fetched.set_cookies();
    assert_eq!(lines.len(), 4 * 5 + 4, "{lines:?}");
    let kept = |line: &&String| line.starts_with(LEDGER_PREFIX) && !line.contains("Max-Age=0");
    let entry = lines.iter().find(kept).unwrap().split(';').next().unwrap();
    let headers = [ASKS, NAVIGATES, ("cookie", entry)];
    let after = app.with_headers(person("Ada"), Method::GET, PATH, &headers).await;
    assert_eq!((after.status.as_u16(), numbered(&after).len()), (204, 0));
}

#[tokio::test]
async fn however_many_sets_a_site_allows_in_an_answer_nginx_gets_those_that_fit() {
    let resources: Vec<_> =
        (0..6).map(|n| format!("\"https://data.example.org/n{n}/*\"")).collect();
    let config = CONFIG.replace("\"https://data.example.org/lab-a/*\"", &resources.join(", "));
    let app = App::with(&format!("{config}\n[limits]\nsets_per_answer = 6\n"));
    // A browser that keeps no cookies must not go round in circles.
    for _ in 0..2 {
        let answer = app.with_headers(person("Ada"), Method::GET, PATH, &[ASKS, NAVIGATES]).await;
        assert_eq!((answer.status.as_u16(), numbered(&answer).len()), (204, 3 * 4));
    }
}
