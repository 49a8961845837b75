//! Prompts in ConfigMaps, in arguments and in variables.

use std::sync::Arc;

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{ConfigMap, Subject, Text};
use crate::policy::testing::{Bench, DIGEST, assert_lines, lines, merged, read};

fn bench(prompt: &Value, map: Option<ConfigMap>) -> Bench {
    let mut bench = Bench::new("production", "internal").workload(&json!({"prompts": [{"name": "system"}]}));
    let spec = json!({"source": {"kind": "configMap", "name": "texts", "key": "a.txt"}, "digest": DIGEST});
    let object =
        json!({"metadata": {"name": "system", "namespace": "chat-prod"}, "spec": merged(spec, prompt)});
    bench.namespace.prompts.insert("system".to_owned(), Arc::new(read(object)));
    if let Some(map) = map {
        bench.namespace.config_maps.insert("texts".to_owned(), map);
    }
    bench
}

fn map(immutable: bool, key: &str, digest: &str) -> ConfigMap {
    ConfigMap { immutable, digests: [(key.to_owned(), digest.to_owned())].into() }
}

#[test]
fn the_text_is_immutable_and_of_the_declared_digest() {
    let other = DIGEST.replace("aaaa", "bbbb");
    let good = || Some(map(true, "a.txt", DIGEST));
    for (prompt, map, expected) in [
        (json!({}), good(), String::new()),
        (json!({"source": {"kind": "oci", "reference": format!("r/p@{DIGEST}")}}), None, String::new()),
        (json!({"source": null}), good(), "spec.source: is missing, so nobody knows which text is meant".to_owned()),
        (json!({"digest": null}), good(), "spec.digest: is not set, so the text may change unseen".to_owned()),
        (
            json!({}),
            None,
            r#"spec.source.name "texts": is no ConfigMap with the label portcullis.dev/prompt: it is gone or lost the label [may arrive]"#.to_owned(),
        ),
        (
            json!({}),
            Some(map(false, "a.txt", DIGEST)),
            r#"spec.source.name "texts": is a ConfigMap that anybody who may write it can change under the running pods [may arrive]"#
                .to_owned(),
        ),
        (
            json!({}),
            Some(map(true, "b.txt", DIGEST)),
            r#"spec.source.key "a.txt": is no key of ConfigMap "texts" [may arrive]"#.to_owned(),
        ),
        (
            json!({}),
            Some(map(true, "a.txt", &other)),
            format!(
                r#"spec.digest {DIGEST:?}: is not the digest of what ConfigMap "texts" holds under "a.txt", {other:?} [may arrive]"#
            ),
        ),
    ] {
        let bench = bench(&prompt, map);
        let found = lines(&bench.judge(&CONTROL, Subject::Prompt(&bench.namespace.prompts["system"])));
        let expected =
            if expected.is_empty() { vec![] } else { vec![format!("AIPrompt chat-prod/system {expected}")] };
        assert_eq!(found, expected);
    }
    let bench = bench(&json!({}), Some(map(true, "a.txt", &other)));
    assert_eq!(bench.of_pod(&CONTROL, &json!({"containers": []})).len(), 1);
    let missing = Bench::new("production", "internal").workload(&json!({"prompts": [{"name": "x"}]}));
    assert_lines(
        &missing.of_pod(&CONTROL, &json!({"containers": []})),
        &[
            r#"AIWorkload chat-prod/chat spec.prompts[0].name "x": no AIPrompt of namespace "chat-prod" has this name [may arrive]"#,
        ],
    );
}

