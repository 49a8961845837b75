//! What several kinds share: label keys, the vocabulary of environments and sensitivities, people, sources, findings.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// The API group of every kind.
pub const GROUP: &str = "portcullis.dev";
/// The served version of every kind.
pub const VERSION: &str = "v1alpha1";
/// The label of a namespace that says which [`Environment`] it is; its presence makes the namespace governed.
pub const LABEL_ENVIRONMENT: &str = "portcullis.dev/environment";
/// The label of a namespace that says how sensitive its data may be, see [`Sensitivity`].
pub const LABEL_SENSITIVITY: &str = "portcullis.dev/sensitivity";
/// The label of generated objects that names their workload.
pub const LABEL_WORKLOAD: &str = "portcullis.dev/workload";
/// The label of a `ConfigMap` that holds prompts; only those that carry it are read.
pub const LABEL_PROMPT: &str = "portcullis.dev/prompt";
/// Label of a `ConfigMap` with settings of programs: its values become part of the digest that an assessment covers.
pub const LABEL_SETTINGS: &str = "portcullis.dev/settings";
/// The annotation of a pod that says why somebody breaks the glass to enter it.
pub const ANNOTATION_BREAK_GLASS: &str = "portcullis.dev/break-glass";
/// The usual label that names the manager of an object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The usual label that names the application an object belongs to.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Value of [`LABEL_MANAGED_BY`] and [`LABEL_NAME`], and the field manager of every write.
pub const MANAGER: &str = "portcullis";
/// Name of the `NetworkPolicy` that closes a governed namespace.
pub const DEFAULT_DENY: &str = "portcullis-default-deny";

/// The value is not one of the known ones.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{found}\" is not one of {known}")]
pub struct UnknownValue {
    /// What was found.
    pub found: String,
    /// The known values, joined by commas.
    pub known: String,
}

/// Writes enums of words: text forms, order, and a schema that keeps a sentence for each value.
///
/// The sentences travel in `externalDocs` because a field's own comment replaces the description; `crds` joins both.
macro_rules! choices {
    ($($(#[doc = $doc:literal])+ pub enum $name:ident $(default $default:ident)? {
        $($(#[doc = $says:literal])+ $variant:ident = $text:literal,)+
    })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, ::serde::Deserialize, ::serde::Serialize)]
        pub enum $name {
            $($(#[doc = $says])+ #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it stands in a resource.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::api::common::UnknownValue;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                $crate::api::common::known(text, Self::ALL, |value| value.as_str())
            }
        }

        impl ::schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({
                    "type": "string",
                    "description": concat!($($doc),+).trim(),
                    "enum": [$($text),+],
                    "externalDocs": {"description": concat!($("\n", $text, ":", $($says),+),+).trim()},
                })
            }
        }

        $(impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        })?
    )+};
}
pub(crate) use choices;

/// Finds the value that reads `text`.
pub(crate) fn known<T: Copy>(
    text: &str,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<T, UnknownValue> {
    all.iter().copied().find(|value| as_str(*value) == text).ok_or_else(|| UnknownValue {
        found: text.to_owned(),
        known: all.iter().map(|value| as_str(*value)).collect::<Vec<_>>().join(", "),
    })
}

/// Condition of a declaration: its figures are served by running pods, and move.
pub const MONITORING_OBSERVED: &str = "MonitoringObserved";
/// Condition of a declaration: the place that inputs and outputs are logged to takes them, as far as that can be seen.
pub const LOG_SINK_OBSERVED: &str = "LogSinkObserved";
/// The condition that says whether what one would go back to can still be fetched.
pub const KNOWN_GOOD_HELD: &str = "KnownGoodHeld";
/// The condition that says whether the audit runs, and its rows could be written.
pub const FRESH: &str = "Fresh";
/// The condition that says whether records of inputs and outputs are written while requests come.
pub const RECORDS_OBSERVED: &str = "RecordsObserved";

choices! {
    /// How an object store encrypts what it holds.
    pub enum StoreEncryption {
        /// Not at all.
        Nobody = "none",
        /// By keys of the store.
        Provider = "provider",
        /// By keys of the organisation.
        Own = "own",
    }

    /// What a governed namespace is for.
    pub enum Environment {
        /// Experiments with unreleased models and data that may not leave.
        Research = "research",
        /// Training and fine-tuning of models.
        Training = "training",
        /// Rehearsal of what production will run.
        Staging = "staging",
        /// Service to users.
        Production = "production",
        /// Storage and preparation of datasets.
        Data = "data",
        /// Untrusted artifacts that are examined before use.
        Quarantine = "quarantine",
    }

    /// How much harm disclosure would do, in rising order.
    pub enum Sensitivity {
        /// Anyone may see it.
        Public = "public",
        /// Only the organisation may see it.
        Internal = "internal",
        /// Only those who need it may see it.
        Confidential = "confidential",
        /// Only named people may see it, on isolated nodes.
        Restricted = "restricted",
    }

    /// What happens to a pod that violates a control.
    pub enum Mode {
        /// The pod is refused.
        Enforce = "enforce",
        /// The pod is admitted with a warning.
        Warn = "warn",
        /// The pod is admitted; the audit shows the finding.
        Audit = "audit",
    }

    /// How bad a failure of the workload would be.
    pub enum Criticality default Standard {
        /// An outage or misuse is a nuisance.
        Standard = "standard",
        /// An outage or misuse does serious harm; stricter limits apply.
        Critical = "critical",
    }

    /// The state of a control or a provision.
    pub enum State {
        /// It is kept.
        Pass = "pass",
        /// It is broken, and enforced.
        Fail = "fail",
        /// It is broken, and only warned of.
        Warn = "warn",
        /// It is broken, and an approved exemption covers it.
        Exempt = "exempt",
        /// It could not be judged.
        Unknown = "unknown",
        /// It does not concern this object.
        NotApplicable = "notApplicable",
    }

    /// The verdict on a workload, a namespace or the cluster: its worst state.
    pub enum OverallVerdict {
        /// Every control that applies is kept or exempt.
        Pass = "pass",
        /// Something is only warned of.
        Warn = "warn",
        /// Something could not be judged, and nothing fails.
        Unknown = "unknown",
        /// At least one enforced control is broken.
        Fail = "fail",
    }

    /// How a verification ended.
    pub enum VerificationState {
        /// It was checked and holds.
        Verified = "Verified",
        /// It was checked and does not hold.
        Failed = "Failed",
        /// The check is under way or waits for something.
        Pending = "Pending",
        /// It could not be checked.
        Unknown = "Unknown",
        /// Nothing demands the check.
        NotRequired = "NotRequired",
    }

    /// A coarse level.
    pub enum Level {
        /// Little.
        Low = "low",
        /// Some.
        Medium = "medium",
        /// Much.
        High = "high",
    }

    /// Who is served, or may reach something, in rising order.
    pub enum Audience {
        /// Nobody outside the workload itself.
        Nobody = "none",
        /// People and programs of the organisation.
        Internal = "internal",
        /// Named other organisations.
        Partner = "partner",
        /// Anyone.
        Public = "public",
    }
}

/// A person or a group, as the cluster's sign-in names them, and how to reach them.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.user) || has(self.group) || has(self.contact)", "name a user, a group or a contact"))]
pub struct Party {
    /// User name as the cluster's sign-in reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub user: Option<String>,
    /// Group name as the cluster's sign-in reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub group: Option<String>,
    /// Where to reach them, as a URI such as `mailto:` or `https:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub contact: Option<String>,
}

/// CEL rule of every asset: a digest stays with its version, so that a version always means the same bytes.
///
/// It stands on the spec, which every version of the object has.
pub(super) const NEW_DIGEST_NEW_VERSION: (&str, &str) = (
    "!has(self.digest) || !has(oldSelf.digest) || self.digest == oldSelf.digest || (has(self.version) && (!has(oldSelf.version) || self.version != oldSelf.version))",
    "another digest needs another version",
);

/// The owner of an asset.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetOwners {
    /// Who answers for the asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Party>,
}

