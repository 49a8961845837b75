//! What the program says about itself: log lines, metrics and probes.
//! Label values are ids and variant names only, so that no tenant can grow a series.

pub mod events;
pub mod metrics;
pub mod probes;

use clap::ValueEnum;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What the client of the API server says of each failed request by itself. Whoever asked says more, and as often as it
/// helps; a level that names this target has it back.
const QUIET: &str = "kube_client::client::builder=off";

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for collectors.
    Json,
    /// One readable line.
    Text,
}

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter is not one that `tracing` understands.
    #[error("the log level cannot be read")]
    Level(#[source] tracing_subscriber::filter::ParseError),
    /// A subscriber was already installed.
    #[error("logging is already set up")]
    Installed(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Installs the process's one subscriber, writing to standard error.
///
/// # Errors
/// When `level` is no filter, or when a subscriber is already installed.
pub fn install(format: LogFormat, level: &str) -> Result<(), TelemetryError> {
    let filter = filter(level)?;
    tracing::subscriber::set_global_default(subscriber(format, filter, std::io::stderr))
        .map_err(TelemetryError::Installed)
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(format!("{QUIET},{level}")).map_err(TelemetryError::Level)
}

/// An error with all that lies behind it: lines of JSON would show the first alone.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        // Some errors repeat their source in their own words.
        if !out.ends_with(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = source.source();
    }
    out
}

/// The subscriber that [`install`] installs, with a writer of the caller's choice.
fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    writer: W,
) -> Box<dyn tracing::Subscriber + Send + Sync + 'static>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        // The fields of the surrounding span (the request id) are repeated on every line, flat, so that a search finds them.
        LogFormat::Json => {
            Box::new(lines.json().flatten_event(true).with_current_span(true).with_span_list(false).finish())
        }
        LogFormat::Text => Box::new(lines.with_ansi(false).finish()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(format, EnvFilter::new("info"), move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("review", uid = "u-1");
            let _entered = span.enter();
            tracing::info!(allowed = false, "reviewed");
            tracing::debug!("not at this level");
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_carries_the_request_id() {
        let text = logged(LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "reviewed");
        assert_eq!(line["allowed"], false);
        assert_eq!(line["span"]["uid"], "u-1");
    }

    #[test]
    fn a_text_line_carries_the_request_id_and_no_colour() {
        let text = logged(LogFormat::Text);
        assert!(text.contains("review{uid=\"u-1\"}"), "{text}");
        assert!(text.contains("reviewed allowed=false"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn each_failed_request_is_said_by_whoever_asked_and_not_by_the_client() {
        let said = |level: &str| {
            let sink = Sink::default();
            let writer = sink.clone();
            let subscriber = subscriber(LogFormat::Json, filter(level).unwrap(), move || writer.clone());
            tracing::subscriber::with_default(subscriber, || {
                tracing::error!(target: "kube_client::client::builder", "failed with status 500");
                tracing::warn!("ours");
            });
            let bytes = sink.0.lock().unwrap().clone();
            String::from_utf8(bytes).unwrap().lines().count()
        };
        assert_eq!((said("info"), said("info,kube_client::client::builder=error")), (1, 2));
    }

    #[test]
    fn an_error_is_said_with_what_lies_behind_it() {
        let error = TelemetryError::Level("info,=,=".parse::<EnvFilter>().unwrap_err());
        let said = chain(&error);
        assert!(said.starts_with("the log level cannot be read: "), "{said}");
    }

    #[test]
    fn a_bad_level_is_an_error() {
        let error = install(LogFormat::Json, "info,=,=").unwrap_err();
        assert_eq!(error.to_string(), "the log level cannot be read");
    }
}
