//! Who vouches for what, and what counts for nothing.

use serde_json::{Value, json};

use super::*;
use crate::policy::controls::ALL;
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, DIGEST, NAMESPACE, assert_lines, merged, namespace, read};

fn sound() -> Value {
    json!({"type": "SecurityAssessment", "subject": {"kind": "AIModel", "name": "m", "digest": DIGEST},
        "ref": "https://documents.example/a", "digest": DIGEST, "issuedAt": "2025-12-01", "attestedBy": "k.lee",
        "result": "pass", "facts": {"techniques": ["prompt-injection-direct"]}})
}

#[test]
fn who_wrote_a_part_of_a_workload_does_not_vouch_for_it() {
    let about = |patch: &Value, history: &Value| {
        let proof = merged(
            json!({"type": "RedTeam", "subject": {"kind": "AIWorkload", "name": "chat"},
                "ref": "https://documents.example/a", "digest": DIGEST, "issuedAt": "2025-12-01", "attestedBy": "mallory"}),
            patch,
        );
        let mut bench = Bench::new("production", "internal")
            .workload(
                &json!({"prompts": [{"name": "p"}], "owners": {"systemOperator": {"group": "chat-ops"}}}),
            )
            .prompt("p", &json!({"digest": DIGEST}))
            .evidence("a", &proof);
        let prompt = std::sync::Arc::make_mut(bench.namespace.prompts.get_mut("p").unwrap());
        prompt.status = Some(read(json!({"history": history})));
        bench
    };
    let said = |bench: &Bench| {
        bench.with_facts(Subject::Namespace, |facts| {
            let about = About::Workload(&facts.namespace.workloads["chat"]);
            match ask(facts, &Question::of("RedTeam", about).by(By::Another)) {
                Answer::Held(_) => "held".to_owned(),
                Answer::WrongPerson(_, why) => why,
                other => format!("{other:?}"),
            }
        })
    };
    let wrote = json!([{"at": "2025-11-01", "user": "mallory"}, {"at": "2025-11-02", "user": "ada"}]);
    assert_eq!(
        said(&about(&json!({}), &wrote)),
        "by \"mallory\", who changed AIPrompt \"p\", a part of what it vouches for"
    );
    assert_eq!(said(&about(&json!({"attestedBy": "k.lee"}), &wrote)), "held");
    let account = said(&about(&json!({"attestedBy": "system:serviceaccount:chat-prod:ci"}), &wrote));
    assert!(account.contains("which is a service account"), "{account}");
    let other = said(&about(&json!({"attestedBy": "Mallory"}), &wrote));
    assert!(other.contains("who changed AIPrompt"), "one person under two names: {other}");
    let declared = |authors: Value| {
        let mut bench = about(&json!({}), &json!([]));
        let chat = std::sync::Arc::make_mut(bench.namespace.workloads.get_mut("chat").unwrap());
        chat.status = Some(read(json!({"authors": authors})));
        said(&bench)
    };
    let wrote = declared(json!(["ada", "Mallory"]));
    assert_eq!(wrote, "by \"mallory\", who wrote AIWorkload \"chat\", which is what it vouches for");
    assert_eq!(declared(json!(["ada"])), "held");
    // A member of the group that runs it is known by that only while he asks.
    let recorded = |patch: &Value, groups: &[&str]| {
        let bench = about(patch, &json!([]));
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let user = Some("mallory");
        let evidence = &bench.namespace.evidence["a"];
        let subject = crate::policy::facts::EvidenceFacts {
            user,
            groups: &groups,
            ..crate::policy::facts::EvidenceFacts::recorded(evidence)
        };
        let control = ALL.iter().copied().find(|control| control.id == "enforcement-integrity").unwrap();
        bench.judge(control, Subject::Evidence(subject))
    };
    assert_lines(
        &recorded(&json!({}), &["chat-ops"]),
        &[
            "AIEvidence chat-prod/a spec.attestedBy \"mallory\": is of the group \"chat-ops\", which made, owns or runs \
           AIWorkload \"chat\": nobody vouches for the own work",
        ],
    );
    assert_lines(&recorded(&json!({}), &["red-team"]), &[]);
    assert_lines(&recorded(&json!({"type": "ThreatModel"}), &["chat-ops"]), &[]);
    assert_lines(&recorded(&json!({"result": "fail"}), &["chat-ops"]), &[]);
}

#[test]
fn what_counts_for_nothing_says_why() {
    let of = |patch: Value| {
        let mut bench = Bench::new("production", "internal")
            .workload(&json!({"owners": {"accountable": {"user": "j.doe"}}}))
            .model("m", &json!({"digest": DIGEST, "owners": {"owner": {"user": "dev"}}}));
        let organisation = read(
            json!({"metadata": {"name": "acme"}, "spec": {"organisation": "acme", "governanceNamespace": "data"}}),
        );
        bench.cluster.governances.insert("acme".to_owned(), std::sync::Arc::new(organisation));
        let bench = bench.beside(namespace("data", "data", "internal"));
        let spec = merged(sound(), &patch);
        let evidence: AIEvidence =
            read(json!({"metadata": {"name": "a", "namespace": NAMESPACE}, "spec": spec}));
        bench.with_facts(Subject::Namespace, |facts| {
            idle(facts, &evidence)
                .map_or_else(String::new, |idle| format!("{} {}", idle.reason, idle.message))
        })
    };
    assert_eq!(of(json!({})), "");
    let about = |kind: &str, name: &str| json!({"subject": {"kind": kind, "name": name, "digest": null}});
    assert_eq!(
        of(about("AIModel", "n")),
        "SubjectMissing it counts for nothing: there is no AIModel \"n\" in namespace \"chat-prod\"; apply it, or record a new \
         one about what is meant"
    );
    assert!(of(about("AIGovernance", "nobody")).contains("there is no AIGovernance \"nobody\"; apply it"));
    assert_eq!(
        of(about("AIGovernance", "acme")),
        "OtherNamespace it counts for nothing: evidence about AIGovernance \"acme\" counts from namespace \"data\" only; record \
         it in namespace \"data\""
    );
    let other = DIGEST.replace("aaaa", "bbbb");
    assert_eq!(
        of(json!({"subject": {"digest": other}})),
        format!(
            "OtherDigest it counts for nothing: it is about {other}, and AIModel \"m\" is at {DIGEST}; record a new one for the \
             present digest once it was looked at"
        )
    );
    assert_eq!(
        of(json!({"attestedBy": "dev"})),
        "OwnWork it counts for nothing: it is attested by \"dev\", who made, owns or runs what it vouches for; let somebody else \
         look and record it"
    );
    assert!(of(json!({"attestedBy": null})).starts_with("NotAttested "));
    let account = of(json!({"attestedBy": "system:serviceaccount:chat-prod:ci"}));
    assert!(account.contains("which is a service account"), "{account}");
    assert_eq!(of(json!({"type": "ThreatModel", "attestedBy": "dev"})), "");
    assert_eq!(
        of(json!({"type": "DisposalRecord", "subject": {"name": "n"}})),
        "",
        "what it is about is gone"
    );
}
