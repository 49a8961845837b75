//! The document behind a proof: how it is named, and whether it still is the one that the proof was made of.

use crate::api::AIEvidence;
use crate::api::evidence::DocumentState;
use crate::policy::blanks::is_blank;
use crate::policy::facts::Namespace;
use crate::policy::image::ImageRef;

/// Ways to name a document.
pub(super) const SCHEMES: [&str; 5] = ["https://", "oci://", "configmap://", "git+https://", "s3://"];

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// In a `ConfigMap` of the namespace of its proof, under this key.
    ConfigMap(&'a str, &'a str),
    /// In a registry.
    Oci(Box<ImageRef>),
    /// Where nobody looks.
    Elsewhere,
}

/// Reads where a document is. A scheme may be written in any case.
///
/// # Errors
/// A clause that says why nobody could find it there.
pub fn reference(text: &str) -> Result<Reference<'_>, String> {
    let scheme = |scheme: &str| {
        let head = text.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
    };
    if let Some(path) = scheme("configmap://") {
        let named = path.split_once('/').filter(|(name, key)| is_name(name) && is_key(key));
        let (name, key) = named.ok_or("names no ConfigMap and key, as configmap://NAME/KEY does")?;
        return Ok(Reference::ConfigMap(name, key));
    }
    if let Some(image) = scheme("oci://") {
        let image = ImageRef::parse(image).map_err(|error| format!("names no artifact: {error}"))?;
        return Ok(Reference::Oci(Box::new(image)));
    }
    if scheme("https://").is_some_and(|rest| !rest.is_empty() && is_blank(rest)) {
        return Err("is still the blank of a printed fix".to_owned());
    }
    if SCHEMES.iter().any(|known| scheme(known).is_some_and(|rest| !rest.is_empty())) {
        return Ok(Reference::Elsewhere);
    }
    Err(format!("cannot be read; it begins with one of {}", SCHEMES.join(", ")))
}

fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(fits) && !text.starts_with('.')
}

fn is_key(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(fits)
}

/// Whether a digest is that of no document: all zeros, which no bytes have, or that of nothing at all.
pub(super) fn is_void(digest: &str) -> bool {
    const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.eq_ignore_ascii_case(NOTHING) || (!hex.is_empty() && hex.bytes().all(|digit| digit == b'0'))
}

/// What is known of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is the one of the digest, or lies where nobody looks.
    Same,
    /// It is another one now, with this digest.
    Altered(String),
    /// It is not there; why.
    Missing(String),
    /// Nobody knows; why.
    Unread(String),
}

/// What is known of the document `at` of a proof in the namespace `place`, which was made of `digest`.
pub(super) fn known(evidence: &AIEvidence, at: &str, digest: &str, place: &Namespace) -> Known {
    let compared = |found: &str| {
        if found == digest { Known::Same } else { Known::Altered(found.to_owned()) }
    };
    let read = evidence.status.as_ref().and_then(|status| status.document.as_ref());
    let told = || {
        read.map(|read| {
            let why = || read.message.clone().unwrap_or_default();
            match read.state {
                DocumentState::Same | DocumentState::OutOfReach => Known::Same,
                DocumentState::Altered => Known::Altered(read.found.clone().unwrap_or_default()),
                DocumentState::Missing => Known::Missing(why()),
                DocumentState::Unreachable => Known::Unread(why()),
            }
        })
    };
    match reference(at) {
        Err(why) => Known::Missing(format!("its ref {why}")),
        Ok(Reference::Elsewhere) => Known::Same,
        Ok(Reference::ConfigMap(name, key)) => {
            let here =
                place.config_maps.get(name).map(|map| &map.digests).or_else(|| place.documents.get(name));
            match (here, told()) {
                (Some(digests), _) => digests.get(key).map_or_else(
                    || Known::Missing(format!("ConfigMap {name:?} has no key {key:?}")),
                    |found| compared(found),
                ),
                (None, Some(told)) => told,
                (None, None) => Known::Unread(format!("ConfigMap {name:?} has not been read")),
            }
        }
        Ok(Reference::Oci(image)) => match (image.digest(), told()) {
            (Some(named), _) if named != digest => Known::Altered(named.to_owned()),
            (_, Some(told)) => told,
            // The digest in the reference binds the bytes; they may only be gone.
            (Some(_), None) => Known::Same,
            (None, None) => Known::Unread(format!("{:?} has not been read", image.to_string())),
        },
    }
}
