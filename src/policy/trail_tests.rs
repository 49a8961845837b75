//! What lines of a chain prove.

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
        let head = Head { length: history.length, hash: history.head.clone() };
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
