//! Content codings (RFC 9110, section 8.4.1), and the bytes of one file in each of them.

use std::sync::OnceLock;

use axum::http::HeaderValue;
use axum::http::header::InvalidHeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// A content coding that the bundle may be stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Brotli (RFC 7932): the smallest, for every browser over TLS.
    Brotli,
    /// Zstandard (RFC 8878): nearly as small, and faster to unpack; not in Safari.
    Zstd,
    /// gzip (RFC 1952): what everything understands.
    Gzip,
}

impl Coding {
    /// Every coding, the one to prefer first.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The name in `Accept-Encoding` and `Content-Encoding`.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The extension of a file in this coding that lies beside the file itself.
    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zst",
            Self::Gzip => "gz",
        }
    }
}

/// A file's bytes in one coding.
#[derive(Clone, Debug)]
pub struct Encoded {
    body: Bytes,
    etag: HeaderValue,
}

impl Encoded {
    /// Describes the encoded bytes of a file whose own strong tag is `identity`.
    pub(super) fn new(
        identity: &HeaderValue,
        coding: Coding,
        body: Bytes,
    ) -> Result<Self, InvalidHeaderValue> {
        let mut tag = bare(identity.as_bytes()).to_vec();
        let digest = Sha256::digest(&body);
        let (start, _) = digest.split_at(6);
        // By its first part every server that has the file knows what this decodes to; by the last one the
        // tag is strong, also where another program compressed the same file.
        let rest = format!("-{}-{}", coding.token(), URL_SAFE_NO_PAD.encode(start));
        tag.extend_from_slice(rest.as_bytes());
        let quoted = [b"\"".as_slice(), &tag, b"\""].concat();
        Ok(Self { body, etag: HeaderValue::from_bytes(&quoted)? })
    }

    /// Returns the encoded bytes.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the strong `ETag` of these bytes.
    #[must_use]
    pub fn etag(&self) -> &HeaderValue {
        &self.etag
    }
}

/// Letters that [`Encoded::new`] ends a tag with.
const DIGEST_LETTERS: usize = 8;

/// Returns the coding whose tag `item` is, if it is one of a file with the tag `identity`: by this
/// server, or by another that compressed the same bytes.
pub(super) fn coding_of_tag(identity: &HeaderValue, item: &[u8]) -> Option<Coding> {
    let quoted = item.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let rest = quoted.strip_prefix(bare(identity.as_bytes()))?.strip_prefix(b"-")?;
    Coding::ALL.into_iter().find(|coding| {
        let digest = rest.strip_prefix(coding.token().as_bytes());
        digest.and_then(|rest| rest.strip_prefix(b"-")).is_some_and(|digest| {
            let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            digest.len() == DIGEST_LETTERS && digest.iter().all(letter)
        })
    })
}

/// A tag without its quotes.
fn bare(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\"")).unwrap_or(tag)
}

/// What one file is in each coding, once that is known: nothing where it was not worth it.
///
/// Set once and never changed, so that readers take no lock.
#[derive(Debug, Default)]
pub(super) struct Encodings([OnceLock<Option<Encoded>>; Coding::ALL.len()]);

impl Encodings {
    /// Returns the bytes in a coding, if there are any by now.
    pub(super) fn get(&self, coding: Coding) -> Option<&Encoded> {
        self.place(coding).get().and_then(Option::as_ref)
    }

    /// Whether there is nothing left to find out about a coding.
    pub(super) fn is_settled(&self, coding: Coding) -> bool {
        self.place(coding).get().is_some()
    }

    /// Says what the file is in a coding, for ever. What was said first stays.
    pub(super) fn settle(&self, coding: Coding, encoded: Option<Encoded>) {
        let _ = self.place(coding).set(encoded);
    }

    /// Takes over what is known of the same bytes elsewhere.
    pub(super) fn settle_as(&self, other: &Self) {
        for coding in Coding::ALL {
            if let Some(encoded) = other.place(coding).get() {
                self.settle(coding, encoded.clone());
            }
        }
    }

