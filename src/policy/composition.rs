//! The digest of what a workload is made of: evidence and exemptions name it, and lapse when it changes.
//!
//! It covers what decides behaviour and reach: models, adapters and prompts by digest, guardrails with their rules,
//! datasets by class, capabilities, actions, ways in and out with their limits, rights, and settings. Owners, purpose, logging, recovery and
//! the order of lists are cosmetic to it. Images are not in it, because a declaration does not name those of its
//! pods: evidence about an image names the digest of that image.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{EnvVar, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::containers::ContainerView;
use super::facts::{Cluster, Namespace};
use super::maps;
use crate::api::workload::Guardrail;
use crate::api::{self, AIWorkload};

/// SHA-256 over the parts, as `sha256:` and 64 hexadecimal digits. An asset that does not exist counts as absent, so its
/// arrival is a change.
#[must_use]
pub fn digest(workload: &AIWorkload, namespace: &Namespace, cluster: &Cluster) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(parts(workload, namespace, cluster).bytes)))
}

/// Each named part with the first digits of its digest, as `model=0123abcd`, in an order of its own: two such lists tell
/// which parts changed.
#[must_use]
pub fn fingerprint(
    workload: &AIWorkload,
    namespace: &Namespace,
    cluster: &Cluster,
) -> Vec<(&'static str, String)> {
    let parts = parts(workload, namespace, cluster);
    let mut hashers: BTreeMap<&'static str, Sha256> = BTreeMap::new();
    let mut start = 0;
    for (name, end) in parts.ends {
        hashers.entry(name).or_default().update(&parts.bytes[start..end]);
        start = end;
    }
    hashers.into_iter().map(|(name, hasher)| (name, hex::encode(&hasher.finalize()[..4]))).collect()
}

fn parts(workload: &AIWorkload, namespace: &Namespace, cluster: &Cluster) -> Parts {
    let mut parts = Parts::new();
    let spec = &workload.spec;
    parts.one("type", &spec.type_);
    parts.all(
        "model",
        spec.models.iter().map(|used| {
            let known = namespace.models.get(&used.name).map(|model| &model.spec);
            (
                &used.name,
                known.map(|m| (&m.digest, &m.format, &m.model_kind, m.source.as_ref().map(|s| s.kind))),
                used.capabilities_used.iter().map(|c| (&c.name, c.consent)).collect::<BTreeSet<_>>(),
                used.capabilities_disabled_by
                    .iter()
                    .map(|c| (&c.name, &c.arg, &c.env, &c.rule))
                    .collect::<BTreeSet<_>>(),
            )
        }),
    );
    parts.all("prompt", spec.prompts.iter().map(|used| prompt(&used.name, namespace)));
    parts.all(
        "dataset",
        spec.datasets.iter().map(|used| {
            let home = match used.namespace.as_deref() {
                None => Some(namespace),
                Some(name) if name == namespace.name => Some(namespace),
                Some(name) => cluster.namespaces.get(name),
            };
            let known = home.and_then(|home| home.datasets.get(&used.name));
            let class = known.map(|dataset| (dataset.spec.class, dataset.spec.sensitivity));
            (&used.name, &used.namespace, used.use_, used.access, class)
        }),
    );
    let guards = spec.guardrails.as_ref();
    parts.one("input", &guards.and_then(|g| g.input.as_ref()).map(|guard| rails(guard, namespace)));
    parts.one("output", &guards.and_then(|g| g.output.as_ref()).map(|guard| rails(guard, namespace)));
    parts.all("setting", spec.settings.iter().map(|setting| (&setting.name, &setting.value)));
    parts.all("action", &spec.actions);
    parts.all("service", &spec.services);
    parts.all("api", &spec.external_apis);
    parts.all(
        "exposure",
        spec.exposure
            .iter()
            .map(|e| (&e.name, e.port, e.audience, &e.from, e.authn, e.tls, &e.rate_limit, &e.output_fields)),
    );
    // A part of its own, so that a declaration without limits keeps its digest.
    let limits =
        spec.exposure.iter().map(|e| (&e.name, e.max_request_bytes, e.max_tokens, e.timeout_seconds));
    parts.all("limit", limits.filter(|(_, bytes, tokens, time)| bytes.or(*tokens).or(*time).is_some()));
    parts.all("secret", &spec.secrets);
    if let Some(identity) = &spec.identity {
        parts.all("right", &identity.permissions);
        parts.one("token", &identity.token);
        parts.all("cloud", &identity.cloud_identities);
    }
    parts
}

