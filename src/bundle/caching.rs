//! How long a browser may use a file without asking again.

/// For files that keep their name when their content changes.
const REVALIDATE: &str = "no-cache";
/// For files whose name changes with their content (RFC 8246).
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Returns the `Cache-Control` of a file.
///
/// What does not change its name with its bytes is always revalidated, whatever it is called: HTML, which
/// is what names the hashed files, and scripts with something added to them.
pub(super) fn cache_control(path: &str, renamed: bool) -> &'static str {
    if renamed && has_content_hash(path) { IMMUTABLE } else { REVALIDATE }
}

/// Returns whether a file's name holds a content hash.
///
/// The name, without its last extension, is split at `.` and `-`. A part is a hash if it has at
/// least 8 ASCII letters and digits, both kinds among them, and
///
/// - is lower-case hexadecimal (webpack, Rspack, Parcel), or
/// - is not the name's first part, letters make up at least half of it, and letters and digits
///   change places at least three times; or twice, in a part of exactly 8 characters with a
///   capital (Rollup, Vite, esbuild).
///
/// This is conservative on purpose. A hash that is not seen costs a revalidation; a word taken for
/// a hash (`bootstrap5`, `base64url`, `1920x1080`) would stick in browsers for a year.
fn has_content_hash(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    stem.split(['.', '-']).enumerate().any(|(place, part)| is_hash(part.as_bytes(), place == 0))
}

/// Returns whether a file's name may hold a content hash, such as one of letters alone, or with `-` and
/// `_` in it, which [`has_content_hash`] does not take for one: its stem has at least eight characters
/// behind its first `.` or `-`, or begins with lower-case hexadecimal.
///
/// This is generous on purpose: it decides only whether a file that a new bundle lacks is kept for a
/// while, where a hash that is not seen breaks a page that is open.
pub(super) fn may_have_content_hash(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    let behind = stem.split_once(['.', '-']).map_or("", |(_, behind)| behind);
    behind.len() >= 8 || has_content_hash(path)
}

fn is_hash(part: &[u8], first: bool) -> bool {
    if part.len() < 8 || !part.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    let changes = part.windows(2).filter(|pair| is_change(pair)).count();
    let letters = part.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let capital = part.iter().any(u8::is_ascii_uppercase);

    let hexadecimal = part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mixed = changes >= 3 || (changes == 2 && capital && part.len() == 8);
    (hexadecimal && changes >= 1) || (!first && mixed && letters * 2 >= part.len())
}

fn is_change(pair: &[u8]) -> bool {
    matches!(pair, [a, b] if a.is_ascii_digit() != b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_content_hash_are_immutable() {
        let cases = [
            "/index.3f2a1b4c.js",
            "/static/js/async/123.0a1b2c3d4e5f.js",
            "/3f2a1b4c9d8e7f60.module.wasm",
            "/app.3f2a1b4c.js.map",
            "/font-e3b0c44298fc1c149afbf4c8996fb924.woff2",
            "/assets/chunk_worker-B5pkL7Cj.js",
            "/chunk-3XKQZ5AB.js",
            "/index-k3j9x2ab.css",
        ];
        for path in cases {
            assert_eq!(cache_control(path, true), IMMUTABLE, "{path}");
            assert_eq!(cache_control(path, false), REVALIDATE, "{path}, rewritten");
        }
    }

    #[test]
    fn every_hash_counts_where_it_is_only_about_keeping_a_file() {
        let hashed = [
            "/index.3f2a1b4c.js",
            "/3f2a1b4c9d8e7f60.module.wasm",
            "/assets/index-DiwrgTda.js",
            "/assets/index-B-x_k3aZ.js",
            "/assets/chunk_worker-B5pkL7Cj.js",
        ];
        for path in hashed {
            assert!(may_have_content_hash(path), "{path}");
        }
        for path in
            ["/main.js", "/chunk_worker.bundle.js", "/123.js", "/a/3f2a1b4c/main.js", "/LICENSE"]
        {
            assert!(!may_have_content_hash(path), "{path}");
        }
    }

    #[test]
    fn names_made_by_people_are_revalidated() {
        let cases = [
            "/main.js",
            "/sw.js",
            "/bootstrap5.css",
            "/jquery-ui-datepicker2.js",
            "/jquery-3.7.1.min.js",
            "/codec-base64url.js",
            "/base64url2utf16.js",
            "/icon-1920x1080.png",
            "/clip-1280x720p60.mp4",
            "/scan-20240101T120000Z.json",
            "/release-20240131.json",
            "/deadbeef.js",
            "/index.3f2a1b4.js",
            "/Three-Float32Array.js",
            "/chunk_3f2a1b4c.js",
            "/3f2a1b4c/main.js",
            "/a.3f2a1b4c",
            "/3f2a1b4c",
            "/index-DiwrgTda.js",
            "/naïve-é3f2a1b4c.js",
        ];
        for path in cases {
            assert_eq!(cache_control(path, true), REVALIDATE, "{path}");
        }
    }
}
