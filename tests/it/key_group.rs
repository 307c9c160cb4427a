//! Public keys and the key group: against MiniStack over AWS's own client, and what MiniStack does
//! not refuse against answers as the CloudFront API reference has them.

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::types::{KeyGroupConfig, PublicKeyConfig};
use edgemint::config::KeyGroupId;
use edgemint::keystore::cloudfront::{EdgeKeys, KeyGroup, Quotas};
use edgemint::keystore::{Aws, KeyGroupError, KeystoreError};
use edgemint::signing::{KeyKind, KeyPairId, PrivateKey, PublicKey, generate_pem};

use crate::ministack::{MiniStack, config_for};
use crate::scripted::{Answer, Scripted};

/// Another program's key group, with a key of its own.
struct Site {
    stack: MiniStack,
    client: Client,
    group: KeyGroupId,
    foreign: KeyPairId,
}

impl Site {
    async fn start() -> Self {
        let stack = MiniStack::start().await;
        let client = Client::new(&stack.config());
        let foreign = publish(&client, "foreign", "not a key that is read here").await;
        let config = KeyGroupConfig::builder().name("data").comment("of the lab");
        let config = config.items(foreign.to_string()).build().unwrap();
        let made = client.create_key_group().key_group_config(config).send().await.unwrap();
        let group = KeyGroupId::parse(made.key_group().unwrap().id()).unwrap();
        Self { stack, client, group, foreign }
    }

    /// The group as one more admin has it.
    async fn admin(&self) -> KeyGroup {
        KeyGroup::new(self.group.clone(), &Aws::with(self.stack.config())).await
    }

    async fn config(&self) -> KeyGroupConfig {
        let read = self.client.get_key_group().id(self.group.to_string()).send().await.unwrap();
        read.key_group.unwrap().key_group_config.unwrap()
    }
}

async fn publish(client: &Client, name: &str, pem: &str) -> KeyPairId {
    let config = PublicKeyConfig::builder().caller_reference(name).name(name).encoded_key(pem);
    let create = client.create_public_key().public_key_config(config.build().unwrap());
    create.send().await.unwrap().public_key.unwrap().id.parse().unwrap()
}

fn new_key() -> PublicKey {
    let pem = generate_pem(KeyKind::P256).unwrap();
    PrivateKey::from_pem(&pem).unwrap().public().clone()
}

