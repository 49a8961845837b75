//! What lies in the layers of models: pickles are found whatever they are called and however they are packed, and a
//! registry that plays with parts, bombs and lengths gets neither memory nor a good word.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::http::header::{CONTENT_RANGE, RANGE};
use axum::response::IntoResponse as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use portcullis::gather::registry::{
    Artifact, CompiledTrust, Contents, ImageRef, Question, Verification, Within,
};
use serde_json::{Value, json};

use super::server::{INDEX, MANIFEST, Registry, endless};
use super::{authority, policy, public, soon, verifier};

/// What an endless body is made of.
static CHUNK: [u8; 65536] = [1; 65536];
const EVIL: &[u8] = b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.";

/// Weights of `len` bytes behind a sound header.
fn safetensors(len: usize) -> Vec<u8> {
    let header = json!({ "w": { "dtype": "U8", "shape": [len], "data_offsets": [0, len] } }).to_string();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.resize(out.len() + len, 1);
    out
}

fn entry(path: &str, bytes: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    block[156] = b'0';
    block[257..263].copy_from_slice(b"ustar\0");
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend(bytes);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out: Vec<u8> = files.iter().flat_map(|(path, bytes)| entry(path, bytes)).collect();
    out.resize(out.len() + 1024, 0);
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Stores an artifact with these layers; the answer is its digest.
fn put(registry: &Registry, layers: &[(&str, Vec<u8>)]) -> String {
    let layers: Vec<Value> = layers
        .iter()
        .map(|(title, bytes)| {
            let mut layer = registry.put_blob(bytes);
            if !title.is_empty() {
                layer["annotations"] = json!({ "org.opencontainers.image.title": title });
            }
            layer
        })
        .collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers }).to_string();
    let stored = registry.put_manifest("team/m", None, MANIFEST, manifest.as_bytes());
    stored["digest"].as_str().unwrap().to_owned()
}

async fn look_within(
    registry: &Registry,
    digest: &str,
    within: Within<'_>,
    until: Instant,
) -> Result<Contents, Verification> {
    let mut spec = policy(&registry.host(), vec![authority("models", &public("model"))]);
    spec.rules[0].artifact = Artifact::Model;
    let trust = Arc::new(CompiledTrust::compile(&[spec]));
    let image = ImageRef::parse(&format!("{}/team/m@{digest}", registry.host())).unwrap();
    let question = Question { image: &image, artifact: Artifact::Model, namespace: None };
    verifier().contents(question, within, &trust, None, until).await
}

async fn look(registry: &Registry, digest: &str) -> Contents {
    let until = Instant::now() + Duration::from_mins(1);
    look_within(registry, digest, Within::All, until).await.unwrap()
}

const WORD: &str = "can run code when it is loaded: its pickle imports posix.system";

#[tokio::test]
async fn files_are_what_their_bytes_are_whatever_they_are_called_and_however_packed() {
    let registry = Registry::start(true).await;
    let good = safetensors(3000);
    let renamed = "\"model.safetensors\" can run code when it is loaded: its name promises safetensors, but it is a \
                   pickle; its pickle imports posix.system";
    for (layers, formats, code) in [
        (
            vec![("model.safetensors", good.clone()), ("config.json", b"{}".to_vec())],
            "JSON 1, safetensors 1",
            None,
        ),
        (vec![("model.safetensors", EVIL.to_vec())], "pickle 1", Some(renamed.to_owned())),
        (
            vec![("", archive(&[("m/a.safetensors", &good), ("m/b.bin", EVIL)]))],
            "pickle 1, safetensors 1",
            Some(format!("\"m/b.bin\" {WORD}")),
        ),
        (
            vec![("", gzip(&archive(&[("./m/a.safetensors", &good), ("m/b.bin", EVIL)])))],
            "pickle 1, safetensors 1",
            Some(format!("\"m/b.bin\" {WORD}")),
        ),
        (vec![("weights.bin.gz", gzip(EVIL))], "pickle 1", Some(format!("\"weights.bin\" {WORD}"))),
    ] {
        let digest = put(&registry, &layers);
        let seen = look(&registry, &digest).await;
        let said: Vec<_> = seen.formats.iter().map(|(format, count)| format!("{format} {count}")).collect();
        assert_eq!(said.join(", "), formats);
        assert_eq!(seen.code.lines(), code.into_iter().collect::<Vec<_>>());
        assert!(seen.unseen.is_empty() && seen.opaque.is_empty(), "{seen:?}");
    }
}

