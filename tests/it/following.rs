pub(crate) mod gate;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_ssm::types::ParameterType;
use axum::http::Method;
use edgemint::clock::{Clock as _, EpochSeconds, FixedClock, SystemClock};
use edgemint::config::{DEFAULT_KMS_KEY, Environment, KeySource, ParameterPath};
use edgemint::keystore::{Aws, Folder, Keystore, MANIFEST, ParameterStore};
use edgemint::server::{AppState, Follower, NotSigning, Snapshot};
use edgemint::signing::{KeyKind, generate_pem};
use serde_json::{Value, json};

use self::gate::Gate;
use crate::ministack::{MiniStack, config_for, environment_for};
use crate::process::{Service, Site};
use crate::support::{Answer, App, CONFIG, NOW, person};

const PATH: &str = "/edgemint/test";
const DAY: u64 = 86_400;

fn parameters() -> ParameterPath {
    ParameterPath::parse(PATH).unwrap()
}

/// A ring in an AWS of its own, behind a gate.
struct Remote {
    stack: MiniStack,
    gate: Gate,
    store: Keystore,
}

impl Remote {
    async fn start() -> Self {
        let stack = MiniStack::start().await;
        let gate = Gate::before(&stack.url()).await;
        let aws = Aws::with(stack.config());
        let store = ParameterStore::new(parameters(), DEFAULT_KMS_KEY, &aws).await;
        let remote = Self { stack, gate, store: Keystore::ParameterStore(store) };
        remote.import("K1").await;
        remote
    }

    async fn import(&self, id: &str) {
        let pem = generate_pem(KeyKind::P256).unwrap();
        self.store.import(&id.parse().unwrap(), &pem, SystemClock.now()).await.unwrap();
    }

    /// Puts a new key in the place of the one that signs.
    async fn rotate_to(&self, id: &str) {
        self.import(id).await;
        promote(&self.store, id).await;
    }

    fn state(number: u32) -> String {
        format!("{PATH}/ring/{number:08}")
    }

    async fn put_state(&self, number: u32, text: &str) {
        let client = aws_sdk_ssm::Client::new(&self.stack.config());
        let put = client.put_parameter().name(Self::state(number)).value(text);
        put.r#type(ParameterType::String).send().await.unwrap();
    }

    async fn delete_state(&self, number: u32) {
        let client = aws_sdk_ssm::Client::new(&self.stack.config());
        client.delete_parameter().name(Self::state(number)).send().await.unwrap();
    }

    /// A site that has its keys here.
    async fn site(&self, poll_interval: &str) -> Site {
        let mut site = Site::prepare().await;
        let source = format!("source = \"ssm:{PATH}\"\npoll_interval = \"{poll_interval}\"");
        site.config = site.config.replace("source = \"dir:keys\"", &source);
        site.write_config(&site.config);
        site.environment = environment_for(&self.gate.url()).into();
        site
    }

