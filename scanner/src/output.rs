//! What the command prints on standard output: results, for people and pipes. Log lines go elsewhere.

use std::fmt::Display;
use std::io::Write as _;

/// Prints a line. A reader that has seen enough (`| head -1`) is no reason to stop working.
pub(crate) fn line(text: &impl Display) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{text}") {
        tracing::debug!(%error, "standard output is not read any more");
    }
}
