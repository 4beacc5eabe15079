//! The page that a link opens. To look at it changes nothing, whoever does, and however often: chat programs fetch what is
//! in a message. Only a form that is sent decides.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use shared::domain::approval_link::{ApprovalLink, LinkError};
use shared::domain::approvals::Tally;
use shared::domain::decision::{Decider, Decision, Journal};
use shared::domain::pages::page_of;
use shared::io::clock;

use super::Site;
use super::act::{Order, act, offered, refused, used, used_up};
use super::notes::Notes;
use super::person::{Person, Visitor, Way, is_from_our_page};
use super::refusal::Refusal;
use super::template;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Address {
    token: String,
    /// Of the address of Image-Watcher: it has to be the version that the link is for.
    version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    token: String,
    decision: String,
}

/// What a link is for, as it stands.
struct Subject {
    link: ApprovalLink,
    from: String,
    to: String,
    tag: String,
    digest: Option<String>,
    why: String,
    notes: Option<Notes>,
    /// Who has agreed, where several people have to.
    approvals: Option<Tally>,
}

impl Subject {
    /// Why somebody's approval would make no difference, if it would make none.
    fn objection(&self, by: &Decider) -> Option<String> {
        Some(self.approvals.as_ref()?.objection(by)?.to_string())
    }
}

pub(super) async fn show(
    State(site): State<Site>,
    Visitor(person): Visitor,
    Way { client, .. }: Way,
    Query(address): Query<Address>,
) -> Result<Response, Refusal> {
    site.0.limits.open_link(client)?;
    page(&site, &address, &decider(person)).await
}

/// Who decides by a link.
fn decider(person: Option<Person>) -> Decider {
    person.map_or_else(Decider::by_link, |person| person.by)
}

/// The address of Image-Watcher's messages.
pub(super) async fn upgrade(
    State(site): State<Site>,
    Visitor(person): Visitor,
    Way { client, .. }: Way,
    Path((namespace, name)): Path<(String, String)>,
    Query(address): Query<Address>,
) -> Result<Response, Refusal> {
    site.0.limits.open_link(client)?;
    let link = read(&site, &address.token)?;
    if link.workload.namespace != namespace || link.workload.name != name {
        return Err(forged());
    }
    page(&site, &address, &decider(person)).await
}

async fn page(site: &Site, address: &Address, by: &Decider) -> Result<Response, Refusal> {
    let subject = subject(site, &address.token, by).await?;
    if address
        .version
        .as_ref()
        .is_some_and(|version| !is_version(version, &subject.tag))
    {
        return Err(stale());
    }
    let id = &subject.link.workload;
    let content = json!({
        "token": address.token,
        "kind": id.kind.in_lower_case(),
        "namespace": id.namespace,
        "name": id.name,
        "container": subject.link.container,
        "from": subject.from,
        "to": subject.to,
        "tag": subject.tag,
        "digest": subject.digest,
        "why": subject.why,
        "expires": subject.link.expires,
        "objection": subject.objection(by),
        "notes": subject.notes,
    });
    Ok(template::form(StatusCode::OK, "approve.html", &content))
}

/// Whether a version is that of a tag, with or without the `v` that many write before it. The link says which tag is meant.
fn is_version(written: &str, tag: &str) -> bool {
    fn bare(version: &str) -> &str {
        let number = version.strip_prefix('v');
        let number = number.filter(|number| number.starts_with(|first: char| first.is_ascii_digit()));
        number.unwrap_or(version)
    }
    bare(written) == bare(tag)
}

