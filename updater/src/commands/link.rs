//! `link`: addresses that agree to what waits, for whoever is to decide and has no kubectl.

use shared::domain::approval_link::ApprovalLink;
use shared::io::client;
use shared::io::terminal::output;

use super::steer::{WorkloadOptions, find, is_named};
use super::{CommandError, survey};
use crate::cli::Settings;

/// Shown below the options.
pub const EXAMPLES: &str = "\
Example:
  kubefresh-updater link shop/checkout

It needs the key that the updater has, so run it in its pod: kubectl -n kubefresh exec deploy/kubefresh-updater -- …";

/// Prints one address for each container of a workload that waits.
pub async fn link(options: WorkloadOptions, settings: Settings) -> Result<(), CommandError> {
    let refused = CommandError::Cluster;
    let pages = settings.page.pages();
    if pages.key.is_none() {
        return Err(refused(
            "there are no links without a key: set SIGNING_KEY_FILE".to_owned(),
        ));
    }
    if pages.base.is_none() {
        return Err(refused("set BASE_URL to where people reach the pages".to_owned()));
    }
    let client = client::connect(client::CALL_LIMIT).await?;
    let named = options.workload.as_str();
    let survey = survey::survey(&client, &settings, |workload| is_named(workload, named)).await;
    let survey = survey.map_err(CommandError::Cluster)?;
    let workload = find(&survey.snapshot, named).map_err(CommandError::Cluster)?;
    let mut assessments = survey.plan.assessments.iter();
    let assessment = assessments.find(|assessment| assessment.workload.uid == workload.uid);
    let expires = survey.at.checked_add(pages.expiry);
    let expires = expires.map_err(|error| refused(error.to_string()))?;
    let entries = assessment
        .into_iter()
        .flat_map(|assessment| &assessment.containers);
    let wanted = |container: &str| options.container.as_ref().is_none_or(|name| name == container);
    let links: Vec<String> = entries
        .filter(|entry| wanted(&entry.container))
        .filter_map(|entry| {
            let target = entry.verdict.approvable()?;
            let link = ApprovalLink::new(&workload.id, &workload.uid, entry, target, expires);
            Some(pages.to_decide(&link)? + "\n")
        })
        .collect();
    if links.is_empty() {
        return Err(refused(format!(
            "nothing of {} waits for approval; kubefresh-updater plan says why",
            workload.id
        )));
    }
    output::page(&links.concat()).map_err(CommandError::Stream)
}
