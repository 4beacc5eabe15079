//! Summaries by a language model that is slow, odd, broken or another one: it holds up no notes, and nothing is paid for twice.

use std::collections::BTreeSet;

use k8s_openapi::api::coordination::v1::Lease;
use sandbox::forge::{Forge, Repository};
use sandbox::openai::{Completion, OpenAi};
use shared::domain::release_notes::book::NotesRecord;

use super::notes::{NOTES, a_day_later, offered, record, stored};
use super::summaries::{
    A_MOMENT, asking_again_after, by_model, features, long_notes, says, summarising,
    summarising_until_killed, texts,
};
use super::*;

/// Offers 1.5.0 of an image of this name to a workload of this name, whose notes are at this repository.
async fn offer(stage: &Stage, name: &str, forge: &Forge, repository: &str) {
    let (image, notes) = (
        format!("registry.example/shop/{name}"),
        format!("{}/{repository}", forge.host()),
    );
    stage.scanned(&image, &["1.4.0 minor"], &["1.4.0", "1.5.0"]).await;
    let said = [("kubefresh.dev/mode", "notify"), (NOTES, &*notes)];
    stage.deploy(name, &format!("{image}:1.4.0"), &said).await;
}

async fn asked(model: &OpenAi, questions: usize) {
    eventually(&format!("{questions} questions are asked"), LIMIT, || async {
        (model.questions().len() == questions).then_some(())
    })
    .await;
}

async fn tokens(stage: &Stage) -> u64 {
    stored(stage).await.1.tokens.map_or(0, |spent| spent.tokens)
}

