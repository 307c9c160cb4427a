//! How the edge comes to trust a key: public keys and the key group, in CloudFront.
//!
//! CloudFront gives every public key an ID, and trusts the keys of a group by their IDs. A group is
//! replaced whole: it is read, edited, and written under the condition that it is still what was
//! read (`If-Match`), so that two admins, or keys of other programs in the same group, never lose
//! anything to each other. Every call may be made once more after a failure half-way.
//!
//! Source: the CloudFront API reference, `CreatePublicKey`, `UpdateKeyGroup` and `DeletePublicKey`.

mod edge_keys;
mod error;

use std::fmt;
use std::time::Duration;

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudfront::types::{KeyGroupConfig, PublicKeyConfig, PublicKeyList, PublicKeySummary};

pub use self::edge_keys::{EdgeKeys, PublicKeyEntry, Quotas};
pub use self::error::KeyGroupError;
use super::KeystoreError;
use crate::aws::{Aws, AwsProblem};
use crate::clock::EpochSeconds;
use crate::config::KeyGroupId;
use crate::signing::{KeyPairId, PublicKey};

/// How often a change is tried against others who change the same thing.
const ATTEMPTS: u32 = 5;

/// The pause after a race that was lost; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The trusted key group and the account's public keys.
#[derive(Clone, Debug)]
pub struct KeyGroup {
    client: Client,
    id: KeyGroupId,
}

/// What became of one attempt at a change.
enum Attempt<T> {
    Done(T),
    /// Somebody else changed the same thing in between.
    Lost,
}

/// A group as it was read: what `If-Match` needs, and what is to be edited.
struct Version {
    etag: String,
    config: KeyGroupConfig,
}

impl KeyGroup {
    /// Names a key group; nothing is read yet.
    pub async fn new(id: KeyGroupId, aws: &Aws) -> Self {
        Self { client: Client::new(&aws.patient().await), id }
    }

    /// The group's ID.
    #[must_use]
    pub const fn id(&self) -> &KeyGroupId {
        &self.id
    }

    /// Reads the account's public keys and the group.
    ///
    /// # Errors
    /// [`KeystoreError`] says what is missing, and what to do.
    pub async fn read(&self) -> Result<EdgeKeys, KeystoreError> {
        let version = self.version().await?;
        let trusted = version.config.items.iter().map(|id| parse_id(id));
        Ok(EdgeKeys {
            trusted: trusted.collect::<Result<_, _>>()?,
            public_keys: self.public_keys().await?,
        })
    }

    /// Gives a public key to CloudFront, or finds it there, and returns its ID.
    ///
    /// # Errors
    /// [`KeyGroupError::Published`] for a key whose private half everybody has, and whatever
    /// CloudFront objects to.
    pub async fn create(&self, key: &PublicKey) -> Result<KeyPairId, KeystoreError> {
        let fingerprint = key.fingerprint();
        if key.is_published() {
            return Err(KeyGroupError::Published(fingerprint).into());
        }
        let name = format!("edgemint-{}", fingerprint.short());
        // The reference and the name come from the key, so that nobody can make it twice at once.
        let config = PublicKeyConfig::builder()
            .caller_reference(format!("edgemint-{fingerprint}"))
            .name(&name)
            .encoded_key(key.to_pem()?)
            .build()
            .map_err(|error| incomplete("cloudfront:CreatePublicKey", &name, &error))?;
        for attempt in 0..ATTEMPTS {
            pause_before(attempt).await;
            if let Some(entry) = self.read().await?.find(&fingerprint) {
                return Ok(entry.id.clone());
            }
            if let Attempt::Done(id) = self.create_once(&name, config.clone()).await? {
                return Ok(id);
            }
        }
        Err(KeyGroupError::NameTaken(name).into())
    }

    /// Adds keys to the group and removes others, in one step. Whatever else is in it stays. A change
    /// that is there already writes nothing.
    ///
    /// # Errors
    /// [`KeyGroupError::WouldBeEmpty`] when nothing would be left in the group,
    /// [`KeyGroupError::GroupBusy`] when others kept changing it, and whatever CloudFront objects to.
    pub async fn change(
        &self,
        add: &[KeyPairId],
        remove: &[KeyPairId],
    ) -> Result<(), KeystoreError> {
        for attempt in 0..ATTEMPTS {
            pause_before(attempt).await;
            let version = self.version().await?;
            let items = edited(&version.config.items, add, remove);
            if items == version.config.items {
                return Ok(());
            }
            if items.is_empty() {
                return Err(KeyGroupError::WouldBeEmpty(self.id.clone()).into());
            }
            if let Attempt::Done(()) = self.update_once(version, items).await? {
                return Ok(());
            }
        }
        Err(KeyGroupError::GroupBusy(self.id.clone()).into())
    }

