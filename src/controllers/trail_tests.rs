//! What enters a history, and what is exported of it.

use super::*;
use crate::policy::testing::{Bench, DIGEST};
use crate::policy::trail::Checker;
use serde_json::{Value, json};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn bench(spec: &Value) -> Bench {
    Bench::new("production", "internal").workload(spec).model("m", &json!({"digest": DIGEST, "version": "1"}))
}

fn looked(
    bench: &Bench,
    former: Option<(&History, OverallVerdict)>,
    verdict: OverallVerdict,
    noted: &[Noted],
    second: i64,
) -> History {
    let workload = &bench.namespace.workloads["chat"];
    let composition = composition::digest(workload, &bench.namespace, &bench.cluster);
    let look = Look {
        workload,
        namespace: &bench.namespace,
        cluster: &bench.cluster,
        composition: &composition,
        verdict,
        former: former.map(|(_, verdict)| verdict),
        reason: (verdict == OverallVerdict::Fail).then_some("pod-hardened"),
        noted,
    };
    of_workload(former.map(|(history, _)| history), "c", &look, at(second))
}

fn told(history: &History) -> Vec<&str> {
    history.entries.iter().map(|entry| entry.change.as_str()).collect()
}

#[test]
fn a_history_tells_what_changed_and_nothing_twice() {
    let (pass, fail) = (OverallVerdict::Pass, OverallVerdict::Fail);
    let first = bench(&json!({"models": [{"name": "m"}]}));
    let one = looked(&first, None, pass, &[], 0);
    assert_eq!(told(&one), ["declared", "pass"]);
    assert_eq!(looked(&first, Some((&one, pass)), pass, &[], 9), one, "nothing new is no entry");
    let other = bench(&json!({"models": [{"name": "m"}], "lifecycle": {"state": "Quarantined"},
        "settings": [{"name": "auth", "secureDefault": "on", "value": "off"}]}));
    let two = looked(&other, Some((&one, pass)), fail, &[], 10);
    assert_eq!(
        told(&two),
        ["declared", "pass", "changed: setting", "Active -> Quarantined", "pass -> fail: pod-hardened"]
    );
    assert_ne!(two.entries[2].digest, one.entries[0].digest);
    let back = looked(&first, Some((&two, fail)), pass, &[], 20);
    assert_eq!(told(&back).last(), Some(&"fail -> pass"));
    assert_eq!((back.length, back.entries.len()), (8, KEPT));
    let mut checker = Checker::default();
    for history in [&one, &two, &back] {
        for entry in &history.entries {
            checker.line(&serde_json::to_string(&Line::new("c", entry)).unwrap());
        }
    }
    let checked = checker.finish(None);
    assert_eq!((checked.faults, checked.entries), (Vec::new(), 8));
}

#[test]
fn what_the_webhook_noted_enters_in_order_and_a_few_at_a_time() {
    let bench = bench(&json!({"models": [{"name": "m"}]}));
    let noted: Vec<Noted> = (0..9)
        .map(|n| Noted {
            at: at(n),
            kind: HistoryKind::BreakGlass,
            change: format!("somebody entered {n} {}", "x".repeat(300)),
            digest: None,
            tombstone: None,
        })
        .collect();
    let first = looked(&bench, None, OverallVerdict::Pass, &[], 0);
    let second = looked(&bench, Some((&first, OverallVerdict::Pass)), OverallVerdict::Pass, &noted, 30);
    assert_eq!(second.length, 2 + u64::try_from(NOTES).unwrap());
    assert!(second.entries.last().unwrap().change.starts_with("somebody entered 3 "));
    assert_eq!(fresh(Some(&second), Some(&first)).len(), NOTES);
    assert!(serde_json::to_vec(&second).unwrap().len() < 2600);
    // A new leader hears the same once more.
    let again =
        looked(&bench, Some((&second, OverallVerdict::Pass)), OverallVerdict::Pass, &noted[..NOTES], 40);
    assert_eq!((again.length, &again.head), (second.length, &second.head));
}

