use axum::http::Method;
use edgemint::cookies::LEDGER_PREFIX;
use edgemint::policy::BaseUrl;
use edgemint::server::return_to;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::{Log, NAVIGATES, Service, ada, assert_opens_nothing, nobody, refused, statuses};
use crate::jar::Jar;
use crate::support::{Answer, App, CONFIG, NOW, bare, person};
use crate::tools::Tool;

const SITE: &str = "https://viewer.example.org";
const EVIL: &str = "https://evil.example.org/";

/// What leads elsewhere in some browser, server or parser: beginnings × separators × hosts, and each
/// with its first two characters encoded once more.
fn payloads() -> Vec<String> {
    const BEGINNINGS: &[&str] = &[
        "",
        "https:",
        "http:",
        "HTTPS:",
        "hTTps:",
        "javascript:",
        "data:text/html,",
        "vbscript:",
        "file:",
        "ws:",
        "blob:https:",
        "/https:",
        "//https:",
        "\u{1}https:",
        "\thttps:",
        " https:",
        "ht\ntps:",
        "https\t:",
        "/x/..",
        "/.",
        "/%2e",
        "https://viewer.example.org",
        "https://viewer.example.org/..",
        "?",
        "#",
        ".",
        "/",
    ];
    const SEPARATORS: &[&str] = &[
        "//",
        "/",
        "\\\\",
        "\\",
        "/\\",
        "\\/",
        "///",
        "////",
        "/\t/",
        "/\n/",
        "/\r\n/",
        "/ /",
        "/./",
        "/../",
        "/.//",
        "/..//",
        "//./",
        "//../",
        "/%2f",
        "/%5c",
        "%2f%2f",
        "%5c%5c",
        "%09//",
        "/%09/",
        "/%0a/",
        "//%09/",
        ";//",
        ":/",
        "://",
        "@",
        "//@",
        ".",
        "/\u{a0}/",
        "/\u{2028}/",
        "/\u{ff0f}",
        "\u{2215}\u{2215}",
        "/;@",
        "/\0/",
        "",
    ];
    const HOSTS: &[&str] = &[
        "evil.net",
        "viewer.example.org@evil.net",
        "viewer.example.org.evil.net",
        "evil.net#viewer.example.org",
        "evil.net?viewer.example.org",
        "evil.net\\@viewer.example.org",
        "evil.net%23@viewer.example.org",
        "viewer.example.org%40evil.net",
        "viewer.example.org:444",
        "evil\u{3002}net",
        "\u{24d4}vil.net",
        "xn--vil-5qa.net",
        "[::1]",
        "[::ffff:6.6.6.6]",
        "0x7f.1",
        "2130706433",
        "169.254.169.254",
        "evil.net:80",
        "%65vil.net",
        "evil.net%00.viewer.example.org",
        "alert(1)",
        "session/login",
    ];
    let mut all = Vec::new();
    for beginning in BEGINNINGS {
        for separator in SEPARATORS {
            for host in HOSTS {
                let plain = format!("{beginning}{separator}{host}");
                let mut rest = plain.chars();
                let encoded: String = rest
                    .by_ref()
                    .take(2)
                    .map(|c| format!("%{:02x}", u32::from(c) & 0xff))
                    .collect();
                all.push(format!("{encoded}{}", rest.as_str()));
                all.push(plain);
            }
        }
    }
    all
}

/// Where a browser goes.
#[derive(Deserialize)]
struct Resolved {
    ok: bool,
    origin: Option<String>,
    href: Option<String>,
}

fn resolved(locations: &[String]) -> Vec<Resolved> {
    let page = format!("{SITE}/session/login?return_to=x");
    let requests: Vec<_> =
        locations.iter().map(|location| json!({"page": page, "location": location})).collect();
    Tool::node("whatwg_url.mjs").ask_all(&requests)
}

