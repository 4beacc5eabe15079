//! How long the machine itself holds everything up: what a timer that does nothing else is late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(1);

/// A thread that sleeps and looks how long it slept, until the measurement ends.
pub(crate) struct Stalls(Arc<AtomicU64>);

impl Stalls {
    pub(crate) fn watch() -> Self {
        let longest = Arc::new(AtomicU64::new(0));
        let of_thread = Arc::downgrade(&longest);
        thread::spawn(move || {
            let mut last = Instant::now();
            while let Some(longest) = of_thread.upgrade() {
                thread::sleep(EVERY);
                let late = last.elapsed().saturating_sub(EVERY);
                let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
                longest.fetch_max(late, Ordering::Relaxed);
                last = Instant::now();
            }
        });
        Self(longest)
    }

    /// The longest since it was taken last, in milliseconds.
    pub(crate) fn take_longest(&self) -> f64 {
        let micros = self.0.swap(0, Ordering::Relaxed);
        1000.0 * Duration::from_micros(micros).as_secs_f64()
    }
}
