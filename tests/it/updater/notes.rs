//! Release notes: which are found of what is offered, what is kept of them, and what follows from them.

use std::collections::BTreeSet;
use std::sync::Arc;

use sandbox::apiserver::faults::{Fault, FaultRule};
use sandbox::forge::{Forge, Mood, Repository};
use shared::domain::record::release_notes::{NotesState, SHARDS, Shard, name as shard_name, shard_of};
use shared::domain::release_notes::book::{NotesRecord, Records};

use super::*;

pub(super) const NOTES: &str = "kubefresh.dev/release-notes";

/// Everything that is stored of notes.
pub(super) async fn stored(stage: &Stage) -> (Vec<NotesRecord>, NotesState) {
    let api: Api<ConfigMap> = Api::namespaced(stage.client.clone(), NAMESPACE);
    let (mut found, mut kept) = (Vec::new(), NotesState::default());
    for shard in 0..SHARDS {
        if let Some(config_map) = api.get_opt(&shard_name(LEASE, shard)).await.unwrap() {
            let shard_read = Shard::parse(&config_map);
            found.extend(
                shard_read
                    .records
                    .values()
                    .map(|record| NotesRecord::clone(record)),
            );
            if shard == 0 {
                kept = shard_read.state;
            }
        }
    }
    (found, kept)
}

/// Waits for a record that is as it should be.
pub(super) async fn record(stage: &Stage, what: &str, is_it: impl Fn(&NotesRecord) -> bool) -> NotesRecord {
    eventually(&format!("a record {what}"), LIMIT, || async {
        stored(stage).await.0.into_iter().find(|record| is_it(record))
    })
    .await
}

/// All that is stored is due again, as far as it says itself, where nobody leads who writes it meanwhile.
pub(super) async fn a_day_later(stage: &Stage) {
    let api: Api<ConfigMap> = Api::namespaced(stage.client.clone(), NAMESPACE);
    for shard in 0..SHARDS {
        let Some(config_map) = api.get_opt(&shard_name(LEASE, shard)).await.unwrap() else {
            continue;
        };
        let mut shard_read = Shard::parse(&config_map);
        for record in Arc::make_mut(&mut shard_read.records).values_mut() {
            Arc::make_mut(record).ask_again = clock::now();
        }
        let aged = shard_read.to_config_map((LEASE, shard), NAMESPACE, &BTreeSet::new());
        let patch = Patch::Merge(json!({ "data": aged.data }));
        api.patch(&shard_name(LEASE, shard), &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
}

/// A stage whose `checkout` is offered 1.5.0, and says that its notes are at the forge.
pub(super) async fn offered(forge: &Forge, path: &str) -> Stage {
    let notes = format!("{}/{path}", forge.host());
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "notify"), (NOTES, &notes)]).await;
    stage.offer_1_5_0().await;
    stage
}

/// A leader that reads notes at this forge, with more on its command line.
pub(super) async fn leader(stage: &Stage, forge: &Forge, kind: &str, more: &[&str]) -> Updater {
    let forges = forge.named(kind);
    let words = [&["--forges", &forges], more].concat();
    stage.steady_leader(&words).await
}

/// The same, for one that is killed: the next one waits until its lease has run out, which is soon.
pub(super) async fn leader_until_killed(stage: &Stage, forge: &Forge) -> Updater {
    let forges = forge.named("github");
    stage.leader_with(&["--forges", &forges]).await
}

fn targets(forge: &Forge) -> Vec<String> {
    forge.asked().into_iter().map(|asked| asked.target).collect()
}

