//! The foreign tools of `tests/tools`, whose README states what they take and answer.

use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A tool at work: JSON lines in, JSON lines out.
pub(crate) struct Tool {
    script: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Tool {
    /// Starts a tool that is written in Python.
    pub(crate) fn python(script: &'static str) -> Self {
        Self::start(&installed("venv/bin/python"), script)
    }

    /// Starts a tool that is written in JavaScript.
    pub(crate) fn node(script: &'static str) -> Self {
        installed("node_modules");
        Self::start(Path::new("node"), script)
    }

    fn start(interpreter: &Path, script: &'static str) -> Self {
        let mut child = Command::new(interpreter)
            .arg(folder().join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: run `make tools`", interpreter.display()));
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { script, child, input, output }
    }

    /// Asks everything at once and returns the answers in the same order.
    pub(crate) fn ask_all<T: DeserializeOwned>(&mut self, requests: &[Value]) -> Vec<T> {
        let lines = self.exchange(requests);
        let complete = lines.len() == requests.len();
        assert!(complete, "{} ended too early, see above: run `make tools`", self.script);
        let pairs = lines.iter().zip(requests);
        pairs.map(|(line, request)| self.read(line, request)).collect()
    }

    /// Writes and reads at the same time, and judges nothing before all is read: either pipe could
    /// fill up otherwise.
    fn exchange(&mut self, requests: &[Value]) -> Vec<String> {
        let mut input = BufWriter::new(self.input.as_mut().unwrap());
        let output = &mut self.output;
        std::thread::scope(|scope| {
            scope.spawn(move || -> io::Result<()> {
                // A tool that has ended refuses its input; the missing answer says so below.
                requests.iter().try_for_each(|request| writeln!(input, "{request}"))?;
                input.flush()
            });
            output.lines().take(requests.len()).map(Result::unwrap).collect()
        })
    }

    fn read<T: DeserializeOwned>(&self, line: &str, request: &Value) -> T {
        let script = self.script;
        let complaint: Complaint = serde_json::from_str(line).unwrap();
        let understood = complaint.error.is_none() || complaint.ok.is_some();
        assert!(understood, "{script} does not understand the request: {line} to {request}");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{script}: {error}: {line}"))
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// What every answer has if the request made no sense.
#[derive(Deserialize)]
struct Complaint {
    error: Option<String>,
    ok: Option<bool>,
}

/// A program that the Python tools bring.
pub(crate) fn venv_program(name: &str) -> PathBuf {
    installed(&format!("venv/bin/{name}"))
}

/// A program of ours that is written in Python, about to be started.
pub(crate) fn python_script(script: &str) -> Command {
    let mut command = Command::new(installed("venv/bin/python"));
    command.arg(folder().join(script));
    command
}

/// A program of ours that is written in JavaScript, about to be started.
pub(crate) fn node_script(script: &str) -> Command {
    installed("node_modules");
    let mut command = Command::new("node");
    command.arg(folder().join(script));
    command
}

/// Runs the command line of OpenSSL in a folder.
pub(crate) fn openssl(folder: &Path, args: &[&str]) -> Output {
    Command::new("openssl")
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("openssl: {error}: run `make tools`"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools")
}

fn installed(path: &str) -> PathBuf {
    let path = folder().join(path);
    assert!(path.exists(), "{} is missing: run `make tools`", path.display());
    path
}