fn is_settled(record: &NotesRecord) -> bool {
    record.summary.is_some() && !record.awaits_model
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_model_holds_up_no_notes_of_others_and_what_it_may_cost_is_written_down_before() {
    let (forge, model) = (long_notes().await, OpenAi::start(Completion::Hangs).await);
    let stage = offered(&forge, "example/shop").await;
    let updater = summarising(&stage, &forge, &model, &[]).await;
    asked(&model, 1).await;
    assert!(tokens(&stage).await > 1500, "{}", tokens(&stage).await);
    for name in ["second", "third"] {
        offer(&stage, name, &forge, "example/shop").await;
        record(&stage, "that was fetched meanwhile", |record| {
            record.image.path().ends_with(name) && record.summary.is_some()
        })
        .await;
    }
    assert_eq!(model.questions().len(), 1);
    updater.kill().await;
    assert!(tokens(&stage).await > 1500);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_no_longer_leads_asks_no_further_question() {
    let held = Completion::Held(json!({ "features": ["newest"] }).to_string());
    let (forge, model) = (long_notes().await, OpenAi::start(held).await);
    let stage = offered(&forge, "example/shop").await;
    let updater = summarising(&stage, &forge, &model, &[]).await;
    asked(&model, 1).await;
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), NAMESPACE);
    let rival = json!({
        "spec": { "holderIdentity": "rival", "leaseDurationSeconds": 60, "renewTime": format!("{:.6}", clock::now()) },
    });
    let patch = Patch::Merge(rival);
    leases
        .patch(LEASE, &PatchParams::default(), &patch)
        .await
        .unwrap();
    updater.shows("kubefresh_leader 0").await;
    model.lets_go();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(model.questions().len(), 1);
    assert!(tokens(&stage).await > 0);
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_no_use_is_that_of_one_text_which_is_not_asked_about_again() {
    costs_no_other_text_its_summary(Completion::Says("I cannot do that.".to_owned(), 7)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_the_server_refuses_costs_no_other_its_summary_and_is_not_asked_about_again() {
    let refused = json!({ "error": { "message": "too long", "type": "invalid_request_error" } });
    costs_no_other_text_its_summary(Completion::Raw(400, refused.to_string())).await;
}

/// The text that is asked about first has this answer.
async fn costs_no_other_text_its_summary(first: Completion) {
    let forge = short_notes(&["one", "two"]).await;
    let model = OpenAi::start(says("baskets")).await;
    model.answers_first([first]);
    let stage = Stage::set().await;
    // Two records of one text, and one of another.
    offer(&stage, "one", &forge, "example/one").await;
    offer(&stage, "one-again", &forge, "example/one").await;
    offer(&stage, "two", &forge, "example/two").await;
    let by_the_model = |records: &[NotesRecord]| {
        let by_model = records.iter().filter(|record| by_model(record));
        by_model
            .map(|record| record.image.to_string())
            .collect::<BTreeSet<_>>()
    };
    let settled = || async {
        let (records, _) = stored(&stage).await;
        (records.len() == 3 && records.iter().all(is_settled)).then_some(records)
    };
    let updater = summarising_until_killed("tiny", &stage, &forge, &model).await;
    let records = eventually("all are settled", LIMIT, settled).await;
    let summarised = by_the_model(&records);
    assert!((1..=2).contains(&summarised.len()), "{summarised:?}");
    assert_eq!(model.questions().len(), 2);
    updater.kill().await;
    a_day_later(&stage).await;
    let updater = summarising(&stage, &forge, &model, &[]).await;
    eventually("all were asked for again", LIMIT, || async {
        let (records, _) = stored(&stage).await;
        records
            .iter()
            .all(|record| record.ask_again > clock::now())
            .then_some(())
    })
    .await;
    let records = eventually("all are settled", LIMIT, settled).await;
    assert_eq!((by_the_model(&records), model.questions().len()), (summarised, 2));
    updater.stop().await;
}

/// A repository for each name, whose notes have one short text.
async fn short_notes(names: &[&str]) -> Forge {
    let forge = Forge::start().await;
    for name in names {
        let notes = format!("- feature: {name}");
        let releases = [("v1.5.0", notes.as_str()), ("v1.4.0", "- old")];
        forge.has(&format!("example/{name}"), Repository::with(&releases));
    }
    forge
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_work_is_asked_no_more_for_a_while_whatever_the_text_but_by_the_next_leader() {
    let forge = short_notes(&["one", "two"]).await;
    let model = OpenAi::start(Completion::Raw(503, String::new())).await;
    let stage = Stage::set().await;
    let updater = summarising_until_killed("tiny", &stage, &forge, &model).await;
    for name in ["one", "two"] {
        offer(&stage, name, &forge, &format!("example/{name}")).await;
        record(&stage, "that waits, with a digest", |record| {
            record.image.path().ends_with(name) && record.summary.is_some() && record.awaits_model
        })
        .await;
        asked(&model, 1).await;
    }
    updater.kill().await;
    assert_eq!(model.questions().len(), 1);
    model.answers(says("baskets"));
    let updater = summarising(&stage, &forge, &model, &[]).await;
    all_are_summarised(&stage, 2).await;
    assert_eq!(model.questions().len(), 3);
    updater.stop().await;
}

/// Waits until so many records are, all by a model.
async fn all_are_summarised(stage: &Stage, number: usize) {
    eventually("a model has summarised all", LIMIT, || async {
        let (records, _) = stored(stage).await;
        let all = records.len() == number
            && records
                .iter()
                .all(|record| by_model(record) && is_settled(record));
        all.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_works_again_is_asked_about_all_that_waits_first_about_what_it_has_not_failed_on() {
    let forge = short_notes(&["one", "two"]).await;
    let model = OpenAi::start(says("baskets")).await;
    model.answers_first([Completion::Raw(503, String::new())]);
    let stage = Stage::set().await;
    for name in ["one", "two"] {
        offer(&stage, name, &forge, &format!("example/{name}")).await;
    }
    let pause = Duration::from_secs(1);
    let updater = asking_again_after(pause, &stage, &forge, &model).await;
    all_are_summarised(&stage, 2).await;
    let texts = texts(&model);
    assert_eq!(texts.len(), 3, "{texts:#?}");
    assert!(texts[0] != texts[1] && texts[0] == texts[2], "{texts:#?}");
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_or_language_reads_the_same_text_anew() {
    let forge = short_notes(&["shop"]).await;
    let model = OpenAi::start(says("by none")).await;
    let stage = offered(&forge, "example/shop").await;
    for (name, answer, questions) in [
        ("small", "by the small", 1),
        ("large", "by the large", 2),
        ("large", "by none", 2),
    ] {
        model.answers(says(answer));
        let updater = summarising_until_killed(name, &stage, &forge, &model).await;
        let found = record(&stage, "that was asked for again", |record| {
            is_settled(record) && record.ask_again > clock::now()
        })
        .await;
        assert_eq!(
            features(&found),
            [if questions == 1 {
                "by the small"
            } else {
                "by the large"
            }]
        );
        assert_eq!(model.questions().len(), questions);
        updater.kill().await;
        a_day_later(&stage).await;
    }
    assert_eq!(model.questions()[1].body["model"], "large");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_not_read_to_its_end_and_a_text_that_has_only_such_is_given_up() {
    let forge = short_notes(&["shop"]).await;
    let model = OpenAi::start(Completion::Endless).await;
    let stage = offered(&forge, "example/shop").await;
    let updater = asking_again_after(A_MOMENT, &stage, &forge, &model).await;
    let found = record(&stage, "that was given up", is_settled).await;
    assert!(!by_model(&found) && found.etag.is_none());
    assert_eq!(model.questions().len(), 6);
    updater.stop().await;
    assert_eq!(model.questions().len(), 6);
}
