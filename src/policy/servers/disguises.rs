//! Forms that load another model, code or weights than it seems, and lawful ones that look like them.

use serde_json::json;

use super::{all, said};

#[test]
fn beginnings_of_flags_count_as_the_flags() {
    all(&[
        (json!({"args": ["--lora-module", "a=org/a"]}), &["adapter hub org/a in args[1]"]),
        (json!({"args": ["--load-for", "pt"]}), &["Pickle --load-for in args[0]"]),
        (json!({"args": ["--load_for=pt"]}), &["Pickle --load_for=pt in args[0]"]),
        (json!({"args": ["--tokenize", "evil/tok"]}), &["part of the model hub evil/tok in args[1]"]),
        (json!({"args": ["--model-pat", "/opt/m"]}), &["model path /opt/m in args[1]"]),
        (json!({"args": ["--generation", "evil/g"]}), &["part of the model hub evil/g in args[1]"]),
        (json!({"args": ["--tool-parser=/x.py"]}), &["RemoteCode --tool-parser=/x.py in args[0]"]),
        // Flags of their own, and programs that take no beginnings.
        (
            json!({"args": ["--model-name", "org/m", "--token=/t", "--mode", "/a/b/c", "--reasoning-parser", "qwen3"]}),
            &[],
        ),
        (
            json!({"args": ["--worker", "4", "--workers=4", "--log=/var/log/x", "--check", "/healthz", "--lo", "a/b"]}),
            &[],
        ),
        (json!({"command": ["llama-server", "--lora-m", "org/a"]}), &[]),
        (json!({"args": ["-lora-module", "a=org/a"]}), &[]),
    ]);
}

