//! `disclosure-policy-published`: people who find a weakness know where to report it and may do so
//! safely.

use jiff::SignedDuration;
use serde_json::json;

use crate::api::common::Audience;
use crate::api::governance::Disclosure;
use crate::api::workload::Role;
use crate::api::{AIGovernance, AIWorkload};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, EVER, Question, Shortfall, all, words};
use crate::policy::facts::{Facts, Place};

/// Whoever finds a weakness knows where to report it.
pub(super) const CONTROL: Control = Control {
    id: "disclosure-policy-published",
    title: "people who find a weakness know where to report it and may do so safely",
    room: Room::Governance,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-6.3", "CoP-11.2.1", "CoP-11.2.1-n1", "NCSC-O4.1", "NCSC-O4.2"],
    why: "somebody will find the hole, and a published address decides who hears first",
    remedy: "publish a policy with contact and safe harbour, and record DisclosurePolicy evidence on the \
        AIGovernance",
    gaps: &[],
    limits: &[
        "pages behind https are not fetched: that a policy, a security.txt or a bulletin is there is taken from its evidence",
        "how an organisation takes part in a community",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let place = || Place::object(Facts::name_of(workload));
    let mut short = Shortfall::new(facts);
    let Some(organisation) = short.organisation(workload) else {
        short.tell(report, place(), &["CoP-6.3"]);
        return;
    };
    let about = About::Organisation(organisation);
    let unstated = Disclosure::default();
    let policy = organisation.spec.disclosure.as_ref().unwrap_or(&unstated);
    let published = policy.policy_url.as_deref().is_some_and(|url| url.starts_with("https://"));
    short
        .require(published, || format!("spec.disclosure.policyURL of {about} is no published https address"));
    short.require(policy.contact.is_some(), || {
        format!("spec.disclosure of {about} names no contact for reports")
    });
    if !published {
        short.set(about.object(), "spec.disclosure.policyURL", "https://POLICY");
    }
    if policy.contact.is_none() {
        short.set(about.object(), "spec.disclosure.contact", "mailto:CONTACT");
    }
    short.ask(Question::of("DisclosurePolicy", about));
    if workload.spec.roles.contains(&Role::Developer) {
        let reaches = policy.escalation.as_ref().is_some_and(|way| !way.channels.is_empty());
        if !reaches {
            short.require(false, || {
                format!(
                    "spec.disclosure.escalation of {about} names no channel by which others at risk are told"
                )
            });
            short.set(about.object(), "spec.disclosure.escalation.channels", json!(["CHANNEL"]));
        }
    }
    short.tell(report, place(), &["CoP-6.3", "CoP-11.2.1"]);

    let mut short = Shortfall::new(facts);
    if organisation.spec.communities.is_empty() {
        short.require(false, || format!("{about} names no community in which it shares what it learns"));
        short.set(
            about.object(),
            "spec.communities",
            json!([{"name": "COMMUNITY", "confirmedAt": "YYYY-MM-DD"}]),
        );
    } else {
        let year = SignedDuration::from_hours(365 * 24);
        let fresh = organisation.spec.communities.iter().any(|community| {
            let days = [community.confirmed_at.as_deref(), community.since.as_deref()];
            let days = days.into_iter().flatten().filter_map(dates::until);
            days.max().is_some_and(|at| facts.now.duration_since(at) <= year)
        });
        if !fresh {
            short.require(false, || {
                format!("{about} did not confirm within the year that it takes part in one")
            });
            short.fix("ask one whether it still takes part");
            short.set(about.object(), "spec.communities[0].confirmedAt", "YYYY-MM-DD");
        }
    }
    if workload.spec.exposure.iter().any(|e| e.audience >= Some(Audience::Partner)) {
        short.require(policy.safe_harbour == Some(true), || {
            format!("{about} does not promise safety to those who report in good faith")
        });
        short.require(!policy.scope.is_empty(), || {
            format!("spec.disclosure.scope of {about} names no system that may be examined")
        });
        if policy.safe_harbour != Some(true) {
            short.set(about.object(), "spec.disclosure.safeHarbour", true);
        }
        if policy.scope.is_empty() {
            short.set(about.object(), "spec.disclosure.scope", json!(["SYSTEM"]));
        }
    }
    short.tell(report, place(), &["NCSC-O4.1", "NCSC-O4.2"]);
    in_scope(facts, workload, policy).tell(report, place(), &["NCSC-O4.2"]);
    bulletins(facts, workload, organisation, report);
}

/// Whether what others reach is among the systems that may be examined: by its name, by the Service, or by a host that an
/// Ingress or a route would give it.
fn in_scope<'f, 'a>(facts: &'f Facts<'a>, workload: &AIWorkload, policy: &Disclosure) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    // That there is no scope at all is told already. A host or a word for everything cannot be told from others.
    let (home, name) = (&facts.namespace.name, workload.metadata.name.as_deref().unwrap_or_default());
    let whole = format!("{home}/{name}");
    let all = |system: &String| system.contains('.') || *system == whole || system == name || system == "*";
    if policy.scope.is_empty() || policy.scope.iter().any(all) {
        return short;
    }
    for exposure in workload.spec.exposure.iter().filter(|e| e.audience >= Some(Audience::Partner)) {
        let named = |system: &String| {
            *system == exposure.name || Some(system.as_str()) == exposure.service.as_deref()
        };
        if !policy.scope.iter().any(named) {
            short.require(false, || {
                format!("exposure {:?} is in no scope of those who look for weaknesses", exposure.name)
            });
            short.fix(format!("add {whole} or the host under which it is reached to spec.disclosure.scope"));
        }
    }
    short
}

