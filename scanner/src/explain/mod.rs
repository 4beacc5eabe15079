//! `explain`: what a policy chooses and why, without a cluster.
//!
//! In reading order: `arguments` says what it can be told, `question` is one question, first as written and then checked,
//! and the answer comes from [`shared::domain::policy::select`], the code that decides in the cluster too. `tag_list` and
//! `ask` are the two ways to the published tags, `table` and `json` the two ways to print an answer. `batch` and
//! `references` answer many lines.

mod arguments;
pub(crate) mod ask;
mod batch;
mod json;
mod lines;
pub(crate) mod question;
mod references;
mod table;
mod tag_list;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;

use shared::domain::reference::{Digest, ImageReference, Tag};
use shared::io::terminal::{Format, output, page};

use crate::reach::ReachError;
use crate::registry::RegistryError;

pub use arguments::{EXAMPLES, ExplainOptions, KnownArguments, PolicyArguments, Suffix};
use ask::{Inquiry, RunningDigest};
use json::Answer;
pub use question::Invalid;
use question::Question;
use table::View;
use tag_list::TagList;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error("--tags {file}: {reason}")]
    Tags { file: String, reason: String },
    #[error("{0}")]
    Registry(#[source] RegistryError),
    #[error("unable to go on: {0}")]
    Stream(#[source] io::Error),
}

/// What is published, as far as it was asked.
#[derive(Debug, Default)]
struct Published {
    list: TagList,
    digests: BTreeMap<Tag, Digest>,
}

/// Answers what was asked, on standard output. A reader that has seen enough (`| head`) ends it, and that is no error.
pub async fn run(options: ExplainOptions) -> Result<(), ExplainError> {
    let answered = if options.batch {
        lines::answer_each(io::stdin().lock(), io::stdout().lock(), batch::answer)
    } else if options.references {
        lines::answer_each(io::stdin().lock(), io::stdout().lock(), references::answer)
    } else {
        return one(options).await;
    };
    output::read_to_the_end(answered).map_err(ExplainError::Stream)
}

/// Answers one question.
async fn one(options: ExplainOptions) -> Result<(), ExplainError> {
    let (image, question) = match read(&options) {
        Ok(read) => read,
        Err((current, invalid)) => {
            if options.output == Format::Json {
                output::json(&Answer::invalid(current.as_deref(), &invalid)).map_err(ExplainError::Stream)?;
            }
            return Err(invalid.into());
        }
    };
    let mut question = question;
    let published = published(&options, image.as_ref(), &mut question).await?;
    let selection = question.answer(&published.list.tags, &published.digests);
    match options.output {
        Format::Json => {
            let current = question.current.as_ref().map(Tag::as_str);
            let answer = Answer::of(current, &selection, &published.list.invalid);
            output::json(&answer).map_err(ExplainError::Stream)
        }
        Format::Table => {
            let source = source(&options, image.as_ref(), &question);
            let text = table::render(&View {
                image: image.as_ref(),
                question: &question,
                given: &options.policy.options(),
                list: &published.list,
                source: source.as_deref(),
                selection: &selection,
                width: page::width(),
            });
            let text = text.map_err(|error| ExplainError::Stream(io::Error::other(error)))?;
            output::page(&text).map_err(ExplainError::Stream)
        }
    }
}

/// The image and the question; or the current tag, as far as it was read, and what is wrong.
fn read(options: &ExplainOptions) -> Result<(Option<ImageReference>, Question), (Option<String>, Invalid)> {
    let image: Option<ImageReference> = match options.image.as_deref().map(str::parse).transpose() {
        Ok(image) => image,
        Err(error) => return Err((None, Invalid::Image(error))),
    };
    let current = image
        .as_ref()
        .and_then(ImageReference::effective_tag)
        .map(String::from);
    let digest = image.as_ref().and_then(ImageReference::digest);
    let written = options.written(current.clone(), digest.map(ToString::to_string));
    match written.check() {
        Ok(question) => Ok((image, question)),
        Err(invalid) => Err((current, invalid)),
    }
}

/// The published tags, from the file or from the registry; of the digests only what the registry was asked for.
async fn published(
    options: &ExplainOptions,
    image: Option<&ImageReference>,
    question: &mut Question,
) -> Result<Published, ExplainError> {
    // A mistake is told, also where nobody is asked.
    options.reach.plain_http_hosts()?;
    match (&options.tags, image) {
        (Some(file), _) => Ok(Published {
            list: read_tags(file).map_err(|reason| ExplainError::Tags {
                file: file.display().to_string(),
                reason,
            })?,
            ..Published::default()
        }),
        (None, Some(image)) => {
            let registry = options.reach.client([image.repository()]).await?;
            let mut inquiry = Inquiry::new(&registry, image.repository());
            let asked = inquiry.ask(question, RunningDigest::OfTag).await;
            asked.map_err(ExplainError::Registry)?;
            let digests = inquiry.digests();
            let list = TagList {
                tags: inquiry.into_tags(),
                ..TagList::default()
            };
            Ok(Published { list, digests })
        }
        // The command line asks for one of the two.
        (None, None) => Ok(Published::default()),
    }
}

/// Where the list of tags comes from, in words; `None` where it was not asked for.
fn source(options: &ExplainOptions, image: Option<&ImageReference>, question: &Question) -> Option<String> {
    match &options.tags {
        Some(file) if file == Path::new("-") => Some("standard input".to_owned()),
        Some(file) => Some(file.display().to_string()),
        None if question.policy.follows_digest() => None,
        None => Some(image?.repository().to_string()),
    }
}

fn read_tags(file: &Path) -> Result<TagList, String> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    let bytes = read.map_err(|error| error.to_string())?;
    TagList::read(&String::from_utf8_lossy(&bytes))
}
