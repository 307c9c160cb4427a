//! What is added to a bundle's files as they are read: the shim, and what a page may load.
//!
//! 1. Every page begins with the shim as an inline script: before any script of the viewer's.
//! 2. Every script begins with the part of it that workers need, since any may be a worker's. It does
//!    nothing where the shim is already.
//! 3. Every page carries a content security policy (W3C CSP3) that names the inline scripts it holds by
//!    their hashes.
//!
//! Subresource integrity (`integrity="sha384-…"`) was computed over the scripts of before, and is taken out
//! of pages where it is about files of the bundle.

use std::cell::{Cell, RefCell};

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lol_html::html_content::{ContentType, Element};
use lol_html::{HtmlRewriter, Settings, element, text};
use sha2::{Digest as _, Sha256};

/// What is added to the files of a bundle. Nothing, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injection {
    /// The shim, if there is one.
    pub shim: Option<ShimTexts>,
    /// What pages may load besides what is theirs; no policy at all if none.
    pub policy: Option<Sources>,
}

/// The shim as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShimTexts {
    /// For pages.
    pub page: String,
    /// For scripts.
    pub script: String,
}

/// What a page's policy names besides the site itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Origins that scripts may come from.
    pub scripts: Vec<String>,
    /// Origins of data, which `https:` may not cover on one laptop.
    pub data: Vec<String>,
    /// Origins whose pages may show the viewer in a frame.
    pub ancestors: Vec<String>,
}

/// A page as it is served.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) body: Bytes,
    pub(super) policy: Option<HeaderValue>,
}

impl Injection {
    /// Whether scripts and pages are changed at all.
    #[must_use]
    pub const fn changes_scripts(&self) -> bool {
        self.shim.is_some()
    }

    fn text(&self) -> Option<&str> {
        self.shim.as_ref().map(|shim| shim.page.trim_end())
    }

    /// Prepends the shim to a script.
    ///
    /// A script in strict mode stays in it: the directive must come first (ECMA-262, "Directive Prologues").
    pub(super) fn script(&self, body: Bytes) -> Bytes {
        let Some(shim) = &self.shim else { return body };
        let after_mark = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&body);
        let strict = if is_strict(after_mark) { "\"use strict\";" } else { "" };
        let (interpreter, rest) = after_mark.split_at(interpreter_line(after_mark));
        let shim = shim.script.trim_end();
        [interpreter, strict.as_bytes(), shim.as_bytes(), rest].concat().into()
    }

    /// Puts the shim into a page, and says what the page may load.
    pub(super) fn page(&self, body: Bytes) -> Page {
        let rewritten = self.rewrite(&body);
        let policy = self.policy.as_ref().map(|sources| policy(sources, &rewritten.hashes));
        let body = if self.shim.is_some() { rewritten.body.into() } else { body };
        Page { body, policy: policy.and_then(|text| HeaderValue::try_from(text).ok()) }
    }

    fn rewrite(&self, body: &[u8]) -> Rewritten {
        // A page need not spell its head out, and only the first one counts.
        let shim = self.text().map(|shim| format!("<script>{shim}</script>"));
        match self.rewrite_with(body, shim.as_deref()) {
            Some((rewritten, true)) => rewritten,
            Some((rewritten, false)) => before_all(rewritten, shim.as_deref().unwrap_or_default()),
            None => {
                let hashes = self.text().map(hash).into_iter().collect();
                let as_it_is = Rewritten { body: body.to_owned(), hashes };
                before_all(as_it_is, shim.as_deref().unwrap_or_default())
            }
        }
    }

    /// Also returns whether there was a head to put the shim into.
    fn rewrite_with(&self, body: &[u8], shim: Option<&str>) -> Option<(Rewritten, bool)> {
        let placed = Cell::new(shim.is_none());
        let inline = RefCell::new(Vec::new());
        let mut hashes: Vec<String> = self.text().map(hash).into_iter().collect();
        let mut output = Vec::with_capacity(body.len() + shim.map_or(0, str::len));
        let handlers = vec![
            element!("head", |head| {
                if let Some(shim) = shim.filter(|_| !placed.replace(true)) {
                    head.prepend(shim, ContentType::Html);
                }
                Ok(())
            }),
            element!("script[integrity], link[integrity]", |element| {
                if self.shim.is_some() && !leads_elsewhere(element) {
                    element.remove_attribute("integrity");
                }
                Ok(())
            }),
            element!("script:not([src])", |_| {
                inline.borrow_mut().push(String::new());
                Ok(())
            }),
            text!("script:not([src])", |chunk| {
                if let Some(script) = inline.borrow_mut().last_mut() {
                    script.push_str(chunk.as_str());
                }
                Ok(())
            }),
        ];
        // Strict, it would give up on pages that browsers read.
        let settings = Settings::new().with_strict(false);
        let settings =
            handlers.into_iter().fold(settings, Settings::append_element_content_handler);
        let mut rewriter =
            HtmlRewriter::new(settings, |part: &[u8]| output.extend_from_slice(part));
        rewriter.write(body).ok()?;
        rewriter.end().ok()?;
        hashes.extend(inline.into_inner().iter().map(|script| hash(script)));
        Some((Rewritten { body: output, hashes }, placed.get()))
    }
}

