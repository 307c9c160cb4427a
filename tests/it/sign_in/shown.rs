//! What the page about a person says of a session of our own sign-in.

use axum::http::{Method, StatusCode};
use edgemint::clock::Clock as _;
use serde_json::json;

use super::world::{KEY_ONE, World};

/// As the page writes a moment.
fn moment(world: &World, seconds: u64) -> String {
    world.clock.now().plus(seconds).to_string().replace('T', " ").replace('Z', " UTC")
}

async fn page(browser: &mut super::world::Browser) -> String {
    let page = browser.open("/session").await;
    assert_eq!(page.status, StatusCode::OK);
    page.text()
}

#[tokio::test]
async fn the_page_says_by_which_provider_until_when_and_what_moves_that_on() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let (missed, end) = (moment(&world, 4500), moment(&world, 43_200));
    let html = page(&mut browser).await;
    assert!(html.contains("The lab&#39;s accounts, by the sign-in of this site"), "{html}");
    for time in [&missed, &end] {
        assert!(html.contains(time.as_str()), "{time}: {html}");
    }
    assert!(html.contains("POST /session/cookies"), "{html}");
}

#[tokio::test]
async fn a_session_that_cannot_be_renewed_is_not_said_to_be() {
    let keys = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let world = World::with(&json!({"refresh": false}), "", &keys);
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let html = page(&mut browser).await;
    assert!(html.contains(&moment(&world, 43_200)), "{html}");
    assert!(!html.contains("vouched for anew"), "{html}");
}

#[tokio::test]
async fn the_page_says_until_when_this_browser_has_cookies() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let issued = browser.renew().await.json();
    let until = issued["expires_at"].as_str().unwrap().to_owned();
    let html = page(&mut browser).await;
    let said = format!("this browser has cookies until <time datetime=\"{until}\">");
    assert!(html.contains(&said), "{html}");
    browser.script(Method::DELETE, "/session/cookies").await;
    let html = page(&mut browser).await;
    assert!(html.contains("this browser has no cookies for it now"), "{html}");
}
