//! `secrets-not-inline`: credentials come from declared Secrets and stand in no manifest.

use k8s_openapi::api::core::v1::{EnvVar, LifecycleHandler, Volume};
use serde_json::json;

use crate::api;
use crate::policy::containers::ContainerView;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::credentials;
use crate::policy::facts::{Facts, Place, PodFacts, Subject, Text};
use crate::policy::fix::{Edit, Fix};
use crate::policy::texts::{Found, referred as referred_texts};

/// No credential is written down, and only declared Secrets are referred to.
pub(super) const CONTROL: Control = Control {
    id: "secrets-not-inline",
    title: "no variable, argument or annotation holds a credential, and pods refer to declared Secrets only",
    room: Room::Identity,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-6.1", "CoP-5.4", "CoP-2.5-n1"],
    why: "manifests are kept in many places and read by many people, and nobody renews what stands in them",
    remedy: "keep the credential in a Secret, refer to it with secretKeyRef, and name the Secret in spec.secrets of the \
        AIWorkload",
    gaps: &[],
    limits: &[
        "credentials of an unknown shape under a harmless name cannot be told from other text",
        "a ConfigMap is looked into when it is written, and by the audit where running pods refer to it; a pod that enters is not \
         held up for it",
    ],
    check: Check::Rule(check),
};

/// What kubectl keeps of the manifest; whatever is wrong in it is found at its place.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Subject::ConfigMap { name, found } = facts.subject {
        return map(facts, name, found, report);
    }
    let Some(pod) = facts.governed_pod() else { return };
    let workload = facts.declaration();
    texts(facts, pod, report);
    annotations(pod, report);
    for container in &pod.containers {
        for (index, variable) in container.env.iter().enumerate() {
            env(pod, container, index, variable, workload, report);
        }
        commands(pod, container, report);
    }
    if let Some(workload) = workload {
        for (path, name) in referred(pod) {
            declared(pod, &path, name, workload, report);
        }
    }
}

/// A map that is written holds no credential: everybody who may list maps reads it, and nobody renews it.
fn map(facts: &Facts<'_>, name: &str, found: &[Found], report: &mut Report<'_>) {
    for (key, what) in found.iter().filter(|_| facts.namespace.governed()) {
        report
            .violated(
                Place::field(format!("ConfigMap {}/{name}", facts.namespace.name), format!("data[{key:?}]")),
                format!("holds {what} in plain text"),
            )
            .fix(Fix::Text(
                "keep it in a Secret, let the pod refer to that, and name it in spec.secrets of the AIWorkload".to_owned(),
            ));
    }
}

/// What the pod reads from maps, as far as these were read. The finding is the namespace's: who wrote the map was refused
/// then, or wrote it before anybody looked.
fn texts(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    if facts.namespace.texts.is_empty() {
        return;
    }
    for (path, name) in referred_texts(&pod.containers, pod.spec) {
        match facts.namespace.texts.get(name) {
            Some(Text::Read { credentials: found, .. }) => {
                for (key, what) in found {
                    report
                        .violated(pod.at(&path).value(name), format!("is a ConfigMap that holds {what} under {key:?}"))
                        .fix(Fix::Text(format!(
                            "keep it in a Secret, refer to that and name it in spec.secrets, then take {key:?} out of the \
                             ConfigMap, and renew the credential"
                        )))
                        .of_namespace();
                }
            }
            Some(Text::Unread(why)) => {
                report
                    .unknown(
                        pod.at(&path).value(name),
                        format!("is a ConfigMap that could not be read: {why}"),
                    )
                    .of_namespace();
            }
            None => {}
        }
    }
}

fn annotations(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    for (key, value) in pod.annotations.iter().filter(|(key, _)| *key != LAST_APPLIED) {
        let name = key.rsplit('/').next().unwrap_or(key);
        // Injectors name paths of their stores in annotations, and charts write checksums of Secrets there.
        let about = value.contains('/') || key.contains("checksum") || key.contains("hash");
        let by_name = !about && credentials::named(name) && credentials::literal(name, value);
        let what = credentials::shaped(value).or(by_name.then_some("a credential by its name"));
        if let Some(what) = what {
            let path = format!("metadata.annotations[{key:?}]");
            report
                .violated(pod.at(&path), format!("holds {what} in plain text"))
                .fix(Fix::remove(format!("{}{path}", pod.prefix)));
        }
    }
}

