//! Decides what the answer to a request is.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Method};

use super::range::Selection;
use super::{Accepted, Bundle, Found, Outcome, conditional, path};

/// The parts of a request that decide its answer. Not `Debug`: the headers hold credentials.
#[derive(Clone, Copy)]
pub struct RequestParts<'a> {
    /// The method.
    pub method: &'a Method,
    /// The URL's path: percent-encoded, without query.
    pub path: &'a str,
    /// All header fields.
    pub headers: &'a HeaderMap,
}

/// Decides the answer to a request. Reads nothing but memory; see [`Outcome::answer`] for what stays on disk.
///
/// Preconditions come before ranges (RFC 9110, section 13.2.2). A range is one of the file as it is, whatever
/// codings the request accepts: so its tag is the file's, and `If-Range` with the tag of a coding gets the whole.
#[must_use]
pub fn respond<'b>(bundle: &'b Bundle, request: &RequestParts<'_>) -> Outcome<'b> {
    let head = match *request.method {
        Method::GET => false,
        Method::HEAD => true,
        _ => return Outcome::MethodNotAllowed,
    };
    let Some(found) = find(bundle, request) else { return Outcome::NotFound };
    let accepted = Accepted::of(request.headers);
    if let Some(etag) = conditional::known(request.headers, found.file, &accepted) {
        return Outcome::NotModified { found, etag };
    }
    // Range means something for GET only (RFC 9110, section 14.2).
    let selection =
        if head { Selection::Whole } else { conditional::select(request.headers, found.file) };
    match selection {
        Selection::Whole => {
            let coding = accepted.choose(|coding| found.file.encoded(coding).is_some());
            Outcome::File { found, coding, head }
        }
        Selection::Part(range) => Outcome::Partial { found, range },
        Selection::Unsatisfiable => Outcome::RangeNotSatisfiable { found },
    }
}

fn find<'b>(bundle: &'b Bundle, request: &RequestParts<'_>) -> Option<Found<'b>> {
    let decoded = path::decode(request.path)?;
    if let Some(file) = bundle.get_decoded(&decoded) {
        return Some(Found { file, fallback: false });
    }
    let last = decoded.rsplit_once('/').map_or("", |(_, last)| last);
    if last.contains('.') || !is_navigation(request.headers) {
        return None;
    }
    bundle.index().map(|file| Found { file, fallback: true })
}

