//! The world as far as it is known: one mutable picture, fed by watches or by files, from which facts are taken.

mod across;
mod asked;
mod kinds;
mod matter;
mod ours;
pub(crate) mod read;
mod rights;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace as CoreNamespace};
use kube::core::ObjectMeta;

use super::rbac::RbacIndex;
use super::trust::TrustRoots;
use crate::api;
use crate::policy::facts::{self, Cluster, Labels, Namespace};

pub use asked::matched;
pub use kinds::{Kind, Object, Touched};
pub(crate) use read::digests;
pub use read::generated;
pub(crate) use read::traffic_policy;
use read::{claim, config_map, pod_monitor, service_account, slim, slim_asset, slim_evidence, slim_workload};

/// Everything known.
#[derive(Debug, Default)]
pub struct World {
    /// What controls may look at.
    pub cluster: Cluster,
    /// Roles and bindings.
    pub rbac: RbacIndex,
    /// The image of the Jobs that verify models on volumes; empty where there are to be none.
    pub verifier_image: String,
    /// ConfigMaps of the operator's namespace that hold trust roots.
    pub trust_roots: Arc<TrustRoots>,
    /// What was generated, of some kinds: kind, namespace and name.
    generated: HashSet<(Kind, String, String)>,
    nowhere: Namespace,
}

impl World {
    /// Nothing is known yet, but which image verifies models on volumes; empty for none.
    #[must_use]
    pub fn with_verifier(image: &str) -> Self {
        Self { verifier_image: image.to_owned(), ..Self::default() }
    }

    /// Takes in an object as it is now. Returns whose verdict may change; nothing when the object says what it said before.
    pub fn apply(&mut self, object: Object) -> Touched {
        match object {
            Object::Namespace(ns) => self.apply_namespace(*ns),
            Object::Workload(mut workload) => {
                slim_workload(&mut workload.metadata, &mut workload.status);
                let kept = compact(workload.as_ref());
                self.put(workload.metadata, |ns| &mut ns.workloads, Arc::new(kept))
            }
            Object::Model(mut model) => {
                slim_asset(&mut model.metadata, &mut model.status);
                self.put(model.metadata.clone(), |ns| &mut ns.models, Arc::new(*model))
            }
            Object::Dataset(mut dataset) => {
                slim_asset(&mut dataset.metadata, &mut dataset.status);
                self.put_dataset(*dataset)
            }
            Object::Prompt(mut prompt) => {
                slim_asset(&mut prompt.metadata, &mut prompt.status);
                self.put(prompt.metadata.clone(), |ns| &mut ns.prompts, Arc::new(*prompt))
            }
            Object::Evidence(mut evidence) => {
                slim_evidence(&mut evidence.metadata, &mut evidence.status);
                self.put_evidence(*evidence)
            }
            Object::Supplier(mut supplier) => {
                slim(&mut supplier.metadata, &mut supplier.status);
                put_cluster(&mut self.cluster.suppliers, name_of(&supplier.metadata).to_owned(), *supplier)
            }
            Object::Governance(mut organisation) => {
                slim(&mut organisation.metadata, &mut organisation.status);
                let name = name_of(&organisation.metadata).to_owned();
                put_cluster(&mut self.cluster.governances, name, *organisation)
            }
            Object::Exemption(exemption) => self.put_exemption(*exemption),
            Object::TrustPolicy(mut policy) => {
                slim(&mut policy.metadata, &mut policy.status);
                put_cluster(&mut self.cluster.trust_policies, name_of(&policy.metadata).to_owned(), *policy)
            }
            Object::Profile(mut profile) => {
                slim(&mut profile.metadata, &mut profile.status);
                put_cluster(&mut self.cluster.profiles, name_of(&profile.metadata).to_owned(), *profile)
            }
            Object::ServiceAccount(account) => {
                let known = service_account(&account);
                self.put(account.metadata, |ns| &mut ns.service_accounts, known)
            }
            Object::NetworkPolicy(policy) => {
                let known = facts::NetworkPolicy {
                    generated: generated(&policy.metadata),
                    spec: Arc::new(policy.spec.as_ref().map(compact).unwrap_or_default()),
                };
                self.put(policy.metadata, |ns| &mut ns.network_policies, known)
            }
            object @ (Object::PodMonitor(_) | Object::ServiceMonitor(_) | Object::AlertRule(_)) => {
                self.apply_monitoring(object)
            }
            Object::Service(service) => self.put_service(&service),
            Object::Ingress(ingress) => self.put_ingress(*ingress),
            Object::HttpRoute(route) => self.put_route("HTTPRoute", &route),
            Object::GrpcRoute(route) => self.put_route("GRPCRoute", &route),
            Object::TlsRoute(route) => self.put_route("TLSRoute", &route),
            Object::TcpRoute(route) => self.put_route("TCPRoute", &route),
            Object::UdpRoute(route) => self.put_route("UDPRoute", &route),
            Object::Gateway(gateway) => {
                let known = read::gateway(&gateway);
                self.put(gateway.metadata, |ns| &mut ns.gateways, known).widened()
            }
            Object::RouteGrant(grant) => {
                let known = read::route_grant(&grant);
                self.put(grant.metadata, |ns| &mut ns.route_grants, known)
            }
            Object::TrafficPolicy(policy) => {
                let known = read::traffic_policy(&policy);
                self.put_generated(Kind::TrafficPolicy, policy.metadata, |ns| &mut ns.traffic_policies, known)
            }
            Object::DeviceClaim(claim) => self.put_devices("ResourceClaim", &claim),
            Object::DeviceTemplate(template) => self.put_devices("ResourceClaimTemplate", &template),
            Object::Claim(volume) => {
                let known = claim(&volume);
                self.put(volume.metadata, |ns| &mut ns.claims, known)
            }
            Object::Volume(volume) => self.put_volume(&volume),
            Object::ConfigMap(map) => match config_map(&map, api::common::LABEL_PROMPT) {
                Some(known) => self.put(map.metadata, |ns| &mut ns.config_maps, known),
                None => Touched::nothing(),
            },
            Object::SettingsMap(map) => match config_map(&map, api::common::LABEL_SETTINGS) {
                Some(known) => self.put(map.metadata, |ns| &mut ns.settings_maps, known),
                None => Touched::nothing(),
            },
            Object::ResourceQuota(quota) => self.put_name(&quota.metadata, |ns| &mut ns.resource_quotas),
            Object::LimitRange(range) => self.put_name(&range.metadata, |ns| &mut ns.limit_ranges),
            Object::Autoscaler(scaler) => self.put_autoscaler(*scaler),
            rights => self.apply_rights(rights),
        }
    }

