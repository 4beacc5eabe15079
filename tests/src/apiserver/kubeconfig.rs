//! The file that tells kubectl and kube-rs where the server is and how to prove who they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// JSON is YAML, and serde quotes better than we would.
pub(super) fn yaml(url: &str, ca_pem: &str, namespace: &str, user: &str, token: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "sandbox",
        "clusters": [{"name": "sandbox", "cluster": {
            "server": url,
            "certificate-authority-data": STANDARD.encode(ca_pem),
        }}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": user, "namespace": namespace}}],
    });
    serde_saphyr::to_string(&config).expect("a kubeconfig is plain data")
}
