//! Leadership: one updater acts, the others stand by with warm caches.
//!
//! `kube-leader-election` makes the calls to the Lease; the loop around it is ours, because the lease alone proves
//! little: its patches carry no precondition, so two candidates can both believe that they took an expired one, it compares
//! the clocks of two nodes, and a call without an answer would block for ever. `tenure` says what each outcome means, `rival`
//! when somebody else's lease has run out.
//!
//! Leadership saves work; it does not give correctness. For the moment in which two updaters might both believe to lead,
//! every write to a workload carries the `resourceVersion` it was computed from.

mod rival;
mod tenure;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::Patch;
use kube_leader_election::{Error as LeaseError, LeaseLock, LeaseLockParams, LeaseLockResult};
use serde_json::json;
use shared::io::client::explain;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::api;
use rival::{Rival, Standing};
pub use tenure::Claim;
use tenure::{Sighting, Tenure};

/// How long the last look may take once we are told to stop. What it still waits for then hangs, and is no reason to let the others
/// wait until the lease expires: nothing new is begun, and what was sent is by its precondition the same update or refused.
const LAST_LOOK: Duration = Duration::from_millis(500);
/// How long it may take after that to note what came of the last messages: their receivers have half a second.
const LAST_NOTES: Duration = Duration::from_secs(1);
/// Of the holder's name: it is also the field manager of the lease's patches, which may have 128 characters.
const POD_NAME_LENGTH: usize = 63;

/// Which lease, and who we are.
#[derive(Debug, Clone)]
pub struct LeaseOptions {
    /// Where the Lease is kept.
    pub namespace: String,
    pub name: String,
    /// Unique for each start of the process: a restarted one must not take its predecessor's lease for its own.
    pub holder: String,
    /// Whole seconds, as the Lease stores it.
    pub duration: Duration,
}

/// The right to write, as the workers see it.
#[derive(Debug, Clone)]
pub struct Leadership {
    claim: watch::Receiver<Claim>,
    stop: CancellationToken,
}

impl Leadership {
    /// Follows `claim`, and nothing may be written once `stop` is cancelled.
    pub fn new(claim: watch::Receiver<Claim>, stop: CancellationToken) -> Self {
        Self { claim, stop }
    }

    /// Whether a write may begin at this very moment.
    pub fn may_act(&self) -> bool {
        !self.stop.is_cancelled() && self.claim.borrow().may_act(Instant::now())
    }

    /// Whether the lease is ours, also while stopping: only the last write asks this, which notes what came of messages.
    pub fn holds_claim(&self) -> bool {
        self.claim.borrow().may_act(Instant::now())
    }

    /// Waits until `may_act` is no longer what it `was`: because a claim was given or withdrawn, or because it lapsed.
    pub async fn no_longer(&mut self, was: bool) {
        while self.may_act() == was {
            let lapse = self.claim.borrow_and_update().lapses();
            tokio::select! {
                changed = self.claim.changed() => {
                    if changed.is_err() {
                        // The lease task is gone, and with it the process soon.
                        std::future::pending::<()>().await;
                    }
                }
                () = sleep_until(lapse.unwrap_or_else(Instant::now)), if was && lapse.is_some() => {}
            }
        }
    }
}

/// The name a process is known by in the Lease.
pub fn holder_name(pod: &str, nonce: u64) -> String {
    let pod: String = pod.chars().take(POD_NAME_LENGTH).collect();
    format!("{pod}_{nonce:016x}")
}

/// What is to be over before the lease is given back.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// Cancelled when no look is under way and none will be.
    pub looks: CancellationToken,
    /// Cancelled when what came of the last messages has been noted.
    pub notes: CancellationToken,
}

