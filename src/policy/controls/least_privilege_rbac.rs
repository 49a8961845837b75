//! `least-privilege-rbac`: an identity holds what its declaration asks for, and nothing that no AI may hold.

use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::api;
use crate::policy::composition;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Question, Shortfall, words};
use crate::policy::facts::{BindingFacts, BindingRef, Facts, Place, Subject, Via};
use crate::policy::fix::Fix;
use crate::policy::rights::{self, Right};

/// All rights that reach an identity are declared, and none is dangerous.
pub(super) const CONTROL: Control = Control {
    id: "least-privilege-rbac",
    title: "all rights that reach the workload's identity are declared, and none lets it take over the cluster",
    room: Room::Identity,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-2.5", "CoP-6.1", "CoP-2.5-n1", "CoP-6.1-n2"],
    why: "a model that is turned against you can do what its identity can do",
    remedy: "remove the binding, or declare the rights in AIWorkload spec.identity.permissions",
    gaps: &[],
    limits: &[
        "rights from authorizers other than RBAC cannot be seen",
        "components of the cluster and the group system:masters, which RBAC does not bind, are not listed among people",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Workload(_) => assessed(facts, report),
        Subject::Pod(pod) => {
            let Some(workload) = facts.declaration() else { return };
            assessed(facts, report);
            if facts.is_platform_agent(pod) {
                return;
            }
            for grant in &pod.identity.grants {
                let holder = Holder {
                    account: pod.identity.account_name,
                    workload,
                    binding: grant.binding,
                    role: grant.role,
                    via: Some(grant.via),
                    written: false,
                };
                judge(&holder, grant.rules, report);
            }
        }
        Subject::Binding(binding) => of_binding(binding, report),
        Subject::Namespace => people(facts, report),
        _ => {}
    }
}

/// What an AI may do in the cluster was weighed, as it is declared now.
fn assessed(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let Some(digest) = composition::permissions(workload) else { return };
    let mut short = Shortfall::new(facts);
    let question = Question::of("PermissionRiskAssessment", About::Workload(workload)).with(&["permissions"]);
    short.hint("permissions", vec![digest.clone()]);
    if let Some(assessment) = short.ask(question.clone())
        && !words(assessment, "permissions").contains(&digest.as_str())
    {
        let name = Shortfall::name(assessment);
        short.require(false, || format!("{name} weighed other permissions than are declared now"));
        short.fix("weigh them as they are declared");
        short.renew(question, assessment, [("permissions", vec![digest])]);
    }
    let place = Place::field(Facts::name_of(workload), "spec.identity.permissions");
    if let Some(finding) = short.tell(report, place, &["CoP-2.5"]) {
        finding.of_namespace();
    }
}

/// People and programs beside the workloads: who may read Secrets or write what the Code rests on is few, and listed.
fn people(facts: &Facts<'_>, report: &mut Report<'_>) {
    for (right, list) in
        [(Right::ReadSecrets, rights::READ_SECRETS), (Right::WriteAssets, rights::WRITE_ASSETS)]
    {
        let found = rights::tell(facts, |held| held.rights.has(right), right.clause(), list, report);
        if let Some(finding) = found {
            finding.under(&["CoP-6.1-n2"]);
        }
    }
}

fn of_binding(facts: &BindingFacts<'_>, report: &mut Report<'_>) {
    for workload in &facts.workloads {
        let holder = Holder {
            account: workload.metadata.name.as_deref().unwrap_or_default(),
            workload,
            binding: facts.binding,
            role: facts.role,
            via: Some(facts.via),
            written: facts.written,
        };
        judge(&holder, facts.rules, report);
    }
}

struct Holder<'a> {
    account: &'a str,
    workload: &'a api::AIWorkload,
    binding: BindingRef<'a>,
    role: &'a str,
    via: Option<Via>,
    /// Whether the binding is being written, and not there yet in this form.
    written: bool,
}

