//! The same artifacts by our verifier and by real cosign: equal verdicts, or a reason why not. Where no cosign is
//! installed, the verdicts that it gave when this table was written are held.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use portcullis::gather::registry::{AttestationSpec, CompiledTrust};

use super::server::{Registry, digest};
use super::{ask, authority, image, policy, public};

/// Layout, key, type of attestation as cosign and as statements name it, and cosign's verdict.
type Case = (&'static str, &'static str, Option<(&'static str, &'static str)>, bool);

const PROVENANCE: Option<(&str, &str)> = Some(("slsaprovenance1", "https://slsa.dev/provenance/v1"));
const PROVENANCE_02: Option<(&str, &str)> = Some(("slsaprovenance", "https://slsa.dev/provenance/v0.2"));
const CYCLONEDX: Option<(&str, &str)> = Some(("cyclonedx", "https://cyclonedx.org/bom"));
const SPDX: Option<(&str, &str)> = Some(("spdxjson", "https://spdx.dev/Document"));
const VULN: Option<(&str, &str)> = Some(("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"));

const CASES: &[Case] = &[
    ("v2-ecdsa-p256", "ecdsa-p256", None, true),
    ("v2-ecdsa-p256", "other", None, false),
    ("v2-ecdsa-p384", "ecdsa-p384", None, true),
    ("v2-ed25519", "ed25519", None, false),
    ("v2-rsa-3072", "rsa-3072", None, true),
    ("v2-rsa-3072", "ecdsa-p256", None, false),
    ("v3-ecdsa-p256", "ecdsa-p256", None, true),
    ("v3-ecdsa-p256", "other", None, false),
    ("v3-ecdsa-p384", "ecdsa-p384", None, true),
    ("v3-ed25519", "ed25519", None, false),
    ("v3-ed25519", "other", None, false),
    ("v3-rsa-3072", "rsa-3072", None, true),
    ("unsigned", "ecdsa-p256", None, false),
    ("two-signers", "other", None, true),
    ("two-signers", "ecdsa-p256", None, true),
    ("two-signers", "ed25519", None, false),
    ("attested", "ecdsa-p256", None, true),
    ("attested-and-signed", "ecdsa-p256", None, true),
    ("attested-and-signed", "ecdsa-p256", CYCLONEDX, true),
    ("attested-and-signed", "ecdsa-p256", PROVENANCE, false),
    ("stated-v2", "ecdsa-p256", PROVENANCE, true),
    ("stated-v2", "ecdsa-p256", PROVENANCE_02, true),
    ("stated-v2", "ecdsa-p256", CYCLONEDX, true),
    ("stated-v2", "ecdsa-p256", SPDX, true),
    ("stated-v2", "ecdsa-p256", VULN, true),
    ("stated-v2", "other", VULN, false),
    ("stated-v3", "ecdsa-p256", PROVENANCE, true),
    ("stated-v3", "ecdsa-p256", PROVENANCE_02, true),
    ("stated-v3", "ecdsa-p256", CYCLONEDX, true),
    ("stated-v3", "ecdsa-p256", SPDX, true),
    ("stated-v3", "ecdsa-p256", VULN, true),
    ("stated-v3", "other", VULN, false),
    ("index-signed", "ecdsa-p256", None, true),
    ("platform-signed", "ecdsa-p256", None, false),
];

/// Where we differ, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "v2-ed25519",
        "ed25519",
        "cosign 3.1.3 signs as Ed25519ph and verifies as Ed25519, so it refuses what it signed",
    ),
    ("v3-ed25519", "ed25519", "the same in bundles"),
    (
        "attested",
        "ecdsa-p256",
        "cosign takes any statement in a bundle for a signature; an attestation is none here",
    ),
];

/// cosign on PATH or where the tools of this repository are kept.
fn cosign() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.push(home.join(".cache/portcullis/tools/bin"));
    places.into_iter().map(|place| place.join("cosign")).find(|file| file.is_file())
}

/// Whether cosign accepts it; it never leaves loopback, because everything it needs is given.
async fn accepts(cosign: PathBuf, reference: String, key: &str, kind: Option<&str>) -> bool {
    // It takes SHA-256 for every key unless told; for P-384 it signs with SHA-384.
    let hash = (key == "ecdsa-p384").then_some("--signature-digest-algorithm=sha384");
    let key = format!("{}/tests/signed/{key}.pub", env!("CARGO_MANIFEST_DIR"));
    let kind = kind.map(str::to_owned);
    let run = move || {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(cosign);
        command.env_clear().env("HOME", home.path());
        match kind {
            Some(kind) => command.args(["verify-attestation", "--type", &kind]),
            None => command.arg("verify"),
        };
        command.args(["--key", &key, "--insecure-ignore-tlog=true", "--allow-http-registry"]);
        command.args(hash).arg(&reference).output().unwrap().status.success()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_verdict_is_cosigns_or_stands_among_the_exceptions() {
    let cosign = cosign();
    let mut wrong = Vec::new();
    for (layout, key, statement, theirs) in CASES {
        let registry = Registry::start(true).await;
        let subject = registry.load(layout);
        let signer = authority("ci", &public(key));
        let mut spec = policy(&registry.host(), vec![signer]);
        spec.rules[0].attestations = statement
            .iter()
            .map(|(_, kind)| AttestationSpec {
                predicate_type: (*kind).to_owned(),
                ..AttestationSpec::default()
            })
            .collect();
        let ours = ask(&image(&registry, layout, &subject), &Arc::new(CompiledTrust::compile(&[spec]))).await;
        let live = match &cosign {
            Some(cosign) => {
                let reference = format!("{}/team/{layout}@{subject}", registry.host());
                accepts(cosign.clone(), reference, key, statement.map(|(kind, _)| kind)).await
            }
            None => *theirs,
        };
        let name = format!("{layout} under {key} {statement:?}");
        if live != *theirs {
            wrong.push(format!("{name}: cosign says {live}, the table {theirs}"));
        }
        let excepted = EXCEPTIONS.iter().any(|(of, under, _)| (of, under) == (layout, key));
        if (ours.is_verified() == live) == excepted {
            wrong.push(format!("{name}: cosign says {live}, we say {ours:?}, excepted: {excepted}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_after_signing_is_refused_by_both() {
    let cosign = cosign();
    for (layout, of) in [("v2-ecdsa-p256", "v2-ecdsa-p384"), ("v3-ecdsa-p256", "stated-v3")] {
        let registry = Registry::start(true).await;
        let theirs = registry.load(of);
        registry.load("unsigned");
        let mine = digest(&registry.bytes("team/unsigned", "v1"));
        registry.copy_repository("team/unsigned", &format!("team/{layout}"));
        registry.steal(&format!("team/{of}"), &theirs, &format!("team/{layout}"), &mine);
        let trust = super::trust(&registry.host(), &["ecdsa-p256", "ecdsa-p384"]);
        let ours = ask(&image(&registry, layout, &mine), &trust).await;
        assert!(ours.to_string().contains("it is for another digest"), "{layout}: {ours:?}");
        if let Some(cosign) = &cosign {
            let reference = format!("{}/team/{layout}@{mine}", registry.host());
            assert!(!accepts(cosign.clone(), reference, "ecdsa-p256", None).await, "{layout}");
        }
    }
}
