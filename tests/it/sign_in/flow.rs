//! From the viewer to the provider and back, and out again.

use super::world::{KEY_ONE, KEY_TWO, VIEWER, World, parameter};
use axum::http::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn a_person_signs_in_and_gets_what_is_theirs() {
    let world = World::new();
    let mut browser = world.browser();
    assert_eq!(browser.renew().await.status, StatusCode::UNAUTHORIZED);

    let begun = browser.open("/session/login?return_to=/%23!%7B%22a%22:1%7D").await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER);
    let url = begun.header("location").to_owned();
    assert!(url.starts_with(&world.idp.issuer), "{url}");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "viewer"),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", &format!("{VIEWER}/session/callback/lab")),
    ] {
        assert_eq!(parameter(&url, name).as_deref(), Some(value), "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(parameter(&url, name).unwrap().len(), 43, "{name}");
    }

    let path = browser.through_provider(&url, "ada").await;
    let back = browser.come_back(&path).await;
    assert_eq!(back.status, StatusCode::SEE_OTHER, "{}", back.text());
    assert_eq!(back.header("location"), "/#!{%22a%22:1}");
    assert_eq!(back.header("cache-control"), "no-store, private");
    let lines = back.set_cookies();
    let login: Vec<_> = lines.iter().filter(|l| l.starts_with("__Host-edgemint-login")).collect();
    assert!(!login.is_empty() && login.iter().all(|line| line.len() <= 3800));
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(login.iter().all(|line| line.contains(attribute)), "{attribute}");
    }
    assert!(lines.iter().any(|line| line.starts_with("CloudFront-Policy=")), "{lines:?}");
    assert!(browser.names("__Host-edgemint-attempt").is_empty());

    let session = browser.script(Method::GET, "/session").await.json();
    assert_eq!(session["front"], "login");
    assert_eq!(session["subject"], "ada");
    assert_eq!(session["issuer"], world.idp.issuer);
    assert_eq!(session["email"], "ada@lab-a.example");
    assert_eq!(session["groups"], json!(["lab-a"]));
    let renewed = browser.renew().await;
    assert_eq!(renewed.status, StatusCode::OK);
    assert_eq!(renewed.json()["resources"], json!(["http://data.edgemint.localhost:8080/lab-a/*"]));
}

#[tokio::test]
async fn groups_and_addresses_come_from_the_userinfo_endpoint_where_it_is_asked() {
    let world =
        World::with(&json!({"userinfo": true}), "", &format!("cookie_keys = [\"{KEY_ONE}\"]"));
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    // This provider puts neither into the ID token.
    assert_eq!(browser.renew().await.status, StatusCode::FORBIDDEN);
    let config =
        super::world::config(&world.idp.issuer, "", &format!("cookie_keys = [\"{KEY_ONE}\"]"));
    let config =
        config.replace("claim = \"groups\" }", "claim = \"groups\", from = \"userinfo\" }");
    world.write(&config);
    browser.state = world.reload();
    browser.sign_in("ada").await;
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    let session = browser.script(Method::GET, "/session").await.json();
    assert_eq!(session["email"], "ada@lab-a.example");
    assert_eq!(session["email_verified"], true);
}

#[tokio::test]
async fn an_address_counts_where_the_configuration_vouches_for_its_domain() {
    let keys = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ben").await;
    assert_eq!(browser.renew().await.status, StatusCode::FORBIDDEN, "it is not verified");
    world.write(&super::world::config(
        &world.idp.issuer,
        "verified_email_domains = [\"lab-b.example\"]",
        &keys,
    ));
    browser.state = world.reload();
    assert_eq!(browser.renew().await.status, StatusCode::OK);
}

