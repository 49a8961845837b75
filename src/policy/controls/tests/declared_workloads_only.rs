//! What pods bring that nobody declared.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{DeviceClaim, DeviceRequest};
use crate::policy::testing::{Bench, DIGEST, assert_lines};

fn bench(workload: &Value) -> Bench {
    Bench::new("production", "internal").workload(workload)
}

fn of_volume(volume: &Value) -> Vec<crate::policy::control::Finding> {
    let pod = json!({"containers": [{"name": "c"}], "volumes": [volume]});
    bench(&json!({})).of_pod(&CONTROL, &pod)
}

#[test]
fn an_artifact_with_two_names_is_declared_by_one_of_them() {
    let reference = format!("r.example/m@{DIGEST}");
    let source = json!({"digest": DIGEST, "version": "1", "source": {"kind": "oci", "reference": reference}});
    let pod =
        json!({"containers": [{"name": "c"}], "volumes": [{"name": "m", "image": {"reference": reference}}]});
    for name in ["a", "z"] {
        let bench = bench(&json!({"models": [{"name": "m"}]})).model("m", &source).model(name, &source);
        assert_lines(&bench.of_pod(&CONTROL, &pod), &[]);
    }
    let undeclared = bench(&json!({})).model("m", &source);
    assert_eq!(undeclared.of_pod(&CONTROL, &pod).len(), 1);
}

#[test]
fn volumes_of_drivers_and_copies_of_claims_are_registered() {
    let template = |spec: Value| json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": spec}}});
    for known in [
        json!({"name": "v", "csi": {"driver": "secrets-store.csi.k8s.io"}}),
        json!({"name": "v", "csi": {"driver": "csi.cert-manager.io"}}),
        template(json!({"accessModes": ["ReadWriteOnce"]})),
        json!({"name": "v", "emptyDir": {}}),
    ] {
        assert_lines(&of_volume(&known), &[]);
    }
    for (volume, place) in [
        (
            json!({"name": "v", "csi": {"driver": "model.csi.modelpack.org"}}),
            "csi.driver \"model.csi.modelpack.org\"",
        ),
        (
            template(json!({"dataSource": {"kind": "VolumeSnapshot", "name": "s"}})),
            "ephemeral.volumeClaimTemplate.spec.dataSource \"VolumeSnapshot/s\"",
        ),
        (
            template(
                json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "c", "namespace": "other"}}),
            ),
            "ephemeral.volumeClaimTemplate.spec.dataSourceRef \"PersistentVolumeClaim/c\"",
        ),
        (template(json!({"volumeName": "pv"})), "ephemeral.volumeClaimTemplate.spec.volumeName \"pv\""),
        (
            template(
                json!({"dataSource": {"kind": "PersistentVolumeClaim", "name": "c"}, "volumeName": "pv"}),
            ),
            "ephemeral.volumeClaimTemplate.spec.volumeName \"pv\"",
        ),
        (
            template(json!({"selector": {"matchLabels": {"a": "b"}}})),
            "ephemeral.volumeClaimTemplate.spec.selector \"volumes by their labels\"",
        ),
    ] {
        let line = format!(
            "spec.volumes[0].{place}: brings what nobody registered: its kind of source names no AIModel and no AIDataset"
        );
        assert_lines(&of_volume(&volume), &[line.as_str()]);
    }
    let copy = of_volume(&template(json!({"dataSource": {"kind": "PersistentVolumeClaim", "name": "c"}})));
    assert!(copy[0].detail.starts_with("holds nothing that is known"), "{copy:?}");
}

