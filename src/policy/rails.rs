//! Whether a guard gets the rules that its declaration names: those count that stand before it, not those that are declared.

use k8s_openapi::api::core::v1::{KeyToPath, Volume, VolumeMount, VolumeProjection};

use super::artifacts;
use super::containers::ContainerView;
use super::control::Report;
use super::facts::{Facts, PodFacts};
use super::fix::Fix;
use super::image::ImageRef;
use super::maps::{self, lies_in};
use super::prompts;
use crate::api;
use crate::api::prompt::{PromptSource, PromptSourceKind};

/// What the names of flags and variables hold that hand rules over.
const RULES: [&str; 4] = ["rule", "polic", "guardrail", "colang"];

/// How such names end where they say of it where it is.
const PLACES: [&str; 5] = ["file", "path", "dir", "folder", "config"];

/// Each guard in the pod is handed the text that its `policyRef` names, and no other file in its place.
pub(super) fn rules(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    workload: &api::AIWorkload,
    report: &mut Report<'_>,
) {
    let Some(guards) = &workload.spec.guardrails else { return };
    let mut seen = Vec::new();
    for (direction, guard) in [("input", &guards.input), ("output", &guards.output)] {
        let Some(guard) = guard else { continue };
        let named = guard.policy_ref.as_deref().and_then(|rules| rules.strip_prefix("AIPrompt/"));
        let (Some(name), Some(rules)) = (guard.container.as_deref(), named) else { continue };
        let container = pod.containers.iter().find(|container| container.name == name);
        let source = facts.namespace.prompts.get(rules).and_then(|prompt| prompt.spec.source.as_ref());
        // That one of them is missing is told by itself.
        let (Some(container), Some(source)) = (container, source) else { continue };
        if seen.contains(&(name, rules)) {
            continue;
        }
        seen.push((name, rules));
        Handed { facts, pod, workload, container, direction, rules, source }.judge(report);
    }
}

/// A guard, and the rules that it is to have.
struct Handed<'r, 'a> {
    facts: &'r Facts<'a>,
    pod: &'r PodFacts<'a>,
    workload: &'r api::AIWorkload,
    container: &'r ContainerView<'a>,
    direction: &'r str,
    rules: &'r str,
    source: &'r PromptSource,
}

