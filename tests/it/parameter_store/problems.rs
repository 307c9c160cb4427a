use std::process::Command;
use std::time::Duration;

use edgemint::keystore::ProblemKind;

use super::*;
use crate::aws_endpoint::Act;

const KEY_PLACE: &str = "parameter/edgemint/test/keys/";

/// What AWS says, what kind of problem that is, and what people are told.
type Case = (&'static str, String, ProblemKind, &'static str);

fn of_reading() -> Vec<Case> {
    let denied = |action: &str| {
        format!(
            "User: arn:aws:sts::123456789012:assumed-role/web/i-0 is not authorized to perform: \
             {action} on resource: arn:aws:ssm:us-east-1:123456789012:{KEY_PLACE}x because no \
             identity-based policy allows the {action} action"
        )
    };
    vec![
        (
            "AccessDeniedException",
            denied("ssm:GetParameter"),
            ProblemKind::Denied,
            "lack the permission ssm:GetParameter: deploy/iam/",
        ),
        (
            "AccessDeniedException",
            denied("kms:Decrypt"),
            ProblemKind::Denied,
            "lack the permission kms:Decrypt on the KMS key: deploy/iam/",
        ),
        (
            "AccessDeniedException",
            "The ciphertext refers to a customer master key that does not exist, does not exist in \
             this region, or you are not allowed to access."
                .to_owned(),
            ProblemKind::Denied,
            "lack the permission kms:Decrypt on the KMS key: deploy/iam/",
        ),
        (
            "InvalidKeyId",
            "arn:aws:kms:us-east-1:123456789012:key/0 is disabled.".to_owned(),
            ProblemKind::KmsKey,
            "aws kms enable-key",
        ),
        (
            "ExpiredTokenException",
            "The security token included in the request is expired".to_owned(),
            ProblemKind::Credentials,
            "aws configure export-credentials",
        ),
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.".to_owned(),
            ProblemKind::Credentials,
            "set AWS_PROFILE",
        ),
        (
            "InvalidSignatureException",
            "Signature expired: 20270115T080000Z is now earlier than 20270115T080500Z".to_owned(),
            ProblemKind::Clock,
            "timedatectl",
        ),
    ]
}

fn of_writing() -> Vec<Case> {
    vec![
        (
            "AccessDeniedException",
            "User: arn:aws:iam::123456789012:user/a is not authorized to perform: kms:Encrypt on \
             resource: arn:aws:kms:us-east-1:123456789012:key/0 because no identity-based policy \
             allows the kms:Encrypt action"
                .to_owned(),
            ProblemKind::Denied,
            "lack the permission kms:Encrypt on the KMS key: deploy/iam/",
        ),
        (
            "InvalidKeyId",
            "Alias arn:aws:kms:us-east-1:123456789012:alias/edgemint is not found.".to_owned(),
            ProblemKind::KmsKey,
            "aws kms create-alias --alias-name alias/edgemint --target-key-id ID",
        ),
        (
            "ParameterLimitExceeded",
            "Parameter limit exceeded".to_owned(),
            ProblemKind::Limit,
            "delete parameters that are no longer needed",
        ),
    ]
}

#[tokio::test]
async fn what_aws_refuses_is_told_with_the_permission_or_the_limit() {
    let endpoint = Endpoint::alone().await;
    let store = open(config_for(endpoint.url())).await;
    let (key, pem) = pair();
    for (code, words, kind, advice) in of_reading() {
        endpoint.next("GetParameter", [Act::error(code, &words)]);
        let error = store.key(&key).await.unwrap_err();
        check(&error, kind, &["ssm:GetParameter", key.as_str(), code, &words, advice]);
        endpoint.next("GetParametersByPath", [Act::error(code, &words)]);
        check(&store.read().await.unwrap_err(), kind, &["ssm:GetParametersByPath", code]);
    }
    for (code, words, kind, advice) in of_writing() {
        endpoint.next("PutParameter", [Act::error(code, &words)]);
        let error = store.put_key(&key, &pem).await.unwrap_err();
        check(&error, kind, &["ssm:PutParameter", key.as_str(), code, &words, advice]);
    }
    let denied = Act::error("AccessDeniedException", "You may not.");
    endpoint.next("DeleteParameter", [denied]);
    let error = store.destroy_key(&key).await.unwrap_err();
    check(&error, ProblemKind::Denied, &["lack the permission ssm:DeleteParameter:"]);
}

#[tokio::test]
async fn throttling_is_waited_out_and_then_told() {
    let endpoint = Endpoint::alone().await;
    let store = open(Hurry::below(LIMITS).with(config_for(endpoint.url()))).await;
    let slow = || Act::error("ThrottlingException", "Rate exceeded");
    endpoint.next("GetParametersByPath", [slow(), Act::Answer(200, "{}".to_owned())]);
    assert_eq!(store.read().await.unwrap().revision, 0);
    endpoint.next("GetParametersByPath", [slow(), slow(), slow()]);
    let error = store.read().await.unwrap_err();
    check(&error, ProblemKind::Throttled, &["ThrottlingException: Rate exceeded", "in a minute"]);
    assert_eq!(endpoint.take_calls().len(), 5, "three attempts");
}

