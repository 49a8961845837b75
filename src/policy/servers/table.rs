//! The variables, programs and addresses by which known model servers are told what to load, and how.
//!
//! A name means the same whatever program reads it: the name of an image proves nothing, so a table for each server
//! would be a table to hide behind.

pub(super) use super::flags::{Flag, flag, meaning, written};

/// What is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The model itself.
    Model,
    /// An adapter to it.
    Adapter,
    /// A smaller model that drafts for it.
    Draft,
    /// Its tokenizer or another part.
    Part,
}

impl What {
    /// The word in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Adapter => "adapter",
            Self::Draft => "draft model",
            Self::Part => "part of the model",
        }
    }
}

/// What a switch does that must not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The model brings code, and it is run.
    RemoteCode,
    /// Files are read in a way that runs what is in them.
    Pickle,
    /// Whoever reaches the server makes it load something else.
    OnRequest,
    /// Requests bring code.
    CodeInRequests,
    /// Files are fetched from a hub at start.
    Fetch,
    /// Code on the command line fetches.
    Script,
    /// What was just fetched is run.
    Downloaded,
    /// Programs are installed at start.
    Install,
}

impl Switch {
    /// The clause in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RemoteCode => "lets a model bring its own code, which then runs in the pod",
            Self::Pickle => "reads files in a way that runs the code in them",
            Self::OnRequest => "lets whoever reaches the server make it load something else",
            Self::CodeInRequests => "runs code that comes with a request",
            Self::Fetch => "makes the program fetch models from outside when it starts",
            Self::Script => "fetches from outside by code on the command line",
            Self::Downloaded => "runs a program that is fetched from outside when the container starts",
            Self::Install => "installs programs from outside when the container starts",
        }
    }

    /// Whether it fetches and does no more.
    pub(super) fn fetches(self) -> bool {
        matches!(self, Self::Fetch | Self::Script | Self::Downloaded | Self::Install)
    }
}

/// What a server can do once it is told so, beyond answering with text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// It calls tools.
    Tools,
    /// It takes images.
    Images,
    /// It takes videos.
    Videos,
    /// It takes sound.
    Audio,
    /// It loads adapters to its model.
    Adapters,
}

impl Ability {
    /// The names under which a declaration may list it; the first is the one that messages use.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Tools => &["tool-use", "tools", "tool-calling", "function-calling"],
            Self::Images => &["image-input", "images", "vision", "multimodal"],
            Self::Videos => &["video-input", "videos", "multimodal"],
            Self::Audio => &["audio-input", "audio", "speech", "multimodal"],
            Self::Adapters => &["adapters", "lora"],
        }
    }
}

/// What a variable means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// Its value is loaded.
    Load(What),
    /// Its value is loaded from a hub.
    Hub(What),
    /// Several, parted by commas.
    Loads(What),
    /// The commit of what is loaded.
    Revision,
    /// The directory where fetched models are kept.
    Cache,
    /// Never fetch, where it is on; fetch by decision, where it is off.
    Offline,
    /// A switch, on unless its value says no.
    On(Switch),
    /// A switch by its presence: an address to fetch from.
    Set(Switch),
    /// Further arguments of a server.
    Words,
    /// A flag of a server, by its name without what comes before.
    Flag(&'static str),
}

