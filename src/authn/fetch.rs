//! Fetching verification keys over HTTPS: bounded in time and size, and never redirected.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The most bytes of an answer that are read.
const MAX_BYTES: usize = 64 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(4);

/// Why an answer cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The server answered that there is no such thing.
    #[error("the key service answered {0}")]
    NotFound(u16),
    /// The server answered otherwise than with the thing.
    #[error("the key service answered {0}")]
    Status(u16),
    /// The server did not answer in time, or at all.
    #[error("the key service cannot be reached: {0}")]
    Unreachable(String),
    /// The answer is larger than any key.
    #[error("the key service's answer is larger than {MAX_BYTES} bytes")]
    TooLarge,
}

type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchError>> + Send + 'a>>;

/// Something that fetches.
pub trait Fetcher: fmt::Debug + Send + Sync {
    /// Fetches a URL's content.
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a>;
}

/// Fetches over HTTP.
#[derive(Debug)]
pub struct HttpFetcher(reqwest::Client);

impl HttpFetcher {
    /// Returns a fetcher that follows no redirect and no proxy of the environment.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .no_proxy()
            .user_agent(concat!("edgemint/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }
}

impl Fetcher for HttpFetcher {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(async move {
            let unreachable =
                |e: reqwest::Error| FetchError::Unreachable(e.without_url().to_string());
            let mut response = self.0.get(url).send().await.map_err(unreachable)?;
            let status = response.status().as_u16();
            match status {
                200 => {}
                // S3, where GovCloud's keys are, answers 403 for what is not there.
                403 | 404 | 410 => return Err(FetchError::NotFound(status)),
                _ => return Err(FetchError::Status(status)),
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
                if body.len() + chunk.len() > MAX_BYTES {
                    return Err(FetchError::TooLarge);
                }
                body.extend_from_slice(&chunk);
            }
            Ok(body)
        })
    }
}