    fn put_exemption(&mut self, mut exemption: api::AIExemption) -> Touched {
        let approved_at = exemption.status.take().and_then(|status| status.approved_at);
        slim(&mut exemption.metadata, &mut exemption.status);
        // Since when it is owed.
        exemption.status = approved_at
            .map(|at| api::exemption::AIExemptionStatus { approved_at: Some(at), ..Default::default() });
        self.put(exemption.metadata.clone(), |ns| &mut ns.exemptions, Arc::new(exemption))
    }

    /// Takes in what evidence may have its document in, where files are the world.
    pub(super) fn document(&mut self, map: &ConfigMap) {
        let (Some(namespace), Some(name)) = (&map.metadata.namespace, &map.metadata.name) else { return };
        let known = digests(map);
        self.entry(namespace).documents.insert(name.clone(), known);
    }

    fn apply_monitoring(&mut self, object: Object) -> Touched {
        match object {
            Object::PodMonitor(monitor) => {
                let known = pod_monitor(&monitor);
                self.put_generated(Kind::PodMonitor, monitor.metadata, |ns| &mut ns.pod_monitors, known)
            }
            Object::ServiceMonitor(monitor) => {
                let known = read::service_monitor(&monitor);
                self.put(monitor.metadata, |ns| &mut ns.service_monitors, known).widened()
            }
            Object::AlertRule(rule) => {
                let known = read::alerts(&rule);
                let whose = self.note_generated(Kind::AlertRule, &rule.metadata);
                self.put(rule.metadata, |ns| &mut ns.alert_rules, known).widened().and(whose)
            }
            _ => Touched::nothing(),
        }
    }

