//! One look at a cluster, taken as documents: what `plan` judges, read by the rights of whoever runs it.

use std::collections::BTreeSet;

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, api::ListParams};
use serde_json::{Value, json};

use super::files::documents::{Documents, MOST_OBJECTS, Origin};
use crate::api;

/// Objects of one page of a list.
const PAGE: u32 = 500;

/// A look at a cluster.
#[derive(Debug, Default)]
pub struct Look {
    /// Every object that bears on a verdict; the number of a document is its place in `about`, from 1.
    pub documents: Documents,
    /// What each document stands for.
    pub about: Vec<About>,
    /// What could not be read, as sentences: what is missing makes verdicts harsher, never softer.
    pub missing: Vec<String>,
}

/// What a document stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct About {
    /// The object that a person wrote, as `Kind/name`; empty for what carries no pods.
    pub owner: String,
    /// When it would be asked for again.
    pub when: When,
}

/// When pods are made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// It carries no pods.
    #[default]
    Never,
    /// A running pod: at the next restart or drain.
    Restart,
    /// The template of an object: at its next rollout or run.
    Rollout,
    /// A stored revision: at a rollback.
    Rollback,
}

impl When {
    /// The words of tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "",
            Self::Restart => "restart or drain",
            Self::Rollout => "next rollout or run",
            Self::Rollback => "rollback",
        }
    }
}

/// Group, version, kind; whether a cluster may lack it. Of several versions of a kind the first that is served counts.
const KINDS: &[(&str, &str, &str, bool)] = &[
    ("", "v1", "Namespace", false),
    ("", "v1", "ServiceAccount", false),
    ("", "v1", "Service", false),
    ("", "v1", "ResourceQuota", false),
    ("", "v1", "LimitRange", false),
    ("", "v1", "PersistentVolume", false),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", false),
    ("", "v1", "PersistentVolumeClaim", false),
    ("networking.k8s.io", "v1", "NetworkPolicy", false),
    ("rbac.authorization.k8s.io", "v1", "Role", false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", false),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", false),
    ("networking.k8s.io", "v1", "Ingress", false),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", true),
    ("gateway.networking.k8s.io", "v1", "GRPCRoute", true),
    ("gateway.networking.k8s.io", "v1", "TLSRoute", true),
    ("gateway.networking.k8s.io", "v1alpha2", "TLSRoute", true),
    ("gateway.networking.k8s.io", "v1alpha2", "TCPRoute", true),
    ("gateway.networking.k8s.io", "v1alpha2", "UDPRoute", true),
    ("gateway.networking.k8s.io", "v1", "Gateway", true),
    ("gateway.networking.k8s.io", "v1", "ReferenceGrant", true),
    ("gateway.networking.k8s.io", "v1beta1", "ReferenceGrant", true),
    ("gateway.envoyproxy.io", "v1alpha1", "BackendTrafficPolicy", true),
    ("resource.k8s.io", "v1", "ResourceClaim", true),
    ("resource.k8s.io", "v1", "ResourceClaimTemplate", true),
    ("monitoring.coreos.com", "v1", "PodMonitor", true),
    ("monitoring.coreos.com", "v1", "ServiceMonitor", true),
    ("monitoring.coreos.com", "v1", "PrometheusRule", true),
    ("portcullis.dev", "v1alpha1", "AIWorkload", true),
    ("portcullis.dev", "v1alpha1", "AIModel", true),
    ("portcullis.dev", "v1alpha1", "AIDataset", true),
    ("portcullis.dev", "v1alpha1", "AIPrompt", true),
    ("portcullis.dev", "v1alpha1", "AIEvidence", true),
    ("portcullis.dev", "v1alpha1", "AIExemption", true),
    ("portcullis.dev", "v1alpha1", "AISupplier", true),
    ("portcullis.dev", "v1alpha1", "AIGovernance", true),
    ("portcullis.dev", "v1alpha1", "AITrustPolicy", true),
    ("portcullis.dev", "v1alpha1", "AIProfile", true),
];

/// What carries pods, judged only in the namespaces asked for.
const CARRIERS: &[(&str, &str, &str, bool)] = &[
    ("", "v1", "Pod", false),
    ("apps", "v1", "Deployment", false),
    ("apps", "v1", "StatefulSet", false),
    ("apps", "v1", "DaemonSet", false),
    ("apps", "v1", "ReplicaSet", false),
    ("apps", "v1", "ControllerRevision", false),
    ("batch", "v1", "Job", false),
    ("batch", "v1", "CronJob", false),
];

