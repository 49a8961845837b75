//! Objects to fill in, as YAML, where one is missing: what is in capital letters is for a person.

use std::fmt::Write as _;

use crate::api::AIWorkload;
use crate::policy::facts::Labels;

/// Labels that the controllers of a cluster set anew, by which no declaration can select.
const PASSING: [&str; 4] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
];

fn head(version: &str, kind: &str, name: &str, namespace: &str) -> String {
    format!(
        "---\napiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n"
    )
}

fn ours(kind: &str, name: &str, namespace: &str) -> String {
    head("portcullis.dev/v1alpha1", kind, name, namespace)
}

/// The lines that select pods by those of their labels that last.
fn selected(labels: &Labels) -> String {
    let lasting = labels.iter().filter(|(key, _)| !PASSING.contains(&key.as_str()));
    lasting.take(4).fold(String::new(), |mut lines, (key, value)| {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "      {key}: {value:?}");
        lines
    })
}

/// A declaration for pods with these labels.
#[must_use]
pub fn workload(namespace: &str, labels: &Labels) -> String {
    let selected = selected(labels);
    format!(
        "{}  type: TYPE\n  selector:\n    matchLabels:\n{selected}  roles: [SystemOperator]\n  owners:\n    \
         accountable: {{user: USER}}\n    systemOperator: {{group: GROUP}}\n",
        ours("AIWorkload", "NAME", namespace)
    )
}

/// A model, at its reference where that is known.
#[must_use]
pub fn model(namespace: &str, name: &str, reference: Option<&str>) -> String {
    let digest = reference.and_then(|reference| reference.rsplit_once('@')).map(|(_, digest)| digest);
    format!(
        "{}  version: \"VERSION\"\n  format: FORMAT\n  source:\n    kind: oci\n    reference: {}\n  digest: {}\n  \
         owners:\n    owner: {{group: GROUP}}\n",
        ours("AIModel", name, namespace),
        reference.unwrap_or("REPOSITORY@sha256:DIGEST"),
        digest.unwrap_or("sha256:DIGEST"),
    )
}

/// A dataset that a workload uses.
#[must_use]
pub fn dataset(namespace: &str, name: &str, workload: &AIWorkload) -> String {
    format!(
        "{}  version: \"VERSION\"\n  class: CLASS\n  sensitivity: SENSITIVITY\n  controllers: [{{user: USER}}]\n  \
         consumers: [{{namespace: {}, workload: {}}}]\n  source: {{kind: pvc, claimName: CLAIM}}\n  \
         digest: sha256:DIGEST\n  owners:\n    owner: {{group: GROUP}}\n",
        ours("AIDataset", name, namespace),
        workload.metadata.namespace.as_deref().unwrap_or_default(),
        workload.metadata.name.as_deref().unwrap_or_default(),
    )
}

/// A prompt with the text of a ConfigMap; `key` and `digest` where they are known.
#[must_use]
pub fn prompt(namespace: &str, name: &str, map: &str, text: Option<(&str, &str)>) -> String {
    let (key, digest) = text.unwrap_or(("KEY", "sha256:DIGEST"));
    format!(
        "{}  kind: system\n  version: \"VERSION\"\n  source: {{kind: configMap, name: {map}, key: {key}}}\n  \
         digest: {digest}\n  owners:\n    owner: {{group: GROUP}}\n",
        ours("AIPrompt", name, namespace),
    )
}

/// A supplier that the organisation may rely on once somebody examined it.
#[must_use]
pub fn supplier(name: &str, kind: &str, sources: &str) -> String {
    format!(
        "---\napiVersion: portcullis.dev/v1alpha1\nkind: AISupplier\nmetadata:\n  name: {name}\nspec:\n  kind: {kind}\n  \
         status: SUPPLIER-STATUS\n  verified: VERIFIED\n  sources: [{sources:?}]\n  requirements: {{accepted: ACCEPTED}}\n  owners:\n    \
         owner: {{group: GROUP}}\n"
    )
}

/// A Service.
#[must_use]
pub fn service(namespace: &str, name: &str) -> String {
    format!(
        "{}  selector: {{LABEL: VALUE}}\n  ports: [{{port: PORT}}]\n",
        head("v1", "Service", name, namespace)
    )
}

/// Default limits of a namespace.
#[must_use]
pub fn limits(namespace: &str) -> String {
    format!(
        "{}  limits:\n  - type: Container\n    default: {{cpu: \"1\", memory: 512Mi, ephemeral-storage: 256Mi}}\n",
        head("v1", "LimitRange", "bounds", namespace)
    )
}

/// What tells Prometheus to read the figures of pods with these labels.
#[must_use]
pub fn monitor(namespace: &str, name: &str, labels: &Labels, port: &str) -> String {
    let selected = selected(labels);
    format!(
        "{}  selector:\n    matchLabels:\n{selected}  podMetricsEndpoints:\n  - port: {port}\n",
        head("monitoring.coreos.com/v1", "PodMonitor", name, namespace)
    )
}

/// What holds each caller of a route, `Kind/name`, to a rate.
#[must_use]
pub fn traffic(namespace: &str, route: &str, requests: i64, unit: &str) -> String {
    let (kind, name) = route.split_once('/').unwrap_or(("HTTPRoute", route));
    format!(
        "{}  targetRefs:\n  - {{group: gateway.networking.k8s.io, kind: {kind}, name: {name}}}\n  rateLimit:\n    \
         type: Global\n    global:\n      rules:\n      - clientSelectors: [{{sourceCIDR: {{type: Distinct, \
         value: 0.0.0.0/0}}}}]\n        limit: {{requests: {requests}, unit: {unit}}}\n",
        head("gateway.envoyproxy.io/v1alpha1", "BackendTrafficPolicy", name, namespace)
    )
}
