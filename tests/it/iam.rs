//! `deploy/iam/`: what the policies allow is what the code calls.

use std::collections::BTreeSet;
use std::path::Path;

use aws_sdk_ssm::types::ParameterType;
use edgemint::bundle::{Bucket, Limits, S3Error};
use edgemint::clock::EpochSeconds;
use edgemint::config::{DEFAULT_KMS_KEY, KeyGroupId, ParameterPath};
use edgemint::keystore::cloudfront::KeyGroup;
use edgemint::keystore::{Aws, Keystore, KeystoreError, ParameterStore, ProblemKind, fetch_secret};
use edgemint::signing::{KeyKind, PrivateKey, generate_pem};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ministack::{MiniStack, config_as};
use crate::rotation::world::key_group;
use crate::tools::Tool;

const SERVICE: &str = include_str!("../../deploy/iam/service.json");
const ADMIN: &str = include_str!("../../deploy/iam/admin.json");
const BUNDLE: &str = include_str!("../../deploy/iam/bundle.json");
const SERVICES: [&str; 4] = ["ssm", "cloudfront", "elasticloadbalancing", "s3"];
const NOW: EpochSeconds = EpochSeconds(1_800_000_000);

/// What `MiniStack` asks for a list of parameters: it does not see the path, and so judges the call as
/// one on everything.
const LISTS_ANYWHERE: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "ssm:GetParametersByPath", "Resource": "*"}]}"#;

#[derive(Deserialize)]
struct Findings {
    findings: Vec<String>,
}

#[derive(Deserialize)]
struct AccessKey {
    access_key_id: String,
    secret_access_key: String,
}

#[test]
fn the_linter_of_policies_finds_nothing() {
    let wrong = SERVICE.replacen("ssm:GetParameter\"", "ssm:GetParameterz\"", 1);
    let requests = [SERVICE, ADMIN, &wrong, BUNDLE].map(|policy| json!({ "policy": policy }));
    let found: Vec<Findings> = Tool::python("policy_lint.py").ask_all(&requests);
    assert_eq!(found[0].findings, [""; 0], "service.json");
    assert_eq!(found[1].findings, [""; 0], "admin.json");
    assert_eq!(found[3].findings, [""; 0], "bundle.json");
    assert_eq!(found[2].findings.len(), 1, "the linter finds a wrong action");
}

#[test]
fn the_policies_allow_what_the_code_calls_and_nothing_else() {
    let called = called();
    let (service, admin, bundle) = (allowed(SERVICE), allowed(ADMIN), allowed(BUNDLE));
    assert!(called.len() > 3, "{called:?}");
    let (of_s3, others): (BTreeSet<String>, BTreeSet<String>) =
        called.iter().cloned().partition(|action| prefix(action) == "s3");
    assert_eq!(bundle, of_s3);
    assert!(others.is_subset(&admin), "admin.json lacks some of {others:?}");
    assert!(service.is_subset(&admin), "{service:?}");
    let by_name = |action: &&String| SERVICES.contains(&prefix(action));
    let needless: Vec<&String> = admin.difference(&called).filter(by_name).collect();
    assert!(needless.is_empty(), "nobody calls {needless:?}");
}

#[test]
fn no_policy_reaches_beyond_its_path_where_aws_can_tell() {
    let all = [SERVICE, ADMIN, BUNDLE].map(statements).concat();
    for statement in &all {
        let actions = texts(&statement["Action"]);
        for resource in texts(&statement["Resource"]) {
            let by_prefix = statement["Condition"]["StringLike"]["s3:prefix"] == "neuroglancer/*";
            let narrow = ["/edgemint/prod/", ":key/", "/neuroglancer/"];
            let narrow = by_prefix || narrow.iter().any(|part| resource.contains(part));
            let blind =
                |action: &String| matches!(prefix(action), "cloudfront" | "elasticloadbalancing");
            assert!(narrow || actions.iter().all(blind), "{actions:?} on {resource}");
        }
        let of_kms = actions.iter().any(|action| prefix(action) == "kms");
        let context = &statement["Condition"]["StringLike"]["kms:EncryptionContext:PARAMETER_ARN"];
        let own = |arn: &str| arn.ends_with("/prod/keys/*") || arn.ends_with("/prod/secrets/*");
        assert_eq!(of_kms, context.as_str().is_some_and(own));
    }
}

