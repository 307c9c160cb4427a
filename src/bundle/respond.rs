//! Decides what the answer to a request is.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Method, request};

use super::range::Selection;
use super::{Bundle, Found, Outcome, conditional, path};

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

impl<'a> From<&'a request::Parts> for RequestParts<'a> {
    fn from(parts: &'a request::Parts) -> Self {
        Self { method: &parts.method, path: parts.uri.path(), headers: &parts.headers }
    }
}

/// Decides the answer to a request. Reads nothing but memory.
///
/// Preconditions come before ranges (RFC 9110, section 13.2.2).
#[must_use]
pub fn respond<'b>(bundle: &'b Bundle, request: &RequestParts<'_>) -> Outcome<'b> {
    let head = match *request.method {
        Method::GET => false,
        Method::HEAD => true,
        _ => return Outcome::MethodNotAllowed,
    };
    let Some(found) = find(bundle, request) else { return Outcome::NotFound };
    if conditional::is_known(request.headers, found.file.etag()) {
        return Outcome::NotModified { found };
    }
    // Range means something for GET only (RFC 9110, section 14.2).
    let selection =
        if head { Selection::Whole } else { conditional::select(request.headers, found.file) };
    match selection {
        Selection::Whole => Outcome::File { found, head },
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
    use axum::http::{Request, StatusCode};
    use axum::response::IntoResponse as _;

    use super::super::testing::{NAVIGATE, ask, bundle, etag};
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
                assert_eq!(answer.header("vary"), "Accept, Sec-Fetch-Mode");
                assert_eq!(ask(&Method::HEAD, path, fields).headers, answer.headers);
            }
        }
        let again = [NAVIGATE, ("if-none-match", &etag("/"))];
        let answer = ask(&Method::GET, "/lab-a/view", &again);
        assert_eq!((answer.status, answer.html), (304, true));
        assert_eq!(answer.header("vary"), "Accept, Sec-Fetch-Mode");
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
    fn request_parts_leave_the_query_out() {
        let request = Request::get("/main.js?v=1").body(()).unwrap();
        let (parts, ()) = request.into_parts();
        let outcome = respond(&bundle(), &RequestParts::from(&parts)).into_response();
        assert_eq!(outcome.status(), StatusCode::OK);
    }
}