fn example_key() -> PublicKey {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/keys-example/p-256.public.pem");
    PublicKey::from_pem(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_key_is_published_trusted_withdrawn_and_deleted_beside_a_foreign_one() {
    let site = Site::start().await;
    let group = site.admin().await;
    let key = new_key();
    let before = group.read().await.unwrap();
    assert_eq!(before.trusted, std::slice::from_ref(&site.foreign));
    assert_eq!(before.entry(&site.foreign).unwrap().fingerprint, None);
    before.check_room(&key.fingerprint(), &[], Quotas::default()).unwrap();

    let id = group.create(&key).await.unwrap();
    let created = group.read().await.unwrap();
    let entry = created.find(&key.fingerprint()).unwrap();
    assert_eq!((&entry.id, created.trusts(&id)), (&id, false));
    assert_eq!(entry.name, format!("edgemint-{}", key.fingerprint().short()));
    assert!(entry.created.0 > 1_700_000_000, "{entry:?}");

    group.change(std::slice::from_ref(&id), &[]).await.unwrap();
    assert_eq!(group.read().await.unwrap().trusted, [site.foreign.clone(), id.clone()]);
    let used = group.delete(&id).await.unwrap_err().to_string();
    assert!(used.contains(&format!("data ({})", site.group)), "{used}");

    group.change(&[], std::slice::from_ref(&id)).await.unwrap();
    group.delete(&id).await.unwrap();
    group.delete(&id).await.unwrap();
    let after = group.read().await.unwrap();
    assert!(after.entry(&id).is_none() && after.trusts(&site.foreign), "{after:?}");
    let config = site.config().await;
    assert_eq!((config.name(), config.comment()), ("data", Some("of the lab")));
}

#[tokio::test]
async fn admins_who_change_the_group_at_once_lose_nothing() {
    let site = Site::start().await;
    let (one, other) = (site.admin().await, site.admin().await);
    let old = one.create(&new_key()).await.unwrap();
    let (new, third) = (new_key(), new_key());
    let (new, third) = (one.create(&new).await.unwrap(), one.create(&third).await.unwrap());
    one.change(std::slice::from_ref(&old), &[]).await.unwrap();
    let (added, again) = (new.clone(), one.clone());
    let first = tokio::spawn(async move { again.change(&[added], &[old]).await });
    other.change(std::slice::from_ref(&third), &[]).await.unwrap();
    first.await.unwrap().unwrap();
    let mut trusted = one.read().await.unwrap().trusted;
    trusted.sort();
    let mut expected = vec![site.foreign.clone(), new, third];
    expected.sort();
    assert_eq!(trusted, expected);
}

#[tokio::test]
async fn what_stopped_half_way_goes_on_without_a_second_key() {
    let site = Site::start().await;
    let key = new_key();
    let id = site.admin().await.create(&key).await.unwrap();
    // Another run, perhaps another machine: the key was created, and is not in the group.
    let again = site.admin().await;
    assert_eq!(again.create(&key).await.unwrap(), id);
    again.change(std::slice::from_ref(&id), &[]).await.unwrap();
    again.change(std::slice::from_ref(&id), &[]).await.unwrap();
    let keys = again.read().await.unwrap();
    assert_eq!(keys.public_keys.len(), 2);
    assert_eq!(keys.trusted.iter().filter(|trusted| **trusted == id).count(), 1);
}

#[tokio::test]
async fn nothing_leaves_the_group_empty_or_changes_another_one() {
    let site = Site::start().await;
    let group = site.admin().await;
    let foreign = [site.foreign.clone()];
    let empty = group.change(&[], &foreign).await.unwrap_err();
    assert!(is(&empty, |error| matches!(error, KeyGroupError::WouldBeEmpty(_))), "{empty}");
    assert_eq!(group.read().await.unwrap().trusted, foreign);
    let published = group.create(&example_key()).await.unwrap_err();
    assert!(is(&published, |error| matches!(error, KeyGroupError::Published(_))), "{published}");
    assert_eq!(group.read().await.unwrap().public_keys.len(), 1);

    let id = KeyGroupId::parse("00000000-0000-0000-0000-000000000000").unwrap();
    let missing = KeyGroup::new(id, &Aws::with(site.stack.config())).await;
    for error in [
        missing.read().await.unwrap_err(),
        missing.create(&new_key()).await.unwrap_err(),
        missing.change(&foreign, &[]).await.unwrap_err(),
    ] {
        assert!(is(&error, |error| matches!(error, KeyGroupError::Missing(_))), "{error}");
        assert!(error.to_string().contains("list-key-groups"), "{error}");
    }
    assert_eq!(group.read().await.unwrap().public_keys.len(), 1);
}

fn is(error: &KeystoreError, expected: impl FnOnce(&KeyGroupError) -> bool) -> bool {
    matches!(error, KeystoreError::KeyGroup(error) if expected(error))
}

const LIST: &str = "GET /2020-05-31/public-key";
const CREATE: &str = "POST /2020-05-31/public-key";
const READ: &str = "GET /2020-05-31/key-group/G1";
const UPDATE: &str = "PUT /2020-05-31/key-group/G1";
const GET: &str = "GET /2020-05-31/public-key/K1";
const DELETE: &str = "DELETE /2020-05-31/public-key/K1";
const GROUPS: &str = "GET /2020-05-31/key-group";

/// An edge that trusts K1, and answers otherwise where a test says so.
async fn scripted() -> (Scripted, KeyGroup) {
    let aws = Scripted::start().await;
    aws.answers(LIST, [list(&[], None)]);
    aws.answers(READ, [group("v1", &["K1"])]);
    aws.answers(UPDATE, [group("v2", &["K1", "K2"])]);
    aws.answers(GET, [Answer::With(200, "k1", public_key("PublicKey", "K1", &new_key()))]);
    let id = KeyGroupId::parse("G1").unwrap();
    let group = KeyGroup::new(id, &Aws::with(config_for(&aws.url()))).await;
    (aws, group)
}

fn config(key: &PublicKey) -> String {
    let pem = key.to_pem().unwrap();
    format!(
        "<CallerReference>r</CallerReference><Name>n</Name><EncodedKey>{}</EncodedKey>",
        pem.trim_end()
    )
}

fn public_key(element: &str, id: &str, key: &PublicKey) -> String {
    let config = config(key);
    let config = if element == "PublicKey" {
        format!("<PublicKeyConfig>{config}</PublicKeyConfig>")
    } else {
        config
    };
    format!(
        "<{element}><Id>{id}</Id><CreatedTime>2026-11-01T00:00:00.000Z</CreatedTime>{config}</{element}>"
    )
}

fn list(keys: &[(&str, &PublicKey)], next: Option<&str>) -> Answer {
    let next = next.map(|next| format!("<NextMarker>{next}</NextMarker>")).unwrap_or_default();
    let items: String =
        keys.iter().map(|(id, key)| public_key("PublicKeySummary", id, key)).collect();
    let body = format!(
        "<PublicKeyList>{next}<MaxItems>100</MaxItems><Quantity>{}</Quantity><Items>{items}</Items>\
         </PublicKeyList>",
        keys.len()
    );
    Answer::With(200, "none", body)
}

fn group_xml(ids: &[&str]) -> String {
    let items: Vec<_> = ids.iter().map(|id| format!("<PublicKey>{id}</PublicKey>")).collect();
    let items = items.concat();
    format!(
        "<KeyGroup><Id>G1</Id><LastModifiedTime>2026-11-01T00:00:00.000Z</LastModifiedTime>\
         <KeyGroupConfig><Name>data</Name><Items>{items}</Items></KeyGroupConfig></KeyGroup>"
    )
}

fn group(etag: &'static str, ids: &[&str]) -> Answer {
    Answer::With(200, etag, group_xml(ids))
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<ErrorResponse xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Error>\
         <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>1</RequestId></ErrorResponse>"
    );
    Answer::With(status, "none", body)
}

fn id(text: &str) -> [KeyPairId; 1] {
    [text.parse().unwrap()]
}

#[tokio::test]
async fn a_lost_race_is_run_again_on_what_the_other_left() {
    for lost in ["PreconditionFailed", "InvalidIfMatchVersion"] {
        let (aws, edge) = scripted().await;
        aws.answers(READ, [group("v1", &["K1"]), group("v2", &["K1", "K3"])]);
        aws.answers(UPDATE, [refusal(412, lost, "no"), group("v3", &["K1", "K3", "K2"])]);
        edge.change(&id("K2"), &id("K1")).await.unwrap();
        let calls = aws.calls(UPDATE);
        let versions: Vec<_> = calls.iter().map(|call| call.if_match.as_deref()).collect();
        assert_eq!(versions, [Some("v1"), Some("v2")]);
        let items = "<Items><PublicKey>K3</PublicKey><PublicKey>K2</PublicKey></Items>";
        assert!(calls[1].body.contains(items), "{}", calls[1].body);
    }
}

#[tokio::test]
async fn a_race_that_is_lost_for_ever_ends_and_says_that_nothing_was_changed() {
    let (aws, edge) = scripted().await;
    aws.answers(UPDATE, [refusal(412, "PreconditionFailed", "no")]);
    let busy = edge.change(&id("K2"), &[]).await.unwrap_err();
    assert!(is(&busy, |error| matches!(error, KeyGroupError::GroupBusy(_))), "{busy}");
    assert!(busy.to_string().contains("nothing was changed"), "{busy}");
    assert_eq!(aws.calls(UPDATE).len(), 5);
    aws.answers(DELETE, [refusal(412, "PreconditionFailed", "no")]);
    let busy = edge.delete(&id("K1")[0]).await.unwrap_err();
    assert!(is(&busy, |error| matches!(error, KeyGroupError::KeyBusy(_))), "{busy}");
    assert_eq!(aws.calls(DELETE).len(), 5);
}

#[tokio::test]
async fn an_answer_that_is_lost_does_not_make_a_change_fail_or_happen_twice() {
    let (aws, edge) = scripted().await;
    aws.answers(READ, [group("v1", &["K1"]), group("v2", &["K1", "K2"])]);
    aws.answers(UPDATE, [Answer::Nothing, refusal(412, "PreconditionFailed", "no")]);
    edge.change(&id("K2"), &[]).await.unwrap();
    assert_eq!(aws.calls(UPDATE).len(), 2);

    let key = new_key();
    aws.answers(LIST, [list(&[], None), list(&[], None), list(&[("K9", &key)], None)]);
    aws.answers(CREATE, [Answer::Nothing, refusal(409, "PublicKeyAlreadyExists", "no")]);
    assert_eq!(edge.create(&key).await.unwrap(), id("K9")[0]);
    let calls = aws.calls(CREATE);
    let reference = format!("<CallerReference>edgemint-{}</CallerReference>", key.fingerprint());
    assert!(calls.iter().all(|call| call.body.contains(&reference)), "{calls:?}");

    aws.answers(DELETE, [Answer::Nothing, refusal(404, "NoSuchPublicKey", "no")]);
    edge.delete(&id("K1")[0]).await.unwrap();
    assert!(aws.calls(DELETE).iter().all(|call| call.if_match.as_deref() == Some("k1")));
}

#[tokio::test]
async fn a_key_that_exists_under_no_fingerprint_is_not_taken_for_another() {
    let (aws, edge) = scripted().await;
    aws.answers(LIST, [list(&[("K9", &new_key())], None)]);
    aws.answers(CREATE, [refusal(409, "PublicKeyAlreadyExists", "no")]);
    let taken = edge.create(&new_key()).await.unwrap_err();
    assert!(is(&taken, |error| matches!(error, KeyGroupError::NameTaken(_))), "{taken}");
}

#[tokio::test]
async fn all_pages_of_public_keys_are_read() {
    let (aws, edge) = scripted().await;
    let (first, second) = (new_key(), new_key());
    aws.answers(LIST, [list(&[("K1", &first)], Some("K1")), list(&[("K2", &second)], None)]);
    let EdgeKeys { public_keys, .. } = edge.read().await.unwrap();
    let ids: Vec<_> = public_keys.iter().map(|entry| entry.id.to_string()).collect();
    assert_eq!(ids, ["K1", "K2"]);
    assert!(aws.calls(LIST)[1].query.contains("Marker=K1"), "{:?}", aws.calls(LIST));
    assert_eq!(edge.read().await.unwrap().find(&second.fingerprint()).unwrap().id, id("K2")[0]);
}

/// What to ask, and how.
#[derive(Clone, Copy)]
enum Ask {
    Create,
    Change,
    Delete,
}

#[tokio::test]
async fn every_refusal_names_the_permission_or_the_limit_and_what_to_do() {
    let cases = [
        (Ask::Create, CREATE, 400, "InvalidArgument", "CreatePublicKey edgemint-", 1),
        (Ask::Create, CREATE, 400, "TooManyPublicKeys", "larger quota", 1),
        (Ask::Create, CREATE, 403, "AccessDenied", "permission cloudfront:CreatePublicKey", 1),
        (Ask::Create, LIST, 403, "AccessDenied", "permission cloudfront:ListPublicKeys", 1),
        (Ask::Change, READ, 403, "AccessDenied", "permission cloudfront:GetKeyGroup", 1),
        (Ask::Change, UPDATE, 403, "AccessDenied", "--manual", 1),
        (Ask::Change, UPDATE, 400, "TooManyPublicKeysInKeyGroup", "larger quota", 1),
        (Ask::Change, UPDATE, 404, "NoSuchResource", "UpdateKeyGroup key group G1", 1),
        (Ask::Change, READ, 404, "NoSuchResource", "rotation.key_group", 1),
        (Ask::Change, UPDATE, 400, "Throttling", "in a minute", 3),
        (Ask::Change, READ, 403, "ExpiredToken", "AWS_PROFILE", 1),
        (Ask::Delete, GET, 403, "AccessDenied", "permission cloudfront:GetPublicKey", 1),
        (Ask::Delete, DELETE, 403, "AccessDenied", "permission cloudfront:DeletePublicKey", 1),
        (Ask::Delete, DELETE, 409, "PublicKeyInUse", "key group data (G1)", 1),
    ];
    for (ask, what, status, code, expected, times) in cases {
        let (aws, edge) = scripted().await;
        aws.answers(CREATE, [Answer::With(200, "k2", public_key("PublicKey", "K2", &new_key()))]);
        aws.answers(GROUPS, [groups()]);
        aws.answers(what, [refusal(status, code, "as told")]);
        let refused = match ask {
            Ask::Create => edge.create(&new_key()).await.map(drop),
            Ask::Change => edge.change(&id("K2"), &[]).await,
            Ask::Delete => edge.delete(&id("K1")[0]).await,
        };
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(expected), "{code}: {error}");
        assert_eq!(aws.calls(what).len(), times, "{code}");
    }
}

