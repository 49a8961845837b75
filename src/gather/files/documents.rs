//! From paths to documents: files, directories and standard input, split, parsed and bounded.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;
use serde_saphyr::{RenderOptions, SnippetMode};

/// Largest document, in bytes: the API server takes no larger request.
pub const LARGEST_DOCUMENT: usize = 3 * 1024 * 1024;
/// Most bytes that are read in all.
pub const LARGEST_INPUT: usize = 256 * 1024 * 1024;
/// Most objects that are read in all.
pub const MOST_OBJECTS: usize = 50_000;
/// Deepest nesting of directories.
const DEEPEST: usize = 32;
/// Deepest nesting of lists in lists.
const DEEPEST_LIST: usize = 4;

/// Where an object was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file as the user named it; `-` for standard input.
    pub file: String,
    /// Number of the document in the file, from 1; 0 for the file as a whole.
    pub document: usize,
    /// Path inside the document, for an element of a list: `items[2]`.
    pub path: String,
    /// First line of the document, from 1.
    pub line: usize,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.file == "-" { "standard input" } else { &self.file })?;
        if self.document > 0 {
            write!(f, " document {}", self.document)?;
        }
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        Ok(())
    }
}

/// Something that makes the input unusable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What: lower case, no full stop.
    pub text: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.origin, self.text)
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Documents {
    /// Objects in the order of reading, lists taken apart.
    pub objects: Vec<(Origin, Value)>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    bytes: usize,
    seen: BTreeSet<PathBuf>,
    /// Whether something below the present path was read already.
    again: bool,
}

impl Documents {
    /// Reads every path: a file, a directory (its `*.yaml`, `*.yml` and `*.json`, in order, with all below) or `-`.
    ///
    /// A file that is reached twice is read once. Never fails: what cannot be read is a problem in the result, and so is a
    /// path without any object: where what renders it failed, nothing would be judged and nobody told.
    #[must_use]
    pub fn read(paths: &[PathBuf]) -> Self {
        let mut out = Self::default();
        for path in paths {
            let before = (out.objects.len(), out.problems.len());
            let origin = Origin { file: path.display().to_string(), ..Origin::default() };
            out.again = false;
            if path.as_os_str() == "-" {
                let (mut text, origin) = (Vec::new(), origin.clone());
                let limit = u64::try_from(LARGEST_INPUT).unwrap_or(u64::MAX).saturating_add(1);
                match std::io::stdin().lock().take(limit).read_to_end(&mut text) {
                    Ok(_) => out.bytes(origin, &text),
                    Err(error) => out.problem(origin, format!("cannot be read: {error}")),
                }
            } else {
                out.path(path, true, 0);
            }
            if before == (out.objects.len(), out.problems.len()) && !out.again {
                let below = if path.is_dir() { " in a manifest (*.yaml, *.yml, *.json)" } else { "" };
                out.problem(origin, format!("holds no object{below}; did what renders it fail?"));
            }
        }
        out
    }

    /// Takes `text` apart as if it had been read from `file`.
    pub fn text(&mut self, file: &str, text: &str) {
        self.bytes(Origin { file: file.to_owned(), ..Origin::default() }, text.as_bytes());
    }

    fn problem(&mut self, origin: Origin, text: impl Into<String>) {
        self.problems.push(Problem { origin, text: text.into() });
    }

    /// `named` is a path that the user gave: it is read whatever its name is.
    fn path(&mut self, path: &Path, named: bool, depth: usize) {
        let origin = Origin { file: path.display().to_string(), ..Origin::default() };
        let meta = match std::fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) => return self.problem(origin, format!("cannot be read: {error}")),
        };
        // Links may lead back to where they are; each file counts once.
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if !self.seen.insert(real) {
            self.again = true;
            return;
        }
        if meta.is_dir() {
            return self.directory(path, origin, depth);
        }
        if !named && !is_manifest(path) {
            return;
        }
        if usize::try_from(meta.len()).unwrap_or(usize::MAX) > LARGEST_INPUT {
            return self.problem(origin, too_much());
        }
        match std::fs::read(path) {
            Ok(bytes) => self.bytes(origin, &bytes),
            Err(error) => self.problem(origin, format!("cannot be read: {error}")),
        }
    }

    fn directory(&mut self, path: &Path, origin: Origin, depth: usize) {
        if depth >= DEEPEST {
            return self.problem(origin, format!("lies more than {DEEPEST} directories deep"));
        }
        let entries = match std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => return self.problem(origin, format!("cannot be read: {error}")),
        };
        let mut below: Vec<PathBuf> = entries
            .into_iter()
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .map(|entry| entry.path())
            .collect();
        below.sort_unstable();
        for path in below {
            self.path(&path, false, depth + 1);
        }
    }

    fn bytes(&mut self, origin: Origin, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > LARGEST_INPUT {
            return self.problem(origin, too_much());
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.problem(origin, "is not UTF-8 text");
        };
        let mut number = 0;
        for (line, text) in split(text.trim_start_matches('\u{feff}')) {
            if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
                continue;
            }
            number += 1;
            self.document(Origin { document: number, line, ..origin.clone() }, text);
        }
    }

    fn document(&mut self, origin: Origin, text: &str) {
        if text.len() > LARGEST_DOCUMENT {
            let text = format!(
                "is {} bytes large, and the API server takes no object of more than {LARGEST_DOCUMENT}",
                text.len()
            );
            return self.problem(origin, text);
        }
        match parse(text) {
            Ok(Value::Null) => {}
            Ok(value) => self.object(origin, value, 0),
            Err(error) => {
                let text = unread(&error, text, origin.line);
                self.problem(origin, format!("is no YAML or JSON that can be read: {}", first_line(&text)));
            }
        }
    }

    fn object(&mut self, origin: Origin, value: Value, depth: usize) {
        let is_list =
            value["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) && value["items"].is_array();
        if !is_list {
            if self.objects.len() == MOST_OBJECTS {
                return self.problem(origin, format!("is one object too many: at most {MOST_OBJECTS}"));
            }
            if self.objects.len() < MOST_OBJECTS {
                self.objects.push((origin, value));
            }
            return;
        }
        if depth >= DEEPEST_LIST {
            return self.problem(origin, "is a list in a list in a list, too deep to read");
        }
        let Value::Object(mut map) = value else { return };
        let Some(Value::Array(items)) = map.remove("items") else { return };
        for (index, item) in items.into_iter().enumerate() {
            let dot = if origin.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}items[{index}]", origin.path);
            self.object(Origin { path, ..origin.clone() }, item, depth + 1);
        }
    }
}

