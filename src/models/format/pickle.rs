//! Python pickles, followed opcode by opcode without running one: which names would they import and call?

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::bytes::Bytes;
use super::{Examined, Format, Loading, Source};

/// More than any model's pickle; beyond it nobody follows.
const MAX_OPCODES: u64 = 50_000_000;
const MAX_STACK: usize = 1 << 20;
const MAX_MEMO: usize = 1 << 20;
/// Strings are kept only where they can be a module or a name.
const MAX_NAME: u64 = 200;
const MAX_LINE: usize = 64 << 10;
/// A row of pickles, as older `PyTorch` files are.
const MAX_PICKLES: usize = 16;
const MAX_NAMES: usize = 8;

/// Names that only rebuild tensors, arrays and containers; `None` stands for every name of the module.
const HARMLESS: &[(&str, Option<&[&str]>)] = &[
    ("collections", Some(&["OrderedDict", "defaultdict", "Counter"])),
    (
        "torch._utils",
        Some(&[
            "_rebuild_tensor",
            "_rebuild_tensor_v2",
            "_rebuild_tensor_v3",
            "_rebuild_parameter",
            "_rebuild_parameter_with_state",
            "_rebuild_qtensor",
            "_rebuild_sparse_tensor",
            "_rebuild_meta_tensor_no_storage",
        ]),
    ),
    (
        "torch",
        Some(&[
            "FloatStorage",
            "DoubleStorage",
            "HalfStorage",
            "BFloat16Storage",
            "LongStorage",
            "IntStorage",
            "ShortStorage",
            "CharStorage",
            "ByteStorage",
            "BoolStorage",
            "ComplexFloatStorage",
            "ComplexDoubleStorage",
            "QInt8Storage",
            "QUInt8Storage",
            "QInt32Storage",
            "Size",
            "device",
            "Tensor",
            "float16",
            "float32",
            "float64",
            "bfloat16",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "bool",
            "complex64",
            "complex128",
            "float8_e4m3fn",
            "float8_e5m2",
            "strided",
        ]),
    ),
    ("torch.nn.parameter", Some(&["Parameter", "Buffer"])),
    ("torch.storage", Some(&["UntypedStorage", "TypedStorage"])),
    ("numpy", Some(&["ndarray", "dtype"])),
    ("numpy.core.multiarray", Some(&["_reconstruct", "scalar"])),
    ("numpy._core.multiarray", Some(&["_reconstruct", "scalar"])),
    ("_codecs", Some(&["encode"])),
    ("builtins", Some(&["set", "frozenset", "dict", "list", "tuple", "bytearray", "complex", "slice"])),
    ("__builtin__", Some(&["set", "frozenset", "dict", "list", "tuple", "bytearray", "complex", "slice"])),
];

/// What following a pickle showed.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Imported names beyond the harmless ones, sorted, the first few.
    names: BTreeSet<String>,
    /// A name that only running would tell.
    computed: bool,
    /// Whether the end was reached, and if not, at which byte it stopped.
    stopped: Option<u64>,
    /// Opcodes that put something on the stack.
    pushed: u64,
    /// Whether anything was called.
    called: bool,
}

impl Followed {
    /// What reading the pickle does.
    pub(super) fn loading(&self) -> Loading {
        if !self.names.is_empty() {
            let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
            return Loading::Code(format!("its pickle imports {}", names.join(", ")));
        }
        if self.computed {
            return Loading::Code("its pickle imports a name that is made while it runs".to_owned());
        }
        match self.stopped {
            Some(at) => Loading::Unknown(format!("its pickle cannot be followed beyond byte {at}")),
            None => Loading::Data,
        }
    }

    fn import(&mut self, module: &str, name: &str) {
        let harmless =
            HARMLESS.iter().any(|(m, names)| *m == module && names.is_none_or(|names| names.contains(&name)));
        if !harmless && self.names.len() < MAX_NAMES {
            self.names.insert(format!("{}.{}", printable(module), printable(name)));
        }
    }
}

