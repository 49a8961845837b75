//! The audit of a large cluster on a real API server: memory and CPU of the controller, writes, bytes, and how soon a
//! widened role is seen. Pods are simulated: objects without a node.
//!
//! `make bench` brings the API server up and runs this; `docs/benchmarks.md` says what was measured and how to read it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table, and how far it is"
)]

#[path = "../admission/process.rs"]
#[expect(dead_code, reason = "shared with the benchmarks of admission")]
mod process;
#[path = "../admission/report.rs"]
#[expect(dead_code, reason = "shared with the benchmarks of admission")]
mod report;

mod fill;
mod look;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kube::Client;

use self::fill::Size;
use self::look::{Controller, Look};
use self::report::{Report, spread};

/// Times that a full audit is asked for.
const AUDITS: usize = 5;
/// Times that a role is widened.
const WIDENINGS: usize = 5;
/// How long nothing is done, to see what is written all the same.
const QUIET: Duration = Duration::from_mins(1);

fn main() -> Result<()> {
    portcullis::webhook::tls::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut report = Report::new();
        let result = measure(&mut report).await;
        report.print();
        result
    })
}

/// A number from the environment.
fn setting(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}: {text:?} is no number")),
        Err(_) => Ok(default),
    }
}

async fn measure(report: &mut Report) -> Result<()> {
    let client = Client::try_default().await.context("KUBECONFIG: run `make bench`")?;
    let minutes = setting("AUDIT_MINUTES", 15)?;
    let workloads = setting("AUDIT_WORKLOADS", 10_000)?;
    let until = Instant::now() + Duration::from_secs(60 * u64::try_from(minutes)?);
    fill::definitions(&client).await?;
    let mut filled = Size::default();
    report.table(
        "F. The controller of a large cluster (CPU seconds of the whole process)",
        &[
            "governed namespaces / workloads / pods / bindings",
            "after a start: first full audit, s",
            "CPU s of that",
            "a full audit later, s",
            "CPU s of that",
            "RSS settled, MiB",
            "peak, MiB",
        ],
    );
    let small = Size { namespaces: workloads.min(1_000) / 10, workloads: 10, pods: 1, bindings: 0 };
    let large = Size { namespaces: workloads / 100, workloads: 100, pods: 10, bindings: 10_000 };
    for size in [small, large] {
        if size.workloads() > workloads || size.namespaces == 0 {
            continue;
        }
        fill::forget(&client, &filled).await?;
        filled = fill::fill(&client, size, until).await.context("filling the cluster")?;
        scale(&client, &filled, report).await?;
    }
    Ok(())
}

async fn scale(client: &Client, size: &Size, report: &mut Report) -> Result<()> {
    // The first term generates and writes everything; what is measured is a cluster in its ordinary state.
    let first = Controller::start()?;
    first.audited(1, Duration::from_mins(15)).await.context("the first audit")?;
    look::settled(client, &first, size).await?;
    first.stop()?;

    let controller = Controller::start()?;
    let begun = Instant::now();
    controller.audited(1, Duration::from_mins(5)).await?;
    look::settled(client, &controller, size).await?;
    let (started, start_cpu) = (begun.elapsed().as_secs_f64(), controller.cpu()?);
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..AUDITS {
        let (count, before) = (controller.audits()?, controller.cpu()?);
        fill::touch_everything(client).await?;
        walls.push(controller.audited(count + 1, Duration::from_mins(5)).await?);
        cpus.push(controller.cpu()? - before);
    }
    let memory = controller.memory()?;
    report.row(&[
        format!("{} / {} / {} / {}", size.namespaces, size.workloads(), size.all_pods(), size.bindings),
        format!("{started:.1}"),
        format!("{start_cpu:.1}"),
        spread(&walls, 2),
        spread(&cpus, 2),
        format!("{:.0}", memory.resident),
        format!("{:.0}", memory.peak),
    ]);
    if size.bindings == 0 {
        return controller.stop();
    }
    let mut seen = Vec::new();
    for _ in 0..WIDENINGS {
        ensure!(!look::widened(client).await?, "the verdict is bad before the role is widened");
        fill::widen(client, true).await?;
        seen.push(look::turned(client, true).await?);
        fill::widen(client, false).await?;
        look::turned(client, false).await?;
    }
    let Look { average, largest, whole } = look::bytes(client).await?;
    let before = look::still(client).await?;
    tokio::time::sleep(QUIET).await;
    let after = look::writes(client).await?;
    report.table("F. What the audit costs others", &["what", "measured"]);
    let mut row = |what: &str, value: String| report.row(&[what.to_owned(), value]);
    row("a widened Role is seen in AIWorkload.status, s", spread(&seen, 2));
    row("status of a workload, bytes: average, largest", format!("{average:.0}, {largest}"));
    row("a workload in etcd with its managed fields, bytes on average", format!("{whole:.0}"));
    row(
        "writes of our kinds in 60 s when nothing changed (one is the sign of life on the row of the cluster)",
        (after - before).to_string(),
    );
    controller.stop()
}
