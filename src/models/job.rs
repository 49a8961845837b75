//! The Job that reads the files of a model or dataset where they are: built from the object alone, so that whoever meets its pod can
//! build it again and compare; and the short answer that its pod leaves behind.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PodSpec;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::api::common::{LABEL_MANAGED_BY, MANAGER, Verification, VerificationState};
use crate::api::dataset::DatasetSourceKind;
use crate::api::{AIDataset, AIModel};

/// The label of a Job of ours that names what it verifies, by a hash.
pub const LABEL_VERIFIES: &str = "portcullis.dev/verifies";
/// Where the pod leaves its answer.
pub const ANSWER: &str = "/dev/termination-log";
/// What the kubelet keeps of an answer.
const LONGEST_ANSWER: usize = 4096;
/// The environment variable with the trust policies.
pub const TRUST: &str = "PORTCULLIS_TRUST";
/// The longest text that an environment variable may be, with room for its name.
pub const LONGEST_TRUST: usize = 96 << 10;
const ROOT: &str = "/model";
const SIGNATURE: &str = "/signature";

/// What a pod found out.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The digest that it was asked for.
    pub digest: String,
    /// Whether an authority signed the files.
    pub signature: VerificationState,
    /// The authorities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<String>,
    /// Whether the files are those of the digest.
    pub bytes: VerificationState,
    /// Whether loading them yields data only.
    pub formats: VerificationState,
    /// The formats that were seen, with how many files have each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<String, u64>,
    /// What is wrong, in short.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Answer {
    /// The text to leave behind, within what the kubelet keeps.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut answer = self.clone();
        answer.authorities.truncate(16);
        loop {
            let text = serde_json::to_string(&answer).unwrap_or_default();
            if text.len() <= LONGEST_ANSWER || answer.message.is_empty() {
                return text;
            }
            let keep = answer.message.chars().count() / 2;
            answer.message = answer.message.chars().take(keep).collect();
        }
    }

    /// Reads what a pod left behind.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// What the verifier needs to know beside the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The image with this program.
    pub image: String,
    /// The trust policies that are about models on volumes, as text.
    pub trust: String,
}

/// What lies on a volume, as far as a verifier has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Whether it is data to learn from, which nobody loads as a model.
    pub is_data: bool,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: Option<String>,
    /// The claim with its files, where it is on one.
    pub claim: Option<String>,
    /// Where they lie on the claim.
    pub path: Option<String>,
    /// The digest that they have to have.
    pub digest: Option<String>,
    /// Where the signature is, if not beside the files.
    pub signature: Option<String>,
    /// When it was made.
    pub made: Option<String>,
    /// How often it is read again.
    pub every: Option<String>,
    /// What is known of it.
    pub known: Option<Verification>,
    /// The UID of the claim, where the claim is known.
    pub claim_uid: Option<String>,
    /// What a verification of it rests on at present, where that was asked for.
    pub basis: Option<String>,
}

impl Stored {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        if self.is_data { "AIDataset" } else { "AIModel" }
    }
}

impl From<&Self> for Stored {
    fn from(stored: &Self) -> Self {
        stored.clone()
    }
}

impl From<&AIModel> for Stored {
    fn from(model: &AIModel) -> Self {
        let (spec, meta) = (&model.spec, &model.metadata);
        let source = spec.source.as_ref();
        Self {
            is_data: false,
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone(),
            claim: source.and_then(|source| source.claim()).map(str::to_owned),
            path: source.and_then(|source| source.path.clone()),
            digest: spec.digest.clone(),
            signature: spec.signature.as_ref().and_then(|signature| signature.ref_.clone()),
            made: spec.trained_at.clone(),
            every: spec.verification.as_ref().and_then(|plan| plan.every.clone()),
            known: model.status.as_ref().and_then(|status| status.verification.clone()),
            claim_uid: None,
            basis: None,
        }
    }
}

impl From<&AIDataset> for Stored {
    fn from(dataset: &AIDataset) -> Self {
        let (spec, meta) = (&dataset.spec, &dataset.metadata);
        let source = spec.source.as_ref().filter(|source| source.kind == DatasetSourceKind::Pvc);
        Self {
            is_data: true,
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone(),
            claim: source.and_then(|source| source.claim()).map(str::to_owned),
            path: source.and_then(|source| source.path.clone()),
            digest: spec.digest.clone(),
            signature: spec.signature.as_ref().and_then(|signature| signature.ref_.clone()),
            made: None,
            every: None,
            known: dataset.status.as_ref().and_then(|status| status.verification.clone()),
            claim_uid: None,
            basis: None,
        }
    }
}

