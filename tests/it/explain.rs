//! `kubefresh-scanner explain`: the real binary, with files, pipes and the embedded registry.

mod batch;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use sandbox::programs::{programs, workspace};
use sandbox::registry::{Auth, Fault, ImageSpec, Registry, RequestKind, Rule, User};
use serde_json::{Value, json};

use crate::output::{object, stderr, stdout};

/// `explain` with these arguments, not started yet.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(&programs()["kubefresh-scanner"]);
    command
        .arg("explain")
        .args(arguments)
        .env_remove("KUBECONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it with this standard input.
fn explain(arguments: &[&str], input: &str) -> Output {
    let mut child = command(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // A program that wants no input closes the pipe.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Runs it beside a registry that lives in this test's runtime.
async fn explain_asking(arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let run = move || explain(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "");
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// A file with these tags, one a line.
fn tag_file(directory: &tempfile::TempDir, tags: &[&str]) -> PathBuf {
    let path = directory.path().join("tags.txt");
    std::fs::write(&path, tags.join("\n")).unwrap();
    path
}

const TAGS: [&str; 7] = [
    "1.4.4",
    "1.4.5",
    "1.4.6",
    "1.6.0",
    "2.0.0",
    "1.7.0-alpine",
    "latest",
];

#[test]
fn the_tags_come_from_a_file_or_from_standard_input_and_the_answer_is_one_object() {
    let directory = tempfile::tempdir().unwrap();
    let file = tag_file(&directory, &TAGS);
    let arguments = ["web:1.4.5", "--policy", "minor", "--output", "json", "--tags"];
    let expected = json!({
        "current": "1.4.5", "selected": "1.6.0", "reason": "newer-version",
        "explanation": "a newer tag is published", "successor": null, "invalid": null,
        "rejected": {
            "current": ["1.4.5"], "superseded": ["1.4.6"], "outside-level": ["2.0.0"], "not-newer": ["1.4.4"],
            "other-suffix": ["1.7.0-alpine"], "no-version": ["latest"],
        },
    });
    let from_file = explain(&[&arguments[..], &[file.to_str().unwrap()]].concat(), "");
    assert_eq!(object(&from_file, 0), expected);
    for input in [
        TAGS.join("\n"),
        json!(TAGS).to_string(),
        json!({ "tags": TAGS }).to_string(),
    ] {
        let from_pipe = explain(&[&arguments[..], &["-"]].concat(), &input);
        assert_eq!(object(&from_pipe, 0), expected);
    }
}

#[test]
fn nothing_newer_is_an_answer_and_a_range_needs_no_image() {
    let none = explain(
        &["web:2.0.0", "--tags", "-", "--output", "json"],
        "1.0.0\n2.0.0\n",
    );
    assert_eq!(object(&none, 0)["reason"], "no-newer-version");
    let start = explain(
        &["--policy", "range:1.x", "--tags", "-", "--output", "json"],
        &TAGS.join("\n"),
    );
    let start = object(&start, 0);
    assert_eq!(
        (&start["current"], &start["selected"]),
        (&Value::Null, &json!("1.6.0"))
    );
}

#[test]
fn what_cannot_be_meant_ends_with_2_and_says_why_in_both_formats() {
    for (arguments, says, reason) in [
        (&["web:1.0.0", "--policy", "minr"][..], "minr", "invalid-policy"),
        (
            &["web:1.0.0", "--policy", "range:latest"],
            "range:latest",
            "invalid-policy",
        ),
        (
            &["web:1.0.0", "--tag-extract", "$1"],
            "tag-extract",
            "invalid-policy",
        ),
        (&["Web:1.0.0"], "upper-case", "invalid-input"),
        (
            &["web:1.0.0", "--current-digest", "sha256:1"],
            "current_digest",
            "invalid-input",
        ),
        (&["web:1.0.0", "--hold", "a tag"], "hold", "invalid-input"),
        (&[], "neither a policy", "invalid-policy"),
    ] {
        let arguments = [arguments, &["--tags", "-"]].concat();
        let output = explain(&arguments, "1.0.0\n");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            stderr(&output).contains(says),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "");
        let output = explain(&[&arguments[..], &["--output", "json"]].concat(), "1.0.0\n");
        let answer = object(&output, 2);
        assert_eq!(
            (&answer["reason"], &answer["selected"]),
            (&json!(reason), &Value::Null)
        );
        assert!(answer["invalid"].as_str().unwrap().contains(says), "{answer}");
    }
    for arguments in [
        &[][..],
        &["web:1.0.0", "--batch"],
        &["--batch", "--references"],
        &["--batch", "--policy", "minor"],
        &["--batch", "--tags", "-"],
        &["web:1.0.0", "--suffix", "some", "--tags", "-"],
        &["web:1.0.0", "--plain-http", "http://x", "--tags", "-"],
        &["web:1.0.0", "--tags", "/no/such/file"],
    ] {
        let output = explain(arguments, "");
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stdout(&output)
        );
        assert!(!stderr(&output).is_empty(), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_is_asked_for_its_list_and_for_two_digests() {
    let registry = Registry::open().await;
    for tag in ["1.4.5", "1.5.0", "1.6.0", "2.0.0"] {
        registry.publish(&ImageSpec::new("shop/web", tag));
    }
    let image = registry.reference("shop/web", "1.4.5");
    let answer = object(
        &explain_asking(&[&image, "--policy", "minor", "--output", "json"]).await,
        0,
    );
    assert_eq!(
        (&answer["selected"], &answer["reason"]),
        (&json!("1.6.0"), &json!("newer-version"))
    );
    assert_eq!(
        (registry.count(RequestKind::Tags), registry.requests().len()),
        (1, 3)
    );
    registry.clear_requests();
    let answer = object(
        &explain_asking(&[&image, "--policy", "patch", "--output", "json"]).await,
        0,
    );
    assert_eq!(answer["selected"], Value::Null);
    assert_eq!(
        registry.requests().len(),
        1,
        "where nothing is chosen no digest counts"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_a_private_authority_that_does_not_answer_everybody_is_asked_as_the_options_say() {
    let registry = Registry::open().await;
    for tag in ["1.4.5", "1.5.0"] {
        registry.publish(&ImageSpec::new("shop/web", tag));
    }
    registry.configure(|options| options.auth = Auth::Basic(vec![User::new("ann", "geheim")]));
    let front = registry.with_tls().await;
    let (host, folder) = (front.host(), tempfile::tempdir().unwrap());
    let write = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ca = write("ca.pem", front.ca_pem().to_owned());
    let registries = write(
        "registries.yaml",
        format!("registries: {{ '{host}': {{ caFile: '{ca}' }} }}"),
    );
    let auths = json!({ "auths": { &host: { "username": "ann", "password": "geheim" } } });
    let config = write("config.json", auths.to_string());
    let image = format!("{host}/shop/web:1.4.5");
    let trusting = [&image, "--output", "json", "--registries", &registries];

    let refused = explain_asking(&trusting).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("401 Unauthorized"),
        "{}",
        stderr(&refused)
    );
    let knowing = [&trusting[..], &["--docker-config", &config]].concat();
    assert_eq!(object(&explain_asking(&knowing).await, 0)["selected"], "1.5.0");

    write("config.json", "geheim".to_owned());
    let broken = explain_asking(&knowing).await;
    assert_eq!(broken.status.code(), Some(2));
    let said = stderr(&broken);
    assert!(said.contains(&config) && !said.contains("geheim"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_name_of_the_image_that_runs_is_told_and_not_chosen() {
    let registry = Registry::open().await;
    registry.publish(&ImageSpec::new("shop/web", "1.4.0"));
    registry.retag("shop/web", "1.4.0", "1.4.1");
    let image = registry.reference("shop/web", "1.4.0");
    let answer = object(&explain_asking(&[&image, "--output", "json"]).await, 0);
    assert_eq!(
        (&answer["selected"], &answer["reason"]),
        (&Value::Null, &json!("same-digest"))
    );
    assert_eq!(answer["rejected"]["same-digest"], json!(["1.4.1"]));

    registry.publish(&ImageSpec::new("shop/web", "1.4.2"));
    let held = registry.digest("shop/web", "1.4.2").unwrap();
    let answer = object(
        &explain_asking(&[&image, "--hold", &held, "--output", "json"]).await,
        0,
    );
    assert_eq!(
        (&answer["selected"], &answer["reason"]),
        (&Value::Null, &json!("held"))
    );
    assert_eq!(answer["rejected"]["held"], json!(["1.4.2"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_policy_digest_one_head_is_all_that_is_asked() {
    let registry = Registry::open().await;
    let old = registry
        .publish(&ImageSpec::new("shop/web", "edge").label("build", "1"))
        .digest;
    let pinned = format!("{}@{old}", registry.reference("shop/web", "edge"));
    let same = object(
        &explain_asking(&[&pinned, "--policy", "digest", "--output", "json"]).await,
        0,
    );
    assert_eq!(
        (&same["selected"], &same["reason"]),
        (&Value::Null, &json!("digest-unchanged"))
    );
    registry.publish(&ImageSpec::new("shop/web", "edge").label("build", "2"));
    registry.clear_requests();
    let moved = object(&explain_asking(&[&pinned, "--output", "json"]).await, 0);
    assert_eq!(
        (&moved["selected"], &moved["reason"]),
        (&json!("edge"), &json!("digest-changed"))
    );
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_cannot_be_asked_ends_with_1_and_one_sentence() {
    let registry = Registry::open().await;
    registry.publish(&ImageSpec::new("shop/web", "1.0.0"));
    let missing = registry.reference("shop/missing", "1.0.0");
    let output = explain_asking(&[&missing, "--log-level", "off"]).await;
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()));
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("shop/missing"), "{}", stderr(&output));
    registry.fault(Rule::always(Fault::status(403)));
    let refused = explain_asking(&[&registry.reference("shop/web", "1.0.0"), "--output", "json"]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
}

#[test]
fn the_table_is_plain_in_a_pipe_and_coloured_where_colours_are_forced() {
    let arguments = ["web:1.4.5", "--policy", "minor", "--tags", "-"];
    let plain = explain(&arguments, &TAGS.join("\n"));
    assert_eq!(plain.status.code(), Some(0));
    let text = stdout(&plain);
    assert!(
        text.starts_with("IMAGE     web:1.4.5\nPOLICY    minor\nTAGS      7 from standard input\n"),
        "{text}"
    );
    assert!(text.contains("\nSELECTED  1.6.0\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let coloured = command(&["web:1.4.5", "--tags", "/dev/null"])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    assert!(stdout(&coloured).contains('\u{1b}'), "{}", stdout(&coloured));
    let refused = command(&["web:1.4.5", "--tags", "/dev/null"])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(!stdout(&refused).contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_says_whom_it_asked() {
    let registry = Registry::open().await;
    for tag in ["1.4.5", "1.5.0", "edge"] {
        registry.publish(&ImageSpec::new("shop/web", tag));
    }
    let asked = stdout(&explain_asking(&[&registry.reference("shop/web", "1.4.5")]).await);
    assert!(
        asked.contains(&format!("3 from {}/shop/web\n", registry.host())),
        "{asked}"
    );
    let digest = stdout(&explain_asking(&[&registry.reference("shop/web", "edge")]).await);
    assert!(digest.contains("DIGEST    unknown runs, sha256:"), "{digest}");
    assert!(!digest.contains("TAGS"), "nobody was asked for a list: {digest}");
}

/// The commands of the README's section about `explain`, each with what it says is printed.
fn readme_examples() -> Vec<(Vec<String>, Vec<String>)> {
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    let section = readme.split("## Explain a choice").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut examples = Vec::<(Vec<String>, Vec<String>)>::new();
    for block in section.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap().replace(" \\\n", " ");
        for line in block.lines() {
            match line.strip_prefix("$ kubefresh-scanner explain ") {
                Some(arguments) => examples.push((words(arguments), Vec::new())),
                None => examples.last_mut().unwrap().1.push(line.to_owned()),
            }
        }
    }
    examples
}

/// The words of a command line, in which single quotes are the only quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn the_readme_shows_what_is_printed() {
    let examples = readme_examples();
    assert!(examples.len() >= 5, "{examples:?}");
    for (arguments, shown) in examples {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = command(&arguments).current_dir(workspace()).output().unwrap();
        let printed = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let mut lines = printed.lines();
        // What was left out of the README stands there as an ellipsis.
        for shown in shown.iter().filter(|line| line.trim() != "…") {
            assert!(
                lines.any(|line| line == shown),
                "{arguments:?} no longer prints\n{shown}\nbut\n{printed}"
            );
        }
    }
}
