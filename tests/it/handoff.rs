use axum::body::Body;
use axum::http::{Method, Request};
use edgemint::clock::Clock as _;
use edgemint::demo::people::Person;
use edgemint::signing::verify::{EdgeRequest, TrustedKeys, verify};
use serde_json::Value;
use url::Url;

use crate::attacks::Log;
use crate::jar::Jar;
use crate::support::{Answer, App, CONFIG, person};

pub(crate) const SITE: &str = "https://viewer.example.org";
pub(crate) const DATA_B: &str = "https://data-b.example.org";
pub(crate) const DATA_C: &str = "https://data-c.example.org";

/// Two more data hosts with the same paths, which both take handoffs.
pub(crate) const MORE: &str = r#"
[handoff]
keys = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]

[[distribution]]
host = "data-b.example.org"
handoff = true

[[distribution]]
host = "data-c.example.org"
handoff = true

[[rule]]
name = "scans-b"
allow = { groups = ["lab-a"], issuers = ["any"] }
resources = ["https://data-b.example.org/scans/*"]
lifetime = "15m"

[[rule]]
name = "scans-c"
allow = { groups = ["lab-a", "lab-b"], issuers = ["any"] }
resources = ["https://data-c.example.org/scans/*"]
"#;

pub(crate) fn config() -> String {
    format!("{CONFIG}{MORE}")
}

/// A browser with pages of the viewer, and perhaps somebody who is signed in there.
pub(crate) struct Browser<'a> {
    app: &'a App,
    pub(crate) jar: Jar,
    pub(crate) person: Option<&'static Person>,
    pub(crate) address: &'static str,
    answers: usize,
}

impl<'a> Browser<'a> {
    pub(crate) fn of(app: &'a App, name: &str) -> Self {
        let person = Some(person(name));
        Self { app, jar: Jar::default(), person, address: "192.0.2.7", answers: 0 }
    }

    /// Sends what a browser would: its cookies for the URL, and nobody's identity but at the viewer's host.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let url = Url::parse(url).unwrap();
        let (host, now) = (url.host_str().unwrap(), self.app.clock.now());
        let target =
            url.path().to_owned() + &url.query().map_or_else(String::new, |q| format!("?{q}"));
        let mut request = Request::builder().method(method).uri(target).header("host", host);
        let cookies = self.jar.header(&url, now);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        if host == "viewer.example.org" {
            request = request.header("x-forwarded-for", self.address);
            if let Some(person) = self.person {
                request = request
                    .header("x-amzn-oidc-data", self.app.claims_token(person))
                    .header("x-amzn-oidc-accesstoken", self.app.access_token(person));
            }
        } else {
            // CloudFront names the browser, the load balancer CloudFront.
            let way = format!("6.6.6.6, {}, 198.51.100.1", self.address);
            request = request.header("x-forwarded-for", way);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.app.send(request.body(Body::from(body.to_owned())).unwrap()).await;
        self.answers += 1;
        for line in answer.set_cookies() {
            self.jar.store(&url, &line, now, self.answers);
        }
        answer
    }

    /// A script of the viewer's page asks.
    pub(crate) async fn fetch(&mut self, method: Method, url: &str, body: &str) -> Answer {
        let site = if url.starts_with(SITE) { "same-origin" } else { "same-site" };
        let headers = [("origin", SITE), ("sec-fetch-site", site), ("sec-fetch-mode", "cors")];
        self.ask(method, url, &headers, body).await
    }

    pub(crate) async fn renew(&mut self) -> Answer {
        self.fetch(Method::POST, &format!("{SITE}/session/cookies"), "").await
    }

    /// Takes every token of an answer to its host.
    pub(crate) async fn hand_over(&mut self, answer: &Answer) -> Vec<Answer> {
        let mut answers = Vec::new();
        for (url, token) in handoffs(answer) {
            answers.push(self.fetch(Method::POST, &url, &token).await);
        }
        answers
    }

    /// Renews everywhere.
    pub(crate) async fn settle(&mut self) -> Vec<Answer> {
        let answer = self.renew().await;
        self.hand_over(&answer).await
    }

