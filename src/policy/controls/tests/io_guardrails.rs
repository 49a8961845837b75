//! What `io-guardrails` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

fn bench(patch: &Value) -> Bench {
    Bench::new("production", "internal").workload(patch)
}

const GUARDED: &str = r#"{"output": {"kind": "nonAI", "container": "guard"}}"#;

fn guarded() -> Value {
    serde_json::from_str(GUARDED).unwrap()
}

fn pod(guard: &str) -> Value {
    json!({"containers": [{"name": "model", "ports": [{"containerPort": 8000}]},
                          {"name": guard, "ports": [{"containerPort": 8080}]}]})
}

#[test]
fn the_guard_is_in_the_pod_and_before_the_model() {
    let exposed =
        |port: u16| bench(&json!({"guardrails": guarded(), "exposure": [{"name": "api", "port": port}]}));
    assert_lines(&exposed(8080).of_pod(&CONTROL, &pod("guard")), &[]);
    assert_lines(
        &exposed(8000).of_pod(&CONTROL, &pod("guard")),
        &[
            "AIWorkload chat-prod/chat spec.exposure[0].port \"8000\": is a port of container \"model\", so callers go past the \
           output guard \"guard\" [may arrive]",
        ],
    );
    assert_lines(
        &exposed(8080).of_pod(&CONTROL, &pod("other")),
        &[
            "spec.containers: has no running container \"guard\", which AIWorkload chat-prod/chat declares as output guard [may \
           arrive]",
        ],
    );
    // What the model server is told counts, whoever names the port.
    let told = json!({"containers": [{"name": "guard", "ports": [{"containerPort": 8080}]},
        {"name": "model", "command": ["vllm", "serve", "/m", "--port", "8080"], "ports": [{"containerPort": 8000}]}]});
    assert_eq!(exposed(8080).of_pod(&CONTROL, &told).len(), 1);
    // An init container has ended before the first answer.
    let early = json!({"containers": [{"name": "model"}], "initContainers": [{"name": "guard"}]});
    assert_eq!(exposed(8080).of_pod(&CONTROL, &early).len(), 1);
    let sidecar = json!({"containers": [{"name": "model"}], "initContainers": [{"name": "guard", "restartPolicy": "Always"}]});
    assert_lines(&exposed(8080).of_pod(&CONTROL, &sidecar), &[]);
}

#[test]
fn model_and_guard_do_not_change_places() {
    let bench = bench(&json!({"guardrails": guarded(), "exposure": [{"name": "api", "port": 8080}]}));
    let volumes = json!([{"name": "m", "image": {"reference": "registry.example/m"}}]);
    let found = |model: Value, guard: &[&str]| {
        let mut model = model;
        model["name"] = "model".into();
        model["volumeMounts"] = json!([{"name": "m", "mountPath": "/m"}]);
        let guard = json!({"name": "guard", "args": guard, "ports": [{"containerPort": 8080}]});
        bench.of_pod(&CONTROL, &json!({"containers": [model, guard], "volumes": volumes}))
    };
    let past = "AIWorkload chat-prod/chat spec.exposure[0].port \"8080\": is a port of container \"model\", so callers go past the \
                output guard \"guard\" [may arrive]";
    for model in [
        json!({"args": ["serve", "/m", "--host=0.0.0.0", "--port=8080"]}),
        json!({"args": ["--port", "8080"]}),
        json!({"command": ["app", "-p", "8080"]}),
        json!({"args": ["--bind=0.0.0.0:8080"]}),
        json!({"env": [{"name": "PORT", "value": "8080"}]}),
    ] {
        assert_lines(&found(model, &[]), &[past]);
    }
    let behind = || json!({"args": ["serve", "/m", "--host=127.0.0.1", "--port=8000"]});
    assert_lines(&found(behind(), &["--port=8080", "--metrics-port=9090"]), &[]);
    assert_lines(
        &found(behind(), &["serve", "--port=8000"]),
        &[
            "spec.containers[1].args[1] \"--port=8000\": names no port among spec.exposure of AIWorkload chat-prod/chat, so callers \
           go past the output guard \"guard\" [may arrive]",
        ],
    );
    let swapped = found(json!({"args": ["serve", "/m", "--host=0.0.0.0", "--port=8080"]}), &["--port=8000"]);
    assert_eq!(swapped.len(), 2);
    assert_eq!(
        swapped[0].fix.as_ref().unwrap().to_string(),
        "let container \"guard\" call the other, and expose its port"
    );
}

