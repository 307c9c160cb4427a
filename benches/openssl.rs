//! `openssl speed` and `openssl genpkey`, the program.

use std::process::Command;

use anyhow::Context as _;

/// Operations per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    pub(crate) sign: f64,
    pub(crate) verify: f64,
}

/// Measures one algorithm for a second per operation, in as many processes at once as are wanted:
/// per second of processor time in one, and of wall time in several.
pub(crate) fn speed(algorithm: &str, processes: usize) -> anyhow::Result<Speed> {
    let mut arguments = vec!["speed", "-mr", "-seconds", "1"];
    let processes = processes.to_string();
    if processes != "1" {
        arguments.extend(["-elapsed", "-multi", &processes]);
    }
    arguments.push(algorithm);
    let output = run(&arguments)?;
    // +F2 for RSA and +F4 for ECDSA: number, bits, signatures and verifications per second. With
    // -multi the lines of the single processes begin otherwise.
    let line = output.lines().rfind(|line| line.starts_with("+F2:") || line.starts_with("+F4:"));
    let read = |line: &str| {
        let mut fields = line.split(':').skip(3).map(str::parse);
        Some(Speed { sign: fields.next()?.ok()?, verify: fields.next()?.ok()? })
    };
    line.and_then(read).with_context(|| format!("openssl speed says {output}"))
}

/// Makes a private key in PEM.
pub(crate) fn private_key(arguments: &[&str]) -> anyhow::Result<String> {
    run(&[&["genpkey"], arguments].concat())
}

pub(crate) fn version() -> anyhow::Result<String> {
    let output = run(&["version"])?;
    Ok(output.split(" (").next().unwrap_or_default().trim().to_owned())
}

fn run(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("openssl").args(arguments).output().context("openssl")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "openssl {}: {errors}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}
