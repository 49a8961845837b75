//! What of the changes that are let in belongs into a history, with who asked for them.
//!
//! The controller tells of a declaration by what it finds at its next look, so its entries name nobody, and a quarantine that
//! is lifted and set again between two looks is none to it. What is heard here stands beside that, in entries of its own.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::attempts::{Change, Edit, Former};
use super::judge::{Judge, read};
use super::pods::same_spec;
use super::wire::Request;
use crate::api::AIWorkload;
use crate::api::outcome::{HistoryKind, UnusualChange};
use crate::api::workload::{LifecycleState, WorkloadOwners};
use crate::policy::{dates, hours, records};
use crate::render::words;

/// Longest list of the fields that were changed, in bytes.
const FIELDS: usize = 80;

/// Whether two objects of the same kind differ in when they were last reviewed and in nothing else of their specification.
fn only_reviewed(new: &RawValue, old: &RawValue) -> bool {
    let spec = |raw: &RawValue| {
        let mut object: Value = read(raw).ok()?;
        let mut spec = object.get_mut("spec")?.take();
        spec.as_object_mut()?.remove("lastReviewedAt");
        Some(spec)
    };
    spec(new).is_some_and(|reviewed| spec(old) == Some(reviewed))
}

impl Judge {
    /// Notes what an object of our kinds became, where a history tells of it.
    pub(super) fn note(&self, request: &Request<'_>) {
        match request.kind.kind.as_ref() {
            "AIModel" | "AIDataset" | "AIPrompt" => self.note_asset(request),
            "AIWorkload" => self.note_workload(request),
            _ => {}
        }
    }

    /// Who turned the state of a workload stands in its own history; who deleted it, in that of its namespace. Who wrote
    /// anything else of it is one of its authors.
    fn note_workload(&self, request: &Request<'_>) {
        let parsed = |raw: Option<&RawValue>| raw.and_then(|raw| read::<AIWorkload>(raw).ok());
        let (old, new) = (parsed(request.old_object), parsed(request.object));
        let gone = new.is_none();
        let said = match (&old, &new) {
            (None, Some(new)) => declared(new).into_iter().collect(),
            (Some(old), Some(new)) => turned(request, old, new),
            (Some(old), None) => vec![format!(" deleted AIWorkload/{} ({})", request.name, old.state())],
            (None, None) => Vec::new(),
        };
        // Owners who are only confirmed are the same.
        let owners =
            |workload: &AIWorkload| WorkloadOwners { confirmed_at: None, ..workload.spec.owners.clone() };
        let written = new.as_ref().filter(|new| {
            rest(request.object) != rest(request.old_object)
                || old.as_ref().is_some_and(|old| owners(old) != owners(new))
        });
        let edit = written.map(|new| Edit {
            user: person(&request.user_info.username),
            uid: new.metadata.uid.clone().unwrap_or_default(),
            generation: new.metadata.generation.unwrap_or_default(),
            ..Edit::default()
        });
        let user = user(request);
        let mut told: Vec<String> = said.into_iter().map(|did| format!("{user}{did}")).collect();
        if told.is_empty() && edit.is_some() {
            told.push(String::new());
        }
        for message in told {
            self.sink.changed(Change {
                at: (self.clock)(),
                namespace: request.namespace.to_string(),
                workload: (!gone).then(|| request.name.to_string()),
                // An entry on the end of a chain is read for where that was, which a name must not say.
                kind: if gone { HistoryKind::Asset } else { HistoryKind::Lifecycle },
                object: format!("AIWorkload/{}", request.name),
                message,
                digest: None,
                tombstone: None,
                unusual: None,
                edit: edit.clone(),
            });
        }
    }

    /// An asset that is written or deleted stands in the history of its namespace, with who did it, and in its own one.
    fn note_asset(&self, request: &Request<'_>) {
        #[derive(Default, serde::Deserialize)]
        struct Asset {
            #[serde(default)]
            metadata: Meta,
            #[serde(default)]
            spec: Spec,
        }
        #[derive(Default, serde::Deserialize)]
        struct Meta {
            #[serde(default)]
            uid: String,
            #[serde(default)]
            generation: i64,
        }
        #[derive(Default, PartialEq, serde::Deserialize)]
        struct Spec {
            #[serde(default)]
            digest: Option<String>,
            #[serde(default)]
            version: Option<String>,
            #[serde(default)]
            stage: Option<String>,
        }
        let kind = request.kind.kind.as_ref();
        let (mut meta, mut new) = (Meta::default(), None);
        if let Some(asset) = request.object.and_then(|raw| read::<Asset>(raw).ok()) {
            (meta, new) = (asset.metadata, Some(asset.spec));
        }
        let (mut before, mut old) = (Meta::default(), None);
        if let Some(asset) = request.old_object.and_then(|raw| read::<Asset>(raw).ok()) {
            (before, old) = (asset.metadata, Some(asset.spec));
        }
        if !edited(request) {
            return;
        }
        let at = (self.clock)();
        let unusual = self.unusual(request, at);
        let said = |spec: &Spec| {
            let short = spec.digest.as_deref().and_then(|digest| digest.get(..19)).unwrap_or("no digest");
            let version = spec.version.as_deref().unwrap_or("no version");
            match &spec.stage {
                Some(stage) => format!("version {version} {short} {stage}"),
                None => format!("version {version} {short}"),
            }
        };
        let object = format!("{kind}/{}", request.name);
        let user = user(request);
        let did = match (&old, &new) {
            (None, Some(new)) => format!("created {object}: {}", said(new)),
            (Some(old), Some(new)) if old == new => format!("changed what is declared of {object}"),
            (Some(old), Some(new)) => format!("changed {object}: {} -> {}", said(old), said(new)),
            (Some(old), None) => format!("deleted {object}: {}", said(old)),
            (None, None) => return,
        };
        let night = if unusual.is_some() { " outside office hours" } else { "" };
        self.sink.changed(Change {
            at,
            namespace: request.namespace.to_string(),
            workload: None,
            kind: HistoryKind::Asset,
            object,
            message: format!("{user}{night} {did}"),
            tombstone: new.is_none().then(|| {
                let world = self.world();
                let digest = old.as_ref().and_then(|spec| spec.digest.clone());
                records::tombstone(world.namespace(&request.namespace), kind, &request.name, digest, at)
            }),
            unusual: unusual.filter(|_| new.is_some()),
            edit: new.as_ref().map(|spec| Edit {
                user: person(&request.user_info.username),
                uid: meta.uid,
                generation: meta.generation,
                version: spec.version.clone(),
                digest: spec.digest.clone(),
                former: old.as_ref().map(|spec| Former {
                    generation: before.generation,
                    version: spec.version.clone(),
                    digest: spec.digest.clone(),
                }),
            }),
            digest: new.or(old).and_then(|spec| spec.digest),
        });
    }

