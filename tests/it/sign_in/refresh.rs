//! Asking the provider again: when, how often, and what becomes of the session.

use axum::http::{Method, StatusCode};
use edgemint::clock::Clock as _;
use serde_json::json;

use super::world::{KEY_ONE, World};
use crate::support::ask;

/// Seconds after which a session is due to be rechecked.
const RECHECK: u64 = 900;
/// Seconds for which it is believed beyond that.
const GRACE: u64 = 3600;

#[tokio::test]
async fn a_session_is_rechecked_when_it_is_due_and_by_a_post_only() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.idp.counts();
    browser.renew().await;
    assert_eq!(world.idp.counts()["token"], json!(null), "it is not due yet");

    world.clock.advance(RECHECK);
    for (method, path) in [(Method::GET, "/session/cookies"), (Method::GET, "/session")] {
        assert_eq!(browser.script(method, path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(world.idp.counts()["token"], json!(null), "a GET asks nobody");
    let renewed = browser.renew().await;
    assert_eq!(renewed.status, StatusCode::OK);
    assert!(renewed.set_cookies().iter().any(|l| l.starts_with("__Host-edgemint-login-0=1.")));
    assert_eq!(world.idp.counts()["token"], 1);
    browser.renew().await;
    assert_eq!(world.idp.counts()["token"], json!(null));
    // The provider gave a new refresh token, which works in its turn.
    world.clock.advance(RECHECK);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    assert_eq!(world.idp.counts()["token"], 1);
}

#[tokio::test]
async fn tabs_that_renew_at_once_share_one_refresh_and_nobody_is_signed_out() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.clock.advance(RECHECK);
    world.idp.counts();
    let headers = [("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin")];
    let tabs = (0..10).map(|_| {
        let request = browser.request(Method::POST, "/session/cookies", &headers);
        let state = browser.state.clone();
        tokio::spawn(async move { ask(&state, request).await })
    });
    let mut answers = Vec::new();
    for tab in tabs.collect::<Vec<_>>() {
        answers.push(tab.await.unwrap());
    }
    let mut first = None;
    for answer in answers {
        let answer = browser.receive(answer).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let login: Vec<String> =
            answer.set_cookies().into_iter().filter(|l| l.contains("-login-")).collect();
        assert_eq!(*first.get_or_insert_with(|| login.clone()), login, "answers may cross");
    }
    assert_eq!(world.idp.counts()["token"], 1);
    // One that was slow gets the same outcome a moment later.
    let late = browser.renew().await;
    assert_eq!(late.status, StatusCode::OK);
    world.clock.advance(RECHECK);
    assert_eq!(browser.renew().await.status, StatusCode::OK, "the new token is the provider's own");
}

#[tokio::test]
async fn two_replicas_and_a_provider_without_leeway_cost_a_new_sign_in_at_worst() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.clock.advance(RECHECK);
    let mut other_tab = browser.clone();
    other_tab.state = world.reload();
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    let refused = other_tab.renew().await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.json()["type"], "urn:edgemint:problem:session-ended");
    assert!(other_tab.names("__Host-edgemint-login").is_empty());
    other_tab.sign_in("ada").await;
    assert_eq!(other_tab.renew().await.status, StatusCode::OK);
}

