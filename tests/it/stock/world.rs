//! Everything that a viewer needs around it: edgemint, a load balancer and a provider in front of it, private
//! distributions and a public bucket, and one clock.

use std::fs;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, RwLock};

use axum::extract::{Query, State};
use axum::routing::post;
use axum::{Router, http::StatusCode};
use bytes::Bytes;
use edgemint::authn::Fetcher;
use edgemint::clock::{Clock, SystemClock};
use edgemint::config::Environment;
use edgemint::demo::LoopbackListener;
use edgemint::demo::edge::{Edge, EdgeOptions};
use edgemint::demo::load_balancer::{
    Action, ListenerRule, LoadBalancer, LoadBalancerOptions, OnUnauthenticated, SESSION_COOKIE,
    SESSION_SECONDS, redirect_uri,
};
use edgemint::demo::provider::{Client, Provider, ProviderOptions};
use edgemint::demo::sample::SampleObject;
use edgemint::demo::tokens::ClaimsSigner;
use edgemint::keystore::Folder;
use edgemint::policy::BaseUrl;
use edgemint::server::{AppState, Process, Server, Snapshot, Stopping};
use edgemint::signing::verify::TrustedKeys;
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::clock::{EdgeClock, WorldClock};
use super::front::{Behind, Front, certify};
use crate::support::{ARN, CLIENT, KeySource, rsa_pem};
use crate::tools::node_script;

const VIEWER: &str = "https://viewer.example.test";
const SECRET: &str = "a secret of the load balancer";

/// The folders of `tests/tools/viewers/built`, and where each is served.
const BUNDLES: [(&str, &str); 6] = [
    ("classic", "/"),
    ("modules", "/modules/"),
    // Where Python's neuroglancer serves it.
    ("wheel", "/v/token/"),
    ("janelia", "/janelia/"),
    ("openseadragon", "/openseadragon/"),
    ("itk-vtk", "/itk-vtk/"),
];

const ONE_HOST: &str = r#"
[[distribution]]
host = "viewer.example.test"
path = "/data/"
"#;

const SIBLINGS: &str = r#"
[[distribution]]
host = "data.example.test"

[[distribution]]
host = "archive.example.test"

[[rule]]
name = "archive"
allow = { email_domains = ["lab-a.example"], issuers = ["any"] }
resources = ["https://archive.example.test/old-a/*"]
"#;

const HANDOFF: &str = r#"
[handoff]
keys_file = "handoff-keys"

[[distribution]]
host = "data-b.example.test"
handoff = true
trusted_hops = 1

[[distribution]]
host = "data-c.example.test"
handoff = true
trusted_hops = 1

[[rule]]
name = "volumes"
allow = { email_domains = ["lab-a.example"], issuers = ["any"] }
resources = ["https://data-b.example.test/volumes/*", "https://data-c.example.test/volumes/*"]
"#;

/// How viewer and data lie to each other; docs/ARCHITECTURE.md has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    /// The data beside the viewer, on two distributions.
    Siblings,
    /// The data below the viewer's own host.
    OneHost,
    /// Two distributions with the same paths, which get cookies of their own, beside the siblings.
    Handoff,
}

/// A world that runs for as long as this value lives.
pub(super) struct World {
    folder: TempDir,
    _front: Front,
    _stop: watch::Sender<Stopping>,
}

/// A request to move the clock.
#[derive(Deserialize)]
struct Move {
    /// By so many seconds.
    advance: i64,
    /// Once the edges have judged so many more requests; at once without.
    after: Option<u32>,
}

impl World {
    /// Starts everything.
    pub(super) async fn start(topology: Topology) -> Self {
        Self::start_with(topology, "inline").await
    }

