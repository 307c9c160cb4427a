//! `edgemint check`: is this configuration right?

mod notes;

use clap::Args;
use serde_json::json;

use super::output::{say, say_json};
use super::{ConfigFile, Done};
use crate::access::{Allow, Rule};
use crate::bundle::{Bundle, Mount};
use crate::config::{
    Config, ConfigError, CspSources, Fronts, LoginFront, Provider, Shim, Viewer,
    process_environment,
};
use crate::policy::BaseUrl;
use crate::server::Snapshot;

/// How many of the names that are not served are told.
const MAX_SKIPPED: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Done> {
    let file = &options.file.config;
    let loaded = Snapshot::load(file, &process_environment());
    let problems = match &loaded {
        Ok(_) => Vec::new(),
        Err(error) => problems(error),
    };
    if options.json {
        let notes = loaded.as_ref().map_or_else(|_| Vec::new(), |read| notes::of(&read.config));
        say_json(&json!({ "ok": loaded.is_ok(), "problems": problems, "notes": notes }))?;
    } else {
        for problem in &problems {
            say(problem["text"].as_str().unwrap_or_default());
        }
    }
    let Ok(snapshot) = loaded else { return Ok(Done::No) };
    if !options.json {
        say(&format!("ok  {}", file.display()));
        describe(&snapshot);
    }
    Ok(Done::Yes)
}

fn problems(error: &ConfigError) -> Vec<serde_json::Value> {
    match error {
        ConfigError::Wrong(problems) => problems
            .iter()
            .map(|problem| {
                json!({
                    "place": problem.place,
                    "key": problem.key,
                    "message": problem.message,
                    "text": problem.to_string(),
                })
            })
            .collect(),
        ConfigError::Read { file, .. } => vec![json!({
            "place": file,
            "key": "",
            "message": error.to_string(),
            "text": error.to_string(),
        })],
    }
}

fn describe(snapshot: &Snapshot) {
    let config = &snapshot.config;
    line("viewer", config.site.public_url.as_str());
    for url in &config.site.other_urls {
        line("", &format!("{url}, the same viewer"));
    }
    for front in describe_fronts(&config.fronts) {
        line("front", &front);
    }
    if let Some(login) = &config.fronts.login {
        line("session", &describe_sessions(login));
    }
    for distribution in &config.distributions {
        let cookies = match (&distribution.cookie_domain, distribution.handoff) {
            (Some(domain), _) => format!("cookies with Domain={domain}"),
            (None, Some(_)) => "cookies for this host only, set there by handoff".to_owned(),
            (None, None) => "cookies for this host only".to_owned(),
        };
        line("data", &format!("{}, {cookies}", distribution.url_prefix()));
    }
    for rule in &config.rules {
        line("rule", &describe_rule(rule));
    }
    for origin in &config.cors.origins {
        line("origin", &format!("{origin}, whose scripts may ask for cookies"));
    }
    line("keys", &describe_keys(snapshot));
    describe_bundles(snapshot.bundles.mounts());
    if let Some(viewer) = &config.viewer {
        describe_viewer(viewer, config);
    }
    for note in notes::of(config) {
        line("note", &note);
    }
}

fn describe_bundles(mounts: &[Mount]) {
    if mounts.is_empty() {
        line("bundle", "none: files are served by something else");
    }
    for Mount { path, hosts, origin, bundle, .. } in mounts {
        let hosts =
            hosts.as_ref().map_or_else(String::new, |hosts| format!(" of {}", hosts.join(", ")));
        let holds = match bundle {
            Some(bundle) => describe_files(bundle),
            None => format!("{}, not read here", origin.source),
        };
        line("bundle", &format!("{holds}, at {path}{hosts}"));
    }
    let read = || mounts.iter().filter_map(|mount| mount.bundle.as_deref());
    for skipped in read().flat_map(Bundle::skipped).take(MAX_SKIPPED) {
        line("skipped", &skipped.to_string());
    }
    let skipped = read().map(|bundle| bundle.skipped().len()).sum::<usize>();
    if skipped > MAX_SKIPPED {
        line("skipped", &format!("and {} more", skipped - MAX_SKIPPED));
    }
}

