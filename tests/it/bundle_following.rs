//! The service follows its viewer bundles, in folders and in buckets.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::Method;
use edgemint::aws::Aws;
use edgemint::server::{BundleFollower, Snapshot};
use serde_json::json;

use crate::bundle_s3::Store;
use crate::following::gate::Gate;
use crate::ministack::{config_for, environment_for};
use crate::process::{Service, Site};
use crate::support::{Answer, App, CONFIG, person};

const SOURCE: &str = "s3://viewer-bundles/viewer";

/// The script of a build, whose name differs from build to build.
fn script(version: usize) -> String {
    format!("main.{version:08x}.js")
}

fn page(version: usize) -> String {
    format!("<!doctype html><script src=\"{}\"></script>", script(version))
}

/// Writes a build into a folder, in place of whatever is there.
fn build(root: &Path, version: usize) {
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root).unwrap();
    fs::write(root.join(script(version)), format!("build {version}")).unwrap();
    fs::write(root.join("main.js"), format!("build {version}")).unwrap();
    fs::write(root.join("index.html"), page(version)).unwrap();
}

async fn upload(store: &Store, version: usize) {
    store.put(&format!("viewer/{}", script(version)), &format!("build {version}")).await;
    store.put("viewer/index.html", &page(version)).await;
}

/// A service on a configuration of one bundle, and what follows it.
fn follow(app: &App, aws: Aws) -> BundleFollower {
    let mount = app.state.snapshot().bundles.mounts()[0].clone();
    BundleFollower::new(app.state.clone(), &mount, Arc::new(aws))
}

fn on_folder() -> (App, BundleFollower) {
    let app = App::new();
    let follower = follow(&app, Aws::new());
    (app, follower)
}

fn on_bucket(url: &str) -> (App, BundleFollower) {
    let app = App::with(&CONFIG.replace("root = \"viewer\"", &format!("root = \"{SOURCE}\"")));
    let follower = follow(&app, Aws::with(config_for(url)));
    (app, follower)
}

async fn get(app: &App, path: &str) -> Answer {
    app.anonymous(Method::GET, path).await
}

/// Fails unless the page, and the script that it names, are those of one build.
async fn assert_build(app: &App, version: usize) {
    let page = get(app, "/").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains(&script(version)), "{version}: {}", page.text());
    let script = get(app, &format!("/{}", script(version))).await;
    assert_eq!(script.status, 200);
    assert!(script.text().ends_with(&format!("build {version}")), "{}", script.text());
}

/// Looks until a change counts.
async fn look_twice(follower: &mut BundleFollower) {
    follower.look().await;
    follower.look().await;
}

fn metric(app: &App, line: &str) -> bool {
    app.state.metrics_text().contains(&format!("{line}\n"))
}

#[tokio::test]
async fn a_page_of_before_finds_its_scripts_for_an_hour() {
    let (app, mut follower) = on_folder();
    let root = app.folder.path().join("viewer");
    build(&root, 1);
    look_twice(&mut follower).await;
    assert_build(&app, 1).await;

    build(&root, 2);
    look_twice(&mut follower).await;
    assert_build(&app, 2).await;
    let old = get(&app, &format!("/{}", script(1))).await;
    assert_eq!(old.status, 200);
    assert!(old.text().ends_with("build 1"));
    assert!(get(&app, "/main.js").await.text().ends_with("build 2"));
    assert!(metric(&app, "edgemint_bundle_changes_total 2"));

    app.clock.advance(3599);
    follower.look().await;
    assert_eq!(get(&app, &format!("/{}", script(1))).await.status, 200);
    app.clock.advance(1);
    follower.look().await;
    assert_eq!(get(&app, &format!("/{}", script(1))).await.status, 404);
    assert_build(&app, 2).await;
}

#[tokio::test]
async fn a_build_under_way_is_not_taken() {
    let (app, mut follower) = on_folder();
    let root = app.folder.path().join("viewer");
    build(&root, 1);
    look_twice(&mut follower).await;
    fs::write(root.join("index.html"), page(2)).unwrap();
    follower.look().await;
    assert_build(&app, 1).await;
    fs::write(root.join(script(2)), "bui").unwrap();
    follower.look().await;
    assert_build(&app, 1).await;
    fs::write(root.join(script(2)), "build 2").unwrap();
    follower.look().await;
    assert_build(&app, 1).await;
    follower.look().await;
    assert_build(&app, 2).await;
}

#[tokio::test]
async fn a_folder_that_is_no_bundle_for_a_while_changes_nothing() {
    let (app, mut follower) = on_folder();
    let root = app.folder.path().join("viewer");
    build(&root, 1);
    look_twice(&mut follower).await;
    for spoil in [
        (|root: &Path| fs::remove_dir_all(root).unwrap()) as fn(&Path),
        |root: &Path| fs::remove_file(root.join("index.html")).unwrap(),
        |root: &Path| symlink("/etc/hostname", root.join("hostname.js")).unwrap(),
    ] {
        spoil(&root);
        for _ in 0..20 {
            follower.look().await;
        }
        assert_build(&app, 1).await;
        build(&root, 1);
        look_twice(&mut follower).await;
    }
    // At once, and again after a while, but not at every look.
    assert!(metric(&app, "edgemint_bundle_errors_total 6"), "{}", app.state.metrics_text());
    build(&root, 2);
    look_twice(&mut follower).await;
    assert_build(&app, 2).await;
}

