//! Reviews straight to the webhook: rate, CPU time, memory, and memory while somebody sends the largest objects.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use serde_json::json;

use super::client::Connection;
use super::load::{Outcome, Prepared, right, straight};
use super::report::{Report, number, percentile, spread};
use super::setup::{Stage, review};
use super::subjects;

const CONCURRENCIES: [usize; 3] = [1, 10, 50];
const REPETITIONS: usize = 3;
const REVIEWS: usize = 80 * subjects::COUNT;
/// Bytes of `<` in each padded object: the API server sends each of them as six.
const PADDING: usize = 2_800_000;
const PADDED: usize = 24;
const ATTACKERS: usize = 8;

pub(crate) async fn measure(stage: &mut Stage, report: &mut Report) -> Result<()> {
    stage.start_webhook().await?;
    let reviews = stage.reviews().await?;
    let port = stage.port;
    let idle = stage.webhook()?.memory()?;
    let allowed: Arc<[Prepared]> = reviews
        .iter()
        .map(|review| Prepared { expected: super::load::Expected::Allowed, ..review.clone() })
        .collect();
    let peers = [
        ("echo", allowed, (stage.echo_port, stage.echo.pid())),
        ("portcullis", Arc::clone(&reviews), (port, stage.webhook()?.pid())),
    ];
    for (_, reviews, peer) in &peers {
        straight(stage, reviews, 10, 10 * subjects::COUNT, *peer).await.context("warming up")?;
    }
    let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); peers.len() * CONCURRENCIES.len()];
    for _ in 0..REPETITIONS {
        for (at, concurrency) in CONCURRENCIES.into_iter().enumerate() {
            for (index, (name, reviews, peer)) in peers.iter().enumerate() {
                let outcome = straight(stage, reviews, concurrency, REVIEWS, *peer).await.context(*name)?;
                outcomes[index * CONCURRENCIES.len() + at].push(outcome);
            }
        }
    }
    report.table(
        "B. AdmissionReview straight to the webhook, ms",
        &["peer", "c", "p50", "p99", "reviews/s", "webhook CPU s/1000", "API server CPU s/1000 (side calls)"],
    );
    for (index, runs) in outcomes.iter().enumerate() {
        let of = |value: fn(&Outcome) -> f64| runs.iter().map(value).collect::<Vec<f64>>();
        report.row(&[
            peers[index / CONCURRENCIES.len()].0.to_owned(),
            CONCURRENCIES[index % CONCURRENCIES.len()].to_string(),
            spread(&of(|o| o.percentile(50)), 2),
            spread(&of(|o| o.percentile(99)), 2),
            spread(&of(Outcome::rate), 0),
            spread(&of(|o| o.webhook), 3),
            spread(&of(|o| o.api_server), 3),
        ]);
    }
    let loaded = stage.webhook()?.memory()?;
    let attack = padding(stage, &reviews).await.context("padding")?;
    let padded = stage.webhook()?.memory()?;
    report.table("C. memory of the webhook, MiB", &["when", "RSS", "of it anonymous", "peak"]);
    for (when, memory) in
        [("idle", idle), ("after the load", loaded), ("after and during the padding", padded)]
    {
        report.row(&[
            when.to_owned(),
            format!("{:.0}", memory.resident),
            format!("{:.0}", memory.anonymous),
            format!("{:.0}", memory.peak),
        ]);
    }
    report.table(
        "C. padding: reviews of 33.6 MB, eight at a time",
        &[
            "judged right",
            "turned away (429 or 503)",
            "ordinary reviews meanwhile",
            "their p50, ms",
            "their p99, ms",
        ],
    );
    report.row(&attack);
    Ok(())
}

/// The largest legal objects, old and new, full of characters that are escaped; ordinary reviews must not suffer.
async fn padding(stage: &Stage, reviews: &Arc<[Prepared]>) -> Result<[String; 5]> {
    let mut pods = ["<".repeat(PADDING), "<".repeat(PADDING - 1)].map(|pad| {
        let mut pod = subjects::good(0, &stage.images[0]);
        pod["spec"]["containers"][0]["env"] = json!([{"name": "PAD", "value": pad}]);
        pod
    });
    let [new, old] = &mut pods;
    let body = review(new, old, "UPDATE").to_string().replace('<', "\\u003c");
    drop(pods);
    ensure!(body.len() > 33_000_000, "{} bytes", body.len());
    let body = Bytes::from(body);
    stage.webhook()?.forget_peak();
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|_| {
            let (trust, body, port) = (Arc::clone(&stage.trust), body.clone(), stage.port);
            tokio::spawn(async move {
                let (mut judged, mut away) = (0_usize, 0_usize);
                for _ in 0..PADDED / ATTACKERS {
                    let mut connection = Connection::open(port, &trust).await?;
                    // A connection that is closed while we send is turned away too.
                    match connection.review(body.clone()).await {
                        Ok(answer) if answer.status == 200 && answer.allowed()? => judged += 1,
                        Ok(answer) if answer.status == 200 => {
                            ensure!(answer.contains("portcullis"), "a wrong verdict");
                            away += 1;
                        }
                        _ => away += 1,
                    }
                }
                anyhow::Ok((judged, away))
            })
        })
        .collect();
    let mut ordinary: Vec<Duration> = Vec::new();
    let mut connection = Connection::open(stage.port, &stage.trust).await?;
    while attackers.iter().any(|task| !task.is_finished()) || ordinary.is_empty() {
        let prepared = &reviews[ordinary.len() % reviews.len()];
        let answer = connection.review(prepared.body.clone()).await?;
        right(prepared, &answer)?;
        ordinary.push(answer.took);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let (mut judged, mut away) = (0, 0);
    for attacker in attackers {
        let (right, turned) = attacker.await??;
        judged += right;
        away += turned;
    }
    ordinary.sort_unstable();
    let share = number(ordinary.len());
    Ok([
        judged.to_string(),
        away.to_string(),
        format!("{share:.0}, all right"),
        format!("{:.1}", percentile(&ordinary, 50)),
        format!("{:.1}", percentile(&ordinary, 99)),
    ])
}