fn describe_files(bundle: &Bundle) -> String {
    let (files, held) = (bundle.files().len(), bundle.bytes_in_memory());
    let streamed = match bundle.total_bytes() - held {
        0 => String::new(),
        bytes => format!(" and {} KB left on disk", bytes / 1024),
    };
    format!("{files} files, {} KB in memory{streamed}", held / 1024)
}

fn describe_viewer(viewer: &Viewer, config: &Config) {
    let shim = match viewer.shim {
        Shim::Inline => "first in every page and script",
        Shim::ServiceWorker => "first in every page and script, and a service worker",
        Shim::Off => {
            "off: nothing renews cookies in a page that is open, or sends them to another host"
        }
    };
    line("shim", shim);
    let csp = match &viewer.csp {
        Some(CspSources { script_src, frame_ancestors }) => {
            let scripts = list("scripts of this site", script_src);
            format!("{scripts}; {}", list("in frames of this site", frame_ancestors))
        }
        None => "off: pages run every script, and anybody may put them into a frame".to_owned(),
    };
    line("csp", &csp);
    if config.rules.iter().any(|rule| rule.dataset.is_some())
        && let Some(url) = viewer.opens_at(&config.site.public_url, &config.site)
    {
        line("opens", &format!("datasets of /session at {url}"));
    }
}

fn list(own: &str, others: &[BaseUrl]) -> String {
    others.iter().fold(own.to_owned(), |list, other| format!("{list}, {other}"))
}

/// Whose word is taken for who somebody is.
fn describe_fronts(fronts: &Fronts) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(alb) = &fronts.alb {
        lines.push(format!("load balancer {}", alb.expected.signers.join(", ")));
    }
    for front in &fronts.signed {
        let issuer = front.expected.issuer.as_deref().unwrap_or("any issuer");
        lines.push(format!("{}, {issuer}", front.front()));
    }
    if let Some(proxy) = &fronts.insecure_proxy {
        let peers: Vec<String> = proxy.peers.iter().map(ToString::to_string).collect();
        lines.push(format!("unsigned headers from {}, with the secret", peers.join(", ")));
    }
    for provider in fronts.login.iter().flat_map(|login| &login.providers) {
        let secret = provider.secret.as_ref();
        let secret = secret.map_or_else(|| "no secret".to_owned(), |at| format!("secret: {at}"));
        let Provider { name, issuer, client, .. } = provider;
        lines.push(format!("our own sign-in at {name}, {issuer}, as {client}, {secret}"));
    }
    lines
}

fn describe_sessions(login: &LoginFront) -> String {
    format!(
        "{}, asked about again every {}; cookie keys: {}",
        span(login.lifetime),
        span(login.recheck),
        login.cookie_keys
    )
}

/// Seconds, in the largest unit that divides them.
fn span(seconds: u64) -> String {
    match seconds {
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

fn describe_keys(snapshot: &Snapshot) -> String {
    let keys = &snapshot.config.keys;
    let Some(ring) = &snapshot.ring else { return format!("{}, not read here", keys.source) };
    let (id, key) = (&ring.active.id, &ring.active.key);
    format!("{id} signs, {}, {}", key.public().kind(), keys.hash)
}

fn line(label: &str, text: &str) {
    say(&format!("    {label:<8}{text}"));
}

fn describe_rule(rule: &Rule) -> String {
    let Allow { groups, email_domains, emails, subjects, everyone, issuers } = &rule.allow;
    let mut who = Vec::new();
    for (kind, names) in [
        ("groups", groups),
        ("e-mail at", email_domains),
        ("e-mail", emails),
        ("subjects", subjects),
    ] {
        if !names.is_empty() {
            who.push(format!("{kind} {}", names.join(", ")));
        }
    }
    if *everyone {
        who.push("everyone signed in".to_owned());
    }
    let of = issuers.as_ref().map(|issuers| format!(" of {}", issuers.join(", ")));
    let resources: Vec<String> = rule.resources.iter().map(ToString::to_string).collect();
    let bound = if rule.bind_ip { ", bound to the browser's IPv4 address" } else { "" };
    format!(
        "{}: {}{} may read {} for {}{bound}",
        rule.name,
        who.join("; "),
        of.unwrap_or_default(),
        resources.join(" "),
        rule.lifetime
    )
}
