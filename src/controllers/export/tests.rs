//! What becomes of entries while the sink takes them, takes them in part, or does not take them.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::api::outcome::{History, HistoryKind};
use crate::policy::trail::{Checked, Checker, append};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn history(entries: i64) -> History {
    let mut history = History::default();
    for n in 0..entries {
        append(&mut history, "c", at(n), HistoryKind::Verdict, format!("change {n}"), None);
    }
    history
}

fn checked(files: &[&Path]) -> Checked {
    let mut checker = Checker::default();
    for file in files {
        std::fs::read_to_string(file).unwrap().lines().for_each(|line| checker.line(line));
    }
    checker.finish(None)
}

#[tokio::test]
async fn lines_that_cannot_be_written_wait_and_the_fault_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later").join("trail.jsonl");
    let export = Export::new(Target::File(path.clone()));
    let history = history(1);
    export.add("c", &history.entries);
    assert!(!export.flush().await);
    let fault = export.fault().unwrap();
    assert!(fault.starts_with("1 entry waits: No such file"), "{fault}");
    assert_eq!(export.standing("c").waits, Some(1));
    std::fs::create_dir(folder.path().join("later")).unwrap();
    assert!(export.flush().await, "it went well after it had failed");
    assert_eq!((export.fault(), export.standing("c").waits), (None, None));
    let text = std::fs::read_to_string(&path).unwrap();
    let line: Line = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(line, Line::new("c", &history.entries[0]));
}

#[tokio::test]
async fn a_full_disk_is_a_fault() {
    let export = Export::new(Target::File("/dev/full".into()));
    export.add("c", &history(1).entries);
    export.flush().await;
    assert!(export.fault().is_some_and(|why| why.contains("No space left")), "{:?}", export.fault());
    assert_eq!(export.standing("c").waits, Some(1));
}

/// Names the folder to a process of this test that may write little.
const FOLDER: &str = "PORTCULLIS_TEST_FULL";

/// A real write that takes a part and then fails: this test again, in a process whose files end at 1 KiB.
#[tokio::test]
async fn of_a_batch_that_does_not_fit_nothing_is_left_and_all_of_it_is_written_later() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        let folder = tempfile::tempdir().unwrap();
        let test = "of_a_batch_that_does_not_fit_nothing_is_left_and_all_of_it_is_written_later";
        let limited = Command::new("bash")
            .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$1\""])
            .arg(std::env::current_exe().unwrap())
            .arg(test)
            .env(FOLDER, folder.path())
            .output()
            .unwrap();
        assert!(limited.status.success(), "{limited:?}");
        let checked = checked(&[&folder.path().join("old"), &folder.path().join("trail.jsonl")]);
        assert_eq!((checked.faults, checked.remnants, checked.entries), (Vec::new(), Vec::new(), 5));
        return;
    };
    let (path, old) = (Path::new(&folder).join("trail.jsonl"), Path::new(&folder).join("old"));
    let (export, history) = (Export::new(Target::File(path.clone())), history(5));
    export.add("c", &history.entries[..2]);
    export.flush().await;
    assert_eq!(export.fault(), None);
    let before = std::fs::read_to_string(&path).unwrap();
    export.add("c", &history.entries[2..]);
    export.flush().await;
    assert!(export.fault().is_some_and(|why| why.contains("File too large")), "{:?}", export.fault());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "a part of a batch was left");
    std::fs::rename(&path, &old).unwrap();
    assert!(export.flush().await);
    assert_eq!(export.fault(), None);
}

#[tokio::test]
async fn a_line_that_ended_in_its_midst_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.jsonl");
    let history = history(3);
    let lines: Vec<String> =
        history.entries.iter().map(|entry| serde_json::to_string(&Line::new("c", entry)).unwrap()).collect();
    std::fs::write(&path, format!("{}\n{}", lines[0], &lines[1][..90])).unwrap();
    let export = Export::new(Target::File(path.clone()));
    // The controller that starts again writes what the status keeps.
    export.repeat("c", 1);
    assert!(export.has_room() && export.is_shed("c"));
    export.refill("c", &history.entries, at(9));
    export.flush().await;
    let checked = checked(&[&path]);
    assert_eq!((checked.faults, checked.entries), (Vec::new(), 3));
    assert_eq!(checked.remnants.len(), 1, "{:?}", checked.remnants);
}

#[tokio::test]
async fn what_has_no_room_comes_from_the_status_and_what_is_not_there_is_told_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later").join("trail.jsonl");
    let export = Export { most: 4, ..Export::new(Target::File(path.clone())) };
    let mut history = history(9);
    export.add("c", &history.entries);
    export.flush().await;
    let fault = export.fault().unwrap();
    assert!(
        fault.contains("4 entries wait, and for those of 1 chains only their statuses have room"),
        "{fault}"
    );
    assert!(!export.has_room());
    std::fs::create_dir(folder.path().join("later")).unwrap();
    export.flush().await;
    // Nothing overtakes what waits for room.
    append(&mut history, "c", at(9), HistoryKind::Verdict, "after", None);
    export.add("c", &history.entries[9..]);
    assert!(export.has_room());
    export.refill("c", &history.entries[6..], at(10));
    assert_eq!(export.standing("c"), Standing { waits: Some(7), lost: Some((5, 6)) });
    let told = export.losses(at(11)).unwrap();
    assert_eq!(told, "entries 5 to 6 dropped before known to be exported, of c");
    assert_eq!(export.losses(at(25 * 3600)), None);
    export.flush().await;
    append(&mut history, "c", at(11), HistoryKind::Trail, dropped(5, 6), None);
    export.add("c", &history.entries[10..]);
    export.told("c");
    assert_eq!(export.standing("c"), Standing { waits: Some(11), lost: None });
    export.flush().await;
    let checked = checked(&[&path]);
    assert_eq!(checked.faults.len(), 1, "{checked:?}");
    let said =
        "entries 5 to 6 are missing, and entry 11 says that they were dropped before they were exported";
    assert!(checked.faults[0].1.ends_with(said), "{checked:?}");
}

#[test]
fn what_went_with_its_status_is_told_as_lost() {
    let export = Export { most: 0, ..Export::new(Target::Stdout) };
    export.add("c", &history(1).entries);
    export.add("d", &history(1).entries);
    export.abandon(|chain| chain == "c", at(0));
    assert!(!export.is_shed("c") && export.is_shed("d"));
    assert_eq!(export.losses(at(1)).as_deref(), Some("entries of c from 1 on, with its status"));
}
