use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::support::person;
use crate::tools::Tool;

/// nginx serves files, edgemint pages.
pub(crate) const PAGES: &str = "nginx/pages.conf";
/// nginx serves everything, and asks edgemint first.
pub(super) const GUARD: &str = "nginx/guard.conf";

pub(crate) async fn start(config: &str, form: &str) -> Site {
    let mut site = Site::of(config);
    let port = free_port();
    let text = site.shipped(form, "listen 8080", port);
    let nginx = run(&text, port).await;
    site.web = Some(nginx);
    site
}

/// Starts nginx on a site's configuration, after its own check, which must have nothing to say.
pub(super) async fn run(text: &str, port: u16) -> WebServer {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(at.join("edgemint")).unwrap();
    for file in fs::read_dir(deploy("nginx/edgemint")).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), at.join("edgemint").join(file.file_name())).unwrap();
    }
    fs::write(at.join("site.conf"), text).unwrap();
    fs::write(at.join("nginx.conf"), main_configuration(at)).unwrap();
    let nginx = || {
        let mut command = unprivileged(program("nginx"));
        command.arg("-p").arg(at).arg("-c").arg(at.join("nginx.conf"));
        command.arg("-e").arg(at.join("error.log"));
        command
    };
    let check = nginx().args(["-t", "-q"]).output().unwrap();
    let (said, log) = (String::from_utf8_lossy(&check.stderr), at.join("error.log"));
    assert!(check.status.success() && said.is_empty(), "nginx -t: {said}");
    assert_eq!(fs::read_to_string(log).unwrap(), "", "nginx -t");
    WebServer::start(&mut nginx(), port, folder).await
}

/// A program that may read what its user may. Root's usual way round the modes of files is none that
/// nginx's workers have.
fn unprivileged(program: PathBuf) -> Command {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set=-dac_override,-dac_read_search").arg(program);
    command
}

/// What Debian's own nginx.conf says, as far as it matters, with every path in one folder.
fn main_configuration(at: &Path) -> String {
    let at = at.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\n\
         events {{}}\nhttp {{\ninclude /etc/nginx/mime.types;\naccess_log off;\n{temporary}\
         include site.conf;\n}}\n"
    )
}

fn ada_with_three_sets() -> String {
    format!("{CONFIG}{MORE_OF_LAB_A}")
}

/// What AWS's own library says to the set at a path.
fn foreign_verdict(browser: &Browser<'_>, path: &str) -> bool {
    let now = browser.site.app.clock.now();
    let url = Url::parse(&format!("https://data.example.org{path}")).unwrap();
    let value = |name: &str| {
        let cookies = browser.jar.reaching(&url, now);
        let values: Vec<_> = cookies.iter().filter(|cookie| cookie.name == name).collect();
        assert_eq!(values.len(), 1, "{cookies:?}");
        values[0].value.clone()
    };
    let policy = edgemint::policy::base64::decode(&value("CloudFront-Policy")).unwrap();
    let key = browser
        .site
        .app
        .state
        .snapshot()
        .ring
        .clone()
        .unwrap()
        .active
        .key
        .public()
        .to_pem()
        .unwrap();
    let request = json!({
        "policy": String::from_utf8(policy).unwrap(),
        "signature": value("CloudFront-Signature"),
        "hash": "sha1",
        "public_pem": key,
    });
    let answers: Vec<serde_json::Value> = Tool::python("botocore_verify.py").ask_all(&[request]);
    answers[0]["ok"] == true
}

#[tokio::test]
async fn files_are_nginxs_own_business() {
    let site = start(CONFIG, PAGES).await;
    let script = site.browser(None).fetch("/main.js").await;
    assert_eq!((script.status, script.body.as_str()), (200, "console.log(1)"));
    assert_eq!(script.header("content-type"), "application/javascript");
    assert_eq!(script.header("cache-control"), "no-cache");
    let signed_in = site.browser(Some(person("Ada"))).fetch("/main.js").await;
    assert_eq!(signed_in.header("set-cookie"), "");
    assert_eq!(site.browser(None).fetch("/.git/config").await.status, 404);
    assert_eq!(site.asked(), 0);
    let missing = site.browser(None).fetch("/gone.js").await;
    assert_eq!((missing.status, site.asked()), (404, 1), "edgemint decides about what is no file");
}

