//! What the kinds of assets share: owners, worth, risk, retention, files, and the status with its verification.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Level, Party, VerificationState};
use crate::api::schema;

/// CEL rule of every asset: a digest stays with its version, so that a version always means the same bytes.
///
/// It stands on the spec, which every version of the object has.
pub(in crate::api) const NEW_DIGEST_NEW_VERSION: (&str, &str) = (
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
    /// Generation of the object after the change, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// SHA-256 over time, user, version and digest of this entry and the hash of the one before, which makes gaps visible.
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
    pub unusual_change: Option<crate::api::outcome::UnusualChange>,
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
