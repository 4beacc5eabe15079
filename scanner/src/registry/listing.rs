//! A list of tags, page by page, within bounds of memory that hold for all lists together.
//!
//! A list that is small waits for nobody until its last page is there. One that outgrows that is read on only in one of a few
//! rooms for large lists, which it keeps to its end; it waits for the room with no request under way, so that no server is
//! kept waiting and nobody who has a room waits for a request of somebody who has none. The last page of any list is taken
//! in, and the choice made, one list after the other: that is work, not waiting.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, Url};
use shared::domain::reference::{Repository, Tag};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::client::url;
use super::digest_map::DigestMap;
use super::exchange::{Exchange, Reply};
use super::link;
use super::problem::{Problem, Who};
use super::state::RegistryState;
use super::tag_list::TagList;
use super::transport::Transport;
use super::usage::RequestKind;
use super::worker::Worker;

/// How many large lists are read at once.
const LARGE_LISTS: usize = 2;

/// What a list may have without being large, in bytes and in names: nearly all lists there are.
const SMALL_BYTES: usize = 1024 * 1024;
const SMALL_TAGS: usize = 16 * 1024;

/// How many bytes of names are looked through in no time, all choices together.
const LONG: usize = 16 * 1024;

/// What a reply is, in messages.
const PAGE: &str = "a page of tags";

/// Where lists are read that take memory.
#[derive(Debug)]
pub(super) struct Rooms {
    large: Semaphore,
    /// Who takes last pages in and chooses. A choice among few tags that takes very long is helped out of the others' way.
    of_large: Worker,
    of_small: Worker,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            large: Semaphore::new(LARGE_LISTS),
            of_large: Worker::new(1),
            of_small: Worker::new(4),
        }
    }
}

/// What is known of a list, and wanted of it, before it is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected {
    /// How many tags there may be; 0 when nothing is known.
    pub tags: usize,
    /// How many times all tags are looked through to choose among them.
    pub choices: usize,
    /// Whether the digests are of use, where the registry sends them along.
    pub with_digests: bool,
}

/// How lists are read.
#[derive(Debug)]
pub(super) struct Listing<'c> {
    pub(super) transport: &'c Transport,
    pub(super) rooms: &'c Rooms,
}

/// What has been read of one list.
struct Progress<'c> {
    list: TagList,
    bytes: usize,
    /// How long its server has taken.
    took: Duration,
    asked: HashSet<Url>,
    large: Option<SemaphorePermit<'c>>,
    /// To choose takes longer than to leave it to somebody else.
    takes_time: bool,
}

