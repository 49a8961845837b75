//! What the history of an asset tells, in which order, and what it forgets.

use super::*;
use crate::webhook::attempts::Former;

fn edited(second: i64, user: &str, generation: i64, state: (&str, &str)) -> Edited {
    let edit = Edit {
        user: Some(user.to_owned()),
        uid: "u".to_owned(),
        generation,
        version: Some(state.0.to_owned()),
        digest: Some(state.1.to_owned()),
        former: None,
    };
    Edited { at: Timestamp::from_second(second).unwrap(), edit }
}

/// An edit of what the object was before.
fn after((version, digest): (&str, &str), edited: Edited) -> Edited {
    let (version, digest) = (Some(version.to_owned()), Some(digest.to_owned()));
    let former = Some(Former { generation: edited.edit.generation - 1, version, digest });
    Edited { edit: Edit { former, ..edited.edit }, ..edited }
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
    kept(former, None, (edits, None), &seen, Timestamp::from_second(1000).unwrap())
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
    let second = after(("1.0.0", "a"), edited(2, "mallory", 2, ("1.0.1", "b")));
    let edits = [edited(1, "ada", 1, ("1.0.0", "a")), second];
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
    let second = after(("1.0.0", "a"), edited(5, "ada", 2, ("1.0.1", "b")));
    let late = [edited(1, "mallory", 1, ("1.0.0", "a")), second];
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
    let anew = kept(&[], Some(&past), (&[], None), &seen, Timestamp::from_second(9).unwrap());
    assert_eq!(told(&anew), ["ada 1.0.1 b", "- 1.0.0 a"]);
    assert_eq!(kept(&anew, Some(&past), (&[], None), &seen, Timestamp::from_second(99).unwrap()), anew);
    // It counts its generations anew, so what comes next stands behind the past.
    let mut next = edited(10, "bob", 2, ("1.0.2", "c"));
    next.edit.uid = "v".to_owned();
    let metadata = ObjectMeta { generation: Some(2), ..metadata.clone() };
    let (version, digest) = ("1.0.2".to_owned(), "c".to_owned());
    let seen = Seen::of(&metadata, Some(&version), Some(&digest));
    let next = kept(&anew, Some(&past), (&[next], None), &seen, Timestamp::from_second(99).unwrap());
    assert_eq!(told(&next), ["ada 1.0.1 b", "- 1.0.0 a", "bob 1.0.2 c"]);
}

#[test]
fn many_edits_erase_no_version_and_no_digest_that_it_had() {
    let edits = [edited(1, "ada", 1, ("1", "a")), after(("1", "a"), edited(2, "ada", 2, ("2", "b")))];
    let first = looked(&[], &edits, (2, "2", "b"));
    let mut history = first.clone();
    for n in 3..60 {
        let edits = [edited(n, if n % 2 == 0 { "mallory" } else { "eve" }, n, ("2", "b"))];
        history = looked(&history, &edits, (n, "2", "b"));
        assert_eq!(looked(&history, &edits, (n, "2", "b")), history, "nothing is written twice");
    }
    assert_eq!(history.len(), KEPT);
    assert_eq!(told(&history)[..2], ["ada 1 a", "ada 2 b"]);
    // Nor do many others of somebody else.
    let mut history = first;
    for n in 3..60 {
        let digest = n.to_string();
        let edits = [edited(n, "mallory", n, ("2.1", &digest))];
        history = looked(&history, &edits, (n, "2.1", &digest));
        assert_eq!(looked(&history, &edits, (n, "2.1", &digest)), history);
    }
    assert_eq!(history.len(), KEPT);
    assert_eq!(told(&history)[..2], ["ada 1 a", "ada 2 b"]);
    assert_eq!(told(&history).last().unwrap(), "mallory 2.1 59");
}

#[test]
fn what_it_is_now_is_kept_though_nobody_told_of_it() {
    let mut history = Vec::new();
    for n in 1..25 {
        let user = format!("u{n}");
        history = looked(&history, &[edited(n, &user, n, ("1", "a"))], (n, "1", "a"));
    }
    let next = looked(&history, &[], (30, "2", "b"));
    assert_eq!(told(&next).last().unwrap(), "- 2 b");
    assert_eq!(looked(&next, &[], (30, "2", "b")), next);
}

#[test]
fn of_two_edits_over_one_generation_the_stored_one_is_told_whatever_the_clocks_say() {
    let first = looked(&[], &[edited(1, "ada", 1, ("1", "a"))], (1, "1", "a"));
    let hers = after(("1", "a"), edited(2, "mallory", 2, ("2", "b")));
    let edits = [hers.clone(), after(("1", "a"), edited(3, "bob", 2, ("2", "c")))];
    assert_eq!(told(&looked(&first, &edits, (2, "2", "b"))), ["ada 1 a", "mallory 2 b"]);
    // Where both would have made the same of it, it may have been either.
    let edits = [hers, after(("1", "a"), edited(3, "bob", 2, ("2", "b")))];
    assert_eq!(told(&looked(&first, &edits, (2, "2", "b"))), ["ada 1 a", "mallory 2 b", "bob 2 b"]);
}

