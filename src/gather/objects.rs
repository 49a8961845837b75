//! The pod inside other objects: one table of kinds, and the reading of pods with every field accounted for.

use k8s_openapi::api::core::v1::PodSpec;
use serde::Deserialize;
use serde_json::Value;

use crate::policy::facts::Labels;

/// A kind that carries pod templates.
#[derive(Debug)]
pub struct Carrier {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Where its templates are: dotted paths, `[*]` for every element of a list or every value of a map.
    pub templates: &'static [&'static str],
}

/// Every kind whose templates are judged early.
pub const CARRIERS: &[Carrier] = &[
    Carrier { group: "apps", kind: "Deployment", templates: &["spec.template"] },
    Carrier { group: "apps", kind: "StatefulSet", templates: &["spec.template"] },
    Carrier { group: "apps", kind: "DaemonSet", templates: &["spec.template"] },
    Carrier { group: "apps", kind: "ReplicaSet", templates: &["spec.template"] },
    Carrier { group: "", kind: "ReplicationController", templates: &["spec.template"] },
    Carrier { group: "batch", kind: "Job", templates: &["spec.template"] },
    Carrier { group: "batch", kind: "CronJob", templates: &["spec.jobTemplate.spec.template"] },
    Carrier {
        group: "jobset.x-k8s.io",
        kind: "JobSet",
        templates: &["spec.replicatedJobs[*].template.spec.template"],
    },
    Carrier {
        group: "leaderworkerset.x-k8s.io",
        kind: "LeaderWorkerSet",
        templates: &["spec.leaderWorkerTemplate.leaderTemplate", "spec.leaderWorkerTemplate.workerTemplate"],
    },
    Carrier {
        group: "ray.io",
        kind: "RayCluster",
        templates: &["spec.headGroupSpec.template", "spec.workerGroupSpecs[*].template"],
    },
    Carrier {
        group: "ray.io",
        kind: "RayJob",
        templates: &[
            "spec.rayClusterSpec.headGroupSpec.template",
            "spec.rayClusterSpec.workerGroupSpecs[*].template",
            "spec.submitterPodTemplate",
        ],
    },
    Carrier {
        group: "ray.io",
        kind: "RayService",
        templates: &[
            "spec.rayClusterConfig.headGroupSpec.template",
            "spec.rayClusterConfig.workerGroupSpecs[*].template",
        ],
    },
    Carrier {
        group: "kubeflow.org",
        kind: "PyTorchJob",
        templates: &["spec.pytorchReplicaSpecs[*].template"],
    },
    // These kinds complete their pods from runtimes elsewhere: what they carry is no whole template, so the pod decides.
    Carrier { group: "trainer.kubeflow.org", kind: "TrainJob", templates: &[] },
    Carrier { group: "serving.kserve.io", kind: "InferenceService", templates: &[] },
    Carrier { group: "serving.kserve.io", kind: "LLMInferenceService", templates: &[] },
    Carrier { group: "argoproj.io", kind: "Workflow", templates: &[] },
];

/// The carrier of a kind, if it is one.
#[must_use]
pub fn carrier(group: &str, kind: &str) -> Option<&'static Carrier> {
    CARRIERS.iter().find(|c| c.group == group && c.kind == kind)
}

/// A pod or pod template, read.
#[derive(Debug)]
pub struct PodObject {
    /// Path of the pod inside the object that carried it: empty, or with a dot at its end.
    pub prefix: String,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Its specification.
    pub spec: PodSpec,
    /// Paths of fields that this version does not know.
    pub unknown_fields: Vec<String>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    metadata: RawMeta,
    spec: PodSpec,
}

#[derive(Default, Deserialize)]
struct RawMeta {
    labels: Option<Labels>,
    annotations: Option<Labels>,
}

/// Reads a pod from its JSON text.
///
/// Fields that the types do not know are listed and not dropped: an unknown field of a newer API server could carry what
/// a rule has to see.
pub fn pod_from_json(text: &str) -> Result<PodObject, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let pod = pod_from("", &mut deserializer)?;
    deserializer.end()?;
    Ok(pod)
}