pub(super) async fn decide(
    State(site): State<Site>,
    Visitor(person): Visitor,
    headers: HeaderMap,
    Form(answer): Form<Answer>,
) -> Result<Response, Refusal> {
    // The link itself is what no other page has; that it was sent from another is not to be believed all the same.
    if !is_from_our_page(&headers, &site.0.settings) {
        return Err(Refusal::foreign());
    }
    let undecidable = || Refusal::undecidable(&answer.decision);
    let decision: Decision = answer.decision.parse().map_err(|_| undecidable())?;
    let (heading, next) = match decision {
        Decision::Approve => (
            "Approved",
            "The replica that leads starts it, in its window if it has one, and follows it to its end.",
        ),
        Decision::Hold => (
            "Skipped",
            "This version is not offered again; what is newer is. kubefresh-updater release takes it back.",
        ),
        Decision::NotNow => (
            "Not now",
            "Nothing is updated. It waits on; this link is used up, and kubefresh-updater link makes another.",
        ),
        Decision::Release | Decision::Undo | Decision::CheckNow => return Err(undecidable()),
    };
    let by = decider(person);
    let Subject { link, approvals, .. } = subject(&site, &answer.token, &by).await?;
    let waits =
        decision == Decision::Approve && approvals.is_some_and(|approvals| !approvals.with(&by).is_enough());
    let order = Order {
        decision,
        workload: link.workload.clone(),
        container: Some(link.container.clone()),
        shown: Some(link.offer().to_owned()),
        by,
        link_until: Some(link.expires),
    };
    let mut lines = act(&site, order).await?;
    lines.push(if waits {
        "It waits for the word of others.".to_owned()
    } else {
        next.to_owned()
    });
    let content = json!({
        "heading": heading,
        "lines": lines,
        "back": page_of(&link.workload),
        "follow": decision == Decision::Approve,
    });
    Ok(template::page(StatusCode::OK, "message.html", &content))
}

fn read(site: &Site, token: &str) -> Result<ApprovalLink, Refusal> {
    let key = site.0.settings.signing_key.as_ref();
    let link = key.map_or(Err(LinkError::Forged), |key| {
        ApprovalLink::read(token, key, clock::now())
    });
    link.map_err(|error| match error {
        LinkError::Forged => forged(),
        LinkError::Expired { at } => {
            let problem = format!("The link was good until {at}. Nothing was changed.");
            Refusal::new(StatusCode::GONE, "This link has expired", problem)
        }
    })
}

fn forged() -> Refusal {
    let problem = "It was not made by this installation, or not with its present key. Nothing was changed.";
    Refusal::new(StatusCode::FORBIDDEN, "This is no link of ours", problem)
}

fn stale() -> Refusal {
    let problem = "The update that the link is for is no longer offered: it was done, skipped, or something newer took its \
                   place. Nothing was changed.";
    Refusal::new(StatusCode::GONE, "This is no longer offered", problem)
}

/// What a link is for, if that waits for somebody still.
async fn subject(site: &Site, token: &str, by: &Decider) -> Result<Subject, Refusal> {
    let link = read(site, token)?;
    let one = site.0.looker.one(&link.workload).await?;
    let journal = Journal::read(&one.assessment.workload.annotations);
    let journal = journal.map_err(|error| refused(&error))?;
    let key = (link.offer(), link.expires);
    if let Some(used) = used(&journal, &one, &link.container, by, key) {
        return Err(used_up(used));
    }
    let (entry, target) = offered(&one.assessment, &link.container)
        .filter(|(entry, target)| {
            link.is_to(&one.assessment.workload.uid, entry, target) && entry.verdict.approvable().is_some()
        })
        .ok_or_else(stale)?;
    let step = (entry.image.as_str(), target.image.as_str());
    Ok(Subject {
        notes: Notes::of(&one.snapshot, &one.assessment.workload, &link.container, step),
        from: entry.image.clone(),
        to: target.image.clone(),
        tag: target.tag.to_string(),
        digest: target.digest.as_ref().map(ToString::to_string),
        why: entry.verdict.to_string(),
        approvals: target.approvals().cloned(),
        link,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_that_of_a_tag_with_or_without_its_v_and_of_no_other() {
        for (written, tag, expected) in [
            ("1.2.3", "1.2.3", true),
            ("1.2.3", "v1.2.3", true),
            ("v1.2.3", "1.2.3", true),
            ("v1.2.3", "v1.2.3", true),
            ("1.2.3", "v1.2.30", false),
            ("1.2.3", "1.2.3-alpine", false),
            ("1.2.3", "vv1.2.3", false),
            ("ersion", "version", false),
            ("", "v1", false),
        ] {
            assert_eq!(is_version(written, tag), expected, "{written} {tag}");
        }
    }
}
