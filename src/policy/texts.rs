//! What pods read from ConfigMaps, and the credentials in it: by shape, by the name of the key, or by a line that sets one.

use k8s_openapi::api::core::v1::{ConfigMap, PodSpec};

use super::containers::ContainerView;
use super::credentials::{literal, named, shaped};
use super::prompts::may_end;

/// Keys of one map that are told: more change nothing.
const KEYS: usize = 8;
/// Keys of one map that may bring a prompt and are kept.
const ENDINGS: usize = 1_000;
/// Lines of one text that are read.
const LINES: usize = 20_000;

/// A key of a map, and what kind of credential it holds.
pub type Found = (String, &'static str);

/// Every `ConfigMap` that containers read as a whole or in part, with the place.
#[must_use]
pub fn referred<'a>(containers: &[ContainerView<'a>], spec: &'a PodSpec) -> Vec<(String, &'a str)> {
    let mut out = Vec::new();
    for container in containers {
        for (index, variable) in container.env.iter().enumerate() {
            let source = variable.value_from.as_ref().and_then(|source| source.config_map_key_ref.as_ref());
            if let Some(map) = source {
                let field = format!("env[{index}].valueFrom.configMapKeyRef.name");
                out.push((container.path(&field), map.name.as_str()));
            }
        }
        for (index, source) in container.env_from.iter().enumerate() {
            if let Some(map) = &source.config_map_ref {
                let field = format!("envFrom[{index}].configMapRef.name");
                out.push((container.path(&field), map.name.as_str()));
            }
        }
    }
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        if let Some(map) = &volume.config_map {
            out.push((format!("spec.volumes[{index}].configMap.name"), map.name.as_str()));
        }
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for (number, source) in sources.enumerate() {
            if let Some(map) = &source.config_map {
                let field = format!("spec.volumes[{index}].projected.sources[{number}].configMap.name");
                out.push((field, map.name.as_str()));
            }
        }
    }
    out
}

/// The keys of a map that hold credentials. The text itself is not kept.
#[must_use]
pub fn credentials(map: &ConfigMap) -> Vec<Found> {
    let text = map.data.iter().flatten().map(|(key, text)| (key, text.as_str()));
    let bytes = map.binary_data.iter().flatten();
    let bytes = bytes.filter_map(|(key, bytes)| Some((key, std::str::from_utf8(&bytes.0).ok()?)));
    text.chain(bytes).filter_map(|(key, text)| Some((key.clone(), in_text(key, text)?))).take(KEYS).collect()
}

/// The keys of a map by which `envFrom` may bring a prompt.
#[must_use]
pub fn prompts(map: &ConfigMap) -> Vec<String> {
    map.data.iter().flatten().map(|(key, _)| key).filter(|key| may_end(key)).take(ENDINGS).cloned().collect()
}

/// What kind of credential stands in a text under `key`.
fn in_text(key: &str, text: &str) -> Option<&'static str> {
    let by_shape = shaped(text);
    if by_shape.is_some() {
        return by_shape;
    }
    let whole = text.trim();
    let by_name = !whole.contains(char::is_whitespace) && named(key) && literal(key, whole);
    (by_name || text.lines().take(LINES).any(sets)).then_some("a credential by its name")
}

/// Whether a line of a settings file sets a credential: `password: x7`, `API_KEY=...`, `"token": "..."`.
fn sets(line: &str) -> bool {
    let line = line.trim();
    if line.starts_with(['#', ';', '/', '<']) {
        return false;
    }
    let Some((name, value)) = line.split_once(['=', ':']) else { return false };
    let bare = |text: &str| text.trim().trim_matches(['"', '\'', ',']).trim().to_owned();
    let name = name.trim().trim_start_matches("export ").trim_start_matches("- ");
    let (name, value) = (bare(name), bare(value));
    let written = !value.contains(char::is_whitespace)
        && !value.starts_with(['$', '`', '{', '[', '<', '%', '!', '&', '*', '|', '>', '('])
        && value.len() >= 6;
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    written && plain && named(&name) && literal(&name, &value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(data: &Value) -> Vec<Found> {
        credentials(&serde_json::from_value(json!({"metadata": {"name": "m"}, "data": data})).unwrap())
    }

    #[test]
    fn credentials_in_settings_are_found() {
        for text in [
            "password: hunter22",
            "export API_KEY=abc123def",
            "  \"token\": \"s3cr3t-value\",",
            "db.password=hunter22",
        ] {
            assert_eq!(
                found(&json!({"settings": text})),
                [("settings".to_owned(), "a credential by its name")],
                "{text}"
            );
        }
        assert_eq!(found(&json!({"DB_PASSWORD": "hunter22"})).len(), 1);
        assert_eq!(
            found(&json!({"id": "-----BEGIN RSA PRIVATE KEY-----\nx"})),
            [("id".to_owned(), "a private key")]
        );
    }

    #[test]
    fn keys_that_a_prefix_may_make_the_name_of_a_prompt_are_kept() {
        let data =
            json!({"PROMPT": "a", "MPT": "b", "SYSTEM_PROMPT_FILE": "c", "PORT": "d", "LOG_LEVEL": "e"});
        let map = serde_json::from_value(json!({"metadata": {"name": "m"}, "data": data})).unwrap();
        assert_eq!(prompts(&map), ["MPT", "PROMPT", "SYSTEM_PROMPT_FILE"]);
    }

    #[test]
    fn settings_that_only_speak_of_them_pass() {
        for text in [
            "max_tokens: 4096",
            "password: ${DB_PASSWORD}",
            "password_file: /run/secrets/db",
            "# password: hunter22",
            "token: \"\"",
            "the password: is asked for",
            "{{ .password }}",
        ] {
            assert_eq!(found(&json!({"settings": text})), [], "{text}");
        }
        assert_eq!(found(&json!({"ca.crt": "-----BEGIN CERTIFICATE-----\nabc"})), []);
    }
}
