//! What is added to a bundle's files as they are read: the shim, and what a page may load.
//!
//! 1. Every page has the shim as an inline script before its first element, or first in its head: before any
//!    script of the viewer's. Nothing stands before it but what runs nothing: a document type, comments, text
//!    and the tag of the root.
//! 2. Every script begins with the part of it that workers need, since any may be a worker's. It does
//!    nothing where the shim is already.
//! 3. Every page carries a content security policy (W3C CSP3) that names the inline scripts it holds by
//!    their hashes, of a length that proxies take. Documents of XML, SVG among them, run scripts too: they
//!    carry it without any hash.
//!
//! Subresource integrity (`integrity="sha384-…"`) was computed over the scripts of before, and is taken out
//! of pages where it is about files of the site.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lol_html::errors::RewritingError;
use lol_html::html_content::{ContentType, Element};
use lol_html::{HtmlRewriter, Settings, element, end, text};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::file::FileError;

/// Bytes of a policy at most. A page's cookies and their ledger take as much again, and what stands in front may
/// have 8 KB for all header fields together.
const MAX_POLICY: usize = 4096;

/// What is added to the files of a bundle. Nothing, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injection {
    /// The shim, if there is one.
    pub shim: Option<ShimTexts>,
    /// What pages may load besides what is theirs; no policy at all if none.
    pub policy: Option<Sources>,
    /// The site's hosts, with their ports if they are unusual: what pages load from there by its full URL is
    /// a bundle's file all the same.
    pub own: Vec<String>,
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
    /// Sources of data that `https:` does not cover, as on one laptop.
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

