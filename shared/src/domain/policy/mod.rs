//! Choosing the tag to run: policy, current tag and published tags in, a tag and the reasons out.
//!
//! Nothing here takes a tag's text apart: that is [`crate::domain::tag`]. Nothing here knows when or whether the
//! choice is applied. The rules it speaks of are numbered in `shared/vectors/tags.md`.
//!
//! `options` is a policy as written and `rules` the same understood, with `range`, `pattern` and `order` for its parts;
//! `ruler` measures one tag, `ranking` compares two, `choose` judges all of them, and `families` says what is published beside them.

mod choose;
mod families;
mod hold;
mod key;
mod line;
mod offer;
mod options;
mod order;
mod pattern;
mod range;
mod ranking;
mod rejected;
mod ruler;
mod rules;
mod scale;
mod selection;
mod successor;

pub use choose::{Candidates, candidates, newest_candidates, select};
pub use families::{Contrast, OtherFamily, SuffixContrast, newest_first, other_families};
pub use hold::Hold;
pub(crate) use line::{read_option, unquoted, words};
pub use offer::{Conditions, Maturity, Offer, suits};
pub(crate) use options::shortened;
pub use options::{PolicyError, PolicyOption, PolicyOptions};
pub use rejected::{Rejected, rejected};
pub use rules::UpdatePolicy;
pub use selection::{Rejection, Rejections, Selection, SelectionReason, SelectionRequest, Successor};

#[cfg(test)]
mod tests;
