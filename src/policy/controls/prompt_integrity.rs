//! `prompt-integrity`: what tells a model its part is an asset of known text, not a line that anybody edits.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMapEnvSource;
use serde_json::json;

use crate::api;
use crate::api::prompt::{PromptSource, PromptSourceKind};
use crate::policy::brought;
use crate::policy::containers::ContainerView;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data;
use crate::policy::facts::{Facts, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::maps::{self, Keys};
use crate::policy::prompts::{
    self, Elsewhere, INSTEAD, MOUNTED, is_flag, is_relative, is_text, is_variable, move_out, names_file,
};
use crate::policy::{rails, skeleton};

/// Prompts are immutable, of the declared digest, and nowhere else.
pub(super) const CONTROL: Control = Control {
    id: "prompt-integrity",
    title: "prompts, templates and guardrail settings are AIPrompt assets of known digest",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Warn, Mode::Audit),
    provisions: &["CoP-2.2", "CoP-5.2", "CoP-8.1.1", "CoP-11.3", "NCSC-O3.2"],
    why: "a system prompt is code in another language, and whoever edits it changes what the system does",
    remedy: "register the text as an AIPrompt with its digest and make the ConfigMap immutable",
    gaps: &[],
    limits: &[
        "a prompt is known by its label, its name, and the flag or variable that hands it over; what a program reads by its own code, or a shell puts together, is not seen",
        "which variables envFrom brings from a ConfigMap without a label of portcullis.dev is found by the audit of running pods; at admission only a prefix that begins the name of a prompt tells, and of a Secret never more",
        "a single word counts as the name of a prompt, and so do joined ones that are no sentence by their words; encoded text of 100 characters or less looks the same",
        "which of several files a guard reads is told by the names of its flags and variables; a gateway that guards has its rules elsewhere",
        "the text of a prompt in a registry is bound by the digest of the artifact, and is not hashed by itself",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Prompt(prompt) => judge(facts, prompt, report),
        Subject::Pod(_) => {
            let Some((pod, workload)) = facts.ai_pod() else { return };
            for (index, used) in workload.spec.prompts.iter().enumerate() {
                if let Some(prompt) = facts.namespace.prompts.get(&used.name) {
                    judge(facts, prompt, report);
                } else {
                    let path = format!("spec.prompts[{index}].name");
                    report
                        .violated(
                            Place::field(Facts::name_of(workload), path).value(&used.name),
                            format!("no AIPrompt of namespace {:?} has this name", facts.namespace.name),
                        )
                        .under(&["CoP-2.2"])
                        .fix(Fix::Record(
                            format!("apply an AIPrompt {:?} with source and digest of the text", used.name),
                            skeleton::prompt(&facts.namespace.name, &used.name, "CONFIGMAP", None),
                        ))
                        .may_arrive();
                }
            }
            for (index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
                for (path, map, items) in maps::mounted(index, volume) {
                    if facts.namespace.config_maps.contains_key(map) || map.contains("prompt") {
                        declared(facts, pod, &path, (map, Keys::Mounted(items)), workload, report);
                    }
                }
            }
            rails::rules(facts, pod, workload, report);
            for container in &pod.containers {
                of_container(facts, pod, container, workload, report);
            }
        }
        _ => {}
    }
}

fn judge(facts: &Facts<'_>, prompt: &api::AIPrompt, report: &mut Report<'_>) {
    let object = format!(
        "AIPrompt {}/{}",
        prompt.metadata.namespace.as_deref().unwrap_or_default(),
        prompt.metadata.name.as_deref().unwrap_or_default()
    );
    let Some(source) = &prompt.spec.source else {
        report
            .violated(Place::field(&object, "spec.source"), "is missing, so nobody knows which text is meant")
            .under(&["CoP-5.2"])
            .fix(Fix::Text(
                "set spec.source to the ConfigMap and key, or to the artifact, that holds the text"
                    .to_owned(),
            ))
            .in_declaration(facts);
        return;
    };
    let Some(digest) = prompt.spec.digest.as_deref() else {
        let known = text_of(facts, source).unwrap_or("sha256:DIGEST");
        report
            .violated(Place::field(&object, "spec.digest"), "is not set, so the text may change unseen")
            .under(&["CoP-5.2"])
            .fix(
                Fix::set_at(&Place::field(&object, "spec.digest"), "", known)
                    .after("make sure that the text is the one that was reviewed, and fix its digest"),
            )
            .in_declaration(facts);
        return;
    };
    if source.kind == PromptSourceKind::ConfigMap {
        in_map(facts, &object, digest, source, report);
    }
}

