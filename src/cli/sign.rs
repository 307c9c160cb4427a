//! `edgemint sign`: cookies or a URL, with a private key at hand.
//!
//! Takes the flags of the AWS CLI's `cloudfront sign-cookies` and `cloudfront sign`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use ipnet::Ipv4Net;
use serde_json::{Map, Value};

use super::files::read_pem;
use super::output::{note, say, say_json};
use super::{Done, time};
use crate::access::Grant;
use crate::clock::{Clock as _, EpochSeconds, SystemClock};
use crate::cookies::{cookie_file, cookie_header, named_values};
use crate::policy::{Custom, Policy, Resource, parse_source_ip};
use crate::signing::{HashAlgorithm, KeyPairId, PrivateKey, SignedPolicy, SigningKey, sign};

/// What to sign.
#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// Print signed cookies for a URL or a pattern with `*`.
    Cookies {
        #[command(flatten)]
        policy: Options,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
    },
    /// Print a signed URL.
    Url {
        #[command(flatten)]
        policy: Options,
        /// The URL to open, if --resource is a pattern that covers it.
        #[arg(long)]
        url: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The URL to open, or a pattern such as 'https://data.example.org/lab-a/*'.
    #[arg(long, value_name = "URL")]
    resource: String,
    /// The public key ID that CloudFront shows for the key.
    #[arg(long, value_name = "ID")]
    key_pair_id: KeyPairId,
    /// The private key, a PEM file (PKCS#1, PKCS#8 or SEC1).
    #[arg(long, value_name = "FILE")]
    private_key: PathBuf,
    /// When it ends: 2026-01-31, 2026-01-31T12:00:00, with an offset, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    date_less_than: EpochSeconds,
    /// When it begins; needs a custom policy.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    date_greater_than: Option<EpochSeconds>,
    /// The IPv4 address or range that may read; needs a custom policy.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_range)]
    ip_address: Option<Ipv4Net>,
    /// SHA1, CloudFront's default, or SHA256, which adds a fourth cookie.
    #[arg(long, value_name = "NAME", default_value = "SHA1")]
    hash_algorithm: HashAlgorithm,
}

/// How cookies are printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    /// A map from name to value.
    Json,
    /// A `Cookie:` line.
    Header,
    /// Arguments for curl.
    Curl,
    /// A cookie file for curl, wget and Python.
    Netscape,
}

pub(super) fn run(what: &What) -> anyhow::Result<Done> {
    match what {
        What::Cookies { policy, format } => print_cookies(&signed(policy)?, *format)?,
        What::Url { policy, url } => {
            let signed = signed(policy)?;
            let url = url.as_deref().unwrap_or(&policy.resource);
            Resource::parse(url).context("--url")?;
            anyhow::ensure!(!url.contains('#'), "a URL's fragment never reaches CloudFront: {url}");
            anyhow::ensure!(
                !url.contains('*'),
                "--resource is a pattern: name the one URL to open with --url"
            );
            anyhow::ensure!(
                signed.policy().resource().matches(url),
                "{} does not cover {url}",
                policy.resource
            );
            say(&signed_url(url, &signed));
        }
    }
    Ok(Done::Yes)
}

fn signed(options: &Options) -> anyhow::Result<SignedPolicy> {
    let key = read_key(options)?;
    if options.date_less_than <= SystemClock.now() {
        note("warning: --date-less-than is in the past; CloudFront will refuse this");
    }
    let resource = Resource::parse(&options.resource).context("--resource")?;
    let grant = Grant::by_operator(resource.clone());
    let needs_custom = resource.has_wildcard()
        || options.date_greater_than.is_some()
        || options.ip_address.is_some();
    let policy = if needs_custom {
        Policy::custom(Custom {
            resource,
            expires: options.date_less_than,
            starts: options.date_greater_than,
            source_ip: options.ip_address,
        })?
    } else {
        Policy::canned(resource, options.date_less_than)?
    };
    Ok(sign(&grant, policy, &key, options.hash_algorithm)?)
}

fn read_key(options: &Options) -> anyhow::Result<SigningKey> {
    let given = &options.private_key;
    // The AWS CLI wants file:// in front.
    let path = given.to_str().and_then(|text| text.strip_prefix("file://")).map(PathBuf::from);
    let path = path.as_ref().unwrap_or(given);
    let pem = read_pem(path)?;
    let key = PrivateKey::from_pem(&pem).with_context(|| path.display().to_string())?;
    if key.public().is_published() {
        note("warning: this is the published key of keys-example/; anyone can sign with it");
    }
    Ok(SigningKey { id: options.key_pair_id.clone(), key: Arc::new(key) })
}

fn print_cookies(signed: &SignedPolicy, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => {
            let map: Map<String, Value> = named_values(signed)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), Value::String(value)))
                .collect();
            say_json(&map)?;
        }
        Format::Header => say(&format!("Cookie: {}", cookie_header(signed))),
        Format::Curl => say(&format!("--cookie '{}'", cookie_header(signed))),
        Format::Netscape => say(cookie_file([signed]).trim_end()),
    }
    Ok(())
}

/// The order of AWS's own signers: policy or expiry, signature, key, digest.
fn signed_url(url: &str, signed: &SignedPolicy) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    let parameters: Vec<String> = named_values(signed)
        .iter()
        .map(|(name, value)| format!("{}={value}", name.trim_start_matches("CloudFront-")))
        .collect();
    format!("{url}{separator}{}", parameters.join("&"))
}

fn parse_range(text: &str) -> Result<Ipv4Net, String> {
    parse_source_ip(text).map_err(|_| {
        "write an IPv4 address or range, such as 192.0.2.10 or 192.0.2.0/24; CloudFront knows no \
         IPv6 here"
            .to_owned()
    })
}
