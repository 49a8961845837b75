//! The flags by which model servers are told what to load, and how, by their names in lower case with dashes.

use super::table::{Ability, Server, Switch, What};

/// What a flag means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    /// The next word, or what follows `=`, is loaded.
    Load(What),
    /// The same, and it is an address of a hub whatever it looks like.
    Hub(What),
    /// The same for as many words as follow.
    Loads(What),
    /// The same, several parted by commas, each perhaps with a scale: `FILE:0.5`.
    Scaled(What),
    /// A JSON object; what stands under this key is loaded.
    Json(&'static str, What),
    /// The commit of what is loaded.
    Revision,
    /// The directory where fetched models are kept.
    Cache,
    /// Never fetch.
    Offline,
    /// A switch, on by its presence.
    On(Switch),
    /// A switch, on with one of these values.
    With(Switch, &'static [&'static str]),
    /// A switch, on with any value that is not its default, for as many words as follow.
    Any(Switch),
    /// A file with further flags, where a known server reads it.
    File,
    /// A file that names models, whatever program reads it.
    Further,
    /// It lets the server do more, by its presence.
    Can(Ability),
    /// The same, with a value.
    Takes(Ability),
    /// How many parts of each kind a request may have: `{"image": 2}` or `image=2,video=0`.
    Parts,
    /// A word that says something only beside `--model-control-mode`.
    Partner,
}

/// The meaning of a flag, by its name without dashes.
pub(super) fn flag(name: &str) -> Option<Flag> {
    use Flag as F;
    Some(match name {
        "model"
        | "model-id"
        | "model-path"
        | "model-name-or-path"
        | "pretrained-model-name-or-path"
        | "model-dir"
        | "model-repository"
        | "model-store"
        | "checkpoint"
        | "checkpoint-path"
        | "ckpt-path"
        | "weights"
        | "engine-dir"
        | "model-uri"
        | "model-base-path"
        | "model-repository-path"
        | "models-dir"
        | "storage-uri" => F::Load(What::Model),
        // Files in the store are named by their names alone, and the store is judged.
        "models" => F::Loads(What::Model),
        "source-model" | "hf-repo" | "hf" | "hfr" | "model-url" | "mu" | "docker-repo" | "dr" => {
            F::Hub(What::Model)
        }
        "spec-draft-hf" | "hf-repo-draft" | "hfd" | "hfrd" => F::Hub(What::Draft),
        "mmproj-url" | "mmu" | "hf-repo-v" | "hfv" | "hfrv" => F::Hub(What::Part),
        "tokenizer" | "tokenizer-path" | "tokenizer-dir" | "hf-config-path" | "mmproj" | "mm"
        | "generation-config" => F::Load(What::Part),
        "lora-modules" | "lora-paths" => F::Loads(What::Adapter),
        "lora" | "lora-scaled" | "control-vector" | "control-vector-scaled" => F::Scaled(What::Adapter),
        "lora-adapters" | "adapter" | "adapter-path" | "peft-model-id" => F::Load(What::Adapter),
        "speculative-model"
        | "speculative-draft-model-path"
        | "speculative-draft-model"
        | "spec-model"
        | "spec-draft-model"
        | "model-draft"
        | "md"
        | "draft-model"
        | "speculative-token-map"
        | "model-vocoder"
        | "mv" => F::Load(What::Draft),
        "speculative-config" | "sc" => F::Json("model", What::Draft),
        "model-loader-extra-config" => F::Json("qlora-adapter-name-or-path", What::Adapter),
        "revision" => F::Revision,
        "download-dir" | "cache-dir" | "huggingface-hub-cache" => F::Cache,
        "offline" => F::Offline,
        "allow-pickle" | "unsafe-load" | "no-use-safetensors" | "disable-safetensors" => {
            F::On(Switch::Pickle)
        }
        "load-format" => F::With(Switch::Pickle, &["pt", "npcache"]),
        "enable-custom-logit-processor" => F::On(Switch::CodeInRequests),
        "model-control-mode" => F::With(Switch::OnRequest, &["explicit", "poll"]),
        "enable-auto-tool-choice" => F::Can(Ability::Tools),
        "tool-call-parser" | "tool-server" => F::Takes(Ability::Tools),
        "enable-multimodal" => F::Can(Ability::Images),
        "limit-mm-per-prompt" | "limit-mm-data-per-request" => F::Parts,
        "enable-lora" => F::Can(Ability::Adapters),
        "load-model" => F::Partner,
        "config" | "config-path" => F::File,
        "model-config-file" | "ts-config" | "models-preset" | "extra-llm-api-options" => F::Further,
        "tool-parser-plugin"
        | "reasoning-parser-plugin"
        | "logits-processors"
        | "worker-extension-cls"
        | "worker-cls"
        | "middleware"
        | "io-processor-plugin" => F::Any(Switch::RemoteCode),
        _ if is_preset(name) => F::On(Switch::Fetch),
        _ if name.len() >= 5 && "trust-remote-code".starts_with(name) => F::On(Switch::RemoteCode),
        "hf-trust-remote-code" => F::On(Switch::RemoteCode),
        _ => return None,
    })
}

