//! From objects of the API server to what is kept of them.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, IngressBackend, IngressRule};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{DynamicObject, ObjectMeta};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::api::common::{AssetStatus, HistoryEntry};
use crate::api::workload::{AIWorkloadStatus, CLOUD_ANNOTATIONS};
use crate::api::{self, evidence::AIEvidenceStatus};
use crate::policy::facts;

/// Drops what no rule asks for and what changes at every write.
pub(super) fn slim<S>(metadata: &mut ObjectMeta, status: &mut Option<S>) {
    metadata.managed_fields = None;
    metadata.resource_version = None;
    metadata.annotations = None;
    *status = None;
}

/// The same for an asset: of what the operator itself says of it, rules look at what was verified, who wrote it and what it was.
pub(super) fn slim_asset(metadata: &mut ObjectMeta, status: &mut Option<AssetStatus>) {
    let known = status.take().filter(|known| known.verification.is_some() || !known.history.is_empty());
    slim(metadata, status);
    *status = known.map(|AssetStatus { verification, history, .. }| AssetStatus {
        verification,
        history: history.into_iter().map(|entry| HistoryEntry { hash: None, ..entry }).collect(),
        ..AssetStatus::default()
    });
}

/// The same for a proof: of what the operator itself says of it, rules look at its document and its signed statement.
pub(super) fn slim_evidence(metadata: &mut ObjectMeta, status: &mut Option<AIEvidenceStatus>) {
    let known = status.take().filter(|known| known.document.is_some() || known.statement.is_some());
    slim(metadata, status);
    *status = known.map(|AIEvidenceStatus { document, statement, .. }| AIEvidenceStatus {
        document,
        statement,
        ..AIEvidenceStatus::default()
    });
}

/// Conditions of a declaration that rules look at where they do not hold.
const OBSERVED: [&str; 4] = [
    api::common::MONITORING_OBSERVED,
    api::common::LOG_SINK_OBSERVED,
    api::common::RECORDS_OBSERVED,
    api::common::KNOWN_GOOD_HELD,
];

/// The same for a declaration: of what the operator itself says of it, rules look at what ran and was good, since when
/// it is what it is, whether it fails, and at what was seen of its figures.
pub(super) fn slim_workload(metadata: &mut ObjectMeta, status: &mut Option<AIWorkloadStatus>) {
    let known = status.take();
    slim(metadata, status);
    *status = known.and_then(|known| {
        let AIWorkloadStatus { known_good, lineage, authors, verdict, mut conditions, .. } = known;
        // What passes is not looked at, and would only be news.
        let verdict = verdict.filter(|verdict| *verdict == api::common::OverallVerdict::Fail);
        conditions
            .retain(|condition| OBSERVED.contains(&condition.type_.as_str()) && condition.status == "False");
        // Since when it holds changes with every pod.
        for condition in &mut conditions {
            condition.observed_generation = None;
        }
        let status = AIWorkloadStatus {
            verdict,
            lineage,
            known_good,
            authors,
            conditions,
            ..AIWorkloadStatus::default()
        };
        (status != AIWorkloadStatus::default()).then_some(status)
    });
}

/// What is kept of a claim.
pub(super) fn claim(claim: &PersistentVolumeClaim) -> facts::Claim {
    let uid = claim.metadata.uid.clone();
    let Some(spec) = &claim.spec else { return facts::Claim { uid, ..facts::Claim::default() } };
    let local = spec.data_source.as_ref().filter(|source| source.kind == "PersistentVolumeClaim");
    let other = spec.data_source_ref.as_ref().filter(|source| source.kind == "PersistentVolumeClaim");
    facts::Claim {
        uid,
        storage_class: spec.storage_class_name.clone(),
        access_modes: spec.access_modes.clone().unwrap_or_default(),
        volume: spec.volume_name.clone().filter(|name| !name.is_empty()),
        copy_of: other
            .map(|s| (s.namespace.clone(), s.name.clone()))
            .or_else(|| local.map(|s| (None, s.name.clone()))),
    }
}

/// What is kept of what scales a workload. Its status, which changes with every measurement, is not.
pub(super) fn autoscaler(scaler: &HorizontalPodAutoscaler) -> facts::Autoscaler {
    let target = &scaler.spec.scale_target_ref;
    facts::Autoscaler {
        kind: target.kind.clone(),
        name: target.name.clone(),
        least: i64::from(scaler.spec.min_replicas.unwrap_or(1)),
    }
}

