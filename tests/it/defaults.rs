//! What a workload does not say itself: its namespace and the installation say it, to both programs alike.

use std::process::Output;

use sandbox::programs::programs;

/// Runs a program that is to refuse to start.
async fn refused(program: &str, command: &str, variables: &[(&str, &str)]) -> Output {
    tokio::process::Command::new(&programs()[program])
        .arg(command)
        .envs(variables.iter().copied())
        .env("KUBECONFIG", "/nowhere")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_default_that_cannot_be_obeyed_keeps_both_programs_from_starting_and_names_its_variable() {
    for (program, command) in [("kubefresh-scanner", "scan"), ("kubefresh-updater", "run")] {
        for (name, value, expected) in [
            (
                "KUBEFRESH_MODE",
                "AUTO_UPDATE",
                "variable KUBEFRESH_MODE: \"AUTO_UPDATE\" is not valid: it must be one of auto, approve, notify, off",
            ),
            (
                "KUBEFRESH_POLCY",
                "minor",
                "variable KUBEFRESH_POLCY is no default",
            ),
            (
                "KUBEFRESH_TAG_PATTERN",
                "(",
                "variable KUBEFRESH_TAG_PATTERN: \"(\" is not valid",
            ),
            (
                "IMAGE_WATCHER_MODE",
                "AUTO",
                "variable IMAGE_WATCHER_MODE: \"AUTO\" is not valid",
            ),
        ] {
            let output = refused(program, command, &[(name, value)]).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{program}: {said}");
            assert!(said.contains(expected), "{program}: {said}");
        }
    }
}

/// Variables of Image-Watcher and of watch-cluster that keep their names, and what none of them can mean.
const OF_OTHERS: [(&str, &str, &str); 7] = [
    ("RUN_ON_BOOT", "perhaps", "--run-on-boot"),
    (
        "WEBHOOK_ENABLE_DEPLOYMENT_DETECTED",
        "perhaps",
        "--webhook-enable-deployment-detected",
    ),
    (
        "WEBHOOK_ENABLE_IMAGE_ROLLOUT_STARTED",
        "perhaps",
        "--webhook-enable-image-rollout-started",
    ),
    (
        "WEBHOOK_ENABLE_IMAGE_ROLLOUT_COMPLETED",
        "perhaps",
        "--webhook-enable-image-rollout-completed",
    ),
    (
        "WEBHOOK_ENABLE_IMAGE_ROLLOUT_FAILED",
        "perhaps",
        "--webhook-enable-image-rollout-failed",
    ),
    ("WEBHOOK_ENABLE_NOTICE", "perhaps", "--webhook-enable-notice"),
    (
        "WEBHOOK_RETRY_COUNT",
        "many",
        "WEBHOOK_RETRY_COUNT is no number from 0 to",
    ),
];

#[tokio::test]
async fn what_the_updater_does_once_it_runs_is_said_by_variables_too_and_none_is_misread() {
    let program = "kubefresh-updater";
    for (name, value, expected) in OF_OTHERS {
        let output = refused(program, "run", &[(name, value)]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(expected), "{name}: {said}");
    }
    let meant = OF_OTHERS.map(|(name, value, _)| (name, if value == "many" { "5" } else { "true" }));
    let output = refused(program, "run", &meant).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("/nowhere"),
        "it is the cluster that is missing: {said}"
    );
}
