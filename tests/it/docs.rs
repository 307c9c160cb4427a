//! The documents say what the program does.

use std::collections::BTreeSet;
use std::path::Path;

use edgemint::config::{Config, Environment, parse, raw};
use serde_json::Value;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let parts = text.split(opening.as_str()).skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

fn checked(text: &str) -> Config {
    parse(Path::new("edgemint.toml"), text, &Environment::default())
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The keys of a value, in the spelling of the reference: `rule.allow.groups`.
fn keys(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                keys(value, &at, found);
            }
        }
        Value::Array(elements) if elements.iter().any(Value::is_object) => {
            for element in elements {
                keys(element, at, found);
            }
        }
        _ => {
            found.insert(at.to_owned());
        }
    }
}

/// Keys without a value, in the first element of every list.
fn nulls(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(at.to_owned()),
        Value::Object(fields) => {
            for (name, value) in fields {
                nulls(value, &format!("{at}.{name}"), found);
            }
        }
        Value::Array(elements) => {
            for element in elements.iter().take(1) {
                nulls(element, at, found);
            }
        }
        _ => {}
    }
}

/// Keys in whose place the example of everything has another one: both would be an error.
const INSTEAD: [&str; 5] = [
    "identity.provider.client_secret",
    "identity.login.cookie_keys",
    "handoff.keys",
    "distribution.handoff",
    "distribution.trusted_hops",
];

/// Rows of the reference: key and default.
fn rows(text: &str) -> Vec<(String, String)> {
    let cells = |line: &str| -> Option<(String, String)> {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let key = cells.next()?.trim().trim_matches('`').to_owned();
        let default = cells.next()?.trim().trim_matches('`').to_owned();
        Some((key, default))
    };
    let reference = text.split("## Everything at once").next().unwrap_or_default();
    reference.lines().filter_map(cells).collect()
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let text = document("docs/CONFIGURATION.md");
    let everything = blocks(&text, "toml").pop().unwrap();
    checked(&everything);
    let raw: raw::Config = toml::from_str(&everything).unwrap();
    let value = serde_json::to_value(&raw).unwrap();
    let mut known = BTreeSet::new();
    keys(&value, "", &mut known);
    known.extend(INSTEAD.map(str::to_owned));
    let documented: BTreeSet<String> = rows(&text).into_iter().map(|(key, _)| key).collect();
    assert_eq!(documented, known);
    let mut unset = Vec::new();
    nulls(&value, "", &mut unset);
    let instead = |key: &String| INSTEAD.iter().any(|other| key.trim_start_matches('.') == *other);
    unset.retain(|key| !instead(key));
    assert!(unset.is_empty(), "the example of everything lacks {unset:?}");
}

#[test]
fn the_reference_gives_the_real_defaults() {
    let limits = checked(crate::support::CONFIG).limits;
    let seconds = |duration: std::time::Duration| format!("{}s", duration.as_secs());
    let real = [
        ("limits.connections", limits.connections.to_string()),
        ("limits.requests", limits.requests.to_string()),
        ("limits.header_bytes", limits.header_bytes.to_string()),
        ("limits.body_bytes", limits.body_bytes.to_string()),
        ("limits.header_timeout", seconds(limits.header_timeout)),
        ("limits.body_timeout", seconds(limits.body_timeout)),
        ("limits.request_timeout", seconds(limits.request_timeout)),
        ("limits.idle_timeout", seconds(limits.idle_timeout)),
        ("limits.shutdown_delay", seconds(limits.shutdown_delay)),
        ("limits.drain_timeout", seconds(limits.drain_timeout)),
        ("limits.signing_threads", "one per core".to_owned()),
        ("limits.signing_queue", limits.signing_queue.to_string()),
        ("limits.sets_per_answer", limits.sets_per_answer.to_string()),
        ("limits.key_fetches_per_minute", limits.key_fetches_per_minute.to_string()),
        ("limits.asks_per_minute_per_subject", limits.asks_per_minute_per_subject.to_string()),
        ("limits.asks_per_minute_per_address", limits.asks_per_minute_per_address.to_string()),
        ("limits.bundle_bytes", limits.bundle_bytes.to_string()),
        ("limits.bundle_files", limits.bundle_files.to_string()),
        ("limits.stream_bytes", limits.stream_bytes.to_string()),
        ("listen", checked(crate::support::CONFIG).site.listen.to_string()),
        ("trusted_hops", checked(crate::support::CONFIG).site.trusted_hops.to_string()),
    ];
    let rows = rows(&document("docs/CONFIGURATION.md"));
    for (key, default) in real {
        let row = rows.iter().find(|(name, _)| name == key);
        assert_eq!(row.map(|(_, text)| text.as_str()), Some(default.as_str()), "{key}");
    }
    let limits_rows = rows.iter().filter(|(key, _)| key.starts_with("limits.")).count();
    assert_eq!(limits_rows, 19, "a limit is missing from this test");
}