#[test]
fn beside_the_guard_others_are_free() {
    let two = json!({"input": {"kind": "nonAI", "container": "first"}, "output": {"kind": "nonAI", "container": "guard"}});
    let bench = bench(&json!({"guardrails": two, "monitoring": {"metrics": {"port": "metrics"}},
        "exposure": [{"name": "api", "port": 8080}, {"name": "figures", "port": 9090}]}));
    let found = |other: Value| {
        let pod = json!({"containers": [{"name": "first", "args": ["--port=8080"]}, {"name": "guard", "args": ["--port=8081"]}, other]});
        bench.of_pod(&CONTROL, &pod).len()
    };
    assert_eq!(found(json!({"name": "exporter", "args": ["--port=9091"]})), 0);
    let metrics = json!([{"name": "metrics", "containerPort": 9090}]);
    assert_eq!(found(json!({"name": "exporter", "args": ["--port=9090"], "ports": metrics})), 0);
    assert_eq!(found(json!({"name": "probe", "args": ["--host=127.0.0.1", "--port=8080"]})), 0);
    assert_eq!(found(json!({"name": "proxy", "args": ["--port=8080"]})), 2, "past each of both");
}

#[test]
fn only_people_may_stand_in_for_the_guard_of_a_batch() {
    assert_eq!(bench(&json!({})).of_workload(&CONTROL).len(), 1);
    assert_eq!(bench(&json!({"type": "batch"})).of_workload(&CONTROL).len(), 1);
    assert_lines(
        &bench(&json!({"type": "batch", "oversight": {"mode": "review"}})).of_workload(&CONTROL),
        &[],
    );
    assert_lines(&bench(&json!({"type": "training"})).of_workload(&CONTROL), &[]);
    assert_eq!(
        bench(&json!({"guardrails": {"output": {"kind": "AI", "container": "g"}}})).of_workload(&CONTROL)[0]
            .detail,
        "rests on a model, which can be talked round like the one it watches"
    );
}

#[test]
fn outside_input_is_checked_and_answers_are_lean() {
    let public =
        json!({"guardrails": guarded(), "exposure": [{"name": "api", "port": 8080, "audience": "public"}]});
    let found = bench(&public).of_workload(&CONTROL);
    assert_lines(
        &found,
        &[
            "AIWorkload chat-prod/chat spec.guardrails.input: is missing, though people outside the organisation send what the \
             model reads",
            "AIWorkload chat-prod/chat spec.exposure[0].outputFields: is empty, so nobody decided what an answer to people \
             outside may hold",
        ],
    );
    let args = |args: Value| {
        let mut patch = public.clone();
        patch["guardrails"]["input"] = json!({"kind": "nonAI", "container": "guard"});
        patch["exposure"][0]["outputFields"] = json!(["answer"]);
        let mut pod = pod("guard");
        pod["containers"][0]["args"] = args;
        bench(&patch).of_pod(&CONTROL, &pod)
    };
    assert_lines(&args(json!(["--max-logprobs=0"])), &[]);
    for telling in
        [json!(["--max-logprobs=5"]), json!(["--max-logprobs", "5"]), json!(["--return-tokens-as-token-ids"])]
    {
        let found = args(telling.clone());
        assert_eq!(found.len(), 1, "{telling}");
        assert_eq!(found[0].detail, "adds insides of the model to what people outside get");
    }
}