#[test]
fn an_exemption_is_told_of_when_it_begins_and_ceases_to_count() {
    let mut bench = bench(&json!({}));
    let exemption = |until: &str| {
        serde_json::from_value(json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIExemption",
            "metadata": {"name": "e", "namespace": "chat"},
            "spec": {"controls": ["pod-hardened"], "subject": {"kind": "AIWorkload", "name": "chat"}, "reason": "r",
                "requestedBy": "a", "approvedBy": "b", "expiresAt": until}}))
        .unwrap()
    };
    bench.namespace.exemptions.insert("e".to_owned(), std::sync::Arc::new(exemption("2027-02-01")));
    assert_eq!(of_namespace(None, "c", &Namespace::default(), &[], at(0)), None, "nothing to tell");
    let first = of_namespace(None, "c", &bench.namespace, &[], at(0)).unwrap();
    assert_eq!(told(&first), ["AIExemption/e counts for pod-hardened, approved by b"]);
    assert_eq!(of_namespace(Some(&first), "c", &bench.namespace, &[], at(1)), Some(first.clone()));
    let over = of_namespace(Some(&first), "c", &bench.namespace, &[], at(90 * 86400)).unwrap();
    assert_eq!(told(&over).last(), Some(&"AIExemption/e counts no longer"));
    bench.namespace.exemptions.clear();
    let gone = of_namespace(Some(&first), "c", &bench.namespace, &[], at(2)).unwrap();
    assert_eq!(told(&gone).last(), Some(&"1 exemptions that counted were deleted"));
}

#[test]
fn the_composition_to_go_back_to_is_the_last_good_one() {
    let bench = bench(&json!({"models": [{"name": "m"}]}));
    let workload = &bench.namespace.workloads["chat"];
    let ask = |former: Option<&KnownGood>, composition: &str, good, second| {
        known_good(
            former,
            workload,
            &bench.namespace,
            composition,
            good,
            ["i@sha256:1"].into_iter(),
            at(second),
        )
    };
    assert_eq!(ask(None, "one", false, 0), None);
    let one = ask(None, "one", true, 0).unwrap();
    assert_eq!(one.parts, [format!("AIModel/m@{DIGEST}"), "i@sha256:1".to_owned()]);
    assert_eq!(ask(Some(&one), "one", true, 9).unwrap(), one);
    assert_eq!(ask(Some(&one), "two", false, 9).unwrap(), one, "a bad one replaces nothing");
    assert_eq!(ask(Some(&one), "two", true, 9).unwrap().composition_digest, "two");
}

#[tokio::test]
async fn lines_that_cannot_be_written_wait_and_the_fault_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later").join("trail.jsonl");
    let export = Export::new(Target::File(path.clone()));
    let mut history = History::default();
    append(&mut history, "c", at(0), HistoryKind::Verdict, "pass", None);
    export.add("c", &history.entries);
    export.flush().await;
    assert!(export.fault().is_some_and(|why| why.contains("No such file")), "{:?}", export.fault());
    std::fs::create_dir(folder.path().join("later")).unwrap();
    export.flush().await;
    assert_eq!(export.fault(), None);
    let text = std::fs::read_to_string(&path).unwrap();
    let line: Line = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(line, Line::new("c", &history.entries[0]));
}

#[test]
fn tombstones_are_kept_once_and_bounded() {
    let stone =
        |n: usize| Tombstone { kind: "AIModel".to_owned(), name: format!("m{n}"), ..Tombstone::default() };
    let few = tombstones(&[], [stone(1), stone(2), stone(1)].into_iter());
    assert_eq!(few, [stone(1), stone(2)]);
    let many = tombstones(&few, (3..99).map(stone));
    assert_eq!((many.len(), many.last()), (TOMBSTONES, Some(&stone(98))));
}

#[test]
fn what_would_be_left_is_known_before_a_namespace_ends() {
    let mut world = World::default();
    let mut namespace = Bench::new("production", "internal")
        .model(
            "m",
            &json!({"digest": DIGEST, "version": "1", "source": {"kind": "pvc", "claimName": "m-v1"}}),
        )
        .model("free", &json!({"digest": DIGEST, "version": "1"}))
        .namespace;
    world.cluster.namespaces.insert(namespace.name.clone(), namespace.clone());
    let left = open_assets(&world, &namespace, at(0));
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((left[0].kind.as_str(), left[0].name.as_str()), ("AIModel", "m"));
    assert!(left[0].open.as_ref().is_some_and(|open| open.contains("copies at m-v1")), "{left:?}");
    namespace.terminating = true;
    assert!(open_assets(&world, &namespace, at(0)).is_empty(), "nothing is asked of what ends already");
}
