//! One container: what the record says of it, where its policy would go, and whether that may begin now.

use std::sync::Arc;

use jiff::Timestamp;

use super::gate::Gate;
use super::running::{Running, running, with_surroundings};
use super::verdict::{Target, Terms, Verdict};
use super::{PlanLimits, Snapshot};
use crate::domain::annotations::{Approved, HOLD, Mode, WriteBack, of_container};
use crate::domain::approval_link::offer_of;
use crate::domain::approvals::{Quorum, Tally};
use crate::domain::in_flight::last_given;
use crate::domain::ownership::Keeper;
use crate::domain::policy::{
    Conditions, Maturity, Rejection, Selection, SelectionReason, SelectionRequest, UpdatePolicy, select,
    suits,
};
use crate::domain::record::config_map::RecordError;
use crate::domain::record::{Findings, TagRecord};
use crate::domain::reference::{Digest, ImageReference, Tag};
use crate::domain::schedule::Schedule;
use crate::domain::time::is_of_the_future;
use crate::domain::watched::Watched;
use crate::domain::workload::Workload;

/// The decision for one container.
pub(super) fn decide(
    workload: &Workload,
    watched: &Watched,
    snapshot: &Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Verdict {
    if watched.settings.mode == Mode::Off {
        return Verdict::ModeOff;
    }
    let mut target = match offered(workload, watched, snapshot, limits, now) {
        Ok(target) => Box::new(target),
        Err(verdict) => return verdict,
    };
    target.kept_by = kept_by(workload, watched);
    let (consent, terms) = consent(workload, watched, snapshot, &target, now);
    target.terms = terms;
    match consent {
        Consent::LeftToPeople => Verdict::Notify(target),
        Consent::Notes { until } => Verdict::Waiting {
            target,
            gate: Gate::ReleaseNotes,
            until: Some(until),
        },
        Consent::Asked => Verdict::AwaitingApproval(target),
        Consent::Given if target.kept_by.is_some() => Verdict::Waiting {
            target,
            gate: Gate::Kept,
            until: None,
        },
        Consent::Given if workload.paused => Verdict::Waiting {
            target,
            gate: Gate::Paused,
            until: None,
        },
        Consent::Given => Verdict::Update(target),
    }
}

/// Whose word an update needs before it may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Nobody's, or they have given it: it starts by itself once nothing is in its way.
    Given,
    /// Somebody is asked.
    Asked,
    /// To be known from its notes, which are waited for until then.
    Notes { until: Timestamp },
    /// None: whoever wants it does it.
    LeftToPeople,
}

/// Whose word it needs to go to `target` in a mode other than `off`, and what else there is to that.
pub(super) fn consent(
    workload: &Workload,
    watched: &Watched,
    snapshot: &Snapshot,
    target: &Target,
    now: Timestamp,
) -> (Consent, Option<Arc<Terms>>) {
    let mode = watched.settings.mode;
    let demand = risk_demand(workload, watched, snapshot, target, now);
    let asks = mode == Mode::Approve
        || matches!(demand, Some(Demanded::Approval(_)))
        || taken_back(workload, watched, &target.image);
    let terms = terms(workload, watched, target, (demand.as_ref(), asks), now);
    let approvals = terms.as_ref().and_then(|terms| terms.approvals.as_ref());
    let is_agreed = match approvals {
        Some(approvals) => approvals.is_enough(),
        None => approves(watched.settings.approved.as_ref(), watched, target),
    };
    let consent = match (mode, demand) {
        (Mode::Off | Mode::Notify, _) => Consent::LeftToPeople,
        (Mode::Auto | Mode::Approve, _) if is_agreed => Consent::Given,
        (Mode::Auto | Mode::Approve, Some(Demanded::Notes { until })) => Consent::Notes { until },
        (Mode::Auto | Mode::Approve, _) if asks => Consent::Asked,
        (Mode::Auto | Mode::Approve, _) => Consent::Given,
    };
    (consent, terms)
}

/// What its risk asks for before an update may start by itself.
#[derive(Debug, PartialEq, Eq)]
enum Demanded {
    /// Somebody's word, and why.
    Approval(String),
    /// To know its notes first, which are waited for until then.
    Notes { until: Timestamp },
}

