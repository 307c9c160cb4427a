//! `[identity.insecure_proxy]`: a proxy that signs nothing.

use std::net::IpAddr;

use ipnet::IpNet;

use super::hosts::{self, Hosts};
use super::logout::{self, LogoutUrl};
use super::raw;
use super::site::Site;
use super::source::Problems;
use crate::identity::insecure_proxy::SecretDigest;

/// A proxy that signs nothing, and how it is told from everybody else.
#[derive(Clone, Debug)]
pub struct InsecureProxy {
    /// Where it connects from.
    pub peers: Vec<IpNet>,
    /// The digest of the secret that it sends along.
    pub secret: SecretDigest,
    /// The header that carries the secret.
    pub secret_header: String,
    /// Whose name for people its subjects are.
    pub issuer: String,
    /// The header that carries the subject.
    pub subject_header: String,
    /// The header that carries the e-mail address.
    pub email_header: String,
    /// The header that carries groups.
    pub groups_header: String,
    /// Domains whose addresses count as verified.
    pub verified_email_domains: Vec<String>,
    /// Where browsers go on to at sign-out.
    pub logout_url: Option<LogoutUrl>,
    /// Where it is believed.
    pub hosts: Hosts,
}

impl InsecureProxy {
    /// Whether a connection comes from the proxy.
    #[must_use]
    pub fn is_at(&self, peer: IpAddr) -> bool {
        self.peers.iter().any(|range| range.contains(&peer.to_canonical()))
    }
}

const KEY: &str = "identity.insecure_proxy";

/// Headers that browsers and proxies send of themselves.
const TAKEN: [&str; 5] = ["authorization", "cookie", "forwarded", "host", "x-forwarded-for"];

pub(super) fn check(
    raw: raw::InsecureProxy,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Option<InsecureProxy> {
    let peers = check_peers(raw.peers, problems);
    let secret = problems
        .require(
            &format!("{KEY}.secret_sha256"),
            raw.secret_sha256,
            "secret_sha256 = \"2bb80d53…\"",
        )
        .and_then(|text| check_digest(&text, problems));
    let issuer = raw.issuer.filter(|issuer| !issuer.is_empty());
    let example = "issuer = \"https://login.example.org\"; it tells people of the same name apart who are \
                   vouched for by others";
    let issuer = problems.require(&format!("{KEY}.issuer"), issuer, example);
    let mut name = |key: &str, given: Option<String>, default: &str| {
        check_header(&format!("{KEY}.{key}"), given.unwrap_or_else(|| default.to_owned()), problems)
    };
    let secret_header = name("secret_header", raw.secret_header, "x-edgemint-proxy-secret");
    let subject_header = name("subject_header", raw.subject_header, "x-forwarded-user");
    let email_header = name("email_header", raw.email_header, "x-forwarded-email");
    let groups_header = name("groups_header", raw.groups_header, "x-forwarded-groups");
    let logout_url = logout::check(KEY, raw.logout_url, site, problems);
    let hosts = hosts::check(&format!("{KEY}.hosts"), raw.hosts.as_ref(), site, problems);
    let domains = raw.verified_email_domains.unwrap_or_default();
    Some(InsecureProxy {
        peers: peers?,
        secret: secret?,
        secret_header: secret_header?,
        issuer: issuer?,
        subject_header: subject_header?,
        email_header: email_header?,
        groups_header: groups_header?,
        verified_email_domains: domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        logout_url,
        hosts: hosts?,
    })
}

fn check_peers(peers: Option<Vec<String>>, problems: &mut Problems) -> Option<Vec<IpNet>> {
    let key = format!("{KEY}.peers");
    let peers = problems.require(
        &key,
        peers.filter(|peers| !peers.is_empty()),
        "peers = [\"10.0.0.7\"]",
    )?;
    let mut ranges = Vec::new();
    for (at, text) in peers.iter().enumerate() {
        let range = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match range {
            Ok(range) if range.prefix_len() == 0 => {
                problems.add(format!("{key}[{at}]"), "everybody is no pinned peer");
            }
            Ok(range) => ranges.push(range),
            Err(_) => problems.add(
                format!("{key}[{at}]"),
                format!("{text:?} is no address or range, such as 10.0.0.7 or 10.0.0.0/28"),
            ),
        }
    }
    Some(ranges)
}

fn check_digest(text: &str, problems: &mut Problems) -> Option<SecretDigest> {
    let digest = SecretDigest::parse(text);
    if digest.is_none() {
        problems.add(
            format!("{KEY}.secret_sha256"),
            "64 hexadecimal digits, as `printf %s SECRET | sha256sum` prints; make the secret with \
             `openssl rand -hex 32`",
        );
    }
    digest
}

fn check_header(key: &str, name: String, problems: &mut Problems) -> Option<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.is_empty() && name.bytes().all(plain) && !TAKEN.contains(&name.as_str()) {
        return Some(name);
    }
    problems
        .add(key, format!("{name:?}: a header of the proxy's own, in small letters, digits and -"));
    None
}
