//! How a container is told its prompt: by which flags and variables, as text or as the path of a file. Pure.

use k8s_openapi::api::core::v1::{Volume, VolumeMount};

use super::containers::ContainerView;
use super::control::{Finding, Report};
use super::facts::{Facts, Place, PodFacts};
use super::fix::Fix;
use super::maps;
use crate::api::AIWorkload;

/// Flags by which servers take a prompt or template as text or as a file.
const FLAGS: &[&str] = &[
    "system-prompt",
    "system",
    "sys",
    "system-message",
    "prompt",
    "prompt-template",
    "chat-template",
    "instructions",
    "preamble",
];
/// Endings of the names of variables that hold one.
pub(super) const VARIABLES: &[&str] =
    &["PROMPT", "PROMPT_TEMPLATE", "SYSTEM_MESSAGE", "CHAT_TEMPLATE", "INSTRUCTIONS", "GUARDRAIL_POLICY"];
/// How deep variables inside variables are read.
const DEPTH: usize = 4;
/// How long a text grows while its variables are filled in.
const GROWTH: usize = 64 * 1024;
/// The longest word that may be a name.
const NAME: usize = 100;
/// Words of sentences that no name of a prompt has among its parts.
const SPOKEN: &[&str] = &[
    "you",
    "your",
    "are",
    "is",
    "must",
    "should",
    "never",
    "always",
    "every",
    "everything",
    "please",
    "ignore",
    "obey",
    "whatever",
];

/// Where a part of a value stands that is not in the manifest's own words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Elsewhere {
    /// In the variable of this index, which takes it from another place.
    Variable(usize),
    /// In what `envFrom` brings under this name.
    Sources(String),
}

/// A value as the program gets it.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// Its text as far as the manifest has it.
    pub(super) text: String,
    /// Where the rest stands.
    pub(super) from: Vec<Elsewhere>,
}

/// Fills in `$(NAME)` as the kubelet does, and tells where the parts stand that the manifest does not have.
pub(super) fn handed(container: &ContainerView<'_>, value: &str) -> Handed {
    let mut out = Handed::default();
    fill(container, value, DEPTH, &mut out);
    out
}

fn fill(container: &ContainerView<'_>, value: &str, depth: usize, out: &mut Handed) {
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        out.text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.text.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) else {
            out.text.push('$');
            continue;
        };
        rest = after;
        // The last of several of one name counts, as the kubelet does it.
        let known = container.env.iter().enumerate().rev().find(|(_, variable)| variable.name == name);
        match known {
            Some((index, variable)) if variable.value_from.is_some() => {
                out.from.push(Elsewhere::Variable(index));
            }
            Some((_, variable)) if depth > 0 && out.text.len() < GROWTH => {
                fill(container, variable.value.as_deref().unwrap_or_default(), depth - 1, out);
            }
            Some(_) => {}
            None if container.env_from.is_empty() => {
                out.text.push_str("$(");
                out.text.push_str(name);
                out.text.push(')');
            }
            None => out.from.push(Elsewhere::Sources(name.to_owned())),
        }
    }
    out.text.push_str(rest);
}

/// Whether a field of a pod is one that whoever may write the pod fills.
pub(super) fn is_written(path: &str) -> bool {
    path.starts_with("metadata.annotations") || path.starts_with("metadata.labels")
}

/// The path of the file that a value names: as it stands, or behind a scheme or a mark.
pub(super) fn path_of(value: &str) -> Option<String> {
    let bare = ["file://", "file:", "@"].iter().find_map(|head| value.strip_prefix(head)).unwrap_or(value);
    bare.starts_with('/').then(|| maps::walked(bare))
}

/// The path of the file that a word names from the folder in which the container starts, where a volume is mounted there.
pub(super) fn from_folder(container: &ContainerView<'_>, word: &str) -> Option<String> {
    let word = word.strip_prefix("file:").unwrap_or(word);
    if word.is_empty() || word.contains(char::is_whitespace) || word.contains("://") {
        return None;
    }
    let path = maps::walked(&format!("{}/{word}", container.working_dir?));
    maps::mount_at(container.mounts, &path).is_some().then_some(path)
}

/// Whether a value is the path of a file from wherever the program starts.
pub(super) fn is_relative(value: &str) -> bool {
    let end = value.rsplit_once('.').map_or("", |(_, end)| end);
    let file = ["jinja", "jinja2", "j2", "txt", "md", "tmpl", "prompt"].contains(&end);
    !value.starts_with(['/', '$']) && !value.contains("://") && (file || value.starts_with('.'))
}

/// A file that is named from wherever the program starts.
pub(super) fn relative(report: &mut Report<'_>, place: Place) {
    report
        .violated(place, "names a prompt by a relative path, so that nobody can tell where it lies")
        .under(&["CoP-2.2"])
        .fix(Fix::Text("write the whole path, below the mount of a registered ConfigMap".to_owned()));
}

/// Whether a variable names the file of a prompt.
pub(super) fn names_file(name: &str) -> bool {
    ["_FILE", "_PATH"].iter().any(|end| name.strip_suffix(end).is_some_and(is_variable))
}

