//! `[identity.login]` and `[[identity.provider]]`: our own sign-in.

use std::path::Path;

use super::cookie_keys::CookieKeySource;
use super::hosts::{self, Hosts};
use super::quantity::duration_within;
use super::secret::SecretSource;
use super::site::Site;
use super::source::{Noted, Problems};
use super::{cookie_keys, raw, secret};
use crate::identity::ClaimPath;

/// The most providers.
const MAX_PROVIDERS: usize = 20;

/// The longest that a login session may last, in seconds.
const LONGEST_LIFETIME: u64 = 30 * 86_400;

/// Our own sign-in.
#[derive(Clone, Debug)]
pub struct LoginFront {
    /// Whom people sign in at.
    pub providers: Vec<Provider>,
    /// Where the keys are that seal cookies.
    pub cookie_keys: CookieKeySource,
    /// Seconds from signing in until a session ends, whatever happens.
    pub lifetime: u64,
    /// Seconds after which the provider is asked again, if it gave a refresh token.
    pub recheck: u64,
    /// Seconds for which a session is believed beyond that, while the provider does not answer.
    pub grace: u64,
}

/// How a client proves who it is (`OpenID` Connect Core section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `client_secret_basic`: by a header.
    Basic,
    /// `client_secret_post`: in the body.
    Post,
}

/// An `OpenID` Provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// What URLs and cookies call it.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Its issuer, exactly.
    pub issuer: String,
    /// The client ID that it knows this service by.
    pub client: String,
    /// The client's secret; none for a public client.
    pub secret: Option<SecretSource>,
    /// How it is sent; as the provider's document has it if this is left open.
    pub authentication: Option<ClientAuthentication>,
    /// The scopes that are asked for.
    pub scopes: Vec<String>,
    /// Further parameters of the authorization request.
    pub parameters: Vec<(String, String)>,
    /// The claim that lists groups.
    pub groups_claim: Option<ClaimPath>,
    /// Whether groups, and an e-mail address that the ID token lacks, are asked for at the userinfo
    /// endpoint.
    pub userinfo: bool,
    /// Domains whose addresses count as verified although the provider does not say so.
    pub verified_email_domains: Vec<String>,
    /// Under which of the site's names it is offered.
    pub hosts: Hosts,
}

impl LoginFront {
    /// The providers that are offered at a host.
    pub fn offered_at(&self, host: &str) -> impl Iterator<Item = &Provider> {
        self.providers.iter().filter(move |provider| provider.hosts.contain(host))
    }

    /// The provider of a name, if it is offered at a host.
    #[must_use]
    pub fn provider(&self, name: &str, host: &str) -> Option<&Provider> {
        let mut named = self.providers.iter().filter(|provider| provider.name == name);
        named.find(|provider| provider.hosts.contain(host))
    }
}

impl Provider {
    /// Where its discovery document is (`OpenID` Connect Discovery section 4.1).
    #[must_use]
    pub fn document_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'))
    }

    /// Whether a URL may be asked on behalf of this provider: over https at a host by name; over plain
    /// http on this machine only where the provider itself is there.
    #[must_use]
    pub fn may_be_at(&self, url: &url::Url) -> bool {
        let clean = url.username().is_empty() && url.password().is_none();
        let local = self.issuer.starts_with("http://");
        match url.scheme() {
            "https" => clean && matches!(url.host(), Some(url::Host::Domain(_))),
            "http" => clean && local && is_loopback(url),
            _ => false,
        }
    }
}

