//! One file of a bundle: its bytes, and the header values that follow from them and from its name.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderValue;
use axum::http::header::InvalidHeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use lol_html::errors::RewritingError;
use sha2::{Digest as _, Sha256};

use super::content_type::Code;
use super::encoding::{Coding, Encoded, Encodings};
use super::inject::Injection;
use super::stream::OnDisk;
use super::{caching, content_type};

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A header value derived from it is not one. No file is known to cause it.
    #[error("cannot be described in HTTP headers; please report this")]
    Header(#[from] InvalidHeaderValue),
    /// Its content security policy would be longer than proxies take.
    #[error(
        "needs a Content-Security-Policy of {bytes} bytes, and no more than {limit} fit beside cookies: it names \
         {scripts} inline scripts by their hashes, and every origin of [viewer]; put scripts into files, or set \
         viewer.csp = false"
    )]
    Policy {
        /// How long it would be, in bytes.
        bytes: usize,
        /// How long it may be, in bytes.
        limit: usize,
        /// How many inline scripts it would name, the shim among them.
        scripts: usize,
    },
    /// It is a page that cannot be read as one. No file is known to cause it.
    #[error(
        "cannot be read as HTML ({0}); please report this, or set viewer.shim = \"off\" and viewer.csp = false"
    )]
    Html(#[from] RewritingError),
}

/// One file of a viewer bundle. Cloning shares the bytes.
#[derive(Clone)]
pub struct File {
    path: String,
    content: Content,
    content_type: HeaderValue,
    etag: HeaderValue,
    cache_control: HeaderValue,
    policy: Option<HeaderValue>,
    html: bool,
    /// Whether anything was added to its bytes.
    rewritten: bool,
    /// What it is in each coding; `None` for what no coding makes smaller.
    encodings: Option<Arc<Encodings>>,
}

/// Where a file's bytes are.
#[derive(Clone)]
pub(super) enum Content {
    Memory(Bytes),
    Disk(Arc<OnDisk>),
}

impl File {
    /// Describes bytes that nothing is added to.
    ///
    /// # Errors
    ///
    /// A value that does not fit in a header; no file is known to cause it.
    pub(super) fn new(path: String, body: Bytes) -> Result<Self, FileError> {
        Self::injected(path, body, &Injection::default())
    }

    /// Describes the bytes found at a decoded URL path, with what is added to them.
    ///
    /// # Errors
    ///
    /// [`FileError`] says what cannot be added.
    pub(super) fn injected(
        path: String,
        body: Bytes,
        injection: &Injection,
    ) -> Result<Self, FileError> {
        let (body, policy, rewritten) = match content_type::code(&content_type::of(&path)) {
            Some(Code::Page) => {
                let page = injection.page(body)?;
                (page.body, page.policy, injection.changes_scripts())
            }
            Some(Code::Script) => (injection.script(body), None, injection.changes_scripts()),
            Some(Code::Document) => (body, injection.policy(&[])?, false),
            None => (body, None, false),
        };
        let etag = strong_etag(&body)?;
        let file = Self::described(path, Content::Memory(body), etag, rewritten)?;
        Ok(Self { policy, ..file })
    }

    /// Describes a file that stays on disk, at a decoded URL path. Nothing is added to its bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::injected`].
    pub(super) fn on_disk(
        path: String,
        disk: OnDisk,
        etag: HeaderValue,
        injection: &Injection,
    ) -> Result<Self, FileError> {
        let runs = content_type::code(&content_type::of(&path)).is_some();
        let policy = if runs { injection.policy(&[])? } else { None };
        let file = Self::described(path, Content::Disk(Arc::new(disk)), etag, false)?;
        Ok(Self { policy, ..file })
    }

    fn described(
        path: String,
        content: Content,
        etag: HeaderValue,
        rewritten: bool,
    ) -> Result<Self, InvalidHeaderValue> {
        let media_type = content_type::of(&path);
        let html = content_type::code(&media_type) == Some(Code::Page);
        let compresses = !content_type::is_packed(&media_type);
        let renamed = !html && !rewritten;
        Ok(Self {
            content_type: HeaderValue::try_from(&*media_type)?,
            etag,
            cache_control: HeaderValue::from_static(caching::cache_control(&path, renamed)),
            path,
            content,
            policy: None,
            rewritten,
            html,
            encodings: compresses.then(Arc::default),
        })
    }

