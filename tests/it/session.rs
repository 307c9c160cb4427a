use axum::body::Body;
use axum::http::Method;
use edgemint::cookies::LEDGER_PREFIX;
use edgemint::demo::tokens::{AccessTokenSigner, ClaimsHeader, ClaimsSigner};
use serde_json::json;

use crate::support::{ARN, App, CLIENT, CONFIG, ISSUER, NOW, bare, claims_of, person};

const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");

/// The ledger's cookies, as the browser sends them back.
fn ledger_in(lines: &[String]) -> String {
    let pairs = lines.iter().filter(|line| line.starts_with(LEDGER_PREFIX));
    pairs.filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ")
}

fn cookie_names(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.split('=').next()).collect()
}

#[tokio::test]
async fn cookies_are_issued_to_a_person_whose_group_has_a_rule() {
    let app = App::new();
    for method in [Method::GET, Method::POST] {
        let answer = app.of(person("Ada"), method, "/session/cookies").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        assert_eq!(body["resources"], json!(["https://data.example.org/lab-a/*"]));
        assert_eq!(body["expires_in"], 3600);
        let refresh = body["refresh_in"].as_u64().unwrap();
        assert!((2700..=3060).contains(&refresh), "{refresh}");
        assert_eq!(body["expires_at"], NOW.plus(3600).to_string());
        let lines = answer.set_cookies();
        let names = cookie_names(&lines);
        assert_eq!(
            names[..3],
            ["CloudFront-Policy", "CloudFront-Signature", "CloudFront-Key-Pair-Id"]
        );
        assert!(names.len() == 4 && names[3].starts_with(LEDGER_PREFIX), "{names:?}");
        assert_eq!(answer.header("cache-control"), "no-store, private");
    }
}

#[tokio::test]
async fn the_session_says_who_what_and_until_when() {
    let app = App::new();
    let answer = app.of(person("Chen"), Method::GET, "/session").await;
    let body = answer.json();
    assert_eq!(body["subject"], person("Chen").id);
    assert_eq!(body["groups"], json!(["lab-a", "lab-b"]));
    assert_eq!(body["rules"], json!(["lab-a", "lab-b"]));
    assert_eq!(body["front"], "alb");
    assert_eq!(body["until"], NOW.plus(120).to_string());
    let page =
        app.with_headers(person("Chen"), Method::GET, "/session", &[("accept", "text/html")]).await;
    assert!(page.text().contains("https://data.example.org/lab-b/*"), "{}", page.text());
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
}

#[tokio::test]
async fn verified_addresses_open_what_unverified_ones_do_not() {
    let app = App::new();
    let dana = app.of(person("Dana"), Method::POST, "/session/cookies").await;
    assert_eq!(dana.json()["resources"], json!(["https://data.example.org/atlas/*"]));
    let noor = app.of(person("Noor"), Method::POST, "/session/cookies").await;
    assert_eq!(noor.status, 403);
    assert_eq!(noor.json()["type"], "urn:edgemint:problem:no-access");
}

#[tokio::test]
async fn nobody_gets_401_and_never_a_redirect() {
    let app = App::new();
    for path in ["/session", "/session/cookies", "/session/login"] {
        let answer = app.anonymous(Method::GET, path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.set_cookies().is_empty());
    }
    let request = bare(Method::GET, "/session").header(NAVIGATE.0, NAVIGATE.1);
    let page = app.send(request.body(Body::empty()).unwrap()).await;
    assert!(page.text().contains("Sign in") && page.status == 401);
}

#[tokio::test]
async fn unsigned_headers_are_no_identity() {
    let app = App::new();
    let request = bare(Method::POST, "/session/cookies")
        .header("x-amzn-oidc-identity", person("Ada").id)
        .header("x-amzn-oidc-accesstoken", app.access_token(person("Ada")))
        .header("x_amzn_oidc_data", app.claims_token(person("Ada")))
        .header("authorization", format!("Bearer {}", app.access_token(person("Ada"))));
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["type"], "urn:edgemint:problem:not-signed-in");
}

