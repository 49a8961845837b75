//! Where `check` knows signatures from: a file, or the registries themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::gather::files::{Manifests, documents};
use crate::gather::registry::VerifierConfig;
use crate::gather::signatures::{ImageQuestion, SignatureSource as _, Signatures as Registry, questions};
use crate::gather::world::{Object, World};
use crate::models::libraries::Library;
use crate::policy::Finding;
use crate::policy::facts::{self, Attested, Signature, Vouched};

/// The longest time that all look-ups of a namespace take together.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is known of the signatures of images.
#[derive(Debug, Default)]
pub struct Signatures {
    /// By the reference as written, wherever it is used.
    pub stated: BTreeMap<String, Signature>,
    /// By namespace and reference, since trust policies may differ by namespace.
    pub verified: BTreeMap<String, BTreeMap<String, Signature>>,
    /// Images that a cluster lets run because it verified them, by namespace: what else it knows of them is not known here.
    pub running: BTreeMap<String, BTreeSet<String>>,
}

impl Signatures {
    /// What is known of `image` in `namespace`; that nobody looked is an answer too.
    #[must_use]
    pub fn of(&self, namespace: &str, image: &str) -> Signature {
        let verified = self.verified.get(namespace).and_then(|images| images.get(image));
        let known = self.stated.get(image).or(verified).cloned();
        known.unwrap_or(Signature::Unasked)
    }

    /// Whether `finding` says no more than that nobody looked up here what the cluster verified.
    #[must_use]
    pub fn answer(&self, namespace: &str, finding: &Finding) -> bool {
        finding.control.id == "image-signature-trusted"
            && finding.place.value.as_deref().is_some_and(|image| {
                self.of(namespace, image) == Signature::Unasked
                    && self.running.get(namespace).is_some_and(|images| images.contains(image))
            })
    }

    /// Reads what somebody verified elsewhere: `images: {REFERENCE: {trusted: [AUTHORITY]}}`; instead of `trusted` with
    /// the names of authorities, `missing`, `untrusted`, `refused` or `unknown` with the reason. Beside `trusted`,
    /// `attested: [{predicateType, builderId, authority}]` says which further statements were verified, and `evidence:
    /// {type, issuedAt, expiresAt, result}` in one what it says as evidence, `libraries: [PURL]` which libraries that load
    /// models a bill of materials lists.
    ///
    /// # Errors
    /// What is wrong with the text, as a clause.
    pub fn read(text: &str) -> Result<Self, String> {
        let value = documents::parse(text).map_err(|error| error.to_string())?;
        let file: File = serde_path_to_error::deserialize(value)
            .map_err(|error| format!("{}: {}", error.path(), error.inner()))?;
        let mut stated = BTreeMap::new();
        for (image, known) in file.images {
            let known = known.try_into().map_err(|error| format!("images.{image}: {error}"))?;
            stated.insert(image, known);
        }
        Ok(Self { stated, ..Self::default() })
    }

    /// Asks the registries of the trust policies in `manifests` for every image that is not known yet.
    pub async fn verify(&mut self, manifests: &Manifests) {
        let mut world = World::default();
        for policy in manifests.world.cluster.trust_policies.values() {
            world.apply(Object::TrustPolicy(Box::new(policy.as_ref().clone())));
        }
        let registry = Registry::new(Arc::new(RwLock::new(world)), VerifierConfig::default());
        let mut wanted: BTreeMap<&str, BTreeSet<ImageQuestion>> = BTreeMap::new();
        for subject in &manifests.subjects {
            let asked = subject.pods().iter().chain(subject.parts()).flat_map(|pod| questions(&pod.spec));
            wanted
                .entry(subject.namespace.as_deref().unwrap_or_default())
                .or_default()
                .extend(asked.filter(|question| !self.stated.contains_key(&question.reference)));
        }
        for (namespace, questions) in wanted {
            let deadline = Instant::now() + PATIENCE;
            let known = registry.signatures(namespace, questions.into_iter().collect(), deadline).await;
            self.verified.insert(namespace.to_owned(), known);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default, rename = "apiVersion")]
    _api_version: Option<String>,
    #[serde(default, rename = "kind")]
    _kind: Option<String>,
    images: BTreeMap<String, Known>,
}

/// Exactly one of all but `attested`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Known {
    trusted: Option<Vec<String>>,
    #[serde(default)]
    attested: Vec<Statement>,
    missing: Option<String>,
    untrusted: Option<String>,
    refused: Option<String>,
    unknown: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Statement {
    predicate_type: String,
    builder_id: Option<String>,
    authority: String,
    evidence: Option<Said>,
    libraries: Option<Vec<String>>,
}

