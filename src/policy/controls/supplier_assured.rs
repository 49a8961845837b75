//! `supplier-assured`: what comes from outside comes from somebody whom somebody examined.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api;
use crate::api::model::{ModelSourceKind, Origin};
use crate::api::supplier::{SupplierKind, SupplierStatus};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Answer, Question, Shortfall, ask, entries, unnamed};
use crate::policy::facts::{Facts, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::image::ImageRef;
use crate::policy::skeleton;

/// Outside models, interfaces and devices come from examined suppliers.
pub(super) const CONTROL: Control = Control {
    id: "supplier-assured",
    title: "every outside component comes from an assessed supplier or has a justification that expires",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Warn, Mode::Audit),
    provisions: &[
        "CoP-2.6",
        "CoP-2.7",
        "CoP-3.4",
        "CoP-7.1",
        "CoP-7.2",
        "CoP-7.2.1",
        "CoP-7.2.1-n1",
        "NCSC-V1.2",
        "CfV-VENDOR",
    ],
    why: "a model is as trustworthy as whoever made it, and somebody must have looked",
    remedy: "name an AISupplier under supplierRef whose due diligence is current and whose spec.sources \
        hold the address",
    gaps: &[],
    limits: &[
        "libraries inside an image are the matter of provenance-and-sbom",
        "an image whose repository no AISupplier names counts as made here, unless a profile lists the own places in supplier.ownImages",
        "which requirements are the newest is known where a profile names their digest in supplier.requirements",
    ],
    check: Check::Rule(check),
};

/// How many resellers may stand before a maker.
const RESELLERS: usize = 8;

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Model(model) => of_model(facts, model, report),
        Subject::Supplier(supplier) => {
            if let Err(why) = maker(facts, supplier) {
                sold_by_nobody(facts, supplier, why, report);
            }
        }
        Subject::Workload(workload) => {
            of_apis(facts, workload, report);
            of_risks(facts, workload, report);
        }
        Subject::Pod(_) => {
            let Some((pod, workload)) = facts.ai_pod() else { return };
            for model in workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name))
            {
                of_model(facts, model, report);
            }
            of_apis(facts, workload, report);
            of_risks(facts, workload, report);
            of_images(facts, pod, report);
            of_devices(facts, pod, report);
        }
        _ => {}
    }
}

/// The maker behind a chain of resellers; the error is what breaks the chain.
fn maker<'a>(facts: &Facts<'a>, supplier: &'a api::AISupplier) -> Result<&'a api::AISupplier, String> {
    let mut at = supplier;
    for _ in 0..RESELLERS {
        if at.spec.kind != SupplierKind::Vendor {
            return Ok(at);
        }
        let Some(next) = at.spec.maker_ref.as_deref() else {
            return Err("only resells, and names no maker in makerRef".to_owned());
        };
        let Some(known) = facts.cluster.suppliers.get(next) else {
            return Err(format!("only resells, and no AISupplier has the name {next:?} of its maker"));
        };
        at = known;
    }
    Err(format!("resells what others resell, {RESELLERS} times or in a circle"))
}

fn name_of(supplier: &api::AISupplier) -> String {
    format!("AISupplier {}", supplier.metadata.name.as_deref().unwrap_or_default())
}

fn sold_by_nobody(facts: &Facts<'_>, supplier: &api::AISupplier, why: String, report: &mut Report<'_>) {
    report
        .violated(Place::field(name_of(supplier), "spec.makerRef"), why)
        .under(&["CfV-VENDOR"])
        .fix(
            Fix::set_at(&Place::field(name_of(supplier), "spec.makerRef"), "", "MAKER")
                .after("apply an AISupplier for the maker, and name it"),
        )
        .in_declaration(facts);
}

