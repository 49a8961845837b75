//! Which format a file really has, and whether reading it as a model can run code. The bytes decide; a name can only
//! add suspicion, never take it away.

mod archive;
mod bytes;
mod onnx;
pub mod part;
mod pickle;
mod scan;
mod tensors;

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use crate::api::model::ModelFormat;

/// A file, or anything else that can be read at any place.
pub trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// The format that the bytes of a file have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Tensors behind a JSON header.
    Safetensors,
    /// Tensors and metadata for llama.cpp and its relatives.
    Gguf,
    /// A graph of operators.
    Onnx,
    /// A Python pickle, or several in a row.
    Pickle,
    /// A zip archive of `PyTorch`, with a pickle and its tensors.
    TorchArchive,
    /// A zip archive with a `TorchScript` program.
    TorchScript,
    /// An HDF5 file, as Keras writes it.
    Hdf5,
    /// A zip archive of Keras 3.
    KerasArchive,
    /// A graph of `TensorFlow`.
    SavedModel,
    /// A model of `TensorFlow` Lite.
    TfLite,
    /// An array of numpy.
    Numpy,
    /// The pieces of a tokenizer.
    SentencePiece,
    /// A zip archive of another kind.
    Zip,
    /// Something compressed or packed, which is not unpacked here.
    Packed,
    /// JSON.
    Json,
    /// Text.
    Text,
    /// A picture or document.
    Document,
    /// A program or library.
    Program,
    /// No bytes at all.
    Empty,
    /// None of the known ones.
    Unknown,
}

impl Format {
    /// The name in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "gguf",
            Self::Onnx => "onnx",
            Self::Pickle => "pickle",
            Self::TorchArchive => "PyTorch archive",
            Self::TorchScript => "TorchScript",
            Self::Hdf5 => "HDF5",
            Self::KerasArchive => "Keras archive",
            Self::SavedModel => "SavedModel",
            Self::TfLite => "TensorFlow Lite",
            Self::Numpy => "numpy array",
            Self::SentencePiece => "SentencePiece",
            Self::Zip => "zip archive",
            Self::Packed => "packed file",
            Self::Json => "JSON",
            Self::Text => "text",
            Self::Document => "document",
            Self::Program => "program",
            Self::Empty => "empty file",
            Self::Unknown => "unknown format",
        }
    }

    /// The format as an AIModel declares it, for those that carry weights.
    #[must_use]
    pub const fn declared(self) -> Option<ModelFormat> {
        match self {
            Self::Safetensors => Some(ModelFormat::Safetensors),
            Self::Gguf => Some(ModelFormat::Gguf),
            Self::Onnx => Some(ModelFormat::Onnx),
            Self::Pickle | Self::TorchArchive => Some(ModelFormat::Pickle),
            Self::TorchScript => Some(ModelFormat::TorchScript),
            Self::SavedModel => Some(ModelFormat::SavedModel),
            Self::Hdf5 | Self::KerasArchive | Self::TfLite | Self::Numpy => Some(ModelFormat::Other),
            _ => None,
        }
    }

    /// Whether its kind, whatever one file of it holds, is one that can carry code: nobody proves that a scan of it saw all.
    #[must_use]
    pub const fn can_carry_code(self) -> bool {
        matches!(
            self,
            Self::Pickle
                | Self::TorchArchive
                | Self::TorchScript
                | Self::Hdf5
                | Self::KerasArchive
                | Self::SavedModel
                | Self::Program
        )
    }

    /// The format of this name, among those that can carry code.
    #[must_use]
    pub fn carrier(name: &str) -> Option<Self> {
        let carriers = [
            Self::Pickle,
            Self::TorchArchive,
            Self::TorchScript,
            Self::Hdf5,
            Self::KerasArchive,
            Self::SavedModel,
            Self::Program,
        ];
        carriers.into_iter().find(|format| format.name() == name)
    }

    /// What a file's name promises, in lower or upper case; nothing is ever concluded from this alone.
    #[must_use]
    pub fn promised(name: &str) -> Option<Self> {
        let ending = name.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
        Some(match ending.as_str() {
            "safetensors" => Self::Safetensors,
            "gguf" => Self::Gguf,
            "onnx" => Self::Onnx,
            "pkl" | "pickle" | "joblib" | "pt" | "pth" | "ckpt" => Self::Pickle,
            "h5" | "hdf5" => Self::Hdf5,
            "keras" => Self::KerasArchive,
            "tflite" => Self::TfLite,
            "npy" => Self::Numpy,
            "npz" | "zip" => Self::Zip,
            "json" => Self::Json,
            _ => return None,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What reading a file as a model does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loading {
    /// It yields data.
    Data,
    /// It can run code; what says so.
    Code(String),
    /// That could not be seen; why.
    Unknown(String),
}

/// What was seen of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Its format.
    pub format: Format,
    /// What reading it does.
    pub loading: Loading,
}

impl Examined {
    const fn data(format: Format) -> Self {
        Self { format, loading: Loading::Data }
    }

    fn code(format: Format, why: impl Into<String>) -> Self {
        Self { format, loading: Loading::Code(why.into()) }
    }

    fn unknown(format: Format, why: impl Into<String>) -> Self {
        Self { format, loading: Loading::Unknown(why.into()) }
    }
}

/// How much of the beginning tells the format.
const HEAD: usize = 4096;

/// Looks at a file. `name` is its path within the model.
///
/// Guarantees: reads headers and indices, follows pickles, and streams through what has neither; memory is bounded
/// whatever the bytes are, and nothing in the file is run.
///
/// # Errors
/// Only where reading fails; bytes that make no sense are an answer.
pub fn examine(name: &str, source: &mut dyn Source) -> io::Result<Examined> {
    let size = source.seek(SeekFrom::End(0))?;
    if size == 0 {
        return Ok(Examined::data(Format::Empty));
    }
    source.rewind()?;
    let mut head = Vec::with_capacity(HEAD);
    source.take(HEAD as u64).read_to_end(&mut head)?;
    let seen = by_content(name, &head, size, source)?;
    let seen = hidden_archive(seen, size, source)?;
    Ok(against_name(name, seen))
}

fn by_content(name: &str, head: &[u8], size: u64, source: &mut dyn Source) -> io::Result<Examined> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") {
        return archive::examine(size, source);
    }
    if starts(b"GGUF") {
        return tensors::gguf(size, source);
    }
    if starts(b"\x89HDF\r\n\x1a\n") {
        return scan::hdf5(source);
    }
    if starts(b"\x93NUMPY") {
        return Ok(scan::numpy(head));
    }
    if head.get(4..8) == Some(b"TFL3") {
        return Ok(Examined::data(Format::TfLite));
    }
    if starts(b"\x7fELF") || starts(b"MZ") || starts(b"\xcf\xfa\xed\xfe") || starts(b"\xca\xfe\xba\xbe") {
        return Ok(Examined::code(Format::Program, "it is a program or library"));
    }
    if starts(b"#!") {
        return Ok(Examined::code(Format::Program, "it is a script"));
    }
    if let Some(seen) = tensors::safetensors(size, source)? {
        return Ok(seen);
    }
    if let Some(seen) = pickle::examine(head, source)? {
        return Ok(seen);
    }
    if let Some(seen) = onnx::examine(name, size, source)? {
        return Ok(seen);
    }
    if let Some(packed) = packing(head) {
        return Ok(Examined::unknown(
            Format::Packed,
            format!("it is packed ({packed}), so what is inside cannot be seen"),
        ));
    }
    if [b"\x89PNG\r\n".as_slice(), b"\xff\xd8\xff", b"GIF8", b"%PDF-"].iter().any(|magic| starts(magic)) {
        return Ok(Examined::data(Format::Document));
    }
    scan::text(name, source)
}