/// Reads the cluster behind `client`; with `namespace`, what carries pods only there.
///
/// Never fails: what could not be read stands in [`Look::missing`].
pub async fn look(client: &Client, namespace: Option<&str>) -> Look {
    let mut out = Look::default();
    let mut served = BTreeSet::new();
    for (group, version, kind, optional) in KINDS {
        // The same objects in another version of their kind would be there twice.
        if !served.contains(&(group, kind)) && out.list(client, (group, version, kind), None, *optional).await
        {
            served.insert((group, kind));
        }
    }
    out.config_maps(client).await;
    for (group, version, kind, optional) in CARRIERS {
        out.list(client, (group, version, kind), namespace, *optional).await;
    }
    out
}

impl Look {
    async fn config_maps(&mut self, client: &Client) {
        let gvk = GroupVersionKind::gvk("", "v1", "ConfigMap");
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&gvk));
        // One that carries both is listed once.
        let others = format!("{},!{}", api::common::LABEL_SETTINGS, api::common::LABEL_PROMPT);
        for labels in [api::common::LABEL_PROMPT, others.as_str()] {
            let of = ListParams::default().labels(labels);
            self.pages(&api, ("", "v1", "ConfigMap"), of, false).await;
        }
    }

    /// Returns whether the cluster has the kind in this version.
    async fn list(
        &mut self,
        client: &Client,
        kind: (&str, &str, &str),
        namespace: Option<&str>,
        optional: bool,
    ) -> bool {
        let gvk = GroupVersionKind::gvk(kind.0, kind.1, kind.2);
        let resource = ApiResource::from_gvk(&gvk);
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        self.pages(&api, kind, ListParams::default(), optional).await
    }

    async fn pages(
        &mut self,
        api: &Api<DynamicObject>,
        kind: (&str, &str, &str),
        params: ListParams,
        optional: bool,
    ) -> bool {
        let mut params = params.limit(PAGE);
        loop {
            let page = match api.list(&params).await {
                Ok(page) => page,
                Err(kube::Error::Api(status)) if status.code == 404 && optional => return false,
                Err(error) => {
                    self.missing.push(format!("{} cannot be listed: {error}", kind.2));
                    return true;
                }
            };
            for object in page.items {
                let value = serde_json::to_value(&object).unwrap_or_default();
                self.take(kind, value);
            }
            match page.metadata.continue_ {
                Some(token) if !token.is_empty() => params.continue_token = Some(token),
                _ => return true,
            }
        }
    }

    /// Takes one object in, as the document that a person would have written.
    fn take(&mut self, (group, version, kind): (&str, &str, &str), mut value: Value) {
        value["apiVersion"] =
            if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }.into();
        value["kind"] = kind.into();
        if let Some(meta) = value["metadata"].as_object_mut() {
            meta.remove("managedFields");
        }
        let Some(about) = about(kind, &mut value) else { return };
        if self.documents.objects.len() >= MOST_OBJECTS {
            if self.documents.objects.len() == MOST_OBJECTS {
                self.missing.push(format!("more than {MOST_OBJECTS} objects: name a namespace with -n"));
            }
            return;
        }
        self.about.push(about);
        let origin = Origin { file: "cluster".to_owned(), document: self.about.len(), ..Origin::default() };
        self.documents.objects.push((origin, value));
    }
}

