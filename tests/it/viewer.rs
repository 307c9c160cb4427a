use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgemint::bundle::Place;
use edgemint::config::{ConfigError, Environment};
use edgemint::cookies::LEDGER_PREFIX;
use sha2::{Digest as _, Sha256};

use crate::support::{App, CONFIG, bare, person};

const NAVIGATE: [(&str, &str); 2] = [("sec-fetch-mode", "navigate"), ("accept", "text/html")];

fn ledger_cookie(lines: &[String]) -> String {
    let line = lines.iter().find(|line| line.starts_with(LEDGER_PREFIX)).unwrap();
    line.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_page_carries_cookies_when_the_ledger_lacks_them() {
    let app = App::new();
    let ada = person("Ada");
    let first = app.with_headers(ada, Method::GET, "/", &NAVIGATE).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("cache-control"), "no-store, private");
    assert_eq!(first.set_cookies().len(), 4, "{:?}", first.set_cookies());

    let ledger = ledger_cookie(&first.set_cookies());
    let again = [NAVIGATE[0], NAVIGATE[1], ("cookie", ledger.as_str())];
    let second = app.with_headers(ada, Method::GET, "/", &again).await;
    assert!(second.set_cookies().is_empty(), "fresh cookies are not set again");
    app.clock.advance(1900);
    let third = app.with_headers(ada, Method::GET, "/", &again).await;
    assert_eq!(third.set_cookies().len(), 4, "past half of their life they are");
}

#[tokio::test]
async fn a_page_for_another_person_replaces_the_first_ones_cookies() {
    let app = App::new();
    let first = app.with_headers(person("Ada"), Method::GET, "/", &NAVIGATE).await;
    let ledger = ledger_cookie(&first.set_cookies());
    let headers = [NAVIGATE[0], NAVIGATE[1], ("cookie", ledger.as_str())];
    let second = app.with_headers(person("Ben"), Method::GET, "/", &headers).await;
    let lines = second.set_cookies();
    let removed = |line: &&String| line.contains("Path=/lab-a/;") && line.ends_with("Max-Age=0");
    assert_eq!(lines.iter().filter(removed).count(), 4, "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("CloudFront-Policy=") && line.contains("Path=/lab-b/;"))
    );
    let third = app.with_headers(person("Noor"), Method::GET, "/", &headers).await;
    assert_eq!(third.status, 200, "the viewer itself is open to everyone");
    assert_eq!(third.set_cookies().len(), 5, "{:?}", third.set_cookies());
}

