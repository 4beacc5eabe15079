use clap::Parser as _;
use shared::domain::in_flight::{ImageChange, InFlight};
use shared::domain::notice::notices;
use shared::domain::plan::{Action, Pending};
use shared::domain::rollout::{RolloutStatus, Waiting as RolloutWaiting};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::answering::{self, Reply};
use crate::cli::Cli;
use crate::fixture::checkout;
use crate::leader::Claim;

fn rolling() -> Assessment {
    let change = ImageChange {
        from: "app:1".to_owned(),
        to: "app:2".to_owned(),
        digest: None,
        ran: None,
    };
    let changes = [("app".to_owned(), change)].into();
    Assessment {
        workload: checkout("shop"),
        containers: Vec::new(),
        action: Action::Follow {
            in_flight: Box::new(InFlight::new(
                changes,
                Timestamp::UNIX_EPOCH,
                jiff::SignedDuration::from_mins(10),
            )),
            status: RolloutStatus::InProgress(RolloutWaiting::Revision),
            holds: [].into(),
            kept: [].into(),
        },
        pending: Pending::Unchanged,
        prospect: None,
        refused: Vec::new(),
    }
}

#[tokio::test]
async fn only_what_the_last_look_entered_while_it_led_may_be_forgotten() {
    let client = answering::client(|method, _| match method {
        "GET" => Reply::failure(404),
        _ => Reply::ok(serde_json::json!({ "metadata": { "name": "outbox", "resourceVersion": "8" } })),
    });
    let words = [
        "kubefresh-updater",
        "--webhook-url=http://127.0.0.1:9/",
        "--webhook-retry-count=0",
        "--webhook-enable-image-rollout-started",
    ];
    let settings = Cli::try_parse_from(words).unwrap().run.settings().unwrap();
    let receivers = Receivers::new(&settings).unwrap();
    let (claim, claimed) = watch::channel(Claim::NONE);
    let leadership = Leadership::new(claimed, CancellationToken::new());
    let names = ("kubefresh", "kubefresh-updater");
    let told = (receivers, Duration::from_mins(1));
    let mut outbox = Outbox::new(client, names, told, leadership, Arc::default());
    let assessment = rolling();
    let notices = notices(&assessment);
    let work = [(&assessment, notices.clone())];
    let leads = Claim::until(Instant::now() + Duration::from_mins(1));
    for (claims, entered) in [
        (Claim::NONE, false),
        (leads, true),
        (Claim::NONE, false),
        (leads, true),
    ] {
        claim.send_replace(claims);
        outbox
            .look(
                &work,
                (&Snapshot::default(), &Plan::default()),
                clock::now(),
                &Metrics::default(),
            )
            .await;
        // It may come to lead again before the patch.
        claim.send_replace(leads);
        assert_eq!(outbox.has_entered(&notices), entered);
    }
}
