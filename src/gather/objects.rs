//! The pod inside other objects: one table of kinds, and the reading of pods with every field accounted for.

use k8s_openapi::api::core::v1::PodSpec;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;

use crate::policy::facts::{Around, Labels};

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
    /// What its carrier says of it.
    pub around: Around,
}

/// Who an object is, and whose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Its name; empty where the server makes one up later.
    pub name: String,
    /// The prefix of the name that it would get.
    pub generate_name: String,
    /// Its UID; empty before it is stored.
    pub uid: String,
    /// Who it says owns it.
    pub owners: Vec<Owner>,
}

/// A claimed owner.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    /// API version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Whether it is the controller.
    pub controller: Option<bool>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    metadata: RawMeta,
    spec: Spec,
}

/// A specification, and the paths of fields that are not known.
struct Spec(PodSpec, Vec<String>);

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let mut unknown = Vec::new();
        let spec = serde_ignored::deserialize(source, |path| unknown.push(spelt(&path.to_string())))?;
        Ok(Self(spec, unknown))
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawMeta {
    name: String,
    generate_name: String,
    uid: String,
    labels: Option<Labels>,
    annotations: Option<Labels>,
    owner_references: Option<Vec<Owner>>,
}

/// Reads a pod from its JSON text: who it is, and all that is judged.
///
/// Fields that the types do not know are listed and not dropped: an unknown field of a newer API server could carry what
/// a rule has to see.
pub fn pod_from_json(text: &str) -> Result<(Meta, PodObject), serde_json::Error> {
    let Raw { metadata, spec: Spec(spec, unknown_fields) } = serde_json::from_str(text)?;
    let (meta, labels, annotations) = split(metadata);
    Ok((
        meta,
        PodObject {
            prefix: String::new(),
            labels,
            annotations,
            spec,
            unknown_fields,
            around: Around::default(),
        },
    ))
}

/// Who an object of any kind is.
#[must_use]
pub fn meta_of(object: &Value) -> Meta {
    let raw = object.get("metadata").and_then(|metadata| RawMeta::deserialize(metadata).ok());
    split(raw.unwrap_or_default()).0
}

fn split(raw: RawMeta) -> (Meta, Labels, Labels) {
    let RawMeta { name, generate_name, uid, labels, annotations, owner_references } = raw;
    let meta = Meta { name, generate_name, uid, owners: owner_references.unwrap_or_default() };
    (meta, labels.unwrap_or_default(), annotations.unwrap_or_default())
}

pub(super) fn template_from(prefix: String, template: &Value) -> Result<PodObject, serde_json::Error> {
    let metadata = template.get("metadata").map(RawMeta::deserialize).transpose()?;
    let spec = template.get("spec").ok_or_else(|| serde_json::Error::missing_field("spec"))?;
    let Spec(spec, unknown_fields) = Spec::deserialize(spec)?;
    let (_, labels, annotations) = split(metadata.unwrap_or_default());
    Ok(PodObject { prefix, labels, annotations, spec, unknown_fields, around: Around::default() })
}

/// The path inside a specification as messages write it: `serde_ignored` writes `containers.0.x` and marks optional
/// steps with `?`.
fn spelt(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 8);
    out.push_str("spec");
    for step in path.split('.') {
        if step == "?" {
            continue;
        }
        if step.bytes().all(|b| b.is_ascii_digit()) {
            out.push('[');
            out.push_str(step);
            out.push(']');
        } else {
            out.push('.');
            out.push_str(step);
        }
    }
    out
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
            let mut pod = template_from(prefix.clone(), value).map_err(|error| {
                misplaced(&prefix, value).unwrap_or_else(|| format!("{prefix}spec: {error}"))
            })?;
            pod.around = around(carrier, object, &prefix);
            out.push(pod);
        }
    }
    Ok(out)
}

/// What of `template` is not of its type, with its path.
fn misplaced(prefix: &str, template: &Value) -> Option<String> {
    fn in_part<T: DeserializeOwned>(place: &str, part: &Value) -> Option<String> {
        let error = serde_path_to_error::deserialize::<_, T>(part).err()?;
        let path = error.path().to_string();
        let dot = if path == "." { "" } else { "." };
        Some(format!("{place}{dot}{}: {}", path.trim_start_matches('.'), error.inner()))
    }
    let of = |part: &str| template.get(part);
    let metadata = of("metadata").and_then(|part| in_part::<RawMeta>(&format!("{prefix}metadata"), part));
    metadata.or_else(|| in_part::<PodSpec>(&format!("{prefix}spec"), of("spec")?))
}

/// The labels of an object, which KServe hands on to its pods.
#[must_use]
pub fn labels_of(object: &Value) -> Labels {
    let raw = object.get("metadata").and_then(|metadata| RawMeta::deserialize(metadata).ok());
    raw.and_then(|raw| raw.labels).unwrap_or_default()
}

