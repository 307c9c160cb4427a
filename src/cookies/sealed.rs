//! Sealed text: what a browser keeps for this service and can neither read nor change.
//!
//! AES-256-GCM (NIST SP 800-38D) under a random nonce of 96 bits. The cookie's name and the host
//! are authenticated with it, so that no sealed text can stand in for another. A key may seal 2³² times
//! (section 8.3 there); `edgemint keys cookie` puts a new one first long before.
//!
//! Whatever cannot be opened is absence: a stranger's bytes, a key that is gone, another host's cookie.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, UnboundKey};
use aws_lc_rs::digest::{self, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// The most keys that are accepted: the one that seals, and the one that did before.
pub const MAX_KEYS: usize = 2;

/// The longest sealed text that is opened, in characters.
pub const MAX_SEALED: usize = 16 * 1024;

/// The format; a text of another one is not opened.
const VERSION: u8 = 1;

const TAG_BYTES: usize = 16;

/// A number used once for each sealing under a key: random bytes.
pub type Nonce = [u8; NONCE_LEN];

/// A key that seals cookies.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieKey(Zeroizing<[u8; KEY_BYTES]>);

/// The keys that open cookies; the first one seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieKeys(Vec<CookieKey>);

/// What a sealed text is for.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The cookie's name.
    pub name: &'a str,
    /// The host, with its port if it has one, that alone gets the cookie back.
    pub host: &'a str,
}

/// Why a text is no list of keys. Never holds a part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CookieKeyError {
    /// Not 32 bytes in base64url.
    #[error(
        "a cookie key is 32 random bytes in base64url (43 characters); make one: edgemint keys cookie"
    )]
    Key,
    /// None.
    #[error("there is no cookie key; make one: edgemint keys cookie")]
    None,
    /// Too many.
    #[error(
        "there are more than {MAX_KEYS} cookie keys: the one that seals, and the one before it"
    )]
    TooMany,
    /// The same key twice.
    #[error("the two cookie keys are the same one")]
    Twice,
}

impl CookieKey {
    /// Takes random bytes as a key.
    #[must_use]
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads a key as it is written in files.
    ///
    /// # Errors
    /// [`CookieKeyError::Key`].
    pub fn parse(text: &str) -> Result<Self, CookieKeyError> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
        let bytes = Zeroizing::new(bytes.map_err(|_| CookieKeyError::Key)?);
        let bytes = <[u8; KEY_BYTES]>::try_from(bytes.as_slice());
        bytes.map(Self::new).map_err(|_| CookieKeyError::Key)
    }

    /// The key as it is written in files: base64url without padding.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }

    /// A name for the key that may be shown: the first eight hexadecimal digits of a digest of it.
    #[must_use]
    pub fn id(&self) -> String {
        let mut text = digest::Context::new(&SHA256);
        text.update(b"edgemint cookie key\0");
        text.update(self.0.as_slice());
        let digest = text.finish();
        let start = digest.as_ref().first_chunk().copied().unwrap_or_default();
        format!("{:08x}", u32::from_be_bytes(start))
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, self.0.as_slice()).ok().map(LessSafeKey::new)
    }
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey(…)")
    }
}

impl CookieKeys {
    /// Keys, the one that seals first.
    ///
    /// # Errors
    /// [`CookieKeyError`] when there are none, too many, or one twice.
    pub fn new(keys: Vec<CookieKey>) -> Result<Self, CookieKeyError> {
        match keys.as_slice() {
            [] => Err(CookieKeyError::None),
            [first, second] if first == second => Err(CookieKeyError::Twice),
            keys if keys.len() > MAX_KEYS => Err(CookieKeyError::TooMany),
            _ => Ok(Self(keys)),
        }
    }

    /// Reads one key per line; empty lines and what follows a `#` are passed over.
    ///
    /// # Errors
    /// [`CookieKeyError`].
    pub fn parse(text: &str) -> Result<Self, CookieKeyError> {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let keys = lines.filter(|line| !line.is_empty()).map(CookieKey::parse);
        Self::new(keys.collect::<Result<_, _>>()?)
    }

    /// The key that seals.
    #[must_use]
    pub fn first(&self) -> &CookieKey {
        &self.0[0]
    }

    /// The key that only opens, if there is one.
    #[must_use]
    pub fn second(&self) -> Option<&CookieKey> {
        self.0.get(1)
    }

    /// The keys as they are written in files: one per line.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.0.len() * (KEY_BYTES * 2)));
        for key in &self.0 {
            text.push_str(&key.to_text());
            text.push('\n');
        }
        text
    }
}