/// What is kept of a claim of devices, or of a template for one.
pub(super) fn device_claim(claim: &DynamicObject) -> facts::DeviceClaim {
    let spec = &claim.data["spec"];
    let devices = if spec["spec"].is_object() { &spec["spec"]["devices"] } else { &spec["devices"] };
    let requests = devices["requests"].as_array().into_iter().flatten().take(MOST_REQUESTS);
    let count = |request: &Value| match request["allocationMode"].as_str() {
        Some("All") => None,
        _ => Some(request["count"].as_i64().unwrap_or(1)),
    };
    let read = |request: &Value| {
        let exactly = if request["exactly"].is_object() { &request["exactly"] } else { request };
        // Of alternatives the largest counts.
        let others = request["firstAvailable"].as_array().map(Vec::as_slice).unwrap_or_default();
        let most = others.iter().map(count).try_fold(0, |most, one| one.map(|one| most.max(one)));
        facts::DeviceRequest {
            name: request["name"].as_str().unwrap_or_default().to_owned(),
            count: if others.is_empty() { count(exactly) } else { most },
            admin: exactly["adminAccess"] == true,
            classes: std::iter::once(exactly)
                .chain(others.iter().take(MOST_REQUESTS))
                .filter_map(|one| one["deviceClassName"].as_str().map(str::to_owned))
                .collect(),
        }
    };
    facts::DeviceClaim { requests: requests.map(read).collect() }
}

/// Requests of a claim that are kept: the API server takes no more.
const MOST_REQUESTS: usize = 32;

/// What is kept of a `ConfigMap` with prompts or settings, or nothing where it does not carry their label.
pub(super) fn config_map(map: &ConfigMap, label: &str) -> Option<facts::ConfigMap> {
    map.metadata.labels.as_ref()?.get(label)?;
    Some(facts::ConfigMap { immutable: map.immutable == Some(true), digests: digests(map) })
}

/// SHA-256 of each value of a `ConfigMap`, as `sha256:` and 64 hexadecimal digits, by key.
pub(crate) fn digests(map: &ConfigMap) -> BTreeMap<String, String> {
    let text = map.data.iter().flatten().map(|(key, text)| (key, text.as_bytes()));
    let bytes = map.binary_data.iter().flatten().map(|(key, bytes)| (key, bytes.0.as_slice()));
    text.chain(bytes)
        .map(|(key, bytes)| (key.clone(), format!("sha256:{}", hex::encode(Sha256::digest(bytes)))))
        .collect()
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
        cloud: account.metadata.annotations.as_ref().map_or_else(Vec::new, |all| {
            let known = CLOUD_ANNOTATIONS.iter();
            known.filter_map(|(_, key)| Some((*key, all.get(*key)?.clone()))).collect()
        }),
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
        labels: service.metadata.labels.clone().unwrap_or_default(),
        ports: ports.collect(),
        selector: spec.selector.clone().unwrap_or_default(),
        outside,
        external_name: spec.external_name.clone().filter(|_| spec.type_.as_deref() == Some("ExternalName")),
    }
}

/// Annotations of an Ingress that hold callers to a limit.
const LIMITS: [&str; 6] =
    ["limit-rps", "limit-rpm", "limit-connections", "proxy-body-size", "proxy-read-timeout", "rate-limit"];

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

/// What is kept of a route.
pub(crate) fn route(route: &DynamicObject) -> facts::Route {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let spec = &route.data["spec"];
    let rules = spec["rules"].as_array().into_iter().flatten();
    // A mirror gets what callers send as well.
    let mirrors = |rule: &Value| -> Vec<Value> {
        let filters = rule["filters"].as_array().into_iter().flatten();
        filters.map(|filter| filter["requestMirror"]["backendRef"].clone()).collect()
    };
    let references = rules.flat_map(|rule| {
        [rule["backendRefs"].as_array().cloned().unwrap_or_default(), mirrors(rule)].concat()
    });
    let mut backends: Vec<(Option<String>, String)> = references
        .filter(|reference| reference["kind"].as_str().unwrap_or("Service") == "Service")
        .filter_map(|reference| Some((text(&reference["namespace"]), text(&reference["name"])?)))
        .collect();
    backends.sort_unstable();
    backends.dedup();
    let own = route.metadata.namespace.as_deref();
    let parents = spec["parentRefs"].as_array().into_iter().flatten();
    let parents = parents.filter(|parent| parent["kind"].as_str().unwrap_or("Gateway") == "Gateway");
    let parents: Vec<facts::Parent> = parents
        .filter_map(|parent| {
            Some(facts::Parent {
                namespace: text(&parent["namespace"]),
                gateway: text(&parent["name"])?,
                listener: text(&parent["sectionName"]),
                port: parent["port"].as_i64(),
            })
        })
        .collect();
    let near = parents.iter().filter(|p| p.namespace.as_deref().is_none_or(|home| Some(home) == own));
    facts::Route { gateways: near.map(|p| p.gateway.clone()).collect(), backends, parents }
}

