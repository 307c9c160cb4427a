//! A service that is measured: edgemint, or its peer.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::machine;
use crate::node;
use crate::site::{OBJECT, Site};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Edgemint,
    Node,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edgemint => "edgemint",
            Self::Node => "Node.js",
        })
    }
}

/// A process, or a family of them, that ends with this value.
pub(crate) struct Service {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    /// From the call that starts the process to the first 200 from `/readyz`.
    pub(crate) ready_after: Duration,
    process: Child,
}

impl Service {
    pub(crate) fn start(kind: Kind, site: &Site, share: bool) -> anyhow::Result<Self> {
        Self::start_as(kind, site, share, |program| Command::new(program))
    }

    /// Starts a service that signs a policy for each request, on one core.
    pub(crate) fn start_on_first_core(kind: Kind, site: &Site) -> anyhow::Result<Self> {
        Self::start_as(kind, site, false, |program| {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", "0", program]);
            command
        })
    }

    fn start_as(
        kind: Kind,
        site: &Site,
        share: bool,
        program: impl Fn(&str) -> Command,
    ) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        // Both write the record of who got access to a file, as under a service manager.
        let log = File::create(site.path(&format!("{port}.log")))?;
        let mut command = match kind {
            Kind::Edgemint => {
                let mut command = program(env!("CARGO_BIN_EXE_edgemint"));
                command.arg("serve").arg("--config").arg(site.configure(port, share)?);
                command
            }
            Kind::Node => {
                let mut command = program("node");
                command.arg(node::script("server.mjs")).arg(site.description());
                command.arg(port.to_string()).arg(if share { "shared" } else { "own" });
                command
            }
        };
        command.stdout(log).stdin(Stdio::null());
        let begin = Instant::now();
        let process = command.spawn().with_context(|| kind.to_string())?;
        let mut service = Self { kind, port, ready_after: Duration::ZERO, process };
        while !service.is_ready() {
            anyhow::ensure!(begin.elapsed() < Duration::from_secs(20), "{kind} is not ready");
            std::thread::sleep(Duration::from_micros(500));
        }
        service.ready_after = begin.elapsed();
        Ok(service)
    }

    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
            let mut head = [0; 12];
            socket.read_exact(&mut head)?;
            Ok(&head == b"HTTP/1.1 200")
        };
        ask().unwrap_or(false)
    }

    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        machine::cpu_seconds(self.process.id())
    }

    pub(crate) fn resident_megabytes(&self) -> anyhow::Result<f64> {
        machine::resident_megabytes(self.process.id())
    }

    /// Asks as each of a few people, and returns the policies that they got, once `edgemint verify`
    /// has said that CloudFront would open the data to them.
    pub(crate) fn checked_policies(&self, site: &Site) -> anyhow::Result<Vec<String>> {
        let ask = |at: usize| {
            let cookies = site.runtime.block_on(self.cookies(site, at))?;
            let output = Command::new(env!("CARGO_BIN_EXE_edgemint"))
                .args(["verify", "--url", OBJECT, "--cookie", &cookies, "--public-key"])
                .arg(site.public_key())
                .output()?;
            let verdict = String::from_utf8_lossy(&output.stdout);
            anyhow::ensure!(output.status.success(), "{}'s cookies: {verdict}", self.kind);
            let mut pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
            let policy = pairs.find(|(name, _)| *name == "CloudFront-Policy");
            Ok(policy.context("no policy")?.1.to_owned())
        };
        (0..3).map(ask).collect()
    }

    async fn cookies(&self, site: &Site, at: usize) -> anyhow::Result<String> {
        let tokens = &site.tokens[at];
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()?
            .post(format!("http://127.0.0.1:{}/session/cookies", self.port))
            .header("host", format!("viewer.edgemint.localhost:{}", self.port))
            .header("x-amzn-oidc-data", &tokens.claims)
            .header("x-amzn-oidc-accesstoken", &tokens.access)
            .header("x-forwarded-for", "192.0.2.7")
            .send()
            .await?
            .error_for_status()?;
        let lines = answer.headers().get_all("set-cookie").iter();
        let lines: Vec<&str> = lines.map(|line| line.to_str()).collect::<Result<_, _>>()?;
        anyhow::ensure!(
            lines.len() == 4,
            "{}: not three cookies and a ledger: {lines:?}",
            self.kind
        );
        let pairs = lines.iter().filter_map(|line| line.split(';').next());
        Ok(pairs.filter(|pair| pair.starts_with("CloudFront-")).collect::<Vec<_>>().join("; "))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // All at once: what is left of a cluster would complain.
        let family = machine::tree(self.process.id()).unwrap_or_default();
        let family = family.iter().map(ToString::to_string);
        let _ = Command::new("kill").arg("-KILL").args(family).status();
        let _ = self.process.wait();
    }
}
