use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edgemint::clock::{Clock as _, SystemClock};
use edgemint::demo::LoopbackListener;
use edgemint::demo::load_balancer::serve_public_keys;
use edgemint::demo::people::Person;
use edgemint::demo::tokens::{AccessTokenFacts, AccessTokenSigner, ClaimsHeader, ClaimsSigner};
use edgemint::keystore;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{claims_of, person, rsa_pem};

const ARN: &str =
    "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/test/0000000000000000";

/// The real program on a configuration, with real key servers beside it.
struct Service {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
    config: String,
    port: u16,
    admin: u16,
    issuer: String,
    claims: Arc<ClaimsSigner>,
    access: Arc<AccessTokenSigner>,
}

impl Service {
    async fn start() -> Self {
        let claims = Arc::new(ClaimsSigner::generate().unwrap());
        let access = Arc::new(AccessTokenSigner::generate().unwrap());
        let keys = LoopbackListener::bind(0).await.unwrap();
        let key_address = keys.address();
        tokio::spawn(serve_public_keys(keys, vec![claims.clone()], std::future::pending()));
        let issuer = serve_jwks(access.jwks_json()).await;
        let (port, admin) = (free_port().await, free_port().await);
        let folder = tempfile::tempdir().unwrap();
        keystore::import(&folder.path().join("keys"), &"K2TESTKEY".parse().unwrap(), &rsa_pem())
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
allow = {{ groups = ["lab-a"] }}
resources = ["http://data.edgemint.localhost:{port}/lab-a/*"]
[keys]
source = "dir:keys"
[log]
format = "json"
"#
        );
        let file = folder.path().join("edgemint.toml");
        std::fs::write(&file, &config).unwrap();
        let (child, lines) = spawn(&file);
        let service = Self { child, lines, folder, config, port, admin, issuer, claims, access };
        service.wait_for("ready").await;
        service
    }

    async fn cookies(&self, person: &Person) -> reqwest::Response {
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
        self.post(&[
            ("x-amzn-oidc-data", self.claims.mint(&header, &claims_of(person)).unwrap()),
            ("x-amzn-oidc-accesstoken", self.access.mint(person, &facts).unwrap()),
            ("x-forwarded-for", "6.6.6.6, 192.0.2.7".to_owned()),
        ])
        .await
    }

    async fn post(&self, headers: &[(&str, String)]) -> reqwest::Response {
        let url = format!("http://127.0.0.1:{}/session/cookies", self.port);
        let mut request = client().post(url);
        request = request.header("host", format!("viewer.edgemint.localhost:{}", self.port));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.send().await.unwrap()
    }

    async fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin);
        client().get(url).send().await.unwrap().text().await.unwrap()
    }

    fn write_config(&self, text: &str) {
        std::fs::write(self.folder.path().join("edgemint.toml"), text).unwrap();
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Waits for a line of the log that holds `text`, and takes it.
    async fn wait_for(&self, text: &str) -> Value {
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

fn spawn(file: &Path) -> (Child, Arc<Mutex<Vec<String>>>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_edgemint"))
        .args(["serve", "--config", file.to_str().unwrap()])
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

async fn free_port() -> u16 {
    LoopbackListener::bind(0).await.unwrap().port()
}

async fn serve_jwks(jwks: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}/pool", listener.local_addr().unwrap());
    let router = axum::Router::new()
        .route("/pool/.well-known/jwks.json", axum::routing::get(async move || jwks));
    tokio::spawn(async { axum::serve(listener, router).await });
    issuer
}

#[tokio::test(flavor = "multi_thread")]
async fn every_issue_and_every_refusal_is_one_line_without_secrets() {
    let service = Service::start().await;
    let answer = service.cookies(person("Ada")).await;
    assert_eq!(answer.status(), 200);
    let cookies: Vec<String> = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|line| line.to_str().unwrap().split(['=', ';']).nth(1).unwrap().to_owned())
        .collect();
    let line = service.wait_for("cookies.issued").await;
    let quoted = |text: &str| Value::String(format!("{text:?}"));
    assert_eq!(line["subject"], quoted(person("Ada").id));
    assert_eq!(line["front"], "alb");
    assert_eq!(line["rules"], quoted("lab-a"));
    assert_eq!(
        line["resources"],
        quoted(&format!("http://data.edgemint.localhost:{}/lab-a/*", service.port))
    );
    assert_eq!(line["key"], "K2TESTKEY");
    assert_eq!(line["address"], "192.0.2.7");
    assert!(line["until"].as_str().unwrap().ends_with('Z'), "{line}");
    assert_eq!(line["request_id"].as_str().unwrap().len(), 16);
    let text = line.to_string();
    for secret in cookies.iter().filter(|value| value.len() > 20) {
        assert!(!text.contains(secret.as_str()), "{text}");
    }

    assert_eq!(service.cookies(person("Noor")).await.status(), 403);
    let line = service.wait_for("cookies.refused").await;
    assert!(line["reason"].as_str().unwrap().contains("no rule opens anything"), "{line}");
    let forged = format!("{}.forged", "x".repeat(40));
    assert_eq!(service.post(&[("x-amzn-oidc-data", forged.clone())]).await.status(), 401);
    let line = service.wait_for("cookies.refused").await;
    assert!(line["reason"].as_str().unwrap().contains("three segments"), "{line}");
    assert!(!line.to_string().contains(&forged));
    let metrics = service.metrics().await;
    for expected in [
        "edgemint_cookie_attempts_total{outcome=\"Issued\"} 1",
        "edgemint_cookie_attempts_total{outcome=\"NoAccess\"} 1",
        "edgemint_cookie_attempts_total{outcome=\"Refused\"} 1",
        "edgemint_active_key{key_pair_id=\"K2TESTKEY\"} 1",
    ] {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_or_a_change_reloads_and_a_bad_file_keeps_the_old_one() {
    let service = Service::start().await;
    service.write_config(&service.config.replace("groups = [\"lab-a\"]", "groups = lab-a"));
    service.signal("-HUP");
    let line = service.wait_for("reload.failed").await;
    assert!(line["problem"].as_str().unwrap().contains("edgemint.toml:15"), "{line}");
    assert_eq!(service.cookies(person("Ada")).await.status(), 200, "the old rules stay");
    service.write_config(&service.config.replace("groups = [\"lab-a\"]", "groups = [\"lab-b\"]"));
    // No signal: the file is watched.
    service.wait_for("reload.done").await;
    assert_eq!(service.cookies(person("Ada")).await.status(), 403);
    assert_eq!(service.cookies(person("Ben")).await.status(), 200);
    let metrics = service.metrics().await;
    assert!(metrics.contains("edgemint_reloads_total{ok=\"false\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_reload_is_tried_again_until_what_was_wrong_is_mended() {
    use std::os::unix::fs::PermissionsExt as _;
    let service = Service::start().await;
    let pem = service.folder.path().join("keys/K2TESTKEY.pem");
    let mode = |bits| std::fs::set_permissions(&pem, std::fs::Permissions::from_mode(bits));
    mode(0o644).unwrap();
    service.signal("-HUP");
    let line = service.wait_for("reload.failed").await;
    assert!(line["problem"].as_str().unwrap().contains("chmod 600"), "{line}");
    mode(0o600).unwrap();
    service.wait_for("reload.done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_signal_stops_the_program_with_success() {
    let mut service = Service::start().await;
    service.signal("-TERM");
    service.wait_for("stopping").await;
    let end = Instant::now() + Duration::from_secs(10);
    let status = loop {
        if let Some(status) = service.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "the program does not stop");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success(), "{status}");
}
