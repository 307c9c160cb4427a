//! The whole life of a key, and what keeps it from going on.

use std::time::Duration;

use edgemint::signing::KeyState;

use super::world::World;

/// Waits for nobody longer than it must.
const AT_ONCE: [&str; 4] = ["--settle", "0s", "--timeout", "20s"];

fn rotate<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["rotate"], &AT_ONCE[..], more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_published_tried_promoted_and_the_old_one_retired() {
    let world = World::new("life").await;
    let text = world.keys(&rotate(&[])).await.done();
    for step in ["generate", "store", "publish", "probe", "promote", "follow"] {
        assert!(text.contains(&format!("\n{step} ")), "{step} is missing:\n{text}");
    }
    world.assert_tidy(1, "after the rotation").await;
    let ring = world.ring().await;
    let old = ring.member(world.first()).unwrap();
    assert_eq!(old.state, KeyState::Retiring);
    // A day without a source, and the longest cookie.
    let promoted = ring.active().unwrap().promoted.unwrap();
    assert_eq!(old.retire_after, Some(promoted.plus(24 * 3600 + 30)));
    assert!(text.contains(&format!("{} can be retired from", world.first())), "{text}");
    let early = world.keys(&["retire", &world.first().to_string()]).await;
    assert_eq!(early.code(), Some(1), "{}", early.text());
    assert!(early.text().contains("expires at"), "{}", early.text());
    world.let_cookies_expire().await;
    world.keys(&["retire", &world.first().to_string()]).await.done();
    world.assert_tidy(0, "after the retirement").await;
    assert_ne!(world.ring().await.active().unwrap().id, *world.first());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_every_call_and_makes_none() {
    let world = World::new("dry").await;
    let before = world.store.read().await.unwrap();
    let text = world.keys(&rotate(&["--dry-run", "--wait"])).await.done();
    for call in [
        "ssm:PutParameter /edgemint/dry/keys/",
        "cloudfront:CreatePublicKey",
        "cloudfront:UpdateKeyGroup",
        "ssm:PutParameter /edgemint/dry/ring/",
        "cloudfront:DeletePublicKey",
        "ssm:DeleteParameter /edgemint/dry/keys/",
    ] {
        assert!(text.lines().any(|l| l.contains("would: ") && l.contains(call)), "{call}:\n{text}");
    }
    assert!(text.contains("Nothing was changed"), "{text}");
    assert_eq!(world.store.read().await.unwrap(), before);
    world.assert_tidy(0, "after a dry run").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_inside_the_overlap_is_one_command() {
    let world = World::new("back").await;
    world.keys(&rotate(&[])).await.done();
    let new = world.ring().await.active().unwrap().id.clone();
    let first = world.first().to_string();
    let back = [&["promote", first.as_str()], &AT_ONCE[..]].concat();
    world.keys(&back).await.done();
    let ring = world.ring().await;
    assert_eq!(ring.active().unwrap().id, *world.first());
    assert_eq!(ring.member(&new).unwrap().state, KeyState::Retiring);
    world.assert_tidy(1, "after the rollback").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_key_leaves_at_once_and_another_takes_over() {
    let world = World::new("stolen").await;
    let first = world.first().to_string();
    let asked = world.keys(&["revoke", &first, "--settle", "0s"]).await;
    assert_eq!(asked.code(), Some(2), "{}", asked.text());
    assert!(asked.text().contains("--yes"), "{}", asked.text());
    assert_eq!(world.ring().await.active().unwrap().id, *world.first());
    let text = world.keys(&["revoke", &first, "--yes", "--settle", "0s"]).await.done();
    assert!(text.contains("up to 1 minutes of cookies"), "{text}");
    world.assert_tidy(0, "after the revocation").await;
    assert_eq!(world.ring().await.member(world.first()).unwrap().state, KeyState::Retired);
    // Once more: there is nothing left to do, and nothing breaks.
    world.keys(&["revoke", &first, "--yes"]).await.done();
    world.assert_tidy(0, "after a second revocation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_edge_does_not_accept_is_never_promoted() {
    let world = World::new("slow").await;
    world.edge.delay(Duration::from_hours(1));
    let refused = world.keys(&["rotate", "--settle", "0s", "--timeout", "1s"]).await;
    assert_eq!(refused.code(), Some(1), "{}", refused.text());
    assert!(refused.text().contains("does not accept"), "{}", refused.text());
    assert_eq!(world.ring().await.active().unwrap().id, *world.first());
    world.edge.delay(Duration::ZERO);
    // What had been on its way for an hour stays so: the next change of the group is at once.
    let staged = world.ring().await.in_state(KeyState::Staged).next().unwrap().id.clone();
    world.group.change(&[], std::slice::from_ref(&staged)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.keys(&rotate(&[])).await.done();
    world.assert_tidy(1, "after the edge came round").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn list_shows_each_half_and_the_command_that_mends_what_is_wrong() {
    let world = World::new("list").await;
    let text = world.keys(&["list", "--check"]).await.done();
    assert!(text.contains("active"), "{text}");
    world.keys(&["generate", "--kind", "p256"]).await.done();
    world.group.change(&[], &[]).await.unwrap();
    let found = world.keys(&["list", "--check", "--json", "--warn-after", "0s"]).await;
    assert_eq!(found.code(), Some(1), "{}", found.text());
    let list = found.json().pop().unwrap();
    let findings = list["findings"].to_string();
    assert!(findings.contains("days old"), "{findings}");
    assert!(findings.contains("in no ring"), "{findings}");
    assert_eq!(list["keys"][0]["trusted"], true);
    assert_eq!(list["keys"][1]["public_half"], false);
    // The spare key is the one that the next rotation takes.
    let spare = list["keys"][1]["fingerprint"].as_str().unwrap().to_owned();
    world.keys(&rotate(&[])).await.done();
    assert_eq!(world.ring().await.active().unwrap().fingerprint.as_str(), spare);
    world.assert_tidy(1, "after the rotation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_rotations_at_once_one_key_comes_and_nothing_is_left() {
    let world = World::new("race").await;
    let arguments = rotate(&[]);
    let (one, other) = tokio::join!(world.keys(&arguments), world.keys(&arguments));
    let won = [&one, &other].iter().filter(|ran| ran.code() == Some(0)).count();
    assert!(won >= 1, "{}\n{}", one.text(), other.text());
    for ran in [&one, &other] {
        let told = ran.code() == Some(0) || ran.text().contains("somebody else");
        assert!(told, "{}\n---\n{}", one.text(), other.text());
    }
    world.assert_tidy(1, "after both").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_printed_or_published_holds_a_private_key() {
    let world = World::new("printed").await;
    let first = world.first().to_string();
    let commands = [
        rotate(&["--dry-run"]),
        rotate(&["--json"]),
        vec!["list"],
        vec!["list", "--json"],
        vec!["generate"],
        vec!["retire", &first],
        vec!["stage", "no-such-key"],
    ];
    let mut printed = String::new();
    for command in &commands {
        printed += &world.keys(command).await.text();
    }
    let client = aws_sdk_ssm::Client::new(&world.stack.config());
    let all = client.get_parameters_by_path().path("/edgemint/printed").recursive(true);
    let all = all.with_decryption(true).send().await.unwrap().parameters.unwrap();
    let keys = all.iter().filter(|parameter| parameter.name().unwrap().contains("/keys/"));
    let pems: Vec<&str> = keys.map(|parameter| parameter.value().unwrap()).collect();
    assert_eq!(pems.len(), 3, "the first, the new and a spare one");
    let states = all.iter().filter(|parameter| parameter.name().unwrap().contains("/ring/"));
    let public: String = states.map(|parameter| parameter.value().unwrap()).collect();
    assert!(public.contains(&first) && printed.contains(&first));
    for line in pems.iter().flat_map(|pem| pem.lines()).filter(|line| line.len() >= 40) {
        assert!(line.starts_with('-') || !printed.contains(line), "{printed}");
        assert!(line.starts_with('-') || !public.contains(line), "{public}");
    }
    assert!(!printed.contains("PRIVATE KEY"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_a_folder_are_rotated_alike() {
    let world = World::new("dir:keys").await;
    world.keys(&rotate(&["--kind", "p256"])).await.done();
    world.assert_tidy(1, "after the rotation").await;
    world.let_cookies_expire().await;
    // What is due is retired; nothing new is begun so soon.
    let text = world.keys(&rotate(&[])).await.done();
    assert!(text.contains("nothing to do"), "{text}");
    world.assert_tidy(0, "after the retirement").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_permissions_a_person_does_it_by_hand() {
    let world = World::new("hand").await;
    let by_hand = |more: &[&'static str]| rotate(&[&["--manual"], more].concat());
    let asked = world.keys(&by_hand(&["--json"])).await;
    assert_eq!(asked.code(), Some(1), "{}", asked.text());
    let pem = asked.json().pop().unwrap()["by_hand"]["public_key"].as_str().unwrap().to_owned();
    let told = world.keys(&by_hand(&[])).await.text();
    for line in pem.lines() {
        assert!(told.contains(line), "the same key is asked for again: {told}");
    }
    // The wrong ID is found out before anything signs with it, and nothing is spoilt.
    let other = world.first().to_string();
    let wrong = by_hand(&["--timeout", "1s", "--key-pair-id"]);
    let wrong = [&wrong[..], &[other.as_str()]].concat();
    let refused = world.keys(&wrong).await;
    assert_ne!(refused.code(), Some(0), "{}", refused.text());
    assert_eq!(world.ring().await.active().unwrap().id, *world.first());
    let id = world.publish_by_hand("by-hand", &pem).await;
    let right = by_hand(&["--key-pair-id"]);
    world.keys(&[&right[..], &[id.as_str()]].concat()).await.done();
    assert_eq!(world.ring().await.active().unwrap().id.to_string(), id);
    world.assert_tidy(1, "after the rotation").await;

    world.let_cookies_expire().await;
    let retire = ["retire", other.as_str(), "--manual"];
    let asked = world.keys(&retire).await;
    assert_eq!(asked.code(), Some(1), "{}", asked.text());
    assert!(asked.text().contains(&format!("take out {other}")), "{}", asked.text());
    world.group.change(&[], std::slice::from_ref(world.first())).await.unwrap();
    world.group.delete(world.first()).await.unwrap();
    world.edge.caught_up(&world.group).await;
    world.keys(&retire).await.done();
    world.assert_tidy(0, "after the retirement").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_of_an_empty_ring_comes_by_the_same_command() {
    let world = World::new("first").await;
    // Another ring, of a site that trusts the same group.
    let source = ["--source", "ssm:/edgemint/second"];
    let listed = world.keys(&[&["list", "--check"], &source[..]].concat()).await;
    assert!(listed.text().contains("no key signs yet"), "{}", listed.text());
    world.keys(&rotate(&source)).await.done();
    let listed = world.keys(&[&["list", "--json"], &source[..]].concat()).await;
    let list = listed.json().pop().unwrap();
    assert_eq!(list["keys"][0]["state"], "active", "{list}");
    assert_eq!(list["keys"][0]["trusted"], true, "{list}");
}
