//! Benchmarks of admission against a real API server: through it, straight to the webhook, the pure part alone, and starts.
//!
//! `make bench` brings the API server up and runs this; `docs/benchmarks.md` says what was measured and how to read it.
//! A verdict that is not the expected one ends the run with an error, so that nothing fast and wrong is ever reported.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table, and how far it is"
)]

mod client;
mod echo;
mod load;
mod process;
mod pure;
mod registry;
mod report;
mod scale;
mod setup;
mod signatures;
mod starts;
mod straight;
mod subjects;
mod through;
mod verifier;

use anyhow::{Context as _, Result};

use self::report::Report;
use self::setup::Stage;

/// That of the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<()> {
    portcullis::webhook::tls::install_provider();
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.get(1).map(String::as_str) {
        // This program starts itself a second time, so that the CPU time of the echo server is its own.
        Some("echo") => runtime.block_on(echo::serve(&arguments[2..])),
        _ => runtime.block_on(measure()),
    }
}

async fn measure() -> Result<()> {
    let mut report = Report::new();
    let result = parts(&mut report).await;
    // What was measured before a failure is worth reading.
    report.print();
    result
}

async fn parts(report: &mut Report) -> Result<()> {
    let wanted = std::env::var("BENCH").unwrap_or_default();
    let wants = |part: &str| wanted.is_empty() || wanted.split(',').any(|word| word == part);
    if wants("pure") {
        pure::measure(report)?;
    }
    if wants("verifier") {
        verifier::measure(report).await.context("the verifier")?;
    }
    if ["through", "straight", "start", "signatures", "scale"].into_iter().any(wants) {
        let mut stage = Stage::set().await.context("the cluster could not be prepared")?;
        if wants("start") {
            starts::measure(&mut stage, report).await.context("starts")?;
        }
        if wants("through") {
            through::measure(&stage, report).await.context("through the API server")?;
        }
        if wants("straight") {
            straight::measure(&mut stage, report).await.context("straight to the webhook")?;
        }
        if wants("signatures") {
            signatures::measure(&mut stage, report).await.context("signatures")?;
        }
        if wants("scale") {
            scale::measure(&mut stage, report).await.context("a large cluster")?;
        }
    }
    Ok(())
}
