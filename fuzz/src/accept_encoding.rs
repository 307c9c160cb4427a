//! `Accept-Encoding`, a field per line: which coding a file is sent in.
//!
//! - It is the one that a plain reading of RFC 9110, section 12.5.3, chooses.
//! - It is one that the request accepts, and without it another one is chosen, or none.

use std::collections::HashMap;

use axum::http::header::ACCEPT_ENCODING;
use axum::http::{HeaderMap, HeaderValue};
use edgemint::bundle::{Accepted, Coding};

/// Optional white space (RFC 9110, section 5.6.3).
const SPACE: [char; 2] = [' ', '\t'];

/// See the module.
#[must_use]
pub fn run(data: &[u8]) -> bool {
    let lines = data.split(|byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for line in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append(ACCEPT_ENCODING, line);
    }
    let accepted = Accepted::of(&headers);
    let chosen = accepted.choose(|_| true);
    assert_eq!(chosen, expected(&headers), "{headers:?}");
    if let Some(coding) = chosen {
        assert!(accepted.accepts(coding), "{headers:?}");
        assert_ne!(accepted.choose(|other| other != coding), chosen, "{headers:?}");
    }
    assert_eq!(accepted.choose(|_| false), None);
    chosen.is_some()
}

fn expected(headers: &HeaderMap) -> Option<Coding> {
    let mut weights: HashMap<String, f64> = HashMap::new();
    for line in headers.get_all(ACCEPT_ENCODING) {
        for member in String::from_utf8_lossy(line.as_bytes()).split(',') {
            let (name, weight) = match member.split_once(';') {
                None => (member, Some(1.0)),
                Some((name, weight)) => (name, number(weight.trim_matches(SPACE))),
            };
            let name = name.trim_matches(SPACE).to_ascii_lowercase();
            let name = if name == "x-gzip" { "gzip".to_owned() } else { name };
            if let Some(weight) = weight.filter(|_| !name.is_empty()) {
                weights.entry(name).or_insert(weight);
            }
        }
    }
    let of = |name: &str| weights.get(name).or_else(|| weights.get("*")).copied();
    let mut best: Option<(Coding, f64)> = None;
    for coding in Coding::ALL {
        let weight = of(coding.token()).unwrap_or(0.0);
        if weight > best.map_or(0.0, |(_, weight)| weight) {
            best = Some((coding, weight));
        }
    }
    let (coding, weight) = best?;
    (weight >= of("identity").unwrap_or(0.0)).then_some(coding)
}

fn number(text: &str) -> Option<f64> {
    let value = text.strip_prefix("q=").or_else(|| text.strip_prefix("Q="))?;
    let shape = value.len() <= 5 && value.chars().all(|c| c.is_ascii_digit() || c == '.');
    let start = value.starts_with(['0', '1']) && (value.len() == 1 || value[1..].starts_with('.'));
    let number: f64 = value.parse().ok().filter(|_| shape && start)?;
    (number <= 1.0).then_some(number)
}
