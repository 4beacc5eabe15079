//! What happens, in order.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Client, ResourceExt as _};
use serde_json::json;
use shared::domain::workload::Workload;

use super::observe;
use super::outside::{Outside, TOKEN};
use super::person::{self, Page};
use super::screen::{self, Screen};
use super::shop::{NAMESPACE, SERVICES, Service};
use crate::apiserver::ApiServerOptions;
use crate::cluster::Cluster;
use crate::manifests;
use crate::registry::RequestKind;

/// Plays the whole story. With `serve` the cluster stays afterwards, until ctrl-c, for kubectl.
pub async fn tell(serve: bool) -> Result<()> {
    let mut screen = Screen::new();
    screen.chapter("A cluster and a registry, inside this process");
    screen::note("building kubefresh-scanner and kubefresh-updater as they are shipped");
    let cluster = Cluster::moving(ApiServerOptions::default()).await;
    let client = cluster.client().await;
    let mut story = Story {
        outside: Outside::start(client.clone(), &ASKS.repository()).await?,
        client,
        cluster,
        screen,
        scans: 0,
    };
    screen::good(format!("Kubernetes API at {}", story.cluster.api.url()));
    screen::good(format!("image registry at {}", story.cluster.registry.base_url()));
    screen::good(
        "around it: a forge with release notes, a language model that always says the same, and a Discord channel",
    );
    let told = story.play().await;
    // Also when it did not come true: then there is something to look at.
    if serve {
        if let Err(error) = &told {
            screen::bad(format!("{error:#}"));
        }
        story.serve().await?;
    }
    told
}

/// The one that asks first.
const ASKS: &Service = &SERVICES[3];

struct Story {
    cluster: Cluster,
    outside: Outside,
    client: Client,
    screen: Screen,
    scans: usize,
}

impl Story {
    async fn play(&mut self) -> Result<()> {
        self.install().await?;
        self.open_the_shop().await?;
        self.first_scan().await?;
        self.update(&SERVICES[0], "1.5.0").await?;
        self.approve(ASKS, "2026.11.1").await?;
        self.lose_the_leader(&SERVICES[1], "v2.8.0").await?;
        self.sum_up().await
    }

    async fn install(&mut self) -> Result<()> {
        self.screen
            .chapter("Install: the very manifests of deploy/, as kubectl apply does");
        let objects = manifests::install();
        let (namespaces, others): (Vec<_>, Vec<_>) = objects
            .iter()
            .cloned()
            .partition(|object| object["kind"] == "Namespace");
        self.cluster.apply(&namespaces).await;
        self.cluster.apply(&self.outside.secrets()).await;
        self.cluster.apply(&others).await;
        let kinds: Vec<&str> = objects
            .iter()
            .filter_map(|object| object["kind"].as_str())
            .collect();
        screen::good(format!("{} objects: {}", kinds.len(), kinds.join(", ")));
        screen::good("and two Secrets: the key of links, and whom to tell where");
        observe::until("both updaters are ready", || async {
            let updater = observe::deployment(&self.client, "kubefresh", "kubefresh-updater").await?;
            Ok((updater.available == 2).then_some(()))
        })
        .await?;
        let leader = self.leader().await?;
        screen::good(format!("kubefresh-updater 2/2 ready, {leader} leads"));
        Ok(())
    }

    async fn leader(&self) -> Result<String> {
        observe::until("somebody leads", || observe::leader(&self.client)).await
    }

    async fn open_the_shop(&mut self) -> Result<()> {
        self.screen
            .chapter("A small shop moves in, and says what it wants by annotations");
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        self.cluster.apply(&[namespace]).await;
        for service in &SERVICES {
            for tag in service.published {
                service.publish(&self.cluster.registry, tag);
            }
            let notes = format!("{}/{}", self.outside.forge.host(), service.repository());
            let notes = Some(notes.as_str()).filter(|_| service.name == ASKS.name);
            self.cluster
                .apply(&[service.deployment(&self.cluster.registry, notes)])
                .await;
        }
        for service in &SERVICES {
            self.settled(service).await?;
        }
        screen::good(format!(
            "{} Deployments run in namespace {NAMESPACE}",
            SERVICES.len()
        ));
        let rows = SERVICES.map(|service| {
            vec![
                service.name.to_owned(),
                service.running.to_owned(),
                service.mode.to_owned(),
                service.policy.unwrap_or("(minor)").to_owned(),
                service.published.join(" "),
            ]
        });
        screen::table(&["DEPLOYMENT", "RUNS", "MODE", "POLICY", "PUBLISHED"], &rows);
        Ok(())
    }

