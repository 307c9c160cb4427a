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

use std::fmt;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{Parameter, ParameterTier, ParameterType};
use zeroize::Zeroizing;

use super::aws::{Aws, AwsProblem};
use super::{KeystoreError, Stored, StoredKey, check_key};
use crate::clock::EpochSeconds;
use crate::config::ParameterPath;
use crate::signing::{Fingerprint, KeyRing, PrivateKey};

/// What a standard parameter holds at most.
const MAX_BYTES: usize = 4096;

/// The most parameters that one answer holds.
const PAGE: i32 = 10;

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
        let Some((revision, parameter)) = states.last() else { return Ok(Stored::default()) };
        let place = self.state_name(*revision);
        let wrong = |source| KeystoreError::Document { place: place.clone(), source };
        let stored = Stored::parse(parameter.value().unwrap_or_default()).map_err(wrong)?;
        if stored.revision == *revision {
            return Ok(stored);
        }
        Err(KeystoreError::Misplaced { place, revision: stored.revision })
    }

    pub(super) async fn write(&self, ring: &KeyRing, after: u64) -> Result<Stored, KeystoreError> {
        let stored = Stored { ring: ring.clone(), revision: after + 1 };
        let name = self.state_name(stored.revision);
        let wrong = |source| KeystoreError::Document { place: name.clone(), source };
        let text = stored.to_line(&mark()?).map_err(wrong)?;
        check_size(&name, &text)?;
        let put = self.client.put_parameter().name(&name).value(&text);
        let put = put.r#type(ParameterType::String).tier(ParameterTier::Standard).overwrite(false);
        if let Err(error) = put.send().await {
            let taken = error.as_service_error().is_some_and(|e| e.is_parameter_already_exists());
            if !taken {
                return Err(AwsProblem::new("ssm:PutParameter", &name, &error).into());
            }
            // An attempt whose answer was lost has done its work.
            if self.value(&name).await?.as_deref() != Some(&text) {
                return Err(self.conflict());
            }
        }
        self.check_newest(stored.revision).await?;
        Ok(stored)
    }

    /// A number whose states were cleaned up may have been free again for one who slept too long.
    async fn check_newest(&self, written: u64) -> Result<(), KeystoreError> {
        let newest = self.states().await?.last().map_or(0, |(revision, _)| *revision);
        if newest <= written {
            return Ok(());
        }
        let name = self.state_name(written);
        let deleted = self.client.delete_parameter().name(&name).send().await;
        deleted.map_err(|error| AwsProblem::new("ssm:DeleteParameter", &name, &error))?;
        Err(self.conflict())
    }

    pub(super) async fn key(&self, key: &Fingerprint) -> Result<PrivateKey, KeystoreError> {
        let name = self.place_of(key);
        let pem = self.value(&name).await?.map(Zeroizing::new);
        check_key(&pem.ok_or_else(|| KeystoreError::Missing(name.clone()))?, key, &name)
    }

    pub(super) async fn keys(&self) -> Result<Vec<StoredKey>, KeystoreError> {
        let folder = format!("{}/keys", self.path);
        let mut keys = Vec::new();
        for parameter in self.list(&folder).await? {
            let name = parameter.name().and_then(|name| name.rsplit('/').next());
            let Some(fingerprint) = name.and_then(|name| name.parse().ok()) else { continue };
            let seconds = parameter.last_modified_date().map_or(0, |date| date.secs());
            let created = EpochSeconds(u64::try_from(seconds).unwrap_or(0));
            keys.push(StoredKey { fingerprint, created });
        }
        keys.sort_by(|a, b| (a.created, &a.fingerprint).cmp(&(b.created, &b.fingerprint)));
        Ok(keys)
    }

    pub(super) async fn put_key(
        &self,
        key: &Fingerprint,
        pem: &Zeroizing<String>,
    ) -> Result<(), KeystoreError> {
        let name = self.place_of(key);
        check_size(&name, pem)?;
        let put = self.client.put_parameter().name(&name).value(pem.as_str());
        let put = put.r#type(ParameterType::SecureString).key_id(&self.kms_key);
        let sent = put.tier(ParameterTier::Standard).overwrite(false).send().await;
        match sent {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_parameter_already_exists()) =>
            {
                // Whatever its form, it is this key, or an error.
                self.key(key).await.map(drop)
            }
            Err(error) => Err(AwsProblem::new("ssm:PutParameter", &name, &error).into()),
        }
    }

    pub(super) async fn destroy_key(&self, key: &Fingerprint) -> Result<(), KeystoreError> {
        self.delete(&self.place_of(key)).await
    }

    pub(super) async fn clean(&self) -> Result<(), KeystoreError> {
        let states = self.states().await?;
        for (revision, _) in states.iter().rev().skip(KEPT_STATES) {
            self.delete(&self.state_name(*revision)).await?;
        }
        Ok(())
    }

    /// All states, the newest last.
    async fn states(&self) -> Result<Vec<(u64, Parameter)>, KeystoreError> {
        let folder = format!("{}/ring", self.path);
        let numbered = |parameter: Parameter| {
            let number = parameter.name()?.rsplit('/').next()?;
            let digits = number.len() == 8 && number.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| number.parse().ok()).flatten().map(|number| (number, parameter))
        };
        let mut states: Vec<(u64, Parameter)> =
            self.list(&folder).await?.into_iter().filter_map(numbered).collect();
        states.sort_by_key(|(number, _)| *number);
        Ok(states)
    }

    /// Everything right under a path; what is encrypted stays so.
    async fn list(&self, folder: &str) -> Result<Vec<Parameter>, KeystoreError> {
        let request = self.client.get_parameters_by_path().path(folder).max_results(PAGE);
        let mut pages = request.recursive(false).with_decryption(false).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| AwsProblem::new("ssm:GetParametersByPath", folder, &e))?;
            found.extend(page.parameters.unwrap_or_default());
        }
        Ok(found)
    }

    async fn value(&self, name: &str) -> Result<Option<String>, KeystoreError> {
        let sent = self.client.get_parameter().name(name).with_decryption(true).send().await;
        match sent {
            Ok(answer) => Ok(answer.parameter.and_then(|parameter| parameter.value)),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_parameter_not_found()) => {
                Ok(None)
            }
            Err(error) => Err(AwsProblem::new("ssm:GetParameter", name, &error).into()),
        }
    }

    async fn delete(&self, name: &str) -> Result<(), KeystoreError> {
        match self.client.delete_parameter().name(name).send().await {
            Err(error) if error.as_service_error().is_some_and(|e| e.is_parameter_not_found()) => {
                Ok(())
            }
            Err(error) => Err(AwsProblem::new("ssm:DeleteParameter", name, &error).into()),
            Ok(_) => Ok(()),
        }
    }

    fn conflict(&self) -> KeystoreError {
        KeystoreError::Conflict(format!("ssm:{}", self.path))
    }
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