    /// Returns the decoded URL path, such as `/assets/a.js`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the bytes as they are served, those on disk with what is added to them, unless they stay on
    /// disk.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Memory(body) => Some(body),
            Content::Disk(_) => None,
        }
    }

    /// Returns the number of bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        match &self.content {
            Content::Memory(body) => body.len(),
            Content::Disk(disk) => disk.length(),
        }
    }

    /// Whether the bytes are others than those in the bundle's source.
    #[must_use]
    pub fn is_rewritten(&self) -> bool {
        self.rewritten
    }

    /// Whether another file has the same path and bytes. One that stays on disk is the same only as long as
    /// it was not even touched there, since it is read again.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let same_place = match (&self.content, &other.content) {
            (Content::Memory(_), Content::Memory(_)) => true,
            (Content::Disk(one), Content::Disk(other)) => one == other,
            _ => false,
        };
        same_place && self.path == other.path && self.etag == other.etag
    }

    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// Returns the bytes in a coding, if there are any by now.
    #[must_use]
    pub fn encoded(&self, coding: Coding) -> Option<&Encoded> {
        self.encodings.as_ref()?.get(coding)
    }

    /// Whether answers may differ by `Accept-Encoding`, now or later.
    #[must_use]
    pub fn has_encodings(&self) -> bool {
        self.encodings.is_some()
    }

    pub(super) fn encodings(&self) -> Option<&Arc<Encodings>> {
        self.encodings.as_ref()
    }

    /// Returns the `Content-Type` (RFC 9110, section 8.3), chosen by extension.
    #[must_use]
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// Returns the strong `ETag` with its quotes (RFC 9110, section 8.8.3): the first 16 bytes of
    /// the body's SHA-256, in base64url. Equal on all servers that hold the same bytes.
    #[must_use]
    pub fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    /// Returns the `Cache-Control` for an answer that carries no cookie (RFC 9111, section 5.2):
    /// a year and `immutable` for a name with a content hash, `no-cache` otherwise, for HTML, and for
    /// scripts whose bytes are not those that the hash was taken of.
    #[must_use]
    pub fn cache_control(&self) -> &HeaderValue {
        &self.cache_control
    }

    /// Returns the `Content-Security-Policy` of a page or another document that runs scripts, if it has one.
    #[must_use]
    pub fn policy(&self) -> Option<&HeaderValue> {
        self.policy.as_ref()
    }

    /// Whether this is an HTML page.
    #[must_use]
    pub fn is_html(&self) -> bool {
        self.html
    }
}

/// The length stands for the body, which may be megabytes.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .field("bytes", &self.length())
            .field("content_type", &self.content_type)
            .field("etag", &self.etag)
            .field("cache_control", &self.cache_control)
            .finish_non_exhaustive()
    }
}

fn strong_etag(body: &[u8]) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut digesting = Digesting::default();
    digesting.update(body);
    digesting.tag()
}

/// The strong tag of bytes that come piece by piece.
#[derive(Default)]
pub(super) struct Digesting(Sha256);

impl Digesting {
    pub(super) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub(super) fn tag(self) -> Result<HeaderValue, InvalidHeaderValue> {
        let digest = self.0.finalize();
        // 128 bits keep accidents away; a longer tag would only lengthen each request.
        let (start, _) = digest.split_at(16);
        HeaderValue::try_from(format!("\"{}\"", URL_SAFE_NO_PAD.encode(start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etag_is_the_quoted_start_of_the_sha_256() {
        // `printf abc | openssl dgst -sha256 -binary | head -c 16 | basenc --base64url`
        let file = File::new("/a.txt".to_owned(), Bytes::from_static(b"abc")).unwrap();
        assert_eq!(file.etag(), "\"ungWv48Bz-pBQUDeXa4iIw\"");
    }

    #[test]
    fn debug_leaves_the_body_out() {
        let file = File::new("/a.txt".to_owned(), Bytes::from_static(b"SECRET")).unwrap();
        let text = format!("{file:?}");
        assert!(text.contains("bytes: 6") && !text.contains("SECRET"), "{text}");
    }
}