/// The meaning of a variable, by its name.
pub(super) fn variable(name: &str) -> Option<Variable> {
    use Variable as V;
    Some(match name {
        "MODEL_ID"
        | "MODEL"
        | "MODEL_PATH"
        | "MODEL_NAME_OR_PATH"
        | "MODEL_DIR"
        | "HF_MODEL_ID"
        | "HF_MODEL"
        | "STORAGE_URI"
        | "LLAMA_ARG_MODEL"
        | "LLAMA_ARG_MODELS_DIR"
        | "NIM_MODEL_PATH"
        | "NIM_MODEL_NAME"
        | "NIM_FT_MODEL"
        | "NIM_CUSTOM_MODEL"
        | "MODEL_BASE_PATH"
        | "MLSERVER_MODELS_DIR"
        | "MLSERVER_MODEL_URI" => V::Load(What::Model),
        "LLAMA_ARG_HF_REPO" | "LLAMA_ARG_MODEL_URL" | "LLAMA_ARG_DOCKER_REPO" => V::Hub(What::Model),
        "LLAMA_ARG_HFD_REPO" => V::Hub(What::Draft),
        "LLAMA_ARG_MMPROJ_URL" => V::Hub(What::Part),
        "LLAMA_ARG_MODEL_DRAFT" | "SPECULATIVE_MODEL" => V::Load(What::Draft),
        "LLAMA_ARG_MMPROJ" => V::Load(What::Part),
        "LORA_ADAPTERS" | "NIM_PEFT_SOURCE" => V::Loads(What::Adapter),
        "REVISION" | "MODEL_REVISION" | "HF_REVISION" => V::Revision,
        "HF_HOME"
        | "HF_HUB_CACHE"
        | "HUGGINGFACE_HUB_CACHE"
        | "TRANSFORMERS_CACHE"
        | "OLLAMA_MODELS"
        | "LLAMA_CACHE" => V::Cache,
        "HF_HUB_OFFLINE" | "TRANSFORMERS_OFFLINE" | "LLAMA_ARG_OFFLINE" => V::Offline,
        "HF_ALLOW_CODE_EVAL" => V::On(Switch::RemoteCode),
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" | "VLLM_ALLOW_INSECURE_SERIALIZATION" => V::On(Switch::Pickle),
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING" => V::On(Switch::OnRequest),
        "HF_HUB_ENABLE_HF_TRANSFER"
        | "HF_XET_HIGH_PERFORMANCE"
        | "VLLM_USE_MODELSCOPE"
        | "SGLANG_USE_MODELSCOPE"
        | "LMDEPLOY_USE_MODELSCOPE" => V::On(Switch::Fetch),
        "HF_ENDPOINT" | "HF_MIRROR" | "MODEL_ENDPOINT" | "MODELSCOPE_DOMAIN" => V::Set(Switch::Fetch),
        "VLLM_ARGS" | "EXTRA_ARGS" | "LAUNCHER_ARGS" => V::Words,
        _ if name.len() >= 17 && name.to_ascii_uppercase().contains("TRUST_REMOTE_CODE") => {
            V::On(Switch::RemoteCode)
        }
        // The containers of clouds hand these on as flags of the same names.
        _ => {
            let head = PASSED_ON.iter().find(|head| name.starts_with(*head))?;
            let rest = name[head.len()..].replace('_', "-").to_ascii_lowercase();
            flag(&rest)?;
            V::Flag(head)
        }
    })
}

/// Beginnings of variables that a server gets as flags (`SageMaker` with vLLM and `SGLang`, DJL Serving).
const PASSED_ON: &[&str] = &["SM_VLLM_", "SM_SGLANG_", "OPTION_"];

/// Whether the value of a switch turns it off.
pub(super) fn off(value: &str) -> bool {
    ["", "0", "false", "no", "off", "n", "f", "none", "null"].iter().any(|no| value.eq_ignore_ascii_case(no))
}

/// A program that loads models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// vLLM.
    Vllm,
    /// Text Generation Inference and Text Embeddings Inference.
    Tgi,
    /// NVIDIA Triton.
    Triton,
    /// `SGLang`.
    Sglang,
    /// Ollama.
    Ollama,
    /// llama.cpp and its relatives.
    LlamaCpp,
    /// The runtimes of KServe.
    KServe,
    /// One that serves files and knows no hub: TensorFlow Serving, `OpenVINO`, `TorchServe`.
    Files,
    /// Another one that reads names of hubs.
    Other,
}

impl Server {
    /// Whether it takes a plain name to be one of a hub.
    #[must_use]
    pub fn names_hubs(self) -> bool {
        !matches!(self, Self::Triton | Self::LlamaCpp | Self::Files)
    }
}