/// Keeps trying for the lease and publishes what that allows, until `stop`; then waits a little for the `work` that is under
/// way to end, and gives the lease back.
pub async fn run(
    client: kube::Client,
    options: LeaseOptions,
    claim: watch::Sender<Claim>,
    stop: CancellationToken,
    work: Work,
) {
    let mut candidate = Candidate::new(client, options);
    let mut tenure = Tenure::new(candidate.options.duration);
    let (mut last_problem, mut leading) = (None, false);
    // A call under way is dropped at once: whatever it did, stepping down looks at the lease itself.
    stop.run_until_cancelled(async {
        loop {
            let begun = Instant::now();
            let (sighting, problem) = candidate.attempt(&tenure).await;
            tell_problem(&mut last_problem, problem);
            let pause = tenure.observe(sighting, begun, Instant::now());
            publish(&claim, tenure.claim(), &mut leading, &candidate.options.holder);
            sleep(jittered(pause)).await;
        }
    })
    .await;
    if timeout(LAST_LOOK, work.looks.cancelled()).await.is_err()
        || timeout(LAST_NOTES, work.notes.cancelled()).await.is_err()
    {
        tracing::warn!("a call to the cluster is still under way; giving the lease back without its answer");
    }
    claim.send_replace(Claim::NONE);
    step_down(&candidate.lock, tenure.interval()).await;
}

/// One of those who would lead.
struct Candidate {
    options: LeaseOptions,
    lock: LeaseLock,
    leases: Api<Lease>,
    rival: Rival,
}

impl Candidate {
    fn new(client: kube::Client, options: LeaseOptions) -> Self {
        let parameters = LeaseLockParams {
            lease_name: options.name.clone(),
            holder_id: options.holder.clone(),
            lease_ttl: options.duration,
        };
        Self {
            lock: LeaseLock::new(client.clone(), &options.namespace, parameters),
            leases: Api::namespaced(client, &options.namespace),
            rival: Rival::default(),
            options,
        }
    }

    async fn attempt(&mut self, tenure: &Tenure) -> (Sighting, Option<String>) {
        let limit = tenure.interval();
        let try_it = async {
            if tenure.is_standby()
                && let Some(theirs) = self.held_by_another().await?
            {
                return Ok(theirs);
            }
            claim(&self.lock, &self.options.holder).await
        };
        match timeout(limit, try_it).await {
            Ok(Ok(sighting)) => (sighting, None),
            Ok(Err(error)) => (Sighting::Unknown, Some(describe(error))),
            Err(_) => (
                Sighting::Unknown,
                Some(format!("the lease: no answer within {limit:?}")),
            ),
        }
    }

    /// Whether somebody else holds the lease. One that has run out is made to look so by every clock, for the call that takes
    /// it; only one candidate succeeds in that.
    async fn held_by_another(&mut self) -> Result<Option<Sighting>, LeaseError> {
        let LeaseOptions {
            name,
            holder,
            duration,
            ..
        } = &self.options;
        let lease = self.leases.get_opt(name).await.map_err(LeaseError::GetLease)?;
        match self
            .rival
            .observe(lease.as_ref(), holder, *duration, Instant::now())
        {
            Standing::Ours => return Ok(None),
            Standing::Held { until } => return Ok(Some(Sighting::Theirs { until: Some(until) })),
            Standing::Free => {}
        }
        let body = json!({
            "metadata": { "resourceVersion": lease.and_then(|lease| lease.metadata.resource_version) },
            "spec": { "renewTime": MicroTime(Timestamp::UNIX_EPOCH), "leaseDurationSeconds": 1 },
        });
        let parameters = api::managed_by(holder);
        match self.leases.patch(name, &parameters, &Patch::Merge(&body)).await {
            Ok(_) => Ok(None),
            // Somebody else was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Some(Sighting::Theirs { until: None })),
            Err(error) => Err(LeaseError::AcquireLease(error)),
        }
    }
}

/// Takes the lease or renews it.
async fn claim(lock: &LeaseLock, holder: &str) -> Result<Sighting, LeaseError> {
    match lock.try_acquire_or_renew().await {
        // A renewal does not look at the holder it renews, so the answer has to be read.
        Ok(LeaseLockResult::Acquired(lease)) if holder_of(&lease) == Some(holder) => Ok(Sighting::Ours),
        Ok(LeaseLockResult::Acquired(_) | LeaseLockResult::NotAcquired(_)) => {
            Ok(Sighting::Theirs { until: None })
        }
        Err(LeaseError::CreateLease(kube::Error::Api(status))) if status.code == 409 => {
            Ok(Sighting::Theirs { until: None })
        }
        Err(error) => Err(error),
    }
}

