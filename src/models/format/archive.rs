//! Zip archives, read from their index: those of `PyTorch`, `TorchScript`, Keras and numpy, and what they hide.

use std::collections::BTreeSet;
use std::io::{self, SeekFrom};

use super::bytes::Bytes;
use super::pickle::follow;
use super::scan::{finds, numpy};
use super::{Examined, Format, Loading, Source};

const MAX_ENTRIES: u64 = 200_000;
const MAX_INDEX: u64 = 64 << 20;
/// The record at the end and the longest comment behind it.
const TAIL: u64 = 22 + 65_535;
const MAX_CONFIG: u64 = 64 << 20;

/// What in a configuration of Keras stands for Python code.
pub(super) const LAMBDA: &[&[u8]] = &[
    b"\"class_name\": \"Lambda\"",
    b"\"class_name\":\"Lambda\"",
    b"\"class_name\": \"__lambda__\"",
    b"\"class_name\":\"__lambda__\"",
];

/// One file of an archive.
struct Entry {
    name: String,
    stored: bool,
    size: u64,
    header: u64,
}

/// Whether the index of an archive stands at the end of a file.
pub(super) fn is_at_end(size: u64, source: &mut dyn Source) -> io::Result<bool> {
    Ok(find_end(size, source)?.is_some())
}

/// Where the index lies, how long it is and how many entries it has.
fn find_end(size: u64, source: &mut dyn Source) -> io::Result<Option<(u64, u64, u64)>> {
    let start = size.saturating_sub(TAIL);
    let mut bytes = Bytes::between(source, start, size)?;
    let Some(tail) = bytes.piece(size - start, TAIL)? else { return Ok(None) };
    drop(bytes);
    let place = tail
        .windows(22)
        .enumerate()
        .rev()
        .find(|(at, window)| {
            let comment = usize::from(u16::from_le_bytes([window[20], window[21]]));
            window.starts_with(b"PK\x05\x06") && at + 22 + comment == tail.len()
        })
        .map(|(at, _)| at);
    let Some(place) = place else { return Ok(None) };
    let end = start + place as u64;
    let mut bytes = Bytes::between(source, end + 10, size)?;
    let (Some(entries), Some(len), Some(at)) = (bytes.u16()?, bytes.u32()?, bytes.u32()?) else {
        return Ok(None);
    };
    drop(bytes);
    if entries != u16::MAX && len != u32::MAX && at != u32::MAX {
        return Ok(Some((at.into(), len.into(), entries.into())));
    }
    let Some(locator) = end.checked_sub(20) else { return Ok(None) };
    let mut bytes = Bytes::between(source, locator, size)?;
    if bytes.u32()? != Some(0x0706_4b50) || !bytes.skip(4)? {
        return Ok(None);
    }
    let Some(record) = bytes.u64()? else { return Ok(None) };
    drop(bytes);
    let mut bytes = Bytes::between(source, record, size)?;
    if bytes.u32()? != Some(0x0606_4b50) || !bytes.skip(28)? {
        return Ok(None);
    }
    let (entries, len, at) = (bytes.u64()?, bytes.u64()?, bytes.u64()?);
    Ok(at.zip(len).zip(entries).map(|((at, len), entries)| (at, len, entries)))
}

/// An archive, by what it holds.
pub(super) fn examine(size: u64, source: &mut dyn Source) -> io::Result<Examined> {
    let entries = match read_index(size, source)? {
        Ok(entries) => entries,
        Err(why) => return Ok(Examined::unknown(Format::Zip, why)),
    };
    let has = |ending: &str| entries.iter().any(|entry| entry.name.ends_with(ending));
    let root = |name: &str| entries.iter().any(|entry| entry.name == name);
    let format = if has("/constants.pkl") || entries.iter().any(|entry| entry.name.contains("/code/")) {
        Format::TorchScript
    } else if has("/data.pkl") || root("data.pkl") {
        Format::TorchArchive
    } else if root("config.json") && root("metadata.json") {
        Format::KerasArchive
    } else {
        Format::Zip
    };
    if format == Format::TorchScript {
        return Ok(Examined::code(format, "it holds a TorchScript program"));
    }
    let mut doubt = None;
    for entry in &entries {
        let Some(seen) = entry_loading(entry, format, size, source)? else { continue };
        match seen {
            Loading::Code(why) => return Ok(Examined::code(format, format!("{}: {why}", shown(entry)))),
            Loading::Unknown(why) => {
                doubt.get_or_insert_with(|| format!("{}: {why}", shown(entry)));
            }
            Loading::Data => {}
        }
    }
    Ok(match doubt {
        Some(why) => Examined::unknown(format, why),
        None => Examined::data(format),
    })
}

fn shown(entry: &Entry) -> String {
    format!("{:?}", entry.name.chars().take(80).collect::<String>())
}

