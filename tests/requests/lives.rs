//! Who turned the state of a workload, and what else of it: what the history of the workload is told.

use super::*;
use portcullis::api::outcome::HistoryKind;

/// What is noted of an update of the base by `patch`, of a declaration that was as `before` makes it.
async fn noted(before: &Value, patch: &Value, dry_run: bool) -> Vec<Change> {
    let mut documented = base();
    let mut old = documented.get("AIWorkload/chat").clone();
    json_patch::merge(&mut old, before);
    let mut new = old.clone();
    json_patch::merge(&mut new, patch);
    json_patch::merge(&mut new, &json!({"metadata": {"uid": "u-1", "generation": 7}}));
    let mut request = declaring("UPDATE", &new, &old);
    request["name"] = "chat".into();
    request["dryRun"] = dry_run.into();
    let heard = Arc::new(Heard::default());
    let world = documented.manifests().world;
    let judge = Judge { sink: heard.clone(), ..judge(&documented, world, &Arc::new(Cluster::default())) };
    let answer = ask(&judge, request).await;
    assert_eq!(answer.denial, None, "{patch}");
    let heard = std::mem::take(&mut *heard.0.lock().unwrap());
    let written = |object: &Value| {
        let mut spec = object["spec"].clone();
        spec["manage"].take();
        spec["owners"]["confirmedAt"].take();
        spec["lifecycle"]["state"].take();
        spec
    };
    for change in &heard {
        let edit = change.edit.as_ref();
        let user = edit.and_then(|edit| edit.user.as_deref());
        assert_eq!(user, (written(&new) != written(&old)).then_some("j.doe"), "{patch}");
        assert!(edit.is_none_or(|edit| (edit.uid.as_str(), edit.generation) == ("u-1", 7)), "{edit:?}");
        assert_eq!((change.namespace.as_str(), change.workload.as_deref()), ("chat-prod", Some("chat")));
        assert_eq!((change.object.as_str(), change.kind), ("AIWorkload/chat", HistoryKind::Lifecycle));
    }
    heard
}

fn said(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.message.as_str()).collect()
}

#[tokio::test]
async fn who_turns_a_workload_stands_in_its_history() {
    let state = |state: &str| json!({"spec": {"lifecycle": {"state": state}}});
    let active = json!({});
    let stopped = noted(&active, &state("Quarantined"), false).await;
    assert_eq!(said(&stopped), ["j.doe: Active -> Quarantined"]);
    let lifted = noted(&state("Quarantined"), &state("Active"), false).await;
    assert_eq!(said(&lifted), ["j.doe: Quarantined -> Active"]);
    assert!(noted(&active, &state("Quarantined"), true).await.is_empty(), "a dry run turns nothing");
    let observed = noted(&active, &json!({"spec": {"manage": "Observe"}}), false).await;
    assert_eq!(said(&observed), ["j.doe: manage Generate -> Observe"]);
    let confirmed = json!({"spec": {"owners": {"confirmedAt": "2026-01-01"}}});
    assert_eq!(said(&noted(&active, &confirmed, false).await), ["j.doe changed who is responsible (owners)"]);
    let owners = noted(&active, &json!({"spec": {"owners": {"security": {"user": "mallory"}}}}), false).await;
    assert_eq!(said(&owners), ["j.doe changed who is responsible (owners)"]);
}

#[tokio::test]
async fn what_else_is_changed_is_told_while_a_workload_is_in_quarantine() {
    let patch = json!({"spec": {"lifecycle": {"supportEnds": "2028-01-01"}, "purpose": {"intendedUse": "another one"}}});
    let usual = noted(&json!({}), &patch, false).await;
    assert_eq!(said(&usual), [""], "only who wrote it is noted");
    assert!(noted(&json!({}), &patch, true).await.is_empty(), "a dry run writes nothing");
    let quarantined = json!({"spec": {"lifecycle": {"state": "Quarantined"}}});
    let told = noted(&quarantined, &patch, false).await;
    assert_eq!(said(&told), ["j.doe changed spec.lifecycle, spec.purpose"]);
    let labels = json!({"metadata": {"labels": {"team": "a"}}});
    assert!(noted(&quarantined, &labels, false).await.is_empty());
    let mut both = patch.clone();
    json_patch::merge(&mut both, &quarantined);
    let told = noted(&json!({}), &both, false).await;
    assert_eq!(said(&told), ["j.doe: Active -> Quarantined", "j.doe changed spec.lifecycle, spec.purpose"]);
}

#[tokio::test]
async fn the_end_of_a_workload_is_told_with_who_asked_for_it_by_its_namespace() {
    let mut documented = base();
    let old = documented.get("AIWorkload/chat").clone();
    let heard = Arc::new(Heard::default());
    let world = documented.manifests().world;
    let judge = Judge { sink: heard.clone(), ..judge(&documented, world, &Arc::new(Cluster::default())) };
    let mut request = declaring("DELETE", &Value::Null, &old);
    request["name"] = "chat".into();
    assert_eq!(ask(&judge, request).await.denial, None);
    let heard = heard.0.lock().unwrap();
    assert_eq!(said(&heard), ["j.doe deleted AIWorkload/chat (Active)"]);
    assert_eq!((heard[0].workload.as_deref(), heard[0].kind), (None, HistoryKind::Asset));
}
