//! `[identity.alb]`: the load balancer in front.

use super::raw;
use super::site::Site;
use super::source::Problems;
use crate::identity::access_token;
use crate::identity::alb::{Expected, KeyId};

/// The load balancer in front.
#[derive(Clone, Debug)]
pub struct AlbFront {
    /// What its claims token must say.
    pub expected: Expected,
    /// Where its public keys are.
    pub key_url: KeyUrl,
    /// Where groups come from.
    pub groups: Groups,
    /// The name of its session cookie, before the shard's number.
    pub session_cookie: String,
}

/// Where groups come from.
#[derive(Clone, Debug)]
pub enum Groups {
    /// The load balancer's claims, or nowhere.
    Claims,
    /// The access token, as with Cognito.
    AccessToken {
        /// What the token must say.
        expected: access_token::Expected,
        /// Where its keys are.
        jwks_url: String,
    },
}

/// The URL of a load balancer's public key, with a place for the key ID.
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

/// An account number that AWS gives to nobody, hence a stand-in's.
const NOBODYS_ACCOUNT: &str = "000000000000";

const KEY: &str = "identity.alb";

pub(super) fn check(
    raw: Option<raw::Alb>,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Option<AlbFront> {
    let Some(raw) = raw else {
        problems.add(
            "identity",
            "nothing vouches for people: add [identity.alb] with region, signer and client",
        );
        return None;
    };
    // Stand-ins are believed by a service that only its own machine can reach, and by no other.
    let laptop = site
        .is_some_and(|site| site.public_url.is_loopback_name() && site.listen.ip().is_loopback());
    let region = problems
        .require("identity.alb.region", raw.region, "region = \"us-east-1\"")
        .and_then(|region| problems.take("identity.alb.region", check_region(region)));
    let signers = check_signers(raw.signer, region.as_deref(), laptop, problems);
    let client = problems.require("identity.alb.client", raw.client, "client = \"4n0tareal\"");
    let key_url = region.and_then(|region| {
        let url = raw.public_key_url.unwrap_or_else(|| default_key_url(&region));
        problems.take("identity.alb.public_key_url", check_key_url(&url, laptop))
    });
    let groups = raw.groups.unwrap_or_default();
    let (groups, groups_claim) = check_groups(groups, client.as_deref(), laptop, problems)?;
    let issuer = raw.issuer.or_else(|| match &groups {
        Groups::AccessToken { expected, .. } => Some(expected.issuer.clone()),
        Groups::Claims => None,
    });
    let session_cookie = check_cookie_name(raw.session_cookie, problems);
    let expected = Expected { signers: signers?, client: client?, issuer, groups_claim };
    Some(AlbFront { expected, key_url: key_url?, groups, session_cookie: session_cookie? })
}

fn check_region(region: String) -> Result<String, String> {
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

fn check_signers(
    signers: Option<Vec<String>>,
    region: Option<&str>,
    laptop: bool,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    const EXAMPLE: &str = "signer = [\"arn:aws:elasticloadbalancing:us-east-1:123456789012:\
                           loadbalancer/app/viewer/0123456789abcdef\"]";
    let signers = signers.filter(|signers| !signers.is_empty());
    let signers = problems.require("identity.alb.signer", signers, EXAMPLE)?;
    for (at, arn) in signers.iter().enumerate() {
        if let Err(message) = check_arn(arn, region, laptop) {
            problems.add(format!("{KEY}.signer[{at}]"), message);
        }
    }
    Some(signers)
}

/// The whole ARN of one load balancer: a prefix would let strangers of the same account name in.
fn check_arn(arn: &str, region: Option<&str>, laptop: bool) -> Result<(), String> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "elasticloadbalancing", arn_region, account, name] = parts.as_slice()
    else {
        return Err(format!("{arn:?} is not the ARN of a load balancer"));
    };
    let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let named = match name.split('/').collect::<Vec<_>>().as_slice() {
        ["loadbalancer", "app", name, id] => {
            !name.is_empty() && id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())
        }
        _ => false,
    };
    if !partition.starts_with("aws") || !digits || !named {
        return Err(format!("{arn:?} is not the whole ARN of one application load balancer"));
    }
    if region.is_some_and(|region| region != *arn_region) {
        return Err(format!("the ARN is in {arn_region}, not in identity.alb.region"));
    }
    if *account == NOBODYS_ACCOUNT && !laptop {
        return Err(
            "account 000000000000 is a stand-in's, which is believed only where public_url \
                    is under localhost and listen is a loopback address"
                .to_owned(),
        );
    }
    Ok(())
}