#[tokio::test]
async fn of_large_layers_only_parts_are_pulled() {
    let registry = Registry::start(true).await;
    let weights = safetensors(40 << 20);
    let layers = [("model.safetensors", weights.clone())];
    let digest = put(&registry, &layers);
    let seen = look(&registry, &digest).await;
    assert_eq!((seen.formats.get("safetensors"), seen.unseen.is_empty()), (Some(&1), true), "{seen:?}");
    let parts: Vec<_> = registry.seen().iter().filter_map(|seen| seen.headers.get(RANGE).cloned()).collect();
    assert_eq!(parts.len(), 3, "its beginning, and two pieces of its end: {parts:?}");
    // A pickle behind forty megabytes, in an archive that is not packed, and in one that is.
    let plain = archive(&[("a.safetensors", &weights), ("b.bin", EVIL)]);
    let packed = gzip(&plain);
    for layer in [plain, packed] {
        let digest = put(&registry, &[("", layer)]);
        registry.seen();
        let seen = look(&registry, &digest).await;
        assert_eq!(seen.code.lines(), [format!("\"b.bin\" {WORD}")], "{seen:?}");
        assert_eq!(seen.formats.get("safetensors"), Some(&1), "{seen:?}");
        let parts = registry.seen().iter().filter(|seen| seen.headers.contains_key(RANGE)).count();
        assert!(parts <= 5, "{parts}");
    }
}

#[tokio::test]
async fn in_an_image_only_the_folder_of_the_model_counts() {
    let registry = Registry::start(true).await;
    let layer = gzip(&archive(&[("usr/lib/x.py", b"import os\n"), ("models/m/a.bin", EVIL)]));
    let digest = put(&registry, &[("", layer)]);
    for (path, code, unseen) in
        [(Some("/models/m"), 1, 0), (Some("models/m/a.bin"), 1, 0), (Some("models/mm"), 0, 1), (None, 0, 1)]
    {
        let until = Instant::now() + Duration::from_secs(20);
        let seen = look_within(&registry, &digest, Within::Image(path), until).await.unwrap();
        assert_eq!((seen.code.count(), seen.unseen.count()), (code, unseen), "{path:?} {seen:?}");
    }
    // Every platform of an index is looked at; a statement about one is none.
    let child = registry.manifest("team/m", &digest).to_string();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
        { "mediaType": MANIFEST, "digest": digest, "size": child.len() },
        { "mediaType": MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 2,
            "platform": { "os": "unknown", "architecture": "unknown" },
            "annotations": { "vnd.docker.reference.type": "attestation-manifest" } },
    ]});
    let stored = registry.put_manifest("team/m", None, INDEX, index.to_string().as_bytes());
    let until = Instant::now() + Duration::from_secs(20);
    let of_index = stored["digest"].as_str().unwrap();
    let seen = look_within(&registry, of_index, Within::Image(Some("models")), until).await.unwrap();
    assert_eq!(seen.code.count(), 1, "{seen:?}");
}