#[tokio::test]
async fn the_service_follows_and_the_admin_changes_a_ring_with_these_policies() {
    let stack = MiniStack::start_with_iam().await;
    let url = stack.url();
    let user = |name: &str, policy: &str| {
        json!({ "endpoint": url, "access_key_id": "123456789012", "name": name,
                "policies": [policy, LISTS_ANYWHERE] })
    };
    let requests = [user("service", SERVICE), user("admin", ADMIN), user("nobody", LISTS_ANYWHERE)];
    let keys: Vec<AccessKey> = Tool::python("iam_user.py").ask_all(&requests);
    let [service, admin, nobody] = [
        open(&url, &keys[0], "/edgemint/prod").await,
        open(&url, &keys[1], "/edgemint/prod").await,
        open(&url, &keys[2], "/edgemint/prod").await,
    ];
    let pem = generate_pem(KeyKind::P256).unwrap();
    let imported = admin.import(&"K1".parse().unwrap(), &pem, NOW).await.unwrap();
    let ring = service.load(None).await.unwrap();
    assert_eq!(ring.active.id, imported.id);
    let member = ring.ring.active().unwrap();

    denied(service.write(&ring.ring, ring.revision).await, "ssm:PutParameter");
    denied(service.destroy_key(&member.fingerprint).await, "ssm:DeleteParameter");
    denied(nobody.load(None).await, "ssm:GetParameter");
    let elsewhere = open(&url, &keys[1], "/edgemint/other").await;
    denied(elsewhere.put_key(&imported.fingerprint, &pem).await, "ssm:PutParameter");

    secrets_of_sign_in_are_the_services_to_read(&stack, &keys).await;
    publishing_needs_the_admins_policy(&stack, &keys).await;

    let mut changed = ring.ring.clone();
    for revision in ring.revision..ring.revision + 6 {
        changed = changed.confirm(NOW, 3600, 0);
        admin.write(&changed, revision).await.unwrap();
    }
    admin.clean().await.unwrap();
    admin.destroy_key(&imported.fingerprint).await.unwrap();
    assert_eq!(admin.keys().await.unwrap(), []);
}

#[tokio::test]
async fn the_service_reads_one_prefix_of_a_bucket_with_its_policy() {
    let stack = MiniStack::start_with_iam().await;
    let url = stack.url();
    let root = aws_sdk_s3::config::Builder::from(&config_as(&url, "123456789012", "root"));
    let root = aws_sdk_s3::Client::from_conf(root.force_path_style(true).build());
    root.create_bucket().bucket("viewer-bundles").send().await.unwrap();
    for key in ["neuroglancer/index.html", "other/index.html"] {
        let put = root.put_object().bucket("viewer-bundles").key(key);
        put.body(b"<html>".to_vec().into()).send().await.unwrap();
    }
    let user = |name: &str, policy: &str| json!({ "endpoint": url, "access_key_id": "123456789012", "name": name, "policies": [policy] });
    let lists_only = BUNDLE.replace("s3:GetObject", "s3:GetObjectAcl");
    let requests = [user("service", BUNDLE), user("lister", &lists_only), user("nobody", SERVICE)];
    let keys: Vec<AccessKey> = Tool::python("iam_user.py").ask_all(&requests);
    let open = async |key: &AccessKey, prefix: &str| {
        let aws = Aws::with(config_as(&url, &key.access_key_id, &key.secret_access_key));
        Bucket::new("viewer-bundles", prefix, &aws).await
    };
    let bucket = open(&keys[0], "neuroglancer").await;
    let listing = bucket.list(Limits::default()).await.unwrap();
    bucket.fetch(&listing).await.unwrap();
    let denied = |outcome: Result<(), S3Error>, permission: &str| {
        let error = outcome.unwrap_err();
        let S3Error::Aws(problem) = &error else { panic!("{error}") };
        assert_eq!(problem.kind, ProblemKind::Denied, "{error}");
        let expected = format!("lack the permission {permission}: deploy/iam/");
        assert!(error.to_string().contains(&expected), "{error}");
    };
    let bucket = open(&keys[2], "neuroglancer").await;
    denied(bucket.list(Limits::default()).await.map(drop), "s3:ListBucket");
    let bucket = open(&keys[1], "neuroglancer").await;
    denied(bucket.fetch(&listing).await.map(drop), "s3:GetObject");
    let bucket = open(&keys[0], "other").await;
    denied(bucket.list(Limits::default()).await.map(drop), "s3:ListBucket");
}