#[test]
fn flags_of_vllm_and_sglang_that_load_more_are_read() {
    let code = |word: &str| vec![format!("RemoteCode {word} in args[0]")];
    for flag in [
        "--tool-parser-plugin",
        "--reasoning-parser-plugin",
        "--logits-processors",
        "--worker-extension-cls",
        "--worker-cls",
        "--middleware",
        "--io-processor-plugin",
    ] {
        assert_eq!(said(&json!({"args": [flag, "evil.x"]})), code(flag));
    }
    all(&[
        (json!({"args": ["-sc", r#"{"model": "evil/d"}"#]}), &["draft model hub evil/d in args[1]"]),
        (json!({"args": ["-sc.model", "evil/d"]}), &["draft model hub evil/d in args[1]"]),
        (json!({"args": ["--spec-model", "evil/d"]}), &["draft model hub evil/d in args[1]"]),
        (
            json!({"args": ["--model-loader-extra-config", r#"{"qlora_adapter_name_or_path": "evil/a"}"#]}),
            &["adapter hub evil/a in args[1]"],
        ),
        (
            json!({"args": ["--model-loader-extra-config.qlora_adapter_name_or_path=evil/a"]}),
            &["adapter hub evil/a in args[0]"],
        ),
        (json!({"args": ["--generation-config", "evil/g"]}), &["part of the model hub evil/g in args[1]"]),
        (json!({"args": ["--speculative-draft-model", "evil/d"]}), &["draft model hub evil/d in args[1]"]),
        (
            json!({"args": ["--speculative-token-map", "evil/r/f.pt"]}),
            &["draft model path evil/r/f.pt in args[1]"],
        ),
        (json!({"args": ["--generation-config", "vllm", "--worker-cls=auto", "--middleware", ""]}), &[]),
        (
            json!({"args": ["-sc", r#"{"method": "ngram"}"#, "--model-loader-extra-config={\"concurrency\": 8}"]}),
            &[],
        ),
        (json!({"command": ["curl", "-sc", "/tmp/cookies"]}), &[]),
    ]);
}

#[test]
fn flags_of_llama_cpp_and_ollama_that_load_more_are_read() {
    all(&[
        (
            json!({"command": ["llama-server", "--gpt-oss-20b-default"]}),
            &["Fetch --gpt-oss-20b-default in command[1]"],
        ),
        (
            json!({"command": ["llama-server", "--fim-qwen-1.5b-default"]}),
            &["Fetch --fim-qwen-1.5b-default in command[1]"],
        ),
        (
            json!({"command": ["llama-server", "--models-dir", "/opt/m"]}),
            &["model path /opt/m in command[2]"],
        ),
        (
            json!({"command": ["llama-server", "--lora-scaled", "/a.gguf:0.5,/b.gguf"]}),
            &["adapter path /a.gguf in command[2]", "adapter path /b.gguf in command[2]"],
        ),
        (
            json!({"command": ["llama-server", "--lora-scaled", "/a.gguf", "0.5"]}),
            &["adapter path /a.gguf in command[2]"],
        ),
        (
            json!({"command": ["llama-server", "--control-vector", "/c.gguf"]}),
            &["adapter path /c.gguf in command[2]"],
        ),
        (
            json!({"command": ["llama-server", "--control-vector-scaled", "/c.gguf", "1"]}),
            &["adapter path /c.gguf in command[2]"],
        ),
        (json!({"command": ["llama-tts", "-mv", "/v.gguf"]}), &["draft model path /v.gguf in command[2]"]),
        (
            json!({"command": ["llama-server", "--model-vocoder", "v.gguf"]}),
            &["draft model path v.gguf in command[2]"],
        ),
        (
            json!({"command": ["sh", "-c", "ollama create x -f /etc/Modelfile"]}),
            &["open in command[2]: what the model is made of stands in the Modelfile of ollama create"],
        ),
        (
            json!({"image": "ollama/ollama", "args": ["create", "x"]}),
            &["open in args[0]: what the model is made of stands in the Modelfile of ollama create"],
        ),
        (json!({"command": ["llama-server", "--chat-template-default", "--port", "1"]}), &[]),
        (json!({"command": ["sh", "-c", "ollama list; kubectl create x"]}), &[]),
    ]);
}

#[test]
fn code_of_python_on_a_command_line_is_read() {
    let fetch = "from huggingface_hub import snapshot_download; snapshot_download('evil/m')";
    all(&[
        (json!({"command": ["python3", "-c", fetch]}), &["Script snapshot_download in command[2]"]),
        (json!({"command": ["python3", format!("-c{fetch}")]}), &["Script snapshot_download in command[1]"]),
        (
            json!({"command": ["sh", "-c", format!("exec python3 -c \"{fetch}\"")]}),
            &["Script snapshot_download in command[2]"],
        ),
        (
            json!({"command": ["/usr/bin/python3.12", "-Ic"], "args": [fetch]}),
            &["Script snapshot_download in args[0]"],
        ),
        (
            json!({"command": ["python", "-c", "exec(x)"]}),
            &["open in command[2]: \"exec\" in code on the command line can load or start anything"],
        ),
        (
            json!({"command": ["python", "-c", "A.from_pretrained('/models/m')"]}),
            &["model path /models/m in command[2]"],
        ),
        (
            json!({"livenessProbe": {"exec": {"command": ["python", "-c",
                "import urllib.request; urllib.request.urlopen('http://localhost:8000/health')"]}}}),
            &[],
        ),
        (json!({"command": ["echo", "-c", fetch]}), &[]),
    ]);
}

#[test]
fn other_servers_are_read() {
    all(&[
        (json!({"command": ["trtllm-serve", "evil/m"]}), &["model hub evil/m in command[1]"]),
        (json!({"command": ["trtllm-serve", "serve", "gpt2"]}), &["model hub gpt2 in command[2]"]),
        (
            json!({"command": ["tensorflow_model_server", "--model_base_path=/opt/m", "--model_name=x"]}),
            &["model path /opt/m in command[1]"],
        ),
        (
            json!({"args": ["--model_config_file=/etc/models"]}),
            &["open in args[0]: further arguments stand in the file \"/etc/models\""],
        ),
        (
            json!({"command": ["ovms", "--source_model", "OpenVINO/m", "--model_path", "/opt/m"]}),
            &["model hub OpenVINO/m in command[2]", "model path /opt/m in command[4]"],
        ),
        (
            json!({"command": ["ovms", "--config_path", "/etc/c.json"]}),
            &["open in command[2]: further arguments stand in the file \"/etc/c.json\""],
        ),
        (
            json!({"command": ["torchserve", "--model-store", "/m", "--models", "a=https://x.example/a.mar", "b=b.mar"]}),
            &["model path /m in command[2]", "model address https://x.example/a.mar in command[4]"],
        ),
        (
            json!({"env": [{"name": "SM_VLLM_MODEL", "value": "evil/m"}]}),
            &["model hub evil/m in env[0].value"],
        ),
        (
            json!({"env": [{"name": "SM_VLLM_MIDDLEWARE", "value": "evil.x"}]}),
            &["RemoteCode SM_VLLM_MIDDLEWARE=evil.x in env[0].value"],
        ),
        (
            json!({"env": [{"name": "OPTION_MODEL_ID", "value": "evil/m"}]}),
            &["model hub evil/m in env[0].value"],
        ),
        (
            json!({"env": [{"name": "NIM_MODEL_NAME", "value": "evil/m"}]}),
            &["model hub evil/m in env[0].value"],
        ),
        (
            json!({"env": [{"name": "OPTION_MODEL_ID", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]}),
            &["open in env[0].value: variable \"OPTION_MODEL_ID\" comes from a ConfigMap"],
        ),
        (
            json!({"command": ["torchserve", "--models", "all"], "env": [{"name": "OPTION_DTYPE", "value": "fp16"}]}),
            &[],
        ),
    ]);
}
