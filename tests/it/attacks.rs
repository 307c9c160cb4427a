//! The attacks that docs/THREATS.md lists, by their numbers. Each is refused or harms nobody, and a
//! wrong credential leaves its reason in the record, and nothing of itself.
//!
//! A case stands here once, whatever shows parts of it elsewhere. Without a socket where bytes on the
//! wire play no part, else against the program.

/// What a browser is made to do.
mod browser;
/// What stays in browsers and caches, and on its way there.
mod cookies;
/// The servers that the service itself asks.
mod fetches;
/// The viewer bundle's folder.
mod files;
/// Tokens of every dialect.
mod forge;
/// Tokens that carry an identity to a data host.
mod handoff;
/// The machine and the operator.
mod operations;
/// Where a browser is sent.
mod redirect;
/// Paths, hosts, methods and headers that are spelled to be taken for others.
mod routing;
/// Tokens that are wrong, over every dialect.
mod token;
/// Bytes that no honest client sends.
mod wire;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;

use crate::process::Service;
use crate::support::{Answer, App, bare, person};

const SITE: &str = "https://viewer.example.org";

const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");

/// After so long without a byte nothing more is expected.
const SILENCE: Duration = Duration::from_millis(700);

/// What this thread writes to the log, in the form that is the default.
pub(crate) struct Log {
    lines: Lines,
    _writing: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(crate) fn start() -> Self {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        Self { lines, _writing: tracing::subscriber::set_default(subscriber) }
    }

    /// What was written since the last time.
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.lines.0.lock().unwrap())).unwrap()
    }
}

/// A site without limits per person and address, which would answer before anything else does; they have
/// tests of their own.
fn unlimited(config: &str) -> App {
    App::with(&format!(
        "{config}\n[limits]\nasks_per_minute_per_subject = 0\nasks_per_minute_per_address = 0\n"
    ))
}

/// Sends an attack, which must be refused with `status`, opens nothing, and leaves one line with a
/// reason in the record and none of its `secrets`.
async fn refused(
    app: &App,
    log: &Log,
    what: &str,
    request: Request<Body>,
    status: u16,
    secrets: &[&str],
) -> Answer {
    log.take();
    let answer = app.send(request).await;
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert_opens_nothing(&answer, what);
    let record = log.take();
    let lines: Vec<&str> = record.lines().collect();
    assert_eq!(lines.len(), 1, "{what}: {record}");
    assert!(lines[0].contains("event=\"cookies.refused\""), "{what}: {record}");
    assert!(
        lines[0].contains(" reason=\"") && !lines[0].contains(" reason=\"\""),
        "{what}: {record}"
    );
    for secret in secrets.iter().filter(|secret| secret.len() >= 12) {
        assert!(!record.contains(*secret), "{what}: {secret} in {record}");
        assert!(!answer.text().contains(*secret), "{what}: {secret} in {}", answer.text());
    }
    answer
}

/// No cookie that reads anything, nothing that another origin may read, nothing that a cache keeps.
fn assert_opens_nothing(answer: &Answer, what: &str) {
    for line in answer.set_cookies() {
        assert!(line.ends_with("Max-Age=0"), "{what}: {line}");
    }
    for name in ["access-control-allow-origin", "access-control-allow-credentials"] {
        assert_eq!(answer.header(name), "", "{what}");
    }
    if answer.status != 404 || !answer.set_cookies().is_empty() {
        assert_eq!(answer.header("cache-control"), "no-store, private", "{what}");
    }
}

/// A request of Ada's, with headers beside those of the load balancer.
async fn ada(app: &App, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    app.with_headers(person("Ada"), method, path, headers).await
}

/// A request of nobody's.
async fn nobody(app: &App, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers
        .iter()
        .fold(bare(method, path), |request, (name, value)| request.header(*name, *value));
    app.send(request.body(Body::empty()).unwrap()).await
}

impl Service {
    /// The head of a request of Ada's, whose connection ends with its answer.
    fn of_ada(&self, line: &str, headers: &str) -> String {
        let identity =
            self.identity(person("Ada")).map(|(name, value)| format!("{name}: {value}\r\n"));
        let host = &self.public_host;
        let identity = identity.concat();
        format!("{line}\r\nHost: {host}\r\nConnection: close\r\n{identity}{headers}\r\n")
    }

    /// The head of a request of nobody's.
    fn of_nobody(&self, line: &str, headers: &str) -> String {
        format!("{line}\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.public_host)
    }

    /// What the program says to some bytes.
    async fn says(&self, bytes: impl AsRef<[u8]>) -> String {
        says(self.port, bytes).await
    }
}

/// What comes back for some bytes, until the end of the connection or a silence.
async fn says(port: u16, bytes: impl AsRef<[u8]>) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // Whoever is refused early may be cut while it sends.
    let _ = socket.write_all(bytes.as_ref()).await;
    let (mut said, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(Ok(read @ 1..)) = timeout(SILENCE, socket.read(&mut buffer)).await {
        said.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// The statuses of all answers in what was said.
fn statuses(said: &str) -> Vec<u16> {
    let answers = said.split("HTTP/1.1 ").skip(1);
    answers.map(|answer| answer.split(' ').next().unwrap().parse().unwrap()).collect()
}