fn judge(holder: &Holder<'_>, rules: Option<&[PolicyRule]>, report: &mut Report<'_>) {
    // A role that does not exist grants nothing today; when it appears the identity is judged again.
    let Some(rules) = rules else { return };
    let declared = holder.workload.spec.identity.as_ref().map_or(&[][..], |identity| &identity.permissions);
    // What is declared is meant for the own namespace: a binding elsewhere, or everywhere, goes beyond it.
    let inside = holder.binding.namespace.is_some()
        && holder.binding.namespace == holder.workload.metadata.namespace.as_deref();
    for rule in rules {
        if basic(rule) {
            continue;
        }
        let danger = dangerous(rule);
        let declarable = danger.is_none() && inside;
        let fault = match danger {
            Some(danger) => format!("{danger}, which no AI workload may"),
            None if inside && covered(rule, declared) => continue,
            None => format!("{}, which it does not declare", spell(rule)),
        };
        let way = match holder.via {
            None | Some(Via::Account) => String::new(),
            Some(Via::NamespaceGroup) => " and the group of its namespace's accounts".to_owned(),
            Some(Via::AllAccounts) => " and the group system:serviceaccounts".to_owned(),
            Some(Via::Authenticated) => " and the group system:authenticated".to_owned(),
        };
        report
            .violated(
                Place::object(format!(
                    "ServiceAccount {:?} of {}",
                    holder.account,
                    Facts::name_of(holder.workload)
                )),
                format!("through {} to {}{way} may {fault}", holder.binding, holder.role),
            )
            .fix(remove(holder, declarable));
        // One fault a binding is enough to act on; a role with a hundred rules must not fill the answer.
        return;
    }
}

/// The way out; what no AI workload may hold, or what reaches beyond its namespace, cannot be declared either.
fn remove(holder: &Holder<'_>, declarable: bool) -> Fix {
    let declare = |before: &str| {
        if declarable {
            format!("{before}or declare the permission in spec.identity.permissions")
        } else {
            String::new()
        }
    };
    if holder.written && matches!(holder.via, None | Some(Via::Account)) {
        let own = holder.workload.metadata.namespace.as_deref();
        let place = if holder.binding.namespace == own { "" } else { ", and for their own namespace only" };
        return Fix::Text(format!(
            "leave ServiceAccount {:?} out of the subjects, or refer to a role with less: AI workloads hold what they \
             declare in spec.identity.permissions{place}",
            holder.account
        ));
    }
    let (kind, place) = match holder.binding.namespace {
        Some(namespace) => ("rolebinding", format!(" -n {namespace}")),
        None => ("clusterrolebinding", String::new()),
    };
    let name = holder.binding.name;
    let by_group = |group: &str, who: &str| {
        // Others hold what they need through the same subject, so it is not for one team to delete.
        format!(
            "bind those who need it by name, then take group {group} out of the subjects (`kubectl edit {kind} \
             {name}{place}`), which takes {} from {who}",
            holder.role
        )
    };
    let ask = "ask those who keep the cluster: ";
    if matches!(holder.via, None | Some(Via::Account)) {
        return Fix::Command(format!("`kubectl delete {kind} {name}{place}`{}", declare(", ")));
    }
    Fix::Text(match holder.via {
        None | Some(Via::Account) => String::new(),
        Some(Via::NamespaceGroup) => {
            let namespace = holder.workload.metadata.namespace.as_deref().unwrap_or_default();
            let group = format!("system:serviceaccounts:{namespace}");
            let who = format!("every ServiceAccount of namespace {namespace:?}");
            format!("{}{}", by_group(&group, &who), declare(", "))
        }
        Some(Via::AllAccounts) => {
            format!(
                "{ask}{}{}",
                by_group("system:serviceaccounts", "every ServiceAccount of the cluster"),
                declare(", ")
            )
        }
        Some(Via::Authenticated) => {
            format!(
                "{ask}{}{}",
                by_group("system:authenticated", "everybody who signs in, people too"),
                declare(", ")
            )
        }
    })
}

/// What everybody who is signed in holds on every cluster: asking who one is and what one may do, and discovery.
fn basic(rule: &PolicyRule) -> bool {
    let resources = rule.resources.as_deref().unwrap_or_default();
    if resources.is_empty() {
        return rule.verbs.iter().all(|verb| verb == "get");
    }
    let groups = rule.api_groups.as_deref().unwrap_or_default();
    let group_is = |wanted: &str| !groups.is_empty() && groups.iter().all(|group| group == wanted);
    rule.verbs.iter().all(|verb| verb == "create")
        && ((group_is("authorization.k8s.io")
            && resources.iter().all(|r| r == "selfsubjectaccessreviews" || r == "selfsubjectrulesreviews"))
            || (group_is("authentication.k8s.io") && resources.iter().all(|r| r == "selfsubjectreviews")))
}

