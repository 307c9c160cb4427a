use std::sync::Arc;

use super::*;
use crate::support::person;

async fn start(config: &str) -> Site {
    let mut site = Site::of(config);
    let port = free_port();
    let text = site.shipped("apache/pages.conf", "*:8080", port);
    site.web = Some(run(&text, port).await);
    site
}

/// Starts httpd on a site's configuration, after its own check, which must have nothing to say.
async fn run(text: &str, port: u16) -> WebServer {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("apache2.conf"), format!("{}{text}", main_configuration(at, port))).unwrap();
    let apache = || {
        let mut command = Command::new(program("apache2"));
        command.arg("-f").arg(at.join("apache2.conf"));
        command
    };
    let check = apache().arg("-t").output().unwrap();
    let said = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success() && said == "Syntax OK\n", "apache2 -t: {said}");
    WebServer::start(apache().args(["-X"]), port, folder).await
}

/// What Debian's own apache2.conf says, as far as it matters, with every path in one folder.
fn main_configuration(at: &Path, port: u16) -> String {
    let modules: String = [
        "alias",
        "authz_core",
        "autoindex",
        "dir",
        "headers",
        "mime",
        "mpm_event",
        "proxy",
        "proxy_http",
        "reqtimeout",
    ]
    .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
    .concat();
    // Started as root, httpd becomes somebody else; otherwise it has no choice.
    let root =
        fs::metadata(at).is_ok_and(|folder| std::os::unix::fs::MetadataExt::uid(&folder) == 0);
    let user = if root { "User www-data\nGroup www-data\n" } else { "" };
    let at = at.display();
    format!(
        "ServerRoot {at}\nServerName localhost\nListen 127.0.0.1:{port}\n{modules}{user}\
         PidFile {at}/pid\nErrorLog {at}/error.log\nDefaultRuntimeDir {at}\n\
         TypesConfig /etc/mime.types\nServerTokens Prod\n\
         <Directory />\nRequire all denied\nAllowOverride None\n</Directory>\n"
    )
}

#[tokio::test]
async fn files_are_apaches_own_business() {
    let site = start(CONFIG).await;
    let script = site.browser(Some(person("Ada"))).fetch("/main.js").await;
    assert_eq!((script.status, script.body.as_str()), (200, "console.log(1)"));
    assert_eq!(script.header("cache-control"), "no-cache");
    assert_eq!(script.header("set-cookie"), "");
    assert_eq!(site.browser(None).fetch("/.git/config").await.status, 404);
    assert_eq!(site.browser(None).fetch("/gone.js").await.status, 404);
    let folder = site.browser(None).open("/about").await;
    assert_eq!(folder.status, 403, "no redirect to another port: {folder:?}");
    assert_eq!(site.asked(), 0);
}

#[tokio::test]
async fn all_cookies_come_with_the_first_page_and_none_with_the_second() {
    let site = start(&format!("{CONFIG}{MORE_OF_LAB_A}")).await;
    let mut ada = site.browser(Some(person("Ada")));
    let first = ada.open("/").await;
    assert_eq!((first.status, first.all("set-cookie").count()), (200, 12), "{first:?}");
    assert_eq!(first.header("cache-control"), "no-store, private");
    for path in ["/lab-a/x", "/images/x", "/meshes/x"] {
        assert_eq!(ada.reads(path), Ok(()), "{path}");
    }
    for (page, title) in [("/", "viewer"), ("/help.html", "help"), ("/about/", "about")] {
        let again = ada.open(page).await;
        assert_eq!((again.status, again.header("set-cookie")), (200, ""), "{page}");
        assert!(again.body.contains(&format!("<title>{title}</title>")), "{again:?}");
    }
}

#[tokio::test]
async fn the_session_is_edgemints_with_sign_in_scripts_and_sign_out() {
    let site = start(CONFIG).await;
    let mut nobody = site.browser(None);
    assert_eq!(nobody.open("/").await.status, 200);
    let refused = nobody.ask("POST", "/session/cookies", "Content-Length: 0\r\n").await;
    assert_eq!((refused.status, refused.header("content-type")), (401, "application/problem+json"));

    let mut ada = site.browser(Some(person("Ada")));
    let login = ada.open("/session/login?return_to=%2Fhelp.html%3Fx%3D1").await;
    assert_eq!((login.status, login.header("location")), (303, "/help.html?x=1"));
    assert_eq!(ada.reads("/lab-a/x"), Ok(()));
    let script = format!("{SCRIPT}Origin: https://{HOST}\r\nContent-Length: 0\r\n");
    let renewed = ada.ask("POST", "/session/cookies", &script).await;
    assert_eq!((renewed.status, renewed.all("set-cookie").count()), (200, 4));
    let form_post = format!("{NAVIGATION}Content-Length: 0\r\n");
    let out = ada.ask("POST", "/session/logout", &form_post).await;
    assert_eq!((out.status, out.header("location")), (303, "/"));
    assert_eq!(ada.paths(), BTreeSet::new());
    assert_eq!(ada.ask("DELETE", "/session/cookies", SCRIPT).await.status, 204);
}

