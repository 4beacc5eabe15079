//! Lost answers, lost races, broken watches: none of them loses an update or does it twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use sandbox::apiserver::faults::{Fault, FaultRule, InstalledFault};

use super::*;

/// Runs an update to its end with this misbehaviour, and returns the codes of the patches.
async fn update_with(rule: FaultRule) -> Vec<u16> {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    let fault = stage.cluster.api.faults().install(rule.user(UPDATER));
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    assert!(fault.struck() > 0, "the fault never struck");
    assert_eq!(stage.told("checkout").await, ["UpdateStarted", "ImageUpdated"]);
    assert_eq!(
        stage.deployment("checkout").await.metadata.generation,
        Some(2),
        "one rollout"
    );
    updater.stop().await;
    stage.patches("checkout").iter().map(|patch| patch.code).collect()
}

impl Stage {
    /// `checkout` is given what is offered, which fails, and goes back to its end.
    async fn checkout_fails_and_goes_back(&self) {
        self.image_becomes("checkout", NEW).await;
        self.give_up("checkout").await;
        self.image_becomes("checkout", OLD).await;
        self.roll_out("checkout").await;
        let result = self.result("checkout").await;
        assert!(result.starts_with("rolled back: "), "{result}");
    }
}

fn patches(fault: Fault) -> FaultRule {
    FaultRule::new(fault).verb("patch").resource("deployments")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_is_lost_is_not_repeated() {
    assert_eq!(update_with(patches(Fault::DropAfter).nth(1)).await, [0, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_whose_answer_is_lost_is_not_repeated() {
    assert_eq!(update_with(patches(Fault::DropAfter).nth(2)).await, [200, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_never_arrived_is_sent_again() {
    assert_eq!(
        update_with(patches(Fault::DropBefore).nth(1)).await,
        [0, 200, 200]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_race_is_decided_anew_by_what_the_watch_brings() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    let race = stage
        .cluster
        .api
        .faults()
        .install(patches(Fault::conflict()).user(UPDATER).nth(1));
    stage.offer_1_5_0().await;
    eventually("the race is lost", LIMIT, || async {
        (race.struck() == 1).then_some(())
    })
    .await;
    stage.annotate("checkout", "shop.example/owner", "somebody").await;
    stage.image_becomes("checkout", NEW).await;
    updater.stop().await;
    let codes: Vec<u16> = stage.patches("checkout").iter().map(|patch| patch.code).collect();
    assert_eq!(codes, [409, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_recovers_before_its_rollback_was_written_is_left_to_complete_and_each_is_told_once() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    // However long it takes to recover: what is written until then loses each race.
    let race = patches(Fault::conflict()).user(UPDATER).after(1);
    let race = stage.cluster.api.faults().install(race);
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.give_up("checkout").await;
    eventually("the rollback loses the race", LIMIT, || async {
        (race.struck() > 0).then_some(())
    })
    .await;
    stage.roll_out("checkout").await;
    stage.cluster.api.faults().clear();
    stage.result_becomes("completed").await;
    assert_eq!(stage.image("checkout").await, NEW);
    assert_eq!(stage.annotation("checkout", "hold").await, None);
    assert_eq!(
        stage.told("checkout").await,
        ["UpdateStarted", "RolloutFailed", "ImageUpdated"]
    );
    updater.stop().await;
    let mut codes: Vec<u16> = stage.patches("checkout").iter().map(|patch| patch.code).collect();
    codes.dedup();
    assert_eq!(codes, [200, 409, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_trouble_is_asked_again_later() {
    assert_eq!(
        update_with(patches(Fault::internal()).nth(1)).await,
        [500, 200, 200]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_cannot_be_told_yet_keeps_the_update_open() {
    let rule = FaultRule::new(Fault::internal())
        .verb("create")
        .resource("events")
        .times(2);
    assert_eq!(update_with(rule).await, [200, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_waits_only_so_long_for_events_that_cannot_be_told_and_they_are_told_later() {
    let stage = Stage::with_checkout(&[]).await;
    let rule = FaultRule::new(Fault::internal())
        .verb("create")
        .resource("events");
    let fails = stage.cluster.api.faults().install(rule.user(UPDATER));
    let updater = stage.impatient_leader(&[], Duration::from_secs(2)).await;
    let begun = Instant::now();
    stage.offer_1_5_0().await;
    stage.checkout_fails_and_goes_back().await;
    for reason in ["RolloutFailed", "RolledBack"] {
        let line = format!("kubefresh_notices_total{{reason=\"{reason}\",result=\"postponed\"}} 1");
        updater.shows(&line).await;
    }
    assert!(stage.told("checkout").await.is_empty());
    // Each of the three is tried after pauses that grow from one second.
    let most = 3 * (2 + begun.elapsed().as_secs());
    assert!(
        fails.struck() <= most,
        "tried {} times in {:?}",
        fails.struck(),
        begun.elapsed()
    );
    stage.cluster.api.faults().clear();
    eventually("all is told", LIMIT, || async {
        let told: BTreeSet<String> = stage.told("checkout").await.into_iter().collect();
        let expected = ["UpdateStarted", "RolloutFailed", "RolledBack"];
        (told == expected.map(str::to_owned).into()).then_some(())
    })
    .await;
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_not_abandoned_before_that_is_told() {
    let stage = Stage::with_checkout(&[]).await;
    let _updater = stage.leader().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    eventually("the start is told", LIMIT, || async {
        (stage.told("checkout").await == ["UpdateStarted"]).then_some(())
    })
    .await;
    let rule = FaultRule::new(Fault::internal())
        .verb("create")
        .resource("events");
    let fault = stage.cluster.api.faults().install(rule.user(UPDATER).times(2));
    stage.annotate("checkout", "kubefresh.dev/undo", "1.5.0").await;
    stage.image_becomes("checkout", OLD).await;
    assert_eq!(fault.struck(), 2);
    assert_eq!(
        stage.told("checkout").await[..2],
        ["UpdateStarted", "UpdateSuperseded"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_break_off_lose_nothing() {
    let stage = Stage::with_checkout(&[]).await;
    let faults = stage.cluster.api.faults();
    // Every watch of both kinds breaks soon after it began, for as long as the rule is there.
    let cut = FaultRule::new(Fault::CutWatch(CUT_AFTER))
        .user(UPDATER)
        .verb("watch");
    let cut = faults.install(cut);
    let began = Instant::now();
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    assert!(cut.struck() >= 2, "{}", cut.struck());
    assert_eq!(stage.told("checkout").await, ["UpdateStarted", "ImageUpdated"]);
    updater.stop().await;
    let took = began.elapsed();
    let patches = stage.patches("checkout");
    let accepted = patches.iter().filter(|patch| patch.code == 200).count();
    assert_eq!(accepted, 2, "{patches:#?}");
    // Nobody asks again before what was asked for has broken off, and nothing is listed anew for that.
    let most = took.as_millis() / CUT_AFTER.as_millis() + 2;
    for ((verb, path), count) in stage.asked_by_updater() {
        let most = if verb == "watch" { most } else { 3 };
        assert!(count <= most, "{verb} {path}: {count} times within {took:?}");
    }
}

/// How long a watch lasts before it breaks off.
const CUT_AFTER: Duration = Duration::from_millis(150);

impl Stage {
    /// How often each list and each watch was asked for, from whatever revision on.
    fn asked_by_updater(&self) -> BTreeMap<(String, String), u128> {
        let mut asked = BTreeMap::new();
        for request in self.cluster.api.requests() {
            let is_ours = request.user.ends_with(&format!(":{UPDATER}"));
            if is_ours && ["list", "watch"].contains(&request.verb.as_str()) {
                let path = request.uri.split("resourceVersion=").next().unwrap_or_default();
                *asked.entry((request.verb, path.to_owned())).or_default() += 1;
            }
        }
        asked
    }
}

/// Of the watches of deployments and of records.
type Refusals = [Arc<InstalledFault>; 2];

/// Two workloads in view, `checkout` and `passing`, and no watch of deployments and records: each broke off, and is refused like this.
async fn out_of_sight(refused: &Fault) -> (Stage, Updater, Refusals) {
    let stage = Stage::with_checkout(&[]).await;
    stage.deploy("passing", OLD, &[]).await;
    let faults = stage.cluster.api.faults();
    let watches = |fault: Fault, resource: &str| {
        FaultRule::new(fault)
            .user(UPDATER)
            .verb("watch")
            .resource(resource)
    };
    let resources = ["deployments", "configmaps"];
    // The first of each breaks off.
    for resource in resources {
        faults.install(watches(Fault::CutWatch(CUT_AFTER), resource).times(1));
    }
    let refusals = resources.map(|resource| faults.install(watches(refused.clone(), resource).after(1)));
    let updater = stage.leader().await;
    eventually("no watch is left", LIMIT, || async {
        refusals.iter().all(|refusal| refusal.struck() > 0).then_some(())
    })
    .await;
    (stage, updater, refusals)
}

impl Stage {
    /// What happens while nobody watches, and is seen all the same.
    async fn happens_unseen(&self) {
        self.deployments()
            .delete("passing", &DeleteParams::default())
            .await
            .unwrap();
        self.offer_1_5_0().await;
    }

    /// How often deployments were listed by the updater.
    fn lists(&self) -> u128 {
        let asked = self.asked_by_updater().into_iter();
        let lists = asked.filter(|((verb, path), _)| verb == "list" && path.contains("/deployments?"));
        lists.map(|(_, count)| count).sum()
    }
}

/// Both that which happened unseen and what happens now is seen.
async fn sees_all_again(stage: &Stage, updater: &Updater) {
    stage.image_becomes("checkout", NEW).await;
    eventually("the one that was deleted is gone", LIMIT, || async {
        let (_, page) = updater.page("/").await;
        (page.contains("checkout") && !page.contains("passing")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_the_server_forgot_is_listed_anew() {
    let (stage, updater, refusals) = out_of_sight(&Fault::internal()).await;
    stage.happens_unseen().await;
    // However long it lasts, nobody asks in a hurry: pauses grow from 0.8 seconds.
    let (begun, refused) = (
        Instant::now(),
        refusals.each_ref().map(|refusal| refusal.struck()),
    );
    tokio::time::sleep(Duration::from_secs(4)).await;
    let most = 2 + begun.elapsed().as_millis() / 800;
    for (refusal, before) in refusals.iter().zip(refused) {
        let again = u128::from(refusal.struck() - before);
        assert!(
            (1..=most).contains(&again),
            "asked {again} times in {:?}",
            begun.elapsed()
        );
    }
    stage.cluster.api.store().compact();
    let before = stage.lists();
    stage.cluster.api.faults().clear();
    sees_all_again(&stage, &updater).await;
    assert_eq!(stage.lists(), before + 1);
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_refused_for_good_is_listed_anew_and_in_no_hurry() {
    let (stage, updater, _) = out_of_sight(&Fault::gone()).await;
    let (begun, before) = (Instant::now(), stage.lists());
    stage.happens_unseen().await;
    sees_all_again(&stage, &updater).await;
    // Pauses grow from 0.8 seconds.
    let most = 2 + begun.elapsed().as_millis() / 800;
    let lists = stage.lists() - before;
    assert!(
        (1..=most).contains(&lists),
        "{lists} lists in {:?}",
        begun.elapsed()
    );
    stage.cluster.api.faults().clear();
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_a_kind_of_workload_in_view_yet_does_not_lead_and_decides_nothing() {
    let stage = Stage::with_checkout(&[]).await;
    stage.offer_1_5_0().await;
    let faults = stage.cluster.api.faults();
    let rule = FaultRule::new(Fault::internal())
        .user(UPDATER)
        .verb("list")
        .resource("daemonsets");
    let fails = faults.install(rule);
    let updater = stage.updater(UPDATER, LEASE).await;
    let missing = "waiting for daemonsets in all namespaces";
    eventually("only the daemonsets are missing", LIMIT, || async {
        let (_, text) = updater.page("/readyz").await;
        (text.matches("waiting for").count() == 1 && text.contains(missing)).then_some(())
    })
    .await;
    // Once more, after all the others are in view.
    let before = fails.struck();
    eventually("the list is tried again", LIMIT, || async {
        (fails.struck() > before).then_some(())
    })
    .await;
    updater.shows("kubefresh_leader 0").await;
    assert_eq!(stage.image("checkout").await, OLD);
    faults.clear();
    updater.leads().await;
    stage.image_becomes("checkout", NEW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_the_api_server_asks_for_is_obeyed_and_holds_up_no_other_workload() {
    let stage = Stage::with_checkout(&[]).await;
    stage.deploy("other", OLD, &[]).await;
    stage.roll_out("other").await;
    let _leader = stage.leader().await;
    // Longer than a call may take.
    let wait = Duration::from_secs(15);
    let busy = FaultRule::new(Fault::too_many_requests(wait.as_secs()))
        .verb("patch")
        .resource("deployments")
        .name("checkout")
        .user(UPDATER);
    let busy = stage.cluster.api.faults().install(busy.times(1));
    stage.offer_1_5_0().await;
    stage.image_becomes("other", NEW).await;
    let other = stage.patches("other");
    eventually("it asks again", 3 * wait, || async {
        (busy.matched() > 1).then_some(())
    })
    .await;
    stage.image_becomes("checkout", NEW).await;
    // By when the requests arrived: whoever looks meanwhile may look too late.
    let asked = stage.patches("checkout");
    let after = |patch: &RequestRecord| patch.at.duration_since(asked[0].at);
    let (again, other) = (after(&asked[1]), after(other.last().unwrap()));
    let wait = SignedDuration::try_from(wait).unwrap();
    assert!(
        again >= wait - SignedDuration::from_secs(1),
        "it asked again after {again:?}"
    );
    assert!(other < wait / 2, "the other one was held up for {other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_hang_in_one_namespace_hold_up_no_other_one() {
    const HANGING: u64 = 20;
    let stage = Stage::with_checkout(&[]).await;
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "bank" } });
    stage.cluster.apply(&[namespace]).await;
    let approve = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "approve" });
    let waiting = (0..HANGING).map(|index| {
        let mut deployment = shop::deployment(&format!("account-{index}"), OLD, &approve);
        deployment["metadata"]["namespace"] = json!("bank");
        deployment
    });
    stage.cluster.apply(&waiting.collect::<Vec<Value>>()).await;
    let hang = patches(Fault::Delay(10 * LIMIT)).user(UPDATER).namespace("bank");
    let hang = stage.cluster.api.faults().install(hang);
    let _updater = stage.leader().await;
    stage.offer_1_5_0().await;
    eventually("one hangs", LIMIT, || async { (hang.struck() > 0).then_some(()) }).await;
    // Each step of this update is a look of its own.
    stage.checkout_fails_and_goes_back().await;
    assert!(hang.struck() < HANGING, "all were waited for: {}", hang.struck());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_starts_by_what_was_seen_of_namespaces_that_cannot_be_watched_any_more() {
    let stage = Stage::with_checkout(&[]).await;
    let faults = stage.cluster.api.faults();
    let namespaces = |fault: Fault, verb: &str| {
        let rule = FaultRule::new(fault).user(UPDATER);
        rule.verb(verb).resource("namespaces")
    };
    // The first watch breaks off; after the access check and the first list nothing is allowed any more.
    faults.install(namespaces(Fault::CutWatch(CUT_AFTER), "watch").times(1));
    faults.install(namespaces(Fault::forbidden(), "watch").after(1));
    faults.install(namespaces(Fault::forbidden(), "list").after(2));
    let updater = stage
        .leader_that(&[], |settings| {
            settings.limits.max_unwatched = SignedDuration::from_secs(1);
        })
        .await;
    eventually("it is said that namespaces are not watched", LIMIT, || async {
        let (_, metrics) = updater.page("/metrics").await;
        let broken = metrics
            .lines()
            .find_map(|line| line.strip_prefix("kubefresh_watch_broken_seconds "));
        broken
            .filter(|seconds| seconds.parse::<u64>().unwrap() >= 2)
            .map(drop)
    })
    .await;
    // How long is the pause before the second attempt, the one that is refused, is left to chance.
    eventually("it is said why, and it is ready", LIMIT, || async {
        let (status, text) = updater.page("/readyz").await;
        assert!(status == 200 && text.contains("but namespaces, since "), "{text}");
        text.contains("forbidden").then_some(())
    })
    .await;
    stage.freeze(Some("2020-01-01T00:00/2120-01-01T00:00")).await;
    stage.offer_1_5_0().await;
    pending_says(&stage, "namespaces can be watched again").await;
    updater
        .shows("kubefresh_updates_waiting{reason=\"unwatched\"} 1")
        .await;
    faults.clear();
    pending_says(&stage, "waits for the end of a freeze").await;
    assert_eq!(stage.image("checkout").await, OLD);
    stage.freeze(None).await;
    stage.image_becomes("checkout", NEW).await;
    updater.stop().await;
}

async fn pending_says(stage: &Stage, words: &str) {
    eventually(&format!("what waits says {words:?}"), LIMIT, || async {
        let pending = stage.annotation("checkout", "pending").await;
        pending.filter(|pending| pending.contains(words)).map(drop)
    })
    .await;
}

impl Stage {
    /// Freezes the namespace of the workloads, or no longer.
    async fn freeze(&self, freeze: Option<&str>) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let patch = json!({ "metadata": { "annotations": { "kubefresh.dev/freeze": freeze } } });
        namespaces
            .patch("shop", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }
}
