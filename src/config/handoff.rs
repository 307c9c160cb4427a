//! `[handoff]`, and the data hosts that take handoffs.
//!
//! The cookies of such a host are set there, for that host alone, in exchange for a token that the viewer's
//! host gives to a person who is signed in. So distributions under one domain may have the same paths.

use std::path::Path;

use super::cookie_keys::{self, CookieKeySource};
use super::distribution::{Distribution, derive_domain};
use super::raw;
use super::site::{MAX_HOPS, Site};
use super::source::{Noted, Problems};
use crate::policy::BaseUrl;

/// The most hosts: a page asks each of them at every renewal, and signing out tells each.
const MAX_HOSTS: usize = 16;

const KEY: &str = "handoff.keys";

/// How requests reach the service by a data host's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandoffHost {
    /// How many proxies append to `X-Forwarded-For` truthfully on the way there. CloudFront is one.
    pub trusted_hops: u8,
}

/// Checks what a distribution says of handoffs; none if its cookies come from the viewer's host.
pub(super) fn check_host(
    at: usize,
    raw: &raw::Distribution,
    base: &BaseUrl,
    site: &Site,
    problems: &mut Problems,
) -> Result<Option<HandoffHost>, Noted> {
    let key = |name: &str| format!("distribution[{at}].{name}");
    if raw.handoff != Some(true) {
        if raw.trusted_hops.is_some() {
            let message = "is for handoff = true: at other hosts the service takes no requests";
            problems.add(key("trusted_hops"), message);
            return Err(Noted);
        }
        return Ok(None);
    }
    if raw.cookie_domain.is_some() {
        let message = "leave it out: with handoff = true the cookies are for the one host";
        problems.add(key("cookie_domain"), message);
        return Err(Noted);
    }
    for url in site.urls() {
        let message = match derive_domain(url.host(), base.host()) {
            Ok(Some(_)) => continue,
            Ok(None) => format!("{url} is the viewer's own host, which needs no handoff"),
            Err(problem) => format!(
                "{problem}: a handoff needs a host under one registrable domain with {url}, since \
                 browsers send a page's cookies to no other site"
            ),
        };
        problems.add(key("handoff"), message);
        return Err(Noted);
    }
    let hops = raw.trusted_hops.unwrap_or_else(|| behind_cloudfront(site.trusted_hops));
    if hops > MAX_HOPS {
        problems.add(key("trusted_hops"), format!("{hops} proxies in a row; at most {MAX_HOPS}"));
        return Err(Noted);
    }
    Ok(Some(HandoffHost { trusted_hops: hops }))
}

/// Whoever asks a data host comes by CloudFront; whoever asks the viewer's host, perhaps not. With two hops
/// or more it is there already.
const fn behind_cloudfront(hops: u8) -> u8 {
    if hops < 2 { hops + 1 } else { hops }
}

