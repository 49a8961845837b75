//! What holds of a profile: whether every control it names exists, and how many namespaces it applies to. Pure.

use jiff::Timestamp;

use super::record;
use crate::api::AIProfile;
use crate::api::profile::AIProfileStatus;
use crate::controllers::conditions::{READY, Said, conditions};
use crate::policy::decide::{BUILT_IN, applying};
use crate::policy::facts::Cluster;
use crate::policy::near::nearest;
use crate::policy::{ALL, Decision};

/// The status of a profile, from what the controls say of it.
#[must_use]
pub fn status(
    profile: &AIProfile,
    cluster: &Cluster,
    decision: &Decision,
    former: &AIProfileStatus,
    now: Timestamp,
) -> AIProfileStatus {
    let name = profile.metadata.name.as_deref().unwrap_or_default();
    let unknown: Vec<String> = profile
        .spec
        .controls
        .keys()
        .filter(|id| ALL.iter().all(|control| control.id != id.as_str()))
        .map(|id| match nearest(id, ALL.iter().map(|control| control.id)) {
            Some(known) => format!("spec.controls {id:?}: is no control, did you mean {known:?}"),
            None => format!("spec.controls {id:?}: is no control"),
        })
        .collect();
    let ready = if unknown.is_empty() {
        match record::fault(decision) {
            Some(fault) => Said::new(READY, false, "Unsound", fault),
            None => Said::new(READY, true, "Loaded", "every control that it names exists"),
        }
    } else {
        let message = format!("{}; everything else of it counts", unknown.join("; "));
        Said::new(READY, false, "UnknownControls", message)
    };
    let generation = profile.metadata.generation;
    AIProfileStatus {
        namespaces: Some(namespaces(name, cluster)),
        observed_generation: generation,
        conditions: conditions([ready], &former.conditions, generation, now),
    }
}

/// The governed namespaces that it applies to; of a built-in one, those whose modes rest on it.
fn namespaces(name: &str, cluster: &Cluster) -> u32 {
    let governed = cluster.namespaces.values().filter(|namespace| namespace.governed());
    let concerned = governed.filter(|namespace| {
        let mut applying = applying(cluster, namespace).peekable();
        if !BUILT_IN.contains(&name) {
            return applying.any(|profile| profile.metadata.name.as_deref() == Some(name));
        }
        if applying.peek().is_none() {
            return name == BUILT_IN[0];
        }
        applying.any(|profile| profile.spec.base.as_str() == name)
    });
    u32::try_from(concerned.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn profile(name: &str, spec: &serde_json::Value) -> Arc<AIProfile> {
        let object = json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIProfile", "metadata": {"name": name}, "spec": spec});
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn an_unknown_control_is_named_with_what_was_meant() {
        let wrong = profile(
            "p",
            &json!({"controls": {"image-digest-pined": {}, "nonsense": {}, "pod-hardened": {}}}),
        );
        let now = Timestamp::UNIX_EPOCH;
        let status =
            status(&wrong, &Cluster::default(), &Decision::default(), &AIProfileStatus::default(), now);
        let ready = &status.conditions[0];
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "UnknownControls"));
        assert_eq!(
            ready.message,
            "spec.controls \"image-digest-pined\": is no control, did you mean \"image-digest-pinned\"; \
            spec.controls \"nonsense\": is no control; everything else of it counts"
        );
    }

    #[test]
    fn namespaces_are_counted_where_a_profile_applies_or_is_the_base() {
        let mut cluster = Cluster::default();
        for (name, environment) in [("a", "production"), ("b", "research")] {
            let namespace = crate::policy::facts::Namespace {
                name: name.to_owned(),
                labels: [("portcullis.dev/environment".to_owned(), environment.to_owned())].into(),
                ..Default::default()
            };
            cluster.namespaces.insert(name.to_owned(), namespace);
        }
        assert_eq!(namespaces("core", &cluster), 2);
        let own = profile("own", &json!({"base": "code", "appliesTo": {"environments": ["production"]}}));
        cluster.profiles.insert("own".to_owned(), own);
        let counted = ["own", "core", "code", "strict"].map(|name| namespaces(name, &cluster));
        assert_eq!(counted, [1, 1, 1, 0]);
    }
}