/// The digest of the text as it is now, where it is known.
fn text_of<'a>(facts: &Facts<'a>, source: &PromptSource) -> Option<&'a str> {
    let map = facts.namespace.config_maps.get(source.name.as_deref()?)?;
    map.digests.get(source.key.as_deref()?).map(String::as_str)
}

fn in_map(facts: &Facts<'_>, object: &str, digest: &str, source: &PromptSource, report: &mut Report<'_>) {
    let name = source.name.as_deref().unwrap_or_default();
    let key = source.key.as_deref().unwrap_or_default();
    let place = || Place::field(object, "spec.source.name").value(name);
    let Some(map) = facts.namespace.config_maps.get(name) else {
        report
            .violated(place(), "is no ConfigMap with the label portcullis.dev/prompt: it is gone or lost the label")
            .under(&["CoP-5.2"])
            .fix(Fix::Command(format!(
                "`kubectl label configmap {name} -n {} portcullis.dev/prompt=true`, once it is there again with the reviewed text and immutable: true if it is gone",
                facts.namespace.name
            )))
            .may_arrive();
        return;
    };
    if !map.immutable {
        report
            .violated(
                place(),
                "is a ConfigMap that anybody who may write it can change under the running pods",
            )
            .under(&["CoP-5.2", "NCSC-O3.2"])
            .fix(Fix::Command(format!(
                "`kubectl patch configmap {name} -n {} -p '{{\"immutable\":true}}'`",
                facts.namespace.name
            )))
            .may_arrive();
    }
    let place = Place::field(object, "spec.digest").value(digest);
    match map.digests.get(key) {
        None => {
            report
                .violated(
                    Place::field(object, "spec.source.key").value(key),
                    format!("is no key of ConfigMap {name:?}"),
                )
                .under(&["CoP-5.2"])
                .fix(Fix::Text("name the key that holds the text".to_owned()))
                .may_arrive();
        }
        Some(found) if found != digest => {
            report
                .violated(
                    place,
                    format!("is not the digest of what ConfigMap {name:?} holds under {key:?}, {found:?}"),
                )
                .under(&["CoP-5.2", "CoP-11.3"])
                .fix(Fix::Advice(
                    "restore the text; where the new one is meant and was reviewed, register it".to_owned(),
                    [("spec.digest", found.as_str()), ("spec.version", "VERSION")]
                        .into_iter()
                        .flat_map(|(field, value)| {
                            Fix::set_at(&Place::field(object, field), "", value).edits().to_vec()
                        })
                        .collect(),
                ))
                .may_arrive();
        }
        Some(_) => {}
    }
}