#[test]
fn texts_come_from_declared_prompts() {
    let volume =
        |name: &str| json!({"containers": [], "volumes": [{"name": "v", "configMap": {"name": name}}]});
    let good = || bench(&json!({}), Some(map(true, "a.txt", DIGEST)));
    assert_lines(&good().of_pod(&CONTROL, &volume("texts")), &[]);
    assert_lines(&good().of_pod(&CONTROL, &volume("settings")), &[]);
    assert_lines(
        &good().of_pod(&CONTROL, &volume("chat-prompts")),
        &[
            r#"spec.volumes[0].configMap.name "chat-prompts": is called after prompts, and AIWorkload chat-prod/chat declares no AIPrompt with it as its source [may arrive]"#,
        ],
    );
    let mut other = good();
    other.namespace.config_maps.insert("more".to_owned(), ConfigMap::default());
    let held = "holds prompts, and AIWorkload chat-prod/chat declares no AIPrompt with it as its source [may arrive]";
    let everywhere = json!({
        "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "more"}}],
                        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "more", "key": "k"}}}]}],
        "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "more"}}]}}]
    });
    assert_lines(
        &other.of_pod(&CONTROL, &everywhere),
        &[
            &format!(r#"spec.volumes[0].projected.sources[0].configMap.name "more": {held}"#),
            &format!(r#"spec.containers[0].env[0].valueFrom.configMapKeyRef.name "more": {held}"#),
            &format!(r#"spec.containers[0].envFrom[0].configMapRef.name "more": {held}"#),
        ],
    );
}

#[test]
fn another_text_beside_the_declared_one_is_not_handed_over_in_its_place() {
    let mut bench = bench(&json!({}), Some(map(true, "a.txt", DIGEST)));
    bench.namespace.config_maps.get_mut("texts").unwrap().digests.insert("evil.txt".into(), DIGEST.into());
    let items = |key: &str| json!([{"key": key, "path": "a.txt"}]);
    let volume = |map: Value| json!({"containers": [], "volumes": [{"name": "v", "configMap": map}]});
    let projected = |map: Value| json!({"containers": [], "volumes": [{"name": "v", "projected": {"sources": [{"configMap": map}]}}]});
    let variable = |key: &str| {
        json!({"containers": [{"name": "c",
        "env": [{"name": "SYSTEM_PROMPT", "valueFrom": {"configMapKeyRef": {"name": "texts", "key": key}}}]}]})
    };
    let all = json!({"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "texts"}}]}]});
    let none = "AIWorkload chat-prod/chat declares no AIPrompt with it as its source";
    let one = format!("\"evil.txt\": is a text in ConfigMap \"texts\" that is handed over, and {none}");
    let whole = format!("\"texts\": hands over its text \"evil.txt\" too, and {none}");
    for (pod, place, said) in [
        (volume(json!({"name": "texts", "items": items("a.txt")})), None, &one),
        (
            volume(json!({"name": "texts", "items": items("evil.txt")})),
            Some("volumes[0].configMap.items[0].key"),
            &one,
        ),
        (volume(json!({"name": "texts"})), Some("volumes[0].configMap.name"), &whole),
        // An empty list names nothing, and so everything is mounted.
        (volume(json!({"name": "texts", "items": []})), Some("volumes[0].configMap.name"), &whole),
        (projected(json!({"name": "texts", "items": items("a.txt")})), None, &one),
        (
            projected(json!({"name": "texts", "items": items("evil.txt")})),
            Some("volumes[0].projected.sources[0].configMap.items[0].key"),
            &one,
        ),
        (variable("a.txt"), None, &one),
        (variable("evil.txt"), Some("containers[0].env[0].valueFrom.configMapKeyRef.key"), &one),
        (all.clone(), Some("containers[0].envFrom[0].configMapRef.name"), &whole),
    ] {
        let expected: Vec<_> = place.into_iter().map(|place| format!("spec.{place} {said}")).collect();
        assert_eq!(lines(&bench.of_pod(&CONTROL, &pod)), expected, "{pod}");
    }
    // What is printed can be done where it is printed: envFrom has no items.
    let fix = bench.of_pod(&CONTROL, &all)[0].fix.as_ref().map(ToString::to_string).unwrap();
    assert!(
        fix.contains("(\"a.txt\") one by one into env by valueFrom.configMapKeyRef")
            && !fix.contains("items"),
        "{fix}"
    );
}

/// What envFrom brings is known where somebody read the map; elsewhere a prefix that begins the name of a prompt tells.
#[test]
fn a_prompt_that_env_from_brings_is_found() {
    let of = |text: Option<Text>, container: &Value| {
        let mut bench = Bench::new("production", "internal").workload(&json!({}));
        bench.namespace.texts.extend(text.map(|text| ("via".to_owned(), text)));
        lines(&bench.of_pod(&CONTROL, &json!({"containers": [merged(json!({"name": "c"}), container)]})))
    };
    let read = |keys: &[&str]| {
        let prompts = keys.iter().map(|key| (*key).to_owned()).collect();
        Some(Text::Read { credentials: Vec::new(), prompts })
    };
    let plain = json!({"envFrom": [{"configMapRef": {"name": "via"}}]});
    let under = json!({"envFrom": [{"prefix": "SYSTEM_", "configMapRef": {"name": "via"}}]});
    let place = "spec.containers[0].envFrom[0].configMapRef.name \"via\": brings";
    let brings =
        |name: &str| format!("{place} variable {name:?}, which hands over a prompt that nobody registered");
    assert_eq!(of(read(&["PROMPT", "SYSTEM_PROMPT"]), &plain), [brings("PROMPT"), brings("SYSTEM_PROMPT")]);
    assert_eq!(of(read(&["PROMPT"]), &under), [brings("SYSTEM_PROMPT")]);
    assert_eq!(of(read(&["MPT"]), &plain), [""; 0]);
    assert_eq!(
        of(
            read(&["MPT"]),
            &merged(plain.clone(), &json!({"envFrom": [{"prefix": "PRO", "configMapRef": {"name": "via"}}]}))
        ),
        [brings("PROMPT")]
    );
    let set = json!({"env": [{"name": "PROMPT", "value": "chatml"}]});
    assert_eq!(of(read(&["PROMPT"]), &merged(plain.clone(), &set)), [""; 0], "env goes before it");
    let named = json!({"args": ["--system-prompt=$(PROMPT)"]});
    assert_eq!(of(read(&["PROMPT"]), &merged(plain.clone(), &named)), [brings("PROMPT")], "it is told once");
    assert_eq!(of(None, &plain), [""; 0]);
    for text in [None, Some(Text::Unread("forbidden".to_owned()))] {
        let unseen = of(text, &under);
        assert!(
            unseen.len() == 1 && unseen[0].contains("under \"SYSTEM_\", which begins the name of a prompt"),
            "{unseen:?}"
        );
    }
    assert_eq!(
        of(None, &json!({"envFrom": [{"prefix": "CHAT_", "configMapRef": {"name": "via"}}]})),
        [""; 0]
    );
    assert_eq!(of(None, &json!({"envFrom": [{"prefix": "PROMPT_", "secretRef": {"name": "s"}}]})).len(), 1);
}

#[test]
fn no_prompt_stands_in_the_manifest() {
    let bench = Bench::new("production", "internal").workload(&json!({}));
    let of = |container: Value| {
        let container = merged(json!({"name": "c"}), &container);
        lines(&bench.of_pod(&CONTROL, &json!({"containers": [container]})))
    };
    for (container, place) in [
        (
            json!({"args": ["--system-prompt=You are a helpful bank clerk"]}),
            r#"args[0]: flag "--system-prompt""#,
        ),
        (
            json!({"args": ["--system_prompt", "You are a helpful bank clerk"]}),
            r#"args[1]: flag "--system_prompt""#,
        ),
        (json!({"command": ["llama-cli", "-sys", "You are a clerk"]}), r#"command[2]: flag "-sys""#),
        (json!({"args": ["--chat-template={% for m in messages %}"]}), r#"args[0]: flag "--chat-template""#),
        (
            json!({"env": [{"name": "CHAT_SYSTEM_PROMPT", "value": "Be kind to all"}]}),
            r#"env[0].value: variable "CHAT_SYSTEM_PROMPT""#,
        ),
    ] {
        assert_eq!(
            of(container.clone()),
            [format!("spec.containers[0].{place} holds a prompt as text, which nobody registered")],
            "{container}"
        );
    }
    for container in [
        json!({"args": ["--chat-template", "chatml"]}),
        json!({"args": ["--systematic=a b c d"]}),
        json!({"env": [{"name": "PROMPT_FILE", "value": "a b c d"}]}),
    ] {
        assert_eq!(of(container.clone()), [""; 0], "{container}");
    }
}

#[test]
fn files_of_prompts_lie_where_somebody_registered_them() {
    let bench = Bench::new("production", "internal").workload(&json!({}));
    let of = |path: &str| {
        lines(&bench.of_pod(
            &CONTROL,
            &json!({
                "containers": [{"name": "c", "args": ["--chat-template", path],
                    "volumeMounts": [{"name": "map", "mountPath": "/map"}, {"name": "tmp", "mountPath": "/tmp/"},
                        {"name": "model", "mountPath": "/models"}, {"name": "claim", "mountPath": "/claim"}]}],
                "volumes": [{"name": "map", "configMap": {"name": "texts"}}, {"name": "tmp", "emptyDir": {}},
                    {"name": "model", "image": {"reference": "r/m"}},
                    {"name": "claim", "persistentVolumeClaim": {"claimName": "c"}}],
            }),
        ))
    };
    let at = |path: &str| format!("spec.containers[0].args[1] {path:?}: ");
    let handed = "hands over a prompt";
    assert_eq!(of("/models/chat.jinja"), [""; 0]);
    assert_eq!(of("/claim/chat.jinja"), [""; 0]);
    assert_eq!(
        of("/map/chat.jinja"),
        [format!(
            "spec.volumes[0].configMap.name \"texts\": {handed}, and AIWorkload chat-prod/chat declares no AIPrompt with it \
             as its source [may arrive]"
        )]
    );
    assert_eq!(
        of("/tmp/chat.jinja"),
        [format!("{}{handed} from volume \"tmp\", in which nobody registered it", at("/tmp/chat.jinja"))]
    );
    // A way round through a declared model is none.
    for path in ["/models/../tmp/chat.jinja", "//tmp/./chat.jinja", "/claim/../models/../tmp/chat.jinja"] {
        let what = format!("{handed} from volume \"tmp\", in which nobody registered it");
        assert_eq!(of(path), [format!("{}{what}", at("/tmp/chat.jinja"))]);
    }
    for path in ["chat.jinja", "./chat.jinja", "../tmp/chat", "tmp/chat.txt"] {
        let what = "names a prompt by a relative path, so that nobody can tell where it lies";
        assert_eq!(of(path), [format!("{}{what}", at(path))]);
    }
    assert_eq!(of("chatml"), [""; 0], "a template that the program knows by its name");
    for path in ["/maps/chat.jinja", "/opt/x"] {
        let said = format!("{}{handed} that lies in the image, where nobody registered it", at(path));
        assert_eq!(of(path), [said]);
    }
    let variables = json!({"containers": [{"name": "c", "env": [
        {"name": "SYSTEM_PROMPT_FILE", "value": "/opt/x"}, {"name": "LOG_FILE", "value": "/opt/y"},
        {"name": "PROMPT", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "PROMPT_TEMPLATE", "valueFrom": {"configMapKeyRef": {"name": "texts", "key": "k"}}},
    ]}]});
    assert_lines(
        &bench.of_pod(&CONTROL, &variables),
        &[
            r#"spec.containers[0].env[0].value "/opt/x": hands over a prompt that lies in the image, where nobody registered it"#,
            r#"spec.containers[0].env[2].valueFrom.secretKeyRef.name "s": is a Secret that hands over a prompt, and what is in it nobody can compare"#,
            r#"spec.containers[0].env[3].valueFrom.configMapKeyRef.name "texts": hands over a prompt, and AIWorkload chat-prod/chat declares no AIPrompt with it as its source [may arrive]"#,
        ],
    );
}

#[test]
fn a_variable_between_hides_no_text() {
    let bench = Bench::new("production", "internal").workload(&json!({}));
    let of = |container: Value| {
        let container = merged(json!({"name": "c"}), &container);
        lines(&bench.of_pod(&CONTROL, &json!({"containers": [container]})))
    };
    let map = json!({"name": "SP", "valueFrom": {"configMapKeyRef": {"name": "texts", "key": "k"}}});
    let said = "spec.containers[0].env[0].valueFrom.configMapKeyRef.name \"texts\": hands over a prompt, and AIWorkload \
                chat-prod/chat declares no AIPrompt with it as its source [may arrive]";
    let through = json!([map, {"name": "SYSTEM_PROMPT", "value": "$(SP)"}]);
    assert_eq!(of(json!({"env": through})), [said]);
    assert_eq!(of(json!({"env": [map], "args": ["--system-prompt=$(SP)"]})), [said]);
    assert_eq!(of(json!({"env": [map], "args": ["--system-prompt", "$(SP)", "--prompt=$(SP)"]})), [said]);
    assert_eq!(of(json!({"env": [map], "args": ["--other=$(SP)"]})), [""; 0]);
    let inside =
        json!([{"name": "A", "value": "Be kind to all"}, {"name": "SYSTEM_PROMPT", "value": "$(A)"}]);
    assert_eq!(of(json!({"env": inside})).len(), 1);
    let brought = |source: Value| of(json!({"envFrom": [source], "args": ["--system-prompt=$(SP)"]}));
    let all = brought(json!({"configMapRef": {"name": "texts"}}));
    let brings = "brings variable \"SP\", which hands over a prompt that nobody registered";
    assert_eq!(all, [format!("spec.containers[0].envFrom[0].configMapRef.name \"texts\": {brings}")]);
    assert_eq!(brought(json!({"secretRef": {"name": "s"}})).len(), 1);
    assert_eq!(brought(json!({"prefix": "OTHER_", "configMapRef": {"name": "texts"}})), [""; 0]);
    let field =
        |path: &str| json!([{"name": "SYSTEM_PROMPT", "valueFrom": {"fieldRef": {"fieldPath": path}}}]);
    assert_eq!(of(json!({"env": field("metadata.labels['x']")})).len(), 1);
    assert_eq!(of(json!({"env": field("metadata.name")})), [""; 0]);
    let file =
        json!([{"name": "PROMPT_FILE", "valueFrom": {"configMapKeyRef": {"name": "texts", "key": "k"}}}]);
    assert!(of(json!({"env": file}))[0].contains("by a value that stands elsewhere"));
}

#[test]
fn nothing_else_stands_where_a_registered_text_is_read() {
    let bench = bench(
        &json!({"source": {"kind": "configMap", "name": "texts", "key": "a.txt"}}),
        Some(map(true, "a.txt", DIGEST)),
    );
    let of = |source: Value, mount: Value, path: &str| {
        let mount = merged(json!({"name": "v", "mountPath": "/p"}), &mount);
        bench.of_pod(&CONTROL, &json!({
            "containers": [{"name": "c", "volumeMounts": [mount], "env": [{"name": "SYSTEM_PROMPT_FILE", "value": path}]}],
            "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "texts"}}, source]}}],
        })).len()
    };
    let field = |path: &str| json!({"downwardAPI": {"items": [{"path": path, "fieldRef": {"fieldPath": "metadata.name"}}]}});
    let secret = |items: Value| json!({"secret": merged(json!({"name": "s"}), &items)});
    assert_eq!(of(field("a.txt"), json!({}), "/p/a.txt"), 1);
    assert_eq!(of(field("b.txt"), json!({}), "/p/a.txt"), 0);
    assert_eq!(of(field("b.txt"), json!({}), "/p"), 1, "a folder is handed over as a whole");
    assert_eq!(of(field("in/b.txt"), json!({}), "/p/in"), 1);
    assert_eq!(of(field("a.txt"), json!({"mountPath": "/p/x", "subPath": "a.txt"}), "/p/x"), 1);
    assert_eq!(of(field("b.txt"), json!({"mountPath": "/p/x", "subPath": "a.txt"}), "/p/x"), 0);
    assert_eq!(of(secret(json!({})), json!({}), "/p/a.txt"), 1);
    assert_eq!(of(secret(json!({"items": [{"key": "k", "path": "a.txt"}]})), json!({}), "/p/a.txt"), 1);
    assert_eq!(of(secret(json!({"items": [{"key": "k", "path": "key"}]})), json!({}), "/p/a.txt"), 0);
}
