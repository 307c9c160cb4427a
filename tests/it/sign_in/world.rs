//! A provider, a service that signs people in at it, and a browser between them.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use cookie_store::CookieStore;
use edgemint::authn::{Fetcher, HttpFetcher, Reach};
use edgemint::clock::{Clock as _, FixedClock, SystemClock};
use edgemint::config::Environment;
use edgemint::keystore::Folder;
use edgemint::server::{AppState, Snapshot};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::jar::Jar;
use crate::support::{Answer, ask, rsa_pem};
use crate::tools::Tool;

pub(crate) const VIEWER: &str = "http://viewer.edgemint.localhost:8080";
pub(crate) const HOST: &str = "viewer.edgemint.localhost:8080";
pub(crate) const KEY_ONE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
pub(crate) const KEY_TWO: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

/// The provider as a process of its own.
pub(crate) struct Idp {
    tool: Mutex<Tool>,
    pub(crate) issuer: String,
}

impl Idp {
    /// Starts one with a client for [`VIEWER`], and further options.
    pub(crate) fn start(options: &Value) -> Self {
        Self::for_viewer(VIEWER, options)
    }

    pub(crate) fn for_viewer(viewer: &str, options: &Value) -> Self {
        let mut tool = Tool::node("openid_provider.mjs");
        let mut wanted = json!({"clients": [{
            "client_id": "viewer",
            "client_secret": "a secret: with odd%20characters",
            "redirect_uris": [format!("{viewer}/session/callback/lab")],
            "post_logout_redirect_uris": [format!("{viewer}/")],
        }]});
        for (name, value) in options.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        let answers: Vec<Value> = tool.ask_all(&[json!({"start": wanted})]);
        let issuer = answers[0]["issuer"].as_str().unwrap().to_owned();
        Self { tool: Mutex::new(tool), issuer }
    }

    fn ask(&self, request: Value) -> Value {
        let answers: Vec<Value> = self.tool.lock().unwrap().ask_all(&[request]);
        answers[0].clone()
    }

    pub(crate) fn change(&self, options: &Value) {
        self.ask(json!({ "change": options }));
    }

    pub(crate) fn rotate_keys(&self) {
        self.ask(json!({"rotate_keys": {}}));
    }

    /// Which endpoint fails how from now on.
    pub(crate) fn fail(&self, failure: &Value) {
        self.ask(json!({ "fail": failure }));
    }

    /// How often an endpoint was asked since the last time.
    pub(crate) fn counts(&self) -> Value {
        self.ask(json!({"counts": {}}))
    }
}

/// A service and what it runs on.
pub(crate) struct World {
    pub(crate) idp: Idp,
    pub(crate) state: AppState,
    pub(crate) clock: Arc<FixedClock>,
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&json!({}), "", &format!("cookie_keys = [\"{KEY_ONE}\"]"))
    }

    /// With options of the provider, and further lines of its table and of `[identity.login]`.
    pub(crate) fn with(options: &Value, provider: &str, login: &str) -> Self {
        let idp = Idp::start(options);
        let folder = tempfile::tempdir().unwrap();
        Folder::new(folder.path().join("keys"))
            .import(&"K2TESTKEY".parse().unwrap(), &rsa_pem(), SystemClock.now())
            .unwrap();
        let text = config(&idp.issuer, provider, login);
        std::fs::write(folder.path().join("edgemint.toml"), text).unwrap();
        // The provider has the machine's time.
        let clock = Arc::new(FixedClock::at(SystemClock.now()));
        let state = start(&folder, &clock);
        Self { idp, state, clock, folder }
    }

    /// Another replica, with a login table of its own.
    pub(crate) fn replica(&self, login: &str) -> AppState {
        self.write(&config(&self.idp.issuer, "", login));
        start(&self.folder, &self.clock)
    }

    /// A replica on whatever configuration there is now.
    pub(crate) fn reload(&self) -> AppState {
        start(&self.folder, &self.clock)
    }

    pub(crate) fn write(&self, config: &str) {
        std::fs::write(self.folder.path().join("edgemint.toml"), config).unwrap();
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser {
            state: self.state.clone(),
            clock: self.clock.clone(),
            jar: Jar::default(),
            provider_jar: CookieStore::default(),
        }
    }
}

pub(crate) fn config(issuer: &str, provider: &str, login: &str) -> String {
    format!(
        r#"
public_url = "{VIEWER}"
[[identity.provider]]
name = "lab"
title = "The lab's accounts"
issuer = "{issuer}"
client = "viewer"
client_secret = "a secret: with odd%20characters"
groups = {{ claim = "groups" }}
{provider}
[identity.login]
{login}
[[distribution]]
host = "http://data.edgemint.localhost:8080"
[[rule]]
name = "lab-a"
allow = {{ groups = ["lab-a"], issuers = ["any"] }}
resources = ["http://data.edgemint.localhost:8080/lab-a/*"]
[[rule]]
name = "lab-b"
allow = {{ email_domains = ["lab-b.example"], issuers = ["any"] }}
resources = ["http://data.edgemint.localhost:8080/lab-b/*"]
[keys]
source = "dir:keys"
"#
    )
}

