//! The growing pause between attempts: 10 s, doubled each time, at most five minutes.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(5);

/// The pause after the `failures`th failure (from 1).
pub fn pause_after(failures: u32) -> Duration {
    (FIRST * 2_u32.pow(failures.saturating_sub(1).min(10))).min(LONGEST)
}

/// The pause as Go prints it: `10s`, `1m20s`, `5m0s`.
pub fn go_duration(pause: Duration) -> String {
    let seconds = pause.as_secs();
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::{go_duration, pause_after};

    #[test]
    fn the_pause_doubles_up_to_five_minutes() {
        let pauses: Vec<String> = (1..=7)
            .map(|failures| go_duration(pause_after(failures)))
            .collect();
        assert_eq!(pauses, ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
    }
}