/// Text that steers the model comes from prompts that the workload declares.
fn declared(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    at: &str,
    (map, keys): (&str, Keys<'_>),
    workload: &api::AIWorkload,
    report: &mut Report<'_>,
) {
    let labelled = facts.namespace.config_maps.contains_key(map);
    let holds = |prompt: &api::AIPrompt| {
        prompt.spec.source.as_ref().is_some_and(|source| source.name.as_deref() == Some(map))
    };
    let used = workload.spec.prompts.iter().filter_map(|used| facts.namespace.prompts.get(&used.name));
    let held: Vec<_> = used.filter(|prompt| holds(prompt)).collect();
    if !held.is_empty() {
        let is = |key: &str| {
            held.iter().any(|p| p.spec.source.as_ref().and_then(|source| source.key.as_deref()) == Some(key))
        };
        let sources = held.iter().filter_map(|prompt| prompt.spec.source.as_ref()?.key.as_deref());
        let known = sources.map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ");
        let way = match keys {
            Keys::One(_) => format!("name a declared key ({known})"),
            Keys::Mounted(_) => format!("name the declared keys ({known}) alone in items"),
            Keys::Brought => format!(
                "take the declared keys ({known}) one by one into env by valueFrom.configMapKeyRef, and take this source out of envFrom"
            ),
        };
        let others = keys.of(facts.namespace.config_maps.get(map)).into_iter().filter(|(_, key)| !is(key));
        for (field, key) in others {
            let none = format!("{} declares no AIPrompt with it as its source", Facts::name_of(workload));
            let (place, what) = match field {
                Some(field) => (
                    pod.at(format!("{at}.{field}")).value(key),
                    format!("is a text in ConfigMap {map:?} that is handed over, and {none}"),
                ),
                None => (
                    pod.at(format!("{at}.name")).value(map),
                    format!("hands over its text {key:?} too, and {none}"),
                ),
            };
            report
                .violated(place, what)
                .under(&["CoP-2.2"])
                .fix(Fix::Text(format!("{way}, or register {key:?} as an AIPrompt too")));
        }
        return;
    }
    let registered = facts.namespace.prompts.iter().find(|(_, prompt)| holds(prompt));
    let name = Facts::name_of(workload);
    let what = match (labelled, map.contains("prompt")) {
        (true, _) => format!("holds prompts, and {name} declares no AIPrompt with it as its source"),
        (_, true) => {
            format!("is called after prompts, and {name} declares no AIPrompt with it as its source")
        }
        _ => format!("hands over a prompt, and {name} declares no AIPrompt with it as its source"),
    };
    let fix = if let Some((registered, _)) = registered {
        let entry = "spec.prompts[+]";
        Fix::set_at(&Place::field(&name, entry), "", json!({"name": registered}))
    } else {
        let texts = facts.namespace.config_maps.get(map).map(|map| &map.digests);
        let text = texts.filter(|texts| texts.len() == 1).and_then(|texts| texts.iter().next());
        let text = text.map(|(key, digest)| (key.as_str(), digest.as_str()));
        Fix::Record(
            format!("register the immutable ConfigMap as an AIPrompt, and name it in spec.prompts of {name}"),
            skeleton::prompt(&facts.namespace.name, "PROMPT", map, text),
        )
    };
    report.violated(pod.at(format!("{at}.name")).value(map), what).under(&["CoP-2.2"]).fix(fix).may_arrive();
}

/// A container of a pod that is judged by its declaration.
#[derive(Clone, Copy)]
struct Of<'r, 'a> {
    facts: &'r Facts<'a>,
    pod: &'r PodFacts<'a>,
    container: &'r ContainerView<'a>,
    workload: &'r api::AIWorkload,
}

fn of_container(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    workload: &api::AIWorkload,
    report: &mut Report<'_>,
) {
    let of = Of { facts, pod, container, workload };
    let mut from = BTreeSet::new();
    for (index, variable) in container.env.iter().enumerate() {
        let (is_prompt, names_file) = (is_variable(&variable.name), names_file(&variable.name));
        let source = variable.value_from.as_ref();
        if is_prompt && source.is_some() {
            from.insert(Elsewhere::Variable(index));
        } else if names_file && source.is_some() {
            let what = "names the file of a prompt by a value that stands elsewhere, so that nobody can tell which it is";
            report
                .violated(pod.at(container.path(&format!("env[{index}].valueFrom"))), what)
                .under(&["CoP-2.2"])
                .fix(Fix::Text(
                    "write the path into value, below the mount of a registered ConfigMap".to_owned(),
                ));
        } else if is_prompt || names_file {
            let by = format!("variable {:?}", variable.name);
            let value = (variable.value.as_deref().unwrap_or_default(), !is_prompt);
            of.value(&format!("env[{index}].value"), &by, value, &mut from, report);
        }
        let map = source.and_then(|source| source.config_map_key_ref.as_ref());
        if map.is_some_and(|map| facts.namespace.config_maps.contains_key(&map.name)) {
            from.insert(Elsewhere::Variable(index));
        }
    }
    for elsewhere in &from {
        of.elsewhere(elsewhere, report);
    }
    let told = from.clone();
    for (index, source) in container.env_from.iter().enumerate() {
        let known = |map: &&ConfigMapEnvSource| facts.namespace.config_maps.contains_key(&map.name);
        if let Some(map) = source.config_map_ref.as_ref().filter(known) {
            let at = container.path(&format!("envFrom[{index}].configMapRef"));
            declared(facts, pod, &at, (&map.name, Keys::Brought), workload, report);
        } else {
            brought::source(facts.namespace, pod, container, (index, source), workload, report);
        }
    }
    for (field, words) in [("command", container.command), ("args", container.args)] {
        for (index, word) in words.iter().enumerate() {
            if !word.starts_with('-') {
                continue;
            }
            let (flag, joined) =
                word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value)));
            if !is_flag(flag) {
                continue;
            }
            let (at, value) = match joined {
                Some(value) => (index, value),
                None => (index + 1, words.get(index + 1).map_or("", String::as_str)),
            };
            of.value(&format!("{field}[{at}]"), &format!("flag {flag:?}"), (value, false), &mut from, report);
        }
    }
    for elsewhere in from.difference(&told) {
        of.elsewhere(elsewhere, report);
    }
}

