//! The three questions that the scanner asks a registry.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::{Method, Url};
use shared::domain::record::registry_accounts::{AccountName, RegistryMemory};
use shared::domain::record::run::RegistryUse;
use shared::domain::reference::{Digest, Repository, Tag};

use super::access::Name;
use super::accounts::AccountNames;
use super::digest_map::DigestMap;
use super::error::{Operation, RegistryError};
use super::exchange::Exchange;
use super::listing::{Expected, Listing, Rooms};
use super::options::RegistryClientOptions;
use super::platforms::{self, Parsed, Platforms};
use super::problem::{Problem, Who};
use super::state::RegistryState;
use super::transport::Transport;
use super::usage::{Purpose, RequestKind, Usage};
use crate::credentials::LoginId;

/// All four, always: with fewer, registries answer with another manifest than the one the tag names.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A client for all registries of one run of the scanner.
///
/// What it learns about a registry (tokens, page sizes, a 429) holds for its life, so one client is to be used for a
/// whole run and dropped with it.
#[derive(Debug)]
pub struct RegistryClient {
    transport: Transport,
    rooms: Rooms,
}

impl RegistryClient {
    /// # Errors
    /// When the HTTP client cannot be built, for example because the system has no certificate authorities.
    pub fn new(options: RegistryClientOptions) -> Result<Self, reqwest::Error> {
        Ok(Self {
            transport: Transport::new(options)?,
            rooms: Rooms::default(),
        })
    }

