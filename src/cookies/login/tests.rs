use super::*;
use crate::cookies::sealed::{CookieKey, KEY_BYTES};

const NOW: EpochSeconds = EpochSeconds(1_767_290_400);
const HOST: &str = "viewer.example.org";

fn keys(byte: u8) -> CookieKeys {
    CookieKeys::new(vec![CookieKey::new([byte; KEY_BYTES])]).unwrap()
}

fn session() -> LoginSession {
    LoginSession {
        provider: "lab".to_owned(),
        issuer: "https://idp.example.org".to_owned(),
        client: "viewer".to_owned(),
        subject: "ada".to_owned(),
        email: Some("ada@example.org".to_owned()),
        email_verified: true,
        groups: vec!["lab-a".to_owned()],
        signed_in: NOW,
        checked: NOW,
        id_token: Secret::new("a.b.c".to_owned()),
        refresh_token: Some(Secret::new("refresh".to_owned())),
    }
}

fn attempt(state: &str, made: EpochSeconds) -> Attempt {
    let secret = |text: &str| Secret::new(text.to_owned());
    Attempt {
        state: secret(state),
        provider: "lab".to_owned(),
        issuer: "https://idp.example.org".to_owned(),
        nonce: secret("nonce"),
        verifier: secret("verifier"),
        return_to: "/#!state".to_owned(),
        made,
    }
}

/// A browser's cookies, changed by some lines.
#[derive(Clone, Default)]
struct Browser(Vec<(String, String)>);

impl Browser {
    fn take(&mut self, lines: &[String]) {
        for line in lines {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            self.0.retain(|(held, _)| held != name);
            if !line.contains("Max-Age=0") {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

#[test]
fn a_session_comes_back_from_the_browser_of_its_host_only() {
    let keys = keys(1);
    let sealing = Sealing { keys: &keys, host: HOST };
    let mut browser = Browser::default();
    browser.take(&session().lines(sealing, [1; 12], 60, &browser.pairs()).unwrap());
    assert_eq!(LoginSession::read(sealing, &browser.pairs()), Held::Session(Box::new(session())));
    let elsewhere = Sealing { host: "other.example.org", ..sealing };
    assert_eq!(LoginSession::read(elsewhere, &browser.pairs()), Held::Unreadable);
    browser.take(&LoginSession::removal(&browser.pairs()));
    assert_eq!(LoginSession::read(sealing, &browser.pairs()), Held::Nothing);
}

#[test]
fn shards_of_two_sessions_do_not_make_one() {
    let keys = keys(1);
    let sealing = Sealing { keys: &keys, host: HOST };
    let long =
        |letter: &str| LoginSession { id_token: Secret::new(letter.repeat(6_000)), ..session() };
    let (mut first, mut second) = (Browser::default(), Browser::default());
    first.take(&long("a").lines(sealing, [1; 12], 60, &first.pairs()).unwrap());
    second.take(&long("b").lines(sealing, [2; 12], 60, &second.pairs()).unwrap());
    assert_eq!(first.0.len(), 3);
    let swapped = Browser(vec![first.0[0].clone(), second.0[1].clone(), first.0[2].clone()]);
    assert_eq!(LoginSession::read(sealing, &swapped.pairs()), Held::Unreadable);
    let reordered = Browser(vec![first.0[2].clone(), first.0[0].clone(), first.0[1].clone()]);
    assert!(matches!(LoginSession::read(sealing, &reordered.pairs()), Held::Session(_)));
}

#[test]
fn a_session_that_does_not_fit_is_refused() {
    let keys = keys(1);
    let large = LoginSession { id_token: Secret::new("a".repeat(12_000)), ..session() };
    let sealing = Sealing { keys: &keys, host: HOST };
    assert!(large.lines(sealing, [1; 12], 60, &[]).is_err());
}

#[test]
fn an_attempt_is_found_by_its_state_for_ten_minutes_in_its_own_browser() {
    let keys = keys(1);
    let sealing = Sealing { keys: &keys, host: HOST };
    let mut browser = Browser::default();
    let begun = attempt("state-1", NOW);
    browser.take(&begun.lines(sealing, [1; 12], &browser.pairs()).unwrap());
    let find = |state: &str, now| Attempt::find(sealing, state, &browser.pairs(), now);
    assert_eq!(find("state-1", NOW), Some(begun.clone()));
    assert_eq!(find("state-2", NOW), None);
    assert_eq!(find("state-1", NOW.plus(ATTEMPT_LIFETIME)), None);
    assert_eq!(Attempt::find(sealing, "state-1", &[], NOW), None);
    // A cookie under another attempt's name was sealed for its own.
    let renamed: Vec<_> = browser
        .0
        .iter()
        .map(|(name, value)| (name.replace(&mark("state-1"), &mark("state-2")), value.clone()))
        .collect();
    assert_eq!(Attempt::find(sealing, "state-2", &Browser(renamed).pairs(), NOW), None);
}

#[test]
fn a_browser_holds_five_attempts_and_gives_up_the_oldest() {
    let keys = keys(1);
    let sealing = Sealing { keys: &keys, host: HOST };
    let mut browser = Browser::default();
    for number in 0..8_u8 {
        let made = NOW.plus(u64::from(number));
        let begun = attempt(&format!("state-{number}"), made);
        browser.take(&begun.lines(sealing, [number; 12], &browser.pairs()).unwrap());
    }
    assert_eq!(marks(&browser.pairs()).len(), MAX_ATTEMPTS);
    let find = |state: &str| Attempt::find(sealing, state, &browser.pairs(), NOW.plus(8));
    assert!(find("state-2").is_none() && find("state-3").is_some() && find("state-7").is_some());
    // Those that have ended, or are none, go first.
    let mut later = browser.clone();
    later.0.push((cookie_name(&mark("none")) + "-0", "1.none".to_owned()));
    let begun = attempt("state-late", NOW.plus(ATTEMPT_LIFETIME + 9));
    later.take(&begun.lines(sealing, [9; 12], &later.pairs()).unwrap());
    assert_eq!(marks(&later.pairs()).len(), 1);
    later.take(&Attempt::removal_of_all(&later.pairs()));
    assert!(later.0.is_empty());
}

#[test]
fn the_longest_return_to_fits() {
    let keys = keys(1);
    let sealing = Sealing { keys: &keys, host: HOST };
    let long = Attempt { return_to: format!("/{}", "a".repeat(4095)), ..attempt("state", NOW) };
    assert!(long.lines(sealing, [1; 12], &[]).is_ok());
}