#[tokio::test]
async fn abuse_054_a_bomb_is_unpacked_within_its_bound_and_named_as_unseen() {
    let registry = Registry::start(true).await;
    // A gigabyte of nothing in a megabyte, packed into one file that never shows what it is.
    let mut bomb = entry("a.bin", &[]);
    bomb[124..135].copy_from_slice(b"77777777777");
    bomb[148..156].copy_from_slice(b"        ");
    let sum: u32 = bomb.iter().map(|byte| u32::from(*byte)).sum();
    bomb[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&bomb).unwrap();
    for _ in 0..256 {
        packer.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let digest = put(&registry, &[("", packer.finish().unwrap())]);
    let seen = look(&registry, &digest).await;
    assert_eq!(seen.unseen.count(), 1, "{seen:?}");
    assert!(seen.formats.is_empty() && seen.code.is_empty(), "{seen:?}");
}

#[tokio::test]
async fn parts_that_are_not_what_was_asked_for_prove_nothing() {
    let registry = Registry::start(true).await;
    let digest = put(&registry, &[("model.safetensors", safetensors(20 << 20))]);
    let said = |answer: Result<Contents, Verification>| match answer {
        Ok(seen) => seen.unseen.lines().join("; "),
        Err(why) => why.to_string().replace(&registry.host(), "HOST"),
    };
    let ask = || look_within(&registry, &digest, Within::All, soon());
    // It ignores that only a part is wanted: the beginning is read, and no more.
    registry.twist(|seen| {
        let hit = seen.path.contains("/blobs/");
        hit.then(|| endless(&CHUNK, Duration::ZERO).into_response())
    });
    assert_eq!(said(ask().await), "\"model.safetensors\": the registry does not hand out parts of it");
    // Another part, a longer one, a shorter one, and none.
    let answer_with = |range: &'static str, body: usize| {
        registry.twist(move |seen| {
            let hit = seen.path.contains("/blobs/");
            hit.then(|| {
                (StatusCode::PARTIAL_CONTENT, [(CONTENT_RANGE, range)], vec![1; body]).into_response()
            })
        });
    };
    answer_with("bytes 5-9/20", 5);
    let malformed = "a layer of registry \"HOST\" is malformed: ";
    assert_eq!(said(ask().await), format!("{malformed}it is another part than the one asked for"));
    answer_with("bytes 0-1048575/99", 2 << 20);
    assert_eq!(said(ask().await), "a layer of registry \"HOST\" is longer than 1048576 bytes");
    answer_with("bytes 0-9/99", 10);
    assert_eq!(said(ask().await), format!("{malformed}a part of it is shorter than was asked for"));
    registry.twist(|seen| seen.path.contains("/blobs/").then(|| StatusCode::NOT_FOUND.into_response()));
    assert_eq!(
        said(ask().await),
        "a manifest of registry \"HOST\" is malformed: it names a blob that is not there"
    );
    // A small layer is compared with its digest.
    let small = put(&registry, &[("model.safetensors", EVIL.to_vec())]);
    let other = safetensors(EVIL.len());
    registry.twist(move |seen| seen.path.contains("/blobs/").then(|| other.clone().into_response()));
    let answer = look_within(&registry, &small, Within::All, soon()).await;
    assert_eq!(said(answer), format!("{malformed}its bytes are not those of its digest"));
}

#[tokio::test]
async fn what_policies_refuse_is_not_dialled_and_a_drip_ends_with_the_deadline() {
    let registry = Registry::start(true).await;
    let digest = put(&registry, &[("m", safetensors(20 << 20))]);
    let elsewhere = ImageRef::parse(&format!("{}/team/m@{digest}", registry.host())).unwrap();
    let trust = Arc::new(CompiledTrust::compile(&[policy("registry.example", Vec::new())]));
    let question = Question { image: &elsewhere, artifact: Artifact::Model, namespace: None };
    let answer = verifier().contents(question, Within::All, &trust, None, soon()).await;
    assert!(matches!(answer, Err(Verification::Refused(_))), "{answer:?}");
    assert!(registry.seen().is_empty(), "not one packet");
    registry.twist(|seen| {
        let hit = seen.path.contains("/blobs/");
        let headers = [(CONTENT_RANGE, "bytes 0-1048575/20000000")];
        hit.then(|| {
            (StatusCode::PARTIAL_CONTENT, headers, endless(b" ", Duration::from_millis(50))).into_response()
        })
    });
    let start = Instant::now();
    let answer = look_within(&registry, &digest, Within::All, start + Duration::from_millis(400)).await;
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    let reason = format!("registry \"{}\" did not answer in time", registry.host());
    assert_eq!(answer.unwrap_err().to_string(), reason);
}

