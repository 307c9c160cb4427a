//! The service behind real web servers, which run the very files of `deploy/`.
//!
//! Of those files only what is every site's own is replaced: the port, the folder, and where edgemint
//! listens.

mod apache;
mod edge;
mod files;
mod from_cron;
pub(crate) mod nginx;

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use edgemint::clock::Clock as _;
use edgemint::config::Environment;
use edgemint::demo::people::Person;
use edgemint::server::{Process, Server, Stopping};
use edgemint::signing::verify::{EdgeRequest, TrustedKeys, verify};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use crate::jar::Jar;
use crate::ports::free_port;
use crate::support::{App, CONFIG, HOST};

/// What any step may take that should take no time at all; the machine may be busy.
const SOON: Duration = Duration::from_secs(10);

/// Two more sets for Ada, so that she has as many as one answer carries.
const MORE_OF_LAB_A: &str = r#"
[[rule]]
name = "more of lab-a"
allow = { groups = ["lab-a"] }
resources = ["https://data.example.org/images/*", "https://data.example.org/meshes/*"]
"#;

/// How browsers ask for a page, and how scripts ask for data.
const NAVIGATION: &str = "Sec-Fetch-Mode: navigate\r\nAccept: text/html\r\n";
const SCRIPT: &str = "Sec-Fetch-Mode: cors\r\nAccept: */*\r\n";

/// A web server with edgemint beside it.
pub(crate) struct Site {
    app: App,
    edgemint: SocketAddr,
    stop: watch::Sender<Stopping>,
    serving: Option<JoinHandle<()>>,
    web: Option<WebServer>,
}

/// A web server at work; killed when dropped.
struct WebServer {
    child: Child,
    port: u16,
    folder: TempDir,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A browser, with its cookies and whoever is signed in at the load balancer.
struct Browser<'s> {
    site: &'s Site,
    person: Option<&'static Person>,
    jar: Jar,
    answers: usize,
}

