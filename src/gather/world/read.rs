//! From objects of the API server to what is kept of them.

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
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

pub(super) fn service_ports(service: &Service) -> Vec<facts::ServicePort> {
    service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten())
        .map(|port| facts::ServicePort { name: port.name.clone().unwrap_or_default(), port: port.port })
        .collect()
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