fn of_model(facts: &Facts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    let spec = &model.spec;
    if !matches!(spec.origin, Some(Origin::External | Origin::OpenSource)) {
        return;
    }
    let object = format!(
        "AIModel {}/{}",
        model.metadata.namespace.as_deref().unwrap_or_default(),
        model.metadata.name.as_deref().unwrap_or_default()
    );
    let source = spec.source.as_ref();
    let address = source.filter(|s| s.kind != ModelSourceKind::Api).and_then(|s| s.reference.as_deref());
    let hub = source.is_some_and(|s| s.kind == ModelSourceKind::HuggingFace);
    let Some(name) = spec.supplier_ref.as_deref() else {
        // Nobody has to be behind what a justification lets in.
        if justified(facts, model) {
            return;
        }
        report
            .violated(
                Place::field(&object, "spec.supplierRef"),
                format!("is not set, though the model is {}", spec.origin.map_or("", |o| o.as_str())),
            )
            .under(if spec.origin == Some(Origin::External) { &["CoP-2.6", "CoP-7.1"] } else { &["CoP-7.2"] })
            .fix(Fix::set_at(&Place::field(&object, "spec.supplierRef"), "", "SUPPLIER").after(
                "record AIEvidence ComponentJustification for its digest, or name the AISupplier that it comes from",
            ))
            .in_declaration(facts);
        return;
    };
    let place = Place::field(&object, "spec.supplierRef").value(name);
    let Some(supplier) = resolve(facts, &place, name, report) else { return };
    let vouched = justified(facts, model);
    examined(facts, &place, supplier, vouched, report);
    let full = address
        .map(|address| if hub { format!("https://huggingface.co/{address}") } else { address.to_owned() });
    if let (Some(full), Some(address)) = (full, address)
        && !supplier.spec.sources.is_empty()
        && !supplier.spec.sources.iter().any(|pattern| covers(pattern, &full) || covers(pattern, address))
    {
        report
            .violated(
                Place::field(&object, "spec.source.reference").value(address),
                format!(
                    "is no place of {}, which names {}",
                    name_of(supplier),
                    supplier.spec.sources.join(", ")
                ),
            )
            .under(&["CoP-2.6"])
            .fix(
                Fix::set_at(&Place::field(&object, "spec.supplierRef"), "", "SUPPLIER")
                    .after("take the model from one of these places, or name its real supplier"),
            )
            .in_declaration(facts);
    }
}

/// A star at the end of a pattern stands for anything; a repository for all that it holds.
fn covers(pattern: &str, address: &str) -> bool {
    let within =
        || address.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'));
    pattern.strip_suffix('*').map_or_else(within, |start| address.starts_with(start))
}

/// Whether a justification that can be shown stands for a component that is not documented otherwise.
fn justified(facts: &Facts<'_>, model: &api::AIModel) -> bool {
    let question = Question::of("ComponentJustification", About::Model(model))
        .bound()
        .undocumented()
        .within(90)
        .with(&["reason", "mitigations"]);
    matches!(ask(facts, &question), Answer::Held(_))
}

fn resolve<'a>(
    facts: &Facts<'a>,
    place: &Place,
    name: &str,
    report: &mut Report<'_>,
) -> Option<&'a api::AISupplier> {
    let found = facts.cluster.suppliers.get(name).map(AsRef::as_ref);
    if found.is_none() {
        report
            .violated(place.clone(), "no AISupplier has this name")
            .under(&["CoP-2.6", "CoP-7.1"])
            .fix(Fix::Record(
                format!("ask those who buy to examine it and to apply an AISupplier {name:?}"),
                skeleton::supplier(name, "SUPPLIER-KIND", "SOURCE"),
            ))
            .may_arrive();
    }
    found
}

