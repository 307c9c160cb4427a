//! A browser's cookie jar, by a clock that the test moves.
//!
//! RFC 6265 section 5, with what browsers add from RFC 6265bis: the sizes beyond which a cookie or an
//! attribute is dropped, `__Host-`, no `Secure` from plain HTTP, and the host-only flag as a part of
//! a cookie's identity. `Expires` is not modelled; the service never writes it.

use edgemint::clock::EpochSeconds;
use url::Url;

/// RFC 6265bis section 5.6: name and value together.
const MAX_PAIR: usize = 4096;
/// RFC 6265bis section 5.6: the value of one attribute.
const MAX_ATTRIBUTE: usize = 1024;

#[derive(Clone, Debug, Default)]
pub(crate) struct Jar {
    cookies: Vec<Cookie>,
}

#[derive(Clone, Debug)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) domain: String,
    pub(crate) host_only: bool,
    pub(crate) path: String,
    secure: bool,
    expires: Option<EpochSeconds>,
    /// Which answer set it, as the test numbers answers.
    pub(crate) answer: usize,
}

impl Jar {
    /// Takes one `Set-Cookie` line of an answer from `url`, as far as a browser would.
    pub(crate) fn store(&mut self, url: &Url, line: &str, now: EpochSeconds, answer: usize) {
        let Some((mut cookie, max_age)) = read(url, line) else { return };
        cookie.answer = answer;
        let at = self.cookies.iter().position(|held| held.is_same_as(&cookie));
        let removed = max_age.is_some_and(|seconds| seconds <= 0);
        cookie.expires = max_age.map(|seconds| now.plus(seconds.unsigned_abs()));
        match (at, removed) {
            (Some(at), true) => drop(self.cookies.remove(at)),
            // The creation time stays, and with it the place in the order.
            (Some(at), false) => self.cookies[at] = cookie,
            (None, true) => {}
            (None, false) => self.cookies.push(cookie),
        }
    }

    /// The cookies of a request for `url`, those with the longest paths first.
    pub(crate) fn reaching(&self, url: &Url, now: EpochSeconds) -> Vec<&Cookie> {
        let mut found: Vec<_> = self.alive(now).filter(|cookie| cookie.reaches(url)).collect();
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        found
    }

    /// The `Cookie` header of a request for `url`.
    pub(crate) fn header(&self, url: &Url, now: EpochSeconds) -> String {
        let pairs = self.reaching(url, now).into_iter();
        pairs
            .map(|Cookie { name, value, .. }| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// Everything that has not expired.
    pub(crate) fn alive(&self, now: EpochSeconds) -> impl Iterator<Item = &Cookie> {
        self.cookies.iter().filter(move |cookie| cookie.expires.is_none_or(|end| now < end))
    }
}

impl Cookie {
    fn is_same_as(&self, other: &Self) -> bool {
        (&self.name, &self.domain, self.host_only, &self.path)
            == (&other.name, &other.domain, other.host_only, &other.path)
    }

    fn reaches(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let host_matches =
            if self.host_only { host == self.domain } else { domain_matches(host, &self.domain) };
        host_matches
            && path_matches(url.path(), &self.path)
            && (!self.secure || url.scheme() == "https")
    }
}

/// Reads a line (section 5.2) and decides what is kept of it (section 5.3).
fn read(url: &Url, line: &str) -> Option<(Cookie, Option<i64>)> {
    let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let control = |c: char| c.is_control() && c != '\t';
    if name.is_empty() || name.len() + value.len() > MAX_PAIR || line.contains(control) {
        return None;
    }
    let host = url.host_str()?;
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain: host.to_owned(),
        host_only: true,
        path: default_path(url.path()).to_owned(),
        secure: false,
        expires: None,
        answer: 0,
    };
    let (mut domain, mut max_age) = (String::new(), None);
    for attribute in attributes.split(';') {
        let (key, text) = attribute.split_once('=').unwrap_or((attribute, ""));
        let (key, text) = (key.trim().to_ascii_lowercase(), text.trim());
        if text.len() > MAX_ATTRIBUTE {
            continue;
        }
        match key.as_str() {
            "domain" => domain = text.strip_prefix('.').unwrap_or(text).to_lowercase(),
            "path" if text.starts_with('/') => text.clone_into(&mut cookie.path),
            "path" => default_path(url.path()).clone_into(&mut cookie.path),
            "max-age" => max_age = seconds(text).or(max_age),
            "secure" => cookie.secure = true,
            "expires" => panic!("Expires is not modelled: {line}"),
            _ => {}
        }
    }
    if !domain.is_empty() {
        if !domain_matches(host, &domain) {
            return None;
        }
        (cookie.domain, cookie.host_only) = (domain, false);
    }
    is_allowed(&cookie, url).then_some((cookie, max_age))
}

fn is_allowed(cookie: &Cookie, url: &Url) -> bool {
    let prefixed = |prefix| cookie.name.to_ascii_lowercase().starts_with(prefix);
    let host_bound = cookie.secure && cookie.host_only && cookie.path == "/";
    (!cookie.secure || url.scheme() == "https")
        && (!prefixed("__secure-") || cookie.secure)
        && (!prefixed("__host-") || host_bound)
}

fn seconds(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let well_formed = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    well_formed.then(|| text.parse().unwrap_or(if text.starts_with('-') { 0 } else { i64::MAX }))
}

fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn path_matches(path: &str, cookie: &str) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie.ends_with('/'))
}

fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(last) => &path[..last],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const NOW: EpochSeconds = EpochSeconds(1_767_290_400);

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn names(jar: &Jar, at: &str, now: EpochSeconds) -> Vec<String> {
        jar.reaching(&url(at), now).iter().map(|cookie| cookie.name.clone()).collect()
    }

    #[test]
    fn a_cookie_ends_with_its_max_age_and_is_removed_by_zero() {
        let (mut jar, site) = (Jar::default(), url("https://h.org/"));
        jar.store(&site, "a=1; Max-Age=10", NOW, 1);
        assert_eq!(names(&jar, "https://h.org/", NOW.plus(9)), ["a"]);
        assert!(names(&jar, "https://h.org/", NOW.plus(10)).is_empty());
        jar.store(&site, "a=; Max-Age=0", NOW, 2);
        assert!(names(&jar, "https://h.org/", NOW).is_empty());
    }

    #[test]
    fn what_browsers_drop_is_dropped() {
        let (mut jar, site) = (Jar::default(), url("https://v.h.org/session/x"));
        for line in [
            format!("a={}", "x".repeat(MAX_PAIR)),
            "a=1; Domain=other.org".to_owned(),
            "a=1; Domain=d.h.org".to_owned(),
            "__Host-a=1; Path=/".to_owned(),
            "__Host-a=1; Secure; Path=/a/".to_owned(),
            "__Host-a=1; Secure; Path=/; Domain=h.org".to_owned(),
            "a\u{1}=1".to_owned(),
            "=1".to_owned(),
        ] {
            jar.store(&site, &line, NOW, 1);
            assert_eq!(jar.alive(NOW).count(), 0, "{line:.60}");
        }
        jar.store(&url("http://v.h.org/"), "a=1; Secure", NOW, 1);
        assert_eq!(jar.alive(NOW).count(), 0);
        jar.store(&site, &format!("a=1; Path=/{}", "x".repeat(MAX_ATTRIBUTE)), NOW, 1);
        assert_eq!(jar.alive(NOW).next().unwrap().path, "/session");
    }

    /// A line whose `Domain` is the setting host itself is left out: `cookie_store` takes it and a
    /// host-only cookie for one, browsers for two.
    fn line() -> impl Strategy<Value = String> {
        let name = select(vec!["a", "b", "__x"]);
        let domain = select(vec![
            "",
            "; Domain=",
            "; Domain=h.org",
            "; domain=.h.org",
            "; Domain=H.ORG",
            "; Domain=lab.h.org",
            "; Domain=other.net",
        ]);
        let path = select(vec![
            "",
            "; Path=/",
            "; Path=/a",
            "; path=/a/",
            "; Path=/a/b/",
            "; Path=a",
            "; Path=",
            "; Path=/ab/",
        ]);
        let age = select(vec!["", "; Max-Age=3600", "; Max-Age=0", "; Max-Age=-1", "; max-age=x"]);
        let secure = select(vec!["", "; Secure", "; Secure; HttpOnly; SameSite=Lax"]);
        (name, 0..9_u8, domain, path, age, secure)
            .prop_map(|(n, v, d, p, a, s)| format!("{n}={v}{d}{p}{a}{s}"))
    }

    fn place() -> impl Strategy<Value = String> {
        let host = select(vec!["v.lab.h.org", "d.lab.h.org", "x.h.org", "xh.org", "v.other.net"]);
        let path = select(vec!["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab/c", "/b"]);
        (host, path).prop_map(|(host, path)| format!("https://{host}{path}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_model_agrees_with_a_jar_that_we_did_not_write(
            history in prop::collection::vec((place(), line()), 1..12),
            requests in prop::collection::vec(place(), 1..8),
        ) {
            let mut ours = Jar::default();
            let mut theirs = cookie_store::CookieStore::default();
            for (from, line) in &history {
                ours.store(&url(from), line, NOW, 0);
                let _ = theirs.parse(line, &url(from));
            }
            for request in requests.iter().map(|text| url(text)) {
                let mut mine: Vec<_> = ours.reaching(&request, NOW).into_iter()
                    .map(|cookie| (cookie.name.as_str(), cookie.value.as_str())).collect();
                let mut other: Vec<_> = theirs.get_request_values(&request).collect();
                mine.sort_unstable();
                other.sort_unstable();
                prop_assert_eq!(mine, other, "{} after {:?}", request, history);
            }
        }
    }
}
