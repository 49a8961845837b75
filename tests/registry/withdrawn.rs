//! What is revoked of an artifact besides its own digest: a platform of an index, the index of a platform, a layer.

use std::sync::Arc;

use portcullis::gather::registry::{
    CompiledTrust, ImageRef, PolicySpec, RevokedKind, RevokedSpec, SupplierSpec, Verification,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::server::{Registry, digest};
use super::{ask, authority, policy, public};

fn revoking(mut spec: PolicySpec, kind: RevokedKind, value: &str) -> PolicySpec {
    spec.revoked.push(RevokedSpec { kind, value: value.to_owned(), reason: "poisoned".to_owned() });
    spec
}

#[tokio::test]
async fn a_revoked_platform_takes_its_index_along_and_an_index_the_platforms_found_through_it() {
    let registry = Registry::start(true).await;
    let host = registry.host();
    let signed = registry.load("index-signed");
    let index = registry.manifest("team/index-signed", &signed);
    let children: Vec<String> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["digest"].as_str().unwrap().to_owned())
        .collect();
    let at = |reference: String| ImageRef::parse(&format!("{host}/team/index-signed{reference}")).unwrap();
    let spec = || {
        let mut spec = policy(&host, vec![authority("ci", &public("ecdsa-p256"))]);
        spec.rules[0].index_may_vouch = true;
        spec
    };
    let under = async |image: ImageRef, value: &str| {
        let spec = revoking(spec(), RevokedKind::Digest, value);
        ask(&image, &Arc::new(CompiledTrust::compile(&[spec]))).await
    };
    let child = &children[0];
    let other = digest(b"another one");
    for (reference, revoked, wanted) in [
        (format!("@{signed}"), &other, None),
        (format!(":v1@{child}"), &other, None),
        (format!("@{signed}"), child, Some(format!("platform {child} of it is revoked: poisoned"))),
        (
            format!("@{signed}"),
            &children[1],
            Some(format!("platform {} of it is revoked: poisoned", children[1])),
        ),
        (
            format!(":v1@{child}"),
            &signed,
            Some(format!("index {signed}, which lists it, is revoked: poisoned")),
        ),
        (format!(":v1@{child}"), child, Some(format!("digest {child} is revoked: poisoned"))),
        (format!(":v1@{child}"), &children[1], None),
    ] {
        let answer = under(at(reference.clone()), revoked).await;
        match wanted {
            None => assert!(answer.is_verified(), "{reference} {revoked}: {answer:?}"),
            Some(wanted) => assert_eq!(answer.to_string(), wanted, "{reference} {revoked}"),
        }
    }
}

#[tokio::test]
async fn an_image_is_withdrawn_by_its_digest_layer_key_and_supplier() {
    let registry = Registry::start(true).await;
    let host = registry.host();
    let name = "v3-ecdsa-p256";
    let own = registry.load(name);
    let manifest = registry.manifest(&format!("team/{name}"), &own);
    let config = manifest["config"]["digest"].as_str().unwrap().to_owned();
    let pem = public("ecdsa-p256");
    let der: Vec<u8> = {
        use base64::Engine as _;
        let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    };
    let fingerprint = hex::encode(Sha256::digest(&der));
    let image = ImageRef::parse(&format!("{host}/team/{name}@{own}")).unwrap();
    let acme = SupplierSpec { name: "acme".to_owned(), sources: vec![format!("{host}/team/*")] };
    let usable = "no authority of rule default[0] can be used: authority \"ci\": revoked: poisoned";
    for (kind, value, wanted) in [
        (RevokedKind::Digest, own.clone(), format!("digest {own} is revoked: poisoned")),
        (RevokedKind::Digest, own.to_uppercase(), format!("digest {own} is revoked: poisoned")),
        (RevokedKind::Digest, config.clone(), format!("layer {config} of it is revoked: poisoned")),
        (RevokedKind::Key, "ci".to_owned(), usable.to_owned()),
        (RevokedKind::Key, fingerprint.clone(), usable.to_owned()),
        (RevokedKind::Supplier, "acme".to_owned(), "supplier \"acme\" is revoked: poisoned".to_owned()),
        (RevokedKind::Supplier, "acm".to_owned(), String::new()),
        (RevokedKind::Digest, digest(b"another one"), String::new()),
    ] {
        let spec = revoking(policy(&host, vec![authority("ci", &pem)]), kind, &value);
        let trust = CompiledTrust::compile_with(&[spec], std::slice::from_ref(&acme));
        let answer = ask(&image, &Arc::new(trust)).await;
        if wanted.is_empty() {
            assert!(answer.is_verified(), "{value}: {answer:?}");
        } else {
            assert_eq!(answer.to_string(), wanted, "{value}");
        }
    }
    // Where nothing is revoked, nothing more is asked.
    let few = async |revoked: bool| {
        registry.seen();
        let mut spec = policy(&host, vec![authority("ci", &pem)]);
        if revoked {
            spec = revoking(spec, RevokedKind::Digest, &digest(b"another one"));
        }
        assert!(ask(&image, &Arc::new(CompiledTrust::compile(&[spec]))).await.is_verified());
        registry.seen().len()
    };
    assert_eq!(few(true).await, few(false).await + 1);
    // A part that cannot be seen is no part that is not revoked.
    let hidden = format!("/v2/team/{name}/manifests/{own}");
    registry.twist(move |seen| {
        use axum::response::IntoResponse as _;
        (seen.path == hidden).then(|| axum::http::StatusCode::NOT_FOUND.into_response())
    });
    let spec =
        revoking(policy(&host, vec![authority("ci", &pem)]), RevokedKind::Digest, &digest(b"another one"));
    let answer = ask(&image, &Arc::new(CompiledTrust::compile(&[spec]))).await;
    assert!(matches!(answer, Verification::Unknown { .. }), "{answer:?}");
    assert!(json!(answer.to_string()).to_string().contains("it is not there"));
}