#[tokio::test]
async fn a_page_for_nobody_is_public_and_sets_nothing() {
    let app = App::new();
    let page = app.anonymous(Method::GET, "/").await;
    assert_eq!((page.status.as_u16(), page.header("cache-control")), (200, "no-cache"));
    assert!(page.set_cookies().is_empty());
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn scripts_never_carry_cookies_and_missing_ones_are_no_page() {
    let app = App::new();
    let script = app.of(person("Ada"), Method::GET, "/main.js").await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert!(script.set_cookies().is_empty());
    let missing = app.with_headers(person("Ada"), Method::GET, "/gone.js", &NAVIGATE).await;
    assert_eq!(missing.status, 404);
    let chunk = app.of(person("Ada"), Method::GET, "/deep/link").await;
    assert_eq!(chunk.status, 404, "a fetch gets no page");
    let deep = app.with_headers(person("Ada"), Method::GET, "/deep/link", &NAVIGATE).await;
    assert_eq!((deep.status.as_u16(), deep.set_cookies().len()), (200, 4));
}

#[tokio::test]
async fn files_have_etags_ranges_and_heads() {
    let app = App::new();
    let whole = app.anonymous(Method::GET, "/main.js.map").await;
    let etag = whole.header("etag").to_owned();
    let get = |name: &str, value: &str| {
        bare(Method::GET, "/main.js.map").header(name, value).body(Body::empty()).unwrap()
    };
    assert_eq!(app.send(get("if-none-match", &etag)).await.status, 304);
    let part = app.send(get("range", "bytes=0-6")).await;
    assert_eq!((part.status.as_u16(), part.text()), (206, "console".to_owned()));
    assert_eq!(part.header("content-range"), "bytes 0-6/14");
    assert_eq!(app.send(get("range", "bytes=99-")).await.status, 416);
    let head = app.anonymous(Method::HEAD, "/main.js.map").await;
    assert_eq!((head.header("content-length"), head.body.len()), ("14", 0));
    let post = app.anonymous(Method::POST, "/main.js.map").await;
    assert_eq!((post.status.as_u16(), post.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn nothing_outside_the_bundle_can_be_read() {
    let app = App::new();
    for path in [
        "/../edgemint.toml",
        "/..%2fedgemint.toml",
        "/%2e%2e/edgemint.toml",
        "/..%5cedgemint.toml",
        "//etc/passwd",
        "/keys/ring.json",
        "/.%2e/keys/ring.json",
        "/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/main.js%00.html",
        "/./main.js",
        "/viewer/../main.js",
        "/%252e%252e/edgemint.toml",
    ] {
        let answer = app.anonymous(Method::GET, path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn without_a_bundle_there_is_nothing_but_the_session() {
    let config = CONFIG.replace("[viewer]\nroot = \"viewer\"\n", "");
    let app = App::with(&config);
    assert_eq!(app.anonymous(Method::GET, "/").await.status, 404);
    assert_eq!(app.of(person("Ada"), Method::POST, "/session/cookies").await.status, 200);
}

const SHIM_MARK: &str = "https://data.example.org/";

#[tokio::test]
async fn pages_and_scripts_begin_with_the_shim_and_are_asked_for_anew() {
    let app = App::prepared(CONFIG, |folder| {
        std::fs::write(folder.join("viewer/a.3f2a1b4c.js"), "a()").unwrap();
    });
    let page = app.anonymous(Method::GET, "/").await;
    let script = app.anonymous(Method::GET, "/a.3f2a1b4c.js").await;
    assert!(page.text().starts_with("<!doctype html><script>"), "{}", page.text());
    assert!(page.text().contains(SHIM_MARK));
    assert!(script.text().contains(SHIM_MARK) && script.text().ends_with("a()"));
    assert_eq!(script.header("cache-control"), "no-cache");
    assert_eq!(script.header("content-length"), script.body.len().to_string());
    let policy = page.header("content-security-policy");
    let inline =
        page.text().split("<script>").nth(1).unwrap().split("</script>").next().unwrap().to_owned();
    let hash = STANDARD.encode(Sha256::digest(inline));
    assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
    assert!(!policy.contains("'unsafe-inline' "), "no inline script but those: {policy}");
}

#[tokio::test]
async fn without_the_shim_files_are_served_as_they_are() {
    let app = App::with(
        &CONFIG.replace("root = \"viewer\"", "root = \"viewer\"\nshim = \"off\"\ncsp = false"),
    );
    assert_eq!(app.anonymous(Method::GET, "/main.js").await.text(), "console.log(1)");
    let page = app.anonymous(Method::GET, "/").await;
    assert_eq!(page.text(), "<!doctype html><title>viewer</title>");
    assert_eq!(page.header("content-security-policy"), "");
}

#[tokio::test]
async fn other_origins_may_load_the_shim_and_it_knows_the_site() {
    let app = App::new();
    let shim = app.anonymous(Method::GET, "/session/shim.js").await;
    assert_eq!(shim.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(shim.header("access-control-allow-origin"), "*");
    assert_eq!(shim.header("cross-origin-resource-policy"), "cross-origin");
    assert!(shim.text().contains("\"site\":\"https://viewer.example.org\""), "{}", shim.text());
    assert!(shim.set_cookies().is_empty());
    let known = [("if-none-match", shim.header("etag"))];
    let again = app.with_headers(person("Ada"), Method::GET, "/session/shim.js", &known).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(again.header("access-control-allow-origin"), "*");
    assert_eq!(app.anonymous(Method::POST, "/session/shim.js").await.status, 405);
    let head = app.anonymous(Method::HEAD, "/session/shim.js").await;
    assert_eq!(head.header("content-length"), shim.body.len().to_string());
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn the_shims_own_files_are_compressed_and_known_again_in_every_coding() {
    let config =
        CONFIG.replace("root = \"viewer\"", "root = \"viewer\"\nshim = \"service-worker\"");
    let app = App::with(&config);
    for path in ["/session/shim.js", "/session/worker.js"] {
        let plain = app.anonymous(Method::GET, path).await;
        assert_eq!(plain.header("cache-control"), "no-cache");
        for coding in ["gzip", "zstd", "br"] {
            let answer = once_compressed(&app, path, coding).await;
            assert!(answer.body.len() * 2 < plain.body.len(), "{path} {coding}");
            assert!(answer.header("vary").contains("Accept-Encoding"), "{:?}", answer.headers);
            let known = [("accept-encoding", coding), ("if-none-match", answer.header("etag"))];
            let again = app.with_headers(person("Ada"), Method::GET, path, &known).await;
            assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path} {coding}");
        }
    }
}

#[tokio::test]
async fn each_host_has_the_shim_that_knows_it() {
    let app = App::with(&format!("other_urls = [\"https://beta.example.org\"]\n{CONFIG}"));
    for host in ["viewer.example.org", "beta.example.org"] {
        let request = Request::get("/session/shim.js").header("host", host);
        let shim = app.send(request.body(Body::empty()).unwrap()).await;
        assert!(shim.text().contains(&format!("\"site\":\"https://{host}\"")), "{}", shim.text());
    }
}

#[tokio::test]
async fn the_service_worker_is_there_only_where_it_is_wanted() {
    let app = App::new();
    assert_eq!(app.anonymous(Method::GET, "/session/worker.js").await.status, 404);
    let app = App::with(
        &CONFIG.replace("root = \"viewer\"", "root = \"viewer\"\nshim = \"service-worker\""),
    );
    let worker = app.anonymous(Method::GET, "/session/worker.js").await;
    assert_eq!((worker.status.as_u16(), worker.header("service-worker-allowed")), (200, "/"));
    assert_eq!(worker.header("cache-control"), "no-cache");
    assert!(app.anonymous(Method::GET, "/").await.text().contains("/session/worker.js"));
    let elsewhere = app.anonymous(Method::GET, "/session/shim.js").await.text();
    assert!(!elsewhere.contains("\"worker\":"), "a page of another host has none of ours");
}

#[tokio::test]
async fn several_bundles_are_served_at_their_paths_and_hosts() {
    let config = CONFIG.replace(
        "[viewer]\nroot = \"viewer\"\n",
        "[viewer]\nroot = \"viewer\"\n[[viewer.bundle]]\nroot = \"old\"\npath = \"/old/\"\n\
         [[viewer.bundle]]\nroot = \"old\"\npath = \"/beta/\"\nhosts = [\"beta.example.org\"]\n",
    );
    let config = format!("other_urls = [\"https://beta.example.org\"]\n{config}");
    let app = App::prepared(&config, |folder| {
        std::fs::create_dir(folder.join("old")).unwrap();
        std::fs::write(folder.join("old/index.html"), "<title>old</title>").unwrap();
    });
    let at = |host: &'static str, path: &'static str| {
        let request = Request::get(path).header("sec-fetch-mode", "navigate").header("host", host);
        let request = request.body(Body::empty()).unwrap();
        app.send(request)
    };
    assert!(at("viewer.example.org", "/").await.text().contains("<title>viewer</title>"));
    assert!(at("viewer.example.org", "/old/").await.text().contains("<title>old</title>"));
    assert!(at("viewer.example.org", "/old/deep").await.text().contains("<title>old</title>"));
    assert!(at("viewer.example.org", "/beta/").await.text().contains("<title>viewer</title>"));
    assert!(at("beta.example.org", "/beta/").await.text().contains("<title>old</title>"));
    let bare = at("viewer.example.org", "/old?a=b").await;
    assert_eq!((bare.status.as_u16(), bare.header("location")), (308, "/old/?a=b"));
    assert_eq!(at("viewer.example.org", "/old/main.js").await.status, 404, "the other one's file");
}

#[tokio::test]
async fn the_session_lists_datasets_with_links_for_those_they_are_open_to() {
    let dataset = "title = \"Neurons <1>\"\nsource = \"zarr3://https://data.example.org/lab-a/em\"";
    let rule = "resources = [\"https://data.example.org/lab-a/*\"]";
    let app = App::with(&CONFIG.replace(rule, &format!("{rule}\n{dataset}")));
    let link = "https://viewer.example.org/#!%7B%22layers%22:[%7B%22name%22:%22Neurons%20%3C1%3E%22,\
                %22source%22:%22zarr3://https://data.example.org/lab-a/em%22%7D]%7D";
    let session = app.of(person("Ada"), Method::GET, "/session").await.json();
    assert_eq!(session["datasets"][0]["url"], link);
    assert_eq!(session["datasets"][0]["title"], "Neurons <1>");
    let html = [("accept", "text/html")];
    let page = app.with_headers(person("Ada"), Method::GET, "/session", &html).await.text();
    assert!(page.contains("Neurons &lt;1&gt;, open in viewer</a>"), "{page}");
    assert!(page.contains(&format!("href=\"{link}\"")), "{page}");
    let other = app.of(person("Ben"), Method::GET, "/session").await.json();
    assert_eq!(other["datasets"], serde_json::json!([]));
}

#[tokio::test]
async fn datasets_are_opened_at_a_host_where_the_bundle_is() {
    let dataset = "title = \"Em\"\nsource = \"zarr3://https://data.example.org/lab-a/em\"";
    let rule = "resources = [\"https://data.example.org/lab-a/*\"]";
    let config = CONFIG.replace(rule, &format!("{rule}\n{dataset}"));
    let bundle = "open_with = \"/v/\"\n[[viewer.bundle]]\nroot = \"viewer\"\npath = \"/v/\"\n";
    for (hosts, opened) in [
        ("\"viewer.example.org\", \"beta.example.org\"", ["viewer", "beta"]),
        ("\"beta.example.org\"", ["beta", "beta"]),
        ("\"gamma.example.org\", \"beta.example.org\"", ["beta", "beta"]),
        ("\"viewer.example.org\"", ["viewer", "viewer"]),
    ] {
        let app = App::with(&format!(
            "other_urls = [\"https://beta.example.org\", \"https://gamma.example.org\"]\n\
             {config}{bundle}hosts = [{hosts}]\n"
        ));
        for (asked, opened) in ["viewer", "beta"].into_iter().zip(opened) {
            let request = Request::get("/session")
                .header("host", format!("{asked}.example.org"))
                .header("x-amzn-oidc-data", app.claims_token(person("Ada")))
                .header("x-amzn-oidc-accesstoken", app.access_token(person("Ada")));
            let session = app.send(request.body(Body::empty()).unwrap()).await.json();
            let url = session["datasets"][0]["url"].as_str().unwrap();
            let expected = format!("https://{opened}.example.org/v/#!");
            assert!(url.starts_with(&expected), "{hosts}: {url}");
        }
    }
}

#[test]
fn datasets_and_bundles_that_cannot_be_are_refused_at_their_key() {
    let rule = "resources = [\"https://data.example.org/lab-a/*\"]";
    let viewer = "root = \"viewer\"";
    for (old, add, key) in [
        (rule, "source = \"zarr://https://data.example.org/lab-a/em\"", "rule[0].title"),
        (rule, "title = \"Em\"", "rule[0].source"),
        (
            rule,
            "title = \"Em\"\nsource = \"zarr://https://data.example.org/lab-b/em\"",
            "rule[0].source",
        ),
        (
            rule,
            "title = \"Em\"\nsource = \"at https://data.example.org/lab-a/em\"",
            "rule[0].source",
        ),
        (
            rule,
            "title = \"\"\nsource = \"zarr://https://data.example.org/lab-a/em\"",
            "rule[0].title",
        ),
        (
            rule,
            "title = \"Em\"\nlayer = \"an image\"\nsource = \"zarr://https://data.example.org/lab-a/em\"",
            "rule[0].layer",
        ),
        (viewer, "shim = \"on\"", "viewer.shim"),
        (viewer, "script_src = [\"*\"]", "viewer.script_src[0]"),
        (viewer, "open_with = \"/x/\"", "viewer.open_with"),
        (viewer, "[[viewer.bundle]]\nroot = \"viewer\"", "viewer.bundle[0].path"),
        (
            viewer,
            "[[viewer.bundle]]\nroot = \"viewer\"\npath = \"/session/x/\"",
            "viewer.bundle[0].path",
        ),
        (viewer, "[[viewer.bundle]]\nroot = \"viewer\"\npath = \"x\"", "viewer.bundle[0].path"),
        (viewer, "[[viewer.bundle]]\npath = \"/x/\"", "viewer.bundle[0].root"),
        (viewer, "[[viewer.bundle]]\nroot = \"gs://a/b\"\npath = \"/x/\"", "viewer.bundle[0].root"),
    ] {
        let config = CONFIG.replacen(old, &format!("{old}\n{add}"), 1);
        let file = std::path::Path::new("edgemint.toml");
        let error = edgemint::config::parse(file, &config, &Environment::default()).unwrap_err();
        let ConfigError::Wrong(problems) = &error else { panic!("{error}") };
        let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, [key], "{add}: {error}");
    }
}

/// Asks for a path until it comes in a coding, as a browser would some seconds after a start.
async fn once_compressed(app: &App, path: &str, coding: &str) -> crate::support::Answer {
    for _ in 0..1000 {
        let request = bare(Method::GET, path).header("accept-encoding", coding);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        if answer.header("content-encoding") == coding {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{path} is never sent in {coding}");
}

#[tokio::test]
async fn files_are_compressed_behind_the_service_and_stay_so_over_a_reload() {
    let app = App::new();
    let viewer = app.folder.path().join("viewer");
    std::fs::write(viewer.join("data.json"), "[1,2,3]".repeat(1000)).unwrap();
    let page = format!("<!doctype html><title>viewer</title>{}", "<p>data</p>".repeat(1000));
    std::fs::write(viewer.join("index.html"), page).unwrap();
    app.state.swap(App::load(&app.folder).unwrap());
    for coding in ["gzip", "zstd", "br"] {
        let answer = once_compressed(&app, "/data.json", coding).await;
        assert_eq!(answer.header("vary"), "Accept-Encoding");
        assert!(answer.body.len() < 1000, "{coding}: {}", answer.body.len());
    }
    let page = once_compressed(&app, "/", "br").await;
    assert!(page.header("content-security-policy").contains("script-src"), "{page:?}");

    std::fs::write(viewer.join("index.html"), "<!doctype html><title>new</title>").unwrap();
    app.state.swap(App::load(&app.folder).unwrap());
    let request = bare(Method::GET, "/data.json").header("accept-encoding", "br");
    let at_once = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(at_once.header("content-encoding"), "br");
}

#[tokio::test]
async fn a_page_with_too_many_inline_scripts_is_refused_under_the_bundles_key() {
    let app = App::new();
    let viewer = app.folder.path().join("viewer");
    let script = |at: usize| format!("<script>f({at})</script>");
    let scripts = |count| (0..count).map(script).collect::<Vec<_>>().concat();
    let write = |count| std::fs::write(viewer.join("many.html"), scripts(count)).unwrap();
    write(50);
    let loaded = App::load(&app.folder).unwrap();
    let Some(Place::Within(bundle, path)) = loaded.bundles.find("viewer.example.org", "/many.html")
    else {
        panic!("no bundle")
    };
    assert!(bundle.get(path).unwrap().policy().unwrap().len() < 4096);
    write(100);
    let error = App::load(&app.folder).unwrap_err().to_string();
    for part in ["viewer.root", "many.html", "names 101 inline scripts", "viewer.csp = false"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_large_file_is_read_from_disk_as_long_as_it_is_the_one_that_was_loaded() {
    let app = App::with(&format!("{CONFIG}\n[limits]\nstream_bytes = 1000\n"));
    let model = app.folder.path().join("viewer/model.bin");
    std::fs::write(&model, vec![b'7'; 200_000]).unwrap();
    app.state.swap(App::load(&app.folder).unwrap());
    let whole = app.anonymous(Method::GET, "/model.bin").await;
    assert_eq!((whole.status.as_u16(), whole.body.len()), (200, 200_000));
    let part = bare(Method::GET, "/model.bin").header("range", "bytes=199990-");
    let part = app.send(part.body(Body::empty()).unwrap()).await;
    assert_eq!((part.status.as_u16(), part.body.len()), (206, 10));

    let other = app.folder.path().join("other");
    std::fs::write(&other, vec![b'x'; 200_000]).unwrap();
    std::fs::rename(other, &model).unwrap();
    let gone = app.anonymous(Method::GET, "/model.bin").await;
    assert_eq!((gone.status.as_u16(), gone.header("retry-after")), (503, "1"));
    assert_eq!(gone.json()["type"], "urn:edgemint:problem:file-changed");
    app.state.swap(App::load(&app.folder).unwrap());
    assert_eq!(app.anonymous(Method::GET, "/model.bin").await.body, vec![b'x'; 200_000]);
}
