//! Asks forges for release notes: their releases page by page, a changelog where there are none, or the page of a template.
//!
//! Only servers that the settings know are asked. A token goes to its own server; a redirect leads nowhere else; answers have a
//! bound, and so has the time for them. What a server asks for (wait, come back then) is handed on, to be remembered.

mod exchange;
mod gitea;
mod github;
mod gitlab;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use shared::domain::release_notes::Release;
use shared::domain::release_notes::book::{Answer, Cut, NotesRecord, Wanted};
use shared::domain::release_notes::changelog;
use shared::domain::release_notes::range::{NoRange, Range, between, is_whole};
use shared::domain::release_notes::source::{Forge, NotesSource, Server};
use shared::io::clock;

use self::exchange::{Exchange, Reply, Trouble};
use crate::cli::notes::Tokens;
use crate::metrics::Metrics;

/// How many pages of releases are read for one update.
const MOST_PAGES: usize = 6;
/// How much of all their texts is kept, in bytes.
const MOST_OF_ALL: usize = 8 << 20;

/// What came of asking.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) answer: Answer,
    /// A server that wants to be left alone.
    pub(crate) limit: Option<Limit>,
    /// A server that has no answer for anybody, by host, and what it does instead.
    pub(crate) broken: Option<(String, String)>,
}

impl Asked {
    fn answered(answer: Answer, limit: Option<Limit>) -> Self {
        Self {
            answer,
            limit,
            broken: None,
        }
    }

    /// What it comes to where it took longer than it may.
    pub(crate) fn too_late(wanted: &Wanted, limit: Duration) -> Self {
        let host = wanted.host();
        let why = format!("{host} did not answer all within {limit:?}");
        failed(Trouble::Broken {
            host,
            why,
            not_before: None,
        })
    }
}

/// A server that wants to be left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) host: String,
    /// `None`: it did not say until when.
    pub(crate) until: Option<Timestamp>,
    pub(crate) reason: String,
    /// Whether a request was refused, and not merely the last one allowed.
    pub(crate) refused: bool,
}

/// The one who asks.
#[derive(Debug)]
pub(crate) struct ForgeClient {
    exchange: Exchange,
}

/// A repository at a server, and how that kind of server is asked.
struct Repository<'a> {
    server: &'a Server,
    path: &'a str,
    kind: &'static Kind,
}

/// What differs between kinds of servers.
struct Kind {
    /// The address of a page of releases, the first being 1.
    releases: fn(&Server, &str, usize) -> String,
    /// How many a page has.
    page_size: usize,
    read: fn(&str) -> Result<Vec<Release>, serde_json::Error>,
    /// The address of the changelog as it is.
    changelog: fn(&Server, &str) -> String,
    /// What its requests carry beside the token.
    headers: fn(raw: bool) -> HeaderMap,
    /// Where people read the changelog.
    changelog_page: fn(&Server, &str) -> String,
}

impl<'a> Repository<'a> {
    fn of(server: &'a Server, path: &'a str) -> Option<Self> {
        let kind = match server.forge {
            Forge::GitHub => &github::KIND,
            Forge::GitLab => &gitlab::KIND,
            Forge::Gitea => &gitea::KIND,
            Forge::Page => return None,
        };
        Some(Self { server, path, kind })
    }
}

/// The releases that were read, and the state of the first page.
struct Listed {
    releases: Vec<Release>,
    etag: Option<String>,
    limit: Option<Limit>,
    /// Why the others were not.
    cut: Option<Cut>,
}

impl ForgeClient {
    /// Fails where the certificates of the system cannot be used.
    pub(crate) fn new(tokens: Tokens, metrics: Arc<Metrics>) -> Result<Self, reqwest::Error> {
        let exchange = Exchange::new(tokens, metrics)?;
        Ok(Self { exchange })
    }

