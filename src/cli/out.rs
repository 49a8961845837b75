//! Writing to the terminal: a reader that went away is no error.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::process::ExitCode;

use kube::Client;

use crate::policy::fix::steers;

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
    let _ = std::io::stdout().lock().write_all(visible(text).as_bytes());
}

/// Writes `text` to standard error.
pub(super) fn error(text: &str) {
    let _ = std::io::stderr().lock().write_all(visible(text).as_bytes());
}

/// `text` without what steers a terminal or turns the order of its letters: files and objects may hold it, and what is
/// shown of them must not move what stands beside it. As JSON has it, so that JSON stays what it is.
fn visible(text: &str) -> Cow<'_, str> {
    let steers = |c: char| steers(c) && !matches!(c, '\n' | '\t');
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if steers(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
        out
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_steers_a_terminal() {
        assert!(matches!(visible("a\n\tb \u{e9}"), Cow::Borrowed(_)));
        assert_eq!(visible("a\u{1b}[2Jb\u{202e}c\r\u{9b}"), "a\\u001b[2Jb\\u202ec\\u000d\\u009b");
        let json = serde_json::json!({"name": "a\u{202e}\u{7f}"});
        let shown = visible(&json.to_string()).into_owned();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), json);
    }
}