#[tokio::test]
async fn a_wrong_credential_is_a_refusal() {
    let app = App::new();
    let ada = person("Ada");
    let good = app.claims_token(ada);
    let stranger = ClaimsSigner::generate().unwrap();
    let header =
        ClaimsHeader { signer: ARN, client: CLIENT, issuer: ISSUER, expires: NOW.plus(120) };
    let mint = |signer: &ClaimsSigner, header: &ClaimsHeader<'_>| {
        signer.mint(header, &claims_of(ada)).unwrap()
    };
    let other_arn = ARN.replace("123456789012", "210987654321");
    let cases = [
        ("garbage", "x".to_owned()),
        ("empty", String::new()),
        ("tampered", good.replacen('e', "f", 9)),
        ("key unknown to the key service", mint(&stranger, &header)),
        (
            "stranger's load balancer",
            mint(&app.claims, &ClaimsHeader { signer: &other_arn, ..header }),
        ),
        ("another client", mint(&app.claims, &ClaimsHeader { client: "other", ..header })),
        (
            "another issuer",
            mint(&app.claims, &ClaimsHeader { issuer: "https://evil.net", ..header }),
        ),
        ("expired", mint(&app.claims, &ClaimsHeader { expires: NOW.minus(31), ..header })),
        ("access token in its place", app.access_token(ada)),
        ("two in one line", format!("{good},{good}")),
    ];
    for (what, token) in cases {
        for path in ["/session", "/session/cookies", "/session/login"] {
            let request = bare(Method::GET, path).header("x-amzn-oidc-data", &token);
            let answer = app.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, 401, "{what}");
            assert_eq!(answer.json()["type"], "urn:edgemint:problem:credential-refused", "{what}");
            assert!(answer.set_cookies().is_empty(), "{what}");
            assert!(token.len() < 9 || !answer.text().contains(&token), "{what}");
        }
    }
}

#[tokio::test]
async fn two_claims_headers_are_refused() {
    let app = App::new();
    let token = app.claims_token(person("Ada"));
    let request = bare(Method::POST, "/session/cookies")
        .header("x-amzn-oidc-data", &token)
        .header("x-amzn-oidc-data", app.claims_token(person("Ben")));
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.json()["type"], "urn:edgemint:problem:credential-refused");
}

#[tokio::test]
async fn an_access_token_of_somebody_else_is_refused() {
    let app = App::new();
    for token in
        [app.access_token(person("Chen")), "x.y.z".to_owned(), app.claims_token(person("Ada"))]
    {
        let request = bare(Method::POST, "/session/cookies")
            .header("x-amzn-oidc-data", app.claims_token(person("Ada")))
            .header("x-amzn-oidc-accesstoken", token);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 401);
    }
    let request = bare(Method::POST, "/session/cookies")
        .header("x-amzn-oidc-data", app.claims_token(person("Ada")));
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 403, "without an access token there are no groups");
}