/// Bulletins that name what runs here, and what a bulletin has to tell.
fn bulletins<'a>(
    facts: &Facts<'a>,
    workload: &'a AIWorkload,
    organisation: &'a AIGovernance,
    report: &mut Report<'_>,
) {
    let of_organisation = Question::of("UpdateNotice", About::Organisation(organisation)).within(EVER);
    let mut notices = all(facts, &of_organisation);
    notices.extend(all(facts, &Question::of("UpdateNotice", About::Workload(workload)).within(EVER)));
    for used in &workload.spec.models {
        let Some(model) = facts.namespace.models.get(&used.name) else { continue };
        notices.extend(all(facts, &Question::of("UpdateNotice", About::Model(model)).within(EVER)));
    }
    if notices.is_empty() {
        return;
    }
    let models = workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name));
    let mut running: Vec<&str> = models.filter_map(|model| model.spec.digest.as_deref()).collect();
    if let Some(pod) = facts.pod() {
        running.extend(pod.images().filter_map(|image| Some(image.reference.rsplit_once('@')?.1)));
    }
    let mut short = Shortfall::new(facts);
    for notice in notices {
        let kind = words(notice, "kind").first().copied().unwrap_or_default();
        if !matches!(kind, "securityFix" | "noFixAvailable") {
            continue;
        }
        let name = Shortfall::name(notice);
        let told = !words(notice, "ids").is_empty() || !words(notice, "cve").is_empty();
        short.require(told && !words(notice, "cwe").is_empty(), || {
            format!("{name} does not identify the weakness by facts.ids and facts.cwe")
        });
        let affected = words(notice, "affectedDigests");
        short.require(!affected.is_empty(), || format!("{name} names no facts.affectedDigests"));
        // Where there is no fix yet, it runs on, and those whom it concerns are told.
        let fixed = kind == "securityFix";
        if let Some(digest) = affected.iter().find(|digest| fixed && running.contains(digest)) {
            short.require(false, || format!("{name} tells of a weakness in {digest}, which runs here"));
            short.fix("replace what the bulletin names by what it says is not affected");
        }
    }
    short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-11.2.1-n1"]);
}