    /// All tags of a repository, in the order of the registry, each once. One request for each page.
    ///
    /// # Errors
    /// When any page is missing or unreadable: half a list is no list.
    pub async fn list_tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        let expected = Expected::default();
        self.read_tags(repository, expected, |tags, _| tags).await
    }

    /// What `choose` makes of all tags of a repository, which are those of [`RegistryClient::list_tags`]. However many lists
    /// are read at once, few are held whole, and that only until `choose` has its answer, which should be small.
    ///
    /// # Errors
    /// When any page is missing or unreadable.
    pub async fn read_tags<T: Send + 'static>(
        &self,
        repository: &Repository,
        expected: Expected,
        choose: impl FnOnce(Vec<Tag>, &DigestMap) -> T + Clone + Send + 'static,
    ) -> Result<T, RegistryError> {
        let listing = Listing {
            transport: &self.transport,
            rooms: &self.rooms,
        };
        let listed = async |asked_as: &Repository| listing.read(asked_as, expected, choose.clone()).await;
        self.answer(repository, Operation::ListTags, listed).await
    }

    /// The digest that a tag names now, by one HEAD, which no registry counts as a pull; `None` when there is no such
    /// tag.
    ///
    /// # Errors
    /// When the registry does not answer, or answers without a valid digest. It is never asked by GET instead.
    pub async fn head_digest(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Digest>, RegistryError> {
        let found = async |asked_as: &Repository| self.digest_of(asked_as, tag).await;
        self.answer(repository, Operation::LookUpDigest { tag: tag.clone() }, found)
            .await
    }

    /// What an index or a manifest says about platforms, by one GET, which Docker Hub counts as a pull; for a manifest
    /// also its config, which is not counted. Asked about a platform's digest, it answers with that image's labels.
    ///
    /// # Errors
    /// When the registry does not answer, or what it sends does not have the digest that was asked for.
    pub async fn platform_digests(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Platforms, RegistryError> {
        self.manifest(repository, digest, Purpose::Decision).await
    }

    /// The same for the sake of what it says of the image, and only if the registry has granted enough pulls for that.
    ///
    /// # Errors
    /// As for [`platform_digests`](Self::platform_digests).
    pub async fn describe(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Platforms, RegistryError> {
        self.manifest(repository, digest, Purpose::Description).await
    }

    async fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        purpose: Purpose,
    ) -> Result<Platforms, RegistryError> {
        let read = async |asked_as: &Repository| self.platforms_of(asked_as, digest, purpose).await;
        let operation = Operation::ReadManifest {
            digest: digest.clone(),
        };
        self.answer(repository, operation, read).await
    }

    /// Asks about a repository where its registry's settings say that it is to be asked for.
    async fn answer<T>(
        &self,
        repository: &Repository,
        operation: Operation,
        ask: impl AsyncFnOnce(&Repository) -> Result<T, Problem>,
    ) -> Result<T, RegistryError> {
        match self.transport.options.registries.asked_as(repository) {
            Ok(asked_as) => ask(&asked_as)
                .await
                .map_err(|problem| RegistryError::new(operation, repository, problem).asked_as(&asked_as)),
            Err(error) => {
                let problem = Problem::Protocol(format!("its mirror cannot have it: {error}"));
                Err(RegistryError::new(operation, repository, problem))
            }
        }
    }

    /// The registry that is asked about a repository: its own, or the one that stands in for it.
    pub fn registry_of(&self, repository: &Repository) -> String {
        let asked_as = self.transport.options.registries.asked_as(repository);
        let asked_as = asked_as.as_deref().unwrap_or(repository);
        asked_as.registry().to_ascii_lowercase()
    }

    /// How many questions to a registry are worth being in work at once: twice as many as requests may be in flight, for between
    /// two of its requests a question is thought about, or its answer written down.
    pub fn in_work_at(&self, registry: &str) -> usize {
        let registry = self.transport.registry(registry);
        registry.map_or(1, |registry| registry.concurrency.saturating_mul(2))
    }

    /// What has been asked so far, by registry.
    pub fn usage(&self) -> BTreeMap<String, Usage> {
        let registries = self.transport.registries();
        registries
            .iter()
            .map(|registry| (registry.name.clone(), registry.usage()))
            .collect()
    }

    /// How many requests have been sent so far, to all registries.
    pub fn requests(&self) -> u64 {
        self.usage().values().map(Usage::total).sum()
    }

    /// What each registry was asked, and what it has left for us at `now`: what people want to know of a run.
    pub fn in_use(&self, now: Timestamp) -> BTreeMap<String, RegistryUse> {
        let registries = self.transport.registries();
        let in_use = registries.iter().map(|registry| {
            let usage = registry.usage();
            let use_of_it = RegistryUse {
                requests: usage.by_kind(),
                repeated: Some(usage.retries).filter(|retries| *retries > 0),
                pulls_left: registry.pulls_left(now),
                left_alone_until: registry.left_alone_until(now).filter(|until| *until > now),
            };
            (registry.name.clone(), use_of_it)
        });
        // Of others there is only what earlier runs have learned.
        let is_in_use = |(_, use_of_it): &(String, RegistryUse)| {
            use_of_it.total() > 0 || use_of_it.left_alone_until.is_some()
        };
        in_use.filter(is_in_use).collect()
    }

    /// Takes in what an earlier run has learned of the registries and left of their limits. A name that cannot be a
    /// registry is passed over.
    pub fn recall(&self, memories: &BTreeMap<String, RegistryMemory>, now: Timestamp) {
        let names = self.account_names();
        for (registry, memory) in memories {
            let Ok(registry) = self.transport.registry(registry) else {
                continue;
            };
            let mut memory = memory.clone();
            memory.forget(registry.pull_limit, now);
            registry.recall(&memory, &names_at(&names, &registry.name));
            if let Some(learned) = &memory.challenge {
                self.transport.recall_challenge(&registry, learned);
            }
        }
    }

    /// What a later run has to know of the registries, where there is anything.
    pub fn memories(&self, now: Timestamp) -> BTreeMap<String, RegistryMemory> {
        let names = self.account_names();
        let registries = self.transport.registries();
        let memories = registries.iter().map(|registry| {
            (
                registry.name.clone(),
                registry.memory(&names_at(&names, &registry.name), now),
            )
        });
        memories
            .filter(|(_, memory)| *memory != RegistryMemory::default())
            .collect()
    }

    /// The logins that were rejected, by registry, and until when they are left alone: what a later run has to know.
    pub fn rejected_logins(&self) -> Vec<(String, LoginId, Timestamp)> {
        let registries = self.transport.registries();
        let rejected = registries.iter().flat_map(|registry| {
            let logins = registry.logins.left_alone().into_iter();
            logins.map(|(login, until)| (registry.name.clone(), login, until))
        });
        rejected.collect()
    }

    /// Does not show a login to a registry in this run, because it was rejected in an earlier one and is left alone until
    /// then. A name that cannot be a registry is passed over.
    pub fn leave_login_alone(&self, registry: &str, login: LoginId, until: Timestamp) {
        if let Ok(registry) = self.transport.registry(registry) {
            registry.logins.of(login).leave_alone(until);
        }
    }

    /// Leaves a registry alone until then, because an earlier run was told to. A name that cannot be a registry is
    /// passed over.
    pub fn cool_down(&self, registry: &str, until: Timestamp) {
        if let Ok(registry) = self.transport.registry(registry) {
            let reason = "an earlier run was told to wait".to_owned();
            registry.accounts(|accounts| accounts.leave_alone(until, reason));
        }
    }

    /// The registries that nobody may ask now, and until when.
    pub fn cool_downs(&self, now: Timestamp) -> BTreeMap<String, Timestamp> {
        let registries = self.transport.registries();
        let cooling = registries
            .iter()
            .filter_map(|registry| Some((registry.name.clone(), registry.left_alone_until(now)?)));
        cooling.collect()
    }

    /// Whether a registry that counts pulls has granted whoever asks about the repository enough to spend some on what nobody
    /// decides by.
    pub fn has_pulls_to_spare(&self, repository: &Repository) -> bool {
        let asked_as = self.transport.options.registries.asked_as(repository);
        asked_as.is_ok_and(|asked_as| {
            let registry = self.transport.registry(asked_as.registry());
            registry.is_ok_and(|registry| registry.has_pulls_to_spare(asked_as.path(), Timestamp::now()))
        })
    }

    /// Which account each login is, by registry: a login is known by the places where it stands.
    fn account_names(&self) -> BTreeMap<String, AccountNames> {
        let mut names: BTreeMap<String, AccountNames> = BTreeMap::new();
        for (repository, credential) in self.transport.options.credentials.iter() {
            let of_registry = names
                .entry(repository.registry().to_ascii_lowercase())
                .or_default();
            of_registry.insert(credential.source().account_name(), Name::Login(credential.id()));
        }
        names
    }

    async fn digest_of(&self, repository: &Repository, tag: &Tag) -> Result<Option<Digest>, Problem> {
        let registry = self.transport.registry(repository.registry())?;
        let request = Exchange {
            kind: RequestKind::Head,
            method: Method::HEAD,
            url: url(&registry, repository, &format!("manifests/{tag}"))?,
            accept: MANIFEST_TYPES,
            repository,
            form: None,
            what: "the answer to a HEAD request",
            limit: self.transport.options.max_small_bytes,
        };
        let reply = self.transport.exchange(&registry, &request).await?;
        if reply.status.as_u16() == 404 {
            return Ok(None);
        }
        let reply = reply.success(Who::Registry)?;
        let Some(written) = reply.header("docker-content-digest") else {
            return Err(Problem::Protocol("no digest came with the answer".to_owned()));
        };
        let digest = written.trim().parse();
        digest
            .map(Some)
            .map_err(|error| Problem::Protocol(format!("the digest in the answer is none: {error}")))
    }

    async fn platforms_of(
        &self,
        repository: &Repository,
        digest: &Digest,
        purpose: Purpose,
    ) -> Result<Platforms, Problem> {
        let registry = self.transport.registry(repository.registry())?;
        let request = Exchange {
            kind: RequestKind::Manifest(purpose),
            method: Method::GET,
            url: url(&registry, repository, &format!("manifests/{digest}"))?,
            accept: MANIFEST_TYPES,
            repository,
            form: None,
            what: "the manifest",
            limit: self.transport.options.max_manifest_bytes,
        };
        let manifest = self
            .transport
            .exchange(&registry, &request)
            .await?
            .success(Who::Registry)?;
        platforms::verify(&manifest.body, digest)?;
        let (config, annotations) = match platforms::parse(&manifest.body) {
            Ok(Parsed::Complete(platforms)) => return Ok(platforms),
            Ok(Parsed::NeedsConfig { config, annotations }) => (config, annotations),
            Err(problem) => return Ok(of_nothing_known(repository, digest, &problem)),
        };
        let request = Exchange {
            kind: RequestKind::Config,
            url: url(&registry, repository, &format!("blobs/{config}"))?,
            accept: "*/*",
            what: "the config of the image",
            ..request
        };
        let reply = self.transport.exchange(&registry, &request).await;
        let blob = match reply.and_then(|reply| reply.success(Who::Registry)) {
            Ok(blob) => blob,
            Err(problem) if problem.class().is_transient() => return Err(problem),
            Err(problem) => return Ok(of_nothing_known(repository, digest, &problem)),
        };
        platforms::verify(&blob.body, &config)?;
        platforms::with_config(digest, annotations, &blob.body)
            .or_else(|problem| Ok(of_nothing_known(repository, digest, &problem)))
    }
}

/// Of an image whose digest is right and whose platforms nobody can tell: a manifest of an older schema, or without its config.
/// To be updated to it is a matter of its digest.
fn of_nothing_known(repository: &Repository, digest: &Digest, problem: &Problem) -> Platforms {
    tracing::info!(%repository, %digest, %problem, "the platforms of an image cannot be known");
    Platforms::default()
}

/// The accounts at one registry, anybody's included.
fn names_at(names: &BTreeMap<String, AccountNames>, registry: &str) -> AccountNames {
    let mut names = names.get(registry).cloned().unwrap_or_default();
    names.insert(AccountName::anybody(), Name::Anybody);
    names
}

pub(super) fn url(registry: &RegistryState, repository: &Repository, rest: &str) -> Result<Url, Problem> {
    let joined = registry.base.join(&format!("v2/{}/{rest}", repository.path()));
    joined.map_err(|error| Problem::Protocol(format!("the repository makes no URL: {error}")))
}
