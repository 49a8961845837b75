//! What lines of a chain prove.

use std::collections::BTreeMap;

use super::*;

fn written(entries: usize) -> (History, Vec<String>) {
    let mut history = History::default();
    let chain = of_workload("a", "chat", "u");
    for n in 0..entries {
        let at = Timestamp::from_second(1_800_000_000 + i64::try_from(n).unwrap()).unwrap();
        append(&mut history, &chain, at, HistoryKind::Verdict, format!("change {n}"), None);
    }
    let lines = history.entries.iter().map(|e| serde_json::to_string(&Line::new(&chain, e)).unwrap());
    let lines = lines.collect();
    (history, lines)
}

fn checked(lines: &[String], head: Option<&History>) -> Checked {
    let mut checker = Checker::default();
    for line in lines {
        checker.line(line);
    }
    let heads = head.map(|history| {
        let head = Head::of(history);
        BTreeMap::from([(of_workload("a", "chat", "u"), head)])
    });
    checker.finish(heads.as_ref())
}

fn only_fault(lines: &[String], head: Option<&History>) -> (u64, String) {
    let mut checked = checked(lines, head);
    assert_eq!(checked.faults.len(), 1, "{:?}", checked.faults);
    checked.faults.remove(0)
}

#[test]
fn whole_chains_hold_repeated_entries_and_other_lines_included() {
    let (history, mut lines) = written(5);
    lines.insert(2, "{\"level\":\"info\",\"message\":\"all is well\"}".to_owned());
    lines.extend_from_within(4..6);
    let checked = checked(&lines, Some(&history));
    assert_eq!((checked.faults.len(), checked.entries, checked.other, checked.chains), (0, 5, 1, 1));
}

#[test]
fn what_breaks_a_chain_is_named_with_its_line() {
    let (history, lines) = written(5);
    let mut altered = lines.clone();
    altered[2] = altered[2].replace("change 2", "change 9");
    let (line, said) = only_fault(&altered, None);
    assert_eq!(line, 3);
    assert!(said.contains("entry 3 of AIWorkload/a/chat/u was altered"), "{said}");

    let mut missing = lines.clone();
    missing.remove(2);
    let (line, said) = only_fault(&missing, None);
    assert!(line == 3 && said.ends_with("entry 3 is missing"), "{line}: {said}");

    let mut reordered = lines.clone();
    reordered.swap(2, 3);
    let faults = checked(&reordered, None).faults;
    assert!(faults[0].0 == 3 && faults[1].1.contains("lines were reordered"), "{faults:?}");

    let (line, said) = only_fault(&lines[..3], Some(&history));
    assert!(
        line == 0 && said.contains("ends with entry 3 on line 3, and by its status there are 5"),
        "{said}"
    );
    let (_, said) = only_fault(&[], Some(&history));
    assert!(said.contains("none of them is here"), "{said}");

    let mut cut = lines.clone();
    cut[4].truncate(40);
    let (line, said) = only_fault(&cut, None);
    assert!(line == 5 && said.contains("no entry that can be read"), "{said}");
}

#[test]
fn a_forged_entry_does_not_fit_between_its_neighbours() {
    let (_, lines) = written(4);
    let mut forged: Line = serde_json::from_str(&lines[1]).unwrap();
    forged.entry.change = "nothing happened".to_owned();
    forged.hash = hash(&forged.chain, &forged.entry);
    let mut lines = lines;
    lines[1] = serde_json::to_string(&forged).unwrap();
    let (line, said) = only_fault(&lines, None);
    assert!(line == 3 && said.contains("continues"), "{line}: {said}");
}

#[test]
fn a_chain_without_its_beginning_is_open() {
    let (_, lines) = written(4);
    let checked = checked(&lines[2..], None);
    assert!(checked.faults.is_empty());
    assert!(checked.open[0].contains("starts in the middle, with entry 3"), "{:?}", checked.open);
}

/// The lines of a chain of the same object after its status was lost.
fn anew(change: &str, entries: usize) -> (History, Vec<String>) {
    let (mut history, chain) = (History::default(), of_workload("a", "chat", "u"));
    for n in 0..entries {
        let at = Timestamp::from_second(1_900_000_000 + i64::try_from(n).unwrap()).unwrap();
        let change = if n == 0 { change.to_owned() } else { format!("anew {n}") };
        append(&mut history, &chain, at, HistoryKind::Verdict, change, None);
    }
    let lines = history.entries.iter().map(|e| serde_json::to_string(&Line::new(&chain, e)).unwrap());
    let lines = lines.collect();
    (history, lines)
}

