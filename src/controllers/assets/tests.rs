//! When a model is read, by which Job, and what its answer makes of the status.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::gather::world::Object;

const NOW: &str = "2026-06-01T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

/// A model with what was verified of it as it is now.
fn model(name: &str, verification: serde_json::Value) -> AIModel {
    let mut model: AIModel = serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIModel",
        "metadata": {"name": name, "namespace": "chat", "uid": format!("uid-{name}")},
        "spec": {"digest": digest("a"), "source": {"kind": "pvc", "claimName": "weights"}},
    }))
    .unwrap();
    if !verification.is_null() {
        let status = serde_json::Map::from_iter([("verification".to_owned(), verification)]);
        model.status = Some(serde_json::from_value(status.into()).unwrap());
        rests(&mut model);
    }
    model
}

/// Makes what is known of a model rest on what it is now.
fn rests(model: &mut AIModel) {
    let basis =
        crate::policy::verified::bound(&*model, None, &crate::policy::facts::Cluster::default()).basis;
    let known = model.status.as_mut().and_then(|status| status.verification.as_mut());
    known.unwrap().basis = basis;
}

/// A model in a registry.
fn in_registry(verification: serde_json::Value) -> AIModel {
    let mut oci = model("m", verification);
    let reference = format!("registry.example/m@{}", digest("a"));
    oci.spec.source = Some(serde_json::from_value(json!({"kind": "oci", "reference": reference})).unwrap());
    if oci.status.is_some() {
        rests(&mut oci);
    }
    oci
}

/// What a model is verified as, where its namespace and trust are empty.
fn stored(model: &AIModel) -> Stored {
    crate::policy::verified::bound(model, None, &crate::policy::facts::Cluster::default())
}

fn world(models: impl IntoIterator<Item = AIModel>) -> World {
    let mut world = World::with_verifier("registry.example/p@sha256:1");
    for model in models {
        world.apply(Object::Model(Box::new(model)));
    }
    world
}

fn verified(at: &str) -> serde_json::Value {
    json!({"digest": digest("a"), "bytesVerified": "Verified", "bytesVerifiedAt": at})
}

/// Steps in short.
fn steps(world: &World, running: &[Running]) -> Vec<String> {
    let name = |model: &job::Stored| model.name.clone();
    plan(world, running, now())
        .into_iter()
        .map(|step| match step {
            Step::Start(model, _) => format!("start {}", name(&model)),
            Step::Read(model, job) => format!("read {} of {}", job.name, name(&model)),
            Step::Delete(job) => format!("delete {}", job.name),
            Step::Tell(model, told) => {
                format!("tell {}: {}", name(&model), told.message.unwrap_or_default())
            }
        })
        .collect()
}

/// The Job that would be started for a model.
fn running(world: &World, name: &str, ended: Option<&str>) -> Running {
    let started = plan(world, &[], now()).into_iter().find_map(|step| match step {
        Step::Start(model, job) if model.name == name => Some(job),
        _ => None,
    });
    let mut job = *started.expect("the model is due");
    job.metadata.uid = Some("job".to_owned());
    job.metadata.creation_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now() - SignedDuration::from_mins(1)));
    if let Some(reason) = ended {
        job.status = Some(
            serde_json::from_value(
                json!({"conditions": [{"type": "Failed", "status": "True", "reason": reason}]}),
            )
            .unwrap(),
        );
    }
    let mut running = Running::of(&job).unwrap();
    running.name = format!("job-{name}");
    running
}

#[test]
fn a_model_is_read_once_and_again_after_its_time() {
    let due = |verification| steps(&world([model("m", verification)]), &[]);
    assert_eq!(due(json!(null)), ["start m"]);
    assert_eq!(due(verified("2026-06-01T00:00:00Z")), [""; 0]);
    assert_eq!(due(verified("2026-05-20T00:00:00Z")), ["start m"]);
    let mut other = verified(NOW);
    other["digest"] = json!(digest("b"));
    assert_eq!(due(other), ["start m"], "another digest was verified");
    let mut unknown = verified("2026-06-01T11:45:00Z");
    unknown["bytesVerified"] = json!("Unknown");
    assert_eq!(due(unknown), ["start m"], "what could not be found out is asked again soon");
    let mut often = model("m", verified("2026-06-01T10:00:00Z"));
    often.spec.verification = Some(serde_json::from_value(json!({"every": "PT1S"})).unwrap());
    assert_eq!(steps(&world([often.clone()]), &[]), ["start m"]);
    often.status = model("m", verified("2026-06-01T11:30:00Z")).status;
    assert_eq!(steps(&world([often]), &[]), [""; 0], "an hour is the least");
}