#[tokio::test]
async fn both_forms_give_all_cookies_with_the_first_page_and_none_with_the_second() {
    for form in [PAGES, GUARD] {
        let site = start(&ada_with_three_sets(), form).await;
        let mut ada = site.browser(Some(person("Ada")));
        let first = ada.open("/").await;
        assert_eq!((first.status, first.all("set-cookie").count()), (200, 12), "{form} {first:?}");
        assert!(first.body.contains("<title>viewer</title>"), "{form} {first:?}");
        assert_eq!(first.header("cache-control"), "no-store, private", "{form}");
        assert_eq!(
            ada.paths(),
            BTreeSet::from(["/images/", "/lab-a/", "/meshes/"].map(Into::into))
        );
        for path in ["/lab-a/x", "/images/x", "/meshes/x"] {
            assert_eq!(ada.reads(path), Ok(()), "{form} {path}");
            assert!(foreign_verdict(&ada, path), "{form} {path}");
        }
        assert!(ada.reads("/lab-b/x").is_err());

        for page in ["/", "/help.html", "/about/"] {
            let again = ada.open(page).await;
            assert_eq!((again.status, again.header("set-cookie")), (200, ""), "{form} {page}");
        }
        assert_eq!(ada.fetch("/main.js").await.header("set-cookie"), "", "{form}");
        site.app.clock.advance(1900);
        let renewed = ada.open("/help.html").await;
        assert_eq!((renewed.status, renewed.all("set-cookie").count()), (200, 12), "{form}");
        assert!(renewed.body.contains("help"), "{form}");

        site.app.clock.advance(1900);
        let known = format!("{NAVIGATION}If-None-Match: {}\r\n", renewed.header("etag"));
        let unchanged = ada.ask("GET", "/help.html", &known).await;
        assert_eq!((unchanged.status, unchanged.all("set-cookie").count()), (304, 12), "{form}");
        assert_eq!(unchanged.header("cache-control"), "no-store, private", "{form}");
    }
}

#[tokio::test]
async fn both_forms_carry_the_most_lines_that_three_sets_take() {
    for form in [PAGES, GUARD] {
        let config = ada_with_three_sets();
        let config =
            config.replace("source = \"dir:keys\"", "source = \"dir:keys\"\nhash = \"sha256\"");
        let site = start(&config, form).await;
        let mut ada = site.browser(Some(person("Ada")));
        assert_eq!(ada.open("/").await.all("set-cookie").count(), 15, "{form}");
        assert_eq!(ada.reads("/meshes/x"), Ok(()), "{form}");
    }
}

#[tokio::test]
async fn both_forms_sign_out() {
    for form in [PAGES, GUARD] {
        let site = start(CONFIG, form).await;
        let mut ada = site.browser(Some(person("Ada")));
        ada.open("/").await;
        assert_eq!(ada.reads("/lab-a/x"), Ok(()), "{form}");
        let form_post = format!("{NAVIGATION}Content-Length: 0\r\n");
        let out = ada.ask("POST", "/session/logout", &form_post).await;
        assert_eq!((out.status, out.header("location")), (303, "/"), "{form}");
        assert_eq!(ada.paths(), BTreeSet::new(), "{form}");
        let mut ben = Browser { person: Some(person("Ben")), ..ada };
        ben.open("/").await;
        assert_eq!(ben.paths(), BTreeSet::from(["/lab-b/".to_owned()]), "{form}");
    }
}