fn env(
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    index: usize,
    variable: &EnvVar,
    workload: Option<&api::AIWorkload>,
    report: &mut Report<'_>,
) {
    let at = || container.path(&format!("env[{index}]"));
    let name = &variable.name;
    let credential = credentials::named(name);
    if let Some(value) = variable.value.as_deref() {
        let by_name = credential && credentials::literal(name, value);
        let what = credentials::shaped(value).or(by_name.then_some("a credential by its name"));
        if let Some(what) = what {
            let at = at();
            report
                .violated(
                    pod.at(format!("{at}.value")),
                    format!("variable {name:?} holds {what} in plain text"),
                )
                .fix(from_secret(pod, &at, name, workload));
        }
    }
    let from_map = variable.value_from.as_ref().and_then(|source| source.config_map_key_ref.as_ref());
    if let Some(map) = from_map.filter(|_| credential) {
        let at = at();
        report
            .violated(
                pod.at(format!("{at}.valueFrom.configMapKeyRef")).value(&map.name),
                format!("variable {name:?} takes a credential from a ConfigMap"),
            )
            .fix(from_secret(pod, &at, name, workload));
    }
}

/// The same variable, from a Secret: a declared one where there is one, else one named after the workload.
fn from_secret(pod: &PodFacts<'_>, at: &str, name: &str, workload: Option<&api::AIWorkload>) -> Fix {
    let own = workload.and_then(|w| w.spec.secrets.first().or(w.metadata.name.as_ref()));
    let secret = own.map_or("credentials", String::as_str);
    Fix::Change(vec![
        Edit::remove(format!("{}{at}.value", pod.prefix)),
        Edit::set(
            format!("{}{at}.valueFrom", pod.prefix),
            json!({"secretKeyRef": {"name": secret, "key": name}}),
        ),
    ])
}

/// Everything a container is told to run: its command, its arguments, its hooks and its probes.
fn commands(pod: &PodFacts<'_>, container: &ContainerView<'_>, report: &mut Report<'_>) {
    line(pod, container, &[("command", container.command), ("args", container.args)], report);
    for (name, probe) in container.probes.iter().flatten() {
        let command = probe.exec.as_ref().and_then(|exec| exec.command.as_deref()).unwrap_or_default();
        line(pod, container, &[(&format!("{name}.exec.command"), command)], report);
        let headers = probe.http_get.iter().flat_map(|get| get.http_headers.iter().flatten());
        for (index, header) in headers.enumerate() {
            header_of(pod, container, &format!("{name}.httpGet.httpHeaders[{index}]"), header, report);
        }
    }
    let Some(lifecycle) = container.lifecycle else { return };
    for (name, hook) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        if let Some(hook) = hook {
            hook_of(pod, container, name, hook, report);
        }
    }
}

fn hook_of(
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    name: &str,
    hook: &LifecycleHandler,
    report: &mut Report<'_>,
) {
    let command = hook.exec.as_ref().and_then(|exec| exec.command.as_deref()).unwrap_or_default();
    line(pod, container, &[(&format!("lifecycle.{name}.exec.command"), command)], report);
    let headers = hook.http_get.iter().flat_map(|get| get.http_headers.iter().flatten());
    for (index, header) in headers.enumerate() {
        let field = format!("lifecycle.{name}.httpGet.httpHeaders[{index}]");
        header_of(pod, container, &field, header, report);
    }
}

fn header_of(
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    field: &str,
    header: &k8s_openapi::api::core::v1::HTTPHeader,
    report: &mut Report<'_>,
) {
    let by_name = credentials::named(&header.name) && credentials::literal(&header.name, &header.value);
    let what = credentials::shaped(&header.value).or(by_name.then_some("a credential by its name"));
    if let Some(what) = what {
        report
            .violated(
                pod.at(container.path(&format!("{field}.value"))),
                format!("header {:?} holds {what} in plain text", header.name),
            )
            .fix(Fix::Text(
                "ask an endpoint that needs no credential, or use an exec probe that reads a mounted Secret"
                    .to_owned(),
            ));
    }
}

