//! The answer to a permitted GET or HEAD of an object that exists.

use std::fmt::Write as _;
use std::ops::Range;

use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::super::sample::SampleObject;
use super::{X_CACHE, xml};

/// What a `Range` field asks for.
#[derive(Debug, PartialEq, Eq)]
enum Selection {
    /// No range, or one that a server may ignore.
    Whole,
    /// These bytes.
    Part(Range<usize>),
    /// A range past the end.
    Unsatisfiable,
}

pub(super) fn respond(method: &Method, headers: &HeaderMap, object: &SampleObject) -> Response {
    let field = headers.get(RANGE).and_then(|value| value.to_str().ok());
    // Range means something for GET only (RFC 9110 section 14.2).
    let field = field.filter(|_| *method == Method::GET);
    let whole = object.bytes.len();
    let (status, range) = match field.map_or(Selection::Whole, |field| select(field, whole)) {
        Selection::Whole => (StatusCode::OK, 0..whole),
        Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Selection::Unsatisfiable => return unsatisfiable(whole),
    };
    let common = [
        (CONTENT_TYPE, object.content_type.to_owned()),
        (CONTENT_LENGTH, range.len().to_string()),
        (ETAG, etag(&object.bytes)),
        (ACCEPT_RANGES, "bytes".to_owned()),
        (X_CACHE, "Miss from cloudfront".to_owned()),
    ];
    let partial = (status == StatusCode::PARTIAL_CONTENT).then(|| {
        let last = range.end.saturating_sub(1);
        [(CONTENT_RANGE, format!("bytes {}-{last}/{whole}", range.start))]
    });
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => Body::from(object.bytes.slice(range)),
    };
    match partial {
        Some(partial) => (status, common, partial, body).into_response(),
        None => (status, common, body).into_response(),
    }
}

fn unsatisfiable(whole: usize) -> Response {
    let answer = xml(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "InvalidRange",
        "The requested range is not satisfiable",
    );
    ([(CONTENT_RANGE, format!("bytes */{whole}"))], answer).into_response()
}

/// Reads `bytes=a-b`, `bytes=a-` or `bytes=-n`; everything else selects the whole.
fn select(field: &str, length: usize) -> Selection {
    let parsed = field.strip_prefix("bytes=").and_then(|spec| spec.split_once('-'));
    let Some((first, last)) = parsed else { return Selection::Whole };
    match (number(first), number(last)) {
        (None, Some(count)) if first.is_empty() => match count.min(length) {
            0 => Selection::Unsatisfiable,
            count => Selection::Part(length - count..length),
        },
        (Some(first), None) if last.is_empty() => part(first, usize::MAX, length),
        (Some(first), Some(last)) if first <= last => part(first, last, length),
        _ => Selection::Whole,
    }
}

fn part(first: usize, last: usize, length: usize) -> Selection {
    if first >= length {
        return Selection::Unsatisfiable;
    }
    Selection::Part(first..last.saturating_add(1).min(length))
}

fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

fn etag(bytes: &Bytes) -> String {
    let mut tag = String::from("\"");
    for byte in &Sha256::digest(bytes)[..16] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn select_reads_one_range_and_ignores_the_rest() {
        for (field, expected) in [
            ("bytes=0-3", Selection::Part(0..4)),
            ("bytes=4-", Selection::Part(4..10)),
            ("bytes=-3", Selection::Part(7..10)),
            ("bytes=-99", Selection::Part(0..10)),
            ("bytes=8-99999999999999999999999", Selection::Part(8..10)),
            ("bytes=10-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=3-2", Selection::Whole),
            ("bytes=0-1,4-5", Selection::Whole),
            ("bytes=-", Selection::Whole),
            ("items=0-1", Selection::Whole),
            ("", Selection::Whole),
        ] {
            assert_eq!(select(field, 10), expected, "{field}");
        }
    }
}
