//! The 36 pods of every run: half keep the Code, half break exactly one of seven simple rules.

use serde_json::{Value, json};

/// A rule that a pod breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Restricted,
    Digest,
    Registry,
    Limits,
    Identity,
    Labels,
    ReadOnlyRoot,
}

impl Rule {
    pub(crate) const ALL: [Self; 7] = [
        Self::Restricted,
        Self::Digest,
        Self::Registry,
        Self::Limits,
        Self::Identity,
        Self::Labels,
        Self::ReadOnlyRoot,
    ];

    /// The word of the rule in the names and messages of the policies beside us.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Digest => "digest",
            Self::Registry => "registry",
            Self::Limits => "limits",
            Self::Identity => "identity",
            Self::Labels => "labels",
            Self::ReadOnlyRoot => "read-only-root",
        }
    }

    /// The control of ours that refuses such a pod.
    pub(crate) fn control(self) -> &'static str {
        match self {
            Self::Restricted | Self::ReadOnlyRoot => "pod-hardened",
            Self::Digest => "image-digest-pinned",
            Self::Registry => "image-signature-trusted",
            Self::Limits => "resource-bounds",
            Self::Identity => "dedicated-service-account",
            Self::Labels => "declared-workloads-only",
        }
    }
}

/// A pod, and the rule it breaks.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) pod: Value,
    pub(crate) breaks: Option<Rule>,
}

/// How many there are.
pub(crate) const COUNT: usize = 36;

/// All pods, good and bad in turn; `image` is a signed image by digest.
pub(crate) fn subjects(image: &str) -> Vec<Subject> {
    (0..COUNT)
        .map(|index| {
            let mut pod = good(index, image);
            let breaks = (index % 2 == 1).then(|| Rule::ALL[(index / 2) % Rule::ALL.len()]);
            if let Some(rule) = breaks {
                spoil(&mut pod, rule);
            }
            Subject { pod, breaks }
        })
        .collect()
}

/// A pod that keeps every enforced control: one container, or with a sidecar, or with an init container besides.
pub(crate) fn good(index: usize, image: &str) -> Value {
    let container = |name: &str, ports: Value| {
        json!({
            "name": name,
            "image": image,
            "args": ["--listen=:8080", format!("--shard={index}")],
            "env": [{"name": "MODE", "value": "serve"}, {"name": "SHARD", "value": index.to_string()}],
            "ports": ports,
            "resources": {
                "requests": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "16Mi"},
                "limits": {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "64Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
        })
    };
    let own = json!([{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}]);
    let mut containers = vec![container("chat", own)];
    if !index.is_multiple_of(3) {
        containers.push(container("proxy", json!([{"name": "proxy", "containerPort": 8443}])));
    }
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("chat-{index}"),
            "labels": {"app": "chat", "shard": index.to_string()},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9090"},
        },
        "spec": {
            "serviceAccountName": "chat",
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": containers,
            "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "16Mi"}}],
        },
    });
    if index % 3 == 2 {
        pod["spec"]["initContainers"] = json!([container("prepare", json!([]))]);
    }
    pod
}

fn spoil(pod: &mut Value, rule: Rule) {
    let last = pod["spec"]["containers"].as_array().map_or(0, |list| list.len() - 1);
    let container = &mut pod["spec"]["containers"][last];
    match rule {
        Rule::Restricted => container["securityContext"]["allowPrivilegeEscalation"] = json!(true),
        Rule::Digest => {
            let image = container["image"].as_str().unwrap_or_default();
            container["image"] = json!(format!("{}:v1", image.split('@').next().unwrap_or_default()));
        }
        Rule::Registry => {
            let image = container["image"].as_str().unwrap_or_default();
            let digest = image.rsplit('@').next().unwrap_or_default();
            container["image"] = json!(format!("elsewhere.example/team/chat@{digest}"));
        }
        Rule::Limits => {
            container["resources"]["limits"] = json!({"cpu": "1", "ephemeral-storage": "64Mi"});
        }
        Rule::Identity => pod["spec"]["serviceAccountName"] = json!("default"),
        Rule::Labels => pod["metadata"]["labels"] = json!({"name": "chat"}),
        Rule::ReadOnlyRoot => container["securityContext"]["readOnlyRootFilesystem"] = json!(false),
    }
}
