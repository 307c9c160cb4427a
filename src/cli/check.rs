//! `edgemint check`: is this configuration right?

use clap::Args;
use serde_json::json;

use super::output::{say, say_json};
use super::{ConfigFile, Done};
use crate::access::{Allow, Rule};
use crate::config::{Config, ConfigError, Fronts, process_environment};
use crate::server::{Snapshot, SnapshotError};

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
        say_json(&json!({ "ok": loaded.is_ok(), "problems": problems }))?;
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

fn problems(error: &SnapshotError) -> Vec<serde_json::Value> {
    match error {
        SnapshotError::Config(ConfigError::Wrong(problems)) => problems
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
        other => vec![json!({ "message": other.to_string(), "text": other.to_string() })],
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
    for distribution in &config.distributions {
        let cookies = distribution.cookie_domain.as_ref().map_or_else(
            || "cookies for this host only".to_owned(),
            |domain| format!("cookies with Domain={domain}"),
        );
        line("data", &format!("{}, {cookies}", distribution.base));
    }
    for rule in &config.rules {
        line("rule", &describe_rule(rule));
    }
    for origin in &config.cors.origins {
        line("origin", &format!("{origin}, whose scripts may ask for cookies"));
    }
    line("keys", &describe_keys(snapshot));
    match &snapshot.bundle {
        Some(bundle) => line(
            "bundle",
            &format!(
                "{} files, {} KB in memory",
                bundle.files().len(),
                bundle.total_bytes() / 1024
            ),
        ),
        None => line("bundle", "none: files are served by something else"),
    }
    for skipped in snapshot.bundle.iter().flat_map(|bundle| bundle.skipped()).take(20) {
        line("skipped", &skipped.to_string());
    }
    for advice in advice(config) {
        line("note", &advice);
    }
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
        lines.push(format!("our own sign-in at {}, {}", provider.name, provider.issuer));
    }
    lines
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

/// What is not wrong, but surprises people.
fn advice(config: &Config) -> Vec<String> {
    let mut advice = Vec::new();
    if config.distributions.iter().any(|distribution| distribution.cookie_domain.is_none()) {
        advice.push(
            "data is served from the viewer's own host: HTML in it would run as the viewer, so let \
             every data answer carry Content-Security-Policy: sandbox; default-src 'none'"
                .to_owned(),
        );
    }
    for origin in config.cors.of_other_sites(&config.site.public_url) {
        advice.push(format!(
            "{origin} is another site than {}: browsers send no sign-in from there, and keep no cookies",
            config.site.public_url
        ));
    }
    if config.rules.iter().any(|rule| rule.bind_ip) {
        advice.push(
            "rules bind cookies to an IPv4 address: do not enable IPv6 on that distribution"
                .to_owned(),
        );
    }
    advice.push(
        "let CloudFront list the bucket (s3:ListBucket), so that absent objects are 404 and not 403"
            .to_owned(),
    );
    advice
}
