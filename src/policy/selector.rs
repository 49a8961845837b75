//! Label selectors, matched as Kubernetes matches them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::facts::Labels;

/// Whether `selector` matches `labels`. An empty selector matches everything; an operator that is not known matches
/// nothing, so that it can never widen what is allowed.
#[must_use]
pub fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    let by_labels = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    by_labels
        && selector.match_expressions.iter().flatten().all(|term| {
            let value = labels.get(&term.key);
            let listed = || term.values.iter().flatten().any(|v| Some(v) == value);
            match term.operator.as_str() {
                "In" => value.is_some() && listed(),
                "NotIn" => value.is_none() || !listed(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// Whether `selector` can match a pod that carries `labels` and any others. What cannot be told counts as "yes".
#[must_use]
pub fn may_match(selector: &LabelSelector, labels: &Labels) -> bool {
    let by_labels = |(key, value): (&String, &String)| labels.get(key).is_none_or(|known| known == value);
    selector.match_labels.iter().flatten().all(by_labels)
        && selector.match_expressions.iter().flatten().all(|term| {
            let Some(value) = labels.get(&term.key) else { return true };
            let listed = term.values.iter().flatten().any(|listed| listed == value);
            match term.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "DoesNotExist" => false,
                _ => true,
            }
        })
}

/// Labels that the cluster gives to pods, which no template has and no declaration needs to name.
const GIVEN: [&str; 6] = [
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "pod-template-generation",
    "pod-template-hash",
    "pod-index",
];

/// What such labels begin with where those who set them write their domain in front.
const GIVEN_BY: [&str; 8] = [
    "apps.kubernetes.io/",
    "batch.kubernetes.io/",
    "jobset.sigs.k8s.io/",
    "leaderworkerset.sigs.k8s.io/",
    "serving.knative.dev/",
    "statefulset.kubernetes.io/",
    "topology.kubernetes.io/",
    "training.kubeflow.org/",
];

/// Whether the cluster gives this label to pods by itself.
#[must_use]
pub fn is_given(key: &str) -> bool {
    GIVEN.contains(&key) || GIVEN_BY.iter().any(|by| key.starts_with(by))
}

/// Whether `selector` asks for a label that the cluster gives, and that `labels` do not hold: which pods are meant is then not
/// to be told from a declaration.
#[must_use]
pub fn asks_for_given(selector: &LabelSelector, labels: &Labels) -> bool {
    let terms = selector.match_expressions.iter().flatten().map(|term| &term.key);
    let keys = selector.match_labels.iter().flatten().map(|(key, _)| key).chain(terms);
    keys.filter(|key| !labels.contains_key(*key)).any(|key| is_given(key))
}

/// Whether `selector` concerns the pods of a declaration with `labels`: it selects all of them, or some of them by more labels,
/// or may do so because it asks for labels that only the cluster gives.
#[must_use]
pub fn concerns(selector: &LabelSelector, labels: &Labels) -> bool {
    let known = |key: &String| labels.contains_key(key) || is_given(key);
    let asked = |term: &&LabelSelectorRequirement| matches!(term.operator.as_str(), "In" | "Exists");
    let by_labels = || selector.match_labels.iter().flatten().all(|(key, _)| known(key));
    let by_terms = || selector.match_expressions.iter().flatten().filter(asked).all(|term| known(&term.key));
    let within = || selector.match_labels.as_ref().is_some_and(|wanted| contains(labels, wanted));
    may_match(selector, labels) && ((by_labels() && by_terms()) || within())
}

/// Whether the plain label map `wanted`, which must not be empty, is contained in `labels`.
#[must_use]
pub fn contains(wanted: &Labels, labels: &Labels) -> bool {
    !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Which pods two plain label maps select together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// No pod: one label would have to hold two values.
    None,
    /// A pod that carries the labels of both.
    Some,
    /// Every pod that the first selects, and others.
    First,
    /// Every pod that the second selects, and others.
    Second,
    /// The same pods.
    Same,
}

/// Which pods `first` and `second` select together; an empty map selects none.
#[must_use]
pub fn overlap(first: &Labels, second: &Labels) -> Overlap {
    let apart = first.iter().any(|(key, value)| second.get(key).is_some_and(|other| other != value));
    if first.is_empty() || second.is_empty() || apart {
        return Overlap::None;
    }
    match (contains(second, first), contains(first, second)) {
        (true, true) => Overlap::Same,
        (true, false) => Overlap::First,
        (false, true) => Overlap::Second,
        (false, false) => Overlap::Some,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(value: serde_json::Value) -> Labels {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn expressions_follow_kubernetes() {
        let pod = labels(json!({"app": "chat", "tier": "web"}));
        for (selector, wanted) in [
            (json!({}), true),
            (json!({"matchLabels": {"app": "chat"}}), true),
            (json!({"matchLabels": {"app": "other"}}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["chat"]}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["chat"]}]}), false),
            (json!({"matchExpressions": [{"key": "gone", "operator": "NotIn", "values": ["x"]}]}), true),
            (json!({"matchExpressions": [{"key": "gone", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "gone", "operator": "DoesNotExist"}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "Newer"}]}), false),
        ] {
            let parsed: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(matches(&parsed, &pod), wanted, "{selector}");
        }
        assert!(!contains(&Labels::new(), &pod));
        assert!(contains(&labels(json!({"tier": "web"})), &pod));
    }

    #[test]
    fn a_pod_of_which_some_labels_are_known_may_match_unless_they_say_no() {
        let known = labels(json!({"app": "chat", "tier": "web"}));
        for (selector, wanted) in [
            (json!({}), true),
            (json!({"matchLabels": {"app": "chat", "other": "x"}}), true),
            (json!({"matchLabels": {"app": "db"}}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "chat"]}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["chat"]}]}), false),
            (json!({"matchExpressions": [{"key": "other", "operator": "NotIn", "values": ["x"]}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "Newer"}]}), true),
        ] {
            let parsed: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(may_match(&parsed, &known), wanted, "{selector}");
        }
    }

    #[test]
    fn labels_that_the_cluster_gives_may_mean_the_pods_of_any_declaration() {
        let known = labels(json!({"app": "chat", "tier": "web"}));
        let more = json!({"app": "chat", "tier": "web", "version": "2"});
        let hash = |key: &str| json!({"matchLabels": {key: "x"}});
        for (selector, wanted) in [
            (json!({}), true),
            (hash("pod-template-hash"), true),
            (hash("batch.kubernetes.io/job-name"), true),
            (hash("statefulset.kubernetes.io/pod-name"), true),
            (json!({"matchExpressions": [{"key": "pod-template-hash", "operator": "Exists"}]}), true),
            (json!({"matchLabels": {"app": "chat", "pod-template-hash": "x"}}), true),
            (json!({"matchLabels": {"app": "db", "pod-template-hash": "x"}}), false),
            (json!({"matchLabels": {"role": "db", "pod-template-hash": "x"}}), false),
            (json!({"matchLabels": more}), true),
            (hash("version"), false),
            (json!({"matchExpressions": [{"key": "version", "operator": "NotIn", "values": ["x"]}]}), true),
        ] {
            let parsed: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(concerns(&parsed, &known), wanted, "{selector}");
            let given = selector.to_string().contains("pod-template-hash");
            assert!(!given || asks_for_given(&parsed, &known), "{selector}");
            assert!(!asks_for_given(&parsed, &labels(json!({"pod-template-hash": "x"}))) || !given);
        }
    }

    #[test]
    fn selectors_overlap_unless_a_label_keeps_them_apart() {
        for (first, second, wanted) in [
            (json!({"app": "chat"}), json!({"app": "search"}), Overlap::None),
            (json!({"app": "chat", "tier": "web"}), json!({"tier": "db"}), Overlap::None),
            (json!({}), json!({"app": "chat"}), Overlap::None),
            (json!({"app": "chat"}), json!({"app": "chat"}), Overlap::Same),
            (json!({"app": "chat", "tier": "web"}), json!({"app": "chat"}), Overlap::First),
            (json!({"app": "chat"}), json!({"app": "chat", "tier": "web"}), Overlap::Second),
            (json!({"app": "chat", "a": "1"}), json!({"app": "chat", "b": "1"}), Overlap::Some),
            (json!({"app": "chat"}), json!({"tier": "web"}), Overlap::Some),
        ] {
            assert_eq!(overlap(&labels(first.clone()), &labels(second.clone())), wanted, "{first} {second}");
        }
    }
}
