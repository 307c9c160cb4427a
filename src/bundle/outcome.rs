//! What an answer is, and the headers and bytes that say so.

use std::ops::Range;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::file::Content;
use super::stream::{self, NotSent, Reads};
use super::{Coding, File};

/// A file chosen for a request.
#[derive(Clone, Copy, Debug)]
pub struct Found<'b> {
    /// The file.
    pub file: &'b File,
    /// Whether it is the index page standing in for a path that does not exist, because the
    /// request is a navigation.
    pub fallback: bool,
}

/// What the answer to a request is. [`Self::answer`] turns it into headers and bytes.
#[derive(Clone, Debug)]
pub enum Outcome<'b> {
    /// 200: the whole file.
    File {
        /// The file.
        found: Found<'b>,
        /// What its body is compressed with.
        coding: Option<Coding>,
        /// Whether the request was HEAD: all headers, no body.
        head: bool,
    },
    /// 304: the browser's copy is current (RFC 9110, section 15.4.5).
    NotModified {
        /// The file that the browser has.
        found: Found<'b>,
        /// The tag of its copy.
        etag: HeaderValue,
    },
    /// 206: one range of the file (RFC 9110, section 15.3.7).
    Partial {
        /// The file.
        found: Found<'b>,
        /// Positions in its bytes, the end excluded; never empty, never past the file's end.
        range: Range<usize>,
    },
    /// 416: a range that begins past the end (RFC 9110, section 15.5.17).
    RangeNotSatisfiable {
        /// The file.
        found: Found<'b>,
    },
    /// 404: no such file, and not a navigation. The answer has no body; the server may add one.
    NotFound,
    /// 405: neither GET nor HEAD. The answer has no body; the server may add one.
    MethodNotAllowed,
}

impl<'b> Outcome<'b> {
    /// Returns the file that the answer describes; `None` for errors.
    #[must_use]
    pub fn file(&self) -> Option<&'b File> {
        match self {
            Self::File { found, .. }
            | Self::NotModified { found, .. }
            | Self::Partial { found, .. } => Some(found.file),
            Self::RangeNotSatisfiable { .. } | Self::NotFound | Self::MethodNotAllowed => None,
        }
    }

    /// Whether the browser will show the answer as an HTML page, 304 included.
    ///
    /// The server attaches cookies to such answers, and must then replace `Cache-Control`.
    #[must_use]
    pub fn is_html(&self) -> bool {
        self.file().is_some_and(File::is_html)
    }
}

impl Outcome<'_> {
    /// Makes the answer, and reads the beginning of a body that stays on disk.
    ///
    /// # Errors
    /// [`NotSent`] if a file on disk cannot be read now, or is not what it was when the bundle was loaded.
    pub async fn answer(self, reads: &Reads) -> Result<Response, NotSent> {
        let mut response = match self {
            Self::File { found, coding, head } => whole(found, coding, head, reads).await?,
            Self::NotModified { found, etag } => {
                (StatusCode::NOT_MODIFIED, validators(found, etag)).into_response()
            }
            Self::Partial { found, range } => partial(found, range, reads).await?,
            Self::RangeNotSatisfiable { found } => unsatisfiable(found),
            Self::NotFound => (StatusCode::NOT_FOUND, [uncached()]).into_response(),
            Self::MethodNotAllowed => {
                let allow = (ALLOW, HeaderValue::from_static("GET, HEAD"));
                (StatusCode::METHOD_NOT_ALLOWED, [uncached(), allow]).into_response()
            }
        };
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
        Ok(response)
    }
}

async fn whole(
    found: Found<'_>,
    coding: Option<Coding>,
    head: bool,
    reads: &Reads,
) -> Result<Response, NotSent> {
    let file = found.file;
    let encoded = coding.and_then(|coding| Some((coding, file.encoded(coding)?)));
    let (mut headers, length) = if let Some((coding, encoded)) = encoded {
        let mut headers = described(found, encoded.etag().clone());
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
        (headers, encoded.body().len())
    } else {
        // Not of what is compressed: a range is always one of the file as it is.
        let mut headers = described(found, file.etag().clone());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        (headers, file.length())
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let body = match encoded {
        _ if head => Body::empty(),
        Some((_, encoded)) => Body::from(encoded.body().clone()),
        None => body(file, 0..length, reads).await?,
    };
    Ok(answer(StatusCode::OK, headers, body))
}

async fn partial(
    found: Found<'_>,
    range: Range<usize>,
    reads: &Reads,
) -> Result<Response, NotSent> {
    let (first, last, all) = (range.start, range.end.saturating_sub(1), found.file.length());
    let mut headers = described(found, found.file.etag().clone());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.len()));
    if let Ok(position) = HeaderValue::try_from(format!("bytes {first}-{last}/{all}")) {
        headers.insert(CONTENT_RANGE, position);
    }
    let body = body(found.file, range, reads).await?;
    Ok(answer(StatusCode::PARTIAL_CONTENT, headers, body))
}

