//! The ports on which a container is told to listen.

use std::net::IpAddr;

use super::reader::Reader;
use super::shell::{self, Env, OPEN};
use super::{At, ENV, Reading};
use crate::policy::containers::ContainerView;

/// A port on which a program is told to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its number.
    pub port: u16,
    /// Whether the pod alone reaches it.
    pub near: bool,
    /// Where it is written.
    pub at: At,
    /// The word there that says it.
    pub word: String,
}

/// Flags of one letter, in lower case with dashes as all of them.
const SHORT: [&str; 2] = ["p", "b"];
/// Flags and variables that name the port on which a program listens, alone or behind a host.
const LISTENS: [&str; 21] = [
    "port",
    "http-port",
    "server-port",
    "listen-port",
    "api-port",
    "rest-port",
    "rest-api-port",
    "listen",
    "bind",
    "addr",
    "address",
    "http",
    "http-addr",
    "http-address",
    "listen-addr",
    "listen-address",
    "bind-addr",
    "bind-address",
    "llama-arg-port",
    "uvicorn-port",
    "nim-http-api-port",
];

/// The ports on which the command line and the variables of a container tell it to listen, whatever program it runs.
#[must_use]
pub fn told(container: &ContainerView<'_>) -> Vec<Told> {
    let env = Env { variables: container.env, sources: container.env_from };
    let reader = Reader { reading: Reading::default(), env, revision: None, depth: 0 };
    let words = reader.words(&[(0, container.command), (1, container.args)]);
    let mut out = Vec::new();
    let mut near = false;
    let mut note = |name: &str, value: &str, at: At, word: &str| {
        let name = name.replace('_', "-").to_ascii_lowercase();
        let listens = LISTENS.contains(&&*name) || SHORT.contains(&&*name);
        if let Some((host, port)) = parted(value).filter(|_| listens) {
            out.push(Told { port, near: is_near(host), at, word: word.to_owned() });
        } else if (listens || name == "host") && is_near(value) {
            near = true;
        }
    };
    for (index, variable) in env.variables.iter().enumerate() {
        let Some(value) = variable.value.as_deref() else { continue };
        if !SHORT.contains(&&*variable.name.to_ascii_lowercase()) {
            let (value, _) = shell::expand(value, &env);
            note(&variable.name, &value, At { list: ENV, index, inner: false }, &value);
        }
    }
    for (index, word) in words.iter().enumerate() {
        let at = At { list: word.at.0, index: word.at.1, inner: word.inner };
        let name = word.text.trim_start_matches('-');
        let flag = name.len() < word.text.len();
        match (name.split_once('='), words.get(index + 1)) {
            (Some((name, value)), _) if flag || word.inner => note(name, value, at, &word.text),
            (None, Some(next)) if flag && !next.starts => {
                let at = At { list: next.at.0, index: next.at.1, inner: next.inner };
                note(name, &next.text, at, &next.text);
            }
            _ => {}
        }
    }
    // A host that is named by itself is that of every port without one.
    let alone = |told: &Told| told.word.rsplit('=').next().is_some_and(|value| value.parse::<u16>().is_ok());
    for told in out.iter_mut().filter(|told| near && alone(told)) {
        told.near = true;
    }
    out
}

/// The host and the port of a place to listen on; a host with a name is one that is called.
fn parted(value: &str) -> Option<(&str, u16)> {
    let value = value.split_once("://").map_or(value, |(_, rest)| rest).trim_end_matches('/');
    let (host, port) = value.rsplit_once(':').unwrap_or(("", value));
    let own = host.is_empty()
        || host == "*"
        || host.contains([OPEN, '$'])
        || is_near(host)
        || address(host).is_some();
    Some((host, port.parse().ok().filter(|port| own && *port > 0)?))
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether the pod alone reaches a host.
fn is_near(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::told;
    use crate::policy::containers::containers;
    use crate::policy::testing::read;

    /// The ports that a container is told, a line each.
    #[track_caller]
    fn said(container: &Value) -> Vec<String> {
        let mut container = container.clone();
        container["name"] = "c".into();
        let spec = read(json!({"containers": [container]}));
        let told = told(&containers(&spec)[0]);
        told.iter()
            .map(|t| format!("{}{} in {}", t.port, if t.near { " near" } else { "" }, t.at.field()))
            .collect()
    }

    #[test]
    fn ports_are_found_in_every_form() {
        for (container, expected) in [
            (json!({"args": ["serve", "--port=8080"]}), "8080 in args[1]"),
            (json!({"args": ["serve", "--port", "8080"]}), "8080 in args[2]"),
            (json!({"args": ["--port=$(P)"], "env": [{"name": "P", "value": "8080"}]}), "8080 in args[0]"),
            (json!({"command": ["app", "-p", "8080"]}), "8080 in command[2]"),
            (
                json!({"command": ["sh", "-c", "PORT=1 exec app --port 8080"]}),
                "1 in command[2], 8080 in command[2]",
            ),
            (json!({"args": ["--bind=0.0.0.0:8080"]}), "8080 in args[0]"),
            (json!({"args": ["--listen", ":8080"]}), "8080 in args[1]"),
            (json!({"args": ["--http=[::]:8080"]}), "8080 in args[0]"),
            (json!({"args": ["--addr=$(POD_IP):8080"]}), "8080 in args[0]"),
            (json!({"args": ["--addr=127.0.0.1:8080"]}), "8080 near in args[0]"),
            (json!({"args": ["--host=127.0.0.1", "--port=8080"]}), "8080 near in args[1]"),
            (json!({"env": [{"name": "PORT", "value": "8080"}]}), "8080 in env[0].value"),
            (json!({"env": [{"name": "P", "value": "8080"}]}), ""),
            (json!({"args": ["--metrics-port=8080", "--port=none", "--upstream=127.0.0.1:8080"]}), ""),
            (json!({"args": ["--addr=redis.data.svc:8080"]}), ""),
        ] {
            assert_eq!(said(&container).join(", "), expected, "{container}");
        }
    }
}
