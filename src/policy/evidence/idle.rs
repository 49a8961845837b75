//! Why a proof that is sound by itself counts for nothing: it is about nothing that is here, in the wrong place, of another
//! state, or of the own work of who vouches.

use super::About;
use super::written::INDEPENDENT;
use crate::api::AIEvidence;
use crate::policy::composition;
use crate::policy::facts::Facts;
use crate::policy::owners::{NO_PERSON, is_account};

/// Types that are about what is gone, or was before.
const OF_THE_PAST: [&str; 2] = ["DisposalRecord", "TransferRecord"];

/// Why a proof counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// The reason of a condition.
    pub reason: &'static str,
    /// In words, with the way out.
    pub message: String,
}

/// Why `evidence`, recorded in the namespace of `facts`, counts for nothing as things stand; none where it may count.
#[must_use]
pub fn idle(facts: &Facts<'_>, evidence: &AIEvidence) -> Option<Idle> {
    let spec = &evidence.spec;
    let (subject, place) = (&spec.subject, facts.namespace);
    let type_ = spec.type_.as_str();
    let say = |reason, why: String, way: String| {
        Some(Idle { reason, message: format!("it counts for nothing: {why}; {way}") })
    };
    if subject.kind == "Image" || OF_THE_PAST.contains(&type_) {
        return None;
    }
    let Some(about) = About::named(facts, subject, place) else {
        let home = match subject.kind.as_str() {
            "AIGovernance" | "AISupplier" => String::new(),
            _ => format!(" in namespace {:?}", subject.namespace.as_deref().unwrap_or(&place.name)),
        };
        let why = format!("there is no {} {:?}{home}", subject.kind, subject.name);
        return say("SubjectMissing", why, "apply it, or record a new one about what is meant".to_owned());
    };
    if let About::Organisation(_) | About::Supplier(_) = about {
        let places = match about.places(facts) {
            Ok(places) => places,
            Err(why) => {
                return say(
                    "OtherNamespace",
                    why,
                    "set spec.governanceNamespace of the AIGovernance".to_owned(),
                );
            }
        };
        if !places.into_iter().flatten().any(|one| one.name == place.name) {
            let names: Vec<String> =
                places.into_iter().flatten().map(|one| format!("{:?}", one.name)).collect();
            let names = names.join(" or ");
            let why = format!("evidence about {about} counts from namespace {names} only");
            return say("OtherNamespace", why, format!("record it in namespace {names}"));
        }
    }
    let present = match about {
        About::Workload(workload) => {
            let home = facts.namespace_named(about.namespace())?;
            Some(composition::digest(workload, home, facts.cluster))
        }
        // Evidence about data may be of the state that a model learnt from.
        About::Dataset(_) => None,
        _ => about.digest(facts).map(str::to_owned),
    };
    if let (Some(named), Some(present)) = (subject.digest.as_deref(), present.as_deref())
        && named != present
    {
        let why = format!("it is about {named}, and {about} is at {present}");
        return say(
            "OtherDigest",
            why,
            "record a new one for the present digest once it was looked at".to_owned(),
        );
    }
    if !INDEPENDENT.contains(&type_) {
        return None;
    }
    let Some(person) = spec.attested_by.as_deref().filter(|name| !name.is_empty()) else {
        let way = "let somebody record it who is named in spec.attestedBy".to_owned();
        return say("NotAttested", format!("nobody attests this {type_}"), way);
    };
    if is_account(person) {
        let why = format!("it is attested by {person:?}, which {NO_PERSON}");
        return say("NotAttested", why, "let a person look and record it".to_owned());
    }
    let how = about.made_by(facts, person)?;
    say(
        "OwnWork",
        format!("it is attested by {person:?}, {how}"),
        "let somebody else look and record it".to_owned(),
    )
}
