//! The headers of tar archives, one after the other, as layers of artifacts are packed: which files are in there and where
//! their bytes lie. Pure; what cannot be read is an answer.

use std::io::{self, Read as _, SeekFrom};

use super::format::Source;

const BLOCK: u64 = HEADER as u64;
const HEADER: usize = 512;
/// The longest name, and the longest record of further attributes.
const MAX_RECORD: u64 = 1 << 20;
/// Headers about the next file that may stand in a row.
const MAX_RECORDS: usize = 16;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with bytes of its own.
    File,
    /// A folder or a link: nothing that could be loaded by itself.
    Other,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the top, as whoever unpacks it walks it: without `.`, `..` and empty parts.
    pub path: String,
    /// Where it leads, if it is a link.
    pub leads: Option<Leads>,
    /// What it is.
    pub kind: Kind,
    /// Where its bytes begin.
    pub from: u64,
    /// How many they are.
    pub size: u64,
    /// Where the next header stands.
    pub next: u64,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leads {
    /// The path from the top.
    pub path: String,
    /// Whether it leads out of the folder into which all is unpacked.
    pub out: bool,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An entry.
    Entry(Entry),
    /// The end of the archive.
    End,
    /// No header; why.
    Broken(&'static str),
}

/// Whether these bytes begin with a header.
#[must_use]
pub fn is_tar(head: &[u8]) -> bool {
    head.get(..HEADER).is_some_and(|block| block[0] != 0 && checksum_holds(block))
}

/// The entry whose first header stands at `at`.
///
/// # Errors
/// Only where reading fails.
pub fn entry(source: &mut dyn Source, at: u64) -> io::Result<Step> {
    let mut at = at;
    let (mut long_path, mut long_link) = (None, None);
    let mut more = Attributes::default();
    for _ in 0..MAX_RECORDS {
        let Some(header) = exact(source, at, BLOCK)? else { return Ok(Step::End) };
        if header.iter().all(|byte| *byte == 0) {
            return Ok(Step::End);
        }
        if !checksum_holds(&header) {
            return Ok(Step::Broken("a header has another checksum than its bytes"));
        }
        let Some(stated) = number(&header[124..136]) else {
            return Ok(Step::Broken("a header states no size"));
        };
        let from = at + BLOCK;
        let record = matches!(header[156], b'x' | b'g' | b'L' | b'K');
        if record {
            if stated > MAX_RECORD {
                return Ok(Step::Broken("a name or its attributes are too long"));
            }
            let Some(text) = exact(source, from, stated)? else {
                return Ok(Step::Broken("it ends within a header"));
            };
            match header[156] {
                b'L' => long_path = Some(text_of(&text)),
                b'K' => long_link = Some(text_of(&text)),
                // A second one stands in the place of the first.
                b'x' => match attributes(&text) {
                    Some(found) => more = found,
                    None => return Ok(Step::Broken("the attributes of a file cannot be read")),
                },
                _ => {}
            }
        }
        let size = if record { stated } else { more.size.unwrap_or(stated) };
        // Links and folders have no bytes, whatever they state.
        let kind = if matches!(header[156], 0 | b'0' | b'7') { Kind::File } else { Kind::Other };
        let bytes = if record || kind == Kind::File { size } else { 0 };
        let Some(next) = bytes.checked_next_multiple_of(BLOCK).and_then(|len| from.checked_add(len)) else {
            return Ok(Step::Broken("a header states a size that cannot be"));
        };
        if record {
            at = next;
            continue;
        }
        match header[156] {
            b'S' => return Ok(Step::Broken("a file in it has holes, which is not read here")),
            0 | b'0'..=b'7' => {}
            // Whether bytes follow it, readers differ about.
            _ => return Ok(Step::Broken("an entry in it is of a kind that is not read here")),
        }
        let path = long_path.or(more.path).unwrap_or_else(|| own_path(&header));
        let path = plain(&path).0;
        let link = long_link.or(more.link).unwrap_or_else(|| text_of(&header[157..257]));
        let leads = leads(header[156], &path, &link);
        return Ok(Step::Entry(Entry { path, leads, kind, from, size: bytes, next }));
    }
    Ok(Step::Broken("too many headers stand before one file"))
}

/// The bytes of a range, or nothing where the source ends before.
fn exact(source: &mut dyn Source, from: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
    source.seek(SeekFrom::Start(from))?;
    let mut out = Vec::new();
    source.take(len).read_to_end(&mut out)?;
    Ok((out.len() as u64 == len).then_some(out))
}

fn checksum_holds(block: &[u8]) -> bool {
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
        .sum();
    number(&block[148..156]) == Some(sum)
}

/// A number in octal digits, or in binary where its first bit says so.
fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        let (first, rest) = field.split_first()?;
        return rest.iter().try_fold(u64::from(first & 0x7f), |sum, byte| {
            sum.checked_mul(256).map(|sum| sum + u64::from(*byte))
        });
    }
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches(['\0', ' ']);
    u64::from_str_radix(if digits.is_empty() { "0" } else { digits }, 8).ok()
}

