//! What an error was caused by in the end.

use std::error::Error;

/// The innermost error of the chain, which says what went wrong with an exchange and not what was being done.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    let Some(mut cause) = error.source() else {
        return "the exchange broke off".to_owned();
    };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
