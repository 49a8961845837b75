//! `prompt-integrity`: what tells a model its part is an asset of known text, not a line that anybody edits.

use serde_json::json;

use crate::api;
use crate::api::prompt::{PromptSource, PromptSourceKind};
use crate::policy::containers::ContainerView;
use crate::policy::control::{Check, Control, Finding, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::maps;
use crate::policy::skeleton;

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
        "a prompt is known by its label, its name, and the flag or variable that hands it over; what a program reads by its own code is not seen",
        "the text of a prompt in a registry is bound by the digest of the artifact, and is not hashed by itself",
    ],
    check: Check::Rule(check),
};

/// Flags by which servers take a prompt or template as text or as a file.
const FLAGS: &[&str] = &[
    "system-prompt",
    "system",
    "sys",
    "system-message",
    "prompt",
    "prompt-template",
    "chat-template",
    "instructions",
    "preamble",
];
/// Endings of the names of variables that hold one.
const VARIABLES: &[&str] =
    &["PROMPT", "PROMPT_TEMPLATE", "SYSTEM_MESSAGE", "CHAT_TEMPLATE", "INSTRUCTIONS", "GUARDRAIL_POLICY"];

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
                        let handed = (map, &*maps::keys(facts.namespace, map, items));
                        declared(facts, pod, &format!("{path}.name"), handed, workload, report);
                    }
                }
            }
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
            .violated(place(), "no ConfigMap of this name has the label portcullis.dev/prompt: it is gone or lost it; restore or label it")
            .under(&["CoP-5.2"])
            .fix(Fix::Command(format!(
                "`kubectl label configmap {name} -n {} portcullis.dev/prompt=true`, once it is there again with the reviewed text if it is gone",
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
    path: &str,
    (map, keys): (&str, &[&str]),
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
        for key in keys.iter().filter(|key| !is(key)) {
            let what = format!(
                "is a text in ConfigMap {map:?} that is handed over, and {} declares no AIPrompt with it as its source",
                Facts::name_of(workload)
            );
            report.violated(pod.at(path).value(*key), what).under(&["CoP-2.2"]).fix(Fix::Text(
                "name the declared keys alone in items, or register this one as an AIPrompt too".to_owned(),
            ));
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
    report.violated(pod.at(path).value(map), what).under(&["CoP-2.2"]).fix(fix).may_arrive();
}

/// Text that stands where no AIPrompt can fix it is moved into one.
fn move_out<'f>(finding: &'f mut Finding, workload: &api::AIWorkload) -> &'f mut Finding {
    finding.under(&["CoP-2.2"]).fix(Fix::Text(format!(
        "apply an AIPrompt with the immutable ConfigMap as spec.source and its digest, and name it in spec.prompts of {}",
        Facts::name_of(workload)
    )))
}

fn of_container(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    workload: &api::AIWorkload,
    report: &mut Report<'_>,
) {
    let inline = |report: &mut Report<'_>, field: &str, by: &str| {
        report
            .violated(pod.at(container.path(field)), format!("{by} holds a prompt as text, which nobody registered"))
            .under(&["CoP-2.2", "CoP-5.2"])
            .fix(Fix::Text(
                "put the text into an immutable ConfigMap with the label portcullis.dev/prompt, register it as an AIPrompt, \
                 and pass the path at which it is mounted"
                    .to_owned(),
            ));
    };
    for (index, variable) in container.env.iter().enumerate() {
        let is_prompt = is_variable(&variable.name);
        match variable.value.as_deref() {
            Some(value) if is_prompt && is_text(value) => {
                inline(report, &format!("env[{index}].value"), &format!("variable {:?}", variable.name));
            }
            Some(value) if value.starts_with('/') && (is_prompt || names_file(&variable.name)) => {
                let place = container.path(&format!("env[{index}].value"));
                file(facts, pod, container, &place, value, workload, report);
            }
            Some(value) if (is_prompt || names_file(&variable.name)) && is_relative(value) => {
                relative(report, pod.at(container.path(&format!("env[{index}].value"))).value(value));
            }
            _ => {}
        }
        let from = variable.value_from.as_ref();
        if let Some(secret) = from.and_then(|from| from.secret_key_ref.as_ref()).filter(|_| is_prompt) {
            let path = container.path(&format!("env[{index}].valueFrom.secretKeyRef.name"));
            let what = "is a Secret that hands over a prompt, and what is in it nobody can compare";
            move_out(report.violated(pod.at(path).value(&secret.name), what), workload);
        }
        let map = from.and_then(|from| from.config_map_key_ref.as_ref());
        if let Some(map) = map.filter(|map| is_prompt || facts.namespace.config_maps.contains_key(&map.name))
        {
            let path = container.path(&format!("env[{index}].valueFrom.configMapKeyRef.name"));
            declared(facts, pod, &path, (&map.name, &[&map.key]), workload, report);
        }
    }
    for (index, source) in container.env_from.iter().enumerate() {
        if let Some(map) =
            source.config_map_ref.as_ref().filter(|m| facts.namespace.config_maps.contains_key(&m.name))
        {
            let path = container.path(&format!("envFrom[{index}].configMapRef.name"));
            declared(
                facts,
                pod,
                &path,
                (&map.name, &maps::keys(facts.namespace, &map.name, None)),
                workload,
                report,
            );
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
            if is_text(value) {
                inline(report, &format!("{field}[{at}]"), &format!("flag {flag:?}"));
            } else if value.starts_with('/') {
                let place = container.path(&format!("{field}[{at}]"));
                file(facts, pod, container, &place, value, workload, report);
            } else if is_relative(value) {
                relative(report, pod.at(container.path(&format!("{field}[{at}]"))).value(value));
            }
        }
    }
}

