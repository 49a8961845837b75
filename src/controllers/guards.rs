//! Looks whether the guards, the policies that the API server holds by itself, are as they were installed, and whether our
//! kinds are served, with all the fields that this program knows: with a definition goes every object of its kind.
//!
//! They are told of and not repaired: an uninstall takes them away before it takes us, and whoever put one back in between
//! would leave a cluster that nobody can change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt as _};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

use super::definitions::Definitions;
use super::webhooks::LIST;
use super::webhooks::diff::{Wrong, diff_guard};
use crate::api::common::{GROUP, VERSION};
use crate::api::crds::plurals;
use crate::policy::facts::EnforcementFault;
use crate::telemetry::metrics::Metrics;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// Where the ConfigMap holds the guards.
const KEY: &str = "guards.json";
/// The label that the guards carry.
const LABEL: &str = "app.kubernetes.io/component=guards";
/// What brings a guard back.
const FIX: &str = "helm upgrade puts it back; find out who changed it";
/// What brings a kind back.
const FIX_KIND: &str = "helm upgrade puts the definition back; then apply the objects of that kind again, which went with it, \
                        and find out who deleted it";
/// Faults that are told one by one.
const TOLD: usize = 8;

/// A guard as it was installed.
#[derive(Debug, Deserialize)]
struct Guard {
    kind: String,
    name: String,
    spec: Value,
}

/// Guards that stand, by kind and name.
type Standing = BTreeMap<(String, String), Value>;

/// What is wrong with the guards, shared with the audit.
pub type GuardFaults = Arc<Vec<EnforcementFault>>;

