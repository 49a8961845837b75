//! More images than the memory of verdicts holds: it stays within its bound, says what it forgot, and forgets no truth.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portcullis::gather::registry::{CompiledTrust, Question, Verification, Verifier, VerifierConfig};
use serde_json::json;

use super::keyless::{attach_bundle, exact, keyless};
use super::server::{MANIFEST, Registry};
use super::sigstore::{Flaw, ISSUER, SIGN, SUBJECT, Sigstore};
use super::{image, policy, soon};

const CAPACITY: u64 = 8;
const IMAGES: u64 = 40;

#[tokio::test]
async fn abuse_054_more_images_than_fit_are_forgotten_and_looked_up_again() {
    let (registry, sigstore) = (Registry::start(true).await, Sigstore::new());
    let signer = sigstore.certify(SUBJECT, ISSUER);
    let images: Vec<_> = (0..IMAGES)
        .map(|number| {
            let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "annotations": { "n": number.to_string() } });
            let descriptor = registry.put_manifest("team/app", None, MANIFEST, manifest.to_string().as_bytes());
            let subject = descriptor["digest"].as_str().unwrap().to_owned();
            // Every fourth is signed in a way that does not count.
            let flaw = if number % 4 == 0 { Flaw::Promise } else { Flaw::None };
            attach_bundle(&registry, &subject, &sigstore.bundle(&signer, &subject, SIGN, flaw));
            (image(&registry, "app", &subject), flaw == Flaw::None)
        })
        .collect();
    let trust = Arc::new(CompiledTrust::compile(&[policy(
        &registry.host(),
        vec![keyless(sigstore.root(), exact())],
    )]));
    let verifier = Verifier::new(VerifierConfig { capacity: CAPACITY, ..VerifierConfig::default() });
    let stats = verifier.stats();
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    for round in 1..=3 {
        for (image, good) in &images {
            let answer = verifier.verify(Question::image(image), &trust, None, soon()).await;
            assert_eq!(answer.is_verified(), *good, "round {round}: {image}: {answer:?}");
            if !good {
                assert!(matches!(*answer, Verification::Untrusted { .. }), "round {round}: {answer:?}");
            }
            assert!(verifier.entries() <= CAPACITY, "round {round}: {} answers", verifier.entries());
        }
        // Each answer that was looked up is kept, or had to go, and the counter tells.
        let looked_up = of(&stats.lookups) - of(&stats.hits);
        assert_eq!(looked_up, verifier.entries() + of(&stats.evicted), "round {round}");
        assert!(looked_up >= round * (IMAGES - CAPACITY), "round {round}: {looked_up} look-ups");
    }
    assert_eq!(of(&stats.lookups), 3 * IMAGES);
    // What is remembered is answered without a packet, and what was forgotten is not taken for anything.
    registry.paths();
    let known: Vec<_> = images
        .iter()
        .filter_map(|(image, good)| {
            verifier.peek(Question::image(image), &trust, None).map(|known| (known.is_verified(), *good))
        })
        .collect();
    assert_eq!(known.len() as u64, verifier.entries());
    assert!(known.iter().all(|(said, good)| said == good));
    assert_eq!(registry.paths(), Vec::<String>::new());
}
