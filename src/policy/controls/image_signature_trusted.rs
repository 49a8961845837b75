//! `image-signature-trusted`: the bytes that run carry the name of somebody who answers for them.

use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Signature};
use crate::policy::fix::Fix;
use crate::policy::image::ImageRef;
use crate::policy::signing;

/// Every image digest is signed by an authority of the trust policy.
pub(super) const CONTROL: Control = Control {
    id: "image-signature-trusted",
    title: "each image digest is signed by an authority that the trust policy names for its repository",
    room: Room::SupplyChain,
    wave: 1,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-5.2", "CoP-7.1", "NCSC-O3.2"],
    why: "a signature ties the bytes that run to the people who answer for them",
    remedy: "sign the digest with a key of an authority that AITrustPolicy names for this repository",
    gaps: &[],
    limits: &[],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(pod) = facts.pod() else { return };
    for image in pod.images() {
        // Without a digest there is nothing a signature could be bound to; image-digest-pinned says so.
        let Ok(parsed) = ImageRef::parse(image.reference) else { continue };
        if parsed.digest().is_none() {
            continue;
        }
        let place = || pod.at(image.path()).value(image.reference);
        let sign = || signing::sign(facts, image.reference, image.is_volume());
        match pod.signatures.get(image.reference) {
            Some(Signature::Trusted(vouched)) if !vouched.is_empty() => {}
            Some(Signature::Trusted(_)) => {
                report.unknown(place(), "the verification named no authority");
            }
            Some(Signature::Missing(why) | Signature::Untrusted(why)) => {
                report.violated(place(), why.as_str()).fix(sign());
            }
            Some(Signature::Refused(why)) => {
                report.violated(place(), why.as_str()).fix(Fix::Text(
                    "use an image from a registry and repository that an AITrustPolicy covers, or ask those who keep \
                     the AITrustPolicy to cover this one"
                        .to_owned(),
                ));
            }
            Some(Signature::Unknown(why)) => {
                let fix = if why.contains("entry does not allow") {
                    "let every AITrustPolicy that lists this registry say the same of it (allowPrivateAddresses, plainHTTP): \
                     where two differ, the stricter word counts"
                } else {
                    "try again when the registry answers; nothing needs to change if the image is signed"
                };
                report.unknown(place(), why.as_str()).fix(Fix::Text(fix.to_owned())).may_arrive();
            }
            Some(Signature::Unasked) => {
                report
                    .unknown(place(), "its signature was not looked up, because no registry was to be asked")
                    .fix(Fix::Text(
                        "run it again with --verify, which asks the registries that trust policies list, or with --signatures \
                         FILE, which says what was verified elsewhere"
                            .to_owned(),
                    ))
                    .may_arrive();
            }
            Some(Signature::Pending) | None => {
                report
                    .unknown(place(), "its signature has not been looked up yet")
                    .fix(Fix::Text(
                        "try again in a moment; nothing needs to change if the image is signed".to_owned(),
                    ))
                    .may_arrive();
            }
        }
    }
}
