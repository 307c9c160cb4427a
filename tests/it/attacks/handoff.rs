use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edgemint::clock::Clock as _;
use edgemint::cookies::sealed::{CookieKeys, MAX_SEALED, Place, seal};

use super::{Log, refused};
use crate::handoff::{Browser, DATA_B, DATA_C, SITE, config, handoffs};
use crate::support::App;

/// The key of the configuration.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn app() -> App {
    App::with(&format!(
        "{}\n[limits]\nasks_per_minute_per_subject = 0\nasks_per_minute_per_address = 0\n",
        config()
    ))
}

/// A request that hands a token over as a page of the viewer does, in Ada's browser.
fn handing_over(browser: &Browser<'_>, app: &App, host: &str, token: &str) -> Request<Body> {
    let url = url::Url::parse(&format!("{host}/session/handoff")).unwrap();
    let cookies = browser.jar.header(&url, app.clock.now());
    let request = Request::builder()
        .method(Method::POST)
        .uri("/session/handoff")
        .header("host", url.host_str().unwrap())
        .header("origin", SITE)
        .header("sec-fetch-site", "same-site")
        .header("cookie", cookies);
    request.body(Body::from(token.to_owned())).unwrap()
}

/// Refused to the site's own page, which may read why.
async fn turned_down(app: &App, log: &Log, what: &str, request: Request<Body>, secret: &str) {
    log.take();
    let answer = app.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (400, 0), "{what}");
    assert!(answer.text().contains("urn:edgemint:problem:handoff-refused"), "{}", answer.text());
    assert_eq!(answer.header("access-control-allow-origin"), SITE);
    let record = log.take();
    assert!(
        record.contains("event=\"cookies.refused\"") && record.lines().count() == 1,
        "{record}"
    );
    let shown = [record, answer.text()].concat();
    assert!(secret.len() < 12 || !shown.contains(secret), "{what}: {shown}");
}

/// Ada's tokens, for both hosts.
async fn tokens(ada: &mut Browser<'_>) -> (String, String) {
    let answer = ada.renew().await;
    let [(_, b), (_, c)] = &handoffs(&answer)[..] else { panic!("{answer:?}") };
    (b.clone(), c.clone())
}

