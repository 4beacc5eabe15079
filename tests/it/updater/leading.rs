//! Who acts, and what happens when that changes.

use sandbox::apiserver::faults::{Fault, FaultRule};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_ready_and_writes_nothing() {
    let stage = Stage::with_checkout(&[]).await;
    let leader = stage.leader().await;
    let follower = stage.updater(SECOND, LEASE).await;
    follower.is_ready().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    follower.shows("kubefresh_leader 0").await;
    assert_eq!(follower.page("/livez").await.0, 200);
    leader.shows("kubefresh_leader 1").await;
    let writes = stage.writes_by(SECOND);
    assert!(writes.is_empty(), "{writes:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_updaters_that_both_lead_cause_one_rollout_for_each_update() {
    const WORKLOADS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let stage = Stage::set().await;
    for name in WORKLOADS {
        stage
            .deploy(name, "registry.example/shop/checkout:1.4.0", &[])
            .await;
        stage.roll_out(name).await;
    }
    let first = stage.leader().await;
    let second = stage.updater(SECOND, "another-lease").await;
    second.leads().await;
    // Patches take their time, so that each updater decides before it can see what the other one did.
    let slow = FaultRule::new(Fault::Delay(Duration::from_millis(400)))
        .verb("patch")
        .resource("deployments");
    stage.cluster.api.faults().install(slow);
    stage.offer_1_5_0().await;
    for name in WORKLOADS {
        stage.image_becomes(name, NEW).await;
        stage.roll_out(name).await;
        assert_eq!(stage.result(name).await, "completed");
    }
    first.stop().await;
    second.stop().await;
    let lost = |name| {
        stage
            .patches(name)
            .iter()
            .filter(|patch| patch.code == 409)
            .count()
    };
    assert!(
        WORKLOADS.into_iter().map(lost).sum::<usize>() > 0,
        "they never met"
    );
    for name in WORKLOADS {
        assert_eq!(
            stage.deployment(name).await.metadata.generation,
            Some(2),
            "{name}: one rollout"
        );
        assert_eq!(
            stage.told(name).await,
            ["UpdateStarted", "ImageUpdated"],
            "{name}"
        );
        let patches = stage.patches(name);
        let accepted = patches.iter().filter(|patch| patch.code == 200).count();
        assert_eq!(accepted, 2, "{name}: {patches:#?}");
        assert!(
            patches.iter().all(|patch| [200, 409].contains(&patch.code)),
            "{patches:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_is_given_back_at_the_end() {
    let stage = Stage::set().await;
    let leader = stage.leader().await;
    assert!(stage.lease_holder(LEASE).await.starts_with(UPDATER));
    let standby = stage.updater(SECOND, LEASE).await;
    standby.is_ready().await;
    leader.stop().await;
    let holder = stage.lease_holder(LEASE).await;
    assert!(!holder.starts_with(UPDATER), "{holder}");
    standby.leads().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_lease_calls_hang_stops_acting_before_the_lease_expires() {
    let stage = Stage::with_checkout(&[]).await;
    let leader = stage.leader().await;
    let faults = stage.cluster.api.faults();
    faults.install(
        FaultRule::new(Fault::Delay(LIMIT))
            .user(UPDATER)
            .resource("leases"),
    );
    leader.shows("kubefresh_leader 0").await;
    stage.offer_1_5_0().await;
    let successor = stage.updater(SECOND, LEASE).await;
    stage.image_becomes("checkout", NEW).await;
    assert_eq!(
        stage
            .writes_by(UPDATER)
            .iter()
            .filter(|write| write.resource == "deployments")
            .count(),
        0
    );
    // The former leader recovers as a follower.
    faults.clear();
    leader.is_ready().await;
    leader.shows("kubefresh_leader 0").await;
    successor.shows("kubefresh_leader 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_overtaken_in_the_middle_of_its_work_does_not_finish_it() {
    let stage = Stage::with_checkout(&[]).await;
    let leader = stage.leader().await;
    stage.offer_1_5_0().await;
    leader
        .shows("kubefresh_notices_total{reason=\"UpdateStarted\",result=\"told\"} 1")
        .await;
    let faults = stage.cluster.api.faults();
    faults.install(FaultRule::new(Fault::Delay(LIMIT)).resource("leases"));
    faults.install(FaultRule::new(Fault::Delay(Duration::from_secs(3))).resource("events"));
    stage.roll_out("checkout").await;
    // The lease is lost while the end is being told; to write it down is for the next leader.
    leader
        .shows("kubefresh_notices_total{reason=\"ImageUpdated\",result=\"told\"} 1")
        .await;
    leader.stop().await;
    let patches = stage.patches("checkout");
    assert_eq!(patches.len(), 1, "{patches:#?}");
    assert!(stage.annotation("checkout", "in-flight").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_overtaken_while_it_tells_one_thing_does_not_tell_the_next() {
    let stage = Stage::with_checkout(&[]).await;
    let first = stage.leader().await;
    stage.offer_1_5_0().await;
    first
        .shows("kubefresh_notices_total{reason=\"UpdateStarted\",result=\"told\"} 1")
        .await;
    first.kill().await;
    stage.roll_out("checkout").await;
    let faults = stage.cluster.api.faults();
    faults.install(
        FaultRule::new(Fault::Delay(Duration::from_secs(3)))
            .user(SECOND)
            .resource("events"),
    );
    let second = stage.updater(SECOND, "another-lease").await;
    second.leads().await;
    faults.install(
        FaultRule::new(Fault::Delay(LIMIT))
            .user(SECOND)
            .resource("leases"),
    );
    let told = "kubefresh_notices_total{reason=\"UpdateStarted\",result=\"already-told\"} 1";
    second.shows(told).await;
    second.stop().await;
    assert_eq!(stage.told("checkout").await, ["UpdateStarted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_that_start_together_do_not_both_lead_for_long() {
    let stage = Stage::set().await;
    let (one, two) = tokio::join!(stage.updater(UPDATER, LEASE), stage.updater(SECOND, LEASE));
    eventually("exactly one leads", LIMIT, || async {
        let mut leaders = 0;
        for updater in [&one, &two] {
            let (_, text) = updater.page("/metrics").await;
            leaders += usize::from(text.contains("kubefresh_leader 1"));
        }
        assert!(leaders < 2, "both lead");
        (leaders == 1).then_some(())
    })
    .await;
}
