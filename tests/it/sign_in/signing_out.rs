//! Signing out: what becomes of copies of the session.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{Browser, KEY_ONE, VIEWER, World};
use crate::attacks::Log;

/// Seconds after which a session is due to be rechecked.
const RECHECK: u64 = 900;

fn keys() -> String {
    format!("cookie_keys = [\"{KEY_ONE}\"]")
}

/// Signs in, is copied, and signs out; the copy comes to a replica that remembers nothing.
async fn copied(world: &World) -> Browser {
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let mut copy = browser.clone();
    world.idp.counts();
    let out = browser.script(Method::POST, "/session/logout").await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(browser.names("").is_empty(), "{:?}", browser.names(""));
    copy.state = world.reload();
    copy
}

#[tokio::test]
async fn a_copied_session_ends_at_its_next_recheck_after_sign_out() {
    for way in ["client_secret_basic", "client_secret_post"] {
        let client = json!([{
            "client_id": "viewer",
            "client_secret": "a secret: with odd%20characters",
            "token_endpoint_auth_method": way,
            "redirect_uris": [format!("{VIEWER}/session/callback/lab")],
        }]);
        let named = &way["client_secret_".len()..];
        let provider = format!("client_authentication = \"{named}\"");
        let world = World::with(&json!({ "clients": client }), &provider, &keys());
        let mut copy = copied(&world).await;
        assert_eq!(world.idp.counts()["revocation"], 1, "{way}");
        assert_eq!(copy.renew().await.status, StatusCode::OK, "{way}: it is not due yet");
        world.clock.advance(RECHECK);
        let ended = copy.renew().await;
        assert_eq!(ended.status, StatusCode::UNAUTHORIZED, "{way}: {}", ended.text());
        assert_eq!(ended.json()["type"], "urn:edgemint:problem:session-ended", "{way}");
    }
}

#[tokio::test]
async fn a_public_client_revokes_too() {
    let client = json!([{
        "client_id": "viewer",
        "token_endpoint_auth_method": "none",
        "redirect_uris": [format!("{VIEWER}/session/callback/lab")],
    }]);
    let mut world = World::with(&json!({ "clients": client }), "", &keys());
    let secret = "client_secret = \"a secret: with odd%20characters\"\n";
    let config = super::world::config(&world.idp.issuer, "", &keys());
    world.write(&config.replace(secret, ""));
    world.state = world.reload();
    let mut copy = copied(&world).await;
    world.clock.advance(RECHECK);
    assert_eq!(copy.renew().await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_site_and_an_unreadable_session_revoke_nothing() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.idp.counts();
    let forced = browser.navigate(Method::POST, "/session/logout", "cross-site").await;
    assert_eq!(forced.status, StatusCode::FORBIDDEN);
    let headers = [("cookie", "__Host-edgemint-login-0=1.AAAA")];
    let out = world.browser().send(Method::POST, "/session/logout", &headers).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(world.idp.counts()["revocation"], json!(null));
    world.clock.advance(RECHECK);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
}

#[tokio::test]
async fn where_the_provider_revokes_nothing_a_copied_session_is_renewed_until_it_ends() {
    let world = World::with(&json!({"revocation": false}), "", &keys());
    let mut copy = copied(&world).await;
    assert_eq!(world.idp.counts()["revocation"], json!(null));
    world.clock.advance(RECHECK);
    assert_eq!(copy.renew().await.status, StatusCode::OK);
    world.clock.advance(43_200 - RECHECK);
    assert_eq!(copy.renew().await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revocation_that_fails_or_hangs_holds_up_no_sign_out_and_is_in_the_log() {
    let log = Log::start();
    let world = World::new();
    for kind in ["error", "drop", "redirect", "huge", "slow"] {
        let fail: Value = json!({ "revocation": kind });
        world.idp.fail(&fail);
        let begun = Instant::now();
        copied(&world).await;
        assert!(begun.elapsed().as_secs() < 5, "{kind}: {:?}", begun.elapsed());
        assert_eq!(world.idp.counts()["revocation"], 1, "{kind}");
        // The one that hangs goes on when the answer has gone out, for 5 s in all.
        let told = async {
            let mut said = String::new();
            while !said.contains("session.unrevoked") {
                tokio::time::sleep(Duration::from_millis(20)).await;
                said.push_str(&log.take());
            }
            said
        };
        let said = tokio::time::timeout(Duration::from_secs(8), told).await.expect(kind);
        assert!(said.contains("provider=\"lab\""), "{kind}: {said}");
    }
}
