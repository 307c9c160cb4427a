//! What a load balancer keeps in the browser: encrypted cookies, in shards.
//!
//! The key is made at each start, so a restart signs everybody out.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::tokens::CryptoError;
use crate::clock::EpochSeconds;

/// The size of a shard. AWS's have 4 KB; these are smaller, so that a session of the demo already
/// has several and what handles them is tried.
pub(super) const SHARD_BYTES: usize = 1024;

/// The most shards of one session: room for the 11 KB that a load balancer allows, in base64.
const MAX_SHARDS: usize = 16;

/// A signed-in person, as the load balancer remembers them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    /// What the userinfo endpoint said.
    pub(super) userinfo: Map<String, Value>,
    /// The access token, as received.
    pub(super) access_token: String,
    /// When the person has to sign in again.
    pub(super) expires: EpochSeconds,
}

/// Encrypts what leaves for the browser, and opens what comes back.
pub(super) struct SealingKey(RandomizedNonceKey);

impl SealingKey {
    pub(super) fn generate() -> Result<Self, CryptoError> {
        let mut key = [0; 32];
        rand::fill(&mut key)?;
        Ok(Self(RandomizedNonceKey::new(&AES_256_GCM, &key)?))
    }

    /// Seals a value for one purpose; it does not open for another.
    pub(super) fn seal(
        &self,
        purpose: &str,
        value: &impl Serialize,
    ) -> Result<String, CryptoError> {
        let mut bytes = serde_json::to_vec(value).map_err(|_| CryptoError)?;
        let nonce = self.0.seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut bytes)?;
        let sealed = [nonce.as_ref().as_slice(), &bytes].concat();
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what [`Self::seal`] made for the same purpose; anything else is as good as nothing.
    pub(super) fn open<T: DeserializeOwned>(&self, purpose: &str, text: &str) -> Option<T> {
        let mut sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, bytes) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.0.open_in_place(nonce, Aad::from(purpose.as_bytes()), bytes).ok()?;
        serde_json::from_slice(plain).ok()
    }
}

/// Cuts a sealed text into the cookies `<name>-0`, `<name>-1` and so on. The first begins with
/// their number, so that a shard that is missing or left over from before is noticed.
pub(super) fn shard(name: &str, sealed: &str) -> Option<Vec<(String, String)>> {
    let count = sealed.len().div_ceil(SHARD_BYTES);
    if count > MAX_SHARDS {
        return None;
    }
    let mut shards = Vec::with_capacity(count);
    let mut rest = sealed;
    while !rest.is_empty() {
        let (part, after) = rest.split_at_checked(SHARD_BYTES).unwrap_or((rest, ""));
        let at = shards.len();
        let value = if at == 0 { format!("{count}.{part}") } else { part.to_owned() };
        shards.push((format!("{name}-{at}"), value));
        rest = after;
    }
    Some(shards)
}

/// Puts a sealed text together again from a request's cookies.
pub(super) fn unshard(name: &str, headers: &HeaderMap) -> Option<String> {
    let (count, first) = cookie(headers, &format!("{name}-0"))?.split_once('.')?;
    let count: usize = count.parse().ok().filter(|count| (1..=MAX_SHARDS).contains(count))?;
    let mut sealed = first.to_owned();
    for at in 1..count {
        sealed.push_str(cookie(headers, &format!("{name}-{at}"))?);
    }
    Some(sealed)
}

/// Returns the value of the first cookie of that name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(size: usize) -> Session {
        Session {
            userinfo: Map::from_iter([("sub".to_owned(), Value::from("somebody"))]),
            access_token: "t".repeat(size),
            expires: EpochSeconds(1000),
        }
    }

    fn sharded(key: &SealingKey, size: usize) -> Vec<(String, String)> {
        shard("S", &key.seal("session", &session(size)).unwrap()).unwrap()
    }

    fn request(cookies: &[(String, String)]) -> HeaderMap {
        let pairs: Vec<String> =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        HeaderMap::from_iter([(COOKIE, format!("a=b; {}", pairs.join("; ")).parse().unwrap())])
    }

    fn open(key: &SealingKey, cookies: &[(String, String)]) -> Option<Session> {
        key.open("session", &unshard("S", &request(cookies))?)
    }

    #[test]
    fn shards_come_together_in_any_order() {
        let key = SealingKey::generate().unwrap();
        for size in [0, 1024, 3000, 11 * 1024] {
            let mut shards = sharded(&key, size);
            assert!(shards.iter().all(|(_, value)| value.len() <= SHARD_BYTES + 3));
            shards.reverse();
            assert_eq!(open(&key, &shards), Some(session(size)), "{size}");
        }
        assert!(sharded(&key, 3000).len() > 3);
        assert_eq!(shard("S", &"x".repeat(MAX_SHARDS * SHARD_BYTES + 1)), None);
    }

    #[test]
    fn a_shard_that_is_missing_or_altered_opens_nothing() {
        let key = SealingKey::generate().unwrap();
        let shards = sharded(&key, 3000);
        for at in 0..shards.len() {
            let mut without = shards.clone();
            without.remove(at);
            assert_eq!(open(&key, &without), None, "without {at}");
            let mut altered = shards.clone();
            let last = altered[at].1.pop().unwrap();
            altered[at].1.push(if last == 'A' { 'B' } else { 'A' });
            assert_eq!(open(&key, &altered), None, "altered {at}");
        }
        assert_eq!(open(&SealingKey::generate().unwrap(), &shards), None);
    }

    #[test]
    fn a_shard_left_over_from_a_longer_session_does_no_harm() {
        let key = SealingKey::generate().unwrap();
        let mut shards = sharded(&key, 0);
        shards.extend(sharded(&key, 3000).split_off(shards.len()));
        assert_eq!(open(&key, &shards), Some(session(0)));
    }

    #[test]
    fn a_value_opens_for_its_own_purpose_only() {
        let key = SealingKey::generate().unwrap();
        let sealed = key.seal("nonce", &session(1)).unwrap();
        assert_eq!(key.open::<Session>("session", &sealed), None);
        assert_eq!(key.open::<Session>("nonce", ""), None);
    }
}
