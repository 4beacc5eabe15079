//! Killed at any request and started again, the programs end in the same state, and no update is rolled out twice.
//!
//! Each run stops the program at its n-th request to the API server, once before the request is handled and once after
//! it was, before its answer comes back; kills it there; and starts it again. That is done for every n there is.

mod ending;
mod scanning;
mod silence;
mod trouble;

use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ending::{
    Ending, all_is_told, assert_each_step_was_written_once, assert_waited_once, finished, messages,
    say_the_word, state, with_checkout,
};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::ListParams;
use sandbox::apiserver::faults::{Fault, FaultRule, InstalledFault};
use sandbox::cluster::{Cluster, eventually};
use sandbox::receiver::Receiver;
use shared::domain::record::{ScanRecord, outbox};
use tokio::process::Child;

use crate::shop::{scan, start, start_updater_with};

/// Longer than any run; the program is killed long before.
const HELD: Duration = Duration::from_mins(2);
const LIMIT: Duration = Duration::from_mins(1);
/// Runs at the same time; each is mostly waiting.
const AT_ONCE: usize = 8;
/// Who would lead looks whether another one does, takes the lease by two calls, and confirms that by two more.
const CALLS_TO_LEAD: u64 = 5;
/// Runs in search of the patch that ends an update, of which some two or three are enough.
const MOST_TRIES: usize = 10;

/// Where a request is stopped.
#[derive(Debug, Clone, Copy)]
enum Moment {
    BeforeIt,
    AfterIt,
}

impl Moment {
    fn fault(self) -> Fault {
        match self {
            Self::BeforeIt => Fault::Delay(HELD),
            Self::AfterIt => Fault::DelayAnswer(HELD),
        }
    }
}

/// What makes an updater tell this address everything.
fn telling(url: &str) -> [&str; 6] {
    [
        "--webhook-url",
        url,
        "--webhook-enable-deployment-detected",
        "--webhook-enable-image-rollout-started",
        "--webhook-enable-image-rollout-completed",
        "--webhook-enable-image-rollout-failed",
    ]
}

/// Whoever leads next waits for as long as the former one may still send. An answer that comes later, as on a slow machine, is none.
const HASTY: &str = "--webhook-timeout=1000";

/// The lease of one that is to keep it whatever fails twice in a row, and however slow the machine is: who has lost it sends again what it
/// had not noted yet.
const PATIENT: [&str; 2] = ["--lease-duration", "10s"];

/// An updater that tells this receiver everything.
fn start_updater(cluster: &Cluster, receiver: &Receiver) -> Child {
    start_updater_with(cluster, &[&telling(&receiver.url("/"))[..], &[HASTY]].concat())
}

/// Waits until so many messages were taken, and it is noted that none is left to be sent.
async fn until_sent(cluster: &Cluster, receiver: &Receiver, messages: usize, what: &str) {
    let records: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    eventually(&format!("all is sent: {what}"), LIMIT, || async {
        let stored = records.get_opt("kubefresh-updater-outbox").await.unwrap()?;
        let waiting = outbox::parse(&stored).unwrap().waiting().len();
        (waiting == 0 && receiver.took().len() >= messages).then_some(())
    })
    .await;
}

/// Waits until nothing is left to be sent: each happening was heard under an id of its own, in order, and once. Where the updater was
/// killed, which may be between an answer and the note of it, or lost its short lease on a slow machine, it may have been heard once
/// more, under the same id.
async fn until_heard(cluster: &Cluster, receiver: &Receiver, (ending, once): (Ending, bool), what: &str) {
    until_sent(cluster, receiver, messages(ending).len(), what).await;
    let mut heard: Vec<(String, String, usize)> = Vec::new();
    for request in receiver.received() {
        match heard.iter_mut().find(|(id, ..)| id == request.id()) {
            Some((.., times)) => *times += 1,
            None => heard.push((request.id().to_owned(), request.event().to_owned(), 1)),
        }
    }
    let events: Vec<&str> = heard.iter().map(|(_, event, _)| event.as_str()).collect();
    assert_eq!(events, messages(ending), "{what}");
    let most = if once { 1 } else { 2 };
    assert!(
        heard.iter().all(|(.., times)| *times <= most),
        "{what}: {heard:?}"
    );
}

/// Waits until the update has ended, and says the word that it may wait for.
async fn until_finished(cluster: &Cluster, ending: Ending, what: &str) {
    let mut said = false;
    eventually(what, LIMIT, || {
        said = said || say_the_word(cluster, ending);
        ready(has_ended(cluster, ending).then_some(()))
    })
    .await;
    assert_eq!(state(cluster, ending), Some(finished(ending)), "{what}");
    assert_each_step_was_written_once(cluster, ending, what);
}

fn has_ended(cluster: &Cluster, ending: Ending) -> bool {
    state(cluster, ending).is_some_and(|state| state.result.is_some())
}