/// Only in mode `auto`: in all others nothing starts by itself.
fn risk_demand(
    workload: &Workload,
    watched: &Watched,
    snapshot: &Snapshot,
    target: &Target,
    now: Timestamp,
) -> Option<Demanded> {
    let asked_for = &watched.settings.require_approval;
    if asked_for.is_empty() || watched.settings.mode != Mode::Auto {
        return None;
    }
    let (risk, expected_until) = snapshot.risk_of(workload, watched, target, now);
    let why = risk.asks(asked_for)?;
    // What is known already does not change by the notes.
    let is_settled = asked_for.iter().any(|flag| {
        risk.flags.contains_key(flag) || (!flag.is_of_notes() && risk.unknown.contains_key(flag))
    });
    match expected_until.filter(|_| !is_settled) {
        Some(until) => Some(Demanded::Notes { until }),
        None => Some(Demanded::Approval(why)),
    }
}

/// What `tell` makes of the choice that the decision is made from, or why there is none.
pub(in crate::domain) fn choice<T>(
    workload: &Workload,
    watched: &Watched,
    snapshot: &Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
    tell: impl FnOnce(&Findings, &Selection<'_>) -> T,
) -> Result<T, Verdict> {
    let findings = findings(watched, snapshot, limits, now)?;
    let running = running(workload, watched, findings, snapshot)?;
    let surrounded = with_surroundings(running, workload, watched, findings, snapshot)?;
    Ok(tell(findings, &selection(watched, findings, &surrounded, now)))
}

/// Who would take an update back, unless we were told to write it all the same.
fn kept_by(workload: &Workload, watched: &Watched) -> Option<Arc<Keeper>> {
    match watched.settings.write_back {
        Some(WriteBack::Cluster) => None,
        None => {
            let keeper = workload.keeper_of(&watched.container)?;
            keeper.takes_back().then(|| Arc::clone(keeper))
        }
    }
}

/// Where the policy would go, for all that is known.
fn offered(
    workload: &Workload,
    watched: &Watched,
    snapshot: &Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Result<Target, Verdict> {
    let findings = findings(watched, snapshot, limits, now)?;
    let running = running(workload, watched, findings, snapshot)?;
    let first = target(workload, watched, findings, &running, now)?;
    let surrounded = with_surroundings(running.clone(), workload, watched, findings, snapshot)?;
    if surrounded == running {
        return Ok(first);
    }
    target(workload, watched, findings, &surrounded, now)
}

/// What the record says, if it may be relied on.
fn findings<'a>(
    watched: &Watched,
    snapshot: &'a Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Result<&'a Findings, Verdict> {
    let repository = watched.image.repository();
    let record = match snapshot.records.get(&watched.record) {
        None => return Err(Verdict::NoRecord),
        Some(Err(error)) => return Err(Verdict::RecordUnreadable(error.clone())),
        Some(Ok(record)) if record.repository != *repository => {
            let (found, expected) = (record.repository.clone(), repository.clone());
            return Err(Verdict::RecordUnreadable(RecordError::OtherRepository {
                name: watched.record.clone(),
                found,
                expected,
            }));
        }
        Some(Ok(record)) => record,
    };
    let findings = record.findings.as_ref().ok_or(Verdict::NeverScanned)?;
    if !is_fresh(findings.scanned_at, watched.schedule.as_deref(), limits, now) {
        return Err(Verdict::RecordStale {
            scanned_at: findings.scanned_at,
        });
    }
    if findings.covers(&watched.demand) {
        Ok(findings)
    } else {
        let error = record.last_error.as_ref();
        Err(Verdict::NotScannedFor {
            error: error.map(|error| error.message.clone()),
        })
    }
}

/// Whether findings are new enough: by their age, or because no scan of their schedule was missed for that long.
///
/// A time in the future is that of a wrong clock, and nobody knows how old they are: they would stay fresh for as long as that.
fn is_fresh(scanned_at: Timestamp, schedule: Option<&Schedule>, limits: &PlanLimits, now: Timestamp) -> bool {
    if is_of_the_future(scanned_at, now) {
        return false;
    }
    let is_recent = |time: Timestamp| now.duration_since(time) <= limits.max_record_age;
    let is_on_schedule = |schedule: &Schedule| {
        let fell_due = schedule.last(now);
        fell_due.is_none_or(|fell_due| fell_due <= scanned_at || is_recent(fell_due))
    };
    is_recent(scanned_at) || schedule.is_some_and(is_on_schedule)
}

/// Where the policy would go by these findings.
fn target(
    workload: &Workload,
    watched: &Watched,
    findings: &Findings,
    running: &Running,
    now: Timestamp,
) -> Result<Target, Verdict> {
    let selection = selection(watched, findings, running, now);
    if let Some(tag) = selection.update() {
        let superseded_at = selection.matures_at;
        let target = written_target(watched, findings, running, tag);
        let target = target.map(|target| Target {
            superseded_at,
            ..target
        });
        // The scanner knows of no nodes: the digest of what could go before an image that lacks a platform is not looked up.
        let instead =
            |unwritten| without_platform(watched, findings, running, &selection, tag).unwrap_or(unwritten);
        return target.map_err(instead);
    }
    let matures_at = selection.matures_at;
    let coming = matures_at.and_then(|then| self::selection(watched, findings, running, then).update());
    if let Some(tag) = coming {
        return Err(Verdict::Waiting {
            target: Box::new(written_target(watched, findings, running, tag)?),
            gate: Gate::MinAge,
            until: matures_at,
        });
    }
    let refused = refused(workload, watched, findings, running, &selection);
    Err(refused.unwrap_or_else(|| Verdict::UpToDate {
        reason: selection.reason,
        successor: selection.successor.map(|successor| successor.newest.clone()),
        repinned: watched.repinned(),
    }))
}

/// The verdict where a condition refuses what is newer. What is too young has been looked for before.
fn refused(
    workload: &Workload,
    watched: &Watched,
    findings: &Findings,
    running: &Running,
    selection: &Selection<'_>,
) -> Option<Verdict> {
    let newest = |rejection: Rejection| newest_rejected(watched, findings, selection, rejection);
    if selection.reason == SelectionReason::Held {
        return Some(held(workload, watched, newest(Rejection::Held)));
    }
    if selection.reason == SelectionReason::SameDigest {
        let tag = newest(Rejection::SameDigest).clone();
        return Some(Verdict::SameImage { tag });
    }
    if selection.reason != SelectionReason::PlatformMissing {
        return None;
    }
    let tag = newest(Rejection::PlatformMissing);
    let verdict = waits_for_platform(watched, findings, running, tag);
    Some(verdict.unwrap_or_else(|unwritten| unwritten))
}

/// The verdict where what is newer than `tag` lacks a platform.
fn without_platform(
    watched: &Watched,
    findings: &Findings,
    running: &Running,
    selection: &Selection<'_>,
    tag: &Tag,
) -> Option<Verdict> {
    let lacking = newest_rejected(watched, findings, selection, Rejection::PlatformMissing);
    let candidates = findings.candidates(&watched.demand).into_iter();
    let mut newer = candidates.take_while(|candidate| *candidate != tag);
    newer.find(|candidate| *candidate == lacking)?;
    waits_for_platform(watched, findings, running, lacking).ok()
}

fn waits_for_platform(
    watched: &Watched,
    findings: &Findings,
    running: &Running,
    tag: &Tag,
) -> Result<Verdict, Verdict> {
    Ok(Verdict::Waiting {
        target: Box::new(written_target(watched, findings, running, tag)?),
        gate: platform_missing(findings, running, tag),
        until: None,
    })
}

fn selection<'a>(
    watched: &'a Watched,
    findings: &'a Findings,
    running: &'a Running,
    now: Timestamp,
) -> Selection<'a> {
    let demand = &watched.demand;
    let remote_digest = findings
        .tag(&demand.tag)
        .and_then(|record| record.digest.as_ref());
    let maturity = watched.settings.min_age.map(|min_age| Maturity { min_age, now });
    let request = SelectionRequest {
        current_digest: running.digest.as_ref(),
        runs_nowhere: running.nowhere,
        remote_digest,
        conditions: Conditions {
            held: &watched.settings.held,
            maturity,
            node_platforms: &running.platforms,
        },
        ..demand.request()
    };
    select(&request, findings.offers())
}