fn too_much() -> String {
    format!("goes beyond the {} MiB that are read in all", LARGEST_INPUT / 1024 / 1024)
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known))
}

/// Why a document cannot be read, with the line of the file; `first` is that of the document.
fn unread(error: &serde_saphyr::Error, document: &str, first: usize) -> String {
    let offset = u64::try_from(first.saturating_sub(1)).unwrap_or_default();
    if let serde_saphyr::Error::Budget { location, .. } = error.without_snippet() {
        // The parser has no plain words for its own bounds.
        let last = u64::try_from(document.lines().count()).unwrap_or(u64::MAX);
        let line = location.line().min(last);
        let line = (line > 0).then(|| format!("line {}: ", line + offset));
        return format!(
            "{}it repeats or nests more than is read; write out what aliases (*NAME) stand for, or split the document",
            line.unwrap_or_default()
        );
    }
    let mut options = RenderOptions::new(&serde_saphyr::UserMessageFormatter);
    options.snippets = SnippetMode::Off;
    options.line_offset = offset;
    error.render_with_options(options)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The documents of a text with the number of their first line, split as kubectl does: at lines that begin with `---`.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let (mut start, mut first, mut at) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            out.push((first, &text[start..at]));
            // What follows on the same line belongs to the new document.
            (start, first) = (at + 3, index + 1);
        }
        at += line.len();
    }
    out.push((first, &text[start..]));
    out
}

/// Reads one document as the API server's clients do: duplicate keys are an error, `0444` is octal.
///
/// # Errors
/// What the parser says.
pub fn parse(text: &str) -> Result<Value, serde_saphyr::Error> {
    let mut options = serde_saphyr::Options::default();
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.legacy_octal_numbers = true;
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Documents {
        let mut documents = Documents::default();
        documents.text("x.yaml", text);
        documents
    }

    fn said(text: &str) -> Vec<String> {
        read(text).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn documents_are_split_numbered_and_taken_out_of_lists() {
        let documents = read(
            "# a comment\n---\nkind: A\nmode: 0444\n--- # second\nkind: List\nitems:\n- {kind: B}\n- {kind: C}\n---\n{\"kind\": \"D\"}\n",
        );
        assert_eq!(documents.problems, []);
        let seen: Vec<_> =
            documents.objects.iter().map(|(o, v)| (o.to_string(), o.line, v["kind"].clone())).collect();
        assert_eq!(
            seen,
            [
                ("x.yaml document 1".to_owned(), 2, json!("A")),
                ("x.yaml document 2 items[0]".to_owned(), 5, json!("B")),
                ("x.yaml document 2 items[1]".to_owned(), 5, json!("C")),
                ("x.yaml document 3".to_owned(), 10, json!("D")),
            ]
        );
        assert_eq!(documents.objects[0].1["mode"], 0o444);
    }

    #[test]
    fn duplicate_keys_and_broken_text_name_the_line_of_the_file() {
        assert_eq!(
            said("kind: A\n---\nkind: A\nx: 1\nkind: B\n"),
            [
                "x.yaml document 2: is no YAML or JSON that can be read: duplicate mapping key `kind` is not allowed here at line 5, column 1"
            ]
        );
        assert!(said("a: [1\n")[0].starts_with("x.yaml document 1: is no YAML or JSON that can be read: "));
    }

    #[test]
    fn a_document_of_three_mebibytes_is_refused_by_its_size() {
        let text = format!("kind: A\n---\nkind: B\ndata: {}\n", "x".repeat(LARGEST_DOCUMENT));
        assert_eq!(
            said(&text),
            [
                "x.yaml document 2: is 3145744 bytes large, and the API server takes no object of more than 3145728"
            ]
        );
        assert_eq!(read(&text).objects.len(), 1);
    }
}