    /// Waits until the ring has been asked for so many times more.
    async fn wait_for_lists(&self, more: usize) {
        let (before, end) = (self.gate.lists(), Instant::now() + Duration::from_secs(20));
        while self.gate.lists() < before + more {
            assert!(Instant::now() < end, "nobody asks");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn promote(store: &Keystore, id: &str) {
    let stored = store.read().await.unwrap();
    let ring = stored.ring.promote(&id.parse().unwrap(), SystemClock.now()).unwrap();
    store.write(&ring, stored.revision).await.unwrap();
}

/// Puts a new key in the place of the one that signs, in a folder.
async fn rotate_folder(folder: PathBuf, id: &str) {
    let store = Keystore::Folder(Folder::new(folder));
    let pem = generate_pem(KeyKind::P256).unwrap();
    store.import(&id.parse().unwrap(), &pem, SystemClock.now()).await.unwrap();
    promote(&store, id).await;
}

/// The key that the cookies of an answer name.
async fn signed_with(site: &Site) -> String {
    let answer = site.cookies(person("Ada")).await;
    assert_eq!(answer.status(), 200);
    let mut lines = answer.headers().get_all("set-cookie").iter();
    let named = |line: &str| Some(line.strip_prefix("CloudFront-Key-Pair-Id=")?.to_owned());
    let found = lines.find_map(|line| named(line.to_str().unwrap())).unwrap();
    found.split(';').next().unwrap().to_owned()
}

async fn assert_metric(site: &Site, expected: &str) {
    let metrics = site.metrics().await;
    assert!(metrics.contains(expected), "{expected} in {metrics}");
}

/// A service whose keys are in Parameter Store, which nobody has asked yet.
fn app_without_a_key() -> App {
    App::with(&CONFIG.replace("dir:keys", &format!("ssm:{PATH}")))
}

async fn ask_for_cookies(app: &App) -> Answer {
    app.of(person("Ada"), Method::POST, "/session/cookies").await
}

async fn status(app: &App) -> (u16, Value) {
    let answer = app.anonymous(Method::GET, "/readyz").await;
    (answer.status.as_u16(), answer.json()["status"].clone())
}

/// Asks that wait for a key, and those that need none.
async fn assert_nothing_is_signed(app: &App, kind: &str) {
    let refused = ask_for_cookies(app).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.json()["type"], format!("urn:edgemint:problem:{kind}"));
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.set_cookies().is_empty());
    let by_url = "/session/cookies?for=https://data.example.org/lab-a/x";
    assert_eq!(app.of(person("Ada"), Method::GET, by_url).await.status, 503);
    assert_eq!(app.of(person("Ada"), Method::GET, "/session/login").await.status, 503);
    assert_eq!(app.of(person("Ada"), Method::GET, "/session").await.status, 200);
    assert_eq!(app.of(person("Noor"), Method::POST, "/session/cookies").await.status, 403);
    assert_eq!(app.anonymous(Method::POST, "/session/cookies").await.status, 401);
    let page = app.of(person("Ada"), Method::GET, "/").await;
    assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, 0));
    let asked = [("sec-edgemint-subrequest", "nginx"), ("sec-fetch-mode", "navigate")];
    let verified =
        app.with_headers(person("Ada"), Method::GET, "/session/verify/nginx", &asked).await;
    assert_eq!(verified.status, 204);
    assert!(verified.headers.get("x-edgemint-set-cookie-1").is_none());
    assert!(app.state.metrics_text().contains("edgemint_keys_signing 0\n"));
}

#[tokio::test]
async fn cookies_of_an_earlier_configuration_count_for_the_overlap() {
    let app = App::new();
    let file = app.folder.path().join("edgemint.toml");
    let load = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Snapshot::load(&file, &Environment::default()).unwrap()
    };
    let before = app.state.longest_lifetime();
    let with = |lifetime: &str| load(&CONFIG.replace("lifetime = \"15m\"", lifetime));
    app.state.swap(with("lifetime = \"5m\""));
    assert_eq!(app.state.longest_lifetime(), before);
    app.state.swap(with("lifetime = \"20h\""));
    assert_eq!(app.state.longest_lifetime(), 20 * 3600);
    app.state.swap(load(CONFIG));
    let body = app.anonymous(Method::GET, "/readyz").await.json();
    assert_eq!(body["longest_lifetime"], 20 * 3600);
}

#[tokio::test]
async fn a_service_that_hears_nothing_for_too_long_stops_signing_until_it_hears_again() {
    let app = App::new();
    let mut follower = Follower::new(app.state.clone(), Aws::new());
    follower.look().await;
    // Signed once and shared: that is no way around.
    assert_eq!(ask_for_cookies(&app).await.status, 200);
    let manifest = app.folder.path().join("keys").join(MANIFEST);
    let away = manifest.with_extension("away");
    std::fs::rename(&manifest, &away).unwrap();
    app.clock.advance(DAY - 1);
    follower.look().await;
    assert_eq!(status(&app).await, (200, json!("ready")));
    assert_eq!(ask_for_cookies(&app).await.status, 200);
    app.clock.advance(1);
    assert_eq!(status(&app).await, (503, json!("cut off")));
    assert_nothing_is_signed(&app, "cut-off").await;
    follower.look().await;
    assert_nothing_is_signed(&app, "cut-off").await;
    std::fs::rename(&away, &manifest).unwrap();
    follower.look().await;
    assert_eq!(status(&app).await, (200, json!("ready")));
    assert_eq!(ask_for_cookies(&app).await.status, 200);
    assert!(app.state.metrics_text().contains("edgemint_key_source_errors_total 2\n"));
}

#[tokio::test]
async fn a_folder_that_stays_as_it_is_is_heard_at_every_look() {
    let app = App::new();
    let mut follower = Follower::new(app.state.clone(), Aws::new());
    for _ in 0..3 {
        app.clock.advance(DAY - 1);
        follower.look().await;
        assert_eq!(status(&app).await, (200, json!("ready")));
    }
    assert_eq!(app.state.snapshot().heard, Some(NOW.plus(3 * (DAY - 1))));
}

