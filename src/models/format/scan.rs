//! What has no header worth reading, or hides what matters in the middle: HDF5, numpy, JSON, text.

use std::io::{self, SeekFrom};

use super::archive::LAMBDA;
use super::{Examined, Format, Source};

const PIECE: usize = 1 << 20;

/// HDF5 keeps the configuration of a Keras model as text somewhere in the file.
pub(super) fn hdf5(source: &mut dyn Source) -> io::Result<Examined> {
    let end = source.seek(SeekFrom::End(0))?;
    if finds(source, 0, end, LAMBDA)? {
        return Ok(Examined::code(Format::Hdf5, "a layer of it is a Python lambda"));
    }
    Ok(Examined::data(Format::Hdf5))
}

/// An array of numpy: one of Python objects is a pickle.
pub(super) fn numpy(head: &[u8]) -> Examined {
    let text = match head {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, rest @ ..] => {
            rest.get(..usize::from(u16::from_le_bytes([*a, *b])))
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d, rest @ ..] => {
            usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).ok().and_then(|len| rest.get(..len))
        }
        _ => None,
    };
    let Some(text) = text.and_then(|text| std::str::from_utf8(text).ok()) else {
        return Examined::unknown(Format::Numpy, "its header cannot be read");
    };
    let types: String = text.split("'descr'").nth(1).unwrap_or_default().chars().collect();
    let described = types.split("'fortran_order'").next().unwrap_or_default();
    if described.contains("'|O") || described.contains("'O") || described.contains("object") {
        return Examined::code(Format::Numpy, "it is an array of Python objects, which is a pickle");
    }
    if described.is_empty() {
        return Examined::unknown(Format::Numpy, "its header cannot be read");
    }
    Examined::data(Format::Numpy)
}

/// JSON, source code, other text, or nothing known.
pub(super) fn text(name: &str, source: &mut dyn Source) -> io::Result<Examined> {
    let end = source.seek(SeekFrom::End(0))?;
    if !is_text(source, end)? {
        return Ok(Examined::unknown(Format::Unknown, "its format is none that is known"));
    }
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    if matches!(ending.as_str(), "py" | "pyc" | "sh" | "so" | "js" | "lua") {
        return Ok(Examined::code(Format::Program, "it is source code"));
    }
    source.rewind()?;
    let mut first = [0];
    while source.read(&mut first)? == 1 && first[0].is_ascii_whitespace() {}
    if !matches!(first[0], b'{' | b'[') {
        return Ok(Examined::data(Format::Text));
    }
    if finds(source, 0, end, &[b"\"auto_map\"", b"\"custom_pipelines\""])? {
        return Ok(Examined::code(Format::Json, "it names code that a loader is to fetch and run"));
    }
    if finds(source, 0, end, LAMBDA)? {
        return Ok(Examined::code(Format::Json, "a layer of it is a Python lambda"));
    }
    Ok(Examined::data(Format::Json))
}

/// Whether there is neither a control character nor anything but UTF-8.
fn is_text(source: &mut dyn Source, end: u64) -> io::Result<bool> {
    source.rewind()?;
    let mut piece = vec![0; PIECE];
    let mut carried = 0;
    let mut at = 0;
    while at < end {
        let got = source.read(&mut piece[carried..])?;
        if got == 0 {
            break;
        }
        at += got as u64;
        let filled = carried + got;
        let valid = match std::str::from_utf8(&piece[..filled]) {
            Ok(_) => filled,
            // A character may be cut by the end of the piece, and only there.
            Err(error) if error.error_len().is_none() && at < end => error.valid_up_to(),
            Err(_) => return Ok(false),
        };
        let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
        if piece[..valid].iter().any(control) {
            return Ok(false);
        }
        piece.copy_within(valid..filled, 0);
        carried = filled - valid;
    }
    Ok(true)
}

/// Whether one of the needles stands between two places, streaming.
pub(super) fn finds(source: &mut dyn Source, from: u64, to: u64, needles: &[&[u8]]) -> io::Result<bool> {
    let longest = needles.iter().map(|needle| needle.len()).max().unwrap_or(1);
    source.seek(SeekFrom::Start(from))?;
    let mut piece = vec![0; PIECE];
    let mut kept = 0;
    let mut left = to.saturating_sub(from);
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE - kept);
        let got = source.read(&mut piece[kept..kept + room])?;
        if got == 0 {
            break;
        }
        left -= got as u64;
        let filled = kept + got;
        if needles.iter().any(|needle| contains(&piece[..filled], needle)) {
            return Ok(true);
        }
        kept = filled.min(longest - 1);
        piece.copy_within(filled - kept..filled, 0);
    }
    Ok(false)
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let mut at = 0;
    while let Some(found) = hay[at..].iter().position(|byte| byte == first) {
        at += found + 1;
        if hay[at..].starts_with(rest) {
            return true;
        }
    }
    false
}
