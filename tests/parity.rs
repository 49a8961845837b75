//! Equal facts, equal verdicts and equal words: the command line, the webhook and the audit on every fixture.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its input has failed")]

#[expect(unreachable_pub, reason = "several tests share it")]
mod answers;
#[expect(dead_code, unreachable_pub, reason = "several tests share it, and each uses a part")]
mod fixtures;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use answers::{Known, Nobody, differs, plural};
use fixtures::{Documented, Said, all, base, carried, named, now};
use futures::future::BoxFuture;
use portcullis::controllers::audit::audit_namespace;
use portcullis::controllers::pods::Pods;
use portcullis::gather::signatures::questions;
use portcullis::render::words;
use portcullis::webhook::access::{Access, Authorizer};
use portcullis::webhook::arrivals::Arrivals;
use portcullis::webhook::judge::Judge;
use portcullis::webhook::wire::{Answer, UserInfo};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Rights of users are the webhook's own question: here everybody holds all.
struct Everything;

impl Authorizer for Everything {
    fn may<'a>(&'a self, _: &'a UserInfo, _: Access<'a>) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async { Ok(true) })
    }
}

fn judge(world: &Documented) -> Judge {
    Judge {
        world: Arc::new(RwLock::new(world.manifests().world)),
        signatures: Arc::new(Known(BTreeMap::from([("chat-prod".to_owned(), world.known())]))),
        authorizer: Arc::new(Everything),
        sink: Arc::new(Nobody),
        running: Arc::new(Nobody),
        arrivals: Arc::new(Arrivals::default()),
        operator: "operator".to_owned(),
        clock: now,
    }
}

/// The review that the API server would send for `object`.
fn review(object: &Value) -> Value {
    let group = object["apiVersion"].as_str().unwrap().split_once('/').map_or("", |(group, _)| group);
    let kind = object["kind"].as_str().unwrap();
    let mut request = json!({
        "uid": "u", "operation": "CREATE", "object": object, "userInfo": {"username": "j.doe"},
        "kind": {"group": group, "kind": kind}, "resource": {"group": group, "resource": plural(kind)},
        "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"].as_str().unwrap_or_default(),
    });
    if let Some(person) = object["spec"]["attestedBy"].as_str() {
        request["userInfo"]["username"] = person.into();
    }
    if kind == "AIExemption" {
        request["userInfo"]["username"] = object["spec"]["requestedBy"].clone();
        if object["spec"]["approvedBy"].is_string() {
            // A file shows the later state; the cluster gets there in two steps.
            let mut former = object.clone();
            former["spec"].as_object_mut().unwrap().remove("approvedBy");
            request["operation"] = "UPDATE".into();
            request["oldObject"] = former;
            request["userInfo"]["username"] = object["spec"]["approvedBy"].clone();
        }
    }
    json!({"request": request})
}

async fn ask(judge: &Judge, object: &Value) -> Answer {
    let body = review(object).to_string();
    judge.review(body.as_bytes(), Instant::now() + Duration::from_secs(2)).await.0
}

#[tokio::test]
async fn the_webhook_says_what_the_command_line_says() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    let worlds = all().into_iter().map(|f| (format!("{}/{}", f.control, f.name), f.world));
    for (name, world) in worlds.chain([("base".to_owned(), base())]) {
        let world = carried(&world);
        let judge = judge(&world);
        for said in world.judged() {
            let on = format!("{}/{}", said.kind, said.name);
            let object = world.objects.iter().find(|object| named(object) == on).unwrap();
            // Approving what is past is refused at that moment; that it is past is no fault of the file.
            if name == "enforcement-integrity/deny-expired" && said.kind == "AIExemption" {
                continue;
            }
            let answer = ask(&judge, object).await;
            compared += 1;
            if said.kind == "Namespace" {
                // The webhook guards changes of labels; what a namespace lacks is shown on its row in the audit.
                if answer.denial.is_some() && said.denial.is_none() {
                    wrong.push(format!("{name} {on}: only the webhook refuses: {answer:#?}"));
                }
            } else if let Some(text) = differs(&said, &answer) {
                wrong.push(format!("{name} {on}: {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 1500, "only {compared} objects were compared");
}

/// What the audit cannot see, with the reason.
const NOT_IN_THE_AUDIT: [(&str, &str); 3] = [
    ("declared-workloads-only/deny-quarantined", "pods that run stay for whoever looks into it"),
    ("pod-hardened/deny-node-name", "a running pod always has a node"),
    ("pod-hardened/unknown-field-of-the-future", "running pods are kept by the fields that are known"),
];

#[test]
fn the_audit_says_what_the_command_line_says() {
    let mut wrong = Vec::new();
    for fixture in all() {
        let name = format!("{}/{}", fixture.control, fixture.name);
        if NOT_IN_THE_AUDIT.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let world = carried(&fixture.world);
        let mut pods = Pods::default();
        let mut signatures = BTreeMap::new();
        for object in world.objects.iter().filter(|object| object["kind"] == "Pod") {
            let pod: k8s_openapi::api::core::v1::Pod = serde_json::from_value(object.clone()).unwrap();
            for question in questions(pod.spec.as_ref().unwrap()) {
                let known = world.known().of("chat-prod", &question.reference);
                signatures.insert(question.reference, known);
            }
            // What is critical has two pods at least, and the command line does not count them.
            let mut other = pod.clone();
            other.metadata.name = other.metadata.name.map(|name| format!("{name}-other"));
            pods.apply(pod);
            pods.apply(other);
        }
        let audited = audit_namespace(
            &world.manifests().world,
            &pods,
            &signatures,
            "chat-prod",
            now(),
            &BTreeMap::new(),
            now(),
        );
        let of_workloads = audited.workloads.values().flat_map(|w| w.states.worst.values().map(|(_, f)| f));
        let found: BTreeSet<(&str, String)> = of_workloads
            .chain(audited.findings.iter().map(|(_, _, finding)| finding))
            .map(|finding| (finding.control.id, words::sentence(finding)))
            .collect();
        let judged = world.judged();
        let said: BTreeSet<(&str, String)> = judged
            .iter()
            .filter(|said| {
                [
                    "Pod",
                    "AIWorkload",
                    "AIModel",
                    "AIDataset",
                    "AIPrompt",
                    "AIEvidence",
                    "AIExemption",
                    "Namespace",
                ]
                .contains(&said.kind.as_str())
            })
            .filter(|said| said.namespace.as_deref().unwrap_or(&said.name) == "chat-prod")
            .flat_map(Said::findings)
            .map(|finding| (finding.control.id, words::sentence(finding)))
            .collect();
        let controls = |set: &BTreeSet<(&'static str, String)>| -> BTreeSet<&str> {
            set.iter().map(|(control, _)| *control).collect()
        };
        // Of each control the audit keeps the gravest finding of a workload.
        if controls(&found) != controls(&said) || !found.is_subset(&said) {
            wrong.push(format!("{name}: check {said:#?}\naudit {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
