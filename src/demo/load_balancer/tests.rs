use axum::routing::get;
use axum::{Json, Router};
use reqwest::Method;
use serde_json::json;

use super::super::people::PEOPLE;
use super::super::testing::{ARN, Browser, Site, bind, echoed, location};
use super::*;
use crate::identity::keys::{Algorithm, Jwks, VerificationKey};
use crate::identity::{ClaimPath, Subject, access_token, alb};

/// Verifies what reached the target, with keys fetched as edgemint fetches them.
async fn verified(
    site: &Site,
    browser: &Browser,
    got: &serde_json::Value,
) -> (alb::Claims, Vec<String>) {
    let endpoints = site.provider.endpoints();
    let expected = alb::Expected {
        signers: vec![ARN.to_owned()],
        client: "demo-client".to_owned(),
        issuer: Some(endpoints.issuer.clone()),
        groups_claim: Some(ClaimPath::parse("cognito:groups")),
    };
    let now = site.clock.now();
    let token = got[ALB_CLAIMS][0].as_str().unwrap();
    let kid = alb::key_id(token, &expected, now).unwrap();
    let pem = browser.get(&format!("{}/{}", site.public_keys, kid.as_str())).await;
    assert_eq!(pem.headers()["content-type"], "text/plain");
    let key = VerificationKey::from_pem(Algorithm::Es256, &pem.text().await.unwrap()).unwrap();
    let claims = alb::verify(token, &key, &expected, now).unwrap();

    let expected = access_token::Expected {
        issuer: endpoints.issuer.clone(),
        client: "demo-client".to_owned(),
        groups_claim: ClaimPath::parse("cognito:groups"),
    };
    let jwks = browser.get(&endpoints.jwks).await.bytes().await.unwrap();
    let jwks = Jwks::parse(&jwks).unwrap();
    let token = got[ALB_ACCESS_TOKEN][0].as_str().unwrap();
    let key = jwks.get(&access_token::key_id(token).unwrap()).unwrap();
    let subject = Subject::parse(got[ALB_SUBJECT][0].as_str().unwrap()).unwrap();
    assert_eq!(subject, claims.subject);
    (claims, access_token::verify(token, key, &expected, &subject, now).unwrap())
}

#[tokio::test]
async fn signing_in_leads_back_with_claims_that_verify() {
    let site = Site::start().await;
    for person in &PEOPLE {
        let browser = Browser::new();
        let page = browser.sign_in(&site.at("/login/a?b=c%20d"), person).await;
        assert_eq!(page.url().as_str(), site.at("/login/a?b=c%20d"));
        let got = echoed(page).await;
        let (claims, groups) = verified(&site, &browser, &got).await;
        assert_eq!(claims.subject.as_str(), person.id);
        assert_eq!(claims.expires, site.clock.now().plus(120));
        let email = claims.email.unwrap();
        assert_eq!((email.address(), email.verified), (person.email, person.email_verified));
        assert!(claims.groups.is_empty());
        assert_eq!(groups, person.groups);
    }
}

#[tokio::test]
async fn the_three_modes_differ_without_a_session_only() {
    let (site, browser) = (Site::start().await, Browser::new());
    assert_eq!(browser.get(&site.at("/login")).await.status(), 302);
    assert_eq!(browser.get(&site.at("/deny")).await.status(), 401);
    let got = echoed(browser.get(&site.at("/allow")).await).await;
    assert!(got.get(ALB_CLAIMS).is_none());
    assert_eq!(browser.get(&site.at("/elsewhere")).await.status(), 404);

    browser.sign_in(&site.at("/login"), &PEOPLE[0]).await;
    for path in ["/login", "/deny", "/allow"] {
        let got = echoed(browser.get(&site.at(path)).await).await;
        verified(&site, &browser, &got).await;
    }
    let got = echoed(browser.get(&site.at("/forward")).await).await;
    assert!(got.get(ALB_CLAIMS).is_none() && got.get(ALB_ACCESS_TOKEN).is_none());
}

#[tokio::test]
async fn identity_headers_of_the_client_never_pass() {
    let (site, browser) = (Site::start().await, Browser::new());
    let forge = |path: &str| {
        let mut request = browser.request(Method::GET, &site.at(path));
        for name in ["X-Amzn-Oidc-Data", "X-AMZN-OIDC-IDENTITY", "x-amzn-oidc-accesstoken"] {
            request = request.header(name, "forged").header(name, "twice");
        }
        request.header("connection", "x-amzn-oidc-data, x-dropped").header("x-dropped", "1")
    };
    for path in ["/allow", "/forward"] {
        let got = echoed(browser.send(forge(path)).await).await;
        assert!(!got.to_string().contains("forged"), "{got}");
        assert!(got.get("x-dropped").is_none(), "{got}");
    }
    browser.sign_in(&site.at("/login"), &PEOPLE[0]).await;
    let got = echoed(browser.send(forge("/allow")).await).await;
    assert_eq!(got[ALB_CLAIMS].as_array().unwrap().len(), 1);
    verified(&site, &browser, &got).await;
}

#[tokio::test]
async fn forwarding_keeps_the_host_and_names_the_peer() {
    let (site, browser) = (Site::start().await, Browser::new());
    let request = browser
        .request(Method::POST, &site.at("/forward"))
        .header("x-forwarded-for", "198.51.100.1")
        .header("x-forwarded-proto", "gopher")
        .body("hello");
    let response = browser.send(request).await;
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    assert!(response.headers().get("keep-alive").is_none());
    let got = echoed(response).await;
    assert_eq!(got["host"], json!([site.viewer.authority()]));
    assert_eq!(got["x-forwarded-for"], json!(["198.51.100.1, 127.0.0.1"]));
    assert_eq!(got["x-forwarded-proto"], json!(["http"]));
    let port = site.viewer.authority().rsplit_once(':').unwrap().1;
    assert_eq!(got["x-forwarded-port"], json!([port]));
    assert_eq!(got["content-length"], json!(["5"]));
}

