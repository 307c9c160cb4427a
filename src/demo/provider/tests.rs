use super::super::people::PEOPLE;
use super::super::testing::{Browser, Site, location};
use super::*;

fn authorize(site: &Site, redirect_uri: &str) -> String {
    let mut url = Url::parse(&format!("{}/oauth2/authorize", site.login)).unwrap();
    url.query_pairs_mut()
        .append_pair("client_id", "demo-client")
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("state", "s&=");
    url.into()
}

fn redirect_uri(site: &Site) -> String {
    site.at("/oauth2/idpresponse")
}

async fn code(site: &Site, browser: &Browser) -> String {
    let url = authorize(site, &redirect_uri(site));
    let form = format!("{}&person={}", url.split_once('?').unwrap().1, PEOPLE[2].id);
    let chosen = browser.post(&url, form).await;
    assert_eq!(chosen.status(), 303);
    let back = Url::parse(&location(&chosen)).unwrap();
    assert!(back.as_str().starts_with(&format!("{}?", redirect_uri(site))), "{back}");
    let pairs: Vec<(String, String)> = back.query_pairs().into_owned().collect();
    assert_eq!(pairs[1], ("state".to_owned(), "s&=".to_owned()));
    pairs[0].1.clone()
}

async fn exchange(site: &Site, browser: &Browser, code: &str, secret: &str) -> reqwest::Response {
    let form = format!(
        "grant_type=authorization_code&client_id=demo-client&client_secret={secret}&code={code}\
         &redirect_uri={}",
        redirect_uri(site)
    );
    browser.post(&site.provider.endpoints().token, form).await
}

async fn json(response: reqwest::Response) -> serde_json::Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_redirect_uri_must_be_registered_exactly() {
    let (site, browser) = (Site::start().await, Browser::new());
    let registered = redirect_uri(&site);
    assert_eq!(browser.get(&authorize(&site, &registered)).await.status(), 200);
    for other in
        [format!("{registered}/"), format!("{registered}?x=1"), "http://evil.example/".to_owned()]
    {
        let url = authorize(&site, &other);
        assert_eq!(browser.get(&url).await.status(), 400, "{other}");
        let form = format!("{}&person={}", url.split_once('?').unwrap().1, PEOPLE[0].id);
        assert_eq!(browser.post(&url, form).await.status(), 400, "{other}");
    }
}

#[tokio::test]
async fn a_code_becomes_a_token_once_and_for_the_right_secret() {
    let (site, browser) = (Site::start().await, Browser::new());
    let first = code(&site, &browser).await;
    let refused = exchange(&site, &browser, &first, "another").await;
    assert_eq!(
        (refused.status().as_u16(), json(refused).await["error"].as_str()),
        (401, Some("invalid_client"))
    );
    let answer = json(exchange(&site, &browser, &first, "demo-secret").await).await;
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 3600);
    let again = exchange(&site, &browser, &first, "demo-secret").await;
    assert_eq!(
        (again.status().as_u16(), json(again).await["error"].as_str()),
        (400, Some("invalid_grant"))
    );

    let late = code(&site, &browser).await;
    site.clock.advance(60);
    assert_eq!(exchange(&site, &browser, &late, "demo-secret").await.status(), 400);
}

#[tokio::test]
async fn userinfo_knows_the_person_but_no_groups() {
    let (site, browser) = (Site::start().await, Browser::new());
    let code = code(&site, &browser).await;
    let answer = json(exchange(&site, &browser, &code, "demo-secret").await).await;
    let token = answer["access_token"].as_str().unwrap();
    let ask = async |token: &str| {
        let url = &site.provider.endpoints().userinfo;
        browser.send(browser.request(reqwest::Method::GET, url).bearer_auth(token)).await
    };
    let claims = json(ask(token).await).await;
    assert_eq!(
        claims,
        serde_json::json!({
            "sub": PEOPLE[2].id,
            "email": "chen@lab-a.example",
            "email_verified": "true",
            "name": "Chen",
        })
    );
    assert_eq!(ask("a.b.c").await.status(), 401);
    site.clock.advance(3600);
    assert_eq!(ask(token).await.status(), 401);
}

#[tokio::test]
async fn sign_out_leads_to_registered_places_only() {
    let (site, browser) = (Site::start().await, Browser::new());
    let to = |uri: &str| {
        format!("{}?client_id=demo-client&logout_uri={uri}", site.provider.endpoints().logout)
    };
    assert_eq!(location(&browser.get(&to(&site.at("/bye"))).await), site.at("/bye"));
    assert_eq!(browser.get(&to("http://evil.example/")).await.status(), 400);
}

#[tokio::test]
async fn a_script_gets_a_token_for_a_name_and_the_right_secret() {
    let (site, browser) = (Site::start().await, Browser::new());
    let ask = async |name: &str, secret: &str| {
        let form = format!(
            "grant_type=password&username={name}&client_id=demo-client&client_secret={secret}"
        );
        browser.post(&site.provider.endpoints().token, form).await
    };
    let token = json(ask("ada", "demo-secret").await).await;
    let subject = site
        .provider
        .signer()
        .subject_of(token["access_token"].as_str().unwrap(), site.clock.now());
    assert_eq!(subject.as_deref(), Some(PEOPLE[0].id));
    assert_eq!(ask("ada", "another").await.status(), 401);
    for nobody in ["", "Eve", "ada%20"] {
        let answer = ask(nobody, "demo-secret").await;
        assert_eq!(answer.status(), 400, "{nobody}");
        assert_eq!(json(answer).await["error"], "invalid_grant");
    }
}
