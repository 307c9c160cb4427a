//! What CloudFront holds, and whether one more key fits.

use super::KeyGroupError;
use crate::clock::EpochSeconds;
use crate::keystore::KeystoreError;
use crate::signing::{Fingerprint, KeyPairId};

/// What CloudFront holds now.
#[derive(Clone, Debug)]
pub struct EdgeKeys {
    /// All public keys of the account.
    pub public_keys: Vec<PublicKeyEntry>,
    /// Those in the key group.
    pub trusted: Vec<KeyPairId>,
}

/// A public key in CloudFront.
#[derive(Clone, Debug)]
pub struct PublicKeyEntry {
    /// The ID that CloudFront gave it.
    pub id: KeyPairId,
    /// What whoever made it called it.
    pub name: String,
    /// Which key it is; none where it is of a kind that is not read here.
    pub fingerprint: Option<Fingerprint>,
    /// When it was given to CloudFront.
    pub created: EpochSeconds,
}

/// How many keys CloudFront lets an account have. AWS raises both when asked to.
///
/// Source: the CloudFront developer guide, Quotas.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// In one key group: 5.
    pub keys_per_group: usize,
    /// In the account: 10.
    pub public_keys: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { keys_per_group: 5, public_keys: 10 }
    }
}

impl EdgeKeys {
    /// Everything that CloudFront calls a key: somebody may have published it twice.
    #[must_use]
    pub fn ids_of(&self, key: &Fingerprint) -> Vec<KeyPairId> {
        let same = self.public_keys.iter().filter(|entry| entry.fingerprint.as_ref() == Some(key));
        same.map(|entry| entry.id.clone()).collect()
    }

    /// The entry of a key. Where somebody has given a key to CloudFront more than once, it is the one
    /// that is trusted, or else the oldest.
    #[must_use]
    pub fn find(&self, fingerprint: &Fingerprint) -> Option<&PublicKeyEntry> {
        let same =
            self.public_keys.iter().filter(|entry| entry.fingerprint.as_ref() == Some(fingerprint));
        same.min_by_key(|entry| (!self.trusts(&entry.id), entry.created, &entry.id))
    }

    /// The entry under an ID.
    #[must_use]
    pub fn entry(&self, id: &KeyPairId) -> Option<&PublicKeyEntry> {
        self.public_keys.iter().find(|entry| entry.id == *id)
    }

    /// Whether a key is in the group.
    #[must_use]
    pub fn trusts(&self, id: &KeyPairId) -> bool {
        self.trusted.contains(id)
    }

    /// Checks that one more key fits, before anything is created. A key that is known already, or in
    /// the group already, takes no further place there. Those that are `leaving` leave the group as
    /// the new one enters; they stay among the public keys until later.
    ///
    /// # Errors
    /// [`KeyGroupError::GroupFull`] and [`KeyGroupError::AccountFull`] name the quota, and what could
    /// go.
    pub fn check_room(
        &self,
        key: &Fingerprint,
        leaving: &[KeyPairId],
        quotas: Quotas,
    ) -> Result<(), KeystoreError> {
        let known = self.find(key);
        if known.is_none() && self.public_keys.len() >= quotas.public_keys {
            let free = self.public_keys.iter().filter(|entry| !self.trusts(&entry.id));
            let outside = list(free.map(|entry| self.describe(&entry.id)));
            return Err(KeyGroupError::AccountFull { quota: quotas.public_keys, outside }.into());
        }
        let trusted = known.is_some_and(|entry| self.trusts(&entry.id));
        let staying = self.trusted.iter().filter(|id| !leaving.contains(id)).count();
        if !trusted && staying >= quotas.keys_per_group {
            let inside = list(self.trusted.iter().map(|id| self.describe(id)));
            return Err(KeyGroupError::GroupFull { quota: quotas.keys_per_group, inside }.into());
        }
        Ok(())
    }

    /// An ID and its name, for people.
    fn describe(&self, id: &KeyPairId) -> String {
        self.entry(id).map_or_else(|| id.to_string(), |entry| format!("{id} ({})", entry.name))
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> KeyPairId {
        format!("K{number}").parse().unwrap()
    }

    fn fingerprint(number: usize) -> Fingerprint {
        format!("{number:064x}").parse().unwrap()
    }

    /// An account with keys `1..=keys`, of which the group holds those up to `trusted`.
    fn account(keys: usize, trusted: usize) -> EdgeKeys {
        let entry = |number| PublicKeyEntry {
            id: id(number),
            name: format!("name-{number}"),
            fingerprint: Some(fingerprint(number)),
            created: EpochSeconds(1000),
        };
        EdgeKeys {
            public_keys: (1..=keys).map(entry).collect(),
            trusted: (1..=trusted).map(id).collect(),
        }
    }

    fn is_account(error: &KeystoreError) -> bool {
        matches!(error, KeystoreError::KeyGroup(KeyGroupError::AccountFull { .. }))
    }

    fn is_group(error: &KeystoreError) -> bool {
        matches!(error, KeystoreError::KeyGroup(KeyGroupError::GroupFull { .. }))
    }

    #[test]
    fn the_last_place_is_given_and_no_further_one() {
        let new = fingerprint(99);
        account(9, 4).check_room(&new, &[], Quotas::default()).unwrap();
        let full = account(10, 4).check_room(&new, &[], Quotas::default()).unwrap_err();
        assert!(is_account(&full), "{full}");
        let text = full.to_string();
        assert!(text.contains("K5 (name-5)") && !text.contains("K4 (name-4)"), "{text}");
        let full = account(9, 5).check_room(&new, &[], Quotas::default()).unwrap_err();
        assert!(is_group(&full), "{full}");
        assert!(full.to_string().contains("K1 (name-1)"), "{full}");
    }

    #[test]
    fn what_is_there_already_takes_no_further_place() {
        let crowded = account(12, 5);
        crowded.check_room(&fingerprint(5), &[], Quotas::default()).unwrap();
        let outside = crowded.check_room(&fingerprint(6), &[], Quotas::default()).unwrap_err();
        assert!(is_group(&outside), "{outside}");
    }

    #[test]
    fn what_leaves_makes_room_in_the_group_but_not_among_the_public_keys() {
        let new = fingerprint(99);
        account(9, 5).check_room(&new, &[id(1)], Quotas::default()).unwrap();
        account(9, 5).check_room(&new, &[id(7)], Quotas::default()).unwrap_err();
        let full = account(10, 5).check_room(&new, &[id(1)], Quotas::default()).unwrap_err();
        assert!(is_account(&full), "{full}");
    }

    #[test]
    fn an_account_whose_keys_are_all_trusted_says_that_none_is_outside() {
        let quotas = Quotas { keys_per_group: 50, public_keys: 3 };
        let full = account(3, 3).check_room(&fingerprint(99), &[], quotas).unwrap_err();
        assert!(full.to_string().contains("not in this key group: none"), "{full}");
    }

    #[test]
    fn of_a_key_that_is_there_twice_the_trusted_one_is_meant() {
        let mut keys = account(3, 0);
        for entry in &mut keys.public_keys {
            entry.fingerprint = Some(fingerprint(7));
        }
        keys.public_keys[1].created = EpochSeconds(5);
        assert_eq!(keys.find(&fingerprint(7)).unwrap().id, id(2));
        keys.trusted = vec![id(3)];
        assert_eq!(keys.find(&fingerprint(7)).unwrap().id, id(3));
        assert!(keys.find(&fingerprint(8)).is_none());
        keys.public_keys[2].fingerprint = None;
        assert_eq!(keys.find(&fingerprint(7)).unwrap().id, id(2));
    }
}
