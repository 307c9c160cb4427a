//! The program itself: its secrets in files and in Parameter Store, its log, and a real browser.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_sdk_ssm::types::ParameterType;
use serde_json::json;

use super::world::{Idp, KEY_ONE, KEY_TWO};
use crate::ministack::MiniStack;
use crate::process::{Service, Site};

/// A site without a load balancer, whose people sign in at a provider of its own.
pub(crate) async fn site(secret: &str, cookie_keys: &str) -> (Idp, Site) {
    let mut site = Site::with("").await;
    let viewer = format!("http://{}", site.public_host);
    let idp = Idp::for_viewer(&viewer, &json!({}));
    let (before, rest) = site.config.split_once("[identity.alb]").unwrap();
    let (_, after) = rest.split_once("[[distribution]]").unwrap();
    let issuer = &idp.issuer;
    site.config = format!(
        r#"{before}
[[identity.provider]]
name = "lab"
issuer = "{issuer}"
client = "viewer"
{secret}
groups = {{ claim = "groups" }}
[identity.login]
{cookie_keys}
[[distribution]]{after}"#
    );
    site.write_config(&site.config);
    (idp, site)
}

async fn begin(site: &Site) -> reqwest::Response {
    let url = format!("http://127.0.0.1:{}/session/login", site.port);
    let request = super::world::client().get(url).header("host", &site.public_host);
    request.header("accept", "text/html").send().await.unwrap()
}

fn write_private(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn secrets_in_files_are_private_and_read_again_on_a_reload() {
    let (_idp, site) =
        site("client_secret_file = \"client-secret\"", "cookie_keys_file = \"cookie-keys\"").await;
    let folder = site.folder.path().to_owned();
    write_private(&folder.join("client-secret"), "a secret: with odd%20characters\n", 0o600);
    write_private(&folder.join("cookie-keys"), KEY_ONE, 0o644);
    let check = |file: PathBuf| {
        let run = Command::new(env!("CARGO_BIN_EXE_edgemint"))
            .args(["check", "--config", file.to_str().unwrap()])
            .output()
            .unwrap();
        String::from_utf8(run.stdout).unwrap()
    };
    let said = check(site.file());
    assert!(said.contains("cookie_keys_file") && said.contains("chmod 600"), "{said}");
    write_private(&folder.join("cookie-keys"), KEY_ONE, 0o600);
    let said = check(site.file());
    assert!(said.starts_with("ok"), "{said}");
    assert!(said.contains("our own sign-in at lab, http://127.0.0.1:"), "{said}");

    let service = Service::on(site, async |_| {}).await;
    assert_eq!(begin(&service).await.status(), 303);
    let keys = folder.join("cookie-keys");
    write_private(&keys, "nonsense", 0o600);
    service.signal("-HUP");
    let failed = service.wait_for("reload.failed").await;
    assert!(failed.to_string().contains("cookie_keys"), "{failed}");
    assert!(!failed.to_string().contains("nonsense"), "{failed}");
    assert_eq!(begin(&service).await.status(), 303, "those of before stay");
    write_private(&keys, &format!("{KEY_TWO}\n{KEY_ONE}\n"), 0o600);
    service.wait_for("reload.done").await;
    assert_eq!(begin(&service).await.status(), 303);
    for secret in [KEY_ONE, KEY_TWO, "odd%20characters"] {
        assert!(!service.log().contains(secret), "{}", service.log());
    }
}

/// Two providers, of which neither answers: what people then see.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_our_own_sign_in_are_accessible() {
    let provider = |name: &str, title: &str| {
        format!(
            "[[identity.provider]]\nname = \"{name}\"\ntitle = \"{title}\"\n\
             issuer = \"http://127.0.0.1:1/{name}\"\nclient = \"viewer\"\n\n"
        )
    };
    let site = Site::with("").await;
    let (before, rest) = site.config.split_once("[identity.alb]").unwrap();
    let (_, after) = rest.split_once("[[distribution]]").unwrap();
    let two = provider("one", "The first lab <em>") + &provider("two", "Two");
    site.write_config(&format!("{before}{two}[[distribution]]{after}"));
    let viewer = format!("http://{}", site.public_host);
    let service = Service::on(site, async |_| {}).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let screenshots = screenshots.join("screenshots-of-sign-in");
    std::fs::create_dir_all(&screenshots).unwrap();
    let visit = Command::new("node")
        .arg(root.join("tests/tools/sign_in_pages_browser.mjs"))
        .arg(viewer)
        .arg(screenshots)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&visit.stderr);
    assert!(visit.status.success(), "{said}\n{}", service.log());
}

#[tokio::test]
async fn secrets_in_parameter_store_are_waited_for_with_a_page() {
    let stack = MiniStack::start().await;
    let (_idp, mut site) = site(
        "client_secret = \"ssm:/edgemint/client-secret\"",
        "cookie_keys = \"ssm:/edgemint/cookie-keys\"",
    )
    .await;
    site.environment = stack.environment().to_vec();
    let service = Service::on(site, async |_| {}).await;
    let answer = begin(&service).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("not possible just now"));
    let failed = service.wait_for("secrets.failed").await;
    assert!(failed.to_string().contains("/edgemint/cookie-keys"), "{failed}");

    let client = aws_sdk_ssm::Client::new(&stack.config());
    for (name, value, kind) in [
        ("/edgemint/client-secret", "a secret: with odd%20characters", ParameterType::SecureString),
        ("/edgemint/cookie-keys", KEY_ONE, ParameterType::String),
    ] {
        client.put_parameter().name(name).value(value).r#type(kind).send().await.unwrap();
    }
    let failed = service.wait_for("not a SecureString").await;
    assert!(!failed.to_string().contains(KEY_ONE), "{failed}");
    assert_eq!(begin(&service).await.status(), 503, "what lies open is not used");
    client.delete_parameter().name("/edgemint/cookie-keys").send().await.unwrap();
    let put = client.put_parameter().name("/edgemint/cookie-keys").value(KEY_ONE);
    put.r#type(ParameterType::SecureString).send().await.unwrap();
    // Asked again after 2 s, 4 s and so on.
    let end = Instant::now() + Duration::from_secs(40);
    while begin(&service).await.status() != 303 {
        assert!(Instant::now() < end, "{}", service.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn people_sign_in_and_out_in_a_real_browser_with_two_tabs() {
    let (idp, site) =
        site("client_secret = \"a secret: with odd%20characters\"", "recheck = \"10s\"").await;
    let folder = site.folder.path().join("viewer");
    std::fs::create_dir(&folder).unwrap();
    let page = "<!doctype html><title>viewer</title><h1>The viewer</h1>";
    std::fs::write(folder.join("index.html"), page).unwrap();
    site.write_config(&format!("{}\n[viewer]\nroot = \"viewer\"\n", site.config));
    let service = Service::on(site, async |_| {}).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/sign_in_browser.mjs");
    let mut walk = tokio::process::Command::new("node");
    walk.arg(script).arg(format!("http://{}", service.public_host));
    let walk = walk.output().await.unwrap();
    let said = String::from_utf8_lossy(&walk.stderr);
    assert!(walk.status.success(), "{said}\nThe service said:\n{}", service.log());
    let counts = idp.counts();
    assert_eq!(counts["token"], 3, "two sign-ins, and one refresh for two tabs: {counts}");
    let done = service.wait_for("login.done").await;
    assert_eq!(done["provider"], "lab", "{done}");
    for token in ["eyJ", "code="] {
        assert!(!service.log().contains(token), "{}", service.log());
    }
}