pub(super) fn check(
    login: Option<raw::Login>,
    providers: Option<Vec<raw::Provider>>,
    site: Option<&Site>,
    folder: &Path,
    problems: &mut Problems,
) -> Result<Option<LoginFront>, Noted> {
    let providers = providers.unwrap_or_default();
    if providers.is_empty() {
        if login.is_some() {
            problems.add("identity.login", "nobody to sign in at: add an [[identity.provider]]");
            return Err(Noted);
        }
        return Ok(None);
    }
    if providers.len() > MAX_PROVIDERS {
        problems.add("identity.provider", format!("more than {MAX_PROVIDERS} providers"));
        return Err(Noted);
    }
    let laptop = site.is_some_and(Site::is_laptop);
    let login = login.unwrap_or_default();
    let seconds = |name: &str, value: Option<&raw::Duration>, default, range, problems: &mut _| {
        let key = format!("identity.login.{name}");
        duration_within(&key, value, default, range, problems).map(|span| span.as_secs())
    };
    let lifetime = login.lifetime.as_ref();
    let lifetime = seconds("lifetime", lifetime, 43_200, 300..=LONGEST_LIFETIME, problems);
    let recheck = seconds("recheck", login.recheck.as_ref(), 900, 10..=86_400, problems);
    let grace = seconds("grace", login.grace.as_ref(), 3600, 0..=86_400, problems);
    let cookie_keys = check_cookie_keys(login, laptop, folder, problems);
    let count = providers.len();
    let providers: Vec<Provider> = providers
        .into_iter()
        .enumerate()
        .filter_map(|(at, raw)| check_provider(at, raw, site, folder, problems))
        .collect();
    if providers.len() < count {
        return Err(Noted);
    }
    for (at, provider) in providers.iter().enumerate() {
        if providers[..at].iter().any(|other| other.name == provider.name) {
            problems.add(
                format!("identity.provider[{at}].name"),
                format!("{:?} is another provider's name as well", provider.name),
            );
        }
    }
    Ok(Some(LoginFront {
        providers,
        cookie_keys: cookie_keys.ok_or(Noted)?,
        lifetime: lifetime.ok_or(Noted)?,
        recheck: recheck.ok_or(Noted)?,
        grace: grace.ok_or(Noted)?,
    }))
}

fn check_cookie_keys(
    login: raw::Login,
    laptop: bool,
    folder: &Path,
    problems: &mut Problems,
) -> Option<CookieKeySource> {
    const KEY: &str = "identity.login.cookie_keys";
    match cookie_keys::check(KEY, login.cookie_keys, login.cookie_keys_file, folder, problems) {
        Ok(Some(source)) => Some(source),
        Ok(None) if laptop => Some(CookieKeySource::Random),
        Ok(None) => {
            problems.add(
                KEY,
                "missing: the keys that seal login cookies. Make one with `edgemint keys cookie --out \
                 cookie-keys` and write cookie_keys_file = \"cookie-keys\"",
            );
            None
        }
        Err(Noted) => None,
    }
}

fn check_provider(
    at: usize,
    raw: raw::Provider,
    site: Option<&Site>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<Provider> {
    let key = |name: &str| format!("identity.provider[{at}].{name}");
    let laptop = site.is_some_and(Site::is_laptop);
    let name = problems.require(&key("name"), raw.name, "name = \"lab\"");
    let name = name.and_then(|name| problems.take(&key("name"), check_name(name)));
    let issuer =
        problems.require(&key("issuer"), raw.issuer, "issuer = \"https://login.example.org\"");
    let issuer = issuer.and_then(|text| problems.take(&key("issuer"), check_issuer(text, laptop)));
    let client = problems.require(&key("client"), raw.client, "client = \"edgemint\"");
    let client = client.and_then(|text| problems.take(&key("client"), check_client(text)));
    let secret_key = key("client_secret");
    let secret =
        secret::check(&secret_key, raw.client_secret, raw.client_secret_file, folder, problems);
    let authentication = check_authentication(raw.client_authentication.as_deref());
    let authentication = problems.take(&key("client_authentication"), authentication);
    let scopes = problems.take(&key("scopes"), check_scopes(raw.scopes));
    let groups = raw.groups.unwrap_or_default();
    let userinfo = match groups.from.as_deref() {
        None | Some("id_token") => Some(false),
        Some("userinfo") => Some(true),
        Some(other) => {
            let wrong = format!("{other:?} is neither \"id_token\" nor \"userinfo\"");
            problems.add(key("groups.from"), wrong);
            None
        }
    };
    let parameters = problems.take(&key("parameters"), check_parameters(raw.parameters));
    let hosts = hosts::check(&key("hosts"), raw.hosts.as_ref(), site, problems);
    let domains = raw.verified_email_domains.unwrap_or_default();
    let title = match raw.title {
        Some(title) if title.trim().is_empty() => {
            problems.add(key("title"), "empty: people would choose a button without a name");
            None
        }
        Some(title) => Some(title),
        None => name.clone(),
    };
    let name = name?;
    Some(Provider {
        title: title?,
        name,
        issuer: issuer?,
        client: client?,
        secret: secret.ok()?,
        authentication: authentication?,
        scopes: scopes?,
        parameters: parameters?,
        groups_claim: groups.claim.as_deref().map(ClaimPath::parse),
        userinfo: userinfo?,
        verified_email_domains: domains.iter().map(|name| name.to_ascii_lowercase()).collect(),
        hosts: hosts?,
    })
}

/// It stands in URLs and in cookies.
fn check_name(name: String) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=32).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(name);
    }
    Err(format!("{name:?} is not one to 32 lower-case letters, digits and hyphens"))
}

