//! The shim and the policy in pages of all kinds, judged by how a browser reads them.

use std::io::Write as _;
use std::process::Stdio;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Answer, App, CONFIG};
use crate::tools::node_script;

/// A page whose scripts are `SCRIPT`, which runs only if its hash is the one in the policy.
struct Page {
    html: &'static str,
    /// How many of its scripts a browser runs.
    scripts: usize,
    /// Whether it has a document type, so that a browser reads it by the standard.
    standard: bool,
}

/// What a page's script finds of the shim.
const NOTE: &str = "(self.found ??= []).push(typeof self.edgemint)";

const fn standard(html: &'static str, scripts: usize) -> Page {
    Page { html, scripts, standard: true }
}

const fn quirky(html: &'static str, scripts: usize) -> Page {
    Page { html, scripts, standard: false }
}

const PAGES: [Page; 24] = [
    standard("<!doctype html><html lang=en><head><title>x</title>SCRIPT</head><body>SCRIPT", 2),
    standard("<!doctype html>SCRIPT<head>SCRIPT</head>", 2),
    standard("<!doctype html><html lang=en>SCRIPT<head>SCRIPT</head>", 2),
    standard("<!doctype html><html lang=en><head/>SCRIPT", 1),
    standard("<!doctype html></head></p>SCRIPT<head>SCRIPT", 2),
    standard("<!doctype html><template><head>SCRIPT</template>SCRIPT", 1),
    standard("<!doctype html><noscript><head>SCRIPT</noscript>SCRIPT", 1),
    standard("<!doctype html><svg><head>SCRIPT", 1),
    standard("<!doctype html><svg><script>NOTE</script></svg>SCRIPT", 2),
    standard("<!doctype html><select><head>SCRIPT", 1),
    standard("<!doctype html><title><head></title>SCRIPT", 1),
    standard("<!doctype html><meta charset=utf-8>text<head>SCRIPT", 1),
    standard("<!doctype html>text<head>SCRIPT", 1),
    standard("<!doctype html>SCRIPT<frameset><frame></frameset>", 1),
    standard("<!-- <head>SCRIPT --><!doctype html><head>SCRIPT", 1),
    standard("<!--><!doctype html>SCRIPT --><head>SCRIPT", 2),
    standard("<!---><!doctype html>SCRIPT --><head>SCRIPT", 2),
    standard("<!-- --!><!doctype html>SCRIPT --><head>SCRIPT", 2),
    standard("<?xml version='1.0'?>\n<!DOCTYPE html>\n<html lang=en>\n<head>\nSCRIPT", 1),
    quirky("\u{feff}<!doctype html PUBLIC '>SCRIPT'><head>SCRIPT", 2),
    standard(
        "<!doctype html><head><script>\r\nNOTE\r\n// \u{e9}\r</script><script>NOTE\0</script>",
        1,
    ),
    standard("<!doctype html><body onload='NOTE'>SCRIPT<p onclick='NOTE'>", 1),
    quirky("SCRIPT<!doctype html><head>SCRIPT", 2),
    quirky("<html lang=en>SCRIPT", 1),
];

#[derive(Deserialize)]
struct Seen {
    found: Vec<String>,
    mode: String,
    lang: Option<String>,
    complaints: Vec<String>,
}

impl Page {
    fn text(&self) -> String {
        self.html.replace("SCRIPT", "<script>NOTE</script>").replace("NOTE", NOTE)
    }
}

#[tokio::test]
async fn a_browser_runs_the_shim_before_every_script_of_every_page() {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (at, page) in PAGES.iter().enumerate() {
        files.push((format!("/{at}.html"), page.text().into_bytes()));
    }
    let utf_16 = format!("\u{feff}{}", PAGES[0].text());
    files.push(("/le.html".to_owned(), utf_16.encode_utf16().flat_map(u16::to_le_bytes).collect()));
    files.push(("/be.html".to_owned(), utf_16.encode_utf16().flat_map(u16::to_be_bytes).collect()));

    let seen = seen(&serve(&files, "").await);
    let pages = PAGES.iter().chain([&PAGES[0], &PAGES[0]]);
    for ((page, seen), (path, _)) in pages.zip(&seen).zip(&files) {
        let html = page.html;
        assert_eq!(seen.found, vec!["object"; page.scripts], "{path}: {html}");
        assert_eq!(seen.mode == "CSS1Compat", page.standard, "{path}: {html}");
        assert_eq!(seen.lang.is_some(), html.contains("<html lang=en>"), "{path}: {html}");
        assert_eq!(seen.complaints.is_empty(), !html.contains("onload"), "{:?}", seen.complaints);
    }
}

#[tokio::test]
async fn documents_of_xml_run_no_script_that_stands_in_them() {
    let html = "http://www.w3.org/1999/xhtml";
    let documents = [
        (
            "/a.svg",
            format!("<svg xmlns='http://www.w3.org/2000/svg'><script>{NOTE}</script></svg>"),
        ),
        ("/a.xhtml", format!("<html xmlns='{html}'><head><script>{NOTE}</script></head></html>")),
        ("/a.xml", format!("<a><script xmlns='{html}'>{NOTE}</script></a>")),
    ];
    let files = documents.map(|(path, text)| (path.to_owned(), text.into_bytes()));
    let mut answers = serve(&files, "csp = false\n").await;
    answers.extend(serve(&files, "").await);
    // These stay on disk, where nothing is added to their bytes.
    answers.extend(serve(&files, "[limits]\nstream_bytes = 1\n").await);
    for answer in &answers[3..] {
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'self'"), "{policy}");
    }
    let seen = seen(&answers);
    let (without, with) = seen.split_at(3);
    assert!(without.iter().all(|seen| seen.found == ["undefined"]), "they would run");
    assert!(with.iter().all(|seen| seen.found.is_empty()), "and do not");
}

/// What a service with these files in its bundle, and more in its configuration, answers for them.
async fn serve(files: &[(String, Vec<u8>)], more: &str) -> Vec<Answer> {
    let app = App::prepared(&format!("{CONFIG}{more}"), |folder| {
        for (path, body) in files {
            std::fs::write(folder.join(format!("viewer{path}")), body).unwrap();
        }
    });
    let mut answers = Vec::new();
    for (path, _) in files {
        answers.push(app.anonymous(Method::GET, path).await);
    }
    answers
}

/// What a browser makes of answers, each at a URL of its own.
fn seen(answers: &[Answer]) -> Vec<Seen> {
    let numbered = answers.iter().enumerate();
    let files: Vec<Value> = numbered
        .map(|(at, answer)| {
            let headers = ["content-type", "content-security-policy"];
            let headers = headers.map(|name| (name.to_owned(), json!(answer.header(name))));
            let headers: Value = headers.into_iter().collect();
            json!({ "path": format!("/{at}"), "headers": headers, "body": STANDARD.encode(&answer.body) })
        })
        .collect();
    let mut command = node_script("injection_browser.mjs");
    let mut browser = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    browser.stdin.take().unwrap().write_all(json!(files).to_string().as_bytes()).unwrap();
    let said = browser.wait_with_output().unwrap();
    assert!(said.status.success(), "see above");
    let seen: Vec<Seen> = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(seen.len(), answers.len());
    seen
}
