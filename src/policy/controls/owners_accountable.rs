//! `owners-accountable`: for every part that the organisation plays somebody answers.

use jiff::Timestamp;
use serde_json::json;

use crate::api;
use crate::api::common::{Criticality, Party};
use crate::api::model::{Acquisition, Origin};
use crate::api::workload::{Role, WorkloadType};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data::Data;
use crate::policy::evidence::About;
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;
use crate::policy::owners::{self, Confirmed};

/// Workloads and models have owners for each role that applies.
pub(super) const CONTROL: Control = Control {
    id: "owners-accountable",
    title: "each workload and model has a known owner for every role that applies, and open models have a maintainer",
    room: Room::Governance,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CfV-ROLES", "CoP-5.1", "NCSC-G5", "CoP-7.2.1-n1", "NCSC-G1", "FC-4"],
    why: "a duty that nobody in particular has is done by nobody",
    remedy: "set spec.roles of the AIWorkload and name a user or group in spec.owners for each, and spec.owners.owner of \
        each AIModel, AIDataset and AIPrompt",
    gaps: &[],
    limits: &["whether somebody who is named knows of it and has the means"],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Model(model) => of_model(facts, model, report),
        Subject::Dataset(dataset) => of_asset(facts, About::Dataset(dataset), report),
        Subject::Prompt(prompt) => of_asset(facts, About::Prompt(prompt), report),
        Subject::Pod(_) | Subject::Workload(_) => {
            let Some(workload) = facts.declaration() else { return };
            roles(facts, workload, report);
            owners(facts, workload, report);
            apart(facts, workload, report);
            listed(facts, workload, report);
            confirmed(facts, workload, report);
            // A declaration may come before its assets; the pods come after both.
            if facts.pod().is_some() {
                let used = workload.spec.models.iter();
                for model in used.filter_map(|used| facts.namespace.models.get(&used.name)) {
                    of_model(facts, model, report);
                }
                // Also those that others keep: whoever uses data without an owner hears of it.
                for used in &workload.spec.datasets {
                    if let Some(data) = Data::named(facts, used.namespace.as_deref(), &used.name) {
                        of_asset(facts, About::Dataset(data.dataset), report);
                    }
                }
                let used = workload.spec.prompts.iter();
                for prompt in used.filter_map(|used| facts.namespace.prompts.get(&used.name)) {
                    of_asset(facts, About::Prompt(prompt), report);
                }
            }
        }
        _ => {}
    }
}

/// Whether a party is somebody the cluster's sign-in knows; an address alone answers for nothing.
fn known(party: &Party) -> bool {
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
    given(&party.user) || given(&party.group)
}

/// The roles that the facts imply, each with its reason.
fn implied(facts: &Facts<'_>, workload: &api::AIWorkload) -> Vec<(Role, String)> {
    let mut out = vec![(Role::SystemOperator, "it runs on this cluster".to_owned())];
    let kind = workload.spec.type_;
    if matches!(kind, WorkloadType::Training | WorkloadType::FineTuning) {
        out.push((Role::Developer, format!("type {:?} makes a model", kind.as_str())));
    } else {
        let made_here = workload.spec.models.iter().find(|used| {
            facts.namespace.models.get(&used.name).is_some_and(|model| {
                model.spec.origin == Some(Origin::Internal)
                    || matches!(model.spec.acquisition, Some(Acquisition::Trained | Acquisition::FineTuned))
            })
        });
        if let Some(used) = made_here {
            out.push((Role::Developer, format!("AIModel {:?} was made or adapted here", used.name)));
        }
    }
    if kind == WorkloadType::DataPreparation {
        out.push((Role::DataController, format!("type {:?} writes datasets", kind.as_str())));
    }
    out
}

