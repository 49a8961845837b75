//! Formats and what loading does, on files that the libraries themselves wrote (tests/models/formats.py).

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn seen(path: &str) -> Examined {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/formats").join(path);
    examine(path, &mut Cursor::new(std::fs::read(file).unwrap())).unwrap()
}

/// Every file of a folder by its name, so that none is forgotten.
fn folder(name: &str) -> BTreeMap<String, Examined> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/formats").join(name);
    std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|file| (file.clone(), seen(&format!("{name}/{file}"))))
        .collect()
}

#[test]
fn data_is_data_and_has_its_format() {
    let expected = BTreeMap::from([
        ("model.safetensors", Format::Safetensors),
        ("model.gguf", Format::Gguf),
        ("model.onnx", Format::Onnx),
        ("array.npy", Format::Numpy),
        ("arrays.npz", Format::Zip),
        ("model.keras", Format::KerasArchive),
        ("weights.h5", Format::Hdf5),
        ("pytorch_model.bin", Format::TorchArchive),
        ("legacy.pt", Format::Pickle),
        ("plain.pkl", Format::Pickle),
        ("array.pkl", Format::Pickle),
        ("config.json", Format::Json),
        ("labels.txt", Format::Text),
        ("README.md", Format::Text),
        ("empty.txt", Format::Empty),
    ]);
    let expected: BTreeMap<String, Examined> =
        expected.into_iter().map(|(name, format)| (name.to_owned(), Examined::data(format))).collect();
    assert_eq!(folder("data"), expected);
}

#[test]
fn code_is_seen_and_the_reason_is_told() {
    let expected = [
        ("harmful.pkl", Format::Pickle, "its pickle imports posix.system"),
        ("harmful-0.pkl", Format::Pickle, "its pickle imports posix.system"),
        (
            "weights.safetensors",
            Format::Pickle,
            "its name promises safetensors, but it is a pickle; its pickle imports posix.system",
        ),
        ("notes.txt", Format::Pickle, "its pickle imports posix.system"),
        ("breaks-off.bin", Format::Pickle, "its pickle imports posix.system"),
        ("second.pkl", Format::Pickle, "its pickle imports posix.system"),
        ("pytorch_model.bin", Format::TorchArchive, "\"archive/data.pkl\": its pickle imports os.system"),
        ("computed.pkl", Format::Pickle, "its pickle imports a name that is made while it runs"),
        ("registry.pkl", Format::Pickle, "its pickle imports a name that is made while it runs"),
        ("script.pt", Format::TorchScript, "it holds a TorchScript program"),
        ("objects.npy", Format::Numpy, "it is an array of Python objects, which is a pickle"),
        ("lambda.keras", Format::KerasArchive, "\"config.json\": a layer of it is a Python lambda"),
        ("lambda.h5", Format::Hdf5, "a layer of it is a Python lambda"),
        ("custom.onnx", Format::Onnx, "it needs operators of \"acme.ops\", which come as a library"),
        ("saved_model.pb", Format::SavedModel, "its graph is a program that can read and write files"),
        ("config.json", Format::Json, "it names code that a loader is to fetch and run"),
        ("modeling.py", Format::Program, "it is source code"),
        ("libops.bin", Format::Program, "it is a program or library"),
    ];
    let expected: BTreeMap<String, Examined> = expected
        .into_iter()
        .map(|(name, format, why)| (name.to_owned(), Examined::code(format, why)))
        .collect();
    assert_eq!(folder("code"), expected);
}

#[test]
fn what_cannot_be_seen_is_unknown_and_never_data() {
    let expected = [
        ("trailing.safetensors", Format::Safetensors, "its tensors end at 16 of 20 bytes"),
        ("holes.safetensors", Format::Safetensors, "tensor \"weight\" does not follow the one before it"),
        ("hidden.gguf", Format::Gguf, "a zip archive stands behind its data"),
        ("beyond.gguf", Format::Gguf, "a tensor lies beyond the end of the file"),
        ("version.gguf", Format::Gguf, "its version 9 is not known"),
        ("outside.onnx", Format::Onnx, "its weights lie outside the model, at \"../../etc/passwd\""),
        ("packed.joblib", Format::Packed, "it is packed (zlib), so what is inside cannot be seen"),
        (
            "packed.bin",
            Format::TorchArchive,
            "\"archive/data.pkl\": it is packed, so what is inside cannot be seen",
        ),
        ("cut.pkl", Format::Pickle, "its pickle cannot be followed beyond byte 60"),
        ("noise.bin", Format::Unknown, "its format is none that is known"),
        ("text.safetensors", Format::Text, "its name promises safetensors, but it is text"),
        (
            "twice.pt",
            Format::Zip,
            "the index of the archive names a file twice, and readers differ in which they take",
        ),
    ];
    let expected: BTreeMap<String, Examined> = expected
        .into_iter()
        .map(|(name, format, why)| (name.to_owned(), Examined::unknown(format, why)))
        .collect();
    assert_eq!(folder("unknown"), expected);
}

#[test]
fn a_flood_of_values_ends_in_a_bounded_stack() {
    let mut flood = b"\x80\x04".to_vec();
    flood.resize(3 << 20, b'N');
    let seen = examine("a.pkl", &mut Cursor::new(flood)).unwrap();
    assert_eq!(seen, Examined::unknown(Format::Pickle, "its pickle cannot be followed beyond byte 1048578"));
}

proptest! {
    #[test]
    fn any_bytes_are_answered(start in 0_usize..13, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let starts: [&[u8]; 13] = [
            b"", b"\x80\x04", b"GGUF\x03\0\0\0", b"PK\x03\x04", b"\x93NUMPY\x01\0", b"\x08\x07\x3a", b"\x89HDF\r\n\x1a\n",
            b"{", b"c", b"\x0a", b"\x08\x01\x12", b"PK\x05\x06", b"\x20\0\0\0\0\0\0\0{",
        ];
        let mut all = starts[start].to_vec();
        all.extend(bytes);
        for name in ["a.pkl", "a.safetensors", "tokenizer.model", "b"] {
            examine(name, &mut Cursor::new(all.clone())).unwrap();
        }
    }

    #[test]
    fn a_bent_archive_is_answered(at in 0_usize..700, byte in any::<u8>()) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/formats/data/pytorch_model.bin");
        let mut bytes = std::fs::read(file).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        examine("a.bin", &mut Cursor::new(bytes)).unwrap();
    }
}