/// Whether a browser asks for a page to show. Browsers since 2023 say so in `Sec-Fetch-Mode`
/// (W3C Fetch Metadata); of others, only page loads name `text/html`.
fn is_navigation(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => conditional::items(headers, &ACCEPT).any(|item| {
            let media_type = item.split(|&byte| byte == b';').next().unwrap_or(item);
            media_type.trim_ascii().eq_ignore_ascii_case(b"text/html")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{DIGITS, NAVIGATE, ask, ask_of, encoded_bundle, etag, lines};
    use super::*;

    #[test]
    fn other_methods_are_refused_for_every_path() {
        let methods = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"];
        for method in methods {
            for path in ["/", "/main.js", "/absent"] {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let answer = ask(&method, path, &[NAVIGATE]);
                assert_eq!((answer.status, answer.html), (405, false), "{method} {path}");
                assert_eq!(answer.header("allow"), "GET, HEAD");
                assert_eq!(answer.header("cache-control"), "no-store");
                assert_eq!(answer.body, "");
            }
        }
    }

    #[test]
    fn navigations_to_absent_routes_get_the_index() {
        let html = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        for path in ["/lab-a/view", "/lab.a/view", "/assets/", "/caf%C3%A9", "/docs"] {
            for fields in [&[NAVIGATE][..], &[html], &[("accept", "image/png, Text/HTML;q=0.9")]] {
                let answer = ask(&Method::GET, path, fields);
                assert_eq!((answer.status, answer.html), (200, true), "{path} {fields:?}");
                assert_eq!(answer.body, "<html>");
                assert_eq!(answer.header("vary"), "Accept, Sec-Fetch-Mode, Accept-Encoding");
                assert_eq!(ask(&Method::HEAD, path, fields).headers, answer.headers);
            }
        }
        let again = [NAVIGATE, ("if-none-match", &etag("/"))];
        let answer = ask(&Method::GET, "/lab-a/view", &again);
        assert_eq!((answer.status, answer.html), (304, true));
        assert_eq!(answer.header("vary"), "Accept, Sec-Fetch-Mode, Accept-Encoding");
    }

    #[test]
    fn absent_files_never_get_html() {
        let html = ("accept", "text/html");
        let cases: [(&str, &[(&str, &str)]); 8] = [
            ("/absent.js", &[NAVIGATE]),
            ("/absent.js", &[html]),
            ("/lab-a/view.html", &[NAVIGATE, html]),
            ("/chunk", &[]),
            ("/chunk", &[("accept", "*/*")]),
            ("/chunk", &[("accept", "text/html-like")]),
            ("/chunk", &[("sec-fetch-mode", "cors"), html]),
            ("/chunk", &[("sec-fetch-mode", "no-cors"), html]),
        ];
        for (path, fields) in cases {
            let answer = ask(&Method::GET, path, fields);
            assert_eq!((answer.status, answer.html), (404, false), "{path} {fields:?}");
            assert_eq!((answer.header("content-type"), &*answer.body), ("", &b""[..]));
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
    }

    #[test]
    fn traversal_gets_404_even_as_a_navigation() {
        let attacks = [
            "/../x",
            "/../../etc/passwd",
            "/%2e%2e/x",
            "/%2E%2E/%2E%2E/etc/passwd",
            "/.%2e/x",
            "/..%2f",
            "/..%2f..%2fetc%2fpasswd",
            "/%5c..",
            "/..%5c..%5cwindows",
            "/..\\x",
            "//etc",
            "//etc/passwd",
            "/a/./b",
            "/a/%2e/b",
            "/docs/../main",
            "/docs//index",
            "/%00",
            "/main%00",
            "/main.js%00",
            "/%c0%ae%c0%ae/x",
            "/%ff",
            "docs",
            "*",
            "",
        ];
        for path in attacks {
            let answer = ask(&Method::GET, path, &[NAVIGATE, ("accept", "text/html")]);
            assert_eq!((answer.status, answer.html), (404, false), "{path}");
        }
        // Doubly encoded, a path is only an odd name: absent, and not decoded again.
        for path in ["/%252e%252e/x", "/%252e%252e%252fetc", "/%255c", "/%2500"] {
            assert_eq!(ask(&Method::GET, path, &[]).status, 404, "{path}");
        }
    }

    #[test]
    fn the_coding_that_is_liked_best_is_the_answer_with_a_tag_of_its_own() {
        let bundle = encoded_bundle();
        let cases = [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip, deflate, zstd", "zstd"),
            ("gzip", "gzip"),
            ("gzip, br;q=0.5", "gzip"),
        ];
        for (field, coding) in cases {
            let fields = [("accept-encoding", field)];
            let answer = ask_of(&bundle, &Method::GET, "/main.js", &fields);
            let tag = answer.header("etag").to_owned();
            let start = etag("/main.js");
            let start = format!("{}-{coding}-", start.trim_end_matches('"'));
            assert!(tag.starts_with(&start), "{tag}");
            let expected = [
                "cache-control: no-cache".to_owned(),
                format!("content-encoding: {coding}"),
                format!("content-length: {}", coding.len()),
                "content-type: text/javascript; charset=utf-8".to_owned(),
                format!("etag: {tag}"),
                "vary: Accept-Encoding".to_owned(),
                "x-content-type-options: nosniff".to_owned(),
            ];
            assert_eq!((answer.status, &*answer.body), (200, coding.as_bytes()), "{field}");
            assert_eq!(lines(&answer), expected, "{field}");
            let head = ask_of(&bundle, &Method::HEAD, "/main.js", &fields);
            assert_eq!((head.headers, &*head.body), (answer.headers, &b""[..]), "{field}");
        }
        // What has no such bytes (yet) is sent as it is, and says all the same that this depends.
        let page = ask_of(&bundle, &Method::GET, "/", &[("accept-encoding", "br")]);
        assert_eq!((page.header("content-encoding"), page.header("vary")), ("", "Accept-Encoding"));
    }

    #[test]
    fn without_any_coding_that_is_at_hand_the_file_is_sent_as_it_is() {
        let bundle = encoded_bundle();
        let cases: [&[(&str, &str)]; 4] = [
            &[],
            &[("accept-encoding", "")],
            &[("accept-encoding", "deflate, br;q=0")],
            &[("accept-encoding", "identity;q=0, *;q=0")],
        ];
        for fields in cases {
            let answer = ask_of(&bundle, &Method::GET, "/main.js", fields);
            assert_eq!((answer.status, &*answer.body), (200, DIGITS), "{fields:?}");
            assert_eq!(answer.header("etag"), etag("/main.js"));
            assert_eq!(answer.header("accept-ranges"), "bytes");
            assert_eq!(answer.header("vary"), "Accept-Encoding");
        }
    }

    #[test]
    fn a_range_is_one_of_the_file_as_it_is() {
        let bundle = encoded_bundle();
        let all = ("accept-encoding", "gzip, deflate, br, zstd");
        let part = ask_of(&bundle, &Method::GET, "/main.js", &[all, ("range", "bytes=1-2")]);
        assert_eq!((part.status, &*part.body), (206, &b"12"[..]));
        assert_eq!(part.header("etag"), etag("/main.js"));
        assert_eq!((part.header("content-encoding"), part.header("vary")), ("", "Accept-Encoding"));
        // A browser that has the beginning of what was compressed must not get the end of what was not.
        let whole = ask_of(&bundle, &Method::GET, "/main.js", &[all]);
        let fields = [all, ("range", "bytes=1-"), ("if-range", whole.header("etag"))];
        let again = ask_of(&bundle, &Method::GET, "/main.js", &fields);
        assert_eq!((again.status, again.headers, again.body), (200, whole.headers, whole.body));
        let beyond = ask_of(&bundle, &Method::GET, "/main.js", &[all, ("range", "bytes=10-")]);
        assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10"));
    }

    #[test]
    fn any_tag_of_the_file_that_the_request_could_be_answered_with_is_current() {
        let bundle = encoded_bundle();
        let tag_in = |coding: &str| {
            let fields = [("accept-encoding", coding)];
            let answer = ask_of(&bundle, &Method::GET, "/main.js", &fields);
            answer.header("etag").to_owned()
        };
        let [br, gzip, plain] = [tag_in("br"), tag_in("gzip"), tag_in("identity")];
        let elsewhere = format!("{}-br-abcd_-09\"", plain.trim_end_matches('"'));
        let current = [
            ("br, gzip", &br, &br),
            ("br, gzip", &gzip, &gzip),
            ("br, gzip", &plain, &plain),
            ("identity", &plain, &plain),
            // Of a server that compressed the same file in its own way, or has done so already.
            ("br, gzip", &elsewhere, &elsewhere),
        ];
        for (accept, known, named) in current {
            for known in [known.clone(), format!("W/{known}"), format!("\"other\", {known}")] {
                let fields = [("accept-encoding", accept), ("if-none-match", &known)];
                let answer = ask_of(&bundle, &Method::GET, "/main.js", &fields);
                assert_eq!(
                    (answer.status, answer.header("etag")),
                    (304, named.as_str()),
                    "{known}"
                );
                assert_eq!(answer.header("vary"), "Accept-Encoding");
                assert_eq!(answer.header("content-encoding"), "");
            }
        }
        // A cache that asks for somebody else must not hand over what that one cannot unpack.
        for (accept, known) in [("gzip", &br), ("identity", &gzip), ("br;q=0, *", &br)] {
            let fields = [("accept-encoding", accept), ("if-none-match", known.as_str())];
            assert_eq!(ask_of(&bundle, &Method::GET, "/main.js", &fields).status, 200, "{accept}");
        }
        let forged =
            format!("{}-br-abcd\r\nx\"", plain.trim_end_matches('"')).replace("\r\n", "  ");
        let fields = [("accept-encoding", "br"), ("if-none-match", forged.as_str())];
        assert_eq!(ask_of(&bundle, &Method::GET, "/main.js", &fields).status, 200);
    }
}
