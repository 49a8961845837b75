//! The catalogue is one: order, ids, words and provisions agree.

use std::collections::BTreeSet;

use super::ALL;
use crate::policy::code::{PROVISIONS, provision};

/// Every control of the catalogue, in its order.
const CATALOGUE: [&str; 60] = [
    "namespace-classified",
    "declared-workloads-only",
    "environment-boundary",
    "dataset-boundary",
    "network-default-deny",
    "egress-declared",
    "exposure-declared",
    "storage-encrypted",
    "dedicated-service-account",
    "least-privilege-rbac",
    "secrets-not-inline",
    "interactive-access-blocked",
    "action-scope-declared",
    "image-digest-pinned",
    "image-signature-trusted",
    "model-digest-pinned",
    "model-signature-trusted",
    "safe-model-loading",
    "dataset-integrity",
    "prompt-integrity",
    "provenance-and-sbom",
    "supplier-assured",
    "public-data-validated",
    "trust-roots-managed",
    "pod-hardened",
    "untrusted-artifact-sandboxed",
    "resource-bounds",
    "rate-limit-set",
    "io-guardrails",
    "capability-minimised",
    "config-change-assessed",
    "metrics-exposed",
    "io-logging-sink",
    "log-protection",
    "behaviour-monitored",
    "purpose-and-design-recorded",
    "asset-documentation-complete",
    "audit-trail-kept",
    "user-guidance-published",
    "user-terms-disclosed",
    "security-assessment-current",
    "functional-validation-current",
    "robustness-evidence-current",
    "update-revalidated",
    "owners-accountable",
    "awareness-and-training-current",
    "threat-model-current",
    "risk-acceptance-current",
    "data-controller-approval",
    "disclosure-policy-published",
    "incident-plan-ready",
    "human-oversight-designed",
    "enforcement-integrity",
    "known-good-recovery",
    "failover-ready",
    "maintenance-plan-current",
    "patch-currency",
    "downstream-notified",
    "retention-enforced",
    "disposal-evidenced",
];

#[test]
fn all_is_the_whole_catalogue_in_its_order() {
    let ids: Vec<&str> = ALL.iter().map(|control| control.id).collect();
    assert_eq!(ids, CATALOGUE);
}

#[test]
fn rooms_stand_together() {
    let mut rooms: Vec<_> = ALL.iter().map(|control| control.room).collect();
    rooms.dedup();
    assert_eq!(rooms.len(), rooms.iter().collect::<BTreeSet<_>>().len(), "{rooms:?}");
}

#[test]
fn every_control_says_what_holds_why_and_how() {
    for control in ALL {
        let id = control.id;
        assert!((1..=3).contains(&control.wave), "{id}: wave {}", control.wave);
        for (name, words) in [("title", control.title), ("why", control.why), ("remedy", control.remedy)] {
            assert!((15..=220).contains(&words.len()), "{id}: {name} has {} characters", words.len());
            assert!(!words.ends_with('.'), "{id}: {name} ends with a full stop");
            assert!(!words.contains("  "), "{id}: {name} has a double space");
        }
        if !control.implemented() {
            assert!(!control.gaps.is_empty(), "{id} has no check and does not say what is missing");
        }
        let titles = ALL.iter().filter(|other| other.title == control.title).count();
        assert_eq!(titles, 1, "{id}: the title stands twice");
    }
}

#[test]
fn controls_and_provisions_name_each_other() {
    for control in ALL {
        assert!(!control.provisions.is_empty(), "{} keeps nothing", control.id);
        for gap in control.gaps {
            assert!(!gap.provisions.is_empty(), "{}: {:?} leaves nothing open", control.id, gap.missing);
            for id in gap.provisions {
                assert!(
                    control.provisions.contains(id),
                    "{}: a gap under {id}, which it does not keep",
                    control.id
                );
            }
        }
        for id in control.provisions {
            let found = provision(id);
            assert!(found.is_some(), "{} names {id}, which is no provision", control.id);
            assert!(
                found.is_some_and(|provision| provision.controls.contains(&control.id)),
                "{} keeps {id}, which does not name it",
                control.id
            );
        }
    }
    for provision in PROVISIONS {
        for id in provision.controls {
            let control = ALL.iter().find(|control| control.id == *id);
            assert!(control.is_some(), "{} names {id}, which is no control", provision.id);
            assert!(
                control.is_some_and(|control| control.provisions.contains(&provision.id)),
                "{} is held by {id}, which does not name it",
                provision.id
            );
        }
    }
}
