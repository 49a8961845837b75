//! What stands in the way of a pod whose identity is not there.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{Identity, Labels, Matched, PodFacts, Subject};
use crate::policy::testing::{Bench, lines, read};

#[test]
fn an_identity_that_is_not_there_yet_is_waited_for_or_made() {
    let told = |workload: &Value| {
        let bench = Bench::new("production", "internal").workload(workload);
        let spec = read(
            json!({"serviceAccountName": "chat", "automountServiceAccountToken": false, "containers": []}),
        );
        let (labels, none): (Labels, Labels) = (read(json!({"app": "chat"})), Labels::new());
        let mut pod = PodFacts::new(&spec, &labels, &none);
        pod.matched = Matched::One(&bench.namespace.workloads["chat"]);
        pod.identity = Identity { account_name: "chat", ..Identity::default() };
        let found = bench.judge(&CONTROL, Subject::Pod(pod));
        (lines(&found).remove(0), found[0].fix.as_ref().unwrap().to_string())
    };
    let (line, fix) = told(&json!({}));
    assert_eq!(line, "ServiceAccount chat-prod/chat: is not generated yet [may arrive]");
    assert!(fix.starts_with("wait a moment and try again: the operator makes it"), "{fix}");
    let (line, fix) = told(&json!({"manage": "Observe"}));
    assert_eq!(line, "ServiceAccount chat-prod/chat: does not exist [may arrive]");
    assert!(fix.starts_with("`kubectl create serviceaccount chat -n chat-prod`"), "{fix}");
}
