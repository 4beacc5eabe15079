//! Manifests that are named on a command line.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// More than any manifest has.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A file as messages name it.
pub fn name(file: &Path) -> String {
    if file == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

/// The text of a file; `-` is standard input.
pub fn read(file: &Path) -> io::Result<String> {
    let mut reader: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file)?)
    };
    let mut text = String::new();
    let length = reader
        .by_ref()
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if length as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!(
            "it has more than {MAX_FILE_BYTES} bytes"
        )));
    }
    Ok(text)
}