/// A right that would let its holder take over namespaces, nodes or the gate itself; as a clause after "may".
fn dangerous(rule: &PolicyRule) -> Option<String> {
    let list = |field: &Option<Vec<String>>| field.as_deref().unwrap_or_default().to_vec();
    let (groups, resources) = (list(&rule.api_groups), list(&rule.resources));
    let any =
        |items: &[String], wanted: &[&str]| items.iter().any(|i| i == "*" || wanted.contains(&i.as_str()));
    let star = |items: &[String]| items.iter().any(|i| i == "*");
    if resources.is_empty() {
        let urls = list(&rule.non_resource_urls);
        return (star(&rule.verbs) || star(&urls)).then(|| "call any URL of the API server".to_owned());
    }
    if star(&rule.verbs) || star(&groups) || star(&resources) {
        return Some(format!("{} (a wildcard)", spell(rule)));
    }
    let verbs = |wanted: &[&str]| rule.verbs.iter().any(|v| wanted.contains(&v.as_str()));
    let write = ["create", "update", "patch", "delete", "deletecollection"];
    let of = |group: &[&str], names: &[&str]| any(&groups, group) && any(&resources, names);
    let found = [
        (verbs(&["escalate", "bind", "impersonate"]), "escalate, bind or impersonate"),
        (verbs(&["list", "watch"]) && of(&[""], &["secrets"]), "list secrets"),
        (
            verbs(&["create", "get"])
                && of(
                    &[""],
                    &["pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy"],
                ),
            "reach into running pods",
        ),
        (
            verbs(&write) && of(&[""], &["pods", "pods/ephemeralcontainers", "replicationcontrollers"]),
            "create or change pods",
        ),
        (
            verbs(&write) && of(&["apps"], &["deployments", "daemonsets", "statefulsets", "replicasets"]),
            "create or change workloads",
        ),
        (verbs(&write) && of(&["batch"], &["jobs", "cronjobs"]), "create or change jobs"),
        (verbs(&write) && of(&[""], &["serviceaccounts/token"]), "issue tokens of other identities"),
        (of(&[""], &["nodes/proxy"]), "reach into nodes"),
        (
            verbs(&write)
                && of(
                    &["rbac.authorization.k8s.io"],
                    &["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
                ),
            "change permissions",
        ),
        (
            verbs(&["approve", "update", "patch"])
                && of(
                    &["certificates.k8s.io"],
                    &["certificatesigningrequests/approval", "signers", "certificatesigningrequests/status"],
                ),
            "approve certificates",
        ),
        (verbs(&write) && any(&groups, &["admissionregistration.k8s.io"]), "change admission"),
        (verbs(&write) && any(&groups, &[api::common::GROUP]), "change its own declarations"),
        (
            verbs(&write) && of(&[""], &["namespaces", "nodes", "persistentvolumes"]),
            "change namespaces, nodes or volumes",
        ),
        (verbs(&write) && of(&["networking.k8s.io"], &["networkpolicies"]), "open its own network"),
    ];
    found.into_iter().find_map(|(hit, what)| hit.then(|| what.to_owned()))
}

/// Whether the declared rules hold every right of `rule`.
fn covered(rule: &PolicyRule, declared: &[api::workload::Permission]) -> bool {
    let groups = rule.api_groups.as_deref().unwrap_or_default();
    let resources = rule.resources.as_deref().unwrap_or_default();
    let names = rule.resource_names.as_deref().unwrap_or_default();
    !groups.is_empty()
        && !resources.is_empty()
        && rule.verbs.iter().all(|verb| {
            groups.iter().all(|group| {
                resources.iter().all(|resource| {
                    declared.iter().any(|d| {
                        d.verbs.contains(verb)
                            && d.api_groups.contains(group)
                            && d.resources.contains(resource)
                            && (d.resource_names.is_empty()
                                || (!names.is_empty() && names.iter().all(|n| d.resource_names.contains(n))))
                    })
                })
            })
        })
}

/// A rule in words: `get, list configmaps`.
fn spell(rule: &PolicyRule) -> String {
    let resources = rule.resources.as_deref().unwrap_or_default();
    let what =
        if resources.is_empty() { rule.non_resource_urls.as_deref().unwrap_or_default() } else { resources };
    let cut = |items: &[String]| match items {
        [a, b, c, _, ..] => format!("{a}, {b}, {c}, ..."),
        few => few.join(", "),
    };
    format!("{} {}", cut(&rule.verbs), cut(what))
}
