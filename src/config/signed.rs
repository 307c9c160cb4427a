//! `[identity.verified_access]` and its siblings: fronts that sign, other than the load balancer.

use super::fetched::{KeyUrl, check_fetched_url, check_issuer, check_key_url, check_region};
use super::hosts::{self, Hosts};
use super::logout::{self, LogoutUrl};
use super::raw;
use super::site::Site;
use super::source::Problems;
use crate::identity::dialect::{
    BEARER, CLOUDFLARE_ACCESS, Dialect, GOOGLE_IAP, POMERIUM, VERIFIED_ACCESS,
};
use crate::identity::signed::{Expected, MadeFor};
use crate::identity::{ClaimPath, Front};

/// A front that signs.
#[derive(Clone, Debug)]
pub struct SignedFront {
    /// What its token must say.
    pub expected: Expected,
    /// Where its keys are.
    pub keys: KeyPlace,
    /// Where browsers go on to at sign-out.
    pub logout_url: Option<LogoutUrl>,
    /// Where it is believed.
    pub hosts: Hosts,
}

impl SignedFront {
    /// Whose token it is.
    #[must_use]
    pub fn front(&self) -> Front {
        self.expected.dialect.front
    }
}

/// Source: Cloudflare One, "Session management".
const CLOUDFLARE_LOGOUT: &str = "/cdn-cgi/access/logout";

/// Source: Identity-Aware Proxy, "Using query parameters and headers".
const IAP_LOGOUT: &str = "/?gcp-iap-mode=CLEAR_LOGIN_COOKIE";

/// Source: Pomerium, "Special routes".
const POMERIUM_LOGOUT: &str = "/.pomerium/sign_out";

/// Where a front's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// One PEM file for each key.
    PemPerKid(KeyUrl),
    /// All of them.
    Jwks(String),
}

/// What every one of these tables has.
struct Common {
    groups: Option<String>,
    verified_email_domains: Option<Vec<String>>,
    logout_url: Option<String>,
    hosts: Option<Vec<String>>,
}

/// What becomes of it.
struct Bound {
    issuer: Option<String>,
    made_for: MadeFor,
    token_use: Option<String>,
    keys: KeyPlace,
}

pub(super) fn check(
    raw: raw::Identity,
    site: Option<&Site>,
    problems: &mut Problems,
) -> Vec<SignedFront> {
    let mut checking = Checking { site, problems };
    let mut fronts = Vec::new();
    fronts.extend(raw.verified_access.and_then(|raw| checking.verified_access(raw)));
    fronts.extend(raw.cloudflare_access.and_then(|raw| checking.cloudflare_access(raw)));
    fronts.extend(raw.google_iap.and_then(|raw| checking.google_iap(raw)));
    fronts.extend(raw.pomerium.and_then(|raw| checking.pomerium(raw)));
    for (at, raw) in raw.bearer.unwrap_or_default().into_iter().enumerate() {
        let key = format!("identity.bearer[{at}]");
        let Some(front) = checking.bearer(&key, raw) else { continue };
        checking.check_alone(&key, &front, &fronts);
        fronts.push(front);
    }
    fronts
}

struct Checking<'a> {
    site: Option<&'a Site>,
    problems: &'a mut Problems,
}

