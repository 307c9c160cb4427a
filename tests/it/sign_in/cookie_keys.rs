//! `edgemint keys cookie`: keys that seal sessions are made, and rotated beneath open ones.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use axum::http::StatusCode;
use edgemint::server::AppState;
use tempfile::TempDir;

use super::world::World;

/// A folder with a file of keys.
struct Keys {
    folder: TempDir,
}

impl Keys {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("cookie-keys")
    }

    fn run(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgemint"));
        command.args(["keys", "cookie", "--out"]).arg(self.file()).args(more);
        command.env_clear().output().unwrap()
    }

    /// Runs the command, and returns what it says.
    fn change(&self, more: &[&str]) -> String {
        let output = self.run(more);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert_eq!(output.stdout, b"", "a key that is stored is not shown");
        assert!(self.lines().iter().all(|key| !said.contains(key)), "{said}");
        said
    }

    fn refused(&self, more: &[&str]) -> String {
        let output = self.run(more);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.file()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_cookie_key_is_made_put_first_and_followed_by_the_former_one() {
    let keys = Keys::new();
    let said = keys.change(&[]);
    assert!(said.contains(" seals") && !said.contains("dropped"), "{said}");
    let first = keys.lines();
    assert_eq!((first.len(), first[0].len()), (1, 43));
    let said = keys.change(&[]);
    assert!(said.contains("its sessions stay open") && said.contains("--second"), "{said}");
    assert!(!said.contains("dropped"), "{said}");
    let second = keys.lines();
    assert_eq!((second.len(), &second[1]), (2, &first[0]));
    let said = keys.change(&[]);
    assert!(said.contains(" is dropped") && said.contains("identity.login.lifetime"), "{said}");
    assert!(!said.contains(&first[0]), "{said}");
    let third = keys.lines();
    assert_eq!((third.len(), &third[1]), (2, &second[0]), "two are enough");
    let mode = keys.file().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_no_list_of_keys_is_left_as_it_was_and_an_empty_file_is_filled() {
    let keys = Keys::new();
    write_private(&keys.file(), "no key");
    assert!(keys.refused(&[]).contains("32 random bytes"));
    assert_eq!(std::fs::read_to_string(keys.file()).unwrap(), "no key", "it is left as it was");
    for text in ["", "\n", "# nothing yet\n"] {
        write_private(&keys.file(), text);
        assert!(keys.refused(&["--second"]).contains("holds no key yet"));
        keys.change(&[]);
        assert_eq!(keys.lines().len(), 1);
    }
    let program = env!("CARGO_BIN_EXE_edgemint");
    let shown = Command::new(program).args(["keys", "cookie"]).output().unwrap();
    assert_eq!(String::from_utf8(shown.stdout).unwrap().trim_end().len(), 43);
}

#[test]
fn steps_of_several_instances_say_what_comes_before_and_after() {
    let keys = Keys::new();
    for step in ["--second", "--swap"] {
        let refused = keys.refused(&[step]);
        assert!(refused.contains("make the first: edgemint keys cookie --out"), "{refused}");
        assert!(!keys.file().exists());
    }
    keys.change(&[]);
    let first = keys.lines();
    let early = keys.refused(&["--swap"]);
    assert!(early.contains("no second key") && early.contains("--second"), "{early}");
    assert_eq!(keys.lines(), first);
    let said = keys.change(&["--second"]);
    assert!(said.contains("--swap") && !said.contains("dropped"), "{said}");
    let second = keys.lines();
    assert_eq!((second.len(), &second[0]), (2, &first[0]));
    keys.change(&["--swap"]);
    assert_eq!(keys.lines(), [second[1].clone(), second[0].clone()]);
    let said = keys.change(&["--second"]);
    assert!(said.contains(" is dropped"), "{said}");
    let third = keys.lines();
    assert_eq!(third[0], second[1]);
    assert!(!second.contains(&third[1]));
    keys.refused(&["--second", "--swap"]);
    let program = env!("CARGO_BIN_EXE_edgemint");
    let alone = Command::new(program).args(["keys", "cookie", "--swap"]).output().unwrap();
    assert_eq!(alone.status.code(), Some(2), "it is a file that is changed");
}

/// Two instances, each with a copy of one file.
struct Instances<'a> {
    world: &'a World,
    copies: [TempDir; 2],
}

impl Instances<'_> {
    /// Copies the file to one of them, which reloads.
    fn hand_over(&self, keys: &Keys, at: usize) -> AppState {
        let copy = self.copies[at].path().join("cookie-keys");
        std::fs::copy(keys.file(), &copy).unwrap();
        self.world.replica(&format!("cookie_keys_file = {:?}", copy.to_str().unwrap()))
    }
}

#[tokio::test]
async fn keys_rotate_on_two_instances_and_nobody_is_signed_out() {
    let (world, keys) = (World::new(), Keys::new());
    keys.change(&[]);
    let copies = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let instances = Instances { world: &world, copies };
    let mut states = [instances.hand_over(&keys, 0), instances.hand_over(&keys, 1)];
    // Who signed in before, at each of them.
    let mut browsers = Vec::new();
    for state in &states {
        let mut browser = world.browser();
        browser.state = state.clone();
        browser.sign_in("ada").await;
        browsers.push(browser);
    }
    for step in ["--second", "--swap"] {
        keys.change(&[step]);
        for at in [0, 1] {
            states[at] = instances.hand_over(&keys, at);
            // One has the new file and one not yet, or both; somebody signs in just now.
            let mut newcomer = world.browser();
            newcomer.state = states[at].clone();
            newcomer.sign_in("ada").await;
            browsers.push(newcomer);
            for browser in &mut browsers {
                for state in [&states[1], &states[0]] {
                    browser.state = state.clone();
                    let answer = browser.renew().await;
                    assert_eq!(answer.status, StatusCode::OK, "{step} {at}: {}", answer.text());
                }
            }
        }
    }
    assert_eq!(browsers.len(), 6);
}

fn write_private(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}
