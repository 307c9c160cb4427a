//! The service as tests drive it: the real service and the real configuration, a clock that stands
//! still, and keys that need no network.

use std::collections::HashMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use edgemint::authn::{FetchError, Fetcher};
use edgemint::clock::{Clock, EpochSeconds, FixedClock, SystemClock};
use edgemint::config::Environment;
use edgemint::demo::people::{PEOPLE, Person};
use edgemint::demo::tokens::{AccessTokenFacts, AccessTokenSigner, ClaimsHeader, ClaimsSigner};
use edgemint::keystore::Folder;
use edgemint::server::{AppState, Peer, Service, Snapshot};
use edgemint::signing::{KeyKind, generate_pem};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

pub(crate) const NOW: EpochSeconds = EpochSeconds(1_767_290_400);
pub(crate) const ARN: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/viewer/0123456789abcdef";
pub(crate) const CLIENT: &str = "4n0tarealclientid";
pub(crate) const ISSUER: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE";
pub(crate) const HOST: &str = "viewer.example.org";

/// A site like the one in the README: two labs, one domain, one rule for a bundle.
pub(crate) const CONFIG: &str = r#"
public_url = "https://viewer.example.org"

[identity.alb]
region = "us-east-1"
signer = ["arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/viewer/0123456789abcdef"]
client = "4n0tarealclientid"
groups = { issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE", claim = "cognito:groups" }

[[distribution]]
host = "data.example.org"

[[rule]]
name = "lab-a"
allow = { groups = ["lab-a"], issuers = ["any"] }
resources = ["https://data.example.org/lab-a/*"]

[[rule]]
name = "lab-b"
allow = { groups = ["lab-b"], issuers = ["any"] }
resources = ["https://data.example.org/lab-b/*"]
lifetime = "15m"

[[rule]]
name = "atlas"
allow = { email_domains = ["atlas.example"], issuers = ["any"] }
resources = ["https://data.example.org/atlas/*"]

[keys]
source = "dir:keys"

[viewer]
root = "viewer"
"#;

/// A service on a configuration, and the signers that it trusts.
pub(crate) struct App {
    pub(crate) state: AppState,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) claims: ClaimsSigner,
    pub(crate) access: AccessTokenSigner,
    pub(crate) source: Arc<KeySource>,
    pub(crate) folder: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn set_cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all("set-cookie").iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl App {
    pub(crate) fn new() -> Self {
        Self::with(CONFIG)
    }

    /// Starts on a configuration, with a fresh key and a small bundle beside it.
    pub(crate) fn with(config: &str) -> Self {
        Self::prepared(config, |_| ())
    }

    /// The same, with more in the folder of the configuration.
    pub(crate) fn prepared(config: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Folder::new(folder.path().join("keys"))
            .import(&"K2TESTKEY".parse().unwrap(), &rsa_pem(), SystemClock.now())
            .unwrap();
        let viewer = folder.path().join("viewer");
        std::fs::create_dir(&viewer).unwrap();
        std::fs::write(viewer.join("index.html"), "<!doctype html><title>viewer</title>").unwrap();
        std::fs::write(viewer.join("main.js"), "console.log(1)").unwrap();
        std::fs::write(viewer.join("main.js.map"), "console.log(1)").unwrap();
        std::fs::write(folder.path().join("edgemint.toml"), config).unwrap();
        prepare(folder.path());

        let clock = Arc::new(FixedClock::at(NOW));
        let (claims, access) =
            (ClaimsSigner::generate().unwrap(), AccessTokenSigner::generate().unwrap());
        let source = Arc::new(KeySource::default());
        source.serve(
            &format!("https://public-keys.auth.elb.us-east-1.amazonaws.com/{}", claims.kid()),
            claims.public_key_pem(),
        );
        source.serve(&format!("{ISSUER}/.well-known/jwks.json"), &access.jwks_json());
        let snapshot = Self::load(&folder).unwrap();
        let fetcher: Arc<dyn Fetcher> = source.clone();
        let state = AppState::new(snapshot, clock.clone(), &fetcher);
        Self { state, clock, claims, access, source, folder }
    }

    pub(crate) fn load(folder: &TempDir) -> Result<Snapshot, edgemint::config::ConfigError> {
        Snapshot::load(&folder.path().join("edgemint.toml"), &Environment::default())
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = ask(&self.state, request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request without identity.
    pub(crate) async fn anonymous(&self, method: Method, path: &str) -> Answer {
        self.send(bare(method, path).body(Body::empty()).unwrap()).await
    }

    /// A request of somebody who is signed in at the load balancer.
    pub(crate) async fn of(&self, person: &Person, method: Method, path: &str) -> Answer {
        self.with_headers(person, method, path, &[]).await
    }

    pub(crate) async fn with_headers(
        &self,
        person: &Person,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = bare(method, path)
            .header("x-amzn-oidc-data", self.claims_token(person))
            .header("x-amzn-oidc-accesstoken", self.access_token(person))
            .header("x-forwarded-for", "192.0.2.7");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) fn claims_token(&self, person: &Person) -> String {
        let header = ClaimsHeader {
            signer: ARN,
            client: CLIENT,
            issuer: ISSUER,
            expires: self.clock.now().plus(120),
        };
        self.claims.mint(&header, &claims_of(person)).unwrap()
    }

    pub(crate) fn access_token(&self, person: &Person) -> String {
        let issued = self.clock.now();
        let facts = AccessTokenFacts {
            issuer: ISSUER,
            client: CLIENT,
            scope: "openid",
            issued,
            expires: issued.plus(3600),
        };
        self.access.mint(person, &facts).unwrap()
    }
}

pub(crate) fn bare(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header("host", HOST)
}

pub(crate) fn claims_of(person: &Person) -> Map<String, Value> {
    let claims = json!({
        "sub": person.id,
        "email": person.email,
        "email_verified": person.email_verified.to_string(),
    });
    claims.as_object().unwrap().clone()
}

pub(crate) fn person(name: &str) -> &'static Person {
    PEOPLE.iter().find(|person| person.name == name).unwrap()
}

/// One key for all tests: making one takes a while.
pub(crate) fn rsa_pem() -> String {
    static PEM: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PEM.get_or_init(|| generate_pem(KeyKind::Rsa).unwrap().to_string()).clone()
}

/// The key services of AWS, without the network.
#[derive(Debug, Default)]
pub(crate) struct KeySource {
    known: Mutex<HashMap<String, String>>,
    pub(crate) fetches: AtomicUsize,
    down: AtomicBool,
    /// What every fetch ends with instead of an answer.
    failure: Mutex<Option<FetchError>>,
    /// Every URL that was fetched.
    asked: Mutex<Vec<String>>,
    /// Held by a test while every fetch is to wait.
    pub(crate) gate: tokio::sync::Mutex<()>,
}

impl KeySource {
    pub(crate) fn serve(&self, url: &str, content: &str) {
        self.known.lock().unwrap().insert(url.to_owned(), content.to_owned());
    }

    /// Takes away what a URL serves.
    pub(crate) fn withdraw(&self, url: &str) {
        self.known.lock().unwrap().remove(url);
    }

    /// Lets every fetch fail so, or none.
    pub(crate) fn fail_with(&self, failure: Option<FetchError>) {
        *self.failure.lock().unwrap() = failure;
    }

    /// Every URL that was fetched so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }
}

impl Fetcher for KeySource {
    fn fetch<'a>(
        &'a self,
        url: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchError>> + Send + 'a>> {
        Box::pin(async move {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            self.asked.lock().unwrap().push(url.to_owned());
            drop(self.gate.lock().await);
            if let Some(failure) = self.failure.lock().unwrap().clone() {
                return Err(failure);
            }
            if self.down.load(Ordering::SeqCst) {
                return Err(FetchError::Unreachable("down".to_owned()));
            }
            let known = self.known.lock().unwrap();
            known.get(url).map(|text| text.clone().into_bytes()).ok_or(FetchError::NotFound(404))
        })
    }
}

/// What the service answers to somebody on this machine.
pub(crate) async fn ask(state: &AppState, request: Request<Body>) -> Response<Body> {
    Service::new(state.clone()).answer(request, Peer(Ipv4Addr::LOCALHOST.into())).await
}
