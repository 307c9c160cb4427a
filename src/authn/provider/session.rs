//! What a login session is worth at a moment, under the configuration of that moment.

use crate::clock::EpochSeconds;
use crate::config::{LoginFront, Provider};
use crate::cookies::LoginSession;
use crate::identity::{Email, Front, Identity, Subject};

/// What a login session is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing any more: it has ended, or its provider is not what it was.
    Over,
    /// The person is known.
    Good(Identity),
    /// The person is known, and the provider should be asked again.
    Due(Identity),
    /// The provider must be asked before the person is believed.
    Unchecked,
}

/// Judges a session at a host.
#[must_use]
pub fn standing(
    session: &LoginSession,
    front: &LoginFront,
    host: &str,
    now: EpochSeconds,
) -> Standing {
    let end = session.signed_in.plus(front.lifetime);
    let Some(provider) = front.provider(&session.provider, host) else { return Standing::Over };
    // One from the future was sealed by a machine whose clock is wrong; it would live for too long.
    let in_time = now < end && session.signed_in.since(now) <= crate::identity::CLOCK_SKEW_SECONDS;
    if !in_time || provider.issuer != session.issuer || provider.client != session.client {
        return Standing::Over;
    }
    let due = session.checked.plus(front.recheck);
    let unchecked = due.plus(front.grace);
    // Unless the provider is asked, the person is believed no longer than that.
    let expires = if session.refresh_token.is_some() { end.min(unchecked) } else { end };
    let Some(identity) = identify(session, provider, expires) else { return Standing::Over };
    // A check in the future was noted by such a machine; it is made again.
    let noted_wrong = session.checked.since(now) > crate::identity::CLOCK_SKEW_SECONDS;
    match () {
        () if session.refresh_token.is_none() => Standing::Good(identity),
        () if noted_wrong => Standing::Unchecked,
        () if now < due => Standing::Good(identity),
        () if now < unchecked => Standing::Due(identity),
        () => Standing::Unchecked,
    }
}

fn identify(
    session: &LoginSession,
    provider: &Provider,
    expires: EpochSeconds,
) -> Option<Identity> {
    let email = session.email.as_deref();
    let email = email.and_then(|address| Email::parse(address, session.email_verified));
    Some(Identity {
        front: Front::Login,
        issuer: session.issuer.clone(),
        subject: Subject::parse(&session.subject).ok()?,
        email: email.map(|email| email.vouched_for(&provider.verified_email_domains)),
        groups: session.groups.iter().cloned().collect(),
        expires,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::login;
    use crate::secret::Secret;

    const NOW: EpochSeconds = EpochSeconds(1_767_290_400);
    const HOST: &str = "viewer.example.org";

    fn session() -> LoginSession {
        LoginSession {
            provider: "lab".to_owned(),
            issuer: "https://idp.example.org".to_owned(),
            client: "viewer".to_owned(),
            subject: "ada".to_owned(),
            email: Some("ada@example.org".to_owned()),
            email_verified: false,
            groups: vec!["lab-a".to_owned()],
            signed_in: NOW,
            checked: NOW,
            id_token: Secret::new(String::new()),
            refresh_token: Some(Secret::new("r".to_owned())),
        }
    }

    #[test]
    fn a_session_is_good_then_due_then_unchecked_then_over() {
        let front = login();
        let at = |seconds| standing(&session(), &front, HOST, NOW.plus(seconds));
        assert!(matches!(at(0), Standing::Good(_)));
        assert!(matches!(at(899), Standing::Good(_)));
        assert!(matches!(at(900), Standing::Due(_)));
        assert!(matches!(at(4499), Standing::Due(_)));
        assert_eq!(at(4500), Standing::Unchecked);
        assert_eq!(at(43_200), Standing::Over);
    }

    #[test]
    fn a_person_is_vouched_for_until_a_check_is_missed_or_the_session_ends() {
        let until = |session: &LoginSession, now| match standing(session, &login(), HOST, now) {
            Standing::Good(identity) | Standing::Due(identity) => identity.expires,
            other => panic!("{other:?}"),
        };
        for now in [NOW, NOW.plus(4499)] {
            assert_eq!(until(&session(), now), NOW.plus(4500));
        }
        let late = LoginSession { checked: NOW.plus(43_000), ..session() };
        assert_eq!(until(&late, NOW.plus(43_000)), NOW.plus(43_200));
    }

    #[test]
    fn a_session_that_cannot_be_checked_lasts_for_its_lifetime() {
        let alone = LoginSession { refresh_token: None, ..session() };
        let at = |seconds| standing(&alone, &login(), HOST, NOW.plus(seconds));
        let Standing::Good(identity) = at(0) else { panic!("{:?}", at(0)) };
        assert_eq!(identity.expires, NOW.plus(43_200));
        assert!(matches!(at(43_199), Standing::Good(_)));
        assert_eq!(at(43_200), Standing::Over);
    }

    #[test]
    fn a_check_in_the_future_is_made_again() {
        let checked = |seconds| LoginSession { checked: NOW.plus(seconds), ..session() };
        let at = |seconds| standing(&checked(seconds), &login(), HOST, NOW);
        assert!(matches!(at(30), Standing::Good(_)));
        assert_eq!(at(31), Standing::Unchecked);
    }

    #[test]
    fn a_session_of_another_provider_client_or_time_is_over() {
        let front = login();
        let other = |text: &str| text.to_owned();
        for odd in [
            LoginSession { provider: other("else"), ..session() },
            LoginSession { issuer: other("https://idp.example.org/"), ..session() },
            LoginSession { client: other("else"), ..session() },
            LoginSession { signed_in: NOW.plus(31), ..session() },
            LoginSession { subject: String::new(), ..session() },
        ] {
            assert_eq!(standing(&odd, &front, HOST, NOW), Standing::Over, "{odd:?}");
        }
    }

    #[test]
    fn addresses_are_vouched_for_by_the_configuration_of_now() {
        let mut front = login();
        let verified = |front: &LoginFront| match standing(&session(), front, HOST, NOW) {
            Standing::Good(identity) => identity.email.unwrap().verified,
            other => panic!("{other:?}"),
        };
        assert!(!verified(&front));
        front.providers[0].verified_email_domains = vec!["example.org".to_owned()];
        assert!(verified(&front));
    }
}
