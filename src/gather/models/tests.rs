//! Directories against manifests: strict about what is there, fast and bounded in what it reads.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use super::*;
use crate::models::manifest::{HashKind, Piece};

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(HashKind::Sha256, bytes)
}

/// A directory with these files, and the manifest of it.
fn model(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Manifest) {
    let root = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let hashes: Vec<_> = files.iter().map(|(path, bytes)| (*path, hex::encode(sha256(bytes)))).collect();
    let manifest = Manifest::of_files(hashes.iter().map(|(path, hash)| (*path, hash.as_str()))).unwrap();
    (root, manifest)
}

fn checked(root: &Path, manifest: &Manifest) -> Checked {
    check(root, manifest, None, Options { threads: 3, formats: true }, &Progress::silent())
}

#[test]
fn every_file_counts_and_is_looked_at() {
    let (root, manifest) = model(&[("a.txt", b"a"), ("b/c.json", b"{}"), ("b/empty", b"")]);
    let seen = checked(root.path(), &manifest);
    assert_eq!((seen.files, seen.bytes), (3, 3));
    assert!(seen.wrong.is_empty() && seen.unclear.is_empty() && seen.code.is_empty(), "{seen:?}");
    let formats: Vec<_> = seen.formats.into_iter().collect();
    assert_eq!(formats, [("JSON", 1), ("empty file", 1), ("text", 1)]);
}

#[test]
fn links_pipes_and_sockets_are_no_files() {
    let (root, manifest) = model(&[("a", b"a")]);
    let at = |name: &str| root.path().join(name);
    symlink("a", at("link")).unwrap();
    symlink("/", at("folder")).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let seen = checked(root.path(), &manifest);
    assert_eq!(
        seen.wrong.lines(),
        [
            "\"folder\" is a symbolic link, not a file",
            "\"link\" is a symbolic link, not a file",
            "\"socket\" is a socket, not a file"
        ]
    );
    assert_eq!(seen.files, 1);
}

#[test]
fn what_the_manifest_leaves_out_is_small_text_of_git_or_refused() {
    let (root, mut manifest) = model(&[("a.txt", b"a")]);
    manifest.ignored =
        [".git", ".gitattributes", "hidden", "model.sig"].map(str::to_owned).into_iter().collect();
    let write = |path: &str, bytes: &[u8]| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write(".gitattributes", b"*.bin filter=lfs\n");
    write(".git/HEAD", b"ref: refs/heads/main\n");
    write("model.sig", b"{}");
    assert_eq!(checked(root.path(), &manifest).wrong.lines(), [""; 0]);
    let wrong = |path: &str, bytes: &[u8]| {
        write(path, bytes);
        let said = checked(root.path(), &manifest).wrong.lines();
        std::fs::remove_file(root.path().join(path)).unwrap();
        said
    };
    let weights = [b"\x02\0\0\0\0\0\0\0{}".as_slice(), &[0; 8]].concat();
    for (path, bytes, format) in [
        (".git/model.safetensors", b"\x08\0\0\0\0\0\0\0{\"a\":1}".as_slice(), "unknown format"),
        (".git/weights", b"GGUF\x03\0\0\0", "gguf"),
        (".git/modeling.py", b"import os\n", "program"),
        (".git/config.json", b"{\"auto_map\": {}}", "JSON"),
        (".git/pack", b"PK\x05\x06", "zip archive"),
        (".git/opaque", &weights[1..], "unknown format"),
        ("model.sig", b"GGUF\x03\0\0\0", "gguf"),
    ] {
        let said = wrong(path, bytes);
        assert_eq!(said.len(), 1, "{path}: {said:?}");
        assert!(said[0].starts_with(&format!("{path:?} is not signed, and is no plain text: ")), "{said:?}");
        if path != ".git/model.safetensors" && path != ".git/opaque" {
            assert!(said[0].ends_with(format), "{path}: {said:?}");
        }
    }
    assert_eq!(
        wrong("hidden/a.txt", b"a"),
        ["\"hidden/a.txt\" is there and not signed: the manifest leaves it out"]
    );
    assert_eq!(
        wrong(".git/long", &vec![b'a'; (1 << 20) + 1]),
        ["\".git/long\" is not signed, and has 1048577 bytes, more than 1048576"]
    );
}