fn packing(head: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 7] = [
        (b"\x1f\x8b", "gzip"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"7z\xbc\xaf", "7z"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"Rar!", "rar"),
    ];
    // joblib packs with zlib, whose two bytes of header are divisible by 31.
    let zlib = head.first() == Some(&0x78)
        && head.get(1).is_some_and(|second| (0x7800 | u16::from(*second)) % 31 == 0)
        && head.iter().any(|byte| *byte >= 0x80 || *byte == 0);
    let tar = (head.get(257..262) == Some(b"ustar")).then_some("tar");
    known
        .iter()
        .find(|(magic, _)| head.starts_with(magic))
        .map(|(_, name)| *name)
        .or_else(|| zlib.then_some("zlib"))
        .or(tar)
}

/// A zip archive is found from its end: one that hides behind data of another kind is read by those who look there.
fn hidden_archive(seen: Examined, size: u64, source: &mut dyn Source) -> io::Result<Examined> {
    use Format::{KerasArchive, Text, TorchArchive, TorchScript, Zip};
    let is_archive = matches!(seen.format, KerasArchive | TorchArchive | TorchScript | Zip);
    if is_archive || seen.format == Text || matches!(seen.loading, Loading::Code(_)) {
        return Ok(seen);
    }
    if archive::is_at_end(size, source)? {
        return Ok(Examined::unknown(seen.format, "a zip archive stands behind its data"));
    }
    Ok(seen)
}

/// A name that promises another format than the bytes have is told, and never believed.
fn against_name(name: &str, seen: Examined) -> Examined {
    let Some(promised) = Format::promised(name) else { return seen };
    let Examined { format, loading } = seen;
    let kept = match promised {
        Format::Pickle => !matches!(format, Format::Unknown),
        Format::Zip | Format::KerasArchive => !matches!(format, Format::Unknown | Format::Text),
        other => other == format,
    };
    if kept {
        return Examined { format, loading };
    }
    let said = format!("its name promises {promised}, but it is {}", with_article(format));
    let loading = match loading {
        Loading::Code(why) => Loading::Code(format!("{said}; {why}")),
        Loading::Unknown(why) => Loading::Unknown(format!("{said}; {why}")),
        Loading::Data => Loading::Unknown(said),
    };
    Examined { format, loading }
}

fn with_article(format: Format) -> String {
    match format {
        Format::Onnx | Format::Hdf5 | Format::Empty | Format::Unknown => format!("an {format}"),
        Format::Text | Format::Json | Format::Safetensors | Format::Gguf => format!("{format}"),
        _ => format!("a {format}"),
    }
}

#[cfg(test)]
#[path = "format/tests.rs"]
mod tests;
