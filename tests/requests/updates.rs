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

/// Old faults are no excuse for who gets the network back, whatever the state is called that gives it back.
#[tokio::test]
async fn a_quarantine_ends_with_a_judgement_of_everything() {
    let mut documented = base();
    let (judge, old) = later(&mut documented);
    let stopped = patched(&old, &json!({"spec": {"lifecycle": {"state": "Quarantined"}}}));
    let by_responder = async |state: Value| {
        let mut request = declaring("UPDATE", &patched(&stopped, &state), &stopped);
        request["name"] = "chat".into();
        request["userInfo"]["groups"] = json!(["chat-ops"]);
        ask(&judge, request).await
    };
    for lifecycle in
        [json!({"state": "Retiring"}), json!({"state": "Planned"}), json!({"state": null}), Value::Null]
    {
        let answer = by_responder(json!({"spec": {"lifecycle": lifecycle}})).await;
        for control in ["exposure-declared", "io-guardrails", "behaviour-monitored"] {
            assert!(answer.controls.contains(&control), "{lifecycle}: {answer:?}");
        }
        let denial = answer.denial.unwrap();
        assert!(
            denial.contains("\nit stays Quarantined, without a network, until all of this is mended"),
            "{denial}"
        );
    }
    // The end opens no network, and answers for what it claims: that nothing is left.
    let answer = by_responder(json!({"spec": {"lifecycle": {"state": "Disposed"}}})).await;
    assert_eq!(answer.controls, ["disposal-evidenced"], "{answer:?}");
    let denial = answer.denial.unwrap();
    assert!(!denial.contains("it stays Quarantined"), "nothing would be opened: {denial}");
    assert!(
        denial.contains("until then: set spec.lifecycle.state of AIWorkload chat-prod/chat: \"Quarantined\""),
        "{denial}"
    );
    let emptied = json!({"spec": {"models": null, "datasets": null, "prompts": null, "secrets": null, "externalApis": null}});
    let (before, end) = (patched(&stopped, &emptied), json!({"spec": {"lifecycle": {"state": "Disposed"}}}));
    let mut request = declaring("UPDATE", &patched(&before, &end), &before);
    request["userInfo"]["groups"] = json!(["chat-ops"]);
    let answer = ask(&judge, request.clone()).await;
    assert_eq!(answer.denial, None, "{answer:?}");
    // It is brought about by who acts in incidents.
    request["userInfo"]["groups"] = json!([]);
    assert_eq!(ask(&judge, request).await.controls, ["incident-plan-ready"]);
}

/// The labels by which a quarantine finds its pods stay on them.
#[tokio::test]
async fn a_pod_is_not_labelled_out_of_its_quarantine() {
    let documented = base();
    let mut world = documented.manifests().world;
    let mut other = workload("other", &json!({"app": "other"}));
    other["spec"]["type"] = "supporting".into();
    let apply = |world: &mut World, object: &Value| {
        world.apply(Object::Workload(Box::new(serde_json::from_value(object.clone()).unwrap())));
    };
    apply(&mut world, &other);
    let judge = judge(&documented, world, &Arc::new(Cluster::default()));
    let quarantined = |state: &str| {
        let mut chat = workload("chat", &json!({"app": "chat"}));
        chat["spec"]["lifecycle"] = json!({"state": state});
        apply(&mut judge.world.write().unwrap(), &chat);
    };
    let pod = running(&documented, "chat-0", &json!({}));
    let relabel =
        async |labels: Value| {
            let after = patched(&pod, &json!({"metadata": {"labels": labels}}));
            let answer = ask(&judge, json!({
            "uid": "u", "operation": "UPDATE", "name": "chat-0", "namespace": "chat-prod", "dryRun": true,
            "kind": {"group": "", "kind": "Pod"}, "resource": {"group": "", "resource": "pods"},
            "userInfo": {"username": "j.doe"}, "object": after, "oldObject": pod,
        }))
        .await;
            answer.denial.unwrap_or_default()
        };
    let kept = "are not those of AIWorkload \"chat\" any more, whose quarantine holds for this pod";
    quarantined("Quarantined");
    for labels in [json!({"app": "other"}), json!({"app": null})] {
        let denial = relabel(labels.clone()).await;
        assert!(denial.contains(kept), "{labels}: {denial}");
    }
    assert_eq!(relabel(json!({"note": "seized"})).await, "", "what does not select it may change");
    quarantined("Active");
    let denial = relabel(json!({"app": "other"})).await;
    assert!(!denial.contains(kept), "{denial}");
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