/// What a statement says as evidence.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Said {
    #[serde(rename = "type")]
    type_: String,
    issued_at: String,
    expires_at: Option<String>,
    result: Option<String>,
}

impl From<Said> for facts::Statement {
    fn from(said: Said) -> Self {
        let passed = said.result.as_deref() == Some("pass");
        Self { type_: said.type_, issued_at: said.issued_at, expires_at: said.expires_at, passed }
    }
}

impl TryFrom<Statement> for Attested {
    type Error = &'static str;

    fn try_from(statement: Statement) -> Result<Self, Self::Error> {
        let library = |url: &String| Library::of_url(url).ok_or("libraries holds what is no package URL");
        let listed = statement.libraries.map(|urls| urls.iter().map(library).collect::<Result<_, _>>());
        Ok(Self {
            card: None,
            libraries: listed.transpose()?.map(|listed| Arc::new(Ok(listed))),
            evidence: statement.evidence.map(|said| Arc::new(said.into())),
            predicate_type: statement.predicate_type,
            builder_id: statement.builder_id,
            authority: statement.authority,
        })
    }
}

impl TryFrom<Known> for Signature {
    type Error = &'static str;

    fn try_from(known: Known) -> Result<Self, Self::Error> {
        let attestations =
            known.attested.into_iter().map(Attested::try_from).collect::<Result<Vec<_>, _>>()?;
        if known.trusted.is_none() && !attestations.is_empty() {
            return Err("attested needs trusted beside it");
        }
        let states = [
            known.trusted.map(|authorities| Self::Trusted(Vouched { authorities, attestations })),
            known.missing.map(Self::Missing),
            known.untrusted.map(Self::Untrusted),
            known.refused.map(Self::Refused),
            known.unknown.map(Self::Unknown),
        ];
        let mut states = states.into_iter().flatten();
        match (states.next(), states.next()) {
            (Some(state), None) => Ok(state),
            _ => Err("give exactly one of trusted, missing, untrusted, refused and unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_verified_elsewhere_is_read() {
        let known =
            Signatures::read("images:\n  a@sha256:1: {trusted: [ci]}\n  b: {missing: no signature}\n")
                .unwrap();
        assert_eq!(known.of("x", "a@sha256:1"), Signature::Trusted(vec!["ci".to_owned()].into()));
        assert_eq!(known.of("x", "b"), Signature::Missing("no signature".to_owned()));
        assert_eq!(known.of("x", "c"), Signature::Unasked);
        let error = Signatures::read("images: {a: {trusted: 3}}").unwrap_err();
        assert_eq!(error, "images.a.trusted: invalid type: integer `3`, expected a sequence");
        let error = Signatures::read("images: {a: {trusted: [ci], missing: none}}").unwrap_err();
        assert_eq!(error, "images.a: give exactly one of trusted, missing, untrusted, refused and unknown");
    }

    #[test]
    fn verified_statements_are_read_beside_the_authorities() {
        let statement = "{predicateType: p, builderId: b, authority: ci}";
        let known = Signatures::read(&format!("images: {{a: {{trusted: [ci], attested: [{statement}]}}}}"));
        let Signature::Trusted(vouched) = known.unwrap().of("x", "a") else { panic!("not trusted") };
        let wanted = Attested {
            card: None,
            libraries: None,
            evidence: None,
            predicate_type: "p".to_owned(),
            builder_id: Some("b".to_owned()),
            authority: "ci".to_owned(),
        };
        assert_eq!(vouched.attestations, [wanted]);
        let error = Signatures::read(&format!("images: {{a: {{missing: x, attested: [{statement}]}}}}"));
        assert_eq!(error.unwrap_err(), "images.a: attested needs trusted beside it");
        let listed = |url: &str| {
            let statement = format!("{{predicateType: p, authority: ci, libraries: [{url:?}]}}");
            Signatures::read(&format!("images: {{a: {{trusted: [ci], attested: [{statement}]}}}}"))
        };
        let known = listed("pkg:pypi/Torch@2.4.0").unwrap().of("x", "a");
        let Signature::Trusted(vouched) = known else { panic!("not trusted") };
        let torch = Library::of_url("pkg:pypi/torch@2.4.0").into_iter().collect();
        assert_eq!(vouched.attestations[0].libraries.as_deref(), Some(&Ok(torch)));
        assert_eq!(listed("torch 2.4").unwrap_err(), "images.a: libraries holds what is no package URL");
    }
}
