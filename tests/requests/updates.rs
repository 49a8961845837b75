//! What an update of a declaration answers for: the faults that it brings, not those that were there.

use super::*;

/// The judge of a cluster where a profile came later than the declaration `chat`, which does not meet it; and that.
fn later(documented: &mut Documented) -> (Judge, Value) {
    let object = documented.get("AIWorkload/chat");
    let spec = object["spec"].as_object_mut().unwrap();
    for gone in ["guardrails", "monitoring"] {
        spec.remove(gone).unwrap();
    }
    spec.insert(
        "exposure".to_owned(),
        json!([{"name": "api", "port": 8080, "audience": "public", "tls": "server"}]),
    );
    let object = object.clone();
    let mut world = documented.manifests().world;
    let profile = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIProfile", "metadata": {"name": "late"},
        "spec": {"base": "strict"}});
    world.apply(Object::Profile(Box::new(serde_json::from_value(profile).unwrap())));
    (judge(documented, world, &Arc::new(Cluster::default())), object)
}

async fn update(judge: &Judge, old: &Value, new: &Value) -> Answer {
    let mut request = declaring("UPDATE", new, old);
    request["name"] = "chat".into();
    ask(judge, request).await
}

fn patched(object: &Value, patch: &Value) -> Value {
    let mut out = object.clone();
    json_patch::merge(&mut out, patch);
    out
}

#[tokio::test]
async fn a_faulty_workload_can_be_stopped_and_labelled() {
    let mut documented = base();
    let (judge, old) = later(&mut documented);
    let created = ask(&judge, declaring("CREATE", &old, &Value::Null)).await;
    for control in ["exposure-declared", "io-guardrails", "behaviour-monitored"] {
        assert!(created.controls.contains(&control), "{:?}", created.controls);
    }
    for patch in [
        json!({"spec": {"lifecycle": {"state": "Quarantined"}}}),
        json!({"spec": {"lifecycle": {"state": "Retiring"}}}),
        json!({"metadata": {"annotations": {"note": "looked at"}, "labels": {"team": "chat"}}}),
    ] {
        let answer = update(&judge, &old, &patched(&old, &patch)).await;
        assert_eq!(answer.denial, None, "{patch}");
        assert!(answer.warnings.iter().any(|said| said.contains("spec.exposure[0].authn")), "{answer:?}");
    }
}

#[tokio::test]
async fn who_goes_live_again_answers_for_everything() {
    let mut documented = base();
    let (judge, old) = later(&mut documented);
    let stopped = patched(&old, &json!({"spec": {"lifecycle": {"state": "Quarantined"}}}));
    let controls = update(&judge, &stopped, &old).await.controls;
    assert!(controls.contains(&"exposure-declared") && controls.contains(&"io-guardrails"), "{controls:?}");
}

#[tokio::test]
async fn a_new_fault_does_not_hide_behind_an_old_one() {
    let mut documented = base();
    let (judge, old) = later(&mut documented);
    // What is wrong is left as it is, and something else is said.
    let better =
        patched(&old, &json!({"spec": {"oversight": {"outputsExplained": "answers name their page"}}}));
    let answer = update(&judge, &old, &better).await;
    assert_eq!(answer.denial, None);
    let way = |port: u16| json!({"name": "api", "port": port, "audience": "public", "tls": "server"});
    for (what, patch) in [
        ("another port behind the same words", json!({"spec": {"exposure": [way(22)]}})),
        ("a second of the same kind", json!({"spec": {"exposure": [way(8080), way(22)]}})),
        (
            "with the stop of the workload",
            json!({"spec": {"lifecycle": {"state": "Quarantined"}, "exposure": [way(22)]}}),
        ),
    ] {
        let answer = update(&judge, &old, &patched(&old, &patch)).await;
        assert!(answer.controls.contains(&"exposure-declared"), "{what}: {answer:?}");
        assert!(!answer.controls.contains(&"behaviour-monitored"), "{what}: {answer:?}");
        let told = answer.warnings.iter().any(|said| said.contains("spec.guardrails.output: is missing"));
        assert!(told, "the old ones are told: {:?}", answer.warnings);
    }
}