#[tokio::test]
async fn what_cannot_be_read_as_a_ring_counts_as_silence() {
    let app = App::new();
    let mut follower = Follower::new(app.state.clone(), Aws::new());
    std::fs::write(app.folder.path().join("keys").join(MANIFEST), "{").unwrap();
    app.clock.advance(DAY);
    follower.look().await;
    assert_eq!(status(&app).await, (503, json!("cut off")));
}

#[tokio::test]
async fn a_units_copy_is_never_cut_off() {
    let app = App::new();
    let mut snapshot = Snapshot::clone(&app.state.snapshot());
    let late = NOW.plus(3650 * DAY);
    assert_eq!(snapshot.signer(late).unwrap_err(), NotSigning::CutOff);
    let folder = app.folder.path().to_owned();
    let source = KeySource::Credential { folder, name: "ring".to_owned() };
    Arc::make_mut(&mut snapshot.config).keys.source = source;
    assert_eq!(snapshot.signer(late).unwrap().active.id.to_string(), "K2TESTKEY");
}

#[tokio::test]
async fn a_units_copy_that_was_renewed_is_read_when_the_service_is_asked_to() {
    let app = App::new();
    let keys = app.folder.path().join("keys");
    let renew = || {
        for file in std::fs::read_dir(&keys).unwrap() {
            let file = file.unwrap();
            let name = format!("ring_{}", file.file_name().to_str().unwrap());
            std::fs::copy(file.path(), app.folder.path().join(name)).unwrap();
        }
    };
    renew();
    let mut snapshot = Snapshot::clone(&app.state.snapshot());
    let folder = app.folder.path().to_owned();
    let source = KeySource::Credential { folder, name: "ring".to_owned() };
    Arc::make_mut(&mut snapshot.config).keys.source = source;
    app.state.swap(snapshot);
    let mut follower = Follower::new(app.state.clone(), Aws::new());
    rotate_folder(keys.clone(), "K3NEXT").await;
    renew();
    let signs = || app.state.snapshot().ring.as_ref().unwrap().active.id.to_string();
    follower.look().await;
    assert_eq!(signs(), "K2TESTKEY");
    follower.look_again().await;
    assert_eq!(signs(), "K3NEXT");
}

/// Nothing in a ring is compared with an instance's own clock.
#[tokio::test]
async fn an_instance_whose_clock_is_off_follows_all_the_same() {
    for now in [EpochSeconds(1_000_000), NOW, SystemClock.now().plus(3650 * DAY)] {
        let app = App::new();
        let clock = Arc::new(FixedClock::at(now));
        let fetcher: Arc<dyn edgemint::authn::Fetcher> = app.source.clone();
        let snapshot = App::load(&app.folder).unwrap();
        let state = AppState::new(snapshot, clock.clone(), &fetcher);
        let mut follower = Follower::new(state.clone(), Aws::new());
        follower.look().await;
        rotate_folder(app.folder.path().join("keys"), "K3NEXT").await;
        clock.advance(2);
        follower.look().await;
        let snapshot = state.snapshot();
        let ring = snapshot.signer(clock.now()).unwrap();
        assert_eq!((ring.active.id.to_string().as_str(), ring.revision), ("K3NEXT", 3));
        assert!(snapshot.signer(clock.now().plus(DAY)).is_err(), "cut off by its own clock");
    }
}

