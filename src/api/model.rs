//! AIModel: a model with its source, digest, signature, lineage and card.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{
        AssetFile, AssetOwners, AssetRisk, AssetStatus, AssetValue, Level, NEW_DIGEST_NEW_VERSION, Retention,
        StoreEncryption, choices,
    },
    schema,
};

choices! {
    /// Where a model comes from.
    pub enum Origin {
        /// The organisation made it.
        Internal = "internal",
        /// A provider made it.
        External = "external",
        /// An open project made it.
        OpenSource = "openSource",
    }

    /// How the organisation came by a model.
    pub enum Acquisition {
        /// It was trained here.
        Trained = "trained",
        /// It was adapted here.
        FineTuned = "finetuned",
        /// It is used as it came.
        AsIs = "asIs",
        /// It runs elsewhere and is called.
        ExternalApi = "externalAPI",
    }

    /// What kind of model it is.
    pub enum ModelKind {
        /// A large language model.
        Llm = "llm",
        /// Sorts inputs into classes.
        Classifier = "classifier",
        /// Turns inputs into vectors.
        Embedding = "embedding",
        /// Finds things in images or other signals.
        Detector = "detector",
        /// Makes images, sound or video.
        Generator = "generator",
        /// Learns by reward.
        Reinforcement = "reinforcement",
        /// Changes another model, as an adapter does.
        Adapter = "adapter",
        /// Anything else.
        Other = "other",
    }

    /// The file format of a model.
    pub enum ModelFormat {
        /// Tensors without code.
        Safetensors = "safetensors",
        /// Tensors with metadata, for llama.cpp and its relatives.
        Gguf = "gguf",
        /// A graph of operators.
        Onnx = "onnx",
        /// A saved `TensorFlow` graph, which may carry code.
        SavedModel = "savedModel",
        /// Python objects, which run code when they are read.
        Pickle = "pickle",
        /// A `TorchScript` program.
        TorchScript = "torchScript",
        /// Anything else.
        Other = "other",
    }

    /// How far a model has come.
    pub enum Stage {
        /// Somebody tries things.
        Experimental = "experimental",
        /// It may be released.
        Candidate = "candidate",
        /// It may run in production.
        Released = "released",
        /// It may not run any more.
        Retired = "retired",
    }

    /// How far a model has been examined.
    pub enum Trust {
        /// Not at all: only quarantine may load it.
        Untrusted = "untrusted",
        /// Scanned for harmful content.
        Scanned = "scanned",
        /// Scanned, evaluated and accepted.
        Verified = "verified",
    }

    /// Where the bytes of a model are.
    pub enum ModelSourceKind {
        /// An OCI artifact, mounted as an image volume.
        Oci = "oci",
        /// A volume of the namespace.
        Pvc = "pvc",
        /// A bucket.
        S3 = "s3",
        /// A repository of Hugging Face, by commit.
        HuggingFace = "huggingface",
        /// Inside a container image.
        Image = "image",
        /// Nowhere here: the model answers through an interface outside.
        Api = "api",
    }

    /// How a model is signed.
    pub enum SignatureKind {
        /// By cosign, on the artifact.
        Cosign = "cosign",
        /// By an `OpenSSF` model signature over its files.
        Oms = "oms",
    }
}

