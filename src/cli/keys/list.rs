//! `edgemint keys list`: every key, and what should be seen to.

use clap::Args;
use serde_json::{Value, json};

use super::options::{ByHand, Common, duration};
use super::report::{Printer, say_line};
use crate::cli::Done;
use crate::cli::output::say;
use crate::clock::{Clock as _, EpochSeconds, SystemClock, span};
use crate::rotation::{Admin, KeyRow, Overview, Patience};
use crate::signing::KeyState;

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    by_hand: ByHand,
    /// Warn when the key that signs is older.
    #[arg(long, value_name = "AGE", value_parser = duration, default_value = "90d")]
    warn_after: std::time::Duration,
    /// End with exit code 1 if there is anything to see to.
    #[arg(long)]
    check: bool,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Done> {
    let common = &options.common;
    let site = common.site(Some(&options.by_hand)).await?;
    let mut printer = Printer { json: common.json, dry_run: true };
    let mut admin = Admin {
        site: &site,
        patience: Patience { settle: options.warn_after, timeout: options.warn_after },
        dry_run: true,
        clock: &SystemClock,
        progress: &mut printer,
    };
    let overview = admin.overview(options.warn_after.as_secs()).await?;
    let now = SystemClock.now();
    if common.json {
        say_line(&to_json(&overview, &site.store.to_string()));
    } else {
        say(&format!("{}, revision {}\n", site.store, overview.revision));
        table(&overview.keys, now);
        for finding in &overview.findings {
            say(&format!("\n! {}", finding.text));
            if let Some(mend) = &finding.mend {
                say(&format!("  {mend}"));
            }
        }
    }
    let clean = overview.findings.is_empty() || !options.check;
    Ok(if clean { Done::Yes } else { Done::No })
}

fn table(keys: &[KeyRow], now: EpochSeconds) {
    let mut rows = vec![
        ["KEY", "STATE", "AGE", "FINGERPRINT", "PRIVATE", "PUBLIC", "TRUSTED", ""]
            .map(str::to_owned),
    ];
    rows.extend(keys.iter().map(|key| cells(key, now)));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say(cells.join("  ").trim_end());
    }
    for key in keys.iter().filter(|key| key.private.is_some()) {
        let name = key.id.as_ref().map(ToString::to_string);
        let name = name.or_else(|| key.fingerprint.as_ref().map(|print| print.short().to_owned()));
        if let (Some(name), Some(place)) = (name, &key.private) {
            say(&format!("\nprivate half of {name}: {place}"));
        }
    }
}

fn cells(key: &KeyRow, now: EpochSeconds) -> [String; 8] {
    let known = |answer: Option<bool>| match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    };
    let age = if key.created.0 == 0 { "?".to_owned() } else { span(now.since(key.created)) };
    let retiring = key.retire_after.filter(|_| key.state == Some(KeyState::Retiring));
    [
        key.id.as_ref().map_or("-".to_owned(), ToString::to_string),
        key.state.map_or("-".to_owned(), |state| state.to_string()),
        age,
        key.fingerprint.as_ref().map_or("?".to_owned(), |print| print.short().to_owned()),
        if key.private.is_some() { "yes" } else { "no" }.to_owned(),
        known(key.public).to_owned(),
        known(key.trusted).to_owned(),
        retiring.map_or(String::new(), |after| format!("can be retired from {after} on")),
    ]
}

fn to_json(overview: &Overview, source: &str) -> Value {
    let time = |at: Option<EpochSeconds>| at.map(|at| at.to_string());
    let keys: Vec<Value> = overview
        .keys
        .iter()
        .map(|key| {
            json!({
                "key_pair_id": key.id,
                "state": key.state,
                "fingerprint": key.fingerprint,
                "created": time(Some(key.created)),
                "promoted": time(key.promoted),
                "retire_after": time(key.retire_after),
                "private_half": key.private,
                "public_half": key.public,
                "trusted": key.trusted,
            })
        })
        .collect();
    let findings: Vec<Value> = overview
        .findings
        .iter()
        .map(|finding| json!({ "text": finding.text, "mend": finding.mend }))
        .collect();
    json!({ "source": source, "revision": overview.revision, "keys": keys, "findings": findings })
}
