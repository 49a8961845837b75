//! The plan with given times: first start, ages, overlap, damage, and clocks that are wrong.

use super::*;
use crate::controllers::certificates::issue::AUTHORITY_LIFE;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const NOW: i64 = 2_000_000_000;

fn validity(id: u8, made: i64, life: i64) -> Validity {
    Validity { fingerprint: [id; 32], not_before: made - HOUR, not_after: made + life }
}

fn published(ids: &[u8], since: i64) -> Published {
    Published::Authorities { fingerprints: ids.iter().map(|id| [*id; 32]).collect(), since }
}

/// All is well: made now, published long ago.
fn settled() -> Observed {
    Observed {
        authority: Ok(validity(1, NOW, AUTHORITY_LIFE)),
        previous: None,
        leaf: Ok(Leaf { validity: validity(9, NOW, LEAF_LIFE), signer: Signer::Current, names_fit: true }),
        bundled: vec![[1; 32]],
        published: published(&[1], NOW),
        witnessed: Some(NOW),
    }
}

/// The authority was replaced at `NOW`; the serving certificate is still the old one's.
fn overlapping() -> Observed {
    let leaf =
        Leaf { validity: validity(9, NOW - 3 * DAY, LEAF_LIFE), signer: Signer::Previous, names_fit: true };
    Observed {
        authority: Ok(validity(2, NOW, AUTHORITY_LIFE)),
        previous: Some(validity(1, NOW - 244 * DAY, AUTHORITY_LIFE)),
        leaf: Ok(leaf),
        bundled: vec![[2; 32], [1; 32]],
        published: published(&[2, 1], NOW + 10),
        ..settled()
    }
}

#[test]
fn the_first_start_makes_an_authority_then_a_certificate() {
    let empty = Observed {
        authority: Err(Flaw::Missing),
        leaf: Err(Flaw::Missing),
        bundled: vec![],
        published: Published::Unknown,
        witnessed: None,
        ..settled()
    };
    assert_eq!(plan(NOW, &empty), Plan::Act(Act::NewAuthority(Why::Flawed(Flaw::Missing))));
    let authority = Observed { authority: settled().authority, ..empty };
    assert_eq!(plan(NOW, &authority), Plan::Act(Act::NewLeaf(Why::Flawed(Flaw::Missing))));
}

#[test]
fn nothing_is_done_when_nothing_is_due() {
    assert_eq!(plan(NOW, &settled()), Plan::Wait(Waiting::NothingDue, LOOK_AGAIN));
    let soon = NOW + LEAF_LIFE / 2 - HOUR / 2 - 10;
    assert_eq!(plan(soon, &settled()), Plan::Wait(Waiting::NothingDue, 10));
}

#[test]
fn a_certificate_is_replaced_at_half_its_life() {
    let half = NOW + LEAF_LIFE / 2 - HOUR / 2;
    assert_eq!(plan(half, &settled()), Plan::Act(Act::NewLeaf(Why::Age)));
}

#[test]
fn an_authority_is_replaced_at_two_thirds_of_its_life() {
    let due = NOW + AUTHORITY_LIFE / 3 * 2;
    let fresh = Leaf { validity: validity(9, due, LEAF_LIFE), signer: Signer::Current, names_fit: true };
    let observed = Observed { leaf: Ok(fresh), ..settled() };
    assert!(matches!(plan(due - DAY, &observed), Plan::Act(Act::NewLeaf(Why::NotYetValid))));
    assert_eq!(plan(due, &observed), Plan::Act(Act::NewAuthority(Why::Age)));
}

#[test]
fn abuse_076_the_certificate_is_switched_only_after_the_new_authority_is_seen_and_settled() {
    let wait = |observed: &Observed, now: i64| match plan(now, observed) {
        Plan::Wait(Waiting::Publication, seconds) => seconds,
        other => panic!("{other:?}"),
    };
    let unknown = Observed { published: Published::Unknown, ..overlapping() };
    assert_eq!(wait(&unknown, NOW + DAY), SETTLE);
    let old_only = Observed { published: published(&[1], NOW), ..overlapping() };
    assert_eq!(wait(&old_only, NOW + DAY), SETTLE);
    assert_eq!(wait(&overlapping(), NOW + 10), SETTLE);
    assert_eq!(wait(&overlapping(), NOW + 39), 1);
    assert_eq!(plan(NOW + 40, &overlapping()), Plan::Act(Act::NewLeaf(Why::NewAuthority)));
}

#[test]
fn the_bundle_goes_into_the_serving_secret_before_the_switch() {
    let observed = Observed { bundled: vec![[1; 32]], ..overlapping() };
    assert_eq!(plan(NOW + DAY, &observed), Plan::Act(Act::WriteBundle));
}

