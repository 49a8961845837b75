//! One question against every way in which a proof can fall short.

use serde_json::{Value, json};

use super::*;
use crate::api::common::Party;
use crate::policy::control::{Control, Finding, Report};
use crate::policy::controls::ALL;
use crate::policy::facts::{Place, Subject};
use crate::policy::fix::Fix;
use crate::policy::testing::{Bench, DIGEST, NAMESPACE, assert_lines, merged, namespace, read};

fn control() -> &'static Control {
    ALL.iter().copied().find(|control| control.id == "security-assessment-current").unwrap()
}

/// The finding about one question on the model `m`.
fn found(bench: &Bench, question: impl for<'a> Fn(About<'a>) -> Question<'a>) -> Vec<Finding> {
    let mut findings = Vec::new();
    bench.with_facts(Subject::Namespace, |facts| {
        let mut short = Shortfall::new(facts);
        short.ask(question(About::Model(&bench.namespace.models["m"])));
        short.tell(&mut Report::new(control(), &mut findings), Place::default(), &["CoP-9.1"]);
    });
    findings
}

fn assessed(about: About<'_>) -> Question<'_> {
    Question::of("SecurityAssessment", about).bound().passed().by(By::Another).with(&["techniques"])
}

fn sound() -> Value {
    json!({"type": "SecurityAssessment", "subject": {"kind": "AIModel", "name": "m", "digest": DIGEST},
        "ref": "https://documents.example/a", "digest": DIGEST, "issuedAt": "2025-12-01", "attestedBy": "k.lee",
        "result": "pass", "facts": {"techniques": ["prompt-injection-direct"]}})
}

fn bench(patch: &Value) -> Bench {
    Bench::new("production", "internal")
        .model("m", &json!({"digest": DIGEST, "owners": {"owner": {"user": "dev"}}}))
        .evidence("a", &merged(sound(), patch))
}

#[test]
fn a_sound_proof_holds() {
    assert_lines(&found(&bench(&json!({})), assessed), &[]);
    assert_lines(&found(&bench(&json!({"expiresAt": "2026-01-01"})), assessed), &[]);
    assert_lines(
        &found(
            &bench(&json!({"result": "conditional", "facts": {"conditions": ["pod-hardened"]}})),
            assessed,
        ),
        &[],
    );
}

#[test]
fn each_fault_is_told() {
    let other = DIGEST.replace("aaaa", "bbbb");
    let name = "SecurityAssessment \"a\" of AIModel \"m\"";
    for (patch, expected) in [
        (
            json!({"type": "RedTeam"}),
            "no SecurityAssessment of AIModel \"m\" at sha256:aaaaaaaaaaaa is recorded".to_owned(),
        ),
        (
            json!({"subject": {"name": "n"}}),
            "no SecurityAssessment of AIModel \"m\" at sha256:aaaaaaaaaaaa is recorded".to_owned(),
        ),
        (
            json!({"subject": {"namespace": "elsewhere"}}),
            "no SecurityAssessment of AIModel \"m\" at sha256:aaaaaaaaaaaa is recorded".to_owned(),
        ),
        (
            json!({"subject": {"digest": other}}),
            format!("{name} was made for sha256:bbbbbbbbbbbb, not for sha256:aaaaaaaaaaaa"),
        ),
        (
            json!({"subject": {"digest": null}}),
            format!("{name} does not say for which digest it was made; present is sha256:aaaaaaaaaaaa"),
        ),
        (json!({"issuedAt": "2026-02-31"}), format!("issuedAt \"2026-02-31\" of {name} is no date")),
        (json!({"issuedAt": "2026-01-02"}), format!("{name} is dated 2026-01-02, which lies ahead")),
        (json!({"issuedAt": "2024-12-01"}), format!("{name} is of 2024-12-01 and counts for 365 days")),
        (json!({"expiresAt": "2025-12-31"}), format!("{name} ended on 2025-12-31")),
        (json!({"attestedBy": null}), format!("{name} is attested by nobody: attestedBy is empty")),
        (
            json!({"attestedBy": "dev"}),
            format!("{name} is attested by \"dev\", who made, owns or runs what it vouches for"),
        ),
        (
            json!({"digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}),
            format!(
                "{name} has no document any more: its digest \
                 sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 is that of an empty document or of none"
            ),
        ),
        (json!({"ref": null}), format!("{name} does not fix its document by ref and digest")),
        (
            json!({"ref": format!("oci://registry.example/e@{other}")}),
            format!("{name} was made of document sha256:aaaaaaaaaaaa, and its ref holds sha256:bbbbbbbbbbbb"),
        ),
        (json!({"facts": {"techniques": []}}), format!("{name} lacks facts.techniques")),
        (json!({"result": "fail"}), format!("{name} ended with \"fail\"")),
        (json!({"result": null}), format!("{name} has no result")),
        (
            json!({"result": "conditional"}),
            format!("{name} passed under conditions, and facts.conditions names none"),
        ),
    ] {
        assert_lines(&found(&bench(&patch), assessed), &[&format!(": {expected} [may arrive]")]);
    }
}

#[test]
fn clocks_may_differ_a_little() {
    for (at, holds) in [
        ("2026-01-01", true),
        ("2026-01-01T00:05:00Z", true),
        ("2026-01-01T00:30:00Z", false),
        ("2026-01-02", false),
    ] {
        assert_eq!(found(&bench(&json!({"issuedAt": at})), assessed).is_empty(), holds, "{at}");
    }
}

#[test]
fn a_document_in_a_config_map_is_compared() {
    let mut bench = bench(&json!({"ref": "configMap://documents/a.md"}));
    let unread = ": the document of SecurityAssessment \"a\" of AIModel \"m\" is not compared: ConfigMap \"documents\" has not been \
        read [unknown] [may arrive]";
    assert_lines(&found(&bench, assessed), &[unread]);
    bench.namespace.documents.insert("documents".to_owned(), [("a.md".to_owned(), DIGEST.to_owned())].into());
    assert_lines(&found(&bench, assessed), &[]);
    let digests = [("a.md".to_owned(), DIGEST.replace("aaaa", "cccc"))].into();
    bench
        .namespace
        .config_maps
        .insert("documents".to_owned(), crate::policy::facts::ConfigMap { immutable: false, digests });
    let expected = ": SecurityAssessment \"a\" of AIModel \"m\" was made of document sha256:aaaaaaaaaaaa, and its ref holds \
        sha256:cccccccccccc [may arrive]";
    assert_lines(&found(&bench, assessed), &[expected]);
}

#[test]
fn of_two_of_one_day_the_one_that_failed_speaks() {
    // Files know no time of creation, so `a`, `b` and `a-2` of one day are of one time.
    let failed = |at: &str| merged(sound(), &json!({"result": "fail", "issuedAt": at}));
    for name in ["0", "b", "a-2"] {
        let both = bench(&json!({})).evidence(name, &failed("2025-12-01"));
        let expected =
            format!(": SecurityAssessment \"{name}\" of AIModel \"m\" ended with \"fail\" [may arrive]");
        assert_lines(&found(&both, assessed), &[&expected]);
    }
    // A time of day tells them apart.
    let again = bench(&json!({"issuedAt": "2025-12-01T16:00:00Z"})).evidence("b", &failed("2025-12-01"));
    assert_lines(&found(&again, assessed), &[]);
    // What failed did so whatever else it leaves out.
    let short = merged(failed("2025-12-02"), &json!({"facts": null}));
    assert_eq!(found(&bench(&json!({})).evidence("b", &short), assessed).len(), 1);
    // That it does not say how it ended is no failure.
    let open = merged(sound(), &json!({"result": null}));
    assert_lines(&found(&bench(&json!({})).evidence("b", &open), assessed), &[]);
}

#[test]
fn of_two_of_one_day_the_one_that_says_more_speaks_and_then_the_one_recorded_anew() {
    fn wider(about: About<'_>) -> Question<'_> {
        assessed(about).showing(&["scope"])
    }
    let spoken = |bench: &Bench, question: fn(About<'_>) -> Question<'_>| {
        bench.with_facts(Subject::Namespace, |facts| {
            match ask(facts, &question(About::Model(&bench.namespace.models["m"]))) {
                Answer::Held(evidence) => evidence.metadata.name.clone().unwrap(),
                other => panic!("{other:?}"),
            }
        })
    };
    let with = |more: &Value| merged(sound(), &json!({"facts": more}));
    let numbered = bench(&json!({})).evidence("a-10", &sound()).evidence("a-2", &sound());
    assert_eq!(spoken(&numbered, assessed), "a-10");
    let more = numbered.evidence("0", &with(&json!({"scope": ["system"]})));
    assert_eq!(spoken(&more, wider), "0");
}

#[test]
fn the_newest_sound_proof_speaks() {
    let failed = |at: &str| merged(sound(), &json!({"result": "fail", "issuedAt": at}));
    assert_lines(&found(&bench(&json!({})).evidence("b", &failed("2025-11-01")), assessed), &[]);
    let later = bench(&json!({})).evidence("b", &failed("2025-12-02"));
    assert_lines(
        &found(&later, assessed),
        &[": SecurityAssessment \"b\" of AIModel \"m\" ended with \"fail\" [may arrive]"],
    );
    // Whoever may not vouch cannot take away what another vouched for.
    let author = merged(failed("2025-12-02"), &json!({"attestedBy": "dev"}));
    assert_lines(&found(&bench(&json!({})).evidence("b", &author), assessed), &[]);
}

#[test]
fn a_profile_sets_the_age() {
    let mut bench = bench(&json!({"issuedAt": "2025-06-01"}));
    bench
        .settings
        .parameters
        .insert("securityAssessment.maxAge".to_owned(), vec!["P730D".to_owned(), "P30D".to_owned()]);
    let expected =
        ": SecurityAssessment \"a\" of AIModel \"m\" is of 2025-06-01 and counts for 30 days [may arrive]";
    assert_lines(&found(&bench, assessed), &[expected]);
}

#[test]
fn one_of_the_named_people_vouches() {
    let by = |parties: Value, person: &str| {
        let bench = bench(&json!({"attestedBy": person}));
        let parties: Vec<Party> = read(parties);
        found(&bench, |about| {
            // The parties live as long as the question.
            let parties: &'static [Party] = Vec::leak(parties.clone());
            Question::of("SecurityAssessment", about).by(By::OneOf(parties))
        })
    };
    let alice = json!([{"user": "alice"}]);
    assert_lines(&by(alice.clone(), "alice"), &[]);
    let expected =
        ": SecurityAssessment \"a\" of AIModel \"m\" is attested by \"dev\" instead of alice [may arrive]";
    assert_lines(&by(alice, "dev"), &[expected]);
    let expected = ": SecurityAssessment \"a\" of AIModel \"m\" is attested by \"dev\", and whether that person belongs to data \
        cannot be seen [unknown] [may arrive]";
    assert_lines(&by(json!([{"group": "data"}]), "dev"), &[expected]);
}

#[test]
fn an_organisation_is_vouched_for_only_from_its_own_namespace() {
    let spec = json!({"type": "IncidentPlan", "subject": {"kind": "AIGovernance", "name": "acme"},
        "ref": "https://documents.example/a", "digest": DIGEST, "issuedAt": "2025-12-01"});
    let judged = |bench: &Bench| {
        bench.with_facts(Subject::Namespace, |facts| {
            let organisation = &facts.cluster.governances["acme"];
            match ask(facts, &Question::of("IncidentPlan", About::Organisation(organisation))) {
                Answer::Held(_) => "held".to_owned(),
                Answer::Missing => "missing".to_owned(),
                Answer::Nowhere(why) => why,
                other => panic!("{other:?}"),
            }
        })
    };
    let world = |place: Value| Bench::new("production", "internal").governance("acme", &place);
    let named = json!({"organisation": "ACME", "governanceNamespace": "ai-governance"});
    // A tenant vouches for the organisation: it does not count.
    let tenant =
        world(named.clone()).evidence("plan", &spec).beside(namespace("ai-governance", "data", "internal"));
    assert_eq!(judged(&tenant), "missing");
    let mut home = namespace("ai-governance", "data", "internal");
    let object = json!({"metadata": {"name": "plan", "namespace": "ai-governance"}, "spec": spec});
    home.evidence.insert("plan".to_owned(), std::sync::Arc::new(read(object)));
    assert_eq!(judged(&world(named).beside(home)), "held");
    let expected = "AIGovernance \"acme\" names no existing governanceNamespace, the only place from which its evidence counts";
    assert_eq!(judged(&world(json!({"organisation": "ACME"}))), expected);
}

#[test]
fn the_evidence_to_fill_in_holds_once_filled_in() {
    let empty = Bench::new("production", "internal").model("m", &json!({"digest": DIGEST}));
    let findings = found(&empty, assessed);
    let Some(Fix::Record(words, manifest)) = &findings[0].fix else { panic!("{findings:?}") };
    assert_eq!(words, "record AIEvidence: SecurityAssessment of AIModel \"m\"");
    let filled = manifest
        .replace("https://DOCUMENT", "https://docs.example/d")
        .replace("sha256:DIGEST-OF-THE-DOCUMENT", DIGEST)
        .replace("YYYY-MM-DD", "2025-12-31")
        .replace("USER-OTHER-THAN-THE-AUTHOR", "k.lee")
        .replace("FILL-IN", "prompt-injection-direct");
    let object: Value = serde_saphyr::from_str(filled.trim_start_matches("---\n")).unwrap();
    assert_eq!(object["metadata"], json!({"name": "security-assessment-m", "namespace": NAMESPACE}));
    let bench = empty.evidence("security-assessment-m", &object["spec"]);
    assert_lines(&found(&bench, assessed), &[]);
}

#[test]
fn many_faults_are_one_finding() {
    let mut bench = Bench::new("production", "internal");
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        bench = bench.model(name, &json!({"digest": DIGEST}));
    }
    let mut findings = Vec::new();
    bench.with_facts(Subject::Namespace, |facts| {
        let mut short = Shortfall::new(facts);
        for model in facts.namespace.models.values() {
            short.ask(assessed(About::Model(model)));
        }
        short.tell(&mut Report::new(control(), &mut findings), Place::default(), &["CoP-9.1"]);
    });
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0].detail.ends_with("AIModel \"e\" at sha256:aaaaaaaaaaaa is recorded; and 2 more"),
        "{}",
        findings[0].detail
    );
}

#[test]
fn words_and_entries_are_read_in_bounds() {
    let many: Vec<Value> = (0..1000).map(|i| json!({"id": format!("R{i}"), "level": "low"})).collect();
    let spec = merged(
        sound(),
        &json!({"facts": {"risks": many, "one": "x", "odd": 7, "mixed": ["a", 1, {"name": "b"}]}}),
    );
    let evidence: AIEvidence = read(json!({"metadata": {"name": "a"}, "spec": spec}));
    assert_eq!(words(&evidence, "risks").len(), 256);
    assert_eq!(entries(&evidence, "risks").count(), 256);
    assert_eq!(words(&evidence, "one"), ["x"]);
    assert_eq!(words(&evidence, "odd"), Vec::<&str>::new());
    assert_eq!(words(&evidence, "mixed"), ["a", "b"]);
    assert_eq!(unnamed(&evidence, "mixed", &["b", "c"]), ["c"]);
}

#[test]
fn types_are_sorted_and_distinct() {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
    assert_eq!(names.len(), 58);
}

/// What is said of a proof by itself, when `user` records it.
fn itself(patch: &Value, user: Option<&str>) -> Vec<Finding> {
    let bench = Bench::new("production", "internal");
    let object = json!({"metadata": {"name": "a", "namespace": NAMESPACE}, "spec": merged(sound(), patch)});
    let evidence: AIEvidence = read(object);
    let subject = crate::policy::facts::EvidenceFacts {
        user,
        ..crate::policy::facts::EvidenceFacts::recorded(&evidence)
    };
    let control = ALL.iter().copied().find(|control| control.id == "enforcement-integrity").unwrap();
    bench.judge(control, Subject::Evidence(subject))
}

#[test]
fn a_proof_by_itself_is_what_it_can_be() {
    assert_lines(&itself(&json!({}), Some("k.lee")), &[]);
    assert_lines(&itself(&json!({}), None), &[]);
    let at = "AIEvidence chat-prod/a spec";
    for (patch, expected) in [
        (
            json!({"type": "securityAssessment"}),
            format!("{at}.type \"securityAssessment\": is no known type; \"SecurityAssessment\" is"),
        ),
        (json!({"type": "Opinion"}), format!("{at}.type \"Opinion\": is no known type")),
        (
            json!({"subject": {"kind": "Pod"}}),
            format!(
                "{at}.subject.kind \"Pod\": is nothing that evidence is about; it is one of AIWorkload, AIModel, AIDataset, AIPrompt, AISupplier, AIGovernance, Image"
            ),
        ),
        (
            json!({"subject": {"kind": "Image", "digest": null}}),
            format!("{at}.subject.digest: is an image, of which only the digest says which bytes are meant"),
        ),
        (json!({"issuedAt": "2026-02-30"}), format!("{at}.issuedAt \"2026-02-30\": is no date")),
        (json!({"issuedAt": "2027-01-01"}), format!("{at}.issuedAt \"2027-01-01\": lies ahead")),
        (
            json!({"expiresAt": "2025-01-01"}),
            format!("{at}.expiresAt \"2025-01-01\": lies before its issue on 2025-12-01"),
        ),
        (
            json!({"ref": "somewhere"}),
            format!(
                "{at}.ref \"somewhere\": cannot be read; it begins with one of https://, oci://, configmap://, git+https://, s3://"
            ),
        ),
        (
            json!({"digest": null}),
            format!(
                "{at}.ref \"https://documents.example/a\": may change unseen, because spec.digest is not set"
            ),
        ),
        (
            json!({"attestedBy": "alice"}),
            format!(
                "{at}.attestedBy \"alice\": is not \"k.lee\", who records it: nobody vouches in the name of another"
            ),
        ),
    ] {
        assert_lines(&itself(&patch, Some("k.lee")), &[&expected]);
    }
}
