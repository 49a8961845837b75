//! Writing to the terminal: a reader that went away is no error.

use std::io::Write as _;

/// Writes `text` to standard output.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Writes `text` to standard error.
pub(super) fn error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
