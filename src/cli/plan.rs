//! `portcullis plan`: what would be refused at the next restart, drain, rollout or rollback under a profile.

mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::check::judge::{Judgement, Outcome, judge};
use super::check::signatures::Signatures;
use super::check::{self, Form, Profile, REFUSED, UNKNOWN, assumed};
use super::out;
use crate::api::common::{LABEL_ENVIRONMENT, LABEL_SENSITIVITY};
use crate::api::{Environment, Sensitivity};
use crate::gather::files::documents::Documents;
use crate::gather::files::{Assumptions, Manifests, Subject};
use crate::gather::live::{About, Look, When, look};
use crate::policy::evaluate::judged;
use crate::policy::{Decision, Finding, Verdict};
use crate::render::report::columns;
use crate::render::words;
use running::{running, taken};

/// Lists which running pods, templates and stored revisions would be refused if they were asked for again, under a profile
/// or under what is in force. Reads the cluster of the current context, or manifests with -f; changes nothing. Exit code: 0
/// all would come back, 1 some would not, 2 unusable input, 3 unknown.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Judge by this profile too, beside those in force
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Plan for these manifests instead of a cluster: file, directory or - (may be repeated)
    #[arg(short, long = "file", value_name = "PATH", num_args = 1..)]
    file: Vec<PathBuf>,
    /// Only what lives in this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    /// Plan as if that namespace had this environment
    #[arg(long, requires = "sensitivity", requires = "namespace")]
    environment: Option<Environment>,
    /// Plan as if that namespace had this sensitivity
    #[arg(long, requires = "environment")]
    sensitivity: Option<Sensitivity>,
    /// Look signatures up in the registries that the trust policies list, from here
    #[arg(long)]
    verify: bool,
    /// YAML file with what somebody verified, as `check` reads it
    #[arg(long, value_name = "FILE")]
    signatures: Option<PathBuf>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "text")]
    output: Form,
    /// Say in full what would be said at each refusal
    #[arg(long)]
    messages: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    out::finish(plan(arguments))
}

fn plan(arguments: &Arguments) -> Result<(String, u8), String> {
    let mut signatures = check::known_signatures(arguments.signatures.as_deref())?;
    let live = arguments.file.is_empty();
    let mut look = if live { of_cluster(arguments)? } else { of_files(&arguments.file) };
    if let Some(namespace) = &arguments.namespace {
        relabel(&mut look.documents, namespace, arguments);
    }
    let assumptions = Assumptions {
        namespace: arguments.namespace.clone(),
        environment: arguments.environment,
        sensitivity: arguments.sensitivity,
        profile: arguments.profile.map(Profile::base),
        live,
    };
    let mut manifests = Manifests::of(look.documents, &assumptions);
    let problems = std::mem::take(&mut manifests.problems);
    if !live && !problems.is_empty() {
        return Err(out::lines(&problems));
    }
    // One unreadable object of a cluster is no reason to keep silent on all others.
    look.missing.extend(problems.into_iter().map(|problem| format!("left out: {}", problem.text)));
    assumed::assume_generated(&mut manifests.world);
    if arguments.verify {
        check::verify(&mut signatures, &manifests)
            .map_err(|error| format!("signatures cannot be looked up: {error}\n"))?;
    }
    // What is in force is what the status tells of; under anything else it was not asked.
    if live && !arguments.verify && arguments.profile.is_none() && arguments.environment.is_none() {
        signatures.running = running(&manifests);
        look.missing.extend(taken(&signatures));
    }
    let report = Report::of(&manifests, &signatures, &look.about, &look.missing, arguments);
    let text = match arguments.output {
        Form::Text => report.text(arguments),
        Form::Json => serde_json::to_string_pretty(&report).unwrap_or_default() + "\n",
    };
    Ok((text, report.code()))
}

fn of_cluster(arguments: &Arguments) -> Result<Look, String> {
    out::ask_cluster("plan for manifests with -f", async |client| {
        let look = look(&client, arguments.namespace.as_deref()).await;
        if look.documents.objects.is_empty() {
            return Err(out::lines(&look.missing));
        }
        Ok(look)
    })
}

