//! Waits until the API server is told by which authority to know this webhook: before that, nothing is served.

use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::telemetry::probes::Condition;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(300);

/// Meets `condition` once every webhook of the configuration `name` trusts an authority of the Secret's bundle.
///
/// After an installation the configuration exists before anybody has filled in the authority; a replica that called
/// itself ready by then would be called, and refused, for seconds.
pub async fn until_published(
    client: Client,
    namespace: String,
    secret: &str,
    name: String,
    condition: Condition,
) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client);
    loop {
        match tokio::try_join!(secrets.get_opt(secret), configurations.get_opt(&name)) {
            Ok((Some(secret), Some(configuration))) if trusts(&secret, &configuration) => {
                condition.set(true);
                return;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the webhook configuration cannot be read"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).flatten().collect()
}

fn trusts(secret: &Secret, configuration: &ValidatingWebhookConfiguration) -> bool {
    let bundle = secret.data.as_ref().and_then(|data| data.get("ca.crt"));
    let ours = bundle.map(|pem| certificates(&pem.0)).unwrap_or_default();
    let webhooks = configuration.webhooks.as_deref().unwrap_or_default();
    !webhooks.is_empty()
        && webhooks.iter().all(|webhook| {
            let bundle = webhook.client_config.ca_bundle.as_ref();
            bundle
                .is_some_and(|pem| certificates(&pem.0).iter().any(|certificate| ours.contains(certificate)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_authority_counts_only_when_every_webhook_has_it() {
        use base64::Engine as _;
        let pem = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap().cert.pem();
        let encoded = base64::engine::general_purpose::STANDARD.encode(&pem);
        let secret: Secret = serde_json::from_value(json!({"data": {"ca.crt": encoded}})).unwrap();
        let configuration = |bundles: &[Option<&str>]| -> ValidatingWebhookConfiguration {
            let webhooks: Vec<_> = bundles
                .iter()
                .map(|bundle| {
                    json!({"name": "w", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                           "clientConfig": {"caBundle": bundle}})
                })
                .collect();
            serde_json::from_value(json!({"webhooks": webhooks})).unwrap()
        };
        assert!(trusts(&secret, &configuration(&[Some(&encoded), Some(&encoded)])));
        assert!(!trusts(&secret, &configuration(&[Some(&encoded), None])));
        assert!(!trusts(&secret, &configuration(&[])));
    }
}
