//! Documents and bundles in registries: read within bounds, from listed registries only.

use serde_json::json;

use super::server::{MANIFEST, Registry, digest};
use super::{authority, policy, public};
use portcullis::gather::registry::{Bundles, CompiledTrust, Document, ImageRef, Verifier, VerifierConfig};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn image(text: &str) -> ImageRef {
    ImageRef::parse(text).unwrap()
}

#[tokio::test]
async fn a_document_is_its_manifest_and_its_layers() {
    let registry = Registry::start(true).await;
    let host = registry.host();
    let trust = CompiledTrust::compile(&[policy(&host, vec![authority("acme", &public("ecdsa-p256"))])]);
    let verifier = Verifier::new(VerifierConfig::default());
    let layer = registry.put_blob(b"the plan");
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]});
    registry.put_manifest("documents/plan", Some("1"), MANIFEST, manifest.to_string().as_bytes());
    let found = verifier.document(&image(&format!("{host}/documents/plan:1")), &trust, None).await;
    let found = found.unwrap().unwrap();
    let wanted = Document { digest: found.digest.clone(), layers: vec![digest(b"the plan")] };
    assert_eq!(found, wanted);
    // The same by its digest, and nothing under another name or another digest.
    let bound = image(&format!("{host}/documents/plan@{}", found.digest));
    assert_eq!(verifier.document(&bound, &trust, None).await, Ok(Some(wanted)));
    for gone in [format!("{host}/documents/plan:2"), format!("{host}/documents/plan@{}", digest(b"x"))] {
        assert_eq!(verifier.document(&image(&gone), &trust, None).await, Ok(None));
    }
    registry.seen();
    let elsewhere = verifier.document(&image("elsewhere.example/documents/plan:1"), &trust, None).await;
    let refused = "registry \"elsewhere.example\" is not on the list of allowed registries";
    assert_eq!(elsewhere, Err(refused.to_owned()));
    assert!(registry.seen().is_empty(), "no packet leaves");
}

#[tokio::test]
async fn bundles_that_refer_to_an_artifact_are_read() {
    let registry = Registry::start(true).await;
    let host = registry.host();
    let trust = CompiledTrust::compile(&[policy(&host, vec![authority("acme", &public("ecdsa-p256"))])]);
    let verifier = Verifier::new(VerifierConfig::default());
    let subject = digest(b"chat");
    let asked = image(&format!("{host}/chat@{subject}"));
    assert_eq!(verifier.bundles(&asked, &trust, None).await, Ok(Bundles::default()));
    let mut layer = registry.put_blob(b"{}");
    layer["mediaType"] = json!(BUNDLE);
    let other = registry.put_blob(b"no bundle");
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE, "layers": [layer, other]});
    let bytes = manifest.to_string();
    let mut referrer = registry.put_manifest("chat", None, MANIFEST, bytes.as_bytes());
    referrer["artifactType"] = json!(BUNDLE);
    registry.put_referrers("chat", &subject, &[referrer]);
    assert_eq!(
        verifier.bundles(&asked, &trust, None).await,
        Ok(Bundles { found: vec![b"{}".to_vec()], unseen: None })
    );
}
