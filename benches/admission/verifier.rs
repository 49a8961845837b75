//! The verifier alone, without an API server: reviews that ask for one image, signed by a tag or by a bundle among its
//! referrers, for four with five signatures each, or for a model signed by the list of its files; cold and warm, one and
//! many at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use portcullis::gather::registry::{
    Artifact, AuthoritySpec, CompiledTrust, ImageRef, PolicySpec, ProofSpec, Question, RegistrySpec,
    RootSpec, RuleSpec, Verifier, VerifierConfig,
};

use super::registry::Registry;
use super::report::{Report, number, spread};

const KEYS: [&str; 5] = ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-3072", "other"];
const AT_ONCE: [usize; 3] = [1, 10, 50];
const REPETITIONS: usize = 3;
/// One review at a time is too quick to be measured once.
const ROUNDS: usize = 20;

/// What a review asks for.
struct Shape {
    name: &'static str,
    layout: &'static str,
    images: usize,
    signatures: u16,
    artifact: Artifact,
}

const fn shape(name: &'static str, layout: &'static str, images: usize, signatures: u16) -> Shape {
    Shape { name, layout, images, signatures, artifact: Artifact::Image }
}

const SHAPES: [Shape; 4] = [
    shape("one image, signed by a tag", "v2-ecdsa-p256", 1, 1),
    shape("one image, signed by a bundle", "v3-ecdsa-p256", 1, 1),
    shape("four images, five signatures each", "five-signers", 4, 5),
    Shape {
        artifact: Artifact::Model,
        ..shape("one model, signed by the list of its files", "model-files", 1, 1)
    },
];

/// Milliseconds of each review, requests per review.
type Run = (Vec<f64>, f64);

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    report.table(
        "G. Verification alone, registry on loopback, ms per review",
        &["review", "at once", "cold p50", "cold p99", "requests", "warm p50", "warm p99", "requests"],
    );
    for shape in &SHAPES {
        for at_once in AT_ONCE {
            let mut cold: [Vec<f64>; 3] = Default::default();
            let mut warm: [Vec<f64>; 3] = Default::default();
            for _ in 0..REPETITIONS {
                let (first, second) = repetition(shape, at_once).await?;
                for (into, (times, asked)) in [(&mut cold, first), (&mut warm, second)] {
                    into[0].push(percentile(&times, 50));
                    into[1].push(percentile(&times, 99));
                    into[2].push(asked);
                }
            }
            report.row(&[
                shape.name.to_owned(),
                at_once.to_string(),
                spread(&cold[0], 2),
                spread(&cold[1], 2),
                spread(&cold[2], 1),
                spread(&warm[0], 3),
                spread(&warm[1], 3),
                spread(&warm[2], 1),
            ]);
        }
    }
    Ok(())
}

/// A fresh verifier, asked about what it never saw, and then about the same again.
async fn repetition(shape: &Shape, at_once: usize) -> Result<(Run, Run)> {
    let registry = Registry::start(true).await;
    let digest = registry.load(shape.layout);
    let rounds = if at_once == 1 { ROUNDS } else { 1 };
    let mut reviews: Vec<Vec<ImageRef>> = Vec::new();
    for review in 0..at_once * rounds {
        let mut images = Vec::new();
        for image in 0..shape.images {
            // Repositories of its own, so that no review finds what another looked up.
            let repository = format!("bench/r{review}-{image}");
            registry.copy_repository(&format!("team/{}", shape.layout), &repository);
            images.push(ImageRef::parse(&format!("{}/{repository}@{digest}", registry.host()))?);
        }
        reviews.push(images);
    }
    let trust = Arc::new(trust(&registry.host(), shape)?);
    let verifier = Verifier::new(VerifierConfig::default());
    registry.paths();
    let groups = Groups { reviews: &reviews, at_once, artifact: shape.artifact };
    let cold = run(&verifier, &trust, &groups, &registry).await?;
    let warm = run(&verifier, &trust, &groups, &registry).await?;
    Ok((cold, warm))
}

/// Reviews, and how many of them come at once.
struct Groups<'r> {
    reviews: &'r [Vec<ImageRef>],
    at_once: usize,
    artifact: Artifact,
}

async fn run(
    verifier: &Verifier,
    trust: &Arc<CompiledTrust>,
    groups: &Groups<'_>,
    registry: &Registry,
) -> Result<Run> {
    let artifact = groups.artifact;
    let mut times = Vec::new();
    for group in groups.reviews.chunks(groups.at_once) {
        let tasks = group.iter().map(|images| {
            let (verifier, trust, images) = (verifier.clone(), Arc::clone(trust), images.clone());
            tokio::spawn(async move {
                let start = Instant::now();
                let deadline = start + Duration::from_mins(1);
                let asked = images.iter().map(|image| {
                    let question = Question { image, artifact, namespace: None };
                    verifier.verify(question, &trust, None, deadline)
                });
                let answers = join_all(asked).await;
                (start.elapsed(), answers)
            })
        });
        for done in join_all(tasks).await {
            let (took, answers) = done.context("a review ended early")?;
            for answer in answers {
                ensure!(answer.is_verified(), "not verified: {answer}");
            }
            times.push(took.as_secs_f64() * 1000.0);
        }
    }
    let asked = number(registry.paths().len()) / number(times.len());
    Ok((times, asked))
}

fn trust(host: &str, shape: &Shape) -> Result<CompiledTrust> {
    let mut authorities = Vec::new();
    let keys: &[&str] = if shape.artifact == Artifact::Model { &["model"] } else { &KEYS };
    for key in keys {
        let path = format!("{}/tests/signed/{key}.pub", env!("CARGO_MANIFEST_DIR"));
        let pem = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        authorities.push(AuthoritySpec {
            name: (*key).to_owned(),
            proof: ProofSpec::Key { pem, algorithm: None },
            not_before: None,
            not_after: None,
            require_log: false,
            trusted_root: RootSpec::Public,
            formats: Vec::new(),
        });
    }
    let policy = PolicySpec {
        name: "bench".to_owned(),
        registries: vec![RegistrySpec {
            host: host.to_owned(),
            plain_http: true,
            allow_private_addresses: true,
            ..RegistrySpec::default()
        }],
        rules: vec![RuleSpec {
            artifact: shape.artifact,
            authorities: keys.iter().map(|key| (*key).to_owned()).collect(),
            min_signatures: shape.signatures,
            ..RuleSpec::default()
        }],
        authorities,
        people: Vec::new(),
        revoked: Vec::new(),
    };
    let trust = CompiledTrust::compile(&[policy]);
    ensure!(trust.problems().is_empty(), "{:?}", trust.problems());
    Ok(trust)
}

fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or_default()
}