#[test]
fn every_configuration_in_the_documents_is_right() {
    let mut count = 0;
    checked(&document("deploy/systemd/edgemint.toml"));
    for name in ["README.md", "docs/CONFIGURATION.md", "docs/ARCHITECTURE.md", "docs/TOPOLOGIES.md"]
    {
        for block in blocks(&document(name), "toml") {
            checked(&block);
            count += 1;
        }
    }
    assert!(count >= 2, "the README shows a configuration too");
}

#[test]
fn the_steps_from_the_cron_job_show_what_is_there() {
    let text = document("docs/FROM-CRON.md");
    let [first, rule] = &blocks(&text, "toml")[..] else { panic!("two configurations: {text}") };
    checked(first);
    let (head, rest) = first.split_once("[[rule]]").unwrap();
    let (_, tail) = rest.split_once("[keys]").unwrap();
    checked(&format!("{head}{rule}\n[keys]{tail}"));

    let shipped = document("deploy/nginx/pages.conf");
    for block in blocks(&text, "nginx") {
        let location = block.lines().next().unwrap();
        assert!(shipped.lines().any(|line| line == location), "no {location}");
    }
}

/// The configuration of before gives its cookie to whoever reaches nginx, and the load balancer's rule
/// lets everybody reach it.
#[test]
fn on_the_way_from_the_cron_job_nginx_is_replaced_before_the_load_balancer_lets_anybody_in() {
    let text = document("docs/FROM-CRON.md");
    let at = |part: &str| {
        assert_eq!(text.matches(part).count(), 1, "{part}");
        text.find(part).unwrap()
    };
    let places = [
        "The ways back are taken in reverse order",
        "\n## 3. nginx\n",
        "health check: path `/readyz`",
        "# cp deploy/nginx/pages.conf /etc/nginx/sites-available/viewer\n",
        "# rm /etc/nginx/sites-enabled/neuroglancer\n",
        "\n## 4. The load balancer\n",
        "| `/session`, `/session/*` | **allow** |",
        "\n## 5. The end of the shared cookie\n",
    ]
    .map(at);
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn the_runbook_of_keys_quotes_warnings_and_settings_that_there_are() {
    let text = document("docs/ROTATION.md");
    let [rotation] = &blocks(&text, "toml")[..] else { panic!("one configuration: {text}") };
    checked(&format!("{}{rotation}", crate::support::CONFIG));

    let (_, table) = text.split_once("## What `keys list` warns of").unwrap();
    let quoted = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let source = document("src/rotation/overview.rs");
    let mut count = 0;
    for warning in quoted {
        count += 1;
        let fixed = ["FINGERPRINT", "STATE", "ID", "…"];
        let words = fixed.iter().fold(warning.to_owned(), |text, name| text.replace(name, "\n"));
        let absent = words.lines().find(|words| !source.contains(*words));
        assert_eq!(absent, None, "{warning}");
    }
    assert_eq!(count, 16, "a warning is missing from this test");
}

/// Every document.
const DOCUMENTS: [&str; 19] = [
    "CHANGELOG.md",
    "README.md",
    "deploy/apache/README.md",
    "deploy/eventbridge/README.md",
    "deploy/iam/README.md",
    "deploy/nginx/README.md",
    "deploy/systemd/README.md",
    "docs/ARCHITECTURE.md",
    "docs/CONFIGURATION.md",
    "docs/FROM-CRON.md",
    "docs/ROTATION.md",
    "docs/THREATS.md",
    "docs/TOPOLOGIES.md",
    "docs/VIEWERS.md",
    "docs/benchmarks.md",
    "fuzz/README.md",
    "keys-example/README.md",
    "src/bundle/shim/README.md",
    "tests/tools/README.md",
];

#[test]
fn no_document_is_left_out_of_these_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["deploy", "docs", "keys-example", "src"] {
        files_below(&root.join(folder), &mut files);
    }
    let entries = std::fs::read_dir(root).unwrap();
    files.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    files.extend(["fuzz/README.md", "tests/tools/README.md"].map(|name| root.join(name)));
    let mut found: Vec<&str> =
        files.iter().filter_map(|file| file.strip_prefix(root).unwrap().to_str()).collect();
    found.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"));
    found.sort_unstable();
    assert_eq!(found, DOCUMENTS);
}

