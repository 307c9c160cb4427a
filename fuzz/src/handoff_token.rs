//! A handoff token as it comes, or the JSON of one to be sealed; in the line below it perhaps an edit of the
//! token made of it; and below that a `Cookie` header with marks.
//!
//! - What is opened, OpenSSL opens too, and it says the same. It is not older than a minute, and speaks of
//!   nobody whose identity has ended.
//! - What was opened and is sealed again says the same.
//! - An edit of a token is none; nothing opens at another host, or by another key.
//! - Whatever cookies arrive, nothing is removed but marks.

use edgemint::clock::EpochSeconds;
use edgemint::cookies::sealed::{Place, seal};
use edgemint::cookies::{
    Errand, HANDOFF_LIFETIME, Handoff, HandoffError, Mark, Sealing, cookie_pairs,
};

use super::NOW;
use super::sealed::{KEY, NONCE, OTHER_KEY, edited, keys, opened_by_openssl};

const HOST: &str = "data-b.example.org";
const PURPOSE: &str = "edgemint handoff token";
const MARK: &str = "__Secure-edgemint-handoff-";

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let (edit, header) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    judge_removal(header);
    if !first.starts_with('{') {
        return judge(first);
    }
    let place = Place { name: PURPOSE, host: HOST };
    let token = seal(&keys(KEY), place, first.as_bytes(), NONCE).unwrap();
    let Some(edited) = edited(&token, edit) else { return judge(&token) };
    assert!(!judge(&edited), "{edited}");
    false
}

fn judge(token: &str) -> bool {
    let (ours, another) = (keys(KEY), keys(OTHER_KEY));
    let open = |keys, host, at| Handoff::open(Sealing { keys, host }, token, at);
    for elsewhere in [open(&another, HOST, NOW), open(&ours, "data-c.example.org", NOW)] {
        assert_eq!(elsewhere, Err(HandoffError::Unreadable), "opened elsewhere");
    }
    let Ok(handoff) = open(&ours, HOST, NOW) else { return false };
    let content = opened_by_openssl(token, PURPOSE, HOST).expect("OpenSSL does not open it");
    let content: serde_json::Value = serde_json::from_slice(&content).unwrap();
    assert_eq!(content["from"], handoff.from.as_str());
    assert_eq!(content["origin"], handoff.origin.as_str());
    assert_eq!(content["made"], handoff.made.0);
    let end = handoff.made.plus(HANDOFF_LIFETIME);
    assert!(NOW < end && handoff.made <= NOW.plus(30));
    assert_eq!(open(&ours, HOST, end), Err(HandoffError::Expired));
    match &handoff.errand {
        Errand::Issue { identity, .. } => {
            assert!(identity.expires > NOW);
            assert_eq!(content["person"]["subject"], identity.subject.as_str());
            // One that ends before the token was made is only sealed for whom each request is vouched anew.
            if identity.expires > handoff.made {
                sealed_again(&handoff);
            }
        }
        Errand::Clear | Errand::SignOut => {
            assert!(content["person"].is_null());
            assert_eq!(content["signed_out"], handoff.errand == Errand::SignOut);
            sealed_again(&handoff);
        }
    }
    true
}

fn sealed_again(handoff: &Handoff) {
    let keys = keys(KEY);
    let sealing = Sealing { keys: &keys, host: HOST };
    // The longest may grow beyond what any token has, by fields that were left out.
    let Some(token) = handoff.seal(sealing, [1; 12]) else { return };
    let at = EpochSeconds(handoff.made.0.max(NOW.0));
    assert_eq!(Handoff::open(sealing, &token, at).as_ref(), Ok(handoff));
}

fn judge_removal(header: &str) {
    let lines = Mark::removal(cookie_pairs(header), "example.org");
    assert!(lines.len() <= 128);
    for line in lines {
        let (name, attributes) = line.split_once("=; ").unwrap();
        assert!(name.starts_with(MARK) && name.is_ascii() && header.contains(name), "{line}");
        assert_eq!(
            attributes,
            "HttpOnly; SameSite=Strict; Secure; Path=/session/handoff; Domain=example.org; Max-Age=0"
        );
    }
}