/// What is kept of a Gateway.
pub(super) fn gateway(gateway: &DynamicObject) -> facts::Gateway {
    let listeners = gateway.data["spec"]["listeners"].as_array().into_iter().flatten();
    let listeners = listeners.filter_map(|listener| {
        Some(facts::Listener {
            name: listener["name"].as_str()?.to_owned(),
            port: listener["port"].as_i64().unwrap_or_default(),
            clear: listener["protocol"] == "HTTP",
        })
    });
    facts::Gateway { listeners: listeners.take(64).collect() }
}

/// What is kept of a grant: the routes that it lets in, and the Services that they may lead to.
pub(super) fn route_grant(grant: &DynamicObject) -> facts::RouteGrant {
    let spec = &grant.data["spec"];
    let from = spec["from"].as_array().into_iter().flatten();
    let from = from.filter(|from| from["group"] == "gateway.networking.k8s.io");
    let named =
        |from: &Value| Some((from["kind"].as_str()?.to_owned(), from["namespace"].as_str()?.to_owned()));
    let to = spec["to"].as_array().into_iter().flatten();
    let to = to.filter(|to| to["kind"] == "Service" && to["group"].as_str().unwrap_or_default().is_empty());
    facts::RouteGrant {
        from: from.filter_map(named).take(64).collect(),
        to: to.map(|to| to["name"].as_str().map(str::to_owned)).take(64).collect(),
    }
}

/// What is kept of a policy on traffic.
pub(crate) fn traffic_policy(policy: &DynamicObject) -> facts::TrafficPolicy {
    let spec = &policy.data["spec"];
    let one = std::iter::once(&spec["targetRef"]);
    let targets = one.chain(spec["targetRefs"].as_array().into_iter().flatten());
    let named = |target: &Value| Some(format!("{}/{}", target["kind"].as_str()?, target["name"].as_str()?));
    let limits = &spec["rateLimit"];
    let rules =
        ["global", "local"].map(|scope| limits[scope]["rules"].as_array().cloned().unwrap_or_default());
    facts::TrafficPolicy {
        targets: targets.filter_map(named).collect(),
        rates: rules.concat().iter().filter(|rule| for_everybody(rule)).filter_map(rate).collect(),
        timeout: spec["timeout"]["http"]["requestTimeout"].as_str().and_then(span),
        largest: spec["requestBuffer"]["limit"].as_str().map(str::to_owned),
    }
}

/// A span of time as gateways write it, such as `1m30s`, in seconds and rounded up.
fn span(text: &str) -> Option<i64> {
    let (mut rest, mut total) = (text.trim(), 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = rest[end..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| end + at);
        total += number
            * match &rest[end..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "a span of more seconds than fit is the largest one")]
    Some(total.ceil() as i64)
}

/// Whether a rule holds every caller: it selects none, or tells each from the others, and it counts and is enforced.
fn for_everybody(rule: &Value) -> bool {
    let cost = &rule["cost"]["request"];
    let counts = cost.is_null() || cost["number"].as_u64().is_some_and(|number| number > 0);
    rule["shadowMode"] != true && counts && selects_all(rule)
}

fn selects_all(rule: &Value) -> bool {
    rule["clientSelectors"].as_array().into_iter().flatten().all(|selector| {
        let headers = selector["headers"].as_array().into_iter().flatten();
        let distinct = |by: &Value| by["type"] == "Distinct";
        selector["path"].is_null()
            && selector["methods"].is_null()
            && headers.into_iter().all(distinct)
            && (selector["sourceCIDR"].is_null() || distinct(&selector["sourceCIDR"]))
    })
}

/// Requests, and in how many seconds.
fn rate(rule: &Value) -> Option<(i64, i64)> {
    let seconds = match rule["limit"]["unit"].as_str()? {
        "Second" => 1,
        "Minute" => 60,
        "Hour" => 3600,
        "Day" => 86_400,
        _ => return None,
    };
    Some((rule["limit"]["requests"].as_i64()?, seconds))
}

/// The names of the alerts that a rule object holds.
pub(super) fn alerts(rule: &DynamicObject) -> std::collections::BTreeSet<String> {
    let groups = rule.data["spec"]["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    rules.filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).take(1024).collect()
}

/// What is kept of a `ServiceMonitor`.
pub(super) fn service_monitor(monitor: &DynamicObject) -> facts::PodMonitor {
    monitors(monitor, "endpoints")
}

pub(super) fn pod_monitor(monitor: &DynamicObject) -> facts::PodMonitor {
    monitors(monitor, "podMetricsEndpoints")
}

fn monitors(monitor: &DynamicObject, endpoints: &str) -> facts::PodMonitor {
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
    let ports = spec[endpoints].as_array().into_iter().flatten().filter_map(|endpoint| {
        ["port", "portNumber", "targetPort"].iter().find_map(|key| match &endpoint[*key] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    });
    facts::PodMonitor {
        selector: serde_json::from_value(spec["selector"].clone()).unwrap_or_default(),
        namespaces,
        ports: ports.collect(),
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