#[tokio::test]
async fn a_script_renews_and_clears_its_cookies() {
    for form in [PAGES, GUARD] {
        let site = start(CONFIG, form).await;
        let mut ada = site.browser(Some(person("Ada")));
        let same_origin = format!(
            "Origin: https://{HOST}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n"
        );
        let renewed = ada.ask("POST", "/session/cookies", &same_origin).await;
        assert_eq!((renewed.status, renewed.all("set-cookie").count()), (200, 4), "{form}");
        assert!(renewed.body.contains("refresh_in"), "{form} {renewed:?}");
        let foreign = "Origin: https://evil.net\r\nContent-Length: 0\r\n";
        assert_eq!(ada.ask("POST", "/session/cookies", foreign).await.status, 403, "{form}");
        assert_eq!(ada.ask("DELETE", "/session/cookies", &same_origin).await.status, 204, "{form}");
        assert_eq!(ada.paths(), BTreeSet::new(), "{form}");
    }
}

#[tokio::test]
async fn to_nobody_pages_are_public_and_cookies_are_not() {
    let site = start(CONFIG, PAGES).await;
    let mut nobody = site.browser(None);
    let page = nobody.open("/").await;
    assert_eq!((page.status, page.header("set-cookie")), (200, ""));
    let refused = nobody.ask("POST", "/session/cookies", "Content-Length: 0\r\n").await;
    assert_eq!((refused.status, refused.header("content-type")), (401, "application/problem+json"));
    let deep = nobody.open("/deep/link").await;
    assert_eq!((deep.status, deep.body.contains("<title>viewer</title>")), (200, true));
}

#[tokio::test]
async fn nobody_is_sent_to_sign_in_and_back_and_a_script_is_told() {
    let site = start(CONFIG, GUARD).await;
    let mut nobody = site.browser(None);
    for path in ["/", "/help.html?x=1&y=%2F%2Fevil.net", "/about/", "/gone.html", "/main.js"] {
        let answer = nobody.open(path).await;
        let back: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
        assert_eq!(answer.status, 302, "{path}");
        assert_eq!(answer.header("location"), format!("/session/login?return_to={back}"));
        assert_eq!(answer.header("cache-control"), "no-store, private");
        assert!(!answer.body.contains("viewer"), "{answer:?}");

        let script = nobody.fetch(path).await;
        assert_eq!((script.status, script.header("location")), (401, ""), "{path}");
    }
    let socket = "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-Fetch-Mode: websocket\r\n";
    let answer = nobody.ask("GET", "/", socket).await;
    assert_eq!((answer.status, answer.header("location")), (401, ""));
    assert_eq!(nobody.ask("POST", "/", "Content-Length: 5\r\n\r\nhello").await.status, 401);

    let login = nobody.open("/session/login?return_to=%2Fhelp.html").await;
    assert_eq!(login.status, 401, "the load balancer's rule must have signed somebody in");
    let ada = Browser { person: Some(person("Ada")), ..nobody };
    let login = { ada }.open("/session/login?return_to=%2Fhelp.html").await;
    assert_eq!((login.status, login.header("location")), (303, "/help.html"));
    assert_eq!(login.all("set-cookie").count(), 4);
}

#[tokio::test]
async fn sign_in_leads_nowhere_but_back_to_this_site() {
    let site = start(CONFIG, GUARD).await;
    for path in ["//evil.net/", "/\\evil.net", "/%5cevil.net", "/.//evil.net", "http://evil.net/"] {
        let answer = site.ask("GET", path, NAVIGATION).await;
        let to = answer.header("location");
        let here = to.starts_with("/session/login?return_to=%2F") && !to[26..].starts_with("%2F");
        assert!(here || to.is_empty(), "{path}: {answer:?}");
        assert!(matches!(answer.status, 302 | 400 | 404 | 421), "{path}: {answer:?}");
    }
    let forged = format!("{NAVIGATION}X-Original-URI: /forged\r\nX-Edgemint-Login: //evil.net\r\n");
    let answer = site.ask("GET", "/help.html", &forged).await;
    assert_eq!(answer.header("location"), "/session/login?return_to=%2Fhelp.html");
    let forged =
        format!("{NAVIGATION}X-Edgemint-Set-Cookie-1: x=1\r\nX-Edgemint-Set-Cookie-16: y=1\r\n");
    let mut noor = site.browser(Some(person("Noor")));
    let answer = noor.ask("GET", "/help.html", &forged).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, ""));
}

