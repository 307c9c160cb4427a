//! `[cors]`: other origins whose scripts may ask for cookies.

use super::raw;
use super::source::Problems;
use crate::policy::BaseUrl;

/// More origins than any site has.
const MAX_ORIGINS: usize = 64;

/// Other origins whose scripts may ask for cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Exact origins, as browsers spell them.
    pub origins: Vec<BaseUrl>,
}

pub(super) fn check(raw: raw::Cors, problems: &mut Problems) -> Cors {
    let origins = raw.origins.unwrap_or_default();
    if origins.len() > MAX_ORIGINS {
        problems.add("cors.origins", format!("{} origins; at most {MAX_ORIGINS}", origins.len()));
    }
    let parse = |(at, text): (usize, String)| {
        let key = format!("cors.origins[{at}]");
        if text.contains('*') {
            problems
                .add(&key, "no origin: name each one, such as \"https://notebook.example.org\"");
            return None;
        }
        problems.take(&key, BaseUrl::parse(text.trim_end_matches('/')))
    };
    Cors { origins: origins.into_iter().enumerate().filter_map(parse).collect() }
}
