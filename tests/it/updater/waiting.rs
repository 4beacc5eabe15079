//! What keeps an update from starting, until when, and where that can be read.

use jiff::SignedDuration;
use sandbox::apiserver::error::ApiError;
use sandbox::apiserver::faults::{Fault, FaultRule};
use shared::domain::time::whole_seconds;

use super::*;
use crate::output::Heard;

/// A window that opens so many seconds from now, as an annotation, and when it opens.
pub(super) fn window_in(seconds: i64) -> (String, jiff::Timestamp) {
    let opens = whole_seconds(clock::now()) + SignedDuration::from_secs(seconds);
    let until = opens + SignedDuration::from_hours(1);
    (format!("{opens}/{until}"), opens)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_waits_for_its_window_and_starts_when_it_opens() {
    let (far, then) = window_in(3600);
    let stage = Stage::with_checkout(&[("kubefresh.dev/window", &far)]).await;
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    updater
        .shows("kubefresh_updates_waiting{reason=\"window\"} 1")
        .await;
    let until = "kubefresh_updates_waiting_until_timestamp_seconds{reason=\"window\"}";
    updater.shows(&format!("{until} {}", then.as_second())).await;
    let (near, opens) = window_in(3);
    stage.annotate("checkout", "kubefresh.dev/window", &near).await;
    // Nothing changes in the cluster from here on: it is the time alone that starts it.
    stage.image_becomes("checkout", NEW).await;
    assert!(clock::now() >= opens, "the image changed before {opens}");
    let marker = stage.annotation("checkout", "in-flight").await.unwrap();
    let marker: Value = serde_json::from_str(&marker).unwrap();
    let started: jiff::Timestamp = marker["started"].as_str().unwrap().parse().unwrap();
    assert!(
        started >= opens,
        "started at {started}, and the window opened at {opens}"
    );
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_up_what_was_approved_and_its_end_by_hand_starts_it() {
    let annotations = [
        ("kubefresh.dev/mode", "approve"),
        ("kubefresh.dev/freeze", "@daily 1d"),
    ];
    let stage = Stage::with_checkout(&annotations).await;
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    updater
        .shows("kubefresh_updates_waiting{reason=\"approval\"} 1")
        .await;
    stage
        .annotate("checkout", "kubefresh.dev/approved", "1.5.0")
        .await;
    updater
        .shows("kubefresh_updates_waiting{reason=\"freeze\"} 1")
        .await;
    assert_eq!(stage.image("checkout").await, OLD);
    stage.annotate("checkout", "kubefresh.dev/freeze", "never").await;
    stage.image_becomes("checkout", NEW).await;
    updater.stop().await;
}

impl Stage {
    /// What `kubectl rollout pause` and `kubectl rollout resume` do.
    async fn pause(&self, name: &str, paused: Option<bool>) {
        let patch = Patch::Merge(json!({ "spec": { "paused": paused } }));
        self.deployments()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_waits_while_the_deployment_is_paused_and_starts_when_it_is_resumed() {
    let stage = Stage::with_checkout(&[]).await;
    stage.pause("checkout", Some(true)).await;
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    updater
        .shows("kubefresh_updates_waiting{reason=\"paused\"} 1")
        .await;
    assert_eq!(stage.image("checkout").await, OLD);
    stage.pause("checkout", None).await;
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_somebody_pauses_in_the_middle_does_not_fail_meanwhile() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/rollout-timeout", "8s")]).await;
    let updater = stage.steady_leader(&[]).await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.pause("checkout", Some(true)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(stage.annotation("checkout", "last-result").await, None);
    assert_eq!(stage.told("checkout").await, ["UpdateStarted"]);
    assert_eq!(stage.image("checkout").await, NEW);

    // For the rollback that follows.
    stage
        .annotate("checkout", "kubefresh.dev/rollout-timeout", "10m")
        .await;
    // The controller sees that it goes on, and from then on it has its time again.
    let resumed = whole_seconds(clock::now());
    let condition = json!([{
        "type": "Progressing",
        "status": "Unknown",
        "reason": "DeploymentResumed",
        "message": "Deployment is resumed",
        "lastUpdateTime": resumed + SignedDuration::from_secs(1),
        "lastTransitionTime": resumed,
    }]);
    stage.set_status("checkout", 0, &condition).await;
    stage.pause("checkout", None).await;
    stage.image_becomes("checkout", OLD).await;
    let lasted = clock::now().duration_since(resumed);
    assert!(
        lasted >= SignedDuration::from_secs(9),
        "{lasted} after it was resumed"
    );
    stage.roll_out("checkout").await;
    let result = stage.result("checkout").await;
    assert!(
        result.starts_with("rolled back: rollout timeout passed"),
        "{result}"
    );
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_waits_until_its_tag_is_old_enough() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/min-age", "10s")]).await;
    let updater = stage.leader().await;
    let seen = clock::now();
    stage.offer_1_5_0().await;
    updater
        .shows("kubefresh_updates_waiting{reason=\"min-age\"} 1")
        .await;
    stage.image_becomes("checkout", NEW).await;
    let age = clock::now().duration_since(seen);
    // A record's times are cut to seconds.
    assert!(
        age >= SignedDuration::from_secs(9),
        "started {age} after it was seen"
    );
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_written_on_the_workload_once_and_goes_with_the_start() {
    let (far, opens) = window_in(3600);
    let stage = Stage::with_checkout(&[("kubefresh.dev/window", &far)]).await;
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    let pending = eventually("it is written what waits", LIMIT, || async {
        stage.annotation("checkout", "pending").await
    })
    .await;
    assert_eq!(pending, format!("app: {NEW} waits for its window, until {opens}"));

    // Neither our own write, nor another change, nor the next leader leads to another write.
    stage.annotate("checkout", "example.com/note", "x").await;
    updater.stop().await;
    let updater = stage.leader().await;
    updater
        .shows("kubefresh_updates_waiting{reason=\"window\"} 1")
        .await;
    stage.deploy("other", NEW, &[]).await;
    updater
        .shows("kubefresh_workloads{kind=\"Deployment\",state=\"settled\"} 2")
        .await;
    assert_eq!(stage.patches("checkout").len(), 1);

    stage.annotate("checkout", "kubefresh.dev/window", "always").await;
    stage.image_becomes("checkout", NEW).await;
    assert_eq!(stage.annotation("checkout", "pending").await, None);
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    assert_eq!(stage.annotation("checkout", "pending").await, None);
    updater.stop().await;
    let codes: Vec<u16> = stage.patches("checkout").iter().map(|patch| patch.code).collect();
    assert_eq!(codes, [200, 200, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_what_waits_and_until_when_once_each_time_that_changes() {
    let (far, opens) = window_in(3600);
    let (farther, later) = window_in(7200);
    let stage = Stage::with_checkout(&[("kubefresh.dev/window", &far)]).await;
    stage.offer_1_5_0().await;
    let run = || Heard::spawn(shop::updater(&stage.cluster, &[]).env("LOG_FORMAT", "json"));
    let told = |opens: jiff::Timestamp| format!("app: {NEW} waits for its window, until {opens}");
    let tells = async |updater: &Heard, words: &str| {
        eventually(&format!("the log tells {words}"), LIMIT, || async {
            updater.said().contains(words).then_some(())
        })
        .await;
    };
    let first = run();
    tells(&first, &told(opens)).await;
    stage.annotate("checkout", "kubefresh.dev/window", &farther).await;
    tells(&first, &told(later)).await;
    let mut said = first.kill().await;
    // The next one finds it written, and has something else to tell first.
    stage
        .deploy("other", OLD, &[("kubefresh.dev/mode", "approve")])
        .await;
    let next = run();
    tells(&next, "waits for approval").await;
    stage.annotate("checkout", "kubefresh.dev/window", "always").await;
    stage.image_becomes("checkout", NEW).await;
    said.push_str(&next.kill().await);
    let lines = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told_of_it: Vec<Value> = lines
        .filter(|line| line["message"] == "update waits" && line["workload"] == "deployment shop/checkout")
        .map(|mut line| line["pending"].take())
        .collect();
    assert_eq!(told_of_it, [told(opens), told(later)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_approval_says_what_to_do_and_doing_it_works() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    let pending = eventually("it is written what waits", LIMIT, || async {
        stage.annotation("checkout", "pending").await
    })
    .await;
    let (_, command) = pending
        .split_once("waits for approval: kubectl annotate")
        .unwrap();
    let (key, value) = command.rsplit(' ').next().unwrap().split_once('=').unwrap();
    stage.annotate("checkout", key, value).await;
    stage.image_becomes("checkout", NEW).await;
    assert_eq!(stage.annotation("checkout", "pending").await, None);
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_opts_out_while_it_waits_says_so_no_more() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    eventually("it is written what waits", LIMIT, || async {
        stage.annotation("checkout", "pending").await
    })
    .await;
    stage.annotate("checkout", "kubefresh.dev/watch", "false").await;
    eventually("nothing waits any more", LIMIT, || async {
        let pending = stage.annotation("checkout", "pending").await;
        pending.is_none().then_some(())
    })
    .await;
    updater.stop().await;
}

/// Three deployments of the same image, which have rolled out.
async fn three() -> Stage {
    let stage = Stage::set().await;
    for name in THREE {
        stage.deploy(name, OLD, &[]).await;
        stage.roll_out(name).await;
    }
    stage
}

const THREE: [&str; 3] = ["basket", "checkout", "orders"];

#[tokio::test(flavor = "multi_thread")]
async fn with_one_rollout_at_a_time_three_workloads_are_updated_one_after_the_other() {
    let stage = three().await;
    let updater = stage.leader_with(&["--max-rollouts", "1"]).await;
    stage.offer_1_5_0().await;
    for (index, name) in THREE.iter().enumerate() {
        stage.image_becomes(name, NEW).await;
        // Each look since says anew whose turn it is.
        for later in &THREE[index + 1..] {
            eventually("the others say that they wait", LIMIT, || async {
                let pending = stage.annotation(later, "pending").await?;
                pending.contains("waits for its turn").then_some(())
            })
            .await;
            assert_eq!(stage.image(later).await, OLD, "{later} while {name} is under way");
        }
        stage.roll_out(name).await;
        assert_eq!(stage.result(name).await, "completed");
        assert_eq!(stage.annotation(name, "pending").await, None);
    }
    updater
        .shows("kubefresh_updates_total{kind=\"Deployment\",result=\"completed\"} 3")
        .await;
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_whose_patch_is_refused_takes_no_turn_from_the_others() {
    let stage = three().await;
    let updater = stage
        .leader_with(&["--max-rollouts", "0", "--max-rollouts-per-namespace", "1"])
        .await;
    stage.offer_1_5_0().await;
    for later in ["checkout", "orders"] {
        eventually("the others say that they wait", LIMIT, || async {
            stage.annotation(later, "pending").await
        })
        .await;
    }
    let refusal = ApiError::new(http::StatusCode::FORBIDDEN, "Forbidden", "a webhook says no");
    let rule = FaultRule::new(Fault::Answer(refusal))
        .verb("patch")
        .resource("deployments")
        .name("checkout");
    stage.cluster.api.faults().install(rule);
    // It is the turn of `checkout`, and after that nothing in the cluster changes by itself.
    stage.roll_out("basket").await;
    stage.image_becomes("orders", NEW).await;
    assert_eq!(stage.image("checkout").await, OLD);
    updater.stop().await;
}

/// Takes away what is written on `checkout` about what waits, whenever it is there.
async fn take_away(stage: &Stage) {
    loop {
        if stage.annotation("checkout", "pending").await.is_some() {
            let patch =
                Patch::Merge(json!({ "metadata": { "annotations": { "kubefresh.dev/pending": null } } }));
            let parameters = PatchParams::default();
            stage
                .deployments()
                .patch("checkout", &parameters, &patch)
                .await
                .unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_takes_away_is_not_written_again_in_a_hurry_and_holds_up_no_update() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    let updater = stage.leader().await;
    let began = std::time::Instant::now();
    stage.offer_1_5_0().await;
    let written = || -> u32 {
        let patches = stage.patches("checkout").into_iter();
        let written = patches.filter(|patch| patch.code == 200).count();
        written.try_into().unwrap()
    };
    let update = async {
        eventually("it is written once", LIMIT, || async {
            (written() > 0).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        // Counted before the time is read, which may allow more by then.
        let written = written();
        // Once it was taken away, and then after 5, 10, 20... seconds.
        let pauses = began.elapsed().as_secs() / 5 + 1;
        let most = pauses.ilog2() + 1;
        assert!(
            (1..=most).contains(&written),
            "{written} times within {:?}",
            began.elapsed()
        );
        stage
            .annotate("checkout", "kubefresh.dev/approved", "1.5.0")
            .await;
        stage.image_becomes("checkout", NEW).await;
        stage.roll_out("checkout").await;
        assert_eq!(stage.result("checkout").await, "completed");
    };
    tokio::select! {
        () = take_away(&stage) => {}
        () = update => {}
    }
    updater.stop().await;
}