    /// Whether the edge answers.
    pub(crate) fn reads(&self, url: &str) -> bool {
        let now = self.app.clock.now();
        let cookies = self.jar.header(&Url::parse(url).unwrap(), now);
        let source = Some(self.address.parse().unwrap());
        let snapshot = self.app.state.snapshot();
        let key = snapshot.ring.as_ref().unwrap().active.key.public().clone();
        let request = EdgeRequest { url, cookies: &cookies, source, now };
        verify(&request, &TrustedKeys::AnyId(Box::new(key))).is_ok()
    }
}

/// Where tokens go, and the tokens.
pub(crate) fn handoffs(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let said = answer.json();
    let list = said["handoffs"].as_array().cloned().unwrap_or_default();
    list.iter().map(|one| (text(&one["url"]), text(&one["token"]))).collect()
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status.as_u16()).collect()
}

#[tokio::test]
async fn every_host_sets_its_own_cookies_and_one_person_reads_them_all_at_once() {
    let (app, log) = (App::with(&config()), Log::start());
    let mut ada = Browser::of(&app, "Ada");
    let answer = ada.renew().await;
    // The sets of hosts that share the viewer's domain, and the mark.
    assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (200, 5), "{answer:?}");
    let shown = answer.json();
    assert_eq!(shown["resources"], serde_json::json!(["https://data.example.org/lab-a/*"]));
    assert_eq!(shown["expires_in"], 900, "a page comes back before the first of all ends");
    let [(b, token), (c, _)] = &handoffs(&answer)[..] else { panic!("{shown}") };
    assert_eq!(
        (b.as_str(), c.as_str()),
        (
            "https://data-b.example.org/session/handoff",
            "https://data-c.example.org/session/handoff"
        )
    );
    assert!(token.len() < 1000, "{} characters", token.len());
    assert!(!ada.reads(&format!("{DATA_B}/scans/x")));
    log.take();
    let answers = ada.hand_over(&answer).await;
    assert_eq!(statuses(&answers), [200, 200]);
    let there = answers[0].json();
    assert_eq!(there["resources"], serde_json::json!(["https://data-b.example.org/scans/*"]));
    assert_eq!(there["expires_in"], 900);
    for answer in &answers {
        assert_eq!(answer.header("access-control-allow-origin"), SITE);
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert_eq!(answer.header("cache-control"), "no-store, private");
        assert!(answer.headers.get_all("vary").iter().any(|by| by == "Origin"));
        assert!(answer.set_cookies().iter().all(|line| !line.contains("Domain")), "{answer:?}");
    }
    for url in ["https://data.example.org/lab-a/x", "https://data-b.example.org/scans/x"] {
        assert!(ada.reads(url), "{url}");
    }
    assert!(ada.reads(&format!("{DATA_C}/scans/x")) && !ada.reads(&format!("{DATA_B}/other/x")));
    let lines = log.take();
    for part in [
        "event=\"cookies.issued\"",
        "host=\"data-b.example.org\"",
        "handoff=\"https://viewer.example.org\"",
        "address=192.0.2.7",
        "until=2026-01-01T18:15:00Z",
    ] {
        assert!(lines.contains(part), "{part} in {lines}");
    }
}

#[tokio::test]
async fn who_has_nothing_at_a_host_any_more_keeps_nothing_there() {
    let app = App::with(&config());
    let mut browser = Browser::of(&app, "Ada");
    browser.settle().await;
    assert!(browser.reads(&format!("{DATA_B}/scans/x")));
    // Ben signs in after Ada; data-b is not open to him.
    browser.person = Some(person("Ben"));
    let answers = browser.settle().await;
    assert_eq!(statuses(&answers), [200, 200]);
    assert_eq!(answers[0].json()["resources"], serde_json::json!([]));
    assert!(!browser.reads(&format!("{DATA_B}/scans/x")));
    assert!(browser.reads(&format!("{DATA_C}/scans/x")));
    // Noor signs in after Ben; nothing is open to her anywhere.
    browser.person = Some(person("Noor"));
    let refused = browser.renew().await;
    assert_eq!((refused.status.as_u16(), handoffs(&refused).len()), (403, 2));
    assert_eq!(statuses(&browser.hand_over(&refused).await), [200, 200]);
    assert!(!browser.reads(&format!("{DATA_C}/scans/x")));
    assert!(!browser.reads("https://data.example.org/lab-b/x"));
}

