//! The demo's site: the real service, between stand-ins, on a configuration file like any other's.

use std::fs;
use std::future::pending;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use anyhow::Context as _;
use serde_json::json;
use tokio::sync::watch;

use crate::authn::{Fetcher, HttpFetcher, Reach};
use crate::clock::{Clock, SystemClock};
use crate::config::Environment;
use crate::demo::LoopbackListener;
use crate::demo::edge::{Edge, EdgeOptions};
use crate::demo::load_balancer::{
    Action, ListenerRule, LoadBalancer, LoadBalancerOptions, OnUnauthenticated, SESSION_COOKIE,
    SESSION_SECONDS, redirect_uri, serve_public_keys,
};
use crate::demo::provider::{Client, Endpoints, Provider, ProviderOptions};
use crate::demo::sample::{Bucket, DATASETS, SampleData};
use crate::demo::tokens::ClaimsSigner;
use crate::keystore;
use crate::policy::BaseUrl;
use crate::server::{AppState, Process, Server, Snapshot, Stopping};
use crate::signing::verify::TrustedKeys;
use crate::signing::{KeyKind, generate_pem};

/// An account that AWS gives to nobody, so that no real site can believe the stand-in.
const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/edgemint-demo/0000000000000000";

const CLIENT_ID: &str = "edgemintdemo";
const KEY_PAIR_ID: &str = "KDEMO";

/// The built-in viewer's files.
const VIEWER: [(&str, &str); 4] = [
    ("index.html", include_str!("../../demo/assets/viewer/index.html")),
    ("app.js", include_str!("../../demo/assets/viewer/app.js")),
    ("style.css", include_str!("../../demo/assets/viewer/style.css")),
    ("icon.svg", include_str!("../../demo/assets/viewer/icon.svg")),
];

/// A site that runs for as long as this value lives.
pub(super) struct Site {
    /// The viewer's URL.
    pub(super) viewer: BaseUrl,
    /// The data host's URL.
    pub(super) data: BaseUrl,
    /// The identity provider's URL.
    pub(super) login: BaseUrl,
    folder: Folder,
    _stop: watch::Sender<Stopping>,
}

struct Listeners {
    viewer: LoopbackListener,
    data: LoopbackListener,
    login: LoopbackListener,
    keys: LoopbackListener,
}

impl Site {
    /// Starts everything, on four ports from `port` or on any free ones.
    pub(super) async fn start(port: Option<u16>) -> anyhow::Result<Self> {
        let at = |offset| port.map_or(0, |port| port.saturating_add(offset));
        let listeners = Listeners {
            viewer: LoopbackListener::bind(at(0)).await?,
            data: LoopbackListener::bind(at(1)).await?,
            login: LoopbackListener::bind(at(2)).await?,
            keys: LoopbackListener::bind(at(3)).await?,
        };
        let viewer = url("viewer", &listeners.viewer)?;
        let data = url("data", &listeners.data)?;
        let login = url("login", &listeners.login)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let provider = provider(&viewer, &login, listeners.login.address(), &clock)?;
        let folder = Folder::new()?;
        folder.fill(&viewer, &data, provider.endpoints(), listeners.keys.address())?;

        let snapshot = Snapshot::load(&folder.config_file(), &Environment::default())?;
        let trusted = trusted_keys(&snapshot);
        let (stop, stopping) = watch::channel(Stopping::No);
        let target = serve(snapshot, &folder, stopping)?;
        start_stand_ins(listeners, target, provider, &viewer, &data, trusted, &clock)?;
        Ok(Self { viewer, data, login, folder, _stop: stop })
    }

    /// Where the configuration is.
    pub(super) fn config_file(&self) -> PathBuf {
        self.folder.config_file()
    }
}

fn url(name: &str, listener: &LoopbackListener) -> anyhow::Result<BaseUrl> {
    Ok(BaseUrl::parse(&format!("http://{name}.edgemint.localhost:{}", listener.port()))?)
}

