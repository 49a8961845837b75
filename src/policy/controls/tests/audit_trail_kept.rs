//! What `audit-trail-kept` finds, and what it lets pass.

use serde_json::json;

use super::CONTROL;
use crate::policy::facts::{Asset, Subject};
use crate::policy::testing::{Bench, assert_lines};

#[test]
fn a_digest_has_a_version() {
    let of = |spec: serde_json::Value| {
        let bench = Bench::new("production", "internal").dataset("d", &spec);
        bench.judge(&CONTROL, Subject::Dataset(&bench.namespace.datasets["d"]))
    };
    assert_lines(&of(json!({"digest": "sha256:1", "version": "1"})), &[]);
    assert_lines(&of(json!({})), &[]);
    assert_lines(
        &of(json!({"digest": "sha256:1"})),
        &[
            "AIDataset chat-prod/d spec.version: is missing, so the next change of the digest could not be told from this state",
        ],
    );
}

#[test]
fn what_is_still_declared_does_not_go() {
    let mut bench = Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "m"}]}))
        .model("m", &json!({"digest": "sha256:1"}))
        .model("n", &json!({"digest": "sha256:1"}));
    let gone = |bench: &Bench, name: &str| {
        bench.judge(&CONTROL, Subject::Deletion(Asset::Model(&bench.namespace.models[name])))
    };
    assert_lines(&gone(&bench, "n"), &[]);
    assert_lines(&gone(&bench, "m"), &["AIModel chat-prod/m: is still declared by AIWorkload chat"]);
    bench.namespace.terminating = true;
    assert_lines(&gone(&bench, "m"), &[]);
}
