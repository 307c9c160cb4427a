//! `[identity]`: what vouches for people.

use serde::{Deserialize, Serialize};

use super::{CookieKeys, Duration};
use crate::secret::Secret;

/// `[identity]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The load balancer in front.
    pub alb: Option<Alb>,
    /// AWS Verified Access in front.
    pub verified_access: Option<VerifiedAccess>,
    /// Cloudflare Access in front.
    pub cloudflare_access: Option<CloudflareAccess>,
    /// Google's Identity-Aware Proxy in front.
    pub google_iap: Option<GoogleIap>,
    /// Pomerium in front.
    pub pomerium: Option<Pomerium>,
    /// Issuers of scripts' tokens.
    pub bearer: Option<Vec<Bearer>>,
    /// A proxy that signs nothing.
    pub insecure_proxy: Option<InsecureProxy>,
    /// Providers that people sign in at here.
    pub provider: Option<Vec<Provider>>,
    /// Our own sign-in.
    pub login: Option<Login>,
}

/// `[identity.alb]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Alb {
    /// The load balancer's region.
    pub region: Option<String>,
    /// Exact ARNs of our load balancers.
    pub signer: Option<Vec<String>>,
    /// The client ID that people are signed in with.
    pub client: Option<String>,
    /// The issuer of the provider behind the load balancer.
    pub issuer: Option<String>,
    /// Where groups come from.
    pub groups: Option<Groups>,
    /// The URL of a public key, with `{kid}`.
    pub public_key_url: Option<String>,
    /// The name of the load balancer's session cookie.
    pub session_cookie: Option<String>,
    /// Where browsers go on to at sign-out.
    pub logout_url: Option<String>,
    /// Under which names it is believed.
    pub hosts: Option<Vec<String>>,
}

/// `identity.alb.groups`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// The access token's issuer; without it groups come from the load balancer's claims.
    pub issuer: Option<String>,
    /// The claim that lists groups.
    pub claim: Option<String>,
}

/// `[identity.verified_access]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VerifiedAccess {
    /// The instance's region.
    pub region: Option<String>,
    /// Exact ARNs of our Verified Access instances.
    pub signer: Option<Vec<String>>,
    /// The issuer of the trust provider behind it.
    pub issuer: Option<String>,
    /// The claim that lists groups.
    pub groups: Option<String>,
    /// The URL of a public key, with `{kid}`.
    pub public_key_url: Option<String>,
    /// Domains whose addresses count as verified.
    pub verified_email_domains: Option<Vec<String>>,
    /// Where browsers go on to at sign-out.
    pub logout_url: Option<String>,
    /// Under which names it is believed.
    pub hosts: Option<Vec<String>>,
}

/// `[identity.cloudflare_access]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CloudflareAccess {
    /// The team's URL.
    pub team: Option<String>,
    /// Audience tags of our applications.
    pub audience: Option<Vec<String>>,
    /// The claim that lists groups.
    pub groups: Option<String>,
    /// Where its keys are.
    pub jwks_url: Option<String>,
    /// Domains whose addresses count as verified.
    pub verified_email_domains: Option<Vec<String>>,
    /// Where browsers go on to at sign-out.
    pub logout_url: Option<String>,
    /// Under which names it is believed.
    pub hosts: Option<Vec<String>>,
}

/// `[identity.google_iap]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleIap {
    /// Resources of ours, as the console calls them.
    pub audience: Option<Vec<String>>,
    /// The claim that lists groups.
    pub groups: Option<String>,
    /// Where its keys are.
    pub jwks_url: Option<String>,
    /// Domains whose addresses count as verified.
    pub verified_email_domains: Option<Vec<String>>,
    /// Where browsers go on to at sign-out.
    pub logout_url: Option<String>,
    /// Under which names it is believed.
    pub hosts: Option<Vec<String>>,
}

/// `[identity.pomerium]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pomerium {
    /// What its tokens name as issuer.
    pub issuer: Option<String>,
    /// What its tokens name as audience.
    pub audience: Option<Vec<String>>,
    /// The claim that lists groups.
    pub groups: Option<String>,
    /// Where its keys are.
    pub jwks_url: Option<String>,
    /// Domains whose addresses count as verified.
    pub verified_email_domains: Option<Vec<String>>,
    /// Where browsers go on to at sign-out.
    pub logout_url: Option<String>,
    /// Under which names it is believed.
    pub hosts: Option<Vec<String>>,
}

/// `[[identity.bearer]]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bearer {
    /// The issuer's URL.
    pub issuer: Option<String>,
    /// Where its keys are.
    pub jwks_url: Option<String>,
    /// What its tokens name as audience.
    pub audience: Option<Vec<String>>,
    /// Clients that it issues them to.
    pub client: Option<Vec<String>>,
    /// The value of `token_use`.
    pub token_use: Option<String>,
    /// The claim that lists groups.
    pub groups: Option<String>,
    /// Domains whose addresses count as verified.
    pub verified_email_domains: Option<Vec<String>>,
    /// Under which names it is believed.
    pub hosts: Option<Vec<String>>,
}

/// `[identity.insecure_proxy]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InsecureProxy {
    /// Where the proxy connects from.
    pub peers: Option<Vec<String>>,
    /// The digest of the secret that it sends along.
    pub secret_sha256: Option<String>,
    /// The header that carries the secret.
    pub secret_header: Option<String>,
    /// Whose name for people its subjects are.
    pub issuer: Option<String>,
    /// The header that carries the subject.
    pub subject_header: Option<String>,
    /// The header that carries the e-mail address.
    pub email_header: Option<String>,
    /// The header that carries groups.
    pub groups_header: Option<String>,
    /// Domains whose addresses count as verified.
    pub verified_email_domains: Option<Vec<String>>,
    /// Where browsers go on to at sign-out.
    pub logout_url: Option<String>,
    /// Under which names it is believed.
    pub hosts: Option<Vec<String>>,
}

/// `[[identity.provider]]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What URLs and cookies call it.
    pub name: Option<String>,
    /// What people call it.
    pub title: Option<String>,
    /// Its issuer.
    pub issuer: Option<String>,
    /// The client ID.
    pub client: Option<String>,
    /// The client's secret, or `ssm:<name>`.
    pub client_secret: Option<Secret>,
    /// A file that holds it.
    pub client_secret_file: Option<String>,
    /// `basic` or `post`.
    pub client_authentication: Option<String>,
    /// What is asked for.
    pub scopes: Option<Vec<String>>,
    /// Further parameters of the authorization request.
    pub parameters: Option<Vec<String>>,
    /// Where groups come from.
    pub groups: Option<ProviderGroups>,
    /// Domains whose addresses count as verified.
    pub verified_email_domains: Option<Vec<String>>,
    /// Under which names it is offered.
    pub hosts: Option<Vec<String>>,
}

/// `identity.provider.groups`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderGroups {
    /// The claim that lists groups.
    pub claim: Option<String>,
    /// `id_token` or `userinfo`.
    pub from: Option<String>,
}

/// `[identity.login]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The keys that seal cookies, or `ssm:<name>`.
    pub cookie_keys: Option<CookieKeys>,
    /// A file that holds them.
    pub cookie_keys_file: Option<String>,
    /// How long a session lasts.
    pub lifetime: Option<Duration>,
    /// After how long the provider is asked again.
    pub recheck: Option<Duration>,
    /// How long a session is believed while the provider does not answer.
    pub grace: Option<Duration>,
}
