//! The same at a server in trouble: whichever request it spoils and in whichever way, the update is made once and ends the same,
//! and the updater asks no more often for it.

use std::sync::Arc;

use sandbox::apiserver::store::Change;
use sandbox::receiver::Received;
use serde_json::{Value, json};
use tokio::process::Child;

use super::*;
use crate::shop;

/// What a server in trouble does to requests, and to which, as only some answers fit all.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    LosesTheAnswer,
    Internal,
    /// To requests with this verb.
    TooManyRequests(&'static str),
    /// To what writes: `patch` or `create`.
    Conflict(&'static str),
    /// To watches.
    Gone,
    /// To what reads, `get` or `list`: from before the last two writes.
    Stale(&'static str),
}

/// Each with the fewest requests of an update that it can meet, and with how many of the calls it fits by which an updater comes to lead.
const ALL: [(Trouble, usize, u64); 12] = [
    (Trouble::LosesTheAnswer, 20, CALLS_TO_LEAD),
    (Trouble::Internal, 20, CALLS_TO_LEAD),
    (Trouble::TooManyRequests("patch"), 4, 1),
    (Trouble::TooManyRequests("create"), 2, 1),
    // That of what is to be sent: no workload is asked for by its name.
    (Trouble::TooManyRequests("get"), 1, 3),
    (Trouble::TooManyRequests("list"), 9, 0),
    (Trouble::TooManyRequests("watch"), 5, 0),
    (Trouble::Conflict("patch"), 4, 1),
    (Trouble::Conflict("create"), 2, 1),
    (Trouble::Gone, 5, 0),
    (Trouble::Stale("list"), 5, 0),
    (Trouble::Stale("get"), 1, 3),
];
/// As often in a row, so that a repetition of the client's own meets the same.
const IN_A_ROW: u64 = 2;
/// Requests of an update beyond those of one without trouble: lists and watches begun again, and each write tried again.
const MORE: usize = 40;

impl Trouble {
    fn rule(self) -> FaultRule {
        match self {
            Self::LosesTheAnswer => FaultRule::new(Fault::DropAfter),
            Self::Internal => FaultRule::new(Fault::internal()),
            Self::TooManyRequests(verb) => FaultRule::new(Fault::too_many_requests(1)).verb(verb),
            Self::Conflict(verb) => FaultRule::new(Fault::conflict()).verb(verb),
            Self::Gone => FaultRule::new(Fault::gone()).verb("watch"),
            Self::Stale(verb) => FaultRule::new(Fault::StaleRead(2)).verb(verb),
        }
    }

    /// The code in the log of a patch that it spoils, if it spoils any.
    fn code_of_a_patch(self) -> Option<u16> {
        match self {
            Self::LosesTheAnswer => Some(0),
            Self::Internal => Some(500),
            Self::TooManyRequests("patch") => Some(429),
            Self::Conflict("patch") => Some(409),
            Self::TooManyRequests(_) | Self::Conflict(_) | Self::Gone | Self::Stale(_) => None,
        }
    }
}

fn start_patient_updater(cluster: &Cluster, receiver: &Receiver) -> Child {
    let url = receiver.url("/");
    start_updater_with(cluster, &[&telling(&url)[..], &PATIENT].concat())
}

/// Runs as in a Deployment: what ends is started again.
struct Kept<'a> {
    cluster: &'a Cluster,
    receiver: &'a Receiver,
    updater: Child,
}

impl Kept<'_> {
    fn look_after(&mut self) {
        if let Some(status) = self.updater.try_wait().unwrap() {
            assert_eq!(
                status.code(),
                Some(2),
                "it says what is wrong and does not fall over"
            );
            self.updater = start_patient_updater(self.cluster, self.receiver);
        }
    }
}

/// What the updater asked, but for the lease, which it renews as time goes by.
pub(super) fn requests(cluster: &Cluster) -> usize {
    let mut requests = cluster.api.requests();
    requests.retain(|request| request.user.ends_with(":kubefresh-updater") && request.resource != "leases");
    requests.len()
}

/// Whether the patch that ends the update was answered with this. Of the workload no other one follows that which begins it.
fn end_was_answered_with(cluster: &Cluster, code: u16) -> bool {
    let mut requests = cluster.api.requests();
    requests.retain(|request| {
        let is_patch = request.verb == "patch" && request.resource == "deployments";
        is_patch && request.user.ends_with(":kubefresh-updater")
    });
    let mut codes = requests.iter().map(|request| request.code);
    // What begins it is done also where its answer is lost.
    codes.any(|code| [0, 200].contains(&code)) && codes.any(|answered| answered == code)
}

/// An update that met trouble.
struct Met {
    /// How many requests it took.
    requests: usize,
    /// Whether the one that ends it was among those that were spoiled.
    at_the_end: bool,
}

