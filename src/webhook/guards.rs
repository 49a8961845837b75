//! Judging what is not a pod: labels of namespaces, bindings, network policies, and our own kinds.

use std::collections::BTreeSet;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::judge::{Access, Judge, concluded, unreadable};
use super::wire::{Answer, Request};
use crate::api::{self, Environment, Sensitivity};
use crate::gather::rbac::{AnyBinding, Reach, reaches};
use crate::gather::world::generated;
use crate::policy::facts::{BindingFacts, BindingRef, EvidenceFacts, ExemptionFacts, Labels, Subject};
use crate::policy::{Enforcement, decide, evaluate};

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

fn read<T: DeserializeOwned>(raw: &RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(raw.get())
}

impl Judge {
    /// Who may classify a namespace, and what a classification may become.
    pub(super) async fn namespace_labels(&self, request: &Request<'_>) -> Answer {
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
            Ok(true) => Answer::allow(),
            Ok(false) => Answer::deny(format!(
                "Namespace {name}: user {:?} may not change {} [namespace-classified | CoP-6.2]\n  why: boundaries \
                 between environments and sensitivities are drawn by namespace\n  fix: ask somebody who holds the verb \
                 \"classify\" on namespaces (ClusterRole portcullis-classifier)",
                request.user_info.username,
                changed.into_iter().collect::<Vec<_>>().join(", ")
            )),
            Err(error) => Answer::deny(format!(
                "Namespace {name}: it could not be asked whether user {:?} may classify namespaces: {error}; try again",
                request.user_info.username
            )),
        }
    }

    /// A binding that names the identity of an AI workload.
    pub(super) fn role_binding(&self, request: &Request<'_>) -> Answer {
        let Some(raw) = request.object else { return Answer::allow() };
        let binding: AnyBinding = match read(raw) {
            Ok(binding) => binding,
            Err(error) => return unreadable(request, &error),
        };
        let namespace = (!request.namespace.is_empty()).then_some(request.namespace.as_ref());
        let direct: Vec<Reach> = reaches(namespace, binding.subjects.as_deref().unwrap_or_default())
            .into_iter()
            .filter(|reach| matches!(reach, Reach::Account(..)))
            .collect();
        if direct.is_empty() {
            return Answer::allow();
        }
        let world = self.world();
        let workloads: Vec<_> = direct.iter().flat_map(|reach| world.workloads_reached(reach)).collect();
        let Some(first) = workloads.first() else { return Answer::allow() };
        let home = world.namespace(first.metadata.namespace.as_deref().unwrap_or_default());
        let settings = world.settings(home);
        let now = (self.clock)();
        let role = format!("{}/{}", binding.role_ref.kind, binding.role_ref.name);
        let name = if request.name.is_empty() {
            binding.metadata.generate_name.as_deref().unwrap_or_default()
        } else {
            request.name.as_ref()
        };
        let enforcement = Enforcement::of(home, &world.cluster, Some(first), now);
        let workload = first.metadata.name.clone();
        let subject = Subject::Binding(BindingFacts {
            binding: BindingRef { namespace, name },
            role: &role,
            rules: world.rbac.rules(namespace, &binding.role_ref),
            workloads,
        });
        let facts = world.facts(now, subject, home, &settings);
        let decision = decide(evaluate(&facts), &enforcement, workload.as_deref(), false);
        concluded(&format!("{} {name}", request.kind.kind), &request.kind.kind, &decision)
    }

    /// A network policy in a governed namespace.
    pub(super) fn network_policy(&self, request: &Request<'_>) -> Answer {
        let Some(raw) = request.object.filter(|_| request.user_info.username != self.operator) else {
            return Answer::allow();
        };
        let policy: NetworkPolicy = match read(raw) {
            Ok(policy) => policy,
            Err(error) => return unreadable(request, &error),
        };
        let world = self.world();
        let namespace = world.namespace(&request.namespace);
        let settings = world.settings(namespace);
        let now = (self.clock)();
        let spec = policy.spec.unwrap_or_default();
        let subject = Subject::NetworkPolicy {
            name: &request.name,
            spec: &spec,
            generated: generated(&policy.metadata),
        };
        let facts = world.facts(now, subject, namespace, &settings);
        let enforcement = Enforcement::of(namespace, &world.cluster, None, now);
        let decision = decide(evaluate(&facts), &enforcement, None, false);
        concluded(
            &format!("NetworkPolicy {}/{}", request.namespace, request.name),
            "NetworkPolicy",
            &decision,
        )
    }

    /// Our own kinds, on CREATE and UPDATE; deletion passes.
    pub(super) async fn own_kind(&self, request: &Request<'_>) -> Answer {
        let Some(raw) = request.object.filter(|_| request.operation != "DELETE") else {
            return Answer::allow();
        };
        match request.kind.kind.as_ref() {
            "AIWorkload" => self.workload(request, raw).await,
            "AIModel" => match read::<api::AIModel>(raw) {
                Ok(model) => self.declared(request, Subject::Model(&model), None),
                Err(error) => unreadable(request, &error),
            },
            "AIDataset" => match read::<api::AIDataset>(raw) {
                Ok(dataset) => self.declared(request, Subject::Dataset(&dataset), None),
                Err(error) => unreadable(request, &error),
            },
            "AIPrompt" => match read::<api::AIPrompt>(raw) {
                Ok(prompt) => self.declared(request, Subject::Prompt(&prompt), None),
                Err(error) => unreadable(request, &error),
            },
            "AIEvidence" => match read::<api::AIEvidence>(raw) {
                Ok(evidence) => {
                    let user = Some(request.user_info.username.as_ref());
                    let evidence = EvidenceFacts { evidence: &evidence, user };
                    self.declared(request, Subject::Evidence(evidence), None)
                }
                Err(error) => unreadable(request, &error),
            },
            "AISupplier" => match read::<api::AISupplier>(raw) {
                Ok(supplier) => self.declared(request, Subject::Supplier(&supplier), None),
                Err(error) => unreadable(request, &error),
            },
            "AIGovernance" => match read::<api::AIGovernance>(raw) {
                Ok(organisation) => self.declared(request, Subject::Governance(&organisation), None),
                Err(error) => unreadable(request, &error),
            },
            "AITrustPolicy" => match read::<api::AITrustPolicy>(raw) {
                Ok(policy) => {
                    let problems = crate::gather::trust::problems(&policy);
                    self.declared(request, Subject::TrustPolicy(&policy, &problems), None)
                }
                Err(error) => unreadable(request, &error),
            },
            "AIProfile" => match read::<api::AIProfile>(raw) {
                Ok(profile) => self.profile(request, &profile),
                Err(error) => unreadable(request, &error),
            },
            "AIExemption" => self.exemption(request, raw).await,
            _ => Answer::allow(),
        }
    }

    async fn workload(&self, request: &Request<'_>, raw: &RawValue) -> Answer {
        let workload: api::AIWorkload = match read(raw) {
            Ok(workload) => workload,
            Err(error) => return unreadable(request, &error),
        };
        let former: Option<api::AIWorkload> = request.old_object.and_then(|raw| read(raw).ok());
        if let Some(denial) = self.permissions_held(request, &workload, former.as_ref()).await {
            return denial;
        }
        self.declared(request, Subject::Workload(&workload), workload.metadata.name.as_deref())
    }

    /// Whoever writes a permission into a declaration must hold it himself, as Kubernetes asks of authors of roles.
    async fn permissions_held(
        &self,
        request: &Request<'_>,
        workload: &api::AIWorkload,
        former: Option<&api::AIWorkload>,
    ) -> Option<Answer> {
        let of =
            |w: &api::AIWorkload| w.spec.identity.as_ref().map(|i| i.permissions.clone()).unwrap_or_default();
        let before = former.map(of).unwrap_or_default();
        let asked: Vec<api::workload::Permission> =
            of(workload).into_iter().filter(|p| !before.contains(p)).collect();
        if request.user_info.username == self.operator {
            return None;
        }
        for permission in &asked {
            let names = if permission.resource_names.is_empty() {
                vec![String::new()]
            } else {
                permission.resource_names.clone()
            };
            for verb in &permission.verbs {
                for group in &permission.api_groups {
                    for resource in &permission.resources {
                        for name in &names {
                            let access =
                                Access { verb, group, resource, namespace: &request.namespace, name };
                            let refusal = match self.authorizer.may(&request.user_info, access).await {
                                Ok(true) => continue,
                                Ok(false) => format!(
                                    "user {:?} may not {verb} {resource} there",
                                    request.user_info.username
                                ),
                                Err(error) => format!(
                                    "it could not be asked whether the user may {verb} {resource}: {error}"
                                ),
                            };
                            return Some(Answer::deny(format!(
                                "AIWorkload {}/{}: spec.identity.permissions: {refusal} [least-privilege-rbac | CoP-2.5]\n  \
                                 why: a declaration may not hand out rights that its author does not hold\n  fix: remove the \
                                 permission, or let somebody who holds it apply the AIWorkload",
                                request.namespace, request.name
                            )));
                        }
                    }
                }
            }
        }
        None
    }

    async fn exemption(&self, request: &Request<'_>, raw: &RawValue) -> Answer {
        let exemption: api::AIExemption = match read(raw) {
            Ok(exemption) => exemption,
            Err(error) => return unreadable(request, &error),
        };
        let former: Option<api::AIExemption> = match request.old_object.map(read).transpose() {
            Ok(former) => former,
            Err(error) => return unreadable(request, &error),
        };
        let approving = exemption.spec.approved_by.is_some()
            && former.as_ref().is_none_or(|f| f.spec.approved_by != exemption.spec.approved_by);
        let may_approve = if approving {
            let access = Access {
                verb: "approve",
                group: api::common::GROUP,
                resource: "aiexemptions",
                namespace: &request.namespace,
                name: &request.name,
            };
            match self.authorizer.may(&request.user_info, access).await {
                Ok(may) => Some(may),
                Err(error) => {
                    return Answer::deny(format!(
                        "AIExemption {}/{}: it could not be asked whether user {:?} may approve: {error}; try again",
                        request.namespace, request.name, request.user_info.username
                    ));
                }
            }
        } else {
            None
        };
        let subject = Subject::Exemption(ExemptionFacts {
            exemption: &exemption,
            former: former.as_ref(),
            user: Some(&request.user_info.username),
            may_approve,
        });
        self.declared(request, subject, None)
    }

    /// The built-in profiles are shown by the operator; others name controls that exist.
    fn profile(&self, request: &Request<'_>, profile: &api::AIProfile) -> Answer {
        if request.user_info.username != self.operator
            && let Some(denial) = built_in(&request.name)
        {
            return Answer::deny(denial);
        }
        self.declared(request, Subject::Profile(profile), None)
    }

    fn declared(&self, request: &Request<'_>, subject: Subject<'_>, workload: Option<&str>) -> Answer {
        let world = self.world();
        let now = (self.clock)();
        let namespace = world.namespace(&request.namespace);
        let settings = world.settings(namespace);
        let facts = world.facts(now, subject, namespace, &settings);
        let enforcement = Enforcement::of(namespace, &world.cluster, facts.declaration(), now);
        // What a declaration refers to may be applied a moment later: it is warned of, and the pods decide.
        let decision = decide(evaluate(&facts), &enforcement, workload, true);
        let kind = request.kind.kind.as_ref();
        let owner = if request.namespace.is_empty() {
            format!("{kind} {}", request.name)
        } else {
            format!("{kind} {}/{}", request.namespace, request.name)
        };
        concluded(&owner, kind, &decision)
    }
}

/// Why a profile of this name is refused: the name of a built-in one is taken.
pub(crate) fn built_in(name: &str) -> Option<String> {
    crate::policy::decide::BUILT_IN.contains(&name).then(|| {
        format!(
            "AIProfile {name}: this name shows a built-in profile, which cannot be changed\n  fix: create a profile of \
             another name with spec.base: {name} and what should differ"
        )
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_binding_are_read() -> anyhow::Result<()> {
        for kind in ["RoleBinding", "ClusterRoleBinding"] {
            let raw = RawValue::from_string(format!(
                r#"{{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "{kind}", "metadata": {{"name": "b"}},
                "roleRef": {{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}},
                "subjects": [{{"kind": "ServiceAccount", "name": "chat", "namespace": "shop"}}]}}"#
            ))?;
            let binding: AnyBinding = read(&raw)?;
            assert_eq!(binding.role_ref.name, "admin");
            assert_eq!(binding.subjects.map(|subjects| subjects.len()), Some(1));
        }
        Ok(())
    }
}