    const fn place(&self, coding: Coding) -> &OnceLock<Option<Encoded>> {
        let [brotli, zstd, gzip] = &self.0;
        match coding {
            Coding::Brotli => brotli,
            Coding::Zstd => zstd,
            Coding::Gzip => gzip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: HeaderValue = HeaderValue::from_static("\"ungWv48Bz-pBQUDeXa4iIw\"");

    fn encoded(coding: Coding, body: &'static [u8]) -> Encoded {
        Encoded::new(&IDENTITY, coding, Bytes::from_static(body)).unwrap()
    }

    #[test]
    fn each_coding_and_each_body_has_a_tag_of_its_own() {
        let tags = [
            encoded(Coding::Brotli, b"a"),
            encoded(Coding::Gzip, b"a"),
            encoded(Coding::Zstd, b"a"),
            encoded(Coding::Gzip, b"b"),
        ]
        .map(|encoded| encoded.etag().clone());
        // `printf a | openssl dgst -sha256 -binary | head -c 6 | basenc --base64url`
        assert_eq!(tags[0], "\"ungWv48Bz-pBQUDeXa4iIw-br-ypeBEsob\"");
        for (at, tag) in tags.iter().enumerate() {
            assert!(!tags[..at].contains(tag) && tag != IDENTITY, "{tag:?}");
        }
    }

    #[test]
    fn a_tag_tells_its_coding_to_every_server_with_the_file() {
        for coding in Coding::ALL {
            for body in [b"a".as_slice(), b"another program's bytes"] {
                let tag = encoded(coding, body).etag().clone();
                assert_eq!(coding_of_tag(&IDENTITY, tag.as_bytes()), Some(coding), "{tag:?}");
                let other = HeaderValue::from_static("\"otherWv48Bz-pBQUDeXa4iI\"");
                assert_eq!(coding_of_tag(&other, tag.as_bytes()), None);
            }
        }
        let wrong = [
            "\"ungWv48Bz-pBQUDeXa4iIw\"",
            "\"ungWv48Bz-pBQUDeXa4iIw-br\"",
            "\"ungWv48Bz-pBQUDeXa4iIw-br-\"",
            "\"ungWv48Bz-pBQUDeXa4iIw-br-ypeBEso\"",
            "\"ungWv48Bz-pBQUDeXa4iIw-br-ypeBEsobx\"",
            "\"ungWv48Bz-pBQUDeXa4iIw-br-ypeBE\"ob\"",
            "\"ungWv48Bz-pBQUDeXa4iIw-br-ypeBE ob\"",
            "\"ungWv48Bz-pBQUDeXa4iIw-lz-ypeBEsob\"",
            "ungWv48Bz-pBQUDeXa4iIw-br-ypeBEsob",
            "",
        ];
        for tag in wrong {
            assert_eq!(coding_of_tag(&IDENTITY, tag.as_bytes()), None, "{tag}");
        }
    }

    #[test]
    fn what_was_said_first_stays() {
        let encodings = Encodings::default();
        assert!(!encodings.is_settled(Coding::Gzip));
        encodings.settle(Coding::Gzip, Some(encoded(Coding::Gzip, b"first")));
        encodings.settle(Coding::Gzip, None);
        encodings.settle(Coding::Zstd, None);
        assert_eq!(encodings.get(Coding::Gzip).unwrap().body(), "first");
        assert!(encodings.is_settled(Coding::Zstd) && encodings.get(Coding::Zstd).is_none());

        let other = Encodings::default();
        other.settle_as(&encodings);
        let (one, two) = (encodings.get(Coding::Gzip).unwrap(), other.get(Coding::Gzip).unwrap());
        assert_eq!(one.body().as_ptr(), two.body().as_ptr(), "the bytes are shared");
        assert!(other.is_settled(Coding::Zstd) && !other.is_settled(Coding::Brotli));
    }
}
