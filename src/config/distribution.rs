//! `[[distribution]]`: the data hosts, and whether any cookie can reach them.

use super::handoff::{self, HandoffHost};
use super::site::Site;
use super::source::Problems;
use super::{one_host, raw};
use crate::access::{CookieReach, PathPrefix};
use crate::cookies::CookieScope;
use crate::policy::{BaseUrl, domain_matches};

/// A data host, and the cookies that reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// The host's own URL.
    pub base: BaseUrl,
    /// The `Domain` attribute; none where the data host is the viewer's own.
    pub cookie_domain: Option<String>,
    /// What all of its data lie under: `/` on a host of its own, and never at the viewer's.
    pub path: PathPrefix,
    /// Whether its cookies are set at this host itself, in exchange for a token.
    pub handoff: Option<HandoffHost>,
}

impl Distribution {
    /// Where the cookies for a path prefix live.
    #[must_use]
    pub fn scope(&self, prefix: &PathPrefix) -> CookieScope {
        CookieScope { domain: self.cookie_domain.clone(), path: prefix.clone() }
    }

    /// What URLs of data begin with.
    #[must_use]
    pub fn url_prefix(&self) -> String {
        format!("{}{}", self.base, self.path)
    }

    /// Whether data and viewer have one host, so that paths alone tell them apart.
    #[must_use]
    pub fn is_at(&self, viewer: &BaseUrl) -> bool {
        self.base == *viewer
    }

    /// The narrowest domain that holds this host and another one; none if browsers keep no cookies there.
    #[must_use]
    pub fn domain_shared_with(&self, host: &str) -> Option<String> {
        derive_domain(host, self.base.host()).ok().flatten()
    }

    /// Which hosts receive the cookies.
    #[must_use]
    pub fn reach(&self) -> CookieReach {
        match &self.cookie_domain {
            Some(domain) => CookieReach::Domain(domain.clone()),
            None => CookieReach::HostOnly(self.base.host().to_owned()),
        }
    }
}

/// The distributions whose cookies an answer of `host` sets: of a host that takes handoffs its own, of any
/// other host those that take none.
pub fn set_at<'d>(
    distributions: &'d [Distribution],
    host: &str,
) -> impl Iterator<Item = &'d Distribution> {
    let takes = |one: &Distribution| one.handoff.is_some() && one.base.host() == host;
    let own = distributions.iter().position(takes);
    distributions.iter().enumerate().filter_map(move |(at, one)| match own {
        Some(own) => (at == own).then_some(one),
        None => one.handoff.is_none().then_some(one),
    })
}