    /// Asks for the notes of an update, of each of its sources until one is there.
    pub(crate) async fn ask(&self, wanted: &Wanted, before: Option<&NotesRecord>) -> Asked {
        let mut missing = None;
        for source in &wanted.found.sources {
            // What tells nothing at one address says nothing of another.
            let etag = before.filter(|before| before.source == *source && before.error.is_none());
            let etag = etag.and_then(|before| before.etag.as_deref());
            let asked = match source {
                NotesSource::Template { .. } => self.template(wanted, source).await,
                NotesSource::Repository { server, path } => match Repository::of(server, path) {
                    Some(repository) => self.repository(wanted, source, &repository, etag).await,
                    None => continue,
                },
            };
            match asked {
                Ok(asked) => return asked,
                Err(Trouble::NotFound) => {
                    missing.get_or_insert(source);
                }
                Err(trouble) => return failed(trouble),
            }
        }
        let source = missing.or(wanted.found.sources.first());
        let answer = match source {
            Some(source) => Answer::Missing {
                source: source.clone(),
                reason: format!(
                    "{source} is not there, or may not be read without a token ({})",
                    wanted.found.by
                ),
            },
            None => Answer::Unchanged,
        };
        Asked::answered(answer, None)
    }

    /// Errs where the repository is not there.
    async fn repository(
        &self,
        wanted: &Wanted,
        source: &NotesSource,
        repository: &Repository<'_>,
        etag: Option<&str>,
    ) -> Result<Asked, Trouble> {
        let step = wanted.step();
        let answer = |answer, limit| Ok(Asked::answered(answer, limit));
        let missing = |reason: String| Answer::Missing {
            source: source.clone(),
            reason,
        };
        match between(&step, &[]) {
            Ok(_) | Err(NoRange::NoReleases | NoRange::NoneBetween) => {}
            // Nobody has to be asked for that.
            Err(none) => return answer(missing(none.to_string()), None),
        }
        let Some(listed) = self.releases(wanted, repository, etag).await? else {
            return answer(Answer::Unchanged, None);
        };
        let Listed {
            releases,
            etag,
            limit,
            cut,
        } = listed;
        let found = between(&step, &releases);
        let notes = |range, etag, cut| Answer::Notes {
            source: source.clone(),
            range,
            etag,
            cut,
        };
        let why = match found {
            Ok(range) if says_anything(&range) => return answer(notes(range, etag, cut), limit),
            Ok(_) => "its releases have no text".to_owned(),
            Err(none) => none.to_string(),
        };
        if let Some(limit) = limit {
            // Nor has anybody looked for a changelog.
            return Ok(failed(Trouble::Limited(limit)));
        }
        let why = cut.map_or_else(
            || why.clone(),
            |cut| format!("{why}, as far as it goes: {}", cut.why),
        );
        match self.changelog(repository).await {
            Ok((sections, is_whole_file)) => match between(&step, &sections) {
                Ok(range) if says_anything(&range) => {
                    let cut = (!is_whole_file && !is_whole(&step, &sections)).then(|| Cut {
                        why: format!("{source} has a CHANGELOG.md that is too long to be read as a whole"),
                        not_before: None,
                    });
                    answer(notes(range, None, cut), None)
                }
                Ok(_) | Err(_) => {
                    let reason = format!("{source}: {why}, and its CHANGELOG.md has no section for them");
                    answer(missing(reason), None)
                }
            },
            Err(Trouble::NotFound) => {
                let reason = format!("{source}: {why}, and there is no CHANGELOG.md");
                answer(missing(reason), None)
            }
            Err(trouble) => Ok(failed(trouble)),
        }
    }

