use axum::body::Body;
use axum::http::{Method, Request};
use edgemint::demo::people::Person;

use crate::support::{Answer, App, CONFIG, bare, person};

fn app(per_subject: u32, per_address: u32) -> App {
    App::with(&format!(
        "{CONFIG}\n[limits]\nasks_per_minute_per_subject = {per_subject}\n\
         asks_per_minute_per_address = {per_address}\n"
    ))
}

async fn ask(app: &App, who: &Person, path: &str, address: &str) -> Answer {
    let method = if path == "/session/login" { Method::GET } else { Method::POST };
    let request = bare(method, path)
        .header("x-amzn-oidc-data", app.claims_token(who))
        .header("x-amzn-oidc-accesstoken", app.access_token(who))
        .header("x-forwarded-for", address);
    app.send(request.body(Body::empty()).unwrap()).await
}

fn request(path: &str, address: &str) -> Request<Body> {
    let method = if path == "/session/logout" { Method::POST } else { Method::GET };
    let request = bare(method, path).header("x-forwarded-for", address);
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_person_who_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
    let app = app(3, 0);
    let (ada, chen) = (person("Ada"), person("Chen"));
    for _ in 0..3 {
        assert_eq!(ask(&app, ada, "/session/cookies", "192.0.2.7").await.status, 200);
    }
    let answer = ask(&app, ada, "/session/cookies", "198.51.100.9").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "20"));
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["type"], "urn:edgemint:problem:too-many-requests");
    assert_eq!(answer.header("cache-control"), "no-store, private");
    assert!(answer.set_cookies().is_empty());
    assert_eq!(ask(&app, chen, "/session/cookies", "192.0.2.7").await.status, 200);
    app.clock.advance(20);
    assert_eq!(ask(&app, ada, "/session/cookies", "192.0.2.7").await.status, 200);
    assert_eq!(ask(&app, ada, "/session/login", "192.0.2.7").await.status, 429);
}

#[tokio::test]
async fn a_person_who_waits_for_a_page_gets_one() {
    let app = app(1, 0);
    let navigate = [("sec-fetch-mode", "navigate"), ("accept", "text/html")];
    let go =
        async || app.with_headers(person("Ada"), Method::GET, "/session/login", &navigate).await;
    assert_eq!(go().await.status, 303);
    let page = go().await;
    assert_eq!((page.status.as_u16(), page.header("retry-after")), (429, "60"));
    assert!(page.text().contains("Try again in 60 s"), "{}", page.text());
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_turned_away_before_anything_is_verified() {
    let app = app(0, 4);
    for path in ["/session/cookies", "/session/login", "/session/logout", "/session/callback/lab"] {
        assert_ne!(app.send(request(path, "192.0.2.7")).await.status, 429, "{path}");
    }
    let fetched = app.source.fetches.load(std::sync::atomic::Ordering::SeqCst);
    for path in ["/session/cookies", "/session/login", "/session/logout", "/session/callback/lab"] {
        let answer = ask(&app, person("Ada"), path, "192.0.2.7").await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "15"), "{path}");
    }
    assert_eq!(app.source.fetches.load(std::sync::atomic::Ordering::SeqCst), fetched);
    assert_eq!(ask(&app, person("Ada"), "/session/cookies", "192.0.2.8").await.status, 200);
}

#[tokio::test]
async fn what_a_browser_invents_in_front_of_its_address_changes_nothing() {
    let app = app(0, 2);
    for invented in ["1.1.1.1", "2.2.2.2"] {
        let address = format!("{invented}, 192.0.2.7");
        assert_ne!(app.send(request("/session/cookies", &address)).await.status, 429);
    }
    let answer = app.send(request("/session/cookies", "3.3.3.3, 192.0.2.7")).await;
    assert_eq!(answer.status, 429);
}

#[tokio::test]
async fn without_a_proxys_word_the_connection_counts() {
    let app = app(0, 2);
    for _ in 0..2 {
        assert_eq!(app.anonymous(Method::POST, "/session/cookies").await.status, 401);
    }
    assert_eq!(app.anonymous(Method::POST, "/session/cookies").await.status, 429);
    assert_ne!(app.send(request("/session/cookies", "192.0.2.7")).await.status, 429);
}

#[tokio::test]
async fn an_ipv6_network_is_one_address() {
    let app = app(0, 2);
    for address in ["2001:db8::1", "2001:db8::2"] {
        assert_ne!(app.send(request("/session/cookies", address)).await.status, 429);
    }
    assert_eq!(app.send(request("/session/cookies", "2001:db8::3")).await.status, 429);
    assert_ne!(app.send(request("/session/cookies", "2001:db8:0:1::1")).await.status, 429);
}

#[tokio::test]
async fn health_the_viewer_and_nginxs_question_are_never_limited() {
    let app = app(1, 1);
    let nginx = [("sec-edgemint-subrequest", "nginx")];
    for _ in 0..5 {
        for path in ["/healthz", "/readyz", "/", "/main.js"] {
            assert_eq!(app.of(person("Ada"), Method::GET, path).await.status, 200, "{path}");
        }
        let path = "/session/verify/nginx";
        let verified = app.with_headers(person("Ada"), Method::GET, path, &nginx).await;
        assert_eq!(verified.status, 204);
        assert_eq!(app.of(person("Ada"), Method::GET, "/session").await.status, 200);
    }
}

#[tokio::test]
async fn a_page_of_somebody_who_asks_too_often_comes_without_cookies() {
    let app = app(2, 0);
    let navigate = [("sec-fetch-mode", "navigate")];
    for expected in [4, 4, 0, 0] {
        let page = app.with_headers(person("Ada"), Method::GET, "/", &navigate).await;
        assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, expected));
    }
}

#[tokio::test]
async fn who_is_turned_away_is_counted() {
    let app = app(1, 3);
    for _ in 0..6 {
        ask(&app, person("Ada"), "/session/cookies", "192.0.2.7").await;
    }
    let metrics = app.state.metrics_text();
    for line in
        ["edgemint_limited_total{by=\"Subject\"} 2", "edgemint_limited_total{by=\"Address\"} 3"]
    {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test]
async fn a_reload_changes_the_limits_and_keeps_the_count() {
    let app = app(2, 0);
    for expected in [200, 200, 429] {
        let answer = ask(&app, person("Ada"), "/session/cookies", "192.0.2.7").await;
        assert_eq!(answer.status, expected);
    }
    let file = app.folder.path().join("edgemint.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("subject = 2", "subject = 0")).unwrap();
    app.state.swap(App::load(&app.folder).unwrap());
    assert_eq!(ask(&app, person("Ada"), "/session/cookies", "192.0.2.7").await.status, 200);
}

#[tokio::test]
async fn what_other_sites_make_browsers_ask_uses_up_nothing_of_ones_own() {
    let app = app(0, 2);
    let foreign = |site: &str| {
        let request = bare(Method::GET, "/session/cookies").header("x-forwarded-for", "192.0.2.7");
        let request = request.header("sec-fetch-site", site).header("sec-fetch-mode", "no-cors");
        request.body(Body::empty()).unwrap()
    };
    for status in [403, 403, 429, 429] {
        assert_eq!(app.send(foreign("cross-site")).await.status, status);
    }
    for status in [200, 200, 429] {
        assert_eq!(ask(&app, person("Ada"), "/session/cookies", "192.0.2.7").await.status, status);
    }
}