fn written_target(
    watched: &Watched,
    findings: &Findings,
    running: &Running,
    tag: &Tag,
) -> Result<Target, Verdict> {
    let Watched { image, demand, .. } = watched;
    let digest = findings.tag(tag).and_then(|record| record.digest.clone());
    let image = written(
        image,
        demand.pinned || demand.policy.follows_digest(),
        tag,
        digest.as_ref(),
    )
    .ok_or_else(|| Verdict::DigestNotRecorded {
        tag: tag.clone(),
        is_newer: *tag != demand.tag,
    })?;
    Ok(Target {
        tag: tag.clone(),
        digest,
        image,
        superseded_at: None,
        ran: running.exact.clone().map(Box::new),
        kept_by: None,
        terms: None,
    })
}

/// The newest of the tags that this condition refuses; under a digest policy the only one.
fn newest_rejected<'a>(
    watched: &'a Watched,
    findings: &'a Findings,
    selection: &Selection<'_>,
    rejection: Rejection,
) -> &'a Tag {
    let rejected: Vec<&Tag> = selection.rejected.under(rejection).collect();
    let is_rejected = |tag: &&Tag| rejected.contains(tag);
    let mut newest_first = findings.candidates(&watched.demand).into_iter();
    newest_first.find(is_rejected).unwrap_or(&watched.demand.tag)
}

