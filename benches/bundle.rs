//! A viewer's files, beside nginx: stock Neuroglancer, over HTTP/1.1 and HTTP/2.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;

use crate::h2load::{self, Load, Protocol};
use crate::machine::cores;
use crate::report::Report;
use crate::samples::Samples;
use crate::site::Site;
use crate::web::{Kind, Web};

/// What `tests/tools/install.sh bench` fetches: the client in the Python package `neuroglancer`.
const CLIENT: &str = "tests/tools/viewers/built/wheel";

const ROUNDS: usize = 3;

/// Seconds of load per server, question and round.
const ROUND: u64 = 1;

const STARTS: usize = 5;

/// Questions, protocols and servers; and the compression of the bundle, which takes a while.
pub(crate) const SECONDS: u64 = (6 * 2 * 3 * ROUNDS) as u64 * ROUND + 30;

/// One thing to ask for, again and again.
pub(crate) struct Question {
    name: &'static str,
    file: File,
    headers: &'static [(&'static str, &'static str)],
    /// With the tag of what the server answers otherwise.
    conditional: bool,
    status: u16,
}

#[derive(Clone, Copy)]
enum File {
    Page,
    /// The largest script.
    Script,
}

const PLAIN: Question =
    Question { name: "", file: File::Script, headers: &[], conditional: false, status: 200 };

const GZIP: &[(&str, &str)] = &[("accept-encoding", "gzip")];
const BROTLI: &[(&str, &str)] = &[("accept-encoding", "br")];

static QUESTIONS: [Question; 6] = [
    Question { name: "`index.html`", file: File::Page, ..PLAIN },
    Question { name: "the big script", ..PLAIN },
    Question { name: "the big script, gzip", headers: GZIP, ..PLAIN },
    Question { name: "the big script, brotli", headers: BROTLI, ..PLAIN },
    Question { name: "its 304", headers: GZIP, conditional: true, status: 304, ..PLAIN },
    Question {
        name: "64 KiB of it, by Range",
        headers: &[("range", "bytes=65536-131071")],
        status: 206,
        ..PLAIN
    },
];

/// The servers, in the order of the tables' columns.
const KINDS: [Kind; 3] =
    [Kind::Nginx, Kind::Edgemint { shim: false }, Kind::Edgemint { shim: true }];

/// What the rounds said of one server and one question.
#[derive(Default)]
struct Measured {
    per_second: Samples,
    p99_ms: Samples,
    cpu_us: Samples,
}

pub(crate) fn run(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join(CLIENT);
    anyhow::ensure!(client.join("index.html").exists(), "run: sh tests/tools/install.sh bench");
    report.progress("bundle: compressing it, for both");
    let script = format!("/{}", largest_script(&client)?);
    let files = precompress(site, &client, &script)?;
    let servers = KINDS.map(|kind| Web::start(kind, site, &files));
    let servers = servers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    for server in &servers {
        wait_until_compressed(site, server, &script)?;
    }
    let at_rest: Vec<f64> =
        servers.iter().map(Web::resident_megabytes).collect::<anyhow::Result<_>>()?;
    check(site, &servers, &script)?;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let measured = measure(site, &servers, protocol, &script, report)?;
        tables(protocol, &measured, report);
    }
    drop(servers);
    starts(site, &files, &at_rest, report)
}

fn largest_script(client: &Path) -> anyhow::Result<String> {
    let mut largest = (0, String::new());
    for entry in fs::read_dir(client)? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a name that is not UTF-8")?;
        if Path::new(&name).extension().is_some_and(|extension| extension == "js") {
            largest = largest.max((entry.metadata()?.len(), name));
        }
    }
    Ok(largest.1)
}

/// Copies the client, with what edgemint makes of each file beside it, so that both servers send the same
/// bytes; and nginx none that it had to compress.
fn precompress(site: &Site, client: &Path, script: &str) -> anyhow::Result<PathBuf> {
    let files = site.path("client");
    fs::create_dir(&files)?;
    for entry in fs::read_dir(client)? {
        let entry = entry?;
        fs::copy(entry.path(), files.join(entry.file_name()))?;
    }
    let server = Web::start(Kind::Edgemint { shim: false }, site, &files)?;
    wait_until_compressed(site, &server, script)?;
    for entry in fs::read_dir(client)? {
        let name = entry?.file_name().into_string().ok().context("a name that is not UTF-8")?;
        for (coding, extension) in [("gzip", "gz"), ("br", "br")] {
            let answer = server.get(site, &format!("/{name}"), &[("accept-encoding", coding)])?;
            if answer.header("content-encoding") == coding {
                fs::write(files.join(format!("{name}.{extension}")), answer.body)?;
            }
        }
    }
    Ok(files)
}

/// The script comes last: its name is the last one.
fn wait_until_compressed(site: &Site, server: &Web, script: &str) -> anyhow::Result<()> {
    for _ in 0..600 {
        let answer = server.get(site, script, BROTLI)?;
        if answer.header("content-encoding") == "br" || server.kind == Kind::Nginx {
            return Ok(());
        }
        sleep(Duration::from_millis(500));
    }
    anyhow::bail!("{script} is not compressed after five minutes")
}

