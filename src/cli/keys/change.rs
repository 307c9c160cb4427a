//! The commands that change keys.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::json;

use super::Kind;
use super::options::{ByHand, Common, Waits, duration};
use super::report::{self, Printer, say_line};
use crate::cli::Done;
use crate::cli::output::{note, say};
use crate::clock::SystemClock;
use crate::rotation::{Admin, Damage, Patience, RotateOptions, Site};

#[derive(Debug, Args)]
pub(in crate::cli) struct Rotate {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    by_hand: ByHand,
    #[command(flatten)]
    waits: Waits,
    /// The kind of the new key.
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// Wait until the old key's last cookie has expired, and retire it.
    #[arg(long)]
    wait: bool,
    /// Begin nothing new while the key that signs has done so for less long, such as 30d. What is
    /// unfinished is finished all the same.
    #[arg(long, value_name = "AGE", value_parser = duration, default_value = "1h")]
    if_older_than: std::time::Duration,
    /// A command that makes the instances follow where nothing else does, such as
    /// 'systemctl restart edgemint' for keys that a unit loads. Run by sh after the promotion.
    #[arg(long = "on-promote", value_name = "COMMAND")]
    follow_command: Option<String>,
    /// Only say which calls would be made.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Promote {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    waits: Waits,
    /// Run by sh after the promotion, as with rotate.
    #[arg(long = "on-promote", value_name = "COMMAND")]
    follow_command: Option<String>,
    /// Only say which calls would be made.
    #[arg(long)]
    dry_run: bool,
    /// The key: its ID, or the first digits of its fingerprint.
    key: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Retire {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    by_hand: ByHand,
    #[command(flatten)]
    waits: Waits,
    /// Wait until its last cookie has expired.
    #[arg(long)]
    wait: bool,
    /// Only say which calls would be made.
    #[arg(long)]
    dry_run: bool,
    /// The key: its ID, or the first digits of its fingerprint.
    key: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Revoke {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    by_hand: ByHand,
    #[command(flatten)]
    waits: Waits,
    /// The kind of the key that takes over, if the stolen one signs.
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Run by sh after the change, as with rotate.
    #[arg(long = "on-promote", value_name = "COMMAND")]
    follow_command: Option<String>,
    /// Only say which calls would be made.
    #[arg(long)]
    dry_run: bool,
    /// The stolen key: its ID, or the first digits of its fingerprint.
    key: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Generate {
    #[command(flatten)]
    pub(super) common: Common,
    /// The kind of the key.
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// Only say which calls would be made.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Stage {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    by_hand: ByHand,
    /// Only say which calls would be made.
    #[arg(long)]
    dry_run: bool,
    /// The key: the first digits of its fingerprint, or its ID to put it back into the key group.
    key: String,
}

/// The steps on a site, with somebody who prints what happens.
fn admin<'a>(site: &'a Site, patience: Patience, printer: &'a mut Printer) -> Admin<'a> {
    Admin { site, patience, dry_run: printer.dry_run, clock: &SystemClock, progress: printer }
}

impl Waits {
    const fn patience(&self) -> Patience {
        Patience { settle: self.settle, timeout: self.timeout }
    }
}

/// For steps that wait for nobody.
const PROMPT: Patience =
    Patience { settle: std::time::Duration::ZERO, timeout: std::time::Duration::ZERO };

pub(super) async fn rotate(options: &Rotate) -> anyhow::Result<Done> {
    let Rotate { common, by_hand, waits, dry_run, .. } = options;
    let mut site = common.site(Some(by_hand)).await?;
    site.on_promote.clone_from(&options.follow_command);
    let how = RotateOptions {
        kind: options.kind.into(),
        wait: options.wait,
        if_older_than: options.if_older_than.as_secs(),
    };
    let mut printer = Printer { json: common.json, dry_run: *dry_run };
    let outcome = admin(&site, waits.patience(), &mut printer).rotate(how).await?;
    report::outcome(&outcome, common.json, *dry_run);
    Ok(Done::Yes)
}

pub(super) async fn promote(options: &Promote) -> anyhow::Result<Done> {
    let Promote { common, waits, dry_run, key, .. } = options;
    let mut site = common.site(None).await?;
    site.on_promote.clone_from(&options.follow_command);
    let mut printer = Printer { json: common.json, dry_run: *dry_run };
    let outcome = admin(&site, waits.patience(), &mut printer).promote(key).await?;
    report::outcome(&outcome, common.json, *dry_run);
    Ok(Done::Yes)
}

pub(super) async fn retire(options: &Retire) -> anyhow::Result<Done> {
    let Retire { common, by_hand, waits, wait, dry_run, key } = options;
    let site = common.site(Some(by_hand)).await?;
    let mut printer = Printer { json: common.json, dry_run: *dry_run };
    admin(&site, waits.patience(), &mut printer).retire(key, *wait).await?;
    end(common.json, *dry_run, "");
    Ok(Done::Yes)
}

pub(super) async fn revoke(options: &Revoke) -> anyhow::Result<Done> {
    let Revoke { common, by_hand, waits, dry_run, key, .. } = options;
    let mut site = common.site(Some(by_hand)).await?;
    site.on_promote.clone_from(&options.follow_command);
    let mut printer = Printer { json: common.json, dry_run: *dry_run };
    let mut admin = admin(&site, waits.patience(), &mut printer);
    let damage = admin.damage(key).await?;
    warn(&damage, common.json);
    if !options.yes && !dry_run {
        ask(&damage)?;
    }
    let outcome = admin.revoke(key, options.kind.into()).await?;
    report::outcome(&outcome, common.json, *dry_run);
    Ok(Done::Yes)
}

fn warn(damage: &Damage, json: bool) {
    if json {
        return say_line(&json!({
            "step": "revoke",
            "kind": "note",
            "key_pair_id": damage.id,
            "state": damage.state,
            "minutes_of_cookies": damage.minutes,
        }));
    }
    let Damage { id, state, minutes } = damage;
    say(&format!("{id} is {state}. Revoking it ends every cookie that it signed, at once:"));
    if *minutes == 0 {
        return say("none of them is still good.\n");
    }
    say(&format!(
        "up to {minutes} minutes of cookies. Viewers that renew by themselves get new ones; other\n\
         people reload the page.\n"
    ));
}

/// Asks for the key's ID, which nobody types by accident.
fn ask(damage: &Damage) -> anyhow::Result<()> {
    ensure!(io::stdin().is_terminal(), "revoke asks first; where nobody can answer, give --yes");
    note(&format!("Type {} to go on:", damage.id));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    ensure!(answer.trim() == damage.id.to_string(), "nothing was changed");
    Ok(())
}

pub(super) async fn generate(options: &Generate) -> anyhow::Result<Done> {
    let Generate { common, kind, dry_run } = options;
    let site = common.site(None).await?;
    let mut printer = Printer { json: common.json, dry_run: *dry_run };
    let fingerprint = admin(&site, PROMPT, &mut printer).generate((*kind).into()).await?;
    if common.json {
        say_line(&json!({ "done": !dry_run, "fingerprint": fingerprint }));
    } else {
        let next = format!("Next: edgemint keys stage {}", fingerprint.short());
        end(false, *dry_run, &next);
    }
    Ok(Done::Yes)
}

pub(super) async fn stage(options: &Stage) -> anyhow::Result<Done> {
    let Stage { common, by_hand, dry_run, key } = options;
    let site = common.site(Some(by_hand)).await?;
    let mut printer = Printer { json: common.json, dry_run: *dry_run };
    let id = admin(&site, PROMPT, &mut printer).stage(key).await?;
    if common.json {
        say_line(&json!({ "done": !dry_run, "key_pair_id": id }));
    } else {
        end(
            false,
            *dry_run,
            &format!("{id} is trusted. To let it sign: edgemint keys promote {id}"),
        );
    }
    Ok(Done::Yes)
}

fn end(json: bool, dry_run: bool, text: &str) {
    if json {
        say_line(&json!({ "done": !dry_run }));
    } else if dry_run {
        say("\nNothing was changed.");
    } else if !text.is_empty() {
        say(text);
    }
}
