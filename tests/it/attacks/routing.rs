use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use super::{NAVIGATES, Service, ada, assert_opens_nothing, nobody, statuses, unlimited};
use crate::support::{Answer, CONFIG, HOST, bare, person};

/// What some server or other takes for `/session/cookies`.
const SPELLINGS: &[&str] = &[
    "//session/cookies",
    "/session//cookies",
    "/session/cookies/",
    "/session/cookies//",
    "/./session/cookies",
    "/session/./cookies",
    "/x/../session/cookies",
    "/session/x/../cookies",
    "/x/..;/session/cookies",
    "/session/..;/session/cookies",
    "/session;x=1/cookies",
    "/session/cookies;x=1",
    "/session/cookies;.css",
    "/%2e/session/cookies",
    "/x/%2e%2e/session/cookies",
    "/x/.%2e/session/cookies",
    "/%2fsession/cookies",
    "/session%2fcookies",
    "/session%2Fcookies",
    "/session%5ccookies",
    "/session\\cookies",
    "\\session\\cookies",
    "/session/%63ookies",
    "/%73ession/cookies",
    "/session%252fcookies",
    "/%252e%252e/session/cookies",
    "/session/cookies%00",
    "/session/cookies%00.css",
    "/session/cookies%20",
    "/session/cookies%0a",
    "/session/cookies.",
    "/SESSION/cookies",
    "/Session/Cookies",
    "/session/c\u{f6}okies",
    "/session/cookies\0",
    "/session/cookies\t",
    "session/cookies",
    "",
    "*",
];

#[tokio::test(flavor = "multi_thread")]
async fn case_29_a_path_or_host_that_is_spelled_otherwise_is_another_or_none() {
    let service = Service::start().await;
    let plain = service.says(service.of_ada("POST /session/cookies HTTP/1.1", "")).await;
    assert!(statuses(&plain) == [200] && plain.contains("CloudFront-Policy"), "{plain}");
    for path in SPELLINGS {
        for method in ["GET", "POST"] {
            let said = service.says(service.of_ada(&format!("{method} {path} HTTP/1.1"), "")).await;
            let refused = statuses(&said).iter().all(|status| (400..500).contains(status));
            assert!(refused && !said.contains("CloudFront-"), "{method} {path:?}: {said}");
        }
    }
    let app = unlimited(CONFIG);
    for (host, status) in [
        (HOST, 200),
        ("VIEWER.Example.ORG", 200),
        ("viewer.example.org:443", 200),
        ("viewer.example.org.", 421),
        ("viewer.example.org:80", 421),
        ("viewer.example.org:0443", 421),
        ("viewer.example.org:443:443", 421),
        ("viewer.example.org%00", 421),
        ("viewer%2eexample.org", 421),
        ("ada@viewer.example.org", 421),
        ("[viewer.example.org]", 421),
        (".viewer.example.org", 421),
        ("viewer.example.org/x", 421),
        ("viewer\u{ff0e}example.org", 421),
    ] {
        let request = Request::post("/session/cookies")
            .header("x-amzn-oidc-data", app.claims_token(person("Ada")))
            .header("x-amzn-oidc-accesstoken", app.access_token(person("Ada")))
            .header("host", host.as_bytes());
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{host}");
        if status != 200 {
            assert_opens_nothing(&answer, host);
        }
    }
}