/// Where links into a document may lead: its headings, as GitHub spells them.
fn anchors(text: &str) -> BTreeSet<String> {
    // What stands between fences is no heading.
    let outside = text.split("```").step_by(2).flat_map(str::lines);
    let headings = outside.filter_map(|line| {
        line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
    });
    let spelled = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(spelled).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut count = 0;
    for name in DOCUMENTS {
        let text = document(name);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let folder = file.parent().unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            count += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let there = if path.is_empty() { file.clone() } else { folder.join(path) };
            assert!(there.exists(), "{name} links to {target}");
            if !anchor.is_empty() {
                let found = anchors(&std::fs::read_to_string(&there).unwrap());
                assert!(found.contains(anchor), "{name} links to {target}: {found:?}");
            }
        }
    }
    assert!(count > 50, "only {count} links were found");
}

/// Where a test may stand that a document calls `module::test`: an integration test, or a unit test.
fn files_of_tests(module: &str) -> [String; 5] {
    let path = module.replace("::", "/");
    [
        format!("tests/it/{path}.rs"),
        format!("src/{path}.rs"),
        format!("src/{path}/mod.rs"),
        format!("src/{path}/tests.rs"),
        format!("src/{path}/tests/mod.rs"),
    ]
}

#[test]
fn every_test_that_the_threats_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = document("docs/THREATS.md");
    let quoted = text.split('`').skip(1).step_by(2);
    let named: BTreeSet<(&str, &str)> = quoted.filter_map(|name| name.rsplit_once("::")).collect();
    let mut absent = Vec::new();
    for (module, test) in &named {
        let declared = format!("fn {test}(");
        let is_test = |code: String| {
            let before = code.split(&declared).next().filter(|before| before.len() < code.len());
            let marks: Vec<&str> = before.unwrap_or_default().lines().rev().take(4).collect();
            marks.iter().any(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
        };
        let found = files_of_tests(module)
            .iter()
            .any(|file| std::fs::read_to_string(root.join(file)).is_ok_and(is_test));
        if !found {
            absent.push(format!("{module}::{test}"));
        }
    }
    // The head of the document shows the form itself.
    assert_eq!(absent, ["file::test"]);
    assert!(named.len() > 30, "only {} tests are named", named.len());
}

/// The files below a folder.
fn files_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files_below(&entry, found) } else { found.push(entry) }
    }
}

#[test]
fn every_attack_has_its_number_in_the_threats_and_every_case_its_row() {
    let text = document("docs/THREATS.md");
    let rows: Vec<(usize, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter_map(|(number, row)| Some((number.parse().ok()?, row)))
        .collect();
    assert!(rows.iter().map(|(number, _)| *number).eq(1..=66));
    let mut files = Vec::new();
    files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/attacks"), &mut files);
    let mut cases = BTreeSet::new();
    for code in files.iter().map(|file| std::fs::read_to_string(file).unwrap()) {
        for name in code.split("fn case_").skip(1).filter_map(|rest| rest.split('(').next()) {
            let number: usize = name[..2].parse().unwrap();
            let (_, row) = rows[number - 1];
            assert!(row.contains(&format!("::case_{name}`")), "row {number} lacks case_{name}");
            cases.insert(number);
        }
    }
    assert!(cases.into_iter().eq(1..=66));
}
