//! The attributes, each with its reason.

use std::collections::BTreeSet;

use cookie::{Cookie, SameSite};
use time::Duration;

use super::scope::CookieScope;

/// A CloudFront cookie. `HttpOnly`: no script needs it. `SameSite=Lax`: sibling hosts are one site,
/// and a link from elsewhere still opens an image. `Max-Age`: gone when its policy is.
pub(super) fn cloudfront(scope: &CookieScope, name: &str, value: &str, max_age: u64) -> String {
    line(scope, name, value, max_age, true)
}

/// Removal of a CloudFront cookie.
pub(super) fn expired_cloudfront(scope: &CookieScope, name: &str) -> String {
    cloudfront(scope, name, "", 0)
}

/// A cookie that only this host gets back, that scripts may read, and that holds no secret.
pub(super) fn readable_host_cookie(name: &str, value: &str, max_age: u64) -> String {
    let mut cookie = Cookie::build((name, value))
        .path("/")
        .secure(true)
        .same_site(SameSite::Lax)
        .max_age(seconds(max_age))
        .build();
    cookie.set_http_only(false);
    cookie.to_string()
}

/// A cookie of our own: only this host gets it back, no script reads it, and it comes with a link or a
/// redirect from elsewhere, as the provider's to `/session/callback/NAME` is.
pub(super) fn own(name: &str, value: &str, max_age: u64) -> String {
    Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(seconds(max_age))
        .build()
        .to_string()
}

/// What shows that a handoff token was given to this browser: for the handoff at every host of the domain,
/// and for no script. `SameSite=Strict`: no other site makes a browser show it.
pub(super) fn handoff_mark(
    name: &str,
    value: &str,
    domain: &str,
    path: &str,
    max_age: u64,
) -> String {
    Cookie::build((name, value))
        .domain(domain)
        .path(path)
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(seconds(max_age))
        .build()
        .to_string()
}

/// Removal of what shows that.
pub(super) fn expired_handoff_mark(name: &str, domain: &str, path: &str) -> String {
    handoff_mark(name, "", domain, path, 0)
}

/// Removal of a cookie of our own.
pub(super) fn expired_own(name: &str) -> String {
    own(name, "", 0)
}

/// The shards that a load balancer's login session has: 16 KB in parts of 4 KB.
const LOAD_BALANCER_SHARDS: u8 = 4;

/// The most shards that are believed to be a load balancer's, should it make more one day.
const MOST_SHARDS: u8 = 16;

/// Ends the login session that a load balancer keeps in cookies called `<name>-0`, `<name>-1` and
/// so on: those that it may make, and those that the browser says it has. Source: the ELB User Guide,
/// "Authentication logout and session timeout".
pub fn expire_load_balancer_session<'a>(
    name: &str,
    held: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let held: BTreeSet<&str> = held.collect();
    (0..MOST_SHARDS)
        .map(|shard| (shard, format!("{name}-{shard}")))
        .filter(|(shard, name)| *shard < LOAD_BALANCER_SHARDS || held.contains(name.as_str()))
        .map(|(_, name)| {
            Cookie::build((name, ""))
                .path("/")
                .secure(true)
                .http_only(true)
                .max_age(Duration::ZERO)
                .to_string()
        })
        .collect()
}

fn line(scope: &CookieScope, name: &str, value: &str, max_age: u64, http_only: bool) -> String {
    let mut cookie = Cookie::build((name, value))
        .path(scope.path.as_str())
        .secure(true)
        .http_only(http_only)
        .same_site(SameSite::Lax)
        .max_age(seconds(max_age))
        .build();
    if let Some(domain) = &scope.domain {
        cookie.set_domain(domain);
    }
    cookie.to_string()
}

fn seconds(seconds: u64) -> Duration {
    Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}
