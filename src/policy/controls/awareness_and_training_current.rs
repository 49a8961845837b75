//! `awareness-and-training-current`: awareness, bulletins and training of all roles are current, and
//! trained people make the changes.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::api::AIWorkload;
use crate::api::model::Origin;
use crate::api::workload::{Role, WorkloadType};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, EVER, Question, Shortfall, all, enrol, kind, trained, unnamed, words};
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
/// What training in safe code has to treat today.
const ASSISTED: &str = "ai-assisted-code-security";

/// Courses of those who make and change models and prompts, and the provisions that ask for each.
const COURSES: [(&str, &[&str]); 2] =
    [("SecureCodingTraining", &["CoP-1.3"]), ("MLCharacteristicsTraining", &["CoP-1.4"])];
/// Bulletins by which the rhythm is told.
const RHYTHM: usize = 4;

#[expect(clippy::too_many_lines, reason = "one list, read from top to bottom")]
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
    let programme = Question::of("AwarenessProgramme", about)
        .with(&["audience", "contentReviewedAt"])
        .showing(&["deliveredWithin", "spec.owner"]);
    short.hint("deliveredWithin", vec!["HOW-IT-IS-TAUGHT".to_owned()]);
    let held = short.ask(programme.clone());
    if let Some(held) = held {
        let name = Shortfall::name(held);
        let owner = held.spec.owner.as_ref();
        let kept = owner.is_some_and(|party| party.user.is_some() || party.group.is_some());
        if !kept {
            short.require(false, || format!("spec.owner of {name} names no user or group who keeps it"));
            short.renew(programme.clone(), held, []);
        }
        let left = unnamed(held, "audience", &audience);
        if !left.is_empty() {
            short.require(false, || format!("{name} does not reach {}", Shortfall::list(&left)));
            short.renew(programme.clone(), held, [Shortfall::also(held, "audience", &left)]);
        }
        let reviewed = words(held, "contentReviewedAt").first().copied().unwrap_or_default();
        let days = facts.settings.days("awarenessProgramme.reviewEvery", REVIEW_DAYS).min(REVIEW_DAYS);
        let fresh =
            dates::from(reviewed).is_some_and(|at| facts.now.duration_since(at).as_hours() <= days * 24);
        if !fresh {
            short.require(false, || {
                format!("the content of {name} was reviewed on {reviewed:?}, and that counts for {days} days")
            });
            short.fix("review what is taught");
            short.renew(programme.clone(), held, [("contentReviewedAt", Vec::new())]);
        }
    }
    let developer = workload.spec.roles.contains(&Role::Developer);
    let coding = Question::of("SecureCodingTraining", about).with(&["topics"]);
    let mut topics = None;
    if developer {
        topics = short.ask(coding.clone());
        short.hint_of("SecureCodingTraining", "topics", vec![ASSISTED.to_owned()]);
        short.hint("topics", PARTICULAR.iter().map(|topic| (*topic).to_owned()).collect());
        let particular = Question::of("MLCharacteristicsTraining", about).with(&["topics"]);
        if let Some(course) = short.ask(particular.clone()) {
            let left = unnamed(course, "topics", &PARTICULAR);
            if !left.is_empty() {
                short.require(false, || {
                    format!("{} lacks topic {}", Shortfall::name(course), Shortfall::list(&left))
                });
                short.renew(particular, course, [Shortfall::also(course, "topics", &left)]);
            }
        }
    }
    short.tell(report, place(), &["CoP-1.1", "CoP-1.1.1", "CoP-1.3", "CoP-1.4", "FC-1"]);

    if let Some(held) = held {
        let mut short = Shortfall::new(facts);
        let told = words(held, "deliveredWithin").first().copied().unwrap_or_default();
        if !matches!(told, "standalone" | "infosecTraining") {
            short.require(false, || {
                format!("{} does not say in facts.deliveredWithin how it is taught", Shortfall::name(held))
            });
            short.fix("say whether it is taught as standalone or as infosecTraining");
            short.renew(programme, held, [("deliveredWithin", vec!["HOW-IT-IS-TAUGHT".to_owned()])]);
        }
        short.tell(report, place(), &["CoP-1.1.2"]);
    }

    let mut short = Shortfall::new(facts);
    let question = Question::of("ThreatBulletin", about).with(&["channels"]);
    if developer && let Some(bulletin) = short.ask(question.clone()) {
        let channels: BTreeSet<&str> = words(bulletin, "channels").into_iter().collect();
        if channels.len() < 2 {
            short.require(false, || format!("{} went out by one channel only", Shortfall::name(bulletin)));
            short.renew(question, bulletin, [Shortfall::also(bulletin, "channels", &["OTHER-CHANNEL"])]);
        }
        rhythm(facts, about, &mut short);
    }
    if let Some(course) = topics
        && !unnamed(course, "topics", &[ASSISTED]).is_empty()
    {
        short.require(false, || format!("{} lacks topic {ASSISTED}", Shortfall::name(course)));
        short.renew(coding, course, [Shortfall::also(course, "topics", &[ASSISTED])]);
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
        enrol(&mut short, organisation, "LeadershipBriefing", user, group);
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
