//! AIDataset: data with its class, sensitivity, controllers, digest and permitted consumers.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{
        AssetFile, AssetOwners, AssetRisk, AssetStatus, AssetValue, Audience, NEW_DIGEST_NEW_VERSION, Party,
        Retention, Sensitivity, StoreEncryption, choices,
    },
    model::AssetSignature,
    schema,
};

choices! {
    /// What a dataset is for.
    pub enum DatasetClass {
        /// Models are made from it.
        Training = "training",
        /// Programs are tried with it.
        Test = "test",
        /// Models are measured with it.
        Evaluation = "evaluation",
        /// Models look things up in it.
        Retrieval = "retrieval",
        /// It collects the reactions of users.
        Feedback = "feedback",
        /// The running system needs it otherwise.
        Operational = "operational",
    }

    /// Whether it tells of persons.
    pub enum PersonalData {
        /// It does not.
        Nothing = "none",
        /// It does, under other names.
        Pseudonymised = "pseudonymised",
        /// It does.
        Personal = "personal",
        /// It does, on matters that the law protects most.
        Special = "special",
    }

    /// Where the bytes of a dataset are.
    pub enum DatasetSourceKind {
        /// A volume of the namespace.
        Pvc = "pvc",
        /// An OCI artifact.
        Oci = "oci",
        /// A bucket.
        S3 = "s3",
        /// A repository of Hugging Face, by commit.
        HuggingFace = "huggingface",
        /// A service that answers queries.
        Service = "service",
    }

    /// How a public source is watched for changes.
    pub enum WatchMethod {
        /// By the tag that the server gives each state.
        Etag = "etag",
        /// By loading and hashing it.
        Digest = "digest",
    }
}

/// A dataset: which bytes it is, who decides on it, and who may use it for what.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AIDataset",
    plural = "aidatasets",
    singular = "aidataset",
    shortname = "aids",
    category = "portcullis",
    namespaced,
    status = "AssetStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A dataset: which bytes it is, how sensitive it is, who decides on it, and who may use it for what.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".spec.version",
        description = "Its version"
    ),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.class", description = "What it is for"),
    printcolumn(
        name = "Sensitivity",
        type_ = "string",
        json_path = ".spec.sensitivity",
        description = "How sensitive it is"
    ),
    printcolumn(
        name = "Bytes",
        type_ = "string",
        json_path = ".status.verification.bytesVerified",
        description = "Whether the stored bytes match the digest"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether it can be relied on"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why, or why not"
    ),
    printcolumn(
        name = "Unusual",
        type_ = "string",
        json_path = ".status.unusualChange.at",
        description = "When it was changed outside office hours, until a later review"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = NEW_DIGEST_NEW_VERSION
)]
pub struct AIDatasetSpec {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<DatasetClass>,
    /// How sensitive it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
    /// Where the bytes are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<DatasetSource>,
    /// Digest of the sealed dataset: which bytes are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// Version; a new digest needs a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub version: Option<String>,
    /// Its files; where the list is given, no other file may be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".into()]))]
    pub files: Vec<AssetFile>,
    /// How it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<AssetSignature>,
    /// Whether it tells of persons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal_data: Option<PersonalData>,
    /// The legal ground for using personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub lawful_basis: Option<String>,
    /// The assessment of what it means for the persons in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpia: Option<ImpactAssessment>,
    /// Who decides on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub controllers: Vec<Party>,
    /// Workloads that may use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub consumers: Vec<Consumer>,
    /// Categories of use that its controllers permit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::identifiers")]
    pub permitted_uses: Vec<String>,
    /// Audiences that may see results made from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub permitted_audiences: Vec<Audience>,
    /// Controls that its controllers demand of every consumer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::controls")]
    pub required_controls: Vec<String>,
    /// Whether all of it was taken from public places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_source: Option<bool>,
    /// The public places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub sources: Vec<PublicSource>,
    /// What people should know about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<DataCard>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<AssetOwners>,
    /// What it is worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<AssetValue>,
    /// The risk that remains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<AssetRisk>,
    /// How long it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// The longest time between two reviews, as an ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub review_every: Option<String>,
    /// Day of the newest review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub last_reviewed_at: Option<String>,
}

/// Where the bytes of a dataset are.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.kind == 'pvc' ? has(self.claimName) : has(self.reference)", "source needs claimName for a pvc, reference for anything else"),
    validation = ("self.kind != 'oci' || !has(self.reference) || self.reference.contains('@sha256:')", "reference names a digest, not only a tag")
)]
pub struct DatasetSource {
    /// The kind of place.
    pub kind: DatasetSourceKind,
    /// The artifact by digest, the bucket's URL, the repository's name, or `namespace/name` of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub reference: Option<String>,
    /// The commit of a repository, or the version of an object in a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub revision: Option<String>,
    /// Name of the `PersistentVolumeClaim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub claim_name: Option<String>,
    /// Path below the root of the volume or bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub path: Option<String>,
    /// How a bucket encrypts what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_side_encryption: Option<StoreEncryption>,
    /// The Secrets whose credentials open it: a pod that refers to one can reach the data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub opened_by: Vec<SecretName>,
}

impl DatasetSource {
    /// The claim on which the files are.
    #[must_use]
    pub fn claim(&self) -> Option<&str> {
        self.claim_name.as_deref().filter(|_| self.kind == DatasetSourceKind::Pvc)
    }
}

/// A Secret by name.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretName {
    /// Its name.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// Its namespace, that of the dataset unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub namespace: Option<String>,
}

/// Why no assessment of the meaning for persons was made; with one, `AIEvidence` of type DPIA holds it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImpactAssessment {
    /// Why none is needed.
    #[schemars(schema_with = "schema::text")]
    pub not_needed_because: String,
    /// User who said so: one of the controllers.
    #[schemars(schema_with = "schema::person")]
    pub attested_by: String,
}

/// A workload that may use a dataset.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Consumer {
    /// Its namespace.
    #[schemars(schema_with = "schema::label")]
    pub namespace: String,
    /// Name of the `AIWorkload`.
    #[schemars(schema_with = "schema::name")]
    pub workload: String,
}

/// A public place that data was taken from.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicSource {
    /// Its address.
    #[schemars(schema_with = "schema::uri")]
    pub url: String,
    /// When it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub retrieved_at: Option<String>,
    /// Digest of what was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// How it is watched for changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<SourceWatch>,
}

/// How a public place is watched for changes.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceWatch {
    /// How often, as an ISO 8601 duration.
    #[schemars(schema_with = "schema::duration")]
    pub interval: String,
    /// By what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<WatchMethod>,
}

/// What people should know about a dataset.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataCard {
    /// How much there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub size: Option<String>,
    /// How it is kept whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub integrity: Option<String>,
    /// How good it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub quality: Option<String>,
    /// How old it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub age: Option<String>,
    /// How well it fits its use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub relevance: Option<String>,
    /// Whom and what it represents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub diversity: Option<String>,
    /// The card for people, if there is one.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub ref_: Option<String>,
    /// Digest of that card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
}
