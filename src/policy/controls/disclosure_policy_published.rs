//! `disclosure-policy-published`: people who find a weakness know where to report it and may do so
//! safely.

use crate::api::common::Audience;
use crate::api::governance::Disclosure;
use crate::api::workload::Role;
use crate::policy::control::{Check, Control, Gap, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Question, Shortfall};
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
    gaps: &[
        Gap {
            provisions: &["CoP-6.3", "CoP-11.2.1", "CoP-11.2.1-n1", "NCSC-O4.1", "NCSC-O4.2"],
            missing: "published pages are not fetched or compared",
        },
        Gap {
            provisions: &["CoP-6.3", "CoP-11.2.1", "CoP-11.2.1-n1", "NCSC-O4.1", "NCSC-O4.2"],
            missing: "bulletins are not matched against the digests that run",
        },
    ],
    limits: &[],
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
    if !short.is_empty() {
        short.fix("set policyURL and contact in spec.disclosure of the AIGovernance");
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
            short.fix("name the channels in spec.disclosure.escalation of the AIGovernance");
        }
    }
    short.tell(report, place(), &["CoP-6.3", "CoP-11.2.1"]);

    let mut short = Shortfall::new(facts);
    if organisation.spec.communities.is_empty() {
        short.require(false, || format!("{about} names no community in which it shares what it learns"));
        short.fix("name one in spec.communities of the AIGovernance");
    }
    if workload.spec.exposure.iter().any(|e| e.audience >= Some(Audience::Partner)) {
        short.require(policy.safe_harbour == Some(true), || {
            format!("{about} does not promise safety to those who report in good faith")
        });
        short.require(!policy.scope.is_empty(), || {
            format!("spec.disclosure.scope of {about} names no system that may be examined")
        });
        short.fix("set safeHarbour and scope in spec.disclosure of the AIGovernance");
    }
    short.tell(report, place(), &["NCSC-O4.1", "NCSC-O4.2"]);
}