#[tokio::test]
async fn identity_is_one_header_of_the_load_balancers() {
    let site = start(CONFIG).await;
    let (ada, ben) = (person("Ada"), person("Ben"));
    let token = site.app.claims_token(ada);
    let underscores = format!("{NAVIGATION}x_amzn_oidc_data: {token}\r\n");
    assert_eq!(site.ask("GET", "/", &underscores).await.header("set-cookie"), "");
    let two = format!("{}{NAVIGATION}x-amzn-oidc-data: {token}\r\n", site.identity(ben));
    let answer = site.ask("GET", "/", &two).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (401, ""), "{answer:?}");
}

#[tokio::test]
async fn a_web_servers_question_cannot_be_asked_from_outside() {
    let site = start(CONFIG).await;
    let ada = site.identity(person("Ada"));
    for path in [
        "/session/verify/nginx",
        "//session/verify/nginx",
        "/session//verify/nginx",
        "/x/../session/verify/nginx",
        "/session/verify/%6eginx",
        "/session%2fverify%2fnginx",
        "/session/cookies/%2e%2e/verify/nginx",
    ] {
        for name in ["Sec-Edgemint-Subrequest", "sec_edgemint_subrequest"] {
            let forged = format!("{ada}{NAVIGATION}{name}: nginx\r\n");
            let answer = site.ask("GET", path, &forged).await;
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
            assert!(!format!("{answer:?}").contains("x-edgemint"), "{path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn tricks_with_paths_reach_no_other_file() {
    let site = start(CONFIG).await;
    for path in [
        "/../edgemint.toml",
        "/..%2fedgemint.toml",
        "/%2e%2e/edgemint.toml",
        "/about/../../edgemint.toml",
        "/session/../../keys/ring.json",
        "/.git/config",
        "/%2egit/config",
        "/x/../.git/config",
        "//.git/config",
        "/about/%00",
        "/about/%0d%0aX-Forged:1.html",
    ] {
        let answer = site.ask("GET", path, SCRIPT).await;
        assert!(matches!(answer.status, 400 | 403 | 404), "{path}: {answer:?}");
    }
    let other = site.ask("GET", "http://evil.net/", NAVIGATION).await;
    assert_eq!(other.status, 421, "{other:?}");
}

#[tokio::test]
async fn the_browsers_address_is_the_load_balancers_word() {
    let site = start(&CONFIG.replacen("[[rule]]", "[[rule]]\nbind_ip = true", 1)).await;
    let mut ada = site.browser(Some(person("Ada")));
    ada.open("/").await;
    assert_eq!(ada.reads("/lab-a/x"), Ok(()));
    let policy = ada.jar.alive(site.app.clock.now()).find(|c| c.name == "CloudFront-Policy");
    let policy = edgemint::policy::base64::decode(&policy.unwrap().value).unwrap();
    assert!(String::from_utf8(policy).unwrap().contains("192.0.2.7/32"));
}

#[tokio::test]
async fn sixty_four_kilobytes_of_headers_pass() {
    let site = start(CONFIG).await;
    let ada = site.identity(person("Ada"));
    let cookies = large_cookies();
    let answer = site.ask("GET", "/", &format!("{ada}{NAVIGATION}{cookies}")).await;
    assert_eq!((answer.status, answer.all("set-cookie").count()), (200, 4), "{answer:?}");
    let long = format!("/help.html?{}", "x".repeat(15_000));
    let answer = site.ask("GET", &long, &format!("{ada}{NAVIGATION}")).await;
    assert_eq!((answer.status, answer.all("set-cookie").count()), (200, 4), "{answer:?}");
}

#[tokio::test]
async fn a_browser_with_a_full_ledger_is_cleared_in_one_visit() {
    let site = start(CONFIG).await;
    let mut ada = site.browser(Some(person("Ada")));
    ada.hold(old_sets(24));
    assert_eq!(ada.open("/help.html").await.status, 200);
    assert_eq!(ada.paths(), BTreeSet::from(["/lab-a/".to_owned()]));
}

#[tokio::test]
async fn while_edgemint_is_down_files_are_served_and_pages_say_when_to_come_again() {
    let mut site = start(CONFIG).await;
    site.browser(Some(person("Ada"))).open("/").await;
    site.stop_edgemint().await;
    let mut ada = site.browser(Some(person("Ada")));
    assert_eq!(ada.fetch("/main.js").await.status, 200);
    for path in ["/", "/help.html", "/session", "/session/login"] {
        let answer = ada.open(path).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{path} {answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path} {answer:?}");
    }
}

#[tokio::test]
async fn an_edgemint_with_too_much_to_do_says_when_to_come_again() {
    let site = start(CONFIG).await;
    let mut snapshot = App::load(&site.app.folder).unwrap();
    Arc::make_mut(&mut snapshot.config).limits.requests = 0;
    site.app.state.swap(snapshot);
    for path in ["/", "/session"] {
        let answer = site.browser(Some(person("Ada"))).fetch(path).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{path} {answer:?}");
    }
}

#[tokio::test]
async fn health_is_asked_by_address_and_nothing_else_is() {
    let site = start(CONFIG).await;
    let by_address = async |path: &str| {
        let host = format!("10.0.0.9:{}", site.port());
        site.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
            .await
    };
    assert_eq!(by_address("/readyz").await.status, 200);
    for path in ["/", "/main.js", "/session", "/readyz/x", "/metrics"] {
        assert_eq!(by_address(path).await.status, 421, "{path}");
    }
}
