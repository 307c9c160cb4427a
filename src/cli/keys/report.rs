//! What happens, as it happens: for people, or one JSON object per line.

use serde_json::{Value, json};

use crate::cli::output::{complain, say};
use crate::keystore::KeystoreError;
use crate::rotation::{
    Event, EventKind, Instructions, Outcome, ProbeError, Progress, RotationError,
};
use crate::signing::RingError;

/// Prints each event.
pub(super) struct Printer {
    pub(super) json: bool,
    pub(super) dry_run: bool,
}

impl Progress for Printer {
    fn hear(&mut self, event: Event) {
        let Event { step, kind, text } = event;
        if self.json {
            let kind = match kind {
                EventKind::Note => "note",
                EventKind::Call if self.dry_run => "would call",
                EventKind::Call => "call",
                EventKind::Waiting => "waiting",
            };
            return say_line(&json!({ "step": step, "kind": kind, "text": text }));
        }
        let mark = match kind {
            EventKind::Note => "",
            EventKind::Call if self.dry_run => "would: ",
            EventKind::Call => "> ",
            EventKind::Waiting => "... ",
        };
        say(&format!("{step:<10}{mark}{text}"));
    }
}

/// Prints one JSON object on one line.
pub(super) fn say_line(value: &Value) {
    say(&value.to_string());
}

pub(super) fn outcome(outcome: &Outcome, json: bool, dry_run: bool) {
    if json {
        let retiring: Vec<Value> = outcome
            .retiring
            .iter()
            .map(|(id, after)| json!({ "key_pair_id": id, "retire_after": after.map(|at| at.to_string()) }))
            .collect();
        return say_line(&json!({
            "done": !dry_run,
            "rotated": outcome.rotated,
            "active": outcome.active,
            "retiring": retiring,
        }));
    }
    if dry_run {
        return say("\nNothing was changed.");
    }
    if let Some(active) = &outcome.active {
        say(&format!("\n{active} signs."));
    }
    for (id, after) in &outcome.retiring {
        match after {
            Some(after) => say(&format!(
                "{id} can be retired from {after} on: edgemint keys retire {id}, or the next rotate does it."
            )),
            None => say(&format!("{id} is still trusted.")),
        }
    }
}

/// Whether an error only means that it is not over yet: exit code 1, and run it again.
pub(super) const fn is_not_yet(error: &RotationError) -> bool {
    matches!(
        error,
        RotationError::ByHand(_)
            | RotationError::NotFollowed { .. }
            | RotationError::NotFollowedRevoked { .. }
            | RotationError::StillSigns { .. }
            | RotationError::Probe(ProbeError::NotAccepted { .. })
            | RotationError::Keystore(KeystoreError::Conflict(_))
            | RotationError::Ring(RingError::TooEarly { .. } | RingError::NotConfirmed(_))
    )
}

/// Says what went wrong, for machines.
pub(super) fn failed(error: &anyhow::Error) {
    say_line(&json!({ "done": false, "error": format!("{error:#}") }));
}

/// Says how to go on.
pub(super) fn not_yet(error: &anyhow::Error, json: bool) {
    let by_hand: Option<&Instructions> = match error.downcast_ref::<RotationError>() {
        Some(RotationError::ByHand(instructions)) => Some(instructions),
        _ => None,
    };
    match by_hand {
        Some(instructions) if json => say_line(&json!({
            "done": false,
            "by_hand": {
                "public_key": instructions.public_key,
                "take_out": instructions.take_out,
                "then": instructions.then,
            },
        })),
        Some(instructions) => say(&format!("\n{}", instructions.to_string().trim_end())),
        None if json => say_line(&json!({ "done": false, "error": error.to_string() })),
        None => complain(error),
    }
}
