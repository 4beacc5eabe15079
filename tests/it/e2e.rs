//! The whole way with the tools of others: the manifests applied by kubectl, the programs started by them, images copied
//! by skopeo into Debian's docker-registry, and everything looked at as a user would.

use std::io::Write as _;
use std::time::Duration;

use sandbox::apiserver::ApiServerOptions;
use sandbox::cluster::{Cluster, eventually};
use sandbox::docker_registry::DockerRegistry;
use sandbox::registry::ImageSpec;

use crate::tools::{Kubectl, skopeo};

const RECORDS: &str = "-n kubefresh get cm -l kubefresh.dev/record=scan \
     -L kubefresh.dev/registry,kubefresh.dev/newest,kubefresh.dev/state";

struct Shop {
    cluster: Cluster,
    registry: DockerRegistry,
    kubectl: Kubectl,
    scans: usize,
}

impl Shop {
    /// Kubefresh installed by `kubectl apply -k`, and both updaters ready.
    async fn open() -> Self {
        let cluster = Cluster::moving(ApiServerOptions::default()).await;
        let kubectl = Kubectl::new(&cluster);
        let applied = kubectl.run("apply -k deploy/manifests").await;
        assert!(
            applied.contains("deployment.apps/kubefresh-updater created"),
            "{applied}"
        );
        kubectl
            .run("-n kubefresh rollout status deployment/kubefresh-updater --timeout=60s")
            .await;
        Self {
            kubectl,
            cluster,
            registry: DockerRegistry::open().await,
            scans: 0,
        }
    }

    /// Copies an image into docker-registry, as a release pipeline would.
    async fn release(&self, tag: &str) {
        let image = ImageSpec::new("shop/checkout", tag).label("sandbox.kubefresh.dev/ready-after", "300ms");
        self.cluster.registry.publish(&image);
        let from = format!(
            "docker://{}",
            self.cluster.registry.reference("shop/checkout", tag)
        );
        let to = format!("docker://{}", self.image(tag));
        let options = [
            "--insecure-policy",
            "copy",
            "--all",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
        ];
        skopeo(&[&options[..], &[&from, &to]].concat()).await;
    }

    fn image(&self, tag: &str) -> String {
        format!("{}/shop/checkout:{tag}", self.registry.host)
    }