    /// Forgets an object. Returns whose verdict may change.
    pub fn remove(&mut self, kind: Kind, namespace: Option<&str>, name: &str) -> Touched {
        self.forget_generated(kind, namespace, name);
        match kind {
            Kind::Namespace => {
                // What lived in it has left before: a namespace goes last.
                let known = self.cluster.namespaces.remove(name).is_some();
                if known { Touched::namespace(name) } else { Touched::nothing() }
            }
            Kind::TrustPolicy => take_cluster(&mut self.cluster.trust_policies, name),
            Kind::Profile => take_cluster(&mut self.cluster.profiles, name),
            Kind::Role => Touched::reached(self.rbac.remove_role(namespace, name)),
            Kind::ClusterRole => Touched::reached(self.rbac.remove_role(None, name)),
            Kind::RoleBinding => Touched::reached(self.rbac.remove_binding(namespace, name)),
            Kind::ClusterRoleBinding => Touched::reached(self.rbac.remove_binding(None, name)),
            Kind::Workload => self.take(namespace, |ns| ns.workloads.remove(name).is_some()),
            Kind::Model => self.take(namespace, |ns| ns.models.remove(name).is_some()),
            Kind::Dataset => self.take_dataset(namespace, name),
            Kind::Prompt => self.take(namespace, |ns| ns.prompts.remove(name).is_some()),
            Kind::Evidence => self.take_evidence(namespace, name),
            Kind::Supplier => take_cluster(&mut self.cluster.suppliers, name),
            Kind::Governance => take_cluster(&mut self.cluster.governances, name),
            Kind::DeviceClaim => self.take_devices(namespace, "ResourceClaim", name),
            Kind::DeviceTemplate => self.take_devices(namespace, "ResourceClaimTemplate", name),
            Kind::Claim => self.take(namespace, |ns| ns.claims.remove(name).is_some()),
            Kind::ConfigMap => self.take(namespace, |ns| ns.config_maps.remove(name).is_some()),
            Kind::Volume => self.take_volume(name),
            Kind::SettingsMap => self.take(namespace, |ns| ns.settings_maps.remove(name).is_some()),
            Kind::Exemption => self.take(namespace, |ns| ns.exemptions.remove(name).is_some()),
            Kind::ServiceAccount => self.take(namespace, |ns| ns.service_accounts.remove(name).is_some()),
            Kind::NetworkPolicy => self.take(namespace, |ns| ns.network_policies.remove(name).is_some()),
            Kind::PodMonitor => self.take(namespace, |ns| ns.pod_monitors.remove(name).is_some()),
            Kind::ServiceMonitor => {
                self.take(namespace, |ns| ns.service_monitors.remove(name).is_some()).widened()
            }
            Kind::AlertRule => self.take(namespace, |ns| ns.alert_rules.remove(name).is_some()).widened(),
            Kind::Service => self.take_service(namespace, name),
            Kind::Ingress => self.take_ingress(namespace, name),
            Kind::HttpRoute => self.take_route(namespace, &format!("HTTPRoute/{name}")),
            Kind::GrpcRoute => self.take_route(namespace, &format!("GRPCRoute/{name}")),
            Kind::TlsRoute => self.take_route(namespace, &format!("TLSRoute/{name}")),
            Kind::TcpRoute => self.take_route(namespace, &format!("TCPRoute/{name}")),
            Kind::UdpRoute => self.take_route(namespace, &format!("UDPRoute/{name}")),
            Kind::Gateway => self.take(namespace, |ns| ns.gateways.remove(name).is_some()).widened(),
            Kind::RouteGrant => self.take(namespace, |ns| ns.route_grants.remove(name).is_some()),
            Kind::TrafficPolicy => self.take(namespace, |ns| ns.traffic_policies.remove(name).is_some()),
            Kind::Autoscaler => self.take(namespace, |ns| ns.autoscalers.remove(name).is_some()),
            Kind::ResourceQuota => self.take(namespace, |ns| ns.resource_quotas.remove(name)),
            Kind::LimitRange => self.take(namespace, |ns| ns.limit_ranges.remove(name)),
        }
    }

    fn apply_namespace(&mut self, object: CoreNamespace) -> Touched {
        let name = name_of(&object.metadata).to_owned();
        let terminating = object.metadata.deletion_timestamp.is_some();
        let labels: Labels = object.metadata.labels.unwrap_or_default();
        let entry = self.cluster.namespaces.entry(name.clone()).or_default();
        entry.uid = object.metadata.uid;
        if entry.name == name && entry.labels == labels && entry.terminating == terminating {
            return Touched::nothing();
        }
        entry.name.clone_from(&name);
        entry.labels = labels;
        entry.terminating = terminating;
        Touched::namespace(&name)
    }

    fn entry(&mut self, namespace: &str) -> &mut Namespace {
        let entry = self.cluster.namespaces.entry(namespace.to_owned()).or_default();
        if entry.name.is_empty() {
            namespace.clone_into(&mut entry.name);
        }
        entry
    }

    fn put<T: PartialEq>(
        &mut self,
        metadata: ObjectMeta,
        of: fn(&mut Namespace) -> &mut BTreeMap<String, T>,
        value: T,
    ) -> Touched {
        let (Some(namespace), Some(name)) = (metadata.namespace, metadata.name) else {
            return Touched::nothing();
        };
        let map = of(self.entry(&namespace));
        if map.get(&name) == Some(&value) {
            return Touched::nothing();
        }
        map.insert(name, value);
        Touched::namespace(&namespace)
    }

    fn put_name(
        &mut self,
        metadata: &ObjectMeta,
        of: fn(&mut Namespace) -> &mut BTreeSet<String>,
    ) -> Touched {
        let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) else {
            return Touched::nothing();
        };
        if of(self.entry(namespace)).insert(name.clone()) {
            Touched::namespace(namespace)
        } else {
            Touched::nothing()
        }
    }

    fn take(&mut self, namespace: Option<&str>, remove: impl FnOnce(&mut Namespace) -> bool) -> Touched {
        let Some(namespace) = namespace else { return Touched::nothing() };
        let removed = self.cluster.namespaces.get_mut(namespace).is_some_and(remove);
        if removed { Touched::namespace(namespace) } else { Touched::nothing() }
    }
}

/// The same without room to spare: lists that were read have room for four, and most hold one.
fn compact<T: Clone>(read: &T) -> T {
    read.clone()
}

fn put_cluster<T: PartialEq>(map: &mut BTreeMap<String, Arc<T>>, name: String, value: T) -> Touched {
    if map.get(&name).is_some_and(|known| **known == value) {
        return Touched::nothing();
    }
    map.insert(name, Arc::new(value));
    Touched::everything()
}

fn take_cluster<T>(map: &mut BTreeMap<String, T>, name: &str) -> Touched {
    if map.remove(name).is_some() { Touched::everything() } else { Touched::nothing() }
}

fn name_of(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}