/// Checks where the keys are that seal tokens; none where no host takes any.
pub(super) fn check(
    raw: Option<raw::Handoff>,
    distributions: &[Distribution],
    site: Option<&Site>,
    folder: &Path,
    problems: &mut Problems,
) -> Result<Option<CookieKeySource>, Noted> {
    let hosts: Vec<_> = distributions.iter().filter(|one| one.handoff.is_some()).collect();
    for host in &hosts {
        // Cookies know no ports (RFC 6265 section 8.5).
        let alike = distributions.iter().filter(|other| other.base.host() == host.base.host());
        if alike.count() > 1 {
            problems.add(
                "distribution",
                format!("{} takes handoffs, so no other may have the same host name", host.base),
            );
        }
    }
    if hosts.len() > MAX_HOSTS {
        let message = format!("{} hosts take handoffs; at most {MAX_HOSTS}", hosts.len());
        problems.add("distribution", message);
        return Err(Noted);
    }
    let given = raw.is_some();
    let raw = raw.unwrap_or_default();
    let keys = cookie_keys::check(KEY, raw.keys, raw.keys_file, folder, problems)?;
    match keys {
        _ if hosts.is_empty() && given => {
            let message = "no [[distribution]] says handoff = true; leave this section out";
            problems.add("handoff", message);
            Err(Noted)
        }
        _ if hosts.is_empty() => Ok(None),
        Some(source) => Ok(Some(source)),
        None if site.is_some_and(Site::is_laptop) => Ok(Some(CookieKeySource::Random)),
        None => {
            problems.add(
                KEY,
                "missing: the keys that seal handoff tokens, the same for all instances. Make one with \
                 `edgemint keys cookie --out handoff-keys` and write keys_file = \"handoff-keys\" under \
                 [handoff]",
            );
            Err(Noted)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CookieKeySource, Environment, parse, set_at};
    use super::*;

    const KEYS: &str = "[handoff]\nkeys_file = \"handoff-keys\"";

    /// A site with a data host that shares the viewer's domain, and what `more` says.
    fn with(public_url: &str, resources: &str, more: &str) -> Result<super::super::Config, String> {
        let text = format!(
            r#"
            public_url = "{public_url}"
            [[identity.bearer]]
            issuer = "https://idp.example.org"
            jwks_url = "https://idp.example.org/jwks"
            audience = ["viewer"]
            [[distribution]]
            host = "data.example.org"
            [[rule]]
            name = "all"
            allow = {{ everyone = true }}
            resources = [{resources}]
            [keys]
            source = "dir:keys"
            {more}
            "#
        );
        let config = parse(Path::new("edgemint.toml"), &text, &Environment::default());
        config.map_err(|error| error.to_string())
    }

    fn site(more: &str) -> Result<super::super::Config, String> {
        with("https://viewer.example.org", "\"https://data.example.org/a/*\"", more)
    }

    fn host(host: &str, rest: &str) -> String {
        format!("{KEYS}\n[[distribution]]\nhost = \"{host}\"\nhandoff = true\n{rest}")
    }

    #[test]
    fn a_handoff_hosts_cookies_are_its_own_and_set_there_alone() {
        let config = site(&host("data-b.example.org", "")).unwrap();
        let [shared, own] = &config.distributions[..] else { panic!("{config:?}") };
        assert_eq!((own.cookie_domain.as_deref(), own.handoff.is_some()), (None, true));
        let at = |host| -> Vec<_> { set_at(&config.distributions, host).collect() };
        assert_eq!(at("viewer.example.org"), [shared]);
        assert_eq!(at("data-b.example.org"), [own]);
        assert_eq!(config.handoff, Some(CookieKeySource::File("handoff-keys".into())));
    }

    #[test]
    fn hosts_that_no_handoff_reaches_are_refused() {
        for (name, reason) in [
            ("data.other.org", "registrable domain"),
            ("d111111abcdef8.cloudfront.net", "alternate domain name"),
            ("viewer.example.org", "the viewer's own host"),
            ("data.example.org", "the same host"),
        ] {
            let text = site(&host(name, "")).unwrap_err();
            assert!(text.contains(reason), "{name}: {text}");
        }
        let text =
            site(&host("data-b.example.org", "cookie_domain = \"example.org\"")).unwrap_err();
        assert!(text.contains("distribution[1].cookie_domain: leave it out"), "{text}");
    }

    #[test]
    fn another_url_of_the_site_must_share_the_domain_too() {
        let text = format!("{}\n", host("data-b.example.org", ""));
        let config = with(
            "https://viewer.example.org\"\nother_urls = [\"https://viewer.other.org\"]\n#\"",
            "\"https://data.example.org/a/*\"",
            &text,
        );
        assert!(config.unwrap_err().contains("https://viewer.other.org"));
    }

    #[test]
    fn keys_must_be_shared_by_instances_but_on_a_laptop() {
        let distribution = "[[distribution]]\nhost = \"data-b.example.org\"\nhandoff = true";
        let text = site(distribution).unwrap_err();
        assert!(text.contains("handoff.keys: missing"), "{text}");
        assert!(site(KEYS).unwrap_err().contains("no [[distribution]] says handoff = true"));
        let two = host("data-b.example.org", "").replace(
            "keys_file",
            "keys = [\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]\nkeys_file",
        );
        assert!(
            site(&two).unwrap_err().contains("handoff.keys_file: handoff.keys is given as well")
        );
    }

    #[test]
    fn cloudfront_is_one_proxy_more_than_the_viewers_host_has() {
        let hops = |before: &str, rest: &str| {
            let public = format!("https://viewer.example.org\"\ntrusted_hops = {before}\n#\"");
            let text = host("data-b.example.org", rest);
            let config = with(&public, "\"https://data.example.org/a/*\"", &text)?;
            Ok::<_, String>(config.distributions[1].handoff.unwrap().trusted_hops)
        };
        for (before, expected) in [("0", 1), ("1", 2), ("2", 2), ("3", 3)] {
            assert_eq!(hops(before, ""), Ok(expected), "{before}");
        }
        assert_eq!(hops("1", "trusted_hops = 3"), Ok(3));
        assert!(hops("1", "trusted_hops = 9").is_err());
        let elsewhere = "[[distribution]]\nhost = \"data-b.example.org\"\ntrusted_hops = 2";
        assert!(site(elsewhere).unwrap_err().contains("is for handoff = true"));
    }

    #[test]
    fn a_siblings_domain_cookie_at_the_same_path_would_shadow_the_hosts_own() {
        let both = |path: &str| {
            format!("\"https://data.example.org/a/*\", \"https://data-b.example.org{path}\"")
        };
        let handoff = host("data-b.example.org", "");
        for path in ["/a/*", "/a/b/*", "/*"] {
            let text = with("https://viewer.example.org", &both(path), &handoff).unwrap_err();
            assert!(text.contains("a browser would send both sets"), "{path}: {text}");
        }
        assert!(with("https://viewer.example.org", &both("/b/*"), &handoff).is_ok());
        // Two hosts that both take handoffs never see each other's.
        let two =
            format!("{handoff}\n[[distribution]]\nhost = \"data-c.example.org\"\nhandoff = true");
        let resources = "\"https://data-b.example.org/a/*\", \"https://data-c.example.org/a/*\"";
        assert!(with("https://viewer.example.org", resources, &two).is_ok());
    }
}
