//! What a person does in CloudFront's console, where no program may.

use std::fmt;

use crate::signing::{KeyPairId, PublicKey};

/// What to do, and what to run then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// What to paste, if anything.
    pub public_key: Option<String>,
    /// The public key IDs to take out of the key group.
    pub take_out: Vec<KeyPairId>,
    /// How to go on.
    pub then: &'static str,
}

impl Instructions {
    pub(super) fn publish(public: &PublicKey, leaving: &[KeyPairId]) -> Self {
        Self {
            public_key: Some(public.to_pem().unwrap_or_default()),
            take_out: leaving.to_vec(),
            then: "run the same command again, with: --key-pair-id and the ID of the new public key",
        }
    }

    pub(super) fn take_out(id: &KeyPairId) -> Self {
        Self {
            public_key: None,
            take_out: vec![id.clone()],
            then: "run the same command again: it asks the edge whether the key is refused",
        }
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "in the CloudFront console, by hand:")?;
        let mut number = 0;
        let mut step = |f: &mut fmt::Formatter<'_>, text: &str| {
            number += 1;
            writeln!(f, "{number}. {text}")
        };
        if let Some(pem) = &self.public_key {
            step(f, "Key management > Public keys > Create public key, with these lines as Key:")?;
            writeln!(f, "\n{}", pem.trim_end())?;
            writeln!(f)?;
        }
        match (&self.public_key, self.take_out.as_slice()) {
            (Some(_), []) => {
                step(
                    f,
                    "Key groups > the group of the behavior > Edit: add it; take nothing out.",
                )?;
            }
            (Some(_), gone) => {
                let gone = super::join(gone);
                step(
                    f,
                    &format!(
                        "Key groups > the group of the behavior > Edit: add it, and take out {gone}."
                    ),
                )?;
            }
            (None, gone) => {
                let gone = super::join(gone);
                step(
                    f,
                    &format!("Key groups > the group of the behavior > Edit: take out {gone}."),
                )?;
                step(f, &format!("Public keys > {gone} > Delete."))?;
            }
        }
        step(f, &format!("Then {}.", self.then))
    }
}