#[tokio::test]
async fn any_replica_answers_and_keys_rotate_beneath_open_sessions() {
    let world = World::new();
    let mut browser = world.browser();
    let path = browser.at_provider("ada", "/").await;
    // The answer arrives at another replica, which has rotated its keys already.
    let rotated = world.replica(&format!("cookie_keys = [\"{KEY_TWO}\", \"{KEY_ONE}\"]"));
    browser.state = rotated;
    assert_eq!(browser.come_back(&path).await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    // One that has not cannot open what the new key sealed; with the key in second place it can.
    browser.state = world.replica(&format!("cookie_keys = [\"{KEY_ONE}\", \"{KEY_TWO}\"]"));
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    let mut elsewhere = browser.clone();
    elsewhere.state = world.replica(&format!("cookie_keys = [\"{KEY_ONE}\"]"));
    let refused = elsewhere.renew().await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(elsewhere.names("__Host-edgemint-login").is_empty(), "it is cleared");
}

#[tokio::test]
async fn several_providers_are_offered_and_one_is_chosen() {
    let world = World::new();
    let second = r#"
        [[identity.provider]]
        name = "guests"
        title = "Guests & <friends>"
        issuer = "http://127.0.0.1:9"
        client = "viewer"
    "#;
    world.write(&super::world::config(
        &world.idp.issuer,
        second,
        &format!("cookie_keys = [\"{KEY_ONE}\"]"),
    ));
    let mut browser = world.browser();
    browser.state = world.reload();
    let page = browser.open("/session/login?return_to=/a%3Fb%3D1").await;
    assert_eq!(page.status, StatusCode::OK);
    let html = page.text();
    assert!(html.contains("Guests &amp; &lt;friends&gt;") && !html.contains("<script"), "{html}");
    let link = "/session/login?provider=lab&amp;return_to=%2Fa%3Fb%3D1";
    assert!(html.contains(link), "{html}");
    let begun = browser.open(&link.replace("&amp;", "&")).await;
    assert!(begun.header("location").starts_with(&world.idp.issuer));
    let path = browser.through_provider(begun.header("location"), "ada").await;
    assert_eq!(browser.come_back(&path).await.header("location"), "/a?b=1");
    let unknown = browser.open("/session/login?provider=else").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    // The other one does not run.
    let down = browser.open("/session/login?provider=guests&return_to=/a").await;
    assert_eq!(down.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(down.text().contains("/session/login?return_to=%2Fa"), "{}", down.text());
}

#[tokio::test]
async fn a_provider_is_offered_at_its_own_hosts_only() {
    let world = World::new();
    let other = "http://other.edgemint.localhost:8080";
    let config = super::world::config(
        &world.idp.issuer,
        "hosts = [\"other.edgemint.localhost\"]",
        &format!("cookie_keys = [\"{KEY_ONE}\"]"),
    );
    world.write(&format!("other_urls = [\"{other}\"]\n{config}"));
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    browser.state = world.reload();
    assert_eq!(browser.renew().await.status, StatusCode::UNAUTHORIZED, "not any more");
    let login = browser.open("/session/login").await;
    assert_eq!(login.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn signing_out_ends_the_session_here_and_at_the_provider() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let out = browser.navigate(Method::POST, "/session/logout", "same-origin").await;
    assert_eq!(out.status, StatusCode::OK);
    // A page that goes on, since browsers hold redirects after a form to its page's form-action.
    let page = out.text().replace("&amp;", "&");
    let (_, rest) = page.split_once("content=\"0; url=").unwrap();
    let url = rest.split('"').next().unwrap().to_owned();
    assert!(url.starts_with(&format!("{}/session/end", world.idp.issuer)), "{url}");
    assert_eq!(parameter(&url, "client_id").as_deref(), Some("viewer"));
    assert_eq!(parameter(&url, "post_logout_redirect_uri").unwrap(), format!("{VIEWER}/"));
    assert_eq!(parameter(&url, "id_token_hint").unwrap().split('.').count(), 3);
    assert!(browser.names("").is_empty(), "{:?}", browser.names(""));
    assert_eq!(browser.renew().await.status, StatusCode::UNAUTHORIZED);

    // The provider takes the hint for what it is: it asks, and knows where to go back to.
    let page = browser.provider_page(&url).await;
    assert!(page.contains("Yes, sign me out"), "{page}");
}

#[tokio::test]
async fn signing_out_works_while_the_provider_does_not_answer_and_for_scripts() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let out = browser.clone().script(Method::POST, "/session/logout").await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(out.headers.get("location").is_none());

    world.idp.fail(&json!({"all": "error"}));
    // A replica that has not read the provider's document yet.
    browser.state = world.reload();
    let out = browser.navigate(Method::POST, "/session/logout?return_to=/a", "same-origin").await;
    assert_eq!((out.status, out.header("location")), (StatusCode::SEE_OTHER, "/a"));
    assert!(browser.names("").is_empty());
}

#[tokio::test]
async fn a_session_that_does_not_fit_is_refused_with_a_page() {
    let world = World::new();
    for groups in [300, 900] {
        world.idp.change(&json!({"padding": groups}));
        let mut browser = world.browser();
        let path = browser.at_provider("ada", "/").await;
        let refused = browser.come_back(&path).await;
        assert_eq!(refused.status, StatusCode::BAD_GATEWAY);
        assert!(refused.text().contains("fewer groups"), "{}", refused.text());
        assert!(browser.names("").is_empty(), "{:?}", browser.names(""));
    }
}

#[tokio::test]
async fn a_long_session_takes_several_cookies_and_leaves_none_behind() {
    let world = World::new();
    world.idp.change(&json!({"padding": 120}));
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let many = browser.names("__Host-edgemint-login").len();
    assert!(many >= 3, "{many}");
    world.idp.change(&json!({"padding": 0}));
    browser.sign_in("ada").await;
    assert_eq!(browser.names("__Host-edgemint-login").len(), 1);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
}

#[tokio::test]
async fn one_person_after_another_leaves_nothing_of_the_first() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    assert!(!browser.names("__Host-edgemint-set-").is_empty());
    // Their own session at the provider is over by then.
    let mut next = world.browser();
    next.jar = browser.jar.clone();
    next.sign_in("ben").await;
    let session = next.script(Method::GET, "/session").await.json();
    assert_eq!(session["subject"], "ben");
    assert!(next.names("__Host-edgemint-set-").is_empty(), "Ada's sets are gone");
}

#[tokio::test]
async fn a_client_without_a_secret_signs_people_in_by_pkce_alone() {
    let client = json!([{
        "client_id": "viewer",
        "token_endpoint_auth_method": "none",
        "redirect_uris": [format!("{VIEWER}/session/callback/lab")],
    }]);
    let keys = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let world = World::with(&json!({"clients": client}), "", &keys);
    let config = super::world::config(&world.idp.issuer, "", &keys);
    let secret = "client_secret = \"a secret: with odd%20characters\"\n";
    world.write(&config.replace(secret, ""));
    let mut browser = world.browser();
    let path = browser.at_provider("ada", "/").await;
    assert_eq!(browser.come_back(&path).await.status, StatusCode::BAD_GATEWAY, "there is none");
    browser.state = world.reload();
    browser.sign_in("ada").await;
    world.clock.advance(900);
    let renewed = browser.renew().await;
    assert_eq!(renewed.status, StatusCode::OK);
    assert!(renewed.set_cookies().iter().any(|line| line.contains("-login-0=1.")));
}

#[tokio::test]
async fn nginx_is_told_of_the_session_and_where_to_sign_in() {
    let world = World::new();
    let mut browser = world.browser();
    let headers = [
        ("sec-edgemint-subrequest", "nginx"),
        ("sec-fetch-mode", "navigate"),
        ("accept", "text/html"),
        ("x-original-uri", "/a"),
    ];
    let ask = async |browser: &mut super::world::Browser| {
        browser.send(Method::GET, "/session/verify/nginx", &headers).await
    };
    let nobody = ask(&mut browser).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(nobody.header("x-edgemint-login"), "/session/login?return_to=%2Fa");
    browser.sign_in("ada").await;
    assert_eq!(ask(&mut browser).await.status, StatusCode::NO_CONTENT);
    // Beyond recheck and grace nobody is believed whom the provider was not asked about.
    world.clock.advance(4500);
    assert_eq!(ask(&mut browser).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.renew().await.status, StatusCode::OK);
    assert_eq!(ask(&mut browser).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_secret_is_sent_the_way_that_the_provider_wants_it() {
    let client = json!([{
        "client_id": "viewer",
        "client_secret": "a secret: with odd%20characters",
        "token_endpoint_auth_method": "client_secret_post",
        "redirect_uris": [format!("{VIEWER}/session/callback/lab")],
    }]);
    let keys = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let world = World::with(&json!({"clients": client}), "", &keys);
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    assert_eq!(world.idp.counts()["token_by_header"], 1, "the document names both ways");
    let way = "client_authentication = \"post\"";
    world.write(&super::world::config(&world.idp.issuer, way, &keys));
    browser.state = world.reload();
    browser.sign_in("ada").await;
    let counts = world.idp.counts();
    assert_eq!((&counts["token"], &counts["token_by_header"]), (&json!(1), &json!(null)));
}
