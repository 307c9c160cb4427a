//! The life of a key, step by step: made, published, tried, promoted, followed, retired, revoked.
//!
//! The order is that of the CloudFront Developer Guide, "Rotating key pairs", with a look at each
//! side before the next step. Every step is safe to be killed in and to be run again:
//!
//! | step | what it leaves behind | how the next run knows |
//! |---|---|---|
//! | generate | a private key that no ring knows | it is the only one of its kind |
//! | begin | the ring names the new key | [`KeyRing::rotation`] |
//! | publish | a public key, then a key group that names it | by its fingerprint |
//! | stage | the ring knows the key and its ID | its state |
//! | probe, promote | the ring's active key | its state |
//! | follow | when the old key can go | `retire_after` |
//! | retire | a ring that says so, a key group without the old key, no public key, no private key | each is looked for |
//!
//! What changes anything is a *call*; it is announced before it is made, and with `dry_run` it is
//! announced only.

mod by_hand;
mod follow;
pub mod instances;
mod make;
mod overview;
mod probe;
mod publish;
mod retire;
mod revoke;
mod rotate;

use std::time::Duration;

pub use self::by_hand::Instructions;
pub use self::instances::{Address, InstancesError};
pub use self::overview::{Finding, KeyRow, Overview};
pub use self::probe::{Probe, ProbeError};
pub use self::revoke::Damage;
pub use self::rotate::{Outcome, RotateOptions};
use crate::clock::{Clock, EpochSeconds};
use crate::config::{Instance, TargetGroupArn};
use crate::keystore::cloudfront::{KeyGroup, Quotas};
use crate::keystore::{Aws, Keystore, KeystoreError, Stored};
use crate::signing::{
    Fingerprint, HashAlgorithm, KeyError, KeyPairId, KeyRing, RingError, SignError,
};

/// What the steps work on.
#[derive(Debug)]
pub struct Site {
    /// Where the ring and the private keys are.
    pub store: Keystore,
    /// How the edge is told.
    pub edge: Edge,
    /// The object that new keys are tried on, if there is one.
    pub probe: Option<Probe>,
    /// Where instances of the service answer.
    pub instances: Vec<Instance>,
    /// The target group that knows them.
    pub target_group: Option<TargetGroupArn>,
    /// How AWS is asked.
    pub aws: Aws,
    /// The digest under signatures.
    pub hash: HashAlgorithm,
    /// The longest life of a cookie, in seconds.
    pub longest_lifetime: u64,
    /// How far clocks may differ.
    pub clock_skew: Duration,
    /// How long an instance that is cut off from its ring goes on signing; none where nothing bounds
    /// it, as with a unit's copy.
    pub max_outage: Option<Duration>,
    /// How many keys CloudFront lets the account have.
    pub quotas: Quotas,
    /// A command that makes the instances follow, run by `sh`.
    pub on_promote: Option<String>,
}

/// How the edge is told which keys to trust.
#[derive(Debug)]
pub enum Edge {
    /// By CloudFront's API.
    Api(KeyGroup),
    /// By a person, who may bring the ID of the new public key.
    ByHand(Option<KeyPairId>),
    /// Not known.
    Unset,
}

/// How long the steps wait for others.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long the edge must accept a new key without a miss. There are many edges, and only one
    /// answers.
    pub settle: Duration,
    /// How long to wait for the edge, and for the instances, each.
    pub timeout: Duration,
}

impl Patience {
    /// From one look to the next.
    fn interval(self) -> Duration {
        (self.settle / 4).clamp(Duration::from_millis(100), Duration::from_secs(2))
    }
}

/// Something that happens, for people and for machines.
#[derive(Clone, Debug)]
pub struct Event {
    /// The step.
    pub step: &'static str,
    /// What kind of news it is.
    pub kind: EventKind,
    /// The news.
    pub text: String,
}

/// What kind of news an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Something was found or has come about.
    Note,
    /// Something is about to be changed, or with a dry run would be.
    Call,
    /// Somebody is waited for.
    Waiting,
}

/// Who hears of it.
pub trait Progress {
    /// Hears of it.
    fn hear(&mut self, event: Event);
}

