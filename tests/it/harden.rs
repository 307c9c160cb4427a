use axum::body::Body;
use axum::http::{Method, StatusCode};

use crate::support::{Answer, App, CONFIG, bare, person};

const NAVIGATE: [(&str, &str); 2] = [("sec-fetch-mode", "navigate"), ("accept", "text/html")];

/// Every route of the service, and for each a way to get an answer and one to be refused.
const OURS: [(Method, &str); 18] = [
    (Method::GET, "/session"),
    (Method::HEAD, "/session"),
    (Method::POST, "/session"),
    (Method::OPTIONS, "/session"),
    (Method::GET, "/session/cookies"),
    (Method::HEAD, "/session/cookies"),
    (Method::POST, "/session/cookies"),
    (Method::DELETE, "/session/cookies"),
    (Method::OPTIONS, "/session/cookies"),
    (Method::POST, "/session/cookies?for=x"),
    (Method::GET, "/session/login"),
    (Method::GET, "/session/login?return_to=//evil.net"),
    (Method::POST, "/session/logout"),
    (Method::GET, "/session/verify/nginx"),
    (Method::GET, "/session/"),
    (Method::GET, "/session/nothing"),
    (Method::GET, "/healthz"),
    (Method::GET, "/readyz"),
];

async fn everybody(app: &App, method: &Method, path: &str) -> Vec<Answer> {
    let mut answers = vec![app.anonymous(method.clone(), path).await];
    for headers in [&[][..], &NAVIGATE[..], &[("sec-edgemint-subrequest", "nginx")]] {
        for name in ["Ada", "Noor"] {
            answers.push(app.with_headers(person(name), method.clone(), path, headers).await);
        }
    }
    answers
}

#[tokio::test]
async fn every_answer_of_our_own_is_not_kept_not_framed_and_runs_nothing() {
    let app = App::new();
    for (method, path) in OURS {
        for answer in everybody(&app, &method, path).await {
            let what = format!("{method} {path}: {answer:?}");
            assert!(answer.header("cache-control").starts_with("no-store"), "{what}");
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; "), "{what}");
            assert!(policy.contains("frame-ancestors 'none'"), "{what}");
            assert!(!policy.contains("unsafe") && !policy.contains('*'), "{what}");
            for (name, value) in [
                ("x-frame-options", "DENY"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "same-origin"),
                ("strict-transport-security", "max-age=31536000"),
            ] {
                assert_eq!(answer.header(name), value, "{name} of {what}");
            }
            assert_eq!(answer.header("x-request-id").len(), 16, "{what}");
        }
    }
}

#[tokio::test]
async fn the_viewers_files_say_what_harms_no_viewer() {
    let app = App::new();
    for path in ["/", "/main.js", "/gone.js", "/deep/link"] {
        for answer in everybody(&app, &Method::GET, path).await {
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
            assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
            let page_of_ours = answer.text().contains("Back to the viewer");
            let framed = answer.header("x-frame-options") != "DENY";
            assert_ne!(page_of_ours, framed, "{path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_laptop_without_tls_is_not_told_to_use_it() {
    let local = |text: &str| text.replace("example.org", "edgemint.localhost");
    let config = local(CONFIG).replace("https://", "http://");
    let config = config.replace("http://cognito-idp", "https://cognito-idp");
    let config = config.replace("\"data.edgemint", "\"http://data.edgemint");
    let app = App::with(&config);
    let request = axum::http::Request::get("/session").header("host", "viewer.edgemint.localhost");
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.header("strict-transport-security")),
        (StatusCode::UNAUTHORIZED, "")
    );
}

#[tokio::test]
async fn no_answer_that_can_be_kept_carries_a_cookie() {
    let app = App::new();
    let more =
        ["/", "/main.js", "/gone", "/index.html", "/deep/link"].map(|path| (Method::GET, path));
    for (method, path) in OURS.into_iter().chain(more) {
        for answer in everybody(&app, &method, path).await {
            let kept = !answer.header("cache-control").contains("no-store");
            assert!(!kept || answer.set_cookies().is_empty(), "{method} {path}: {answer:?}");
        }
    }
}

/// A cache that goes by the end of a path must find nothing of anybody's there.
#[tokio::test]
async fn a_path_that_ends_like_a_style_sheet_is_nobodys() {
    let app = App::new();
    for path in [
        "/session.css",
        "/session/x.css",
        "/session/cookies.css",
        "/session/cookies/x.css",
        "/session/cookies;x.css",
        "/session/cookies%2fx.css",
        "/session/cookies%3fx.css",
        "/session/cookies%00.css",
        "/session/login/x.js",
        "/session/verify/nginx/x.png",
        "/session/verify/nginx.png",
        "/x.css",
        "/deep/link.css",
        "/deep/link;x.css",
        "/deep/link%2ecss",
        "/index.html/x.css",
    ] {
        for answer in everybody(&app, &Method::GET, path).await {
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.set_cookies().is_empty(), "{path}");
            assert!(answer.header("cache-control").contains("no-store"), "{path}: {answer:?}");
            assert!(!answer.text().contains(person("Ada").email), "{path}");
        }
    }
}

