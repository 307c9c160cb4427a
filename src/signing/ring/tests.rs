use super::*;

const MADE: EpochSeconds = EpochSeconds(1_800_000_000);
const HOUR: u64 = 3600;

fn id(text: &str) -> KeyPairId {
    text.parse().unwrap()
}

/// A fingerprint of one digit.
fn print(digit: char) -> Fingerprint {
    digit.to_string().repeat(64).parse().unwrap()
}

fn at(hours: u64) -> EpochSeconds {
    MADE.plus(hours * HOUR)
}

/// K1 signs, since the beginning.
fn one() -> KeyRing {
    KeyRing::default()
        .stage(&id("K1"), &print('1'), MADE, MADE)
        .and_then(|ring| ring.promote(&id("K1"), MADE))
        .unwrap()
}

/// K1 signs, K2 waits.
fn two() -> KeyRing {
    one().stage(&id("K2"), &print('2'), at(1), at(1)).unwrap()
}

fn state(ring: &KeyRing, key: &str) -> KeyState {
    ring.member(&id(key)).unwrap().state
}

#[test]
fn a_key_goes_through_its_whole_life() {
    let ring = two();
    assert_eq!((state(&ring, "K1"), state(&ring, "K2")), (KeyState::Active, KeyState::Staged));
    let ring = ring.promote(&id("K2"), at(2)).unwrap();
    assert_eq!((state(&ring, "K1"), state(&ring, "K2")), (KeyState::Retiring, KeyState::Active));
    assert_eq!(ring.active().unwrap().promoted, Some(at(2)));
    let ring = ring.confirm(at(3), HOUR, 0);
    assert_eq!(ring.member(&id("K1")).unwrap().retire_after, Some(at(4)));
    let ring = ring.retire(&id("K1"), at(4)).unwrap();
    assert_eq!(state(&ring, "K1"), KeyState::Retired);
    assert_eq!(ring.active().unwrap().id, id("K2"));
}

#[test]
fn exactly_one_key_is_active_once_one_has_signed() {
    assert!(KeyRing::default().active().is_none());
    let mut members = two().members().to_vec();
    members[1].state = KeyState::Active;
    assert_eq!(KeyRing::new(members.clone(), None), Err(RingError::ActiveCount(2)));
    members[0].state = KeyState::Retiring;
    members[1].state = KeyState::Staged;
    assert_eq!(KeyRing::new(members, None), Err(RingError::ActiveCount(0)));
}

#[test]
fn no_key_stands_twice() {
    for (key, fingerprint) in [("K1", '3'), ("K3", '1')] {
        let again = one().stage(&id(key), &print(fingerprint), MADE, MADE);
        assert_eq!(again, Err(RingError::Duplicate(id(key))));
    }
}

#[test]
fn a_staged_key_can_be_given_another_id() {
    let ring = two().stage(&id("K3"), &print('2'), at(1), at(2)).unwrap();
    assert_eq!(ring.members().len(), 2);
    assert_eq!(state(&ring, "K3"), KeyState::Staged);
    assert!(ring.stage(&id("K4"), &print('1'), at(1), at(2)).is_err(), "K1 signs");
}

#[test]
fn the_active_key_never_retires() {
    let error = one().retire(&id("K1"), at(1000)).unwrap_err();
    assert!(matches!(error, RingError::NotPossible { state: KeyState::Active, .. }), "{error}");
}

#[test]
fn an_old_key_stays_until_its_last_cookie_has_expired() {
    let ring = two().promote(&id("K2"), at(2)).unwrap();
    // An instance that is cut off may sign with it at this very moment.
    assert_eq!(ring.retire(&id("K1"), at(1000)), Err(RingError::NotConfirmed(id("K1"))));
    assert_eq!(ring.unconfirmed().count(), 1);
    let ring = ring.confirm(at(5), HOUR, 0);
    assert_eq!(ring.unconfirmed().count(), 0);
    let too_early = RingError::TooEarly { id: id("K1"), until: at(6) };
    assert_eq!(ring.retire(&id("K1"), at(6).minus(1)), Err(too_early));
    assert_eq!(ring.due(at(6).minus(1)).count(), 0);
    assert_eq!(ring.due(at(6)).count(), 1);
    assert!(ring.retire(&id("K1"), at(6)).is_ok());
}

#[test]
fn a_later_confirmation_neither_shortens_nor_lengthens_the_overlap() {
    let ring = two().promote(&id("K2"), at(2)).unwrap().confirm(at(3), HOUR, 0);
    assert_eq!(ring.confirm(at(9), HOUR, 0), ring);
}

#[test]
fn a_rollback_inside_the_overlap_takes_one_step_and_begins_the_overlap_anew() {
    let ring = two().promote(&id("K2"), at(2)).unwrap().confirm(at(3), HOUR, 0);
    let back = ring.promote(&id("K1"), at(3)).unwrap();
    assert_eq!((state(&back, "K1"), state(&back, "K2")), (KeyState::Active, KeyState::Retiring));
    assert_eq!(back.active().unwrap().retire_after, None, "it signs again");
    assert_eq!(back.retire(&id("K2"), at(9)), Err(RingError::NotConfirmed(id("K2"))));
    let forth = back.promote(&id("K2"), at(4)).unwrap();
    assert_eq!(forth.unconfirmed().map(|key| &key.id).collect::<Vec<_>>(), [&id("K1")]);
}

