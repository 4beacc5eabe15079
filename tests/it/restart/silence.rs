//! The same where the network says nothing for half a minute: nobody answers, nothing is closed, and what is open already is as silent.

use sandbox::network::Network;
use shared::io::client::WATCH_LIMIT;
use tokio::time::Instant;

use super::*;
use crate::shop::start_updater_by;

const SILENCE: Duration = Duration::from_secs(30);
/// What a busy machine may take beside.
const SLACK: Duration = Duration::from_secs(20);
/// Connections that may be opened in vain: one a second.
const IN_VAIN: usize = 30;
/// Requests of one update, with its watches begun twice more.
const REQUESTS: usize = 120;

/// How a silence ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Everything goes on.
    AllGoesOn,
    /// What was open before or is opened meanwhile is never heard of again.
    OldConnectionsAreForgotten,
}

/// The watches that the updater has begun.
fn watches(cluster: &Cluster) -> usize {
    let requests = cluster.api.requests();
    let watches = requests.iter().filter(|request| request.verb == "watch");
    watches
        .filter(|watch| watch.user.ends_with(":kubefresh-updater"))
        .count()
}

/// When it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// While nothing is under way; the update comes in it.
    AtRest,
    /// The patch that starts the update has arrived, and its answer gets lost.
    WithTheStart,
}

/// Offers the update, and holds back the answer to the patch that starts it for longer than the network still works.
async fn until_it_is_started_and_not_answered(cluster: &Cluster) {
    let starts = FaultRule::new(Fault::DelayAnswer(Duration::from_secs(5))).nth(1);
    let starts = Counted::Steps.among(starts, Ending::Completed);
    let start = cluster.api.faults().install(starts);
    scan(cluster).await;
    eventually("the update is started", LIMIT, || {
        ready((start.struck() > 0).then_some(()))
    })
    .await;
}

async fn update_around_a_silence(beginning: Beginning, end: End) {
    let what =
        format!("the update around a silence that begins {beginning:?} and at whose end {end:?} is over");
    let cluster = with_checkout(Ending::Completed).await;
    let receiver = Receiver::start().await;
    let network = Network::to(cluster.api.address()).await;
    let url = receiver.url("/");
    let options = [&telling(&url)[..], &[HASTY], &PATIENT].concat();
    let mut updater = start_updater_by(&network, &cluster, &options);
    until_sent(&cluster, &receiver, 1, "that there is a workload").await;

    if beginning == Beginning::WithTheStart {
        until_it_is_started_and_not_answered(&cluster).await;
    }
    network.fall_silent();
    let began = Instant::now();
    let (opened, watched) = (network.opened(), watches(&cluster));
    if beginning == Beginning::AtRest {
        scan(&cluster).await;
    }
    tokio::time::sleep_until(began + SILENCE).await;
    let in_vain = network.opened() - opened;
    assert!((1..IN_VAIN).contains(&in_vain), "{in_vain} connections in vain");
    match end {
        End::AllGoesOn => network.go_on(),
        End::OldConnectionsAreForgotten => network.go_on_without_the_old(),
    }

    let left = (began + WATCH_LIMIT + SLACK).saturating_duration_since(Instant::now());
    eventually("everything is watched anew", left, || async {
        (watches(&cluster) >= 2 * watched).then_some(())
    })
    .await;
    until_finished(&cluster, Ending::Completed, &what).await;
    // What was under way may be sent again: whoever cannot write it down has lost the lease meanwhile.
    let once = beginning == Beginning::AtRest;
    until_heard(&cluster, &receiver, (Ending::Completed, once), &what).await;
    assert!(updater.try_wait().unwrap().is_none(), "it held out");
    let requests = trouble::requests(&cluster);
    assert!(requests < REQUESTS, "{what}: {requests} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_minute_of_silence_costs_time_and_no_second_rollout_also_where_old_connections_are_never_heard_of_again()
 {
    tokio::join!(
        update_around_a_silence(Beginning::AtRest, End::AllGoesOn),
        update_around_a_silence(Beginning::AtRest, End::OldConnectionsAreForgotten),
        update_around_a_silence(Beginning::WithTheStart, End::AllGoesOn),
        update_around_a_silence(Beginning::WithTheStart, End::OldConnectionsAreForgotten),
    );
}
