//! The attributes, each with its reason.

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

/// The most shards that a load balancer's login session has: 16 KB in parts of 4 KB.
const LOAD_BALANCER_SHARDS: usize = 4;

/// Ends the login session that a load balancer keeps in cookies called `<name>-0`, `<name>-1` and
/// so on. Source: the ELB User Guide, "Authentication logout and session timeout".
#[must_use]
pub fn expire_load_balancer_session(name: &str) -> Vec<String> {
    (0..LOAD_BALANCER_SHARDS)
        .map(|shard| {
            Cookie::build((format!("{name}-{shard}"), ""))
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