/// Seals a text for one place. Nothing but a broken library makes this `None`.
#[must_use]
pub fn seal(keys: &CookieKeys, place: Place<'_>, text: &[u8], nonce: Nonce) -> Option<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + TAG_BYTES));
    bytes.extend_from_slice(text);
    let once = aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce);
    keys.first().cipher()?.seal_in_place_append_tag(once, bound_to(place), &mut *bytes).ok()?;
    let mut sealed = vec![VERSION];
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&bytes);
    Some(URL_SAFE_NO_PAD.encode(sealed))
}

/// Opens a sealed text, if one of the keys sealed it for this place.
#[must_use]
pub fn open(keys: &CookieKeys, place: Place<'_>, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
    if sealed.len() > MAX_SEALED {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
    if *version != VERSION {
        return None;
    }
    keys.0.iter().find_map(|key| {
        let mut text = Zeroizing::new(sealed.to_vec());
        let once = aws_lc_rs::aead::Nonce::assume_unique_for_key(*nonce);
        let length = key.cipher()?.open_in_place(once, bound_to(place), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    })
}

/// A name holds no zero byte, so no name and host read like others.
fn bound_to(place: Place<'_>) -> Aad<String> {
    Aad::from(format!("{VERSION}\0{}\0{}", place.name, place.host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { name: "__Host-a", host: "viewer.example.org" };

    fn keys(first: u8, second: Option<u8>) -> CookieKeys {
        let keys = [Some(first), second].into_iter().flatten();
        CookieKeys::new(keys.map(|byte| CookieKey::new([byte; KEY_BYTES])).collect()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_only() {
        let sealed = seal(&keys(1, None), PLACE, b"content", [7; 12]).unwrap();
        assert_eq!(open(&keys(1, None), PLACE, &sealed).unwrap().as_slice(), b"content");
        for place in [
            Place { name: "__Host-b", ..PLACE },
            Place { host: "other.example.org", ..PLACE },
            Place { host: "viewer.example.org:444", ..PLACE },
        ] {
            assert!(open(&keys(1, None), place, &sealed).is_none(), "{place:?}");
        }
        assert!(!sealed.contains("content"));
    }

    #[test]
    fn a_key_that_was_first_before_opens_and_one_that_is_gone_does_not() {
        let sealed = seal(&keys(1, None), PLACE, b"content", [7; 12]).unwrap();
        assert!(open(&keys(2, Some(1)), PLACE, &sealed).is_some());
        assert!(open(&keys(3, Some(2)), PLACE, &sealed).is_none());
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let sealed = seal(&keys(1, None), PLACE, b"c", [7; 12]).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert!(open(&keys(1, None), PLACE, &changed).is_none(), "byte {at}");
            let cut = URL_SAFE_NO_PAD.encode(&bytes[..at]);
            assert!(open(&keys(1, None), PLACE, &cut).is_none(), "cut at {at}");
        }
        for odd in ["", "!", "AQ", &format!("{sealed}="), &"A".repeat(MAX_SEALED + 1)] {
            assert!(open(&keys(1, None), PLACE, odd).is_none());
        }
    }

    #[test]
    fn keys_are_32_bytes_and_at_most_two() {
        let text = |byte: u8| CookieKey::new([byte; KEY_BYTES]).to_text().to_string();
        let (first, second) = (text(1), text(2));
        assert_eq!(
            CookieKeys::parse(&format!("{first} # new\n\n{second}\n")),
            Ok(keys(1, Some(2)))
        );
        let read = |text: &str| CookieKeys::parse(text).unwrap_err();
        assert_eq!(read("# nothing\n"), CookieKeyError::None);
        assert_eq!(read(&format!("{first}\n{first}")), CookieKeyError::Twice);
        assert_eq!(read(&format!("{first}\n{second}\n{}", text(3))), CookieKeyError::TooMany);
        assert_eq!(read("too-short"), CookieKeyError::Key);
        assert_eq!(*keys(1, Some(2)).to_text(), format!("{first}\n{second}\n"));
        assert!(!format!("{:?}", keys(1, None)).contains(&first));
    }

    #[test]
    fn keys_have_names_that_tell_them_apart_and_nothing_of_them() {
        let id = |byte: u8| CookieKey::new([byte; KEY_BYTES]).id();
        assert_eq!((id(1).len(), id(1)), (8, id(1)));
        assert_ne!(id(1), id(2));
        assert!(!CookieKey::new([1; KEY_BYTES]).to_text().contains(&id(1)));
    }
}
