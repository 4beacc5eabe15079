//! Spreading a change of `spec.replicas` in the middle of a rollout over the sets in proportion to their size.

/// A set that takes part: its size, and the total the Deployment had when the set was last sized (its
/// `deployment.kubernetes.io/max-replicas`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Current size.
    pub size: i64,
    /// The total it was a share of; 0 when unknown.
    pub total: i64,
}

/// New sizes so that all together make `allowed`. The order of `shares` decides who gets the remainder: the first.
pub fn proportional(shares: &[Share], allowed: i64) -> Vec<i64> {
    let current: i64 = shares.iter().map(|share| share.size).sum();
    let difference = allowed - current;
    let mut rest = difference;
    let mut sizes: Vec<i64> = Vec::new();
    for share in shares {
        let total = if share.total > 0 {
            share.total
        } else {
            current.max(1)
        };
        // Rounded half away from zero, as integers.
        let ideal = (2 * share.size * allowed + total) / (2 * total);
        let wish = ideal - share.size;
        let step = if difference >= 0 {
            wish.clamp(0, rest.max(0))
        } else {
            wish.clamp(rest.min(0), 0)
        };
        rest -= step;
        sizes.push((share.size + step).max(0));
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + rest).max(0);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::{Share, proportional};

    #[test]
    fn every_set_gets_its_part_and_the_sum_is_right() {
        let share = |size, total| Share { size, total };
        let cases = [
            (vec![share(8, 13), share(5, 13)], 18, vec![11, 7]),
            (vec![share(10, 10)], 20, vec![20]),
            (vec![share(5, 10), share(5, 10)], 5, vec![2, 3]),
            (vec![share(2, 4), share(2, 4)], 0, vec![0, 0]),
        ];
        for (shares, allowed, expected) in cases {
            let sizes = proportional(&shares, allowed);
            assert_eq!(
                sizes.iter().sum::<i64>(),
                allowed,
                "{shares:?} to {allowed} gave {sizes:?}"
            );
            assert_eq!(sizes, expected, "{shares:?} to {allowed}");
        }
    }
}
