//! `explain --batch` and `--references`: many questions to one process.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Output};

use sandbox::programs::workspace;
use serde_json::{Value, json};

use super::{command, explain};
use crate::output::{stderr, stdout};

/// The objects that were printed, one a line, of a run that ended well.
fn objects(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    let lines = stdout(output);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn recorded(name: &str) -> String {
    std::fs::read_to_string(workspace().join("shared/vectors").join(name)).unwrap()
}

/// A recorded example as a line of a batch.
fn batch_line(example: &Value, current: &Value, id: usize) -> Value {
    let recorded = &example["policy"];
    let text = |field: &str| recorded[field].as_str().unwrap_or_default().to_owned();
    let order = |by: &str| format!("{by}:{}", recorded["order"].as_str().unwrap_or("asc"));
    let kind = text("kind");
    let (policy, tag_pattern, tag_order) = match kind.as_str() {
        "semver" => (text("level"), &recorded["pattern"], None),
        "digest" => (kind, &Value::Null, None),
        "semver-range" => (format!("range:{}", text("range")), &recorded["pattern"], None),
        "glob" => (format!("glob:{}", text("pattern")), &Value::Null, None),
        "regex-alpha" => (
            format!("regex:{}", text("pattern")),
            &Value::Null,
            Some(order("alphabetical")),
        ),
        "regex-numeric" => (
            format!("regex:{}", text("pattern")),
            &Value::Null,
            Some(order("numeric")),
        ),
        other => panic!("the kind {other} is not known"),
    };
    json!({
        "id": id, "current": current, "policy": policy, "tag_pattern": tag_pattern, "tag_extract": recorded["extract"],
        "tag_order": tag_order, "suffix": recorded["suffix"], "prerelease": recorded["prerelease"],
        "current_digest": example["current_digest"], "remote_digest": example["remote_digest"], "tags": example["tags"],
    })
}

#[test]
fn a_batch_answers_every_recorded_example_as_recorded() {
    let examples: Vec<Value> = recorded("tags.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let asked: Vec<(&Value, &Value)> = examples
        .iter()
        .flat_map(|example| {
            let currents = [Some(&example["current"]), example.get("current_hint")];
            currents
                .into_iter()
                .flatten()
                .map(move |current| (example, current))
        })
        .collect();
    let mut input = String::new();
    for (id, (example, current)) in asked.iter().enumerate() {
        writeln!(input, "{}", batch_line(example, current, id)).unwrap();
    }
    let output = explain(&["--batch"], &input);
    let answers = objects(&output);
    assert_eq!(answers.len(), asked.len());
    assert_eq!(stderr(&output), "", "every field is known");
    for (id, ((example, current), answer)) in asked.iter().zip(&answers).enumerate() {
        assert_eq!((&answer["id"], &&answer["current"]), (&json!(id), current));
        let is_broken = example["invalid_policy"] == true;
        assert_eq!(!answer["invalid"].is_null(), is_broken, "{example}: {answer}");
        let accepted = example["accept"].as_array().cloned().unwrap_or_default();
        let selected = &answer["selected"];
        assert!(
            *selected == example["expect"] || accepted.contains(selected),
            "{example}: {answer}"
        );
        let rejected = answer["rejected"].as_object().unwrap().values();
        let rejected: usize = rejected.map(|tags| tags.as_array().unwrap().len()).sum();
        let mut published: Vec<&Value> = example["tags"].as_array().unwrap().iter().collect();
        published.sort_by_key(|tag| tag.as_str());
        published.dedup();
        let accounted = rejected + usize::from(published.contains(&selected));
        assert!(
            is_broken || accounted == published.len(),
            "each tag once: {answer}"
        );
    }
}

#[test]
fn a_batch_goes_on_after_lines_that_cannot_be_answered_and_warns_of_fields_it_does_not_know() {
    let good = json!({ "id": "good", "current": "1.0.0", "tags": ["1.1.0"] });
    let typo =
        json!({ "id": "typo", "current": "1.0.0", "tags": ["1.1.0"], "pre_release": true, "polcy": "patch" });
    let broken = json!({ "id": "broken", "current": "1.0.0", "policy": "regex:(", "tags": ["1.1.0"] });
    let input = format!("{broken}\n\n{{\n{typo}\n\u{0}\n{good}");
    let output = explain(&["--batch"], &input);
    let answers = objects(&output);
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(
        ids,
        [
            &json!("broken"),
            &Value::Null,
            &json!("typo"),
            &Value::Null,
            &json!("good")
        ]
    );
    assert!(answers[1]["invalid"].as_str().unwrap().starts_with("line 3: "));
    assert_eq!(
        (&answers[2]["selected"], &answers[4]["selected"]),
        (&json!("1.1.0"), &json!("1.1.0"))
    );
    let warnings = stderr(&output);
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
    assert!(
        warnings.contains("pre_release") && warnings.contains("polcy"),
        "{warnings}"
    );
}

#[test]
fn a_batch_answers_each_line_before_it_reads_the_next() {
    let mut child = command(&["--batch"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    for id in 0..3 {
        let line = json!({ "id": id, "current": "1.0.0", "tags": ["1.1.0"] });
        writeln!(stdin, "{line}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["id"], id);
    }
    drop(stdin);
    assert_eq!(ended(child), Some(0));
}

/// The exit code of a program that ends by itself.
fn ended(mut child: Child) -> Option<i32> {
    child.wait().unwrap().code()
}

#[test]
fn a_line_of_many_megabytes_is_answered() {
    let tags: Vec<String> = (0..200_000).map(|number| format!("1.{number}.0")).collect();
    let line = json!({ "id": "long", "current": "1.7.0", "tags": tags }).to_string();
    assert!(line.len() > 2_000_000);
    let answers = objects(&explain(&["--batch"], &line));
    assert_eq!(answers[0]["selected"], "1.199999.0");
    assert_eq!(
        answers[0]["rejected"]["superseded"].as_array().unwrap().len(),
        200_000 - 9
    );
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let tags = (0..50_000).fold(String::new(), |mut tags, number| {
        writeln!(tags, "1.{number}.0").unwrap();
        tags
    });
    let line = json!({ "id": 1, "current": "1.0.0", "tags": ["1.1.0"] }).to_string() + "\n";
    for (arguments, input) in [
        (
            &["web:1.0.0", "--tags", "-", "--output", "json"][..],
            tags.as_str(),
        ),
        (&["--batch"], &line.repeat(10_000)),
        (&["--references"], &"{\"input\":\"nginx\"}\n".repeat(10_000)),
    ] {
        let mut child = command(arguments).spawn().unwrap();
        let mut first = [0];
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(input.as_bytes());
        });
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!((ended(child), errors.as_str()), (Some(0), ""), "{arguments:?}");
        writer.join().unwrap();
    }
}

#[test]
fn references_are_taken_apart_as_recorded() {
    let recorded = recorded("references.jsonl");
    let expected: Vec<Value> = recorded
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let input = expected.iter().fold(String::new(), |mut input, example| {
        writeln!(
            input,
            "{}",
            json!({ "id": example["id"], "input": example["input"] })
        )
        .unwrap();
        input
    });
    let output = explain(&["--references"], &input);
    assert_eq!(stderr(&output), "");
    let answers = objects(&output);
    assert_eq!(answers.len(), expected.len());
    for (answer, expected) in answers.iter().zip(&expected) {
        for field in ["id", "valid", "registry", "repository", "tag", "digest"] {
            assert_eq!(answer[field], expected[field], "{field} of {expected}");
        }
        assert_eq!(answer["error"].is_null(), answer["valid"] == true, "{answer}");
    }
}
