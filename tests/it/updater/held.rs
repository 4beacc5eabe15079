//! What people are told later than it happens, and an updater that is killed meanwhile: they are told once, and all of it.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use sandbox::forge::{Forge, Repository};
use sandbox::openai::{Completion, OpenAi};
use sandbox::programs::programs;
use sandbox::receiver::{Received, Receiver};
use shared::domain::record::outbox;
use shared::domain::time::whole_seconds;

use super::notes::NOTES;
use super::*;

const OFFERED: &str = "kubefresh_notices_total{reason=\"UpdateAvailable\",result=\"already-told\"}";

/// Workloads that can have 1.5.0, and people who are told so.
struct Scene {
    stage: Stage,
    discord: Receiver,
    /// On the workloads.
    annotations: Vec<(&'static str, String)>,
    /// To the updater.
    words: Vec<String>,
}

impl Scene {
    /// In which two workloads wait for approval.
    async fn set(notes: Option<&str>, words: &[&str]) -> Self {
        let (stage, discord) = (Stage::set().await, Receiver::start().await);
        let notes = notes.map(|notes| (NOTES, notes.to_owned()));
        let url = format!("--discord-url={}", discord.url("/discord"));
        let scene = Self {
            stage,
            discord,
            annotations: [("kubefresh.dev/mode", "approve".to_owned())]
                .into_iter()
                .chain(notes)
                .collect(),
            words: words.iter().map(|word| (*word).to_owned()).chain([url]).collect(),
        };
        scene.stage.offer_1_5_0().await;
        for name in ["first", "second"] {
            scene.deploy(name).await;
        }
        scene
    }

    async fn deploy(&self, name: &str) {
        let annotations = self.annotations.iter();
        let annotations: Vec<(&str, &str)> = annotations.map(|(key, value)| (*key, value.as_str())).collect();
        self.stage.deploy(name, OLD, &annotations).await;
    }

    fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    async fn leader(&self) -> Updater {
        self.stage.leader_with(&self.words()).await
    }

    /// Waits until what these are told of is written down, and nothing of it was sent.
    async fn holds(&self, names: &[&str]) {
        let records: Api<ConfigMap> = Api::namespaced(self.stage.client.clone(), NAMESPACE);
        eventually(&format!("messages of {names:?} wait"), LIMIT, || async {
            let stored = records.get_opt(&outbox::name(LEASE)).await.unwrap()?;
            let stored = outbox::parse(&stored).unwrap();
            let waiting = stored.waiting().iter();
            let waiting: BTreeSet<&str> = waiting.map(|one| one.message.workload.name.as_str()).collect();
            (waiting == names.iter().copied().collect()).then_some(())
        })
        .await;
        let received = self.discord.received();
        assert!(received.is_empty(), "told already: {received:#?}");
    }

    /// Kills an updater, the real program, while it holds the messages of the first two, and leaves it to its successor to see that there
    /// is a third.
    async fn kill_while_it_holds(&self) -> Updater {
        let mut killed = shop::start_updater_with(&self.stage.cluster, &self.words());
        self.holds(&["first", "second"]).await;
        killed.kill().await.unwrap();
        self.deploy("third").await;
        self.leader().await
    }

    /// Waits for the message, which speaks of all of these; another updater after this one has nothing to add.
    async fn is_told_once_of(&self, names: &[&str], updater: Updater) -> Received {
        let count = names.len();
        let sent = format!("kubefresh_messages_total{{channel=\"discord\",result=\"sent\"}} {count}");
        updater.shows(&sent).await;
        updater.kill().await;
        let next = self.leader().await;
        next.shows(&format!("{OFFERED} {count}")).await;
        next.shows("kubefresh_messages_waiting{} 0").await;
        next.stop().await;
        let mut received = self.discord.received();
        assert_eq!(received.len(), 1, "{received:#?}");
        let message = received.remove(0);
        let title = format!("Update waits for approval: checkout 1.4.0 -> 1.5.0 in {count} workloads");
        assert!(
            message.text.replace('\\', "").contains(&title),
            "{}",
            message.text
        );
        for name in names {
            assert!(
                message.text.contains(&format!("shop/{name}")),
                "{name}: {}",
                message.text
            );
        }
        message
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_more_or_for_the_morning_when_the_updater_is_killed_is_told_once_with_what_came_after()
{
    // Whoever runs first builds them, and that is not part of the night.
    programs();
    // Long enough for the first updater to see its workloads, on a busy machine too.
    let morning = whole_seconds(clock::now() + SignedDuration::from_secs(20));
    let quiet = format!("--quiet-hours=2020-01-01T00:00:00Z/{morning}");
    let cases = [vec!["--gather-messages=10s"], vec!["--gather-messages=0", &quiet]];
    let runs = cases.iter().map(|words| async {
        let scene = Scene::set(None, words).await;
        let updater = scene.kill_while_it_holds().await;
        scene
            .is_told_once_of(&["first", "second", "third"], updater)
            .await;
    });
    futures::future::join_all(runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_notes_when_the_updater_is_killed_is_told_once_with_them_and_with_what_came_after()
{
    let summary = json!({ "overview": "Baskets are safer." }).to_string();
    let (forge, model) = (
        Forge::start().await,
        OpenAi::start(Completion::Held(summary)).await,
    );
    let releases = [("v1.5.0", "- Baskets of others are closed"), ("v1.4.0", "- old")];
    forge.has("example/shop", Repository::with(&releases));
    let notes = format!("{}/example/shop", forge.host());
    let (forges, model_url) = (forge.named("github"), model.base_url());
    let words = [
        "--gather-messages=0",
        "--forges",
        &forges,
        "--openai-base-url",
        &model_url,
    ];
    let scene = Scene::set(Some(&notes), &words).await;
    let updater = scene.kill_while_it_holds().await;
    scene.deploy("fourth").await;
    scene.holds(&["first", "second", "third", "fourth"]).await;
    model.lets_go();
    let message = scene
        .is_told_once_of(&["first", "second", "third", "fourth"], updater)
        .await;
    assert!(message.text.contains("Baskets are safer"), "{}", message.text);
}
