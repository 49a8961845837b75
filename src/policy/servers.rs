//! What a container is told to load: the command lines and variables of known model servers, read.
//!
//! Nothing here knows what is declared: [`read`] says what would be loaded from where, and controls compare.

mod code;
mod declared;
mod faults;
mod flags;
mod forms;
mod heredoc;
mod languages;
mod mend;
mod mounted;
mod operand;
mod ports;
mod reader;
mod runs;
mod scripts;
mod serve;
mod served;
mod shell;
mod table;
mod values;

use std::borrow::Cow;

use super::containers::ContainerView;
use reader::Reader;
use shell::Env;

pub use faults::{Fault, Faults, Loaded, Wrong};
pub use mend::Mend;
pub use ports::{Told, told};
pub use served::served;
pub use table::{Ability, HUBS, Server, Switch, What, is_hub};

/// What one container is told to load, and how.
#[derive(Debug, Default)]
pub struct Reading<'a> {
    /// The model server that it runs, where its command or the name of its image says so.
    pub server: Option<Server>,
    /// What it loads, in the order of the words.
    pub loads: Vec<Load<'a>>,
    /// Switches that must not be on.
    pub switches: Vec<Seen<'a>>,
    /// What the server can do besides, and the switch that lets it.
    pub abilities: Vec<(Ability, Seen<'a>)>,
    /// The files that it runs as programs, from the folder that its script went to.
    pub programs: Vec<(Cow<'a, str>, At)>,
    /// The first word after the `serve` of a program that is not known.
    pub served: Option<(Cow<'a, str>, At)>,
    /// What cannot be read and might say more.
    pub open: Vec<Open>,
    /// Whether the hub clients are told never to fetch.
    pub offline: bool,
    /// Where fetched models are kept.
    pub cache: Option<Cow<'a, str>>,
    /// Words that say something only beside a switch.
    partners: Vec<At>,
}

/// Something that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load<'a> {
    /// What it is.
    pub what: What,
    /// Its path, name or address, as the program gets it.
    pub value: Cow<'a, str>,
    /// How the program understands it.
    pub form: Form,
    /// The commit of a repository.
    pub revision: Option<Cow<'a, str>>,
    /// Where it is written.
    pub at: At,
    /// Whether a command fetches it, which loads nothing itself.
    pub download: bool,
}

/// How a program understands what it is to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A path in the container.
    Path,
    /// A repository of a hub.
    Hub,
    /// An address elsewhere.
    Address,
    /// A plain name: of a hub for some programs, of a model behind an interface for others.
    Name,
}

/// A switch that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// What it does.
    pub switch: Switch,
    /// The word that turns it on.
    pub word: Cow<'a, str>,
    /// Where it is written.
    pub at: At,
    /// The elements that hold its values.
    rest: Vec<At>,
}

impl Seen<'_> {
    fn into_owned(self) -> Seen<'static> {
        let Self { switch, word, at, rest } = self;
        Seen { switch, word: Cow::Owned(word.into_owned()), at, rest }
    }
}

/// Something that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Why, as a clause.
    pub why: String,
    /// Where it is written.
    pub at: At,
}

/// A place inside a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    list: usize,
    index: usize,
    /// Whether the element holds other words too.
    pub inner: bool,
}

/// The lists of words of a container, variables among them.
const LISTS: [&str; 8] = [
    "command",
    "args",
    "env",
    "lifecycle.postStart.exec.command",
    "lifecycle.preStop.exec.command",
    "livenessProbe.exec.command",
    "readinessProbe.exec.command",
    "startupProbe.exec.command",
];
const ENV: usize = 2;
/// Endings of files that hold models.
pub const MODEL_FILES: &[&str] = &[
    ".safetensors",
    ".gguf",
    ".ggml",
    ".onnx",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".joblib",
    ".h5",
    ".keras",
    ".mar",
    ".nemo",
    ".tflite",
    ".engine",
    ".plan",
];

impl At {
    /// Path of the field inside the container, such as `args[2]` or `env[0].value`.
    #[must_use]
    pub fn field(&self) -> String {
        let list = LISTS.get(self.list).copied().unwrap_or_default();
        let end = if self.list == ENV { ".value" } else { "" };
        if self.list == usize::MAX {
            return format!("envFrom[{}]", self.index);
        }
        format!("{list}[{}]{end}", self.index)
    }

    /// The list and the element, where it is one of `command`, `args` and the variables.
    #[must_use]
    pub fn element(&self) -> Option<(&'static str, usize)> {
        (self.list <= ENV).then(|| (LISTS[self.list], self.index))
    }
}

/// Reads what a container is told to load.
///
/// In: one container. Out: all that its command, arguments, variables, hooks and probes say, scripts of shells and
/// references to variables resolved. What the image itself sets is not seen. Bounded in time by the size of the pod.
#[must_use]
pub fn read<'a>(container: &ContainerView<'a>) -> Reading<'a> {
    let env = Env { variables: container.env, sources: container.env_from };
    let mut reader = Reader { reading: Reading::default(), env, revision: None, depth: 0 };
    reader.variables();
    let of_hooks = container.lifecycle.into_iter().flat_map(|hooks| {
        [(3, &hooks.post_start), (4, &hooks.pre_stop)]
            .into_iter()
            .filter_map(|(list, hook)| Some((list, hook.as_ref()?.exec.as_ref()?.command.as_deref()?)))
    });
    let of_probes = container.probes.iter().flatten().filter_map(|(name, probe)| {
        let list = match *name {
            "livenessProbe" => 5,
            "readinessProbe" => 6,
            _ => 7,
        };
        Some((list, probe.exec.as_ref()?.command.as_deref()?))
    });
    let main = reader.words(&[(0, container.command), (1, container.args)]);
    let by_image = table::image(container.image);
    reader.reading.server = by_image;
    reader.line(&main, if container.command.is_empty() { by_image } else { None });
    for (list, words) in of_hooks.chain(of_probes) {
        let words = reader.words(&[(list, words)]);
        reader.line(&words, None);
    }
    let Reader { mut reading, revision, .. } = reader;
    if let Some(revision) = revision {
        let unpinned = reading.loads.iter_mut().filter(|l| l.what == What::Model && l.revision.is_none());
        for load in unpinned {
            load.revision = Some(revision.clone());
        }
    }
    for load in &mut reading.loads {
        if load.form == Form::Name && reading.server.is_some_and(Server::names_hubs) {
            load.form = Form::Hub;
        }
    }
    reading
}

#[cfg(test)]
#[path = "servers/tests.rs"]
mod tests;