/// The pod that verifies a model or dataset, or nothing where there is nothing on a volume to verify.
#[must_use]
pub fn build(of: impl Into<Stored>, settings: &Settings) -> Option<PodSpec> {
    let stored = of.into();
    let namespace = (!stored.namespace.is_empty()).then_some(&stored.namespace)?;
    let (claim, digest) = (stored.claim.as_deref()?, stored.digest.as_deref()?);
    let mut arguments = vec!["verify-model".to_owned(), format!("--digest={digest}")];
    arguments.push(format!("--namespace={namespace}"));
    arguments.push(format!("--root={ROOT}"));
    if stored.is_data {
        arguments.push("--data".to_owned());
    }
    if let Some(made) = stored.made.as_deref() {
        arguments.push(format!("--made={made}"));
    }
    if let Some(path) = stored.path.as_deref() {
        arguments.push(format!("--path={path}"));
    }
    let mut volumes = vec![json!({
        "name": "model", "persistentVolumeClaim": {"claimName": claim, "readOnly": true},
    })];
    let mut mounts = vec![json!({"name": "model", "mountPath": ROOT, "readOnly": true})];
    if let Some((name, key)) = stored.signature.as_deref().and_then(config_map) {
        arguments.push(format!("--signature={SIGNATURE}/model.sig"));
        volumes.push(json!({
            "name": "signature",
            "configMap": {"name": name, "items": [{"key": key, "path": "model.sig"}], "defaultMode": 0o444, "optional": false},
        }));
        mounts.push(json!({"name": "signature", "mountPath": SIGNATURE, "readOnly": true}));
    }
    let spec = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "serviceAccountName": "default",
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 5,
        "dnsPolicy": "Default",
        "schedulerName": "default-scheduler",
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        // What the API server would add to a pod that names none.
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        ],
        "containers": [{
            "name": "verifier",
            "image": settings.image,
            "imagePullPolicy": "IfNotPresent",
            "args": arguments,
            "env": [{"name": TRUST, "value": settings.trust}],
            "resources": {
                "requests": {"cpu": "500m", "memory": "64Mi"},
                "limits": {"cpu": "2", "memory": "512Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": true,
                "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationMessagePath": ANSWER,
            "terminationMessagePolicy": "File",
            "volumeMounts": mounts,
        }],
        "volumes": volumes,
    });
    serde_json::from_value(spec).ok()
}

/// `configmap://name/key`.
fn config_map(reference: &str) -> Option<(&str, &str)> {
    let (name, key) = reference.strip_prefix("configmap://")?.split_once('/')?;
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    };
    (plain(name) && plain(key)).then_some((name, key))
}

/// Whether a pod is exactly the one that would be built for the model or dataset. Who created it, and whom it names as its owner,
/// proves nothing and is not asked.
///
/// Left out of the comparison: what the API server adds without giving the pod anything (its priority, the pull secrets
/// of the service account, the older name of that account) and the node.
#[must_use]
pub fn is_ours(pod: &PodSpec, of: impl Into<Stored>, settings: &Settings) -> bool {
    let Some(wanted) = build(of, settings) else { return false };
    normal(pod) == normal(&wanted)
}

fn normal(spec: &PodSpec) -> PodSpec {
    let mut spec = spec.clone();
    spec.priority = None;
    spec.priority_class_name = None;
    spec.preemption_policy = None;
    spec.image_pull_secrets = None;
    spec.service_account = None;
    spec.node_name = None;
    // A Job's template says nothing about these, a stored one says the same in other words.
    spec.host_network = spec.host_network.filter(|set| *set);
    spec.host_pid = spec.host_pid.filter(|set| *set);
    spec.host_ipc = spec.host_ipc.filter(|set| *set);
    spec
}

/// A hash of what is to be verified and how; another answer is needed when it changes.
#[must_use]
pub fn task(of: impl Into<Stored>, pod: &PodSpec) -> String {
    let stored = of.into();
    let mut hasher = Sha256::new();
    hasher.update(stored.uid.as_deref().unwrap_or_default());
    // A claim of the same name may lead to other files.
    hasher.update(stored.claim_uid.as_deref().unwrap_or_default());
    hasher.update(serde_json::to_vec(pod).unwrap_or_default());
    hex::encode(hasher.finalize()).chars().take(24).collect()
}

/// The Job around the pod. Its name is that of the task, so that there is never a second one.
#[must_use]
pub fn job(of: impl Into<Stored>, pod: &PodSpec) -> Option<Job> {
    let stored = of.into();
    let (name, uid) = (stored.name.as_str(), stored.uid.as_deref()?);
    let task = task(&stored, pod);
    let kind = stored.kind();
    let about = if stored.is_data { "portcullis.dev/dataset" } else { "portcullis.dev/model" };
    let labels = BTreeMap::from([(LABEL_VERIFIES, task.as_str()), (LABEL_MANAGED_BY, MANAGER)]);
    serde_json::from_value(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": format!("portcullis-verify-{task}"),
            "namespace": stored.namespace,
            "labels": labels,
            "annotations": {about: name},
            "ownerReferences": [{
                "apiVersion": "portcullis.dev/v1alpha1", "kind": kind, "name": name, "uid": uid,
                "controller": true, "blockOwnerDeletion": false,
            }],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 6 * 60 * 60,
            "ttlSecondsAfterFinished": 600,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }))
    .ok()
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
