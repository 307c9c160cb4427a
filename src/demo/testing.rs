//! A browser with a cookie jar, and a whole site for it to visit.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName};
use axum::routing::any;
use axum::{Json, Router};
use cookie_store::{CookieStore, RawCookie};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Map, Value};
use url::Url;

use super::LoopbackListener;
use super::load_balancer::{
    Action, ListenerRule, LoadBalancer, LoadBalancerOptions, OnUnauthenticated, SESSION_COOKIE,
    SESSION_SECONDS, redirect_uri, serve_public_keys,
};
use super::people::Person;
use super::provider::{Client, Endpoints, Provider, ProviderOptions};
use super::tokens::ClaimsSigner;
use crate::clock::{Clock as _, FixedClock, SystemClock};
use crate::policy::BaseUrl;

pub(super) const ARN: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/demo/0123456789abcdef";

/// Keeps cookies as a browser does, and follows no redirect by itself.
pub(super) struct Browser {
    http: reqwest::Client,
    pub(super) jar: Mutex<CookieStore>,
}

impl Browser {
    /// The names that Chromium resolves to the loopback interface, this client is told to.
    pub(super) fn new() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([]);
        for host in ["viewer", "login", "data", "public"] {
            http = http.resolve(&format!("{host}.edgemint.localhost"), loopback);
        }
        Self { http: http.build().unwrap(), jar: Mutex::default() }
    }

    pub(super) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let jar = self.jar.lock().unwrap();
        let pairs: Vec<String> = jar
            .get_request_values(&as_secure(url))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = self.http.request(method, url);
        if pairs.is_empty() { request } else { request.header(COOKIE, pairs.join("; ")) }
    }

    pub(super) async fn get(&self, url: &str) -> Response {
        self.send(self.request(Method::GET, url)).await
    }

    pub(super) async fn post(&self, url: &str, form: String) -> Response {
        let request = self.request(Method::POST, url);
        let form_type = "application/x-www-form-urlencoded";
        self.send(request.header("content-type", form_type).body(form)).await
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Response {
        let response = request.send().await.unwrap();
        let lines = response.headers().get_all(SET_COOKIE);
        let cookies: Vec<RawCookie<'static>> = lines
            .iter()
            .map(|line| RawCookie::parse(line.to_str().unwrap().to_owned()).unwrap())
            .collect();
        let url = as_secure(response.url().as_str());
        self.jar.lock().unwrap().store_response_cookies(cookies.into_iter(), &url);
        response
    }

    /// Goes to a page, signs in where the load balancer asks for it, and returns what is shown.
    pub(super) async fn sign_in(&self, url: &str, person: &Person) -> Response {
        let authorize = location(&self.get(url).await);
        let page = self.get(&authorize).await.text().await.unwrap();
        assert!(page.contains(person.id));
        let query = Url::parse(&authorize).unwrap().query().unwrap().to_owned();
        let form = format!("{query}&person={}", person.id);
        let callback = location(&self.post(&authorize, form).await);
        let back = self.get(&callback).await;
        assert_eq!(back.status(), 302);
        self.get(&location(&back)).await
    }

    /// Changes the cookies of one name.
    pub(super) fn tamper(&self, name: &str, change: impl Fn(&str) -> String) {
        let mut jar = self.jar.lock().unwrap();
        let cookie = jar.iter_any().find(|cookie| cookie.name() == name).unwrap();
        let line = format!("{name}={}; Path=/; Secure", change(cookie.value()));
        jar.parse(&line, &as_secure("http://viewer.edgemint.localhost/")).unwrap();
    }
}

/// Browsers keep `Secure` cookies of names under localhost; the jar knows `localhost` itself only.
fn as_secure(url: &str) -> Url {
    Url::parse(&url.replacen("http://", "https://", 1)).unwrap()
}

pub(super) fn location(response: &Response) -> String {
    let location = response.headers().get(LOCATION);
    location.unwrap_or_else(|| panic!("{}", response.status())).to_str().unwrap().to_owned()
}

