//! Formats of protobuf, which have no magic number: ONNX, `SavedModel`, pieces of a tokenizer. A file is one of them when
//! all of it reads as such a message.

use std::collections::BTreeSet;
use std::io;

use super::bytes::Bytes;
use super::{Examined, Format, Source};

const MAX_FIELDS: usize = 1_000_000;
const MAX_TEXT: u64 = 4096;
/// Operators that every runtime brings along.
const DOMAINS: &[&str] = &[
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
];

/// One field of a message.
struct Field {
    number: u64,
    value: Value,
}

enum Value {
    Number(u64),
    Fixed,
    /// Where a message or text lies, and how long it is.
    Span(u64, u64),
}

/// The fields of the message between two places, or nothing where it is no message.
fn fields(source: &mut dyn Source, from: u64, to: u64) -> io::Result<Option<Vec<Field>>> {
    let mut bytes = Bytes::between(source, from, to)?;
    let mut out = Vec::new();
    while bytes.left() > 0 {
        let Some(field) = field(&mut bytes)? else { return Ok(None) };
        out.push(field);
        if out.len() > MAX_FIELDS {
            return Ok(None);
        }
    }
    Ok(Some(out))
}

fn field(bytes: &mut Bytes<'_>) -> io::Result<Option<Field>> {
    let Some(tag) = bytes.varint()? else { return Ok(None) };
    let number = tag >> 3;
    let value = match tag & 7 {
        0 => bytes.varint()?.map(Value::Number),
        1 => bytes.skip(8)?.then_some(Value::Fixed),
        5 => bytes.skip(4)?.then_some(Value::Fixed),
        2 => match bytes.varint()? {
            Some(len) => {
                let at = bytes.at();
                bytes.skip(len)?.then_some(Value::Span(at, len))
            }
            None => None,
        },
        _ => None,
    };
    Ok(value.filter(|_| number > 0).map(|value| Field { number, value }))
}

/// A file that is a message of a known kind, or nothing.
pub(super) fn examine(name: &str, size: u64, source: &mut dyn Source) -> io::Result<Option<Examined>> {
    // The first field tells most files apart before any of the rest is read.
    let mut bytes = Bytes::between(source, 0, size)?;
    let Some(first) = field(&mut bytes)? else { return Ok(None) };
    drop(bytes);
    match first {
        Field { number: 1, value: Value::Number(_) } => {}
        Field { number: 1, value: Value::Span(..) } => return tokenizer(name, size, source),
        _ => return Ok(None),
    }
    let Some(fields) = fields(source, 0, size)? else { return Ok(None) };
    let spans = |number: u64| {
        fields.iter().filter_map(move |field| match field.value {
            Value::Span(at, len) if field.number == number => Some((at, len)),
            _ => None,
        })
    };
    let version = fields.iter().find_map(|field| match field.value {
        Value::Number(version) if field.number == 1 => Some(version),
        _ => None,
    });
    let known = |numbers: &[u64]| fields.iter().all(|field| numbers.contains(&field.number));
    if version == Some(1) && known(&[1, 2]) && spans(2).next().is_some() {
        return Ok(Some(Examined::code(
            Format::SavedModel,
            "its graph is a program that can read and write files",
        )));
    }
    let is_onnx = version.is_some_and(|version| (1..=64).contains(&version))
        && known(&[1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26])
        && spans(7).next().is_some();
    if !is_onnx {
        return Ok(None);
    }
    let imports: Vec<_> = spans(8).collect();
    let (graphs, functions): (Vec<_>, Vec<_>) = (spans(7).collect(), spans(25).collect());
    // Functions that the file itself spells out need no library.
    let mut own = BTreeSet::new();
    for (at, len) in functions {
        own.extend(text(source, at, len, 10)?);
    }
    let mut foreign = BTreeSet::new();
    for (at, len) in imports {
        let domain = text(source, at, len, 1)?.unwrap_or_default();
        if !DOMAINS.contains(&domain.as_str()) && !own.contains(&domain) {
            foreign.insert(domain);
        }
    }
    for (at, len) in graphs {
        if let Some(why) = outside(source, at, len)? {
            return Ok(Some(Examined::unknown(Format::Onnx, why)));
        }
    }
    if !foreign.is_empty() {
        let names: Vec<_> = foreign.iter().take(4).map(|name| format!("{name:?}")).collect();
        return Ok(Some(Examined::code(
            Format::Onnx,
            format!("it needs operators of {}, which come as a library", names.join(", ")),
        )));
    }
    Ok(Some(Examined::data(Format::Onnx)))
}

/// The text in one field of a message.
fn text(source: &mut dyn Source, at: u64, len: u64, number: u64) -> io::Result<Option<String>> {
    let Some(fields) = fields(source, at, at + len)? else { return Ok(None) };
    for field in fields {
        if let Value::Span(at, len) = field.value
            && field.number == number
        {
            let piece = Bytes::between(source, at, at + len)?.piece(len, MAX_TEXT)?;
            return Ok(piece.and_then(|piece| String::from_utf8(piece).ok()));
        }
    }
    Ok(None)
}

/// Weights in other files must lie beside the graph.
fn outside(source: &mut dyn Source, at: u64, len: u64) -> io::Result<Option<String>> {
    let Some(graph) = fields(source, at, at + len)? else {
        return Ok(Some("its graph cannot be read".to_owned()));
    };
    for tensor in graph.iter().filter(|field| field.number == 5) {
        let Value::Span(at, len) = tensor.value else { continue };
        let Some(tensor) = fields(source, at, at + len)? else {
            return Ok(Some("one of its tensors cannot be read".to_owned()));
        };
        for entry in tensor.iter().filter(|field| field.number == 13) {
            let Value::Span(at, len) = entry.value else { continue };
            if text(source, at, len, 1)?.as_deref() != Some("location") {
                continue;
            }
            let place = text(source, at, len, 2)?.unwrap_or_default();
            if place.is_empty() || place.starts_with('/') || place.split(['/', '\\']).any(|part| part == "..")
            {
                return Ok(Some(format!("its weights lie outside the model, at {place:?}")));
            }
        }
    }
    Ok(None)
}

/// Tokenizers say in their name what they are; their bytes must agree.
fn tokenizer(name: &str, size: u64, source: &mut dyn Source) -> io::Result<Option<Examined>> {
    let is_named = [".model", ".spm", ".vocab"].iter().any(|ending| name.ends_with(ending));
    if !is_named {
        return Ok(None);
    }
    let Some(fields) = fields(source, 0, size)? else { return Ok(None) };
    let pieces = fields.iter().all(|f| (1..=5).contains(&f.number) && matches!(f.value, Value::Span(..)));
    let trained = fields.iter().any(|field| field.number == 2);
    Ok((pieces && trained).then(|| Examined::data(Format::SentencePiece)))
}
