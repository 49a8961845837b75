//! `image-digest-pinned`: what runs is named by its bytes, not by a name that can move.

use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::Facts;
use crate::policy::fix::Fix;
use crate::policy::image::ImageRef;
use crate::policy::signing;

/// Every image of a pod is referenced by digest.
pub(super) const CONTROL: Control = Control {
    id: "image-digest-pinned",
    title: "every container and image volume is referenced by its sha256 digest",
    room: Room::SupplyChain,
    wave: 1,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-5.2", "CoP-11.3", "NCSC-O3.1", "NCSC-O3.2"],
    why: "a tag can be moved to other bytes after they were reviewed; a digest cannot",
    remedy: "write the image as repository@sha256:DIGEST; `crane digest IMAGE` prints the digest",
    gaps: &[],
    limits: &[],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(pod) = facts.pod() else { return };
    for image in pod.images() {
        let place = || pod.at(image.path()).value(image.reference);
        match ImageRef::parse(image.reference) {
            Err(error) => {
                report.violated(place(), format!("is no image reference: {error}")).fix(Fix::Text(
                    "write REPOSITORY@sha256:DIGEST; `crane digest REPOSITORY:TAG` prints the digest"
                        .to_owned(),
                ));
            }
            Ok(parsed) => match parsed.digest() {
                Some(digest) if digest.starts_with("sha256:") => {}
                Some(_) => {
                    report.violated(place(), "names a digest that is not sha256").fix(Fix::Text(format!(
                        "write {0}@sha256:DIGEST; `crane digest {0}:TAG` prints the digest",
                        parsed.name()
                    )));
                }
                None => {
                    let what =
                        if parsed.tag().is_some() { "names a tag, not a digest" } else { "names no digest" };
                    let plain = signing::plain_http(facts.cluster, &parsed);
                    report.violated(place(), what).fix(Fix::Text(format!(
                        "write {}@$(crane digest {}{})",
                        parsed.name(),
                        if plain { "--insecure " } else { "" },
                        image.reference
                    )));
                }
            },
        }
    }
}
