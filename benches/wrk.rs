//! The load generator: wrk, one thread, a fixed number of connections that are always busy.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

use crate::machine;
use crate::site::Site;

/// Connections of the generator, the same for every peer.
pub(crate) const CONNECTIONS: usize = 32;

/// What one run of the generator saw.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Load {
    pub(crate) seconds: f64,
    pub(crate) requests: f64,
    pub(crate) bytes: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    failed: u64,
    /// What the generator itself took of the machine.
    #[serde(skip)]
    pub(crate) cpu_seconds: f64,
}

pub(crate) fn version() -> anyhow::Result<String> {
    let output = Command::new("wrk").arg("--version").output().context("wrk")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split(" [").next().unwrap_or_default().trim().to_owned())
}

/// Asks a service for cookies as fast as it gives them.
///
/// # Errors
/// When an answer was anything but a success.
pub(crate) fn load(site: &Site, port: u16, seconds: u64) -> anyhow::Result<Load> {
    let before = machine::cpu_seconds_of_ended()?;
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{seconds}s")])
        .arg("--script")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/cookies.lua"))
        .arg(format!("http://127.0.0.1:{port}"))
        .arg("--")
        .arg(site.token_file())
        .arg(format!("viewer.edgemint.localhost:{port}"))
        .output()
        .context("wrk")?;
    let cpu_seconds = machine::cpu_seconds_of_ended()? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find(|line| line.starts_with('{'))
        .with_context(|| format!("wrk says {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let load = Load { cpu_seconds, ..serde_json::from_str(line)? };
    anyhow::ensure!(load.failed == 0, "{} answers were no success", load.failed);
    Ok(load)
}