pub(super) fn shop() -> Repository {
    Repository::with(&[
        ("v1.6.0", "- fix: too new"),
        (
            "v1.5.0",
            "## Added\n- baskets by @ann\n\n## Security\n- fix CVE-2026-1234 <script>alert(1)</script>",
        ),
        ("v1.4.1", "- fix: totals\n- BREAKING: the port is 8080"),
        ("v1.4.0", "- fix: runs already"),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notes_of_all_releases_between_are_fetched_once_however_many_workloads_are_offered_them() {
    let forge = Forge::start().await;
    forge.has("example/shop", shop());
    let stage = offered(&forge, "example/shop").await;
    let notes = format!("{}/example/shop", forge.host());
    for name in ["second", "third"] {
        stage
            .deploy(
                name,
                OLD,
                &[
                    ("kubefresh.dev/watch", "true"),
                    ("kubefresh.dev/mode", "notify"),
                    (NOTES, &notes),
                ],
            )
            .await;
    }
    let updater = leader(&stage, &forge, "github", &[]).await;
    let record = record(&stage, "with notes", |record| record.summary.is_some()).await;
    updater.shows("kubefresh_containers{verdict=\"notify\"} 3").await;
    let tags: Vec<&str> = record
        .releases
        .iter()
        .map(|release| release.tag.as_str())
        .collect();
    assert_eq!((tags, record.is_complete), (vec!["v1.5.0", "v1.4.1"], true));
    let summary = record.summary.unwrap();
    let texts = |items: &[shared::domain::release_notes::digest::Item]| {
        items.iter().map(|item| item.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&summary.security), ["fix CVE-2026-1234"]);
    assert_eq!(texts(&summary.breaking), ["the port is 8080"]);
    assert_eq!(texts(&summary.features), ["baskets"]);
    assert_eq!(texts(&summary.fixes), ["totals"]);
    assert_eq!(
        targets(&forge),
        ["/api/v3/repos/example/shop/releases?per_page=50&page=1"]
    );
    assert_eq!(stored(&stage).await.0.len(), 1);
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_that_were_cut_short_let_no_update_start_and_are_asked_for_again_as_if_for_the_first_time() {
    let forge = Forge::start().await;
    let tags: Vec<String> = (1..100).rev().map(|patch| format!("v1.4.{patch}")).collect();
    let mut releases: Vec<(&str, &str)> = tags.iter().map(|tag| (tag.as_str(), "- fix: a")).collect();
    releases.insert(0, ("v1.5.0", "- feat: b"));
    releases.push(("v1.4.0", "- old"));
    forge.has("example/shop", Repository::with(&releases));
    let until = clock::now().as_second() + 3600;
    forge.allows(1, until);
    let notes = format!("{}/example/shop", forge.host());
    let stage =
        Stage::with_checkout(&[("kubefresh.dev/require-approval", "breaking"), (NOTES, &notes)]).await;
    stage.offer_1_5_0().await;
    let updater = leader(&stage, &forge, "github", &[]).await;
    let part = record(&stage, "of a part", |record| record.summary.is_some()).await;
    assert_eq!((part.is_complete, &part.etag), (false, &None));
    assert_eq!(part.ask_again.as_second(), until);
    assert!(
        part.missing
            .unwrap()
            .contains("only the newest 50 releases were read")
    );
    updater
        .shows("kubefresh_containers{verdict=\"awaiting-approval\"} 1")
        .await;
    assert_eq!(stage.image("checkout").await, OLD);
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_releases_the_changelog_is_read_and_without_that_it_is_said() {
    let forge = Forge::start().await;
    let changelog = "# Changelog\n## [1.5.0] - 2026-11-01\n### Added\n- baskets\n## [1.4.0]\n- old\n";
    forge.has(
        "example/shop",
        Repository {
            changelog: Some(changelog.to_owned()),
            ..Repository::default()
        },
    );
    let stage = offered(&forge, "example/shop").await;
    let updater = leader(&stage, &forge, "github", &[]).await;
    let found = record(&stage, "of the changelog", |record| record.summary.is_some()).await;
    assert_eq!(found.summary.unwrap().features[0].text, "baskets");
    stage
        .annotate("checkout", NOTES, &format!("{}/example/nothing", forge.host()))
        .await;
    let nothing = record(&stage, "of nothing", |record| record.missing.is_some()).await;
    let missing = nothing.missing.unwrap();
    assert!(
        missing.contains("example/nothing is not there, or may not be read without a token"),
        "{missing}"
    );
    forge.has("example/bare", Repository::default());
    stage
        .annotate("checkout", NOTES, &format!("{}/example/bare", forge.host()))
        .await;
    let bare = record(&stage, "of a bare repository", |record| {
        record.missing.as_ref().is_some_and(|why| why.contains("bare"))
    })
    .await;
    assert!(
        bare.missing
            .unwrap()
            .ends_with("the repository has no releases, and there is no CHANGELOG.md")
    );
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_hangs_or_lies_and_records_that_cannot_be_kept_hold_up_no_update() {
    for mood in [
        Mood::Hangs,
        Mood::Says(200, Vec::new(), "<html>".to_owned()),
        Mood::Says(500, Vec::new(), "x".repeat(1 << 20)),
    ] {
        let forge = Forge::start().await;
        forge.becomes(mood);
        let notes = format!("{}/example/shop", forge.host());
        let stage = Stage::with_checkout(&[(NOTES, &notes)]).await;
        let updater = leader(&stage, &forge, "github", &[]).await;
        stage.update_to_1_5_0().await;
        updater.stop().await;
    }
    let forge = Forge::start().await;
    forge.has("example/shop", shop());
    let notes = format!("{}/example/shop", forge.host());
    let stage = Stage::with_checkout(&[(NOTES, &notes)]).await;
    let name = shard_name(LEASE, 0);
    let broken = FaultRule::new(Fault::internal())
        .resource("configmaps")
        .name(&name);
    stage.cluster.api.faults().install(broken);
    let updater = leader(&stage, &forge, "github", &[]).await;
    stage.update_to_1_5_0().await;
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_has_offered_for_a_week_is_forgotten() {
    let forge = Forge::start().await;
    forge.has("example/shop", shop());
    let stage = offered(&forge, "example/shop").await;
    let first = leader(&stage, &forge, "github", &[]).await;
    let known = record(&stage, "with notes", |record| record.summary.is_some()).await;
    first.stop().await;
    let week = jiff::SignedDuration::from_hours(7 * 24);
    let old = NotesRecord {
        offered_at: clock::now() - week,
        ..known.clone()
    };
    let recent = NotesRecord {
        offered_at: clock::now() - week + jiff::SignedDuration::from_hours(1),
        ..known
    };
    let records = [("a".repeat(16), old), ("b".repeat(16), recent)];
    for (key, record) in records {
        let mut shard = Shard::of(Records::from([(key.clone(), Arc::new(record))]));
        let stored = shard.to_config_map((LEASE, shard_of(&key)), NAMESPACE, &BTreeSet::new());
        stage
            .cluster
            .apply(&[serde_json::to_value(stored).unwrap()])
            .await;
    }
    let second = leader(&stage, &forge, "github", &[]).await;
    eventually("the old one is gone", LIMIT, || async {
        let (found, _) = stored(&stage).await;
        let ages = found
            .iter()
            .map(|record| clock::now().duration_since(record.offered_at));
        (ages.max()? < week).then_some(())
    })
    .await;
    assert!(stored(&stage).await.0.len() >= 2);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_whose_notes_tell_of_a_break_needs_approval_in_mode_auto_and_another_starts_by_itself() {
    let forge = Forge::start().await;
    forge.has("example/shop", shop());
    forge.has(
        "example/calm",
        Repository::with(&[("v1.5.0", "- fix: a"), ("v1.4.0", "- old")]),
    );
    let require = ("kubefresh.dev/require-approval", "breaking");
    let notes = format!("{}/example/shop", forge.host());
    let stage = Stage::with_checkout(&[require, (NOTES, &notes)]).await;
    let calm = format!("{}/example/calm", forge.host());
    let image = "registry.example/shop/calm";
    stage.scanned(image, &["1.4.0 minor"], &["1.4.0", "1.5.0"]).await;
    stage
        .deploy("calm", &format!("{image}:1.4.0"), &[require, (NOTES, &calm)])
        .await;
    stage.roll_out("calm").await;
    stage.offer_1_5_0().await;
    let updater = leader(&stage, &forge, "github", &[]).await;
    stage.image_becomes("calm", &format!("{image}:1.5.0")).await;
    updater
        .shows("kubefresh_containers{verdict=\"awaiting-approval\"} 1")
        .await;
    let pending = eventually("it says what it waits for", LIMIT, || async {
        stage
            .annotation("checkout", "pending")
            .await
            .filter(|pending| pending.contains("approval ("))
    })
    .await;
    assert!(
        pending.contains("waits for approval (breaking: the notes say \"BREAKING: the port is 8080\")"),
        "{pending}"
    );
    assert_eq!(stage.image("checkout").await, OLD);
    stage
        .annotate("checkout", "kubefresh.dev/approved", "1.5.0")
        .await;
    stage.image_becomes("checkout", NEW).await;
    updater.stop().await;
}