/// A command line in its parts. A flag and its value may stand in different elements, so words are read across them.
fn line(
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    parts: &[(&str, &[String])],
    report: &mut Report<'_>,
) {
    let elements: Vec<(&str, usize, &str)> = parts
        .iter()
        .flat_map(|(field, list)| list.iter().enumerate().map(move |(i, e)| (*field, i, e.as_str())))
        .collect();
    for (index, &(field, place, element)) in elements.iter().enumerate() {
        let shaped = credentials::shaped(element).map(|what| format!("holds {what} in plain text"));
        let handed_over = || {
            let own: Vec<&str> = credentials::words(element).collect();
            // The next element counts as one word, as the program gets it.
            let next = elements.get(index + 1).map(|(.., next)| *next);
            let all: Vec<&str> = own.iter().copied().chain(next.filter(|n| !n.contains('='))).collect();
            credentials::handed_over(&all)
                .map(|name| format!("hands over a credential as {name:?} in plain text"))
        };
        if let Some(what) = shaped.or_else(handed_over) {
            let field = format!("{field}[{place}]");
            report
                .violated(pod.at(container.path(&field)), what)
                .fix(by_variable(pod, container, &field, element));
        }
    }
}

/// Puts a variable from a Secret in the place of a credential, where that is the value of a long flag.
fn by_variable(pod: &PodFacts<'_>, container: &ContainerView<'_>, field: &str, element: &str) -> Fix {
    let words = "write $(NAME) in its place, with a variable NAME whose valueFrom.secretKeyRef names a declared Secret";
    let Some((flag, _)) = element
        .split_once('=')
        .filter(|(flag, _)| flag.starts_with("--") && !element.contains(char::is_whitespace))
    else {
        return Fix::Text(words.to_owned());
    };
    let variable = json!({"name": "NAME", "valueFrom": {"secretKeyRef": {"name": "SECRET", "key": "KEY"}}});
    let set = |field: &str, value: serde_json::Value| {
        Fix::set_at(&pod.at(container.path(field)), "", value).edits().to_vec()
    };
    let mut edits = set(field, json!(format!("{flag}=$(NAME)")));
    edits.extend(set("env[+]", variable));
    Fix::Advice("take it from a declared Secret, and replace it, since it was seen".to_owned(), edits)
}

/// Every Secret that the pod refers to, with the place. Pull secrets are the kubelet's and reach no container.
pub(super) fn referred<'a>(pod: &PodFacts<'a>) -> Vec<(String, &'a str)> {
    let mut out = Vec::new();
    for container in &pod.containers {
        for (index, variable) in container.env.iter().enumerate() {
            let reference = variable.value_from.as_ref().and_then(|source| source.secret_key_ref.as_ref());
            if let Some(reference) = reference {
                let field = format!("env[{index}].valueFrom.secretKeyRef.name");
                out.push((container.path(&field), reference.name.as_str()));
            }
        }
        for (index, source) in container.env_from.iter().enumerate() {
            if let Some(reference) = &source.secret_ref {
                out.push((
                    container.path(&format!("envFrom[{index}].secretRef.name")),
                    reference.name.as_str(),
                ));
            }
        }
    }
    for (index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
        of_volume(&format!("spec.volumes[{index}]"), volume, &mut out);
    }
    out
}

fn of_volume<'a>(at: &str, volume: &'a Volume, out: &mut Vec<(String, &'a str)>) {
    if let Some(secret) = &volume.secret {
        out.push((format!("{at}.secret.secretName"), secret.secret_name.as_deref().unwrap_or_default()));
    }
    let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    for (index, source) in sources.enumerate() {
        if let Some(secret) = &source.secret {
            out.push((format!("{at}.projected.sources[{index}].secret.name"), secret.name.as_str()));
        }
    }
    // Other volume types that refer to Secrets are forbidden by pod-hardened.
    if let Some(reference) = volume.csi.as_ref().and_then(|csi| csi.node_publish_secret_ref.as_ref()) {
        out.push((format!("{at}.csi.nodePublishSecretRef.name"), reference.name.as_str()));
    }
}

fn declared(pod: &PodFacts<'_>, path: &str, name: &str, workload: &api::AIWorkload, report: &mut Report<'_>) {
    if workload.spec.secrets.iter().any(|secret| secret == name) {
        return;
    }
    let object = Facts::name_of(workload);
    report
        .violated(pod.at(path).value(name), format!("is a Secret that {object} does not declare"))
        .fix(
            Fix::set_at(&Place::field(object, "spec.secrets[+]"), "", name)
                .after("remove the reference, or declare the Secret"),
        )
        .may_arrive();
}

#[cfg(test)]
#[path = "tests/secrets_not_inline.rs"]
mod tests;
