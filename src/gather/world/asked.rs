//! What is asked of the world: the facts of one subject, as far as they are known.

use std::cell::OnceCell;

use jiff::Timestamp;

use super::{World, name_of};
use crate::gather::objects::PodObject;
use crate::policy::facts::{
    self, Facts, Identity, Labels, Matched, Namespace, PodFacts, ServedFacts, ServedModel, Settings, Stage,
};
use crate::policy::{ALL, decide, selector};

impl World {
    /// The namespace, or an empty ungoverned one where it is not known.
    #[must_use]
    pub fn namespace(&self, name: &str) -> &Namespace {
        self.cluster.namespaces.get(name).unwrap_or(&self.nowhere)
    }

    /// Facts about a pod of `namespace` that `object` describes. Signatures and kind are the caller's to fill in.
    #[must_use]
    pub fn pod_facts<'a>(
        &'a self,
        namespace: &'a Namespace,
        object: &'a PodObject,
        stage: Stage,
    ) -> PodFacts<'a> {
        let mut pod = PodFacts::new(&object.spec, &object.labels, &object.annotations);
        pod.prefix = &object.prefix;
        pod.unknown_fields = &object.unknown_fields;
        pod.around = object.around;
        pod.stage = stage;
        pod.matched = matched(namespace, &object.labels);
        pod.identity = self.identity(namespace, &object.spec, &pod.matched);
        pod
    }

    /// What is known of a serving object with these labels that names `models`.
    #[must_use]
    pub fn served_facts<'a>(
        &'a self,
        namespace: &'a Namespace,
        labels: &Labels,
        models: &'a [ServedModel],
    ) -> ServedFacts<'a> {
        let workload = match matched(namespace, labels) {
            Matched::One(workload) => Some(workload),
            Matched::None | Matched::Many(_) => None,
        };
        ServedFacts { workload, models }
    }

    fn identity<'a>(
        &'a self,
        namespace: &'a Namespace,
        spec: &'a k8s_openapi::api::core::v1::PodSpec,
        matched: &Matched<'_>,
    ) -> Identity<'a> {
        let account_name = spec
            .service_account_name
            .as_deref()
            .or(spec.service_account.as_deref())
            .filter(|name| !name.is_empty())
            .unwrap_or("default");
        let own = match matched {
            Matched::One(workload) => workload.metadata.name.as_deref(),
            _ => None,
        };
        Identity {
            account_name,
            account: namespace.service_accounts.get(account_name),
            grants: self.rbac.grants(&namespace.name, account_name),
            shared_with: namespace
                .workloads
                .get_key_value(account_name)
                .map(|(name, _)| name.as_str())
                .filter(|name| Some(*name) != own)
                .into_iter()
                .collect(),
        }
    }

    /// Facts about `subject`.
    #[must_use]
    pub fn facts<'a>(
        &'a self,
        now: Timestamp,
        subject: facts::Subject<'a>,
        namespace: &'a Namespace,
        settings: &'a Settings,
    ) -> Facts<'a> {
        let holders = match subject {
            facts::Subject::Namespace if namespace.governed() => self.holders(namespace),
            _ => Vec::new(),
        };
        Facts {
            now,
            subject,
            namespace,
            cluster: &self.cluster,
            settings,
            composition: OnceCell::new(),
            loaded: OnceCell::new(),
            requester: None,
            lasting_pods: None,
            rights: Some(&self.rbac),
            holders,
        }
    }

    /// The settings of the profiles that apply to `namespace`, merged.
    #[must_use]
    pub fn settings(&self, namespace: &Namespace) -> Settings {
        let mut settings = Settings::default();
        for profile in decide::applying(&self.cluster, namespace) {
            let name = name_of(&profile.metadata);
            settings
                .platform_agents
                .extend(profile.spec.platform_agents.iter().map(|a| a.image_digest.clone()));
            settings.isolation.extend(profile.spec.isolation.iter().cloned());
            for (name, value) in &profile.spec.parameters {
                settings.parameters.entry(name.clone()).or_default().push(value.clone());
            }
            settings.unknown_controls.extend(
                profile
                    .spec
                    .controls
                    .keys()
                    .filter(|id| !ALL.iter().any(|c| c.id == id.as_str()))
                    .map(|id| format!("{name}: {id}")),
            );
        }
        settings
    }
}

/// The declarations of `namespace` whose selector matches `labels`.
#[must_use]
pub fn matched<'a>(namespace: &'a Namespace, labels: &Labels) -> Matched<'a> {
    let mut hits =
        namespace.workloads.values().filter(|w| selector::contains(&w.spec.selector.match_labels, labels));
    let Some(first) = hits.next() else { return Matched::None };
    let names: Vec<String> = hits.map(|w| name_of(&w.metadata).to_owned()).collect();
    if names.is_empty() {
        return Matched::One(first);
    }
    Matched::Many(std::iter::once(name_of(&first.metadata).to_owned()).chain(names).collect())
}