fn provider(
    viewer: &BaseUrl,
    login: &BaseUrl,
    address: SocketAddr,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<Provider>> {
    let client = Client {
        id: CLIENT_ID.to_owned(),
        secret: client_secret(),
        redirect_uris: vec![redirect_uri(viewer)],
        logout_uris: vec![format!("{viewer}/")],
    };
    let options = ProviderOptions {
        url: login.clone(),
        address,
        pool: "us-east-1_DEMO".to_owned(),
        clients: vec![client],
        access_token_seconds: 86_400,
    };
    Ok(Arc::new(Provider::new(options, clock.clone())?))
}

/// Known to everybody who reads this, like everything else that runs on the loopback interface only.
fn client_secret() -> String {
    "edgemint-demo".to_owned()
}

fn serve(
    snapshot: Snapshot,
    folder: &Folder,
    stopping: watch::Receiver<Stopping>,
) -> anyhow::Result<SocketAddr> {
    let fetcher: Arc<dyn Fetcher> =
        Arc::new(HttpFetcher::new(Reach::Laptop).context("cannot set up TLS")?);
    let state = AppState::new(snapshot, Arc::new(SystemClock), &fetcher);
    let process = Process::new(Environment::default(), Vec::new())?;
    let server = Server::bind(state, folder.config_file(), process)?;
    let address = server.local_address()?;
    tokio::spawn(server.serve(stopping));
    Ok(address)
}

fn trusted_keys(snapshot: &Snapshot) -> TrustedKeys {
    let active = snapshot.ring.iter().map(|ring| &ring.active);
    let trusted = active.map(|key| (key.id.to_string(), key.key.public().clone()));
    TrustedKeys::Group(trusted.collect())
}

fn start_stand_ins(
    listeners: Listeners,
    target: SocketAddr,
    provider: Arc<Provider>,
    viewer: &BaseUrl,
    data: &BaseUrl,
    trusted: TrustedKeys,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<()> {
    let signer = Arc::new(ClaimsSigner::generate()?);
    let balancer = LoadBalancerOptions {
        url: viewer.clone(),
        target,
        arn: ARN.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: client_secret(),
        provider: provider.endpoints().clone(),
        cookie_name: SESSION_COOKIE.to_owned(),
        session_seconds: SESSION_SECONDS,
        rules: listener_rules(),
    };
    let balancer = LoadBalancer::new(balancer, signer.clone(), clock.clone())?;
    let sample = SampleData::generate();
    let edge = EdgeOptions {
        url: data.clone(),
        trusted: Arc::new(RwLock::new(trusted)),
        allowed_origin: viewer.clone(),
        objects: Arc::new(move |path| sample.get(Bucket::Data, path)),
    };
    tokio::spawn(balancer.serve(listeners.viewer, pending()));
    tokio::spawn(Edge::new(edge, clock.clone()).serve(listeners.data, pending()));
    tokio::spawn(provider.serve(listeners.login, pending()));
    tokio::spawn(serve_public_keys(listeners.keys, vec![signer], pending()));
    Ok(())
}

/// The rules that docs recommend for a real load balancer.
fn listener_rules() -> Vec<ListenerRule> {
    [
        ("/session/login", OnUnauthenticated::Authenticate),
        ("/session", OnUnauthenticated::Allow),
        ("/", OnUnauthenticated::Allow),
    ]
    .map(|(prefix, mode)| ListenerRule {
        prefix: prefix.to_owned(),
        action: Action::Authenticate(mode),
    })
    .to_vec()
}

/// A folder for this demo alone, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("edgemint-demo-{}", std::process::id()));
        // What an earlier demo of the same number left behind when it was killed.
        let _ = fs::remove_dir_all(&path);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    fn config_file(&self) -> PathBuf {
        self.0.join("edgemint.toml")
    }

    fn fill(
        &self,
        viewer: &BaseUrl,
        data: &BaseUrl,
        provider: &Endpoints,
        keys: SocketAddr,
    ) -> anyhow::Result<()> {
        let id = KEY_PAIR_ID.parse()?;
        keystore::Folder::new(self.0.join("keys")).import(
            &id,
            &generate_pem(KeyKind::Rsa)?,
            SystemClock.now(),
        )?;
        let bundle = self.0.join("viewer");
        for (name, content) in VIEWER {
            write(&bundle.join(name), content)?;
        }
        write(&bundle.join("config.json"), &viewer_config(data))?;
        write(&self.config_file(), &service_config(viewer, data, provider, keys))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    let written =
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, content));
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn viewer_config(data: &BaseUrl) -> String {
    let datasets: Vec<_> = DATASETS
        .iter()
        .map(|set| json!({ "name": set.name, "path": set.path, "lab": set.rule }))
        .collect();
    json!({ "data_origin": data.as_str(), "datasets": datasets }).to_string()
}

fn service_config(
    viewer: &BaseUrl,
    data: &BaseUrl,
    provider: &Endpoints,
    keys: SocketAddr,
) -> String {
    format!(
        r#"# Written by `edgemint demo`, and read by the service like any other configuration.
listen = "127.0.0.1:0"
public_url = "{viewer}"

[identity.alb]
region = "us-east-1"
signer = ["{ARN}"]
client = "{CLIENT_ID}"
groups = {{ issuer = "{issuer}" }}
public_key_url = "http://{keys}/{{kid}}"

[[identity.bearer]]
issuer = "{issuer}"
jwks_url = "{jwks}"
client = ["{CLIENT_ID}"]
token_use = "access"
groups = "cognito:groups"

[[distribution]]
host = "{data}"

[[rule]]
name = "lab-a"
allow = {{ groups = ["lab-a"] }}
resources = ["{data}/lab-a/*"]
lifetime = "60s"

[[rule]]
name = "lab-b"
allow = {{ groups = ["lab-b"] }}
resources = ["{data}/lab-b/*"]
lifetime = "60s"

[[rule]]
name = "atlas"
allow = {{ email_domains = ["atlas.example"] }}
resources = ["{data}/atlas/*"]
lifetime = "60s"

[keys]
source = "dir:keys"

[viewer]
root = "viewer"
"#,
        issuer = provider.issuer,
        jwks = provider.jwks,
    )
}
