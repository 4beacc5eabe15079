//! The answer as a script for a shell: commands, and comments for whoever reads it first.

use std::fmt::{self, Write as _};

use shared::io::terminal::page::quoted;

use super::{Answer, Entry, Problem};

/// Every text of others stays behind its `#`, on its line.
pub(super) fn render(answer: &Answer) -> Result<String, fmt::Error> {
    let mut page = String::new();
    for entry in &answer.workloads {
        workload(&mut page, entry)?;
    }
    for Problem {
        file,
        document,
        reason,
    } in &answer.problems
    {
        let document = document.map_or_else(String::new, |document| format!(", document {document}"));
        comment(&mut page, &format!("{file}{document}: {reason}"))?;
    }
    comment(&mut page, &summary(&answer.workloads))?;
    Ok(page)
}

fn workload(page: &mut String, entry: &Entry) -> fmt::Result {
    let kind = entry.kind.to_ascii_lowercase();
    let namespace = entry.namespace.as_deref();
    let named = namespace.map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
    let speaks = match &entry.dialect {
        Some(dialect) => format!("follows its annotations for {dialect}"),
        None => "follows none of its annotations for other tools".to_owned(),
    };
    comment(page, &format!("{kind} {}{named} {speaks}", entry.name))?;
    for remark in &entry.remarks {
        let value = if remark.value.is_empty() {
            String::new()
        } else {
            format!("={}", remark.value)
        };
        comment(page, &format!("  {}{value}: {}", remark.origin, remark.reason))?;
    }
    for error in &entry.errors {
        comment(page, &format!("  to be mended first: {error}"))?;
    }
    if !entry.annotations.is_empty() {
        page.push_str("kubectl annotate");
        if let Some(namespace) = namespace {
            write!(page, " {}", word(&format!("--namespace={namespace}")))?;
        }
        write!(page, " {}", word(&format!("{kind}/{}", entry.name)))?;
        for (key, value) in &entry.annotations {
            write!(page, " \\\n  {}", word(&format!("{key}={value}")))?;
        }
        page.push('\n');
    }
    page.push('\n');
    Ok(())
}

/// For a shell and for whoever reads it in a terminal.
fn word(text: &str) -> String {
    quoted(&on_one_line(text))
}

fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn comment(page: &mut String, text: &str) -> fmt::Result {
    writeln!(page, "# {}", on_one_line(text))
}

fn summary(workloads: &[Entry]) -> String {
    let count = |is: fn(&Entry) -> bool| workloads.iter().filter(|entry| is(entry)).count();
    let plural = if workloads.len() == 1 { "" } else { "s" };
    format!(
        "{} workload{plural} with annotations for other tools: {} to be taken over by these commands, {} to be mended first",
        workloads.len(),
        count(|entry| !entry.annotations.is_empty()),
        count(|entry| !entry.errors.is_empty()),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shared::domain::annotations::Remark;

    use super::*;

    #[test]
    fn what_strangers_wrote_is_neither_obeyed_by_a_shell_nor_by_a_terminal() {
        let evil = "x\n$(reboot) '`reboot`'\u{1b}[2J; reboot";
        let entry = Entry {
            file: None,
            document: None,
            kind: evil.to_owned(),
            namespace: Some(evil.to_owned()),
            name: evil.to_owned(),
            dialect: None,
            annotations: BTreeMap::from([("kubefresh.dev/policy".to_owned(), format!("regex:{evil}"))]),
            remarks: vec![Remark {
                origin: evil.to_owned(),
                value: evil.to_owned(),
                reason: evil.to_owned(),
            }],
            errors: vec![evil.to_owned()],
        };
        let answer = Answer {
            workloads: vec![entry],
            problems: Vec::new(),
        };
        let page = render(&answer).unwrap();
        assert!(!page.contains('\u{1b}'), "{page}");
        let quoted = r"x $(reboot) '\''`reboot`'\'' [2J; reboot'";
        let commands: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            commands,
            [
                format!(
                    "kubectl annotate '--namespace={quoted} '{quoted_kind}/{quoted} \\",
                    quoted_kind = quoted[..quoted.len() - 1].to_ascii_lowercase()
                ),
                format!("  'kubefresh.dev/policy=regex:{quoted}"),
                String::new(),
            ]
        );
    }
}