struct Rewritten {
    body: Vec<u8>,
    hashes: Vec<String>,
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
        let body = in_utf8(body);
        let after_mark = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&body);
        let strict = if is_strict(after_mark) { "\"use strict\";" } else { "" };
        let (interpreter, rest) = after_mark.split_at(interpreter_line(after_mark));
        let shim = shim.script.trim_end();
        [interpreter, strict.as_bytes(), shim.as_bytes(), rest].concat().into()
    }

    /// Puts the shim into a page, and says what the page may load.
    ///
    /// # Errors
    /// A page that no policy of ours fits, or that cannot be read.
    pub(super) fn page(&self, body: Bytes) -> Result<Page, FileError> {
        let rewritten = self.rewrite(&in_utf8(body.clone()))?;
        let policy = self.policy(&rewritten.hashes)?;
        let body = if self.shim.is_some() { rewritten.body.into() } else { body };
        Ok(Page { body, policy })
    }

    /// Returns the policy of a document whose inline scripts have these hashes; none if there is to be none.
    ///
    /// # Errors
    /// [`FileError::Policy`] where it would be too long for a header.
    pub(super) fn policy(&self, hashes: &[String]) -> Result<Option<HeaderValue>, FileError> {
        let Some(sources) = &self.policy else { return Ok(None) };
        let text = policy(sources, hashes);
        if text.len() > MAX_POLICY {
            let (bytes, limit, scripts) = (text.len(), MAX_POLICY, hashes.len());
            return Err(FileError::Policy { bytes, limit, scripts });
        }
        Ok(Some(HeaderValue::try_from(text)?))
    }

    fn rewrite(&self, body: &[u8]) -> Result<Rewritten, RewritingError> {
        let shim = self.text().map(|shim| format!("<script>{shim}</script>"));
        let to_place = Cell::new(shim.as_deref());
        let (inline, base) = (RefCell::new(Vec::new()), RefCell::new(None));
        let mut output = Vec::with_capacity(body.len() + shim.as_ref().map_or(0, String::len));
        let handlers = vec![
            // A script may stand before a head that is spelled out, which browsers then overlook.
            element!("*", |element| {
                let Some(shim) = to_place.get() else { return Ok(()) };
                match &*element.tag_name() {
                    "html" => return Ok(()),
                    "head" => element.prepend(shim, ContentType::Html),
                    _ => element.before(shim, ContentType::Html),
                }
                to_place.set(None);
                Ok(())
            }),
            // The first one counts (HTML, "the base element").
            element!("base[href]", |element| {
                let mut base = base.borrow_mut();
                *base = base
                    .take()
                    .or(resolve(None, &element.get_attribute("href").unwrap_or_default()));
                Ok(())
            }),
            element!("script[integrity], link[integrity]", |element| {
                if self.shim.is_some() && self.is_own(element, base.borrow().as_ref()) {
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
        let settings =
            Settings::new().with_strict(false).append_document_content_handler(end!(|end| {
                if let Some(shim) = to_place.take() {
                    end.append(shim, ContentType::Html);
                }
                Ok(())
            }));
        let settings =
            handlers.into_iter().fold(settings, Settings::append_element_content_handler);
        let mut rewriter =
            HtmlRewriter::new(settings, |part: &[u8]| output.extend_from_slice(part));
        rewriter.write(body)?;
        rewriter.end()?;
        let mut hashes: Vec<String> = self.text().map(hash).into_iter().collect();
        hashes.extend(inline.take().iter().map(|script| hash(script)));
        let mut seen = HashSet::new();
        hashes.retain(|hash| seen.insert(hash.clone()));
        Ok(Rewritten { body: output, hashes })
    }

    /// Whether what an element loads is served by this site.
    fn is_own(&self, element: &Element<'_, '_>, base: Option<&Url>) -> bool {
        let url = element.get_attribute("src").or_else(|| element.get_attribute("href"));
        resolve(base, &url.unwrap_or_default()).is_some_and(|url| {
            let host = url.host_str().unwrap_or_default();
            let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            host == HERE || self.own.contains(&host)
        })
    }
}

/// Where the page itself is does not matter, as long as it is nowhere else.
const HERE: &str = "here.invalid";

fn resolve(base: Option<&Url>, text: &str) -> Option<Url> {
    let here = Url::parse(&format!("https://{HERE}/")).ok();
    Url::options().base_url(base.or(here.as_ref())).parse(text).ok()
}

/// A text in UTF-8. One that begins with the byte order mark of UTF-16 is read as that by browsers, whatever its
/// header says (WHATWG Encoding, "decode").
fn in_utf8(body: Bytes) -> Bytes {
    let unit: fn([u8; 2]) -> u16 = match body.get(..2) {
        Some(b"\xff\xfe") => u16::from_le_bytes,
        Some(b"\xfe\xff") => u16::from_be_bytes,
        _ => return body,
    };
    let (pairs, _) = body.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().skip(1).map(|pair| unit(*pair)).collect();
    String::from_utf16_lossy(&units).into()
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
    // A page is read with its line ends made one, and without NUL (WHATWG HTML, "preprocessing the input
    // stream" and "script data state").
    let script = script.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
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
        let own = vec!["viewer.example.org".to_owned(), "viewer.localhost:8080".to_owned()];
        Injection { shim: Some(shim), policy: Some(Sources::default()), own }
    }

    fn page(html: &str) -> String {
        let page = injection().page(Bytes::copy_from_slice(html.as_bytes())).unwrap();
        String::from_utf8(page.body.to_vec()).unwrap()
    }

    fn policy_of(html: &str) -> String {
        let page = injection().page(Bytes::copy_from_slice(html.as_bytes())).unwrap();
        page.policy.unwrap().to_str().unwrap().to_owned()
    }

    // Whether browsers agree is for `tests/it/injection.rs`.
    #[test]
    fn the_shim_stands_before_every_element_that_may_run_a_script() {
        let shim = "<script>shim();</script>";
        for (html, expected) in [
            ("<!doctype html><head><script src=a>", "<!doctype html><head>SHIM<script src=a>"),
            ("<HTML><HEAD lang='<head>'><title>x", "<HTML><HEAD lang='<head>'>SHIM<title>x"),
            ("<!-- <head> --><head><b>", "<!-- <head> --><head>SHIM<b>"),
            ("<script>a</script><head><b>", "SHIM<script>a</script><head><b>"),
            (
                "<html lang=en><script>a</script><head>",
                "<html lang=en>SHIM<script>a</script><head>",
            ),
            ("<template><head></template><p>", "SHIM<template><head></template><p>"),
            ("<svg><head><script>a", "SHIM<svg><head><script>a"),
            ("<noscript><head></noscript><script>", "SHIM<noscript><head></noscript><script>"),
            ("<!doctype html><frameset>", "<!doctype html>SHIM<frameset>"),
            ("</head></p><script src=a>", "</head></p>SHIM<script src=a>"),
            ("<!doctype html><script src=a>", "<!doctype html>SHIM<script src=a>"),
            (" <!DOCTYPE html>\n<p>", " <!DOCTYPE html>\nSHIM<p>"),
            (
                "<?xml version='1.0'?><!doctype html><p>",
                "<?xml version='1.0'?><!doctype html>SHIM<p>",
            ),
            ("<!--><!doctype html><p> -->", "<!--><!doctype html>SHIM<p> -->"),
            ("<title><head></title>", "SHIM<title><head></title>"),
            ("<!-- <!doctype html><p>", "<!-- <!doctype html><p>SHIM"),
            ("\u{feff}<p>", "\u{feff}SHIM<p>"),
            ("text", "textSHIM"),
            ("", "SHIM"),
        ] {
            assert_eq!(page(html), expected.replace("SHIM", shim), "{html}");
        }
    }

    #[test]
    fn a_text_in_utf_16_is_read_as_what_it_is() {
        for unit in [u16::to_le_bytes, u16::to_be_bytes] {
            let bytes = |text: &str| -> Bytes {
                "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(unit).collect()
            };
            let html = bytes("<head><script>f(\"é\")</script>");
            let page = injection().page(html.clone()).unwrap();
            assert_eq!(page.body, "<head><script>shim();</script><script>f(\"é\")</script>");
            assert!(page.policy.unwrap().to_str().unwrap().contains(&hash("f(\"é\")")));
            assert_eq!(injection().script(bytes("f(\"é\")")), "part();f(\"é\")");
            let as_it_is = Injection { shim: None, ..injection() };
            assert_eq!(as_it_is.page(html.clone()).unwrap().body, html);
        }
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
        let policy = policy_of("<script>a</script><script>a</script><script>shim();</script>");
        assert_eq!(policy.matches("sha256-").count(), 2, "each is named once");
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
    fn integrity_of_the_sites_own_files_is_taken_out() {
        for own in [
            "a.js",
            "/a.js",
            "a.js?from=https://cdn.example.org/",
            " https://viewer.example.org/a.js",
            "HTTPS://Viewer.Example.ORG:443/a.js",
            "//viewer.example.org/a.js",
            "\\\\viewer.example.org/a.js",
            "http://viewer.localhost:8080/a.js",
        ] {
            for tag in ["script src", "link rel=modulepreload href"] {
                let page = page(&format!("<{tag}='{own}' integrity=sha384-x>"));
                assert!(!page.contains("sha384-x"), "{page}");
            }
        }
        for other in [
            "https://cdn.example.org/a.js",
            "//cdn.example.org/a.js",
            "https://viewer.example.org:8443/a.js",
            "https://viewer.example.org@cdn.example.org/a.js",
            "https://viewer.example.org.cdn.example.org/a.js",
            "\\/cdn.example.org/a.js",
        ] {
            let page = page(&format!("<script src='{other}' integrity=sha384-x></script>"));
            assert!(page.contains("sha384-x"), "{page}");
        }
        let script = "<script src=a.js integrity=sha384-x></script>";
        for (base, is_kept) in [
            ("<base href='https://cdn.example.org/x/'>", true),
            ("<base target=_top><base href=//cdn.example.org><base href=/>", true),
            ("<base href=/viewer/><base href='https://cdn.example.org/'>", false),
            ("<base href='https://viewer.example.org/v/'>", false),
        ] {
            let page = page(&format!("{base}{script}"));
            assert_eq!(page.contains("sha384-x"), is_kept, "{page}");
        }
    }

    #[test]
    fn a_policy_that_is_too_long_for_a_header_is_refused() {
        let html = |scripts: usize| -> Bytes {
            let script = |at: usize| format!("<script>f({at})</script>");
            (0..scripts).map(script).collect::<Vec<_>>().concat().into()
        };
        let policy = injection().page(html(60)).unwrap().policy.unwrap();
        assert!((3600..=MAX_POLICY).contains(&policy.len()), "{}", policy.len());
        let error = injection().page(html(80)).unwrap_err();
        let FileError::Policy { bytes: 4097.., limit: MAX_POLICY, scripts: 81 } = error else {
            panic!("{error:?}")
        };
        assert!(error.to_string().contains("viewer.csp = false"), "{error}");
        assert!(Injection { policy: None, ..injection() }.page(html(80)).is_ok());
    }

    #[test]
    fn without_a_shim_pages_stay_as_they_are_and_have_a_policy_still() {
        let injection = Injection { shim: None, ..injection() };
        let html = Bytes::from_static(b"<head><script integrity=x>a</script>");
        let page = injection.page(html.clone()).unwrap();
        assert_eq!(page.body, html);
        assert!(page.policy.unwrap().to_str().unwrap().contains("sha256-"));
        assert_eq!(Injection::default().page(html.clone()).unwrap().policy, None);
    }

    #[test]
    fn bytes_that_are_no_text_are_what_browsers_read_them_as() {
        let html = Bytes::from_static(b"<head></head>\xff\xfe<script>\xff</script>");
        let page = injection().page(html).unwrap();
        assert!(page.body.ends_with(b"\xff\xfe<script>\xef\xbf\xbd</script>"));
        assert!(page.policy.unwrap().to_str().unwrap().contains(&hash("\u{fffd}")));
    }
}