/// A model: where its bytes are, which bytes they are, where it comes from and what it can do.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AIModel",
    plural = "aimodels",
    singular = "aimodel",
    shortname = "aim",
    category = "portcullis",
    namespaced,
    status = "AssetStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A model: where its bytes are, which bytes they are, where it comes from, what it can do, and what was verified of it.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".spec.version",
        description = "Its version"
    ),
    printcolumn(
        name = "Stage",
        type_ = "string",
        json_path = ".spec.stage",
        description = "How far it has come"
    ),
    printcolumn(
        name = "Source",
        type_ = "string",
        json_path = ".spec.source.kind",
        description = "Where its bytes are"
    ),
    printcolumn(
        name = "Signature",
        type_ = "string",
        json_path = ".status.verification.signatureVerified",
        description = "Whether a trusted authority signed it"
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
    validation = ("(has(self.source) && self.source.kind == 'api') || has(self.digest)", "digest is required unless source.kind is api"),
    validation = ("!has(self.source) || self.source.kind != 'oci' || !has(self.source.reference) || !has(self.digest) || self.source.reference.endsWith('@' + self.digest)", "source.reference and digest name different digests"),
    validation = NEW_DIGEST_NEW_VERSION
)]
pub struct AIModelSpec {
    /// Where the bytes are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ModelSource>,
    /// Digest of the artifact's manifest: which bytes are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// Version; a new digest needs a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub version: Option<String>,
    /// How far it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The file format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ModelFormat>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// How the organisation came by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquisition: Option<Acquisition>,
    /// What kind of model it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_kind: Option<ModelKind>,
    /// How far it has been examined; evidence has to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Its files; where the list is given, no other file may be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".into()]))]
    pub files: Vec<AssetFile>,
    /// How it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<AssetSignature>,
    /// How often its bytes are read again, where they are on a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationPlan>,
    /// Name of the `AISupplier` that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub supplier_ref: Option<String>,
    /// The model that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_model_ref: Option<AssetRef>,
    /// The datasets that it was made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub trained_on: Vec<TrainedOn>,
    /// When its training ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub trained_at: Option<String>,
    /// What it can do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::identifiers")]
    pub capabilities: Vec<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<AssetOwners>,
    /// Who maintains an open model: `own`, or the project's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub maintainer: Option<String>,
    /// Its licence, as an SPDX identifier or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub license: Option<String>,
    /// Namespaces that may run it; only its own unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub allowed_namespaces: Vec<String>,
    /// Categories of use that its owner permits; any unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::identifiers")]
    pub allowed_uses: Vec<String>,
    /// What it is worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<AssetValue>,
    /// The risk that remains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<AssetRisk>,
    /// Threats that its maker told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::identifiers")]
    pub known_threats: Vec<String>,
    /// What people should know about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<ModelCard>,
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

/// Where the bytes of a model are.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.kind == 'pvc' ? has(self.claimName) : self.kind == 'api' || has(self.reference)", "source needs claimName for a pvc, reference for anything else but an api"),
    validation = ("!(self.kind in ['oci', 'image']) || !has(self.reference) || self.reference.contains('@sha256:')", "reference names a digest, not only a tag"),
    validation = ("self.kind != 'huggingface' || has(self.revision)", "a huggingface source names the commit in revision")
)]
pub struct ModelSource {
    /// The kind of place.
    pub kind: ModelSourceKind,
    /// The artifact by digest, the bucket's URL or the repository's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub reference: Option<String>,
    /// The commit of a repository, or the version of an object in a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub revision: Option<String>,
    /// Name of the `PersistentVolumeClaim` with the files; of a copy where `kind` is `s3` or `huggingface`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub claim_name: Option<String>,
    /// Path below the root of the volume, image or bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub path: Option<String>,
    /// How a bucket encrypts what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_side_encryption: Option<StoreEncryption>,
}

impl ModelSource {
    /// The claim on which the files are: the source itself, or a copy of what was fetched from elsewhere.
    #[must_use]
    pub fn claim(&self) -> Option<&str> {
        let holds_files =
            matches!(self.kind, ModelSourceKind::Pvc | ModelSourceKind::S3 | ModelSourceKind::HuggingFace);
        self.claim_name.as_deref().filter(|_| holds_files)
    }
}

/// How an asset is signed.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetSignature {
    /// The kind of signature.
    pub kind: SignatureKind,
    /// Where it is, if not beside the artifact: an OCI reference, or `configmap://name/key`.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub ref_: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub signed_at: Option<String>,
}

/// How often stored bytes are verified.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationPlan {
    /// The longest time between two looks, as an ISO 8601 duration; seven days unless stated, an hour at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub every: Option<String>,
}

/// Another asset.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetRef {
    /// Its name.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// Its namespace, this one unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub namespace: Option<String>,
}

/// A dataset that a model was made from.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainedOn {
    /// Name of the `AIDataset`.
    #[schemars(schema_with = "schema::name")]
    pub dataset: String,
    /// Its namespace, this one unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub namespace: Option<String>,
    /// Its digest at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
}

/// What people should know about a model.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelCard {
    /// How it is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub architecture: Option<String>,
    /// How many parameters it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub parameter_count: Option<i64>,
    /// What its data came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub data_sources: Vec<String>,
    /// What it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub intended_scope: Option<String>,
    /// What it is not good at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub limitations: Vec<String>,
    /// What has to guard it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub guardrails: Vec<String>,
    /// How it goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub failure_modes: Vec<String>,
    /// What makes it hard to understand or maintain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub complexity_notes: Vec<String>,
    /// How well its results can be explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explainability: Option<Level>,
    /// What protects people whose data it learnt from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub privacy_techniques: Vec<String>,
    /// The card for people, if there is one.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub ref_: Option<String>,
    /// Digest of that card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
}
