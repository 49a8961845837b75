//! Libraries that load and serve models, and who examined them: what a verified bill of materials lists is compared with
//! the versions that proofs of type `LibraryDueDiligence` name.

use std::collections::BTreeSet;

use super::evidence::{self, About, Question, Shortfall, entries, words};
use super::facts::Facts;
use super::versions;
use crate::api::supplier::SupplierStatus;
use crate::api::{AIEvidence, AIWorkload};
use crate::models::libraries::Library;

/// The type of proof that examines libraries.
const TYPE: &str = "LibraryDueDiligence";
/// Its fact that names them.
const FACT: &str = "libraries";

/// A proof that these libraries were examined, about what is given.
const fn question(about: About<'_>) -> Question<'_> {
    Question::of(TYPE, about).passed().with(&[FACT])
}

/// Notes in `short` which of `listed` nobody examined in their version, and the proof to record.
pub fn examined<'a>(
    facts: &Facts<'a>,
    workload: &'a AIWorkload,
    listed: &BTreeSet<&Library>,
    short: &mut Shortfall<'_, 'a>,
) {
    let mut proofs = evidence::all(facts, &question(About::Workload(workload)));
    let own = proofs.first().copied();
    if let Some(organisation) = facts.governance(workload) {
        proofs.extend(evidence::all(facts, &question(About::Organisation(organisation))));
    }
    for supplier in facts.cluster.suppliers.values() {
        if !matches!(supplier.spec.status, Some(SupplierStatus::Suspended | SupplierStatus::Withdrawn)) {
            proofs.extend(evidence::all(facts, &question(About::Supplier(supplier))));
        }
    }
    let mut unread: BTreeSet<String> = BTreeSet::new();
    let open: Vec<String> = listed
        .iter()
        .filter(|library| !proofs.iter().any(|proof| covers(proof, library, &mut unread)))
        .map(ToString::to_string)
        .collect();
    if open.is_empty() {
        return;
    }
    let named: Vec<&str> = open.iter().map(String::as_str).collect();
    short.require(false, || {
        format!("contains {}, for which no due diligence is recorded", Shortfall::list(&named))
    });
    for sentence in unread {
        short.require(false, || sentence);
    }
    short.fix("examine these versions, or build the image without them");
    let quoted: Vec<String> = open.iter().map(|url| format!("{url:?}")).collect();
    if let Some(own) = own {
        let (fact, mut versions) = Shortfall::also(own, FACT, &[]);
        versions.extend(quoted);
        short.renew(question(About::Workload(workload)), own, [(fact, versions)]);
    } else {
        short.hint_of(TYPE, FACT, quoted);
        short.ask(question(About::Workload(workload)));
    }
}

/// Whether a proof is about this library in this version; ranges that cannot be read are noted.
fn covers(proof: &AIEvidence, library: &Library, unread: &mut BTreeSet<String>) -> bool {
    let exact = words(proof, FACT).into_iter().filter_map(Library::of_url);
    let mut found = exact
        .filter(|stated| is(stated, library) && !stated.version.is_empty())
        .any(|stated| versions::same(&library.version, &stated.version));
    for entry in entries(proof, FACT) {
        let text = |key: &str| entry.get(key).and_then(serde_json::Value::as_str);
        let Some(stated) = text("purl").and_then(Library::of_url).filter(|stated| is(stated, library)) else {
            continue;
        };
        let range = match text("versions") {
            Some(range) => range,
            None if stated.version.is_empty() => continue,
            None => &stated.version,
        };
        match versions::within(&library.version, range) {
            Ok(inside) => found |= inside,
            Err(wrong) => {
                let range: String = wrong.chars().take(60).collect();
                unread.insert(format!(
                    "{} names versions {range:?}, which is no range",
                    Shortfall::name(proof)
                ));
            }
        }
    }
    found
}

/// Whether both are the same library, in whatever version. A bill that names no registry says less than a review.
fn is(stated: &Library, library: &Library) -> bool {
    stated.is_called(library) && (stated.kind == library.kind || library.kind.is_empty())
}