    /// The mark of an asset whose specification is written outside office hours.
    fn unusual(&self, request: &Request<'_>, at: jiff::Timestamp) -> Option<UnusualChange> {
        let hours = {
            let world = self.world();
            let settings = world.settings(world.namespace(&request.namespace));
            hours::outside(&settings, at)?.to_owned()
        };
        let by = words::cut(request.user_info.username.clone(), 253);
        Some(UnusualChange { at: dates::second(at).to_string(), by, hours: words::cut(hours, 128) })
    }
}

/// Whether an asset is another one afterwards. Labels and what stands beside the specification change no asset, and neither
/// does a review of it.
fn edited(request: &Request<'_>) -> bool {
    match (request.object, request.old_object) {
        (Some(new), Some(old)) => !same_spec(new, old) && !only_reviewed(new, old),
        _ => true,
    }
}

/// The whole name of a user, where a status can hold it: evidence could name no other one either.
fn person(name: &str) -> Option<String> {
    let fits = name.chars().count() <= 253 && !name.contains(['\t', '\r', '\n']);
    (fits && !name.is_empty() && name.trim_matches(' ') == name).then(|| name.to_owned())
}

/// What begins otherwise than most do.
fn declared(new: &AIWorkload) -> Option<String> {
    let state = new.state();
    let usual = matches!(state, LifecycleState::Planned | LifecycleState::Active);
    (!usual).then(|| format!(" declared it as {state}"))
}

/// What an update made of the state of a workload, of who brings its surroundings about and of who answers for it; and,
/// while it is in quarantine, of anything else.
fn turned(request: &Request<'_>, old: &AIWorkload, new: &AIWorkload) -> Vec<String> {
    let mut said = Vec::new();
    let (before, after) = (old.state(), new.state());
    if before != after {
        said.push(format!(": {before} -> {after}"));
    }
    let (before, after) = (old.spec.manage, new.spec.manage);
    if before != after {
        said.push(format!(": manage {before} -> {after}"));
    }
    if old.spec.owners != new.spec.owners {
        said.push(" changed who is responsible (owners)".to_owned());
    }
    if old.is_quarantined() || new.is_quarantined() {
        let fields = others(request.old_object, request.object);
        if !fields.is_empty() {
            said.push(format!(" changed {}", words::cut(fields.join(", "), FIELDS)));
        }
    }
    said
}

/// The fields of a specification that differ, apart from those that are told one by one.
fn others(old: Option<&RawValue>, new: Option<&RawValue>) -> Vec<String> {
    let (old, new) = (rest(old), rest(new));
    let lost = old.keys().filter(|name| !new.contains_key(*name));
    let differ = new.iter().filter(|(name, value)| old.get(*name) != Some(value)).map(|(name, _)| name);
    lost.chain(differ).map(|name| format!("spec.{name}")).collect()
}

/// A specification without what is told one by one.
fn rest(raw: Option<&RawValue>) -> Map<String, Value> {
    let object: Option<Value> = raw.and_then(|raw| read(raw).ok());
    let Some(Value::Object(mut spec)) = object.and_then(|mut object| Some(object.get_mut("spec")?.take()))
    else {
        return Map::new();
    };
    spec.retain(|name, _| !matches!(name.as_str(), "manage" | "owners"));
    let lifecycle = spec.get_mut("lifecycle").and_then(Value::as_object_mut);
    if lifecycle.is_some_and(|lifecycle| {
        lifecycle.remove("state");
        lifecycle.is_empty()
    }) {
        spec.remove("lifecycle");
    }
    spec
}

/// Who asks, as entries of a history name him.
fn user(request: &Request<'_>) -> String {
    words::cut(request.user_info.username.clone(), 60)
}
