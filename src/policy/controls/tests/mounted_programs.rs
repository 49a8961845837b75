//! Programs that objects of the cluster bring into a container.

use serde_json::{Value, json};

use super::CONTROL;
use super::tests::bench;
use crate::policy::testing::lines;

#[test]
fn a_program_from_an_object_of_the_cluster_is_named_and_one_of_the_image_is_not() {
    let volumes = json!([{"name": "s", "configMap": {"name": "scripts"}}, {"name": "k", "secret": {"secretName": "keys"}},
        {"name": "p", "projected": {"sources": [{"downwardAPI": {}}, {"configMap": {"name": "parts"}}]}},
        {"name": "t", "emptyDir": {}}]);
    let mounts = json!([{"name": "s", "mountPath": "/scripts"}, {"name": "k", "mountPath": "/keys/"},
        {"name": "p", "mountPath": "/parts"}, {"name": "t", "mountPath": "/scripts/tmp"}]);
    let of = |container: Value| {
        let mut whole = json!({"name": "c", "volumeMounts": mounts});
        json_patch::merge(&mut whole, &container);
        lines(&bench().of_pod(&CONTROL, &json!({"containers": [whole], "volumes": volumes})))
    };
    let words = |words: &[&str]| of(json!({"command": words}));
    let said = |field: &str, value: &str, what: &str| {
        vec![format!(
            "spec.containers[0].{field} {value:?}: {what}, which is neither signed with the image nor read here [unknown]"
        )]
    };
    let map = "ConfigMap \"scripts\"";
    for (command, index, value, path) in [
        (&["sh", "/scripts/run.sh"][..], 1, "/scripts/run.sh", "/scripts/run.sh"),
        (&["/bin/bash", "-eu", "/scripts/run"], 2, "/scripts/run", "/scripts/run"),
        (&["/scripts/run.sh", "--fast"], 0, "/scripts/run.sh", "/scripts/run.sh"),
        (&["/app/../scripts//run"], 0, "/app/../scripts//run", "/scripts/run"),
        (&["python3", "-u", "/scripts/serve.py"], 2, "/scripts/serve.py", "/scripts/serve.py"),
        (&["python3", "-W", "ignore", "/scripts/serve.py"], 3, "/scripts/serve.py", "/scripts/serve.py"),
        (&["tini", "--", "/scripts/run.sh"], 2, "/scripts/run.sh", "/scripts/run.sh"),
        (&["sh", "-c", ". /scripts/env; exec /app/serve"], 2, "/scripts/env", "/scripts/env"),
        (&["sh", "-c", "set -e\nexec /scripts/run"], 2, "/scripts/run", "/scripts/run"),
        (&["sh", "-c", "cd /scripts && ./run"], 2, "/scripts/./run", "/scripts/run"),
        (&["serve", "--hook=/scripts/hook.py"], 1, "/scripts/hook.py", "/scripts/hook.py"),
    ] {
        let expected = said(&format!("command[{index}]"), value, &format!("runs {path:?} from {map}"));
        assert_eq!(words(command), expected, "{command:?}");
    }
    let expected = said("args[0]", "/keys/x", "runs \"/keys/x\" from Secret \"keys\"");
    assert_eq!(of(json!({"args": ["/keys/x"]})), expected);
    let expected = said("command[1]", "/parts/x.sh", "runs \"/parts/x.sh\" from ConfigMap \"parts\"");
    assert_eq!(words(&["sh", "/parts/x.sh"]), expected);
    let expected = said("command[1]", "run.sh", &format!("runs \"/scripts/run.sh\" from {map}"));
    assert_eq!(of(json!({"command": ["sh", "run.sh"], "workingDir": "/scripts"})), expected);
    let probe = json!({"livenessProbe": {"exec": {"command": ["/scripts/alive"]}}});
    let at = "livenessProbe.exec.command[0]";
    assert_eq!(of(probe), said(at, "/scripts/alive", &format!("runs \"/scripts/alive\" from {map}")));
    let variable = json!({"env": [{"name": "PYTHONPATH", "value": "/app:/scripts/lib"}]});
    assert_eq!(of(variable), said("env[0].value", "/app:/scripts/lib", &format!("loads code from {map}")));
    let over = json!({"volumeMounts": [{"name": "s", "mountPath": "/app/serve.py", "subPath": "serve.py"}]});
    let what = format!("puts code from {map} into the image");
    assert_eq!(of(over), said("volumeMounts[0].mountPath", "/app/serve.py", &what));
    // What lies in the image, what is only data, and what the pod itself writes and is read.
    for command in [
        &["sh", "/app/run.sh"][..],
        &["/app/serve", "--config", "/scripts/settings.yaml"],
        &["python3", "/app/serve.py", "--config=/scripts/settings.yaml", "/scripts/data.json"],
        &["sh", "/scripts/../app/run.sh"],
        &["sh", "-c", "cat > /scripts/tmp/x.sh <<'EOF'\nexec /app/serve\nEOF\nsh /scripts/tmp/x.sh"],
        &["sh", "-c", "cd /app && ./run"],
        &["sh", "run.sh"],
    ] {
        assert_eq!(words(command), [""; 0], "{command:?}");
    }
}

