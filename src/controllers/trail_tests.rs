//! What enters a history, and what is exported of it.

use super::*;
use crate::policy::testing::{Bench, DIGEST};
use crate::policy::trail::{Checker, Line};
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
        standing: Standing::default(),
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
            source: Source::new("replica", u64::try_from(n).unwrap() + 1),
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
    // Nor is that told again which no status keeps any more.
    let forgotten = History { entries: Vec::new(), ..second.clone() };
    let pass = OverallVerdict::Pass;
    let again = looked(&bench, Some((&forgotten, pass)), pass, &noted[..NOTES], 50);
    assert_eq!((again.length, &again.head, &again.heard), (second.length, &second.head, &second.heard));
    let later = looked(&bench, Some((&forgotten, pass)), pass, &noted[NOTES - 1..=NOTES], 60);
    assert_eq!(later.length, second.length + 1);
    let other: Vec<Noted> = noted
        .iter()
        .map(|one| Noted { source: Source::new("other", one.source.sequence), ..one.clone() })
        .collect();
    let of_another = looked(&bench, Some((&forgotten, pass)), pass, &other[..1], 70);
    assert_eq!(of_another.length, second.length + 1, "another replica counts for itself");
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
    assert_eq!(told_of(None, &Namespace::default(), &[], Standing::default(), 0), None, "nothing to tell");
    let first = told_of(None, &bench.namespace, &[], Standing::default(), 0).unwrap();
    assert_eq!(told(&first), ["AIExemption/e counts for pod-hardened, approved by b"]);
    assert_eq!(told_of(Some(&first), &bench.namespace, &[], Standing::default(), 1), Some(first.clone()));
    let over = told_of(Some(&first), &bench.namespace, &[], Standing::default(), 90 * 86400).unwrap();
    assert_eq!(told(&over).last(), Some(&"AIExemption/e counts no longer"));
    bench.namespace.exemptions.clear();
    let gone = told_of(Some(&first), &bench.namespace, &[], Standing::default(), 2).unwrap();
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

/// The history of the namespace of a bench after a look at it.
fn told_of(
    former: Option<&History>,
    namespace: &Namespace,
    ended: &[WorkloadChain],
    standing: Standing,
    second: i64,
) -> Option<History> {
    of_namespace(former, "c", &NamespaceLook { namespace, noted: &[], ended, standing }, at(second))
}

#[test]
fn a_workload_that_is_gone_leaves_the_end_of_its_chain_and_a_few_at_a_look() {
    let ended: Vec<WorkloadChain> = (0..6)
        .map(|n| WorkloadChain {
            name: "n".repeat(253),
            uid: format!("7bd1ee32-8a2b-4e4e-9c3f-1d0c5a4f9e{n:02}"),
            length: 17,
            head: "ab".repeat(32),
        })
        .collect();
    let first = told_of(None, &Namespace::default(), &ended, Standing::default(), 0).unwrap();
    assert_eq!(first.length, u64::try_from(NOTES).unwrap());
    let entry = &first.entries[0];
    assert!(
        entry.change.starts_with("7bd1ee32-8a2b-4e4e-9c3f-1d0c5a4f9e00 was deleted after 17 entries: nnn")
    );
    assert_eq!(entry.digest, Some(format!("sha256:{}", "ab".repeat(32))));
    let second =
        told_of(Some(&first), &Namespace::default(), &ended[NOTES..], Standing::default(), 1).unwrap();
    assert_eq!(second.length, 6);
}

#[test]
fn many_exemptions_at_once_are_told_over_several_looks() {
    let mut bench = bench(&json!({}));
    for n in 0..20 {
        let exemption = json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIExemption",
            "metadata": {"name": format!("e{n}"), "namespace": "chat"},
            "spec": {"controls": ["pod-hardened"], "subject": {"kind": "AIWorkload", "name": "chat"}, "reason": "r",
                "requestedBy": "a", "approvedBy": "b", "expiresAt": "2027-02-01"}});
        let exemption = serde_json::from_value(exemption).unwrap();
        bench.namespace.exemptions.insert(format!("e{n}"), std::sync::Arc::new(exemption));
    }
    let mut history: Option<History> = None;
    for second in 0..9 {
        let next = told_of(history.as_ref(), &bench.namespace, &[], Standing::default(), second).unwrap();
        assert!(fresh(Some(&next), history.as_ref()).len() <= NOTES);
        history = Some(next);
    }
    assert_eq!(history.unwrap().length, 20, "each once");
}

#[test]
fn what_waits_for_the_export_stays_while_there_is_room_and_what_does_not_is_said() {
    let bench = bench(&json!({"models": [{"name": "m"}]}));
    let workload = &bench.namespace.workloads["chat"];
    let verdicts = [OverallVerdict::Pass, OverallVerdict::Fail];
    let mut history = looked(&bench, None, verdicts[0], &[], 0);
    let turn = |history: &History, n: usize, standing: Standing| {
        let look = Look {
            workload,
            namespace: &bench.namespace,
            cluster: &bench.cluster,
            composition: "c",
            verdict: verdicts[n % 2],
            former: Some(verdicts[(n + 1) % 2]),
            reason: None,
            noted: &[],
            standing,
        };
        of_workload(Some(history), "c", &look, at(i64::try_from(n).unwrap()))
    };
    let waits = Standing { waits: Some(1), lost: None };
    for n in 1..15 {
        history = turn(&history, n, waits);
    }
    assert_eq!((history.length, history.entries.len(), history.unexported), (16, ROOM, None));
    assert_eq!(held(&history, Some(&history), waits), ROOM);
    history = turn(&history, 15, waits);
    assert_eq!((history.entries.len(), history.entries[0].sequence, history.unexported), (ROOM, 2, Some(1)));
    let over = turn(&history, 16, Standing::default());
    assert_eq!((over.entries.len(), over.unexported), (KEPT, None), "what is exported needs no room");
    // The controller ends, and the next one finds entry 2 to be the oldest.
    let lost = Standing { waits: Some(2), lost: Some((1, 1)) };
    let again = turn(&history, 16, lost);
    assert!(told(&again).contains(&"entry 1 dropped before known to be exported"), "{again:?}");
    assert_eq!((again.length, again.entries.len(), again.unexported), (19, ROOM, Some(2)));
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
    let left = left_open(&world, &namespace, at(0));
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((left[0].kind.as_str(), left[0].name.as_str()), ("AIModel", "m"));
    assert!(left[0].open.as_ref().is_some_and(|open| open.contains("copies at m-v1")), "{left:?}");
    let workload = json!({"lifecycle": {"state": "Quarantined"}});
    namespace.workloads.extend(Bench::new("production", "internal").workload(&workload).namespace.workloads);
    let left = left_open(&world, &namespace, at(0));
    let said: Vec<_> = left.iter().map(|stone| (stone.kind.as_str(), stone.name.as_str())).collect();
    assert_eq!(said, [("AIWorkload", "chat"), ("AIModel", "m")]);
    namespace.terminating = true;
    assert!(left_open(&world, &namespace, at(0)).is_empty(), "nothing is asked of what ends already");
}
