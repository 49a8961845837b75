//! `awareness-and-training-current`: awareness, bulletins and training of all roles are current, and
//! trained people make the changes.

use std::collections::BTreeSet;

use crate::api::workload::Role;
use crate::policy::control::{Check, Control, Gap, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, Question, Shortfall, trained, unnamed, words};
use crate::policy::facts::{Facts, Place};

/// People know the threats and have learnt what their part asks.
pub(super) const CONTROL: Control = Control {
    id: "awareness-and-training-current",
    title: "awareness, bulletins and training of all roles are current, and trained people make the changes",
    room: Room::Governance,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &[
        "CoP-1.1",
        "CoP-1.1.1",
        "CoP-1.1.2",
        "CoP-1.2",
        "CoP-1.2.1",
        "CoP-1.3",
        "CoP-1.3.1",
        "CoP-1.4",
        "NCSC-D1.1",
        "NCSC-P3.4",
        "FC-1",
    ],
    why: "most ways into a system lead through somebody who did not know better",
    remedy: "record the programme, the bulletin or the training as AIEvidence and refer to it from the \
        AIGovernance",
    gaps: &[
        Gap {
            provisions: &[
                "CoP-1.1",
                "CoP-1.1.1",
                "CoP-1.1.2",
                "CoP-1.2",
                "CoP-1.2.1",
                "CoP-1.3",
                "CoP-1.3.1",
                "CoP-1.4",
                "NCSC-D1.1",
                "NCSC-P3.4",
                "FC-1",
            ],
            missing: "the person who changes an asset is not looked up on the training roster",
        },
        Gap {
            provisions: &[
                "CoP-1.1",
                "CoP-1.1.1",
                "CoP-1.1.2",
                "CoP-1.2",
                "CoP-1.2.1",
                "CoP-1.3",
                "CoP-1.3.1",
                "CoP-1.4",
                "NCSC-D1.1",
                "NCSC-P3.4",
                "FC-1",
            ],
            missing: "that awareness reaches contractors is judged only where facts.audience names them",
        },
        Gap {
            provisions: &[
                "CoP-1.1",
                "CoP-1.1.1",
                "CoP-1.1.2",
                "CoP-1.2",
                "CoP-1.2.1",
                "CoP-1.3",
                "CoP-1.3.1",
                "CoP-1.4",
                "NCSC-D1.1",
                "NCSC-P3.4",
                "FC-1",
            ],
            missing: "the rhythm of bulletins is taken from the newest one",
        },
    ],
    limits: &[],
    check: Check::Rule(check),
};

/// Longest time between two reviews of what the awareness programme teaches; the Code sets it, no profile raises it.
const REVIEW_DAYS: i64 = 183;
/// What makes machine learning particular, as `facts.topics` names it.
const PARTICULAR: [&str; 3] = ["data-dependencies", "layered-architecture", "configuration-complexity"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let place = || Place::object(Facts::name_of(workload));
    let mut short = Shortfall::new(facts);
    let Some(organisation) = short.organisation(workload) else {
        short.tell(report, place(), &["CoP-1.1"]);
        return;
    };
    let about = About::Organisation(organisation);
    let audience: Vec<&str> = workload.spec.roles.iter().map(|role| role.as_str()).collect();
    short.hint("audience", audience.iter().map(|role| (*role).to_owned()).collect());
    let programme = Question::of("AwarenessProgramme", about).with(&["audience", "contentReviewedAt"]);
    if let Some(programme) = short.ask(programme) {
        let name = Shortfall::name(programme);
        let left = unnamed(programme, "audience", &audience);
        short.require(left.is_empty(), || format!("{name} does not reach {}", Shortfall::list(&left)));
        let reviewed = words(programme, "contentReviewedAt").first().copied().unwrap_or_default();
        let days = facts.settings.days("awarenessProgramme.reviewEvery", REVIEW_DAYS).min(REVIEW_DAYS);
        let fresh =
            dates::from(reviewed).is_some_and(|at| facts.now.duration_since(at).as_hours() <= days * 24);
        short.require(fresh, || {
            format!("the content of {name} was reviewed on {reviewed:?}, and that counts for {days} days")
        });
    }
    let developer = workload.spec.roles.contains(&Role::Developer);
    let mut topics = None;
    if developer {
        topics = short.ask(Question::of("SecureCodingTraining", about).with(&["topics"]));
        short.hint("topics", PARTICULAR.iter().map(|topic| (*topic).to_owned()).collect());
        if let Some(course) = short.ask(Question::of("MLCharacteristicsTraining", about).with(&["topics"])) {
            let left = unnamed(course, "topics", &PARTICULAR);
            short.require(left.is_empty(), || {
                format!("{} lacks topic {}", Shortfall::name(course), Shortfall::list(&left))
            });
        }
    }
    short.tell(report, place(), &["CoP-1.1", "CoP-1.1.1", "CoP-1.3", "CoP-1.4", "FC-1"]);

    let mut short = Shortfall::new(facts);
    if developer && let Some(bulletin) = short.ask(Question::of("ThreatBulletin", about).with(&["channels"]))
    {
        let channels: BTreeSet<&str> = words(bulletin, "channels").into_iter().collect();
        short.require(channels.len() > 1, || {
            format!("{} went out by one channel only", Shortfall::name(bulletin))
        });
    }
    if let Some(course) = topics {
        let left = unnamed(course, "topics", &["ai-assisted-code-security"]);
        short.require(left.is_empty(), || {
            format!("{} lacks topic ai-assisted-code-security", Shortfall::name(course))
        });
    }
    let accountable = &workload.spec.owners.accountable;
    let (user, group) = (accountable.user.as_deref(), accountable.group.as_deref());
    if !trained(facts, organisation, "LeadershipBriefing", user, group) {
        let who = user.or(group).unwrap_or_default();
        short.require(false, || {
            format!(
                "the LeadershipBriefing of {who:?}, who is accountable, is not on the roster or has ended"
            )
        });
        short.fix(format!("brief {who} and add the entry to spec.training.roster of the AIGovernance"));
    }
    short.tell(report, place(), &["CoP-1.2", "CoP-1.2.1", "CoP-1.3.1", "NCSC-D1.1"]);
}
