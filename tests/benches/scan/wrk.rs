//! How fast the registry answers the same requests to a client that does nothing with the answers.

use sandbox::programs::workspace;
use tokio::process::Command;

use crate::fixture::Shop;

/// Answers in a second. wrk waits for ever for the body of an answer to HEAD, so that it asks for manifests by GET; the
/// registry does the same for both, and sends a few hundred bytes more.
pub(crate) async fn rate(shop: &Shop, connections: usize) -> f64 {
    let output = Command::new("wrk")
        .args(["--threads", "1", "--duration", "2s"])
        .args(["--connections", &connections.to_string()])
        .arg("--script")
        .arg(workspace().join("tests/benches/scan/wrk.lua"))
        .arg(format!("http://{}", shop.host))
        .arg("--")
        .arg(&shop.requests_file)
        .output()
        .await
        .expect("wrk is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let has_failed = text.contains("Non-2xx") || text.contains("Socket errors");
    assert!(output.status.success() && !has_failed, "{text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok())
        .expect("wrk says how fast it was")
}
