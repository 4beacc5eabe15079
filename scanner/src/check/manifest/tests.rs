use std::fmt::Write as _;

use super::*;

fn read(text: &str) -> Found {
    let mut found = Found::default();
    found.read("m.yaml", text, &PolicyOptions::of("major"));
    found
}

/// Kind, name, container and image of each target.
fn images(found: &Found) -> Vec<String> {
    let line = |target: &Target| {
        let source = target.source.as_ref().unwrap();
        let Source {
            document,
            kind,
            name,
            container,
            ..
        } = source;
        format!("{document} {kind} {name} {container} {}", target.image)
    };
    found.targets.iter().map(line).collect()
}

#[test]
fn containers_are_found_wherever_there_is_a_pod_template() {
    let found = read(
        "
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop}
spec: {containers: [{name: c, image: a:1}], initContainers: [{name: i, image: b:1}]}
---
kind: Deployment
metadata: {name: d}
spec: {template: {spec: {containers: [{name: c, image: a:2}]}}}
---
kind: CronJob
metadata: {name: j}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: a:3}]}}}}}
---
kind: List
items:
- {kind: StatefulSet, metadata: {name: s}, spec: {template: {spec: {containers: [{name: c, image: a:4}]}}}}
- {kind: Service, metadata: {name: v}, spec: {ports: [{port: 80}]}}
- {kind: DaemonSetList, items: [{kind: DaemonSet, metadata: {generateName: e-}, spec: {template: {spec: {containers: [{name: c, image: a:5}]}}}}]}
---
kind: Rollout
metadata: {name: r}
spec: {template: {spec: {containers: [{name: c, image: a:6}]}}}
---
kind: PodTemplate
metadata: {name: t}
template: {spec: {containers: [{name: c, image: a:7}]}}
",
    );
    assert_eq!(
        images(&found),
        [
            "1 Pod p i b:1",
            "1 Pod p c a:1",
            "2 Deployment d c a:2",
            "3 CronJob j c a:3",
            "4 StatefulSet s c a:4",
            "4 DaemonSet e- c a:5",
            "5 Rollout r c a:6",
            "6 PodTemplate t c a:7",
        ]
    );
    assert_eq!(found.problems, []);
    let passed_over: Vec<_> = found
        .passed_over
        .iter()
        .map(|object| (object.document, object.kind.as_str(), object.name.as_str()))
        .collect();
    assert_eq!(passed_over, [(4, "Service", "v")]);
    let source = found.targets[0].source.as_ref().unwrap();
    assert_eq!(source.namespace.as_deref(), Some("shop"));
}

#[test]
fn a_document_that_cannot_be_read_is_told_with_its_line_in_the_file_and_the_others_are_read() {
    let found = read(
        "kind: Service\n---\nkind: Deployment\nspec: [\n---\n- a\n---\nkind: Job\nmetadata: {name: j}\n---\n\
         kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c}, {name: d, image: a:1}]}\n",
    );
    assert_eq!(images(&found), ["5 Pod p d a:1"]);
    let problems: Vec<_> = found
        .problems
        .iter()
        .map(|problem| (problem.document.unwrap(), problem.reason.as_str()))
        .collect();
    let [(2, syntax), (3, _), (4, job), (5, image)] = problems[..] else {
        panic!("{problems:?}");
    };
    assert!(syntax.contains("line 5") || syntax.contains("line 4"), "{syntax}");
    assert!(!syntax.contains('\n'), "{syntax}");
    assert!(job.contains("\"j\" has no containers"), "{job}");
    assert_eq!(image, "container \"c\" of the Pod \"p\" has no image");
}

#[test]
fn annotations_decide_and_what_was_typed_is_wanted_where_they_say_nothing() {
    let text = "
kind: Deployment
metadata:
  name: d
  annotations: {ANNOTATIONS}
spec: {template: {spec: {containers: [{name: app, image: a:1}, {name: sidecar, image: b:1}]}}}";
    let policy = |policy: &str| Wanted::Policy(PolicyOptions::of(policy), Vec::new());
    for (annotations, app, sidecar) in [
        ("example.com/owner: shop", policy("major"), policy("major")),
        ("kubefresh.dev/policy: patch", policy("patch"), policy("patch")),
        (
            "kubefresh.dev/watch: 'true', sidecar.kubefresh.dev/policy: digest",
            policy("major"),
            policy("digest"),
        ),
        (
            "sidecar.kubefresh.dev/watch: 'false'",
            policy("major"),
            Wanted::Nothing,
        ),
        ("kubefresh.dev/watch: 'false'", Wanted::Nothing, Wanted::Nothing),
        ("keel.sh/policy: patch", policy("patch"), policy("patch")),
        (
            "watch-cluster.io/enabled: 'true'",
            policy("major"),
            Wanted::Nothing,
        ),
        ("keel.sh/policy: never", Wanted::Nothing, Wanted::Nothing),
        (
            "app.kubefresh.dev/hold: '<=2.1 3.0'",
            Wanted::Policy(
                PolicyOptions::of("major"),
                ["<=2.1", "3.0"].map(|hold| hold.parse().unwrap()).to_vec(),
            ),
            policy("major"),
        ),
    ] {
        let found = read(&text.replace("ANNOTATIONS", annotations));
        let wanted: Vec<_> = found.targets.into_iter().map(|target| target.wanted).collect();
        assert_eq!(wanted, [app, sidecar], "{annotations}");
    }
    for (annotations, says) in [
        ("kubefresh.dev/polcy: minor", "kubefresh.dev/polcy is not known"),
        ("kubefresh.dev/policy: newest", "\"newest\""),
        ("kubefresh.dev/watch: true", "write it in quotes"),
        ("other.kubefresh.dev/watch: 'true'", "other.kubefresh.dev/watch"),
        (
            "image-watcher/strategy: newest",
            "annotation image-watcher/strategy: \"newest\"",
        ),
    ] {
        let found = read(&text.replace("ANNOTATIONS", annotations));
        let Wanted::Unknown(reason) = &found.targets[0].wanted else {
            panic!("{annotations}: {found:?}");
        };
        assert!(reason.contains(says), "{reason}");
    }
}

#[test]
fn a_document_that_grows_without_bound_is_refused() {
    let mut text = String::from("kind: List\na: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (one, next) in ('a'..='h').zip('b'..='i') {
        let many = vec![format!("*{one}"); 10].join(", ");
        writeln!(text, "{next}: &{next} [{many}]").unwrap();
    }
    let found = read(&text);
    assert_eq!(found.problems.len(), 1);
}

#[test]
fn json_and_keys_of_any_type_are_read() {
    let found = read(
        r#"{"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}}"#,
    );
    assert_eq!(images(&found), ["1 Pod p c a:1"]);
    let found = read("kind: ConfigMap\ndata: {8080: a, true: b, 1.5: c}\n");
    assert_eq!(
        (found.problems.len(), found.passed_over.len()),
        (0, 1),
        "{found:?}"
    );
}