#[tokio::test]
async fn the_load_balancers_key_is_fetched_where_its_region_keeps_it() {
    let configured = "https://keys.example.org/alb/{kid}";
    for (region, partition, at) in [
        ("eu-west-1", "aws", "https://public-keys.auth.elb.eu-west-1.amazonaws.com/{kid}"),
        (
            "us-gov-west-1",
            "aws-us-gov",
            "https://s3-us-gov-west-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-west-1/{kid}",
        ),
        (
            "us-gov-east-1",
            "aws-us-gov",
            "https://s3-us-gov-east-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-east-1/{kid}",
        ),
        ("cn-north-1", "aws-cn", "https://public-keys.auth.elb.cn-north-1.amazonaws.com.cn/{kid}"),
        ("eusc-de-east-1", "aws-eusc", configured),
    ] {
        let arn =
            ARN.replace("arn:aws:", &format!("arn:{partition}:")).replace("us-east-1", region);
        let mut config = CONFIG.replace(ARN, &arn);
        config = config.replace("region = \"us-east-1\"", &format!("region = \"{region}\""));
        if at == configured {
            config = config.replace("client =", &format!("public_key_url = \"{at}\"\nclient ="));
        }
        let app = App::with(&config);
        let ada = person("Ada");
        let expires = NOW.plus(7200);
        let header = ClaimsHeader { signer: &arn, client: CLIENT, issuer: ISSUER, expires };
        let token = app.claims.mint(&header, &claims_of(ada)).unwrap();
        let ask = async || {
            let request = bare(Method::POST, "/session/cookies")
                .header("x-amzn-oidc-data", &token)
                .header("x-amzn-oidc-accesstoken", app.access_token(ada));
            app.send(request.body(Body::empty()).unwrap()).await
        };
        assert_eq!(ask().await.status, 401, "{region}: it is nowhere");
        app.source.serve(&at.replace("{kid}", app.claims.kid()), app.claims.public_key_pem());
        app.clock.advance(60);
        let answer = ask().await;
        assert_eq!(answer.status, 200, "{region}: {}", answer.text());
    }
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_a_503_and_cached_ones_serve_on() {
    let app = App::new();
    app.source.set_down(true);
    let cold = app.of(person("Ada"), Method::POST, "/session/cookies").await;
    assert_eq!((cold.status.as_u16(), cold.header("retry-after")), (503, "1"));
    app.source.set_down(false);
    app.clock.advance(60);
    assert_eq!(app.of(person("Ada"), Method::POST, "/session/cookies").await.status, 200);
    app.source.set_down(true);
    app.clock.advance(7200);
    assert_eq!(app.of(person("Ada"), Method::POST, "/session/cookies").await.status, 200);
}

#[tokio::test]
async fn a_new_key_of_the_provider_that_cannot_be_fetched_is_a_503_and_no_refusal() {
    let mut app = App::new();
    assert_eq!(app.of(person("Ada"), Method::POST, "/session/cookies").await.status, 200);
    app.access = AccessTokenSigner::generate().unwrap();
    app.source.set_down(true);
    app.clock.advance(120);
    assert_eq!(app.of(person("Ada"), Method::POST, "/session/cookies").await.status, 503);
    let page = app.of(person("Ada"), Method::GET, "/").await;
    assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, 0), "the viewer stays");
    app.source.set_down(false);
    app.clock.advance(60);
    let unknown = app.of(person("Ada"), Method::POST, "/session/cookies").await;
    assert_eq!(unknown.status, 401, "a key that the provider does not list");
    app.source.serve(&format!("{ISSUER}/.well-known/jwks.json"), &app.access.jwks_json());
    app.clock.advance(60);
    assert_eq!(app.of(person("Ada"), Method::POST, "/session/cookies").await.status, 200);
}

#[tokio::test]
async fn a_navigation_goes_on_to_return_to_and_nowhere_else() {
    let app = App::new();
    let ada = person("Ada");
    let go = async |path: &str| app.with_headers(ada, Method::GET, path, &[NAVIGATE]).await;
    let back = go("/session/cookies?return_to=%2Fview%3Fx%3D1").await;
    assert_eq!((back.status.as_u16(), back.header("location")), (303, "/view?x=1"));
    assert_eq!(back.set_cookies().len(), 4);
    let login = go("/session/login?return_to=/view").await;
    assert_eq!((login.status.as_u16(), login.header("location")), (303, "/view"));
    assert_eq!(go("/session/login").await.header("location"), "/");
    for evil in [
        "//evil.net",
        "https://evil.net/",
        "/%5cevil.net",
        "%2F%2Fevil.net",
        "javascript:1",
        "/session/login",
    ] {
        for path in ["/session/cookies", "/session/login"] {
            let answer = go(&format!("{path}?return_to={evil}")).await;
            assert_eq!(answer.status, 400, "{evil}");
            assert!(answer.set_cookies().is_empty() && answer.header("location").is_empty());
        }
    }
    let noor = app.with_headers(person("Noor"), Method::GET, "/session/login", &[NAVIGATE]).await;
    assert_eq!(noor.status, 303, "the viewer explains what is not open");
}

