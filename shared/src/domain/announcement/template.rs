//! A template of the user's own for whatever else takes JSON: minijinja, with every value written as JSON.
//!
//! `{"text": {{ title }}}` is the whole of it: a value comes with its quotes, so no text can end it. What it makes has to be JSON and is
//! bounded, as are its steps.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Value, json};

use super::outline::{Outline, plain};
use super::{Announcement, Section};
use crate::domain::text;

/// How long a template and what it makes may be, in bytes.
pub const MOST_BYTES: usize = 64 << 10;
/// How many instructions it may take.
const FUEL: u64 = 200_000;
const NAME: &str = "template";

/// A template that can be used.
#[derive(Debug, Clone)]
pub struct Template(Environment<'static>);

/// Why one cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("it has more than {MOST_BYTES} bytes")]
    TooLong,
    #[error("{0}")]
    Wrong(String),
    #[error("it takes too many steps")]
    TooMuch,
    #[error("it makes more than {MOST_BYTES} bytes")]
    MakesTooMuch,
    #[error(
        "what it makes is no JSON: {0}; a value comes with its quotes, so write \"text\": {{{{ title }}}} without any around it"
    )]
    NoJson(String),
}

impl Template {
    /// Reads one, and tries it with an example; `event` as in [`Self::render`].
    pub fn new(source: &str, event: &Value) -> Result<Self, TemplateError> {
        if source.len() > MOST_BYTES {
            return Err(TemplateError::TooLong);
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| TemplateError::of(&error))?;
        let template = Self(environment);
        template.render(&Announcement::example(), event)?;
        Ok(template)
    }

    /// The body, about this announcement; `event` is what watch-cluster would post, as `event`.
    pub fn render(&self, announcement: &Announcement, event: &Value) -> Result<String, TemplateError> {
        let values = values(announcement, event);
        let template = self.0.get_template(NAME);
        let template = template.map_err(|error| TemplateError::of(&error))?;
        let made = template.render(Serde(&values));
        let made = made.map_err(|error| TemplateError::of(&error))?;
        if made.len() > MOST_BYTES {
            return Err(TemplateError::MakesTooMuch);
        }
        let read: Result<Value, _> = serde_json::from_str(&made);
        read.map_err(|error| TemplateError::NoJson(error.to_string()))?;
        Ok(made)
    }
}

impl TemplateError {
    fn of(error: &minijinja::Error) -> Self {
        if error.kind() == ErrorKind::OutOfFuel {
            return Self::TooMuch;
        }
        let line = error
            .line()
            .map(|line| format!(" in line {line}"))
            .unwrap_or_default();
        Self::Wrong(text::cut(&format!("{error}{line}"), 500))
    }
}

/// What a template can say.
fn values(announcement: &Announcement, event: &Value) -> Value {
    let Outline {
        title,
        tone: _,
        facts,
        summary,
        links,
        at,
    } = Outline::of(announcement);
    let sections = |sections: Vec<Section>| -> Vec<Value> {
        let sections = sections.into_iter();
        sections
            .map(|Section { title, lines }| json!({ "title": title, "lines": lines }))
            .collect()
    };
    let changes = announcement.changes.iter();
    let workloads = announcement.concerned.iter();
    let links = links.into_iter();
    json!({
        "title": title,
        "reason": announcement.reason,
        "awaits_approval": announcement.awaits_approval,
        "is_reminder": announcement.is_reminder,
        "at": at,
        "changes": changes.map(|change| json!({ "from": change.from.as_deref().map(plain), "to": plain(&change.to) })).collect::<Vec<_>>(),
        "workloads": workloads.map(|one| json!({
            "kind": one.workload.kind,
            "namespace": one.workload.namespace,
            "name": one.workload.name,
            "note": one.note.as_deref().map(plain),
        })).collect::<Vec<_>>(),
        "risks": announcement.risks.iter().map(|risk| plain(risk)).collect::<Vec<_>>(),
        "facts": sections(facts),
        "summary": sections(summary),
        "links": links.map(|(text, url)| json!({ "text": text, "url": url })).collect::<Vec<_>>(),
        "event": event,
    })
}
