//! What `storage-encrypted` finds, and what it lets pass.

use serde_json::json;

use super::CONTROL;
use crate::policy::facts::{Claim, Subject};
use crate::policy::testing::{Bench, DIGEST, assert_fixed, assert_lines, lines};

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

#[test]
fn buckets_with_sensitive_data_encrypt() {
    let source = |encryption: &str| {
        let mut source = json!({"kind": "s3", "reference": "s3://b/d"});
        if !encryption.is_empty() {
            source["serverSideEncryption"] = encryption.into();
        }
        source
    };
    let of = |encryption: &str, sensitivity: &str| {
        let data = json!({"sensitivity": sensitivity, "source": source(encryption)});
        let bench = Bench::new("production", "internal")
            .workload(&json!({"datasets": [{"name": "d"}]}))
            .dataset("d", &data);
        let own = lines(&bench.judge(&CONTROL, Subject::Dataset(&bench.namespace.datasets["d"])));
        let pod = lines(&bench.of_pod(&CONTROL, &json!({"containers": []})));
        assert_eq!(own.len(), pod.len());
        own
    };
    assert_eq!(of("own", "confidential"), [""; 0]);
    assert_eq!(of("", "internal"), [""; 0]);
    assert_eq!(
        of("none", "restricted"),
        [
            "AIDataset chat-prod/d spec.source.serverSideEncryption \"none\": leaves restricted data readable in the bucket"
        ]
    );
    assert_eq!(of("", "confidential").len(), 1);
    let bench =
        Bench::new("production", "confidential").model("m", &json!({"digest": DIGEST, "source": source("")}));
    assert_eq!(bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"])).len(), 1);
}
