//! Whether what a workload would go back to is still there: the manifest and each layer.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use portcullis::gather::registry::{Artifact, Presence, Question};
use serde_json::{Value, json};

use super::server::{INDEX, MANIFEST, Registry};
use super::{soon, trust, verifier};

/// Stores an image with these layers; the answer is its descriptor.
fn image(registry: &Registry, layers: &[&[u8]]) -> Value {
    let mut layers: Vec<Value> = layers.iter().map(|bytes| registry.put_blob(bytes)).collect();
    layers.push(json!({"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "digest": format!("sha256:{}", "0".repeat(64)), "size": 9}));
    let config = registry.put_blob(b"{}");
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).to_string();
    registry.put_manifest("team/chat", None, MANIFEST, manifest.as_bytes())
}

async fn ask(registry: &Registry, digest: &Value) -> Presence {
    let image = super::image(registry, "chat", digest.as_str().unwrap());
    let trust = trust(&registry.host(), &["ed25519"]);
    let question = Question { image: &image, artifact: Artifact::Image, namespace: None };
    verifier().presence(question, &trust, None, soon()).await
}

fn without(registry: &Registry, digest: &Value) {
    let path = digest.as_str().unwrap().to_owned();
    registry.twist(move |seen| seen.path.ends_with(&path).then(|| StatusCode::NOT_FOUND.into_response()));
}

#[tokio::test]
async fn an_image_is_there_when_all_of_it_is() {
    let registry = Registry::start(true).await;
    let large = vec![7; 3 << 20];
    let stored = image(&registry, &[b"first", &large])["digest"].clone();
    assert_eq!(ask(&registry, &stored).await, Presence::There);
    let layers = registry.paths().iter().filter(|path| path.contains("/blobs/")).count();
    assert_eq!(layers, 3, "the configuration and two layers");
    for gone in [stored.clone(), registry.put_blob(&large)["digest"].clone()] {
        without(&registry, &gone);
        assert_eq!(ask(&registry, &stored).await, Presence::Gone(gone.as_str().unwrap().to_owned()));
    }
    registry.twist(|_| Some(StatusCode::BAD_GATEWAY.into_response()));
    assert!(matches!(ask(&registry, &stored).await, Presence::Unknown(_, false)));
    registry.twist(|_| Some(StatusCode::FORBIDDEN.into_response()));
    assert!(matches!(ask(&registry, &stored).await, Presence::Unknown(_, true)));
}

#[tokio::test]
async fn of_an_index_one_platform_is_enough() {
    let registry = Registry::start(true).await;
    let (one, other) = (image(&registry, &[b"one"]), image(&registry, &[b"other"]));
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [one, other]}).to_string();
    let index = registry.put_manifest("team/chat", None, INDEX, index.as_bytes())["digest"].clone();
    assert_eq!(ask(&registry, &index).await, Presence::There);
    without(&registry, &one["digest"]);
    assert_eq!(ask(&registry, &index).await, Presence::There);
    registry.twist(|seen| seen.path.contains("/blobs/").then(|| StatusCode::NOT_FOUND.into_response()));
    assert!(matches!(ask(&registry, &index).await, Presence::Gone(_)));
}
