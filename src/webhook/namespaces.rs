//! Who may classify a namespace, what a classification may become, and what it means for what runs there.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use super::access::Access;
use super::judge::{Judge, read, unreadable};
use super::pods::{Asked, decide_pod};
use super::wire::{Answer, Request};
use crate::api::{self, Environment, Sensitivity};
use crate::gather::objects::{Meta, PodObject};
use crate::gather::signatures::questions;
use crate::policy::facts::{Labels, Namespace, Stage};
use crate::policy::{Finding, Verdict};
use crate::render::words::{self, Recount};

/// What is left of the time for an answer when the counting of pods ends.
pub(super) const SPARE: Duration = Duration::from_millis(300);
/// Prefix of labels that decide how a namespace is governed.
const OURS: &str = "portcullis.dev/";
/// Prefix of the labels of Pod Security admission.
const POD_SECURITY: &str = "pod-security.kubernetes.io/";

#[derive(Default, Deserialize)]
struct Labelled {
    #[serde(default)]
    metadata: LabelledMeta,
}

#[derive(Default, Deserialize)]
struct LabelledMeta {
    #[serde(default)]
    name: String,
    #[serde(default)]
    labels: Labels,
}

impl Judge {
    /// Who may classify a namespace, and what a classification may become.
    pub(super) async fn namespace_labels(&self, request: &Request<'_>, deadline: Instant) -> Answer {
        let Some(raw) = request.object else { return Answer::allow() };
        let new: Labelled = match read(raw) {
            Ok(new) => new,
            Err(error) => return unreadable(request, &error),
        };
        let old: Labelled = request.old_object.and_then(|raw| read(raw).ok()).unwrap_or_default();
        let name = if request.name.is_empty() { new.metadata.name.as_str() } else { request.name.as_ref() };
        let (old, new) = (old.metadata.labels, new.metadata.labels);
        let changed = changed_labels(&old, &new);
        if changed.is_empty() {
            return Answer::allow();
        }
        if let Some(fault) = label_fault(name, &new) {
            return Answer::deny(fault);
        }
        if let Some(weakening) = weakened(&old, &new) {
            let world = self.world();
            let namespace = world.namespace(name);
            let users: Vec<&str> = namespace
                .workloads
                .keys()
                .chain(namespace.models.keys())
                .map(String::as_str)
                .take(5)
                .collect();
            if !users.is_empty() && !namespace.terminating {
                return Answer::deny(format!(
                    "Namespace {name}: {weakening} while AI lives there ({}) [namespace-classified | CoP-6.2]\n  fix: \
                     delete or move these first, or create another namespace",
                    users.join(", ")
                ));
            }
        }
        let access = Access { verb: "classify", group: "", resource: "namespaces", namespace: "", name };
        match self.authorizer.may(&request.user_info, access).await {
            Ok(true) => {
                let warnings = self.not_returning(request, name, &old, &new, deadline).await;
                Answer { warnings, ..Answer::allow() }
            }
            Ok(false) => Answer::deny(format!(
                "Namespace {name}: user {:?} may not change {}: that needs the verb classify on namespaces (ClusterRole \
                 portcullis-classifier) [namespace-classified | CoP-6.2]\n  why: boundaries between environments and \
                 sensitivities are drawn by namespace\n  fix: keep the old values, or ask somebody who holds that \
                 ClusterRole",
                request.user_info.username,
                changed.into_iter().collect::<Vec<_>>().join(", ")
            )),
            Err(error) => Answer::deny(format!(
                "Namespace {name}: it could not be asked whether user {:?} may classify namespaces: {error}; try again",
                request.user_info.username
            )),
        }
    }

    /// Warns of the pods that run in a namespace and would be refused if they came again under its new labels.
    ///
    /// Running pods stay, so nothing is ever refused for them. Their names are only for the API server, which has asked
    /// whether the user may classify: who else reaches this port could say to be anybody.
    async fn not_returning(
        &self,
        request: &Request<'_>,
        name: &str,
        old: &Labels,
        new: &Labels,
        deadline: Instant,
    ) -> Vec<String> {
        let class = |labels: &Labels| {
            [api::common::LABEL_ENVIRONMENT, api::common::LABEL_SENSITIVITY].map(|l| labels.get(l).cloned())
        };
        if !new.contains_key(api::common::LABEL_ENVIRONMENT) || class(old) == class(new) {
            return Vec::new();
        }
        let now = (self.clock)();
        let known = self.world().namespace(name).clone();
        let namespace = Namespace { name: name.to_owned(), labels: new.clone(), ..known };
        let mut recount = Recount::default();
        let mut visit = |meta: &Meta, pod: PodObject| {
            recount.judged += 1;
            let refused = self.again(&namespace, now, meta, pod);
            if refused.is_empty() {
                return;
            }
            if refused.iter().all(|f| f.verdict == Verdict::Unknown && f.may_arrive) {
                recount.open.push(meta.name.clone());
            } else {
                recount.refused.push((meta.name.clone(), words::control_ids(&refused)));
            }
        };
        let subject = format!("Namespace {name}");
        match self
            .running
            .visit(name, None, deadline.checked_sub(SPARE).unwrap_or(deadline), &mut visit)
            .await
        {
            Ok(more) => {
                recount.more = more;
                if request.from_api_server {
                    words::recount(&subject, &recount)
                } else {
                    words::recount_unnamed(&subject, name, &recount)
                }
            }
            Err(error) => vec![words::cut(
                format!(
                    "{subject}: running pods that would not be admitted again could not be counted: {error}"
                ),
                words::LONGEST_WARNING,
            )],
        }
    }

