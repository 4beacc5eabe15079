//! How many Pods each `ReplicaSet` may have at this moment of a rolling update: arithmetic only.

use serde_json::Value;

/// How far a rolling update may leave the wanted number of Pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Pods above the wanted number.
    pub surge: i64,
    /// Pods below it that may be unavailable.
    pub unavailable: i64,
}

impl Bounds {
    /// Reads `maxSurge` and `maxUnavailable` (25% each when absent) for a number of replicas.
    pub fn of(rolling_update: &Value, replicas: i64) -> Self {
        let surge = resolve(&rolling_update["maxSurge"], replicas, true);
        let unavailable = resolve(&rolling_update["maxUnavailable"], replicas, false);
        // Neither more nor fewer would mean that nothing can ever happen.
        if surge == 0 && unavailable == 0 {
            return Self {
                surge,
                unavailable: 1,
            };
        }
        Self {
            surge,
            unavailable: unavailable.min(replicas),
        }
    }
}

/// An absolute number, or a percentage of `replicas`; 25% when neither.
pub fn resolve(value: &Value, replicas: i64, round_up: bool) -> i64 {
    if let Some(number) = value.as_i64() {
        return number;
    }
    let percent = value
        .as_str()
        .and_then(|text| text.strip_suffix('%')?.parse().ok())
        .unwrap_or(25);
    let product = replicas * percent;
    if round_up {
        (product + 99) / 100
    } else {
        product / 100
    }
}

/// What the decisions need to know of a `ReplicaSet`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// Pods it is told to have.
    pub wanted: i64,
    /// Pods it has that are available.
    pub available: i64,
}

/// The number the new set should have, given all the Pods wanted so far (its own included).
pub fn new_set_size(replicas: i64, bounds: Bounds, current: i64, total: i64) -> i64 {
    if current >= replicas {
        return replicas;
    }
    let room = (replicas + bounds.surge - total).max(0);
    current + room.min(replicas - current)
}

/// The numbers the old sets (oldest first) should have.
pub fn old_set_sizes(replicas: i64, bounds: Bounds, new: Scale, old: &[Scale]) -> Vec<i64> {
    let mut sizes: Vec<i64> = old.iter().map(|set| set.wanted).collect();
    let total = new.wanted + sizes.iter().sum::<i64>();
    let minimum = replicas - bounds.unavailable;
    let mut removable = total - minimum - (new.wanted - new.available).max(0);
    if removable <= 0 {
        return sizes;
    }
    // Pods that do not work anyway go first, whatever set they belong to.
    for (size, set) in sizes.iter_mut().zip(old) {
        let broken = (set.wanted - set.available).clamp(0, removable.max(0));
        *size -= broken;
        removable -= broken;
    }
    let available = new.available + old.iter().map(|set| set.available).sum::<i64>();
    let mut spare = available - minimum;
    for size in &mut sizes {
        let gone = spare.clamp(0, *size);
        *size -= gone;
        spare -= gone;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Bounds, Scale, new_set_size, old_set_sizes};

    #[test]
    fn bounds_round_the_surge_up_and_the_unavailable_down() {
        let cases = [
            (json!({}), 4, (1, 1)),
            (json!({}), 1, (1, 0)),
            (json!({"maxSurge":"50%","maxUnavailable":"50%"}), 3, (2, 1)),
            (json!({"maxSurge":0,"maxUnavailable":0}), 3, (0, 1)),
            (json!({"maxSurge":2,"maxUnavailable":9}), 3, (2, 3)),
            (json!({"maxSurge":0,"maxUnavailable":"10%"}), 3, (0, 1)),
        ];
        for (rolling_update, replicas, (surge, unavailable)) in cases {
            let bounds = Bounds::of(&rolling_update, replicas);
            assert_eq!(
                bounds,
                Bounds { surge, unavailable },
                "{rolling_update} of {replicas}"
            );
        }
    }

    #[test]
    fn the_new_set_grows_into_the_room_the_surge_leaves() {
        let bounds = |surge, unavailable| Bounds { surge, unavailable };
        let cases = [
            // replicas, bounds, current size of the new set, all Pods, expected
            (4, bounds(1, 1), 0, 4, 1),
            (4, bounds(1, 1), 1, 4, 2),
            (4, bounds(1, 0), 1, 5, 1),
            (4, bounds(10, 0), 0, 4, 4),
            (2, bounds(1, 0), 5, 5, 2),
            (0, bounds(0, 1), 0, 3, 0),
        ];
        for (replicas, bounds, current, total, expected) in cases {
            let size = new_set_size(replicas, bounds, current, total);
            assert_eq!(size, expected, "{replicas} {bounds:?} {current} of {total}");
        }
    }

    #[test]
    fn old_sets_shrink_only_by_what_availability_allows() {
        let bounds = |surge, unavailable| Bounds { surge, unavailable };
        let set = |wanted, available| Scale { wanted, available };
        let cases = [
            // The new Pod is not available yet and nothing may be missing.
            (4, bounds(1, 0), set(1, 0), vec![set(4, 4)], vec![4]),
            (4, bounds(1, 0), set(1, 1), vec![set(4, 4)], vec![3]),
            (4, bounds(1, 1), set(1, 0), vec![set(4, 4)], vec![3]),
            // Broken Pods of any old set go first, then healthy ones of the oldest.
            (3, bounds(0, 1), set(0, 0), vec![set(2, 0), set(2, 2)], vec![0, 2]),
            (4, bounds(2, 2), set(2, 2), vec![set(2, 2), set(2, 2)], vec![0, 0]),
            // A rollout that cannot become available keeps the old Pods.
            (2, bounds(1, 0), set(1, 0), vec![set(2, 2)], vec![2]),
        ];
        for (replicas, bounds, new, old, expected) in cases {
            let sizes = old_set_sizes(replicas, bounds, new, &old);
            assert_eq!(sizes, expected, "{replicas} {bounds:?} {new:?} {old:?}");
        }
    }
}
