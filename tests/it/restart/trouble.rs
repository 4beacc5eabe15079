//! The same at a server in trouble: whichever request it spoils and in whichever way, the update is made once and ends the same,
//! and the updater asks no more often for it.

use std::sync::Arc;

use sandbox::apiserver::RequestRecord;
use sandbox::apiserver::store::Change;
use serde_json::Value;
use tokio::process::Child;

use super::*;

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

/// Each with the fewest requests of an update that it can meet.
const ALL: [(Trouble, usize); 12] = [
    (Trouble::LosesTheAnswer, 20),
    (Trouble::Internal, 20),
    (Trouble::TooManyRequests("patch"), 4),
    (Trouble::TooManyRequests("create"), 2),
    (Trouble::TooManyRequests("get"), 4),
    (Trouble::TooManyRequests("list"), 9),
    (Trouble::TooManyRequests("watch"), 5),
    (Trouble::Conflict("patch"), 4),
    (Trouble::Conflict("create"), 2),
    (Trouble::Gone, 5),
    (Trouble::Stale("list"), 5),
    // Of the lease and of what is to be sent: no workload is asked for by its name.
    (Trouble::Stale("get"), 4),
];
/// As often in a row, so that a repetition of the client's own meets the same.
const IN_A_ROW: u64 = 2;
/// Requests of an update beyond those of one without trouble: lists and watches begun again, and each write tried again.
const MORE: usize = 40;

impl Trouble {
    fn rule(self) -> FaultRule {
        let to = |fault: Fault| FaultRule::new(fault).user(":kubefresh-updater");
        match self {
            Self::LosesTheAnswer => to(Fault::DropAfter),
            Self::Internal => to(Fault::internal()),
            Self::TooManyRequests(verb) => to(Fault::too_many_requests(1)).verb(verb),
            Self::Conflict(verb) => to(Fault::conflict()).verb(verb),
            Self::Gone => to(Fault::gone()).verb("watch"),
            Self::Stale(verb) => to(Fault::StaleRead(2)).verb(verb),
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

/// An update in which requests from the n-th on are spoiled. `None` when it was over before there was one; otherwise how many
/// requests it took.
async fn update_in(trouble: Option<Trouble>, nth: u64) -> Option<usize> {
    let cluster = with_checkout(Ending::Completed).await;
    scan(&cluster).await;
    let fault = trouble.map(|trouble| {
        let rule = trouble.rule().after(nth - 1).times(IN_A_ROW);
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
    let is_met = fault.is_none_or(|fault| fault.struck() > 0);
    is_met.then(|| requests(&cluster))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_made_once_whatever_a_server_in_trouble_does_to_whichever_of_its_requests() {
    let without_trouble = update_in(None, 1).await.unwrap();
    let _alone = ALONE.lock().await;
    for (trouble, fewest) in ALL {
        let mut runs = futures::stream::iter(1..)
            .map(|nth| async move { (nth, update_in(Some(trouble), nth).await) })
            .buffered(AT_ONCE);
        let mut met = 0;
        while let Some((nth, Some(requests))) = runs.next().await {
            met += 1;
            assert!(
                requests <= without_trouble + MORE,
                "{trouble:?} at request {nth}: {requests} requests and not {without_trouble}"
            );
            assert!(
                met < 60,
                "an update of one Deployment does not need so many requests"
            );
        }
        assert!(met >= fewest, "{trouble:?} met only {met} requests");
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
    cluster.api.faults().clear();
    let read = |request: &RequestRecord| request.verb == "get" && request.resource == "configmaps";
    let reads = || {
        cluster
            .api
            .requests()
            .iter()
            .filter(|request| read(request))
            .count()
    };
    let before = reads();
    eventually("it reads once more", LIMIT, || {
        ready((reads() > before).then_some(()))
    })
    .await;
    assert_eq!(receiver.received().len(), sent, "sent again");
}
