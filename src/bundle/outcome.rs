//! What an answer is, and the headers and bytes that say so.

use std::ops::Range;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::File;

/// A file chosen for a request.
#[derive(Clone, Copy, Debug)]
pub struct Found<'b> {
    /// The file.
    pub file: &'b File,
    /// Whether it is the index page standing in for a path that does not exist, because the
    /// request is a navigation.
    pub fallback: bool,
}

/// What the answer to a request is. `into_response` turns it into headers and bytes.
#[derive(Clone, Debug)]
pub enum Outcome<'b> {
    /// 200: the whole file.
    File {
        /// The file.
        found: Found<'b>,
        /// Whether the request was HEAD: all headers, no body.
        head: bool,
    },
    /// 304: the browser's copy is current (RFC 9110, section 15.4.5).
    NotModified {
        /// The file that the browser has.
        found: Found<'b>,
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
            | Self::NotModified { found }
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

impl IntoResponse for Outcome<'_> {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::File { found, head } => whole(found, head),
            Self::NotModified { found } => {
                (StatusCode::NOT_MODIFIED, validators(found)).into_response()
            }
            Self::Partial { found, range } => partial(found, range),
            Self::RangeNotSatisfiable { found } => unsatisfiable(found),
            Self::NotFound => (StatusCode::NOT_FOUND, [uncached()]).into_response(),
            Self::MethodNotAllowed => {
                let allow = (ALLOW, HeaderValue::from_static("GET, HEAD"));
                (StatusCode::METHOD_NOT_ALLOWED, [uncached(), allow]).into_response()
            }
        };
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
        response
    }
}

fn whole(found: Found<'_>, head: bool) -> Response {
    let body = found.file.body();
    let length = [(CONTENT_LENGTH, HeaderValue::from(body.len()))];
    let body = if head { Body::empty() } else { Body::from(body.clone()) };
    (StatusCode::OK, validators(found), content(found), length, body).into_response()
}

fn partial(found: Found<'_>, range: Range<usize>) -> Response {
    let body = found.file.body();
    let position = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), body.len());
    let position = [(CONTENT_RANGE, position)];
    let part = body.get(range).unwrap_or_default();
    let length = [(CONTENT_LENGTH, HeaderValue::from(part.len()))];
    let body = Body::from(body.slice_ref(part));
    let status = StatusCode::PARTIAL_CONTENT;
    (status, validators(found), content(found), length, position, body).into_response()
}

fn unsatisfiable(found: Found<'_>) -> Response {
    let length = [(CONTENT_RANGE, format!("bytes */{}", found.file.body().len()))];
    (StatusCode::RANGE_NOT_SATISFIABLE, [uncached()], length).into_response()
}

/// The fields that a 304 repeats from the 200 (RFC 9110, section 15.4.5).
fn validators(found: Found<'_>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(ETAG, found.file.etag().clone());
    headers.insert(CACHE_CONTROL, found.file.cache_control().clone());
    if let Some(policy) = found.file.policy() {
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    }
    if found.fallback {
        // For the same path, a script would have had 404.
        headers.insert(VARY, HeaderValue::from_static("Accept, Sec-Fetch-Mode"));
    }
    headers
}

fn content(found: Found<'_>) -> [(HeaderName, HeaderValue); 2] {
    [
        (CONTENT_TYPE, found.file.content_type().clone()),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    ]
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
            assert_eq!(answer.header("vary"), "", "{path}");
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