/// Which of the updater's requests are counted. The calls for the lease never are beside others: they come as time goes by, so that the
/// n-th request would be another one in each run.
#[derive(Debug, Clone, Copy)]
enum Counted {
    AllButLeases,
    Writes,
    /// Patches of the workload, of which the last one writes down how the update ended.
    Steps,
    Leases,
}

impl Counted {
    fn among(self, rule: FaultRule, ending: Ending) -> FaultRule {
        let rule = rule.user(":kubefresh-updater");
        match self {
            Self::AllButLeases => rule.not_resource("leases"),
            Self::Writes => rule.writes(),
            Self::Steps => rule.verb("patch").resource(ending.resource().plural),
            Self::Leases => rule.resource("leases"),
        }
    }
}

/// Where the updater is killed.
#[derive(Debug, Clone, Copy)]
struct Kill {
    moment: Moment,
    counted: Counted,
    nth: u64,
}

/// Where it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// Nowhere: the update was over before.
    Nothing,
    Request,
    /// At the patch that writes down how the update ended.
    End,
}

impl Kill {
    fn reached(self, fault: &InstalledFault, cluster: &Cluster, ending: Ending) -> Reached {
        let Some(struck) = fault.last_struck() else {
            return Reached::Nothing;
        };
        let is_step = struck == format!("patch {}", ending.resource().plural);
        let is_last = match self.moment {
            Moment::BeforeIt => all_is_told(cluster, ending),
            Moment::AfterIt => has_ended(cluster, ending),
        };
        if is_step && is_last {
            Reached::End
        } else {
            Reached::Request
        }
    }
}

/// Kills the updater, and starts it again.
async fn kill_updater(kill: Kill, ending: Ending) -> Reached {
    let what = format!("the update killed at {kill:?} has {ending:?}");
    let cluster = with_checkout(ending).await;
    scan(&cluster).await;
    let rule = FaultRule::new(kill.moment.fault()).nth(kill.nth);
    let fault = cluster.api.faults().install(kill.counted.among(rule, ending));
    let receiver = Receiver::start().await;
    let mut updater = start_updater(&cluster, &receiver);
    let mut said = false;
    eventually("the request is reached or the update is over", LIMIT, || {
        // In this order, as what is struck may be what ends it.
        let over = has_ended(&cluster, ending);
        let reached = fault.struck() > 0;
        said = said || !reached && say_the_word(&cluster, ending);
        ready((reached || over).then_some(()))
    })
    .await;
    let reached = kill.reached(&fault, &cluster, ending);
    updater.kill().await.unwrap();
    if !said {
        say_the_word(&cluster, ending);
    }
    cluster.api.faults().clear();
    let _again = start_updater(&cluster, &receiver);
    until_finished(&cluster, ending, &what).await;
    until_heard(&cluster, &receiver, (ending, false), &what).await;
    if matches!(ending, Ending::Approved | Ending::Thawed) {
        assert_waited_once(&cluster, ending, &what);
    }
    reached
}

/// Whoever runs programs by the dozen does so alone: what is started beside it would wait for a processor, and not for the program.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// All kill points of one kind, until a run gets through without being killed: each request of that one was struck in a run before. How
/// many there were.
async fn kill_points<Run: Future<Output = bool>>(run: impl Fn(u64) -> Run) -> usize {
    let _alone = ALONE.lock().await;
    let mut runs = futures::stream::iter(1..).map(run).buffered(AT_ONCE);
    let mut killed = 0;
    while runs.next().await == Some(true) {
        killed += 1;
        assert!(
            killed < 150,
            "an update of one workload needs some thirty requests"
        );
    }
    killed
}

/// Kills it at each of these requests, and in any case at the one that ends the update; how many there were.
async fn kill_at_each(moment: Moment, counted: Counted, ending: Ending) -> usize {
    let ended = &AtomicBool::new(false);
    let killed = kill_points(|nth| async move {
        let kill = Kill { moment, counted, nth };
        let reached = kill_updater(kill, ending).await;
        ended.fetch_or(reached == Reached::End, Ordering::SeqCst);
        reached != Reached::Nothing
    });
    let killed = killed.await;
    if !ended.load(Ordering::SeqCst) {
        kill_at_the_end(moment, ending).await;
    }
    killed
}

/// Kills it at the patch that ends the update. Which one of the workload's that is differs from run to run, as some lose a race against the
/// controller.
async fn kill_at_the_end(moment: Moment, ending: Ending) {
    let _alone = ALONE.lock().await;
    let counted = Counted::Steps;
    let mut nth = 2;
    for _ in 0..MOST_TRIES {
        match kill_updater(Kill { moment, counted, nth }, ending).await {
            Reached::End => return,
            Reached::Request => nth += 1,
            Reached::Nothing => nth = nth.max(2) - 1,
        }
    }
    panic!(
        "none of {MOST_TRIES} runs was killed at the patch by which the update has {ending:?} ({moment:?})"
    );
}

