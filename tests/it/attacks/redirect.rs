use axum::http::Method;
use edgemint::policy::BaseUrl;
use edgemint::server::return_to;
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use super::{Log, NAVIGATES, SITE, ada, assert_opens_nothing, refused, unlimited};
use crate::support::{CONFIG, bare, person};
use crate::tools::Tool;

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

/// What leads elsewhere in some browser, server or parser: beginnings × separators × hosts, and each
/// with its first two characters encoded once more.
fn payloads() -> Vec<String> {
    let mut all = Vec::new();
    for beginning in BEGINNINGS {
        for separator in SEPARATORS {
            for host in HOSTS {
                let plain = format!("{beginning}{separator}{host}");
                let mut rest = plain.chars();
                let first: Vec<u32> = rest.by_ref().take(2).map(u32::from).collect();
                let encoded = match first[..] {
                    [first, second] => format!("%{:02x}%{:02x}", first & 0xff, second & 0xff),
                    _ => String::new(),
                };
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
    let (app, log) = (unlimited(CONFIG), Log::start());
    let site = BaseUrl::parse(SITE).unwrap();
    for payload in payloads().iter().step_by(97) {
        let query: String = byte_serialize(payload.as_bytes()).collect();
        for (method, door) in
            [(Method::GET, "cookies"), (Method::GET, "login"), (Method::POST, "logout")]
        {
            let path = format!("/session/{door}?return_to={query}");
            let answer = ada(&app, method, &path, &[NAVIGATES]).await;
            if let Ok(location) = return_to::parse(payload, &site) {
                assert_eq!(answer.header("location"), location, "{door} {payload:?}");
            } else {
                assert_eq!(answer.status, 400, "{door} {payload:?}");
                assert_eq!(answer.header("location"), "");
                assert_opens_nothing(&answer, payload);
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
