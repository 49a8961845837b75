//! In-toto statements: what is said about which digest. Nothing here is believed before its signature was checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::attested::EVIDENCE_PREDICATE;
use super::oci::object;
use super::signature::cut;
use crate::models::bom::Card;
use crate::models::libraries::{self, Library};
use crate::models::manifest;
use crate::policy::facts;

/// The only predicate that says "this artifact is signed"; all others say something else about it.
pub(super) const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const PROVENANCE_V02: &str = "https://slsa.dev/provenance/v0.2";
const PROVENANCE_V1: &str = "https://slsa.dev/provenance/v1";
const STATEMENT_TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];
/// Bills of materials, whatever version of the format is named behind it.
const BILL: &str = "https://cyclonedx.org/bom";
const MAX_BUILDER: usize = 2048;

/// What a statement says about the artifact, besides that it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stated {
    pub(super) predicate_type: String,
    /// Who built the artifact, by a provenance.
    pub(super) builder_id: Option<String>,
    /// When the build ended, by a provenance.
    pub(super) finished: Option<Timestamp>,
    /// The model card, where it is a bill of materials with a model.
    pub(super) card: Option<Arc<Result<Card, String>>>,
    /// The libraries that load or serve models, where it is a bill of materials.
    pub(super) libraries: Option<Arc<Result<BTreeSet<Library>, String>>>,
    /// What it says as evidence.
    pub(super) evidence: Option<Arc<facts::Statement>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Evidence {
    #[serde(rename = "type")]
    kind: String,
    issued_at: String,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    result: Option<String>,
}