/// Kills it at each of its requests.
async fn every_kill_point(moment: Moment, ending: Ending) {
    let killed = kill_at_each(moment, Counted::AllButLeases, ending).await;
    assert!(
        killed >= 10,
        "only {killed} requests: access, lists, watches, Events and patches are more"
    );
}

/// Kills it after each of its writes. What it reads leaves nothing behind that would outlast it, so that between two of them it makes no
/// difference where it is killed; how it begins is the same for all endings.
async fn every_write(ending: Ending) {
    let killed = kill_at_each(Moment::AfterIt, Counted::Writes, ending).await;
    assert!(
        killed >= 7,
        "only {killed} writes: messages, Events and patches are more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_killed_at_any_call_by_which_it_comes_to_lead_finishes_after_a_restart_with_one_rollout() {
    let _alone = ALONE.lock().await;
    let counted = Counted::Leases;
    let kills = [Moment::BeforeIt, Moment::AfterIt]
        .into_iter()
        .flat_map(|moment| (1..=CALLS_TO_LEAD).map(move |nth| Kill { moment, counted, nth }));
    let mut runs = futures::stream::iter(kills)
        .map(|kill| kill_updater(kill, Ending::Completed))
        .buffered(AT_ONCE);
    while let Some(reached) = runs.next().await {
        assert_eq!(reached, Reached::Request, "it led without that call");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_killed_before_any_of_its_requests_is_handled_finishes_after_a_restart_with_one_rollout() {
    every_kill_point(Moment::BeforeIt, Ending::Completed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_killed_after_any_of_its_requests_was_handled_finishes_after_a_restart_with_one_rollout() {
    every_kill_point(Moment::AfterIt, Ending::Completed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_made_once_however_often_the_updater_is_killed_before_a_request() {
    every_kill_point(Moment::BeforeIt, Ending::RolledBack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_made_once_however_often_the_updater_is_killed_after_a_request() {
    every_kill_point(Moment::AfterIt, Ending::RolledBack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_is_undone_once_however_often_the_updater_is_killed() {
    every_kill_point(Moment::BeforeIt, Ending::Undone).await;
    every_kill_point(Moment::AfterIt, Ending::Undone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_abandoned_once_however_often_the_updater_is_killed() {
    every_kill_point(Moment::BeforeIt, Ending::Abandoned).await;
    every_kill_point(Moment::AfterIt, Ending::Abandoned).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_took_back_is_noted_once_however_often_the_updater_is_killed() {
    every_kill_point(Moment::BeforeIt, Ending::TakenBack).await;
    every_kill_point(Moment::AfterIt, Ending::TakenBack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_update_is_made_once_however_often_the_updater_is_killed() {
    every_write(Ending::CompletedInOrder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_says_so_once_and_starts_once_also_where_people_let_it_go_while_the_updater_is_dead() {
    every_write(Ending::Approved).await;
    every_write(Ending::Thawed).await;
}

/// The records, without the times that differ from run to run.
async fn records(cluster: &Cluster) -> Vec<ScanRecord> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    let all = api
        .list(&ListParams::default().labels("kubefresh.dev/record=scan"))
        .await
        .unwrap()
        .items;
    all.iter()
        .map(|config_map| ScanRecord::parse(config_map).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_killed_at_any_request_leaves_nothing_half_done_and_the_next_run_completes_it() {
    for moment in [Moment::BeforeIt, Moment::AfterIt] {
        for nth in 1.. {
            let cluster = with_checkout(Ending::Completed).await;
            let rule = FaultRule::new(moment.fault()).user(":kubefresh-scanner").nth(nth);
            let fault = cluster.api.faults().install(rule);
            let mut scanner = start(&cluster, "kubefresh-scanner", &["scan"]);
            let reached = eventually("the request is reached or the scan is over", LIMIT, || {
                let over = scanner.try_wait().unwrap().is_some();
                let reached = fault.struck() > 0;
                async move { (over || reached).then_some(reached) }
            })
            .await;
            scanner.kill().await.unwrap();
            cluster.api.faults().clear();
            let between = records(&cluster).await;
            scan(&cluster).await;
            let after = records(&cluster).await;
            let newest: Vec<String> = after
                .iter()
                .map(|record| record.newest().unwrap().to_string())
                .collect();
            assert_eq!(newest, ["1.5.0"], "killed at request {nth} ({moment:?})");
            assert!(
                between.is_empty() || between == after,
                "what was written before the kill stays as it was"
            );
            if !reached {
                assert!(
                    nth > 3,
                    "a scan reads workloads and records and writes one record"
                );
                break;
            }
        }
    }
}
