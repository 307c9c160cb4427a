//! Rings in Parameter Store, over AWS's own client.

/// Answers of AWS's that are late or lost.
mod late;
/// What goes wrong, and what is said about it.
mod problems;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::{AsyncSleep, SharedAsyncSleep, Sleep};
use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use edgemint::clock::EpochSeconds;
use edgemint::config::{DEFAULT_KMS_KEY, ParameterPath};
use edgemint::keystore::{Aws, Keystore, KeystoreError, ParameterStore};
use edgemint::signing::{Fingerprint, KeyKind, KeyRing, KeyState, PrivateKey, generate_pem};
use zeroize::Zeroizing;

use crate::aws_endpoint::Endpoint;
use crate::ministack::{MiniStack, config_for};

const NOW: EpochSeconds = EpochSeconds(1_800_000_000);
const PATH: &str = "/edgemint/test";

/// The shortest of the time limits: what a client waits for between its attempts is shorter.
const LIMITS: Duration = Duration::from_secs(2);

/// Lets a client wait a fiftieth of what it means to, where that is short, and notes it.
#[derive(Clone, Debug)]
struct Hurry {
    below: Duration,
    noted: Arc<Mutex<Vec<Duration>>>,
}

impl Hurry {
    fn below(below: Duration) -> Self {
        Self { below, noted: Arc::default() }
    }

    fn with(&self, config: SdkConfig) -> SdkConfig {
        config.into_builder().sleep_impl(SharedAsyncSleep::new(self.clone())).build()
    }

    fn noted(&self) -> Vec<Duration> {
        self.noted.lock().unwrap().clone()
    }
}

impl AsyncSleep for Hurry {
    fn sleep(&self, duration: Duration) -> Sleep {
        self.noted.lock().unwrap().push(duration);
        let short = duration < self.below;
        Sleep::new(tokio::time::sleep(if short { duration / 50 } else { duration }))
    }
}

async fn open(config: SdkConfig) -> Keystore {
    open_with(config, DEFAULT_KMS_KEY).await
}

async fn open_with(config: SdkConfig, kms_key: &str) -> Keystore {
    let path = ParameterPath::parse(PATH).unwrap();
    Keystore::ParameterStore(ParameterStore::new(path, kms_key, &Aws::with(config)).await)
}

fn pair() -> (Fingerprint, Zeroizing<String>) {
    let pem = generate_pem(KeyKind::P256).unwrap();
    (PrivateKey::from_pem(&pem).unwrap().fingerprint().clone(), pem)
}

/// A parameter that somebody else puts there.
async fn put(client: &Client, name: &str, value: &str) {
    let put = client.put_parameter().name(format!("{PATH}/{name}")).value(value);
    put.r#type(ParameterType::String).overwrite(true).send().await.unwrap();
}

async fn delete(client: &Client, name: &str) {
    client.delete_parameter().name(format!("{PATH}/{name}")).send().await.unwrap();
}

/// The names under a part of the path, sorted.
async fn names(client: &Client, part: &str) -> Vec<String> {
    let request = client.get_parameters_by_path().path(format!("{PATH}/{part}"));
    let mut pages = request.into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        for parameter in page.unwrap().parameters.unwrap_or_default() {
            names.push(parameter.name.unwrap().rsplit('/').next().unwrap().to_owned());
        }
    }
    names.sort();
    names
}

/// As many changes as asked for, each of them no more than a new state.
async fn change(store: &Keystore, times: usize) -> (KeyRing, u64) {
    let mut stored = store.read().await.unwrap();
    for _ in 0..times {
        stored = store.write(&stored.ring, stored.revision).await.unwrap();
    }
    (stored.ring, stored.revision)
}

