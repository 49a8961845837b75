//! What may be deleted, and what has to stay.

use super::*;

/// What became of a model that is not declared any more.
fn erased() -> Value {
    json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIEvidence",
        "metadata": {"name": "erased", "namespace": "chat-prod"},
        "spec": {"type": "DisposalRecord", "subject": {"kind": "AIModel", "name": "former"}, "issuedAt": "2026-05-30",
            "attestedBy": "a.smith", "facts": {"copies": ["former-v1"]}}})
}

#[tokio::test]
async fn the_record_of_a_model_that_is_gone_stays() {
    let documented = base();
    let mut world = documented.manifests().world;
    let profile = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIProfile", "metadata": {"name": "ends"},
        "spec": {"base": "core", "controls": {"disposal-evidenced": {"production": "enforce"}}}});
    world.apply(Object::Profile(Box::new(serde_json::from_value(profile).unwrap())));
    let judge = judge(&documented, world, &Arc::new(Cluster::default()));
    let delete = |user: &str, record: &Value| {
        json!({
            "uid": "u", "operation": "DELETE", "name": "erased", "namespace": "chat-prod",
            "kind": {"group": "portcullis.dev", "kind": "AIEvidence"},
            "resource": {"group": "portcullis.dev", "resource": "aievidences"},
            "userInfo": {"username": user}, "oldObject": record,
        })
    };
    let denial = ask(&judge, delete("j.doe", &erased())).await.denial.unwrap();
    assert!(denial.contains("AIModel \"former\" is gone, and this record is all that tells"), "{denial}");
    assert!(denial.contains("keep it for as long as its namespace stands"), "{denial}");
    assert_eq!(ask(&judge, delete("operator", &erased())).await.denial, None);
    let mut standing = erased();
    standing["spec"]["subject"]["name"] = "chat-7b".into();
    assert_eq!(ask(&judge, delete("j.doe", &standing)).await.denial, None);
}

#[tokio::test]
async fn a_quarantine_does_not_end_with_its_declaration() {
    let documented = base();
    let judge = judge(&documented, documented.manifests().world, &Arc::new(Cluster::default()));
    let mut chat = workload("chat", &json!({"app": "chat"}));
    let delete = |object: &Value| {
        let mut request = declaring("DELETE", &Value::Null, object);
        request["name"] = "chat".into();
        request
    };
    chat["spec"]["lifecycle"] = json!({"state": "Quarantined"});
    let denial = ask(&judge, delete(&chat)).await.denial.unwrap();
    assert!(denial.contains("spec.lifecycle.state \"Quarantined\": keeps the declaration"), "{denial}");
    assert!(denial.contains("set spec.lifecycle.state"), "{denial}");
    for state in ["Retiring", "Active", "Disposed"] {
        chat["spec"]["lifecycle"]["state"] = state.into();
        assert_eq!(ask(&judge, delete(&chat)).await.denial, None, "{state}");
    }
    // The end of a namespace takes it along.
    chat["spec"]["lifecycle"]["state"] = "Quarantined".into();
    let mut ending = namespace(&GOVERNED);
    ending["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z".into();
    let ending = serde_json::from_value(ending).unwrap();
    judge.world.write().unwrap().apply(Object::Namespace(Box::new(ending)));
    assert_eq!(ask(&judge, delete(&chat)).await.denial, None);
}
