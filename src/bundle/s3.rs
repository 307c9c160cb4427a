//! Reads a prefix of an S3 bucket: listed whole, checked, and only then fetched.
//!
//! 1. The listing tells names, sizes and `ETag`s. What exceeds [`Limits`] is refused before anything
//!    is fetched.
//! 2. Keys become URL paths by the rules that hold for files of a folder; a key that could be no
//!    file's path is skipped.
//! 3. An object is taken only as it was listed: asked for by its `ETag` (`If-Match`), and of the
//!    listed size. Whoever reads a bundle lists again afterwards, and takes it only if nothing has
//!    changed, so that it is never half of one and half of another.
//! 4. Bytes are served as they are stored, so an object with a `Content-Encoding` is refused.
//!
//! Deployment caveat: whoever may write to the bucket decides what code runs in the viewer's origin.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{EncodingType, Object as Listed};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use tokio::task::JoinSet;

use super::inject::Injection;
use super::load::{Limits, LoadError};
use super::path::servable_name;
use super::skipped::Skipped;
use super::{Bundle, File};
use crate::aws::{Aws, AwsProblem};

/// Objects that are fetched at once.
const AT_ONCE: usize = 8;

/// How long a body may bring nothing before it counts as cut off.
const STALL: Duration = Duration::from_secs(20);

/// What stands in `Content-Encoding` where nothing is encoded: the last is how some clients upload.
const NO_ENCODING: [&str; 3] = ["", "identity", "aws-chunked"];

/// Objects of a bucket whose keys begin alike.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
    /// Empty, or ending in a slash.
    prefix: String,
    stall: Duration,
}

/// What a prefix holds at one moment; equal listings mean equal bundles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    objects: Vec<Object>,
    skipped: Vec<Skipped>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    key: String,
    /// The decoded URL path.
    path: String,
    etag: String,
    bytes: u64,
}

/// The bytes of everything that a listing names.
#[derive(Debug)]
pub struct Objects {
    /// Decoded URL paths and bytes, in no order.
    pub(super) files: Vec<(String, Bytes)>,
    pub(super) skipped: Vec<Skipped>,
}

/// Why a prefix cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3Error {
    /// S3 was not reached, or refused.
    #[error(transparent)]
    Aws(#[from] Box<AwsProblem>),
    /// An answer that lacks what S3's have.
    #[error("s3:ListBucket on {place}: the answer is incomplete; it is asked for again")]
    Incomplete {
        /// The bucket and prefix.
        place: String,
    },
    /// There is no page to show.
    #[error(
        "{place} holds no index.html; name the prefix that the viewer's build was copied to, and let \
         it end where index.html lies"
    )]
    NoIndex {
        /// The bucket and prefix.
        place: String,
    },
    /// More objects than [`Limits::files`].
    #[error(
        "{place} holds more than {limit} objects; name the prefix that the viewer's build was copied \
         to, or raise limits.bundle_files"
    )]
    TooManyObjects {
        /// The bucket and prefix.
        place: String,
        /// The limit, in objects.
        limit: usize,
    },
    /// More bytes than [`Limits::total_bytes`].
    #[error(
        "{place} exceeds {limit} bytes at {key}; keep data out of the bundle, or raise \
         limits.bundle_bytes"
    )]
    TooLarge {
        /// The bucket and prefix.
        place: String,
        /// The object that did not fit any more.
        key: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// An object that was compressed before it was uploaded.
    #[error(
        "{key} has Content-Encoding {encoding}; upload it as it is, without --content-encoding: it is \
         compressed when it is served"
    )]
    Encoded {
        /// The object.
        key: String,
        /// How it is encoded.
        encoding: String,
    },
    /// An object is not the one that was listed.
    #[error("{key} changed while it was read; it is read again")]
    Changed {
        /// The object.
        key: String,
    },
    /// A body that does not end.
    #[error("{key} was cut off: {reason}; it is read again")]
    CutOff {
        /// The object.
        key: String,
        /// What the connection said.
        reason: String,
    },
    /// The reader itself was stopped.
    #[error("the reader was stopped")]
    Stopped(#[from] tokio::task::JoinError),
}