/// Looks at the guards, for ever. What is wrong counts once two looks in a row have seen it: an upgrade writes them one by
/// one.
pub async fn watch_guards(
    client: Client,
    namespace: String,
    faults: watch::Sender<GuardFaults>,
    metrics: Arc<Metrics>,
) {
    let mut before: Option<Vec<EnforcementFault>> = None;
    let mut definitions = Definitions::default();
    loop {
        match look(&client, &namespace, &mut definitions).await {
            Ok(found) => {
                if found.is_empty() || before.as_ref() == Some(&found) {
                    faults.send_if_modified(|told| {
                        let news = **told != found;
                        if news {
                            for EnforcementFault { object, detail, fix } in &found {
                                tracing::warn!(%object, %detail, fix, "a guard or a definition is not as installed");
                            }
                            *told = Arc::new(found.clone());
                        }
                        news
                    });
                }
                before = Some(found);
            }
            Err(error) => {
                metrics.watch_failed("guards");
                tracing::warn!(%error, "the guards cannot be looked at");
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(
    client: &Client,
    namespace: &str,
    definitions: &mut Definitions,
) -> Result<Vec<EnforcementFault>, kube::Error> {
    let mut faults = missing(&served(client).await?);
    faults.extend(definitions.older(client).await);
    faults.extend(of_guards(client, namespace).await?);
    faults.truncate(TOLD);
    Ok(faults)
}

/// The plural names of our kinds that the API server serves.
async fn served(client: &Client) -> Result<BTreeSet<String>, kube::Error> {
    match client.list_api_group_resources(&format!("{GROUP}/{VERSION}")).await {
        Ok(list) => Ok(list.resources.into_iter().map(|resource| resource.name).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

fn missing(served: &BTreeSet<String>) -> Vec<EnforcementFault> {
    let gone = plurals().into_iter().filter(|plural| !served.contains(&**plural));
    gone.map(|plural| EnforcementFault {
        object: format!("CustomResourceDefinition \"{plural}.{GROUP}\""),
        detail: "is gone, and with it what its objects asked for: nothing of that is enforced any more"
            .to_owned(),
        fix: FIX_KIND,
    })
    .collect()
}

async fn of_guards(client: &Client, namespace: &str) -> Result<Vec<EnforcementFault>, kube::Error> {
    let lists: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let list = lists.get_opt(LIST).await?.and_then(|list| list.data?.remove(KEY));
    // Whoever installs without guards has said so.
    let Some(text) = list else { return Ok(Vec::new()) };
    let Ok(installed) = serde_json::from_str::<Vec<Guard>>(&text) else {
        return Ok(vec![EnforcementFault {
            object: format!("ConfigMap {LIST:?} {KEY}"),
            detail: "cannot be read, so nobody sees whether the guards stand".to_owned(),
            fix: FIX,
        }]);
    };
    let mut standing = Standing::new();
    let kinds = [
        ApiResource::erase::<ValidatingAdmissionPolicy>(&()),
        ApiResource::erase::<ValidatingAdmissionPolicyBinding>(&()),
    ];
    for kind in kinds {
        let guards: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
        for guard in guards.list(&ListParams::default().labels(LABEL)).await? {
            standing.insert((kind.kind.clone(), guard.name_any()), guard.data["spec"].clone());
        }
    }
    Ok(compare(&installed, &standing))
}

fn compare(installed: &[Guard], standing: &Standing) -> Vec<EnforcementFault> {
    let fault = |guard: &Guard| {
        let detail = match standing.get(&(guard.kind.clone(), guard.name.clone())) {
            None => "is missing".to_owned(),
            Some(live) => {
                let differences = diff_guard(&guard.name, &guard.spec, live);
                let Wrong::Field { path, .. } = &differences.first()?.wrong else { return None };
                format!("differs from what was installed in spec.{path}")
            }
        };
        let object = format!("{} {:?}", guard.kind, guard.name);
        Some(EnforcementFault { object, detail, fix: FIX })
    };
    installed.iter().filter_map(fault).collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use serde_json::json;

    #[test]
    fn a_kind_that_is_gone_is_told() {
        let mut served: BTreeSet<String> = plurals().into_iter().map(Cow::into_owned).collect();
        assert_eq!(missing(&served), []);
        served.remove("aiprofiles");
        let [fault] = missing(&served).try_into().unwrap();
        assert_eq!(fault.object, "CustomResourceDefinition \"aiprofiles.portcullis.dev\"");
        served.clear();
        assert_eq!(missing(&served).len(), plurals().len());
    }

    #[test]
    fn a_guard_that_is_gone_or_weakened_is_told() {
        let installed: Vec<Guard> = serde_json::from_value(json!([
            {"kind": "ValidatingAdmissionPolicy", "name": "a", "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{"resources": ["pods/status"]}]},
                "validations": [{"expression": "x == y"}]}},
            {"kind": "ValidatingAdmissionPolicyBinding", "name": "a",
                "spec": {"policyName": "a", "validationActions": ["Deny"]}},
        ]))
        .unwrap();
        let mut standing: Standing =
            installed.iter().map(|g| ((g.kind.clone(), g.name.clone()), g.spec.clone())).collect();
        let policy = ("ValidatingAdmissionPolicy".to_owned(), "a".to_owned());
        let binding = ("ValidatingAdmissionPolicyBinding".to_owned(), "a".to_owned());
        // What the API server fills in is no difference.
        let constraints = &mut standing.get_mut(&policy).unwrap()["matchConstraints"];
        constraints["matchPolicy"] = json!("Equivalent");
        constraints["namespaceSelector"] = json!({});
        constraints["objectSelector"] = json!({});
        constraints["resourceRules"][0]["scope"] = json!("*");
        assert_eq!(compare(&installed, &standing), []);
        let words = |standing: &Standing| {
            compare(&installed, standing)
                .into_iter()
                .map(|f| format!("{} {}", f.object, f.detail))
                .collect::<Vec<_>>()
        };
        standing.get_mut(&binding).unwrap()["validationActions"] = json!(["Audit"]);
        standing.get_mut(&policy).unwrap()["matchConditions"] =
            json!([{"name": "never", "expression": "false"}]);
        assert_eq!(
            words(&standing),
            [
                r#"ValidatingAdmissionPolicy "a" differs from what was installed in spec.matchConditions"#,
                r#"ValidatingAdmissionPolicyBinding "a" differs from what was installed in spec.validationActions[0]"#,
            ]
        );
        standing.clear();
        assert_eq!(words(&standing).len(), 2);
        assert!(words(&standing)[0].ends_with("is missing"));
    }
}