pub(super) fn check(
    raw: Vec<raw::Distribution>,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Vec<Distribution> {
    if raw.is_empty() {
        problems
            .add("distribution", "missing; add [[distribution]] with host = \"data.example.org\"");
    }
    let mut distributions: Vec<Distribution> = Vec::new();
    for (at, raw) in raw.into_iter().enumerate() {
        let Some(distribution) = check_one(at, raw, site, problems) else { continue };
        if distributions.iter().any(|earlier| earlier.base == distribution.base) {
            problems.add(format!("distribution[{at}].host"), "the same host as an earlier one");
        }
        distributions.push(distribution);
    }
    distributions
}

fn check_one(
    at: usize,
    raw: raw::Distribution,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Option<Distribution> {
    let key = format!("distribution[{at}].host");
    let host = problems.require(&key, raw.host.clone(), "host = \"data.example.org\"")?;
    let text = if host.contains("://") { host } else { format!("https://{host}") };
    let base = problems.take(&key, BaseUrl::parse(&text))?;
    if base.has_port() && !base.is_loopback_name() {
        problems.add(&key, "CloudFront serves port 443 only");
        return None;
    }
    let site = site?;
    let path = one_host::check_path(at, &raw, &base, site, problems).ok()?;
    if let Some(taken) = handoff::check_host(at, &raw, &base, site, problems).ok()? {
        return Some(Distribution { base, cookie_domain: None, path, handoff: Some(taken) });
    }
    let (domain_key, domain) = match raw.cookie_domain {
        None => (key, derive_domain(site.public_url.host(), base.host())),
        Some(domain) => {
            let domain = domain.trim_start_matches('.').to_owned();
            let checked = check_domain(&domain, site.public_url.host(), base.host());
            (format!("distribution[{at}].cookie_domain"), checked.map(|()| Some(domain)))
        }
    };
    let cookie_domain = problems.take(&domain_key, domain)?;
    problems.take(&domain_key, check_others(cookie_domain.as_deref(), &site.other_urls, &base))?;
    Some(Distribution { base, cookie_domain, path, handoff: None })
}

/// Whichever of its names people come by, the service sets the same cookies.
fn check_others(domain: Option<&str>, others: &[BaseUrl], data: &BaseUrl) -> Result<(), String> {
    let reaches = |url: &&BaseUrl| domain.is_some_and(|domain| domain_matches(url.host(), domain));
    match others.iter().find(|url| !reaches(url)) {
        None => Ok(()),
        Some(url) => Err(format!(
            "{url} of other_urls cannot set the cookies of {data}; set cookie_domain to a domain that \
             all of them are under, or leave that URL out"
        )),
    }
}

/// The narrowest domain that both hosts are under; none where they are the same host.
pub(super) fn derive_domain(viewer: &str, data: &str) -> Result<Option<String>, String> {
    if viewer == data {
        return Ok(None);
    }
    let shared = viewer.rsplit('.').zip(data.rsplit('.')).take_while(|(a, b)| a == b).count();
    let labels: Vec<&str> = viewer.rsplit('.').take(shared).collect();
    let domain = labels.into_iter().rev().collect::<Vec<_>>().join(".");
    check_domain(&domain, viewer, data).map(|()| Some(domain))
}

/// RFC 6265 section 5.3: a response sets cookies for its own host's domains only, and browsers keep
/// none at a public suffix.
fn check_domain(domain: &str, viewer: &str, data: &str) -> Result<(), String> {
    if domain.is_empty() || !domain_matches(viewer, domain) || !domain_matches(data, domain) {
        let advice = if data.ends_with(".cloudfront.net") {
            "; give the distribution an alternate domain name beside the viewer's"
        } else {
            ""
        };
        return Err(format!("no cookie that {viewer} may set reaches {data}{advice}"));
    }
    if psl::domain_str(domain).is_none() {
        return Err(format!(
            "{viewer} and {data} share only {domain}, a public suffix, where browsers keep no \
             cookies"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_the_narrowest_that_both_hosts_share() {
        let derive = |viewer, data| derive_domain(viewer, data).unwrap();
        assert_eq!(
            derive("viewer.example.org", "data.example.org").as_deref(),
            Some("example.org")
        );
        assert_eq!(
            derive("v.lab.example.org", "d.lab.example.org").as_deref(),
            Some("lab.example.org")
        );
        assert_eq!(derive("example.org", "data.example.org").as_deref(), Some("example.org"));
        assert_eq!(derive("viewer.example.org", "viewer.example.org"), None);
        let demo = derive("viewer.edgemint.localhost", "data.edgemint.localhost");
        assert_eq!(demo.as_deref(), Some("edgemint.localhost"));
    }

    #[test]
    fn data_hosts_that_no_cookie_reaches_are_refused() {
        for (viewer, data) in [
            ("viewer.example.org", "d111111abcdef8.cloudfront.net"),
            ("a.cloudfront.net", "b.cloudfront.net"),
            ("viewer.example.org", "data.other.org"),
            ("viewer.example.co.uk", "data.other.co.uk"),
            ("viewer.github.io", "data.github.io"),
            ("viewer.localhost", "data.localhost"),
            ("notexample.org", "data.example.org"),
        ] {
            assert!(derive_domain(viewer, data).is_err(), "{viewer} {data}");
        }
    }

    #[test]
    fn a_given_domain_must_hold_both_hosts() {
        let check = |domain| check_domain(domain, "v.lab.example.org", "d.lab.example.org");
        assert!(check("lab.example.org").is_ok() && check("example.org").is_ok());
        for domain in ["org", "", "xample.org", "v.lab.example.org", "other.org"] {
            assert!(check(domain).is_err(), "{domain}");
        }
    }
}
