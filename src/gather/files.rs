//! Manifests on disk to a world and the subjects in it, for the command line: the files are the world.

pub mod definitions;
pub mod documents;
mod scope;
mod subject;

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace as CoreNamespace};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::core::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::objects;
use super::serving::Serving;
use super::world::{Object, World, generated};
use crate::api;
use crate::policy::near;
use crate::policy::texts;
use definitions::{definition, kinds};
use documents::Documents;
pub use documents::{Origin, Problem};
use scope::{Scope, is_pod, scope};
pub use subject::{Assumptions, Content, Subject};

/// Everything that files say.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The world as it would be with all of them applied.
    pub world: World,
    /// What is judged, in the order of reading.
    pub subjects: Vec<Subject>,
    /// Objects that nothing judges, by kind.
    pub skipped: BTreeMap<String, usize>,
    /// What makes the input unusable; nothing should be judged when there are any.
    pub problems: Vec<Problem>,
    known: BTreeMap<Key, (Origin, Value)>,
}

/// Group, kind, namespace and name.
type Key = (String, String, String, String);

impl Manifests {
    /// Reads every manifest under `paths`; `-` is standard input.
    ///
    /// Never fails: what is wrong with the input stands in [`Manifests::problems`].
    #[must_use]
    pub fn read(paths: &[PathBuf], assumptions: &Assumptions) -> Self {
        Self::of(Documents::read(paths), assumptions)
    }

    /// The same for what was read already.
    #[must_use]
    pub fn of(documents: Documents, assumptions: &Assumptions) -> Self {
        let mut out = Self { problems: documents.problems, ..Self::default() };
        for (origin, value) in documents.objects {
            if let Err(text) = out.object(&origin, value, assumptions) {
                out.problems.extend(text.into_iter().map(|text| Problem { origin: origin.clone(), text }));
            }
        }
        out.assume(assumptions);
        super::proofs::attest(&mut out.world, jiff::Timestamp::now());
        out.problems.sort();
        out
    }

    fn assume(&mut self, assumptions: &Assumptions) {
        if let (Some(environment), name) = (assumptions.environment, default_namespace(assumptions)) {
            let stated = (String::new(), "Namespace".to_owned(), String::new(), name.to_owned());
            if !self.known.contains_key(&stated) {
                let mut labels = BTreeMap::from([(
                    api::common::LABEL_ENVIRONMENT.to_owned(),
                    environment.as_str().to_owned(),
                )]);
                if let Some(sensitivity) = assumptions.sensitivity {
                    labels.insert(api::common::LABEL_SENSITIVITY.to_owned(), sensitivity.as_str().to_owned());
                }
                let metadata =
                    ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
                self.world.apply(Object::Namespace(Box::new(CoreNamespace {
                    metadata,
                    ..CoreNamespace::default()
                })));
                self.known.insert(stated, (Origin::default(), Value::Null));
            }
        }
        if let Some(base) = assumptions.profile {
            let mut profile = api::AIProfile::new("command-line", api::profile::AIProfileSpec::default());
            profile.spec.base = base;
            self.world.apply(Object::Profile(Box::new(profile)));
        }
    }

    /// Whether the files, or the assumptions, say what namespace `name` is.
    #[must_use]
    pub fn states_namespace(&self, name: &str) -> bool {
        self.known.contains_key(&(String::new(), "Namespace".to_owned(), String::new(), name.to_owned()))
    }

