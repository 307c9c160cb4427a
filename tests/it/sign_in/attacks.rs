//! What others may try with a sign-in.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::world::{Browser, Idp, KEY_ONE, World, parameter, with_parameter};
use crate::support::ask;

async fn refused(browser: &mut Browser, path: &str, status: StatusCode) {
    let answer = browser.come_back(path).await;
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    assert!(browser.names("__Host-edgemint-login").is_empty(), "{path}");
    assert!(!answer.set_cookies().iter().any(|line| line.starts_with("CloudFront-Policy=e")));
}

#[tokio::test]
async fn a_callback_works_once() {
    let world = World::new();
    let mut browser = world.browser();
    let path = browser.at_provider("ada", "/").await;
    let held = browser.clone();
    assert_eq!(browser.come_back(&path).await.status, StatusCode::SEE_OTHER);
    let again = browser.come_back(&path).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "the attempt is gone");
    // One that kept the cookie finds that the code is used up.
    let mut keeper = held;
    refused(&mut keeper, &path, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn an_answer_for_another_browser_signs_nobody_in() {
    let world = World::new();
    let path = world.browser().at_provider("ben", "/").await;
    let mut victim = world.browser();
    refused(&mut victim, &path, StatusCode::BAD_REQUEST).await;
    // Nor with an attempt of the victim's own under way.
    victim.open("/session/login").await;
    refused(&mut victim, &path, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn a_code_of_one_attempt_is_worth_nothing_in_another() {
    let world = World::new();
    let attacker = world.browser().at_provider("ben", "/").await;
    let code = parameter(&attacker, "code");
    let mut victim = world.browser();
    let path = victim.at_provider("ada", "/").await;
    // PKCE: the code was asked for with another verifier.
    refused(&mut victim, &with_parameter(&path, "code", code.as_deref()), StatusCode::BAD_REQUEST)
        .await;
}

#[tokio::test]
async fn states_and_codes_that_are_missing_or_changed_are_refused() {
    let world = World::new();
    for (name, value) in [
        ("state", None),
        ("state", Some("")),
        ("state", Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ("code", None),
        ("code", Some("")),
        ("code", Some("../../token")),
    ] {
        let mut browser = world.browser();
        let path = browser.at_provider("ada", "/").await;
        refused(&mut browser, &with_parameter(&path, name, value), StatusCode::BAD_REQUEST).await;
    }
    let mut browser = world.browser();
    let path = browser.at_provider("ada", "/").await;
    let twice = format!("{path}&state=AAAA");
    refused(&mut browser, &twice, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn an_answer_of_another_issuer_or_of_none_is_refused() {
    let world = World::new();
    for issuer in [None, Some("https://evil.net"), Some("")] {
        let mut browser = world.browser();
        let path = browser.at_provider("ada", "/").await;
        world.idp.counts();
        let path = with_parameter(&path, "iss", issuer);
        refused(&mut browser, &path, StatusCode::BAD_REQUEST).await;
        assert_eq!(world.idp.counts()["token"], json!(null), "the code goes nowhere");
    }
}

#[tokio::test]
async fn a_provider_that_passes_people_on_to_another_gets_no_code() {
    let world = World::new();
    let evil = Idp::start(&json!({}));
    // Like many providers, it does not promise to name itself in answers.
    evil.fail(&json!({"document": {"issuer": evil.issuer}}));
    let login = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let config = super::world::config(&world.idp.issuer, "", &login);
    let second = format!(
        "[[identity.provider]]\nname = \"evil\"\nissuer = \"{}\"\nclient = \"x\"\n[identity.login]",
        evil.issuer
    );
    world.write(&config.replace("[identity.login]", &second));
    let mut browser = world.browser();
    browser.state = world.reload();
    let begun = browser.open("/session/login?provider=evil").await;
    let url = begun.header("location").replace(&evil.issuer, &world.idp.issuer);
    let url = url.replace("client_id=x", "client_id=viewer");
    assert!(url.contains("callback%2Fevil"), "{url}");
    // The other provider knows no such redirect URI, and sends its code to its own place.
    let path = browser.through_provider(&url.replace("%2Fevil", "%2Flab"), "ada").await;
    let path = with_parameter(&path, "iss", None);
    assert!(path.starts_with("/session/callback/lab?"), "{path}");
    refused(&mut browser.clone(), &path, StatusCode::BAD_REQUEST).await;
    assert_eq!(evil.counts()["token"], json!(null), "the code goes nowhere");
    // A place for all there is none, nor one of a provider that is not known.
    for place in ["/session/callback?", "/session/callback/?", "/session/callback/lab/?"] {
        let path = path.replace("/session/callback/lab?", place);
        refused(&mut browser.clone(), &path, StatusCode::NOT_FOUND).await;
    }
    let path = path.replace("/callback/lab?", "/callback/else?");
    refused(&mut browser, &path, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn issuers_that_differ_by_a_slash_are_two() {
    let world = World::new();
    let login = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let config = super::world::config(&world.idp.issuer, "", &login);
    let second = format!(
        "[[identity.provider]]\nname = \"slash\"\nissuer = \"{}/\"\nclient = \"x\"\n[identity.login]",
        world.idp.issuer
    );
    world.write(&config.replace("[identity.login]", &second));
    let mut browser = world.browser();
    browser.state = world.reload();
    let begun = browser.open("/session/login?provider=lab").await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text());
    let refused = browser.open("/session/login?provider=slash").await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY, "{}", refused.text());
}

#[tokio::test]
async fn an_id_token_for_another_sign_in_is_refused() {
    let world = World::new();
    let mut browser = world.browser();
    let begun = browser.open("/session/login").await;
    let url = begun.header("location");
    let nonce = parameter(url, "nonce").unwrap();
    let url = url.replace(&nonce, "another");
    let path = browser.through_provider(&url, "ada").await;
    refused(&mut browser, &path, StatusCode::BAD_GATEWAY).await;
}

/// A front beside our own sign-in, for laptops; its secret is `secret`.
pub(super) const PROXY: &str = r#"[identity.insecure_proxy]
peers = ["127.0.0.1"]
secret_sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
issuer = "https://accounts.example.net"
[[distribution]]"#;

#[tokio::test]
async fn other_credentials_are_judged_where_people_sign_in() {
    let world = World::new();
    let login = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let config = super::world::config(&world.idp.issuer, "", &login);
    world.write(&config.replace("[[distribution]]", PROXY));
    let beside = |secret| {
        [
            ("x-edgemint-proxy-secret", secret),
            ("x-forwarded-user", "ben"),
            ("x-forwarded-groups", "lab-a"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "same-origin"),
            ("accept", "text/html"),
        ]
    };
    let mut browser = world.browser();
    browser.state = world.reload();
    for secret in ["wrong", "secret"] {
        let mut both = browser.clone();
        let path = both.at_provider("ada", "/").await;
        let held = both.clone();
        let refused = both.send(Method::GET, &path, &beside(secret)).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{secret}: {}", refused.text());
        let lines = refused.set_cookies();
        assert!(lines.iter().all(|line| line.contains("=;")), "{secret}: {lines:?}");
        // What is wrong is refused before the code is spent; two people show only behind it.
        let alone = held.clone().come_back(&path).await.status;
        let spent = if secret == "wrong" { StatusCode::SEE_OTHER } else { StatusCode::BAD_REQUEST };
        assert_eq!(alone, spent, "{secret}");
    }
    browser.sign_in("ada").await;
    for asked in ["/session", "/session/login", "/session/cookies"] {
        for secret in ["wrong", "secret"] {
            let refused = browser.clone().send(Method::GET, asked, &beside(secret)).await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{asked}, {secret}");
            assert!(refused.set_cookies().is_empty(), "{asked}, {secret}");
        }
    }
}

#[tokio::test]
async fn an_attempt_at_a_provider_that_has_another_issuer_by_now_is_over() {
    let world = World::new();
    let mut browser = world.browser();
    let path = browser.at_provider("ada", "/").await;
    let login = format!("cookie_keys = [\"{KEY_ONE}\"]");
    world.write(&super::world::config("http://127.0.0.1:9", "", &login));
    browser.state = world.reload();
    let path = with_parameter(&path, "iss", Some("http://127.0.0.1:9"));
    refused(&mut browser, &path, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn an_attempt_ends_after_ten_minutes() {
    let world = World::new();
    let mut browser = world.browser();
    let path = browser.at_provider("ada", "/").await;
    world.clock.advance(600);
    refused(&mut browser, &path, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn a_person_who_changes_their_mind_is_told_so_and_may_try_again() {
    let world = World::new();
    let mut browser = world.browser();
    let path = browser.at_provider("", "/a").await;
    assert_eq!(parameter(&path, "error").as_deref(), Some("access_denied"));
    let answer = browser.come_back(&path).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("/session/login?return_to=%2Fa"), "{}", answer.text());
    // What the answer says is not repeated on the page.
    let mut browser = world.browser();
    let path = browser.at_provider("", "/").await;
    let marked = with_parameter(&path, "error", Some("<script>alert(1)</script>"));
    let answer = browser.come_back(&marked).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert!(!answer.text().contains("<script>"), "{}", answer.text());
}

#[tokio::test]
async fn sign_in_leads_back_to_this_site_only() {
    let world = World::new();
    for path in ["//evil.net", "https://evil.net", "/%5Cevil.net", "/session/callback/lab?code=a"] {
        let answer = world.browser().open(&format!("/session/login?return_to={path}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn only_a_navigation_signs_anybody_in() {
    let world = World::new();
    let mut browser = world.browser();
    let asked = browser.script(Method::GET, "/session/login").await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED, "a script gets no redirect");
    assert!(asked.set_cookies().is_empty());
    let path = browser.at_provider("ada", "/").await;
    for (method, mode, site) in [
        (Method::GET, "no-cors", "cross-site"),
        (Method::GET, "cors", "cross-site"),
        (Method::GET, "cors", "same-origin"),
        (Method::HEAD, "navigate", "cross-site"),
    ] {
        let headers = [("sec-fetch-mode", mode), ("sec-fetch-site", site)];
        let answer = browser.send(method, &path, &headers).await;
        assert!(answer.status.is_client_error(), "{mode}: {}", answer.status);
        assert!(answer.set_cookies().is_empty());
    }
    assert_eq!(
        browser.navigate(Method::POST, &path, "cross-site").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(browser.come_back(&path).await.status, StatusCode::SEE_OTHER, "nothing was spent");
}

#[tokio::test]
async fn a_sign_in_that_is_under_way_ends_with_a_sign_out() {
    let world = World::new();
    let mut browser = world.browser();
    let path = browser.at_provider("ada", "/").await;
    assert!(!browser.names("__Host-edgemint-attempt").is_empty());
    browser.navigate(Method::POST, "/session/logout", "same-origin").await;
    refused(&mut browser, &path, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn another_site_signs_nobody_out() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    for site in ["cross-site", "same-site"] {
        let out = browser.navigate(Method::POST, "/session/logout", site).await;
        assert_eq!(out.status, StatusCode::FORBIDDEN, "{site}");
    }
    assert_eq!(browser.renew().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_in_replaces_whatever_session_was_planted() {
    let world = World::new();
    let mut attacker = world.browser();
    attacker.sign_in("ben").await;
    let mut victim = world.browser();
    victim.jar = attacker.jar.clone();
    victim.sign_in("ada").await;
    let session = victim.script(Method::GET, "/session").await.json();
    assert_eq!(session["subject"], "ada");
    // What the attacker holds stays what it was.
    let session = attacker.script(Method::GET, "/session").await.json();
    assert_eq!(session["subject"], "ben");
}

#[tokio::test]
async fn changed_cut_and_swapped_cookies_are_nobody_and_are_removed() {
    let world = World::new();
    world.idp.change(&json!({"padding": 120}));
    let mut ada = world.browser();
    ada.sign_in("ada").await;
    let mut ben = world.browser();
    ben.sign_in("ben").await;
    let cookies = |browser: &Browser| -> Vec<(String, String)> {
        let names = browser.names("__Host-edgemint-login");
        let held = browser.jar.reaching(&super::world::secure(), edgemint::clock::EpochSeconds(0));
        let value = |name: &String| held.iter().find(|c| c.name == *name).unwrap().value.clone();
        names.iter().map(|name| (name.clone(), value(name))).collect()
    };
    let (of_ada, of_ben) = (cookies(&ada), cookies(&ben));
    assert!(of_ada.len() >= 3);
    let mut changed = of_ada.clone();
    let last = changed[1].1.pop().unwrap();
    changed[1].1.push(if last == 'A' { 'B' } else { 'A' });
    let mut cut = of_ada.clone();
    cut[0].1.truncate(100);
    let mut swapped = of_ada.clone();
    swapped[1].1.clone_from(&of_ben[1].1);
    let missing = of_ada[1..].to_vec();
    let twice: Vec<_> = of_ben[..1].iter().chain(&of_ada).cloned().collect();
    for (name, held) in [
        ("changed", changed),
        ("cut", cut),
        ("swapped", swapped),
        ("missing", missing),
        ("twice", twice),
    ] {
        let header: Vec<String> =
            held.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let header = header.join("; ");
        let headers = [("cookie", header.as_str())];
        for method in [Method::GET, Method::POST] {
            let answer = world.browser().send(method, "/session/cookies", &headers).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
            let lines = answer.set_cookies();
            assert!(
                lines.iter().any(|line| line.starts_with("__Host-edgemint-login-1=;")),
                "{name}: {lines:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_session_of_one_host_is_nothing_at_another() {
    let world = World::new();
    let mut browser = world.browser();
    browser.sign_in("ada").await;
    let login = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let config = super::world::config(&world.idp.issuer, "", &login);
    world.write(&format!("other_urls = [\"http://other.edgemint.localhost:8080\"]\n{config}"));
    let state = world.reload();
    let mut request = browser.request(Method::POST, "/session/cookies", &[]);
    request.headers_mut().insert("host", "other.edgemint.localhost:8080".parse().unwrap());
    let answer = ask(&state, request).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}