impl Handed<'_, '_> {
    fn judge(&self, report: &mut Report<'_>) {
        let shown = self.shown();
        let by_variable = self.by_variable();
        if shown.is_empty() && !by_variable {
            let place = self.pod.at(self.container.path("volumeMounts"));
            let what = format!(
                "do not hand {}, which are the rules of the {} guard, to the container, or something hides them",
                self.named(),
                self.direction
            );
            report.violated(place, what).under(&["CoP-2.2", "CoP-11.3"]).fix(self.hand_over());
            return;
        }
        self.own_text(report);
        let files = self.files();
        let right = |path: &str| {
            let own = || self.volume_at(path).is_some_and(|volume| !self.inside(volume).is_empty());
            shown.iter().any(|file| {
                file == path || path != "/" && lies_in(file, path) || lies_in(path, file) && own()
            })
        };
        let told = by_variable || files.iter().any(|file| right(&file.path));
        let handed = files.iter().any(|file| file.rules && right(&file.path));
        // Of a flag that is given twice, programs take the last one.
        let again = |file: &File<'_>| {
            file.flag && files.iter().any(|other| other.flag && other.by == file.by && right(&other.path))
        };
        for file in files.iter().filter(|file| !right(&file.path)) {
            let volume = self.volume_at(&file.path);
            let (wrong, place) = match volume {
                // Rules of another kind may come from there beside its own.
                Some(volume) if stays(volume) => (
                    !self.holds_model(volume) && file.rules && (again(file) || !handed && !by_variable),
                    format!("volume {:?}", volume.name),
                ),
                Some(volume) => {
                    // A file of the same name, where none of the right ones is named, is what the guard takes for its rules.
                    let instead = !told && shown.iter().any(|shown| name_of(shown) == name_of(&file.path));
                    let holds_text = self.is_prompt(volume);
                    let wrong = file.rules || fields(volume) || instead && !holds_text;
                    (wrong, format!("volume {:?}", volume.name))
                }
                None => (file.rules && (again(file) || !handed && !by_variable), "the image".to_owned()),
            };
            if !wrong {
                continue;
            }
            let what = format!(
                "lies in {place}, which does not hold {}, the rules of the {} guard",
                self.named(),
                self.direction
            );
            report
                .violated(self.pod.at(self.container.path(&file.field)).value(&file.path), what)
                .under(&["CoP-2.2", "CoP-11.3"])
                .fix(match shown.first() {
                    Some(path) => Fix::Text(format!("pass {path}, where they are mounted")),
                    None => self.hand_over(),
                });
        }
    }

    /// What is handed over as rules is no text of its own, which nobody registered.
    fn own_text(&self, report: &mut Report<'_>) {
        let written = self.container.env.iter().enumerate().filter_map(|(index, variable)| {
            let field = variable.value_from.as_ref()?.field_ref.as_ref()?;
            let told = Told {
                field: format!("env[{index}].valueFrom.fieldRef.fieldPath"),
                by: &variable.name,
                flag: false,
                value: String::new(),
            };
            (told.rules() && prompts::is_written(&field.field_path)).then_some(told)
        });
        for told in self.told().filter(Told::is_own_text).chain(written) {
            let what = format!(
                "gives the guard a text of its own beside {}, the rules of the {} guard",
                self.named(),
                self.direction
            );
            report
                .violated(self.pod.at(self.container.path(&told.field)), what)
                .under(&["CoP-2.2", "CoP-11.3"])
                .fix(Fix::Text(format!("write it into the text of {}, and take it away here", self.named())));
        }
    }

    /// Whether a volume holds texts that are registered, of whatever prompt.
    fn is_prompt(&self, volume: &Volume) -> bool {
        let known = |name: &str| {
            self.facts.namespace.prompts.values().any(|prompt| {
                prompt.spec.source.as_ref().is_some_and(|source| source.name.as_deref() == Some(name))
            })
        };
        let maps = maps::mounted(0, volume);
        !maps.is_empty() && maps.iter().all(|(_, name, _)| known(name))
    }

    /// Whether a volume holds a registered model, such as that of a guard.
    fn holds_model(&self, volume: &Volume) -> bool {
        let image = volume.image.as_ref().and_then(|image| ImageRef::parse(image.reference.as_deref()?).ok());
        let claim = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str());
        self.facts.namespace.models.values().any(|model| {
            let source = model.spec.source.as_ref();
            image.as_ref().is_some_and(|image| artifacts::holds(model, image))
                || claim.is_some() && source.and_then(|source| source.claim_name.as_deref()) == claim
        })
    }

    fn named(&self) -> String {
        format!("AIPrompt {:?}", self.rules)
    }

    fn hand_over(&self) -> Fix {
        let guard = self.container.name;
        Fix::Text(match (&self.source.name, &self.source.key) {
            (Some(map), Some(key)) if self.source.kind == PromptSourceKind::ConfigMap => format!(
                "mount key {key:?} of ConfigMap {map:?} into container {guard:?} with nothing over it, and pass the path; or name \
                 what the guard reads in spec.guardrails.{}.policyRef of {}",
                self.direction,
                Facts::name_of(self.workload)
            ),
            _ => format!(
                "mount {} as an image volume into container {guard:?}, and pass the path",
                self.source.reference.as_deref().unwrap_or("its artifact")
            ),
        })
    }

    /// Whether the text comes as a variable.
    fn by_variable(&self) -> bool {
        let (Some(map), Some(key)) = (&self.source.name, &self.source.key) else { return false };
        let env = self.container.env;
        let one = env.iter().enumerate().any(|(index, variable)| {
            let from = variable.value_from.as_ref().and_then(|from| from.config_map_key_ref.as_ref());
            // Of several of one name the last counts.
            from.is_some_and(|from| from.name == *map && from.key == *key)
                && env[index + 1..].iter().all(|later| later.name != variable.name)
        });
        let sources = self.container.env_from.iter().filter_map(|source| source.config_map_ref.as_ref());
        one || sources.into_iter().any(|from| from.name == *map)
    }

    /// The paths at which the container finds the text.
    fn shown(&self) -> Vec<String> {
        let mounts = self.container.mounts;
        let mut out = Vec::new();
        for mount in mounts {
            let Some(volume) = self.volume(&mount.name) else { continue };
            let files = self.inside(volume).into_iter().filter_map(|item| seen_at(mount, &item));
            out.extend(
                files.filter(|file| maps::mount_at(mounts, file).is_some_and(|top| std::ptr::eq(top, mount))),
            );
        }
        out
    }

    /// The paths of the text inside a volume.
    fn inside(&self, volume: &Volume) -> Vec<String> {
        if self.source.kind != PromptSourceKind::ConfigMap {
            let wanted = self.source.reference.as_deref();
            let image = volume.image.as_ref().and_then(|image| image.reference.as_deref());
            return if image.is_some() && image == wanted { vec![String::new()] } else { Vec::new() };
        }
        let (Some(map), Some(key)) = (&self.source.name, &self.source.key) else { return Vec::new() };
        let of_key = |items: Option<&[KeyToPath]>| match items {
            Some(items) if !items.is_empty() => {
                items.iter().filter(|item| item.key == *key).map(|item| item.path.clone()).collect()
            }
            _ => vec![key.clone()],
        };
        if let Some(source) = volume.config_map.as_ref().filter(|source| source.name == *map) {
            return of_key(source.items.as_deref());
        }
        let sources = || volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        let own = |source: &VolumeProjection| {
            source
                .config_map
                .as_ref()
                .filter(|source| source.name == *map)
                .map(|source| of_key(source.items.as_deref()))
        };
        // Of several sources the last that shows a path wins: no other one may.
        let alone = |path: &String| {
            !sources().filter(|source| own(source).is_none()).any(|source| may_show(source, path))
        };
        sources().filter_map(own).flatten().filter(alone).collect()
    }

    fn volume(&self, name: &str) -> Option<&Volume> {
        self.pod.spec.volumes.iter().flatten().find(|volume| volume.name == name)
    }

    /// The volume in which a path of the container lies.
    fn volume_at(&self, path: &str) -> Option<&Volume> {
        self.volume(&maps::mount_at(self.container.mounts, path)?.name)
    }

    /// The files that the words and variables of the container name.
    fn files(&self) -> Vec<File<'_>> {
        let files = self.told().filter_map(|told| {
            let rules = told.rules();
            let relative = || {
                // Where nothing is mounted there, the image says what that is.
                let other = || is_file(&told.value).then(|| told.value.clone());
                let mounted =
                    prompts::from_folder(self.container, &told.value).filter(|_| told.names_rules());
                if rules { mounted.or_else(other) } else { None }
            };
            let path = prompts::path_of(&told.value).or_else(relative)?;
            Some(File { path, rules, flag: told.flag && !told.by.is_empty(), by: told.by, field: told.field })
        });
        files.collect()
    }

    /// What the words and variables of the container say, filled in, each with what it is called by.
    fn told(&self) -> impl Iterator<Item = Told<'_>> {
        let lists = [("command", self.container.command), ("args", self.container.args)];
        let words = lists.into_iter().flat_map(move |(list, words)| {
            words.iter().enumerate().map(move |(index, word)| {
                let (flag, value) = match word.split_once('=') {
                    Some((flag, value)) if flag.starts_with('-') => (flag, value),
                    _ => (index.checked_sub(1).map_or("", |before| words[before].as_str()), word.as_str()),
                };
                let by = if flag.starts_with('-') { flag } else { "" };
                let value = prompts::handed(self.container, value).text;
                Told { field: format!("{list}[{index}]"), by, flag: true, value }
            })
        });
        let variables = self.container.env.iter().enumerate().map(move |(index, variable)| Told {
            field: format!("env[{index}].value"),
            by: &variable.name,
            flag: false,
            value: prompts::handed(self.container, variable.value.as_deref().unwrap_or_default()).text,
        });
        words.chain(variables)
    }
}