#[tokio::test]
async fn one_url_gets_the_one_set_that_covers_it() {
    let app = App::new();
    let wanted = async |url: &str| {
        app.of(person("Chen"), Method::POST, &format!("/session/cookies?for={url}")).await
    };
    let answer = wanted("https://data.example.org/lab-b/x/0.0").await;
    assert_eq!(answer.json()["resources"], json!(["https://data.example.org/lab-b/*"]));
    assert_eq!(answer.json()["on_demand"], json!(["https://data.example.org/lab-a/*"]));
    assert_eq!(answer.json()["expires_in"], 900);
    for url in [
        "https://data.example.org/atlas/x",
        "https://evil.net/lab-b/",
        "https://data.example.org/lab-b",
        "https://data.example.org/lab-b/../atlas/x",
    ] {
        let answer = wanted(url).await;
        assert_eq!(answer.status, 403, "{url}");
        assert_eq!(answer.json()["type"], "urn:edgemint:problem:not-covered");
    }
    for url in ["lab-b", "javascript:1", "https://a:b@data.example.org/lab-b/", ""] {
        assert_eq!(wanted(url).await.status, 400, "{url}");
    }
    let twice = app.of(person("Chen"), Method::POST, "/session/cookies?for=a&for=b").await;
    assert_eq!(twice.status, 400);
    let unknown = app.of(person("Chen"), Method::POST, "/session/cookies?fro=a").await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn other_sites_cannot_make_a_browser_ask() {
    let app = App::new();
    let ada = person("Ada");
    for (method, path) in [
        (Method::POST, "/session/cookies"),
        (Method::DELETE, "/session/cookies"),
        (Method::POST, "/session/logout"),
    ] {
        for header in [("origin", "https://evil.net"), ("sec-fetch-site", "cross-site")] {
            let answer = app.with_headers(ada, method.clone(), path, &[header]).await;
            assert_eq!(answer.status, 403, "{method} {path}");
            assert!(answer.set_cookies().is_empty());
        }
    }
}

#[tokio::test]
async fn clearing_removes_what_the_ledger_lists_even_when_nobody_is_signed_in() {
    let app = App::new();
    let lines = app.of(person("Chen"), Method::POST, "/session/cookies").await.set_cookies();
    let ledger = ledger_in(&lines);
    let request = bare(Method::DELETE, "/session/cookies").header("cookie", &ledger);
    let cleared = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(cleared.status, 204);
    assert_eq!(cleared.set_cookies().len(), 10, "two sets of four, and their entries");
    assert!(cleared.set_cookies().iter().all(|line| line.ends_with("Max-Age=0")));
    let request = bare(Method::POST, "/session/logout").header("cookie", &ledger);
    let out = app.send(request.body(Body::empty()).unwrap()).await;
    let shards = |line: &&String| line.starts_with("AWSELBAuthSessionCookie-");
    assert_eq!(out.set_cookies().iter().filter(shards).count(), 4);
}

#[tokio::test]
async fn signing_out_goes_on_to_the_provider() {
    let onward =
        "https://login.example.org/logout?client_id=4n0t&logout_uri=https://viewer.example.org/";
    let client = "client = \"4n0tarealclientid\"";
    let config = CONFIG.replace(client, &format!("{client}\nlogout_url = \"{onward}\""));
    let app = App::with(&config);
    let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-origin")];
    let out = app.with_headers(person("Ada"), Method::POST, "/session/logout", &navigation).await;
    assert_eq!(out.status, 200);
    assert_eq!(out.header("cache-control"), "no-store, private");
    let written = onward.replace('&', "&amp;");
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"0; url={written}\">");
    assert!(out.text().contains(&refresh), "{}", out.text());
    assert!(out.text().contains(&format!("<a class=\"button\" href=\"{written}\">")));

    // A script stays where it is, and whoever's credential is wrong may leave too.
    let script = app.of(person("Ada"), Method::POST, "/session/logout").await;
    assert_eq!((script.status.as_u16(), script.body.len()), (204, 0));
    let wrong = bare(Method::POST, "/session/logout")
        .header("x-amzn-oidc-data", "wrong")
        .header("sec-fetch-mode", "navigate");
    let out = app.send(wrong.body(Body::empty()).unwrap()).await;
    assert!(out.status == 200 && out.text().contains(&refresh), "{}", out.text());
}