    fn object(
        &mut self,
        origin: &Origin,
        mut value: Value,
        assumptions: &Assumptions,
    ) -> Result<(), Vec<String>> {
        let (group, kind) = identity(&value)?;
        if group == api::common::GROUP {
            own_kind(&kind, &mut value, assumptions.live)?;
        }
        let Some(scope) = scope(&group, &kind) else {
            self.skip(&kind);
            return Ok(());
        };
        if !value["metadata"].is_object() {
            return Err(vec![format!("{kind}: metadata: is missing")]);
        }
        let meta: ObjectMeta = typed(&value["metadata"], "metadata")?;
        let name = match (&meta.name, &meta.generate_name) {
            (Some(name), _) if !name.is_empty() => name.clone(),
            (_, Some(prefix)) if !prefix.is_empty() => prefix.clone(),
            _ => return Err(vec![format!("{kind}: metadata.name: is missing")]),
        };
        let namespace = match scope {
            Scope::Cluster => None,
            Scope::Namespaced => {
                let namespace = meta.namespace.clone().unwrap_or_default();
                let namespace =
                    if namespace.is_empty() { default_namespace(assumptions).to_owned() } else { namespace };
                value["metadata"]["namespace"] = namespace.clone().into();
                Some(namespace)
            }
        };
        let named = meta.name.is_some();
        let key = (group.clone(), kind.clone(), namespace.clone().unwrap_or_default(), name.clone());
        if let Some((before, same)) = self.known.get(&key).filter(|_| named) {
            if *same == value {
                return Ok(());
            }
            return Err(vec![format!("{kind} {name:?} is there twice, and differs from {before}")]);
        }
        if generated(&meta) && group != api::common::GROUP && !is_pod(&group, &kind) {
            // Only the operator may write these; what it would write is assumed anyway.
            self.skip(&format!("{kind} generated by the operator"));
            return Ok(());
        }
        let content = self.content(&group, &kind, &value)?;
        self.known.insert(key, (origin.clone(), value));
        if let Some(content) = content {
            self.subjects.push(Subject { origin: origin.clone(), kind, namespace, name, content });
        }
        Ok(())
    }

    fn skip(&mut self, kind: &str) {
        *self.skipped.entry(kind.to_owned()).or_default() += 1;
    }