#[tokio::test]
async fn a_ring_lives_in_parameters_that_are_written_once() {
    let stack = MiniStack::start().await;
    let client = Client::new(&stack.config());
    let store = open(stack.config()).await;
    assert_eq!(store.read().await.unwrap().revision, 0);
    assert!(matches!(store.load(None).await, Err(KeystoreError::NoActive(_))));

    let [(first, first_pem), (second, second_pem)] = [pair(), pair()];
    let (one, two) = ("K1".parse().unwrap(), "K2".parse().unwrap());
    store.import(&one, &first_pem, NOW).await.unwrap();
    let imported = store.import(&two, &second_pem, NOW).await.unwrap();
    assert_eq!((imported.state, imported.fingerprint), (KeyState::Staged, second.clone()));
    let known: Vec<_> =
        store.keys().await.unwrap().into_iter().map(|key| key.fingerprint).collect();
    assert_eq!(known, [first.clone(), second.clone()]);
    check_parameters(&client).await;

    // The switch is one more parameter, and so is the way back.
    let stored = store.read().await.unwrap();
    let switched = stored.ring.promote(&two, NOW).unwrap();
    let stored = store.write(&switched, stored.revision).await.unwrap();
    assert_eq!(store.load(None).await.unwrap().active.id, two);
    let back = store.write(&switched.promote(&one, NOW).unwrap(), stored.revision).await.unwrap();
    assert_eq!(store.load(None).await.unwrap().active.id, one);
    assert_eq!((back.revision, names(&client, "ring").await.len()), (4, 4));

    // The same key once more is no change; another form of it neither.
    store.put_key(&first, &Zeroizing::new(format!("a comment\n{}", *first_pem))).await.unwrap();
    store.destroy_key(&first).await.unwrap();
    store.destroy_key(&first).await.unwrap();
    assert!(matches!(store.key(&first).await, Err(KeystoreError::Missing(_))));
    assert_eq!(names(&client, "keys").await, [second.to_string()]);
}

