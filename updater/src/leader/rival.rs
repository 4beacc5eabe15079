//! What is seen of a lease that somebody else holds.
//!
//! Whether it has run out is told by our own monotonic clock, from when it last changed before our eyes: by the time that its
//! holder wrote into it, a replica whose clock is a minute fast would overthrow a leader that is alive, and one whose clock
//! is a minute slow would wait a minute too long for one that is dead.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use tokio::time::Instant;

/// How the lease stands for one who does not hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is none, or it names us: nothing stands in our way.
    Ours,
    /// Its holder may act until then, unless it is renewed.
    Held { until: Instant },
    /// Its holder gave it back, or has not renewed it for as long as it lasts.
    Free,
}

/// The lease as it was last seen, and since when it looks like that.
#[derive(Debug, Default)]
pub(super) struct Rival(Option<(LeaseSpec, Instant)>);

impl Rival {
    /// Takes in a look at `now` by `holder`; `lasts` is for a lease that does not say how long it lasts.
    pub(super) fn observe(
        &mut self,
        lease: Option<&Lease>,
        holder: &str,
        lasts: Duration,
        now: Instant,
    ) -> Standing {
        let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else {
            self.0 = None;
            return Standing::Ours;
        };
        match spec.holder_identity.as_deref() {
            Some(named) if named == holder => {
                self.0 = None;
                return Standing::Ours;
            }
            None | Some("") => return Standing::Free,
            Some(_) => {}
        }
        let since = match &self.0 {
            Some((seen, since)) if seen == spec => *since,
            Some(_) | None => now,
        };
        self.0 = Some((spec.clone(), since));
        let seconds = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let until = since + seconds.map_or(lasts, Duration::from_secs);
        if now < until {
            Standing::Held { until }
        } else {
            Standing::Free
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    const LASTS: Duration = Duration::from_secs(15);

    /// A lease of 15 s, renewed at that second of 2026-11-21 by the clock of its holder.
    fn lease(holder: &str, renewed: u8) -> Lease {
        Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(15),
                renew_time: Some(MicroTime(
                    format!("2026-11-21T03:00:{renewed:02}Z").parse().unwrap(),
                )),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        }
    }

    #[test]
    fn a_lease_runs_out_by_our_own_clock_whatever_time_its_holder_wrote() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut rival = Rival::default();
        let looks = [
            // Renewed each 5 s: it never runs out.
            (0, "other", 0, Standing::Held { until: at(15) }),
            (5, "other", 5, Standing::Held { until: at(20) }),
            (20, "other", 6, Standing::Held { until: at(35) }),
            // Not renewed any more.
            (34, "other", 6, Standing::Held { until: at(35) }),
            (35, "other", 6, Standing::Free),
            (99, "other", 6, Standing::Free),
            // Somebody else was faster, with a clock that is behind.
            (100, "third", 1, Standing::Held { until: at(115) }),
            // Given back.
            (101, "", 2, Standing::Free),
            (102, "us", 3, Standing::Ours),
            // Lost again: the time counts anew.
            (300, "third", 1, Standing::Held { until: at(315) }),
        ];
        for (second, holder, renewed, expected) in looks {
            let standing = rival.observe(Some(&lease(holder, renewed)), "us", LASTS, at(second));
            assert_eq!(standing, expected, "at second {second}");
        }
        assert_eq!(rival.observe(None, "us", LASTS, at(301)), Standing::Ours);
        assert_eq!(
            rival.observe(Some(&Lease::default()), "us", LASTS, at(302)),
            Standing::Ours
        );
    }
}