#[tokio::test]
async fn only_a_page_that_a_person_goes_to_carries_cookies() {
    let app = App::new();
    let mode = |site: &'static str, mode: &'static str, dest: &'static str| {
        [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)]
    };
    for (headers, carries) in [
        (mode("none", "navigate", "document"), true),
        (mode("same-origin", "navigate", "document"), true),
        (mode("same-origin", "cors", "empty"), true),
        (mode("same-site", "navigate", "document"), true),
        (mode("cross-site", "navigate", "document"), true),
        (mode("cross-site", "no-cors", "image"), false),
        (mode("cross-site", "no-cors", "script"), false),
        (mode("same-site", "no-cors", "image"), false),
        (mode("same-site", "cors", "empty"), false),
        (mode("cross-site", "navigate", "iframe"), false),
        (mode("same-site", "navigate", "iframe"), false),
        (mode("cross-site", "navigate", "embed"), false),
    ] {
        for path in ["/", "/session/cookies", "/session/login"] {
            let answer = app.with_headers(person("Ada"), Method::GET, path, &headers).await;
            let set = !answer.set_cookies().is_empty();
            assert_eq!(set, carries, "{path} {headers:?}: {answer:?}");
            let expected = match (path, carries) {
                ("/session/login", true) => 303,
                ("/", _) | (_, true) => 200,
                _ => 403,
            };
            assert_eq!(answer.status, expected, "{path} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_page_that_another_site_loads_says_nothing_of_who_is_signed_in() {
    let app = App::new();
    let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
    let of_ada = app.with_headers(person("Ada"), Method::GET, "/", &headers).await;
    let request = bare(Method::GET, "/").header(headers[0].0, headers[0].1);
    let of_nobody =
        app.send(request.header(headers[1].0, headers[1].1).body(Body::empty()).unwrap()).await;
    let but_for_its_number = |mut answer: Answer| {
        answer.headers.remove("x-request-id");
        (answer.status, answer.headers, answer.body)
    };
    assert_eq!(but_for_its_number(of_ada), but_for_its_number(of_nobody));
}

/// A site of two providers, whose answers are our own pages.
fn with_own_sign_in() -> App {
    let provider = |name: &str| {
        format!(
            "[[identity.provider]]\nname = \"{name}\"\nissuer = \"https://{name}.example.org\"\n\
             client = \"viewer\"\n\n"
        )
    };
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let login = format!("[identity.login]\ncookie_keys = [\"{key}\"]\n\n[[distribution]]");
    let front = provider("one") + &provider("two") + &login;
    App::with(&CONFIG.replacen("[[distribution]]", &front, 1))
}

#[tokio::test]
async fn own_sign_in_is_begun_and_ended_by_navigations_that_a_person_sees() {
    let app = with_own_sign_in();
    for path in ["/session/login", "/session/callback/one?code=c&state=s"] {
        for (site, mode, dest, seen) in [
            ("none", "navigate", "document", true),
            ("cross-site", "navigate", "document", true),
            ("same-site", "navigate", "document", true),
            ("cross-site", "navigate", "iframe", false),
            ("same-site", "navigate", "iframe", false),
            ("cross-site", "no-cors", "image", false),
            ("same-site", "cors", "empty", false),
        ] {
            let request = bare(Method::GET, path)
                .header("sec-fetch-site", site)
                .header("sec-fetch-mode", mode)
                .header("sec-fetch-dest", dest);
            let answer = app.send(request.body(Body::empty()).unwrap()).await;
            let expected = match path {
                _ if !seen => 403,
                "/session/login" => 200,
                _ => 400,
            };
            assert_eq!(answer.status, expected, "{path} {site} {mode} {dest}: {}", answer.text());
            assert_eq!(answer.header("x-frame-options"), "DENY");
            assert!(answer.header("content-security-policy").starts_with("default-src 'none'; "));
            assert!(answer.header("cache-control").starts_with("no-store"), "{answer:?}");
        }
    }
}
