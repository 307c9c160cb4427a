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
    /// How many proxies in front append to `X-Forwarded-For` truthfully.
    pub trusted_hops: u8,
}

/// More proxies in a row than any site has.
const MAX_HOPS: u8 = 8;

pub(super) fn check(
    listen: Option<String>,
    admin_listen: Option<String>,
    public_url: Option<String>,
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
    Some(Site { listen: listen?, admin_listen, public_url: public_url?, trusted_hops })
}

fn address(key: &str, text: &str, problems: &mut Problems) -> Option<SocketAddr> {
    let parsed = text.parse::<SocketAddr>();
    let wrong =
        format!("{text:?} is no address and port, such as \"0.0.0.0:8080\" or \"[::]:8080\"");
    problems.take(key, parsed.map_err(|_| wrong))
}
