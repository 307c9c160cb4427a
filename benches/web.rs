//! A server of files that is measured: edgemint, or nginx as those who know it set it up for files.

use std::fmt;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::h2load::Protocol;
use crate::machine::{self, cores};
use crate::site::Site;

/// Where Debian's `libnginx-mod-http-brotli-static` is.
const BROTLI: &str = "/usr/lib/nginx/modules/ngx_http_brotli_static_module.so";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Edgemint { shim: bool },
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::Edgemint { shim: false } => "edgemint",
            Self::Edgemint { shim: true } => "edgemint with the shim",
        })
    }
}

/// A process, or a family of them, that ends with this value.
pub(crate) struct Web {
    pub(crate) kind: Kind,
    /// From the call that starts the process to the first answer with a page.
    pub(crate) first_byte_after: Duration,
    http1: u16,
    http2: u16,
    process: Child,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Web {
    pub(crate) fn start(kind: Kind, site: &Site, files: &Path) -> anyhow::Result<Self> {
        let (http1, second) = (free_port()?, free_port()?);
        let (command, http2) = match kind {
            // It tells the protocols apart by their first bytes.
            Kind::Edgemint { shim } => (edgemint(site, files, http1, shim)?, http1),
            Kind::Nginx => (nginx(site, files, http1, second)?, second),
        };
        Self::run(kind, site, command, (http1, http2))
    }

    /// An nginx that serves these files to pages of other hosts, and whose further servers say to `behind`,
    /// each at a port of its own, who asks, as a load balancer does. Returns their ports, too.
    pub(crate) fn front(
        site: &Site,
        files: &Path,
        headers: &[(&str, &str)],
        behind: &[&Self],
    ) -> anyhow::Result<(Self, Vec<u16>)> {
        let (port, files) = (free_port()?, files.display());
        let mut servers = format!(
            "server {{\nlisten 127.0.0.1:{port};\nroot {files};\n\
             add_header Access-Control-Allow-Origin $http_origin;\n\
             add_header Access-Control-Allow-Credentials true;\n}}\n"
        );
        let said =
            headers.iter().map(|(name, value)| format!("proxy_set_header {name} {value};\n"));
        let said: String = said.collect();
        let mut ports = Vec::new();
        for one in behind {
            let (at, to) = (free_port()?, one.http1);
            let server = format!(
                "server {{\nlisten 127.0.0.1:{at};\nlocation / {{\nproxy_pass http://127.0.0.1:{to};\n\
                 proxy_set_header Host $http_host;\n{said}}}\n}}\n"
            );
            servers.push_str(&server);
            ports.push(at);
        }
        let command = nginx_with(site, port, &servers)?;
        Ok((Self::run(Kind::Nginx, site, command, (port, port))?, ports))
    }

    fn run(
        kind: Kind,
        site: &Site,
        mut command: Command,
        (http1, http2): (u16, u16),
    ) -> anyhow::Result<Self> {
        let log = File::create(site.path(&format!("{http1}.log")))?;
        command.stdout(log).stdin(Stdio::null());
        let begin = Instant::now();
        let process = command.spawn().with_context(|| kind.to_string())?;
        let mut server = Self { kind, http1, http2, process, first_byte_after: Duration::ZERO };
        while !server.get(site, "/index.html", &[]).is_ok_and(|answer| answer.status == 200) {
            anyhow::ensure!(begin.elapsed() < Duration::from_secs(20), "{kind} does not answer");
            std::thread::sleep(Duration::from_micros(500));
        }
        server.first_byte_after = begin.elapsed();
        Ok(server)
    }

    pub(crate) fn nginx_has_brotli() -> bool {
        Path::new(BROTLI).exists()
    }

    pub(crate) const fn port(&self, protocol: Protocol) -> u16 {
        match protocol {
            Protocol::Http1 => self.http1,
            Protocol::Http2 => self.http2,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    pub(crate) fn host(&self) -> String {
        format!("viewer.edgemint.localhost:{}", self.http1)
    }

    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        machine::cpu_seconds(self.process.id())
    }

    pub(crate) fn resident_megabytes(&self) -> anyhow::Result<f64> {
        machine::resident_megabytes(self.process.id())
    }

    /// Asks once, over HTTP/1.1; what is compressed stays so.
    pub(crate) fn get(
        &self,
        site: &Site,
        path: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let url = format!("http://127.0.0.1:{}{path}", self.http1);
        site.runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build()?;
            let mut request = client.get(url).header("host", self.host());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = request.send().await?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Ok(Answer { status, headers, body: answer.bytes().await?.to_vec() })
        })
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // All at once, or a master would start another worker.
        let family = machine::tree(self.process.id()).unwrap_or_default();
        let family = family.iter().map(ToString::to_string);
        let _ = Command::new("kill").arg("-KILL").args(family).status();
        let _ = self.process.wait();
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn edgemint(site: &Site, files: &Path, port: u16, shim: bool) -> anyhow::Result<Command> {
    let file = site.configure(port, true)?;
    let mut text = fs::read_to_string(&file)?;
    let shim = if shim { "inline" } else { "off" };
    text += &["[viewer]\nroot = \"", &files.display().to_string(), "\"\nshim = \"", shim, "\"\n"]
        .concat();
    fs::write(&file, text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgemint"));
    command.arg("serve").arg("--config").arg(file);
    Ok(command)
}

/// Everything that makes nginx fast at files: sendfile, files kept open, compressed beforehand, and no log.
fn nginx(site: &Site, files: &Path, http1: u16, http2: u16) -> anyhow::Result<Command> {
    let files = files.display();
    let server = format!(
        "server {{\nlisten 127.0.0.1:{http1} backlog=4096;\nlisten 127.0.0.1:{http2} http2;\nroot {files};\n}}\n"
    );
    nginx_with(site, http1, &server)
}

fn nginx_with(site: &Site, http1: u16, servers: &str) -> anyhow::Result<Command> {
    let folder = site.path(&format!("nginx-{http1}"));
    fs::create_dir(&folder)?;
    let (at, cores) = (folder.display(), cores());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .concat();
    let (module, brotli) = if Web::nginx_has_brotli() {
        (format!("load_module {BROTLI};\n"), "brotli_static on;")
    } else {
        (String::new(), "")
    };
    let text = format!(
        "{module}daemon off;\nuser root;\nworker_processes {cores};\npid {at}/pid;\n\
         error_log {at}/error.log;\nevents {{ worker_connections 1024; }}\nhttp {{\n\
         include /etc/nginx/mime.types;\n{temporary}access_log off;\nsendfile on;\ntcp_nopush on;\n\
         open_file_cache max=1000 inactive=1h;\nopen_file_cache_valid 1h;\nkeepalive_timeout 90;\n\
         keepalive_requests 1000000000;\ngzip_static on;\n{brotli}\n{servers}}}\n"
    );
    fs::write(folder.join("nginx.conf"), text)?;
    let program = Path::new("/usr/sbin/nginx");
    let mut command = Command::new(if program.exists() { program } else { Path::new("nginx") });
    command.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf"));
    command.arg("-e").arg(folder.join("error.log"));
    Ok(command)
}
