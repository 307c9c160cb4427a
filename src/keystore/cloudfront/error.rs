//! What CloudFront's answers mean for a person, where its own words are not enough.

use crate::config::KeyGroupId;
use crate::signing::{Fingerprint, KeyPairId};

/// Why CloudFront's keys are not as they are to be.
#[derive(Debug, thiserror::Error)]
pub enum KeyGroupError {
    /// No such key group.
    #[error(
        "there is no key group {0} in the account that these credentials are for; \
         `aws cloudfront list-key-groups` and the CloudFront console, under Key groups, show the IDs: \
         put the right one into rotation.key_group"
    )]
    Missing(KeyGroupId),
    /// A group that would trust nothing, and an edge that would refuse everybody.
    #[error(
        "the key group {0} would be empty, and CloudFront would refuse everybody: add a key first"
    )]
    WouldBeEmpty(KeyGroupId),
    /// Others were faster, every time.
    #[error(
        "others keep changing the key group {0}; nothing was changed here: run it again in a minute"
    )]
    GroupBusy(KeyGroupId),
    /// Others were faster, every time.
    #[error(
        "others keep changing the public key {0}; it was not deleted: run it again in a minute"
    )]
    KeyBusy(KeyPairId),
    /// No place in the group.
    #[error(
        "no further key fits into the key group: CloudFront's quota is {quota} public keys in a group, \
         and it holds {inside}; take one out that signs nothing any more (edgemint keys retire), or \
         ask AWS for a larger quota"
    )]
    GroupFull {
        /// The quota.
        quota: usize,
        /// The keys in the group, for people.
        inside: String,
    },
    /// No place in the account.
    #[error(
        "no further public key fits into the account: CloudFront's quota is {quota}; not in this key \
         group: {outside}; delete one that nothing else uses (aws cloudfront delete-public-key), or ask \
         AWS for a larger quota"
    )]
    AccountFull {
        /// The quota.
        quota: usize,
        /// The keys outside of the group, for people.
        outside: String,
    },
    /// A key that a group trusts.
    #[error("the public key {id} is still in use{}", by(.groups))]
    InUse {
        /// Which key.
        id: KeyPairId,
        /// The groups that hold it, for people.
        groups: Vec<String>,
    },
    /// A key that everybody can sign with.
    #[error(
        "the key {0} is the published one of keys-example/: anyone can sign with it; make a key of \
         your own"
    )]
    Published(Fingerprint),
    /// A name or a reference that another key has, or a list that does not show the key yet.
    #[error(
        "CloudFront says that a public key {0} exists, and lists none under this fingerprint; run it \
         again in a minute, or delete the other key of this name"
    )]
    NameTaken(String),
    /// An ID as CloudFront makes none.
    #[error("CloudFront answered with the public key ID {0:?}, which is none")]
    OddId(String),
}

/// Who uses a key, and what to do about it.
fn by(groups: &[String]) -> String {
    if groups.is_empty() {
        return "; take it out of the key group or field-level encryption profile that holds it, \
                and run it again"
            .to_owned();
    }
    format!(" by the key group {}; take it out, and run it again", groups.join(", "))
}
