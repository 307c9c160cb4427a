use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Service, Site};
use crate::support::person;

#[tokio::test(flavor = "multi_thread")]
async fn every_issue_and_every_refusal_is_one_line_without_secrets() {
    let service = Service::start().await;
    let answer = service.cookies(person("Ada")).await;
    assert_eq!(answer.status(), 200);
    let cookies: Vec<String> = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|line| line.to_str().unwrap().split(['=', ';']).nth(1).unwrap().to_owned())
        .collect();
    let line = service.wait_for("cookies.issued").await;
    let quoted = |text: &str| Value::String(format!("{text:?}"));
    assert_eq!(line["subject"], quoted(person("Ada").id));
    assert_eq!(line["front"], "alb");
    assert_eq!(line["rules"], quoted("lab-a"));
    assert_eq!(
        line["resources"],
        quoted(&format!("http://data.edgemint.localhost:{}/lab-a/*", service.port))
    );
    assert_eq!(line["key"], "K2TESTKEY");
    assert_eq!(line["address"], "192.0.2.7");
    assert!(line["until"].as_str().unwrap().ends_with('Z'), "{line}");
    assert_eq!(line["request_id"].as_str().unwrap().len(), 16);
    let text = line.to_string();
    for secret in cookies.iter().filter(|value| value.len() > 20) {
        assert!(!text.contains(secret.as_str()), "{text}");
    }

    assert_eq!(service.cookies(person("Noor")).await.status(), 403);
    let line = service.wait_for("cookies.refused").await;
    assert!(line["reason"].as_str().unwrap().contains("no rule opens anything"), "{line}");
    let forged = format!("{}.forged", "x".repeat(40));
    assert_eq!(service.post(&[("x-amzn-oidc-data", forged.clone())]).await.status(), 401);
    let line = service.wait_for("cookies.refused").await;
    assert!(line["reason"].as_str().unwrap().contains("three segments"), "{line}");
    assert!(!line.to_string().contains(&forged));
    let metrics = service.metrics().await;
    for expected in [
        "edgemint_cookie_attempts_total{outcome=\"Issued\"} 1",
        "edgemint_cookie_attempts_total{outcome=\"NoAccess\"} 1",
        "edgemint_cookie_attempts_total{outcome=\"Refused\"} 1",
        "edgemint_active_key{key_pair_id=\"K2TESTKEY\"} 1",
    ] {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
}

/// A flood of requests is no flood of lines.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_often_is_one_line_a_minute() {
    let limits = "[limits]\nasks_per_minute_per_subject = 1\nasks_per_minute_per_address = 20";
    let service = Service::with(limits).await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(service.cookies(person("Ada")).await.status().as_u16());
    }
    assert_eq!(statuses[0], 200);
    assert!(statuses[1..].iter().all(|status| *status == 429), "{statuses:?}");
    let of_ada = service.wait_for("requests.limited").await;
    assert_eq!(of_ada["subject"], Value::String(format!("{:?}", person("Ada").id)));
    assert_eq!((&of_ada["address"], &of_ada["retry_after"]), (&"192.0.2.7".into(), &60.into()));
    let of_address = service.wait_for("requests.limited").await;
    assert_eq!(of_address["subject"], "\"\"");
    assert!(of_address["reason"].as_str().unwrap().contains("asks_per_minute_per_address"));
    let log = service.log();
    assert!(!log.contains("requests.limited") && !log.contains("cookies.refused"), "{log}");
    let metrics = service.metrics().await;
    for line in
        ["edgemint_limited_total{by=\"Subject\"} 19", "edgemint_limited_total{by=\"Address\"} 20"]
    {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_or_a_change_reloads_and_a_bad_file_keeps_the_old_one() {
    let service = Service::start().await;
    service.write_config(&service.config.replace("groups = [\"lab-a\"]", "groups = lab-a"));
    service.signal("-HUP");
    let line = service.wait_for("reload.failed").await;
    assert!(line["problem"].as_str().unwrap().contains("edgemint.toml:15"), "{line}");
    assert_eq!(service.cookies(person("Ada")).await.status(), 200, "the old rules stay");
    service.write_config(&service.config.replace("groups = [\"lab-a\"]", "groups = [\"lab-b\"]"));
    // No signal: the file is watched.
    service.wait_for("reload.done").await;
    assert_eq!(service.cookies(person("Ada")).await.status(), 403);
    assert_eq!(service.cookies(person("Ben")).await.status(), 200);
    let metrics = service.metrics().await;
    assert!(metrics.contains("edgemint_reloads_total{ok=\"false\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_read_are_tried_again_until_what_was_wrong_is_mended() {
    use std::os::unix::fs::PermissionsExt as _;
    let service = Service::start().await;
    let pem = service.key_file();
    let mode = |bits| std::fs::set_permissions(&pem, std::fs::Permissions::from_mode(bits));
    mode(0o644).unwrap();
    service.signal("-HUP");
    let line = service.wait_for("keys.failed").await;
    assert!(line["problem"].as_str().unwrap().contains("chmod 600"), "{line}");
    mode(0o600).unwrap();
    service.wait_for("keys.heard").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_signal_stops_the_program_with_success() {
    let mut service = Service::start().await;
    service.signal("-TERM");
    service.wait_for("stopping").await;
    let end = Instant::now() + Duration::from_secs(10);
    let status = loop {
        if let Some(status) = service.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "the program does not stop");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_while_the_program_still_loads_is_heard_later() {
    let site = Site::prepare().await;
    let (file, config) = (site.file(), site.config.clone());
    std::fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let service = Service::on(site, async |service| {
        // A pipe can be opened once the program reads it, and then it waits for its end.
        let mut pipe = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        service.signal("-HUP");
        pipe.write_all(config.as_bytes()).unwrap();
    })
    .await;
    std::fs::write(&file, &config).unwrap();
    service.wait_for("reload.done").await;
}
