//! A file of which only some pieces are at hand, as a registry hands them out: it is read like any other, and says which
//! piece it lacked.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

/// How long a piece is.
pub const PIECE: u64 = PIECE_LEN as u64;
/// The same, for what is at hand.
pub const PIECE_LEN: usize = 1 << 20;

/// The pieces of some bytes that are at hand, by number.
#[derive(Debug, Default)]
pub struct Pieces {
    held: BTreeMap<u64, Vec<u8>>,
}

impl Pieces {
    /// Keeps a piece; bytes beyond its length are the next one's.
    pub fn put(&mut self, mut number: u64, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE_LEN) {
            self.held.insert(number, piece.to_vec());
            number += 1;
        }
    }

    /// Adds bytes behind the first `length` of them, as a stream brings them.
    pub fn append(&mut self, mut length: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let piece = self.held.entry(length / PIECE).or_default();
            let room = PIECE_LEN - offset(length);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            piece.extend_from_slice(now);
            length += now.len() as u64;
            bytes = rest;
        }
    }

    /// Whether a piece is at hand.
    #[must_use]
    pub fn has(&self, number: u64) -> bool {
        self.held.contains_key(&number)
    }

    /// Lets go of the pieces of a range.
    pub fn drop_pieces(&mut self, from: u64, to: u64) {
        if from < to {
            self.held.retain(|number, _| !(from..to).contains(number));
        }
    }

    /// The `size` bytes from `base` on, as a file.
    #[must_use]
    pub const fn view(&self, base: u64, size: u64) -> View<'_> {
        View { pieces: self, base, size, at: 0, missing: None }
    }
}

/// Where a byte lies in its piece.
fn offset(place: u64) -> usize {
    usize::try_from(place % PIECE).unwrap_or_default()
}

/// A file within the pieces. Reading what is not at hand fails, and the number of the piece is kept.
#[derive(Debug)]
pub struct View<'a> {
    pieces: &'a Pieces,
    base: u64,
    size: u64,
    at: u64,
    missing: Option<u64>,
}

impl View<'_> {
    /// The piece that was wanted last and is not at hand.
    #[must_use]
    pub const fn missing(&self) -> Option<u64> {
        self.missing
    }
}

impl Read for View<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size || out.is_empty() {
            return Ok(0);
        }
        let place = self.base.saturating_add(self.at);
        let number = place / PIECE;
        let rest = self.pieces.held.get(&number).and_then(|piece| piece.get(offset(place)..));
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
            self.missing = Some(number);
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "this piece is not at hand"));
        };
        let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
        let len = rest.len().min(out.len()).min(left);
        out[..len].copy_from_slice(&rest[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for View<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::format::{Format, Loading, examine};

    #[test]
    fn a_file_is_told_by_its_pieces_and_what_lacks_is_named() {
        let mut bytes = b"\x80\x02cposix\nsystem\nq\x00.".to_vec();
        bytes.resize(3 * PIECE_LEN, 0);
        let mut pieces = Pieces::default();
        let mut view = pieces.view(0, bytes.len() as u64);
        assert!(examine("m.bin", &mut view).is_err());
        assert_eq!(view.missing(), Some(0));
        pieces.put(0, &bytes[..PIECE_LEN]);
        let seen = examine("m.bin", &mut pieces.view(0, bytes.len() as u64)).unwrap();
        assert_eq!((seen.format, matches!(seen.loading, Loading::Code(_))), (Format::Pickle, true));
        // From another place on, and piece by piece.
        let mut stream = Pieces::default();
        stream.append(0, &[7; 100]);
        stream.append(100, &bytes);
        let seen = examine("m.bin", &mut stream.view(100, bytes.len() as u64)).unwrap();
        assert_eq!(seen.format, Format::Pickle);
        stream.drop_pieces(0, 1);
        assert!(!stream.has(0) && stream.has(1));
    }
}
