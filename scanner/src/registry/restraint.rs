//! A 429, and who leaves the registry alone for it.

use std::time::Duration;

use jiff::Timestamp;
use shared::domain::cool_down::CoolDown;

use super::problem::{ErrorBody, ErrorEntry, Problem};

/// Whom a 429 stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Who asked.
    Account,
    /// Everybody: it is the address that asked too much, or nobody knows.
    Registry,
}

/// A 429 in the registry's words.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) stopped: Stopped,
    /// The time that it names.
    pub(super) named: Option<Timestamp>,
    pub(super) reason: String,
}

/// Whom a 429 with this body stops. Only of a registry that counts pulls is it known that another account may go on, and only
/// where it says that it was the pulls: Docker Hub answers every client of an address in plain text when all its requests were
/// too many, and in JSON when too many logins failed.
pub(super) fn stopped(counts_pulls: bool, body: &[u8]) -> Stopped {
    let is_pull_limit = |ErrorEntry { code, message }: &ErrorEntry| {
        let message = message.to_ascii_lowercase();
        code == "TOOMANYREQUESTS"
            && (message.contains("pull rate limit") || message.contains("increase-rate-limit"))
    };
    match serde_json::from_slice(body) {
        Ok(ErrorBody { errors }) if counts_pulls && errors.iter().any(is_pull_limit) => Stopped::Account,
        Ok(_) | Err(_) => Stopped::Registry,
    }
}

/// Whether somebody is to be left alone.
#[derive(Debug, Default)]
pub(super) struct Restraint {
    pub(super) cool_down: Option<CoolDown>,
    /// The registry said so in this run, which does not ask it again whatever the time.
    in_this_run: bool,
}

impl Restraint {
    pub(super) fn check(&self, now: Timestamp) -> Result<(), Problem> {
        match &self.cool_down {
            Some(cool_down) if self.in_this_run || cool_down.is_on(now) => Err(Problem::Deferred {
                until: cool_down.until,
            }),
            _ => Ok(()),
        }
    }

    /// Those that were under way together are refused together, which counts once.
    pub(super) fn refuse(&mut self, refusal: Refusal, shortest: Duration, now: Timestamp) -> Timestamp {
        let Refusal { named, reason, .. } = refusal;
        let earlier = self.cool_down.as_ref();
        let next = match earlier.filter(|_| self.in_this_run) {
            Some(earlier) => CoolDown::until(Some(earlier), named.unwrap_or(earlier.until), reason),
            None => CoolDown::after_refusal(earlier, named, shortest, reason, now),
        };
        self.in_this_run = true;
        self.cool_down.insert(next).until
    }

    /// What was under way when the refusal came may still be answered.
    pub(super) fn answered(&mut self, now: Timestamp) {
        if self.check(now).is_ok() {
            self.cool_down = None;
        }
    }

    pub(super) fn recall(&mut self, cool_down: Option<&CoolDown>) {
        let until = |cool_down: &CoolDown| cool_down.until;
        if cool_down.map(until) > self.cool_down.as_ref().map(until) {
            self.cool_down = cool_down.cloned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(code: &str, message: &str) -> Vec<u8> {
        serde_json::json!({ "errors": [{ "code": code, "message": message }] })
            .to_string()
            .into_bytes()
    }

    /// The texts are what Docker's usage pages and issues quote, and what GHCR and ECR answer.
    #[test]
    fn only_a_pull_limit_of_a_registry_that_counts_pulls_stops_no_more_than_who_asked() {
        let pull_limit = json(
            "TOOMANYREQUESTS",
            "You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: \
             https://www.docker.com/increase-rate-limits",
        );
        let failed_logins = json(
            "TOOMANYREQUESTS",
            "too many failed login attempts for username or IP address",
        );
        let ghcr = json("TOOMANYREQUESTS", "retry-after: 985.86µs, allowed: 44000/minute");
        let ecr = json("TOOMANYREQUESTS", "Rate exceeded");
        for (registry, counts_pulls, body, expected) in [
            ("docker.io", true, &pull_limit, Stopped::Account),
            (
                "docker.io, abuse",
                true,
                &b"Too Many Requests".to_vec(),
                Stopped::Registry,
            ),
            ("docker.io, logins", true, &failed_logins, Stopped::Registry),
            ("a mirror", false, &pull_limit, Stopped::Registry),
            ("ghcr.io", false, &ghcr, Stopped::Registry),
            ("ECR", false, &ecr, Stopped::Registry),
            ("unknown", false, &Vec::new(), Stopped::Registry),
            (
                "unknown, counting",
                true,
                &json("DENIED", "pull rate limit"),
                Stopped::Registry,
            ),
            (
                "unknown, counting",
                true,
                &b"{\"errors\":[]}".to_vec(),
                Stopped::Registry,
            ),
        ] {
            assert_eq!(stopped(counts_pulls, body), expected, "{registry}");
        }
    }
}
