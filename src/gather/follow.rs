//! One watch followed for ever: what is listed and what changes, handed to whoever keeps it.

use std::collections::HashSet;
use std::pin::pin;

use futures::{Stream, TryStreamExt as _};
use kube::ResourceExt;
use kube::runtime::watcher::{self, Event};

/// Objects that a list brings at once. What a page takes while it is read is many times what is kept of it, and all lists of
/// a start are read side by side.
const PAGE: u32 = 100;

/// How lists are read: in pages so small that none of them decides how much memory is needed.
#[must_use]
pub fn paged() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// An object's namespace and name.
pub type Key = (Option<String>, String);

/// Whoever keeps what a watch shows.
pub trait Keeps<K> {
    /// An object is there, or has changed. While `listing`, the whole is not complete yet.
    fn apply(&mut self, object: K, listing: bool);
    /// An object has gone.
    fn remove(&mut self, key: &Key);
    /// A list is complete: what is not in it went while nobody watched.
    fn listed(&mut self, all: HashSet<Key>);
    /// The watch failed and starts again by itself.
    fn failed(&mut self, error: &watcher::Error);
}

/// Follows `events` until they end, which those of a watch never do.
pub async fn follow<K: ResourceExt>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    keeper: &mut impl Keeps<K>,
) {
    let mut events = pin!(events);
    let mut listed: HashSet<Key> = HashSet::new();
    loop {
        match events.try_next().await {
            Ok(Some(Event::Init)) => listed.clear(),
            Ok(Some(Event::InitApply(object))) => {
                listed.insert(key(&object));
                keeper.apply(object, true);
            }
            Ok(Some(Event::InitDone)) => keeper.listed(std::mem::take(&mut listed)),
            Ok(Some(Event::Apply(object))) => keeper.apply(object, false),
            Ok(Some(Event::Delete(object))) => keeper.remove(&key(&object)),
            Ok(None) => return,
            Err(error) => keeper.failed(&error),
        }
    }
}

/// The key of an object.
pub fn key<K: ResourceExt>(object: &K) -> Key {
    (object.namespace(), object.name_any())
}
