//! The pure part alone: evaluate, decide and render for one pod, without bytes, network or locks.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use portcullis::controllers::generate;
use portcullis::gather::objects::{PodObject, pod_from_json};
use portcullis::gather::signatures::questions;
use portcullis::gather::world::{Object, World};
use portcullis::policy::facts::{Matched, Signature, Stage, Subject as FactsSubject};
use portcullis::policy::{Enforcement, decide, evaluate};
use portcullis::render::words::{self, Title};
use portcullis::webhook::wire::Answer;
use serde_json::{Value, json};

use super::report::{Report, median, number};
use super::setup::{trust_policy, workload};
use super::subjects::{Subject, subjects};

const NAMESPACE: &str = "bench-portcullis";
const HOST: &str = "127.0.0.1:5000";
const BATCHES: usize = 25;
const BATCH: usize = 2_000;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let image = format!("{HOST}/team/chat@sha256:{}", "1".repeat(64));
    let subjects = subjects(&image);
    let world = world()?;
    report.table(
        "E. Pure part, microseconds per pod (median of 25 batches, smallest batch)",
        &["pod", "evaluate + decide + render", "reading the pod from JSON"],
    );
    for (name, wanted) in [("good", false), ("bad", true)] {
        let chosen: Vec<&Subject> = subjects.iter().filter(|s| s.breaks.is_some() == wanted).collect();
        let texts: Vec<String> = chosen.iter().map(|s| s.pod.to_string()).collect();
        let pods: Vec<PodObject> =
            texts.iter().map(|t| pod_from_json(t).map(|(_, pod)| pod)).collect::<Result<_, _>>()?;
        for (pod, subject) in pods.iter().zip(&chosen) {
            let answer = judge(&world, pod);
            let right = match subject.breaks {
                None => answer.allowed(),
                Some(rule) => answer.controls.contains(&rule.control()),
            };
            ensure!(right, "{:?} was expected: {answer:?}", subject.breaks);
        }
        let judged = batches(|index| {
            black_box(judge(&world, &pods[index % pods.len()]).to_json("uid"));
        });
        let read = batches(|index| {
            black_box(pod_from_json(&texts[index % texts.len()]).is_ok());
        });
        report.row(&[name.to_owned(), judged, read]);
    }
    Ok(())
}

fn batches(mut act: impl FnMut(usize)) -> String {
    let micros: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let begun = Instant::now();
            (0..BATCH).for_each(&mut act);
            begun.elapsed().div_f64(number(BATCH)).as_secs_f64() * 1e6
        })
        .collect();
    let smallest = micros.iter().copied().fold(Duration::MAX.as_secs_f64(), f64::min);
    format!("{:.1}, {smallest:.1}", median(&micros))
}

/// What the webhook does with a pod once its facts are there.
fn judge(world: &World, object: &PodObject) -> Answer {
    let now = Timestamp::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
    let namespace = world.namespace(NAMESPACE);
    let settings = world.settings(namespace);
    let signatures: BTreeMap<String, Signature> = questions(&object.spec)
        .into_iter()
        .map(|question| {
            let signature = if question.reference.starts_with(HOST) {
                Signature::Trusted(vec!["ecdsa-p256".to_owned()].into())
            } else {
                Signature::Refused("no rule of a trust policy speaks of it".to_owned())
            };
            (question.reference, signature)
        })
        .collect();
    let mut pod = world.pod_facts(namespace, object, Stage::Entering);
    pod.kind = "Pod";
    pod.name = "chat";
    pod.signatures = signatures.iter().map(|(image, known)| (image.as_str(), known.clone())).collect();
    let workload = match &pod.matched {
        Matched::One(workload) => Some(*workload),
        _ => None,
    };
    let enforcement = Enforcement::of(namespace, &world.cluster, workload.map(AsRef::as_ref), now);
    let name = workload.and_then(|workload| workload.metadata.name.as_deref());
    let facts = world.facts(now, FactsSubject::Pod(pod), namespace, &settings);
    let decision = decide(evaluate(&facts), &enforcement, name, false);
    let title = Title { owner: format!("AIWorkload {NAMESPACE}/chat"), what: "pod".to_owned() };
    let judged = portcullis::policy::evaluate::judged();
    Answer {
        denial: (!decision.allowed()).then(|| words::denial(&title, &decision, judged)),
        warnings: decision.warned.iter().map(words::one_line).collect(),
        controls: words::control_ids(&decision.refused),
    }
}

fn world() -> Result<World> {
    let mut world = World::default();
    let namespace = json!({"metadata": {"name": NAMESPACE, "labels": {
        "portcullis.dev/environment": "production", "portcullis.dev/sensitivity": "internal",
    }}});
    world.apply(Object::Namespace(Box::new(serde_json::from_value(namespace)?)));
    world.apply(Object::TrustPolicy(Box::new(serde_json::from_value(trust_policy(HOST)?)?)));
    let mut declaration = workload("chat", NAMESPACE);
    declaration["metadata"]["uid"] = json!("5b2f8f4e-0000-4000-8000-000000000001");
    let declaration: portcullis::api::AIWorkload = serde_json::from_value(declaration)?;
    let mut generated: Vec<Value> =
        generate::build(&declaration, world.namespace(NAMESPACE), generate::Kinds::default())
            .into_iter()
            .map(|desired| desired.object)
            .collect();
    generated.push(generate::build_namespace(world.namespace(NAMESPACE)).object);
    world.apply(Object::Workload(Box::new(declaration)));
    for mut object in generated {
        object["metadata"]["namespace"] = json!(NAMESPACE);
        match object["kind"].as_str().context("kind")? {
            "ServiceAccount" => {
                world.apply(Object::ServiceAccount(Box::new(serde_json::from_value(object)?)));
            }
            "NetworkPolicy" => {
                world.apply(Object::NetworkPolicy(Box::new(serde_json::from_value(object)?)));
            }
            other => anyhow::bail!("{other} is generated too now"),
        }
    }
    Ok(world)
}
