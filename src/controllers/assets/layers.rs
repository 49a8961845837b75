//! The layers of models in registries: looked at one model after the other, ahead of admission and never in it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::plan;
use crate::api::model::ModelSourceKind;
use crate::gather::ahead::Declared;
use crate::gather::registry::{Contents, Within};
use crate::gather::signatures::Signatures;
use crate::policy::facts::Signature;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// When a look that failed is tried again.
const AGAIN: Duration = Duration::from_mins(5);

/// Which state of which model: namespace, name, reference, path.
type Key = (String, String, String, String);

/// What was seen in this term of leadership, and the look under way. It ends with its owner.
#[derive(Debug, Default)]
pub(super) struct Layers {
    running: JoinSet<(Key, Result<Contents, String>)>,
    seen: HashMap<Key, (Result<Contents, String>, Instant)>,
}

fn key(declared: &Declared) -> Key {
    let model = &declared.model;
    let source = model.spec.source.as_ref();
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    (
        declared.namespace.clone(),
        text(model.metadata.name.as_ref()),
        text(source.and_then(|source| source.reference.as_ref())),
        text(source.and_then(|source| source.path.as_ref())),
    )
}

impl Layers {
    /// Takes in what has ended.
    pub(super) fn collect(&mut self) {
        while let Some(ended) = self.running.try_join_next() {
            // A look that broke is tried again as one that found nothing out.
            let Ok((key, contents)) = ended else { continue };
            self.seen.insert(key, (contents, Instant::now()));
        }
    }

    /// Forgets what nobody declares any more.
    pub(super) fn forget(&mut self, known: &[(Declared, Signature)]) {
        let there: BTreeSet<Key> = known.iter().map(|(declared, _)| key(declared)).collect();
        self.seen.retain(|key, _| there.contains(key));
    }

    /// Starts a look, where one is due and none is under way.
    pub(super) fn want(&mut self, declared: &Declared, signature: &Signature, signatures: &Arc<Signatures>) {
        // What policies refuse is not dialled, and what did not answer is not asked for more.
        let open =
            matches!(signature, Signature::Trusted(_) | Signature::Missing(_) | Signature::Untrusted(_));
        if !open || !self.running.is_empty() {
            return;
        }
        let key = key(declared);
        let due = match self.seen.get(&key) {
            Some((Ok(_), _)) => false,
            Some((Err(_), at)) => at.elapsed() > AGAIN,
            None => !plan::is_looked_at(&declared.model),
        };
        let (Some(question), true) = (declared.questions.first().cloned(), due) else { return };
        let source = declared.model.spec.source.as_ref();
        let in_image = source.is_some_and(|source| source.kind == ModelSourceKind::Image);
        let path = source.and_then(|source| source.path.clone());
        let (signatures, namespace) = (Arc::clone(signatures), declared.namespace.clone());
        self.running.spawn(async move {
            let within = if in_image { Within::Image(path.as_deref()) } else { Within::All };
            let until = Instant::now() + PATIENCE;
            let seen = signatures.contents(&namespace, &question, within, until).await;
            (key, seen)
        });
    }

    /// What was seen of a model.
    pub(super) fn of(&self, declared: &Declared) -> Option<&Result<Contents, String>> {
        self.seen.get(&key(declared)).map(|(contents, _)| contents)
    }
}