#[tokio::test]
async fn a_refused_credential_is_told_by_edgemints_own_page() {
    for form in [PAGES, GUARD] {
        let site = start(CONFIG, form).await;
        let forged = format!("{NAVIGATION}x-amzn-oidc-data: a.b.c\r\n");
        let page = site.ask("GET", "/", &forged).await;
        assert_eq!(page.status, 401, "{form} {page:?}");
        assert!(page.body.contains("The credential was refused"), "{form} {page:?}");
        let forged = format!("{SCRIPT}x-amzn-oidc-data: a.b.c\r\n");
        let script = site.ask("GET", "/session", &forged).await;
        assert_eq!(script.header("content-type"), "application/problem+json", "{form}");
    }
    let site = start(CONFIG, GUARD).await;
    let forged = format!("{SCRIPT}x-amzn-oidc-data: a.b.c\r\nContent-Length: 5\r\n\r\nhello");
    let script = site.ask("POST", "/main.js", &forged).await;
    assert_eq!((script.status, script.header("content-type")), (401, "application/problem+json"));
}

#[tokio::test]
async fn a_file_that_nginx_may_not_read_stays_refused() {
    let site = start(CONFIG, GUARD).await;
    let file = site.viewer().join("main.js");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let mut ada = site.browser(Some(person("Ada")));
    for answer in [ada.fetch("/main.js").await, ada.open("/main.js").await] {
        assert_eq!((answer.status, answer.header("content-type")), (403, "text/html"));
        assert!(!answer.body.contains("resources"), "{answer:?}");
    }
    assert_eq!(site.browser(None).fetch("/main.js").await.status, 401);
    assert_eq!(ada.open("/").await.status, 200);
}

#[tokio::test]
async fn the_question_cannot_be_asked_from_outside() {
    for form in [PAGES, GUARD] {
        let site = start(CONFIG, form).await;
        let ada = site.identity(person("Ada"));
        for path in [
            "/session/verify/nginx",
            "//session/verify/nginx",
            "/session//verify/nginx",
            "/session/./verify/nginx",
            "/x/../session/verify/nginx",
            "/session/x/../verify/nginx",
            "/session/verify/%6eginx",
            "/session%2fverify%2fnginx",
            "/%73ession/verify/nginx",
            "/session/verify/nginx?x=1",
            "/session/verify/nginx/",
            "/session/cookies/../verify/nginx",
            "/session/cookies/%2e%2e/verify/nginx",
            "http://viewer.example.org/session/verify/nginx",
        ] {
            for name in ["Sec-Edgemint-Subrequest", "sec_edgemint_subrequest"] {
                let forged = format!("{ada}{NAVIGATION}{name}: nginx\r\n");
                let answer = site.ask("GET", path, &forged).await;
                let text = format!("{form} {path}: {answer:?}");
                assert!(!text.contains("x-edgemint"), "{text}");
                let page = answer.body.contains("<title>viewer</title>");
                assert!(matches!(answer.status, 302 | 404) || page, "{text}");
            }
        }
    }
}