#[tokio::test]
async fn signing_out_ends_every_shard_of_the_load_balancers_session() {
    let app = App::new();
    let held: Vec<String> =
        (0..40).map(|shard| format!("AWSELBAuthSessionCookie-{shard}=x")).collect();
    for (held, expected) in [(&held[..0], 4), (&held[..2], 4), (&held[..7], 7), (&held[..], 16)] {
        let cookie = format!("AWSELBAuthSessionCookie-07=x; other=x; {}", held.join("; "));
        let headers = [("cookie", cookie.as_str())];
        let out = app.with_headers(person("Ada"), Method::POST, "/session/logout", &headers).await;
        let lines = out.set_cookies();
        let expired: Vec<String> = (0..expected)
            .map(|shard| {
                format!("AWSELBAuthSessionCookie-{shard}=; HttpOnly; Secure; Path=/; Max-Age=0")
            })
            .collect();
        assert_eq!(lines, expired);
    }
}

#[tokio::test]
async fn a_refusal_takes_away_what_another_person_left() {
    let app = App::new();
    let lines = app.of(person("Ada"), Method::POST, "/session/cookies").await.set_cookies();
    let ledger = ledger_in(&lines);
    let headers = [("cookie", ledger.as_str())];
    let noor = app.with_headers(person("Noor"), Method::POST, "/session/cookies", &headers).await;
    assert_eq!(noor.status, 403);
    assert_eq!(noor.set_cookies().len(), 5, "{:?}", noor.set_cookies());
    assert!(noor.set_cookies().iter().all(|line| line.ends_with("Max-Age=0")));
}

#[tokio::test]
async fn a_hostile_ledger_is_replaced_and_harms_nobody() {
    let app = App::new();
    let long = "1|".repeat(9000);
    for value in ["x", "1|9|0000000000000000|evil.net|/a/", "1|a|b|c|d", &long] {
        let cookie = format!("{LEDGER_PREFIX}01234567={value}");
        let answer = app
            .with_headers(person("Ada"), Method::POST, "/session/cookies", &[("cookie", &cookie)])
            .await;
        assert_eq!(answer.status, 200);
        let lines = answer.set_cookies();
        assert!(!lines.iter().any(|line| line.contains("evil")), "{value}");
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(lines[0].starts_with(&format!("{LEDGER_PREFIX}01234567=; ")), "{lines:?}");
    }
}

#[tokio::test]
async fn a_refused_url_takes_away_what_another_person_left() {
    let app = App::new();
    let lines = app.of(person("Ada"), Method::POST, "/session/cookies").await.set_cookies();
    let ledger = ledger_in(&lines);
    let path = "/session/cookies?for=https://data.example.org/lab-a/x";
    let ben = app.with_headers(person("Ben"), Method::POST, path, &[("cookie", &ledger)]).await;
    assert_eq!((ben.status.as_u16(), ben.set_cookies().len()), (403, 5));
}

#[tokio::test]
async fn other_hosts_are_misdirected_and_health_checks_are_not() {
    let app = App::new();
    for host in
        ["evil.net", "viewer.example.org.evil.net", "viewer.example.org:444", "10.0.0.1", ""]
    {
        let request = axum::http::Request::get("/session").header("host", host);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 421, "{host}");
    }
    let twice = bare(Method::GET, "/session").header("host", "evil.net");
    assert_eq!(app.send(twice.body(Body::empty()).unwrap()).await.status, 421);
    let upper = axum::http::Request::get("/session").header("host", "VIEWER.example.org:443");
    assert_eq!(app.send(upper.body(Body::empty()).unwrap()).await.status, 401);
    for path in ["/healthz", "/readyz"] {
        let request = axum::http::Request::get(path).header("host", "10.0.0.1:8080");
        assert_eq!(app.send(request.body(Body::empty()).unwrap()).await.status, 200);
    }
}