/// How long something is kept.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Last day of use; after it no pod may mount the asset and its disposal is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub until: Option<String>,
}

/// What an asset is worth to its owner and to an attacker.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetValue {
    /// Worth to the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business: Option<Level>,
    /// Worth to somebody who steals or alters it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attacker_gain: Option<Level>,
}

/// The risk that remains, and who accepted it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetRisk {
    /// The remaining risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// User who accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub accepted_by: Option<String>,
    /// Day by which the acceptance is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub review_by: Option<String>,
}

/// One file of an artifact.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetFile {
    /// Path below the root of the artifact.
    #[schemars(schema_with = "schema::path")]
    pub path: String,
    /// SHA-256 of the file, 64 hexadecimal digits.
    #[schemars(schema_with = "schema::sha256")]
    pub sha256: String,
}

/// One entry of an asset's trail.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// When the change was seen.
    #[schemars(schema_with = "schema::date")]
    pub at: String,
    /// User who made it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub user: Option<String>,
    /// Version after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub version: Option<String>,
    /// Digest after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// SHA-256 over this entry and the hash of the one before, which makes gaps visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::sha256")]
    pub hash: Option<String>,
}

/// Files of one format.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenFormat {
    /// The format, as the bytes show it.
    #[schemars(schema_with = "schema::line")]
    pub format: String,
    /// How many files have it.
    #[schemars(range(min = 0))]
    pub files: i64,
}

/// What was verified of an asset.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The digest that was verified; for any other digest nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// A digest of all that the verification of files on a claim rests on: the source, the claim and its volume, the
    /// signature, and the trust policies that are about it. Where one of these is another now, nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub basis: Option<String>,
    /// Whether a trusted authority signed the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_verified: Option<VerificationState>,
    /// When the signature was last checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub signature_verified_at: Option<String>,
    /// Authority of the trust policy whose signature was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub authority: Option<String>,
    /// Whether the stored bytes were hashed and match the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_verified: Option<VerificationState>,
    /// When the bytes were last hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub bytes_verified_at: Option<String>,
    /// When the bytes were last to be hashed again and could not be; the message says why. What was verified before counts
    /// for one more period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub bytes_missed_at: Option<String>,
    /// Whether the formats seen in the stored files yield data only when they are loaded, and run no code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formats_verified: Option<VerificationState>,
    /// The formats that were seen in the files. Where some files were not looked at, the message says which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub formats_seen: Vec<SeenFormat>,
    /// What is missing or wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::message")]
    pub message: Option<String>,
}

/// The status of an asset.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetStatus {
    /// The generation of the object that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// The last warning of a day that comes, of a review or of the end of retention: 30, 7 or 1 days before, 0 when it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 30))]
    pub warned_days: Option<u8>,
    /// The last change outside office hours, until `spec.lastReviewedAt` names a later time or day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusual_change: Option<super::outcome::UnusualChange>,
    /// Workloads that use the asset, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::paths")]
    pub consumers: Vec<String>,
    /// The newest changes of the asset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub history: Vec<HistoryEntry>,
    /// What holds of the asset at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
