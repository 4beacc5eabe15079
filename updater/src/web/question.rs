//! What of the table is asked for, by the query of its address. What is not understood is said, and not taken for something
//! else.

use std::cmp::Reverse;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use shared::domain::overview::{Line, State};
use strum::VariantArray as _;

/// Rows of one page.
pub(super) const ROWS: usize = 100;
/// The state of all those that people may have to look at.
const NEEDS_A_LOOK: &str = "needs-a-look";

/// As it was written; what is empty was not given.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    q: String,
    namespace: String,
    state: String,
    sort: String,
    page: String,
}

/// In which order.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Sort {
    /// What people may have to look at comes first.
    #[default]
    State,
    Workload,
    Image,
    /// What came to its state last comes first.
    Since,
    /// What was updated last comes first.
    LastUpdate,
}

impl Sort {
    pub(super) const ALL: &[Self] = Self::VARIANTS;
}

/// Understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Question {
    text: String,
    namespace: String,
    state: Option<Wanted>,
    sort: Sort,
    /// Counted from 1.
    page: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    NeedsALook,
    State(State),
}

/// A question as its form shows it.
#[derive(Debug, Serialize)]
pub(super) struct Written<'a> {
    text: &'a str,
    namespace: &'a str,
    state: &'static str,
    sort: &'static str,
    page: usize,
}

/// The rows of a page.
#[derive(Debug)]
pub(super) struct Found<'v> {
    pub(super) lines: Vec<&'v Line>,
    /// On all pages.
    pub(super) total: usize,
    /// At least one.
    pub(super) pages: usize,
}

impl Query {
    /// The error says what cannot be meant.
    pub(super) fn read(self) -> Result<Question, String> {
        let Self {
            q,
            namespace,
            state,
            sort,
            page,
        } = self;
        let sort = match sort.as_str() {
            "" => Sort::default(),
            written => written.parse().map_err(|_| {
                let known: Vec<&str> = Sort::ALL.iter().map(Into::into).collect();
                format!("sort: {written:?} is none of {}", known.join(", "))
            })?,
        };
        let page = match page.as_str() {
            "" => 1,
            written => written
                .parse()
                .ok()
                .filter(|page| *page > 0)
                .ok_or_else(|| format!("page: {written:?} is no number from 1"))?,
        };
        Ok(Question {
            text: q.trim().to_owned(),
            namespace,
            state: wanted(&state)?,
            sort,
            page,
        })
    }
}

fn wanted(written: &str) -> Result<Option<Wanted>, String> {
    if written.is_empty() {
        return Ok(None);
    }
    if written == NEEDS_A_LOOK {
        return Ok(Some(Wanted::NeedsALook));
    }
    let mut states = State::ALL.iter().copied();
    let state = states.find(|state| <&str>::from(*state) == written);
    state.map(|state| Some(Wanted::State(state))).ok_or_else(|| {
        let known: Vec<&str> = State::ALL.iter().map(Into::into).collect();
        format!(
            "state: {written:?} is none of {NEEDS_A_LOOK}, {}",
            known.join(", ")
        )
    })
}

impl Question {
    /// The rows of its page, of these.
    pub(super) fn answer<'v>(&self, lines: &'v [Line]) -> Found<'v> {
        let mut found: Vec<&Line> = lines.iter().filter(|line| self.wants(line)).collect();
        self.sort(&mut found);
        let total = found.len();
        let from = self.page.saturating_sub(1).saturating_mul(ROWS);
        Found {
            lines: found.into_iter().skip(from).take(ROWS).collect(),
            total,
            pages: total.div_ceil(ROWS).max(1),
        }
    }

    fn wants(&self, line: &Line) -> bool {
        let is_state = match self.state {
            None => true,
            Some(Wanted::NeedsALook) => line.state.needs_a_look(),
            Some(Wanted::State(state)) => line.state == state,
        };
        let is_namespace = self.namespace.is_empty() || line.workload.namespace == self.namespace;
        is_state && is_namespace && (self.text.is_empty() || self.is_in(line))
    }

    fn is_in(&self, line: &Line) -> bool {
        let name = format!("{}/{}", line.workload.namespace, line.workload.name);
        let texts = [
            Some(&name),
            line.container.as_ref(),
            line.image.as_ref(),
            line.target.as_ref(),
        ];
        texts.into_iter().flatten().any(|text| text.contains(&self.text))
    }

    /// What is equal is in the order of names.
    fn sort(&self, lines: &mut [&Line]) {
        let name = |line: &Line| {
            let id = &line.workload;
            (
                id.namespace.clone(),
                id.name.clone(),
                id.kind,
                line.container.clone(),
            )
        };
        lines.sort_by_cached_key(|line| name(line));
        match self.sort {
            Sort::Workload => {}
            Sort::State => lines.sort_by_key(|line| (!line.state.needs_a_look(), line.state)),
            Sort::Image => lines.sort_by(|one, other| one.image.cmp(&other.image)),
            Sort::Since => lines.sort_by_key(|line| Reverse(line.since)),
            Sort::LastUpdate => lines.sort_by_key(|line| Reverse(line.last.as_ref().map(|last| last.at))),
        }
    }

    pub(super) fn written(&self) -> Written<'_> {
        Written {
            text: &self.text,
            namespace: &self.namespace,
            state: match self.state {
                None => "",
                Some(Wanted::NeedsALook) => NEEDS_A_LOOK,
                Some(Wanted::State(state)) => state.into(),
            },
            sort: self.sort.into(),
            page: self.page,
        }
    }

    /// Where another of its pages is.
    pub(super) fn address_of(&self, page: usize) -> String {
        let Written {
            text,
            namespace,
            state,
            sort,
            page: _,
        } = self.written();
        let page = page.to_string();
        let fields = [
            ("q", text),
            ("namespace", namespace),
            ("state", state),
            ("sort", sort),
            ("page", page.as_str()),
        ];
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let query = Url::parse_with_params("http://localhost/", given);
        query.map_or_else(
            |_| "/".to_owned(),
            |url| format!("/?{}", url.query().unwrap_or_default()),
        )
    }

    /// Counted from 1.
    pub(super) fn page(&self) -> usize {
        self.page
    }
}

#[cfg(test)]
mod tests;