#[tokio::test]
async fn an_answer_that_is_not_awss_is_called_so() {
    let endpoint = Endpoint::alone().await;
    let store = open(config_for(endpoint.url())).await;
    let page = "<html><body>Sign in to the hotel's network, hunter2</body></html>";
    for status in [200, 302, 403, 404] {
        endpoint.next("GetParametersByPath", [Act::Answer(status, page.to_owned())]);
        let error = store.read().await.unwrap_err();
        check(&error, ProblemKind::Unreachable, &["the answer is not AWS's", "proxy"]);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn nobody_waits_for_ever_for_an_answer() {
    let endpoint = Endpoint::alone().await;
    let hurry = Hurry::below(Duration::MAX);
    let config = hurry.with(config_for(endpoint.url()));
    endpoint.next("GetParametersByPath", vec![Act::Silence; 4]);
    let error = open(config).await.read().await.unwrap_err();
    check(&error, ProblemKind::Unreachable, &["no answer in time", "is AWS reachable"]);
    let asked = hurry.noted();
    let count = |seconds| asked.iter().filter(|d| **d == Duration::from_secs(seconds)).count();
    assert_eq!(count(8), 1, "the operation: {asked:?}");
    assert!(count(3) >= 2, "each attempt: {asked:?}");
    assert!(count(2) >= 1, "the connection: {asked:?}");
}

#[tokio::test]
async fn a_refused_connection_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = open(Hurry::below(LIMITS).with(config_for(&url))).await.read().await.unwrap_err();
    check(&error, ProblemKind::Unreachable, &["refused", "is AWS reachable"]);
}

#[test]
fn a_machine_without_credentials_or_region_is_told_what_to_set() {
    let credentials = [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
    let [id, secret] = credentials;
    let said = import_with(&[id, secret, ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]);
    assert!(said.contains("set AWS_REGION"), "{said}");
    let said = import_with(&credentials);
    assert!(said.contains("set AWS_REGION"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let said = import_with(&[("AWS_REGION", "us-east-1")]);
    assert!(said.contains("set AWS_PROFILE or AWS_ACCESS_KEY_ID"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let said = import_with(&[("AWS_REGION", "us-east-1"), ("AWS_PROFILE", "sso")]);
    assert!(said.contains("aws configure export-credentials --format env"), "{said}");
}

const PROFILES: &str = "[profile sso]\nsso_start_url = https://example.awsapps.com/start\n\
    sso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = admin\n";

/// What the program says that finds AWS by itself.
fn import_with(environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("key.pem");
    std::fs::write(&pem, pair().1.as_bytes()).unwrap();
    let profiles = folder.path().join("profiles");
    std::fs::write(&profiles, PROFILES).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_edgemint"))
        .args(["keys", "import", "--source", "ssm:/edgemint/test", "--key-pair-id", "K1"])
        .arg(&pem)
        .env_clear()
        .env("HOME", folder.path())
        .env("AWS_CONFIG_FILE", &profiles)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn what_does_not_fit_or_protects_nobody_is_not_sent() {
    let endpoint = Endpoint::alone().await;
    let store = open(config_for(endpoint.url())).await;
    let (key, pem) = pair();
    let long = Zeroizing::new(format!("{}{}", *pem, "#".repeat(4096)));
    let error = store.put_key(&key, &long).await.unwrap_err().to_string();
    assert!(error.contains("a standard parameter holds 4096"), "{error}");
    for kms_key in ["", "alias/aws/ssm", "arn:aws:kms:us-east-1:123456789012:alias/aws/ssm"] {
        let store = open_with(config_for(endpoint.url()), kms_key).await;
        let error = store.put_key(&key, &pem).await.unwrap_err();
        assert!(matches!(error, KeystoreError::SharedKmsKey), "{error}");
    }
    assert!(endpoint.take_calls().is_empty());
}

#[tokio::test]
async fn neither_errors_nor_debug_show_a_key() {
    let endpoint = Endpoint::alone().await;
    let store = open(config_for(endpoint.url())).await;
    let (key, pem) = pair();
    let secret = pem.lines().nth(1).unwrap();
    let quoting = format!("1 validation error detected: Value '{}' at 'value' failed", *pem);
    let unwrapped = quoting.replace("-----", "").replace('\n', " ");
    let answers = [
        Act::error("ValidationException", &quoting),
        Act::error("ValidationException", &unwrapped),
        Act::error(&quoting, "what"),
        Act::Answer(400, quoting.clone()),
        Act::Answer(200, quoting.clone()),
        Act::Answer(200, format!(r#"{{"Parameter": {{"Value": "{secret}", "Type": 7}}}}"#)),
        Act::Answer(200, format!(r#"{{"Parameter": {{"Value": "{secret}", "Type": "String"}}}}"#)),
        Act::Answer(
            200,
            format!(r#"{{"Parameter": {{"Value": "{secret}", "Type": "SecureString"}}}}"#),
        ),
    ];
    for answer in answers {
        endpoint.next("GetParameter", [answer.clone()]);
        let read = store.key(&key).await.unwrap_err();
        endpoint.next("PutParameter", [answer.clone()]);
        endpoint.next("GetParameter", [answer.clone()]);
        let written = store.put_key(&key, &pem).await.unwrap_err();
        for error in [read, written] {
            let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
            assert!(!shown.contains(secret), "{answer:?}: {shown}");
        }
    }
    let shown = format!("{store:?} {store:#?}");
    assert!(!shown.contains("SecretAccessKey: \"test\"") && !shown.contains(secret), "{shown}");
}

fn check(error: &KeystoreError, kind: ProblemKind, words: &[&str]) {
    let KeystoreError::Aws(problem) = error else { panic!("{error}") };
    assert_eq!(problem.kind, kind, "{error}");
    let said = error.to_string();
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert!(!said.contains('\n') && said.len() < 1200, "{said}");
}