/// A link in an archive.
fn link(path: &str, target: &str, kind: u8) -> Vec<u8> {
    let mut block = entry(path, b"");
    block[156] = kind;
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

#[tokio::test]
async fn a_way_round_into_the_folder_of_the_model_is_seen_and_a_link_out_of_it_is_named() {
    let registry = Registry::start(true).await;
    let good = || entry("models/m/a.safetensors", &safetensors(100));
    let evil = || entry("elsewhere/evil.bin", EVIL);
    let ends = || vec![0; 1024];
    let until = || Instant::now() + Duration::from_secs(20);
    for packed in [false, true] {
        for (name, parts, code, unseen) in [
            ("as it is", vec![good(), evil()], 0, None),
            ("a way round", vec![good(), entry("x/../models/m/evil.bin", EVIL)], 1, None),
            ("empty parts", vec![good(), entry("/./models//m/evil.bin", EVIL)], 1, None),
            (
                "a link to a file",
                vec![good(), evil(), link("models/m/b.bin", "../../elsewhere/evil.bin", b'2')],
                0,
                Some("\"models/m/b.bin\": it is a link to \"elsewhere/evil.bin\", outside of the model"),
            ),
            (
                "a hard link to a file",
                vec![good(), evil(), link("models/m/b.bin", "elsewhere/evil.bin", b'1')],
                0,
                Some("\"models/m/b.bin\": it is a link to \"elsewhere/evil.bin\", outside of the model"),
            ),
            (
                "a link above the model",
                vec![evil(), link("models", "/elsewhere", b'2'), good()],
                0,
                Some("\"models\": it is a link to \"elsewhere\", outside of the model"),
            ),
            ("a link within", vec![good(), link("models/m/b", "a.safetensors", b'2')], 0, None),
            ("a link of others", vec![good(), link("bin", "usr/bin", b'2')], 0, None),
        ] {
            let bytes = [parts.concat(), ends()].concat();
            let layer = if packed { gzip(&bytes) } else { bytes };
            let digest = put(&registry, &[("", layer)]);
            let seen =
                look_within(&registry, &digest, Within::Image(Some("/models/m")), until()).await.unwrap();
            assert_eq!(seen.code.count(), code, "{name}: {seen:?}");
            assert_eq!(seen.unseen.lines(), unseen.into_iter().collect::<Vec<_>>(), "{name}");
        }
        // All of an artifact is looked at, so that only a link to the container's own files leads out.
        for (target, unseen) in [("../a.bin", 1), ("/etc/a.bin", 1), ("a.safetensors", 0)] {
            let file = entry("a.safetensors", &safetensors(100));
            let bytes = [file, link("b.safetensors", target, b'2'), ends()].concat();
            let digest = put(&registry, &[("", if packed { gzip(&bytes) } else { bytes })]);
            let seen = look(&registry, &digest).await;
            assert_eq!(seen.unseen.count(), unseen, "{target}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn a_platform_that_is_called_a_statement_is_looked_at_all_the_same() {
    let registry = Registry::start(true).await;
    let layer = gzip(&archive(&[("models/a.bin", EVIL)]));
    let digest = put(&registry, &[("", layer)]);
    for (platform, code) in [
        (json!({ "os": "linux", "architecture": "amd64" }), 1),
        (json!(null), 1),
        (json!({ "os": "unknown" }), 0),
    ] {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
            { "mediaType": MANIFEST, "digest": digest, "size": 1, "platform": platform,
                "annotations": { "vnd.docker.reference.type": "attestation-manifest" } },
        ]});
        let stored = registry.put_manifest("team/m", None, INDEX, index.to_string().as_bytes());
        let seen = look(&registry, stored["digest"].as_str().unwrap()).await;
        assert_eq!(seen.code.count(), code, "{platform}: {seen:?}");
    }
}