#[test]
fn what_takes_the_place_of_programs_of_the_image_is_named() {
    let of = |volume: &Value, path: &str, file: Option<&str>| {
        let mut volume = volume.clone();
        volume["name"] = "v".into();
        let container =
            json!({"name": "c", "volumeMounts": [{"name": "v", "mountPath": path, "subPath": file}]});
        lines(&bench().of_pod(&CONTROL, &json!({"containers": [container], "volumes": [volume]})))
    };
    let said = |path: &str, what: &str| {
        vec![format!(
            "spec.containers[0].volumeMounts[0].mountPath {path:?}: {what}, which is neither signed with the image nor read here \
             [unknown]"
        )]
    };
    let map = "ConfigMap \"scripts\"";
    let shown = |path: &str, file: bool| {
        let file = file.then_some("x");
        of(&json!({"configMap": {"name": "scripts"}}), path, file)
    };
    for path in [
        "/usr/local/bin",
        "/usr",
        "/",
        "/usr/bin/../lib/x",
        "/opt/venv/lib/python3.12/site-packages",
        "/etc/ld.so.preload",
    ] {
        let what = format!("shows {map} where the image has its programs or libraries");
        assert_eq!(shown(path, false), said(path, &what), "{path}");
    }
    let preload = format!("shows {map} where the image has its programs or libraries");
    assert_eq!(shown("/etc/ld.so.conf", true), said("/etc/ld.so.conf", &preload));
    let entry = said("/docker-entrypoint", &format!("puts code from {map} into the image"));
    assert_eq!(shown("/docker-entrypoint", true), entry);
    for (path, file) in
        [("/etc/chat", false), ("/usr/share/nginx/html", false), ("/usr/lib/jvm/lib/security/cacerts", true)]
    {
        assert_eq!(shown(path, file), [""; 0], "{path}");
    }
    let executable = |volume: Value| of(&volume, "/demo-app", Some("app"));
    let item = |mode: i32| json!([{"key": "app", "path": "app", "mode": mode}]);
    for (volume, object) in [
        (json!({"configMap": {"name": "evil", "defaultMode": 0o755}}), "ConfigMap \"evil\""),
        (json!({"configMap": {"name": "evil", "items": item(0o111)}}), "ConfigMap \"evil\""),
        (json!({"secret": {"secretName": "evil", "items": item(0o100)}}), "Secret \"evil\""),
        (
            json!({"projected": {"sources": [{"configMap": {"name": "evil", "items": item(0o755)}}]}}),
            "ConfigMap \"evil\"",
        ),
        (
            json!({"projected": {"defaultMode": 0o555, "sources": [{"downwardAPI": {}}]}}),
            "the fields of the pod",
        ),
        (json!({"downwardAPI": {"defaultMode": 0o700}}), "the fields of the pod"),
    ] {
        let what = format!("shows files of {object} that may be run, by their mode");
        assert_eq!(executable(volume), said("/demo-app", &what), "{object}");
    }
    assert_eq!(executable(json!({"configMap": {"name": "evil", "defaultMode": 0o644}})), [""; 0]);
}
