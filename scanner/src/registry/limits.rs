//! How fast each registry may be asked, and how many tags it lists on a page. The one table of such facts.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use shared::domain::budget::PullLimit;

use super::endpoint::is_loopback;

/// How often a registry may be asked: one request each `interval`, after a first `burst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    pub interval: Duration,
    pub burst: NonZeroU32,
}

/// What is known about a registry before it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub pace: Pace,
    /// The `n` to ask for in a list of tags; `None` asks without, which is right where a registry then answers
    /// with everything, and where nothing is known.
    pub page_size: Option<u32>,
    /// How many manifests may be fetched in a rolling window, by all who share the address or account.
    pub pulls: Option<PullLimit>,
}

impl Pace {
    const fn per_second(requests: u32, burst: u32) -> Self {
        Self::every(Duration::from_nanos(1_000_000_000 / requests as u64), burst)
    }

    const fn every(interval: Duration, burst: u32) -> Self {
        match NonZeroU32::new(burst) {
            Some(burst) => Self { interval, burst },
            None => Self {
                interval,
                burst: NonZeroU32::MIN,
            },
        }
    }

    /// Its part of what several scanners together may ask.
    fn divided(self, by: NonZeroU32) -> Self {
        Self {
            interval: self.interval.saturating_mul(by.get()),
            burst: NonZeroU32::new(self.burst.get() / by).unwrap_or(NonZeroU32::MIN),
        }
    }

    pub(super) fn quota(self) -> Quota {
        let interval = self.interval.max(Duration::from_nanos(1));
        // `with_period` refuses only zero.
        Quota::with_period(interval)
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(self.burst)
    }
}

/// How a registry is recognised.
enum Host {
    Is(&'static str),
    EndsWith(&'static str),
}

/// Sources, as read in 2026: Docker Hub's usage pages (an abuse limit of thousands a minute for all requests; HEAD is
/// no pull), quay's nginx configuration and Red Hat's solution 6218921 ("a few requests per second"), the
/// `allowed: 44000/minute` that GHCR itself reports, GitLab.com's 500 a minute for anonymous clients, public.ecr.aws's
/// quota of one a second for anonymous clients, ACR's 1,000 reads a minute in its smallest tier, Artifact Registry's
/// 60,000 a minute. The paces stay well below, because an address is often shared with the nodes that pull.
/// Page sizes: ECR answers 405 above 1,000, ACR clamps at 1,000, Quay at 100.
const TABLE: &[(Host, Limits)] = &[
    (
        Host::Is("docker.io"),
        with_pulls(limits(Pace::per_second(10, 10), None), PullLimit::DOCKER_HUB),
    ),
    (Host::Is("ghcr.io"), limits(Pace::per_second(20, 20), Some(1000))),
    (Host::Is("lscr.io"), limits(Pace::per_second(20, 20), Some(1000))),
    (Host::Is("quay.io"), limits(Pace::per_second(5, 5), Some(100))),
    (
        Host::Is("registry.gitlab.com"),
        limits(Pace::per_second(5, 5), Some(1000)),
    ),
    (
        Host::Is("public.ecr.aws"),
        limits(Pace::every(Duration::from_millis(1250), 1), Some(1000)),
    ),
    (
        Host::EndsWith(".amazonaws.com"),
        limits(Pace::per_second(10, 20), Some(1000)),
    ),
    (
        Host::EndsWith(".azurecr.io"),
        limits(Pace::per_second(10, 10), Some(1000)),
    ),
    (
        Host::EndsWith(".pkg.dev"),
        limits(Pace::per_second(20, 20), Some(10_000)),
    ),
    (Host::Is("gcr.io"), limits(Pace::per_second(20, 20), Some(10_000))),
    (
        Host::EndsWith(".gcr.io"),
        limits(Pace::per_second(20, 20), Some(10_000)),
    ),
];

/// For a registry that nothing is known about.
const UNKNOWN: Limits = limits(Pace::per_second(10, 20), None);

/// A registry on this machine shares its limits with nobody.
const LOOPBACK: Limits = limits(Pace::per_second(10_000, 10_000), None);

const fn limits(pace: Pace, page_size: Option<u32>) -> Limits {
    Limits {
        pace,
        page_size,
        pulls: None,
    }
}

const fn with_pulls(limits: Limits, pulls: PullLimit) -> Limits {
    Limits {
        pulls: Some(pulls),
        ..limits
    }
}

impl Limits {
    /// What is left for one of several scanners that ask at the same time. What counts pulls is asked by one alone.
    pub(super) fn divided(self, by: NonZeroU32) -> Self {
        match self.pulls {
            Some(_) => self,
            None => Self {
                pace: self.pace.divided(by),
                ..self
            },
        }
    }

    /// The limits of a registry, by its host in lower case, with the port if there is one.
    pub fn of(registry: &str) -> Self {
        let matches = |host: &Host| match host {
            Host::Is(name) => registry == *name,
            Host::EndsWith(suffix) => registry.ends_with(suffix),
        };
        match TABLE.iter().find(|(host, _)| matches(host)) {
            Some((_, limits)) => *limits,
            None if is_loopback(registry) => LOOPBACK,
            None => UNKNOWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registry_is_asked_at_the_pace_and_page_size_of_the_table() {
        for (registry, interval_milliseconds, page_size) in [
            ("docker.io", 100, None),
            ("ghcr.io", 50, Some(1000)),
            ("quay.io", 200, Some(100)),
            ("registry.gitlab.com", 200, Some(1000)),
            ("public.ecr.aws", 1250, Some(1000)),
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", 100, Some(1000)),
            ("shop.azurecr.io", 100, Some(1000)),
            ("europe-docker.pkg.dev", 50, Some(10_000)),
            ("eu.gcr.io", 50, Some(10_000)),
            ("registry.example.com", 100, None),
            ("notquay.io", 100, None),
        ] {
            let limits = Limits::of(registry);
            assert_eq!(
                limits.pace.interval,
                Duration::from_millis(interval_milliseconds),
                "{registry}"
            );
            assert_eq!(limits.page_size, page_size, "{registry}");
        }
    }

    #[test]
    fn a_registry_on_this_machine_is_hardly_limited() {
        for registry in ["localhost:5000", "127.0.0.1:5000", "127.8.0.1", "[::1]:5000"] {
            assert_eq!(Limits::of(registry), LOOPBACK, "{registry}");
        }
    }

    #[test]
    fn a_pace_becomes_a_quota_of_the_same_interval_and_burst() {
        let quota = Pace::every(Duration::from_millis(1250), 1).quota();
        assert_eq!(quota.replenish_interval(), Duration::from_millis(1250));
        assert_eq!(quota.burst_size().get(), 1);
    }
}
