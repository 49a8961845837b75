//! What the operator verified of models and datasets and still counts: of the digest that is declared, and resting on what holds
//! now. The one place where rules, statuses and the verifier itself ask.

use super::facts::{Cluster, Facts, Namespace};
use crate::api::common::{AssetStatus, Verification};
use crate::api::{AIDataset, AIModel};
use crate::models::basis::{self, Bound};
use crate::models::job::Stored;

/// What lies on a claim, with the claim and the trust that hold now.
#[must_use]
pub fn bound(of: impl Into<Stored>, home: Option<&Namespace>, cluster: &Cluster) -> Stored {
    let mut stored = of.into();
    let claim = stored.claim.as_ref().and_then(|name| home?.claims.get(name));
    let at = claim.map_or(Bound::default(), |claim| Bound {
        uid: claim.uid.as_deref(),
        volume: claim.volume.as_deref(),
    });
    stored.basis = basis::of(&stored, at, cluster.trust_policies.values().map(AsRef::as_ref));
    stored.claim_uid = at.uid.map(str::to_owned);
    stored
}

/// What is known of the present digest of a model.
#[must_use]
pub fn of_model<'a>(
    model: &'a AIModel,
    home: Option<&Namespace>,
    cluster: &Cluster,
) -> Option<&'a Verification> {
    let claim = model.spec.source.as_ref().and_then(|source| source.claim());
    counting(model.status.as_ref(), model.spec.digest.as_ref(), claim, || bound(model, home, cluster))
}

/// What is known of the present digest of a dataset.
#[must_use]
pub fn of_dataset<'a>(
    dataset: &'a AIDataset,
    home: Option<&Namespace>,
    cluster: &Cluster,
) -> Option<&'a Verification> {
    let claim = dataset.spec.source.as_ref().and_then(|source| source.claim());
    counting(dataset.status.as_ref(), dataset.spec.digest.as_ref(), claim, || bound(dataset, home, cluster))
}

/// What a status tells, where it still counts. What lies on no claim has no basis, and nothing is computed for it.
fn counting<'a>(
    status: Option<&'a AssetStatus>,
    digest: Option<&String>,
    claim: Option<&str>,
    now: impl FnOnce() -> Stored,
) -> Option<&'a Verification> {
    let known = status?.verification.as_ref()?;
    let digest_stands = digest.is_some() && known.digest.as_ref() == digest;
    (digest_stands && known.basis == claim.and_then(|_| now().basis)).then_some(known)
}

impl Facts<'_> {
    /// What the operator knows of the present digest of a model.
    #[must_use]
    pub fn verified_model<'m>(&self, model: &'m AIModel) -> Option<&'m Verification> {
        of_model(model, self.home(model.metadata.namespace.as_deref()), self.cluster)
    }

    /// What the operator knows of the present digest of a dataset.
    #[must_use]
    pub fn verified_dataset<'d>(&self, dataset: &'d AIDataset) -> Option<&'d Verification> {
        of_dataset(dataset, self.home(dataset.metadata.namespace.as_deref()), self.cluster)
    }

    fn home(&self, namespace: Option<&str>) -> Option<&Namespace> {
        let name = namespace.unwrap_or(&self.namespace.name);
        if name == self.namespace.name { Some(self.namespace) } else { self.cluster.namespaces.get(name) }
    }
}

#[cfg(test)]
#[path = "verified_tests.rs"]
mod tests;
