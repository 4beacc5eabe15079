//! Which repositories are in use, and what is asked of each: the cluster is read, never written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use shared::domain::annotations::{Installation, Layer, Namespaces};
use shared::domain::record::choices::Reserve;
use shared::domain::record::{ScanRecord, TAGS_PER_RECORD};
use shared::domain::reference::Repository;
use shared::domain::watched::{self, Demand, Problem};
use shared::domain::workload::{Workload, WorkloadId, WorkloadKind, WorkloadObject};
use shared::io::client::explain;
use shared::io::list;
use shared::io::source::Source;

use crate::credentials::Puller;
use crate::schedules::Schedules;

/// How many different demands a repository is asked for: a record then has room for the tag in use and the choice of each.
/// Clusters have a few dozen; more is a mistake, or somebody who wants to crowd out the others.
pub const DEMANDS_PER_REPOSITORY: usize = TAGS_PER_RECORD / 2;

/// How much of what is held against the newest tags of a repository is looked at.
const RESERVES_PER_REPOSITORY: usize = 100;

/// How many bytes the demands may take in the record of a repository, in all.
const DEMAND_BYTES_PER_REPOSITORY: usize = 256 << 10;

/// What the watched workloads ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// However many workloads share a repository, it stands here once.
    wanted: BTreeMap<Repository, Wanted>,
    /// Each puller, with the first workload that pulls so.
    pub pullers: BTreeMap<Puller, WorkloadId>,
    /// Watched workloads.
    pub workloads: usize,
    /// Workloads that cannot be read; the updater tells their owners.
    pub stopped: Vec<(WorkloadId, Vec<Problem>)>,
}

/// What the workloads that use one repository want of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    /// By namespace, at most [`RESERVES_PER_REPOSITORY`] of each.
    reserves: BTreeMap<String, BTreeSet<(Demand, Reserve)>>,
    by_namespace: BTreeMap<String, BTreeSet<Demand>>,
    schedules: Schedules,
    pullers: BTreeSet<Puller>,
}

/// What one repository is to be asked for, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// At most [`DEMANDS_PER_REPOSITORY`].
    pub demands: BTreeSet<Demand>,
    /// Where the newest tag that a demand would have may not be the one that is to be pinned, in turn one of each namespace.
    /// At most [`RESERVES_PER_REPOSITORY`].
    pub reserves: Vec<(Demand, Reserve)>,
    pub schedules: Schedules,
    /// Who pulls from it.
    pub pullers: BTreeSet<Puller>,
}

impl Request {
    /// Whether the repository is to be asked in a run at `now`, when this is known of it.
    pub(crate) fn is_due(
        &self,
        repository: &Repository,
        previous: Option<&ScanRecord>,
        now: Timestamp,
    ) -> bool {
        self.schedules.are_due(repository, &self.demands, previous, now)
    }
}

impl Inventory {
    /// Takes in a workload that lies over this.
    pub fn add(&mut self, workload: &Workload, layer: &Layer, puller: &Puller) {
        match watched::read(workload, layer) {
            Ok(reading) => {
                self.workloads += usize::from(!reading.watched.is_empty());
                for watched in reading.watched {
                    let wanted = self.wanted.entry(watched.image.repository().clone()).or_default();
                    wanted.pullers.insert(puller.clone());
                    if let Some(reserve) = Reserve::of(&watched) {
                        let namespace = workload.id.namespace.clone();
                        let reserves = wanted.reserves.entry(namespace).or_default();
                        reserves.insert((watched.demand.clone(), reserve));
                        if reserves.len() > RESERVES_PER_REPOSITORY {
                            reserves.pop_last();
                        }
                    }
                    wanted.schedules.add(watched.schedule);
                    self.pullers
                        .entry(puller.clone())
                        .or_insert_with(|| workload.id.clone());
                    wanted
                        .by_namespace
                        .entry(workload.id.namespace.clone())
                        .or_default()
                        .insert(watched.demand);
                }
            }
            Err(problems) => self.stopped.push((workload.id.clone(), problems)),
        }
    }

    /// What to ask of each repository. Nothing of it stays here.
    pub fn take_requests(&mut self) -> BTreeMap<Repository, Request> {
        let request = |(repository, wanted): (Repository, Wanted)| {
            let request = Request {
                demands: in_turn(&wanted.by_namespace),
                reserves: one_of_each(wanted.reserves),
                schedules: wanted.schedules,
                pullers: wanted.pullers,
            };
            (repository, request)
        };
        std::mem::take(&mut self.wanted)
            .into_iter()
            .map(request)
            .collect()
    }
}

