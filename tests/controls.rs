//! Every control against its fixtures: what passes, what is refused, what stays open, and in which words.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its input has failed")]

#[expect(unreachable_pub, reason = "several tests share it")]
mod fixtures;

use std::collections::BTreeSet;

use fixtures::{Fixture, Said, Verdict, all, base, carried, folder, names};
use portcullis::gather::objects::CARRIERS;
use portcullis::policy::control::Verdict as Found;
use portcullis::policy::{ALL, Finding};

/// Set to write the snapshots instead of comparing them.
const BLESS: &str = "PORTCULLIS_BLESS";

fn lines(said: &[Said]) -> String {
    said.iter().map(Said::words).collect()
}

/// Fails with everything that is wrong, not only with the first of it.
#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_base_keeps_every_control() {
    assert_eq!(lines(&base().judged()), "");
}

#[test]
fn a_fixture_shows_what_its_name_says_and_nothing_else() {
    let mut wrong = Vec::new();
    for fixture in all() {
        let said = fixture.world.judged();
        let of = |verdict: Found| -> BTreeSet<&str> {
            said.iter()
                .flat_map(Said::findings)
                .filter(|f| f.verdict == verdict)
                .map(|f| f.control.id)
                .collect()
        };
        let (mut violated, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        match fixture.verdict {
            Verdict::Allow => {}
            Verdict::Deny => drop(violated.insert(fixture.control.as_str())),
            Verdict::Unknown => drop(unknown.insert(fixture.control.as_str())),
        }
        if of(Found::Violated) != violated || of(Found::Unknown) != unknown {
            wrong.push(format!(
                "{}/{}: violated {:?}, unknown {:?}\n{}",
                fixture.control,
                fixture.name,
                of(Found::Violated),
                of(Found::Unknown),
                lines(&said)
            ));
        }
    }
    assert_none(&wrong);
}

#[test]
fn a_fixture_is_a_small_change() {
    let wrong: Vec<String> = all()
        .iter()
        .filter(|fixture| fixture.changes == 0 || fixture.changes > 6)
        .map(|fixture| format!("{}/{} has {} changes", fixture.control, fixture.name, fixture.changes))
        .collect();
    assert_none(&wrong);
}

#[test]
fn folders_and_controls_name_the_same_set() {
    let implemented: BTreeSet<String> =
        ALL.iter().filter(|control| control.implemented()).map(|control| control.id.to_owned()).collect();
    let found: BTreeSet<String> = names(&folder()).into_iter().collect();
    assert_eq!(found, implemented);
    let all = all();
    for control in implemented {
        for verdict in [Verdict::Allow, Verdict::Deny] {
            let shown = |f: &Fixture| f.control == control && f.verdict == verdict;
            assert!(all.iter().any(shown), "{control} has no fixture for {verdict:?}");
        }
    }
}

#[test]
fn the_words_are_those_of_the_snapshots() {
    let mut wrong = Vec::new();
    let mut wanted = BTreeSet::new();
    for fixture in all().into_iter().filter(|fixture| fixture.verdict != Verdict::Allow) {
        let path = fixture.path.with_extension("txt");
        let words = lines(&fixture.world.judged());
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&path, &words).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != words {
            wrong.push(format!("{} differs from:\n{words}", path.display()));
        }
        wanted.insert(path);
    }
    for control in names(&folder()) {
        for name in names(&folder().join(&control)) {
            let path = folder().join(&control).join(name);
            if path.extension().is_some_and(|end| end == "txt") && !wanted.contains(&path) {
                wrong.push(format!("{} belongs to no fixture", path.display()));
            }
        }
    }
    if !wrong.is_empty() {
        wrong.push(format!("to take the new words: {BLESS}=1 cargo test --test controls"));
    }
    assert_none(&wrong);
}

/// What a finding says, with its place inside the pod.
fn inside(finding: &Finding) -> String {
    let path = finding.place.path.as_deref().unwrap_or_default();
    let ends = ["template.", "Template.", "Master.template."];
    let inner = ends.iter().find_map(|end| path.rfind(end).map(|at| &path[at + end.len()..]));
    let path = if finding.place.object.is_some() { path } else { inner.unwrap_or(path) };
    format!(
        "{} {:?} {:?} {path} {:?} {}",
        finding.control.id, finding.verdict, finding.place.object, finding.place.value, finding.detail
    )
}

#[test]
fn the_same_pod_gives_the_same_findings_in_every_kind() {
    let mut wrong = Vec::new();
    // Some fixtures are about what has no pod.
    for fixture in all().into_iter().filter(|fixture| fixture.world.has("Deployment/chat")) {
        let said = carried(&fixture.world).judged();
        let of_pod: BTreeSet<String> =
            said.iter().filter(|s| s.kind == "Pod").flat_map(Said::findings).map(inside).collect();
        for carrier in CARRIERS.iter().filter(|carrier| !carrier.templates.is_empty()) {
            let found: BTreeSet<String> =
                said.iter().filter(|s| s.kind == carrier.kind).flat_map(Said::findings).map(inside).collect();
            if found != of_pod {
                wrong.push(format!(
                    "{}/{}: {}: {found:#?} but as a pod {of_pod:#?}",
                    fixture.control, fixture.name, carrier.kind
                ));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn a_change_named_in_a_finding_mends_it() {
    let mut wrong = Vec::new();
    let mut mended = 0;
    for fixture in all() {
        for said in fixture.world.judged() {
            let on = format!("{}/{}", said.kind, said.name);
            let changes: Vec<_> =
                said.findings().filter_map(|f| f.fix.as_ref().map(|fix| (f, fix))).collect();
            let mut world = fixture.world.clone();
            let mut applied = BTreeSet::new();
            for (finding, fix) in changes {
                if fix.apply(world.get(&on)) {
                    applied.insert(inside(finding));
                }
            }
            if applied.is_empty() {
                continue;
            }
            let after = world.judged();
            let left: Vec<String> = after
                .iter()
                .filter(|s| s.title() == said.title())
                .flat_map(Said::findings)
                .map(inside)
                .filter(|finding| applied.contains(finding) || finding.starts_with(&fixture.control))
                .collect();
            if left.is_empty() {
                mended += applied.len();
            } else {
                wrong.push(format!("{}/{}: still {left:#?}", fixture.control, fixture.name));
            }
        }
    }
    assert_none(&wrong);
    assert!(mended > 30, "only {mended} findings carried a change");
}

#[test]
fn every_object_of_the_base_is_judged() {
    let kinds: BTreeSet<String> = base().judged().into_iter().map(|said| said.kind).collect();
    let wanted = [
        "AIDataset",
        "AIEvidence",
        "AIGovernance",
        "AIModel",
        "AITrustPolicy",
        "AIWorkload",
        "Deployment",
        "Namespace",
        "NetworkPolicy",
    ];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
}