#[test]
fn few_run_at_once_and_the_never_verified_go_first() {
    let mut models: Vec<_> =
        (0..6).map(|i| model(&format!("m{i}"), verified("2026-01-01T00:00:00Z"))).collect();
    models.push(model("new", json!(null)));
    let world = world(models);
    let started = steps(&world, &[]);
    assert_eq!(started.len(), OF_ONE, "one namespace has half of the verifiers: {started:?}");
    assert_eq!(started[0], "start new");
    let one = running(&world, "new", None);
    let next = steps(&world, std::slice::from_ref(&one));
    let said = "tell new: the pod that reads it waits to start since 2026-06-01T11:59:00Z";
    assert_eq!(next, [said, "start m0"], "one Job a model");
}

fn in_namespace(name: &str, namespace: &str) -> AIModel {
    let mut other = model(name, json!(null));
    other.metadata.namespace = Some(namespace.to_owned());
    other
}

#[test]
fn no_namespace_keeps_the_others_waiting() {
    let mut models: Vec<_> = (0..9).map(|i| in_namespace(&format!("m{i}"), "a")).collect();
    models.push(in_namespace("x", "b"));
    let world = world(models);
    let all = steps(&world, &[]);
    let started: Vec<_> = all.iter().filter(|step| step.starts_with("start")).collect();
    assert_eq!(started, ["start m0", "start m1", "start x"]);
    assert_eq!(all[2], format!("tell m2: it waits for a free verifier since {NOW}"));
    // What is told already is not told again, and its time stays.
    let mut waits = in_namespace("m0", "a");
    let earlier = "it waits for a free verifier since 2026-06-01T11:00:00Z";
    let known = json!({"verification": {"digest": digest("a"), "signatureVerified": "Pending",
                       "bytesVerified": "Pending", "message": earlier}});
    waits.status = Some(serde_json::from_value(known).unwrap());
    rests(&mut waits);
    let busy = |namespace: &str| {
        let mut busy =
            self::world([in_namespace("y", namespace), in_namespace("z", namespace), waits.clone()]);
        busy.verifier_image.clone_from(&world.verifier_image);
        let jobs = ["y", "z"].map(|name| running(&self::world([in_namespace(name, namespace)]), name, None));
        let mut steps = steps(&busy, &jobs);
        steps.retain(|step| step.contains("m0"));
        steps
    };
    assert_eq!(busy("a"), [""; 0]);
    assert_eq!(busy("b"), ["start m0"]);
}

#[test]
fn a_pod_that_waits_for_longer_than_a_minute_keeps_nobody_waiting() {
    let world = world((0..5).map(|i| model(&format!("m{i}"), json!(null))));
    let waiting = |seconds: i64| {
        let first: Vec<Running> = ["m0", "m1"]
            .into_iter()
            .map(|name| Running {
                waits_since: Some(now() - SignedDuration::from_secs(seconds)),
                ..running(&world, name, None)
            })
            .collect();
        let mut steps = steps(&world, &first);
        steps.retain(|step| step.starts_with("start"));
        steps
    };
    assert_eq!(waiting(60), [""; 0]);
    assert_eq!(waiting(61), ["start m2", "start m3"]);
}

/// A claim with the weights of the models of these tests.
fn claim(uid: &str) -> Object {
    let claim = json!({"metadata": {"name": "weights", "namespace": "chat", "uid": uid}, "spec": {"volumeName": "pv"}});
    Object::Claim(Box::new(serde_json::from_value(claim).unwrap()))
}

