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

impl Cors {
    /// Origins of other sites than `url`: browsers neither send them the cookies of sign-in nor keep those
    /// that they are given, since all of these are `SameSite=Lax` (RFC 6265bis section 5.2).
    pub fn of_other_sites(&self, url: &BaseUrl) -> impl Iterator<Item = &BaseUrl> {
        let here = site(url);
        self.origins.iter().filter(move |origin| site(origin) != here)
    }
}

/// Scheme and registrable domain.
fn site(url: &BaseUrl) -> (bool, String) {
    let tls = url.as_str().starts_with("https:");
    (tls, psl::domain_str(url.host()).unwrap_or(url.host()).to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_site_is_another_registrable_domain_or_scheme() {
        let url = |text: &str| BaseUrl::parse(text).unwrap();
        for (origin, here, other) in [
            ("https://notebook.example.org", "https://viewer.example.org", false),
            ("https://example.org:8443", "https://viewer.example.org", false),
            ("https://notebook.example.net", "https://viewer.example.org", true),
            ("https://a.github.io", "https://b.github.io", true),
            ("http://localhost:8888", "https://viewer.example.org", true),
            ("http://localhost:8888", "http://localhost:8080", false),
            ("http://a.demo.localhost", "http://b.demo.localhost", false),
        ] {
            let cors = Cors { origins: vec![url(origin)] };
            assert_eq!(cors.of_other_sites(&url(here)).count() == 1, other, "{origin} {here}");
        }
    }
}
