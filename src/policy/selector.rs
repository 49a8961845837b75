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

/// Whether `selector` names a label that `labels` do not hold: which pods are meant is then not to be told from a declaration.
#[must_use]
pub fn asks_for_more(selector: &LabelSelector, labels: &Labels) -> bool {
    let terms = selector.match_expressions.iter().flatten().map(|term| &term.key);
    let mut keys = selector.match_labels.iter().flatten().map(|(key, _)| key).chain(terms);
    keys.any(|key| !labels.contains_key(key))
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

/// As many sets of labels are made of one selector.
const MOST: usize = 64;

/// The labels that `selector` asks for, one set for each choice that it leaves; a term with too many choices asks for nothing.
#[must_use]
pub fn choices(selector: &LabelSelector) -> Vec<Labels> {
    let mut sets = vec![selector.match_labels.clone().unwrap_or_default()];
    for term in selector.match_expressions.iter().flatten().filter(|term| term.operator == "In") {
        let values = term.values.as_deref().unwrap_or_default();
        if sets.len().saturating_mul(values.len()) > MOST {
            continue;
        }
        let with = |set: &Labels, value: &String| {
            let mut set = set.clone();
            set.entry(term.key.clone()).or_insert_with(|| value.clone());
            set
        };
        sets = sets.iter().flat_map(|set| values.iter().map(move |value| with(set, value))).collect();
    }
    sets
}

/// Which of the declarations, each with its labels, may be meant by `selector`. Pods carry more labels than a declaration names,
/// so any may be that no label keeps apart, unless all that is asked for are the labels of some declaration, and more.
pub fn meant<'l, T>(
    selector: &LabelSelector,
    declared: impl Iterator<Item = (T, &'l Labels)> + Clone,
) -> Vec<T> {
    let sets = choices(selector);
    let claimed = sets.iter().all(|set| declared.clone().any(|(_, labels)| contains(labels, set)));
    let may_be = |labels: &Labels| {
        may_match(selector, labels) && (!claimed || sets.iter().any(|set| contains(labels, set)))
    };
    let meant = declared.filter(|(_, labels)| concerns(selector, labels) || may_be(labels));
    meant.map(|(one, _)| one).collect()
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
            let more = ["pod-template-hash", "io/", "version", "role"];
            let more = more.iter().any(|key| selector.to_string().contains(key));
            assert_eq!(asks_for_more(&parsed, &known), more, "{selector}");
        }
    }

    #[test]
    fn labels_that_nobody_declared_may_mean_the_pods_of_any_declaration() {
        let (chat, redis, db) = (
            labels(json!({"app": "chat"})),
            labels(json!({"component": "redis"})),
            labels(json!({"component": "db"})),
        );
        let of = |key: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": "In", "values": values}]});
        for (selector, wanted) in [
            (json!({"matchLabels": {"x": "y"}}), vec!["chat", "redis", "db"]),
            (json!({"matchExpressions": [{"key": "x", "operator": "Exists"}]}), vec!["chat", "redis", "db"]),
            (json!({"matchLabels": {"app": "chat", "x": "y"}}), vec!["chat"]),
            (json!({"matchLabels": {"app": "search", "x": "y"}}), vec!["redis", "db"]),
            (json!({"matchLabels": {"component": "redis"}}), vec!["redis"]),
            (json!({"matchLabels": {"component": "redis", "x": "y"}}), vec!["redis"]),
            (json!({"matchLabels": {"component": "web"}}), vec!["chat"]),
            (of("component", &["redis", "db"]), vec!["redis", "db"]),
            (of("component", &["redis", "web"]), vec!["chat", "redis"]),
            (json!({}), vec!["chat", "redis", "db"]),
        ] {
            let parsed: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            let declared = [("chat", &chat), ("redis", &redis), ("db", &db)];
            assert_eq!(meant(&parsed, declared.into_iter()), wanted, "{selector}");
        }
        // One that asks by a term for the labels of a declaration means it, whatever else it asks for.
        let term = json!({"matchLabels": {"x": "y"}, "matchExpressions": [{"key": "app", "operator": "In", "values": ["chat"]}]});
        let parsed: LabelSelector = serde_json::from_value(term).unwrap();
        assert_eq!(meant(&parsed, [("chat", &chat)].into_iter()), ["chat"]);
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