fn start(folder: &TempDir, clock: &Arc<FixedClock>) -> AppState {
    let file = folder.path().join("edgemint.toml");
    let snapshot = Snapshot::load(&file, &Environment::default()).unwrap_or_else(|e| panic!("{e}"));
    let fetcher: Arc<dyn Fetcher> = Arc::new(HttpFetcher::new(Reach::Laptop).unwrap());
    AppState::new(snapshot, clock.clone(), &fetcher)
}

/// A browser: what it holds of the viewer's host, and of the provider's.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) state: AppState,
    clock: Arc<FixedClock>,
    pub(crate) jar: Jar,
    provider_jar: CookieStore,
}

impl Browser {
    /// A navigation within the viewer's host.
    pub(crate) async fn open(&mut self, path: &str) -> Answer {
        self.navigate(Method::GET, path, "same-origin").await
    }

    /// A navigation, and what fetch metadata says of where it comes from.
    pub(crate) async fn navigate(&mut self, method: Method, path: &str, site: &str) -> Answer {
        let headers =
            [("sec-fetch-mode", "navigate"), ("sec-fetch-site", site), ("accept", "text/html")];
        self.send(method, path, &headers).await
    }

    /// What a script of the viewer's asks.
    pub(crate) async fn script(&mut self, method: Method, path: &str) -> Answer {
        let headers = [("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin")];
        self.send(method, path, &headers).await
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = self.request(method, path, headers);
        let response = ask(&self.state, request).await;
        self.receive(response).await
    }

    /// What goes out: for requests that are to be under way at once.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Request<Body> {
        let cookies = self.jar.header(&secure(), self.clock.now());
        let mut request = Request::builder().method(method).uri(path).header("host", HOST);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    pub(crate) async fn receive(&mut self, response: axum::response::Response) -> Answer {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        for line in answer.set_cookies() {
            self.jar.store(&secure(), &line, self.clock.now(), 0);
        }
        answer
    }

    /// Asks for cookies as the viewer does.
    pub(crate) async fn renew(&mut self) -> Answer {
        self.script(Method::POST, "/session/cookies").await
    }

    /// Begins a sign-in, and goes through the provider's pages as `login`. Returns the callback's path
    /// and query.
    pub(crate) async fn at_provider(&mut self, login: &str, return_to: &str) -> String {
        let path = format!("/session/login?return_to={return_to}");
        let begun = self.open(&path).await;
        assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text());
        let url = begun.header("location").to_owned();
        self.through_provider(&url, login).await
    }

    pub(crate) async fn through_provider(&mut self, url: &str, login: &str) -> String {
        let client = client();
        let mut url = Url::parse(url).unwrap();
        for _ in 0..8 {
            let at_login = url.path().starts_with("/interaction/");
            let method = if at_login { Method::POST } else { Method::GET };
            let mut request = client.request(method, url.clone());
            let held = self.provider_jar.get_request_values(&url);
            let held: Vec<String> = held.map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", held.join("; "));
            if at_login {
                request = request
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(format!("login={login}"));
            }
            let response = request.send().await.unwrap();
            for line in response.headers().get_all("set-cookie") {
                let _ = self.provider_jar.parse(line.to_str().unwrap(), &url);
            }
            let status = response.status();
            let location =
                response.headers().get("location").map(|l| l.to_str().unwrap().to_owned());
            let Some(location) = location else {
                panic!("{url} answered {status}: {}", response.text().await.unwrap())
            };
            if let Some(path) = location.strip_prefix(VIEWER) {
                return path.to_owned();
            }
            url = url.join(&location).unwrap();
        }
        panic!("the provider goes round in circles");
    }

    /// A page of the provider's.
    pub(crate) async fn provider_page(&mut self, url: &str) -> String {
        let url = Url::parse(url).unwrap();
        let held = self.provider_jar.get_request_values(&url);
        let held: Vec<String> = held.map(|(name, value)| format!("{name}={value}")).collect();
        let request = client().get(url).header("cookie", held.join("; "));
        request.send().await.unwrap().text().await.unwrap()
    }

    /// Comes back from the provider.
    pub(crate) async fn come_back(&mut self, path: &str) -> Answer {
        self.navigate(Method::GET, path, "cross-site").await
    }

    /// A whole sign-in.
    pub(crate) async fn sign_in(&mut self, login: &str) -> Answer {
        let path = self.at_provider(login, "/").await;
        let answer = self.come_back(&path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        answer
    }

    /// The names of the cookies that it holds of the viewer's host.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let alive = self.jar.alive(self.clock.now());
        alive.map(|cookie| cookie.name.clone()).filter(|name| name.starts_with(prefix)).collect()
    }
}

/// Browsers keep `Secure` cookies of names under localhost, which the jar's standard knows nothing of.
pub(crate) fn secure() -> Url {
    Url::parse(&VIEWER.replace("http:", "https:")).unwrap()
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// The value of a query's parameter.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(VIEWER).unwrap().join(url).unwrap();
    let mut pairs = url.query_pairs();
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A path and query with one parameter changed, or taken out.
pub(crate) fn with_parameter(path: &str, name: &str, value: Option<&str>) -> String {
    let mut url = Url::parse(VIEWER).unwrap().join(path).unwrap();
    let pairs: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    if let Some(value) = value {
        url.query_pairs_mut().append_pair(name, value);
    }
    url[url::Position::BeforePath..].to_owned()
}
