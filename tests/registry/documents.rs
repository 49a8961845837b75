//! Documents and bundles in registries: read within bounds, from listed registries only.

use serde_json::json;

use super::server::{MANIFEST, Registry, digest};
use super::{authority, policy, public};
use portcullis::gather::registry::{Bundles, CompiledTrust, Document, ImageRef, Verifier, VerifierConfig};

/// What an endless body is made of.
static CHUNK: [u8; 65536] = [b' '; 65536];
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

#[tokio::test]
async fn another_document_behind_the_tag_is_another_and_a_hostile_registry_gives_none() {
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;
    use std::io::Write as _;

    let registry = Registry::start(true).await;
    let host = registry.host();
    let trust = CompiledTrust::compile(&[policy(&host, vec![authority("acme", &public("ecdsa-p256"))])]);
    let short =
        VerifierConfig { lookup_timeout: std::time::Duration::from_secs(3), ..VerifierConfig::default() };
    let verifier = Verifier::new(short);
    let put = |text: &[u8]| {
        let layer = registry.put_blob(text);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]}).to_string();
        registry.put_manifest("documents/plan", Some("1"), MANIFEST, manifest.as_bytes())
    };
    let tagged = image(&format!("{host}/documents/plan:1"));
    let read = async |image: &ImageRef| verifier.document(image, &trust, None).await;
    let first = put(b"the plan")["digest"].as_str().unwrap().to_owned();
    assert_eq!(read(&tagged).await.unwrap().unwrap().digest, first);
    let second = put(b"another plan")["digest"].as_str().unwrap().to_owned();
    let found = read(&tagged).await.unwrap().unwrap();
    assert_eq!((found.digest, found.layers), (second.clone(), vec![digest(b"another plan")]));
    // By its digest the first one is there still, and the second is not shown for it.
    let bound = image(&format!("{host}/documents/plan@{first}"));
    assert_eq!(read(&bound).await.unwrap().unwrap().digest, first);
    let bytes = registry.bytes("documents/plan", &second);
    registry.twist(move |_| Some(([("content-type", MANIFEST)], bytes.clone()).into_response()));
    let malformed =
        format!("a manifest of registry {host:?} is malformed: its bytes are not those of its digest");
    assert_eq!(read(&bound).await, Err(malformed));
    // What is packed is not unpacked.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&vec![b' '; 64 << 20]).unwrap();
    let bomb = packer.finish().unwrap();
    registry.twist(move |_| {
        Some(([("content-type", MANIFEST), ("content-encoding", "gzip")], bomb.clone()).into_response())
    });
    let packed =
        format!("a manifest of registry {host:?} is malformed: it is compressed, which nobody asked for");
    for asked in [&bound, &tagged] {
        assert_eq!(read(asked).await, Err(packed.clone()));
    }
    let long = |_: &super::server::Seen| {
        let body = super::server::endless(&CHUNK, std::time::Duration::ZERO);
        Some(([("content-type", MANIFEST)], body).into_response())
    };
    registry.twist(long);
    assert_eq!(
        read(&tagged).await,
        Err(format!("a manifest of registry {host:?} is longer than 4194304 bytes"))
    );
    // Neither to another host nor to itself.
    let elsewhere = Registry::start(true).await;
    for target in [elsewhere.host(), host.clone()] {
        let to = format!("http://{target}/v2/documents/plan/manifests/2");
        registry.twist(move |_| {
            Some((StatusCode::TEMPORARY_REDIRECT, [("location", to.clone())]).into_response())
        });
        let said = read(&tagged).await.unwrap_err();
        assert!(said.starts_with(&format!("registry {host:?} ")), "{said}");
        assert_eq!(registry.seen().iter().filter(|seen| seen.path.ends_with("/2")).count(), 0);
    }
    assert!(elsewhere.seen().is_empty(), "no packet leaves");
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        registry.twist(move |_| Some((status, [("www-authenticate", "Basic realm=x")]).into_response()));
        let said = read(&tagged).await.unwrap_err();
        assert_eq!(said, format!("registry {host:?} refuses to answer without credentials"), "{status}");
    }
    // Bundles of evidence are looked for within the same bounds.
    assert!(verifier.bundles(&bound, &trust, None).await.unwrap_err().ends_with("without credentials"));
    registry.twist(long);
    assert!(
        verifier.bundles(&bound, &trust, None).await.unwrap_err().ends_with("is longer than 4194304 bytes")
    );
}