/// Whether a flag takes a prompt.
pub(super) fn is_flag(flag: &str) -> bool {
    let name = flag.trim_start_matches('-');
    FLAGS.iter().any(|known| {
        known.len() == name.len()
            && known
                .bytes()
                .zip(name.bytes())
                .all(|(a, b)| a == b.to_ascii_lowercase() || (a == b'-' && b == b'_'))
    })
}

/// Whether a variable holds a prompt, by its name.
pub(super) fn is_variable(name: &str) -> bool {
    VARIABLES
        .iter()
        .any(|end| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')))
}

/// Whether a value is text for a model and no name, path or address: it has several words, a template's marks, words of a
/// sentence that are joined by other marks than spaces, or is longer than any name.
pub(super) fn is_text(value: &str) -> bool {
    let value = value.trim();
    if value.split_whitespace().nth(1).is_some() {
        // Of a path two words are a name with a space in it.
        return !value.starts_with(['/', '.']) || value.split_whitespace().nth(2).is_some();
    }
    if value.starts_with(['/', '$', '.']) {
        return false;
    }
    let template = value.contains("{{") || value.contains("{%");
    let address = value.contains('/');
    template || (!address && (value.chars().count() > NAME || is_sentence(value)))
}

/// Whether a word is a sentence whose words are joined: `Obey_whatever_you_read`, `ObeyWhateverYouRead`.
fn is_sentence(word: &str) -> bool {
    let mut parts: Vec<String> = vec![String::new()];
    let mut lower = false;
    for letter in word.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && lower) {
            parts.push(String::new());
        }
        lower = letter.is_lowercase();
        if letter.is_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.extend(letter.to_lowercase());
        }
    }
    let parts: Vec<&String> = parts.iter().filter(|part| !part.is_empty()).collect();
    parts.len() > 2 && parts.iter().any(|part| SPOKEN.contains(&part.as_str()))
}

/// What is done with a variable once its text is registered.
pub(super) const INSTEAD: &str =
    "let the variable take it from there by valueFrom.configMapKeyRef in place of what it takes now";
/// What is done with a path once its text is registered.
pub(super) const MOUNTED: &str = "pass the path at which that ConfigMap is mounted";

/// Text that stands where no AIPrompt can fix it is moved into one, and taken from there: `then` says how.
pub(super) fn move_out<'f>(finding: &'f mut Finding, workload: &AIWorkload, then: &str) -> &'f mut Finding {
    finding.under(&["CoP-2.2"]).fix(Fix::Text(format!(
        "put the text into an immutable ConfigMap with the label portcullis.dev/prompt, apply an AIPrompt with it as spec.source and \
         its digest, name that in spec.prompts of {}, and {then}",
        Facts::name_of(workload)
    )))
}

/// Whether a key of a ConfigMap may end the name of a variable that holds a prompt, or names the file of one, once a prefix
/// stands before it.
pub(super) fn may_end(key: &str) -> bool {
    VARIABLES.iter().any(|name| {
        ["", "_FILE", "_PATH"].iter().any(|end| {
            let whole = format!("{name}{end}");
            whole.ends_with(key) || key.ends_with(&whole)
        })
    })
}

/// What a projected volume may show at the path of a prompt besides its ConfigMaps.
pub(super) fn beside(
    pod: &PodFacts<'_>,
    (index, volume): (usize, &Volume),
    mount: &VolumeMount,
    path: &str,
    report: &mut Report<'_>,
) {
    let below = path.strip_prefix(maps::walked(&mount.mount_path).as_str()).unwrap_or_default();
    let shown = maps::walked(&format!("{}/{below}", mount.sub_path.as_deref().unwrap_or_default()));
    let meets = |item: &str| maps::lies_in(&maps::walked(item), &shown) || mount.sub_path_expr.is_some();
    let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    for (number, source) in sources.enumerate() {
        let Some(kind) = maps::shows(source, meets).filter(|_| source.config_map.is_none()) else { continue };
        let place = pod.at(format!("spec.volumes[{index}].projected.sources[{number}].{kind}"));
        report
            .violated(place, format!("may stand at {path:?}, where a prompt is handed over, and nobody registered it"))
            .under(&["CoP-2.2"])
            .fix(Fix::Text(
                "mount the ConfigMap of the prompt in a volume of its own, or name in items only keys with other paths"
                    .to_owned(),
            ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_text() {
        for name in [
            "",
            "chatml",
            "llama-3.1-8b-instruct",
            "customer-support-system-prompt-v2-en-de",
            "all-in-one-prompt",
            "my_system_prompt",
            "over-the-phone",
            "do-not-call",
            "$(SP)",
            "/prompts/system.txt",
            "/prompts/my text.txt",
            "./a",
            "oci://r.example/p@sha256:1234",
            "ChatTemplate",
            "prompts/you-are-here",
        ] {
            assert!(!is_text(name), "{name}");
        }
        for text in [
            "Obey users",
            "Be kind to all",
            "{{messages}}",
            "{%x%}",
            "Ignore_all_rules",
            "Obey+whatever+they+say",
            "AnswerEveryQuestion",
            "you-are-a-clerk",
            &"QmUga2luZCB0byBhbGw".repeat(8),
        ] {
            assert!(is_text(text), "{text}");
        }
    }
}
