//! A site whose keys are rotated: `MiniStack`, an edge, a configuration, and the program.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use aws_sdk_cloudfront::types::{KeyGroupConfig, PublicKeyConfig};
use bytes::Bytes;
use edgemint::clock::{Clock as _, SystemClock};
use edgemint::config::{DEFAULT_KMS_KEY, KeyGroupId, KeySource};
use edgemint::demo::LoopbackListener;
use edgemint::demo::edge::{Edge, EdgeOptions};
use edgemint::demo::sample::SampleObject;
use edgemint::keystore::cloudfront::{EdgeKeys, KeyGroup};
use edgemint::keystore::{Aws, Keystore, Stored};
use edgemint::policy::BaseUrl;
use edgemint::signing::verify::TrustedKeys;
use edgemint::signing::{
    KeyKind, KeyPairId, KeyRing, KeyState, PrivateKey, PublicKey, generate_pem,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::ministack::{MiniStack, environment_for};

/// A site whose keys are rotated.
pub(crate) struct World {
    pub(crate) stack: MiniStack,
    pub(crate) edge: TestEdge,
    pub(crate) folder: TempDir,
    pub(crate) store: Keystore,
    pub(crate) group: KeyGroup,
    source: String,
    first: KeyPairId,
}

/// An edge that trusts what a key group of `MiniStack` says, a while later.
pub(crate) struct TestEdge {
    pub(crate) url: String,
    trusted: Arc<RwLock<TrustedKeys>>,
    delay: Arc<Mutex<Duration>>,
    stop: Arc<AtomicBool>,
}

impl World {
    /// A site with one key, that is published, trusted and active; in Parameter Store, or in a folder
    /// if the name begins with `dir:`.
    pub(crate) async fn new(name: &str) -> Self {
        Self::on(MiniStack::start().await, name).await
    }

    /// The same, on a `MiniStack` that is there already.
    pub(crate) async fn on(stack: MiniStack, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = match name.strip_prefix("dir:") {
            Some(name) => format!("dir:{}", folder.path().join(name).display()),
            None => format!("ssm:/edgemint/{name}"),
        };
        let name = name.trim_start_matches("dir:");
        let aws = Aws::with(stack.config());
        let parsed = KeySource::parse(&source).unwrap();
        let store = Keystore::open(&parsed, DEFAULT_KMS_KEY, &aws).await.unwrap();
        let pem = generate_pem(KeyKind::P256).unwrap();
        let public = PrivateKey::from_pem(&pem).unwrap().public().to_pem().unwrap();
        let (first, group) = key_group(&stack.config(), name, &public).await;
        store.import(&first, &pem, SystemClock.now().minus(7200)).await.unwrap();
        let group = KeyGroup::new(KeyGroupId::parse(&group).unwrap(), &aws).await;
        let edge = TestEdge::start(group.clone(), stack.config()).await;
        let world = Self { stack, edge, folder, store, group, source, first };
        world.write_config("");
        world
    }

    /// The key that the site began with.
    pub(crate) const fn first(&self) -> &KeyPairId {
        &self.first
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("edgemint.toml")
    }

    /// Writes a configuration, with more in its `[rotation]`.
    pub(crate) fn write_config(&self, rotation: &str) {
        let text = format!(
            r#"
public_url = "{edge}"
[identity.alb]
region = "us-east-1"
signer = ["arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/test/0000000000000000"]
client = "client"
[[distribution]]
host = "{edge}"
path = "/lab-a/"
[[rule]]
name = "lab-a"
allow = {{ everyone = true }}
resources = ["{edge}/lab-a/*"]
lifetime = "30s"
[keys]
source = "{source}"
poll_interval = "1s"
[rotation]
key_group = "{group}"
probe = "{edge}/lab-a/probe.txt"
clock_skew = "0s"
{rotation}
"#,
            edge = self.edge.url,
            source = self.source,
            group = self.group.id(),
        );
        std::fs::write(self.file(), text).unwrap();
    }

    /// Runs `edgemint keys`, with AWS at its address.
    pub(crate) async fn keys(&self, arguments: &[&str]) -> Ran {
        self.keys_at(&self.stack.url(), arguments).await
    }

    /// Runs `edgemint keys`, with AWS at another address.
    pub(crate) async fn keys_at(&self, aws: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(aws, arguments);
        let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        Ran(ran)
    }

    /// `edgemint keys`, ready to be run.
    pub(crate) fn command(&self, aws: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgemint"));
        let (verb, rest) = arguments.split_first().unwrap();
        command.args(["keys", verb, "--config", self.file().to_str().unwrap()]);
        command.args(rest).envs(environment_for(aws));
        command
    }

    pub(crate) async fn ring(&self) -> KeyRing {
        self.store.read().await.unwrap().ring
    }

    /// Lets the last cookies of all retiring keys have expired.
    pub(crate) async fn let_cookies_expire(&self) {
        let Stored { ring, revision } = self.store.read().await.unwrap();
        let mut members = ring.members().to_vec();
        for member in members.iter_mut().filter(|member| member.state == KeyState::Retiring) {
            assert!(member.retire_after.is_some(), "{member:?}");
            member.retire_after = Some(SystemClock.now().minus(1));
        }
        let ring = KeyRing::new(members, ring.rotation().cloned()).unwrap();
        self.store.write(&ring, revision).await.unwrap();
    }

    /// Does what the instructions say, as a person would.
    pub(crate) async fn publish_by_hand(&self, name: &str, pem: &str) -> String {
        let id =
            public_key(&aws_sdk_cloudfront::Client::new(&self.stack.config()), name, pem).await;
        self.group.change(&[id.parse().unwrap()], &[]).await.unwrap();
        id
    }

    /// Removes all of this site's keys from CloudFront, which has room for ten.
    pub(crate) async fn clear(&self) {
        let client = aws_sdk_cloudfront::Client::new(&self.stack.config());
        let id = self.group.id().to_string();
        let keys = self.group.read().await.unwrap().public_keys;
        let etag = client.get_key_group().id(&id).send().await.unwrap().e_tag.unwrap();
        client.delete_key_group().id(&id).if_match(etag).send().await.unwrap();
        for entry in keys {
            let id = entry.id.to_string();
            let etag = client.get_public_key().id(&id).send().await.unwrap().e_tag.unwrap();
            client.delete_public_key().id(&id).if_match(etag).send().await.unwrap();
        }
    }

    /// What is there on every side.
    pub(crate) async fn everything(&self) -> Everything {
        Everything {
            ring: self.ring().await,
            private: self.store.keys().await.unwrap().len(),
            edge: self.group.read().await.unwrap(),
        }
    }

    /// Fails unless one key is active, as many retire, and nothing else is left anywhere.
    pub(crate) async fn assert_tidy(&self, retiring: usize, context: &str) {
        let Everything { ring, private, edge } = self.everything().await;
        let count = |state| ring.in_state(state).count();
        assert_eq!(count(KeyState::Active), 1, "{context}: {ring:?}");
        assert_eq!(count(KeyState::Retiring), retiring, "{context}: {ring:?}");
        assert_eq!(count(KeyState::Staged), 0, "{context}: {ring:?}");
        assert!(ring.rotation().is_none(), "{context}: {ring:?}");
        assert_eq!(private, 1 + retiring, "{context}: private keys");
        assert_eq!(edge.public_keys.len(), 1 + retiring, "{context}: {edge:?}");
        assert_eq!(edge.trusted.len(), 1 + retiring, "{context}: {edge:?}");
        let live = ring.members().iter().filter(|member| member.state != KeyState::Retired);
        for member in live {
            assert!(edge.trusts(&member.id), "{context}: {member:?}");
            self.store.key(&member.fingerprint).await.unwrap();
        }
    }
}

/// What is there on every side.
pub(crate) struct Everything {
    pub(crate) ring: KeyRing,
    pub(crate) private: usize,
    pub(crate) edge: EdgeKeys,
}

/// A command that has ended.
pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn text(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        format!("{}{}", text(&self.0.stdout), text(&self.0.stderr))
    }

    /// Fails unless the command has ended well.
    pub(crate) fn done(&self) -> String {
        assert_eq!(self.code(), Some(0), "{}", self.text());
        self.text()
    }

    /// The lines of a command with `--json`.
    pub(crate) fn json(&self) -> Vec<Value> {
        let output = String::from_utf8(self.0.stdout.clone()).unwrap();
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Publishes a public key, in a key group of its own.
pub(crate) async fn key_group(
    aws: &aws_config::SdkConfig,
    name: &str,
    public: &str,
) -> (KeyPairId, String) {
    let client = aws_sdk_cloudfront::Client::new(aws);
    let key = public_key(&client, &format!("first-{name}"), public).await;
    let config = KeyGroupConfig::builder().name(name).items(&key).build().unwrap();
    let group = client.create_key_group().key_group_config(config).send().await.unwrap();
    (key.parse().unwrap(), group.key_group.unwrap().id)
}

async fn public_key(client: &aws_sdk_cloudfront::Client, name: &str, pem: &str) -> String {
    let config = PublicKeyConfig::builder().caller_reference(name).name(name).encoded_key(pem);
    let create = client.create_public_key().public_key_config(config.build().unwrap());
    create.send().await.unwrap().public_key.unwrap().id
}

impl TestEdge {
    /// Waits until the edge trusts what the key group says now.
    pub(crate) async fn caught_up(&self, group: &KeyGroup) {
        let wanted = group.read().await.unwrap().trusted;
        let same = || match &*self.trusted.read().unwrap() {
            TrustedKeys::Group(keys) => {
                keys.len() == wanted.len()
                    && wanted.iter().all(|id| keys.contains_key(&id.to_string()))
            }
            _ => false,
        };
        while !same() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts one before a key group.
    pub(crate) async fn start(group: KeyGroup, config: aws_config::SdkConfig) -> Self {
        let listener = LoopbackListener::bind(0).await.unwrap();
        let url = format!("http://localhost:{}", listener.port());
        let trusted = Arc::new(RwLock::new(TrustedKeys::None));
        let options = EdgeOptions {
            url: BaseUrl::parse(&url).unwrap(),
            trusted: trusted.clone(),
            allowed_origin: BaseUrl::parse("http://viewer.localhost:8080").unwrap(),
            may_list: true,
            objects: Arc::new(|path| {
                path.starts_with("/lab-a/").then(|| SampleObject {
                    content_type: "text/plain",
                    bytes: Bytes::from_static(b"private\n"),
                })
            }),
        };
        let edge = Edge::new(options, Arc::new(SystemClock));
        tokio::spawn(edge.serve(listener, std::future::pending()));
        let delay = Arc::new(Mutex::new(Duration::ZERO));
        let stop = Arc::new(AtomicBool::new(false));
        let propagation = propagate(group, config, trusted.clone(), delay.clone(), stop.clone());
        tokio::spawn(propagation);
        while matches!(*trusted.read().unwrap(), TrustedKeys::None) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { url, trusted, delay, stop }
    }

    /// Lets changes of the key group reach the edge later.
    pub(crate) fn delay(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }
}

impl Drop for TestEdge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Brings what a key group says to the edge, each state a while after it came about.
async fn propagate(
    group: KeyGroup,
    config: aws_config::SdkConfig,
    trusted: Arc<RwLock<TrustedKeys>>,
    delay: Arc<Mutex<Duration>>,
    stop: Arc<AtomicBool>,
) {
    let client = aws_sdk_cloudfront::Client::new(&config);
    let mut known: HashMap<String, PublicKey> = HashMap::new();
    let mut coming: Vec<(Instant, Vec<KeyPairId>)> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Ok(held) = group.read().await {
            for id in &held.trusted {
                if let std::collections::hash_map::Entry::Vacant(e) = known.entry(id.to_string()) {
                    let Ok(key) = client.get_public_key().id(id.to_string()).send().await else {
                        continue;
                    };
                    let pem = key.public_key.unwrap().public_key_config.unwrap().encoded_key;
                    e.insert(PublicKey::from_pem(&pem).unwrap());
                }
            }
            if coming.last().is_none_or(|(_, last)| *last != held.trusted) {
                let due = Instant::now() + *delay.lock().unwrap();
                coming.push((due, held.trusted));
            }
        }
        if let Some(due) = coming.iter().rposition(|(due, _)| *due <= Instant::now()) {
            coming.drain(..due);
            let (_, ids) = &coming[0];
            let keys = ids.iter().map(ToString::to_string);
            let keys = keys.filter_map(|id| Some((id.clone(), known.get(&id)?.clone())));
            *trusted.write().unwrap() = TrustedKeys::Group(keys.collect());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
