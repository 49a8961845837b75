//! What people may do in a namespace that matters there, and who of them stands in no list of a profile.

use std::borrow::Cow;
use std::fmt::Write as _;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::control::{Finding, Report};
use super::facts::{BindingRef, Facts, Place};
use super::fix::Fix;
use crate::api::common::GROUP;

/// Something that people may do in a namespace and that few should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read Secrets.
    ReadSecrets = 1,
    /// Enter running pods.
    EnterPods = 2,
    /// Read what pods write to their logs.
    ReadLogs = 4,
    /// Write declarations, models, data, prompts, proofs and exemptions.
    WriteAssets = 8,
    /// Start pods, themselves or by what carries them.
    StartPods = 16,
}

/// The parameters of `AIProfile` that list who needs each right.
pub const READ_SECRETS: &str = "access.readSecrets";
/// Who may enter running pods.
pub const ENTER_PODS: &str = "access.enterPods";
/// Who may read the logs of pods.
pub const READ_LOGS: &str = "access.readLogs";
/// Who may write assets and declarations.
pub const WRITE_ASSETS: &str = "access.writeAssets";
/// Who may write in research and in production.
pub const BOTH_SIDES: &str = "access.researchAndProduction";

impl Right {
    /// What it allows, as a clause after "who may".
    #[must_use]
    pub const fn clause(self) -> &'static str {
        match self {
            Self::ReadSecrets => "read Secrets here",
            Self::EnterPods => "enter running pods here",
            Self::ReadLogs => "read the logs of pods here",
            Self::WriteAssets => "write declarations and assets here",
            Self::StartPods => "start pods here",
        }
    }
}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// What the rules of a role give.
    #[must_use]
    pub fn of(rules: &[PolicyRule]) -> Self {
        Self(rules.iter().fold(0, |all, rule| all | of_rule(rule)))
    }

    /// Whether it is none at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a right is among them.
    #[must_use]
    pub const fn has(self, right: Right) -> bool {
        self.0 & right as u8 != 0
    }

    /// Whether something can be written with them.
    #[must_use]
    pub const fn writes(self) -> bool {
        self.has(Right::WriteAssets) || self.has(Right::StartPods)
    }
}

/// Kinds of ours that live in namespaces.
const ASSETS: [&str; 6] =
    ["aiworkloads", "aimodels", "aidatasets", "aiprompts", "aievidences", "aiexemptions"];

fn of_rule(rule: &PolicyRule) -> u8 {
    let among = |list: &Option<Vec<String>>, wanted: &[&str]| {
        list.iter().flatten().any(|word| word == "*" || wanted.contains(&word.as_str()))
    };
    let verbs =
        |wanted: &[&str]| rule.verbs.iter().any(|verb| verb == "*" || wanted.contains(&verb.as_str()));
    let on = |group: &str, resources: &[&str]| {
        among(&rule.api_groups, &[group]) && among(&rule.resources, resources)
    };
    let mut out = 0;
    let mut add = |right: Right, held: bool| out |= if held { right as u8 } else { 0 };
    add(Right::ReadSecrets, on("", &["secrets"]) && verbs(&["get", "list", "watch"]));
    let ways = [
        "pods/exec",
        "pods/attach",
        "pods/portforward",
        "pods/proxy",
        "*/exec",
        "*/attach",
        "*/portforward",
        "*/proxy",
    ];
    let debug = ["pods/ephemeralcontainers", "*/ephemeralcontainers"];
    add(
        Right::EnterPods,
        (on("", &ways) && verbs(&["create", "get"])) || (on("", &debug) && verbs(&["update", "patch"])),
    );
    add(Right::ReadLogs, on("", &["pods/log", "*/log"]) && verbs(&["get"]));
    let write = ["create", "update", "patch", "delete", "deletecollection"];
    add(Right::WriteAssets, on(GROUP, &ASSETS) && verbs(&write));
    let start = verbs(&["create", "update", "patch"])
        && (on("", &["pods", "replicationcontrollers"])
            || on("apps", &["deployments", "daemonsets", "statefulsets", "replicasets"])
            || on("batch", &["jobs", "cronjobs"]));
    add(Right::StartPods, start);
    out
}

/// Somebody who holds rights in a namespace, and by which binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder<'a> {
    /// `user:NAME`, `group:NAME` or `serviceaccount:NAMESPACE/NAME`, as lists of profiles name them.
    pub who: Cow<'a, str>,
    /// What.
    pub rights: Rights,
    /// The binding.
    pub binding: BindingRef<'a>,
    /// A research namespace in which the same subject can write too; looked for where production is judged.
    pub research: Option<&'a str>,
}

/// Whether a subject is one of those that a cluster is made of: its components, and the group that no rule binds.
#[must_use]
pub fn of_the_cluster(who: &str) -> bool {
    let Some((kind, name)) = who.split_once(':') else { return false };
    match kind {
        "serviceaccount" => name.starts_with("kube-system/"),
        "user" => name.starts_with("system:") && name != "system:anonymous",
        _ => {
            let wide = name.starts_with("system:serviceaccounts")
                || matches!(name, "system:authenticated" | "system:unauthenticated");
            name.starts_with("system:") && !wide
        }
    }
}

