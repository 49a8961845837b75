//! Dry-run creates through the API server, in turn without a webhook, with the echo server, with ours and with policies.

use anyhow::{Context as _, Result};

use super::load::{Outcome, through};
use super::report::{Report, spread};
use super::setup::{NAMESPACES, Stage};

const CONCURRENCIES: [usize; 3] = [1, 10, 50];
const REPETITIONS: usize = 3;
/// How often a run sends every pod, unless `BENCH_ROUNDS` says otherwise; whole rounds, so that as many are good as bad.
const ROUNDS: usize = 10;

pub(crate) async fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let requests = rounds * super::subjects::COUNT;
    let creates = stage.creates();
    let webhooks = [None, Some(stage.echo.pid()), Some(stage.webhook()?.pid()), None, None];
    for (prepared, webhook) in creates.iter().zip(webhooks) {
        through(stage, prepared, 10, 2 * super::subjects::COUNT, webhook).await.context("warming up")?;
    }
    let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); NAMESPACES.len() * CONCURRENCIES.len()];
    for _ in 0..REPETITIONS {
        for (at, concurrency) in CONCURRENCIES.into_iter().enumerate() {
            for (index, (prepared, webhook)) in creates.iter().zip(webhooks).enumerate() {
                let outcome = through(stage, prepared, concurrency, requests, webhook).await;
                outcomes[index * CONCURRENCIES.len() + at].push(outcome.context(NAMESPACES[index])?);
            }
        }
    }
    report.table(
        "A. Dry-run pod CREATE through the API server, ms",
        &[
            "peer",
            "c",
            "p50",
            "p95",
            "p99",
            "req/s",
            "allowed/denied",
            "API server CPU s/1000",
            "webhook CPU s/1000",
        ],
    );
    for (index, runs) in outcomes.iter().enumerate() {
        let of = |value: fn(&Outcome) -> f64| runs.iter().map(value).collect::<Vec<f64>>();
        let webhook = webhooks[index / CONCURRENCIES.len()];
        let first = &runs[0];
        report.row(&[
            NAMESPACES[index / CONCURRENCIES.len()].trim_start_matches("bench-").to_owned(),
            CONCURRENCIES[index % CONCURRENCIES.len()].to_string(),
            spread(&of(|o| o.percentile(50)), 1),
            spread(&of(|o| o.percentile(95)), 1),
            spread(&of(|o| o.percentile(99)), 1),
            spread(&of(Outcome::rate), 0),
            format!("{}/{}", first.allowed, first.denied),
            spread(&of(|o| o.api_server), 2),
            webhook.map_or_else(|| "–".to_owned(), |_| spread(&of(|o| o.webhook), 2)),
        ]);
    }
    // Differences inside one repetition, where both met about the same noise.
    report.table(
        "A. ours over echo in the same repetition",
        &["c", "p50, ms more", "p99, times", "webhook CPU s/1000 more"],
    );
    for (at, concurrency) in CONCURRENCIES.into_iter().enumerate() {
        let pairs = outcomes[CONCURRENCIES.len() + at].iter().zip(&outcomes[2 * CONCURRENCIES.len() + at]);
        let of = |value: fn(&Outcome, &Outcome) -> f64| {
            pairs.clone().map(|(echo, own)| value(echo, own)).collect::<Vec<f64>>()
        };
        report.row(&[
            concurrency.to_string(),
            spread(&of(|echo, own| own.percentile(50) - echo.percentile(50)), 2),
            spread(&of(|echo, own| own.percentile(99) / echo.percentile(99)), 2),
            spread(&of(|echo, own| own.webhook - echo.webhook), 3),
        ]);
    }
    Ok(())
}