    /// Deletes a public key that is in no group; one that is not there is no error.
    ///
    /// # Errors
    /// [`KeyGroupError::InUse`] names the groups that trust it, and whatever else CloudFront objects
    /// to.
    pub async fn delete(&self, id: &KeyPairId) -> Result<(), KeystoreError> {
        for attempt in 0..ATTEMPTS {
            pause_before(attempt).await;
            if let Attempt::Done(()) = self.delete_once(id).await? {
                return Ok(());
            }
        }
        Err(KeyGroupError::KeyBusy(id.clone()).into())
    }

    async fn create_once(
        &self,
        name: &str,
        config: PublicKeyConfig,
    ) -> Result<Attempt<KeyPairId>, KeystoreError> {
        match self.client.create_public_key().public_key_config(config).send().await {
            Ok(answer) => {
                let id = answer.public_key.map(|key| key.id).unwrap_or_default();
                parse_id(&id).map(Attempt::Done)
            }
            // An attempt whose answer was lost has done its work, or somebody else was faster: it
            // is in the list, or will be.
            Err(error) if code(&error) == Some("PublicKeyAlreadyExists") => Ok(Attempt::Lost),
            Err(error) => Err(AwsProblem::new("cloudfront:CreatePublicKey", name, &error).into()),
        }
    }

    async fn update_once(
        &self,
        version: Version,
        items: Vec<String>,
    ) -> Result<Attempt<()>, KeystoreError> {
        let mut config = version.config;
        config.items = items;
        let update = self.client.update_key_group().id(self.id.to_string());
        match update.if_match(version.etag).key_group_config(config).send().await {
            Ok(_) => Ok(Attempt::Done(())),
            Err(error) if is_lost_race(&error) => Ok(Attempt::Lost),
            Err(error) => {
                let on = format!("key group {}", self.id);
                Err(AwsProblem::new("cloudfront:UpdateKeyGroup", &on, &error).into())
            }
        }
    }

    async fn delete_once(&self, id: &KeyPairId) -> Result<Attempt<()>, KeystoreError> {
        let read = match self.client.get_public_key().id(id.to_string()).send().await {
            Ok(read) => read,
            Err(error) if code(&error) == Some("NoSuchPublicKey") => return Ok(Attempt::Done(())),
            Err(error) => {
                return Err(
                    AwsProblem::new("cloudfront:GetPublicKey", &id.to_string(), &error).into()
                );
            }
        };
        let delete = self.client.delete_public_key().id(id.to_string());
        match delete.set_if_match(read.e_tag).send().await {
            Ok(_) => Ok(Attempt::Done(())),
            Err(error) if code(&error) == Some("NoSuchPublicKey") => Ok(Attempt::Done(())),
            Err(error) if is_lost_race(&error) => Ok(Attempt::Lost),
            Err(error) if code(&error) == Some("PublicKeyInUse") => {
                // Which ones they are is a help, and no more.
                let groups = self.groups_with(id).await.unwrap_or_default();
                Err(KeyGroupError::InUse { id: id.clone(), groups }.into())
            }
            Err(error) => {
                Err(AwsProblem::new("cloudfront:DeletePublicKey", &id.to_string(), &error).into())
            }
        }
    }

    async fn version(&self) -> Result<Version, KeystoreError> {
        let on = format!("key group {}", self.id);
        let read = match self.client.get_key_group().id(self.id.to_string()).send().await {
            Ok(read) => read,
            Err(error) if code(&error) == Some("NoSuchResource") => {
                return Err(KeyGroupError::Missing(self.id.clone()).into());
            }
            Err(error) => return Err(AwsProblem::new("cloudfront:GetKeyGroup", &on, &error).into()),
        };
        let config = read.key_group.and_then(|group| group.key_group_config);
        let version = read.e_tag.zip(config).map(|(etag, config)| Version { etag, config });
        version.ok_or_else(|| incomplete("cloudfront:GetKeyGroup", &on, &"no version"))
    }