#[tokio::test]
async fn tricks_with_paths_reach_no_other_file() {
    for form in [PAGES, GUARD] {
        let site = start(CONFIG, form).await;
        let ada = site.identity(person("Ada"));
        for path in [
            "/../edgemint.toml",
            "/..%2fedgemint.toml",
            "/%2e%2e/edgemint.toml",
            "/about/../../edgemint.toml",
            "/session/../../keys/ring.json",
            "/session/..%2f..%2fkeys/ring.json",
            "/.git/config",
            "/%2egit/config",
            "/x/../.git/config",
            "//.git/config",
            "/about/%00",
        ] {
            let answer = site.ask("GET", path, &format!("{ada}{SCRIPT}")).await;
            assert!(matches!(answer.status, 400 | 404), "{form} {path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_guarded_site_gives_nothing_to_nobody_however_it_is_spelled() {
    let site = start(CONFIG, GUARD).await;
    for path in ["//", "/./", "/main%2ejs", "//main.js", "/x/../main.js", "/session/../main.js"] {
        let answer = site.ask("GET", path, SCRIPT).await;
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_guarded_site_needs_no_bundle_in_edgemint() {
    let site = start(&CONFIG.replace("[viewer]\nroot = \"viewer\"\n", ""), GUARD).await;
    let page = site.browser(Some(person("Ada"))).open("/").await;
    assert_eq!((page.status, page.all("set-cookie").count()), (200, 4), "{page:?}");
}

#[tokio::test]
async fn identity_is_one_header_of_the_load_balancers() {
    for form in [PAGES, GUARD] {
        let site = start(CONFIG, form).await;
        let (ada, ben) = (person("Ada"), person("Ben"));
        let token = site.app.claims_token(ada);
        let underscores = format!("{NAVIGATION}x_amzn_oidc_data: {token}\r\n");
        let answer = site.ask("GET", "/", &underscores).await;
        assert_eq!(answer.header("set-cookie"), "", "{form}");
        let bare = format!("{NAVIGATION}x-amzn-oidc-identity: {}\r\n", ada.id);
        assert_eq!(site.ask("GET", "/", &bare).await.header("set-cookie"), "", "{form}");
        let two = format!("{}{NAVIGATION}x-amzn-oidc-data: {token}\r\n", site.identity(ben));
        let answer = site.ask("GET", "/", &two).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (401, ""), "{form} {answer:?}");
    }
}

#[tokio::test]
async fn the_browsers_address_is_the_load_balancers_word() {
    for form in [PAGES, GUARD] {
        let config = CONFIG.replacen("[[rule]]", "[[rule]]\nbind_ip = true", 1);
        let site = start(&config, form).await;
        let mut ada = site.browser(Some(person("Ada")));
        ada.open("/").await;
        // Not the 6.6.6.6 that the browser invented, nor the load balancer's own.
        assert_eq!(ada.reads("/lab-a/x"), Ok(()), "{form}");
        let policy = ada.jar.alive(site.app.clock.now()).find(|c| c.name == "CloudFront-Policy");
        let policy = edgemint::policy::base64::decode(&policy.unwrap().value).unwrap();
        let policy = String::from_utf8(policy).unwrap();
        assert!(policy.contains("192.0.2.7/32"), "{form} {policy}");
    }
}

#[tokio::test]
async fn sixty_four_kilobytes_of_headers_pass() {
    for form in [PAGES, GUARD] {
        let site = start(CONFIG, form).await;
        let ada = site.identity(person("Ada"));
        let cookies = large_cookies();
        let answer = site.ask("GET", "/", &format!("{ada}{NAVIGATION}{cookies}")).await;
        assert_eq!(
            (answer.status, answer.all("set-cookie").count()),
            (200, 4),
            "{form} {answer:?}"
        );
        let long = format!("/help.html?{}", "x".repeat(15_000));
        let answer = site.ask("GET", &long, &format!("{ada}{NAVIGATION}")).await;
        assert_eq!(
            (answer.status, answer.all("set-cookie").count()),
            (200, 4),
            "{form} {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_browser_with_a_full_ledger_is_cleared_in_one_visit() {
    for form in [PAGES, GUARD] {
        let site = start(CONFIG, form).await;
        let mut ada = site.browser(Some(person("Ada")));
        ada.hold(old_sets(24));
        let mut answer = ada.open("/help.html").await;
        if form == GUARD {
            assert_eq!(answer.header("location"), "/session/cookies?return_to=%2Fhelp.html");
            let direct = ada.open(answer.header("location")).await;
            assert_eq!((direct.status, direct.header("location")), (303, "/help.html"));
            answer = ada.open("/help.html").await;
        }
        assert_eq!(answer.status, 200, "{form} {answer:?}");
        assert_eq!(ada.paths(), BTreeSet::from(["/lab-a/".to_owned()]), "{form}");
        assert_eq!(ada.open("/").await.header("set-cookie"), "", "{form}");
    }
}

/// The line that deploy/nginx/README.md has for pages that are nginx's own.
#[tokio::test]
async fn nginx_puts_the_shims_tag_into_pages_of_its_own() {
    let mut site = Site::of(CONFIG);
    let page = "<!doctype html>\n<html><head>\n<title>viewer</title></head><body></body></html>";
    fs::write(site.viewer().join("index.html"), page).unwrap();
    let readme = include_str!("../../../deploy/nginx/README.md");
    let line = readme.lines().find(|line| line.trim().starts_with("sub_filter ")).unwrap();
    let port = free_port();
    let text = site.shipped(GUARD, "listen 8080", port);
    let location = "        include edgemint/guard.conf;\n";
    assert_eq!(text.matches(location).count(), 1, "{text}");
    let text = text.replace(location, &format!("{location}{line}\n"));
    site.web = Some(run(&text, port).await);
    let mut ada = site.browser(Some(person("Ada")));
    let tag = "<script src=\"/session/shim.js\"></script>";
    let expected = page.replace("<head>", &format!("<head>{tag}"));
    for path in ["/", "/index.html"] {
        let page = ada.open(path).await;
        assert!(page.status == 200 && page.body.contains(&expected), "{path}: {page:?}");
    }
    assert_eq!(ada.paths(), BTreeSet::from(["/lab-a/".to_owned()]));
    // Nothing but pages is changed, and what the tag names is there.
    fs::write(site.viewer().join("text.js"), "\"<head>\"").unwrap();
    assert_eq!(ada.fetch("/text.js").await.body, "\"<head>\"");
    let shim = ada.fetch("/session/shim.js").await;
    assert!(shim.status == 200 && shim.body.contains("/session/cookies"), "{shim:?}");
}

#[tokio::test]
async fn while_edgemint_is_down_the_viewer_opens_without_cookies() {
    let mut site = start(CONFIG, PAGES).await;
    site.browser(Some(person("Ada"))).open("/").await;
    site.stop_edgemint().await;
    let mut ada = site.browser(Some(person("Ada")));
    assert_eq!(ada.fetch("/main.js").await.status, 200);
    for (path, title) in [("/", "viewer"), ("/help.html", "help"), ("/about/", "about")] {
        let page = ada.open(path).await;
        assert_eq!((page.status, page.header("cache-control")), (200, "no-store"), "{path}");
        assert!(page.body.contains(&format!("<title>{title}</title>")), "{page:?}");
        assert_eq!(page.header("set-cookie"), "");
    }
    assert_eq!(ada.open("/gone.html").await.status, 404);
    for path in ["/session", "/session/login", "/gone.js"] {
        let answer = ada.fetch(path).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{path}");
    }
}

#[tokio::test]
async fn while_edgemint_is_down_a_guarded_site_is_closed() {
    let mut site = start(CONFIG, GUARD).await;
    site.browser(Some(person("Ada"))).open("/").await;
    site.stop_edgemint().await;
    let mut ada = site.browser(Some(person("Ada")));
    for path in ["/", "/main.js", "/help.html", "/session", "/gone.js"] {
        let answer = ada.open(path).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(!answer.body.contains("viewer"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_edgemint_with_too_much_to_do_says_when_to_come_again() {
    for form in [PAGES, GUARD] {
        let site = start(CONFIG, form).await;
        let mut snapshot = App::load(&site.app.folder).unwrap();
        Arc::make_mut(&mut snapshot.config).limits.requests = 0;
        site.app.state.swap(snapshot);
        let mut ada = site.browser(Some(person("Ada")));
        for path in ["/", "/session"] {
            let answer = ada.fetch(path).await;
            assert_eq!(answer.status, 503, "{form} {path}");
            assert!(!answer.header("retry-after").is_empty(), "{form} {path}");
        }
    }
}

#[tokio::test]
async fn health_is_asked_by_address_and_nothing_else_is() {
    for form in [PAGES, GUARD] {
        let site = start(CONFIG, form).await;
        let by_address = async |path: &str| {
            let host = format!("10.0.0.9:{}", site.port());
            site.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
                .await
        };
        assert_eq!(by_address("/readyz").await.status, 200, "{form}");
        for path in ["/", "/main.js", "/session", "/session/verify/nginx", "/metrics"] {
            assert_eq!(by_address(path).await.status, 421, "{form} {path}");
        }
    }
}
