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

/// Set to write the snapshots instead of comparing them.
const BLESS: &str = "PORTCULLIS_BLESS";

/// Faults that no change of a manifest mends, by control or by fixture, and who or what it takes.
const PERSON: &[(&str, &str)] = &[
    ("action-scope-declared/deny-approval-by-nobody", "OPEN"),
    ("action-scope-declared/deny-no-fail-safe", "OPEN"),
    ("action-scope-declared/deny-undeclared-target", "OPEN"),
    ("action-scope-declared/deny-unreachable-target", "OPEN"),
    ("asset-documentation-complete/deny-bulletin-names-the-model", "somebody has to review the model"),
    ("asset-documentation-complete/deny-limits-not-stated", "OPEN"),
    ("asset-documentation-complete/deny-released-without-design", "OPEN"),
    ("asset-documentation-complete/deny-review-overdue", "OPEN"),
    ("asset-documentation-complete/deny-reviewed-too-rarely", "OPEN"),
    ("awareness-and-training-current/deny-accountable-not-briefed", "OPEN"),
    ("awareness-and-training-current/deny-bulletin-too-old", "OPEN"),
    ("awareness-and-training-current/deny-bulletins-too-rare", "somebody has to write bulletins more often"),
    ("awareness-and-training-current/deny-contractors-not-reached", "somebody has to teach contractors"),
    ("awareness-and-training-current/deny-developers-not-trained", "OPEN"),
    ("awareness-and-training-current/deny-from-a-tenant", "OPEN"),
    ("awareness-and-training-current/deny-how-it-is-taught-not-said", "somebody has to say how it is taught"),
    ("awareness-and-training-current/deny-missing", "OPEN"),
    ("awareness-and-training-current/deny-programme-without-owner", "somebody has to keep the programme"),
    ("awareness-and-training-current/deny-review-overdue", "OPEN"),
    ("behaviour-monitored/deny-no-detector", "OPEN"),
    ("behaviour-monitored/deny-no-drift", "OPEN"),
    ("behaviour-monitored/deny-no-intrusion", "OPEN"),
    ("capability-minimised/deny-no-switch", "OPEN"),
    ("capability-minimised/deny-risky-without-consent", "OPEN"),
    ("capability-minimised/deny-unknown-capability", "OPEN"),
    ("capability-minimised/deny-unused", "OPEN"),
    ("config-change-assessed/deny-departs", "OPEN"),
    ("config-change-assessed/deny-not-covered", "OPEN"),
    ("data-controller-approval/deny-other-dataset", "OPEN"),
    ("data-controller-approval/deny-personal-without-basis", "OPEN"),
    ("dataset-boundary/deny-audience", "OPEN"),
    ("dataset-boundary/deny-copy", "OPEN"),
    ("dataset-boundary/deny-not-declared", "OPEN"),
    ("dataset-boundary/deny-not-listed", "OPEN"),
    ("dataset-boundary/deny-output", "OPEN"),
    ("dataset-boundary/deny-secret-opens-data", "OPEN"),
    ("dataset-boundary/deny-too-sensitive", "OPEN"),
    ("dataset-boundary/deny-training-data", "OPEN"),
    ("dataset-boundary/deny-unknown-dataset", "OPEN"),
    ("dataset-boundary/deny-use", "OPEN"),
    ("dataset-integrity/deny-no-digest", "OPEN"),
    ("dataset-integrity/deny-not-signed", "OPEN"),
    ("dataset-integrity/deny-other-bytes", "somebody has to restore what was sealed"),
    ("dataset-integrity/deny-server-writes", "OPEN"),
    ("declared-workloads-only/deny-claim-not-registered", "OPEN"),
    ("declared-workloads-only/deny-label-not-selected", "OPEN"),
    ("declared-workloads-only/deny-model-not-declared", "OPEN"),
    ("declared-workloads-only/deny-model-not-registered", "OPEN"),
    ("declared-workloads-only/deny-quarantined", "OPEN"),
    ("declared-workloads-only/deny-two-declarations", "OPEN"),
    ("dedicated-service-account/deny-account-of-others", "OPEN"),
    ("dedicated-service-account/deny-cloud-identity-not-declared", "OPEN"),
    ("dedicated-service-account/deny-undeclared-projection", "OPEN"),
    (
        "disclosure-policy-published/deny-bulletin-names-what-runs",
        "somebody has to choose what replaces the model",
    ),
    ("disclosure-policy-published/deny-bulletin-without-weakness", "somebody has to say what is weak"),
    (
        "disclosure-policy-published/deny-community-not-confirmed",
        "somebody has to ask whether it still takes part",
    ),
    ("disclosure-policy-published/deny-no-community", "OPEN"),
    ("disclosure-policy-published/deny-no-contact", "OPEN"),
    ("disposal-evidenced/deny-key-left", "whoever runs the cloud takes the identity away"),
    ("disposal-evidenced/deny-left-behind", "OPEN"),
    ("disposal-evidenced/deny-record-of-another-state", "OPEN"),
    ("downstream-notified/deny-affected-not-reached", "OPEN"),
    ("downstream-notified/deny-users-not-told", "OPEN"),
    ("egress-declared/deny-argument", "OPEN"),
    ("egress-declared/deny-init-container", "OPEN"),
    ("egress-declared/deny-variable", "OPEN"),
    ("egress-declared/deny-wide-range", "OPEN"),
    ("enforcement-integrity/deny-evidence-ahead-of-time", "OPEN"),
    ("enforcement-integrity/deny-evidence-of-no-type", "OPEN"),
    ("enforcement-integrity/deny-justification-not-there", "somebody justifies it to others"),
    ("enforcement-integrity/deny-justification-of-another-state", "somebody justifies it to others"),
    ("enforcement-integrity/deny-more-signatures-than-authorities", "OPEN"),
    ("enforcement-integrity/deny-no-such-control", "OPEN"),
    ("enforcement-integrity/deny-of-itself", "OPEN"),
    ("enforcement-integrity/deny-profile-names-no-control", "OPEN"),
    ("enforcement-integrity/deny-too-long", "OPEN"),
    ("enforcement-integrity/deny-unreadable-key", "OPEN"),
    ("environment-boundary/deny-candidate-model", "OPEN"),
    ("environment-boundary/deny-model-of-others", "OPEN"),
    ("environment-boundary/deny-model-unknown", "OPEN"),
    ("environment-boundary/deny-service-in-research", "OPEN"),
    ("environment-boundary/deny-training-data", "OPEN"),
    ("environment-boundary/deny-use-not-allowed", "OPEN"),
    ("environment-boundary/deny-use-not-stopped", "OPEN"),
    ("exposure-declared/deny-http-route", "OPEN"),
    ("exposure-declared/deny-ingress-in-the-clear", "OPEN"),
    ("exposure-declared/deny-load-balancer", "OPEN"),
    ("exposure-declared/deny-node-port", "OPEN"),
    ("exposure-declared/deny-route-in-the-clear", "OPEN"),
    ("exposure-declared/deny-route-of-another-namespace", "OPEN"),
    ("exposure-declared/deny-tcp-route", "OPEN"),
    ("exposure-declared/deny-undeclared-port", "OPEN"),
    ("failover-ready/deny-critical-alone", "OPEN"),
    ("functional-validation-current/deny-other-use", "OPEN"),
    ("functional-validation-current/deny-threshold-missed", "OPEN"),
    ("human-oversight-designed/deny-agent-without-a-person", "OPEN"),
    ("human-oversight-designed/deny-group-without-the-right", "an administrator has to grant the right"),
    ("human-oversight-designed/deny-no-group", "OPEN"),
    ("human-oversight-designed/deny-none", "OPEN"),
    ("human-oversight-designed/deny-switch-not-tried", "somebody has to try the switch"),
    ("human-oversight-designed/deny-untrained", "OPEN"),
    ("image-digest-pinned/deny-ephemeral-container", "OPEN"),
    ("image-digest-pinned/deny-init-container", "OPEN"),
    ("image-digest-pinned/deny-malformed", "OPEN"),
    ("image-digest-pinned/deny-neither", "OPEN"),
    ("image-digest-pinned/deny-other-algorithm", "OPEN"),
    ("image-digest-pinned/deny-sidecar", "OPEN"),
    ("image-digest-pinned/deny-tag", "OPEN"),
    ("image-signature-trusted/deny-image-volume", "OPEN"),
    ("image-signature-trusted/deny-not-signed", "OPEN"),
    ("image-signature-trusted/deny-registry-not-listed", "OPEN"),
    ("image-signature-trusted/deny-wrong-signer", "OPEN"),
    ("incident-plan-ready/deny-missing", "OPEN"),
    ("incident-plan-ready/deny-no-contact", "OPEN"),
    ("incident-plan-ready/deny-plan-of-another-shape", "somebody has to look at the plan again"),
    ("incident-plan-ready/deny-scenario-left-out", "OPEN"),
    ("incident-plan-ready/deny-terms-without-contract", "somebody has to agree it in a contract"),
    ("interactive-access-blocked/deny-people-may-enter", "OPEN"),
    ("io-guardrails/deny-guard-is-a-model", "OPEN"),
    ("io-guardrails/deny-no-guard", "OPEN"),
    ("io-guardrails/deny-no-input-guard", "OPEN"),
    ("io-guardrails/deny-no-such-container", "OPEN"),
    ("io-guardrails/deny-no-such-service", "OPEN"),
    ("io-guardrails/deny-other-image", "OPEN"),
    ("io-guardrails/deny-past-the-guard", "OPEN"),
    ("io-guardrails/deny-route-elsewhere", "whoever runs the gateway says where the route leads"),
    ("io-logging-sink/deny-internal-states-anywhere", "somebody chooses a sink"),
    ("io-logging-sink/deny-internal-states-open", "somebody chooses a sink"),
    ("io-logging-sink/deny-metadata-by-nobody", "OPEN"),
    ("io-logging-sink/deny-missing", "OPEN"),
    ("io-logging-sink/deny-no-decision", "OPEN"),
    ("io-logging-sink/deny-no-such-container", "OPEN"),
    ("io-logging-sink/deny-no-such-service", "OPEN"),
    ("io-logging-sink/deny-old-decision", "OPEN"),
    ("io-logging-sink/deny-public-without-log", "OPEN"),
    ("io-logging-sink/deny-undeclared-outside", "OPEN"),
    ("known-good-recovery/deny-backup-of-the-model-before", "OPEN"),
    ("known-good-recovery/deny-no-backup", "OPEN"),
    ("least-privilege-rbac/deny-all-accounts", "OPEN"),
    ("least-privilege-rbac/deny-everybody-signed-in", "OPEN"),
    ("least-privilege-rbac/deny-group-of-namespace", "OPEN"),
    ("least-privilege-rbac/deny-other-permissions-weighed", "OPEN"),
    ("least-privilege-rbac/deny-people-read-secrets", "OPEN"),
    ("least-privilege-rbac/deny-people-write-assets", "OPEN"),
    ("least-privilege-rbac/deny-secrets", "OPEN"),
    ("least-privilege-rbac/deny-undeclared", "OPEN"),
    ("least-privilege-rbac/deny-user-name", "OPEN"),
    ("least-privilege-rbac/deny-wildcard", "OPEN"),
    ("log-protection/deny-everybody-reads-logs", "OPEN"),
    ("log-protection/deny-in-the-clear", "OPEN"),
    ("log-protection/deny-kept-for-ever", "OPEN"),
    ("log-protection/deny-sink-for-less", "OPEN"),
    ("log-protection/deny-stdout-of-confidential-data", "OPEN"),
    ("maintenance-plan-current/deny-debt-overdue", "OPEN"),
    ("maintenance-plan-current/deny-exemption-not-in-register", "somebody plans when the debt is paid"),
    ("maintenance-plan-current/deny-no-end", "OPEN"),
    ("metrics-exposed/deny-not-declared", "OPEN"),
    ("metrics-exposed/deny-not-monitored", "OPEN"),
    ("model-digest-pinned/deny-branch", "OPEN"),
    ("model-digest-pinned/deny-no-source", "OPEN"),
    ("model-digest-pinned/deny-signed-late", "OPEN"),
    ("model-signature-trusted/deny-claim-without-signature", "OPEN"),
    ("model-signature-trusted/deny-signed-in-the-future", "OPEN"),
    ("owners-accountable/deny-critical-one-person", "OPEN"),
    ("owners-accountable/deny-dataset-without-owner", "somebody has to answer for the data"),
    ("owners-accountable/deny-made-here", "OPEN"),
    ("owners-accountable/deny-model-without-owner", "OPEN"),
    ("owners-accountable/deny-no-operator", "OPEN"),
    ("owners-accountable/deny-not-confirmed-again", "somebody has to ask the owners"),
    ("owners-accountable/deny-open-model-abandoned", "OPEN"),
    ("owners-accountable/deny-owner-unknown-to-the-organisation", "OPEN"),
    ("owners-accountable/deny-role-missing", "OPEN"),
    ("patch-currency/deny-by-hand", "OPEN"),
    ("patch-currency/deny-no-fix-and-nobody-told", "somebody tells those whom it concerns"),
    ("patch-currency/deny-unsupported", "OPEN"),
    ("pod-hardened/deny-administers-devices", "another claim is written"),
    ("pod-hardened/deny-host-path", "OPEN"),
    ("prompt-integrity/deny-inline", "OPEN"),
    ("prompt-integrity/deny-mutable", "OPEN"),
    ("prompt-integrity/deny-not-registered", "OPEN"),
    ("prompt-integrity/deny-other-text", "OPEN"),
    ("prompt-integrity/deny-template-from-a-plain-map", "somebody has to register the text"),
    ("prompt-integrity/deny-template-in-the-image", "somebody has to take the text out of the image"),
    ("provenance-and-sbom/deny-base-model-unknown", "OPEN"),
    ("provenance-and-sbom/deny-no-bill-of-materials", "OPEN"),
    ("provenance-and-sbom/deny-no-provenance", "OPEN"),
    ("purpose-and-design-recorded/deny-acquired-otherwise", "somebody has to say how the model was come by"),
    ("purpose-and-design-recorded/deny-companions-unknown", "OPEN"),
    ("purpose-and-design-recorded/deny-no-alternative", "OPEN"),
    ("purpose-and-design-recorded/deny-no-need", "OPEN"),
    ("purpose-and-design-recorded/deny-privacy-not-weighed", "OPEN"),
    ("purpose-and-design-recorded/deny-rationale-older-than-threats", "OPEN"),
    ("purpose-and-design-recorded/deny-theme-left-out", "somebody has to weigh the theme"),
    ("rate-limit-set/deny-ingress-that-allows-more", "OPEN"),
    ("rate-limit-set/deny-no-rate", "OPEN"),
    ("rate-limit-set/deny-no-size", "OPEN"),
    ("rate-limit-set/deny-no-such-ingress", "OPEN"),
    ("rate-limit-set/deny-no-such-limiter", "OPEN"),
    ("rate-limit-set/deny-no-such-route", "OPEN"),
    ("rate-limit-set/deny-no-time", "OPEN"),
    ("rate-limit-set/deny-no-tokens", "OPEN"),
    ("rate-limit-set/deny-route-without-a-policy", "OPEN"),
    ("rate-limit-set/deny-traffic-policy-that-allows-more", "OPEN"),
    ("resource-bounds/deny-every-device", "somebody knows how many devices the work needs"),
    ("resource-bounds/deny-no-limit-range", "OPEN"),
    ("resource-bounds/deny-no-quota", "OPEN"),
    ("resource-bounds/deny-too-large", "somebody divides the work"),
    ("resource-bounds/deny-too-many-devices", "somebody divides the work"),
    ("retention-enforced/deny-data-past-its-day", "OPEN"),
    ("retention-enforced/deny-model-past-its-day", "OPEN"),
    ("risk-acceptance-current/deny-acceptance-lapsed", "OPEN"),
    ("risk-acceptance-current/deny-impact-and-standard", "OPEN"),
    ("risk-acceptance-current/deny-relies-on-nothing", "OPEN"),
    ("risk-acceptance-current/deny-threat-without-risk", "OPEN"),
    ("risk-acceptance-current/deny-worth-unknown", "OPEN"),
    ("robustness-evidence-current/deny-benchmark-crept-down", "the model is mended"),
    ("robustness-evidence-current/deny-benchmark-fell", "OPEN"),
    ("robustness-evidence-current/deny-missing", "OPEN"),
    ("robustness-evidence-current/deny-not-qualified", "OPEN"),
    ("robustness-evidence-current/deny-parts-only", "OPEN"),
    ("robustness-evidence-current/deny-route-not-tried", "OPEN"),
    ("safe-model-loading/deny-fetched-by-an-init-container", "OPEN"),
    ("safe-model-loading/deny-file-with-code", "OPEN"),
    ("safe-model-loading/deny-kind-that-can-carry-code", "somebody has to convert the weights"),
    ("safe-model-loading/deny-pickle", "OPEN"),
    ("safe-model-loading/deny-pickle-in-the-layers", "somebody has to convert the weights"),
    ("secrets-not-inline/deny-argument", "OPEN"),
    ("secrets-not-inline/deny-config-map", "OPEN"),
    ("secrets-not-inline/deny-undeclared-secret", "OPEN"),
    ("security-assessment-current/deny-attested-image-failed", "somebody has to assess the image again"),
    ("security-assessment-current/deny-author", "OPEN"),
    (
        "security-assessment-current/deny-condition-is-no-control",
        "somebody has to say which control meets the condition",
    ),
    ("security-assessment-current/deny-image-not-covered", "OPEN"),
    ("storage-encrypted/deny-other-class", "OPEN"),
    ("supplier-assured/deny-assurance-for-another-risk", "the supplier has to answer"),
    ("supplier-assured/deny-device-of-nobody", "OPEN"),
    ("supplier-assured/deny-image-of-a-suspended-supplier", "another image has to be found"),
    ("supplier-assured/deny-image-of-nobody", "those who buy have to name who made it"),
    ("supplier-assured/deny-no-supplier", "OPEN"),
    ("supplier-assured/deny-not-accepted", "OPEN"),
    ("supplier-assured/deny-older-requirements", "the supplier has to accept them"),
    ("supplier-assured/deny-other-place", "OPEN"),
    ("supplier-assured/deny-supplier-unknown", "OPEN"),
    ("supplier-assured/deny-suspended", "OPEN"),
    ("threat-model-current/deny-data-more-sensitive", "OPEN"),
    ("threat-model-current/deny-impact-on-some-only", "somebody has to model the impact"),
    ("threat-model-current/deny-missing", "OPEN"),
    ("threat-model-current/deny-new-exposure", "OPEN"),
    ("threat-model-current/deny-no-motive", "OPEN"),
    ("threat-model-current/deny-route-without-a-name", "somebody has to name the route"),
    ("threat-model-current/deny-said-to-count-for-years", "somebody has to model the threats sooner"),
    ("threat-model-current/deny-too-old", "OPEN"),
    ("threat-model-current/deny-upstream-threat-left-out", "OPEN"),
    ("trust-roots-managed/deny-ended", "OPEN"),
    ("trust-roots-managed/deny-no-end", "OPEN"),
    ("trust-roots-managed/deny-no-owner", "OPEN"),
    ("trust-roots-managed/deny-revoked-model", "OPEN"),
    ("trust-roots-managed/deny-signing-key-in-a-pod", "the key has to be kept elsewhere"),
    ("trust-roots-managed/deny-withdrawn-supplier", "OPEN"),
    ("update-revalidated/deny-program-not-tried", "somebody tries the new program"),
    ("user-guidance-published/deny-no-alternative-use", "OPEN"),
    ("user-guidance-published/deny-older-than-the-card", "OPEN"),
    ("user-guidance-published/deny-section-left-out", "OPEN"),
    ("user-terms-disclosed/deny-capability-undecided", "OPEN"),
    ("user-terms-disclosed/deny-log-kept-longer", "OPEN"),
    ("user-terms-disclosed/deny-nothing-said-of-data", "OPEN"),
    ("user-terms-disclosed/deny-third-party-not-told", "somebody has to publish new terms"),
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

/// Follows what is printed as the way out of every violation of `control`: changes of fields, commands, objects to apply.
/// Returns what is left when nothing printed helps any more; with nothing left, the fault is mended.
fn follow(fixture: &Fixture) -> Vec<String> {
    let mut world = fixture.world.clone();
    for _ in 0..4 {
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
        for (on, finding) in &left {
            if let Some(fix) = &finding.fix {
                world.follow(on, fix);
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
    assert!(mended > 90, "only {mended} faults were mended");
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
