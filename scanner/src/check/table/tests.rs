use shared::domain::reference::Tag;

use super::*;
use crate::check::finding::Successor;
use crate::check::manifest::{PassedOver, Problem, Source};

fn version(tag: &str) -> Option<Version> {
    let tag: Tag = tag.parse().ok()?;
    Some(Version { tag, digest: None })
}

/// An image with this answer, of the command line or of a file.
fn finding(image: &str, file: Option<&str>, newest: &str, level: Option<Step>) -> Finding {
    let (name, current) = image.split_once(':').unwrap();
    Finding {
        image: image.to_owned(),
        name: name.to_owned(),
        source: file.map(|file| Source {
            file: file.to_owned(),
            document: 1,
            kind: "Deployment".to_owned(),
            namespace: None,
            name: name.to_owned(),
            container: "app".to_owned(),
        }),
        current: version(current),
        newest: version(newest),
        level,
        reason: "newer-version".to_owned(),
        explanation: String::new(),
        policy: None,
        options: PolicyOptions::of("range:>=1 <3"),
        error: None,
        successor: None,
    }
}

fn report(images: Vec<Finding>) -> Report {
    Report {
        images,
        problems: Vec::new(),
        passed_over: Vec::new(),
    }
}

fn page(report: &Report, requests: u64) -> String {
    anstream::adapter::strip_str(&render(report, requests, 100).unwrap()).to_string()
}

#[test]
fn each_image_has_a_row_and_what_is_to_be_known_beside_it_a_note() {
    let mut ended = finding("db:1.0-alpine3.19", None, "", None);
    ended.reason = "no-newer-version".to_owned();
    ended.successor = Some(Successor {
        family: "*.*-alpine3.24".to_owned(),
        newest: "1.7-alpine3.24".to_owned(),
    });
    let mut refused = finding("api:2.0", None, "", None);
    refused.reason = "timeout".to_owned();
    refused.error = Some("no answer".to_owned());
    let images = vec![
        finding("web:1.4.5", None, "2.0.0", Some(Step::Major)),
        ended,
        refused,
    ];
    let expected = "\
IMAGE  CURRENT         NEWEST  LEVEL  NOTE
web    1.4.5           2.0.0   major
db     1.0-alpine3.19  -              goes on as *.*-alpine3.24, newest 1.7-alpine3.24
api    2.0             -              timeout: no answer

CHECKED   3 images with 2 requests: 1 with something newer (1 major), 1 without, 1 not checked
NEXT      kubefresh-scanner explain web:1.4.5 --policy 'range:>=1 <3'
";
    assert_eq!(page(&report(images), 2), expected);
}

#[test]
fn where_there_are_several_files_their_names_stand_above_their_images() {
    let images = vec![
        finding("web:1.0", None, "", None),
        finding("web:1.0", Some("a.yaml"), "", None),
        finding("api:1.0", Some("a.yaml"), "", None),
        finding("web:1.0", Some("b.yaml"), "", None),
    ];
    let text = page(&report(images), 1);
    let first: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(
        first[..8],
        [
            "WORKLOAD",
            "command",
            "",
            "a.yaml",
            "deployment",
            "deployment",
            "b.yaml",
            "deployment"
        ],
        "{text}"
    );
}

#[test]
fn what_could_not_be_read_and_what_was_passed_over_is_told() {
    let mut report = report(Vec::new());
    report.problems = vec![
        Problem {
            file: "a.yaml".to_owned(),
            document: Some(3),
            reason: "it has no kind".to_owned(),
        },
        Problem {
            file: "b.yaml".to_owned(),
            document: None,
            reason: "there is no such file".to_owned(),
        },
    ];
    let object = |kind: &str| PassedOver {
        file: "a.yaml".to_owned(),
        document: 1,
        kind: kind.to_owned(),
        name: String::new(),
    };
    report.passed_over = vec![object("Service"), object("ConfigMap"), object("Service")];
    let expected = "\
CHECKED   no images were found
NOT READ  a.yaml, document 3: it has no kind
NOT READ  b.yaml: there is no such file
NOTE      no pod template in 1 ConfigMap, 2 Service
";
    assert_eq!(page(&report, 0), expected);
}

#[test]
fn the_suggested_command_has_every_option_that_decided() {
    let options = PolicyOptions {
        tag_pattern: Some("^r(.*)$".to_owned()),
        tag_extract: Some("$1".to_owned()),
        exclude: vec!["*-debug".to_owned(), "r1".to_owned()],
        prerelease: true,
        any_suffix: true,
        ..PolicyOptions::default()
    };
    assert_eq!(
        flags(&options),
        " --tag-pattern '^r(.*)$' --tag-extract '$1' --exclude '*-debug' --exclude r1 --suffix any --prerelease"
    );
}