struct Rewritten {
    body: Vec<u8>,
    hashes: Vec<String>,
}

/// Puts a script before everything but the document type and what comments stand before that, for a page
/// that has no head of its own.
fn before_all(page: Rewritten, shim: &str) -> Rewritten {
    let start = page.body.strip_prefix("\u{feff}".as_bytes()).map_or(0, |_| 3);
    let at = end_of_document_type(&page.body, start).unwrap_or(start);
    let (before, after) = page.body.split_at(at);
    Rewritten { body: [before, shim.as_bytes(), after].concat(), hashes: page.hashes }
}

/// Where the document type ends that begins at `from`, behind spaces and comments; none if there is none.
fn end_of_document_type(page: &[u8], from: usize) -> Option<usize> {
    let rest = page.get(from..)?;
    let at = from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let rest = page.get(at..)?;
    if rest.starts_with(b"<!--") {
        let end = rest.windows(3).position(|bytes| bytes == b"-->")?;
        return end_of_document_type(page, at + end + 3);
    }
    let is_type = rest.get(..9)?.eq_ignore_ascii_case(b"<!doctype");
    rest.iter().position(|byte| *byte == b'>').filter(|_| is_type).map(|end| at + end + 1)
}

/// Whether a URL of an element names another origin.
fn leads_elsewhere(element: &Element<'_, '_>) -> bool {
    let url = element.get_attribute("src").or_else(|| element.get_attribute("href"));
    url.is_some_and(|url| {
        let url = url.trim_start();
        url.starts_with("//") || url.contains("://")
    })
}

/// Whether a script says first that it is in strict mode. A comment before it hides that from us, which
/// costs the mode and nothing else.
fn is_strict(script: &[u8]) -> bool {
    let script = script.trim_ascii_start();
    script.starts_with(b"\"use strict\"") || script.starts_with(b"'use strict'")
}

/// How long the line is that names an interpreter, which must stay the first (ECMA-262, "Hashbang Comments").
fn interpreter_line(script: &[u8]) -> usize {
    let end = script.iter().position(|byte| *byte == b'\n').map_or(script.len(), |at| at + 1);
    if script.starts_with(b"#!") { end } else { 0 }
}

fn hash(script: &str) -> String {
    // A page is read with its line ends made one (WHATWG HTML, "preprocessing the input stream").
    let script = script.replace("\r\n", "\n").replace('\r', "\n");
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script)))
}

