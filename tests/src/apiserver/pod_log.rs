//! `pods/log`: the text comes from whoever plays kubelet.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::StatusCode;
use serde_json::Value;
use tokio::sync::mpsc;

use super::Shared;
use super::error::ApiError;
use super::path::Target;
use super::resources::PODS;
use super::respond::{self, Answer};
use super::serve::{Call, Dropped};

const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);

/// Which log is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// The namespace of the pod.
    pub namespace: String,
    /// The name of the pod.
    pub pod: String,
    /// The container, already checked to exist in the pod.
    pub container: String,
    /// The log of the instance before the last restart.
    pub previous: bool,
}

/// Gives the logs of pods.
pub trait LogSource: Debug + Send + Sync {
    /// Every line so far, without line ends. An error is shown to the client as 400.
    fn lines(&self, query: &LogQuery) -> Result<Vec<String>, String>;
}

pub(super) fn answer(shared: &Arc<Shared>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let pod = shared
        .store
        .get(&PODS, &target.namespace, &target.name)
        .ok_or_else(|| ApiError::not_found(&PODS, &target.name))?;
    let query = LogQuery {
        namespace: target.namespace.clone(),
        pod: target.name.clone(),
        container: container(&pod, call.query.get("container"))?,
        previous: call.query.flag("previous"),
    };
    let mut lines = lines(shared, &query)?;
    if let Some(tail) = call
        .query
        .get("tailLines")
        .and_then(|count| count.parse::<usize>().ok())
    {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    if !call.query.flag("follow") {
        return Ok(respond::with_type(StatusCode::OK, "text/plain", text(&lines)));
    }
    let (out, mut chunks) = mpsc::channel(16);
    tokio::spawn(follow(Arc::clone(shared), query, lines, out));
    let stream = futures::stream::poll_fn(move |context| chunks.poll_recv(context));
    Ok(respond::with_type(
        StatusCode::OK,
        "text/plain",
        Body::from_stream(stream),
    ))
}

fn lines(shared: &Shared, query: &LogQuery) -> Result<Vec<String>, ApiError> {
    match shared.log_source.get() {
        Some(source) => source.lines(query).map_err(ApiError::bad_request),
        None => Ok(Vec::new()),
    }
}

/// The container asked for, or the only one.
fn container(pod: &Value, wanted: Option<&str>) -> Result<String, ApiError> {
    let pod_name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let names = |list: &str| -> Vec<&str> {
        pod["spec"][list]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["name"].as_str())
            .collect()
    };
    let containers = names("containers");
    match wanted {
        Some(wanted) if containers.contains(&wanted) || names("initContainers").contains(&wanted) => {
            Ok(wanted.to_owned())
        }
        Some(wanted) => Err(ApiError::bad_request(format!(
            "container {wanted} is not valid for pod {pod_name}"
        ))),
        None => match containers.as_slice() {
            [only] => Ok((*only).to_owned()),
            many => Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {pod_name}, choose one of: [{}]",
                many.join(" ")
            ))),
        },
    }
}

fn text(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// Sends what there is, then what comes, until the pod is gone or finished, or nobody listens.
async fn follow(
    shared: Arc<Shared>,
    query: LogQuery,
    first: Vec<String>,
    out: mpsc::Sender<Result<Bytes, Dropped>>,
) {
    let mut sent = lines(&shared, &query).map_or(0, |lines| lines.len());
    if out.send(Ok(Bytes::from(text(&first)))).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_INTERVAL) => {}
            () = out.closed() => return,
            () = shared.shutdown.cancelled() => return,
        }
        let over = shared
            .store
            .get(&PODS, &query.namespace, &query.pod)
            .is_none_or(|pod| matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")));
        let Ok(lines) = lines(&shared, &query) else { return };
        let new = lines.get(sent..).unwrap_or_default();
        if !new.is_empty() && out.send(Ok(Bytes::from(text(new)))).await.is_err() {
            return;
        }
        sent = lines.len();
        if over {
            return;
        }
    }
}
