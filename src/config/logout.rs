//! `logout_url`: where a browser goes on to when somebody signs out, so that the front's own session
//! and that of the provider behind it end too.

use super::site::Site;
use super::source::Problems;

/// A whole URL, or a path of the site's own that the front answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutUrl(String);

impl LogoutUrl {
    /// Returns its text: ASCII, with everything escaped that a URL may not hold.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) fn check(
    key: &str,
    text: Option<String>,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Option<LogoutUrl> {
    let laptop = site.is_some_and(Site::is_laptop);
    problems.take(&format!("{key}.logout_url"), parse(&text?, laptop))
}

fn parse(text: &str, laptop: bool) -> Result<LogoutUrl, String> {
    if text.starts_with('/') {
        return parse_path(text);
    }
    let url = url::Url::parse(text).map_err(|error| format!("{text:?} is no URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user or a password, which everybody could read".to_owned());
    }
    let loopback =
        url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"));
    match url.scheme() {
        "https" => Ok(LogoutUrl(url.into())),
        "http" if laptop && loopback => Ok(LogoutUrl(url.into())),
        _ => Err(format!(
            "{text:?}: people are sent on over https, or to a path of this site that begins with /"
        )),
    }
}

/// A path that is one for every browser: `//` and `/\` begin another host.
fn parse_path(text: &str) -> Result<LogoutUrl, String> {
    const ANY_SITE: &str = "https://site.invalid";
    let url = url::Url::options()
        .base_url(url::Url::parse(ANY_SITE).ok().as_ref())
        .parse(text)
        .map_err(|error| format!("{text:?} is no path: {error}"))?;
    match url.as_str().strip_prefix(ANY_SITE) {
        Some(path) => Ok(LogoutUrl(path.to_owned())),
        None => Err(format!("{text:?} names another host; write the whole URL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_sent_to_whole_urls_and_to_paths_of_the_site() {
        let cognito = "https://login.example.org/logout?client_id=4n0t&logout_uri=https://viewer.example.org/";
        assert_eq!(parse(cognito, false).unwrap().as_str(), cognito);
        for path in ["/cdn-cgi/access/logout", "/?gcp-iap-mode=CLEAR_LOGIN_COOKIE", "/a//b"] {
            assert_eq!(parse(path, false).unwrap().as_str(), path);
        }
        assert_eq!(parse("/a\"> b", false).unwrap().as_str(), "/a%22%3E%20b");
        assert!(parse("http://login.localhost:8080/logout", true).is_ok());
    }

    #[test]
    fn people_are_sent_nowhere_else() {
        for text in [
            "",
            "logout",
            "//evil.example/logout",
            "/\\evil.example/logout",
            "/\t/evil.example/logout",
            "http://login.example.org/logout",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://user:secret@login.example.org/logout",
            "https:///",
        ] {
            assert!(parse(text, false).is_err(), "{text}");
        }
        assert!(parse("http://login.localhost:8080/logout", false).is_err());
        assert!(parse("http://login.example.org/logout", true).is_err());
    }
}
