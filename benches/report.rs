//! Where figures and progress go.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;

pub(crate) struct Report {
    text: String,
    begin: Instant,
    seconds: u64,
}

impl Report {
    pub(crate) fn new(seconds: u64) -> Self {
        Self { text: String::new(), begin: Instant::now(), seconds }
    }

    /// A line for the person who waits.
    pub(crate) fn progress(&self, line: &str) {
        eprintln!("[{:>3} of about {} s] {line}", self.begin.elapsed().as_secs(), self.seconds);
    }

    /// A line of the result.
    pub(crate) fn say(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A table, with an empty line before and after it.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        self.say("");
        self.say(&format!("| {} |", head.join(" | ")));
        self.say(&format!("|{}", "---|".repeat(head.len())));
        for row in rows {
            self.say(&format!("| {} |", row.join(" | ")));
        }
        self.say("");
    }

    pub(crate) fn save(&self) -> anyhow::Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench.md");
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        std::fs::write(&path, &self.text).with_context(|| path.display().to_string())?;
        self.progress(&format!("done; the figures are in {}", path.display()));
        Ok(())
    }
}
