//! What a program that nobody knows is told to serve: the first word after its `serve`.

use super::declared::Declared;
use super::shell::Word;
use super::{Faults, Form, Load, Reading, What};
use crate::api::model::ModelSourceKind;
use crate::policy::data;
use crate::policy::facts::Facts;
use crate::policy::maps::{mount_at, walked};

/// How flags begin that take no value.
const SWITCHES: [&str; 8] = ["enable-", "disable-", "no-", "enforce-", "skip-", "allow-", "use-", "trust-"];

/// Whether a flag takes no value, as far as its name tells.
pub(super) fn is_switch(flag: &str) -> bool {
    let name = flag.trim_start_matches('-').replace('_', "-");
    SWITCHES.iter().any(|start| name.starts_with(start))
}

/// Where the first argument stands, whatever the entry point is.
const FIRST_ARGUMENT: (usize, usize) = (1, 0);

/// A program that nobody knows, as far as its words were read.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    /// Whether the last word that is no flag started it.
    begun: bool,
    /// Whether it was told to serve, and not yet what.
    serves: bool,
}

impl Unknown {
    /// Whether `word` is the first one after `serve`. A `known` program says elsewhere what it serves, and what may be the value
    /// of a flag is not it.
    pub(super) fn served(&mut self, word: &Word<'_>, known: bool, of_flag: bool) -> bool {
        let begun = std::mem::replace(&mut self.begun, word.starts);
        if known {
            return false;
        }
        if word.text == "serve" && ((begun && !word.starts) || word.at == FIRST_ARGUMENT) {
            self.serves = true;
            return false;
        }
        self.serves && !of_flag && std::mem::take(&mut self.serves)
    }
}

impl Declared<'_, '_, '_> {
    /// Judges what is served where it lies on a volume that holds neither a declared model nor a dataset.
    pub(super) fn serves(&self, facts: &Facts<'_>, reading: &Reading<'_>, out: &mut Faults) {
        let Some((word, at)) = &reading.served else { return };
        if !self.models.iter().any(|(_, source)| source.kind != ModelSourceKind::Api) {
            return;
        }
        let plain = word.strip_prefix("file://").unwrap_or(word);
        let start = if plain.starts_with('/') { "" } else { self.container.working_dir.unwrap_or("/") };
        let path = walked(&format!("{start}/{plain}"));
        let Some(mount) = mount_at(self.container.mounts, &path) else { return };
        let of_data = || data::mounted(facts, self.pod()).iter().any(|data| data.volume == Some(&mount.name));
        if self.volume_holds_a_model(&mount.name) || self.is_empty(&mount.name) || of_data() {
            return;
        }
        let load = Load {
            what: What::Model,
            value: path.into(),
            form: Form::Path,
            revision: None,
            at: *at,
            download: false,
        };
        self.load(facts, reading, &load, out);
    }

    /// Whether a volume starts empty, and no other container could put anything into it.
    fn is_empty(&self, name: &str) -> bool {
        let mut volumes = self.pod().spec.volumes.iter().flatten();
        let mut others = self.pod().containers.iter().filter(|other| other.name != self.container.name);
        volumes.any(|volume| volume.name == name && volume.empty_dir.is_some())
            && !others.any(|other| other.mounts.iter().any(|mount| mount.name == name))
    }
}
