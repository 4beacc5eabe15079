//! What the commands print on standard output: results, for people and pipes. Log lines go elsewhere.

use std::fmt::Display;
use std::io::{self, Write as _};

use serde::Serialize;

/// Prints a line. A reader that has seen enough (`| head -1`) is no reason to stop working.
pub fn line(text: &impl Display) {
    if let Err(error) = writeln!(io::stdout().lock(), "{text}") {
        tracing::debug!(%error, "standard output is not read any more");
    }
}

/// Prints a page, with its colours where they are wanted.
pub fn page(text: &str) -> io::Result<()> {
    read_to_the_end(anstream::stdout().lock().write_all(text.as_bytes()))
}

/// Prints an object in one line.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let written = serde_json::to_writer(&mut output, value)
        .map_err(io::Error::from)
        .and_then(|()| writeln!(output));
    read_to_the_end(written)
}

/// Whether everything was written that anybody wanted to read.
pub fn read_to_the_end(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
