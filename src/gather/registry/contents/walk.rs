//! What is packed, as it streams by: an archive from header to header, or a single file. Of each file its beginning and its
//! end are kept, which is what tells a format.

use super::{Contents, Within, follow, shown};
use crate::models::format::part::{PIECE, PIECE_LEN, Pieces};
use crate::models::format::{self, Examined, Loading};
use crate::models::tar::{self, Entry, Step};

/// Pieces kept of the beginning of a file that streams by, and of its end.
const HEAD: u64 = 16;
const TAIL: u64 = 2;

/// An archive, or a single file, that streams by.
pub(super) struct Walk<'a> {
    name: &'a str,
    within: Within<'a>,
    pieces: Pieces,
    pub(super) length: u64,
    at: At,
}

/// Where a walk is.
enum At {
    Start,
    /// Before the header at this place.
    Header(u64),
    In(Entry),
    /// In a file that is no archive.
    Single,
    Done,
}

impl<'a> Walk<'a> {
    pub(super) fn new(name: &'a str, within: Within<'a>) -> Self {
        Self { name, within, pieces: Pieces::default(), length: 0, at: At::Start }
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self.at, At::Done)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8], out: &mut Contents) {
        // A piece at a time, so that no more is kept than has to be.
        for part in bytes.chunks(PIECE_LEN) {
            self.pieces.append(self.length, part);
            self.length += part.len() as u64;
            while self.advance(out) {}
        }
    }

    /// Goes on as far as one step; whether there may be another.
    fn advance(&mut self, out: &mut Contents) -> bool {
        match &self.at {
            At::Start if self.length >= 512 => {
                let mut head = [0; 512];
                let read = std::io::Read::read_exact(&mut self.pieces.view(0, 512), &mut head);
                self.at = if read.is_ok() && tar::is_tar(&head) { At::Header(0) } else { At::Single };
                true
            }
            At::Header(at) => {
                let mut view = self.pieces.view(0, u64::MAX);
                match tar::entry(&mut view, *at) {
                    Ok(Step::Entry(entry)) => {
                        follow(&entry, self.within, out);
                        self.at = At::In(entry);
                    }
                    Ok(Step::End) => self.at = At::Done,
                    Ok(Step::Broken(why)) => {
                        out.opaque.add(format!("{}: {why}", shown(self.name)));
                        self.at = At::Done;
                    }
                    Err(_) => return false,
                }
                !self.is_done()
            }
            At::In(entry) if self.length >= entry.from + entry.size => {
                let entry = entry.clone();
                if entry.kind == tar::Kind::File && self.within.holds(&entry.path) {
                    self.look(&entry.path, entry.from, entry.size, out);
                }
                self.pieces.drop_pieces(0, entry.next / PIECE);
                self.at = At::Header(entry.next);
                true
            }
            At::In(entry) => {
                let head =
                    if entry.kind == tar::Kind::File && self.within.holds(&entry.path) { HEAD } else { 0 };
                let from = entry.from / PIECE + head;
                self.pieces.drop_pieces(from, (self.length / PIECE).saturating_sub(TAIL));
                false
            }
            At::Single => {
                self.pieces.drop_pieces(HEAD, (self.length / PIECE).saturating_sub(TAIL));
                false
            }
            At::Start | At::Done => false,
        }
    }

    fn look(&self, path: &str, base: u64, size: u64, out: &mut Contents) {
        let mut view = self.pieces.view(base, size);
        match format::examine(path, &mut view) {
            Ok(seen) => out.take(path, &seen),
            Err(_) => out.missed(path, "more of it would have to be kept than is kept of a packed file"),
        }
    }

    /// The stream has ended, or nobody reads on.
    pub(super) fn end(&mut self, complete: bool, out: &mut Contents) {
        let unpacked = self.name.strip_suffix(".gz").unwrap_or(self.name);
        match &self.at {
            At::Done => return,
            At::Start | At::Single if complete && self.within.holds(unpacked) => {
                self.look(unpacked, 0, self.length, out);
                return;
            }
            At::Header(_) if complete => return,
            // The beginning of a file can be enough to tell that it runs code.
            At::In(entry) if entry.kind == tar::Kind::File && self.within.holds(&entry.path) => {
                let mut view = self.pieces.view(entry.from, entry.size);
                if let Ok(seen @ Examined { loading: Loading::Code(_), .. }) =
                    format::examine(&entry.path, &mut view)
                {
                    out.take(&entry.path, &seen);
                }
            }
            _ => {}
        }
        out.missed(
            self.name,
            &format!("it is packed, and was unpacked up to {} MiB only", self.length >> 20),
        );
    }
}
