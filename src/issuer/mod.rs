//! From a grant to cookie lines: the one job of the service.
//!
//! A policy that several people share is signed once, and however many ask for it at the same moment
//! it is signed once. Signing runs on its own bounded number of threads; past the bound the answer is
//! [`IssueError::Overloaded`], never a growing queue.

mod expiry;
mod pool;
mod share;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use ipnet::Ipv4Net;

use self::expiry::rounded_expiry;
use self::pool::SigningPool;
use self::share::SharedPolicies;
use crate::access::{Grant, NotGranted, Opened};
use crate::clock::EpochSeconds;
use crate::config::{Distribution, set_at};
use crate::cookies::{
    CookieScope, KeyMark, Ledger, MAX_LINES_PER_SET, Renewal, SetDigest, SignedSet,
};
use crate::identity::Identity;
use crate::policy::{Custom, Policy, Resource, ResourceError, StatementError};
use crate::signing::{HashAlgorithm, SignError, SignedPolicy, SigningKey, sign};

/// Signs policies and writes cookie lines. Shared by all requests; outlives every reload.
pub struct Issuer {
    pool: SigningPool,
    shared: SharedPolicies,
    signed: Box<dyn Fn() + Send + Sync>,
}

/// What is needed to issue cookies for one request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What the person may see.
    pub grant: &'a Grant,
    /// The person, whom the ledger tells from others.
    pub identity: &'a Identity,
    /// The host that answers, which must be able to set the cookies.
    pub host: &'a str,
    /// Whether a program takes the cookies from the answer's body, so that it does not matter which host
    /// sets them.
    pub in_body: bool,
    /// The data hosts.
    pub distributions: &'a [Distribution],
    /// The key that signs.
    pub key: &'a SigningKey,
    /// The digest under signatures.
    pub hash: HashAlgorithm,
    /// What the browser says it was given.
    pub ledger: &'a Ledger,
    /// The one URL that the cookies are for, if only one set is wanted.
    pub wanted: Option<&'a url::Url>,
    /// The most sets in one answer.
    pub sets_per_answer: usize,
    /// The present.
    pub now: EpochSeconds,
}

/// Cookies that were issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// `Set-Cookie` lines.
    pub lines: Vec<String>,
    /// The sets that the lines hold, for a script that has no use for lines.
    pub sets: Vec<SignedSet>,
    /// What the cookies open, in the same order.
    pub opened: Vec<Opened>,
    /// What is open too, but did not fit into this answer.
    pub on_demand: Vec<Opened>,
    /// What is open too, by cookies that data hosts set in exchange for a token.
    pub elsewhere: Vec<Opened>,
    /// When the first of the cookies ends, or of those that are set elsewhere if that is now.
    pub expires: EpochSeconds,
    /// How many sets of before were removed.
    pub removed: usize,
    /// What a rule would have opened but for a reason that the person should hear.
    pub withheld: Vec<String>,
}

/// Why no cookies were issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// All signing threads are busy and the queue is full.
    #[error("all signing threads are busy")]
    Overloaded,
    /// The URL is not under anything that the person may see.
    #[error("nothing that is open to this person covers {0}")]
    NotCovered(String),
    /// A grant's site has no distribution, which the configuration rules out.
    #[error("no distribution serves {0}")]
    NoDistribution(String),
    /// A policy that cannot be stated.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A resource that cannot stand in a policy.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// A policy beyond the grant.
    #[error(transparent)]
    NotGranted(#[from] NotGranted),
    /// The key failed.
    #[error(transparent)]
    Sign(#[from] Arc<SignError>),
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers")]
    Random,
}

/// One part of the grant and where its cookies go.
#[derive(Clone)]
struct Planned<'a> {
    opened: &'a Opened,
    scope: CookieScope,
    digest: SetDigest,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Returns an issuer that signs on `threads` threads with at most `queue` signatures waiting, and
    /// calls `signed` after each.
    #[must_use]
    pub fn new(threads: usize, queue: usize, signed: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            pool: SigningPool::new(threads, queue),
            shared: SharedPolicies::default(),
            signed: Box::new(signed),
        }
    }

    /// Issues cookies for what a grant opens.
    ///
    /// # Errors
    /// [`IssueError`] when nothing could be signed; the browser then keeps what it has.
    pub async fn issue(&self, request: &Request<'_>) -> Result<Issued, IssueError> {
        let Plan { here: planned, elsewhere } = plan(request)?;
        let permitted: Vec<_> =
            planned.iter().map(|part| (part.scope.clone(), part.digest)).collect();
        let (chosen, on_demand) = choose(planned, &elsewhere, request)?;
        let mut sets = Vec::with_capacity(chosen.len());
        for part in &chosen {
            let signed = self.sign(part.opened, request).await?;
            let (scope, digest) = (part.scope.clone(), part.digest);
            sets.push(SignedSet { scope, digest, key: KeyMark::of(request.key), signed });
        }
        let Renewal { lines, removed } =
            request.ledger.renew(request.host, &sets, &permitted, request.now);
        let now = request.now;
        let there = elsewhere.iter().map(|part| rounded_expiry(now, part.lifetime)).min();
        let here = sets.iter().map(SignedSet::expires).min();
        Ok(Issued {
            lines,
            opened: chosen.iter().map(|part| part.opened.clone()).collect(),
            on_demand: on_demand.iter().map(|part| part.opened.clone()).collect(),
            expires: here.into_iter().chain(there).min().unwrap_or(now),
            elsewhere: elsewhere.into_iter().cloned().collect(),
            sets,
            removed,
            withheld: request.grant.withheld().iter().map(ToString::to_string).collect(),
        })
    }

    async fn sign(
        &self,
        opened: &Opened,
        request: &Request<'_>,
    ) -> Result<Arc<SignedPolicy>, IssueError> {
        let policy = Policy::custom(Custom {
            resource: Resource::parse(&opened.resource())?,
            expires: rounded_expiry(request.now, opened.lifetime),
            starts: if opened.share { None } else { Some(session_mark()?) },
            source_ip: opened.source_ip.map(Ipv4Net::from),
        })?;
        // A shared signature is no shortcut around the grant of this person.
        request.grant.permits(&policy)?;
        if opened.share {
            let signing = || self.sign_on_a_thread(policy.clone(), request);
            return self.shared.get(&policy, request.key, request.hash, request.now, signing).await;
        }
        self.sign_on_a_thread(policy, request).await
    }

    async fn sign_on_a_thread(
        &self,
        policy: Policy,
        request: &Request<'_>,
    ) -> Result<Arc<SignedPolicy>, IssueError> {
        let (grant, key, hash) = (request.grant.clone(), request.key.clone(), request.hash);
        let signed = self.pool.run(move || sign(&grant, policy, &key, hash)).await?;
        (self.signed)();
        signed.map(Arc::new).map_err(|error| Arc::new(error).into())
    }
}