#[test]
fn what_only_ai_has_is_not_declared_as_supporting() {
    let found = |type_: &str, container: &Value| {
        let bench = bench(&json!({"type": type_}));
        bench
            .of_pod(&CONTROL, &json!({"containers": [container]}))
            .into_iter()
            .map(|one| one.detail)
            .collect::<Vec<_>>()
    };
    let server =
        "runs a model server, and AIWorkload chat-prod/chat is declared as supporting, which is no AI";
    let device = "asks for a device for machine learning, and AIWorkload chat-prod/chat is declared as supporting, which is no AI";
    let claim = "claims a device, and AIWorkload chat-prod/chat is declared as supporting, which is no AI";
    let shown = "is shown devices for machine learning, and AIWorkload chat-prod/chat is declared as supporting, which is no AI";
    let loads = "is told to load \"/m/a\", which is a model or loads one, and AIWorkload chat-prod/chat is declared as supporting, which is no AI";
    let hub = "is told to load \"org/m\", which is a model or loads one, and AIWorkload chat-prod/chat is declared as supporting, which is no AI";
    let file = "is told to load \"/m/a.gguf\", which is a model or loads one, and AIWorkload chat-prod/chat is declared as supporting, which is no AI";
    let library = "is told to load \"transformers\", which is a model or loads one, and AIWorkload chat-prod/chat is declared as supporting, which is no AI";
    let script = "import transformers as t; t.AutoModel.from_pretrained('/m/a')";
    for (container, what) in [
        (json!({"name": "c", "command": ["vllm"], "args": ["serve", "/m"]}), server),
        (json!({"name": "c", "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"]}), server),
        (json!({"name": "c", "command": ["sh", "-c", "exec vllm serve /m"]}), server),
        (json!({"name": "c", "image": format!("r.example/vllm-openai@{DIGEST}")}), server),
        (json!({"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}), device),
        (json!({"name": "c", "resources": {"limits": {"nvidia.com/mig-7g.80gb": "1"}}}), device),
        (json!({"name": "c", "image": format!("docker-proxy.example/vllm-openai@{DIGEST}")}), server),
        (json!({"name": "c", "resources": {"claims": [{"name": "g"}]}}), claim),
        (json!({"name": "c", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]}), shown),
        (json!({"name": "c", "env": [{"name": "MODEL_PATH", "value": "/m/a"}]}), loads),
        (json!({"name": "c", "command": ["python3", "-c", script]}), loads),
        (json!({"name": "c", "env": [{"name": "HF_MODEL_ID", "value": "org/m"}]}), hub),
        (json!({"name": "c", "command": ["env", "X=1", "vllm", "serve", "/m/a"]}), server),
        (json!({"name": "c", "command": ["timeout", "10", "/usr/bin/vllm", "serve", "/m/a"]}), server),
        (json!({"name": "c", "command": ["/srv", "/m/a.gguf"]}), file),
        (json!({"name": "c", "env": [{"name": "W", "value": "/m/a.gguf"}]}), file),
        (
            json!({"name": "c", "command": ["python3", "-c", "import transformers; transformers.pipeline('x')"]}),
            library,
        ),
    ] {
        assert_eq!(found("supporting", &container), [what], "{container}");
        assert_eq!(found("inference", &container), [""; 0], "{container}");
    }
    for container in [
        json!({"name": "c", "command": ["/bin/proxy"], "resources": {"limits": {"cpu": "1"}}}),
        json!({"name": "c", "image": format!("r.example/ollama-exporter@{DIGEST}")}),
        json!({"name": "c", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}, {"name": "MODEL", "value": "gpt"}]}),
        json!({"name": "c", "image": format!("r.example/vllm/router@{DIGEST}")}),
        json!({"name": "c", "image": format!("r.example/vllm-router@{DIGEST}")}),
    ] {
        assert_eq!(found("supporting", &container), [""; 0], "{container}");
    }
}

#[test]
fn a_claim_on_a_network_card_is_no_ai() {
    let found = |class: &str| {
        let mut bench = bench(&json!({"type": "supporting"}));
        let request = DeviceRequest { classes: vec![class.to_owned()], ..DeviceRequest::default() };
        let claim = DeviceClaim { requests: vec![request] };
        bench.namespace.device_claims.insert("ResourceClaim/c".to_owned(), claim);
        let pod = json!({"resourceClaims": [{"name": "card", "resourceClaimName": "c"}],
            "containers": [{"name": "c", "resources": {"claims": [{"name": "card"}]}}]});
        bench.of_pod(&CONTROL, &pod).len()
    };
    assert_eq!((found("sriov-nic.example"), found("gpu.nvidia.com"), found("magnet")), (0, 1, 1));
}

#[test]
fn files_of_a_supporting_pod_are_built_into_its_image() {
    let reference = format!("r.example/site@{DIGEST}");
    let pod =
        json!({"containers": [{"name": "c"}], "volumes": [{"name": "m", "image": {"reference": reference}}]});
    let found = bench(&json!({"type": "supporting"})).of_pod(&CONTROL, &pod);
    assert_eq!(found.len(), 1, "{found:?}");
    let fix = format!("{:?}", found[0].fix);
    assert!(fix.contains("build the files into the image"), "{fix}");
    let source = json!({"digest": DIGEST, "version": "1", "source": {"kind": "oci", "reference": reference}});
    let known = bench(&json!({"type": "supporting"})).model("m", &source).of_pod(&CONTROL, &pod);
    assert_eq!(known.len(), 1, "{known:?}");
    assert!(known[0].detail.starts_with("holds AIModel \"m\", and AIWorkload"), "{known:?}");
}