    async fn public_keys(&self) -> Result<Vec<PublicKeyEntry>, KeystoreError> {
        let mut pages = self.client.list_public_keys().into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|e| AwsProblem::new("cloudfront:ListPublicKeys", "the account", &e))?;
            for summary in page.public_key_list.iter().flat_map(PublicKeyList::items) {
                found.push(entry(summary)?);
            }
        }
        Ok(found)
    }

    /// The groups that hold a key, for people.
    async fn groups_with(&self, id: &KeyPairId) -> Result<Vec<String>, Box<AwsProblem>> {
        let answer = match self.client.list_key_groups().send().await {
            Ok(answer) => answer,
            Err(error) => {
                let problem = AwsProblem::new("cloudfront:ListKeyGroups", "the account", &error);
                return Err(problem);
            }
        };
        let list = answer.key_group_list.and_then(|list| list.items).unwrap_or_default();
        let groups = list.into_iter().filter_map(|summary| summary.key_group);
        let holds =
            |config: &KeyGroupConfig| config.items.iter().any(|item| item == &id.to_string());
        let named = groups
            .filter_map(|group| Some((group.id, group.key_group_config?)))
            .filter(|(_, config)| holds(config))
            .map(|(id, config)| format!("{} ({id})", config.name));
        Ok(named.collect())
    }
}

/// Leaves others the time to finish what they do to the same thing.
async fn pause_before(attempt: u32) {
    if attempt > 0 {
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt - 1)).await;
    }
}

/// A group's keys after a change, in their order.
fn edited(items: &[String], add: &[KeyPairId], remove: &[KeyPairId]) -> Vec<String> {
    let leaves = |item: &str| {
        let is = |id: &KeyPairId| id.to_string() == item;
        remove.iter().any(is) && !add.iter().any(is)
    };
    let mut edited: Vec<String> = items.iter().filter(|item| !leaves(item)).cloned().collect();
    for id in add.iter().map(ToString::to_string) {
        if !edited.contains(&id) {
            edited.push(id);
        }
    }
    edited
}

fn entry(summary: &PublicKeySummary) -> Result<PublicKeyEntry, KeystoreError> {
    let key = PublicKey::from_pem(&summary.encoded_key).ok();
    let created = u64::try_from(summary.created_time.secs()).unwrap_or(0);
    Ok(PublicKeyEntry {
        id: parse_id(&summary.id)?,
        name: summary.name.clone(),
        fingerprint: key.map(|key| key.fingerprint()),
        created: EpochSeconds(created),
    })
}

fn parse_id(text: &str) -> Result<KeyPairId, KeystoreError> {
    Ok(text.parse().map_err(|_| KeyGroupError::OddId(text.to_owned()))?)
}

/// What AWS's own types cannot be made of.
fn incomplete(call: &'static str, on: &str, what: &dyn fmt::Display) -> KeystoreError {
    Box::new(AwsProblem::incomplete(call, on, what)).into()
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// CloudFront says the one or the other of a version that is no longer the newest.
fn is_lost_race<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    matches!(code(error), Some("PreconditionFailed" | "InvalidIfMatchVersion"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use aws_sdk_cloudfront::config::timeout::TimeoutConfig;
    use aws_sdk_cloudfront::config::{BehaviorVersion, Config, Credentials, Region};

    use super::*;

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_not_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let soon = Duration::from_millis(100);
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(soon).build();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{}", silent.local_addr().unwrap()))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .retry_config(aws_sdk_cloudfront::config::retry::RetryConfig::disabled())
            .timeout_config(timeouts)
            .build();
        let client = Client::from_conf(config);
        let group = KeyGroup { client, id: KeyGroupId::parse("G1").unwrap() };
        let error = group.read().await.unwrap_err().to_string();
        assert!(error.contains("no answer in time") && error.contains("GetKeyGroup"), "{error}");
    }

    #[test]
    fn what_is_to_come_and_to_go_stays() {
        let id = |text: &str| text.parse::<KeyPairId>().unwrap();
        let items = ["K1", "K2"].map(str::to_owned);
        assert_eq!(edited(&items, &[id("K2"), id("K3")], &[id("K2")]), ["K1", "K2", "K3"]);
        assert_eq!(edited(&items, &[], &[id("K9")]), items);
    }
}