#[test]
fn a_chain_that_begins_again_is_told_as_such() {
    let (_, mut lines) = written(4);
    let (history, more) = anew("declared", 2);
    lines.extend(more);
    let again = checked(&lines, Some(&history));
    assert!(again.faults.is_empty() && again.open.is_empty(), "{again:?}");
    assert_eq!((again.restarts.len(), again.entries), (1, 6));
    let (line, said) = &again.restarts[0];
    assert!(
        *line == 5
            && said.ends_with("begins again after entry 4 of line 4: the history before it cannot be linked")
    );
    // Its own first entry, out of place, is no new beginning.
    let (_, mut lines) = written(3);
    lines.swap(0, 1);
    let reordered = checked(&lines, None);
    assert!(reordered.restarts.is_empty(), "{reordered:?}");
    assert!(reordered.faults[0].1.contains("lines were reordered"), "{reordered:?}");
}

#[test]
fn a_chain_that_begins_late_says_so() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let now = at("2026-06-01T10:00:00Z");
    assert_eq!(beginning(Some(at("2026-06-01T09:30:00Z")), now), "declared");
    assert_eq!(beginning(None, now), "declared");
    let late = beginning(Some(at("2026-05-01T09:30:00Z")), now);
    let (history, lines) = anew(&late, 2);
    let checked = checked(&lines, Some(&history));
    assert!(checked.faults.is_empty() && checked.restarts.is_empty(), "{checked:?}");
    assert!(checked.late[0].contains("which was declared on 2026-05-01"), "{checked:?}");
}

fn told(checked: &Checked) -> Vec<&str> {
    checked.faults.iter().map(|(_, said)| said.as_str()).collect()
}

#[test]
fn what_is_left_of_an_entry_is_named_and_takes_no_other_with_it() {
    let (history, lines) = written(5);
    // It was not written whole, and the controller that started again wrote what the status keeps.
    let mut again = lines[..3].to_vec();
    again.push(lines[3][..120].to_owned());
    again.extend_from_slice(&lines[1..]);
    let found = checked(&again, Some(&history));
    assert!(found.faults.is_empty(), "{found:?}");
    let said = "is left of an entry that was not written whole, and stands whole on line 7".to_owned();
    assert_eq!((found.remnants, found.entries), (vec![(4, said)], 5));
    // Its end came before that of the one whose beginning is left: it is known by its place.
    let mut before = lines.clone();
    before.push(lines[3][..120].to_owned());
    let found = checked(&before, Some(&history));
    let said = "is left of entry 4 of AIWorkload/a/chat/u, which stands whole elsewhere".to_owned();
    assert_eq!((found.faults.len(), found.remnants), (0, vec![(6, said)]));
    // Earlier versions wrote the next entry behind it.
    let mut glued = lines[..3].to_vec();
    glued.push(format!("{}{}", &lines[3][..120], lines[3]));
    glued.push(lines[4].clone());
    let found = checked(&glued, Some(&history));
    assert_eq!((found.faults.len(), found.remnants.len(), found.entries), (0, 1, 5), "{found:?}");
    // An entry that nobody wrote again is missing.
    let mut lost = lines[..3].to_vec();
    lost.push(lines[3][..120].to_owned());
    lost.push(lines[4].clone());
    let found = checked(&lost, Some(&history));
    assert!(told(&found)[0].starts_with("is no entry that can be read: it ends in its midst"), "{found:?}");
    assert!(told(&found)[1].ends_with("entry 4 is missing"), "{found:?}");
}

#[test]
fn what_a_controller_writes_again_may_begin_before_the_file() {
    let (history, lines) = written(12);
    let mut rotated = lines[8..10].to_vec();
    rotated.extend_from_slice(&lines[5..]);
    let found = checked(&rotated, Some(&history));
    assert!(found.faults.is_empty(), "{found:?}");
    assert!(found.open[0].contains("starts in the middle, with entry 6"), "{found:?}");
    assert_eq!(found.entries, 7);
    // What does not lead up to where the file begins was moved.
    for broken in [vec![8, 9, 7, 10, 11], vec![8, 9, 5, 6, 8, 10], vec![8, 9, 5, 6]] {
        let moved: Vec<String> = broken.iter().map(|n| lines[*n].clone()).collect();
        let found = checked(&moved, None);
        assert!(
            told(&found).iter().any(|said| said.contains("lines were reordered")),
            "{broken:?} {found:?}"
        );
    }
}