/// What `object` says around the pod at `prefix`. A time limit may stand beside the template, as in the Jobs of a `JobSet`,
/// or at the top.
fn around(carrier: &Carrier, object: &Value, prefix: &str) -> Around {
    let top = |path: &str| object.pointer(path).and_then(Value::as_i64);
    let beside = prefix.strip_suffix("template.").and_then(|beside| {
        let steps = beside.replace(['[', '.'], "/").replace(']', "");
        object.pointer(&format!("/{steps}activeDeadlineSeconds")).and_then(Value::as_i64)
    });
    Around {
        revisions: top("/spec/revisionHistoryLimit"),
        replicas: top("/spec/replicas").or_else(|| counts_from_one(carrier).then_some(1)),
        deadline: beside
            .or_else(|| top("/spec/activeDeadlineSeconds"))
            .or_else(|| top("/spec/runPolicy/activeDeadlineSeconds")),
    }
}

/// Whether the API server fills in one pod where an object of this kind does not say how many there are to be.
fn counts_from_one(carrier: &Carrier) -> bool {
    matches!(
        (carrier.group, carrier.kind),
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet")
            | ("", "ReplicationController")
            | ("leaderworkerset.x-k8s.io", "LeaderWorkerSet")
    )
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
    fn what_a_carrier_says_of_its_pods_is_kept() {
        let template = json!({"spec": {"containers": [{"name": "c"}]}});
        let around = |group: &str, kind: &str, object: &Value| {
            templates(carrier(group, kind).unwrap(), object).unwrap().remove(0).around
        };
        let apps = json!({"spec": {"replicas": 3, "revisionHistoryLimit": 1, "template": template}});
        let known = Around { revisions: Some(1), replicas: Some(3), deadline: None };
        assert_eq!(around("apps", "Deployment", &apps), known);
        let silent = json!({"spec": {"template": template}});
        assert_eq!(around("apps", "StatefulSet", &silent).replicas, Some(1), "as the API server fills in");
        assert_eq!(around("apps", "DaemonSet", &silent).replicas, None);
        let job = json!({"spec": {"activeDeadlineSeconds": 60, "template": template}});
        assert_eq!(around("batch", "Job", &job).deadline, Some(60));
        let cron =
            json!({"spec": {"jobTemplate": {"spec": {"activeDeadlineSeconds": 61, "template": template}}}});
        assert_eq!(around("batch", "CronJob", &cron).deadline, Some(61));
        let set = json!({"spec": {"replicatedJobs": [{"template": {"spec": {"activeDeadlineSeconds": 62, "template": template}}}]}});
        assert_eq!(around("jobset.x-k8s.io", "JobSet", &set).deadline, Some(62));
        let torch = json!({"spec": {"runPolicy": {"activeDeadlineSeconds": 63}, "pytorchReplicaSpecs": {"Master": {"template": template}}}});
        assert_eq!(around("kubeflow.org", "PyTorchJob", &torch).deadline, Some(63));
    }

    #[test]
    fn fields_of_the_future_are_listed() {
        let pod = pod_from_json(
            r#"{"metadata": {"name": "x", "managedFields": []}, "status": {},
                "spec": {"containers": [{"name": "c", "securityContext": {"superUser": true}}], "hostMagic": 1}}"#,
        )
        .unwrap()
        .1;
        assert_eq!(pod.unknown_fields, ["spec.containers[0].securityContext.superUser", "spec.hostMagic"]);
    }

    #[test]
    fn what_is_no_template_is_an_error_that_names_the_place() {
        let bad = json!({"spec": {"template": {"spec": {"containers": 3}}}});
        let error = templates(carrier("apps", "Deployment").unwrap(), &bad).unwrap_err();
        assert!(error.starts_with("spec.template.spec.containers: invalid type: integer `3`"), "{error}");
        let said = |template: Value| {
            templates(carrier("apps", "Deployment").unwrap(), &json!({"spec": {"template": template}}))
                .unwrap_err()
        };
        assert_eq!(
            said(json!({"spec": {"containers": [{"name": "c", "ports": [{"containerPort": "80"}]}]}})),
            "spec.template.spec.containers[0].ports[0].containerPort: invalid type: string \"80\", expected i32"
        );
        assert_eq!(
            said(json!({"metadata": {"labels": {"a": 1}}, "spec": {"containers": []}})),
            "spec.template.metadata.labels.a: invalid type: integer `1`, expected a string"
        );
        assert_eq!(
            said(json!({"metadata": {"labels": 1}, "spec": 5})),
            "spec.template.metadata.labels: invalid type: integer `1`, expected a map"
        );
        assert_eq!(said(json!({})), "spec.template.spec: missing field `spec`");
    }
}
