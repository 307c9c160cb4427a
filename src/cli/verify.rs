//! `edgemint verify`: would CloudFront allow this request?

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::files::read_pem;
use super::output::{note, say, say_json};
use super::{Done, time};
use crate::clock::{Clock as _, EpochSeconds, SystemClock, span};
use crate::signing::PublicKey;
use crate::signing::verify::{EdgeRequest, TrustedKeys, verify};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The public key that CloudFront trusts, a PEM file.
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// The URL that is asked for; a signed URL carries its own parameters.
    #[arg(long)]
    url: String,
    /// The Cookie header, such as 'CloudFront-Policy=…; CloudFront-Signature=…; …'.
    #[arg(long, value_name = "'NAME=VALUE; …'", default_value = "")]
    cookie: String,
    /// When it is asked for; now, if not given.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<EpochSeconds>,
    /// Where it is asked from.
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Done> {
    let path = &options.public_key;
    let pem = read_pem(path)?;
    let key = PublicKey::from_pem(&pem).with_context(|| path.display().to_string())?;
    if key.is_published() {
        note("warning: this is the published key of keys-example/; anyone can sign for it");
    }
    let cookies = options.cookie.trim();
    let request = EdgeRequest {
        url: &options.url,
        cookies: match cookies.get(..7) {
            Some(name) if name.eq_ignore_ascii_case("cookie:") => &cookies[7..],
            _ => cookies,
        },
        source: options.ip,
        now: options.at.unwrap_or_else(|| SystemClock.now()),
    };
    let outcome = verify(&request, &TrustedKeys::AnyId(Box::new(key)));
    match (&outcome, options.json) {
        (Ok(policy), false) => {
            let left = span(policy.expires().since(request.now));
            say(&format!(
                "allowed: {} until {}, {left} from now",
                policy.resource(),
                policy.expires()
            ));
        }
        (Err(denial), false) => say(&format!("403 {}: {denial}", denial.code())),
        (Ok(policy), true) => say_json(&json!({
            "allowed": true,
            "resource": policy.resource().as_str(),
            "expires_at": policy.expires().to_string(),
        }))?,
        (Err(denial), true) => say_json(&json!({
            "allowed": false,
            "code": denial.code(),
            "reason": denial.to_string(),
        }))?,
    }
    Ok(if outcome.is_ok() { Done::Yes } else { Done::No })
}
