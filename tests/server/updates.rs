//! What an update of a declaration answers for, on an API server: old faults, new ones, and the way out of quarantine.

use portcullis::webhook::wire::Answer;
use serde_json::{Value, json};

use super::fixtures::patched;
use super::{Cluster, Documented};

/// A declaration that came before the rules that it breaks is stopped, is not made worse, and comes back whole.
///
/// Assumes that `world`, whose declaration `chat` keeps the whole Code, is stored, and that the webhook has learnt of it.
pub async fn answer_for_what_they_bring(cluster: &Cluster, world: &Documented) {
    let chat = world.objects.iter().find(|object| object["kind"] == "AIWorkload").unwrap();
    let way = |port: u16| json!({"name": "api", "port": port, "audience": "public", "tls": "server"});
    let faulty = patched(chat, &json!({"spec": {"guardrails": null, "exposure": [way(8080)]}}));
    // What is stored is not judged here, as if the rules had come later.
    cluster.replace(&faulty).await.unwrap();
    let update = async |old: &Value, patch: Value| {
        cluster.dry_run(&patched(old, &patch), "j.doe", true).await.map(told)
    };
    let stop = json!({"spec": {"lifecycle": {"state": "Quarantined"}}});
    let (denial, warnings) = update(&faulty, stop.clone()).await.unwrap();
    assert_eq!(denial, "", "old faults hold no stop up");
    assert!(warnings.contains("spec.exposure[0].authn"), "and are told: {warnings}");
    let worse = patched(
        &stop,
        &json!({"spec": {"exposure": [way(8080), {"name": "b", "port": 22, "audience": "public", "tls": "server"}]}}),
    );
    let (denial, _) = update(&faulty, worse).await.unwrap();
    assert!(denial.contains("spec.exposure[1].authn"), "a new fault comes with no stop: {denial}");

    let stopped = patched(&faulty, &stop);
    cluster.replace(&stopped).await.unwrap();
    for state in ["Active", "Retiring"] {
        let (denial, _) = update(&stopped, json!({"spec": {"lifecycle": {"state": state}}})).await.unwrap();
        for part in
            ["spec.exposure[0].authn", "spec.guardrails.output", "\nit stays Quarantined, without a network"]
        {
            assert!(denial.contains(part), "{state}: {part} is not in {denial}");
        }
    }
    let planned = update(&stopped, json!({"spec": {"lifecycle": {"state": "Planned"}}})).await;
    assert!(planned.is_err_and(|why| why.contains("lifecycle.state goes from Planned")), "no such way");
    let (denial, _) = update(&stopped, json!({"spec": {"lifecycle": {"state": "Disposed"}}})).await.unwrap();
    assert!(denial.contains("disposal-evidenced") && !denial.contains("spec.exposure"), "{denial}");
    cluster.replace(chat).await.unwrap();
}

/// The refusal, empty where there is none, and the warnings.
fn told(answer: Answer) -> (String, String) {
    (answer.denial.unwrap_or_default(), answer.warnings.join("\n"))
}
