//! `user-guidance-published`: guidance on use, forbidden uses, limits and failures is published and
//! current.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::api::AIModel;
use crate::api::common::Audience;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, Question, Shortfall, end_users, unnamed, words};
use crate::policy::facts::{Facts, Place};

/// Users can read how to use it, what it is not for and where it fails.
pub(super) const CONTROL: Control = Control {
    id: "user-guidance-published",
    title: "guidance on use, forbidden uses, limits and failures is published and current",
    room: Room::Documentation,
    wave: 3,
    modes: Modes::new(Mode::Warn, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-4.4", "CoP-4.5", "CoP-10.3", "CoP-10.3.1", "NCSC-D3.17"],
    why: "people misuse and over-trust what nobody explained to them",
    remedy: "publish the guidance and record UserGuidance evidence with its digest and sections",
    gaps: &[],
    limits: &[
        "a page behind https is not fetched: its digest is taken as written; guidance in a ConfigMap or a registry is read again",
        "whether users read it",
    ],
    check: Check::Rule(check),
};

/// What guidance tells, as `facts.sections` names it; `integrate` joins where there is an interface.
const SECTIONS: [&str; 7] =
    ["use", "manage", "configure", "prohibited-uses", "appropriate-use", "limitations", "failure-modes"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    if end_users(workload) == Audience::Nobody {
        return;
    }
    let place = || Place::object(Facts::name_of(workload));
    let mut short = Shortfall::new(facts);
    let prohibited = workload.spec.purpose.as_ref().map(|p| p.prohibited_uses.as_slice()).unwrap_or_default();
    if prohibited.is_empty() {
        short.require(false, || "spec.purpose.prohibitedUses names no use that is not allowed".to_owned());
        short.fix("say what the workload is not for, and what to do instead");
        let use_ = json!([{"use": "USE", "alternative": "WHAT-TO-DO-INSTEAD"}]);
        short.set(Facts::name_of(workload), "spec.purpose.prohibitedUses", use_);
    }
    let mut wanted = SECTIONS.to_vec();
    if !workload.spec.exposure.is_empty() {
        wanted.push("integrate");
    }
    short.hint("sections", wanted.iter().map(|section| (*section).to_owned()).collect());
    let models: Vec<&AIModel> = workload
        .spec
        .models
        .iter()
        .filter_map(|used| facts.namespace.models.get(&used.name).map(AsRef::as_ref))
        .collect();
    let cards: Vec<String> = models.iter().map(|model| card(model)).collect();
    short.hint("cards", cards.iter().map(|card| format!("{card:?}")).collect());
    let question =
        Question::of("UserGuidance", About::Workload(workload)).with(&["sections"]).showing(&["cards"]);
    let guidance = short.ask(question.clone());
    if let Some(guidance) = guidance {
        let left = unnamed(guidance, "sections", &wanted);
        if !left.is_empty() {
            short.require(false, || {
                format!("{} lacks section {}", Shortfall::name(guidance), Shortfall::list(&left))
            });
            short.fix(format!("write {}", Shortfall::list(&left)));
            short.renew(question.clone(), guidance, [Shortfall::also(guidance, "sections", &left)]);
        }
        let issued = dates::until(&guidance.spec.issued_at);
        let named = words(guidance, "cards");
        for (model, card) in models.iter().zip(&cards) {
            let name = || (Shortfall::name(guidance), About::Model(model));
            // Guidance that names the card is bound to what users are told, and a review that leaves that as it is leaves it
            // current. What names none is as old as it is.
            let of_it =
                |known: &&&str| known.split_once('@').map(|(of, _)| of) == model.metadata.name.as_deref();
            match named.iter().find(of_it) {
                Some(known) if *known == card.as_str() => continue,
                Some(_) => short.require(false, || {
                    let (guidance, model) = name();
                    format!("{guidance} was written for another version or card of {model}")
                }),
                None if model.spec.last_reviewed_at.as_deref().and_then(dates::from) > issued => {
                    short.require(false, || {
                        let (guidance, model) = name();
                        format!("{guidance} is older than the newest review of {model}, and facts.cards does not name its card")
                    });
                }
                None => continue,
            }
            short.fix("compare it with the card of the model and publish it anew");
            let cards = cards.iter().map(|card| format!("{card:?}")).collect();
            short.renew(question.clone(), guidance, [("cards", cards)]);
        }
    }
    short.tell(report, place(), &["CoP-4.4", "CoP-4.5", "CoP-10.3", "CoP-10.3.1"]);

    if !prohibited.is_empty() && prohibited.iter().all(|use_| use_.alternative.is_none()) {
        let mut short = Shortfall::new(facts);
        short.require(false, || "no prohibited use comes with what to do instead".to_owned());
        let path = "spec.purpose.prohibitedUses[0].alternative";
        short.set(Facts::name_of(workload), path, "WHAT-TO-DO-INSTEAD");
        short.tell(report, place(), &["NCSC-D3.17"]);
    }
}

/// What users are told of a model, as guidance names it: its name, and the first digits of a digest over its version and what
/// its card says of limits and failures.
fn card(model: &AIModel) -> String {
    let card = model.spec.card.as_ref();
    let told = (&model.spec.version, card.map(|card| (&card.limitations, &card.failure_modes)));
    let digest = hex::encode(Sha256::digest(serde_json::to_vec(&told).unwrap_or_default()));
    format!("{}@{}", model.metadata.name.as_deref().unwrap_or_default(), &digest[..12])
}