fn holder_of(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

/// What went wrong, and what to do.
fn describe(error: LeaseError) -> String {
    match error {
        LeaseError::ApiError { response } => explain("the lease", &kube::Error::Api(response)),
        LeaseError::GetLease(source)
        | LeaseError::CreateLease(source)
        | LeaseError::AcquireLease(source)
        | LeaseError::RenewLease(source)
        | LeaseError::ReleaseLease(source)
        | LeaseError::Kube(source) => explain("the lease", &source),
        LeaseError::TraverseLease { key } => {
            format!("the lease was written by something else, it has no {key}; delete it and it is made anew")
        }
        other @ (LeaseError::ReleaseLockWhenNotLeading { .. }
        | LeaseError::SerdeError(_)
        | LeaseError::JiffError(_)) => other.to_string(),
    }
}

/// Says each problem once, and when it is over.
fn tell_problem(last: &mut Option<String>, problem: Option<String>) {
    if *last == problem {
        return;
    }
    if let Some(problem) = &problem {
        tracing::warn!(problem, "cannot reach the lease");
    } else {
        tracing::info!("the lease can be reached again");
    }
    *last = problem;
}

/// Publishes what we may do, and says so when it is not what it `was`. A claim that lapsed in the meantime was one.
fn publish(claim: &watch::Sender<Claim>, next: Claim, was: &mut bool, holder: &str) {
    claim.send_replace(next);
    let leading = next.may_act(Instant::now());
    match (*was, leading) {
        (false, true) => tracing::info!(holder, "leading"),
        (true, false) => tracing::warn!(holder, "no longer leading"),
        (true, true) | (false, false) => {}
    }
    *was = leading;
}

async fn step_down(lock: &LeaseLock, limit: Duration) {
    match timeout(limit, lock.step_down()).await {
        Ok(Ok(())) => tracing::info!("gave the lease back"),
        Ok(Err(LeaseError::ReleaseLockWhenNotLeading { leader })) => {
            tracing::info!(leader, "standing by to the end");
        }
        Ok(Err(error)) => tracing::warn!(
            problem = describe(error),
            "could not give the lease back; it will expire"
        ),
        Err(_) => tracing::warn!("could not give the lease back in time; it will expire"),
    }
}

/// Up to a fifth shorter, so that replicas which started together do not call together for ever.
fn jittered(pause: Duration) -> Duration {
    let share = u32::from(crate::random::byte());
    pause.saturating_sub(pause / 5 * share / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holders_name_fits_a_field_manager_and_differs_with_each_start() {
        let long = "p".repeat(253);
        let first = holder_name(&long, 1);
        assert!(first.len() <= 128, "{first}");
        assert_ne!(first, holder_name(&long, 2));
        assert_eq!(holder_name("updater-abc", 1), "updater-abc_0000000000000001");
    }

    #[test]
    fn a_jittered_pause_is_at_most_a_fifth_shorter() {
        let pause = Duration::from_secs(5);
        for _ in 0..50 {
            assert!((Duration::from_secs(4)..=pause).contains(&jittered(pause)));
        }
    }

    #[tokio::test]
    async fn a_worker_is_woken_by_a_claim_and_by_its_lapse_and_not_by_its_renewal() {
        let (sender, claim) = watch::channel(Claim::NONE);
        let mut leadership = Leadership::new(claim, CancellationToken::new());
        let end = Instant::now() + Duration::from_secs(2);
        let script = tokio::spawn(async move {
            sender.send_replace(Claim::until(end - Duration::from_secs(1)));
            tokio::task::yield_now().await;
            sender.send_replace(Claim::until(end));
            sender
        });
        leadership.no_longer(false).await;
        let _sender = script.await.unwrap();
        leadership.no_longer(true).await;
        assert!(Instant::now() >= end, "woken by the renewal");
    }

    #[test]
    fn nothing_may_be_written_once_stopping_whatever_the_claim_says() {
        let (_sender, claim) = watch::channel(Claim::until(Instant::now() + Duration::from_mins(1)));
        let stop = CancellationToken::new();
        let leadership = Leadership::new(claim, stop.clone());
        assert!(leadership.may_act());
        stop.cancel();
        assert!(!leadership.may_act());
    }
}
