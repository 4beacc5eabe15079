//! The one TLS provider: rustls with ring.

use std::sync::Once;

static INSTALLED: Once = Once::new();

/// Makes ring the provider of this process. To be called before any client is built: reqwest without a provider panics.
/// Calling it again does nothing.
pub fn init() {
    INSTALLED.call_once(|| {
        // The only failure is that a provider is there already, which is what was wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
