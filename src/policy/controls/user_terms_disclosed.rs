//! `user-terms-disclosed`: users are told what happens to their data, who answers for what, and which
//! functions they can decline.

use serde_json::json;

use crate::api::AIWorkload;
use crate::api::common::Audience;
use crate::api::model::ModelSourceKind;
use crate::api::workload::{Consent, DatasetPurpose};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, Question, Shortfall, end_users, unnamed};
use crate::policy::facts::{Facts, Place};

/// What users are told agrees with what is done.
pub(super) const CONTROL: Control = Control {
    id: "user-terms-disclosed",
    title: "users are told what happens to their data, who answers for what, and which functions they can \
        decline",
    room: Room::Documentation,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-10.1", "CoP-10.3.2", "NCSC-D3.16", "NCSC-P3.5"],
    why: "consent to something else than what the system does is no consent",
    remedy: "fill spec.userData and record UserTerms evidence that agrees with it",
    gaps: &[],
    limits: &[
        "whether a switch works in the interface of users is shown only by tests",
        "each capability in use is held to the terms, an old one like a new one",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    if end_users(workload) == Audience::Nobody {
        return;
    }
    let place = || Place::object(Facts::name_of(workload));
    let mut short = Shortfall::new(facts);
    agrees(facts, workload, &mut short);
    short.hint("sections", vec!["security-responsibilities".to_owned(), "data-use".to_owned()]);
    let question = Question::of("UserTerms", About::Workload(workload)).with(&["sections"]);
    let terms = short.ask(question.clone());
    if let Some(terms) = terms {
        let left = unnamed(terms, "sections", &["security-responsibilities", "data-use"]);
        if !left.is_empty() {
            let named = Shortfall::list(&left);
            short.require(false, || format!("{} lacks section {named}", Shortfall::name(terms)));
            short.fix(format!("write {named}"));
            short.renew(question.clone(), terms, [Shortfall::also(terms, "sections", &left)]);
        }
    }
    short.tell(report, place(), &["CoP-10.1"]);

    let used = workload.spec.models.iter().enumerate().flat_map(|(index, model)| {
        let path = move |at: usize| format!("spec.models[{index}].capabilitiesUsed[{at}]");
        model.capabilities_used.iter().enumerate().map(move |(at, capability)| (path(at), capability))
    });
    let mut short = Shortfall::new(facts);
    for (path, capability) in used.filter(|(_, c)| c.consent != Some(Consent::NotNeeded)) {
        let decided = capability.consent.is_some() && capability.setting_ref.is_some();
        if !decided {
            short.require(false, || format!("users cannot decide on capability {:?}", capability.name));
            short.fix("let users decide (where it is what they came for, set consent to none instead)");
            if capability.consent.is_none() {
                short.set(Facts::name_of(workload), format!("{path}.consent"), "optIn");
            }
            short.set(Facts::name_of(workload), format!("{path}.settingRef"), "SETTING");
        }
        if let Some(terms) = terms
            && !unnamed(terms, "capabilities", &[&capability.name]).is_empty()
        {
            short.require(false, || {
                format!("{} does not name capability {:?}", Shortfall::name(terms), capability.name)
            });
            short.renew(
                question.clone(),
                terms,
                [Shortfall::also(terms, "capabilities", &[&capability.name])],
            );
        }
    }
    short.tell(report, place(), &["CoP-10.3.2"]);
}

/// Whether what users are told agrees with what the declaration does with their data.
fn agrees(facts: &Facts<'_>, workload: &AIWorkload, short: &mut Shortfall<'_, '_>) {
    let spec = &workload.spec;
    let Some(told) = &spec.user_data else {
        short.require(false, || "spec.userData does not say what happens to the data of users".to_owned());
        short.fix("find out what happens to it, and state it as it is");
        let fed = spec.datasets.iter().any(|dataset| dataset.use_ == Some(DatasetPurpose::Feedback));
        let receivers: Vec<&str> =
            spec.external_apis.iter().map(|api| api.supplier_ref.as_deref().unwrap_or(&api.name)).collect();
        let stated = json!({"usedForTraining": fed, "humanReview": false, "thirdParties": receivers});
        short.set(Facts::name_of(workload), "spec.userData", stated);
        return;
    };
    let fed = spec.datasets.iter().find(|dataset| dataset.use_ == Some(DatasetPurpose::Feedback));
    if let Some(fed) = fed
        && told.used_for_training != Some(true)
    {
        short.require(false, || {
            format!(
                "dataset {:?} collects feedback, and users are told that their data is not used for training",
                fed.name
            )
        });
        short.fix("stop the feed, or publish new UserTerms that say so");
        short.set(Facts::name_of(workload), "spec.userData.usedForTraining", true);
    }
    for api in &spec.external_apis {
        let receiver = api.supplier_ref.as_deref().unwrap_or(&api.name);
        if !told.third_parties.iter().any(|party| party == receiver) {
            short.require(false, || {
                format!("externalApi {:?} sends data to {receiver:?}, of which users are not told", api.name)
            });
            short.fix("stop the call, or publish new UserTerms that name the receiver");
            let path = "spec.userData.thirdParties[+]";
            short.set(Facts::name_of(workload), path, receiver);
        }
    }
    // A model behind an interface gets the data too, whether or not a way out names its supplier.
    for (used, model) in
        spec.models.iter().filter_map(|used| Some((used, facts.namespace.models.get(&used.name)?)))
    {
        let outside = model.spec.source.as_ref().is_some_and(|source| source.kind == ModelSourceKind::Api);
        let Some(supplier) = model.spec.supplier_ref.as_deref().filter(|_| outside) else { continue };
        if !told.third_parties.iter().any(|party| party == supplier) {
            short.require(false, || {
                format!("model {:?} runs at {supplier:?}, of which users are not told", used.name)
            });
            short.fix("name it in spec.userData.thirdParties and publish new UserTerms");
        }
    }
    let log = spec.monitoring.as_ref().and_then(|monitoring| monitoring.io_log.as_ref());
    if let (Some(kept), Some(said)) =
        (log.and_then(|log| log.retention.as_deref()), told.retention.as_deref())
        && dates::duration(kept) > dates::duration(said)
    {
        short.require(false, || format!("the log keeps inputs for {kept}, and users are told {said}"));
        short.set(Facts::name_of(workload), "spec.monitoring.ioLog.retention", said);
    }
}

#[cfg(test)]
#[path = "tests/user_terms_disclosed.rs"]
mod tests;