fn of_files(paths: &[PathBuf]) -> Look {
    Look { documents: Documents::read(paths), ..Look::default() }
}

/// The refusal of one pod, in which what differs in nothing but the image is said once.
fn message(judgement: &Judgement<'_>) -> String {
    let decision = Decision { refused: once(&judgement.decision.refused), ..Decision::default() };
    if decision.allowed() {
        return judgement.denial.clone().unwrap_or_default();
    }
    words::denial(&judgement.title, &decision, judged())
}

/// What cannot be told of several images alike, as one finding that says of how many.
fn once(findings: &[Finding]) -> Vec<Finding> {
    let open = |finding: &Finding| finding.verdict == Verdict::Unknown && finding.place.value.is_some();
    let alike = |one: &Finding, other: &Finding| {
        one.control.id == other.control.id
            && one.place.object == other.place.object
            && one.detail == other.detail
            && one.fix == other.fix
    };
    let mut out: Vec<(Finding, BTreeSet<&str>)> = Vec::new();
    for finding in findings {
        let image = finding.place.value.as_deref().unwrap_or_default();
        let known = out.iter_mut().find(|(known, _)| open(known) && open(finding) && alike(known, finding));
        match known {
            Some((_, images)) => _ = images.insert(image),
            None => out.push((finding.clone(), BTreeSet::from([image]))),
        }
    }
    let said = |(mut finding, images): (Finding, BTreeSet<&str>)| {
        match images.len() {
            1 => {}
            2 => finding.detail.push_str("; the same holds of 1 more image"),
            all => _ = write!(finding.detail, "; the same holds of {} more images", all - 1),
        }
        finding
    };
    out.into_iter().map(said).collect()
}

/// Lays the labels that are planned over those that the namespace has.
fn relabel(documents: &mut Documents, namespace: &str, arguments: &Arguments) {
    let (Some(environment), Some(sensitivity)) = (arguments.environment, arguments.sensitivity) else {
        return;
    };
    for (_, object) in &mut documents.objects {
        if object["kind"] == "Namespace" && object["metadata"]["name"] == namespace {
            object["metadata"]["labels"][LABEL_ENVIRONMENT] = environment.as_str().into();
            object["metadata"]["labels"][LABEL_SENSITIVITY] = sensitivity.as_str().into();
        }
    }
}

/// What would happen, by the objects that people wrote.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    rows: Vec<Row>,
    judged: usize,
    refused: usize,
    unknown: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// One object, and one occasion on which its pods would be asked for again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    object: String,
    when: &'static str,
    /// Pods, templates or revisions that would be refused.
    refused: usize,
    /// Those of which it cannot be told.
    unknown: usize,
    /// Those that were judged.
    of: usize,
    outcome: Outcome,
    controls: Vec<&'static str>,
    message: String,
}

impl Report {
    fn of(
        manifests: &Manifests,
        signatures: &Signatures,
        about: &[About],
        missing: &[String],
        arguments: &Arguments,
    ) -> Self {
        let judgements = judge(manifests, signatures, jiff::Timestamp::now());
        let mut grouped: BTreeMap<(&str, About), Vec<&Judgement<'_>>> = BTreeMap::new();
        for judgement in &judgements {
            let subject = judgement.subject;
            let namespace = subject.namespace.as_deref().unwrap_or_default();
            let elsewhere = arguments.namespace.as_deref().is_some_and(|wanted| wanted != namespace);
            if subject.pods().is_empty() || elsewhere {
                continue;
            }
            grouped.entry((namespace, stands_for(subject, about))).or_default().push(judgement);
        }
        let mut out = Self { rows: Vec::new(), judged: 0, refused: 0, unknown: 0, notes: missing.to_vec() };
        for ((namespace, about), judgements) in grouped {
            let not_back: Vec<_> = judgements.iter().filter(|j| j.denial.is_some()).collect();
            out.judged += judgements.len();
            let refused = not_back.iter().filter(|j| j.outcome == Outcome::Refused).count();
            let unknown = not_back.len() - refused;
            out.refused += refused;
            out.unknown += unknown;
            let Some(first) = not_back.first() else { continue };
            let mut controls: Vec<_> =
                not_back.iter().flat_map(|j| j.decision.refused.iter().map(|f| f.control.id)).collect();
            controls.sort_unstable();
            controls.dedup();
            out.rows.push(Row {
                namespace: namespace.to_owned(),
                object: about.owner,
                when: about.when.as_str(),
                refused,
                unknown,
                of: judgements.len(),
                outcome: not_back.iter().map(|j| j.outcome).max().unwrap_or(Outcome::Pass),
                controls,
                message: message(first),
            });
        }
        out
    }

