use axum::body::Body;
use axum::http::Method;

use edgemint::cookies::LEDGER_PREFIX;

use crate::support::{App, CONFIG, bare, person};

const NAVIGATE: [(&str, &str); 2] = [("sec-fetch-mode", "navigate"), ("accept", "text/html")];

fn ledger_cookie(lines: &[String]) -> String {
    let line = lines.iter().find(|line| line.starts_with(LEDGER_PREFIX)).unwrap();
    line.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_page_carries_cookies_when_the_ledger_lacks_them() {
    let app = App::new();
    let ada = person("Ada");
    let first = app.with_headers(ada, Method::GET, "/", &NAVIGATE).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("cache-control"), "no-store, private");
    assert_eq!(first.set_cookies().len(), 4, "{:?}", first.set_cookies());

    let ledger = ledger_cookie(&first.set_cookies());
    let again = [NAVIGATE[0], NAVIGATE[1], ("cookie", ledger.as_str())];
    let second = app.with_headers(ada, Method::GET, "/", &again).await;
    assert!(second.set_cookies().is_empty(), "fresh cookies are not set again");
    app.clock.advance(1900);
    let third = app.with_headers(ada, Method::GET, "/", &again).await;
    assert_eq!(third.set_cookies().len(), 4, "past half of their life they are");
}

#[tokio::test]
async fn a_page_for_another_person_replaces_the_first_ones_cookies() {
    let app = App::new();
    let first = app.with_headers(person("Ada"), Method::GET, "/", &NAVIGATE).await;
    let ledger = ledger_cookie(&first.set_cookies());
    let headers = [NAVIGATE[0], NAVIGATE[1], ("cookie", ledger.as_str())];
    let second = app.with_headers(person("Ben"), Method::GET, "/", &headers).await;
    let lines = second.set_cookies();
    let removed = |line: &&String| line.contains("Path=/lab-a/;") && line.ends_with("Max-Age=0");
    assert_eq!(lines.iter().filter(removed).count(), 4, "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("CloudFront-Policy=") && line.contains("Path=/lab-b/;"))
    );
    let third = app.with_headers(person("Noor"), Method::GET, "/", &headers).await;
    assert_eq!(third.status, 200, "the viewer itself is open to everyone");
    assert_eq!(third.set_cookies().len(), 5, "{:?}", third.set_cookies());
}

#[tokio::test]
async fn a_page_for_nobody_is_public_and_sets_nothing() {
    let app = App::new();
    let page = app.anonymous(Method::GET, "/").await;
    assert_eq!((page.status.as_u16(), page.header("cache-control")), (200, "no-cache"));
    assert!(page.set_cookies().is_empty());
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn scripts_never_carry_cookies_and_missing_ones_are_no_page() {
    let app = App::new();
    let script = app.of(person("Ada"), Method::GET, "/main.js").await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert!(script.set_cookies().is_empty());
    let missing = app.with_headers(person("Ada"), Method::GET, "/gone.js", &NAVIGATE).await;
    assert_eq!(missing.status, 404);
    let chunk = app.of(person("Ada"), Method::GET, "/deep/link").await;
    assert_eq!(chunk.status, 404, "a fetch gets no page");
    let deep = app.with_headers(person("Ada"), Method::GET, "/deep/link", &NAVIGATE).await;
    assert_eq!((deep.status.as_u16(), deep.set_cookies().len()), (200, 4));
}

#[tokio::test]
async fn files_have_etags_ranges_and_heads() {
    let app = App::new();
    let whole = app.anonymous(Method::GET, "/main.js").await;
    let etag = whole.header("etag").to_owned();
    let get = |name: &str, value: &str| {
        bare(Method::GET, "/main.js").header(name, value).body(Body::empty()).unwrap()
    };
    assert_eq!(app.send(get("if-none-match", &etag)).await.status, 304);
    let part = app.send(get("range", "bytes=0-6")).await;
    assert_eq!((part.status.as_u16(), part.text()), (206, "console".to_owned()));
    assert_eq!(part.header("content-range"), "bytes 0-6/14");
    assert_eq!(app.send(get("range", "bytes=99-")).await.status, 416);
    let head = app.anonymous(Method::HEAD, "/main.js").await;
    assert_eq!((head.header("content-length"), head.body.len()), ("14", 0));
    let post = app.anonymous(Method::POST, "/main.js").await;
    assert_eq!((post.status.as_u16(), post.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn nothing_outside_the_bundle_can_be_read() {
    let app = App::new();
    for path in [
        "/../edgemint.toml",
        "/..%2fedgemint.toml",
        "/%2e%2e/edgemint.toml",
        "/..%5cedgemint.toml",
        "//etc/passwd",
        "/keys/ring.json",
        "/.%2e/keys/ring.json",
        "/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/main.js%00.html",
        "/./main.js",
        "/viewer/../main.js",
        "/%252e%252e/edgemint.toml",
    ] {
        let answer = app.anonymous(Method::GET, path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn without_a_bundle_there_is_nothing_but_the_session() {
    let config = CONFIG.replace("[viewer]\nroot = \"viewer\"\n", "");
    let app = App::with(&config);
    assert_eq!(app.anonymous(Method::GET, "/").await.status, 404);
    assert_eq!(app.of(person("Ada"), Method::POST, "/session/cookies").await.status, 200);
}
