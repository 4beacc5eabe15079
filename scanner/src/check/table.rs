//! The findings for people.

use std::collections::BTreeMap;
use std::fmt;

use anstyle::{AnsiColor, Style};
use shared::domain::policy::PolicyOptions;
use shared::domain::tag::Step;

use super::Report;
use super::finding::{Finding, Version};
use shared::io::terminal::page::{BAD, Cell, DIM, GOOD, NOTE, PLAIN, Page, Row, harmless, quoted};

const MAJOR: Style = AnsiColor::Red.on_default().bold();
const MINOR: Style = AnsiColor::Yellow.on_default().bold();
const OTHER: Style = AnsiColor::Cyan.on_default().bold();

const HEADINGS: [&str; 7] = [
    "WORKLOAD",
    "CONTAINER",
    "IMAGE",
    "CURRENT",
    "NEWEST",
    "LEVEL",
    "NOTE",
];

/// The page, with colours. `requests` is what it took.
pub(super) fn render(report: &Report, requests: u64, width: usize) -> Result<String, fmt::Error> {
    let mut page = Page::new(width);
    if !report.images.is_empty() {
        page.table(&HEADINGS, &rows(&report.images))?;
        page.text.push('\n');
    }
    page.entry("CHECKED", PLAIN, &summary(report, requests))?;
    for problem in &report.problems {
        let place = match problem.document {
            Some(document) => format!("{}, document {document}", problem.file),
            None => problem.file.clone(),
        };
        page.entry("NOT READ", BAD, &format!("{place}: {}", problem.reason))?;
    }
    if !report.passed_over.is_empty() {
        let mut kinds = BTreeMap::<&str, usize>::new();
        for object in &report.passed_over {
            *kinds.entry(&object.kind).or_default() += 1;
        }
        let kinds = kinds
            .iter()
            .map(|(kind, count)| format!("{count} {}", harmless(kind)));
        let kinds: Vec<_> = kinds.collect();
        page.entry("NOTE", DIM, &format!("no pod template in {}", kinds.join(", ")))?;
    }
    if let Some(step) = next_step(report) {
        page.beside("NEXT")?;
        // In one line, so that it can be copied.
        page.text.push_str(&step);
        page.text.push('\n');
    }
    Ok(page.text)
}

/// One row for each image, under the name of its file where there are several.
fn rows(findings: &[Finding]) -> Vec<Row> {
    let file = |finding: &Finding| finding.source.as_ref().map(|source| source.file.clone());
    let mut files: Vec<_> = findings.iter().map(file).collect();
    files.dedup();
    let has_groups = files.len() > 1;
    let mut rows = Vec::new();
    let mut last = None;
    for finding in findings {
        let file = file(finding);
        if has_groups && last.as_ref() != Some(&file) {
            rows.push(Row::Group(
                file.clone().unwrap_or_else(|| "command line".to_owned()),
            ));
        }
        last = Some(file);
        rows.push(Row::Cells(cells(finding)));
    }
    rows
}

fn cells(finding: &Finding) -> Vec<Cell> {
    let (workload, container) = finding.source.as_ref().map_or_else(Default::default, |source| {
        let kind = source.kind.to_ascii_lowercase();
        let workload = match &source.namespace {
            Some(namespace) => format!("{kind} {namespace}/{}", source.name),
            None => format!("{kind} {}", source.name),
        };
        (workload, source.container.clone())
    });
    let current = finding.current.as_ref().map(Version::short).unwrap_or_default();
    let newest = match &finding.newest {
        Some(newest) => Cell::new(newest.short(), finding.level.map_or(PLAIN, style)),
        None => Cell::new("-", DIM),
    };
    let level = finding.level.map_or_else(
        || Cell::plain(""),
        |level| Cell::new(level.to_string(), style(level)),
    );
    vec![
        Cell::plain(harmless(&workload)),
        Cell::plain(harmless(&container)),
        Cell::plain(harmless(&finding.name)),
        Cell::plain(current),
        newest,
        level,
        note(finding),
    ]
}

fn style(level: Step) -> Style {
    match level {
        Step::Major => MAJOR,
        Step::Minor => MINOR,
        Step::Patch => GOOD,
        Step::Other => OTHER,
    }
}

fn note(finding: &Finding) -> Cell {
    if let Some(error) = &finding.error {
        return Cell::new(format!("{}: {error}", finding.reason), BAD);
    }
    let mut notes = Vec::new();
    if finding.is_remarkable() {
        notes.push(finding.explanation.clone());
    }
    if let Some(successor) = &finding.successor {
        notes.push(format!(
            "goes on as {}, newest {}",
            successor.family, successor.newest
        ));
    }
    Cell::new(notes.join("; "), NOTE)
}

fn summary(report: &Report, requests: u64) -> String {
    let images = report.images.len();
    if images == 0 {
        return "no images were found".to_owned();
    }
    let (newer, unchecked) = (report.newer(), report.unchecked());
    let mut counts = Vec::new();
    if newer > 0 {
        let mut levels = Vec::new();
        for level in [Step::Major, Step::Minor, Step::Patch, Step::Other] {
            let count = report
                .images
                .iter()
                .filter(|finding| finding.level == Some(level))
                .count();
            if count > 0 {
                levels.push(format!("{count} {level}"));
            }
        }
        counts.push(format!("{newer} with something newer ({})", levels.join(", ")));
    }
    let rest = images - newer - unchecked;
    if rest > 0 {
        counts.push(format!("{rest} without"));
    }
    if unchecked > 0 {
        counts.push(format!("{unchecked} not checked"));
    }
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    format!(
        "{images} image{} with {requests} request{}: {}",
        plural(images as u64),
        plural(requests),
        counts.join(", ")
    )
}

/// What explains the first image that something newer is published for.
fn next_step(report: &Report) -> Option<String> {
    let newer = report.images.iter().find(|finding| finding.newest.is_some())?;
    Some(format!(
        "kubefresh-scanner explain {}{}",
        quoted(&newer.image),
        flags(&newer.options)
    ))
}

/// The flags that mean these options.
fn flags(options: &PolicyOptions) -> String {
    let values = options.values().map(|(option, value)| (option.into(), value));
    let suffix = options.any_suffix.then_some(("suffix", "any"));
    let values = values.chain(suffix);
    let values = values.map(|(flag, value)| format!(" --{flag} {}", quoted(value)));
    let switches = [
        ("prerelease", options.prerelease),
        ("follow-variants", options.follow_variants),
    ];
    let switches = switches
        .into_iter()
        .filter(|(_, is_on)| *is_on)
        .map(|(flag, _)| format!(" --{flag}"));
    values.chain(switches).collect()
}

#[cfg(test)]
mod tests;
