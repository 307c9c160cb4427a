use axum::http::Method;
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use super::{Log, NAVIGATES, SITE, Service, ada, nobody, refused, statuses, unlimited};
use crate::support::{App, CONFIG, NOW, bare, person};

#[tokio::test]
async fn case_37_another_site_makes_a_browser_do_nothing_but_take_its_own_cookies() {
    let (app, log) = (unlimited(CONFIG), Log::start());
    for (method, path) in [
        (Method::GET, "/session/cookies"),
        (Method::HEAD, "/session/cookies"),
        (Method::POST, "/session/cookies"),
        (Method::DELETE, "/session/cookies"),
        (Method::POST, "/session/logout"),
    ] {
        for site in ["cross-site", "same-site"] {
            for mode in ["cors", "no-cors", "navigate", "websocket", "same-origin"] {
                if (&method, mode) == (&Method::GET, "navigate") {
                    continue;
                }
                let token = app.claims_token(person("Ada"));
                let request = bare(method.clone(), path)
                    .header("x-amzn-oidc-data", &token)
                    .header("sec-fetch-site", site)
                    .header("sec-fetch-mode", mode);
                let request = request.body(axum::body::Body::empty()).unwrap();
                let what = format!("{method} {path} {site} {mode}");
                let answer = refused(&app, &log, &what, request, 403, &[&token]).await;
                assert!(answer.set_cookies().is_empty(), "{what}");
            }
        }
    }
    // A link or a redirect on another site: the person's own cookies, on an answer that nobody else reads.
    let link = [NAVIGATES, ("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")];
    for path in ["/session/cookies?return_to=/", "/session/login"] {
        let answer = ada(&app, Method::GET, path, &link).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"));
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn case_38_an_origin_that_is_not_exactly_the_sites_own_is_another() {
    let (app, log) = (unlimited(CONFIG), Log::start());
    let own = [("origin", SITE)];
    assert_eq!(ada(&app, Method::POST, "/session/cookies", &own).await.status, 200);
    for origin in [
        "null",
        "",
        "*",
        "https://evil.net",
        "https://viewer.example.org.evil.net",
        "https://evilviewer.example.org",
        "https://viewer.example.orgevil.net",
        "http://viewer.example.org",
        "https://viewer.example.org:443",
        "https://viewer.example.org:444",
        "https://viewer.example.org/",
        "https://viewer.example.org.",
        "https://VIEWER.example.org",
        "https://data.example.org",
        "https://example.org",
        "viewer.example.org",
        "https://viewer.example.org https://evil.net",
        "https://viewer.example.org, https://evil.net",
        "https://ada@viewer.example.org",
        "file://",
        "chrome-extension://x",
    ] {
        for (method, path) in [
            (Method::POST, "/session/cookies"),
            (Method::GET, "/session/cookies"),
            (Method::DELETE, "/session/cookies"),
            (Method::POST, "/session/logout"),
        ] {
            let token = app.claims_token(person("Ada"));
            let request =
                bare(method, path).header("x-amzn-oidc-data", &token).header("origin", origin);
            let request = request.body(axum::body::Body::empty()).unwrap();
            refused(&app, &log, origin, request, 403, &[&token]).await;
        }
        for path in ["/session", "/", "/main.js", "/healthz"] {
            let answer = ada(&app, Method::GET, path, &[("origin", origin)]).await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path} {origin}");
            assert_eq!(answer.header("access-control-allow-credentials"), "", "{path} {origin}");
        }
    }
    for both in [[SITE, "https://evil.net"], ["https://evil.net", SITE]] {
        let headers = both.map(|origin| ("origin", origin));
        let answer = ada(&app, Method::POST, "/session/cookies", &headers).await;
        assert_eq!(answer.status, 403, "{both:?}");
    }
}

/// There is no socket to take over or to outlive anything.
#[tokio::test(flavor = "multi_thread")]
async fn case_43_no_websocket_opens_for_anybody() {
    let service = Service::start().await;
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    for path in ["/", "/session", "/session/cookies", "/session/login", "/ws", "/healthz"] {
        for origin in ["https://evil.net", "null", &format!("http://{}", service.public_host)] {
            let headers = format!("{upgrade}Origin: {origin}\r\n");
            let request = service.of_ada(&format!("GET {path} HTTP/1.1"), &headers);
            let request = request.replace("Connection: close", "Connection: Upgrade, close");
            let said = service.says(request).await;
            assert!(
                !statuses(&said).is_empty() && !statuses(&said).contains(&101),
                "{path}: {said}"
            );
            assert!(!said.to_ascii_lowercase().contains("sec-websocket-accept"), "{said}");
        }
    }
}

/// A person whose claims the test chooses.
fn claiming(app: &App, claims: &serde_json::Value) -> String {
    let header = edgemint::demo::tokens::ClaimsHeader {
        signer: crate::support::ARN,
        client: crate::support::CLIENT,
        issuer: crate::support::ISSUER,
        expires: NOW.plus(120),
    };
    app.claims.mint(&header, claims.as_object().unwrap()).unwrap()
}

#[tokio::test]
async fn case_44_no_claim_becomes_a_header_a_path_or_a_policy() {
    let own = CONFIG
        .replace("https://data.example.org/lab-a/*", "https://data.example.org/of/{subject}/*")
        .replace("https://data.example.org/lab-b/*", "https://data.example.org/at/{email}/*")
        .replace("groups = [\"lab-a\"]", "everyone = true")
        .replace("groups = [\"lab-b\"]", "everyone = true")
        .replace("lifetime = \"15m\"\n", "");
    let app = unlimited(&own);
    let ask = async |claims: serde_json::Value, path: &str, more: &[(&str, &str)]| {
        let token = claiming(&app, &claims);
        let request = more
            .iter()
            .fold(bare(Method::POST, path), |request, (name, value)| request.header(*name, *value));
        let request = request.header("x-amzn-oidc-data", token);
        app.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let plain = ask(json!({"sub": "ada"}), "/session/cookies", &[]).await;
    assert_eq!(plain.json()["resources"], json!(["https://data.example.org/of/ada/*"]));
    for text in [
        "ada\r\nSet-Cookie: x=y",
        "ada\nSet-Cookie: x=y",
        "ada\r",
        "ada\0",
        "ada\u{85}x",
        "ada\u{2028}x",
        "ada; Domain=evil.net",
        "ada; Path=/",
        "ada,x=y",
        "ada/../lab-b",
        "../ada",
        "..",
        ".",
        "ada/*",
        "*",
        "?",
        "ada\"},{\"Resource\":\"*",
        "ada\\",
        "ada%2f..%2flab-b",
        "ada#",
        "ada|x",
        "{email}",
        "ada\u{202e}x",
        "<ada>",
    ] {
        for claims in [
            json!({"sub": text}),
            json!({"sub": "ada", "email": format!("{text}@example.org"), "email_verified": "true"}),
            json!({"sub": "ada", "email": format!("ada@{text}"), "email_verified": "true"}),
        ] {
            for headers in [&[][..], &[("accept", "text/html"), NAVIGATES]] {
                let answer = ask(claims.clone(), "/session/cookies", headers).await;
                assert!([200, 401, 403].contains(&answer.status.as_u16()), "{claims}");
                for (name, value) in &answer.headers {
                    let value = value.to_str().unwrap_or_else(|_| panic!("{name} of {claims}"));
                    assert!(!value.contains("x=y") && !value.contains("evil"), "{claims}: {value}");
                }
                for line in answer.set_cookies() {
                    let attributes: Vec<_> = line.split("; ").skip(1).collect();
                    let paths = attributes.iter().filter(|text| text.starts_with("Path=")).count();
                    assert_eq!(paths, 1, "{line}");
                    let path = line.split("Path=").nth(1).unwrap().split(';').next().unwrap();
                    let inside = path == "/" && !line.starts_with("CloudFront-")
                        || path.starts_with("/of/")
                        || path.starts_with("/at/");
                    assert!(inside && path.split('/').all(|name| name != ".."), "{claims}: {line}");
                }
            }
        }
    }
}

const MARKUP: &str = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>";

#[tokio::test]
async fn case_45_nothing_of_a_request_or_a_claim_becomes_markup() {
    let app = unlimited(CONFIG);
    let encoded: String = byte_serialize(MARKUP.as_bytes()).collect();
    let pages = [("accept", "text/html"), NAVIGATES];
    let mut answers = Vec::new();
    for path in [
        format!("/session/{encoded}"),
        format!("/session/cookies?{encoded}=1"),
        format!("/session/cookies?for={encoded}"),
        format!("/session/cookies?for=https://data.example.org/{encoded}"),
        format!("/session/login?return_to={encoded}"),
        format!("/session/login?return_to=/{encoded}"),
        format!("/{encoded}.js"),
        format!("/gone.js?{encoded}"),
        "/session/logout".to_owned(),
        "/session".to_owned(),
    ] {
        for (name, value) in [
            ("user-agent", MARKUP),
            ("referer", MARKUP),
            ("x-forwarded-for", MARKUP),
            ("cookie", MARKUP),
        ] {
            let headers = [pages[0], pages[1], (name, value)];
            answers.push(ada(&app, Method::GET, &path, &headers).await);
            answers.push(nobody(&app, Method::GET, &path, &headers).await);
        }
    }
    answers.push(
        nobody(&app, Method::GET, "/session", &[pages[0], pages[1], ("x-amzn-oidc-data", MARKUP)])
            .await,
    );
    let elsewhere =
        axum::http::Request::get("/session").header("host", MARKUP).header("accept", "text/html");
    answers.push(app.send(elsewhere.body(axum::body::Body::empty()).unwrap()).await);
    let claims =
        json!({"sub": MARKUP, "email": "<script>alert(1)</script>@example.org", "name": MARKUP});
    let token = claiming(&app, &claims);
    for accept in ["text/html", "application/json"] {
        answers.push(
            nobody(
                &app,
                Method::GET,
                "/session",
                &[("accept", accept), ("x-amzn-oidc-data", &token)],
            )
            .await,
        );
    }
    let mut own_pages = 0;
    for answer in &answers {
        let kind = answer.header("content-type");
        if kind.starts_with("text/html") && !answer.text().contains("<title>viewer</title>") {
            own_pages += 1;
            let text = answer.text();
            assert!(!text.contains("<img") && !text.contains("alert(1)</script>"), "{text}");
            assert!(
                answer.header("content-security-policy").contains("default-src 'none'"),
                "{answer:?}"
            );
        }
        assert!(
            kind.is_empty() || answer.header("x-content-type-options") == "nosniff",
            "{answer:?}"
        );
    }
    assert!(own_pages > 40, "{own_pages}");
}

#[tokio::test]
async fn case_46_no_page_of_the_services_own_can_be_framed() {
    let app = unlimited(CONFIG);
    for (path, status) in [
        ("/session", 200),
        ("/session/nothing", 404),
        ("/session/logout", 405),
        ("/session/cookies?x=1", 403),
    ] {
        let framed = [
            ("accept", "text/html"),
            NAVIGATES,
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-site", "cross-site"),
        ];
        let answer = ada(&app, Method::GET, path, &framed).await;
        assert_eq!(answer.status, status, "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
}
