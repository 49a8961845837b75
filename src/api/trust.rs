//! AITrustPolicy: which registries are used, whose signatures count for what, and what is revoked.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{Party, choices},
    schema,
};

choices! {
    /// The algorithm of a key.
    pub enum KeyAlgorithm {
        /// ECDSA on the curve P-256.
        EcdsaP256 = "ecdsa-p256",
        /// ECDSA on the curve P-384.
        EcdsaP384 = "ecdsa-p384",
        /// Ed25519.
        Ed25519 = "ed25519",
        /// RSA of 3072 bits or more.
        Rsa = "rsa",
    }

    /// How a signature is stored in the registry.
    pub enum SignatureFormat {
        /// Under a tag made of the digest, as cosign did first.
        TagAttached = "TagAttached",
        /// As a Sigstore bundle that refers to the artifact.
        Bundle = "Bundle",
    }

    /// Whether the signature of an index speaks for the manifests of single platforms that it lists.
    pub enum PlatformManifests {
        /// A manifest that is named by its own digest has to be signed itself.
        SignedThemselves = "SignedThemselves",
        /// A manifest that is named by its own digest may be vouched for by a signed index that lists it. The index is
        /// found by the tag beside the digest; the tag proves nothing.
        VouchedByIndex = "VouchedByIndex",
    }

    /// What kind of thing a rule is about.
    pub enum Artifact {
        /// A container image.
        Image = "image",
        /// A model.
        Model = "model",
        /// A dataset.
        Dataset = "dataset",
        /// A prompt or policy.
        Prompt = "prompt",
    }

    /// What is revoked.
    pub enum RevokedKind {
        /// One artifact, by its digest.
        Digest = "digest",
        /// A key, by the SHA-256 of its public part, or an authority by its name.
        Key = "key",
        /// An identity of keyless signing.
        Identity = "identity",
        /// A supplier with all that came from it, by its name.
        Supplier = "supplier",
    }
}

/// Which registries are used, whose signatures count for what, and what is revoked.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AITrustPolicy",
    plural = "aitrustpolicies",
    singular = "aitrustpolicy",
    shortname = "aitp",
    category = "portcullis",
    status = "AITrustPolicyStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Which registries may be used, whose signatures count for which artifacts, and what is revoked.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether all of it could be loaded"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why, or why not"
    ),
    printcolumn(
        name = "Rotation-Due",
        type_ = "string",
        json_path = ".status.nextRotation",
        description = "Next day on which a key is to be replaced, or ends"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = ("!has(self.rules) || self.rules.all(r, r.authorities.all(a, has(self.authorities) && self.authorities.exists(x, x.name == a)))", "every authority that a rule names has to be listed in authorities")
)]
pub struct AITrustPolicySpec {
    /// The registries that may be asked at all; a host that is not listed gets no request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["host".into()]))]
    pub registries: Vec<Registry>,
    /// Those whose signatures count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub authorities: Vec<Authority>,
    /// Which artifacts need whose signatures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rules: Vec<TrustRule>,
    /// What does not count any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "value".into()]))]
    pub revoked: Vec<Revocation>,
    /// Who may change this policy, for the reader; the cluster's roles decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writers: Option<Party>,
}

/// A registry that may be asked.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// Host and port, as image references write them.
    #[schemars(schema_with = "schema::host")]
    pub host: String,
    /// Ask it without TLS; only for registries that a test brings up.
    #[serde(rename = "plainHTTP", default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_http: bool,
    /// Allow that its name resolves to private, loopback or link-local addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private_addresses: bool,
    /// Hosts that belong to it, such as its token service or the store of its blobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::hosts")]
    pub companions: Vec<String>,
    /// The registry that it mirrors: rules are read with that host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::host")]
    pub mirror_of: Option<String>,
}