#[tokio::test]
async fn two_replicas_get_along_where_refresh_tokens_stay() {
    let world =
        World::with(&json!({"rotate": false}), "", &format!("cookie_keys = [\"{KEY_ONE}\"]"));
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.clock.advance(RECHECK);
    let mut other_tab = browser.clone();
    other_tab.state = world.reload();
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    assert_eq!(other_tab.renew().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_person_who_may_no_longer_come_in_is_signed_out() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let mut thief = browser.clone();
    world.clock.advance(RECHECK);
    browser.renew().await;
    // The provider takes the used token for stolen, and ends all that came of it.
    thief.state = world.reload();
    assert_eq!(thief.renew().await.status, StatusCode::UNAUTHORIZED);
    world.clock.advance(RECHECK);
    let ended = browser.renew().await;
    assert_eq!(ended.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ended.json()["type"], "urn:edgemint:problem:session-ended");
    assert!(browser.names("__Host-edgemint-login").is_empty());
    assert_eq!(browser.script(Method::GET, "/session").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_change_of_groups_shows_at_the_next_recheck() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.idp.change(&json!({"padding": 3}));
    assert_eq!(browser.renew().await.status, StatusCode::OK, "not before");
    world.clock.advance(RECHECK);
    let refused = browser.renew().await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let lines = refused.set_cookies();
    assert!(lines.iter().any(|line| line.starts_with("__Host-edgemint-login-0=1.")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("CloudFront-Policy=;")), "{lines:?}");
    // The refresh token of the answer was not lost with the refusal.
    world.idp.change(&json!({"padding": 0}));
    world.clock.advance(RECHECK);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
}

#[tokio::test]
async fn groups_of_the_userinfo_endpoint_are_asked_for_at_each_recheck() {
    let keys = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let world = World::with(&json!({"userinfo": true}), "", &keys);
    let config = super::world::config(&world.idp.issuer, "", &keys);
    world.write(
        &config.replace("claim = \"groups\" }", "claim = \"groups\", from = \"userinfo\" }"),
    );
    let mut browser = world.browser();
    browser.state = world.reload();
    browser.sign_in("ada").await;
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    world.idp.change(&json!({"padding": 3}));
    world.clock.advance(RECHECK);
    assert_eq!(browser.renew().await.status, StatusCode::FORBIDDEN);
    world.idp.change(&json!({"padding": 0}));
    world.clock.advance(RECHECK);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_userinfo_endpoint_takes_an_address_away() {
    let keys = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let mut world = World::with(&json!({"bare_refresh": true}), "", &keys);
    let config = super::world::config(&world.idp.issuer, "", &keys);
    world.write(
        &config.replace("claim = \"groups\" }", "claim = \"groups\", from = \"userinfo\" }"),
    );
    world.state = world.reload();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    for (email, expected) in [
        (json!("ada@new.example"), json!("ada@new.example")),
        (json!(null), json!(null)),
        (json!("ada@lab-a.example"), json!("ada@lab-a.example")),
    ] {
        world.idp.change(&json!({"claims": {"email": email}}));
        world.clock.advance(RECHECK);
        assert_eq!(browser.renew().await.status, StatusCode::OK);
        let session = browser.script(Method::GET, "/session").await.json();
        assert_eq!(session["email"], expected);
    }
}

#[tokio::test]
async fn a_refresh_that_speaks_of_somebody_else_ends_the_session() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.clock.advance(RECHECK);
    world.idp.change(&json!({"account": "ben"}));
    assert_eq!(browser.renew().await.status, StatusCode::BAD_GATEWAY);
    assert!(browser.names("__Host-edgemint-login").is_empty());
}

#[tokio::test]
async fn a_renewed_session_is_handed_out_though_its_request_is_refused() {
    let world = World::new();
    let login = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let config = super::world::config(&world.idp.issuer, "", &login);
    world.write(&config.replace("[[distribution]]", super::attacks::PROXY));
    let mut browser = world.browser();
    browser.state = world.reload();
    browser.sign_in("ada").await;
    let ben = [("x-edgemint-proxy-secret", "secret"), ("x-forwarded-user", "ben")];
    let elsewhere = "/session/cookies?for=https://elsewhere.example/";
    for (path, headers, status) in [
        ("/session/cookies", ben.as_slice(), StatusCode::UNAUTHORIZED),
        (elsewhere, &[], StatusCode::FORBIDDEN),
    ] {
        world.clock.advance(RECHECK);
        let refused = browser.send(Method::POST, path, headers).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.text());
        let lines = refused.set_cookies();
        assert!(lines.iter().any(|line| line.contains("-login-0=1.")), "{path}: {lines:?}");
    }
    world.clock.advance(RECHECK);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_goes_on_while_the_provider_is_down_and_for_its_grace_only() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.idp.fail(&json!({"token": "error"}));
    world.clock.advance(RECHECK);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    world.clock.advance(GRACE - 1);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    world.clock.advance(1);
    let unsure = browser.renew().await;
    assert_eq!(unsure.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(unsure.header("retry-after"), "1");
    assert_eq!(
        browser.script(Method::GET, "/session/cookies").await.status,
        StatusCode::UNAUTHORIZED,
        "what asks nobody believes nobody"
    );
    assert!(!browser.names("__Host-edgemint-login").is_empty(), "the session is not lost");
    world.idp.fail(&json!({}));
    world.clock.advance(30);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_new_refresh_token_is_not_lost_though_the_rest_of_the_answer_cannot_be_checked() {
    let keys = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let mut world = World::with(&json!({"userinfo": true}), "", &keys);
    let config = super::world::config(&world.idp.issuer, "", &keys);
    world.write(
        &config.replace("claim = \"groups\" }", "claim = \"groups\", from = \"userinfo\" }"),
    );
    world.state = world.reload();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.clock.advance(RECHECK);
    world.idp.fail(&json!({"userinfo": "error"}));
    let meanwhile = browser.renew().await;
    assert_eq!(meanwhile.status, StatusCode::OK, "{}", meanwhile.text());
    // Past its grace nobody is believed, and the token is kept all the same.
    world.clock.advance(GRACE);
    assert_eq!(browser.renew().await.status, StatusCode::SERVICE_UNAVAILABLE);
    world.idp.fail(&json!({}));
    world.clock.advance(31);
    let after = browser.renew().await;
    assert_eq!(after.status, StatusCode::OK, "{}", after.text());
}

#[tokio::test]
async fn a_session_that_nothing_renews_says_when_it_must_be_checked_again_and_then_that_it_must() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let until = |seconds| json!(world.clock.now().plus(seconds).to_string());
    let missed = until(RECHECK + GRACE);
    world.clock.advance(RECHECK + GRACE - 1);
    let session = browser.script(Method::GET, "/session").await.json();
    assert_eq!(session["until"], missed);
    world.clock.advance(1);
    for path in ["/session", "/session/cookies"] {
        let refused = browser.script(Method::GET, path).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(refused.json()["type"], "urn:edgemint:problem:session-unchecked", "{path}");
    }
    let page = browser.open("/session").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(page.text().contains("must be checked again"), "{}", page.text());
    assert!(page.text().contains("href=\"/session/login\""), "{}", page.text());
    // The link leads back in, and the provider, which knows the person, asks nothing.
    let begun = browser.open("/session/login").await;
    let path = browser.through_provider(begun.header("location"), "nobody").await;
    assert_eq!(browser.come_back(&path).await.status, StatusCode::SEE_OTHER);
    let session = browser.script(Method::GET, "/session").await.json();
    assert_eq!((&session["subject"], &session["until"]), (&json!("ada"), &until(RECHECK + GRACE)));
}

#[tokio::test]
async fn a_session_that_nothing_renews_is_renewed_by_a_post() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.clock.advance(RECHECK + GRACE);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    let session = browser.script(Method::GET, "/session").await.json();
    let missed = world.clock.now().plus(RECHECK + GRACE);
    assert_eq!(session["until"], json!(missed.to_string()));
}

#[tokio::test]
async fn a_session_without_a_refresh_token_lasts_for_its_lifetime() {
    let world =
        World::with(&json!({"refresh": false}), "", &format!("cookie_keys = [\"{KEY_ONE}\"]"));
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.clock.advance(43_199);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    world.clock.advance(1);
    assert_eq!(browser.renew().await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_ends_with_its_lifetime_however_often_it_was_renewed() {
    let world =
        World::with(&json!({}), "", &format!("cookie_keys = [\"{KEY_ONE}\"]\nlifetime = \"1h\""));
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let held = browser.clone();
    for _ in 0..3 {
        world.clock.advance(RECHECK);
        assert_eq!(browser.renew().await.status, StatusCode::OK);
    }
    world.clock.advance(RECHECK);
    assert_eq!(browser.renew().await.status, StatusCode::UNAUTHORIZED);
    // A browser that keeps cookies beyond their time gets nothing for them.
    let headers = [("cookie", cookie_header(&held))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut keeper = world.browser();
    for method in [Method::GET, Method::POST] {
        let refused = keeper.send(method, "/session/cookies", &headers).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        let lines = refused.set_cookies();
        assert!(
            lines.iter().any(|line| line.starts_with("__Host-edgemint-login-0=;")),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn a_provider_rotates_its_keys_in_mid_session() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    world.idp.rotate_keys();
    // Keys are looked at again at most once a minute.
    world.clock.advance(RECHECK);
    world.idp.counts();
    let renewed = browser.renew().await;
    assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.text());
    assert!(renewed.set_cookies().iter().any(|l| l.contains("-login-0=1.")), "it was rechecked");
    assert_eq!(world.idp.counts()["keys"], 1);
    let mut another = world.browser();
    another.sign_in("ben").await;
}

/// Everything that a browser holds, whatever its age.
fn cookie_header(browser: &super::world::Browser) -> String {
    let all = browser.jar.alive(edgemint::clock::EpochSeconds(0));
    all.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ")
}