    /// Takes an object into the world, and returns what there is to judge about it.
    fn content(&mut self, group: &str, kind: &str, value: &Value) -> Result<Option<Content>, Vec<String>> {
        let world = &mut self.world;
        let content = match (group, kind) {
            ("", "Pod") => {
                let pod = objects::pod_from_json(&value.to_string())
                    .map(|(_, pod)| pod)
                    .map_err(|error| vec![format!("{kind}: {error}")])?;
                Content::Pod(Box::new(pod))
            }
            ("", "Namespace") => {
                world.apply(Object::Namespace(Box::new(typed(value, kind)?)));
                Content::Namespace
            }
            ("", "ServiceAccount") => return keep(world, Object::ServiceAccount, value, kind),
            ("", "Service") => return keep(world, Object::Service, value, kind),
            ("networking.k8s.io", "Ingress") => return keep(world, Object::Ingress, value, kind),
            ("gateway.networking.k8s.io", "HTTPRoute") => return keep(world, Object::HttpRoute, value, kind),
            ("gateway.networking.k8s.io", "Gateway") => return keep(world, Object::Gateway, value, kind),
            ("gateway.networking.k8s.io", "TLSRoute") => return keep(world, Object::TlsRoute, value, kind),
            ("gateway.networking.k8s.io", "TCPRoute") => return keep(world, Object::TcpRoute, value, kind),
            ("gateway.networking.k8s.io", "UDPRoute") => return keep(world, Object::UdpRoute, value, kind),
            ("gateway.networking.k8s.io", "ReferenceGrant") => {
                return keep(world, Object::RouteGrant, value, kind);
            }
            ("gateway.networking.k8s.io", _) => return keep(world, Object::GrpcRoute, value, kind),
            ("gateway.envoyproxy.io", _) => {
                world.cluster.has_traffic_policies = true;
                return keep(world, Object::TrafficPolicy, value, kind);
            }
            ("resource.k8s.io", "ResourceClaim") => return keep(world, Object::DeviceClaim, value, kind),
            ("resource.k8s.io", _) => return keep(world, Object::DeviceTemplate, value, kind),
            ("", "PersistentVolume") => return keep(world, Object::Volume, value, kind),
            ("", "PersistentVolumeClaim") => return keep(world, Object::Claim, value, kind),
            ("", "ConfigMap") => {
                let carries = |label: &str| value["metadata"]["labels"][label].is_string();
                let (prompts, settings) =
                    (carries(api::common::LABEL_PROMPT), carries(api::common::LABEL_SETTINGS));
                let map: ConfigMap = typed(value, kind)?;
                if prompts {
                    world.apply(Object::ConfigMap(Box::new(map.clone())));
                } else {
                    world.document(&map);
                }
                if settings {
                    world.apply(Object::SettingsMap(Box::new(map.clone())));
                }
                let found = texts::credentials(&map);
                if prompts || found.is_empty() {
                    if !prompts && !settings {
                        self.skip(kind);
                    }
                    return Ok(None);
                }
                Content::ConfigMap(found)
            }
            ("", "ResourceQuota") => return keep(world, Object::ResourceQuota, value, kind),
            ("", "LimitRange") => return keep(world, Object::LimitRange, value, kind),
            ("autoscaling", _) => return keep(world, Object::Autoscaler, value, kind),
            ("monitoring.coreos.com", "PodMonitor") => {
                world.cluster.has_pod_monitors = true;
                return keep(world, Object::PodMonitor, value, kind);
            }
            ("monitoring.coreos.com", "ServiceMonitor") => {
                return keep(world, Object::ServiceMonitor, value, kind);
            }
            ("monitoring.coreos.com", "PrometheusRule") => {
                world.cluster.has_alert_rules = true;
                return keep(world, Object::AlertRule, value, kind);
            }
            ("apiextensions.k8s.io", _) => {
                let name = &value["metadata"]["name"];
                world.cluster.has_pod_monitors |= name == "podmonitors.monitoring.coreos.com";
                world.cluster.has_alert_rules |= name == "prometheusrules.monitoring.coreos.com";
                world.cluster.has_traffic_policies |= name == "backendtrafficpolicies.gateway.envoyproxy.io";
                self.skip(kind);
                return Ok(None);
            }
            ("networking.k8s.io", _) => {
                let policy: Box<NetworkPolicy> = Box::new(typed(value, kind)?);
                world.apply(Object::NetworkPolicy(policy.clone()));
                Content::NetworkPolicy(policy)
            }
            ("rbac.authorization.k8s.io", "Role") => return keep(world, Object::Role, value, kind),
            ("rbac.authorization.k8s.io", "ClusterRole") => {
                return keep(world, Object::ClusterRole, value, kind);
            }
            ("rbac.authorization.k8s.io", "RoleBinding") => {
                keep(world, Object::RoleBinding, value, kind)?;
                Content::Binding(Box::new(typed(value, kind)?))
            }
            ("rbac.authorization.k8s.io", _) => {
                keep(world, Object::ClusterRoleBinding, value, kind)?;
                Content::Binding(Box::new(typed(value, kind)?))
            }
            (api::common::GROUP, _) => return self.declared(kind, value),
            _ => return self.carried(group, kind, value),
        };
        Ok(Some(content))
    }

    fn carried(&mut self, group: &str, kind: &str, value: &Value) -> Result<Option<Content>, Vec<String>> {
        let carrier = objects::carrier(group, kind);
        let serving = carrier.map(|carrier| Serving::read(carrier, value)).unwrap_or_default();
        if !serving.is_empty() {
            return Ok(Some(Content::Served(serving)));
        }
        let templates = match carrier {
            Some(carrier) => {
                objects::templates(carrier, value).map_err(|error| vec![format!("{kind}: {error}")])?
            }
            None => Vec::new(),
        };
        if templates.is_empty() {
            self.skip(kind);
            return Ok(None);
        }
        Ok(Some(Content::Templates(templates)))
    }

