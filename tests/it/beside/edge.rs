//! nginx by `edge.conf`: without a load balancer, browsers connect to it by TLS. Beside it runs the
//! program, on the configuration of the README, and signs people in at a real provider.

use std::net::IpAddr;

use cookie_store::CookieStore;
use reqwest::{Client, Method, Response};
use serde_json::json;

use super::nginx::{GUARD, PAGES, run};
use super::*;
use crate::process::{Service, Site as Prepared};
use crate::sign_in::world::Idp;

const EDGE: &str = "nginx/edge.conf";
const NAME: &str = "viewer.edgemint.localhost";
/// Where the servers' heads end, and what is served begins.
const SERVED: &str = "    error_page 502 504 = @unavailable;";
const SECRET: &str = "a secret: with odd%20characters";

/// The whole of it.
struct Edge {
    service: Service,
    idp: Idp,
    port: u16,
    plain_port: u16,
    certificate: Vec<u8>,
    _nginx: WebServer,
}

/// Who connects from an address of this machine, and holds cookies.
struct Visitor {
    client: Client,
    jar: CookieStore,
}

impl Edge {
    /// Starts everything, with changes to the README's configuration.
    async fn start(change: impl FnOnce(String) -> String) -> Self {
        Self::by(&fs::read_to_string(deploy(EDGE)).unwrap(), change).await
    }

    /// Starts everything by a form of nginx's configuration.
    async fn by(form: &str, change: impl FnOnce(String) -> String) -> Self {
        let (port, plain_port) = (free_port(), free_port());
        let viewer = format!("https://{NAME}:{port}");
        let idp = Idp::for_viewer(&viewer, &json!({}));
        let mut site = Prepared::prepare().await;
        site.public_host = format!("{NAME}:{port}");
        let config = change(quick_start(&viewer, &idp.issuer));
        let config = config.replace("127.0.0.1:8081", &format!("127.0.0.1:{}", site.port));
        site.write_config(&format!("{config}\n[log]\nformat = \"json\"\n"));
        lay_out(site.folder.path());
        let certificate = certify(site.folder.path());
        let text = localized(form, site.folder.path(), site.port, port, plain_port);
        let service = Service::on(site, async |_| {}).await;
        let nginx = run(&text, port).await;
        Self { service, idp, port, plain_port, certificate, _nginx: nginx }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{NAME}:{}{path}", self.port)
    }