/// What a page may load. Viewers compile code at run time, read data from wherever their state says, and
/// start workers from text; markup from elsewhere runs nothing.
fn policy(sources: &Sources, hashes: &[String]) -> String {
    let list = |items: &[String]| items.iter().flat_map(|item| [" ", item]).collect::<String>();
    let (scripts, hashes) = (list(&sources.scripts), list(hashes));
    let (data, ancestors) = (list(&sources.data), list(&sources.ancestors));
    [
        "default-src 'self'".to_owned(),
        format!("script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval'{hashes}{scripts}"),
        "style-src 'self' 'unsafe-inline'".to_owned(),
        format!("img-src 'self' data: blob: https:{data}"),
        format!("media-src 'self' data: blob: https:{data}"),
        "font-src 'self' data:".to_owned(),
        format!("connect-src 'self' data: blob: https: wss:{data}"),
        "worker-src 'self' blob:".to_owned(),
        "object-src 'none'".to_owned(),
        "base-uri 'self'".to_owned(),
        "form-action 'self'".to_owned(),
        format!("frame-ancestors 'self'{ancestors}"),
    ]
    .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injection() -> Injection {
        let shim = ShimTexts { page: "shim();".to_owned(), script: "part();".to_owned() };
        Injection { shim: Some(shim), policy: Some(Sources::default()) }
    }

    fn page(html: &str) -> String {
        let page = injection().page(Bytes::copy_from_slice(html.as_bytes()));
        String::from_utf8(page.body.to_vec()).unwrap()
    }

    fn policy_of(html: &str) -> String {
        let page = injection().page(Bytes::copy_from_slice(html.as_bytes()));
        page.policy.unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn the_shim_stands_before_every_script_of_a_page() {
        let shim = "<script>shim();</script>";
        for (html, expected) in [
            ("<!doctype html><head><script src=a>", "<!doctype html><head>SHIM<script src=a>"),
            ("<HTML><HEAD lang='<head>'><title>x", "<HTML><HEAD lang='<head>'>SHIM<title>x"),
            ("<!-- <head> --><head><b>", "<!-- <head> --><head>SHIM<b>"),
            ("<!doctype html><script src=a>", "<!doctype html>SHIM<script src=a>"),
            (" <!DOCTYPE html>\n<p>", " <!DOCTYPE html>SHIM\n<p>"),
            ("<!-- a --> <!doctype html><p>", "<!-- a --> <!doctype html>SHIM<p>"),
            ("<!-- <!doctype html><p>", "SHIM<!-- <!doctype html><p>"),
            ("<script>a", "SHIM<script>a"),
            ("\u{feff}<p>", "\u{feff}SHIM<p>"),
            ("", "SHIM"),
        ] {
            assert_eq!(page(html), expected.replace("SHIM", shim), "{html}");
        }
    }

    #[test]
    fn nothing_is_added_twice_or_to_text() {
        let html = "<head></head><head></head><textarea><head></textarea>";
        assert_eq!(page(html).matches("shim").count(), 1);
        assert_eq!(page("<title><head></title>").find("<script>"), Some(0));
    }

    #[test]
    fn a_page_may_run_the_inline_scripts_that_it_holds() {
        // `printf 'shim();' | openssl dgst -sha256 -binary | base64`
        let shim = "'sha256-WJjylRRw7CfCgKSrgoNiilv9SwXrHSSmir+ENWfoRso='";
        let policy = policy_of("<head></head>");
        assert!(policy.contains(&format!("'wasm-unsafe-eval' {shim};")), "{policy}");
        let policy = policy_of(
            "<head></head><script>a\r\nb</script><script src=x></script><script></script>",
        );
        assert!(policy.contains(&hash("a\nb")) && policy.contains(&hash("")), "{policy}");
        assert_eq!(policy.matches("sha256-").count(), 3);
    }

    #[test]
    fn scripts_begin_with_the_shim_and_stay_strict() {
        let script = |text: &'static str| injection().script(Bytes::from_static(text.as_bytes()));
        assert_eq!(script("a()"), "part();a()");
        assert_eq!(script(" 'use strict';a()"), "\"use strict\";part(); 'use strict';a()");
        assert_eq!(script("\u{feff}a()"), "part();a()");
        assert_eq!(script("#!/usr/bin/env node\na()"), "#!/usr/bin/env node\npart();a()");
        assert_eq!(Injection::default().script(Bytes::from_static(b"a()")), "a()");
    }

    #[test]
    fn integrity_of_the_bundles_own_files_is_taken_out() {
        let html = "<head></head><script src='a.js' integrity='sha384-x'></script>\
                    <script src='https://cdn.example.org/b.js' integrity='sha384-y'></script>";
        let page = page(html);
        assert!(!page.contains("sha384-x") && page.contains("sha384-y"), "{page}");
    }

    #[test]
    fn without_a_shim_pages_stay_as_they_are_and_have_a_policy_still() {
        let injection = Injection { shim: None, ..injection() };
        let html = Bytes::from_static(b"<head><script integrity=x>a</script>");
        let page = injection.page(html.clone());
        assert_eq!(page.body, html);
        assert!(page.policy.unwrap().to_str().unwrap().contains("sha256-"));
        assert_eq!(Injection::default().page(html.clone()).policy, None);
    }

    #[test]
    fn bytes_that_are_no_text_are_what_browsers_read_them_as() {
        let html = Bytes::from_static(b"<head></head>\xff\xfe<script>\xff</script>");
        let page = injection().page(html);
        assert!(page.body.ends_with(b"\xff\xfe<script>\xef\xbf\xbd</script>"));
        assert!(page.policy.unwrap().to_str().unwrap().contains(&hash("\u{fffd}")));
    }
}