#[tokio::test]
async fn a_wanted_url_is_wanted_at_its_host_alone() {
    let app = App::with(&format!(
        "{}\n[limits]\nsets_per_answer = 1\n",
        config().replace(
            "\"https://data-b.example.org/scans/*\"",
            "\"https://data-b.example.org/scans/*\", \"https://data-b.example.org/more/*\""
        )
    ));
    let mut ada = Browser::of(&app, "Ada");
    let answers = ada.settle().await;
    let said = answers[0].json();
    assert_eq!(
        (said["resources"].as_array().unwrap().len(), &said["on_demand"][0]),
        (1, &serde_json::json!("https://data-b.example.org/scans/*"))
    );
    let wanted = format!("{DATA_B}/scans/x");
    let path = format!("{SITE}/session/cookies?for={wanted}");
    let answer = ada.fetch(Method::POST, &path, "").await;
    let all = handoffs(&answer);
    assert_eq!((all.len(), all[0].0.starts_with(DATA_B)), (1, true));
    assert!(answer.set_cookies().iter().all(|line| !line.starts_with("CloudFront-Policy")));
    let answers = ada.hand_over(&answer).await;
    assert_eq!(answers[0].json()["resources"], serde_json::json!([format!("{DATA_B}/scans/*")]));
    assert!(ada.reads(&wanted) && ada.reads(&format!("{DATA_B}/more/x")));
    // What is at the viewer's own data host needs no handoff, and what is nowhere has none.
    let path = format!("{SITE}/session/cookies?for=https://data.example.org/lab-a/x");
    assert!(handoffs(&ada.fetch(Method::POST, &path, "").await).is_empty());
    let path = format!("{SITE}/session/cookies?for={DATA_B}/other/x");
    assert_eq!(ada.fetch(Method::POST, &path, "").await.status, 403);
}

#[tokio::test]
async fn the_rules_are_decided_anew_for_the_address_there() {
    let bound = config().replace(
        "lifetime = \"15m\"\n\n[[rule]]\nname = \"scans-c\"",
        "bind_ip = true\n\n[[rule]]\nname = \"scans-c\"",
    );
    let app = App::with(&bound);
    let mut ada = Browser::of(&app, "Ada");
    let answer = ada.renew().await;
    // The way to CloudFront is another one than that to the load balancer.
    ada.address = "192.0.2.99";
    let answers = ada.hand_over(&answer).await;
    assert_eq!(statuses(&answers), [200, 200]);
    assert!(ada.reads(&format!("{DATA_B}/scans/x")));
    ada.address = "192.0.2.7";
    assert!(!ada.reads(&format!("{DATA_B}/scans/x")));
}

#[tokio::test]
async fn signing_out_clears_every_host_with_a_script_and_without() {
    let app = App::with(&config());
    let mut ada = Browser::of(&app, "Ada");
    for by_script in [true, false] {
        ada.settle().await;
        assert!(ada.reads(&format!("{DATA_B}/scans/x")));
        if by_script {
            let answer = ada.fetch(Method::POST, &format!("{SITE}/session/logout"), "").await;
            assert_eq!(statuses(&ada.hand_over(&answer).await), [200, 200]);
        } else {
            let headers = [
                ("origin", SITE),
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "navigate"),
            ];
            let path = format!("{SITE}/session/logout?return_to=/bye");
            let page = ada.ask(Method::POST, &path, &headers, "").await;
            assert_eq!(page.status, 200);
            let policy = page.header("content-security-policy").to_owned();
            assert!(
                policy.contains(
                    "img-src https://data-b.example.org/session/handoff/clear \
                 https://data-c.example.org/session/handoff/clear; "
                ),
                "{policy}"
            );
            assert!(page.text().contains("content=\"0; url=/bye\""));
            for image in images(&page.text()) {
                let headers = [
                    ("sec-fetch-site", "same-site"),
                    ("sec-fetch-mode", "no-cors"),
                    ("sec-fetch-dest", "image"),
                ];
                let answer = ada.ask(Method::GET, &image, &headers, "").await;
                assert_eq!(answer.status, 204, "{image}");
                assert_eq!(answer.header("cross-origin-resource-policy"), "same-site");
            }
        }
        for url in ["https://data.example.org/lab-a/x", "https://data-b.example.org/scans/x"] {
            assert!(!ada.reads(url), "{url}");
        }
        assert!(!ada.reads(&format!("{DATA_C}/scans/x")));
    }
}

