//! All keys at a glance: where each half is, and what does not fit together.

use super::retire::{ids_of, is_another};
use super::{Admin, Edge, RotationError};
use crate::clock::EpochSeconds;
use crate::keystore::cloudfront::EdgeKeys;
use crate::keystore::{Stored, StoredKey};
use crate::signing::{Fingerprint, KeyPairId, KeyState, RingMember};

/// A staged key, or a rotation, that has waited longer than this was forgotten.
const FORGOTTEN: u64 = 24 * 3600;

/// All keys, and what is wrong with them.
#[derive(Clone, Debug)]
pub struct Overview {
    /// How often the ring was changed.
    pub revision: u64,
    /// The keys: the ring's, then those that no ring knows.
    pub keys: Vec<KeyRow>,
    /// What a person should see to.
    pub findings: Vec<Finding>,
}

/// One key.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its ID, if it has one.
    pub id: Option<KeyPairId>,
    /// Where it stands; none for a key that the ring does not know.
    pub state: Option<KeyState>,
    /// Its fingerprint, if that is known.
    pub fingerprint: Option<Fingerprint>,
    /// When it was made.
    pub created: EpochSeconds,
    /// When it last began to sign.
    pub promoted: Option<EpochSeconds>,
    /// From when on it can be retired.
    pub retire_after: Option<EpochSeconds>,
    /// Where the private half is, if it is anywhere.
    pub private: Option<String>,
    /// Whether CloudFront has the public half; none where it was not asked.
    pub public: Option<bool>,
    /// Whether the key group trusts it; none where it was not asked.
    pub trusted: Option<bool>,
    /// Whether CloudFront knows another key by its ID.
    pub another: bool,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub text: String,
    /// The command that mends it.
    pub mend: Option<String>,
}

impl Admin<'_> {
    /// Looks at every side.
    ///
    /// # Errors
    /// [`RotationError`] when the ring cannot be read. A CloudFront that cannot be asked is a finding.
    pub async fn overview(&mut self, warn_after: u64) -> Result<Overview, RotationError> {
        let stored = self.site.store.read().await?;
        let private = self.site.store.keys().await?;
        let (edge, unasked) = match &self.site.edge {
            Edge::Api(group) => match group.read().await {
                Ok(held) => (Some(held), None),
                Err(error) => (None, Some(format!("CloudFront was not asked: {error}"))),
            },
            Edge::ByHand(_) => (None, None),
            Edge::Unset => {
                (None, Some("CloudFront was not asked: rotation.key_group is not set".to_owned()))
            }
        };
        let place = |key: &Fingerprint| self.site.store.place_of(key);
        let keys = rows(&stored, &private, edge.as_ref(), &place);
        let mut findings: Vec<Finding> =
            unasked.map(|text| Finding { text, mend: None }).into_iter().collect();
        findings.extend(self.findings_of_ring(&stored, warn_after));
        let begun = stored.ring.rotation().map(|rotation| &rotation.key);
        let unfinished = |row: &&KeyRow| begun.is_some() && row.fingerprint.as_ref() == begun;
        findings.extend(keys.iter().filter(|row| !unfinished(row)).filter_map(finding_of));
        Ok(Overview { revision: stored.revision, keys, findings })
    }

    fn findings_of_ring(&self, stored: &Stored, warn_after: u64) -> Vec<Finding> {
        let (ring, now) = (&stored.ring, self.now());
        let rotate = || Some("edgemint keys rotate".to_owned());
        let mut findings = Vec::new();
        let mut find = |text: String, mend: Option<String>| findings.push(Finding { text, mend });
        match ring.active() {
            None => find("no key signs yet".to_owned(), rotate()),
            Some(active) => {
                let days = now.since(active.created) / 86_400;
                if now.since(active.created) >= warn_after {
                    find(format!("{} is {days} days old", active.id), rotate());
                }
            }
        }
        if let Some(rotation) = ring.rotation() {
            let begun = rotation.begun;
            match &rotation.replaces {
                None => find(format!("the rotation begun at {begun} has not ended"), rotate()),
                Some(id) => find(
                    format!("the revocation of {id}, begun at {begun}, has not ended"),
                    Some(format!("edgemint keys revoke {id}")),
                ),
            }
        }
        for member in ring.unconfirmed() {
            find(
                format!("nobody has confirmed that no instance signs with {} any more", member.id),
                rotate(),
            );
        }
        for member in ring.due(now) {
            let mend = format!("edgemint keys retire {}", member.id);
            find(format!("the last cookie of {} has expired", member.id), Some(mend));
        }
        for member in ring.in_state(KeyState::Staged) {
            let of_rotation = ring.rotation().is_some_and(|r| r.key == member.fingerprint);
            if !of_rotation && now.since(member.staged) >= FORGOTTEN {
                let mend = format!(
                    "edgemint keys promote {id}, or edgemint keys retire {id}",
                    id = member.id
                );
                find(format!("{} has been staged since {}", member.id, member.staged), Some(mend));
            }
        }
        findings
    }
}