impl Of<'_, '_> {
    /// A value that is handed over as a prompt, or `file` names one alone; what of it stands elsewhere is added to `from`.
    fn value(
        &self,
        field: &str,
        by: &str,
        (value, file_only): (&str, bool),
        from: &mut BTreeSet<Elsewhere>,
        report: &mut Report<'_>,
    ) {
        let handed = prompts::handed(self.container, value);
        let whole = handed.from.is_empty();
        from.extend(handed.from);
        let (text, place) = (handed.text.trim(), self.container.path(field));
        let named = |text| prompts::path_of(text).or_else(|| prompts::from_folder(self.container, text));
        if !file_only && is_text(text) {
            report
                .violated(self.pod.at(place), format!("{by} holds a prompt as text, which nobody registered"))
                .under(&["CoP-2.2", "CoP-5.2"])
                .fix(Fix::Text(
                    "put the text into an immutable ConfigMap with the label portcullis.dev/prompt, register it as an AIPrompt, \
                     and pass the path at which it is mounted"
                        .to_owned(),
                ));
        } else if let Some(path) = named(text).filter(|_| whole) {
            file(self.facts, self.pod, self.container, &place, &path, self.workload, report);
        } else if whole && is_relative(text) {
            prompts::relative(report, self.pod.at(place).value(text));
        }
    }

    /// A prompt that stands in another object, or in the pod's own fields.
    fn elsewhere(&self, from: &Elsewhere, report: &mut Report<'_>) {
        let (pod, container) = (self.pod, self.container);
        let index = match from {
            Elsewhere::Variable(index) => *index,
            Elsewhere::Sources(name) => {
                return brought::under(name, self.facts.namespace, pod, container, self.workload, report);
            }
        };
        let path = |field: &str| container.path(&format!("env[{index}].valueFrom.{field}"));
        let Some(source) = container.env.get(index).and_then(|variable| variable.value_from.as_ref()) else {
            return;
        };
        if let Some(map) = &source.config_map_key_ref {
            let at = path("configMapKeyRef");
            declared(self.facts, pod, &at, (&map.name, Keys::One(&map.key)), self.workload, report);
        } else if let Some(secret) = &source.secret_key_ref {
            let what = "is a Secret that hands over a prompt, and what is in it nobody can compare";
            let place = pod.at(path("secretKeyRef.name")).value(&secret.name);
            move_out(report.violated(place, what), self.workload, INSTEAD);
        } else if let Some(field) = &source.field_ref {
            if prompts::is_written(&field.field_path) {
                let what = "is a field of the pod that hands over a prompt, which nobody registered";
                let place = pod.at(path("fieldRef.fieldPath")).value(&field.field_path);
                move_out(report.violated(place, what), self.workload, INSTEAD);
            }
        } else if source.resource_field_ref.is_none() {
            let what = "hands over a prompt from where nobody registered it";
            move_out(report.violated(pod.at(path("").trim_end_matches('.')), what), self.workload, INSTEAD);
        }
    }
}

/// A file that is handed over as a prompt lies in a registered ConfigMap or comes with a declared model.
fn file(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    place: &str,
    path: &str,
    workload: &api::AIWorkload,
    report: &mut Report<'_>,
) {
    let path = &maps::walked(path);
    let Some(mount) = maps::mount_at(container.mounts, path) else {
        let what = "hands over a prompt that lies in the image, where nobody registered it";
        move_out(report.violated(pod.at(place).value(path), what), workload, MOUNTED);
        return;
    };
    let volumes = pod.spec.volumes.iter().flatten();
    let Some((index, volume)) = volumes.enumerate().find(|(_, volume)| volume.name == mount.name) else {
        return;
    };
    // What comes with a model is judged as that.
    let data = volume.image.as_ref().and_then(|image| image.reference.as_deref());
    if data.is_some_and(|reference| data::in_image(facts, reference).is_empty())
        || volume.persistent_volume_claim.is_some()
    {
        return;
    }
    let maps = maps::mounted(index, volume);
    if !maps.is_empty() {
        prompts::beside(pod, (index, volume), mount, path, report);
    }
    if maps.is_empty() {
        let what =
            format!("hands over a prompt from volume {:?}, in which nobody registered it", volume.name);
        move_out(report.violated(pod.at(place).value(path), what), workload, MOUNTED);
    }
    for (at, map, items) in maps {
        // Of those with the label or the name the volumes are spoken of already.
        if !facts.namespace.config_maps.contains_key(map) && !map.contains("prompt") {
            declared(facts, pod, &at, (map, Keys::Mounted(items)), workload, report);
        }
    }
}

#[cfg(test)]
#[path = "tests/prompt_integrity.rs"]
mod tests;