impl Site {
    /// Starts edgemint on a configuration, with files beside its viewer's page.
    fn of(config: &str) -> Self {
        let ports = "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n";
        let app = App::with(&format!("{ports}{config}"));
        let viewer = app.folder.path().join("viewer");
        for (name, content) in [
            ("about/index.html", "<!doctype html><title>about</title>"),
            ("help.html", "<!doctype html><title>help</title>"),
            (".git/config", "a secret"),
        ] {
            fs::create_dir_all(viewer.join(name).parent().unwrap()).unwrap();
            fs::write(viewer.join(name), content).unwrap();
        }
        // Web servers that start as root read as somebody else.
        fs::set_permissions(app.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        app.state.swap(App::load(&app.folder).unwrap());
        let file = app.folder.path().join("edgemint.toml");
        let process = Process::new(Environment::default(), Vec::new()).unwrap();
        let server = Server::bind(app.state.clone(), file, process).unwrap();
        let edgemint = server.local_address().unwrap();
        let (stop, stopping) = watch::channel(Stopping::No);
        let serving = Some(tokio::spawn(server.serve(stopping)));
        Self { app, edgemint, stop, serving, web: None }
    }

    fn viewer(&self) -> PathBuf {
        self.app.folder.path().join("viewer")
    }

    pub(crate) fn port(&self) -> u16 {
        self.web.as_ref().unwrap().port
    }

    /// A file of `deploy/`, with what is the site's own replaced: `listening` by an address.
    fn shipped(&self, name: &str, listening: &str, port: u16) -> String {
        let mut text = fs::read_to_string(deploy(name)).unwrap();
        for (from, to) in [
            (listening, listening.replace("8080", &format!("127.0.0.1:{port}")).replace("*:", "")),
            ("127.0.0.1:8081", self.edgemint.to_string()),
            ("/srv/neuroglancer", self.viewer().display().to_string()),
        ] {
            assert!(text.contains(from), "no {from} in {name}");
            text = text.replace(from, &to);
        }
        text
    }

    fn browser(&self, person: Option<&'static Person>) -> Browser<'_> {
        Browser { site: self, person, jar: Jar::default(), answers: 0 }
    }

    /// Sends the text of a request to the web server, whose answer ends with the connection.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{headers}\r\n"
        ))
        .await
    }

    async fn send(&self, request: &str) -> Answer {
        timeout(SOON, send(self.port(), request)).await.expect("an answer in time")
    }

    /// What the load balancer says about a person.
    pub(crate) fn identity(&self, person: &Person) -> String {
        format!(
            "x-amzn-oidc-data: {}\r\nx-amzn-oidc-accesstoken: {}\r\n\
             x-forwarded-for: 6.6.6.6, 192.0.2.7\r\n",
            self.app.claims_token(person),
            self.app.access_token(person)
        )
    }

    /// How many requests edgemint has answered.
    pub(crate) fn asked(&self) -> u64 {
        let text = self.app.state.metrics().to_text();
        let lines = text.lines().filter(|line| line.starts_with("edgemint_requests_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Stops edgemint, and leaves the web server alone.
    async fn stop_edgemint(&mut self) {
        self.stop.send(Stopping::Closing).unwrap();
        timeout(3 * SOON, self.serving.take().unwrap()).await.expect("an end in time").unwrap();
    }
}

impl Browser<'_> {
    /// Opens a page.
    async fn open(&mut self, path: &str) -> Answer {
        self.ask("GET", path, NAVIGATION).await
    }

    /// Asks as a script of the viewer does.
    async fn fetch(&mut self, path: &str) -> Answer {
        self.ask("GET", path, SCRIPT).await
    }

    async fn ask(&mut self, method: &str, path: &str, headers: &str) -> Answer {
        let url = Url::parse(&format!("https://{HOST}{path}")).unwrap();
        let now = self.site.app.clock.now();
        let identity = self.person.map(|person| self.site.identity(person)).unwrap_or_default();
        let cookies = self.jar.header(&url, now);
        let cookies = if cookies.is_empty() { cookies } else { format!("Cookie: {cookies}\r\n") };
        let answer = self.site.ask(method, path, &format!("{identity}{headers}{cookies}")).await;
        self.answers += 1;
        for line in answer.all("set-cookie") {
            self.jar.store(&url, line, now, self.answers);
        }
        answer
    }

    /// Gives the browser cookies of before.
    fn hold(&mut self, lines: impl Iterator<Item = String>) {
        let url = Url::parse(&format!("https://{HOST}/")).unwrap();
        for line in lines {
            self.jar.store(&url, &line, self.site.app.clock.now(), 0);
        }
    }

    /// The paths at which the browser holds CloudFront cookies.
    fn paths(&self) -> BTreeSet<String> {
        let cookies = self.jar.alive(self.site.app.clock.now());
        let signed = cookies.filter(|cookie| cookie.name.starts_with("CloudFront-"));
        signed.map(|cookie| cookie.path.clone()).collect()
    }

    /// What the edge says to a URL on the data host with the browser's cookies. Two sets that reach it
    /// are an error.
    fn reads(&self, path: &str) -> Result<(), String> {
        let url = format!("https://data.example.org{path}");
        let now = self.site.app.clock.now();
        let cookies = self.jar.header(&Url::parse(&url).unwrap(), now);
        let key = self.site.app.state.snapshot().ring.clone().unwrap().active.key.public().clone();
        let source = Some("192.0.2.7".parse().unwrap());
        let request = EdgeRequest { url: &url, cookies: &cookies, source, now };
        let verdict = verify(&request, &TrustedKeys::AnyId(Box::new(key)));
        verdict.map(drop).map_err(|denial| denial.to_string())
    }
}

impl Answer {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The one line of a header, or nothing.
    fn header<'a>(&'a self, name: &'a str) -> &'a str {
        let mut lines = self.all(name);
        let line = lines.next().unwrap_or_default();
        assert!(lines.next().is_none(), "{name} stands twice: {self:?}");
        line
    }
}

impl WebServer {
    /// Starts a program and waits until it listens.
    async fn start(command: &mut Command, port: u16, folder: TempDir) -> Self {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}: run `make tools`"));
        let mut server = Self { child, port, folder };
        let end = Instant::now() + SOON;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{ended:?}: {}", server.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sixty kilobytes of headers, beside those that matter.
fn large_cookies() -> String {
    [0, 1, 2, 3].map(|n| format!("Cookie: big{n}={}\r\n", "x".repeat(15_000))).concat()
}

/// Sets at places with long names, and their entries in the ledger.
fn old_sets(count: usize) -> impl Iterator<Item = String> {
    let scope = |number| edgemint::cookies::CookieScope {
        domain: Some("example.org".to_owned()),
        path: edgemint::access::PathPrefix::parse(&format!(
            "/people/0f8fad5b-d9cb-469f-a165-70867728950e/project-{number}/"
        ))
        .unwrap(),
    };
    let lines = move |number| {
        let scope = scope(number);
        let path = scope.path.to_string();
        let entry = edgemint::cookies::ledger_cookie_name(&scope);
        let digest = "0".repeat(16);
        [
            format!("CloudFront-Policy=old; Path={path}; Domain=example.org; Secure"),
            format!("{entry}=1|1767294000|{digest}|00000000|example.org|{path}; Path=/; Secure"),
        ]
    };
    (0..count).flat_map(lines)
}

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// The path of a web server's program, which need not be in everybody's `PATH`.
fn program(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    if path.exists() { path } else { PathBuf::from(name) }
}

async fn send(port: u16, request: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), "")))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer { status, headers, body: body.to_owned() }
}
