//! One file of a bundle: its bytes, and the header values that follow from them and from its name.

use std::fmt;

use axum::http::HeaderValue;
use axum::http::header::InvalidHeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::inject::Injection;
use super::{caching, content_type};

/// One file of a viewer bundle. Cloning shares the bytes.
#[derive(Clone)]
pub struct File {
    path: String,
    body: Bytes,
    content_type: HeaderValue,
    etag: HeaderValue,
    cache_control: HeaderValue,
    policy: Option<HeaderValue>,
    html: bool,
}

impl File {
    /// Describes bytes that nothing is added to.
    #[cfg(test)]
    pub(super) fn new(path: String, body: Bytes) -> Result<Self, InvalidHeaderValue> {
        Self::injected(path, body, &Injection::default())
    }

    /// Describes the bytes found at a decoded URL path, with what is added to them.
    ///
    /// # Errors
    ///
    /// A value that does not fit in a header; no file is known to cause it.
    pub(super) fn injected(
        path: String,
        body: Bytes,
        injection: &Injection,
    ) -> Result<Self, InvalidHeaderValue> {
        let media_type = content_type::of(&path);
        let html = media_type.starts_with("text/html");
        let script = media_type.starts_with("text/javascript");
        let (body, policy) = if html {
            let page = injection.page(body);
            (page.body, page.policy)
        } else if script {
            (injection.script(body), None)
        } else {
            (body, None)
        };
        let renamed = !html && !(script && injection.changes_scripts());
        Ok(Self {
            content_type: HeaderValue::try_from(&*media_type)?,
            etag: HeaderValue::try_from(strong_etag(&body))?,
            cache_control: HeaderValue::from_static(caching::cache_control(&path, renamed)),
            path,
            body,
            policy,
            html,
        })
    }

    /// Returns the decoded URL path, such as `/assets/a.js`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the bytes as they are served: those on disk, with what is added to them.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
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

    /// Returns the `Content-Security-Policy` of a page, if it has one.
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
            .field("bytes", &self.body.len())
            .field("content_type", &self.content_type)
            .field("etag", &self.etag)
            .field("cache_control", &self.cache_control)
            .finish_non_exhaustive()
    }
}

fn strong_etag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    // 128 bits keep accidents away; a longer tag would only lengthen each request.
    let (start, _) = digest.split_at(16);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(start))
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
