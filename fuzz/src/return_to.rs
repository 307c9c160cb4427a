//! `return_to`.
//!
//! - What is accepted, a browser resolves to a path of the same site, and so does a reader that
//!   knows nothing but what browsers drop and replace.
//! - It can stand in a `Location` header, and is accepted again as it is.

use axum::http::HeaderValue;
use edgemint::policy::BaseUrl;
use edgemint::server::return_to::parse;
use url::{Position, Url};

const SITES: [&str; 3] = [
    "https://viewer.example.org",
    "https://viewer.example.org:8443",
    "http://viewer.edgemint.localhost:8080",
];

/// The longest that is looked at.
const MAX_BYTES: usize = 4096;

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let text = text.strip_suffix('\n').unwrap_or(text);
    let verdicts = SITES.map(|site| judge(text, &BaseUrl::parse(site).unwrap()));
    verdicts.contains(&true)
}

fn judge(text: &str, site: &BaseUrl) -> bool {
    let Ok(path) = parse(text, site) else { return false };
    let page = Url::parse(site.as_str()).unwrap().join("/session/login?return_to=x").unwrap();
    let target = page.join(&path).unwrap();
    assert_eq!(target.origin().ascii_serialization(), site.as_str(), "{path}");
    assert_eq!(&target[Position::BeforePath..], path);
    assert!(target.username().is_empty() && target.password().is_none());
    assert!(!target.path().starts_with("/session/log"), "{path} goes round in circles");
    assert!(stays(&path), "{path}");
    assert!(HeaderValue::from_str(&path).is_ok());
    assert!(path.len() > MAX_BYTES || parse(&path, site).as_ref() == Ok(&path), "{path}");
    // What the person typed leads there too.
    let typed = page.join(text).unwrap();
    assert_eq!(typed.as_str(), target.as_str());
    true
}

/// Browsers drop tabs and line ends, and controls and spaces around; they take `\` for `/`.
fn stays(path: &str) -> bool {
    let trimmed = path.trim_matches(|c: char| c <= ' ');
    let read: String = trimmed
        .chars()
        .filter(|c| !"\t\r\n".contains(*c))
        .map(|c| if c == '\\' { '/' } else { c })
        .collect();
    read.starts_with('/') && !read.starts_with("//")
}
