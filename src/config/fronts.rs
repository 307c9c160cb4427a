//! `[identity]`: what vouches for people.

use super::alb::{self, AlbFront};
use super::raw;
use super::signed::{self, SignedFront};
use super::site::Site;
use super::source::Problems;

/// What vouches for people.
#[derive(Clone, Debug)]
pub struct Fronts {
    /// The load balancer.
    pub alb: Option<AlbFront>,
    /// The other signed fronts.
    pub signed: Vec<SignedFront>,
}

pub(super) fn check(
    raw: raw::Identity,
    site: Option<&Site>,
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
    let signed = signed::check(raw, site, problems);
    Some(Fronts { alb: alb.map_or(Some(None), |checked| checked.map(Some))?, signed })
}

fn is_empty(raw: &raw::Identity) -> bool {
    raw.alb.is_none()
        && raw.verified_access.is_none()
        && raw.cloudflare_access.is_none()
        && raw.google_iap.is_none()
        && raw.pomerium.is_none()
        && raw.bearer.as_ref().is_none_or(Vec::is_empty)
}