/// On which of the platforms it has to run on a tag is not published.
fn platform_missing(findings: &Findings, running: &Running, tag: &Tag) -> Gate {
    let published = findings.tag(tag).and_then(TagRecord::known_platforms);
    let is_missing =
        |node: &str| published.is_some_and(|published| !published.keys().any(|image| suits(image, node)));
    let platforms = running.platforms.iter().map(String::as_str);
    let missing: Vec<&str> = platforms.filter(|platform| is_missing(platform)).collect();
    Gate::PlatformMissing {
        platforms: missing.join(", "),
    }
}

/// The verdict where nothing but a hold stands against what is newer.
fn held(workload: &Workload, watched: &Watched, tag: &Tag) -> Verdict {
    let own = of_container(&watched.container, HOLD);
    let keys = [own, HOLD.to_owned()].into_iter();
    let by = keys
        .filter(|key| workload.annotations.contains_key(key))
        .collect();
    Verdict::Held { tag: tag.clone(), by }
}

/// The new image in the spelling of the old one: with a digest where that has one.
fn written(image: &ImageReference, pin: bool, tag: &Tag, digest: Option<&Digest>) -> Option<String> {
    if pin {
        digest.map(|digest| image.with_tag_and_digest(tag, digest).to_string())
    } else {
        Some(image.text_with_tag(tag))
    }
}

/// What else there is to an approval, where there may be one.
fn terms(
    workload: &Workload,
    watched: &Watched,
    target: &Target,
    (demand, asks): (Option<&Demanded>, bool),
    now: Timestamp,
) -> Option<Arc<Terms>> {
    let risk = match demand {
        Some(Demanded::Approval(why)) => Some(why.clone()),
        Some(Demanded::Notes { .. }) | None => None,
    };
    let needed = watched.settings.approvers.filter(|needed| needed.get() > 1);
    let approvals = needed.filter(|_| asks || demand.is_some()).map(|needed| {
        let offer = offer_of(
            &workload.uid,
            &watched.container,
            &watched.image.to_string(),
            target,
        );
        let quorum = Quorum {
            people: needed.get(),
            within: watched.settings.approval_deadline,
        };
        Tally::of(&workload.annotations, &offer, quorum, now)
    });
    (risk.is_some() || approvals.is_some()).then(|| Arc::new(Terms { risk, approvals }))
}

/// Whether somebody, a person or another controller, took back this image, or a newer one, after we gave it. Giving it again
/// by ourselves would be a fight that nobody wins, and so would anything between it and what they chose.
pub(super) fn taken_back(workload: &Workload, watched: &Watched, target: &str) -> bool {
    let given = last_given(&workload.annotations, &watched.container);
    let parse = |image: &str| image.parse::<ImageReference>().ok();
    let Some((given, target)) = given
        .and_then(parse)
        .and_then(|given| Some((given, parse(target)?)))
    else {
        return false;
    };
    let (Some(given_tag), Some(target_tag)) = (given.effective_tag(), target.effective_tag()) else {
        return false;
    };
    if given.repository() != target.repository() {
        return false;
    }
    if given_tag == target_tag {
        return given.digest() == target.digest();
    }
    is_older(&target_tag, &given_tag, &watched.demand.policy)
}

/// Whether a policy calls `tag` older than `other`. How far it would go from there does not matter, as long as it can tell.
pub(super) fn is_older(tag: &Tag, other: &Tag, policy: &UpdatePolicy) -> bool {
    let from_there = SelectionRequest::new(other, policy);
    let selection = select(&from_there, [tag]);
    selection.rejected.under(Rejection::NotNewer).next().is_some()
}

fn approves(approved: Option<&Approved>, watched: &Watched, target: &Target) -> bool {
    match approved {
        None => false,
        // Under the policy `digest` the tag stays the same for ever: agreeing to it would agree to everything to come.
        Some(Approved::Tag(tag)) => !watched.demand.policy.follows_digest() && *tag == target.tag,
        Some(Approved::Digest(digest)) => target.digest.as_ref() == Some(digest),
    }
}
