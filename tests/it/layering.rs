//! Dependencies point downward only, and the core stays pure.
//!
//! The compiler proves the largest part (`cargo check --lib --no-default-features` builds the core
//! with none of the service's crates); these tests read the sources for the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What each module may name. Within the core the order is that of `lib.rs`.
const MAY_USE: [(&str, &[&str]); 20] = [
    ("clock", &[]),
    ("json", &[]),
    ("secret", &[]),
    ("policy", &["clock", "json"]),
    ("identity", &["clock", "json"]),
    ("access", &["clock", "policy", "identity"]),
    ("signing", &["clock", "policy", "access"]),
    ("cookies", &["clock", "secret", "policy", "identity", "access", "signing"]),
    ("config", &["clock", "secret", "policy", "identity", "access", "signing", "cookies"]),
    ("aws", &[]),
    ("bundle", &["clock", "config", "aws"]),
    ("keystore", &["clock", "json", "secret", "signing", "config", "aws"]),
    ("authn", &["clock", "secret", "policy", "identity", "cookies", "config"]),
    ("telemetry", &[]),
    (
        "issuer",
        &["clock", "policy", "identity", "access", "signing", "cookies", "config", "telemetry"],
    ),
    (
        "rotation",
        &[
            "clock", "json", "policy", "access", "signing", "cookies", "config", "keystore",
            "issuer",
        ],
    ),
    (
        "server",
        &[
            "clock",
            "secret",
            "policy",
            "identity",
            "access",
            "signing",
            "cookies",
            "config",
            "aws",
            "bundle",
            "keystore",
            "authn",
            "telemetry",
            "issuer",
        ],
    ),
    ("demo", &["clock", "policy", "identity", "access", "signing", "cookies"]),
    (
        "cli",
        &[
            "clock",
            "secret",
            "policy",
            "identity",
            "access",
            "signing",
            "cookies",
            "config",
            "bundle",
            "keystore",
            "authn",
            "telemetry",
            "issuer",
            "rotation",
            "server",
            "demo",
        ],
    ),
    ("main", &["cli"]),
];

const CORE: [&str; 8] =
    ["clock", "json", "secret", "policy", "identity", "access", "signing", "cookies"];

struct Source {
    /// The module under `src/` that the file belongs to.
    module: String,
    path: PathBuf,
    /// The code without comments and without unit tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs") && !path.ends_with("testing.rs"))
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap();
            let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            Source { module, path: relative.to_owned(), code: strip(&text) }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Drops comments, test modules in files of their own, and everything from inline tests on: those
/// close a file.
fn strip(text: &str) -> String {
    let mut code = String::new();
    for (at, part) in text.split("#[cfg(test)]\n").enumerate() {
        let part = match (at, part.split_once('\n')) {
            (0, _) => part,
            (_, Some((declaration, rest))) if declaration.ends_with(';') => rest,
            _ => break,
        };
        code.push_str(part);
    }
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn stripping_keeps_the_code_behind_a_test_module_of_its_own_file() {
    let text =
        "use a;\n#[cfg(test)]\nmod testing;\nuse b;\n// c\n#[cfg(test)]\nmod tests {\nd\n}\n";
    assert_eq!(strip(text), "use a;\nuse b;");
}

/// The modules that code names by `crate::x` or `crate::{x, y}`; `edgemint::x` in the program.
fn named_modules(source: &Source) -> Vec<String> {
    let code = &source.code;
    let start = if source.module == "main" { "edgemint::" } else { "crate::" };
    let mut named = Vec::new();
    for (at, _) in code.match_indices(start) {
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                named.extend(list.split(',').map(|item| first_word(item.trim())));
            }
            None => named.push(first_word(rest)),
        }
    }
    named
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// Fails with every place at once where `code` holds one of `words`.
fn forbid(words: &[&str], applies: impl Fn(&Source) -> bool, reason: &str) {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| applies(source)) {
        for word in words.iter().filter(|word| source.code.contains(**word)) {
            found.push(format!("{}: {word}", source.path.display()));
        }
    }
    assert!(found.is_empty(), "{reason}:\n{}", found.join("\n"));
}

