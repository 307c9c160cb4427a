//! URLs that verification keys are fetched from.

use crate::identity::alb::KeyId;

/// The URL of a public key, with a place for the key ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUrl {
    before: String,
    after: String,
}

impl KeyUrl {
    /// The URL of one key. A [`KeyId`] is a UUID, so it cannot change the URL's meaning.
    #[must_use]
    pub fn of(&self, kid: &KeyId) -> String {
        format!("{}{}{}", self.before, kid.as_str(), self.after)
    }
}

pub(super) fn check_region(region: String) -> Result<String, String> {
    let parts: Vec<&str> = region.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_region = match parts.as_slice() {
        [words @ .., number] => {
            words.len() >= 2
                && words.iter().all(letters)
                && number.len() == 1
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        [] => false,
    };
    if is_region { Ok(region) } else { Err(format!("{region:?} is no region, such as us-east-1")) }
}

pub(super) fn check_key_url(text: &str, laptop: bool) -> Result<KeyUrl, String> {
    let Some((before, after)) = text.split_once("{kid}") else {
        return Err(format!("{text:?} has no {{kid}} where the key ID goes"));
    };
    let example = format!("{before}00000000-0000-0000-0000-000000000000{after}");
    check_fetched_url(&example, laptop)?;
    let host_ends = example.get(8..).and_then(|rest| rest.find('/')).map(|at| at + 8);
    if host_ends.is_none_or(|end| before.len() <= end) {
        return Err(format!("{text:?} has {{kid}} in its host"));
    }
    Ok(KeyUrl { before: before.to_owned(), after: after.to_owned() })
}

/// A key is as trustworthy as the connection that brought it.
pub(super) fn check_fetched_url(text: &str, laptop: bool) -> Result<(), String> {
    let url = url::Url::parse(text).map_err(|error| format!("{text:?} is no URL: {error}"))?;
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user, a password or a #; keys are fetched without".to_owned());
    }
    let on_loopback = matches!(url.host(), Some(url::Host::Ipv4(ip)) if ip.is_loopback())
        || matches!(url.host(), Some(url::Host::Ipv6(ip)) if ip.is_loopback());
    match (url.scheme(), url.host()) {
        ("https", Some(url::Host::Domain(_))) => Ok(()),
        ("http", _) if laptop && on_loopback => Ok(()),
        _ => Err(format!(
            "{text:?}: keys are fetched over https from a host by name (plain http is for a \
             loopback address where public_url is under localhost and listen is one too)"
        )),
    }
}

/// `OpenID` Connect Discovery section 2: an issuer has no query, and its keys lie under its path.
pub(super) fn check_issuer(issuer: &str, laptop: bool) -> Result<(), String> {
    if issuer.contains('?') {
        return Err(format!("{issuer:?} is no issuer: it holds a query"));
    }
    check_fetched_url(issuer, laptop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_over_plain_http_on_a_laptop_only() {
        let loopback = "http://127.0.0.1:9000/keys/{kid}";
        assert!(check_key_url(loopback, true).is_ok());
        for (url, laptop) in [
            (loopback, false),
            ("http://keys.example.org/{kid}", true),
            ("https://127.0.0.1/{kid}", false),
            ("https://169.254.169.254/{kid}", true),
            ("http://169.254.169.254/{kid}", true),
            ("https://{kid}.example.org/", false),
            ("https://{kid}/", false),
            ("https://keys.example.org/", false),
            ("file:///{kid}", true),
            ("https://keys.example.org/#{kid}", false),
            ("https://user:secret@keys.example.org/{kid}", false),
        ] {
            assert!(check_key_url(url, laptop).is_err(), "{url}");
        }
    }

    #[test]
    fn an_issuer_is_a_url_that_a_path_can_be_put_behind() {
        assert!(check_issuer("https://idp.example.org/pool", false).is_ok());
        for issuer in ["https://idp.example.org/?pool=1", "https://idp.example.org/#pool"] {
            assert!(check_issuer(issuer, false).is_err(), "{issuer}");
        }
    }
}
