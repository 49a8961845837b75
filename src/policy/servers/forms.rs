//! How words name models: paths, repositories, addresses, revisions.

use std::borrow::Cow;

use super::{Form, MODEL_FILES, table};

/// The last part of a path.
pub(super) fn name_of(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// What follows the first `start` bytes.
pub(super) fn tail<'a>(text: &Cow<'a, str>, start: usize) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
        Cow::Owned(text) => Cow::Owned(text[start..].to_owned()),
    }
}

/// Whether it is named as files of models are.
pub(super) fn is_file(value: &str) -> bool {
    MODEL_FILES.iter().any(|end| value.len() > end.len() && value.ends_with(end))
}

/// How a program understands `value`.
pub(super) fn form(value: &str) -> Form {
    if let Some(path) = value.strip_prefix("file://") {
        return if path.starts_with('/') { Form::Path } else { Form::Address };
    }
    if value.contains("://") {
        return Form::Address;
    }
    if value.starts_with(['/', '.', '~']) || is_file(value) {
        return Form::Path;
    }
    match value.bytes().filter(|b| *b == b'/').count() {
        0 => Form::Name,
        1 => Form::Hub,
        _ => Form::Path,
    }
}

/// `org/model@commit` and `hf://org/model:commit` in their parts.
pub(super) fn split_revision(value: Cow<'_, str>) -> (Cow<'_, str>, Option<Cow<'_, str>>) {
    let start = value.find("://").map_or(0, |at| at + 3);
    let mark = if value.starts_with("hf://") { &[':', '@'][..] } else { &['@'][..] };
    let plain = start == 0 && !value.starts_with(['/', '.']);
    if !plain && !value.starts_with("hf://") {
        return (value, None);
    }
    let Some(at) = value[start..].rfind(mark).map(|at| at + start) else { return (value, None) };
    (tail_to(&value, at), Some(tail(&value, at + 1)))
}

fn tail_to<'a>(text: &Cow<'a, str>, end: usize) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(text) => Cow::Owned(text[..end].to_owned()),
    }
}

/// The words in `text` that turn remote code on, in whatever language: a flag, an assignment, JSON, Python.
pub(super) fn remote_code(text: &str) -> Option<&str> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find("trust") {
        let start = from + found;
        from = start + "trust".len();
        let end = start + "trust-remote-code".len();
        let Some(name) = text.get(start..end) else { continue };
        let bytes = name.as_bytes();
        let same = name.eq_ignore_ascii_case("trust-remote-code")
            || (name.replace('_', "-").eq_ignore_ascii_case("trust-remote-code") && bytes[5] == b'_');
        if !same || text[..start].ends_with("no-") || text[..start].ends_with("no_") {
            continue;
        }
        let rest = &text[end..];
        let value = rest.trim_start_matches(['"', '\'', ' ', ':', '=']);
        let assigned = rest.len() != value.len() && rest.contains(['=', ':']);
        let word = value.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let dashes = text[..start].len() - text[..start].trim_end_matches('-').len();
        if assigned && !word.is_empty() && table::off(word) {
            continue;
        }
        if !assigned && dashes == 0 {
            // A mere mention.
            continue;
        }
        let stop = if assigned { end + (rest.len() - value.len()) + word.len() } else { end };
        return text.get(start - dashes..stop);
    }
    None
}
