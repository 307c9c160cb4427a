use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use edgemint::authn::{FetchError, Fetcher as _, HttpFetcher, Reach};
use edgemint::config::{Environment, parse};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::Service;
use super::forge::Forge;
use crate::process::Site;
use crate::support::{ARN, App, CONFIG, person};

/// A server that sends whoever asks elsewhere, and counts those who come.
async fn redirecting(status: u16, to: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/key", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = socket.read(&mut [0; 2048]).await;
            let answer = format!(
                "HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nRefresh: 0; url={to}\r\nAlt-Svc: h2=\"{to}\"\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

#[tokio::test]
async fn case_58_no_redirect_is_followed() {
    let fetcher = HttpFetcher::new(Reach::Laptop).unwrap();
    let (inside, reached) = redirecting(200, "http://169.254.169.254/".to_owned()).await;
    for status in [301, 302, 303, 307, 308, 300, 305] {
        let (url, asked) = redirecting(status, inside.clone()).await;
        let answer = fetcher.fetch(&url).await;
        assert_eq!(answer, Err(FetchError::Status(status)));
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{status}: once");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0, "a redirect was followed");
}

/// Tables of fronts, with `URL` where one is fetched from.
const FETCHED: &[&str] = &[
    "[identity.alb]\nregion = \"us-east-1\"\nsigner = [\"ARN\"]\nclient = \"c\"\npublic_key_url = \"URL/{kid}\"",
    "[identity.alb]\nregion = \"us-east-1\"\nsigner = [\"ARN\"]\nclient = \"c\"\ngroups = { issuer = \"URL\" }",
    "[identity.verified_access]\nregion = \"us-east-1\"\nsigner = [\"VAI\"]\npublic_key_url = \"URL/{kid}\"",
    "[identity.cloudflare_access]\nteam = \"URL\"\naudience = [\"a\"]",
    "[identity.cloudflare_access]\nteam = \"https://x.cloudflareaccess.com\"\naudience = [\"a\"]\njwks_url = \"URL\"",
    "[identity.google_iap]\naudience = [\"a\"]\njwks_url = \"URL\"",
    "[identity.pomerium]\nissuer = \"i\"\naudience = [\"a\"]\njwks_url = \"URL\"",
    "[[identity.bearer]]\nissuer = \"URL\"\nclient = [\"c\"]\njwks_url = \"https://login.example.org/keys\"",
    "[[identity.bearer]]\nissuer = \"https://login.example.org\"\nclient = [\"c\"]\njwks_url = \"URL\"",
];

/// The site's configuration with one front, whose keys are at a URL.
fn fetching_from(table: &str, url: &str) -> String {
    let (before, rest) = CONFIG.split_once("[identity.alb]").unwrap();
    let (_, after) = rest.split_once("[[distribution]]").unwrap();
    let table =
        table.replace("ARN", ARN).replace("VAI", crate::minter::INSTANCE).replace("URL", url);
    format!("{before}{table}\n[[distribution]]{after}")
}

#[test]
fn case_58_no_configured_address_leads_inside() {
    let wrong = |text: &str| {
        parse(Path::new("edgemint.toml"), text, &Environment::default())
            .err()
            .map(|error| error.to_string())
    };
    for table in FETCHED {
        assert_eq!(wrong(&fetching_from(table, "https://keys.example.org/x")), None, "{table}");
        for url in INSIDE {
            let error = wrong(&fetching_from(table, url));
            assert!(error.is_some_and(|error| error.contains("identity.")), "{table} {url}");
        }
        for url in ["https://{kid}.example.org", "https://{kid}", "https://x:{kid}@example.org"] {
            let text = fetching_from(table, url);
            assert!(!table.contains("{kid}") || wrong(&text).is_some(), "{table} {url}");
        }
    }
}

/// URLs of what nobody outside can reach, or of what is no server of keys.
const INSIDE: &[&str] = &[
    "http://169.254.169.254/latest",
    "https://169.254.169.254/latest",
    "http://[fd00:ec2::254]/latest",
    "https://[fd00:ec2::254]/latest",
    "https://2852039166/latest",
    "https://0xa9fea9fe/latest",
    "https://0251.0376.0251.0376/x",
    "http://127.0.0.1:9000/keys",
    "https://127.0.0.1/keys",
    "https://[::1]/keys",
    "https://[::ffff:169.254.169.254]/keys",
    "http://localhost/keys",
    "http://metadata.google.internal/",
    "file:///etc/passwd",
    "ftp://keys.example.org/",
    "gopher://127.0.0.1:6379/",
    "https://ada:pw@keys.example.org/",
    "https://keys.example.org/#x",
    "//keys.example.org/",
    "keys",
    "",
];

/// A proxy of the environment is asked by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn case_58_keys_are_fetched_past_any_proxy_of_the_environment() {
    let (proxy, asked) = redirecting(200, "http://127.0.0.1/".to_owned()).await;
    let mut site = Site::prepare().await;
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        site.environment.push((name, proxy.clone()));
    }
    let service = Service::on(site, async |_| {}).await;
    assert_eq!(service.cookies(person("Ada")).await.status(), 200);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn case_60_an_outage_of_the_key_service_stops_new_keys_only() {
    let mut forge = Forge::new();
    for at in 0..Forge::IN_HEADERS {
        forge.restart();
        let (front, source) = (forge.fronts()[at], &forge.app.source);
        let ask = async || front.ask(&front.good()).await.unwrap();
        let name = front.name();
        source.set_down(true);
        let cold = ask().await;
        assert_eq!((cold.status.as_u16(), cold.header("retry-after")), (503, "1"), "{name}");
        assert_eq!(cold.set_cookies(), Vec::<String>::new(), "{name}");
        assert!(forge.log.take().contains("status=503"), "{name}");
        let asked = forge.fetches();
        for _ in 0..20 {
            assert_eq!(ask().await.status, 503, "{name}");
        }
        assert_eq!(forge.fetches(), asked, "{name}: nobody asks again at once");
        source.set_down(false);
        forge.app.clock.advance(31);
        front.accepts("once it answers", &front.good()).await;
        source.set_down(true);
        forge.app.clock.advance(20 * 3600);
        front.accepts("a known key serves on", &front.good()).await;
        // The keys that sign are a day old by now; they are not what ends.
        forge.app.state.swap(App::load(&forge.app.folder).unwrap());
        forge.app.clock.advance(5 * 3600);
        let stale = ask().await;
        assert!(stale.status == 503 && stale.text().contains("keys-unavailable"), "{name}");
    }
}