#[test]
fn without_a_configuration_nobody_is_waited_for() {
    let observed = Observed { published: Published::Absent, ..overlapping() };
    assert_eq!(plan(NOW, &observed), Plan::Act(Act::NewLeaf(Why::NewAuthority)));
}

#[test]
fn the_previous_authority_is_trusted_until_its_last_certificate_has_expired() {
    let leaf =
        |made| Ok(Leaf { validity: validity(9, made, LEAF_LIFE), signer: Signer::Current, names_fit: true });
    let observed = Observed { leaf: leaf(NOW + 10 * DAY), ..overlapping() };
    assert!(matches!(plan(NOW + 20 * DAY, &observed), Plan::Wait(Waiting::NothingDue, _)));
    let observed = Observed { leaf: leaf(NOW + 25 * DAY), ..overlapping() };
    assert_eq!(plan(NOW + 30 * DAY, &observed), Plan::Act(Act::RetirePrevious));
    // One that signs the certificate in use is never retired.
    let stuck = Observed { published: published(&[1], NOW), ..overlapping() };
    assert!(matches!(plan(NOW + 26 * DAY, &stuck), Plan::Wait(Waiting::Publication, _)));
}

#[test]
fn what_is_damaged_is_made_anew_and_says_so() {
    for (flaw, words) in [
        (Flaw::Unreadable, "what the Secret held could not be read"),
        (Flaw::OtherKey, "its key belonged to another certificate"),
        (Flaw::NotAnAuthority, "it was not allowed to sign"),
    ] {
        let observed = Observed { authority: Err(flaw), ..settled() };
        let why = Why::Flawed(flaw);
        assert_eq!(plan(NOW, &observed), Plan::Act(Act::NewAuthority(why)));
        assert_eq!(why.to_string(), words);
        assert!(!why.is_routine());
        let observed = Observed { leaf: Err(flaw), ..settled() };
        assert_eq!(plan(NOW, &observed), Plan::Act(Act::NewLeaf(why)));
    }
    let leaf = Leaf { signer: Signer::Unknown, ..settled().leaf.unwrap() };
    let observed = Observed { leaf: Ok(leaf), ..settled() };
    assert_eq!(plan(NOW, &observed), Plan::Act(Act::NewLeaf(Why::UnknownSigner)));
    let leaf = Leaf { names_fit: false, ..settled().leaf.unwrap() };
    let observed = Observed { leaf: Ok(leaf), ..settled() };
    assert_eq!(plan(NOW, &observed), Plan::Act(Act::NewLeaf(Why::OtherNames)));
}

#[test]
fn what_has_expired_is_replaced_at_once() {
    let observed = settled();
    assert_eq!(plan(NOW + AUTHORITY_LIFE, &observed), Plan::Act(Act::NewAuthority(Why::Expired)));
    assert_eq!(plan(NOW + LEAF_LIFE, &observed), Plan::Act(Act::NewLeaf(Why::Expired)));
    let stuck = Observed { published: published(&[1], NOW), ..overlapping() };
    assert_eq!(plan(NOW + 27 * DAY, &stuck), Plan::Act(Act::NewLeaf(Why::Expired)));
}

#[test]
fn a_clock_that_went_back_makes_nothing() {
    // The API server wrote these objects later than our clock says it is.
    assert_eq!(plan(NOW - 30 * DAY, &settled()), Plan::Wait(Waiting::ClockBehind, 60));
    assert_eq!(plan(0, &settled()), Plan::Wait(Waiting::ClockBehind, 60));
    // A few minutes are nothing.
    assert!(matches!(plan(NOW - 200, &settled()), Plan::Wait(Waiting::NothingDue, _)));
}

#[test]
fn what_a_clock_ahead_made_is_replaced() {
    let observed = Observed {
        authority: Ok(validity(1, NOW + 9 * DAY, AUTHORITY_LIFE)),
        leaf: Ok(Leaf { validity: validity(9, NOW + 9 * DAY, LEAF_LIFE), ..settled().leaf.unwrap() }),
        ..settled()
    };
    assert_eq!(plan(NOW, &observed), Plan::Act(Act::NewAuthority(Why::NotYetValid)));
    let observed = Observed { authority: settled().authority, ..observed };
    assert_eq!(plan(NOW, &observed), Plan::Act(Act::NewLeaf(Why::NotYetValid)));
}

#[test]
fn impossible_times_do_not_overflow() {
    let odd = Validity { fingerprint: [1; 32], not_before: i64::MIN, not_after: i64::MAX };
    let observed = Observed { authority: Ok(odd), ..overlapping() };
    for now in [i64::MIN, 0, i64::MAX] {
        let _ = plan(now, &observed);
        let _ = plan(now, &Observed { witnessed: None, ..observed.clone() });
    }
}