fn roles(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let mut next = workload.spec.roles.len();
    for (role, why) in implied(facts, workload) {
        if workload.spec.roles.contains(&role) {
            continue;
        }
        let entry = Place::field(Facts::name_of(workload), format!("spec.roles[{next}]"));
        next += 1;
        let claimed: Vec<&str> = workload.spec.roles.iter().map(|role| role.as_str()).collect();
        let place = Place::field(Facts::name_of(workload), "spec.roles").value(claimed.join(", "));
        report
            .violated(place, format!("lacks {role}, though {why}"))
            .under(&["CfV-ROLES"])
            .fix(
                Fix::set_at(&entry, "", role.as_str())
                    .after(format!("name its owner in spec.owners.{}, and add the role", field(role))),
            )
            .in_declaration(facts);
    }
}

fn field(role: Role) -> &'static str {
    match role {
        Role::Developer => "developer",
        Role::SystemOperator => "systemOperator",
        Role::DataController => "dataControllers",
    }
}

fn owners(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let owners = &workload.spec.owners;
    let mut missing = Vec::new();
    if !known(&owners.accountable) {
        missing.push(("accountable", "somebody has to answer for the whole".to_owned()));
    }
    for role in &workload.spec.roles {
        let named = match role {
            Role::Developer => owners.developer.as_ref().is_some_and(known),
            Role::SystemOperator => owners.system_operator.as_ref().is_some_and(known),
            Role::DataController => owners.data_controllers.iter().any(known),
        };
        if !named {
            missing.push((field(*role), format!("spec.roles has {role}")));
        }
    }
    for (field, why) in missing {
        let place = Place::field(Facts::name_of(workload), format!("spec.owners.{field}"));
        let owner = match field {
            "accountable" => Fix::set_at(&place, "", json!({"user": "USER"})),
            "dataControllers" => Fix::set_at(&place, "[0]", json!({"user": "USER"})),
            _ => Fix::set_at(&place, "", json!({"group": "GROUP"})),
        };
        report
            .violated(place, format!("names no user or group, and {why}"))
            .under(&["NCSC-G5"])
            .fix(owner.after("name a user or a group that answers for it"))
            .in_declaration(facts);
    }
}

/// Whoever is named belongs to the organisation, where that says who does.
fn listed(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let Some(organisation) = facts.governance(workload) else { return };
    let Some(people) = &organisation.spec.people else { return };
    let owners = &workload.spec.owners;
    let single = [
        ("accountable", Some(&owners.accountable)),
        ("developer", owners.developer.as_ref()),
        ("systemOperator", owners.system_operator.as_ref()),
        ("security", owners.security.as_ref()),
        ("incident", owners.incident.as_ref()),
    ];
    let controllers = owners.data_controllers.iter().map(|party| ("dataControllers", Some(party)));
    for (field, party) in single.into_iter().chain(controllers) {
        let Some(party) = party else { continue };
        let unknown = |name: &Option<String>, known: &[String]| {
            name.as_ref().filter(|name| !known.is_empty() && !known.contains(name)).cloned()
        };
        let strangers = [
            ("spec.people.users[+]", unknown(&party.user, &people.users)),
            ("spec.people.groups[+]", unknown(&party.group, &people.groups)),
        ];
        for (entry, name) in strangers.into_iter().filter_map(|(entry, name)| Some((entry, name?))) {
            let who = organisation.metadata.name.as_deref().unwrap_or_default();
            report
                .violated(
                    Place::field(Facts::name_of(workload), format!("spec.owners.{field}")).value(&name),
                    format!("is not among the people of AIGovernance {who:?}"),
                )
                .under(&["NCSC-G5", "CoP-5.1"])
                .fix(
                    Fix::set_at(&Place::field(format!("AIGovernance {who}"), entry), "", name)
                        .after("name somebody who is, or let who keeps that list add this one"),
                )
                .in_declaration(facts);
        }
    }
}

