//! Whose pull secrets the pods of a workload have.

use std::fmt;

use k8s_openapi::api::core::v1::PodSpec;

/// The service account of pods that name none.
const DEFAULT_ACCOUNT: &str = "default";

/// What a namespace pulls an image with. Workloads that pull alike are one puller.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Puller {
    pub namespace: String,
    pub secrets: PullSecrets,
}

/// Where the names of the pull secrets stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PullSecrets {
    /// In the pod itself.
    Named(Vec<ObjectName>),
    /// In its service account, whose secrets the cluster gives to pods that name none of their own, and to no others.
    OfAccount(ObjectName),
}

impl Puller {
    /// As the pod's template says it. Names that cannot be names of objects are nobody's.
    pub fn of(namespace: &str, pod: Option<&PodSpec>) -> Self {
        let named = pod
            .and_then(|pod| pod.image_pull_secrets.as_deref())
            .unwrap_or_default();
        let account = pod.and_then(|pod| {
            pod.service_account_name
                .as_deref()
                .or(pod.service_account.as_deref())
        });
        let account = account
            .and_then(ObjectName::parse)
            .or_else(|| ObjectName::parse(DEFAULT_ACCOUNT));
        let secrets = match account {
            Some(account) if named.is_empty() => PullSecrets::OfAccount(account),
            _ => PullSecrets::Named(
                named
                    .iter()
                    .filter_map(|secret| ObjectName::parse(&secret.name))
                    .collect(),
            ),
        };
        Self {
            namespace: namespace.to_owned(),
            secrets,
        }
    }
}

/// The name of a Secret or a ServiceAccount: an RFC 1123 subdomain. Others are not asked for: the name becomes part of a
/// URL, in which `..` would lead into another namespace, and whoever may write a workload may write any text there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// `None` when an object cannot have that name.
    pub fn parse(name: &str) -> Option<Self> {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_label = |label: &str| {
            label.bytes().all(|byte| is_letter(byte) || byte == b'-')
                && label.bytes().next().is_some_and(is_letter)
                && label.bytes().last().is_some_and(is_letter)
        };
        (name.len() <= 253 && name.split('.').all(is_label)).then(|| Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_pulls_with_its_own_secrets_or_with_those_of_its_account() {
        for (pod, expected) in [
            (json!({}), "account default"),
            (json!({ "serviceAccountName": "builder" }), "account builder"),
            (json!({ "serviceAccount": "builder" }), "account builder"),
            (json!({ "serviceAccountName": "" }), "account default"),
            (
                json!({ "imagePullSecrets": [{ "name": "a" }, { "name": "b" }] }),
                "named a b",
            ),
            (
                json!({ "serviceAccountName": "builder", "imagePullSecrets": [{ "name": "a" }] }),
                "named a",
            ),
            (
                json!({ "imagePullSecrets": [{ "name": "../b" }, { "name": "" }, { "name": "c" }] }),
                "named c",
            ),
            (json!({ "imagePullSecrets": [{ "name": "../b" }] }), "named"),
        ] {
            let mut spec = pod.clone();
            spec["containers"] = json!([]);
            let spec: PodSpec = serde_json::from_value(spec).unwrap();
            let found = match Puller::of("shop", Some(&spec)).secrets {
                PullSecrets::Named(names) => names
                    .iter()
                    .fold("named".to_owned(), |text, name| format!("{text} {name}")),
                PullSecrets::OfAccount(name) => format!("account {name}"),
            };
            assert_eq!(found, expected, "{pod}");
        }
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_in_a_url_is_none() {
        for (name, valid) in [
            ("regcred", true),
            ("a.b-c.1", true),
            ("", false),
            (".", false),
            ("..", false),
            ("a..b", false),
            ("../../kube-system/secrets/a", false),
            ("a/b", false),
            ("a?b", false),
            ("a%2fb", false),
            ("Regcred", false),
            ("-a", false),
            ("a-", false),
        ] {
            assert_eq!(ObjectName::parse(name).is_some(), valid, "{name:?}");
        }
        assert!(ObjectName::parse(&"a".repeat(254)).is_none());
    }
}
