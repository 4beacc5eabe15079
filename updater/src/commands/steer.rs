//! `approve`, `hold`, `release`, `rollback` and `check-now`: the annotations that a person could write, written for them and checked first.

use clap::Args;
use kube::Client;
use shared::domain::patch;
use shared::domain::plan::{Assessment, Snapshot};
use shared::domain::policy::Hold;
use shared::domain::steer::{self, Change};
use shared::domain::workload::{Workload, WorkloadId};
use shared::io::client::{self, explain};
use shared::io::clock;
use shared::io::terminal::output;

use super::{CommandError, survey};
use crate::answer::{Failure, failure};
use crate::api;
use crate::cli::Settings;

/// The name of these commands in `managedFields`: what a person decided is not what the updater did.
const FIELD_MANAGER: &str = "kubefresh-command";

/// Shown below the options.
pub const EXAMPLES: &str = "\
Examples:
  Agree to what waits, in all containers or in one:
    kubefresh-updater approve shop/checkout
    kubefresh-updater approve shop/checkout --container app

  Skip what is offered now; hold a version and all that is older; let everything go again:
    kubefresh-updater hold shop/checkout
    kubefresh-updater hold shop/checkout '<=1.5.0'
    kubefresh-updater release shop/checkout

  Undo the last update, which may still be under way:
    kubefresh-updater rollback shop/checkout

  Ask its registries now, whatever the schedule says:
    kubefresh-updater check-now shop/checkout

Where several kinds have a workload of that name, put the kind before it: statefulset/shop/checkout.";

/// Which workload.
#[derive(Debug, Clone, Args)]
pub struct WorkloadOptions {
    /// The workload, as NAMESPACE/NAME or KIND/NAMESPACE/NAME.
    #[arg(value_name = "WORKLOAD")]
    pub workload: String,
    /// Only this container; all that are watched when not given.
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
}

/// Which workload, as a whole.
#[derive(Debug, Clone, Args)]
pub struct WholeOptions {
    /// The workload, as NAMESPACE/NAME or KIND/NAMESPACE/NAME.
    #[arg(value_name = "WORKLOAD")]
    pub workload: String,
}

/// Which workload, and which of its versions.
#[derive(Debug, Clone, Args)]
pub struct HoldOptions {
    #[command(flatten)]
    pub workload: WorkloadOptions,
    /// What is held: TAG, DIGEST, TAG@DIGEST, or <=TAG for a tag with all that is older.
    #[arg(value_name = "VERSION")]
    pub versions: Vec<Hold>,
}

/// What a person decides.
#[derive(Debug, Clone)]
pub enum Step {
    Approve(WorkloadOptions),
    Hold(HoldOptions),
    Release(HoldOptions),
    Rollback(WorkloadOptions),
    CheckNow(WholeOptions),
}

impl Step {
    fn workload(&self) -> &str {
        match self {
            Self::Approve(options) | Self::Rollback(options) => &options.workload,
            Self::Hold(options) | Self::Release(options) => &options.workload.workload,
            Self::CheckNow(options) => &options.workload,
        }
    }

    fn container(&self) -> Option<&str> {
        match self {
            Self::Approve(options) | Self::Rollback(options) => options.container.as_deref(),
            Self::Hold(options) | Self::Release(options) => options.workload.container.as_deref(),
            Self::CheckNow(_) => None,
        }
    }

    fn next(&self) -> &'static str {
        match self {
            Self::Approve(_) => {
                "the updater that leads starts it at its next look; kubefresh-updater status follows it"
            }
            Self::Hold(_) => "kubefresh-updater release takes it back",
            Self::Release(_) => "kubefresh-updater plan says what happens now",
            Self::Rollback(_) => {
                "the updater that leads goes back at its next look and holds what is left; kubefresh-updater status follows it"
            }
            Self::CheckNow(_) => {
                "the updater that leads has a scan made, and removes the annotation when it has ended with an answer"
            }
        }
    }
}