    fn code(&self) -> u8 {
        match (self.refused, self.unknown) {
            (0, 0) => 0,
            (0, _) => UNKNOWN,
            _ => REFUSED,
        }
    }

    fn text(&self, arguments: &Arguments) -> String {
        let mut out = String::new();
        if !self.rows.is_empty() {
            let rows = self.rows.iter().map(|row| {
                let share = format!("{} of {}", row.refused, row.of);
                let open = row.unknown.to_string();
                let controls = some(&row.controls);
                vec![row.namespace.clone(), row.object.clone(), row.when.to_owned(), share, open, controls]
            });
            let head = ["NAMESPACE", "OBJECT", "WHEN", "REFUSED", "CANNOT-TELL", "CONTROLS"];
            columns(&mut out, &head, rows.collect());
            out.push('\n');
        }
        if arguments.messages {
            for row in &self.rows {
                let _ = writeln!(out, "{}/{} at {}:\n{}\n", row.namespace, row.object, row.when, row.message);
            }
        }
        for note in &self.notes {
            let _ = writeln!(out, "note: {note}");
        }
        let under = arguments.profile.map_or("the profiles in force".to_owned(), |profile| {
            format!("profile {}", profile.base().as_str())
        });
        let _ = match (self.judged, self.refused) {
            (0, _) => writeln!(out, "no governed pod, template or revision was found"),
            (judged, 0) if self.unknown == 0 => {
                writeln!(
                    out,
                    "{judged} of {judged} pods, templates and revisions would come back under {under}"
                )
            }
            (judged, refused) => {
                writeln!(
                    out,
                    "{refused} of {judged} pods, templates and revisions would not come back under {under}"
                )
            }
        };
        if self.unknown > 0 {
            let _ = writeln!(out, "of {} of them it cannot be told", self.unknown);
        }
        if !arguments.messages && !self.rows.is_empty() {
            out.push_str("why and how to fix it: the same command with --messages\n");
        }
        if self.unknown > 0 && !arguments.verify {
            out.push_str("signatures were not looked up: --verify asks the registries from here\n");
        }
        out
    }
}

/// The first few of many controls; all of them are in the messages and in JSON.
fn some(controls: &[&str]) -> String {
    const FEW: usize = 3;
    match controls.len().saturating_sub(FEW) {
        0 | 1 => controls.join(","),
        more => format!("{} and {more} more", controls[..FEW].join(",")),
    }
}

