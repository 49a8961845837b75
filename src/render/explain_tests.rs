//! What a refused person reads: found by any name they were shown, complete, and honest about what is not checked.

use super::{NEVER_EXEMPT, Subject, WIDTH, control, exemption, find, list, provision};
use crate::api::AIExemption;
use crate::policy::code;
use crate::policy::control::{Check, Control, Gap, Mode, Modes, Room};

const SIGNED: Control = Control {
    id: "image-signature-trusted",
    title: "every image digest carries a signature by an authority that the trust policy names for its repository",
    room: Room::SupplyChain,
    wave: 1,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-5.2", "CoP-7.1", "NCSC-O3.2"],
    why: "a signature ties the bytes that run to the people who answer for them",
    remedy: "sign the image with a key of the trust policy",
    gaps: &[Gap { provisions: &["CoP-5.2"], missing: "keys in hardware are not told apart" }],
    limits: &["where a key was made"],
    check: Check::Rule(|_, _| {}),
};
const LATER: Control = Control {
    id: "failover-ready",
    room: Room::Lifecycle,
    wave: 3,
    gaps: &[],
    check: Check::NotImplemented,
    ..SIGNED
};
const CONTROLS: &[&Control] = &[&SIGNED, &LATER];

#[test]
fn a_control_is_found_by_id_in_any_case_and_by_the_reason_of_an_event() {
    for name in ["image-signature-trusted", "Image-Signature-Trusted", "ImageSignatureTrusted"] {
        let found = find(name, CONTROLS);
        assert!(
            matches!(found, Ok(Subject::Control(control)) if control.id == SIGNED.id),
            "{name}: {found:?}"
        );
    }
    assert!(matches!(find("cop-5.2", CONTROLS), Ok(Subject::Provision(found)) if found.id == "CoP-5.2"));
}

#[test]
fn a_name_that_is_nearly_right_leads_to_the_right_one() {
    assert_eq!(
        find("image-signature-trust", CONTROLS).unwrap_err().first(),
        Some(&"image-signature-trusted")
    );
    assert_eq!(find("failover", CONTROLS).unwrap_err(), ["failover-ready"]);
    assert!(find("quite something else entirely", CONTROLS).unwrap_err().is_empty());
    assert!(find("", CONTROLS).unwrap_err().is_empty());
}

#[test]
fn a_control_says_why_how_where_what_and_what_not() {
    let text = control(&SIGNED);
    assert!(text.starts_with("image-signature-trusted\n  every image digest carries"), "{text}");
    assert!(
        text.contains("\nWhy\n  a signature ties the bytes that run to the people who answer for them\n"),
        "{text}"
    );
    assert!(text.contains("\nHow to fix it\n  sign the image with a key of the trust policy\n"), "{text}");
    assert!(text.contains("  production                  refused\n"), "{text}");
    assert!(text.contains("  research                    admitted with a warning\n"), "{text}");
    assert!(text.contains("profiles core, code and strict"), "{text}");
    assert!(
        text.contains("  CoP-5.2        assets are tracked, authenticated, versioned and secured (shall)\n"),
        "{text}"
    );
    assert!(
        text.contains("\nWhat it does not check yet\n  - keys in hardware are not told apart\n"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.len() <= WIDTH + 8), "{text}");
}

#[test]
fn a_control_without_a_check_says_that_it_refuses_nothing() {
    let text = control(&LATER);
    assert!(text.contains("nothing: it has no check yet"), "{text}");
    assert!(!text.contains("refused\n"), "{text}");
}

#[test]
fn a_provision_says_what_it_asks_of_whom_and_how_far_it_is_decided() {
    let text = provision(code::provision("CoP-7.3").unwrap(), CONTROLS);
    assert!(text.contains("\nWhat it asks\n  A mission-critical system has an alternative ready"), "{text}");
    assert!(text.contains("  stands in      draft Code, 7.3\n"), "{text}");
    assert!(text.contains("\nHow far it is decided: not yet\n"), "{text}");
    assert!(text.contains("    - has no check yet\n"), "{text}");

    let text = provision(code::provision("CfV-MON").unwrap(), CONTROLS);
    assert!(text.contains("\nHow far it is decided: out of reach\n"), "{text}");
    assert!(text.contains("\nWhy nobody can decide it\n  acts of government"), "{text}");
}

#[test]
fn the_list_groups_controls_by_room_and_marks_those_without_a_check() {
    let text = list(CONTROLS);
    assert!(text.starts_with("supply-chain\n  image-signature-trusted  every image"), "{text}");
    assert!(text.contains("\nlifecycle\n- failover-ready "), "{text}");
}

#[test]
fn an_exemption_is_an_object_that_can_be_filled_in_and_applied() {
    let text = exemption(&SIGNED);
    let filled = text.replace("YYYY-MM-DD", "2026-01-31").replace("DIGEST", &"a".repeat(64));
    let object: AIExemption = serde_saphyr::from_str(&filled).unwrap();
    assert_eq!(object.spec.controls, [SIGNED.id]);
    assert_eq!(object.spec.subject.kind, "AIWorkload");
    assert_eq!(object.spec.approved_by, None, "a second person sets it");
    assert!(
        text.contains("# Instead of an exemption: sign the image with a key of the trust policy\n"),
        "{text}"
    );
    // What it costs is said before anybody asks for it.
    for told in
        ["refused by maintenance-plan-current", "{id: AIExemption/WORKLOAD-image-signature-trusted, dueBy: "]
    {
        assert!(text.contains(told), "{told} is missing in {text}");
    }

    let never = Control { id: NEVER_EXEMPT, ..SIGNED };
    assert!(exemption(&never).starts_with("enforcement-integrity admits no exemption"));
}
