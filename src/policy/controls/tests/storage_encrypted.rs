//! What `storage-encrypted` finds, and what it lets pass.

use serde_json::json;

use super::CONTROL;
use crate::policy::facts::Claim;
use crate::policy::testing::{Bench, assert_fixed, assert_lines};

fn bench(class: &str, listed: &str) -> Bench {
    let mut bench = Bench::new("production", "confidential")
        .workload(&json!({}))
        .dataset("d", &json!({"sensitivity": "confidential", "source": {"kind": "pvc", "claimName": "c"}}));
    bench
        .namespace
        .claims
        .insert("c".into(), Claim { storage_class: Some(class.to_owned()), ..Claim::default() });
    if !listed.is_empty() {
        bench.settings.parameters.insert("storage.encryptedClasses".into(), vec![listed.to_owned()]);
    }
    bench
}

#[test]
fn sensitive_data_lies_in_a_class_that_encrypts() {
    let pod =
        json!({"containers": [], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]});
    assert_lines(&bench("fast", "slow, fast").of_pod(&CONTROL, &pod), &[]);
    assert_lines(
        &bench("standard", "slow, fast").of_pod(&CONTROL, &pod),
        &[
            "PersistentVolumeClaim chat-prod/c spec.storageClassName \"standard\": holds AIDataset chat-prod/d, which is \
           confidential, and is not listed as encrypting: slow, fast [may arrive]",
        ],
    );
    assert_lines(
        &bench("fast", "").of_pod(&CONTROL, &pod),
        &[
            "spec.volumes[0] \"c\": holds AIDataset chat-prod/d, and no AIProfile says which storage classes encrypt [unknown] [may \
           arrive]",
        ],
    );
    let mut gone = bench("fast", "fast");
    gone.namespace.claims.clear();
    assert_eq!(gone.of_pod(&CONTROL, &pod).len(), 1);
}

#[test]
fn what_is_written_beside_it_stays_in_memory() {
    let bench = bench("fast", "fast");
    let pod = json!({"containers": [], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}},
                                                   {"name": "s", "emptyDir": {}}]});
    assert_lines(
        &bench.of_pod(&CONTROL, &pod),
        &[
            "spec.volumes[1].emptyDir.medium \"\": leaves what is written beside confidential data on the disk of the node",
        ],
    );
    assert_fixed(&bench, &CONTROL, &pod, &json!({}));
    let alone = json!({"containers": [], "volumes": [{"name": "s", "emptyDir": {}}]});
    assert_lines(&bench.of_pod(&CONTROL, &alone), &[]);
}

#[test]
fn results_written_beside_it_lie_in_such_a_class_too() {
    let mut bench = bench("fast", "fast");
    let standard = Claim { storage_class: Some("standard".to_owned()), ..Claim::default() };
    bench.namespace.claims.insert("results".into(), standard);
    let pod = |read_only: bool| {
        json!({"containers": [{"name": "a", "volumeMounts": [{"name": "v", "mountPath": "/d", "readOnly": true},
                                                             {"name": "r", "mountPath": "/r", "readOnly": read_only}]}],
               "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}},
                           {"name": "r", "persistentVolumeClaim": {"claimName": "results"}}]})
    };
    assert_lines(
        &bench.of_pod(&CONTROL, &pod(false)),
        &[
            "PersistentVolumeClaim chat-prod/results spec.storageClassName \"standard\": holds what is written beside sensitive \
           data, which is confidential, and is not listed as encrypting: fast [may arrive]",
        ],
    );
    assert_lines(&bench.of_pod(&CONTROL, &pod(true)), &[]);
}
