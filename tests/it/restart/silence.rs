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

async fn update_around_a_silence(end: End) {
    let what = format!("the update after a silence at whose end {end:?} is over");
    let cluster = with_checkout(Ending::Completed).await;
    let receiver = Receiver::start().await;
    let network = Network::to(cluster.api.address()).await;
    let url = receiver.url("/");
    let options = [&telling(&url)[..], &PATIENT].concat();
    let mut updater = start_updater_by(&network, &cluster, &options);
    until_sent(&cluster, &receiver, 1, "that there is a workload").await;

    network.fall_silent();
    let began = Instant::now();
    let (opened, watched) = (network.opened(), watches(&cluster));
    scan(&cluster).await;
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
    until_heard(&cluster, &receiver, (Ending::Completed, true), &what).await;
    assert!(updater.try_wait().unwrap().is_none(), "it held out");
    let requests = trouble::requests(&cluster);
    assert!(requests < REQUESTS, "{what}: {requests} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_minute_of_silence_costs_time_and_no_second_rollout_also_where_old_connections_are_never_heard_of_again()
 {
    tokio::join!(
        update_around_a_silence(End::AllGoesOn),
        update_around_a_silence(End::OldConnectionsAreForgotten),
    );
}