impl Bucket {
    /// Names a prefix: `viewer/v2`, with or without a slash at its end, or nothing for all of a bucket.
    /// Nothing is read yet.
    pub async fn new(name: &str, prefix: &str, aws: &Aws) -> Self {
        let setup = aws.prompt().await;
        // An AWS that is emulated under one name knows buckets by path alone.
        let by_path = setup.endpoint_url().is_some();
        let config = aws_sdk_s3::config::Builder::from(&setup).force_path_style(by_path).build();
        let prefix = prefix.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { client: Client::from_conf(config), name: name.to_owned(), prefix, stall: STALL }
    }

    /// With another patience for bodies that bring nothing.
    #[must_use]
    pub fn with_stall(self, stall: Duration) -> Self {
        Self { stall, ..self }
    }

    /// Lists everything under the prefix.
    ///
    /// # Errors
    /// [`S3Error`] for what S3 refuses, for more than `limits` allow, and where there is no
    /// `index.html`.
    pub async fn list(&self, limits: Limits) -> Result<Listing, S3Error> {
        let mut listing = Listing { objects: Vec::new(), skipped: Vec::new() };
        let (mut seen, mut bytes_left) = (0_usize, limits.total_bytes);
        let mut after = None;
        loop {
            let page = self.page(after).await?;
            for listed in page.contents() {
                seen += 1;
                if seen > limits.files {
                    let limit = limits.files;
                    return Err(S3Error::TooManyObjects { place: self.to_string(), limit });
                }
                self.take(listed, limits, &mut bytes_left, &mut listing)?;
            }
            after = page.next_continuation_token;
            if after.is_none() {
                break;
            }
        }
        if listing.objects.iter().any(|object| object.path == "/index.html") {
            return Ok(listing);
        }
        Err(S3Error::NoIndex { place: self.to_string() })
    }

    async fn page(&self, after: Option<String>) -> Result<ListObjectsV2Output, S3Error> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(&self.prefix);
        // Keys may hold characters that XML cannot.
        let request =
            request.encoding_type(EncodingType::Url).set_continuation_token(after.clone());
        let sent = request.send().await;
        let page = sent.map_err(|e| AwsProblem::new("s3:ListBucket", &self.to_string(), &e))?;
        // One that was cut short would be a bundle that lacks files.
        let counted = usize::try_from(page.key_count().unwrap_or(-1)).ok();
        let more = page.is_truncated() == Some(true);
        let token = page.next_continuation_token();
        let whole = counted.is_none_or(|count| count == page.contents().len());
        if whole && more == token.is_some() && (token.is_none() || token != after.as_deref()) {
            return Ok(page);
        }
        Err(S3Error::Incomplete { place: self.to_string() })
    }

    /// Takes one object into a listing, or skips it.
    fn take(
        &self,
        listed: &Listed,
        limits: Limits,
        bytes_left: &mut u64,
        listing: &mut Listing,
    ) -> Result<(), S3Error> {
        let incomplete = || S3Error::Incomplete { place: self.to_string() };
        let key = decode(listed.key().ok_or_else(incomplete)?).ok_or_else(incomplete)?;
        let name = key.strip_prefix(&self.prefix).ok_or_else(incomplete)?;
        // What consoles make in place of a folder.
        if name.is_empty() || name.ends_with('/') {
            return Ok(());
        }
        if let Some(reason) = name.split('/').find_map(|name| servable_name(name).err()) {
            let path = PathBuf::from(self.place_of(&key));
            listing.skipped.push(Skipped { path, reason });
            return Ok(());
        }
        let bytes = listed.size().and_then(|size| u64::try_from(size).ok());
        let (bytes, etag) = (bytes.ok_or_else(incomplete)?, listed.e_tag().ok_or_else(incomplete)?);
        *bytes_left = bytes_left.checked_sub(bytes).ok_or_else(|| S3Error::TooLarge {
            place: self.to_string(),
            key: key.clone(),
            limit: limits.total_bytes,
        })?;
        let (path, etag) = (format!("/{name}"), etag.to_owned());
        listing.objects.push(Object { key, path, etag, bytes });
        Ok(())
    }

    /// Fetches everything that a listing names, as it was listed.
    ///
    /// # Errors
    /// [`S3Error::Changed`] where something is there no more or not as it was; otherwise what S3
    /// refuses, and objects that are encoded.
    pub async fn fetch(&self, listing: &Listing) -> Result<Objects, S3Error> {
        let mut waiting = listing.objects.iter();
        let mut running = JoinSet::new();
        let mut files = Vec::with_capacity(listing.objects.len());
        loop {
            while running.len() < AT_ONCE
                && let Some(object) = waiting.next()
            {
                running.spawn(self.clone().fetch_one(object.clone()));
            }
            match running.join_next().await {
                Some(fetched) => files.push(fetched??),
                None => return Ok(Objects { files, skipped: listing.skipped.clone() }),
            }
        }
    }

    async fn fetch_one(self, object: Object) -> Result<(String, Bytes), S3Error> {
        let key = self.place_of(&object.key);
        let request = self.client.get_object().bucket(&self.name).key(&object.key);
        let answer = match request.if_match(&object.etag).send().await {
            Ok(answer) => answer,
            Err(error) if is_gone(&error) => return Err(S3Error::Changed { key }),
            Err(error) => return Err(AwsProblem::new("s3:GetObject", &key, &error).into()),
        };
        if let Some(encoding) = encoding_of(&answer) {
            return Err(S3Error::Encoded { key, encoding });
        }
        if answer.e_tag().map(unquoted) != Some(unquoted(&object.etag)) {
            return Err(S3Error::Changed { key });
        }
        let body = self.read(answer.body, &key, object.bytes).await?;
        Ok((object.path, body))
    }

    /// Reads a body of a known length, and no more than that.
    async fn read(&self, mut body: ByteStream, key: &str, bytes: u64) -> Result<Bytes, S3Error> {
        let key = || key.to_owned();
        let cut_off = |reason: String| S3Error::CutOff { key: key(), reason };
        let mut read = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        loop {
            let next = tokio::time::timeout(self.stall, body.next()).await;
            let next =
                next.map_err(|_| cut_off(format!("nothing for {} s", self.stall.as_secs())))?;
            let Some(part) = next else { break };
            read.extend_from_slice(&part.map_err(|error| cut_off(error.to_string()))?);
            if read.len() as u64 > bytes {
                return Err(S3Error::Changed { key: key() });
            }
        }
        if (read.len() as u64) < bytes {
            return Err(S3Error::Changed { key: key() });
        }
        Ok(Bytes::from(read))
    }

    fn place_of(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }
}