/// Whether a subject is the identity of a declared workload, whose rights are judged with it.
fn is_identity(facts: &Facts<'_>, who: &str) -> bool {
    let account = who.strip_prefix("serviceaccount:").and_then(|account| account.split_once('/'));
    account.is_some_and(|(namespace, name)| {
        facts.namespace_named(Some(namespace)).is_some_and(|home| home.workloads.contains_key(name))
    })
}

/// Subjects that one finding names before it counts the rest.
const SHOWN: usize = 4;
/// Subjects that the way out lists.
const MOST: usize = 16;

/// Says who holds what is asked for and stands in no applying profile's list; nothing where nobody does. `what` is a clause
/// after "who may".
///
/// The finding is the namespace's: it stands in its row, and no pod of it is refused for what people may do.
pub fn tell<'r>(
    facts: &Facts<'_>,
    held: impl Fn(&Holder<'_>) -> bool,
    what: &str,
    list: &str,
    report: &'r mut Report<'_>,
) -> Option<&'r mut Finding> {
    let mut told: Vec<&Holder<'_>> = Vec::new();
    for holder in facts.holders.iter().filter(|holder| held(holder) && !is_identity(facts, &holder.who)) {
        let listed = facts.settings.words(list).any(|word| word == holder.who);
        if !listed && !told.iter().any(|known| known.who == holder.who) {
            told.push(holder);
        }
    }
    told.first()?;
    let mut names = String::new();
    for (index, holder) in told.iter().take(SHOWN).enumerate() {
        let gap = if index == 0 { "" } else { ", " };
        let (kind, name) = holder.who.split_once(':').unwrap_or(("subject", &holder.who));
        let _ = write!(names, "{gap}{kind} {name:?} by {}", holder.binding);
    }
    if let Some(rest) = told.len().checked_sub(SHOWN).filter(|rest| *rest > 0) {
        let _ = write!(names, " and {rest} more");
    }
    let mut deletes: Vec<String> = Vec::new();
    for holder in told.iter().take(SHOWN) {
        let delete = match holder.binding.namespace {
            Some(namespace) => format!("`kubectl delete rolebinding {} -n {namespace}`", holder.binding.name),
            None => format!("`kubectl delete clusterrolebinding {}`", holder.binding.name),
        };
        if !deletes.contains(&delete) {
            deletes.push(delete);
        }
    }
    // The list as it has to read: who stands in it already stays.
    let listed = facts.settings.words(list);
    let whole: Vec<&str> = listed.chain(told.iter().map(|holder| holder.who.as_ref()).take(MOST)).collect();
    let finding = report.violated(
        Place::object(format!("Namespace {}", facts.namespace.name)),
        format!("who may {what} is not listed under {list} of an AIProfile: {names}"),
    );
    finding.of_namespace().fix(Fix::Command(format!(
        "{} where that is not needed, and list who needs it in spec.parameters[{list:?}] of an AIProfile, joined by commas: {}",
        deletes.join(", "),
        whole.join(",")
    )));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(rule: serde_json::Value) -> Rights {
        Rights::of(&[serde_json::from_value(rule).unwrap()])
    }

    #[test]
    fn rules_are_read_as_the_api_server_reads_them() {
        let all = of(json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}));
        for right in
            [Right::ReadSecrets, Right::EnterPods, Right::ReadLogs, Right::WriteAssets, Right::StartPods]
        {
            assert!(all.has(right), "{right:?}");
        }
        let logs =
            of(json!({"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}));
        assert!(logs.has(Right::ReadLogs) && !logs.has(Right::EnterPods) && !logs.writes());
        assert!(
            of(json!({"apiGroups": [""], "resources": ["*/exec"], "verbs": ["create"]}))
                .has(Right::EnterPods)
        );
        let debug = json!({"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["patch"]});
        assert!(of(debug).has(Right::EnterPods));
        let status = json!({"apiGroups": [GROUP], "resources": ["aimodels/status"], "verbs": ["patch"]});
        assert!(of(status).is_empty());
        let other = json!({"apiGroups": ["external-secrets.io"], "resources": ["secrets"], "verbs": ["get"]});
        assert!(of(other).is_empty());
    }

    #[test]
    fn components_of_the_cluster_are_told_from_wide_groups() {
        for who in ["group:system:masters", "serviceaccount:kube-system/job-controller", "user:system:node:a"]
        {
            assert!(of_the_cluster(who), "{who}");
        }
        for who in [
            "group:system:authenticated",
            "group:system:serviceaccounts:chat",
            "user:system:anonymous",
            "user:ada",
            "serviceaccount:chat/kube-system",
        ] {
            assert!(!of_the_cluster(who), "{who}");
        }
    }
}