/// The judge is Node.js, which resolves as browsers do.
#[test]
fn case_36_a_return_to_leads_nowhere_else_for_a_browser() {
    let site = BaseUrl::parse(SITE).unwrap();
    let (payloads, mut elsewhere, mut accepted) = (payloads(), 0, 0);
    for (payload, typed) in payloads.iter().zip(resolved(&payloads)) {
        let parsed = return_to::parse(payload, &site);
        if typed.ok && typed.origin.as_deref() != Some(SITE) {
            elsewhere += 1;
            assert!(parsed.is_err(), "{payload:?} leads to {:?}", typed.href);
        }
        accepted += usize::from(parsed.is_ok());
    }
    let locations: Vec<String> =
        payloads.iter().filter_map(|payload| return_to::parse(payload, &site).ok()).collect();
    for (location, landed) in locations.iter().zip(resolved(&locations)) {
        assert_eq!(landed.origin.as_deref(), Some(SITE), "{location}");
        assert_eq!(landed.href, Some(format!("{SITE}{location}")));
        assert!(!location.starts_with("//") && !location.contains('\\'), "{location}");
    }
    // Else the test would show nothing.
    assert!(elsewhere > 5_000 && accepted > 500, "{elsewhere} lead elsewhere, {accepted} pass");
}

/// The same through every door that has a `return_to`, with a sample of the payloads.
#[tokio::test]
async fn case_36_no_door_sends_a_browser_elsewhere() {
    let (app, log) = (App::new(), Log::start());
    let site = BaseUrl::parse(SITE).unwrap();
    for payload in payloads().iter().step_by(97) {
        let query: String = byte_serialize(payload.as_bytes()).collect();
        for (method, door) in
            [(Method::GET, "cookies"), (Method::GET, "login"), (Method::POST, "logout")]
        {
            let path = format!("/session/{door}?return_to={query}");
            let answer = ada(&app, method, &path, &[NAVIGATES]).await;
            match return_to::parse(payload, &site) {
                Ok(location) => {
                    assert_eq!(answer.header("location"), location, "{door} {payload:?}")
                }
                Err(_) => {
                    assert_eq!(answer.status, 400, "{door} {payload:?}");
                    assert_eq!(answer.header("location"), "");
                    assert_opens_nothing(&answer, payload);
                }
            }
        }
    }
    let (path, evil) = ("/session/login?return_to=//evil.net", "evil.net");
    let token = app.claims_token(person("Ada"));
    let request = bare(Method::GET, path).header("x-amzn-oidc-data", &token);
    let request = request.body(axum::body::Body::empty()).unwrap();
    refused(&app, &log, "//evil.net", request, 400, &[&token]).await;
    // Twice is no choice.
    let twice = "/session/login?return_to=/a&return_to=//evil.net";
    let answer = ada(&app, Method::GET, twice, &[NAVIGATES]).await;
    assert!(answer.status == 400 && !answer.text().contains(evil), "{}", answer.text());
}

#[tokio::test]
async fn case_37_another_site_makes_a_browser_do_nothing_but_take_its_own_cookies() {
    let (app, log) = (App::new(), Log::start());
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
    let (app, log) = (App::new(), Log::start());
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

#[tokio::test]
async fn case_39_no_cache_keeps_what_is_one_persons() {
    let app = App::new();
    let private = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let answer = ada(&app, method, path, headers).await;
        assert_eq!(answer.header("cache-control"), "no-store, private", "{path}");
        answer
    };
    private(Method::GET, "/session", &[]).await;
    private(Method::GET, "/session", &[("accept", "text/html")]).await;
    private(Method::GET, "/session/cookies", &[]).await;
    private(Method::POST, "/session/cookies", &[]).await;
    private(Method::DELETE, "/session/cookies", &[]).await;
    private(Method::GET, "/session/login", &[NAVIGATES]).await;
    private(Method::POST, "/session/logout", &[NAVIGATES]).await;
    let page = private(Method::GET, "/", &[NAVIGATES]).await;
    assert_eq!(page.set_cookies().len(), 4);
    // What a cache takes for a file is no answer about a person.
    for path in [
        "/session.css",
        "/session/x.css",
        "/session/cookies.css",
        "/session/cookies/x.css",
        "/session/cookies/.js",
        "/session;.css",
        "/session/cookies;x.css",
        "/session/cookies%2fx.css",
        "/session/cookies%3f.css",
        "/session/cookies%23.css",
        "/session/cookies%00.css",
        "/session/cookies%0a.css",
        "/session/login/x.png",
    ] {
        for headers in [&[][..], &[NAVIGATES]] {
            let answer = ada(&app, Method::GET, path, headers).await;
            assert_eq!(answer.status, 404, "{path}");
            assert_opens_nothing(&answer, path);
            assert!(!answer.text().contains(person("Ada").id), "{path}");
        }
    }
    // A page of the viewer's under a name like a file's is one person's too, or no page.
    for path in ["/x.css", "/view/x.js", "/view%2fx.css"] {
        let answer = ada(&app, Method::GET, path, &[NAVIGATES]).await;
        let kept = answer.header("cache-control") != "no-store, private";
        assert!(!kept || answer.set_cookies().is_empty(), "{path}: {answer:?}");
    }
    let script = ada(&app, Method::GET, "/main.js", &[]).await;
    assert!(script.status == 200 && script.set_cookies().is_empty());
}