async fn secrets_of_sign_in_are_the_services_to_read(stack: &MiniStack, keys: &[AccessKey]) {
    let url = stack.url();
    let root = aws_sdk_ssm::Client::new(&config_as(&url, "123456789012", "root"));
    for name in ["/edgemint/prod/secrets/lab", "/edgemint/prod/other"] {
        let put = root.put_parameter().name(name).value("hunter2");
        put.r#type(ParameterType::SecureString).send().await.unwrap();
    }
    let fetch = async |key: &AccessKey, name: &str| {
        let aws = Aws::with(config_as(&url, &key.access_key_id, &key.secret_access_key));
        fetch_secret(&ParameterPath::parse(name).unwrap(), &aws).await
    };
    let (service, admin) = (&keys[0], &keys[1]);
    let secret = fetch(service, "/edgemint/prod/secrets/lab").await.unwrap();
    assert_eq!(secret.expose(), "hunter2");
    denied(fetch(admin, "/edgemint/prod/secrets/lab").await, "ssm:GetParameter");
    denied(fetch(service, "/edgemint/prod/other").await, "ssm:GetParameter");
}

async fn publishing_needs_the_admins_policy(stack: &MiniStack, keys: &[AccessKey]) {
    let public = |pem: &str| PrivateKey::from_pem(pem).unwrap().public().clone();
    let (first, second) =
        (generate_pem(KeyKind::P256).unwrap(), generate_pem(KeyKind::P256).unwrap());
    let root = config_as(&stack.url(), "123456789012", "root");
    let (_, group) = key_group(&root, "iam", &public(&first).to_pem().unwrap()).await;
    let group = KeyGroupId::parse(&group).unwrap();
    let as_user = async |key: &AccessKey| {
        let config = config_as(&stack.url(), &key.access_key_id, &key.secret_access_key);
        KeyGroup::new(group.clone(), &Aws::with(config)).await
    };
    let (service, admin) = (as_user(&keys[0]).await, as_user(&keys[1]).await);
    // MiniStack refuses in other words than CloudFront's.
    assert!(service.read().await.is_err());
    assert!(service.create(&public(&second)).await.is_err());
    let id = admin.create(&public(&second)).await.unwrap();
    admin.change(std::slice::from_ref(&id), &[]).await.unwrap();
    let in_use = admin.delete(&id).await.unwrap_err().to_string();
    assert!(in_use.contains("iam ("), "{in_use}");
    admin.change(&[], std::slice::from_ref(&id)).await.unwrap();
    admin.delete(&id).await.unwrap();
}

async fn open(url: &str, key: &AccessKey, path: &str) -> Keystore {
    let config = config_as(url, &key.access_key_id, &key.secret_access_key);
    let path = ParameterPath::parse(path).unwrap();
    let store = ParameterStore::new(path, DEFAULT_KMS_KEY, &Aws::with(config)).await;
    Keystore::ParameterStore(store)
}

fn denied<T: std::fmt::Debug>(outcome: Result<T, KeystoreError>, permission: &str) {
    let error = outcome.unwrap_err();
    let KeystoreError::Aws(problem) = &error else { panic!("{error}") };
    assert_eq!(problem.kind, ProblemKind::Denied, "{error}");
    let expected = format!("lack the permission {permission}: deploy/iam/");
    assert!(error.to_string().contains(&expected), "{error}");
}

/// The actions that the code names as text: each call gives its own, for its errors.
fn called() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |code| {
        for service in SERVICES {
            for rest in code.split(&format!("\"{service}:")).skip(1) {
                let action: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
                if action.starts_with(|c: char| c.is_ascii_uppercase()) {
                    found.insert(format!("{service}:{action}"));
                }
            }
        }
    });
    found
}

fn read(folder: &Path, take: &mut impl FnMut(&str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, take);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            take(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn allowed(policy: &str) -> BTreeSet<String> {
    let statements = statements(policy);
    let allows = statements.iter().filter(|statement| statement["Effect"] == "Allow");
    allows.flat_map(|statement| texts(&statement["Action"])).collect()
}

fn statements(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

/// One text or several: a policy may write either.
fn texts(value: &Value) -> Vec<String> {
    let one = value.as_str().map(str::to_owned);
    let several = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several.map(str::to_owned)).collect()
}

fn prefix(action: &str) -> &str {
    action.split(':').next().unwrap_or_default()
}