/// In turn one demand of the namespace that has had the least so far, in bytes of the record, until there are enough: no
/// namespace can crowd out another, whether by many demands or by long ones.
fn in_turn(wanted: &BTreeMap<String, BTreeSet<Demand>>) -> BTreeSet<Demand> {
    let mut turns: BTreeSet<(usize, &str)> = wanted.keys().map(|namespace| (0, namespace.as_str())).collect();
    let mut left: BTreeMap<&str, _> = wanted
        .iter()
        .map(|(namespace, demands)| (namespace.as_str(), demands.iter()))
        .collect();
    let mut demands = BTreeSet::new();
    let mut room = DEMAND_BYTES_PER_REPOSITORY;
    while demands.len() < DEMANDS_PER_REPOSITORY
        && let Some((had, namespace)) = turns.pop_first()
    {
        let Some(demand) = left.get_mut(namespace).and_then(Iterator::next) else {
            continue;
        };
        let length = demand.to_string().len() + 1;
        if demands.contains(demand) {
            turns.insert((had, namespace));
        } else if let Some(rest) = room.checked_sub(length) {
            room = rest;
            demands.insert(demand.clone());
            turns.insert((had + length, namespace));
        } else {
            tracing::warn!(namespace, %demand, "a repository is asked for so much that this is left out");
        }
    }
    demands
}

/// The first of each namespace, then the second, and so on: where not all can be served, no namespace crowds out another.
fn one_of_each<T: Ord + Clone>(by_namespace: BTreeMap<String, BTreeSet<T>>) -> Vec<T> {
    let ranked = by_namespace
        .into_values()
        .flat_map(|wanted| wanted.into_iter().enumerate());
    let mut ranked: Vec<(usize, T)> = ranked.collect();
    ranked.sort();
    let mut seen = BTreeSet::new();
    ranked.retain(|(_, wanted)| seen.insert(wanted.clone()));
    let first = ranked.into_iter().take(RESERVES_PER_REPOSITORY);
    first.map(|(_, wanted)| wanted).collect()
}

/// Where workloads are scanned for, and what holds for those that do not say otherwise.
#[derive(Debug, Clone)]
pub struct Scope {
    /// All when none is named.
    pub namespaces: Vec<String>,
    /// Labels that the namespaces have to have besides.
    pub selector: Option<String>,
    pub installation: Arc<Installation>,
}

/// Reads the workloads. The error says in one sentence what could not be read.
pub async fn take(client: &Client, scope: &Scope) -> Result<Inventory, String> {
    // Before the workloads: one whose namespace came later waits for the next run.
    let known = namespaces(client, scope).await?;
    let mut inventory = Inventory::default();
    for kind in WorkloadKind::ALL {
        let taken = match kind {
            WorkloadKind::Deployment => take_kind::<Deployment>(client, scope, &known, &mut inventory).await,
            WorkloadKind::StatefulSet => {
                take_kind::<StatefulSet>(client, scope, &known, &mut inventory).await
            }
            WorkloadKind::DaemonSet => take_kind::<DaemonSet>(client, scope, &known, &mut inventory).await,
            WorkloadKind::CronJob => take_kind::<CronJob>(client, scope, &known, &mut inventory).await,
        };
        taken.map_err(|error| explain(&format!("listing {}", kind.plural()), &error))?;
    }
    for (workload, problems) in &inventory.stopped {
        for problem in problems {
            tracing::warn!(%workload, %problem, "workload is not scanned for");
        }
    }
    Ok(inventory)
}

/// What holds in each namespace. Without the right to read them, an installation goes on that does not depend on it.
async fn namespaces(client: &Client, scope: &Scope) -> Result<Namespaces, String> {
    let source: Source<Namespace> = Source::all(client);
    let labels = scope.selector.as_deref().unwrap_or_default();
    let mut layers = BTreeMap::new();
    let listed = list::each_readable(&source, ListParams::default().labels(labels), |object| {
        let name = object.name_any();
        let layer = scope.installation.layer(&name, object.annotations());
        layers.insert(name, layer);
    });
    match listed.await {
        Ok(()) => Ok(Namespaces::Read(layers)),
        Err(error) => without_namespaces(scope, &error),
    }
}

