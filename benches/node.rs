//! The peer on Node.js: its scripts, and rounds of token verification in one process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::site::Site;

/// Where a script of the peer's is.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer").join(name)
}

pub(crate) fn version() -> anyhow::Result<String> {
    let output = Command::new("node").arg("--version").output().context("node")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A process that verifies tokens when told to, and stays, so that it is compiled and warm.
pub(crate) struct TokenVerifier {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl TokenVerifier {
    pub(crate) fn start(site: &Site) -> anyhow::Result<Self> {
        let mut process = Command::new("node")
            .arg(script("tokens.mjs"))
            .arg(site.description())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("node")?;
        let input = process.stdin.take();
        let output = process.stdout.take().context("no output")?;
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    /// Verifications per second of one kind of token.
    pub(crate) fn per_second(&mut self, kind: &str, seconds: f64) -> anyhow::Result<f64> {
        let input = self.input.as_mut().context("no input")?;
        writeln!(input, "{}", json!({ "kind": kind, "seconds": seconds }))?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        answer["per_second"].as_f64().with_context(|| line.clone())
    }
}

impl Drop for TokenVerifier {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.input.take());
        let _ = self.process.wait();
    }
}
