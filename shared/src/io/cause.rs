//! What an error was caused by in the end.

use std::error::Error;

/// The innermost error of the chain, which says what went wrong and not what was being done; `None` where nothing caused it.
pub fn root_cause(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}