#[tokio::test]
async fn case_61_a_handoff_token_that_is_changed_or_made_elsewhere_is_refused() {
    let (app, log) = (app(), Log::start());
    let mut ada = Browser::of(&app, "Ada");
    let (token, _) = tokens(&mut ada).await;
    let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
    let mut wrong: Vec<String> = (0..bytes.len())
        .step_by(7)
        .map(|at| {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            URL_SAFE_NO_PAD.encode(changed)
        })
        .collect();
    wrong.extend([String::new(), "x".to_owned(), token[1..].to_owned(), format!("{token}=")]);
    // The right key, for another purpose: a session, or a cookie of the same name as the purpose's.
    let keys = CookieKeys::parse(KEY).unwrap();
    for name in ["__Host-edgemint-login", "handoff", ""] {
        let place = Place { name, host: "data-b.example.org" };
        wrong.push(seal(&keys, place, b"{\"v\":1}", [3; 12]).unwrap());
    }
    for token in wrong {
        let request = handing_over(&ada, &app, DATA_B, &token);
        turned_down(&app, &log, "changed", request, &token).await;
    }
    // No text at all; and more than any token has.
    let mut request = handing_over(&ada, &app, DATA_B, "");
    *request.body_mut() = Body::from(vec![0xff; 100]);
    turned_down(&app, &log, "no text", request, "").await;
    let huge = "A".repeat(MAX_SEALED + 1);
    let answer = app.send(handing_over(&ada, &app, DATA_B, &huge)).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (413, 0));
    // What all of them were made of is right.
    let answer = app.send(handing_over(&ada, &app, DATA_B, &token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn case_62_a_handoff_token_is_nothing_at_another_host_and_no_session() {
    let (app, log) = (app(), Log::start());
    let mut ada = Browser::of(&app, "Ada");
    let (b, c) = tokens(&mut ada).await;
    for (host, token) in [(DATA_B, &c), (DATA_C, &b)] {
        let request = handing_over(&ada, &app, host, token);
        turned_down(&app, &log, host, request, token).await;
    }
    let at_home = ada.fetch(Method::POST, &format!("{SITE}/session/handoff"), &b).await;
    assert_eq!((at_home.status.as_u16(), at_home.set_cookies().len()), (404, 0));
    // It is no login session, and no bearer token.
    let request = Request::builder()
        .method(Method::POST)
        .uri("/session/cookies")
        .header("host", "viewer.example.org")
        .header("authorization", format!("Bearer {b}"))
        .header("cookie", format!("__Host-edgemint-login-0={b}"));
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (401, 0));
}

#[tokio::test]
async fn case_63_a_handoff_token_ends_after_a_minute() {
    let (app, log) = (app(), Log::start());
    let mut ada = Browser::of(&app, "Ada");
    let (b, c) = tokens(&mut ada).await;
    app.clock.advance(59);
    assert_eq!(app.send(handing_over(&ada, &app, DATA_B, &b)).await.status, 200);
    let (mark, late) = (handing_over(&ada, &app, DATA_C, &c), 1);
    app.clock.advance(late);
    turned_down(&app, &log, "after a minute", mark, &c).await;
}

#[tokio::test]
async fn case_63_a_handoff_token_of_before_signing_out_opens_nothing_after() {
    let (app, log) = (app(), Log::start());
    let logout = format!("{SITE}/session/logout");
    for by_script in [true, false] {
        let mut ada = Browser::of(&app, "Ada");
        let answer = ada.renew().await;
        ada.hand_over(&answer).await;
        let (b, c) = tokens(&mut ada).await;
        // One host that hears of it is enough for all of them.
        let answer = ada.fetch(Method::POST, &logout, "").await;
        let (url, clearing) = handoffs(&answer)[0].clone();
        let answer = if by_script {
            ada.fetch(Method::POST, &url, &clearing).await
        } else {
            let headers = [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")];
            ada.ask(Method::GET, &format!("{url}/clear?token={clearing}"), &headers, "").await
        };
        assert!(answer.status.is_success(), "{}", answer.text());
        for (host, token) in [(DATA_B, &b), (DATA_C, &c)] {
            let late = handing_over(&ada, &app, host, token);
            turned_down(&app, &log, "after signing out", late, token).await;
        }
        assert!(!ada.reads(&format!("{DATA_B}/scans/x")));
        // The next sign-in is another one.
        let answer = ada.renew().await;
        assert!(ada.hand_over(&answer).await.iter().all(|answer| answer.status == 200));
        assert!(ada.reads(&format!("{DATA_B}/scans/x")));
    }
}

#[tokio::test]
async fn case_64_nobody_else_removes_marks_and_no_name_but_a_marks_comes_back() {
    let app = app();
    let mut ada = Browser::of(&app, "Ada");
    let (token, _) = tokens(&mut ada).await;
    // Without a token that clears, nothing is removed.
    for (body, query) in [("", "?token="), ("x", "?token=x"), (token.as_str(), "")] {
        let answer = app.send(handing_over(&ada, &app, DATA_C, body)).await;
        assert!(answer.set_cookies().is_empty(), "{answer:?}");
        let url = format!("{DATA_C}/session/handoff/clear{query}");
        let answer = ada.ask(Method::GET, &url, &[("sec-fetch-site", "same-site")], "").await;
        assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (400, 0), "{url}");
    }
    // What a sibling host plants beside the marks is not repeated.
    let answer = ada.fetch(Method::POST, &format!("{SITE}/session/logout"), "").await;
    let (_, clearing) = handoffs(&answer)[0].clone();
    let mut request = handing_over(&ada, &app, DATA_B, &clearing);
    let planted = "; __Secure-edgemint-handoff-=x; __Secure-edgemint-handoff-0; session=x; \
                   __Secure-edgemint-handoff-0123456789; __Secure-edgemint-handoff-01\t34567=x";
    let cookies = [request.headers()["cookie"].to_str().unwrap(), planted].concat();
    request.headers_mut().insert("cookie", cookies.parse().unwrap());
    let answer = app.send(request).await;
    let lines = answer.set_cookies();
    let marks: Vec<&String> = lines.iter().filter(|line| line.contains("handoff-")).collect();
    let [line] = &marks[..] else { panic!("{lines:?}") };
    let (name, attributes) = line.split_once("=; ").unwrap();
    assert!(cookies.contains(&format!("{name}=")), "{line}");
    assert_eq!(
        attributes,
        "HttpOnly; SameSite=Strict; Secure; Path=/session/handoff; Domain=example.org; Max-Age=0"
    );
}

#[tokio::test]
async fn case_64_no_other_page_hands_a_token_over() {
    let (app, log) = (app(), Log::start());
    let mut ada = Browser::of(&app, "Ada");
    let (token, _) = tokens(&mut ada).await;
    let with = |name: &'static str, values: &[&str]| {
        let mut request = handing_over(&ada, &app, DATA_B, &token);
        request.headers_mut().remove(name);
        for value in values {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    };
    for origins in [
        &[][..],
        &["null"],
        &["https://evil.net"],
        &["https://data-b.example.org"],
        &["https://viewer.example.org.evil.net"],
        &["https://sub.viewer.example.org"],
        &["http://viewer.example.org"],
        &["https://viewer.example.org:444"],
        &[SITE, "https://evil.net"],
        &[SITE, SITE],
    ] {
        refused(&app, &log, "origin", with("origin", origins), 403, &[&token]).await;
    }
    for sites in [&["cross-site"][..], &["same-origin"], &["none"], &["same-site", "cross-site"]] {
        let request = with("sec-fetch-site", sites);
        let answer = app.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (403, 0), "{sites:?}");
    }
    // A token goes by an image only where it clears, and not from another site.
    let clear = |token: &str, site: &str| {
        Request::builder()
            .uri(format!("/session/handoff/clear?token={token}"))
            .header("host", "data-b.example.org")
            .header("sec-fetch-site", site)
            .body(Body::empty())
            .unwrap()
    };
    refused(&app, &log, "image", clear(&token, "same-site"), 400, &[&token]).await;
    let answer = ada.fetch(Method::DELETE, &format!("{SITE}/session/cookies"), "").await;
    let (_, clearing) = handoffs(&answer)[0].clone();
    for site in ["cross-site", "none", "same-origin"] {
        refused(&app, &log, site, clear(&clearing, site), 403, &[&clearing]).await;
    }
    refused(&app, &log, "twice", clear(&format!("{clearing}&token=x"), "same-site"), 400, &[])
        .await;
}

