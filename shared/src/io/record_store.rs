//! Records as ConfigMaps in Kubefresh's own namespace. The scanner is their only writer.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};

use crate::domain::record::ScanRecord;
use crate::domain::record::config_map::{RECORD_KIND, RECORD_LABEL};
use crate::domain::record::release_notes::NOTES;
use crate::domain::record::run::LAST_RUN;
use crate::io::list;

/// The scanner's name in `managedFields`.
const FIELD_MANAGER: &str = "kubefresh-scanner";

/// Selects the records among a namespace's ConfigMaps.
pub fn selector() -> String {
    format!("{RECORD_LABEL}={RECORD_KIND}")
}

/// Selects what the updater follows: the records of repositories, those of the scanner's last run, and its own of release notes.
pub fn watched() -> String {
    format!("{RECORD_LABEL} in ({RECORD_KIND},{LAST_RUN},{NOTES})")
}

/// The records of one namespace.
#[derive(Clone)]
pub struct RecordStore {
    api: Api<ConfigMap>,
    namespace: String,
}

impl std::fmt::Debug for RecordStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordStore")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl RecordStore {
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
        }
    }

    /// Every stored record, readable or not.
    pub async fn list(&self) -> Result<Vec<ConfigMap>, kube::Error> {
        let mut all = Vec::new();
        self.each(|record| all.push(record)).await?;
        Ok(all)
    }

    /// Every stored record, readable or not; no more than a page of them is in memory at a time.
    pub async fn each(&self, take: impl FnMut(ConfigMap)) -> Result<(), kube::Error> {
        list::each(&self.api, ListParams::default().labels(&selector()), take).await
    }

    /// The namespace of the records.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The records of a kind of which every scanner has one.
    pub async fn of_kind(&self, kind: &str) -> Result<Vec<ConfigMap>, kube::Error> {
        let parameters = ListParams::default().labels(&format!("{RECORD_LABEL}={kind}"));
        Ok(self.api.list(&parameters).await?.items)
    }

    /// The version of a stored record; `None` when there is none of that name.
    pub async fn version(&self, name: &str) -> Result<Option<String>, kube::Error> {
        let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
        let stored = self.api.list_metadata(&parameters).await?.items.pop();
        Ok(stored.and_then(|stored| stored.metadata.resource_version))
    }

    /// Removes a record, if it still is the one of that version. One that is gone or was changed meanwhile is no failure.
    pub async fn remove(&self, name: &str, resource_version: Option<String>) -> Result<(), kube::Error> {
        let preconditions = Preconditions {
            resource_version,
            uid: None,
        };
        let parameters = DeleteParams::default().preconditions(preconditions);
        match self.api.delete(name, &parameters).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes a record, by server-side apply: keys we no longer write go, labels and annotations of others stay.
    /// `resource_version` is that of the stored record it was made from; if that changed meanwhile the write fails with
    /// 409, and `None` is for a record that was not there.
    pub async fn write(
        &self,
        record: &ScanRecord,
        resource_version: Option<String>,
    ) -> Result<(), kube::Error> {
        let mut config_map = record.to_config_map(&self.namespace);
        config_map.metadata.resource_version = resource_version;
        self.apply(&config_map).await.map(drop)
    }

    /// Writes a record of any kind, with the version that it carries as precondition. Answers with its version after that.
    pub async fn apply(&self, config_map: &ConfigMap) -> Result<Option<String>, kube::Error> {
        let name = config_map.metadata.name.clone().unwrap_or_default();
        // Forced: the scanner is the records' only writer, and a hand edit of them is mended by the next scan.
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let stored = self
            .api
            .patch(&name, &parameters, &Patch::Apply(config_map))
            .await?;
        Ok(stored.metadata.resource_version)
    }
}