/// Whether the organisation may rely on a supplier; `justified` stands for what is only recommended.
fn examined(
    facts: &Facts<'_>,
    place: &Place,
    supplier: &api::AISupplier,
    justified: bool,
    report: &mut Report<'_>,
) {
    let spec = &supplier.spec;
    let set = |field: &str, value: Value| {
        Fix::set_at(&Place::field(name_of(supplier), format!("spec.{field}")), "", value)
    };
    let mut wrong: Vec<(String, &'static [&'static str], Fix)> = Vec::new();
    match spec.status {
        // What was withdrawn counts as revoked; trust-roots-managed says so.
        Some(SupplierStatus::Withdrawn) => return,
        Some(SupplierStatus::Suspended) => {
            wrong.push((
                "is suspended, so nothing new is taken from it".to_owned(),
                &["NCSC-V1.2"],
                Fix::Text(
                    "replace the component, or ask for an AIExemption with a risk acceptance".to_owned(),
                ),
            ));
        }
        Some(SupplierStatus::Approved | SupplierStatus::Conditional) | None => {}
    }
    if spec.requirements.as_ref().and_then(|r| r.accepted) != Some(true) {
        wrong.push((
            "has not accepted the security requirements of the organisation".to_owned(),
            &["CoP-7.1"],
            set("requirements.accepted", json!(true)).after("let the supplier accept them, then record it"),
        ));
    }
    let newest: Vec<&str> = facts.settings.words("supplier.requirements").collect();
    let accepted = spec.requirements.as_ref().filter(|r| r.accepted == Some(true));
    if let Some(accepted) = accepted.filter(|_| !newest.is_empty()) {
        let digest = accepted.policy_digest.as_deref();
        if !digest.is_some_and(|digest| newest.contains(&digest)) {
            wrong.push((
                match digest {
                    Some(digest) => format!("has accepted requirements {digest:?}, which are not the newest"),
                    None => "does not say by policyDigest which requirements it has accepted".to_owned(),
                },
                &["CoP-7.1"],
                set("requirements.policyDigest", json!(newest[0]))
                    .after("let the supplier accept the newest requirements, then record it"),
            ));
        }
    }
    if spec.verified != Some(true) && !justified {
        wrong.push((
            "is not verified to be who it says".to_owned(),
            &["CoP-7.2"],
            set("verified", json!(true)).after("let somebody make sure, then record it"),
        ));
    }
    if spec.kind == SupplierKind::OpenSourceProject && spec.security_contact.is_none() && !justified {
        wrong.push((
            "names no place for reports of weaknesses".to_owned(),
            &["CoP-7.2.1-n1"],
            set("securityContact", json!("mailto:CONTACT")),
        ));
    }
    for (what, provisions, fix) in wrong {
        report
            .violated(place.clone(), format!("names {}, which {what}", name_of(supplier)))
            .under(provisions)
            .fix(fix)
            .in_declaration(facts);
    }
    match maker(facts, supplier) {
        Err(why) => sold_by_nobody(facts, supplier, why, report),
        Ok(maker) => {
            let mut short = Shortfall::new(facts);
            short.ask(Question::of("SupplierDueDiligence", About::Supplier(maker)).passed());
            short.tell(report, place.clone(), &["CoP-2.6"]);
        }
    }
}

fn of_apis(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    if workload.spec.type_ == api::workload::WorkloadType::Supporting {
        return;
    }
    for (index, api) in workload.spec.external_apis.iter().enumerate() {
        let place = Place::field(Facts::name_of(workload), format!("spec.externalApis[{index}].supplierRef"));
        let Some(name) = api.supplier_ref.as_deref() else {
            report
                .violated(
                    place.clone(),
                    format!("is not set, so nobody examined who answers at {:?}", api.host),
                )
                .under(&["CoP-7.1"])
                .fix(Fix::set_at(&place, "", "SUPPLIER").after("name the AISupplier behind the interface"))
                .in_declaration(facts);
            continue;
        };
        let place = place.value(name);
        if let Some(supplier) = resolve(facts, &place, name, report) {
            examined(facts, &place, supplier, false, report);
        }
    }
}