impl Checking<'_> {
    fn verified_access(&mut self, raw: raw::VerifiedAccess) -> Option<SignedFront> {
        const KEY: &str = "identity.verified_access";
        let region = self
            .problems
            .require(&format!("{KEY}.region"), raw.region, "region = \"us-east-1\"")
            .and_then(|region| self.problems.take(&format!("{KEY}.region"), check_region(region)));
        let signers = self.names(
            &format!("{KEY}.signer"),
            raw.signer,
            "signer = [\"arn:aws:ec2:us-east-1:123456789012:verified-access-instance/vai-0123456789abcdef0\"]",
        );
        for (at, arn) in signers.iter().flatten().enumerate() {
            if let Err(message) = check_instance(arn, region.as_deref()) {
                self.problems.add(format!("{KEY}.signer[{at}]"), message);
            }
        }
        let url = raw.public_key_url.or_else(|| region.as_deref().map(verified_access_keys));
        let keys = url.and_then(|url| {
            let checked = check_key_url(&url, self.is_laptop());
            self.problems.take(&format!("{KEY}.public_key_url"), checked)
        });
        let bound = Bound {
            issuer: raw.issuer,
            made_for: MadeFor::Signer(signers?),
            token_use: None,
            keys: KeyPlace::PemPerKid(keys?),
        };
        let common = Common {
            groups: raw.groups.or_else(|| Some("groups".to_owned())),
            verified_email_domains: raw.verified_email_domains,
            logout_url: raw.logout_url,
            hosts: raw.hosts,
        };
        self.front(KEY, &VERIFIED_ACCESS, bound, common)
    }

    fn cloudflare_access(&mut self, raw: raw::CloudflareAccess) -> Option<SignedFront> {
        const KEY: &str = "identity.cloudflare_access";
        let example = "team = \"https://example.cloudflareaccess.com\"";
        let team = raw.team.map(|team| team.trim_end_matches('/').to_owned());
        let team = self.issuer(&format!("{KEY}.team"), team, example);
        let audience = self.names(
            &format!("{KEY}.audience"),
            raw.audience,
            "audience = [\"4714c1358e65fe4b\"]",
        );
        let default = team.as_ref().map(|team| format!("{team}/cdn-cgi/access/certs"));
        let keys = self.jwks(KEY, raw.jwks_url.or(default));
        let bound = Bound {
            issuer: Some(team?),
            made_for: MadeFor::Audience(audience?),
            token_use: None,
            keys: keys?,
        };
        let common = Common {
            groups: raw.groups,
            verified_email_domains: raw.verified_email_domains,
            logout_url: raw.logout_url.or_else(|| Some(CLOUDFLARE_LOGOUT.to_owned())),
            hosts: raw.hosts,
        };
        self.front(KEY, &CLOUDFLARE_ACCESS, bound, common)
    }

    fn google_iap(&mut self, raw: raw::GoogleIap) -> Option<SignedFront> {
        const KEY: &str = "identity.google_iap";
        let example = "audience = [\"/projects/123456789012/global/backendServices/1234567890\"]";
        let audience = self.names(&format!("{KEY}.audience"), raw.audience, example);
        let default = "https://www.gstatic.com/iap/verify/public_key-jwk".to_owned();
        let keys = self.jwks(KEY, Some(raw.jwks_url.unwrap_or(default)));
        let bound = Bound {
            issuer: Some("https://cloud.google.com/iap".to_owned()),
            made_for: MadeFor::Audience(audience?),
            token_use: None,
            keys: keys?,
        };
        let common = Common {
            groups: raw.groups,
            verified_email_domains: raw.verified_email_domains,
            logout_url: raw.logout_url.or_else(|| Some(IAP_LOGOUT.to_owned())),
            hosts: raw.hosts,
        };
        self.front(KEY, &GOOGLE_IAP, bound, common)
    }

    fn pomerium(&mut self, raw: raw::Pomerium) -> Option<SignedFront> {
        const KEY: &str = "identity.pomerium";
        let issuer = self.problems.require(
            &format!("{KEY}.issuer"),
            raw.issuer.filter(|issuer| !issuer.is_empty()),
            "issuer = \"viewer.example.org\"",
        );
        let audience = self.names(
            &format!("{KEY}.audience"),
            raw.audience,
            "audience = [\"viewer.example.org\"]",
        );
        let jwks_url = self.problems.require(
            &format!("{KEY}.jwks_url"),
            raw.jwks_url,
            "jwks_url = \"https://viewer.example.org/.well-known/pomerium/jwks.json\"",
        );
        let keys = jwks_url.and_then(|url| self.jwks(KEY, Some(url)));
        let bound = Bound {
            issuer: Some(issuer?),
            made_for: MadeFor::Audience(audience?),
            token_use: None,
            keys: keys?,
        };
        let common = Common {
            groups: raw.groups.or_else(|| Some("groups".to_owned())),
            verified_email_domains: raw.verified_email_domains,
            logout_url: raw.logout_url.or_else(|| Some(POMERIUM_LOGOUT.to_owned())),
            hosts: raw.hosts,
        };
        self.front(KEY, &POMERIUM, bound, common)
    }

    fn bearer(&mut self, key: &str, raw: raw::Bearer) -> Option<SignedFront> {
        let example = "issuer = \"https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE\"";
        let issuer = self.issuer(&format!("{key}.issuer"), raw.issuer, example);
        let cognito = issuer.as_deref().is_some_and(is_cognito);
        let default = issuer.as_ref().filter(|_| cognito);
        let default = default.map(|issuer| format!("{issuer}/.well-known/jwks.json"));
        let jwks_url = self.problems.require(
            &format!("{key}.jwks_url"),
            raw.jwks_url.or(default),
            "jwks_url = \"https://login.example.org/keys\"; the issuer's /.well-known/openid-configuration \
             says it, as jwks_uri",
        );
        let keys = jwks_url.and_then(|url| self.jwks(key, Some(url)));
        let made_for = self.bearer_for(key, raw.audience, raw.client);
        let access = cognito.then(|| "access".to_owned());
        let bound = Bound {
            issuer: Some(issuer?),
            made_for: made_for?,
            token_use: raw.token_use.or(access),
            keys: keys?,
        };
        let common = Common {
            groups: raw.groups.or_else(|| cognito.then(|| "cognito:groups".to_owned())),
            verified_email_domains: raw.verified_email_domains,
            // Whoever sends a token with each request is signed in nowhere.
            logout_url: None,
            hosts: raw.hosts,
        };
        self.front(key, &BEARER, bound, common)
    }

    /// An issuer's tokens are for all of its customer's applications: one of the two tells ours.
    fn bearer_for(
        &mut self,
        key: &str,
        audience: Option<Vec<String>>,
        client: Option<Vec<String>>,
    ) -> Option<MadeFor> {
        let audience = audience.filter(|names| !names.is_empty());
        let client = client.filter(|names| !names.is_empty());
        match (audience, client) {
            (Some(audience), Some(client)) => Some(MadeFor::AudienceAndClient(audience, client)),
            (Some(audience), None) => Some(MadeFor::Audience(audience)),
            (None, Some(client)) => Some(MadeFor::Client(client)),
            (None, None) => {
                self.problems.add(
                    key,
                    "without audience or client, every token of this issuer would be believed, whatever \
                     application it was made for; for example client = [\"4n0tarealclientid\"] (Cognito) or \
                     audience = [\"api://edgemint\"] (Entra)",
                );
                None
            }
        }
    }

    /// A token chooses its front by its issuer.
    fn check_alone(&mut self, key: &str, front: &SignedFront, earlier: &[SignedFront]) {
        let same = |other: &&SignedFront| {
            other.front() == Front::Bearer
                && other.expected.issuer == front.expected.issuer
                && other.hosts.meet(&front.hosts)
        };
        if earlier.iter().any(|other| same(&other)) {
            self.problems.add(
                format!("{key}.issuer"),
                "the same issuer as an earlier one; list audiences and clients there",
            );
        }
    }

    fn front(
        &mut self,
        key: &str,
        dialect: &'static Dialect,
        bound: Bound,
        common: Common,
    ) -> Option<SignedFront> {
        let Bound { issuer, made_for, token_use, keys } = bound;
        let hosts =
            hosts::check(&format!("{key}.hosts"), common.hosts.as_ref(), self.site, self.problems)?;
        let domains = common.verified_email_domains.unwrap_or_default();
        let verified_email_domains =
            domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
        let groups = common.groups.as_deref().map(ClaimPath::parse);
        let expected =
            Expected { dialect, issuer, made_for, token_use, groups, verified_email_domains };
        let logout_url = logout::check(key, common.logout_url, self.site, self.problems);
        Some(SignedFront { expected, keys, logout_url, hosts })
    }

    fn names(
        &mut self,
        key: &str,
        names: Option<Vec<String>>,
        example: &str,
    ) -> Option<Vec<String>> {
        let names = names.filter(|names| !names.is_empty() && !names.iter().any(String::is_empty));
        self.problems.require(key, names, example)
    }

    fn issuer(&mut self, key: &str, issuer: Option<String>, example: &str) -> Option<String> {
        let issuer = self.problems.require(key, issuer, example)?;
        self.problems.take(key, check_issuer(&issuer, self.is_laptop()))?;
        Some(issuer)
    }

    fn jwks(&mut self, key: &str, url: Option<String>) -> Option<KeyPlace> {
        let url = url?;
        let checked = check_fetched_url(&url, self.is_laptop());
        self.problems.take(&format!("{key}.jwks_url"), checked)?;
        Some(KeyPlace::Jwks(url))
    }

    fn is_laptop(&self) -> bool {
        self.site.is_some_and(Site::is_laptop)
    }
}

