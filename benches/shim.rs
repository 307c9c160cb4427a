//! What the shim costs a read: Chromium reads data of another host, in pages and workers with it and without.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::h2load::Protocol;
use crate::node;
use crate::report::Report;
use crate::samples::{ROUNDS, Samples};
use crate::site::{DATA, Site};
use crate::web::{Kind, Web};

const READS: usize = 1000;

/// As many as Neuroglancer has under way.
const AT_ONCE: usize = 32;

/// Bytes of one chunk: a small one, so that the read costs little beside the shim.
const CHUNK: usize = 4096;

pub(crate) const SECONDS: u64 = 6 + (ROUNDS as u64 + 1) * 8;

const PAGE: &str = "<!doctype html><title>Reads</title><script src=\"read.js\"></script><script src=\"page.js\"></script>";

/// In page and worker alike: `credentials` is what a viewer would have to say without the shim.
const READ: &str = r#"
globalThis.read = async (url, reads, atOnce) => {
  let left = reads;
  const lane = async () => {
    while (left-- > 0) {
      const answer = await fetch(url, { cache: "no-store", credentials: "include" });
      if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
      await answer.arrayBuffer();
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: atOnce }, lane));
  return ((performance.now() - begin) * 1000) / reads;
};
"#;

const PAGE_SCRIPT: &str = r#"
const worker = new Worker("worker.js");
globalThis.reads = {
  page: read,
  worker: (...what) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.took ? resolve(data.took) : reject(new Error(data.failed)));
      worker.postMessage(what);
    }),
};
"#;

const WORKER: &str = r#"
importScripts("read.js");
onmessage = ({ data }) => read(...data).then((took) => postMessage({ took }), ({ message }) => postMessage({ failed: message }));
"#;

pub(crate) fn run(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    report.progress("shim: reading with it and without it, in turns");
    let viewer = folder(
        site,
        "reads",
        &[("index.html", PAGE), ("read.js", READ), ("page.js", PAGE_SCRIPT), ("worker.js", WORKER)],
    )?;
    let data = folder(site, "data", &[("index.html", "")])?;
    fs::create_dir(data.join("lab-a"))?;
    fs::write(data.join("lab-a/chunk"), [7; CHUNK])?;
    let with = Web::start(Kind::Edgemint { shim: true }, site, &viewer)?;
    let without = Web::start(Kind::Edgemint { shim: false }, site, &viewer)?;
    let person = site.tokens.first().context("nobody")?;
    let headers =
        [("x-amzn-oidc-data", &*person.claims), ("x-amzn-oidc-accesstoken", &*person.access)];
    let (front, ports) = Web::front(site, &data, &headers, &[&with, &without])?;
    let hosts = [
        (DATA.trim_start_matches("http://").to_owned() + ":80", front.port(Protocol::Http1)),
        (with.host(), ports[0]),
        (without.host(), ports[1]),
    ];
    let rounds = measure(&with, &without, &hosts)?;
    let head = ["µs per read, wall clock", "without the shim", "with it", "more"];
    let rows = ["page", "worker"].map(|thread| {
        let [without, with] =
            ["without", "with"].map(|how| of(&rounds, &format!("{thread} {how}")));
        let more = with.over(&without).map(|times| (times - 1.0) * 100.0);
        vec![format!("in a {thread}"), without.show(), with.show(), format!("{} %", more.show())]
    });
    report.say(&format!("### The shim, Chromium, {AT_ONCE} reads of {CHUNK} bytes at once"));
    report.table(&head, &rows);
    Ok(())
}

fn folder(site: &Site, name: &str, files: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
    let folder = site.path(name);
    fs::create_dir(&folder)?;
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    Ok(folder)
}

fn of(rounds: &[Value], what: &str) -> Samples {
    let mut samples = Samples::default();
    for round in rounds {
        samples.add(round[what].as_f64().unwrap_or(f64::NAN));
    }
    samples
}

fn measure(with: &Web, without: &Web, hosts: &[(String, u16)]) -> anyhow::Result<Vec<Value>> {
    let map: Vec<_> =
        hosts.iter().map(|(host, port)| format!("MAP {host} 127.0.0.1:{port}")).collect();
    let what = json!({
        "pages": { "with": with.url("/index.html"), "without": without.url("/index.html") },
        "data": format!("{DATA}/lab-a/chunk"),
        "map": map.join(","),
        "rounds": ROUNDS,
        "reads": READS,
        "at_once": AT_ONCE,
    });
    let mut process = Command::new("node")
        .arg(node::script("reads.mjs"))
        .arg(what.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .context("node")?;
    let output = process.stdout.take().context("no output")?;
    let rounds =
        BufReader::new(output).lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect();
    anyhow::ensure!(process.wait()?.success(), "reads.mjs failed; what it said stands above");
    rounds
}
