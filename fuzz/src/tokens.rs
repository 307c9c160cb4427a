//! Tokens signed and verified by OpenSSL, which the service does not verify tokens with.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, URL_SAFE, URL_SAFE_NO_PAD};
use edgemint::clock::EpochSeconds;
use edgemint::identity::CLOCK_SKEW_SECONDS;
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private, Public};
use openssl::sign::{Signer, Verifier};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::NOW;

/// What a target's bytes say.
pub(super) enum Input<'a> {
    /// A token, as it stands in a request's header.
    Token(&'a str),
    /// A token to be made.
    Claims(Claims<'a>),
}

/// Lines of text: a header's JSON, a payload's JSON, and perhaps an edit of the token made of them,
/// such as `17 eyJ`: these bytes at this place.
pub(super) struct Claims<'a> {
    pub(super) header: &'a str,
    pub(super) payload: &'a str,
    edit: Option<(usize, &'a str)>,
}

impl<'a> Input<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        if !text.starts_with('{') {
            return Some(Self::Token(text.trim_end()));
        }
        let mut lines = text.splitn(3, '\n');
        let (header, payload) = (lines.next()?, lines.next()?);
        let edit = lines.next().and_then(|line| {
            let (at, text) = line.trim_end().split_once(' ')?;
            Some((at.parse().ok()?, text))
        });
        Some(Self::Claims(Claims { header, payload, edit }))
    }
}

impl Claims<'_> {
    /// Signs, with the padding that AWS's proxies keep or without.
    pub(super) fn sign(&self, key: &PKey<Private>, padded: bool) -> String {
        let engine = engine(padded);
        let input = format!("{}.{}", engine.encode(self.header), engine.encode(self.payload));
        let mut signer = Signer::new(digest(key), key).unwrap();
        let signature = signer.sign_oneshot_to_vec(input.as_bytes()).unwrap();
        format!("{input}.{}", engine.encode(to_jose(key, signature)))
    }

    /// The token with its edit, if there is one and it changes anything.
    pub(super) fn edited(&self, token: &str) -> Option<String> {
        let (at, text) = self.edit?;
        let mut bytes = token.as_bytes().to_vec();
        let end = bytes.len().min(at.checked_add(text.len())?);
        bytes.splice(bytes.len().min(at)..end, text.bytes());
        let edited = String::from_utf8(bytes).ok()?;
        (edited != token).then_some(edited)
    }
}

fn engine(padded: bool) -> GeneralPurpose {
    if padded { URL_SAFE } else { URL_SAFE_NO_PAD }
}

/// Whether the token's signature is the key's over its first two segments.
pub(super) fn is_signed(token: &str, key: &PKey<Public>) -> bool {
    let (input, _) = token.rsplit_once('.').unwrap();
    let signature = from_jose(key.id(), &signature(token));
    let mut verifier = Verifier::new(digest(key), key).unwrap();
    verifier.verify_oneshot(&signature, input.as_bytes()).unwrap()
}

/// All that verification depends on: the text that is signed, and the bytes of the signature.
pub(super) fn essence(token: &str) -> (&str, Vec<u8>) {
    (token.rsplit_once('.').unwrap().0, signature(token))
}

fn signature(token: &str) -> Vec<u8> {
    segment(token, 2)
}

/// Decodes one of the three segments.
pub(super) fn segment(token: &str, index: usize) -> Vec<u8> {
    let text = token.split('.').nth(index).unwrap();
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).unwrap()
}

/// RFC 7518 section 3.1: P-384 goes with SHA-384, all else here with SHA-256.
fn digest<T: HasPublic>(key: &PKeyRef<T>) -> MessageDigest {
    if number_bytes(key) == 48 { MessageDigest::sha384() } else { MessageDigest::sha256() }
}

/// Bytes of a coordinate; 0 where there is none.
fn number_bytes<T: HasPublic>(key: &PKeyRef<T>) -> i32 {
    key.ec_key().map_or(0, |key| i32::try_from(key.group().degree().div_ceil(8)).unwrap())
}

/// RFC 7518 section 3.4: an ECDSA signature is two numbers of fixed length, and no DER.
fn to_jose(key: &PKey<Private>, signature: Vec<u8>) -> Vec<u8> {
    if key.id() != Id::EC {
        return signature;
    }
    let parts = EcdsaSig::from_der(&signature).unwrap();
    let length = number_bytes(key);
    [parts.r(), parts.s()].map(|number| number.to_vec_padded(length).unwrap()).concat()
}

fn from_jose(id: Id, signature: &[u8]) -> Vec<u8> {
    if id != Id::EC {
        return signature.to_vec();
    }
    let (r, s) = signature.split_at(signature.len() / 2);
    let number = |bytes| BigNum::from_slice(bytes).unwrap();
    EcdsaSig::from_private_components(number(r), number(s)).unwrap().to_der().unwrap()
}

/// Fields of an object in their order, doubles included.
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Reads those of these names, and passes over the others, whatever they hold.
    pub(super) fn read(json: &[u8], names: &[&str]) -> Self {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let fields = Names(names).deserialize(&mut deserializer).unwrap();
        deserializer.end().unwrap();
        fields
    }

    /// The one field of this name: two would be two truths.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let mut found = self.0.iter().filter(|(field, _)| field == name);
        let first = found.next();
        assert!(found.next().is_none(), "{name} stands twice");
        first.map(|(_, value)| value)
    }

    pub(super) fn time(&self, name: &str) -> Option<EpochSeconds> {
        self.get(name).map(|value| EpochSeconds(value.as_u64().unwrap()))
    }

    /// The strings of a list; none where there is no list.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let list = self.get(name).map(|value| value.as_array().unwrap());
        list.into_iter().flatten().map(|value| value.as_str().unwrap()).collect()
    }

    /// `nbf` and `iat`, where they stand, are not in the future.
    pub(super) fn assert_not_from_the_future(&self) {
        for name in ["nbf", "iat"] {
            assert!(self.time(name).unwrap_or_default() <= NOW.plus(CLOCK_SKEW_SECONDS), "{name}");
        }
    }
}

struct Names<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.0.contains(&name.as_str()) {
                fields.push((name, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Fields(fields))
    }
}