    async fn settled(&self, service: &Service) -> Result<()> {
        observe::until(&format!("{} runs", service.name), || async {
            let sight = observe::deployment(&self.client, NAMESPACE, service.name).await?;
            Ok(sight.settled().then_some(()))
        })
        .await
    }

    async fn scan(&mut self) -> Result<()> {
        self.scans += 1;
        let line = observe::scan(&self.client, &format!("kubefresh-scanner-{}", self.scans)).await?;
        screen::good(line);
        Ok(())
    }

    /// Nobody waits for the schedule: the updater sees workloads that no record speaks of.
    async fn first_scan(&mut self) -> Result<()> {
        self.screen
            .chapter("The updater has them scanned at once, and the scanner writes down what it found");
        let first = observe::until("the first scan is over", || observe::first_scan(&self.client)).await?;
        match first.requested_because {
            Some(reason) => screen::good(format!("Job {}, requested because: {reason}", first.job)),
            // Where the CronJob is due within the minute, the updater leaves it to that.
            None => screen::good(format!("Job {}, of the CronJob's schedule", first.job)),
        }
        screen::good(first.line);
        self.show_records().await?;
        screen::note("a scan like those of the schedule writes only what is new since:");
        self.scan().await?;
        let records = observe::records(&self.client).await?;
        ensure!(records.len() == SERVICES.len(), "one record for each repository");
        Ok(())
    }

    /// The records, as kubectl lists them.
    async fn show_records(&self) -> Result<()> {
        let records = observe::records(&self.client).await?;
        let row = |record: &ConfigMap| {
            let label = |key: &str| {
                record
                    .labels()
                    .get(&format!("kubefresh.dev/{key}"))
                    .cloned()
                    .unwrap_or_default()
            };
            vec![
                record.name_any(),
                label("registry"),
                label("newest"),
                label("state"),
            ]
        };
        let rows: Vec<Vec<String>> = records.iter().map(row).collect();
        screen::table(&["NAME", "REGISTRY", "NEWEST", "STATE"], &rows);
        Ok(())
    }

    /// What follows from the records for the workloads as they were, container by container.
    async fn show_plan(&self, workloads: Vec<Workload>, service: &Service, tag: &str) -> Result<()> {
        let plan = observe::plan_for(&self.client, workloads).await?;
        screen::note("so the plan is:");
        let rows: Vec<Vec<String>> = plan
            .assessments
            .iter()
            .flat_map(|assessment| assessment.containers.iter().map(move |entry| (assessment, entry)))
            .map(|(assessment, entry)| vec![assessment.workload.id.to_string(), entry.verdict.to_string()])
            .collect();
        ensure!(rows.len() == SERVICES.len(), "there is a verdict on each service");
        let image = self.cluster.registry.reference(&service.repository(), tag);
        let expected = format!("update to {image}");
        ensure!(
            rows.iter()
                .any(|row| row[0].ends_with(service.name) && row[1] == expected),
            "the plan does not say of {}: {expected}",
            service.name
        );
        screen::table(&["WORKLOAD", "VERDICT"], &rows);
        Ok(())
    }

    /// The data of a service's record.
    async fn show_record(&self, service: &Service) -> Result<()> {
        let records = observe::records(&self.client).await?;
        let found = records
            .iter()
            .find(|record| record.name_any().contains(service.name));
        let record = found.with_context(|| format!("there is no record of {}", service.name))?;
        screen::note(format!(
            "kubectl -n kubefresh get cm {} -o yaml shows its data:",
            record.name_any()
        ));
        screen::quote(&serde_saphyr::to_string(&record.data)?);
        Ok(())
    }

