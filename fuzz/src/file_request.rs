//! `HEAD`, or a field of a request for a file, a line each: conditions, ranges and codings. In their values
//! `{etag}` stands for the file's tag, and `{br}`, `{zstd}` and `{gzip}` for those of its codings.
//!
//! - The answer is the one that a plain reading of RFC 9110, sections 13 and 14, comes to.
//! - A range lies within the file, and a coding is one that the request accepts.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::http::header::{ACCEPT_ENCODING, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use edgemint::bundle::{
    Accepted, Bundle, Coding, Compressor, File, Outcome, RequestParts, respond,
};

const PATH: &str = "/volume.json";

/// A bundle of one file, compressed.
static BUNDLE: LazyLock<Arc<Bundle>> = LazyLock::new(|| {
    let text = "[1,2,3,4] ".repeat(100);
    let bundle = Arc::new(Bundle::of([(PATH.to_owned(), text.into())]).unwrap());
    Compressor::default().take_on(&bundle);
    while !Coding::ALL.iter().all(|coding| file(&bundle).encoded(*coding).is_some()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    bundle
});

/// What an answer comes to.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Whole,
    Part(usize, usize),
    Unsatisfiable,
    NotModified(String),
}

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let (method, headers) = request(data);
    let file = file(&BUNDLE);
    let accepted = Accepted::of(&headers);
    let parts = RequestParts { method: &method, path: PATH, headers: &headers };
    let answer = match respond(&BUNDLE, &parts) {
        Outcome::File { coding, head, .. } => {
            assert_eq!(head, method == Method::HEAD);
            assert!(coding.is_none_or(|coding| accepted.accepts(coding)), "{headers:?}");
            Expected::Whole
        }
        Outcome::Partial { range, .. } => {
            assert!(range.start < range.end && range.end <= file.length(), "{headers:?}");
            Expected::Part(range.start, range.end)
        }
        Outcome::RangeNotSatisfiable { .. } => Expected::Unsatisfiable,
        Outcome::NotModified { etag, .. } => Expected::NotModified(text(&etag)),
        other => panic!("{other:?}"),
    };
    assert_eq!(answer, expected(&method, &headers, &accepted), "{method} {headers:?}");
    matches!(answer, Expected::Part(..) | Expected::NotModified(_))
}

fn request(data: &[u8]) -> (Method, HeaderMap) {
    let (mut method, mut headers) = (Method::GET, HeaderMap::new());
    for line in String::from_utf8_lossy(data).split('\n') {
        if line == "HEAD" {
            method = Method::HEAD;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let mut value = value.replace("{etag}", &text(file(&BUNDLE).etag()));
        for coding in Coding::ALL {
            let tag = file(&BUNDLE).encoded(coding).map(|encoded| text(encoded.etag()));
            value = value.replace(&format!("{{{}}}", coding.token()), &tag.unwrap_or_default());
        }
        let known = [ACCEPT_ENCODING, IF_NONE_MATCH, IF_RANGE, RANGE];
        let name = name.parse::<HeaderName>().ok().filter(|name| known.contains(name));
        if let (Some(name), Ok(value)) = (name, HeaderValue::try_from(value.trim())) {
            headers.append(name, value);
        }
    }
    (method, headers)
}

fn expected(method: &Method, headers: &HeaderMap, accepted: &Accepted) -> Expected {
    let file = file(&BUNDLE);
    let lines = |name: HeaderName| headers.get_all(name).iter().map(text).collect::<Vec<_>>();
    let conditions = lines(IF_NONE_MATCH);
    if conditions.iter().any(|line| trimmed(line) == "*") {
        return Expected::NotModified(text(file.etag()));
    }
    for tag in conditions.iter().flat_map(|line| line.split(',')).map(trimmed) {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        if is_known(tag, accepted) {
            return Expected::NotModified(tag.to_owned());
        }
    }
    let current = lines(IF_RANGE).first().is_none_or(|tag| *tag == text(file.etag()));
    match &*lines(RANGE) {
        [range] if current && method == Method::GET => part(range, file.length()),
        _ => Expected::Whole,
    }
}

/// Whether a tag is the file's, or that of a coding of it that could be sent, whoever made it.
fn is_known(tag: &str, accepted: &Accepted) -> bool {
    let own = text(file(&BUNDLE).etag());
    let bare = |tag: &str| Some(tag.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    let (Some(tag_text), Some(own_text)) = (bare(tag), bare(&own)) else { return false };
    let made = |coding: &Coding| {
        let digest = tag_text.strip_prefix(&format!("{own_text}-{}-", coding.token()));
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        digest.is_some_and(|digest| digest.len() == 8 && digest.chars().all(letter))
    };
    tag == own || Coding::ALL.iter().any(|coding| made(coding) && accepted.accepts(*coding))
}

/// Section 14.1.2, by numbers that no request can overflow.
fn part(range: &str, length: usize) -> Expected {
    let Some((unit, set)) = range.split_once('=') else { return Expected::Whole };
    let Some((first, last)) = trimmed(set).split_once('-') else { return Expected::Whole };
    let number = |text: &str| {
        let digits = text.trim_start_matches('0');
        let huge = digits.len() > 30 && digits.chars().all(|c| c.is_ascii_digit());
        if huge { Some(i128::MAX / 2) } else { format!("0{digits}").parse::<i128>().ok() }
    };
    let length = i128::try_from(length).unwrap();
    let bounds = match (first, last) {
        ("", "") => None,
        ("", count) => number(count).map(|count| ((length - count).max(0), length - 1)),
        (first, "") => number(first).map(|first| (first, length - 1)),
        (first, last) => number(first).zip(number(last)).filter(|(first, last)| first <= last),
    };
    match bounds.filter(|_| unit.eq_ignore_ascii_case("bytes")) {
        None => Expected::Whole,
        Some((first, last)) if first < length && first <= last => {
            let at = |position: i128| usize::try_from(position).unwrap();
            Expected::Part(at(first), at((last + 1).min(length)))
        }
        Some(_) => Expected::Unsatisfiable,
    }
}

fn file(bundle: &Bundle) -> &File {
    bundle.get(PATH).unwrap()
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