/// Takes an answer's cookies into a jar.
fn keep(jar: &mut Jar, from: &str, lines: &[String], answer: usize) {
    let url = Url::parse(from).unwrap();
    for line in lines {
        jar.store(&url, line, NOW, answer);
    }
}

/// The CloudFront cookies that a browser sends for a URL: how often each, and whose.
fn sent(jar: &Jar, url: &str) -> Vec<(String, String)> {
    let cookies = jar.reaching(&Url::parse(url).unwrap(), NOW);
    let ours = cookies.iter().filter(|cookie| cookie.name.starts_with("CloudFront-"));
    ours.map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
}

#[tokio::test]
async fn case_40_a_sibling_host_that_sets_cookies_gains_and_takes_nothing() {
    let app = App::new();
    let mut jar = Jar::default();
    let tossed = [
        "CloudFront-Policy=evil; Domain=example.org; Path=/lab-a/; Secure".to_owned(),
        "CloudFront-Signature=evil; Domain=example.org; Path=/lab-a/; Secure".to_owned(),
        format!(
            "{LEDGER_PREFIX}01234567=1|9|0|0|example.org|/lab-a/; Domain=example.org; Path=/; Secure"
        ),
    ];
    keep(&mut jar, EVIL, &tossed, 1);
    let reaching = jar.header(&Url::parse(SITE).unwrap(), NOW);
    assert!(!reaching.contains(LEDGER_PREFIX), "__Host- is nobody's but the host's: {reaching}");
    let answer = ada(&app, Method::POST, "/session/cookies", &[("cookie", &reaching)]).await;
    keep(&mut jar, &format!("{SITE}/session/cookies"), &answer.set_cookies(), 2);
    let cookies = sent(&jar, "https://data.example.org/lab-a/x");
    assert_eq!(cookies.len(), 3, "one set, ours: {cookies:?}");
    assert!(cookies.iter().all(|(_, value)| value != "evil"), "{cookies:?}");

    // Whatever stands among the cookies, once or twice, a person is given the same and no more.
    let mut given = answer.set_cookies();
    let entry = given.pop().unwrap();
    let pair = entry.split(';').next().unwrap();
    for cookie in [
        format!("{pair}; {pair}"),
        format!("{pair}; {LEDGER_PREFIX}01234567=x"),
        format!("{LEDGER_PREFIX}01234567={}", "|".repeat(3000)),
        "CloudFront-Policy=a; CloudFront-Policy=b; CloudFront-Signature=c".to_owned(),
        "=; ;; a; =x; __Host-edgemint-set-=".to_owned(),
        format!("{LEDGER_PREFIX}01234567=1|9999999999|0000000000000000|00000000|evil.net|/"),
        format!("{LEDGER_PREFIX}01234567=1|9999999999|0000000000000000|00000000|org|/"),
    ] {
        let answer = ada(&app, Method::POST, "/session/cookies", &[("cookie", &cookie)]).await;
        assert_eq!(answer.status, 200, "{cookie}");
        let kept: Vec<String> =
            answer.set_cookies().into_iter().filter(|line| !line.ends_with("Max-Age=0")).collect();
        assert_eq!(kept[..3], given[..3], "{cookie}");
        for line in answer.set_cookies() {
            let domain = line.split("Domain=").nth(1).map(|rest| rest.split(';').next().unwrap());
            assert!([None, Some("example.org")].contains(&domain), "{line}");
        }
    }
}

