//! `kubefresh-scanner check`: the real binary, with images, manifests and the embedded registry.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use sandbox::programs::{programs, workspace};
use sandbox::registry::{Auth, Fault, ImageSpec, Registry, RequestFacts, RequestKind, Rule, User};
use serde_json::{Value, json};

use crate::output::{object, stderr, stdout};

/// Runs `check` with this standard input, beside a registry that lives in this test's runtime.
async fn check_reading(arguments: &[&str], input: &str) -> Output {
    let (arguments, input) = (
        arguments.iter().map(ToString::to_string).collect::<Vec<_>>(),
        input.to_owned(),
    );
    let run = move || {
        let mut child = Command::new(&programs()["kubefresh-scanner"])
            .arg("check")
            .args(arguments)
            .env_remove("KUBECONFIG")
            .current_dir(workspace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that wants no input closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn check(arguments: &[&str]) -> Output {
    check_reading(arguments, "").await
}

/// `shop/web` with a few versions, and `shop/edge`, which moves.
async fn registry() -> Registry {
    let registry = Registry::open().await;
    for tag in ["1.4.5", "1.4.6", "1.5.0", "2.0.0"] {
        registry.publish(&ImageSpec::new("shop/web", tag).label("version", tag));
    }
    registry.publish(&ImageSpec::new("shop/edge", "edge").label("build", "1"));
    registry
}

/// Method and path of every request, in order.
fn asked(registry: &Registry) -> Vec<String> {
    let mut asked: Vec<String> = registry
        .requests()
        .iter()
        .map(|RequestFacts { method, path, .. }| format!("{method} {path}"))
        .collect();
    asked.sort();
    asked
}

/// Current and newest version and the level between them, of each image.
fn steps(report: &Value) -> Vec<[&str; 3]> {
    let images = report["images"].as_array().unwrap().iter();
    images
        .map(|image| ["current", "newest", "level"].map(|field| image[field].as_str().unwrap_or("-")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_one_repository_cost_one_request_and_each_gets_its_answer() {
    let registry = registry().await;
    let image = |tag: &str| registry.reference("shop/web", tag);
    let output = check(&[
        &image("1.4.5"),
        &image("1.5.0"),
        &image("1.4.6"),
        "--policy",
        "major",
        "--output",
        "json",
    ])
    .await;
    let report = object(&output, 0);
    assert_eq!(
        steps(&report),
        [
            ["1.4.5", "2.0.0", "major"],
            ["1.5.0", "2.0.0", "major"],
            ["1.4.6", "2.0.0", "major"],
        ]
    );
    assert_eq!(asked(&registry), ["GET /v2/shop/web/tags/list"]);
    assert_eq!(stderr(&output), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_an_image_is_there() {
    let registry = registry().await;
    let image = registry.reference("shop/web", "1.4.5");
    let report = object(
        &check(&[&image, "--policy", "patch", "--output", "json"]).await,
        0,
    );
    assert_eq!(
        report,
        json!({
            "images": [{
                "image": image, "source": null, "current": "1.4.5", "newest": "1.4.6", "level": "patch",
                "reason": "newer-version", "explanation": "a newer tag is published", "policy": "patch",
                "error": null, "successor": null,
            }],
            "problems": [],
            "passed_over": [],
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_asked_for_only_where_one_is_written() {
    let registry = registry().await;
    let digest = registry.digest("shop/edge", "edge").unwrap();
    let edge = registry.reference("shop/edge", "edge");
    let pinned = format!("{edge}@{digest}");
    let unknown = object(&check(&[&edge, "--output", "json"]).await, 0);
    assert_eq!(unknown["images"][0]["reason"], "digest-unknown");
    assert_eq!(
        asked(&registry),
        [""; 0],
        "there is nothing to hold an answer against"
    );

    let same = object(&check(&[&pinned, &pinned, "--output", "json"]).await, 0);
    assert_eq!(same["images"][1]["reason"], "digest-unchanged");
    assert_eq!(asked(&registry), ["HEAD /v2/shop/edge/manifests/edge"]);

    registry.publish(&ImageSpec::new("shop/edge", "edge").label("build", "2"));
    let moved_to = registry.digest("shop/edge", "edge").unwrap();
    let moved = object(&check(&[&pinned, "--output", "json", "--exit-code"]).await, 1);
    assert_eq!(
        steps(&moved),
        [[
            format!("edge@{digest}").as_str(),
            &format!("edge@{moved_to}"),
            "other"
        ]]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_with_a_digest_gets_the_digest_of_the_newer_tag_and_a_new_name_is_no_update() {
    let registry = registry().await;
    let digest = |tag: &str| registry.digest("shop/web", tag).unwrap();
    let pinned = format!("{}@{}", registry.reference("shop/web", "1.4.5"), digest("1.4.5"));
    let report = object(
        &check(&[&pinned, "--policy", "minor", "--output", "json"]).await,
        0,
    );
    assert_eq!(
        report["images"][0]["newest"],
        format!("1.5.0@{}", digest("1.5.0"))
    );
    assert_eq!(
        asked(&registry),
        ["GET /v2/shop/web/tags/list", "HEAD /v2/shop/web/manifests/1.5.0"]
    );
    registry.retag("shop/web", "2.0.0", "2.0.1");
    let newest = format!("{}@{}", registry.reference("shop/web", "2.0.0"), digest("2.0.0"));
    let same = object(&check(&[&newest, "--output", "json"]).await, 0);
    assert_eq!(
        (&same["images"][0]["newest"], &same["images"][0]["reason"]),
        (&Value::Null, &json!("same-digest"))
    );
}

/// Several documents, of which one cannot be read and one has no pod template.
fn manifest(registry: &Registry) -> String {
    let web = |tag: &str| registry.reference("shop/web", tag);
    format!(
        "\
# Source: shop/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  annotations:
    sidecar.kubefresh.dev/policy: patch
spec:
  template:
    spec:
      initContainers:
        - name: migrate
          image: {newest}
      containers:
        - name: app
          image: {old}
        - name: sidecar
          image: {old}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
---
kind: Deployment
spec: [
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: report}}
spec: {{jobTemplate: {{spec: {{template: {{spec: {{containers: [{{name: report, image: {old}}}]}}}}}}}}}}
",
        old = web("1.4.5"),
        newest = web("2.0.0"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_checked_by_its_annotations_and_one_bad_document_leaves_the_others() {
    let registry = registry().await;
    let manifest = manifest(&registry);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.yaml");
    std::fs::write(&file, &manifest).unwrap();
    let file = file.to_str().unwrap();
    let arguments = ["--policy", "minor", "--output", "json", "-f"];
    let output = check(&[&arguments[..], &[file]].concat()).await;
    let report = object(&output, 2);
    assert_eq!(
        steps(&report),
        [
            ["2.0.0", "-", "-"],
            ["1.4.5", "1.5.0", "minor"],
            ["1.4.5", "1.4.6", "patch"],
            ["1.4.5", "1.5.0", "minor"],
        ]
    );
    assert_eq!(asked(&registry), ["GET /v2/shop/web/tags/list"]);
    assert_eq!(
        report["images"][1]["source"],
        json!({
            "file": file, "document": 1, "kind": "Deployment", "namespace": "shop", "name": "web", "container": "app",
        })
    );
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(
        (problems.len(), &problems[0]["document"]),
        (1, &json!(3)),
        "{report}"
    );
    assert_eq!(
        report["passed_over"],
        json!([{ "file": file, "document": 2, "kind": "Service", "name": "web" }])
    );
    assert!(
        stderr(&output).contains("1 part of the manifests could not be read"),
        "{}",
        stderr(&output)
    );

    let piped = check_reading(&[&arguments[..], &["-"]].concat(), &manifest).await;
    assert_eq!(steps(&object(&piped, 2)), steps(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_plain_in_a_pipe_and_nothing_is_drawn() {
    let registry = registry().await;
    let output = check_reading(&["--policy", "minor", "-f", "-"], &manifest(&registry)).await;
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let host = registry.host();
    let name = format!("{host}/shop/web");
    let width = name.len();
    let printed = stdout(&output);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(
        lines[..5],
        [
            format!(
                "WORKLOAD             CONTAINER  {:width$}  CURRENT  NEWEST  LEVEL",
                "IMAGE"
            )
            .as_str(),
            &format!("deployment shop/web  migrate    {name}  2.0.0    -"),
            &format!("deployment shop/web  app        {name}  1.4.5    1.5.0   minor"),
            &format!("deployment shop/web  sidecar    {name}  1.4.5    1.4.6   patch"),
            &format!("cronjob report       report     {name}  1.4.5    1.5.0   minor"),
        ],
        "{printed}"
    );
    assert!(
        printed.contains(
            "\nCHECKED   4 images with 1 request: 3 with something newer (2 minor, 1 patch), 1 without\n"
        ),
        "{printed}"
    );
    assert!(
        printed.contains("\nNOT READ  standard input, document 3: "),
        "{printed}"
    );
    assert!(
        printed.contains("\nNOTE      no pod template in 1 Service\n"),
        "{printed}"
    );
    assert!(
        printed.ends_with(&format!(
            "\nNEXT      kubefresh-scanner explain {name}:1.4.5 --policy minor\n"
        )),
        "{printed}"
    );
    assert!(!printed.contains('\u{1b}'), "{printed}");
    assert_eq!(
        stderr(&output),
        "kubefresh-scanner: not everything could be checked: 1 part of the manifests could not be read\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_whether_anything_is_newer_only_if_that_was_asked() {
    let registry = registry().await;
    let (old, newest) = (
        registry.reference("shop/web", "1.4.5"),
        registry.reference("shop/web", "2.0.0"),
    );
    let missing = registry.reference("shop/missing", "1.0.0");
    for (arguments, exit_code) in [
        (&[old.as_str()][..], 0),
        (&[&old, "--exit-code"], 1),
        (&[&newest, "--exit-code"], 0),
        (&[&newest, &missing], 2),
        (&[&old, &missing, "--exit-code"], 2),
        (&[&old, "Not-A-Reference"], 2),
        (&[&old, "-f", "/no/such/file"], 2),
        (&[&old, "--policy", "minr"], 2),
        (&[&old, "--plain-http", "http://x"], 2),
        (&["-f", "deploy/manifests/namespace.yaml"], 0),
        (&[], 2),
    ] {
        let output = check(arguments).await;
        assert_eq!(
            output.status.code(),
            Some(exit_code),
            "{arguments:?}: {}",
            stdout(&output)
        );
        assert_eq!(stderr(&output).is_empty(), exit_code == 0, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer_is_asked_once_and_the_others_are_checked() {
    let registry = registry().await;
    registry.fault(Rule::always(Fault::status(403)).repository("shop/web"));
    let web = registry.reference("shop/web", "1.4.5");
    let edge = format!(
        "{}@{}",
        registry.reference("shop/edge", "edge"),
        registry.digest("shop/edge", "edge").unwrap()
    );
    let report = object(&check(&[&web, &web, &edge, "--output", "json"]).await, 2);
    for image in &report["images"].as_array().unwrap()[..2] {
        assert_eq!(
            (&image["reason"], &image["newest"]),
            (&json!("forbidden"), &Value::Null)
        );
        assert!(image["error"].as_str().unwrap().contains("shop/web"), "{image}");
    }
    assert_eq!(report["images"][2]["reason"], "digest-unchanged");
    assert_eq!(registry.count(RequestKind::Tags), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer_everybody_is_asked_with_the_given_login() {
    let registry = registry().await;
    registry.configure(|options| options.auth = Auth::Basic(vec![User::new("ann", "geheim")]));
    let image = registry.reference("shop/web", "1.4.5");
    let refused = object(&check(&[&image, "--output", "json"]).await, 2);
    assert_eq!(refused["images"][0]["reason"], "unauthorized");

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    let auths = json!({ "auths": { registry.host(): { "username": "ann", "password": "geheim" } } });
    std::fs::write(&config, auths.to_string()).unwrap();
    let config = config.to_str().unwrap();
    let output = check(&[&image, "--docker-config", config, "--output", "json"]).await;
    assert_eq!(steps(&object(&output, 0)), [["1.4.5", "1.5.0", "minor"]]);

    std::fs::write(config, "geheim").unwrap();
    let broken = check(&[&image, "--docker-config", config]).await;
    assert_eq!(broken.status.code(), Some(2));
    assert!(
        stderr(&broken).contains(config) && !stderr(&broken).contains("geheim"),
        "{}",
        stderr(&broken)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_by_level_where_they_are_wanted() {
    let registry = registry().await;
    let image = registry.reference("shop/web", "1.4.5");
    let run = |name: &'static str| {
        let image = image.clone();
        let run = move || {
            Command::new(&programs()["kubefresh-scanner"])
                .args(["check", &image, "--policy", "major"])
                .env(name, "1")
                .output()
                .unwrap()
        };
        tokio::task::spawn_blocking(run)
    };
    let coloured = stdout(&run("CLICOLOR_FORCE").await.unwrap());
    assert!(
        coloured.contains("\u{1b}[1m\u{1b}[31m2.0.0\u{1b}[0m"),
        "{coloured:?}"
    );
    assert!(!stdout(&run("NO_COLOR").await.unwrap()).contains('\u{1b}'));
}

/// The command of the README's section about `check`, and what it says is printed.
fn readme_example() -> (String, Vec<String>) {
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    let section = readme.split("\n## Check images and manifests\n").nth(1).unwrap();
    let block = section.split("```console\n$ ").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let (command, shown) = block.split_once('\n').unwrap();
    (command.to_owned(), shown.lines().map(str::to_owned).collect())
}

/// Columns are as wide as what is in them, and the registry of a test has another name.
fn words(line: &str, host: &str) -> Vec<String> {
    let line = line.replace(host, "registry.example.com");
    line.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_shows_what_is_printed() {
    let registry = Registry::open().await;
    for name in ["node", "code-server", "postgres"] {
        let tags = std::fs::read_to_string(workspace().join(format!("docs/tags/{name}.txt"))).unwrap();
        registry.publish(&ImageSpec::new(name, "latest"));
        registry.tag_many(name, "latest", tags.lines());
    }
    let (command, shown) = readme_example();
    let file = command.strip_prefix("kubefresh-scanner check -f ").unwrap();
    let manifest = std::fs::read_to_string(workspace().join(file)).unwrap();
    let manifest = manifest.replace("registry.example.com", &registry.host());
    let output = check_reading(&["-f", "-"], &manifest).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let printed = stdout(&output);
    let printed_words: Vec<_> = printed
        .lines()
        .map(|line| words(line, &registry.host()))
        .collect();
    let shown_words: Vec<_> = shown
        .iter()
        .map(|line| words(line, "registry.example.com"))
        .collect();
    assert_eq!(printed_words, shown_words, "{printed}");
}
