//! What holds of a trust policy: whether all of it can be used, and which keys are due. Pure.

use jiff::Timestamp;

use super::record;
use crate::api::AITrustPolicy;
use crate::api::trust::{AITrustPolicyStatus, Authority};
use crate::controllers::conditions::{READY, ROTATION_DUE, Said, conditions};
use crate::policy::{Decision, dates};
use crate::render::words;

/// An authority that ends within so many days is due.
const SOON_DAYS: i64 = 30;
/// Differences from other policies that the condition names.
const DIFFERENCES: usize = 2;
/// Problems that the status lists.
const PROBLEMS: usize = 16;

/// The status of a trust policy, from what its compilation said, where other policies differ from it, and what the controls
/// say of it.
#[must_use]
pub fn status(
    policy: &AITrustPolicy,
    (problems, differences): (&[String], &[String]),
    decision: &Decision,
    former: &AITrustPolicyStatus,
    now: Timestamp,
) -> AITrustPolicyStatus {
    let spec = &policy.spec;
    let ready = if problems.is_empty() {
        record::judged(decision)
    } else {
        let first = problems.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("; ");
        let message =
            format!("{} cannot be used, and what rests on it refuses: {first}", places(problems.len()));
        Said::new(READY, false, "CannotBeUsed", message)
    };
    let ready = if ready.reason == "Kept" {
        let message = format!(
            "{} registries, {} authorities, {} rules and {} revocations count",
            spec.registries.len(),
            spec.authorities.len(),
            spec.rules.len(),
            spec.revoked.len()
        );
        Said { reason: "Loaded".to_owned(), message, ..ready }
    } else {
        ready
    };
    let ready = if differences.is_empty() {
        ready
    } else {
        let shown = differences.iter().take(DIFFERENCES).map(|one| words::cut(one.clone(), 250));
        let shown: Vec<String> = shown.collect();
        let message = format!(
            "{}; other policies differ in {}: {}",
            ready.message,
            places(differences.len()),
            shown.join("; ")
        );
        Said { message, ..ready }
    };
    let due: Vec<String> = spec.authorities.iter().filter_map(|authority| due(authority, now)).collect();
    let rotation = if due.is_empty() {
        Said::new(ROTATION_DUE, false, "NothingDue", "no key is past its day, and none ends within 30 days")
    } else {
        Said::new(ROTATION_DUE, true, "KeysDue", due.join("; "))
    };
    let days = spec.authorities.iter().flat_map(|a| [&a.rotation_due, &a.not_after]).flatten();
    let generation = policy.metadata.generation;
    let mut listed: Vec<String> =
        problems.iter().take(PROBLEMS).map(|p| words::cut(p.clone(), 250)).collect();
    // The schema takes each line once.
    listed.dedup();
    AITrustPolicyStatus {
        observed_generation: generation,
        problems: listed,
        next_rotation: days.min().cloned(),
        conditions: conditions([ready, rotation], &former.conditions, generation, now),
    }
}

fn places(count: usize) -> String {
    if count == 1 { "one place".to_owned() } else { format!("{count} places") }
}

/// Why the key of an authority has to be replaced soon.
fn due(authority: &Authority, now: Timestamp) -> Option<String> {
    let name = &authority.name;
    if let Some(end) = authority.not_after.as_deref() {
        let left = dates::until(end)?.as_second() - now.as_second();
        if left < 0 {
            return Some(format!("{name:?} ended on {end}: its signatures no longer count"));
        }
        if left < SOON_DAYS * 86_400 {
            return Some(format!("{name:?} ends on {end}: sign with its successor, and add that"));
        }
    }
    let day = authority.rotation_due.as_deref()?;
    (dates::until(day)? < now).then(|| format!("{name:?} was to be replaced by {day}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn problems_are_words_and_keys_have_days() {
        let policy: AITrustPolicy = serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AITrustPolicy", "metadata": {"name": "p"},
            "spec": {
                "registries": [{"host": "registry.example"}],
                "authorities": [
                    {"name": "broken", "key": {"pem": "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"}},
                    {"name": "old", "keyless": {"issuer": "https://i.example", "subject": "s"}, "notAfter": "2026-01-01"},
                    {"name": "late", "keyless": {"issuer": "https://i.example", "subject": "s"}, "rotationDue": "2026-05-01"},
                ],
                "rules": [{"match": {"artifact": "image", "repositories": ["bad pattern*x"]}, "authorities": ["broken", "nobody"]}],
            }}))
        .unwrap();
        let problems = crate::gather::trust::problems(&policy);
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let status =
            status(&policy, (&problems, &[]), &Decision::default(), &AITrustPolicyStatus::default(), now);
        let ready = &status.conditions[0];
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "CannotBeUsed"));
        for place in ["spec.authorities[0]", "spec.rules[0].repositories[0]", "spec.rules[0].authorities[1]"]
        {
            assert!(
                status.problems.iter().any(|problem| problem.starts_with(place)),
                "{place}: {:?}",
                status.problems
            );
        }
        let rotation = &status.conditions[1];
        assert_eq!(rotation.status, "True");
        assert!(rotation.message.contains("\"old\" ended on 2026-01-01"), "{}", rotation.message);
        assert!(
            rotation.message.contains("\"late\" was to be replaced by 2026-05-01"),
            "{}",
            rotation.message
        );
        assert_eq!(status.next_rotation.as_deref(), Some("2026-01-01"));
    }

    #[test]
    fn both_policies_name_the_other_where_they_differ() {
        let policy = |name: &str, plain: bool, authority: &str, registries: usize| -> AITrustPolicy {
            let registry = |n| json!({"host": format!("r{n}.example"), "plainHTTP": plain});
            serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AITrustPolicy", "metadata": {"name": name},
            "spec": {
                "registries": (0..registries).map(registry).collect::<Vec<_>>(),
                "rules": [{"match": {"artifact": "image"}, "authorities": [authority]}],
            }}))
            .unwrap()
        };
        let said = |own: &AITrustPolicy, all: &[&AITrustPolicy]| {
            let found = crate::gather::trust::differences(own, all.iter().copied());
            let now = "2026-06-01T00:00:00Z".parse().unwrap();
            let former = AITrustPolicyStatus::default();
            let ready = status(own, (&[], &found), &Decision::default(), &former, now).conditions[0].clone();
            (ready.status, ready.message)
        };
        let (open, strict) = (policy("open", true, "a", 1), policy("strict", false, "b", 1));
        for (own, other) in [(&open, "strict"), (&strict, "open")] {
            let (state, message) = said(own, &[&open, &strict]);
            assert_eq!(state, "True");
            let registry = format!(
                "spec.registries[0] \"r0.example\": AITrustPolicy {other:?} says otherwise of plainHTTP, and the stricter \
                 word counts"
            );
            let rule = format!(
                "spec.rules[0]: AITrustPolicy {other:?} asks something else of the same artifacts, and both have to be met"
            );
            assert!(
                message.ends_with(&format!("; other policies differ in 2 places: {registry}; {rule}")),
                "{message}"
            );
        }
        let same = policy("same", true, "a", 1);
        assert!(!said(&open, &[&open, &same]).1.contains("AITrustPolicy"));
        let (many, others) = (policy("many", true, "a", 32), policy("others", false, "a", 32));
        let (_, message) = said(&many, &[&many, &others]);
        assert!(message.contains("differ in 32 places") && message.len() < 1_000, "{message}");
    }
}