/// Text of a file as it may stand in a message.
fn printable(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A file that is a pickle from its first byte on, or nothing where it is none.
pub(super) fn examine(head: &[u8], source: &mut dyn Source) -> io::Result<Option<Examined>> {
    // Every pickle since protocol 2 says so; older ones are text and must make sense to their end.
    let declared =
        head.first() == Some(&0x80) && head.get(1).is_some_and(|version| (2..=5).contains(version));
    let size = source.seek(io::SeekFrom::End(0))?;
    let mut all = Followed::default();
    let mut bytes = Bytes::between(source, 0, size)?;
    for index in 0..MAX_PICKLES {
        let followed = follow(&mut bytes)?;
        let ended = followed.stopped.is_none();
        if index == 0 {
            let is_pickle = declared || (ended && followed.pushed > 0) || imports_early(&followed);
            if !is_pickle {
                return Ok(None);
            }
        } else if !ended && followed.names.is_empty() {
            // Behind the last pickle stands what it refers to, and that is raw.
            break;
        }
        all.names.extend(followed.names);
        all.computed |= followed.computed;
        if !ended {
            all.stopped = followed.stopped;
            break;
        }
        if bytes.left() == 0 {
            break;
        }
    }
    Ok(Some(Examined { format: Format::Pickle, loading: all.loading() }))
}

/// An old pickle that breaks off later has run its beginning by then. A list of words can look like an import, but not
/// like a call.
fn imports_early(followed: &Followed) -> bool {
    let is_name = |name: &String| {
        name.split('.')
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    };
    followed.called && followed.names.iter().any(is_name)
}

/// What lies on the stack, as far as it matters.
#[derive(Clone, Debug)]
enum Item {
    Mark,
    Text(String),
    Other,
}

#[derive(Default)]
struct Machine {
    stack: Vec<Item>,
    memo: BTreeMap<u64, Item>,
    memoized: u64,
}

impl Machine {
    fn push(&mut self, item: Item) -> Option<()> {
        (self.stack.len() < MAX_STACK).then(|| self.stack.push(item))
    }

    fn pop(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            self.stack.pop()?;
        }
        Some(())
    }

    fn pop_to_mark(&mut self) -> Option<()> {
        while let Some(item) = self.stack.pop() {
            if matches!(item, Item::Mark) {
                return Some(());
            }
        }
        None
    }

    fn put(&mut self, index: u64) -> Option<()> {
        let item = self.stack.last()?.clone();
        // Only text is worth remembering.
        if matches!(item, Item::Text(_)) {
            if self.memo.len() >= MAX_MEMO {
                return None;
            }
            self.memo.insert(index, item);
        } else {
            self.memo.remove(&index);
        }
        Some(())
    }

    fn get(&mut self, index: u64) -> Option<()> {
        let item = self.memo.get(&index).cloned().unwrap_or(Item::Other);
        self.push(item)
    }
}

/// Follows one pickle to its end; where it stopped making sense is noted.
pub(super) fn follow(bytes: &mut Bytes<'_>) -> io::Result<Followed> {
    let mut machine = Machine::default();
    let mut followed = Followed::default();
    for _ in 0..MAX_OPCODES {
        let at = bytes.at();
        let Some(opcode) = bytes.byte()? else {
            followed.stopped = Some(at);
            return Ok(followed);
        };
        if opcode == b'.' {
            if machine.stack.is_empty() {
                followed.stopped = Some(at);
            }
            return Ok(followed);
        }
        if step(opcode, bytes, &mut machine, &mut followed)?.is_none() {
            followed.stopped = Some(at);
            return Ok(followed);
        }
    }
    followed.stopped = Some(bytes.at());
    Ok(followed)
}

