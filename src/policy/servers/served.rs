//! Addresses of models as KServe writes them, held against what a workload declares.

use super::declared::version_of;
use super::forms::split_revision;
use crate::api;
use crate::api::model::{ModelSource, ModelSourceKind};
use crate::api::workload::WorkloadType;
use crate::policy::facts::Facts;

/// Whether an address is that of a declared model at its pinned state.
///
/// # Errors
/// What is wrong, as a clause.
pub fn served(facts: &Facts<'_>, workload: &api::AIWorkload, address: &str) -> Result<(), String> {
    if workload.spec.type_ == WorkloadType::Import {
        return Ok(());
    }
    let mut sources: Vec<&ModelSource> = Vec::new();
    for used in &workload.spec.models {
        // Another control speaks of a model that is not known.
        let model = facts.namespace.models.get(&used.name);
        let Some(source) = model.and_then(|model| model.spec.source.as_ref()) else { return Ok(()) };
        sources.push(source);
    }
    let name = Facts::name_of(workload);
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let undeclared = || format!("is no model that {name} declares");
    let of = |fits: &dyn Fn(&ModelSource) -> bool| sources.iter().copied().find(|source| fits(source));
    match scheme {
        "pvc" => {
            let (claim, path) = rest.split_once('/').unwrap_or((rest, ""));
            let source = of(&|source| source.claim() == Some(claim)).ok_or_else(undeclared)?;
            let folder = source.path.as_deref().unwrap_or_default().trim_matches('/');
            let inside =
                path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if folder.is_empty() || inside {
                return Ok(());
            }
            Err(format!("lies at {path:?} of its claim, and the model that {name} declares at {folder:?}"))
        }
        "oci" => {
            let same = |source: &ModelSource| {
                matches!(source.kind, ModelSourceKind::Oci | ModelSourceKind::Image)
                    && source.reference.as_deref() == Some(rest)
            };
            of(&same).map(|_| ()).ok_or_else(|| {
                if rest.contains('@') {
                    undeclared()
                } else {
                    format!("names no digest, and {}", undeclared())
                }
            })
        }
        "hf" => {
            let (repository, revision) = split_revision(address.into());
            let plain = |text: &str| text.trim_start_matches("hf://").trim_end_matches('/').to_owned();
            let of_hub = |source: &ModelSource| {
                source.kind == ModelSourceKind::HuggingFace
                    && source.reference.as_deref().is_some_and(|own| plain(own) == plain(&repository))
            };
            let pinned = of(&of_hub).ok_or_else(undeclared)?.revision.as_deref().unwrap_or_default();
            if revision.as_deref() == Some(pinned) {
                return Ok(());
            }
            Err(format!("is fetched at another state than the commit {pinned:?} that its AIModel names"))
        }
        _ => {
            let (plain, version) = version_of(address);
            let source =
                of(&|source| source.reference.as_deref().is_some_and(|own| version_of(own).0 == plain));
            source.ok_or_else(undeclared)?.takes_version(version)
        }
    }
}
