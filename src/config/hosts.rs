//! `hosts`: under which of the site's names a front is believed.

use super::site::Site;
use super::source::Problems;

/// Under which of the site's names a front is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Option<Vec<String>>);

impl Hosts {
    /// Whether it is believed in a request to `host`, one of the site's names.
    #[must_use]
    pub fn contain(&self, host: &str) -> bool {
        self.0.as_ref().is_none_or(|hosts| hosts.iter().any(|known| known == host))
    }

    /// The names, if they are listed.
    #[must_use]
    pub fn listed(&self) -> Option<&[String]> {
        self.0.as_deref()
    }

    /// Whether there is a name under which both are believed.
    #[must_use]
    pub fn meet(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(hosts), _) => hosts.iter().any(|host| other.contain(host)),
            (None, Some(_) | None) => true,
        }
    }
}

/// Without `hosts`, a front is believed under every name.
pub(super) fn check(
    key: &str,
    hosts: Option<&Vec<String>>,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Option<Hosts> {
    let (Some(hosts), Some(site)) = (hosts, site) else { return Some(Hosts(None)) };
    if hosts.is_empty() {
        problems.add(key, "nowhere: name a host, or leave it out for all of them");
        return None;
    }
    for (at, host) in hosts.iter().enumerate() {
        if !site.urls().any(|url| url.host() == host) {
            let message = format!("{host:?} is the host of neither public_url nor other_urls");
            problems.add(format!("{key}[{at}]"), message);
        }
    }
    Some(Hosts(Some(hosts.clone())))
}
