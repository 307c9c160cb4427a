//! The shim's own tests, which are JavaScript like the shim, and its minified files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::node_script;

/// A fake waits for nothing, so a test that takes this many milliseconds waits for ever.
const LONGEST: &str = "--test-timeout=60000";

#[test]
fn the_shim_keeps_its_rules() {
    let tests = shim().join("tests");
    let mut files: Vec<PathBuf> =
        fs::read_dir(tests).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".test.js"));
    assert!(files.len() >= 5, "{files:?}");
    run(Command::new("node").args(["--test", LONGEST]).args(files));
}

#[test]
fn the_shim_keeps_its_rules_in_a_browser() {
    run(&mut node_script("shim_browser.mjs"));
}

#[test]
fn the_minified_files_are_those_of_the_sources() {
    let made = tempfile::tempdir().unwrap();
    // It finds the tools' esbuild by itself, and says so where that is missing.
    run(Command::new("node").arg(shim().join("build.mjs")).arg(made.path()));
    for name in ["shim.min.js", "worker.min.js", "service_worker.min.js"] {
        let committed = fs::read_to_string(shim().join(name)).unwrap();
        let same = fs::read_to_string(made.path().join(name)).unwrap() == committed;
        assert!(same, "{name} is not up to date: run `node src/bundle/shim/build.mjs`");
        assert_eq!(committed.matches("EDGEMINT_CONFIG").count(), 1, "{name}");
    }
}

fn shim() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bundle/shim")
}

fn run(command: &mut Command) {
    let done = command.output().unwrap_or_else(|error| panic!("node: {error}: run `make tools`"));
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
}