impl<'c> Listing<'c> {
    /// Reads the list and makes of it what `choose` does.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        repository: &Repository,
        expected: Expected,
        choose: impl FnOnce(Vec<Tag>, &DigestMap) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let registry = self.transport.registry(repository.registry())?;
        let list = TagList::new(self.transport.options.max_tags.min(SMALL_TAGS));
        let mut progress = Progress {
            list: if expected.with_digests {
                list.with_digests()
            } else {
                list
            },
            bytes: 0,
            took: Duration::ZERO,
            asked: HashSet::new(),
            large: None,
            takes_time: false,
        };
        if expected.tags > SMALL_TAGS {
            self.enlarge(&mut progress).await;
        }
        let first = self.page_within(&mut progress, &registry, repository, None);
        let mut reply = first.await?.success(Who::Registry)?;
        progress.asked.insert(reply.url.clone());
        loop {
            self.account(&mut progress, &reply)?;
            let next = link::next_page(&reply.all("link"), &reply.url).map_err(Problem::Untrusted)?;
            let Some(next) = next else {
                progress.takes_time = progress.bytes * expected.choices > LONG;
                return self.choose(&registry, progress, reply.body, choose).await;
            };
            self.take(&mut progress, &reply.body).await?;
            drop(reply);
            if !progress.asked.insert(next.clone()) {
                return Err(Problem::Protocol(
                    "the list of tags leads back to a page seen before".to_owned(),
                ));
            }
            if progress.asked.len() > self.transport.options.max_pages {
                return Err(Problem::TooManyPages(self.transport.options.max_pages));
            }
            let later = self.page_within(&mut progress, &registry, repository, Some(&next));
            reply = later.await?;
            if !reply.status.is_success() {
                let status = reply.status;
                return Err(Problem::Protocol(format!(
                    "a later page of the list of tags answered {status}"
                )));
            }
        }
    }

    /// Asks for a page of a small list, and once more for one that turns out to belong to a large one.
    async fn page_within(
        &self,
        progress: &mut Progress<'c>,
        registry: &RegistryState,
        repository: &Repository,
        next: Option<&Url>,
    ) -> Result<Reply, Problem> {
        let most = self.transport.options.max_page_bytes;
        let left = SMALL_BYTES.saturating_sub(progress.bytes);
        if progress.large.is_none() && left < most {
            match self.ask(registry, repository, next, left).await {
                Err(Problem::TooLarge { what: PAGE, .. }) => self.enlarge(progress).await,
                answered => return answered,
            }
        }
        self.ask(registry, repository, next, most).await
    }

    async fn ask(
        &self,
        registry: &RegistryState,
        repository: &Repository,
        next: Option<&Url>,
        limit: usize,
    ) -> Result<Reply, Problem> {
        match next {
            None => self.first_page(registry, repository, limit).await,
            Some(next) => self.page(registry, repository, next.clone(), limit).await,
        }
    }

    async fn enlarge(&self, progress: &mut Progress<'c>) {
        if progress.large.is_none() {
            // Never closed, so this is a permit.
            progress.large = self.rooms.large.acquire().await.ok();
            progress.list.allow(self.transport.options.max_tags);
        }
    }

    fn account(&self, progress: &mut Progress<'_>, reply: &Reply) -> Result<(), Problem> {
        let options = &self.transport.options;
        progress.bytes += reply.body.len();
        progress.took += reply.took;
        if progress.bytes > options.max_list_bytes {
            return Err(Problem::TooLarge {
                what: "the list of tags",
                limit: options.max_list_bytes,
            });
        }
        if progress.took > options.max_list_time {
            return Err(Problem::Timeout {
                after: options.max_list_time,
            });
        }
        Ok(())
    }

    /// Takes in a page that another follows.
    async fn take(&self, progress: &mut Progress<'c>, body: &[u8]) -> Result<(), Problem> {
        match progress.list.read_page(body) {
            Err(Problem::TooManyTags(_)) if progress.large.is_none() => {
                self.enlarge(progress).await;
                progress.list.read_page(body)
            }
            read => read,
        }
    }

    /// Takes in the last page, and chooses.
    async fn choose<T: Send + 'static>(
        &self,
        registry: &RegistryState,
        progress: Progress<'_>,
        last: Vec<u8>,
        choose: impl FnOnce(Vec<Tag>, &DigestMap) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let Progress {
            mut list,
            large,
            takes_time,
            ..
        } = progress;
        list.allow(self.transport.options.max_tags);
        let work = move || {
            list.read_page(&last)?;
            drop(last);
            let invalid = list.invalid();
            let (tags, digests) = list.into_parts();
            Ok((choose(tags, &digests), invalid))
        };
        let (chosen, invalid) = match large {
            Some(_in_the_room) => self.rooms.of_large.run(work).await?,
            None if takes_time => self.rooms.of_small.run(work).await?,
            None => work()?,
        };
        registry.count_invalid_tags(invalid);
        Ok(chosen)
    }

    /// Asks with the page size of the registry, and once without if that is what it objects to.
    async fn first_page(
        &self,
        registry: &RegistryState,
        repository: &Repository,
        limit: usize,
    ) -> Result<Reply, Problem> {
        let plain = url(registry, repository, "tags/list")?;
        let Some(size) = registry.page_size() else {
            return self.page(registry, repository, plain, limit).await;
        };
        let mut sized = plain.clone();
        sized.query_pairs_mut().append_pair("n", &size.to_string());
        let reply = self.page(registry, repository, sized, limit).await?;
        if !matches!(reply.status.as_u16(), 400 | 405 | 413) {
            return Ok(reply);
        }
        registry.refuse_page_size(size, Timestamp::now());
        self.page(registry, repository, plain, limit).await
    }

    async fn page(
        &self,
        registry: &RegistryState,
        repository: &Repository,
        url: Url,
        limit: usize,
    ) -> Result<Reply, Problem> {
        let request = Exchange {
            kind: RequestKind::List,
            method: Method::GET,
            url,
            accept: "application/json",
            repository,
            form: None,
            what: PAGE,
            limit,
        };
        self.transport.exchange(registry, &request).await
    }
}
