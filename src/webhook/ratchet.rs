//! What a change of a declaration brings about, told from what was wrong with it before. Pure.
//!
//! An update answers for the faults that it brings: those that stand in both states are told as warnings, so that a rule or
//! a profile that came later locks nobody out of his own declaration. Pods are judged by all of them either way.

use serde_json::Value;

use crate::policy::{Decision, Finding};

/// The states that stop a workload.
const STOPS: [&str; 2] = ["Quarantined", "Retiring"];
/// The states in which a workload has no network.
const CUT_OFF: [&str; 2] = ["Quarantined", "Disposed"];

/// The state whose faults an update from `old` to `new` does not answer for; `None` where it answers for all of them.
#[derive(Debug, PartialEq)]
pub(super) struct Baseline {
    /// The declaration in that state.
    pub(super) object: Value,
    /// Whether what is held against whoever asks was so before, too.
    pub(super) asked: bool,
}

/// What `new` is compared with.
///
/// A workload that goes live answers for everything, and so does one that leaves quarantine, because its network is given
/// back; only the way to its end gives it none. One that is stopped, and in nothing else changed, answers for its new labels
/// and annotations alone, and so does one whose specification stays.
pub(super) fn baseline(old: &Value, new: &Value) -> Option<Baseline> {
    let (before, after) = (state(old), state(new));
    if (after == "Active" && before != after) || released(old, new) {
        return None;
    }
    let stopped = STOPS.contains(&after) && before != "Quarantined" && rest(old) == rest(new);
    if !stopped && old["spec"] != new["spec"] {
        return Some(Baseline { object: old.clone(), asked: false });
    }
    let mut object = new.clone();
    object["metadata"] = old["metadata"].clone();
    Some(Baseline { object, asked: true })
}

/// Whether an update from `old` to `new` gives a workload in quarantine its network back.
pub(super) fn released(old: &Value, new: &Value) -> bool {
    state(old) == "Quarantined" && !CUT_OFF.contains(&state(new))
}

fn state(object: &Value) -> &str {
    object.pointer("/spec/lifecycle/state").and_then(Value::as_str).unwrap_or("Active")
}

/// The specification without the state.
fn rest(object: &Value) -> Value {
    let mut spec = object["spec"].clone();
    if let Some(lifecycle) = spec.get_mut("lifecycle").and_then(Value::as_object_mut) {
        lifecycle.remove("state");
        if lifecycle.is_empty()
            && let Some(spec) = spec.as_object_mut()
        {
            spec.remove("lifecycle");
        }
    }
    spec
}

/// Lets pass what `known`, the decision on `before`, refuses as well: it is warned of.
///
/// Every fault counts once, so that a second of the same words is a new one; and one in the declaration `owner` itself is
/// the same only where what it speaks of is: the element of a list as a whole, any other field with all that is below it.
pub(super) fn forgive(
    decision: &mut Decision,
    known: &Decision,
    owner: &str,
    (before, after): (&Value, &Value),
) {
    let mut known: Vec<&Finding> = known.refused.iter().collect();
    let forgiven = |finding: &mut Finding| {
        let own = finding.place.object.as_deref().is_none_or(|object| object == owner);
        let touched = own && finding.place.path.as_deref().is_some_and(|path| differ(before, after, path));
        let index = known.iter().position(|known| !touched && same(known, finding));
        index.map(|index| known.swap_remove(index)).is_some()
    };
    let forgiven: Vec<Finding> = decision.refused.extract_if(.., forgiven).collect();
    // They come first: of many warnings only some are shown.
    decision.warned.splice(0..0, forgiven);
}

fn same(one: &Finding, other: &Finding) -> bool {
    one.control.id == other.control.id
        && one.place == other.place
        && one.detail == other.detail
        && one.verdict == other.verdict
        && one.scope == other.scope
        && one.provisions == other.provisions
}

/// Whether two objects differ in what lies at `path`, as in `spec.exposure[0].authn` or `metadata.annotations["a.b/c"]`.
fn differ(one: &Value, other: &Value, path: &str) -> bool {
    let (mut one, mut other, mut rest) = (one, other, path);
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let Some((key, after)) = inner.split_once(']') else { return one != other };
            if let Ok(index) = key.parse::<usize>() {
                return one.get(index) != other.get(index);
            }
            let Ok(key) = serde_json::from_str::<String>(key) else { return one != other };
            (one, other, rest) = (&one[&key], &other[&key], after);
            continue;
        }
        let field = rest.trim_start_matches('.');
        let (name, after) = field.split_at(field.find(['.', '[']).unwrap_or(field.len()));
        (one, other, rest) = (&one[name], &other[name], after);
    }
    one != other
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn declared(state: Option<&str>, team: &str, port: u16) -> Value {
        let mut spec = json!({"exposure": [{"port": port}]});
        if let Some(state) = state {
            spec["lifecycle"] = json!({"state": state});
        }
        json!({"metadata": {"labels": {"team": team}}, "spec": spec})
    }

    #[test]
    fn who_stops_a_workload_answers_for_its_labels_alone() {
        let of = |old: &Value, new: &Value| {
            baseline(old, new)
                .map(|known| (known.object["spec"].clone(), known.object["metadata"].clone(), known.asked))
        };
        let meta = json!({"labels": {"team": "a"}});
        for old in [declared(None, "a", 1), declared(Some("Active"), "a", 1)] {
            for stop in STOPS {
                let new = declared(Some(stop), "b", 1);
                assert_eq!(of(&old, &new), Some((new["spec"].clone(), meta.clone(), true)));
                // Whatever else changes on the way is compared with what was.
                let new = declared(Some(stop), "b", 2);
                assert_eq!(of(&old, &new), Some((old["spec"].clone(), meta.clone(), false)));
            }
            let relabelled = declared(Some("Active"), "b", 1);
            assert!(of(&old, &relabelled).is_some());
        }
        let quarantined = declared(Some("Quarantined"), "a", 1);
        for active in [declared(None, "a", 1), declared(Some("Active"), "a", 1)] {
            assert_eq!(of(&quarantined, &active), None);
            assert_eq!(of(&declared(Some("Planned"), "a", 1), &active), None);
        }
        // Whatever gives it its network back is judged in full; no state that the schema may know later is left out.
        for after in ["Planned", "Retiring", "Resumed"] {
            assert_eq!(of(&quarantined, &declared(Some(after), "a", 1)), None, "{after}");
        }
        // Its end does not, and is somebody's to bring about.
        let disposed = declared(Some("Disposed"), "a", 1);
        assert_eq!(of(&quarantined, &disposed), Some((quarantined["spec"].clone(), meta, false)));
    }

    #[test]
    fn what_lies_at_a_path_is_compared_as_a_whole() {
        let object = |authn: &str, port: u16, note: &str| {
            json!({"metadata": {"annotations": {"a.b/c": note}},
                "spec": {"exposure": [{"authn": "none", "port": 1}, {"authn": authn, "port": port}]}})
        };
        let (old, new) = (object("none", 8080, "x"), object("none", 22, "y"));
        assert!(differ(&old, &new, "spec.exposure[1].authn"), "it is the way in of another port now");
        assert!(!differ(&old, &new, "spec.exposure[0].authn"));
        assert!(!differ(&old, &new, "spec.exposure[2].authn"));
        assert!(differ(&old, &new, "spec.exposure"));
        assert!(differ(&old, &new, "spec.exposure[+]"));
        assert!(!differ(&old, &new, "spec.monitoring.metrics"));
        assert!(differ(&old, &new, "metadata.annotations[\"a.b/c\"]"));
    }
}
