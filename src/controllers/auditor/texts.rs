//! What the pods of a namespace read from ConfigMaps: read now and then by name, never watched, and only what was found of
//! credentials, and keys that may name a prompt, are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use tokio::time::Instant;

use super::{Auditor, FULL};
use crate::policy::facts::Text;
use crate::policy::texts::{credentials, prompts};

/// Maps of one namespace that are read.
const MAPS: usize = 64;
/// Reads at the same time.
const READS: usize = 4;

/// What was read of a namespace, and when.
#[derive(Debug, Default)]
pub(super) struct Read {
    names: BTreeSet<String>,
    at: Option<Instant>,
}

impl Auditor {
    /// Reads `names`, the maps that running pods of the namespace `name` refer to, where others are referred to than before or the last look is
    /// old.
    pub(super) async fn read_texts(&self, name: &str, names: BTreeSet<String>, former: Read) -> Read {
        let fresh = former.at.is_some_and(|at| at.elapsed() < FULL);
        if fresh && former.names == names {
            return former;
        }
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), name);
        let api = &api;
        let read = stream::iter(names.iter().take(MAPS).cloned().collect::<Vec<_>>())
            .map(|map| async move {
                let text = match api.get_opt(&map).await {
                    // Without it the pod does not start, or does without.
                    Ok(found) => {
                        let found = found.unwrap_or_default();
                        Text::Read { credentials: credentials(&found), prompts: prompts(&found) }
                    }
                    Err(error) => Text::Unread(error.to_string()),
                };
                (map, text)
            })
            .buffer_unordered(READS);
        let mut texts: BTreeMap<String, Text> = read.collect().await;
        for rest in names.iter().skip(MAPS) {
            texts.insert(
                rest.clone(),
                Text::Unread(format!("more than {MAPS} ConfigMaps are referred to here")),
            );
        }
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(namespace) = world.cluster.namespaces.get_mut(name) {
            namespace.texts = texts;
        }
        Read { names, at: Some(Instant::now()) }
    }
}
