//! Release notes where a server does not answer, or a record cannot be written: it holds up nothing else, and nobody is asked twice.

use sandbox::apiserver::faults::{Fault, FaultRule};
use sandbox::forge::{Forge, Mood};
use shared::domain::record::release_notes::{name as shard_name, shard_of};
use shared::domain::release_notes::book::Wanted;
use shared::domain::release_notes::source::{Forges, NotesSetting, find};

use super::notes::{NOTES, record, shop, stored};
use super::*;

/// The record in which the notes of going from 1.4.0 to 1.5.0 stand.
fn shard(forge: &Forge, image: &str) -> usize {
    let forges = Forges::parse(&forge.named("github")).unwrap();
    let image = image.parse().unwrap();
    let setting: NotesSetting = format!("{}/example/shop", forge.host()).parse().unwrap();
    let found = find(&setting, None, &image, &forges).unwrap();
    let wanted = Wanted {
        image,
        from: "1.4.0".parse().unwrap(),
        to: "1.5.0".parse().unwrap(),
        found,
    };
    shard_of(&wanted.key())
}

/// Images whose notes stand where `is_there`.
fn images(forge: &Forge, is_there: impl Fn(usize) -> bool) -> impl Iterator<Item = String> {
    let images = (0..).map(|number| format!("registry.example/shop/image-{number}"));
    images.filter(move |image| is_there(shard(forge, image)))
}

fn image(forge: &Forge, is_there: impl Fn(usize) -> bool) -> String {
    images(forge, is_there).next().unwrap()
}

/// Offers 1.5.0 of an image to a workload of that name, whose notes are at this forge.
async fn offer(stage: &Stage, name: &str, image: &str, forge: &Forge) {
    let notes = format!("{}/example/shop", forge.host());
    stage.scanned(image, &["1.4.0 minor"], &["1.4.0", "1.5.0"]).await;
    let said = [("kubefresh.dev/mode", "notify"), (NOTES, &*notes)];
    stage.deploy(name, &format!("{image}:1.4.0"), &said).await;
}

async fn leader(stage: &Stage, forges: &[&Forge]) -> Updater {
    let forges: Vec<String> = forges.iter().map(|forge| forge.named("github")).collect();
    stage.steady_leader(&["--forges", &forges.join(",")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_written_holds_up_none_of_the_others_and_no_server_is_asked_again_for_it() {
    let forge = Forge::start().await;
    forge.has("example/shop", shop());
    let stage = Stage::set().await;
    let lost = image(&forge, |shard| shard != 0);
    let lost_in = shard(&forge, &lost);
    let kept = image(&forge, |shard| shard != lost_in);
    let beside = images(&forge, |shard| shard == lost_in)
        .find(|image| *image != lost)
        .unwrap();
    offer(&stage, "lost", &lost, &forge).await;
    offer(&stage, "beside", &beside, &forge).await;
    offer(&stage, "kept", &kept, &forge).await;
    let broken = FaultRule::new(Fault::internal())
        .resource("configmaps")
        .verb("patch")
        .name(shard_name(LEASE, lost_in));
    let fault = stage.cluster.api.faults().install(broken);
    let updater = leader(&stage, &[&forge]).await;
    let first = record(&stage, "beside the broken one", |record| record.summary.is_some()).await;
    assert_eq!(first.image.to_string(), kept);
    eventually("it is tried again", LIMIT, || async {
        (fault.struck() > 2).then_some(())
    })
    .await;
    assert_eq!(forge.asked().len(), 2, "nothing is asked that could not be kept");
    stage.cluster.api.faults().clear();
    for image in [lost, beside] {
        record(&stage, "that was broken", |record| {
            record.image.to_string() == image && record.summary.is_some()
        })
        .await;
    }
    assert_eq!(forge.asked().len(), 3, "and what was learnt is not asked again");
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_allows_no_more_is_left_alone_though_that_cannot_be_written_down() {
    let forge = Forge::start().await;
    forge.has("example/shop", shop());
    forge.allows(0, clock::now().as_second() + 3600);
    let stage = Stage::set().await;
    let broken = FaultRule::new(Fault::internal())
        .resource("configmaps")
        .verb("patch")
        .name(shard_name(LEASE, 0));
    let fault = stage.cluster.api.faults().install(broken);
    let first = image(&forge, |shard| shard != 0);
    let second = image(&forge, |second| second != 0 && second != shard(&forge, &first));
    offer(&stage, "first", &first, &forge).await;
    let updater = leader(&stage, &[&forge]).await;
    eventually("it is tried again", LIMIT, || async {
        (fault.struck() > 1).then_some(())
    })
    .await;
    offer(&stage, "second", &second, &forge).await;
    record(&stage, "that says why there is none", |record| {
        record.image.to_string() == second && record.error.is_some()
    })
    .await;
    assert_eq!(forge.asked().len(), 1);
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_no_answer_is_asked_once_for_all_and_holds_up_no_other() {
    let (broken, sound) = (Forge::start().await, Forge::start().await);
    broken.becomes(Mood::Says(503, Vec::new(), String::new()));
    sound.has("example/shop", shop());
    let stage = Stage::set().await;
    for number in 0..3 {
        let image = format!("registry.example/shop/broken-{number}");
        offer(&stage, &format!("broken-{number}"), &image, &broken).await;
    }
    offer(&stage, "sound", "registry.example/shop/sound", &sound).await;
    let updater = leader(&stage, &[&broken, &sound]).await;
    record(&stage, "of the sound one", |record| record.summary.is_some()).await;
    let failed = eventually("all the others say why there is none", LIMIT, || async {
        let (records, _) = stored(&stage).await;
        let failed: Vec<_> = records.into_iter().filter_map(|record| record.error).collect();
        (failed.len() == 3).then_some(failed)
    })
    .await;
    assert!(
        failed.iter().all(|error| error.message.contains("answers 503")),
        "{failed:?}"
    );
    assert_eq!(broken.asked().len(), 1);
    updater.stop().await;
}