/// Source: the ELB User Guide, and the README of `aws-jwt-verify` for `GovCloud`.
fn default_key_url(region: &str) -> String {
    if region.starts_with("us-gov-") {
        return format!(
            "https://s3-{region}.amazonaws.com/aws-elb-public-keys-prod-{region}/{{kid}}"
        );
    }
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://public-keys.auth.elb.{region}.amazonaws.com{suffix}/{{kid}}")
}

fn check_key_url(text: &str, laptop: bool) -> Result<KeyUrl, String> {
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
fn check_fetched_url(text: &str, laptop: bool) -> Result<(), String> {
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

fn check_groups(
    raw: raw::Groups,
    client: Option<&str>,
    laptop: bool,
    problems: &mut Problems,
) -> Option<(Groups, Option<String>)> {
    let Some(issuer) = raw.issuer else { return Some((Groups::Claims, raw.claim)) };
    let issuer = issuer.trim_end_matches('/').to_owned();
    problems.take("identity.alb.groups.issuer", check_issuer(&issuer, laptop))?;
    let expected = access_token::Expected {
        issuer: issuer.clone(),
        client: client?.to_owned(),
        groups_claim: raw.claim.unwrap_or_else(|| "cognito:groups".to_owned()),
    };
    let jwks_url = format!("{issuer}/.well-known/jwks.json");
    Some((Groups::AccessToken { expected, jwks_url }, None))
}

/// `OpenID` Connect Discovery section 2: an issuer has no query, and its keys lie under its path.
fn check_issuer(issuer: &str, laptop: bool) -> Result<(), String> {
    if issuer.contains('?') {
        return Err(format!("{issuer:?} is no issuer: it holds a query"));
    }
    check_fetched_url(issuer, laptop)
}

fn check_cookie_name(name: Option<String>, problems: &mut Problems) -> Option<String> {
    let name = name.unwrap_or_else(|| "AWSELBAuthSessionCookie".to_owned());
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !name.is_empty() && name.bytes().all(plain) {
        return Some(name);
    }
    problems.add("identity.alb.session_cookie", "a cookie name is letters, digits, - and _");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_urls_cover_the_partitions() {
        let kid = KeyId::parse("12345678-90ab-cdef-1234-567890abcdef").unwrap();
        let url = |region| check_key_url(&default_key_url(region), false).unwrap().of(&kid);
        let id = kid.as_str();
        let commercial = format!("https://public-keys.auth.elb.eu-west-1.amazonaws.com/{id}");
        assert_eq!(url("eu-west-1"), commercial);
        assert_eq!(
            url("us-gov-west-1"),
            format!(
                "https://s3-us-gov-west-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-west-1/{id}"
            )
        );
        assert!(
            url("cn-north-1")
                .starts_with("https://public-keys.auth.elb.cn-north-1.amazonaws.com.cn/")
        );
    }

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

    #[test]
    fn arns_are_whole_and_a_stand_in_stays_on_the_laptop() {
        let arn = |account| {
            format!(
                "arn:aws:elasticloadbalancing:us-east-1:{account}:loadbalancer/app/v/0123456789abcdef"
            )
        };
        assert!(check_arn(&arn("123456789012"), Some("us-east-1"), false).is_ok());
        assert!(check_arn(&arn("123456789012"), Some("us-west-2"), false).is_err());
        assert!(check_arn(&arn(NOBODYS_ACCOUNT), Some("us-east-1"), false).is_err());
        assert!(check_arn(&arn(NOBODYS_ACCOUNT), Some("us-east-1"), true).is_ok());
        for text in
            ["", "*", "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/v/"]
        {
            assert!(check_arn(text, None, false).is_err(), "{text}");
        }
    }
}
