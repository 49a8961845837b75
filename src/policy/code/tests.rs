//! What must hold for every provision, whatever it says.

use std::collections::BTreeSet;

use regex::Regex;

use super::{
    Class, DRAFT_PRINCIPLES, Effect, FINAL_PRINCIPLES, PROVISIONS, Provision, Source, Stage, Strength,
    provision,
};

fn count(keep: impl Fn(&Provision) -> bool) -> usize {
    PROVISIONS.iter().filter(|provision| keep(provision)).count()
}

#[test]
fn ids_are_unique_and_name_their_source() {
    let draft = Regex::new(r"^CoP-(\d{1,2})\.\d(\.\d)?(-n\d)?$").unwrap();
    let ncsc = Regex::new(r"^NCSC-[GDVPO]\d(\.\d{1,2})?$").unwrap();
    let views = Regex::new(r"^CfV-[A-Z]+$").unwrap();
    let rest = Regex::new(r"^(LTR|FC|ETSI)-\d{1,2}$").unwrap();
    let mut seen = BTreeSet::new();
    for provision in PROVISIONS {
        let id = provision.id;
        assert!(seen.insert(id), "{id} stands twice");
        let fits = match provision.source {
            Source::DraftCode => draft.is_match(id),
            Source::Ncsc => ncsc.is_match(id),
            Source::CallForViews => views.is_match(id),
            Source::Letter => rest.is_match(id) && id.starts_with("LTR"),
            Source::FinalCode => rest.is_match(id) && id.starts_with("FC"),
            Source::Etsi => rest.is_match(id) && id.starts_with("ETSI"),
        };
        assert!(fits, "{id} is no id of the {}", provision.source.as_str());
        let principle = draft.captures(id).map(|found| found[1].parse::<u8>().unwrap());
        assert_eq!(provision.draft_principle, principle, "{id}");
    }
}

#[test]
fn titles_are_unique_short_and_statements() {
    let mut seen = BTreeSet::new();
    for Provision { id, title, summary, .. } in PROVISIONS {
        assert!(seen.insert(title), "{id}: the title \"{title}\" stands twice");
        assert!((10..=70).contains(&title.len()), "{id}: the title has {} characters", title.len());
        assert!(title.is_ascii() && !title.ends_with('.'), "{id}: {title}");
        let first = title.split(' ').next().unwrap_or_default();
        assert!(first.starts_with(char::is_lowercase) || first == "AI", "{id}: {title}");
        assert!(summary.ends_with('.') && summary.len() <= 160, "{id}: {summary}");
        assert_eq!(summary.matches(". ").count(), 0, "{id} says more than one sentence");
        assert!(!summary.contains("  "), "{id}: {summary}");
    }
}

#[test]
fn counts_per_source_are_those_of_the_sources() {
    let note = |provision: &Provision| provision.id.contains("-n");
    assert_eq!(PROVISIONS.len(), 152);
    assert_eq!(count(|one| one.source == Source::DraftCode && !note(one)), 73);
    assert_eq!(count(|one| one.source == Source::DraftCode && note(one)), 23);
    assert_eq!(count(|one| one.source == Source::Ncsc), 38);
    assert_eq!(count(|one| matches!(one.source, Source::CallForViews | Source::Letter)), 9);
    assert_eq!(count(|one| matches!(one.source, Source::FinalCode | Source::Etsi)), 9);
    assert_eq!(count(|one| one.strength == Strength::Shall), 57);
    assert_eq!(count(|one| one.strength == Strength::Should), 68);
    assert_eq!(count(|one| one.strength == Strength::Can), 27);
    assert_eq!(count(|one| one.class == Class::Admission), 46);
    assert_eq!(count(|one| one.class == Class::Controller), 17);
    assert_eq!(count(|one| one.class == Class::Evidence), 87);
    assert_eq!(count(|one| one.class == Class::OutOfReach), 2);
    assert_eq!(count(|one| one.out_of_reach.is_some()), 29);
    for (principle, expected) in (1..).zip([8, 8, 9, 6, 5, 6, 6, 4, 7, 5, 5, 4]) {
        let found = count(|one| one.draft_principle == Some(principle) && !note(one));
        assert_eq!(found, expected, "draft principle {principle}");
    }
}

#[test]
fn what_is_out_of_reach_says_so_and_all_else_has_a_control() {
    for provision in PROVISIONS {
        let id = provision.id;
        if provision.class == Class::OutOfReach {
            assert!(provision.controls.is_empty() && provision.out_of_reach.is_some(), "{id}");
        } else {
            assert!(!provision.controls.is_empty(), "{id} is held by no control");
            assert!(!provision.stages.is_empty(), "{id} applies in no stage");
        }
        let distinct: BTreeSet<_> = provision.controls.iter().collect();
        assert_eq!(distinct.len(), provision.controls.len(), "{id} names a control twice");
        assert!(!provision.roles.is_empty(), "{id} binds nobody");
    }
}

#[test]
fn effects_follow_strength_and_class() {
    for provision in PROVISIONS {
        let Provision { id, strength, class, effect, .. } = provision;
        if *strength == Strength::Shall && matches!(class, Class::Admission | Class::Evidence) {
            let denies = matches!(effect.baseline, Effect::Deny | Effect::FindingThenDeny);
            assert!(
                denies,
                "{id}: a requirement that can be decided denies, at the next rollout at the latest"
            );
        }
        if *strength == Strength::Can && *class == Class::Evidence {
            assert_eq!(effect.baseline, Effect::Info, "{id}: a possibility on paper never stops anybody");
        }
        if effect.baseline == Effect::Deny {
            assert_eq!(effect.strict, Effect::Deny, "{id}: strict is never softer");
        }
    }
}

#[test]
fn final_principles_and_stages_are_all_covered() {
    for principle in 1..=FINAL_PRINCIPLES.len() {
        let number = u8::try_from(principle).unwrap();
        assert!(count(|one| one.final_principles.contains(&number)) > 0, "final principle {principle}");
    }
    for provision in PROVISIONS {
        assert!(
            provision.final_principles.iter().all(|number| (1..=13).contains(number)),
            "{}",
            provision.id
        );
        assert!(provision.draft_principle.is_none_or(|number| usize::from(number) <= DRAFT_PRINCIPLES.len()));
    }
    let by_stage = Stage::ALL.map(|stage| count(|one| one.stages.contains(&stage)));
    assert_eq!(by_stage, [70, 55, 59, 42, 6]);
}

#[test]
fn a_provision_is_found_by_its_id_alone() {
    assert_eq!(provision("CoP-5.2").map(|one| one.reference), Some("5.2"));
    assert_eq!(provision("CoP-2.5-n1").map(|one| one.strength), Some(Strength::Shall));
    assert!(provision("cop-5.2").is_none());
    assert!(provision("CoP-5.9").is_none());
}