    /// Starts everything, with a `viewer.shim` that is not the default.
    pub(super) async fn start_with(topology: Topology, shim: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_data(folder.path());
        let clock = Arc::new(WorldClock::new());
        let [balancer, login] = [bind().await, bind().await];
        let [data, archive] = [bind().await, bind().await];
        let [data_b, data_c] = [bind().await, bind().await];
        let control = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();

        let provider = provider(login.address(), &clock);
        let config = format!("{}\n[viewer]\nshim = \"{shim}\"\n", config(topology));
        let snapshot = load(folder.path(), &config);
        let trusted = Arc::new(RwLock::new(trusted_keys(&snapshot)));
        let (stop, stopping) = watch::channel(Stopping::No);
        let signer = Arc::new(ClaimsSigner::generate().unwrap());
        let edgemint = serve(snapshot, folder.path(), &signer, &clock, stopping);

        let behind = Behind {
            balancer: balancer.address(),
            edgemint,
            provider: login.address(),
            data: data.address(),
            archive: archive.address(),
            data_b: data_b.address(),
            data_c: data_c.address(),
        };
        let spki = certify(folder.path());
        let front = Front::start(folder.path(), topology, &behind);
        let (host, root) = match topology {
            Topology::OneHost => ("viewer", folder.path().to_owned()),
            Topology::Siblings | Topology::Handoff => ("data", folder.path().join("data")),
        };
        for (host, root, listener) in [
            (host, root, data),
            ("archive", folder.path().join("archive"), archive),
            ("data-b", folder.path().join("data-b"), data_b),
            ("data-c", folder.path().join("data-c"), data_c),
        ] {
            tokio::spawn(edge(host, root, &trusted, &clock).serve(listener, pending()));
        }
        sign_people_in(balancer, login, edgemint, provider, signer, &clock);
        let description = json!({
            "port": front.port,
            "spki": spki,
            "service": format!("http://{edgemint}"),
            "control": format!("http://{}", control.local_addr().unwrap()),
            "log": folder.path().join("requests.log"),
        });
        fs::write(folder.path().join("world.json"), description.to_string()).unwrap();
        tokio::spawn(move_clock(control, clock));
        Self { folder, _front: front, _stop: stop }
    }

    /// Lets a script live in the world, and shows what went wrong.
    pub(super) async fn tells(&self, script: &str) {
        let mut node = node_script(script);
        node.arg(self.folder.path().join("world.json"));
        let told = tokio::task::spawn_blocking(move || node.output()).await.unwrap().unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        print!("{out}");
        let log = fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default();
        assert!(told.status.success(), "{err}\nnginx said:\n{log}");
    }
}

async fn bind() -> LoopbackListener {
    LoopbackListener::bind(0).await.unwrap()
}

fn url(host: &str) -> BaseUrl {
    BaseUrl::parse(&format!("https://{host}.example.test")).unwrap()
}

