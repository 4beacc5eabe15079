//! What the tasks tell each other and the outside: that something changed, how things are, and how often they happened.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::health::Health;
use crate::metrics::Metrics;

/// Handles that clones share.
#[derive(Debug, Clone)]
pub struct Signals {
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
    /// Something in the cluster changed; several changes at once are one.
    pub look_again: Arc<Notify>,
}

impl Signals {
    /// Alive as of now, and not ready before all of `gates` have been passed.
    pub fn new(gates: impl IntoIterator<Item = String>) -> Self {
        Self {
            health: Arc::new(Health::new(gates, Instant::now())),
            metrics: Arc::default(),
            look_again: Arc::default(),
        }
    }
}
