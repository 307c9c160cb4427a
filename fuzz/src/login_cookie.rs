//! The login session in a browser: a `Cookie` header as it comes, or the JSON of a session to be sealed,
//! and below it perhaps an edit of the header made of it, such as `40 AAAA`: these bytes at this place.
//!
//! - What is opened, OpenSSL opens too, and it says the same.
//! - An edit of what was sealed is no session, unless it leaves the cookies' values.
//! - Nothing opens at another host, or by another key.
//! - Whatever arrives, what is removed is called as our cookies are.

use std::collections::BTreeMap;

use edgemint::cookies::{Held, LoginSession, Sealing, cookie_pairs};

use super::sealed::{KEY, NONCE, OTHER_KEY, edited, keys, opened_by_openssl};

const HOST: &str = "viewer.example.org";
const NAME: &str = "__Host-edgemint-login";

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    if !text.starts_with('{') {
        return judge(text.trim_end());
    }
    let (json, edit) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(session) = serde_json::from_str::<LoginSession>(json) else { return false };
    let keys = keys(KEY);
    let sealing = Sealing { keys: &keys, host: HOST };
    let Ok(lines) = session.lines(sealing, NONCE, 3600, &[]) else { return false };
    assert!(lines.iter().all(|line| line.len() <= 4096 && line.is_ascii()), "a browser drops it");
    let kept: Vec<&str> = lines.iter().filter_map(|line| line.split(';').next()).collect();
    let header = kept.join("; ");
    assert_eq!(LoginSession::read(sealing, &pairs(&header)), Held::Session(session.into()));
    let Some(edited) = edited(&header, edit) else { return judge(&header) };
    let opened = judge(&edited);
    assert!(!opened || values(&edited) == values(&header), "{edited}");
    opened
}

fn judge(header: &str) -> bool {
    let (ours, another) = (keys(KEY), keys(OTHER_KEY));
    let removed = LoginSession::removal(&pairs(header));
    assert!(removed.len() <= 4 && removed.iter().all(|line| line.starts_with(NAME)));
    let read = |keys, host| LoginSession::read(Sealing { keys, host }, &pairs(header));
    for elsewhere in [read(&another, HOST), read(&ours, "other.example.org")] {
        assert!(!matches!(elsewhere, Held::Session(_)), "opened elsewhere");
    }
    let Held::Session(session) = read(&ours, HOST) else { return false };
    let parts = values(header).unwrap_or_default().concat();
    let (_, sealed) = parts.split_once('.').unwrap_or_default();
    let content = opened_by_openssl(sealed, NAME, HOST).expect("OpenSSL does not open it");
    let content: serde_json::Value = serde_json::from_slice(&content).unwrap();
    assert_eq!(content["v"], 1);
    assert_eq!(content["subject"], session.subject.as_str());
    assert_eq!(content["issuer"], session.issuer.as_str());
    assert_eq!(content["signed_in"], session.signed_in.0);
    true
}

fn pairs(header: &str) -> Vec<(&str, &str)> {
    cookie_pairs(header).collect()
}

/// The values of the parts, by name; the first says how many there are.
fn values(header: &str) -> Option<Vec<&str>> {
    let held: BTreeMap<&str, &str> = cookie_pairs(header).collect();
    let first = held.get(format!("{NAME}-0").as_str())?;
    let (count, _) = first.split_once('.')?;
    (0..count.parse::<usize>().ok().filter(|count| *count <= 4)?)
        .map(|at| held.get(format!("{NAME}-{at}").as_str()).copied())
        .collect()
}
