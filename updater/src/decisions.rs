//! How what a person decided is written down and told, on a page or by a command: one patch of annotations, on exactly what was
//! looked at, with who decided it; an Event; and a line in the log.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::{Api, Client};
use shared::domain::decision::{Decider, Decision};
use shared::domain::notice::Notice;
use shared::domain::patch;
use shared::domain::steer::Change;
use shared::domain::workload::Workload;
use shared::io::client::explain;
use shared::io::clock;
use tokio::time::{sleep, timeout};

use crate::answer::{Failure, failure};
use crate::api;
use crate::notify;

/// How often it is looked at and decided anew: the status of a workload that rolls out changes from moment to moment.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(100);
/// How long one request to the API server may take.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// By whose hand decisions are written.
pub(crate) struct Pen<'a> {
    pub(crate) client: &'a Client,
    /// The name in `managedFields`: what a person decided is not what the updater did.
    pub(crate) manager: &'static str,
    /// Our pod, for Events.
    pub(crate) pod: &'a str,
}

impl fmt::Debug for Pen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pen")
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}

/// Why nothing was written, as far as anybody knows.
#[derive(Debug)]
pub(crate) enum Unwritten<E> {
    /// It cannot be decided.
    Refused(E),
    /// The workload changed between every look and its write.
    KeepsChanging,
    /// The API server would not have it.
    Failed(String),
    /// Nobody knows whether it was written.
    Unanswered,
}

impl Pen<'_> {
    /// Writes what `look` decides of the workload as it is then, and tells it. What it means, a sentence each.
    pub(crate) async fn write<E, F>(
        &self,
        decision: Decision,
        by: &Decider,
        look: impl Fn() -> F,
    ) -> Result<Vec<String>, Unwritten<E>>
    where
        F: Future<Output = Result<(Arc<Workload>, Change), E>>,
    {
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep(PAUSE).await;
            }
            let (workload, change) = look().await.map_err(Unwritten::Refused)?;
            let body = patch::annotate(&workload.resource_version, &change.annotations);
            let call = api::patch(self.client, &workload.id, &body, self.manager);
            match timeout(CALL_LIMIT, call).await {
                Ok(Ok(())) => {
                    self.tell(&workload, &change, decision, by).await;
                    return Ok(change.meaning);
                }
                Ok(Err(error)) if failure(&error) == Failure::Conflict => {}
                Ok(Err(error)) => {
                    let problem = explain(&format!("patching {}", workload.id), &error);
                    return Err(Unwritten::Failed(problem));
                }
                Err(_) => return Err(Unwritten::Unanswered),
            }
        }
        Err(Unwritten::KeepsChanging)
    }

    /// What was decided stands whether or not it can be told.
    async fn tell(&self, workload: &Workload, change: &Change, decision: Decision, by: &Decider) {
        let now = clock::now();
        let notice = Notice::decided(workload, decision, by, &change.meaning, now);
        let event = notify::event(&notice, &notice.event_name(), self.pod, now);
        let events: Api<Event> = Api::namespaced(self.client.clone(), &workload.id.namespace);
        let told = timeout(CALL_LIMIT, events.create(&api::created_by(self.manager), &event)).await;
        let problem = match told {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(explain("telling it as an Event", &error)),
            Err(_) => Some(format!("no answer within {CALL_LIMIT:?}")),
        };
        let meaning = change.meaning.join("; ");
        tracing::info!(workload = %workload.id, %by, meaning, problem, "somebody decided");
    }
}
