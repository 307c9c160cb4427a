//! Behind a load balancer and a user pool that others wrote, in Chromium.
//!
//! `MiniStack` plays both; `tests/tools/README.md` says where it departs from AWS and what is put
//! right. Edgemint is the real program, on the configuration that the README shows.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use edgemint::clock::SystemClock;
use edgemint::demo::LoopbackListener;
use edgemint::demo::edge::{Edge, EdgeOptions};
use edgemint::demo::sample::SampleObject;
use edgemint::policy::BaseUrl;
use edgemint::signing::PrivateKey;
use edgemint::signing::verify::TrustedKeys;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ministack::MiniStack;
use crate::process::{Service, Site};
use crate::support::rsa_pem;
use crate::tools::{Tool, node_script};

const PASSWORD: &str = "Correct-Horse-1";

/// What stands in front of the service.
#[derive(Deserialize)]
struct Front {
    viewer: String,
    login: String,
    issuer: String,
    client: String,
    signer: String,
}

#[tokio::test]
async fn people_of_a_pool_see_through_a_load_balancer_what_is_theirs() {
    let (stack, key_url) = MiniStack::start_with_load_balancers().await;
    let site = Site::prepare().await;
    let front = front(&stack, site.port);
    let data = start_edge(&front.viewer).await;
    let service = Service::on(behind(site, &front, &key_url, &data), async |_| {}).await;

    let facts = json!({
        "viewer": front.viewer, "login": front.login, "data": data, "password": PASSWORD,
    });
    let walk = tokio::task::spawn_blocking(move || walk(&facts)).await.unwrap();
    assert!(walk.is_empty(), "{walk}\nThe service said:\n{}", service.log());

    let issued = service.wait_for("cookies.issued").await;
    assert_eq!(issued["front"], "alb");
    assert_eq!(issued["email"], "\"ada@lab-a.example\"");
    drop(stack);
}

/// A pool with people, a load balancer that signs them in, and the service as its target.
fn front(stack: &MiniStack, target_port: u16) -> Front {
    let teams = (0..50).map(|team| format!("team-{team:02}-of-a-large-institute"));
    let many: Vec<String> = teams.chain(["staff".to_owned()]).collect();
    let people = json!([
        {"name": "ada", "email": "ada@lab-a.example", "groups": ["lab-a", "staff"]},
        {"name": "noor", "email": "noor@elsewhere.example", "groups": ["staff"]},
        {"name": "kim", "email": "kim@lab-b.example", "groups": many},
        {"name": "zoe", "email": "zoe@lab-a.example", "groups": []},
    ]);
    let request = json!({
        "endpoint": stack.url(), "target_port": target_port, "people": people, "password": PASSWORD,
    });
    Tool::python("alb_site.py").ask_all(&[request]).remove(0)
}

/// The configuration of a site whose name, keys and provider the load balancer gives.
fn behind(mut site: Site, front: &Front, key_url: &str, data: &str) -> Site {
    let Front { viewer, login, issuer, client, signer } = front;
    let (port, admin) = (site.port, site.admin);
    site.config = format!(
        r#"
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin}"
public_url = "{viewer}"
[identity.alb]
region = "us-east-1"
signer = ["{signer}"]
client = "{client}"
public_key_url = "{key_url}"
groups = {{ issuer = "{issuer}" }}
logout_url = "{login}/logout?client_id={client}&logout_uri={viewer}/"
[[distribution]]
host = "{data}"
[[rule]]
name = "lab-a"
allow = {{ groups = ["lab-a"] }}
resources = ["{data}/lab-a/*"]
[[rule]]
name = "staff"
allow = {{ groups = ["staff"] }}
resources = ["{data}/staff/*"]
[keys]
source = "dir:keys"
[viewer]
root = "viewer"
[log]
format = "json"
"#
    );
    let bundle = site.folder.path().join("viewer");
    std::fs::create_dir(&bundle).unwrap();
    std::fs::write(bundle.join("index.html"), "<!doctype html><title>viewer</title>").unwrap();
    viewer.trim_start_matches("http://").clone_into(&mut site.public_host);
    site.write_config(&site.config);
    site
}

/// A distribution whose key group holds the service's key, and what it says of itself.
async fn start_edge(viewer: &str) -> String {
    let listener = LoopbackListener::bind(0).await.unwrap();
    let url = format!("http://data.alb.localhost:{}", listener.port());
    let key = PrivateKey::from_pem(&rsa_pem()).unwrap().public().clone();
    let options = EdgeOptions {
        url: BaseUrl::parse(&url).unwrap(),
        trusted: Arc::new(RwLock::new(TrustedKeys::Group(HashMap::from([(
            "K2TESTKEY".to_owned(),
            key,
        )])))),
        allowed_origin: BaseUrl::parse(viewer).unwrap(),
        may_list: true,
        objects: Arc::new(|path| {
            path.ends_with("/note.txt").then(|| SampleObject {
                content_type: "text/plain",
                bytes: Bytes::from_static(b"private\n"),
            })
        }),
    };
    let edge = Edge::new(options, Arc::new(SystemClock));
    tokio::spawn(edge.serve(listener, std::future::pending()));
    url
}

/// Walks through it in Chromium, and returns what was not as it should be.
fn walk(facts: &Value) -> String {
    let output = node_script("alb_browser.mjs").arg(facts.to_string()).output().unwrap();
    if output.status.success() {
        return String::new();
    }
    format!("the walk failed: {}", String::from_utf8_lossy(&output.stderr))
}
