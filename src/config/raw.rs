//! The keys of `edgemint.toml`, as they are spelled; `docs/CONFIGURATION.md` says what they mean and
//! is tested against these types.
//!
//! Every field is optional here, so that one message per missing key can be given.

mod identity;

use serde::{Deserialize, Serialize};

pub use self::identity::{
    Alb, Bearer, CloudflareAccess, GoogleIap, Groups, Identity, InsecureProxy, Login, Pomerium,
    Provider, ProviderGroups, VerifiedAccess,
};
use crate::secret::Secret;

/// A number of seconds, or a text such as `"1h"`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Duration {
    /// Seconds.
    Seconds(u64),
    /// A number and a unit.
    Text(String),
}

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port of the service.
    pub listen: Option<String>,
    /// Address and port of `/metrics`.
    pub admin_listen: Option<String>,
    /// The viewer's own URL.
    pub public_url: Option<String>,
    /// Further URLs of the same viewer.
    pub other_urls: Option<Vec<String>>,
    /// Proxies in front whose `X-Forwarded-For` entries are believed.
    pub trusted_hops: Option<u8>,
    /// What vouches for people.
    pub identity: Option<Identity>,
    /// The data hosts.
    pub distribution: Option<Vec<Distribution>>,
    /// How cookies are set at data hosts.
    pub handoff: Option<Handoff>,
    /// Who may see what.
    pub rule: Option<Vec<Rule>>,
    /// Where signing keys come from.
    pub keys: Option<Keys>,
    /// What the commands that rotate keys need to know.
    pub rotation: Option<Rotation>,
    /// The viewer bundle.
    pub viewer: Option<Viewer>,
    /// Other origins whose scripts may ask.
    pub cors: Option<Cors>,
    /// How the log is written.
    pub log: Option<Log>,
    /// Every limit.
    pub limits: Option<Limits>,
}

/// `identity.login.cookie_keys` and `handoff.keys`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum CookieKeys {
    /// Keys, the one that seals first.
    List(Vec<Secret>),
    /// One key, or where they are.
    Text(Secret),
}

/// `[[distribution]]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// The data host.
    pub host: Option<String>,
    /// The `Domain` of its cookies.
    pub cookie_domain: Option<String>,
    /// What all of its data lie under.
    pub path: Option<String>,
    /// Whether its cookies are set at this host itself.
    pub handoff: Option<bool>,
    /// Proxies on the way to the service by this host's name.
    pub trusted_hops: Option<u8>,
}

/// `[handoff]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Handoff {
    /// The keys that seal tokens, or `ssm:<name>`.
    pub keys: Option<CookieKeys>,
    /// A file that holds them.
    pub keys_file: Option<String>,
}

/// `[[rule]]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What logs and answers call it.
    pub name: Option<String>,
    /// Who is allowed.
    pub allow: Option<Allow>,
    /// What they may read.
    pub resources: Option<Vec<String>>,
    /// How long cookies live.
    pub lifetime: Option<Duration>,
    /// Whether cookies work only from the browser's IPv4 address.
    pub bind_ip: Option<bool>,
    /// Whether people with the same grant share one policy.
    pub share: Option<bool>,
    /// What people call the dataset.
    pub title: Option<String>,
    /// Where the viewer finds it.
    pub source: Option<String>,
    /// As which kind of layer the viewer shows it.
    pub layer: Option<String>,
}

/// `rule.allow`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Groups.
    pub groups: Option<Vec<String>>,
    /// Domains of verified e-mail addresses.
    pub email_domains: Option<Vec<String>>,
    /// Verified e-mail addresses.
    pub emails: Option<Vec<String>>,
    /// Subjects.
    pub subjects: Option<Vec<String>>,
    /// Everyone who is signed in.
    pub everyone: Option<bool>,
    /// Issuers whose people these are.
    pub issuers: Option<Vec<String>>,
}

/// `[keys]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// `dir:<folder>`, `credential:<name>` or `ssm:<path>`.
    pub source: Option<String>,
    /// `sha1` or `sha256`.
    pub hash: Option<String>,
    /// How often the source is asked for a change.
    pub poll_interval: Option<Duration>,
    /// How long keys go on signing while the source does not answer.
    pub max_outage: Option<Duration>,
}

/// `[rotation]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The ID of the trusted key group.
    pub key_group: Option<String>,
    /// A small private object that new keys are tried on.
    pub probe: Option<String>,
    /// Where each instance of the service answers `/readyz`.
    pub instances: Option<Vec<String>>,
    /// The load balancer's target group, to discover instances.
    pub target_group: Option<String>,
    /// The KMS key that encrypts private keys in Parameter Store.
    pub kms_key: Option<String>,
    /// How far clocks may differ.
    pub clock_skew: Option<Duration>,
}

/// `[viewer]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Viewer {
    /// Where the files of the bundle at `/` are.
    pub root: Option<String>,
    /// What renews cookies beneath the viewer.
    pub shim: Option<String>,
    /// Whether pages carry a content security policy.
    pub csp: Option<bool>,
    /// Other origins that scripts may come from.
    pub script_src: Option<Vec<String>>,
    /// Other origins whose pages may frame the viewer.
    pub frame_ancestors: Option<Vec<String>>,
    /// The path of the bundle that opens datasets.
    pub open_with: Option<String>,
    /// Further bundles.
    pub bundle: Option<Vec<ViewerBundle>>,
}

/// `[[viewer.bundle]]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ViewerBundle {
    /// Where its files are.
    pub root: Option<String>,
    /// The path that stands for its root.
    pub path: Option<String>,
    /// Under which of the site's names it is served.
    pub hosts: Option<Vec<String>>,
}

/// `[cors]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Exact origins.
    pub origins: Option<Vec<String>>,
}

/// `[log]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `json` or `plain`.
    pub format: Option<String>,
    /// `error`, `warn`, `info` or `debug`.
    pub level: Option<String>,
}

/// `[limits]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Connections open at once.
    pub connections: Option<u64>,
    /// Requests in work at once.
    pub requests: Option<u64>,
    /// Bytes of a request's head.
    pub header_bytes: Option<u64>,
    /// Bytes of a request's body.
    pub body_bytes: Option<u64>,
    /// From a request's first byte to its last header.
    pub header_timeout: Option<Duration>,
    /// From the last header to the end of the body.
    pub body_timeout: Option<Duration>,
    /// From the last header to the answer.
    pub request_timeout: Option<Duration>,
    /// From one request to the next.
    pub idle_timeout: Option<Duration>,
    /// From SIGTERM until no new connections are accepted.
    pub shutdown_delay: Option<Duration>,
    /// From then until requests still at work are cut.
    pub drain_timeout: Option<Duration>,
    /// Threads that sign.
    pub signing_threads: Option<u64>,
    /// Signatures waiting for a thread.
    pub signing_queue: Option<u64>,
    /// Sets of cookies in one answer.
    pub sets_per_answer: Option<u64>,
    /// Fetches of verification keys per minute.
    pub key_fetches_per_minute: Option<u64>,
    /// What one person may ask for in a minute.
    pub asks_per_minute_per_subject: Option<u64>,
    /// What one address may ask for in a minute.
    pub asks_per_minute_per_address: Option<u64>,
    /// Bytes of the viewer bundle.
    pub bundle_bytes: Option<u64>,
    /// Files of the viewer bundle.
    pub bundle_files: Option<u64>,
    /// Bytes of a file that stays on disk.
    pub stream_bytes: Option<u64>,
}
