//! The corpus of the fuzz targets, replayed: every file keeps its target's properties.
//!
//! A file called `good-…` must be accepted and one called `bad-…` refused, so that a target which
//! accepts nothing, or everything, is noticed. Others are what fuzzing found worth keeping.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use crate::fuzz_targets::{TARGETS, Target};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What is wrong with a target's verdict about a file.
fn complaint(name: &str, verdict: &std::thread::Result<bool>) -> Option<&'static str> {
    match verdict {
        Err(_) => Some("breaks a property; its message is above"),
        Ok(false) if name.starts_with("good-") => Some("is refused"),
        Ok(true) if name.starts_with("bad-") => Some("is accepted"),
        Ok(_) => None,
    }
}

fn replay(target: &str, run: Target) {
    let folder = fuzz().join("corpus").join(target);
    let mut complaints = Vec::new();
    let names = names(&folder);
    for name in &names {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let verdict = catch_unwind(|| run(&bytes));
        complaints.extend(complaint(name, &verdict).map(|what| format!("{target}/{name} {what}")));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    for kind in ["good-", "bad-"] {
        assert!(names.iter().any(|name| name.starts_with(kind)), "{target} has no {kind} file");
    }
}

fn target(name: &str) -> Target {
    TARGETS.into_iter().find(|(known, _)| *known == name).unwrap().1
}

macro_rules! replayed {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name), target(stringify!($name)));
        })*

        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

replayed! {
    accept_encoding
    access_token
    alb_token
    configuration
    cookie_header
    file_request
    handoff_token
    ledger
    login_cookie
    policy
    resource
    return_to
    signed_token
    x_forwarded_for
}

#[test]
fn every_target_is_fuzzed_and_replayed() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("corpus")), targets);
    let programs = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), programs);
    assert!(REPLAYED.iter().copied().eq(targets.iter().map(String::as_str)));
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
