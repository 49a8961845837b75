//! Writing to the terminal: a reader that went away is no error.

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::process::ExitCode;

use kube::Client;

/// Exit code where the input cannot be used.
pub(super) const UNUSABLE: u8 = 2;

/// Writes an answer and ends with its exit code, or writes what makes the input unusable.
pub(super) fn finish(result: Result<(String, u8), String>) -> ExitCode {
    match result {
        Ok((text, code)) => {
            print(&text);
            ExitCode::from(code)
        }
        Err(text) => {
            error(&text);
            ExitCode::from(UNUSABLE)
        }
    }
}

/// A line for each.
pub(super) fn lines<T: Display>(all: &[T]) -> String {
    all.iter().fold(String::new(), |mut out, one| {
        let _ = writeln!(out, "{one}");
        out
    })
}

/// Asks the cluster of the current context; `instead` says what to do where none is known.
pub(super) fn ask_cluster<T>(
    instead: &str,
    ask: impl AsyncFnOnce(Client) -> Result<T, String>,
) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the cluster cannot be asked: {error}\n"))?;
    runtime.block_on(async {
        let client = Client::try_default().await.map_err(|error| {
            format!("no cluster is known here: {error}\n  fix: set KUBECONFIG, or {instead}\n")
        })?;
        ask(client).await
    })
}

/// Writes `text` to standard output.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Writes `text` to standard error.
pub(super) fn error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