fn prompt<'a>(name: &'a str, namespace: &'a Namespace) -> (&'a str, Option<&'a Option<String>>) {
    (name, namespace.prompts.get(name).map(|prompt| &prompt.spec.digest))
}

/// A guardrail with the digest of its rules.
fn rails<'a>(guard: &'a Guardrail, namespace: &'a Namespace) -> impl Serialize + use<'a> {
    let rules = guard.policy_ref.as_deref().map(|rules| {
        let name = rules.strip_prefix("AIPrompt/").unwrap_or(rules);
        (rules, prompt(name, namespace).1)
    });
    (guard.kind, &guard.container, &guard.ref_, &guard.image_digest, rules)
}

/// What a threat model has to treat, in words: ways in, ways out, actions, data and capabilities.
///
/// Such a word names the part, so that a stale threat model can be told what it lacks.
#[must_use]
pub fn shape(workload: &AIWorkload) -> Vec<String> {
    let spec = &workload.spec;
    let mut out: BTreeSet<String> = BTreeSet::new();
    out.extend(spec.exposure.iter().map(|e| {
        format!("exposure/{}:{}", e.name, e.audience.map_or("unstated", api::common::Audience::as_str))
    }));
    out.extend(spec.actions.iter().map(|a| format!("action/{}:{}", a.target, a.verb)));
    out.extend(spec.external_apis.iter().map(|a| format!("externalApi/{}", a.name)));
    out.extend(spec.datasets.iter().map(|d| {
        let class = d.use_.map_or("unstated", api::workload::DatasetPurpose::as_str);
        format!("dataset/{}:{class}", d.name)
    }));
    for model in &spec.models {
        out.insert(format!("model/{}", model.name));
        out.extend(model.capabilities_used.iter().map(|c| format!("capability/{}", c.name)));
    }
    out.into_iter().collect()
}

/// The digest of how a pod is started: commands, arguments, folders, hooks, commands of probes and environment of every container,
/// whom it takes names to be, and the values of the maps with settings that it takes in. Of Secrets and other maps it has the
/// names and not the values.
#[must_use]
pub fn configuration(spec: &PodSpec, containers: &[ContainerView<'_>], namespace: &Namespace) -> String {
    let mut parts = Parts::new();
    let started = containers.iter().map(|c| {
        let env: Vec<_> = c.env.iter().map(stored).collect();
        (c.name, c.command, c.args, env, c.env_from)
    });
    parts.all("container", started);
    // Parts of their own, so that a pod without them keeps its digest.
    parts.all("folder", containers.iter().filter_map(|c| Some((c.name, c.working_dir?))));
    // As the API server keeps it a call by HTTP has more fields than as it was written.
    let hooks = containers.iter().flat_map(|c| {
        let hooks = c
            .lifecycle
            .into_iter()
            .flat_map(|hooks| [("start", &hooks.post_start), ("stop", &hooks.pre_stop)]);
        hooks.filter_map(|(when, hook)| {
            let hook = hook.as_ref()?;
            let call = hook.http_get.as_ref().map(|call| (&call.host, &call.path, &call.port));
            Some((c.name, when, hook.exec.as_ref(), call))
        })
    });
    parts.all("hook", hooks);
    let probes = containers.iter().flat_map(|c| {
        c.probes.iter().flatten().filter_map(|(probe, how)| Some((c.name, *probe, how.exec.as_ref()?)))
    });
    parts.all("probe", probes);
    parts.all("alias", spec.host_aliases.iter().flatten());
    parts.all("names", spec.dns_config.iter());
    let elsewhere = spec
        .dns_policy
        .as_deref()
        .filter(|policy| !matches!(*policy, "ClusterFirst" | "ClusterFirstWithHostNet"));
    parts.all("resolver", elsewhere);
    let maps = maps::settings(spec, containers, namespace);
    parts.all("map", maps.into_iter().map(|(name, map)| (name, &map.digests)));
    format!("sha256:{}", hex::encode(Sha256::digest(parts.bytes)))
}

/// A variable as the API server keeps it: in a file the same may be written with less.
fn stored(variable: &EnvVar) -> Cow<'_, EnvVar> {
    let empty = variable.value.as_ref().is_some_and(String::is_empty);
    if !empty && variable.value_from.is_none() {
        return Cow::Borrowed(variable);
    }
    let mut variable = variable.clone();
    variable.value = variable.value.filter(|value| !value.is_empty());
    if let Some(from) = &mut variable.value_from {
        if let Some(field) = &mut from.field_ref {
            field.api_version.get_or_insert_with(|| "v1".to_owned());
        }
        if let Some(resource) = &mut from.resource_field_ref {
            resource.divisor.get_or_insert_with(|| Quantity("0".to_owned()));
        }
        if let Some(file) = &mut from.file_key_ref {
            file.optional.get_or_insert(false);
        }
    }
    Cow::Owned(variable)
}