fn images(page: &str) -> Vec<String> {
    let parts = page.split("<img src=\"").skip(1);
    parts.map(|part| part.split('"').next().unwrap().replace("&amp;", "&")).collect()
}

#[tokio::test]
async fn clearing_by_a_script_hands_over_too() {
    let app = App::with(&config());
    let mut ada = Browser::of(&app, "Ada");
    ada.settle().await;
    let answer = ada.fetch(Method::DELETE, &format!("{SITE}/session/cookies"), "").await;
    assert_eq!(statuses(&ada.hand_over(&answer).await), [200, 200]);
    assert!(!ada.reads(&format!("{DATA_B}/scans/x")));
}

#[tokio::test]
async fn a_site_without_such_hosts_says_nothing_of_handoffs() {
    let app = App::new();
    let mut ada = Browser::of(&app, "Ada");
    assert!(ada.renew().await.json().get("handoffs").is_none());
    let answer = ada.fetch(Method::DELETE, &format!("{SITE}/session/cookies"), "").await;
    assert_eq!(answer.status, 204);
    let answer = ada.fetch(Method::POST, &format!("{SITE}/session/handoff"), "x").await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn nothing_but_handoffs_is_answered_at_a_data_host() {
    let app = App::with(&config());
    let mut ada = Browser::of(&app, "Ada");
    for path in [
        "/",
        "/main.js",
        "/session",
        "/session/",
        "/session/cookies",
        "/session/login",
        "/session/logout",
        "/session/verify/nginx",
        "/session/handoff/",
        "/session/handoff/clear/",
        "/session/callback/lab",
        "/scans/x",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = ada.fetch(method, &format!("{DATA_B}{path}"), "").await;
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.set_cookies().is_empty(), "{path}");
            assert!(answer.text().contains("urn:edgemint:problem:data-host"), "{}", answer.text());
        }
    }
    for (method, path) in [(Method::GET, ""), (Method::PUT, ""), (Method::POST, "/clear")] {
        let answer = ada.fetch(method, &format!("{DATA_B}/session/handoff{path}"), "").await;
        assert_eq!(answer.status, 405, "{path}");
    }
    let answer = ada.fetch(Method::POST, "https://data.example.org/session/handoff", "").await;
    assert_eq!(answer.status, 421, "a data host that takes none is not served at all");
}

