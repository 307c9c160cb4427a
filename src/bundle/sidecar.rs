//! Files that a build compressed beforehand: `main.js.br`, `main.js.gz` or `main.js.zst` beside `main.js`.
//!
//! One that unpacks to the very bytes of the file beside it is what that coding is answered with, instead of
//! compressing again. Under its own name it stays a file like any other, as with nginx's `gzip_static`; so
//! does one that is stale, or that only happens to be called so, which is told to whoever reads the log.

use std::collections::HashMap;
use std::path::PathBuf;

use super::File;
use super::decode::decodes_to;
use super::encoding::{Coding, Encoded};
use super::skipped::{SkipReason, Skipped};

/// Gives each file the encoded bytes that lie beside it, and returns what could not be used.
pub(super) fn adopt(files: &[File]) -> Vec<Skipped> {
    let by_path: HashMap<&str, &File> = files.iter().map(|file| (file.path(), file)).collect();
    let mut unusable = Vec::new();
    // What a build compressed is not what a rewritten file has become.
    for file in files.iter().filter(|file| !file.is_rewritten()) {
        for coding in Coding::ALL {
            let path = format!("{}.{}", file.path(), coding.extension());
            let Some(sidecar) = by_path.get(path.as_str()) else { continue };
            if let Err(reason) = adopt_one(file, coding, sidecar) {
                unusable.push(Skipped { path: PathBuf::from(path), reason });
            }
        }
    }
    unusable
}

fn adopt_one(file: &File, coding: Coding, sidecar: &File) -> Result<(), SkipReason> {
    let (Some(encodings), Some(encoded)) = (file.encodings(), sidecar.body()) else {
        return Ok(());
    };
    if !decodes_to(coding, encoded, file.length() as u64, file.etag()) {
        return Err(SkipReason::OtherContent);
    }
    let smaller = encoded.len() < file.length();
    let kept = Encoded::new(file.etag(), coding, encoded.clone()).ok().filter(|_| smaller);
    if kept.is_some() {
        encodings.settle(coding, kept);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use axum::http::Method;

    use super::super::compress::encode;
    use super::super::testing::{ask_of, folder, load, paths};
    use super::*;

    const SCRIPT: &[u8] =
        b"draw(); draw(); draw(); draw(); draw(); draw(); draw(); draw(); draw();";

    fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
        encode(coding, body, &|| true).unwrap().unwrap()
    }

    #[test]
    fn a_sidecar_is_the_answer_in_its_coding_and_a_file_of_its_own() {
        let root = folder(&[]);
        fs::write(root.path().join("main.js"), SCRIPT).unwrap();
        for coding in Coding::ALL {
            let name = format!("main.js.{}", coding.extension());
            fs::write(root.path().join(name), encoded(coding, SCRIPT)).unwrap();
        }
        let bundle = load(&root).unwrap();
        assert_eq!(bundle.skipped(), []);
        assert_eq!(
            paths(&bundle),
            ["/index.html", "/main.js", "/main.js.br", "/main.js.gz", "/main.js.zst"]
        );
        for coding in Coding::ALL {
            let fields = [("accept-encoding", coding.token())];
            let answer = ask_of(&bundle, &Method::GET, "/main.js", &fields);
            assert_eq!(answer.header("content-encoding"), coding.token());
            assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8");
            assert_eq!(answer.body, encoded(coding, SCRIPT));
            let itself = format!("/main.js.{}", coding.extension());
            let itself = ask_of(&bundle, &Method::GET, &itself, &fields);
            assert_eq!(itself.header("content-encoding"), "");
            assert_eq!(itself.body, encoded(coding, SCRIPT));
        }
    }

    #[test]
    fn a_sidecar_of_other_bytes_is_never_the_answer_and_is_told() {
        let other = [b'x'; SCRIPT.len()];
        let cases: [(&str, Vec<u8>); 5] = [
            ("main.js.gz", encoded(Coding::Gzip, &other)),
            ("main.js.br", encoded(Coding::Brotli, &other)),
            ("main.js.zst", encoded(Coding::Gzip, SCRIPT)),
            ("main.js.gz", b"<html>".to_vec()),
            ("main.js.br", encoded(Coding::Brotli, &b"draw(); ".repeat(100_000))),
        ];
        for (name, bytes) in cases {
            let root = folder(&[]);
            fs::write(root.path().join("main.js"), SCRIPT).unwrap();
            fs::write(root.path().join(name), &bytes).unwrap();
            let bundle = load(&root).unwrap();
            let told = bundle.skipped().iter().map(ToString::to_string).collect::<Vec<_>>();
            let expected = format!(
                "/{name} is served under its own name only: it does not unpack to the file beside it, \
                 so compress that anew, or remove this"
            );
            assert_eq!(told, [expected]);
            let fields = [("accept-encoding", "br, zstd, gzip")];
            let answer = ask_of(&bundle, &Method::GET, "/main.js", &fields);
            assert_eq!((answer.header("content-encoding"), &*answer.body), ("", SCRIPT));
            assert_eq!(ask_of(&bundle, &Method::GET, &format!("/{name}"), &[]).body, bytes);
        }
    }

    #[test]
    fn a_sidecar_alone_is_an_ordinary_file() {
        let root = folder(&["data.json.gz"]);
        let bundle = load(&root).unwrap();
        assert_eq!(bundle.skipped(), []);
        let answer = ask_of(&bundle, &Method::GET, "/data.json.gz", &[("accept-encoding", "gzip")]);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, ""));
        assert_eq!(ask_of(&bundle, &Method::GET, "/data.json", &[]).status, 404);
    }
}
