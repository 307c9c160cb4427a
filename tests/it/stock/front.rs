//! nginx, which ends TLS and HTTP/2 for every host of the world, and writes down each request.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::world::Topology;
use crate::ports::free_port;
use crate::tools::openssl;

/// Where what stands behind nginx listens.
pub(super) struct Behind {
    pub(super) balancer: SocketAddr,
    pub(super) edgemint: SocketAddr,
    pub(super) provider: SocketAddr,
    pub(super) data: SocketAddr,
    pub(super) archive: SocketAddr,
    pub(super) data_b: SocketAddr,
    pub(super) data_c: SocketAddr,
}

/// nginx at work; killed when dropped.
pub(super) struct Front {
    child: Child,
    pub(super) port: u16,
}

impl Front {
    /// Starts nginx in a folder, which holds the hosts' files and gets `requests.log`.
    pub(super) fn start(folder: &Path, topology: Topology, behind: &Behind) -> Self {
        // Its workers may run as somebody else.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        let port = free_port();
        fs::write(folder.join("nginx.conf"), configuration(folder, port, topology, behind))
            .unwrap();
        let nginx = ["/usr/sbin/nginx", "nginx"].into_iter().find(|name| Path::new(name).exists());
        let child = Command::new(nginx.unwrap_or("nginx"))
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .args(["-e", "error.log"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("nginx: {error}: run `make tools`"));
        let mut front = Self { child, port };
        let patience = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = front.child.try_wait().unwrap();
            let log = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < patience, "nginx: {ended:?}: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
        front
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // Unlike a kill, it takes the workers along.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// Makes a CA and a certificate of it for every host, and returns the digest of the latter's public key,
/// by which Chromium believes it.
pub(super) fn certify(folder: &Path) -> String {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let authority =
        ["req", "-x509", "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem"];
    make(folder, &[&authority[..], &key].concat());
    let names = "subjectAltName=DNS:*.example.test,DNS:*.other.test,DNS:*.provider.test";
    let server = ["req", "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=example.test"];
    let extensions = ["-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"];
    let files = ["-keyout", "server.key", "-out", "server.pem"];
    make(folder, &[&server[..], &extensions, &files, &key].concat());
    let public = make(folder, &["x509", "-in", "server.pem", "-noout", "-pubkey"]);
    fs::write(folder.join("server.pub"), public).unwrap();
    let der = make(folder, &["pkey", "-pubin", "-in", "server.pub", "-outform", "DER"]);
    STANDARD.encode(Sha256::digest(der))
}

fn make(folder: &Path, args: &[&str]) -> Vec<u8> {
    let made = openssl(folder, args);
    assert!(made.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

fn configuration(folder: &Path, port: u16, topology: Topology, behind: &Behind) -> String {
    let at = folder.display();
    let Behind { balancer, edgemint, provider, data, archive, data_b, data_c } = behind;
    // Worker processes would read the files of root's temporary folder as somebody else.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let one_host = match topology {
        Topology::OneHost => format!(
            "location /data/ {{ proxy_pass http://{data};
             add_header Content-Security-Policy \"sandbox; default-src 'none'\" always; }}"
        ),
        Topology::Siblings | Topology::Handoff => String::new(),
    };
    let handoff = [("data-b", data_b), ("data-c", data_c)]
        .map(|(name, edge)| takes_handoffs(name, port, *edge, *edgemint))
        .concat();
    format!(
        r#"{user}
daemon off;
worker_processes 1;
pid {at}/nginx.pid;
error_log {at}/error.log;
events {{ worker_connections 1024; }}
http {{
    types {{ text/html html; application/json json; image/png png; text/xml dzi xml; }}
    default_type application/octet-stream;
    log_format requests escape=json '{{"at":$msec,"host":"$host","method":"$request_method","uri":"$request_uri",'
        '"status":$status,"cookie":"$http_cookie","origin":"$http_origin","referer":"$http_referer",'
        '"range":"$http_range","authorization":"$http_authorization","mode":"$http_sec_fetch_mode"}}';
    access_log {at}/requests.log requests;
    ssl_certificate {at}/server.pem;
    ssl_certificate_key {at}/server.key;
    client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
    large_client_header_buffers 8 64k;
    proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 64k;
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For "";
    server {{
        listen 127.0.0.1:{port} ssl http2 default_server;
        return 404;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name viewer.example.test;
        location / {{ proxy_pass http://{balancer}; }}
        {one_host}
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name login.provider.test;
        location / {{ proxy_pass http://{provider}; }}
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name data.example.test;
        location / {{ proxy_pass http://{data}; }}
        # A bucket that the distribution may not list: what is absent is forbidden.
        location /lab-a/sparse/ {{
            proxy_pass http://{data};
            proxy_intercept_errors on;
            error_page 404 =403 @absent;
        }}
        location @absent {{
            internal;
            add_header Access-Control-Allow-Origin https://viewer.example.test always;
            add_header Access-Control-Allow-Credentials true always;
            return 403;
        }}
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name archive.example.test;
        location / {{ proxy_pass http://{archive}; }}
    }}
    {handoff}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name public.other.test;
        root {at}/public;
        add_header Access-Control-Allow-Origin * always;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name evil.example.test data.example.test.evil.example.test;
        root {at}/evil;
        add_header Access-Control-Allow-Origin * always;
        # Where browsers would send the cookies of data, if anybody made them.
        location /lab-a/ {{ return 200 "bait"; }}
    }}
}}
"#
    )
}

/// A data host that leads a part of its paths to edgemint, as its distribution does.
fn takes_handoffs(name: &str, port: u16, edge: SocketAddr, edgemint: SocketAddr) -> String {
    format!(
        "server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name {name}.example.test;
        location / {{ proxy_pass http://{edge}; }}
        location /session/ {{
            proxy_pass http://{edgemint};
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header Host $host;
        }}
    }}
    "
    )
}
