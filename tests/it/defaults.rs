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
        ] {
            let output = refused(program, command, &[(name, value)]).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{program}: {said}");
            assert!(said.contains(expected), "{program}: {said}");
        }
    }
}
