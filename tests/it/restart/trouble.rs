//! The same at a server in trouble: whichever request it spoils and in whichever way, the update is made once and ends the same,
//! and the updater asks no more often for it.

use tokio::process::Child;

use super::*;

/// What a server in trouble does to requests, and to which, as only some answers fit all.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    LosesTheAnswer,
    Internal,
    /// To what writes: `patch` or `create`.
    TooManyRequests(&'static str),
    /// To the same.
    Conflict(&'static str),
    /// To watches.
    Gone,
    /// To lists: from before the last two writes.
    Stale,
}

/// Each with the fewest requests of an update that it can meet.
const ALL: [(Trouble, usize); 8] = [
    (Trouble::LosesTheAnswer, 20),
    (Trouble::Internal, 20),
    (Trouble::TooManyRequests("patch"), 4),
    (Trouble::TooManyRequests("create"), 2),
    (Trouble::Conflict("patch"), 4),
    (Trouble::Conflict("create"), 2),
    (Trouble::Gone, 5),
    (Trouble::Stale, 5),
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
            Self::Stale => to(Fault::StaleRead(2)).verb("list"),
        }
    }
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
            self.updater = start_updater(self.cluster, self.receiver);
        }
    }
}

/// What the updater asked, but for the lease, which it renews as time goes by.
fn requests(cluster: &Cluster) -> usize {
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
    let client = cluster.client().await;
    let receiver = Receiver::start().await;
    let mut kept = Kept {
        cluster: &cluster,
        receiver: &receiver,
        updater: start_updater(&cluster, &receiver),
    };
    let what = format!("the update in which {trouble:?} met request {nth} is over");
    let deadline = tokio::time::Instant::now() + LIMIT;
    let over = loop {
        kept.look_after();
        let state = state(&cluster, &client).await;
        if let Some(state) = state.filter(|state| state.result.is_some()) {
            break state;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(over, finished(Ending::Completed), "{what}");
    until_heard(&cluster, &receiver, Ending::Completed, &what).await;
    let is_met = fault.is_none_or(|fault| fault.struck() > 0);
    is_met.then(|| requests(&cluster))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_made_once_whatever_a_server_in_trouble_does_to_whichever_of_its_requests() {
    let without_trouble = update_in(None, 1).await.unwrap();
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

/// Every request of the updater waits for so long, as if nobody were there.
const SILENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_for_half_a_minute_costs_time_and_no_second_rollout() {
    let cluster = with_checkout(Ending::Completed).await;
    let receiver = Receiver::start().await;
    let mut updater = start_updater(&cluster, &receiver);
    let client = cluster.client().await;
    eventually("it watches", LIMIT, || async {
        let requests = cluster.api.requests();
        let watches = requests.iter().filter(|request| request.verb == "watch");
        (watches.count() >= 5).then_some(())
    })
    .await;
    let silence = FaultRule::new(Fault::Delay(Duration::from_mins(5))).user(":kubefresh-updater");
    let silent = cluster.api.faults().install(silence);
    let cut = FaultRule::new(Fault::CutWatch(Duration::ZERO)).user(":kubefresh-updater");
    cluster.api.faults().install(cut);
    scan(&cluster).await;
    let before = requests(&cluster);
    tokio::time::sleep(SILENCE).await;
    assert!(silent.struck() > 0, "it was silent to nobody");
    let meanwhile = requests(&cluster) - before;
    assert!(
        meanwhile < 100,
        "{meanwhile} requests to a server that says nothing"
    );
    cluster.api.faults().clear();
    eventually("the update is over", LIMIT, || async {
        state(&cluster, &client)
            .await
            .filter(|state| state.result.is_some())
    })
    .await;
    assert!(updater.try_wait().unwrap().is_none(), "it held out");
    assert_eq!(state(&cluster, &client).await, Some(finished(Ending::Completed)));
    until_heard(&cluster, &receiver, Ending::Completed, "after the silence").await;
}
