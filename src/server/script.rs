//! Cookies in the body of an answer, for scripts, in the format that they ask for.
//!
//! A browser never gets them so: its cookies are `HttpOnly`, which would be worth nothing if a page's
//! script could read them in an answer.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::error::ServeError;
use crate::access::Opened;
use crate::cookies::{ScriptCookie, SignedSet, cookie_file, cookie_header, script_cookies};
use crate::identity::{Front, Identity};
use crate::issuer::Issued;

/// Whether cookies belong into the body of an answer: for a bearer token that no browser sent. A page's
/// script cannot leave these headers out (Fetch standard, "forbidden request-header"), so a page
/// never reads its cookies, also where it has a token.
pub(super) fn is_script(headers: &HeaderMap, identity: &Identity) -> bool {
    let of_a_browser = ["sec-fetch-site", "sec-fetch-mode", "origin"];
    identity.front == Front::Bearer && !of_a_browser.iter().any(|name| headers.contains_key(*name))
}

/// How cookies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// What a browser gets, and the cookies.
    Json,
    /// A `Cookie` header per set.
    HeaderLines,
    /// A Netscape cookie file.
    CookieFile,
}

/// The most ranges of one `Accept` that are looked at; browsers send eight.
const MAX_RANGES: usize = 64;

/// Media types, the preferred one first.
const TYPES: [(&str, Format); 3] = [
    ("application/json", Format::Json),
    ("text/plain", Format::HeaderLines),
    ("application/x-netscape-cookie-file", Format::CookieFile),
];

impl Format {
    /// Chooses by `Accept` (RFC 9110 section 12.5.1): the greatest weight, and of equal ones the first
    /// of our own; JSON where nothing is asked for.
    ///
    /// # Errors
    /// [`ServeError::NotAcceptable`] if none of them is.
    pub(super) fn asked_for(headers: &HeaderMap) -> Result<Self, ServeError> {
        if !headers.contains_key(header::ACCEPT) {
            return Ok(Self::Json);
        }
        let lines = headers.get_all(header::ACCEPT).iter();
        let texts = lines.flat_map(|line| line.to_str().unwrap_or_default().split(','));
        let ranges: Vec<(String, u16)> = texts.take(MAX_RANGES).filter_map(range).collect();
        let mut best = (0, Err(ServeError::NotAcceptable));
        for (kind, format) in TYPES {
            let weight = weight_of(kind, &ranges);
            if weight > best.0 {
                best = (weight, Ok(format));
            }
        }
        best.1
    }

    /// Writes cookies; `summary` is what a browser would get.
    pub(super) fn answer(self, issued: &Issued, summary: Value) -> Response {
        let (kind, text) = match self {
            Self::Json => ("application/json", json(issued, summary)),
            Self::HeaderLines => ("text/plain; charset=utf-8", header_lines(issued)),
            Self::CookieFile => {
                let sets = issued.sets.iter().map(|set| set.signed.as_ref());
                ("application/x-netscape-cookie-file", cookie_file(sets))
            }
        };
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (header::VARY, HeaderValue::from_static("Accept, Authorization")),
        ];
        (headers, text).into_response()
    }
}

/// One range of `Accept`, in lower case and without parameters, and its weight in thousandths. What is
/// none is left out.
fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().filter(|kind| kind.contains('/'))?.to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = match weight {
        Some(text) => text.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
        None => 1.0,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let thousandths = (weight * 1000.0).round() as u16;
    Some((kind, thousandths))
}

/// The weight that the most specific range gives to a type.
fn weight_of(kind: &str, ranges: &[(String, u16)]) -> u16 {
    let group = kind.split('/').next().unwrap_or_default();
    for candidate in [kind, &format!("{group}/*"), "*/*"] {
        if let Some((_, weight)) = ranges.iter().find(|(range, _)| range == candidate) {
            return *weight;
        }
    }
    0
}

fn json(issued: &Issued, mut summary: Value) -> String {
    let cookies: Vec<ScriptCookie> =
        issued.sets.iter().flat_map(|set| script_cookies(&set.signed)).collect();
    summary["cookies"] = json!(cookies);
    summary.to_string()
}

/// One set is one line, as `curl --header @-` takes it. Of several, each has its place before it.
fn header_lines(issued: &Issued) -> String {
    let line = |set: &SignedSet| format!("Cookie: {}\n", cookie_header(&set.signed));
    if let [only] = &issued.sets[..] {
        return line(only);
    }
    let part = |(set, part): (&SignedSet, &Opened)| {
        [format!("# {}{}\n", part.base, part.prefix), line(set)]
    };
    issued.sets.iter().zip(&issued.opened).flat_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lines: &[&str]) -> Option<Format> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT, line.parse().unwrap());
        }
        Format::asked_for(&headers).ok()
    }

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        use Format::{CookieFile, HeaderLines, Json};
        for (lines, format) in [
            (&[][..], Some(Json)),
            (&["*/*"], Some(Json)),
            (&["application/json"], Some(Json)),
            (&["APPLICATION/JSON; charset=utf-8"], Some(Json)),
            (&["text/plain"], Some(HeaderLines)),
            (&["text/*"], Some(HeaderLines)),
            (&["application/*"], Some(Json)),
            (&["application/x-netscape-cookie-file"], Some(CookieFile)),
            (&["text/html, application/x-netscape-cookie-file"], Some(CookieFile)),
            (&["text/html", "text/plain"], Some(HeaderLines)),
            (&["application/json;q=0.5, text/plain"], Some(HeaderLines)),
            (&["application/json;q=0.5, text/plain;q=0.5"], Some(Json)),
            (&["application/json;q=0, */*"], Some(HeaderLines)),
            (&["*/*;q=0.1, application/x-netscape-cookie-file; q=0.2"], Some(CookieFile)),
            (&["text/html, */*;q=0.8"], Some(Json)),
            (&["text/html"], None),
            (&[""], None),
            (&["application/json;q=0"], None),
            (&["*/*;q=0"], None),
            (&["application/json;q=2"], None),
            (&["application/json;q=x"], None),
            (&["json"], None),
        ] {
            assert_eq!(asked(lines), format, "{lines:?}");
        }
    }
}