fn rows(
    stored: &Stored,
    private: &[StoredKey],
    edge: Option<&EdgeKeys>,
    place: &dyn Fn(&Fingerprint) -> String,
) -> Vec<KeyRow> {
    let held = |key: &Fingerprint| private.iter().any(|stored| stored.fingerprint == *key);
    let of_member = |member: &RingMember| KeyRow {
        id: Some(member.id.clone()),
        state: Some(member.state),
        fingerprint: Some(member.fingerprint.clone()),
        created: member.created,
        promoted: member.promoted,
        retire_after: member.retire_after,
        private: held(&member.fingerprint).then(|| place(&member.fingerprint)),
        public: edge.map(|edge| !ids_of(edge, member).is_empty()),
        trusted: edge.map(|edge| ids_of(edge, member).iter().any(|id| edge.trusts(id))),
        another: edge.is_some_and(|edge| is_another(edge, member)),
    };
    let mut rows: Vec<KeyRow> = stored.ring.members().iter().map(of_member).collect();
    for key in private {
        if stored.ring.with_fingerprint(&key.fingerprint).is_none() {
            let entry = edge.and_then(|edge| edge.find(&key.fingerprint));
            rows.push(KeyRow {
                id: entry.map(|entry| entry.id.clone()),
                private: Some(place(&key.fingerprint)),
                public: edge.map(|_| entry.is_some()),
                trusted: edge.map(|edge| entry.is_some_and(|entry| edge.trusts(&entry.id))),
                ..unknown(Some(key.fingerprint.clone()), key.created)
            });
        }
    }
    for id in edge.map(|edge| edge.trusted.as_slice()).unwrap_or_default() {
        if rows.iter().all(|row| row.id.as_ref() != Some(id)) {
            let entry = edge.and_then(|edge| edge.entry(id));
            let fingerprint = entry.and_then(|entry| entry.fingerprint.clone());
            let created = entry.map_or(EpochSeconds(0), |entry| entry.created);
            rows.push(KeyRow {
                id: Some(id.clone()),
                public: Some(entry.is_some()),
                trusted: Some(true),
                ..unknown(fingerprint, created)
            });
        }
    }
    rows
}

const fn unknown(fingerprint: Option<Fingerprint>, created: EpochSeconds) -> KeyRow {
    KeyRow {
        id: None,
        state: None,
        fingerprint,
        created,
        promoted: None,
        retire_after: None,
        private: None,
        public: None,
        trusted: None,
        another: false,
    }
}

/// What does not fit together about one key.
fn finding_of(row: &KeyRow) -> Option<Finding> {
    let name = match (&row.id, &row.fingerprint) {
        (Some(id), _) => id.to_string(),
        (None, Some(fingerprint)) => fingerprint.short().to_owned(),
        (None, None) => return None,
    };
    let command = |verb: &str| Some(format!("edgemint keys {verb} {name}"));
    let (text, mend) = match (row.state, &row.private, row.trusted) {
        (Some(state), ..) if state != KeyState::Retired && row.another => (
            format!("CloudFront knows another key as {name}: what it signs is refused"),
            command("revoke"),
        ),
        (Some(KeyState::Active | KeyState::Retiring), ..) if row.public == Some(false) => (
            format!("CloudFront has no public key {name} any more: what it signs is refused"),
            command("revoke"),
        ),
        (Some(KeyState::Retired), Some(_), _) | (Some(KeyState::Retired), _, Some(true)) => {
            (format!("{name} is retired, but not all of it is gone"), command("retire"))
        }
        (Some(KeyState::Retired), ..) if row.public == Some(true) => {
            (format!("{name} is retired, but not all of it is gone"), command("retire"))
        }
        (Some(KeyState::Retired), ..) => return None,
        (Some(KeyState::Active), None, _) => (
            format!("the private half of {name}, the active key, is lost"),
            Some("edgemint keys rotate".to_owned()),
        ),
        (Some(KeyState::Staged), None, _) => {
            (format!("the private half of {name} is lost"), command("retire"))
        }
        (Some(state), _, Some(false)) => {
            (format!("{name} is {state}, but the key group does not trust it"), command("stage"))
        }
        (None, Some(_), _) => (
            format!("{name} has a private half, but is in no ring"),
            Some(format!("edgemint keys stage {name}, or edgemint keys retire {name}")),
        ),
        (None, None, Some(true)) => {
            let text = format!(
                "the key group trusts {name}, which this ring does not know: if nobody else uses it, \
                 take it out in CloudFront"
            );
            (text, None)
        }
        _ => return None,
    };
    Some(Finding { text, mend })
}