/// The server that a word of a command starts, or the module that Python runs.
pub(super) fn program(word: &str) -> Option<Server> {
    let name = word.rsplit('/').next().unwrap_or(word);
    Some(match name {
        "vllm" => Server::Vllm,
        "text-generation-launcher" | "text-generation-server" | "text-embeddings-router" => Server::Tgi,
        "tritonserver" => Server::Triton,
        "sglang" => Server::Sglang,
        "ollama" => Server::Ollama,
        "llama-server" | "llama-cli" | "llama-run" | "llamafile" | "koboldcpp" => Server::LlamaCpp,
        "mlserver" | "kserve-container" => Server::KServe,
        "tensorflow_model_server" | "ovms" | "torchserve" => Server::Files,
        "trtllm-serve" | "lmdeploy" | "transformers" | "aphrodite" | "ramalama" => Server::Other,
        _ if name.starts_with("vllm.") => Server::Vllm,
        _ if name.starts_with("sglang.") => Server::Sglang,
        _ if name.starts_with("llama_cpp.") => Server::LlamaCpp,
        _ if name.starts_with("huggingfaceserver") => Server::KServe,
        _ => return None,
    })
}

/// The server that an image is called after; it only adds to what is looked for.
pub(super) fn image(reference: &str) -> Option<Server> {
    let name = reference.split('@').next().unwrap_or(reference).rsplit('/').next().unwrap_or_default();
    [
        ("vllm", Server::Vllm),
        ("text-generation-inference", Server::Tgi),
        ("text-embeddings-inference", Server::Tgi),
        ("tritonserver", Server::Triton),
        ("sglang", Server::Sglang),
        ("ollama", Server::Ollama),
        ("llama.cpp", Server::LlamaCpp),
        ("llama-cpp", Server::LlamaCpp),
        ("huggingfaceserver", Server::KServe),
        ("storage-initializer", Server::KServe),
    ]
    .iter()
    .find(|(part, _)| name.contains(part))
    .map(|(_, server)| *server)
}

/// The programs that fetch, with the words after which the name of what they fetch stands.
pub(super) const FETCHERS: &[(&str, &[&str])] = &[
    ("ollama", &["pull", "run"]),
    ("hf", &["download"]),
    ("huggingface-cli", &["download"]),
    ("modelscope", &["download"]),
    ("llama-run", &[]),
];

/// The programs that take the model as the first word after these.
pub(super) const SERVE: &[(&str, &[&str])] = &[
    ("vllm", &["serve"]),
    ("trtllm-serve", &["serve"]),
    ("lmdeploy", &["api_server"]),
    // The settings of models in that folder say what is loaded, and by which code.
    ("mlserver", &["start"]),
    ("ramalama", &["serve", "run"]),
    ("aphrodite", &["run"]),
];

/// Hosts from which models are fetched.
pub const HUBS: &[&str] = &[
    "huggingface.co",
    "hf.co",
    "hf-mirror.com",
    "modelscope.cn",
    "modelscope.ai",
    "ollama.com",
    "ollama.ai",
    "civitai.com",
    "kaggle.com",
    "tfhub.dev",
    "download.pytorch.org",
    "ngc.nvidia.com",
];

/// Whether `host` is a hub of models or belongs to one.
#[must_use]
pub fn is_hub(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    HUBS.iter().any(|hub| {
        host.len() >= hub.len()
            && host.is_char_boundary(host.len() - hub.len())
            && host[host.len() - hub.len()..].eq_ignore_ascii_case(hub)
            && (host.len() == hub.len() || host.as_bytes()[host.len() - hub.len() - 1] == b'.')
    })
}

/// Schemes of addresses that a program fetches models from.
const FETCHED: &[&str] = &[
    "hf",
    "s3",
    "gs",
    "gcs",
    "r2",
    "oci",
    "docker",
    "ollama",
    "modelscope",
    "ms",
    "azure",
    "abfs",
    "abfss",
    "wasbs",
    "webhdfs",
];

/// The scheme of an address in `word` that names a model elsewhere: a store of objects, a registry or a hub.
pub(super) fn fetched(word: &str) -> Option<&str> {
    let (scheme, rest) = word.split_once("://")?;
    let scheme = scheme.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or(scheme);
    if FETCHED.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Some(scheme);
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or(host).split(':').next().unwrap_or_default();
    let web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let model = super::MODEL_FILES.iter().any(|end| path.ends_with(end));
    (web && (is_hub(host) || model)).then_some(scheme)
}
