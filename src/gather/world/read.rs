//! From objects of the API server to what is kept of them.

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, IngressBackend, IngressRule};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{DynamicObject, ObjectMeta};
use sha2::{Digest as _, Sha256};

use crate::api::{self, common::AssetStatus};
use crate::policy::facts;

/// Drops what no rule asks for and what changes at every write.
pub(super) fn slim<S>(metadata: &mut ObjectMeta, status: &mut Option<S>) {
    metadata.managed_fields = None;
    metadata.resource_version = None;
    metadata.annotations = None;
    *status = None;
}

/// The same for an asset: of what the operator itself says of it, rules look at what was verified.
pub(super) fn slim_asset(metadata: &mut ObjectMeta, status: &mut Option<AssetStatus>) {
    let verification = status.take().and_then(|status| status.verification);
    slim(metadata, status);
    *status = verification
        .map(|verification| AssetStatus { verification: Some(verification), ..AssetStatus::default() });
}

/// What is kept of a claim.
pub(super) fn claim(claim: &PersistentVolumeClaim) -> facts::Claim {
    let Some(spec) = &claim.spec else { return facts::Claim::default() };
    let local = spec.data_source.as_ref().filter(|source| source.kind == "PersistentVolumeClaim");
    let other = spec.data_source_ref.as_ref().filter(|source| source.kind == "PersistentVolumeClaim");
    facts::Claim {
        storage_class: spec.storage_class_name.clone(),
        access_modes: spec.access_modes.clone().unwrap_or_default(),
        volume: spec.volume_name.clone().filter(|name| !name.is_empty()),
        copy_of: other
            .map(|s| (s.namespace.clone(), s.name.clone()))
            .or_else(|| local.map(|s| (None, s.name.clone()))),
    }
}

/// What is kept of a `ConfigMap` with prompts, or nothing where it does not carry their label.
pub(super) fn config_map(map: &ConfigMap) -> Option<facts::ConfigMap> {
    map.metadata.labels.as_ref()?.get(api::common::LABEL_PROMPT)?;
    let text = map.data.iter().flatten().map(|(key, text)| (key, text.as_bytes()));
    let bytes = map.binary_data.iter().flatten().map(|(key, bytes)| (key, bytes.0.as_slice()));
    Some(facts::ConfigMap {
        immutable: map.immutable == Some(true),
        digests: text
            .chain(bytes)
            .map(|(key, bytes)| (key.clone(), format!("sha256:{}", hex::encode(Sha256::digest(bytes)))))
            .collect(),
    })
}

/// Whether the operator generated an object. Its label is protected: only the operator may write objects that carry it.
#[must_use]
pub fn generated(metadata: &ObjectMeta) -> bool {
    metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(api::common::LABEL_MANAGED_BY))
        .is_some_and(|by| by == api::common::MANAGER)
}

pub(super) fn service_account(account: &ServiceAccount) -> facts::ServiceAccount {
    let owner = account
        .metadata
        .owner_references
        .iter()
        .flatten()
        .find(|o| o.kind == "AIWorkload" && o.api_version.starts_with("portcullis.dev/"))
        .map(|o| o.name.clone());
    facts::ServiceAccount {
        automount: account.automount_service_account_token,
        generated_for: owner.filter(|_| generated(&account.metadata)),
        pull_secrets: account.image_pull_secrets.iter().flatten().map(|s| s.name.clone()).collect(),
    }
}

/// What is kept of a Service.
pub(crate) fn service(service: &Service) -> facts::Service {
    let Some(spec) = &service.spec else { return facts::Service::default() };
    let ports = spec.ports.iter().flatten().map(|port| facts::ServicePort {
        name: port.name.clone().unwrap_or_default(),
        port: port.port,
        target: port.target_port.as_ref().map(|target| match target {
            IntOrString::Int(number) => number.to_string(),
            IntOrString::String(name) => name.clone(),
        }),
    });
    let outside = match spec.type_.as_deref() {
        Some("LoadBalancer") => Some("LoadBalancer"),
        Some("NodePort") => Some("NodePort"),
        _ => spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty()).then_some("externalIPs"),
    };
    facts::Service {
        ports: ports.collect(),
        selector: spec.selector.clone().unwrap_or_default(),
        outside,
        external_name: spec.external_name.clone().filter(|_| spec.type_.as_deref() == Some("ExternalName")),
    }
}

/// Annotations of an Ingress that hold callers to a limit.
const LIMITS: [&str; 5] = ["limit-rps", "limit-rpm", "limit-connections", "proxy-body-size", "rate-limit"];

/// What is kept of an Ingress.
pub(crate) fn ingress(ingress: &Ingress) -> facts::Ingress {
    let Some(spec) = &ingress.spec else { return facts::Ingress::default() };
    let service = |backend: &IngressBackend| backend.service.as_ref().map(|service| service.name.clone());
    let rules = spec.rules.as_deref().unwrap_or_default();
    let paths = rules.iter().filter_map(|rule| rule.http.as_ref()).flat_map(|http| &http.paths);
    let mut backends: Vec<String> =
        paths.map(|path| &path.backend).chain(&spec.default_backend).filter_map(service).collect();
    backends.sort_unstable();
    backends.dedup();
    let secured: Vec<&str> =
        spec.tls.iter().flatten().flat_map(|tls| tls.hosts.iter().flatten()).map(String::as_str).collect();
    let all = spec.tls.iter().flatten().any(|tls| tls.hosts.as_ref().is_none_or(Vec::is_empty));
    let covered = |rule: &IngressRule| rule.host.as_deref().is_some_and(|host| secured.contains(&host));
    let annotations = ingress.metadata.annotations.iter().flatten();
    facts::Ingress {
        backends,
        tls: all || (!secured.is_empty() && rules.iter().all(covered)),
        limits: annotations
            .filter(|(key, _)| LIMITS.iter().any(|limit| key.ends_with(limit)))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    }
}

pub(super) fn pod_monitor(monitor: &DynamicObject) -> facts::PodMonitor {
    let spec = &monitor.data["spec"];
    let names = |key: &str| {
        spec["namespaceSelector"][key]
            .as_array()
            .map(|list| list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect::<Vec<_>>())
    };
    let namespaces = if spec["namespaceSelector"]["any"] == true {
        Some(vec!["*".to_owned()])
    } else {
        names("matchNames").filter(|list| !list.is_empty())
    };
    let ports = spec["podMetricsEndpoints"].as_array().into_iter().flatten().filter_map(|endpoint| {
        ["port", "portNumber", "targetPort"].iter().find_map(|key| match &endpoint[*key] {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    });
    facts::PodMonitor {
        selector: serde_json::from_value(spec["selector"].clone()).unwrap_or_default(),
        namespaces,
        ports: ports.collect(),
    }
}
