//! What every command about keys takes, and the site that comes of it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::access::Lifetime;
use crate::cli::ConfigFile;
use crate::config::{
    self, Config, Instance, KeyGroupId, KeySource, Keys, ProbeUrl, Rotation, TargetGroupArn,
    process_environment,
};
use crate::keystore::cloudfront::{KeyGroup, Quotas};
use crate::keystore::{Aws, Keystore};
use crate::rotation::{Edge, Probe, Site};
use crate::signing::KeyPairId;

/// What every command about keys takes.
#[derive(Debug, Args)]
pub(super) struct Common {
    #[command(flatten)]
    file: ConfigFile,
    /// Where keys are, in place of keys.source: dir:FOLDER or ssm:/PATH.
    #[arg(long, value_name = "SOURCE", value_parser = KeySource::parse, help_heading = "Site")]
    source: Option<KeySource>,
    /// The key group that trusts the keys, in place of rotation.key_group.
    #[arg(long, value_name = "ID", value_parser = KeyGroupId::parse, help_heading = "Site")]
    key_group: Option<KeyGroupId>,
    /// The object that new keys are tried on, in place of rotation.probe.
    #[arg(long, value_name = "URL", value_parser = ProbeUrl::parse, help_heading = "Site")]
    probe: Option<ProbeUrl>,
    /// Where an instance answers, such as http://10.0.1.5:8080, in place of rotation.instances; may
    /// be given several times.
    #[arg(long, value_name = "URL", value_parser = Instance::parse, help_heading = "Site")]
    instance: Vec<Instance>,
    /// The target group that knows the instances, in place of rotation.target_group.
    #[arg(long, value_name = "ARN", value_parser = TargetGroupArn::parse, help_heading = "Site")]
    target_group: Option<TargetGroupArn>,
    /// The KMS key for private keys in Parameter Store, in place of rotation.kms_key.
    #[arg(long, value_name = "KEY", help_heading = "Site")]
    kms_key: Option<String>,
    /// How many public keys CloudFront lets the account have, if AWS has raised it.
    #[arg(long, value_name = "NUMBER", default_value_t = Quotas::default().public_keys, help_heading = "Site")]
    quota_public_keys: usize,
    /// How many keys CloudFront lets a key group have, if AWS has raised it.
    #[arg(long, value_name = "NUMBER", default_value_t = Quotas::default().keys_per_group, help_heading = "Site")]
    quota_keys_per_group: usize,
    /// Print JSON: one object per line, the last one with the result.
    #[arg(long)]
    pub(super) json: bool,
}

/// How the edge is told.
#[derive(Debug, Args)]
pub(super) struct ByHand {
    /// Without permissions in CloudFront: say what to do there by hand.
    #[arg(long)]
    pub(super) manual: bool,
    /// The ID of the public key that was made by hand.
    #[arg(long, value_name = "ID", requires = "manual")]
    pub(super) key_pair_id: Option<KeyPairId>,
}

/// How long to wait for others.
#[derive(Debug, Args)]
pub(super) struct Waits {
    /// How long the edge must accept a new key without a miss before it signs for anybody.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    pub(super) settle: Duration,
    /// How long to wait for the edge, and for the instances, each.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "20m")]
    pub(super) timeout: Duration,
}

/// Reads `90s`, `15m`, `1h`, `30d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok());
    if let Some(seconds) = days.and_then(|days| days.checked_mul(86_400)) {
        return Ok(Duration::from_secs(seconds));
    }
    let seconds = config::parse_duration(text)?;
    Ok(Duration::from_secs(seconds))
}

impl Common {
    /// Assembles the site from the configuration and the flags over it.
    pub(super) async fn site(&self, by_hand: Option<&ByHand>) -> anyhow::Result<Site> {
        let config = self.config()?;
        let keys = config.as_ref().map(|config| config.keys.clone());
        let rotation = config.as_ref().map(|config| config.rotation.clone()).unwrap_or_default();
        let source = self.source.clone().or_else(|| keys.as_ref().map(|keys| keys.source.clone()));
        let source = source.context("no source of keys")?;
        let defaults = Keys::from_source(source.clone());
        let keys = keys.unwrap_or(defaults);
        let aws = Aws::new();
        let kms_key = self.kms_key.clone().unwrap_or_else(|| rotation.kms_key.clone());
        let store = Keystore::open(&source, &kms_key, &aws).await?;
        let edge = self.edge(&rotation, by_hand, &aws).await;
        let probe = self.probe.clone().or(rotation.probe);
        let longest = config.as_ref().map_or(Lifetime::LONGEST, Config::longest_lifetime);
        let max_outage = self.max_outage(config.as_ref())?;
        let named = !self.instance.is_empty() || self.target_group.is_some();
        Ok(Site {
            store,
            edge,
            probe: probe.map(Probe::new).transpose()?,
            instances: if named { self.instance.clone() } else { rotation.instances },
            target_group: if named { self.target_group.clone() } else { rotation.target_group },
            aws,
            hash: keys.hash,
            longest_lifetime: longest.seconds(),
            clock_skew: rotation.clock_skew,
            max_outage,
            quotas: Quotas {
                keys_per_group: self.quota_keys_per_group,
                public_keys: self.quota_public_keys,
            },
            on_promote: None,
        })
    }

    /// How long an instance that is cut off goes on signing, if anything bounds it. A unit's copy of
    /// the keys is never cut off, and of keys in a folder nobody knows here who has copied them.
    fn max_outage(&self, config: Option<&Config>) -> anyhow::Result<Option<Duration>> {
        let Some(config) = config else {
            let shared = matches!(self.source, Some(KeySource::ParameterStore(_)));
            return Ok(shared.then_some(Keys::LONGEST_OUTAGE));
        };
        let copied = config::names_a_copy(&self.file.config, &process_environment())?;
        Ok((!copied).then_some(config.keys.max_outage))
    }

    async fn edge(&self, rotation: &Rotation, by_hand: Option<&ByHand>, aws: &Aws) -> Edge {
        if let Some(by_hand) = by_hand.filter(|by_hand| by_hand.manual) {
            return Edge::ByHand(by_hand.key_pair_id.clone());
        }
        match self.key_group.clone().or_else(|| rotation.key_group.clone()) {
            Some(id) => Edge::Api(KeyGroup::new(id, aws).await),
            None => Edge::Unset,
        }
    }

    /// The configuration. It may be missing where a flag says where keys are.
    fn config(&self) -> anyhow::Result<Option<Config>> {
        let file: &Path = &self.file.config;
        if self.source.is_some() && !file.exists() {
            return Ok(None);
        }
        let mut environment = process_environment();
        if let Some(source) = &self.source {
            environment = environment.with("keys.source", &absolute(source));
        }
        Ok(Some(config::load(file, &environment)?))
    }
}

/// The configuration's paths are relative to its own folder, those of the command line are not.
fn absolute(source: &KeySource) -> String {
    match source {
        KeySource::Folder(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            KeySource::Folder(path).to_string()
        }
        source => source.to_string(),
    }
}
