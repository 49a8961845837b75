//! safetensors and GGUF: headers that must agree with the size of the file, so that nothing else can hide in it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, SeekFrom};

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::bytes::Bytes;
use super::{Examined, Format, Source};

/// The format's own bound on its header.
const MAX_HEADER: u64 = 100_000_000;
const MAX_ENTRIES: u64 = 1_000_000;
const MAX_TEXT: u64 = 1 << 20;

/// The header of safetensors; a name that stands twice makes it unreadable.
struct Header(BTreeMap<String, Tensor>);

#[derive(Deserialize)]
struct Tensor {
    #[serde(rename = "data_offsets")]
    offsets: [u64; 2],
    dtype: String,
    shape: Vec<u64>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tensors by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut tensors = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else if tensors.insert(name, map.next_value()?).is_some() {
                        return Err(A::Error::custom("a tensor is named twice"));
                    }
                }
                Ok(Header(tensors))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A file whose beginning is a header of safetensors, or nothing where it is not.
pub(super) fn safetensors(size: u64, source: &mut dyn Source) -> io::Result<Option<Examined>> {
    let mut bytes = Bytes::between(source, 0, size)?;
    let Some(len) = bytes.u64()? else { return Ok(None) };
    if !(2..=MAX_HEADER).contains(&len) || len > bytes.left() {
        return Ok(None);
    }
    // The cheap test first: a header of this length would have to be JSON.
    let Some(first) = bytes.byte()? else { return Ok(None) };
    if first != b'{' {
        return Ok(None);
    }
    let Some(rest) = bytes.piece(len - 1, MAX_HEADER)? else { return Ok(None) };
    let mut json = Vec::with_capacity(rest.len() + 1);
    json.push(first);
    json.extend(rest);
    let Ok(header) = serde_json::from_slice::<Header>(&json) else {
        return Ok(Some(Examined::unknown(Format::Safetensors, "its header cannot be read")));
    };
    Ok(Some(match check(header, bytes.left()) {
        Ok(()) => Examined::data(Format::Safetensors),
        Err(why) => Examined::unknown(Format::Safetensors, why),
    }))
}

/// The tensors lie one behind the other and fill the file.
fn check(header: Header, data: u64) -> Result<(), String> {
    let mut tensors: Vec<(String, Tensor)> = header.0.into_iter().collect();
    tensors.sort_by_key(|(_, tensor)| tensor.offsets);
    let mut end = 0;
    for (name, tensor) in &tensors {
        let [from, to] = tensor.offsets;
        if from != end || to < from {
            return Err(format!("tensor {:?} does not follow the one before it", cut(name)));
        }
        end = to;
        let Some(bits) = bits(&tensor.dtype) else {
            return Err(format!("tensor {:?} is of type {:?}", cut(name), cut(&tensor.dtype)));
        };
        let elements = tensor.shape.iter().try_fold(1_u64, |product, side| product.checked_mul(*side));
        if elements.and_then(|elements| elements.checked_mul(bits)) != (to - from).checked_mul(8) {
            return Err(format!("tensor {:?} is not as large as its shape says", cut(name)));
        }
    }
    if end == data { Ok(()) } else { Err(format!("its tensors end at {end} of {data} bytes")) }
}

fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F64" | "I64" | "U64" | "C64" => 64,
        "F32" | "I32" | "U32" => 32,
        "F16" | "BF16" | "I16" | "U16" => 16,
        "I8" | "U8" | "BOOL" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "F6_E2M3" | "F6_E3M2" => 6,
        "F4" => 4,
        _ => return None,
    })
}

fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A file that begins as GGUF does.
pub(super) fn gguf(size: u64, source: &mut dyn Source) -> io::Result<Examined> {
    let broken = |what: &str| Ok(Examined::unknown(Format::Gguf, format!("its {what} cannot be read")));
    source.seek(SeekFrom::Start(0))?;
    let mut bytes = Bytes::between(source, 4, size)?;
    match bytes.u32()? {
        Some(2 | 3) => {}
        Some(version) => {
            return Ok(Examined::unknown(Format::Gguf, format!("its version {version} is not known")));
        }
        None => return broken("header"),
    }
    let (Some(tensors), Some(entries)) = (bytes.u64()?, bytes.u64()?) else { return broken("header") };
    if tensors > MAX_ENTRIES || entries > MAX_ENTRIES {
        return broken("header");
    }
    for _ in 0..entries {
        if string(&mut bytes)?.is_none() || value(&mut bytes)?.is_none() {
            return broken("metadata");
        }
    }
    let mut furthest = 0;
    for _ in 0..tensors {
        let Some(offset) = tensor(&mut bytes)? else { return broken("list of tensors") };
        furthest = furthest.max(offset);
    }
    if furthest > bytes.left() {
        return Ok(Examined::unknown(Format::Gguf, "a tensor lies beyond the end of the file"));
    }
    Ok(Examined::data(Format::Gguf))
}

fn string(bytes: &mut Bytes<'_>) -> io::Result<Option<()>> {
    match bytes.u64()? {
        Some(len) if len <= MAX_TEXT => Ok(bytes.skip(len)?.then_some(())),
        _ => Ok(None),
    }
}

fn value(bytes: &mut Bytes<'_>) -> io::Result<Option<()>> {
    let Some(kind) = bytes.u32()? else { return Ok(None) };
    if kind != 9 {
        return scalar(kind, bytes);
    }
    let (Some(kind), Some(count)) = (bytes.u32()?, bytes.u64()?) else { return Ok(None) };
    if let Some(width) = width(kind) {
        let Some(len) = count.checked_mul(width) else { return Ok(None) };
        return Ok(bytes.skip(len)?.then_some(()));
    }
    // Each string takes eight bytes at least, so the file bounds the loop.
    for _ in 0..count {
        if scalar(kind, bytes)?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(()))
}

fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn scalar(kind: u32, bytes: &mut Bytes<'_>) -> io::Result<Option<()>> {
    if kind == 8 {
        return string(bytes);
    }
    match width(kind) {
        Some(len) => Ok(bytes.skip(len)?.then_some(())),
        None => Ok(None),
    }
}

/// One entry of the list of tensors; where its data begins.
fn tensor(bytes: &mut Bytes<'_>) -> io::Result<Option<u64>> {
    if string(bytes)?.is_none() {
        return Ok(None);
    }
    let Some(dimensions) = bytes.u32()?.filter(|dimensions| *dimensions <= 8) else { return Ok(None) };
    if !bytes.skip(u64::from(dimensions) * 8 + 4)? {
        return Ok(None);
    }
    bytes.u64()
}
