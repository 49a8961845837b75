//! Schemas of the strings that resources carry: each one bounded, with a pattern where the schema can decide.
//!
//! A field names one of these with `#[schemars(schema_with = "schema::digest")]`; its own doc comment becomes the
//! description. Patterns are written for RE2 and for the `regex` crate alike.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Writes, for each kind of string, a schema of one and, where a name is given, of a list without repetitions.
macro_rules! strings {
    ($($one:ident $(/ $many:ident)?: $min:literal..=$max:literal $(, $pattern:literal)?;)+) => {$(
        pub(super) fn $one(_: &mut SchemaGenerator) -> Schema {
            json_schema!({"type": "string", "minLength": $min, "maxLength": $max $(, "pattern": $pattern)?})
        }

        $(pub(super) fn $many(generator: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": "array",
                "maxItems": LIST,
                "items": $one(generator),
                "x-kubernetes-list-type": "set",
            })
        })?
    )+};
}

/// How many entries a list of plain strings may have.
const LIST: usize = 64;

strings! {
    // Names as Kubernetes writes them.
    name / names: 1..=253, "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
    label / labels: 1..=63, "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
    port_name: 1..=15, "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
    // Words of our own vocabulary.
    identifier / identifiers: 1..=128, "^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$";
    control / controls: 1..=63, "^[a-z][a-z0-9]*(-[a-z0-9]+)*$";
    provision / provisions: 3..=32, "^(CoP|NCSC|FC|ETSI|CfV|LTR)-[A-Za-z0-9][-A-Za-z0-9.]*$";
    // Digests and time.
    digest / digests: 71..=71, "^sha256:[0-9a-f]{64}$";
    sha256: 64..=64, "^[0-9a-f]{64}$";
    date: 10..=35, "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:[0-5][0-9]))?$";
    day: 10..=10, "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$";
    duration: 3..=32, "^P([0-9]{1,4}Y)?([0-9]{1,4}M)?([0-9]{1,4}W)?([0-9]{1,5}D)?(T([0-9]{1,6}[HMS]){1,3})?$";
    // Places.
    host / hosts: 1..=253, "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$";
    cidr / cidrs: 4..=43, "^[0-9a-fA-F:.]+/[0-9]{1,3}$";
    uri / uris: 3..=512, "^[a-zA-Z][a-zA-Z0-9+.-]*:[^ \\t\\r\\n]+$";
    path / paths: 1..=512, "^[^ \\t\\r\\n]+$";
    // People and free text.
    person / people: 1..=253, "^[^ \\t\\r\\n]([^\\t\\r\\n]*[^ \\t\\r\\n])?$";
    line / lines: 1..=256;
    text: 1..=1024;
    message: 0..=2048;
    pem: 1..=16384, "-----BEGIN [A-Z ]+-----";
}

/// A map of short strings, such as labels or parameters.
pub(super) fn string_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 256},
    })
}

/// Labels that a pod must all carry: at least one, or the selector would take every pod.
pub(super) fn match_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 8,
        "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "pattern": "^([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?)?$",
        },
        "x-kubernetes-map-type": "atomic",
    })
}

/// Conditions as Kubernetes writes them, one of each type.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "description": "What the condition is about.", "minLength": 1, "maxLength": 63},
                "status": {"type": "string", "description": "Whether the condition holds.", "enum": ["True", "False", "Unknown"]},
                "reason": {"type": "string", "description": "Why, as one word for programs.", "minLength": 1, "maxLength": 128},
                "message": {"type": "string", "description": "Why, for people.", "maxLength": 4096},
                "lastTransitionTime": {"type": "string", "description": "When the status last changed.", "format": "date-time", "maxLength": 35},
                "observedGeneration": {"type": "integer", "description": "The generation of the object this was said about.", "format": "int64", "minimum": 0},
            },
        },
    })
}

/// API groups of a rule; the empty string is the core group.
pub(super) fn api_groups(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 8,
        "items": {"type": "string", "maxLength": 253},
        "x-kubernetes-list-type": "set",
    })
}

/// Verbs or resources of a rule.
pub(super) fn rule_words(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 16,
        "items": {"type": "string", "minLength": 1, "maxLength": 128},
        "x-kubernetes-list-type": "set",
    })
}

/// Port numbers.
pub(super) fn ports(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 16,
        "items": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535},
        "x-kubernetes-list-type": "set",
    })
}

/// A directory of people or groups.
pub(super) fn directory(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 1024,
        "items": person(generator),
        "x-kubernetes-list-type": "set",
    })
}

/// What a document says, by name; the shape depends on the type of the evidence.
pub(super) fn facts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"x-kubernetes-preserve-unknown-fields": true},
    })
}

/// Names of namespaces, or a star for all of them.
pub(super) fn namespace_patterns(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": LIST,
        "items": {"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?|\\*)$"},
        "x-kubernetes-list-type": "set",
    })
}

/// The first few of many objects.
pub(super) fn few_objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 10,
        "items": {"type": "string", "minLength": 1, "maxLength": 512},
    })
}

/// The last few users who did something.
pub(super) fn users(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "items": {"type": "string", "minLength": 1, "maxLength": 253},
    })
}

/// Parameters of controls, by name.
pub(super) fn parameters(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 128,
        "additionalProperties": {"type": "string", "maxLength": 1024},
    })
}
