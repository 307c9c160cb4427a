//! Authorization codes: random, used once, and soon over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::super::people::Person;
use super::super::tokens::{CryptoError, random_text};
use crate::clock::EpochSeconds;

/// How long a code works, in seconds.
const LIFE_SECONDS: u64 = 60;

/// The most codes at a time. Past that the oldest goes.
const MAX_CODES: usize = 1000;

/// Whom a code signs in, and for which client.
pub(super) struct Code {
    pub(super) person: &'static Person,
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) scope: String,
}

/// The codes that were issued and not yet redeemed.
#[derive(Default)]
pub(super) struct Codes(Mutex<HashMap<String, (EpochSeconds, Code)>>);

impl Codes {
    pub(super) fn issue(&self, code: Code, now: EpochSeconds) -> Result<String, CryptoError> {
        let text = random_text()?;
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, (expires, _)| now < *expires);
        if codes.len() >= MAX_CODES {
            let oldest = codes.iter().min_by_key(|(_, (expires, _))| *expires);
            if let Some(oldest) = oldest.map(|(text, _)| text.clone()) {
                codes.remove(&oldest);
            }
        }
        codes.insert(text.clone(), (now.plus(LIFE_SECONDS), code));
        Ok(text)
    }

    pub(super) fn redeem(&self, text: &str, now: EpochSeconds) -> Option<Code> {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (expires, code) = codes.remove(text)?;
        (now < expires).then_some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::people::PEOPLE;
    use super::*;

    const NOW: EpochSeconds = EpochSeconds(1000);

    fn code() -> Code {
        Code {
            person: &PEOPLE[0],
            client: String::new(),
            redirect_uri: String::new(),
            scope: String::new(),
        }
    }

    #[test]
    fn a_code_works_once_and_for_a_minute() {
        let codes = Codes::default();
        let first = codes.issue(code(), NOW).unwrap();
        let second = codes.issue(code(), NOW).unwrap();
        assert!(codes.redeem("another", NOW).is_none());
        assert!(codes.redeem(&first, NOW.plus(LIFE_SECONDS - 1)).is_some());
        assert!(codes.redeem(&first, NOW).is_none());
        assert!(codes.redeem(&second, NOW.plus(LIFE_SECONDS)).is_none());
    }

    #[test]
    fn codes_are_bounded_and_the_oldest_goes_first() {
        let codes = Codes::default();
        let oldest = codes.issue(code(), NOW).unwrap();
        for _ in 0..MAX_CODES {
            codes.issue(code(), NOW.plus(1)).unwrap();
        }
        assert_eq!(codes.0.lock().unwrap().len(), MAX_CODES);
        assert!(codes.redeem(&oldest, NOW.plus(1)).is_none());
    }
}