/// How often it is looked at and decided anew: the status of a workload that rolls out changes from moment to moment.
const TRIES: usize = 10;

/// Decides, writes, and says what was written.
pub async fn steer(step: Step, settings: Settings) -> Result<(), CommandError> {
    let client = client::connect(client::CALL_LIMIT).await?;
    for _ in 0..TRIES {
        if let Some(change) = attempt(&client, &step, &settings).await? {
            let page = format!("{}\nnext: {}\n", change.meaning.join("\n"), step.next());
            return output::page(&page).map_err(CommandError::Stream);
        }
    }
    Err(CommandError::Cluster(format!(
        "{} keeps changing, so nothing was written; repeat the command when its rollout is over",
        step.workload()
    )))
}

/// What was written; `None` where the workload changed between the look and the write, and may be looked at again.
async fn attempt(client: &Client, step: &Step, settings: &Settings) -> Result<Option<Change>, CommandError> {
    let named = step.workload();
    let survey = survey::survey(client, settings, |workload| is_named(workload, named))
        .await
        .map_err(CommandError::Cluster)?;
    let workload = find(&survey.snapshot, named).map_err(CommandError::Cluster)?;
    let assessment = survey
        .plan
        .assessments
        .iter()
        .find(|assessment| assessment.uid == workload.uid);
    let change = decide(step, workload, assessment)?;
    let is_written = write(client, workload, &change)
        .await
        .map_err(CommandError::Cluster)?;
    Ok(is_written.then_some(change))
}

fn decide(step: &Step, workload: &Workload, assessment: Option<&Assessment>) -> Result<Change, CommandError> {
    let container = step.container();
    let watched = || {
        let name = &workload.id;
        assessment.ok_or_else(|| {
            CommandError::Cluster(format!(
                "{name} is not watched; the annotation kubefresh.dev/watch=true opts it in"
            ))
        })
    };
    let change = match step {
        Step::Approve(_) => steer::approve(watched()?, container),
        Step::Hold(options) => steer::hold(workload, watched()?, container, &options.versions),
        Step::Release(options) => steer::release(workload, container, &options.versions),
        Step::Rollback(_) => steer::rollback(workload, container),
        Step::CheckNow(_) => watched().map(|_| Ok(steer::check_now(clock::now())))?,
    };
    Ok(change?)
}

/// The one workload of that name.
pub(super) fn is_named(id: &WorkloadId, name: &str) -> bool {
    let kind: &str = id.kind.into();
    let short = format!("{}/{}", id.namespace, id.name);
    name == short || name.eq_ignore_ascii_case(&format!("{kind}/{short}"))
}

pub(super) fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Workload, String> {
    let found: Vec<&Workload> = snapshot
        .workloads
        .iter()
        .map(AsRef::as_ref)
        .filter(|workload| is_named(&workload.id, name))
        .collect();
    match found.as_slice() {
        [workload] => Ok(workload),
        [] => Err(format!(
            "there is no workload {name:?}; write NAMESPACE/NAME or KIND/NAMESPACE/NAME, as kubefresh-updater status shows them"
        )),
        several => {
            let kinds: Vec<&str> = several.iter().map(|workload| workload.id.kind.into()).collect();
            Err(format!(
                "{name} is the name of several workloads: {}; write the kind before it",
                kinds.join(", ")
            ))
        }
    }
}

/// Only if the workload is still what the decision was made from; whether it was.
async fn write(client: &Client, workload: &Workload, change: &Change) -> Result<bool, String> {
    let body = patch::annotate(&workload.resource_version, &change.annotations);
    match api::patch(client, &workload.id, &body, FIELD_MANAGER).await {
        Ok(()) => Ok(true),
        Err(error) if failure(&error) == Failure::Conflict => Ok(false),
        Err(error) => Err(explain(&format!("patching {}", workload.id), &error)),
    }
}
