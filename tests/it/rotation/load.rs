//! Rotation while people work: nobody is refused, whatever else fails meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use edgemint::signing::KeyPairId;

use super::world::World;
use crate::following::gate::Gate;
use crate::process::{Service, Site};
use crate::support::person;

/// Two instances on a world's ring, with a way to AWS that can be shut.
struct Instances {
    services: Vec<Service>,
    gate: Gate,
}

impl Instances {
    async fn start(world: &World) -> Self {
        let gate = Gate::before(&world.stack.url()).await;
        let mut services = Vec::new();
        for _ in 0..2 {
            let mut site = Site::prepare().await;
            let edge = &world.edge.url;
            site.public_host = edge.trim_start_matches("http://").to_owned();
            site.environment = vec![
                ("EDGEMINT_PUBLIC_URL", edge.clone()),
                ("EDGEMINT_DISTRIBUTION__0__HOST", edge.clone()),
                ("EDGEMINT_DISTRIBUTION__0__PATH", "/lab-a/".to_owned()),
                ("EDGEMINT_RULE__0__RESOURCES", format!("[\"{edge}/lab-a/*\"]")),
                ("EDGEMINT_RULE__0__LIFETIME", "30s".to_owned()),
                ("EDGEMINT_KEYS__SOURCE", world.store.to_string()),
                ("EDGEMINT_KEYS__POLL_INTERVAL", "1s".to_owned()),
                ("EDGEMINT_LIMITS__ASKS_PER_MINUTE_PER_SUBJECT", "0".to_owned()),
                ("EDGEMINT_LIMITS__ASKS_PER_MINUTE_PER_ADDRESS", "0".to_owned()),
            ];
            site.environment.extend(crate::ministack::environment_for(&gate.url()));
            let service = Service::launch(site);
            service.wait_for("keys.changed").await;
            services.push(service);
        }
        let at: Vec<String> = services
            .iter()
            .map(|service| format!("\"http://127.0.0.1:{}\"", service.port))
            .collect();
        world.write_config(&format!("instances = [{}]", at.join(", ")));
        Self { services, gate }
    }
}

/// A set of cookies, and until when it is used.
struct Held {
    cookies: String,
    until: Instant,
}

/// What became of the requests.
#[derive(Default)]
struct Tally {
    issued: AtomicUsize,
    read: AtomicUsize,
}

/// Asks for cookies and reads with them, the oldest and the newest, until told to stop. Says what was
/// refused.
async fn work(
    instances: Arc<Instances>,
    edge: String,
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
) -> Vec<String> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut held: Vec<Held> = Vec::new();
    let mut refused = Vec::new();
    for round in 0_usize.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if round % 8 == 0 {
            let service = &instances.services[round / 8 % instances.services.len()];
            match cookies(service).await {
                Ok(fresh) => {
                    held.push(fresh);
                    tally.issued.fetch_add(1, Ordering::Relaxed);
                }
                Err(why) => refused.push(why),
            }
        }
        held.retain(|held| held.until > Instant::now());
        for held in held.first().into_iter().chain(held.last()) {
            let request = client.get(format!("{edge}/lab-a/chunk/{round}"));
            let answer = request.header("cookie", &held.cookies).send().await.unwrap();
            tally.read.fetch_add(1, Ordering::Relaxed);
            if answer.status() != 200 {
                refused.push(format!("{}: {}", answer.status(), answer.text().await.unwrap()));
            }
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    refused
}

async fn cookies(service: &Service) -> Result<Held, String> {
    let asked = Instant::now();
    let answer = service.cookies(person("Ada")).await;
    if answer.status() != 200 {
        return Err(format!("cookies: {}", answer.status()));
    }
    let lines = answer.headers().get_all("set-cookie").iter();
    let pairs = lines.filter_map(|line| line.to_str().unwrap().split(';').next());
    let pairs: Vec<&str> = pairs.filter(|pair| pair.starts_with("CloudFront-")).collect();
    let cookies = pairs.join("; ");
    let body = answer.text().await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let seconds = body["expires_in"].as_u64().unwrap();
    // The service counted from a second that had begun when it was asked; and a read takes a moment.
    let until = asked + Duration::from_secs(seconds.saturating_sub(2));
    Ok(Held { cookies, until })
}

async fn active(world: &World) -> KeyPairId {
    world.ring().await.active().unwrap().id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rotations_under_load_lose_not_one_request() {
    let world = World::new("load").await;
    let instances = Arc::new(Instances::start(&world).await);
    let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let working =
        tokio::spawn(work(instances.clone(), world.edge.url.clone(), stop.clone(), tally.clone()));
    let rotate =
        ["rotate", "--wait", "--if-older-than", "0s", "--settle", "2s", "--timeout", "60s"];

    // The edge is slow, and the instances lose sight of the ring for a while.
    world.edge.delay(Duration::from_secs(3));
    let outage = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        instances.gate.shut();
        tokio::time::sleep(Duration::from_secs(8)).await;
        instances.gate.open();
    };
    let (first, ()) = tokio::join!(world.keys(&rotate), outage);
    let text = first.done();
    assert!(text.contains("not yet: 403"), "the edge was not slow: {text}");
    assert!(text.contains("2 of 2 behind"), "the instances were not cut off: {text}");
    world.assert_tidy(0, "after the first rotation").await;
    let second = active(&world).await;
    assert_ne!(second, *world.first());

    // And once more, with nothing in the way.
    world.edge.delay(Duration::ZERO);
    world.keys(&rotate).await.done();
    world.assert_tidy(0, "after the second rotation").await;
    assert_ne!(active(&world).await, second);

    stop.store(true, Ordering::Relaxed);
    let refused = working.await.unwrap();
    let (issued, read) = (tally.issued.load(Ordering::Relaxed), tally.read.load(Ordering::Relaxed));
    assert!(refused.is_empty(), "of {issued} sets and {read} reads: {refused:#?}");
    assert!(issued > 50 && read > 500, "{issued} sets and {read} reads");
}