fn without_namespaces(scope: &Scope, error: &kube::Error) -> Result<Namespaces, String> {
    let problem = explain("listing namespaces", error);
    match &scope.selector {
        Some(selector) => Err(format!("--watch-namespace-selector {selector}: {problem}")),
        None if matches!(error, kube::Error::Api(status) if status.code == 403) => {
            tracing::warn!(problem, "going on without what namespaces say");
            Ok(Namespaces::Unread(Arc::clone(&scope.installation)))
        }
        None => Err(problem),
    }
}

async fn take_kind<K>(
    client: &Client,
    scope: &Scope,
    known: &Namespaces,
    inventory: &mut Inventory,
) -> Result<(), kube::Error>
where
    K: WorkloadObject
        + Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let sources: Vec<Source<K>> = if scope.namespaces.is_empty() {
        vec![Source::all(client)]
    } else {
        scope
            .namespaces
            .iter()
            .map(|namespace| Source::namespaced(client, namespace))
            .collect()
    };
    for source in sources {
        list::each_readable(&source, ListParams::default(), |object| {
            match Workload::of(&object) {
                Ok(workload) => {
                    let puller = Puller::of(&workload.id.namespace, object.pod());
                    if let Some(layer) = known.layer(&workload.id.namespace) {
                        inventory.add(&workload, layer, &puller);
                    }
                }
                Err(error) => {
                    let name = &object.metadata().name;
                    tracing::warn!(kind = %K::WORKLOAD_KIND, name, %error, "skipped a workload");
                }
            }
        })
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demands(range: std::ops::Range<usize>) -> BTreeSet<Demand> {
        range
            .map(|minor| format!("1.{minor}.0 minor").parse().unwrap())
            .collect()
    }

    #[test]
    fn a_namespace_with_very_many_demands_does_not_crowd_out_another() {
        let other: Demand = "9.0.0 minor".parse().unwrap();
        let wanted = BTreeMap::from([
            ("greedy".to_owned(), demands(0..9000)),
            ("shop".to_owned(), BTreeSet::from([other.clone()])),
        ]);
        let asked = in_turn(&wanted);
        assert_eq!(asked.len(), DEMANDS_PER_REPOSITORY);
        assert!(asked.contains(&other));
    }

    #[test]
    fn a_namespace_with_very_long_demands_does_not_crowd_out_another() {
        let long = |number: usize| -> Demand {
            let pattern = format!("{number}{}", "a".repeat(490));
            format!("1.0.0 major tag-pattern=\"{pattern}\"").parse().unwrap()
        };
        let wanted = BTreeMap::from([
            ("greedy".to_owned(), (0..5000).map(long).collect()),
            ("shop".to_owned(), demands(0..20)),
        ]);
        let asked = in_turn(&wanted);
        let bytes: usize = asked.iter().map(|demand| demand.to_string().len() + 1).sum();
        assert!(bytes <= DEMAND_BYTES_PER_REPOSITORY, "{bytes}");
        assert!(demands(0..20).is_subset(&asked));
        assert!(asked.len() > 400);
    }

    #[test]
    fn of_what_not_everybody_can_have_each_namespace_gets_some_first() {
        let wanted = BTreeMap::from([
            ("greedy".to_owned(), BTreeSet::from([1, 2, 3])),
            ("shop".to_owned(), BTreeSet::from([9])),
            ("tools".to_owned(), BTreeSet::from([1, 4])),
        ]);
        assert_eq!(one_of_each(wanted), [1, 9, 2, 4, 3]);
        let wanted = BTreeMap::from([
            ("greedy".to_owned(), (0..1000).collect()),
            ("shop".to_owned(), BTreeSet::from([9000])),
        ]);
        let served = one_of_each(wanted);
        assert_eq!(served.len(), RESERVES_PER_REPOSITORY);
        assert!(served.contains(&9000));
    }

    #[test]
    fn what_every_namespace_wants_is_asked_once_and_nothing_is_left_out() {
        let wanted = BTreeMap::from([
            ("office".to_owned(), demands(0..3)),
            ("shop".to_owned(), demands(1..5)),
        ]);
        assert_eq!(in_turn(&wanted), demands(0..5));
    }
}
