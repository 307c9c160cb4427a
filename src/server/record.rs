//! The record of who got access: one line per issue of cookies, and one per refusal.
//!
//! Texts that come from tokens are written with `?`, which escapes control characters, so that a
//! claim cannot forge a line. Tokens, cookies and keys are never written.

use std::net::IpAddr;

use super::error::ServeError;
use super::request::RequestId;
use super::throttle::TooMany;
use crate::access::Opened;
use crate::authn::ProviderError;
use crate::cookies::SignedSet;
use crate::identity::Identity;
use crate::issuer::Issued;
use crate::policy::BaseUrl;
use crate::signing::KeyPairId;
use crate::telemetry::{ACCESS, OPERATION};

/// By which way somebody asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    /// The host that answers.
    pub(super) host: &'a str,
    /// The site's URL from which the person was handed over; empty if they ask themselves.
    pub(super) handed_from: &'a str,
    /// The browser's address.
    pub(super) address: Option<IpAddr>,
}

pub(super) fn issued(
    id: &RequestId,
    identity: &Identity,
    issued: &Issued,
    key: &KeyPairId,
    way: &Way<'_>,
) {
    let mut rules: Vec<&str> =
        issued.opened.iter().flat_map(|part| part.rules.iter().map(String::as_str)).collect();
    rules.sort_unstable();
    rules.dedup();
    let until = issued.sets.iter().map(SignedSet::expires).min();
    tracing::info!(
        target: ACCESS,
        event = "cookies.issued",
        request_id = %id,
        front = %identity.front,
        issuer = ?identity.issuer,
        subject = ?identity.subject.as_str(),
        email = ?identity.email.as_ref().map_or("", |email| email.address()),
        address = %way.address.map(|address| address.to_string()).unwrap_or_default(),
        host = way.host,
        handoff = way.handed_from,
        rules = ?rules.join(", "),
        resources = ?join(&issued.opened),
        key = %key,
        until = %until.unwrap_or(issued.expires),
        removed = issued.removed,
        withheld = ?issued.withheld.join("; "),
        "cookies issued"
    );
}

pub(super) fn signed_in(id: &RequestId, identity: &Identity, provider: &str) {
    tracing::info!(
        target: ACCESS,
        event = "login.done",
        request_id = %id,
        provider,
        issuer = ?identity.issuer,
        subject = ?identity.subject.as_str(),
        email = ?identity.email.as_ref().map_or("", |email| email.address()),
        "signed in"
    );
}

/// Somebody has signed out, and a copy of their session can be renewed all the same.
pub(super) fn unrevoked(id: &RequestId, provider: &str, problem: &ProviderError) {
    tracing::warn!(
        target: OPERATION,
        event = "session.unrevoked",
        request_id = %id,
        provider,
        problem = ?problem.to_string(),
        "a refresh token could not be revoked at its provider after sign-out"
    );
}

/// A page could not be given a token for a data host.
pub(super) fn unoffered(id: &RequestId, host: &BaseUrl, have_keys: bool) {
    let problem = if have_keys {
        "the identity is too large for a token"
    } else {
        "the keys of handoff.keys have not been read"
    };
    tracing::warn!(
        target: OPERATION,
        event = "handoff.none",
        request_id = %id,
        host = %host,
        problem,
        "no handoff token could be made"
    );
}

pub(super) fn cleared(id: &RequestId, lines: usize) {
    tracing::info!(
        target: ACCESS,
        event = "cookies.cleared",
        request_id = %id,
        lines,
        "cookies cleared"
    );
}

pub(super) fn refused(
    id: &RequestId,
    identity: Option<&Identity>,
    error: &ServeError,
    address: Option<IpAddr>,
) {
    tracing::warn!(
        target: ACCESS,
        event = "cookies.refused",
        request_id = %id,
        issuer = ?identity.map_or("", |identity| identity.issuer.as_str()),
        subject = ?identity.map_or("", |identity| identity.subject.as_str()),
        address = %address.map(|address| address.to_string()).unwrap_or_default(),
        status = error.status().as_u16(),
        reason = ?error.to_string(),
        "cookies refused"
    );
}

/// One line for each person or address and minute; see [`TooMany::tell`].
pub(super) fn limited(
    id: &RequestId,
    identity: Option<&Identity>,
    too_many: &TooMany,
    address: Option<IpAddr>,
) {
    tracing::warn!(
        target: ACCESS,
        event = "requests.limited",
        request_id = %id,
        issuer = ?identity.map_or("", |identity| identity.issuer.as_str()),
        subject = ?identity.map_or("", |identity| identity.subject.as_str()),
        address = %address.map(|address| address.to_string()).unwrap_or_default(),
        retry_after = too_many.retry_after,
        reason = ?too_many.to_string(),
        "requests limited"
    );
}

fn join(opened: &[Opened]) -> String {
    opened.iter().map(Opened::resource).collect::<Vec<_>>().join(" ")
}