impl Bundle {
    /// Makes a bundle of what was fetched. Computes; call it off the async threads.
    ///
    /// # Errors
    /// [`LoadError::File`] names the object that cannot be served.
    pub fn of_objects(objects: Objects, injection: &Injection) -> Result<Self, LoadError> {
        let file = |(path, body): (String, Bytes)| {
            let name = PathBuf::from(&path);
            File::injected(path, body, injection).map_err(|why| LoadError::File { path: name, why })
        };
        let files = objects.files.into_iter().map(file).collect::<Result<_, _>>()?;
        Ok(Self::assemble(files, objects.skipped))
    }
}

impl Listing {
    /// How many objects it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.name, self.prefix)
    }
}

/// A key as S3 writes it into a listing: percent-encoded, a space as plus.
fn decode(key: &str) -> Option<String> {
    let key = key.replace('+', " ");
    percent_decode_str(&key).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Whether an object that was listed is not there any more, or another one is.
fn is_gone<R>(error: &SdkError<GetObjectError, R>) -> bool {
    let code = error.as_service_error().and_then(|error| error.code());
    matches!(code, Some("PreconditionFailed" | "NoSuchKey"))
}

fn encoding_of(answer: &GetObjectOutput) -> Option<String> {
    let encoding = answer.content_encoding().unwrap_or_default().trim();
    let encoded = !NO_ENCODING.iter().any(|none| encoding.eq_ignore_ascii_case(none));
    encoded.then(|| encoding.chars().filter(|c| !c.is_control()).take(80).collect())
}

/// Some stores leave the quotes out in one of two places.
fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_as_s3_encodes_them() {
        let cases = [
            ("viewer/index.html", Some("viewer/index.html")),
            ("a+b%2Bc%20d", Some("a b+c d")),
            ("caf%C3%A9", Some("café")),
            ("..%2Fx", Some("../x")),
            ("%00", Some("\0")),
            ("%FF", None),
        ];
        for (key, expected) in cases {
            assert_eq!(decode(key).as_deref(), expected, "{key}");
        }
    }
}
