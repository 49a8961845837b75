//! The digest of what a declaration says: evidence and exemptions name it, and lapse when it changes.

use sha2::{Digest, Sha256};

use crate::api::AIWorkload;

/// SHA-256 over the canonical JSON of the specification, as `sha256:` and 64 hexadecimal digits.
///
/// Every map of the specification is ordered, so equal declarations have equal digests.
#[must_use]
pub fn digest(workload: &AIWorkload) -> String {
    let text = serde_json::to_string(&workload.spec).unwrap_or_default();
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_changes_with_the_declaration_and_only_then() {
        let read = |kind: &str| -> AIWorkload {
            serde_json::from_value(json!({
                "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload", "metadata": {"name": "a"},
                "spec": {"selector": {"matchLabels": {"app": "a"}}, "type": kind,
                         "owners": {"accountable": {"user": "j"}}}}))
            .unwrap()
        };
        assert_eq!(digest(&read("inference")), digest(&read("inference")));
        assert_ne!(digest(&read("inference")), digest(&read("batch")));
        assert!(digest(&read("batch")).starts_with("sha256:"));
    }
}