fn groups() -> Answer {
    let body = format!(
        "<KeyGroupList><MaxItems>100</MaxItems><Quantity>1</Quantity><Items><KeyGroupSummary>{}\
         </KeyGroupSummary></Items></KeyGroupList>",
        group_xml(&["K1"])
    );
    Answer::With(200, "none", body)
}

#[tokio::test]
async fn a_key_in_use_by_nobody_who_can_be_named_still_says_what_to_do() {
    let (aws, edge) = scripted().await;
    aws.answers(DELETE, [refusal(409, "PublicKeyInUse", "no")]);
    aws.answers(GROUPS, [refusal(403, "AccessDenied", "no")]);
    let error = edge.delete(&id("K1")[0]).await.unwrap_err().to_string();
    assert!(error.contains("field-level encryption profile"), "{error}");
}

#[tokio::test]
async fn answers_that_make_no_sense_change_nothing() {
    let (aws, edge) = scripted().await;
    aws.answers(READ, [group("v1", &["../K1"])]);
    let odd = edge.read().await.unwrap_err();
    assert!(is(&odd, |error| matches!(error, KeyGroupError::OddId(_))), "{odd}");
    aws.answers(READ, [Answer::With(200, "v1", "<html>sign in to the Wi-Fi</html>".to_owned())]);
    edge.change(&id("K2"), &[]).await.unwrap_err();
    assert!(aws.calls(UPDATE).is_empty());
}
