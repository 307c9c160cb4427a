//! A ring as text: what `ring.json` and a ring's parameters hold.

use serde::{Deserialize, Serialize};

use crate::json::Object;
use crate::signing::{KeyRing, RingError, RingMember, Rotation};

const VERSION: u32 = 2;

/// The largest whole number that every reader of JSON takes for the same (RFC 8259 section 6). No ring
/// is changed so often, and one more change can always be counted.
const MAX_REVISION: u64 = (1 << 53) - 1;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    /// Counts the changes; a writer names the one that it saw.
    revision: u64,
    keys: Vec<RingMember>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation: Option<Rotation>,
    /// What tells two writers of the same change apart.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    mark: String,
}

/// What is read first: a document of another version may look otherwise.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// A ring, and how often it was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The ring; empty where none was written yet.
    pub ring: KeyRing,
    /// The number of changes; 0 where there was none.
    pub revision: u64,
}

/// Why a text is no ring.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not the JSON that is written here.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Of another program's version.
    #[error(
        "version {0} is not known here, {VERSION} is: import the keys once more, into another place"
    )]
    Version(u32),
    /// More changes than anybody makes.
    #[error("revision {0} is no count of changes")]
    Revision(u64),
    /// Keys that make no ring.
    #[error(transparent)]
    Ring(#[from] RingError),
}

impl Stored {
    /// Reads a document.
    ///
    /// # Errors
    /// [`DocumentError`] when it is none.
    pub(super) fn parse(text: &str) -> Result<Self, DocumentError> {
        let Object(Versioned { version }) = serde_json::from_str(text)?;
        if version != VERSION {
            return Err(DocumentError::Version(version));
        }
        let Object(document): Object<Document> = serde_json::from_str(text)?;
        if document.revision > MAX_REVISION {
            return Err(DocumentError::Revision(document.revision));
        }
        let ring = KeyRing::new(document.keys, document.rotation)?;
        Ok(Self { ring, revision: document.revision })
    }

    fn document(&self, mark: &str) -> Document {
        Document {
            version: VERSION,
            revision: self.revision,
            keys: self.ring.members().to_vec(),
            rotation: self.ring.rotation().cloned(),
            mark: mark.to_owned(),
        }
    }

    /// Writes a document as short as it can be.
    pub(super) fn to_line(&self, mark: &str) -> Result<String, DocumentError> {
        Ok(serde_json::to_string(&self.document(mark))?)
    }

    /// Writes a document for people.
    pub(super) fn to_text(&self) -> Result<String, DocumentError> {
        let mut text = serde_json::to_string_pretty(&self.document(""))?;
        text.push('\n');
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::EpochSeconds;
    use crate::signing::MAX_KEYS;

    /// A ring with as many keys and times as there can be.
    fn full() -> Stored {
        let now = EpochSeconds(1_800_000_000);
        let mut ring = KeyRing::default();
        for number in 0..MAX_KEYS {
            let id = format!("K2JCJMDEHXQW{number:02}").parse().unwrap();
            let fingerprint = format!("{number:064x}").parse().unwrap();
            ring = ring.stage(&id, &fingerprint, now, now).unwrap();
            ring = ring.promote(&id, now).unwrap().with_lifetime(86_400).confirm(now, 3600, 300);
        }
        let ring = ring.begin(&"f".repeat(64).parse().unwrap(), now).unwrap();
        Stored { ring, revision: 99_999_999 }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for stored in [Stored::default(), full()] {
            assert_eq!(Stored::parse(&stored.to_line("").unwrap()).unwrap(), stored);
            assert_eq!(Stored::parse(&stored.to_text().unwrap()).unwrap(), stored);
        }
    }

    #[test]
    fn the_largest_ring_fits_into_a_standard_parameter() {
        let bytes = full().to_line("0123456789abcdef").unwrap().len();
        assert!(bytes <= 4096, "{bytes}");
    }

    #[test]
    fn what_is_no_ring_says_why() {
        let keys = r#"[{"id":"K1","fingerprint":"F","state":"active","created":1,"staged":1,"promoted":1}]"#
            .replace('F', &"1".repeat(64));
        let good = format!(r#"{{"version":2,"revision":1,"keys":{keys}}}"#);
        assert!(Stored::parse(&good).is_ok());
        for (text, expected) in [
            (r#"{"version":9,"what":"ever"}"#.to_owned(), "version 9"),
            (r"[2,1,[]]".to_owned(), "object"),
            (good.replace("active", "retired"), "exactly one key"),
            (good.replace("active", "lost"), "unknown variant"),
            (good.replace("K1", "../../etc/passwd"), "letters and digits"),
            (good.replace("111", "XXX"), "hexadecimal"),
            (
                good.replace("\"revision\":1", "\"revision\":18446744073709551615"),
                "revision 18446744073709551615 is no count",
            ),
            (good.replace("\"revision\":1", "\"revision\":9007199254740992"), "is no count"),
            (good.replace("\"staged\"", "\"stagged\""), "stagged"),
        ] {
            let error = Stored::parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