#[tokio::test]
async fn a_folder_that_is_only_touched_is_no_change() {
    let (app, mut follower) = on_folder();
    let root = app.folder.path().join("viewer");
    build(&root, 1);
    look_twice(&mut follower).await;
    let bundle = app.state.snapshot().bundles.mounts()[0].bundle.clone().unwrap();
    build(&root, 1);
    look_twice(&mut follower).await;
    let same = app.state.snapshot().bundles.mounts()[0].bundle.clone().unwrap();
    assert!(Arc::ptr_eq(&bundle, &same));
    assert!(metric(&app, "edgemint_bundle_changes_total 1"));
}

#[tokio::test]
async fn a_file_that_stays_on_disk_is_found_again_when_it_was_touched() {
    let app = App::with(&format!("{CONFIG}\n[limits]\nstream_bytes = 64\n"));
    let mut follower = follow(&app, Aws::new());
    let root = app.folder.path().join("viewer");
    build(&root, 1);
    fs::write(root.join("large.bin"), "x".repeat(1000)).unwrap();
    look_twice(&mut follower).await;
    assert_eq!(get(&app, "/large.bin").await.body.len(), 1000);
    fs::write(root.join("large.bin"), "x".repeat(1000)).unwrap();
    look_twice(&mut follower).await;
    assert_eq!(get(&app, "/large.bin").await.body.len(), 1000);
    build(&root, 2);
    look_twice(&mut follower).await;
    assert_build(&app, 2).await;
    assert!(get(&app, &format!("/{}", script(1))).await.text().ends_with("build 1"));
    assert_eq!(get(&app, "/large.bin").await.status, 404);
}

