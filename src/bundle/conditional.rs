//! Conditional and range requests (RFC 9110, sections 13 and 14) against one file.

use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::File;
use super::encoding::coding_of_tag;
use super::negotiate::Accepted;
use super::range::{self, Selection};

/// The tag of the copy that the browser has, if `If-None-Match` says that it has a current one: the file as it
/// is, or in a coding that it accepts, compressed by whichever server. By weak comparison (RFC 9110, section
/// 13.1.2).
pub(super) fn known(headers: &HeaderMap, file: &File, accepted: &Accepted) -> Option<HeaderValue> {
    // The star stands alone; between commas it may be part of somebody's tag.
    if headers.get_all(IF_NONE_MATCH).iter().any(|line| line.as_bytes().trim_ascii() == b"*") {
        return Some(file.etag().clone());
    }
    items(headers, &IF_NONE_MATCH).find_map(|item| {
        let tag = item.strip_prefix(b"W/").unwrap_or(item);
        if tag == file.etag().as_bytes() {
            return Some(file.etag().clone());
        }
        let coding = coding_of_tag(file.etag(), tag).filter(|_| file.has_encodings())?;
        // The answer names the tag, so that a cache knows which of its copies may be used.
        if accepted.accepts(coding) { HeaderValue::from_bytes(tag).ok() } else { None }
    })
}

/// What `Range` selects, unless `If-Range` names another version of the file.
pub(super) fn select(headers: &HeaderMap, file: &File) -> Selection {
    // Strong comparison (RFC 9110, section 13.1.5): a weak tag or a date is never equal.
    let current = headers.get(IF_RANGE).is_none_or(|value| value == file.etag());
    let mut ranges = headers.get_all(RANGE).iter();
    match (ranges.next().map(HeaderValue::to_str), ranges.next()) {
        (Some(Ok(field)), None) if current => range::select(field, file.length()),
        _ => Selection::Whole,
    }
}

/// The members of a list field, over all its lines. Splitting at every comma is safe here: an
/// entity tag may hold a comma but no quote, so no piece of another tag equals one of ours.
pub(super) fn items<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'h [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::super::Bundle;
    use super::super::testing::{DIGITS, ask, ask_of, etag, lines};
    use super::*;

    #[test]
    fn if_none_match_that_names_the_file_gets_304() {
        let tag = etag("/main.js");
        let fields = [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"a\", {tag}"),
            format!("{tag},\"a\""),
            format!(" ,,\"a,b\" ,\tW/{tag} , "),
            "*".to_owned(),
        ];
        for field in &fields {
            // If-None-Match comes before Range.
            for range in [("range", "bytes=0-1"), ("range", "bytes=99-"), ("accept", "*/*")] {
                for method in [Method::GET, Method::HEAD] {
                    let answer = ask(&method, "/main.js", &[("if-none-match", field), range]);
                    assert_eq!((answer.status, &*answer.body), (304, &b""[..]), "{field}");
                    let expected = [
                        "cache-control: no-cache".to_owned(),
                        format!("etag: {tag}"),
                        "vary: Accept-Encoding".to_owned(),
                        "x-content-type-options: nosniff".to_owned(),
                    ];
                    assert_eq!(lines(&answer), expected, "{field}");
                }
            }
        }
        let two_lines = [("if-none-match", "\"a\""), ("if-none-match", &tag)];
        assert_eq!(ask(&Method::GET, "/main.js", &two_lines).status, 304);
        assert!(ask(&Method::GET, "/", &[("if-none-match", "*")]).html);
    }

    #[test]
    fn if_none_match_that_names_something_else_gets_the_file() {
        let tag = etag("/main.js");
        let bare = tag.trim_matches('"').to_owned();
        let fields = [
            String::new(),
            "\"a\"".to_owned(),
            bare.clone(),
            format!("w/{tag}"),
            format!("\"{bare},\""),
            format!("\",{bare}\""),
            format!("{tag}x"),
            "**".to_owned(),
            "\"a\", *".to_owned(),
            "\"a,*,b\"".to_owned(),
        ];
        for field in &fields {
            let answer = ask(&Method::GET, "/main.js", &[("if-none-match", field)]);
            assert_eq!(answer.status, 200, "{field}");
        }
        let answer = ask(&Method::GET, "/absent.js", &[("if-none-match", "*")]);
        assert_eq!(answer.status, 404);
    }

    #[test]
    fn ranges_that_need_not_be_honoured_get_the_whole_file() {
        let cases: [&[(&str, &str)]; 4] = [
            &[("range", "bytes=0-1,4-5")],
            &[("range", "bytes=5-2")],
            &[("range", "lines=0-1")],
            &[("range", "bytes=0-1"), ("range", "bytes=2-3")],
        ];
        for fields in cases {
            let answer = ask(&Method::GET, "/main.js", fields);
            assert_eq!((answer.status, &*answer.body), (200, DIGITS), "{fields:?}");
            assert_eq!(answer.header("content-range"), "");
        }
    }

    #[test]
    fn if_range_keeps_the_range_only_for_the_same_file() {
        let tag = etag("/main.js");
        let cases = [
            (tag.clone(), 206),
            (format!("W/{tag}"), 200),
            ("\"other\"".to_owned(), 200),
            (format!("{tag}, {tag}"), 200),
            ("*".to_owned(), 200),
            ("Thu, 01 Jan 2026 00:00:00 GMT".to_owned(), 200),
        ];
        for (field, status) in &cases {
            let fields = [("range", "bytes=0-1"), ("if-range", field)];
            assert_eq!(ask(&Method::GET, "/main.js", &fields).status, *status, "{field}");
        }
        // A stale If-Range also lifts a range that would have been 416.
        let fields = [("range", "bytes=99-"), ("if-range", "\"other\"")];
        assert_eq!(ask(&Method::GET, "/main.js", &fields).status, 200);
    }

    #[test]
    fn random_ranges_equal_slices() {
        let bytes: Vec<u8> = (0..=250).cycle().take(1000).collect();
        let index = File::new("/index.html".to_owned(), bytes.clone().into()).unwrap();
        let bundle = Bundle::assemble(vec![index], Vec::new());
        // A linear congruential generator: the same walk at every run.
        let mut state = 1_usize;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
            (state >> 33) % below
        };
        for _ in 0..2000 {
            let (a, b) = (random(1100), random(1100));
            let (range, expected) = match random(3) {
                0 => (format!("bytes={a}-{b}"), bytes.get(a..(b + 1).min(1000))),
                1 => (format!("bytes={a}-"), bytes.get(a..)),
                _ => (format!("bytes=-{a}"), bytes.get(1000_usize.saturating_sub(a)..)),
            };
            let answer = ask_of(&bundle, &Method::GET, "/", &[("range", &range)]);
            match expected.filter(|slice| !slice.is_empty()) {
                Some(slice) => {
                    assert_eq!((answer.status, &*answer.body), (206, slice), "{range}");
                    assert_eq!(answer.header("content-length"), slice.len().to_string());
                }
                None if !range.ends_with(&format!("{a}-{b}")) || a <= b => {
                    assert_eq!(answer.status, 416, "{range}");
                }
                None => assert_eq!((answer.status, &*answer.body), (200, &*bytes), "{range}"),
            }
        }
    }
}
