//! The record of logins that registries rejected, so that the next run does not show them again and no account is locked.
//!
//! A login is named by where it stands and by the version of that Secret, never by anything derived from it: whoever may
//! read the record could try passwords against a hash. A Secret that was changed has another version, and is tried at once.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};

use super::single::{SingleRecord, SingleRecordError};

/// The value of [`RECORD_LABEL`](super::config_map::RECORD_LABEL) and the name of the ConfigMap; there is one.
pub const REJECTED_LOGINS: &str = "rejected-logins";

const RECORD: SingleRecord = SingleRecord {
    kind: REJECTED_LOGINS,
    key: "logins",
};
/// For how long a login is left alone.
pub const QUARANTINE: Duration = Duration::from_hours(1);

/// The most that are kept; each is some 200 bytes, and a ConfigMap may have 1 MiB.
const MOST: usize = 1000;

/// A login that a registry or its token service rejected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectedLogin {
    pub registry: String,
    /// Where it stands; none for the scanner's own docker config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretVersion>,
    /// The entry's host and path.
    pub entry: String,
    /// Until then it is left alone.
    pub until: Timestamp,
}

impl RejectedLogin {
    /// Whether it is left alone now. What is further away than a quarantine lasts was written by a clock that was wrong.
    pub fn is_left_alone(&self, now: Timestamp) -> bool {
        let left = self.until.duration_since(now);
        left.is_positive() && left.unsigned_abs() <= QUARANTINE
    }
}

/// A Secret as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretVersion {
    pub namespace: String,
    pub name: String,
    pub resource_version: String,
}

/// The stored form.
pub fn to_config_map(logins: &BTreeSet<RejectedLogin>, namespace: &str) -> ConfigMap {
    let kept: Vec<_> = logins.iter().take(MOST).collect();
    RECORD.to_config_map(&kept, namespace)
}

/// Reads the stored form.
pub fn parse(config_map: &ConfigMap) -> Result<BTreeSet<RejectedLogin>, SingleRecordError> {
    RECORD.parse(config_map)
}

#[cfg(test)]
mod tests {
    use super::super::single::tests::assert_nothing_else_is_read;
    use super::*;

    fn logins() -> BTreeSet<RejectedLogin> {
        let secret = SecretVersion {
            namespace: "shop".to_owned(),
            name: "regcred".to_owned(),
            resource_version: "1234".to_owned(),
        };
        let login = |secret, entry: &str| RejectedLogin {
            registry: "registry.example.com".to_owned(),
            secret,
            entry: entry.to_owned(),
            until: "2026-11-21T04:00:00Z".parse().unwrap(),
        };
        BTreeSet::from([
            login(Some(secret), "registry.example.com/shop"),
            login(None, "*.example.com"),
        ])
    }

    #[test]
    fn it_is_legible_and_is_read_back() {
        let stored = to_config_map(&logins(), "kubefresh");
        let data = stored.data.as_ref().unwrap();
        assert_eq!(data["schema"], "1");
        assert_eq!(
            data["logins"],
            "\
- registry: registry.example.com
  entry: \"*.example.com\"
  until: \"2026-11-21T04:00:00Z\"
- registry: registry.example.com
  secret:
    namespace: shop
    name: regcred
    resourceVersion: \"1234\"
  entry: registry.example.com/shop
  until: \"2026-11-21T04:00:00Z\"
"
        );
        assert_eq!(parse(&stored), Ok(logins()));
        let none = BTreeSet::new();
        assert_eq!(parse(&to_config_map(&none, "kubefresh")), Ok(none));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert_nothing_else_is_read(
            RECORD,
            &to_config_map(&logins(), "kubefresh"),
            parse,
            "- registry: a\n  colour: red\n",
        );
    }

    #[test]
    fn a_login_is_left_alone_until_its_time_and_never_for_longer_than_a_quarantine() {
        let login = logins().pop_first().unwrap();
        let seconds_before = |seconds: i64| login.until - jiff::SignedDuration::from_secs(seconds);
        for (seconds, expected) in [(0, false), (1, true), (3600, true), (3601, false), (-1, false)] {
            assert_eq!(
                login.is_left_alone(seconds_before(seconds)),
                expected,
                "{seconds}"
            );
        }
    }

    #[test]
    fn it_never_outgrows_a_config_map() {
        let secret = |number: u32| SecretVersion {
            namespace: "n".repeat(63),
            name: format!("{number:0253}"),
            resource_version: "1".repeat(20),
        };
        let login = |number| RejectedLogin {
            registry: "r".repeat(253),
            secret: Some(secret(number)),
            entry: "e".repeat(200),
            until: Timestamp::UNIX_EPOCH,
        };
        let stored = to_config_map(&(0..5000).map(login).collect(), "kubefresh");
        let size: usize = stored.data.unwrap().values().map(String::len).sum();
        assert!(size < 1_000_000, "{size}");
    }
}