/// Source: the sample of AWS's for networks without a way out, and Verified Access's own tokens. It is
/// undocumented for other partitions.
fn verified_access_keys(region: &str) -> String {
    format!("https://public-keys.prod.verified-access.{region}.amazonaws.com/{{kid}}")
}

/// The whole ARN of one instance: everybody's instances sign by the same keys.
fn check_instance(arn: &str, region: Option<&str>) -> Result<(), String> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "ec2", arn_region, account, name] = parts.as_slice() else {
        return Err(format!("{arn:?} is not the ARN of a Verified Access instance"));
    };
    let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let named = name
        .strip_prefix("verified-access-instance/vai-")
        .is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()));
    if !partition.starts_with("aws") || !digits || !named {
        return Err(format!("{arn:?} is not the whole ARN of one Verified Access instance"));
    }
    if region.is_some_and(|region| region != *arn_region) {
        return Err(format!("the ARN is in {arn_region}, not in the region above"));
    }
    Ok(())
}

/// Amazon Cognito's issuers: `https://cognito-idp.REGION.amazonaws.com/POOL`, with `.cn` in China.
fn is_cognito(issuer: &str) -> bool {
    let host = issuer.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    host.is_some_and(|host| {
        let own = host.strip_suffix(".cn").unwrap_or(host);
        own.starts_with("cognito-idp.") && own.ends_with(".amazonaws.com")
    })
}