/// What a subject stands for; in files an object stands for itself.
fn stands_for(subject: &Subject, about: &[About]) -> About {
    let known = subject.origin.document.checked_sub(1).filter(|_| subject.origin.file == "cluster");
    known.and_then(|index| about.get(index)).cloned().unwrap_or_else(|| About {
        owner: format!("{}/{}", subject.kind, subject.name),
        when: if subject.kind == "Pod" { When::Restart } else { When::Rollout },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::files::Origin;
    use serde_json::{Value, json};

    const ARGUMENTS: Arguments = Arguments {
        profile: None,
        file: Vec::new(),
        namespace: None,
        environment: None,
        sensitivity: None,
        verify: false,
        signatures: None,
        output: Form::Text,
        messages: false,
    };

    /// As they are read from a cluster.
    fn read(objects: impl IntoIterator<Item = Value>) -> Manifests {
        let origin = |document| Origin { file: "cluster".to_owned(), document, ..Origin::default() };
        let mut documents = Documents::default();
        documents.objects.extend(objects.into_iter().zip(1..).map(|(object, at)| (origin(at), object)));
        let manifests = Manifests::of(documents, &Assumptions { live: true, ..Assumptions::default() });
        assert_eq!(manifests.problems, []);
        manifests
    }

    #[test]
    fn what_runs_is_taken_as_verified_where_the_status_tells_of_nothing_else() {
        let image = |name: &str| format!("registry.example/{name}@sha256:{}", "1".repeat(64));
        let planned = |counters: Value, generation: u8| {
            let labels = json!({LABEL_ENVIRONMENT: "production", LABEL_SENSITIVITY: "internal"});
            let manifests = read([
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}),
                json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
                    "metadata": {"name": "chat", "namespace": "shop", "generation": generation},
                    "spec": {"type": "inference", "roles": ["SystemOperator"], "owners": {"accountable": {"user": "j"}},
                        "selector": {"matchLabels": {"app": "chat"}}},
                    "status": {"observedGeneration": 2, "counters": counters, "pods": {"total": 1}}}),
                json!({"apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": "chat-x", "namespace": "shop", "labels": {"app": "chat"}},
                    "spec": {"containers": [{"name": "a", "image": image("a")}, {"name": "b", "image": image("b")},
                        {"name": "c", "image": image("c")}]}}),
            ]);
            let signatures = Signatures { running: running(&manifests), ..Signatures::default() };
            let report = Report::of(&manifests, &signatures, &[], &[], &ARGUMENTS);
            (report.rows[0].message.clone(), taken(&signatures))
        };
        let (message, note) = planned(json!({"pass": 9, "warn": 3}), 2);
        assert!(!message.contains("image-signature-trusted"), "{message}");
        assert!(note.unwrap().starts_with("3 images that run are taken as verified"));
        for (counters, generation) in [(json!({"fail": 1}), 2), (json!({"unknown": 1}), 2), (json!({}), 3)] {
            let (message, note) = planned(counters, generation);
            assert_eq!(note, None);
            let lines: Vec<&str> =
                message.lines().filter(|line| line.starts_with("[image-signature-trusted")).collect();
            let [line] = lines.as_slice() else { panic!("{message}") };
            assert!(
                line.contains(&image("a")) && line.ends_with("; the same holds of 2 more images"),
                "{line}"
            );
            assert_eq!(message.matches("--signatures FILE").count(), 1, "{message}");
            assert!(!message.contains("portcullis check"), "{message}");
        }
    }

    #[test]
    fn pods_of_a_workload_that_lets_no_new_ones_in_do_not_come_back() {
        let planned = |state: &str| {
            let labels = json!({LABEL_ENVIRONMENT: "research", LABEL_SENSITIVITY: "internal"});
            let objects = [
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab", "labels": labels}}),
                json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload", "metadata": {"name": "chat", "namespace": "lab"},
                    "spec": {"type": "inference", "roles": ["SystemOperator"], "owners": {"accountable": {"user": "j"}},
                        "selector": {"matchLabels": {"app": "chat"}}, "lifecycle": {"state": state}}}),
                json!({"apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": "chat-x", "namespace": "lab", "labels": {"app": "chat"}},
                    "spec": {"containers": [{"name": "a", "image": "registry.example/a:1"}]}}),
            ];
            let mut about = vec![About::default(); 2];
            about.push(About { owner: "Deployment/chat".to_owned(), when: When::Restart });
            let report = Report::of(&read(objects), &Signatures::default(), &about, &[], &ARGUMENTS);
            let row = &report.rows[0];
            assert_eq!((row.object.as_str(), row.when), ("Deployment/chat", "restart or drain"));
            row.message.contains("lets no new pods in")
        };
        for state in ["Planned", "Quarantined", "Retiring", "Disposed"] {
            assert!(planned(state), "{state}");
        }
        assert!(!planned("Active"));
    }
}
