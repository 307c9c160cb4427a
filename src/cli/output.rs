//! Printing. A reader that goes away, such as `head`, is no failure.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

/// Prints a line of result.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints a line for the person, apart from the result.
pub(super) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints what went wrong, and why, without saying anything twice.
pub(super) fn complain(error: &anyhow::Error) {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    let mut lines = message.lines();
    note(&format!("edgemint: {}", lines.next().unwrap_or_default()));
    for line in lines {
        note(&format!("          {line}"));
    }
}

/// Whether a person reads the output as it is written.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints a result for machines.
pub(super) fn say_json(value: &impl Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(value)?);
    Ok(())
}
