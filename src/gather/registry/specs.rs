//! Trust policies as they are written, and questions about artifacts: plain values without behaviour.

use jiff::SignedDuration;

use super::authority::AuthoritySpec;
use crate::policy::image::ImageRef;

/// One trust policy as it was written.
#[derive(Debug, Clone, Default)]
pub struct PolicySpec {
    /// Its name, for messages.
    pub name: String,
    /// Registries that may be asked.
    pub registries: Vec<RegistrySpec>,
    /// Who may vouch.
    pub authorities: Vec<AuthoritySpec>,
    /// The user for whom an authority speaks, after the authority's name.
    pub people: Vec<(String, String)>,
    /// What needs whose signature.
    pub rules: Vec<RuleSpec>,
    /// What no longer counts.
    pub revoked: Vec<RevokedSpec>,
}

/// A registry that may be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySpec {
    /// `host` or `host:port` as it stands in image references.
    pub host: String,
    /// Whether it is spoken to without TLS.
    pub plain_http: bool,
    /// Whether its name may lead to loopback or private addresses.
    pub allow_private_addresses: bool,
    /// Other hosts (`host` or `host:port`) that belong to it: a token service, a blob store.
    pub companions: Vec<String>,
    /// The registry it mirrors: rules are read as if its repositories stood there.
    pub mirror_of: Option<String>,
}

/// What needs whose signature. Every rule that covers a repository must be satisfied, each by one of its authorities.
#[derive(Debug, Clone, Default)]
pub struct RuleSpec {
    /// What kind of artifact the rule is about.
    pub artifact: Artifact,
    /// Patterns of repositories; see [`RepositoryPattern`](crate::policy::image::RepositoryPattern). None means all.
    pub repositories: Vec<String>,
    /// Names of namespaces that use the artifact, a star at the end for anything. None means all.
    pub namespaces: Vec<String>,
    /// Names of authorities of the same policy.
    pub authorities: Vec<String>,
    /// How many different ones of them must have signed; zero counts as one.
    pub min_signatures: u16,
    /// The longest time between making and signing.
    pub sign_within: Option<SignedDuration>,
    /// Further statements that have to be there.
    pub attestations: Vec<AttestationSpec>,
    /// Whether a signed index vouches for the manifests that it lists.
    pub index_may_vouch: bool,
    /// What in the rule cannot be read, as field and words. The rule then refuses everything it could be about.
    pub unreadable: Vec<(String, String)>,
}

/// A signed statement that has to be there.
#[derive(Debug, Clone, Default)]
pub struct AttestationSpec {
    /// The type of the statement, compared exactly.
    pub predicate_type: String,
    /// Names of authorities of the same policy, one of which has to sign it; those of the rule where there are none.
    pub authorities: Vec<String>,
    /// The builders that a provenance may name, compared exactly; empty for any.
    pub builder_ids: Vec<String>,
}

/// Where a supplier's artifacts come from.
#[derive(Debug, Clone, Default)]
pub struct SupplierSpec {
    /// Its name.
    pub name: String,
    /// Patterns of repositories, as rules write them.
    pub sources: Vec<String>,
}

/// The kinds of artifacts that rules tell apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Artifact {
    /// A container image.
    #[default]
    Image,
    /// A model in an OCI artifact or image volume.
    Model,
    /// A data set in an OCI artifact.
    Dataset,
    /// A prompt or policy in an OCI artifact.
    Prompt,
}

/// Something that no longer counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedSpec {
    /// What the value is.
    pub kind: RevokedKind,
    /// A digest, a key's SHA-256 fingerprint, an authority's name, or an identity.
    pub value: String,
    /// Why.
    pub reason: String,
}

/// What a revocation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokedKind {
    /// An artifact's digest, in whatever repository.
    Digest,
    /// A public key by the SHA-256 of its DER form in whatever policy, or an authority of the same policy by name.
    Key,
    /// The subject of keyless certificates, in whatever policy.
    Identity,
    /// A supplier by name: whatever lies in a repository of its sources.
    Supplier,
}

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The reference, as it would be pulled.
    pub image: &'a ImageRef,
    /// What it is used as.
    pub artifact: Artifact,
    /// Which namespace uses it; where that is open, the rules of all namespaces apply.
    pub namespace: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// About a container image, whoever uses it.
    #[must_use]
    pub const fn image(image: &'a ImageRef) -> Self {
        Self { image, artifact: Artifact::Image, namespace: None }
    }
}
