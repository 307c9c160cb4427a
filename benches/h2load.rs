//! The load generator for files: h2load, one thread, over HTTP/1.1 and HTTP/2 alike.

use std::fmt;
use std::fs;
use std::process::Command;

use anyhow::Context as _;

use crate::site::Site;
use crate::web::Web;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    /// Without TLS, by prior knowledge (RFC 9113, section 3.3).
    Http2,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "HTTP/1.1, 32 connections",
            Self::Http2 => "HTTP/2, 8 connections of 8 streams",
        })
    }
}

/// What one run of the generator saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) seconds: f64,
    pub(crate) done: f64,
    pub(crate) successes: f64,
    pub(crate) redirects: f64,
    pub(crate) errors: f64,
    pub(crate) p99_us: f64,
}

/// Asks a server for one thing as fast as it gives it.
pub(crate) fn load(
    site: &Site,
    server: &Web,
    protocol: Protocol,
    path: &str,
    headers: &[(&'static str, String)],
    seconds: u64,
) -> anyhow::Result<Load> {
    let log = site.path("h2load.log");
    let mut command = Command::new("h2load");
    match protocol {
        Protocol::Http1 => command.args(["--h1", "-c", "32", "-m", "1"]),
        Protocol::Http2 => command.args(["-c", "8", "-m", "8"]),
    };
    command.args(["-t", "1", "-D", &seconds.to_string()]).arg("--log-file").arg(&log);
    for (name, value) in headers {
        command.arg("-H").arg(format!("{name}: {value}"));
    }
    let port = server.port(protocol);
    command.arg("--connect-to").arg(format!("127.0.0.1:{port}"));
    let output =
        command.arg(format!("http://{}{path}", server.host())).output().context("h2load")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let read = || -> Option<Load> {
        let codes = text.lines().find_map(|line| line.strip_prefix("status codes: "))?;
        let requests = text.lines().find_map(|line| line.strip_prefix("requests: "))?;
        Some(Load {
            seconds: f64::from(u32::try_from(seconds).ok()?),
            done: before(requests, " done")?,
            successes: before(codes, " 2xx")?,
            redirects: before(codes, " 3xx")?,
            errors: before(codes, " 4xx")? + before(codes, " 5xx")? + before(requests, " failed")?,
            p99_us: p99(&fs::read_to_string(&log).ok()?)?,
        })
    };
    let load = read();
    let _ = fs::remove_file(&log);
    load.with_context(|| format!("h2load says {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// The number before a word, in a list with commas.
fn before(text: &str, word: &str) -> Option<f64> {
    text.split(", ").find_map(|item| item.strip_suffix(word))?.trim().parse().ok()
}

/// A line per request: when it began, its status, and how many microseconds it took.
fn p99(log: &str) -> Option<f64> {
    let times = log.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok());
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() * 99 / 100).copied()
}