/// Whether a browser lacks, or holds beyond half its life, something that a grant opens, or holds
/// something that it does not open.
#[must_use]
pub fn is_due(request: &Request<'_>) -> bool {
    let Ok(Plan { here: planned, .. }) = plan(request) else { return false };
    let permitted: Vec<_> = planned.iter().map(|part| (part.scope.clone(), part.digest)).collect();
    let key = KeyMark::of(request.key);
    let held = |part: &Planned<'_>| {
        let lifetime = part.opened.lifetime.seconds();
        request.ledger.holds(&part.scope, part.digest, key, lifetime, request.now)
    };
    request.ledger.lists_others_than(&permitted)
        || planned.iter().filter(|part| held(part)).count()
            < planned.len().min(request.sets_per_answer)
}

/// The most lines that issuing may take now, known before anything is signed.
#[must_use]
pub fn most_lines(request: &Request<'_>) -> usize {
    let planned = plan(request).map_or(0, |plan| plan.here.len());
    planned.min(request.sets_per_answer) * MAX_LINES_PER_SET + leftovers(request).len()
}

/// Lines that remove what a browser lists beyond the grant, when nothing is issued.
#[must_use]
pub fn leftovers(request: &Request<'_>) -> Vec<String> {
    let planned = plan(request).map(|plan| plan.here).unwrap_or_default();
    let permitted: Vec<_> = planned.iter().map(|part| (part.scope.clone(), part.digest)).collect();
    request.ledger.renew(request.host, &[], &permitted, request.now).lines
}

/// What a grant opens, by which host sets the cookies.
#[derive(Default)]
struct Plan<'a> {
    here: Vec<Planned<'a>>,
    elsewhere: Vec<&'a Opened>,
}

fn plan<'a>(request: &Request<'a>) -> Result<Plan<'a>, IssueError> {
    let mut plan = Plan::default();
    let here: Vec<_> = set_at(request.distributions, request.host).collect();
    let is_data_host = here.iter().any(|distribution| distribution.handoff.is_some());
    for opened in request.grant.opened() {
        let distribution = request
            .distributions
            .iter()
            .find(|distribution| distribution.base == opened.base)
            .ok_or_else(|| IssueError::NoDistribution(opened.base.to_string()))?;
        if !request.in_body && !here.contains(&distribution) {
            plan.elsewhere.extend((!is_data_host).then_some(opened));
            continue;
        }
        plan.here.push(Planned {
            opened,
            scope: distribution.scope(&opened.prefix),
            digest: SetDigest::of(request.identity, opened, request.hash),
        });
    }
    Ok(plan)
}

/// Chooses what this answer carries: the one set wanted, or else as many as fit, those first that the
/// browser uses already.
fn choose<'a>(
    planned: Vec<Planned<'a>>,
    elsewhere: &[&Opened],
    request: &Request<'_>,
) -> Result<(Vec<Planned<'a>>, Vec<Planned<'a>>), IssueError> {
    if let Some(url) = request.wanted {
        let (chosen, others): (Vec<_>, Vec<_>) =
            planned.into_iter().partition(|part| part.opened.covers(url));
        if chosen.is_empty() && !elsewhere.iter().any(|part| part.covers(url)) {
            return Err(IssueError::NotCovered(url.to_string()));
        }
        return Ok((chosen, others));
    }
    let mut chosen = planned;
    let key = KeyMark::of(request.key);
    chosen.sort_by_key(|part| !request.ledger.holds(&part.scope, part.digest, key, 0, request.now));
    let others = chosen.split_off(request.sets_per_answer.min(chosen.len()));
    Ok((chosen, others))
}

/// A start of validity that is decades ago and nobody else's: it makes this session's policy differ
/// from every other, so that CloudFront's logs tell them apart.
fn session_mark() -> Result<EpochSeconds, IssueError> {
    let mut bytes = [0; 4];
    SystemRandom::new().fill(&mut bytes).map_err(|_| IssueError::Random)?;
    Ok(EpochSeconds(u64::from(u32::from_be_bytes(bytes) >> 2)))
}

#[cfg(test)]
mod tests;
