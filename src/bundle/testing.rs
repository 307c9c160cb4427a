//! Bundles and requests for the tests of this module.

use std::fs;

use axum::body::to_bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use tempfile::TempDir;

use super::{
    Bundle, Coding, Encoded, File, Injection, Limits, LoadError, Reads, RequestParts, respond,
};

pub(super) const DIGITS: &[u8] = b"0123456789";
pub(super) const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");

pub(super) fn bundle() -> Bundle {
    let files: [(&str, &[u8]); 5] = [
        ("/index.html", b"<html>"),
        ("/docs/index.html", b"<html>docs"),
        ("/main.js", DIGITS),
        ("/main.3f2a1b4c.js", DIGITS),
        ("/empty.bin", b""),
    ];
    let file = |(path, body): (&str, &'static [u8])| {
        File::new(path.to_owned(), Bytes::from_static(body)).unwrap()
    };
    Bundle::assemble(files.map(file).into(), Vec::new())
}

/// A bundle whose script is there in every coding: the coding's name stands for the bytes.
pub(super) fn encoded_bundle() -> Bundle {
    let bundle = bundle();
    let file = bundle.get("/main.js").unwrap();
    for coding in Coding::ALL {
        let body = Bytes::from_static(coding.token().as_bytes());
        let encoded = Encoded::new(file.etag(), coding, body).unwrap();
        file.encodings().unwrap().settle(coding, Some(encoded));
    }
    bundle
}

/// One answer, taken apart.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) html: bool,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) fn ask(method: &Method, path: &str, fields: &[(&str, &str)]) -> Answer {
    ask_of(&bundle(), method, path, fields)
}

pub(super) fn ask_of(
    bundle: &Bundle,
    method: &Method,
    path: &str,
    fields: &[(&str, &str)],
) -> Answer {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let outcome = respond(bundle, &RequestParts { method, path, headers: &headers });
    let html = outcome.is_html();
    let (parts, body) =
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let (parts, body) = outcome.answer(&Reads::default()).await.unwrap().into_parts();
            (parts, to_bytes(body, usize::MAX).await.unwrap())
        });
    Answer { status: parts.status.as_u16(), headers: parts.headers, body, html }
}

pub(super) fn etag(path: &str) -> String {
    bundle().get(path).unwrap().etag().to_str().unwrap().to_owned()
}

pub(super) fn lines(answer: &Answer) -> Vec<String> {
    let mut lines: Vec<_> = answer
        .headers
        .keys()
        .map(|name| format!("{name}: {}", answer.header(name.as_str())))
        .collect();
    lines.sort();
    lines
}

/// A folder with an index page of 6 bytes and the files named, each holding its own path.
pub(super) fn folder(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("index.html"), "<html>").unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    root
}

pub(super) fn load(root: &TempDir) -> Result<Bundle, LoadError> {
    Bundle::load(root.path(), Limits::default(), &Injection::default())
}

pub(super) fn paths(bundle: &Bundle) -> Vec<&str> {
    bundle.files().iter().map(File::path).collect()
}
