//! Code that stands on a command line (`python3 -c ...`, `node -e ...`), and what it fetches.

use std::borrow::Cow;

use super::languages::Language;
use super::reader::Reader;
use super::{At, Open, Seen, Switch, What};

/// What code on a command line does that is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does<'t> {
    /// It fetches, by the name that is written there.
    Fetches(&'t str),
    /// It loads what this text names.
    Loads(&'t str),
    /// Nobody can tell, because of this name.
    Hides(&'t str),
}

/// Calls that fetch from outside, whatever they are given.
const FETCHES: &[&str] = &[
    "snapshot_download",
    "hf_hub_download",
    "urlretrieve",
    "load_state_dict_from_url",
    "download_url_to_file",
    "pip install",
    "pip._internal",
];
/// What speaks HTTP: a probe does so too, to its own pod.
const ASKS: &[&str] = &["requests", "httpx", "urlopen", "aiohttp", "urllib3", "HTTPSConnection"];
/// What makes text into code, or starts other programs.
const HIDES: &[&str] = &[
    "exec",
    "eval",
    "base64",
    "__import__",
    "import_module",
    "marshal",
    "subprocess",
    "os.system",
    "os.popen",
    "os.exec",
    "os.spawn",
];
/// Beginnings of addresses of the pod itself.
pub(super) const OWN: &[&str] = &["localhost", "127.0.0.1", "[::1]", "0.0.0.0"];

/// What a piece of Python does, the gravest first. Nothing is said of code that none of the names stands in.
pub(super) fn does(code: &str) -> Vec<Does<'_>> {
    for name in FETCHES {
        if let Some(at) = code.find(name) {
            return vec![Does::Fetches(&code[at..at + name.len()])];
        }
    }
    for name in ASKS {
        if let Some(at) = mentions(code, name).find(|at| !harmless(code, *at, name)) {
            return vec![Does::Fetches(&code[at..at + name.len()])];
        }
    }
    let mut out = Vec::new();
    for name in HIDES {
        // `model.eval()` is no evaluation of text.
        let mut found = mentions(code, name).filter(|at| !code[..*at].ends_with('.'));
        if let Some(at) = found.next() {
            out.push(Does::Hides(&code[at..at + name.len()]));
            break;
        }
    }
    for at in mentions(code, "from_pretrained") {
        let name = &code[at..at + "from_pretrained".len()];
        out.push(literal(&code[at + name.len()..]).map_or(Does::Hides(name), Does::Loads));
    }
    out
}

/// Where `name` stands as a word; what goes on behind it may be a longer name of the same (`os.execvp`).
pub(super) fn mentions<'t>(code: &'t str, name: &'t str) -> impl Iterator<Item = usize> + 't {
    let open = name.contains('.');
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices(name).map(|(at, _)| at).filter(move |at| {
        !code[..*at].ends_with(part) && (open || !code[at + name.len()..].starts_with(part))
    })
}

/// The text between quotes with which the arguments of a call begin.
fn literal(after: &str) -> Option<&str> {
    let inner = after.trim_start().strip_prefix('(')?.trim_start();
    let quote = inner.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (text, rest) = inner[1..].split_once(quote)?;
    // What goes on may be put together.
    rest.trim_start().starts_with([')', ',']).then_some(text)
}

/// Whether a mention only imports, or asks the pod itself.
fn harmless(code: &str, at: usize, name: &str) -> bool {
    let after = &code[at + name.len()..];
    let statement = code[..at].rsplit([';', '\n']).next().unwrap_or_default().trim_start();
    let imports = statement.starts_with("import ") || statement.contains(" import ");
    if imports
        && !statement.contains('(')
        && (after.trim_start_matches(' ').starts_with([';', ',', '\n']) || after.trim().is_empty())
    {
        return true;
    }
    let call = after
        .strip_prefix('.')
        .map_or(after, |rest| rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'));
    let host = literal(call).and_then(|text| text.split_once("://")).map_or("", |(_, rest)| rest);
    OWN.iter().any(|own| {
        host.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
            && !host.split('/').next().unwrap_or_default().contains('@')
    })
}

impl Reader<'_> {
    /// Code on a command line. True where it was judged.
    pub(super) fn code(&mut self, language: Language, text: &str, at: At) -> bool {
        let at = At { inner: true, ..at };
        let seen = language.does(text);
        for does in &seen {
            match *does {
                Does::Fetches(name) => self.reading.switches.push(Seen {
                    switch: Switch::Script,
                    word: Cow::Owned(name.to_owned()),
                    at,
                    rest: Vec::new(),
                }),
                Does::Loads(model) => self.load(What::Model, Cow::Owned(model.to_owned()), false, at),
                Does::Hides(name) => {
                    let why = format!("{name:?} in code on the command line can load or start anything");
                    self.reading.open.push(Open { why, at });
                }
            }
        }
        if !seen.is_empty() {
            self.text(text, at);
        }
        !seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_fetches_loads_or_hides_is_told_from_code_that_does_not() {
        for (code, expected) in [
            (
                "from huggingface_hub import snapshot_download as s; s('evil/m')",
                vec![Does::Fetches("snapshot_download")],
            ),
            (
                "import os; os.environ['PIP']; import pip; pip.main(['pip install'])",
                vec![Does::Fetches("pip install")],
            ),
            ("import requests as r; r.get(u)", vec![Does::Fetches("requests")]),
            ("from requests import get; get('http://localhost')", vec![Does::Fetches("requests")]),
            (
                "import requests; requests.get('http://localhost@evil.example/x')",
                vec![Does::Fetches("requests")],
            ),
            ("import httpx; httpx.get('http://localhost.evil.example/x')", vec![Does::Fetches("httpx")]),
            ("urllib.request.urlopen('http://local' + x)", vec![Does::Fetches("urlopen")]),
            ("import urllib.request; urllib.request.urlopen('http://localhost:8000/health')", vec![]),
            ("import requests; requests.get(\"http://127.0.0.1:8080/healthz\", timeout=1)", vec![]),
            ("exec(open('/x').read())", vec![Does::Hides("exec")]),
            ("import base64", vec![Does::Hides("base64")]),
            ("import os; os.execvp('a', ['a'])", vec![Does::Hides("os.exec")]),
            ("m.eval(); evaluate(m); executor()", vec![]),
            ("A.from_pretrained('/models/m')", vec![Does::Loads("/models/m")]),
            ("A.from_pretrained('evil/m', x=1)", vec![Does::Loads("evil/m")]),
            ("A.from_pretrained('/models/m' + x)", vec![Does::Hides("from_pretrained")]),
            ("A.from_pretrained(name)", vec![Does::Hides("from_pretrained")]),
            ("print('requested limits')", vec![]),
        ] {
            assert_eq!(does(code), expected, "{code}");
        }
    }
}