/// A file that is named from wherever the program starts.
fn relative(report: &mut Report<'_>, place: Place) {
    report
        .violated(place, "names a prompt by a relative path, so that nobody can tell where it lies")
        .under(&["CoP-2.2"])
        .fix(Fix::Text("write the whole path, below the mount of a registered ConfigMap".to_owned()));
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
    let holds = |folder: &str| {
        let rest = path.strip_prefix(folder.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mounts = container.mounts.iter().filter(|mount| holds(&mount.mount_path));
    let mount = mounts.max_by_key(|mount| mount.mount_path.len());
    let Some(mount) = mount else {
        let what = "hands over a prompt that lies in the image, where nobody registered it";
        move_out(report.violated(pod.at(place).value(path), what), workload);
        return;
    };
    let volumes = pod.spec.volumes.iter().flatten();
    let Some((index, volume)) = volumes.enumerate().find(|(_, volume)| volume.name == mount.name) else {
        return;
    };
    // What lies in an artifact or on a claim is a model or a dataset, and judged as such.
    if volume.image.is_some() || volume.persistent_volume_claim.is_some() {
        return;
    }
    let maps = maps::mounted(index, volume);
    if maps.is_empty() {
        let what =
            format!("hands over a prompt from volume {:?}, in which nobody registered it", volume.name);
        move_out(report.violated(pod.at(place).value(path), what), workload);
    }
    for (at, map, items) in maps {
        // Of those with the label or the name the volumes are spoken of already.
        if !facts.namespace.config_maps.contains_key(map) && !map.contains("prompt") {
            let handed = (map, &*maps::keys(facts.namespace, map, items));
            declared(facts, pod, &format!("{at}.name"), handed, workload, report);
        }
    }
}

/// Whether a value is the path of a file from wherever the program starts.
fn is_relative(value: &str) -> bool {
    let end = value.rsplit_once('.').map_or("", |(_, end)| end);
    let file = ["jinja", "jinja2", "j2", "txt", "md", "tmpl", "prompt"].contains(&end);
    !value.starts_with(['/', '$']) && !value.contains("://") && (file || value.starts_with('.'))
}

/// Whether a variable names the file of a prompt.
fn names_file(name: &str) -> bool {
    ["_FILE", "_PATH"].iter().any(|end| name.strip_suffix(end).is_some_and(is_variable))
}

fn is_flag(flag: &str) -> bool {
    let name = flag.trim_start_matches('-');
    FLAGS.iter().any(|known| {
        known.len() == name.len()
            && known
                .bytes()
                .zip(name.bytes())
                .all(|(a, b)| a == b.to_ascii_lowercase() || (a == b'-' && b == b'_'))
    })
}

fn is_variable(name: &str) -> bool {
    VARIABLES
        .iter()
        .any(|end| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')))
}

/// Whether a value is text for a model and no name, path or address: it has several words, or a template's marks.
fn is_text(value: &str) -> bool {
    let value = value.trim();
    let words = value.split_whitespace().take(3).count();
    words >= 3 || (!value.starts_with(['/', '$', '.']) && (value.contains("{{") || value.contains("{%")))
}

#[cfg(test)]
#[path = "tests/prompt_integrity.rs"]
mod tests;
