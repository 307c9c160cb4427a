//! Every instance comes to sign with the new key.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use super::instances::{self, Report};
use super::{Admin, RotationError};
use crate::clock::EpochSeconds;
use crate::keystore::Stored;
use crate::signing::KeyPairId;

/// What is known of who signs with which key.
pub(super) struct Followed {
    /// Since when nobody signs with another key.
    since: EpochSeconds,
    /// The longest life of a cookie that any instance gives, in seconds.
    longest_lifetime: u64,
}

impl Admin<'_> {
    /// Whether instances can be asked at all.
    pub(super) fn has_instances(&self) -> bool {
        !self.site.instances.is_empty() || self.site.target_group.is_some()
    }

    /// Waits until no instance signs with a key but the active one, and notes when the others can go.
    pub(super) async fn confirm(&mut self, stored: Stored) -> Result<Stored, RotationError> {
        let Some(active) = stored.ring.active().cloned() else { return Ok(stored) };
        self.run_on_promote().await?;
        if stored.ring.unconfirmed().next().is_none() && !self.has_instances() {
            return Ok(stored);
        }
        let followed = if self.has_instances() {
            self.follow(&active.id).await?
        } else if let Some(outage) = self.site.max_outage {
            self.assume(active.promoted.unwrap_or_else(|| self.now()), outage)
        } else {
            self.note(
                "follow",
                "no instances are named, and nothing bounds how long one signs with the old key: keys \
                 that a unit loads are copies. Name the instances (rotation.instances, or --instance) \
                 and run it again; until then the old key stays",
            );
            return Ok(stored);
        };
        let skew = self.site.clock_skew.as_secs();
        let ring = stored.ring.confirm(followed.since, followed.longest_lifetime, skew);
        self.write("follow", &stored, ring).await
    }

    /// Makes the instances follow where they do not by themselves.
    async fn run_on_promote(&mut self) -> Result<(), RotationError> {
        let Some(command) = self.site.on_promote.clone() else { return Ok(()) };
        self.call("follow", format!("run: {command}"));
        if self.dry_run {
            return Ok(());
        }
        // What it prints is no result of ours.
        let script = format!("exec >&2\n{command}");
        let ended = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).status().await;
        let why = match ended {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Err(RotationError::OnPromote { command, why })
    }

    /// Without anybody to ask: an instance that was cut off at the moment of the promotion stops by
    /// itself after the longest outage.
    fn assume(&mut self, promoted: EpochSeconds, outage: Duration) -> Followed {
        let since = promoted.plus(outage.as_secs());
        self.note(
            "follow",
            format!(
                "no instances are named (rotation.instances): one that is cut off goes on signing \
                 until {since} (keys.max_outage)"
            ),
        );
        Followed { since, longest_lifetime: self.site.longest_lifetime }
    }

    async fn follow(&mut self, id: &KeyPairId) -> Result<Followed, RotationError> {
        if self.dry_run {
            self.note("follow", format!("would wait until every instance signs with {id}"));
            let longest_lifetime = self.site.longest_lifetime;
            return Ok(Followed { since: self.now(), longest_lifetime });
        }
        let began = Instant::now();
        let mut said = String::new();
        loop {
            let answers = match self.ask_instances().await {
                Ok(answers) => answers,
                // Who is there may be told in a while; nobody is taken to have followed meanwhile.
                Err(error) => {
                    BTreeMap::from([("the instances".to_owned(), Err(error.to_string()))])
                }
            };
            let clock = Clocks { now: self.now(), skew: self.site.clock_skew.as_secs().max(5) };
            let behind: Vec<String> = answers
                .iter()
                .filter_map(|(address, answer)| {
                    behind(answer, id, &clock).map(|why| format!("{address} {why}"))
                })
                .collect();
            if behind.is_empty() {
                self.note(
                    "follow",
                    format!("{} of {} sign with {id}", answers.len(), answers.len()),
                );
                let reported =
                    answers.values().flatten().filter_map(|report| report.longest_lifetime);
                let longest_lifetime = reported.max().unwrap_or(0).max(self.site.longest_lifetime);
                return Ok(Followed { since: self.now(), longest_lifetime });
            }
            let text =
                format!("{} of {} behind: {}", behind.len(), answers.len(), behind.join("; "));
            if text != said {
                self.waiting("follow", &text);
                said = text;
            }
            let waited = began.elapsed();
            if waited >= self.patience.timeout {
                let (id, behind) = (id.clone(), behind.join("; "));
                return Err(RotationError::NotFollowed { id, waited: waited.as_secs(), behind });
            }
            tokio::time::sleep(self.patience.interval()).await;
        }
    }

    /// What each instance says; they are found anew each time, since they come and go.
    pub(super) async fn ask_instances(
        &self,
    ) -> Result<BTreeMap<String, Result<Report, String>>, RotationError> {
        let site = self.site;
        let found = instances::find(&site.instances, site.target_group.as_ref(), &site.aws).await?;
        let mut asking = tokio::task::JoinSet::new();
        for address in found {
            asking.spawn(async move {
                let answer = instances::ask(&address).await.map_err(|error| error.to_string());
                (address.to_string(), answer)
            });
        }
        Ok(asking.join_all().await.into_iter().collect())
    }
}

/// What an instance's clock is held against, in seconds.
struct Clocks {
    now: EpochSeconds,
    skew: u64,
}

/// Why an instance may still sign with another key.
fn behind(answer: &Result<Report, String>, id: &KeyPairId, clock: &Clocks) -> Option<String> {
    match answer {
        // Its cookies would live longer than is reckoned with.
        Ok(Report { date: Some(date), .. }) if date.since(clock.now) > clock.skew => {
            let ahead = date.since(clock.now);
            Some(format!("has a clock that is {ahead} s ahead of this machine's"))
        }
        Err(error) => Some(format!("does not say which key it signs with: {error}")),
        // Without a key, it signs nothing, and the next one that it has is the active one.
        Ok(Report { key_pair_id: None, .. }) => None,
        Ok(Report { key_pair_id: Some(key), .. }) if *key == id.to_string() => None,
        Ok(Report { key_pair_id: Some(key), .. }) => Some(format!("signs with {key}")),
    }
}
