//! Starts: how long until the webhook answers, and whether every answer from the first one on is right.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::client::Connection;
use super::load::right;
use super::report::{Report, spread};
use super::setup::Stage;

const REPETITIONS: usize = 5;

pub(crate) async fn measure(stage: &mut Stage, report: &mut Report) -> Result<()> {
    let reviews = stage.reviews().await?;
    let [mut first, mut ready] = [Vec::new(), Vec::new()];
    let mut wrong = 0_usize;
    let mut memory = Vec::new();
    for _ in 0..REPETITIONS {
        stage.launch_webhook()?;
        let begun = stage.webhook()?.begun;
        let mut at = 0;
        // Reviews from the very start, as the API server would send them, until it is ready and a round beyond.
        let mut ready_at = None;
        let mut beyond = 0;
        while beyond < reviews.len() {
            ensure!(begun.elapsed() < Duration::from_secs(30), "the webhook does not start");
            if let Ok(mut connection) = Connection::open(stage.port, &stage.trust).await
                && let Ok(answer) = connection.review(reviews[at % reviews.len()].body.clone()).await
                && answer.status == 200
            {
                first.resize(first.len().max(memory.len() + 1), begun.elapsed().as_secs_f64());
                let verdict = right(&reviews[at % reviews.len()], &answer);
                match ready_at {
                    // Before it is ready a refusal is right, an allowance of a bad pod is not.
                    None => wrong += usize::from(verdict.is_err() && answer.allowed()?),
                    Some(_) => {
                        verdict.context("after it was ready")?;
                    }
                }
                at += 1;
            } else {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            if ready_at.is_none() {
                if let Ok(Ok(took)) = tokio::time::timeout(Duration::from_millis(50), stage.ready()).await {
                    ready_at = Some(took);
                    ready.push(begun.elapsed().as_secs_f64());
                }
            } else {
                beyond += 1;
            }
        }
        memory.push(stage.webhook()?.memory()?.resident);
    }
    report.table(
        "C. start of the webhook, s",
        &[
            "first answer",
            "ready (from then on every verdict is right)",
            "bad pods allowed before",
            "RSS, MiB",
        ],
    );
    report.row(&[spread(&first, 2), spread(&ready, 2), wrong.to_string(), spread(&memory, 0)]);
    ensure!(wrong == 0, "bad pods were allowed while the webhook started");
    Ok(())
}