fn write_data(folder: &Path) {
    let made = node_script("stock_data.mjs").arg(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn provider(address: SocketAddr, clock: &Arc<WorldClock>) -> Arc<Provider> {
    let client = Client {
        id: CLIENT.to_owned(),
        secret: SECRET.to_owned(),
        redirect_uris: vec![redirect_uri(&url("viewer"))],
        logout_uris: vec![format!("{VIEWER}/")],
    };
    let options = ProviderOptions {
        url: BaseUrl::parse("https://login.provider.test").unwrap(),
        address,
        pool: "us-east-1_TEST".to_owned(),
        clients: vec![client],
        access_token_seconds: 86_400,
    };
    Arc::new(Provider::new(options, clock.clone()).unwrap())
}

/// Writes the configuration and its key, and reads them as the service does.
fn load(folder: &Path, config: &str) -> Snapshot {
    let id = "K2TESTKEY".parse().unwrap();
    Folder::new(folder.join("keys")).import(&id, &rsa_pem(), SystemClock.now()).unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_edgemint"))
        .args(["keys", "cookie", "--out"])
        .arg(folder.join("handoff-keys"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = folder.join("edgemint.toml");
    fs::write(&file, config).unwrap();
    Snapshot::load(&file, &Environment::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn trusted_keys(snapshot: &Snapshot) -> TrustedKeys {
    let active = snapshot.ring.iter().map(|ring| &ring.active);
    let trusted = active.map(|key| (key.id.to_string(), key.key.public().clone()));
    TrustedKeys::Group(trusted.collect())
}

fn serve(
    snapshot: Snapshot,
    folder: &Path,
    signer: &ClaimsSigner,
    clock: &Arc<WorldClock>,
    stopping: watch::Receiver<Stopping>,
) -> SocketAddr {
    let source = KeySource::default();
    let keys = "https://public-keys.auth.elb.us-east-1.amazonaws.com";
    source.serve(&format!("{keys}/{}", signer.kid()), signer.public_key_pem());
    let fetcher: Arc<dyn Fetcher> = Arc::new(source);
    let state = AppState::new(snapshot, clock.clone(), &fetcher);
    let process = Process::new(Environment::default(), Vec::new()).unwrap();
    let server = Server::bind(state, folder.join("edgemint.toml"), process).unwrap();
    let address = server.local_address().unwrap();
    tokio::spawn(server.serve(stopping));
    address
}

/// A distribution on the files of a folder.
fn edge(
    host: &str,
    root: std::path::PathBuf,
    trusted: &Arc<RwLock<TrustedKeys>>,
    clock: &Arc<WorldClock>,
) -> Edge {
    let objects = move |path: &str| {
        let bytes = Bytes::from(fs::read(root.join(path.trim_start_matches('/'))).ok()?);
        let content_type = match path.rsplit_once('.') {
            Some((_, "html")) => "text/html",
            Some((_, "png")) => "image/png",
            Some((_, "dzi")) => "text/xml",
            Some((_, "json")) => "application/json",
            _ => "application/octet-stream",
        };
        Some(SampleObject { content_type, bytes })
    };
    let options = EdgeOptions {
        url: url(host),
        trusted: trusted.clone(),
        allowed_origin: url("viewer"),
        objects: Arc::new(objects),
        may_list: true,
    };
    Edge::new(options, Arc::new(EdgeClock(clock.clone())))
}

/// Starts the load balancer and what it needs.
fn sign_people_in(
    balancer: LoopbackListener,
    login: LoopbackListener,
    target: SocketAddr,
    provider: Arc<Provider>,
    signer: Arc<ClaimsSigner>,
    clock: &Arc<WorldClock>,
) {
    let rule = |prefix: &str, mode| ListenerRule {
        prefix: prefix.to_owned(),
        action: Action::Authenticate(mode),
    };
    let options = LoadBalancerOptions {
        url: url("viewer"),
        target,
        arn: ARN.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: SECRET.to_owned(),
        provider: provider.endpoints().clone(),
        cookie_name: SESSION_COOKIE.to_owned(),
        session_seconds: SESSION_SECONDS,
        rules: vec![
            rule("/session/login", OnUnauthenticated::Authenticate),
            rule("/", OnUnauthenticated::Allow),
        ],
    };
    let clock: Arc<dyn Clock> = clock.clone();
    let stand_in = LoadBalancer::new(options, signer, clock).unwrap();
    tokio::spawn(stand_in.serve(balancer, pending()));
    tokio::spawn(provider.serve(login, pending()));
}

/// Moves the clock when a script says so.
async fn move_clock(listener: TcpListener, clock: Arc<WorldClock>) {
    let told = async |State(clock): State<Arc<WorldClock>>, Query(by): Query<Move>| {
        match by.after {
            Some(requests) => clock.advance_after(requests, by.advance),
            None => clock.advance(by.advance),
        }
        StatusCode::NO_CONTENT
    };
    let router = Router::new().route("/clock", post(told)).with_state(clock);
    axum::serve(listener, router).await.unwrap();
}

fn config(topology: Topology) -> String {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/viewers/built");
    assert!(built.exists(), "{} is missing: run `make tools`", built.display());
    let data = match topology {
        Topology::OneHost => "viewer.example.test/data",
        Topology::Siblings | Topology::Handoff => "data.example.test",
    };
    let distributions = match topology {
        Topology::OneHost => ONE_HOST.to_owned(),
        Topology::Siblings => SIBLINGS.to_owned(),
        Topology::Handoff => format!("{SIBLINGS}{HANDOFF}"),
    };
    format!(
        r#"
listen = "127.0.0.1:0"
public_url = "{VIEWER}"

[identity.alb]
region = "us-east-1"
signer = ["{ARN}"]
client = "{CLIENT}"

{distributions}
[[rule]]
name = "lab-a"
allow = {{ email_domains = ["lab-a.example"], issuers = ["any"] }}
resources = ["https://{data}/lab-a/*"]

[[rule]]
name = "lab-b"
allow = {{ email_domains = ["lab-b.example"], issuers = ["any"] }}
resources = ["https://{data}/lab-b/*"]

[keys]
source = "dir:keys"

{bundles}"#,
        bundles = BUNDLES.map(|(name, path)| bundle(&built.join(name), path)).concat(),
    )
}

fn bundle(root: &Path, path: &str) -> String {
    format!("[[viewer.bundle]]\nroot = \"{}\"\npath = \"{path}\"\n", root.display())
}
