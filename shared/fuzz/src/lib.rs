//! What must hold for any input at all. The fuzzer runs it, and so does an ordinary test (`shared/tests/fuzz.rs`).
//!
//! An input is text, so that it can be read, written by hand and cut up by lines.

pub mod policy;
pub mod reference;
pub mod tag;

/// Panics if something does not hold for an input.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Target); 3] = [
    ("reference", reference::holds),
    ("tag", tag::holds),
    ("policy", policy::holds),
];
