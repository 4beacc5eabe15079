//! What people see of it: the unchanged kubectl on workloads that move.

use std::path::PathBuf;
use std::process::Output;

use sandbox::apiserver::resources::{DAEMON_SETS, DEPLOYMENTS, PODS, STATEFUL_SETS};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::{Cluster, set_image, waiting_reason, workload};

struct Kubectl {
    home: TempDir,
}

impl Kubectl {
    fn of(cluster: &Cluster) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config"), cluster.api.admin_kubeconfig()).unwrap();
        Self { home }
    }

    async fn run(&self, line: &str) -> Output {
        let output = Command::new("kubectl")
            .args(line.split_whitespace())
            .current_dir(self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"))
            .env("HOME", self.home.path())
            .output();
        output.await.expect("kubectl is on the PATH")
    }

    /// What kubectl printed; it must have succeeded.
    async fn ok(&self, line: &str) -> String {
        let output = self.run(line).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {line}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What kubectl complained about; it must have failed.
    async fn refused(&self, line: &str) -> String {
        let output = self.run(line).await;
        assert!(!output.status.success(), "kubectl {line} should fail");
        String::from_utf8(output.stderr).unwrap()
    }

    fn write(&self, name: &str, object: &Value) {
        std::fs::write(self.home.path().join(name), object.to_string()).unwrap();
    }
}

fn image_of(cluster: &Cluster, resource: &'static sandbox::apiserver::resources::Resource) -> Value {
    let object = cluster.get(resource, "web").unwrap();
    object["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn rollout_status_history_and_undo_work_for_all_three_kinds() {
    let cluster = Cluster::start(20.0).await;
    let kubectl = Kubectl::of(&cluster);
    let (first, second) = (cluster.image("1", &[]), cluster.image("2", &[]));
    for resource in [&DEPLOYMENTS, &STATEFUL_SETS, &DAEMON_SETS] {
        let subject = format!("{}/web", resource.singular);
        cluster.create(resource, workload("web", &json!({"name": "web", "image": first})));
        let status = kubectl
            .ok(&format!("rollout status {subject} --timeout=60s"))
            .await;
        assert!(
            status.contains("success") || status.contains("complete"),
            "{subject}: {status}"
        );
        kubectl.ok(&format!("set image {subject} web={second}")).await;
        kubectl
            .ok(&format!("rollout status {subject} --timeout=60s"))
            .await;
        let history = kubectl.ok(&format!("rollout history {subject}")).await;
        assert!(
            history.contains("\n1 ") && history.contains("\n2 "),
            "{subject}: {history}"
        );
        let revision = kubectl
            .ok(&format!("rollout history {subject} --revision=1"))
            .await;
        assert!(revision.contains(&first), "{subject}: {revision}");
        kubectl.ok(&format!("rollout undo {subject}")).await;
        kubectl
            .ok(&format!("rollout status {subject} --timeout=60s"))
            .await;
        assert_eq!(image_of(&cluster, resource), first.as_str(), "{subject}");
        let history = kubectl.ok(&format!("rollout history {subject}")).await;
        assert!(
            history.contains("\n3 ") && !history.contains("\n1 "),
            "{subject}: {history}"
        );
        kubectl.ok(&format!("rollout restart {subject}")).await;
        kubectl
            .ok(&format!("rollout status {subject} --timeout=60s"))
            .await;
        kubectl
            .ok(&format!("delete {subject} --wait=true --timeout=60s"))
            .await;
        cluster
            .until("its pods are gone", || cluster.pods().is_empty().then_some(()))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn get_pods_shows_what_is_wrong_with_them() {
    let cluster = Cluster::start(20.0).await;
    let kubectl = Kubectl::of(&cluster);
    let pod = |name: &str, image: &str, policy: &str| {
        json!({"metadata": {"name": name, "namespace": "default"}, "spec": {
            "restartPolicy": policy, "containers": [{"name": "main", "image": image}]}})
    };
    let crashing = cluster.image("crash", &[("exit-code", "1")]);
    cluster.create(&PODS, pod("fine", &cluster.image("1", &[]), "Always"));
    cluster.create(&PODS, pod("done", &cluster.image("1", &[]), "Never"));
    cluster.create(&PODS, pod("crashing", &crashing, "Always"));
    cluster.create(
        &PODS,
        pod(
            "missing",
            &cluster.registry.reference("shop/web", "nope"),
            "Always",
        ),
    );
    let is = |name: &str, reason: &str| {
        cluster
            .get(&PODS, name)
            .is_some_and(|pod| waiting_reason(&pod) == reason)
    };
    cluster
        .until("all are there", || {
            let ready = cluster.get(&PODS, "fine")?["status"]["containerStatuses"][0]["ready"] == true;
            let done = cluster.get(&PODS, "done")?["status"]["phase"] == "Succeeded";
            let both = is("crashing", "CrashLoopBackOff") && is("missing", "ImagePullBackOff");
            (ready && done && both).then_some(())
        })
        .await;
    let expected = [
        ["crashing", "0/1", "CrashLoopBackOff"],
        ["done", "0/1", "Completed"],
        ["fine", "1/1", "Running"],
        ["missing", "0/1", "ImagePullBackOff"],
    ];
    let columns = |table: &str| -> Vec<Vec<String>> {
        let words = |line: &str| line.split_whitespace().take(3).map(str::to_owned).collect();
        table.lines().skip(1).map(words).collect()
    };
    let mut table = kubectl.ok("get pods").await;
    // One that crashes again and again runs for a moment each time, and has just failed for another.
    for _ in 0..30 {
        if columns(&table) == expected {
            break;
        }
        table = kubectl.ok("get pods").await;
    }
    assert_eq!(columns(&table), expected, "{table}");
    let told = kubectl.ok("describe pod missing").await;
    for part in [
        "Failed to pull image",
        "Successfully assigned default/missing",
        "Back-off pulling image",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn rollout_status_fails_once_the_deadline_has_passed() {
    let cluster = Cluster::start(40.0).await;
    let kubectl = Kubectl::of(&cluster);
    let mut object = workload("web", &json!({"name": "web", "image": cluster.image("1", &[])}));
    object["spec"]["progressDeadlineSeconds"] = json!(30);
    cluster.create(&DEPLOYMENTS, object);
    kubectl.ok("rollout status deployment/web --timeout=60s").await;
    let missing = cluster.registry.reference("shop/web", "nope");
    cluster
        .store
        .update(&DEPLOYMENTS, "default", "web", set_image(&missing))
        .unwrap();
    let told = kubectl
        .refused("rollout status deployment/web --timeout=60s")
        .await;
    assert!(told.contains("exceeded its progress deadline"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn logs_of_a_real_process_are_shown_and_followed() {
    let cluster = Cluster::with_programs(20.0, &[("sh", PathBuf::from("/bin/sh"))]).await;
    let kubectl = Kubectl::of(&cluster);
    let script = "for i in 1 2 3; do echo line-$i; sleep 0.1; done";
    cluster.create(
        &PODS,
        json!({"metadata": {"name": "talker", "namespace": "default"}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "main", "image": "sh", "args": ["-c", script]}]}}),
    );
    cluster
        .wait("it runs", &PODS, "talker", |pod| {
            pod["status"]["phase"] != "Pending"
        })
        .await;
    assert_eq!(kubectl.ok("logs -f talker").await, "line-1\nline-2\nline-3\n");
    assert_eq!(kubectl.ok("logs talker --tail=1").await, "line-3\n");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn two_managers_of_one_field_conflict_as_on_a_real_server() {
    let cluster = Cluster::start(20.0).await;
    let kubectl = Kubectl::of(&cluster);
    let with = |image: &str| {
        let mut object = workload("web", &json!({"name": "web", "image": image}));
        object["apiVersion"] = json!("apps/v1");
        object["kind"] = json!("Deployment");
        object
    };
    kubectl.write("first.json", &with(&cluster.image("1", &[])));
    kubectl.write("second.json", &with(&cluster.image("2", &[])));
    kubectl
        .ok("apply --server-side --field-manager=alice -f first.json")
        .await;
    kubectl.ok("rollout status deployment/web --timeout=60s").await;
    let told = kubectl
        .refused("apply --server-side --field-manager=bob -f second.json")
        .await;
    assert!(told.contains(r#"conflict with "alice""#), "{told}");
    assert!(
        told.contains(r#".spec.template.spec.containers[name="web"].image"#),
        "{told}"
    );
    kubectl
        .ok("apply --server-side --field-manager=bob --force-conflicts -f second.json")
        .await;
    let shown = kubectl
        .ok("get deployment web -o yaml --show-managed-fields")
        .await;
    assert!(
        shown.contains("manager: alice") && shown.contains("manager: bob"),
        "{shown}"
    );
}
