use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ContainerRecord, PodRecord, State, compose, phase, qos_class};
use crate::controllers::kubelet::container_state::Terminated;

fn container(state: State) -> ContainerRecord {
    let ready = matches!(state, State::Running(_));
    let mut record = ContainerRecord::new(&json!({"name":"web","image":"web:1"}), "ContainerCreating");
    (record.state, record.ready, record.started) = (state, ready, ready);
    record
}

fn waiting(reason: &str) -> State {
    State::Waiting {
        reason: reason.into(),
        message: String::new(),
    }
}

fn ended(exit_code: i32) -> State {
    State::Terminated(end(exit_code))
}

fn end(exit_code: i32) -> Terminated {
    let epoch = Timestamp::UNIX_EPOCH;
    Terminated {
        exit_code,
        started: epoch,
        finished: epoch,
        message: String::new(),
    }
}

fn running() -> State {
    State::Running(Timestamp::UNIX_EPOCH)
}

fn pod(init: Vec<State>, main: Vec<State>, restart_policy: &str) -> PodRecord {
    PodRecord {
        init: init.into_iter().map(container).collect(),
        main: main.into_iter().map(container).collect(),
        restart_policy: restart_policy.into(),
        pod_ip: "127.1.0.1".into(),
        host_ip: "192.0.2.10".into(),
        start_time: Timestamp::UNIX_EPOCH,
        qos_class: "BestEffort",
    }
}

#[test]
fn the_phase_follows_the_containers_and_the_restart_policy() {
    let cases = [
        (vec![], vec![waiting("ContainerCreating")], "Always", "Pending"),
        (
            vec![],
            vec![running(), waiting("ErrImagePull")],
            "Always",
            "Pending",
        ),
        (vec![], vec![running(), ended(1)], "Always", "Running"),
        (vec![], vec![ended(0)], "Always", "Running"),
        (vec![], vec![ended(0)], "Never", "Succeeded"),
        (vec![], vec![ended(0), ended(2)], "Never", "Failed"),
        (vec![], vec![ended(1)], "OnFailure", "Running"),
        (
            vec![waiting("PodInitializing")],
            vec![waiting("PodInitializing")],
            "Always",
            "Pending",
        ),
        (
            vec![ended(1)],
            vec![waiting("PodInitializing")],
            "Never",
            "Failed",
        ),
        (
            vec![ended(1)],
            vec![waiting("PodInitializing")],
            "Always",
            "Pending",
        ),
        (vec![ended(0)], vec![running()], "Always", "Running"),
    ];
    for (init, main, policy, expected) in cases {
        let pod = pod(init, main, policy);
        assert_eq!(phase(&pod), expected, "{pod:?}");
    }
}

#[test]
fn a_container_in_a_crash_loop_leaves_the_pod_running() {
    let mut record = pod(vec![], vec![waiting("CrashLoopBackOff")], "Always");
    record.main[0].last = Some(end(1));
    assert_eq!(phase(&record), "Running");
    let status = compose(&record, &json!({}), Timestamp::UNIX_EPOCH);
    let container = &status["containerStatuses"][0];
    assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|condition| condition["type"] == kind)
        .unwrap()
}

#[test]
fn the_ready_condition_names_who_is_not_and_keeps_its_time() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let first = compose(
        &pod(vec![], vec![waiting("ContainerCreating")], "Always"),
        &json!({}),
        at(0),
    );
    assert_eq!(
        condition(&first, "Ready")["message"],
        "containers with unready status: [web]"
    );
    let record = pod(vec![], vec![running()], "Always");
    let second = compose(&record, &first, at(5));
    assert_eq!(
        condition(&second, "Ready")["lastTransitionTime"],
        "1970-01-01T00:00:05Z"
    );
    assert_eq!(
        condition(&second, "PodScheduled")["lastTransitionTime"],
        "1970-01-01T00:00:00Z"
    );
    assert_eq!(compose(&record, &second, at(9)), second);
}

#[test]
fn a_finished_pod_is_not_ready_because_it_is_completed() {
    let status = compose(
        &pod(vec![], vec![ended(0)], "Never"),
        &json!({}),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(condition(&status, "Ready")["reason"], "PodCompleted");
}

#[test]
fn the_quality_of_service_depends_on_requests_and_limits() {
    let spec = |resources: Value| json!({"containers":[{"resources":resources}]});
    let both = json!({"cpu":"1","memory":"1Gi"});
    let cases = [
        (json!({}), "BestEffort"),
        (json!({"requests":{"cpu":"1"}}), "Burstable"),
        (json!({"limits":both}), "Guaranteed"),
        (json!({"limits":both,"requests":both}), "Guaranteed"),
        (
            json!({"limits":both,"requests":{"cpu":"500m","memory":"1Gi"}}),
            "Burstable",
        ),
    ];
    for (resources, expected) in cases {
        assert_eq!(qos_class(&spec(resources.clone())), expected, "{resources}");
    }
}
