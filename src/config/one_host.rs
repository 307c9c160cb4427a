//! Data under a path of the viewer's own host: one CloudFront distribution in front of both.
//!
//! There the paths alone tell data from pages, so each must say whose it is.

use super::distribution::Distribution;
use super::raw;
use super::site::Site;
use super::source::{Noted, Problems};
use super::viewer::Viewer;
use crate::access::{PathPrefix, Rule};
use crate::policy::BaseUrl;

/// The service's own paths.
const SERVICE: &str = "/session/";

/// Checks the path of a distribution, wherever it is.
pub(super) fn check_path(
    at: usize,
    raw: &raw::Distribution,
    base: &BaseUrl,
    site: &Site,
    problems: &mut Problems,
) -> Result<PathPrefix, Noted> {
    let key = format!("distribution[{at}].path");
    if let Some(url) = site.other_urls.iter().find(|url| url.host() == base.host()) {
        let message = format!(
            "{url} stands in other_urls: data has a host of its own, or that of public_url"
        );
        problems.add(format!("distribution[{at}].host"), message);
        return Err(Noted);
    }
    let path = PathPrefix::parse(raw.path.as_deref().unwrap_or("/"));
    let path = problems.take(&key, path).ok_or(Noted)?;
    // On a laptop another port of the same host is another server, which paths need not tell apart.
    let is_viewers = site.public_url == *base;
    let message = if path.as_str().starts_with(SERVICE) {
        format!("{SERVICE} is the service's own")
    } else if is_viewers && path.as_str() == "/" {
        format!(
            "missing; {base} is the viewer's own host, where data lie under a path that CloudFront sends \
             to the bucket: path = \"/data/\""
        )
    } else {
        return Ok(path);
    };
    problems.add(key, message);
    Err(Noted)
}

/// Checks that no bundle is where CloudFront sends requests to the bucket, and that rules open nothing
/// beside the data.
pub(super) fn check(
    distributions: &[Distribution],
    rules: &[Rule],
    (site, viewer): (Option<&Site>, Option<&Viewer>),
    problems: &mut Problems,
) {
    let is_here = |one: &&Distribution| site.is_some_and(|site| one.is_at(&site.public_url));
    for distribution in distributions.iter().filter(is_here) {
        let bundles = viewer.into_iter().flat_map(|viewer| &viewer.bundles);
        for bundle in bundles.filter(|bundle| distribution.path.contains(&bundle.path)) {
            let message = format!(
                "the bundle at {} would never be asked for: CloudFront sends {}* to the bucket",
                bundle.path, distribution.path
            );
            problems.add("viewer.bundle", message);
        }
    }
    for rule in rules {
        for (at, resource) in rule.resources.iter().enumerate() {
            let mut here = distributions.iter().filter(|one| one.base == *resource.base());
            let Some(distribution) = here.find(|one| !resource.is_under(&one.path)) else {
                continue;
            };
            let place = rules.iter().position(|other| other.name == rule.name).unwrap_or_default();
            let message = format!(
                "{resource} is beside {}, under which all data of this host lie",
                distribution.url_prefix()
            );
            problems.add(format!("rule[{place}].resources[{at}]"), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Environment, parse};

    fn site(host: &str, resource: &str, more: &str) -> Result<(), String> {
        let text = format!(
            r#"
            public_url = "https://viewer.example.org"
            other_urls = ["https://also.example.org"]
            [[identity.bearer]]
            issuer = "https://idp.example.org"
            jwks_url = "https://idp.example.org/jwks"
            audience = ["viewer"]
            [[rule]]
            name = "first"
            allow = {{ everyone = true }}
            resources = ["https://{resource}"]
            [keys]
            source = "dir:keys"
            [viewer]
            root = "viewer"
            {more}
            [[distribution]]
            {host}
            "#
        );
        let alone = host.contains("\"viewer.example.org\"");
        let others = "other_urls = [\"https://also.example.org\"]";
        let text = if alone { text.replace(others, "") } else { text };
        let config = parse(Path::new("edgemint.toml"), &text, &Environment::default());
        config.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn data_at_the_viewers_host_lies_under_a_path_of_its_own() {
        let at = |path: &str| format!("host = \"viewer.example.org\"\npath = \"{path}\"");
        let resource = "viewer.example.org/data/lab-a/*";
        assert_eq!(site(&at("/data/"), resource, ""), Ok(()));
        for path in ["/", "/session/", "/session/data/", "data/", "/data", "/a/../data/", "/da*/"] {
            let text = site(&at(path), resource, "").unwrap_err();
            assert!(text.contains("distribution[0].path: "), "{path}: {text}");
        }
        let text = site("host = \"viewer.example.org\"", resource, "").unwrap_err();
        assert!(text.contains("path = \"/data/\""), "{text}");
        let text = site("host = \"also.example.org\"", "also.example.org/a/*", "").unwrap_err();
        assert!(text.contains("stands in other_urls"), "{text}");
    }

    #[test]
    fn a_rule_opens_nothing_beside_the_data() {
        let under = "host = \"viewer.example.org\"\npath = \"/data/\"";
        for resource in [
            "viewer.example.org/*",
            "viewer.example.org/session/*",
            "viewer.example.org/datax/*",
            "viewer.example.org/Data/*",
            "viewer.example.org/{subject}/*",
            "viewer.example.org/lab-a/data/*",
        ] {
            let text = site(under, resource, "").unwrap_err();
            assert!(text.contains("rule[0].resources[0]: "), "{resource}: {text}");
        }
        assert_eq!(site(under, "viewer.example.org/data/*", ""), Ok(()));
        assert_eq!(site(under, "viewer.example.org/data/{subject}/*", ""), Ok(()));
        // The same holds on hosts of their own.
        let elsewhere = "host = \"data.example.org\"\npath = \"/private/\"";
        assert!(site(elsewhere, "data.example.org/private/a/*", "").is_ok());
        assert!(site(elsewhere, "data.example.org/a/*", "").is_err());
    }

    #[test]
    fn a_bundle_where_the_data_are_would_never_be_asked_for() {
        let under = "host = \"viewer.example.org\"\npath = \"/data/\"";
        let bundle = |path| format!("[[viewer.bundle]]\nroot = \"more\"\npath = \"{path}\"");
        for path in ["/data/", "/data/v/"] {
            let text = site(under, "viewer.example.org/data/*", &bundle(path)).unwrap_err();
            assert!(text.contains("would never be asked for"), "{path}: {text}");
        }
        assert_eq!(site(under, "viewer.example.org/data/*", &bundle("/v/")), Ok(()));
    }
}
