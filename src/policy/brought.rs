//! What `envFrom` brings into a container that holds a prompt, as far as the keys of its sources are known. Pure.

use k8s_openapi::api::core::v1::EnvFromSource;

use super::containers::ContainerView;
use super::control::Report;
use super::facts::{Namespace, PodFacts, Text};
use super::fix::Fix;
use super::prompts::{VARIABLES, is_variable, move_out, names_file};
use crate::api;

/// Letters of the name of such a variable that make a prefix its beginning: fewer begin too many other names.
const BEGUN: usize = 7;

/// What one source brings.
enum Brings {
    /// These variables hold a prompt, or name the file of one.
    Prompts(Vec<String>),
    /// Which is not known, and the prefix begins the name of a prompt.
    Unseen,
    /// Nothing that is known to be one.
    Nothing,
}

fn brings(namespace: &Namespace, container: &ContainerView<'_>, source: &EnvFromSource) -> Brings {
    let prefix = source.prefix.as_deref().unwrap_or_default();
    let keys = source.config_map_ref.as_ref().and_then(|map| keys(namespace, &map.name));
    match keys {
        Some(keys) => {
            let names = keys.into_iter().map(|key| format!("{prefix}{key}"));
            // What env says of a name goes before what a source brings.
            let brought = |name: &String| container.env.iter().all(|variable| variable.name != *name);
            let prompt = |name: &String| is_variable(name) || names_file(name);
            Brings::Prompts(names.filter(|name| prompt(name) && brought(name)).collect())
        }
        None if begins(prefix) => Brings::Unseen,
        None => Brings::Nothing,
    }
}

/// The keys of a map without the label of prompts that matter, where it was read.
fn keys<'n>(namespace: &'n Namespace, map: &str) -> Option<Vec<&'n str>> {
    if let Some(map) = namespace.settings_maps.get(map) {
        return Some(map.digests.keys().map(String::as_str).collect());
    }
    match namespace.texts.get(map)? {
        Text::Read { prompts, .. } => Some(prompts.iter().map(String::as_str).collect()),
        Text::Unread(_) => None,
    }
}

/// Whether a prefix begins the name of a variable that holds a prompt, or is one already.
fn begins(prefix: &str) -> bool {
    let tails = std::iter::once(prefix).chain(prefix.match_indices('_').map(|(at, _)| &prefix[at + 1..]));
    let begun = |tail: &str| {
        tail.len() >= BEGUN && VARIABLES.iter().chain(&["SYSTEM_PROMPT"]).any(|name| name.starts_with(tail))
    };
    is_variable(prefix) || tails.into_iter().any(begun)
}

/// A source of variables whose map has not the label of prompts, or that is a Secret.
pub(super) fn source(
    namespace: &Namespace,
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    (index, source): (usize, &EnvFromSource),
    workload: &api::AIWorkload,
    report: &mut Report<'_>,
) {
    let (field, object) = match (&source.config_map_ref, &source.secret_ref) {
        (Some(map), _) => ("configMapRef", map.name.as_str()),
        (None, Some(secret)) => ("secretRef", secret.name.as_str()),
        (None, None) => return,
    };
    let place = || pod.at(container.path(&format!("envFrom[{index}].{field}.name"))).value(object);
    match brings(namespace, container, source) {
        Brings::Prompts(names) => {
            for name in names {
                let what =
                    format!("brings variable {name:?}, which hands over a prompt that nobody registered");
                move_out(report.violated(place(), what), workload, &taken(&name));
            }
        }
        Brings::Unseen => {
            let prefix = source.prefix.as_deref().unwrap_or_default();
            let otherwise = if field == "configMapRef" {
                "; or label the ConfigMap portcullis.dev/settings, so that its keys are known"
            } else {
                ""
            };
            report
                .unknown(
                    place(),
                    format!("brings variables under {prefix:?}, which begins the name of a prompt, and its keys are not known"),
                )
                .under(&["CoP-2.2"])
                .fix(Fix::Text(format!(
                    "take another prefix, and a prompt by valueFrom.configMapKeyRef from a registered ConfigMap{otherwise}"
                )));
        }
        Brings::Nothing => {}
    }
}

/// How a container is told by a variable of its own what a source brought.
fn taken(name: &str) -> String {
    format!("let env set {name} by valueFrom.configMapKeyRef from there; it goes before what envFrom brings")
}

/// A prompt under `name` in one of the sources of variables: those with the label of prompts are judged as a whole.
pub(super) fn under(
    name: &str,
    namespace: &Namespace,
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    workload: &api::AIWorkload,
    report: &mut Report<'_>,
) {
    let mut others = Vec::new();
    for (index, source) in container.env_from.iter().enumerate() {
        let told = matches!(brings(namespace, container, source), Brings::Prompts(names) if names.iter().any(|n| n == name));
        let Some(key) = name.strip_prefix(source.prefix.as_deref().unwrap_or_default()).filter(|_| !told)
        else {
            continue;
        };
        let path = |field: &str| container.path(&format!("envFrom[{index}].{field}.name"));
        if let Some(map) = &source.config_map_ref {
            match namespace.config_maps.get(&map.name) {
                Some(map) if map.digests.contains_key(key) => return,
                Some(_) => {}
                None => others.push((path("configMapRef"), &map.name)),
            }
        } else if let Some(secret) = &source.secret_ref {
            others.push((path("secretRef"), &secret.name));
        }
    }
    for (path, object) in others {
        let what = format!("brings variable {name:?}, which hands over a prompt that nobody registered");
        move_out(report.violated(pod.at(path).value(object), what), workload, &taken(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_that_begins_a_prompt_is_told_from_others() {
        for prefix in ["SYSTEM_", "SYSTEM_PRO", "APP_SYSTEM_", "PROMPT_", "CHAT_TEMP", "MY_PROMPT"] {
            assert!(begins(prefix), "{prefix}");
        }
        for prefix in ["", "CHAT_", "APP_", "DB_", "SYS_", "S", "_", "OPERATING_SYSTEM", "FILESYSTEM_"] {
            assert!(!begins(prefix), "{prefix}");
        }
    }
}