/// The digest of the rights in the cluster that a declaration asks for: what an assessment of them has to name. `None` where
/// it asks for none.
#[must_use]
pub fn permissions(workload: &AIWorkload) -> Option<String> {
    let permissions = workload.spec.identity.as_ref().map(|identity| &identity.permissions)?;
    let mut parts = Parts::new();
    parts.all("right", permissions);
    (!permissions.is_empty()).then(|| format!("sha256:{}", hex::encode(Sha256::digest(parts.bytes))))
}

/// Named parts, one after another, each as JSON between marks that cannot occur in JSON.
struct Parts {
    bytes: Vec<u8>,
    /// Whose part ends where.
    ends: Vec<(&'static str, usize)>,
}

impl Parts {
    fn new() -> Self {
        Self { bytes: Vec::with_capacity(1024), ends: Vec::new() }
    }

    fn one(&mut self, name: &'static str, value: &impl Serialize) {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        // Writing plain values to memory does not fail; were it to, the part would count as empty.
        let _ = serde_json::to_writer(&mut self.bytes, value);
        self.bytes.push(1);
        self.ends.push((name, self.bytes.len()));
    }

    /// The values in an order of their own, because the order of a list is cosmetic.
    fn all<T: Serialize>(&mut self, name: &'static str, values: impl IntoIterator<Item = T>) {
        let mut values: Vec<Vec<u8>> =
            values.into_iter().map(|value| serde_json::to_vec(&value).unwrap_or_default()).collect();
        values.sort_unstable();
        for value in values {
            self.bytes.extend_from_slice(name.as_bytes());
            self.bytes.push(0);
            self.bytes.extend_from_slice(&value);
            self.bytes.push(1);
            self.ends.push((name, self.bytes.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::testing::{Bench, DIGEST, merged};

    fn declared() -> Value {
        json!({"models": [{"name": "m"}, {"name": "n"}], "prompts": [{"name": "p"}],
            "settings": [{"name": "auth", "secureDefault": "on", "value": "on"}],
            "guardrails": {"input": {"kind": "nonAI", "container": "guard", "policyRef": "AIPrompt/rules"}}})
    }

    fn of(spec: &Value, model: &Value, prompt: &Value) -> String {
        let bench = Bench::new("production", "internal")
            .workload(spec)
            .model("m", model)
            .prompt("p", prompt)
            .prompt("rules", prompt);
        digest(&bench.namespace.workloads["chat"], &bench.namespace, &bench.cluster)
    }

    #[test]
    fn what_decides_behaviour_changes_it() {
        let other = DIGEST.replace("aaaa", "bbbb");
        let model = json!({"digest": DIGEST, "version": "1"});
        let prompt = json!({"digest": DIGEST, "version": "1"});
        let first = of(&declared(), &model, &prompt);
        assert!(first.starts_with("sha256:") && first.len() == 71, "{first}");
        let changed = |what: &Value| of(&merged(declared(), what), &model, &prompt);
        for (what, changed) in [
            ("model", of(&declared(), &json!({"digest": other, "version": "2"}), &prompt)),
            ("prompt", of(&declared(), &model, &json!({"digest": other, "version": "2"}))),
            (
                "setting",
                changed(&json!({"settings": [{"name": "auth", "secureDefault": "on", "value": "off"}]})),
            ),
            ("adapter", changed(&json!({"models": [{"name": "m"}, {"name": "n"}, {"name": "adapter"}]}))),
            ("guardrail", changed(&json!({"guardrails": null}))),
            (
                "right",
                changed(
                    &json!({"identity": {"permissions": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}}),
                ),
            ),
            ("way in", changed(&json!({"exposure": [{"name": "api", "port": 80, "audience": "public"}]}))),
            ("way out", changed(&json!({"externalApis": [{"name": "t", "host": "t.example"}]}))),
            ("dataset", changed(&json!({"datasets": [{"name": "d", "use": "retrieval"}]}))),
        ] {
            assert_ne!(first, changed, "a changed {what} leaves the digest as it was");
        }
    }

    #[test]
    fn a_file_says_of_variables_what_the_api_server_stores() {
        let of = |env: &Value| {
            let spec = json!({"containers": [{"name": "a", "env": env}]});
            let spec: PodSpec = serde_json::from_value(spec).unwrap();
            let all = crate::policy::containers::containers(&spec);
            configuration(&spec, &all, &Namespace::default())
        };
        let written = json!([
            {"name": "A", "value": ""},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ]);
        let stored = json!([
            {"name": "A"},
            {"name": "B", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}},
        ]);
        assert_eq!(of(&written), of(&stored));
        let other = json!([{"name": "A"}, {"name": "B", "value": "metadata.name"}]);
        assert_ne!(of(&written), of(&other));
    }

    #[test]
    fn all_that_a_pod_starts_and_resolves_is_part_of_how_it_is_started() {
        let of = |change: &Value| {
            let pod = json!({"containers": [{"name": "a", "image": "x", "args": ["serve"],
                "livenessProbe": {"httpGet": {"path": "/", "port": 80}}}], "dnsPolicy": "ClusterFirst"});
            let spec: PodSpec = serde_json::from_value(merged(pod, change)).unwrap();
            configuration(&spec, &crate::policy::containers::containers(&spec), &Namespace::default())
        };
        let first = of(&json!({}));
        assert_eq!(first, of(&json!({"dnsPolicy": null, "restartPolicy": "Always"})));
        let container = |change: &Value| json!({"containers": [merged(json!({"name": "a", "image": "x", "args": ["serve"]}), change)]});
        assert_eq!(first, of(&container(&json!({}))), "a probe by HTTP starts nothing");
        for change in [
            container(&json!({"workingDir": "/models"})),
            container(&json!({"lifecycle": {"postStart": {"exec": {"command": ["/bin/x"]}}}})),
            container(&json!({"livenessProbe": {"exec": {"command": ["sh", "/models/run.sh"]}}})),
            json!({"hostAliases": [{"ip": "6.6.6.6", "hostnames": ["api.example"]}]}),
            json!({"dnsConfig": {"nameservers": ["6.6.6.6"]}}),
            json!({"dnsPolicy": "None"}),
        ] {
            assert_ne!(first, of(&change), "{change}");
        }
    }

    #[test]
    fn the_limits_of_a_way_in_change_it() {
        let nothing = json!({});
        let with = |limits: &Value| {
            let exposure = merged(json!({"name": "api", "port": 80}), limits);
            of(&json!({"exposure": [exposure]}), &nothing, &nothing)
        };
        let first = with(&json!({"maxRequestBytes": 1000, "maxTokens": 100, "timeoutSeconds": 10}));
        for raised in [
            json!({"maxRequestBytes": 1_000_000_000, "maxTokens": 100, "timeoutSeconds": 10}),
            json!({"maxRequestBytes": 1000, "maxTokens": 1_000_000, "timeoutSeconds": 10}),
            json!({"maxRequestBytes": 1000, "maxTokens": 100, "timeoutSeconds": 3600}),
            json!({"maxRequestBytes": 1000}),
            json!({}),
        ] {
            assert_ne!(first, with(&raised), "{raised}");
        }
    }

    #[test]
    fn what_is_cosmetic_does_not() {
        let model = json!({"digest": DIGEST, "version": "1"});
        let prompt = json!({"digest": DIGEST, "version": "1"});
        let first = of(&declared(), &model, &prompt);
        let cosmetic = json!({"models": [{"name": "n"}, {"name": "m"}], "criticality": "critical",
            "owners": {"accountable": {"user": "new"}, "incident": {"contact": "tel:1"}},
            "purpose": {"intendedUse": "answers"}, "lifecycle": {"state": "Active"},
            "recovery": {"rto": "PT4H"}});
        assert_eq!(first, of(&merged(declared(), &cosmetic), &model, &prompt));
        let reviewed = json!({"digest": DIGEST, "version": "1", "lastReviewedAt": "2026-01-01"});
        assert_eq!(first, of(&declared(), &reviewed, &prompt));
    }

    #[test]
    fn the_class_of_a_dataset_counts_and_its_owner_does_not() {
        let of = |dataset: &Value| {
            let bench = Bench::new("production", "internal")
                .workload(&json!({"datasets": [{"name": "d", "use": "retrieval"}]}))
                .dataset("d", dataset);
            digest(&bench.namespace.workloads["chat"], &bench.namespace, &bench.cluster)
        };
        let first = of(&json!({"class": "retrieval", "sensitivity": "internal"}));
        assert_ne!(first, of(&json!({"class": "retrieval", "sensitivity": "restricted"})));
        let owned =
            json!({"class": "retrieval", "sensitivity": "internal", "owners": {"owner": {"user": "a"}}});
        assert_eq!(first, of(&owned));
    }

    #[test]
    fn the_values_of_settings_count_and_those_of_other_maps_do_not() {
        let spec: PodSpec = crate::policy::testing::read(json!({"containers": [{"name": "c",
            "envFrom": [{"configMapRef": {"name": "settings"}}, {"configMapRef": {"name": "other"}}]}]}));
        let of = |maps: &[(&str, &str)]| {
            let mut bench = Bench::new("production", "internal");
            for (name, digest) in maps {
                let map = crate::policy::facts::ConfigMap {
                    digests: [("key".to_owned(), (*digest).to_owned())].into(),
                    ..Default::default()
                };
                bench.namespace.settings_maps.insert((*name).to_owned(), map);
            }
            configuration(&spec, &crate::policy::containers::containers(&spec), &bench.namespace)
        };
        let none = of(&[]);
        assert_eq!(none, of(&[("elsewhere", "1")]), "a map that the pod does not take in");
        assert_ne!(none, of(&[("settings", "1")]));
        assert_ne!(of(&[("settings", "1")]), of(&[("settings", "2")]));
    }

    #[test]
    fn parts_cannot_be_mistaken_for_each_other() {
        let spec = |secrets: Value| json!({"secrets": secrets});
        let nothing = json!({});
        let apart = of(&spec(json!(["a", "b"])), &nothing, &nothing);
        assert_ne!(apart, of(&spec(json!(["a\",\"b"])), &nothing, &nothing));
        assert_ne!(apart, of(&spec(json!(["ab"])), &nothing, &nothing));
    }

    #[test]
    fn a_shape_names_its_parts() {
        let bench = Bench::new("production", "internal").workload(&json!({
            "models": [{"name": "m", "capabilitiesUsed": [{"name": "text"}]}],
            "exposure": [{"name": "api", "port": 80, "audience": "public"}],
            "datasets": [{"name": "d", "use": "retrieval"}]}));
        assert_eq!(
            shape(&bench.namespace.workloads["chat"]),
            ["capability/text", "dataset/d:retrieval", "exposure/api:public", "model/m"]
        );
    }
}