    /// A new version is published, found, applied and followed to the end of its rollout.
    async fn update(&mut self, service: &Service, tag: &str) -> Result<()> {
        self.screen
            .chapter(&format!("{} {tag} is published", service.name));
        let digest = service.publish(&self.cluster.registry, tag);
        screen::good(format!(
            "pushed {}:{tag} ({})",
            service.repository(),
            digest.get(..19).unwrap_or(&digest)
        ));
        let before = observe::workloads(&self.client).await?;
        self.scan().await?;
        self.show_record(service).await?;
        self.show_plan(before, service, tag).await?;
        self.started(service).await?;
        self.follow(service, None).await?;
        self.finished(service, tag).await?;
        Ok(())
    }

    /// A version that is allowed only when a person agrees.
    async fn approve(&mut self, service: &Service, tag: &str) -> Result<()> {
        self.screen.chapter(&format!(
            "{} waits for somebody to agree, and somebody does",
            service.name
        ));
        let message = observe::until("Discord is told of it", || async {
            Ok(person::question(&self.outside.discord.received(), service.name))
        })
        .await?;
        screen::note("Discord shows:");
        screen::quote(&message.lines.join("\n"));
        let asked = self.outside.model.questions().len();
        ensure!(asked == 1, "the model was asked {asked} times for one text");
        let page = Page::open(&message.link).await?;
        screen::good(format!("the link opens a page: {}", page.heading()));
        screen::note(format!("its buttons: {}", page.buttons().join(", ")));
        let before = observe::deployment(&self.client, NAMESPACE, service.name).await?;
        ensure!(
            before.image.ends_with(service.running),
            "nothing moves before somebody agrees"
        );
        let answer = page.press("Deploy").await?;
        screen::good(format!("somebody presses Deploy: {}", answer.heading()));
        let (note, by) = observe::until("it is told who agreed", || async {
            Ok(observe::events(&self.client, service.name, "UpdateApproved")
                .await?
                .pop())
        })
        .await?;
        screen::good(format!("Event UpdateApproved, by {by}: {note}"));
        self.started(service).await?;
        self.follow(service, None).await?;
        self.finished(service, tag).await?;
        Ok(())
    }

