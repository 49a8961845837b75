//! `awareness-and-training-current`: awareness, bulletins and training of all roles are current, and
//! trained people make the changes.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::api::AIWorkload;
use crate::api::model::Origin;
use crate::api::workload::{Role, WorkloadType};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, EVER, Question, Shortfall, all, kind, trained, unnamed, words};
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;

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
    gaps: &[],
    limits: &[
        "whether people understood what they were taught",
        "who changes an asset is looked up when it is written; the audit cannot know who asked",
        "developers whose work never touches the API server of this cluster",
    ],
    check: Check::Rule(check),
};

/// Longest time between two reviews of what the awareness programme teaches; the Code sets it, no profile raises it.
const REVIEW_DAYS: i64 = 183;
/// What makes machine learning particular, as `facts.topics` names it.
const PARTICULAR: [&str; 3] = ["data-dependencies", "layered-architecture", "configuration-complexity"];

/// Courses of those who make and change models and prompts, and the provisions that ask for each.
const COURSES: [(&str, &[&str]); 2] =
    [("SecureCodingTraining", &["CoP-1.3"]), ("MLCharacteristicsTraining", &["CoP-1.4"])];
/// Bulletins by which the rhythm is told.
const RHYTHM: usize = 4;

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    writer(facts, report);
    let Some(workload) = facts.ai_workload() else { return };
    let place = || Place::object(Facts::name_of(workload));
    let mut short = Shortfall::new(facts);
    let Some(organisation) = short.organisation(workload) else {
        short.tell(report, place(), &["CoP-1.1"]);
        return;
    };
    let about = About::Organisation(organisation);
    let mut audience: Vec<&str> = workload.spec.roles.iter().map(|role| role.as_str()).collect();
    if organisation.spec.people.as_ref().is_some_and(|people| !people.outside.is_empty()) {
        audience.push("contractors");
    }
    short.hint("audience", audience.iter().map(|role| (*role).to_owned()).collect());
    let programme = Question::of("AwarenessProgramme", about).with(&["audience", "contentReviewedAt"]);
    let programme = short.ask(programme);
    if let Some(programme) = programme {
        let name = Shortfall::name(programme);
        let owner = programme.spec.owner.as_ref();
        let kept = owner.is_some_and(|party| party.user.is_some() || party.group.is_some());
        short.require(kept, || format!("spec.owner of {name} names no user or group who keeps it"));
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

    if let Some(programme) = programme {
        let mut short = Shortfall::new(facts);
        let told = words(programme, "deliveredWithin").first().copied().unwrap_or_default();
        short.require(matches!(told, "standalone" | "infosecTraining"), || {
            format!("{} does not say in facts.deliveredWithin how it is taught", Shortfall::name(programme))
        });
        short.fix("set facts.deliveredWithin: standalone or infosecTraining");
        short.tell(report, place(), &["CoP-1.1.2"]);
    }

    let mut short = Shortfall::new(facts);
    if developer && let Some(bulletin) = short.ask(Question::of("ThreatBulletin", about).with(&["channels"]))
    {
        let channels: BTreeSet<&str> = words(bulletin, "channels").into_iter().collect();
        short.require(channels.len() > 1, || {
            format!("{} went out by one channel only", Shortfall::name(bulletin))
        });
        rhythm(facts, about, &mut short);
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

/// Whether bulletins come often enough: the mean time between the newest few.
fn rhythm<'a>(facts: &Facts<'a>, about: About<'a>, short: &mut Shortfall<'_, 'a>) {
    let limit = kind("ThreatBulletin").and_then(|kind| kind.limit(facts.settings)).unwrap_or(92);
    let bulletins = all(facts, &Question::of("ThreatBulletin", about).within(EVER));
    let days: Vec<Timestamp> =
        bulletins.iter().take(RHYTHM).filter_map(|one| dates::from(&one.spec.issued_at)).collect();
    let (Some(newest), Some(oldest)) = (days.first(), days.last()) else { return };
    let gaps = i64::try_from(days.len()).unwrap_or(1) - 1;
    if gaps < 1 {
        return;
    }
    let mean = newest.duration_since(*oldest).as_hours() / 24 / gaps;
    short.require(mean <= limit, || {
        format!(
            "the last {} bulletins of {about} came {mean} days apart, and {limit} are allowed",
            days.len()
        )
    });
}

/// Whoever makes or changes a model, a prompt or what trains models has learnt how, where the organisation develops.
fn writer(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(requester) = facts.requester else { return };
    let uses = |name: &str, prompt: bool, workload: &AIWorkload| {
        let spec = &workload.spec;
        spec.roles.contains(&Role::Developer)
            && if prompt {
                spec.prompts.iter().any(|used| used.name == name)
            } else {
                spec.models.iter().any(|used| used.name == name)
            }
    };
    let workloads = || facts.namespace.workloads.values().map(AsRef::as_ref);
    let (about, workload) = match facts.subject {
        Subject::Workload(workload)
            if matches!(workload.spec.type_, WorkloadType::Training | WorkloadType::FineTuning) =>
        {
            (About::Workload(workload), Some(workload))
        }
        Subject::Model(model) => {
            let about = About::Model(model);
            (about, workloads().find(|workload| uses(about.name(), false, workload)))
        }
        Subject::Prompt(prompt) => {
            let about = About::Prompt(prompt);
            (about, workloads().find(|workload| uses(about.name(), true, workload)))
        }
        _ => return,
    };
    // Which organisation it is tells the declaration that uses it; a model made here belongs to the only one.
    let made_here =
        matches!(facts.subject, Subject::Model(model) if model.spec.origin == Some(Origin::Internal));
    let organisation = match workload {
        Some(workload) => facts.governance(workload),
        None if made_here && facts.cluster.governances.len() == 1 => {
            facts.cluster.governances.values().next().map(AsRef::as_ref)
        }
        None => None,
    };
    let Some(organisation) = organisation else { return };
    for (course, provisions) in COURSES {
        let mut learnt = trained(facts, organisation, course, Some(requester.user), None);
        for group in requester.groups {
            learnt = learnt || trained(facts, organisation, course, None, Some(group));
        }
        if !learnt {
            let place = Place::object(format!(
                "{} {}/{}",
                about.kind(),
                about.namespace().unwrap_or(&facts.namespace.name),
                about.name()
            ));
            report
                .violated(
                    place,
                    format!(
                        "is written by {:?}, for whom no current {course} is on the roster of {}",
                        requester.user,
                        About::Organisation(organisation)
                    ),
                )
                .under(provisions)
                .fix(Fix::Text(format!(
                    "let somebody who is trained write it, or add the user or a group of theirs with {course} to \
                     spec.training.roster of the AIGovernance"
                )));
        }
    }
}

#[cfg(test)]
#[path = "tests/awareness_and_training_current.rs"]
mod tests;
