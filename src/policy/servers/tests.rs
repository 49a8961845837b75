//! Command lines of model servers as people write them, and what each would load.

use serde_json::{Value, json};

use super::*;
use crate::policy::containers::containers;
use crate::policy::testing::read as from_json;

/// What is read of one container, a line each.
#[track_caller]
fn said(container: &Value) -> Vec<String> {
    let mut container = container.clone();
    container["name"] = "c".into();
    let spec = from_json(json!({"containers": [container]}));
    let view = containers(&spec)[0];
    let reading = read(&view);
    let mut out = Vec::new();
    for load in &reading.loads {
        let revision = load.revision.as_ref().map(|r| format!(" at {r}")).unwrap_or_default();
        let form = format!("{:?}", load.form).to_lowercase();
        out.push(format!("{} {form} {}{revision} in {}", load.what.as_str(), load.value, load.at.field()));
    }
    for seen in &reading.switches {
        out.push(format!("{:?} {} in {}", seen.switch, seen.word, seen.at.field()));
    }
    for open in &reading.open {
        out.push(format!("open in {}: {}", open.at.field(), open.why));
    }
    if reading.offline {
        out.push("offline".to_owned());
    }
    if let Some(cache) = &reading.cache {
        out.push(format!("cache {cache}"));
    }
    out
}