/// Owners are looked at again once a year; who has to is warned 30, 7 and 1 days before.
fn confirmed(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let Some(Confirmed { last, days, until }) = owners::confirmed(workload, facts.settings, facts.now) else {
        return;
    };
    if until >= facts.now {
        return;
    }
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let stated = workload.spec.owners.confirmed_at.as_deref();
    let place = Place::field(Facts::name_of(workload), "spec.owners.confirmedAt");
    let fix =
        Fix::set_at(&place, "", day(facts.now)).after("ask the owners whether they still answer for it");
    report
        .violated(
            place.value(stated.unwrap_or_default()),
            format!("owners were named or confirmed last on {}, which counts for {days} days", day(last)),
        )
        .under(&["NCSC-G5"])
        .fix(fix)
        .in_declaration(facts);
}

/// Where a failure does serious harm, whoever builds does not sign off what he built.
fn apart(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let owners = &workload.spec.owners;
    let Some(developer) = &owners.developer else { return };
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    let accountable = &owners.accountable;
    if workload.spec.criticality == Criticality::Critical
        && (same(&accountable.user, &developer.user) || same(&accountable.group, &developer.group))
    {
        let who = accountable.user.as_ref().or(accountable.group.as_ref()).map_or("", String::as_str);
        let place = Place::field(Facts::name_of(workload), "spec.owners.accountable");
        let other = json!({"user": "USER-OTHER-THAN-THE-DEVELOPER"});
        report
            .violated(
                place.clone().value(who),
                "is the developer too, which a critical workload does not allow",
            )
            .under(&["NCSC-G5"])
            .fix(Fix::set_at(&place, "", other).after("let somebody else be accountable"))
            .in_declaration(facts);
    }
}

/// Data and prompts have an owner too.
fn of_asset(facts: &Facts<'_>, about: About<'_>, report: &mut Report<'_>) {
    let owner = match about {
        About::Dataset(dataset) => dataset.spec.owners.as_ref(),
        About::Prompt(prompt) => prompt.spec.owners.as_ref(),
        _ => return,
    };
    if !owner.and_then(|owners| owners.owner.as_ref()).is_some_and(known) {
        let object = format!("{} {}/{}", about.kind(), about.namespace().unwrap_or_default(), about.name());
        report
            .violated(Place::field(object, "spec.owners.owner"), "names no user or group who answers for it")
            .under(&["CoP-5.1", "NCSC-G1"])
            .fix(Fix::Text("set spec.owners.owner to a user or a group".to_owned()))
            .in_declaration(facts);
    }
}

fn of_model(facts: &Facts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    let object = format!(
        "AIModel {}/{}",
        model.metadata.namespace.as_deref().unwrap_or_default(),
        model.metadata.name.as_deref().unwrap_or_default()
    );
    let owner = model.spec.owners.as_ref().and_then(|owners| owners.owner.as_ref());
    if !owner.is_some_and(known) {
        report
            .violated(
                Place::field(&object, "spec.owners.owner"),
                "names no user or group who answers for the model",
            )
            .under(&["CoP-5.1", "NCSC-G1"])
            .fix(
                Fix::set_at(&Place::field(&object, "spec.owners.owner"), "", json!({"group": "GROUP"}))
                    .after("name a user or a group that answers for it"),
            )
            .in_declaration(facts);
    }
    let maintainer = model.spec.maintainer.as_deref().unwrap_or_default();
    if model.spec.origin == Some(Origin::OpenSource) && matches!(maintainer, "" | "none") {
        report
            .violated(
                Place::field(&object, "spec.maintainer").value(maintainer),
                "names nobody who maintains the open model, so no fix will come",
            )
            .under(&["CoP-7.2.1-n1"])
            .fix(
                Fix::set_at(&Place::field(&object, "spec.maintainer"), "", "MAINTAINER")
                    .after("name the project that maintains it, or own where your team does"),
            )
            .in_declaration(facts);
    }
}

#[cfg(test)]
#[path = "tests/owners_accountable.rs"]
mod tests;