/// What `value` stands for; nothing where nobody will ask for its pods again.
fn about(kind: &str, value: &mut Value) -> Option<About> {
    let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let owner = controller(value);
    let own = format!("{kind}/{name}");
    let own_name = name;
    match kind {
        "Pod" => {
            let ended = matches!(value["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            let leaving = value["metadata"]["deletionTimestamp"].is_string();
            let owner = owner.map_or(own, |(kind, name)| match kind.as_str() {
                // The Deployment above, as its ReplicaSets are named.
                "ReplicaSet" => match value["metadata"]["labels"]["pod-template-hash"].as_str() {
                    Some(hash) => {
                        let base = name.strip_suffix(hash).and_then(|base| base.strip_suffix('-'));
                        base.map_or_else(|| format!("ReplicaSet/{name}"), |base| format!("Deployment/{base}"))
                    }
                    None => format!("ReplicaSet/{name}"),
                },
                _ => format!("{kind}/{name}"),
            });
            // It comes back without its node, which the scheduler names, and without what was put into it to look around.
            if let Some(spec) = value["spec"].as_object_mut() {
                spec.remove("nodeName");
                spec.remove("ephemeralContainers");
            }
            (!ended && !leaving).then_some(About { owner, when: When::Restart })
        }
        "ReplicaSet" => match (owner, value["spec"]["replicas"].as_i64()) {
            // The pods of those in use are judged themselves.
            (Some(_), Some(replicas)) if replicas > 0 => None,
            (Some((kind, name)), _) => Some(About { owner: format!("{kind}/{name}"), when: When::Rollback }),
            (None, _) => Some(About { owner: own, when: When::Rollout }),
        },
        "ControllerRevision" => {
            let (kind, name) = owner?;
            let template = value["data"]["spec"]["template"].clone();
            if !template.is_object() {
                return None;
            }
            value["kind"] = kind.as_str().into();
            // No object can have such a name, so it stands beside the one it would restore.
            value["metadata"]["name"] = format!("{own_name} (stored revision)").into();
            value["spec"] = json!({"template": template});
            if let Some(map) = value.as_object_mut() {
                map.remove("data");
                map.remove("revision");
            }
            Some(About { owner: format!("{kind}/{name}"), when: When::Rollback })
        }
        "Job" => {
            let over = value["status"]["completionTime"].is_string() || owner.is_some();
            (!over).then_some(About { owner: own, when: When::Rollout })
        }
        "Deployment" | "StatefulSet" | "DaemonSet" | "CronJob" => {
            Some(About { owner: own, when: When::Rollout })
        }
        _ => Some(About::default()),
    }
}

/// Kind and name of the controller among the owners.
fn controller(value: &Value) -> Option<(String, String)> {
    let owners = value["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some((owner["kind"].as_str()?.to_owned(), owner["name"].as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_asked_for_again_is_told_by_its_owner() {
        let of = |kind: &str, mut value: Value| {
            about(kind, &mut value).map(|about| (about.owner, about.when.as_str()))
        };
        let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
        let pod = json!({"metadata": {"name": "chat-5d-x", "labels": {"pod-template-hash": "5d"},
            "ownerReferences": owner("ReplicaSet", "chat-5d")}});
        assert_eq!(of("Pod", pod), Some(("Deployment/chat".to_owned(), "restart or drain")));
        let done = json!({"metadata": {"name": "a"}, "status": {"phase": "Succeeded"}});
        assert_eq!(of("Pod", done), None);
        let old = json!({"metadata": {"name": "chat-4c", "ownerReferences": owner("Deployment", "chat")},
            "spec": {"replicas": 0}});
        assert_eq!(of("ReplicaSet", old.clone()), Some(("Deployment/chat".to_owned(), "rollback")));
        let mut used = old;
        used["spec"]["replicas"] = 2.into();
        assert_eq!(of("ReplicaSet", used), None);
        let run = json!({"metadata": {"name": "score-1", "ownerReferences": owner("CronJob", "score")}});
        assert_eq!(of("Job", run), None);
        assert_eq!(
            of("CronJob", json!({"metadata": {"name": "score"}})),
            Some(("CronJob/score".to_owned(), "next rollout or run"))
        );
    }

    #[test]
    fn a_pod_is_judged_as_it_would_be_asked_for_again() {
        let mut pod = json!({"metadata": {"name": "a"},
            "spec": {"nodeName": "n1", "ephemeralContainers": [{"name": "debug"}], "containers": [{"name": "a"}]}});
        assert!(about("Pod", &mut pod).is_some());
        assert_eq!(pod["spec"], json!({"containers": [{"name": "a"}]}));
    }

    #[test]
    fn a_stored_revision_becomes_the_object_it_would_restore() {
        let mut value = json!({"kind": "ControllerRevision", "revision": 3,
            "metadata": {"name": "db-1", "ownerReferences": [{"kind": "StatefulSet", "name": "db", "controller": true}]},
            "data": {"spec": {"template": {"spec": {"containers": []}}}}});
        let about = about("ControllerRevision", &mut value).unwrap();
        assert_eq!((about.owner.as_str(), about.when), ("StatefulSet/db", When::Rollback));
        assert_eq!(value["kind"], "StatefulSet");
        assert_eq!(value["spec"]["template"]["spec"]["containers"], json!([]));
    }
}
