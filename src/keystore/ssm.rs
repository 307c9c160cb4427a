//! A ring in AWS Systems Manager's Parameter Store, for any number of instances.
//!
//! ```text
//! <path>/keys/<fingerprint>   SecureString under a customer's KMS key: a private key, written once
//! <path>/ring/00000042        String: the ring after its 42nd change, written once
//! ```
//!
//! The state with the highest number counts. Creating a parameter that must not exist is the only
//! conditional write that Parameter Store has (`PutParameter` with `Overwrite=false`), so a change is
//! the creation of the next number, and of two admins at once one fails. Numbers are never reused
//! while a higher one exists, because the highest is never deleted.
//!
//! Parameter Store may show a moment late what was written, or even what it has shown before. Whoever
//! writes waits until it is seen; whoever follows a ring must take no state older than the one it has.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::delete_parameter::DeleteParameterError;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use aws_sdk_ssm::operation::put_parameter::PutParameterError;
use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types::{Parameter, ParameterTier, ParameterType};
use zeroize::Zeroizing;

use super::{DocumentError, KeystoreError, Stored, StoredKey, check_key};
use crate::aws::{Aws, AwsProblem};
use crate::clock::EpochSeconds;
use crate::config::ParameterPath;
use crate::signing::{Fingerprint, KeyRing, PrivateKey};

/// What a standard parameter holds at most.
const MAX_BYTES: usize = 4096;

/// The most parameters that one answer holds.
const PAGE: i32 = 10;

/// The most pages that are read: whatever else lies under the path, reading ends.
const MAX_PAGES: usize = 50;

/// How long to wait, in milliseconds, each time that something just written is not seen yet.
const PAUSES: [u64; 4] = [0, 100, 300, 900];

/// The keys with which everybody in an account may decrypt; `alias/aws/ssm` is the one for parameters.
const SHARED_KMS_KEYS: &str = "alias/aws/";

/// States that are kept, the newest included: what a person may want to look back at.
const KEPT_STATES: usize = 5;

/// Parameters under one path.
#[derive(Clone, Debug)]
pub struct ParameterStore {
    client: Client,
    path: ParameterPath,
    kms_key: String,
}

impl ParameterStore {
    /// Names a path; private keys that are written are encrypted under `kms_key`.
    pub async fn new(path: ParameterPath, kms_key: &str, aws: &Aws) -> Self {
        Self { client: Client::new(&aws.prompt().await), path, kms_key: kms_key.to_owned() }
    }

    /// The path.
    #[must_use]
    pub const fn path(&self) -> &ParameterPath {
        &self.path
    }

    /// The name of a state.
    #[must_use]
    pub fn state_name(&self, revision: u64) -> String {
        format!("{}/ring/{revision:08}", self.path)
    }

    /// The name of a private key.
    #[must_use]
    pub fn place_of(&self, key: &Fingerprint) -> String {
        format!("{}/keys/{key}", self.path)
    }

    pub(super) async fn read(&self) -> Result<Stored, KeystoreError> {
        let states = self.states().await?;
        let Some(State { revision, parameter }) = states.last() else {
            return Ok(Stored::default());
        };
        let place = self.state_name(*revision);
        let stored = match Stored::parse(parameter.value().unwrap_or_default()) {
            Ok(stored) => stored,
            // One of another version is whole: it is not to be deleted.
            Err(source @ DocumentError::Version(_)) => {
                return Err(KeystoreError::Document { place, source });
            }
            Err(source) => return Err(KeystoreError::Damaged { place, source }),
        };
        if stored.revision == *revision {
            return Ok(stored);
        }
        Err(KeystoreError::Misplaced { place, revision: stored.revision })
    }

    pub(super) async fn write(&self, ring: &KeyRing, after: u64) -> Result<Stored, KeystoreError> {
        let stored = Stored { ring: ring.clone(), revision: after.saturating_add(1) };
        let name = self.state_name(stored.revision);
        let wrong = |source| KeystoreError::Document { place: name.clone(), source };
        let text = stored.to_line(&mark()?).map_err(wrong)?;
        check_size(&name, &text)?;
        let put = self.client.put_parameter().name(&name).value(&text);
        let put = put.r#type(ParameterType::String).tier(ParameterTier::Standard).overwrite(false);
        if let Err(error) = put.send().await {
            let taken = error
                .as_service_error()
                .is_some_and(PutParameterError::is_parameter_already_exists);
            if !taken {
                return Err(AwsProblem::new("ssm:PutParameter", &name, &error).into());
            }
            // An attempt whose answer was lost has done its work.
            let there = self.settled(&name).await?;
            let there = there.ok_or_else(|| KeystoreError::Unsettled(name.clone()))?;
            if there.value() != Some(&text) {
                return Err(self.conflict());
            }
        }
        self.check_order(stored.revision).await?;
        Ok(stored)
    }

    /// Waits until a state that was written is seen. One who slept long may have written a number that
    /// was used and cleaned up before: then there are higher ones that are older.
    async fn check_order(&self, written: u64) -> Result<(), KeystoreError> {
        for pause in PAUSES {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let states = self.states().await?;
            let Some(own) = states.iter().find(|state| state.revision == written) else { continue };
            let late = |other: &State| {
                other.revision > written && time(&other.parameter) < time(&own.parameter)
            };
            if !states.iter().any(late) {
                return Ok(());
            }
            self.delete(&self.state_name(written)).await?;
            return Err(self.conflict());
        }
        Err(KeystoreError::Unsettled(self.state_name(written)))
    }