/// What others make and run here comes from somebody who was examined too.
fn of_images(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let own: Vec<&str> = facts.settings.words("supplier.ownImages").collect();
    if own.is_empty() && facts.cluster.suppliers.is_empty() {
        return;
    }
    let mut seen: Vec<&str> = Vec::new();
    for image in pod.images().filter(|image| !image.is_volume()) {
        if seen.contains(&image.reference) {
            continue;
        }
        seen.push(image.reference);
        // What is no reference, image-digest-pinned speaks of.
        let Ok(parsed) = ImageRef::parse(image.reference) else { continue };
        let from = |pattern: &str| covers(pattern, parsed.name()) || covers(pattern, image.reference);
        if own.iter().any(|pattern| from(pattern)) {
            continue;
        }
        let place = pod.at(image.path()).value(image.reference);
        let mut suppliers = facts.cluster.suppliers.values();
        if let Some(supplier) = suppliers.find(|supplier| supplier.spec.sources.iter().any(|p| from(p))) {
            examined(facts, &place, supplier, false, report);
        } else if !own.is_empty() {
            report
                .violated(place, "is from no place of the organisation and of no AISupplier")
                .under(&["CoP-7.1"])
                .fix(Fix::Text(
                    "ask those who buy to name its repository in spec.sources of an AISupplier, or use an image of your own"
                        .to_owned(),
                ))
                .may_arrive();
        }
    }
}

/// A risk that is left to a supplier is one that the supplier has answered for.
fn of_risks(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    if facts.cluster.suppliers.is_empty() {
        return;
    }
    // Whether there is a register at all is the matter of risk-acceptance-current.
    let register = ask(facts, &Question::of("RiskRegister", About::Workload(workload)).with(&["risks"]));
    let Answer::Held(register) = register else { return };
    let mut left: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for risk in entries(register, "risks") {
        let text = |key: &str| risk.get(key).and_then(serde_json::Value::as_str);
        if let Some(party) = text("ownerParty") {
            left.entry(party).or_default().push(text("id").unwrap_or("without id"));
        }
    }
    for (party, risks) in left {
        // What stays inside the organisation needs no assurance from outside.
        let Some(supplier) = facts.cluster.suppliers.get(party) else { continue };
        let mut short = Shortfall::new(facts);
        short.hint("riskIds", risks.iter().map(|id| (*id).to_owned()).collect());
        let question = Question::of("ThirdPartyAssurance", About::Supplier(supplier)).with(&["riskIds"]);
        if let Some(assurance) = short.ask(question) {
            let open = unnamed(assurance, "riskIds", &risks);
            short.require(open.is_empty(), || {
                format!("{} does not answer for risks {}", Shortfall::name(assurance), Shortfall::list(&open))
            });
        }
        if !short.is_empty() {
            short.fix("have the supplier answer for each of these risks, or name another ownerParty in the register");
        }
        short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-3.4"]);
    }
}

/// Devices come from a maker of hardware whose sources name their class, such as `nvidia.com/*`.
fn of_devices(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    for container in &pod.containers {
        let limits = container.resources.and_then(|resources| resources.limits.as_ref());
        for class in limits.into_iter().flatten().map(|(name, _)| name).filter(|name| is_device(name)) {
            let known = facts.cluster.suppliers.values().any(|supplier| {
                supplier.spec.kind == SupplierKind::Hardware
                    && !matches!(
                        supplier.spec.status,
                        Some(SupplierStatus::Suspended | SupplierStatus::Withdrawn)
                    )
                    && supplier.spec.sources.iter().any(|pattern| covers(pattern, class))
            });
            if !known {
                report
                    .violated(
                        pod.at(container.path(&format!("resources.limits[{class:?}]"))),
                        "is a device of which no AISupplier of kind hardware is the maker",
                    )
                    .under(&["CoP-7.2"])
                    .fix(Fix::Record(
                        format!(
                            "ask those who keep the cluster to apply an AISupplier of kind hardware with {class:?} in \
                             spec.sources"
                        ),
                        skeleton::supplier("MAKER", "hardware", class),
                    ))
                    .may_arrive();
            }
        }
    }
}

fn is_device(resource: &str) -> bool {
    resource
        .split_once('/')
        .is_some_and(|(domain, _)| domain.contains('.') && !domain.ends_with("kubernetes.io"))
}

#[cfg(test)]
#[path = "tests/supplier_assured.rs"]
mod tests;