/// What reading one entry does, where that can matter.
fn entry_loading(
    entry: &Entry,
    format: Format,
    size: u64,
    source: &mut dyn Source,
) -> io::Result<Option<Loading>> {
    let ending = entry.name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let is_pickle = matches!(ending.as_str(), "pkl" | "pickle" | "joblib");
    let is_config = format == Format::KerasArchive && ending == "json";
    let is_weights = ending == "h5";
    let is_array = ending == "npy";
    // The tensors of PyTorch and what is not read as a model pass; in an archive of no known kind nothing does.
    let passes = matches!(format, Format::TorchArchive | Format::KerasArchive) && ending != "py";
    if !(is_pickle || is_config || is_weights || is_array) {
        let why = if ending == "py" { "it is Python source" } else { "nobody knows who reads it" };
        return Ok((!passes && !entry.name.ends_with('/')).then(|| Loading::Unknown(why.to_owned())));
    }
    if !entry.stored {
        return Ok(Some(Loading::Unknown("it is packed, so what is inside cannot be seen".to_owned())));
    }
    let Some((from, to)) = place(entry, size, source)? else {
        return Ok(Some(Loading::Unknown("it is not where the index says".to_owned())));
    };
    if is_pickle {
        return Ok(Some(follow(&mut Bytes::between(source, from, to)?)?.loading()));
    }
    if is_array {
        let head = Bytes::between(source, from, to)?.piece((to - from).min(4096), 4096)?;
        return Ok(Some(numpy(&head.unwrap_or_default()).loading));
    }
    if to - from > MAX_CONFIG && is_config {
        return Ok(Some(Loading::Unknown("it is too long to be read".to_owned())));
    }
    let has_lambda = finds(source, from, to, LAMBDA)?;
    Ok(Some(if has_lambda {
        Loading::Code("a layer of it is a Python lambda".to_owned())
    } else {
        Loading::Data
    }))
}

/// First and last byte of a stored entry, by its own header, which must agree with the index.
fn place(entry: &Entry, size: u64, source: &mut dyn Source) -> io::Result<Option<(u64, u64)>> {
    let mut bytes = Bytes::between(source, entry.header, size)?;
    if bytes.u32()? != Some(0x0403_4b50) || !bytes.skip(22)? {
        return Ok(None);
    }
    let (Some(name), Some(extra)) = (bytes.u16()?, bytes.u16()?) else { return Ok(None) };
    let named = bytes.piece(name.into(), u64::from(u16::MAX))?;
    if named.as_deref() != Some(entry.name.as_bytes()) || !bytes.skip(extra.into())? {
        return Ok(None);
    }
    let from = bytes.at();
    Ok(from.checked_add(entry.size).filter(|to| *to <= size).map(|to| (from, to)))
}

/// The entries of the index, or why it cannot be read.
fn read_index(size: u64, source: &mut dyn Source) -> io::Result<Result<Vec<Entry>, String>> {
    let broken = |what: &str| Ok(Err(format!("the index of the archive {what}")));
    let Some((at, len, count)) = find_end(size, source)? else { return broken("is not there") };
    if count > MAX_ENTRIES || len > MAX_INDEX {
        return broken("is too long to be read");
    }
    if at.checked_add(len).is_none_or(|end| end > size) {
        return broken("lies outside the file");
    }
    source.seek(SeekFrom::Start(at))?;
    let mut bytes = Bytes::between(source, at, at + len)?;
    let mut entries = Vec::new();
    let mut names = BTreeSet::new();
    for _ in 0..count {
        let Some(entry) = read_entry(&mut bytes)? else { return broken("cannot be read") };
        if !names.insert(entry.name.clone()) {
            return broken("names a file twice, and readers differ in which they take");
        }
        entries.push(entry);
    }
    if bytes.left() != 0 {
        return broken("is longer than its entries");
    }
    Ok(Ok(entries))
}

fn read_entry(bytes: &mut Bytes<'_>) -> io::Result<Option<Entry>> {
    if bytes.u32()? != Some(0x0201_4b50) || !bytes.skip(4)? {
        return Ok(None);
    }
    let (Some(flags), Some(method)) = (bytes.u16()?, bytes.u16()?) else { return Ok(None) };
    if !bytes.skip(8)? {
        return Ok(None);
    }
    let (Some(packed), Some(full)) = (bytes.u32()?, bytes.u32()?) else { return Ok(None) };
    let (Some(name), Some(extra), Some(comment)) = (bytes.u16()?, bytes.u16()?, bytes.u16()?) else {
        return Ok(None);
    };
    if !bytes.skip(8)? {
        return Ok(None);
    }
    let Some(header) = bytes.u32()? else { return Ok(None) };
    let (Some(name), Some(extra)) = (bytes.piece(name.into(), 1 << 16)?, bytes.piece(extra.into(), 1 << 16)?)
    else {
        return Ok(None);
    };
    if !bytes.skip(comment.into())? {
        return Ok(None);
    }
    let mut wide = wide_numbers(&extra).into_iter();
    let mut number = |short: u32| if short == u32::MAX { wide.next() } else { Some(u64::from(short)) };
    let (Some(full), Some(packed), Some(header)) = (number(full), number(packed), number(header)) else {
        return Ok(None);
    };
    let Ok(name) = String::from_utf8(name) else { return Ok(None) };
    // Bit 0 is encryption.
    let stored = method == 0 && flags & 1 == 0 && full == packed;
    Ok(Some(Entry { name, stored, size: packed, header }))
}

/// The 64-bit numbers of an entry, in the order of those that did not fit.
fn wide_numbers(extra: &[u8]) -> Vec<u64> {
    let mut rest = extra;
    while let [a, b, c, d, tail @ ..] = rest {
        let (id, len) = (u16::from_le_bytes([*a, *b]), usize::from(u16::from_le_bytes([*c, *d])));
        let Some(body) = tail.get(..len) else { break };
        if id == 1 {
            return body.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
        }
        rest = &tail[len..];
    }
    Vec::new()
}