#[test]
fn every_module_names_only_what_lies_below_it() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module != "lib") {
        let Some(below) = allowed.get(source.module.as_str()) else {
            panic!("{} is not in the table of layers", source.module);
        };
        for named in named_modules(source) {
            let known = allowed.contains_key(named.as_str());
            if known && named != source.module && !below.contains(&named.as_str()) {
                wrong.push(format!("{} names {named}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_does_nothing_but_compute() {
    let words = [
        "async ",
        ".await",
        "std::fs",
        "std::env",
        "std::net::Tcp",
        "std::net::Udp",
        "std::thread",
        "tokio",
        "axum",
        "hyper",
        "reqwest",
        "tracing",
        "println!",
        "eprintln!",
        "std::process",
    ];
    let in_core = |source: &Source| CORE.contains(&source.module.as_str());
    forbid(&words, in_core, "the core is pure");
}

#[test]
fn only_the_clock_reads_the_clock() {
    let words = ["SystemTime::now", "OffsetDateTime::now", "UtcDateTime::now"];
    forbid(&words, |source| source.module != "clock", "time is an argument");
}

#[test]
fn only_the_configuration_reads_the_environment() {
    let words = ["env::var", "env::vars", "listenfd"];
    forbid(&words, |source| source.module != "config", "the environment is configuration");
}

#[test]
fn only_the_command_line_prints() {
    let words = ["println!", "eprintln!", "print!(", "io::stdout", "io::stderr", "dbg!"];
    forbid(&words, |source| source.module != "cli", "printing is for cli/");
    let elsewhere = |source: &Source| source.module == "cli" && !source.path.ends_with("output.rs");
    forbid(
        &["println!", "print!(", "io::stdout()", "io::stderr()"],
        elsewhere,
        "cli/output.rs prints",
    );
}

#[test]
fn errors_are_typed_below_the_command_line() {
    forbid(&["anyhow"], |source| source.module != "cli", "anyhow is for cli/");
}

#[test]
fn only_the_issuer_the_sign_command_and_the_probe_sign() {
    let signs = |source: &Source| {
        let path = source.path.to_str().unwrap();
        let named = path == "rotation/probe.rs" || path == "cli/sign.rs";
        !path.starts_with("signing/") && !path.starts_with("issuer/") && !named
    };
    forbid(&["signing::sign(", " sign(", "sign_bytes"], signs, "a signature needs a grant");
    let doors = |source: &Source| {
        let path = source.path.to_str().unwrap();
        path != "cli/sign.rs" && path != "access/grant.rs"
    };
    forbid(&["by_operator"], doors, "the operator's door is the sign command's");
    let doors = |source: &Source| {
        let path = source.path.to_str().unwrap();
        path != "rotation/probe.rs" && path != "access/grant.rs"
    };
    forbid(&["Grant::probe"], doors, "the probe's door is the rotation's");
}

#[test]
fn cookie_attributes_are_written_in_one_place() {
    let words = ["SameSite", "HttpOnly", "Max-Age", "http_only(", "same_site("];
    // The load balancer's stand-in writes the load balancer's cookies, as AWS does.
    let elsewhere = |source: &Source| source.module != "cookies" && source.module != "demo";
    forbid(&words, elsewhere, "cookies/ writes the attributes");
}

#[test]
fn identity_headers_are_named_in_one_place() {
    let elsewhere = |source: &Source| source.module != "identity" && source.module != "demo";
    forbid(&["x-amzn-oidc"], elsewhere, "identity/headers.rs names them");
}

#[test]
fn entry_points_stay_short() {
    for (file, most) in [("src/main.rs", 40), ("src/lib.rs", 80)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let lines = std::fs::read_to_string(path).unwrap().lines().count();
        assert!(lines <= most, "{file} has {lines} lines, more than {most}");
    }
}