/// An update in which requests from the n-th of these on are spoiled. `None` when it was over before there was one.
async fn update_in(trouble: Option<(Trouble, Counted)>, nth: u64) -> Option<Met> {
    let cluster = with_checkout(Ending::Completed).await;
    scan(&cluster).await;
    let fault = trouble.map(|(trouble, counted)| {
        let rule = trouble.rule().after(nth - 1).times(IN_A_ROW);
        let rule = counted.among(rule, Ending::Completed);
        cluster.api.faults().install(rule)
    });
    let receiver = Receiver::start().await;
    let mut kept = Kept {
        cluster: &cluster,
        receiver: &receiver,
        updater: start_patient_updater(&cluster, &receiver),
    };
    let what = format!("the update in which {trouble:?} met request {nth} is over");
    let deadline = tokio::time::Instant::now() + LIMIT;
    let over = loop {
        kept.look_after();
        let state = state(&cluster, Ending::Completed);
        if let Some(state) = state.filter(|state| state.result.is_some()) {
            break state;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(over, finished(Ending::Completed), "{what}");
    // Whom it has to start again had not come as far as to send anything.
    until_heard(&cluster, &receiver, (Ending::Completed, true), &what).await;
    assert_each_step_was_written_once(&cluster, Ending::Completed, &what);
    let is_met = fault.is_none_or(|fault| fault.struck() > 0);
    let code = trouble.and_then(|(trouble, _)| trouble.code_of_a_patch());
    is_met.then(|| Met {
        requests: requests(&cluster),
        at_the_end: code.is_some_and(|code| end_was_answered_with(&cluster, code)),
    })
}

/// Spoils each request but those for the lease, until an update meets none. How many there were, and whether the one that ends the update
/// was among them.
async fn spoil_each(trouble: Trouble, without_trouble: usize) -> (usize, bool) {
    let mut runs = futures::stream::iter(1..)
        .map(|nth| async move {
            let met = update_in(Some((trouble, Counted::AllButLeases)), nth).await;
            (nth, met)
        })
        .buffered(AT_ONCE);
    let (mut count, mut at_the_end) = (0, false);
    while let Some((nth, Some(met))) = runs.next().await {
        count += 1;
        at_the_end |= met.at_the_end;
        let requests = met.requests;
        assert!(
            requests <= without_trouble + MORE,
            "{trouble:?} at request {nth}: {requests} requests and not {without_trouble}"
        );
        assert!(
            count < 60,
            "an update of one Deployment does not need so many requests"
        );
    }
    (count, at_the_end)
}

/// Spoils each of the calls by which the updater comes to lead.
async fn spoil_calls_to_lead(trouble: Trouble, calls: u64, without_trouble: usize) {
    let mut runs = futures::stream::iter(1..=calls)
        .map(|nth| update_in(Some((trouble, Counted::Leases)), nth))
        .buffered(AT_ONCE);
    while let Some(met) = runs.next().await {
        let requests = met.expect("it cannot lead without that call").requests;
        assert!(
            requests <= without_trouble + MORE,
            "{trouble:?} at calls for the lease: {requests} requests and not {without_trouble}"
        );
    }
}

/// Spoils the patch that ends the update: which one it is differs from run to run, as some lose a race against the controller.
async fn spoil_the_end(trouble: Trouble) {
    let mut nth = 2;
    for _ in 0..MOST_TRIES {
        match update_in(Some((trouble, Counted::Steps)), nth).await {
            Some(met) if met.at_the_end => return,
            Some(_) => nth += 1,
            None => nth = nth.max(2) - 1,
        }
    }
    panic!("{trouble:?} met the patch that ends the update in none of {MOST_TRIES} runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_made_once_whatever_a_server_in_trouble_does_to_whichever_of_its_requests() {
    let without_trouble = update_in(None, 1).await.unwrap().requests;
    let _alone = ALONE.lock().await;
    for (trouble, fewest, calls_to_lead) in ALL {
        let (met, at_the_end) = spoil_each(trouble, without_trouble).await;
        assert!(met >= fewest, "{trouble:?} met only {met} requests");
        spoil_calls_to_lead(trouble, calls_to_lead, without_trouble).await;
        if trouble.code_of_a_patch().is_some() && !at_the_end {
            spoil_the_end(trouble).await;
        }
    }
}

/// The last state in which a message was to be sent.
fn last_with_a_message(cluster: &Cluster) -> u64 {
    let changes = cluster.api.store().changes_since(1).unwrap();
    let waits = |change: &&Arc<Change>| {
        let is_record = change.object["metadata"]["name"] == "kubefresh-updater-outbox";
        is_record && {
            let stored = serde_json::from_value(Value::clone(&change.object)).unwrap();
            !outbox::parse(&stored).unwrap().waiting().is_empty()
        }
    };
    changes.iter().rfind(waits).unwrap().revision
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_an_old_record_of_what_is_to_be_sent_sends_nothing_again() {
    let cluster = with_checkout(Ending::Completed).await;
    scan(&cluster).await;
    let receiver = Receiver::start().await;
    let mut updater = start_updater(&cluster, &receiver);
    until_finished(&cluster, Ending::Completed, "the update is over").await;
    until_sent(&cluster, &receiver, messages(Ending::Completed).len(), "all").await;
    updater.kill().await.unwrap();
    let sent = receiver.received().len();
    let old = FaultRule::new(Fault::ReadAt(last_with_a_message(&cluster)))
        .user(":kubefresh-updater")
        .verb("get")
        .resource("configmaps");
    let old = cluster.api.faults().install(old);
    let _next = start_updater(&cluster, &receiver);
    eventually("it has found out that what it read was old", LIMIT, || {
        ready((old.struck() >= 2).then_some(()))
    })
    .await;
    // It is in no hurry to read it again: pauses grow from one second.
    let before = old.struck();
    let begun = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let again = old.struck() - before;
    let most = 2 + begun.elapsed().as_secs();
    assert!(again <= most, "read {again} times in {:?}", begun.elapsed());
    cluster.api.faults().clear();
    // By when something new has been sent, and nothing waits, whatever was to be sent again would have been.
    let image = cluster.registry.reference("shop/checkout", "1.5.0");
    let watched = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto" });
    cluster
        .apply(&[shop::deployment("another", &image, &watched)])
        .await;
    until_sent(&cluster, &receiver, sent + 1, "that there is another workload").await;
    let messages = receiver.received();
    let events: Vec<&str> = messages[sent..].iter().map(Received::event).collect();
    assert_eq!(events, ["DEPLOYMENT_DETECTED"], "sent again");
}