#[test]
fn a_listed_file_that_is_a_link_is_missing_too() {
    let (root, manifest) = model(&[("a", b"a"), ("b", b"a")]);
    std::fs::remove_file(root.path().join("b")).unwrap();
    symlink("a", root.path().join("b")).unwrap();
    assert_eq!(
        checked(root.path(), &manifest).wrong.lines(),
        ["\"b\" is a symbolic link, not a file", "\"b\" is in the manifest and not there"]
    );
}

#[test]
fn a_file_that_took_the_place_of_another_is_not_read() {
    let (root, manifest) = model(&[("a", b"a")]);
    let walked = walk::walk(root.path(), |_| false);
    let found = walked.files["a"].clone();
    assert!(walk::open(root.path(), &found).unwrap().is_some());
    std::fs::rename(root.path().join("a"), root.path().join("b")).unwrap();
    symlink("/etc/hostname", root.path().join("a")).unwrap();
    assert!(walk::open(root.path(), &found).unwrap().is_none());
    let outcome = std::sync::Mutex::new(Vec::new());
    let job = Job { found, pieces: manifest.files["a"].clone() };
    hash_all(root.path(), HashKind::Sha256, vec![job], 1, &Progress::silent(), |_, hashed| {
        outcome.lock().unwrap().push(hashed);
    });
    assert_eq!(outcome.into_inner().unwrap(), [Hashed::Changed]);
}

#[test]
fn shards_of_one_file_are_hashed_beside_each_other_and_the_bad_one_is_named() {
    let data: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let size = 30_000_usize;
    let mut pieces = Vec::new();
    for (index, shard) in data.chunks(size).enumerate() {
        let start = (index * size) as u64;
        pieces.push(Piece { start, end: Some(start + shard.len() as u64), digest: sha256(shard) });
    }
    let (root, mut manifest) = model(&[("a", &data)]);
    manifest.sharded = true;
    manifest.files.insert("a".to_owned(), pieces);
    let seen = checked(root.path(), &manifest);
    assert_eq!((seen.files, seen.wrong.count()), (1, 0));
    let mut bent = data.clone();
    bent[3_333_333] ^= 1;
    std::fs::write(root.path().join("a"), bent).unwrap();
    assert_eq!(
        checked(root.path(), &manifest).wrong.lines(),
        ["\"a\" has other bytes than the manifest says, from 3330000 to 3360000"]
    );
}

#[test]
fn what_cannot_be_read_is_unclear_and_not_wrong() {
    let (root, manifest) = model(&[("a", b"a")]);
    let path = root.path().join("a");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads everything; then there is nothing to see here.
    if std::fs::File::open(&path).is_ok() {
        return;
    }
    let seen = checked(root.path(), &manifest);
    assert_eq!(seen.unclear.count(), 2);
    assert!(seen.wrong.is_empty());
}

#[test]
fn many_wrong_files_are_counted_and_only_some_are_named() {
    let (root, manifest) = model(&[("a", b"a")]);
    for index in 0..500 {
        std::fs::write(root.path().join(format!("extra-{index:03}")), "x").unwrap();
    }
    let seen = checked(root.path(), &manifest);
    assert_eq!(seen.wrong.count(), 500);
    let lines = seen.wrong.lines();
    assert_eq!(lines.len(), 21);
    assert_eq!(lines[0], "\"extra-000\" is there and not in the manifest");
    assert_eq!(lines[20], "and 480 more");
}

#[test]
fn progress_is_told_on_the_way() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&said);
    let progress =
        Progress::new(std::time::Duration::ZERO, move |line| hears.lock().unwrap().push(line.to_owned()));
    let (root, manifest) = model(&[("a", &vec![7; 3 << 20])]);
    let _ = check(root.path(), &manifest, None, Options { threads: 1, formats: false }, &progress);
    let said = said.lock().unwrap();
    assert_eq!(said[0], "1 file with 3145728 bytes is to be hashed");
    assert!(said[1].starts_with("33% hashed: 0 of 1 file, 1048576 of 3145728 bytes, "), "{said:?}");
}

#[test]
fn every_kind_of_hash_gives_what_others_give() {
    let expected = [
        (HashKind::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (HashKind::Blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
    ];
    for (kind, hex) in expected {
        assert_eq!(hex::encode(digest(kind, b"abc")), hex, "{kind}");
    }
    let starts = [
        (HashKind::Sha384, "cb00753f45a35e8b"),
        (HashKind::Sha512, "ddaf35a193617aba"),
        (HashKind::Blake2b, "ba80a53f981c4d0d"),
    ];
    for (kind, start) in starts {
        assert!(hex::encode(digest(kind, b"abc")).starts_with(start), "{kind}");
    }
}