    /// Writes a manifest to a file and applies it.
    async fn apply(&self, manifest: &str) -> String {
        let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        file.write_all(manifest.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap();
        self.kubectl.run(&format!("apply -f {path}")).await
    }

    /// The scanner as a Job of its CronJob; answers with its last line.
    async fn scan(&mut self) -> String {
        let job = self.scan_job().await;
        let log = self.kubectl.run(&format!("-n kubefresh logs job/{job}")).await;
        let line = log
            .lines()
            .rev()
            .find(|line| line.starts_with("scanned "))
            .unwrap_or_else(|| panic!("{log}"));
        line.to_owned()
    }

    /// Waits until a Job of the scanner's CronJob has ended; answers with its name.
    async fn scan_job(&mut self) -> String {
        self.scans += 1;
        let job = format!("scan-{}", self.scans);
        let kubectl = &self.kubectl;
        kubectl
            .run(&format!(
                "-n kubefresh create job --from=cronjob/kubefresh-scanner {job}"
            ))
            .await;
        kubectl
            .run(&format!(
                "-n kubefresh wait --for=condition=complete --timeout=60s job/{job}"
            ))
            .await;
        job
    }

    async fn checkout_has(&self, path: &str) -> String {
        self.kubectl
            .run(&format!("-n shop get deployment checkout -o jsonpath={{{path}}}"))
            .await
    }

    /// The first event with this reason, as `kubectl get events` prints it.
    async fn event(&self, reason: &str) -> String {
        let line = format!("-n shop get events --no-headers --field-selector reason={reason}");
        eventually(
            &format!("an event {reason} is told"),
            Duration::from_secs(30),
            || async { self.kubectl.run(&line).await.lines().next().map(str::to_owned) },
        )
        .await
    }

    /// A new workload does not wait for the schedule, nor for anybody to scan.
    async fn until_recorded(&self) {
        eventually(
            "the first scan has come by itself",
            Duration::from_mins(1),
            || async {
                let records = self.kubectl.run(&format!("{RECORDS} --no-headers")).await;
                records.contains("complete").then_some(())
            },
        )
        .await;
    }

    async fn until_updated(&self) {
        let annotation = r".metadata.annotations.kubefresh\.dev/last-result";
        self.kubectl
            .run(&format!(
                "-n shop wait deployment/checkout --timeout=60s --for=jsonpath={{{annotation}}}=completed"
            ))
            .await;
    }
}

fn checkout(image: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: checkout
  namespace: shop
  annotations:
    kubefresh.dev/watch: "true"
    kubefresh.dev/mode: auto
spec:
  replicas: 2
  selector:
    matchLabels:
      app: checkout
  template:
    metadata:
      labels:
        app: checkout
    spec:
      containers:
        - name: app
          image: {image}
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl, skopeo and docker-registry; run by just e2e"]
async fn a_release_in_docker_registry_reaches_the_cluster_and_kubectl_shows_every_step() {
    let mut shop = Shop::open().await;
    shop.release("1.4.0").await;
    shop.apply(&checkout(&shop.image("1.4.0"))).await;
    shop.kubectl
        .run("-n shop rollout status deployment/checkout --timeout=60s")
        .await;
    shop.until_recorded().await;
    let line = shop.scan().await;
    assert!(
        line.starts_with(
            "scanned 1 of 1 repositories for 1 workload: 0 records written, 1 registry request,"
        ),
        "{line}"
    );

    shop.release("1.5.0").await;
    shop.scan().await;
    shop.until_updated().await;
    shop.kubectl
        .run("-n shop rollout status deployment/checkout --timeout=60s")
        .await;
    assert_eq!(
        shop.checkout_has(".spec.template.spec.containers[0].image").await,
        shop.image("1.5.0")
    );
    let table = shop.kubectl.run(RECORDS).await;
    let columns: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(columns, ["NAME", "DATA", "AGE", "REGISTRY", "NEWEST", "STATE"]);
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        row[3..],
        [shop.registry.host.replace(':', "_").as_str(), "1.5.0", "complete"]
    );
    let record = shop
        .kubectl
        .run(&format!("-n kubefresh get cm {} -o yaml", row[0]))
        .await;
    assert!(
        record.contains("  tags: |\n    - tag: \"1.5.0\"\n      firstSeen: "),
        "{record}"
    );

    let events = shop
        .kubectl
        .run("get events -A --field-selector reason=ImageUpdated")
        .await;
    assert_eq!(events.lines().count(), 2, "a header and one event:\n{events}");
    let described = shop.kubectl.run("-n shop describe deployment checkout").await;
    assert!(
        described.contains("kubefresh.dev/last-result: completed"),
        "{described}"
    );
    assert!(described.contains("ImageUpdated"), "{described}");
    let replica_sets = shop.kubectl.run("-n shop get replicasets -o name").await;
    assert_eq!(replica_sets.lines().count(), 2, "{replica_sets}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl, skopeo and docker-registry; run by just e2e"]
async fn what_people_set_with_kubectl_counts() {
    let mut shop = Shop::open().await;
    shop.release("1.4.0").await;
    shop.release("1.5.0").await;
    shop.apply(&checkout(&shop.image("1.4.0"))).await;
    shop.kubectl
        .run("-n shop annotate --overwrite deployment/checkout kubefresh.dev/mode=notify")
        .await;
    shop.scan().await;
    let offer = shop.event("UpdateAvailable").await;
    assert!(offer.contains(&shop.image("1.5.0")), "{offer}");

    // A person sets an image by hand; in mode notify it stays.
    shop.kubectl
        .run(&format!(
            "-n shop set image deployment/checkout app={}",
            shop.image("1.5.0")
        ))
        .await;
    shop.kubectl
        .run("-n shop rollout status deployment/checkout --timeout=60s")
        .await;
    shop.kubectl
        .run(&format!(
            "-n shop set image deployment/checkout app={}",
            shop.image("1.4.0")
        ))
        .await;
    shop.kubectl
        .run("-n shop rollout status deployment/checkout --timeout=60s")
        .await;
    assert_eq!(
        shop.checkout_has(".spec.template.spec.containers[0].image").await,
        shop.image("1.4.0")
    );

    // A typing error stops the workload and says so; mending it by a patch lets it go on.
    shop.kubectl
        .run("-n shop annotate --overwrite deployment/checkout kubefresh.dev/mode=automatic")
        .await;
    let warning = shop.event("InvalidSettings").await;
    assert!(
        warning.contains("kubefresh.dev/mode") && warning.contains("automatic"),
        "{warning}"
    );
    let patch = r#"{"metadata":{"annotations":{"kubefresh.dev/mode":"auto"}}}"#;
    shop.kubectl
        .arguments(&["-n", "shop", "patch", "deployment", "checkout", "-p", patch])
        .await;
    shop.until_updated().await;
    assert_eq!(
        shop.checkout_has(".spec.template.spec.containers[0].image").await,
        shop.image("1.5.0")
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl, skopeo and docker-registry; run by just e2e"]
async fn a_scanner_of_three_pods_divides_the_repositories_among_them() {
    let mut shop = Shop::open().await;
    let applied = shop.kubectl.run("apply -k deploy/sharded").await;
    assert!(
        applied.contains("cronjob.batch/kubefresh-scanner configured"),
        "{applied}"
    );
    let mut manifests = Vec::new();
    for number in 0..12 {
        let repository = format!("shop/app-{number}");
        shop.cluster
            .registry
            .publish(&ImageSpec::new(&repository, "1.4.0"));
        let image = shop.cluster.registry.reference(&repository, "1.4.0");
        manifests.push(checkout(&image).replace("name: checkout", &format!("name: app-{number}")));
    }
    shop.apply(&manifests.join("\n---\n")).await;
    shop.scan_job().await;
    let records = shop.kubectl.run(&format!("{RECORDS} --no-headers")).await;
    assert_eq!(records.lines().count(), 12, "{records}");
    let runs = "-n kubefresh get cm -l kubefresh.dev/record=last-run -o name";
    let runs = shop.kubectl.run(runs).await;
    let expected = ["last-run", "last-run-1", "last-run-2"].map(|name| format!("configmap/{name}"));
    assert_eq!(runs.lines().collect::<Vec<_>>(), expected);
}