#[tokio::test]
async fn case_41_an_answers_cookies_stay_below_every_buffer_on_their_way() {
    let resources: Vec<_> = (0..60)
        .map(|n| {
            format!("\"https://data.example.org/a-prefix-of-forty-characters-or-so-{n:02}/*\"")
        })
        .collect();
    let many = resources.join(", ");
    let app = App::with(&CONFIG.replace("\"https://data.example.org/lab-a/*\"", &many));
    let size =
        |answer: &Answer| answer.set_cookies().iter().map(|line| line.len() + 14).sum::<usize>();
    let first = ada(&app, Method::POST, "/session/cookies", &[]).await;
    assert_eq!(first.json()["on_demand"].as_array().unwrap().len(), 57);
    // nginx has room for 4 KB of headers, unless it is told otherwise.
    assert!(size(&first) < 4096, "{}", size(&first));
    // A browser that lists as many sets as are read, all to be taken away; a load balancer passes 32 KB.
    let scope = |number: usize| edgemint::cookies::CookieScope {
        domain: Some("example.org".to_owned()),
        path: edgemint::access::PathPrefix::parse(&format!("/{}-{number}/", "x".repeat(60)))
            .unwrap(),
    };
    let pairs: Vec<String> = (0..200)
        .map(|number| {
            let (scope, digits) = (scope(number), "0".repeat(16));
            let name = edgemint::cookies::ledger_cookie_name(&scope);
            format!("{name}=1|1767294000|{digits}|00000000|example.org|{}", scope.path)
        })
        .collect();
    let crowded =
        ada(&app, Method::POST, "/session/cookies", &[("cookie", &pairs.join("; "))]).await;
    assert_eq!(crowded.status, 200);
    assert!(crowded.set_cookies().len() > 90, "{}", crowded.set_cookies().len());
    assert!(size(&crowded) < 32 * 1024, "{}", size(&crowded));
}

#[tokio::test]
async fn case_42_what_was_there_before_a_sign_in_or_a_sign_out_is_there_no_more() {
    let app = App::new();
    let mut jar = Jar::default();
    let data = |lab: &str| format!("https://data.example.org/{lab}/x");
    // A stranger leaves a session of their own, and the person signs in over it.
    let planted = app.of(person("Ben"), Method::POST, "/session/cookies").await;
    keep(&mut jar, SITE, &planted.set_cookies(), 1);
    assert_eq!(sent(&jar, &data("lab-b")).len(), 3);
    let cookies = jar.header(&Url::parse(SITE).unwrap(), NOW);
    let signed_in =
        ada(&app, Method::GET, "/session/login", &[NAVIGATES, ("cookie", &cookies)]).await;
    keep(&mut jar, SITE, &signed_in.set_cookies(), 2);
    assert_eq!((sent(&jar, &data("lab-a")).len(), sent(&jar, &data("lab-b")).len()), (3, 0));
    // Another site cannot sign the person out.
    let cookies = jar.header(&Url::parse(SITE).unwrap(), NOW);
    for header in
        [("origin", "https://evil.net"), ("sec-fetch-site", "cross-site"), ("origin", "null")]
    {
        let answer =
            ada(&app, Method::POST, "/session/logout", &[header, ("cookie", &cookies)]).await;
        assert!(answer.status == 403 && answer.set_cookies().is_empty(), "{header:?}");
    }
    let answer = ada(&app, Method::GET, "/session/logout", &[("cookie", &cookies)]).await;
    assert!(answer.status == 405 && answer.set_cookies().is_empty());
    // They sign out themselves, and the browser holds nothing that reads, and no session of the load balancer.
    let own = format!("{cookies}; AWSELBAuthSessionCookie-0=x");
    let out =
        ada(&app, Method::POST, "/session/logout", &[("origin", SITE), ("cookie", &own)]).await;
    keep(&mut jar, SITE, &out.set_cookies(), 3);
    assert_eq!(sent(&jar, &data("lab-a")), []);
    assert_eq!(jar.header(&Url::parse(SITE).unwrap(), NOW), "");
    let shards =
        out.set_cookies().into_iter().filter(|line| line.starts_with("AWSELBAuthSessionCookie-"));
    assert!(shards.count() >= 4);
    let after = nobody(&app, Method::POST, "/session/cookies", &[]).await;
    assert_eq!(after.status, 401, "what is left is nobody");
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
    let app = App::with(&own);
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
    let app = App::new();
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
    let app = App::new();
    for (path, status) in [
        ("/session", 200),
        ("/session/nothing", 404),
        ("/session/logout", 405),
        ("/session/cookies?x=1", 400),
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
