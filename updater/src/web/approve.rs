//! The page that a link opens. To look at it changes nothing, whoever does, and however often: chat programs fetch what is
//! in a message. Only a form that is sent decides.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use shared::domain::approval_link::{ApprovalLink, LinkError};
use shared::domain::approvals::Approvals;
use shared::domain::plan::Verdict;
use shared::io::clock;

use super::Site;
use super::act::{Decision, Order, act, offered, used_up};
use super::person::{Visitor, is_from_our_page};
use super::refusal::Refusal;
use super::row::kind;
use super::template;

/// Who decides by a link and is not signed in.
const LINK: &str = "whoever has the link";

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
}

pub(super) async fn show(
    State(site): State<Site>,
    Query(address): Query<Address>,
) -> Result<Response, Refusal> {
    page(&site, &address).await
}

/// The address of Image-Watcher's messages.
pub(super) async fn upgrade(
    State(site): State<Site>,
    Path((namespace, name)): Path<(String, String)>,
    Query(address): Query<Address>,
) -> Result<Response, Refusal> {
    let link = read(&site, &address.token)?;
    if link.workload.namespace != namespace || link.workload.name != name {
        return Err(forged());
    }
    page(&site, &address).await
}

async fn page(site: &Site, address: &Address) -> Result<Response, Refusal> {
    let subject = subject(site, &address.token).await?;
    if address
        .version
        .as_ref()
        .is_some_and(|version| *version != subject.tag)
    {
        return Err(stale());
    }
    let id = &subject.link.workload;
    let content = json!({
        "token": address.token,
        "kind": kind(id.kind),
        "namespace": id.namespace,
        "name": id.name,
        "container": subject.link.container,
        "from": subject.from,
        "to": subject.to,
        "tag": subject.tag,
        "digest": subject.digest,
        "why": subject.why,
        "expires": subject.link.expires,
    });
    Ok(template::form(StatusCode::OK, "approve.html", &content))
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
    let by = person.map_or_else(|| LINK.to_owned(), |person| person.name);
    let decision = match answer.decision.as_str() {
        "approve" => Decision::Approve,
        "hold" => Decision::Hold,
        "not-now" => {
            let link = read(&site, &answer.token)?;
            let lines = vec![
                "Nothing was changed.".to_owned(),
                format!("The link stays good until {}.", link.expires),
            ];
            return Ok(said(&link, "Not now", &lines));
        }
        other => {
            let problem = format!("{other:?} is nothing that can be decided.");
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "This cannot be meant",
                problem,
            ));
        }
    };
    let subject = subject(&site, &answer.token).await?;
    let expected = subject.link.offer();
    let order = Order {
        decision,
        workload: &subject.link.workload,
        container: Some(&subject.link.container),
        offer: Some(expected),
        by: &by,
        once: true,
    };
    let mut lines = act(&site, order).await?;
    let (heading, next) = match decision {
        Decision::Approve => (
            "Approved",
            "The replica that leads starts it, in its window if it has one, and follows it to its end.",
        ),
        Decision::Hold | Decision::Undo | Decision::CheckNow => (
            "Skipped",
            "This version is not offered again; what is newer is. kubefresh-updater release takes it back.",
        ),
    };
    lines.push(next.to_owned());
    Ok(said(&subject.link, heading, &lines))
}

fn said(link: &ApprovalLink, heading: &str, lines: &[String]) -> Response {
    let id = &link.workload;
    let back = format!("/workload/{}/{}/{}", kind(id.kind), id.namespace, id.name);
    let content = json!({ "heading": heading, "lines": lines, "back": back });
    template::page(StatusCode::OK, "message.html", &content)
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
async fn subject(site: &Site, token: &str) -> Result<Subject, Refusal> {
    let link = read(site, token)?;
    let one = site.0.looker.one(&link.workload).await?;
    let approvals = Approvals::read(&one.workload.annotations).unwrap_or_default();
    if let Some(used) = approvals.of(link.offer()) {
        return Err(used_up(used));
    }
    let (entry, target) = offered(&one.assessment, &link.container)
        .filter(|(entry, target)| {
            link.is_to(&one.workload.uid, entry, target)
                && matches!(entry.verdict, Verdict::AwaitingApproval(_))
        })
        .ok_or_else(stale)?;
    Ok(Subject {
        from: entry.image.clone(),
        to: target.image.clone(),
        tag: target.tag.to_string(),
        digest: target.digest.as_ref().map(ToString::to_string),
        why: entry.verdict.to_string(),
        link,
    })
}
