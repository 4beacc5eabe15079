//! Times as they are stored: in whole seconds, because people read them and nothing is ordered by them.

use jiff::Timestamp;

/// The second that a time lies in.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