#[test]
fn what_was_verified_is_read_again_at_once_where_it_rests_on_something_else() {
    let of = |change: &dyn Fn(&mut AIModel)| {
        let mut model = model("m", verified("2026-06-01T00:00:00Z"));
        change(&mut model);
        model
    };
    assert_eq!(steps(&world([of(&|_| {})]), &[]), [""; 0]);
    let path = of(&|model| model.spec.source.as_mut().unwrap().path = Some("other".to_owned()));
    assert_eq!(steps(&world([path]), &[]), ["start m"]);
    let earlier_release =
        of(&|model| model.status.as_mut().unwrap().verification.as_mut().unwrap().basis = None);
    assert_eq!(steps(&world([earlier_release]), &[]), ["start m"]);
    let mut revoked = world([of(&|_| {})]);
    let policy = json!({"metadata": {"name": "t"}, "spec": {"revoked": [{"kind": "key", "value": "team"}]}});
    revoked.apply(Object::TrustPolicy(Box::new(serde_json::from_value(policy).unwrap())));
    assert_eq!(steps(&revoked, &[]), ["start m"]);
    // A claim that was made again is read by another Job, and the one before is of no use.
    let mut claimed = world([model("m", json!(null))]);
    claimed.apply(claim("1"));
    let before = running(&claimed, "m", Some("Complete"));
    assert_eq!(steps(&claimed, std::slice::from_ref(&before)), ["read job-m of m"]);
    claimed.apply(claim("2"));
    assert_eq!(steps(&claimed, &[before]), ["delete job-m", "start m"]);
}

#[test]
fn an_ended_job_is_read_and_a_useless_one_deleted() {
    let first = world([model("m", json!(null))]);
    let ended = running(&first, "m", Some("BackoffLimitExceeded"));
    assert_eq!(steps(&first, std::slice::from_ref(&ended)), ["read job-m of m"]);
    let mut changed = model("m", json!(null));
    changed.spec.digest = Some(digest("b"));
    assert_eq!(steps(&world([changed]), &[ended]), ["delete job-m", "start m"]);
}

#[test]
fn a_pod_that_does_not_start_is_said_and_taken_away() {
    let world = world([model("m", json!(null))]);
    let mut waiting = running(&world, "m", None);
    waiting.waits_since = Some(now() - SignedDuration::from_mins(11));
    let said = steps(&world, &[waiting]);
    assert!(said[0].starts_with("tell m: its pod did not start within ten minutes"), "{said:?}");
    assert_eq!(said[1], "delete job-m");
}

#[test]
fn what_could_not_be_read_again_counts_for_one_more_period() {
    let missed = |at: &str| {
        let told =
            verification(stored(&model("m", verified(at))), &Outcome::Unknown("held".to_owned()), now());
        (
            told.bytes_verified.unwrap(),
            told.bytes_verified_at.unwrap(),
            told.bytes_missed_at,
            told.message.unwrap(),
        )
    };
    let again = "the bytes could not be read again: held".to_owned();
    let recent = "2026-05-24T12:00:00Z".to_owned();
    assert_eq!(missed(&recent), (VerificationState::Verified, recent, Some(NOW.to_owned()), again));
    let long_ago = missed("2026-05-18T12:00:00Z");
    assert_eq!(long_ago, (VerificationState::Unknown, NOW.to_owned(), None, "held".to_owned()));
    let mut failed = verified("2026-05-24T12:00:00Z");
    failed["bytesVerified"] = json!("Failed");
    let told = verification(stored(&model("m", failed)), &Outcome::Unknown("held".to_owned()), now());
    assert_eq!(told.bytes_verified, Some(VerificationState::Unknown), "only what was good counts on");
    // It is tried again every ten minutes.
    let tried = |at: &str| {
        let mut known = verified("2026-05-24T12:00:00Z");
        known["bytesMissedAt"] = json!(at);
        steps(&world([model("m", known)]), &[])
    };
    assert_eq!(tried("2026-06-01T11:51:00Z"), [""; 0]);
    assert_eq!(tried("2026-06-01T11:49:00Z"), ["start m"]);
}

