//! Signed policies that people with the same grant share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::IssueError;
use crate::clock::EpochSeconds;
use crate::policy::Policy;
use crate::signing::{Fingerprint, HashAlgorithm, KeyPairId, SignedPolicy, SigningKey};

/// The most policies that are kept. Each takes about a kilobyte.
const MAX_POLICIES: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    policy: Policy,
    id: KeyPairId,
    /// An ID may be given to another key, if only to mend a mistake.
    fingerprint: Fingerprint,
    hash: HashAlgorithm,
}

type Cell = Arc<OnceCell<Arc<SignedPolicy>>>;

/// Signed policies by what they say and who signed them; each is signed once.
#[derive(Debug, Default)]
pub(super) struct SharedPolicies(Mutex<HashMap<Key, Cell>>);

impl SharedPolicies {
    pub(super) async fn get<F: Future<Output = Result<Arc<SignedPolicy>, IssueError>>>(
        &self,
        policy: &Policy,
        key: &SigningKey,
        hash: HashAlgorithm,
        now: EpochSeconds,
        sign: impl FnOnce() -> F,
    ) -> Result<Arc<SignedPolicy>, IssueError> {
        let key = Key {
            policy: policy.clone(),
            id: key.id.clone(),
            fingerprint: key.key.fingerprint().clone(),
            hash,
        };
        let cell = self.cell(key, now);
        // Whoever comes first signs, the others wait; if signing fails, the next one tries.
        cell.get_or_try_init(sign).await.cloned()
    }

    fn cell(&self, key: Key, now: EpochSeconds) -> Cell {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cells.get(&key) {
            return cell.clone();
        }
        if cells.len() >= MAX_POLICIES {
            cells.retain(|key, _| key.policy.expires() > now);
        }
        if cells.len() >= MAX_POLICIES {
            // All are alive: forgetting any costs one more signature, and nothing else.
            cells.clear();
        }
        cells.entry(key).or_default().clone()
    }
}