#[test]
fn a_retired_key_never_comes_back() {
    let ring = two().promote(&id("K2"), at(2)).unwrap().confirm(at(3), HOUR, 0);
    let ring = ring.retire(&id("K1"), at(4)).unwrap();
    for outcome in [
        ring.promote(&id("K1"), at(5)),
        ring.retire(&id("K1"), at(5)),
        ring.revoke(&id("K1"), None, at(5)),
    ] {
        assert!(matches!(outcome, Err(RingError::NotPossible { .. })), "{outcome:?}");
    }
}

#[test]
fn a_staged_key_may_be_given_up_at_once() {
    assert!(two().retire(&id("K2"), at(1)).is_ok());
}

#[test]
fn revoking_the_active_key_needs_one_that_takes_over() {
    assert!(two().revoke(&id("K1"), None, at(2)).is_err());
    assert!(two().revoke(&id("K1"), Some(&id("K9")), at(2)).is_err());
    assert!(two().revoke(&id("K1"), Some(&id("K1")), at(2)).is_err());
    let ring = two().revoke(&id("K1"), Some(&id("K2")), at(2)).unwrap();
    assert_eq!((state(&ring, "K1"), state(&ring, "K2")), (KeyState::Retired, KeyState::Active));
}

#[test]
fn a_retiring_key_can_be_revoked_before_its_time() {
    let ring = two().promote(&id("K2"), at(2)).unwrap();
    assert_eq!(state(&ring.revoke(&id("K1"), None, at(2)).unwrap(), "K1"), KeyState::Retired);
}

#[test]
fn a_rotation_that_was_begun_is_not_begun_twice() {
    let ring = one().begin(&print('2'), at(1)).unwrap();
    assert_eq!(ring.begin(&print('3'), at(2)), Err(RingError::UnderWay { begun: at(1) }));
    let again = ring.begin_again(&print('3'), at(2));
    assert_eq!(again.rotation(), Some(&Rotation { key: print('3'), begun: at(1), replaces: None }));
    assert!(ring.end().rotation().is_none());
}

#[test]
fn a_revocation_takes_the_place_of_a_rotation_that_is_under_way() {
    let ring = one().begin(&print('2'), at(1)).unwrap();
    let ring = ring.begin_to_replace(&id("K1"), &print('3'), at(2));
    let rotation = Rotation { key: print('3'), begun: at(2), replaces: Some(id("K1")) };
    assert_eq!(ring.rotation(), Some(&rotation));
}

#[test]
fn a_rollback_or_a_retired_new_key_ends_the_rotation() {
    let ring = one().begin(&print('2'), at(1)).unwrap();
    let ring = ring.stage(&id("K2"), &print('2'), at(1), at(1)).unwrap();
    assert!(ring.retire(&id("K2"), at(1)).unwrap().rotation().is_none());
    let ring = ring.promote(&id("K2"), at(2)).unwrap();
    assert!(ring.rotation().is_some(), "the overlap belongs to it");
    assert!(ring.promote(&id("K1"), at(2)).unwrap().rotation().is_none());
}

#[test]
fn only_the_last_retired_keys_are_remembered() {
    let mut ring = one();
    for number in 2..20 {
        let (old, new) = (id(&format!("K{}", number - 1)), id(&format!("K{number}")));
        let fingerprint: Fingerprint = format!("{number:064x}").parse().unwrap();
        ring = ring.stage(&new, &fingerprint, at(number), at(number)).unwrap();
        ring = ring.promote(&new, at(number)).unwrap().confirm(at(number), 0, 0);
        ring = ring.retire(&old, at(number)).unwrap();
    }
    let kept: Vec<String> = ring.members().iter().map(|key| key.id.to_string()).collect();
    assert_eq!(kept, ["K16", "K17", "K18", "K19"]);
}

#[test]
fn too_many_keys_are_refused() {
    let mut ring = one();
    for number in 2..=MAX_KEYS {
        let fingerprint: Fingerprint = format!("{number:064x}").parse().unwrap();
        ring = ring.stage(&id(&format!("K{number}")), &fingerprint, MADE, MADE).unwrap();
    }
    assert_eq!(ring.stage(&id("K99"), &print('f'), MADE, MADE), Err(RingError::Full));
}

#[test]
fn cookies_given_before_a_rule_was_shortened_lengthen_the_overlap() {
    let ring = two().with_lifetime(8 * HOUR).with_lifetime(HOUR);
    let ring = ring.promote(&id("K2"), at(2)).unwrap().confirm(at(3), HOUR, 60);
    assert_eq!(ring.member(&id("K1")).unwrap().retire_after, Some(at(11).plus(60)));
    assert_eq!(ring.active().unwrap().lifetime, None, "nothing is known of the new one");
}