    /// The same, and in the middle of it the leader is killed.
    async fn lose_the_leader(&mut self, service: &Service, tag: &str) -> Result<()> {
        self.screen.chapter(&format!(
            "{} {tag} is published, and the leader dies in the middle",
            service.name
        ));
        let leader = self.leader().await?;
        service.publish(&self.cluster.registry, tag);
        self.scan().await?;
        self.started(service).await?;
        observe::until("a first replica is new", || async {
            let sight = observe::deployment(&self.client, NAMESPACE, service.name).await?;
            ensure!(
                sight.in_flight,
                "the rollout was over before the leader could be killed"
            );
            Ok((sight.updated > 0).then_some(()))
        })
        .await?;
        ensure!(
            self.cluster.kill("kubefresh", &leader),
            "nothing runs in {leader}"
        );
        let killed = Instant::now();
        screen::good(format!(
            "SIGKILL to {leader}, which leads, and again whenever the kubelet restarts it"
        ));
        self.follow(service, Some(&leader)).await?;
        let told = self.finished(service, tag).await?;
        let successor = self.leader().await?;
        ensure!(successor != leader, "the killed leader cannot have finished it");
        ensure!(
            told.starts_with(&successor),
            "{told} told the result, and {successor} leads"
        );
        screen::good(format!(
            "{successor} took over and finished it {:.1} s after the kill",
            killed.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    async fn started(&self, service: &Service) -> Result<()> {
        let (note, by) = observe::until("the updater has patched the Deployment", || async {
            let last = observe::events(&self.client, service.name, "UpdateStarted")
                .await?
                .pop();
            let moving = observe::deployment(&self.client, NAMESPACE, service.name).await?;
            Ok(last.filter(|_| moving.in_flight || moving.last_result.is_some()))
        })
        .await?;
        screen::good(format!("patched by {by}: {note}"));
        Ok(())
    }

    /// Shows the rollout until the updater calls it finished, and meanwhile lets the program in the `doomed` pod not live.
    async fn follow(&self, service: &Service, doomed: Option<&str>) -> Result<()> {
        let mut bar = screen::rollout(service.name, u64::try_from(service.replicas)?);
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            if let Some(pod) = doomed {
                self.cluster.kill("kubefresh", pod);
            }
            let sight = observe::deployment(&self.client, NAMESPACE, service.name).await?;
            let message = format!(
                "{} updated, {} available, {} in all",
                sight.updated, sight.available, sight.replicas
            );
            bar.show(u64::try_from(sight.updated.min(sight.available))?, &message);
            if !sight.in_flight {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "the rollout of {} does not end",
                service.name
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bar.end();
        Ok(())
    }

    /// Holds what is left of an update against what should be; answers with the pod that told the result.
    async fn finished(&self, service: &Service, tag: &str) -> Result<String> {
        let sight = observe::deployment(&self.client, NAMESPACE, service.name).await?;
        ensure!(sight.settled(), "{} is not settled: {sight:?}", service.name);
        ensure!(
            sight.image.ends_with(&format!(":{tag}")),
            "{} runs {}",
            service.name,
            sight.image
        );
        ensure!(
            sight.last_result.as_deref() == Some("completed"),
            "{} says {:?}",
            service.name,
            sight.last_result
        );
        let templates = observe::templates(&self.client, service.name).await?;
        ensure!(
            templates == 2,
            "{} had {} rollouts instead of one",
            service.name,
            templates - 1
        );
        let mut told = observe::events(&self.client, service.name, "ImageUpdated").await?;
        ensure!(told.len() == 1, "{} was told {} times", service.name, told.len());
        let (note, by) = told.remove(0);
        screen::good(format!("Event ImageUpdated, once: {note}"));
        Ok(by)
    }

    async fn sum_up(&mut self) -> Result<()> {
        self.screen.chapter("What came of it");
        let mut rows = Vec::new();
        for service in &SERVICES {
            let sight = observe::deployment(&self.client, NAMESPACE, service.name).await?;
            let rollouts = observe::templates(&self.client, service.name).await? - 1;
            let result = sight
                .last_result
                .unwrap_or_else(|| "nothing newer that its policy accepts".to_owned());
            rows.push(vec![
                service.name.to_owned(),
                service.running.to_owned(),
                sight.image.rsplit(':').next().unwrap_or_default().to_owned(),
                rollouts.to_string(),
                result,
            ]);
        }
        screen::table(&["DEPLOYMENT", "WAS", "IS", "ROLLOUTS", "RESULT"], &rows);
        let scans = observe::until("every scan is over", || observe::scans(&self.client)).await?;
        let lists = self.cluster.registry.count(RequestKind::Tags);
        ensure!(
            // The updater has one made when the first of them moves in, and it cannot ask for those that are not there yet.
            lists <= scans * SERVICES.len(),
            "{scans} scans made {lists} lists"
        );
        screen::good(format!(
            "{scans} scans of {} repositories: {lists} lists of tags",
            SERVICES.len()
        ));
        screen::good(format!(
            "everything above was observed, in {:.0} s",
            self.screen.seconds()
        ));
        Ok(())
    }

    async fn serve(&mut self) -> Result<()> {
        self.screen.chapter("Yours now, until ctrl-c");
        let path: PathBuf = self.cluster.kubeconfig_file(None);
        screen::good(format!("export KUBECONFIG={}", path.display()));
        screen::note(format!(
            "{}/ is the page; sign in with the token {TOKEN}",
            self.outside.base_url()
        ));
        screen::note("kubectl get deployments -A");
        screen::note(
            "kubectl -n kubefresh get cm -l kubefresh.dev/record=scan -L kubefresh.dev/registry,kubefresh.dev/newest,kubefresh.dev/state",
        );
        screen::note(format!(
            "skopeo list-tags --tls-verify=false docker://{}/shop/checkout",
            self.cluster.registry.host()
        ));
        tokio::signal::ctrl_c().await?;
        Ok(())
    }
}
