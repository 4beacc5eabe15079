//! The life of one pod on the node: bound, its containers run, and at its end its place cleared.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::behaviour::Role;
use super::board::{Board, Slot};
use super::container_state::{ContainerRecord, State};
use super::container_worker::ContainerWorker;
use super::node::{Node, next_pod_address};
use super::pod_status::{PodRecord, condition, qos_class};
use crate::apiserver::resources::{NODES, PODS};
use crate::controllers::events::{self, Severity, Source};

/// Holds a deleted pod until its containers have ended, as a real kubelet's grace period does.
pub const FINALIZER: &str = "sandbox.kubefresh.dev/kubelet";
/// What the scheduler takes, in sandbox time.
const SCHEDULING: Duration = Duration::from_millis(50);

/// What is to become of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It runs.
    Wanted,
    /// It is being deleted, or is gone already.
    Unwanted,
}

/// Sees a pod through from binding to its end.
pub async fn run(node: Arc<Node>, pod: Arc<Value>, mut fate: watch::Receiver<Fate>) {
    node.clock.sleep(SCHEDULING).await;
    if *fate.borrow() == Fate::Wanted
        && let Some(board) = admit(&node, &pod, &mut fate).await
    {
        let stop = CancellationToken::new();
        let work = run_containers(&board, &stop);
        tokio::pin!(work);
        let is_done = tokio::select! {
            () = &mut work => true,
            () = unwanted(&mut fate) => false,
        };
        if is_done {
            unwanted(&mut fate).await;
        } else {
            announce_end(&board);
            stop.cancel();
            work.await;
        }
    } else {
        unwanted(&mut fate).await;
    }
    release(&node, &pod);
}

async fn unwanted(fate: &mut watch::Receiver<Fate>) {
    if fate.wait_for(|fate| *fate == Fate::Unwanted).await.is_err() {
        tracing::trace!("the kubelet stops");
    }
}

fn names(pod: &Value) -> (&str, &str) {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    (text("namespace"), text("name"))
}

/// Binds the pod to the node and gives it its address. `None` when it does not fit or is gone.
async fn admit(node: &Arc<Node>, pod: &Value, fate: &mut watch::Receiver<Fate>) -> Option<Arc<Board>> {
    let (namespace, name) = names(pod);
    if !fits(node, pod) {
        report_unschedulable(node, pod);
        unwanted(fate).await;
        return None;
    }
    let is_bound = pod["spec"]["nodeName"].is_string();
    let bound = node.store.update(&PODS, namespace, name, |pod| {
        pod["spec"]["nodeName"] = json!(node.name);
        match pod["metadata"]["finalizers"].as_array_mut() {
            Some(finalizers) => finalizers.push(json!(FINALIZER)),
            None => pod["metadata"]["finalizers"] = json!([FINALIZER]),
        }
        Ok(())
    });
    let bound = bound.inspect_err(|error| tracing::warn!(name, %error, "a pod could not be bound"));
    let mut pod = Value::clone(&*bound.ok()?);
    if !is_bound {
        let message = format!("Successfully assigned {namespace}/{name} to {}", node.name);
        let scheduler = Source {
            component: "default-scheduler",
            host: "",
        };
        events::record(
            &node.store,
            &scheduler,
            &pod,
            Severity::Normal,
            "Scheduled",
            &message,
        );
    }
    let address = next_pod_address().to_string();
    pod["status"]["podIP"] = json!(address);
    pod["status"]["hostIP"] = json!(node.address);
    let record = record_of(node, &pod, address);
    let board = Arc::new(Board::new(Arc::clone(node), pod, record));
    board.publish();
    Some(board)
}

fn fits(node: &Node, pod: &Value) -> bool {
    let wanted = pod["spec"]["nodeSelector"].as_object();
    let labels = node.store.get(&NODES, "", &node.name);
    let labels = labels.as_ref().map(|node| &node["metadata"]["labels"]);
    wanted
        .into_iter()
        .flatten()
        .all(|(key, value)| labels.is_some_and(|labels| labels[key] == *value))
}

fn report_unschedulable(node: &Node, pod: &Value) {
    let message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. \
        preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    let scheduler = Source {
        component: "default-scheduler",
        host: "",
    };
    events::record(
        &node.store,
        &scheduler,
        pod,
        Severity::Warning,
        "FailedScheduling",
        message,
    );
    let (namespace, name) = names(pod);
    let problem = Some(("Unschedulable", message.to_owned()));
    let condition = condition("PodScheduled", problem, &Value::Null, node.clock.now());
    let outcome = node.store.update_status(&PODS, namespace, name, |pod| {
        pod["status"]["conditions"] = json!([condition]);
        Ok(())
    });
    if let Err(error) = outcome {
        tracing::debug!(%error, "an unschedulable pod was gone already");
    }
}

