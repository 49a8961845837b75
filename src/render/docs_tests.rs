//! The pages say what is true of the controls they are given, gaps included.

use super::{controls_page, coverage_page};
use crate::policy::code::{PROVISIONS, Provision, provision};
use crate::policy::control::{Check, Control, Gap, Mode, Modes, Room};
use crate::render::coverage::{Coverage, Missing, State, Tally, coverage};

const WHOLE: Control = Control {
    id: "supplier-assured",
    title: "every supplier is known",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Warn, Mode::Audit),
    provisions: &["CoP-2.6", "CoP-3.4"],
    why: "somebody must have looked",
    remedy: "name the supplier",
    gaps: &[],
    limits: &["whether a reviewer was awake"],
    check: Check::Rule(|_, _| {}),
};
const GAPPY: Control = Control {
    gaps: &[
        Gap { provisions: &["CoP-2.6"], missing: "dates are not compared" },
        Gap { provisions: &["CoP-2.6"], missing: "a|b is not parsed" },
    ],
    ..WHOLE
};
const ABSENT: Control =
    Control { id: "risk-acceptance-current", room: Room::Governance, check: Check::NotImplemented, ..WHOLE };

fn answer(id: &str, controls: &[&'static Control]) -> Option<(State, Vec<Missing>)> {
    let found: &'static Provision = provision(id)?;
    let Coverage { state, missing, .. } = coverage(found, controls);
    Some((state, missing))
}

#[test]
fn a_provision_is_decided_only_when_all_its_controls_run_without_gaps() {
    let none = Vec::new();
    assert_eq!(answer("CoP-2.6", &[&WHOLE]), Some((State::Decided, none.clone())));
    assert_eq!(
        answer("CoP-2.6", &[&GAPPY]),
        Some((
            State::Partly,
            vec![
                Missing::Part("supplier-assured", "dates are not compared"),
                Missing::Part("supplier-assured", "a|b is not parsed"),
            ]
        ))
    );
    assert_eq!(
        answer("CoP-3.4", &[&GAPPY]),
        answer("CoP-3.4", &[&WHOLE]),
        "a gap leaves open only the provisions that it names"
    );
    let without = vec![Missing::Control("risk-acceptance-current")];
    assert_eq!(answer("CoP-3.4", &[&WHOLE, &ABSENT]), Some((State::Partly, without.clone())));
    assert_eq!(
        answer("CoP-3.4", &[&WHOLE]),
        Some((State::Partly, without)),
        "one that nobody wrote counts the same"
    );
    assert_eq!(answer("CoP-3.5", &[&ABSENT]).map(|(state, _)| state), Some(State::NotYet));
    assert_eq!(answer("CfV-ENDUSER", &[&WHOLE]), Some((State::OutOfReach, none)));
}

#[test]
fn the_coverage_page_counts_every_provision_and_names_what_is_missing() {
    let page = coverage_page(&[&GAPPY, &ABSENT]);
    for provision in PROVISIONS {
        let rows = page.lines().filter(|line| line.starts_with(&format!("| {} |", provision.id))).count();
        assert_eq!(rows, 1, "{} has {rows} rows", provision.id);
    }
    let answers: Vec<Coverage> = PROVISIONS.iter().map(|one| coverage(one, &[&GAPPY, &ABSENT])).collect();
    let [decided, partly, not_yet, out] = Tally::of(&answers).counts();
    assert_eq!((decided, out, partly + not_yet), (1, 2, 149));
    assert!(page.contains(&format!("| **all provisions** | 1 | {partly} | {not_yet} | 2 | 152 |")), "{page}");
    assert!(page.contains("| partly | [supplier-assured](controls.md#supplier-assured) | supplier-assured: dates are not compared; a\\|b is not parsed |"), "{page}");
    assert!(page.contains("no check yet: risk-acceptance-current"), "{page}");
    assert!(page.contains("*Left to people: "), "{page}");
}

#[test]
fn the_controls_page_shows_reason_remedy_modes_provisions_and_gaps() {
    let page = controls_page(&[&GAPPY, &ABSENT]);
    assert!(page.contains("1 of 2 controls have a check"), "{page}");
    assert!(page.contains("\n## supplier-assured\n\nHolds when every supplier is known.\n"), "{page}");
    assert!(
        page.contains(
            "- Why: somebody must have looked\n- Fix: name the supplier\n- State: checked in part\n"
        )
    );
    assert!(page.contains("| enforce | enforce | warn | audit |"), "{page}");
    assert!(page.contains("- `CoP-2.6` (shall) outside model providers are examined before use\n"), "{page}");
    assert!(page.contains("Not checked yet:\n\n- dates are not compared (leaves open CoP-2.6)\n- a|b is not parsed (leaves open CoP-2.6)\n"), "{page}");
    assert!(page.contains("Cannot be seen from a cluster:\n\n- whether a reviewer was awake\n"), "{page}");
    assert!(page.contains(
        "| [risk-acceptance-current](#risk-acceptance-current) | every supplier is known | no check yet |"
    ));
}
