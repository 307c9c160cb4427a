//! Several admins, copies, wrong IDs, silent edges: what must not lose anything.

use std::time::Duration;

use edgemint::clock::{Clock as _, SystemClock};
use edgemint::signing::{KeyRing, KeyState};

use super::world::World;
use crate::ports::free_port;

const ROTATE: [&str; 5] = ["rotate", "--settle", "0s", "--timeout", "20s"];

/// Lets the retiring keys have so many seconds left.
async fn leave_seconds(world: &World, seconds: u64) {
    let stored = world.store.read().await.unwrap();
    let mut members = stored.ring.members().to_vec();
    for member in members.iter_mut().filter(|member| member.state == KeyState::Retiring) {
        member.retire_after = Some(SystemClock.now().plus(seconds));
    }
    let ring = KeyRing::new(members, stored.ring.rotation().cloned()).unwrap();
    world.store.write(&ring, stored.revision).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_rolled_back_to_while_its_end_is_waited_for_is_not_destroyed() {
    let world = World::new("waiting").await;
    world.keys(&ROTATE).await.done();
    leave_seconds(&world, 8).await;
    let first = world.first().to_string();
    let waiting = ["retire", &first, "--wait"];
    let back = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.keys(&["promote", &first, "--settle", "0s"]).await.done();
    };
    let (waited, ()) = tokio::join!(world.keys(&waiting), back);
    assert_ne!(waited.code(), Some(0), "{}", waited.text());
    assert_eq!(world.ring().await.active().unwrap().id, *world.first());
    world.assert_tidy(1, "both keys are whole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_being_retired_cannot_be_promoted_any_more() {
    let world = World::new("gone").await;
    world.keys(&ROTATE).await.done();
    world.let_cookies_expire().await;
    // As a retirement leaves things that was killed behind its first call.
    let stored = world.store.read().await.unwrap();
    let ring = stored.ring.retire(world.first(), SystemClock.now()).unwrap();
    world.store.write(&ring, stored.revision).await.unwrap();
    let first = world.first().to_string();
    let refused = world.keys(&["promote", &first, "--settle", "0s"]).await;
    assert!(refused.text().contains("never sign again"), "{}", refused.text());
    world.keys(&["retire", &first]).await.done();
    world.assert_tidy(0, "the rest is gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_a_unit_has_copied_are_kept_until_the_instances_are_asked() {
    let world = World::new("dir:copied").await;
    let text = std::fs::read_to_string(world.file()).unwrap();
    let source = world.store.to_string();
    let copied = text.replace(&format!("\"{source}\""), "\"credential:ring\"");
    assert_ne!(copied, text);
    std::fs::write(world.file(), copied).unwrap();
    let rotate = [&ROTATE[..], &["--source", &source]].concat();
    let said = world.keys(&rotate).await.done();
    assert!(said.contains("rotation.instances"), "{said}");
    assert_eq!(world.ring().await.unconfirmed().count(), 1);
    let first = world.first().to_string();
    let refused = world.keys(&["retire", &first, "--source", &source]).await;
    assert_eq!(refused.code(), Some(1), "{}", refused.text());
    world.assert_tidy(1, "the old key is whole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_revoked_in_the_middle_of_its_own_rotation() {
    let world = World::new("middle").await;
    let nobody = format!("instances = [\"http://127.0.0.1:{}\"]", free_port());
    world.write_config(&nobody);
    let behind = world.keys(&["rotate", "--settle", "0s", "--timeout", "1s"]).await;
    assert_eq!(behind.code(), Some(1), "nobody answers there: {}", behind.text());
    world.write_config("");
    let ring = world.ring().await;
    assert!(ring.rotation().is_some(), "it has not ended: {ring:?}");
    let new = ring.active().unwrap().clone();
    let id = new.id.to_string();
    world.keys(&["revoke", &id, "--yes", "--settle", "0s"]).await.done();
    let ring = world.ring().await;
    assert_eq!(ring.member(&new.id).unwrap().state, KeyState::Retired);
    assert_ne!(ring.active().unwrap().id, *world.first(), "a key that lay beside it");
    world.assert_tidy(1, "after the revocation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_trusts_no_key_that_lay_beside_the_stolen_one() {
    let world = World::new("beside").await;
    world.keys(&["generate"]).await.done();
    let first = world.first().to_string();
    let keys = world.store.keys().await.unwrap();
    let text = world.keys(&["revoke", &first, "--yes", "--settle", "0s"]).await.done();
    let active = world.ring().await.active().unwrap().fingerprint.clone();
    assert!(keys.iter().all(|key| key.fingerprint != active), "{text}");
    assert!(text.contains("lay in the same place"), "{text}");
    assert!(text.contains(&format!("the edge refuses {first}")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_key_that_is_published_twice_leaves_under_both_ids() {
    let world = World::new("twice").await;
    let active = world.ring().await.active().unwrap().clone();
    let key = world.store.key(&active.fingerprint).await.unwrap();
    world.publish_by_hand("again", &key.public().to_pem().unwrap()).await;
    let first = world.first().to_string();
    world.keys(&["revoke", &first, "--yes", "--settle", "0s"]).await.done();
    world.assert_tidy(0, "after the revocation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_edge_is_no_edge_that_refuses() {
    let world = World::new("silent").await;
    world.keys(&ROTATE).await.done();
    world.let_cookies_expire().await;
    let first = world.first().to_string();
    let nobody = format!("http://localhost:{}/lab-a/probe.txt", free_port());
    let refused = world.keys(&["retire", &first, "--manual", "--probe", &nobody]).await;
    assert_ne!(refused.code(), Some(0), "{}", refused.text());
    assert!(refused.text().contains("neither yes nor no"), "{}", refused.text());
    world.assert_tidy(1, "nothing was destroyed").await;
    let refused = world.keys(&[&ROTATE[..], &["--probe", &nobody]].concat()).await;
    assert!(refused.text().contains("neither yes nor no"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_id_is_found_out_before_anything_is_changed() {
    let world = World::new("wrong").await;
    let pem = world.folder.path().join("key.pem");
    let made = edgemint::signing::generate_pem(edgemint::signing::KeyKind::P256).unwrap();
    std::fs::write(&pem, made.as_bytes()).unwrap();
    let (first, pem) = (world.first().to_string(), pem.to_str().unwrap().to_owned());
    let before = world.store.read().await.unwrap();
    for id in [first.as_str(), "KNOBODYHAS"] {
        let import = ["import", "--source", "ssm:/edgemint/other", "--key-pair-id", id, &pem];
        let refused = world.keys(&import).await;
        assert_eq!(refused.code(), Some(2), "{}", refused.text());
        assert!(refused.text().contains("does not know this key"), "{}", refused.text());
    }
    assert_eq!(world.store.read().await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_list_proposes_mends_what_it_found() {
    let world = World::new("mends").await;
    world.keys(&ROTATE).await.done();
    let first = world.first().to_string();
    let active = world.ring().await.active().unwrap().clone();
    let mend = async || {
        let list = world.keys(&["list", "--json"]).await.json().pop().unwrap();
        let findings = list["findings"].as_array().unwrap().clone();
        findings
            .iter()
            .map(|f| f["mend"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    // Taken out of the group by somebody.
    world.group.change(&[], std::slice::from_ref(world.first())).await.unwrap();
    assert_eq!(mend().await, [format!("edgemint keys stage {first}")]);
    world.keys(&["stage", &first]).await.done();
    assert!(mend().await.is_empty());
    // Its private half is lost.
    world.store.destroy_key(&active.fingerprint).await.unwrap();
    assert_eq!(mend().await, ["edgemint keys rotate"]);
    world.keys(&[&ROTATE[..], &["--if-older-than", "0s"]].concat()).await.done();
    // Its public half is gone.
    let active = world.ring().await.active().unwrap().clone();
    world.group.change(&[], std::slice::from_ref(&active.id)).await.unwrap();
    world.group.delete(&active.id).await.unwrap();
    let proposed = mend().await;
    assert!(proposed.contains(&format!("edgemint keys revoke {}", active.id)), "{proposed:?}");
    let id = active.id.to_string();
    let staged = world.keys(&["stage", &id]).await;
    assert!(staged.text().contains("edgemint keys revoke"), "{}", staged.text());
    world.keys(&["revoke", &id, "--yes", "--settle", "0s"]).await.done();
    let ring = world.ring().await;
    let edge = world.group.read().await.unwrap();
    assert!(edge.trusts(&ring.active().unwrap().id), "{ring:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ones_key_stays_whatever_the_ring_calls_its_own() {
    let world = World::new("foreign").await;
    let pem = || edgemint::signing::generate_pem(edgemint::signing::KeyKind::P256).unwrap();
    let foreign = edgemint::signing::PrivateKey::from_pem(&pem()).unwrap();
    let id = world.publish_by_hand("foreign", &foreign.public().to_pem().unwrap()).await;
    // As somebody imports who cannot ask CloudFront.
    let own = world.store.import(&id.parse().unwrap(), &pem(), SystemClock.now()).await.unwrap();
    assert_eq!(own.state, KeyState::Staged);
    world.keys(&["revoke", &id, "--yes", "--settle", "0s"]).await.done();
    assert_eq!(world.ring().await.member(&own.id).unwrap().state, KeyState::Retired);
    let edge = world.group.read().await.unwrap();
    assert!(edge.trusts(&own.id) && edge.entry(&own.id).is_some(), "{edge:?}");
}
