//! The path of a request, decoded once: either a plain path or nothing.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::skipped::SkipReason;

/// Decodes a URL path once, or returns `None` if it could never name a file of a bundle.
///
/// The map lookup that follows is what makes traversal impossible. The checks here keep odd
/// spellings from falling through to the index page as if they were routes of the application.
pub(super) fn decode(path: &str) -> Option<Cow<'_, str>> {
    // An encoded slash is data within a segment (RFC 3986, section 2.2), and no file name has one.
    if path.as_bytes().windows(3).any(|text| text.eq_ignore_ascii_case(b"%2f")) {
        return None;
    }
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    is_plain(&decoded).then_some(decoded)
}

/// Returns whether a decoded path is `/`, or segments that could be names, with or without a
/// slash at the end.
fn is_plain(decoded: &str) -> bool {
    let Some(rest) = decoded.strip_prefix('/') else { return false };
    let segments = rest.strip_suffix('/').unwrap_or(rest);
    rest.is_empty() || segments.split('/').all(is_name)
}

/// Returns whether one decoded segment could be the name of a file or folder.
pub(super) fn is_name(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && !segment.contains(['\0', '\\', '/'])
}

/// Returns a name if what bears it is served.
pub(super) fn servable_name(name: &str) -> Result<&str, SkipReason> {
    match name {
        "" => Err(SkipReason::Empty),
        _ if name.starts_with('.') => Err(SkipReason::DotFile),
        _ if !is_name(name) => Err(SkipReason::Backslash),
        _ => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_reads_plain_paths_once() {
        let cases = [
            ("/", "/"),
            ("/a.js", "/a.js"),
            ("/a/b/", "/a/b/"),
            ("/a%20b", "/a b"),
            ("/%61.js", "/a.js"),
            ("/%E2%82%AC", "/€"),
            ("/100%25", "/100%"),
            ("/...", "/..."),
            ("/a..b", "/a..b"),
            // Doubly encoded dots are an odd name, not dots.
            ("/%252e%252e/x", "/%2e%2e/x"),
            ("/%252fetc", "/%2fetc"),
        ];
        for (path, expected) in cases {
            assert_eq!(decode(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn decode_refuses_what_cannot_name_a_file() {
        let cases = [
            "",
            "*",
            "a.js",
            "//",
            "//etc",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/../x",
            "/a/./b",
            "/a/..",
            "/a/../",
            "/%2e",
            "/%2E%2e/x",
            "/.%2e/x",
            "/..%2f",
            "/..%2Fetc",
            "/a%2fb",
            "/%2f",
            "/%5c..",
            "/..%5cx",
            "/a\\b",
            "/%00",
            "/a.js%00.png",
            "/%ff",
            "/%c0%ae%c0%ae/",
        ];
        for path in cases {
            assert_eq!(decode(path), None, "{path}");
        }
    }
}
