//! Reading small numbers and bounded pieces from a source, with "the bytes end here" as an answer and not an error.

use std::io::{self, Read, SeekFrom};

use super::Source;

/// A buffered reader that knows its place and the end.
pub(super) struct Bytes<'a> {
    inner: io::BufReader<&'a mut dyn Source>,
    at: u64,
    end: u64,
}

impl<'a> Bytes<'a> {
    /// Reads from `start` up to `end`.
    pub(super) fn between(source: &'a mut dyn Source, start: u64, end: u64) -> io::Result<Self> {
        source.seek(SeekFrom::Start(start))?;
        Ok(Self { inner: io::BufReader::with_capacity(64 << 10, source), at: start, end })
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// The next bytes, whole, or nothing where fewer are left.
    pub(super) fn exact<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.left() < N as u64 {
            return Ok(None);
        }
        let mut out = [0; N];
        self.inner.read_exact(&mut out)?;
        self.at += N as u64;
        Ok(Some(out))
    }

    pub(super) fn byte(&mut self) -> io::Result<Option<u8>> {
        Ok(self.exact::<1>()?.map(|[byte]| byte))
    }

    pub(super) fn u16(&mut self) -> io::Result<Option<u16>> {
        Ok(self.exact()?.map(u16::from_le_bytes))
    }

    pub(super) fn u32(&mut self) -> io::Result<Option<u32>> {
        Ok(self.exact()?.map(u32::from_le_bytes))
    }

    pub(super) fn u64(&mut self) -> io::Result<Option<u64>> {
        Ok(self.exact()?.map(u64::from_le_bytes))
    }

    /// A number as protobuf writes it.
    pub(super) fn varint(&mut self) -> io::Result<Option<u64>> {
        let mut out = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.byte()? else { return Ok(None) };
            out |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(Some(out));
            }
        }
        Ok(None)
    }

    /// A piece of `len` bytes, if that many are left and it is no longer than `limit`.
    pub(super) fn piece(&mut self, len: u64, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if len > self.left() || len > limit {
            return Ok(None);
        }
        let mut out = Vec::new();
        (&mut self.inner).take(len).read_to_end(&mut out)?;
        self.at += len;
        Ok((out.len() as u64 == len).then_some(out))
    }

    /// Passes over `len` bytes; `false` where fewer are left.
    pub(super) fn skip(&mut self, len: u64) -> io::Result<bool> {
        if len > self.left() {
            return Ok(false);
        }
        let Ok(distance) = i64::try_from(len) else { return Ok(false) };
        self.inner.seek_relative(distance)?;
        self.at += len;
        Ok(true)
    }
}
