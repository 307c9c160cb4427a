use std::time::{Duration, Instant};

use super::*;
use crate::aws_endpoint::Act;

#[tokio::test]
async fn what_parameter_store_shows_late_or_loses_is_no_conflict() {
    let stack = MiniStack::start().await;
    let endpoint = Endpoint::before(stack.url()).await;
    let store = open(Hurry::below(LIMITS).with(config_for(endpoint.url()))).await;
    let (key, pem) = pair();

    // The answers to both writes are lost: the client's own second attempts find their work done.
    endpoint.next("PutParameter", [Act::Lose]);
    store.put_key(&key, &pem).await.unwrap();
    store.destroy_key(&key).await.unwrap();
    endpoint.next("PutParameter", [Act::Lose]);
    store.import(&"K1".parse().unwrap(), &pem, NOW).await.unwrap();
    endpoint.take_calls();
    endpoint.next("PutParameter", [Act::Lose]);
    let (ring, revision) = change(&store, 1).await;
    assert_eq!(revision, 2);
    let puts = endpoint.take_calls().iter().filter(|call| call.action == "PutParameter").count();
    assert_eq!(puts, 2);
    endpoint.next("DeleteParameter", [Act::Lose]);
    store.destroy_key(&pair().0).await.unwrap();

    // The same, and what was written is not seen at first.
    endpoint.next("PutParameter", [Act::Lose]);
    endpoint.next("GetParameter", [not_found(), not_found()]);
    assert_eq!(store.write(&ring, revision).await.unwrap().revision, 3);
    endpoint.next("GetParameter", [not_found()]);
    store.put_key(&key, &pem).await.unwrap();

    // Nor does a list as of before unsettle one who has just written.
    endpoint.take_calls();
    store.read().await.unwrap();
    let before = endpoint.take_calls().pop().unwrap().answer;
    endpoint.next("GetParametersByPath", [Act::Answer(200, before)]);
    assert_eq!(store.write(&ring, 3).await.unwrap().revision, 4);
    assert_eq!(store.read().await.unwrap().revision, 4);
}

#[tokio::test]
async fn what_is_never_seen_is_said_to_be_unsettled() {
    let endpoint = Endpoint::alone().await;
    let store = open(config_for(endpoint.url())).await;
    let taken = Act::error("ParameterAlreadyExists", "The parameter already exists.");
    endpoint.next("PutParameter", [taken]);
    endpoint.next("GetParameter", vec![not_found(); 4]);
    let error = store.write(&KeyRing::default(), 0).await.unwrap_err();
    assert!(matches!(error, KeystoreError::Unsettled(_)), "{error}");
    assert!(error.to_string().contains("/edgemint/test/ring/00000001"), "{error}");
}

#[tokio::test]
async fn a_list_without_an_end_is_not_read_for_ever() {
    let endpoint = Endpoint::alone().await;
    let store = open(config_for(endpoint.url())).await;
    let page = |number| {
        let text = format!(r#"{{"Parameters": [], "NextToken": "{number}"}}"#);
        Act::Answer(200, text)
    };
    endpoint.next("GetParametersByPath", (0..60).map(page));
    let begun = Instant::now();
    let error = store.read().await.unwrap_err();
    assert!(matches!(error, KeystoreError::Crowded(_)), "{error}");
    assert_eq!(endpoint.take_calls().len(), 50);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

fn not_found() -> Act {
    Act::error("ParameterNotFound", "")
}
