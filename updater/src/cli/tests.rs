use clap::CommandFactory as _;

use super::*;

fn parse(arguments: &[&str]) -> Result<Settings, SettingsError> {
    let words = ["kubefresh-updater"].iter().chain(arguments);
    Cli::try_parse_from(words).unwrap().run.settings()
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn the_command_may_be_left_out_and_flags_may_stand_on_either_side_of_it() {
    for arguments in [
        &["--lease-name", "x"][..],
        &["run", "--lease-name", "x"],
        &["--lease-name", "x", "run"],
    ] {
        assert_eq!(parse(arguments).unwrap().lease_name, "x", "{arguments:?}");
    }
}

#[test]
fn what_is_set_to_nothing_counts_as_not_set() {
    let empty = [
        "--watch-namespaces=",
        "--namespace=",
        "--listen-address=",
        "--pod-name=",
        "--signing-key-file=",
        "--page-token-file=",
        "--github-token-file=",
        "--gitlab-token-file=",
        "--gitea-token-file=",
        "--openai-api-key-file=",
        "--webhook-template-file=",
        "--run-on-boot=",
        "--fetch-notes=",
        "--quiet-hours-keep-failures=",
        "--webhook-enable-notice=",
    ];
    let settings = parse(&empty).unwrap();
    assert!(settings.watch_namespaces.is_empty());
    assert_eq!(settings.namespace, None);
    assert_eq!(settings.pod_name, DEFAULT_NAME);
    assert!(!settings.run_on_boot);
    assert!(settings.notes.fetch);
    assert_eq!(settings.listen.to_string(), "0.0.0.0:3000");
}

#[test]
fn a_switch_may_be_written_as_other_programs_and_shells_write_it() {
    let settings = parse(&[
        "--run-on-boot=TRUE",
        "--fetch-notes=False",
        "--quiet-hours-keep-failures=True",
    ]);
    let settings = settings.unwrap();
    assert!(settings.run_on_boot);
    assert!(!settings.notes.fetch);
}

#[test]
fn where_to_listen_is_a_port_on_all_addresses_or_on_one_of_either_family() {
    assert_eq!(
        parse(&["--port", "8080"]).unwrap().listen.to_string(),
        "0.0.0.0:8080"
    );
    assert_eq!(
        parse(&["--listen-address", "10.0.0.7"])
            .unwrap()
            .listen
            .to_string(),
        "10.0.0.7:3000"
    );
    assert_eq!(
        parse(&["--listen-address", "fd00::7"])
            .unwrap()
            .listen
            .to_string(),
        "[fd00::7]:3000"
    );
    let error = parse(&["--listen-address", "here"]).unwrap_err();
    assert_eq!(error, SettingsError::ListenAddress("here".to_owned()));
}

#[test]
fn a_lease_lasts_whole_seconds_and_long_enough_to_be_renewed() {
    for (text, good) in [
        ("15s", true),
        ("2s", true),
        ("1s", false),
        ("2500ms", false),
        ("soon", false),
    ] {
        let parsed = Cli::try_parse_from(["kubefresh-updater", "--lease-duration", text]);
        assert_eq!(parsed.is_ok(), good, "{text}");
    }
}

#[test]
fn rollouts_are_limited_unless_somebody_wants_any_number() {
    let limits = |arguments: &[&str]| {
        let limits = parse(arguments).unwrap().limits;
        (limits.max_rollouts, limits.max_rollouts_per_namespace)
    };
    assert_eq!(limits(&[]), (Some(10), None));
    assert_eq!(
        limits(&["--max-rollouts", "0", "--max-rollouts-per-namespace", "2"]),
        (None, Some(2))
    );
}

#[test]
fn a_namespace_that_cannot_exist_is_refused() {
    assert!(matches!(
        parse(&["--watch-namespaces", "shop,Blog"]),
        Err(SettingsError::WatchNamespaces(_))
    ));
    assert!(matches!(
        parse(&["--namespace", "a/b"]),
        Err(SettingsError::Namespace(_))
    ));
}
