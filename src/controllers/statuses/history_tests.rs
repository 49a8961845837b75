//! What the history of an asset tells, in which order, and what it forgets.

use super::*;
use crate::webhook::attempts::Edit;

fn edited(second: i64, user: &str, generation: i64, state: (&str, &str)) -> Edited {
    let edit = Edit {
        user: Some(user.to_owned()),
        uid: "u".to_owned(),
        generation,
        version: Some(state.0.to_owned()),
        digest: Some(state.1.to_owned()),
    };
    Edited { at: Timestamp::from_second(second).unwrap(), edit }
}

/// What is kept where the object of this generation has this version and digest.
fn looked(
    former: &[HistoryEntry],
    edits: &[Edited],
    (generation, version, digest): (i64, &str, &str),
) -> Vec<HistoryEntry> {
    let metadata =
        ObjectMeta { uid: Some("u".to_owned()), generation: Some(generation), ..ObjectMeta::default() };
    let (version, digest) = (version.to_owned(), digest.to_owned());
    let seen = Seen::of(&metadata, Some(&version), Some(&digest));
    kept(former, None, edits, &seen, Timestamp::from_second(1000).unwrap())
}

fn told(history: &[HistoryEntry]) -> Vec<String> {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    history
        .iter()
        .map(|one| format!("{} {} {}", word(&one.user), word(&one.version), word(&one.digest)))
        .collect()
}

#[test]
fn it_tells_who_wrote_what_once_whoever_leads() {
    let edits = [edited(1, "ada", 1, ("1.0.0", "a")), edited(2, "mallory", 2, ("1.0.1", "b"))];
    let first = looked(&[], &edits, (2, "1.0.1", "b"));
    assert_eq!(told(&first), ["ada 1.0.0 a", "mallory 1.0.1 b"]);
    assert_eq!(looked(&first, &[], (2, "1.0.1", "b")), first, "a new leader knows it from the status");
    assert_eq!(looked(&first, &edits, (2, "1.0.1", "b")), first, "and hears it again");
    let back = looked(&first, &[edited(3, "mallory", 3, ("1.0.0", "a"))], (3, "1.0.0", "a"));
    assert_eq!(told(&back), ["ada 1.0.0 a", "mallory 1.0.1 b", "mallory 1.0.0 a"]);
    assert_eq!(back[..2], first[..]);
    let hashes: std::collections::BTreeSet<_> = back.iter().map(|entry| &entry.hash).collect();
    assert_eq!(hashes.len(), 3);
}

#[test]
fn what_was_let_in_and_not_stored_is_not_told() {
    let first = looked(&[], &[edited(1, "ada", 1, ("1.0.0", "a"))], (1, "1.0.0", "a"));
    // Another webhook refused it, so the object stays as it was; the next edit gets the same generation.
    let refused = edited(2, "mallory", 2, ("2.0.0", "b"));
    assert_eq!(looked(&first, std::slice::from_ref(&refused), (1, "1.0.0", "a")), first);
    let edits = [refused, edited(3, "ada", 2, ("1.0.1", "c"))];
    assert_eq!(told(&looked(&first, &edits, (2, "1.0.1", "c"))), ["ada 1.0.0 a", "ada 1.0.1 c"]);
    // An object of the same name that is gone has other generations.
    let mut other = edited(4, "mallory", 1, ("0.1", "d"));
    other.edit.uid = "v".to_owned();
    assert_eq!(looked(&first, &[other], (1, "1.0.0", "a")), first);
}

#[test]
fn what_nobody_told_of_stands_without_a_name_until_somebody_does() {
    let seen = looked(&[], &[], (1, "1.0.0", "a"));
    assert_eq!(told(&seen), ["- 1.0.0 a"]);
    assert_eq!(looked(&seen, &[], (2, "1.0.0", "a")), seen, "nothing of it is another");
    let late = looked(&seen, &[edited(1, "ada", 1, ("1.0.0", "a"))], (1, "1.0.0", "a"));
    assert_eq!(told(&late), ["ada 1.0.0 a"]);
    let next = looked(&late, &[], (2, "1.0.1", "b"));
    assert_eq!(told(&next), ["ada 1.0.0 a", "- 1.0.1 b"]);
}

#[test]
fn the_order_is_that_of_the_times_and_many_edits_hide_nobody() {
    let first = looked(&[], &[edited(5, "ada", 2, ("1.0.1", "b"))], (2, "1.0.1", "b"));
    let late = [edited(1, "mallory", 1, ("1.0.0", "a")), edited(5, "ada", 2, ("1.0.1", "b"))];
    let mut history = looked(&first, &late, (2, "1.0.1", "b"));
    assert_eq!(told(&history), ["mallory 1.0.0 a", "ada 1.0.1 b"]);
    for n in 3..90 {
        let version = format!("1.0.{n}");
        let edits = [edited(n + 10, "ada", n, (&version, "b"))];
        history = looked(&history, &edits, (n, &version, "b"));
        assert!(history.len() <= KEPT);
        assert_eq!(looked(&history, &edits, (n, &version, "b")), history, "nothing is written twice");
    }
    assert_eq!(told(&history)[0], "mallory 1.0.0 a");
    assert_eq!(told(&history).last().unwrap(), "ada 1.0.89 b");
}

#[test]
fn what_is_made_anew_under_a_name_keeps_the_past_of_that_name() {
    let gone = looked(&[], &[edited(1, "ada", 1, ("1.0.1", "b"))], (1, "1.0.1", "b"));
    let past = AssetStatus { history: gone, ..AssetStatus::default() };
    let metadata = ObjectMeta { uid: Some("v".to_owned()), generation: Some(1), ..ObjectMeta::default() };
    let (version, digest) = ("1.0.0".to_owned(), "a".to_owned());
    let seen = Seen::of(&metadata, Some(&version), Some(&digest));
    let anew = kept(&[], Some(&past), &[], &seen, Timestamp::from_second(9).unwrap());
    assert_eq!(told(&anew), ["ada 1.0.1 b", "- 1.0.0 a"]);
    assert_eq!(kept(&anew, Some(&past), &[], &seen, Timestamp::from_second(99).unwrap()), anew);
}
