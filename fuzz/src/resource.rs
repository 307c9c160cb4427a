//! Resources: a pattern, and below it a URL, a subject and an e-mail address, a line each.
//!
//! - A resource matches exactly what the table of all its beginnings and those of the URL says.
//! - A site's base URL is the origin that browsers send, a path prefix the path that they send.
//! - A rule's resource, filled in with claims, opens nothing beside its own segments.

use std::net::IpAddr;

use edgemint::access::{Allow, Lifetime, Opened, PathPrefix, ResourceTemplate, Rule, decide};
use edgemint::identity::{Email, Identity, Subject};
use edgemint::policy::{BaseUrl, MAX_RESOURCE_BYTES, Resource};
use percent_encoding::percent_decode_str;
use url::{Position, Url};

use super::{NOW, person};

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (pattern, url, subject, email) = (line(), line(), line(), line());
    check_base_url(pattern);
    check_prefix(pattern);
    let template = ResourceTemplate::parse(pattern);
    if let (Ok(template), Ok(subject)) = (template, Subject::parse(subject)) {
        assert_eq!(template.to_string(), pattern);
        check_filled(pattern, template, url, subject, Email::parse(email, true));
    }
    check_resource(pattern, url)
}

fn check_resource(pattern: &str, url: &str) -> bool {
    let Ok(resource) = Resource::parse(pattern) else { return false };
    assert_eq!(resource.as_str(), pattern);
    assert!(pattern.len() <= MAX_RESOURCE_BYTES);
    let refused = |c: char| c == '"' || c == '\\' || c.is_control() || c.is_whitespace();
    assert!(!pattern.contains(refused), "it could leave its JSON string");
    assert_eq!(resource.matches(url), matches(pattern.as_bytes(), url.as_bytes()));
    // A star or a question mark in the host would open sites of strangers.
    let (_, rest) = pattern.split_once("://").unwrap();
    let host = rest.split(['/', ':']).next().unwrap();
    assert!(!host.is_empty() && !host.contains(['*', '?', '@', '#']), "{host}");
    true
}

/// `row[j]`: whether the pattern so far matches the first `j` bytes of the text.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for byte in pattern {
        let mut next = vec![false; text.len() + 1];
        next[0] = *byte == b'*' && row[0];
        for (j, character) in text.iter().enumerate() {
            next[j + 1] = match byte {
                b'*' => next[j] || row[j + 1],
                b'?' => row[j],
                other => row[j] && other == character,
            };
        }
        row = next;
    }
    row[text.len()]
}

fn check_base_url(text: &str) {
    let Ok(base) = BaseUrl::parse(text) else { return };
    let url = Url::parse(text).unwrap();
    assert_eq!(url.origin().ascii_serialization(), text);
    assert_eq!(url.host_str(), Some(base.host()));
    assert!(url.scheme() == "https" || base.is_loopback_name(), "plain http on a network");
}

fn check_prefix(text: &str) {
    let Ok(prefix) = PathPrefix::parse(text) else { return };
    let url = Url::parse(&format!("https://h.org{prefix}x")).unwrap();
    assert_eq!(url.path(), format!("{text}x"));
}

fn check_filled(
    pattern: &str,
    template: ResourceTemplate,
    url: &str,
    subject: Subject,
    email: Option<Email>,
) {
    let identity = person(subject, email);
    let rule = Rule {
        name: "rule".to_owned(),
        allow: Allow { everyone: true, ..Allow::default() },
        resources: vec![template],
        lifetime: Lifetime::DEFAULT,
        bind_ip: false,
        share: true,
        dataset: None,
    };
    let Ok(grant) = decide(&identity, &[rule], None::<IpAddr>, NOW) else { return };
    let [opened] = grant.opened() else { panic!("one resource opens {:?}", grant.opened()) };
    check_segments(pattern, &opened.resource(), &identity);
    check_cover(opened, url);
}

/// Segment by segment the same, and a placeholder is one segment that says the claim.
fn check_segments(pattern: &str, filled: &str, identity: &Identity) {
    assert_eq!(pattern.split('/').count(), filled.split('/').count(), "{filled}");
    for (segment, filled) in pattern.split('/').zip(filled.split('/')) {
        let claim = match segment {
            "{subject}" => identity.subject.as_str(),
            "{email}" => identity.email.as_ref().unwrap().address(),
            _ => {
                assert_eq!(segment, filled);
                continue;
            }
        };
        assert_eq!(percent_decode_str(filled).decode_utf8().unwrap(), claim);
        assert!(!filled.contains(['*', '?', '#', '"', '\\', ';', ',']), "{filled}");
        assert!(!matches!(filled, "" | "." | ".."));
    }
}

/// The grant and the signed policy say the same about a URL as a browser sends it.
fn check_cover(opened: &Opened, url: &str) {
    let Ok(url) = Url::parse(url) else { return };
    let sent = format!(
        "{}{}",
        url.origin().ascii_serialization(),
        &url[Position::BeforePath..Position::AfterQuery]
    );
    let resource = Resource::parse(&opened.resource()).unwrap();
    assert_eq!(opened.covers(&url), resource.matches(&sent), "{resource} {sent}");
}