/// A provider, a load balancer and a target that shows what reached it.
pub(super) struct Site {
    pub(super) viewer: BaseUrl,
    pub(super) login: BaseUrl,
    pub(super) provider: Arc<Provider>,
    pub(super) signer: Arc<ClaimsSigner>,
    pub(super) public_keys: String,
    pub(super) clock: Arc<FixedClock>,
}

impl Site {
    pub(super) async fn start() -> Self {
        let target = LoopbackListener::bind(0).await.unwrap();
        let address = target.address();
        tokio::spawn(target.serve(Router::new().fallback(any(echo)), pending()));
        Self::start_with(address, Endpoints::clone).await
    }

    /// Starts a site with another target, or a provider of which some endpoints are elsewhere.
    pub(super) async fn start_with(
        target: SocketAddr,
        change: impl Fn(&Endpoints) -> Endpoints,
    ) -> Self {
        let clock = Arc::new(FixedClock::at(SystemClock.now()));
        let [viewer, login, keys] = [bind().await, bind().await, bind().await];
        let viewer_url = url("viewer", &viewer);
        let login_url = url("login", &login);
        let client = Client {
            id: "demo-client".to_owned(),
            secret: "demo-secret".to_owned(),
            redirect_uris: vec![redirect_uri(&viewer_url)],
            logout_uris: vec![format!("{viewer_url}/bye")],
        };
        let options = ProviderOptions {
            url: login_url.clone(),
            address: login.address(),
            pool: "us-east-1_DEMO".to_owned(),
            clients: vec![client.clone()],
            access_token_seconds: 3600,
        };
        let provider = Arc::new(Provider::new(options, clock.clone()).unwrap());
        let signer = Arc::new(ClaimsSigner::generate().unwrap());
        let options = LoadBalancerOptions {
            url: viewer_url.clone(),
            target,
            arn: ARN.to_owned(),
            client_id: client.id,
            client_secret: client.secret,
            provider: change(provider.endpoints()),
            cookie_name: SESSION_COOKIE.to_owned(),
            session_seconds: SESSION_SECONDS,
            rules: rules(),
        };
        let balancer = LoadBalancer::new(options, signer.clone(), clock.clone()).unwrap();
        let public_keys = format!("http://{}", keys.address());
        tokio::spawn(balancer.serve(viewer, pending()));
        tokio::spawn(provider.clone().serve(login, pending()));
        tokio::spawn(serve_public_keys(keys, vec![signer.clone()], pending()));
        Self { viewer: viewer_url, login: login_url, provider, signer, public_keys, clock }
    }

    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.viewer)
    }
}

fn rules() -> Vec<ListenerRule> {
    [
        ("/login", Action::Authenticate(OnUnauthenticated::Authenticate)),
        ("/deny", Action::Authenticate(OnUnauthenticated::Deny)),
        ("/allow", Action::Authenticate(OnUnauthenticated::Allow)),
        ("/forward", Action::Forward),
        ("/events", Action::PythonServer),
    ]
    .map(|(prefix, action)| ListenerRule { prefix: prefix.to_owned(), action })
    .to_vec()
}

pub(super) async fn bind() -> LoopbackListener {
    LoopbackListener::bind(0).await.unwrap()
}

pub(super) fn url(name: &str, listener: &LoopbackListener) -> BaseUrl {
    BaseUrl::parse(&format!("http://{name}.edgemint.localhost:{}", listener.port())).unwrap()
}

/// Answers with the headers it got, and two cookies.
async fn echo(headers: HeaderMap) -> ([(HeaderName, &'static str); 1], HeaderMap, Json<Value>) {
    let mut got = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap().into());
        got.insert(name.to_string(), Value::Array(values.collect()));
    }
    let mut cookies = HeaderMap::new();
    cookies.append(SET_COOKIE, "one=1; Path=/".parse().unwrap());
    cookies.append(SET_COOKIE, "two=2; Path=/".parse().unwrap());
    ([(HeaderName::from_static("keep-alive"), "timeout=5")], cookies, Json(Value::Object(got)))
}

/// What [`echo`] got, as JSON: a list of values for each name.
pub(super) async fn echoed(response: Response) -> Value {
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}