    /// What would refuse a running pod if it came again.
    fn again(&self, namespace: &Namespace, now: Timestamp, meta: &Meta, mut pod: PodObject) -> Vec<Finding> {
        // What came after its admission does not come again with it.
        pod.spec.node_name = None;
        pod.spec.ephemeral_containers = None;
        let signatures = self.signatures.remembered(&namespace.name, &questions(&pod.spec));
        let world = self.world();
        let settings = world.settings(namespace);
        let asked = Asked {
            object: &pod,
            kind: "Pod",
            name: &meta.name,
            stage: Stage::Entering,
            former: None,
            signatures: &signatures,
        };
        decide_pod(&world, namespace, &settings, now, &asked).0.refused
    }
}

fn changed_labels(old: &Labels, new: &Labels) -> BTreeSet<String> {
    old.keys()
        .chain(new.keys())
        .filter(|key| key.starts_with(OURS) || key.starts_with(POD_SECURITY))
        .filter(|key| old.get(*key) != new.get(*key))
        .cloned()
        .collect()
}

fn label_fault(name: &str, labels: &Labels) -> Option<String> {
    if name == "cluster" && labels.contains_key(api::common::LABEL_ENVIRONMENT) {
        return Some(
            "Namespace cluster: cannot be governed, because its row in the audit would be taken for the whole cluster's; \
             use a namespace of another name"
                .to_owned(),
        );
    }
    if labels.contains_key(api::common::LABEL_ENVIRONMENT)
        && !labels.contains_key(api::common::LABEL_SENSITIVITY)
    {
        return Some(format!(
            "Namespace {name}: label {} is missing beside {} [namespace-classified | CoP-6.2]\n  fix: set both in one \
             command: kubectl label namespace {name} {}=... {}=public|internal|confidential|restricted",
            api::common::LABEL_SENSITIVITY,
            api::common::LABEL_ENVIRONMENT,
            api::common::LABEL_ENVIRONMENT,
            api::common::LABEL_SENSITIVITY
        ));
    }
    let environment = labels.get(api::common::LABEL_ENVIRONMENT).and_then(|v| v.parse::<Environment>().err());
    let sensitivity = labels.get(api::common::LABEL_SENSITIVITY).and_then(|v| v.parse::<Sensitivity>().err());
    let (label, error) = match (environment, sensitivity) {
        (Some(error), _) => (api::common::LABEL_ENVIRONMENT, error),
        (None, Some(error)) => (api::common::LABEL_SENSITIVITY, error),
        (None, None) => return None,
    };
    Some(format!("Namespace {name}: metadata.labels[{label:?}]: {error} [namespace-classified | CoP-6.2]"))
}

/// What a change of labels takes away from the protection of a namespace, as a clause.
fn weakened(old: &Labels, new: &Labels) -> Option<String> {
    let was = |label| old.get(label).map(String::as_str);
    let is = |label| new.get(label).map(String::as_str);
    let environment = api::common::LABEL_ENVIRONMENT;
    if was(environment).is_some() && was(environment) != is(environment) {
        return Some(format!(
            "label {environment} may not change from {:?} to {:?}",
            was(environment).unwrap_or_default(),
            is(environment).unwrap_or("nothing")
        ));
    }
    let level = |labels: &Labels| {
        labels.get(api::common::LABEL_SENSITIVITY).and_then(|v| v.parse::<Sensitivity>().ok())
    };
    if level(old).is_some() && level(new) < level(old) {
        return Some(format!("label {} may not be lowered or removed", api::common::LABEL_SENSITIVITY));
    }
    let enforce = format!("{POD_SECURITY}enforce");
    (was(&enforce) == Some("restricted") && is(&enforce) != Some("restricted"))
        .then(|| format!("label {enforce} may not be lowered or removed"))
}
