//! What lies behind claims.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{Claim, NodeVolume};
use crate::policy::testing::{Bench, lines};

fn bench(bound: Option<&str>, kept_for: Option<(&str, &str)>) -> Bench {
    let mut bench = Bench::new("production", "internal").workload(&json!({}));
    let claim = Claim { volume: bound.map(str::to_owned), ..Claim::default() };
    bench.namespace.claims.insert("data".to_owned(), claim);
    let claim = kept_for.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
    let known =
        NodeVolume { path: "/etc".to_owned(), why: "is a folder by which a pod rules its node", claim };
    bench.cluster.node_volumes.insert("pv-etc".to_owned(), known);
    bench
}

fn behind(bench: &Bench, volume: &Value) -> Vec<String> {
    let said = lines(&bench.of_pod(&CONTROL, &json!({"containers": [], "volumes": [volume]})));
    said.into_iter().filter(|line| line.contains("PersistentVolume")).collect()
}

#[test]
fn a_claim_leads_to_no_folder_by_which_a_pod_rules_its_node() {
    let mounted = json!({"name": "v", "persistentVolumeClaim": {"claimName": "data"}});
    let at = "spec.volumes[0].persistentVolumeClaim.claimName \"data\"";
    let what = "leads to PersistentVolume \"pv-etc\", whose path \"/etc\" of the node is a folder by which a pod rules its node";
    let said = [format!("{at}: {what}")];
    assert_eq!(behind(&bench(Some("pv-etc"), None), &mounted), said);
    assert_eq!(behind(&bench(Some("pv-etc"), Some(("elsewhere", "data"))), &mounted), said);
    // Not bound yet, and kept for this very claim.
    assert_eq!(behind(&bench(None, Some(("chat-prod", "data"))), &mounted), said);
    for (bound, kept_for) in [
        (None, None),
        (Some("pv-1"), None),
        (None, Some(("elsewhere", "data"))),
        (None, Some(("chat-prod", "other"))),
        // What it is bound to counts, whoever else hopes for it.
        (Some("pv-1"), Some(("chat-prod", "data"))),
    ] {
        assert_eq!(behind(&bench(bound, kept_for), &mounted), [""; 0], "{bound:?} {kept_for:?}");
    }
    let template = |volume: &str| {
        json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {"volumeName": volume,
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}})
    };
    let at = "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.volumeName \"pv-etc\"";
    assert_eq!(behind(&bench(None, None), &template("pv-etc")), [format!("{at}: {what}")]);
    assert_eq!(behind(&bench(None, None), &template("pv-1")), [""; 0]);
}