/// A URL in `for` gets what the rules open, however it is spelled.
#[tokio::test]
async fn case_29_a_url_that_is_spelled_otherwise_opens_no_more() {
    let app = unlimited(CONFIG);
    for (url, status) in [
        ("https://data.example.org/lab-a/x", 200),
        ("https://DATA.example.org/lab-a/x", 200),
        ("https://data.example.org:443/lab-a/x", 200),
        // One odd name below /lab-a/.
        ("https://data.example.org/lab-a/..%252flab-b/x", 200),
        ("https://data.example.org/lab-a/../lab-b/x", 403),
        ("https://data.example.org/lab-a/%252e%252e/lab-b/x", 403),
        ("https://data.example.org/lab-a/..%5clab-b/x", 403),
        ("https://data.example.org//lab-a/x", 403),
        ("https://data.example.org/LAB-A/x", 403),
        ("https://data.example.org/lab-a", 403),
        ("https://data.example.org./lab-a/x", 403),
        ("https://data.example.org:444/lab-a/x", 403),
        ("http://data.example.org/lab-a/x", 403),
        ("https://data.example.org.evil.net/lab-a/x", 403),
        ("//data.example.org/lab-a/x", 400),
        ("https://ada@data.example.org/lab-a/x", 400),
        ("lab-a/x", 400),
    ] {
        let answer = ada(&app, Method::POST, &format!("/session/cookies?for={url}"), &[]).await;
        assert_eq!(answer.status, status, "{url}: {}", answer.text());
        if status == 200 {
            assert_eq!(
                answer.json()["resources"],
                json!(["https://data.example.org/lab-a/*"]),
                "{url}"
            );
        } else {
            assert_opens_nothing(&answer, url);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_30_a_public_path_in_query_or_fragment_makes_no_path_public() {
    let service = Service::start().await;
    for path in [
        "/session/cookies?/healthz",
        "/session/cookies?x=/readyz",
        "/session/cookies?return_to=/healthz",
        "/session/cookies#/healthz",
        "/session#/main.js",
        "/session?/main.js",
        "/session/cookies/healthz",
        "/session/cookies;/healthz",
        "/session/cookies/..;/healthz",
        "/readyz/../session",
        "/readyz/session",
        "/healthz%2f..%2fsession/cookies",
        "/healthz;/session",
        "/session/verify/nginx?/healthz",
    ] {
        let said = service.says(service.of_nobody(&format!("GET {path} HTTP/1.1"), "")).await;
        let refused = statuses(&said).iter().all(|status| [400, 401, 404].contains(status));
        assert!(refused && !said.contains("ubject"), "{path}: {said}");
        // Where the path alone decides, a name that is not served is no way round.
        let elsewhere = service.of_ada(&format!("GET {path} HTTP/1.1"), "");
        let elsewhere = elsewhere.replace(&service.public_host, "10.0.0.1");
        let said = service.says(elsewhere).await;
        let refused = statuses(&said).iter().all(|status| [400, 404, 421].contains(status));
        assert!(refused && !said.contains("ubject"), "{path}: {said}");
    }
    // What is public says nothing of who asks.
    for path in ["/healthz?x=/session", "/readyz?/session/cookies", "/healthz#/session"] {
        let said = service.says(service.of_ada(&format!("GET {path} HTTP/1.1"), "")).await;
        assert_eq!(statuses(&said), [200], "{path}: {said}");
        assert!(!said.contains(person("Ada").id) && !said.contains("set-cookie"), "{said}");
    }
}

/// Headers by which proxies, frameworks and other products are told what somebody wishes.
const WISHES: &[(&str, &str)] = &[
    ("x-forwarded-uri", "/healthz"),
    ("x-forwarded-host", "evil.net"),
    ("x-forwarded-server", "evil.net"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-scheme", "javascript"),
    ("x-forwarded-port", "444"),
    ("x-forwarded-prefix", "//evil.net"),
    ("x-forwarded-method", "DELETE"),
    ("x-original-url", "/healthz"),
    ("x-original-uri", "/healthz"),
    ("x-original-host", "evil.net"),
    ("x-original-method", "OPTIONS"),
    ("x-rewrite-url", "/healthz"),
    ("x-host", "evil.net"),
    ("x-http-host-override", "evil.net"),
    ("x-http-method", "DELETE"),
    ("x-http-method-override", "DELETE"),
    ("x-method-override", "DELETE"),
    ("forwarded", "for=6.6.6.6;host=evil.net;proto=http"),
    ("x-real-ip", "6.6.6.6"),
    ("x-client-ip", "6.6.6.6"),
    ("x-cluster-client-ip", "6.6.6.6"),
    ("true-client-ip", "6.6.6.6"),
    ("cf-connecting-ip", "6.6.6.6"),
    ("cloudfront-viewer-address", "6.6.6.6:1"),
    ("x-originating-ip", "127.0.0.1"),
    ("client-ip", "127.0.0.1"),
    ("x-forwarded-user", "root"),
    ("x-forwarded-email", "root@atlas.example"),
    ("x-forwarded-groups", "lab-b"),
    ("x-auth-request-user", "root"),
    ("x-auth-request-email", "root@atlas.example"),
    ("x-auth-request-groups", "lab-b"),
    ("x-remote-user", "root"),
    ("remote-user", "root"),
    ("remote-groups", "lab-b"),
    ("x-webauth-user", "root"),
    ("x-authentik-username", "root"),
    ("x-amzn-oidc-identity", "root"),
    ("x-ms-client-principal-name", "root"),
    ("x-goog-authenticated-user-email", "accounts.google.com:root@atlas.example"),
    ("cf-access-authenticated-user-email", "root@atlas.example"),
    ("tailscale-user-login", "root@atlas.example"),
    ("x-amzn-mtls-clientcert-subject", "CN=root"),
    ("x-ssl-client-verify", "SUCCESS"),
    ("x_forwarded_for", "6.6.6.6"),
    ("x-edgemint-set-cookie-1", "x=y"),
    ("x-request-id", "0000000000000000"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", "ELB-HealthChecker/2.0"),
    ("via", "1.1 evil.net"),
    ("range", "bytes=0-0"),
];

/// An answer without what differs from one to the next.
fn essence(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let text = answer.text().replace(answer.header("x-request-id"), "NUMBER");
    let mut body = serde_json::from_str(&text).unwrap_or(json!(text));
    if let Some(fields) = body.as_object_mut() {
        fields.remove("instance");
        fields.remove("refresh_in");
    }
    let headers = answer.headers.iter().filter(|(name, _)| *name != "x-request-id");
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
    (answer.status.as_u16(), headers, body)
}

#[tokio::test]
async fn case_31_headers_about_another_request_or_person_change_nothing() {
    // Bound to an address, so that believing another one would show.
    let bound = CONFIG.replace("name = \"lab-a\"", "name = \"lab-a\"\nbind_ip = true");
    let app = unlimited(&bound);
    let requests = [
        (Method::GET, "/session", false),
        (Method::POST, "/session/cookies", false),
        (Method::GET, "/session/cookies?return_to=/view", true),
        (Method::GET, "/session/login?return_to=/view", true),
        (Method::POST, "/session/logout", true),
    ];
    for (method, path, navigates) in requests {
        let plain: &[_] = if navigates { &[NAVIGATES] } else { &[] };
        let mut expected = Vec::new();
        for wish in [None].into_iter().chain(WISHES.iter().copied().map(Some)) {
            let headers: Vec<_> = plain.iter().copied().chain(wish).collect();
            let signed_in = ada(&app, method.clone(), path, &headers).await;
            let signed_out = nobody(&app, method.clone(), path, &headers).await;
            let answers = [essence(&signed_in), essence(&signed_out)];
            if wish.is_none() {
                let served = signed_in.status.is_success() || signed_in.status.is_redirection();
                assert!(served, "{method} {path}: {}", signed_in.text());
                expected.extend(answers);
            } else {
                assert_eq!(answers[..], expected, "{method} {path} {wish:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_32_a_host_that_is_not_the_sites_own_gets_nothing_and_is_repeated_nowhere() {
    let service = Service::start().await;
    let own = service.public_host.clone();
    let port = service.port;
    for (target, hosts) in [
        ("/session/login", "Host: evil.net\r\n".to_owned()),
        ("/session/login", format!("Host: evil.net\r\nHost: {own}\r\n")),
        ("/session/login", format!("Host: {own}\r\nHost: evil.net\r\n")),
        ("/session/login", format!("Host: {own}\r\nHost: {own}\r\n")),
        ("/session/login", format!("Host: {own}, evil.net\r\n")),
        ("/session/login", format!("Host: {own}@evil.net\r\n")),
        ("/session/login", format!("Host: evil.net#{own}\r\n")),
        ("/session/login", format!("Host: {own}.evil.net\r\n")),
        ("/session/login", format!("Host: {own} evil.net\r\n")),
        ("/session/login", "Host: \r\n".to_owned()),
        ("/session/login", "Host:\r\n".to_owned()),
        ("/session/login", String::new()),
        ("/session/login", format!("X: y\r\n Host: {own}\r\n")),
        ("/session/login", format!("Host : {own}\r\n")),
        ("/session/login", "Host: 127.0.0.1\r\n".to_owned()),
        ("/session/login", format!("Host: viewer.edgemint.localhost:{}\r\n", port.wrapping_add(1))),
        ("http://evil.net/session/login", format!("Host: {own}\r\n")),
        ("http://evil.net/session/login", "Host: evil.net\r\n".to_owned()),
        ("https://evil.net:443/session/login", String::new()),
        ("evil.net:80", format!("Host: {own}\r\n")),
    ] {
        let hosts = format!("{hosts}X-Forwarded-Host: evil.net\r\n");
        let whole =
            service.of_ada(&format!("GET {target} HTTP/1.1"), "Sec-Fetch-Mode: navigate\r\n");
        let request = whole.replace(&format!("Host: {own}\r\n"), &hosts);
        let said = service.says(request).await;
        let refused = statuses(&said).iter().all(|status| [400, 404, 421].contains(status));
        assert!(refused && !statuses(&said).is_empty(), "{target} {hosts:?}: {said}");
        assert!(!said.contains("evil.net") && !said.contains("CloudFront-"), "{hosts:?}: {said}");
    }
    // The same site, named in the target as a proxy is asked.
    let line = format!("GET http://{own}/session/login HTTP/1.1");
    let said = service.says(service.of_ada(&line, "Sec-Fetch-Mode: navigate\r\n")).await;
    assert!(statuses(&said) == [303] && said.contains("location: /\r\n"), "{said}");
}

#[tokio::test]
async fn case_33_who_looks_like_a_health_check_is_nobody_all_the_same() {
    let app = unlimited(CONFIG);
    for agent in [
        "ELB-HealthChecker/2.0",
        "GoogleHC/1.0",
        "kube-probe/1.30",
        "Amazon-Route53-Health-Check-Service",
    ] {
        for path in ["/session", "/session/cookies", "/session/login", "/session/verify/nginx"] {
            let headers = [("user-agent", agent), ("x-amzn-trace-id", "Self=1"), NAVIGATES];
            let answer = nobody(&app, Method::GET, path, &headers).await;
            assert!([401, 404].contains(&answer.status.as_u16()), "{agent} {path}");
            assert_opens_nothing(&answer, agent);
        }
    }
    // Health is told to everybody, by any name, and tells of nobody.
    for path in ["/healthz", "/readyz"] {
        let request = Request::get(path)
            .header("host", "10.0.0.1")
            .header("x-amzn-oidc-data", app.claims_token(person("Ada")));
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.set_cookies().is_empty() && !answer.text().contains(person("Ada").id));
    }
    for path in ["/healthz/", "/readyz/x", "/HEALTHZ", "/healthz/../session"] {
        let request = Request::get(path).header("host", "10.0.0.1");
        assert_eq!(app.send(request.body(Body::empty()).unwrap()).await.status, 421, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_34_an_unusual_method_skips_nothing() {
    let service = Service::start().await;
    for method in [
        "OPTIONS", "HEAD", "TRACE", "TRACK", "CONNECT", "PUT", "PATCH", "DELETE", "PROPFIND",
        "get", "Post", "GETS", "X\u{1}", "PRI",
    ] {
        for path in [
            "/session",
            "/session/cookies",
            "/session/login",
            "/session/logout",
            "/session/verify/nginx",
        ] {
            let secret = "Cookie: secret=do-not-repeat-this\r\n";
            let line = format!("{method} {path} HTTP/1.1");
            let said = service.says(service.of_nobody(&line, secret)).await;
            let cleared = method == "DELETE" && path == "/session/cookies";
            let refused = statuses(&said).iter().all(|status| (400..500).contains(status));
            assert!(refused || cleared, "{line}: {said}");
            let signed_in = service.says(service.of_ada(&line, secret)).await;
            for said in [&said, &signed_in] {
                assert!(!said.contains("do-not-repeat-this"), "{line}: {said}");
                assert!(!said.contains("access-control"), "{line}: {said}");
                assert!(!said.contains("x-amzn-oidc"), "{line}: {said}");
            }
            // A HEAD is its GET, without the body.
            let issues = method == "HEAD" && ["/session/cookies", "/session/login"].contains(&path);
            assert_eq!(signed_in.contains("CloudFront-Policy"), issues, "{line}: {signed_in}");
        }
    }
    for target in ["evil.net:443", "169.254.169.254:80", &service.public_host] {
        let said = service.says(service.of_ada(&format!("CONNECT {target} HTTP/1.1"), "")).await;
        let refused = statuses(&said).iter().all(|status| (400..500).contains(status));
        assert!(refused && !said.contains("CloudFront-"), "{target}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_35_naming_a_header_in_connection_does_not_take_it_away() {
    let service = Service::with("").await;
    let naming = "close, x-amzn-oidc-data, x-amzn-oidc-accesstoken, x-forwarded-for, host, origin, sec-fetch-site";
    let named =
        |request: String| request.replace("Connection: close", &format!("Connection: {naming}"));
    let line = "POST /session/cookies HTTP/1.1";
    let good = service.says(named(service.of_ada(line, ""))).await;
    assert!(statuses(&good) == [200] && good.contains("/lab-a/*"), "{good}");
    service.wait_for("cookies.issued").await;
    // A wrong credential stays a refusal, and another site another site.
    for (headers, status, kind) in [
        ("x-amzn-oidc-data: a.b.c\r\n", 401, "credential-refused"),
        ("Origin: https://evil.net\r\n", 403, "cross-site"),
        ("Sec-Fetch-Site: cross-site\r\n", 403, "cross-site"),
    ] {
        let said = service.says(named(service.of_nobody(line, headers))).await;
        assert_eq!(statuses(&said), [status], "{headers}: {said}");
        assert!(said.contains(kind), "{headers}: {said}");
        let refused = service.wait_for("cookies.refused").await;
        assert_eq!(refused["status"], status, "{refused}");
    }
}

#[tokio::test]
async fn case_35_nginx_takes_nothing_away_that_a_browser_names_in_connection() {
    let site = crate::beside::nginx::start(CONFIG, crate::beside::nginx::PAGES).await;
    let naming =
        "Connection: x-amzn-oidc-data, x-amzn-oidc-accesstoken, x-forwarded-for, origin\r\n";
    for (headers, status) in [("", 200), ("Origin: https://evil.net\r\n", 403)] {
        let headers = format!("{}{naming}{headers}", site.identity(person("Ada")));
        let answer = site.ask("POST", "/session/cookies", &headers).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let forged = format!("{naming}x-amzn-oidc-data: a.b.c\r\n");
    let answer = site.ask("POST", "/session/cookies", &forged).await;
    assert!(answer.status == 401 && answer.body.contains("credential-refused"), "{answer:?}");
}

/// The control of this file: the same requests, spelled as they should be.
#[tokio::test]
async fn the_usual_spelling_is_served() {
    let app = unlimited(CONFIG);
    let answer = ada(&app, Method::POST, "/session/cookies", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (200, 4));
    let request = bare(Method::GET, "/session").body(Body::empty()).unwrap();
    assert_eq!(app.send(request).await.status, 401);
}
