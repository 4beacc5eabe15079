//! Times as people compare them: in one unit, the largest that says enough.

use jiff::SignedDuration;

/// `41s`, `12m`, `5h` or `3d`. What has not begun is `0s`.
pub fn age(duration: SignedDuration) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let seconds = duration.as_secs().max(0);
    let (length, unit) = match seconds {
        ..120 => (1, 's'),
        120..7_200 => (MINUTE, 'm'),
        7_200..172_800 => (HOUR, 'h'),
        _ => (DAY, 'd'),
    };
    format!("{}{unit}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_used_from_two_of_it_on() {
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (864_000, "10d"),
        ] {
            assert_eq!(age(SignedDuration::from_secs(seconds)), expected);
        }
    }
}
