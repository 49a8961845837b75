//! Whoever writes a model, a prompt or what trains models is on the roster.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{Requester, Subject};
use crate::policy::testing::{Bench, DIGEST, lines};

fn bench(roster: &Value) -> Bench {
    Bench::new("production", "internal")
        .governance("acme", &json!({"organisation": "ACME", "training": {"roster": roster}}))
        .workload(&json!({"organisation": "acme", "roles": ["Developer"], "models": [{"name": "m"}], "type": "inference"}))
        .model("m", &json!({"digest": DIGEST}))
        .model("other", &json!({"digest": DIGEST}))
}

fn written(roster: &Value, model: &str, user: &'static str, groups: &[&str]) -> Vec<String> {
    let mut bench = bench(roster);
    let groups = Vec::leak(groups.iter().map(|group| (*group).to_owned()).collect());
    bench.requester = Some(Requester { user, groups, former: None });
    lines(&bench.judge(&CONTROL, Subject::Model(&bench.namespace.models[model])))
}

#[test]
fn a_model_of_developers_is_written_by_who_is_trained() {
    let entry =
        |who: Value, course: &str, day: &str| json!({"subject": who, "course": course, "completedAt": day});
    let both = |who: &Value, day: &str| {
        json!([
            entry(who.clone(), "SecureCodingTraining", day),
            entry(who.clone(), "MLCharacteristicsTraining", day)
        ])
    };
    let (dev, team) = (json!({"user": "dev"}), json!({"group": "model-team"}));
    assert!(written(&both(&dev, "2025-10-01"), "m", "dev", &[]).is_empty());
    assert!(written(&both(&team, "2025-10-01"), "m", "dev", &["x", "model-team"]).is_empty());
    assert_eq!(
        written(&json!([entry(dev.clone(), "SecureCodingTraining", "2025-10-01")]), "m", "dev", &[]),
        [
            "AIModel chat-prod/m: is written by \"dev\", for whom no current MLCharacteristicsTraining is on the roster of \
          AIGovernance \"acme\""
        ]
    );
    assert_eq!(written(&both(&dev, "2024-10-01"), "m", "dev", &[]).len(), 2, "it has ended");
    assert_eq!(written(&json!([]), "m", "system:serviceaccount:ci:deployer", &[]).len(), 2);
    assert!(written(&json!([]), "other", "dev", &[]).is_empty(), "no developer uses it");
    let bench = bench(&json!([]));
    let found = bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"]));
    assert!(found.is_empty(), "the audit cannot know who asked");
}