/// Nothing is timed until the answers are right, and those of nginx and edgemint the same.
fn check(site: &Site, servers: &[Web], script: &str) -> anyhow::Result<()> {
    for question in &QUESTIONS {
        let path = question.path(script);
        let mut bodies = Vec::new();
        for server in servers.iter().filter(|server| server.can(question)) {
            let headers = question.headers(site, server, script)?;
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let answer = server.get(site, path, &headers)?;
            let (status, kind) = (answer.status, server.kind);
            anyhow::ensure!(status == question.status, "{kind}: {path}: {status}");
            let coding = question.coding().filter(|_| status == 200).unwrap_or_default();
            let said = answer.header("content-encoding");
            anyhow::ensure!(said == coding, "{kind}: {path} is in {said:?}, not {coding:?}");
            if kind != (Kind::Edgemint { shim: true }) {
                bodies.push(answer.body);
            }
        }
        bodies.dedup();
        anyhow::ensure!(bodies.len() == 1, "{}: not the same bytes", question.name);
    }
    Ok(())
}

impl Question {
    fn path<'s>(&self, script: &'s str) -> &'s str {
        match self.file {
            File::Page => "/index.html",
            File::Script => script,
        }
    }

    fn coding(&self) -> Option<&'static str> {
        self.headers.iter().find_map(|(name, value)| (*name == "accept-encoding").then_some(*value))
    }

    fn headers(
        &self,
        site: &Site,
        server: &Web,
        script: &str,
    ) -> anyhow::Result<Vec<(&'static str, String)>> {
        let mut headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if self.conditional {
            let whole = server.get(site, self.path(script), self.headers)?;
            headers.push(("if-none-match", whole.header("etag").to_owned()));
        }
        Ok(headers)
    }
}

impl Web {
    /// Debian's nginx has brotli in a package of its own, which not every release has.
    fn can(&self, question: &Question) -> bool {
        self.kind != Kind::Nginx || question.coding() != Some("br") || Web::nginx_has_brotli()
    }
}

type Row = (&'static Question, [Measured; 3]);

fn measure(
    site: &Site,
    servers: &[Web],
    protocol: Protocol,
    script: &str,
    report: &Report,
) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> =
        QUESTIONS.iter().map(|question| (question, Default::default())).collect();
    for round in 1..=ROUNDS {
        report.progress(&format!("bundle, {protocol}, round {round} of {ROUNDS}"));
        for (question, measured) in &mut rows {
            for (server, measured) in servers.iter().zip(measured) {
                if server.can(question) {
                    let headers = question.headers(site, server, script)?;
                    let path = question.path(script);
                    let before = server.cpu_seconds()?;
                    let load = h2load::load(site, server, protocol, path, &headers, ROUND)?;
                    let cpu = server.cpu_seconds()? - before;
                    measured.add(&load, cpu, question.status)?;
                }
            }
        }
    }
    Ok(rows)
}

impl Measured {
    fn add(&mut self, load: &Load, cpu: f64, status: u16) -> anyhow::Result<()> {
        let (right, wrong) = match status {
            304 => (load.redirects, load.successes),
            _ => (load.successes, load.redirects),
        };
        // Some answers have begun when the time is over.
        let all_right = load.done >= 1.0 && right >= load.done && wrong + load.errors < 1.0;
        anyhow::ensure!(all_right, "not every answer was a {status}: {load:?}");
        self.per_second.add(load.done / load.seconds);
        self.p99_ms.add(load.p99_us / 1e3);
        self.cpu_us.add(cpu / load.done * 1e6);
        Ok(())
    }
}

fn tables(protocol: Protocol, rows: &[Row], report: &mut Report) {
    report.say(&format!("### The viewer's files, {protocol}, {} cores", cores()));
    let head = ["", "nginx", "edgemint", "times better", "edgemint, with the shim"];
    let mut table = |unit: &str, of: fn(&Measured) -> &Samples, more: bool| {
        let rows: Vec<_> = rows
            .iter()
            .map(|(question, [nginx, plain, shim])| {
                let (nginx, plain, shim) = (of(nginx), of(plain), of(shim));
                let ratio = if more { plain.over(nginx) } else { nginx.over(plain) };
                vec![
                    question.name.to_owned(),
                    nginx.show(),
                    plain.show(),
                    ratio.show(),
                    shim.show(),
                ]
            })
            .collect();
        let mut head = head;
        head[0] = unit;
        report.table(&head, &rows);
    };
    table("requests/s", |measured| &measured.per_second, true);
    table("p99, ms", |measured| &measured.p99_ms, false);
    table("processor time per request, µs", |measured| &measured.cpu_us, false);
}

fn starts(site: &Site, files: &Path, at_rest: &[f64], report: &mut Report) -> anyhow::Result<()> {
    report.progress("bundle: starting, again and again");
    let mut first_byte: [Samples; 3] = Default::default();
    for _ in 0..STARTS {
        for (kind, samples) in KINDS.into_iter().zip(&mut first_byte) {
            samples.add(Web::start(kind, site, files)?.first_byte_after.as_secs_f64() * 1e3);
        }
    }
    let memory = at_rest.iter().map(|megabytes| crate::samples::number(*megabytes));
    let rows = [
        [vec!["memory at rest, every coding made, MB".to_owned()], memory.collect()].concat(),
        [
            vec!["from start to the first byte of `index.html`, ms".to_owned()],
            first_byte.iter().map(Samples::show).collect(),
        ]
        .concat(),
    ];
    report.say("### The viewer's files, at rest");
    report.table(&["", "nginx", "edgemint", "edgemint, with the shim"], &rows);
    Ok(())
}