fn containers<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    pod["spec"][list].as_array().into_iter().flatten()
}

fn record_of(node: &Node, pod: &Value, address: String) -> PodRecord {
    let init: Vec<ContainerRecord> = containers(pod, "initContainers")
        .map(|spec| ContainerRecord::new(spec, "PodInitializing"))
        .collect();
    let reason = if init.is_empty() {
        "ContainerCreating"
    } else {
        "PodInitializing"
    };
    PodRecord {
        init,
        main: containers(pod, "containers")
            .map(|spec| ContainerRecord::new(spec, reason))
            .collect(),
        restart_policy: pod["spec"]["restartPolicy"]
            .as_str()
            .unwrap_or("Always")
            .to_owned(),
        pod_ip: address,
        host_ip: node.address.clone(),
        start_time: node.clock.now(),
        qos_class: qos_class(&pod["spec"]),
    }
}

fn worker(board: &Arc<Board>, slot: Slot, spec: &Value, stop: &CancellationToken) -> ContainerWorker {
    let policy = board.pod["spec"]["restartPolicy"].as_str().unwrap_or("Always");
    let is_sidecar = spec["restartPolicy"] == "Always";
    let (role, restart_policy) = match slot {
        Slot::Init(_) if is_sidecar => (Role::Service, "Always"),
        // An init container that has succeeded is never run again.
        Slot::Init(_) => (Role::Task, if policy == "Never" { "Never" } else { "OnFailure" }),
        Slot::Main(_) => (
            if policy == "Always" {
                Role::Service
            } else {
                Role::Task
            },
            policy,
        ),
    };
    let grace = board.pod["spec"]["terminationGracePeriodSeconds"]
        .as_u64()
        .unwrap_or(30);
    ContainerWorker {
        board: Arc::clone(board),
        slot,
        spec: spec.clone(),
        role,
        restart_policy: restart_policy.to_owned(),
        stop: stop.clone(),
        grace: Duration::from_secs(grace),
    }
}

/// Init containers one after the other, then all containers until they have ended for good.
async fn run_containers(board: &Arc<Board>, stop: &CancellationToken) {
    let sidecar_stop = stop.child_token();
    let mut sidecars = JoinSet::new();
    for (index, spec) in containers(&board.pod, "initContainers").enumerate() {
        let slot = Slot::Init(index);
        if spec["restartPolicy"] == "Always" {
            sidecars.spawn(worker(board, slot, spec, &sidecar_stop).run());
            if !sidecar_started(board, slot, stop).await {
                break;
            }
        } else if worker(board, slot, spec, stop).run().await != Some(0) {
            // Stopped, or failed with nothing to try it again.
            sidecar_stop.cancel();
            while sidecars.join_next().await.is_some() {}
            return;
        }
    }
    let mut tasks = JoinSet::new();
    for (index, spec) in containers(&board.pod, "containers").enumerate() {
        tasks.spawn(worker(board, Slot::Main(index), spec, stop).run());
    }
    while tasks.join_next().await.is_some() {}
    sidecar_stop.cancel();
    while sidecars.join_next().await.is_some() {}
}

async fn sidecar_started(board: &Board, slot: Slot, stop: &CancellationToken) -> bool {
    let pause = Duration::from_millis(100);
    while !board.container(slot).started {
        tokio::select! {
            () = stop.cancelled() => return false,
            () = board.node.clock.sleep(pause) => {}
        }
    }
    true
}

fn announce_end(board: &Board) {
    for (index, spec) in containers(&board.pod, "containers").enumerate() {
        if matches!(board.container(Slot::Main(index)).state, State::Running(_)) {
            let name = spec["name"].as_str().unwrap_or_default();
            board.node.event(
                &board.pod,
                Severity::Normal,
                "Killing",
                &format!("Stopping container {name}"),
            );
        }
    }
}

/// Lets the API remove the pod.
fn release(node: &Node, pod: &Value) {
    let (namespace, name) = names(pod);
    let outcome = node.store.update(&PODS, namespace, name, |current| {
        if current["metadata"]["uid"] == pod["metadata"]["uid"]
            && let Some(finalizers) = current["metadata"]["finalizers"].as_array_mut()
        {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        tracing::trace!(%error, "the pod was gone already");
    }
    node.options.logs.forget(namespace, name);
}
