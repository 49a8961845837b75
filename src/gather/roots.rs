//! Trust roots in ConfigMaps of the operator's namespace: those that trust policies name, watched one by one, because the
//! right to read them is given by name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Client};
use tokio::task::AbortHandle;

use super::cluster::Listener;
use super::world::{Touched, World};

/// How soon a name that a policy newly mentions is looked at.
const PACE: Duration = Duration::from_secs(1);
/// More ConfigMaps are not watched; a policy that names a further one hears that it has not been read.
const MAX_ROOTS: usize = 16;

const FORBIDDEN: &str = "may not be read by portcullis: name it in registry.trustRootConfigMaps of the chart";
const ABSENT: &str = "does not exist";

type Root = Result<BTreeMap<String, String>, String>;

/// Keeps the ConfigMaps that trust policies name in `world`, for as long as it is polled.
pub async fn keep(client: Client, namespace: String, world: Arc<RwLock<World>>, listener: Listener) {
    let mut watched: HashMap<String, AbortHandle> = HashMap::new();
    loop {
        let names = named(&world.read().unwrap_or_else(PoisonError::into_inner));
        watched.retain(|name, task| {
            let keep = names.contains(name);
            if !keep {
                task.abort();
                put(&world, &listener, name, None);
            }
            keep
        });
        for name in names {
            if !watched.contains_key(&name) && watched.len() < MAX_ROOTS {
                let api = Api::namespaced(client.clone(), &namespace);
                let (world, listener) = (Arc::clone(&world), Arc::clone(&listener));
                let one = name.clone();
                let task = tokio::spawn(async move { follow(api, &one, &world, &listener).await });
                watched.insert(name, task.abort_handle());
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

/// The ConfigMaps that trust policies name.
fn named(world: &World) -> BTreeSet<String> {
    let policies = world.cluster.trust_policies.values();
    let authorities = policies.flat_map(|policy| &policy.spec.authorities);
    let roots = authorities.filter_map(|authority| authority.keyless.as_ref()?.trust_root.as_ref());
    roots.filter_map(|root| Some(root.config_map_ref.as_ref()?.name.clone())).collect()
}

async fn follow(api: Api<ConfigMap>, name: &str, world: &Arc<RwLock<World>>, listener: &Listener) {
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = pin!(watch(api, only).default_backoff());
    let mut listed: Option<ConfigMap> = None;
    loop {
        match events.try_next().await {
            Ok(Some(Event::Init)) => listed = None,
            Ok(Some(Event::InitApply(object))) => listed = Some(object),
            Ok(Some(Event::InitDone)) => {
                let root = listed.take().map(|object| object.data.unwrap_or_default());
                let root = root.ok_or_else(|| ABSENT.to_owned());
                put(world, listener, name, Some(root));
            }
            Ok(Some(Event::Apply(object))) => {
                put(world, listener, name, Some(Ok(object.data.unwrap_or_default())));
            }
            Ok(Some(Event::Delete(_))) => put(world, listener, name, Some(Err(ABSENT.to_owned()))),
            Ok(None) => return,
            Err(watcher::Error::InitialListFailed(kube::Error::Api(status))) if status.code == 403 => {
                put(world, listener, name, Some(Err(FORBIDDEN.to_owned())));
            }
            // What was known stays known while the API server cannot be asked.
            Err(error) => tracing::warn!(config_map = name, %error, "a watch failed and starts again"),
        }
    }
}

fn put(world: &Arc<RwLock<World>>, listener: &Listener, name: &str, root: Option<Root>) {
    let mut world = world.write().unwrap_or_else(PoisonError::into_inner);
    if world.trust_roots.get(name) == root.as_ref() {
        return;
    }
    // A new map: who compiled policies with the old one sees that it is another.
    let mut roots = world.trust_roots.as_ref().clone();
    match root {
        Some(root) => roots.insert(name.to_owned(), root),
        None => roots.remove(name),
    };
    world.trust_roots = Arc::new(roots);
    drop(world);
    listener(Touched::everything());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::world::Object;
    use serde_json::json;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_root_that_changes_is_another_map_and_is_told_once() {
        let world = Arc::new(RwLock::new(World::default()));
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let listener: Listener = Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let root = |text: &str| Some(Ok(BTreeMap::from([("trusted_root.json".to_owned(), text.to_owned())])));
        put(&world, &listener, "a", root("1"));
        let first = Arc::clone(&world.read().unwrap().trust_roots);
        put(&world, &listener, "a", root("1"));
        assert!(Arc::ptr_eq(&first, &world.read().unwrap().trust_roots));
        put(&world, &listener, "a", Some(Err(ABSENT.to_owned())));
        assert!(!Arc::ptr_eq(&first, &world.read().unwrap().trust_roots));
        put(&world, &listener, "a", None);
        assert!(world.read().unwrap().trust_roots.is_empty());
        assert_eq!(told.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn only_what_policies_name_is_watched_and_what_is_missing_is_said() {
        let policy: crate::api::AITrustPolicy = serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AITrustPolicy", "metadata": { "name": "default" },
            "spec": { "authorities": [{ "name": "ci", "keyless": { "issuer": "https://i.example", "subject": "s",
                "trustRoot": { "configMapRef": { "name": "roots" } } } }] },
        }))
        .unwrap();
        let problems = |root: Option<Root>| {
            let roots = root.map(|root| ("roots".to_owned(), root)).into_iter().collect();
            crate::gather::trust::problems_with(&policy, Some(&roots))
        };
        assert_eq!(problems(None), ["spec.authorities[0]: ConfigMap \"roots\" has not been read yet"]);
        assert_eq!(
            problems(Some(Err(FORBIDDEN.to_owned()))),
            [format!("spec.authorities[0]: ConfigMap \"roots\" {FORBIDDEN}")]
        );
        let other = BTreeMap::from([("x".to_owned(), String::new())]);
        assert_eq!(
            problems(Some(Ok(other))),
            ["spec.authorities[0]: ConfigMap \"roots\" has no key \"trusted_root.json\""]
        );
        let broken = BTreeMap::from([("trusted_root.json".to_owned(), "{".to_owned())]);
        assert_eq!(problems(Some(Ok(broken))), ["spec.authorities[0]: the trusted root cannot be read"]);
        assert_eq!(
            crate::gather::trust::problems(&policy),
            Vec::<String>::new(),
            "what lies elsewhere is not judged"
        );
        let mut world = World::default();
        world.apply(Object::TrustPolicy(Box::new(policy)));
        assert_eq!(named(&world), BTreeSet::from(["roots".to_owned()]));
    }
}