/// Why a step ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The ring or CloudFront.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The ring cannot become that.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A key that is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The probe.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The instances.
    #[error(transparent)]
    Instances(#[from] InstancesError),
    /// Nothing was signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Something that must be known.
    #[error("{key} is not set: {what}; set it in the configuration, or give {flag}")]
    NotSet {
        /// The key of the configuration.
        key: &'static str,
        /// What it is.
        what: &'static str,
        /// The flag.
        flag: &'static str,
    },
    /// The command that makes the instances follow.
    #[error("`{command}` failed: {why}; the new key is active, run it again to go on from there")]
    OnPromote {
        /// The command.
        command: String,
        /// How it ended.
        why: String,
    },
    /// Some instances do not sign with the new key.
    #[error(
        "after {waited} s, not every instance signs with {id}: {behind}. The old key stays trusted, \
         and nobody is locked out; see to these instances, and run it again"
    )]
    NotFollowed {
        /// The new key.
        id: KeyPairId,
        /// How long was waited.
        waited: u64,
        /// The others, and what they say.
        behind: String,
    },
    /// An instance signs with a key that is to be retired.
    #[error("{id} cannot be retired: {behind} signs with it; see to that, and run it again")]
    StillSigns {
        /// The key.
        id: KeyPairId,
        /// Where.
        behind: String,
    },
    /// The edge does not trust a key that is to sign.
    #[error("the key group {group} does not trust {id}; put it in first: edgemint keys stage {id}")]
    NotTrusted {
        /// The key.
        id: KeyPairId,
        /// The key group.
        group: String,
    },
    /// The public half of a key is not in CloudFront any more.
    #[error(
        "CloudFront has no public key {0} any more, and would call it otherwise: what {0} signs is \
         refused. Replace it: edgemint keys revoke {0}"
    )]
    Gone(KeyPairId),
    /// Some instances sign with a key that is revoked.
    #[error(
        "{id} is revoked, but not every instance signs with the new key: {behind}. What they sign \
         is refused until they follow; see to them, and run it again"
    )]
    NotFollowedRevoked {
        /// The revoked key.
        id: KeyPairId,
        /// The instances, and what they say.
        behind: String,
    },
    /// CloudFront calls a key otherwise than the ring does.
    #[error(
        "CloudFront calls this key {found}, but the ring calls it {id}: cookies that name {id} open \
         nothing; replace it: edgemint keys revoke {id}"
    )]
    OtherId {
        /// The ring's name.
        id: KeyPairId,
        /// CloudFront's.
        found: KeyPairId,
    },
    /// The edge does not trust the key that signs.
    #[error(
        "the key that signs, {id}, is not in the key group {group}: taking another one out would lock \
         everybody out; put it in first: edgemint keys stage {id}"
    )]
    ActiveNotTrusted {
        /// The active key.
        id: KeyPairId,
        /// The key group.
        group: String,
    },
    /// A person must do something first.
    #[error("{0}")]
    ByHand(Box<Instructions>),
    /// No key is called so.
    #[error("no key is called {0}; `edgemint keys list` shows those there are")]
    UnknownKey(String),
    /// Several keys are called so.
    #[error("several keys begin with {0}; give more digits")]
    Ambiguous(String),
    /// A private key that nothing trusts.
    #[error("{0} is in no ring, and nothing trusts it; destroy it: edgemint keys retire {0}")]
    InNoRing(String),
    /// A key that a ring and an edge do not know.
    #[error("{0} is not staged yet; run first: edgemint keys stage {0}")]
    NotStaged(String),
}

/// The steps, at work on a site.
pub struct Admin<'a> {
    /// What is worked on.
    pub site: &'a Site,
    /// How long to wait for others.
    pub patience: Patience,
    /// Whether calls are announced only.
    pub dry_run: bool,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Who hears of it.
    pub progress: &'a mut dyn Progress,
}

/// A key by the name that a person gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A key of the ring.
    Member(KeyPairId),
    /// A private key that no ring knows.
    Spare(Fingerprint),
}

impl Admin<'_> {
    /// Finds the key that a person means: by its ID, or by the first digits of its fingerprint.
    ///
    /// # Errors
    /// [`RotationError::UnknownKey`] or [`RotationError::Ambiguous`].
    pub async fn named(&self, ring: &KeyRing, name: &str) -> Result<Named, RotationError> {
        if let Some(member) = ring.members().iter().find(|member| member.id.to_string() == name) {
            return Ok(Named::Member(member.id.clone()));
        }
        let digits = name.len() >= 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits {
            return Err(RotationError::UnknownKey(name.to_owned()));
        }
        let of_ring = ring.members().iter().map(|member| member.fingerprint.clone());
        let mut known: Vec<Fingerprint> = of_ring.collect();
        known.extend(self.site.store.keys().await?.into_iter().map(|key| key.fingerprint));
        known.sort();
        known.dedup();
        known.retain(|fingerprint| fingerprint.as_str().starts_with(name));
        match known.as_slice() {
            [] => Err(RotationError::UnknownKey(name.to_owned())),
            [one] => Ok(match ring.with_fingerprint(one) {
                Some(member) => Named::Member(member.id.clone()),
                None => Named::Spare(one.clone()),
            }),
            _ => Err(RotationError::Ambiguous(name.to_owned())),
        }
    }

    fn now(&self) -> EpochSeconds {
        self.clock.now()
    }

    fn note(&mut self, step: &'static str, text: impl Into<String>) {
        self.progress.hear(Event { step, kind: EventKind::Note, text: text.into() });
    }

    fn call(&mut self, step: &'static str, text: impl Into<String>) {
        self.progress.hear(Event { step, kind: EventKind::Call, text: text.into() });
    }

    fn waiting(&mut self, step: &'static str, text: impl Into<String>) {
        self.progress.hear(Event { step, kind: EventKind::Waiting, text: text.into() });
    }

    /// Writes the ring, if it has changed.
    async fn write(
        &mut self,
        step: &'static str,
        stored: &Stored,
        ring: KeyRing,
    ) -> Result<Stored, RotationError> {
        if ring == stored.ring {
            return Ok(stored.clone());
        }
        self.call(step, self.site.store.describe_write(stored.revision));
        if self.dry_run {
            return Ok(Stored { ring, revision: stored.revision + 1 });
        }
        Ok(self.site.store.write(&ring, stored.revision).await?)
    }

    /// The key that signs must stay trusted whatever is taken out.
    fn check_active_trusted(
        &self,
        ring: &KeyRing,
        group: &KeyGroup,
        trusted: &[KeyPairId],
    ) -> Result<(), RotationError> {
        match ring.active() {
            // In a dry run, the one that would sign by now was never put in.
            Some(active) if !trusted.contains(&active.id) && !self.dry_run => {
                Err(RotationError::ActiveNotTrusted {
                    id: active.id.clone(),
                    group: group.id().to_string(),
                })
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Admin<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("site", &self.site).finish_non_exhaustive()
    }
}

/// The words of what caused an error in the end: reqwest's own are about the URL only.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

/// A list for people.
fn join(ids: &[KeyPairId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
