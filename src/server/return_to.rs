//! Where a navigation goes on to: a path of this site, and nowhere else.

use url::Url;

use crate::policy::BaseUrl;

/// The longest `return_to` that is looked at, in bytes.
const MAX_BYTES: usize = 4096;

/// A `return_to` that could lead to another site, or back into sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("return_to is not a path of this site")]
pub struct LeadsElsewhere;

/// Reads `return_to` as a path of this site, or as a full URL of it.
///
/// Browsers take `\` for `/`, drop tabs and line ends, and read `//host` as another site, so what
/// holds any of those is refused before it is parsed, and what is left is parsed the way browsers do
/// (WHATWG URL) and must come out on this site.
///
/// # Errors
/// [`LeadsElsewhere`] for everything that could lead elsewhere.
pub fn parse(text: &str, public_url: &BaseUrl) -> Result<String, LeadsElsewhere> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\' || !c.is_ascii();
    if text.len() > MAX_BYTES || text.contains(odd) {
        return Err(LeadsElsewhere);
    }
    let path = match text.strip_prefix(public_url.as_str()) {
        Some("") => "/",
        Some(rest) => rest,
        None => text,
    };
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(LeadsElsewhere);
    }
    let base = Url::parse(public_url.as_str()).map_err(|_| LeadsElsewhere)?;
    let joined = base.join(path).map_err(|_| LeadsElsewhere)?;
    let stays = joined.origin() == base.origin()
        && joined.username().is_empty()
        && joined.password().is_none()
        && !joined.path().starts_with("//");
    // Back to where sign-in starts would go round in circles.
    let round = ["/session/log", "/session/callback", "/oauth2/"];
    if !stays || round.iter().any(|start| joined.path().starts_with(start)) {
        return Err(LeadsElsewhere);
    }
    Ok(joined[url::Position::BeforePath..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> BaseUrl {
        BaseUrl::parse("https://viewer.example.org").unwrap()
    }

    #[test]
    fn paths_of_this_site_pass_with_query_and_fragment() {
        for (text, expected) in [
            ("/", "/"),
            ("/a/b?x=1&y=//z", "/a/b?x=1&y=//z"),
            ("/#!%7B%22layers%22:[]%7D", "/#!%7B%22layers%22:[]%7D"),
            ("https://viewer.example.org", "/"),
            ("https://viewer.example.org/a", "/a"),
            ("/a/../b", "/b"),
            ("/session", "/session"),
        ] {
            assert_eq!(parse(text, &site()).ok().as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn everything_that_could_lead_elsewhere_is_refused() {
        let long = format!("/{}", "a".repeat(MAX_BYTES));
        for text in [
            "",
            "a",
            "//evil.net",
            "///evil.net",
            "/\\evil.net",
            "\\\\evil.net",
            "/\t/evil.net",
            "/\n/evil.net",
            "\t//evil.net",
            " //evil.net",
            "/ /evil.net",
            "https://evil.net",
            "http://viewer.example.org/",
            "https://viewer.example.org.evil.net/",
            "https://viewer.example.org@evil.net/",
            "https://viewer.example.org:444/",
            "https:evil.net",
            "https:/evil.net",
            "javascript:alert(1)",
            "data:text/html,x",
            "/..//evil.net",
            "/.//evil.net",
            "/%0d%0aSet-Cookie:x\r\n",
            "/é",
            "/\u{2028}",
            "/session/login",
            "/session/logout",
            "/session/callback/lab?code=x",
            "/oauth2/idpresponse",
            long.as_str(),
            "/a/../session/login",
        ] {
            assert!(parse(text, &site()).is_err(), "{text:?}");
        }
    }
}