#[tokio::test]
async fn a_bound_rule_takes_the_trusted_hop_and_refuses_ipv6_with_the_reason() {
    let app = App::with(&CONFIG.replace("name = \"lab-a\"", "name = \"lab-a\"\nbind_ip = true"));
    let from = async |line: &str| {
        let request = bare(Method::POST, "/session/cookies")
            .header("x-amzn-oidc-data", app.claims_token(person("Ada")))
            .header("x-amzn-oidc-accesstoken", app.access_token(person("Ada")))
            .header("x-forwarded-for", line);
        app.send(request.body(Body::empty()).unwrap()).await
    };
    let answer = from("6.6.6.6, 192.0.2.7").await;
    let line = answer.set_cookies()[0].clone();
    let value = line.strip_prefix("CloudFront-Policy=").unwrap().split(';').next().unwrap();
    let policy = edgemint::policy::base64::decode(value).unwrap();
    let policy = String::from_utf8(policy).unwrap();
    assert!(policy.contains(r#""AWS:SourceIp":"192.0.2.7/32""#), "{policy}");
    let refused = from("192.0.2.7, 2001:db8::1").await;
    assert_eq!(refused.status, 403);
    assert!(refused.json()["detail"].as_str().unwrap().contains("IPv6"), "{}", refused.text());
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_say_so() {
    let app = App::new();
    for (method, path, status, allow) in [
        (Method::PUT, "/session/cookies", 405, "GET, HEAD, POST, DELETE"),
        (Method::POST, "/session", 405, "GET, HEAD"),
        (Method::GET, "/session/logout", 405, "POST"),
        (Method::OPTIONS, "/session/cookies", 405, "GET, HEAD, POST, DELETE"),
        (Method::TRACE, "/session", 405, "GET, HEAD"),
        (Method::GET, "/session/nothing", 404, ""),
        (Method::GET, "/session/cookies/x", 404, ""),
    ] {
        let answer = app.of(person("Ada"), method.clone(), path).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        assert!(answer.set_cookies().is_empty());
    }
}

#[tokio::test]
async fn a_head_of_cookies_is_their_get_without_a_body() {
    let app = App::new();
    let answer = app.of(person("Ada"), Method::HEAD, "/session/cookies").await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (200, 4));
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn readiness_names_the_key_that_signs() {
    let app = App::new();
    let ready = app.anonymous(Method::GET, "/readyz").await;
    let expected = json!({
        "status": "ready",
        "key_pair_id": "K2TESTKEY",
        "ring_revision": 1,
        "longest_lifetime": 3600,
        "source_heard": NOW.to_string(),
    });
    assert_eq!(ready.json(), expected);
}

#[tokio::test]
async fn a_reload_swaps_rules_and_clears_what_they_no_longer_open() {
    let app = App::new();
    let lines = app.of(person("Ada"), Method::POST, "/session/cookies").await.set_cookies();
    let ledger = ledger_in(&lines);
    let wider = CONFIG.replace("data.example.org/lab-a/*", "data.example.org/*");
    let wider = wider.replace("lifetime = \"15m\"\n", "");
    std::fs::write(app.folder.path().join("edgemint.toml"), wider).unwrap();
    app.state.swap(App::load(&app.folder).unwrap());
    let answer = app
        .with_headers(person("Ada"), Method::POST, "/session/cookies", &[("cookie", &ledger)])
        .await;
    let lines = answer.set_cookies();
    let removed = |line: &&String| line.contains("Path=/lab-a/;") && line.ends_with("Max-Age=0");
    assert_eq!(lines.iter().filter(removed).count(), 4, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("Path=/;") && line.starts_with("CloudFront-")));
}

#[tokio::test]
async fn a_cookie_of_odd_bytes_hides_no_other() {
    let app = App::new();
    let issued = app.of(person("Ada"), Method::POST, "/session/cookies").await;
    let ledger = ledger_in(&issued.set_cookies());
    for odd in [&b"city=Z\xc3\xbcrich"[..], b"city=Z\xfcrich", b"\xff", b"=\xfe=;;"] {
        for line in [[odd, b"; ", ledger.as_bytes()], [ledger.as_bytes(), b"; ", odd]] {
            let cookie = axum::http::HeaderValue::from_bytes(&line.concat()).unwrap();
            let mut request = bare(Method::POST, "/session/logout").body(Body::empty()).unwrap();
            request.headers_mut().insert("cookie", cookie);
            let lines = app.send(request).await.set_cookies();
            assert!(lines.iter().any(|line| line.starts_with("CloudFront-Policy=;")), "{lines:?}");
        }
    }
}
