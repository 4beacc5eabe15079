//! `approve`, `hold`, `release`, `rollback` and `check-now`: the annotations that a person could write, written for them and checked first.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::{Api, Client};
use shared::domain::decision::{Decider, Decision};
use shared::domain::plan::{Assessment, Snapshot};
use shared::domain::policy::Hold;
use shared::domain::steer::{self, Change, Exactness, Word};
use shared::domain::workload::{Workload, WorkloadId};
use shared::io::client;
use shared::io::clock;
use shared::io::terminal::output;
use tokio::time::timeout;

use super::{CommandError, survey};
use crate::cli::Settings;
use crate::decisions::{Pen, Unwritten};

const FIELD_MANAGER: &str = "kubefresh-command";
/// How long it is waited for who runs the command.
const WHO_LIMIT: Duration = Duration::from_secs(5);

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

    fn decision(&self) -> Decision {
        match self {
            Self::Approve(_) => Decision::Approve,
            Self::Hold(_) => Decision::Hold,
            Self::Release(_) => Decision::Release,
            Self::Rollback(_) => Decision::Undo,
            Self::CheckNow(_) => Decision::CheckNow,
        }
    }

    fn next(&self) -> &'static str {
        match self {
            Self::Approve(_) => {
                "the updater that leads starts it at its next look, where no more people have to agree; kubefresh-updater status follows it"
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

/// Decides, writes, tells, and says what was written.
pub async fn steer(step: Step, settings: Settings) -> Result<(), CommandError> {
    let client = client::connect(client::CALL_LIMIT).await?;
    let by = who(&client).await;
    let pen = Pen {
        client: &client,
        manager: FIELD_MANAGER,
        pod: &settings.pod_name,
    };
    let look = || attempt(&client, &step, &settings, &by);
    let meaning = pen.write(step.decision(), &by, look).await.map_err(refusal)?;
    let page = format!("{}\nnext: {}\n", meaning.join("\n"), step.next());
    output::page(&page).map_err(CommandError::Stream)
}

fn refusal(unwritten: Unwritten<CommandError>) -> CommandError {
    match unwritten {
        Unwritten::Refused(error) => error,
        Unwritten::Failed(problem) => CommandError::Cluster(problem),
        Unwritten::KeepsChanging => CommandError::Cluster(
            "it keeps changing, so nothing was written; repeat the command when its rollout is over"
                .to_owned(),
        ),
        Unwritten::Unanswered => CommandError::Cluster(
            "the API server did not answer in time; look whether it was written before you repeat the command"
                .to_owned(),
        ),
    }
}

/// As whom the API server knows whoever runs the command. Not to know it is no reason not to obey: whoever may patch a
/// workload may write its annotations by hand.
async fn who(client: &Client) -> Decider {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let (parameters, question) = (PostParams::default(), SelfSubjectReview::default());
    let asked = reviews.create(&parameters, &question);
    let review = match timeout(WHO_LIMIT, asked).await {
        Ok(Ok(review)) => review,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the API server does not say who runs this command");
            return Decider::nobody_knows();
        }
        Err(_) => return Decider::nobody_knows(),
    };
    let user = review.status.and_then(|status| status.user_info);
    let name = user
        .and_then(|user| user.username)
        .filter(|name| !name.is_empty());
    name.map_or_else(Decider::nobody_knows, |name| Decider::in_cluster(&name))
}

/// What would be written of the workload as it is now.
async fn attempt(
    client: &Client,
    step: &Step,
    settings: &Settings,
    by: &Decider,
) -> Result<(Arc<Workload>, Change), CommandError> {
    let named = step.workload();
    let survey = survey::survey(client, settings, |workload| is_named(workload, named))
        .await
        .map_err(CommandError::Cluster)?;
    let workload = find(&survey.snapshot, named).map_err(CommandError::Cluster)?;
    let assessment = survey
        .plan
        .assessments
        .iter()
        .find(|assessment| assessment.workload.uid == workload.uid);
    let word = Word {
        decision: step.decision(),
        by,
        link_until: None,
    };
    let change = decide(step, workload, assessment, by)?.signed(workload, word, clock::now())?;
    Ok((Arc::clone(workload), change))
}

fn decide(
    step: &Step,
    workload: &Workload,
    assessment: Option<&Assessment>,
    by: &Decider,
) -> Result<Change, CommandError> {
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
        Step::Approve(_) => steer::approve(watched()?, container, Exactness::Tag, by),
        Step::Hold(options) => steer::hold(watched()?, container, &options.versions),
        Step::Release(options) => steer::release(workload, container, &options.versions),
        Step::Rollback(_) => steer::rollback(workload, container),
        Step::CheckNow(_) => steer::check_now(watched()?, clock::now()),
    };
    Ok(change?)
}

/// The one workload of that name.
pub(super) fn is_named(id: &WorkloadId, name: &str) -> bool {
    let kind: &str = id.kind.into();
    let short = format!("{}/{}", id.namespace, id.name);
    name == short || name.eq_ignore_ascii_case(&format!("{kind}/{short}"))
}

pub(super) fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Arc<Workload>, String> {
    let found: Vec<&Arc<Workload>> = snapshot
        .workloads
        .iter()
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
