//! `edgemint keys import`: a private key that was made elsewhere.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::options::Common;
use super::report::say_line;
use crate::cli::Done;
use crate::cli::files::read_pem;
use crate::cli::output::{note, say};
use crate::clock::{Clock as _, SystemClock};
use crate::rotation::{Edge, RotationError, Site};
use crate::signing::{KeyPairId, KeyState, PrivateKey};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    pub(super) common: Common,
    /// The ID that CloudFront shows for the public half.
    #[arg(long, value_name = "ID")]
    key_pair_id: KeyPairId,
    /// The private key, a PEM file; - reads standard input.
    #[arg(value_name = "KEY.pem")]
    key: PathBuf,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Done> {
    let pem = read_pem(&options.key)?;
    let site = options.common.site(None).await?;
    check_id(&site, &options.key_pair_id, &pem).await?;
    let store = site.store;
    let imported = store.import(&options.key_pair_id, &pem, SystemClock.now()).await;
    let imported = imported.map_err(RotationError::from);
    let imported = imported.with_context(|| format!("cannot import {}", options.key.display()))?;
    if options.common.json {
        say_line(&json!({
            "key_pair_id": imported.id,
            "state": imported.state,
            "fingerprint": imported.fingerprint,
        }));
        return Ok(Done::Yes);
    }
    say(&format!("{} is {} in {store}", imported.id, imported.state));
    say(&format!("fingerprint of the public half: {}", imported.fingerprint));
    if imported.state == KeyState::Staged {
        say(&format!(
            "Another key signs. To let this one sign: edgemint keys promote {}",
            imported.id
        ));
    }
    Ok(Done::Yes)
}

/// A wrong ID would be found out only by everybody's being refused. Where CloudFront can be asked, it is.
async fn check_id(site: &Site, id: &KeyPairId, pem: &str) -> anyhow::Result<()> {
    let Edge::Api(group) = &site.edge else { return Ok(()) };
    let Ok(held) = group.read().await else {
        note(&format!("CloudFront was not asked whether {id} is this key's ID"));
        return Ok(());
    };
    let fingerprint = PrivateKey::from_pem(pem)?.fingerprint().clone();
    let found = held.entry(id).and_then(|entry| entry.fingerprint.as_ref());
    if found == Some(&fingerprint) {
        return Ok(());
    }
    match held.find(&fingerprint) {
        Some(entry) => bail!("CloudFront calls this key {}, not {id}", entry.id),
        None => bail!("CloudFront does not know this key; give it the public half first"),
    }
}