/// What a container is told by a word or a variable.
struct Told<'a> {
    field: String,
    /// The flag or the variable; empty for a word by itself.
    by: &'a str,
    flag: bool,
    value: String,
}

impl Told<'_> {
    /// Whether what says it is called after rules.
    fn rules(&self) -> bool {
        let by = self.by.to_ascii_lowercase();
        RULES.iter().any(|word| by.contains(word))
    }

    /// Whether what says it is called after nothing else than rules and where they are: no mode, no version.
    fn names_rules(&self) -> bool {
        let by = self.by.to_ascii_lowercase();
        let end = by.rsplit(['-', '_']).next().unwrap_or_default();
        self.rules() && (RULES.iter().any(|word| end.contains(word)) || PLACES.contains(&end))
    }

    /// Whether it is a text of rules: words of more than one, no path, no switch.
    fn is_own_text(&self) -> bool {
        let value = self.value.trim();
        self.rules() && value.contains(char::is_whitespace) && !value.starts_with(['/', '-'])
    }
}

/// A file that a container is told of.
struct File<'a> {
    field: String,
    path: String,
    /// Whether what hands it over is called after rules.
    rules: bool,
    /// Whether that is a flag.
    flag: bool,
    by: &'a str,
}

/// Whether a value names a file from wherever the program starts.
fn is_file(value: &str) -> bool {
    const ENDS: [&str; 10] = ["co", "colang", "yaml", "yml", "json", "toml", "rego", "txt", "md", "xml"];
    let end = value.rsplit_once('.').map_or("", |(_, end)| end);
    let apart = !value.contains("://") && !value.contains(char::is_whitespace);
    apart && (value.starts_with(['.', '~']) || ENDS.contains(&end))
}

