//! What a browser keeps sealed: the keys of the targets, edits, and OpenSSL's opinion.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edgemint::cookies::sealed::{CookieKey, CookieKeys, KEY_BYTES};
use openssl::symm::{Cipher, decrypt_aead};

pub(super) const KEY: [u8; KEY_BYTES] = [7; KEY_BYTES];
pub(super) const OTHER_KEY: [u8; KEY_BYTES] = [8; KEY_BYTES];
pub(super) const NONCE: [u8; 12] = [9; 12];

pub(super) fn keys(bytes: [u8; KEY_BYTES]) -> CookieKeys {
    CookieKeys::new(vec![CookieKey::new(bytes)]).unwrap()
}

pub(super) fn opened_by_openssl(sealed: &str, name: &str, host: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let ([1], rest) = bytes.split_first_chunk::<1>()? else { return None };
    let (nonce, rest) = rest.split_first_chunk::<12>()?;
    let (content, tag) = rest.split_last_chunk::<16>()?;
    let place = format!("1\0{name}\0{host}");
    decrypt_aead(Cipher::aes_256_gcm(), &KEY, Some(nonce), place.as_bytes(), content, tag).ok()
}

/// A text after an edit such as `40 AAAA`: these bytes at this place. `None` if nothing changes.
pub(super) fn edited(text: &str, edit: &str) -> Option<String> {
    let (at, new) = edit.trim_end().split_once(' ')?;
    let at = at.parse::<usize>().ok()?.min(text.len());
    let mut bytes = text.as_bytes().to_vec();
    let end = bytes.len().min(at.checked_add(new.len())?);
    bytes.splice(at..end, new.bytes());
    let edited = String::from_utf8(bytes).ok()?;
    (edited != text).then_some(edited)
}