/// One opcode; nothing where it makes no sense.
fn step(
    opcode: u8,
    bytes: &mut Bytes<'_>,
    machine: &mut Machine,
    followed: &mut Followed,
) -> io::Result<Option<()>> {
    let before = machine.stack.len();
    let done = match opcode {
        b'(' => machine.push(Item::Mark),
        b'2' => machine.stack.last().cloned().and_then(|item| machine.push(item)),
        b'N' | b']' | b'}' | b')' | 0x88 | 0x89 | 0x8f | 0x97 => machine.push(Item::Other),
        b'F' | b'I' | b'L' | b'P' => line(bytes)?.and_then(|_| machine.push(Item::Other)),
        b'J' => skipped(bytes, 4)?.and_then(|()| machine.push(Item::Other)),
        b'K' => skipped(bytes, 1)?.and_then(|()| machine.push(Item::Other)),
        b'M' => skipped(bytes, 2)?.and_then(|()| machine.push(Item::Other)),
        b'G' => skipped(bytes, 8)?.and_then(|()| machine.push(Item::Other)),
        b'S' | b'V' => line(bytes)?.and_then(|text| machine.push(Item::Text(unquoted(&text)))),
        b'U' | 0x8c => text(bytes.byte()?.map(u64::from), bytes)?.and_then(|item| machine.push(item)),
        b'T' | b'X' => text(bytes.u32()?.map(u64::from), bytes)?.and_then(|item| machine.push(item)),
        0x8d => text(bytes.u64()?, bytes)?.and_then(|item| machine.push(item)),
        b'C' | 0x8a => raw(bytes.byte()?.map(u64::from), bytes)?.and_then(|()| machine.push(Item::Other)),
        b'B' | 0x8b => raw(bytes.u32()?.map(u64::from), bytes)?.and_then(|()| machine.push(Item::Other)),
        0x8e | 0x96 => raw(bytes.u64()?, bytes)?.and_then(|()| machine.push(Item::Other)),
        b'Q' | 0x85 => machine.pop(1).and_then(|()| machine.push(Item::Other)),
        b'R' | 0x81 | 0x86 => machine.pop(2).and_then(|()| machine.push(Item::Other)),
        0x87 | 0x92 => machine.pop(3).and_then(|()| machine.push(Item::Other)),
        b'0' | b'a' | b'b' => machine.pop(1),
        b's' => machine.pop(2),
        b'1' | b'e' | b'u' | 0x90 => machine.pop_to_mark(),
        b'd' | b'l' | b't' | b'o' | 0x91 => machine.pop_to_mark().and_then(|()| machine.push(Item::Other)),
        b'c' | b'i' => {
            let (Some(module), Some(name)) = (line(bytes)?, line(bytes)?) else { return Ok(None) };
            followed.import(&module, &name);
            let marked = opcode == b'c' || machine.pop_to_mark().is_some();
            if marked { machine.push(Item::Other) } else { None }
        }
        0x93 => {
            let (name, module) = (machine.stack.pop(), machine.stack.pop());
            match (module, name) {
                (Some(Item::Text(module)), Some(Item::Text(name))) => followed.import(&module, &name),
                (Some(_), Some(_)) => followed.computed = true,
                _ => return Ok(None),
            }
            machine.push(Item::Other)
        }
        // Names by number, from a registry of the process that reads.
        0x82..=0x84 => {
            followed.computed = true;
            skipped(bytes, 1 << (opcode - 0x82))?.and_then(|()| machine.push(Item::Other))
        }
        b'g' => match line(bytes)?.and_then(|text| text.trim().parse().ok()) {
            Some(index) => machine.get(index),
            None => None,
        },
        b'h' => bytes.byte()?.and_then(|index| machine.get(index.into())),
        b'j' => bytes.u32()?.and_then(|index| machine.get(index.into())),
        b'p' => match line(bytes)?.and_then(|text| text.trim().parse().ok()) {
            Some(index) => machine.put(index),
            None => None,
        },
        b'q' => bytes.byte()?.and_then(|index| machine.put(index.into())),
        b'r' => bytes.u32()?.and_then(|index| machine.put(index.into())),
        0x94 => {
            let index = machine.memoized;
            machine.memoized += 1;
            machine.put(index)
        }
        0x80 => bytes.byte()?.filter(|version| *version <= 5).map(|_| ()),
        0x95 => skipped(bytes, 8)?,
        0x98 => Some(()),
        _ => None,
    };
    followed.pushed += u64::from(machine.stack.len() > before);
    followed.called |= done.is_some() && matches!(opcode, b'R' | b'o' | b'i' | 0x81 | 0x92);
    Ok(done)
}

fn skipped(bytes: &mut Bytes<'_>, len: u64) -> io::Result<Option<()>> {
    Ok(bytes.skip(len)?.then_some(()))
}

fn raw(len: Option<u64>, bytes: &mut Bytes<'_>) -> io::Result<Option<()>> {
    match len {
        Some(len) => skipped(bytes, len),
        None => Ok(None),
    }
}

fn text(len: Option<u64>, bytes: &mut Bytes<'_>) -> io::Result<Option<Item>> {
    let Some(len) = len else { return Ok(None) };
    if len > MAX_NAME {
        return Ok(bytes.skip(len)?.then_some(Item::Other));
    }
    let piece = bytes.piece(len, MAX_NAME)?;
    Ok(piece.map(|piece| String::from_utf8(piece).map_or(Item::Other, Item::Text)))
}

/// A line of the older opcodes, bounded.
fn line(bytes: &mut Bytes<'_>) -> io::Result<Option<String>> {
    let mut out = Vec::new();
    loop {
        match bytes.byte()? {
            Some(b'\n') => return Ok(Some(String::from_utf8_lossy(&out).trim_end_matches('\r').to_owned())),
            Some(byte) if out.len() < MAX_LINE => out.push(byte),
            _ => return Ok(None),
        }
    }
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(text).to_owned()
}