fn text_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A path from the top, and whether it leads above it on the way.
fn plain(path: &str) -> (String, bool) {
    let (mut parts, mut out) = (Vec::new(), false);
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => out |= parts.pop().is_none(),
            part => parts.push(part),
        }
    }
    (parts.join("/"), out)
}

/// Where a link of this kind and name leads: a hard one from the top, a symbolic one from where it stands.
fn leads(kind: u8, path: &str, link: &str) -> Option<Leads> {
    let (path, out) = match kind {
        b'1' => plain(link),
        b'2' if link.starts_with('/') => (plain(link).0, true),
        b'2' => plain(&format!("{}/{link}", path.rsplit_once('/').map_or("", |(folder, _)| folder))),
        _ => return None,
    };
    Some(Leads { path, out })
}

/// The path in the header itself; POSIX keeps its beginning apart.
fn own_path(header: &[u8]) -> String {
    let name = text_of(&header[..100]);
    let before =
        if header[257..].starts_with(b"ustar\0") { text_of(&header[345..500]) } else { String::new() };
    if before.is_empty() { name } else { format!("{before}/{name}") }
}

/// What further attributes say of the file that follows.
#[derive(Default)]
struct Attributes {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

/// Lines of `LENGTH KEY=VALUE`; one without a value says nothing.
fn attributes(mut text: &[u8]) -> Option<Attributes> {
    let mut out = Attributes::default();
    while !text.is_empty() {
        let space = text.iter().position(|byte| *byte == b' ')?;
        let len: usize = std::str::from_utf8(&text[..space]).ok()?.parse().ok()?;
        let line = text.get(space + 1..len)?.strip_suffix(b"\n")?;
        let equals = line.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&line[..equals], &line[equals + 1..]);
        let said = || Some(String::from_utf8_lossy(value).into_owned()).filter(|value| !value.is_empty());
        match key {
            b"path" => out.path = said(),
            b"linkpath" => out.link = said(),
            b"size" => out.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
            _ if key.starts_with(b"GNU.sparse") => return None,
            _ => {}
        }
        text = &text[len..];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn header(name: &str, size: u64, kind: u8) -> Vec<u8> {
        let mut block = vec![0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn padded(bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        out.resize(bytes.len().next_multiple_of(512), 0);
        out
    }

    fn walk(bytes: Vec<u8>) -> (Vec<(String, Kind, u64)>, Step) {
        let mut source = Cursor::new(bytes);
        let (mut at, mut found) = (0, Vec::new());
        loop {
            match entry(&mut source, at).unwrap() {
                Step::Entry(one) => {
                    at = one.next;
                    found.push((one.path, one.kind, one.size));
                }
                step => return (found, step),
            }
        }
    }

    #[test]
    fn files_folders_and_long_names_are_found_one_after_the_other() {
        let mut bytes = header("./models/", 0, b'5');
        bytes.extend(header("./models/a.bin", 3, b'0'));
        bytes.extend(padded(b"abc"));
        bytes.extend(header("link", 0, b'2'));
        let long = "n/".repeat(80) + "b.gguf";
        bytes.extend(header("././@LongLink", long.len() as u64 + 1, b'L'));
        bytes.extend(padded(format!("{long}\0").as_bytes()));
        bytes.extend(header("cut", 600, b'0'));
        bytes.extend(vec![0; 1024]);
        let line = "16 path=c.onnx\n";
        bytes.extend(header("pax", line.len() as u64, b'x'));
        bytes.extend(padded(line.as_bytes()));
        bytes.extend(header("short", 0, b'0'));
        bytes.extend(vec![0; 1024]);
        assert!(is_tar(&bytes));
        let (found, end) = walk(bytes);
        let of = |path: &str, kind, size| (path.to_owned(), kind, size);
        assert_eq!(end, Step::Broken("the attributes of a file cannot be read"), "{found:?}");
        assert_eq!(
            found,
            [
                of("models", Kind::Other, 0),
                of("models/a.bin", Kind::File, 3),
                of("link", Kind::Other, 0),
                of(&long, Kind::File, 600),
            ]
        );
    }

    #[test]
    fn attributes_name_path_and_size_and_nonsense_is_an_answer() {
        let line = "15 path=c.onnx\n10 size=2\n";
        let mut bytes = header("pax", line.len() as u64, b'x');
        bytes.extend(padded(line.as_bytes()));
        bytes.extend(header("short", 0, b'0'));
        bytes.extend(padded(b"ok"));
        bytes.extend(vec![0; 1024]);
        assert_eq!(walk(bytes), (vec![("c.onnx".to_owned(), Kind::File, 2)], Step::End));
        let mut altered = header("a", 0, b'0');
        altered[0] = b'b';
        assert!(!is_tar(&altered) && !is_tar(b"short") && !is_tar(&[0; 512]));
        assert_eq!(walk(altered).1, Step::Broken("a header has another checksum than its bytes"));
        let mut endless = Vec::new();
        for _ in 0..20 {
            endless.extend(header("x", 0, b'x'));
        }
        assert_eq!(walk(endless).1, Step::Broken("too many headers stand before one file"));
        assert_eq!(number(&[0x80, 0, 1, 0]), Some(256));
        assert_eq!(number(&[0xff; 12]), None);
    }

    #[test]
    fn paths_are_read_as_whoever_unpacks_them_walks_them() {
        let long = |kind: u8, text: &str| {
            let mut bytes = header("x", text.len() as u64, kind);
            bytes.extend(padded(text.as_bytes()));
            bytes
        };
        let pax = |lines: &str| long(b'x', lines);
        let file = || header("own", 0, b'0');
        for (bytes, wanted) in [
            (header("a/../models/m.bin", 0, b'0'), "models/m.bin"),
            (header("/./models//./m.bin", 0, b'0'), "models/m.bin"),
            (header("../../models/m.bin", 0, b'0'), "models/m.bin"),
            // The long name counts beside attributes, whichever stands first.
            ([long(b'L', "long"), pax("12 path=pax\n"), file()].concat(), "long"),
            ([pax("12 path=pax\n"), long(b'L', "long"), file()].concat(), "long"),
            // Of two sets of attributes the second alone counts, and an empty one says nothing.
            ([pax("12 path=pax\n"), pax("12 mode=644\n"), file()].concat(), "own"),
            ([pax("12 path=pax\n8 path=\n"), file()].concat(), "own"),
            ([long(b'g', "12 path=pax\n"), file()].concat(), "own"),
        ] {
            let (found, end) = walk([bytes, vec![0; 1024]].concat());
            assert_eq!((found.len(), end), (1, Step::End), "{wanted}");
            assert_eq!(found[0].0, wanted);
        }
    }

    #[test]
    fn links_say_where_they_lead_and_strange_kinds_are_not_skipped() {
        let link = |path: &str, target: &str, kind: u8| {
            let mut block = header(path, 0, kind);
            block[157..157 + target.len()].copy_from_slice(target.as_bytes());
            block[148..156].copy_from_slice(b"        ");
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            block
        };
        let of = |bytes: Vec<u8>| match entry(&mut Cursor::new(bytes), 0).unwrap() {
            Step::Entry(entry) => entry.leads.map(|leads| (leads.path, leads.out)),
            step => panic!("{step:?}"),
        };
        for (path, target, kind, wanted, out) in [
            ("models/m.bin", "../blobs/x", b'2', "blobs/x", false),
            ("models/m.bin", "x", b'2', "models/x", false),
            ("m.bin", "../x", b'2', "x", true),
            ("models/m.bin", "/evil/x", b'2', "evil/x", true),
            ("models/m.bin", "evil/x", b'1', "evil/x", false),
        ] {
            assert_eq!(of(link(path, target, kind)), Some((wanted.to_owned(), out)), "{path} {target}");
        }
        let line = "17 linkpath=evil\n";
        let mut bytes = header("pax", line.len() as u64, b'x');
        bytes.extend(padded(line.as_bytes()));
        bytes.extend(link("m.bin", "good", b'2'));
        assert_eq!(of(bytes), Some(("evil".to_owned(), false)));
        assert_eq!(of(header("m.bin", 0, b'0')), None);
        // Bytes behind an entry of a kind of one's own could look like an end to some and like nothing to others.
        let mut strange = header("m.bin", 1024, b'Z');
        strange.extend(vec![0; 1024]);
        assert_eq!(walk(strange).1, Step::Broken("an entry in it is of a kind that is not read here"));
    }
}
