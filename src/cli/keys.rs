//! `edgemint keys`: manage the keys that sign.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use super::Done;
use super::files::read_pem;
use super::output::{say, say_json};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{DEFAULT_KMS_KEY, KeySource};
use crate::keystore::{Aws, Keystore};
use crate::signing::{KeyPairId, KeyState};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Add a private key to a folder of keys: the first one signs, a further one waits.
    ///
    /// Make the key and give its public half to CloudFront first, which tells the ID:
    ///
    ///   openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem
    ///   openssl pkey -in key.pem -pubout
    #[command(verbatim_doc_comment)]
    Import {
        /// Where keys are, as keys.source names it: dir:FOLDER or ssm:/PATH.
        #[arg(long, value_name = "SOURCE", default_value = "dir:keys", value_parser = KeySource::parse)]
        source: KeySource,
        /// The ID that CloudFront shows for the public half.
        #[arg(long, value_name = "ID")]
        key_pair_id: KeyPairId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// The private key, a PEM file; - reads standard input.
        #[arg(value_name = "KEY.pem")]
        key: PathBuf,
    },
}

pub(super) fn run(action: &Action) -> anyhow::Result<Done> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(import(action))
}

async fn import(action: &Action) -> anyhow::Result<Done> {
    let Action::Import { source, key_pair_id, json, key } = action;
    let pem = read_pem(key)?;
    let store = Keystore::open(source, DEFAULT_KMS_KEY, &Aws::new()).await?;
    let imported = store.import(key_pair_id, &pem, SystemClock.now()).await;
    let imported = imported.with_context(|| format!("cannot import {}", key.display()))?;
    if *json {
        say_json(&json!({
            "key_pair_id": imported.id.to_string(),
            "state": imported.state.to_string(),
            "fingerprint": imported.fingerprint,
        }))?;
        return Ok(Done::Yes);
    }
    say(&format!("{} is {} in {source}", imported.id, imported.state));
    say(&format!("fingerprint of the public half: {}", imported.fingerprint));
    if imported.state == KeyState::Staged {
        say("Another key signs; this one waits.");
    }
    Ok(Done::Yes)
}
