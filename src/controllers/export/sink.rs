//! Writes to the sink of the audit trail, so that a line is there whole or known not to be there.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _, Result, Seek as _, SeekFrom, Write};
use std::path::Path;

use super::Target;

/// Writes `bytes`, which are whole lines, and hands them back with what came of it. A sink that is slow holds up a thread
/// of its own and nothing else.
///
/// `again` says that the last write failed: of that, half a line may have reached a stream.
pub(super) async fn write(target: Target, bytes: Vec<u8>, again: bool) -> (Vec<u8>, Result<()>) {
    let copy = bytes.clone();
    let written = tokio::task::spawn_blocking(move || match &target {
        Target::Nowhere => Ok(()),
        Target::Stdout => print(&copy, again),
        Target::File(path) => append(path, &copy, again),
    });
    let result = written.await.unwrap_or_else(|error| Err(Error::other(error)));
    (bytes, result)
}

fn print(bytes: &[u8], again: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if again {
        out.write_all(b"\n")?;
    }
    out.write_all(bytes)?;
    out.flush()
}

/// Appends to a file and waits until the disk has it. Of a batch that does not fit nothing is left, and what somebody else
/// left in the midst of a line does not take the first line of this one with it.
fn append(path: &Path, bytes: &[u8], again: bool) -> Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        if again {
            file.write_all(b"\n")?;
        }
        return file.write_all(bytes);
    }
    let start = before.len();
    let mut batch: &[&[u8]] = &[b"\n", bytes];
    if start == 0 || ends_with_a_line(path, start) {
        batch = &batch[1..];
    }
    let mut written = 0;
    let mut result = Ok(());
    for part in batch {
        if result.is_ok() {
            result = counted(&mut file, part, &mut written);
        }
    }
    let result = result.and_then(|()| file.sync_data());
    if result.is_err() {
        take_back(&file, start, written);
    }
    result
}

/// Whether the file ends with a whole line, as far as can be told: an empty line more does no harm.
fn ends_with_a_line(path: &Path, length: u64) -> bool {
    let last = |path: &Path| {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(length - 1))?;
        let mut byte = [0];
        file.read_exact(&mut byte).map(|()| byte == *b"\n")
    };
    last(path).unwrap_or(false)
}

/// Writes all of `bytes`, and counts what was taken of them.
fn counted(out: &mut impl Write, mut bytes: &[u8], written: &mut u64) -> Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                *written += u64::try_from(count).unwrap_or(u64::MAX);
                bytes = bytes.get(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes the part of a batch back that was written, unless another has written after it: then the next begins a new line.
fn take_back(file: &File, start: u64, written: u64) {
    let now = file.metadata().map(|now| now.len());
    if now.is_ok_and(|now| written > 0 && now == start + written)
        && let Err(error) = file.set_len(start)
    {
        tracing::warn!(%error, "a part of the audit trail that was not written whole could not be taken back");
    }
}
