//! Providers that fail: sessions that are open go on, and who signs in gets a page that says so.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use edgemint::clock::{Clock as _, EpochSeconds, FixedClock};
use serde_json::{Value, json};

use super::world::World;

async fn begin(world: &World) -> crate::support::Answer {
    world.browser().open("/session/login?return_to=/a").await
}

#[tokio::test]
async fn a_document_that_cannot_be_had_is_an_outage_with_a_page() {
    for failure in ["error", "drop"] {
        let world = World::new();
        world.idp.fail(&json!({ "discovery": failure }));
        let answer = begin(&world).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{failure}");
        let page = answer.text();
        assert!(page.contains("not possible just now"), "{page}");
        assert!(page.contains("/session/login?return_to=%2Fa"), "{page}");
        // It is not asked again at once, and the sign-in works when it is back.
        world.idp.counts();
        begin(&world).await;
        assert_eq!(world.idp.counts()["discovery"], json!(null));
        world.idp.fail(&json!({}));
        world.clock.advance(30);
        assert_eq!(begin(&world).await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn a_document_that_is_none_is_refused() {
    let world = World::new();
    for document in [
        json!({"issuer": "https://evil.net"}),
        json!({"issuer": format!("{}/", world.idp.issuer)}),
        json!({"token_endpoint": "http://169.254.169.254/latest/meta-data"}),
        json!({"authorization_endpoint": "http://evil.net/auth"}),
        json!({"jwks_uri": "file:///etc/passwd"}),
        json!({"token_endpoint": null}),
        json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
    ] {
        world.idp.fail(&json!({ "document": document }));
        let mut browser = world.browser();
        let answer = browser.open("/session/login").await;
        // How to prove who we are shows only when the code is traded.
        let late = document.get("token_endpoint_auth_methods_supported").is_some();
        let expected = if late { StatusCode::SEE_OTHER } else { StatusCode::BAD_GATEWAY };
        assert_eq!(answer.status, expected, "{document}");
        world.clock.advance(3600);
    }
}

#[tokio::test]
async fn redirects_and_floods_are_followed_nowhere() {
    let world = World::new();
    for (kind, status) in [
        ("redirect", StatusCode::SERVICE_UNAVAILABLE),
        ("huge", StatusCode::SERVICE_UNAVAILABLE),
        ("nonsense", StatusCode::BAD_GATEWAY),
    ] {
        world.idp.fail(&json!({ "discovery": kind }));
        assert_eq!(begin(&world).await.status, status, "{kind}");
        world.clock.advance(30);
    }
}

/// Signs in as far as the callback while some endpoint fails.
async fn come_back(world: &World, failure: &Value) -> crate::support::Answer {
    let mut browser = world.browser();
    let path = browser.at_provider("ada", "/a").await;
    world.idp.fail(failure);
    let answer = browser.come_back(&path).await;
    let left = browser.names("");
    assert!(answer.status == StatusCode::SEE_OTHER || left.is_empty(), "{failure}: {left:?}");
    world.idp.fail(&json!({}));
    world.clock.advance(30);
    answer
}

#[tokio::test]
async fn a_callback_that_cannot_be_finished_says_so_and_leads_back() {
    let world = World::new();
    for (failure, status) in [
        (json!({"token": "error"}), StatusCode::SERVICE_UNAVAILABLE),
        (json!({"token": "drop"}), StatusCode::SERVICE_UNAVAILABLE),
        (json!({"token": "redirect"}), StatusCode::SERVICE_UNAVAILABLE),
        (json!({"token": "huge"}), StatusCode::SERVICE_UNAVAILABLE),
        (json!({"token": "nonsense"}), StatusCode::BAD_GATEWAY),
        (json!({"keys": "error"}), StatusCode::SERVICE_UNAVAILABLE),
        (json!({"keys": "nonsense"}), StatusCode::BAD_GATEWAY),
    ] {
        let answer = come_back(&world, &failure).await;
        assert_eq!(answer.status, status, "{failure}: {}", answer.text());
        assert!(answer.text().contains("/session/login?return_to=%2Fa"), "{failure}");
    }
    // All that was the provider's.
    assert_eq!(come_back(&world, &json!({})).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_userinfo_endpoint_that_fails_or_signs_lets_nobody_in() {
    let keys = format!("cookie_keys = [\"{}\"]", super::world::KEY_ONE);
    let mut world = World::with(&json!({"userinfo": true}), "", &keys);
    let config = super::world::config(&world.idp.issuer, "", &keys);
    world.write(
        &config.replace("claim = \"groups\" }", "claim = \"groups\", from = \"userinfo\" }"),
    );
    world.state = world.reload();
    for (kind, status) in [
        ("error", StatusCode::SERVICE_UNAVAILABLE),
        ("signed", StatusCode::BAD_GATEWAY),
        ("nonsense", StatusCode::BAD_GATEWAY),
        ("redirect", StatusCode::BAD_GATEWAY),
    ] {
        let answer = come_back(&world, &json!({ "userinfo": kind })).await;
        assert_eq!(answer.status, status, "{kind}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_provider_that_hangs_is_not_waited_for() {
    let world = World::new();
    let mut open = world.browser();
    open.sign_in("ada").await;
    let mut late = world.browser();
    let path = late.at_provider("ada", "/").await;
    world.idp.fail(&json!({"token": "slow"}));
    world.clock.advance(900);
    let begun = Instant::now();
    // At once: the session that is open goes on, and the attempt has expired by now.
    assert_eq!(open.renew().await.status, StatusCode::OK);
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
    assert_eq!(late.come_back(&path).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn who_signs_in_at_a_provider_that_hangs_gets_a_page_in_bounded_time() {
    let begun = Instant::now();
    let callback = async {
        let world = World::new();
        come_back(&world, &json!({"token": "slow"})).await
    };
    let login = async {
        let world = World::new();
        world.idp.fail(&json!({"discovery": "slow"}));
        begin(&world).await
    };
    let (callback, login) = tokio::join!(callback, login);
    assert!(begun.elapsed().as_secs() < 12, "{:?}", begun.elapsed());
    for answer in [callback, login] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
        let page = answer.text();
        assert!(page.contains("not possible just now"), "{page}");
        assert!(page.contains("/session/login?return_to=%2Fa"), "{page}");
    }
}

#[tokio::test]
async fn an_id_token_of_another_sign_in_or_for_another_client_lets_nobody_in() {
    let world = World::new();
    for claims in [
        json!({"nonce": "A".repeat(43)}),
        json!({"nonce": null}),
        json!({"aud": "another"}),
        json!({"aud": ["viewer", "another"], "azp": "another"}),
        json!({"iss": "https://evil.net"}),
    ] {
        let answer = come_back(&world, &json!({ "id_token": claims })).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{claims}: {}", answer.text());
    }
    // Signed anew, and nothing changed: all that was the claims'.
    let same = json!({"id_token": {"sub": "ada"}});
    assert_eq!(come_back(&world, &same).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_clock_that_is_off_by_minutes_lets_nobody_in_and_little_skew_does() {
    for (skew, status) in [
        (-600_i64, StatusCode::BAD_GATEWAY),
        (-20, StatusCode::SEE_OTHER),
        (20, StatusCode::SEE_OTHER),
        // The ID token lives for a day.
        (90_000, StatusCode::BAD_GATEWAY),
    ] {
        let mut world = World::new();
        let shifted = EpochSeconds(world.clock.now().0.checked_add_signed(skew).unwrap());
        world.clock = Arc::new(FixedClock::at(shifted));
        world.state = world.reload();
        let mut browser = world.browser();
        let path = browser.at_provider("ada", "/").await;
        let answer = browser.come_back(&path).await;
        assert_eq!(answer.status, status, "{skew}: {}", answer.text());
    }
}

#[tokio::test]
async fn many_who_sign_in_at_once_cost_one_document_and_one_set_of_keys() {
    let world = World::new();
    let mut tabs = Vec::new();
    for _ in 0..40 {
        let mut browser = world.browser();
        tabs.push(tokio::spawn(async move {
            browser.sign_in("ada").await;
        }));
    }
    for tab in tabs {
        tab.await.unwrap();
    }
    let counts = world.idp.counts();
    assert_eq!((&counts["discovery"], &counts["keys"]), (&json!(1), &json!(1)));
    assert_eq!(counts["token"], 40);
}