fn pod_from<'de, D: serde::Deserializer<'de>>(prefix: &str, source: D) -> Result<PodObject, D::Error> {
    let mut unknown_fields = Vec::new();
    let raw: Raw = serde_ignored::deserialize(source, |path| {
        let path = path.to_string();
        if let Some(path) = unknown_field(&path) {
            unknown_fields.push(path);
        }
    })?;
    Ok(PodObject {
        prefix: prefix.to_owned(),
        labels: raw.metadata.labels.unwrap_or_default(),
        annotations: raw.metadata.annotations.unwrap_or_default(),
        spec: raw.spec,
        unknown_fields,
    })
}

/// `serde_ignored` writes `spec.containers.0.x` and marks optional steps with `?`; of it only what lies in the
/// specification counts. Returns the path as messages write it.
fn unknown_field(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    for step in path.split('.') {
        if step == "?" {
            continue;
        }
        if step.bytes().all(|b| b.is_ascii_digit()) {
            out.push('[');
            out.push_str(step);
            out.push(']');
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(step);
        }
    }
    out.starts_with("spec.").then_some(out)
}

/// Every pod template inside `object`, with its path.
///
/// Errors: the first template that is no pod template, with its path.
pub fn templates(carrier: &Carrier, object: &Value) -> Result<Vec<PodObject>, String> {
    let mut out = Vec::new();
    for path in carrier.templates {
        let mut found = Vec::new();
        walk(object, path, String::new(), &mut found);
        for (prefix, value) in found {
            let prefix = format!("{prefix}.");
            let pod = pod_from(&prefix, value).map_err(|error| format!("{prefix}: {error}"))?;
            out.push(pod);
        }
    }
    Ok(out)
}

fn walk<'v>(at: &'v Value, path: &str, prefix: String, out: &mut Vec<(String, &'v Value)>) {
    if path.is_empty() {
        if at.is_object() {
            out.push((prefix, at));
        }
        return;
    }
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    let dot = if prefix.is_empty() { "" } else { "." };
    if let Some(key) = step.strip_suffix("[*]") {
        let prefix = format!("{prefix}{dot}{key}");
        match at.get(key) {
            Some(Value::Array(list)) => {
                for (index, item) in list.iter().enumerate() {
                    walk(item, rest, format!("{prefix}[{index}]"), out);
                }
            }
            Some(Value::Object(map)) => {
                for (name, item) in map {
                    walk(item, rest, format!("{prefix}.{name}"), out);
                }
            }
            _ => {}
        }
    } else if let Some(next) = at.get(step) {
        walk(next, rest, format!("{prefix}{dot}{step}"), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_are_found_wherever_a_kind_keeps_them() {
        let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c"}]}});
        let jobs = json!({"spec": {"replicatedJobs": [
            {"template": {"spec": {"template": template}}}, {"template": {"spec": {"template": template}}}]}});
        let found = templates(carrier("jobset.x-k8s.io", "JobSet").unwrap(), &jobs).unwrap();
        assert_eq!(
            found.iter().map(|p| p.prefix.as_str()).collect::<Vec<_>>(),
            [
                "spec.replicatedJobs[0].template.spec.template.",
                "spec.replicatedJobs[1].template.spec.template."
            ]
        );
        let torch = json!({"spec": {"pytorchReplicaSpecs": {"Master": {"template": template}}}});
        let found = templates(carrier("kubeflow.org", "PyTorchJob").unwrap(), &torch).unwrap();
        assert_eq!(found[0].prefix, "spec.pytorchReplicaSpecs.Master.template.");
        assert_eq!(found[0].labels["app"], "x");
    }

    #[test]
    fn fields_of_the_future_are_listed() {
        let pod = pod_from_json(
            r#"{"metadata": {"name": "x", "managedFields": []}, "status": {},
                "spec": {"containers": [{"name": "c", "securityContext": {"superUser": true}}], "hostMagic": 1}}"#,
        )
        .unwrap();
        assert_eq!(pod.unknown_fields, ["spec.containers[0].securityContext.superUser", "spec.hostMagic"]);
    }

    #[test]
    fn what_is_no_template_is_an_error_that_names_the_place() {
        let bad = json!({"spec": {"template": {"spec": {"containers": 3}}}});
        let error = templates(carrier("apps", "Deployment").unwrap(), &bad).unwrap_err();
        assert!(error.starts_with("spec.template.: "), "{error}");
    }
}
