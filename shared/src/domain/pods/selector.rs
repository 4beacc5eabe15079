//! A workload's selector in the form in which a list is asked for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// `app=shop,tier in (a,b)`. `None` for one that selects everything or cannot be understood.
pub fn selector(selector: &LabelSelector) -> Option<String> {
    let labels = selector.match_labels.iter().flatten();
    let labels = labels.map(|(key, value)| Some(format!("{key}={value}")));
    let expressions = selector.match_expressions.iter().flatten().map(requirement);
    let parts: Vec<String> = labels.chain(expressions).collect::<Option<_>>()?;
    Some(parts.join(",")).filter(|text| !text.is_empty())
}

fn requirement(requirement: &LabelSelectorRequirement) -> Option<String> {
    let key = &requirement.key;
    let values = requirement.values.as_deref().unwrap_or_default().join(",");
    match requirement.operator.as_str() {
        "In" => Some(format!("{key} in ({values})")),
        "NotIn" => Some(format!("{key} notin ({values})")),
        "Exists" => Some(key.clone()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(value: Value) -> Option<String> {
        selector(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn every_operator_has_its_form_and_an_unknown_one_selects_nothing() {
        let all = json!({
            "matchLabels": { "app": "shop", "tier": "web" },
            "matchExpressions": [
                { "key": "zone", "operator": "In", "values": ["a", "b"] },
                { "key": "track", "operator": "NotIn", "values": ["canary"] },
                { "key": "live", "operator": "Exists" },
                { "key": "dead", "operator": "DoesNotExist" },
            ],
        });
        assert_eq!(
            written(all).as_deref(),
            Some("app=shop,tier=web,zone in (a,b),track notin (canary),live,!dead")
        );
        let unknown = json!({
            "matchLabels": { "app": "shop" },
            "matchExpressions": [{ "key": "zone", "operator": "Near", "values": ["a"] }],
        });
        assert_eq!(written(unknown), None);
        assert_eq!(written(json!({})), None);
    }
}
