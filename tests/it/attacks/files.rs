use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use tokio::time::timeout;

use super::{NAVIGATES, Service, nobody, statuses, unlimited};
use crate::process::Site;
use crate::support::{App, CONFIG, bare};

const SECRET: &str = "nobody may read this";

/// Paths outside the folder, as some server or other has let them out.
const OUTSIDE: &[&str] = &[
    "/../edgemint.toml",
    "/../../etc/passwd",
    "/..%2fedgemint.toml",
    "/%2e%2e/edgemint.toml",
    "/%2e%2e%2fedgemint.toml",
    "/.%2e/edgemint.toml",
    "/..%5cedgemint.toml",
    "/..\\edgemint.toml",
    "/%252e%252e/edgemint.toml",
    "/%252e%252e%252fedgemint.toml",
    "/..%c0%afedgemint.toml",
    "/..%ef%bc%8fedgemint.toml",
    "/%c0%ae%c0%ae/edgemint.toml",
    "/..;/edgemint.toml",
    "/...//edgemint.toml",
    "/....//edgemint.toml",
    "/x/../../edgemint.toml",
    "//etc/passwd",
    "///etc/passwd",
    "/%2fetc/passwd",
    "/file:///etc/passwd",
    "/etc/passwd",
    "/proc/self/environ",
    "/c:/windows/win.ini",
    "/~root/.ssh/id_rsa",
    "/keys/ring.json",
    "/../keys/ring.json",
    "/edgemint.toml",
    "/main.js%00.html",
    "/main.js/",
    "/main.js/.",
    "/main.js/../main.js",
    "/./main.js",
    "//main.js",
    "/viewer/main.js",
    "/MAIN.JS",
    "/main.js ",
    "/main.js.",
    "/main.js::$DATA",
    "/.git/config",
    "/.env",
    "/.%67it/config",
    "/secret-link",
    "/folder-link/edgemint.toml",
    "/pipe",
    "/socket",
];

#[tokio::test(flavor = "multi_thread")]
async fn case_53_nothing_but_the_folders_own_files_is_served() {
    let site = Site::with("[viewer]\nroot = \"viewer\"").await;
    let root = site.folder.path().join("viewer");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("index.html"), "<title>viewer</title>").unwrap();
    fs::write(root.join("main.js"), "console.log(1)").unwrap();
    fs::write(root.join(".env"), SECRET).unwrap();
    let service = Service::on(site, async |_| {}).await;
    for path in OUTSIDE {
        for mode in ["cors", "navigate"] {
            let headers = format!("Sec-Fetch-Mode: {mode}\r\nAccept: text/html\r\n");
            let said =
                service.says(service.of_nobody(&format!("GET {path} HTTP/1.1"), &headers)).await;
            let index = mode == "navigate" && said.contains("<title>viewer</title>");
            let refused = statuses(&said).iter().all(|status| (400..500).contains(status));
            assert!(refused || index, "{path}: {said}");
            for inside in [SECRET, "root:", "public_url", "\"members\"", "PRIVATE KEY"] {
                assert!(!said.contains(inside), "{path}: {said}");
            }
        }
    }
}

#[tokio::test]
async fn case_53_links_that_lead_out_are_refused_and_odd_files_are_passed_over() {
    let app = unlimited(CONFIG);
    let root = app.folder.path().join("viewer");
    fs::create_dir(root.join(".git")).unwrap();
    fs::write(root.join(".git/config"), SECRET).unwrap();
    fs::write(root.join(".env"), SECRET).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
    symlink(".git", root.join("folder-link")).unwrap();
    // A pipe that nobody writes to must not be waited for.
    let folder = app.folder.path().to_owned();
    let load = move || {
        edgemint::server::Snapshot::load(
            &folder.join("edgemint.toml"),
            &edgemint::config::Environment::default(),
        )
    };
    let loading = tokio::task::spawn_blocking(load.clone());
    let loaded = timeout(Duration::from_secs(10), loading).await.expect("no waiting").unwrap();
    app.state.swap(loaded.unwrap());
    for path in ["/.git/config", "/.env", "/pipe", "/socket", "/folder-link/config"] {
        let answer = nobody(&app, Method::GET, path, &[]).await;
        assert!(
            answer.status == 404 && !answer.text().contains(SECRET),
            "{path}: {}",
            answer.text()
        );
    }
    for target in [
        "/etc",
        "..",
        "../edgemint.toml",
        "/etc/passwd",
        "../keys/ring.json",
        "/proc/self/environ",
        "/dev/zero",
    ] {
        symlink(target, root.join("secret-link")).unwrap();
        let loading = tokio::task::spawn_blocking(load.clone());
        let loaded = timeout(Duration::from_secs(10), loading).await.expect("no waiting").unwrap();
        assert!(loaded.is_err(), "{target}");
        fs::remove_file(root.join("secret-link")).unwrap();
    }
}

#[tokio::test]
async fn case_53_a_file_that_is_swapped_while_it_is_served_stays_what_it_was() {
    let app = unlimited(CONFIG);
    let script = app.folder.path().join("viewer/main.js");
    let before = nobody(&app, Method::GET, "/main.js", &[]).await;
    fs::remove_file(&script).unwrap();
    symlink("/etc/passwd", &script).unwrap();
    let after = nobody(&app, Method::GET, "/main.js", &[]).await;
    assert_eq!((after.text(), after.header("etag")), (before.text(), before.header("etag")));
    assert!(App::load(&app.folder).is_err(), "and is refused at the next reload");
    assert_eq!(nobody(&app, Method::GET, "/main.js", &[]).await.text(), before.text());
}

#[tokio::test]
async fn case_53_ranges_multiply_nothing() {
    let app = unlimited(CONFIG);
    let whole = nobody(&app, Method::GET, "/main.js", &[]).await;
    let many = (0..1000).map(|n| format!("{}-{}", n % 13, n % 13)).collect::<Vec<_>>().join(",");
    let overlapping = vec!["0-"; 1000].join(",");
    for range in [
        format!("bytes={many}"),
        format!("bytes={overlapping}"),
        "bytes=0-18446744073709551615".to_owned(),
        "bytes=18446744073709551615-".to_owned(),
        "bytes=-18446744073709551615".to_owned(),
        "bytes=5-4".to_owned(),
        "bytes=-0".to_owned(),
        "bytes=--1".to_owned(),
        "bytes=0-0,-1".to_owned(),
        "bytes=99999999999999999999-".to_owned(),
        "lines=0-1".to_owned(),
        "bytes=".to_owned(),
        "bytes=0x0-0x1".to_owned(),
    ] {
        let request =
            bare(Method::GET, "/main.js").header("range", &range).body(Body::empty()).unwrap();
        let answer = app.send(request).await;
        assert!([200, 206, 416].contains(&answer.status.as_u16()), "{range:.40}");
        assert!(answer.body.len() <= whole.body.len(), "{range:.40}: {} bytes", answer.body.len());
    }
    let page = nobody(&app, Method::GET, "/", &[NAVIGATES, ("range", "bytes=0-0")]).await;
    assert!([200, 206].contains(&page.status.as_u16()));
}
