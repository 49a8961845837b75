//! Roles that hold, roles that are left out, and owners for each.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, DIGEST, assert_lines};

const AT: &str = "AIWorkload chat-prod/chat spec.";

fn owned() -> Value {
    json!({"digest": DIGEST, "owners": {"owner": {"group": "chat-dev"}}})
}

#[test]
fn a_workload_with_an_owner_for_each_role_passes() {
    let declared = json!({"roles": ["Developer", "SystemOperator", "DataController"],
        "owners": {"developer": {"group": "dev"}, "systemOperator": {"group": "ops"}, "dataControllers": [{"user": "a"}]},
        "models": [{"name": "m"}]});
    let bench = Bench::new("production", "internal").workload(&declared).model("m", &owned());
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    assert_lines(&bench.of_pod(&CONTROL, &json!({"containers": []})), &[]);
}

#[test]
fn every_role_has_an_owner_who_can_sign_in() {
    let declared = json!({"roles": ["SystemOperator", "Developer", "DataController"],
        "owners": {"systemOperator": {"contact": "mailto:ops@example.com"}}});
    let bench = Bench::new("production", "internal").workload(&declared);
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            &format!("{AT}owners.systemOperator: names no user or group, and spec.roles has SystemOperator"),
            &format!("{AT}owners.developer: names no user or group, and spec.roles has Developer"),
            &format!("{AT}owners.dataControllers: names no user or group, and spec.roles has DataController"),
        ],
    );
    let bench = Bench::new("production", "internal")
        .workload(&json!({"roles": ["SystemOperator"], "owners": {"accountable": {"user": null}, "systemOperator": {"user": "o"}}}));
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[&format!(
            "{AT}owners.accountable: names no user or group, and somebody has to answer for the whole"
        )],
    );
}

#[test]
fn roles_are_plausible() {
    let declared = |kind: &str| json!({"type": kind, "roles": ["SystemOperator"], "owners": {"systemOperator": {"group": "ops"}}, "models": [{"name": "m"}]});
    for (kind, origin, expected) in [
        ("inference", "external", None),
        ("inference", "internal", Some("Developer, though AIModel \"m\" was made or adapted here")),
        ("finetuning", "external", Some("Developer, though type \"finetuning\" makes a model")),
        (
            "dataPreparation",
            "external",
            Some("DataController, though type \"dataPreparation\" writes datasets"),
        ),
    ] {
        let mut model = owned();
        model["origin"] = json!(origin);
        let bench = Bench::new("training", "internal").workload(&declared(kind)).model("m", &model);
        let line = expected.map(|end| format!("{AT}roles \"SystemOperator\": lacks {end}"));
        assert_lines(&bench.of_workload(&CONTROL), &line.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let bench = Bench::new("production", "internal").workload(&json!({"type": "supporting"}));
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[&format!("{AT}roles \"\": lacks SystemOperator, though it runs on this cluster")],
    );
}

#[test]
fn on_a_critical_workload_the_developer_is_not_accountable() {
    let declared = |criticality: &str, developer: &str| {
        json!({"criticality": criticality, "roles": ["SystemOperator"],
               "owners": {"systemOperator": {"group": "ops"}, "developer": {"user": developer}}})
    };
    for (criticality, developer, refused) in
        [("critical", "j.doe", true), ("critical", "other", false), ("standard", "j.doe", false)]
    {
        let bench = Bench::new("production", "internal").workload(&declared(criticality, developer));
        let line = format!(
            "{AT}owners.accountable \"j.doe\": is the developer too, which a critical workload does not allow"
        );
        let expected = if refused { vec![line.as_str()] } else { vec![] };
        assert_lines(&bench.of_workload(&CONTROL), &expected);
    }
}

#[test]
fn models_have_owners_and_open_ones_a_maintainer() {
    let bench = Bench::new("production", "internal")
        .model("m", &json!({"origin": "openSource", "maintainer": "none"}));
    let found = bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"]));
    assert_lines(
        &found,
        &[
            "AIModel chat-prod/m spec.owners.owner: names no user or group who answers for the model",
            "AIModel chat-prod/m spec.maintainer \"none\": names nobody who maintains the open model, so no fix will come",
        ],
    );
    assert_eq!(found[1].provisions, ["CoP-7.2.1-n1"]);
    let declared = json!({"roles": ["SystemOperator"], "owners": {"systemOperator": {"group": "ops"}}, "models": [{"name": "m"}]});
    let bench = Bench::new("production", "internal").workload(&declared).model("m", &json!({}));
    assert_lines(
        &bench.of_pod(&CONTROL, &json!({"containers": []})),
        &[
            "AIModel chat-prod/m spec.owners.owner: names no user or group who answers for the model [may arrive]",
        ],
    );
}

#[test]
fn owners_belong_to_the_organisation_where_it_says_who_does() {
    let declared = json!({"roles": ["SystemOperator"],
        "owners": {"accountable": {"user": "j.doe"}, "systemOperator": {"group": "ops"}, "dataControllers": [{"user": "eve"}]}});
    let judged = |people: Value| {
        let spec = json!({"organisation": "ACME", "people": people});
        Bench::new("production", "internal")
            .workload(&declared)
            .governance("acme", &spec)
            .of_workload(&CONTROL)
    };
    assert_lines(&judged(json!({"users": ["j.doe", "eve"], "groups": ["ops"]})), &[]);
    // An empty list says nothing of who does not belong.
    assert_lines(&judged(json!({"groups": ["ops"]})), &[]);
    assert_lines(
        &judged(json!({"users": ["j.doe"], "groups": ["dev"]})),
        &[
            &format!("{AT}owners.systemOperator \"ops\": is not among the people of AIGovernance \"acme\""),
            &format!("{AT}owners.dataControllers \"eve\": is not among the people of AIGovernance \"acme\""),
        ],
    );
}
