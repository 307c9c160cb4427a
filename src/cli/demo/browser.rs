//! As much of a browser as the walk needs: a cookie jar, and names under localhost.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context as _;
use cookie::Cookie;
use reqwest::{Client, Method, Response};
use url::Url;

/// A cookie's place in the jar: RFC 6265 section 5.3, step 11. The flag is host-only.
type Place = (String, bool, String, String);

/// A browser that is closed when dropped.
pub(super) struct Browser {
    http: Client,
    jar: BTreeMap<Place, String>,
}

impl Browser {
    pub(super) fn open(hosts: &[&str]) -> anyhow::Result<Self> {
        let mut http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        for host in hosts {
            http = http.resolve(host, SocketAddr::from(([127, 0, 0, 1], 0)));
        }
        Ok(Self { http: http.build().context("cannot set up HTTP")?, jar: BTreeMap::new() })
    }

    /// Sends one request with the cookies of the jar and keeps those of the answer.
    pub(super) async fn send(
        &mut self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        form: Option<String>,
    ) -> anyhow::Result<Response> {
        let target = Url::parse(url)?;
        let mut request = self.http.request(method, target.clone());
        let cookies = self.cookies_for(&target);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(form) = form {
            request =
                request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        let response = request.send().await.with_context(|| format!("no answer from {url}"))?;
        self.keep(&target, &response);
        Ok(response)
    }

    /// The cookies that a request for `url` carries.
    pub(super) fn cookies_for(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let matching = self.jar.iter().filter(|((domain, host_only, path, _), _)| {
            let on_domain =
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
            let under = path == url.path()
                || (url.path().starts_with(path.as_str())
                    && (path.ends_with('/') || url.path()[path.len()..].starts_with('/')));
            under && (host == domain || (on_domain && !host_only))
        });
        let pairs: Vec<String> =
            matching.map(|((_, _, _, name), value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn keep(&mut self, url: &Url, response: &Response) {
        let host = url.host_str().unwrap_or_default();
        for line in response.headers().get_all("set-cookie") {
            let Some(cookie) = line.to_str().ok().and_then(|line| Cookie::parse(line).ok()) else {
                continue;
            };
            let domain = cookie.domain().unwrap_or(host).to_owned();
            let path = cookie.path().unwrap_or("/").to_owned();
            let place = (domain, cookie.domain().is_none(), path, cookie.name().to_owned());
            if cookie.max_age() == Some(time::Duration::ZERO) {
                self.jar.remove(&place);
            } else {
                self.jar.insert(place, cookie.value().to_owned());
            }
        }
    }
}