#[test]
fn without_an_image_nothing_is_started_and_the_status_says_so() {
    let mut world = world([model("m", json!(null))]);
    world.verifier_image.clear();
    assert_eq!(steps(&world, &[]), ["tell m: the operator was not told which image verifies models"]);
}

#[test]
fn only_the_pod_that_would_be_built_is_the_verifier() {
    let world = world([model("m", json!(null))]);
    let Some(Step::Start(model, job)) = plan(&world, &[], now()).into_iter().next() else {
        panic!("the model is due")
    };
    let mut pod = job.spec.unwrap().template.spec.unwrap();
    assert!(model_jobs::is_verifier(&world, "chat", &pod));
    assert!(!model_jobs::is_verifier(&world, "other", &pod), "the model is of another namespace");
    pod.containers[0].command = Some(vec!["sh".to_owned()]);
    assert!(!model_jobs::is_verifier(&world, "chat", &pod));
    assert_eq!(model.name, "m");
}

#[test]
fn an_answer_becomes_the_status_and_one_about_another_digest_does_not() {
    let model = model("m", json!(null));
    let answer = |digest: String| {
        Outcome::Answered(Answer {
            digest,
            signature: VerificationState::Verified,
            authorities: vec!["acme".to_owned()],
            bytes: VerificationState::Failed,
            formats: VerificationState::Verified,
            seen: BTreeMap::from([("pickle".to_owned(), 2)]),
            message: "bytes: \"a\" has other bytes than the manifest says".to_owned(),
        })
    };
    let told = verification(&model, &answer(digest("a")), now());
    assert_eq!(
        serde_json::to_value(told).unwrap(),
        json!({
            "digest": digest("a"), "signatureVerified": "Verified", "signatureVerifiedAt": NOW, "authority": "acme",
            "bytesVerified": "Failed", "bytesVerifiedAt": NOW, "formatsVerified": "Verified",
            "formatsSeen": [{"format": "pickle", "files": 2}],
            "message": "bytes: \"a\" has other bytes than the manifest says",
        })
    );
    let told = verification(&model, &answer(digest("b")), now());
    assert_eq!(told.bytes_verified, Some(VerificationState::Unknown));
    assert_eq!(told.message.as_deref(), Some("the verifier answered about another digest"));
}

#[test]
fn what_is_known_of_a_signature_in_a_registry_becomes_the_status_once() {
    use crate::policy::facts::{Signature, Vouched};
    let of = |model: &AIModel, signature: &Signature| of_signature(model, signature, None, now());
    let fresh = in_registry(json!(null));
    let trusted = Signature::Trusted(Vouched::from(vec!["acme".to_owned()]));
    let told = of(&fresh, &trusted).unwrap();
    assert_eq!(
        (told.signature_verified, told.authority.as_deref(), told.signature_verified_at.as_deref()),
        (Some(VerificationState::Verified), Some("acme"), Some(NOW))
    );
    assert_eq!(told.bytes_verified, Some(VerificationState::NotRequired));
    // An hour ago nothing else was said: nothing is written.
    let mut before = told.clone();
    before.signature_verified_at = Some("2026-06-01T11:00:00Z".to_owned());
    let known = in_registry(serde_json::to_value(&before).unwrap());
    assert_eq!(of(&known, &trusted), Some(before.clone()));
    let revoked = of(&known, &Signature::Refused("digest is revoked: leaked".to_owned())).unwrap();
    assert_eq!(
        (revoked.signature_verified, revoked.message.as_deref(), revoked.signature_verified_at.as_deref()),
        (Some(VerificationState::Failed), Some("digest is revoked: leaked"), Some(NOW))
    );
    let lost = of(&known, &Signature::Unknown("registry \"r\" cannot be reached".to_owned())).unwrap();
    assert_eq!(lost.signature_verified, Some(VerificationState::Unknown));
    assert_eq!(of(&fresh, &Signature::Pending), None);
    assert_eq!(of(&fresh, &Signature::Trusted(Vouched::default())), None);
    // An old word is said again, so that the time tells how old it is.
    before.signature_verified_at = Some("2026-05-30T11:00:00Z".to_owned());
    let old = in_registry(serde_json::to_value(&before).unwrap());
    assert_eq!(of(&old, &trusted).unwrap().signature_verified_at.as_deref(), Some(NOW));
}

