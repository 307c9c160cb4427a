//! `[identity]`: what vouches for people.

use std::path::Path;

use super::alb::{self, AlbFront, Groups};
use super::insecure_proxy::{self, InsecureProxy};
use super::issuers::BelievedIssuers;
use super::login::{self, LoginFront};
use super::logout::LogoutUrl;
use super::raw;
use super::signed::{self, SignedFront};
use super::site::Site;
use super::source::Problems;
use crate::identity::Front;

/// What vouches for people.
#[derive(Clone, Debug)]
pub struct Fronts {
    /// The load balancer.
    pub alb: Option<AlbFront>,
    /// The other signed fronts.
    pub signed: Vec<SignedFront>,
    /// A proxy that signs nothing.
    pub insecure_proxy: Option<InsecureProxy>,
    /// Our own sign-in.
    pub login: Option<LoginFront>,
}

impl Fronts {
    /// Whether scripts may come with a token of their own.
    #[must_use]
    pub fn believe_bearer_tokens(&self) -> bool {
        self.signed.iter().any(|front| front.front() == Front::Bearer)
    }

    /// Whose word is taken for who somebody is.
    pub(super) fn believed_issuers(&self) -> BelievedIssuers {
        let alb = self.alb.iter().map(|alb| alb.expected.issuer.clone());
        let signed = self.signed.iter().map(|front| front.expected.issuer.clone());
        let proxy = self.insecure_proxy.iter().map(|proxy| Some(proxy.issuer.clone()));
        let login = self.login.iter().flat_map(|login| &login.providers);
        let login = login.map(|provider| Some(provider.issuer.clone()));
        alb.chain(signed).chain(proxy).chain(login).collect()
    }

    /// Whether any of them can say which groups somebody is in.
    #[must_use]
    pub fn bring_groups(&self) -> bool {
        let alb = self.alb.as_ref().is_some_and(|alb| match alb.groups {
            Groups::AccessToken { .. } => true,
            Groups::Claims => alb.expected.groups_claim.is_some(),
        });
        let signed = self.signed.iter().any(|front| front.expected.groups.is_some());
        let mut providers = self.login.iter().flat_map(|login| &login.providers);
        let provider = providers.any(|provider| provider.groups_claim.is_some());
        alb || signed || provider || self.insecure_proxy.is_some()
    }

    /// Where a browser goes on to that signs out at `host`: as the front says that vouches for the
    /// person, or else the first that says anything.
    #[must_use]
    pub fn logout_url(&self, vouching: Option<Front>, host: &str) -> Option<&LogoutUrl> {
        let alb = self.alb.iter().map(|alb| (Front::Alb, &alb.hosts, &alb.logout_url));
        let signed = self.signed.iter().map(|one| (one.front(), &one.hosts, &one.logout_url));
        let proxy = self.insecure_proxy.iter();
        let proxy = proxy.map(|one| (Front::InsecureProxy, &one.hosts, &one.logout_url));
        let believed: Vec<_> = alb
            .chain(signed)
            .chain(proxy)
            .filter(|(_, hosts, _)| hosts.contain(host))
            .map(|(front, _, url)| (front, url.as_ref()))
            .collect();
        match believed.iter().find(|(front, _)| Some(*front) == vouching) {
            Some((_, url)) => *url,
            None => believed.iter().find_map(|(_, url)| *url),
        }
    }
}

pub(super) fn check(
    mut raw: raw::Identity,
    site: Option<&Site>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<Fronts> {
    if is_empty(&raw) {
        problems.add(
            "identity",
            "nothing vouches for people: add [identity.alb] with region, signer and client, or \
             another front",
        );
        return None;
    }
    let alb = raw.alb.clone().map(|raw| alb::check(raw, site, problems));
    let proxy = raw.insecure_proxy.clone().map(|raw| insecure_proxy::check(raw, site, problems));
    let login = login::check(raw.login.take(), raw.provider.take(), site, folder, problems);
    let signed = signed::check(raw, site, problems);
    // A table that is wrong leaves its problem, and no configuration.
    Some(Fronts {
        alb: alb.map_or(Some(None), |checked| checked.map(Some))?,
        signed,
        insecure_proxy: proxy.map_or(Some(None), |checked| checked.map(Some))?,
        login: login.ok()?,
    })
}

fn is_empty(raw: &raw::Identity) -> bool {
    raw.alb.is_none()
        && raw.verified_access.is_none()
        && raw.cloudflare_access.is_none()
        && raw.google_iap.is_none()
        && raw.pomerium.is_none()
        && raw.bearer.as_ref().is_none_or(Vec::is_empty)
        && raw.insecure_proxy.is_none()
        && raw.provider.as_ref().is_none_or(Vec::is_empty)
        && raw.login.is_none()
}
