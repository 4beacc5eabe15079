//! Sandbox time: real time, or real time running several times faster.
//!
//! Everything that plays out in the cluster (creation times, rollouts, deadlines) reads this clock, so a test
//! can watch a ten-minute deadline pass in seconds. Leases and tokens use real time and do not come here.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A clock that starts at the real time and from then on runs `speed` times as fast.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    speed: f64,
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    /// Sandbox time equals real time.
    pub fn real() -> Self {
        Self::faster(1.0)
    }

    /// One real second is `speed` sandbox seconds. `speed` must be positive.
    pub fn faster(speed: f64) -> Self {
        assert!(speed > 0.0, "a clock must run forwards");
        Self {
            speed,
            started_at: Timestamp::now(),
            started: Instant::now(),
        }
    }

    /// How many sandbox seconds pass in one real second.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The current sandbox time.
    pub fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed().mul_f64(self.speed);
        self.started_at + jiff::SignedDuration::try_from(elapsed).expect("elapsed time fits")
    }

    /// Waits until `duration` of sandbox time has passed.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.real_duration(duration)).await;
    }

    /// How long `duration` of sandbox time takes in real time.
    pub fn real_duration(&self, duration: Duration) -> Duration {
        duration.div_f64(self.speed)
    }

    /// The current sandbox time as Kubernetes writes it in `metadata`: whole seconds, UTC.
    pub fn now_rfc3339(&self) -> String {
        rfc3339_seconds(self.now())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

/// `2024-01-02T03:04:05Z`, the precision of `metav1.Time`.
pub fn rfc3339_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2024-01-02T03:04:05.000006Z`, the precision of `metav1.MicroTime`.
pub fn rfc3339_micros(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faster_clock_shortens_real_waiting() {
        let clock = Clock::faster(10.0);
        assert_eq!(
            clock.real_duration(Duration::from_secs(5)),
            Duration::from_millis(500)
        );
    }

    #[test]
    fn times_are_written_with_the_precision_of_kubernetes() {
        let time: Timestamp = "2024-01-02T03:04:05.000006789Z".parse().unwrap();
        assert_eq!(rfc3339_seconds(time), "2024-01-02T03:04:05Z");
        assert_eq!(rfc3339_micros(time), "2024-01-02T03:04:05.000006Z");
    }
}
