//! The record of what each registry still grants, so that a new process does not spend what an old one has spent.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;

use super::single::{SingleRecord, SingleRecordError};
use crate::domain::budget::PullBudget;

/// The value of [`RECORD_LABEL`](super::config_map::RECORD_LABEL) and the name of the ConfigMap; there is one.
pub const PULL_BUDGETS: &str = "pull-budgets";

const RECORD: SingleRecord = SingleRecord {
    kind: PULL_BUDGETS,
    key: "budgets",
};

/// The most registries that are kept; each takes some hundred bytes, and only those that count pulls have an entry.
const MOST: usize = 500;

/// The stored form of the budgets, by registry.
pub fn to_config_map(budgets: &BTreeMap<String, PullBudget>, namespace: &str) -> ConfigMap {
    let kept: BTreeMap<_, _> = budgets.iter().take(MOST).collect();
    RECORD.to_config_map(&kept, namespace)
}

/// Reads the stored form.
pub fn parse(config_map: &ConfigMap) -> Result<BTreeMap<String, PullBudget>, SingleRecordError> {
    RECORD.parse(config_map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::budget::PullLimit;

    #[test]
    fn it_is_legible_and_is_read_back() {
        let mut budget = PullBudget::default();
        let now = "2026-11-21T04:10:00Z".parse().unwrap();
        budget.observe(PullLimit::DOCKER_HUB, 76, now);
        assert!(budget.spend(Some(PullLimit::DOCKER_HUB), now));
        let budgets = BTreeMap::from([("docker.io".to_owned(), budget)]);
        let stored = to_config_map(&budgets, "kubefresh");
        assert_eq!(
            stored.data.as_ref().unwrap()["budgets"],
            "\
docker.io:
  observed:
    limit:
      pulls: 100
      windowSeconds: 21600
    remaining: 76
    at: \"2026-11-21T04:10:00Z\"
    spentSince: 1
  spent:
    \"2026-11-21T04:00:00Z\": 1
"
        );
        let read = parse(&stored).unwrap();
        assert!(read["docker.io"].says_the_same(&budgets["docker.io"]));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for (key, value) in [
            ("schema", "2"),
            ("budgets", "- ["),
            ("budgets", "docker.io: { colour: red }"),
        ] {
            let mut stored = to_config_map(&BTreeMap::new(), "kubefresh");
            stored
                .data
                .get_or_insert_default()
                .insert(key.to_owned(), value.to_owned());
            assert!(parse(&stored).is_err(), "{key} {value}");
        }
        assert!(parse(&ConfigMap::default()).is_err());
    }
}