#[test]
fn what_was_seen_in_the_layers_is_said_beside_the_signature_and_kept() {
    use crate::gather::registry::Contents;
    use crate::policy::facts::{Signature, Vouched};
    let fresh = in_registry(json!(null));
    let trusted = Signature::Trusted(Vouched::from(vec!["acme".to_owned()]));
    let mut contents = Contents { formats: BTreeMap::from([("safetensors", 3)]), ..Contents::default() };
    let of = |model: &AIModel, contents: Option<&Result<Contents, String>>| {
        let told = of_signature(model, &trusted, contents, now()).unwrap();
        (told.formats_verified, told.message.clone().unwrap_or_default(), told)
    };
    let (state, message, told) = of(&fresh, Some(&Ok(contents.clone())));
    assert_eq!((state, message.as_str()), (Some(VerificationState::Verified), ""));
    assert_eq!((told.formats_seen[0].format.as_str(), told.formats_seen[0].files), ("safetensors", 3));
    // Nobody looks again, and what was seen of this digest stays.
    let known = in_registry(serde_json::to_value(&told).unwrap());
    assert_eq!(of(&known, None).2, told);
    contents.unseen.add("\"layer 2\": it is packed".to_owned());
    let (state, message, told) = of(&fresh, Some(&Ok(contents.clone())));
    assert_eq!((state, message.as_str()), (None, "formats: not seen: \"layer 2\": it is packed"));
    let known = in_registry(serde_json::to_value(&told).unwrap());
    assert_eq!(of(&known, None).1, message, "the word about the formats stays");
    contents.code.add("\"a.bin\" can run code when it is loaded: its pickle imports os.system".to_owned());
    let (state, message, _) = of(&fresh, Some(&Ok(contents)));
    assert_eq!(state, Some(VerificationState::Failed));
    assert!(message.starts_with("formats: \"a.bin\" can run code when it is loaded: "), "{message}");
    let (state, message, _) = of(&fresh, Some(&Err("registry \"r\" cannot be reached".to_owned())));
    assert_eq!((state, message.as_str()), (None, "formats: not seen: registry \"r\" cannot be reached"));
}

#[test]
fn a_dataset_on_a_claim_is_read_by_the_same_job_and_its_formats_do_not_count() {
    let dataset: crate::api::AIDataset = serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIDataset",
        "metadata": {"name": "d", "namespace": "chat", "uid": "uid-d"},
        "spec": {"digest": digest("d"), "source": {"kind": "pvc", "claimName": "data", "path": "v1"},
                 "signature": {"kind": "oms", "ref": "configmap://sig/d.sig"}},
    }))
    .unwrap();
    let mut world = world([]);
    world.apply(Object::Dataset(Box::new(dataset.clone())));
    assert_eq!(steps(&world, &[]), ["start d"]);
    let Some(Step::Start(stored, job)) = plan(&world, &[], now()).into_iter().next() else {
        panic!("the dataset is due")
    };
    let owner = &job.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str(), stored.kind()), ("AIDataset", "d", "AIDataset"));
    let pod = job.spec.unwrap().template.spec.unwrap();
    assert!(model_jobs::is_verifier(&world, "chat", &pod));
    let arguments = pod.containers[0].args.clone().unwrap();
    assert!(
        arguments.contains(&"--data".to_owned()) && arguments.contains(&"--path=v1".to_owned()),
        "{arguments:?}"
    );
    let answer = Answer {
        digest: digest("d"),
        signature: VerificationState::Verified,
        authorities: vec!["acme".to_owned()],
        bytes: VerificationState::Verified,
        formats: VerificationState::Unknown,
        seen: BTreeMap::new(),
        message: String::new(),
    };
    let told = verification(&dataset, &Outcome::Answered(answer), now());
    assert_eq!((told.bytes_verified, told.formats_verified), (Some(VerificationState::Verified), None));
}