/// `OpenID` Connect Core section 2: a URL of scheme https without query and fragment. It is compared as
/// it is written, a final slash included.
fn check_issuer(text: String, laptop: bool) -> Result<String, String> {
    let url = url::Url::parse(&text).map_err(|error| format!("{text:?} is no URL: {error}"))?;
    let bare = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let secure = match (url.scheme(), url.host()) {
        ("https", Some(url::Host::Domain(_))) => true,
        ("http", _) => laptop && is_loopback(&url),
        _ => false,
    };
    if bare && secure {
        return Ok(text);
    }
    Err(format!(
        "{text:?} is no issuer: https, a host by name, no user, query or # (plain http is for a provider \
         on this machine, where public_url is under localhost and listen is a loopback address)"
    ))
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        // RFC 6761 section 6.3.
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn check_authentication(text: Option<&str>) -> Result<Option<ClientAuthentication>, String> {
    match text {
        None => Ok(None),
        Some("basic") => Ok(Some(ClientAuthentication::Basic)),
        Some("post") => Ok(Some(ClientAuthentication::Post)),
        Some(other) => Err(format!("{other:?} is neither \"basic\" nor \"post\"")),
    }
}

fn check_client(text: String) -> Result<String, String> {
    let plain = |b: u8| (0x20..0x7f).contains(&b);
    if (1..=255).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text);
    }
    Err("a client ID is visible ASCII, of at most 255 characters".to_owned())
}

fn check_scopes(scopes: Option<Vec<String>>) -> Result<Vec<String>, String> {
    let default = || ["openid", "email", "profile"].map(str::to_owned).to_vec();
    let mut scopes = scopes.unwrap_or_else(default);
    // RFC 6749 section 3.3.
    let is_token = |b: u8| (0x21..0x7f).contains(&b) && b != b'"' && b != b'\\';
    if let Some(odd) = scopes.iter().find(|text| text.is_empty() || !text.bytes().all(is_token)) {
        return Err(format!("{odd:?} is no scope"));
    }
    if !scopes.iter().any(|scope| scope == "openid") {
        scopes.insert(0, "openid".to_owned());
    }
    Ok(scopes)
}

/// What the flow itself says; a parameter that stands twice is an error to providers (RFC 6749 section
/// 3.1).
const OWN_PARAMETERS: [&str; 9] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

fn check_parameters(texts: Option<Vec<String>>) -> Result<Vec<(String, String)>, String> {
    let parse = |text: String| match text.split_once('=') {
        Some((name, _)) if OWN_PARAMETERS.contains(&name) => {
            Err(format!("{name} is set by the flow itself"))
        }
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no parameter, such as \"prompt=consent\"")),
    };
    texts.unwrap_or_default().into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_https_or_on_this_machine() {
        for text in ["https://idp.example.org", "https://idp.example.org/pool/", "https://a.b:8443"]
        {
            assert_eq!(check_issuer(text.to_owned(), false).as_deref(), Ok(text));
        }
        for text in ["http://127.0.0.1:3000", "http://[::1]:3000", "http://localhost:3000/realms/a"]
        {
            assert!(check_issuer(text.to_owned(), true).is_ok(), "{text}");
            assert!(check_issuer(text.to_owned(), false).is_err(), "{text}");
        }
        for text in [
            "",
            "idp.example.org",
            "http://idp.example.org",
            "https://127.0.0.1",
            "https://169.254.169.254",
            "http://169.254.169.254",
            "https://idp.example.org/?a",
            "https://idp.example.org/#a",
            "https://user@idp.example.org",
            "file:///etc",
        ] {
            assert!(check_issuer(text.to_owned(), true).is_err(), "{text}");
        }
    }

    #[test]
    fn scopes_always_ask_for_an_id_token() {
        let scopes = |list: &[&str]| check_scopes(Some(list.iter().map(|s| (*s).into()).collect()));
        assert_eq!(check_scopes(None).unwrap(), ["openid", "email", "profile"]);
        assert_eq!(scopes(&["groups"]).unwrap(), ["openid", "groups"]);
        assert!(scopes(&["a b"]).is_err() && scopes(&[""]).is_err());
    }

    #[test]
    fn names_stand_in_urls_as_they_are() {
        for name in ["", "a b", "Lab", "a/b", "ä", &"a".repeat(33)] {
            assert!(check_name(name.to_owned()).is_err(), "{name}");
        }
        assert!(check_name("lab-2".to_owned()).is_ok());
    }
}