#[tokio::test]
async fn without_a_key_everything_but_cookies_is_answered_until_the_store_answers() {
    let app = app_without_a_key();
    assert_eq!(status(&app).await, (503, json!("no key")));
    assert_nothing_is_signed(&app, "no-key").await;
    let ready = app.anonymous(Method::GET, "/readyz").await.json();
    let expected = json!({
        "status": "no key",
        "key_pair_id": null,
        "ring_revision": null,
        "longest_lifetime": 3600,
        "source_heard": null,
    });
    assert_eq!(ready, expected);
    // Nobody listens there.
    let mut follower =
        Follower::new(app.state.clone(), Aws::with(config_for("http://127.0.0.1:1")));
    assert_eq!(follower.pause(128), Duration::ZERO);
    follower.look().await;
    assert!(follower.pause(255) > Duration::from_millis(800), "it does not hurry");
    assert_nothing_is_signed(&app, "no-key").await;

    let remote = Remote::start().await;
    let mut follower = Follower::new(app.state.clone(), Aws::with(remote.stack.config()));
    follower.look().await;
    assert_eq!(status(&app).await, (200, json!("ready")));
    assert_eq!(ask_for_cookies(&app).await.status, 200);
    assert!(follower.pause(0) >= Duration::from_secs(24));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_followed_within_seconds() {
    let service = Service::start().await;
    assert_eq!(signed_with(&service).await, "K2TESTKEY");
    rotate_folder(service.folder.path().join("keys"), "K3NEXT").await;
    let line = service.wait_for("\"K3NEXT\"").await;
    assert_eq!(line["event"], "keys.changed");
    assert_eq!(signed_with(&service).await, "K3NEXT");
    let (code, ready) = service.readiness().await;
    assert_eq!(
        (code, &ready["key_pair_id"], &ready["ring_revision"]),
        (200, &json!("K3NEXT"), &json!(3))
    );
    assert_metric(&service, "edgemint_active_key{key_pair_id=\"K3NEXT\"} 1\n").await;
    assert_metric(&service, "edgemint_ring_revision 3\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameter_store_is_followed_and_its_outage_is_outlived() {
    let remote = Remote::start().await;
    remote.gate.shut();
    let service = Service::launch(remote.site("1s").await);
    service.wait_for("waiting for a key").await;
    service.wait_for("keys.failed").await;
    let (code, ready) = service.readiness().await;
    assert_eq!((code, &ready["status"]), (503, &json!("no key")));
    assert_eq!(service.cookies(person("Ada")).await.status(), 503);

    remote.gate.open();
    service.wait_for("keys.heard").await;
    assert_eq!(signed_with(&service).await, "K1");
    assert_eq!(remote.gate.fetches(), 1);
    remote.wait_for_lists(3).await;
    assert_eq!(remote.gate.fetches(), 1, "nothing has changed, so nothing is decrypted");

    remote.rotate_to("K2").await;
    while service.wait_for("keys.changed").await["key"] != "K2" {}
    assert_eq!(signed_with(&service).await, "K2");
    assert_eq!(remote.gate.fetches(), 2);
    let (code, ready) = service.readiness().await;
    assert_eq!(
        (code, &ready["key_pair_id"], &ready["ring_revision"]),
        (200, &json!("K2"), &json!(3))
    );
    assert_metric(&service, "edgemint_ring_revision 3\n").await;

    remote.gate.shut();
    let line = service.wait_for("keys.failed").await;
    assert!(line["problem"].as_str().unwrap().contains("ssm:GetParametersByPath"), "{line}");
    service.signal("-HUP");
    service.wait_for("reload.done").await;
    assert_eq!(signed_with(&service).await, "K2");
    let (code, ready) = service.readiness().await;
    assert_eq!((code, &ready["status"]), (200, &json!("ready")));
    assert!(!service.metrics().await.contains("edgemint_key_source_errors_total 0\n"));

    remote.rotate_to("K3").await;
    remote.gate.open();
    service.wait_for("keys.heard").await;
    assert_eq!(signed_with(&service).await, "K3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_and_a_stale_answer_are_not_taken() {
    let remote = Remote::start().await;
    remote.rotate_to("K2").await;
    let service = Service::launch(remote.site("1s").await);
    service.wait_for("keys.changed").await;
    remote.put_state(4, "{").await;
    let line = service.wait_for("keys.failed").await;
    assert!(line["problem"].as_str().unwrap().contains("ring/00000004"), "{line}");
    assert_eq!(signed_with(&service).await, "K2");
    remote.delete_state(4).await;
    service.wait_for("keys.heard").await;

    // As where a replica answers that has not heard of the last change.
    remote.delete_state(3).await;
    let line = service.wait_for("keys.failed").await;
    assert!(line["problem"].as_str().unwrap().contains("older than the revision 3"), "{line}");
    assert_eq!(signed_with(&service).await, "K2");
    let (code, ready) = service.readiness().await;
    assert_eq!((code, &ready["ring_revision"]), (200, &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_asks_at_once_and_a_source_that_cannot_be_read_is_not_changed_to() {
    let remote = Remote::start().await;
    let service = Service::launch(remote.site("1h").await);
    service.wait_for("keys.changed").await;
    remote.rotate_to("K2").await;
    service.signal("-HUP");
    assert_eq!(service.wait_for("keys.changed").await["key"], "K2");
    service.wait_for("reload.done").await;

    let source = format!("ssm:{PATH}");
    service.write_config(&service.config.replace(&source, "ssm:/edgemint/nothing"));
    let line = service.wait_for("reload.failed").await;
    assert!(line["problem"].as_str().unwrap().contains("ssm:/edgemint/nothing"), "{line}");
    assert_eq!(signed_with(&service).await, "K2");
    service.write_config(&service.config.replace(&source, "dir:keys"));
    assert_eq!(service.wait_for("reload.done").await["key"], "K2TESTKEY");
    assert_eq!(signed_with(&service).await, "K2TESTKEY");
    service.write_config(&service.config);
    assert_eq!(service.wait_for("reload.done").await["key"], "K2");
}