async fn check_parameters(client: &Client) {
    let described = client.describe_parameters().send().await.unwrap();
    assert_eq!(described.parameters().len(), 4);
    for parameter in described.parameters() {
        let of_key = parameter.name().unwrap().contains("/keys/");
        let kind = if of_key { ParameterType::SecureString } else { ParameterType::String };
        assert_eq!(parameter.r#type(), Some(&kind));
        assert_eq!(parameter.key_id().filter(|_| of_key), of_key.then_some(DEFAULT_KMS_KEY));
        assert_eq!((parameter.version(), parameter.tier()), (1, Some(&ParameterTier::Standard)));
    }
}

#[tokio::test]
async fn old_states_and_strangers_beside_a_ring_do_not_matter() {
    let stack = MiniStack::start().await;
    let client = Client::new(&stack.config());
    let endpoint = Endpoint::before(stack.url()).await;
    let store = open(config_for(endpoint.url())).await;
    store.import(&"K1".parse().unwrap(), &pair().1, NOW).await.unwrap();
    for name in ["ring/latest", "ring/00000009/note", "ring/x0000009", "keys/readme", "other"] {
        put(&client, name, "strange").await;
    }
    assert_eq!(change(&store, 12).await.1, 13);
    assert_eq!(store.keys().await.unwrap().len(), 1);

    // More than a page of them.
    endpoint.take_calls();
    let loaded = store.load(None).await.unwrap();
    let counts = [("GetParameter", 1), ("GetParametersByPath", 2)];
    assert_eq!(endpoint.count(), counts.map(|(call, times)| (call.to_owned(), times)));

    store.clean().await.unwrap();
    let kept: Vec<String> = (9..=13).map(|number| format!("{number:08}")).collect();
    let mut expected = kept.clone();
    expected.extend(["latest", "x0000009"].map(str::to_owned));
    assert_eq!(names(&client, "ring").await, expected);
    let deleted: Vec<usize> = endpoint.count().iter().map(|(_, times)| *times).collect();
    assert_eq!(deleted, [8, 2], "deletions, and a list of two pages");
    store.clean().await.unwrap();
    assert_eq!(names(&client, "ring").await, expected);

    follow_without_decrypting(&store, &endpoint, loaded).await;
}

/// A poll that finds no other key asks for the list alone, in one call.
async fn follow_without_decrypting(
    store: &Keystore,
    endpoint: &Endpoint,
    mut known: edgemint::keystore::ActiveRing,
) {
    endpoint.take_calls();
    for changes in [0, 1] {
        change(store, changes).await;
        endpoint.take_calls();
        known = store.load(Some(&known)).await.unwrap();
        assert_eq!(endpoint.count(), [("GetParametersByPath".to_owned(), 1)]);
    }
    assert_eq!(known.revision, 14);
    let (key, pem) = pair();
    let two = "K2".parse().unwrap();
    store.import(&two, &pem, NOW).await.unwrap();
    let stored = store.read().await.unwrap();
    store.write(&stored.ring.promote(&two, NOW).unwrap(), stored.revision).await.unwrap();
    endpoint.take_calls();
    let loaded = store.load(Some(&known)).await.unwrap();
    assert_eq!(*loaded.active.key.fingerprint(), key);
    let calls: Vec<String> = endpoint.take_calls().into_iter().map(|call| call.action).collect();
    assert_eq!(calls, ["GetParametersByPath", "GetParameter"]);
}

#[tokio::test]
async fn of_two_admins_at_once_exactly_one_wins_and_the_other_is_told() {
    let stack = MiniStack::start().await;
    let (one, other) = (open(stack.config()).await, open(stack.config()).await);
    let (_, pem) = pair();
    let imported = one.import(&"K1".parse().unwrap(), &pem, NOW).await.unwrap();
    for round in 0..5 {
        let seen = one.read().await.unwrap();
        let key = format!("{round}").repeat(64).parse().unwrap();
        let change = seen.ring.begin_again(&key, NOW);
        let both =
            tokio::join!(one.write(&change, seen.revision), other.write(&change, seen.revision));
        let (won, told) = match both {
            (Ok(won), Err(told)) | (Err(told), Ok(won)) => (won, told),
            both => panic!("{both:?}"),
        };
        assert!(matches!(told, KeystoreError::Conflict(_)), "{told}");
        assert!(told.to_string().contains("ssm:/edgemint/test"), "{told}");
        assert_eq!(one.read().await.unwrap(), won);
    }
    assert_eq!(other.load(None).await.unwrap().active.id, imported.id);

    // One who read a ring long ago writes a number that was used, and is free again.
    let slept = one.read().await.unwrap();
    let (ring, newest) = change(&other, 8).await;
    other.clean().await.unwrap();
    let late = one.write(&slept.ring, slept.revision).await.unwrap_err();
    assert!(matches!(late, KeystoreError::Conflict(_)), "{late}");
    assert_eq!(one.read().await.unwrap().revision, newest);
    let client = Client::new(&stack.config());
    assert_eq!(names(&client, "ring").await.len(), 5, "the late one is gone");

    // Whoever is followed by the next one at once has won all the same.
    let stored = one.write(&ring, newest).await.unwrap();
    assert_eq!(other.write(&ring, stored.revision).await.unwrap().revision, newest + 2);
}

#[tokio::test]
async fn a_damaged_state_is_an_error_that_says_how_to_mend_it() {
    let stack = MiniStack::start().await;
    let client = Client::new(&stack.config());
    let store = open(stack.config()).await;
    let (key, pem) = pair();
    store.import(&"K1".parse().unwrap(), &pem, NOW).await.unwrap();
    let good = change(&store, 1).await.1;
    let whole = client.get_parameter().name(format!("{PATH}/ring/00000002")).send().await.unwrap();
    let whole = whole.parameter.unwrap().value.unwrap();
    let mend = "the state before it counts again after: aws ssm delete-parameter --name \
                /edgemint/test/ring/00000003";
    let cases = [
        ("00000003", "", mend),
        ("00000003", "{", mend),
        ("00000003", &whole.replace("active", "retired"), mend),
        ("00000003", &whole, mend),
        ("00000003", &whole.replace("\"version\":2", "\"version\":3"), "version 3 is not known"),
        ("3", &whole, "delete-parameter --name /edgemint/test/ring/3"),
        ("000000003", &whole, "delete-parameter --name /edgemint/test/ring/000000003"),
        ("00000000", &whole, "delete-parameter --name /edgemint/test/ring/00000000"),
        ("99999999999999999999", &whole, "ring/99999999999999999999"),
    ];
    for (name, text, expected) in cases {
        // MiniStack and AWS store no empty text.
        let text = if text.is_empty() { " " } else { text };
        put(&client, &format!("ring/{name}"), text).await;
        let error = store.read().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{name} {text}: {error}");
        assert!(store.load(None).await.is_err(), "{name}");
        delete(&client, &format!("ring/{name}")).await;
        assert_eq!(store.read().await.unwrap().revision, good, "{name} {text}");
    }

    // A key under another's name, one that lies open, and one that is none.
    let place = format!("keys/{key}");
    delete(&client, &place).await;
    put(&client, &place, &pem).await;
    let open = store.load(None).await.unwrap_err();
    assert!(matches!(open, KeystoreError::Unencrypted(_)), "{open}");
    for (text, expected) in
        [(pair().1.as_str(), "holds another key"), ("none", "no PEM block of a key")]
    {
        delete(&client, &place).await;
        let put = client.put_parameter().name(format!("{PATH}/{place}")).value(text);
        put.r#type(ParameterType::SecureString).send().await.unwrap();
        let error = store.load(None).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let again = store.put_key(&key, &pem).await.unwrap_err().to_string();
        assert!(again.contains(expected), "never overwritten: {again}");
    }
}
