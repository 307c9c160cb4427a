//! `[identity.alb]`: the load balancer in front.

use super::fetched::{KeyUrl, check_issuer, check_key_url, check_region};
use super::hosts::{self, Hosts};
use super::logout::{self, LogoutUrl};
use super::raw;
use super::site::Site;
use super::source::Problems;
use crate::identity::alb::Expected;
use crate::identity::{ClaimPath, access_token};

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
    /// Where browsers go on to at sign-out.
    pub logout_url: Option<LogoutUrl>,
    /// Where it is believed.
    pub hosts: Hosts,
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

/// An account number that AWS gives to nobody, hence a stand-in's.
const NOBODYS_ACCOUNT: &str = "000000000000";

const KEY: &str = "identity.alb";

pub(super) fn check(
    raw: raw::Alb,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Option<AlbFront> {
    let laptop = site.is_some_and(Site::is_laptop);
    let region = problems
        .require("identity.alb.region", raw.region, "region = \"us-east-1\"")
        .and_then(|region| problems.take("identity.alb.region", check_region(region)));
    let signers = check_signers(raw.signer, region.as_deref(), laptop, problems);
    let client = problems.require("identity.alb.client", raw.client, "client = \"4n0tareal\"");
    let key_url = region.and_then(|region| {
        let key = "identity.alb.public_key_url";
        let url = raw.public_key_url.or_else(|| default_key_url(&region));
        let example = "public_key_url = \"https://…/{kid}\", from AWS's guide for this partition";
        let url = problems.require(key, url, example)?;
        problems.take(key, check_key_url(&url, laptop))
    });
    let groups = raw.groups.unwrap_or_default();
    let (groups, groups_claim) = check_groups(groups, client.as_deref(), laptop, problems)?;
    let issuer = raw.issuer.or_else(|| match &groups {
        Groups::AccessToken { expected, .. } => Some(expected.issuer.clone()),
        Groups::Claims => None,
    });
    let session_cookie = check_cookie_name(raw.session_cookie, problems);
    let logout_url = logout::check(KEY, raw.logout_url, site, problems);
    let hosts = hosts::check("identity.alb.hosts", raw.hosts.as_ref(), site, problems);
    let expected = Expected { signers: signers?, client: client?, issuer, groups_claim };
    Some(AlbFront {
        expected,
        key_url: key_url?,
        groups,
        session_cookie: session_cookie?,
        logout_url,
        hosts: hosts?,
    })
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

/// Regions of AWS's further partitions begin so; their domains differ, and none is documented.
const UNDOCUMENTED: [&str; 5] = ["us-iso-", "us-isob-", "us-isof-", "eu-isoe-", "eusc-"];

/// Source: the ELB User Guide, and the README of `aws-jwt-verify` for `GovCloud`. China's is that of
/// AWS's other services there.
fn default_key_url(region: &str) -> Option<String> {
    if UNDOCUMENTED.iter().any(|beginning| region.starts_with(beginning)) {
        return None;
    }
    if region.starts_with("us-gov-") {
        return Some(format!(
            "https://s3-{region}.amazonaws.com/aws-elb-public-keys-prod-{region}/{{kid}}"
        ));
    }
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    Some(format!("https://public-keys.auth.elb.{region}.amazonaws.com{suffix}/{{kid}}"))
}

fn check_groups(
    raw: raw::Groups,
    client: Option<&str>,
    laptop: bool,
    problems: &mut Problems,
) -> Option<(Groups, Option<ClaimPath>)> {
    let claim = raw.claim.as_deref().map(ClaimPath::parse);
    let Some(issuer) = raw.issuer else { return Some((Groups::Claims, claim)) };
    let issuer = issuer.trim_end_matches('/').to_owned();
    problems.take("identity.alb.groups.issuer", check_issuer(&issuer, laptop))?;
    let expected = access_token::Expected {
        issuer: issuer.clone(),
        client: client?.to_owned(),
        groups_claim: claim.unwrap_or_else(|| ClaimPath::parse("cognito:groups")),
    };
    let jwks_url = format!("{issuer}/.well-known/jwks.json");
    Some((Groups::AccessToken { expected, jwks_url }, None))
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
    use crate::identity::alb::KeyId;

    #[test]
    fn key_urls_cover_the_partitions() {
        let kid = KeyId::parse("12345678-90ab-cdef-1234-567890abcdef").unwrap();
        let url =
            |region| check_key_url(&default_key_url(region).unwrap(), false).unwrap().of(&kid);
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
        for region in ["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1"] {
            assert_eq!(default_key_url(region), None, "{region}");
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
