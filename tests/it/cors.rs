use axum::http::Method;

use crate::support::{Answer, App, CONFIG, person};

const NOTEBOOK: &str = "https://notebook.example.org";

fn app() -> App {
    App::with(&format!("{CONFIG}\n[cors]\norigins = [\"{NOTEBOOK}\", \"http://localhost:8888\"]\n"))
}

async fn ask(app: &App, method: Method, path: &str, origin: &str) -> Answer {
    let headers = [("origin", origin), ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")];
    app.with_headers(person("Ada"), method, path, &headers).await
}

fn readable_by(answer: &Answer) -> &str {
    let origin = answer.header("access-control-allow-origin");
    let with_credentials = answer.header("access-control-allow-credentials") == "true";
    assert_eq!(with_credentials, !origin.is_empty(), "{answer:?}");
    origin
}

#[tokio::test]
async fn a_script_of_a_named_origin_gets_cookies_and_may_read_the_answer() {
    let app = app();
    for origin in [NOTEBOOK, "http://localhost:8888"] {
        let answer = ask(&app, Method::POST, "/session/cookies", origin).await;
        assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (200, 4), "{origin}");
        assert_eq!(readable_by(&answer), origin);
        let session = ask(&app, Method::GET, "/session", origin).await;
        assert_eq!((session.status.as_u16(), readable_by(&session)), (200, origin));
        let cleared = ask(&app, Method::DELETE, "/session/cookies", origin).await;
        assert_eq!((cleared.status.as_u16(), readable_by(&cleared)), (204, origin));
    }
}

#[tokio::test]
async fn errors_can_be_read_like_answers() {
    let app = app();
    let headers = [("origin", NOTEBOOK)];
    let noor = app.with_headers(person("Noor"), Method::POST, "/session/cookies", &headers).await;
    assert_eq!((noor.status.as_u16(), readable_by(&noor)), (403, NOTEBOOK));
    let exposed = noor.header("access-control-expose-headers");
    assert!(exposed.contains("X-Request-Id") && exposed.contains("Retry-After"), "{exposed}");
    let wrong = ask(&app, Method::POST, "/session/cookies?for=x", NOTEBOOK).await;
    assert_eq!((wrong.status.as_u16(), readable_by(&wrong)), (400, NOTEBOOK));
}

#[tokio::test]
async fn neighbours_of_a_named_origin_get_nothing() {
    let app = app();
    for origin in [
        "null",
        "*",
        "https://notebook.example.org.evil.net",
        "https://evil-notebook.example.org",
        "https://otebook.example.org",
        "https://sub.notebook.example.org",
        "https://notebook.example.org:444",
        "https://notebook.example.org:443",
        "https://notebook.example.org/",
        "https://notebook.example.or",
        "http://notebook.example.org",
        "https://NOTEBOOK.example.org",
        "http://localhost",
        "https://localhost:8888",
        "http://localhost:88888",
        "https://data.example.org",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = ask(&app, method, "/session/cookies", origin).await;
            assert_eq!((answer.status.as_u16(), readable_by(&answer)), (403, ""), "{origin}");
            assert!(answer.set_cookies().is_empty(), "{origin}");
        }
        let session = ask(&app, Method::GET, "/session", origin).await;
        assert_eq!(readable_by(&session), "", "{origin}");
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight =
            app.with_headers(person("Ada"), Method::OPTIONS, "/session/cookies", &headers).await;
        assert_eq!((preflight.status.as_u16(), readable_by(&preflight)), (403, ""), "{origin}");
        assert_eq!(preflight.header("access-control-allow-methods"), "");
    }
}

#[tokio::test]
async fn a_preflight_names_methods_and_the_one_header_and_is_answered_to_nobody_in_particular() {
    let app = app();
    for (path, methods) in
        [("/session", "GET, HEAD"), ("/session/cookies", "GET, HEAD, POST, DELETE")]
    {
        let request = crate::support::bare(Method::OPTIONS, path)
            .header("origin", NOTEBOOK)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization");
        let answer = app.send(request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), readable_by(&answer)), (204, NOTEBOOK), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), methods);
        assert_eq!(answer.header("access-control-allow-headers"), "Authorization");
        assert_eq!(answer.header("access-control-max-age"), "600");
        assert!(answer.set_cookies().is_empty() && answer.body.is_empty());
    }
}

#[tokio::test]
async fn every_answer_there_varies_by_origin_whoever_asks() {
    let app = app();
    for path in ["/session", "/session/cookies"] {
        for origin in [NOTEBOOK, "https://evil.net"] {
            let answer = ask(&app, Method::GET, path, origin).await;
            let mut varies = answer.headers.get_all("vary").iter();
            assert!(varies.any(|by| by == "Origin"), "{path} {origin}: {answer:?}");
        }
        let answer = app.anonymous(Method::GET, path).await;
        assert!(answer.headers.get_all("vary").iter().any(|by| by == "Origin"), "{path}");
    }
}

#[tokio::test]
async fn sign_in_sign_out_and_the_viewer_are_for_no_other_origin() {
    let app = app();
    let out = ask(&app, Method::POST, "/session/logout", NOTEBOOK).await;
    assert_eq!((out.status.as_u16(), readable_by(&out)), (403, ""));
    let login = ask(&app, Method::GET, "/session/login", NOTEBOOK).await;
    assert_eq!((login.status.as_u16(), readable_by(&login)), (403, ""));
    assert!(out.set_cookies().is_empty() && login.set_cookies().is_empty());
    let page = ask(&app, Method::GET, "/", NOTEBOOK).await;
    assert_eq!((page.status.as_u16(), readable_by(&page)), (200, ""));
    assert!(page.set_cookies().is_empty());
}

#[tokio::test]
async fn without_the_section_no_other_origin_may_ask() {
    let app = App::new();
    let answer = ask(&app, Method::POST, "/session/cookies", NOTEBOOK).await;
    assert_eq!((answer.status.as_u16(), readable_by(&answer)), (403, ""));
}
