use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{CONFIG, rsa_pem};

const RSA: &str = "keys-example/rsa-2048.private.pem";
const RSA_PUBLIC: &str = "keys-example/rsa-2048.public.pem";

fn edgemint(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_edgemint"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn sign(what: &str, resource: &str, more: &[&str]) -> Output {
    let mut arguments = vec![
        "sign",
        what,
        "--resource",
        resource,
        "--key-pair-id",
        "K1EXAMPLE",
        "--private-key",
        RSA,
        "--date-less-than",
        "2036-01-01",
    ];
    arguments.extend(more);
    edgemint(&arguments)
}

fn verify(url: &str, cookie: &str, more: &[&str]) -> Output {
    let mut arguments =
        vec!["verify", "--public-key", RSA_PUBLIC, "--url", url, "--cookie", cookie];
    arguments.extend(more);
    edgemint(&arguments)
}

/// A folder with a configuration, a key and a bundle.
fn site() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    std::fs::write(&key, rsa_pem()).unwrap();
    let keys = folder.path().join("keys");
    let import = import(&keys, &key);
    assert_eq!(code(&import), 0, "{}", err(&import));
    std::fs::create_dir(folder.path().join("viewer")).unwrap();
    std::fs::write(folder.path().join("viewer/index.html"), "<p>").unwrap();
    std::fs::write(folder.path().join("edgemint.toml"), CONFIG).unwrap();
    folder
}

fn import(keys: &Path, key: &Path) -> Output {
    edgemint(&[
        "keys",
        "import",
        "--source",
        &format!("dir:{}", keys.display()),
        "--key-pair-id",
        "K2TESTKEY",
        key.to_str().unwrap(),
    ])
}

fn check(folder: &TempDir, more: &[&str]) -> Output {
    let file: PathBuf = folder.path().join("edgemint.toml");
    let mut arguments = vec!["check", "--config", file.to_str().unwrap()];
    arguments.extend(more);
    edgemint(&arguments)
}

#[test]
fn help_about_keys_fits_a_terminal_and_reads_as_it_is_written() {
    let commands =
        ["rotate", "list", "revoke", "promote", "retire", "generate", "stage", "import", "cookie"];
    for command in commands {
        let help = out(&edgemint(&["keys", command, "--help"]));
        assert!(help.contains("Usage: edgemint keys"), "{help}");
        // Where clap breaks lines.
        let wide = help.lines().find(|line| line.chars().count() > 100);
        assert_eq!(wide, None, "keys {command} --help");
    }
    let help = out(&edgemint(&["keys", "--help"]));
    let (_, runbook) = help.split_once("A key's life:\n").unwrap();
    let lines: Vec<&str> = runbook.lines().collect();
    let wide = lines.iter().find(|line| line.chars().count() > 98);
    assert_eq!(wide, None, "keys --help");
    // As many as are written: none was broken on the way.
    assert_eq!(
        lines.iter().filter(|line| line.contains("edgemint keys ")).count(),
        10,
        "{runbook}"
    );
    for command in commands.iter().filter(|command| !["import", "cookie"].contains(command)) {
        assert!(runbook.contains(command), "{command}: {runbook}");
    }
}

#[test]
fn every_command_explains_itself() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["demo", "--help"],
        &["check", "--help"],
        &["sign", "--help"],
        &["sign", "cookies", "--help"],
        &["sign", "url", "--help"],
        &["verify", "--help"],
        &["keys", "--help"],
        &["keys", "import", "--help"],
    ] {
        let output = edgemint(arguments);
        assert_eq!(code(&output), 0);
        assert!(out(&output).len() > 200, "{arguments:?}");
    }
    assert_eq!(code(&edgemint(&["nonsense"])), 2);
    assert_eq!(code(&edgemint(&[])), 2);
}

#[test]
fn signed_cookies_verify_in_every_format() {
    let resource = "https://data.example.org/lab-a/*";
    let header = out(&sign("cookies", resource, &["--format", "header"]));
    let url = "https://data.example.org/lab-a/x/0.0";
    let allowed = verify(url, header.trim(), &[]);
    assert_eq!(code(&allowed), 0, "{}", out(&allowed));
    assert!(
        out(&allowed).starts_with("allowed: https://data.example.org/lab-a/* until 2036-01-01")
    );

    let json: serde_json::Value =
        serde_json::from_str(&out(&sign("cookies", resource, &[]))).unwrap();
    let pairs: Vec<String> = json
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
        .collect();
    assert_eq!(pairs.len(), 3);
    assert_eq!(code(&verify(url, &pairs.join("; "), &[])), 0);

    let curl = out(&sign("cookies", resource, &["--format", "curl"]));
    assert!(curl.starts_with("--cookie 'CloudFront-Policy=") && curl.ends_with("'\n"));
    let netscape = out(&sign("cookies", resource, &["--format", "netscape"]));
    let lines: Vec<&str> = netscape.lines().collect();
    assert_eq!(lines[0], "# Netscape HTTP Cookie File");
    assert!(
        lines[1]
            .starts_with("data.example.org\tFALSE\t/lab-a/\tTRUE\t2082758400\tCloudFront-Policy\t"),
        "{}",
        lines[1]
    );
}

