use super::*;
use crate::apiserver::resources::{ALL, CONFIG_MAPS, PODS};

#[test]
fn ages_are_printed_like_kubectl_prints_them() {
    let cases = [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (330, "5m30s"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600 + 300, "3h5m"),
        (47 * 3600, "47h"),
        (50 * 3600, "2d2h"),
        (10 * 86_400, "10d"),
        (800 * 86_400, "2y70d"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(age::human(seconds), expected, "{seconds}");
    }
}

#[test]
fn the_status_of_a_pod_is_one_word() {
    let now = Timestamp::UNIX_EPOCH;
    let running = json!({"ready": true, "restartCount": 0, "state": {"running": {}}});
    let waiting =
        json!({"ready": false, "restartCount": 3, "state": {"waiting": {"reason": "ImagePullBackOff"}}});
    let initializing = json!([{"state": {"terminated": {"exitCode": 0}}}, {"state": {"running": {}}}]);
    let spec = json!({"containers": [{}], "initContainers": [{}, {}]});
    let cases = [
        (json!({"status": {"phase": "Pending"}}), "0/1", "Pending"),
        (
            json!({"status": {"phase": "Running", "containerStatuses": [running]}}),
            "1/1",
            "Running",
        ),
        (
            json!({"status": {"phase": "Pending", "containerStatuses": [waiting]}}),
            "0/1",
            "ImagePullBackOff",
        ),
        (
            json!({"status": {"phase": "Pending", "initContainerStatuses": initializing}}),
            "0/1",
            "Init:1/2",
        ),
        (
            json!({"metadata": {"deletionTimestamp": "x"}, "status": {"containerStatuses": [running]}}),
            "1/1",
            "Terminating",
        ),
    ];
    for (mut pod, ready, status) in cases {
        pod["spec"] = spec.clone();
        let row = cells(&PODS, &pod, now);
        assert_eq!((&row[1], &row[2]), (&json!(ready), &json!(status)), "{pod}");
    }
}

#[test]
fn every_resource_fills_as_many_cells_as_it_has_columns() {
    for resource in ALL {
        let row = cells(
            resource,
            &json!({"metadata": {"name": "a"}}),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(row.len(), columns(resource).len(), "{}", resource.kind);
    }
}

#[test]
fn the_entries_of_a_config_map_are_counted() {
    let object = json!({"metadata": {"name": "a"}, "data": {"a": ""}, "binaryData": {"b": ""}});
    assert_eq!(cells(&CONFIG_MAPS, &object, Timestamp::UNIX_EPOCH)[1], "2");
}
