//! What people hear on their channels: each happening once and in one message, in the channel's own form, whatever becomes of us.

use std::collections::BTreeSet;
use std::time::Instant;

use sandbox::programs::programs;
use sandbox::receiver::{Behaviour, Received, Receiver};
use sandbox::smtp::MailRelay;
use tokio::process::Command;

use super::*;
use crate::output::Heard;

const AT_ONCE: &str = "--gather-messages=0";

/// Waits until `count` were taken that were posted to this path.
async fn taken(service: &Receiver, path: &str, count: usize) -> Vec<Received> {
    eventually(&format!("{count} messages come to {path}"), LIMIT, || async {
        let mut received = service.received();
        received.retain(|request| request.taken && request.target == path);
        Some(received).filter(|received| received.len() >= count)
    })
    .await
}

/// The title of a Discord message.
fn title(request: &Received) -> String {
    let title = request.body["embeds"][0]["title"].as_str().unwrap_or_default();
    title.replace('\\', "")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_channel_is_told_of_an_update_in_its_own_form() {
    let stage = Stage::with_checkout(&[]).await;
    let service = Receiver::start().await;
    let words = [
        AT_ONCE,
        "--discord-url",
        &service.url("/discord?wait=true"),
        "--slack-url",
        &service.url("/slack"),
        "--telegram-token=123:abc",
        "--telegram-chat=-100",
        "--telegram-url",
        &service.url(""),
        "--teams-url",
        &service.url("/teams"),
        "--ntfy-url",
        &service.url("/ours"),
        "--ntfy-token=tk_1",
    ]
    .map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let updater = stage.leader_with(&words).await;
    stage.update_to_1_5_0().await;
    let discord = taken(&service, "/discord?wait=true", 2).await;
    let titles: Vec<String> = discord.iter().map(title).collect();
    assert_eq!(
        titles,
        [
            "Update started: checkout 1.4.0 -> 1.5.0 in shop/checkout",
            "Update completed: checkout 1.4.0 -> 1.5.0 in shop/checkout",
        ]
    );
    assert_eq!(discord[0].body["allowed_mentions"]["parse"], json!([]));
    let slack = taken(&service, "/slack", 2).await;
    let header = &slack[1].body["blocks"][0]["text"]["text"];
    assert_eq!(
        header,
        "Update completed: checkout 1.4.0 -> 1.5.0 in shop/checkout"
    );
    let telegram = taken(&service, "/bot123:abc/sendMessage", 2).await;
    assert_eq!(telegram[1].body["chat_id"], "-100");
    assert!(
        telegram[1].text.contains("<b>Update completed: checkout"),
        "{}",
        telegram[1].text
    );
    let teams = taken(&service, "/teams", 2).await;
    let card = &teams[1].body["attachments"][0];
    assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
    let ntfy = taken(&service, "/", 2).await;
    assert_eq!(ntfy[1].body["topic"], "ours");
    assert_eq!(ntfy[1].headers["authorization"], "Bearer tk_1");
    for channel in ["discord", "slack", "telegram", "teams", "ntfy"] {
        let line = format!("kubefresh_messages_total{{channel=\"{channel}\",result=\"sent\"}} 2");
        updater.shows(&line).await;
    }
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_workloads_that_can_have_one_image_are_one_message_and_the_next_leader_says_nothing() {
    let stage = Stage::set().await;
    for number in 0..10 {
        let name = format!("w{number}");
        stage
            .deploy(&name, OLD, &[("kubefresh.dev/mode", "approve")])
            .await;
    }
    let service = Receiver::start().await;
    let url = service.url("/discord");
    let words = ["--gather-messages=2s", "--discord-url", &url];
    let first = stage.leader_with(&words).await;
    stage.offer_1_5_0().await;
    first.shows("kubefresh_messages_waiting{} 10").await;
    first.kill().await;
    let second = stage.leader_with(&words).await;
    second
        .shows("kubefresh_messages_total{channel=\"discord\",result=\"sent\"} 10")
        .await;
    let received = service.received();
    let titles: Vec<String> = received.iter().map(title).collect();
    assert_eq!(
        titles,
        ["Update waits for approval: checkout 1.4.0 -> 1.5.0 in 10 workloads"]
    );
    assert!(received[0].text.contains("to agree"), "{}", received[0].text);
    second.stop().await;
    let third = stage.leader_with(&words).await;
    third.shows("kubefresh_messages_waiting{} 0").await;
    stage
        .deploy("late", OLD, &[("kubefresh.dev/mode", "approve")])
        .await;
    let received = taken(&service, "/discord", 2).await;
    assert_eq!(received.len(), 2);
    assert!(
        title(&received[1]).ends_with("in shop/late"),
        "{}",
        title(&received[1])
    );
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_a_channel_names_outlives_the_process_and_holds_for_all_that_waits_there() {
    let stage = Stage::with_checkout(&[]).await;
    let service = Receiver::start().await;
    service.behave(Behaviour::Answer(429, vec![("retry-after", "7".to_owned())]));
    let url = service.url("/discord");
    let words = [AT_ONCE, "--discord-url", &url];
    let first = stage.leader_with(&words).await;
    // Before it is told to wait, so that no pause of this test shortens what is measured.
    let begun = Instant::now();
    stage.offer_1_5_0().await;
    eventually("it is told to wait", LIMIT, || async {
        (!service.received().is_empty()).then_some(())
    })
    .await;
    first
        .shows("kubefresh_messages_total{channel=\"discord\",result=\"failed\"} 1")
        .await;
    first.kill().await;
    service.behave(Behaviour::Take);
    let _second = stage.leader_with(&words).await;
    // Another happening, of which nobody was told to wait.
    stage
        .deploy("other", OLD, &[("kubefresh.dev/unknown", "1")])
        .await;
    let received = taken(&service, "/discord", 2).await;
    assert!(begun.elapsed() >= Duration::from_secs(6), "{:?}", begun.elapsed());
    let titles: BTreeSet<String> = received.iter().map(title).collect();
    assert!(titles.contains("Invalid settings: in shop/other"), "{titles:?}");
    assert_eq!(service.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_mail_goes_to_a_relay_that_is_busy_at_first_once_and_from_the_next_leader() {
    let stage = Stage::with_checkout(&[]).await;
    let relay = MailRelay::start(1).await;
    let url = relay.url();
    let words = [
        AT_ONCE,
        "--smtp-url",
        &url,
        "--mail-from=Kubefresh <kubefresh@example.com>",
        "--mail-to=a@example.com,b@example.com",
    ];
    let first = stage.leader_with(&words).await;
    stage.offer_1_5_0().await;
    first
        .shows("kubefresh_messages_total{channel=\"email\",result=\"failed\"} 1")
        .await;
    assert!(relay.mails().is_empty());
    first.kill().await;
    let second = stage.leader_with(&words).await;
    second
        .shows("kubefresh_messages_total{channel=\"email\",result=\"sent\"} 1")
        .await;
    let [mail] = &relay.mails()[..] else {
        panic!("{:#?}", relay.mails());
    };
    assert_eq!(mail.from, "MAIL FROM:<kubefresh@example.com>");
    assert_eq!(mail.to, ["RCPT TO:<a@example.com>", "RCPT TO:<b@example.com>"]);
    assert!(
        mail.text
            .contains("Subject: Update started: checkout 1.4.0 -> 1.5.0"),
        "{}",
        mail.text
    );
    assert!(mail.text.contains("@kubefresh>") && mail.text.contains("multipart/alternative"));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_down_holds_up_neither_an_update_nor_another_channel() {
    let stage = Stage::with_checkout(&[]).await;
    let (dead, alive) = (Receiver::start().await, Receiver::start().await);
    dead.behave(Behaviour::Hang);
    let (dead_url, alive_url) = (dead.url("/discord"), alive.url("/slack"));
    let words = [AT_ONCE, "--discord-url", &dead_url, "--slack-url", &alive_url];
    let updater = stage.leader_with(&words).await;
    stage.update_to_1_5_0().await;
    taken(&alive, "/slack", 2).await;
    assert_eq!(dead.received().len(), 1, "one after the other");
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_what_its_template_says_and_a_signature_of_it() {
    let stage = Stage::with_checkout(&[]).await;
    let service = Receiver::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body.json.j2");
    let template = r#"{"text": {{ title }}, "old": {{ event.deployment.image }}, "kind": {{ reason }}}"#;
    std::fs::write(&file, template).unwrap();
    let words = [
        "--webhook-url",
        &service.url("/hook"),
        "--webhook-enable-image-rollout-started",
        "--webhook-secret=It's a Secret to Everybody",
        "--webhook-template-file",
        file.to_str().unwrap(),
    ]
    .map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let updater = stage.leader_with(&words).await;
    stage.offer_1_5_0().await;
    let received = taken(&service, "/hook", 1).await;
    let expected = json!({
        "text": "Update started: checkout 1.4.0 -> 1.5.0 in shop/checkout",
        "old": NEW,
        "kind": "UpdateStarted",
    });
    assert_eq!(received[0].body, expected);
    // Of this very body, by openssl.
    let signature = "sha256=e21a471cbc6d04c3fdfe46a57e949b3979b22bc1acdf74e05715f0f587f9c33c";
    assert_eq!(received[0].headers["x-kubefresh-signature-256"], signature);
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_or_a_channel_that_cannot_be_meant_refuses_the_start_without_showing_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body.json.j2");
    std::fs::write(&file, r#"{"text": "{{ title }}"}"#).unwrap();
    for (name, value, said) in [
        ("WEBHOOK_TEMPLATE_FILE", file.to_str().unwrap(), "is no JSON"),
        ("DISCORD_URL", "hunter2", "DISCORD_URL is not an address"),
        ("TELEGRAM_TOKEN", "hunter2", "TELEGRAM_CHAT is not"),
    ] {
        let output = Command::new(&programs()["kubefresh-updater"])
            .env(name, value)
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_channel_is_logged_at_any_level() {
    let stage = Stage::with_checkout(&[]).await;
    let service = Receiver::start().await;
    service.behave(Behaviour::Answer(500, Vec::new()));
    let mut command = Command::new(&programs()["kubefresh-updater"]);
    command
        .args(["run", "--port", "0", "--lease-duration", "2s", AT_ONCE])
        .env(
            "KUBECONFIG",
            stage.cluster.kubeconfig_file(Some((NAMESPACE, UPDATER))),
        )
        .env("LISTEN_ADDRESS", "127.0.0.1")
        .env("POD_NAMESPACE", NAMESPACE)
        .env("LOG_LEVEL", "trace")
        .env("DISCORD_URL", service.url("/hunter2"))
        .env("TELEGRAM_URL", service.url(""))
        .env("TELEGRAM_TOKEN", "1:hunter2")
        .env("TELEGRAM_CHAT", "7")
        .env("NTFY_URL", service.url("/hunter2"))
        .env("NTFY_TOKEN", "hunter2")
        .env("SMTP_URL", "smtps://user:hunter2@127.0.0.1:9")
        .env("MAIL_FROM", "a@example.com")
        .env("MAIL_TO", "a@example.com");
    let updater = Heard::spawn(&mut command);
    stage.offer_1_5_0().await;
    eventually("all are tried", LIMIT, || async {
        (service.received().len() >= 3).then_some(())
    })
    .await;
    // Their answers are noted, too, and after that told.
    let stored: Api<ConfigMap> = Api::namespaced(stage.client.clone(), NAMESPACE);
    eventually("all answers are noted", LIMIT, || async {
        let record = stored.get_opt("kubefresh-updater-outbox").await.unwrap()?;
        let data = record.data?;
        (data["outbox"].matches("attempts: ").count() >= 4).then_some(())
    })
    .await;
    eventually("the log tells of an answer", LIMIT, || async {
        updater.said().contains("it answered 500").then_some(())
    })
    .await;
    let said = updater.kill().await;
    let leak = said.lines().find(|line| line.contains("hunter2"));
    assert_eq!(leak, None);
    let record = stored.get("kubefresh-updater-outbox").await.unwrap();
    assert!(!format!("{record:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_is_told_of_where_it_says_and_a_channel_that_is_not_configured_stops_it() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/channels", "slack")]).await;
    let service = Receiver::start().await;
    let (discord, slack) = (service.url("/discord"), service.url("/slack"));
    let words = [AT_ONCE, "--discord-url", &discord, "--slack-url", &slack];
    let _updater = stage.leader_with(&words).await;
    stage.update_to_1_5_0().await;
    taken(&service, "/slack", 2).await;
    assert_eq!(service.received().len(), 2);
    stage
        .deploy("other", OLD, &[("kubefresh.dev/channels", "slack,email")])
        .await;
    let told = taken(&service, "/discord", 1).await;
    assert_eq!(title(&told[0]), "Invalid settings: in shop/other");
    let why = "email is not configured; configured is discord, slack";
    eventually("an Event says why", LIMIT, || async {
        let events = stage.events("other").await;
        let notes = events.iter().filter_map(|event| event.note.as_ref());
        notes.into_iter().any(|note| note.contains(why)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_quiet_hours_only_a_failure_is_told_and_what_it_follows_upon() {
    let stage = Stage::with_checkout(&[]).await;
    stage
        .deploy("other", OLD, &[("kubefresh.dev/mode", "approve")])
        .await;
    let service = Receiver::start().await;
    let url = service.url("/discord");
    let words = [
        AT_ONCE,
        "--quiet-hours=2020-01-01T00:00/2099-01-01T00:00",
        "--discord-url",
        &url,
    ];
    let updater = stage.leader_with(&words).await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    updater.shows("kubefresh_messages_waiting{} 2").await;
    updater.shows("kubefresh_messages_overdue{} 0").await;
    stage.give_up("checkout").await;
    let told = taken(&service, "/discord", 2).await;
    let titles: Vec<String> = told.iter().map(title).collect();
    assert!(
        titles[0].starts_with("Update started") && titles[1].starts_with("Update failed"),
        "{titles:?}"
    );
    assert_eq!(titles.len(), 2);
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_reminded_of_what_waits_for_approval_and_not_of_what_does_not_any_more() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    let service = Receiver::start().await;
    let url = service.url("/discord");
    let words = [AT_ONCE, "--remind-every=2s", "--discord-url", &url];
    let first = stage.leader_with(&words).await;
    stage.offer_1_5_0().await;
    taken(&service, "/discord", 2).await;
    first.kill().await;
    let second = stage.leader_with(&words).await;
    let told = taken(&service, "/discord", 3).await;
    assert!(
        !title(&told[0]).starts_with("Reminder")
            && title(&told[1]).starts_with("Reminder: Update waits for approval")
    );
    stage
        .annotate("checkout", "kubefresh.dev/approved", "1.5.0")
        .await;
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    stage.result_becomes("completed").await;
    second.stop().await;
}