impl Evidence {
    fn is_short(&self) -> bool {
        let end = self.expires_at.as_ref().map_or(0, String::len);
        self.kind.len() <= 128 && self.issued_at.len() <= 64 && end <= 64
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    #[serde(borrow, default)]
    predicate: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Subject {
    digest: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ProvenanceV02 {
    builder: Builder,
    metadata: MetadataV02,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MetadataV02 {
    build_finished_on: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ProvenanceV1 {
    run_details: RunDetails,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RunDetails {
    builder: Builder,
    metadata: MetadataV1,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MetadataV1 {
    finished_on: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Builder {
    id: Option<String>,
}

/// Whether statements of this type name a builder.
pub(super) fn is_provenance(predicate_type: &str) -> bool {
    matches!(predicate_type, PROVENANCE_V02 | PROVENANCE_V1)
}

/// Reads the payload of an envelope. `None` where it says that the artifact is signed and nothing else.
///
/// # Errors
/// A clause that completes "a signature does not count: ...".
pub(super) fn read(payload_type: &str, payload: &[u8], hex: &str) -> Result<Option<Stated>, String> {
    if payload_type != PAYLOAD_TYPE {
        return Err(format!("its payload is of type {:?}", cut(payload_type)));
    }
    let statement: Statement<'_> = object(payload).ok_or("its statement cannot be read")?;
    if !STATEMENT_TYPES.contains(&statement.kind.as_str()) {
        return Err(format!("its statement is of type {:?}", cut(&statement.kind)));
    }
    let about = |subject: &Subject| subject.digest.get("sha256").is_some_and(|digest| digest == hex);
    if !statement.subject.iter().any(about) {
        return Err("it is for another digest".to_owned());
    }
    if statement.predicate_type == SIGN_PREDICATE {
        return Ok(None);
    }
    let predicate = statement.predicate.map_or("{}", RawValue::get).as_bytes();
    let (builder, finished) = match statement.predicate_type.as_str() {
        PROVENANCE_V02 => {
            let provenance: ProvenanceV02 = object(predicate).ok_or("its provenance cannot be read")?;
            (provenance.builder.id, provenance.metadata.build_finished_on)
        }
        PROVENANCE_V1 => {
            let details =
                object::<ProvenanceV1>(predicate).ok_or("its provenance cannot be read")?.run_details;
            (details.builder.id, details.metadata.finished_on)
        }
        _ => (None, None),
    };
    let evidence =
        (statement.predicate_type == EVIDENCE_PREDICATE).then(|| object::<Evidence>(predicate)).flatten();
    let evidence = evidence.filter(Evidence::is_short);
    let evidence = evidence.map(|said| {
        Arc::new(facts::Statement {
            type_: said.kind,
            issued_at: said.issued_at,
            expires_at: said.expires_at,
            passed: said.result.as_deref() == Some("pass"),
        })
    });
    // Bills of materials of programs are long, and hold no card.
    let has_model = statement.predicate_type.starts_with(BILL)
        && statement.predicate.is_some_and(|bill| bill.get().contains("\"machine-learning-model\""));
    let card = has_model.then(|| Arc::new(Card::read(predicate).map_err(|error| error.to_string())));
    let listed = libraries::is_bill(&statement.predicate_type)
        .then(|| Arc::new(libraries::read(&statement.predicate_type, predicate)));
    Ok(Some(Stated {
        predicate_type: statement.predicate_type,
        builder_id: builder.filter(|id| !id.is_empty() && id.len() <= MAX_BUILDER),
        finished: finished.and_then(|text| text.parse().ok()),
        card,
        libraries: listed,
        evidence,
    }))
}

/// Whether a bundle's statement lists the files of a model. Nothing is said of its signature.
pub(super) fn is_about_files(bundle: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Enveloped {
        dsse_envelope: Envelope,
    }
    #[derive(Deserialize)]
    struct Envelope {
        payload: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        predicate_type: String,
    }
    let payload = object::<Enveloped>(bundle).and_then(|b| STANDARD.decode(b.dsse_envelope.payload).ok());
    let typed = payload.and_then(|payload| object::<Typed>(&payload));
    typed.is_some_and(|typed| manifest::is_of_files(&typed.predicate_type))
}

/// What a statement says of its subject, where that can be read.
pub(super) fn predicate(payload: &[u8]) -> Option<serde_json::Value> {
    let statement: Statement<'_> = object(payload)?;
    serde_json::from_str(statement.predicate?.get()).ok()
}

/// The type of a statement whose subject is judged elsewhere.
///
/// # Errors
/// A clause that completes "a signature does not count: ...".
pub(super) fn predicate_type(payload_type: &str, payload: &[u8]) -> Result<String, String> {
    if payload_type != PAYLOAD_TYPE {
        return Err(format!("its payload is of type {:?}", cut(payload_type)));
    }
    let statement: Statement<'_> = object(payload).ok_or("its statement cannot be read")?;
    if !STATEMENT_TYPES.contains(&statement.kind.as_str()) {
        return Err(format!("its statement is of type {:?}", cut(&statement.kind)));
    }
    Ok(statement.predicate_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const HEX: &str = "ab";

    fn parse(predicate_type: &str, predicate: &Value) -> Result<Option<Stated>, String> {
        let statement = json!({ "_type": STATEMENT_TYPES[1], "predicateType": predicate_type,
            "subject": [{ "name": "x", "digest": { "sha1": "x", "sha256": HEX } }], "predicate": predicate });
        read(PAYLOAD_TYPE, statement.to_string().as_bytes(), HEX)
    }

    #[test]
    fn provenance_of_both_versions_names_builder_and_end() {
        let old =
            json!({ "builder": { "id": "b" }, "metadata": { "buildFinishedOn": "2026-01-02T03:04:05Z" } });
        let new = json!({ "runDetails": { "builder": { "id": "b" }, "metadata": { "finishedOn": "2026-01-02T03:04:05Z" } } });
        for (kind, predicate) in [(PROVENANCE_V02, &old), (PROVENANCE_V1, &new)] {
            let stated = parse(kind, predicate).unwrap().unwrap();
            assert_eq!(stated.builder_id.as_deref(), Some("b"));
            assert_eq!(stated.finished.unwrap().to_string(), "2026-01-02T03:04:05Z");
            // The fields of one version say nothing in the other.
            let other = if kind == PROVENANCE_V1 { &old } else { &new };
            assert_eq!(parse(kind, other).unwrap().unwrap().builder_id, None, "{kind}");
        }
        let bare = parse(PROVENANCE_V1, &json!({})).unwrap().unwrap();
        assert_eq!((bare.builder_id, bare.finished), (None, None));
        assert_eq!(parse(PROVENANCE_V1, &json!([])).unwrap_err(), "its provenance cannot be read");
        assert_eq!(parse(SIGN_PREDICATE, &json!({})), Ok(None));
        assert_eq!(parse("https://cyclonedx.org/bom", &json!([1])).unwrap().unwrap().builder_id, None);
    }

    #[test]
    fn a_statement_is_bound_to_its_digest_and_type() {
        let with =
            |kind: &str, statement: Value| read(kind, statement.to_string().as_bytes(), HEX).unwrap_err();
        let of = |digest: Value| json!({ "_type": STATEMENT_TYPES[0], "predicateType": "p", "subject": [{ "digest": digest }] });
        assert_eq!(with(PAYLOAD_TYPE, of(json!({ "sha256": "cd" }))), "it is for another digest");
        assert_eq!(with(PAYLOAD_TYPE, of(json!({ "sha512": HEX }))), "it is for another digest");
        assert_eq!(with("text/plain", of(json!({ "sha256": HEX }))), "its payload is of type \"text/plain\"");
        let strange = json!({ "_type": "x", "predicateType": "p", "subject": [] });
        assert_eq!(with(PAYLOAD_TYPE, strange), "its statement is of type \"x\"");
        assert_eq!(with(PAYLOAD_TYPE, json!([])), "its statement cannot be read");
    }
}