#[tokio::test]
async fn a_body_past_the_limit_another_host_and_a_dead_target_are_refused() {
    let (site, browser) = (Site::start().await, Browser::new());
    let large = browser.request(Method::POST, &site.at("/forward")).body(vec![0; (1 << 20) + 1]);
    assert_eq!(browser.send(large).await.status(), 413);
    let other = browser.request(Method::GET, &site.at("/forward")).header("host", "evil.example");
    assert_eq!(browser.send(other).await.status(), 421);

    let nobody = bind().await.address();
    let site = Site::start_with(nobody, Endpoints::clone).await;
    assert_eq!(browser.get(&site.at("/forward")).await.status(), 502);
}

#[tokio::test]
async fn a_session_has_several_shards_and_ends_when_one_is_altered_or_gone() {
    let (site, browser) = (Site::start().await, Browser::new());
    browser.sign_in(&site.at("/login"), &PEOPLE[2]).await;
    for shard in ["AWSELBAuthSessionCookie-0", "AWSELBAuthSessionCookie-1"] {
        let original = std::cell::RefCell::new(String::new());
        browser.tamper(shard, |value| {
            value.clone_into(&mut original.borrow_mut());
            let last = if value.ends_with('A') { 'B' } else { 'A' };
            format!("{}{last}", &value[..value.len() - 1])
        });
        assert_eq!(browser.get(&site.at("/deny")).await.status(), 401, "{shard}");
        browser.tamper(shard, |_| String::new());
        assert_eq!(browser.get(&site.at("/deny")).await.status(), 401, "{shard}");
        browser.tamper(shard, |_| original.borrow().clone());
        assert_eq!(browser.get(&site.at("/deny")).await.status(), 200, "{shard}");
    }
}

#[tokio::test]
async fn cookies_have_the_attributes_of_aws_and_sessions_end() {
    let (site, browser) = (Site::start().await, Browser::new());
    let begun = browser.get(&site.at("/login")).await;
    let line = begun.headers()["set-cookie"].to_str().unwrap();
    assert!(line.starts_with("AWSALBAuthNonce="), "{line}");
    assert!(line.contains("; Expires="), "{line}");
    assert!(line.ends_with(" GMT; Path=/; HttpOnly; Secure; SameSite=Lax"), "{line}");
    browser.sign_in(&site.at("/login"), &PEOPLE[0]).await;
    site.clock.advance(3599);
    assert_eq!(browser.get(&site.at("/deny")).await.status(), 200);
    site.clock.advance(1);
    assert_eq!(browser.get(&site.at("/deny")).await.status(), 401);
}

#[tokio::test]
async fn a_code_works_only_in_the_browser_that_began_and_in_time() {
    let (site, victim, attacker) = (Site::start().await, Browser::new(), Browser::new());
    let begin = async |browser: &Browser| {
        let authorize = location(&browser.get(&site.at("/login")).await);
        let form = format!("{}&person={}", authorize.split_once('?').unwrap().1, PEOPLE[0].id);
        location(&browser.post(&authorize, form).await)
    };
    let callback = begin(&attacker).await;
    assert_eq!(victim.get(&callback).await.status(), 401);
    begin(&victim).await;
    assert_eq!(victim.get(&callback).await.status(), 401);
    // A second sign-in that begins in between does not fail the first.
    begin(&attacker).await;
    assert_eq!(attacker.get(&callback).await.status(), 302);
    assert_eq!(attacker.get(&callback).await.status(), 561, "the code is used up");

    let callback = begin(&victim).await;
    site.clock.advance(900);
    assert_eq!(victim.get(&callback).await.status(), 401);
}

#[tokio::test]
async fn claims_past_11_kilobytes_are_an_error_of_the_server() {
    let large = bind().await;
    let userinfo = format!("http://{}/", large.address());
    let answer = || async { Json(json!({"sub": PEOPLE[0].id, "bio": "x".repeat(11 * 1024)})) };
    let router = Router::new().route("/", get(answer));
    tokio::spawn(large.serve(router, std::future::pending()));
    let target = bind().await.address();
    let site = Site::start_with(target, |endpoints| Endpoints {
        userinfo: userinfo.clone(),
        ..endpoints.clone()
    })
    .await;
    let browser = Browser::new();
    let authorize = location(&browser.get(&site.at("/login")).await);
    let form = format!("{}&person={}", authorize.split_once('?').unwrap().1, PEOPLE[0].id);
    let callback = location(&browser.post(&authorize, form).await);
    assert_eq!(browser.get(&callback).await.status(), 500);
    let unknown = browser.get(&format!("{}/{}", site.public_keys, PEOPLE[0].id)).await;
    assert_eq!(unknown.status(), 404);
    assert_ne!(site.signer.kid(), PEOPLE[0].id);
}

#[tokio::test]
async fn neuroglancers_client_hears_an_open_stream_and_posts_into_the_void() {
    let site = Site::start().await;
    let browser = Browser::new();
    let mut events = browser.get(&site.at("/events/demo?c=1")).await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let silence = std::time::Duration::from_millis(200);
    assert!(tokio::time::timeout(silence, events.chunk()).await.is_err(), "the stream ended");
    let posted = browser.post(&site.at("/events/demo"), "{}".to_owned()).await;
    assert_eq!(posted.status(), 204);
}