#[tokio::test]
async fn a_bundle_that_outgrows_its_limits_is_not_taken() {
    let app = App::with(&format!("{CONFIG}\n[limits]\nbundle_files = 3\nbundle_bytes = 4096\n"));
    let mut follower = follow(&app, Aws::new());
    let root = app.folder.path().join("viewer");
    build(&root, 1);
    look_twice(&mut follower).await;
    assert_build(&app, 1).await;
    fs::write(root.join("fourth.js"), "x").unwrap();
    look_twice(&mut follower).await;
    assert_eq!(get(&app, "/fourth.js").await.status, 404);
    assert!(metric(&app, "edgemint_bundle_errors_total 1"));
    fs::remove_file(root.join("fourth.js")).unwrap();
    fs::write(root.join("main.js"), "x".repeat(4096)).unwrap();
    look_twice(&mut follower).await;
    assert!(metric(&app, "edgemint_bundle_errors_total 2"));
    assert_build(&app, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_page_finds_its_scripts_while_bundles_are_swapped() {
    let app = Arc::new(App::new());
    let mut follower = follow(&app, Aws::new());
    let root = app.folder.path().join("viewer");
    build(&root, 0);
    look_twice(&mut follower).await;
    let (over, pages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (app, over, pages) = (app.clone(), over.clone(), pages.clone());
        clients.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                let page = get(&app, "/").await.text();
                let start = page.find("main.").unwrap();
                let name = &page[start..start + script(0).len()];
                tokio::task::yield_now().await;
                let answer = get(&app, &format!("/{name}")).await;
                assert_eq!(answer.status, 200, "{name}");
                let version = usize::from_str_radix(&name[5..13], 16).unwrap();
                assert!(answer.text().ends_with(&format!("build {version}")), "{name}");
                pages.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    for version in 1..=20 {
        let next = app.folder.path().join(format!("v{version}"));
        build(&next, version);
        // As by `ln -sfn v2 current`: at no moment is there nothing.
        let link = app.folder.path().join("next");
        symlink(&next, &link).unwrap();
        if version == 1 {
            fs::remove_dir_all(&root).unwrap();
        }
        fs::rename(&link, &root).unwrap();
        look_twice(&mut follower).await;
        assert_build(&app, version).await;
        let before = pages.load(Ordering::SeqCst);
        while pages.load(Ordering::SeqCst) < before + 4 && !clients.is_empty() {
            assert!(clients.try_join_next().is_none(), "a client has failed");
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert!(metric(&app, "edgemint_bundle_changes_total 21"));
    assert!(pages.load(Ordering::SeqCst) >= 80);
}

#[tokio::test]
async fn until_a_bucket_was_read_only_its_paths_wait() {
    let (app, mut follower) = on_bucket("http://127.0.0.1:1");
    let assert_waiting = async |app: &App| {
        let answer = get(app, "/").await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
        assert_eq!(answer.json()["type"], "urn:edgemint:problem:viewer-unread");
        assert_eq!(get(app, "/main.js").await.status, 503);
        assert_eq!(get(app, "/readyz").await.status, 200);
        assert_eq!(app.of(person("Ada"), Method::POST, "/session/cookies").await.status, 200);
        assert!(metric(app, "edgemint_bundles_unread 1"));
    };
    assert_waiting(&app).await;
    follower.look().await;
    assert_waiting(&app).await;
    assert!(metric(&app, "edgemint_bundle_errors_total 1"));
    assert!(follower.pause(128) < Duration::from_millis(1100), "soon again");

    let store = Store::start().await;
    let mut follower = follow(&app, Aws::with(store.stack.config()));
    follower.look().await;
    assert_waiting(&app).await;
    upload(&store, 1).await;
    follower.look().await;
    assert_build(&app, 1).await;
    assert!(metric(&app, "edgemint_bundles_unread 0"));
    assert!(follower.pause(0) >= Duration::from_secs(24));
}

#[tokio::test]
async fn a_bucket_is_followed_and_what_it_lacks_changes_nothing() {
    let store = Store::start().await;
    let (app, mut follower) = on_bucket(&store.stack.url());
    upload(&store, 1).await;
    follower.look().await;
    assert_build(&app, 1).await;

    store.delete(&format!("viewer/{}", script(1))).await;
    upload(&store, 2).await;
    follower.look().await;
    assert_build(&app, 1).await;
    assert!(follower.pause(128) < Duration::from_secs(6), "it is looked at again before long");
    follower.look().await;
    assert_build(&app, 2).await;
    assert!(get(&app, &format!("/{}", script(1))).await.text().ends_with("build 1"));

    store.delete("viewer/index.html").await;
    look_twice(&mut follower).await;
    assert_build(&app, 2).await;
    assert!(metric(&app, "edgemint_bundle_errors_total 2"));
    upload(&store, 3).await;
    look_twice(&mut follower).await;
    assert_build(&app, 3).await;
}

async fn visit(site: &Site) -> (u16, String) {
    let url = format!("http://127.0.0.1:{}/", site.port);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).header("host", &site.public_host).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_followed_within_seconds() {
    let site = Site::with("[viewer]\nroot = \"viewer\"").await;
    let root = site.folder.path().join("viewer");
    build(&root, 1);
    let service = Service::launch(site);
    service.wait_for("\"started\"").await;
    assert!(visit(&service).await.1.contains(&script(1)));
    build(&root, 2);
    let line = service.wait_for("bundle.changed").await;
    assert_eq!((&line["path"], &line["files"], &line["kept"]), (&json!("/"), &json!(3), &json!(1)));
    assert!(visit(&service).await.1.contains(&script(2)));
    fs::remove_dir_all(&root).unwrap();
    let line = service.wait_for("bundle.failed").await;
    assert!(line["problem"].as_str().unwrap().contains("not a readable folder"), "{line}");
    // A reload reads what is new, and this is not.
    service.signal("-HUP");
    service.wait_for("reload.done").await;
    assert!(visit(&service).await.1.contains(&script(2)));
    build(&root, 2);
    service.wait_for("bundle.heard").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_a_bucket_outlives_reloads_and_outages() {
    let store = Store::start().await;
    upload(&store, 1).await;
    let gate = Gate::before(&store.stack.url()).await;
    gate.shut();
    let mut site = Site::with(&format!("[viewer]\nroot = \"{SOURCE}\"")).await;
    site.environment = environment_for(&gate.url()).into();
    let service = Service::launch(site);
    let line = service.wait_for("bundle.failed").await;
    assert!(line["problem"].as_str().unwrap().contains("s3:ListBucket"), "{line}");
    assert_eq!(visit(&service).await.0, 503);
    assert_eq!(service.readiness().await.0, 200);

    gate.open();
    assert_eq!(service.wait_for("bundle.changed").await["source"], "s3://viewer-bundles/viewer/");
    service.wait_for("bundle.heard").await;
    assert!(visit(&service).await.1.contains(&script(1)));

    gate.shut();
    // What is added to pages changes, and so does the place of the files; neither can be had.
    let elsewhere = service.config.replace(SOURCE, "s3://viewer-bundles/v2\"\nshim = \"off");
    service.write_config(&elsewhere);
    service.wait_for("reload.done").await;
    service.wait_for("bundle.failed").await;
    assert!(visit(&service).await.1.contains(&script(1)));
    store.put("v2/index.html", "another").await;
    gate.open();
    assert_eq!(service.wait_for("bundle.changed").await["source"], "s3://viewer-bundles/v2/");
    assert_eq!(visit(&service).await, (200, "another".to_owned()));
}

#[tokio::test]
async fn what_a_reload_takes_from_the_present_is_the_newest() {
    let (app, mut follower) = on_folder();
    let root = app.folder.path().join("viewer");
    build(&root, 1);
    let loaded: Snapshot = App::load(&app.folder).unwrap();
    build(&root, 2);
    look_twice(&mut follower).await;
    let now = edgemint::clock::Clock::now(app.clock.as_ref());
    let present = app.state.snapshot();
    let bundles = loaded.bundles.after(&present.bundles, now);
    app.state.swap(Snapshot { bundles, ..loaded });
    assert_build(&app, 2).await;
}
