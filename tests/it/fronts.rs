use axum::body::Body;
use axum::http::Method;
use edgemint::identity::dialect::{
    BEARER, CLOUDFLARE_ACCESS, Dialect, GOOGLE_IAP, POMERIUM, VERIFIED_ACCESS,
};
use serde_json::{Value, json};

use crate::minter::{Minter, site};
use crate::support::{Answer, App, CONFIG, NOW, bare, person};

/// Those that come in a header.
const FRONTS: [&Dialect; 5] =
    [&VERIFIED_ACCESS, &CLOUDFLARE_ACCESS, &GOOGLE_IAP, &POMERIUM, &BEARER];

/// The site of the other tests with further fronts beside the load balancer.
fn app(fronts: &[&'static Dialect], more: &str) -> (App, Vec<Minter>) {
    let tables: Vec<&str> = fronts.iter().map(|dialect| site(dialect).table).collect();
    let before = "[[distribution]]";
    let config = CONFIG.replacen(before, &format!("{}\n\n{before}", tables.join("\n\n")), 1);
    let app = App::with(&format!("{more}\n{config}"));
    let minters: Vec<Minter> = fronts.iter().map(|dialect| Minter::new(dialect)).collect();
    for minter in &minters {
        app.source.serve(site(minter.dialect).keys, &minter.published());
    }
    (app, minters)
}

async fn ask(app: &App, headers: &[(&str, String)]) -> Answer {
    ask_at(app, crate::support::HOST, headers).await
}

async fn ask_at(app: &App, host: &str, headers: &[(&str, String)]) -> Answer {
    let mut request = bare(Method::POST, "/session/cookies");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.headers_mut().insert("host", host.parse().unwrap());
    app.send(request).await
}

#[tokio::test]
async fn every_front_vouches_for_people_by_its_own_token() {
    for dialect in FRONTS {
        let (app, minters) = app(&[dialect], "");
        let minter = &minters[0];
        let answer = ask(&app, &[minter.carried(&minter.mint(NOW))]).await;
        assert_eq!(answer.status, 200, "{}: {}", dialect.front, answer.text());
        assert_eq!(answer.json()["resources"], json!(["https://data.example.org/lab-a/*"]));
        let (name, value) = minter.carried(&minter.mint(NOW));
        let request = bare(Method::GET, "/session").header(name, value);
        let session = app.send(request.body(Body::empty()).unwrap()).await.json();
        assert_eq!(session["front"], dialect.front.to_string());
        assert_eq!(session["subject"], "ada");
        assert_eq!(session["issuer"], site(dialect).issuer);
    }
}

#[tokio::test]
async fn what_binds_a_token_to_this_site_is_never_left_out() {
    let other_instance =
        "arn:aws:ec2:us-east-1:210987654321:verified-access-instance/vai-0123456789abcdef0";
    for dialect in FRONTS {
        let (app, minters) = app(&[dialect], "");
        let minter = &minters[0];
        let wrong: Vec<(Value, Value)> = if *dialect == VERIFIED_ACCESS {
            vec![
                (json!({"signer": other_instance}), json!({})),
                (json!({"signer": null}), json!({"signer": crate::minter::INSTANCE})),
                (json!({"exp": null}), json!({"exp": NOW.plus(60)})),
                (json!({}), json!({"iss": "https://other.example.org"})),
            ]
        } else {
            vec![
                (json!({}), json!({"aud": "another"})),
                (json!({}), json!({"aud": []})),
                (json!({}), json!({"aud": null})),
                (json!({}), json!({"iss": "https://other.example.org"})),
                (json!({}), json!({"iss": format!("{}/", site(dialect).issuer)})),
                (json!({}), json!({"iss": null})),
                (json!({"exp": NOW.plus(60)}), json!({"exp": null})),
            ]
        };
        for (header, payload) in wrong {
            let token = minter.mint_with(NOW, &header, &payload);
            let answer = ask(&app, &[minter.carried(&token)]).await;
            assert_eq!(answer.status, 401, "{} {header} {payload}", dialect.front);
            assert_eq!(answer.json()["type"], "urn:edgemint:problem:credential-refused");
        }
    }
}

#[tokio::test]
async fn one_wrong_credential_is_a_refusal_whatever_stands_beside_it() {
    let (app, minters) = app(&[&CLOUDFLARE_ACCESS, &POMERIUM], "");
    let good: Vec<_> = minters.iter().map(|minter| minter.carried(&minter.mint(NOW))).collect();
    let stranger = Minter::new(&POMERIUM);
    let forged = stranger.carried(&stranger.mint(NOW));
    assert_eq!(ask(&app, &[good[0].clone(), forged.clone()]).await.status, 401);
    assert_eq!(
        ask(&app, &[("x-amzn-oidc-data", "x".to_owned()), good[0].clone()]).await.status,
        401
    );
    assert_eq!(ask(&app, &[forged]).await.status, 401);
    assert_eq!(ask(&app, &good[..1]).await.status, 200);
}

#[tokio::test]
async fn two_right_credentials_of_different_people_are_a_refusal() {
    let (app, minters) = app(&[&VERIFIED_ACCESS, &BEARER], "");
    let [access, bearer] = minters.as_slice() else { panic!("two fronts") };
    let of = |minter: &Minter, subject: &str| {
        let token = minter.mint_with(NOW, &json!({}), &json!({"sub": subject}));
        minter.carried(&token)
    };
    // One provider stands behind both.
    assert_eq!(ask(&app, &[of(access, "ada"), of(bearer, "ada")]).await.status, 200);
    let answer = ask(&app, &[of(access, "ada"), of(bearer, "ben")]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["type"], "urn:edgemint:problem:credentials-conflict");
    // The load balancer's Ada has another issuer, so she is somebody else.
    let alb = ("x-amzn-oidc-data", app.claims_token(person("Ada")));
    assert_eq!(ask(&app, &[alb, of(bearer, person("Ada").id)]).await.status, 401);
}

#[tokio::test]
async fn a_front_is_believed_only_at_its_hosts_and_is_not_looked_at_elsewhere() {
    let more = "other_urls = [\"https://scripts.example.org\"]\n";
    let table = site(&BEARER).table;
    let config = CONFIG
        .replacen(
            "[[distribution]]",
            &format!("{table}\nhosts = [\"scripts.example.org\"]\n\n[[distribution]]"),
            1,
        )
        .replacen("[identity.alb]", "[identity.alb]\nhosts = [\"viewer.example.org\"]", 1);
    let app = App::with(&format!("{more}{config}"));
    let minter = Minter::new(&BEARER);
    app.source.serve(site(&BEARER).keys, &minter.published());
    let good = [minter.carried(&minter.mint(NOW))];
    let answer = ask_at(&app, "scripts.example.org", &good).await;
    assert_eq!(answer.status, 200);
    let a_browsers = [good[0].clone(), ("sec-fetch-site", "same-origin".to_owned())];
    let answer = ask_at(&app, "scripts.example.org", &a_browsers).await;
    assert!(answer.set_cookies()[0].contains("Domain=example.org"));
    let elsewhere = ask_at(&app, "viewer.example.org", &good).await;
    assert_eq!(elsewhere.json()["type"], "urn:edgemint:problem:not-signed-in");
    let forged = [("x-amzn-oidc-data", "forged".to_owned()), good[0].clone()];
    assert_eq!(ask_at(&app, "scripts.example.org", &forged).await.status, 200);
    assert_eq!(ask_at(&app, "viewer.example.org", &forged).await.status, 401);
    assert_eq!(ask_at(&app, "other.example.org", &good).await.status, 421);
}

#[tokio::test]
async fn a_script_of_another_name_of_the_site_is_of_this_site_at_that_name_only() {
    let (app, minters) = app(&[&BEARER], "other_urls = [\"https://scripts.example.org\"]\n");
    let good = minters[0].carried(&minters[0].mint(NOW));
    for (host, origin, status) in [
        ("scripts.example.org", "https://scripts.example.org", 200),
        ("viewer.example.org", "https://viewer.example.org", 200),
        ("viewer.example.org", "https://scripts.example.org", 403),
    ] {
        let headers = [good.clone(), ("origin", origin.to_owned())];
        assert_eq!(ask_at(&app, host, &headers).await.status, status, "{host} {origin}");
    }
}

#[tokio::test]
async fn of_several_issuers_of_bearer_tokens_the_one_that_is_named_must_have_signed() {
    let second = "\n[[identity.bearer]]\nissuer = \"https://second.example.org\"\nclient = [\"robot\"]\n\
                  jwks_url = \"https://second.example.org/keys\"\ngroups = \"groups\"\n\n[[distribution]]";
    let table = site(&BEARER).table;
    let config = CONFIG.replacen("[[distribution]]", &format!("{table}\n{second}"), 1);
    let app = App::with(&config);
    let (first, other) = (Minter::new(&BEARER), Minter::new(&BEARER));
    app.source.serve(site(&BEARER).keys, &first.published());
    app.source.serve("https://second.example.org/keys", &other.published());
    let seconds = json!({"iss": "https://second.example.org", "aud": null, "azp": "robot"});
    let status = async |minter: &Minter, payload: &Value| {
        let token = minter.mint_with(NOW, &json!({}), payload);
        ask(&app, &[minter.carried(&token)]).await.status.as_u16()
    };
    assert_eq!(status(&first, &json!({})).await, 200);
    assert_eq!(status(&other, &seconds).await, 200);
    assert_eq!(status(&other, &json!({})).await, 401);
    assert_eq!(status(&first, &seconds).await, 401);
    assert_eq!(status(&other, &json!({"iss": "https://third.example.org"})).await, 401);
    let mut two_clients = seconds.clone();
    two_clients["client_id"] = json!("another");
    assert_eq!(status(&other, &two_clients).await, 401);
}

#[tokio::test]
async fn another_scheme_of_authorization_is_somebody_elses() {
    let (app, minters) = app(&[&BEARER], "");
    let token = minters[0].mint(NOW);
    for (value, status) in [
        (format!("bearer {token}"), 200),
        ("Basic YWRhOnNlY3JldA==".to_owned(), 401),
        ("Bearer ".to_owned(), 401),
        ("Bearer".to_owned(), 401),
        (format!("Bearer {token} {token}"), 401),
        (format!("Bearer {token},{token}"), 401),
    ] {
        let answer = ask(&app, &[("authorization", value.clone())]).await;
        assert_eq!(answer.status, status, "{value}");
    }
    let basic = ask(&app, &[("authorization", "Basic YWRhOnNlY3JldA==".to_owned())]).await;
    assert_eq!(basic.json()["type"], "urn:edgemint:problem:not-signed-in");
}

#[tokio::test]
async fn addresses_count_where_the_token_or_the_configuration_vouches_for_them() {
    let rule = "\n[[rule]]\nname = \"mail\"\nallow = { email_domains = [\"lab-m.example.org\"], issuers = [\"any\"] }\n\
                resources = [\"https://data.example.org/mail/*\"]\n";
    for (vouched, address, opened) in [
        ("lab-m.example.org", "ada@lab-m.example.org", true),
        ("Lab-M.example.org", "Ada@LAB-M.example.org", true),
        ("example.org", "ada@lab-m.example.org", false),
        ("lab-m.example.org", "ada@evil.net@lab-m.example.org", false),
        ("lab-m.example.org", "ada@lab-m.example.org.evil.net", false),
    ] {
        let table = site(&GOOGLE_IAP).table;
        let front =
            format!("{table}\nverified_email_domains = [\"{vouched}\"]\n\n[[distribution]]");
        let app = App::with(&format!("{}{rule}", CONFIG.replacen("[[distribution]]", &front, 1)));
        let minter = Minter::new(&GOOGLE_IAP);
        app.source.serve(site(&GOOGLE_IAP).keys, &minter.published());
        let claims = json!({"email": address, "email_verified": null, "gcip": null});
        let token = minter.mint_with(NOW, &json!({}), &claims);
        let answer = ask(&app, &[minter.carried(&token)]).await;
        assert_eq!(answer.status == 200, opened, "{vouched} {address}: {}", answer.text());
    }
}

#[tokio::test]
async fn iap_issues_nothing_that_lives_longer_than_ten_minutes() {
    let (app, minters) = app(&[&GOOGLE_IAP], "");
    let minter = &minters[0];
    for (seconds, status) in [(600, 200), (631, 401), (86_400, 401)] {
        let claims = json!({"iat": NOW, "exp": NOW.plus(seconds)});
        let token = minter.mint_with(NOW, &json!({}), &claims);
        assert_eq!(ask(&app, &[minter.carried(&token)]).await.status, status, "{seconds}");
    }
    let token = minter.mint_with(NOW, &json!({}), &json!({"iat": null}));
    assert_eq!(ask(&app, &[minter.carried(&token)]).await.status, 401);
}

#[tokio::test]
async fn verified_access_with_identity_center_says_who_in_a_form_of_its_own() {
    let rule = "\n[[rule]]\nname = \"mail\"\nallow = { emails = [\"ada@lab-a.example.org\"], issuers = [\"any\"] }\n\
                resources = [\"https://data.example.org/mail/*\"]\n";
    let front = format!("{}\n\n[[distribution]]", site(&VERIFIED_ACCESS).table);
    let app = App::with(&format!("{}{rule}", CONFIG.replacen("[[distribution]]", &front, 1)));
    let minter = Minter::new(&VERIFIED_ACCESS);
    app.source.serve(site(&VERIFIED_ACCESS).keys, &minter.published());
    let status = async |verified: bool| {
        let user = json!({
            "user_id": "f478d4c8-a001-7064-6ea6-12423523",
            "user_name": "ada",
            "email": {"address": "ada@lab-a.example.org", "verified": verified},
        });
        let payload = json!({"user": user}).to_string();
        let token = minter.sign(&minter.header(NOW).to_string(), &payload);
        ask(&app, &[minter.carried(&token)]).await.status.as_u16()
    };
    assert_eq!(status(true).await, 200);
    assert_eq!(status(false).await, 403);
}

/// The site of the other tests behind a proxy on this machine, which a router without connections sees as
/// its peer.
fn behind_proxy(peer: &str) -> App {
    let front = format!(
        "[identity.insecure_proxy]\npeers = [\"{peer}\"]\nissuer = \"https://login.example.org\"\n\
         secret_sha256 = \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"\n\
         verified_email_domains = [\"atlas.example\"]\n\n[[distribution]]"
    );
    App::with(&CONFIG.replacen("[[distribution]]", &front, 1))
}

fn said(name: &'static str, value: &str) -> (&'static str, String) {
    (name, value.to_owned())
}

#[tokio::test]
async fn an_unsigned_header_is_believed_from_the_proxys_address_and_with_its_secret_only() {
    let app = behind_proxy("127.0.0.1");
    let secret = said("x-edgemint-proxy-secret", "secret");
    let ada = said("x-forwarded-user", "ada");
    let groups = said("x-forwarded-groups", "lab-b, lab-a,");
    let answer = ask(&app, &[secret.clone(), ada.clone(), groups.clone()]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["resources"].as_array().unwrap().len(), 2);
    let mail = said("x-forwarded-email", "dana@atlas.example");
    assert_eq!(ask(&app, &[secret.clone(), ada.clone(), mail]).await.status, 200);
    for wrong in [
        vec![ada.clone(), groups.clone()],
        vec![said("x-edgemint-proxy-secret", "Secret"), ada.clone()],
        vec![said("x-edgemint-proxy-secret", ""), ada.clone()],
        vec![secret.clone(), secret.clone(), ada.clone()],
        vec![secret.clone(), ada.clone(), said("x-forwarded-user", "ben")],
        vec![secret.clone(), ada.clone(), groups.clone(), groups.clone()],
        vec![secret.clone(), said("x-forwarded-user", "")],
    ] {
        let answer = ask(&app, &wrong).await;
        assert_eq!(answer.json()["type"], "urn:edgemint:problem:credential-refused", "{wrong:?}");
    }
    for nobody in [vec![secret.clone()], vec![secret.clone(), said("x_forwarded_user", "ada")]] {
        let answer = ask(&app, &nobody).await;
        assert_eq!(answer.json()["type"], "urn:edgemint:problem:not-signed-in", "{nobody:?}");
    }
    let elsewhere = behind_proxy("10.0.0.7");
    assert_eq!(ask(&elsewhere, &[secret, ada, groups]).await.status, 401);
}

#[tokio::test]
async fn a_rule_of_one_issuers_people_is_for_nobody_elses() {
    let table = site(&BEARER).table;
    let config = CONFIG
        .replacen("[[distribution]]", &format!("{table}\n\n[[distribution]]"), 1)
        .replace("issuers = [\"any\"]", &format!("issuers = [\"{}\"]", crate::support::ISSUER));
    let own = "\n[[rule]]\nname = \"own\"\nresources = [\"https://data.example.org/people/{subject}/*\"]\n\
               allow = { everyone = true, issuers = [\"https://login.example.org\"] }\n";
    let app = App::with(&format!("{config}{own}"));
    let minter = Minter::new(&BEARER);
    app.source.serve(site(&BEARER).keys, &minter.published());
    // The same group and the same subject, of another issuer.
    let token = minter.mint_with(NOW, &json!({}), &json!({"sub": person("Ada").id}));
    let answer = ask(&app, &[minter.carried(&token)]).await;
    let own = format!("https://data.example.org/people/{}/*", person("Ada").id);
    assert_eq!(answer.json()["resources"], json!([own]));
    let ada = app.of(person("Ada"), Method::POST, "/session/cookies").await;
    assert_eq!(ada.json()["resources"], json!(["https://data.example.org/lab-a/*"]));
}

#[tokio::test]
async fn an_id_token_is_no_bearer_token() {
    let client =
        site(&BEARER).table.replace("audience = [\"api://edgemint\"]", "client = [\"robot\"]");
    let app = App::with(&CONFIG.replacen(
        "[[distribution]]",
        &format!("{client}\n\n[[distribution]]"),
        1,
    ));
    let minter = Minter::new(&BEARER);
    app.source.serve(site(&BEARER).keys, &minter.published());
    for (claims, status) in [
        (json!({"azp": "robot", "typ": "Bearer"}), 200),
        (json!({"azp": "robot", "typ": "ID"}), 401),
        (json!({"azp": "robot", "at_hash": "x"}), 401),
        (json!({"azp": "robot", "at_hash": ""}), 401),
    ] {
        let token = minter.mint_with(NOW, &json!({}), &claims);
        assert_eq!(ask(&app, &[minter.carried(&token)]).await.status, status, "{claims}");
    }
}
