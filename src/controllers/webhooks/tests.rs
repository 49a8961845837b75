//! The decisions about a webhook configuration, with plain values.

use super::*;

fn list() -> Vec<Value> {
    desired(
        "- name: a\n  clientConfig: &c {service: {name: s, namespace: n}}\n- {name: b, clientConfig: *c}\n",
    )
    .unwrap()
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

#[test]
fn an_unusable_list_is_never_desired() {
    let told = |yaml: &str| desired(yaml).unwrap_err().label();
    assert_eq!(told("[]"), "webhooks-empty");
    assert_eq!(told("- {clientConfig: {}}"), "webhooks-empty");
    assert_eq!(told("name: a"), "webhooks-parse");
    assert_eq!(told(""), "webhooks-empty");
    assert_eq!(list().len(), 2);
}

#[test]
fn nothing_is_written_when_nothing_differs() {
    let live = with_bundle(&list(), Some(b"ca"), &[]);
    assert_eq!(plan(&list(), Some(b"ca"), &live), Repair::None);
    assert_eq!(plan(&list(), None, &live), Repair::None);
    assert_eq!(plan(&list(), None, &list()), Repair::None);
}

#[test]
fn a_stale_or_missing_bundle_alone_is_not_a_whole_repair() {
    assert_eq!(plan(&list(), Some(b"ca"), &list()), Repair::Bundle);
    let mut live = with_bundle(&list(), Some(b"ca"), &[]);
    live[1]["clientConfig"]["caBundle"] = json!(STANDARD.encode("old"));
    assert_eq!(plan(&list(), Some(b"ca"), &live), Repair::Bundle);
    live[0]["failurePolicy"] = json!("Ignore");
    assert!(matches!(plan(&list(), Some(b"ca"), &live), Repair::Whole(found) if found.len() == 1));
}

#[test]
fn an_unknown_bundle_keeps_the_live_one() {
    let live = with_bundle(&list(), Some(b"ca"), &[]);
    assert_eq!(with_bundle(&list(), None, &live), live);
    assert_eq!(with_bundle(&list(), None, &[]), list());
}

#[test]
fn the_last_writer_is_named() {
    let object = object(json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "managedFields": [
        {"manager": "helm", "operation": "Apply", "time": "2026-01-01T00:00:00Z"},
        {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T00:00:00Z"},
        {"manager": "portcullis", "operation": "Apply", "time": "2026-01-03T00:00:00Z"},
    ]}}));
    assert_eq!(last_writer(&object).as_deref(), Some("\"kubectl-edit\" (Update) at 2026-01-02T00:00:00Z"));
}

fn applied_by(managers: &[(&str, Value)]) -> DynamicObject {
    let fields: Vec<Value> = managers
        .iter()
        .map(|(manager, fields)| {
            json!({"manager": manager, "operation": "Apply", "fieldsV1": {"f:webhooks": {"k:{\"name\":\"a\"}": fields}}})
        })
        .collect();
    object(json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "managedFields": fields}}))
}

#[test]
fn what_we_own_is_read_from_the_object() {
    let bundle = json!({"f:clientConfig": {"f:caBundle": {}}});
    let rules = json!({"f:clientConfig": {"f:caBundle": {}}, "f:rules": {}});
    assert!(!owns_all(&applied_by(&[("portcullis", bundle)])));
    assert!(owns_all(&applied_by(&[("portcullis", rules)])));
}

#[test]
fn a_whole_repair_is_written_in_the_name_of_the_installer() {
    let (bundle, rules) = (json!({"f:clientConfig": {"f:caBundle": {}}}), json!({"f:rules": {}}));
    let ours = ("portcullis", rules.clone());
    assert_eq!(installer(&applied_by(&[])), "helm");
    assert_eq!(installer(&applied_by(std::slice::from_ref(&ours))), "helm");
    assert_eq!(installer(&applied_by(&[("argocd", rules.clone()), ours.clone()])), "argocd");
    assert_eq!(installer(&applied_by(&[("edit", rules.clone()), ("helm", rules)])), "helm");
    assert_eq!(installer(&applied_by(&[("edit", bundle), ours])), "helm");
}

#[test]
fn in_our_name_stands_the_bundle_alone() {
    let wanted = [
        json!({"name": "a", "clientConfig": {"caBundle": "QQ==", "url": "u"}, "rules": []}),
        json!({"name": "b"}),
    ];
    assert_eq!(
        bundles(&wanted),
        [json!({"name": "a", "clientConfig": {"caBundle": "QQ=="}}), json!({"name": "b"})]
    );
}

#[test]
fn patience_grows_and_is_bounded() {
    let seconds: Vec<u64> = [0, 4, 5, 6, 8, 9, 1000].map(|recent| patience(recent).as_secs()).to_vec();
    assert_eq!(seconds, [0, 0, 1, 2, 8, 15, 15]);
}