    fn declared(&mut self, kind: &str, value: &Value) -> Result<Option<Content>, Vec<String>> {
        let world = &mut self.world;
        Ok(Some(match kind {
            "AIWorkload" => {
                let workload: Box<api::AIWorkload> = Box::new(typed(value, kind)?);
                world.apply(Object::Workload(workload.clone()));
                Content::Workload(workload)
            }
            "AIModel" => {
                let model: Box<api::AIModel> = Box::new(typed(value, kind)?);
                world.apply(Object::Model(model.clone()));
                Content::Model(model)
            }
            "AIDataset" => {
                let dataset: Box<api::AIDataset> = Box::new(typed(value, kind)?);
                world.apply(Object::Dataset(dataset.clone()));
                Content::Dataset(dataset)
            }
            "AIPrompt" => {
                let prompt: Box<api::AIPrompt> = Box::new(typed(value, kind)?);
                world.apply(Object::Prompt(prompt.clone()));
                Content::Prompt(prompt)
            }
            "AIEvidence" => {
                let evidence: Box<api::AIEvidence> = Box::new(typed(value, kind)?);
                world.apply(Object::Evidence(evidence.clone()));
                Content::Evidence(evidence)
            }
            "AISupplier" => {
                let supplier: Box<api::AISupplier> = Box::new(typed(value, kind)?);
                world.apply(Object::Supplier(supplier.clone()));
                Content::Supplier(supplier)
            }
            "AIGovernance" => {
                let organisation: Box<api::AIGovernance> = Box::new(typed(value, kind)?);
                world.apply(Object::Governance(organisation.clone()));
                Content::Governance(organisation)
            }
            "AITrustPolicy" => {
                let policy: Box<api::AITrustPolicy> = Box::new(typed(value, kind)?);
                world.apply(Object::TrustPolicy(policy.clone()));
                Content::TrustPolicy(policy)
            }
            "AIProfile" => {
                let profile: Box<api::AIProfile> = Box::new(typed(value, kind)?);
                world.apply(Object::Profile(profile.clone()));
                Content::Profile(profile)
            }
            "AIExemption" => {
                let exemption: Box<api::AIExemption> = Box::new(typed(value, kind)?);
                world.apply(Object::Exemption(exemption.clone()));
                Content::Exemption(exemption)
            }
            _ => {
                self.skip(kind);
                return Ok(None);
            }
        }))
    }
}

fn keep<T: DeserializeOwned>(
    world: &mut World,
    wrap: fn(Box<T>) -> Object,
    value: &Value,
    kind: &str,
) -> Result<Option<Content>, Vec<String>> {
    world.apply(wrap(Box::new(typed(value, kind)?)));
    Ok(None)
}

fn typed<T: DeserializeOwned>(value: &Value, what: &str) -> Result<T, Vec<String>> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." { what.to_owned() } else { format!("{what}: {path}") };
        vec![format!("{at}: {}", error.inner())]
    })
}

fn default_namespace(assumptions: &Assumptions) -> &str {
    assumptions.namespace.as_deref().unwrap_or("default")
}

/// API group and kind.
fn identity(value: &Value) -> Result<(String, String), Vec<String>> {
    let text = |key: &str| value[key].as_str().filter(|text| !text.is_empty());
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        let missing: Vec<_> = ["apiVersion", "kind"].into_iter().filter(|key| text(key).is_none()).collect();
        let are = if missing.len() > 1 { "are" } else { "is" };
        return Err(vec![format!("is no Kubernetes object: {} {are} missing", missing.join(" and "))]);
    };
    let group = version.split_once('/').map_or("", |(group, _)| group);
    Ok((group.to_owned(), kind.to_owned()))
}

/// Holds one of our own kinds against its definition. The status in a file is dropped, as the API server drops it.
fn own_kind(kind: &str, value: &mut Value, live: bool) -> Result<(), Vec<String>> {
    let Some(definition) = definition(kind) else {
        let near = near::nearest(kind, kinds()).map(|near| format!("; did you mean {near}?"));
        let text = format!("there is no kind {kind} in {}{}", api::common::GROUP, near.unwrap_or_default());
        return Err(vec![text]);
    };
    let wanted = format!("{}/{}", api::common::GROUP, api::common::VERSION);
    if value["apiVersion"] != wanted.as_str() {
        return Err(vec![format!("{kind}: apiVersion: {} is not {wanted}", value["apiVersion"])]);
    }
    let status = value.as_object_mut().and_then(|map| map.remove("status"));
    let faults = definition.faults(value);
    // What a newer operator wrote into a status is its matter.
    if let (Some(status), true) = (status, live) {
        value["status"] = status;
    }
    if faults.is_empty() {
        return Ok(());
    }
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    Err(faults.into_iter().map(|fault| format!("{kind} {name:?}: {fault}")).collect())
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