#[test]
fn a_beginning_that_was_never_exported_is_told_as_far_as_can_be_told() {
    let (mut history, lines) = written(9);
    let why = |from: usize, history: &History| checked(&lines[from..], Some(history)).open.remove(0);
    let older = "it was never exported, or stands in an older file, to be given before this one";
    assert!(why(2, &history).ends_with(older), "{}", why(2, &history));
    history.entries.drain(..3);
    let never = "as far as can be told it was never exported, since they begin with the oldest entry that its status keeps";
    assert!(why(3, &history).ends_with(never), "{}", why(3, &history));
    // The chain itself may know.
    let (mut history, chain) = (History::default(), of_workload("a", "chat", "u"));
    for n in 0..4 {
        append(&mut history, &chain, Timestamp::UNIX_EPOCH, HistoryKind::Verdict, format!("{n}"), None);
    }
    append(&mut history, &chain, Timestamp::UNIX_EPOCH, HistoryKind::Trail, dropped(1, 2), None);
    let lines = history.entries[2..].iter().map(|e| serde_json::to_string(&Line::new(&chain, e)).unwrap());
    let found = checked(&lines.collect::<Vec<_>>(), Some(&history));
    let said = "entry 5 says that it was dropped before it was known to be exported";
    assert!(found.faults.is_empty() && found.open[0].ends_with(said), "{found:?}");
}

#[test]
fn the_end_of_a_workload_is_asked_for_where_its_namespace_tells_of_it() {
    let (history, lines) = written(5);
    let with = |kept: &[String], length: u64, head: &str| {
        let (mut own, chain) = (History::default(), of_namespace("a", "n"));
        let digest = Some(format!("sha256:{head}"));
        append(
            &mut own,
            &chain,
            Timestamp::UNIX_EPOCH,
            HistoryKind::Lifecycle,
            deleted("chat", "u", length),
            digest,
        );
        let mut all = kept.to_vec();
        all.push(serde_json::to_string(&Line::new(&chain, &own.entries[0])).unwrap());
        checked(&all, None)
    };
    assert!(with(&lines, 5, &history.head).faults.is_empty());
    let cut = with(&lines[..3], 5, &history.head);
    let said = "entry 1 of AICompliance/a/n tells that AIWorkload/a/chat/u was deleted after 5 entries, and it ends with entry 3 on line 3";
    assert_eq!((told(&cut), cut.faults[0].0), (vec![said], 4));
    let none = with(&[], 5, &history.head);
    assert!(
        told(&none)[0]
            .contains("was deleted after 5 entries, and none of them is here; where files are rotated"),
        "{none:?}"
    );
    let other = with(&lines, 5, &"0".repeat(64));
    assert!(told(&other)[0].contains("was another than the one that stands here"), "{other:?}");
    // One that was seen late, after the controller was away, may name an earlier entry.
    assert!(with(&lines, 4, &hash("AIWorkload/a/chat/u", &history.entries[3])).faults.is_empty());
}

#[test]
fn what_a_chain_says_of_itself_is_read_as_it_was_written() {
    let mut history = History::default();
    for change in
        [dropped(3, 3), dropped(3, 9), "entries 3 to many dropped before known to be exported".to_owned()]
    {
        append(&mut history, "c", Timestamp::UNIX_EPOCH, HistoryKind::Trail, change, None);
    }
    // What a user could have somebody write down says nothing of the chain.
    append(&mut history, "c", Timestamp::UNIX_EPOCH, HistoryKind::Asset, dropped(1, 2), None);
    append(&mut history, "c", Timestamp::UNIX_EPOCH, HistoryKind::Asset, deleted("chat", "u", 3), None);
    append(&mut history, "c", Timestamp::UNIX_EPOCH, HistoryKind::Lifecycle, deleted("chat", "u", 3), None);
    let lost: Vec<_> = history.entries.iter().map(lost).collect();
    assert_eq!(lost, [Some((3, 3)), Some((3, 9)), None, None, None, None]);
    let ended: Vec<_> = history.entries.iter().map(ended).collect();
    assert_eq!(ended, [None, None, None, None, None, Some(("u", 3))]);
}

#[test]
fn lines_of_several_files_are_named_with_their_file() {
    let (history, lines) = written(5);
    let mut checker = Checker::default();
    checker.file("old");
    lines[..2].iter().for_each(|line| checker.line(line));
    checker.file("new");
    lines[3..].iter().for_each(|line| checker.line(line));
    let heads = BTreeMap::from([(of_workload("a", "chat", "u"), Head::of(&history))]);
    let found = checker.finish(Some(&heads));
    assert_eq!(found.files.place(found.faults[0].0), ("new", 1));
    assert!(found.faults[0].1.ends_with("follows entry 2 of line 2 of old: entry 3 is missing"), "{found:?}");
}