#[test]
fn sha_256_adds_the_fourth_cookie_and_canned_has_no_policy() {
    let four = out(&sign("cookies", "https://d.example.org/*", &["--hash-algorithm", "SHA256"]));
    assert!(four.contains("\"CloudFront-Hash-Algorithm\": \"SHA256\""), "{four}");
    let canned = out(&sign("cookies", "https://d.example.org/a?x=1", &[]));
    assert!(canned.contains("CloudFront-Expires") && !canned.contains("CloudFront-Policy"));
    let bound = out(&sign("cookies", "https://d.example.org/a", &["--ip-address", "192.0.2.0/24"]));
    assert!(bound.contains("CloudFront-Policy"), "an address needs a custom policy");
}

#[test]
fn signed_urls_verify() {
    let signed = out(&sign("url", "https://data.example.org/a.json?v=2", &[]));
    assert!(
        signed.starts_with("https://data.example.org/a.json?v=2&Expires=2082758400&Signature=")
    );
    assert_eq!(code(&verify(signed.trim(), "", &[])), 0);
    let star = "https://data.example.org/lab-a/*";
    let one = out(&sign("url", star, &["--url", "https://data.example.org/lab-a/b"]));
    assert!(one.starts_with("https://data.example.org/lab-a/b?Policy="));
    assert_eq!(code(&verify(one.trim(), "", &[])), 0);
    assert!(err(&sign("url", star, &[])).contains("--url"));
    let outside = sign("url", star, &["--url", "https://data.example.org/lab-b/b"]);
    assert!(err(&outside).contains("does not cover"));
}

