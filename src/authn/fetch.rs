//! HTTP towards identity providers and key services: bounded in time and size, never redirected, and
//! never to an address at which no provider is.
//!
//! URLs come from the configuration and from discovery documents, names from DNS; neither may make
//! this machine talk to itself or to its cloud's metadata service. So every address is judged when it is
//! connected to, whatever name it was found under.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use axum::http::{Request, Response};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The most bytes of a key document that are read.
const MAX_KEY_BYTES: usize = 64 * 1024;

/// The most bytes of any other answer that are read.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why an answer cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The server answered that there is no such thing.
    #[error("the server answered {0}")]
    NotFound(u16),
    /// The server answered otherwise than with the thing.
    #[error("the server answered {0}")]
    Status(u16),
    /// The server did not answer in time, or at all.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The answer is larger than any that is expected.
    #[error("the server's answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// What fetching comes to.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchError>> + Send + 'a>>;

/// What sending comes to.
pub type Sending<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, FetchError>> + Send + 'a>>;

/// Something that fetches.
pub trait Fetcher: fmt::Debug + Send + Sync {
    /// Fetches a URL's content.
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a>;

    /// Sends a request and returns the answer, whatever its status. One that only fetches refuses.
    fn send(&self, _request: Request<Vec<u8>>) -> Sending<'_> {
        Box::pin(async { Err(FetchError::Unreachable("nothing is sent from here".to_owned())) })
    }
}

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of the network, private ones included.
    Network,
    /// This machine's own as well: for a service that only this machine can reach.
    Laptop,
}

impl Reach {
    /// Whether an address is one at which a provider may be.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.allows_v4(v4),
            IpAddr::V6(v6) => self.allows_v6(v6),
        }
    }

    fn allows_v4(self, address: Ipv4Addr) -> bool {
        if address.is_loopback() {
            return self == Self::Laptop;
        }
        // 0.0.0.0/8 reaches this machine on Linux.
        !(address.octets()[0] == 0
            || address.is_link_local()
            || address.is_multicast()
            || address.is_broadcast())
    }

    fn allows_v6(self, address: Ipv6Addr) -> bool {
        if address.is_loopback() {
            return self == Self::Laptop;
        }
        let segments = address.segments();
        // AWS's metadata service and its kin are in fd00:ec2::/32.
        let of_the_cloud = segments[..2] == [0xfd00, 0x0ec2];
        if address.is_unspecified()
            || address.is_multicast()
            || address.is_unicast_link_local()
            || of_the_cloud
        {
            return false;
        }
        // RFC 6052: a gateway turns 64:ff9b::/96 into the IPv4 address at its end.
        let gateway = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
        let [.., a, b, c, d] = address.octets();
        !gateway || self.allows_v4(Ipv4Addr::new(a, b, c, d))
    }
}

/// Fetches over HTTP.
#[derive(Debug)]
pub struct HttpFetcher {
    client: reqwest::Client,
    reach: Reach,
}

impl HttpFetcher {
    /// Returns a fetcher that follows no redirect and no proxy of the environment.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(reach: Reach) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .no_proxy()
            .dns_resolver(Guarded(reach))
            .user_agent(concat!("edgemint/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, reach })
    }

    /// An address that stands in the URL itself is asked of no resolver.
    fn check_literal(&self, url: &str) -> Result<Url, FetchError> {
        let url = Url::parse(url).map_err(|error| FetchError::Unreachable(error.to_string()))?;
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            Some(Host::Domain(_)) | None => None,
        };
        match address {
            Some(address) if !self.reach.allows(address) => {
                Err(FetchError::Unreachable(Forbidden.to_string()))
            }
            _ => Ok(url),
        }
    }

    async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        let (parts, body) = request.into_parts();
        let url = self.check_literal(&parts.uri.to_string())?;
        let sending = self.client.request(parts.method, url).headers(parts.headers).body(body);
        let mut answer = sending.send().await.map_err(unreachable)?;
        let body = read(&mut answer, MAX_ANSWER_BYTES).await?;
        let mut response = Response::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }
}

impl Fetcher for HttpFetcher {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(async move {
            let url = self.check_literal(url)?;
            let mut response = self.client.get(url).send().await.map_err(unreachable)?;
            let status = response.status().as_u16();
            match status {
                200 => read(&mut response, MAX_KEY_BYTES).await,
                // S3, where GovCloud's keys are, answers 403 for what is not there.
                403 | 404 | 410 => Err(FetchError::NotFound(status)),
                _ => Err(FetchError::Status(status)),
            }
        })
    }

    fn send(&self, request: Request<Vec<u8>>) -> Sending<'_> {
        Box::pin(self.exchange(request))
    }
}

async fn read(response: &mut reqwest::Response, most: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > most {
            return Err(FetchError::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The innermost reason says most.
#[expect(clippy::needless_pass_by_value, reason = "as map_err passes it")]
fn unreachable(error: reqwest::Error) -> FetchError {
    let mut reason: &dyn Error = &error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    let text = if error.is_timeout() { "no answer in time".to_owned() } else { reason.to_string() };
    FetchError::Unreachable(text)
}

/// Looks names up as the system does, and keeps only addresses that may be connected to.
#[derive(Clone, Copy, Debug)]
struct Guarded(Reach);

/// All of a name's addresses are such that no provider is there.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "its address is this machine's own, a link-local one or none that a server has; such are never \
     connected to"
)]
struct Forbidden;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|at| reach.allows(at.ip())).collect();
            if allowed.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_of_this_machine_or_of_a_metadata_service_is_connected_to() {
        for text in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::7f00:1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(!Reach::Network.allows(text.parse().unwrap()), "{text}");
        }
        for text in ["10.0.0.1", "192.168.1.1", "93.184.216.34", "2606:2800::1", "fd12::1"] {
            assert!(Reach::Network.allows(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_laptop_reaches_itself_and_still_no_metadata_service() {
        for text in ["127.0.0.1", "::1"] {
            assert!(Reach::Laptop.allows(text.parse().unwrap()), "{text}");
        }
        for text in ["169.254.169.254", "fe80::1", "0.0.0.0", "64:ff9b::a9fe:a9fe"] {
            assert!(!Reach::Laptop.allows(text.parse().unwrap()), "{text}");
        }
    }

    #[tokio::test]
    async fn names_and_addresses_are_judged_before_anything_is_sent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let fetcher = HttpFetcher::new(Reach::Network).unwrap();
        for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "169.254.169.254"] {
            let url = format!("http://{host}:{port}/");
            let forbidden = FetchError::Unreachable(Forbidden.to_string());
            assert_eq!(fetcher.fetch(&url).await, Err(forbidden.clone()), "{host}");
            let request = Request::post(&url).body(Vec::new()).unwrap();
            assert_eq!(fetcher.send(request).await.unwrap_err(), forbidden, "{host}");
        }
        assert!(listener.accept().is_err(), "somebody connected");
    }
}