    /// Somebody who asks from an address, and believes the site's certificate alone.
    fn visitor(&self, from: &str) -> Visitor {
        let certificate = reqwest::Certificate::from_pem(&self.certificate).unwrap();
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([certificate])
            .local_address(from.parse::<IpAddr>().unwrap())
            .resolve(NAME, SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
            .resolve("other.example.org", SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Visitor { client, jar: CookieStore::default() }
    }
}

impl Visitor {
    /// Asks, with what it holds and an invented address, and keeps what it is given.
    async fn ask(&mut self, method: Method, url: &str, body: &str) -> Response {
        let url = Url::parse(url).unwrap();
        let held = self.jar.get_request_values(&url).map(|(name, value)| format!("{name}={value}"));
        let held = held.collect::<Vec<_>>().join("; ");
        let mut request = self.client.request(method, url.clone());
        request = request.header("accept", "text/html").header("sec-fetch-mode", "navigate");
        request = request.header("cookie", held).header("x-forwarded-for", "6.6.6.6");
        request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body.to_owned()).send().await.unwrap();
        for line in answer.headers().get_all("set-cookie") {
            let _ = self.jar.parse(line.to_str().unwrap(), &url);
        }
        answer
    }

    /// Follows redirects, and says who it is where the provider asks. Returns the way, and the last answer.
    async fn walk(&mut self, url: &str, login: &str) -> (Vec<Url>, Response) {
        let mut way = vec![Url::parse(url).unwrap()];
        while way.len() < 12 {
            let url = way.last().unwrap().clone();
            let at_login = url.path().starts_with("/interaction/");
            let method = if at_login { Method::POST } else { Method::GET };
            let body = if at_login { format!("login={login}") } else { String::new() };
            let answer = self.ask(method, url.as_str(), &body).await;
            let Some(next) = answer.headers().get("location") else { return (way, answer) };
            way.push(url.join(next.to_str().unwrap()).unwrap());
        }
        panic!("round in circles: {way:?}");
    }

    fn policy(&self) -> String {
        let policy = edgemint::policy::base64::decode(&self.value("CloudFront-Policy")).unwrap();
        String::from_utf8(policy).unwrap()
    }

    fn value(&self, name: &str) -> String {
        let cookie = self.jar.iter_any().find(|cookie| cookie.name() == name);
        cookie.unwrap_or_else(|| panic!("no {name}: {:?}", self.jar)).value().to_owned()
    }
}

/// The README's configuration, with names and addresses of this machine.
fn quick_start(viewer: &str, issuer: &str) -> String {
    let text = include_str!("../../../README.md");
    let (_, part) = text.split_once("## Without a load balancer").unwrap();
    assert!(part.contains("edgemint keys cookie --out cookie-keys"), "as below");
    let mut config =
        part.split("```toml\n").nth(1).unwrap().split("```").next().unwrap().to_owned();
    for (from, to) in [
        ("https://viewer.example.org", viewer),
        ("https://login.example.org/realms/lab", issuer),
        ("client = \"edgemint\"", "client = \"viewer\""),
        ("data.example.org", "data.edgemint.localhost"),
        ("/srv/neuroglancer", "viewer"),
    ] {
        assert!(config.contains(from), "no {from} in {config}");
        config = config.replace(from, to);
    }
    config
}

/// The viewer's files and the secrets, as the README's commands make them.
fn lay_out(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.join("viewer")).unwrap();
    fs::write(folder.join("viewer/index.html"), "<!doctype html><title>viewer</title>").unwrap();
    fs::write(folder.join("viewer/main.js"), "console.log(1)").unwrap();
    let secret = folder.join("client-secret");
    fs::write(&secret, SECRET).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgemint"));
    command.args(["keys", "cookie", "--out", "cookie-keys"]).current_dir(folder);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Makes a certificate for the site's name, and returns it.
fn certify(folder: &Path) -> Vec<u8> {
    let name = format!("subjectAltName=DNS:{NAME}");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-subj", "/CN=viewer", "-days", "2", "-addext", &name])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-out", "viewer.pem", "-keyout", "viewer.key"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read(folder.join("viewer.pem")).unwrap()
}

/// nginx's configuration, with what is the site's own replaced, and the ports.
fn localized(form: &str, folder: &Path, edgemint: u16, port: u16, plain_port: u16) -> String {
    let mut text = form.to_owned();
    for (from, to) in [
        ("listen 80;", format!("listen 127.0.0.1:{plain_port};")),
        ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
        ("https://viewer.example.org", format!("https://{NAME}:{port}")),
        ("viewer.example.org", NAME.to_owned()),
        ("127.0.0.1:8081", format!("127.0.0.1:{edgemint}")),
        ("/etc/nginx/tls", folder.display().to_string()),
        ("/srv/neuroglancer", folder.join("viewer").display().to_string()),
    ] {
        let in_text = text.lines().any(|line| !line.trim().starts_with('#') && line.contains(from));
        assert!(in_text, "no {from} in {text}");
        text = text.replace(from, &to);
    }
    text
}

/// What deploy/nginx/README.md says of a guarded site without a load balancer.
fn guarded() -> String {
    let [edge, guard] = [EDGE, GUARD].map(|name| fs::read_to_string(deploy(name)).unwrap());
    let (head, _) = edge.split_once(SERVED).unwrap();
    let (before, served) = guard.split_once(SERVED).unwrap();
    let map = &before[before.find("map $edgemint_set_cookie_1").unwrap()..];
    let map = &map[..map.find("\n}\n").unwrap() + 3];
    format!("{map}{head}{SERVED}{served}")
}

fn bound_to_addresses(config: &str) -> String {
    config.replacen("[[rule]]", "[[rule]]\nbind_ip = true", 1)
}

#[test]
fn the_edge_serves_what_pages_conf_serves() {
    let served = |name| {
        let text = fs::read_to_string(deploy(name)).unwrap();
        text.split_once(SERVED).unwrap().1.to_owned()
    };
    assert_eq!(served(EDGE), served(PAGES));
}

#[tokio::test]
async fn the_quick_start_without_a_load_balancer_leads_to_cookies_and_data() {
    let edge = Edge::start(|config| bound_to_addresses(&config)).await;
    let mut ada = edge.visitor("127.0.0.2");
    let public = ada.ask(Method::GET, &edge.url("/"), "").await;
    assert_eq!(public.status(), 200);
    assert!(public.headers()["strict-transport-security"].to_str().unwrap().contains("max-age="));
    let script = ada.ask(Method::GET, &edge.url("/main.js"), "").await;
    assert_eq!(script.text().await.unwrap(), "console.log(1)");

    let (way, page) = ada.walk(&edge.url("/session/login"), "ada").await;
    assert!(way[1].as_str().starts_with(&edge.idp.issuer), "{way:?}");
    let callback = edge.url("/session/callback/lab");
    let asked = way[1].query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1;
    assert_eq!(asked, callback);
    assert!(way.iter().any(|url| url.as_str().starts_with(&format!("{callback}?"))), "{way:?}");
    assert_eq!((page.status().as_u16(), page.url().as_str()), (200, edge.url("/").as_str()));
    assert!(page.text().await.unwrap().contains("<title>viewer</title>"));

    let session = ada.ask(Method::GET, &edge.url("/session/cookies"), "").await;
    assert_eq!(session.status(), 200);
    let policy = ada.policy();
    assert!(policy.contains("https://data.edgemint.localhost/lab-a/*"), "{policy}");
    assert!(policy.contains("127.0.0.2/32"), "{policy}");
    assert!(!ada.value("CloudFront-Signature").is_empty());
    let issued = edge.service.wait_for("cookies.issued").await;
    assert_eq!(issued["address"], "127.0.0.2", "{issued}");
}

#[tokio::test]
async fn a_guarded_site_can_be_the_edge_too() {
    let edge = Edge::by(&guarded(), |config| bound_to_addresses(&config)).await;
    let mut ada = edge.visitor("127.0.0.2");
    let (way, page) = ada.walk(&edge.url("/"), "ada").await;
    assert_eq!(way[1].as_str(), edge.url("/session/login?return_to=%2F"));
    assert_eq!((page.status().as_u16(), page.url().as_str()), (200, edge.url("/").as_str()));
    // Without those of the callback: nginx's question gives them again.
    ada.jar.remove("edgemint.localhost", "/lab-a/", "CloudFront-Policy");
    let ledger = ada.jar.iter_any().map(|cookie| cookie.name().to_owned());
    let ledger: Vec<_> = ledger.filter(|name| name.starts_with("__Host-edgemint-set-")).collect();
    for name in ledger {
        ada.jar.remove(NAME, "/", &name);
    }
    let page = ada.ask(Method::GET, &edge.url("/"), "").await;
    assert_eq!(page.status(), 200);
    assert!(ada.policy().contains("127.0.0.2/32"), "{}", ada.policy());
}

#[tokio::test]
async fn a_browser_that_invents_its_address_is_still_counted_by_its_own() {
    let limit = |config: String| format!("{config}\n[limits]\nasks_per_minute_per_address = 4\n");
    let edge = Edge::start(limit).await;
    let (one, two) = (edge.visitor("127.0.0.1"), edge.visitor("127.0.0.2"));
    let ask = async |visitor: &Visitor, invented: &[(&str, &str)]| {
        let mut request = visitor.client.post(edge.url("/session/cookies"));
        for (name, value) in invented {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let inventions: [&[(&str, &str)]; 4] = [
        &[],
        &[("x-forwarded-for", "192.0.2.1")],
        &[("x-forwarded-for", "192.0.2.2"), ("x-forwarded-for", "192.0.2.3, 127.0.0.2")],
        &[
            ("x_forwarded_for", "192.0.2.4"),
            ("x-real-ip", "192.0.2.4"),
            ("forwarded", "for=192.0.2.4"),
        ],
    ];
    for invented in inventions {
        assert_eq!(ask(&one, invented).await, 401, "{invented:?}");
    }
    for invented in inventions {
        assert_eq!(ask(&one, invented).await, 429, "{invented:?}");
    }
    for invented in [&[("x-forwarded-for", "127.0.0.1")][..], &[]] {
        assert_eq!(ask(&two, invented).await, 401, "an address has a limit of its own");
    }
}

#[tokio::test]
async fn without_tls_there_is_a_redirect_to_the_sites_own_name_and_nothing_else() {
    let edge = Edge::start(|config| config).await;
    for (target, host, to) in [
        ("/", NAME, "/"),
        ("/session/login?return_to=%2F", NAME, "/session/login?return_to=%2F"),
        ("//evil.net/", "evil.net", "//evil.net/"),
        ("http://evil.net/x", "evil.net", "/x"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = timeout(SOON, send(edge.plain_port, &request)).await.unwrap();
        assert_eq!((answer.status, answer.header("location")), (301, edge.url(to).as_str()));
        assert_eq!(answer.header("set-cookie"), "");
    }
    let ada = edge.visitor("127.0.0.1");
    let other = ada.client.get(edge.url("/")).header("host", "other.example.org").send().await;
    assert_eq!(other.unwrap().status(), 421);
    let other = ada.client.get(format!("https://other.example.org:{}/", edge.port)).send().await;
    assert!(format!("{:?}", other.unwrap_err()).contains("UnrecognisedName"));
}
