//! The record of what each registry still grants, so that a new process does not spend what an old one has spent.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::config_map::RECORD_LABEL;
use crate::domain::budget::PullBudget;

/// The value of [`RECORD_LABEL`] and the name of the ConfigMap; there is one.
pub const PULL_BUDGETS: &str = "pull-budgets";

const SCHEMA: &str = "1";

/// The most registries that are kept; each takes some hundred bytes, and only those that count pulls have an entry.
const MOST: usize = 500;

/// A ConfigMap that is no such record. Its text does not matter: it is written anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record {PULL_BUDGETS} cannot be read: {0}")]
pub struct PullBudgetsError(String);

/// The stored form of the budgets, by registry.
pub fn to_config_map(budgets: &BTreeMap<String, PullBudget>, namespace: &str) -> ConfigMap {
    let kept: BTreeMap<_, _> = budgets.iter().take(MOST).collect();
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let yaml = serde_saphyr::to_string_with_options(&kept, options).unwrap_or_default();
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(PULL_BUDGETS.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([(
                RECORD_LABEL.to_owned(),
                PULL_BUDGETS.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([
            ("schema".to_owned(), SCHEMA.to_owned()),
            ("budgets".to_owned(), yaml),
        ])),
        ..ConfigMap::default()
    }
}

/// Reads the stored form.
pub fn parse(config_map: &ConfigMap) -> Result<BTreeMap<String, PullBudget>, PullBudgetsError> {
    let get = |key: &str| config_map.data.as_ref().and_then(|data| data.get(key));
    match (get("schema").map(String::as_str), get("budgets")) {
        (Some(SCHEMA), Some(budgets)) => {
            serde_saphyr::from_str(budgets).map_err(|error| PullBudgetsError(error.to_string()))
        }
        (schema, _) => Err(PullBudgetsError(format!(
            "its schema is {schema:?} and this version reads {SCHEMA:?}"
        ))),
    }
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
