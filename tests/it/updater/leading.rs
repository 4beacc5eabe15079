//! Who acts, and what happens when that changes.

use sandbox::apiserver::faults::{Fault, FaultRule};

use super::*;

/// Longer than a machine stalls: only who dies loses it.
const LONG_LEASE: Duration = Duration::from_secs(30);

impl Stage {
    /// An updater of this account whose lease lasts so long.
    async fn updater_with_lease(&self, account: &str, lasts: Duration) -> Updater {
        let client = self.client_of(account).await;
        let mut settings = settings(account, LEASE, &[]);
        settings.lease_duration = lasts;
        Updater::run(client, settings).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_ready_and_writes_nothing() {
    let stage = Stage::with_checkout(&[]).await;
    let leader = stage.updater_with_lease(UPDATER, LONG_LEASE).await;
    leader.leads().await;
    let follower = stage.updater_with_lease(SECOND, LONG_LEASE).await;
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

/// How long an Event takes while the lease is lost: longer than the lease and a stall, and less than the limit of the call.
const LONG_CALL: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_overtaken_in_the_middle_of_its_work_does_not_finish_it() {
    let stage = Stage::with_checkout(&[]).await;
    // Long enough for the end to be seen before it is lost.
    let leader = stage.updater_with_lease(UPDATER, Duration::from_secs(6)).await;
    leader.leads().await;
    stage.offer_1_5_0().await;
    leader
        .shows("kubefresh_notices_total{reason=\"UpdateStarted\",result=\"told\"} 1")
        .await;
    let faults = stage.cluster.api.faults();
    faults.install(FaultRule::new(Fault::Delay(LIMIT)).resource("leases"));
    faults.install(FaultRule::new(Fault::Delay(LONG_CALL)).resource("events"));
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
        FaultRule::new(Fault::Delay(LONG_CALL))
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
async fn a_leader_that_is_overtaken_in_the_middle_of_a_patch_causes_no_second_rollout() {
    let stage = Stage::with_checkout(&[]).await;
    let first = stage.leader().await;
    let second = stage.updater(SECOND, LEASE).await;
    second.is_ready().await;
    let faults = stage.cluster.api.faults();
    // As long as it can take and still arrive: the limit of the call is 10 s.
    let on_its_way = FaultRule::new(Fault::Delay(Duration::from_secs(9)))
        .user(UPDATER)
        .verb("patch")
        .resource("deployments");
    let on_its_way = faults.install(on_its_way.nth(1));
    stage.offer_1_5_0().await;
    eventually("the first has begun to patch", LIMIT, || async {
        (on_its_way.struck() == 1).then_some(())
    })
    .await;
    // Its lease runs out meanwhile, and the other takes it.
    faults.install(
        FaultRule::new(Fault::Delay(LIMIT))
            .user(UPDATER)
            .resource("leases"),
    );
    second.leads().await;
    stage.image_becomes("checkout", NEW).await;
    let by_first = |patch: &RequestRecord| patch.user.ends_with(&format!(":{UPDATER}"));
    assert!(!stage.patches("checkout").iter().any(by_first), "it was too fast");
    eventually("the patch of the first arrives", LIMIT, || async {
        stage.patches("checkout").iter().any(by_first).then_some(())
    })
    .await;
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    first.stop().await;
    second.stop().await;
    assert_eq!(
        stage.deployment("checkout").await.metadata.generation,
        Some(2),
        "one rollout"
    );
    assert_eq!(stage.told("checkout").await, ["UpdateStarted", "ImageUpdated"]);
    let patches = stage.patches("checkout");
    let codes = |of_first: bool| {
        let patches = patches.iter().filter(|patch| by_first(patch) == of_first);
        patches.map(|patch| patch.code).collect::<Vec<_>>()
    };
    assert_eq!((codes(true), codes(false)), (vec![409], vec![200, 200]));
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

/// How long a lease lasts that is renewed each half of a second: longer than a machine stalls, and far less than a minute.
const RIVAL_LEASE_SECONDS: u64 = 6;

impl Stage {
    /// Renews the lease of a holder whose clock is so many seconds ahead, as long as what this returns is not dropped.
    async fn rival_with_clock(&self, ahead: i64) -> AbortOnDrop {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        let renewal = move || {
            let time = clock::now() + jiff::SignedDuration::from_secs(ahead);
            json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": { "name": LEASE },
                "spec": {
                    "holderIdentity": "rival",
                    "leaseDurationSeconds": RIVAL_LEASE_SECONDS,
                    "leaseTransitions": 1,
                    "renewTime": format!("{time:.6}"),
                },
            })
        };
        let renew = move || {
            let leases = leases.clone();
            async move {
                let parameters = PatchParams::apply("rival").force();
                leases
                    .patch(LEASE, &parameters, &Patch::Apply(renewal()))
                    .await
                    .unwrap();
            }
        };
        renew().await;
        AbortOnDrop(tokio::spawn(async move {
            loop {
                renew().await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }))
    }
}

pub(super) struct AbortOnDrop(pub(super) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks at a leader whose clock is so many seconds ahead, while it is alive and when it dies.
async fn stand_by_for_a_rival(ahead: i64) {
    let stage = Stage::with_checkout(&[]).await;
    let rival = stage.rival_with_clock(ahead).await;
    let updater = stage.updater(UPDATER, LEASE).await;
    stage.offer_1_5_0().await;
    tokio::time::sleep(3 * Duration::from_secs(RIVAL_LEASE_SECONDS)).await;
    assert_eq!(stage.lease_holder(LEASE).await, "rival", "{ahead} s ahead");
    let writes = stage.writes_by(UPDATER);
    assert!(writes.is_empty(), "{ahead} s ahead: {writes:#?}");
    drop(rival);
    let died = tokio::time::Instant::now();
    stage.image_becomes("checkout", NEW).await;
    // Far less than the minute that the clocks differ by.
    let late = died.elapsed();
    assert!(
        late < Duration::from_secs(RIVAL_LEASE_SECONDS + 20),
        "{ahead} s ahead: {late:?}"
    );
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_clock_is_a_minute_off_is_not_overthrown_and_is_missed_in_time_when_it_dies() {
    tokio::join!(stand_by_for_a_rival(-60), stand_by_for_a_rival(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_that_has_not_seen_the_whole_cluster_leaves_the_lease_to_others() {
    let stage = Stage::with_checkout(&[]).await;
    let unseen = FaultRule::new(Fault::internal())
        .user(SECOND)
        .verb("list")
        .resource("daemonsets");
    let unseen = stage.cluster.api.faults().install(unseen);
    let second = stage.updater(SECOND, LEASE).await;
    eventually("it has tried again", LIMIT, || async {
        (unseen.struck() > 1).then_some(())
    })
    .await;
    let first = stage.leader().await;
    stage.cluster.api.faults().clear();
    second.is_ready().await;
    first.stop().await;
    second.leads().await;
}

/// Two updaters of `checkout`, of which the first leads.
async fn leader_and_standby() -> (Stage, Updater, Updater) {
    let stage = Stage::with_checkout(&[]).await;
    let leader = stage.leader().await;
    let standby = stage.updater(SECOND, LEASE).await;
    standby.is_ready().await;
    (stage, leader, standby)
}

/// How long the other updater takes to act once the leader was ended like this; the best of three, as a machine may be busy.
async fn takeover(kill: bool) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let (stage, leader, standby) = leader_and_standby().await;
        let ended = tokio::time::Instant::now();
        if kill {
            leader.kill().await;
            stage.offer_1_5_0().await;
        } else {
            tokio::join!(leader.stop(), stage.offer_1_5_0());
        }
        stage.image_becomes("checkout", NEW).await;
        best = best.min(ended.elapsed());
        standby.stop().await;
    }
    best
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_killed_is_followed_within_the_time_of_the_lease_and_two_seconds() {
    let took = takeover(true).await;
    assert!(took < Duration::from_secs(LEASE_SECONDS + 2), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_told_to_stop_is_followed_within_two_seconds() {
    let took = takeover(false).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_patch_hangs_when_it_is_told_to_stop_is_followed_within_two_seconds_too() {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let (stage, leader, standby) = leader_and_standby().await;
        // It arrives while the former leader still waits for its answer.
        let late = FaultRule::new(Fault::Delay(Duration::from_secs(4)))
            .user(UPDATER)
            .verb("patch")
            .resource("deployments");
        let hanging = stage.cluster.api.faults().install(late);
        stage.offer_1_5_0().await;
        eventually("the patch is under way", LIMIT, || async {
            (hanging.struck() > 0).then_some(())
        })
        .await;
        let stopped = tokio::time::Instant::now();
        let ((), took) = tokio::join!(leader.stop(), async {
            stage.image_becomes("checkout", NEW).await;
            stopped.elapsed()
        });
        best = best.min(took);
        stage.roll_out("checkout").await;
        assert_eq!(stage.result("checkout").await, "completed");
        let generation = stage.deployment("checkout").await.metadata.generation;
        assert_eq!(generation, Some(2), "one rollout");
        assert_eq!(stage.told("checkout").await, ["UpdateStarted", "ImageUpdated"]);
        standby.stop().await;
    }
    assert!(best < Duration::from_secs(2), "{best:?}");
}
