//! The embedded API server, driven by the real kubectl.

use std::process::Output;
use std::sync::Arc;

use sandbox::apiserver::resources::{CRON_JOBS, DEPLOYMENTS, JOBS, PODS};
use sandbox::apiserver::{ApiServer, ApiServerOptions, LogQuery, LogSource};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "example.com/web:1"}
      - {name: sidecar, image: "example.com/sidecar:1"}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: scan
spec:
  schedule: "*/5 * * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: scan, image: "example.com/scan:1"}]
"#;

struct Cluster {
    server: ApiServer,
    home: TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let server = ApiServer::start(ApiServerOptions::default()).await;
        let home = TempDir::new().unwrap();
        std::fs::write(home.path().join("admin"), server.admin_kubeconfig()).unwrap();
        std::fs::write(
            home.path().join("account"),
            server.kubeconfig_for("default", "default"),
        )
        .unwrap();
        std::fs::write(home.path().join("web.yaml"), WEB).unwrap();
        Self { server, home }
    }

    /// With the workloads of [`WEB`] applied.
    async fn with_web() -> Self {
        let cluster = Self::start().await;
        cluster.ok("apply -f web.yaml").await;
        cluster
    }

    async fn run(&self, kubeconfig: &str, arguments: &[&str]) -> Output {
        Command::new("kubectl")
            .args(arguments)
            .current_dir(self.home.path())
            .env("KUBECONFIG", self.home.path().join(kubeconfig))
            .env("HOME", self.home.path())
            .env("KUBE_EDITOR", "sed -i s/web:1/web:9/")
            .output()
            .await
            .expect("kubectl is on the PATH")
    }

    /// What kubectl printed; it must have succeeded.
    async fn ok(&self, line: &str) -> String {
        self.ok_args(&line.split_whitespace().collect::<Vec<_>>()).await
    }

    async fn ok_args(&self, arguments: &[&str]) -> String {
        let output = self.run("admin", arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What kubectl complained about; it must have failed.
    async fn refused(&self, kubeconfig: &str, line: &str) -> String {
        let output = self
            .run(kubeconfig, &line.split_whitespace().collect::<Vec<_>>())
            .await;
        assert!(!output.status.success(), "kubectl {line} should fail");
        String::from_utf8(output.stderr).unwrap()
    }

    fn web(&self) -> Arc<Value> {
        self.server
            .store()
            .get(&DEPLOYMENTS, "default", "web")
            .expect("the deployment exists")
    }

    fn images(&self) -> Vec<String> {
        let web = self.web();
        let containers = web
            .pointer("/spec/template/spec/containers")
            .and_then(Value::as_array)
            .unwrap()
            .clone();
        containers
            .iter()
            .map(|container| container["image"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn a_second_apply_changes_nothing() {
    let cluster = Cluster::with_web().await;
    let before = cluster.server.store().revision();
    let said = cluster.ok("apply -f web.yaml").await;
    assert_eq!(
        said,
        "deployment.apps/web unchanged\ncronjob.batch/scan unchanged\n"
    );
    assert_eq!(cluster.server.store().revision(), before);
    assert_eq!(cluster.ok("diff -f web.yaml").await, "");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn every_way_to_change_an_image_spares_the_other_container() {
    let cluster = Cluster::with_web().await;
    cluster.ok("set image deployment/web web=example.com/web:2").await;
    assert_eq!(cluster.images(), ["example.com/web:2", "example.com/sidecar:1"]);
    let image = "/spec/template/spec/containers/0/image";
    let patch = json!([{"op": "replace", "path": image, "value": "example.com/web:3"}]).to_string();
    cluster
        .ok_args(&["patch", "deployment", "web", "--type=json", "-p", &patch])
        .await;
    assert_eq!(cluster.images(), ["example.com/web:3", "example.com/sidecar:1"]);
    let container = json!([{"name": "web", "image": "example.com/web:1"}]);
    let patch = json!({"spec": {"template": {"spec": {"containers": container}}}}).to_string();
    cluster
        .ok_args(&["patch", "deployment", "web", "-p", &patch])
        .await;
    cluster.ok("edit deployment web").await;
    assert_eq!(cluster.images(), ["example.com/web:9", "example.com/sidecar:1"]);
    cluster.ok("replace -f web.yaml").await;
    assert_eq!(cluster.images(), ["example.com/web:1", "example.com/sidecar:1"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn metadata_and_rollouts_are_steered() {
    let cluster = Cluster::with_web().await;
    for line in [
        "annotate deployment web kubefresh.dev/watch=true",
        "label deployment web tier=front",
        "scale deployment web --replicas=3",
        "rollout pause deployment/web",
        "rollout resume deployment/web",
        "rollout restart deployment/web",
    ] {
        cluster.ok(line).await;
    }
    let web = cluster.web();
    assert_eq!(web["metadata"]["annotations"]["kubefresh.dev/watch"], "true");
    assert_eq!(web["spec"]["replicas"], 3);
    let template = &web["spec"]["template"]["metadata"];
    assert!(template["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string());
    assert_eq!(
        cluster
            .ok("get deployment -l tier=front -L tier --no-headers")
            .await
            .split_whitespace()
            .last(),
        Some("front")
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn server_side_apply_names_the_managers_it_conflicts_with() {
    let cluster = Cluster::with_web().await;
    cluster.ok("set image deployment/web web=example.com/web:2").await;
    let complaint = cluster.refused("admin", "apply --server-side -f web.yaml").await;
    assert!(complaint.contains("conflict with \"kubectl-set\""), "{complaint}");
    cluster
        .ok("apply --server-side --force-conflicts -f web.yaml")
        .await;
    assert_eq!(cluster.images()[0], "example.com/web:1");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn rehearsals_change_nothing() {
    let cluster = Cluster::start().await;
    cluster.ok("apply --dry-run=server -f web.yaml").await;
    cluster.ok("create --dry-run=server -f web.yaml").await;
    assert!(cluster.server.store().list(&DEPLOYMENTS, None).is_empty());
    cluster.ok("apply -f web.yaml").await;
    cluster.ok("delete --dry-run=server -f web.yaml").await;
    assert_eq!(cluster.images().len(), 2);
    cluster.ok("delete -f web.yaml").await;
    assert!(cluster.server.store().list(&DEPLOYMENTS, None).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn objects_are_shown_in_every_format() {
    let cluster = Cluster::with_web().await;
    let table = cluster.ok("get deployment,cronjob -o wide -A").await;
    for word in [
        "READY",
        "0/2",
        "example.com/web:1,example.com/sidecar:1",
        "app=web",
        "*/5 * * * *",
    ] {
        assert!(table.contains(word), "{word} in\n{table}");
    }
    let images = "-o=jsonpath={.spec.template.spec.containers[*].image}";
    let line = ["get", "deployment", "web", images];
    assert_eq!(
        cluster.ok_args(&line).await,
        "example.com/web:1 example.com/sidecar:1"
    );
    let columns = cluster
        .ok("get deployment web -o custom-columns=N:.metadata.name --no-headers")
        .await;
    assert_eq!(columns, "web\n");
    let yaml = cluster.ok("get deployment web -o yaml").await;
    assert!(yaml.starts_with("apiVersion: apps/v1\n"), "{yaml}");
    assert!(
        cluster
            .ok("describe deployment web")
            .await
            .contains("25% max unavailable, 25% max surge")
    );
    assert!(cluster.ok("describe cronjob scan").await.contains("*/5 * * * *"));
    assert!(cluster.ok("explain deployment.spec").await.contains("Deployment"));
    assert!(cluster.ok("get all").await.contains("deployment.apps/web"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn waiting_and_rollout_status_follow_the_store() {
    let cluster = Cluster::with_web().await;
    let store = cluster.server.store();
    let finish = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        store
            .update_status(&DEPLOYMENTS, "default", "web", |web| {
                web["status"] = json!({
                    "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
                    "availableReplicas": 2, "conditions": [
                        {"type": "Available", "status": "True"},
                        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
                    ],
                });
                Ok(())
            })
            .unwrap();
    };
    let status = cluster.ok("rollout status deployment/web --timeout=20s");
    let wait = cluster.ok("wait --for=condition=Available deployment/web --timeout=20s");
    let (status, wait, ()) = tokio::join!(status, wait, finish);
    assert!(status.contains("successfully rolled out"), "{status}");
    assert!(wait.contains("condition met"), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn what_is_not_allowed_is_refused_by_name() {
    let cluster = Cluster::start().await;
    let complaint = cluster.refused("account", "get configmaps").await;
    assert!(
        complaint.contains(
            "configmaps is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \
             \"configmaps\" in API group \"\" in the namespace \"default\""
        ),
        "{complaint}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn rights_are_asked_for_and_tried_on() {
    let cluster = Cluster::start().await;
    assert!(cluster.ok("auth whoami").await.contains("kubernetes-admin"));
    assert_eq!(cluster.ok("auth can-i delete nodes").await, "yes\n");
    let account = "--as=system:serviceaccount:default:default";
    let output = cluster
        .run("admin", &["auth", "can-i", "list", "secrets", account])
        .await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no\n");
    cluster
        .ok("create rolebinding look --clusterrole=view --serviceaccount=default:default")
        .await;
    assert_eq!(
        cluster.ok_args(&["auth", "can-i", "list", "pods", account]).await,
        "yes\n"
    );
    let complaint = cluster.refused("account", "get pods --as=somebody").await;
    assert!(
        complaint.contains("cannot impersonate resource \"users\""),
        "{complaint}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn a_job_made_from_a_cron_job_does_what_the_cron_job_says() {
    let cluster = Cluster::with_web().await;
    cluster.ok("create job now --from=cronjob/scan").await;
    let store = cluster.server.store();
    let job = store.get(&JOBS, "default", "now").unwrap();
    let cron_job = store.get(&CRON_JOBS, "default", "scan").unwrap();
    let template = cron_job.pointer("/spec/jobTemplate/spec/template/spec").unwrap();
    assert_eq!(&job["spec"]["template"]["spec"], template);
    assert_eq!(
        job["metadata"]["ownerReferences"][0]["uid"],
        cron_job["metadata"]["uid"]
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn a_watched_table_shows_changes_as_they_come() {
    let cluster = Cluster::with_web().await;
    let watching = cluster.run(
        "admin",
        &["get", "deployment", "web", "-w", "--request-timeout=10s"],
    );
    let scaling = async {
        let watched = || {
            cluster
                .server
                .requests()
                .iter()
                .any(|request| request.verb == "watch" && request.resource == "deployments")
        };
        while !watched() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        cluster.ok("scale deployment web --replicas=3").await;
    };
    let (output, ()) = tokio::join!(watching, scaling);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("0/2") && table.contains("0/3"), "{table}");
}

#[derive(Debug)]
struct OneLine;

impl LogSource for OneLine {
    fn lines(&self, query: &LogQuery) -> Result<Vec<String>, String> {
        Ok(vec![
            "first".to_owned(),
            format!("{} of {}", query.container, query.pod),
        ])
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl on the PATH; run by just e2e"]
async fn logs_come_from_whoever_plays_kubelet() {
    let cluster = Cluster::start().await;
    cluster.server.set_log_source(Arc::new(OneLine));
    let pod = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [{"name": "web", "image": "a:1"}, {"name": "sidecar", "image": "b:1"}]},
    });
    cluster.server.store().create(&PODS, pod).unwrap();
    assert_eq!(
        cluster.ok("logs web -c sidecar --tail=1").await,
        "sidecar of web\n"
    );
    assert_eq!(cluster.ok("logs web -c web").await, "first\nweb of web\n");
}
