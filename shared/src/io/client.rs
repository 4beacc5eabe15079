//! The Kubernetes client of both programs: found as kubectl finds its cluster, with a timeout on every call, and errors
//! that say what to do.

use std::time::Duration;

use kube::{Client, Config};

use super::tls;

/// How long a program that only reads and writes waits for the cluster to say something.
pub const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How many seconds a watch lasts; then the server ends it and it is asked for anew. So one is never quiet for longer, unless nobody is
/// there any more: a connection can die without a word, as where a node on the way forgets it.
pub const WATCH_SECONDS: u32 = 30;
/// The same for a program that watches: nothing is waited for on a connection that has been silent for longer than a watch can be.
pub const WATCH_LIMIT: Duration = Duration::from_secs(35);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "no Kubernetes cluster found: no kubeconfig (KUBECONFIG or ~/.kube/config) can be used ({kubeconfig}), and no service account is there; run inside a pod, or point KUBECONFIG at a cluster"
    )]
    NoCluster {
        /// What is the matter with the kubeconfig.
        kubeconfig: String,
        source: kube::config::InferConfigError,
    },
    #[error("the Kubernetes client could not be set up: {0}")]
    Build(#[source] kube::Error),
}

/// A client for the cluster that the environment names, and the namespace it puts us in. No call hangs longer than
/// `silence` without a word from the cluster.
pub async fn connect(silence: Duration) -> Result<Client, ClientError> {
    Client::try_from(config(silence).await?).map_err(ClientError::Build)
}

/// What such a client is made from.
pub async fn config(silence: Duration) -> Result<Config, ClientError> {
    tls::init();
    let mut config = Config::infer().await.map_err(no_cluster)?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(silence);
    Ok(config)
}

fn no_cluster(source: kube::config::InferConfigError) -> ClientError {
    let kubeconfig = std::error::Error::source(&source).map(ToString::to_string);
    ClientError::NoCluster {
        kubeconfig: kubeconfig.unwrap_or_default(),
        source,
    }
}

/// What went wrong with a call to the cluster, and what to do, in one sentence.
pub fn explain(doing: &str, error: &kube::Error) -> String {
    let kube::Error::Api(status) = error else {
        return format!(
            "{doing}: {}; check that the cluster can be reached",
            with_sources(error)
        );
    };
    match status.code {
        401 => format!("{doing}: the cluster does not know who we are (401); check the token or kubeconfig"),
        403 => format!(
            "{doing}: {}; apply the RBAC of deploy/manifests, or grant it",
            status.message
        ),
        code => format!("{doing}: {} ({code})", status.message),
    }
}

/// Whether a call was refused for want of permission, which no later try will mend.
pub fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403))
}

/// The whole chain, without what an outer error has said already.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}