/// Presets of llama.cpp that download a model, such as `gpt-oss-20b-default` (`common/arg.cpp` there).
fn is_preset(name: &str) -> bool {
    let families =
        ["gpt-oss-", "embd-", "fim-", "vision-", "tts-oute", "bge-small-", "e5-small-", "gte-small-"];
    (name.ends_with("-default") || name.ends_with("-spec")) && families.iter().any(|f| name.starts_with(f))
}

/// The flags that count by every beginning of their names: programs that read theirs with argparse take each that is
/// unambiguous among their own, and which program it is the name of an image does not prove.
const BEGUN: &[&str] = &[
    "model-id",
    "model-path",
    "model-name-or-path",
    "pretrained-model-name-or-path",
    "model-dir",
    "model-repository",
    "model-store",
    "model-base-path",
    "model-loader-extra-config",
    "checkpoint-path",
    "ckpt-path",
    "weights",
    "engine-dir",
    "model-uri",
    "storage-uri",
    "tokenizer-path",
    "tokenizer-dir",
    "hf-config-path",
    "generation-config",
    "lora-modules",
    "lora-paths",
    "lora-adapters",
    "adapter-path",
    "peft-model-id",
    "speculative-config",
    "speculative-model",
    "speculative-draft-model-path",
    "speculative-token-map",
    "spec-model",
    "draft-model",
    "enable-auto-tool-choice",
    "tool-call-parser",
    "tool-server",
    "enable-multimodal",
    "limit-mm-per-prompt",
    "limit-mm-data-per-request",
    "enable-lora",
    "revision",
    "download-dir",
    "cache-dir",
    "huggingface-hub-cache",
    "allow-pickle",
    "unsafe-load",
    "no-use-safetensors",
    "disable-safetensors",
    "load-format",
    "enable-custom-logit-processor",
    "model-control-mode",
    "tool-parser-plugin",
    "reasoning-parser-plugin",
    "logits-processors",
    "worker-extension-cls",
    "worker-cls",
    "middleware",
    "io-processor-plugin",
    "hf-trust-remote-code",
];
/// Beginnings of those that are flags of their own, or that no such program takes because it has several of them.
const OWN: &[&str] = &[
    "adapt",
    "allow",
    "cache",
    "check",
    "disable",
    "draft",
    "enable",
    "engine",
    "io",
    "log",
    "mode",
    "model-name",
    "reason",
    "reasoning",
    "reasoning-parser",
    "storage",
    "token",
    "tool",
    "unsafe",
    "weight",
    "work",
    "worker",
];

/// The meaning of a flag as it is written, a beginning of a long one included.
pub(super) fn meaning(name: &str, long: bool, server: Option<Server>) -> Option<Flag> {
    flag(name).or_else(|| {
        let begins = long && name.len() >= 3 && !matches!(server, Some(Server::LlamaCpp | Server::Ollama));
        let begins = begins && !OWN.contains(&name);
        let known = BEGUN.iter().filter(|_| begins).find(|known| known.starts_with(name))?;
        flag(known)
    })
}

/// The meaning of a flag as it is written, where `--speculative-config.model=x` is a key of an object.
pub(super) fn written(name: &str, short: bool, server: Option<Server>) -> Option<Flag> {
    let alone = |one: &str| matches!(one, "sc" | "mv") && !short;
    let known = |name: &str| meaning(name, !short, server).filter(|_| !alone(name));
    known(name).or_else(|| match name.split_once('.').map(|(head, key)| (known(head), key)) {
        Some((Some(Flag::Json(of, what)), key)) if of == key => Some(Flag::Load(what)),
        Some((Some(Flag::Parts), key)) => part(key).map(Flag::Takes),
        // Such as `--hf-overrides.trust_remote_code true`.
        Some((_, key)) if key.rsplit('.').next() == Some("trust-remote-code") => {
            Some(Flag::Any(Switch::RemoteCode))
        }
        _ => None,
    })
}

/// What a server takes that takes parts of this kind.
pub(super) fn part(kind: &str) -> Option<Ability> {
    Some(match kind {
        "image" => Ability::Images,
        "video" => Ability::Videos,
        "audio" => Ability::Audio,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_that_counts_by_its_beginnings_is_one() {
        for name in BEGUN {
            assert!(flag(name).is_some(), "{name}");
        }
        for own in OWN {
            assert!(
                BEGUN.iter().any(|name| name.starts_with(own)) || *own == "cache",
                "{own} begins nothing"
            );
        }
    }
}
