//! Media types by extension.

use std::borrow::Cow;

/// Returns the `Content-Type` for a name: right for what browsers are strict about, and
/// `application/octet-stream` where the extension says nothing.
///
/// `text/*` is declared UTF-8, which bundlers write and HTML, scripts and stylesheets without a
/// declaration would not be read as. JSON is UTF-8 by definition (RFC 8259, section 8.1) and XML
/// declares its own encoding (RFC 7303, section 3).
pub(super) fn of(path: &str) -> Cow<'static, str> {
    let media_type = media_type(path);
    if media_type.starts_with("text/") && media_type != "text/xml" {
        Cow::Owned(format!("{media_type}; charset=utf-8"))
    } else {
        Cow::Borrowed(media_type)
    }
}

/// Returns whether files of a media type are compressed as they are, so that no coding makes them smaller.
pub(super) fn is_packed(media_type: &str) -> bool {
    const PACKED: [&str; 10] = [
        "application/gzip",
        "application/x-gzip",
        "application/zip",
        "application/zstd",
        "application/x-7z-compressed",
        "application/x-bzip2",
        "application/x-xz",
        "application/brotli",
        "font/woff",
        "font/woff2",
    ];
    const PLAIN_IMAGES: [&str; 4] = ["image/svg+xml", "image/bmp", "image/x-icon", "image/tiff"];
    let of = |kind: &str| media_type.starts_with(kind);
    let medium = of("image/") || of("audio/") || of("video/");
    PACKED.contains(&media_type) || (medium && !PLAIN_IMAGES.contains(&media_type))
}

/// What a browser runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// HTML.
    Page,
    /// JavaScript.
    Script,
    /// XML: XHTML, SVG, or whatever else its namespaces say.
    Document,
}

/// Returns what a browser runs files of a media type as, if it does.
pub(super) fn code(media_type: &str) -> Option<Code> {
    match media_type.split(';').next().unwrap_or(media_type) {
        "text/html" => Some(Code::Page),
        "text/javascript" => Some(Code::Script),
        // WHATWG MIME Sniffing, "XML MIME type".
        "text/xml" | "application/xml" => Some(Code::Document),
        other => other.ends_with("+xml").then_some(Code::Document),
    }
}

fn media_type(path: &str) -> &'static str {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        // RFC 9239, section 6: the one type for scripts, module or not.
        "js" | "mjs" | "cjs" => "text/javascript",
        // A source map is JSON; the table below says text.
        "map" => "application/json",
        // RFC 7932 names no type; the coding's own name is never guessed for a script.
        "br" => "application/brotli",
        // RFC 8878, section 7.1; younger than the table below.
        "zst" => "application/zstd",
        // RFC 8081 replaced the older name that the table still has.
        "woff" => "font/woff",
        // TypeScript's extension once belonged to MPEG streams.
        "ts" | "mts" | "cts" => "text/plain",
        extension => {
            mime_guess::from_ext(extension).first_raw().unwrap_or("application/octet-stream")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_names_the_types_browsers_are_strict_about() {
        let cases = [
            ("/index.html", "text/html; charset=utf-8"),
            ("/old.HTM", "text/html; charset=utf-8"),
            ("/a.js", "text/javascript; charset=utf-8"),
            ("/a.min.mjs", "text/javascript; charset=utf-8"),
            ("/a.css", "text/css; charset=utf-8"),
            ("/a.json", "application/json"),
            ("/a.js.map", "application/json"),
            ("/a.wasm", "application/wasm"),
            ("/a.svg", "image/svg+xml"),
            ("/a.png", "image/png"),
            ("/a.jpg", "image/jpeg"),
            ("/a.gif", "image/gif"),
            ("/a.webp", "image/webp"),
            ("/a.avif", "image/avif"),
            ("/favicon.ico", "image/x-icon"),
            ("/a.woff", "font/woff"),
            ("/a.woff2", "font/woff2"),
            ("/a.ttf", "font/ttf"),
            ("/app.webmanifest", "application/manifest+json"),
            ("/robots.txt", "text/plain; charset=utf-8"),
            ("/a.md", "text/markdown; charset=utf-8"),
            ("/a.d.ts", "text/plain; charset=utf-8"),
            ("/a.xml", "text/xml"),
            ("/a.xhtml", "application/xhtml+xml"),
            ("/a.nosuchtype", "application/octet-stream"),
            ("/LICENSE", "application/octet-stream"),
            ("/v1.html/info", "application/octet-stream"),
            ("/a.", "application/octet-stream"),
        ];
        for (path, expected) in cases {
            assert_eq!(of(path), expected, "{path}");
        }
    }

    #[test]
    fn code_is_whatever_browsers_run_scripts_in() {
        let cases = [
            (Some(Code::Page), ["a.html", "a.HTM", "a.shtml"]),
            (Some(Code::Script), ["a.js", "a.mjs", "a.cjs"]),
            (Some(Code::Document), ["a.xhtml", "a.xht", "a.svg"]),
            (Some(Code::Document), ["a.xml", "a.xsl", "a.xslt"]),
            (Some(Code::Document), ["a.rdf", "a.atom", "a.mathml"]),
            (None, ["a.css", "a.json", "a.wasm"]),
            (None, ["a.png", "a.txt", "LICENSE"]),
        ];
        for (expected, names) in cases {
            for name in names {
                assert_eq!(code(&of(name)), expected, "{name}: {}", of(name));
            }
        }
    }

    #[test]
    fn what_is_packed_already_is_known_by_its_type() {
        let plain = [
            "a.js", "a.html", "a.css", "a.json", "a.wasm", "a.svg", "a.ico", "a.ttf", "a.md",
            "LICENSE",
        ];
        let packed = [
            "a.png", "a.jpg", "a.webp", "a.avif", "a.woff", "a.woff2", "a.mp4", "a.gz", "a.br",
            "a.zst", "a.zip",
        ];
        for name in plain {
            assert!(!is_packed(&of(name)), "{name}: {}", of(name));
        }
        for name in packed {
            assert!(is_packed(&of(name)), "{name}: {}", of(name));
        }
    }
}
