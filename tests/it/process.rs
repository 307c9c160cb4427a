//! The real program as a process, with real key servers beside it.

use std::io::{BufRead as _, BufReader};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edgemint::clock::{Clock as _, SystemClock};
use edgemint::demo::LoopbackListener;
use edgemint::demo::load_balancer::serve_public_keys;
use edgemint::demo::people::Person;
use edgemint::demo::tokens::{AccessTokenFacts, AccessTokenSigner, ClaimsHeader, ClaimsSigner};
use edgemint::keystore::Folder;
use serde_json::Value;
use tempfile::TempDir;

use crate::ports::free_port;
use crate::support::{claims_of, rsa_pem};

pub(crate) const ARN: &str =
    "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/test/0000000000000000";

/// A configuration, keys, and real key servers beside it.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) config: String,
    pub(crate) port: u16,
    pub(crate) admin: u16,
    /// What browsers call it.
    pub(crate) public_host: String,
    /// Further variables that the program is started with.
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) issuer: String,
    pub(crate) claims: Arc<ClaimsSigner>,
    access: Arc<AccessTokenSigner>,
}

/// The real program on a site.
pub(crate) struct Service {
    pub(crate) child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    site: Site,
}

impl Deref for Service {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Site {
    pub(crate) async fn prepare() -> Self {
        Self::with("").await
    }

    /// A site with further tables of configuration.
    pub(crate) async fn with(tables: &str) -> Self {
        let claims = Arc::new(ClaimsSigner::generate().unwrap());
        let access = Arc::new(AccessTokenSigner::generate().unwrap());
        let keys = LoopbackListener::bind(0).await.unwrap();
        let key_address = keys.address();
        tokio::spawn(serve_public_keys(keys, vec![claims.clone()], std::future::pending()));
        let issuer = serve_jwks(access.jwks_json()).await;
        let [port, admin] = [free_port(), free_port()];
        let folder = tempfile::tempdir().unwrap();
        Folder::new(folder.path().join("keys"))
            .import(&"K2TESTKEY".parse().unwrap(), &rsa_pem(), SystemClock.now())
            .unwrap();
        let config = format!(
            r#"
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin}"
public_url = "http://viewer.edgemint.localhost:{port}"
[identity.alb]
region = "us-east-1"
signer = ["{ARN}"]
client = "client"
public_key_url = "http://{key_address}/{{kid}}"
groups = {{ issuer = "{issuer}" }}
[[distribution]]
host = "http://data.edgemint.localhost:{port}"
[[rule]]
name = "lab-a"
allow = {{ groups = ["lab-a"], issuers = ["any"] }}
resources = ["http://data.edgemint.localhost:{port}/lab-a/*"]
[keys]
source = "dir:keys"
[log]
format = "json"
{tables}
"#
        );
        let environment = Vec::new();
        let public_host = format!("viewer.edgemint.localhost:{port}");
        let site =
            Self { folder, config, port, admin, public_host, environment, issuer, claims, access };
        site.write_config(&site.config);
        site
    }

    /// The private key that signs.
    pub(crate) fn key_file(&self) -> PathBuf {
        let keys = Folder::new(self.folder.path().join("keys"));
        keys.key_file(&keys.keys().unwrap()[0].fingerprint)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("edgemint.toml")
    }

    pub(crate) async fn cookies(&self, person: &Person) -> reqwest::Response {
        self.post(&self.identity(person)).await
    }

    /// The headers with which the load balancer passes on a person's request.
    pub(crate) fn identity(&self, person: &Person) -> [(&'static str, String); 3] {
        let now = SystemClock.now();
        let header = ClaimsHeader {
            signer: ARN,
            client: "client",
            issuer: &self.issuer,
            expires: now.plus(120),
        };
        let facts = AccessTokenFacts {
            issuer: &self.issuer,
            client: "client",
            scope: "openid",
            issued: now,
            expires: now.plus(600),
        };
        [
            ("x-amzn-oidc-data", self.claims.mint(&header, &claims_of(person)).unwrap()),
            ("x-amzn-oidc-accesstoken", self.access.mint(person, &facts).unwrap()),
            ("x-forwarded-for", "6.6.6.6, 192.0.2.7".to_owned()),
        ]
    }

    pub(crate) async fn post(&self, headers: &[(&str, String)]) -> reqwest::Response {
        let url = format!("http://127.0.0.1:{}/session/cookies", self.port);
        let mut request = client().post(url);
        request = request.header("host", &self.public_host);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.send().await.unwrap()
    }

    /// What `/readyz` says: its status, and the document.
    pub(crate) async fn readiness(&self) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        let answer = client().get(url).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin);
        client().get(url).send().await.unwrap().text().await.unwrap()
    }

    pub(crate) fn write_config(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// Starts with further tables of configuration.
    pub(crate) async fn with(tables: &str) -> Self {
        Self::on(Site::with(tables).await, async |_| {}).await
    }

    /// Starts the program on a site, and does something while it starts.
    pub(crate) async fn on(site: Site, meanwhile: impl AsyncFnOnce(&Self)) -> Self {
        let service = Self::launch(site);
        meanwhile(&service).await;
        service.wait_for("ready").await;
        service
    }

    /// Starts the program, and waits for nothing.
    pub(crate) fn launch(site: Site) -> Self {
        let (child, lines) = spawn(&site);
        Self { child, lines, site }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// The lines of the log that nobody has taken.
    /// The most memory that it has held so far, in KB.
    pub(crate) fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits for a line of the log that holds `text`, and takes it.
    pub(crate) async fn wait_for(&self, text: &str) -> Value {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let mut lines = self.lines.lock().unwrap().clone();
            if let Some(at) = lines.iter().position(|line| line.contains(text)) {
                let line = lines.remove(at);
                self.lines.lock().unwrap().remove(at);
                return serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
            }
            assert!(Instant::now() < end, "no {text} in {lines:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(site: &Site) -> (Child, Arc<Mutex<Vec<String>>>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_edgemint"))
        .args(["serve", "--config", site.file().to_str().unwrap()])
        .envs(site.environment.iter().map(|(name, value)| (*name, value)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (output, written) = (child.stdout.take().unwrap(), lines.clone());
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            written.lock().unwrap().push(line.unwrap());
        }
    });
    (child, lines)
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn serve_jwks(jwks: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}/pool", listener.local_addr().unwrap());
    let router = axum::Router::new()
        .route("/pool/.well-known/jwks.json", axum::routing::get(async move || jwks));
    tokio::spawn(async { axum::serve(listener, router).await });
    issuer
}
