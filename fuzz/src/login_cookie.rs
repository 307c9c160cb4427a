//! The login session in a browser: a `Cookie` header as it comes, or the JSON of a session to be sealed,
//! and below it perhaps an edit of the header made of it, such as `40 AAAA`: these bytes at this place.
//!
//! - What is opened, OpenSSL opens too, and it says the same.
//! - An edit of what was sealed is no session, unless it leaves the cookies' values.
//! - Nothing opens at another host, or by another key.
//! - Whatever arrives, what is removed is called as our cookies are.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edgemint::cookies::sealed::{CookieKey, CookieKeys, KEY_BYTES};
use edgemint::cookies::{Held, LoginSession, Sealing, cookie_pairs};
use openssl::symm::{Cipher, decrypt_aead};

const HOST: &str = "viewer.example.org";
const NAME: &str = "__Host-edgemint-login";
const KEY: [u8; KEY_BYTES] = [7; KEY_BYTES];
const NONCE: [u8; 12] = [9; 12];

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
    let (ours, another) = (keys(KEY), keys([8; KEY_BYTES]));
    let removed = LoginSession::removal(&pairs(header));
    assert!(removed.len() <= 4 && removed.iter().all(|line| line.starts_with(NAME)));
    let read = |keys, host| LoginSession::read(Sealing { keys, host }, &pairs(header));
    for elsewhere in [read(&another, HOST), read(&ours, "other.example.org")] {
        assert!(!matches!(elsewhere, Held::Session(_)), "opened elsewhere");
    }
    let Held::Session(session) = read(&ours, HOST) else { return false };
    let content = opened_by_openssl(header).expect("OpenSSL does not open it");
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

fn keys(bytes: [u8; KEY_BYTES]) -> CookieKeys {
    CookieKeys::new(vec![CookieKey::new(bytes)]).unwrap()
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

fn opened_by_openssl(header: &str) -> Option<Vec<u8>> {
    let parts = values(header)?.concat();
    let (_, sealed) = parts.split_once('.')?;
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let ([1], rest) = bytes.split_first_chunk::<1>()? else { return None };
    let (nonce, rest) = rest.split_first_chunk::<12>()?;
    let (content, tag) = rest.split_last_chunk::<16>()?;
    let place = format!("1\0{NAME}\0{HOST}");
    decrypt_aead(Cipher::aes_256_gcm(), &KEY, Some(nonce), place.as_bytes(), content, tag).ok()
}

fn edited(header: &str, edit: &str) -> Option<String> {
    let (at, text) = edit.trim_end().split_once(' ')?;
    let at = at.parse::<usize>().ok()?.min(header.len());
    let mut bytes = header.as_bytes().to_vec();
    let end = bytes.len().min(at.checked_add(text.len())?);
    bytes.splice(at..end, text.bytes());
    let edited = String::from_utf8(bytes).ok()?;
    (edited != header).then_some(edited)
}