#[tokio::test]
async fn data_that_should_have_gone_to_the_bucket_is_no_page_of_the_viewer() {
    let one_host = CONFIG
        .replace("host = \"data.example.org\"", "host = \"viewer.example.org\"\npath = \"/data/\"")
        .replace("https://data.example.org/", "https://viewer.example.org/data/");
    let app = App::with(&one_host);
    let mut ada = Browser::of(&app, "Ada");
    for path in ["/data/lab-a/x", "/data/", "/data", "/data/index.html", "/data/lab-b/zarr.json"] {
        let headers = [("sec-fetch-mode", "navigate"), ("accept", "text/html")];
        for headers in [&headers[..], &[]] {
            let answer = ada.ask(Method::GET, &format!("{SITE}{path}"), headers, "").await;
            assert_eq!(answer.status, 421, "{path}");
            assert!(answer.set_cookies().is_empty());
            assert!(answer.text().contains("lacks a behavior for /data/*"), "{}", answer.text());
        }
    }
    // What only looks alike is the viewer's.
    let headers = [("sec-fetch-mode", "navigate"), ("accept", "text/html")];
    for path in ["/", "/database/x", "/Data/x"] {
        let answer = ada.ask(Method::GET, &format!("{SITE}{path}"), &headers, "").await;
        assert_eq!(answer.status, 200, "{path}");
    }
    // The cookies are for this host, and for its data alone.
    assert_eq!(ada.renew().await.status, 200);
    assert!(
        ada.reads(&format!("{SITE}/data/lab-a/x")) && !ada.reads(&format!("{SITE}/data/lab-b/x"))
    );
    let shell = ada.jar.header(&Url::parse(SITE).unwrap(), app.clock.now());
    assert!(!shell.contains("CloudFront-"), "{shell}");
}

#[tokio::test]
async fn siblings_the_viewers_own_host_and_handoffs_are_open_at_once() {
    let more = r#"
[[distribution]]
host = "more.example.org"

[[distribution]]
host = "viewer.example.org"
path = "/data/"

[[rule]]
name = "everywhere"
allow = { groups = ["lab-a"], issuers = ["any"] }
resources = [
    "https://more.example.org/a/*",
    "https://more.example.org/b/*",
    "https://viewer.example.org/data/lab-a/*",
    "https://data-b.example.org/a-b/*",
]
"#;
    let app = App::with(&format!("{}{more}", config()));
    let mut chen = Browser::of(&app, "Chen");
    let all = [
        "https://data.example.org/lab-a/x",
        "https://data.example.org/lab-b/x",
        "https://more.example.org/a/x",
        "https://more.example.org/b/x",
        "https://viewer.example.org/data/lab-a/x",
        "https://data-b.example.org/scans/x",
        "https://data-b.example.org/a-b/x",
        "https://data-c.example.org/scans/x",
    ];
    let answers = chen.settle().await;
    assert_eq!(statuses(&answers), [200, 200]);
    // What did not fit into the viewer's answer is there for the asking, and takes nothing away.
    for url in all {
        if !chen.reads(url) {
            let path = format!("{SITE}/session/cookies?for={url}");
            let answer = chen.fetch(Method::POST, &path, "").await;
            assert_eq!(answer.status, 200, "{url}");
            chen.hand_over(&answer).await;
        }
    }
    for url in all {
        assert!(chen.reads(url), "{url}");
        let cookies = chen.jar.header(&Url::parse(url).unwrap(), app.clock.now());
        assert_eq!(cookies.matches("CloudFront-Policy=").count(), 1, "{url}: {cookies}");
    }
    // A renewal for somebody with less takes the rest away, everywhere.
    chen.person = Some(person("Ben"));
    chen.settle().await;
    let left: Vec<_> = all.into_iter().filter(|url| chen.reads(url)).collect();
    assert_eq!(left, ["https://data.example.org/lab-b/x", "https://data-c.example.org/scans/x"]);
}

#[tokio::test]
async fn a_script_with_a_bearer_token_has_no_use_for_handoffs() {
    let bearer = format!(
        "{}\n[[identity.bearer]]\nissuer = \"{}\"\nclient = [\"{}\"]\n",
        config(),
        crate::support::ISSUER,
        crate::support::CLIENT
    );
    let app = App::with(&bearer);
    let token = app.access_token(person("Ada"));
    let request = crate::support::bare(Method::POST, "/session/cookies")
        .header("authorization", format!("Bearer {token}"))
        .header("x-forwarded-for", "192.0.2.7");
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    let said = answer.json();
    assert_eq!((answer.status.as_u16(), said["resources"].as_array().unwrap().len()), (200, 3));
    assert!(said.get("handoffs").is_none(), "{said}");
    let domains: Vec<&str> = said["cookies"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|cookie| cookie["domain"].as_str())
        .collect();
    assert!(domains.contains(&"data-b.example.org"), "{domains:?}");
}