#[tokio::test]
async fn case_65_a_stolen_handoff_token_opens_nothing_in_another_browser() {
    let (app, log) = (app(), Log::start());
    let mut ada = Browser::of(&app, "Ada");
    let (token, _) = tokens(&mut ada).await;
    let thief = Browser::of(&app, "Ben");
    turned_down(&app, &log, "stolen", handing_over(&thief, &app, DATA_B, &token), &token).await;
    // With a mark of the thief's own, from a sign-in of his own.
    let mut thief = thief;
    thief.renew().await;
    turned_down(&app, &log, "stolen", handing_over(&thief, &app, DATA_B, &token), &token).await;
    // In its own browser it may be used again, and gives that person what that browser has.
    for _ in 0..2 {
        let answer = app.send(handing_over(&ada, &app, DATA_B, &token)).await;
        assert_eq!(answer.status, 200);
    }
    // The mark goes to handoffs alone, and no script reads it.
    let answer = ada.renew().await;
    let marks = answer.set_cookies();
    let marks = marks.iter().filter(|line| line.starts_with("__Secure-edgemint-handoff-"));
    let attributes: Vec<_> =
        marks.map(|line| line.split_once("; ").unwrap().1.to_owned()).collect();
    assert_eq!(
        attributes,
        [
            "HttpOnly; SameSite=Strict; Secure; Path=/session/handoff; Domain=example.org; Max-Age=60"
        ]
    );
}

#[tokio::test]
async fn case_66_the_viewers_host_and_data_hosts_are_not_taken_for_each_other() {
    let (app, _log) = (app(), Log::start());
    // Identity headers and cookies at a data host are nobody's.
    for (method, path) in
        [(Method::POST, "/session/cookies"), (Method::GET, "/"), (Method::GET, "/session")]
    {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "data-b.example.org")
            .header("x-amzn-oidc-data", app.claims_token(crate::support::person("Ada")))
            .header("origin", SITE);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (404, 0), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    // A name that only looks like a data host's is none.
    for host in [
        "data-b.example.org.evil.net",
        "evil-data-b.example.org",
        "data-b.example.org:444",
        "data-b.example.org.",
        "data.example.org",
    ] {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/session/handoff")
            .header("host", host)
            .header("origin", SITE);
        let answer = app.send(request.body(Body::from("x")).unwrap()).await;
        assert_eq!(answer.status, 421, "{host}");
    }
}
