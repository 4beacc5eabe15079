//! When people want to be left alone.

use jiff::Timestamp;

use crate::domain::notice::NoticeReason;
use crate::domain::window::{self, Windows};

/// Stretches of time in which nobody is told what can wait for their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    pub hours: Windows,
    /// Whether failures wait, too.
    pub keep_failures: bool,
}

impl QuietHours {
    /// The first time from `time` on at which people may be told.
    pub fn first_loud(&self, reason: NoticeReason, time: Timestamp) -> Timestamp {
        if is_failure(reason) && !self.keep_failures {
            return time;
        }
        let loud = window::next_open(None, Some(&self.hours), time);
        // Without any that is near, it is at least not now.
        loud.or_else(|| self.hours.end_at(time)).unwrap_or(time)
    }
}

fn is_failure(reason: NoticeReason) -> bool {
    match reason {
        NoticeReason::RolloutFailed | NoticeReason::RollbackFailed => true,
        NoticeReason::UpdateAvailable
        | NoticeReason::UpdateStarted
        | NoticeReason::ImageUpdated
        | NoticeReason::RollbackRequested
        | NoticeReason::RolledBack
        | NoticeReason::RollbackRefused
        | NoticeReason::UpdateSuperseded
        | NoticeReason::UpdateHeld
        | NoticeReason::InvalidSettings
        | NoticeReason::InvalidRecord
        | NoticeReason::UpdateApproved
        | NoticeReason::UpdatePostponed
        | NoticeReason::HoldReleased
        | NoticeReason::ScanRequested => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_wait_waits_for_the_end_of_the_night_and_failures_only_if_somebody_says_so() {
        let hours = Windows::parse("0 22 * * * 9h").unwrap();
        let night = |keep_failures| QuietHours {
            hours: hours.clone(),
            keep_failures,
        };
        let time = |written: &str| -> Timestamp { written.parse().unwrap() };
        let morning = "2026-11-22T07:00:00Z";
        for (reason, keep_failures, at, told) in [
            (
                NoticeReason::UpdateAvailable,
                false,
                "2026-11-21T23:30:00Z",
                morning,
            ),
            (NoticeReason::UpdateAvailable, false, morning, morning),
            (
                NoticeReason::RolloutFailed,
                false,
                "2026-11-21T23:30:00Z",
                "2026-11-21T23:30:00Z",
            ),
            (NoticeReason::RolloutFailed, true, "2026-11-21T23:30:00Z", morning),
        ] {
            let first = night(keep_failures).first_loud(reason, time(at));
            assert_eq!(first, time(told), "{reason} {keep_failures} {at}");
        }
    }
}