    /// Nothing where nothing has changed since.
    async fn releases(
        &self,
        wanted: &Wanted,
        repository: &Repository<'_>,
        etag: Option<&str>,
    ) -> Result<Option<Listed>, Trouble> {
        let Repository { server, path, kind } = repository;
        let (mut releases, mut first, mut limit) = (Vec::new(), None, None);
        let mut is_all = false;
        for page in 1..=MOST_PAGES {
            let url = (kind.releases)(server, path, page);
            let etag = etag.filter(|_| page == 1);
            let reply = self
                .exchange
                .get(server, &url, (kind.headers)(false), etag)
                .await?;
            if reply.is_unchanged() {
                return Ok(None);
            }
            if page == 1 {
                first = reply.etag();
            }
            let read = (kind.read)(&reply.body).map_err(|error| Trouble::Failed {
                why: format!("{} answers what is no list of releases: {error}", server.host()),
                not_before: None,
            })?;
            let is_last = !reply.has_next(read.len() >= kind.page_size) || read.is_empty();
            releases.extend(read);
            limit = reply.limit(server.host());
            let size: usize = releases.iter().map(|release: &Release| release.body.len()).sum();
            is_all = is_last || is_whole(&wanted.step(), &releases);
            if is_all || limit.is_some() || size > MOST_OF_ALL {
                break;
            }
        }
        let read = releases.len();
        let cut = (!is_all).then(|| Cut {
            why: match &limit {
                Some(limit) => format!("{}, and only the newest {read} releases were read", limit.reason),
                None => format!("only the newest {read} releases of {} were read", server.host()),
            },
            not_before: limit.as_ref().and_then(|limit| limit.until),
        });
        Ok(Some(Listed {
            releases,
            etag: first,
            limit,
            cut,
        }))
    }

    /// Its sections, and whether all of it was read.
    async fn changelog(&self, repository: &Repository<'_>) -> Result<(Vec<Release>, bool), Trouble> {
        let Repository { server, path, kind } = repository;
        let url = (kind.changelog)(server, path);
        let reply = self
            .exchange
            .get(server, &url, (kind.headers)(true), None)
            .await?;
        let sections = changelog::releases(&reply.body, &(kind.changelog_page)(server, path));
        let is_whole = changelog::is_whole(&reply.body, &sections);
        Ok((sections, is_whole))
    }

    async fn template(&self, wanted: &Wanted, source: &NotesSource) -> Result<Asked, Trouble> {
        let url = source.page(wanted.to.as_str());
        let NotesSource::Template {
            url: template,
            may_be_read,
        } = source
        else {
            return Err(Trouble::NotFound);
        };
        let answer = |answer| Ok(Asked::answered(answer, None));
        if !may_be_read {
            let reason = format!(
                "nobody reads {url} here, as FORGES does not name page:{}",
                template.address()
            );
            return answer(Answer::Missing {
                source: source.clone(),
                reason,
            });
        }
        let server = Server {
            forge: Forge::Page,
            address: template.address().to_owned(),
        };
        let reply: Reply = self.exchange.get(&server, &url, HeaderMap::new(), None).await?;
        let release = Release {
            tag: wanted.to.to_string(),
            body: reply.body,
            url: Some(url),
            ..Release::default()
        };
        let range = Range {
            releases: vec![release],
            left_out: 0,
            has_target: true,
            has_start: true,
        };
        answer(Answer::Notes {
            source: source.clone(),
            range,
            etag: None,
            cut: None,
        })
    }
}

fn says_anything(range: &Range) -> bool {
    range
        .releases
        .iter()
        .any(|release| !release.body.trim().is_empty())
}

fn failed(trouble: Trouble) -> Asked {
    let failed = |why: String, not_before| Answer::Failed { why, not_before };
    match trouble {
        Trouble::Limited(limit) => {
            let answer = failed(limit.reason.clone(), limit.until);
            Asked::answered(answer, Some(limit))
        }
        Trouble::Broken {
            host,
            why,
            not_before,
        } => Asked {
            answer: failed(why.clone(), not_before),
            limit: None,
            broken: Some((host, why)),
        },
        Trouble::Failed { why, not_before } => Asked::answered(failed(why, not_before), None),
        Trouble::NotFound => Asked::answered(failed("nothing is there".to_owned(), None), None),
    }
}

/// The time at which a server counts anew, as it says.
fn at_second(value: Option<&str>) -> Option<Timestamp> {
    let second: i64 = value?.trim().parse().ok()?;
    Timestamp::from_second(second)
        .ok()
        .filter(|at| *at > clock::now())
}