async fn body(file: &File, range: Range<usize>, reads: &Reads) -> Result<Body, NotSent> {
    match file.content() {
        Content::Memory(bytes) => {
            let part = bytes.get(range).unwrap_or_default();
            Ok(Body::from(bytes.slice_ref(part)))
        }
        Content::Disk(disk) => stream::open_body(disk.clone(), range, reads).await,
    }
}

fn answer(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn unsatisfiable(found: Found<'_>) -> Response {
    let length = [(CONTENT_RANGE, format!("bytes */{}", found.file.length()))];
    (StatusCode::RANGE_NOT_SATISFIABLE, [uncached()], length).into_response()
}

/// The fields of an answer with a body.
fn described(found: Found<'_>, etag: HeaderValue) -> HeaderMap {
    let mut headers = validators(found, etag);
    headers.insert(CONTENT_TYPE, found.file.content_type().clone());
    headers
}

/// The fields that a 304 repeats from the 200 (RFC 9110, section 15.4.5).
fn validators(found: Found<'_>, etag: HeaderValue) -> HeaderMap {
    // As many as any answer of the service has, so that none makes the map grow.
    let mut headers = HeaderMap::with_capacity(24);
    headers.insert(ETAG, etag);
    headers.insert(CACHE_CONTROL, found.file.cache_control().clone());
    if let Some(policy) = found.file.policy() {
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    }
    // A fallback's path would have been a 404 for a script.
    let vary = match (found.fallback, found.file.has_encodings()) {
        (true, true) => Some("Accept, Sec-Fetch-Mode, Accept-Encoding"),
        (true, false) => Some("Accept, Sec-Fetch-Mode"),
        (false, true) => Some("Accept-Encoding"),
        (false, false) => None,
    };
    if let Some(vary) = vary {
        headers.insert(VARY, HeaderValue::from_static(vary));
    }
    headers
}

/// Errors are not kept: a chunk that is missing during a deployment is there a moment later.
fn uncached() -> (HeaderName, HeaderValue) {
    (CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::super::testing::{DIGITS, ask, lines};

    #[test]
    fn get_sends_the_file_and_what_describes_it() {
        let answer = ask(&Method::GET, "/main.3f2a1b4c.js", &[]);
        assert_eq!((answer.status, &*answer.body, answer.html), (200, DIGITS, false));
        assert_eq!(
            lines(&answer),
            [
                "accept-ranges: bytes",
                "cache-control: public, max-age=31536000, immutable",
                "content-length: 10",
                "content-type: text/javascript; charset=utf-8",
                "etag: \"hNiYd_DUBB77a_kaFvAkjw\"",
                "vary: Accept-Encoding",
                "x-content-type-options: nosniff",
            ]
        );
    }

    #[test]
    fn head_sends_the_headers_of_get_and_no_body() {
        for path in ["/", "/main.js", "/main.3f2a1b4c.js", "/empty.bin", "/absent.js"] {
            let get = ask(&Method::GET, path, &[]);
            // Range means nothing to HEAD.
            for fields in [&[][..], &[("range", "bytes=0-1")], &[("range", "bytes=99-")]] {
                let head = ask(&Method::HEAD, path, fields);
                assert_eq!(head.status, get.status, "{path}");
                assert_eq!(head.headers, get.headers, "{path}");
                assert_eq!(head.html, get.html, "{path}");
                assert_eq!(head.body, "", "{path}");
            }
        }
    }

    #[test]
    fn html_is_revalidated_and_reported() {
        for (path, body) in [("/", "<html>"), ("/docs/", "<html>docs"), ("/index.html", "<html>")] {
            let answer = ask(&Method::GET, path, &[]);
            assert_eq!((answer.status, answer.html), (200, true), "{path}");
            assert_eq!(answer.body, body, "{path}");
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(answer.header("cache-control"), "no-cache");
            assert_eq!(answer.header("vary"), "Accept-Encoding", "{path}");
        }
    }

    #[test]
    fn range_gets_its_bytes_and_position() {
        let answer = ask(&Method::GET, "/main.3f2a1b4c.js", &[("range", "bytes=2-5")]);
        assert_eq!((answer.status, &*answer.body), (206, &b"2345"[..]));
        assert_eq!(
            lines(&answer),
            [
                "accept-ranges: bytes",
                "cache-control: public, max-age=31536000, immutable",
                "content-length: 4",
                "content-range: bytes 2-5/10",
                "content-type: text/javascript; charset=utf-8",
                "etag: \"hNiYd_DUBB77a_kaFvAkjw\"",
                "vary: Accept-Encoding",
                "x-content-type-options: nosniff",
            ]
        );
    }

    #[test]
    fn range_past_the_end_gets_416_with_the_length() {
        for (path, range, expected) in [
            ("/main.js", "bytes=10-", "bytes */10"),
            ("/main.js", "bytes=-0", "bytes */10"),
            ("/empty.bin", "bytes=0-", "bytes */0"),
        ] {
            let answer = ask(&Method::GET, path, &[("range", range)]);
            assert_eq!((answer.status, &*answer.body), (416, &b""[..]), "{path} {range}");
            assert_eq!(answer.header("content-range"), expected);
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
}