#[test]
fn verify_explains_each_refusal() {
    let header = out(&sign("cookies", "https://data.example.org/lab-a/*", &["--format", "header"]));
    let header = header.trim();
    let url = "https://data.example.org/lab-a/x";
    for (output, expected) in [
        (
            verify(url, header, &["--at", "2036-01-01T00:00:12"]),
            "403 AccessDenied: expired 12 s ago, at 2036-01-01T00:00:00Z\n",
        ),
        (
            verify("https://data.example.org/lab-b/x", header, &[]),
            "403 AccessDenied: resource https://data.example.org/lab-a/* does not cover https://data.example.org/lab-b/x\n",
        ),
        (
            verify(
                url,
                &header.replace('~', "/").replace('_', "=").replace("Key=Pair", "Key-Pair"),
                &[],
            ),
            "403 MalformedSignature: CloudFront-Signature: base64 uses +, / or =: the cookies were not encoded for CloudFront, which wants - for +, ~ for / and _ for =\n",
        ),
        (
            verify(url, "", &[]),
            "403 MissingKey: no CloudFront-Key-Pair-Id reached the edge: the request carries no cookies at all\n",
        ),
    ] {
        assert_eq!((code(&output), out(&output).as_str()), (1, expected));
    }
    let json = verify(url, "", &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(
        (json["allowed"].as_bool(), json["code"].as_str()),
        (Some(false), Some("MissingKey"))
    );
}

#[test]
fn the_published_keys_sign_with_a_warning_and_are_never_imported() {
    let signed = sign("cookies", "https://d.example.org/*", &[]);
    assert!(err(&signed).contains("warning: this is the published key"), "{}", err(&signed));
    assert!(err(&verify("https://d.example.org/a", "", &[])).contains("warning"));
    let folder = tempfile::tempdir().unwrap();
    let refused = import(&folder.path().join("keys"), Path::new(RSA));
    assert_eq!(code(&refused), 2);
    assert!(err(&refused).contains("keys-example"), "{}", err(&refused));
    assert!(!folder.path().join("keys").exists(), "nothing was written");
}

#[test]
fn bad_arguments_say_what_to_write() {
    for (more, expected) in [
        (&["--date-greater-than", "tomorrow"][..], "2026-01-31"),
        (&["--ip-address", "::1"], "no IPv6"),
        (&["--ip-address", "010.0.0.1"], "192.0.2.10"),
        (&["--hash-algorithm", "md5"], "SHA256"),
        (&["--date-greater-than", "2037-01-01"], "starts at"),
    ] {
        let output = sign("cookies", "https://d.example.org/*", more);
        assert_eq!(code(&output), 2);
        assert!(err(&output).contains(expected), "{}", err(&output));
    }
    for (resource, expected) in [
        ("*", "begins with https://"),
        ("https://h/\"", "percent-encoded"),
        ("https://*/", "host in full"),
    ] {
        let output = sign("cookies", resource, &[]);
        assert!(code(&output) == 2 && err(&output).contains(expected), "{}", err(&output));
    }
    let millis = edgemint(&[
        "sign",
        "cookies",
        "--resource",
        "https://h/a",
        "--key-pair-id",
        "K1",
        "--private-key",
        RSA,
        "--date-less-than",
        "1767290400000",
    ]);
    assert!(err(&millis).contains("milliseconds"), "{}", err(&millis));
}

#[test]
fn bad_keys_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let weak = openssl::rsa::Rsa::generate(1024).unwrap().private_key_to_pem().unwrap();
    let public = std::fs::read(RSA_PUBLIC).unwrap();
    for (name, content, expected) in [
        ("weak.pem", weak, "has 1024 bits"),
        ("public.pem", public, "this is a public key"),
        ("text.pem", b"K2JCJMDEHXQW5F".to_vec(), "no PEM block"),
        ("binary.pem", vec![0xff, 0xfe, 0], "cannot read"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let output = edgemint(&[
            "sign",
            "cookies",
            "--resource",
            "https://h/a",
            "--key-pair-id",
            "K1",
            "--private-key",
            path.to_str().unwrap(),
            "--date-less-than",
            "2036-01-01",
        ]);
        assert_eq!(code(&output), 2);
        assert!(err(&output).contains(expected) && err(&output).contains(name), "{}", err(&output));
    }
    let gone = import(folder.path(), Path::new("/nonexistent/key.pem"));
    assert!(err(&gone).contains("cannot read /nonexistent/key.pem"), "{}", err(&gone));
}

#[test]
fn check_describes_a_right_configuration_and_locates_what_is_wrong() {
    let folder = site();
    let right = check(&folder, &[]);
    assert_eq!(code(&right), 0, "{}", out(&right));
    let text = out(&right);
    for expected in [
        "cookies with Domain=example.org",
        "lab-a: groups lab-a may read https://data.example.org/lab-a/* for 1 h",
        "K2TESTKEY signs, RSA-2048, SHA1",
        "1 files",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let away = CONFIG.replace("dir:keys", "ssm:/edgemint/prod");
    std::fs::write(folder.path().join("edgemint.toml"), away).unwrap();
    let without_network = check(&folder, &[]);
    let text = out(&without_network);
    assert_eq!(code(&without_network), 0, "{text}");
    assert!(text.contains("\n    keys    ssm:/edgemint/prod, not read here\n"), "{text}");
    let origins = "[cors]\norigins = [\"https://notebook.example.org\", \"https://example.net\"]";
    let friends = format!("{CONFIG}\n{origins}\n");
    std::fs::write(folder.path().join("edgemint.toml"), friends).unwrap();
    let text = out(&check(&folder, &[]));
    assert!(text.contains("    origin  https://notebook.example.org, whose scripts"), "{text}");
    assert_eq!(text.matches(" is another site than ").count(), 1, "{text}");
    assert!(text.contains("https://example.net is another site than "), "{text}");
    let wrong = CONFIG.replace("\"15m\"", "\"15 minutes\"").replace("/lab-a/*", "/lab-a*");
    std::fs::write(folder.path().join("edgemint.toml"), wrong).unwrap();
    let output = check(&folder, &[]);
    assert_eq!(code(&output), 1);
    assert!(out(&output).contains("edgemint.toml:16: rule[0].resources[0]: "), "{}", out(&output));
    assert!(out(&output).contains("edgemint.toml:22: rule[1].lifetime: "), "{}", out(&output));
    let json: serde_json::Value = serde_json::from_str(&out(&check(&folder, &["--json"]))).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 2);
    assert_eq!(json["problems"][1]["key"], "rule[1].lifetime");
}

#[test]
fn check_names_missing_keys_bundles_and_files() {
    let folder = site();
    std::fs::remove_dir_all(folder.path().join("viewer")).unwrap();
    assert!(out(&check(&folder, &[])).contains("viewer"), "{}", out(&check(&folder, &[])));
    std::fs::remove_dir_all(folder.path().join("keys")).unwrap();
    let both = out(&check(&folder, &[]));
    assert!(both.contains(": keys.source: ") && both.contains("edgemint keys import"), "{both}");
    assert!(both.contains(": viewer.root: "), "{both}");
    std::fs::remove_file(folder.path().join("edgemint.toml")).unwrap();
    assert!(out(&check(&folder, &[])).contains("cannot read"));
}

#[test]
fn check_says_what_it_found_of_bundles_and_leaves_buckets_alone() {
    let folder = site();
    std::fs::write(folder.path().join("viewer/.env"), "secret").unwrap();
    let text = out(&check(&folder, &[]));
    assert!(text.contains("bundle  1 files, ") && text.contains(" KB in memory, at /"), "{text}");
    assert!(text.contains("viewer/.env is not served: its name begins with a dot"), "{text}");
    let config = CONFIG.replace("root = \"viewer\"", "root = \"s3://bucket/viewer\"");
    std::fs::write(folder.path().join("edgemint.toml"), config).unwrap();
    let output = check(&folder, &[]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("bundle  s3://bucket/viewer/, not read here, at /"), "{text}");
}

#[test]
fn check_says_what_is_added_to_bundles_and_what_stays_on_disk() {
    let folder = site();
    let file = folder.path().join("edgemint.toml");
    let text = out(&check(&folder, &[]));
    assert!(text.contains("\n    shim    first in every page and script\n"), "{text}");
    let csp = "\n    csp     scripts of this site; in frames of this site\n";
    assert!(text.contains(csp) && !text.contains("    opens"), "{text}");

    std::fs::write(folder.path().join("viewer/model.bin"), vec![0; 20 << 10]).unwrap();
    let viewer = "root = \"viewer\"\nshim = \"off\"\nscript_src = [\"https://cdn.example.org\"]\n\
                  frame_ancestors = [\"https://portal.example.org\"]";
    let rule = "resources = [\"https://data.example.org/lab-a/*\"]";
    let dataset = "title = \"Em\"\nsource = \"zarr3://https://data.example.org/lab-a/em\"";
    let config =
        CONFIG.replace("root = \"viewer\"", viewer).replace(rule, &format!("{rule}\n{dataset}"));
    std::fs::write(&file, format!("{config}\n[limits]\nstream_bytes = 1000\n")).unwrap();
    let text = out(&check(&folder, &[]));
    for line in [
        "bundle  2 files, 0 KB in memory and 20 KB left on disk, at /",
        "shim    off: nothing renews cookies in a page that is open",
        "csp     scripts of this site, https://cdn.example.org; in frames of this site, \
         https://portal.example.org",
        "opens   datasets of /session at https://viewer.example.org/",
    ] {
        assert!(text.contains(&format!("\n    {line}")), "{line} in {text}");
    }
    std::fs::write(&file, CONFIG.replace("root = \"viewer\"", "root = \"viewer\"\ncsp = false"))
        .unwrap();
    let text = out(&check(&folder, &[]));
    assert!(text.contains("\n    csp     off: pages run every script"), "{text}");

    let bare = dataset.replace("/lab-a/em", "/lab-a");
    std::fs::write(&file, CONFIG.replace(rule, &format!("{rule}\n{bare}"))).unwrap();
    let refused = check(&folder, &[]);
    let hint = "is under none of the rule's resources; write https://data.example.org/lab-a/";
    let said = out(&refused) + &err(&refused);
    assert!(!refused.status.success() && said.contains(hint), "{said}");
}

#[test]
fn serve_refuses_to_start_on_a_wrong_configuration() {
    let folder = site();
    let file = folder.path().join("edgemint.toml");
    std::fs::write(&file, CONFIG.replace("signer = ", "singer = ")).unwrap();
    let gone = edgemint(&["serve", "--config", "/nonexistent.toml"]);
    assert_eq!(
        (code(&gone), err(&gone).as_str()),
        (2, "edgemint: cannot read /nonexistent.toml: No such file or directory (os error 2)\n")
    );
    let output = edgemint(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("edgemint.toml:6: unknown field `singer`"), "{}", err(&output));
}

const README: &str = include_str!("../../README.md");

/// An excerpt, in which `…` stands for any lines, shows what was printed. Blank lines do not count.
fn assert_shows(excerpt: &str, printed: &str) {
    let mut rest = printed.lines().filter(|line| !line.is_empty());
    let mut left_out = false;
    for line in excerpt.lines() {
        if line.trim() == "…" {
            left_out = true;
            continue;
        }
        let found = if left_out { rest.find(|other| *other == line) } else { rest.next() };
        assert_eq!(found, Some(line), "the excerpt is not of:\n{printed}");
        left_out = false;
    }
    assert!(left_out || rest.next().is_none(), "the excerpt ends before:\n{printed}");
}

#[test]
fn the_demo_walks_its_own_loop() {
    let output = edgemint(&["demo", "--check"]);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
    let text = out(&output);
    assert!(text.ends_with("34 steps, 0 failed\n"), "{text}");
    let (_, excerpt) = README.split_once("$ edgemint demo --check\n").unwrap();
    assert_shows(excerpt.split_once("```").unwrap().0, &text);
    let one_host = edgemint(&["demo", "--check", "--one-host", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out(&one_host)).unwrap();
    assert_eq!(json["ok"], true, "{json}");
    assert_eq!(json["steps"].as_array().unwrap().len(), 35);
}