#[track_caller]
fn all(cases: &[(Value, &[&str])]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(container, expected)| {
            let said = said(container);
            (said != *expected).then(|| format!("{container}\n  said {said:#?}\n  not {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn what_is_loaded_is_found_in_every_form() {
    all(&[
        (json!({"args": ["--model=/models/m"]}), &["model path /models/m in args[0]"]),
        (json!({"args": ["--model", "/models/m"]}), &["model path /models/m in args[1]"]),
        (json!({"command": ["vllm", "serve", "/models/m"]}), &["model path /models/m in command[2]"]),
        (json!({"command": ["vllm", "serve"], "args": ["org/m"]}), &["model hub org/m in args[0]"]),
        (
            json!({"command": ["vllm", "serve", "--port", "8000", "org/m"]}),
            &["model hub org/m in command[4]"],
        ),
        (
            json!({"command": ["vllm", "serve", "--enforce-eager", "org/m"]}),
            &["model hub org/m in command[3]"],
        ),
        (json!({"command": ["vllm", "serve", "gpt2"]}), &["model hub gpt2 in command[2]"]),
        (json!({"image": "vllm/vllm-openai:v1", "args": ["org/m"]}), &["model hub org/m in args[0]"]),
        (
            json!({"image": "vllm/vllm-openai:v1", "args": ["serve", "org/m"]}),
            &["model hub org/m in args[1]"],
        ),
        (
            json!({"image": "vllm/vllm-openai:v1", "args": ["--model", "gpt2"]}),
            &["model hub gpt2 in args[1]"],
        ),
        (json!({"args": ["--model", "gpt-4o"]}), &["model name gpt-4o in args[1]"]),
        (
            json!({"command": ["python3", "-m", "vllm.entrypoints.openai.api_server"], "args": ["--model", "m"]}),
            &["model hub m in args[1]"],
        ),
        (
            json!({"command": ["text-generation-launcher", "--model-id", "org/m"]}),
            &["model hub org/m in command[2]"],
        ),
        (
            json!({"command": ["text-generation-launcher"], "env": [{"name": "MODEL_ID", "value": "org/m"},
                   {"name": "REVISION", "value": COMMIT}]}),
            &["model hub org/m at 0123456789abcdef0123456789abcdef01234567 in env[0].value"],
        ),
        (
            json!({"command": ["python", "-m", "sglang.launch_server", "--model-path", "org/m"]}),
            &["model hub org/m in command[4]"],
        ),
    ]);
}

#[test]
fn what_other_servers_adapters_and_fetchers_load_is_found() {
    all(&[
        (
            json!({"command": ["tritonserver", "--model-repository=s3://b/m"]}),
            &["model address s3://b/m in command[1]"],
        ),
        (
            json!({"command": ["tritonserver", "--model-store", "/models"]}),
            &["model path /models in command[2]"],
        ),
        (
            json!({"command": ["llama-server", "-m", "/models/m.gguf"]}),
            &["model path /models/m.gguf in command[2]"],
        ),
        (json!({"command": ["llama-server", "-m", "m.gguf"]}), &["model path m.gguf in command[2]"]),
        (json!({"command": ["llama-server", "-hf", "org/m:Q4"]}), &["model hub org/m:Q4 in command[2]"]),
        (
            json!({"command": ["llama-server", "-mu", "https://x.example/m.gguf"]}),
            &["model address https://x.example/m.gguf in command[2]"],
        ),
        (json!({"command": ["ollama", "run", "llama3"]}), &["model hub llama3 in command[2]"]),
        (json!({"image": "ollama/ollama", "args": ["pull", "llama3"]}), &["model hub llama3 in args[1]"]),
        (json!({"image": "ollama/ollama", "args": ["serve"]}), &[]),
        (json!({"command": ["hf", "download", "org/m"]}), &["model hub org/m in command[2]"]),
        (
            json!({"command": ["huggingface-cli", "download", "--local-dir", "/m", "org/m"]}),
            &["model hub org/m in command[4]"],
        ),
        (
            json!({"image": "kserve/storage-initializer", "args": ["s3://b/m", "/mnt/models"]}),
            &["model address s3://b/m in args[0]"],
        ),
        (
            json!({"image": "kserve/storage-initializer", "args": ["hf://org/m:abc", "/mnt/models"]}),
            &["model address hf://org/m at abc in args[0]"],
        ),
        (json!({"args": ["--model_id=org/m"]}), &["model hub org/m in args[0]"]),
        (
            json!({"args": ["--model=org/m", "--revision", COMMIT]}),
            &["model hub org/m at 0123456789abcdef0123456789abcdef01234567 in args[0]"],
        ),
        (
            json!({"env": [{"name": "STORAGE_URI", "value": "gs://b/m"}]}),
            &["model address gs://b/m in env[0].value"],
        ),
        (
            json!({"args": ["--model=/m", "--tokenizer", "org/t"]}),
            &["model path /m in args[0]", "part of the model hub org/t in args[2]"],
        ),
        (json!({"args": ["--tokenizer=auto"]}), &[]),
        (
            json!({"args": ["--lora-modules", "a=org/a", "b=/models/b", "--port=1"]}),
            &["adapter hub org/a in args[1]", "adapter path /models/b in args[2]"],
        ),
        (
            json!({"args": ["--lora-modules", r#"{"name": "a", "path": "org/a"}"#]}),
            &["adapter hub org/a in args[1]"],
        ),
        (
            json!({"env": [{"name": "LORA_ADAPTERS", "value": "a=/m/a,org/b"}]}),
            &["adapter path /m/a in env[0].value", "adapter hub org/b in env[0].value"],
        ),
        (
            json!({"args": [r#"--speculative-config={"model": "org/d", "num_speculative_tokens": 3}"#]}),
            &["draft model hub org/d in args[0]"],
        ),
        (json!({"args": ["--speculative-config.model=org/d"]}), &["draft model hub org/d in args[0]"]),
        (json!({"args": ["file:///models/m"]}), &[]),
        (json!({"args": ["--model", "file:///models/m"]}), &["model path file:///models/m in args[1]"]),
    ]);
}

#[test]
fn shells_and_variables_are_read_through() {
    all(&[
        (
            json!({"command": ["sh", "-c", "python -m vllm.entrypoints.openai.api_server --model org/m --trust-remote-code"]}),
            &["model hub org/m in command[2]", "RemoteCode --trust-remote-code in command[2]"],
        ),
        (
            json!({"command": ["/bin/bash", "-lc"], "args": ["exec vllm serve \"/models/m\" \\\n  --port 80"]}),
            &["model path /models/m in args[0]"],
        ),
        (
            json!({"command": ["sh", "-c", "bash -c 'vllm serve --trust\"-remote-\"code /m'"]}),
            &["model path /m in command[2]", "RemoteCode --trust-remote-code in command[2]"],
        ),
        (
            json!({"command": ["sh", "-c", "A=--trust; vllm serve /m $A-remote-code"]}),
            &["model path /m in command[2]", "RemoteCode --trust-remote-code in command[2]"],
        ),
        (
            json!({"args": ["--model=$(M)"], "env": [{"name": "M", "value": "/models/$(N)"}, {"name": "N", "value": "x"}]}),
            &["model path /models/x in args[0]"],
        ),
        (
            json!({"args": ["--model=$$(M)"], "env": [{"name": "M", "value": "x"}]}),
            &["model name $(M) in args[0]"],
        ),
        (
            json!({"args": ["--model=$(M)"], "env": [{"name": "M", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]}),
            &["open in args[0]: variable \"M\" comes from a ConfigMap"],
        ),
        (
            json!({"args": ["$(X)"], "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "c", "key": "k"}}}]}),
            &["open in args[0]: variable \"X\" comes from a Secret"],
        ),
        (
            json!({"args": ["--api-key=$(X)"], "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "c", "key": "k"}}}]}),
            &[],
        ),
        (
            json!({"args": ["--model=/m"], "envFrom": [{"configMapRef": {"name": "c"}}]}),
            &[
                "model path /m in args[0]",
                "open in envFrom[0]: every variable in a ConfigMap reaches the program",
            ],
        ),
        (
            json!({"command": ["sh", "-c", "vllm serve $WHICH ${EXTRA:-}"], "env": [{"name": "WHICH", "value": "org/m"}]}),
            &["model hub org/m in command[2]"],
        ),
        (
            json!({"command": ["sh", "-c", "vllm serve /m $EXTRA"]}),
            &["model path /m in command[2]", "open in command[2]: variable \"EXTRA\" is not set in the pod"],
        ),
        (
            json!({"command": ["sh", "-c", "vllm serve /m $(cat /etc/args)"]}),
            &["model path /m in command[2]", "open in command[2]: it is the output of a command"],
        ),
        (
            json!({"command": ["sh", "-c", "vllm serve /m $FLAGS"], "env": [{"name": "FLAGS", "value": "--port 1 --trust-remote-code"}]}),
            &[
                "model path /m in command[2]",
                "RemoteCode --trust-remote-code in env[0].value",
                "RemoteCode --trust-remote-code in command[2]",
            ],
        ),
        (
            json!({"command": ["sh", "-c", "vllm serve /m \"$@\"", "--"], "args": ["--trust-remote-code"]}),
            &["model path /m in command[2]", "RemoteCode --trust-remote-code in args[0]"],
        ),
        (
            json!({"command": ["sh", "-c", "hf download org/m && vllm serve /m"]}),
            &["model hub org/m in command[2]", "model path /m in command[2]"],
        ),
    ]);
}

#[test]
fn downloads_in_scripts_hooks_and_probes_are_found() {
    all(&[
        (
            json!({"command": ["sh", "-c", "HF_HUB_OFFLINE=1 TRUST_REMOTE_CODE=true vllm serve /m # --trust-remote-code"]}),
            &["model path /m in command[2]", "RemoteCode TRUST_REMOTE_CODE=true in command[2]", "offline"],
        ),
        (
            json!({"command": ["sh", "-c", "curl -Lo /tmp/m.gguf https://x.example/m.gguf; llama-server -m /tmp/m.gguf"]}),
            &["model address https://x.example/m.gguf in command[2]", "model path /tmp/m.gguf in command[2]"],
        ),
        (
            json!({"command": ["sh", "-c", "aws s3 cp s3://b/m /models --recursive; aws s3 cp /out s3://b/results"]}),
            &["model address s3://b/m in command[2]"],
        ),
        (
            json!({"command": ["git", "clone", "https://huggingface.co/org/m"]}),
            &["model address https://huggingface.co/org/m in command[2]"],
        ),
        (json!({"args": ["--output", "s3://b/results"]}), &[]),
        (
            json!({"lifecycle": {"postStart": {"exec": {"command": ["ollama", "pull", "llama3"]}}}}),
            &["model hub llama3 in lifecycle.postStart.exec.command[2]"],
        ),
        (
            json!({"livenessProbe": {"exec": {"command": ["sh", "-c", "hf download org/m"]}}}),
            &["model hub org/m in livenessProbe.exec.command[2]"],
        ),
        (
            json!({"command": ["vllm", "serve", "/m", "--config", "/etc/v.yaml"]}),
            &[
                "model path /m in command[2]",
                "open in command[4]: further arguments stand in the file \"/etc/v.yaml\"",
            ],
        ),
        (json!({"command": ["app", "--config", "/etc/v.yaml"]}), &[]),
    ]);
}

#[test]
fn switches_that_run_code_are_found() {
    let on = |word: &str, place: &str| vec![format!("RemoteCode {word} in {place}")];
    for (container, expected) in [
        (json!({"args": ["--trust-remote-code"]}), on("--trust-remote-code", "args[0]")),
        (json!({"args": ["--trust_remote_code"]}), on("--trust_remote_code", "args[0]")),
        (json!({"args": ["--trust-remote-code=true"]}), on("--trust-remote-code=true", "args[0]")),
        (json!({"args": ["--trust-remote-code", "false"]}), on("--trust-remote-code", "args[0]")),
        (json!({"args": ["--trust-remote"]}), on("--trust-remote", "args[0]")),
        (json!({"args": ["--trust-remote-code=false"]}), vec![]),
        (json!({"args": ["--no-trust-remote-code"]}), vec![]),
        (
            json!({"args": [r#"--hf-overrides={"trust_remote_code": true}"#]}),
            on("trust_remote_code\": true", "args[0]"),
        ),
        (
            json!({"args": ["--hf-overrides.trust_remote_code", "true"]}),
            on("--hf-overrides.trust_remote_code", "args[0]"),
        ),
        (json!({"args": ["--hf-overrides.trust_remote_code", "false"]}), vec![]),
        (
            json!({"command": ["python", "-c", "f('m', trust_remote_code=True)"]}),
            on("trust_remote_code=True", "command[2]"),
        ),
        (json!({"command": ["python", "-c", "f('m', trust_remote_code=False)"]}), vec![]),
        (
            json!({"env": [{"name": "TRUST_REMOTE_CODE", "value": "true"}]}),
            on("TRUST_REMOTE_CODE=true", "env[0].value"),
        ),
        (
            json!({"env": [{"name": "VLLM_TRUST_REMOTE_CODE", "value": "1"}]}),
            on("VLLM_TRUST_REMOTE_CODE=1", "env[0].value"),
        ),
        (json!({"env": [{"name": "TRUST_REMOTE_CODE", "value": "0"}]}), vec![]),
        (
            json!({"env": [{"name": "SERVER_FLAGS", "value": "--port 1 --trust-remote-code"}]}),
            on("--trust-remote-code", "env[0].value"),
        ),
        (
            json!({"env": [{"name": "VLLM_ARGS", "value": "--trust-remote-code"}]}),
            on("--trust-remote-code", "env[0].value"),
        ),
        (json!({"env": [{"name": "NOTE", "value": "we never set trust-remote-code here"}]}), vec![]),
        (
            json!({"env": [{"name": "HF_ALLOW_CODE_EVAL", "value": "1"}]}),
            on("HF_ALLOW_CODE_EVAL=1", "env[0].value"),
        ),
        (
            json!({"env": [{"name": "TRUST_REMOTE_CODE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]}),
            vec!["open in env[0].value: variable \"TRUST_REMOTE_CODE\" comes from a ConfigMap".to_owned()],
        ),
        (json!({"args": ["--load-format", "pt"]}), vec!["Pickle --load-format in args[0]".to_owned()]),
        (json!({"args": ["--load-format=safetensors"]}), vec![]),
        (
            json!({"env": [{"name": "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "value": "1"}]}),
            vec!["Pickle TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 in env[0].value".to_owned()],
        ),
        (
            json!({"args": ["--model-control-mode=explicit"]}),
            vec!["OnRequest --model-control-mode=explicit in args[0]".to_owned()],
        ),
        (
            json!({"args": ["--enable-custom-logit-processor"]}),
            vec!["CodeInRequests --enable-custom-logit-processor in args[0]".to_owned()],
        ),
        (
            json!({"env": [{"name": "HF_HUB_ENABLE_HF_TRANSFER", "value": "1"}]}),
            vec!["Fetch HF_HUB_ENABLE_HF_TRANSFER=1 in env[0].value".to_owned()],
        ),
        (
            json!({"env": [{"name": "HF_ENDPOINT", "value": "https://hf-mirror.com"}]}),
            vec!["Fetch HF_ENDPOINT=https://hf-mirror.com in env[0].value".to_owned()],
        ),
        (
            json!({"env": [{"name": "HF_HUB_OFFLINE", "value": "0"}]}),
            vec!["Fetch HF_HUB_OFFLINE=0 in env[0].value".to_owned()],
        ),
        (
            json!({"env": [{"name": "HF_HUB_OFFLINE", "value": "1"}, {"name": "HF_HOME", "value": "/m"}]}),
            vec!["offline".to_owned(), "cache /m".to_owned()],
        ),
    ] {
        assert_eq!(said(&container), expected, "{container}");
    }
}

#[test]
fn what_grows_without_end_is_cut_and_said() {
    let deep = "$(A)".repeat(20_000);
    let env: Vec<Value> = ["A", "B", "C", "D", "E"]
        .iter()
        .zip(["B", "C", "D", "E", "A"])
        .map(|(name, next)| json!({"name": name, "value": format!("$({next})").repeat(20_000)}))
        .collect();
    let lines = said(&json!({"args": [format!("--model={deep}")], "env": env}));
    assert_eq!(lines, [r#"open in args[0]: variable "E" refers to itself"#]);
    let doubling = format!("X=aaaaaaaa; {} vllm serve $X", "X=$X$X; ".repeat(64));
    let lines = said(&json!({"command": ["sh", "-c", doubling]}));
    assert_eq!(lines, ["open in command[2]: it is longer than is read"]);
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    assert_eq!(said(&json!({"args": many})), ["open in args[4096]: it has too many words"]);
    let quoted = format!("sh -c {}", "\"'".repeat(5_000));
    said(&json!({"command": ["sh", "-c", quoted]}));
}

#[test]
fn hubs_are_known_by_their_hosts() {
    for (host, hub) in [
        ("huggingface.co", true),
        ("cdn-lfs.huggingface.co", true),
        ("HF.co.", true),
        ("nothuggingface.co", false),
        ("huggingface.co.evil.example", false),
        ("é", false),
    ] {
        assert_eq!(is_hub(host), hub, "{host}");
    }
}

#[path = "disguises.rs"]
mod disguises;

#[path = "installs.rs"]
mod installs;
