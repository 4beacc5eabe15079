//! Summaries by a language model: what it is asked, and how its answer is read.
//!
//! The notes are data to it, and its answer is data to us: words, held to the same bounds as the notes themselves. It gives no
//! link and no risk, and what the rules found to be urgent stays in the summary though the model leaves it out.

pub mod answer;
pub mod inquiry;
pub mod prompt;

use super::digest::{Item, ItemKind, MadeBy, Signals, Summary};

/// Adds to a model's summary what the rules found to be urgent and it does not tell, and takes over what only rules may say.
#[must_use]
pub fn completed(mut answered: Summary, digest: &Summary) -> Summary {
    let told: String = answered
        .sections()
        .into_iter()
        .flat_map(|(_, items)| items)
        .map(|item| item.text.to_lowercase() + "\n")
        .collect();
    for item in &digest.security {
        let ids = ids(&item.text);
        let is_told = !ids.is_empty() && ids.iter().all(|id| told.contains(id));
        let stands_alone = ids.is_empty() && !answered.security.is_empty();
        if !is_told && !stands_alone {
            answered.add(ItemKind::Security, item.clone());
        }
    }
    if answered.breaking.is_empty() {
        for item in &digest.breaking {
            answered.add(ItemKind::Breaking, item.clone());
        }
    }
    answered.signals = digest.signals.clone();
    answered
}

/// The names of vulnerabilities in a text, in lower case.
fn ids(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|character: char| !character.is_ascii_alphanumeric() && character != '-');
    let ids = words.filter(|word| word.starts_with("cve-") || word.starts_with("ghsa-"));
    ids.map(str::to_owned).collect()
}

/// Several summaries, each of a part of the same notes, as one; for want of a model that does it better.
pub fn joined(parts: Vec<Summary>) -> Summary {
    let mut whole = Summary {
        made_by: MadeBy::Model,
        ..Summary::default()
    };
    for part in parts {
        let Summary {
            made_by: _,
            overview,
            security,
            breaking,
            features,
            fixes,
            other,
            left_out,
            of_part: _,
            signals: Signals { .. },
        } = part;
        whole.overview = whole.overview.take().or(overview);
        whole.left_out += left_out;
        let kinds: [(ItemKind, Vec<Item>); 5] = [
            (ItemKind::Security, security),
            (ItemKind::Breaking, breaking),
            (ItemKind::Feature, features),
            (ItemKind::Fix, fixes),
            (ItemKind::Other, other),
        ];
        for (kind, items) in kinds {
            for item in items {
                whole.add(kind, item);
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests;