/// Where a container sees what lies at `item` in a volume, if it does.
fn seen_at(mount: &VolumeMount, item: &str) -> Option<String> {
    if mount.sub_path_expr.as_ref().is_some_and(|expr| !expr.is_empty()) {
        return None;
    }
    let part = maps::walked(mount.sub_path.as_deref().unwrap_or_default());
    let item = maps::walked(item);
    let rest = if part == "/" { item.as_str() } else { item.strip_prefix(part.as_str())? };
    let below = rest.is_empty() || rest.starts_with('/');
    below.then(|| maps::walked(&format!("{}{rest}", mount.mount_path)))
}

/// The last part of a path.
fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a source of a projected volume may show something at `path`, or in its way.
fn may_show(source: &VolumeProjection, path: &str) -> bool {
    let wanted = maps::walked(path);
    let meets = |shown: &str| {
        let shown = maps::walked(shown);
        lies_in(&shown, &wanted) || lies_in(&wanted, &shown)
    };
    maps::shows(source, meets).is_some()
}

/// Whether what lies in a volume is as lasting as what lies in an image.
fn stays(volume: &Volume) -> bool {
    volume.image.is_some() || volume.secret.is_some() || volume.persistent_volume_claim.is_some()
}

/// Whether a volume shows labels or annotations, which whoever may write the pod changes while it runs.
fn fields(volume: &Volume) -> bool {
    let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    let own = volume.downward_api.iter().flat_map(|fields| fields.items.iter().flatten());
    let mut all = own.chain(
        projected
            .filter_map(|source| source.downward_api.as_ref())
            .flat_map(|fields| fields.items.iter().flatten()),
    );
    all.any(|item| item.field_ref.as_ref().is_some_and(|field| prompts::is_written(&field.field_path)))
}

#[cfg(test)]
#[path = "rails_tests.rs"]
mod tests;
