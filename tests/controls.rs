//! Every control against its fixtures: what passes, what is refused, what stays open, and in which words.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its input has failed")]

#[expect(unreachable_pub, reason = "several tests share it")]
mod fixtures;

use std::collections::BTreeSet;

use fixtures::{Fixture, Said, Verdict, all, base, carried, folder, names};
use portcullis::gather::objects::CARRIERS;
use portcullis::policy::control::Verdict as Found;
use portcullis::policy::{ALL, Finding};
use portcullis::render::words;
use serde_json::json;

/// Set to write the snapshots instead of comparing them.
const BLESS: &str = "PORTCULLIS_BLESS";

/// Faults that no change of a manifest mends, by control or by fixture, and who or what it takes.
const PERSON: &[(&str, &str)] = &[
    ("image-signature-trusted", "only the holder of a key signs, and only those who keep trust widen it"),
    ("provenance-and-sbom/deny-no-bill-of-materials", "only the holder of a key vouches for what is inside"),
    ("provenance-and-sbom/deny-no-provenance", "only the holder of a key vouches for how it was built"),
    ("enforcement-integrity/deny-unreadable-key", "the key itself has to be found again"),
    (
        "enforcement-integrity/deny-more-signatures-than-authorities",
        "who signs is decided by those who keep trust",
    ),
    ("trust-roots-managed/deny-ended", "a new key has to be made and used"),
    ("trust-roots-managed/deny-revoked-model", "another version of the model has to be made"),
    ("trust-roots-managed/deny-withdrawn-supplier", "another model has to be chosen"),
    (
        "supplier-assured/deny-suspended",
        "another component has to be chosen, or an exemption approved by others",
    ),
    ("model-digest-pinned/deny-no-source", "the model has to be put where the pod can mount it"),
    ("model-digest-pinned/deny-signed-late", "a new version has to be checked and signed"),
    ("safe-model-loading/deny-file-with-code", "the weights have to be converted"),
    ("safe-model-loading/deny-pickle", "the weights have to be converted"),
    ("safe-model-loading/deny-fetched-and-run", "the image has to be built anew with the program in it"),
    ("safe-model-loading/deny-installed-at-start", "the image has to be built anew with the program in it"),
    ("functional-validation-current/deny-threshold-missed", "the model itself falls short"),
    ("robustness-evidence-current/deny-benchmark-fell", "the model itself falls short"),
    ("maintenance-plan-current/deny-debt-overdue", "what is owed has to be settled"),
    (
        "prompt-integrity/deny-inline",
        "the text has to become an object of its own, with an author and a reviewer",
    ),
    ("prompt-integrity/deny-brought-under-a-prefix", "somebody has to register the text"),
    ("prompt-integrity/deny-other-key-brought", "which of the texts is meant is known to their author"),
    ("prompt-integrity/deny-other-key", "which of the texts is meant is known to their author"),
    ("dataset-boundary/deny-too-sensitive", "the data has to move to another namespace"),
    ("dataset-boundary/deny-training-data", "the data has to move to another namespace"),
    ("storage-encrypted/deny-other-class", "the data has to move to another volume"),
    ("declared-workloads-only/deny-quarantined", "whether a quarantine ends is judged by people"),
    (
        "declared-workloads-only/deny-two-declarations",
        "which of the two declarations goes is decided by their owners",
    ),
    (
        "least-privilege-rbac/deny-all-accounts",
        "who else needs the right is known to those who keep the cluster",
    ),
    (
        "least-privilege-rbac/deny-everybody-signed-in",
        "who else needs the right is known to those who keep the cluster",
    ),
    (
        "least-privilege-rbac/deny-group-of-namespace",
        "who else needs the right is known to the owners of the namespace",
    ),
    ("awareness-and-training-current/deny-bulletin-too-old", "somebody has to write bulletins more often"),
    ("declared-workloads-only/deny-claim-not-registered", "somebody has to say what lies on the claim"),
    ("declared-workloads-only/deny-volume-by-driver", "somebody has to say what the driver brings"),
    ("prompt-integrity/deny-rules-replaced", "somebody knows what the other file is for"),
    ("exposure-declared/deny-route-in-the-clear", "whoever runs the gateway names a listener with TLS"),
    ("secrets-not-inline/deny-config-map", "somebody has to take the credential out of the map"),
    ("asset-documentation-complete/deny-bulletin-names-the-model", "somebody has to review the model"),
    ("awareness-and-training-current/deny-bulletins-too-rare", "somebody has to write bulletins more often"),
    ("dataset-integrity/deny-other-bytes", "somebody has to restore what was sealed"),
    (
        "disclosure-policy-published/deny-bulletin-names-what-runs",
        "somebody has to choose what replaces the model",
    ),
    ("disclosure-policy-published/deny-bulletin-without-weakness", "somebody has to say what is weak"),
    ("enforcement-integrity/deny-justification-not-there", "somebody justifies it to others"),
    ("enforcement-integrity/deny-justification-of-another-state", "somebody justifies it to others"),
    ("human-oversight-designed/deny-group-without-the-right", "an administrator has to grant the right"),
    ("incident-plan-ready/deny-terms-without-contract", "somebody has to agree it in a contract"),
    ("io-guardrails/deny-route-elsewhere", "whoever runs the gateway says where the route leads"),
    ("io-logging-sink/deny-internal-states-anywhere", "somebody chooses a sink"),
    ("io-logging-sink/deny-internal-states-open", "somebody chooses a sink"),
    ("owners-accountable/deny-dataset-without-owner", "somebody has to answer for the data"),
    ("patch-currency/deny-no-fix-and-nobody-told", "somebody tells those whom it concerns"),
    ("pod-hardened/deny-administers-devices", "another claim is written"),
    ("pod-hardened/deny-claim-kept-for-the-runtime", "those who keep the cluster take the volume away"),
    ("pod-hardened/deny-claim-of-the-node", "those who keep the cluster take the volume away"),
    ("prompt-integrity/deny-by-a-variable", "somebody has to register the text"),
    ("prompt-integrity/deny-field-in-its-place", "somebody knows what the other file is for"),
    ("prompt-integrity/deny-from-an-annotation", "somebody has to register the text"),
    ("prompt-integrity/deny-joined-words", "somebody has to register the text"),
    ("prompt-integrity/deny-template-from-a-plain-map", "somebody has to register the text"),
    ("prompt-integrity/deny-template-in-the-image", "somebody has to take the text out of the image"),
    ("purpose-and-design-recorded/deny-acquired-otherwise", "somebody has to say how the model was come by"),
    ("resource-bounds/deny-every-device", "somebody knows how many devices the work needs"),
    ("resource-bounds/deny-too-large", "somebody divides the work"),
    ("resource-bounds/deny-too-many-devices", "somebody divides the work"),
    ("robustness-evidence-current/deny-benchmark-crept-down", "the model is mended"),
    ("safe-model-loading/deny-kind-that-can-carry-code", "somebody has to convert the weights"),
    ("safe-model-loading/deny-pickle-in-the-layers", "somebody has to convert the weights"),
    (
        "security-assessment-current/deny-condition-is-no-control",
        "somebody has to say which control meets the condition",
    ),
    ("supplier-assured/deny-assurance-for-another-risk", "the supplier has to answer"),
    ("supplier-assured/deny-image-of-a-suspended-supplier", "another image has to be found"),
    ("supplier-assured/deny-image-of-nobody", "those who buy have to name who made it"),
    ("threat-model-current/deny-route-without-a-name", "somebody has to name the route"),
    ("trust-roots-managed/deny-signing-key-in-a-pod", "the key has to be kept elsewhere"),
    ("update-revalidated/deny-program-not-tried", "somebody tries the new program"),
];

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
            Verdict::Deny | Verdict::Warn => drop(violated.insert(fixture.control.as_str())),
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
fn what_is_only_warned_of_refuses_nobody_under_any_profile() {
    let mut seen = 0;
    for fixture in all().into_iter().filter(|fixture| fixture.verdict == Verdict::Warn) {
        for base in ["code", "strict"] {
            let mut world = fixture.world.clone();
            world.objects.push(json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIProfile",
                "metadata": {"name": format!("all-of-{base}")}, "spec": {"base": base}}));
            let said = world.judged();
            let of =
                |findings: &[Finding]| findings.iter().filter(|f| f.control.id == fixture.control).count();
            let refused: usize = said.iter().map(|said| of(&said.decision.refused)).sum();
            let warned: usize = said.iter().map(|said| of(&said.decision.warned)).sum();
            assert!(
                refused == 0 && warned > 0,
                "{}/{} under {base}: {}",
                fixture.control,
                fixture.name,
                lines(&said)
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "no fixture shows what is only warned of");
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

/// How many pods there are, and how they spread, is said of the two kinds that keep a service up, and of no single pod.
fn counts_pods(kind: &str, finding: &Finding) -> bool {
    let path = finding.place.path.as_deref().unwrap_or_default();
    matches!(kind, "Deployment" | "StatefulSet")
        && finding.control.id == "failover-ready"
        && ["spec.replicas", "spec.minReplicas", "spec.template.spec.topologySpreadConstraints"]
            .contains(&path)
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
            let found: BTreeSet<String> = said
                .iter()
                .filter(|s| s.kind == carrier.kind)
                .flat_map(Said::findings)
                .filter(|finding| !counts_pods(carrier.kind, finding))
                .map(inside)
                .collect();
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

/// Follows what is printed as the way out of every violation of `control`: changes of fields, commands, objects to apply.
/// Returns what is left when nothing printed helps any more; with nothing left, the fault is mended.
fn follow(fixture: &Fixture) -> Vec<String> {
    let mut world = fixture.world.clone();
    for day in 26..32 {
        let problems = world.manifests().problems;
        if !problems.is_empty() {
            return vec![format!("no API server would take what is printed: {problems:?}")];
        }
        let left: Vec<(String, Finding)> = world
            .judged()
            .iter()
            .flat_map(|said| {
                let on = format!("{}/{}", said.kind, said.name);
                said.findings().map(move |finding| (on.clone(), finding.clone())).collect::<Vec<_>>()
            })
            .filter(|(_, finding)| {
                finding.control.id == fixture.control && finding.verdict == Found::Violated
            })
            .collect();
        let before = world.objects.clone();
        // What is said twice is done once.
        let mut done = BTreeSet::new();
        for (on, finding) in &left {
            let Some(fix) = &finding.fix else { continue };
            let own = fix.edits().iter().any(|edit| edit.object.is_none());
            if done.insert((own.then_some(on), fix.to_string())) {
                world.follow(on, finding, &format!("2026-05-{day}"));
            }
        }
        if left.is_empty() {
            return Vec::new();
        }
        if world.objects == before {
            return left.iter().map(|(on, finding)| format!("{on}: {}", words::one_line(finding))).collect();
        }
    }
    vec!["what is printed is never done with".to_owned()]
}

#[test]
fn what_is_printed_mends_every_fault_that_needs_no_person() {
    let mut wrong = Vec::new();
    let mut mended = 0;
    for fixture in all().into_iter().filter(|fixture| fixture.verdict == Verdict::Deny) {
        let name = format!("{}/{}", fixture.control, fixture.name);
        let person = PERSON.iter().find(|(of, _)| *of == name || *of == fixture.control);
        let left = follow(&fixture);
        match (left.first(), person) {
            (Some(left), None) => wrong.push(format!("{name}: {left}")),
            (Some(_), Some(_)) => {}
            (None, Some((of, _))) if *of == name => {
                wrong.push(format!("{name}: is mended by what is printed"));
            }
            (None, _) => mended += 1,
        }
    }
    assert_none(&wrong);
    assert!(mended > 280, "only {mended} faults were mended");
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
