//! Which repositories are in use, and what is asked of each: the cluster is read, never written.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::{Api, Client};
use shared::domain::reference::Repository;
use shared::domain::watched::{self, Demand, Problem};
use shared::domain::workload::{Workload, WorkloadId};

/// How many objects one list request may bring.
const PAGE: u32 = 500;

/// What the watched workloads ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// However many workloads share a repository, it stands here once and is asked once.
    pub repositories: BTreeMap<Repository, BTreeSet<Demand>>,
    /// Watched workloads.
    pub workloads: usize,
    /// Workloads that cannot be read; the updater tells their owners.
    pub stopped: Vec<(WorkloadId, Vec<Problem>)>,
}

impl Inventory {
    /// Takes a workload in.
    pub fn add(&mut self, workload: &Workload) {
        match watched::read(workload) {
            Ok(reading) => {
                self.workloads += usize::from(!reading.watched.is_empty());
                for watched in reading.watched {
                    self.repositories
                        .entry(watched.image.repository().clone())
                        .or_default()
                        .insert(watched.demand);
                }
            }
            Err(problems) => self.stopped.push((workload.id.clone(), problems)),
        }
    }
}

/// Reads the workloads of these namespaces, or of all when none is named.
pub async fn take(client: &Client, namespaces: &[String]) -> Result<Inventory, kube::Error> {
    let apis: Vec<Api<Deployment>> = if namespaces.is_empty() {
        vec![Api::all(client.clone())]
    } else {
        namespaces
            .iter()
            .map(|namespace| Api::namespaced(client.clone(), namespace))
            .collect()
    };
    let mut inventory = Inventory::default();
    for api in apis {
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&parameters).await?;
            for deployment in &page.items {
                match Workload::try_from(deployment) {
                    Ok(workload) => inventory.add(&workload),
                    Err(error) => {
                        tracing::warn!(name = deployment.metadata.name, %error, "skipped a Deployment");
                    }
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => break,
            }
        }
    }
    for (workload, problems) in &inventory.stopped {
        for problem in problems {
            tracing::warn!(%workload, %problem, "workload is not scanned for");
        }
    }
    Ok(inventory)
}
