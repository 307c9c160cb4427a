//! Where the service listens and what it is called.

use std::net::SocketAddr;

use super::source::Problems;
use crate::policy::BaseUrl;

/// Where the service listens and what it is called.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where people's requests arrive.
    pub listen: SocketAddr,
    /// Where `/metrics` is served, if anywhere. Keep it off the network that people come from.
    pub admin_listen: Option<SocketAddr>,
    /// The viewer's own URL, as browsers know it.
    pub public_url: BaseUrl,
    /// Further URLs of the same viewer.
    pub other_urls: Vec<BaseUrl>,
    /// How many proxies in front append to `X-Forwarded-For` truthfully.
    pub trusted_hops: u8,
}

impl Site {
    /// Every URL of the viewer, the main one first.
    pub fn urls(&self) -> impl Iterator<Item = &BaseUrl> {
        std::iter::once(&self.public_url).chain(&self.other_urls)
    }

    /// Whether only its own machine can reach the service. Stand-ins and plain HTTP are believed there,
    /// and nowhere else.
    #[must_use]
    pub fn is_laptop(&self) -> bool {
        self.urls().all(BaseUrl::is_loopback_name) && self.listen.ip().is_loopback()
    }
}

/// More proxies in a row than any site has.
pub(super) const MAX_HOPS: u8 = 8;

pub(super) fn check(
    listen: Option<String>,
    admin_listen: Option<String>,
    public_url: Option<String>,
    other_urls: &[String],
    trusted_hops: Option<u8>,
    problems: &mut Problems,
) -> Option<Site> {
    let listen = listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listen = address("listen", &listen, problems);
    let admin_listen = admin_listen.map(|text| address("admin_listen", &text, problems));
    let public_url =
        problems.require("public_url", public_url, "public_url = \"https://viewer.example.org\"");
    let public_url = public_url
        .and_then(|text| problems.take("public_url", BaseUrl::parse(text.trim_end_matches('/'))));
    let other_urls = check_others(other_urls, public_url.as_ref(), problems);
    let trusted_hops = trusted_hops.unwrap_or(1);
    if trusted_hops > MAX_HOPS {
        problems
            .add("trusted_hops", format!("{trusted_hops} proxies in a row; at most {MAX_HOPS}"));
    }
    let admin_listen = match admin_listen {
        Some(None) => return None,
        Some(address) => address,
        None => None,
    };
    if admin_listen.is_some() && admin_listen == listen && listen.is_some_and(|l| l.port() != 0) {
        problems.add("admin_listen", "the same as listen; /metrics needs a port of its own");
    }
    Some(Site { listen: listen?, admin_listen, public_url: public_url?, other_urls, trusted_hops })
}

fn check_others(
    texts: &[String],
    public_url: Option<&BaseUrl>,
    problems: &mut Problems,
) -> Vec<BaseUrl> {
    let mut others: Vec<BaseUrl> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let key = format!("other_urls[{at}]");
        let Some(url) = problems.take(&key, BaseUrl::parse(text.trim_end_matches('/'))) else {
            continue;
        };
        // Rules of fronts go by the host alone.
        let mut known = public_url.into_iter().chain(&others);
        if known.any(|known| known.host() == url.host()) {
            problems.add(key, format!("the host {} stands here already", url.host()));
            continue;
        }
        others.push(url);
    }
    others
}

fn address(key: &str, text: &str, problems: &mut Problems) -> Option<SocketAddr> {
    let parsed = text.parse::<SocketAddr>();
    let wrong =
        format!("{text:?} is no address and port, such as \"0.0.0.0:8080\" or \"[::]:8080\"");
    problems.take(key, parsed.map_err(|_| wrong))
}