    pub(super) async fn key(&self, key: &Fingerprint) -> Result<PrivateKey, KeystoreError> {
        let name = self.place_of(key);
        let found = self.settled(&name).await?;
        let found = found.ok_or_else(|| KeystoreError::Missing(name.clone()))?;
        let encrypted = found.r#type == Some(ParameterType::SecureString);
        let pem = Zeroizing::new(found.value.unwrap_or_default());
        if !encrypted {
            return Err(KeystoreError::Unencrypted(name));
        }
        check_key(&pem, key, &name)
    }

    pub(super) async fn keys(&self) -> Result<Vec<StoredKey>, KeystoreError> {
        let folder = format!("{}/keys", self.path);
        let mut listed = self.list(&folder).await?;
        listed.sort_by_key(time);
        let stored = |parameter: Parameter| {
            let fingerprint = parameter.name()?.rsplit('/').next()?.parse().ok()?;
            let seconds = parameter.last_modified_date().map_or(0, DateTime::secs);
            let created = EpochSeconds(u64::try_from(seconds).unwrap_or(0));
            Some(StoredKey { fingerprint, created })
        };
        Ok(listed.into_iter().filter_map(stored).collect())
    }

    pub(super) async fn put_key(
        &self,
        key: &Fingerprint,
        pem: &Zeroizing<String>,
    ) -> Result<(), KeystoreError> {
        if self.kms_key.is_empty() || self.kms_key.contains(SHARED_KMS_KEYS) {
            return Err(KeystoreError::SharedKmsKey);
        }
        let name = self.place_of(key);
        check_size(&name, pem)?;
        let put = self.client.put_parameter().name(&name).value(pem.as_str());
        let put = put.r#type(ParameterType::SecureString).key_id(&self.kms_key);
        let sent = put.tier(ParameterTier::Standard).overwrite(false).send().await;
        if let Err(error) = sent {
            let there = error
                .as_service_error()
                .is_some_and(PutParameterError::is_parameter_already_exists);
            if !there {
                return Err(AwsProblem::with_secret("ssm:PutParameter", &name, &error).into());
            }
        }
        // What is there is this key, and can be decrypted, before anybody comes to trust it.
        self.key(key).await.map(drop)
    }

    pub(super) async fn destroy_key(&self, key: &Fingerprint) -> Result<(), KeystoreError> {
        self.delete(&self.place_of(key)).await
    }

    /// Deletes the oldest states first, and never the newest.
    pub(super) async fn clean(&self) -> Result<(), KeystoreError> {
        let states = self.states().await?;
        let old = states.len().saturating_sub(KEPT_STATES);
        for state in &states[..old] {
            self.delete(&self.state_name(state.revision)).await?;
        }
        Ok(())
    }

    /// All states, the newest last.
    async fn states(&self) -> Result<Vec<State>, KeystoreError> {
        let mut states = Vec::new();
        for parameter in self.list(&format!("{}/ring", self.path)).await? {
            let name = parameter.name().and_then(|name| name.rsplit('/').next());
            let digits = |name: &&str| name.bytes().all(|byte| byte.is_ascii_digit());
            let Some(number) = name.filter(digits) else { continue };
            let place = || format!("{}/ring/{number}", self.path);
            let revision = number.parse().map_err(|_| KeystoreError::Misnumbered(place()))?;
            if revision == 0 || self.state_name(revision) != place() {
                return Err(KeystoreError::Misnumbered(place()));
            }
            states.push(State { revision, parameter });
        }
        states.sort_by_key(|state| state.revision);
        Ok(states)
    }

    /// Everything right under a path; what is encrypted stays so.
    async fn list(&self, folder: &str) -> Result<Vec<Parameter>, KeystoreError> {
        let request = self.client.get_parameters_by_path().path(folder).max_results(PAGE);
        let mut pages = request.recursive(false).with_decryption(false).into_paginator().send();
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(page) = pages.next().await else { return Ok(found) };
            let page = page.map_err(|e| AwsProblem::new("ssm:GetParametersByPath", folder, &e))?;
            found.extend(page.parameters.unwrap_or_default());
        }
        Err(KeystoreError::Crowded(folder.to_owned()))
    }

    /// A parameter that is to be there, for which Parameter Store may need a moment.
    async fn settled(&self, name: &str) -> Result<Option<Parameter>, KeystoreError> {
        for pause in PAUSES {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let sent = self.client.get_parameter().name(name).with_decryption(true).send().await;
            match sent {
                Ok(answer) => return Ok(answer.parameter),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(GetParameterError::is_parameter_not_found) => {}
                Err(error) => {
                    return Err(AwsProblem::with_secret("ssm:GetParameter", name, &error).into());
                }
            }
        }
        Ok(None)
    }

    async fn delete(&self, name: &str) -> Result<(), KeystoreError> {
        match self.client.delete_parameter().name(name).send().await {
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteParameterError::is_parameter_not_found) =>
            {
                Ok(())
            }
            Err(error) => Err(AwsProblem::new("ssm:DeleteParameter", name, &error).into()),
            Ok(_) => Ok(()),
        }
    }

    fn conflict(&self) -> KeystoreError {
        KeystoreError::Conflict(self.to_string())
    }
}

/// A state of the ring, unread.
struct State {
    revision: u64,
    parameter: Parameter,
}

/// When a parameter was written, by AWS's clock.
fn time(parameter: &Parameter) -> Option<i128> {
    parameter.last_modified_date().map(DateTime::as_nanos)
}

fn check_size(name: &str, text: &str) -> Result<(), KeystoreError> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(KeystoreError::TooLarge { name: name.to_owned(), bytes: text.len(), most: MAX_BYTES })
}

/// What tells two writers of the same change apart.
fn mark() -> Result<String, KeystoreError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeystoreError::Random)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

impl fmt::Display for ParameterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssm:{}", self.path)
    }
}
