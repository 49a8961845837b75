//! Images whose signatures are looked up: cold, warm, and refused again, with the requests that the registry saw.

use anyhow::{Context as _, Result};

use super::load::{self, Expected, Outcome, Prepared};
use super::report::{Report, number, spread};
use super::setup::Stage;
use super::subjects::{Subject, good};

const REPETITIONS: usize = 3;
const WARM: usize = 5;

pub(crate) async fn measure(stage: &mut Stage, report: &mut Report) -> Result<()> {
    let signed = prepared(&stage.images, None);
    let unsigned = prepared(std::slice::from_ref(&stage.unsigned), Some("image-signature-trusted"));
    let rows = ["signed, cold", "signed, warm", "unsigned, cold", "unsigned, again"];
    let mut outcomes: [Vec<(Outcome, f64)>; 4] = Default::default();
    for _ in 0..REPETITIONS {
        stage.start_webhook().await?;
        // The connections and the code are warm, the cache is not.
        let warm_up = load::creates(&stage.subjects, super::setup::NAMESPACES[1], None);
        load::through(stage, &warm_up, 1, 36, None).await?;
        let runs = [
            (&signed, signed.len()),
            (&signed, WARM * signed.len()),
            (&unsigned, 1),
            (&unsigned, WARM * signed.len()),
        ];
        for (index, (prepared, total)) in runs.into_iter().enumerate() {
            stage.registry.paths();
            let pid = stage.webhook()?.pid();
            let outcome = load::through(stage, prepared, 1, total, Some(pid)).await.context(rows[index])?;
            let asked = number(stage.registry.paths().len()) / number(total);
            outcomes[index].push((outcome, asked));
        }
    }
    report.table(
        "D. Image signatures, dry-run pod CREATE, one at a time, ms",
        &["image", "p50", "p99", "allowed/denied", "registry requests per pod", "webhook CPU s/1000"],
    );
    for (name, runs) in rows.into_iter().zip(&outcomes) {
        let of = |value: fn(&Outcome) -> f64| runs.iter().map(|(o, _)| value(o)).collect::<Vec<f64>>();
        let asked: Vec<f64> = runs.iter().map(|(_, asked)| *asked).collect();
        report.row(&[
            name.to_owned(),
            spread(&of(|o| o.percentile(50)), 1),
            spread(&of(|o| o.percentile(99)), 1),
            format!("{}/{}", runs[0].0.allowed, runs[0].0.denied),
            spread(&asked, 2),
            spread(&of(|o| o.webhook), 1),
        ]);
    }
    Ok(())
}

/// Pods of one container, one per image.
fn prepared(images: &[String], denial: Option<&str>) -> std::sync::Arc<[Prepared]> {
    let subjects: Vec<Subject> =
        images.iter().map(|image| Subject { pod: good(0, image), breaks: None }).collect();
    load::creates(&subjects, "bench-portcullis", None)
        .iter()
        .map(|prepared| Prepared {
            expected: denial.map_or(Expected::Allowed, |word| Expected::Denied(word.to_owned())),
            ..prepared.clone()
        })
        .collect()
}