/// Somebody whose signatures count.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("[has(self.key), has(self.keyless), has(self.certificate)].filter(given, given).size() == 1", "give exactly one of key, keyless and certificate")
)]
pub struct Authority {
    /// Its name, which rules and messages use.
    #[schemars(schema_with = "schema::label")]
    pub name: String,
    /// It signs with this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<AuthorityKey>,
    /// It signs with short-lived certificates for this identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<Keyless>,
    /// It signs with a certificate of these issuers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateAuthority>,
    /// First day on which its signatures count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::day")]
    pub not_before: Option<String>,
    /// Last day on which its signatures count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::day")]
    pub not_after: Option<String>,
    /// Day by which the key is to be replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::day")]
    pub rotation_due: Option<String>,
    /// Who keeps the key or the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Party>,
    /// Whether the signature has to be in a transparency log; true for keyless unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_transparency_log: Option<bool>,
    /// How its signatures may be stored; every way unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub formats: Vec<SignatureFormat>,
}

/// A public key.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityKey {
    /// The public key in PEM.
    #[schemars(schema_with = "schema::pem")]
    pub pem: String,
    /// Its algorithm; a key of another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<KeyAlgorithm>,
}

/// An identity that signs with short-lived certificates.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.subject) != has(self.subjectRegExp)", "give exactly one of subject and subjectRegExp"))]
pub struct Keyless {
    /// The sign-in provider that vouched for the identity, exactly as the certificate names it.
    #[schemars(schema_with = "schema::uri")]
    pub issuer: String,
    /// The identity, exactly as the certificate names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub subject: Option<String>,
    /// A pattern that the whole identity has to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub subject_reg_exp: Option<String>,
    /// The certificate authorities and logs to believe; those of the public Sigstore instance unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_root: Option<TrustRoot>,
}

/// The certificate authorities and logs to believe.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.inline) != has(self.configMapRef)", "give exactly one of inline and configMapRef"))]
pub struct TrustRoot {
    /// A Sigstore `trusted_root.json`, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 131_072))]
    pub inline: Option<String>,
    /// The same in a `ConfigMap` of the operator's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapKey>,
}

/// A key within a `ConfigMap` of the operator's namespace.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKey {
    /// Name of the `ConfigMap`.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// Key within it, `trusted_root.json` unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub key: Option<String>,
}

/// Issuers whose certificates sign.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateAuthority {
    /// The certificates of the issuers in PEM, one after another.
    #[schemars(schema_with = "schema::pem")]
    pub ca_pem: String,
    /// The name that the signing certificate has to carry, exactly; any unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub subject: Option<String>,
}

/// Which artifacts need whose signatures.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustRule {
    /// The artifacts.
    #[serde(rename = "match")]
    pub match_: TrustMatch,
    /// Names of the authorities; a signature by one of them is enough unless minSignatures says more.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub authorities: Vec<String>,
    /// How many different authorities have to sign; one unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub min_signatures: Option<u16>,
    /// The longest time between making and signing, as an ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub sign_within: Option<String>,
    /// Further signed statements that have to be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub attestations: Vec<AttestationRule>,
    /// Whether a signed index speaks for the platforms that it lists; `SignedThemselves` unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_manifests: Option<PlatformManifests>,
}

/// Artifacts that a rule is about.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustMatch {
    /// Their kind.
    pub artifact: Artifact,
    /// Their repositories, as `host/path`: `*` stands for one whole part of the path, at the end for everything below.
    /// All unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::paths")]
    pub repositories: Vec<String>,
    /// The namespaces that use them; all unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::namespace_patterns")]
    pub namespaces: Vec<String>,
}

/// A signed statement that has to be there.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttestationRule {
    /// The type of the statement.
    #[schemars(schema_with = "schema::uri")]
    pub predicate_type: String,
    /// Names of the authorities that may sign it; those of the rule unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub authorities: Vec<String>,
    /// The builders that a provenance may name; any unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::uris")]
    pub builder_ids: Vec<String>,
}

/// Something that does not count any more.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// What it is.
    pub kind: RevokedKind,
    /// Its digest, name or identity.
    #[schemars(schema_with = "schema::path")]
    pub value: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub reason: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub at: Option<String>,
}

/// What holds of a trust policy.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AITrustPolicyStatus {
    /// The generation of the object that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is wrong with it, a field each; what rests on such a field refuses, everything else works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub problems: Vec<String>,
    /// Next day on which a key of its authorities is to be replaced, or ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::day")]
    pub next_rotation: Option<String>,
    /// What holds of the object at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