#[test]
fn clocks_that_differ_bring_nothing_back() {
    let edits = [edited(5, "ada", 1, ("1", "a")), after(("1", "a"), edited(3, "bob", 2, ("2", "b")))];
    let history = looked(&[], &edits, (2, "2", "b"));
    assert_eq!(told(&history), ["ada 1 a", "bob 2 b"]);
    assert_eq!(looked(&history, &[], (1, "1", "a")), history, "nor what is seen late");
}

#[test]
fn what_was_never_stored_does_not_enter_later() {
    let first = looked(&[], &[edited(1, "ada", 1, ("1", "a"))], (1, "1", "a"));
    let refused = after(("1", "a"), edited(2, "mallory", 2, ("2.0.0", "b")));
    // A review is not told, and gives it the generation that the refused edit would have.
    assert_eq!(looked(&first, std::slice::from_ref(&refused), (2, "1", "a")), first);
    assert_eq!(looked(&first, std::slice::from_ref(&refused), (3, "1", "a")), first, "nor another one");
    // What took its generation is not remembered any more, and the same bytes are declared in earnest.
    let mut history = first;
    for n in 2..40 {
        let (version, digest) = if n < 10 { (format!("1.{n}"), "c") } else { ("2.0.0".to_owned(), "b") };
        let edits = [refused.clone(), edited(n + 10, "ada", n, (&version, digest))];
        history = looked(&history, &edits, (n, &version, digest));
    }
    assert!(told(&history).iter().all(|entry| !entry.starts_with("mallory")), "{:?}", told(&history));
}

#[test]
fn whose_edit_was_followed_by_what_nobody_told_of_is_named() {
    let first = looked(&[], &[edited(1, "ada", 1, ("1", "a"))], (1, "1", "a"));
    let edits = [after(("1", "a"), edited(2, "mallory", 2, ("2", "b")))];
    let history = looked(&first, &edits, (3, "3", "c"));
    assert_eq!(told(&history), ["ada 1 a", "mallory 3 c"], "what it was meanwhile is not known");
    assert_eq!(looked(&history, &edits, (3, "3", "c")), history);
}

#[test]
fn whose_edits_were_lost_is_named_where_the_asset_was_there() {
    let lost = Lost::from([("mallory".to_owned(), Timestamp::from_second(500).unwrap())]);
    let (version, digest) = ("1".to_owned(), "a".to_owned());
    let of = |former: &[HistoryEntry], created: i64| {
        let created = Timestamp::from_second(created).unwrap();
        let metadata = ObjectMeta {
            uid: Some("u".to_owned()),
            generation: Some(3),
            creation_timestamp: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created)),
            ..ObjectMeta::default()
        };
        let seen = Seen::of(&metadata, Some(&version), Some(&digest));
        kept(former, None, (&[], Some(&lost)), &seen, Timestamp::from_second(1000).unwrap())
    };
    let first = looked(&[], &[edited(1, "ada", 1, ("1", "a"))], (1, "1", "a"));
    let history = of(&first, 1);
    assert_eq!(told(&history), ["ada 1 a", "mallory 1 a"]);
    assert_eq!(of(&history, 1), history);
    assert_eq!(of(&first, 600), first, "made since");
}

#[test]
fn whatever_happens_it_names_every_writer_and_tells_only_what_was() {
    let mut seed = 7_u64;
    let mut any = |of: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % of
    };
    for _ in 0..50 {
        let state = |n: u64| (format!("1.{n}"), n.to_string());
        let mut now = state(0);
        let (mut was, mut writers) = (vec![now.clone()], vec!["u0".to_owned()]);
        let mut edits = vec![edited(1, "u0", 1, (&now.0, &now.1))];
        let mut history = Vec::new();
        let mut generation = 1;
        for second in 2..150 {
            let (user, next) = (format!("u{}", any(6)), state(any(5)));
            let what = any(10);
            if what > 0 {
                let at = 1000 * (second + i64::try_from(any(4)).unwrap()) + second;
                let edit = edited(at, &user, generation + 1, (&next.0, &next.1));
                edits.push(after((&now.0, &now.1), edit));
            }
            // A review is not told, and of what is told some is never stored.
            if what != 1 {
                generation += 1;
            }
            if what > 1 {
                now = next;
                was.push(now.clone());
                writers.push(user);
            }
            edits.drain(..edits.len().saturating_sub(32));
            if any(3) > 0 {
                continue;
            }
            history = looked(&history, &edits, (generation, &now.0, &now.1));
            assert_eq!(looked(&history, &edits, (generation, &now.0, &now.1)), history);
            assert!(history.len() <= KEPT);
            assert_eq!(super::state(history.last().unwrap()), (Some(&*now.0), Some(&*now.1)));
            let mut rest = was.iter();
            let own = |entry: &HistoryEntry| (entry.version.clone().unwrap(), entry.digest.clone().unwrap());
            let mut told: Vec<_> = history.iter().map(own).collect();
            told.dedup();
            assert!(told.iter().all(|one| rest.any(|was| was == one)), "{told:?} of {was:?}");
            for writer in &writers {
                assert!(history.iter().any(|entry| entry.user.as_ref() == Some(writer)), "{writer}");
            }
        }
    }
}
