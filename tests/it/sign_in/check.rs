//! `edgemint check` of our own sign-in: what it shows, what it finds wrong, and what it notes.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::world::KEY_ONE;
use crate::support::rsa_pem;

/// A folder with a ring and a configuration: the providers, `[identity.login]`, and a rule's `allow`.
fn site(providers: &str, login: &str, allow: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    edgemint::keystore::Folder::new(folder.path().join("keys"))
        .import(&"K2TESTKEY".parse().unwrap(), &rsa_pem(), edgemint::clock::EpochSeconds(1))
        .unwrap();
    let text = format!(
        r#"public_url = "https://viewer.example.org"
{providers}
[identity.login]
{login}
[[distribution]]
host = "data.example.org"
[[rule]]
name = "lab-a"
allow = {allow}
resources = ["https://data.example.org/lab-a/*"]
[keys]
source = "dir:keys"
"#
    );
    std::fs::write(folder.path().join("edgemint.toml"), text).unwrap();
    folder
}

fn provider(name: &str, more: &str) -> String {
    format!(
        "[[identity.provider]]\nname = \"{name}\"\nissuer = \"https://login.example.org\"\n\
         client = \"viewer\"\n{more}\n"
    )
}

fn check(folder: &TempDir, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgemint"));
    command.args(["check", "--config"]).arg(folder.path().join("edgemint.toml")).args(more);
    String::from_utf8(command.env_clear().output().unwrap().stdout).unwrap()
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn in_files() -> TempDir {
    let lab = provider("lab", "client_secret_file = \"secret\"\ngroups = { claim = \"groups\" }");
    site(&lab, "cookie_keys_file = \"cookie-keys\"", "{ groups = [\"a\"] }")
}

#[test]
fn absent_and_empty_secrets_are_all_named_with_place_key_and_what_to_do() {
    let folder = in_files();
    for state in ["is not there", "is empty"] {
        let text = check(&folder, &[]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        for (line, begin, then) in [
            (lines[0], ":6: identity.provider[0].client_secret_file: ", "umask 077"),
            (lines[1], ":10: identity.login.cookie_keys_file: ", "edgemint keys cookie --out /"),
        ] {
            assert!(line.contains(begin) && line.contains(state) && line.contains(then), "{line}");
        }
        assert!(!text.contains("private half"), "{text}");
        let json: Value = serde_json::from_str(&check(&folder, &["--json"])).unwrap();
        assert_eq!(
            (json["ok"].as_bool(), json["problems"][1]["key"].as_str()),
            (Some(false), Some("identity.login.cookie_keys_file"))
        );
        let place = json["problems"][1]["place"].as_str().unwrap();
        assert!(place.ends_with("edgemint.toml:10"), "{place}");
        // And then there are files without anything in them.
        write(&folder, "secret", "\n");
        write(&folder, "cookie-keys", "");
    }
    write(&folder, "secret", "hunter2");
    write(&folder, "cookie-keys", "nonsense");
    let text = check(&folder, &[]);
    assert!(text.contains(":10: identity.login.cookie_keys_file: /"), "{text}");
    assert!(text.contains("32 random bytes") && !text.contains("nonsense"), "{text}");
    std::fs::remove_dir_all(folder.path().join("keys")).unwrap();
    let text = check(&folder, &[]);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains(":18: keys.source: "), "{text}");
}

#[test]
fn an_absent_folder_of_secrets_is_named_with_place_key_and_what_to_do() {
    let lab = provider("lab", "client_secret_file = \"secrets/lab\"");
    let folder = site(&lab, "cookie_keys_file = \"secrets/cookie\"", "{ everyone = true }");
    let secrets = folder.path().join("secrets").display().to_string();
    let text = check(&folder, &[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, begin, file) in [
        (lines[0], ":6: identity.provider[0].client_secret_file: ", "lab"),
        (lines[1], ":9: identity.login.cookie_keys_file: ", "cookie"),
    ] {
        let expected =
            format!("{begin}there is no folder {secrets}, where {secrets}/{file} is to be");
        assert!(line.contains(&expected), "{line}");
        assert!(line.ends_with(&format!("mkdir -p -m 700 '{secrets}'")), "{line}");
    }
}

#[test]
fn providers_and_sessions_are_described() {
    let folder = in_files();
    write(&folder, "secret", "hunter2");
    write(&folder, "cookie-keys", KEY_ONE);
    let text = check(&folder, &[]);
    let at = |name: &str| folder.path().join(name).display().to_string();
    for expected in [
        format!(
            "    front   our own sign-in at lab, https://login.example.org, as viewer, secret: {}\n",
            at("secret")
        ),
        format!(
            "    session 12 h, asked about again every 15 min; cookie keys: {}\n",
            at("cookie-keys")
        ),
    ] {
        assert!(text.contains(&expected), "{expected} in {text}");
    }
    assert!(!text.contains("hunter2") && !text.contains(KEY_ONE), "{text}");
    let notes = text.lines().filter(|line| line.starts_with("    note "));
    assert_eq!(notes.count(), 1, "about the bucket: {text}");
}

#[test]
fn likely_mistakes_are_noted() {
    let keys = format!("cookie_keys = [\"{KEY_ONE}\"]");
    let groups = "{ groups = [\"a\"] }";
    let two = provider("one", "") + &provider("two", "");
    for (providers, login, allow, expected) in [
        (provider("lab", ""), "", groups, "let nobody in: lab-a"),
        (
            provider("lab", "groups = { from = \"userinfo\" }"),
            "",
            "{ everyone = true }",
            "lab: groups.from = \"userinfo\" without groups.claim",
        ),
        (
            provider("lab", ""),
            "\nlifetime = \"1h\"\nrecheck = \"2h\"",
            "{ everyone = true }",
            "identity.login.recheck (2 h) is not shorter than identity.login.lifetime (1 h)",
        ),
        (two.clone(), "", "{ everyone = true }", "one and two have the same issuer and client"),
    ] {
        let folder = site(&providers, &format!("{keys}{login}"), allow);
        let text = check(&folder, &[]);
        assert!(text.starts_with("ok ") && text.contains(expected), "{expected} in {text}");
        let json: Value = serde_json::from_str(&check(&folder, &["--json"])).unwrap();
        let notes: Vec<&str> =
            json["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(notes.iter().filter(|note| note.contains(expected)).count(), 1, "{notes:?}");
        assert_eq!(notes.len(), 2, "that, and one about the bucket: {notes:?}");
    }
    let apart = provider("one", "") + &provider("two", "parameters = [\"idp=two\"]");
    let text = check(&site(&apart, &keys, "{ everyone = true }"), &[]);
    assert!(text.starts_with("ok ") && !text.contains("same issuer"), "{text}");
}

#[test]
fn a_provider_without_a_name_to_choose_is_refused() {
    let keys = format!("cookie_keys = [\"{KEY_ONE}\"]");
    for title in ["", "  "] {
        let lab = provider("lab", &format!("title = \"{title}\""));
        let text = check(&site(&lab, &keys, "{ everyone = true }"), &[]);
        assert!(text.contains("edgemint.toml:6: identity.provider[0].title: empty"), "{text}");
    }
}
